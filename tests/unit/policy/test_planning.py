"""From decisions to writes, case by case: what is written, in which order, and what is told about it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from package_keeper.model.manifest import stubs
from package_keeper.model.packages import Timestamp, Version
from package_keeper.model.plan import Action, Decision, Outcome, Reason
from package_keeper.policy.planning import ActiveNames, plan_deletions, plan_restorations, without_stubs
from package_keeper.policy.selection import PartialMatch
from tests.unit.making import NOW, key, patterns, rule, rules, version
from tests.unit.model.memory import Hub, evaluated, planned
from tests.unit.model.worlds import World, child, container, digest, index, plain

A, B, C, D = (digest(number) for number in range(1, 5))


def decision(
    one: Version, action: Action = Action.DELETE, reason: Reason = Reason.SELECTED, **more: object
) -> Decision:
    return replace(Decision(version=one, action=action, reason=reason), **more)


# --- deletions ---


def test_only_what_is_to_go_is_written_and_the_oldest_first() -> None:
    decisions = [
        decision(version(1)),
        decision(version(9), Action.KEEP, Reason.KEEP_TAGS),
        decision(version(3)),
        decision(version(2)),
    ]
    plan = plan_deletions(decisions, Timestamp.UPDATED, {})
    assert [write.version_id for write in plan.writes] == [3, 2, 1]
    assert plan.decisions == tuple(decisions)
    by_creation = [
        replace(each, version=replace(each.version, created_at=each.version.updated_at, updated_at=NOW))
        for each in decisions
    ]
    plan = plan_deletions(by_creation, Timestamp.CREATED, {})
    assert ([write.version_id for write in plan.writes], plan.timestamp) == ([3, 2, 1], Timestamp.CREATED)


def test_a_write_says_what_it_is_about() -> None:
    one = version(1, of=key("container"), tags=("a", "b", "c"))
    untag = Decision(version=one, action=Action.UNTAG, reason=Reason.RULE, rule="old", untag=("b", "a"))
    plan = plan_deletions([untag], Timestamp.UPDATED, {})
    assert [len(group) for group in plan.groups] == [1, 1]
    assert [(write.tag, write.rule, write.reason, write.action, write.tags) for write in plan.writes] == [
        (tag, "old", Reason.RULE, Action.UNTAG, ("a", "b", "c")) for tag in ("b", "a")
    ]


def test_a_part_waits_for_what_points_to_it_and_for_nothing_else() -> None:
    world = World(
        versions=(container(1, A, "pr-1", days=50), container(2, B), container(3, C, "pr-2", days=45), container(4, D)),
        manifests={
            A: index(A, child(plain(B))),
            B: plain(B),
            C: index(C, child(plain(D))),
            D: plain(D),
        },
    )
    given = rules(rule(tags=patterns("pr-*")))
    plan = planned(evaluated(Hub(world), given), given)
    assert [[(write.version_id, set(write.after), write.root) for write in group] for group in plan.groups] == [
        [(1, set(), None), (2, {1}, A)],
        [(3, set(), None), (4, {3}, C)],
    ]


def test_an_image_that_only_loses_a_tag_keeps_its_place() -> None:
    """The newer index goes, the older image that it holds has a tag that stays: it loses the other one first."""
    world = World(
        versions=(container(1, A, "pr-1", "v1", days=50), container(2, B, "pr-2", days=45)),
        manifests={A: plain(A), B: index(B, child(plain(A)))},
    )
    given = rules(rule(tags=patterns("pr-*"), partial_match=PartialMatch.UNTAG))
    plan = planned(evaluated(Hub(world), given), given)
    assert [(write.version_id, write.action, write.tag) for write in plan.writes] == [
        (1, Action.UNTAG, "pr-1"),
        (2, Action.DELETE, None),
    ]


def order(world: World) -> list[list[int | None]]:
    """The groups of the plan that deletes all images with a tag `pr-…`."""
    given = rules(rule(tags=patterns("pr-*")))
    plan = planned(evaluated(Hub(world), given), given)
    return [[write.version_id for write in group] for group in plan.groups]


def test_a_shared_part_goes_after_all_that_lists_it() -> None:
    inner = index(B, child(plain(C)))
    world = World(
        versions=(container(1, A, "pr-1", days=50), container(2, D, "pr-2", days=45), container(3, B), container(4, C)),
        manifests={A: index(A, child(plain(C))), B: inner, C: plain(C), D: index(D, child(inner))},
    )
    assert order(world) == [[1], [2, 3, 4]]


def test_versions_of_one_digest_keep_their_order() -> None:
    tags = {1: ("pr-1", 50), 2: ("pr-2", 45), 3: ("pr-3", 40)}
    versions = tuple(container(number, A if number < 3 else B, tag, days=days) for number, (tag, days) in tags.items())
    assert order(World(versions=versions, manifests={A: plain(A), B: plain(B)})) == [[1], [2], [3]]


def test_an_index_that_also_refers_to_its_child_goes_before_it() -> None:
    world = World(
        versions=(
            container(1, A, "pr-1", days=50),
            container(2, B, "pr-2", days=45),
            container(3, C, "pr-3", days=40),
        ),
        manifests={A: plain(A), B: index(B, child(plain(A)), subject=A), C: plain(C)},
    )
    assert order(world) == [[2], [1], [3]]


def test_a_referrer_with_a_tag_of_its_own_goes_after_its_subject() -> None:
    world = World(
        versions=(container(1, B, "pr-1", days=50), container(2, A, "pr-2", days=45)),
        manifests={A: plain(A), B: plain(B, subject=A)},
    )
    assert order(world) == [[2], [1]]


# --- restorations ---

IMAGE = key("container")


def gone(number: int, *tags: str, name: str = "", **more: object) -> Version:
    """A version that was deleted `number` days ago."""
    return replace(
        version(number, of=IMAGE, name=name or digest(number), tags=tags, **more), deleted_at=version(number).updated_at
    )


def restored(*versions: Version, active: ActiveNames | None = None, named: bool = False) -> list[tuple[int, str]]:
    """What is sent or not, in order."""
    decisions = [decision(one, Action.RESTORE) for one in versions]
    plan = plan_restorations(decisions, active or ActiveNames(), Timestamp.DELETED, tags_may_move=named)
    return [(write.version_id or 0, write.expected.value if write.expected else "") for write in plan.writes]


TAKEN, THERE = Outcome.TAG_IN_USE.value, Outcome.ALREADY_ACTIVE.value


@pytest.mark.parametrize(
    ("versions", "expected"),
    [
        # what was deleted first comes back first
        ([gone(1, "a"), gone(3, "b"), gone(2, "c")], [(3, ""), (2, ""), (1, "")]),
        # of one tag, the version that was deleted last gets it
        ([gone(3, "a"), gone(1, "a"), gone(2, "a", "b")], [(3, TAKEN), (2, TAKEN), (1, "")]),
        # of one name, the newest that has tags
        ([gone(1, name=A), gone(2, "a", name=A), gone(3, "b", name=A)], [(1, THERE), (3, THERE), (2, "")]),
        ([gone(2, name=A), gone(1, name=A)], [(2, THERE), (1, "")]),
    ],
)
def test_of_deleted_versions_with_the_same_name_or_tag_one_is_restored(
    versions: list[Version], expected: list[tuple[int, str]]
) -> None:
    assert restored(*versions) == expected
    assert restored(*versions[::-1]) == expected


@pytest.mark.parametrize(
    ("active", "named", "expected"),
    [
        (version(1, of=IMAGE, name=B), False, [(1, THERE)]),
        (version(9, of=IMAGE, name=digest(1)), False, [(1, THERE)]),
        (version(9, of=IMAGE, name=digest(1)), True, [(1, THERE)]),
        (version(9, of=IMAGE, name=B, tags=("b", "a")), False, [(1, TAKEN)]),
        (version(9, of=IMAGE, name=B, tags=("b", "a")), True, [(1, "")]),
        (version(9, of=IMAGE, name=B, tags=("b",)), False, [(1, "")]),
    ],
)
def test_what_is_active_is_not_restored_and_its_tags_only_when_the_user_named_the_version(
    active: Version, named: bool, expected: list[tuple[int, str]]
) -> None:
    assert restored(gone(1, "a"), active=ActiveNames.of([active]), named=named) == expected


def test_no_tagged_version_is_restored_unless_all_tags_in_use_are_known() -> None:
    known, unknown = version(8, of=IMAGE, name="x"), version(9, of=IMAGE, name="y", tags_known=False)
    for several in ([known, unknown], [unknown, known]):
        assert restored(gone(1, "a"), gone(2), active=ActiveNames.of(several)) == [(2, "")]
        assert restored(gone(1, "a"), gone(2), active=ActiveNames.of(several), named=True) == [(2, ""), (1, "")]
    assert restored(gone(1, "a"), gone(2), active=ActiveNames.of([known])) == [(2, ""), (1, "")]
    decisions = [decision(gone(1, "a"), Action.RESTORE), decision(gone(2, "b"), Action.KEEP, Reason.TOO_YOUNG)]
    plan = plan_restorations(decisions, ActiveNames.of([unknown]), Timestamp.DELETED, tags_may_move=False)
    assert [(each.action, each.reason) for each in plan.decisions] == [
        (Action.KEEP, Reason.UNREADABLE),
        (Action.KEEP, Reason.TOO_YOUNG),
    ]


def test_what_stays_deleted_is_not_written() -> None:
    decisions = [decision(gone(1), Action.KEEP, Reason.NOT_SELECTED), decision(gone(2), Action.RESTORE)]
    plan = plan_restorations(decisions, ActiveNames(), Timestamp.DELETED, tags_may_move=False)
    assert [write.version_id for write in plan.writes] == [2]
    assert plan.decisions == tuple(decisions)


def test_a_restored_version_is_active_for_the_next_plan() -> None:
    active = ActiveNames()
    for expected in (None, Outcome.ALREADY_ACTIVE):
        plan = plan_restorations(
            [decision(gone(1, "a"), Action.RESTORE)], active, Timestamp.DELETED, tags_may_move=False
        )
        assert [write.expected for write in plan.writes] == [expected]
    assert (active.ids, active.names, active.tags) == ({1}, {digest(1)}, {"a"})


def test_a_stub_is_not_restored() -> None:
    stub = gone(1, "a", name=min(stubs("a")))
    decisions = [decision(stub, Action.RESTORE), decision(gone(2, "a"), Action.RESTORE), decision(stub, Action.KEEP)]
    found, kept = without_stubs(decisions)
    assert [(each.action, each.reason) for each in found] == [
        (Action.KEEP, Reason.NOT_SELECTED),
        (Action.RESTORE, Reason.SELECTED),
        (Action.KEEP, Reason.SELECTED),
    ]
    assert kept == [stub]
