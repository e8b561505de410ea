"""Every shape of image that container registries hold in practice: one whole image each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

import pytest

from package_keeper.github.manifests import manifest
from package_keeper.model.images import Condition, Graph, Image
from package_keeper.model.packages import Version
from package_keeper.model.plan import Action, Decision
from package_keeper.policy.retention import KeepLists
from package_keeper.policy.rules import Rules
from package_keeper.policy.selection import TagStatus
from tests.simulator import Clock, Package
from tests.simulator import Version as Pushed
from tests.simulator.shapes import SHAPES, push_shape
from tests.simulator.store import Store
from tests.unit.making import patterns, rule, rules, version
from tests.unit.model.memory import Hub, evaluated
from tests.unit.model.worlds import APP, World, torn

OLD = "2026-01-01T00:00:00Z"
EVERY_SHAPE = pytest.mark.parametrize("shape", SHAPES)
PULL_REQUESTS = rules(rule(tags=patterns("pr-*")))


@pytest.fixture
def package() -> Package:
    store = Store(Clock())
    store.add_owner("acme")
    return store.add_package("acme", "container", "app")


def version_of(pushed: Pushed) -> Version:
    created = datetime.fromisoformat(pushed.created_at)
    tags = tuple(pushed.tags)
    return version(pushed.id, of=APP, name=pushed.name, tags=tags, created_at=created, updated_at=created)


def world_of(package: Package) -> World:
    """What the registry has, read by the program's own eyes."""
    bodies = {pushed.name: package.manifests[pushed.name][0] for pushed in package.active()}
    manifests = {digest: manifest(digest, body) for digest, body in bodies.items()}
    return World(versions=tuple(map(version_of, package.active())), manifests=manifests)


def images_of(package: Package) -> dict[int, Image]:
    world = world_of(package)
    return {image.root.id: image for image in Graph(world.versions, world.manifests).images()}


def ids(versions: Iterable[Pushed]) -> set[int]:
    return {version.id for version in versions}


def decided(package: Package, given: Rules) -> tuple[Decision, ...]:
    return evaluated(Hub(world_of(package)), given).decisions


def gone(decisions: Iterable[Decision]) -> set[int]:
    return {each.version.id for each in decisions if each.action is Action.DELETE}


@EVERY_SHAPE
@pytest.mark.parametrize("tags", [(), ("v1",), ("v1", "latest")])
def test_a_shape_is_one_image_that_is_whole(package: Package, shape: str, tags: tuple[str, ...]) -> None:
    made = push_shape(package, shape, *tags)
    found = images_of(package)
    assert found.keys() == {made.root.id}
    image = found[made.root.id]
    assert {part.id for part in image.parts} == ids(made.parts)
    assert (image.missing, image.lost_subjects, image.condition) == ((), (), Condition.WHOLE)


def test_all_shapes_together_are_as_many_images(package: Package) -> None:
    made = [push_shape(package, shape, shape) for shape in SHAPES]
    found = images_of(package)
    assert found.keys() == ids(each.root for each in made)
    for each in made:
        assert {part.id for part in found[each.root.id].parts} == ids(each.parts)
        assert found[each.root.id].condition is Condition.WHOLE


@EVERY_SHAPE
def test_no_shape_is_partial_a_ghost_or_an_orphan(package: Package, shape: str) -> None:
    push_shape(package, shape, "v1", created_at=OLD)
    push_shape(package, shape, seed="untagged", created_at=OLD)
    broken = frozenset(Condition) - {Condition.WHOLE}
    assert gone(decided(package, rules(rule(conditions=broken)))) == set()


@EVERY_SHAPE
@pytest.mark.parametrize("other", ["single", "multi-platform", "cache-index"])
def test_a_shape_goes_as_a_whole_and_nothing_else_does(package: Package, shape: str, other: str) -> None:
    made = push_shape(package, shape, "pr-1", created_at=OLD)
    push_shape(package, shape, "v1", seed="kept", created_at=OLD)
    push_shape(package, other, "v2", seed="other", created_at=OLD)
    taken = gone(decided(package, PULL_REQUESTS))
    assert taken == ids(made.versions)
    assert torn(world_of(package), taken) == []


@EVERY_SHAPE
def test_the_digest_of_any_part_keeps_a_shape(package: Package, shape: str) -> None:
    made = push_shape(package, shape, "pr-1", created_at=OLD)
    for pushed in made.versions:
        lists = KeepLists(digests=frozenset({pushed.name}))
        assert gone(decided(package, rules(*PULL_REQUESTS.rules, lists=lists))) == set(), pushed


@EVERY_SHAPE
def test_an_untagged_shape_is_one_leftover(package: Package, shape: str) -> None:
    made = push_shape(package, shape, created_at=OLD)
    push_shape(package, shape, "v1", seed="kept", created_at=OLD)
    found = decided(package, rules(rule(tag_status=TagStatus.UNTAGGED, older=1)))
    assert gone(found) == ids(made.versions)
    roots = [each.version.id for each in found if each.action is Action.DELETE and each.root is None]
    assert roots == [made.root.id]


def lose_the_first(several: list[Pushed]) -> list[Pushed]:
    return several[:1]


def lose_all(several: list[Pushed]) -> list[Pushed]:
    return several


@pytest.mark.parametrize("lost", [lose_the_first, lose_all])
@pytest.mark.parametrize("shape", ["multi-platform", "multi-platform-docker", "homebrew-bottle", "bootc", "oras-index"])
def test_parts_that_a_shape_lacks_are_missing(
    package: Package, shape: str, lost: Callable[[list[Pushed]], list[Pushed]]
) -> None:
    made = push_shape(package, shape, "v1")
    removed = lost(made.parts)
    for pushed in removed:
        package.remove(pushed)
    image = images_of(package)[made.root.id]
    assert set(image.missing) == {pushed.name for pushed in removed}
    assert image.condition is (Condition.GHOST if lost is lose_all else Condition.PARTIAL)


def test_an_index_with_entries_of_unknown_types_is_no_ghost(package: Package) -> None:
    made = push_shape(package, "unknown-entries", "v1")
    package.remove(made.parts[0])
    assert images_of(package)[made.root.id].condition is Condition.WHOLE, "nobody knows whether it was a part"
    for pushed in made.parts[1:]:
        package.remove(pushed)
    image = images_of(package)[made.root.id]
    assert (len(image.missing), image.condition) == (2, Condition.PARTIAL)
