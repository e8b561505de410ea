"""What others push, delete and break while a run waits for ten minutes in the middle of its work.

The real program runs as a process of its own, in time that passes where it waits. A limit refuses one of
its requests, and while it waits somebody acts: nothing that is needed by then may go, and nothing is called done or
changed that is not.
"""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.scenarios.program import Ended, Place, receipt_lines
from tests.simulator import Package, Simulator
from tests.simulator.images import INDEX, descriptor, index, push_image, push_referrer
from tests.wire import timed
from tests.wire.test_budgets import OLD, names, run, versions

LIMIT = "You have exceeded a secondary rate limit."
AGAIN = "the lists are more than five minutes old"
PLATFORMS = ["linux/amd64", "linux/arm64"]
NPM = {"package_type": "npm", "versions": "*", "keep_latest": "1"}


@pytest.fixture
def package(sim: Simulator) -> Package:
    """An image that stays, and four of pull requests, of two platforms each."""
    package = sim.add_package("acme", "container", "app")
    push_image(package, "v1", created_at=OLD)
    for number in range(1, 5):
        push_image(package, f"pr-{number}", platforms=PLATFORMS, created_at=f"2026-01-0{number}")
    return package


def refuse(sim: Simulator, method: str, path: str, *, after: int = 0, **more: Any) -> None:
    """Let a limit refuse one request, for ten minutes."""
    sim.faults.add(method, path, status=429, message=LIMIT, headers={"Retry-After": "600"}, after=after, **more)


def outcomes(ended: Ended) -> dict[int, str]:
    return {version["id"]: version["outcome"] for version in ended.array("versions")}


def parts_of(package: Package, digest: str) -> list[str]:
    content, _ = package.manifests[digest]
    return [child["digest"] for child in json.loads(content).get("manifests", ())]


def broken(package: Package) -> list[str]:
    """The active versions that lack a part."""
    there = {version.name for version in package.active()}
    return [name for name in there if not set(parts_of(package, name)) <= there]


def reuse(package: Package, part: str, tag: str) -> None:
    """Push an index of one manifest that is there already, and one that is new."""
    new = push_image(package, None, seed=tag)
    contents = [package.manifests[name][0] for name in (part, new.name)]
    platforms = [{"os": "linux", "architecture": name} for name in ("amd64", "arm64")]
    children = [descriptor(content, platform=platform) for content, platform in zip(contents, platforms, strict=True)]
    package.push(index(*children, seed=tag), INDEX, tag)


def test_a_deletion_that_a_limit_refused_is_decided_again(sim: Simulator, package: Package, place: Place) -> None:
    kept = package.tags()["pr-1"]
    refuse(sim, "DELETE", f"/versions/{kept.id}$")
    sim.on("DELETE", f"/versions/{kept.id}$", lambda *_: package.move_tag("latest", kept), times=1)
    ended = timed.run(sim, place, tags="pr-*", keep_tags="latest")
    assert (ended.status, ended.outputs["result"]) == (0, "done"), ended.said
    assert AGAIN in ended.said
    assert set(package.tags()) == {"v1", "pr-1", "latest"}
    assert broken(package) == []
    assert outcomes(ended)[kept.id] == "changed-since-plan"
    lines = receipt_lines(place.workspace / ended.outputs["receipt"])
    of_kept = [line["outcome"] for line in lines if line["id"] == kept.id]
    assert of_kept == ["started", "changed-since-plan"], "it was not carried out: undo has nothing to bring back"


def test_a_restoration_that_a_limit_refused_is_decided_again(sim: Simulator, place: Place) -> None:
    package = sim.add_package("acme", "container", "app")
    push_image(package, "v9", created_at=OLD)
    gone = [push_image(package, f"t{number}", created_at=OLD) for number in range(3)]
    for version in gone:
        package.remove(version)
    refuse(sim, "POST", f"/versions/{gone[1].id}/restore")

    def push(*_: object) -> None:
        push_image(package, "t1", seed="anew")

    sim.on("POST", f"/versions/{gone[1].id}/", push, times=1)
    ended = timed.run(sim, place, operation="restore", tags="t*")
    assert ended.status == 0, ended.said
    assert AGAIN in ended.said
    assert [version.is_active for version in gone] == [True, False, True]
    assert package.tags()["t1"] not in gone


@pytest.mark.parametrize("older_than", ["", "1d"])
def test_a_part_that_a_new_image_needs_stays_though_the_rules_select_that_image_too(
    sim: Simulator, package: Package, place: Place, older_than: str
) -> None:
    root = package.tags()["pr-4"]
    shared = parts_of(package, root.name)[0]
    refuse(sim, "DELETE", f"/versions/{root.id}$")
    sim.on("DELETE", f"/versions/{root.id}$", lambda *_: reuse(package, shared, "pr-99"), times=1)
    ended = timed.run(sim, place, tags="pr-*", older_than=older_than)
    assert (ended.status, ended.count("broken")) == (0, 0), ended.said
    assert set(package.tags()) == {"v1", "pr-99"}
    assert package.find(shared) is not None
    assert broken(package) == []


