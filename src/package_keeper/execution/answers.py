"""What GitHub's answers mean for the writes of one plan, and when they say that the rest need not be tried."""

from collections.abc import Collection

from package_keeper.errors import (
    ApiError,
    ApiErrorKind,
    NotAuthorized,
    OutOfTime,
    PackageKeeperError,
    RateLimitedError,
    Unreachable,
)
from package_keeper.execution.batches import WriteOperation
from package_keeper.model.words import Outcome
from package_keeper.policy.planning import PlannedWrite, WriteRecord

UNREACHABLE_IN_A_ROW = 3
"""After so many writes in a row without an answer the rest is not tried: each would wait 30 seconds for nothing."""


class Answers:
    """Understands refusals, with a second look where an answer was lost.

    `end` is set by an answer after which nothing more is to be tried.
    """

    def __init__(self, operation: WriteOperation) -> None:
        self.end: PackageKeeperError | None = None
        self._operation = operation
        self._unreachable = 0

    def passed(self) -> None:
        """Note that a write was confirmed."""
        self._unreachable = 0

    def meaning(self, write: PlannedWrite, refused: ApiError) -> tuple[Outcome, str]:
        """The outcome of a write that was refused, and its message. May read."""
        is_lost = refused.kind is ApiErrorKind.UNREACHABLE and refused.sent_before
        is_done = self._is_done(write) if is_lost or refused.kind is ApiErrorKind.UNCONFIRMED else None
        if is_done:
            self._unreachable = 0
            return Outcome.DONE, "GitHub failed to say so; a second look shows it"
        if is_done is False and refused.out_of_time:
            refused.sent_before = False
            return Outcome.OUT_OF_TIME, ""
        if refused.kind is ApiErrorKind.UNREACHABLE:
            self._unreachable += 1
            if self._unreachable >= UNREACHABLE_IN_A_ROW:
                self.end = self.end or Unreachable(f"GitHub cannot be reached: {refused}")
            return Outcome.FAILED, str(refused)
        self._unreachable = 0
        if refused.kind is ApiErrorKind.UNAUTHORIZED:
            text = f"GitHub no longer accepts the token: {refused}\n{refused.remedy}"
            self.end = self.end or NotAuthorized(text)
            return Outcome.NO_PERMISSION, str(refused)
        try:
            return self._operation.meaning(write, refused)
        except (ApiError, OutOfTime) as second:
            # others are under way: they are waited for, so the end of the time ends the second look alone
            return Outcome.FAILED, f"{refused}; whether it is still there could not be found out: {second}"

    def was_not_done(self, write: PlannedWrite, rate_limited: RateLimitedError) -> bool:
        """Whether a write that a limit refused was not carried out by an earlier try, whose answer was lost."""
        return not rate_limited.sent_before or self._is_done(write) is False

    def silence(self, records: Collection[WriteRecord]) -> Unreachable | None:
        """The end of a run in which nothing was answered at all."""
        failed = [record for record in records if record.outcome is Outcome.FAILED]
        if failed and self._unreachable == len(failed) == len(records):
            return Unreachable(f"GitHub cannot be reached: {failed[-1].message}")
        return None

    def _is_done(self, write: PlannedWrite) -> bool | None:
        try:
            return self._operation.is_done(write)
        except OutOfTime:
            return None
