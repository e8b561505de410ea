"""Tables: one row for each image, in as many columns as there are; lines with tabs for other programs; totals."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from package_keeper.model.packages import PackageName, PackageType
from package_keeper.model.plan import Action, Decision, Outcome, Plan, PlannedWrite, Reason, WriteRecord
from package_keeper.model.run import Run
from package_keeper.report.tables import columns, lines, sections, tab_separated
from package_keeper.report.totals import question, totals
from package_keeper.settings import Settings
from tests.unit.making import HOSTILE, version
from tests.unit.report.test_reports import reported

IMAGE = PackageName(type=PackageType.CONTAINER, name="app")


def listed(*texts: tuple[str, tuple[str, ...]]) -> tuple[Run, Settings]:
    decisions = tuple(
        Decision(version=version(number, name=name, tags=tags), action=Action.DELETE, reason=Reason.SELECTED)
        for number, (name, tags) in enumerate(texts)
    )
    return reported([], listed=decisions, asked="explain")


def table(run: Run, settings: Settings | None, width: int, most: int | None = None) -> list[str]:
    return [line for section in sections(run, settings, most=most) for line in lines(section, width=width)]


def images(number: int, parts: int, package: PackageName = IMAGE) -> list[tuple[PlannedWrite, ...]]:
    """The deletions of so many images with so many parts each."""
    return [
        tuple(
            PlannedWrite(
                action=Action.DELETE,
                reason=Reason.PART_OF if part else Reason.SELECTED,
                package=package,
                version_id=1_000 * image + part,
                version_name=f"sha256:{image:032x}{part:032x}",
                tags=() if part else (f"pr-{image}",),
            )
            for part in range(parts + 1)
        )
        for image in range(1, number + 1)
    ]


def planned(groups: list[tuple[PlannedWrite, ...]], outcomes: dict[int, Outcome] | None = None) -> tuple[Run, Settings]:
    run, settings = reported([], asked="delete")
    run = replace(run, plan=Plan(groups=tuple(groups)), result="done" if outcomes is not None else "planned")
    if outcomes is not None:
        run = replace(
            run,
            records=tuple(
                WriteRecord(write=write, outcome=outcomes.get(write.version_id or 0, Outcome.DONE))
                for write in run.plan.writes
            ),
        )
    return run, settings


@pytest.mark.parametrize(
    ("text", "width"),
    [
        ("", 0),
        ("left-pad", 8),
        ("é", 1),
        ("e\N{COMBINING ACUTE ACCENT}", 1),
        ("漢字", 4),
        ("\N{FULLWIDTH LATIN CAPITAL LETTER A}b", 3),
        ("한국", 4),
        (unicodedata.normalize("NFD", "한국"), 4),
        ("🚀 go", 5),
        ("ไทยที่", 4),
        ("שלום", 4),
    ],
)
def test_text_is_as_wide_as_a_terminal_shows_it(text: str, width: int) -> None:
    assert columns(text) == width


@given(
    st.lists(st.tuples(HOSTILE, st.lists(HOSTILE, max_size=4).map(tuple)), min_size=1, max_size=5), st.integers(80, 250)
)
def test_a_table_fits_the_terminal(texts: list[tuple[str, tuple[str, ...]]], width: int) -> None:
    assert all(columns(line) < width for line in table(*listed(*texts), width))


def test_a_table_has_the_documented_form() -> None:
    assert table(*listed(("1.0.0", ("v1", "漢字")), ("2.0.0", ())), 120) == [
        "npm/app: 2 versions",
        "image             id  updated     decision  reason",
        "1.0.0 [v1, 漢字]  0   2026-06-15  delete    selected",
        "2.0.0             1   2026-06-14  delete    selected",
    ]


def test_an_image_is_one_row_whatever_it_is_made_of() -> None:
    run, settings = planned(images(3, 6), {1_002: Outcome.FAILED})
    assert table(run, settings, 80) == [
        "container/app: 3 images, 21 versions",
        "image  id    updated  versions  decision  reason    outcome",
        "pr-1   1000           7         delete    selected  6 done, 1 failed",
        "pr-2   2000           7         delete    selected  done",
        "pr-3   3000           7         delete    selected  done",
    ]
    assert totals(run, settings) == "done: 20 versions of 3 images in 1 package deleted, 1 failed"


def test_a_log_shows_the_first_images_of_each_package_and_how_many_more_there_are() -> None:
    other = PackageName(type=PackageType.CONTAINER, name="web")
    run, settings = planned(images(300, 0) + images(2, 1, other))
    found = table(run, settings, 160, most=20)
    assert len(found) == 27
    assert found[22] == "and 280 more"
    assert found[23] == "container/web: 2 images, 4 versions"


def test_another_program_gets_every_cell_whole_and_no_header() -> None:
    tags = tuple(f"v1.2.{number}-{'x' * 40}" for number in range(9))
    run, settings = listed(("1.0.0\t\x1b[31m", tags))
    assert list(tab_separated(run, settings)) == [
        "\t".join(["npm/app", "0", "1.0.0��[31m", ",".join(tags), "2026-06-15 12:00", "1", "delete", "selected"])
    ]


def test_a_query_shows_its_rows_only() -> None:
    run, settings = listed(("1.0.0", ()))
    run = replace(run, rows=[{"package": "app", "versions": 3}, {"package": None, "versions": 12}])
    assert table(run, settings, 80) == ["package  versions", "app      3", "         12"]
    assert list(tab_separated(run, settings)) == ["app\t3", "\t12"]
    assert table(replace(run, rows=[]), settings, 80) == []


@pytest.mark.parametrize(
    ("groups", "asked"),
    [
        (images(3, 6), "Delete 21 versions of 3 images in 1 package? [y/N] "),
        (images(1, 0, PackageName(type=PackageType.NPM, name="x")), "Delete 1 version in 1 package? [y/N] "),
        (
            [(PlannedWrite(action=Action.DELETE, reason=Reason.SELECTED, package=IMAGE),)],
            "Delete 1 whole package? [y/N] ",
        ),
        (
            [(replace(images(1, 0)[0][0], action=Action.UNTAG, tag="pr-1"),), *images(2, 0)],
            "Delete 2 versions of 2 images and take away 1 tag in 1 package? [y/N] ",
        ),
        ([(replace(images(1, 0)[0][0], action=Action.RESTORE),)], "Restore 1 version of 1 image in 1 package? [y/N] "),
    ],
)
def test_the_question_says_how_much_is_written(groups: list[tuple[PlannedWrite, ...]], asked: str) -> None:
    assert question(groups) == asked
