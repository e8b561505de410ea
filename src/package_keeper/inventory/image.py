"""Images: the unit of every rule. For types other than containers each version is an image of its own."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from package_keeper.inventory.version import Version


class Condition(StrEnum):
    """The health of an image (contract, input `condition`)."""

    WHOLE = "whole"
    PARTIAL = "partial"
    """Some of its parts are missing."""
    GHOST = "ghost"
    """An index with no part left."""
    ORPHAN = "orphan"
    """A signature, attestation or other referrer whose subject is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """What the rules judge: a root and the parts that follow it.

    `parts` are all versions that the root reaches, without the root, parents before children. `missing` are the
    digests that it needs and that no active version has; `lost_subjects` are the digests that a referrer refers to and
    that no active version has. `readable` is false when it is not known what belongs to
    the image, or what it belongs to. `foreign` marks a referrer by tag whose subject may lie in another package.
    `is_stub` marks the empty manifest by which a tag was taken away: it is no image, though it may carry the tag.
    """

    root: Version
    parts: tuple[Version, ...] = ()
    missing: tuple[str, ...] = ()
    lost_subjects: tuple[str, ...] = ()
    condition: Condition = Condition.WHOLE
    readable: bool = True
    foreign: bool = False
    is_stub: bool = False

    @property
    def is_tagged(self) -> bool:
        """Whether users can name it; always false for types without tags."""
        return bool(self.root.image_tags)

    @property
    def may_be_tagged(self) -> bool:
        """Whether it carries a tag, or may carry one that GitHub does not tell."""
        return self.is_tagged or not self.root.tags_known

    @property
    def digests(self) -> frozenset[str]:
        """The names of the root, of all parts and of what is missing."""
        return frozenset({self.root.name, *(part.name for part in self.parts), *self.missing})


def independent_images(versions: Iterable[Version]) -> list[Image]:
    """Every version an image of its own: package types without parts, and `images: raw`."""
    return [Image(root=version) for version in versions]
