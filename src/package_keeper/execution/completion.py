"""Making restored images whole: round by round, until nothing is missing that can be restored."""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime

from package_keeper.errors import ApiError, PackageKeeperError
from package_keeper.execution.batches import WriteOperation
from package_keeper.execution.executor import Executor
from package_keeper.execution.image_reading import ManifestReader
from package_keeper.execution.images import OBSTACLE_KINDS
from package_keeper.execution.ports import Log, Looks, Pause, Reader
from package_keeper.execution.restorations import still_active
from package_keeper.execution.run import Run, add_writes
from package_keeper.model.images import MissingPart, VerifiedImage, by_digest, tagged_subjects
from package_keeper.model.manifest import Manifest, Obstacle, UnreadableManifest
from package_keeper.model.packages import REFERRER_TAG, PackageName, Timestamp, Version, display_name, oldest_first
from package_keeper.model.words import Action, Outcome, Reason
from package_keeper.policy.planning import Plan, PlannedWrite, WriteKind, WriteRecord

READABLE_AFTER = (1.0, 3.0)
"""Seconds to wait before a restored manifest that cannot be read is asked for again."""

ROUND = 64
"""Manifests of one round: what an index shows to be plain is not read after it."""

MANY = 10
"""So many images that lack parts are named, and of each so many parts; then how many there are."""


