"""Questions to GitHub through PyGithub, with our retries and waits instead of its own.

PyGithub objects are not to be shared among threads (GITHUB.md, "Libraries"); the one here lives in the thread that
asks, and none of its objects leaves the question.
"""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import requests

from package_keeper.errors import Refusal, RefusalKind
from package_keeper.github import refusals
from package_keeper.github.transport import RETRY_SECONDS, TIMEOUT, Clock
from package_keeper.github.waits import limit_wait

if TYPE_CHECKING:
    from github import Github, GithubException

_T = TypeVar("_T")

PER_PAGE = 100
"""Entries of one page, the most that GitHub gives."""


class Asker:
    """Asks questions until there is an answer or a lasting refusal."""

    def __init__(self, api_url: str, token: str, *, clock: Clock, notify: Callable[[str], None]) -> None:
        self._api_url = api_url
        self._token = token
        self._clock = clock
        self._notify = notify
        self._client: Github | None = None

    def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _open(self) -> "Github":
        # imported here: it takes longer than everything else together, and explicit owner types do without
        import github  # noqa: PLC0415  # reason: start-up time

        if self._client is None:
            self._client = github.Github(
                auth=github.Auth.Token(self._token),
                base_url=self._api_url,
                timeout=int(TIMEOUT[1]),
                user_agent="package-keeper",
                retry=None,
                seconds_between_requests=None,
                seconds_between_writes=None,
                per_page=PER_PAGE,
            )
        return self._client

    def ask(self, question: Callable[["Github"], _T]) -> _T:
        """Ask; 30 seconds at most besides waits for limits. Raises `Refusal`."""
        client = self._open()
        # imported by now
        import github  # noqa: PLC0415  # reason: start-up time

        until = self._clock.monotonic() + RETRY_SECONDS
        wait, limits = 1.0, 0
        while True:
            try:
                return question(client)
            except github.GithubException as error:
                status, headers, body = _parts(error)
                if refusals.is_rate_limit(status, headers, body):
                    limits += 1
                    pause, kind = limit_wait(headers, limits, self._clock.now())
                    self._notify(f"GitHub's {kind} rate limit is reached; waiting {pause:.0f} s for it")
                    self._clock.sleep(pause)
                    until += pause
                    continue
                refused = refusals.refusal("GET", status, headers, body)
                if refusals.is_server_error(status, body):
                    refused = Refusal(RefusalKind.UNREACHABLE, refused.message, status=status)
                refused.hide(self._token)
            except (ValueError, TypeError, AttributeError, KeyError, RuntimeError):
                # PyGithub trusts what it gets
                refused = Refusal(RefusalKind.UNREACHABLE, "GitHub's answer could not be read")
            except requests.RequestException:
                refused = Refusal(RefusalKind.UNREACHABLE, "the connection to GitHub failed")
            if refused.kind is not RefusalKind.UNREACHABLE or self._clock.monotonic() + wait > until:
                raise refused
            self._notify(f"{refused}; trying again in {wait:.0f} s")
            self._clock.sleep(wait)
            wait = min(wait * 2, 8.0)


def _parts(error: "GithubException") -> tuple[int, dict[str, str], bytes]:
    headers = {name.lower(): value for name, value in (error.headers or {}).items()}
    data = error.data if isinstance(error.data, dict) else {"message": str(error.data or error.message or "")}
    return error.status, headers, json.dumps(data).encode()
