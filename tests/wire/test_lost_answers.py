"""Lost answers are looked into, dead hosts are not asked a thousand times, and waits are told and kept."""

from __future__ import annotations

import itertools

import pytest

from tests.scenarios.program import Place
from tests.simulator import Package, Simulator, push_image
from tests.wire.timed import (
    OLD,
    outcomes,
    partial,
    passed,
    run,
    undone,
    with_two_tags,
)


@pytest.fixture
def tagged(sim: Simulator) -> Package:
    return with_two_tags(sim)


NPM = {"package_type": "npm", "versions": "1.*"}


def npm(sim: Simulator) -> Package:
    package = sim.add_package("acme", "npm", "app")
    for number in range(3):
        package.add_version(f"1.{number}.0", created_at=OLD)
    package.add_version("2.0.0", created_at=OLD)
    return package


def names(package: Package) -> list[str]:
    return sorted(version.name for version in package.active())


@pytest.mark.parametrize("operation", ["delete", "restore"])
def test_what_was_done_is_found_out_though_every_answer_is_lost(sim: Simulator, place: Place, operation: str) -> None:
    package = npm(sim)
    if operation == "restore":
        for version in package.active():
            if version.name != "2.0.0":
                package.remove(version)
    method, path = ("DELETE", "/versions/") if operation == "delete" else ("POST", "/restore")
    sim.faults.add(method, path, action="close-after", times=None)
    before = names(package)
    ended = run(sim, place, **NPM, operation=operation)
    assert (ended.status, ended.outputs["result"]) == (0, "done"), ended.said
    assert ended.count(f"{operation}d") == 3 == abs(len(before) - len(names(package)))
    assert outcomes(place, ended) == ["done"] * 3


def test_what_was_not_done_is_said_not_to_be_done_when_every_answer_is_lost(sim: Simulator, place: Place) -> None:
    package = npm(sim)
    sim.faults.add("DELETE", "/versions/", action="close", times=None)
    ended = run(sim, place, **NPM)
    assert (ended.status, ended.count("deleted"), ended.count("failed")) == (5, 0, 3), ended.said
    assert len(names(package)) == 4
    assert undone(sim, place, ended).status == 0


def asked(sim: Simulator, path: str) -> int:
    return sum(path in request.path for request in sim.requests)


def ends_soon(sim: Simulator, place: Place, path: str, **inputs: str) -> None:
    sim.faults.add("GET", path, status=502, times=None)
    ended = run(sim, place, **inputs)
    assert ended.status != 0
    assert sim.writes == []


def test_a_registry_that_is_dead_is_not_asked_for_each_manifest(sim: Simulator, place: Place) -> None:
    package = sim.add_package("acme", "container", "app")
    for number in range(400):
        push_image(package, f"old{number}", created_at=OLD)
    ends_soon(sim, place, "/v2/", tags="old*", keep_latest="1")
    # those in flight, a hundred at most, are asked five or six times, until it is known that nobody answers
    assert asked(sim, "/v2/") < 1000


def test_a_github_that_gives_no_lists_is_not_asked_for_each_package(sim: Simulator, place: Place) -> None:
    for number in range(800):
        sim.add_package("acme", "npm", f"p{number}").add_version("1.0.0", created_at=OLD)
    ends_soon(sim, place, "/versions$", package="*", package_type="npm", versions="*")
    # what is in flight is asked again a few times; all 800 would be asked about 5,000 times
    assert asked(sim, "/versions") < 2500


def test_a_registry_that_refuses_for_ever_in_small_portions_says_so(sim: Simulator, place: Place) -> None:
    push_image(sim.add_package("acme", "container", "app"), "old", created_at=OLD)
    body = {"errors": [{"code": "TOOMANYREQUESTS", "message": "retry-after: 127.4ms, allowed: 44000/minute"}]}
    sim.faults.add("GET", "/manifests/", status=429, body=body, times=None)
    ended = run(sim, place, tags="old", time_limit="30s")
    partial(ended)
    told = [text for text in ended.stdout.splitlines() if "the registry rate limit is reached" in text]
    assert 3 <= len(told) <= 10, "about every five seconds"


@pytest.mark.parametrize("untags", [False, True])
def test_polite_is_one_write_a_second_whatever_is_written_to(
    sim: Simulator, tagged: Package, place: Place, *, untags: bool
) -> None:
    clock, moments = passed(place), list[float]()
    for method in ("PUT", "DELETE"):
        sim.on(method, "/", lambda *_: moments.append(clock.seconds))
    ended = run(sim, place, tags="pr-*", pace="polite", partial_match="untag" if untags else "delete", keep_latest="1")
    assert ended.status == 0, ended.said
    assert len(moments) >= 3
    gaps = [later - earlier for earlier, later in itertools.pairwise(moments)]
    assert min(gaps) >= 0.99, gaps
