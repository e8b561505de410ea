"""One request to GitHub's REST interface: headers and redirects; what an answer means for trying again.

Redirects are followed by hand, on the same host and with the same method only: `requests` would turn a redirected
DELETE or POST into a GET (docs/github-behaviour.md, "Endpoints"). Retries and waits are `retries` and `governor`.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote, urljoin, urlsplit

import requests
import urllib3
from requests.structures import CaseInsensitiveDict

from package_keeper.errors import Refusal, RefusalKind
from package_keeper.github import refusals
from package_keeper.github.bounds import AnswerTooLarge, BoundedAdapter
from package_keeper.github.governor import Governor, Use
from package_keeper.github.retries import Retries, Setback, Trouble

API_VERSION = "2022-11-28"
LARGEST_ANSWER = 64 << 20
"""Bytes of an answer, unpacked. A page of 100 versions has some hundred kilobytes; with thousands of tags for each, or
a long description, it may have some megabytes."""
MAX_REDIRECTS = 5
UNCHANGED = 304

_UNBUILT = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidHeader,
    requests.exceptions.InvalidSchema,
)
_OWNER = re.compile(r"/(?:orgs/[^/]+|organizations/[^/]+|users/[^/]+|user(?:/[^/]+)?)(?=/packages/)")
"""Where the path of a write begins: whose packages it is about."""

_T = TypeVar("_T")


@dataclass(frozen=True)
class Answer:
    """A successful answer. Header names compare without case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport:
    """Sends requests to one REST base URL with one token. Safe for threads: its session stays as it was made."""

    def __init__(self, base_url: str, token: str, retries: Retries) -> None:
        self._base_url = base_url.rstrip("/")
        self._token = token
        self._retries = retries
        self._session = pooled_session(self._base_url, retries.governor, LARGEST_ANSWER)
        self._session.headers.update(
            {
                "Authorization": f"Bearer {token}",
                "Accept": "application/vnd.github+json",
                "X-GitHub-Api-Version": API_VERSION,
                "User-Agent": "package-keeper",
            }
        )

    @property
    def governor(self) -> Governor:
        """Whose pace it keeps."""
        return self._retries.governor

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        use: Use = Use.READ,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request and give its successful answer (or 304, where `headers` ask for it).

        Raises `Refusal`; may wait for limits.
        """
        once = partial(self._once, method, self._base_url + path, query, headers)
        return self._retries.carry(use, once)

    def get(
        self,
        path: str,
        decode: Callable[[bytes], _T],
        query: Mapping[str, str] | None = None,
        *,
        unless: tuple[str, _T] | None = None,
    ) -> tuple[_T, Answer]:
        """Send a GET and decode its body; what cannot be decoded is asked for again.

        `unless` is an ETag and what was decoded under it, which is given back when GitHub says that nothing changed;
        such an answer is free of the primary limit (docs/github-behaviour.md, "Limits"). Raises `Refusal`, at last also
        one that `decode` raises.
        """
        headers = {"If-None-Match": unless[0]} if unless else None

        def once() -> tuple[_T, Answer]:
            answer = self._once("GET", self._base_url + path, query, headers)
            if unless and answer.status == UNCHANGED:
                return unless[1], answer
            try:
                return decode(answer.body), answer
            except Refusal as unreadable:
                raise Setback(Trouble.SPOILT, unreadable) from None

        return self._retries.carry(Use.READ, once)

    def _once(
        self, method: str, url: str, query: Mapping[str, str] | None, headers: Mapping[str, str] | None
    ) -> Answer:
        try:
            answer = self._follow(method, url, query, headers)
        except AnswerTooLarge as large:
            # smaller pages may be what helps: it counts as one that cannot be had in this size
            raise Refusal(
                RefusalKind.UNREACHABLE,
                str(large),
                status=large.status,
                sent_before=method != "GET",
            ) from None
        except requests.RequestException as error:
            if isinstance(error, _UNBUILT):
                raise Refusal(RefusalKind.OTHER, "the request could not be built") from None
            unconnected = isinstance(error, requests.exceptions.ConnectTimeout)
            raise Setback(Trouble.UNCONNECTED if unconnected else Trouble.LOST, lost_answer(error)) from None
        self._retries.governor.heard(answer.headers)
        if 200 <= answer.status < 300 or (answer.status == UNCHANGED and headers):
            return answer
        refused = refusals.refusal(method, answer.status, answer.headers, answer.body)
        refused.hide(self._token)
        if refusals.is_rate_limit(answer.status, answer.headers, answer.body):
            raise Setback(Trouble.LIMITED, refused, headers=answer.headers)
        if refusals.is_server_error(answer.status, answer.body):
            raise Setback(Trouble.LOST, refused)
        raise refused

    def _follow(
        self, method: str, url: str, query: Mapping[str, str] | None, headers: Mapping[str, str] | None
    ) -> Answer:
        for _ in range(MAX_REDIRECTS + 1):
            response = self._session.request(
                method, url, params=dict(query or {}), headers=headers, allow_redirects=False
            )
            if not response.is_redirect:
                return Answer(response.status_code, CaseInsensitiveDict(response.headers), response.content)
            try:
                target = urljoin(url, response.headers["location"])
                same_host = _host(target) == _host(url)
            except ValueError:
                text = "GitHub redirected to an address that cannot be read"
                raise Refusal(RefusalKind.OTHER, text, status=response.status_code) from None
            if method != "GET" and response.status_code not in (301, 307, 308):
                raise Refusal(
                    RefusalKind.OTHER,
                    f"GitHub redirected the {method} so that it would become another request; it was not sent on",
                    status=response.status_code,
                )
            if not same_host:
                raise Refusal(
                    RefusalKind.OTHER,
                    "GitHub redirected to another host; it was not followed",
                    status=response.status_code,
                )
            if method != "GET" and not self._is_the_same(url, target):
                raise Refusal(
                    RefusalKind.OTHER,
                    f"GitHub redirected the {method} to another path, which is not the same of a renamed owner; it was"
                    " not sent on",
                    status=response.status_code,
                )
            # the redirect's target carries the query already, or means to drop it
            url, query = target, None
        raise Refusal(RefusalKind.OTHER, f"more than {MAX_REDIRECTS} redirects")

    def _is_the_same(self, url: str, target: str) -> bool:
        """Whether a write would do the same there: the path is the same but for the owner's name or id."""
        base, ours, theirs = (urlsplit(each).path for each in (self._base_url, url, target))
        if not theirs.startswith(f"{base}/"):
            return False
        owner, rest = _owner_and_rest(ours.removeprefix(base))
        other_owner, other_rest = _owner_and_rest(theirs.removeprefix(base))
        return bool(owner and other_owner) and rest == other_rest


