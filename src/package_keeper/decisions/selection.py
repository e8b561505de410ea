"""Selection: which images the run is about at all.

An image is selected when every selection input that is given accepts it; the entries of one input are alternatives.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum, StrEnum

from package_keeper.decisions.patterns import Patterns
from package_keeper.inventory.image import Condition, Image
from package_keeper.inventory.package import PackageType
from package_keeper.inventory.version import Timestamp, Version


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
    WHOLE = 2


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The selection inputs; `None` and `ANY` mean that the input is not given.

    Types without tags are never selected by `tags` or `tag_status`; what has no tag is never selected by `tags`.
    """

    version_ids: frozenset[int] | None = None
    versions: Patterns | None = None
    tags: Patterns | None = None
    tag_status: TagStatus = TagStatus.ANY
    conditions: frozenset[Condition] | None = None
    partial_match: PartialMatch = PartialMatch.KEEP

    @property
    def is_given(self) -> bool:
        """Whether anything is selected on purpose; an empty selection must not come to mean everything."""
        return not (
            self.version_ids is None
            and self.versions is None
            and self.tags is None
            and self.tag_status is TagStatus.ANY
            and self.conditions is None
        )

    @property
    def names_exactly(self) -> bool:
        """Whether the user named what is selected one by one, by id or whole name."""
        names = self.versions.includes if self.versions is not None else ()
        return self.version_ids is not None or (bool(names) and all(pattern.is_exact for pattern in names))

    def match_image(self, image: Image) -> Match:
        """How far this selection accepts `image`."""
        if self.conditions is not None and (
            image.root.package.type is not PackageType.CONTAINER or image.condition not in self.conditions
        ):
            return Match.NONE
        if image.foreign and self.versions is None and self.version_ids is None:
            # it carries a tag, and what that tag signs may well exist in another package
            return Match.NONE
        return self.match(image.root)

    def match(self, version: Version) -> Match:
        """How far this selection accepts `version`, whatever the health of its image."""
        if self.version_ids is not None and version.id not in self.version_ids:
            return Match.NONE
        if self.versions is not None and not self.versions.accepts(version.name):
            return Match.NONE
        if self.tag_status is not TagStatus.ANY and (
            not version.package.type.has_tags or bool(version.image_tags) is not (self.tag_status is TagStatus.TAGGED)
        ):
            return Match.NONE
        return Match.WHOLE if self.tags is None else _match_tags(self.tags, version)

    def matching_tags(self, version: Version) -> tuple[str, ...]:
        """The tags of `version` that this selection is about."""
        return tuple(tag for tag in version.image_tags if self.tags is not None and self.tags.accepts(tag))


def _match_tags(patterns: Patterns, version: Version) -> Match:
    accepted = [patterns.accepts(tag) for tag in version.image_tags] if version.package.type.has_tags else []
    if not any(accepted):
        return Match.NONE
    return Match.WHOLE if all(accepted) else Match.PARTIAL


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
