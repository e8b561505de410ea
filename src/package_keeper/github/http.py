"""The HTTP client for GitHub's REST interface: headers, redirects, bounded answers, and which failures may be retried.

Redirects are followed by hand, to the same host and with the same method only: `requests` would turn a redirected
DELETE or POST into a GET (docs/github-behaviour.md, "Endpoints"). `retries` and `rate_limit` decide when to send.
"""

import http.client
import io
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urljoin, urlsplit

import requests
import urllib3
from msgspec import Struct
from requests.structures import CaseInsensitiveDict
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from package_keeper.causes import Cause
from package_keeper.errors import ApiError, ApiErrorKind
from package_keeper.github import errors
from package_keeper.github.rate_limit import MOST_IN_FLIGHT, Permit, RateLimiter, Use
from package_keeper.github.retries import Retries, RetryableError, RetryReason
from package_keeper.model.permissions import TokenFacts

CONNECT_SECONDS = 10.0
"""Seconds to connect."""
SILENT_SECONDS = 30.0
"""Seconds between two bytes of an answer."""
CHUNK = 64 * 1024


class AnswerTooLarge(requests.RequestException):
    """An answer is too large; the rest of it was not read."""

    def __init__(self, most: int, status: int) -> None:
        super().__init__(f"the answer is larger than {most >> 20} MB, and was not read to its end")
        self.status = status


