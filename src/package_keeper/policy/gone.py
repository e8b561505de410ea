"""Tags of closed pull requests and of branches that are gone (docs/reference.md, "gone").

A tag is selected on evidence only: its number is that of a closed pull request, or its branch was the head of a closed
pull request and does not exist any more. SemVer versions, `latest` and git tags are never selected.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from package_keeper.model.repository import RepositoryState
from package_keeper.policy.semver import semantic_version

_VERSION_LIKE = re.compile(r"v?\d+(\.\d+){0,2}", re.ASCII)
"""Tags that release workflows add beside a semantic version: `1`, `1.2`, `v1`."""

_NUMBER = re.compile(r"[1-9]\d{0,17}", re.ASCII)


class Tie(StrEnum):
    """What the variable of a template stands for."""

    PULL_REQUEST = "pull-request"
    BRANCH = "branch"


@dataclass(frozen=True, slots=True, kw_only=True)
class GoneTemplate:
    """One template, such as `pr-{pull-request}` or `branch-{branch}`: a variable and the texts before and behind it."""

    tie: Tie
    before: str = ""
    behind: str = ""

    def variable_of(self, tag: str) -> str | None:
        """The part of `tag` that the variable stands for, or `None` when the tag does not have this form."""
        if not tag.startswith(self.before):
            return None
        end = len(tag) - len(self.behind)
        if end <= len(self.before) or not tag.endswith(self.behind):
            return None
        found = tag[len(self.before) : end]
        return found if self.tie is Tie.BRANCH or _NUMBER.fullmatch(found) else None

    def is_gone(self, tag: str, repository: RepositoryState) -> bool:
        """Whether the pull request of `tag` is closed, or its branch is gone, on evidence."""
        found = self.variable_of(tag)
        if found is None:
            return False
        if self.tie is Tie.BRANCH:
            return found in repository.gone_branches
        return int(found) in repository.closed_pulls and int(found) not in repository.open_pulls

    def is_alive(self, tag: str, repository: RepositoryState) -> bool:
        """Whether the pull request of `tag` is open, or its branch exists, on evidence."""
        found = self.variable_of(tag)
        if found is None:
            return False
        if self.tie is Tie.BRANCH:
            return found.lower() in repository.existing_branches
        return int(found) in repository.open_pulls


@dataclass(frozen=True)
class GoneTags:
    """The templates of the input `gone`."""

    templates: tuple[GoneTemplate, ...]

    def accepts(self, tag: str, repository: RepositoryState | None, *, when_unknown: bool = False) -> bool:
        """Whether one template shows that `tag` is gone, and none that it is alive.

        Without a repository, `when_unknown` decides about tags that have the form of a template.
        """
        if repository is None:
            return when_unknown and self.concerns(tag) and not _is_release(tag)
        return (
            any(template.is_gone(tag, repository) for template in self.templates)
            and not self.is_alive(tag, repository)
            and not _is_release(tag)
            and tag.lower() not in repository.release_tags
        )

    def is_alive(self, tag: str, repository: RepositoryState) -> bool:
        """Whether one template shows that `tag` is alive, whatever the others show."""
        return any(template.is_alive(tag, repository) for template in self.templates)

    def concerns(self, tag: str) -> bool:
        """Whether `tag` has the form of a template, so that the state of the repository is needed."""
        return any(template.variable_of(tag) is not None for template in self.templates)


def _is_release(tag: str) -> bool:
    return tag == "latest" or _VERSION_LIKE.fullmatch(tag) is not None or semantic_version(tag) is not None
