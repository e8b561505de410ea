"""Lists that must be certain: read again until two readings in a row show the same, whatever happens meanwhile."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from package_keeper.errors import ApiError
from package_keeper.github.paging import PAGE_SIZE, READINGS, SMALLEST_PAGE
from tests.unit.github.shelves import ROOM, Shelf, read, turns

lengths = st.one_of(st.integers(0, 450), st.sampled_from([99, 100, 101, 200, 300, 1_000]))
orders = st.lists(st.integers(0, 30), min_size=1, max_size=12).map(turns)


def happening(when: dict[int, Callable[[Shelf], None]]) -> Callable[[Shelf], None]:
    """What others do after so many answers."""
    answers = 0

    def meanwhile(shelf: Shelf) -> None:
        nonlocal answers
        answers += 1
        if act := when.get(answers):
            act(shelf)

    return meanwhile


def deleting(place: int) -> Callable[[Shelf], None]:
    def delete(shelf: Shelf) -> None:
        if shelf.entries:
            del shelf.entries[place % len(shelf.entries)]

    return delete


@given(
    length=lengths,
    link=st.booleans(),
    pick=orders,
    room=st.integers(1, ROOM),
    push_at=st.integers(0, 24),
    delete_at=st.integers(0, 24),
    pushed=st.integers(1, 3),
    place=st.integers(0, 1_000),
)
def test_a_push_and_a_deletion_together_hide_nothing(
    length: int,
    link: bool,
    pick: Callable[[int], int],
    room: int,
    push_at: int,
    delete_at: int,
    pushed: int,
    place: int,
) -> None:
    shelf = Shelf(list(range(length)), link)
    meanwhile = happening({push_at: lambda shelf: shelf.push(pushed)})
    deletion = happening({delete_at: deleting(place)})

    def both(shelf: Shelf) -> None:
        meanwhile(shelf)
        deletion(shelf)

    first = read(shelf, pick, both, room)
    certain = read(shelf, pick, both, room, seen=set(first.entries))
    stayed = set(shelf.entries) & set(range(length))
    # what vanished is asked for by itself
    assert stayed <= set(certain.entries) | certain.vanished
    assert len(certain.entries) == len(set(certain.entries))


@given(
    length=lengths,
    link=st.booleans(),
    pick=orders,
    room=st.integers(1, ROOM),
    events=st.dictionaries(st.integers(1, 60), st.one_of(st.none(), st.integers(0, 1_000)), max_size=6),
)
def test_an_accepted_list_has_every_entry_that_stayed(
    length: int, link: bool, pick: Callable[[int], int], room: int, events: dict[int, int | None]
) -> None:
    """`None` is a push, a number the place of what is deleted."""
    shelf = Shelf(list(range(length)), link)
    acts = {when: (lambda shelf: shelf.push(1)) if place is None else deleting(place) for when, place in events.items()}
    meanwhile = happening(acts)
    first = read(shelf, pick, meanwhile, room)
    try:
        certain = read(shelf, pick, meanwhile, room, seen=set(first.entries))
    except ApiError:
        # it changes too fast
        return
    assert set(shelf.entries) & set(range(length)) <= set(certain.entries) | certain.vanished


@given(length=lengths, link=st.booleans(), pick=orders, room=st.integers(1, ROOM))
def test_a_list_that_does_not_change_is_read_one_more_time(
    length: int, link: bool, pick: Callable[[int], int], room: int
) -> None:
    shelf = Shelf(list(range(length)), link)
    certain = read(shelf, pick, room=room, seen=set(range(length)))
    assert sorted(certain.entries) == list(range(length))
    assert sorted(number for number, _ in shelf.asked) == list(range(1, length // PAGE_SIZE + 2))
    assert not certain.vanished


def test_all_pages_of_the_second_reading_are_requested_at_once() -> None:
    shelf = Shelf(list(range(950)))
    certain = read(shelf, lambda count: count - 1, seen=set(range(950)))
    assert [number for number, _ in shelf.asked] == list(range(1, 11))
    assert certain.is_long


def test_a_list_of_one_page_is_accepted_whatever_was_seen_before() -> None:
    shelf = Shelf(list(range(60)))
    certain = read(shelf, seen={1, 2, 1_000})
    assert sorted(certain.entries) == list(range(60))
    assert [number for number, _ in shelf.asked] == [1]
    assert not certain.is_long
    assert not certain.vanished, "one page is of one moment"


def test_entries_that_are_gone_are_not_added_back() -> None:
    shelf = Shelf(list(range(250)))
    certain = read(shelf, seen=set(range(300)))
    assert sorted(certain.entries) == list(range(250))
    assert certain.vanished == set(range(250, 300))
    assert len(shelf.asked) == 4 + 3, "the first reading asks for the page that there was before"


def test_a_list_that_changes_all_the_time_is_an_error() -> None:
    shelf = Shelf(list(range(250)))
    with pytest.raises(ApiError, match="changes too fast"):
        read(shelf, meanwhile=lambda shelf: shelf.push(1), room=1, seen=set(range(249)))
    assert len(shelf.asked) == READINGS * 3


@given(
    length=lengths,
    link=st.booleans(),
    pick=orders,
    largest=st.sampled_from([25, 50, 99]),
    breaks_at=st.integers(0, 20),
)
def test_smaller_pages_are_compared_too(
    length: int, link: bool, pick: Callable[[int], int], largest: int, breaks_at: int
) -> None:
    shelf = Shelf(list(range(length)), link)
    shelf.broken = lambda _, size: shelf.answered > breaks_at and size > largest
    certain = read(shelf, pick, seen=set(range(length)))
    assert sorted(certain.entries) == list(range(length))
    assert certain.size >= SMALLEST_PAGE
