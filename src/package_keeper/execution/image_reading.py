"""Reading as few manifests as safety allows: every GET counts as a download (docs/github-behaviour.md, "Registry").

In this order: nothing selected, nothing read. The selected tagged roots. If none is an index and no version without
an image tag exists, the kept tagged versions are only asked whether they are indexes, which downloads nothing; an
index may hold a tagged version (docs/decisions/0008). Otherwise the kept tagged versions, then every kept untagged
one that is not yet known as a part, then the remaining candidates, for their children and their subject. Children
that are indexes are read as they appear; what a descriptor shows to be a plain image manifest never is.
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Protocol

from package_keeper.inventory.manifest import Descriptor, Manifest, UnreadableManifest
from package_keeper.inventory.package import PackageName
from package_keeper.inventory.version import REFERRER_TAG, Timestamp, Version, age_order

ROUND = 64
"""Manifests of one round: many enough to keep the connections busy, few enough to learn from."""


class ManifestReader(Protocol):
    """Reads manifests of one owner's packages."""

    def read(self, package: PackageName, digests: Iterable[str]) -> Mapping[str, Manifest | UnreadableManifest]:
        """Read manifests."""
        ...

    def are_indexes(self, package: PackageName, digests: Iterable[str]) -> Mapping[str, bool | None]:
        """Ask which manifests are indexes, without downloading them; `None` is unknown."""
        ...

    def exists(self, package: PackageName, digest: str) -> bool:
        """Whether the registry has a manifest; may raise `Refusal`."""
        ...


class Manifests:
    """The manifests of one package that have been read in this run; none is read twice."""

    def __init__(self, package: PackageName, versions: Sequence[Version], reader: ManifestReader) -> None:
        self._package = package
        self._reader = reader
        self._active = {version.name for version in versions}
        self._descriptors: dict[str, list[Descriptor]] = {}
        self.read: dict[str, Manifest] = {}
        self.unreadable: dict[str, UnreadableManifest] = {}

    def take(self, digests: Iterable[str]) -> None:
        """Read what is not read yet, and all nested indexes below it."""
        wanted = self._new(digests)
        while wanted:
            below: list[str] = []
            for digest, found in self._reader.read(self._package, wanted).items():
                if isinstance(found, UnreadableManifest):
                    self.unreadable[digest] = found
                    continue
                self.read[digest] = found
                for child in found.children:
                    self._descriptors.setdefault(child.digest, []).append(child)
                    if child.is_index:
                        below.append(child.digest)
            wanted = self._new(digest for digest in below if digest in self._active)

    def take_indexes(self, digests: Iterable[str]) -> None:
        """Read those that are, or may be, indexes."""
        asked = self._new(digests)
        if asked:
            kinds = self._reader.are_indexes(self._package, asked)
            self.take(digest for digest in asked if kinds.get(digest) is not False)

    def take_unknown(self, versions: Iterable[Version]) -> None:
        """Read those that are not known as parts, newest first in rounds: an index is pushed after its children."""
        waiting = sorted(versions, key=lambda version: age_order(version, Timestamp.CREATED))
        while waiting:
            taken: list[str] = []
            while waiting and len(taken) < ROUND:
                version = waiting.pop()
                if not self.is_known_part(version.name):
                    taken.append(version.name)
            self.take(taken)

    def is_known_part(self, digest: str) -> bool:
        """Whether an index that was read shows `digest` to be an image manifest for a platform.

        Without a platform it may refer to an image that stays (a fallback index lists referrers like that), which only
        its own manifest tells.
        """
        return any(child.is_plain for child in self._descriptors.get(digest, ()))

    def _new(self, digests: Iterable[str]) -> list[str]:
        return [
            digest for digest in dict.fromkeys(digests) if digest not in self.read and digest not in self.unreadable
        ]


def read_for_deletion(
    manifests: Manifests, versions: Sequence[Version], candidates: set[int], parts: AbstractSet[int] = frozenset()
) -> None:
    """Read what must be known before any of `candidates` may go, or any of `parts`: those of images that are gone."""
    if not candidates and not any(version.id in parts for version in versions):
        return
    tagged = [version for version in versions if version.image_tags]
    others = [version for version in versions if not version.image_tags and not _is_signature(version)]
    signatures = [version.name for version in versions if not version.image_tags and _is_signature(version)]
    manifests.take(version.name for version in tagged if version.id in candidates)
    kept_tagged = [version.name for version in tagged if version.id not in candidates]
    selected_untagged = any(version.id in candidates for version in versions if not version.image_tags)
    if not others and not selected_untagged and not any(manifest.is_index for manifest in manifests.read.values()):
        manifests.take_indexes([*kept_tagged, *signatures])
        return
    manifests.take(kept_tagged)
    # cosign's tags say what is referred to; that they name an index is unusual, and a question costs no download
    manifests.take_indexes(signatures)
    manifests.take_unknown(version for version in others if version.id not in candidates and version.id not in parts)
    # a part of an image that is gone may refer to one that has been pushed anew since
    manifests.take_unknown(version for version in others if version.id in candidates or version.id in parts)


def read_tagged(manifests: Manifests, versions: Iterable[Version], digests: Iterable[str] = ()) -> None:
    """Read all tagged images, and those named by digest, down to their last index."""
    named = set(digests)
    manifests.take(version.name for version in versions if version.image_tags or version.name in named)


def _is_signature(version: Version) -> bool:
    """Whether cosign's tags say all there is to know: a plain manifest, and what it refers to."""
    found = [REFERRER_TAG.fullmatch(tag) for tag in version.tags]
    return bool(found) and all(match is not None and match[2] for match in found)