def plan_repair(checked: Iterable[VerifiedImage], in_use: Mapping[PackageName, set[str]]) -> list[PlannedWrite]:
    """Plan to restore every missing part that can be; a part that several images need comes back once.

    `in_use` are the tags that active versions carry: a part that had one of them would take it away.
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
    """Of several deleted versions of one digest the first that takes no tag away."""
    return next((each for each in versions if tags_in_use.isdisjoint(each.image_tags)), versions[0])


def _restoration(version: Version, reason: Reason, *, root: str, tags_in_use: AbstractSet[str]) -> PlannedWrite:
    """The write that restores one version, unless a tag that it had is in use by now."""
    takes = not tags_in_use.isdisjoint(version.image_tags)
    return PlannedWrite(
        action=Action.RESTORE,
        reason=reason,
        package=version.package,
        version=version,
        version_id=version.id,
        version_name=version.name,
        tags=version.tags,
        root=root,
        refusal=Outcome.TAG_IN_USE if takes else None,
    )


def plan_stub_deletions(stubs: Iterable[Version]) -> Plan:
    """Plan to delete what was restored and is a stub."""
    return Plan.of_singles(
        PlannedWrite(
            action=Action.DELETE,
            reason=Reason.GHOST,
            package=stub.package,
            version=stub,
            version_id=stub.id,
            version_name=stub.name,
            tags=stub.tags,
        )
        for stub in stubs
    )


@dataclass(frozen=True, kw_only=True)
class Lack:
    """What a restored image lacks. `version_id` is the version that can bring it back, if any can, and `until` when.

    A pull does not need what is not `pulled`: signatures and the like.
    """

    digest: str
    version_id: int | None
    until: datetime | None
    pulled: bool


@dataclass(frozen=True, kw_only=True)
class Incomplete:
    """A restored image that is not whole. `unreadable` says why manifests of it cannot be read, if so."""

    root: str
    tags: tuple[str, ...]
    lacks: tuple[Lack, ...]
    unreadable: str


@dataclass(kw_only=True)
class ImageCompletion:
    """Makes the restored images of one container package whole, round by round, and tells which are not.

    A registry serves active versions only, so what an index needs is known after it was restored. Referrers by tag
    come back with what they refer to; those known by `subject` alone come back with a receipt. `deleted` are the
    deleted versions, if they were read before.
    """

    package: PackageName
    reader: Reader
    looks: Looks
    registry: ManifestReader
    pause: Pause
    deleted: Sequence[Version] | None
    _images: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """The tags of what is back, by digest: roots and parts alike."""
    _active: set[str] = field(default_factory=set)
    _gone: dict[str, list[Version]] = field(default_factory=dict)
    """What is needed and not active: the versions that can bring each digest back."""
    _tried: dict[int, Outcome] = field(default_factory=dict)
    _not_back: dict[str, WriteRecord] = field(default_factory=dict)
    _told: dict[str, dict[str, None]] = field(default_factory=dict)
    """The parts of each root, as far as writes name their root: referrers among them."""
    _manifests: dict[str, Manifest] = field(default_factory=dict)
    _unreadable: dict[str, UnreadableManifest] = field(default_factory=dict)
    _plain: set[str] = field(default_factory=set)
    """Parts that an index shows to be plain manifests, which need not be read."""
    _listed: list[Version] | None = None
    _restored: dict[str, Version] = field(default_factory=dict)
    _unproven: set[str] = field(default_factory=set)
    """Entries of an index that may be no manifests, and are not there."""
    _deleted_are_fresh: bool = False

    def note(self, records: Iterable[WriteRecord]) -> None:
        """Take in what became of restorations."""
        for record in records:
            write, outcome = record.write, record.outcome
            if write.package != self.package or write.kind is not WriteKind.VERSION or write.version_id is None:
                continue
            # a second version of the root's own digest is called a part of it, too
            if write.root is not None and write.root != write.version_name:
                self._told.setdefault(write.root, {})[write.version_name] = None
            if outcome in (Outcome.DONE, Outcome.ALREADY_ACTIVE):
                self.add(write.version_name, write.tags)
                if outcome is Outcome.DONE and write.version is not None:
                    self._restored[write.version_name] = write.version
            else:
                self._not_back[write.version_name] = record
            self._tried[write.version_id] = outcome

    def add(self, digest: str, tags: tuple[str, ...]) -> None:
        """Look after an active version, too."""
        self._images[digest] = tuple(dict.fromkeys((*self._images.get(digest, ()), *tags)))
        self._active.add(digest)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is back that could be looked after."""
        return not self._images

    @property
    def stubs(self) -> list[Version]:
        """What was restored and is a stub: those of earlier versions are known by their manifests only."""
        return [
            version
            for name, version in self._restored.items()
            if name in self._manifests and self._manifests[name].is_stub
        ]

    @property
    def unfinished(self) -> set[str]:
        """The images of which parts are left for the next run."""
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
        """What the images still need, as far as it can be restored. May raise `ApiError`."""
        if self.is_idle:
            return []
        if self.deleted is None:
            self._read_deleted()
        while True:
            while self._read_what_is_back():
                pass
            needed = [child.digest for manifest in self._manifests.values() for child in manifest.children]
            needed += [part for root, parts in self._told.items() if root in self._active for part in parts]
            known = self._active | self._gone.keys() | self._left_over | self._unproven
            unknown = [digest for digest in needed if digest not in known]
            if not unknown:
                if Outcome.NO_PERMISSION in self._tried.values():
                    # the Admin role is per package: nothing more is sent to it
                    return []
                parts = self._parts()
                return parts + self._referrers({write.version_name for write in parts})
            self._find(list(dict.fromkeys(unknown)))

    def _read_what_is_back(self) -> bool:
        """Read tagged images, then roots in rounds, newest first, then parts that may be indexes; whether any was."""
        indexes = [
            child.digest for manifest in self._manifests.values() for child in manifest.children if child.is_index
        ]
        waiting = [name for name in dict.fromkeys([*self._images, *indexes]) if name in self._active]
        waiting = self._unread(waiting)
        held = {part for root, parts in self._told.items() if root in self._active for part in parts}
        tagged = [name for name in waiting if _is_tagged(self._images.get(name, ()))]
        roots = [name for name in reversed(waiting) if name not in held]
        self._read(tagged)
        for names in (roots, waiting):
            for start in range(0, len(names), ROUND):
                self._read(self._unread(names[start : start + ROUND]))
        return bool(waiting)

    def _unread(self, digests: Iterable[str]) -> list[str]:
        return [
            digest
            for digest in digests
            if digest not in self._manifests and digest not in self._unreadable and digest not in self._plain
        ]

    def _read(self, digests: Sequence[str]) -> None:
        """Read what is active; a registry may take a moment to have again what was restored. May raise `ApiError`."""
        found = dict(self.registry.read(self.package, digests)) if digests else {}
        for seconds in READABLE_AFTER:
            late = [digest for digest, each in found.items() if _may_come(each)]
            if late:
                self.pause.sleep(seconds, f"{self.package}: what was restored cannot be read yet")
                found |= self.registry.read(self.package, late)
        for digest, each in found.items():
            if isinstance(each, UnreadableManifest):
                if (kind := OBSTACLE_KINDS.get(each.obstacle)) is not None:
                    raise ApiError(kind, f"{display_name(digest)} cannot be read: {each.why}")
                self._unreadable[digest] = each
            else:
                self._manifests[digest] = each
                self._plain.update(child.digest for child in each.children if child.is_plain)

    def _find(self, digests: Sequence[str]) -> None:
        """Find out which of what images need is active, and what can bring the rest back. May raise `ApiError`."""
        names = frozenset(digests)
        listed = [version for version in self._active_list() if version.name in names]
        there = still_active(self.package, listed, self.looks, names=names)
        self._active.update(version.name for version in there)
        gone = [digest for digest in digests if digest not in self._active]
        # a version that only a list that lags behind calls active can be restored, as one that is listed as deleted
        ids = {version.id for version in there}
        late = [version for version in listed if version.id not in ids]
        bringers = by_digest([*(self.deleted or ()), *late])
        if not self._deleted_are_fresh and not bringers.keys() >= set(gone):
            bringers = by_digest([*self._read_deleted(), *late])
        # an entry of an unknown media type is no proof that anything is missing
        unproven = {
            child.digest
            for manifest in self._manifests.values()
            for child in manifest.children
            if not child.is_manifest
        }
        for digest in gone:
            if digest not in bringers and digest in unproven:
                self._unproven.add(digest)
            # what was pushed just now may be in no list yet
            elif digest not in bringers and self.registry.exists(self.package, digest):
                self._active.add(digest)
            else:
                self._gone[digest] = bringers.get(digest, [])

    def _read_deleted(self) -> Sequence[Version]:
        self.deleted, self._deleted_are_fresh = self.reader.versions(self.package, deleted=True), True
        return self.deleted

    def _active_list(self) -> list[Version]:
        if self._listed is None:
            self._listed = self.reader.versions(self.package)
        return self._listed

    def _parts(self) -> list[PlannedWrite]:
        """What brings the needed digests back that are gone, one version for each."""
        roots = {part: root for root, parts in self._told.items() if root in self._active for part in parts}
        roots |= {child.digest: root for root, manifest in self._manifests.items() for child in manifest.children}
        found: dict[str, tuple[str, list[Version]]] = {}
        for digest, versions in self._gone.items():
            untried = [version for version in versions if version.id not in self._tried]
            if untried and digest not in self._active:
                found[digest] = (roots[digest], untried)
        tags = {tag for _, versions in found.values() for version in versions for tag in version.image_tags}
        taken = self._tags_in_use(tags)
        return [
            _restoration(_choose(versions, taken), Reason.PART_OF, root=root, tags_in_use=taken)
            for root, versions in found.values()
        ]

    def _referrers(self, planned: AbstractSet[str]) -> list[PlannedWrite]:
        """The newest deleted referrers, by their tags, of what is back; those `planned` come back already."""
        found = [
            (version, subject)
            for version in reversed(oldest_first(self.deleted or (), Timestamp.DELETED))
            for subject in tagged_subjects(version)[:1]
            if subject in self._images and version.id not in self._tried and version.name not in self._active
            if not version.image_tags and version.name not in planned
        ]
        if not found:
            return []
        names = frozenset(version.name for version, _ in found)
        there = still_active(self.package, self._active_list(), self.looks, names=names)
        self._active.update(version.name for version in there if version.name in names)
        taken = self._tags_in_use({tag for version, _ in found for tag in version.tags})
        writes = []
        for version, subject in found:
            if version.name not in self._active and taken.isdisjoint(version.tags):
                taken |= set(version.tags)
                writes.append(_restoration(version, Reason.PART_OF, root=subject, tags_in_use=frozenset()))
        return writes

    def _tags_in_use(self, tags: AbstractSet[str]) -> set[str]:
        """Those of the tags that something active carries."""
        if not tags:
            return set()
        there = still_active(self.package, self._active_list(), self.looks, tags=tags)
        found = {tag for version in there for tag in version.tags}
        return found.union(*self._images.values()).intersection(tags)

    def incomplete(self) -> list[Incomplete]:
        """The images that are not whole, as far as that is known by now; what time was too short for is none of it."""
        held = {
            child.digest
            for name, manifest in self._manifests.items()
            for child in manifest.children
            if child.digest != name
        }
        held |= {part for root, parts in self._told.items() if root in self._active for part in parts}
        found = [
            self._checked(root, tags) for root, tags in self._images.items() if root not in held or _is_tagged(tags)
        ]
        return [image for image in found if image.lacks or image.unreadable]

    def _checked(self, root: str, tags: tuple[str, ...]) -> Incomplete:
        missing: list[str] = []
        unreadable: list[str] = []
        children: set[str] = set()
        seen = {root}
        queue = deque([root])
        while queue:
            name = queue.popleft()
            if name in self._unreadable:
                unreadable.append(f"{display_name(name)}: {self._unreadable[name].why}")
            below = [child.digest for child in self._manifests[name].children] if name in self._manifests else []
            children.update(below)
            for digest in (*below, *self._told.get(name, ())):
                if digest in seen:
                    continue
                seen.add(digest)
                if digest in self._active:
                    queue.append(digest)
                elif self._is_missing(digest):
                    missing.append(digest)
        lacks = tuple(self._lack(digest, pulled=digest in children) for digest in missing)
        return Incomplete(root=root, tags=tags, lacks=lacks, unreadable="; ".join(unreadable))

    def _is_missing(self, digest: str) -> bool:
        record = self._not_back.get(digest)
        return digest in self._gone if record is None else not record.outcome.is_remaining

    def _lack(self, digest: str, *, pulled: bool) -> Lack:
        """What is missing, and which version can bring it back: one that was tried may be gone for good."""
        versions = self._gone.get(digest) or [version for version in self.deleted or () if version.name == digest]
        left = [version for version in versions if self._tried.get(version.id) is not Outcome.ALREADY_GONE]
        if left:
            until = MissingPart(digest=digest, versions=tuple(left)).restorable_until
            return Lack(digest=digest, version_id=left[0].id, until=until, pulled=pulled)
        record = self._not_back.get(digest)
        known = record is not None and record.outcome is not Outcome.ALREADY_GONE
        version_id = record.write.version_id if record is not None and known else None
        return Lack(digest=digest, version_id=version_id, until=None, pulled=pulled)


