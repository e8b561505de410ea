"""How sending a write ended, what that means, and when it ends the run."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

import pytest

from package_keeper.causes import Cause
from package_keeper.errors import (
    ApiError,
    ApiErrorKind,
    Cancelled,
    NotAuthorized,
    OutOfTime,
    RateLimitedError,
    Unreachable,
)
from package_keeper.execution.answers import Answers
from package_keeper.execution.results import Answer, Done, Interrupted, RateLimited, Refused, SendResult, send
from package_keeper.model.packages import PackageName
from package_keeper.model.plan import Outcome, PlannedWrite, WriteRecord
from tests.unit.execution.test_executor import Script
from tests.unit.execution.test_receipt import deletion

WRITE = deletion(1)
UNREACHABLE, NOT_FOUND, OTHER = ApiErrorKind.UNREACHABLE, ApiErrorKind.NOT_FOUND, ApiErrorKind.OTHER


def error(kind: ApiErrorKind = OTHER, **more: bool) -> ApiError:
    return ApiError(kind, "no", **more)  # type: ignore[arg-type]


def limited(*, lost: bool) -> RateLimitedError:
    return RateLimitedError(error(), 7.0, sent_before=lost)


@dataclass
class Look(Script):
    """A strategy whose second looks find `done`, or fail."""

    endings: dict[int, Exception] = field(default_factory=dict)
    done: bool | Exception | None = False
    fails: Exception | None = None
    looks: int = 0

    def is_done(self, write: PlannedWrite) -> bool | None:  # type: ignore[override]
        self.looks += 1
        if isinstance(self.done, Exception):
            raise self.done
        return self.done

    def meaning(self, write: PlannedWrite, error: ApiError) -> Answer:
        if self.fails is not None:
            raise self.fails
        return super().meaning(write, error)


# --- sending ---


def raising(what: Exception) -> Callable[[], None]:
    def write() -> None:
        raise what

    return write


@pytest.mark.parametrize(
    ("raised", "kind", "uncertain"),
    [
        (error(), Refused, False),
        (error(sent_before=True), Refused, True),
        (limited(lost=False), RateLimited, False),
        (limited(lost=True), RateLimited, True),
        (OutOfTime(), Interrupted, False),
        (Cancelled(), Interrupted, False),
        (Cancelled(in_flight=True), Interrupted, True),
        # a defect of this program: nobody knows how far it came
        (ZeroDivisionError(), Interrupted, True),
    ],
)
def test_how_sending_ends(raised: Exception, kind: type, uncertain: bool) -> None:
    result: Any = send(raising(raised))
    assert (type(result), result.error, result.uncertain) == (kind, raised, uncertain)
    if isinstance(result, RateLimited):
        assert result.wait == 7.0
    assert send(lambda: None) == Done()


# --- what it means ---


def refused(kind: ApiErrorKind = OTHER, *, uncertain: bool = False, out_of_time: bool = False) -> Refused:
    return Refused(error(kind, sent_before=uncertain, out_of_time=out_of_time), uncertain)


@pytest.mark.parametrize(
    ("result", "look", "outcome", "certain"),
    [
        (Done(), Look(), Outcome.DONE, True),
        (Interrupted(OutOfTime(), uncertain=False), Look(), Outcome.OUT_OF_TIME, True),
        (Interrupted(Cancelled(), uncertain=False), Look(), Outcome.OUT_OF_TIME, True),
        (refused(), Look(), Outcome.FAILED, True),
        (refused(uncertain=True), Look(), Outcome.FAILED, False),
        # GitHub answered a later try, so only the receipt says that the first one may have worked
        (refused(uncertain=True), Look(done=True), Outcome.FAILED, False),
        (refused(ApiErrorKind.LAST_VERSION, uncertain=True), Look(), Outcome.LAST_VERSION, True),
        # an answer was lost: looked up
        (refused(UNREACHABLE, uncertain=True), Look(done=True), Outcome.DONE, True),
        (refused(UNREACHABLE, uncertain=True), Look(done=False), Outcome.FAILED, False),
        (refused(UNREACHABLE, uncertain=True), Look(done=None), Outcome.FAILED, False),
        (refused(UNREACHABLE, uncertain=True), Look(done=OutOfTime()), Outcome.FAILED, False),
        (refused(UNREACHABLE, uncertain=True, out_of_time=True), Look(done=False), Outcome.OUT_OF_TIME, True),
        (refused(UNREACHABLE, uncertain=True, out_of_time=True), Look(done=None), Outcome.FAILED, False),
        # it was never sent
        (refused(UNREACHABLE), Look(done=True), Outcome.FAILED, True),
        (refused(ApiErrorKind.UNCONFIRMED), Look(done=True), Outcome.DONE, True),
        (refused(ApiErrorKind.UNCONFIRMED), Look(done=False), Outcome.FAILED, True),
        (refused(ApiErrorKind.UNAUTHORIZED), Look(), Outcome.NO_PERMISSION, True),
        # the second look fails as well
        (refused(NOT_FOUND), Look(fails=error(UNREACHABLE)), Outcome.FAILED, True),
        (refused(NOT_FOUND, uncertain=True), Look(fails=OutOfTime()), Outcome.FAILED, False),
    ],
)
def test_what_the_end_of_a_write_means(result: SendResult, look: Look, outcome: Outcome, certain: bool) -> None:
    answer = Answers(look).of(WRITE, result)
    assert (answer.outcome, answer.certain, answer.is_cut_off) == (outcome, certain, False)


def test_a_request_that_was_interrupted_in_flight_has_no_second_line() -> None:
    answer = Answers(Look()).of(WRITE, Interrupted(Cancelled(in_flight=True), uncertain=True))
    assert (answer.outcome, answer.is_cut_off) == (Outcome.FAILED, True)


@pytest.mark.parametrize(
    ("kind", "forbidden", "outcome"),
    [
        (NOT_FOUND, {WRITE.package}, Outcome.NO_PERMISSION),
        (NOT_FOUND, set(), Outcome.FAILED),
        (OTHER, {WRITE.package}, Outcome.FAILED),
    ],
)
def test_not_found_means_a_missing_permission_where_one_was_missing(
    kind: ApiErrorKind, forbidden: Collection[PackageName], outcome: Outcome
) -> None:
    assert Answers(Look()).of(WRITE, refused(kind), forbidden).outcome is outcome


@pytest.mark.parametrize(
    ("lost", "done", "expected"),
    [(False, True, True), (True, False, True), (True, True, False), (True, None, False)],
)
def test_a_rate_limited_write_is_sent_again_only_when_it_certainly_did_not_happen(
    lost: bool, done: bool | None, expected: bool
) -> None:
    result = RateLimited(limited(lost=lost), 7.0, uncertain=lost)
    assert Answers(Look(done=done)).was_not_done(WRITE, result) is expected


# --- when it ends the run ---

LOST = refused(UNREACHABLE)


@pytest.mark.parametrize(
    ("results", "ends"),
    [
        ([LOST, LOST], None),
        ([LOST, LOST, LOST], Unreachable),
        ([LOST, LOST, Done(), LOST, LOST], None),
        ([LOST, LOST, refused(), LOST, LOST], None),
        ([refused(ApiErrorKind.UNAUTHORIZED)], NotAuthorized),
        ([refused(ApiErrorKind.UNAUTHORIZED), LOST, LOST, LOST], NotAuthorized),
        ([Interrupted(Cancelled(), uncertain=False), refused(ApiErrorKind.UNAUTHORIZED)], Cancelled),
        ([refused(ApiErrorKind.UNAUTHORIZED), Interrupted(Cancelled(), uncertain=False)], NotAuthorized),
        ([LOST, LOST, LOST, refused(ApiErrorKind.UNAUTHORIZED)], Unreachable),
        ([Interrupted(Cancelled(), uncertain=False), LOST, LOST, LOST], Cancelled),
        ([Interrupted(OutOfTime(), uncertain=False)], None),
        ([refused(NOT_FOUND)], None),
    ],
)
def test_the_first_reason_ends_the_run(results: list[SendResult], ends: type[Exception] | None) -> None:
    answers = Answers(Look())
    for result in results:
        answers.of(WRITE, result)
    assert (type(answers.end) if answers.end else None) is ends
    assert answers.is_out_of_time is any(
        isinstance(result, Interrupted) and isinstance(result.error, OutOfTime) for result in results
    )


def test_a_lost_write_that_happened_shows_that_github_can_be_reached() -> None:
    answers = Answers(Look(done=True))
    for _ in range(5):
        answers.of(WRITE, refused(UNREACHABLE, uncertain=True))
    assert answers.end is None


def test_a_defect_ends_the_run_and_says_so() -> None:
    answers = Answers(Look())
    answers.of(WRITE, Interrupted(ZeroDivisionError("by zero"), uncertain=True))
    assert "by zero" in str(answers.end)


@pytest.mark.parametrize(
    ("lost", "others", "silent"),
    [(1, [], True), (2, [], True), (2, [Outcome.DONE], False), (2, [Outcome.FAILED], False), (0, [], False)],
)
def test_github_is_unreachable_when_no_write_got_an_answer(lost: int, others: list[Outcome], silent: bool) -> None:
    answers = Answers(Look())
    for _ in range(lost):
        answers.of(WRITE, LOST)
    records = [WriteRecord(write=WRITE, outcome=outcome) for outcome in (*[Outcome.FAILED] * lost, *others)]
    assert isinstance(answers.silence(records), Unreachable) is silent


def test_a_lost_write_that_happened_begins_the_count_anew() -> None:
    answers = Answers(Look(done=True))
    for result in (LOST, LOST, refused(UNREACHABLE, uncertain=True), LOST, LOST):
        answers.of(WRITE, result)
    assert answers.end is None
    answers.of(WRITE, LOST)
    assert isinstance(answers.end, Unreachable)


@pytest.mark.parametrize("kind", [UNREACHABLE, ApiErrorKind.UNAUTHORIZED])
def test_the_error_that_ends_the_run_has_the_causes_of_the_write(kind: ApiErrorKind) -> None:
    answers = Answers(Look())
    known = ApiError(kind, "no", cause=Cause.TLS)
    for _ in range(3):
        answers.of(WRITE, Refused(known, uncertain=False))
    assert answers.end is not None
    assert answers.end.causes == (Cause.TLS,)
