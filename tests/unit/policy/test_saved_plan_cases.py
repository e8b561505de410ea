"""What of a saved plan may still be written, case by case. Nothing is added, and in doubt nothing is sent."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from package_keeper.model.images import Graph, Image
from package_keeper.model.packages import Version
from package_keeper.model.plan import Action, Decision, Outcome, Plan, PlannedWrite, Reason
from package_keeper.model.run import PackageEvaluation
from package_keeper.policy.planning import ActiveNames
from package_keeper.policy.retention import KeepLists
from package_keeper.policy.saved_plans import (
    Absent,
    Restorable,
    contains_only,
    deletions_left,
    is_unchanged,
    package_deletions_left,
    restorations_left,
    rules_of,
)
from tests.unit.making import NOW, key, patterns, rule, rules, version
from tests.unit.model.worlds import child, digest, index, plain

APP, LIB = key("container"), key("container", "lib")
A, B, C = (digest(number) for number in (1, 2, 3))
ONE = version(1, of=APP, name=A, tags=("v1", "v2"))
CHANGED, GONE = Outcome.CHANGED_SINCE_PLAN, Outcome.ALREADY_GONE
NO_LISTS = KeepLists()


def delete(one: Version, **more: object) -> PlannedWrite:
    return replace(PlannedWrite.of(one, Action.DELETE, Reason.SELECTED), **more)


def untag(one: Version, tag: str) -> PlannedWrite:
    return replace(delete(one), action=Action.UNTAG, tag=tag)


def decided(one: Version, reason: Reason = Reason.SELECTED, root: Version | None = None) -> Decision:
    action = Action.DELETE if reason in {Reason.SELECTED, Reason.PART_OF} else Action.KEEP
    return Decision(version=one, action=action, reason=reason, root=root)


def now(*decisions: Decision, images: tuple[Image, ...] = (), graph: Graph | None = None) -> PackageEvaluation:
    found = images or tuple(Image(root=each.version) for each in decisions)
    return PackageEvaluation(package=APP, images=found, decisions=decisions, graph=graph)


def left(plan: Plan) -> list[tuple[int | None, str]]:
    return [(write.version_id, write.expected.value if write.expected else "sent") for write in plan.writes]


@pytest.mark.parametrize(
    ("saved", "same"),
    [
        (ONE, True),
        (replace(ONE, tags=("v2", "v1")), True),
        (replace(ONE, created_at=None), True),
        (replace(ONE, tags=("v1",)), False),
        (replace(ONE, tags=("v1", "v2", "v3")), False),
        (replace(ONE, name=B), False),
        (replace(ONE, tags_known=False), False),
        (replace(ONE, updated_at=NOW), False),
        (replace(ONE, updated_at=None), False),
    ],
)
def test_when_a_version_is_as_the_plan_saw_it(saved: Version, same: bool) -> None:
    assert is_unchanged(saved, ONE) is same
    found = deletions_left([[delete(saved)]], [now(decided(ONE))], NO_LISTS, Absent())
    assert left(found) == [(1, "sent" if same else CHANGED.value)]
    (write,) = found.writes
    assert (write.version, write.tags) == (ONE, ONE.tags), "the write says what is there now"
    assert [(each.action, each.reason) for each in found.decisions] == [(Action.DELETE, Reason.PLAN)]


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        # a list that names it by now leaves it out, and so does a package in which nothing is deleted
        *(
            (reason, [])
            for reason in Reason
            if reason.value.startswith("keep-")
            and reason.value not in {"keep-latest", "keep-daily", "keep-weekly", "keep-monthly", "keep-yearly"}
        ),
        (Reason.UNKNOWN_USE, []),
        (Reason.UNREADABLE, []),
        (Reason.NOT_SELECTED, [(1, CHANGED.value)]),
        (Reason.TOO_YOUNG, [(1, CHANGED.value)]),
        (Reason.NEEDED_BY, [(1, CHANGED.value)]),
    ],
)
def test_what_the_rules_of_today_keep_is_not_deleted(reason: Reason, expected: list[tuple[int, str]]) -> None:
    found = deletions_left([[delete(ONE)]], [now(decided(ONE, reason))], NO_LISTS, Absent())
    assert left(found) == expected


def test_what_a_kept_image_needs_is_left_out_with_it() -> None:
    root, part, other = ONE, version(2, of=APP, name=B), version(3, of=APP, name=C)
    groups = [[delete(root), delete(part, after=frozenset({1})), delete(other)]]
    kept = now(decided(root, Reason.KEEP_TAGS), decided(part, Reason.NEEDED_BY, root), decided(other))
    assert left(deletions_left(groups, [kept], NO_LISTS, Absent())) == [(3, "sent")]


def test_what_another_image_needs_by_now_is_not_left_out_in_silence() -> None:
    root, part, other = ONE, version(2, of=APP, name=B), version(3, of=APP, name=C)
    kept = now(
        decided(root, Reason.KEEP_TAGS), decided(part, Reason.NEEDED_BY, other), decided(other, Reason.TOO_YOUNG)
    )
    groups = [[delete(root), delete(part, after=frozenset({1}))]]
    assert left(deletions_left(groups, [kept], NO_LISTS, Absent())) == [(2, CHANGED.value)]


def test_a_tag_is_gone_when_its_version_is_a_part_of_another_image() -> None:
    part, holder = version(2, of=APP, name=B), version(3, of=APP, name=C, tags=("v1",))
    there = now(
        decided(holder, Reason.NOT_SELECTED),
        decided(part, Reason.NEEDED_BY, holder),
        images=(Image(root=holder, parts=(part,)),),
    )
    found = deletions_left(
        [[untag(replace(part, tags=("pr-1",)), "pr-1")]], [there], KeepLists(tags=patterns("x")), Absent()
    )
    assert left(found) == [(2, GONE.value)]


def test_a_changed_root_takes_its_parts_along() -> None:
    part = version(2, of=APP, name=B)
    groups = [[delete(replace(ONE, tags=())), delete(part, after=frozenset({1, 9}))]]
    there = now(decided(ONE), decided(part, Reason.PART_OF, ONE), images=(Image(root=ONE, parts=(part,)),))
    found = deletions_left(groups, [there], NO_LISTS, Absent())
    assert left(found) == [(1, CHANGED.value), (2, CHANGED.value)]
    assert [write.after for write in found.writes] == [frozenset(), {1}], "what is gone is not waited for"
    assert [each.root for each in found.decisions] == [None, ONE]


def test_what_something_new_needs_is_not_deleted() -> None:
    """A new index lists a part of the plan, and the part lists another one."""
    versions = [
        version(1, of=APP, name=A),
        version(2, of=APP, name=B),
        version(3, of=APP, name=C),
        version(4, of=APP, name=digest(4)),
    ]
    inner = index(B, child(plain(A)))
    manifests = {A: plain(A), B: inner, C: index(C, child(inner)), digest(4): plain(digest(4))}
    there = now(*(decided(each) for each in versions), graph=Graph(versions, manifests))
    groups = [[delete(each)] for each in (versions[0], versions[1], versions[3])]
    assert left(deletions_left(groups, [there], NO_LISTS, Absent())) == [
        (1, CHANGED.value),
        (2, CHANGED.value),
        (4, "sent"),
    ]
    groups.append([delete(versions[2])])
    assert {what for _, what in left(deletions_left(groups, [there], NO_LISTS, Absent()))} == {"sent"}


def test_what_an_index_needs_that_only_loses_a_tag_is_not_deleted() -> None:
    part, holder = version(2, of=APP, name=B), version(3, of=APP, name=C, tags=("pr-1", "v1"))
    manifests = {B: plain(B), C: index(C, child(plain(B)))}
    there = now(decided(holder, Reason.NOT_SELECTED), decided(part), graph=Graph([part, holder], manifests))
    found = deletions_left([[untag(holder, "pr-1")], [delete(part)]], [there], NO_LISTS, Absent())
    assert left(found) == [(3, "sent"), (2, CHANGED.value)]


def test_what_is_not_there_any_more() -> None:
    groups = [
        [delete(ONE)],
        [delete(version(2, of=APP, name=B))],
        [delete(version(3, of=LIB))],
        [delete(version(4, of=key()))],
    ]
    absent = Absent(packages={LIB: Outcome.NO_PERMISSION}, versions={2: Outcome.FAILED})
    assert left(deletions_left(groups, [now()], NO_LISTS, absent)) == [
        (1, GONE.value),
        (2, Outcome.FAILED.value),
        (3, Outcome.NO_PERMISSION.value),
    ]


def test_a_refusal_that_the_plan_expected_is_still_expected() -> None:
    groups = [[delete(ONE, expected=Outcome.LAST_VERSION)]]
    assert left(deletions_left(groups, [now(decided(ONE))], NO_LISTS, Absent())) == [(1, "last-version")]


def test_a_version_that_only_joined_an_image_stays() -> None:
    new = version(9, of=APP, name=B)
    found = deletions_left([[delete(ONE)]], [now(decided(ONE), decided(new, Reason.PART_OF, ONE))], NO_LISTS, Absent())
    assert [(each.version.id, each.action, each.reason) for each in found.decisions] == [
        (1, Action.DELETE, Reason.PLAN),
        (9, Action.KEEP, Reason.NOT_SELECTED),
    ]


@pytest.mark.parametrize(
    ("there", "lists", "released", "expected"),
    [
        (ONE, NO_LISTS, (), [(1, "sent")]),
        (replace(ONE, tags=("v2",)), NO_LISTS, (), [(1, GONE.value)]),
        (replace(ONE, tags=("v2",), tags_known=False), NO_LISTS, (), [(1, CHANGED.value)]),
        (replace(ONE, updated_at=NOW), NO_LISTS, (), [(1, CHANGED.value)]),
        (ONE, KeepLists(tags=patterns("v2")), (), []),
        (ONE, KeepLists(tags=patterns("x")), (), [(1, "sent")]),
        (ONE, NO_LISTS, (1,), []),
        (ONE, NO_LISTS, (2,), [(1, "sent")]),
    ],
)
def test_a_tag_is_taken_away_only_when_it_is_there_and_nothing_keeps_its_image(
    there: Version, lists: KeepLists, released: tuple[int, ...], expected: list[tuple[int, str]]
) -> None:
    evaluation = now(decided(there, Reason.NOT_SELECTED))
    found = deletions_left([[untag(ONE, "v1")]], [evaluation], lists, Absent(), released)
    assert left(found) == expected
    taken = [(each.action, each.untag) for each in found.decisions]
    is_untagged = bool(expected) and expected[0][1] != GONE.value
    assert taken == [(Action.UNTAG, ("v1",)) if is_untagged else (Action.KEEP, ())]


def test_the_rules_of_a_saved_plan_select_what_it_deletes() -> None:
    package = PlannedWrite(action=Action.DELETE, reason=Reason.SELECTED, package=LIB)
    groups = [[delete(ONE), untag(version(2, of=APP), "a")], [package], [delete(version(3, of=APP))]]
    given = rules_of(groups, rules(rule("x"), rule("y"), lists=KeepLists(tags=patterns("*"))), is_raw=True)
    (only,) = given.rules
    assert only.selection.version_ids == frozenset({1, 3})
    assert (given.raw, given.from_plan, given.is_policy, given.lists.tags is None) == (True, True, False, False)
    assert not rules_of(groups, rules(rule()), is_raw=False).raw


# --- whole packages ---


@pytest.mark.parametrize(
    ("there", "used", "expected"),
    [
        ([ONE], (), ["sent"]),
        ([], (), ["sent"]),
        ([ONE, version(2, of=APP)], (), [CHANGED.value]),
        ([replace(ONE, updated_at=NOW)], (), [CHANGED.value]),
        ([replace(ONE, tags=("keep",))], (), []),
        ([ONE], (1,), []),
        ([ONE], (2,), ["sent"]),
    ],
)
def test_a_package_goes_only_with_the_versions_that_the_plan_saw(
    there: list[Version], used: tuple[int, ...], expected: list[str]
) -> None:
    write = PlannedWrite(action=Action.DELETE, reason=Reason.SELECTED, package=APP, contains=(ONE,))
    lists = KeepLists(tags=patterns("keep"))
    found = package_deletions_left([[write]], {APP: there}, lists, Absent(), used)
    assert [what for _, what in left(found)] == expected
    assert contains_only(there, [ONE]) is (CHANGED.value not in expected and there != [replace(ONE, tags=("keep",))])


def test_a_package_that_is_absent_or_out_of_scope() -> None:
    write = PlannedWrite(action=Action.DELETE, reason=Reason.SELECTED, package=APP)
    assert left(package_deletions_left([[write]], {}, NO_LISTS, Absent(packages={APP: GONE}))) == [(None, GONE.value)]
    assert left(package_deletions_left([[write]], {}, NO_LISTS, Absent())) == []


# --- restorations ---

BACK = replace(delete(replace(ONE, deleted_at=NOW)), action=Action.RESTORE)
WHOLE = PlannedWrite(action=Action.RESTORE, reason=Reason.RECEIPT, package=APP)


def there(*active: Version, deleted: tuple[Version, ...] = (ONE,)) -> Restorable:
    return Restorable(active=ActiveNames.of(active), deleted={each.id: each for each in deleted})


@pytest.mark.parametrize(
    ("write", "restorable", "tags_may_move", "root_must_exist", "expected"),
    [
        (BACK, there(), False, False, None),
        (BACK, there(ONE), False, False, Outcome.ALREADY_ACTIVE),
        (BACK, there(version(9, of=APP, name=A)), False, False, Outcome.ALREADY_ACTIVE),
        (BACK, there(version(9, of=APP, name=B, tags=("v1",))), False, False, Outcome.TAG_IN_USE),
        (BACK, there(version(9, of=APP, name=B, tags=("v1",))), True, False, None),
        (BACK, there(version(9, of=APP, name=B, tags=("v3",))), False, False, None),
        (BACK, there(version(9, of=APP, name=B, tags_known=False)), False, False, CHANGED),
        (BACK, there(version(9, of=APP, name=B, tags_known=False)), True, False, None),
        (BACK, there(deleted=(replace(ONE, tags=("v1",)),)), False, False, CHANGED),
        # what GitHub does not list as deleted is found out when it is restored
        (BACK, there(deleted=()), False, False, None),
        (replace(BACK, version=replace(ONE, updated_at=None)), there(), False, False, None),
        (replace(BACK, version=None), there(deleted=()), False, False, None),
        (replace(BACK, version=None), there(), False, False, None),
        # the tags are those of the deleted version, when a receipt did not tell them
        (
            replace(BACK, version=replace(ONE, updated_at=None, tags=())),
            there(version(9, of=APP, name=B, tags=("v1",))),
            False,
            False,
            Outcome.TAG_IN_USE,
        ),
        # without a tag, it moves none
        (
            replace(BACK, version=replace(ONE, tags=())),
            there(version(9, of=APP, name=B, tags_known=False), deleted=(replace(ONE, tags=()),)),
            False,
            False,
            None,
        ),
        (replace(BACK, expected=Outcome.TAG_IN_USE), there(), True, False, Outcome.TAG_IN_USE),
        # a part of an image that is gone by now
        (replace(BACK, root=B), there(), False, True, CHANGED),
        (replace(BACK, root=B), there(version(9, of=APP, name=B)), False, True, None),
        (replace(BACK, root=B), there(), False, False, None),
        (replace(BACK, tag="v1"), there(), False, False, None),
        (BACK, None, False, False, GONE),
        (WHOLE, None, False, False, None),
        (WHOLE, there(), False, False, Outcome.ALREADY_ACTIVE),
    ],
)
def test_what_may_still_be_restored(
    write: PlannedWrite,
    restorable: Restorable | None,
    tags_may_move: bool,
    root_must_exist: bool,
    expected: Outcome | None,
) -> None:
    found = restorations_left(
        [[write]], {APP: restorable}, tags_may_move=tags_may_move, root_must_exist=root_must_exist
    )
    assert [each.expected for each in found.writes] == [expected]
    assert restorations_left([[write]], {}, tags_may_move=tags_may_move, root_must_exist=False).writes == ()


def test_of_two_restorations_of_one_tag_or_into_a_restored_package() -> None:
    twin = replace(BACK, version_id=2, version_name=B, version=replace(ONE, id=2, name=B))
    found = restorations_left([[BACK], [twin]], {APP: there()}, tags_may_move=False, root_must_exist=False)
    assert [each.expected for each in found.writes] == [None, Outcome.TAG_IN_USE]
    found = restorations_left([[WHOLE], [BACK]], {APP: None}, tags_may_move=False, root_must_exist=False)
    assert [each.expected for each in found.writes] == [None, None]


def test_what_is_not_restored_takes_no_name() -> None:
    twin = replace(BACK, version_id=2, version=replace(ONE, id=2, tags=()))
    deleted = (ONE, replace(ONE, id=2, tags=()))
    packages = {APP: there(version(9, of=APP, name=B, tags=("v1",)), deleted=deleted)}
    found = restorations_left([[BACK], [twin]], packages, tags_may_move=False, root_must_exist=False)
    assert [each.expected for each in found.writes] == [Outcome.TAG_IN_USE, None]
