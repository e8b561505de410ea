"""A run that deleted looks again at what was pushed meanwhile, with a tag or without one."""

from __future__ import annotations

import pytest

from tests.scenarios.program import Place
from tests.simulator import Package, Request, Simulator, push_image
from tests.simulator.images import INDEX, descriptor, index
from tests.wire.world import environment

OLD = "2026-01-01T00:00:00Z"


@pytest.fixture
def package(sim: Simulator) -> Package:
    """An image that stays, and one of two platforms that goes."""
    made = sim.add_package("acme", "container", "app")
    push_image(made, "v1", platforms=["linux/amd64", "linux/arm64"], created_at=OLD)
    push_image(made, "pr-1", platforms=["linux/amd64", "linux/arm64"], created_at=OLD)
    return made


@pytest.mark.parametrize("tag", [None, "v2"])
def test_no_image_that_is_pushed_while_its_part_goes_is_broken_without_a_word(
    sim: Simulator, package: Package, place: Place, tag: str | None
) -> None:
    parts: list[str] = []

    def push(_: Simulator, request: Request) -> None:
        part = package.versions[int(request.path.rpartition("/")[2])]
        parts.append(part.name)
        package.push(index(descriptor(package.manifests[part.name][0]), seed="new"), INDEX, tag)

    # before the last of the three versions of the image goes
    sim.on("DELETE", "/versions/", push, after=2, times=1)
    ended = place.run([], environment(sim, place, tags="pr-*"))
    lost = set(parts) - {version.name for version in package.active()}
    told = [text for text in ended.annotations["error"] if " lost " in text]
    assert parts
    assert ended.count("broken") == len(lost) == len(told), ended.said
    assert (ended.status, ended.outputs["result"]) == ((1, "failed") if lost else (0, "done")), ended.said
    assert all(name[:19] in told[0] for name in lost)


@pytest.mark.parametrize("tag", [None, "v2"])
def test_an_image_that_is_pushed_around_a_plain_one_that_goes_gets_it_back(
    sim: Simulator, package: Package, place: Place, tag: str | None
) -> None:
    plain = push_image(package, "old", created_at=OLD)

    def push(*_: object) -> None:
        package.push(index(descriptor(package.manifests[plain.name][0]), seed="new"), INDEX, tag)

    pushed = sim.on("DELETE", f"/versions/{plain.id}$", push, times=1)
    ended = place.run([], environment(sim, place, tags="old"))
    assert (ended.status, ended.outputs["result"], ended.count("broken")) == (0, "done", 0), ended.said
    assert [version["outcome"] for version in ended.array("versions")] == ["changed-since-plan"]
    assert (pushed.hits, plain.is_active) == (1, True)
