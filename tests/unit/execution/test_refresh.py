"""Refreshing an old plan: which writes are still sent, which are dropped, and which errors end the run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain, combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from package_keeper.causes import Cause
from package_keeper.errors import ApiError, ApiErrorKind, NotAuthorized, Unreachable
from package_keeper.execution.executor import Executor
from package_keeper.execution.receipt import ReceiptWriter
from package_keeper.execution.refresh import FRESH_SECONDS, FreshPlan, Refresh
from package_keeper.model.packages import Owner, OwnerType, PackageName
from package_keeper.model.plan import Action, Outcome, Plan, PlannedWrite
from package_keeper.policy.guards import Guards, guard
from package_keeper.runner.process import Interruption
from tests.unit.execution.test_executor import Listener, Script
from tests.unit.execution.test_receipt import Noon, Paper, deletion
from tests.unit.making import NOW, key, version
from tests.unit.pool import WritePool

CHANGED, FAILED = Outcome.CHANGED_SINCE_PLAN, Outcome.FAILED
APP, LIB = key("container"), key("container", "lib")


@dataclass
class Watch:
    """A clock that tests set."""

    seconds: float = 0.0

    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return self.seconds


@dataclass
class Looks:
    """Returns the plans one after the other, then always the last. `takes` are the seconds of each call."""

    plans: list[FreshPlan]
    takes: list[float] = field(default_factory=list)
    watch: Watch = field(default_factory=Watch)
    asked: list[tuple[list[PackageName], set[int]]] = field(default_factory=list)

    def __call__(
        self, packages: Collection[PackageName], left_over: Collection[int], gone: Collection[int]
    ) -> FreshPlan:
        del gone
        self.asked.append((list(packages), set(left_over)))
        self.watch.seconds += self.takes.pop(0) if self.takes else 0.0
        return self.plans.pop(0) if len(self.plans) > 1 else self.plans[0]


def refresh_with(looks: Looks) -> Refresh:
    return Refresh(replan=looks, clock=looks.watch, log=Listener(), read_from=0.0, read_until=1.0)


def objections(
    writes: list[PlannedWrite], fresh: FreshPlan, left_over: AbstractSet[int] = frozenset()
) -> list[Outcome | None]:
    found = refresh_with(Looks([fresh])).look(writes, left_over).objections
    return [each.outcome if each else None for each in found]


def holding(**holders: Iterable[int]) -> dict[int, frozenset[int]]:
    return {int(held.removeprefix("_")): frozenset(several) for held, several in holders.items()}


def test_what_is_never_fresh_is_read_once_although_no_time_has_passed() -> None:
    looks = Looks([FreshPlan()])
    refresh = Refresh(replan=looks, clock=looks.watch, log=Listener(), read_from=0.0, read_until=0.0, fresh_for=0.0)
    assert refresh.is_due()
    refresh.look([])
    assert not refresh.is_due()


# comparing the plans


def test_a_write_in_both_plans_is_sent() -> None:
    writes = [deletion(1, tags=("a", "b")), deletion(2), deletion(3)]
    fresh = FreshPlan(writes=[deletion(3), replace(writes[0], tags=("b", "a")), deletion(4)])
    assert objections(writes, fresh) == [None, CHANGED, None]


@pytest.mark.parametrize(
    "now",
    [
        replace(deletion(1), tags=("latest",)),
        replace(deletion(1), expected=Outcome.PROTECTED_BY_DOWNLOADS),
        replace(deletion(1), action=Action.UNTAG),
        replace(deletion(1), tag="v1"),
        replace(deletion(1), package=LIB),
    ],
)
def test_a_write_that_differs_in_the_new_plan_is_dropped(now: PlannedWrite) -> None:
    assert objections([deletion(1)], FreshPlan(writes=[now])) == [CHANGED]


def test_a_tag_is_removed_although_other_tags_were_removed_before() -> None:
    untag = replace(deletion(1, tags=("v1", "pr-1", "pr-2")), action=Action.UNTAG, tag="pr-2")
    assert objections([untag], FreshPlan(writes=[replace(untag, tags=("v1", "pr-2"))])) == [None]
    assert objections([untag], FreshPlan(writes=[replace(untag, tag="pr-3")])) == [CHANGED]


def test_unchanged_parts_of_deleted_images_are_deleted_without_a_rule() -> None:
    writes = [deletion(number) for number in range(1, 6)]
    still = {1: version(1), 2: version(2, tags=("latest",)), 4: version(4)}
    found = objections(writes, FreshPlan(left_over=still, holders=holding(_4=[9])), {1, 2, 3, 4})
    # the third is gone, which its deletion will find out; the fifth is not left over
    assert found == [None, CHANGED, None, CHANGED, CHANGED]


# holders


def test_a_version_that_a_new_image_needs_is_kept_with_its_parts() -> None:
    writes = [deletion(number) for number in range(1, 5)]
    fresh = FreshPlan(writes=[*writes, deletion(9)], holders=holding(_1=[9], _2=[1], _3=[2], _4=[]))
    assert objections(writes, fresh) == [CHANGED, CHANGED, CHANGED, None]


def test_what_is_needed_is_kept_whatever_the_order_of_the_writes() -> None:
    writes = [deletion(number) for number in range(1, 5)]
    fresh = FreshPlan(writes=writes, holders=holding(_1=[2], _2=[3], _3=[9]))
    assert objections(writes, fresh) == [CHANGED, CHANGED, CHANGED, None]


def test_parts_of_an_image_that_is_no_longer_deleted_are_kept() -> None:
    writes = [deletion(1), deletion(2), replace(deletion(3), package=LIB)]
    fresh = FreshPlan(
        writes=[deletion(2)], holders=holding(_2=[1, 2]), failed={LIB: ApiError(ApiErrorKind.OTHER, "no")}
    )
    assert objections(writes, fresh) == [CHANGED, CHANGED, FAILED]


def test_an_image_that_only_loses_a_tag_keeps_its_parts() -> None:
    writes = [replace(deletion(1), action=Action.UNTAG, tag="v1"), deletion(2)]
    assert objections(writes, FreshPlan(writes=writes, holders=holding(_2=[1]))) == [None, CHANGED]


def subsets(of: Collection[int]) -> Iterable[frozenset[int]]:
    return map(frozenset, chain.from_iterable(combinations(sorted(of), size) for size in range(len(of) + 1)))


@given(
    planned=st.sets(st.integers(1, 7)),
    again=st.sets(st.integers(1, 10)),
    left_over=st.sets(st.integers(1, 7)),
    holders=st.dictionaries(st.integers(1, 7), st.frozensets(st.integers(1, 10), max_size=3)),
    others=st.sets(st.integers(1, 7), max_size=2),
)
def test_exactly_the_versions_that_kept_versions_need_are_kept(
    planned: set[int], again: set[int], left_over: set[int], holders: Mapping[int, frozenset[int]], others: set[int]
) -> None:
    # versions above seven are not in the plan; of `others` only a tag is removed
    def write(number: int) -> PlannedWrite:
        untag = replace(deletion(number), action=Action.UNTAG, tag="v1")
        return untag if number in others else deletion(number)

    writes = [write(number) for number in sorted(planned)]
    fresh = FreshPlan(writes=[write(number) for number in sorted(again)], holders=holders)
    found = objections(writes, fresh, left_over & planned)
    going = {number for number, each in zip(sorted(planned), found, strict=True) if each is None} - others
    may_go = (planned & (again | left_over)) - others
    whole = [some for some in subsets(may_go) if all(holders.get(number, frozenset()) <= some for number in some)]
    assert going == frozenset().union(*whole)


def test_a_write_that_was_dropped_once_stays_dropped() -> None:
    writes = [deletion(1), deletion(2)]
    looks = Looks([FreshPlan(writes=writes[1:]), FreshPlan(writes=writes, holders=holding(_2=[1]))])
    ours = refresh_with(looks)
    assert [each is None for each in ours.look(writes).objections] == [False, True]
    assert [each is None for each in ours.look(writes).objections] == [False, False]


# errors


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [
        (ApiErrorKind.NOT_FOUND, CHANGED),
        (ApiErrorKind.UNREADABLE, CHANGED),
        (ApiErrorKind.NO_PERMISSION, Outcome.NO_PERMISSION),
        (ApiErrorKind.OTHER, FAILED),
        (ApiErrorKind.UNREACHABLE, FAILED),
    ],
)
def test_writes_to_a_package_that_cannot_be_read_again_are_dropped(kind: ApiErrorKind, outcome: Outcome) -> None:
    other = replace(deletion(2), package=LIB)
    fresh = FreshPlan(writes=[deletion(1), other], failed={APP: ApiError(kind, "no")})
    assert objections([deletion(1), other], fresh) == [outcome, None]


def test_a_rejected_token_or_an_unreachable_github_ends_the_run() -> None:
    over = ApiError(ApiErrorKind.UNAUTHORIZED, "Bad credentials", status=401, cause=Cause.CREDENTIALS)
    writes = [deletion(1), replace(deletion(2), package=LIB)]
    with pytest.raises(NotAuthorized, match="Bad credentials") as raised:
        objections(writes, FreshPlan(writes=writes, failed={LIB: over}))
    assert raised.value.causes == (Cause.CREDENTIALS,)
    gone = ApiError(ApiErrorKind.UNREACHABLE, "no answer")
    with pytest.raises(Unreachable, match="no answer"):
        objections(writes, FreshPlan(failed={APP: gone, LIB: gone}))


def test_one_package_that_answers_in_any_way_does_not_end_the_run() -> None:
    writes = [deletion(1), replace(deletion(2), package=LIB)]
    gone, refused = ApiError(ApiErrorKind.UNREACHABLE, "no answer"), ApiError(ApiErrorKind.NO_PERMISSION, "no")
    assert objections(writes, FreshPlan(failed={APP: gone, LIB: refused})) == [FAILED, Outcome.NO_PERMISSION]
    assert objections(writes, FreshPlan(writes=writes, failed={APP: gone})) == [FAILED, None]


# freshness


def test_lists_are_fresh_for_five_minutes_or_as_long_as_reading_them_again_took() -> None:
    looks = Looks([FreshPlan()], takes=[1, 500, 400])
    ours = refresh_with(looks)
    due: Callable[[], bool] = ours.is_due
    looks.watch.seconds = FRESH_SECONDS
    assert not due()
    looks.watch.seconds += 1
    assert due()
    ours.look([deletion(1)], {7})
    assert looks.asked == [([APP], {7})]
    looks.watch.seconds += FRESH_SECONDS - 1
    assert not due()
    looks.watch.seconds += 1
    assert due()
    ours.look([deletion(1)])
    assert len(looks.asked) == 3, "lists that took long are read once more, since a wait may be the reason"
    looks.watch.seconds += 400
    assert not due()
    looks.watch.seconds += 1
    assert due()


@pytest.mark.parametrize(("takes", "times"), [(FRESH_SECONDS, 1), (FRESH_SECONDS + 1, 2)])
def test_only_a_reading_of_more_than_five_minutes_is_repeated(takes: float, times: int) -> None:
    looks = Looks([FreshPlan()], takes=[takes])
    refresh_with(looks).look([deletion(1)])
    assert len(looks.asked) == times


def test_a_look_at_some_packages_does_not_make_the_others_fresh() -> None:
    looks = Looks([FreshPlan(still_there=frozenset({5}), seen_gone=frozenset({6}))])
    ours = refresh_with(looks)
    looks.watch.seconds = FRESH_SECONDS + 1
    found = ours.look([deletion(1)], is_partial=True)
    assert (found.still_there, found.seen_gone) == (frozenset({5}), frozenset({6}))
    assert ours.is_due()
    ours.look([deletion(1)])
    assert not ours.is_due()


@pytest.mark.parametrize(("age", "looked"), [(FRESH_SECONDS, 0), (FRESH_SECONDS + 1, 1)])
def test_after_the_time_limit_old_lists_are_read_again_before_images_are_finished(age: float, looked: int) -> None:
    @dataclass
    class Slow(Script):
        """When the first write ends, `time-limit` is over and the lists are `age` seconds old."""

        def attempt(self, write: PlannedWrite, permit: object = None) -> None:
            looks.watch.seconds = age
            super().attempt(write, permit)

    image = tuple(replace(deletion(number), root="1.0.0") for number in (1, 2, 3))
    looks, script = Looks([FreshPlan()]), Slow({})
    book = ReceiptWriter(lambda: Paper().append, Owner(login="acme", type=OwnerType.USER), {}, Noon())
    plan = guard(Plan(groups=(image, (deletion(4),))), Guards())
    executed = Executor(book, Listener(), Interruption(), WritePool(most=1)).execute(plan, script, refresh_with(looks))
    assert script.seen == [1, 2, 3]
    rest = [record.outcome for record in executed.records if record.write.version_id not in script.seen]
    assert set(rest) == {Outcome.OUT_OF_TIME}
    assert executed.ended_by is None
    assert len(looks.asked) == looked
