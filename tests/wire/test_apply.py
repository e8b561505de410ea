"""What others do while a saved plan is applied: the packages are read again, and only less is written.

A limit refuses one request for ten minutes, so the lists grow old. Meanwhile somebody acts.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from tests.scenarios.program import Ended, Place
from tests.simulator import Package, Simulator, Version
from tests.simulator.images import push_image
from tests.wire import timed
from tests.wire.test_budgets import OLD, names, run, versions
from tests.wire.test_drift import AGAIN, PLATFORMS, broken, outcomes, refuse, reuse

APPLY = {"operation": "apply", "plan": "plan.json", "package": "", "max_delete_percent": "100"}


@pytest.fixture
def package(sim: Simulator, place: Place) -> Package:
    """An image that stays, and two of pull requests that a plan deletes."""
    package = sim.add_package("acme", "container", "app")
    push_image(package, "v1", created_at=OLD)
    for number in (1, 2):
        push_image(package, f"pr-{number}", platforms=PLATFORMS, created_at=f"2026-01-0{number}")
    planned = run(sim, place, tags="pr-*", plan_out="plan.json", dry_run="true")
    assert (planned.outputs["result"], planned.count("planned")) == ("planned", 6), planned.said
    return package


def apply(sim: Simulator, place: Place, refused: Version, act: Callable[[], object]) -> Ended:
    """Apply the plan. The deletion of one version is refused for ten minutes, in which somebody acts."""

    def meanwhile(*_: object) -> None:
        act()

    refuse(sim, "DELETE", f"/versions/{refused.id}$")
    sim.on("DELETE", f"/versions/{refused.id}$", meanwhile, times=1)
    ended = timed.run(sim, place, **APPLY)
    assert (ended.status, ended.outputs["result"]) == (0, "done"), ended.said
    assert AGAIN in ended.said
    assert broken(package := sim.package("acme", "container", "app")) == [], package.tags()
    return ended


def test_a_tag_that_moves_while_a_plan_is_applied_keeps_its_image(
    sim: Simulator, package: Package, place: Place
) -> None:
    kept = package.tags()["pr-2"]
    ended = apply(sim, place, kept, lambda: package.move_tag("latest", kept))
    assert set(package.tags()) == {"v1", "pr-2", "latest"}
    assert outcomes(ended)[kept.id] == "changed-since-plan"
    assert ended.count("deleted") == 3


def test_a_version_that_is_touched_while_a_plan_is_applied_stays(
    sim: Simulator, package: Package, place: Place
) -> None:
    kept = package.tags()["pr-2"]
    ended = apply(sim, place, kept, lambda: kept.update(updated_at=datetime(2026, 5, 1, tzinfo=UTC)))
    assert set(package.tags()) == {"v1", "pr-2"}
    assert outcomes(ended)[kept.id] == "changed-since-plan"


def test_a_part_that_is_used_again_while_a_plan_is_applied_stays(
    sim: Simulator, package: Package, place: Place
) -> None:
    root = package.tags()["pr-2"]
    children = [each for each in package.active() if each.name in package.manifests[root.name][0].decode()]
    assert len(children) == 2
    ended = apply(sim, place, root, lambda: reuse(package, children[0].name, "again"))
    assert set(package.tags()) == {"v1", "again"}
    assert outcomes(ended)[children[0].id] == "changed-since-plan"
    assert outcomes(ended)[children[1].id] == "done"


def test_a_package_that_gets_a_version_right_before_it_goes_stays(sim: Simulator, place: Place) -> None:
    package = versions(sim, 3)
    planned = run(sim, place, operation="delete-package", package_type="npm", plan_out="plan.json", dry_run="true")
    assert planned.outputs["result"] == "planned", planned.said

    def push(*_: object) -> None:
        package.add_version("1.9.0")

    # the second list is the one right before the deletion
    sim.on("GET", "/versions", push, times=1, after=1)
    ended = run(sim, place, **APPLY)
    assert (ended.status, ended.outputs["result"]) == (0, "done"), ended.said
    assert ended.count("skipped") == 1
    assert names(package) == ["1.0.0", "1.1.0", "1.2.0", "1.9.0"]


def test_no_tag_is_taken_from_a_version_whose_tags_github_does_not_tell(sim: Simulator, place: Place) -> None:
    package = sim.add_package("acme", "container", "app")
    package.remove(push_image(package, "v1", created_at=OLD))
    push_image(package, "v2", created_at=OLD)
    planned = run(sim, place, operation="restore", tags="v1", plan_out="plan.json", dry_run="true")
    assert planned.outputs["result"] == "planned", planned.said
    other = push_image(package, "v1", seed="other")
    other.update(extra={"metadata": None})
    ended = run(sim, place, **APPLY)
    assert (ended.status, ended.count("restored"), ended.count("skipped")) == (0, 0, 1), ended.said
    assert package.tags()["v1"] is other