def _owner_and_rest(path: str) -> tuple[str, list[str]]:
    """Cut a path behind its owner; without one it is all rest. Names compare without case, however encoded."""
    found = _OWNER.match(path)
    owner = found[0] if found else ""
    return owner, [unquote(part).lower() for part in path[len(owner) :].split("/")]


def environment_problems(urls: Iterable[str], environ: Mapping[str, str]) -> list[str]:
    """What is wrong with the proxies and certificates that the environment names for requests to `urls`."""
    problems = [each for url in urls for each in (_proxy_problem(url, environ), _certificates_problem(url, environ))]
    return list(dict.fromkeys(problem for problem in problems if problem))


def _proxy_problem(url: str, environ: Mapping[str, str]) -> str:
    proxy = requests.utils.select_proxy(url, requests.utils.get_environ_proxies(url))
    if not proxy:
        return ""
    try:
        found = urllib3.util.parse_url(proxy if "://" in proxy else f"http://{proxy}")
        if found.scheme in ("http", "https") and found.host:
            return ""
    except (urllib3.exceptions.LocationParseError, ValueError):
        pass
    names = [name for name, text in environ.items() if name.lower().endswith("_proxy") and text == proxy]
    # what stands before the @ are credentials
    shown = re.sub(r"^(\w+:/*)?.*@", r"\1***@", proxy)
    return (
        f"{' and '.join(names) or 'proxy'}: '{shown}' is no proxy that can be used; accepted is http://HOST:PORT or"
        " https://HOST:PORT (SOCKS is not); no_proxy names the hosts to reach without one"
    )


def _certificates_problem(url: str, environ: Mapping[str, str]) -> str:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        place = environ.get(name)
        if place and url.startswith("https:"):
            found = Path(place).exists()
            return "" if found else f"{name}: '{place}' does not exist; accepted is the path of a file of certificates"
    return ""


def pooled_session(base_url: str, governor: Governor, most: int) -> requests.Session:
    """A session for many threads and one host: as many connections as requests may be in flight.

    Its answers come whole, in the time that `governor` gives, and in `most` bytes; else `AnswerTooLarge` is raised.
    """
    session = requests.Session()
    # proxies and certificates of the environment, looked up once: requests would do it each time, a third of its work
    environment = session.merge_environment_settings(base_url, {}, None, None, None)
    session.proxies.update(environment["proxies"])
    session.verify, session.cert = environment["verify"], environment["cert"]
    session.trust_env = False
    # .netrc of the machine must not replace the token that the user gave
    session.auth = _keep_headers
    adapter = BoundedAdapter(lambda writes: governor.answer_seconds(writes=writes), most)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def _keep_headers(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def lost_answer(error: requests.RequestException, who: str = "GitHub") -> Refusal:
    """Say what happened to a request that got no answer."""
    # the exception's own text holds the URL, and sometimes headers; its kind says enough
    kinds: dict[type[Exception], str] = {
        requests.exceptions.ConnectTimeout: f"{who} did not answer in time (connecting)",
        requests.exceptions.ReadTimeout: f"{who} did not answer in time (reading)",
        requests.exceptions.SSLError: f"the TLS connection to {who} failed",
        requests.exceptions.ProxyError: f"the proxy refused the connection to {who}",
        requests.exceptions.ChunkedEncodingError: f"the answer of {who} broke off",
        requests.exceptions.ContentDecodingError: f"the answer of {who} could not be decoded",
    }
    texts = [text for kind, text in kinds.items() if isinstance(error, kind)]
    return Refusal(RefusalKind.UNREACHABLE, texts[0] if texts else f"the connection to {who} failed")


def _host(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port
