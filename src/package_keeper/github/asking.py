"""Questions to GitHub through PyGithub, with our retries and waits instead of its own.

PyGithub objects are not to be shared among threads (docs/github-behaviour.md, "Libraries"); the one here lives in the
thread that asks, and none of its objects leaves the question.
"""

import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import requests

from package_keeper.errors import Refusal, RefusalKind
from package_keeper.github import refusals
from package_keeper.github.bounds import AnswerTooLarge, BoundedAdapter
from package_keeper.github.governor import Use
from package_keeper.github.retries import Retries, Setback, Trouble
from package_keeper.github.transport import LARGEST_ANSWER, lost_answer

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
        self._until = 0.0

    def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _open(self) -> "Github":
        # imported here: it takes longer than all of ours, and only what is gone is asked through it
        import github  # noqa: PLC0415  # reason: start-up time

        if self._client is None:
            requester = github.Requester.Requester
            requester.injectConnectionClasses(
                self._bounded(github.Requester.HTTPRequestsConnectionClass),
                self._bounded(github.Requester.HTTPSRequestsConnectionClass),
            )
            self._client = github.Github(
                auth=github.Auth.Token(self._token),
                base_url=self._api_url,
                user_agent="package-keeper",
                retry=None,
                seconds_between_requests=None,
                seconds_between_writes=None,
                per_page=PER_PAGE,
                # nothing is asked for that no question needs, and all questions share one connection
                lazy=True,
            )
            # the client has them now; with its own classes it keeps connections open
            requester.resetConnectionClasses()
        return self._client

    def _bounded(self, kind: Any) -> Any:
        """PyGithub's class of connections, of which a question has so many seconds, all its redirects included."""

        def open_connection(*args: Any, **kwargs: Any) -> Any:
            connection = kind(*args, **kwargs)
            adapter = BoundedAdapter(lambda _: self._until - time.monotonic(), LARGEST_ANSWER)
            connection.session.mount(f"{connection.protocol}://", adapter)
            return connection

        return staticmethod(open_connection)

    def ask(self, question: Callable[["Github"], _T]) -> _T:
        """Ask; 30 seconds at most besides waits for limits. Raises `Refusal`."""
        client = self._open()
        return self._retries.carry(Use.READ, lambda: self._once(client, question))

    def _once(self, client: "Github", question: Callable[["Github"], _T]) -> _T:
        # imported by now
        import github  # noqa: PLC0415  # reason: start-up time

        self._until = time.monotonic() + self._retries.governor.answer_seconds()
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
        except AnswerTooLarge as large:
            raise Refusal(RefusalKind.UNREACHABLE, str(large), status=large.status) from None
        except requests.RequestException as error:
            raise Setback(Trouble.LOST, lost_answer(error)) from None


def _parts(error: "GithubException") -> tuple[int, dict[str, str], bytes]:
    headers = {name.lower(): value for name, value in (error.headers or {}).items()}
    data = error.data if isinstance(error.data, dict) else {"message": str(error.data or error.message or "")}
    return error.status, headers, json.dumps(data).encode()
