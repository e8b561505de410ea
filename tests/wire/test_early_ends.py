"""A run that ends early reports what went wrong before: a problem is not forgotten because the time is over."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.scenarios.program import Ended, Place
from tests.simulator import Package, Simulator
from tests.simulator.images import push_image
from tests.wire.test_budgets import OLD, run

LIMITED: dict[str, Any] = {
    "status": 429,
    "message": "You have exceeded a secondary rate limit.",
    "headers": {"Retry-After": "600"},
}
FORBIDDEN: dict[str, Any] = {"status": 403, "message": "Resource not accessible by integration"}
DELETE = {"operation": "delete", "package": "*", "tags": "pr-*", "dry_run": "true"}
PACKAGE = "container/lib$"
VERSIONS = "container/lib/versions[?]"
MANIFESTS = "/v2/acme/lib/manifests/"
ALL_LISTS = "container/app/versions[?]"
RELEASES = "/repos/acme/shop"
RECORDS = "/artifacts/"


@pytest.fixture
def packages(sim: Simulator) -> list[Package]:
    """Two packages of a repository; each has an image that stays, and one that goes."""
    sim.add_repository("acme", "shop")
    made = [sim.add_package("acme", "container", name, repository="acme/shop") for name in ("app", "lib")]
    for package in made:
        push_image(package, "v1", created_at=OLD)
        push_image(package, "pr-1", created_at=OLD)
    return made


def ended_early(sim: Simulator, place: Place, problem: str, end: str, **inputs: str) -> Ended:
    """Run with a problem with one of the packages. Then a limit refuses a request, for longer than the run may take."""
    sim.faults.add("GET", problem, times=None, **FORBIDDEN)
    sim.faults.add("GET", end, times=None, **LIMITED)
    ended = run(sim, place, time_limit="60s", **inputs)
    assert sim.writes == []
    return ended


CASES = {
    "delete, a package": ({"package": "app,lib"}, PACKAGE, ALL_LISTS),
    "delete, a list": ({"keep_released": "true"}, VERSIONS, RELEASES),
    "delete, a registry": ({"keep_deployed": "true"}, MANIFESTS, RECORDS),
    "delete-package, a package": (
        {"operation": "delete-package", "package": "app,lib", "tags": "", "plan_out": "plan.json"},
        PACKAGE,
        ALL_LISTS,
    ),
    "list, a package": ({"operation": "list", "package": "app,lib"}, PACKAGE, ALL_LISTS),
    "list, a list": ({"operation": "list", "tags": "", "gone": "pr-{pull-request}"}, VERSIONS, RELEASES),
}


@pytest.mark.parametrize(("inputs", "problem", "end"), CASES.values(), ids=CASES)
@pytest.mark.usefixtures("packages")
def test_a_problem_is_reported_although_the_time_is_over_then(
    sim: Simulator, place: Place, inputs: dict[str, str], problem: str, end: str
) -> None:
    ended = ended_early(sim, place, problem, end, **DELETE | inputs)
    assert (ended.status, ended.outputs["result"]) == (1, "failed"), ended.said
    assert any("container/lib" in text for text in ended.annotations["error"]), ended.said
    assert any("time-limit" in text for text in ended.annotations["notice"]), ended.said


def test_a_long_list_that_cannot_be_read_twice_is_reported_although_the_time_is_over_then(
    sim: Simulator, place: Place, packages: list[Package]
) -> None:
    for package in packages:
        for number in range(1 if package.name == "app" else 101):
            push_image(package, None, seed=str(number), created_at=OLD)
    sim.faults.add("GET", VERSIONS, times=None, after=2, **FORBIDDEN)
    sim.faults.add("GET", RECORDS, times=None, **LIMITED)
    inputs = {"tag_status": "untagged", "keep_deployed": "true", "time_limit": "60s"}
    ended = run(sim, place, package="*", **inputs)
    assert (ended.status, ended.outputs["result"], sim.writes) == (1, "failed", []), ended.said
    assert any("container/lib" in text for text in ended.annotations["error"]), ended.said


APPLIED = {
    "a package": ({}, {}, PACKAGE, ALL_LISTS),
    "a list": ({}, {"keep_released": "true"}, VERSIONS, RELEASES),
    "a list of a whole package": (
        {"operation": "delete-package", "tags": ""},
        {"keep_released": "true"},
        VERSIONS,
        RELEASES,
    ),
    "a registry": ({}, {"keep_deployed": "true"}, MANIFESTS, RECORDS),
}


@pytest.mark.parametrize(("planned", "inputs", "problem", "end"), APPLIED.values(), ids=APPLIED)
@pytest.mark.usefixtures("packages")
def test_apply_reports_a_problem_although_the_time_is_over_then(
    sim: Simulator, place: Place, planned: dict[str, str], inputs: dict[str, str], problem: str, end: str
) -> None:
    plan = run(sim, place, **DELETE | planned, plan_out="plan.json")
    assert plan.outputs["result"] == "planned", plan.said
    ended = ended_early(sim, place, problem, end, operation="apply", package="", plan="plan.json", **inputs)
    assert (ended.status, ended.outputs["result"]) == (1, "failed"), ended.said
    assert any("container/lib" in text for text in ended.annotations["error"]), ended.said


REFUSED = {
    "delete-package": (0, {"operation": "delete-package", "package": "app,lib", "plan_out": "plan.json"}, {}),
    "apply of packages": (0, {}, {"operation": "delete-package"}),
    "apply of restorations": (1, {}, {"operation": "restore", "tags": "old"}),
}


@pytest.mark.parametrize(("number", "inputs", "planned"), REFUSED.values(), ids=REFUSED)
def test_nothing_is_written_when_the_token_is_no_longer_accepted_for_a_list(
    sim: Simulator,
    place: Place,
    packages: list[Package],
    number: int,
    inputs: dict[str, str],
    planned: dict[str, str],
) -> None:
    for package in packages:
        package.remove(push_image(package, "old", created_at=OLD))
    if planned:
        about = {"package": "app,lib", "plan_out": "p.json", "dry_run": "true"} | planned
        assert run(sim, place, **about).outputs["result"] == "planned"
        inputs = {"operation": "apply", "package": "", "plan": "p.json"}
    sim.faults.add("GET", VERSIONS, status=401, message="Bad credentials", times=None)
    ended = run(sim, place, **inputs)
    assert (ended.status, ended.outputs["result"], ended.count("planned")) == (4, "failed", number), ended.said
    assert sim.writes == []


@pytest.mark.usefixtures("packages")
def test_apply_asks_for_no_list_when_the_token_is_no_longer_accepted(sim: Simulator, place: Place) -> None:
    plan = run(sim, place, **DELETE, plan_out="plan.json")
    assert plan.outputs["result"] == "planned", plan.said
    sim.forget_requests()
    sim.faults.add("GET", PACKAGE, status=401, message="Bad credentials", times=None)
    ended = run(sim, place, operation="apply", package="", plan="plan.json")
    assert (ended.status, ended.outputs["result"], ended.count("planned")) == (4, "failed", 0), ended.said
    assert [request.path for request in sim.requests if "/versions" in request.path] == []


@pytest.mark.parametrize("package", ["", "app"])
@pytest.mark.usefixtures("packages")
def test_a_query_that_is_not_accepted_ends_a_run_that_has_found_something(
    sim: Simulator, place: Place, package: str
) -> None:
    table = "versions" if package else "packages"
    query = f"SELECT abs(-9223372036854775807 - id / id) FROM {table}"  # noqa: S608 - no text from outside
    ended = run(sim, place, operation="list", package=package, query=query, dry_run="true")
    assert (ended.status, ended.outputs["result"]) == (2, "failed"), ended.said
    assert len(json.loads(ended.outputs[table])) == 2, ended.said