def tell_incomplete(package: PackageName, images: Sequence[Incomplete], log: Log) -> None:
    """Name the images that are not whole, with what they lack, and what can be done."""
    for image in images[:MANY]:
        name = f"{package} {display_name(image.root)}" + (f" [{', '.join(image.tags)}]" if image.tags else "")
        texts = [f"it lacks {_fate(image, lack)}" for lack in image.lacks[:MANY]]
        if len(image.lacks) > MANY:
            texts.append(f"it lacks {len(image.lacks) - MANY} more")
        if image.unreadable:
            texts.append(f"it cannot be read ({image.unreadable}), so what it needs is not known: try repair later")
        log.error(f"{name} is back, but it is not whole: {'; '.join(texts)}")
    if len(images) > MANY:
        log.error(f"{package}: {len(images) - MANY} more images are back, but not whole: verify names those with tags")


def _fate(image: Incomplete, lack: Lack) -> str:
    name = display_name(lack.digest)
    if lack.version_id is None:
        return f"{name}, which is not among the versions deleted in the last 30 days: push the image anew"
    when = "" if lack.until is None else f" until {lack.until:%Y-%m-%d %H:%M} UTC"
    if not lack.pulled:
        return f"{name}, which restore with version-ids: {lack.version_id} can bring back{when}"
    # without a tag an image is looked at only when it is named
    named = "" if _is_tagged(image.tags) else f" with keep-digests: {image.root}"
    return f"{name}, which repair{named} can bring back{when}"


