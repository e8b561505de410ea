"""Deletions that GitHub confirms and does not make, and images that are pushed while others go: a look shows both.

The real program runs as a process of its own. What counts is what is left: no image that stays lacks a part.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.scenarios.program import Ended, Place, receipt_lines
from tests.simulator import Package, Simulator
from tests.simulator.images import push_image, push_referrer
from tests.wire.test_budgets import OLD, run
from tests.wire.test_drift import broken, outcomes, parts_of, reuse

PLATFORMS = ["linux/amd64", "linux/arm64"]
NO_EFFECT: dict[str, Any] = {"status": 204, "body": b""}


@pytest.fixture
def package(sim: Simulator) -> Package:
    """An image of one platform that stays, and three of pull requests, of two platforms each."""
    package = sim.add_package("acme", "container", "app")
    push_image(package, "v1", created_at=OLD)
    for number in range(1, 4):
        push_image(package, f"pr-{number}", platforms=PLATFORMS, created_at=f"2026-01-0{number}")
    return package


def clean(sim: Simulator, place: Place, **inputs: str) -> Ended:
    return run(sim, place, tags="pr-*", **inputs)


def deletes(sim: Simulator, path: str = "/versions/") -> int:
    return sum(request.method == "DELETE" and path in request.path for request in sim.requests)


# GitHub says that it is gone, and it is not


@pytest.mark.parametrize("answer", [NO_EFFECT, {"status": 200, "body": b"{}"}, {"status": 202, "body": b""}])
def test_the_parts_of_a_root_that_is_still_there_stay(
    sim: Simulator, package: Package, place: Place, answer: dict[str, Any]
) -> None:
    root = package.tags()["pr-2"]
    sim.faults.add("DELETE", f"/versions/{root.id}$", times=None, **answer)
    ended = clean(sim, place)
    assert (ended.status, ended.outputs["result"], ended.count("broken")) == (1, "failed", 0), ended.said
    assert set(package.tags()) == {"v1", "pr-2"}
    assert broken(package) == []
    found = outcomes(ended)
    assert found[root.id] == "failed"
    parts = [package.find(name) for name in parts_of(package, root.name)]
    assert [found[part.id] for part in parts if part] == ["failed", "failed"]
    last = [line for line in receipt_lines(place.workspace / ended.outputs["receipt"]) if line["id"] == root.id][-1]
    assert last["outcome"] == "failed", "the receipt says what the report says"


def test_a_part_that_is_still_there_is_failed(sim: Simulator, package: Package, place: Place) -> None:
    part = package.find(parts_of(package, package.tags()["pr-1"].name)[0])
    assert part is not None
    sim.faults.add("DELETE", f"/versions/{part.id}$", times=None, **NO_EFFECT)
    ended = clean(sim, place)
    assert (ended.status, ended.count("deleted"), ended.count("failed")) == (1, 8, 1), ended.said
    assert outcomes(ended)[part.id] == "failed"
    assert any("still there" in text for text in ended.annotations["error"])
    back = run(sim, place, operation="restore", undo=ended.outputs["receipt"], package="")
    assert back.status == 0, back.said
    assert len(package.tags()) == 4
    assert broken(package) == []


def test_a_list_that_lags_shows_nothing_that_is_still_there(sim: Simulator, package: Package, place: Place) -> None:
    sim.configure(deletions_listed_for=1000.0)
    ended = clean(sim, place)
    assert (ended.status, ended.count("deleted")) == (0, 9), ended.said


# images that are pushed meanwhile


def test_an_image_that_is_pushed_before_the_first_part_goes_keeps_its_part(
    sim: Simulator, package: Package, place: Place
) -> None:
    root = package.tags()["pr-3"]
    shared = parts_of(package, root.name)[0]
    sim.on("DELETE", f"/versions/{root.id}$", lambda *_: reuse(package, shared, "release"), times=1)
    ended = clean(sim, place)
    assert (ended.status, ended.count("broken"), ended.count("deleted")) == (0, 0, 8), ended.said
    assert set(package.tags()) == {"v1", "release"}
    assert broken(package) == []
    part = package.find(shared)
    assert part is not None
    assert outcomes(ended)[part.id] == "changed-since-plan"


def test_an_image_that_is_pushed_while_parts_go_gets_them_back(sim: Simulator, package: Package, place: Place) -> None:
    root = package.tags()["pr-3"]
    first, second = parts_of(package, root.name)
    shared, other = package.find(first), package.find(second)
    assert shared is not None
    assert other is not None
    # the push finds the part there, and it goes the moment after
    sim.on("DELETE", f"/versions/{shared.id}$", lambda *_: reuse(package, shared.name, "release"), times=1)
    ended = clean(sim, place)
    assert (ended.status, ended.count("broken")) == (0, 0), ended.said
    assert set(package.tags()) == {"v1", "release"}
    assert broken(package) == []
    assert not other.is_active
    assert outcomes(ended)[shared.id] == "changed-since-plan"
    assert (ended.count("deleted"), ended.count("restored"), ended.count("skipped")) == (8, 0, 1)


def test_a_part_that_does_not_come_back_is_told(sim: Simulator, package: Package, place: Place) -> None:
    shared = package.find(parts_of(package, package.tags()["pr-3"].name)[0])
    assert shared is not None
    sim.on("DELETE", f"/versions/{shared.id}$", lambda *_: reuse(package, shared.name, "release"), times=1)
    sim.faults.add("POST", "/restore", status=403, message="Resource not accessible by integration", times=None)
    ended = clean(sim, place)
    assert (ended.status, ended.count("broken")) == (1, 1), ended.said
    assert any("repair brings them back" in text for text in ended.annotations["error"])
    assert outcomes(ended)[shared.id] == "done"


def test_a_kept_image_without_parts_needs_no_look_when_no_part_went(sim: Simulator, place: Place) -> None:
    package = sim.add_package("acme", "container", "app")
    push_image(package, "v1", created_at=OLD)
    push_image(package, "pr-1", created_at=OLD)
    ended = clean(sim, place)
    assert (ended.status, ended.count("deleted")) == (0, 1), ended.said
    assert sum(request.path.endswith("/app/versions") for request in sim.requests) == 1


def test_parts_that_are_looked_at_again_are_not_downloaded_again(
    sim: Simulator, package: Package, place: Place
) -> None:
    ended = clean(sim, place)
    assert ended.count("deleted") == 9, ended.said
    downloads = [each.path for each in sim.requests if each.method == "GET" and "/manifests/" in each.path]
    assert len(downloads) == len(set(downloads)) == 4


# a missing permission speaks for the whole package


@pytest.mark.parametrize("status", [403, 404])
def test_a_missing_permission_is_not_tried_out_version_by_version(sim: Simulator, place: Place, status: int) -> None:
    message = "Resource not accessible by integration" if status == 403 else "Package version not found."
    for name in ("app", "lib"):
        package = sim.add_package("acme", "npm", name)
        for number in range(121):
            package.add_version(f"1.{number}.0", created_at=OLD)
    sim.faults.add("DELETE", "/npm/app/versions/", status=status, message=message, times=None)
    ended = run(sim, place, package_type="npm", package="app,lib", versions="*", keep_latest="1")
    assert ended.status == 1, ended.said
    assert len(sim.package("acme", "npm", "app").active()) == 121
    assert len(sim.package("acme", "npm", "lib").active()) == 1, "the other package goes on"
    assert set(outcomes(ended).values()) == {"no-permission", "done"}
    assert ended.count("failed") == 120
    assert deletes(sim, "/npm/app/") <= 40, "what was in calls when the first was refused"
    looks = [each for each in sim.requests if each.method == "GET" and "/npm/app/versions/" in each.path]
    assert len(looks) <= 1
    about_it = [text for text in ended.annotations["error"] if "npm/app" in text]
    assert len(about_it) == 1, "the first refusal, and how many more versions it concerns"
    assert "and 119 more: " in about_it[0]


# the last version


def everything(sim: Simulator, place: Place, **inputs: str) -> Ended:
    return run(sim, place, where="1", older_than="1d", **inputs)


def test_the_newest_image_stays_with_its_signature(sim: Simulator, place: Place) -> None:
    package = sim.add_package("acme", "container", "app")
    push_image(package, "a", created_at="2026-01-01")
    newest = push_image(package, "b", platforms=PLATFORMS, created_at="2026-01-02")
    push_referrer(package, newest, "sig", created_at="2026-01-03")
    ended = everything(sim, place)
    assert (ended.status, ended.count("deleted"), ended.count("skipped")) == (0, 1, 4), ended.said
    assert set(package.tags()) == {"b", f"sha256-{newest.name[7:]}.sig"}
    assert broken(package) == []
    assert deletes(sim) == 1, "what GitHub would refuse is not sent"


def test_a_dry_run_knows_what_github_will_refuse(sim: Simulator, place: Place) -> None:
    package = sim.add_package("acme", "container", "app")
    push_image(package, "a", created_at="2026-01-01")
    newest = push_image(package, "b", created_at="2026-01-02")
    ended = everything(sim, place, dry_run="true")
    assert (ended.status, ended.outputs["result"]) == (0, "planned"), ended.said
    expected = {version["id"]: version.get("expected") for version in ended.array("versions")}
    assert expected == {package.tags()["a"].id: None, newest.id: "last-version"}
    assert any("the newest image stays" in text for text in ended.annotations["warning"])
    whole = everything(sim, place, dry_run="true", on_last_version="delete-package")
    assert [version.get("expected") for version in whole.array("versions")] == [None, None]


def test_a_package_with_untagged_versions_that_stay_is_not_deleted_for_its_last_tag(
    sim: Simulator, place: Place
) -> None:
    package = sim.add_package("acme", "container", "app")
    push_image(package, "a", created_at=OLD)
    push_image(package, None, created_at=OLD)
    ended = run(sim, place, tags="*", on_last_version="delete-package")
    assert (ended.status, ended.count("skipped")) == (0, 1), ended.said
    assert len(package.active()) == 2


def test_a_push_between_the_last_look_and_the_end_keeps_the_package(sim: Simulator, place: Place) -> None:
    package = sim.add_package("acme", "container", "app")
    push_image(package, "a", created_at="2026-01-01")
    push_image(package, "b", created_at="2026-01-02")
    # a limit refuses the deletion of the package, and somebody pushes while the run waits
    sim.faults.add("DELETE", "/container/app$", status=429, message="slow down", headers={"Retry-After": "1"})

    def push(*_: object) -> None:
        push_image(package, "c")

    sim.on("DELETE", "/container/app$", push, times=1)
    ended = everything(sim, place, on_last_version="delete-package")
    assert ended.status == 0, ended.said
    assert set(package.tags()) == {"b", "c"}
    assert sim.packages("acme") == [package]
