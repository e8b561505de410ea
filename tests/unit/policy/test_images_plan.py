"""The plan of image deletions and its execution: roots before parts, whole images within a limit, and undo.

The real plan, guards, executor, receipt and undo run over a GitHub in memory that refuses at random.
"""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from package_keeper.errors import ApiError, ApiErrorKind
from package_keeper.execution.receipt import read_receipt
from package_keeper.model.packages import age_order
from package_keeper.model.plan import Action, Outcome, Plan
from package_keeper.operations.undo import plan_undo
from package_keeper.policy.guards import Guards, guard
from package_keeper.policy.rules import Rules
from tests.unit.making import patterns, rule, rules
from tests.unit.model.cases import Case, draw_case
from tests.unit.model.memory import Hub, Paper, Refuse, evaluated, executed, planned, restored
from tests.unit.model.worlds import (
    SEEDS,
    Habits,
    World,
    child,
    container,
    digest,
    index,
    naive_needs,
    plain,
    torn,
)

SMALL_CASES = st.builds(draw_case, SEEDS, st.integers(0, 25), st.just(Habits(missing=0.04, twins=0.1)))
"""Small, since every prefix of a plan is looked at; most of them delete something."""
LIMITS = st.integers(0, 12)

A, B, C, D, E = (digest(number) for number in range(1, 6))


def plan_of(case: Case, hub: Hub | None = None) -> Plan:
    return planned(evaluated(hub or Hub(case.world), case.rules), case.rules)


def deletions(plan: Plan) -> list[int]:
    return [write.version_id or 0 for write in plan.writes if write.action is Action.DELETE]


def refusals(seed: int, share: float = 0.3) -> Refuse:
    """Refuse some versions, every time they are asked for."""
    kinds = [
        ApiError(ApiErrorKind.PROTECTED_BY_DOWNLOADS, "more than 5000 downloads", status=400),
        ApiError(ApiErrorKind.LAST_VERSION, "the last tagged version", status=400),
        ApiError(ApiErrorKind.NO_PERMISSION, "not accessible", status=403),
        ApiError(ApiErrorKind.OTHER, "no", status=400),
    ]

    def refuse(version_id: int) -> ApiError | None:
        random = Random(seed * 100_003 + version_id)
        return random.choice(kinds) if random.random() < share else None

    return refuse


def watched(case: Case, hub: Hub) -> None:
    """Look after every single write whether anything is torn."""
    needs = naive_needs(case.world)

    def look() -> None:
        assert torn(case.world, set(hub.deleted), needs) == []

    hub.after_each = look


@given(SMALL_CASES, SEEDS)
def test_refused_writes_never_lead_to_a_torn_image(case: Case, seed: int) -> None:
    hub = Hub(case.world, refuse=refusals(seed))
    watched(case, hub)
    done = executed(hub, plan_of(case, hub))
    assert done.ended_by is None
    assert set(hub.deleted) == {
        record.write.version_id
        for record in done.records
        if record.write.action is Action.DELETE and record.outcome is Outcome.DONE
    }


@given(SMALL_CASES, LIMITS)
def test_after_any_single_write_nothing_is_torn_with_any_limit(case: Case, limit: int) -> None:
    hub = Hub(case.world)
    watched(case, hub)
    executed(hub, plan_of(case, hub), limit=limit)
    assert not limit or len(hub.writes) <= limit


@given(SMALL_CASES)
def test_every_prefix_of_a_plan_leaves_whole_images(case: Case) -> None:
    needs = naive_needs(case.world)
    gone: set[int] = set()
    for version_id in deletions(plan_of(case)):
        gone.add(version_id)
        assert torn(case.world, gone, needs) == []


@given(SMALL_CASES)
def test_without_refusals_and_limit_everything_planned_is_done(case: Case) -> None:
    hub = Hub(case.world)
    plan = plan_of(case, hub)
    done = executed(hub, plan)
    deleted = [record for record in done.records if record.write.action is Action.DELETE]
    held = {record.write.version_id for record in deleted if record.write.expected is not None}
    assert {record.outcome for record in deleted if record.write.version_id not in held} <= {Outcome.DONE}
    assert set(hub.deleted) == set(deletions(plan)) - held


