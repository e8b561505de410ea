"""Time limits, rate limits and changes by others during a run, and what the next run does.

The real program runs as a process of its own. Where minutes must pass, the test lets them pass (timed.py).
"""

from __future__ import annotations

import json
import signal

import pytest

from tests.scenarios.program import Ended, Place, receipt_lines
from tests.simulator import Package, Simulator
from tests.simulator.images import push_image
from tests.wire import timed
from tests.wire.interrupting import wait_until
from tests.wire.world import TOKEN, environment

OLD = "2026-01-01T00:00:00Z"


def run(sim: Simulator, place: Place, **more: str) -> Ended:
    return place.run([], environment(sim, place, **more))


def versions(sim: Simulator, number: int) -> Package:
    package = sim.add_package("acme", "npm", "app")
    for minute in range(number):
        package.add_version(f"1.{minute}.0", created_at=f"2026-01-01T{minute // 60:02}:{minute % 60:02}:00Z")
    return package


def names(package: Package) -> list[str]:
    return sorted((version.name for version in package.active()), key=lambda name: int(name.split(".")[1]))


NPM = {"package_type": "npm", "versions": "*"}


def test_the_time_limit_ends_a_run_cleanly_and_the_next_goes_on(sim: Simulator, place: Place) -> None:
    package = versions(sim, 8)
    ended = timed.run(sim, place, **NPM, on_last_version="keep", pace="polite", time_limit="3s")
    assert ended.status == 0, ended.said
    assert ended.outputs["result"] == "partial"
    done, left = ended.count("deleted"), ended.count("remaining")
    assert done >= 1
    assert left >= 1
    assert done + left == ended.count("planned") == 8
    assert names(package) == [f"1.{number}.0" for number in range(done, 8)], "the oldest go first"
    assert any("time-limit" in text for text in ended.annotations["notice"])
    assert {version["outcome"] for version in ended.array("versions")} == {"done", "out-of-time"}
    rest = run(sim, place, **NPM)
    assert (rest.status, rest.outputs["result"], names(package)) == (0, "done", ["1.7.0"])


def test_no_wait_ends_past_the_time_limit(sim: Simulator, place: Place) -> None:
    package = versions(sim, 5)
    message = "You have exceeded a secondary rate limit."
    sim.faults.add("DELETE", "/versions/", status=403, message=message, headers={"Retry-After": "60"}, after=2)
    ended = timed.run(sim, place, **NPM, pace="polite", time_limit="20s")
    assert (ended.status, ended.outputs["result"]) == (0, "partial"), ended.said
    assert (ended.count("deleted"), ended.count("remaining")) == (2, 3)
    assert len(package.active()) == 3
    outcomes = [line["outcome"] for line in receipt_lines(place.workspace / ended.outputs["receipt"])]
    assert outcomes.count("out-of-time") == outcomes.count("started") - 2


def test_a_time_limit_while_lists_are_read_is_no_failure(sim: Simulator, place: Place) -> None:
    versions(sim, 5)
    message = "You have exceeded a secondary rate limit."
    sim.faults.add("GET", "/versions", status=403, message=message, headers={"Retry-After": "60"}, times=None)
    ended = run(sim, place, **NPM, time_limit="10s")
    assert (ended.status, ended.outputs["result"]) == (0, "partial"), ended.said
    assert sim.writes == []


def test_writes_leave_a_tenth_of_the_primary_budget(sim: Simulator, place: Place) -> None:
    package = versions(sim, 60)
    sim.limits.configure(primary=50)
    ended = run(sim, place, **NPM, time_limit="20s")
    assert (ended.status, ended.outputs["result"]) == (0, "partial"), ended.said
    status = sim.limits.status(TOKEN, "classic")
    # one of them is the look at what is left
    assert 4 <= status["remaining"] <= 7
    assert not any(sim.limits.refusals.values())
    assert 60 - len(package.active()) == ended.count("deleted")


def test_a_server_without_limits_is_not_waited_for(sim: Simulator, place: Place) -> None:
    package = versions(sim, 250)
    sim.limits.configure(enabled=False)
    ended = run(sim, place, package_type="npm", versions="*", keep_latest="10", time_limit="40s")
    assert (ended.status, ended.outputs["result"], ended.count("deleted")) == (0, "done", 240), ended.said
    assert names(package) == [f"1.{number}.0" for number in range(240, 250)]


@pytest.mark.parametrize("delay", ["even", "uneven"])
def test_in_parallel_deletions_github_keeps_the_newest_as_the_last_version(
    sim: Simulator, place: Place, delay: str
) -> None:
    package = versions(sim, 30)
    sim.latency = 0.01
    if delay == "uneven":
        for number in (3, 11, 12, 27):
            sim.faults.add("DELETE", f"/versions/{package.active()[number].id}", action="delay", delay=0.3)
    ended = run(sim, place, **NPM)
    assert (ended.status, ended.count("deleted"), ended.count("skipped")) == (0, 29, 1), ended.said
    assert names(package) == ["1.29.0"]
    assert ended.array("versions")[-1]["outcome"] == "last-version"


