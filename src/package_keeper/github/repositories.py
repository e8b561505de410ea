"""A repository's branches, git tags and pull requests, through PyGithub."""

import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import requests

from package_keeper.errors import ApiError, ApiErrorKind
from package_keeper.github import errors
from package_keeper.github.http import LARGEST_ANSWER, AnswerTooLarge, BoundedAdapter, lost_answer
from package_keeper.github.rate_limit import Use
from package_keeper.github.retries import Retries, RetryableError, RetryReason

if TYPE_CHECKING:
    from github import Github, GithubException
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from package_keeper.model.repository import RepositoryState

if TYPE_CHECKING:
    from github import Github
    from github.PaginatedList import PaginatedList
    from github.Repository import Repository


_T = TypeVar("_T")

PER_PAGE = 100
"""Entries of one page, the most that GitHub gives."""


class PyGithubClient:
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
        """Ask; 30 seconds at most besides waits for limits. Raises `ApiError`."""
        client = self._open()
        return self._retries.carry(Use.READ, lambda: self._once(client, question))

    def _once(self, client: "Github", question: Callable[["Github"], _T]) -> _T:
        # imported by now
        import github  # noqa: PLC0415  # reason: start-up time

        self._until = time.monotonic() + self._retries.rate_limiter.answer_seconds()
        try:
            return question(client)
        except github.GithubException as error:
            status, headers, body = _parts(error)
            refused = errors.refusal("GET", status, headers, body)
            refused.hide(self._token)
            if errors.is_rate_limit(status, headers, body):
                self._retries.rate_limiter.heard(headers)
                raise RetryableError(RetryReason.LIMITED, refused, headers=headers) from None
            if errors.is_server_error(status, body):
                refused.kind = ApiErrorKind.UNREACHABLE
            if refused.kind is ApiErrorKind.UNREACHABLE:
                raise RetryableError(RetryReason.LOST, refused) from None
            raise refused from None
        except (ValueError, TypeError, AttributeError, KeyError, RuntimeError):
            # PyGithub trusts what it gets
            refused = ApiError(ApiErrorKind.UNREACHABLE, "GitHub's answer could not be read")
            raise RetryableError(RetryReason.LOST, refused) from None
        except AnswerTooLarge as large:
            raise ApiError(ApiErrorKind.UNREACHABLE, str(large), status=large.status) from None
        except requests.RequestException as error:
            raise RetryableError(RetryReason.LOST, lost_answer(error)) from None


def _parts(error: "GithubException") -> tuple[int, dict[str, str], bytes]:
    headers = {name.lower(): value for name, value in (error.headers or {}).items()}
    data = error.data if isinstance(error.data, dict) else {"message": str(error.data or error.message or "")}
    return error.status, headers, json.dumps(data).encode()


MOST_PAGES = 10_000
"""A list that is longer repeats itself."""

MOST_READINGS = 5
"""So often branches are read to see them at rest."""


class Repositories:
    """Reads the life of repositories."""

    def __init__(self, client: PyGithubClient) -> None:
        self._asker = client

    def state(self, full_name: str) -> RepositoryState:
        """Read all pull requests, git tags and branches of `owner/name`. Raises `ApiError`.

        Branches come last, so that one that appears meanwhile is seen alive.
        """
        # under its own name now: PyGithub forgets the page when it follows the redirect of a renamed repository
        full_name, default_branch = self._asker.ask(partial(_names, full_name))
        pulls = self._all(full_name, lambda repository: repository.get_pulls("all", "created", "asc"), _pull)
        tags = self._all(full_name, lambda repository: repository.get_tags(), lambda tag: str(tag.name))
        branches = self._branches(full_name)
        return RepositoryState(
            full_name=full_name,
            # a list that lacks it, or is empty, proves nothing about it
            branches=frozenset({*branches, default_branch}),
            git_tags=frozenset(tags),
            open_pulls=frozenset(pull.number for pull in pulls if not pull.is_closed),
            closed_pulls=frozenset(pull.number for pull in pulls if pull.is_closed),
            open_heads=frozenset(pull.head for pull in pulls if not pull.is_closed and pull.head),
            closed_heads=frozenset(
                pull.head for pull in pulls if pull.is_closed and pull.head and pull.lies_in(full_name)
            ),
        )

    def _branches(self, full_name: str) -> set[str]:
        """All branches that any reading shows, until two readings agree.

        When somebody deletes a branch while the pages are read, the first of the next page slips through.
        """
        seen: set[str] = set()
        before: list[str] | None = None
        for _ in range(MOST_READINGS):
            names = self._all(full_name, lambda repository: repository.get_branches(), lambda branch: str(branch.name))
            seen.update(names)
            if names == before or len(names) < PER_PAGE:
                return seen
            before = names
        raise ApiError(ApiErrorKind.UNREACHABLE, f"the branches of {full_name} change too fast to be read")

    def _all(
        self, full_name: str, listing: Callable[["Repository"], "PaginatedList[Any]"], read: Callable[[Any], _T]
    ) -> list[_T]:
        """All entries of a list.

        PyGithub follows Link headers only, and a list that ends too early would hide what lives; so pages are asked for
        by number, until one is empty.
        """
        found: list[_T] = []
        first: list[_T] = []
        for number in range(MOST_PAGES):
            page = self._asker.ask(partial(_page, full_name, listing, read, number))
            if not page:
                return found
            if number and page == first:
                break
            first = first or page
            found += page
        raise ApiError(ApiErrorKind.UNREACHABLE, f"a list of {full_name} does not end")


def _names(full_name: str, github: "Github", /) -> tuple[str, str]:
    """The repository's own name, and its default branch."""
    repository = github.get_repo(full_name)
    return str(repository.full_name), str(repository.default_branch)


def _page(
    full_name: str,
    listing: Callable[["Repository"], "PaginatedList[Any]"],
    read: Callable[[Any], _T],
    number: int,
    github: "Github",
    /,
) -> list[_T]:
    repository = github.get_repo(full_name)
    return [read(entry) for entry in listing(repository).get_page(number)]


@dataclass(frozen=True)
class _Pull:
    """What is needed of a pull request: `head_part` and `base` are GitHub's objects."""

    number: int
    is_closed: bool
    head_part: Mapping[str, Any]
    base: Mapping[str, Any]

    @property
    def head(self) -> str:
        """The name of the head branch."""
        return str(self.head_part.get("ref") or "")

    def lies_in(self, full_name: str) -> bool:
        """Whether the head branch was one of the repository itself, and not of a fork.

        Of a fork that was deleted GitHub shows `null`, whatever account it had: an organization may own forks of its
        own repositories, so the account proves nothing. An answer that names no repository at all tells by the account.
        """
        own = {full_name.lower(), *_full_name(self.base)}
        if found := _full_name(self.head_part):
            return not own.isdisjoint(found)
        if "repo" in self.head_part:
            return False
        account = str((self.head_part.get("user") or {}).get("login") or self.head_part.get("label") or "")
        login = account.partition(":")[0].lower()
        return any(name.partition("/")[0] == login for name in own) if login else True


def _pull(pull: Any) -> _Pull:
    if pull.state not in ("open", "closed"):
        raise TypeError("a pull request that is neither open nor closed")
    return _Pull(int(pull.number), pull.state == "closed", pull.head.raw_data, pull.base.raw_data)


def _full_name(part: Mapping[str, Any]) -> list[str]:
    name = (part.get("repo") or {}).get("full_name")
    return [str(name).lower()] if name else []
