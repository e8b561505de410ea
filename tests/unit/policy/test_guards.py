"""The guards of a plan, case by case: `max-delete-percent`, `on-last-version`, `limit`; and plans without tags."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from package_keeper.model.plan import Action, Decision, Outcome, Plan, PlannedWrite, Reason
from package_keeper.policy.guards import Guards, OnLastVersion, TooMuch, guard, split_tags
from package_keeper.policy.planning import planned
from tests.unit.making import key, version

KEEP, FAIL, WHOLE = OnLastVersion.KEEP, OnLastVersion.FAIL, OnLastVersion.DELETE_PACKAGE
SIGNATURE = f"sha256-{'a' * 64}.sig"


def decided(going: str, staying: str = "", *, kind: str = "container", name: str = "app") -> list[Decision]:
    """Decisions about images such as `1:v1`, by age: number 1 is the newest. `2` has no tag."""
    found = []
    for text, action in ((going, Action.DELETE), (staying, Action.KEEP)):
        for image in text.split():
            number, _, tag = image.partition(":")
            one = version(int(number), of=key(kind, name), tags=(tag,) if tag else ())
            reason = Reason.SELECTED if action is Action.DELETE else Reason.NOT_SELECTED
            found.append(Decision(version=one, action=action, reason=reason))
    return found


def plan_of(*decisions: Decision) -> Plan:
    """The plan that deletes every image by itself, the oldest first."""
    going = [planned(each) for each in decisions if each.action is Action.DELETE]
    going.sort(key=lambda write: -(write.version_id or 0))
    return Plan.of_singles(going, decisions)


def ids(writes: tuple[PlannedWrite, ...]) -> list[int | None]:
    return [write.version_id for write in writes]


# --- max-delete-percent ---


@pytest.mark.parametrize(
    ("going", "staying", "percent", "refused"),
    [
        ("1 2", "3 4", 50, False),
        ("1 2", "3 4", 49, True),
        ("1", "2 3", 33, True),
        ("1", "2 3", 34, False),
        ("1", "", 99, True),
        ("1", "", 100, False),
        ("", "1", 0, False),
        ("1", "2", 0, True),
    ],
)
def test_a_plan_over_the_percentage_of_a_package_is_refused(
    going: str, staying: str, percent: int, refused: bool
) -> None:
    plan, guards = plan_of(*decided(going, staying)), Guards(max_delete_percent=percent)
    if refused:
        with pytest.raises(TooMuch, match=f"max-delete-percent: {percent} %"):
            guard(plan, guards)
    else:
        guard(plan, guards)


def test_each_package_is_held_against_the_percentage_and_only_those_over_it_are_named() -> None:
    plan = plan_of(*decided("1 2 3", "4"), *decided("5", "6 7 8", name="lib"), *decided("9", "10", name="cli"))
    with pytest.raises(TooMuch) as refused:
        guard(plan, Guards(max_delete_percent=50, limit=1))
    assert "container app: 3 of 4 versions (75.0 %)" in str(refused.value).replace("/", " ")
    assert "lib" not in str(refused.value)
    assert "cli" not in str(refused.value)


def test_without_a_percentage_everything_may_go() -> None:
    assert ids(guard(plan_of(*decided("1", kind="npm"), *decided("2", "3")), Guards()).now) == [2, 1]


def test_only_deletions_that_are_sent_count_for_the_percentage() -> None:
    first, second = decided("1:a 2:b")
    for write in (
        planned(first, tag="a"),
        replace(planned(first), action=Action.UNTAG, tag="a"),
        replace(planned(first), action=Action.RESTORE),
        replace(planned(first), expected=Outcome.ALREADY_GONE),
    ):
        guard(Plan.of_singles([write], [first, second]), Guards(max_delete_percent=0))


@pytest.mark.parametrize(("versions", "told"), [(3, "3 of 3"), (1, "1 of 1"), (0, "1 of 1")])
def test_a_whole_package_counts_with_all_versions_that_it_has(versions: int, told: str) -> None:
    contains = tuple(version(number) for number in range(versions))
    write = PlannedWrite(action=Action.DELETE, reason=Reason.SELECTED, package=key(), contains=contains)
    with pytest.raises(TooMuch, match=rf"{told} versions \(100\.0 %\)"):
        guard(Plan.of_singles([write]), Guards(max_delete_percent=99))


# --- on-last-version ---


@pytest.mark.parametrize(
    ("kind", "going", "staying", "held"),
    [
        # all types: something must stay
        ("npm", "1 2 3", "", {1}),
        ("npm", "1 2", "3", set()),
        # containers: something tagged must stay, when something tagged goes
        ("container", "1:a 2:b 3", "", {1}),
        ("container", "1 2:a 3:b", "", {2}),
        ("container", "1 2:a 3:b", "4", {2}),
        ("container", "1:a 2", "3:b", set()),
        ("container", "1 2 3", "", {1}),
        ("container", "1 2", "3", set()),
        # a tag of a signature counts, but an image with a tag of its own comes before it
        ("container", f"1:{SIGNATURE} 2:a", "", {2}),
        ("container", f"1 2:{SIGNATURE}", "3", {2}),
        ("container", "1:a", f"2:{SIGNATURE}", set()),
    ],
)
def test_the_newest_image_that_github_would_refuse_is_held_back(
    kind: str, going: str, staying: str, held: set[int]
) -> None:
    plan = plan_of(*decided(going, staying, kind=kind))
    for mode, outcome in ((KEEP, Outcome.LAST_VERSION), (FAIL, Outcome.FAILED)):
        guarded = guard(plan, Guards(on_last_version=mode))
        assert {write.version_id: write.expected for write in guarded.now} == {
            number: outcome if number in held else None for number in ids(plan.writes)
        }
        assert guarded.with_package == ()


@pytest.mark.parametrize(
    ("going", "staying", "limit", "now", "later", "with_package"),
    [
        ("1:a 2:b 3", "", 0, [3, 2], [], [1]),
        # what stays would go with the package
        ("1:a 2:b", "3", 0, [2, 1], [], []),
        # what is left for the next run would, too
        ("1:a 2:b 3", "", 1, [3], [2, 1], []),
        ("1:a 2:b 3", "", 2, [3, 2], [1], []),
        ("1:a 2:b 3", "", 3, [3, 2], [], [1]),
        # the newest tagged image is not the newest of all
        ("1 2:a 3", "", 2, [3], [1, 2], []),
    ],
)
def test_a_package_goes_whole_only_when_nothing_of_it_is_left(
    going: str, staying: str, limit: int, now: list[int], later: list[int], with_package: list[int]
) -> None:
    guarded = guard(plan_of(*decided(going, staying)), Guards(on_last_version=WHOLE, limit=limit))
    assert (ids(guarded.now), ids(guarded.later), ids(guarded.with_package)) == (now, later, with_package)
    held = {write.version_id for write in guarded.plan.writes if write.expected is not None}
    assert held == ({1} if staying else set()), "the newest stays where the package does"


def test_only_the_packages_that_may_go_whole_do() -> None:
    plan = plan_of(*decided("1 2", kind="npm"), *decided("3 4", kind="npm", name="lib"))
    guarded = guard(plan, Guards(on_last_version=WHOLE, may_go_whole=frozenset({key("npm", "lib")})))
    assert ids(guarded.with_package) == [3]
    assert [write.version_id for write in guarded.now if write.expected is Outcome.LAST_VERSION] == [1]


def test_packages_are_guarded_one_by_one() -> None:
    plan = plan_of(*decided("1 2", kind="npm"), *decided("3 4", "5", kind="npm", name="lib"))
    assert {write.version_id: write.expected for write in guard(plan, Guards()).now} == {
        1: Outcome.LAST_VERSION,
        2: None,
        3: None,
        4: None,
    }
    guarded = guard(plan, Guards(on_last_version=WHOLE))
    assert (ids(guarded.now), ids(guarded.with_package)) == ([4, 3, 2], [1])


def test_writes_that_delete_no_version_are_never_the_last() -> None:
    """A tag that goes, a version that comes back, and a refused write say nothing about what is left."""
    (one,) = decided("1:a", kind="container")
    for write in (
        planned(one, tag="a"),
        replace(planned(one), action=Action.RESTORE),
        replace(planned(one), expected=Outcome.ALREADY_GONE),
    ):
        plan = Plan.of_singles([write], [one])
        assert guard(plan, Guards()).now == (write,)
    package = PlannedWrite(action=Action.DELETE, reason=Reason.SELECTED, package=key())
    assert guard(Plan.of_singles([package]), Guards()).now == (package,)


def test_the_parts_and_twins_of_the_last_image_stay_with_it() -> None:
    root, twin, part, deeper, other = (
        replace(planned(each), tags=("a",) if each.version.id == 1 else ())
        for each in decided("1:a 2 3 4 5", kind="container")
    )
    twin = replace(twin, version_name=root.version_name)
    part, deeper = replace(part, after=frozenset({1})), replace(deeper, after=frozenset({3}))
    decisions = decided("1:a 2 3 4 5")
    plan = Plan(groups=((other,), (twin,), (root, part, deeper)), decisions=tuple(decisions))
    held = {write.version_id for write in guard(plan, Guards()).now if write.expected is not None}
    assert held == {1, 2, 3, 4}


def test_the_tag_of_a_signature_makes_an_image_tagged() -> None:
    root, signature, *_ = (planned(each) for each in decided(f"1 2:{SIGNATURE}"))
    plan = Plan(groups=((root, signature),), decisions=tuple(decided(f"1 2:{SIGNATURE}", "3")))
    assert {write.version_id for write in guard(plan, Guards()).now if write.expected is not None} == {1}


def test_what_is_gone_already_is_not_the_last() -> None:
    """A saved plan may name a version that is gone, about which nothing is decided any more."""
    gone, left = decided("1:a 2:b")
    plan = Plan.of_singles([planned(left), replace(planned(gone), expected=Outcome.ALREADY_GONE)], [left])
    assert {write.version_id: write.expected for write in guard(plan, Guards()).now} == {
        1: Outcome.ALREADY_GONE,
        2: Outcome.LAST_VERSION,
    }


# --- limit ---


@pytest.mark.parametrize(
    ("limit", "now", "later"),
    [
        (0, [1, 2, 3, 4, 5, 6], []),
        (1, [1], [2, 3, 4, 5, 6]),
        (2, [1, 2], [3, 4, 5, 6]),
        # the second image does not fit, and so the third, which would, is not begun
        (3, [1, 2, 3], [4, 5, 6]),
        (4, [1, 2, 3], [4, 5, 6]),
        (5, [1, 2, 3, 4, 5], [6]),
        (6, [1, 2, 3, 4, 5, 6], []),
    ],
)
def test_an_image_is_begun_only_when_all_of_it_fits(limit: int, now: list[int], later: list[int]) -> None:
    writes = [
        PlannedWrite(action=Action.DELETE, reason=Reason.SELECTED, package=key(), version_id=n) for n in range(1, 7)
    ]
    guarded = guard(Plan(groups=(tuple(writes[:3]), tuple(writes[3:5]), tuple(writes[5:]))), Guards(limit=limit))
    assert (ids(guarded.now), ids(guarded.later)) == (now, later)


# --- tags ---


def test_the_tags_of_a_plan_can_be_sent_by_themselves() -> None:
    one, two, three, four = (planned(each) for each in decided("1:a 2:b 3:c 4:d", kind="npm"))
    tag, late = replace(two, tag="b"), replace(four, tag="d")
    guarded = replace(guard(Plan(), Guards()), now=(one, tag), later=(three, late))
    rest, tags = split_tags(guarded)
    assert (rest.now, rest.later) == ((one,), (three,))
    assert (tags.now, tags.later) == ((tag,), (late,))


def test_what_has_changed_since_the_plan_stays_and_so_the_others_may_go() -> None:
    plan = plan_of(*decided("1:v1 2:v2"))
    older, newer = plan.writes
    changed = replace(older, expected=Outcome.CHANGED_SINCE_PLAN)
    guarded = guard(replace(plan, groups=((changed,), (newer,))), Guards())
    assert [write.expected for write in guarded.now] == [Outcome.CHANGED_SINCE_PLAN, None]


@pytest.mark.parametrize(("kind", "expected"), [("container", Outcome.LAST_VERSION), ("docker", None)])
def test_only_container_packages_keep_their_last_tag(kind: str, expected: Outcome | None) -> None:
    guarded = guard(plan_of(*decided("1:v1", "2", kind=kind)), Guards())
    assert [write.expected for write in guarded.now] == [expected]
