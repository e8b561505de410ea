"""The summary: what stands in it, where it is cut, and that text from outside stays text."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from package_keeper.errors import ApiError, ApiErrorKind, BadInput
from package_keeper.model.images import MissingPart, VerifiedImage
from package_keeper.model.permissions import ADMIN_ROLE
from package_keeper.model.plan import Action, Decision, Outcome, Plan, Reason, WriteRecord
from package_keeper.model.run import Forecast, ForecastPackage, Problem, Run, Scope
from package_keeper.report.findings import _ANCHORS, _advice, _Group, findings
from package_keeper.report.links import PROJECT, docs_base, docs_link
from package_keeper.report.markdown import code, escape, link
from package_keeper.report.summary import COMMENT_LIMIT, SUMMARY_LIMIT, Background, comment, summary
from package_keeper.report.words import REASONS, age_text, duration_text
from package_keeper.settings import Operation, Settings
from tests.hostile import rendered
from tests.unit.making import HOSTILE, NOW, key, package, version
from tests.unit.report.test_reports import SETTINGS, decision, planned, reported

TROUBLESHOOTING = Path(__file__).resolve().parents[3] / "docs" / "troubleshooting.md"


def text_of(run: Run, settings: Settings | None, **more: Any) -> str:
    return summary(run, settings, Background(**more))


def heading(run: Run, settings: Settings | None) -> str:
    return text_of(run, settings).splitlines()[0].removeprefix("## ")


def container(number: int, *tags: str, action: Action = Action.DELETE, **more: Any) -> Decision:
    reason = more.pop("reason", Reason.SELECTED)
    name = f"sha256:{number:064x}"
    return Decision(
        version=version(number, of=key("container"), name=name, tags=tags, **more), action=action, reason=reason
    )


def anchors() -> set[str]:
    """The anchors that GitHub makes of the headings of the page on troubles."""
    titles = re.findall(r"^#+ (.*)$", TROUBLESHOOTING.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


# --- text from outside ---


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
    printable = "".join(character if character.isprintable() else "�" for character in text).strip()
    assert html.unescape(found).replace("\u200b", "") == printable or "&" in text


@given(st.lists(st.tuples(HOSTILE, HOSTILE, HOSTILE), min_size=1, max_size=4), st.sampled_from(Outcome))
def test_github_renders_nothing_of_a_text_but_the_text(texts: list[tuple[str, str, str]], outcome: Outcome) -> None:
    decisions = [
        decision(number, name=name, tags=(tag,), of=key(name=note)) for number, (name, tag, note) in enumerate(texts)
    ]
    base, settings = reported(decisions, [outcome] * len(decisions), receipt=texts[0][0] or "r.jsonl")
    records = tuple(
        replace(record, message=message) for record, (_, _, message) in zip(base.records, texts, strict=True)
    )
    forecast = Forecast(
        what=texts[0][0], packages=(ForecastPackage(package=key(name=texts[0][1]), detail=texts[0][2]),), remedy="Do"
    )
    run = replace(
        base,
        records=records,
        messages=tuple(message for _, _, message in texts),
        forecasts=(forecast,),
        scope=Scope(missing=tuple(name for name, _, _ in texts)),
    )
    page = rendered(text_of(run, settings, inputs={"package": texts[0][0]}))
    assert page.problems == []
    assert set(page.rows) <= {2, 4, 5, 6}


def test_an_address_that_could_break_out_is_no_link() -> None:
    assert link("`x`", "https://x.example/a)[b](c") == "`x`"
    assert link("`x`", "javascript:alert(1)") == "`x`"
    assert link("`x`", "https://github.com/orgs/a/packages/npm/%40team%2Flib") != "`x`"


def test_line_breaks_of_a_message_stay_line_breaks() -> None:
    error = BadInput(["older-than: '30m' is not accepted", "limit: '-1' is not a whole number"])
    run, _ = reported([], result="failed", ended_by=error, messages=(str(error),))
    found = text_of(run, None)
    assert heading(run, None) == "❌ Not started, since the inputs cannot be used"
    assert found.count("older-than") == 1, "a message is told once"
    assert "> <br>\n> &#45; limit: '-1' is not a whole number" in found


# --- the heading ---


@pytest.mark.parametrize(
    ("outcomes", "result", "expected"),
    [
        ([Outcome.DONE] * 3, "done", "✅ 3 versions deleted"),
        ([Outcome.DONE], "done", "✅ 1 version deleted"),
        (
            [Outcome.DONE] * 2 + [Outcome.FAILED] + [Outcome.NO_PERMISSION] + [Outcome.PROTECTED_BY_DOWNLOADS],
            "failed",
            "❌ 2 of 5 versions deleted, 2 failed, 1 refused by GitHub",
        ),
        ([Outcome.DONE, Outcome.LAST_VERSION], "done", "⚠️ 1 of 2 versions deleted, 1 refused by GitHub"),
        ([Outcome.DONE, Outcome.ALREADY_GONE], "done", "✅ 1 of 2 versions deleted, 1 already gone"),
        ([Outcome.DONE, Outcome.OVER_LIMIT], "partial", "⏸️ 1 of 2 versions deleted, 1 left for the next run"),
        (
            [Outcome.DONE, Outcome.OUT_OF_TIME],
            "cancelled",
            "🛑 Cancelled: 1 of 2 versions deleted, 1 left for the next run",
        ),
    ],
)
def test_the_heading_is_the_outcome_with_its_numbers(outcomes: list[Outcome], result: str, expected: str) -> None:
    run, settings = reported([decision(number) for number in range(len(outcomes))], outcomes, result=result)
    assert heading(run, settings) == expected


def test_a_dry_run_cannot_be_mistaken() -> None:
    images = [container(1), container(2, reason=Reason.PART_OF), container(3)]
    writes = [planned(each) for each in images]
    run, settings = reported(images, result="planned")
    run = replace(run, plan=Plan(groups=((writes[0], writes[1]), (writes[2],)), decisions=tuple(images)))
    assert heading(run, settings) == "🔍 Dry run: 3 versions of 2 images would go"
    assert "Nothing was written. With `dry-run: false` the plan is carried out." in text_of(run, settings)
    nothing, settings = reported([decision(1, Action.KEEP, Reason.TOO_YOUNG)], result="nothing-to-do")
    assert heading(nothing, settings) == "✅ Dry run: nothing to do, the only version stays"
    assert "is carried out" not in text_of(nothing, settings)


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ("cancelled", "🛑 Cancelled: ended before there was a plan"),
        ("partial", "⏸️ Ended before there was a plan"),
        ("failed", "❌ Failed, and nothing was written"),
    ],
)
def test_a_run_without_a_plan_does_not_say_that_there_was_nothing_to_do(result: str, expected: str) -> None:
    run, settings = reported([], result=result)
    assert heading(run, replace(settings, dry_run=False)) == expected


def test_a_guard_that_refuses_and_a_package_that_cannot_be_read_say_that_nothing_was_written() -> None:
    run, settings = reported([decision(1)], [Outcome.DONE])
    assert heading(replace(run, records=(), result="refused"), settings) == "🛑 Refused, and nothing was written"
    error = ApiError(ApiErrorKind.NO_PERMISSION, "no", status=403, remedy=ADMIN_ROLE)
    problems = tuple(Problem(what=f"p{n}", error=error, package=key(name=f"p{n}")) for n in range(170))
    packages = tuple(package(f"p{n}", number=n) for n in range(170))
    run = Run(scope=Scope(packages=packages, problems=problems), result="failed")
    assert heading(run, settings) == "❌ 170 of 170 packages could not be read, and nothing was written"
    assert len(findings(run, None)) == 1, "one block for each cause"


@pytest.mark.parametrize(("broken", "expected"), [(0, "✅ All 3 images are whole"), (1, "❌ 1 of 3 images is broken")])
def test_verify_says_how_many_images_are_broken(broken: int, expected: str) -> None:
    part = MissingPart(digest=f"sha256:{9:064x}", versions=(version(9, deleted_at=NOW - timedelta(days=10)),))
    verified = tuple(
        VerifiedImage(root=container(n, f"v{n}").version, missing=(part,) if n < broken else ()) for n in range(3)
    )
    settings = replace(SETTINGS["list"], operation=Operation.VERIFY)
    run = Run(verified=verified, broken=broken, result="failed" if broken else "done")
    assert heading(run, settings) == expected
    found = text_of(run, settings)
    assert ("yes, until 5 July 2026" in found) == bool(broken)
    assert ("> operation: repair\n> package: app\n> dry-run: false" in found) == bool(broken)


# --- what needs attention ---


def test_170_refusals_for_one_missing_permission_are_one_block() -> None:
    decisions = [decision(n, name="1.0.0", of=key(name=f"service-{n}")) for n in range(170)]
    run, settings = reported(decisions, [Outcome.NO_PERMISSION] * 170, result="failed")
    text = f"Resource not accessible by integration (HTTP 403). {ADMIN_ROLE}"
    records = tuple(replace(record, message=text) for record in run.records)
    told = tuple(f"npm/service-{n} 1.0.0 (id {n}): no-permission, selected ({text})" for n in range(170))
    packages = tuple(
        package(f"service-{n}", number=n, html_url=f"https://github.com/acme/x/packages/{n}") for n in range(170)
    )
    run = replace(run, records=records, messages=told, scope=Scope(packages=packages))
    found = text_of(run, settings)
    assert found.count("Resource not accessible") == 1
    assert found.count("[!CAUTION]") == 1
    assert "170 versions in 170 packages: no permission" in found
    assert "> permissions:\n>   contents: read\n>   packages: write" in found
    assert "[`npm/service-169`](https://github.com/acme/x/packages/169/settings)" in found


def test_parts_that_stay_with_their_root_belong_to_its_cause() -> None:
    run, _ = reported([decision(1), decision(2)], [Outcome.PROTECTED_BY_DOWNLOADS] * 2)
    messages = ("Publicly visible … (HTTP 400)", "stays, since what it belongs to is still there")
    records = tuple(replace(each, message=text) for each, text in zip(run.records, messages, strict=True))
    (finding,) = findings(replace(run, records=records), None)
    assert finding.title == "2 versions in 1 package: public, with more than 5,000 downloads"
    assert finding.fix == ("keep-versions: |", "  1.0.1", "  1.0.2")


def test_a_forecast_stands_in_the_summary_once_and_names_every_package() -> None:
    hostile = key("npm", "a`b|[c](https://evil.example)")
    packages = [ForecastPackage(package=key("npm", f"p{n}"), settings_url=f"https://github.com/p{n}") for n in range(9)]
    packages.append(ForecastPackage(package=hostile, detail="<b>", settings_url="https://x.example/a)[b](c"))
    forecast = Forecast(what="the token lacks *x*", packages=tuple(packages), remedy="Do this")
    run, settings = reported([], forecasts=(forecast,), messages=("the token lacks *x*: npm/p0", "another"))
    text = text_of(run, settings)
    assert text.count("he token lacks &#42;x&#42;") == 1
    assert "> another" in text
    assert all(f"[`npm/p{n}`](https://github.com/p{n})" in text for n in range(9))
    assert "x.example/a)" not in text
    assert "&#60;b&#62;" in text


def test_after_the_writes_their_outcomes_stand_for_what_was_forecast() -> None:
    forecast = Forecast(what="the token lacks x", packages=(ForecastPackage(package=key()),), remedy="Do this")
    run, settings = reported([decision(1)], [Outcome.DONE], forecasts=(forecast,))
    assert "the token lacks" not in text_of(run, settings).lower()


@pytest.mark.parametrize("outcome", Outcome)
@pytest.mark.parametrize("said", ["", "SAML https://github.com/x", "needs a scope", "Bad credentials (HTTP 401)"])
def test_every_link_leads_to_a_section(outcome: Outcome, said: str) -> None:
    anchor = _advice(_Group(outcome, said, [planned(decision(1))])).anchor
    assert not anchor or anchor in anchors()


def test_every_link_about_a_forecast_leads_to_a_section() -> None:
    assert set(_ANCHORS.values()) <= anchors()


def test_every_other_link_leads_to_a_section() -> None:
    run = Run(scope=Scope(missing=("x",)), broken=1, ended_by=BadInput(["x"]))
    found = [finding.anchor for finding in findings(run, None)]
    assert len(found) == 3
    assert set(found) <= anchors()


def test_messages_of_one_kind_are_told_once() -> None:
    messages = tuple(f"npm/p{n}: GitHub lists only a part of the versions" for n in range(170))
    run, settings = reported([], messages=messages)
    assert "… and 169 more like this" in text_of(run, settings).split("<details>")[0]


# --- the way back ---


def test_the_way_back_stands_above_the_details_and_reminds_of_the_receipt() -> None:
    run, settings = reported([decision(1)], [Outcome.DONE], receipt="r-2.jsonl")
    found = text_of(run, settings)
    assert "**Take it back until 15 July 2026**" in found
    assert "> operation: restore\n> undo: r-2.jsonl\n> dry-run: false" in found
    assert "actions/upload-artifact" in found
    assert found.index("Take it back") < found.index("<details>")
    assert "upload-artifact" not in text_of(run, settings, uploads_receipt=True)


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.ALREADY_GONE])
def test_there_is_no_way_back_from_nothing(outcome: Outcome) -> None:
    run, settings = reported([decision(1)], [outcome], receipt="r.jsonl")
    assert "Take it back" not in text_of(run, settings)


# --- tables ---


def test_packages_have_their_counts_and_a_total() -> None:
    decisions = [
        decision(1, of=key(name="a")),
        decision(2, of=key(name="a")),
        decision(3, of=key(name="b")),
        decision(4, Action.KEEP, Reason.TOO_YOUNG, of=key(name="b")),
    ]
    run, settings = reported(decisions, [Outcome.DONE, Outcome.FAILED, Outcome.LAST_VERSION])
    run = replace(run, sizes={key(name="a"): 1_500})
    rows = [cells(row) for row in text_of(run, settings).splitlines() if row.startswith("| ")]
    assert rows[0] == ["package", "before", "went", "refused", "failed", "stays", "size"]
    assert rows[2] == ["a", "2", "1", "0", "1", "1", "1.5 kB"]
    assert rows[3] == ["b", "2", "0", "1", "0", "2", ""]
    assert rows[4] == [f"**{cell}**" for cell in ("total", "4", "1", "1", "1", "3", "1.5 kB")]


def test_an_image_is_one_row_with_its_parts_as_a_count() -> None:
    decisions = [container(40, "v1", "latest"), container(41, reason=Reason.PART_OF), container(42)]
    root, part, other = (planned(each) for each in decisions)
    run, settings = reported(decisions, result="planned")
    run = replace(run, plan=Plan(groups=((other,), (root, part)), decisions=tuple(decisions)))
    found = text_of(run, settings)
    rows = [cells(row) for row in found[found.index("What would go: 2 images, newest first") :].splitlines()]
    rows = [row for row in rows if len(row) == 4]
    assert rows[2] == ["`v1` `latest`", "1", "40 days", "`selected`"]
    assert rows[3] == [f"`{decisions[2].version.name[:19]}`", "", "42 days", "`selected`"]


def test_parts_that_are_restored_before_their_image_join_it() -> None:
    root, part = container(1, "v1", action=Action.RESTORE), container(2, action=Action.RESTORE)
    writes = [replace(planned(part), root=root.version.name), planned(root)]
    run, settings = reported([], asked="delete")
    settings = replace(settings, operation=Operation.RESTORE, dry_run=False)
    records = tuple(WriteRecord(write=write, outcome=Outcome.DONE) for write in writes)
    run = replace(run, plan=Plan.of_singles(writes), records=records)
    assert heading(run, settings) == "✅ 2 versions restored"
    assert "What was restored: 1 image, newest first" in text_of(run, settings)


def test_what_stays_is_grouped_by_reason_with_its_tags() -> None:
    decisions = [
        container(1, "v1", "v2", action=Action.KEEP, reason=Reason.KEEP_TAGS),
        container(2, "v3", action=Action.KEEP, reason=Reason.KEEP_TAGS),
    ]
    found = text_of(*reported(decisions, result="nothing-to-do"))
    assert "| `keep-tags` it has a tag to keep | 2 | `v1` `v2` `v3` |" in found


def test_what_was_asked_is_folded() -> None:
    found = text_of(*reported([]), inputs={"keep-tags": "v*\nlatest"})
    assert "<details><summary>What was asked: 1 input</summary>\n\n| input | value |" in found
    assert "| `keep-tags` | `v* latest` |" in found


def test_every_reason_is_said_in_words() -> None:
    assert REASONS.keys() == set(Reason)


# --- sizes ---


@pytest.mark.parametrize("letter", ["x", "é", "🚀", "|", "`", "<", "\n"])
def test_a_summary_never_grows_too_large_and_ends_whole(letter: str) -> None:
    decisions = [
        decision(number, name=f"{number}{letter * 3_000}", tags=(letter * 3_000,), of=key(name=f"p{number}"))
        for number in range(700)
    ]
    run, settings = reported(decisions, [Outcome.FAILED] * len(decisions), messages=(letter * 20_000,) * 60)
    for text, size in ((text_of(run, settings), SUMMARY_LIMIT), (comment(run, settings, Background()), COMMENT_LIMIT)):
        assert len(text.encode()) <= size * (4 if size == COMMENT_LIMIT else 1)
        assert size == SUMMARY_LIMIT or len(text) <= size
        assert text.count("<details>") == text.count("</details>")
        assert rendered(text).problems == []


def test_long_tables_name_the_file_only_when_it_was_written() -> None:
    run, settings = reported([decision(number) for number in range(700)])
    assert "… and 200 more; to get all of them, set `output-file`." in text_of(run, settings)
    run = replace(run, output_file="all.json")
    assert "… and 200 more; the file `all.json` has all of them." in text_of(run, settings)


# --- words ---


@pytest.mark.parametrize(
    ("days", "expected"), [(0, "now"), (0.5, "12 hours"), (40, "40 days"), (100, "3 months"), (800, "2 years")]
)
def test_an_age_is_said_in_words(days: float, expected: str) -> None:
    assert age_text(NOW - timedelta(days=days), NOW) == expected
    assert age_text(None, NOW) == "unknown"


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0.42, "0.4 s"), (59.6, "1 min 0 s"), (185, "3 min 5 s"), (4_800, "1 h 20 min")]
)
def test_a_duration_is_said_in_words(seconds: float, expected: str) -> None:
    assert duration_text(seconds) == expected


def test_links_lead_to_the_version_in_use() -> None:
    base = docs_base("https://github.com", "acme/package-keeper", "v1.2.3")
    assert docs_link(base, "sql.md", "x") == "https://github.com/acme/package-keeper/blob/v1.2.3/docs/sql.md#x"
    assert docs_base("", "", "") == docs_base("https://x)", "a/b", "v1") == f"{PROJECT}/blob/HEAD"
    assert docs_base("https://github.com", "a/b", "v1 )") == "https://github.com/a/b/blob/HEAD"
