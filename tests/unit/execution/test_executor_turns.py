"""What the executor sends and in which order, when it stops, and what it says and corrects."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from msgspec import field as new
from msgspec.structs import replace

from package_keeper.errors import (
    ApiError,
    ApiErrorKind,
    Cancelled,
    NotAuthorized,
    OutOfTime,
    PackageKeeperError,
    Unreachable,
)
from package_keeper.execution.batches import Batch
from package_keeper.execution.deletions import Deletions
from package_keeper.execution.executor import Executed, Executor
from package_keeper.execution.receipt import Ending, ReceiptWriter
from package_keeper.execution.refresh import FreshPlan, Refresh, Replan
from package_keeper.execution.results import Answer, SendResult
from package_keeper.execution.untag import Untagger
from package_keeper.execution.wording import CUT_OFF, NOT_SENT, NOT_TRIED, STILL_GONE, STILL_THERE
from package_keeper.model.packages import Owner, OwnerType, PackageName
from package_keeper.model.plan import Action, Outcome, Plan, PlannedWrite, WriteRecord
from package_keeper.policy.guards import Guards, OnLastVersion, guard
from package_keeper.runner.process import Interruption
from tests.unit.execution.test_executor import Listener, Script
from tests.unit.execution.test_receipt import Noon, Paper, deletion
from tests.unit.execution.test_time_limit import Github, Hour, Moments, images, limited, singles, unanswered
from tests.unit.model.memory import Hub
from tests.unit.model.worlds import APP, World, container, digest, plain
from tests.unit.pool import Permit, WritePool

NO, LOST, REVOKED = (
    ApiError(ApiErrorKind.NO_PERMISSION, "no", status=403),
    ApiError(ApiErrorKind.UNREACHABLE, "no answer"),
    ApiError(ApiErrorKind.UNAUTHORIZED, "Bad credentials", status=401),
)


class InOrder(WritePool):
    """All writes in flight come back at once, in the order of the plan."""

    def completed(self) -> Sequence[tuple[int, SendResult]]:
        return [(place, self.waiting.pop(place)()) for place in sorted(self.waiting)]


@dataclass
class Scene:
    """An executor over a receipt in memory."""

    pool: WritePool = field(default_factory=InOrder)
    log: Listener = field(default_factory=Listener)
    paper: Paper = field(default_factory=Paper)
    interruption: Interruption = field(default_factory=Interruption)

    def __post_init__(self) -> None:
        book = ReceiptWriter(lambda: self.paper.append, Owner(login="acme", type=OwnerType.USER), {}, Noon())
        self.executor = Executor(book, self.log, self.interruption, self.pool)

    def execute(self, plan: Plan, strategy: Any, replan: Replan | None = None, **more: Any) -> Executed:
        refresh = None
        if replan is not None:
            clock = more.pop("clock", Moments())
            refresh = Refresh(replan=replan, clock=clock, log=self.log, read_from=0.0, read_until=0.0)
        return self.executor.execute(guard(plan, Guards()), strategy, refresh, **more)

    def signal(self) -> None:
        self.interruption._on_signal(signal.SIGTERM, None)

    def lines(self, version_id: int) -> list[tuple[str, str | None]]:
        """The outcomes and messages of a version in the receipt."""
        lines = [json.loads(line) for line in self.paper.data.splitlines()]
        return [(line["outcome"], line.get("message")) for line in lines if line["id"] == version_id]


@dataclass
class Trying(Script):
    """Calls `meanwhile` in the middle of each write."""

    endings: dict[int, Exception] = field(default_factory=dict)
    meanwhile: Callable[[int], object] = lambda _: None

    def attempt(self, write: PlannedWrite, permit: object = None) -> None:
        self.meanwhile(write.version_id or 0)
        super().attempt(write, permit)

    def meaning(self, write: PlannedWrite, error: ApiError) -> Answer:
        if error.kind is ApiErrorKind.NO_PERMISSION:
            return Answer(Outcome.NO_PERMISSION, str(error))
        return super().meaning(write, error)


class Rounds(Github):
    """Roots in a first batch, then parts, which need a look."""

    def batches(
        self, writes: Sequence[PlannedWrite], groups: Sequence[int], room: Callable[[], float]
    ) -> Iterator[Batch]:
        yield Batch([place for place, write in enumerate(writes) if not write.after])
        yield Batch([place for place, write in enumerate(writes) if write.after], needs_look=True)


def unlooked(*_: object) -> FreshPlan:
    raise AssertionError("nothing had to be read again")


def outcomes(executed: Executed) -> list[Outcome]:
    return [record.outcome for record in executed.records]


DONE, FAILED, LATER = Outcome.DONE, Outcome.FAILED, Outcome.OUT_OF_TIME


# --- signals and errors ---


def test_a_run_that_was_cancelled_before_its_first_write_sends_nothing() -> None:
    scene = Scene()
    with pytest.raises(Cancelled):
        scene.signal()
    executed = scene.execute(singles(3), script := Trying())
    assert isinstance(executed.ended_by, Cancelled)
    assert (script.seen, outcomes(executed), scene.paper.lines) == ([], [LATER] * 3, [])
    assert [record.outcome for record in scene.executor.records] == [LATER] * 3, "each record once"


def test_after_a_signal_no_list_is_read_and_nothing_is_sent() -> None:
    scene = Scene(WritePool())
    github = Rounds()
    strategy = Trying(meanwhile=lambda _: scene.signal())
    strategy.batches = github.batches  # type: ignore[method-assign]
    executed = scene.execute(images(1), strategy, unlooked)
    assert isinstance(executed.ended_by, Cancelled)
    assert strategy.seen == [10]
    assert outcomes(executed) == [DONE, LATER, LATER]


def test_a_signal_while_lists_are_read_again_stops_the_run() -> None:
    scene, github = Scene(), Rounds()

    def replan(*_: object) -> FreshPlan:
        scene.signal()
        return FreshPlan(writes=images(1).writes)

    executed = scene.execute(images(1), github, replan)
    assert isinstance(executed.ended_by, Cancelled)
    assert github.gone == [10]
    assert outcomes(executed) == [DONE, LATER, LATER]


def test_a_token_that_is_revoked_between_roots_and_parts_ends_the_run_for_that_reason() -> None:
    scene = Scene()
    executed = scene.execute(images(1), Rounds({10: [(REVOKED, False)]}), unlooked)
    assert isinstance(executed.ended_by, NotAuthorized)
    assert outcomes(executed) == [Outcome.NO_PERMISSION] * 3
    assert [record.message for record in executed.records][1:] == [NOT_TRIED] * 2


def test_a_signal_after_an_error_does_not_hide_the_error() -> None:
    scene = Scene()
    executed = scene.execute(singles(3), Trying({1: REVOKED}, meanwhile=lambda _: scene.signal()))
    assert isinstance(executed.ended_by, NotAuthorized)
    assert outcomes(executed) == [Outcome.NO_PERMISSION] * 3


def test_a_second_signal_leaves_writes_in_flight_uncertain() -> None:
    class Impatient(WritePool):
        def completed(self) -> Sequence[tuple[int, SendResult]]:
            raise Cancelled(in_flight=True)

    scene = Scene(Impatient(width=2))
    executed = scene.execute(singles(3), Trying())
    assert isinstance(executed.ended_by, Cancelled)
    assert [(each.outcome, each.message) for each in executed.records] == [(FAILED, CUT_OFF)] * 2 + [(LATER, "")]
    assert [scene.lines(number) for number in (1, 2, 3)] == [[("started", None)], [("started", None)], []]


def test_a_second_signal_while_the_records_are_closed_loses_none(monkeypatch: pytest.MonkeyPatch) -> None:
    close = ReceiptWriter.close

    def signalled(receipt: ReceiptWriter) -> list[Ending]:
        monkeypatch.setattr(ReceiptWriter, "close", close)
        raise Cancelled(in_flight=True)

    monkeypatch.setattr(ReceiptWriter, "close", signalled)
    scene = Scene()
    executed = scene.execute(singles(3), Trying({2: REVOKED}))
    assert isinstance(executed.ended_by, NotAuthorized)
    assert scene.executor.records == list(executed.records)
    assert len(executed.records) == 3


def test_a_disk_that_is_full_at_the_end_does_not_hide_why_the_run_ended() -> None:
    @dataclass
    class Full(Paper):
        def append(self, line: bytes) -> None:
            if len(self.lines) >= 2:
                raise PackageKeeperError("the disk is full")
            super().append(line)

    executed = Scene(InOrder(width=2), paper=Full()).execute(singles(2), Trying({1: REVOKED, 2: limited()}))
    assert isinstance(executed.ended_by, NotAuthorized)
    assert outcomes(executed) == [Outcome.NO_PERMISSION] * 2


@pytest.mark.parametrize(("endings", "ends"), [({1: LOST, 2: LOST}, True), ({1: LOST}, False)])
def test_github_is_unreachable_when_no_write_got_an_answer(endings: dict[int, Exception], ends: bool) -> None:
    executed = Scene().execute(singles(2), Trying(endings))
    assert isinstance(executed.ended_by, Unreachable) is ends


def test_the_time_limit_does_not_hide_an_error() -> None:
    executed = Scene(WritePool(most=1)).execute(singles(3), Trying({1: REVOKED}))
    assert isinstance(executed.ended_by, NotAuthorized)
    assert outcomes(executed) == [Outcome.NO_PERMISSION] * 3


def test_a_defect_ends_the_run_with_a_record_for_every_write() -> None:
    class Broken(Trying):
        def settled(self, write: PlannedWrite, records: Mapping[int, WriteRecord]) -> Answer | None:
            return None if write.version_id == 1 else Answer(Outcome(str(1 / 0)))

    executed = Scene().execute(singles(3), Broken())
    assert "division by zero" in str(executed.ended_by)
    assert len(executed.records) == 3


@pytest.mark.parametrize("appends", range(6))
def test_when_the_disk_is_full_every_write_in_flight_is_recorded_and_permits_go_back(appends: int) -> None:
    @dataclass
    class Full(Paper):
        def append(self, line: bytes) -> None:
            if len(self.lines) >= appends:
                raise PackageKeeperError("the disk is full")
            super().append(line)

    class Counting(WritePool):
        given: int = 0

        def admit(self, *, restores: bool, more: int = 0) -> Permit | float:
            permit = super().admit(restores=restores, more=more)
            self.given += isinstance(permit, Permit)
            return permit

    pool, script = Counting(width=3, seed=appends), Trying()
    executed = Scene(pool, paper=Full()).execute(singles(9), script)
    assert str(executed.ended_by) == "the disk is full"
    assert {each.write.version_id for each in executed.records if each.outcome is DONE} == set(script.seen)
    assert len(script.seen) < 9
    assert pool.given == len(pool.begun) + len(pool.returned)


# --- time and limits ---


def test_after_the_time_limit_nothing_begins() -> None:
    scene = Scene(WritePool(most=0))
    executed = scene.execute(singles(2), script := Trying())
    assert (script.seen, outcomes(executed), executed.ended_by) == ([], [LATER] * 2, None)
    assert scene.pool.winds_up


def test_after_the_time_limit_a_plan_that_must_end_is_sent_whole() -> None:
    executed = Scene(WritePool(most=1)).execute(singles(3), script := Trying(), to_the_end=True)
    assert (script.seen, outcomes(executed)) == ([1, 2, 3], [DONE] * 3)


def test_a_write_that_does_not_fit_into_the_time_limit_is_the_last_one() -> None:
    scene = Scene(WritePool())
    executed = scene.execute(singles(4), script := Trying({2: OutOfTime()}))
    assert (script.seen, outcomes(executed), executed.ended_by) == ([1, 2], [DONE, *[LATER] * 3], None)
    assert scene.pool.winds_up


def test_lost_answers_at_the_time_limit_do_not_mean_that_github_is_unreachable() -> None:
    executed = Scene(WritePool(most=1)).execute(singles(3), Trying({1: LOST}))
    assert (outcomes(executed), executed.ended_by) == ([FAILED, LATER, LATER], None)


def test_parts_whose_root_needed_no_request_are_recorded_with_it_at_the_time_limit() -> None:
    class Known(Rounds):
        def settled(self, write: PlannedWrite, records: Mapping[int, WriteRecord]) -> Answer | None:
            if 20 in {write.version_id, *write.after}:
                return Answer(Outcome.LAST_VERSION, "the last")
            return super().settled(write, records)

    executed = Scene(WritePool(most=1)).execute(images(3), Known())
    assert outcomes(executed) == [DONE] * 3 + [Outcome.LAST_VERSION] * 3 + [LATER] * 3


def test_a_part_that_waits_for_an_image_that_may_not_begin_any_more_is_left_for_the_next_run() -> None:
    part = replace(deletion(11), after=frozenset({10, 20}))
    executed = Scene(WritePool(most=1)).execute(Plan(groups=((deletion(10), part), (deletion(20),))), Github())
    assert (outcomes(executed), executed.ended_by) == ([DONE, LATER, LATER], None)


def test_no_more_writes_are_in_flight_than_permits() -> None:
    scene = Scene(WritePool(width=3))
    scene.execute(singles(8), Trying())
    assert scene.pool.widest == 3


@pytest.mark.parametrize("action", [Action.DELETE, Action.RESTORE])
def test_the_pool_gets_the_kind_of_write_and_waits_as_long_as_it_says(action: Action) -> None:
    class Slow(WritePool):
        """Each permit needs a wait of five seconds."""

        asked: set[bool] = new(default_factory=set)
        rested: list[float] = new(default_factory=list)

        def room(self, *, restores: bool) -> float:
            self.asked.add(restores)
            return 9.0

        def wait(self, *, restores: bool) -> float:
            self.asked.add(restores)
            return 0.5 if len(self.rested) < 3 else 0.0

        def admit(self, *, restores: bool, more: int = 0) -> Permit | float:
            self.asked.add(restores)
            return Permit() if len(self.rested) > len(self.begun) + more else 5.0

        def rest(self, seconds: float, *, restores: bool) -> None:
            self.asked.add(restores)
            self.rested.append(seconds)

    class Asking(Trying):
        def batches(
            self, writes: Sequence[PlannedWrite], groups: Sequence[int], room: Callable[[], float]
        ) -> Iterator[Batch]:
            assert room() == 9.0
            return super().batches(writes, groups, room)

    scene = Scene(pool := Slow())
    writes = [replace(deletion(1), action=action), replace(deletion(2), action=action)]
    tag = replace(deletion(3), action=action, tag="v1")
    assert outcomes(scene.execute(Plan.of_singles([*writes, tag]), Asking())) == [DONE] * 3
    assert pool.asked == {action is Action.RESTORE}
    assert pool.rested == [5.0, 5.0, 0.5]
    assert outcomes(scene.execute(Plan.of_singles(writes[:1]), Asking())) == [DONE]


# --- tags ---


def untag(number: int) -> PlannedWrite:
    return replace(deletion(number), action=Action.UNTAG, tag=f"v{number}")


def test_tags_are_taken_away_one_after_the_other() -> None:
    scene = Scene()
    executed = scene.execute(Plan.of_singles([untag(1), deletion(9), untag(2), untag(3)]), script := Trying({2: NO}))
    assert script.seen == [9, 1, 2], "versions first; without permission for one, no other"
    assert outcomes(executed) == [DONE, DONE, Outcome.NO_PERMISSION, Outcome.NO_PERMISSION]
    assert [outcome for outcome, _ in scene.lines(1)] == ["started", "done"]


def test_a_rate_limited_tag_is_taken_away_later_under_its_number() -> None:
    class Patient(WritePool):
        slept: list[float] = new(default_factory=list)

        def rest(self, seconds: float, *, restores: bool) -> None:
            self.slept.append(seconds)

    scene = Scene(pool := Patient())
    github = Github({1: [(limited(), False)]})
    assert outcomes(scene.execute(Plan.of_singles([untag(1), untag(2)]), github)) == [DONE] * 2
    assert (github.gone, pool.slept) == ([1, 2], [60.0])
    assert [outcome for outcome, _ in scene.lines(1)] == ["started", "done"]


def test_a_rate_limited_tag_that_may_be_gone_is_not_tried_again() -> None:
    github = Github({1: [(limited(lost=True), True)]})
    assert outcomes(Scene().execute(Plan.of_singles([untag(1)]), github)) == [DONE]
    assert github.tries[1] == 1


def test_a_tag_does_not_begin_while_a_wait_is_due() -> None:
    scene = Scene(Hour(used_up_after=9))
    executed = scene.execute(Plan.of_singles([untag(1), untag(2)]), script := Trying())
    assert (script.seen, outcomes(executed), scene.paper.lines) == ([], [LATER] * 2, [])


def test_the_time_limit_is_noticed_after_each_tag() -> None:
    class Short(WritePool):
        over: bool = False

        @property
        def is_over(self) -> bool:
            return self.over

    scene = Scene(pool := Short())
    script = Trying(meanwhile=lambda _: setattr(pool, "over", True))
    executed = scene.execute(Plan(groups=((untag(1), untag(2)), (untag(3),))), script)
    assert (script.seen, outcomes(executed)) == ([1, 2], [DONE, DONE, LATER]), "the image that has begun is finished"


@pytest.mark.parametrize("write", [deletion(1), untag(1)])
def test_a_second_look_is_possible_after_the_time_limit(write: PlannedWrite) -> None:
    class Short(WritePool):
        over: bool = False

        @property
        def is_over(self) -> bool:
            return self.over

    class Late(Github):
        def attempt(self, write: PlannedWrite, permit: object = None) -> None:
            pool.over = True
            super().attempt(write, permit)

        def is_done(self, write: PlannedWrite) -> bool | None:
            if not pool.winds_up:
                raise OutOfTime
            return super().is_done(write)

    scene = Scene(pool := Short())
    github = Late({1: [(unanswered(out_of_time=True), True)]})
    assert outcomes(scene.execute(Plan.of_singles([write]), github)) == [DONE]


def test_an_image_whose_root_is_rate_limited_at_the_time_limit_has_begun() -> None:
    github = Rounds({10: [(limited(), False)]})
    executed = Scene(WritePool(most=1)).execute(images(2), github)
    assert outcomes(executed) == [DONE] * 3 + [LATER] * 3


# --- missing permissions ---


def test_without_permission_no_other_write_to_the_package_is_sent() -> None:
    scene = Scene(WritePool())
    plan = Plan.of_singles([deletion(1), deletion(2), deletion(3, package="other")])
    executed = scene.execute(plan, script := Trying({1: NO}))
    assert script.seen == [1, 3]
    assert outcomes(executed) == [Outcome.NO_PERMISSION, Outcome.NO_PERMISSION, DONE]
    assert executed.records[1].message == NOT_SENT
    assert scene.lines(2) == []
    again = scene.execute(Plan.of_singles([deletion(4), deletion(5, package="other")]), script)
    assert outcomes(again) == [Outcome.NO_PERMISSION, DONE], "in the next plan too"


def test_not_found_after_a_missing_permission_means_the_same() -> None:
    missing = ApiError(ApiErrorKind.NOT_FOUND, "Not Found", status=404)
    executed = Scene(InOrder(width=2)).execute(singles(2), Trying({1: NO, 2: missing}))
    assert outcomes(executed) == [Outcome.NO_PERMISSION] * 2


# --- rate-limited writes that are not sent again ---


def test_the_receipt_says_why_a_rate_limited_write_was_not_sent_again() -> None:
    scene = Scene(InOrder(width=2))
    executed = scene.execute(singles(3), Trying({1: limited(), 2: REVOKED}))
    assert isinstance(executed.ended_by, NotAuthorized)
    assert scene.lines(1) == [("started", None), ("no-permission", NOT_TRIED)]
    assert (executed.records[0].outcome, executed.records[0].message) == (Outcome.NO_PERMISSION, NOT_TRIED)


def test_a_rate_limited_write_that_is_no_longer_wanted_ends_in_the_receipt() -> None:
    moments = Moments()

    class Late(WritePool):
        def start(self, key: int, permit: Any, call: Any) -> None:
            super().start(key, permit, call)
            moments.seconds = 400.0

    scene, github = Scene(Late()), Github({1: [(limited(), False)]})
    executed = scene.execute(singles(1), github, lambda *_: FreshPlan(), clock=moments)
    assert outcomes(executed) == [Outcome.CHANGED_SINCE_PLAN]
    assert [outcome for outcome, _ in scene.lines(1)] == ["started", "changed-since-plan"]
    assert github.gone == []


# --- looks ---


@dataclass
class Looks:
    """Answers each look with a fresh plan, and keeps what was asked."""

    plan: Plan
    asked: list[tuple[set[str], set[int], set[int]]] = field(default_factory=list)
    still_there: frozenset[int] = frozenset()
    seen_gone: frozenset[int] = frozenset()
    dropped: frozenset[int] = frozenset()
    fails: Exception | None = None

    def __call__(
        self, packages: Collection[PackageName], left_over: Collection[int], gone: Collection[int]
    ) -> FreshPlan:
        self.asked.append(({each.name for each in packages}, set(left_over), set(gone)))
        if self.fails is not None:
            raise self.fails
        wanted = [write for write in self.plan.writes if write.version_id not in {*gone, *left_over, *self.dropped}]
        return FreshPlan(writes=wanted, still_there=self.still_there, seen_gone=self.seen_gone)


def of_package(name: str, plan: Plan, start: int) -> list[tuple[PlannedWrite, ...]]:
    """The images of a plan in another package, with other ids."""
    package = replace(APP, name=name)
    return [
        tuple(
            replace(
                each,
                package=package,
                version_id=(each.version_id or 0) + start,
                after=frozenset(number + start for number in each.after),
            )
            for each in group
        )
        for group in plan.groups
    ]


def test_before_parts_only_their_packages_are_read_again() -> None:
    alone = [(deletion(5, package="alone"),)]
    plan = Plan(groups=(*images(1).groups, *of_package("other", images(1), 100), *alone))
    looks, scene = Looks(plan), Scene(WritePool(width=1))
    executed = scene.execute(plan, Rounds({110: [(ApiError(ApiErrorKind.OTHER, "no"), False)]}), looks)
    assert looks.asked == [({"app"}, {11, 12}, {10})], "the root in the other package is still there"
    assert outcomes(executed) == [DONE] * 3 + [FAILED, Outcome.OVER_LIMIT, Outcome.OVER_LIMIT, DONE]


def test_when_no_root_is_gone_nothing_is_read_for_its_parts() -> None:
    refused = ApiError(ApiErrorKind.OTHER, "no")
    executed = Scene().execute(images(1), Rounds({10: [(refused, False)]}), unlooked)
    assert outcomes(executed) == [FAILED, Outcome.OVER_LIMIT, Outcome.OVER_LIMIT]


@pytest.mark.parametrize("both", [True, False])
def test_a_look_at_all_that_is_left_makes_the_inventory_fresh(both: bool) -> None:
    """Otherwise a refresh is due afterwards, since the clock has moved on."""

    class Batches(Github):
        def batches(
            self, writes: Sequence[PlannedWrite], groups: Sequence[int], room: Callable[[], float]
        ) -> Iterator[Batch]:
            yield Batch([0])
            moments.seconds = 400.0
            yield Batch([1, 2], needs_look=True)
            yield Batch(list(range(3, len(writes))))

    more = [] if both else [(deletion(5, package="alone"),)]
    moments, plan = Moments(seconds=0.0), Plan(groups=(*images(1).groups, *more))
    looks = Looks(plan)
    executed = Scene().execute(plan, Batches(), looks, clock=moments)
    assert outcomes(executed) == [DONE] * len(plan.writes)
    packages = [asked for asked, _, _ in looks.asked]
    assert packages == ([{"app"}] if both else [{"app"}, {"app", "alone"}])


def test_an_old_inventory_is_read_again_without_the_packages_that_are_done() -> None:
    moments = Moments()

    class Late(WritePool):
        def start(self, key: int, permit: Any, call: Any) -> None:
            super().start(key, permit, call)
            moments.seconds = 400.0 if key == 0 else moments.seconds

    plan = Plan.of_singles([deletion(1, package="first"), deletion(2), deletion(3), deletion(4, package="last")])
    looks, github = Looks(plan, dropped=frozenset({3})), Github()
    executed = Scene(Late()).execute(plan, github, looks, clock=moments)
    assert [asked for asked, _, _ in looks.asked] == [{"app", "last"}]
    assert outcomes(executed) == [DONE, DONE, Outcome.CHANGED_SINCE_PLAN, DONE]
    assert executed.records[2].message == "it is no longer as it was planned"
    assert github.gone == [1, 2, 4]


def test_out_of_time_in_a_look_leaves_the_rest_for_the_next_run() -> None:
    scene, github = Scene(), Rounds()
    executed = scene.execute(images(1), github, Looks(images(1), fails=OutOfTime()))
    assert (github.gone, outcomes(executed), executed.ended_by) == ([10], [DONE, LATER, LATER], None)
    assert scene.pool.winds_up


def cleaned(looks: Looks) -> tuple[Scene, Hub, Executed]:
    """Delete an image of two parts, with the real deletions."""
    versions = [container(number, digest(number)) for number in (10, 11, 12)]
    hub = Hub(World(versions=tuple(versions), manifests={each.name: plain(each.name) for each in versions}))
    scene = Scene()
    guarded = guard(looks.plan, Guards())
    deletions = Deletions(guarded, hub, hub, Untagger(hub, hub, hub, hub, scene.log), OnLastVersion.KEEP)
    return scene, hub, scene.execute(looks.plan, deletions, looks)


def test_a_root_that_is_still_there_keeps_its_parts() -> None:
    scene, hub, executed = cleaned(Looks(images(1), still_there=frozenset({10})))
    assert hub.writes == [("delete", 10)]
    assert outcomes(executed) == [FAILED] * 3
    assert executed.records[0].message == STILL_THERE
    assert [outcome for outcome, _ in scene.lines(10)] == ["started", "done", "failed"]


def test_a_root_that_was_seen_to_be_gone_was_restored_by_somebody_else() -> None:
    scene, hub, executed = cleaned(Looks(images(1), seen_gone=frozenset({10})))
    assert hub.writes == [("delete", 10), ("delete", 11), ("delete", 12)]
    corrected = scene.executor.corrected(executed.records, {10, 11})
    assert [record.outcome for record in corrected] == [DONE, FAILED, DONE]


# --- corrections ---


def test_only_confirmed_deletions_of_versions_that_are_still_there_are_corrected() -> None:
    scene = Scene()
    plan = Plan.of_singles([deletion(1), deletion(2), deletion(3), deletion(4), untag(4)])
    records = scene.execute(plan, Trying({2: ApiError(ApiErrorKind.OTHER, "no")})).records
    scene.log.said.clear()
    corrected = scene.executor.corrected(records, {1, 2, 4})
    assert [(each.outcome, each.message) for each in corrected] == [
        (FAILED, STILL_THERE),
        (FAILED, "no"),
        (DONE, ""),
        (FAILED, STILL_THERE),
        (DONE, ""),
    ]
    named = "container/app 1.0.0 (id 1), container/app 1.0.0 (id 4)"
    assert scene.log.said == [("info", f"{named}: {STILL_THERE}")]
    assert scene.lines(1)[-1] == ("failed", STILL_THERE)
    assert scene.lines(3)[-1] == ("done", None)
    assert scene.executor.corrected(corrected, {3, 99} - {3}) == corrected


def test_restorations_that_did_not_happen_are_corrected() -> None:
    scene = Scene()
    restoration = replace(deletion(2), action=Action.RESTORE)
    records = scene.execute(Plan.of_singles([deletion(1), restoration]), Trying()).records
    scene.log.said.clear()
    found = scene.executor.disproved(records, [restoration])
    assert [(each.outcome, each.message) for each in found] == [(DONE, ""), (FAILED, STILL_GONE)]
    assert scene.log.said == [("info", f"container/app 1.0.0 (id 2): {STILL_GONE}")]
    assert scene.lines(2)[-1] == ("failed", STILL_GONE)
    assert scene.executor.disproved(records, []) == records


# --- the log ---


def said(details: bool, endings: dict[int, Exception]) -> Iterable[tuple[str, str]]:
    class Detailed(Listener):
        shows_details = details

    scene = Scene(log=Detailed())
    scene.execute(singles(5), Trying(endings))
    return scene.log.said


def test_the_log_shows_the_first_failure_of_each_kind() -> None:
    no = ApiError(ApiErrorKind.OTHER, "strange")
    last = ApiError(ApiErrorKind.LAST_VERSION, "the last")
    texts = [
        "container/app 1.0.0 (id 2): failed, selected (strange)",
        f"container/app 1.0.0 (id 5): no-permission, selected ({NO})",
    ]
    assert said(False, {1: last, 2: no, 3: no, 5: NO}) == [("info", text) for text in texts]


def test_the_log_shows_each_write_when_details_are_asked_for() -> None:
    no = ApiError(ApiErrorKind.OTHER, "strange")
    lines = list(said(True, {2: no, 3: no}))
    assert {level for level, _ in lines} == {"debug"}
    assert [text.partition(": ")[2].partition(",")[0] for _, text in lines] == [
        "deleted",
        "failed",
        "failed",
        "deleted",
        "deleted",
    ]


def test_the_log_shows_how_far_the_writes_are() -> None:
    class Counting(Listener):
        def progress(self, what: str, done: int, total: int) -> None:
            self.said.append((what, f"{done} of {total}"))

    scene = Scene(WritePool(), log=Counting())
    scene.execute(singles(2), Trying())
    assert list(dict.fromkeys(scene.log.said)) == [
        ("writing", "0 of 2"),
        ("writing", "1 of 2"),
        ("writing", "2 of 2"),
    ]
