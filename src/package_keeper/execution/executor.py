"""Carrying out a guarded plan: the one loop in which anything is written, as many writes side by side as GitHub lets.

Decisions, receipt and log stay in one thread; only the requests run in others, behind `Crew`. A refused write never
stops the others. What stops the rest: a token that is no longer accepted, a GitHub that is no longer reachable,
`time-limit`, a cancellation; each leaves a record for everything that was planned.
"""

import traceback
from collections.abc import Collection, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

from package_keeper.errors import (
    ApiError,
    ApiErrorKind,
    Cancelled,
    OutOfTime,
    PackageKeeperError,
    RateLimitedError,
    defect,
)
from package_keeper.execution.answers import Answers
from package_keeper.execution.batches import Schedule, WriteOperation
from package_keeper.execution.ports import Completed, Interruption, Log, Permit, WritePool
from package_keeper.execution.receipt import Ending, ReceiptWriter
from package_keeper.execution.refresh import Drift, Objection
from package_keeper.execution.wording import CUT_OFF, STILL_THERE, cut_off, describe, not_tried, tell
from package_keeper.model.packages import PackageName
from package_keeper.model.words import Action, Outcome
from package_keeper.policy.planning import GuardedPlan, PlannedWrite, WriteRecord, gone_versions

MANY = 5
"""So many versions are named, then how many there are."""


@dataclass(kw_only=True)
class Executed:
    """What became of every planned write, in the plan's order, and what ended the run early, if anything did."""

    records: list[WriteRecord] = field(default_factory=list)
    ended_by: PackageKeeperError | None = None


class Executor:
    """Carries out plans: records each write in the receipt around the request."""

    def __init__(self, receipt: ReceiptWriter, log: Log, interruption: Interruption, pool: WritePool) -> None:
        self.receipt = receipt
        self.log = log
        self.interruption = interruption
        self.pool = pool
        self.seen_gone: set[int] = set()
        """Versions that this run deleted and that a later look did not find any more."""
        self.forbidden: set[PackageName] = set()
        """Packages on which the token has no permission: one refusal speaks for all versions of a package."""

    def execute(
        self, plan: GuardedPlan, operation: WriteOperation, drift: Drift | None = None, *, to_the_end: bool = False
    ) -> Executed:
        """Do everything in `plan.now`; what is `later` is recorded as over the limit.

        `drift` is asked, when the inventory has become old, what of the rest is still to be done. After `time-limit`
        images that are begun are finished where that needs no wait; with `to_the_end` everything belongs to such.
        """
        executed = _Execution(self, plan, operation, drift, to_the_end=to_the_end).run()
        executed.records += [WriteRecord(write=write, outcome=Outcome.OVER_LIMIT) for write in plan.later]
        return executed

    def corrected(self, records: Sequence[WriteRecord], still_there: AbstractSet[int]) -> list[WriteRecord]:
        """The records where GitHub confirmed deletions of versions that are `still_there`; receipt and log say so.

        What was gone in between somebody else restored.
        """
        there = still_there - self.seen_gone
        wrong = [
            place
            for place, record in enumerate(records)
            if record.outcome is Outcome.DONE and record.write.version_id in there and record.write.tag is None
        ]
        found = list(records)
        if wrong:
            self.receipt.correct([records[place].write for place in wrong], STILL_THERE)
            names = ", ".join(describe(records[place].write) for place in wrong[:MANY])
            more = f" and {len(wrong) - MANY} more" if len(wrong) > MANY else ""
            self.log.error(f"{names}{more}: {STILL_THERE}")
        for place in wrong:
            found[place] = replace(found[place], outcome=Outcome.FAILED, message=STILL_THERE)
        return found


