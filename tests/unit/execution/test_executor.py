"""Which results stop a run, and what the receipt says about each write."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
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
    PackageKeeperError,
    Unreachable,
)
from package_keeper.execution.batches import WriteStrategy
from package_keeper.execution.executor import Executed, Executor
from package_keeper.execution.receipt import Ending, ReceiptWriter, read_receipt
from package_keeper.execution.results import Answer
from package_keeper.model.packages import Owner, OwnerType
from package_keeper.model.plan import Outcome, Plan, PlannedWrite, WriteRecord
from package_keeper.policy.guards import Guards, guard
from package_keeper.runner.process import Interruption
from tests.unit.execution.test_receipt import Noon, Paper, deletion
from tests.unit.pool import WritePool


@dataclass
class Listener:
    """A log that records its lines."""

    said: list[tuple[str, str]] = field(default_factory=list)

    shows_details = False

    def error(self, text: str, *, title: str = "", causes: Sequence[Cause] = ()) -> None:
        self.said.append(("error", text))

    def warning(self, text: str, *, title: str = "", causes: Sequence[Cause] = ()) -> None:
        self.said.append(("warning", text))

    def notice(self, text: str, *, title: str = "", causes: Sequence[Cause] = ()) -> None:
        self.said.append(("notice", text))

    def info(self, text: str) -> None:
        self.said.append(("info", text))

    def debug(self, text: str) -> None:
        self.said.append(("debug", text))

    def progress(self, what: str, done: int, total: int) -> None:
        pass

    def group(self, title: str) -> AbstractContextManager[None]:
        return self._group(title)

    @contextmanager
    def _group(self, title: str) -> Iterator[None]:
        self.info(title)
        yield


@dataclass
class Script(WriteStrategy):
    """Confirms each write, or raises its error in `endings`."""

    endings: dict[int, Exception]

    seen: list[int] = field(default_factory=list)

    def settled(self, write: PlannedWrite, records: Mapping[int, WriteRecord]) -> Answer | None:
        return None

    def attempt(self, write: PlannedWrite, permit: object = None) -> None:
        assert write.version_id is not None
        self.seen.append(write.version_id)
        if ending := self.endings.get(write.version_id):
            raise ending

    def is_done(self, write: PlannedWrite) -> bool:
        return False

    def meaning(self, write: PlannedWrite, error: ApiError) -> Answer:
        outcome = Outcome.LAST_VERSION if error.kind is ApiErrorKind.LAST_VERSION else Outcome.FAILED
        return Answer(outcome, str(error))


def execute(
    endings: dict[int, Exception], count: int = 4, limit: int = 0
) -> tuple[Executed, list[dict[str, Any]], Script, Paper]:
    paper, log, script = Paper(), Listener(), Script(endings)
    book = ReceiptWriter(lambda: paper.append, Owner(login="acme", type=OwnerType.USER), {}, Noon())
    plan = guard(Plan.of_singles([deletion(number) for number in range(1, count + 1)]), Guards(limit=limit))
    executed = Executor(book, log, Interruption(), WritePool()).execute(plan, script)
    assert [record.write for record in executed.records] == [*plan.now, *plan.later], "a record for everything planned"
    return executed, [json.loads(line) for line in paper.lines], script, paper


def outcomes(executed: Executed) -> list[Outcome]:
    return [record.outcome for record in executed.records]


def test_a_failed_write_does_not_stop_the_others() -> None:
    executed, lines, script, _ = execute(
        {
            2: ApiError(ApiErrorKind.OTHER, "Something new", status=418),
            3: ApiError(ApiErrorKind.LAST_VERSION, "the last", status=400),
        }
    )
    assert outcomes(executed) == [Outcome.DONE, Outcome.FAILED, Outcome.LAST_VERSION, Outcome.DONE]
    assert executed.ended_by is None
    assert script.seen == [1, 2, 3, 4]
    told = [(line["seq"], line["id"], line["outcome"]) for line in lines]
    assert told == [
        (1, 1, "started"),
        (1, 1, "done"),
        (2, 2, "started"),
        (2, 2, "failed"),
        (3, 3, "started"),
        (3, 3, "last-version"),
        (4, 4, "started"),
        (4, 4, "done"),
    ]


def test_a_token_that_is_no_longer_accepted_stops_the_run() -> None:
    executed, lines, script, _ = execute({2: ApiError(ApiErrorKind.UNAUTHORIZED, "Bad credentials", status=401)})
    assert outcomes(executed) == [Outcome.DONE, *[Outcome.NO_PERMISSION] * 3]
    assert isinstance(executed.ended_by, NotAuthorized)
    assert script.seen == [1, 2]
    assert len(lines) == 4


def test_three_unreachable_writes_in_a_row_stop_the_run() -> None:
    gone: dict[int, Exception] = {n: ApiError(ApiErrorKind.UNREACHABLE, "no answer") for n in range(2, 9)}
    executed, _, script, _ = execute(gone, count=8)
    assert outcomes(executed) == [Outcome.DONE, *[Outcome.FAILED] * 7]
    assert isinstance(executed.ended_by, Unreachable)
    assert script.seen == [1, 2, 3, 4]


def test_two_unreachable_writes_in_a_row_do_not_stop_the_run() -> None:
    gone: dict[int, Exception] = {n: ApiError(ApiErrorKind.UNREACHABLE, "no answer") for n in (1, 2, 4, 5)}
    executed, _, _, _ = execute(gone, count=6)
    assert executed.ended_by is None
    assert outcomes(executed).count(Outcome.DONE) == 2


def test_an_uncertain_write_is_an_uncertain_entry_for_undo() -> None:
    lost = ApiError(ApiErrorKind.UNREACHABLE, "no answer", sent_before=True)
    _, _, _, paper = execute({2: lost}, count=3)
    entries = read_receipt(paper.data.decode()).entries
    assert [(one.version_id, one.certain) for one in entries] == [(1, True), (2, False), (3, True)]


def test_a_write_that_certainly_failed_is_no_entry_for_undo() -> None:
    refused = ApiError(ApiErrorKind.OTHER, "no", status=422)
    _, _, _, paper = execute({2: refused}, count=3)
    assert [one.version_id for one in read_receipt(paper.data.decode()).entries] == [1, 3]


@pytest.mark.parametrize("in_flight", [True, False])
def test_a_cancelled_run_has_a_record_for_every_write(in_flight: bool) -> None:
    executed, lines, script, paper = execute({2: Cancelled(in_flight=in_flight)})
    assert isinstance(executed.ended_by, Cancelled)
    assert script.seen == [1, 2]
    rest = [Outcome.OUT_OF_TIME] * 2
    assert outcomes(executed) == [Outcome.DONE, Outcome.FAILED if in_flight else Outcome.OUT_OF_TIME, *rest]
    last = lines[-1]["outcome"]
    assert last == ("started" if in_flight else "out-of-time")
    undone = [one.version_id for one in read_receipt(paper.data.decode()).entries]
    assert undone == ([1, 2] if in_flight else [1])


def test_writes_over_the_limit_are_not_sent() -> None:
    executed, lines, script, _ = execute({}, limit=2)
    assert outcomes(executed) == [Outcome.DONE] * 2 + [Outcome.OVER_LIMIT] * 2
    assert script.seen == [1, 2]
    assert len(lines) == 4


def test_without_a_receipt_nothing_is_sent() -> None:
    def full() -> Callable[[bytes], None]:
        raise PackageKeeperError("the disk is full")

    script = Script({})
    book = ReceiptWriter(full, Owner(login="acme", type=OwnerType.USER), {}, Noon())
    plan = guard(Plan.of_singles([deletion(1), deletion(2)]), Guards())
    executed = Executor(book, Listener(), Interruption(), WritePool()).execute(plan, script)
    assert script.seen == []
    assert isinstance(executed.ended_by, PackageKeeperError)
    assert outcomes(executed) == [Outcome.FAILED] * 2


@dataclass
class Blind(Script):
    """Every second look is interrupted."""

    cut_off_by: PackageKeeperError = field(default_factory=OutOfTime)

    def meaning(self, write: PlannedWrite, error: ApiError) -> Answer:
        raise self.cut_off_by


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("cut_off_by", [OutOfTime(), Cancelled()])
def test_confirmed_writes_are_done_even_if_a_second_look_is_interrupted(
    cut_off_by: PackageKeeperError, seed: int
) -> None:
    missing = ApiError(ApiErrorKind.NOT_FOUND, "Package version not found.", status=404)
    script = Blind({2: missing}, cut_off_by=cut_off_by)
    paper = Paper()
    book = ReceiptWriter(lambda: paper.append, Owner(login="acme", type=OwnerType.USER), {}, Noon())
    plan = guard(Plan.of_singles([deletion(number) for number in range(1, 7)]), Guards())
    executed = Executor(book, Listener(), Interruption(), WritePool(width=4, seed=seed)).execute(plan, script)
    found = {record.write.version_id: record.outcome for record in executed.records}
    assert found[2] is Outcome.FAILED
    for number in set(script.seen) - {2}:
        # a request without an answer may have had its effect, so it is never left for the next run
        assert found[number] in (Outcome.DONE, Outcome.FAILED)
    done = {entry.version_id for entry in read_receipt(paper.data.decode()).entries}
    assert set(script.seen) - {2} <= done
    if isinstance(cut_off_by, OutOfTime):
        assert [found[number] for number in (1, 3, 4, 5, 6)] == [Outcome.DONE] * 5


def test_writes_in_flight_are_recorded_when_the_receipt_cannot_be_written() -> None:
    @dataclass
    class Full(Paper):
        def append(self, line: bytes) -> None:
            if len(self.lines) >= 2:
                raise PackageKeeperError("the disk is full")
            super().append(line)

    script, paper = Script({}), Full()
    book = ReceiptWriter(lambda: paper.append, Owner(login="acme", type=OwnerType.USER), {}, Noon())
    plan = guard(Plan.of_singles([deletion(number) for number in range(1, 9)]), Guards())
    executed = Executor(book, Listener(), Interruption(), WritePool(width=3, seed=1)).execute(plan, script)
    assert isinstance(executed.ended_by, PackageKeeperError)
    done = {record.write.version_id for record in executed.records if record.outcome is Outcome.DONE}
    assert done == set(script.seen), "every write that was sent is recorded as done"
    assert len(done) < 8


def test_a_cancellation_after_the_last_write_loses_no_record(monkeypatch: pytest.MonkeyPatch) -> None:
    interruption, paper, script = Interruption(), Paper(), Script({})
    close = ReceiptWriter.close

    def signalled(receipt: ReceiptWriter) -> list[Ending]:
        interruption._on_signal(signal.SIGTERM, None)
        return close(receipt)

    monkeypatch.setattr(ReceiptWriter, "close", signalled)
    receipt = ReceiptWriter(lambda: paper.append, Owner(login="acme", type=OwnerType.USER), {}, Noon())
    executor = Executor(receipt, Listener(), interruption, WritePool())
    plan = guard(Plan.of_singles([deletion(number) for number in range(1, 4)]), Guards())
    executed = executor.execute(plan, script)
    assert isinstance(executed.ended_by, Cancelled)
    assert outcomes(executed) == [Outcome.DONE] * 3
    assert [record.outcome for record in executor.records] == [Outcome.DONE] * 3
