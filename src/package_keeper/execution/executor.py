"""The executor: the one loop that writes. It sends a guarded plan, with as many writes in flight as GitHub allows.

Decisions, receipt and log stay in one thread. Only the requests run in worker threads, behind `WritePool`. A failed
write does not stop the others. Four things stop the run: GitHub no longer accepts the token, GitHub cannot be reached,
`time-limit` is over, or the run is cancelled. Every planned write gets a record, whatever happens.
"""

import traceback
from collections.abc import Collection, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from package_keeper.errors import Cancelled, OutOfTime, PackageKeeperError, defect
from package_keeper.execution.answers import Answers
from package_keeper.execution.batches import Schedule, WriteStrategy, after_named
from package_keeper.execution.ports import Interruption, Log, WritePool
from package_keeper.execution.receipt import Ending, ReceiptWriter
from package_keeper.execution.refresh import Objection, Refresh
from package_keeper.execution.results import Answer, Done, Interrupted, RateLimited, SendResult, send
from package_keeper.execution.wording import CUT_OFF, NOT_SENT, STILL_GONE, STILL_THERE, describe, few, not_tried, tell
from package_keeper.model.packages import PackageName
from package_keeper.model.plan import Action, GuardedPlan, Outcome, PlannedWrite, WriteRecord, gone_versions


class Executed(Struct, frozen=True, kw_only=True):
    """The record of every planned write, in the order of the plan, and the error that ended the run early, if any."""

    records: tuple[WriteRecord, ...] = ()
    ended_by: PackageKeeperError | None = None


class Executor:
    """Executes guarded plans, and records each write in the receipt before and after its request."""

    def __init__(self, receipt: ReceiptWriter, log: Log, interruption: Interruption, pool: WritePool) -> None:
        self.receipt = receipt
        self.log = log
        self.interruption = interruption
        self.pool = pool
        self.records: list[WriteRecord] = []
        """The records of all writes so far, of all plans."""
        self.seen_gone: set[int] = set()
        """The versions that this run deleted, and that GitHub did not have when it was asked later."""
        self.confirmed: set[PackageName] = set()
        """Packages whose deletions were held against a fresh list at the end."""
        self.forbidden: set[PackageName] = set()
        """Packages where the token lacks a permission. After one such error, no other write to the package is sent."""

    def execute(
        self, plan: GuardedPlan, strategy: WriteStrategy, refresh: Refresh | None = None, *, to_the_end: bool = False
    ) -> Executed:
        """Send the writes of `plan.now`, and record those of `plan.later` as over the limit.

        When the inventory is too old, `refresh` says which of the remaining writes are still wanted. After
        `time-limit`, the executor finishes the images that it has begun, as far as that needs no wait. With
        `to_the_end`, it treats all writes of the plan so.
        """
        executed = _Execution(self, plan, strategy, refresh, to_the_end=to_the_end).run()
        later = tuple(WriteRecord(write=write, outcome=Outcome.OVER_LIMIT) for write in plan.later)
        return replace(executed, records=executed.records + later)

    def corrected(self, records: Sequence[WriteRecord], still_there: AbstractSet[int]) -> tuple[WriteRecord, ...]:
        """Return the records, with confirmed deletions of versions that are `still_there` marked as failed.

        The receipt is corrected too. A version that was gone in between was restored by somebody else.
        """
        still_there = still_there - self.seen_gone
        return self.disproved(
            records,
            [
                each.write
                for each in records
                if each.is_done and each.write.version_id in still_there and not each.write.tag
            ],
        )

    def disproved(self, records: Sequence[WriteRecord], wrong: Sequence[PlannedWrite]) -> tuple[WriteRecord, ...]:
        """Return the records, with the writes that did not happen after all marked as failed.

        The receipt is corrected too.
        """
        text = {Action.DELETE: STILL_THERE, Action.RESTORE: STILL_GONE}
        for action, message in text.items():
            if writes := [write for write in wrong if write.action is action]:
                self.receipt.correct(writes, message)
                self.log.info(f"{few(map(describe, writes))}: {message}")
        ids = {id(write) for write in wrong}
        return tuple(
            replace(each, outcome=Outcome.FAILED, message=text[each.write.action]) if id(each.write) in ids else each
            for each in records
        )


