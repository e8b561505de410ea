"""With `keep-deployed`, no run deletes what a deployment record names, nor what a pull of it needs.

The real program runs on random images, records and questions without an answer. The oracle knows the manifests and the
records of the simulator, and shares no line with the program.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.scenarios.program import Ended, Place
from tests.scenarios.world import Tree, World, build
from tests.simulator import Package, Simulator
from tests.wire import timed

POLICY = """\
version: 1
rules:
  - {name: tagged, match: {tags: "*"}, delete: all}
  - {name: untagged, match: {tag-status: untagged}, delete: all}
"""
RECORDS = [
    {"logical_environment": "production"},
    {"logical_environment": "production", "status": "deployed"},
    {"logical_environment": "production", "status": "decommissioned"},
]
SELECTIONS: list[Mapping[str, str]] = [
    {"tags": "*", "partial-match": "delete"},
    {"tags": "pr-*", "partial-match": "untag"},
    {"tags": "*", "keep-latest": "1"},
    {"tag-status": "untagged", "older-than": "1d"},
    {"older-than": "1d"},
    {"versions": "sha256:*"},
    {"policy": "policy.yml"},
]
RAW = {"versions": "sha256:*", "images": "raw"}
NARROWED: list[Mapping[str, str]] = [{}, {"limit": "3"}, {"on-last-version": "delete-package"}]


@st.composite
def versions(draw: st.DrawFn) -> Tree:
    """Plain images, and indexes that share them; each may be tagged, and an index may hold another one."""
    found: Tree = {}
    for name in ("p1", "p2", "p3", "p4", "i1", "i2", "i3"):
        prefixes = draw(st.sets(st.sampled_from(["pr", "v"])))
        about = {"age": f"{draw(st.integers(2, 400))}d ago", "tags": " ".join(f"{each}-{name}" for each in prefixes)}
        if name.startswith("i"):
            held = draw(st.lists(st.sampled_from(sorted(found)), min_size=1, max_size=3, unique=True))
            about["holds"] = " ".join(held)
        found[name] = about
    if twin := draw(st.sampled_from(["", "", "p1", "i1"])):
        found["twin"] = {"twin": twin, "age": "1000d ago"}
    return found


NAMES = st.sampled_from(["p1", "p2", "p3", "p4", "i1", "i2", "i3"])
DEPLOYMENTS = st.dictionaries(NAMES, st.lists(st.sampled_from(RECORDS), min_size=1, max_size=2), max_size=3)
SILENT = st.dictionaries(NAMES, st.sampled_from([403, 500, 503]), max_size=2)
"""The questions that have no answer, and their status."""


def reached(package: Package, digest: str) -> set[str]:
    """A digest, and all that a pull of it may need."""
    children = json.loads(package.manifests[digest][0]).get("manifests", [])
    return {digest}.union(*(reached(package, each["digest"]) for each in children))


def protected(package: Package, used: set[str], *, raw: bool) -> set[int]:
    """The ids of the versions that must stay: those of every image that holds a digest in use."""
    if raw:
        return {version.id for version in package.active() if version.name in used}
    images = [reached(package, version.name) for version in package.active()]
    stay = set[str]().union(*(image for image in images if image & used))
    return {version.id for version in package.active() if version.name in stay}


class Case:
    """A world of one package, and a place from which the program deletes in it."""

    def __init__(self, simulator: Simulator, folder: str, contents: Tree) -> None:
        self.world: World = build(simulator, {"packages": {"container/app": contents}})
        self.package = self.world.packages["container/app"]
        self.place = Place.below(Path(folder))
        (self.place.workspace / "policy.yml").write_text(POLICY, encoding="utf-8")
        self.silent: set[str] = set()
        """The digests about which GitHub gives no answer."""

    def digest(self, name: str) -> str:
        return self.world.versions[name].name

    def deploy(self, deployments: Mapping[str, list[dict[str, str]]]) -> None:
        for name, records in deployments.items():
            self.world.simulator.deployments[self.digest(name)] = records

    def silence(self, silent: Mapping[str, int]) -> None:
        for name, status in silent.items():
            path = f"/artifacts/{self.digest(name)}/"
            self.world.simulator.faults.add("GET", path, status=status, message="Unavailable", times=None)
            self.silent.add(self.digest(name))

    def used(self) -> set[str]:
        """The digests that must stay: those with a record that counts, and those without an answer."""
        deployments = self.world.simulator.deployments.items()
        return self.silent | {
            digest
            for digest, records in deployments
            if any(record.get("status") != "decommissioned" for record in records)
        }

    def run(self, **inputs: str) -> Ended:
        (self.place.runner / "passed").unlink(missing_ok=True)
        ended = timed.run(self.world.simulator, self.place, **inputs)
        assert ended.status in (0, 1, 4), ended.said
        return ended

    def left(self) -> set[int]:
        return {version.id for version in self.package.active()} if self.package.deleted_at is None else set()

    def check(self, counts: Counter[str], **inputs: str) -> None:
        """Run with `keep-deployed`. Nothing that must stay is gone, and a refused run deletes nothing at all."""
        before = self.left()
        stay = protected(self.package, self.used(), raw=inputs.get("images") == "raw")
        ended = self.run(keep_deployed="true", **inputs)
        left = self.left()
        assert stay <= left, ended.said
        assert ended.status != 4 or left == before, ended.said
        counts["deleted"] += len(before - left)
        counts["kept"] += ended.said.count("keep-deployed: images asked for") and len(stay)
        counts[f"status {ended.status}"] += 1


EXAMPLES = settings(max_examples=settings().max_examples // 4)


def inputs_of(*several: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("-", "_"): text for each in several for name, text in each.items()}


@pytest.mark.parametrize("raw", [False, True], ids=["whole", "raw"])
def test_no_deletion_takes_what_is_deployed(raw: bool) -> None:
    counts = Counter[str]()
    selections = st.just(RAW) if raw else st.sampled_from(SELECTIONS)

    @EXAMPLES
    @given(versions(), DEPLOYMENTS, SILENT, st.booleans(), selections, st.sampled_from(NARROWED))
    def hold(
        contents: Tree,
        deployments: dict[str, list[dict[str, str]]],
        silent: dict[str, int],
        empty: bool,
        selection: Mapping[str, str],
        narrowed: Mapping[str, str],
    ) -> None:
        with Simulator() as simulator, tempfile.TemporaryDirectory() as folder:
            case = Case(simulator, folder, contents)
            simulator.configure(unknown_artifacts_are_empty=empty)
            case.deploy(deployments)
            case.silence(silent)
            case.check(counts, **inputs_of(selection, narrowed))

    hold()
    assert counts["deleted"], counts
    assert counts["kept"], counts


def test_no_saved_plan_takes_what_was_deployed_since() -> None:
    counts = Counter[str]()

    @EXAMPLES
    @given(versions(), DEPLOYMENTS, DEPLOYMENTS, SILENT, st.booleans(), st.sampled_from(SELECTIONS), st.booleans())
    def hold(
        contents: Tree,
        before: dict[str, list[dict[str, str]]],
        since: dict[str, list[dict[str, str]]],
        silent: dict[str, int],
        empty: bool,
        selection: Mapping[str, str],
        asks: bool,
    ) -> None:
        with Simulator() as simulator, tempfile.TemporaryDirectory() as folder:
            case = Case(simulator, folder, contents)
            simulator.configure(unknown_artifacts_are_empty=empty)
            case.deploy(before)
            asked = {"keep_deployed": "true"} if asks else {}
            planned = case.run(**inputs_of(selection), **asked, plan_out="plan.json", dry_run="true")
            if planned.status == 4:
                return
            case.deploy(since)
            case.silence(silent)
            case.check(counts, operation="apply", package="", plan="plan.json")

    hold()
    assert counts["deleted"], counts
    assert counts["kept"], counts


def test_nothing_goes_when_github_knows_of_no_digest() -> None:
    @EXAMPLES
    @given(versions(), DEPLOYMENTS, st.sampled_from([403, 404]), st.sampled_from([*SELECTIONS, RAW]))
    def hold(
        contents: Tree, deployments: dict[str, list[dict[str, str]]], status: int, selection: Mapping[str, str]
    ) -> None:
        with Simulator() as simulator, tempfile.TemporaryDirectory() as folder:
            case = Case(simulator, folder, contents)
            case.deploy(deployments)
            simulator.faults.add("GET", "/artifacts/", status=status, message="Not Found", times=None)
            before = case.left()
            ended = case.run(keep_deployed="true", **inputs_of(selection))
            assert case.left() == before, ended.said

    hold()