class BoundedAdapter(requests.adapters.HTTPAdapter):
    """Sends requests and reads whole answers, within a time and up to `most` bytes.

    `seconds` gives the time before each request, with connecting; it takes whether the request writes. It replaces any
    other timeout.
    """

    def __init__(self, seconds: Callable[[bool], float], most: int) -> None:
        self._seconds = seconds
        self._most = most
        super().__init__(pool_connections=2, pool_maxsize=MOST_IN_FLIGHT + 2)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Create the connection pools."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """Create or find the connection pools of a proxy."""
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        """Send a request, and give the answer with its whole body. Raises `requests.RequestException`."""
        seconds = self._seconds(request.method not in ("GET", "HEAD"))
        if seconds <= 0:
            raise requests.exceptions.ReadTimeout("no time is left")
        bound = urllib3.Timeout(connect=CONNECT_SECONDS, read=seconds, total=seconds)
        response = super().send(request, *args, **options | {"stream": True, "timeout": bound})
        with response:
            response._content = self._body(response)  # noqa: SLF001  # reason: where `requests` keeps what it has read
        return response

    def _body(self, response: requests.Response) -> bytes:
        parts: list[bytes] = []
        taken = 0
        try:
            while part := response.raw.read1(CHUNK, decode_content=True):
                parts.append(part)
                taken += len(part)
                if taken > self._most:
                    raise AnswerTooLarge(self._most, response.status_code)
        except urllib3.exceptions.ReadTimeoutError as error:
            raise requests.exceptions.ReadTimeout(error) from None
        except urllib3.exceptions.DecodeError as error:
            raise requests.exceptions.ContentDecodingError(error) from None
        except urllib3.exceptions.SSLError as error:
            raise requests.exceptions.SSLError(error) from None
        except urllib3.exceptions.HTTPError as error:
            raise requests.exceptions.ChunkedEncodingError(error) from None
        return b"".join(parts)


class _BoundedReader(io.RawIOBase):
    """Reads one answer from a socket. The timeout that the socket has at first is the time for all of it."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        self._raw = raw
        self._sock = sock
        self._until = time.monotonic() + (sock.gettimeout() or 0.0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer takes too long")
        self._sock.settimeout(min(left, SILENT_SECONDS))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _BoundedResponse(http.client.HTTPResponse):
    """An answer of a server, or of a proxy that opens a tunnel."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_BoundedReader(self.fp.detach(), sock))


class _OuterTls(ssl.SSLSocket):
    """TLS to a proxy, which carries TLS to the server. One read of the inner TLS may take many reads of this one.

    So a timeout bounds all reads since it was set, and not each one.
    """

    def settimeout(self, value: float | None) -> None:
        self._until = float("inf") if value is None else time.monotonic() + value
        super().settimeout(value)

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer takes too long")
        super().settimeout(left)
        return super().recv(buflen, flags)


class _Http(HTTPConnection):
    response_class = _BoundedResponse  # type: ignore[mutable-override]  # reason: the class variable is the extension point


class _Https(HTTPSConnection):
    response_class = _BoundedResponse  # type: ignore[mutable-override]  # reason: the class variable is the extension point

    def _connect_tls_proxy(self, hostname: str, sock: socket.socket) -> ssl.SSLSocket:
        outer = super()._connect_tls_proxy(hostname, sock)
        outer.__class__ = _OuterTls
        outer.settimeout(outer.gettimeout())
        return outer


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _Http  # type: ignore[mutable-override]  # reason: as above


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _Https  # type: ignore[mutable-override]  # reason: as above


_POOLS = {"http": _HttpPool, "https": _HttpsPool}


API_VERSION = "2022-11-28"
LARGEST_ANSWER = 64 << 20
"""Bytes of an answer, decompressed. A page of 100 versions has some hundred kilobytes; with thousands of tags or long
descriptions it may have some megabytes."""
LONGEST_HEAD = 20_000
"""Bytes of a page in which its title is looked for."""
MAX_REDIRECTS = 5
UNCHANGED = 304

_NOT_BUILT = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidHeader,
    requests.exceptions.InvalidSchema,
)
_OWNER = re.compile(r"/(?:orgs/[^/]+|organizations/[^/]+|users/[^/]+|user(?:/[^/]+)?)(?=/packages/)")
"""The beginning of a path, which says whose packages it is about."""

_T = TypeVar("_T")


class Response(Struct, frozen=True):
    """A successful answer. Header names are case-insensitive."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpClient:
    """Sends requests to one REST base URL with one token. Safe for threads, since its session never changes."""

    def __init__(self, base_url: str, token: str, retries: Retries) -> None:
        self._base_url = base_url.rstrip("/")
        self._token = token
        self._retries = retries
        self._last_headers: Mapping[str, str] = {}
        self._session = pooled_session(self._base_url, retries.rate_limiter, LARGEST_ANSWER)
        self._session.headers.update(
            {
                "Authorization": f"Bearer {token}",
                "Accept": "application/vnd.github+json",
                "X-GitHub-Api-Version": API_VERSION,
                "User-Agent": "package-keeper",
            }
        )

    @property
    def rate_limiter(self) -> RateLimiter:
        """What decides when requests are sent."""
        return self._retries.rate_limiter

    @property
    def token_facts(self) -> TokenFacts:
        """What the last successful answer shows about the token."""
        return TokenFacts.of(self._last_headers)

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
        permit: Permit | None = None,
    ) -> Response:
        """Send a request and give its successful answer, which is also a 304 when `headers` ask for it.

        May wait for rate limits; `permit` is for the first try. Raises `ApiError`, `RateLimitedError` for a write,
        `Cancelled` and `OutOfTime`.
        """
        once = partial(self._once, method, self._base_url + path, query, headers)
        return self._retries.send(use, once, permit)

    def get(
        self,
        path: str,
        decode: Callable[[bytes], _T],
        query: Mapping[str, str] | None = None,
        *,
        unless: tuple[str, _T] | None = None,
    ) -> tuple[_T, Response]:
        """Send a GET and decode its body. A body that cannot be decoded is requested again.

        `unless` is an ETag and the value that was decoded with it; the value is returned when GitHub says that nothing
        changed. Such an answer costs nothing of the primary limit (docs/github-behaviour.md, "Limits"). Raises
        `ApiError`, also the one of `decode` when no try could be decoded.
        """
        headers = {"If-None-Match": unless[0]} if unless else None

        def once() -> tuple[_T, Response]:
            answer = self._once("GET", self._base_url + path, query, headers)
            if unless and answer.status == UNCHANGED:
                return unless[1], answer
            try:
                return decode(answer.body), answer
            except ApiError as error:
                raise RetryableError(RetryReason.UNREADABLE, error) from None

        return self._retries.send(Use.READ, once)

    def _once(
        self, method: str, url: str, query: Mapping[str, str] | None, headers: Mapping[str, str] | None
    ) -> Response:
        try:
            answer = self._follow(method, url, query, headers)
        except AnswerTooLarge as large:
            # of this kind, so that lists are requested again in smaller pages
            sent = method != "GET"
            raise ApiError(ApiErrorKind.UNREACHABLE, str(large), status=large.status, sent_before=sent) from None
        except _NOT_BUILT:
            raise ApiError(ApiErrorKind.OTHER, "the request could not be built") from None
        except requests.exceptions.SSLError as failure:
            error = lost_answer(failure)
            if error.cause is Cause.TLS:
                # nothing was sent, and another try would not help
                raise error from None
            raise RetryableError(RetryReason.LOST, error) from None
        except requests.exceptions.ConnectTimeout as failure:
            raise RetryableError(RetryReason.UNCONNECTED, lost_answer(failure)) from None
        except requests.RequestException as failure:
            raise RetryableError(RetryReason.LOST, lost_answer(failure)) from None
        self._retries.rate_limiter.note_headers(answer.headers)
        if method == "GET" and answer.status in (200, 404) and is_html(answer):
            reason = RetryReason.UNREADABLE
            raise RetryableError(reason, ApiError(ApiErrorKind.UNREACHABLE, html_text(answer), cause=Cause.HTML))
        if 200 <= answer.status < 300:
            self._last_headers = answer.headers
            return answer
        if answer.status == UNCHANGED and headers:
            return answer
        error = errors.api_error(method, answer.status, answer.headers, answer.body, secret=self._token)
        if errors.is_rate_limit(answer.status, answer.headers, answer.body):
            raise RetryableError(RetryReason.RATE_LIMITED, error, headers=answer.headers)
        if errors.is_server_error(answer.status, answer.body):
            raise RetryableError(RetryReason.LOST, error)
        raise error

    def _follow(
        self, method: str, url: str, query: Mapping[str, str] | None, headers: Mapping[str, str] | None
    ) -> Response:
        for _ in range(MAX_REDIRECTS + 1):
            response = self._session.request(
                method, url, params=dict(query or {}), headers=headers, allow_redirects=False
            )
            if not response.is_redirect:
                return Response(response.status_code, CaseInsensitiveDict(response.headers), response.content)
            # the target has the query already, or drops it on purpose
            url, query = self._redirect_target(method, url, response), None
        raise ApiError(ApiErrorKind.OTHER, f"more than {MAX_REDIRECTS} redirects")

    def _redirect_target(self, method: str, url: str, response: requests.Response) -> str:
        """The address to which a request may be sent on. Raises `ApiError` when it must not be."""
        status = response.status_code
        try:
            target = urljoin(url, response.headers["location"])
            same_host = _host(target) == _host(url)
        except ValueError:
            text = "GitHub redirected to an address that cannot be read"
            raise ApiError(ApiErrorKind.OTHER, text, status=status) from None
        if method != "GET" and status not in (301, 307, 308):
            problem = f"GitHub redirected the {method} so that it would become another request; it was not sent on"
        elif not same_host:
            problem = "GitHub redirected to another host; it was not followed"
        elif method != "GET" and not self._is_the_same(url, target):
            problem = (
                f"GitHub redirected the {method} to another path, which is not the same of a renamed owner; it was not"
                " sent on"
            )
        else:
            return target
        raise ApiError(ApiErrorKind.OTHER, problem, status=status)

    def _is_the_same(self, url: str, target: str) -> bool:
        """Whether a write would do the same at the target: its path differs in the owner's name or id alone."""
        base, ours, theirs = (urlsplit(each).path for each in (self._base_url, url, target))
        if not theirs.startswith(f"{base}/"):
            return False
        owner, rest = _owner_and_rest(ours.removeprefix(base))
        other_owner, other_rest = _owner_and_rest(theirs.removeprefix(base))
        return bool(owner and other_owner) and rest == other_rest


