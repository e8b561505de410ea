"""SQL reads three tables and nothing else, within limits of time, memory and length."""

from __future__ import annotations

import os
import resource
import warnings
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from package_keeper.model.packages import Version
from package_keeper.policy import sql
from package_keeper.policy.sql import ALLOWED_FUNCTIONS, DATE_FUNCTIONS, SqlProblem, check_expression, check_query
from tests.unit.making import key, package, version
from tests.unit.policy.test_sql_is_pure import inventory, value


def counting(last: int | str, what: str = "max(n)") -> str:
    """A statement that counts to a number, or for ever."""
    end = f"WHERE n < {last}" if isinstance(last, int) else last
    return f"WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c {end}) SELECT {what} AS n FROM c"  # noqa: S608  # reason: made here


FOR_EVER = counting("")


def rows(statement: str, *versions: Version) -> list[dict[str, Any]]:
    return replace(inventory(), versions=versions).query(statement)


# --- what may be read ---


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("INSERT INTO versions (id) SELECT id FROM versions", "not authorized"),
        ("CREATE TABLE x AS SELECT 1", "not authorized"),
        ("DELETE FROM versions WHERE id IN (SELECT 1)", "not authorized"),
        ("PRAGMA table_info(versions)", "not authorized"),
        ("ATTACH ':memory:' AS other", "not authorized"),
        ("SELECT count(*) FROM sqlite_master", "not authorized"),
        ("SELECT count(*) FROM sqlite_temp_master", "not authorized"),
        ("SELECT name FROM sqlite_master", "prohibited|not authorized"),
        ("SELECT file FROM pragma_database_list", "not authorized"),
        ("SELECT count(*) FROM pragma_database_list", "not authorized"),
        ("VACUUM", "this is no SELECT"),
        ("REINDEX", "this is no SELECT"),
        ("QUERY PLAN SELECT 1", "syntax error"),
        ("SELECT 1; SELECT 2", "one statement at a time"),
        ('SELECT "a]b" FROM versions', "no such column: a]b"),
    ],
)
def test_what_reads_something_else_or_does_not_read_is_refused_beforehand(statement: str, problem: str) -> None:
    with pytest.raises(SqlProblem, match=problem):
        check_query(statement)
    with pytest.raises(SqlProblem, match=problem):
        inventory().query(statement)


@pytest.mark.parametrize(
    ("statement", "tables"),
    [
        ("SELECT 1", set()),
        ("VALUES (1), (2)", set()),
        ("SELECT value FROM json_each('[1]')", set()),
        ("SELECT count(*) FROM versions", {"versions"}),
        ("SELECT count(*) FROM (SELECT 1 UNION SELECT 2)", set()),
        ("WITH old AS (SELECT id FROM versions) SELECT count(*) FROM old JOIN tags", {"versions", "tags"}),
        ("SELECT name, (SELECT max(j.value) FROM json_each(tags) AS j) FROM versions", {"versions"}),
        ("SELECT p.name FROM packages AS p", {"packages"}),
        (counting(9), set()),
        (counting(9, "count(*)"), set()),
    ],
)
def test_the_tables_that_a_query_reads(statement: str, tables: set[str]) -> None:
    assert check_query(statement) == tables
    assert replace(inventory(), packages=[package()]).query(statement) != []


@pytest.mark.parametrize("expression", ["1) OR (1", "id = 1) UNION SELECT id FROM versions WHERE (1"])
def test_an_expression_closes_no_parenthesis_that_it_did_not_open(expression: str) -> None:
    with pytest.raises(SqlProblem, match="syntax error"):
        check_expression(expression)
    with pytest.raises(SqlProblem, match="syntax error"):
        inventory().selected(expression)


def test_the_case_of_a_functions_name_does_not_matter() -> None:
    for name in sorted(ALLOWED_FUNCTIONS - {"->", "->>"}):
        for spelling in (name.upper(), f"[{name.title()}]"):
            try:
                check_query(f"SELECT {spelling}()")  # reason: made here
            except SqlProblem as problem:
                assert "not authorized" not in str(problem)  # noqa: PT017  # reason: a wrong number of arguments is fine
    assert value("UPPER('a') || Lower('B') || Date('NOW')") == "Ab2026-06-15"


@pytest.mark.parametrize("name", DATE_FUNCTIONS)
def test_bytes_that_are_no_text_are_no_date(name: str) -> None:
    form = "'%Y', " if name == "strftime" else ""
    assert value(f"{name}({form}x'ff') IS NULL") == 1


def test_each_tag_is_a_row() -> None:
    tagged = version(1, tags=("a", "b"), of=key("container"))
    assert rows("SELECT version_id, tag FROM tags ORDER BY tag", tagged, version(2, of=key("container"))) == [
        {"version_id": 1, "tag": "a"},
        {"version_id": 1, "tag": "b"},
    ]


@pytest.mark.parametrize("text", ["é", "日本", "\U0001f680"])
def test_text_in_tags_and_metadata_is_readable(text: str) -> None:
    one = version(1, of=key("container"), tags=(f"v-{text}",), metadata={"note": [text]})
    statement = f"SELECT tags, metadata FROM versions WHERE tags LIKE '%{text}%' AND metadata LIKE '%{text}%'"  # noqa: S608  # reason: made here
    assert rows(statement, one) == [{"tags": f'["v-{text}"]', "metadata": f'{{"note": ["{text}"]}}'}]


