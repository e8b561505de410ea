"""Reading many lists at once, each of many pages, with no more requests in flight than the governor lets."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeVar

from package_keeper.errors import Refusal
from package_keeper.github.governor import Governor
from package_keeper.github.lanes import Flight, Lanes
from package_keeper.github.paging import Listing

_K = TypeVar("_K")
_T = TypeVar("_T")

Page = Callable[[_K, int, int], tuple[list[_T], Mapping[str, str]]]
"""Gives the page of a number and size of one list, with its headers; raises `Refusal`."""


def read_lists(
    lists: Mapping[_K, Listing[_T]], page: Page[_K, _T], lanes: Lanes, governor: Governor
) -> dict[_K, Refusal]:
    """Read all lists to their ends; gives the refusals of those that could not be read.

    Raises `Cancelled` and `OutOfTime`.
    """
    refused: dict[_K, Refusal] = {}
    flight: Flight[tuple[_K, int, int], tuple[list[_T], Mapping[str, str]]] = Flight(lanes, governor)
    unfinished = dict(lists)
    while unfinished:
        for key, listing in unfinished.items():
            for number in listing.wanted()[: flight.room]:
                listing.ask(number)
                flight.start((key, listing.generation, number), partial(page, key, number, listing.size))
            if not flight.room:
                break
        for landed in flight.landed():
            key, generation, number = landed.key
            listing = lists[key]
            if key not in unfinished or generation != listing.generation:
                continue
            try:
                _take(listing, number, landed.result)
            except Refusal as refusal:
                refused[key] = refusal
                unfinished.pop(key)
            else:
                if listing.finished:
                    unfinished.pop(key)
    return refused


def _take(listing: Listing[_T], number: int, result: Callable[[], tuple[list[_T], Mapping[str, str]]]) -> None:
    try:
        entries, headers = result()
    except Refusal as refusal:
        listing.refuse(number, refusal)
    else:
        listing.take(number, entries, headers)