def _may_come(found: Manifest | UnreadableManifest) -> bool:
    """Whether the registry answered that it has no such manifest, which may change in a moment."""
    return isinstance(found, UnreadableManifest) and found.obstacle is Obstacle.CONTENT


def _is_tagged(tags: Iterable[str]) -> bool:
    """Whether users can name it; the tags of referrers are none."""
    return any(not REFERRER_TAG.fullmatch(tag) for tag in tags)


@dataclass(frozen=True)
class Restoring:
    """The means of restoring, and of telling about it."""

    executor: Executor
    operation: WriteOperation
    log: Log


def complete_all(
    run: Run, completions: Iterable[ImageCompletion], means: Restoring, tags: Sequence[PlannedWrite] = ()
) -> None:
    """Restore what restored images still lack, and those that are to get one of `tags` back.

    Those that stay broken are told and counted. What ends the run early is kept in it.
    """
    records: dict[PackageName, list[WriteRecord]] = {}
    for record in run.records:
        records.setdefault(record.write.package, []).append(record)
    left = []
    for completion in completions:
        completion.note(records.get(completion.package, ()))
        try:
            if run.ended_by is None:
                _rounds(run, completion, means, [write for write in tags if write.package == completion.package])
            elif not completion.is_idle:
                left.append(str(completion.package))
        except PackageKeeperError as ended:
            left.append(str(completion.package))
            run.ended_by = ended
        _tell(run, completion, means.log)
    if left:
        names = ", ".join(left[:MANY]) + (f" and {len(left) - MANY} more" if len(left) > MANY else "")
        means.log.warning(
            f"{names}: images are restored whose parts were not looked for any more: repair restores them"
        )


