"""The exit status and the result word of a run."""

from __future__ import annotations

import pytest

from package_keeper.errors import (
    ApiError,
    ApiErrorKind,
    BadInput,
    Cancelled,
    GuardRefused,
    NotAuthorized,
    OutOfTime,
    PackageKeeperError,
    Unreachable,
)
from package_keeper.model.packages import Package
from package_keeper.model.plan import Outcome, Plan, WriteRecord
from package_keeper.model.run import Problem, Run, Scope
from package_keeper.operations.exit_status import ExitStatus, ended, exit_status, reported, result_of, written
from tests.unit.execution.test_receipt import ACME, deletion
from tests.unit.execution.test_scope import FORBIDDEN, LISTING
from tests.unit.making import key, package

DOWN = ApiError(ApiErrorKind.UNREACHABLE, "HTTP 503", status=503)
DAMAGED = ApiError(ApiErrorKind.OTHER, "no JSON", status=200)


def run(
    *outcomes: Outcome,
    missing: bool = False,
    problems: list[ApiError] | None = None,
    packages: list[Package] | None = None,
    ended_by: PackageKeeperError | None = None,
    planned: int | None = None,
    broken: int = 0,
    of: str | None = None,
) -> Run:
    """Make a run that has ended. `of` is the container package that the problems are with, if any."""
    writes = [deletion(number) for number in range(len(outcomes))]
    return Run(
        scope=Scope(
            packages=(package("app", "container"),) if packages is None else tuple(packages),
            missing=("nowhere",) if missing else (),
            problems=tuple(
                Problem(what="x", error=error, package=None if of is None else key("container", of))
                for error in problems or []
            ),
        ),
        plan=Plan.of_singles(writes if planned is None else [deletion(number) for number in range(planned)]),
        records=tuple(
            WriteRecord(write=write, outcome=outcome) for write, outcome in zip(writes, outcomes, strict=True)
        ),
        broken=broken,
        ended_by=ended_by,
    )


APP, LIB = package("app", "container"), package("lib", "container")
DONE, FAILED, FORBID, LATER, SKIP = (
    Outcome.DONE,
    Outcome.FAILED,
    Outcome.NO_PERMISSION,
    Outcome.OVER_LIMIT,
    Outcome.LAST_VERSION,
)
ENDS = [
    (run(), {}, 0, "nothing-to-do"),
    (run(DONE), {}, 0, "done"),
    (run(planned=2), {"dry_run": True}, 0, "planned"),
    (run(), {"writes": False}, 0, "done"),
    (run(DONE, LATER), {}, 0, "partial"),
    (run(DONE, SKIP), {}, 0, "done"),
    (run(DONE, SKIP), {"fail_on": "skip"}, 1, "failed"),
    (run(DONE, FAILED), {}, 1, "failed"),
    (run(DONE, FAILED), {"fail_on": "skip"}, 1, "failed"),
    (run(DONE, FAILED), {"fail_on": "never"}, 0, "done"),
    (run(DONE, FAILED, LATER), {}, 1, "failed"),
    (run(DONE, FORBID), {}, 1, "failed"),
    (run(FORBID, FORBID), {}, 4, "failed"),
    (run(FORBID, FORBID), {"fail_on": "never"}, 4, "failed"),
    (run(FORBID, packages=[package("app", "container"), package("other")]), {}, 1, "failed"),
    (run(DONE, missing=True), {}, 1, "failed"),
    (run(DONE, missing=True), {"fail_on": "never"}, 1, "failed"),
    (run(DONE, missing=True), {"if_missing": "warn"}, 0, "done"),
    (run(DONE, missing=True), {"if_missing": "ignore"}, 0, "done"),
    (run(missing=True, packages=[]), {"if_missing": "ignore"}, 0, "nothing-to-do"),
    (run(problems=[FORBIDDEN], packages=[]), {}, 4, "failed"),
    (run(problems=[LISTING], packages=[]), {"writes": False}, 4, "failed"),
    (run(problems=[LISTING], packages=[], missing=True), {}, 4, "failed"),
    (run(DONE, problems=[FORBIDDEN]), {}, 1, "failed"),
    (run(problems=[DOWN], packages=[]), {}, 5, "failed"),
    (run(DONE, problems=[DOWN]), {}, 1, "failed"),
    (run(problems=[DOWN, FORBIDDEN], packages=[]), {}, 4, "failed"),
    (run(DONE, FAILED, ended_by=Unreachable("gone")), {}, 5, "failed"),
    (run(DONE, FORBID, ended_by=NotAuthorized("expired")), {}, 4, "failed"),
    (run(DONE, FORBID, ended_by=NotAuthorized("expired")), {"fail_on": "never"}, 4, "failed"),
    (run(DONE, Outcome.OUT_OF_TIME, ended_by=Cancelled()), {}, 130, "cancelled"),
    (run(DONE, Outcome.OUT_OF_TIME, missing=True, ended_by=Cancelled()), {"fail_on": "never"}, 130, "cancelled"),
    (run(ended_by=BadInput(["x"])), {}, 2, "failed"),
    (run(ended_by=GuardRefused("too much")), {}, 3, "refused"),
    (run(FORBID, ended_by=GuardRefused("too much")), {}, 3, "refused"),
    (run(DONE, ended_by=OutOfTime()), {}, 0, "partial"),
    (run(ended_by=OutOfTime()), {"writes": False}, 0, "partial"),
    (run(ended_by=OutOfTime(), missing=True), {}, 1, "failed"),
    # images that are known to be broken, unless this is the forecast of a run that writes
    (run(DONE, broken=1), {}, 1, "failed"),
    (run(DONE, broken=1), {"fail_on": "never"}, 1, "failed"),
    (run(broken=1), {"writes": False}, 1, "failed"),
    (run(broken=1), {"writes": False, "dry_run": True}, 1, "failed"),
    (run(planned=1, broken=1), {"dry_run": True}, 0, "planned"),
    (run(DONE, broken=1, ended_by=Unreachable("gone")), {}, 5, "failed"),
    # what is not permitted counts as 4 only when nothing else is in scope
    (run(FORBID, DONE, SKIP), {"fail_on": "never"}, 0, "done"),
    (run(problems=[FORBIDDEN], of="app"), {}, 4, "failed"),
    (run(problems=[FORBIDDEN], of="app", packages=[APP, LIB]), {}, 1, "failed"),
    (run(FORBID, problems=[FORBIDDEN], of="lib", packages=[APP, LIB]), {}, 4, "failed"),
    (run(DONE, problems=[FORBIDDEN], of="lib", packages=[LIB]), {}, 1, "failed"),
    (run(problems=[FORBIDDEN]), {}, 1, "failed"),
    (run(problems=[FORBIDDEN, DOWN], packages=[]), {}, 4, "failed"),
    (run(problems=[DOWN], of="app", packages=[APP]), {}, 5, "failed"),
    (run(problems=[DOWN], of="app", packages=[APP, LIB]), {}, 1, "failed"),
    (run(problems=[DOWN, DAMAGED], packages=[]), {}, 1, "failed"),
    (run(problems=[DAMAGED], of="app", packages=[APP]), {}, 1, "failed"),
    (run(problems=[DAMAGED], packages=[]), {"writes": False}, 1, "failed"),
    (run(DONE, SKIP, problems=[DAMAGED]), {"fail_on": "skip"}, 1, "failed"),
    (run(packages=[]), {}, 0, "nothing-to-do"),
    (run(DONE), {"fail_on": "skip"}, 0, "done"),
]


