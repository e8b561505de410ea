"""A repository's branches, git tags and pull requests, through PyGithub."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from package_keeper.errors import Refusal, RefusalKind
from package_keeper.github.asking import PER_PAGE, Asker
from package_keeper.inventory.repository import RepositoryLife

if TYPE_CHECKING:
    from github import Github
    from github.PaginatedList import PaginatedList
    from github.Repository import Repository

_T = TypeVar("_T")

MOST_PAGES = 10_000
"""A list that is longer repeats itself."""

MOST_READINGS = 5
"""So often branches are read to see them at rest."""


class Repositories:
    """Reads the life of repositories."""

    def __init__(self, asker: Asker) -> None:
        self._asker = asker

    def life(self, full_name: str) -> RepositoryLife:
        """Read all pull requests, git tags and branches of `owner/name`. Raises `Refusal`.

        Branches come last, so that one that appears meanwhile is seen alive.
        """
        # under its own name now: PyGithub forgets the page when it follows the redirect of a renamed repository
        full_name, default_branch = self._asker.ask(partial(_names, full_name))
        pulls = self._all(full_name, lambda repository: repository.get_pulls("all", "created", "asc"), _pull)
        tags = self._all(full_name, lambda repository: repository.get_tags(), lambda tag: str(tag.name))
        branches = self._branches(full_name)
        return RepositoryLife(
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
        raise Refusal(RefusalKind.UNREACHABLE, f"the branches of {full_name} change too fast to be read")

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
        raise Refusal(RefusalKind.UNREACHABLE, f"a list of {full_name} does not end")


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