class _Execution:
    """The execution of one guarded plan. A write is identified by its place in `plan.now`."""

    def __init__(
        self,
        executor: Executor,
        plan: GuardedPlan,
        strategy: WriteStrategy,
        refresh: Refresh | None,
        *,
        to_the_end: bool,
    ) -> None:
        self._executor = executor
        self._writes = plan.now
        self._strategy = strategy
        self._refresh = refresh
        self._receipt = executor.receipt
        self._log = executor.log
        self._interruption = executor.interruption
        self._pool = executor.pool
        self._groups = plan.groups_of_now()
        self._waits_for = after_named(self._writes)
        self._batches = strategy.batches(self._writes, self._groups, lambda: self._pool.room(restores=self._restores))
        self._schedule = Schedule()
        self._records: dict[int, WriteRecord] = {}
        self._by_version: dict[int, WriteRecord] = {}
        """The records of writes to versions, by version id."""
        self._sequences: dict[int, int] = {}
        """The receipt numbers of the writes in flight, by place."""
        self._begun: set[int] = set()
        self._dropped: dict[int, Objection | None] = {}
        self._failed_so: set[Outcome] = set()
        """The outcomes of failures that were logged."""
        self._answers = Answers(strategy)
        self._to_finish: set[int] | None = None
        """After `time-limit`, the places of the writes that may still be sent."""
        self._to_the_end = to_the_end
        self._ended_by: PackageKeeperError | None = None
        self._is_closed = False

    def run(self) -> Executed:
        """Execute the plan. Every write has a record at the end, whatever happens."""
        try:
            with self._interruption.shield():
                self._send_all()
                self._close()
        except Cancelled as cancelled:
            # a first signal while the records were closed, or a second one
            self._ended_by = self._ended_by or cancelled
            self._close()
        # running out of time is not an error: the rest is recorded, and the operation goes on to verify images
        ended_by = None if isinstance(self._ended_by, OutOfTime) else self._ended_by
        return Executed(records=tuple(self._records[place] for place in range(len(self._writes))), ended_by=ended_by)

    def _send_all(self) -> None:
        """Send writes until nothing is left to send, or the run has to end."""
        try:
            while self._turn():
                pass
        except PackageKeeperError as error:
            self._ended_by = error
        except Exception as error:  # noqa: BLE001  # reason: report what was done before the defect
            self._log.debug(traceback.format_exc())
            self._ended_by = defect(error)
        self._ended_by = self._ended_by or self._answers.silence(list(self._records.values()))

    def _close(self) -> None:
        """Record what was not sent, and end the receipt."""
        if self._is_closed:
            return
        self._record_the_rest(self._ended_by or Cancelled())
        self._append(self._receipt.close())
        self._executor.records += self._records.values()
        self._is_closed = True

    def _record_the_rest(self, because: PackageKeeperError) -> None:
        for place, write in enumerate(self._writes):
            if place in self._sequences:
                self._records[place] = WriteRecord(write=write, outcome=Outcome.FAILED, message=CUT_OFF)
            elif place not in self._records:
                self._records[place] = not_tried(write, because)
                self._end_left_open(self._records[place])

    # --- what to do next ---

    def _turn(self) -> bool:
        """Begin the writes that may begin, and process the completed ones. `False` when nothing is left."""
        self._log.progress("writing", len(self._records), len(self._writes))
        self._watch_the_time()
        self._watch_for_signals()
        if self._ended_by is None and self._schedule.is_over and not self._next_batch():
            return False
        # a signal may have come while lists were read again
        self._watch_for_signals()
        wait = self._begin_what_may() if self._ended_by is None else None
        if self._pool.in_flight:
            self._take(self._pool.completed())
            return True
        if self._ended_by is not None:
            return False
        if wait is not None:
            self._rest(wait)
        return True

    def _watch_for_signals(self) -> None:
        """Begin no write once the run is cancelled."""
        if self._ended_by is None and self._interruption.is_requested:
            self._ended_by = Cancelled()

    def _next_batch(self) -> bool:
        """Go on to the next batch with writes. Read its packages again if it needs that. `False` at the end."""
        for batch in self._batches:
            wanted = self._wanted
            places = [place for place in batch.places if place in wanted]
            pending = [place for place in places if self._settled(place) is None]
            if batch.needs_look and pending and self._refresh is not None:
                self._look_again(self._refresh, pending)
            if places:
                self._schedule = Schedule(places, self._waits_for)
                return True
        if len(self._records) < len(self._writes):
            # no time is left to begin and finish another image
            self._ended_by = OutOfTime()
        return False

    @property
    def _restores(self) -> bool:
        return self._writes[0].action is Action.RESTORE

    @property
    def _wanted(self) -> Collection[int]:
        """The places of the writes to send: all, or after `time-limit` those that finish images."""
        return range(len(self._writes)) if self._to_finish is None else self._to_finish

    def _begin_what_may(self) -> float | None:
        """Begin as many writes as possible. Return the seconds to wait when only a rate limit delays the next one."""
        if self._refresh is not None and self._refresh.is_due():
            if not self._pool.in_flight:
                self._look_again(self._refresh)
            return None
        wait, began = self._begin_some()
        if not (began or self._pool.in_flight or self._schedule.is_over) and wait is None:
            # the writes that may still be sent wait for writes that may not
            self._ended_by = OutOfTime()
        return wait

    def _begin_some(self) -> tuple[float | None, bool]:
        """Begin writes until none is ready or a rate limit delays them. Return the delay, and whether any was sent."""
        batch: list[tuple[int, Any]] = []
        wait: float | None = None
        while (place := self._schedule.begin()) is not None:
            if (settled := self._settled(place)) is not None:
                self._begun.add(place)
                self._record(place, settled)
                continue
            if self._writes[place].tag is not None:
                # tags are in batches of their own, so no other write waits in `batch`
                return self._begin_tag(place), True
            permit = self._pool.admit(restores=self._restores, more=len(batch))
            if isinstance(permit, float | int):
                self._schedule.put_back(place)
                wait = permit
                break
            batch.append((place, permit))
        if batch:
            self._start(batch)
        return wait, bool(batch)

    def _settled(self, place: int) -> Answer | None:
        """Return the outcome of a write that needs no request."""
        write = self._writes[place]
        if (settled := self._strategy.settled(write, self._by_version)) is not None:
            return settled
        if (objection := self._dropped.get(place)) is not None:
            return Answer(objection.outcome, objection.text)
        if write.package in self._executor.forbidden:
            return Answer(Outcome.NO_PERMISSION, NOT_SENT)
        return None

    # --- sending ---

    def _start(self, batch: Sequence[tuple[int, Any]]) -> None:
        """Record on disk that requests are about to be sent, then send them."""
        places = [place for place, _ in batch]
        try:
            numbers = self._receipt.started([self._writes[place] for place in places])
        except PackageKeeperError as error:
            # never send without a line in the receipt; the writes in flight are still waited for
            self._ended_by = error
            for _, permit in batch:
                self._pool.give_back(permit)
            return
        self._begun.update(places)
        self._sequences.update(zip(places, numbers, strict=True))
        for place, permit in batch:
            self._pool.start(place, permit, self._sender(self._writes[place]))

    def _sender(self, write: PlannedWrite) -> Any:
        return lambda permit: send(lambda: self._strategy.attempt(write, permit))

    def _begin_tag(self, place: int) -> float | None:
        """Remove or give back a tag, in this thread: it takes several reads and writes.

        Do not begin while a wait is due: the tag would stay on a stub meanwhile. Return the seconds to wait.
        """
        write = self._writes[place]
        wait = self._pool.wait(restores=self._restores)
        if wait > 0:
            self._schedule.put_back(place)
            return wait
        (number,) = self._receipt.started([write])
        self._begun.add(place)
        self._sequences[place] = number
        result = send(lambda: self._strategy.attempt(write))
        self._watch_the_time()
        if isinstance(result, RateLimited) and self._answers.was_not_done(write, result):
            self._hand_back(place)
            return result.wait
        self._note([(place, result)])
        return None

    def _take(self, completed: Sequence[tuple[int, SendResult]]) -> None:
        """Process the results of completed writes.

        Record confirmed writes first: a second look at the others may be interrupted.
        """
        self._watch_the_time()
        self._note([(place, result) for place, result in completed if isinstance(result, Done)])
        for place, result in completed:
            if isinstance(result, RateLimited) and self._answers.was_not_done(self._writes[place], result):
                self._hand_back(place)
            elif not isinstance(result, Done):
                self._note([(place, result)])

    def _hand_back(self, place: int) -> None:
        """GitHub rate-limited this write. After the pause, check again that it is still wanted."""
        self._receipt.leave_open(self._sequences.pop(place), self._writes[place])
        self._begun.discard(place)
        self._schedule.put_back(place)

    # --- recording ---

    def _note(self, completed: Sequence[tuple[int, SendResult]]) -> None:
        """Write the outcomes to the receipt, then record them."""
        answers = []
        for place, result in completed:
            if isinstance(result, Interrupted):
                self._log.debug("".join(traceback.format_exception(result.error)))
            answers.append((place, self._answers.of(self._writes[place], result, self._executor.forbidden)))
        self._append(
            [
                Ending(
                    self._sequences[place], self._writes[place], answer.outcome, answer.message, certain=answer.certain
                )
                for place, answer in answers
                if not answer.is_cut_off
            ]
        )
        for place, answer in answers:
            del self._sequences[place]
            self._record(place, answer)
        # the first error is the reason why the run ends
        self._ended_by = self._ended_by or self._answers.end
        if self._answers.is_out_of_time:
            self._finish_what_is_begun()

    def _append(self, endings: Sequence[Ending]) -> None:
        try:
            self._receipt.ended(endings)
        except PackageKeeperError as error:
            # the requests were sent; their `started` lines stay true, and the run writes nothing more
            self._ended_by = self._ended_by or error

    def _end_left_open(self, record: WriteRecord) -> None:
        """Record the outcome of a write that GitHub rate-limited and that was not sent again."""
        number = self._receipt.left_open(record.write)
        if number is not None:
            self._append([Ending(number, record.write, record.outcome, record.message)])

    def _keep(self, place: int, record: WriteRecord) -> None:
        self._records[place] = record
        if record.write.version_id is not None and record.write.tag is None:
            self._by_version[record.write.version_id] = record

    def _record(self, place: int, answer: Answer) -> None:
        write, outcome = self._writes[place], answer.outcome
        record = WriteRecord(write=write, outcome=outcome, message=answer.message)
        self._keep(place, record)
        self._schedule.end(place)
        self._end_left_open(record)
        if self._log.shows_details:
            self._log.debug(tell(record))
        elif outcome.is_failed and outcome not in self._failed_so:
            # the end of the run says for each cause how often it came up
            self._failed_so.add(outcome)
            self._log.info(tell(record))
        if outcome is Outcome.NO_PERMISSION:
            self._executor.forbidden.add(write.package)

    # --- time ---

    def _rest(self, seconds: float) -> None:
        """Wait until a write may be sent, unless `time-limit` is over before that."""
        try:
            self._pool.rest(seconds, restores=self._restores)
        except OutOfTime as over:
            if self._to_finish is None:
                self._finish_what_is_begun()
            else:
                self._ended_by = over

    def _watch_the_time(self) -> None:
        """After `time-limit`, begin no more images."""
        if self._pool.is_over:
            self._finish_what_is_begun()

    def _finish_what_is_begun(self) -> None:
        """From now on, only finish images that have begun by now, as far as that needs no wait."""
        if self._to_finish is not None:
            return
        self._to_finish = set(range(len(self._writes))) if self._to_the_end else self._unfinished_groups()
        self._schedule.keep_only(self._to_finish)
        self._pool.wind_up()

    def _unfinished_groups(self) -> set[int]:
        """The places of the writes of images that have begun."""
        begun = {self._groups[place] for place in self._begun}
        return {place for place, group in enumerate(self._groups) if group in begun}

    # --- refresh ---

    def _look_again(self, refresh: Refresh, parts: Sequence[int] = ()) -> None:
        """Read packages again, and drop the writes that are no longer wanted.

        With `parts`, read only their packages: the roots must be gone, and nothing new may need the parts. Without,
        read the packages of all remaining writes.
        """
        packages = {self._writes[place].package for place in parts or range(len(self._writes))}
        left = sorted(set(self._wanted) - self._records.keys())
        waiting = [place for place in left if self._writes[place].package in packages]
        begun = self._unfinished_groups().intersection(waiting)
        left_over = {self._writes[place].version_id or 0 for place in begun}
        gone = gone_versions(record for record in self._records.values() if record.write.package in packages)
        try:
            look = refresh.look(
                [self._writes[place] for place in waiting], left_over, gone, is_partial=len(waiting) < len(left)
            )
        except OutOfTime as over:
            self._ended_by = over
            self._pool.wind_up()
            return
        places = list(self._records)
        records = [self._records[place] for place in places]
        for place, record in zip(places, self._executor.corrected(records, look.still_there), strict=True):
            self._keep(place, record)
        self._executor.seen_gone |= look.seen_gone
        self._dropped.update(zip(waiting, look.objections, strict=True))
