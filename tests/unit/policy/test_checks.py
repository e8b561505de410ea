"""Checks of a guarded plan: they hold for every plan that is made, and each finds what it is for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from package_keeper.model.images import Image
from package_keeper.model.plan import Action, Decision, GuardedPlan, Outcome, Plan, PlannedWrite, Reason
from package_keeper.model.run import Check, PackageEvaluation
from package_keeper.policy.checks import check_plan
from package_keeper.policy.guards import Guards, OnLastVersion, guard
from package_keeper.policy.patterns import Pattern, Patterns
from package_keeper.policy.retention import KeepLists
from package_keeper.policy.rules import Rules
from tests.unit.making import key, patterns, version
from tests.unit.model.cases import CASES, POLICY_CASES, Case
from tests.unit.model.memory import Hub, evaluated, planned
from tests.unit.model.worlds import child, container, index, plain
from tests.unit.policy.test_images_safety import A, B, C, D, selecting, world_of


def checked(guarded: GuardedPlan, package: PackageEvaluation, rules: Rules) -> dict[str, Check]:
    return {check.name: check for check in check_plan(guarded, [package], rules.lists)}


@given(case=CASES | POLICY_CASES, limit=st.integers(0, 12), on_last=st.sampled_from(OnLastVersion))
def test_every_plan_passes_every_check(case: Case, limit: int, on_last: OnLastVersion) -> None:
    package = evaluated(Hub(case.world), case.rules, facts=case.facts)
    guarded = guard(planned(package, case.rules), Guards(limit=limit, on_last_version=on_last))
    for check in checked(guarded, package, case.rules).values():
        assert check.problems == (), check.name


# --- planted violations: an index A of B and C that goes, and an index D of C that stays ---


RULES = replace(
    selecting(tags=Patterns(includes=(Pattern("pr-*"),))), lists=KeepLists(tags=Patterns(includes=(Pattern("v*"),)))
)


@pytest.fixture
def package() -> PackageEvaluation:
    both, other = index(A, child(plain(B)), child(plain(C))), index(D, child(plain(C)))
    versions = [container(1, A, "pr-1"), container(2, B), container(3, C), container(4, D, "v1")]
    return evaluated(Hub(world_of(versions, both, other, plain(B), plain(C))), RULES)


@pytest.fixture
def guarded(package: PackageEvaluation) -> GuardedPlan:
    found = guard(planned(package, RULES), Guards())
    assert [write.version_id for write in found.now] == [1, 2]
    return found


def planted(guarded: GuardedPlan, *writes: PlannedWrite) -> GuardedPlan:
    """The same plan with other writes."""
    plan = replace(guarded.plan, groups=tuple((write,) for write in writes))
    return replace(guarded, plan=plan, now=writes)


def failing(guarded: GuardedPlan, package: PackageEvaluation) -> set[str]:
    return {check.name for check in check_plan(guarded, [package], RULES.lists) if check.problems}


def test_the_sound_plan_passes_and_says_what_was_counted(guarded: GuardedPlan, package: PackageEvaluation) -> None:
    assert failing(guarded, package) == set()
    assert [check.counted for check in check_plan(guarded, [package], RULES.lists)] == [1, 1, 2, 2]


def test_a_part_of_an_image_that_stays_is_found(guarded: GuardedPlan, package: PackageEvaluation) -> None:
    torn = replace(guarded.now[1], version_id=3, version_name=C)
    assert "no image that stays loses a part" in failing(planted(guarded, *guarded.now, torn), package)


def test_a_part_of_an_image_that_only_loses_a_tag_is_found(guarded: GuardedPlan, package: PackageEvaluation) -> None:
    root, part = guarded.now
    untagged = replace(root, action=Action.UNTAG, tag="pr-1")
    assert failing(planted(guarded, untagged, part), package) >= {
        "no image that stays loses a part",
        "every part that goes follows its root",
    }
    torn = replace(part, version_id=3, version_name=C)
    other = replace(root, version_id=4, version_name=D, action=Action.UNTAG, tag="v1")
    assert "no image that stays loses a part" in failing(planted(guarded, *guarded.now, torn, other), package)


def test_a_version_on_a_keep_list_is_found(guarded: GuardedPlan, package: PackageEvaluation) -> None:
    kept = replace(guarded.now[0], version_id=4, version_name=D)
    assert "nothing on a keep list goes" in failing(planted(guarded, *guarded.now, kept), package)
    untagged = replace(kept, action=Action.UNTAG, tag="v1")
    assert "nothing on a keep list goes" in failing(planted(guarded, *guarded.now, untagged), package)


def test_a_part_without_its_root_and_before_its_root_is_found(guarded: GuardedPlan, package: PackageEvaluation) -> None:
    root, part = guarded.now
    assert "every part that goes follows its root" in failing(planted(guarded, part), package)
    assert "every part that goes follows its root" in failing(planted(guarded, part, root), package)


def test_a_part_is_found_whose_root_is_a_part_that_goes_or_that_nothing_points_to(
    guarded: GuardedPlan, package: PackageEvaluation
) -> None:
    _, part = guarded.now
    loose = replace(part, after=frozenset())
    assert "every part that goes follows its root" in failing(planted(guarded, loose), package)
    of_itself = replace(loose, root=loose.version_name)
    assert "every part that goes follows its root" in failing(planted(guarded, of_itself), package)


def test_a_write_too_many_and_one_that_is_lost_are_found(guarded: GuardedPlan, package: PackageEvaluation) -> None:
    assert "the writes are the decisions" in failing(planted(guarded, *guarded.now, guarded.now[0]), package)
    assert "the writes are the decisions" in failing(planted(guarded, guarded.now[0]), package)
    assert "the writes are the decisions" in failing(replace(guarded, now=guarded.now[:1]), package)


def test_what_is_held_back_does_not_go(guarded: GuardedPlan, package: PackageEvaluation) -> None:
    """A write that GitHub is known to refuse is not sent, so it may concern anything."""
    torn = replace(guarded.now[1], version_id=3, version_name=C, expected=Outcome.LAST_VERSION)
    assert "no image that stays loses a part" not in failing(planted(guarded, *guarded.now, torn), package)


def test_versions_that_are_no_images_have_no_parts_to_lose() -> None:
    npm = version(9)
    decision = Decision(version=npm, action=Action.KEEP, reason=Reason.NOT_SELECTED)
    found = PackageEvaluation(package=npm.package, images=(Image(root=npm),), decisions=(decision,))
    guarded = guard(Plan(decisions=(decision,)), Guards())
    assert [check.counted for check in check_plan(guarded, [found], KeepLists(versions=patterns("*")))] == [0, 1, 0, 0]


def test_a_plan_without_decisions_may_have_writes() -> None:
    write = PlannedWrite(action=Action.DELETE, reason=Reason.SELECTED, package=key())
    guarded = guard(Plan.of_singles([write]), Guards())
    assert [(check.counted, check.problems) for check in check_plan(guarded, [], KeepLists())] == [(1, ())]


@pytest.mark.parametrize("expected", [Outcome.CHANGED_SINCE_PLAN, Outcome.FAILED, Outcome.ALREADY_GONE, None])
def test_only_a_write_that_is_not_sent_needs_no_decision(
    guarded: GuardedPlan, package: PackageEvaluation, expected: Outcome | None
) -> None:
    """A saved plan may name versions that the lists do not show any more."""
    unlisted = replace(guarded.now[0], version_id=9, expected=expected)
    found = failing(planted(guarded, *guarded.now, unlisted), package)
    assert ("the writes are the decisions" in found) is (expected is None)
