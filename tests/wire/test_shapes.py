"""Every operation of the real program over every shape that people keep in a container registry.

Each shape has a package of its own, with an image that goes and one that stays; one run works on all of them, in time
that passes only where it waits for limits.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.scenarios.program import Ended, Place
from tests.simulator import Package, Simulator
from tests.simulator.shapes import SHAPES, Made, push_shape
from tests.wire.timed import run

ALL = {"package": "*"}
OLD, NEWER = "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"

State = dict[str, dict[str, list[str]]]


@dataclass(frozen=True)
class Pair:
    """Two images of one shape."""

    going: Made
    staying: Made


def pair(package: Package, shape: str, ending: str = "1") -> Pair:
    return Pair(
        going=push_shape(package, shape, f"pr-{ending}", seed="going", created_at=OLD),
        staying=push_shape(package, shape, f"v{ending}", f"old-{ending}", seed="staying", created_at=NEWER),
    )


@pytest.fixture(autouse=True)
def without_limits(sim: Simulator) -> None:
    """The program keeps its limits in its own time; here it would meet them in ours."""
    sim.limits.configure(enabled=False)


@pytest.fixture
def pairs(sim: Simulator) -> dict[str, Pair]:
    """A package for each shape."""
    return {shape: pair(sim.add_package("acme", "container", shape), shape) for shape in SHAPES}


def state(pairs: dict[str, Pair]) -> State:
    """What is there, by package and digest, with its tags."""
    return {name: there(each.going.package) for name, each in pairs.items()}


def there(package: Package) -> dict[str, list[str]]:
    return {version.name: sorted(version.tags) for version in package.active()}


def without(before: State, gone: dict[str, list[str]]) -> State:
    return {name: {d: tags for d, tags in each.items() if d not in gone[name]} for name, each in before.items()}


def names(made: Made) -> list[str]:
    return [version.name for version in made.versions]


def succeeded(ended: Ended, result: str = "done") -> Ended:
    assert (ended.status, ended.outputs["result"]) == (0, result), ended.said
    assert ended.count("broken") == 0
    assert ended.annotations["error"] == []
    return ended


def look(sim: Simulator, place: Place, images: int) -> None:
    """Nothing is broken, and nothing could be mended."""
    assert succeeded(run(sim, place, **ALL, operation="verify", dry_run="")).count("selected") == images
    succeeded(run(sim, place, **ALL, operation="repair"), "nothing-to-do")


def test_every_shape_is_whole(sim: Simulator, place: Place, pairs: dict[str, Pair]) -> None:
    before = state(pairs)
    look(sim, place, 2 * len(SHAPES))
    succeeded(run(sim, place, **ALL, condition="partial,ghost,orphan"), "nothing-to-do")
    asked = {
        f"/{version.name}"
        for each in pairs.values()
        for made in (each.going, each.staying)
        for version in made.versions
    }
    for request in sim.requests:
        reference = request.path.partition("/manifests")[2]
        assert not reference.startswith("/sha256:") or reference in asked, "a blob is no manifest"
    assert state(pairs) == before


def test_every_shape_goes_as_a_whole_and_undo_brings_it_back(
    sim: Simulator, place: Place, pairs: dict[str, Pair]
) -> None:
    before = state(pairs)
    ended = succeeded(run(sim, place, **ALL, tags="pr-*"))
    assert state(pairs) == without(before, {name: names(each.going) for name, each in pairs.items()})
    look(sim, place, len(SHAPES))
    succeeded(run(sim, place, **ALL, tag_status="untagged", older_than="1d"), "nothing-to-do")
    succeeded(run(sim, place, operation="restore", package="", undo=ended.outputs["receipt"]))
    assert state(pairs) == before


def test_every_shape_is_restored_but_for_what_only_a_subject_tells(
    sim: Simulator, place: Place, pairs: dict[str, Pair]
) -> None:
    before = state(pairs)
    succeeded(run(sim, place, **ALL, tags="pr-*"))
    succeeded(run(sim, place, **ALL, operation="restore", tags="pr-*"))
    unfound = {name: [version.name for version in each.going.by_subject] for name, each in pairs.items()}
    assert state(pairs) == without(before, unfound)
    look(sim, place, 2 * len(SHAPES))


def test_a_tag_is_taken_away_from_every_shape_and_given_back(
    sim: Simulator, place: Place, pairs: dict[str, Pair]
) -> None:
    before = state(pairs)
    ended = succeeded(run(sim, place, **ALL, tags="old-*", partial_match="untag"))
    assert ended.count("untagged") == len(SHAPES)
    left = {
        name: {digest: [tag for tag in tags if tag != "old-1"] for digest, tags in each.items()}
        for name, each in before.items()
    }
    assert state(pairs) == left
    succeeded(run(sim, place, **ALL, operation="restore", tags="old-*"), "nothing-to-do")
    assert state(pairs) == left
    succeeded(run(sim, place, operation="restore", package="", undo=ended.outputs["receipt"]))
    assert state(pairs) == before


def test_every_shape_is_kept_by_what_names_a_part_of_it(sim: Simulator, place: Place, pairs: dict[str, Pair]) -> None:
    before = state(pairs)
    last = ",".join(each.going.versions[0].name for each in pairs.values())
    for keeping in ({"keep_digests": last}, {"keep_versions": last}, {"keep_tags": "pr-1"}, {"keep_latest": "1"}):
        ended = run(sim, place, **ALL, tags="pr-*", **keeping)
        succeeded(ended, "nothing-to-do")
        assert ended.annotations["warning"] == []
    assert state(pairs) == before


def test_of_two_of_a_shape_the_newest_stays(sim: Simulator, place: Place, pairs: dict[str, Pair]) -> None:
    before = state(pairs)
    succeeded(run(sim, place, **ALL, tags="*", keep_latest="1"))
    assert state(pairs) == without(before, {name: names(each.going) for name, each in pairs.items()})


def test_raw_deletions_name_the_images_that_they_tear(sim: Simulator, place: Place, pairs: dict[str, Pair]) -> None:
    listed = {
        name: [version for version in each.going.parts if version not in each.going.by_subject]
        for name, each in pairs.items()
    }
    ids = ",".join(str(version.id) for parts in listed.values() for version in parts)
    ended = run(sim, place, **ALL, version_ids=ids, images="raw", dry_run="")
    warned = {text.partition(": images: raw takes")[0] for text in ended.annotations["warning"] if "takes" in text}
    assert warned == {f"container/{name}" for name, parts in listed.items() if parts}


def test_all_shapes_in_one_package_go_each_by_itself(sim: Simulator, place: Place) -> None:
    package = sim.add_package("acme", "container", "app")
    pairs = [pair(package, shape, shape) for shape in SHAPES]
    before = there(package)
    ended = succeeded(run(sim, place, tags="pr-*"))
    gone = {name for each in pairs for name in names(each.going)}
    assert there(package) == {digest: tags for digest, tags in before.items() if digest not in gone}
    look(sim, place, len(SHAPES))
    succeeded(run(sim, place, operation="restore", package="", undo=ended.outputs["receipt"]))
    assert there(package) == before
