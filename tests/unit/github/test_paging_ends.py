"""Where lists end: failed pages, repeated pages, Link headers, and pages that were requested ahead."""

from __future__ import annotations

from typing import Any

import pytest

from package_keeper.errors import ApiError, ApiErrorKind
from package_keeper.github.paging import AHEAD, REPEATS, WINDOW, Listing
from tests.unit.github.shelves import ROOM, Answer, Shelf, read, take

# lists that GitHub does not list to their ends


@pytest.mark.parametrize("link", [True, False])
@pytest.mark.parametrize("room", [1, ROOM])
def test_a_list_of_more_than_ten_thousand_is_incomplete(link: bool, room: int) -> None:
    shelf = Shelf(list(range(10_150)), link, window=WINDOW)
    listing = read(shelf, room=room)
    assert listing.entries == list(range(WINDOW))
    assert not listing.complete


@pytest.mark.parametrize("link", [True, False])
def test_pages_in_flight_are_taken_when_a_later_page_fails(link: bool) -> None:
    shelf = Shelf(list(range(10_150)), link, window=WINDOW)
    listing = read(shelf, lambda count: count - 1)
    assert listing.entries == list(range(WINDOW))
    assert not listing.complete


def test_a_list_that_repeats_itself_is_an_error() -> None:
    class Stuck(Shelf):
        def page(self, number: int, size: int) -> Answer:
            return super().page(min(number, 2), size)

    for link in (True, False):
        shelf = Stuck(list(range(250)), link)
        shelf.entries = shelf.entries[:200]
        with pytest.raises(ApiError, match="repeats itself") as caught:
            read(shelf)
        assert caught.value.kind is ApiErrorKind.UNREACHABLE
        assert len(shelf.asked) <= 2 + REPEATS + AHEAD


# what pages look like


def test_entries_come_once_in_their_last_state() -> None:
    listing: Listing[tuple[int, str]] = Listing(lambda entry: entry[0])
    first = [(number, "old") for number in range(100)]
    listing.requested(1)
    listing.take(1, first, {})
    listing.requested(2)
    listing.take(2, [(99, "new"), (100, "new")], {})
    assert listing.finished
    assert listing.entries == [*first[:99], (99, "new"), (100, "new")]


@pytest.mark.parametrize(
    ("link", "pages"),
    [
        ('<https://x?page=2>; rel="next", <https://x?page=4>; rel="last"', [2, 3, 4]),
        ('<https://x?per_page=100&page=4&state=active>; rel="last", <https://x?page=2>; rel="next"', [2, 3, 4]),
        ("<https://x?page=2>; rel=next, <https://x?page=4>; rel=last", [2, 3, 4]),
        ('<https://x?page=4>; rel="last"', [2, 3, 4]),
        ('<https://x?page=2>; rel="next"', [2]),
        ('<https://x?page=99999999999999>; rel="last"', [2]),
        ('<https://x?my_page=9>; rel="last"', [2]),
        ('<https://x?page=2>; rel="prev"', [2]),
        ("nonsense", [2]),
        ("", [2]),
    ],
)
def test_links_are_only_hints(link: str, pages: list[int]) -> None:
    listing: Listing[int] = Listing(lambda entry: entry)
    listing.requested(1)
    listing.take(1, list(range(100)), {"link": link})
    assert listing.wanted() == pages


def test_a_link_to_a_next_page_overrules_a_short_one() -> None:
    class Short(Shelf):
        def page(self, number: int, size: int) -> Any:
            return super().page(number, min(size, 30))

    listing = read(Short(list(range(100))))
    assert sorted(listing.entries) == list(range(100))


def test_a_failed_page_after_the_end_is_no_error() -> None:
    shelf = Shelf(list(range(9_950)), link=False, window=WINDOW)
    listing = read(shelf)
    assert listing.entries == list(range(9_950))
    assert listing.complete


def test_a_page_requested_ahead_does_not_answer_the_check_of_the_first_page() -> None:
    listing: Listing[int] = Listing(lambda entry: entry)
    shelf = Shelf(list(range(450)), link=False)
    for number in range(1, 6):
        for each in listing.wanted():
            listing.requested(each)
        listing.take(number, *take(shelf, number))
    assert listing.wanted() == [1]
    listing.requested(1)
    listing.take(6, [], {})
    assert not listing.finished
    listing.take(1, *take(shelf, 1))
    assert listing.finished
