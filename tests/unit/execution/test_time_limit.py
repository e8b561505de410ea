"""Rate limits and `time-limit`: rate-limited writes keep their number, and no image is left half deleted.

These tests run the real executor. A seed chooses the order in which writes complete.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest
from msgspec.structs import replace

from package_keeper.errors import ApiError, ApiErrorKind, Cancelled, OutOfTime, RateLimitedError
from package_keeper.execution.batches import WriteStrategy
from package_keeper.execution.executor import Executed, Executor
from package_keeper.execution.receipt import ReceiptWriter, read_receipt
from package_keeper.execution.refresh import FreshPlan, Refresh
from package_keeper.execution.results import Answer
from package_keeper.model.packages import Owner, OwnerType, PackageName
from package_keeper.model.plan import Action, Outcome, Plan, PlannedWrite, WriteRecord
from package_keeper.policy.guards import Guards, guard
from package_keeper.runner.process import Interruption
from tests.unit.execution.test_executor import Listener
from tests.unit.execution.test_receipt import Noon, Paper, deletion
from tests.unit.making import NOW
from tests.unit.pool import WritePool

SEEDS = range(8)
PARTS = 2


@dataclass
class Github(WriteStrategy):
    """Deletes versions. `trouble` holds errors for each version, and whether the deletion happens all the same."""

    trouble: dict[int, list[tuple[Exception, bool]]] = field(default_factory=dict)
    gone: list[int] = field(default_factory=list)
    tries: Counter[int] = field(default_factory=Counter)
    looks: bool = True

    def settled(self, write: PlannedWrite, records: Mapping[int, WriteRecord]) -> Answer | None:
        return None if write.after <= set(self.gone) else Answer(Outcome.OVER_LIMIT, "stays")

    def attempt(self, write: PlannedWrite, permit: object = None) -> None:
        assert write.version_id is not None
        self.tries[write.version_id] += 1
        trouble = self.trouble.get(write.version_id)
        error, happens = trouble.pop(0) if trouble else (None, True)
        if happens and write.version_id not in self.gone:
            self.gone.append(write.version_id)
        if error is not None:
            raise error

    def is_done(self, write: PlannedWrite) -> bool | None:
        return write.version_id in self.gone if self.looks else None

    def meaning(self, write: PlannedWrite, error: ApiError) -> Answer:
        return Answer(Outcome.FAILED, str(error))


class Hour(WritePool):
    """A pool whose hourly limit allows `used_up_after` writes, and `share` more to finish images."""

    used_up_after: int = 0
    share: int = 0

    def admit(self, *, restores: bool, more: int = 0) -> Any:
        left = self.used_up_after + (self.share if self.winds_up else 0) - len(self.begun) - more
        return super().admit(restores=restores, more=more) if left > 0 else 3600.0

    def wait(self, *, restores: bool) -> float:
        return 3600.0

    def rest(self, seconds: float, *, restores: bool) -> None:
        raise OutOfTime


def limited(*, lost: bool = False) -> RateLimitedError:
    return RateLimitedError(ApiError(ApiErrorKind.OTHER, "slow down", status=429), 60.0, sent_before=lost)


def unanswered(*, out_of_time: bool) -> ApiError:
    return ApiError(ApiErrorKind.UNREACHABLE, "no answer", sent_before=True, out_of_time=out_of_time)


def singles(number: int) -> Plan:
    return Plan.of_singles([deletion(each) for each in range(1, number + 1)])


def images(number: int) -> Plan:
    """Images of a root and two parts: 10 with 11 and 12, 20 with 21 and 22."""
    groups = []
    for root in range(10, 10 * number + 10, 10):
        parts = [replace(deletion(root + part), after=frozenset({root})) for part in range(1, PARTS + 1)]
        groups.append((deletion(root), *parts))
    return Plan(groups=tuple(groups))


@dataclass
class Done:
    executed: Executed
    lines: list[dict[str, Any]]
    undone: set[int | None]

    def outcome(self, version_id: int) -> Outcome:
        (found,) = [each.outcome for each in self.executed.records if each.write.version_id == version_id]
        return found

    def of(self, outcome: Outcome) -> set[int | None]:
        return {each.write.version_id for each in self.executed.records if each.outcome is outcome}


def execute(github: Github, plan: Plan, pool: WritePool, refresh: Refresh | None = None) -> Done:
    """Execute a plan. In any case, the receipt has two lines for each write, and covers all deletions."""
    paper = Paper()
    book = ReceiptWriter(lambda: paper.append, Owner(login="acme", type=OwnerType.USER), {}, Noon())
    guarded = guard(plan, Guards())
    executed = Executor(book, Listener(), Interruption(), pool).execute(guarded, github, refresh)
    lines = [json.loads(line) for line in paper.data.splitlines()]
    assert [each.write for each in executed.records] == list(guarded.now)
    assert len({line["id"] for line in lines}) == len({line["seq"] for line in lines}) == len(github.tries)
    assert len({(line["seq"], line["outcome"] == "started") for line in lines}) == len(lines)
    entries = read_receipt(paper.data.decode()).entries if lines else ()
    undone = {entry.version_id for entry in entries}
    assert set(github.gone) <= undone, "undo restores everything that was deleted"
    return Done(executed, lines, undone)


# rate limits


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("width", [1, 3, 8])
def test_a_rate_limited_write_is_sent_again_under_the_same_number(width: int, seed: int) -> None:
    github = Github({1: [(limited(), False)], 4: [(limited(), False)] * 3, 8: [(limited(), False)]})
    done = execute(github, singles(8), WritePool(width=width, seed=seed))
    assert done.executed.ended_by is None
    assert done.of(Outcome.DONE) == done.undone == set(range(1, 9))
    assert github.tries == Counter({1: 2, 2: 1, 3: 1, 4: 4, 5: 1, 6: 1, 7: 1, 8: 2})
    assert [line["outcome"] for line in done.lines].count("started") == 8


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("width", [1, 3, 8])
def test_a_rate_limited_write_that_is_not_sent_again_is_out_of_time(width: int, seed: int) -> None:
    github = Github({number: [(limited(), False)] * 99 for number in (2, 3, 5)})
    done = execute(github, singles(8), Hour(width=width, seed=seed, used_up_after=12))
    assert done.executed.ended_by is None, "running out of time is not a failure"
    assert done.of(Outcome.OUT_OF_TIME) | done.of(Outcome.DONE) == set(range(1, 9))
    assert done.of(Outcome.DONE) == done.undone == set(github.gone)
    ends = {line["id"]: line["outcome"] for line in done.lines}
    assert {ends[number] for number in (2, 3, 5) if number in ends} <= {"out-of-time"}


def test_a_wait_past_the_time_limit_leaves_writes_for_the_next_run() -> None:
    github = Github({1: [(limited(), False)]})
    done = execute(github, singles(3), Hour(used_up_after=1))
    assert done.of(Outcome.OUT_OF_TIME) == {1, 2, 3}
    assert [line["outcome"] for line in done.lines] == ["started", "out-of-time"]
    assert done.undone == set()


@pytest.mark.parametrize("happened", [True, False])
def test_a_lost_answer_before_a_rate_limit_gets_a_second_look(happened: bool) -> None:
    github = Github({2: [(limited(lost=True), happened)]})
    done = execute(github, singles(3), WritePool())
    assert done.of(Outcome.DONE) == {1, 2, 3}
    assert github.tries[2] == (1 if happened else 2), "a deletion that happened is not sent again"


def test_an_uncertain_write_is_not_sent_again_and_can_be_undone() -> None:
    github = Github({2: [(limited(lost=True), True)]}, looks=False)
    done = execute(github, singles(3), WritePool())
    assert done.outcome(2) is Outcome.FAILED
    assert github.tries[2] == 1
    assert done.undone == {1, 2, 3}


def test_a_cancelled_run_leaves_no_rate_limited_write_open() -> None:
    github = Github({1: [(limited(), False)] * 99, 2: [(Cancelled(), False)]})
    done = execute(github, singles(4), WritePool(width=2, seed=1))
    assert isinstance(done.executed.ended_by, Cancelled)
    assert done.of(Outcome.OUT_OF_TIME) == {1, 2, 3, 4}
    assert [line["outcome"] for line in done.lines] == ["started", "started", "out-of-time", "out-of-time"]


@pytest.mark.parametrize("happened", [True, False])
def test_an_answer_lost_at_the_time_limit_is_no_failure(happened: bool) -> None:
    github = Github({2: [(unanswered(out_of_time=True), happened)]})
    done = execute(github, singles(3), WritePool())
    assert done.outcome(2) is (Outcome.DONE if happened else Outcome.OUT_OF_TIME)
    assert done.undone == set(github.gone)


@pytest.mark.parametrize("happened", [True, False])
def test_a_lost_answer_gets_a_second_look(happened: bool) -> None:
    github = Github({2: [(unanswered(out_of_time=False), happened)]})
    done = execute(github, singles(3), WritePool())
    assert done.outcome(2) is (Outcome.DONE if happened else Outcome.FAILED)


# images


def whole(github: Github, number: int) -> bool:
    """Whether each image exists whole, or is deleted with all its parts."""
    gone = set(github.gone)
    return all(
        len(gone & set(range(root, root + PARTS + 1))) in (0, PARTS + 1) for root in range(10, 10 * number + 10, 10)
    )


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("most", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("width", [1, 2, 5])
def test_after_the_time_limit_begun_images_are_finished_and_no_others_begin(width: int, most: int, seed: int) -> None:
    github = Github()
    done = execute(github, images(8), WritePool(width=width, seed=seed, most=most))
    assert whole(github, 8)
    assert 0 < len(github.gone) < 8 * (PARTS + 1)
    assert done.executed.ended_by is None
    assert done.of(Outcome.DONE) == set(github.gone)
    assert len(done.of(Outcome.OUT_OF_TIME)) == 8 * (PARTS + 1) - len(github.gone)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("after", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("width", [1, 2, 5])
def test_begun_images_are_finished_when_the_hourly_limit_is_used_up(width: int, after: int, seed: int) -> None:
    github = Github()
    execute(github, images(8), Hour(width=width, seed=seed, used_up_after=after, share=99))
    assert whole(github, 8)
    assert after <= len(github.gone) < 8 * (PARTS + 1)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_run_ends_when_finishing_an_image_needs_a_wait(seed: int) -> None:
    github = Github()
    done = execute(github, images(8), Hour(width=3, seed=seed, used_up_after=4, share=1))
    assert len(github.gone) == 5
    assert len(done.of(Outcome.OUT_OF_TIME)) == 8 * (PARTS + 1) - 5


@dataclass
class Moments:
    """A clock that tests set."""

    seconds: float = 0.0

    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return self.seconds


@pytest.mark.parametrize("needed", [True, False])
@pytest.mark.parametrize("seed", SEEDS)
def test_old_lists_are_read_again_before_a_begun_image_is_finished(seed: int, needed: bool) -> None:
    """Somebody pushes an image that shares a part while the last answers are pending."""
    plan, moments = images(3), Moments()

    def replan(packages: Collection[PackageName], left_over: Collection[int], gone: Collection[int]) -> FreshPlan:
        assert set(gone) == set(github.gone)
        left = [write for write in plan.writes if write.version_id not in github.gone]
        holders = {11: {99}} if needed else {}
        return FreshPlan(writes=[write for write in left if write.version_id not in left_over], holders=holders)

    class Slow(WritePool):
        def start(self, key: int, permit: Any, call: Any) -> None:
            super().start(key, permit, call)
            moments.seconds = 400.0

    github = Github()
    refresh = Refresh(replan=replan, clock=moments, log=Listener(), read_from=0.0, read_until=0.0)
    done = execute(github, plan, Slow(seed=seed, most=1), refresh)
    assert sorted(github.gone) == ([10, 12] if needed else [10, 11, 12])
    if needed:
        assert done.outcome(11) is Outcome.CHANGED_SINCE_PLAN
    assert {each.write.action for each in done.executed.records} == {Action.DELETE}
