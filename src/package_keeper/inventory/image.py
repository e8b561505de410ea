"""Images: the unit of every rule. For types other than containers each version is an image of its own."""

from collections.abc import Iterable
from dataclasses import dataclass

from package_keeper.inventory.package import PackageType
from package_keeper.inventory.version import Version


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """What the rules judge: a root and the parts that follow it.

    `readable` is false when it is not known what belongs to the image, or what it belongs to.
    """

    root: Version
    readable: bool = True

    @property
    def is_tagged(self) -> bool:
        """Whether users can name it; always false for types without tags."""
        return bool(self.root.image_tags)


def independent_images(versions: Iterable[Version]) -> list[Image]:
    """Every version an image of its own: package types without parts, and `images: raw`."""
    return [Image(root=version) for version in versions]


def unread_images(versions: Iterable[Version]) -> list[Image]:
    """Container versions whose manifests nobody has read: an untagged one may be a part of any other."""
    return [
        Image(root=version, readable=bool(version.image_tags) or version.package.type is not PackageType.CONTAINER)
        for version in versions
    ]
