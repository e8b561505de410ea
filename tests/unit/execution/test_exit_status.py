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
    PackageKeeperError,
    Unreachable,
)
from package_keeper.model.packages import Package
from package_keeper.model.plan import Outcome, Plan, WriteRecord
from package_keeper.model.run import Problem, Run, Scope
from package_keeper.operations.exit_status import exit_status
from tests.unit.execution.test_receipt import deletion
from tests.unit.execution.test_scope import FORBIDDEN, LISTING
from tests.unit.making import package

DOWN = ApiError(ApiErrorKind.UNREACHABLE, "HTTP 503", status=503)


def run(
    *outcomes: Outcome,
    missing: bool = False,
    problems: list[ApiError] | None = None,
    packages: list[Package] | None = None,
    ended_by: PackageKeeperError | None = None,
    planned: int | None = None,
) -> Run:
    writes = [deletion(number) for number in range(len(outcomes))]
    return Run(
        scope=Scope(
            packages=(package("app", "container"),) if packages is None else tuple(packages),
            missing=("nowhere",) if missing else (),
            problems=tuple(Problem(what="x", error=error) for error in problems or []),
        ),
        plan=Plan.of_singles(writes if planned is None else [deletion(number) for number in range(planned)]),
        records=tuple(
            WriteRecord(write=write, outcome=outcome) for write, outcome in zip(writes, outcomes, strict=True)
        ),
        ended_by=ended_by,
    )


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
]


@pytest.mark.parametrize(("ended", "how", "status", "result"), ENDS)
def test_the_first_exit_status_that_applies_counts(
    ended: Run, how: dict[str, object], status: int, result: str
) -> None:
    settings = {"writes": True, "dry_run": False, "if_missing": "fail", "fail_on": "error"} | how
    found = exit_status(ended, **settings)  # type: ignore[arg-type]
    assert (found.status, found.result) == (status, result)
