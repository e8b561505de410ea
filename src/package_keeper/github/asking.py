"""Questions to GitHub through PyGithub, with our retries and waits instead of its own.

PyGithub objects are not to be shared among threads (docs/github-behaviour.md, "Libraries"); the one here lives in the
thread that asks, and none of its objects leaves the question.
"""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import requests

from package_keeper.errors import Refusal, RefusalKind
from package_keeper.github import refusals
from package_keeper.github.governor import Use
from package_keeper.github.retries import Retries, Setback, Trouble
from package_keeper.github.transport import TIMEOUT

if TYPE_CHECKING:
    from github import Github, GithubException

_T = TypeVar("_T")

PER_PAGE = 100
"""Entries of one page, the most that GitHub gives."""


class Asker:
    """Asks questions until there is an answer or a lasting refusal."""

    def __init__(self, api_url: str, token: str, retries: Retries) -> None:
        self._api_url = api_url
        self._token = token
        self._retries = retries
        self._client: Github | None = None

    def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _open(self) -> "Github":
        # imported here: it takes longer than all of ours, and only what is gone is asked through it
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
        return self._retries.carry(Use.READ, lambda: self._once(client, question))

    def _once(self, client: "Github", question: Callable[["Github"], _T]) -> _T:
        # imported by now
        import github  # noqa: PLC0415  # reason: start-up time

        try:
            return question(client)
        except github.GithubException as error:
            status, headers, body = _parts(error)
            refused = refusals.refusal("GET", status, headers, body)
            refused.hide(self._token)
            if refusals.is_rate_limit(status, headers, body):
                self._retries.governor.heard(headers)
                raise Setback(Trouble.LIMITED, refused, headers=headers) from None
            if refusals.is_server_error(status, body):
                refused.kind = RefusalKind.UNREACHABLE
            if refused.kind is RefusalKind.UNREACHABLE:
                raise Setback(Trouble.LOST, refused) from None
            raise refused from None
        except (ValueError, TypeError, AttributeError, KeyError, RuntimeError):
            # PyGithub trusts what it gets
            refused = Refusal(RefusalKind.UNREACHABLE, "GitHub's answer could not be read")
            raise Setback(Trouble.LOST, refused) from None
        except requests.RequestException:
            refused = Refusal(RefusalKind.UNREACHABLE, "the connection to GitHub failed")
            raise Setback(Trouble.LOST, refused) from None


def _parts(error: "GithubException") -> tuple[int, dict[str, str], bytes]:
    headers = {name.lower(): value for name, value in (error.headers or {}).items()}
    data = error.data if isinstance(error.data, dict) else {"message": str(error.data or error.message or "")}
    return error.status, headers, json.dumps(data).encode()