@pytest.mark.parametrize("older_than", ["", "1d"])
def test_a_part_of_an_image_that_is_gone_stays_when_a_new_image_needs_it(
    sim: Simulator, package: Package, place: Place, older_than: str
) -> None:
    parts = [package.find(name) for name in parts_of(package, package.tags()["pr-1"].name)]
    shared, other = parts
    assert shared is not None
    assert other is not None
    for part in (shared, other):
        refuse(sim, "DELETE", f"/versions/{part.id}$")
    sim.on("DELETE", f"/versions/{shared.id}$", lambda *_: reuse(package, shared.name, "release"), times=1)
    ended = timed.run(sim, place, tags="pr-*", older_than=older_than)
    assert (ended.status, ended.count("broken")) == (0, 0), ended.said
    assert AGAIN in ended.said
    assert set(package.tags()) == {"v1", "release"}
    assert shared.is_active
    assert not other.is_active, "nobody needs it, so its image is finished"
    assert broken(package) == []


def test_what_refers_to_an_image_that_is_pushed_anew_stays(sim: Simulator, package: Package, place: Place) -> None:
    root = package.tags()["pr-1"]
    content, media_type = package.manifests[root.name]
    (referrer,) = push_referrer(package, root, created_at="2026-01-01")
    refuse(sim, "DELETE", f"/versions/{referrer.id}$")

    def push(*_: object) -> None:
        package.push(content, media_type, "v2")

    sim.on("DELETE", f"/versions/{referrer.id}$", push, times=1)
    # the platforms are pushed with it, as every client does
    for name in parts_of(package, root.name):
        version = package.find(name)
        assert version is not None
        refuse(sim, "DELETE", f"/versions/{version.id}$")
    ended = timed.run(sim, place, tags="pr-*")
    assert ended.status == 0, ended.said
    assert not root.is_active
    assert set(package.tags()) == {"v1", "v2"}
    assert referrer.is_active
    assert broken(package) == []


def test_two_tags_of_one_image_are_taken_away_whatever_time_passes(sim: Simulator, place: Place) -> None:
    package = sim.add_package("acme", "container", "app")
    image = push_image(package, "v1", created_at=OLD)
    for tag in ("pr-1", "pr-2"):
        package.move_tag(tag, image)
    refuse(sim, "PUT", "/manifests/pr-2$")
    ended = timed.run(sim, place, tags="pr-*", partial_match="untag")
    assert (ended.status, ended.count("untagged")) == (0, 2), ended.said
    assert AGAIN in ended.said
    assert set(package.tags()) == {"v1"}


def test_an_image_that_somebody_restores_meanwhile_keeps_its_parts(
    sim: Simulator, package: Package, place: Place
) -> None:
    root = package.tags()["pr-1"]
    parts = [package.find(name) for name in parts_of(package, root.name)]
    for part in parts:
        assert part is not None
        refuse(sim, "DELETE", f"/versions/{part.id}$")
    sim.on("DELETE", f"/versions/{parts[0] and parts[0].id}$", lambda *_: package.bring_back(root), times=1)
    ended = timed.run(sim, place, tags="pr-*")
    assert ended.status == 0, ended.said
    assert set(package.tags()) == {"v1", "pr-1"}
    assert broken(package) == []
    assert [part and part.is_active for part in parts] == [True, True]


def test_a_list_that_lags_behind_ends_no_long_run(sim: Simulator, package: Package, place: Place) -> None:
    sim.configure(deletions_listed_for=100_000.0)
    part = package.find(parts_of(package, package.tags()["pr-1"].name)[0])
    assert part is not None
    refuse(sim, "DELETE", f"/versions/{part.id}$")
    ended = timed.run(sim, place, tags="pr-*")
    assert AGAIN in ended.said
    assert (ended.status, ended.count("deleted"), ended.count("skipped")) == (0, 12, 0), ended.said
    assert set(package.tags()) == {"v1"}


