"""A repository's branches, git tags, pull requests and releases, through PyGithub."""

import json
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import requests
from msgspec import Struct

from package_keeper.errors import ApiError, ApiErrorKind
from package_keeper.github import errors
from package_keeper.github.http import LARGEST_ANSWER, AnswerTooLarge, BoundedAdapter, lost_answer
from package_keeper.github.rate_limit import Use
from package_keeper.github.retries import Retries, RetryableError, RetryReason
from package_keeper.model.repository import RepositoryState

if TYPE_CHECKING:
    from github import Github, GithubException
    from github.PaginatedList import PaginatedList
    from github.Repository import Repository

_T = TypeVar("_T")

PER_PAGE = 100
"""Entries of one page, the most that GitHub gives."""
MOST_PAGES = 10_000
"""A longer list repeats itself."""
MOST_READINGS = 5
"""How often branches are read, at most, until two readings agree."""


class PyGithubClient:
    """PyGithub, with our retries, rate limits and bounds on answers."""

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
        # the import takes longer than all of ours, and most runs do not need it
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
                # so that getting a repository sends no request
                lazy=True,
            )
            # the client above keeps the bounded classes
            requester.resetConnectionClasses()
        return self._client

    def _bounded(self, kind: Any) -> Any:
        """A connection class of PyGithub with bounds. `self._until` bounds a call, with all its redirects."""

        def open_connection(*args: Any, **kwargs: Any) -> Any:
            connection = kind(*args, **kwargs)
            adapter = BoundedAdapter(lambda _: self._until - time.monotonic(), LARGEST_ANSWER)
            connection.session.mount(f"{connection.protocol}://", adapter)
            return connection

        return staticmethod(open_connection)

    def read(self, call: Callable[["Github"], _T]) -> _T:
        """Give the result of a call that reads. Raises `ApiError`, `Cancelled` and `OutOfTime`."""
        client = self._open()
        return self._retries.send(Use.READ, lambda: self._once(client, call))

    def _once(self, client: "Github", call: Callable[["Github"], _T]) -> _T:
        # already imported
        import github  # noqa: PLC0415  # reason: start-up time

        self._until = time.monotonic() + self._retries.rate_limiter.answer_seconds()
        try:
            return call(client)
        except github.GithubException as error:
            status, headers, body = _parts(error)
            failure = errors.api_error("GET", status, headers, body, secret=self._token)
            if errors.is_rate_limit(status, headers, body):
                self._retries.rate_limiter.note_headers(headers)
                raise RetryableError(RetryReason.RATE_LIMITED, failure, headers=headers) from None
            if errors.is_server_error(status, body):
                failure = failure.replace(kind=ApiErrorKind.UNREACHABLE)
                raise RetryableError(RetryReason.LOST, failure) from None
            raise failure from None
        except (
            AssertionError,
            ValueError,
            TypeError,
            AttributeError,
            KeyError,
            RuntimeError,
            github.BadAttributeException,
        ):
            # PyGithub does not check the shape of answers
            failure = ApiError(ApiErrorKind.UNREACHABLE, "GitHub's answer could not be read")
            raise RetryableError(RetryReason.LOST, failure) from None
        except AnswerTooLarge as large:
            raise ApiError(ApiErrorKind.UNREACHABLE, str(large), status=large.status) from None
        except requests.RequestException as error:
            raise RetryableError(RetryReason.LOST, lost_answer(error)) from None


def _parts(error: "GithubException") -> tuple[int, dict[str, str], bytes]:
    headers = {name.lower(): value for name, value in (error.headers or {}).items()}
    data = error.data if isinstance(error.data, dict) else {"message": str(error.data or error.message or "")}
    return error.status, headers, json.dumps(data).encode()


class Repositories:
    """Reads branches, git tags, pull requests and releases."""

    def __init__(self, client: PyGithubClient) -> None:
        self._client = client

    def state(self, full_name: str) -> RepositoryState:
        """Read all pull requests, git tags and branches of `owner/name`. Raises `ApiError`.

        Branches are read last, so that one that is created meanwhile counts as existing.
        """
        # use the current name: PyGithub drops the page number when it follows the redirect of a renamed repository
        full_name, default_branch = self._client.read(partial(_names, full_name))
        pulls = self._all(full_name, lambda repository: repository.get_pulls("all", "created", "asc"), _pull)
        tags = self._all(full_name, lambda repository: repository.get_tags(), lambda tag: str(tag.name))
        branches = self._branches(full_name)
        return RepositoryState(
            full_name=full_name,
            # it exists, even if the list lacks it
            branches=frozenset({*branches, default_branch}),
            git_tags=frozenset(tags),
            open_pulls=frozenset(pull.number for pull in pulls if not pull.is_closed),
            closed_pulls=frozenset(pull.number for pull in pulls if pull.is_closed),
            open_heads=frozenset(pull.head for pull in pulls if not pull.is_closed and pull.head),
            closed_heads=frozenset(
                pull.head for pull in pulls if pull.is_closed and pull.head and pull.lies_in(full_name)
            ),
        )

    def releases(self, full_name: str) -> frozenset[str]:
        """Read the tags of all published releases of `owner/name`, pre-releases included. Raises `ApiError`."""
        full_name, _ = self._client.read(partial(_names, full_name))
        found = self._all(
            full_name, lambda repository: repository.get_releases(), lambda each: (str(each.tag_name), bool(each.draft))
        )
        return frozenset(tag for tag, is_draft in found if not is_draft)

    def _branches(self, full_name: str) -> set[str]:
        """All branches that any reading shows, until two readings agree.

        When a branch is deleted during a reading, the first branch of the next page moves to the page before, and the
        reading misses it.
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
        """All entries of a list. Pages are requested by number until one is empty.

        PyGithub would follow Link headers, and where one is missing, existing branches would look deleted.
        """
        found: list[_T] = []
        first: list[_T] = []
        before: list[_T] = []
        for number in range(MOST_PAGES):
            page = self._client.read(partial(_page, full_name, listing, read, number))
            if not page:
                return found
            if number and page in (first, before):
                break
            first, before = first or page, page
            found += page
        raise ApiError(ApiErrorKind.UNREACHABLE, f"a list of {full_name} does not end")


def _names(full_name: str, github: "Github", /) -> tuple[str, str]:
    """The repository's current name, and its default branch."""
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


class _Pull(Struct, frozen=True):
    """A pull request; `head_part` and `base` are GitHub's objects `head` and `base`."""

    number: int
    is_closed: bool
    head_part: Mapping[str, Any]
    base: Mapping[str, Any]

    @property
    def head(self) -> str:
        """The name of the head branch."""
        return str(self.head_part.get("ref") or "")

    def lies_in(self, full_name: str) -> bool:
        """Whether the head branch belongs to the repository itself, and not to a fork.

        For a deleted fork GitHub shows the repository `null`. Its account proves nothing, since an organization may own
        forks of its own repositories. Only when the answer has no field for the repository does the account decide.
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
        raise TypeError("a pull request is neither open nor closed")
    return _Pull(int(pull.number), pull.state == "closed", pull.head.raw_data, pull.base.raw_data)


def _full_name(part: Mapping[str, Any]) -> list[str]:
    name = (part.get("repo") or {}).get("full_name")
    return [str(name).lower()] if name else []