@given(SMALL_CASES)
def test_the_image_that_github_would_refuse_is_the_newest_and_stays_whole(case: Case) -> None:
    hub = Hub(case.world)
    guarded = guard(plan_of(case, hub), Guards())
    held = {write.version_id or 0 for write in guarded.now if write.expected is not None}
    going = {write.version_id or 0 for write in guarded.now if write.expected is None and write.tag is None}
    there = {version.id: version for version in case.world.versions}
    left = [version for number, version in there.items() if number not in going]
    assert left or not there, "GitHub deletes no last version"
    had_tags = any(version.tags for version in there.values())
    assert not had_tags or any(version.tags for version in left), "GitHub deletes no last tagged version"
    assert torn(case.world, going, naive_needs(case.world)) == []
    if held:
        roots = [group[0] for group in guarded.plan.groups if group[0].version_id in held]
        newest = max(age_order(root.version, guarded.plan.timestamp) for root in roots if root.version)
        others = [group[0] for group in guarded.plan.groups if group[0].version_id in going]
        for root in others:
            assert root.version is not None
            is_better = bool(root.version.image_tags) or not had_tags
            assert not is_better or age_order(root.version, guarded.plan.timestamp) <= newest


@given(SMALL_CASES, SEEDS)
def test_the_plan_is_the_same_whatever_the_order_of_the_list(case: Case, seed: int) -> None:
    other = Case(world=case.world.shuffled(seed), rules=case.rules)
    assert plan_of(case).groups == plan_of(other).groups


@given(SMALL_CASES)
def test_the_plan_writes_each_version_once_and_nothing_that_was_not_decided(case: Case) -> None:
    found = evaluated(Hub(case.world), case.rules)
    plan = planned(found, case.rules)
    wanted = [each.version.id for each in found.decisions if each.action is Action.DELETE]
    assert sorted(deletions(plan)) == sorted(wanted)
    untagged = [(write.version_id, write.tag) for write in plan.writes if write.action is Action.UNTAG]
    assert sorted(untagged) == sorted((each.version.id, tag) for each in found.decisions for tag in each.untag)


@given(SMALL_CASES, LIMITS)
def test_a_limit_begins_an_image_only_when_all_of_it_fits_except_the_first(case: Case, limit: int) -> None:
    plan = plan_of(case)
    guarded = guard(plan, Guards(limit=limit))
    assert [write.version_id for write in guarded.now + guarded.later] == [write.version_id for write in plan.writes]
    plan = guarded.plan
    if not limit:
        assert not guarded.later
        return
    assert sum(write.expected is None for write in guarded.now) <= limit
    begun = set(guarded.now)
    split = [group for group in plan.groups if begun & set(group) and not begun >= set(group)]
    assert split in ([], [plan.groups[0]] if plan.groups else [])
    if plan.groups:
        assert guarded.now, "the first is always begun"


@given(SMALL_CASES, LIMITS, SEEDS)
def test_undo_brings_back_exactly_what_was_deleted(case: Case, limit: int, seed: int) -> None:
    hub = Hub(case.world, refuse=refusals(seed, 0.15))
    paper = Paper()
    executed(hub, plan_of(case, hub), limit=limit, paper=paper)
    gone = set(hub.deleted)
    if not paper.lines:
        assert not gone
        return
    if not gone:
        return
    entries = read_receipt(paper.text).entries
    plan = plan_undo(hub, entries).plan
    needs = naive_needs(case.world)
    lacking = [len(torn(case.world, set(hub.deleted), needs))]
    hub.after_each = lambda: lacking.append(len(torn(case.world, set(hub.deleted), needs)))
    back = restored(hub, plan)
    # of two versions of one digest only one can be active on GitHub; memory takes both, undo asks for the first
    twins = {record.write.version_id for record in back.records if record.outcome is Outcome.ALREADY_ACTIVE}
    assert hub.active.keys() | twins == case.world.by_id().keys()
    assert lacking == [0] * len(lacking), "a root came back before its parts"


@given(SMALL_CASES, st.integers(0, 60))
def test_undo_of_an_interrupted_run_restores_everything(case: Case, after: int) -> None:
    hub = Hub(case.world)
    paper = Paper()
    plan = plan_of(case, hub)
    executed(hub, Plan.of_singles(plan.writes[:after]), paper=paper)
    if hub.deleted:
        needs = naive_needs(case.world)
        assert torn(case.world, set(hub.deleted), needs) == []
        restored(hub, plan_undo(hub, read_receipt(paper.text).entries).plan)
        assert {version.name for version in hub.active.values()} == case.world.digests


def tags(text: str) -> Rules:
    return rules(rule(tags=patterns(text)))


def ids(plan: Plan) -> list[list[int | None]]:
    return [[write.version_id for write in group] for group in plan.groups]


