"""When all arrays of the outputs are too large, each gets its share, and together they stay within the limit."""

from __future__ import annotations

import json

import pytest

from package_keeper.report.documents import OUTPUT_LIMIT, outputs
from tests.unit.making import package
from tests.unit.report.test_reports import decision, reported

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
        (LARGE, 0, LARGE),
    ],
)
def test_each_gets_its_share_when_all_want_too_much(packages: int, versions: int, rows: int) -> None:
    found = outputs(
        *reported(
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
            *reported(
                [decision(each, description="x" * 500) for each in range(number["versions"])],
                packages=tuple(package(f"p{each}", visibility="x" * 500) for each in range(number["packages"])),
                rows=[{"text": "x" * 500}] * number["rows"],
            )
        )
        assert found[small].count("x" * 500) == 100


@pytest.mark.parametrize("small", ["packages", "versions", "rows"])
def test_what_a_small_array_leaves_free_is_shared_equally(small: str) -> None:
    number = dict.fromkeys(("packages", "versions", "rows"), LARGE) | {small: 100}
    found = outputs(
        *reported(
            [decision(each, description="x" * 500) for each in range(number["versions"])],
            packages=tuple(package(f"p{each}", visibility="x" * 500) for each in range(number["packages"])),
            rows=[{"text": "x" * 500}] * number["rows"],
        )
    )
    first, second = (size(found[name]) for name in number if name != small)
    assert first == pytest.approx(second, rel=0.02)


def test_what_is_left_when_each_has_its_share_is_used() -> None:
    packages, versions = ([int(part * OUTPUT_LIMIT / 2) for part in parts] for parts in ((0.28, 0.22), (0.35, 0.5)))
    found = outputs(
        *reported(
            [decision(place, description="x" * length) for place, length in enumerate(versions)],
            packages=tuple(package(f"p{place}", visibility="x" * length) for place, length in enumerate(packages)),
        )
    )
    # half of the room is too little for both packages, and what the versions leave is enough
    assert len(json.loads(found["packages"])) == 2
    assert len(json.loads(found["versions"])) == 1
