"""The guard `limit`, and which deleted versions can be restored."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from package_keeper.model.packages import Timestamp, Version
from package_keeper.model.plan import Action, Decision, Outcome, Plan, PlannedWrite, Reason
from package_keeper.policy.guards import Guards, guard
from package_keeper.policy.planning import ActiveNames, plan_deletions, plan_restorations
from tests.unit.making import NOW, key, version, version_lists


def write(number: int, expected: Outcome | None = None) -> PlannedWrite:
    return PlannedWrite(
        action=Action.DELETE, reason=Reason.SELECTED, package=key(), version_id=number, expected=expected
    )


REFUSALS = st.none() | st.sampled_from([Outcome.ALREADY_ACTIVE, Outcome.TAG_IN_USE])
GROUPS = st.lists(REFUSALS.map(lambda expected: [expected]) | st.lists(st.none(), min_size=1, max_size=4), max_size=6)
"""Images of several writes, and writes that stand alone, of which some are known to be impossible."""


@given(GROUPS, st.integers(0, 12))
def test_a_limit_takes_whole_images_from_the_beginning(groups: list[list[Outcome | None]], limit: int) -> None:
    numbers = iter(range(1, 1_000))
    plan = Plan(groups=tuple(tuple(write(next(numbers), expected) for expected in group) for group in groups))
    guarded = guard(plan, Guards(limit=limit))
    assert guarded.now + guarded.later == plan.writes, "nothing is lost, nothing changes its place"
    sent = [one for one in guarded.now if one.expected is None]
    if not limit:
        assert guarded.later == ()
        return
    assert len(sent) <= limit
    now = {one.version_id for one in guarded.now}
    for number, group in enumerate(plan.groups):
        done = [one for one in group if one.version_id in now]
        if done and len(done) < len(group):
            before = [one for earlier in plan.groups[:number] for one in earlier if one.expected is None]
            assert before == [], "only the first image may be begun and not ended"
            assert len(sent) == limit
        size = sum(one.expected is None for one in group)
        if not done and sent and size:
            assert len(sent) + size > limit, "what is left did not fit"
            break


def test_a_refused_write_takes_no_place_in_the_limit() -> None:
    plan = Plan.of_singles([write(1, Outcome.TAG_IN_USE), write(2), write(3, Outcome.TAG_IN_USE), write(4)])
    guarded = guard(plan, Guards(limit=1))
    assert [one.version_id for one in guarded.now] == [1, 2, 3]
    assert [one.version_id for one in guarded.later] == [4]


@given(version_lists(), st.randoms(use_true_random=False))
def test_deletions_are_planned_oldest_first_unknown_ages_last(versions: list[Version], chance: random.Random) -> None:
    decisions = [Decision(version=one, action=Action.DELETE, reason=Reason.SELECTED) for one in versions]
    chance.shuffle(decisions)
    times = [one.version.updated_at for one in plan_deletions(decisions, Timestamp.UPDATED, {}).writes if one.version]
    known = [moment for moment in times if moment is not None]
    assert known == sorted(known)
    assert times[: len(known)] == known


def restorations(
    deleted: list[Version], active: list[Version], *, named: bool = False
) -> dict[int | None, Outcome | None]:
    decisions = [Decision(version=one, action=Action.RESTORE, reason=Reason.SELECTED) for one in deleted]
    plan = plan_restorations(decisions, ActiveNames.of(active), Timestamp.DELETED, tags_may_move=named)
    assert plan.decisions == tuple(decisions)
    return {one.version_id: one.expected for one in plan.writes}


IMAGE = key("container")


def image(number: int, *tags: str, name: str = "", deleted: int | None = 1) -> Version:
    at = None if deleted is None else NOW - timedelta(days=deleted)
    return version(number, of=IMAGE, name=name or f"sha256:{number:064x}", tags=tags, deleted_at=at)


@pytest.mark.parametrize("named", [False, True])
def test_an_active_version_is_not_restored_even_when_named(named: bool) -> None:
    active = [image(1, deleted=None), image(2, name="sha256:" + "b" * 64, deleted=None)]
    gone = [image(1), image(3, name="sha256:" + "b" * 64), image(4)]
    assert restorations(gone, active, named=named) == {
        1: Outcome.ALREADY_ACTIVE,
        3: Outcome.ALREADY_ACTIVE,
        4: None,
    }


def test_a_tag_in_use_is_not_taken_unless_the_user_names_the_version() -> None:
    active = [image(1, "stable", deleted=None)]
    assert restorations([image(2, "stable", "x"), image(3, "y")], active) == {2: Outcome.TAG_IN_USE, 3: None}
    assert restorations([image(2, "stable", "x")], active, named=True) == {2: None}


def test_of_several_versions_with_one_tag_the_newest_is_restored() -> None:
    gone = [image(1, "nightly", deleted=9), image(2, "nightly", deleted=3), image(3, "nightly", deleted=5)]
    assert restorations(gone, []) == {1: Outcome.TAG_IN_USE, 2: None, 3: Outcome.TAG_IN_USE}


def test_referrer_tags_are_no_conflict() -> None:
    tag = f"sha256-{'a' * 64}.sig"
    assert restorations([image(2, tag)], [image(1, tag, deleted=None)]) == {2: None}


@given(version_lists("container"), st.randoms(use_true_random=False))
def test_no_two_restored_versions_have_the_same_tag(versions: list[Version], chance: random.Random) -> None:
    chance.shuffle(versions)
    cut = len(versions) // 2
    active, gone = versions[:cut], versions[cut:]
    back = {number for number, expected in restorations(gone, active).items() if expected is None}
    tags = {tag for one in active for tag in one.image_tags}
    for one in gone:
        if one.id in back:
            assert not tags & set(one.image_tags)
            tags |= set(one.image_tags)
