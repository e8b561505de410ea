"""How many manifests of leftovers are read: the index of each push, but not its children."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from random import Random

import pytest
from msgspec.structs import replace

from package_keeper.model.manifest import Manifest
from package_keeper.model.packages import Version
from package_keeper.model.plan import Action
from package_keeper.policy.rules import Rules
from package_keeper.policy.selection import TagStatus
from tests.unit.making import rule, rules
from tests.unit.model.memory import Hub, evaluated
from tests.unit.model.worlds import NOW, World, child, container, digest, index, plain, torn

UNTAGGED = rules(rule(tag_status=TagStatus.UNTAGGED, older=1))
IMAGES, PARTS = 200, 4
LEFTOVERS = IMAGES // 2
NEEDED = IMAGES
"""One index for each image; the tagged ones are read first."""
MOST = 220


@dataclass(frozen=True, kw_only=True)
class Pushes:
    """How images are pushed, in seconds: one image after another, and in each one manifest after another."""

    apart: float = 60
    within: float = 0
    ids_tell: bool = True
    times_tell: bool = True
    tagged: bool = True

    def world(self, seed: int) -> World:
        """Push images of an index and its parts, every other one with a tag."""
        random = Random(seed)
        names = iter(random.sample(range(10**9), IMAGES * (PARTS + 1)))
        versions: list[Version] = []
        manifests: dict[str, Manifest] = {}
        for image in range(IMAGES):
            parts = [plain(digest(next(names))) for _ in range(PARTS)]
            pushed = [*parts, index(digest(next(names)), *map(child, parts))]
            manifests |= {manifest.digest: manifest for manifest in pushed}
            ids = [image * (PARTS + 1) + place + 1 for place in range(PARTS + 1)]
            moments = [image * self.apart + place * self.within for place in range(PARTS + 1)]
            if not self.ids_tell:
                random.shuffle(ids)
            if not self.times_tell:
                random.shuffle(moments)
            for manifest, number, seconds in zip(pushed, ids, moments, strict=True):
                tags = (f"v{image}",) if manifest.is_index and image % 2 and self.tagged else ()
                moment = NOW - timedelta(days=40) + timedelta(seconds=seconds)
                versions.append(
                    replace(container(number, manifest.digest, *tags), created_at=moment, updated_at=moment)
                )
        random.shuffle(versions)
        return World(versions=tuple(versions), manifests=manifests)


def cleaned(world: World, given: Rules = UNTAGGED) -> Hub:
    """Evaluate, and check that exactly the unneeded untagged versions are deleted."""
    hub = Hub(world)
    gone = {each.version.id for each in evaluated(hub, given).decisions if each.action is Action.DELETE}
    assert torn(world, gone) == []
    needed = {
        entry.digest for version in world.versions if version.tags for entry in world.manifests[version.name].children
    }
    assert gone == {version.id for version in world.versions if not version.tags and version.name not in needed}
    assert max(hub.reads.values()) == 1
    return hub


@pytest.mark.parametrize("within", [0, 1, 3])
def test_only_indexes_are_read_when_each_push_ends_with_its_index(within: float) -> None:
    hub = cleaned(Pushes(within=within).world(1))
    assert (hub.reads.total(), hub.asked.total()) == (NEEDED, 0)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "pushes",
    [
        Pushes(ids_tell=False),
        Pushes(within=1, times_tell=False),
        Pushes(within=1, ids_tell=False, times_tell=False),
        Pushes(apart=0),
        Pushes(apart=0, ids_tell=False),
        Pushes(apart=1, within=3, ids_tell=False),
        Pushes(apart=600, within=60),
        Pushes(apart=600, within=60, ids_tell=False, times_tell=False),
        Pushes(tagged=False),
    ],
)
def test_few_parts_are_read_in_any_order_of_times_and_ids(pushes: Pushes, seed: int) -> None:
    hub = cleaned(pushes.world(seed))
    assert hub.reads.total() <= MOST
    assert hub.asked.total() <= (PARTS + 1) * LEFTOVERS


@pytest.mark.parametrize("apart", [0, 60])
def test_without_parts_no_index_is_asked_for(apart: float) -> None:
    moments = [NOW - timedelta(days=40) + timedelta(seconds=number * apart) for number in range(IMAGES)]
    versions = [
        replace(container(number + 1, digest(number), *([f"v{number}"] if number % 2 else [])), created_at=moment)
        for number, moment in enumerate(moments)
    ]
    world = World(versions=tuple(versions), manifests={version.name: plain(version.name) for version in versions})
    hub = cleaned(world)
    assert (hub.reads.total(), hub.asked.total()) == (IMAGES, 0)


def test_a_push_without_an_index_is_read_completely() -> None:
    world = Pushes().world(1)
    indexes = {name for name, manifest in world.manifests.items() if manifest.is_index}
    left = replace(world, versions=tuple(each for each in world.versions if each.tags or each.name not in indexes))
    hub = cleaned(left)
    assert hub.reads.total() == len(left.versions) - LEFTOVERS * PARTS, "no index says what they are"
