"""Real images in a real registry: what stays can be pulled whole, what is deleted is gone, and comes back whole.

skopeo pushes and pulls, Debian's `docker-registry` keeps the manifests, the simulator answers REST before it, and the
program is the image, run as GitHub runs it. Everything that skopeo pulls is held against what was pushed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.container.front import Front
from tests.container.registry_server import Access, RegistryServer, children_of, media_type_of
from tests.container.runner import OWNER, TOKEN, Finished, Runner
from tests.container.skopeo import DOCKER, NotPulled, Skopeo, content, is_beyond_skopeo
from tests.simulator import Package, Version, push_image, push_referrer
from tests.simulator.images import INDEX, MANIFEST, descriptor, image_manifest, index

pytestmark = pytest.mark.container

NAME = f"{OWNER}/app"
PLATFORMS = ("linux/amd64", "linux/arm64", "linux/riscv64")
STUB = b"io.github.package-keeper.untagged"
KINDS = ("single", "multi-arch", "attested", "docker-list", "nested")


@dataclass
class World:
    """The package `app`: in the registry, before REST, and in the hands of the client."""

    front: Front
    server: RegistryServer
    client: Skopeo
    runner: Runner
    source: Package = field(default_factory=content)
    whole: dict[str, set[str]] = field(default_factory=dict)
    """For every digest that was pushed: the manifests that make it up, itself included."""

    @property
    def package(self) -> Package:
        return self.front.package(OWNER, "container", "app")

    def push(self, version: Version, *tags: str, docker: bool = False, days_ago: float = 40) -> str:
        """Push something out of `source`, as if that had been some days ago; tells its digest in the registry."""
        body = self.source.manifests[version.name][0]
        digest = version.name
        if is_beyond_skopeo(body):
            # then it pushes what is inside, and the outer index is put as clients without skopeo do it
            for child in children_of(body):
                self.client.push(NAME, self.source, child)
            for reference in tags or (digest,):
                self.server.put(NAME, reference, body)
        else:
            wanted: tuple[str | None, ...] = tags or (None,)
            for tag in wanted:
                digest = self.client.push(NAME, self.source, version.name, tag, docker=docker)
        self.front.follow_days_ago(days_ago)
        self._note(digest)
        return digest

    def _note(self, digest: str) -> set[str]:
        below = [self._note(child) for child in children_of(self.server.manifest(digest))]
        self.whole[digest] = {digest}.union(*below)
        return self.whole[digest]

    def image(self, kind: str, tag: str, **more: Any) -> str:
        """Build and push an image of one of the `KINDS`."""
        platforms = () if kind == "single" else PLATFORMS
        if kind == "nested":
            inner = [push_image(self.source, None, seed=f"{tag} {name}", platforms=PLATFORMS) for name in ("a", "b")]
            outer = index(*(descriptor(self.source.manifests[one.name][0]) for one in inner), seed=tag)
            version = self.source.push(outer, INDEX)
        else:
            version = push_image(self.source, None, seed=tag, platforms=platforms, attested=kind == "attested")
        return self.push(version, tag, docker=kind == "docker-list", **more)

    def refer(self, digest: str, way: str, *, days_ago: float = 40) -> list[str]:
        """Push what refers to an image; tells the digests, the referrer first."""
        body = self.server.manifest(digest)
        subject = self.source.find(digest) or self.source.push(body)
        made = push_referrer(self.source, subject, way)
        return [self.push(version, *version.tags, days_ago=days_ago) for version in made]

    def digests(self) -> set[str]:
        return set(self.server.digests(NAME))

    def tags(self) -> set[str]:
        return set(self.server.tags(NAME))

    def delete_by_rest(self, digest: str) -> None:
        """Delete one version as a tool that knows nothing of images does."""
        version = self.package.find(digest)
        assert version is not None
        path = f"{self.front.url}/orgs/{OWNER}/packages/container/app/versions/{version.id}"
        answer = self.server.request("DELETE", path, headers={"Authorization": f"Bearer {TOKEN}"})
        assert answer.status_code == 204, answer.text

    def run(self, **inputs: str) -> Finished:
        """Run the program, with the real registry as its registry."""
        return self.runner.run(package_type="container", package="app", registry_url=self.server.url, **inputs)

    def reads(self) -> list[Access]:
        """The manifests that the program has read so far: each counts as a download."""
        return [
            access
            for access in self.server.accesses()
            if access.method == "GET" and "/manifests/" in access.target and not access.agent.startswith("skopeo")
        ]

    def assert_whole(self, *references: str) -> None:
        """Pull images by tag or digest: every manifest that was ever pushed as a part of them must arrive."""
        tags = self.server.tags(NAME)
        with ThreadPoolExecutor(max_workers=8) as pool:
            pulled = list(pool.map(lambda reference: self.client.pull(NAME, reference), references))
        for reference, arrived in zip(references, pulled, strict=True):
            digest = tags.get(reference, reference)
            if media_type_of(self.server.manifest(digest)) in DOCKER:
                # converted on the way, to as many manifests as before
                assert len(arrived) == len(self.whole[digest])
            else:
                assert arrived == self.whole[digest]

    def assert_gone(self, *references: str) -> None:
        for reference in references:
            with pytest.raises(NotPulled, match="manifest unknown"):
                self.client.raw(NAME, reference)


@pytest.fixture
def simulator(server: RegistryServer) -> Iterator[Front]:
    """In place of the simulator of the other tests: `runner` points the program to it."""
    with Front(server) as front:
        front.add_owner(OWNER)
        front.add_token(TOKEN, kind="actions")
        yield front
        assert front.errors == []
        assert front.contract_violations == []
        # the registry's side of the simulator is not asked at all here
        assert not any(request.is_registry for request in front.requests)
        front.assert_agreement()


@pytest.fixture
def world(simulator: Front, server: RegistryServer, client: Skopeo, runner: Runner) -> World:
    return World(simulator, server, client, runner)


def test_a_cleanup_leaves_every_kept_image_whole_and_undo_brings_the_rest_back(world: World) -> None:
    release = world.image("attested", "v1")
    world.refer(release, "sig")
    world.refer(release, "fallback")
    (known_by_subject,) = world.refer(world.image("single", "v2"), "subject")
    for kind in KINDS:
        world.image(kind, f"keep-{kind}")
    kept = world.digests()
    # what goes, each in a way that could hurt what stays: a part shared with v1, the same base, referrers
    shared = json.loads(world.server.manifest(release))["manifests"][:1]
    own = image_manifest(world.source, "pr-shared", "linux/arm64")
    world.source.push(own, MANIFEST)
    going = [
        world.push(world.source.push(index(*shared, descriptor(own)), INDEX), "pr-shared"),
        *(world.image(kind, f"pr-{kind}") for kind in KINDS),
    ]
    signatures = [signature for digest in going for signature in world.refer(digest, "sig")]
    (bare,) = world.refer(going[1], "subject")
    everything, all_tags = world.digests(), world.tags()

    finished = world.run(operation="delete", tags="pr-*", dry_run="false")

    assert finished.status == 0
    assert finished.outputs["broken-count"] == "0"
    assert world.digests() == kept
    assert finished.outputs["deleted-count"] == str(len(everything) - len(kept))
    world.assert_whole(*world.tags(), known_by_subject)
    assert world.tags() == {tag for tag in all_tags if tag in world.tags()} >= {"v1", "v2"}
    world.assert_gone("pr-shared", *(f"pr-{kind}" for kind in KINDS), *going, *signatures, bare)

    undone = world.run(operation="restore", undo=finished.outputs["receipt"], dry_run="false")

    assert undone.status == 0
    assert undone.outputs["restored-count"] == finished.outputs["deleted-count"]
    assert (world.digests(), world.tags()) == (everything, all_tags)
    world.assert_whole(*all_tags, known_by_subject, bare)


def test_untagged_leftovers_go_and_what_only_looks_like_one_stays(world: World) -> None:
    for kind in KINDS:
        world.image(kind, f"keep-{kind}")
    release = world.image("multi-arch", "v1")
    world.refer(release, "fallback")
    (known_by_subject,) = world.refer(release, "subject")
    kept = world.digests()
    # the tag moves on: the older image is left without one, and a part of it is in the new one too
    moved = world.image("multi-arch", "nightly")
    first = json.loads(world.server.manifest(moved))["manifests"][0]
    own = image_manifest(world.source, "nightly 2", "linux/s390x")
    world.source.push(own, MANIFEST)
    nightly = world.push(world.source.push(index(first, descriptor(own)), INDEX), "nightly", days_ago=30)
    kept |= world.whole[nightly]
    fresh = world.image("multi-arch", "fresh", days_ago=0.1)
    world.image("single", "fresh", days_ago=0.1)
    kept |= world.whole[fresh] | world.whole[world.server.tags(NAME)["fresh"]]
    assert kept < world.digests()

    finished = world.run(operation="delete", tag_status="untagged", dry_run="false")

    assert finished.status == 0
    assert world.digests() == kept
    world.assert_whole(*world.tags(), fresh, known_by_subject)
    world.assert_gone(moved)
    undone = world.run(operation="restore", undo=finished.outputs["receipt"], dry_run="false")
    assert undone.status == 0
    world.assert_whole(*world.tags(), moved)


@pytest.mark.parametrize("kind", ["single", "attested", "docker-list", "nested"])
def test_an_image_is_restored_with_its_parts_without_a_receipt(world: World, kind: str) -> None:
    world.image("multi-arch", "v1")
    digest = world.image(kind, "pr-1")
    world.refer(digest, "sig")
    before = world.digests()
    deleted = world.run(operation="delete", tags="pr-*", dry_run="false")
    assert deleted.status == 0
    world.assert_gone("pr-1", *world.whole[digest])

    finished = world.run(operation="restore", tags="pr-*", dry_run="false")

    assert finished.status == 0
    assert world.digests() == before
    world.assert_whole("pr-1", "v1", f"{digest.replace(':', '-')}.sig")


@pytest.mark.parametrize("kind", ["attested", "docker-list", "nested"])
def test_verify_finds_what_another_tool_broke_and_repair_mends_it(world: World, kind: str) -> None:
    digest = world.image(kind, "v1")
    world.image("multi-arch", "v2")
    before = world.digests()
    assert world.run(operation="verify").status == 0
    # of a nested image: a part of one of its inner indexes
    lost = max(leaf for leaf in world.whole[digest] if not children_of(world.server.manifest(leaf)))
    world.delete_by_rest(lost)
    with pytest.raises(NotPulled, match="manifest unknown"):
        world.client.pull(NAME, "v1")

    found = world.run(operation="verify")

    assert found.status == 1
    assert found.outputs["broken-count"] == "1"
    for text in ("v1", lost[: len("sha256:") + 12]):
        assert text in found.log
        assert text in found.summary
    planned = world.run(operation="repair")
    assert planned.outputs["result"] == "planned"
    assert world.digests() == before - {lost}
    mended = world.run(operation="repair", dry_run="false")
    assert mended.status == 0
    assert (mended.outputs["restored-count"], mended.outputs["broken-count"]) == ("1", "0")
    assert world.run(operation="verify").status == 0
    assert world.digests() == before
    world.assert_whole("v1", "v2")


@pytest.mark.parametrize("kind", ["single", "attested", "docker-list", "nested"])
def test_a_single_tag_is_taken_away_and_given_back(world: World, kind: str) -> None:
    digest = world.image(kind, "v1")
    world.server.put(NAME, "pr-1", world.server.manifest(digest))
    world.refer(digest, "sig")
    world.front.follow_days_ago(40)
    before, tags = world.digests(), world.server.tags(NAME)
    assert tags["pr-1"] == tags["v1"] == digest

    finished = world.run(operation="delete", tags="pr-*", partial_match="untag", dry_run="false")

    assert finished.status == 0
    assert (finished.outputs["untagged-count"], finished.outputs["deleted-count"]) == ("1", "0")
    # the image is as it was, and the empty manifest by which the tag was moved is gone
    assert world.digests() == before
    assert world.server.tags(NAME) == {tag: named for tag, named in tags.items() if tag != "pr-1"}
    world.assert_whole("v1", digest)
    world.assert_gone("pr-1")
    stubs = [version for version in world.package.deleted() if STUB in world.package.manifests[version.name][0]]
    assert len(stubs) == 1

    undone = world.run(operation="restore", undo=finished.outputs["receipt"], dry_run="false")

    assert undone.status == 0
    assert world.digests() == before
    assert world.server.tags(NAME) == tags
    world.assert_whole("v1", "pr-1")


def test_a_push_between_the_two_steps_of_untagging_is_not_lost(world: World) -> None:
    digest = world.image("multi-arch", "v1")
    world.server.put(NAME, "pr-1", world.server.manifest(digest))
    world.front.follow_days_ago(40)
    rival = push_image(world.source, None, seed="someone else's", platforms=PLATFORMS)
    # when the program looks for its stub in the list, someone has pushed the tag again
    lists = [0]

    def push(*_: object) -> None:
        named = world.server.tags(NAME)["pr-1"]
        if not lists[0] and STUB in world.server.manifest(named):
            lists[0] += 1
            world.client.push(NAME, world.source, rival.name, "pr-1")
            world.front.follow()

    world.front.on("GET", "/versions", push)
    finished = world.run(operation="delete", tags="pr-*", partial_match="untag", dry_run="false")

    assert finished.status == 0
    assert lists == [1]
    assert world.server.tags(NAME) == {"v1": digest, "pr-1": rival.name}
    world._note(rival.name)
    world.assert_whole("v1", "pr-1")
    assert not [version for version in world.digests() if STUB in world.server.manifest(version)]


def test_orphans_and_ghosts_go_and_nothing_else(world: World) -> None:
    world.refer(world.image("attested", "v1"), "sig")
    world.image("multi-arch", "v2")
    kept = world.digests()
    gone = world.image("single", "gone")
    (orphan,) = world.refer(gone, "sig")
    ghost = world.image("multi-arch", "ghost")
    for digest in (gone, *(world.whole[ghost] - {ghost})):
        world.delete_by_rest(digest)

    finished = world.run(operation="delete", condition="orphan, ghost", older_than="1d", dry_run="false")

    assert finished.status == 0
    assert world.digests() == kept
    world.assert_whole(*world.tags())
    world.assert_gone(orphan, "ghost")


def test_what_the_registry_lost_keeps_the_whole_package(world: World) -> None:
    lost = world.image("multi-arch", "v1")
    world.image("multi-arch", "pr-1")
    body, before = world.server.manifest(lost), world.digests()
    # the versions are listed, the manifest under a live tag is not there: nobody knows which parts it needs
    world.front.on("GET", "/versions", lambda *_: world.server.delete(NAME, lost), times=1, after=0)

    finished = world.run(operation="delete", tags="pr-*", dry_run="false")

    assert finished.outputs["deleted-count"] == "0"
    assert lost[: len("sha256:") + 12] in finished.log
    assert world.digests() == before - {lost}
    world.assert_whole("pr-1")
    world.server.put(NAME, "v1", body)


def test_the_second_run_with_a_cache_reads_nothing(world: World) -> None:
    for kind in KINDS:
        world.image(kind, f"pr-{kind}")
        world.refer(world.image(kind, f"v-{kind}"), "sig")
    world.refer(world.server.tags(NAME)["v-attested"], "fallback")
    inputs = {"operation": "delete", "tags": "pr-*", "older_than": "1d", "manifest_cache": "cache"}

    first = world.run(**inputs)

    read = [access.target for access in world.reads()]
    assert first.outputs["result"] == "planned"
    assert read
    # nothing twice, and at most what there is
    assert len(set(read)) == len(read) <= len(world.digests())
    second = world.run(**inputs)
    assert second.outputs["planned-count"] == first.outputs["planned-count"] != "0"
    assert len(world.reads()) == len(read)
    # what is new is read, once
    world.image("multi-arch", "pr-new")
    world.run(**inputs)
    assert len(world.reads()) == len(read) + 1


def test_nothing_selected_means_nothing_read(world: World) -> None:
    world.image("multi-arch", "v1")
    assert world.run(operation="delete", tags="pr-*", dry_run="false").status == 0
    assert world.reads() == []


def test_the_front_shows_what_was_pushed(world: World) -> None:
    """The ground the other tests stand on: versions for all manifests, and tags that follow."""
    digest = world.image("attested", "v1")
    assert len(world.whole[digest]) == 1 + 2 * len(PLATFORMS)
    listed = world.run(operation="list")
    assert {entry["name"] for entry in json.loads(listed.outputs["versions"])} == world.whole[digest]
    later = world.image("docker-list", "v1", days_ago=1)
    version = world.package.find(digest)
    assert version is not None
    assert version.tags == []
    assert world.package.tagged("v1") is world.package.find(later)
    assert b"docker.distribution.manifest.list" in world.server.manifest(later)
    world.assert_whole("v1", digest)
