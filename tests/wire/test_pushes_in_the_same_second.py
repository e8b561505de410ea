"""What others push in the very second in which a tag is taken away: a list tells times in whole seconds only.

All requests of a run fall into one second here, since the simulator's clock stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.scenarios.program import Ended, Place
from tests.simulator import Package, Simulator, push_image
from tests.wire.world import environment, furnished

OLD = "2026-01-01T00:00:00Z"


@pytest.fixture
def sim() -> Iterator[Simulator]:
    with Simulator(time_scale=0) as simulator:
        simulator.clock.shared = True
        yield furnished(simulator)
    assert simulator.errors == []


@pytest.fixture
def package(sim: Simulator) -> Package:
    """An image with a tag that stays and one that goes, and another image."""
    made = sim.add_package("acme", "container", "app")
    made.move_tag("pr-1", push_image(made, "v1", created_at=OLD))
    push_image(made, "v2", created_at=OLD)
    return made


def untagged(sim: Simulator, place: Place) -> Ended:
    return place.run([], environment(sim, place, tags="pr-*", partial_match="untag"))


def before(sim: Simulator, method: str, path: str, act: Callable[[], object]) -> None:
    """Act before the next such request is answered."""

    def once(*_: object) -> None:
        act()

    sim.on(method, path, once, times=1)


def test_the_tag_goes_back_to_what_was_pushed_under_it(sim: Simulator, package: Package, place: Place) -> None:
    before(sim, "PUT", "/manifests/pr-1", lambda: push_image(package, "pr-1", seed="new"))
    ended = untagged(sim, place)
    assert (ended.status, ended.count("untagged")) == (0, 1), ended.said
    tags = package.tags()
    assert sorted(tags) == ["pr-1", "v1", "v2"]
    assert tags["pr-1"] not in (tags["v1"], tags["v2"])
    assert len(package.active()) == 3, "the empty manifest is gone"


def test_the_tag_goes_back_to_an_image_that_was_pushed_under_it_and_not_to_its_parts(
    sim: Simulator, package: Package, place: Place
) -> None:
    pushed: list[str] = []

    def push() -> None:
        pushed.append(push_image(package, "pr-1", seed="new", platforms=["linux/amd64", "linux/arm64"]).name)

    before(sim, "PUT", "/manifests/pr-1", push)
    ended = untagged(sim, place)
    assert (ended.status, ended.count("untagged")) == (0, 1), ended.said
    assert [package.tags()["pr-1"].name] == pushed


def test_the_tag_stays_where_it_was_when_it_may_have_moved_to_an_image_with_tags(
    sim: Simulator, package: Package, place: Place
) -> None:
    before(sim, "PUT", "/manifests/pr-1", lambda: package.move_tag("pr-1", package.tags()["v2"]))
    ended = untagged(sim, place)
    assert (ended.count("untagged"), ended.count("skipped")) == (0, 1), ended.said
    assert {tag: version.name for tag, version in package.tags().items()}.keys() == {"pr-1", "v1", "v2"}
    assert len(package.active()) == 2, "the empty manifest is gone"


@pytest.mark.parametrize("tag", [None, "v3"])
def test_what_was_pushed_after_the_tag_went_gets_nothing(
    sim: Simulator, package: Package, place: Place, tag: str | None
) -> None:
    def push() -> None:
        push_image(package, tag, seed="later")

    before(sim, "PUT", "/manifests/pr-1", lambda: before(sim, "GET", "/app/versions", push))
    ended = untagged(sim, place)
    assert (ended.status, ended.count("untagged"), ended.annotations["warning"]) == (0, 1, []), ended.said
    assert sorted(package.tags()) == sorted(filter(None, ["v1", "v2", tag]))
    assert len(package.active()) == 3


def test_an_image_that_loses_another_tag_meanwhile_gets_nothing(sim: Simulator, package: Package, place: Place) -> None:
    sim.configure(losing_a_tag_moves_updated_at=True)
    package.push(*package.manifests[package.tags()["v2"].name], "stable", OLD)
    before(sim, "PUT", "/manifests/pr-1", lambda: package.move_tag("stable", package.tags()["v1"]))
    ended = untagged(sim, place)
    assert (ended.status, ended.count("untagged"), ended.annotations["warning"]) == (0, 1, []), ended.said
    assert sorted(package.tags()) == ["stable", "v1", "v2"]


def test_an_image_that_gets_a_tag_a_second_later_gets_no_other(sim: Simulator, package: Package, place: Place) -> None:
    def push() -> None:
        sim.clock.advance(1)
        package.move_tag("stable", package.tags()["v2"])

    before(sim, "PUT", "/manifests/pr-1", lambda: before(sim, "GET", "/app/versions", push))
    ended = untagged(sim, place)
    assert (ended.status, ended.count("untagged"), ended.annotations["warning"]) == (0, 1, []), ended.said
    assert sorted(package.tags()) == ["stable", "v1", "v2"]
