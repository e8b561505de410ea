"""Carrying out a guarded plan, one write after the other: the one loop in which anything is written.

A refused write never stops the others. What stops the rest: a token that is no longer accepted, a GitHub that is no
longer reachable, a cancellation; each leaves a record for everything that was planned.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from package_keeper.decisions.plan import GuardedPlan, PlannedWrite, WriteRecord
from package_keeper.decisions.vocabulary import Decision, Outcome
from package_keeper.errors import (
    Cancelled,
    NotAuthorized,
    PackageKeeperError,
    Refusal,
    RefusalKind,
    Unreachable,
)
from package_keeper.execution.ports import Interruption, Log
from package_keeper.execution.receipt import ReceiptWriter
from package_keeper.inventory.version import display_name

Send = Callable[[PlannedWrite], tuple[Outcome, str]]
"""Sends one write between its two lines of the receipt, and says what became of it."""

UNREACHABLE_IN_A_ROW = 3
"""After so many writes in a row without an answer the rest is not tried: each would wait 30 seconds for nothing."""


class WriteOperation:
    """How one operation writes; `deleting` and `restoring` fill it in."""

    def settled(self, write: PlannedWrite) -> tuple[Outcome, str] | None:
        """The outcome of a write that needs no request any more."""
        return (write.refusal, "") if write.refusal is not None else None

    def attempt(self, write: PlannedWrite) -> None:
        """Send one write; raises `Refusal`."""
        raise NotImplementedError

    def is_done(self, write: PlannedWrite) -> bool:
        """Look whether a write that GitHub failed to answer was carried out; `False` when that cannot be told."""
        raise NotImplementedError

    def meaning(self, write: PlannedWrite, refused: Refusal) -> tuple[Outcome, str]:
        """Say what a refusal means for a write; may read, and may raise `Refusal` itself."""
        raise NotImplementedError

    def afterwards(self, write: PlannedWrite, outcome: Outcome, message: str, send: Send) -> tuple[Outcome, str]:
        """Go on after a write that was sent, with further writes if need be; gives the outcome to report."""
        del write, send
        return outcome, message


@dataclass(kw_only=True)
class Carried:
    """What became of every planned write, in the plan's order, and what ended the run early, if anything did."""

    records: list[WriteRecord] = field(default_factory=list)
    ended_by: PackageKeeperError | None = None


