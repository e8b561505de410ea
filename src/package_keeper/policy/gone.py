"""Names of closed pull requests and of branches that are gone (docs/reference.md, "gone").

Names are tags, and the version names of types without tags. A name is selected on evidence only: its number is that of
a closed pull request, or its branch was the head of a closed pull request and does not exist any more. Releases,
`latest` and git tags are never selected.
"""

import re
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import cached_property

from msgspec import Struct

from package_keeper.model.repository import RepositoryState
from package_keeper.policy.semver import semantic_version

_NUMBERS_ALONE = re.compile(r"[vV]?\d+(\.\d+)*")
"""Names that release workflows add beside a semantic version: `1`, `1.2`, `v1`; and versions of four numbers."""

_NUMBER = re.compile(r"(?<!\d)[1-9][0-9]{0,17}(?!\d)")
"""The number of a pull request, which is never a piece of a longer run of digits."""

_HASH = re.compile(r"(?<![0-9a-f])(?=[0-9]*[a-f])[0-9a-f]{7,}")
_DOTTED = re.compile(r"(?<!\d)\d+(?:\.\d+)+(?!\d)")
"""A version inside a name, such as `1.2` in `1.2-alpine`."""

_WILD = re.compile(r"[*?\[]")
_PART = re.compile(r"\*|\?|\[!?\]?[^\]]*\]|[^*?\[]+")
_NO_LETTERS = re.compile(r"^(?:[vV]|\[[vV]+\])(?![A-Za-z])|\[(?![A-Za-z-]+\])[^\]]*\]")
"""What demands no letter although it has one: the `v` of a version, and a set with other characters."""


class Tie(StrEnum):
    """What the variable of a template stands for."""

    PULL_REQUEST = "pull-request"
    BRANCH = "branch"


class GoneTemplate(Struct, frozen=True, kw_only=True, dict=True):
    """One template, such as `pr-{pull-request}` or `*.{branch}`: a variable and the globs before and behind it.

    Where the globs match a name in several ways, it has several readings: texts that the variable may stand for.
    """

    tie: Tie
    before: str = ""
    behind: str = ""

    def is_gone(self, name: str, repository: RepositoryState) -> bool:
        """Whether one reading of `name` is a closed pull request, or a branch that is gone."""
        if self.tie is Tie.BRANCH:
            return any(branch in repository.gone_branches for branch in self._branches(name, repository))
        return any(
            int(number[0]) in repository.closed_pulls and not self._is_doubtful(number)
            for number in self._numbers(name)
        )

    def is_alive(self, name: str, repository: RepositoryState) -> bool:
        """Whether one reading of `name` is an open pull request, or a branch that exists."""
        if self.tie is Tie.BRANCH:
            branches = self._branches(name, repository)
            return any(branch.lower() in repository.existing_branches for branch in branches)
        return any(int(number[0]) in repository.open_pulls for number in self._numbers(name))

    def fits(self, name: str) -> bool:
        """Whether `name` has the form of this template."""
        if self.tie is Tie.PULL_REQUEST:
            return any(self._numbers(name))
        begins, ends = self._places(name)
        return bool(ends) and min(begins) < max(ends)

    @cached_property
    def has_letter(self) -> bool:
        """Whether the template demands a letter beside its variable, which says what the variable is."""
        return any(letter.isalpha() for letter in _NO_LETTERS.sub("", f"{self.before}.{self.behind}"))

    def _branches(self, name: str, repository: RepositoryState) -> Iterator[str]:
        """The texts that a `{branch}` may stand for in `name`, and that are as long as a branch of `repository`."""
        begins, ends = self._places(name)
        if ends:
            for length in repository.branch_lengths:
                yield from (name[begin : begin + length] for begin in begins if begin + length in ends)

    def _numbers(self, name: str) -> Iterator[re.Match[str]]:
        """All numbers that a `{pull-request}` may stand for in `name`."""
        begins, ends = self._places(name)
        return (each for each in _NUMBER.finditer(name) if each.start() in begins and each.end() in ends)

    def _places(self, name: str) -> tuple[AbstractSet[int], AbstractSet[int]]:
        """Where the variable may begin in `name`, and where it may end."""
        begins = _ends(self._parts_before, name)
        ends = _ends(self._parts_behind, name[::-1]) if begins else set[int]()
        return begins, {len(name) - end for end in ends}

    def _is_doubtful(self, number: re.Match[str]) -> bool:
        """Whether a number that a glob leaves open is a piece of a hash, or of a version.

        Only a letter in the template tells a pull request from a piece of a version.
        """
        if not _WILD.search(self.before + self.behind):
            return False
        return any(
            found.start() <= number.start() and number.end() <= found.end()
            for pieces in ((_HASH,) if self.has_letter else (_HASH, _DOTTED))
            for found in pieces.finditer(number.string)
        )

    @cached_property
    def _parts_before(self) -> Sequence[str]:
        return _PART.findall(self.before)

    @cached_property
    def _parts_behind(self) -> Sequence[str]:
        """The parts behind the variable, for a name that is read backwards."""
        return [part if part.startswith("[") else part[::-1] for part in reversed(_PART.findall(self.behind))]


class GoneTags(Struct, frozen=True):
    """The templates of the input `gone`."""

    templates: tuple[GoneTemplate, ...]

    def accepts(self, name: str, repository: RepositoryState | None, *, when_unknown: bool = False) -> bool:
        """Whether one template shows that `name` is gone, and none that it is alive.

        Without a repository, `when_unknown` decides about names that have the form of a template.
        """
        if repository is None:
            return when_unknown and self._may_select(name, [each for each in self.templates if each.fits(name)])
        return (
            self._may_select(name, [each for each in self.templates if each.is_gone(name, repository)])
            and not self.is_alive(name, repository)
            and not repository.is_git_tag(name)
        )

    def is_alive(self, name: str, repository: RepositoryState) -> bool:
        """Whether one template shows that `name` is alive, whatever the others show."""
        return any(template.is_alive(name, repository) for template in self.templates)

    def concerns(self, name: str) -> bool:
        """Whether `name` has the form of a template, so that the state of the repository is needed."""
        return any(template.fits(name) for template in self.templates)

    def _may_select(self, name: str, templates: Sequence[GoneTemplate]) -> bool:
        """Whether one of `templates` may select `name`: none a release, only those with a letter a pre-release."""
        if not templates or name == "latest" or _NUMBERS_ALONE.fullmatch(name):
            return False
        version = semantic_version(name)
        if version is None:
            return True
        return version.prerelease is not None and any(template.has_letter for template in templates)


def _ends(parts: Sequence[str], text: str) -> AbstractSet[int]:
    """The places in `text` up to which a glob matches from its beginning."""
    reached = {0}
    for part in parts:
        reached = _behind(part, text, reached)
        if not reached:
            break
    return reached


def _behind(part: str, text: str, starts: AbstractSet[int]) -> set[int]:
    """The places behind one part of a glob that begins at any of `starts`."""
    if part == "*":
        return set(range(min(starts), len(text) + 1))
    if part == "?" or part.startswith("["):
        return {at + 1 for at in starts if at < len(text) and fnmatchcase(text[at], part)}
    return {at + len(part) for at in starts if text.startswith(part, at)}
