"""The second phase of `delete` with `on-last-version: delete-package`: delete packages with only one image left.

GitHub deletes neither the last version of a package nor the last tagged one of a container package. So the first phase
holds back the newest image of such a package, and this phase deletes the package with it.
"""

from collections.abc import Collection, Sequence

from msgspec.structs import replace

from package_keeper.errors import ApiError
from package_keeper.execution.deletions import LAST_VERSION
from package_keeper.execution.ports import Reader
from package_keeper.execution.refresh import FreshPlan, Refresh, Replan
from package_keeper.model.packages import PackageName, Version
from package_keeper.model.plan import Action, GuardedPlan, Outcome, Plan, PlannedWrite, WriteKind, WriteRecord
from package_keeper.model.run import Run
from package_keeper.operations.context import Context, Writing
from package_keeper.policy.guards import Guards, OnLastVersion, guard


def delete_empty_packages(context: Context, writing: Writing, run: Run, guarded: GuardedPlan) -> Run:
    """Delete the packages of which only the newest image is left.

    Their lists are read again right before. A package stays when it contains anything that this run does not delete.
    """
    guards = context.settings.guards
    if guards.on_last_version is not OnLastVersion.DELETE_PACKAGE:
        return run
    held = guarded.with_package
    refused = [
        each.write
        for each in run.records
        if each.outcome is Outcome.LAST_VERSION and not each.write.expected and guards.deletes_whole(each.write.package)
    ]
    last = {write.package: write for write in reversed((*refused, *held))}
    if run.ended_by is not None or not last:
        # what was not tried gets its records at the end of the run
        return run
    plan = Plan.of_singles(
        PlannedWrite(action=Action.DELETE, reason=write.reason, rule=write.rule, package=package)
        for package, write in last.items()
    )
    deleted = [record.write for record in run.records if record.outcome in (Outcome.DONE, Outcome.ALREADY_GONE)]
    now = context.clock.monotonic()
    refresh = Refresh(
        replan=_empty_packages(context.reader, plan, [*refused, *held], deleted),
        clock=context.clock,
        log=context.log,
        read_from=now,
        read_until=now,
        fresh_for=0.0,
    )
    packages = guard(plan, Guards())
    executed = writing.executor.execute(packages, writing.deletion_strategy(packages, guards.on_last_version), refresh)
    records = _with_packages(run.records, held, executed.records)
    return replace(run, records=records, ended_by=executed.ended_by)


def _empty_packages(
    reader: Reader, plan: Plan, last: Sequence[PlannedWrite], deleted: Sequence[PlannedWrite]
) -> Replan:
    """Return the function that plans again: the packages of `plan` that contain only `last` versions, unchanged.

    An outdated list may also show `deleted` versions.
    """
    gone = frozenset(write.version_id or 0 for write in deleted)
    known: dict[PackageName, dict[int, PlannedWrite]] = {}
    for write in (*last, *deleted):
        if write.kind is WriteKind.VERSION:
            known.setdefault(write.package, {})[write.version_id or 0] = write

    def is_empty(package: PackageName, versions: list[Version]) -> bool:
        writes = known.get(package, {})
        return bool(versions) and all(_is_as_planned(each, writes.get(each.id)) for each in versions)

    def replan(packages: Collection[PackageName], _: Collection[int], __: Collection[int]) -> FreshPlan:
        lists = reader.versions_of(packages, seen={each: known.get(each, {}).keys() for each in packages}, gone=gone)
        failed = {package: versions for package, versions in lists.items() if isinstance(versions, ApiError)}
        empty = {
            package
            for package, versions in lists.items()
            if not isinstance(versions, ApiError) and is_empty(package, versions)
        }
        return FreshPlan(writes=[write for write in plan.writes if write.package in empty], failed=failed)

    return replan


def _is_as_planned(version: Version, write: PlannedWrite | None) -> bool:
    if write is None or write.version is None:
        return False
    return (write.version.tags, write.version.updated_at) == (version.tags, version.updated_at)


def _with_packages(
    records: Sequence[WriteRecord], held: Sequence[PlannedWrite], packages: Sequence[WriteRecord]
) -> tuple[WriteRecord, ...]:
    """Return the records with the outcomes of last versions, which follow from those of their packages."""
    ends = {record.write.package: _end_with(record) for record in packages}
    found = [
        replace(record, outcome=ends[record.write.package][0], message=ends[record.write.package][1])
        if record.outcome is Outcome.LAST_VERSION and record.write.expected is None and record.write.package in ends
        else record
        for record in records
    ]
    found += [
        WriteRecord(write=write, outcome=ends[write.package][0], message=ends[write.package][1]) for write in held
    ]
    return tuple(found)


def _end_with(package: WriteRecord) -> tuple[Outcome, str]:
    """Return the outcome and message for the last versions of a package that was to be deleted whole."""
    if package.outcome in (Outcome.DONE, Outcome.ALREADY_GONE):
        return Outcome.DONE, "with its package"
    if package.outcome is Outcome.CHANGED_SINCE_PLAN:
        text = "its package stays, since it holds something that this run does not delete"
        return Outcome.LAST_VERSION, f"{LAST_VERSION}; {text}"
    return package.outcome, f"its package could not be deleted: {package.message}" if package.message else ""
