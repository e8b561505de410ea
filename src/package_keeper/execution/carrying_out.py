"""Carrying out a guarded plan: the one loop in which anything is written, as many writes side by side as GitHub lets.

Decisions, receipt and log stay in one thread; only the requests run in others, behind `Crew`. A refused write never
stops the others. What stops the rest: a token that is no longer accepted, a GitHub that is no longer reachable,
`time-limit`, a cancellation; each leaves a record for everything that was planned.
"""

import traceback
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from package_keeper.decisions.plan import GuardedPlan, PlannedWrite, WriteRecord
from package_keeper.decisions.vocabulary import Decision, Outcome
from package_keeper.errors import (
    Cancelled,
    NotAuthorized,
    OutOfTime,
    PackageKeeperError,
    Refusal,
    RefusalKind,
    Unreachable,
    defect,
)
from package_keeper.execution.drift import Drift
from package_keeper.execution.ports import Crew, Interruption, Landed, Leave, Log
from package_keeper.execution.receipt import Ending, ReceiptWriter
from package_keeper.execution.scheduling import Schedule
from package_keeper.execution.write_operation import WriteOperation
from package_keeper.inventory.version import display_name

UNREACHABLE_IN_A_ROW = 3
"""After so many writes in a row without an answer the rest is not tried: each would wait 30 seconds for nothing."""


@dataclass(kw_only=True)
class Carried:
    """What became of every planned write, in the plan's order, and what ended the run early, if anything did."""

    records: list[WriteRecord] = field(default_factory=list)
    ended_by: PackageKeeperError | None = None


class Carrier:
    """Carries out plans: records each write in the receipt around the request."""

    def __init__(self, receipt: ReceiptWriter, log: Log, interruption: Interruption, crew: Crew) -> None:
        self.receipt = receipt
        self.log = log
        self.interruption = interruption
        self.crew = crew

    def carry_out(self, plan: GuardedPlan, operation: WriteOperation, drift: Drift | None = None) -> Carried:
        """Do everything in `plan.now`; what is `later` is recorded as over the limit.

        `drift` is asked, when the inventory has become old, what of the rest is still to be done.
        """
        carried = _Carrying(self, plan, operation, drift).run()
        carried.records += [WriteRecord(write=write, outcome=Outcome.OVER_LIMIT) for write in plan.later]
        return carried


