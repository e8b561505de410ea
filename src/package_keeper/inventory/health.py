"""The health of images: what is missing, and until when it can be restored."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from package_keeper.inventory.image import Image
from package_keeper.inventory.manifest import UnreadableManifest
from package_keeper.inventory.version import Timestamp, Version, oldest_first

RESTORABLE_FOR = timedelta(days=30)
"""How long a deleted version can be restored (docs/github-behaviour.md, "Endpoints")."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingPart:
    """A digest that an image needs and that is gone; `versions` are the deleted ones that can bring it back."""

    digest: str
    versions: tuple[Version, ...] = ()

    @property
    def deleted(self) -> Version | None:
        """The one that is to bring it back, if any can."""
        return self.versions[0] if self.versions else None

    @property
    def restorable_until(self) -> datetime | None:
        """Until when it can be restored, as far as GitHub says."""
        if self.deleted is None or self.deleted.deleted_at is None:
            return None
        return self.deleted.deleted_at + RESTORABLE_FOR


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedImage:
    """What `verify` found about one image; `unreadable` says why its manifest could not be read."""

    root: Version
    missing: tuple[MissingPart, ...] = ()
    unreadable: str = ""

    @property
    def is_broken(self) -> bool:
        """Whether a pull would fail, or nobody can say that it works."""
        return bool(self.missing) or bool(self.unreadable)


def by_digest(deleted: Iterable[Version]) -> dict[str, list[Version]]:
    """The deleted versions of each digest, those with tags first, then the newest: GitHub restores only one of them."""
    found: dict[str, list[Version]] = {}
    for version in reversed(oldest_first(deleted, Timestamp.DELETED)):
        found.setdefault(version.name, []).append(version)
    return {digest: sorted(versions, key=lambda version: not version.tags) for digest, versions in found.items()}


def check_images(
    images: Iterable[Image],
    unreadable: Mapping[str, UnreadableManifest],
    deleted: Sequence[Version],
    present: frozenset[str],
) -> list[CheckedImage]:
    """Check images. `deleted` are the deleted versions, `present` digests that are there though no list shows them."""
    versions = by_digest(deleted)
    checked = []
    for image in images:
        broken = [unreadable[digest] for digest in sorted(image.digests) if digest in unreadable]
        missing = tuple(
            MissingPart(digest=digest, versions=tuple(versions.get(digest, ())))
            for digest in image.missing
            if digest not in present
        )
        why = "; ".join(f"{each.digest[:19]}: {each.why}" for each in broken)
        checked.append(CheckedImage(root=image.root, missing=missing, unreadable=why))
    return checked