def test_a_cancelled_run_waits_for_the_writes_in_flight(sim: Simulator, place: Place) -> None:
    package = versions(sim, 60)
    sim.faults.add("DELETE", "/versions/", action="delay", delay=0.5, times=None)
    process = place.start([], environment(sim, place, **NPM))
    wait_until(lambda: len(sim.writes) >= 10, process)
    process.send_signal(signal.SIGTERM)
    ended = place.end(process)
    assert ended.status == 130
    gone = 60 - len(package.active())
    assert 10 <= gone <= 40
    lines = receipt_lines(place.workspace / ended.outputs["receipt"])
    assert sum(line["outcome"] == "done" for line in lines) == gone == ended.count("deleted")
    assert {line["outcome"] for line in lines} == {"started", "done"}
    sim.faults.clear()
    undone = run(sim, place, operation="restore", package_type="npm", undo=ended.outputs["receipt"])
    assert (undone.status, undone.count("restored"), len(package.active())) == (0, gone, 60)


def test_a_rate_limit_pauses_all_writes_and_loses_none(sim: Simulator, place: Place) -> None:
    package = versions(sim, 40)
    sim.faults.add(
        "DELETE", "/versions/", status=429, message="You have exceeded a secondary rate limit.",
        headers={"Retry-After": "2"}, after=10, times=5,
    )  # fmt: skip
    ended = timed.run(sim, place, **NPM, keep_latest="1")
    assert (ended.status, ended.count("deleted"), ended.count("failed")) == (0, 39, 0), ended.said
    assert len(package.active()) == 1
    waits = [text for text in ended.stdout.splitlines() if "rate limit is reached; waiting" in text]
    assert len(waits) == 1, "one pause for all"
    assert "UTC" in waits[0]


@pytest.fixture
def images(sim: Simulator) -> Package:
    """Six images of pull requests, of two platforms."""
    package = sim.add_package("acme", "container", "app")
    push_image(package, "v1", created_at=OLD)
    for number in range(1, 7):
        push_image(package, f"pr-{number}", platforms=["linux/amd64", "linux/arm64"], created_at=f"2026-01-0{number}")
    return package


def deletions_take_two_minutes(sim: Simulator, place: Place) -> None:
    clock = timed.passed(place)
    sim.on("DELETE", "/versions/", lambda *_: clock.until(clock.seconds + 120))


def test_a_tag_that_moves_during_a_long_run_keeps_its_image(sim: Simulator, images: Package, place: Place) -> None:
    deletions_take_two_minutes(sim, place)
    kept = images.tags()["pr-6"]
    sim.on("DELETE", "/versions/", lambda *_: images.move_tag("stable", kept), after=2, times=1)
    ended = timed.run(sim, place, tags="pr-*", pace="polite")
    assert ended.status == 0, ended.said
    assert set(images.tags()) == {"v1", "pr-6", "stable"}
    outcomes = {version["outcome"] for version in ended.array("versions")}
    assert outcomes == {"done", "changed-since-plan"}
    assert (ended.count("deleted"), ended.count("skipped"), ended.count("broken")) == (15, 3, 0)
    assert len(images.active()) == 4
    assert "the lists are more than five minutes old" in ended.said


def test_an_image_pushed_during_a_run_keeps_the_old_parts_that_it_needs(
    sim: Simulator, images: Package, place: Place
) -> None:
    deletions_take_two_minutes(sim, place)
    index = images.manifests[images.tags()["pr-6"].name][0]
    parts = {child["digest"] for child in json.loads(index)["manifests"]}
    other = json.dumps(json.loads(index) | {"annotations": {"made": "later"}}).encode()

    def push(*_: object) -> None:
        images.push(other, tag="v2")

    sim.on("DELETE", "/versions/", push, after=2, times=1)
    ended = timed.run(sim, place, tags="pr-*", pace="polite")
    assert ended.status == 0, ended.said
    assert set(images.tags()) == {"v1", "v2"}
    assert parts <= {version.name for version in images.active()}
    assert ended.count("broken") == 0


def test_versions_that_others_deleted_are_not_requested(sim: Simulator, place: Place) -> None:
    package = versions(sim, 8)
    deletions_take_two_minutes(sim, place)
    last = package.find("1.6.0")
    assert last is not None
    sim.on("DELETE", "/versions/", lambda *_: package.remove(last), after=1, times=1)
    ended = timed.run(sim, place, package_type="npm", versions="*", keep_latest="1", pace="polite")
    assert ended.status == 0, ended.said
    assert not any(str(last.id) in request.path for request in sim.writes)
    found = {version["id"]: version["outcome"] for version in ended.array("versions")}
    assert found[last.id] == "changed-since-plan"
    assert set(found.values()) == {"done", "changed-since-plan"}
