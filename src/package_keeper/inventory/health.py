"""The health of images: what is missing, and until when it can be restored."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from package_keeper.inventory.image import Image
from package_keeper.inventory.manifest import UnreadableManifest
from package_keeper.inventory.version import Timestamp, Version, age_order

RESTORABLE_FOR = timedelta(days=30)
"""How long a deleted version can be restored (docs/github-behaviour.md, "Endpoints")."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingPart:
    """A digest that an image needs and that is gone; `deleted` is the deleted version that can bring it back."""

    digest: str
    deleted: Version | None = None

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


def check_images(
    images: Iterable[Image],
    unreadable: Mapping[str, UnreadableManifest],
    deleted: Sequence[Version],
    present: frozenset[str],
) -> list[CheckedImage]:
    """Check images. `deleted` are the deleted versions, `present` digests that are there though no list shows them."""
    newest: dict[str, Version] = {}
    for version in sorted(deleted, key=lambda version: age_order(version, Timestamp.DELETED)):
        newest[version.name] = version
    checked = []
    for image in images:
        broken = [unreadable[digest] for digest in sorted(image.digests) if digest in unreadable]
        missing = tuple(
            MissingPart(digest=digest, deleted=newest.get(digest)) for digest in image.missing if digest not in present
        )
        why = "; ".join(f"{each.digest[:19]}: {each.why}" for each in broken)
        checked.append(CheckedImage(root=image.root, missing=missing, unreadable=why))
    return checked
