"""Turns the result of sending a write into its outcome, and decides when to stop the run."""

from collections.abc import Collection, Sequence

from package_keeper.errors import (
    ApiError,
    ApiErrorKind,
    Cancelled,
    NotAuthorized,
    OutOfTime,
    PackageKeeperError,
    Unreachable,
    defect,
)
from package_keeper.execution.batches import WriteStrategy
from package_keeper.execution.results import Answer, Done, Interrupted, RateLimited, Refused, SendResult
from package_keeper.execution.wording import CUT_OFF
from package_keeper.model.packages import PackageName
from package_keeper.model.plan import Outcome, PlannedWrite, WriteRecord

UNREACHABLE_IN_A_ROW = 3
"""Stop after this many writes in a row without an answer: each of the others would wait 30 seconds for nothing."""


class Answers:
    """Interprets the results of one plan's writes. Looks again where an answer was lost.

    `end` is the error that ends the run, once there is one. `is_out_of_time` is set once a write did not fit into
    `time-limit`.
    """

    def __init__(self, strategy: WriteStrategy) -> None:
        self.end: PackageKeeperError | None = None
        self.is_out_of_time = False
        self._strategy = strategy
        self._unreachable = 0

    def of(self, write: PlannedWrite, result: SendResult, forbidden: Collection[PackageName] = ()) -> Answer:
        """Return the outcome of a write. May read. `forbidden` are packages where the token lacks a permission."""
        match result:
            case Done():
                self._unreachable = 0
                return Answer(Outcome.DONE)
            case Interrupted(error=OutOfTime()):
                self.is_out_of_time = True
                return Answer(Outcome.OUT_OF_TIME)
            case Interrupted(error=error, uncertain=uncertain):
                self.end = self.end or (error if isinstance(error, Cancelled) else defect(error))
                return Answer(Outcome.FAILED, CUT_OFF, is_cut_off=True) if uncertain else Answer(Outcome.OUT_OF_TIME)
            case Refused(error=error, uncertain=uncertain) | RateLimited(error=error, uncertain=uncertain):
                if error.kind is ApiErrorKind.NOT_FOUND and write.package in forbidden:
                    # GitHub says "not found" when a permission is missing: do not look at each version
                    return Answer(Outcome.NO_PERMISSION, str(error))
                return self._of_error(write, error, uncertain=uncertain)

    def was_not_done(self, write: PlannedWrite, result: RateLimited) -> bool:
        """Return whether a rate-limited write certainly did not happen: an earlier try may have lost its answer."""
        return not result.uncertain or self._is_done(write) is False

    def silence(self, records: Sequence[WriteRecord]) -> Unreachable | None:
        """Return the error that ends the run if no write got an answer."""
        if records and self._unreachable == len(records):
            return Unreachable(f"GitHub cannot be reached: {records[-1].message}")
        return None

    def _of_error(self, write: PlannedWrite, error: ApiError, *, uncertain: bool) -> Answer:
        is_lost = error.kind is ApiErrorKind.UNREACHABLE and uncertain
        is_done = self._is_done(write) if is_lost or error.kind is ApiErrorKind.UNCONFIRMED else None
        if is_done:
            self._unreachable = 0
            return Answer(Outcome.DONE, "GitHub failed to say so; a second look shows it")
        if is_done is False and error.out_of_time:
            return Answer(Outcome.OUT_OF_TIME)
        if error.kind is ApiErrorKind.UNREACHABLE:
            self._unreachable += 1
            if self._unreachable >= UNREACHABLE_IN_A_ROW:
                self.end = self.end or Unreachable(f"GitHub cannot be reached: {error}", causes=error.causes)
            return Answer(Outcome.FAILED, str(error), certain=not uncertain)
        self._unreachable = 0
        if error.kind is ApiErrorKind.UNAUTHORIZED:
            self.end = self.end or NotAuthorized(
                f"GitHub no longer accepts the token: {error}\n{error.remedy}", causes=error.causes
            )
            return Answer(Outcome.NO_PERMISSION, str(error))
        try:
            answer = self._strategy.meaning(write, error)
        except (ApiError, OutOfTime) as second:
            # other writes are in flight and must be waited for, so running out of time ends only this second look
            text = f"{error}; whether it is still there could not be found out: {second}"
            answer = Answer(Outcome.FAILED, text)
        if answer.outcome is Outcome.FAILED and uncertain:
            return Answer(answer.outcome, answer.message, certain=False)
        return answer

    def _is_done(self, write: PlannedWrite) -> bool | None:
        try:
            return self._strategy.is_done(write)
        except OutOfTime:
            return None
