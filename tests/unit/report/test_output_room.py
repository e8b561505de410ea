"""GitHub's size limit of outputs: never exceeded, nothing is cut below it, and `truncated` says when something was."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import example
from hypothesis import given as given_these
from hypothesis import strategies as st

from package_keeper.model.run import Run
from package_keeper.report.documents import OUTPUT_LIMIT, dumps, outputs, result_document
from package_keeper.settings import Settings
from tests.unit.making import key, package
from tests.unit.report.test_reports import decision, reported

ARRAYS = ("packages", "versions", "rows")


def world(packages: int, versions: int, rows: int | None, width: int, letter: str = "x") -> tuple[Run, Settings]:
    return reported(
        [decision(number, description=letter * width) for number in range(versions)],
        packages=tuple(package(f"p{number}", number=number, visibility=letter * width) for number in range(packages)),
        rows=None if rows is None else [{"text": letter * width}] * rows,
    )


def size(text: str) -> int:
    return len(text.encode("utf-16-le"))


def check(given: tuple[Run, Settings]) -> dict[str, str]:
    """Compare the outputs with the whole result."""
    found, whole = outputs(*given), result_document(*given)
    room = OUTPUT_LIMIT - sum(map(size, found.values()))
    assert room >= 0
    cut = not found["matrix"]
    for name in ARRAYS:
        entries: list[Any] = json.loads(found[name])
        assert entries == whole[name][: len(entries)]
        if len(entries) < len(whole[name]):
            cut = True
            assert size(dumps(whole[name][len(entries)])) + size(",") * bool(entries) > room - size("e")
    if not found["matrix"]:
        assert size(dumps(whole["matrix"])) > OUTPUT_LIMIT - 1_000
    else:
        assert json.loads(found["matrix"]) == whole["matrix"]
    assert found["truncated"] == ("true" if cut else "false")
    return found


NUMBERS = st.sampled_from([0, 1, 2, 40, 300, 1_500])


@given_these(NUMBERS, NUMBERS, st.none() | NUMBERS, st.sampled_from([0, 10, 300, 5_000]), st.sampled_from("xé🚀"))
@example(1_500, 0, None, 300, "x")
@example(1_500, 1, 1, 5_000, "x")
@example(1, 1, 1_500, 5_000, "🚀")
@example(300, 300, 300, 5_000, "x")
def test_nothing_is_cut_while_there_is_room(
    packages: int, versions: int, rows: int | None, width: int, letter: str
) -> None:
    check(world(packages, versions, rows, width, letter))


def test_packages_use_what_versions_leave_free() -> None:
    """They take four fifths of the room; a quarter was theirs once."""
    one = size(dumps(result_document(*world(1, 0, None, 300))["packages"][0]))
    found = check(world(int(OUTPUT_LIMIT * 0.8) // one, 1, None, 300))
    assert found["truncated"] == "false"


def test_rows_use_what_the_others_leave_free() -> None:
    assert check(world(1, 1, OUTPUT_LIMIT // 2 // 330, 300))["truncated"] == "false"


def test_each_gets_its_share_when_all_want_too_much() -> None:
    found = check(world(2_000, 2_000, 3_000, 2_000))
    assert all(size(found[name]) > OUTPUT_LIMIT // 5 for name in ARRAYS)


def test_a_matrix_is_whole_or_empty() -> None:
    given = reported([], packages=tuple(package(f"p{number:05}", number=number) for number in range(30_000)))
    found = check(given)
    assert size(found["matrix"]) > OUTPUT_LIMIT // 4
    many = reported([], packages=tuple(package(key=key(name="x" * 90 + str(n)), number=n) for n in range(9_000)))
    assert check(many)["matrix"] == ""


def test_outputs_without_a_query_can_be_read() -> None:
    found = outputs(*world(1, 1, None, 1))
    assert found["rows"] == "[]"
    assert result_document(*world(1, 1, None, 1))["rows"] == []
    for name in (*ARRAYS, "matrix"):
        json.loads(found[name])


def test_outputs_of_a_run_that_never_began_can_be_read() -> None:
    found = outputs(Run(result="failed"), None)
    for name in (*ARRAYS, "matrix"):
        json.loads(found[name])
