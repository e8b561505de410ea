"""`verify` without a package: what of an organization is broken, what `repair` can do, and what to build anew."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.scenarios.program import Ended, Place
from tests.simulator import Package, Simulator, Version
from tests.simulator.images import INDEX, MANIFEST, descriptor, encoded, image_manifest, index
from tests.wire.timed import OLD, run

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SOURCE = "https://github.com/acme/app"
NOTES = {"org.opencontainers.image.source": SOURCE, "org.opencontainers.image.revision": COMMIT}


@pytest.fixture(autouse=True)
def without_limits(sim: Simulator) -> None:
    sim.limits.configure(enabled=False)


def annotated(manifest: bytes, notes: dict[str, str]) -> bytes:
    return encoded(json.loads(manifest) | ({"annotations": notes} if notes else {}))


def image(
    package: Package,
    *,
    on_index: dict[str, str] | None = None,
    on_child: dict[str, str] | None = None,
    on_descriptor: dict[str, str] | None = None,
) -> list[Version]:
    """Push an image of two platforms; the index comes first."""
    parts, children = [], []
    for architecture, more in (("amd64", {}), ("arm64", {"variant": "v8"})):
        manifest = annotated(image_manifest(package, package.name, f"linux/{architecture}"), on_child or {})
        parts.append(package.push(manifest, MANIFEST, None, OLD))
        notes = {"annotations": on_descriptor} if on_descriptor else {}
        children.append(descriptor(manifest, platform={"os": "linux", "architecture": architecture, **more}, **notes))
    root = package.push(annotated(index(*children, seed=package.name), on_index or {}), INDEX, "v1", OLD)
    return [root, *parts]


def purge(version: Version) -> None:
    """Delete a version longer ago than GitHub keeps it."""
    version.package.remove(version)
    version.update(deleted_at=OLD)


@pytest.fixture
def verified(sim: Simulator, place: Place) -> Ended:
    """Seven packages: two whole, five broken in different ways."""

    def make(name: str, **more: Any) -> list[Version]:
        return image(sim.add_package("acme", "container", name), **more)

    make("whole")
    make("whole-too", on_index=NOTES)
    _, amd, _ = make("repairable", on_index=NOTES)
    amd.package.remove(amd)
    _, _, arm = make("half", on_index=NOTES)
    purge(arm)
    _, _, arm = make("child", on_child=NOTES)
    purge(arm)
    _, *parts = make("ghost", on_descriptor=NOTES)
    for part in parts:
        purge(part)
    root, *_ = make("lost", on_index=NOTES)
    del root.package.manifests[root.name]
    return run(sim, place, operation="verify", package="", dry_run="", output_file="result.json")


def test_each_broken_image_has_its_remedy(verified: Ended) -> None:
    assert verified.status == 1
    assert (verified.count("selected"), verified.count("broken")) == (7, 5)
    found = {
        each["package"]: (each["remedy"], each["rebuild"], each["source"], each["revision"])
        for each in verified.array("versions")
    }
    assert found == {
        "whole": ("", [], None, None),
        "whole-too": ("", [], None, None),
        "repairable": ("repair", [], None, None),
        "half": ("rebuild", ["linux/arm64/v8"], SOURCE, COMMIT),
        "child": ("rebuild", ["linux/arm64/v8"], SOURCE, COMMIT),
        "ghost": ("rebuild", ["linux/amd64", "linux/arm64/v8"], SOURCE, COMMIT),
        "lost": ("rebuild", [], None, None),
    }
    until = {each["package"]: each["repairable-until"] is not None for each in verified.array("versions")}
    assert [name for name, known in until.items() if known] == ["repairable"]


def test_the_summary_and_the_log_say_the_same(verified: Ended, place: Place) -> None:
    summary = place.summary_file().read_text(encoding="utf-8")
    for text in ("build anew", f"{COMMIT} of {SOURCE}", "linux/arm64/v8", "the whole image"):
        assert text in summary
    assert any("(linux/arm64/v8)" in each and COMMIT in each for each in verified.annotations["error"])


def test_reading_ahead_reads_no_manifest_twice(sim: Simulator, place: Place) -> None:
    for number in range(20):
        image(sim.add_package("acme", "container", f"app-{number}"))
    ended = run(sim, place, operation="verify", package="", dry_run="")
    assert (ended.status, ended.count("selected")) == (0, 20)
    reads = [each.path for each in sim.requests if "/manifests/" in each.path and each.status == 200]
    assert len(reads) == len(set(reads)) == 20
