"""A run that is killed at any single write leaves no broken image, undo takes it back whole, the next run ends it.

The real program, started as the runner does and killed from inside the simulated GitHub, just before a request is
carried out or dropped. `tests/faults` kills smaller runs of every operation at every write.
"""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.scenarios.program import Ended, Place
from tests.simulator import Package, Simulator, Version, push_image, push_referrer
from tests.simulator.images import INDEX, descriptor, index
from tests.wire.world import environment

RECEIPT = "package-keeper-receipt.jsonl"
OLD = "2026-01-01T00:00:00Z"
WRITES = 8
"""Versions of the image that go: an index, an index in it, a manifest, two attestations, three referrers."""
STAYING = 3
"""An index, the manifest that it shares, and its signature."""


@pytest.fixture
def package(sim: Simulator) -> Package:
    """An image with everything, of which another image that stays shares a part."""
    made = sim.add_package("acme", "container", "app")
    inner = push_image(made, None, seed="a", platforms=["linux/amd64", "linux/arm64"], attested=True, created_at=OLD)
    manifest = made.manifests[inner.name][0]
    outer = made.push(index(descriptor(manifest)), INDEX, "pr-1", OLD)
    push_referrer(made, outer, "sig", created_at=OLD)
    push_referrer(made, outer, "fallback", created_at=OLD)
    shared = json.loads(manifest)["manifests"][0]
    push_referrer(made, made.push(index(shared, seed="keep"), INDEX, "v1", OLD), "sig", created_at=OLD)
    return made


def ended(sim: Simulator, place: Place, **inputs: str) -> Ended:
    return place.run([], environment(sim, place, **inputs))


def killed(sim: Simulator, place: Place, method: str, path: str, *, after: int, done: bool, **inputs: str) -> None:
    """Kill the program when it sends that request, which is carried out or not."""
    processes: list[subprocess.Popen[str]] = []
    rule = sim.on(method, path, lambda *_: processes[0].kill(), times=1, after=after)
    if not done:
        sim.faults.add(method, path, action="close", after=after)
    processes.append(place.start([], environment(sim, place, **inputs)))
    assert place.end(processes[0]).status == -9
    assert rule.hits == 1
    sim.faults.clear()


def broken(package: Package) -> list[tuple[Version, str]]:
    """The indexes that are there, with a tag or not, and lack a child."""
    active = package.active()
    names = {version.name for version in active}
    return [
        (version, child["digest"])
        for version in active
        for child in json.loads(package.manifests[version.name][0]).get("manifests", ())
        if child["digest"] not in names
    ]


def tags_of(package: Package) -> dict[str, str]:
    return {tag: version.name for tag, version in package.tags().items()}


DELETE = {"tags": "pr-*"}
UNDO = {"operation": "restore", "package": "", "undo": RECEIPT}


@pytest.mark.parametrize("after", range(WRITES))
def test_a_kill_at_any_deletion(sim: Simulator, package: Package, place: Place, after: int) -> None:
    before = {version.id: sorted(version.tags) for version in package.active()}
    assert len(before) == WRITES + STAYING
    killed(sim, place, "DELETE", "/versions/", after=after, done=after % 2 == 0, **DELETE)
    assert broken(package) == []
    undone = ended(sim, place, **UNDO)
    assert undone.status == 0, undone.said
    assert {version.id: sorted(version.tags) for version in package.active()} == before
    # what else was under way may have been carried out as well
    assert after + (after % 2 == 0) <= undone.count("restored") <= WRITES


@pytest.mark.parametrize("after", [1, 5])
def test_the_next_run_does_the_rest(sim: Simulator, package: Package, place: Place, after: int) -> None:
    killed(sim, place, "DELETE", "/versions/", after=after, done=True, **DELETE)
    rest = ended(sim, place, tag_status="untagged", older_than="1d")
    assert rest.status == 0, rest.said
    assert broken(package) == []
    assert len(package.active()) == STAYING


UNTAG = {"tags": "pr-*", "partial_match": "untag"}
MOMENTS = [("PUT", "/manifests/pr-1", 0), ("GET", "/app/versions", 2), ("DELETE", "/versions/", 0)]
"""While the stub is put; when it is looked for in the list, the third that is read; when it goes."""


@pytest.fixture
def tagged(sim: Simulator) -> Package:
    made = sim.add_package("acme", "container", "app")
    push_image(made, "v1", platforms=["linux/amd64", "linux/arm64"], created_at=OLD)
    made.move_tag("pr-1", made.tags()["v1"])
    push_image(made, "v2", created_at=OLD)
    return made


@pytest.mark.parametrize(("method", "path", "after"), MOMENTS)
def test_a_kill_while_a_tag_is_taken_away_is_ended_by_the_next_run(
    sim: Simulator, tagged: Package, place: Place, method: str, path: str, after: int
) -> None:
    killed(sim, place, method, path, after=after, done=True, **UNTAG)
    rest = ended(sim, place, **UNTAG)
    assert rest.status == 0, rest.said
    assert sorted(tags_of(tagged)) == ["v1", "v2"]
    assert len(tagged.active()) == 4, "the empty manifest is left"
    verified = ended(sim, place, operation="verify", dry_run="")
    assert (verified.status, verified.count("selected")) == (0, 2), verified.said
