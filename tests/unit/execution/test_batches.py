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


def test_a_round_ends_with_the_image_that_fills_it() -> None:
    assert rounds(2, 2, 2, most=4) == [[0, 2], [1, 3], [4], [5]]


def test_an_image_begins_when_just_enough_time_is_left_for_it() -> None:
    assert rounds(3, 3, 3, room=6) == [[0, 3], [1, 2, 4, 5], [6], [7, 8]]
    assert rounds(3, 1, 1, room=0) == [[0, 3, 4], [1, 2]]


def test_a_write_waits_for_nothing_outside_of_the_plan() -> None:
    writes, _ = images(2)
    package = replace(deletion(1), version_id=None)
    assert after_named([package, *writes, replace(deletion(9), after=frozenset({1, 99}))]) == [set(), set(), {1}, {1}]


# --- one batch ---


def begun(schedule: Schedule) -> list[int]:
    """All that may begin now."""
    found = []
    while (place := schedule.begin()) is not None:
        found.append(place)
    return found


def test_writes_begin_in_the_order_of_the_plan() -> None:
    schedule = Schedule([3, 1, 2, 0], [set()] * 4)
    assert begun(schedule) == [0, 1, 2, 3]
    schedule.put_back(2)
    schedule.put_back(1)
    assert begun(schedule) == [1, 2]


def test_a_write_begins_when_all_that_it_waits_for_have_ended() -> None:
    schedule = Schedule(range(3), [set(), set(), {0, 1, 7}])
    assert begun(schedule) == [0, 1]
    schedule.end(0)
    assert begun(schedule) == []
    schedule.end(1)
    assert begun(schedule) == [2]
    assert not schedule.is_over
    schedule.end(2)
    assert schedule.is_over


def test_what_is_not_wanted_any_more_does_not_begin() -> None:
    schedule = Schedule(range(9), [*[set()] * 7, {0}, {0}])
    assert [schedule.begin(), schedule.begin()] == [0, 1]
    schedule.put_back(1)
    schedule.keep_only({2, 4, 3, 6, 8})
    assert begun(schedule) == [2, 3, 4, 6]
    schedule.end(0)
    assert begun(schedule) == [8]
    for place in (2, 3, 4, 6, 8):
        assert not schedule.is_over
        schedule.end(place)
    assert schedule.is_over


def test_writes_that_have_begun_are_waited_for() -> None:
    schedule = Schedule(range(3), [set()] * 3)
    assert schedule.begin() == 0
    schedule.keep_only(set())
    assert not schedule.is_over
    schedule.end(0)
    assert schedule.is_over
