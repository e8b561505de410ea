"""Compares a saved plan with what is there now: what of it may still be written.

Nothing is ever added. A write whose version has changed gets the outcome `changed-since-plan` beforehand, so that it is
not sent, and takes along what belongs to that version. What a keep list names by now is left out of the plan.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence

from msgspec import Struct, field
from msgspec.structs import replace

from package_keeper.model.images import independent_images
from package_keeper.model.packages import PackageName, Version
from package_keeper.model.plan import Action, Decision, Outcome, Plan, PlannedWrite, Reason, WriteKind
from package_keeper.model.run import PackageEvaluation
from package_keeper.policy.planning import ActiveNames, holders_of
from package_keeper.policy.retention import KeepLists
from package_keeper.policy.rules import Rule, Rules
from package_keeper.policy.selection import Age, Selection

SavedGroups = Sequence[Sequence[PlannedWrite]]
"""The writes of a saved plan, image by image."""

_LISTED = frozenset(
    {
        Reason.KEEP_TAGS,
        Reason.KEEP_VERSIONS,
        Reason.KEEP_DIGESTS,
        Reason.KEEP_USED_IN,
        Reason.KEEP_DEPLOYED,
        Reason.KEEP_RELEASED,
        Reason.UNKNOWN_USE,
    }
)


def is_unchanged(saved: Version, now: Version) -> bool:
    """Whether a version still has the tags and the time of its last update that the plan saw."""
    return (
        saved.name == now.name
        and set(saved.tags) == set(now.tags)
        and saved.tags_known is now.tags_known
        and saved.updated_at == now.updated_at
    )


def rules_of(groups: SavedGroups, rules: Rules, *, is_raw: bool) -> Rules:
    """Rules that select exactly the versions that a saved plan deletes. Lists and moment are those of `rules`."""
    ids = frozenset(
        write.version_id
        for group in groups
        for write in group
        if write.action is Action.DELETE and write.version_id is not None
    )
    rule = Rule(selection=Selection(version_ids=ids), age=Age(timestamp=rules.timestamp))
    return replace(rules, rules=(rule,), is_policy=False, raw=is_raw, from_plan=True)


class Absent(Struct, frozen=True, kw_only=True):
    """The outcomes of what is not there: whole packages, and versions that the lists do not show."""

    packages: Mapping[PackageName, Outcome] = field(default_factory=dict)
    versions: Mapping[int, Outcome] = field(default_factory=dict)

    def outcome(self, write: PlannedWrite) -> Outcome:
        """The outcome of a write whose version is not listed."""
        return self.versions.get(write.version_id or 0, Outcome.ALREADY_GONE)


def deletions_left(
    groups: SavedGroups,
    packages: Sequence[PackageEvaluation],
    lists: KeepLists,
    absent: Absent,
    released: Collection[int] = (),
) -> Plan:
    """What of a saved plan may still be deleted and untagged. No tag of a `released` version is removed.

    `packages` are evaluated by `rules_of` the plan: what an image needs that is not in the plan, these rules keep.
    The writes of packages that are neither evaluated nor absent are left out.
    """
    left = _Deletions(groups, packages, lists, absent, released)
    found = [tuple(filter(None, map(left.again, group))) for group in groups]
    whole = left.without_needed([group for group in found if group])
    return Plan(groups=tuple(whole), decisions=tuple(left.decisions()))


class _Deletions:
    """Goes through the writes of a saved plan in their order: what a version belongs to comes before it."""

    def __init__(
        self,
        groups: SavedGroups,
        packages: Sequence[PackageEvaluation],
        lists: KeepLists,
        absent: Absent,
        released: Collection[int],
    ) -> None:
        self._packages = {package.package for package in packages}
        self._decided = {each.version.id: each for package in packages for each in package.decisions}
        self._images = {image.root.id: image for package in packages for image in package.images}
        self._lists = lists
        self._absent = absent
        self._released = released
        saved = {write.version_id: write.version for group in groups for write in group if write.version is not None}
        changed = [each for each in self._images if each in saved and not self._is_unchanged(saved[each])]
        self._changed = {part.id for root in changed for part in self._images[root].parts}
        """The parts of images whose roots have changed."""
        self._graphs = {package.package: package.graph for package in packages}
        self._kept: set[int] = set()
        self._deleted: set[int] = set()
        self._untagged: dict[int, list[str]] = {}

    def again(self, write: PlannedWrite) -> PlannedWrite | None:
        """The write as it may be sent now, or `None` when it is left out."""
        if write.package in self._absent.packages:
            return replace(write, expected=self._absent.packages[write.package])
        if write.package not in self._packages:
            return None
        now = self._decided.get(write.version_id or 0)
        if now is None:
            return replace(write, expected=self._absent.outcome(write))
        again = self._untagging(write, now) if write.kind is WriteKind.TAG else self._deletion(write, now)
        if again is None:
            return None
        return replace(
            again,
            version=now.version,
            tags=now.version.tags,
            after=frozenset(each for each in write.after if each in self._decided),
        )

    def _deletion(self, write: PlannedWrite, now: Decision) -> PlannedWrite | None:
        number = now.version.id
        if self._is_kept(now):
            self._kept.add(number)
            return None
        self._deleted.add(number)
        return replace(write, expected=self._why_not(write, now))

    def _is_unchanged(self, saved: Version) -> bool:
        return is_unchanged(saved, self._decided[saved.id].version)

    def _is_kept(self, now: Decision) -> bool:
        """Whether a keep list names the image, or nothing is deleted in its package."""
        if now.action is not Action.KEEP:
            return False
        if now.reason is Reason.NEEDED_BY:
            return now.root is not None and now.root.id in self._kept
        return now.reason in _LISTED or now.reason is Reason.UNREADABLE

    def _why_not(self, write: PlannedWrite, now: Decision) -> Outcome | None:
        """The outcome of a deletion that is not sent, or `None`."""
        is_unchanged = write.version is None or self._is_unchanged(write.version)
        if now.action is Action.KEEP or now.version.id in self._changed or not is_unchanged:
            return Outcome.CHANGED_SINCE_PLAN
        return write.expected

    def without_needed(self, groups: Sequence[tuple[PlannedWrite, ...]]) -> Iterator[tuple[PlannedWrite, ...]]:
        """The same writes, but what is needed by a version that stays is not deleted."""
        going = {
            write.version_id: holders_of(self._graphs[write.package], write.version)
            for group in groups
            for write in group
            if write.kind is WriteKind.VERSION and write.expected is None and write.version is not None
        }
        while needed := [number for number, holders in going.items() if not holders <= going.keys()]:
            for number in needed:
                del going[number]
        for group in groups:
            yield tuple(
                replace(write, expected=Outcome.CHANGED_SINCE_PLAN)
                if write.kind is WriteKind.VERSION and write.expected is None and write.version_id not in going
                else write
                for write in group
            )

    def _untagging(self, write: PlannedWrite, now: Decision) -> PlannedWrite | None:
        version, tag = now.version, write.tag or ""
        image = self._images.get(version.id)
        if version.id in self._released or (image is not None and self._lists.reason_to_keep(image) is not None):
            return None
        if tag not in version.tags and version.tags_known:
            return replace(write, expected=Outcome.ALREADY_GONE)
        self._untagged.setdefault(version.id, []).append(tag)
        is_as_planned = write.version is not None and self._is_unchanged(write.version)
        return replace(write, expected=None if is_as_planned else Outcome.CHANGED_SINCE_PLAN)

    def decisions(self) -> Sequence[Decision]:
        """The decisions about all versions that are there."""
        return [self._decision(each) for each in self._decided.values()]

    def _decision(self, now: Decision) -> Decision:
        number = now.version.id
        if number in self._deleted:
            return Decision(version=now.version, action=Action.DELETE, reason=Reason.PLAN, root=now.root)
        if number in self._untagged:
            tags = tuple(self._untagged[number])
            return Decision(version=now.version, action=Action.UNTAG, reason=Reason.PLAN, untag=tags)
        if now.action is Action.KEEP:
            return now
        # it belongs to an image that goes, and was not there when the plan was made
        return Decision(version=now.version, action=Action.KEEP, reason=Reason.NOT_SELECTED)


def package_deletions_left(
    groups: SavedGroups,
    contents: Mapping[PackageName, Sequence[Version]],
    lists: KeepLists,
    absent: Absent,
    used: Collection[int] = (),
) -> Plan:
    """What of a saved plan of whole packages may still be deleted.

    A package stays when it contains a version that the plan did not see, or one that has changed, or that a keep list
    names, or that is in `used`. `contents` are the versions of each package. Packages that are neither in it nor absent
    are left out.
    """
    writes: list[PlannedWrite] = []
    for write in (each for group in groups for each in group):
        if write.package in absent.packages:
            writes.append(replace(write, expected=absent.packages[write.package]))
        elif write.package in contents:
            versions = contents[write.package]
            images = independent_images(versions)
            if not any(image.root.id in used or lists.reason_to_keep(image) for image in images):
                is_same = contains_only(versions, write.contains)
                writes.append(replace(write, expected=None if is_same else Outcome.CHANGED_SINCE_PLAN))
    return Plan.of_singles(writes)


def contains_only(versions: Sequence[Version], planned: Sequence[Version]) -> bool:
    """Whether all versions of a package were planned, and are unchanged."""
    known = {version.id: version for version in planned}
    return all(each.id in known and is_unchanged(known[each.id], each) for each in versions)


class Restorable(Struct, kw_only=True):
    """What is there of one package: the names in use, and its deleted versions by id."""

    active: ActiveNames
    deleted: Mapping[int, Version]


class _Restoration(Struct, frozen=True, kw_only=True):
    """What decides about the restorations of a saved plan."""

    packages: Mapping[PackageName, Restorable | None]
    replaced: Collection[PackageName]
    whole: frozenset[PackageName]
    tags_may_move: bool
    root_must_exist: bool

    def expected(self, write: PlannedWrite) -> Outcome | None:
        """The outcome of a restoration that is not sent, or `None`."""
        there = self.packages[write.package]
        if write.package in self.replaced:
            return Outcome.CHANGED_SINCE_PLAN
        if write.kind is WriteKind.TAG:
            return None
        if write.kind is WriteKind.PACKAGE:
            return Outcome.ALREADY_ACTIVE if there is not None else None
        if there is None:
            return None if write.package in self.whole else Outcome.ALREADY_GONE
        return self._why_not(write, there)

    def _why_not(self, write: PlannedWrite, there: Restorable) -> Outcome | None:
        active, deleted = there.active, there.deleted.get(write.version_id or 0)
        if write.version_id in active.ids or write.version_name in active.names:
            return Outcome.ALREADY_ACTIVE
        if (self.root_must_exist and write.root not in active.names) or _has_changed(write, deleted):
            return Outcome.CHANGED_SINCE_PLAN
        version = deleted or write.version
        expected = write.expected or (None if self.tags_may_move else _why_tags_stay(version, active))
        if expected is None and version is not None:
            active.add(version)
        return expected


def _has_changed(write: PlannedWrite, deleted: Version | None) -> bool:
    """Whether a deleted version is not as it was. One that only a receipt named has no timestamp in the plan."""
    saved = write.version
    if saved is None or deleted is None or saved.updated_at is None:
        return False
    return not is_unchanged(saved, deleted)


def _why_tags_stay(version: Version | None, active: ActiveNames) -> Outcome | None:
    """The outcome of a restoration that would move a tag that is in use, or may be."""
    if version is None or not version.image_tags:
        return None
    if active.tags.intersection(version.image_tags):
        return Outcome.TAG_IN_USE
    return None if active.tags_known else Outcome.CHANGED_SINCE_PLAN


def restorations_left(
    groups: SavedGroups,
    packages: Mapping[PackageName, Restorable | None],
    *,
    replaced: Collection[PackageName] = (),
    tags_may_move: bool,
    root_must_exist: bool,
) -> Plan:
    """What of a saved plan may still be restored.

    `packages` are what is there of each package; `None` means that the package does not exist. The writes of others are
    left out. Nothing is restored in a package that was `replaced` by another one of its name. With `root_must_exist`, a
    part whose image is gone by now stays deleted.
    """
    writes = [write for group in groups for write in group if write.package in packages]
    restoration = _Restoration(
        packages=packages,
        replaced=replaced,
        whole=frozenset(write.package for write in writes if write.kind is WriteKind.PACKAGE),
        tags_may_move=tags_may_move,
        root_must_exist=root_must_exist,
    )
    return Plan.of_singles(replace(write, expected=restoration.expected(write)) for write in writes)