class Carrier:
    """Carries out plans: records each write in the receipt around the request."""

    def __init__(self, receipt: ReceiptWriter, log: Log, interruption: Interruption) -> None:
        self._receipt = receipt
        self._log = log
        self._interruption = interruption
        self._unreachable = 0

    def carry_out(self, plan: GuardedPlan, operation: WriteOperation) -> Carried:
        """Do everything in `plan.now`; what is `later` is recorded as over the limit."""
        carried = Carried()
        for write in plan.now:
            if carried.ended_by is not None:
                rest = Cancelled() if isinstance(carried.ended_by, Cancelled) else carried.ended_by
                carried.records.append(_not_tried(write, rest))
                continue
            before = len(carried.records)
            try:
                with self._interruption.shield():
                    self._one(write, operation, carried)
            except PackageKeeperError as error:
                carried.ended_by = error
                if len(carried.records) == before:
                    carried.records.append(_not_tried(write, error))
        failed = [record for record in carried.records if record.outcome is Outcome.FAILED]
        if carried.ended_by is None and failed and self._unreachable == len(failed) == len(carried.records):
            carried.ended_by = Unreachable(f"GitHub cannot be reached: {failed[-1].message}")
        carried.records += [WriteRecord(write=write, outcome=Outcome.OVER_LIMIT) for write in plan.later]
        return carried

    def _one(self, write: PlannedWrite, operation: WriteOperation, carried: Carried) -> None:
        settled = operation.settled(write)
        if settled is None:

            def send(another: PlannedWrite) -> tuple[Outcome, str]:
                return self._send(another, operation, carried)

            outcome, message = operation.afterwards(write, *send(write), send)
        else:
            outcome, message = settled
        self._record(carried, write, outcome, message)

    def _send(self, write: PlannedWrite, operation: WriteOperation, carried: Carried) -> tuple[Outcome, str]:
        sequence = self._receipt.started(write)
        certain = True
        try:
            operation.attempt(write)
            outcome, message = Outcome.DONE, ""
            self._unreachable = 0
        except Refusal as refused:
            outcome, message = self._understand(write, refused, operation, carried)
            certain = not (outcome is Outcome.FAILED and refused.sent_before)
        except Cancelled as cancelled:
            if not cancelled.in_flight:
                # a wait for a limit was cut short: the request was refused, not carried out
                self._receipt.ended(sequence, write, Outcome.OUT_OF_TIME)
            raise
        try:
            self._receipt.ended(sequence, write, outcome, message, certain=certain)
        except PackageKeeperError as error:
            # the request was carried out all the same; the lone `started` line is true, and nothing more is written
            carried.ended_by = error
        return outcome, message

    def _understand(
        self, write: PlannedWrite, refused: Refusal, operation: WriteOperation, carried: Carried
    ) -> tuple[Outcome, str]:
        if refused.kind is RefusalKind.UNREACHABLE and refused.status is not None and operation.is_done(write):
            return Outcome.DONE, "GitHub failed to say so; a second look shows it"
        if refused.kind is RefusalKind.UNREACHABLE:
            self._unreachable += 1
            if self._unreachable >= UNREACHABLE_IN_A_ROW:
                carried.ended_by = Unreachable(f"GitHub cannot be reached: {refused}")
            return Outcome.FAILED, str(refused)
        self._unreachable = 0
        if refused.kind is RefusalKind.UNAUTHORIZED:
            carried.ended_by = NotAuthorized(f"GitHub no longer accepts the token: {refused}\n{refused.remedy}")
            return Outcome.NO_PERMISSION, str(refused)
        try:
            return operation.meaning(write, refused)
        except Refusal as second:
            return Outcome.FAILED, f"{refused}; whether it is still there could not be found out: {second}"

    def _record(self, carried: Carried, write: PlannedWrite, outcome: Outcome, message: str) -> None:
        carried.records.append(WriteRecord(write=write, outcome=outcome, message=message))
        text = f"{describe(write)}: {_words(write, outcome)}, {write.why}" + (f" ({message})" if message else "")
        if outcome.is_failed:
            self._log.error(text)
        elif outcome.is_skipped:
            self._log.warning(text)
        else:
            self._log.info(text)


def describe(write: PlannedWrite) -> str:
    """Name what a write concerns: `npm/app 1.0.0 (id 7)`."""
    if write.version_id is None:
        return str(write.package)
    if write.tag is not None:
        return f"{write.package} tag {write.tag} of {display_name(write.version_name)} (id {write.version_id})"
    tags = f" [{', '.join(write.tags)}]" if write.tags else ""
    return f"{write.package} {display_name(write.version_name)}{tags} (id {write.version_id})"


def _words(write: PlannedWrite, outcome: Outcome) -> str:
    words = {Decision.DELETE: "deleted", Decision.UNTAG: "untagged", Decision.RESTORE: "restored"}
    return words[write.decision] if outcome is Outcome.DONE else outcome


def _not_tried(write: PlannedWrite, because: PackageKeeperError) -> WriteRecord:
    if isinstance(because, Cancelled):
        if because.in_flight:
            return WriteRecord(write=write, outcome=Outcome.FAILED, message="cut off; nobody knows whether it happened")
        return WriteRecord(write=write, outcome=Outcome.OUT_OF_TIME)
    outcome = Outcome.NO_PERMISSION if isinstance(because, NotAuthorized) else Outcome.FAILED
    return WriteRecord(write=write, outcome=outcome, message="not tried")
