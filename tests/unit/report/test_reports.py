"""Outputs, summary and tables: within their limits, valid, and names from outside stay data."""

from __future__ import annotations

import html
import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from package_keeper.inputs.parser import parse_settings
from package_keeper.model.packages import Owner, OwnerType
from package_keeper.model.plan import Action, Decision, Outcome, Plan, PlannedWrite, Reason, WriteRecord
from package_keeper.model.run import Forecast, ForecastPackage, Run, Scope
from package_keeper.report.counts import count
from package_keeper.report.documents import OUTPUT_LIMIT, dumps, outputs, result_document
from package_keeper.report.summary import COMMENT_LIMIT, SUMMARY_LIMIT, code, comment, escape, summary
from package_keeper.report.tables import coloured, lines, sections, tab_separated
from package_keeper.settings import Settings
from tests.hostile import rendered
from tests.unit.making import HOSTILE, NOW, key, package, version

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


def cells(row: str) -> list[str]:
    """Cut a row of a table as GitHub does: a bar counts unless a backslash stands before it."""
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", row.strip())[1:-1]]


def shown(cell: str) -> str | None:
    """Say what a cell shows when it is one code span and nothing else; `None` when it is anything else."""
    cell = cell.replace("\\|", "|")
    fence = re.match("`+", cell)
    if fence is None:
        return None if cell else ""
    inner = cell[len(fence[0]) : -len(fence[0])]
    if not cell.endswith(fence[0]) or len(cell) <= 2 * len(fence[0]):
        return None
    if any(len(run) == len(fence[0]) for run in re.findall("`+", inner)):
        return None
    return inner


@given(HOSTILE)
def test_a_name_is_one_code_span(text: str) -> None:
    found = code(text)
    assert "\n" not in found
    if not text:
        assert found == ""
        return
    assert len(cells(f"| {found} | x |")) == 2
    inner = shown(found)
    assert inner is not None
    printable = "".join(character if character.isprintable() else "�" for character in text)
    assert inner in (printable, f" {printable} ")


@given(HOSTILE)
def test_escaped_text_is_shown_unchanged(text: str) -> None:
    found = escape(text)
    assert not re.search(r"[\\`*_{}\[\]<>|~@$\n\r]|://", found)
    printable = "".join(character if character.isprintable() else "�" for character in text)
    assert html.unescape(found).replace("\u200b", "") == printable.strip() or "&" in text


@given(st.lists(HOSTILE, max_size=3), HOSTILE)
def test_github_renders_nothing_of_a_text_but_the_text(messages: list[str], name: str) -> None:
    decisions = [decision(1, name=name, tags=(name,))]
    page = rendered(summary(*reported(decisions, [Outcome.FAILED], messages=tuple(messages))))
    assert page.problems == []
    assert set(page.rows) == {10, 7}


@given(st.lists(st.tuples(HOSTILE, HOSTILE, HOSTILE), min_size=1, max_size=4))
def test_no_name_breaks_out_of_its_cell(texts: list[tuple[str, str, str]]) -> None:
    decisions = [decision(number, name=name, tags=(tag,)) for number, (name, tag, _) in enumerate(texts)]
    base, settings = reported(decisions, [Outcome.FAILED] * len(decisions))
    records = tuple(
        replace(record, message=message) for record, (_, _, message) in zip(base.records, texts, strict=True)
    )
    run = replace(base, records=records, messages=tuple(message for _, _, message in texts))
    found = summary(run, settings)
    rows = [line for line in found.splitlines() if line.startswith("| `npm/app` |")]
    assert len(rows) == len(texts)
    for row in rows:
        assert len(cells(row)) == 7
        assert all(shown(cell) is not None for cell in cells(row)[:3])
    starts = ("##", "**", "|", ">", "", "###", "Receipt", "…")
    assert all(line == "" or line.startswith(starts[:-1]) for line in found.splitlines())


@pytest.mark.parametrize("letter", ["x", "é", "🚀", "|", "`", "<", "\n"])
def test_a_summary_never_grows_too_large(letter: str) -> None:
    decisions = [
        decision(number, name=f"{number}{letter * 3_000}", tags=(letter * 3_000,), of=key(name=f"p{number}"))
        for number in range(700)
    ]
    records = [Outcome.FAILED] * len(decisions)
    found = summary(*reported(decisions, records, messages=(letter * 20_000,) * 60))
    assert len(found.encode()) <= SUMMARY_LIMIT


def test_long_tables_say_that_they_were_cut() -> None:
    found = summary(*reported([decision(number) for number in range(700)]))
    assert "and 200 more" in found


def test_a_summary_says_what_matters() -> None:
    decisions = [decision(1), decision(2), decision(3, Action.KEEP, Reason.KEEP_LATEST)]
    found = summary(
        *reported(decisions, [Outcome.DONE, Outcome.FAILED], receipt="r.jsonl", result="failed", messages=("Oh <no>",))
    )
    assert "Failed" in found
    assert "keep-latest" in found
    assert "`r.jsonl`" in found
    assert "Oh &#60;no&#62;" in found
    rows = [line for line in found.splitlines() if line.startswith("| `npm/app` | `1.0.")]
    assert "failed" in rows[0], "what did not go well stands first"


@given(st.lists(st.tuples(HOSTILE, HOSTILE), max_size=4), st.integers(20, 200))
def test_tables_of_a_terminal_hold_no_control_characters(texts: list[tuple[str, str]], width: int) -> None:
    decisions = [decision(number, name=name, tags=(tag,)) for number, (name, tag) in enumerate(texts)]
    for reported_as in (reported(decisions), reported([], listed=tuple(decisions), asked="list")):
        found = [line for each in sections(*reported_as) for line in lines(each, width=width)]
        assert all(line.isprintable() for line in found)
        assert all(cell.isprintable() for line in tab_separated(*reported_as) for cell in line.split("\t"))
        colours = [line for each in sections(*reported_as) for line in lines(each, width=width, paint=coloured)]
        assert [re.sub("\x1b\\[[0-9]+m", "", line).rstrip() for line in colours] == found


@given(st.integers(0, 900), st.sampled_from("x🚀"), st.integers(0, 300))
def test_a_comment_fits_and_ends_with_a_whole_line(number: int, letter: str, width: int) -> None:
    run, settings = reported([decision(each, name=letter * width + str(each)) for each in range(number)])
    found, whole = comment(run, settings), summary(run, settings)
    assert len(found) <= COMMENT_LIMIT
    if found != whole:
        kept, _, said = found.rpartition("\n\n… ")
        assert said.startswith("cut to GitHub's size limit")
        assert whole.startswith(kept)
        assert whole[len(kept)] == "\n"


def test_a_forecast_stands_in_the_summary_once_and_names_every_package() -> None:
    hostile = key("npm", "a`b|[c](https://evil.example)")
    packages = [ForecastPackage(package=key("npm", f"p{n}"), settings_url=f"https://x.example/p{n}") for n in range(9)]
    packages.append(ForecastPackage(package=hostile, detail="<b>", settings_url="https://x.example/a)[b](c"))
    forecast = Forecast(what="the token lacks *x*", packages=tuple(packages), remedy="Do this")
    run, settings = reported([], forecasts=(forecast,), messages=("the token lacks *x*: npm/p0", "another"))
    text = summary(run, settings)
    assert text.count("the token lacks &#42;x&#42;") == 1
    assert "> another" in text
    assert all(f"[`npm/p{n}`](https://x.example/p{n})" in text for n in range(9))
    assert "x.example/a)" not in text
    assert "&#60;b&#62;" in text
