"""One request to GitHub's REST interface: headers and redirects; what an answer means for trying again.

Redirects are followed by hand, on the same host and with the same method only: `requests` would turn a redirected
DELETE or POST into a GET (docs/github-behaviour.md, "Endpoints"). Retries and waits are `retries` and `governor`.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from requests.structures import CaseInsensitiveDict

from package_keeper.errors import Refusal, RefusalKind
from package_keeper.github import refusals
from package_keeper.github.governor import MOST_IN_FLIGHT, Governor, Use
from package_keeper.github.retries import Retries, Setback, Trouble

API_VERSION = "2022-11-28"
TIMEOUT = (10.0, 30.0)
"""Seconds to connect, and between two bytes of an answer."""
ANSWER_SECONDS = 60.0
"""Seconds for a whole answer from its head on, however steadily it trickles."""
CHUNK = 64 * 1024
MAX_REDIRECTS = 5
UNCHANGED = 304

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
        self._session = pooled_session(self._base_url)
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
        except ValueError:
            # RequestException is none; urllib's complaint about an address that GitHub redirected to is
            raise Refusal(RefusalKind.OTHER, "GitHub redirected to an address that cannot be read") from None
        except requests.RequestException as error:
            if isinstance(error, (requests.exceptions.InvalidURL, requests.exceptions.InvalidHeader)):
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
            with self._session.request(
                method,
                url,
                params=dict(query or {}),
                headers=headers,
                timeout=TIMEOUT,
                allow_redirects=False,
                stream=True,
            ) as response:
                body = body_of(response)
            if not response.is_redirect:
                return Answer(response.status_code, CaseInsensitiveDict(response.headers), body)
            target = urljoin(url, response.headers["location"])
            if method != "GET" and response.status_code not in (301, 307, 308):
                raise Refusal(
                    RefusalKind.OTHER,
                    f"GitHub redirected the {method} so that it would become another request; it was not sent on",
                    status=response.status_code,
                )
            if _host(target) != _host(url):
                raise Refusal(
                    RefusalKind.OTHER,
                    "GitHub redirected to another host; it was not followed",
                    status=response.status_code,
                )
            # the redirect's target carries the query already, or means to drop it
            url, query = target, None
        raise Refusal(RefusalKind.OTHER, f"more than {MAX_REDIRECTS} redirects")


def pooled_session(base_url: str) -> requests.Session:
    """A session for many threads and one host: as many connections as requests may be in flight."""
    session = requests.Session()
    # proxies and certificates of the environment, looked up once: requests would do it each time, a third of its work
    environment = session.merge_environment_settings(base_url, {}, None, None, None)
    session.proxies.update(environment["proxies"])
    session.verify, session.cert = environment["verify"], environment["cert"]
    session.trust_env = False
    # .netrc of the machine must not replace the token that the user gave
    session.auth = _keep_headers
    adapter = requests.adapters.HTTPAdapter(pool_connections=2, pool_maxsize=MOST_IN_FLIGHT + 2)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def body_of(response: requests.Response, most: int | None = None) -> bytes:
    """The body of an answer, but not much more of it than `most` bytes. Raises `requests.RequestException`.

    `requests` knows only a timeout between two bytes: an answer that trickles would be read for ever.
    """
    until = time.monotonic() + ANSWER_SECONDS
    parts: list[bytes] = []
    taken = 0
    try:
        while (part := response.raw.read1(CHUNK, decode_content=True)) and (most is None or taken <= most):
            parts.append(part)
            taken += len(part)
            if time.monotonic() > until:
                raise requests.exceptions.ReadTimeout("the answer takes too long")
    except urllib3.exceptions.ReadTimeoutError as error:
        raise requests.exceptions.ReadTimeout(error) from None
    except urllib3.exceptions.DecodeError as error:
        raise requests.exceptions.ContentDecodingError(error) from None
    except urllib3.exceptions.SSLError as error:
        raise requests.exceptions.SSLError(error) from None
    except urllib3.exceptions.HTTPError as error:
        raise requests.exceptions.ChunkedEncodingError(error) from None
    return b"".join(parts)


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
