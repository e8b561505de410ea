"""Restoring versions and whole packages, selected ones or everything in a receipt."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate

from package_keeper.decisions.plan import Plan, PlannedWrite, WriteKind
from package_keeper.decisions.restoring import ActiveNames
from package_keeper.decisions.vocabulary import Decision, Outcome, Reason
from package_keeper.errors import ADMIN_ROLE, Refusal, RefusalKind
from package_keeper.execution.deleting import plain_meaning
from package_keeper.execution.ports import Reader, Writer
from package_keeper.execution.receipt import ReceiptEntry
from package_keeper.execution.untagging import TagMoves
from package_keeper.execution.write_operation import WriteOperation
from package_keeper.inventory.package import Package, PackageName
from package_keeper.inventory.version import Version

MISSING_PERMISSION = f"it is listed as deleted, so the token may read but not restore. {ADMIN_ROLE}"
GONE = "not among what was deleted in the last 30 days, or the token has no Admin role on the package"


class Restorations(WriteOperation):
    """The restorations of one run."""

    def __init__(self, reader: Reader, writer: Writer, tags: TagMoves) -> None:
        self._reader = reader
        self._writer = writer
        self._tags = tags

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
        except Refusal:
            return None

    def meaning(self, write: PlannedWrite, refused: Refusal) -> tuple[Outcome, str]:
        """Look whether what was not found is active already, still deleted, or gone for good."""
        if refused.kind is RefusalKind.CHANGED:
            return Outcome.TAG_IN_USE, str(refused)
        if refused.kind is not RefusalKind.NOT_FOUND or write.kind is WriteKind.TAG:
            return plain_meaning(refused)
        if write.version_id is None:
            return self._missing_package(write.package, refused)
        if self._is_active(write.package, write.version_id):
            # an earlier attempt whose answer was lost did it, or somebody else
            return (Outcome.DONE if refused.sent_before else Outcome.ALREADY_ACTIVE), ""
        try:
            deleted = self._reader.versions(write.package, deleted=True)
        except Refusal as second:
            if second.kind is RefusalKind.NOT_FOUND:
                return Outcome.ALREADY_GONE, f"{refused}; the whole package is gone, see restore-package"
            raise
        if any(version.id == write.version_id for version in deleted):
            return Outcome.NO_PERMISSION, f"{refused}, but {MISSING_PERMISSION}"
        return Outcome.ALREADY_GONE, f"{refused}; {GONE}"

    def _is_active(self, package: PackageName, version_id: int) -> bool:
        try:
            self._reader.version(package, version_id)
        except Refusal as refused:
            if refused.kind is RefusalKind.NOT_FOUND:
                return False
            raise
        return True

    def _missing_package(self, package: PackageName, refused: Refusal) -> tuple[Outcome, str]:
        if _package(self._reader, package) is not None:
            return (Outcome.DONE if refused.sent_before else Outcome.ALREADY_ACTIVE), ""
        return Outcome.ALREADY_GONE, f"{refused}; {GONE}"


Failed = Callable[[str, Refusal], None]
"""Is told what could not be read; the rest goes on."""


def plan_package_restorations(reader: Reader, packages: Iterable[PackageName], failed: Failed) -> Plan:
    """Plan to restore whole packages; what is active already is known before asking."""
    writes = []
    for key in packages:
        try:
            active = _package(reader, key) is not None
        except Refusal as refused:
            failed(str(key), refused)
        else:
            writes.append(_package_restoration(key, Reason.SELECTED, active=active))
    return Plan.of_singles(writes)


def plan_undo(reader: Reader, entries: Sequence[ReceiptEntry], failed: Failed) -> tuple[Plan, list[Package]]:
    """Plan to take back the entries of a receipt: packages first, then versions and tags, last deleted first.

    Parts stand after their root in a receipt, so that they come back before it. For a lone `started` the lists tell
    what is there. Gives the packages that exist, too; those that cannot be read are told to `failed`.
    """
    there: dict[PackageName, Package | None] = {}
    found: dict[PackageName, tuple[ActiveNames, dict[int, Version]]] = {}
    for key in dict.fromkeys(entry.package for entry in entries):
        try:
            package = _package(reader, key)
            found[key] = _versions_of(reader, key) if package else (ActiveNames(), {})
            there[key] = package
        except Refusal as refused:
            failed(str(key), refused)
    writes = [
        _package_restoration(entry.package, Reason.RECEIPT, active=there[entry.package] is not None)
        for entry in entries
        if entry.kind is WriteKind.PACKAGE and entry.package in there
    ]
    earlier = _gone_afterwards(entries)
    for entry in reversed(entries):
        if entry.kind is WriteKind.PACKAGE or entry.package not in there:
            continue
        active, deleted = found[entry.package]
        refusal = None
        if entry.kind is WriteKind.VERSION and (entry.version_id in active.ids or entry.name in active.names):
            refusal = Outcome.ALREADY_ACTIVE
        writes.append(_version_restoration(entry, deleted.get(entry.version_id or 0), refusal, earlier[id(entry)]))
    return Plan.of_singles(writes), [package for package in there.values() if package is not None]


def _versions_of(reader: Reader, package: PackageName) -> tuple[ActiveNames, dict[int, Version]]:
    active = ActiveNames.of(reader.versions(package))
    return active, {version.id: version for version in reader.versions(package, deleted=True)}


def _gone_afterwards(entries: Sequence[ReceiptEntry]) -> dict[int, frozenset[int]]:
    """For each entry, by its identity, the versions of its package that began to go after it was confirmed gone.

    One of them may be a part of it, so they come back first. Of those, the ones that went after others of them need
    not be named: the others wait for them.
    """
    found: dict[int, frozenset[int]] = {}
    packages: dict[PackageName, list[ReceiptEntry]] = {}
    for entry in entries:
        packages.setdefault(entry.package, []).append(entry)
    for several in packages.values():
        by_begin = sorted(several, key=lambda entry: entry.began)
        begins = [entry.began for entry in by_begin]
        # the first of an entry and all behind it that was confirmed
        first_end = list(accumulate((entry.ended for entry in reversed(by_begin)), min))[::-1]
        for entry in several:
            start = bisect_right(begins, entry.ended)
            stop = bisect_right(begins, first_end[start]) if start < len(begins) else start
            found[id(entry)] = frozenset(
                other.version_id for other in by_begin[start:stop] if other.version_id is not None
            )
    return found


def _version_restoration(
    entry: ReceiptEntry, version: Version | None, refusal: Outcome | None, after: frozenset[int]
) -> PlannedWrite:
    return PlannedWrite(
        decision=Decision.RESTORE,
        reason=Reason.RECEIPT,
        package=entry.package,
        version=version,
        version_id=entry.version_id,
        version_name=entry.name,
        tags=entry.tags,
        tag=entry.tag,
        after=after,
        refusal=refusal,
    )


def _package_restoration(package: PackageName, reason: Reason, *, active: bool) -> PlannedWrite:
    return PlannedWrite(
        decision=Decision.RESTORE,
        reason=reason,
        package=package,
        refusal=Outcome.ALREADY_ACTIVE if active else None,
    )


def _package(reader: Reader, key: PackageName) -> Package | None:
    try:
        return reader.package(key)
    except Refusal as refused:
        if refused.kind is RefusalKind.NOT_FOUND:
            return None
        raise
