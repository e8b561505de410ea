"""The writes of a run as one row for each image, and as one row for each package."""

from collections import Counter
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet

from msgspec import Struct

from package_keeper.model.packages import PackageName, own_page
from package_keeper.model.plan import Action, Outcome, PlannedWrite, WriteKind, WriteRecord
from package_keeper.model.run import Run


class ImageWrites(Struct):
    """The writes to one image, its root first; or one tag, one package, one version."""

    writes: list[PlannedWrite]

    @property
    def first(self) -> PlannedWrite:
        """The root, or the only write."""
        return self.writes[0]


def image_writes(run: Run) -> list[ImageWrites]:
    """The writes of a run by image, in the order of the plan. Parts that were planned alone join their image."""
    found: list[ImageWrites] = []
    by_root: dict[tuple[PackageName, str], ImageWrites] = {}
    for group in _groups(run):
        first = group[0]
        image = by_root.get((first.package, first.root or first.version_name))
        if first.kind is not WriteKind.VERSION or image is None:
            found.append(ImageWrites(list(group)))
            if first.kind is WriteKind.VERSION:
                by_root[first.package, first.root or first.version_name] = found[-1]
        elif first.root is not None:
            image.writes += group
        elif image.first.root is not None:
            # parts are restored before their root
            image.writes[:0] = group
        else:
            # another version with the same digest
            found.append(ImageWrites(list(group)))
    return found


def _groups(run: Run) -> Iterator[tuple[PlannedWrite, ...]]:
    """The groups of the plan, then writes that only have a record."""
    yield from run.plan.groups
    planned = {id(write) for write in run.plan.writes}
    yield from ((record.write,) for record in run.records if id(record.write) not in planned)


class PackageCounts(Struct):
    """What a run found in one package and did there, in versions. In a dry run, what it would do."""

    package: PackageName
    address: str = ""
    before: int | None = None
    gone: int = 0
    untagged: int = 0
    restored: int = 0
    refused: int = 0
    failed: int = 0
    left: int = 0
    freed: int | None = None

    @property
    def stays(self) -> int | None:
        """How many versions are left; `None` when it is unknown how many there were."""
        return None if self.before is None else max(self.before - self.gone, 0)


def package_counts(run: Run, hosts: AbstractSet[str]) -> list[PackageCounts]:
    """One row for each package with a decision or a write: those with failures first, then where most goes.

    Only pages on `hosts` are linked.
    """
    pages = {package.key: own_page(package.html_url, hosts) for package in run.scope.packages}
    before = Counter(decision.version.package for decision in run.plan.decisions)
    if any(write.action is Action.RESTORE for write in run.plan.writes):
        before.clear()
    rows: dict[PackageName, PackageCounts] = {}
    for key in (*before, *(group[0].package for group in _groups(run))):
        if key not in rows:
            rows[key] = PackageCounts(
                package=key, address=pages.get(key, ""), before=before.get(key), freed=run.sizes.get(key)
            )
    for outcome, write in _ends(run):
        _add(rows[write.package], outcome, write)
    return sorted(
        rows.values(), key=lambda row: (-row.failed, -row.refused, -row.gone - row.restored, str(row.package))
    )


def _ends(run: Run) -> Iterable[tuple[Outcome, PlannedWrite]]:
    if run.records:
        return ((record.outcome, record.write) for record in run.records)
    return ((write.expected or Outcome.DONE, write) for write in run.plan.writes)


def _add(row: PackageCounts, outcome: Outcome, write: PlannedWrite) -> None:
    number = max(len(write.contains), 1) if write.kind is WriteKind.PACKAGE else 1
    if write.kind is WriteKind.PACKAGE and write.contains:
        row.before = number
    if outcome in (Outcome.DONE, Outcome.ALREADY_GONE) and write.action is Action.DELETE:
        row.gone += number
    elif outcome is Outcome.DONE and write.action is Action.UNTAG:
        row.untagged += number
    elif outcome is Outcome.DONE:
        row.restored += number
    elif outcome.is_failed:
        row.failed += number
    elif outcome.is_remaining:
        row.left += number
    elif outcome is not Outcome.ALREADY_ACTIVE:
        row.refused += number


def records_by_write(run: Run) -> dict[int, WriteRecord]:
    """The records by the identity of their writes."""
    return {id(record.write): record for record in run.records}
