"""The last step of every operation that writes: see whether GitHub did what it confirmed."""

from collections.abc import Collection, Iterator, Mapping, Sequence

from msgspec.structs import replace

from package_keeper.errors import ApiError, ApiErrorKind, OutOfTime
from package_keeper.execution.deletions import PAGE
from package_keeper.execution.ports import Reader
from package_keeper.execution.restorations import package_or_none
from package_keeper.execution.scope import problem_with
from package_keeper.model.packages import PackageName
from package_keeper.model.plan import Action, WriteKind, WriteRecord
from package_keeper.model.run import Run
from package_keeper.operations.context import Context, Operation, Writing

ASKED_AFTER = (0.0, 2.0, 8.0)
"""Seconds to wait before each question. How soon GitHub itself knows what it did is not known."""


def confirming(operation: Operation) -> Operation:
    """Return the operation with the last step: a confirmed write that did not happen is no longer called done."""

    def run_and_confirm(context: Context) -> Iterator[Run]:
        run = Run()
        for run in operation(context):
            yield run
        if context.writing is not None and run.ended_by is None:
            yield _confirmed(context, context.writing, run)

    return run_and_confirm


def _confirmed(context: Context, writing: Writing, run: Run) -> Run:
    executor = writing.executor
    # the deletion of an empty package is no record of the run: its last versions stand for it there
    doubtful = _last_done((*executor.records, *run.records), executor.confirmed)
    counts = {package.key: package.version_count or 0 for package in run.scope.packages}
    try:
        for seconds in ASKED_AFTER:
            if doubtful:
                writing.pause.sleep(seconds, "GitHub does not show what it confirmed")
                doubtful = _not_done(doubtful, context.reader, counts)
    except ApiError as error:
        return replace(run, scope=run.scope.adding(problems=[problem_with("the check after the run", error)]))
    except OutOfTime as over:
        context.log.warning(f"what GitHub confirmed was not looked at again: {over.why}")
        return run
    if not doubtful:
        return run
    # how much less was given back is not known
    corrected = executor.disproved(run.records, [record.write for record in doubtful])
    return replace(run, records=corrected, bytes_freed=None)


def _last_done(records: Sequence[WriteRecord], confirmed: Collection[PackageName]) -> list[WriteRecord]:
    """Return what was done last to each version and package that is not in `confirmed`.

    A stub that was restored is deleted again. A later record of the same write replaces an earlier one.
    """
    latest = {id(record.write): record for record in records}
    done = [each for each in latest.values() if each.is_done and each.write.kind is not WriteKind.TAG]
    last = {(record.write.package, record.write.version_id): record for record in done}
    return [record for record in last.values() if record.write.package not in confirmed]


def _not_done(records: Sequence[WriteRecord], reader: Reader, counts: Mapping[PackageName, int]) -> list[WriteRecord]:
    """Return the records whose writes did not happen. Raises `ApiError`, `OutOfTime` and `Cancelled`."""
    by_package: dict[PackageName, list[WriteRecord]] = {}
    for record in records:
        by_package.setdefault(record.write.package, []).append(record)
    found: list[WriteRecord] = []
    for package, its in by_package.items():
        whole = [record for record in its if record.write.kind is WriteKind.PACKAGE]
        if whole:
            is_there = package_or_none(reader, package) is not None
            found += [record for record in whole if is_there is (record.write.action is Action.DELETE)]
        found += _versions_not_done(package, [record for record in its if record not in whole], reader, counts)
    return found


def _versions_not_done(
    package: PackageName, records: Sequence[WriteRecord], reader: Reader, counts: Mapping[PackageName, int]
) -> list[WriteRecord]:
    wanted = {record.write.version_id or 0: record.write.action is Action.RESTORE for record in records}
    if len(wanted) > max(1, counts.get(package, 0) // PAGE):
        # the list says it of all of them, with fewer requests
        listed = _listed(package, reader)
        wanted = {number: is_back for number, is_back in wanted.items() if (number in listed) is not is_back}
    # a list may be outdated
    active = reader.are_active(dict.fromkeys(wanted, package)) if wanted else {}
    return [each for each in records if active.get(each.write.version_id or 0) is (each.write.action is Action.DELETE)]


def _listed(package: PackageName, reader: Reader) -> Collection[int]:
    try:
        return {version.id for version in reader.versions(package)}
    except ApiError as error:
        if error.kind is ApiErrorKind.NOT_FOUND:
            # the package is gone, with all its versions
            return ()
        raise