@pytest.mark.parametrize(
    ("fault", "status", "outcome", "result"),
    [
        ({"status": 401, "message": "Bad credentials"}, 4, "no-permission", "failed"),
        ({"status": 502}, 5, "failed", "failed"),
        ({"action": "close"}, 5, "failed", "failed"),
        ({"status": 403, "message": "Resource not accessible by integration"}, 1, "no-permission", "failed"),
        ({"status": 404, "message": "Package not found."}, 0, "changed-since-plan", "done"),
    ],
)
def test_lists_that_cannot_be_read_again_are_no_change(
    sim: Simulator, place: Place, fault: dict[str, Any], status: int, outcome: str, result: str
) -> None:
    package = versions(sim, 6)
    refuse(sim, "DELETE", "/versions/", after=2)
    sim.faults.add("GET", "/versions", after=1, times=None, **fault)
    ended = timed.run(sim, place, **NPM, pace="polite")
    assert (ended.status, ended.outputs["result"]) == (status, result), ended.said
    assert names(package) == [f"1.{number}.0" for number in range(2, 6)], "nothing goes without a fresh look"
    found = [version["outcome"] for version in ended.array("versions")]
    assert found == ["done"] * 2 + [outcome] * 3


@pytest.mark.parametrize("fault", [{"status": 502}, {"status": 403}])
def test_a_registry_that_fails_at_the_second_look_is_no_change(
    sim: Simulator, package: Package, place: Place, fault: dict[str, Any]
) -> None:
    root = package.tags()["pr-4"]

    def fail(*_: object) -> None:
        push_image(package, "new", platforms=PLATFORMS)
        sim.faults.add("GET", "/manifests/", times=None, **fault)

    refuse(sim, "DELETE", f"/versions/{root.id}$")
    sim.on("DELETE", f"/versions/{root.id}$", fail, times=1)
    ended = timed.run(sim, place, tags="pr-*")
    assert ended.status == (5 if fault["status"] == 502 else 1), ended.said
    assert ended.outputs["result"] == "failed"
    assert {"v1", "pr-4", "new"} <= set(package.tags())
    assert broken(package) == []
    assert outcomes(ended)[root.id] == ("failed" if fault["status"] == 502 else "no-permission")


def test_a_second_look_that_has_to_wait_itself_is_taken_once_more(sim: Simulator, place: Place) -> None:
    package = sim.add_package("acme", "container", "app")
    for minute in range(59):
        push_image(package, f"v{minute}", created_at=f"2026-01-01T00:{minute:02}:00Z")
        push_image(package, f"w{minute}", created_at=f"2026-01-01T01:{minute:02}:00Z")
    images = [push_image(package, f"pr-{number}", created_at=f"2026-01-02T00:{number:02}:00Z") for number in range(9)]
    refuse(sim, "DELETE", "/versions/", after=3)
    # the first page is read, and shows the image without the tag; the second one has to wait
    refuse(sim, "GET", r"[?&]page=2&", after=1)
    sim.on("GET", r"[?&]page=2&", lambda *_: package.move_tag("latest", images[7]), after=1, times=1)
    ended = timed.run(sim, place, tags="pr-*", keep_tags="latest", pace="polite")
    assert (ended.status, ended.count("deleted")) == (0, 8), ended.said
    assert images[7].is_active
    assert outcomes(ended)[images[7].id] == "changed-since-plan"


def test_an_index_that_slips_through_while_others_delete_keeps_its_parts(sim: Simulator, place: Place) -> None:
    package = sim.add_package("acme", "container", "app")
    push_image(package, "v1", platforms=PLATFORMS, created_at=OLD)
    newer = [push_image(package, f"r{n}", created_at=f"2026-02-01T{n // 60:02}:{n % 60:02}:00Z") for n in range(200)]
    inputs = {"tag_status": "untagged", "older_than": "1d", "manifest_cache": "cache"}
    assert run(sim, place, **inputs).outputs["result"] == "nothing-to-do"

    def delete(*_: object) -> None:
        # the second page has been given, with this one in it; the third begins one later now, behind the index
        while not any(each.query.get("page") == "2" and each.status for each in sim.requests[seen:]):
            time.sleep(0.005)
        package.remove(newer[50])

    seen = len(sim.requests)
    sim.on("GET", r"[?&]page=3&", delete, times=1)
    ended = run(sim, place, **inputs)
    assert not newer[50].is_active
    assert (ended.status, ended.count("deleted")) == (0, 0), ended.said
    assert broken(package) == []


def test_what_is_deployed_is_still_known_when_lists_are_read_again(sim: Simulator, place: Place) -> None:
    package = sim.add_package("acme", "container", "app")
    used, goes, _ = [push_image(package, f"pr-{day}", created_at=f"2026-01-0{day}") for day in (1, 2, 3)]
    sim.deployments[used.name] = [{"logical_environment": "production"}]
    refuse(sim, "DELETE", f"/versions/{goes.id}$")
    ended = timed.run(sim, place, tags="pr-*", keep_deployed="true", pace="polite")
    assert (ended.status, ended.outputs["result"], ended.count("deleted")) == (0, "done", 2), ended.said
    assert AGAIN in ended.said
    assert set(package.tags()) == {"pr-1"}
