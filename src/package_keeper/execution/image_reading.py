"""Reads as few manifests as is safe: every GET counts as a download (docs/github-behaviour.md, "Registry").

The order is that of docs/decisions/0008:

1. When nothing is selected, nothing is read.
2. The selected tagged versions are read.
3. When none of these is an index, and every version has an image tag or is a signature that stays, HEAD requests find
   out which of the other versions are indexes. That downloads nothing. The indexes are read: they may list a selected
   version.
4. Otherwise the tagged versions that stay are read, then the untagged ones that stay and are not known as parts, then
   the untagged candidates, for their children and their subject.

Children that are indexes are read at once. A child whose descriptor shows an image manifest for a platform is never
read.

Clients push an index right after its children. So of untagged versions that were pushed together, the last is read
first: it may list the others. If it is not an index, the registry is asked which of the others are indexes.
"""

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from datetime import timedelta

from package_keeper.execution.ports import ManifestReader
from package_keeper.model.manifest import Descriptor, Manifest, UnreadableManifest
from package_keeper.model.packages import REFERRER_TAG, PackageName, Timestamp, Version, age_order

ROUND = 64
"""The most manifests of one round: enough to keep all connections busy, few enough to save requests later."""

FIRST_ROUND = 4
"""How many pushes the first round reads. It shows whether their last versions are indexes. Later rounds are larger."""

TOGETHER = timedelta(seconds=10)
"""Versions created within this time of each other count as one push."""


class Manifests:
    """The manifests of one package. None is read twice."""

    def __init__(
        self,
        package: PackageName,
        versions: Sequence[Version],
        reader: ManifestReader,
        seen: Iterable[Manifest] = (),
    ) -> None:
        """`seen` are manifests that were read before. Their descriptors stay valid, since a digest never changes."""
        self._package = package
        self._reader = reader
        self._active = {version.name for version in versions}
        self._descriptors: dict[str, list[Descriptor]] = {}
        for manifest in seen:
            self._add_descriptors(manifest)
        self.read: dict[str, Manifest] = {}
        self.unreadable: dict[str, UnreadableManifest] = {}

    def take(self, digests: Iterable[str]) -> None:
        """Read manifests that were not read yet, and all nested indexes below them."""
        wanted = self._new(digests)
        while wanted:
            below: list[Descriptor] = []
            for digest, found in self._reader.read(self._package, wanted).items():
                if isinstance(found, UnreadableManifest):
                    self.unreadable[digest] = found
                else:
                    self.read[digest] = found
                    self._add_descriptors(found)
                    below += found.children
            wanted = self._new(child.digest for child in below if child.is_index and child.digest in self._active)

    def _add_descriptors(self, manifest: Manifest) -> None:
        for child in manifest.children:
            self._descriptors.setdefault(child.digest, []).append(child)

    def take_indexes(self, digests: Iterable[str]) -> None:
        """Ask which digests are indexes, and read those that are or may be."""
        asked = self._new(digests)
        kinds = self._reader.are_indexes(self._package, asked)
        self.take(digest for digest in asked if kinds[digest] is not False)

    def take_unknown(self, versions: Iterable[Version]) -> None:
        """Read versions that are not known as parts: the newest push first, and the last version of each push first.

        Then read the rest of each push. Once an image of the package turns out to have parts, ask first which versions
        are indexes. When the last version of a push turns out to be a part, drop this order for the remaining pushes.
        """
        by_digest = {version.name: version for version in versions}
        self.take(self._reader.at_hand(self._package, self._unknown(by_digest)))
        pushes = _pushes(by_digest[digest] for digest in self._unknown(by_digest))
        size, last = FIRST_ROUND, list[str]()
        while pushes and not any(map(self.is_known_part, last)):
            now, pushes = pushes[:size], pushes[size:]
            last = [unknown[0] for push in now if (unknown := self._unknown(push))]
            self.take(last)
            self._take_rest(now)
            size = _larger(size)
        self._take_rest(pushes)

    def _take_rest(self, pushes: Iterable[Iterable[str]]) -> None:
        """Read the digests that are still unknown. If images of the package have parts, ask first which are indexes."""
        rest = self._unknown(digest for push in pushes for digest in push)
        size = FIRST_ROUND
        while rest and not self._has_seen_parts():
            self.take(rest[:size])
            rest, size = self._unknown(rest), _larger(size)
        self.take_indexes(rest)
        self.take(self._unknown(rest))

    def _has_seen_parts(self) -> bool:
        return any(child.is_plain for several in self._descriptors.values() for child in several)

    def _unknown(self, digests: Iterable[str]) -> list[str]:
        """Return the digests that are neither read nor known as parts."""
        return [digest for digest in self._new(digests) if not self.is_known_part(digest)]

    def is_known_part(self, digest: str) -> bool:
        """Whether an index that was read describes `digest` as an image manifest for a platform.

        A child without a platform may be a referrer of an image that stays: a fallback index lists referrers that way.
        Then only its own manifest says what it is.
        """
        return any(child.is_plain for child in self._descriptors.get(digest, ()))

    def _new(self, digests: Iterable[str]) -> list[str]:
        return [
            digest for digest in dict.fromkeys(digests) if digest not in self.read and digest not in self.unreadable
        ]


