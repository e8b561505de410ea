"""Tags that are tied to a repository's life: of closed pull requests, and of branches that are gone.

Only on facts (contract, input `gone`): a number must be that of a closed pull request, a branch must have been the
head of one and live no more. Versions, `latest` and git tags are never taken for either.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from package_keeper.model.repository import RepositoryState
from package_keeper.policy.semver import semantic_version

_VERSION_LIKE = re.compile(r"v?\d+(\.\d+){0,2}", re.ASCII)
"""What release workflows add to a semantic version: `1`, `1.2`, `v1`."""

_NUMBER = re.compile(r"[1-9]\d{0,17}", re.ASCII)


class Tie(StrEnum):
    """What a template ties a tag to."""

    PULL_REQUEST = "pull-request"
    BRANCH = "branch"


@dataclass(frozen=True, slots=True, kw_only=True)
class GoneTemplate:
    """One template: `pr-{pull-request}`, `branch-{branch}`, with what stands before and behind the variable."""

    tie: Tie
    before: str = ""
    behind: str = ""

    def variable_of(self, tag: str) -> str | None:
        """What stands for the variable in `tag`, or `None` when the tag has another form."""
        if not tag.startswith(self.before):
            return None
        end = len(tag) - len(self.behind)
        if end <= len(self.before) or not tag.endswith(self.behind):
            return None
        found = tag[len(self.before) : end]
        return found if self.tie is Tie.BRANCH or _NUMBER.fullmatch(found) else None

    def is_gone(self, tag: str, life: RepositoryState) -> bool:
        """Whether what `tag` is tied to is gone for certain."""
        found = self.variable_of(tag)
        if found is None:
            return False
        if self.tie is Tie.BRANCH:
            return found in life.gone_branches
        return int(found) in life.closed_pulls and int(found) not in life.open_pulls

    def is_alive(self, tag: str, life: RepositoryState) -> bool:
        """Whether what `tag` is tied to lives for certain."""
        found = self.variable_of(tag)
        if found is None:
            return False
        if self.tie is Tie.BRANCH:
            return found.lower() in life.living_branches
        return int(found) in life.open_pulls


@dataclass(frozen=True)
class GoneTags:
    """The input `gone`: a tag is accepted when one template shows that it has outlived its cause."""

    templates: tuple[GoneTemplate, ...]

    def accepts(self, tag: str, life: RepositoryState | None, *, when_unknown: bool = False) -> bool:
        """Whether `tag` has outlived its cause; without facts of the repository `when_unknown` decides."""
        if life is None:
            return when_unknown and self.concerns(tag) and not _is_release(tag)
        return (
            any(each.is_gone(tag, life) for each in self.templates)
            and not self.is_alive(tag, life)
            and not _is_release(tag)
            and tag.lower() not in life.release_tags
        )

    def is_alive(self, tag: str, life: RepositoryState) -> bool:
        """Whether one template shows that what `tag` is tied to lives, whatever the others show."""
        return any(each.is_alive(tag, life) for each in self.templates)

    def concerns(self, tag: str) -> bool:
        """Whether `tag` has the form of a template, so that the repository has to be asked."""
        return any(template.variable_of(tag) is not None for template in self.templates)


def _is_release(tag: str) -> bool:
    return tag == "latest" or _VERSION_LIKE.fullmatch(tag) is not None or semantic_version(tag) is not None
