"""A saved plan, applied to packages that others have changed: only what it names goes, and no image loses a part."""

from __future__ import annotations

import json
from datetime import timedelta
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from package_keeper.inputs.parser import parse_settings
from package_keeper.inputs.plan_file import read_plan
from package_keeper.model.images import Graph
from package_keeper.model.packages import Version
from package_keeper.model.plan import GuardedPlan, Outcome, PlannedWrite
from package_keeper.model.run import Run, Scope
from package_keeper.policy.checks import check_plan
from package_keeper.policy.guards import Guards, guard
from package_keeper.policy.retention import KeepLists
from package_keeper.policy.saved_plans import Absent, deletions_left, rules_of
from package_keeper.report.plan_file import is_sealed, plan_document, sealed
from package_keeper.settings import SavedPlan
from tests.unit.model.cases import Case, draw_case, draw_lists
from tests.unit.model.memory import OWNER, PACKAGE, Hub, evaluated, planned
from tests.unit.model.worlds import NOW, SEEDS, Habits, torn

CASES = st.builds(draw_case, SEEDS, st.integers(3, 30), st.just(Habits(missing=0.04, twins=0.1)))
ANEW = 1_000_000
"""Versions that are pushed again have ids of their own."""


def saved(guarded: GuardedPlan) -> SavedPlan:
    """The plan as it comes out of its file."""
    inputs = {"operation": "delete", "versions": "*", "package": "app"}
    settings = parse_settings(inputs | {"token": "tok-of-a-test", "owner": "acme"}, defaults={}, now=NOW)
    run = Run(scope=Scope(packages=(PACKAGE,)), plan=guarded.plan, checks=())
    text = sealed(json.dumps(plan_document(run, settings, OWNER, inputs, "a test")))
    assert is_sealed(text)
    return read_plan(text)


def change(hub: Hub, random: Random, late: list[Version]) -> set[int]:
    """Push what was missing, delete, move tags, touch. Return the ids of versions that are not as they were."""
    for version in late:
        push(hub, version)
    changed: set[int] = set()
    for number in random.sample(sorted(hub.active), k=min(3, len(hub.active))):
        version = hub.active[number]
        match random.randrange(4):
            case 0:
                del hub.active[number]
            case 1:
                hub.active[number] = replace(version, tags=(*version.tags, "moved-here"))
                changed.add(number)
            case 2:
                hub.active[number] = replace(version, updated_at=NOW + timedelta(minutes=1))
                changed.add(number)
            case _:
                pass
    return changed


def push(hub: Hub, version: Version) -> None:
    """Push an image as clients do: first its parts, as far as they are not there."""
    by_name = {each.name: each for each in hub.world.versions}
    if version.name in {each.name for each in hub.active.values()}:
        return
    for part in hub.world.manifests[version.name].children:
        if part.digest in by_name and part.digest != version.name:
            push(hub, by_name[part.digest])
    hub.active[version.id + ANEW] = replace(version, id=version.id + ANEW)


def going(plan: GuardedPlan) -> set[int]:
    return {write.version_id or 0 for write in plan.now if write.expected is None and write.tag is None}


def saved_writes(plan: SavedPlan) -> dict[int, PlannedWrite]:
    return {write.version_id or 0: write for write in plan.writes}


@given(case=CASES, seed=SEEDS, late=st.lists(st.integers(0, 60), max_size=3))
def test_only_what_a_saved_plan_names_goes_and_no_image_loses_a_part(case: Case, seed: int, late: list[int]) -> None:
    random = Random(seed)
    hub = Hub(case.world)
    ids = sorted(hub.active)
    pushed = [hub.active.pop(number) for number in {ids[place % len(ids)] for place in late if ids}]
    plan = saved(guard(planned(evaluated(hub, case.rules), case.rules), Guards()))
    changed = change(hub, random, pushed)
    lists = draw_lists(random, case.world) if random.random() < 0.3 else KeepLists()
    rules = rules_of(plan.groups, replace(case.rules, lists=lists), is_raw=plan.is_raw)
    now = evaluated(hub, rules)
    left = deletions_left(plan.groups, [now], lists, Absent())
    guarded = guard(left, Guards(may_go_whole=plan.emptied))
    assert [check.problems for check in check_plan(guarded, [now], lists) if check.problems] == []
    goes = going(guarded)
    named = saved_writes(plan)
    assert goes <= {number for number, write in named.items() if write.expected is None}
    assert not goes & changed, "what has changed stays"
    assert goes <= hub.active.keys()
    there = replace(case.world, versions=tuple(hub.active.values()))
    assert torn(there, goes) == []
    kept = Graph(list(hub.active.values()), case.world.manifests).images()
    assert not goes & {image.root.id for image in kept if lists.reason_to_keep(image) is not None}
    planned_ids = {write.version_id for write in left.writes}
    gone = {number for number, write in named.items() if number not in hub.active and number in planned_ids}
    assert gone == {write.version_id for write in left.writes if write.expected is Outcome.ALREADY_GONE}
    untagged = {write.version_id for write in guarded.now if write.tag is not None and write.expected is None}
    assert not untagged & changed


@given(case=CASES)
def test_a_saved_plan_that_nothing_has_changed_is_carried_out_as_it_is(case: Case) -> None:
    hub = Hub(case.world)
    first = guard(planned(evaluated(hub, case.rules), case.rules), Guards())
    plan = saved(first)
    rules = rules_of(plan.groups, replace(case.rules, lists=KeepLists()), is_raw=plan.is_raw)
    left = deletions_left(plan.groups, [evaluated(hub, rules)], KeepLists(), Absent())
    guarded = guard(left, Guards(may_go_whole=plan.emptied))
    assert [write.version_id for write in guarded.now] == [write.version_id for write in first.now]
    assert going(guarded) == going(first)