class _Execution:
    """One plan being carried out."""

    def __init__(
        self, executor: Executor, plan: GuardedPlan, operation: WriteOperation, drift: Drift | None, *, to_the_end: bool
    ) -> None:
        self._executor = executor
        self._writes = plan.now
        self._operation = operation
        self._drift = drift
        self._receipt = executor.receipt
        self._log = executor.log
        self._interruption = executor.interruption
        self._pool = executor.pool
        self._groups = plan.groups_of_now()
        self._waits_for = operation.waits_for(self._writes)
        self._batches = operation.batches(self._writes, self._groups, self._room)
        self._schedule = Schedule()
        self._records: dict[int, WriteRecord] = {}
        self._sequences: dict[int, int] = {}
        """The numbers in the receipt of the writes that are under way, by place."""
        self._begun: set[int] = set()
        self._given_up: dict[int, Objection] = {}
        self._answers = Answers(operation)
        self._to_finish: set[int] | None = None
        """After `time-limit`, the places of what is finished all the same."""
        self._to_the_end = to_the_end
        self._ended_by: PackageKeeperError | None = None

    def run(self) -> Executed:
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
        self._ended_by = self._ended_by or self._answers.silence(self._records.values())
        rest = self._ended_by or Cancelled()
        for place, write in enumerate(self._writes):
            if place in self._records:
                continue
            self._records[place] = cut_off(write) if place in self._sequences else not_tried(write, rest)
            self._end_left_open(self._records[place])
        self._end_lines(self._receipt.close())
        self._tell_forbidden()
        # the end of the time is no failure: what is left is recorded, and the operation goes on to its last look
        ended_by = None if isinstance(self._ended_by, OutOfTime) else self._ended_by
        return Executed(records=[self._records[place] for place in range(len(self._writes))], ended_by=ended_by)

    def _turn(self) -> bool:
        """Begin what may begin, take what came back; `False` when nothing is left to do."""
        self._watch_the_time()
        if self._ended_by is None and self._interruption.is_requested:
            self._ended_by = Cancelled()
        if self._ended_by is None and self._schedule.is_over and not self._next_batch():
            return False
        wait = self._begin_what_may() if self._ended_by is None else None
        if self._pool.in_flight:
            self._take(self._pool.completed())
            return True
        if self._ended_by is not None:
            return False
        if wait is not None:
            self._rest(wait)
        return True

    def _next_batch(self) -> bool:
        """Go on to the next batch with anything to do, after a look where it needs one; `False` at the end."""
        for batch in self._batches:
            wanted = self._wanted
            places = [place for place in batch.places if place in wanted]
            pending = [place for place in places if self._settled(place) is None]
            if batch.needs_look and pending and self._drift is not None:
                self._look_again(self._drift, pending)
            if places:
                self._schedule = Schedule(places, self._waits_for)
                return True
        if len(self._records) < len(self._writes):
            # no time is left to finish another image
            self._ended_by = OutOfTime()
        return False

    def _room(self) -> float:
        return self._pool.room(restores=self._restores)

    def _rest(self, seconds: float) -> None:
        """Wait until a write may be sent; the time may be over before that."""
        try:
            self._pool.rest(seconds, restores=self._restores)
        except OutOfTime as over:
            if self._to_finish is None:
                self._finish_what_is_begun()
            else:
                self._ended_by = over

    def _watch_the_time(self) -> None:
        """After `time-limit` nothing new begins, but a second look at what came back may still be taken."""
        if self._to_finish is None and self._pool.is_over:
            self._finish_what_is_begun()

    def _finish_what_is_begun(self) -> None:
        """After `time-limit` images that are begun are finished, as far as that needs no wait; nothing else begins."""
        self._to_finish = set(range(len(self._writes))) if self._to_the_end else self._unfinished_groups()
        self._schedule.keep_only(self._to_finish)
        self._pool.wind_up()

    @property
    def _restores(self) -> bool:
        return bool(self._writes) and self._writes[0].action is Action.RESTORE

    def _begin_what_may(self) -> float | None:
        """Begin as many writes as may go now; gives the seconds to wait where pace alone holds the next one back."""
        if self._drift is not None and self._drift.is_due() and not self._begun.issuperset(self._wanted):
            if not self._pool.in_flight:
                self._look_again(self._drift)
            return None
        wait, began = self._begin_some()
        if not (began or self._pool.in_flight or self._schedule.is_over) and wait is None:
            # what could be finished waits for what was left out
            self._ended_by = OutOfTime()
        return wait

    @property
    def _wanted(self) -> Collection[int]:
        """The places of what is done before the run ends: everything, or what is finished after `time-limit`."""
        return range(len(self._writes)) if self._to_finish is None else self._to_finish

    def _begin_some(self) -> tuple[float | None, bool]:
        batch: list[tuple[int, Permit]] = []
        wait: float | None = None
        settled_any = False
        while (place := self._schedule.begin()) is not None:
            write = self._writes[place]
            if (settled := self._settled(place)) is not None:
                self._begun.add(place)
                self._record(place, *settled)
                settled_any = True
                continue
            if write.tag is not None:
                return self._begin_tag(place, busy=bool(batch or self._pool.in_flight))
            leave = self._pool.admit(restores=self._restores, more=len(batch))
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
        if (settled := self._operation.settled(write)) is not None:
            return settled
        if (objection := self._given_up.get(place)) is not None:
            return objection.outcome, objection.text
        if write.package in self._executor.forbidden:
            return Outcome.NO_PERMISSION, "not sent, since the permission is missing for the whole package"
        return None

    def _start(self, batch: Sequence[tuple[int, Permit]]) -> None:
        """Record that requests are about to be sent, on disk, and send them."""
        places = [place for place, _ in batch]
        try:
            numbers = self._receipt.started([self._writes[place] for place in places])
        except PackageKeeperError as error:
            # nothing is sent without its line; what is under way already is still waited for
            self._ended_by = error
            for _, leave in batch:
                self._pool.give_back(leave)
            return
        self._begun.update(places)
        self._sequences.update(zip(places, numbers, strict=True))
        for place, leave in batch:
            write = self._writes[place]
            self._pool.start(place, leave, lambda write=write: self._operation.attempt(write))  # type: ignore[misc]  # reason: bound for each

    def _begin_tag(self, place: int, *, busy: bool) -> tuple[float | None, bool]:
        """Tags are moved here, one after the other: each is a look, a write, a look and another write.

        None is begun that would have to wait in the middle, with the tag on an empty manifest.
        """
        wait = 0.0 if busy else self._pool.wait(restores=self._restores)
        if busy or wait > 0:
            self._schedule.put_back(place)
            return wait or None, False
        self._begun.add(place)
        write = self._writes[place]
        try:
            outcome, message = self._send(write)
        except RateLimitedError as rate_limited:
            self._begun.discard(place)
            self._schedule.put_back(place)
            return rate_limited.wait, False
        except Cancelled as cancelled:
            if cancelled.in_flight:
                self._sequences[place] = 0
            raise
        except OutOfTime:
            self._finish_what_is_begun()
            outcome, message = Outcome.OUT_OF_TIME, ""
        self._record(place, outcome, message)
        return None, True

    def _send(self, write: PlannedWrite) -> tuple[Outcome, str]:
        """Send one write here, between its two lines of the receipt."""
        (number,) = self._receipt.started([write])
        try:
            self._operation.attempt(write)
            error: BaseException | None = None
        except (ApiError, Cancelled, OutOfTime) as ended:
            error = ended
        self._watch_the_time()
        if isinstance(error, RateLimitedError) and self._answers.was_not_done(write, error):
            self._receipt.leave_open(number, write)
            raise error
        outcome, message, ending = self._understand(number, write, error)
        self._end_lines([ending] if ending else [])
        if isinstance(error, PackageKeeperError):
            raise error
        return outcome, message

    def _take(self, completed: Sequence[Completed]) -> None:
        """Say what became of the writes that came back, first of all in the receipt.

        What is done is noted before anything is looked into, for a second look may be cut off.
        """
        self._watch_the_time()
        self._note([each for each in completed if each.error is None])
        for each in completed:
            if isinstance(each.error, RateLimitedError) and self._answers.was_not_done(
                self._writes[each.key], each.error
            ):
                self._hand_back(each.key)
            elif each.error is not None:
                self._note([each])

    def _hand_back(self, place: int) -> None:
        """A limit refused it: it is sent again when its turn comes, if a look at what is old by then lets it."""
        self._receipt.leave_open(self._sequences.pop(place), self._writes[place])
        self._begun.discard(place)
        self._schedule.put_back(place)

    def _end_left_open(self, record: WriteRecord) -> None:
        """End the line of a write that a limit refused, and that was not sent again."""
        number = self._receipt.left_open(record.write)
        if number is not None:
            self._end_lines([Ending(number, record.write, record.outcome, record.message)])

    def _note(self, completed: Sequence[Completed]) -> None:
        found = []
        endings = []
        for each in completed:
            write = self._writes[each.key]
            outcome, message, ending = self._understand(self._sequences[each.key], write, each.error)
            endings += [ending] if ending else []
            found.append((each.key, outcome, message))
        self._end_lines(endings)
        for place, outcome, message in found:
            del self._sequences[place]
            self._record(place, outcome, message)

    def _understand(
        self, number: int, write: PlannedWrite, error: BaseException | None
    ) -> tuple[Outcome, str, Ending | None]:
        """The outcome of a write, and the line of the receipt that says so."""
        certain = True
        if error is None:
            outcome, message = Outcome.DONE, ""
            self._answers.passed()
        elif isinstance(error, ApiError):
            if error.kind is ApiErrorKind.NOT_FOUND and write.package in self._executor.forbidden:
                # GitHub says "not found" for want of a permission; a look at each version would find the same
                outcome, message = Outcome.NO_PERMISSION, str(error)
            else:
                outcome, message = self._answers.meaning(write, error)
            self._ended_by = self._ended_by or self._answers.end
            certain = not (outcome is Outcome.FAILED and error.sent_before)
        elif isinstance(error, Cancelled):
            # the first that happened tells why the run ends
            self._ended_by = self._ended_by or error
            if error.in_flight:
                return Outcome.FAILED, CUT_OFF, None
            outcome, message = Outcome.OUT_OF_TIME, ""
        elif isinstance(error, OutOfTime):
            # a wait was cut short: the request was not carried out
            self._finish_what_is_begun()
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

    def _record(self, place: int, outcome: Outcome, message: str) -> None:
        write = self._writes[place]
        record = WriteRecord(write=write, outcome=outcome, message=message)
        self._records[place] = record
        self._operation.note(write, outcome)
        self._schedule.end(place)
        self._end_left_open(record)
        text = tell(record)
        if outcome is Outcome.NO_PERMISSION and write.package in self._executor.forbidden:
            self._log.debug(text)
        elif write.refusal is not None and write.action is Action.DELETE:
            # said once for the package, when it was planned
            self._log.info(text)
        elif outcome.is_failed:
            self._log.error(text)
        elif outcome.is_skipped:
            self._log.warning(text)
        else:
            self._log.info(text)
        if outcome is Outcome.NO_PERMISSION and self._ended_by is None:
            self._executor.forbidden.add(write.package)

    def _tell_forbidden(self) -> None:
        """Say how many versions one missing permission concerns; the first refusal said why."""
        for package in sorted(self._executor.forbidden, key=str):
            number = sum(
                record.outcome is Outcome.NO_PERMISSION and record.write.package == package
                for record in self._records.values()
            )
            if number > 1:
                self._log.error(f"{package}: {number} versions stay as they are for want of this permission")

    def _unfinished_groups(self) -> set[int]:
        """The places of all writes of images that are begun."""
        begun = {self._groups[place] for place in self._begun}
        return {place for place, group in enumerate(self._groups) if group in begun}

    def _look_again(self, drift: Drift, parts: Sequence[int] = ()) -> None:
        """Read packages again, and leave out what is no longer to be done.

        With `parts`, those of their packages: their roots must be gone, and nothing new may need them. Else everything
        that is left to do.
        """
        packages = {self._writes[place].package for place in parts}
        waiting = [
            place
            for place in sorted(self._wanted)
            if place not in self._records and (not packages or self._writes[place].package in packages)
        ]
        begun = self._unfinished_groups()
        left_over = {self._writes[place].version_id or 0 for place in waiting if place in begun}
        gone = gone_versions(
            record for record in self._records.values() if not packages or record.write.package in packages
        )
        is_partial = bool(packages) and any(
            self._writes[place].package not in packages for place in self._wanted if place not in self._records
        )
        try:
            look = drift.look([self._writes[place] for place in waiting], left_over, gone, is_partial=is_partial)
        except OutOfTime as over:
            self._ended_by = over
            self._pool.wind_up()
            return
        self._correct(look.still_there)
        self._executor.seen_gone |= look.seen_gone
        self._given_up.update(
            {place: each for place, each in zip(waiting, look.objections, strict=True) if each is not None}
        )

    def _correct(self, still_there: AbstractSet[int]) -> None:
        """Take back what was called done: GitHub confirmed a deletion, and a look shows the version all the same."""
        corrected = self._executor.corrected(list(self._records.values()), still_there)
        for place, record in zip(list(self._records), corrected, strict=True):
            if record is not self._records[place]:
                self._records[place] = record
                self._operation.note(record.write, record.outcome)
