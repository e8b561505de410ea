"""Selection: which images the run is about at all.

An image is selected when every selection input that is given accepts it; the entries of one input are alternatives.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, StrEnum
from functools import cached_property

from package_keeper.model.images import Condition, Image
from package_keeper.model.packages import PackageName, PackageType, Timestamp, Version
from package_keeper.model.repository import RepositoryState
from package_keeper.policy.gone import GoneTags
from package_keeper.policy.patterns import Patterns
from package_keeper.policy.semver import Prerelease, SemverRange, semantic_version


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What the rules need to know beyond the versions, found out beforehand.

    `repositories` are those that packages belong to; one that could not be read is missing.

    `selected` holds, for each SQL expression of `where`, the ids of the versions that it selects.
    """

    repositories: Mapping[PackageName, RepositoryState] = field(default_factory=dict)
    selected: Mapping[str, frozenset[int]] = field(default_factory=dict)


NO_FACTS = Facts()


class TagStatus(StrEnum):
    """The input `tag-status`."""

    ANY = "any"
    TAGGED = "tagged"
    UNTAGGED = "untagged"


class PartialMatch(StrEnum):
    """The input `partial-match`: what becomes of an image only some of whose tags match."""

    KEEP = "keep"
    UNTAG = "untag"
    DELETE = "delete"


class Match(Enum):
    """How far a selection accepts an image."""

    NONE = 0
    PARTIAL = 1
    """Only some of its tags match: the image is asked for, and so is something that nobody asked for."""
    ALIVE = 2
    """Only some of its tags match, and another one is tied to something that lives: the image stays."""
    WHOLE = 3

    @property
    def is_partial(self) -> bool:
        """Whether only some of the tags match."""
        return self is Match.PARTIAL or self is Match.ALIVE


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The selection inputs; `None` and `ANY` mean that the input is not given.

    `tags`, `semver`, `prerelease` and `gone` judge tags: a tag matches when all of them accept it. Where a type has no
    tags, `semver` and `prerelease` judge the name, and `tags`, `tag_status` and `gone` select nothing; what has no tag
    is never selected by its tags. `where` is an SQL expression whose result stands in the `Facts`. `partial_match` is
    `None` where the next rule of a policy is asked about an image only some of whose tags match.
    """

    version_ids: frozenset[int] | None = None
    versions: Patterns | None = None
    tags: Patterns | None = None
    tag_status: TagStatus = TagStatus.ANY
    semver: SemverRange | None = None
    prerelease: Prerelease = Prerelease.ANY
    gone: GoneTags | None = None
    where: str | None = None
    conditions: frozenset[Condition] | None = None
    partial_match: PartialMatch | None = PartialMatch.KEEP

    @property
    def is_given(self) -> bool:
        """Whether anything is selected on purpose; an empty selection must not come to mean everything."""
        return self.judges_tags or not (
            self.version_ids is None
            and self.versions is None
            and self.tag_status is TagStatus.ANY
            and self.where is None
            and self.conditions is None
        )

    @cached_property
    def judges_tags(self) -> bool:
        """Whether single tags match or not, so that an image can match in part."""
        return self.tags is not None or self.gone is not None or self.judges_versions

    @cached_property
    def judges_versions(self) -> bool:
        """Whether only semantic versions are selected."""
        return self.semver is not None or self.prerelease is not Prerelease.ANY

    @property
    def asks_about_tags(self) -> bool:
        """Whether nothing can be said about a version whose tags are not known."""
        return self.judges_tags or self.tag_status is not TagStatus.ANY

    @property
    def names_exactly(self) -> bool:
        """Whether the user named what is selected one by one, by id or whole name."""
        names = self.versions.includes if self.versions is not None else ()
        return self.version_ids is not None or (bool(names) and all(pattern.is_exact for pattern in names))

    def admits(self, image: Image) -> bool:
        """Whether the state of `image` lets this selection accept it at all, whatever its tags, name and age."""
        if self.conditions is not None and (
            image.root.package.type is not PackageType.CONTAINER or image.condition not in self.conditions
        ):
            return False
        # a foreign referrer carries a tag, and what that tag signs may well exist in another package
        return not image.foreign or self.versions is not None or self.version_ids is not None

    def match(self, version: Version, facts: Facts, *, when_unknown: bool = False) -> Match:
        """How far this selection accepts `version`, whatever the health of its image.

        Tags that are not known may be any: they are passed over here, and whoever acts on it must ask `tags_known`.
        """
        tags = version.image_tags
        if self.judges_tags and not tags and version.package.type.has_tags and version.tags_known:
            return Match.NONE
        if self.version_ids is not None and version.id not in self.version_ids:
            return Match.NONE
        if self.versions is not None and not self.versions.accepts(version.name):
            return Match.NONE
        if (
            self.tag_status is not TagStatus.ANY
            and version.tags_known
            and (not version.package.type.has_tags or bool(tags) is not (self.tag_status is TagStatus.TAGGED))
        ):
            return Match.NONE
        if self.where is not None and version.id not in facts.selected.get(self.where, ()):
            return Match.NONE
        if not self.judges_tags or not version.tags_known:
            return Match.WHOLE
        if not version.package.type.has_tags:
            by_tag = self.tags is not None or self.gone is not None
            return Match.WHOLE if not by_tag and self._accepts_version(version.name) else Match.NONE
        matching = self.matching_tags(version, facts, when_unknown=when_unknown)
        if not matching:
            return Match.NONE
        if len(matching) == len(tags):
            return Match.WHOLE
        return Match.ALIVE if self._is_alive(version, facts) else Match.PARTIAL

    def matching_tags(self, version: Version, facts: Facts, *, when_unknown: bool = False) -> tuple[str, ...]:
        """The tags of `version` that this selection is about."""
        if not self.judges_tags:
            return ()
        matching = []
        for tag in version.image_tags:
            if self.tags is not None and not self.tags.accepts(tag):
                continue
            if self.judges_versions and not self._accepts_version(tag):
                continue
            if self.gone is not None:
                life = facts.repositories.get(version.package)
                if not self.gone.accepts(tag, life, when_unknown=when_unknown):
                    continue
            matching.append(tag)
        return tuple(matching)

    def _is_alive(self, version: Version, facts: Facts) -> bool:
        """Whether a tag of `version` is tied to something that lives (contract, input `gone`)."""
        life = facts.repositories.get(version.package)
        if self.gone is None or life is None:
            return False
        return any(self.gone.is_alive(tag, life) for tag in version.image_tags)

    def _accepts_version(self, text: str) -> bool:
        version = semantic_version(text)
        if version is None or (self.semver is not None and not self.semver.accepts(version)):
            return False
        return self.prerelease is Prerelease.ANY or (version.prerelease is not None) is (
            self.prerelease is Prerelease.ONLY
        )


@dataclass(frozen=True, kw_only=True)
class Age:
    """The age inputs: `older_than` and `newer_than` are points in time, resolved against the run's `now`.

    Older means strictly before `older_than`, newer means at or after `newer_than`.
    """

    timestamp: Timestamp
    older_than: datetime | None = None
    newer_than: datetime | None = None

    @property
    def is_given(self) -> bool:
        """Whether any age was asked for."""
        return self.older_than is not None or self.newer_than is not None
