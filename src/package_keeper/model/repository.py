"""A repository's life, as far as tags are tied to it: branches, pull requests, git tags."""

import re
from dataclasses import dataclass, field
from functools import cached_property

_NOT_IN_TAGS = re.compile(r"[^a-zA-Z0-9._-]+")


@dataclass(frozen=True, kw_only=True)
class RepositoryState:
    """What one repository says about what is alive and what is gone.

    `closed_heads` are head branches of closed pull requests that lay in this repository itself: the branches of a fork
    are a stranger's words. `open_heads` are those of open ones, forks included.
    """

    full_name: str
    branches: frozenset[str] = field(default_factory=frozenset)
    git_tags: frozenset[str] = field(default_factory=frozenset)
    open_pulls: frozenset[int] = field(default_factory=frozenset)
    closed_pulls: frozenset[int] = field(default_factory=frozenset)
    open_heads: frozenset[str] = field(default_factory=frozenset)
    closed_heads: frozenset[str] = field(default_factory=frozenset)

    @cached_property
    def gone_branches(self) -> frozenset[str]:
        """The branches that are gone, as image tags spell them.

        A branch is gone when a closed pull request had it as its head and nothing that lives is spelt alike, whatever
        the spelling.
        """
        spelt = {mangled(name) for name in self.closed_heads if name not in self.branches}
        return frozenset(name for name in spelt if name.lower() not in self.living_branches)

    @cached_property
    def living_branches(self) -> frozenset[str]:
        """The branches that live, and the heads of open pull requests, as image tags spell them, in lower case."""
        return frozenset(spelling.lower() for name in self.branches | self.open_heads for spelling in _spellings(name))

    @cached_property
    def release_tags(self) -> frozenset[str]:
        """The git tags, as image tags spell them, in lower case."""
        return frozenset(spelling.lower() for name in self.git_tags for spelling in _spellings(name))


def mangled(name: str) -> str:
    """Spell the name of a branch or git tag as an image tag, as docker/metadata-action does.

    Each run of characters that an image tag cannot hold becomes one `-`.
    """
    return _NOT_IN_TAGS.sub("-", name)


def _spellings(name: str) -> tuple[str, str]:
    """The spellings in use: docker/metadata-action's, and one `-` for each character (as its first versions did)."""
    return mangled(name), re.sub(r"[^a-zA-Z0-9._-]", "-", name)