def _owner_and_rest(path: str) -> tuple[str, list[str]]:
    """Split a path after its owner, if it has one. The rest is in lower case and decoded, for a comparison."""
    found = _OWNER.match(path)
    owner = found[0] if found else ""
    return owner, [unquote(part).lower() for part in path[len(owner) :].split("/")]


def environment_problems(urls: Iterable[str], environ: Mapping[str, str]) -> list[str]:
    """Find problems with the proxies and certificates that the environment sets for requests to `urls`."""
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
    # hides credentials
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


def pooled_session(base_url: str, rate_limiter: RateLimiter, most: int) -> requests.Session:
    """Create a session for many threads and one host, with as many connections as requests may be in flight.

    It reads whole answers, in the time that the rate limiter gives, and raises `AnswerTooLarge` above `most` bytes.
    """
    session = requests.Session()
    # look up proxies and certificates once: requests would do so for every request, which takes a third of its time
    environment = session.merge_environment_settings(base_url, {}, None, None, None)
    session.proxies.update(environment["proxies"])
    session.verify, session.cert = environment["verify"], environment["cert"]
    session.trust_env = False
    # so that a .netrc file cannot replace the token that the user gave
    session.auth = lambda request: request
    adapter = BoundedAdapter(lambda writes: rate_limiter.answer_seconds(writes=writes), most)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def is_html(answer: Response) -> bool:
    """Whether an answer is a page for people, which GitHub's REST interface never sends."""
    begins = answer.body[:100].lstrip().lower()
    return begins.startswith((b"<!doctype html", b"<html")) or answer.headers.get("content-type", "").startswith(
        "text/html"
    )