def read_for_deletion(
    manifests: Manifests, versions: Sequence[Version], candidates: set[int], parts: AbstractSet[int] = frozenset()
) -> None:
    """Read what must be known before deleting any of `candidates`, or of `parts`, whose images are deleted already."""
    if not candidates and parts.isdisjoint(version.id for version in versions):
        return
    tagged, signatures, others = _by_kind(versions)
    manifests.take(version.name for version in tagged if version.id in candidates)
    all_signatures_stay = candidates.isdisjoint(version.id for version in signatures)
    has_index = any(manifest.children for manifest in manifests.read.values())
    names = [version.name for version in signatures]
    all_tagged = [version.name for version in tagged]
    if not others and all_signatures_stay and not has_index:
        manifests.take_indexes(all_tagged + names)
        return
    manifests.take(all_tagged)
    # the tag of a signature names its subject; it is hardly ever an index, and asking for that downloads nothing
    manifests.take_indexes(names)
    going = candidates | parts
    manifests.take_unknown(version for version in others if version.id not in going)
    # a part of a deleted image may refer to an image that was pushed again since
    manifests.take_unknown(others)


def _by_kind(versions: Iterable[Version]) -> tuple[list[Version], list[Version], list[Version]]:
    """Split versions: those with image tags, those with signature tags only, and all others."""
    tagged: list[Version] = []
    signatures: list[Version] = []
    others: list[Version] = []
    for version in versions:
        if version.image_tags:
            tagged.append(version)
        elif _is_signature(version):
            signatures.append(version)
        else:
            others.append(version)
    return tagged, signatures, others


def _is_signature(version: Version) -> bool:
    """Whether all tags are those of cosign. Such a tag names the subject, and means a plain manifest."""
    found = [REFERRER_TAG.fullmatch(tag) for tag in version.tags]
    return bool(found) and all(match is not None and match[2] for match in found)


def _pushes(versions: Iterable[Version]) -> list[list[str]]:
    """Group the digests by push: the newest push first, and the last version of each push first."""
    pushes: list[list[str]] = []
    later: Version | None = None
    for version in sorted(versions, key=lambda version: age_order(version, Timestamp.CREATED), reverse=True):
        if later is None or not _is_together(version, later):
            pushes.append([])
        pushes[-1].append(version.name)
        later = version
    return pushes


def _larger(size: int) -> int:
    return min(4 * size, ROUND)


def _is_together(version: Version, later: Version) -> bool:
    if version.created_at is None or later.created_at is None:
        return version.created_at is later.created_at
    return later.created_at - version.created_at <= TOGETHER
