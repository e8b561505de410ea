"""How much deletions give back: never more than the registry shrinks, and exactly that when everything was read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from package_keeper.errors import ApiError, ApiErrorKind
from package_keeper.model.images import Graph, Image
from package_keeper.model.packages import PackageType, Version
from package_keeper.model.plan import Action, Decision, Outcome, Plan, PlannedWrite, Reason, WriteRecord
from package_keeper.model.run import PackageEvaluation
from package_keeper.policy.sizes import freed_sizes, image_sizes, planned_sizes, total
from tests.simulator import Clock, Package
from tests.simulator.images import CONFIG, INDEX, LAYER, MANIFEST, blob, descriptor, encoded, push_referrer
from tests.simulator.images import index as index_of
from tests.simulator.shapes import CACHE_CONFIG, SHAPES, push_shape
from tests.simulator.store import Store
from tests.unit.making import key, version
from tests.unit.model.cases import draw_rules
from tests.unit.model.memory import Hub, evaluated, executed, planned
from tests.unit.model.test_shapes import world_of
from tests.unit.model.worlds import APP, NOW, SEEDS, World

SIZES = st.integers(1, 25)
VAGUE = {"entries-without-media-type", "unknown-entries"}
"""Indexes that name a part without saying that it is a manifest. While one stays, it counts as using that part."""


@dataclass
class Pushes:
    """Pushes random images that share layers, configurations and parts."""

    random: Random
    package: Package
    without: frozenset[str] = frozenset()

    def push(self, count: int) -> Package:
        makers = [self.plain, self.plain, self.plain, self.index, self.cache, self.shape, self.referrer, self.twin]
        while len(self.package.active()) < count:
            self.random.choice(makers)()
        for number, each in enumerate(self.package.active()):
            pushed = NOW - timedelta(days=self.random.randint(0, 60))
            each.update(created_at=pushed, updated_at=pushed)
            if self.random.random() < 0.6:
                tag = f"{self.random.choice(['pr', 'v'])}-{number}"
                self.package.push(*self.package.manifests[each.name], tag)
        return self.package

    def blobs(self, media_type: str, most: int = 4) -> list[dict[str, Any]]:
        """Some of a few blobs, and sometimes one that stays with its publisher."""
        numbers = self.random.sample(range(8), self.random.randint(0, most))
        found = [blob(self.package, bytes([number]) * (100 + 700 * number), media_type) for number in numbers]
        if self.random.random() < 0.1:
            foreign = {"mediaType": LAYER, "digest": f"sha256:{'f' * 64}", "size": 10**9, "urls": ["https://x.example"]}
            found.append(foreign)
        return found

    def manifest(self) -> bytes:
        config = blob(self.package, str(self.random.randint(0, 5)).encode(), CONFIG)
        return encoded({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": self.blobs(LAYER)})

    def plain(self) -> None:
        self.package.push(self.manifest(), MANIFEST)

    def index(self) -> None:
        children = [self.manifest() for _ in range(self.random.randint(1, 3))]
        for each in children:
            self.package.push(each, MANIFEST)
        about = {"platform": {"os": "linux", "architecture": "amd64"}} if self.random.random() < 0.6 else {}
        self.package.push(index_of(*(descriptor(each, **about) for each in children)), INDEX)

    def cache(self) -> None:
        self.package.push(index_of(*self.blobs(LAYER), blob(self.package, b"cache", CACHE_CONFIG)), INDEX)

    def shape(self) -> None:
        shape = self.random.choice([each for each in SHAPES if each not in self.without])
        push_shape(self.package, shape, seed=str(self.random.randint(0, 3)))

    def referrer(self) -> None:
        if active := self.package.active():
            push_referrer(self.package, self.random.choice(active), self.random.choice(["subject", "fallback", "sig"]))

    def twin(self) -> None:
        if active := self.package.active():
            self.package.add_twin(self.random.choice(active))


def package_of(seed: int, count: int, without: Iterable[str] = ()) -> Package:
    store = Store(Clock())
    store.add_owner("acme")
    return Pushes(Random(seed), store.add_package("acme", "container", "app"), frozenset(without)).push(count)


def shrunk(package: Package, gone: Iterable[int]) -> int:
    """The bytes that the registry need no longer keep once these versions are deleted."""
    before = package.stored()
    for number in gone:
        package.remove(package.versions[number])
    after = package.stored()
    return sum(size for digest, size in before.items() if digest not in after)


def everything(world: World, read: Iterable[str] | None = None) -> PackageEvaluation:
    """The package as a run sees it that read all manifests, or these."""
    names = world.manifests if read is None else set(read)
    manifests = {name: manifest for name, manifest in world.manifests.items() if name in names}
    graph = Graph(world.versions, manifests)
    decisions = tuple(Decision(version=each, action=Action.KEEP, reason=Reason.SELECTED) for each in world.versions)
    return PackageEvaluation(package=APP, images=tuple(graph.images()), decisions=decisions, graph=graph)


def deleted(version: Version, outcome: Outcome = Outcome.DONE) -> WriteRecord:
    return WriteRecord(write=PlannedWrite.of(version, Action.DELETE, Reason.SELECTED), outcome=outcome)


def some_deleted(random: Random, versions: Iterable[Version]) -> list[WriteRecord]:
    """Deletions of some versions, not all of which GitHub confirmed."""
    outcomes = [Outcome.DONE] * 4 + [Outcome.ALREADY_GONE, Outcome.LAST_VERSION, Outcome.FAILED, Outcome.OVER_LIMIT]
    share = random.choice([0.2, 0.5, 0.9, 1.0])
    return [deleted(each, random.choice(outcomes)) for each in versions if random.random() < share]


def done(records: Iterable[WriteRecord]) -> list[int]:
    return [each.write.version_id for each in records if each.is_done and each.write.version_id is not None]


@given(SEEDS, SIZES)
def test_the_figure_is_exact_when_every_manifest_was_read(seed: int, count: int) -> None:
    package = package_of(seed, count, VAGUE)
    world = world_of(package)
    records = some_deleted(Random(seed), world.versions)
    assert total(freed_sizes([everything(world)], records)) == shrunk(package, done(records))


@given(SEEDS, SIZES)
def test_the_figure_is_never_too_high_when_some_manifests_were_not_read(seed: int, count: int) -> None:
    package = package_of(seed, count)
    world = world_of(package)
    random = Random(seed)
    read = [name for name in world.manifests if random.random() < 0.8]
    records = some_deleted(random, world.versions)
    assert (total(freed_sizes([everything(world, read)], records)) or 0) <= shrunk(package, done(records))


@given(SEEDS, SIZES)
def test_a_clean_up_never_claims_more_than_the_registry_shrinks(seed: int, count: int) -> None:
    package = package_of(seed, count)
    world = world_of(package)
    refusal = ApiError(ApiErrorKind.OTHER, "no", status=400)
    hub = Hub(world, refuse=lambda number: refusal if Random(seed + number).random() < 0.2 else None)
    rules = draw_rules(seed, world)
    found = evaluated(hub, rules)
    plan = planned(found, rules)
    records = executed(hub, plan, limit=Random(seed).choice([0, 0, 3])).records
    assert hub.deleted.keys() == set(done(records))
    freed = total(freed_sizes([found], records))
    assert (freed or 0) <= shrunk(package, hub.deleted)
    if all(each.is_done for each in records) and len(records) == len(plan.writes):
        assert total(planned_sizes([found], plan)) == freed


@given(SEEDS, SIZES)
def test_an_image_is_as_large_as_everything_that_it_consists_of(seed: int, count: int) -> None:
    package = package_of(seed, count)
    found = everything(world_of(package))
    sizes = image_sizes([found])
    kept = package_of(seed, count)
    for image in found.images:
        for each in kept.active():
            kept.remove(each)
        for name in {image.root.name, *(part.name for part in image.parts)}:
            kept.push(*kept.manifests[name])
        size = sizes[image.root.id]
        assert size is None or size == sum(kept.stored().values())


def two_images() -> World:
    store = Store(Clock())
    store.add_owner("acme")
    package = store.add_package("acme", "container", "app")
    push_shape(package, "single", "v1")
    push_shape(package, "single", "v2", seed="other")
    return world_of(package)


def test_nothing_deleted_is_nothing_freed() -> None:
    world = two_images()
    assert total(freed_sizes([everything(world)], [])) == 0
    assert total(freed_sizes([everything(world, [])], [deleted(world.versions[0], Outcome.ALREADY_GONE)])) == 0


def test_what_stays_and_was_not_read_leaves_the_figure_unknown() -> None:
    going, _ = two_images().versions
    assert total(freed_sizes([everything(two_images(), [going.name])], [deleted(going)])) is None


def test_what_goes_and_was_not_read_leaves_the_figure_unknown() -> None:
    going, staying = two_images().versions
    assert total(freed_sizes([everything(two_images(), [staying.name])], [deleted(going)])) is None


def test_what_goes_and_was_read_in_part_gives_back_at_least_that() -> None:
    one, other = two_images().versions
    both = [deleted(one), deleted(other)]
    some = total(freed_sizes([everything(two_images(), [one.name])], both))
    assert some
    assert some < (total(freed_sizes([everything(two_images())], both)) or 0)


def test_packages_of_unknown_size_add_nothing() -> None:
    world = two_images()
    npm = version(99)
    decisions = (Decision(version=npm, action=Action.DELETE, reason=Reason.SELECTED),)
    other = PackageEvaluation(package=key("npm"), images=(), decisions=decisions)
    assert npm.package.type is not PackageType.CONTAINER
    alone = total(freed_sizes([everything(world)], [deleted(world.versions[0])]))
    assert alone is not None
    assert total(freed_sizes([everything(world), other], [deleted(world.versions[0]), deleted(npm)])) == alone
    assert total(freed_sizes([everything(world), other], [deleted(npm)])) is None


def test_a_version_frees_nothing_while_another_one_has_its_digest() -> None:
    one, _ = two_images().versions
    both = World(versions=(one, replace(one, id=99)), manifests=two_images().manifests)
    assert total(freed_sizes([everything(both)], [deleted(one)])) == 0


def test_a_tag_that_is_removed_frees_nothing() -> None:
    world = two_images()
    going, tagged = world.versions
    plan = Plan.of_singles(
        [
            PlannedWrite.of(going, Action.DELETE, Reason.SELECTED),
            PlannedWrite.of(tagged, Action.UNTAG, Reason.SELECTED, tag="v2"),
        ]
    )
    found = [everything(world)]
    records = [WriteRecord(write=write, outcome=Outcome.DONE) for write in plan.writes]
    alone = total(freed_sizes(found, [deleted(going)]))
    assert alone
    assert total(planned_sizes(found, plan)) == alone
    assert total(freed_sizes(found, records)) == alone


def test_packages_without_manifests_have_no_images_of_a_size() -> None:
    npm = version(99)
    decisions = (Decision(version=npm, action=Action.KEEP, reason=Reason.SELECTED),)
    other = PackageEvaluation(package=key("npm"), images=(Image(root=npm),), decisions=decisions)
    world = two_images()
    assert image_sizes([other, everything(world)]).keys() == {each.id for each in world.versions}


def test_what_github_is_known_to_refuse_is_not_planned_to_be_freed() -> None:
    world = two_images()
    writes = [PlannedWrite.of(each, Action.DELETE, Reason.SELECTED) for each in world.versions]
    held = Plan.of_singles([writes[0], replace(writes[1], expected=Outcome.LAST_VERSION)])
    assert total(planned_sizes([everything(world)], held)) == total(
        freed_sizes([everything(world)], [deleted(world.versions[0])])
    )
