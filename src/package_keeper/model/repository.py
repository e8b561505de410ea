"""The state of a repository that the input `gone` compares names with: branches, pull requests and git tags."""

import re
from functools import cached_property

from msgspec import Struct

_NOT_IN_TAGS = re.compile(r"[^a-zA-Z0-9._-]+")
_NOT_IN_PRERELEASES = re.compile(r"[^a-zA-Z0-9-]")


class RepositoryState(Struct, frozen=True, kw_only=True, dict=True):
    """The branches, pull requests and git tags of one repository.

    `closed_heads` are the head branches of closed pull requests from this repository. Those of forks are left out:
    anybody can name a branch of a fork as they like. `open_heads` are the head branches of open pull requests, forks
    included.
    """

    full_name: str
    branches: frozenset[str] = frozenset()
    git_tags: frozenset[str] = frozenset()
    open_pulls: frozenset[int] = frozenset()
    closed_pulls: frozenset[int] = frozenset()
    open_heads: frozenset[str] = frozenset()
    closed_heads: frozenset[str] = frozenset()

    @cached_property
    def gone_branches(self) -> frozenset[str]:
        """The branches that are gone, spelt as image tags.

        A branch is gone when it was the head of a closed pull request, and no spelling of an existing branch is the
        same.
        """
        spelt = {as_image_tag(name) for name in self.closed_heads if name not in self.branches}
        return frozenset(name for name in spelt if name.lower() not in self.existing_branches)

    @cached_property
    def existing_branches(self) -> frozenset[str]:
        """The branches that exist, and the heads of open pull requests, spelt as image tags in lower case.

        Also as SemVer pre-releases spell them, since version names are compared too.
        """
        names = self.branches | self.open_heads
        return frozenset(
            spelling.lower() for name in names for spelling in (*_spellings(name), _NOT_IN_PRERELEASES.sub("-", name))
        )

    @cached_property
    def branch_lengths(self) -> frozenset[int]:
        """How long the names of branches are, of those that exist and those that are gone."""
        return frozenset(map(len, self.gone_branches | self.existing_branches))

    def is_git_tag(self, name: str) -> bool:
        """Whether a tag or version name is that of a git tag, with or without `v` in front."""
        lower = name.lower()
        return not self._git_tag_spellings.isdisjoint((lower, f"v{lower}", lower.removeprefix("v")))

    @cached_property
    def _git_tag_spellings(self) -> frozenset[str]:
        """The git tags, and what is behind the `@` of `package@1.2.3`, as they are and as image tags, in lower case."""
        names = {each for name in self.git_tags for each in (name, name.rpartition("@")[2])}
        return frozenset(each.lower() for name in names for each in (name, *_spellings(name)))


def as_image_tag(name: str) -> str:
    """Spell the name of a branch or git tag as docker/metadata-action does.

    Each run of characters that an image tag cannot have becomes one `-`.
    """
    return _NOT_IN_TAGS.sub("-", name)


def _spellings(name: str) -> tuple[str, str]:
    """The spelling of docker/metadata-action, and that of its first versions: one `-` for each character."""
    return as_image_tag(name), re.sub(r"[^a-zA-Z0-9._-]", "-", name)
