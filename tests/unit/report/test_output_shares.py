"""When all arrays of the outputs want more room than there is, each gets its share, and nothing goes over the limit."""

from __future__ import annotations

import pytest

from package_keeper.report.documents import OUTPUT_LIMIT, outputs
from tests.unit.making import package
from tests.unit.report.test_reports import contents, decision

LARGE = 3_000


def size(text: str) -> int:
    return len(text.encode("utf-16-le"))


@pytest.mark.parametrize(
    ("packages", "versions", "rows"),
    [
        (LARGE, 0, 0),
        (0, LARGE, 0),
        (0, 0, LARGE),
        (0, LARGE, LARGE),
        (LARGE, LARGE, 0),
        (LARGE, LARGE, LARGE),
        pytest.param(
            LARGE, 0, LARGE, marks=pytest.mark.xfail(strict=False, reason="a query of packages alone: half too much")
        ),
    ],
)
def test_each_gets_its_share_when_all_want_too_much(packages: int, versions: int, rows: int) -> None:
    found = outputs(
        contents(
            [decision(number, description="x" * 500) for number in range(versions)],
            packages=tuple(package(f"p{number}", number=number, visibility="x" * 500) for number in range(packages)),
            rows=[{"text": "x" * 500}] * rows if rows else None,
        )
    )
    wanted = [name for name, number in (("packages", packages), ("versions", versions), ("rows", rows)) if number]
    assert sum(map(size, found.values())) <= OUTPUT_LIMIT
    assert all(size(found[name]) > OUTPUT_LIMIT / 5 for name in wanted)
    if wanted and wanted != ["rows"]:
        assert sum(size(found[name]) for name in wanted) > OUTPUT_LIMIT * 0.85, "room is used"


def test_an_array_that_wants_little_is_whole_beside_large_ones() -> None:
    for small in ("packages", "versions", "rows"):
        number = dict.fromkeys(("packages", "versions", "rows"), LARGE) | {small: 100}
        found = outputs(
            contents(
                [decision(each, description="x" * 500) for each in range(number["versions"])],
                packages=tuple(package(f"p{each}", visibility="x" * 500) for each in range(number["packages"])),
                rows=[{"text": "x" * 500}] * number["rows"],
            )
        )
        assert found[small].count("x" * 500) == 100