def _tell(run: Run, completion: ImageCompletion, log: Log) -> None:
    if unfinished := completion.unfinished:
        log.warning(f"{completion.package}: {len(unfinished)} restored images still lack parts: repair restores them")
    broken = completion.incomplete()
    run.broken += len(broken)
    tell_incomplete(completion.package, broken, log)


def _rounds(run: Run, completion: ImageCompletion, means: Restoring, tags: Iterable[PlannedWrite]) -> None:
    try:
        _look_after_more(run, completion, tags)
        while writes := completion.next_round():
            known = len(run.records)
            add_writes(run, writes, means.executor, means.operation)
            completion.note(run.records[known:])
            if run.ended_by is not None:
                raise run.ended_by
    except ApiError as refused:
        run.fail(f"the parts of images in {completion.package}", refused)


def _look_after_more(run: Run, completion: ImageCompletion, tags: Iterable[PlannedWrite]) -> None:
    """The images that came back with their package, and those that are to get a tag back, are to be whole too."""
    package = completion.package
    back = (Outcome.DONE, Outcome.ALREADY_ACTIVE)
    if any(
        record.write.kind is WriteKind.PACKAGE and record.write.package == package and record.outcome in back
        for record in run.records
    ):
        for version in completion.reader.versions(package):
            completion.add(version.name, version.tags)
    named = {write.version_id or 0: write for write in tags}
    for version_id in completion.looks.active(package, named) if named else ():
        completion.add(named[version_id].version_name, named[version_id].tags)
