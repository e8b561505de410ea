"""Batches of deletions: parts wait for their roots, and for a look that many images share."""

from __future__ import annotations

from math import inf

import pytest
from msgspec.structs import replace

from package_keeper.execution.batches import Schedule, after_named, in_rounds
from package_keeper.model.plan import PlannedWrite
from tests.unit.execution.test_receipt import deletion


def images(*sizes: int) -> tuple[list[PlannedWrite], list[int]]:
    """Images with these numbers of versions, and the image number of each version."""
    writes: list[PlannedWrite] = []
    groups: list[int] = []
    for number, size in enumerate(sizes):
        root = len(writes) + 1
        writes.append(deletion(root))
        writes += [replace(deletion(root + part), after=frozenset({root})) for part in range(1, size)]
        groups += [number] * size
    return writes, groups


def test_a_part_waits_for_its_root() -> None:
    writes, _ = images(3, 1, 2)
    assert after_named(writes) == [set(), {0}, {0}, set(), set(), {4}]


def rounds(*sizes: int, most: int = 100, room: float = inf) -> list[list[int]]:
    return [list(batch.places) for batch in in_rounds(*images(*sizes), most=most, room=lambda: room)]


def test_the_parts_of_many_images_share_one_look() -> None:
    assert rounds(3, 3, 1, 2) == [[0, 3, 6, 7], [1, 2, 4, 5, 8]]
    assert [batch.needs_look for batch in in_rounds(*images(3, 2), most=9, room=lambda: inf)] == [False, True]


def test_an_image_is_in_one_round() -> None:
    assert rounds(3, 3, 2, most=4) == [[0, 3], [1, 2, 4, 5], [6], [7]]


def test_versions_without_parts_need_no_rounds() -> None:
    assert rounds(*[1] * 50, most=10) == [list(range(50))]


def test_only_the_first_image_may_begin_without_enough_time() -> None:
    assert rounds(3, 3, 3, room=7) == [[0, 3], [1, 2, 4, 5], [6], [7, 8]]
    assert rounds(9, 3, room=2) == [[0], [1, 2, 3, 4, 5, 6, 7, 8]]
    assert rounds(1, 9, 1, room=2) == [[0]]


@pytest.mark.parametrize("most", [1, 2, 7, 100])
def test_no_write_begins_before_the_writes_that_it_waits_for(most: int) -> None:
    writes, groups = images(4, 1, 2, 5, 1, 1, 3)
    waits = after_named(writes)
    begun: list[int] = []
    for batch in in_rounds(writes, groups, most=most, room=lambda: inf):
        schedule = Schedule(batch.places, waits)
        while (place := schedule.begin()) is not None:
            assert waits[place] <= set(begun)
            begun.append(place)
            schedule.end(place)
        assert schedule.is_over
    assert sorted(begun) == list(range(len(writes)))
