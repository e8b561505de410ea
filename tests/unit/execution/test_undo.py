"""Undo of two clean-ups of the same images: random packages and outdated lists, against a naive oracle."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any, cast

from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from package_keeper.errors import ApiError, ApiErrorKind
from package_keeper.execution.receipt import Ending, ReceiptEntry, ReceiptWriter, read_receipt
from package_keeper.execution.scope import PackageFilter
from package_keeper.execution.untag import Untagger
from package_keeper.inputs.parser import parse_settings
from package_keeper.model.packages import PackageName, Version
from package_keeper.model.plan import Action, Outcome, Plan, PlannedWrite
from package_keeper.model.run import Run
from package_keeper.operations.context import Context, Writing
from package_keeper.operations.undo import undo
from tests.unit.model.cases import draw_case
from tests.unit.model.memory import (
    OWNER,
    Hub,
    NoonClock,
    Paper,
    Quiet,
    evaluated,
    executor,
    planned,
    some_pool,
)
from tests.unit.model.memory import executed as clean_up
from tests.unit.model.worlds import NOW, SEEDS, Habits
from tests.unit.pool import WritePool

INPUTS = {
    "token": "t",
    "owner": "acme",
    "operation": "restore",
    "undo": "receipt.jsonl",
    "api-url": "https://api.github.com",
}
WHOLE = Habits(missing=0.0, twins=0.1)
SIZES = st.integers(0, 40)


class GitHub(Hub):
    """Like GitHub: only one version of a digest can be active, and lists are outdated for `late` versions."""

    late: frozenset[int] = frozenset()

    def versions(self, package: PackageName, *, deleted: bool = False) -> list[Version]:
        listed = [each for each in super().versions(package, deleted=deleted) if each.id not in self.late]
        return listed if deleted else listed + [each for each in self.world.versions if each.id in self.late]

    def restore_version(self, package: PackageName, version_id: int, permit: object = None) -> None:
        version = self.deleted.get(version_id)
        if version is not None and version.name in self.names():
            raise ApiError(ApiErrorKind.ALREADY_EXISTS, "Package version already exists.", status=403)
        super().restore_version(package, version_id, permit)

    def names(self) -> set[str]:
        return {version.name for version in self.active.values()}

    def restorable(self) -> set[str]:
        return {version.name for version in self.deleted.values()}


@dataclass
class Scene:
    """The result of two clean-ups, with the receipt of each."""

    hub: GitHub
    receipts: tuple[Paper, Paper]

    def entries(self, which: int) -> tuple[ReceiptEntry, ...]:
        text = self.receipts[which].text
        return read_receipt(text).entries if text else ()


def two_clean_ups(seed: int, size: int) -> Scene:
    """Two clean-ups share one plan. Each deletes some versions, and some of these cannot be restored."""
    case, random = draw_case(seed, size, WHOLE), Random(seed)
    hub = GitHub(case.world)
    plan: Plan = planned(evaluated(hub, case.rules), case.rules)
    writes = {write.version_id: write for write in plan.writes if write.action is Action.DELETE}
    seconds = {number for number in writes if random.random() < 0.4}
    first, second = Paper(), Paper()
    book = ReceiptWriter(lambda: second.append, OWNER, {}, NoonClock())

    def be_faster(version_id: int) -> None:
        if version_id in seconds and version_id in hub.active:
            write: PlannedWrite = writes[version_id]
            hub.deleted[version_id] = replace(hub.active.pop(version_id), deleted_at=NOW)
            book.ended([Ending(number, write, Outcome.DONE) for number in book.started([write])])

    hub._refuse = be_faster
    clean_up(hub, plan, paper=first, pool=some_pool(plan))
    for version_id in [number for number in hub.deleted if random.random() < 0.1]:
        del hub.deleted[version_id]
    hub.late = frozenset(number for number in case.world.by_id() if random.random() < 0.3)
    return Scene(hub, (first, second))


def take_back(hub: GitHub, receipt: Paper) -> Run:
    """The real operation, over a package in memory."""
    log, pool = Quiet(), WritePool(width=5, seed=len(receipt.lines))
    untagger = Untagger(hub, hub, hub, hub, log)
    if not receipt.text:
        return Run()
    context = Context(
        settings=parse_settings(INPUTS, defaults={}, now=NOW),
        owner=OWNER,
        receipt=read_receipt(receipt.text),
        wanted=PackageFilter(),
        rules=parse_settings(INPUTS, defaults={}, now=NOW).rules,
        facts=cast("Any", None),
        reader=hub,
        registry=hub,
        writing=Writing(reader=hub, writer=hub, untagger=untagger, executor=executor(Paper(), log, pool), pause=hub),
        clock=NoonClock(),
        log=log,
    )
    *_, run = undo(context)
    assert run.ended_by is None
    assert run.scope.problems == ()
    return run


def walked(hub: GitHub, start: str, told: dict[str, set[str]]) -> tuple[set[str], set[str]]:
    """The active parts and the missing parts of an image, found in the simplest way."""
    missing: set[str] = set()
    held: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name not in held:
            held.add(name)
            children = hub.world.manifests[name].children
            # an entry of an unknown media type is needed when GitHub knows a version of its digest
            known = hub.names() | hub.restorable()
            below = {child.digest for child in children if child.is_manifest or child.digest in known}
            below |= told.get(name, set())
            missing |= below - hub.names()
            waiting += below & hub.names()
    return held - {start}, missing


def told_parts(run: Run) -> dict[str, set[str]]:
    """The parts that the run tried to restore, by their roots."""
    told: dict[str, set[str]] = {}
    for record in run.records:
        if record.write.root not in (None, record.write.version_name):
            told.setdefault(record.write.root or "", set()).add(record.write.version_name)
    return told


@given(SEEDS, SIZES, st.booleans())
@example(seed=39916801, size=14, second_first=False)
def test_restorable_images_are_whole_and_the_rest_counts_as_broken(seed: int, size: int, second_first: bool) -> None:
    scene = two_clean_ups(seed, size)
    hub = scene.hub
    for which in (1, 0) if second_first else (0, 1):
        run = take_back(hub, scene.receipts[which])
        told = told_parts(run)
        tagged = {
            record.write.version_name
            for record in run.records
            if record.outcome in (Outcome.DONE, Outcome.ALREADY_ACTIVE)
            if any(not tag.startswith("sha256-") for tag in record.write.tags)
        }
        back = {record.write.version_name for record in run.records} & hub.names()
        found = {name: walked(hub, name, told) for name in back}
        assert not any(missing & hub.restorable() for _, missing in found.values()), "it could have been restored"
        held = {part for parts, _ in found.values() for part in parts}
        broken = {name for name, (_, missing) in found.items() if missing and (name not in held or name in tagged)}
        assert run.broken == len(broken)
    assert not hub.restorable() - hub.names(), "both receipts together tell of everything"


@given(SEEDS, SIZES)
def test_a_root_is_restored_after_the_parts_in_its_receipt(seed: int, size: int) -> None:
    scene = two_clean_ups(seed, size)
    scene.hub.writes.clear()
    take_back(scene.hub, scene.receipts[0])
    places = {number: place for place, (_, number) in enumerate(scene.hub.writes)}
    entries = scene.entries(0)
    by_name = {entry.name: entry for entry in entries}
    for entry in entries:
        root = by_name.get(entry.root or "")
        if root is not None and root.name != entry.name and {entry.version_id, root.version_id} <= places.keys():
            assert places[entry.version_id or 0] < places[root.version_id or 0]
