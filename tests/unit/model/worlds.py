"""Random packages of images, and a naive oracle that says which digest needs which.

A `World` is what really lies in a registry: versions, and a manifest behind every digest. It is drawn from a seed, so
that hundreds of versions cost nothing to draw. The oracle shares no line with `package_keeper.model.images`: it
asks every digest about every other, slowly and plainly.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from random import Random

from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace

from package_keeper.model.manifest import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_INDEX,
    OCI_MANIFEST,
    Descriptor,
    Manifest,
)
from package_keeper.model.packages import PackageName, PackageType, Version

NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)
APP = PackageName(type=PackageType.CONTAINER, name="app")
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
NOBODY_KNOWS = "application/vnd.example.unheard-of.v9+json"
COSIGN = (".sig", ".att", ".sbom")
ENDS = ("", "-rc.1")
"""What semantic versions among the tags end with."""


def digest(number: int) -> str:
    """The digest of the test's own numbering."""
    return f"sha256:{number:064x}"


def referrer_tag(subject: str, suffix: str = "") -> str:
    """The tag by which referrers of a digest are found."""
    return subject.replace(":", "-") + suffix


def container(number: int, name: str, *tags: str, days: float = 40, updated: float | None = None) -> Version:
    """A version of a container package, that many days old."""
    created = NOW - timedelta(days=days)
    return Version(
        id=number,
        package=APP,
        name=name,
        tags=tags,
        created_at=created,
        updated_at=created if updated is None else NOW - timedelta(days=updated),
        deleted_at=None,
        description=None,
        license=None,
        url=None,
        html_url=None,
        package_html_url=None,
        metadata=None,
    )


def plain(name: str, *, subject: str | None = None, docker: bool = False) -> Manifest:
    """A manifest without children."""
    return Manifest(digest=name, media_type=DOCKER_MANIFEST if docker else OCI_MANIFEST, subject=subject)


def child(of: Manifest, *, platform: bool = True, artifact_type: str | None = None) -> Descriptor:
    """How an index describes a manifest."""
    has_platform = platform and not of.is_index
    return Descriptor(
        digest=of.digest, media_type=of.media_type, artifact_type=artifact_type, has_platform=has_platform
    )


def index(name: str, *children: Descriptor, subject: str | None = None, docker: bool = False) -> Manifest:
    """An index of children."""
    kind = DOCKER_LIST if docker else OCI_INDEX
    return Manifest(digest=name, media_type=kind, children=children, subject=subject)


class World(Struct, frozen=True, kw_only=True):
    """What lies in a registry: the active versions, and the manifest behind every digest, missing ones included."""

    versions: tuple[Version, ...]
    manifests: Mapping[str, Manifest]

    @property
    def digests(self) -> frozenset[str]:
        """The digests of the active versions."""
        return frozenset(version.name for version in self.versions)

    def known(self) -> dict[str, Manifest]:
        """The manifests that a registry serves: those of active versions."""
        return {name: self.manifests[name] for name in sorted(self.digests)}

    def without(self, gone: Iterable[int]) -> World:
        """The same after some versions went."""
        ids = set(gone)
        return replace(self, versions=tuple(version for version in self.versions if version.id not in ids))

    def shuffled(self, seed: int) -> World:
        """The same in another order of the list."""
        versions = list(self.versions)
        Random(seed).shuffle(versions)
        return replace(self, versions=tuple(versions))

    def by_id(self) -> dict[int, Version]:
        """The versions by id."""
        return {version.id: version for version in self.versions}


class Habits(Struct, frozen=True, kw_only=True):
    """What occurs in a world, each with its probability."""

    missing: float = 0.08
    twins: float = 0.05
    cycles: float = 0.0
    odd_ages: float = 0.2
    """Children that are younger than what points to them, and ages that are unknown."""
    blind: float = 0.15
    """Descriptors of children that show neither platform nor artifact type."""
    unknown: float = 0.05
    """Entries whose media type nobody knows, or that have none; as many name nothing at all."""


def naive_needs(world: World) -> dict[str, set[str]]:
    """For every active digest the active digests that it needs directly, itself left out."""
    active = world.digests
    tags: dict[str, set[str]] = {name: set() for name in active}
    for version in world.versions:
        tags[version.name].update(version.tags)
    subjects = {name: _subjects(name, tags, world) for name in active}
    needs: dict[str, set[str]] = {}
    for name in active:
        children = {each.digest for each in world.manifests[name].children} & active
        referrers = {other for other in active if name in subjects[other]}
        needs[name] = (children | referrers) - {name}
    return needs


