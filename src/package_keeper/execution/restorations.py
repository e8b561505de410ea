"""Restoring versions and whole packages, selected ones or everything in a receipt."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from itertools import accumulate

from package_keeper.errors import ADMIN_ROLE, ApiError, ApiErrorKind
from package_keeper.execution.batches import WriteOperation
from package_keeper.execution.deletions import outcome_of
from package_keeper.execution.ports import Looks, Reader, Writer
from package_keeper.execution.receipt import ReceiptEntry
from package_keeper.execution.untag import Untagger
from package_keeper.model.packages import Package, PackageName, PackageType, Version
from package_keeper.model.words import Action, Outcome, Reason
from package_keeper.policy.planning import ActiveNames, Plan, PlannedWrite, WriteKind

NONE: AbstractSet[str] = frozenset()


def still_active(
    package: PackageName,
    listed: Sequence[Version],
    looks: Looks,
    *,
    ids: AbstractSet[int] = frozenset(),
    names: AbstractSet[str] = NONE,
    tags: AbstractSet[str] = NONE,
) -> list[Version]:
    """`listed` without what a look shows to be gone; only what has one of the ids, names or tags is looked at.

    May raise `ApiError`.
    """
    doubtful = {
        version.id
        for version in listed
        if version.id in ids or version.name in names or not tags.isdisjoint(version.tags)
    }
    gone = doubtful - looks.active(package, doubtful) if doubtful else doubtful
    return [version for version in listed if version.id not in gone]


MISSING_PERMISSION = f"it is listed as deleted, so the token may read but not restore. {ADMIN_ROLE}"
GONE = "not among what was deleted in the last 30 days, or the token has no Admin role on the package"
NO_IMAGE = "the image itself is deleted: restore it first"


class Restorations(WriteOperation):
    """The restorations of one run."""

    def __init__(self, reader: Reader, writer: Writer, tags: Untagger) -> None:
        self._reader = reader
        self._writer = writer
        self._tags = tags
        self._back: dict[tuple[PackageName, str], PlannedWrite] = {}
        """What this run restored, by name: GitHub has one active version of a name at most, so a second must stay."""

    def settled(self, write: PlannedWrite) -> tuple[Outcome, str] | None:
        """A version of a name that is back needs no request."""
        twin = self._back.get((write.package, write.version_name)) if write.kind is WriteKind.VERSION else None
        if twin is not None and twin.version_id != write.version_id and write.refusal is None:
            return Outcome.ALREADY_ACTIVE, _twin_text(write, twin.version_id, twin.tags)
        return super().settled(write)

    def note(self, write: PlannedWrite, outcome: Outcome) -> None:
        """Remember what is back."""
        if outcome is Outcome.DONE and write.kind is WriteKind.VERSION:
            self._back[write.package, write.version_name] = write

    def attempt(self, write: PlannedWrite) -> None:
        """Restore one version or one package, or give a tag back."""
        if write.tag is not None:
            self._tags.retag(write)
        elif write.version_id is None:
            self._writer.restore_package(write.package)
        else:
            self._writer.restore_version(write.package, write.version_id)

    def is_done(self, write: PlannedWrite) -> bool | None:
        """Whether what was to be restored is there."""
        try:
            if write.kind is WriteKind.PACKAGE:
                return _package(self._reader, write.package) is not None
            if write.kind is WriteKind.TAG:
                return self._tags.current(write) == write.version_name
            return self._is_active(write.package, write.version_id or 0)
        except ApiError:
            return None

    def meaning(self, write: PlannedWrite, refused: ApiError) -> tuple[Outcome, str]:
        """Look whether what was not found is active already, still deleted, or gone for good."""
        if refused.kind is ApiErrorKind.CHANGED:
            return Outcome.TAG_IN_USE, str(refused)
        if refused.kind is ApiErrorKind.ALREADY_EXISTS:
            return self._existing(write, refused)
        if refused.kind is not ApiErrorKind.NOT_FOUND:
            # GitHub's words for what needs no restoration are not all known
            unknown = refused.kind is ApiErrorKind.OTHER and write.kind is WriteKind.VERSION
            if unknown and self._is_active(write.package, write.version_id or 0):
                return self._there(refused)
            return outcome_of(refused)
        if write.version_id is None:
            return self._missing_package(write.package, refused)
        if write.kind is WriteKind.TAG:
            there = self._is_active(write.package, write.version_id)
            return outcome_of(refused) if there else (Outcome.FAILED, f"{refused}; {NO_IMAGE}")
        if self._is_active(write.package, write.version_id):
            return self._there(refused)
        try:
            deleted = self._reader.versions(write.package, deleted=True)
        except ApiError as second:
            if second.kind is ApiErrorKind.NOT_FOUND:
                return Outcome.ALREADY_GONE, f"{refused}; the whole package is gone, see restore-package"
            raise
        if any(version.id == write.version_id for version in deleted):
            return Outcome.NO_PERMISSION, f"{refused}, but {MISSING_PERMISSION}"
        return Outcome.ALREADY_GONE, f"{refused}; {GONE}"

    @staticmethod
    def _there(refused: ApiError) -> tuple[Outcome, str]:
        """What was refused is there: an earlier attempt whose answer was lost did it, or somebody else."""
        return (Outcome.DONE if refused.sent_before else Outcome.ALREADY_ACTIVE), ""

    def _existing(self, write: PlannedWrite, refused: ApiError) -> tuple[Outcome, str]:
        """GitHub says that the name is taken: by what was to be restored, or by another version."""
        if write.version_id is None:
            there = _package(self._reader, write.package) is not None
        else:
            there = self._is_active(write.package, write.version_id)
        if there:
            return self._there(refused)
        if write.kind is WriteKind.VERSION:
            for version in self._reader.versions(write.package):
                if version.name == write.version_name and self._is_active(write.package, version.id):
                    return Outcome.ALREADY_ACTIVE, _twin_text(write, version.id, version.tags)
        return Outcome.FAILED, f"{refused}; but nothing active that has the name is listed: try again later"

    def _is_active(self, package: PackageName, version_id: int) -> bool:
        try:
            self._reader.version(package, version_id)
        except ApiError as refused:
            if refused.kind is ApiErrorKind.NOT_FOUND:
                return False
            raise
        return True

    def _missing_package(self, package: PackageName, refused: ApiError) -> tuple[Outcome, str]:
        if _package(self._reader, package) is not None:
            return self._there(refused)
        return Outcome.ALREADY_GONE, f"{refused}; {GONE}"


Failed = Callable[[str, ApiError], None]
"""Is told what could not be read; the rest goes on."""


def plan_package_restorations(reader: Reader, packages: Iterable[PackageName], failed: Failed) -> Plan:
    """Plan to restore whole packages; what is active already is known before asking."""
    writes = []
    for key in packages:
        try:
            active = _package(reader, key) is not None
        except ApiError as refused:
            failed(str(key), refused)
        else:
            writes.append(_package_restoration(key, Reason.SELECTED, active=active))
    return Plan.of_singles(writes)


@dataclass(frozen=True, kw_only=True)
class Undo:
    """What takes a receipt back. `deleted` are the deleted versions of the packages, which exist, as far as known."""

    plan: Plan
    packages: list[Package]
    deleted: Mapping[PackageName, list[Version]]


def plan_undo(reader: Reader, looks: Looks, entries: Sequence[ReceiptEntry], failed: Failed) -> Undo:
    """Plan to take back the entries of a receipt: packages first, then versions, last deleted first, then tags.

    Parts stand after their root in a receipt, so that they come back before it. What the lists call active is looked
    at: they may lag behind the deletion, and of a lone `started` nobody knows. Packages that cannot be read are told to
    `failed`.
    """
    there: dict[PackageName, Package | None] = {}
    active: dict[PackageName, list[Version]] = {}
    deleted: dict[PackageName, list[Version]] = {}
    by_package: dict[PackageName, list[ReceiptEntry]] = {}
    for entry in entries:
        by_package.setdefault(entry.package, []).append(entry)
    for key, several in by_package.items():
        try:
            package = _package(reader, key)
            if package is not None:
                _refuse_another(package, several)
                active[key] = _still_active(reader, looks, key, several)
                deleted[key] = reader.versions(key, deleted=True)
            there[key] = package
        except ApiError as refused:
            failed(str(key), refused)
    writes = [
        _package_restoration(entry.package, Reason.RECEIPT, active=there[entry.package] is not None)
        for entry in entries
        if entry.kind is WriteKind.PACKAGE and entry.package in there
    ]
    known = {version.id: version for several in deleted.values() for version in several}
    versions, tags = _undo_versions([entry for entry in entries if entry.package in there], active, known)
    writes += [*versions, *tags]
    return Undo(plan=Plan.of_singles(writes), packages=[each for each in there.values() if each], deleted=deleted)


def _undo_versions(
    entries: Sequence[ReceiptEntry], active: Mapping[PackageName, Sequence[Version]], deleted: Mapping[int, Version]
) -> tuple[list[PlannedWrite], list[PlannedWrite]]:
    """What brings versions back, and what gives tags back."""
    names = {key: ActiveNames.of(versions) for key, versions in active.items()}
    holders = {(version.package, version.name): version for versions in active.values() for version in versions}
    versions, twins = _without_twins([entry for entry in entries if entry.kind is WriteKind.VERSION])
    first = _come_first(versions)
    # should the one of a name be gone for good, another is tried
    others = {
        entry.version_id: [twin.version_id or 0 for twin in twins[entry.package, entry.name]] for entry in versions
    }
    writes = []
    tags = []
    for entry in reversed(versions):
        there = names.get(entry.package, ActiveNames())
        holder = holders.get((entry.package, entry.name))
        refusal = Outcome.ALREADY_ACTIVE if entry.version_id in there.ids or holder is not None else None
        known = deleted.get(entry.version_id or 0)
        after = first[id(entry)].union(*(others.get(version_id, ()) for version_id in first[id(entry)]))
        writes.append(_restoration(entry, known, after=after, refusal=refusal))
        if holder is not None and entry.version_id not in there.ids:
            tags += [_tag_restoration(entry, tag, holder.id) for tag in entry.tags if tag not in there.tags]
        for twin in twins[entry.package, entry.name]:
            waits = frozenset({entry.version_id or 0})
            writes.append(_restoration(twin, deleted.get(twin.version_id or 0), after=waits, refusal=refusal))
            lost = [tag for tag in twin.tags if tag not in entry.tags and tag not in there.tags]
            tags += [_tag_restoration(twin, tag, entry.version_id) for tag in lost]
    tags = [write for write in tags if write.package.type is PackageType.CONTAINER]
    tags += [_restoration(entry, None) for entry in reversed(entries) if entry.kind is WriteKind.TAG]
    return writes, tags


def _refuse_another(package: Package, entries: Iterable[ReceiptEntry]) -> None:
    """Raise `ApiError` when the package that is there came after the one that was deleted, which GitHub cannot restore.

    What was in the one is not in the other.
    """
    for entry in entries:
        if entry.kind is WriteKind.PACKAGE and entry.at and package.created_at and package.created_at > entry.at:
            raise ApiError(
                ApiErrorKind.OTHER,
                f"it was deleted, and another package has its name since {package.created_at:%Y-%m-%d %H:%M} UTC:"
                " rename or delete that one first",
            )


def _still_active(reader: Reader, looks: Looks, key: PackageName, entries: Iterable[ReceiptEntry]) -> list[Version]:
    """The active versions, as far as the entries are about them without those that are gone. May raise `ApiError`."""
    versions = [entry for entry in entries if entry.kind is WriteKind.VERSION]
    ids = {entry.version_id or 0 for entry in versions}
    names = {entry.name for entry in versions}
    return still_active(key, reader.versions(key), looks, ids=ids, names=names)


def _without_twins(
    entries: Sequence[ReceiptEntry],
) -> tuple[list[ReceiptEntry], dict[tuple[PackageName, str], list[ReceiptEntry]]]:
    """One entry for each name, rather one with tags, the last of them; and the others by their name.

    GitHub restores one version of a name: an untagged one would keep the tags of the others away.
    """
    by_name: dict[tuple[PackageName, str], list[ReceiptEntry]] = {}
    for entry in entries:
        by_name.setdefault((entry.package, entry.name), []).append(entry)
    chosen = {
        name: max(several, key=lambda entry: (bool(entry.tags), entry.began)) for name, several in by_name.items()
    }
    others = {
        name: [entry for entry in several if entry.version_id != chosen[name].version_id]
        for name, several in by_name.items()
    }
    return [entry for entry in entries if chosen[entry.package, entry.name] is entry], others


def _come_first(entries: Sequence[ReceiptEntry]) -> dict[int, frozenset[int]]:
    """For each entry, by its identity, the versions of its package that come back before it: they may be its parts.

    They began to go after it was confirmed gone, or name it as their root. Of the former, the ones that went after
    others of them need not be named: the others wait for them.
    """
    found: dict[int, frozenset[int]] = {}
    packages: dict[PackageName, list[ReceiptEntry]] = {}
    parts: dict[tuple[PackageName, str | None], set[int]] = {}
    for entry in entries:
        packages.setdefault(entry.package, []).append(entry)
        parts.setdefault((entry.package, entry.root), set()).add(entry.version_id or 0)
    for several in packages.values():
        by_begin = sorted(several, key=lambda entry: entry.began)
        begins = [entry.began for entry in by_begin]
        # the first of an entry and all behind it that was confirmed
        first_end = list(accumulate((entry.ended for entry in reversed(by_begin)), min))[::-1]
        for entry in several:
            start = bisect_right(begins, entry.ended)
            stop = bisect_right(begins, first_end[start]) if start < len(begins) else start
            afterwards = {other.version_id or 0 for other in by_begin[start:stop]}
            found[id(entry)] = frozenset(afterwards | parts.get((entry.package, entry.name), set()))
    return found


def _twin_text(write: PlannedWrite, other: int | None, tags: Iterable[str]) -> str:
    """What is said of a version that stays deleted, since another of its name is active."""
    without = ", ".join(tag for tag in write.tags if tag not in tags)
    return f"version {other} of the same name is active" + (f", without the tags {without}" if without else "")


def _restoration(
    entry: ReceiptEntry,
    version: Version | None,
    *,
    after: frozenset[int] = frozenset(),
    refusal: Outcome | None = None,
) -> PlannedWrite:
    return PlannedWrite(
        action=Action.RESTORE,
        reason=Reason.RECEIPT,
        package=entry.package,
        version=version,
        version_id=entry.version_id,
        version_name=entry.name,
        tags=entry.tags,
        tag=entry.tag,
        root=entry.root,
        after=after,
        refusal=refusal,
    )


def _tag_restoration(entry: ReceiptEntry, tag: str, version_id: int | None) -> PlannedWrite:
    """What gives a tag of a version that stays deleted to the other version of its name."""
    return replace(_restoration(entry, None), version_id=version_id, tag=tag, root=None)


def _package_restoration(package: PackageName, reason: Reason, *, active: bool) -> PlannedWrite:
    return PlannedWrite(
        action=Action.RESTORE,
        reason=reason,
        package=package,
        refusal=Outcome.ALREADY_ACTIVE if active else None,
    )


def _package(reader: Reader, key: PackageName) -> Package | None:
    try:
        return reader.package(key)
    except ApiError as refused:
        if refused.kind is ApiErrorKind.NOT_FOUND:
            return None
        raise