def shared() -> Case:
    """Two images that share a part, the older with one part of its own, the newer with none."""
    first = index(A, child(plain(C)), child(plain(D)))
    second = index(B, child(plain(D)))
    world = World(
        versions=(
            container(1, A, "pr-1", days=50),
            container(2, B, "pr-2", days=40),
            container(3, C, days=50),
            container(4, D, days=50),
            container(5, E, "v1", days=60),
        ),
        manifests={A: first, B: second, **{name: plain(name) for name in (C, D, E)}},
    )
    return Case(world=world, rules=tags("pr-*"))


def test_a_shared_part_stands_with_the_last_of_its_images() -> None:
    assert ids(plan_of(shared())) == [[1, 3], [2, 4]]


@pytest.mark.parametrize(
    ("limit", "now"), [(0, [1, 3, 2, 4]), (1, [1]), (2, [1, 3]), (3, [1, 3]), (4, [1, 3, 2, 4]), (9, [1, 3, 2, 4])]
)
def test_a_limit_counts_a_shared_part_with_the_last_of_its_images(limit: int, now: list[int]) -> None:
    guarded = guard(plan_of(shared()), Guards(limit=limit))
    assert [write.version_id for write in guarded.now] == now


def test_a_part_that_was_split_off_by_the_limit_stays_with_its_root_refused() -> None:
    case = shared()
    protected = ApiError(ApiErrorKind.PROTECTED_BY_DOWNLOADS, "more than 5000 downloads", status=400)
    hub = Hub(case.world, refuse=lambda number: protected if number == 2 else None)
    done = executed(hub, plan_of(case, hub))
    assert [(record.write.version_id, record.outcome) for record in done.records] == [
        (1, Outcome.DONE),
        (3, Outcome.DONE),
        (2, Outcome.PROTECTED_BY_DOWNLOADS),
        (4, Outcome.PROTECTED_BY_DOWNLOADS),
    ]
    assert set(hub.deleted) == {1, 3}


def test_an_index_goes_before_the_older_tagged_images_that_it_holds() -> None:
    children = (container(1, A, "pr-1-amd64", days=52), container(2, B, "pr-1-arm64", days=51))
    root, other = container(3, C, "pr-1", days=50), container(4, D, "v1", days=49)
    manifests = {A: plain(A), B: plain(B), C: index(C, child(plain(A)), child(plain(B))), D: plain(D)}
    world = World(versions=(*children, root, other), manifests=manifests)
    hub = Hub(world)
    plan = plan_of(Case(world=world, rules=tags("pr-*")), hub)
    assert deletions(plan)[0] == 3
    done = executed(hub, plan)
    assert [record.outcome for record in done.records] == [Outcome.DONE] * 3
    alone = World(versions=(*children, root), manifests=manifests)
    hub = Hub(alone)
    done = executed(hub, plan_of(Case(world=alone, rules=tags("pr-*")), hub))
    assert [record.outcome for record in done.records] == [Outcome.LAST_VERSION] * 3, "the newest image stays whole"


def test_nested_images_go_from_the_outside_in() -> None:
    inner = index(B, child(plain(C)))
    world = World(
        versions=(container(9, A, "pr-1"), container(5, B), container(1, C)),
        manifests={A: index(A, child(inner), child(plain(C))), B: inner, C: plain(C)},
    )
    plan = plan_of(Case(world=world, rules=tags("pr-*")))
    assert ids(plan) == [[9, 5, 1]]
    assert [sorted(write.after) for write in plan.writes] == [[], [9], [5, 9]]


@pytest.mark.parametrize("tagged", [True, False])
def test_a_chain_of_tagged_images_goes_from_the_outside_in(*, tagged: bool) -> None:
    inner = index(B, child(plain(C)))
    world = World(
        versions=(
            container(44, A, *(["pr-3"] if tagged else []), days=30),
            container(36, B, "pr-2", days=40),
            container(53, C, "pr-1", days=50),
        ),
        manifests={A: index(A, child(inner)), B: inner, C: plain(C)},
    )
    protected = ApiError(ApiErrorKind.PROTECTED_BY_DOWNLOADS, "more than 5000 downloads", status=400)
    hub = Hub(world, refuse=lambda number: protected if number == 44 else None)
    plan = plan_of(Case(world=world, rules=rules(rule(versions=patterns("*")))), hub)
    assert deletions(plan) == [44, 36, 53]
    executed(hub, plan)
    assert hub.deleted == {}
