"""One request to GitHub's REST interface: headers, redirects, retries and waits, in one place.

Redirects are followed by hand, on the same host and with the same method only: `requests` would turn a redirected
DELETE or POST into a GET (GITHUB.md, "Endpoints"). Besides waits for limits, one request is retried for at most 30
seconds.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from urllib.parse import urljoin, urlsplit

import requests
from requests.structures import CaseInsensitiveDict

from package_keeper.errors import Cancelled, Refusal, RefusalKind
from package_keeper.github import refusals
from package_keeper.github.waits import limit_wait

API_VERSION = "2022-11-28"
RETRY_SECONDS = 30.0
"""How long one request is retried, besides waits for limits (contract, "The order of decisions")."""
TIMEOUT = (10.0, 30.0)
"""Seconds to connect, and between two bytes of an answer."""
MAX_REDIRECTS = 5


class Clock(Protocol):
    """Time, as the transport needs it. `sleep` may raise `Cancelled`."""

    def now(self) -> datetime:
        """The current time, aware."""
        ...

    def monotonic(self) -> float:
        """Seconds that only grow."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait; a run that is cancelled meanwhile raises `Cancelled`."""
        ...


@dataclass(frozen=True)
class Answer:
    """A successful answer. Header names compare without case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass
class _Attempts:
    """What one request has been through so far."""

    until: float
    tries: int = 0
    limits: int = 0
    lost: bool = False
    """An attempt ended without an answer, so the request may have been carried out."""


class Transport:
    """Sends requests to one REST base URL with one token."""

    def __init__(self, base_url: str, token: str, *, clock: Clock, notify: Callable[[str], None]) -> None:
        self._base_url = base_url.rstrip("/")
        self._token = token
        self._clock = clock
        self._notify = notify
        self._session = requests.Session()
        # .netrc and proxies' credentials of the machine must not replace the token that the user gave
        self._session.trust_env = True
        self._session.auth = _keep_headers
        self._session.headers.update(
            {
                "Authorization": f"Bearer {token}",
                "Accept": "application/vnd.github+json",
                "X-GitHub-Api-Version": API_VERSION,
                "User-Agent": "package-keeper",
            }
        )

    def send(
        self, method: str, path: str, query: Mapping[str, str] | None = None, *, retry_seconds: float = RETRY_SECONDS
    ) -> Answer:
        """Send one request and give its successful answer. Raises `Refusal`; may wait for limits."""
        attempts = _Attempts(until=self._clock.monotonic() + retry_seconds)
        while True:
            attempts.tries += 1
            try:
                answer = self._follow(method, self._base_url + path, query)
            except ValueError:
                # RequestException is none; urllib's complaint about an address that GitHub redirected to is
                raise Refusal(RefusalKind.OTHER, "GitHub redirected to an address that cannot be read") from None
            except requests.RequestException as error:
                if isinstance(error, (requests.exceptions.InvalidURL, requests.exceptions.InvalidHeader)):
                    raise Refusal(RefusalKind.OTHER, "the request could not be built") from None
                attempts.lost = attempts.lost or not isinstance(error, requests.exceptions.ConnectTimeout)
                self._back_off(attempts, lost_answer(error))
                continue
            if 200 <= answer.status < 300:
                return answer
            if refusals.is_rate_limit(answer.status, answer.headers, answer.body):
                self._wait_for_limit(answer, attempts)
                continue
            refused = refusals.refusal(method, answer.status, answer.headers, answer.body)
            refused.hide(self._token)
            refused.sent_before = attempts.lost
            if not refusals.is_server_error(answer.status, answer.body):
                raise refused
            attempts.lost = True
            self._back_off(attempts, refused)

    def _follow(self, method: str, url: str, query: Mapping[str, str] | None) -> Answer:
        for _ in range(MAX_REDIRECTS + 1):
            response = self._session.request(
                method, url, params=dict(query or {}), timeout=TIMEOUT, allow_redirects=False
            )
            if not response.is_redirect:
                return Answer(response.status_code, CaseInsensitiveDict(response.headers), response.content)
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

    def _back_off(self, attempts: _Attempts, refused: Refusal) -> None:
        """Wait before the next try: one second, doubled each time, with jitter; raise when the time is up."""
        wait = min(2.0 ** (attempts.tries - 1), 8.0) * random.uniform(0.75, 1.25)  # noqa: S311  # reason: jitter
        if self._clock.monotonic() + wait > attempts.until:
            refused.sent_before = attempts.lost
            raise refused
        self._notify(f"{refused}; trying again in {wait:.0f} s")
        self._sleep(wait, attempts)

    def _wait_for_limit(self, answer: Answer, attempts: _Attempts) -> None:
        attempts.limits += 1
        wait, kind = limit_wait(answer.headers, attempts.limits, self._clock.now())
        self._notify(f"GitHub's {kind} rate limit is reached; waiting {wait:.0f} s for it")
        started = self._clock.monotonic()
        self._sleep(wait, attempts)
        attempts.until += self._clock.monotonic() - started

    def _sleep(self, seconds: float, attempts: _Attempts) -> None:
        try:
            self._clock.sleep(seconds)
        except Cancelled:
            # an earlier try may have been carried out: nobody may note that it was not
            raise Cancelled(in_flight=attempts.lost) from None


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