def _subjects(name: str, tags: Mapping[str, set[str]], world: World) -> set[str]:
    """What a digest refers to: by tags, by `subject`, or as a fallback index that was replaced."""
    found = {
        "sha256:" + tag[7:71]
        for tag in tags[name]
        if tag.startswith("sha256-") and len(tag) >= 71 and tag[71:] in ("", *COSIGN)
    }
    manifest = world.manifests[name]
    if manifest.subject:
        found.add(manifest.subject)
    elif manifest.is_index and not tags[name]:
        children = [each.digest for each in manifest.children if each.digest in tags]
        common = {world.manifests[each].subject for each in children}
        if len(common) == 1 and None not in common:
            found |= {each for each in common if each}
    return found


def reached(needs: Mapping[str, set[str]], start: str) -> set[str]:
    """`start` and everything that it needs at any depth."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(needs[name])
    return found


def all_reached(needs: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """For every digest everything that it needs at any depth, itself included."""
    return {name: reached(needs, name) for name in needs}


def torn(world: World, gone: set[int], needs: Mapping[str, set[str]] | None = None) -> list[tuple[str, str]]:
    """What is torn after `gone` went: pairs of a digest that is still there and one that it needed and that is not."""
    before = naive_needs(world) if needs is None else needs
    left = {version.name for version in world.versions if version.id not in gone}
    closure = {name: reached(before, name) for name in left}
    return sorted((name, lost) for name in left for lost in closure[name] - left)


class Builder:
    """Draws one world out of a random generator."""

    def __init__(self, random: Random, habits: Habits) -> None:
        self.random = random
        self.habits = habits
        self.manifests: dict[str, Manifest] = {}
        self.tags: dict[str, list[str]] = {}
        self.age: dict[str, float] = {}
        self.artifacts: dict[str, str | None] = {}
        self.order: list[str] = []
        self._free_tags = [f"{kind}-{number}" for kind in ("pr", "v", "nightly", "rc") for number in range(400)]
        self._free_tags += [
            f"{number % 4}.{number // 4 % 10}.{number // 40}{end}" for number in range(200) for end in ENDS
        ]
        random.shuffle(self._free_tags)

    def build(self, size: int) -> World:
        """Push images until there are about `size` versions."""
        pushes = (
            (6, self.push_plain),
            (6, self.push_index),
            (2, self.push_nested),
            (2, self.push_over_tagged),
            (2, self.push_referrer),
            (2, self.push_fallback),
            (2, self.push_cosign),
            (1, self.push_untagged_index),
        )
        makers = [make for weight, make in pushes for _ in range(weight)]
        while len(self.order) < size:
            self.random.choice(makers)()
        if self.chance(self.habits.cycles):
            self.close_cycles()
        return self.world()

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def new(self, make: Manifest, artifact: str | None = None) -> Manifest:
        self.manifests[make.digest] = make
        self.tags[make.digest] = []
        self.artifacts[make.digest] = artifact
        self.order.append(make.digest)
        return make

    def name(self) -> str:
        # digests say nothing about order
        return digest((len(self.order) + 1) * 7_919_777_777 % (2**61 - 1))

    def tag(self, name: str, most: int = 3) -> None:
        for _ in range(self.random.randint(1, most)):
            if self._free_tags:
                self.tags[name].append(self._free_tags.pop())

    def maybe_tag(self, name: str, probability: float = 0.6) -> None:
        if self.chance(probability):
            self.tag(name)

    def push_plain(self) -> Manifest:
        made = self.new(plain(self.name(), docker=self.chance(0.2)))
        self.maybe_tag(made.digest, 0.5)
        return made

    def children(self, most: int = 4) -> list[Descriptor]:
        """Some new platform manifests, some that other indexes hold already, some attestations."""
        found = [self.describe(self.new(plain(self.name()))) for _ in range(self.random.randint(1, most))]
        if self.chance(0.3):
            shared = [name for name in self.order if not self.manifests[name].is_index and self.is_part(name)]
            found += [self.describe(self.manifests[name]) for name in self.some(shared, 2)]
        return found + self.strange()

    def is_part(self, name: str) -> bool:
        return self.manifests[name].subject is None and self.artifacts[name] is None

    def some(self, names: Sequence[str], most: int) -> list[str]:
        return self.random.sample(list(names), min(len(names), self.random.randint(1, most))) if names else []

    def describe(self, made: Manifest) -> Descriptor:
        found = child(made, platform=not self.chance(self.habits.blind))
        if self.chance(self.habits.unknown):
            return replace(found, media_type=self.random.choice(["", NOBODY_KNOWS]))
        return found

    def strange(self) -> list[Descriptor]:
        """Entries of which nobody knows what they are, and that name no version."""
        if not self.chance(self.habits.unknown):
            return []
        return [Descriptor(digest=digest(self.random.getrandbits(60)), media_type=NOBODY_KNOWS)]

    def push_index(self) -> Manifest:
        children = self.children()
        made = self.new(index(self.name(), *children, docker=self.chance(0.2)))
        self.maybe_tag(made.digest, 0.75)
        return made

    def push_nested(self) -> Manifest:
        inner = [self.push_untagged_index(2) for _ in range(self.random.randint(1, 2))]
        old = self.some([name for name in self.order if self.manifests[name].is_index and not self.refers(name)], 1)
        below = [self.describe(each) for each in inner] + [self.describe(self.manifests[name]) for name in old]
        if self.chance(0.5):
            below += self.children(2)
        made = self.new(index(self.name(), *{each.digest: each for each in below}.values()))
        self.maybe_tag(made.digest)
        return made

    def push_over_tagged(self) -> Manifest:
        """An index over images that have tags of their own, as `docker manifest create` makes it."""
        tagged = [name for name in self.order if self.tags[name] and not self.refers(name)]
        below = [self.describe(self.manifests[name]) for name in self.some(tagged, 3)] or self.children(1)
        made = self.new(index(self.name(), *below))
        self.maybe_tag(made.digest, 0.8)
        return made

    def push_untagged_index(self, most: int = 4) -> Manifest:
        children = self.children(most)
        return self.new(index(self.name(), *children))

    def refers(self, name: str) -> bool:
        return self.manifests[name].subject is not None or any(tag.startswith("sha256-") for tag in self.tags[name])

    def subject(self) -> str:
        return self.random.choice(self.order) if self.order and self.chance(0.9) else digest(self.random.randint(1, 99))

    def push_referrer(self) -> Manifest:
        """Known by its `subject` alone; some carry tags, some refer to a referrer."""
        made = self.new(plain(self.name(), subject=self.subject()), BUNDLE)
        self.maybe_tag(made.digest, 0.1)
        return made

    def push_fallback(self) -> Manifest:
        """Referrers with their fallback index, and the indexes that it replaced, without a tag."""
        subject = self.subject()
        listed: list[Descriptor] = []
        made: Manifest | None = None
        for _ in range(self.random.randint(1, 3)):
            referrer = self.new(plain(self.name(), subject=subject), BUNDLE)
            artifact = BUNDLE if self.chance(0.7) else None
            listed.append(child(referrer, platform=False, artifact_type=artifact))
            made = self.new(index(self.name(), *listed))
        if made is None:
            raise AssertionError("no referrer")
        tag = referrer_tag(subject)
        if not any(tag in tags for tags in self.tags.values()):
            self.tags[made.digest].append(tag)
        return made

    def push_cosign(self) -> Manifest:
        subject = self.subject()
        made = self.new(plain(self.name()))
        tag = referrer_tag(subject, self.random.choice(COSIGN))
        if not any(tag in tags for tags in self.tags.values()):
            self.tags[made.digest].append(tag)
        return made

    def close_cycles(self) -> None:
        """Let indexes hold what holds them: no digest can do that, but nothing may fall over it."""
        indexes = [name for name in self.order if self.manifests[name].is_index]
        for name in self.some(indexes, 3):
            back = self.manifests[self.random.choice(indexes)]
            made = self.manifests[name]
            self.manifests[name] = replace(made, children=(*made.children, child(back)))

    def world(self) -> World:
        numbers = list(range(1, 2 * len(self.order) + 2))
        self.random.shuffle(numbers)
        versions: list[Version] = []
        for place, name in enumerate(self.order):
            if self.chance(self.habits.missing):
                continue
            days = self.days(place)
            made = container(numbers.pop(), name, *self.tags[name], days=days, updated=max(0.0, days - self.later()))
            if self.chance(self.habits.odd_ages / 4):
                made = replace(made, updated_at=None)
            versions.append(made)
            if self.chance(self.habits.twins):
                versions.append(container(numbers.pop(), name, days=self.days(place)))
        self.random.shuffle(versions)
        return World(versions=tuple(versions), manifests=self.manifests)

    def days(self, place: int) -> float:
        """Older ones were pushed first, most of the time."""
        if self.chance(self.habits.odd_ages):
            return self.random.uniform(0, 60)
        return 60.0 * (1 - place / len(self.order))

    def later(self) -> float:
        return self.random.choice([0.0, 0.0, 0.0, 1.0, 20.0])


def draw_world(seed: int, size: int, habits: Habits | None = None) -> World:
    """The world of a seed."""
    return Builder(Random(seed), habits or Habits()).build(size)


SEEDS = st.integers(0, 2**32)
SIZES = st.integers(0, 60) | st.integers(0, 8) | st.integers(0, 400)
"""Small ones are found again by shrinking; several hundred versions are where parts are shared at length."""
WORLDS = st.builds(draw_world, SEEDS, SIZES)
CYCLIC_WORLDS = st.builds(draw_world, SEEDS, SIZES, st.just(Habits(cycles=1.0)))