class _Carrying:
    """One plan being carried out."""

    def __init__(self, carrier: Carrier, plan: GuardedPlan, operation: WriteOperation, drift: Drift | None) -> None:
        self._writes = plan.now
        self._operation = operation
        self._drift = drift
        self._receipt = carrier.receipt
        self._log = carrier.log
        self._interruption = carrier.interruption
        self._crew = carrier.crew
        self._schedule = Schedule(operation.waits_for(self._writes), [operation.stage(write) for write in self._writes])
        self._records: dict[int, WriteRecord] = {}
        self._sequences: dict[int, int] = {}
        """The numbers in the receipt of the writes that are under way, by place."""
        self._begun: set[int] = set()
        self._given_up: dict[int, str] = {}
        self._groups = plan.groups_of_now()
        self._postponed: list[tuple[int, Outcome, str]] = []
        self._unreachable = 0
        self._ended_by: PackageKeeperError | None = None

    def run(self) -> Carried:
        """Carry it out; whatever happens, there is a record for every write in the end."""
        try:
            with self._interruption.shield():
                while self._turn():
                    pass
        except PackageKeeperError as error:
            self._ended_by = error
        except Exception as error:  # noqa: BLE001  # reason: what was done so far is reported all the same
            self._log.debug(traceback.format_exc())
            self._ended_by = defect(error)
        self._stop_unreachable()
        rest = self._ended_by or Cancelled()
        for place, write in enumerate(self._writes):
            if place in self._records:
                continue
            cut_off = place in self._sequences
            self._records[place] = _cut_off(write) if cut_off else _not_tried(write, rest)
        # the end of the time is no failure: what is left is recorded, and the operation goes on to its last look
        ended_by = None if isinstance(self._ended_by, OutOfTime) else self._ended_by
        return Carried(records=[self._records[place] for place in range(len(self._writes))], ended_by=ended_by)

    def _turn(self) -> bool:
        """Begin what may begin, take what came back; `False` when nothing is left to do."""
        if self._ended_by is None and self._crew.is_over:
            self._ended_by = OutOfTime()
            self._crew.wind_up()
        if self._ended_by is None and self._interruption.is_requested:
            self._ended_by = Cancelled()
        wait = self._begin_what_may() if self._ended_by is None and not self._postponed else None
        if self._crew.under_way:
            self._take(self._crew.landed())
            return True
        if self._postponed:
            place, outcome, message = self._postponed.pop(0)
            if self._ended_by is None:
                outcome, message = self._go_on_alone(place, outcome, message)
            self._record(place, outcome, message)
            return True
        if self._ended_by is not None or self._schedule.stage is None:
            return False
        if wait is not None:
            try:
                self._crew.rest(wait, restores=self._restores)
            except OutOfTime as over:
                self._ended_by = over
                self._crew.wind_up()
        return True

    def _go_on_alone(self, place: int, outcome: Outcome, message: str) -> tuple[Outcome, str]:
        try:
            return self._operation.afterwards(self._writes[place], outcome, message, self._send)
        except Cancelled as cancelled:
            if cancelled.in_flight:
                self._sequences[place] = 0
            raise

    @property
    def _restores(self) -> bool:
        return bool(self._writes) and self._writes[0].decision is Decision.RESTORE

    def _begin_what_may(self) -> float | None:
        """Begin as many writes as may go now; gives the seconds to wait where pace alone holds the next one back."""
        if self._drift is not None and self._drift.is_due() and len(self._begun) < len(self._writes):
            # images that are begun are finished first, so that a fresh look finds them whole or gone
            wait, began = self._begin_some(self._unfinished_groups())
            if not began and wait is None and not self._crew.under_way:
                self._look_again(self._drift)
            return wait
        return self._begin_some(None)[0]

    def _begin_some(self, allowed: AbstractSet[int] | None) -> tuple[float | None, bool]:
        batch: list[tuple[int, Leave]] = []
        wait: float | None = None
        settled_any = False
        while (place := self._schedule.begin(allowed)) is not None:
            write = self._writes[place]
            if (settled := self._settled(place)) is not None:
                self._begun.add(place)
                self._record(place, *settled)
                settled_any = True
                continue
            if write.tag is not None:
                return None, self._begin_tag(place, busy=bool(batch or self._crew.under_way))
            leave = self._crew.admit(restores=self._restores, more=len(batch))
            if isinstance(leave, float | int):
                self._schedule.put_back(place)
                wait = leave
                break
            batch.append((place, leave))
        if batch:
            self._start(batch)
        return wait, bool(batch) or settled_any

    def _settled(self, place: int) -> tuple[Outcome, str] | None:
        write = self._writes[place]
        if place in self._given_up:
            self._operation.give_up(write)
            return Outcome.CHANGED_SINCE_PLAN, self._given_up[place]
        return self._operation.settled(write)

    def _start(self, batch: Sequence[tuple[int, Leave]]) -> None:
        """Record that requests are about to be sent, on disk, and send them."""
        places = [place for place, _ in batch]
        try:
            numbers = self._receipt.started([self._writes[place] for place in places])
        except PackageKeeperError as error:
            # nothing is sent without its line; what is under way already is still waited for
            self._ended_by = error
            return
        self._begun.update(places)
        self._sequences.update(zip(places, numbers, strict=True))
        for place, leave in batch:
            write = self._writes[place]
            self._crew.start(place, leave, lambda write=write: self._operation.attempt(write))  # type: ignore[misc]  # reason: bound for each

    def _begin_tag(self, place: int, *, busy: bool) -> bool:
        """Tags are moved here, one after the other: each is a look, a write, a look and another write."""
        if busy:
            self._schedule.put_back(place)
            return False
        self._begun.add(place)
        write = self._writes[place]
        try:
            outcome, message = self._send(write)
        except Cancelled as cancelled:
            if cancelled.in_flight:
                self._sequences[place] = 0
            raise
        self._record(place, *self._operation.afterwards(write, outcome, message, self._send))
        return True

    def _send(self, write: PlannedWrite) -> tuple[Outcome, str]:
        """Send one write here, between its two lines of the receipt."""
        (number,) = self._receipt.started([write])
        try:
            self._operation.attempt(write)
            error: BaseException | None = None
        except (Refusal, Cancelled, OutOfTime) as ended:
            error = ended
        outcome, message, ending = self._understand(number, write, error)
        self._end_lines([ending] if ending else [])
        if isinstance(error, PackageKeeperError):
            raise error
        return outcome, message

    def _take(self, landed: Sequence[Landed]) -> None:
        """Say what became of the writes that came back, first of all in the receipt.

        What is done is noted before anything is looked into, for a second look may be cut off.
        """
        self._note([each for each in landed if each.error is None])
        for each in landed:
            if each.error is not None:
                self._note([each])

    def _note(self, landed: Sequence[Landed]) -> None:
        found = []
        endings = []
        for each in landed:
            write = self._writes[each.key]
            outcome, message, ending = self._understand(self._sequences[each.key], write, each.error)
            endings += [ending] if ending else []
            found.append((each.key, outcome, message))
        self._end_lines(endings)
        for place, outcome, message in found:
            del self._sequences[place]
            if self._operation.must_be_alone(outcome):
                self._postponed.append((place, outcome, message))
            else:
                write = self._writes[place]
                self._record(place, *self._operation.afterwards(write, outcome, message, self._send))

    def _understand(
        self, number: int, write: PlannedWrite, error: BaseException | None
    ) -> tuple[Outcome, str, Ending | None]:
        """The outcome of a write, and the line of the receipt that says so."""
        certain = True
        if error is None:
            outcome, message = Outcome.DONE, ""
            self._unreachable = 0
        elif isinstance(error, Refusal):
            outcome, message = self._meaning(write, error)
            certain = not (outcome is Outcome.FAILED and error.sent_before)
        elif isinstance(error, Cancelled | OutOfTime):
            # the first that happened tells why the run ends
            self._ended_by = self._ended_by or error
            if isinstance(error, Cancelled) and error.in_flight:
                return Outcome.FAILED, CUT_OFF, None
            # a wait for a limit was cut short: the request was refused, not carried out
            outcome, message = Outcome.OUT_OF_TIME, ""
        else:
            raise error
        return outcome, message, Ending(number, write, outcome, message, certain=certain)

    def _end_lines(self, endings: Sequence[Ending]) -> None:
        try:
            self._receipt.ended(endings)
        except PackageKeeperError as error:
            # the requests were carried out all the same; the lone `started` lines are true, and nothing more is written
            self._ended_by = self._ended_by or error

    def _meaning(self, write: PlannedWrite, refused: Refusal) -> tuple[Outcome, str]:
        if refused.kind is RefusalKind.UNREACHABLE and refused.status is not None and self._is_done(write):
            return Outcome.DONE, "GitHub failed to say so; a second look shows it"
        if refused.kind is RefusalKind.UNREACHABLE:
            self._unreachable += 1
            if self._unreachable >= UNREACHABLE_IN_A_ROW:
                self._ended_by = self._ended_by or Unreachable(f"GitHub cannot be reached: {refused}")
            return Outcome.FAILED, str(refused)
        self._unreachable = 0
        if refused.kind is RefusalKind.UNAUTHORIZED:
            text = f"GitHub no longer accepts the token: {refused}\n{refused.remedy}"
            self._ended_by = self._ended_by or NotAuthorized(text)
            return Outcome.NO_PERMISSION, str(refused)
        try:
            return self._operation.meaning(write, refused)
        except (Refusal, OutOfTime) as second:
            # others are under way: they are waited for, so the end of the time ends the second look alone
            return Outcome.FAILED, f"{refused}; whether it is still there could not be found out: {second}"

    def _is_done(self, write: PlannedWrite) -> bool:
        try:
            return self._operation.is_done(write)
        except OutOfTime:
            return False

    def _record(self, place: int, outcome: Outcome, message: str) -> None:
        write = self._writes[place]
        self._records[place] = WriteRecord(write=write, outcome=outcome, message=message)
        self._schedule.end(place)
        text = f"{describe(write)}: {_words(write, outcome)}, {write.why}" + (f" ({message})" if message else "")
        if outcome.is_failed:
            self._log.error(text)
        elif outcome.is_skipped:
            self._log.warning(text)
        else:
            self._log.info(text)

    def _unfinished_groups(self) -> set[int]:
        """The places of all writes of images that are begun."""
        begun = {self._groups[place] for place in self._begun}
        return {place for place, group in enumerate(self._groups) if group in begun}

    def _look_again(self, drift: Drift) -> None:
        """Read again what is old, and leave out what is no longer to be done."""
        waiting = [place for place in range(len(self._writes)) if place not in self._begun]
        try:
            reasons = drift.objections([self._writes[place] for place in waiting])
        except OutOfTime as over:
            self._ended_by = over
            self._crew.wind_up()
            return
        self._given_up.update({place: reason for place, reason in zip(waiting, reasons, strict=True) if reason})

    def _stop_unreachable(self) -> None:
        failed = [record for record in self._records.values() if record.outcome is Outcome.FAILED]
        if self._ended_by is None and failed and self._unreachable == len(failed) == len(self._records):
            self._ended_by = Unreachable(f"GitHub cannot be reached: {failed[-1].message}")


CUT_OFF = "cut off; nobody knows whether it happened"


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


def _cut_off(write: PlannedWrite) -> WriteRecord:
    return WriteRecord(write=write, outcome=Outcome.FAILED, message=CUT_OFF)


def _not_tried(write: PlannedWrite, because: PackageKeeperError) -> WriteRecord:
    if isinstance(because, Cancelled | OutOfTime):
        return WriteRecord(write=write, outcome=Outcome.OUT_OF_TIME)
    outcome = Outcome.NO_PERMISSION if isinstance(because, NotAuthorized) else Outcome.FAILED
    return WriteRecord(write=write, outcome=outcome, message="not tried")
