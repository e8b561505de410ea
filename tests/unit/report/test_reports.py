"""Outputs and tables: within their limits, valid, and names from outside stay data."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from package_keeper.inputs.parser import parse_settings
from package_keeper.model.packages import Owner, OwnerType
from package_keeper.model.plan import Action, Decision, Outcome, Plan, PlannedWrite, Reason, WriteRecord
from package_keeper.model.run import Run, Scope
from package_keeper.report.counts import count
from package_keeper.report.documents import OUTPUT_LIMIT, dumps, outputs, result_document
from package_keeper.report.tables import coloured, lines, sections, tab_separated
from package_keeper.settings import Settings
from tests.unit.making import HOSTILE, NOW, package, version

ACME = Owner(login="acme", type=OwnerType.ORGANIZATION)
INPUTS = {"token": "t", "owner": "acme", "api-url": "https://api.github.com", "package": "*", "versions": "*"}


def _settings(operation: str, *, explains: bool = False) -> Settings:
    texts = INPUTS | {"operation": operation, "package-type": "npm"}
    return parse_settings(texts, defaults={}, now=NOW, explains=explains)


SETTINGS = {
    "delete": _settings("delete"),
    "list": _settings("list"),
    "explain": _settings("list", explains=True),
}
"""Settings by what they ask for."""


def decision(number: int, decision: Action = Action.DELETE, reason: Reason = Reason.SELECTED, **more: Any) -> Decision:
    return Decision(version=version(number, **more), action=decision, reason=reason)


def planned(one: Decision) -> PlannedWrite:
    return PlannedWrite(
        action=one.action,
        reason=one.reason,
        package=one.version.package,
        version=one.version,
        version_id=one.version.id,
        version_name=one.version.name,
        tags=one.version.tags,
    )


def reported(
    decisions: list[Decision], outcomes: list[Outcome] | None = None, asked: str = "delete", **more: Any
) -> tuple[Run, Settings]:
    """A run with these decisions and outcomes, and the settings that ask for it."""
    writes = [planned(one) for one in decisions if one.action is not Action.KEEP]
    records = zip(writes, outcomes or [], strict=False)
    packages = more.pop("packages", (package(),))
    run = Run(
        owner=ACME,
        result=more.pop("result", "done"),
        scope=Scope(packages=packages),
        plan=Plan.of_singles(writes, decisions),
        records=tuple(WriteRecord(write=write, outcome=outcome, message="") for write, outcome in records),
    )
    return replace(run, **more), replace(SETTINGS[asked], dry_run=not outcomes)


@given(st.lists(st.sampled_from(Outcome), max_size=12), st.integers(0, 5))
def test_planned_is_the_sum_of_all_outcomes(outcomes: list[Outcome], kept: int) -> None:
    decisions = [decision(number) for number in range(len(outcomes))]
    decisions += [decision(100 + number, Action.KEEP, Reason.TOO_YOUNG) for number in range(kept)]
    found = count(*reported(decisions, outcomes))
    parts = (found.deleted, found.untagged, found.restored, found.skipped, found.failed, found.remaining)
    assert found.planned == found.selected == sum(parts) == len(outcomes)
    assert found.kept == kept


def test_in_a_dry_run_nothing_was_done() -> None:
    found = count(*reported([decision(1), decision(2)]))
    assert (found.selected, found.planned, found.deleted, found.remaining) == (2, 2, 0, 0)


def parsed(found: dict[str, str]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    return json.loads(found["packages"]), json.loads(found["versions"])


def utf16(found: dict[str, str]) -> int:
    return sum(len(text.encode("utf-16-le")) for text in found.values())


def test_small_outputs_are_whole() -> None:
    found = outputs(*reported([decision(1), decision(2)], [Outcome.DONE, Outcome.FAILED]))
    packages, versions = parsed(found)
    assert found["truncated"] == "false"
    assert [one["id"] for one in packages] == [1]
    assert [(one["id"], one["decision"], one["reason"], one["outcome"]) for one in versions] == [
        (1, "delete", "selected", "done"),
        (2, "delete", "selected", "failed"),
    ]
    fields = {"description", "license", "created_at", "updated_at", "deleted_at", "url", "html_url", "package_html_url"}
    assert fields | {"metadata", "package", "package-type", "tags", "name"} <= versions[0].keys()
    assert found["deleted-count"] == "1"


@pytest.mark.parametrize("letter", ["x", "é", "🚀", "\\", '"', "\x00"])
@pytest.mark.parametrize(("packages", "versions"), [(0, 4_000), (4_000, 0), (4_000, 4_000), (1, 1)])
def test_outputs_stay_within_githubs_limit_and_valid(letter: str, packages: int, versions: int) -> None:
    decisions = [decision(number, description=letter * 150) for number in range(versions)]
    many = tuple(package(f"p{number}" + letter * 90, number=number) for number in range(packages))
    run, settings = reported(decisions, packages=many, messages=(letter * 1_000,) * 9)
    found = outputs(run, settings)
    assert utf16(found) <= OUTPUT_LIMIT
    cut_packages, cut_versions = parsed(found)
    whole = result_document(run, settings)
    assert whole["packages"][: len(cut_packages)] == cut_packages
    assert whole["versions"][: len(cut_versions)] == cut_versions
    cut = len(cut_packages) < packages or len(cut_versions) < versions
    assert found["truncated"] == ("true" if cut else "false")
    if cut:
        assert utf16(found) > OUTPUT_LIMIT * 0.7, "room is used"
    assert json.loads(dumps(whole)) == whole


def test_one_entry_larger_than_everything_is_left_out() -> None:
    found = outputs(*reported([decision(1, description="x" * OUTPUT_LIMIT)]))
    assert (found["versions"], found["truncated"]) == ("[]", "true")


@given(st.lists(st.tuples(HOSTILE, HOSTILE, HOSTILE), max_size=5))
def test_hostile_names_are_data_in_the_outputs(texts: list[tuple[str, str, str]]) -> None:
    decisions = [
        decision(number, name=name, tags=(tag,), description=note) for number, (name, tag, note) in enumerate(texts)
    ]
    _, versions = parsed(outputs(*reported(decisions)))
    assert [(one["name"], one["tags"][0], one["description"]) for one in versions] == texts


@given(st.lists(st.tuples(HOSTILE, HOSTILE), max_size=4), st.integers(20, 200))
def test_tables_of_a_terminal_hold_no_control_characters(texts: list[tuple[str, str]], width: int) -> None:
    decisions = [decision(number, name=name, tags=(tag,)) for number, (name, tag) in enumerate(texts)]
    for reported_as in (reported(decisions), reported([], listed=tuple(decisions), asked="list")):
        found = [line for each in sections(*reported_as) for line in lines(each, width=width)]
        assert all(line.isprintable() for line in found)
        assert all(cell.isprintable() for line in tab_separated(*reported_as) for cell in line.split("\t"))
        colours = [line for each in sections(*reported_as) for line in lines(each, width=width, paint=coloured)]
        assert [re.sub("\x1b\\[[0-9]+m", "", line).rstrip() for line in colours] == found
