"""Tables for a terminal: lines of equal width that break between tags only."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from package_keeper.model.plan import Action, Decision, Reason
from package_keeper.model.run import Run
from package_keeper.report.tables import ROWS, columns, result_tables
from package_keeper.settings import Settings
from tests.unit.making import HOSTILE, version
from tests.unit.report.test_reports import reported


def listed(*texts: tuple[str, tuple[str, ...]]) -> tuple[Run, Settings]:
    decisions = tuple(
        Decision(version=version(number, name=name, tags=tags), action=Action.DELETE, reason=Reason.SELECTED)
        for number, (name, tags) in enumerate(texts)
    )
    return reported([], listed=decisions, asked="explain")


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
    st.lists(st.tuples(HOSTILE, st.lists(HOSTILE, max_size=4).map(tuple)), min_size=1, max_size=5), st.integers(20, 250)
)
def test_every_line_of_a_table_is_as_wide_as_its_frame(texts: list[tuple[str, tuple[str, ...]]], width: int) -> None:
    table, _ = result_tables(*listed(*texts), width=width)
    assert len({columns(line) for line in table.splitlines()}) == 1


def test_a_table_has_the_documented_form() -> None:
    table, _ = result_tables(*listed(("1.0.0", ("v1", "漢字")), ("2.0.0", ())), width=120)
    assert table.splitlines() == [
        "┌─────────┬────┬─────────┬──────────┬──────────────────┬──────────┬──────────┐",
        "│ package │ id │ version │ tags     │ updated          │ decision │ reason   │",
        "├─────────┼────┼─────────┼──────────┼──────────────────┼──────────┼──────────┤",
        "│ npm/app │ 0  │ 1.0.0   │ v1, 漢字 │ 2026-06-15 12:00 │ delete   │ selected │",
        "│ npm/app │ 1  │ 2.0.0   │          │ 2026-06-14 12:00 │ delete   │ selected │",
        "└─────────┴────┴─────────┴──────────┴──────────────────┴──────────┴──────────┘",
    ]


def test_a_narrow_table_is_wrapped_between_tags_and_cuts_none() -> None:
    tags = ("v1.2.3", "nightly-2026-06-15", f"sha-{'a' * 40}", "latest")
    table, _ = result_tables(*listed(("1.0.0", tags)), width=80)
    lines = table.splitlines()
    assert len(lines) > 5
    assert all(any(f" {tag}" in line for line in lines) for tag in tags)


def test_a_long_result_is_cut_into_tables_and_says_what_is_left() -> None:
    many = listed(*((f"1.0.{number}", ()) for number in range(ROWS + 5)))
    assert len(list(result_tables(*many, width=120))) == 3
    found = list(result_tables(*many, width=120, most=20))
    assert len(found[0].splitlines()) == 24
    assert found[1] == f"and {ROWS + 5 - 20} more; output-file has all of them"
