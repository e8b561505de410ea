"""The result word and the exit status of a run (docs/reference.md, "Exit status"). The first that applies counts."""

from collections.abc import Iterable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from package_keeper.errors import ApiErrorKind, Cancelled, NotAuthorized, OutOfTime, PackageKeeperError, Unreachable
from package_keeper.execution.wording import not_tried
from package_keeper.model.packages import Owner, PackageName
from package_keeper.model.plan import Outcome, WriteRecord
from package_keeper.model.run import Run

_PERMISSION_KINDS = (ApiErrorKind.NO_PERMISSION, ApiErrorKind.LISTING_REFUSED)


class ExitStatus(Struct, frozen=True, kw_only=True):
    """The result word and the exit status."""

    result: str
    status: int


def ended(
    run: Run,
    error: PackageKeeperError | None,
    *,
    owner: Owner | None,
    plan: tuple[str, str],
    receipt: str,
    seconds: float,
    executed: Sequence[WriteRecord],
) -> Run:
    """The run at its end: what ended it early, if anything did, whose packages it was about, and its files.

    `plan` is the path of the plan and its SHA-256. `executed` are the records that the executor has. A cancellation may
    come after a write was recorded there, and before the operation took the record: then the run has it from here.
    """
    if executed:
        run = _with_all_records(run, executed, error or OutOfTime())
    return replace(
        run,
        ended_by=error or run.ended_by,
        owner=owner,
        plan_file=plan[0],
        plan_sha256=plan[1],
        receipt=receipt,
        seconds=seconds,
    )


def _with_all_records(run: Run, executed: Sequence[WriteRecord], because: PackageKeeperError) -> Run:
    """The run with a record for every write of its plan."""
    reported = {id(record.write) for record in run.records}
    lost = {id(record.write): record for record in executed}
    missing = [write for write in run.plan.writes if id(write) not in reported]
    found = tuple(lost.get(id(write)) or not_tried(write, because) for write in missing)
    return replace(run, records=run.records + found)


def reported(run: Run, status: ExitStatus, messages: Iterable[str]) -> Run:
    """The run with its result word, and the errors and warnings of the log."""
    return replace(run, result=status.result, messages=tuple(messages))


def written(run: Run, output_file: str) -> Run:
    """The run with the path of its output file."""
    return replace(run, output_file=output_file)


def exit_status(run: Run, *, writes: bool, dry_run: bool, if_missing: str, fail_on: str) -> ExitStatus:
    """Return the exit status of a run that has ended."""
    status = _status(run, if_missing=if_missing, fail_on=fail_on)
    if not status and run.broken and not (writes and dry_run):
        status = 1
    if status:
        return ExitStatus(result=result_of(status), status=status)
    if isinstance(run.ended_by, OutOfTime):
        return ExitStatus(result="partial", status=0)
    if not writes:
        return ExitStatus(result="done", status=0)
    if not run.plan.writes:
        return ExitStatus(result="nothing-to-do", status=0)
    if dry_run:
        return ExitStatus(result="planned", status=0)
    if any(record.outcome.is_remaining for record in run.records):
        return ExitStatus(result="partial", status=0)
    return ExitStatus(result="done", status=0)


def result_of(status: int) -> str:
    """Return the result word of a non-zero exit status."""
    return {Cancelled.status: "cancelled", 3: "refused"}.get(status, "failed")


def _status(run: Run, *, if_missing: str, fail_on: str) -> int:
    ended_by = run.ended_by
    if ended_by is not None and not isinstance(ended_by, (NotAuthorized, Unreachable, OutOfTime)):
        return ended_by.status
    if isinstance(ended_by, NotAuthorized) or _nothing_permitted(run):
        return NotAuthorized.status
    if isinstance(ended_by, Unreachable) or _nothing_reachable(run):
        return Unreachable.status
    if run.scope.missing and if_missing == "fail":
        return 1
    if fail_on == "never":
        return 0
    outcomes = [record.outcome for record in run.records]
    if run.scope.problems or any(outcome.is_failed for outcome in outcomes):
        return 1
    return 1 if fail_on == "skip" and any(outcome.is_skipped for outcome in outcomes) else 0


def _nothing_permitted(run: Run) -> bool:
    """Whether permissions were missing, and for every package in scope."""
    outcomes: dict[PackageName, set[Outcome]] = {}
    for record in run.records:
        outcomes.setdefault(record.write.package, set()).add(record.outcome)
    # a problem with a list has no package
    forbidden = {
        *(package for package, found in outcomes.items() if found == {Outcome.NO_PERMISSION}),
        *(problem.package for problem in run.scope.problems if problem.error.kind in _PERMISSION_KINDS),
    }
    permitted = ({package.key for package in run.scope.packages} | outcomes.keys()) - forbidden
    return bool(forbidden) and not permitted


def _nothing_reachable(run: Run) -> bool:
    problems = run.scope.problems
    lost = {problem.package for problem in problems}
    return (
        bool(problems)
        and all(package.key in lost for package in run.scope.packages)
        and all(problem.error.kind is ApiErrorKind.UNREACHABLE for problem in problems)
    )
