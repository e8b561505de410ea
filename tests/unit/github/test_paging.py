"""Lists whose pages arrive in any order while others push and delete, against a server of lists in memory."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from package_keeper.errors import ApiError, ApiErrorKind
from package_keeper.github.paging import AHEAD, PAGE_SIZE, SMALLEST_PAGE, SURE, Listing
from tests.unit.github.shelves import ROOM, Shelf, following, read, take, turns

orders = st.lists(st.integers(0, ROOM - 1), min_size=1, max_size=40).map(turns)
lengths = st.one_of(st.integers(0, 450), st.sampled_from([0, 99, 100, 101, 200, 300, 1_000, 1_500, 2_600]))


@given(length=lengths, link=st.booleans(), pick=orders, room=st.integers(1, ROOM))
def test_a_list_that_does_not_change_is_complete_in_any_order_of_answers(
    length: int, link: bool, pick: Callable[[int], int], room: int
) -> None:
    shelf = Shelf(list(range(length)), link)
    listing = read(shelf, pick, room=room)
    assert sorted(listing.entries) == list(range(length))
    assert listing.complete
    needed = length // PAGE_SIZE + 1
    assert once_each(shelf.asked) <= needed + AHEAD


def once_each(asked: list[tuple[int, int]]) -> int:
    """How many pages were requested; none twice except the first, which is checked again at the end."""
    if asked[1:] and asked[-1] == asked[0] == (1, PAGE_SIZE):
        asked = asked[:-1]
    assert len(asked) == len(set(asked))
    return len(asked)


@pytest.mark.parametrize(("length", "link", "requests"), [(0, True, 1), (99, True, 1), (100, True, 2), (250, True, 3)])
def test_short_lists_need_no_extra_request(length: int, link: bool, requests: int) -> None:
    for linked in (link, False):
        shelf = Shelf(list(range(length)), linked)
        read(shelf)
        assert once_each(shelf.asked) == requests


def test_no_page_is_requested_after_the_last_one_that_a_link_names() -> None:
    shelf = Shelf(list(range(950)))
    read(shelf)
    assert once_each(shelf.asked) == 10


def test_the_first_page_is_requested_alone_and_then_all_that_a_link_names() -> None:
    listing: Listing[int] = Listing(lambda entry: entry)
    shelf = Shelf(list(range(1_250)))
    assert listing.wanted() == [1]
    listing.requested(1)
    assert listing.wanted() == []
    entries, headers = take(shelf, 1)
    listing.take(1, entries, headers)
    assert listing.wanted() == list(range(2, 14))


def test_the_empty_page_after_a_full_last_one_is_requested_with_the_others() -> None:
    listing: Listing[int] = Listing(lambda entry: entry, expected=1_000)
    shelf = Shelf(list(range(1_000)))
    assert listing.wanted() == [1]
    listing.requested(1)
    listing.take(1, *take(shelf, 1))
    assert listing.wanted() == list(range(2, 12))


@given(
    length=lengths,
    wrong=st.one_of(st.just(0), st.integers(-300, 300)),
    link=st.booleans(),
    pick=orders,
    room=st.integers(1, ROOM),
)
def test_a_wrong_count_hides_nothing_and_costs_a_second_reading(
    length: int, wrong: int, link: bool, pick: Callable[[int], int], room: int
) -> None:
    plain, counted = (Shelf(list(range(length)), link) for _ in range(2))
    read(plain, pick, room=room)
    listing = read(counted, pick, room=room, expected=max(length + wrong, 0))
    assert sorted(listing.entries) == list(range(length))
    assert listing.complete
    if wrong and length >= PAGE_SIZE:
        assert len(counted.asked) <= 2 * (len(plain.asked) + 1) + AHEAD
    else:
        assert once_each(counted.asked) <= once_each(plain.asked)


def test_without_links_more_and_more_pages_are_requested_ahead() -> None:
    listing: Listing[int] = Listing(lambda entry: entry)
    shelf, ahead = Shelf(list(range(10_000)), link=False), list[int]()
    for number in range(1, 30):
        wanted = listing.wanted()
        for each in wanted:
            listing.requested(each)
        listing.take(number, *take(shelf, number))
        ahead.append(max([*wanted, ahead[-1] if ahead else 0]))
    lead = [reach - number + 1 for number, reach in enumerate(ahead, 1)]
    assert lead[:SURE] == [1] * SURE
    assert sorted(lead) == lead
    assert lead[-1] == AHEAD


# others push and delete meanwhile


@given(
    length=st.one_of(st.integers(0, 450), st.sampled_from([200, 300, 1_000])),
    link=st.booleans(),
    pick=orders,
    room=st.integers(1, ROOM),
    when=st.integers(1, 12),
    places=st.lists(st.integers(0, 1_000), min_size=1, max_size=3),
)
def test_entries_that_stay_are_never_missed_while_others_delete(
    length: int, link: bool, pick: Callable[[int], int], room: int, when: int, places: list[int]
) -> None:
    shelf = Shelf(list(range(length)), link)
    answers = 0

    def delete(shelf: Shelf) -> None:
        nonlocal answers
        answers += 1
        if answers == when:
            for place in places:
                if shelf.entries:
                    del shelf.entries[place % len(shelf.entries)]

    listing = read(shelf, pick, delete, room, expected=length)
    assert set(shelf.entries) <= set(listing.entries)


pushes = st.lists(st.one_of(st.just(0), st.integers(0, 3), st.integers(0, 250)), min_size=1, max_size=30)


def pushing(counts: list[int]) -> Callable[[Shelf], None]:
    left = iter(counts)
    return lambda shelf: shelf.push(next(left, 0))


@given(length=lengths, link=st.booleans(), pick=orders, counts=pushes, room=st.integers(1, ROOM), counted=st.booleans())
def test_entries_that_stay_are_never_missed_while_others_push(
    length: int, link: bool, pick: Callable[[int], int], counts: list[int], room: int, counted: bool
) -> None:
    shelf = Shelf(list(range(length)), link)
    listing = read(shelf, pick, pushing(counts), room, expected=length if counted else None)
    assert set(range(length)) <= set(listing.entries)
    assert len(set(listing.entries)) == len(listing.entries)
    # once side by side and once upwards, with what is pushed meanwhile
    pages = (length + sum(counts)) // PAGE_SIZE + 1
    assert len(shelf.asked) <= 2 * pages + AHEAD


def test_a_push_between_pages_in_parallel_is_noticed() -> None:
    shelf = Shelf(list(range(1_000)))
    pushed = pushing([0, 0, 0, 7, 0, 0])
    listing = read(shelf, lambda count: count - 1, pushed)
    assert set(range(1_000)) <= set(listing.entries)
    upwards = [number for number, _ in shelf.asked][-11:]
    assert upwards == sorted(upwards), "read again, one page after the other"


def test_a_list_that_does_not_change_is_not_read_again() -> None:
    shelf = Shelf(list(range(1_000)))
    read(shelf, lambda count: count - 1)
    assert once_each(shelf.asked) <= 11 + AHEAD


def test_many_pushes_between_pages_in_parallel_lose_nothing() -> None:
    shelf = Shelf(list(range(350)))
    listing = read(shelf, following([0, 2, 1]), pushing([0, 0, 2 * PAGE_SIZE]))
    assert set(range(350)) <= set(listing.entries)


@given(
    length=lengths,
    link=st.booleans(),
    pick=orders,
    gone=st.lists(st.integers(0, 10_000), max_size=60),
    room=st.integers(1, ROOM),
)
def test_deletions_during_a_reading_end_it_and_add_no_entries(
    length: int, link: bool, pick: Callable[[int], int], gone: list[int], room: int
) -> None:
    left = list(gone)

    def meanwhile(shelf: Shelf) -> None:
        if left and shelf.entries:
            shelf.entries.pop(left.pop() % len(shelf.entries))

    shelf = Shelf(list(range(length)), link)
    listing = read(shelf, pick, meanwhile, room)
    assert set(listing.entries) <= set(range(length))
    assert len(shelf.asked) <= 2 * (length // PAGE_SIZE + 1) + AHEAD
    # each deletion moves at most one entry over the edge between two pages
    assert len(listing.entries) >= length - 2 * len(gone) * (length // PAGE_SIZE + 1)


# pages that fail


@given(
    length=lengths,
    link=st.booleans(),
    pick=orders,
    largest=st.sampled_from([25, 49, 50, 99]),
    breaks_at=st.integers(0, 30),
    room=st.integers(1, ROOM),
)
def test_after_a_server_error_smaller_pages_are_requested(
    length: int, link: bool, pick: Callable[[int], int], largest: int, breaks_at: int, room: int
) -> None:
    shelf = Shelf(list(range(length)), link)
    shelf.broken = lambda _, size: shelf.answered > breaks_at and size > largest
    listing = read(shelf, pick, room=room)
    assert sorted(listing.entries) == list(range(length))
    assert listing.size in (100, 50, 25)
    assert len(shelf.asked) <= breaks_at + 2 * ROOM + length // SMALLEST_PAGE + 1 + AHEAD


def test_entries_that_a_push_hid_are_read_again_after_a_server_error_too() -> None:
    shelf = Shelf(list(range(600)))
    shelf.broken = lambda number, size: (number, size) == (5, 100)
    # pages 1, 3; five are pushed; pages 2, 4, 5
    listing = read(shelf, following([0, 1]), pushing([0, 5]))
    assert set(range(600)) <= set(listing.entries)


@given(
    length=lengths,
    link=st.booleans(),
    pick=orders,
    counts=pushes,
    breaks_at=st.integers(1, 12),
    room=st.integers(1, ROOM),
)
def test_no_entry_is_missed_whatever_pages_fail_while_others_push(
    length: int, link: bool, pick: Callable[[int], int], counts: list[int], breaks_at: int, room: int
) -> None:
    shelf = Shelf(list(range(length)), link)
    shelf.broken = lambda _, size: shelf.answered > breaks_at and size > 50
    listing = read(shelf, pick, pushing(counts), room)
    assert set(range(length)) <= set(listing.entries)


def test_the_smallest_pages_fail_with_the_error() -> None:
    shelf = Shelf(list(range(500)))
    shelf.broken = lambda number, _: number > 1
    with pytest.raises(ApiError, match="Server Error"):
        read(shelf)
    assert {size for _, size in shelf.asked} == {100, 50, 25}


@pytest.mark.parametrize(
    "refusal",
    [
        ApiError(ApiErrorKind.UNREACHABLE, "the connection failed"),
        ApiError(ApiErrorKind.NO_PERMISSION, "no", status=403),
        ApiError(ApiErrorKind.NOT_FOUND, "no", status=404),
        ApiError(ApiErrorKind.OTHER, "no", status=400),
    ],
)
def test_other_errors_are_errors_of_the_list(refusal: ApiError) -> None:
    listing: Listing[int] = Listing(lambda entry: entry)
    listing.requested(1)
    with pytest.raises(ApiError) as caught:
        listing.fail(1, refusal)
    assert caught.value is refusal
