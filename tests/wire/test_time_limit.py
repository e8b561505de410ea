"""`time-limit` at the worst moments: an incomplete image is always reported, and the next run goes on."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest

from tests.scenarios.program import Place
from tests.simulator import Package, Simulator, push_image
from tests.wire.interrupting import wait_until
from tests.wire.timed import (
    IMAGE,
    OLD,
    PLATFORMS,
    SECONDARY,
    again,
    environment,
    outcomes,
    partial,
    passed,
    refuse,
    run,
    time_passes,
    undone,
)

# deleting images


@pytest.fixture
def images(sim: Simulator) -> Package:
    """Sixty old images of three versions each, and one that stays."""
    sim.limits.configure(points_per_minute=None)
    made = sim.add_package("acme", "container", "app")
    for number in range(60):
        push_image(made, f"old{number}", platforms=PLATFORMS, created_at=f"2026-01-01T00:{number:02}:00Z")
    push_image(made, "v1", platforms=PLATFORMS, created_at=OLD)
    return made


def parts_alone(package: Package) -> int:
    """How many versions are there without their image."""
    names = {version.name for version in package.active()}
    indexes = [json.loads(package.manifests[name][0]) for name in names]
    held = {child["digest"] for each in indexes for child in each.get("manifests", ())}
    return sum(not version.tags and version.name not in held for version in package.active())


def broken(package: Package) -> int:
    """How many indexes are there without all of their parts."""
    names = {version.name for version in package.active()}
    indexes = [json.loads(package.manifests[name][0]) for name in names]
    return sum(any(child["digest"] not in names for child in each.get("manifests", ())) for each in indexes)


# after 25 deletions nearly all 60 images may have begun: each answer lets one more be in flight
@pytest.mark.parametrize("after", [0, 1, 5, 15])
@pytest.mark.parametrize("pace", ["full", "polite"])
def test_images_that_are_begun_are_finished_when_the_time_is_over(
    sim: Simulator, images: Package, place: Place, pace: str, after: int
) -> None:
    time_passes(sim, place, 1000, "DELETE", "/versions/", after)
    ended = run(sim, place, tags="old*", pace=pace, time_limit="1000s")
    partial(ended)
    gone = 61 * IMAGE - len(images.active())
    assert gone == ended.count("deleted") > after
    assert (gone % IMAGE, parts_alone(images), broken(images)) == (0, 0, 0)
    assert again(sim, place, tags="old*").outputs["result"] == "done"
    assert sorted(images.tags()) == ["v1"]
    assert len(images.active()) == IMAGE


@pytest.mark.parametrize("number", [1, 2, 4, 5])
def test_pace_polite_leaves_no_image_incomplete(sim: Simulator, images: Package, place: Place, number: int) -> None:
    """The next write would have to wait a second, and the time ends in half a second."""
    time_passes(sim, place, 99.5, "DELETE", "/versions/", number - 1)
    ended = run(sim, place, tags="old*", pace="polite", time_limit="100s")
    partial(ended)
    assert ended.count("deleted") == (number + 1) * IMAGE
    assert parts_alone(images) == 0


@pytest.mark.parametrize("budget", range(20, 26))
def test_a_used_up_budget_leaves_no_image_incomplete(
    sim: Simulator, images: Package, place: Place, budget: int
) -> None:
    sim.limits.configure(primary=budget)
    ended = run(sim, place, tags="old*,!old9", manifest_cache="cache", pace="polite", time_limit="100s")
    partial(ended)
    assert 61 * IMAGE - len(images.active()) == ended.count("deleted") > 0
    assert (parts_alone(images), broken(images)) == (0, 0)
    assert not any(sim.limits.refusals.values())


def test_an_incomplete_image_is_reported_with_what_finds_the_rest(
    sim: Simulator, images: Package, place: Place
) -> None:
    sim.on("DELETE", "/versions/", lambda *_: refuse(sim, "DELETE", "/versions/", 600, None), after=2, times=1)
    ended = run(sim, place, tags="old*", pace="polite", time_limit="100s")
    partial(ended)
    assert (ended.count("deleted"), parts_alone(images)) == (2, 4)
    (told,) = [text for text in ended.annotations["warning"] if "not all of their parts" in text]
    assert told.startswith("2 images are deleted")
    assert "tag-status: untagged selects them" in told
    rest = again(sim, place, tag_status="untagged", older_than="1d")
    assert (rest.status, rest.count("deleted"), parts_alone(images)) == (0, 4, 0), rest.said


# restoring images


RESTORE = {"operation": "restore", "tags": "old"}


@pytest.fixture
def deleted(sim: Simulator) -> Package:
    made = sim.add_package("acme", "container", "app")
    root = push_image(made, "old", platforms=PLATFORMS, created_at=OLD)
    push_image(made, "v1", platforms=PLATFORMS, created_at=OLD, seed="other")
    children = {child["digest"] for child in json.loads(made.manifests[root.name][0])["manifests"]}
    for version in [root, *(each for each in made.active() if each.name in children)]:
        made.remove(version)
    return made


def test_a_restored_image_gets_its_parts_though_the_time_is_over(
    sim: Simulator, deleted: Package, place: Place
) -> None:
    time_passes(sim, place, 10, "POST", "/restore")
    ended = run(sim, place, **RESTORE, time_limit="5s")
    assert ended.status == 0, ended.said
    assert (ended.count("restored"), deleted.deleted(), broken(deleted)) == (3, [], 0)


def test_a_restored_image_without_parts_is_reported_and_repaired(
    sim: Simulator, deleted: Package, place: Place
) -> None:
    sim.on("POST", "/restore", lambda *_: refuse(sim, "POST", "/restore", 600, None), after=1, times=1)
    ended = run(sim, place, **RESTORE, time_limit="60s")
    partial(ended)
    assert broken(deleted) == 1
    assert (ended.count("restored"), ended.count("remaining")) == (1, 2)
    assert any("repair restores them" in text for text in ended.annotations["warning"])
    mended = again(sim, place, operation="repair")
    assert (mended.status, mended.count("restored"), broken(deleted)) == (0, 2, 0), mended.said


@pytest.mark.parametrize("path", ["/app/versions$", "/restore"])
def test_a_token_that_expires_between_a_root_and_its_parts_is_reported(
    sim: Simulator, deleted: Package, place: Place, path: str
) -> None:
    def end(*_: object) -> None:
        sim.faults.add(None, path, status=401, message="Bad credentials", times=None, after=int(path == "/restore"))

    sim.on("POST", "/restore", end, times=1)
    ended = run(sim, place, **RESTORE)
    assert (ended.status, ended.count("restored"), broken(deleted)) == (4, 1, 1), ended.said
    assert "repair restores them" in ended.said


def test_a_cancelled_restoration_reports_images_without_parts(sim: Simulator, deleted: Package, place: Place) -> None:
    rule = sim.on("POST", "/restore", lambda *_: None)
    sim.faults.add("POST", "/restore", action="delay", delay=1.0)
    process = place.start([], environment(sim, place, RESTORE))
    wait_until(lambda: rule.hits == 1, process)
    process.send_signal(signal.SIGINT)
    ended = place.end(process)
    assert (ended.status, ended.count("restored"), broken(deleted)) == (130, 1, 1), ended.said
    assert "repair restores them" in ended.said


def test_no_wait_for_a_restored_manifest_ends_after_the_time_limit(
    sim: Simulator, deleted: Package, place: Place
) -> None:
    sim.faults.add("GET", "/manifests/", status=404, times=None)
    ended = run(sim, place, **RESTORE, time_limit="3s")
    partial(ended)
    assert passed(place).seconds <= 3
    assert "repair restores them" in ended.said


# trouble at the end


MOMENTS = {
    "owner": ("GET", "/users/acme$|/orgs/acme$"),
    "package": ("GET", "/app$"),
    "page": ("GET", "/app/versions"),
    "manifest": ("GET", "/manifests/"),
    "delete": ("DELETE", "/versions/"),
}


TROUBLES: list[dict[str, Any]] = [
    {"status": 502},
    {"action": "close"},
    {"status": 429, "message": SECONDARY, "headers": {"Retry-After": "9"}},
]


@pytest.mark.parametrize("how", TROUBLES)
@pytest.mark.parametrize("moment", MOMENTS)
def test_one_failed_request_at_the_time_limit_is_no_failure(
    sim: Simulator, place: Place, moment: str, how: dict[str, Any]
) -> None:
    package = sim.add_package("acme", "container", "app")
    push_image(package, "old", platforms=PLATFORMS, created_at=OLD)
    push_image(package, "v1", platforms=PLATFORMS, created_at=OLD)
    method, path = MOMENTS[moment]
    time_passes(sim, place, 9.9, method, path)
    sim.faults.add(method, path, **how)
    ended = run(sim, place, tags="old", owner_type="", time_limit="10s")
    if moment == "owner" and how.get("status") != 429:
        # nothing else was answered before
        assert (ended.status, ended.outputs["result"]) == (5, "failed"), ended.said
    else:
        partial(ended)
    assert (len(package.active()), ended.count("failed")) == (2 * IMAGE, 0)
    if moment == "delete":
        assert ended.count("remaining") == IMAGE
        assert outcomes(place, ended) == ["out-of-time"]
        assert undone(sim, place, ended).count("planned") == 0
    assert again(sim, place, tags="old").count("deleted") == IMAGE


def test_a_lost_write_is_checked_though_the_time_is_over(sim: Simulator, place: Place) -> None:
    """The answer fails after the end of the time: whether it was carried out is still found out."""
    package = sim.add_package("acme", "container", "app")
    push_image(package, "old", created_at=OLD)
    push_image(package, "v1", created_at=OLD)
    time_passes(sim, place, 11, "DELETE", "/versions/")
    sim.faults.add("DELETE", "/versions/", status=502)
    ended = run(sim, place, tags="old", time_limit="10s")
    partial(ended)
    assert (len(package.active()), ended.count("failed"), ended.count("remaining")) == (2, 0, 1)


def test_what_is_missing_is_named_though_the_time_is_over(sim: Simulator, place: Place) -> None:
    push_image(sim.add_package("acme", "container", "app"), "old", created_at=OLD)
    time_passes(sim, place, 10, "GET", "/app/versions")
    ended = run(sim, place, package="nope,app", tags="old", time_limit="5s", owner_type="")
    assert ended.status == 1
    assert any("'nope' does not exist" in text for text in ended.annotations["error"]), ended.said
    assert "nope" in ended.summary


def test_a_dry_run_that_is_out_of_time_says_that_it_was_one(sim: Simulator, place: Place) -> None:
    push_image(sim.add_package("acme", "container", "app"), "old", created_at=OLD)
    time_passes(sim, place, 10, "GET", "/app")
    ended = run(sim, place, tags="old", time_limit="5s", dry_run="true")
    partial(ended)
    assert any("This was a dry run: nothing was written." in text for text in ended.annotations["notice"])


# whole packages


def test_no_whole_package_is_deleted_after_the_time(sim: Simulator, place: Place) -> None:
    package = sim.add_package("acme", "npm", "app")
    for number in range(3):
        package.add_version(f"1.{number}.0", created_at=f"2026-01-0{number + 1}")
    *_, last, newest = sorted(version.id for version in package.active())
    everything = {"package_type": "npm", "versions": "*", "on_last_version": "delete-package"}
    time_passes(sim, place, 10, "DELETE", f"/versions/{last}$")
    ended = run(sim, place, **everything, time_limit="5s")
    assert ended.status == 0, ended.said
    assert [version.id for version in package.active()] == [newest]
    assert sorted(outcomes(place, ended)) == ["done", "done"]
    assert ended.count("remaining") == 1
    rest = run(sim, place, **everything)
    assert rest.status == 0, rest.said
    assert sim.packages("acme") == []
