"""SQL is pure: its functions depend on their arguments and on the time of the run alone."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from package_keeper.model.packages import Timestamp
from package_keeper.policy.sql import (
    ALLOWED_FUNCTIONS,
    COMPUTING_FUNCTIONS,
    CURRENT,
    DATE_FUNCTIONS,
    Inventory,
    SqlProblem,
)
from tests.unit.making import NOW, version

DETERMINISTIC = 0x800
"""SQLite's mark of a function whose result depends on its arguments alone."""


def functions() -> list[tuple[str, int, str, int]]:
    """All functions of the SQLite at hand: name, number of arguments, kind, flags."""
    connection = sqlite3.connect(":memory:")
    try:
        return sorted(set(connection.execute("SELECT name, narg, type, flags FROM pragma_function_list")))
    finally:
        connection.close()


def inventory(now: datetime = NOW) -> Inventory:
    return Inventory(
        packages=[],
        versions=[version(number) for number in range(1, 4)],
        owner="acme",
        now=now,
        timestamp=Timestamp.UPDATED,
        may_go_on=lambda: True,
    )


def value(expression: str, now: datetime = NOW) -> Any:
    (row,) = inventory(now).query(f"SELECT {expression} AS value")
    return row["value"]


@pytest.fixture
def far_from_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine whose time zone is 14 hours away."""
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()
    assert os.environ.get("TZ") != "Pacific/Kiritimati"


NAMES = sorted({name for name, _, _, _ in functions()})


def ending(statement: str) -> str:
    """What is wrong with a statement; nothing when it has an answer."""
    try:
        inventory().query(statement)
    except SqlProblem as problem:
        return str(problem)
    return ""


@pytest.mark.parametrize("name", NAMES)
def test_a_function_is_allowed_by_name_or_cannot_be_called(name: str) -> None:
    counts = {count for each, count, _, _ in functions() if each == name}
    endings = {
        ending(f"SELECT [{name}]({', '.join(['NULL'] * count)}){over} FROM versions")  # noqa: S608  # reason: made here
        for count in (range(4) if min(counts) < 0 else counts)
        for over in ("", " OVER ()")
    }
    refusal = f"not authorized to use function: {name}"
    if name in ALLOWED_FUNCTIONS:
        assert refusal not in endings
    else:
        assert refusal in endings
        assert "" not in endings


@pytest.mark.parametrize("name", sorted(COMPUTING_FUNCTIONS & set(NAMES)))
def test_sqlite_marks_every_allowed_function_as_deterministic(name: str) -> None:
    kinds = [(kind, flags) for each, _, kind, flags in functions() if each == name]
    assert all(kind in "wa" or flags & DETERMINISTIC for kind, flags in kinds)


@pytest.mark.parametrize(
    "name",
    ["random", "randomblob", "changes", "total_changes", "last_insert_rowid", "sqlite_version", "sqlite_source_id"],
)
def test_randomness_and_state_are_refused(name: str) -> None:
    with pytest.raises(SqlProblem, match=f"not authorized to use function: {name}"):
        value(f"{name}({'8' if name == 'randomblob' else ''})")
    with pytest.raises(SqlProblem, match="not authorized"):
        inventory().selected(f"id > {name}({'8' if name == 'randomblob' else ''})")


def test_random_order_is_refused() -> None:
    with pytest.raises(SqlProblem, match="not authorized to use function: random"):
        inventory().query("SELECT id FROM versions ORDER BY random()")


NOWS = ["'now'", "'NOW'", "'n' || 'ow'", "x'6e6f77'", "'now' || char(0) || 'x'", "lower('NOW')"]


@pytest.mark.usefixtures("far_from_utc")
@pytest.mark.parametrize("now", NOWS)
def test_now_is_the_moment_of_the_run_however_it_is_spelt(now: str) -> None:
    assert value(f"datetime({now})") == "2026-06-15 12:00:00"
    assert value(f"date({now})") == "2026-06-15"
    assert value(f"time({now})") == "12:00:00"
    assert value(f"unixepoch({now})") == int(NOW.timestamp())
    assert value(f"julianday({now}) - julianday('2026-06-14 12:00')") == 1
    assert value(f"strftime('%Y-%m-%dT%H:%M:%fZ', {now})") == "2026-06-15T12:00:00.000Z"


@pytest.mark.usefixtures("far_from_utc")
@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("CURRENT_TIMESTAMP", "2026-06-15 12:00:00"),
        ("CURRENT_DATE", "2026-06-15"),
        ("CURRENT_TIME", "12:00:00"),
        ("current_timestamp", "2026-06-15 12:00:00"),
        ("datetime()", "2026-06-15 12:00:00"),
        ("date()", "2026-06-15"),
        ("time()", "12:00:00"),
        ("unixepoch()", int(NOW.timestamp())),
        ("julianday()", 2461207.0),
        ("strftime('%H')", "12"),
        ("datetime('now', '-30 days')", "2026-05-16 12:00:00"),
        ("datetime('now', '-30 DAYS', 'Start of Month')", "2026-05-01 00:00:00"),
        ("datetime('now', 'start of month', '+1 month', '-1 day')", "2026-06-30 00:00:00"),
        ("datetime(0, 'unixepoch')", "1970-01-01 00:00:00"),
        ("datetime('2026-06-15T14:00:00+02:00')", "2026-06-15 12:00:00"),
        ("datetime(NULL)", None),
        ("datetime('now', NULL)", None),
        ("datetime('yesterday')", None),
        ("strftime()", None),
        ("strftime(NULL, 'now')", None),
        # since SQLite 3.42 this means now
        ("datetime('subsec')", None),
        ("unixepoch('subsecond')", None),
    ],
)
def test_date_functions_return_what_sqlite_documents(expression: str, expected: object) -> None:
    assert value(expression) == expected


def test_now_has_the_milliseconds_of_the_run() -> None:
    assert value("strftime('%f', 'now')", NOW + timedelta(microseconds=123_900)) == "00.123"


@pytest.mark.parametrize(
    "modifier", ["localtime", "LocalTime", "utc", "subsec", "floor", "fortnight", "\u0661 day", ""]
)
def test_modifiers_that_depend_on_the_machine_or_on_its_sqlite_are_refused(modifier: str) -> None:
    with pytest.raises(SqlProblem, match=f"datetime takes no modifier '{modifier}'; accepted are"):
        value(f"datetime('now', '{modifier}')")
    with pytest.raises(SqlProblem, match="datetime takes no modifier"):
        inventory().selected(f"created_at < datetime('now', '{modifier}')")


@pytest.mark.parametrize("code", ["%e", "%F", "%G", "%T", "%"])
def test_codes_that_only_some_sqlite_knows_are_refused(code: str) -> None:
    with pytest.raises(SqlProblem, match=f"strftime takes no '{code}'; accepted are"):
        value(f"strftime('{code}', 'now')")


def test_ages_by_now_agree_with_age_days() -> None:
    rows = inventory().query("SELECT julianday('now') - julianday(updated_at) - age_days AS apart FROM versions")
    assert all(abs(row["apart"]) < 1e-6 for row in rows)
    assert inventory().selected("datetime(updated_at) < datetime('now', '-36 hours')") == {2, 3}


MOMENTS = st.integers(-30_000, 30_000).map(lambda days: f"{NOW + timedelta(days=days, minutes=days):%Y-%m-%d %H:%M:%S}")
MODIFIERS = st.sampled_from(
    [
        "+1 day", "-3 months", "12 hours", "+1.5 seconds", "-2 years", "30 minute", "start of month", "start of year",
        "start of day", "weekday 0", "weekday 6", "+02:00", "-05:30:00", "auto",
    ]
)  # fmt: skip


@given(st.sampled_from(DATE_FUNCTIONS[:4]), MOMENTS | st.floats(0, 5e6), st.lists(MODIFIERS, max_size=3))
def test_without_now_the_functions_are_those_of_sqlite(name: str, moment: str | float, modifiers: list[str]) -> None:
    given_ = ", ".join(f"'{each}'" if isinstance(each, str) else repr(each) for each in (moment, *modifiers))
    connection = sqlite3.connect(":memory:")
    try:
        ((expected,),) = connection.execute(f"SELECT {name}({given_})")
    finally:
        connection.close()
    assert value(f"{name}({given_})") == expected


def test_every_function_without_parentheses_means_a_date_function() -> None:
    assert set(CURRENT.values()) <= set(DATE_FUNCTIONS)