@pytest.mark.parametrize(
    ("kind", "tags", "is_known", "tagged"),
    [
        ("container", ("v1",), True, 1),
        ("container", (), True, 0),
        ("container", (f"sha256-{'a' * 64}.sig",), True, 0),
        ("docker", ("v1",), True, 1),
        ("container", ("v1",), False, None),
        ("container", (), False, None),
        ("npm", (), True, None),
    ],
)
def test_whether_a_version_is_tagged(kind: str, tags: tuple[str, ...], is_known: bool, tagged: int | None) -> None:
    one = version(1, of=key(kind), tags=tags, tags_known=is_known)
    assert rows("SELECT tagged FROM versions", one) == [{"tagged": tagged}]


def test_values_that_json_does_not_have() -> None:
    assert inventory().query("SELECT 9e999 AS a, -9e999 AS b, 1.5 AS c, x'00ff' AS d, NULL AS e, 'inf' AS f") == [
        {"a": None, "b": None, "c": 1.5, "d": "00ff", "e": None, "f": "inf"}
    ]


# --- limits ---


def test_a_statement_runs_until_its_time_is_over() -> None:
    assert inventory().query(counting(10_000)) == [{"n": 10_000}]
    over = replace(inventory(), may_go_on=lambda: False)
    for statement in (counting(10_000), FOR_EVER):
        with pytest.raises(SqlProblem, match="takes too long and was stopped"):
            over.query(statement)
    with pytest.raises(SqlProblem, match="takes too long and was stopped"):
        over.selected(f"({FOR_EVER}) > 0")


def test_a_value_has_at_most_a_million_bytes() -> None:
    assert value("length(zeroblob(1000000))") == 1_000_000
    with pytest.raises(SqlProblem, match="too big"):
        value("length(zeroblob(1000001))")
    with pytest.raises(SqlProblem, match="too big"):
        inventory().selected("length(zeroblob(id + 1000000)) > 0")


def test_a_statement_has_at_most_a_million_bytes() -> None:
    long = f"SELECT 1 AS n --{'x' * 999_000}"
    assert inventory().query(long) == [{"n": 1}]
    with pytest.raises(SqlProblem, match=r"too large|too long"):
        check_query(f"{long}{'x' * 1_000}")
    with pytest.raises(SqlProblem, match=r"too large|too long"):
        check_expression(f"1 --{'x' * 1_000_000}")


def test_a_pattern_has_at_most_a_thousand_bytes() -> None:
    assert value(f"'{'a' * 1_000}' LIKE '{'a' * 1_000}'") == 1
    with pytest.raises(SqlProblem, match="pattern too complex"):
        value(f"'a' LIKE '{'%' * 1_001}'")


def test_all_rows_together_have_a_size(monkeypatch: pytest.MonkeyPatch) -> None:
    statement = "SELECT 'abc' AS text, x'00ff' AS bytes, 12345 AS number UNION ALL SELECT 'abd', x'00ff', 12345"
    row = len("abc") + len(b"\x00\xff") + 3 * sql.CELL
    monkeypatch.setattr(sql, "LARGEST_RESULT", 2 * row)
    assert len(inventory().query(statement)) == 2
    # one row fits exactly: the other one must not be lost in silence
    for largest in (2 * row - 1, row):
        monkeypatch.setattr(sql, "LARGEST_RESULT", largest)
        with pytest.raises(SqlProblem, match="gives more than 0 MB; add a LIMIT or a condition"):
            inventory().query(statement)


def test_rows_without_an_end_are_stopped_by_their_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sql, "LARGEST_RESULT", 3 << 20)
    checks = count()
    limited = replace(inventory(), may_go_on=lambda: next(checks) < 5_000)
    with pytest.raises(SqlProblem, match="gives more than 3 MB"):
        limited.query(counting("", "n"))


SORTING = "SELECT count(*) AS number FROM (SELECT printf('%01000d', n) AS text FROM c ORDER BY text LIMIT 50000)"
"""Sorts some MB."""


def sorting(last: int) -> str:
    return counting(last).replace("SELECT max(n) AS n FROM c", SORTING)


def test_no_file_is_opened_to_sort() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # no file can have a byte
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        found = inventory().query(sorting(5_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert found == [{"number": 5_000}]


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        (sorting(50_000), "needs more than 24 MB of memory"),
        (f"SELECT 1 WHERE 1 IN ({'1,' * 400_000} 1)", "out of memory"),
    ],
    ids=["to run", "to prepare"],
)
def test_memory_has_a_limit(statement: str, problem: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    said = tmp_path / "said"
    monkeypatch.setattr(sql, "HEAP", 24 << 20)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        # the limit is that of a process, and cannot be raised again
        process = os.fork()
    if not process:
        try:
            said.write_text(str(inventory().query(statement)))
        except SqlProblem as found:
            said.write_text(str(found))
        finally:
            os._exit(0)
    os.waitpid(process, 0)
    assert said.read_text() == problem