@pytest.mark.parametrize(("ended", "how", "status", "result"), ENDS)
def test_the_first_exit_status_that_applies_counts(
    ended: Run, how: dict[str, object], status: int, result: str
) -> None:
    settings = {"writes": True, "dry_run": False, "if_missing": "fail", "fail_on": "error"} | how
    found = exit_status(ended, **settings)  # type: ignore[arg-type]
    assert (found.status, found.result) == (status, result)


@pytest.mark.parametrize(
    ("status", "word"), [(1, "failed"), (2, "failed"), (3, "refused"), (4, "failed"), (5, "failed"), (130, "cancelled")]
)
def test_each_exit_status_that_is_not_0_has_its_result_word(status: int, word: str) -> None:
    assert result_of(status) == word


def at_its_end(before: Run, error: PackageKeeperError | None, *executed: WriteRecord) -> Run:
    files = {"plan": ("plan.json", "abc"), "receipt": "r.jsonl"}
    return ended(before, error, owner=ACME, seconds=2.5, executed=executed, **files)  # type: ignore[arg-type]


def test_a_run_at_its_end_says_what_ended_it_and_which_files_it_wrote() -> None:
    found = at_its_end(Run(), None)
    assert (found.ended_by, found.owner, found.seconds, found.records) == (None, ACME, 2.5, ())
    assert (found.plan_file, found.plan_sha256, found.receipt) == ("plan.json", "abc", "r.jsonl")
    before = OutOfTime()
    assert at_its_end(run(ended_by=before), None).ended_by is before
    after = Unreachable("gone")
    assert at_its_end(run(ended_by=before), after).ended_by is after


def test_the_report_has_the_result_the_messages_and_the_output_file() -> None:
    found = written(reported(Run(), ExitStatus(result="partial", status=0), ["one", "two"]), "out.json")
    assert (found.result, found.messages, found.output_file) == ("partial", ("one", "two"), "out.json")


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (None, Outcome.OUT_OF_TIME),
        (Cancelled(), Outcome.OUT_OF_TIME),
        (NotAuthorized("expired"), Outcome.NO_PERMISSION),
        (Unreachable("gone"), Outcome.FAILED),
    ],
)
def test_records_that_an_operation_did_not_take_are_reported_all_the_same(
    error: PackageKeeperError | None, outcome: Outcome
) -> None:
    plan = Plan.of_singles([deletion(number) for number in range(1, 5)])
    one, two, three, four = plan.writes
    taken, lost = WriteRecord(write=one, outcome=Outcome.FAILED), WriteRecord(write=two, outcome=Outcome.DONE)
    before = Run(plan=plan, records=(taken,))
    found = at_its_end(before, error, WriteRecord(write=one, outcome=Outcome.DONE), lost)
    assert found.records[:2] == (taken, lost), "what the operation said stays"
    assert [(record.write, record.outcome) for record in found.records[2:]] == [(three, outcome), (four, outcome)]
    assert at_its_end(before, error).records == (taken,), "where nothing was executed, nothing is added"
