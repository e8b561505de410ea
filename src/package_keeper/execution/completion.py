"""Completes restored images: finds the parts that they still lack, round by round.

A registry serves active versions only. So the parts of an index are known only after the index was restored.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime

from msgspec import Struct, field

from package_keeper.errors import ApiError
from package_keeper.execution.images import OBSTACLE_KINDS
from package_keeper.execution.ports import Log, ManifestReader, Pause, Reader
from package_keeper.execution.restorations import active_ids, still_active
from package_keeper.model.images import MissingPart, VerifiedImage, by_digest, tagged_subjects
from package_keeper.model.manifest import Descriptor, Manifest, Obstacle, UnreadableManifest
from package_keeper.model.packages import REFERRER_TAG, PackageName, Timestamp, Version, display_name, oldest_first
from package_keeper.model.plan import Action, Outcome, Plan, PlannedWrite, Reason, WriteRecord

READABLE_AFTER = (1.0, 3.0)
"""Seconds to wait before each new try to read a restored manifest."""

ROUND = 64
"""How many manifests are read in one round. A manifest that an index describes as plain is not read later."""

BROKEN_SHOWN = 10
"""How many broken images the log names, and how many missing parts of each."""


def plan_repair(checked: Iterable[VerifiedImage], in_use: Mapping[PackageName, set[str]]) -> list[PlannedWrite]:
    """Plan to restore every missing part that can be restored, each part once.

    `in_use` are the tags of active versions. Restoring a part that had one of them would move the tag.
    """
    writes: dict[str, PlannedWrite] = {}
    for image in checked:
        taken = in_use.get(image.root.package, set())
        for part in image.missing:
            if part.versions and part.digest not in writes:
                version = _choose(part.versions, taken)
                writes[part.digest] = _restoration(version, Reason.NEEDED_BY, root=image.root.name, tags_in_use=taken)
    return list(writes.values())


def _choose(versions: Sequence[Version], tags_in_use: AbstractSet[str]) -> Version:
    """Choose the first of several deleted versions of one digest that moves no tag that is in use."""
    return next((each for each in versions if tags_in_use.isdisjoint(each.image_tags)), versions[0])


def _restoration(version: Version, reason: Reason, *, root: str, tags_in_use: AbstractSet[str]) -> PlannedWrite:
    """The write that restores one version. It is not sent when a tag that the version had is in use."""
    expected = None if tags_in_use.isdisjoint(version.image_tags) else Outcome.TAG_IN_USE
    return PlannedWrite.of(version, Action.RESTORE, reason, root=root, expected=expected)


def plan_stub_deletions(stubs: Iterable[Version]) -> Plan:
    """Plan to delete restored stubs."""
    return Plan.of_singles(PlannedWrite.of(stub, Action.DELETE, Reason.GHOST) for stub in stubs)


class Lack(Struct, frozen=True, kw_only=True):
    """A part that a restored image lacks. `version_id` is the version that can restore it, if any, and `until` when.

    Parts that are not `pulled`, such as signatures, are not needed for a pull.
    """

    digest: str
    version_id: int | None
    until: datetime | None
    pulled: bool


class Incomplete(Struct, frozen=True, kw_only=True):
    """A restored image that is not whole. `unreadable` says why its manifests cannot be read, or is empty."""

    root: str
    tags: tuple[str, ...]
    lacks: tuple[Lack, ...]
    unreadable: str


class _Manifests(Struct, kw_only=True):
    """The manifests of restored versions. Each is read only once, and only when it is needed."""

    package: PackageName
    registry: ManifestReader
    pause: Pause
    found: dict[str, Manifest] = field(default_factory=dict)
    unreadable: dict[str, UnreadableManifest] = field(default_factory=dict)
    _plain: set[str] = field(default_factory=set)
    """Parts that an index describes as plain manifests. They need not be read."""

    def children(self) -> Iterator[Descriptor]:
        """All entries of all indexes that were read."""
        return (child for manifest in self.found.values() for child in manifest.children)

    def children_of(self, digest: str) -> list[str]:
        """The entries of one index, or none if it was not read."""
        manifest = self.found.get(digest)
        return [child.digest for child in manifest.children] if manifest is not None else []

    def unproven(self) -> set[str]:
        """The entries of an unknown media type. They do not prove that a manifest is missing."""
        return {child.digest for child in self.children() if not child.is_manifest}

    def unread(self, digests: Iterable[str]) -> list[str]:
        """Return the digests that are still to be read."""
        known = self.found.keys() | self.unreadable.keys() | self._plain
        return [digest for digest in digests if digest not in known]

    def read_in_rounds(self, digests: Sequence[str]) -> None:
        """Read manifests in rounds: an index shows which others need not be read. Raises `ApiError`."""
        for start in range(0, len(digests), ROUND):
            self.read(self.unread(digests[start : start + ROUND]))

    def read(self, digests: Sequence[str]) -> None:
        """Read manifests. Raises `ApiError`."""
        for digest, found in self._fetch(digests).items():
            if not isinstance(found, UnreadableManifest):
                self.found[digest] = found
                self._plain.update(child.digest for child in found.children if child.is_plain)
            elif (kind := OBSTACLE_KINDS.get(found.obstacle)) is not None:
                raise ApiError(kind, f"{display_name(digest)} cannot be read: {found.why}")
            else:
                self.unreadable[digest] = found

    def _fetch(self, digests: Sequence[str]) -> Mapping[str, Manifest | UnreadableManifest]:
        """Ask the registry. Try again after a moment, since it may not serve restored manifests at once."""
        found = dict(self.registry.read(self.package, digests)) if digests else {}
        for seconds in READABLE_AFTER:
            missing = [digest for digest, each in found.items() if _may_appear(each)]
            if missing:
                self.pause.sleep(seconds, f"{self.package}: what was restored cannot be read yet")
                found |= self.registry.read(self.package, missing)
        return found


class ImageCompletion:
    """Completes the restored images of one container package, round by round, and reports those that are not whole.

    Referrers that are known by their tag are restored with their subject. Referrers that are known only by their
    `subject` field are restored only if a receipt names them. `deleted` are the deleted versions, if they were read.
    """

    def __init__(
        self,
        *,
        package: PackageName,
        reader: Reader,
        registry: ManifestReader,
        pause: Pause,
        deleted: Sequence[Version] | None,
    ) -> None:
        self.package = package
        self.reader = reader
        self._registry = registry
        self._manifests = _Manifests(package=package, registry=registry, pause=pause)
        self._deleted = deleted or ()
        self._deleted_are_fresh = False
        self._listed: list[Version] | None = None
        self._images: dict[str, tuple[str, ...]] = {}
        """The tags of restored versions, by digest: roots and parts."""
        self._active: set[str] = set()
        self._gone: dict[str, list[Version]] = {}
        """The digests that are needed and not active, each with the deleted versions that can restore it."""
        self._unproven: set[str] = set()
        """Entries of an index that are missing, and that may not be manifests."""
        self._told: dict[str, dict[str, None]] = {}
        """The parts of each root that writes name, referrers included."""
        self._restored: dict[str, Version] = {}
        self._tried: dict[int, Outcome] = {}
        self._not_back: dict[str, WriteRecord] = {}

    def note(self, records: Iterable[WriteRecord]) -> None:
        """Add the records of restorations."""
        for record in records:
            write = record.write
            if write.package != self.package or write.version_id is None or write.tag is not None:
                continue
            # a second version with the digest of the root names the root too
            if write.root is not None and write.root != write.version_name:
                self._told.setdefault(write.root, {})[write.version_name] = None
            self._tried[write.version_id] = record.outcome
            if not record.is_back:
                self._not_back[write.version_name] = record
                continue
            self.add(write.version_name, write.tags)
            if record.is_done and write.version is not None:
                self._restored[write.version_name] = write.version

    def add(self, digest: str, tags: tuple[str, ...]) -> None:
        """Complete the image of an active version too."""
        self._images[digest] = tuple(dict.fromkeys((*self._images.get(digest, ()), *tags)))
        self._active.add(digest)

    def add_active(self, writes: Iterable[PlannedWrite]) -> None:
        """Complete the active images that `writes` give tags back to. Raises `ApiError`."""
        named = {write.version_id: write for write in writes if write.version_id is not None}
        for version_id in sorted(active_ids(dict.fromkeys(named, self.package), self.reader)):
            self.add(named[version_id].version_name, named[version_id].tags)

    @property
    def is_idle(self) -> bool:
        """Whether there is no restored image to complete."""
        return not self._images

    @property
    def stubs(self) -> list[Version]:
        """The restored versions that are stubs, as their manifests show."""
        found = self._manifests.found
        return [version for name, version in self._restored.items() if name in found and found[name].is_stub]

    @property
    def unfinished(self) -> set[str]:
        """The images with parts that are left for the next run."""
        roots = {self._not_back[digest].write.root for digest in self._left_over}
        return {root for root in roots if root in self._images}

    @property
    def _left_over(self) -> set[str]:
        return {
            digest
            for digest, record in self._not_back.items()
            if record.outcome.is_remaining and digest not in self._active
        }

    def next_round(self) -> list[PlannedWrite]:
        """Return the writes that restore what the images still need. Raises `ApiError`."""
        if self.is_idle:
            return []
        if not self._deleted and not self._deleted_are_fresh:
            self._read_deleted()
        self._read_what_is_back()
        while unknown := self._unknown():
            self._find(unknown)
            self._read_what_is_back()
        if Outcome.NO_PERMISSION in self._tried.values():
            # the Admin role is per package, so nothing more is sent to this one
            return []
        parts = self._parts()
        return parts + self._referrers({write.version_name for write in parts})

    def _unknown(self) -> list[str]:
        """The digests that images need and that may be active or not."""
        needed = [child.digest for child in self._manifests.children()]
        needed += [part for parts in self._told_of_active() for part in parts]
        known = self._active | self._gone.keys() | self._left_over | self._unproven
        return [digest for digest in dict.fromkeys(needed) if digest not in known]

    def _told_of_active(self) -> list[dict[str, None]]:
        return [parts for root, parts in self._told.items() if root in self._active]

    def _read_what_is_back(self) -> None:
        """Read tagged images, then roots, newest first, then parts that may be indexes, until all are read."""
        while waiting := self._unread():
            held = {part for parts in self._told_of_active() for part in parts}
            self._manifests.read([name for name in waiting if _is_tagged(self._images.get(name, ()))])
            self._manifests.read_in_rounds([name for name in reversed(waiting) if name not in held])
            self._manifests.read_in_rounds(waiting)

    def _unread(self) -> list[str]:
        """The active images and indexes that are still to be read."""
        indexes = [child.digest for child in self._manifests.children() if child.is_index]
        names = dict.fromkeys([*self._images, *indexes])
        return self._manifests.unread(name for name in names if name in self._active)

    def _find(self, digests: Sequence[str]) -> None:
        """Find out which digests are active, and which versions can restore the others. Raises `ApiError`."""
        names = frozenset(digests)
        listed = [version for version in self._active_list() if version.name in names]
        there = still_active(listed, self.reader, names=names)
        self._active.update(version.name for version in there)
        gone = [digest for digest in digests if digest not in self._active]
        restorable = self._restorable(gone, listed)
        unproven = self._manifests.unproven()
        for digest in gone:
            if digest in restorable:
                self._gone[digest] = restorable[digest]
            elif digest in unproven:
                self._unproven.add(digest)
            elif self._registry.exists(self.package, digest):
                # a manifest that was pushed just now may not be listed yet
                self._active.add(digest)
            else:
                self._gone[digest] = []

    def _restorable(self, digests: Sequence[str], listed: Sequence[Version]) -> dict[str, list[Version]]:
        """The deleted versions of each digest.

        Those that an outdated list shows as active can be restored too. `listed` are the versions on that list.
        """
        restorable = by_digest([*self._deleted, *listed])
        if not self._deleted_are_fresh and not restorable.keys() >= set(digests):
            self._read_deleted()
            restorable = by_digest([*self._deleted, *listed])
        return restorable

    def _read_deleted(self) -> None:
        self._deleted, self._deleted_are_fresh = self.reader.versions(self.package, deleted=True), True

    def _active_list(self) -> list[Version]:
        if self._listed is None:
            self._listed = self.reader.versions(self.package)
        return self._listed

    def _parts(self) -> list[PlannedWrite]:
        """The writes that restore missing digests, one version for each."""
        roots = {part: root for root, parts in self._told.items() if root in self._active for part in parts}
        roots |= {child.digest: root for root, manifest in self._manifests.found.items() for child in manifest.children}
        untried = {
            digest: [version for version in versions if version.id not in self._tried]
            for digest, versions in self._gone.items()
            if digest not in self._active
        }
        tags = {tag for versions in untried.values() for version in versions for tag in version.image_tags}
        taken = self._tags_in_use(tags)
        return [
            _restoration(_choose(versions, taken), Reason.PART_OF, root=roots[digest], tags_in_use=taken)
            for digest, versions in untried.items()
            if versions
        ]

    def _referrers(self, planned: AbstractSet[str]) -> list[PlannedWrite]:
        """The writes that restore the newest deleted referrers of restored images. `planned` digests are left out."""
        found = [
            (version, subject)
            for version in reversed(oldest_first(self._deleted, Timestamp.DELETED))
            for subject in tagged_subjects(version)
            if subject in self._images and self._may_come_back(version, planned)
        ]
        if not found:
            return []
        names = frozenset(version.name for version, _ in found)
        there = still_active(self._active_list(), self.reader, names=names)
        self._active.update(version.name for version in there if version.name in names)
        taken = self._tags_in_use({tag for version, _ in found for tag in version.tags})
        writes = []
        for version, subject in found:
            if version.name not in self._active and taken.isdisjoint(version.tags):
                taken |= set(version.tags)
                writes.append(_restoration(version, Reason.PART_OF, root=subject, tags_in_use=frozenset()))
        return writes

    def _may_come_back(self, version: Version, planned: AbstractSet[str]) -> bool:
        """Whether a deleted version has only referrer tags, and is neither tried nor planned."""
        return not (version.id in self._tried or version.name in planned or version.image_tags)

    def _tags_in_use(self, tags: AbstractSet[str]) -> set[str]:
        """Return the tags that an active version has."""
        if not tags:
            return set()
        there = still_active(self._active_list(), self.reader, tags=tags)
        found = {tag for version in there for tag in version.tags}
        return found.union(*self._images.values()).intersection(tags)

    def incomplete(self) -> list[Incomplete]:
        """Return the images that are not whole. Parts that are left for the next run do not count."""
        held = {
            child.digest
            for name, manifest in self._manifests.found.items()
            for child in manifest.children
            if child.digest != name
        }
        held |= {part for parts in self._told_of_active() for part in parts}
        found = [
            self._verify(root, tags) for root, tags in self._images.items() if root not in held or _is_tagged(tags)
        ]
        return [image for image in found if image.lacks or image.unreadable]

    def _verify(self, root: str, tags: tuple[str, ...]) -> Incomplete:
        """Find out what one image lacks."""
        missing: list[str] = []
        unreadable: list[str] = []
        children: set[str] = set()
        seen = {root}
        queue = deque([root])
        while queue:
            name = queue.popleft()
            if name in self._manifests.unreadable:
                unreadable.append(f"{display_name(name)}: {self._manifests.unreadable[name].why}")
            below = self._manifests.children_of(name)
            children.update(below)
            new = [digest for digest in dict.fromkeys((*below, *self._told.get(name, ()))) if digest not in seen]
            seen.update(new)
            queue.extend(digest for digest in new if digest in self._active)
            missing += [digest for digest in new if digest not in self._active and self._is_missing(digest)]
        lacks = tuple(self._lack(digest, pulled=digest in children) for digest in missing)
        return Incomplete(root=root, tags=tags, lacks=lacks, unreadable="; ".join(unreadable))

    def _is_missing(self, digest: str) -> bool:
        record = self._not_back.get(digest)
        return digest in self._gone if record is None else not record.outcome.is_remaining

    def _lack(self, digest: str, *, pulled: bool) -> Lack:
        """A missing part, and which version can restore it. A version that was tried may be gone for good."""
        versions = self._gone.get(digest) or [version for version in self._deleted if version.name == digest]
        left = [version for version in versions if self._tried.get(version.id) is not Outcome.ALREADY_GONE]
        if left:
            until = MissingPart(digest=digest, versions=tuple(left)).restorable_until
            return Lack(digest=digest, version_id=left[0].id, until=until, pulled=pulled)
        record = self._not_back.get(digest)
        version_id = None if record is None or record.outcome is Outcome.ALREADY_GONE else record.write.version_id
        return Lack(digest=digest, version_id=version_id, until=None, pulled=pulled)


def tell_incomplete(package: PackageName, images: Sequence[Incomplete], log: Log) -> None:
    """Log the images that are not whole, what they lack, and what to do."""
    for image in images[:BROKEN_SHOWN]:
        name = f"{package} {display_name(image.root)}" + (f" [{', '.join(image.tags)}]" if image.tags else "")
        texts = [f"it lacks {_fate(image, lack)}" for lack in image.lacks[:BROKEN_SHOWN]]
        if len(image.lacks) > BROKEN_SHOWN:
            texts.append(f"it lacks {len(image.lacks) - BROKEN_SHOWN} more")
        if image.unreadable:
            texts.append(f"it cannot be read ({image.unreadable}), so what it needs is not known: try repair later")
        log.error(f"{name} is back, but it is not whole: {'; '.join(texts)}")
    if more := len(images[BROKEN_SHOWN:]):
        log.error(f"{package}: {more} more images are back, but not whole: verify names those with tags")


def _fate(image: Incomplete, lack: Lack) -> str:
    name = display_name(lack.digest)
    if lack.version_id is None:
        return f"{name}, which is not among the versions deleted in the last 30 days: push the image anew"
    when = "" if lack.until is None else f" until {lack.until:%Y-%m-%d %H:%M} UTC"
    if not lack.pulled:
        return f"{name}, which restore with version-ids: {lack.version_id} can bring back{when}"
    # repair looks at an untagged image only when it is named
    named = "" if _is_tagged(image.tags) else f" with keep-digests: {image.root}"
    return f"{name}, which repair{named} can bring back{when}"


def _may_appear(found: Manifest | UnreadableManifest) -> bool:
    """Whether the registry has no such manifest. That may change in a moment."""
    return isinstance(found, UnreadableManifest) and found.obstacle is Obstacle.CONTENT


def _is_tagged(tags: Iterable[str]) -> bool:
    """Whether a tag is one that users gave. Tags of referrers do not count."""
    return any(not REFERRER_TAG.fullmatch(tag) for tag in tags)