def html_text(answer: Response) -> str:
    """Say that a page came, with its title."""
    found = re.search(rb"<title[^>]*>([^<]{1,200})", answer.body[:LONGEST_HEAD], re.IGNORECASE)
    title = f", '{' '.join(found[1].decode(errors='replace').split())}'" if found else ""
    return f"an HTML page came instead of JSON (HTTP {answer.status}{title})"


def lost_answer(error: requests.RequestException, who: str = "GitHub") -> ApiError:
    """Describe why a request got no answer."""
    # the exception's own text has the URL and sometimes headers
    kinds: dict[type[Exception], str] = {
        requests.exceptions.ConnectTimeout: f"{who} did not answer in time (connecting)",
        requests.exceptions.ReadTimeout: f"{who} did not answer in time (reading)",
        requests.exceptions.SSLError: f"the TLS connection to {who} failed",
        requests.exceptions.ProxyError: f"the proxy refused the connection to {who}",
        requests.exceptions.ChunkedEncodingError: f"the answer of {who} broke off",
        requests.exceptions.ContentDecodingError: f"the answer of {who} could not be decoded",
    }
    text = next((text for kind, text in kinds.items() if isinstance(error, kind)), f"the connection to {who} failed")
    cause = Cause.PROXY if isinstance(error, requests.exceptions.ProxyError) else Cause.UNREACHABLE
    for reason in _reasons(error):
        if isinstance(reason, ssl.SSLCertVerificationError):
            return ApiError(ApiErrorKind.UNREACHABLE, f"{text}: {reason.verify_message}", cause=Cause.TLS)
        if isinstance(reason, socket.gaierror):
            cause = cause if cause is Cause.PROXY else Cause.DNS
            return ApiError(ApiErrorKind.UNREACHABLE, f"{text}: the host name cannot be resolved", cause=cause)
        if isinstance(reason, ConnectionRefusedError):
            return ApiError(ApiErrorKind.UNREACHABLE, f"{text}: connection refused", cause=cause)
    return ApiError(ApiErrorKind.UNREACHABLE, text, cause=cause)


def _reasons(error: BaseException) -> Iterator[BaseException]:
    """An exception and all those that led to it, which libraries keep in different places."""
    waiting: list[object] = [error]
    seen: list[object] = []
    while waiting:
        found = waiting.pop()
        if isinstance(found, BaseException) and not any(found is each for each in seen):
            seen.append(found)
            yield found
            waiting += [*found.args, getattr(found, "reason", None), found.__cause__, found.__context__]


def _host(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port
