"""No image that stays ever loses a part, whatever the rules.

The evaluation under test reads as few manifests as possible; the tests know all of them. If it did not read a manifest
that it needs, the tests would find an image that lost a part.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from package_keeper.execution import image_reading
from package_keeper.model.images import Graph
from package_keeper.model.manifest import Manifest
from package_keeper.model.packages import Timestamp, Version
from package_keeper.model.plan import Action, Decision, Reason
from package_keeper.policy.evaluation import Evaluation, evaluate_deletions
from package_keeper.policy.retention import Counts
from package_keeper.policy.rules import Rules
from package_keeper.policy.selection import PartialMatch, TagStatus
from tests.unit.making import patterns, rule, rules
from tests.unit.model.cases import CASES, CYCLIC_CASES, Case, draw_case
from tests.unit.model.memory import Hub, Quiet, evaluated
from tests.unit.model.worlds import (
    BUNDLE,
    SEEDS,
    SIZES,
    WORLDS,
    Habits,
    World,
    child,
    container,
    digest,
    index,
    naive_needs,
    plain,
    referrer_tag,
    torn,
)

A, B, C, D, E, F, G = (digest(number) for number in range(1, 8))
ROUGH_CASES = st.builds(draw_case, SEEDS, SIZES, st.just(Habits(missing=0.3, twins=0.3, odd_ages=0.8, blind=0.5)))


def gone(decisions: tuple[Decision, ...] | list[Decision]) -> set[int]:
    return {each.version.id for each in decisions if each.action is Action.DELETE}


def world_of(versions: list[Version], *manifests: Manifest) -> World:
    return World(versions=tuple(versions), manifests={manifest.digest: manifest for manifest in manifests})


def selecting(**more: Any) -> Rules:
    return rules(rule(**more))


def changed(of: Rules, **more: Any) -> Rules:
    """The same with other fields of the one rule."""
    return replace(of, rules=(replace(of.inputs, **more),))


@given(CASES | ROUGH_CASES)
def test_with_few_manifests_read_no_image_that_stays_loses_a_part(case: Case) -> None:
    assert torn(case.world, gone(evaluated(Hub(case.world), case.rules).decisions)) == []


@given(CASES | ROUGH_CASES)
def test_with_all_manifests_read_no_image_that_stays_loses_a_part(case: Case) -> None:
    decisions = evaluate_deletions(Graph(case.world.versions, case.world.known()).images(), case.rules)
    assert torn(case.world, gone(decisions)) == []


@given(CASES | ROUGH_CASES)
def test_every_version_gets_exactly_one_decision(case: Case) -> None:
    found = [each.version.id for each in evaluated(Hub(case.world), case.rules).decisions]
    assert sorted(found) == sorted(version.id for version in case.world.versions)


@given(CASES)
def test_a_part_goes_only_with_its_last_owner(case: Case) -> None:
    found = evaluated(Hub(case.world), case.rules)
    taken = gone(found.decisions)
    needs = naive_needs(case.world)
    by_name: dict[str, set[int]] = {}
    for version in case.world.versions:
        by_name.setdefault(version.name, set()).add(version.id)
    for each in found.decisions:
        if each.reason is Reason.PART_OF:
            owners = [name for name, names in needs.items() if each.version.name in names]
            assert owners
            assert all(by_name[name] <= taken for name in owners)
            assert each.root is not None
            assert each.root.id in taken
        if each.reason is Reason.NEEDED_BY:
            assert each.root is not None
            assert each.root.id not in taken


@given(CASES, SEEDS)
def test_the_order_of_lists_does_not_matter(case: Case, seed: int) -> None:
    other = case.world.shuffled(seed)
    first = {each.version.id: each for each in evaluated(Hub(case.world), case.rules).decisions}
    second = {each.version.id: each for each in evaluated(Hub(other), case.rules).decisions}
    assert first == second


@given(CASES, SEEDS)
def test_the_order_of_reading_does_not_matter(case: Case, seed: int) -> None:
    given_rules = changed(case.rules, age=replace(case.rules.inputs.age, timestamp=Timestamp.UPDATED))
    first = evaluated(Hub(case.world), given_rules).decisions
    moved = world_with_other_pushes(case.world, seed)
    second = evaluated(Hub(moved), given_rules).decisions
    assert {each.version.id: each.action for each in first} == {each.version.id: each.action for each in second}


def world_with_other_pushes(world: World, seed: int) -> World:
    """The same with the times of creation dealt out anew: they decide only what is read first."""
    shuffled = world.shuffled(seed).versions
    times = [version.created_at for version in shuffled]
    return replace(
        world,
        versions=tuple(replace(version, created_at=time) for version, time in zip(world.versions, times, strict=True)),
    )


@pytest.mark.parametrize("size", [1, 3, 1_000])
def test_the_size_of_a_round_does_not_matter(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    cases = [draw_case(seed, 40) for seed in range(40)]
    usual = [gone(evaluated(Hub(case.world), case.rules).decisions) for case in cases]
    monkeypatch.setattr(image_reading, "ROUND", size)
    assert [gone(evaluated(Hub(case.world), case.rules).decisions) for case in cases] == usual


@given(CASES)
def test_a_second_run_deletes_nothing_more(case: Case) -> None:
    """Without counts a run is idempotent, except that a former part may be a root by then."""
    given_rules = changed(case.rules, counts=Counts())
    first = evaluated(Hub(case.world), given_rules)
    left = case.world.without(gone(first.decisions))
    again = gone(evaluated(Hub(left), given_rules).decisions)
    lists = given_rules.lists
    if given_rules.inputs.selection.conditions is None and not lists.digests and lists.versions is None:
        assert again == set()
    assert torn(left, again) == []


@given(CASES | ROUGH_CASES)
def test_candidates_are_never_fewer_than_the_roots_that_go(case: Case) -> None:
    found = evaluated(Hub(case.world), case.rules)
    roots = {
        each.version.id
        for each in found.decisions
        if each.action is Action.DELETE and each.reason is not Reason.PART_OF
    }
    assert roots <= Evaluation(case.rules).candidates(case.world.versions)


@given(CASES)
def test_no_manifest_is_read_twice_or_without_need(case: Case) -> None:
    hub = Hub(case.world)
    evaluated(hub, case.rules)
    assert all(times == 1 for times in hub.reads.values())
    assert hub.reads.keys() <= case.world.digests
    if not Evaluation(case.rules).candidates(case.world.versions):
        assert not hub.reads
        assert not hub.asked


@given(CASES)
def test_plain_children_of_tagged_indexes_are_never_read(case: Case) -> None:
    hub = Hub(case.world)
    evaluated(hub, case.rules)
    tagged = {version.name for version in case.world.versions if version.image_tags}
    children = {
        entry.digest
        for name in tagged
        for entry in case.world.manifests[name].children
        if not entry.is_index and entry.artifact_type is None and entry.has_platform
    }
    # what another index calls by a type that nobody knows may be anything
    doubtful = {entry.digest for each in case.world.manifests.values() for entry in each.children if entry.is_index}
    assert not (children - tagged - doubtful) & hub.reads.keys()


@given(CASES, SEEDS)
def test_an_unreadable_manifest_stops_every_deletion_of_its_package(case: Case, seed: int) -> None:
    names = sorted(case.world.digests)
    lost = names[seed % len(names)] if names else ""
    log = Quiet()
    hub = Hub(case.world, unreadable=[lost])
    found = evaluated(hub, case.rules, log)
    if hub.reads[lost]:
        assert gone(found.decisions) == set()
    reasons = {each.reason for each in found.decisions}
    assert (Reason.UNREADABLE in reasons) == any(lost[:19] in text for text in log.said)


@settings(max_examples=20)
@given(WORLDS)
def test_without_a_selection_nothing_goes(world: World) -> None:
    hub = Hub(world)
    assert gone(evaluated(hub, selecting()).decisions) == set()
    assert not hub.reads


def test_parts_of_a_circle_stay() -> None:
    # a fallback index that lists its own subject, and a part that it shares with a tagged image
    subject, shared = index(A), plain(B)
    world = world_of(
        [container(1, A), container(2, C, referrer_tag(A)), container(3, B), container(4, D, "pr-1")],
        subject,
        shared,
        index(C, child(subject), child(shared)),
        index(D, child(shared)),
    )
    assert torn(world, gone(evaluated(Hub(world), selecting(tags=patterns("pr-*"))).decisions)) == []


def test_a_twin_in_a_circle_gets_a_decision() -> None:
    first = index(A, child(index(B)))
    world = world_of([container(1, A, "v1"), container(2, A), container(3, B, "pr-1")], first, index(B, child(first)))
    found = evaluated(Hub(world), selecting(versions=patterns("*"), tag_status=TagStatus.TAGGED)).decisions
    found += evaluated(Hub(world), selecting(version_ids=frozenset({3}))).decisions
    assert sorted(each.version.id for each in found) == [1, 1, 2, 2, 3, 3]


@given(CYCLIC_CASES)
def test_circles_leave_whole_images(case: Case) -> None:
    found = evaluated(Hub(case.world), case.rules)
    assert torn(case.world, gone(found.decisions)) == []
    assert {each.version.id for each in found.decisions} == {each.id for each in case.world.versions}


def test_children_of_a_fallback_index_with_a_tag_of_its_own_are_read() -> None:
    referrer = plain(C, subject=B)
    world = world_of(
        [container(1, A, "v1", referrer_tag(B)), container(2, B, "v2"), container(3, C), container(4, E)],
        index(A, child(referrer, platform=False)),
        plain(B),
        referrer,
        index(E, child(referrer, platform=False)),
    )
    assert torn(world, gone(evaluated(Hub(world), selecting(tag_status=TagStatus.UNTAGGED)).decisions)) == []


def test_a_referrer_of_an_image_that_stays_does_not_go_with_an_index_that_lists_it() -> None:
    referrer = plain(C, subject=B)
    world = world_of(
        [container(1, A, "pr-1"), container(2, B, "v2"), container(3, C)],
        index(A, child(referrer, platform=False)),
        plain(B),
        referrer,
    )
    assert torn(world, gone(evaluated(Hub(world), selecting(tags=patterns("pr-*"))).decisions)) == []


def test_a_signature_that_is_an_index_keeps_its_children() -> None:
    world = world_of(
        [container(1, A, "v1"), container(2, B, referrer_tag(A, ".att")), container(3, C), container(4, D)],
        plain(A),
        index(B, child(plain(C))),
        plain(C),
        plain(D),
    )
    assert torn(world, gone(evaluated(Hub(world), selecting(tag_status=TagStatus.UNTAGGED)).decisions)) == []


def reads(world: World, given_rules: Rules) -> set[str]:
    hub = Hub(world)
    evaluated(hub, given_rules)
    return set(hub.reads)


def test_when_all_versions_are_tagged_only_selected_ones_are_read() -> None:
    world = world_of([container(1, A, "pr-1"), container(2, B, "v1"), container(3, C, "v2")], *map(plain, (A, B, C)))
    hub = Hub(world)
    evaluated(hub, selecting(tags=patterns("pr-*")))
    assert set(hub.reads) == {A}
    assert set(hub.asked) == {B, C}


def test_an_index_among_the_kept_tags_is_read_and_protects_a_tagged_child() -> None:
    world = world_of([container(1, A, "pr-1"), container(2, B, "v1")], plain(A), index(B, child(plain(A))))
    hub = Hub(world)
    found = evaluated(hub, selecting(tags=patterns("pr-*")))
    assert set(hub.reads) == {A, B}
    assert [(each.version.id, each.reason) for each in found.decisions] == [
        (1, Reason.NEEDED_BY),
        (2, Reason.NOT_SELECTED),
    ]


def test_untagging_reads_nothing() -> None:
    world = world_of([container(1, A, "pr-1", "v1"), container(2, B, "v2"), container(3, C)], *map(plain, (A, B, C)))
    given_rules = selecting(tags=patterns("pr-*"), partial_match=PartialMatch.UNTAG)
    assert reads(world, given_rules) == set()
    decision = evaluated(Hub(world), given_rules).decisions[0]
    assert (decision.action, decision.untag) == (Action.UNTAG, ("pr-1",))


@pytest.mark.parametrize(("hours", "stays"), [(1, True), (23.9, True), (24.1, False)])
def test_untagged_images_younger_than_a_day_stay_unless_an_age_is_given(hours: float, *, stays: bool) -> None:
    world = world_of([container(1, A, days=hours / 24), container(2, B, "v1", days=0)], plain(A), plain(B))
    untagged = selecting(tag_status=TagStatus.UNTAGGED)
    assert (gone(evaluated(Hub(world), untagged).decisions) == set()) is stays
    assert reads(world, untagged) == (set() if stays else {A, B})
    any_age = selecting(tag_status=TagStatus.UNTAGGED, older=0)
    assert gone(evaluated(Hub(world), any_age).decisions) == {1}


def test_a_kept_untagged_index_protects_its_children() -> None:
    kept = index(A, child(plain(B)))
    world = world_of([container(1, A, days=0.5), container(2, B), container(3, C)], kept, plain(B), plain(C))
    found = evaluated(Hub(world), selecting(tag_status=TagStatus.UNTAGGED))
    assert gone(found.decisions) == {3}
    assert {each.version.id: each.reason for each in found.decisions}[2] is Reason.NEEDED_BY


def test_parts_are_not_counted_as_images_by_keep_latest() -> None:
    old, new = index(A, child(plain(B)), child(plain(C))), index(D, child(plain(E)))
    world = world_of(
        [
            container(1, A, "v1", days=30),
            container(2, B, days=30),
            container(3, C, days=30),
            container(4, D, "v2", days=20),
            container(5, E, days=20),
            container(6, F, days=50),
            container(7, G, days=40),
        ],
        old,
        new,
        *map(plain, (B, C, E, F, G)),
    )
    given_rules = selecting(versions=patterns("*"), counts=Counts(latest=1))
    assert gone(evaluated(Hub(world), given_rules).decisions) == {1, 2, 3, 6}


def test_a_stale_fallback_index_and_all_referrers_go_with_their_subject() -> None:
    first, second, third = plain(B, subject=A), plain(C, subject=A), plain(F, subject=C)
    lists = [child(first, platform=False, artifact_type=BUNDLE), child(second, platform=False)]
    world = world_of(
        [
            container(1, A, "pr-1"),
            container(2, B),
            container(3, C),
            container(4, D),
            container(5, E, referrer_tag(A)),
            container(6, F),
            container(7, G, "v1"),
        ],
        plain(A),
        first,
        second,
        third,
        index(D, lists[0]),
        index(E, *lists),
        plain(G),
    )
    assert gone(evaluated(Hub(world), selecting(tags=patterns("pr-*"))).decisions) == {1, 2, 3, 4, 5, 6}
    assert gone(evaluated(Hub(world), selecting(tag_status=TagStatus.UNTAGGED)).decisions) == set()


def test_all_versions_of_one_digest_stay_when_one_stays() -> None:
    world = world_of([container(1, A, "v1"), container(2, A)], plain(A))
    found = evaluated(Hub(world), selecting(tag_status=TagStatus.UNTAGGED)).decisions
    assert [(each.version.id, each.reason) for each in found] == [(1, Reason.NOT_SELECTED), (2, Reason.NEEDED_BY)]
