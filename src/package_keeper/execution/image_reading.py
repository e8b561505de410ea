"""Reading as few manifests as safety allows: every GET counts as a download (docs/github-behaviour.md, "Registry").

In this order: nothing selected, nothing read. The selected tagged roots. If none is an index and no version without
an image tag exists, the kept tagged versions are only asked whether they are indexes, which downloads nothing; an
index may hold a tagged version (docs/decisions/0008). Otherwise the kept tagged versions, then every kept untagged
one that is not yet known as a part, then the remaining candidates, for their children and their subject. Children
that are indexes are read as they appear; what a descriptor shows to be a plain image manifest never is.

An index is pushed right after its children. So of untagged versions that were pushed together the last one is read
first: it tells what the others are. Where it was not the index, the registry is asked which of the others are.
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import timedelta
from typing import Protocol

from package_keeper.model.manifest import Descriptor, Manifest, UnreadableManifest
from package_keeper.model.packages import REFERRER_TAG, PackageName, Timestamp, Version, age_order

ROUND = 64
"""Manifests of one round: many enough to keep the connections busy, few enough to learn from."""

FIRST_ROUND = 4
"""Pushes of the first round, which shows whether the last of a push is its index. The next are larger."""

TOGETHER = timedelta(seconds=10)
"""Versions no further apart than this, one from the next, count as one push."""


class ManifestReader(Protocol):
    """Reads manifests of one owner's packages."""

    def read(self, package: PackageName, digests: Iterable[str]) -> Mapping[str, Manifest | UnreadableManifest]:
        """Read manifests."""
        ...

    def are_indexes(self, package: PackageName, digests: Iterable[str]) -> Mapping[str, bool | None]:
        """Ask which manifests are indexes, without downloading them; `None` is unknown."""
        ...

    def at_hand(self, package: PackageName, digests: Iterable[str]) -> Iterable[str]:
        """Those of the digests whose manifests can be read without a download: they were read before."""
        ...

    def exists(self, package: PackageName, digest: str) -> bool:
        """Whether the registry has a manifest; may raise `ApiError`."""
        ...


class Manifests:
    """The manifests of one package that have been read in this run; none is read twice."""

    def __init__(
        self,
        package: PackageName,
        versions: Sequence[Version],
        reader: ManifestReader,
        seen: Iterable[Manifest] = (),
    ) -> None:
        """`seen` are manifests that were read before: what they say of their children stays true."""
        self._package = package
        self._reader = reader
        self._active = {version.name for version in versions}
        self._descriptors: dict[str, list[Descriptor]] = {}
        for manifest in seen:
            for child in manifest.children:
                self._descriptors.setdefault(child.digest, []).append(child)
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
        """Read those that are not known as parts: the newest push first, and of each first what was pushed last.

        Where that is no index, and the package has some, the others of the push are asked what they are before they
        are read. When the last of a push was a part after all, no more is guessed.
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
        """Read what is still unknown of these; where the package has parts, ask first which are indexes."""
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
        """Those that are neither read nor known as parts."""
        return [digest for digest in self._new(digests) if not self.is_known_part(digest)]

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
    if not others and not selected_untagged and not any(manifest.children for manifest in manifests.read.values()):
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


def _pushes(versions: Iterable[Version]) -> list[list[str]]:
    """The digests that were pushed together, the newest push first, and in each first what was pushed last."""
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
