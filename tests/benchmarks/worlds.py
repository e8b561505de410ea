"""What the simulator serves while the product is measured, and manifest caches as an earlier run leaves them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

from tests.simulator import Simulator
from tests.simulator.images import INDEX, MANIFEST, descriptor, encoded, image_manifest, index, push_image
from tests.simulator.packages import Package

OWNER = "acme"
TOKEN = "benchmark-token"
OLD = "2026-01-01T00:00:00Z"
PLATFORMS = ("linux/amd64", "linux/arm64", "linux/arm/v7", "linux/s390x")
NEWEST = datetime(2026, 6, 1, tzinfo=UTC)
FIRST_ID = 1_000_000
"""Of versions whose ids are dealt out; the simulator's own begin lower."""


def single(simulator: Simulator, images: int) -> Package:
    """Images of one platform, every tenth untagged."""
    package = simulator.add_package(OWNER, "container", "app")
    for number in range(images):
        tag = None if number % 10 == 9 else f"v{number}"
        package.push(image_manifest(package, f"image {number}"), MANIFEST, tag, OLD)
    return package


def multi(simulator: Simulator, images: int) -> Package:
    """Indexes of four platforms each, pushed a minute apart; the older half is tagged `old-…`, the rest `new-…`."""
    package = simulator.add_package(OWNER, "container", "app")
    for number in range(images):
        tag = f"{'old' if number < images // 2 else 'new'}-{number}"
        pushed = NEWEST - timedelta(minutes=images - number)
        push_image(package, tag, seed=f"image {number}", platforms=PLATFORMS, created_at=pushed)
    return package


def leftovers(simulator: Simulator, images: int) -> Package:
    """The same images, every other one without a tag: what is left of them is to be deleted."""
    return _leftovers(simulator, images, shuffled=False)


def shuffled(simulator: Simulator, images: int) -> Package:
    """The same, and nothing tells the order within a push: its times are equal, its ids are dealt out at random."""
    return _leftovers(simulator, images, shuffled=True)


def _leftovers(simulator: Simulator, images: int, *, shuffled: bool) -> Package:
    package = simulator.add_package(OWNER, "container", "app")
    random = Random(images)
    size = len(PLATFORMS) + 1
    for number in range(images):
        pushed = NEWEST - timedelta(minutes=images - number)
        manifests = [image_manifest(package, f"image {number}", platform) for platform in PLATFORMS]
        platforms = [{"os": "linux", "architecture": platform} for platform in PLATFORMS]
        top = index(*[descriptor(body, platform=each) for body, each in zip(manifests, platforms, strict=True)])
        ids = [FIRST_ID + number * size + place for place in range(size)]
        if shuffled:
            random.shuffle(ids)
        for body, number_of_version in zip(manifests, ids, strict=False):
            package.push(body, MANIFEST, created_at=pushed, id=number_of_version)
        package.push(top, INDEX, f"v{number}" if number % 2 else None, pushed, ids[-1])
    return package


def flat(simulator: Simulator, images: int) -> Package:
    """Versions of an npm package, `1.0.…` to be deleted, and a hundred more that stay."""
    package = simulator.add_package(OWNER, "npm", "app")
    for number in range(images + 100):
        package.add_version(f"1.0.{number}" if number < images else f"2.0.{number}", created_at=OLD)
    return package


def many(simulator: Simulator, images: int) -> Package:
    """The same as `multi`, made quickly: without blobs, and only the indexes have bytes. Two of three are nightlies."""
    package = simulator.add_package(OWNER, "container", "app")
    for number in range(images):
        pushed = (NEWEST - timedelta(minutes=10 * (images - number))).strftime("%Y-%m-%dT%H:%M:%SZ")
        children = []
        for platform in PLATFORMS:
            system, _, architecture = platform.partition("/")
            digest = "sha256:" + hashlib.sha256(f"{number} {platform}".encode()).hexdigest()
            package.add_version(digest, created_at=pushed)
            about = {"os": system, "architecture": architecture}
            children.append({"mediaType": MANIFEST, "digest": digest, "size": 1234, "platform": about})
        body = encoded({"schemaVersion": 2, "mediaType": INDEX, "manifests": children})
        tag = f"v{number}" if number % 3 == 0 else f"nightly-{number}"
        package.push(body, INDEX, tag, pushed)
    return package


def deployed(simulator: Simulator, images: int) -> Package:
    """Images of one platform, five of six tagged `old-…`. GitHub knows no deployment of any of them."""
    package = simulator.add_package(OWNER, "container", "app")
    for number in range(images):
        tag = f"{'new' if number % 6 == 5 else 'old'}-{number}"
        package.push(image_manifest(package, f"image {number}"), MANIFEST, tag, OLD)
    simulator.configure(unknown_artifacts_are_empty=True)
    return package


def organization(simulator: Simulator, images: int) -> Package:
    """Packages of twenty indexes of three platforms each; `images` in all."""
    packages = [simulator.add_package(OWNER, "container", f"app-{place}") for place in range(images // 20)]
    for place, package in enumerate(packages):
        for number in range(20):
            seed = f"image {place} {number}"
            push_image(package, f"v{number}", seed=seed, platforms=PLATFORMS[:3], created_at=OLD)
    return packages[0]


WORLDS: dict[str, Callable[[Simulator, int], Package]] = {
    "single": single,
    "multi": multi,
    "leftovers": leftovers,
    "shuffled": shuffled,
    "flat": flat,
    "many": many,
    "deployed": deployed,
    "organization": organization,
}


def write_cache(folder: Path, bodies: Iterable[bytes]) -> None:
    """Write manifests as `FOLDER/sha256/ab/abcd…`, the form of src/package_keeper/runner/workspace.py."""
    for body in bodies:
        name = hashlib.sha256(body).hexdigest()
        place = folder / "sha256" / name[:2] / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(body)


def needed(package: Package) -> list[bytes]:
    """The manifests that a run over all of a package reads: all but those that an index shows to be for a platform."""
    parts: set[str] = set()
    for body, media_type in package.manifests.values():
        if media_type == INDEX:
            parts.update(child["digest"] for child in json.loads(body)["manifests"])
    return [body for digest, (body, _) in package.manifests.items() if digest not in parts]
