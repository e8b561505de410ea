"""What must hold after every run, whatever went wrong. Each check gives the problems that it found.

The checks know the simulator's store and the files that a run leaves, and nothing of the program's own code.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.scenarios.program import Ended
from tests.simulator import Package, Simulator

SKIPPED = {"already-gone", "protected-by-downloads", "last-version", "changed-since-plan", "tag-in-use"}
SKIPPED |= {"already-active"}
LEFT = {"over-limit", "out-of-time"}
RESULTS = {
    0: {"done", "nothing-to-do", "planned", "partial"},
    1: {"failed"},
    2: {"failed"},
    3: {"refused"},
    4: {"failed"},
    5: {"failed"},
    130: {"cancelled"},
}
Tag = tuple[str, str]
"""A package as `type/name`, and a tag."""


@dataclass(frozen=True, kw_only=True)
class World:
    """What is there: the active versions with their packages, the digest or name behind each tag, the packages."""

    active: Mapping[int, str]
    tags: Mapping[Tag, str]
    packages: frozenset[str]
    ids: Mapping[str, frozenset[int]]
    """The active versions behind each digest or name."""

    @classmethod
    def of(cls, sim: Simulator) -> World:
        """Look at a simulator."""
        packages = sim.packages("acme")
        versions = [version for package in packages for version in package.active()]
        names: dict[str, set[int]] = {}
        for version in versions:
            names.setdefault(version.name, set()).add(version.id)
        return cls(
            active={version.id: key(version.package) for version in versions},
            tags={(key(version.package), tag): version.name for version in versions for tag in version.tags},
            packages=frozenset(map(key, packages)),
            ids={name: frozenset(ids) for name, ids in names.items()},
        )


def key(package: Package) -> str:
    """Name a package: `type/name`."""
    return f"{package.type}/{package.name}"


@dataclass(kw_only=True)
class Others:
    """What somebody else changed during a run."""

    versions: set[int] = field(default_factory=set)
    tags: set[Tag] = field(default_factory=set)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run may do at most: what a dry run of the same world plans, and what restorations complete."""

    deleted: frozenset[int] = frozenset()
    restored: frozenset[int] = frozenset()
    untagged: frozenset[Tag] = frozenset()
    retagged: frozenset[Tag] = frozenset()
    packages: frozenset[str] = frozenset()

    @classmethod
    def of(cls, dry: Ended, before: World, after: World) -> Plan:
        """Read the plan of a dry run. `after` is what a run without a fault makes of `before`."""
        versions = dry.array("versions")
        ids = {decision: set[int]() for decision in ("delete", "restore", "untag")}
        tags = {decision: set[Tag]() for decision in ("delete", "restore", "untag")}
        for entry in versions:
            package = f"{entry['package-type']}/{entry['package']}"
            if "tag" in entry:
                tags[entry["decision"]].add((package, entry["tag"]))
            elif entry["decision"] in ids:
                ids[entry["decision"]].add(entry["id"])
                tags[entry["decision"]] |= {(package, tag) for tag in entry["tags"] or ()}
        packages = {
            f"{entry['package_type']}/{entry['name']}" for entry in dry.array("packages") if entry.get("decision")
        }
        return cls(
            deleted=frozenset(ids["delete"]),
            restored=frozenset(ids["restore"] | (after.active.keys() - before.active.keys())),
            untagged=frozenset(tags["untag"]),
            retagged=frozenset(tags["restore"]),
            packages=frozenset(packages),
        )


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A run that has ended, and all that the checks need to know about it. `ended` is `None` for a killed run."""

    sim: Simulator
    before: World
    after: World
    plan: Plan
    others: Others
    workspace: Path
    receipt: str
    ended: Ended | None = None


# --- nothing happens that is not planned ---


def nothing_else_changed(run: Outcome) -> list[str]:
    """What is gone and what is back is in the plan, and every image that was whole and stays is whole."""
    before, after, plan, others = run.before, run.after, run.plan, run.others
    gone = before.active.keys() - after.active.keys() - others.versions
    back = after.active.keys() - before.active.keys() - others.versions
    known = {version.id for version in _everything(run.sim)}
    new = {number for number in back if number > max(before.active, default=0) and number not in plan.restored}
    problems = [
        f"version {number} of {before.active[number]} is gone, and is in no plan"
        for number in sorted(gone - plan.deleted)
        if before.active[number] not in plan.packages
    ]
    problems += [f"version {number} is back, and is in no plan" for number in sorted(back - plan.restored - new)]
    problems += [
        f"version {number} is new, and no empty manifest" for number in new & known if not _is_stub(run, number)
    ]
    for tag, name in before.tags.items():
        if after.tags.get(tag) == name or tag in others.tags or tag in plan.untagged | plan.retagged:
            continue
        holders = before.ids[name]
        if holders & after.active.keys():
            problems.append(f"the tag {tag} was taken away, and is in no plan")
    for tag, name in after.tags.items():
        its = after.ids[name]
        expected = tag in plan.untagged | plan.retagged or its & (
            plan.restored | others.versions | before.active.keys()
        )
        if tag not in before.tags and tag not in others.tags and not expected:
            problems.append(f"the tag {tag} is new, and in no plan")
    for package in before.packages - after.packages - plan.packages:
        unplanned = {number for number, of in before.active.items() if of == package} - plan.deleted
        if unplanned:
            problems.append(f"the package {package} is gone, with {sorted(unplanned)}")
    return problems + torn(run.sim, before, others)


def torn(sim: Simulator, before: World, others: Others) -> list[str]:
    """Tell which indexes that are there lack a child that was there before."""
    problems = []
    for package in sim.packages("acme"):
        names = {version.name for version in package.active()}
        for version in package.active():
            if version.id not in before.active:
                continue
            for child in _children(package, version.name):
                was = before.ids.get(child, frozenset()) - others.versions
                if child not in names and was:
                    problems.append(f"the image {version.id} {version.tags} lost its part {sorted(was)}")
    return problems


# --- what is said is true ---


def what_is_reported_is_true(run: Outcome) -> list[str]:
    """Every "done" is true, in outputs, output file and receipt, and every change of ours has a line."""
    problems = []
    last = _last_lines(run)
    # what was deleted may have been restored by the same run, since somebody needs it by now
    targets = {(line["kind"], line["id"], line["package"], line.get("tag")): line for line in last.values()}
    for line in targets.values():
        if line["outcome"] == "done":
            problems += [f"receipt: {text}" for text in _untrue(run, _from_receipt(line))]
    for source, entries in _reported(run):
        for entry in entries:
            if entry.get("outcome") == "done":
                problems += [f"{source}: {text}" for text in _untrue(run, entry)]
    return problems + _unrecorded(run, last.values()) + _counts(run)


def _reported(run: Outcome) -> Iterable[tuple[str, list[dict[str, Any]]]]:
    ended = run.ended
    if ended is None:
        return
    for name in ("versions", "packages"):
        if ended.outputs:
            yield f"output {name}", ended.array(name)
        if ended.document:
            yield f"output file, {name}", ended.document[name]


def _from_receipt(line: Mapping[str, Any]) -> dict[str, Any]:
    entry = {"package": line["package"], "package-type": line["package-type"], "decision": line["action"]}
    if line["kind"] == "package":
        return {"name": line["package"], "package_type": line["package-type"], "decision": line["action"]}
    return entry | {"id": line["id"], "name": line["name"]} | ({"tag": line["tag"]} if "tag" in line else {})


def _untrue(run: Outcome, entry: Mapping[str, Any]) -> list[str]:
    """Tell what is untrue of an entry that says "done"."""
    world, decision = run.after, entry["decision"]
    wants = decision == "restore"
    if "package_type" in entry:
        package = f"{entry['package_type']}/{entry['name']}"
        return [] if (package in world.packages) is wants else [f"{decision} of the package {package} is not done"]
    tag: Tag = (f"{entry['package-type']}/{entry['package']}", entry.get("tag", ""))
    if tag[1]:
        is_there = world.tags.get(tag) == entry["name"]
        is_elsewhere = tag in world.tags and not is_there
        if tag in run.others.tags or (is_there is wants and not (is_elsewhere and not wants)):
            return []
        return [f"{decision} of the tag {tag} is not done"]
    if entry["id"] in run.others.versions or (entry["id"] in world.active) is wants:
        return []
    return [f"{decision} of version {entry['id']} is not done"]


def _unrecorded(run: Outcome, lines: Iterable[Mapping[str, Any]]) -> list[str]:
    """Tell which changes of ours have no line in the receipt."""
    found = {(line["action"], line["id"]) for line in lines if line["kind"] == "version"}
    tags = {(f"{line['package-type']}/{line['package']}", line["tag"]) for line in lines if line["kind"] == "tag"}
    packages = {f"{line['package-type']}/{line['package']}" for line in lines if line["kind"] == "package"}
    before, after, others = run.before, run.after, run.others
    problems = []
    for action, ids, world in (
        ("delete", before.active.keys() - after.active.keys(), before),
        ("restore", after.active.keys() - before.active.keys(), after),
    ):
        for number in sorted(ids - others.versions):
            ours = (action, number) in found or world.active[number] in packages
            if not (ours or (action == "restore" and tags and _is_stub(run, number))):
                problems.append(f"{action} of version {number} has no line in the receipt")
    for tag, name in before.tags.items():
        moved = after.tags.get(tag) != name and before.ids[name] & after.active.keys()
        if moved and tag not in tags and tag not in others.tags:
            problems.append(f"the tag {tag} was taken away without a line in the receipt")
    return problems


def _counts(run: Outcome) -> list[str]:
    """Tell which counts differ from the entries that they count."""
    ended = run.ended
    if ended is None:
        return []
    entries = [entry for entry in ended.array("versions") if "outcome" in entry]
    entries += [entry for entry in ended.array("packages") if "outcome" in entry]
    problems = []
    for count, decision in (("deleted", "delete"), ("untagged", "untag"), ("restored", "restore")):
        done = sum(entry["outcome"] == "done" and entry["decision"] == decision for entry in entries)
        if ended.count(count) != done:
            problems.append(f"{count}-count is {ended.count(count)}, and {done} are done")
    return problems


# --- the exit status is right ---


def status_is_right(run: Outcome, expected: Iterable[int]) -> list[str]:
    """The exit status is one of those expected, `result` says the same, and neither hides a failure."""
    ended = run.ended
    if ended is None:
        return []
    problems = []
    if ended.status not in expected:
        problems.append(f"exit status {ended.status}, expected one of {sorted(expected)}")
    report = ended.outputs or ended.document
    result = report["result"]
    if result not in RESULTS.get(ended.status, set()):
        problems.append(f"exit status {ended.status} with the result {result}")
    outcomes = {entry["outcome"] for _, entries in _reported(run) for entry in entries if "outcome" in entry}
    failed = outcomes - SKIPPED - LEFT - {"done"}
    if ended.status == 0 and failed:
        problems.append(f"exit status 0 with the outcomes {sorted(failed)}")
    if result == "done" and outcomes & LEFT:
        problems.append("done, and something is left")
    if ended.status == 0 and ended.count("broken"):
        problems.append("exit status 0 with broken images")
    return problems


# --- the receipt is true ---


def receipt_is_whole(run: Outcome) -> list[str]:
    """Each write of the receipt began before it ended. A last line that a full disk cut off may be damaged."""
    problems, begun = [], set()
    for line in _lines(run):
        if line["outcome"] == "started":
            if line["seq"] in begun:
                problems.append(f"seq {line['seq']} began twice")
            begun.add(line["seq"])
        elif line["seq"] not in begun:
            problems.append(f"seq {line['seq']} ended before it began")
    if begun and begun != set(range(1, len(begun) + 1)):
        problems.append(f"the numbers {sorted(begun)} have gaps")
    return problems


def world_is_as_before(run: Outcome, now: World) -> list[str]:
    """After `undo`, everything is as before the run, but for what others changed and empty manifests without a tag."""
    before, others = run.before, run.others
    # GitHub has at most one active version of a name: where somebody pushed the same again, that one stands for it
    names = {number: name for name, ids in before.ids.items() for number in ids}
    problems = [
        f"version {number} is not back"
        for number in sorted(before.active.keys() - now.active.keys() - others.versions)
        if names[number] not in now.ids
    ]
    problems += [
        f"version {number} is left"
        for number in sorted(now.active.keys() - before.active.keys() - others.versions)
        if not _is_stub(run, number)
    ]
    changed = {tag for tag in {*before.tags, *now.tags} if before.tags.get(tag) != now.tags.get(tag)}
    problems += [f"the tag {tag} is on {now.tags.get(tag)}" for tag in sorted(changed - others.tags)]
    if before.packages != now.packages:
        problems.append(f"packages: {sorted(before.packages ^ now.packages)}")
    return problems


def has_lines(run: Outcome) -> bool:
    """Whether there is a receipt with something in it."""
    return bool(_lines(run))


def _lines(run: Outcome) -> list[dict[str, Any]]:
    """Read the whole lines of the receipt."""
    file = run.workspace / run.receipt
    if not run.receipt or not file.exists():
        return []
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.endswith("}")]


def _last_lines(run: Outcome) -> dict[int, dict[str, Any]]:
    return {line["seq"]: line for line in _lines(run)}


def _everything(sim: Simulator) -> Iterable[Any]:
    return (version for package in sim.store.all for version in package.versions.values())


def _children(package: Package, name: str) -> list[str]:
    manifest = json.loads(package.manifests[name][0]) if name in package.manifests else {}
    return [child["digest"] for child in manifest.get("manifests", ())]


def _is_stub(run: Outcome, number: int) -> bool:
    """Whether a version is an empty manifest, by which a tag was taken away."""
    (version,) = (each for each in _everything(run.sim) if each.id == number)
    content = version.package.manifests.get(version.name)
    if content is None:
        return False
    manifest = json.loads(content[0])
    return not manifest.get("manifests") and not manifest.get("layers") and "config" not in manifest
