"""A server of lists in memory, and a reader with several pages of one list in flight."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from package_keeper.errors import ApiError, ApiErrorKind
from package_keeper.github.paging import PAGE_SIZE, Listing

ROOM = 20
"""Requests in flight at once."""
BROKEN = ApiError(ApiErrorKind.UNREACHABLE, "Server Error", status=502)
TOO_FAR = ApiError(ApiErrorKind.OTHER, "In order to protect our systems", status=400)

Answer = tuple[list[int], Mapping[str, str]] | ApiError


@dataclass
class Shelf:
    """A list on a server, newest first; `link` says whether pages name the next and the last one."""

    entries: list[int]
    link: bool = True
    newest: int = 1_000_000
    asked: list[tuple[int, int]] = field(default_factory=list)
    answered: int = 0
    broken: Callable[[int, int], bool] = lambda _number, _size: False
    window: int | None = None

    def push(self, count: int) -> None:
        for _ in range(count):
            self.newest += 1
            self.entries.insert(0, self.newest)

    def page(self, number: int, size: int) -> Answer:
        self.answered += 1
        if self.window is not None and number * size > self.window:
            return TOO_FAR
        if self.broken(number, size):
            return BROKEN
        last = max(-(-len(self.entries) // size), 1)
        links = [f'<https://api.github.com/x?page={last}&per_page={size}>; rel="last"'] if last > 1 else []
        if number < last:
            links.append(f'<https://api.github.com/x?page={number + 1}&per_page={size}>; rel="next"')
        headers = {"link": ", ".join(links)} if self.link and links else {}
        return self.entries[(number - 1) * size : number * size], headers


def read(
    shelf: Shelf,
    pick: Callable[[int], int] = lambda _: 0,
    meanwhile: Callable[[Shelf], None] = lambda _: None,
    room: int = ROOM,
    expected: int | None = None,
    seen: AbstractSet[int] | None = None,
) -> Listing[int]:
    """Read a list with several pages in flight; `pick` says which of them is answered next.

    `meanwhile` is called between two answers.
    """
    listing: Listing[int] = Listing(lambda entry: entry, expected, seen)
    in_flight: list[tuple[int, int, int]] = []
    while not listing.finished:
        for number in listing.wanted()[: max(room - len(in_flight), 0)]:
            listing.requested(number)
            shelf.asked.append((number, listing.size))
            in_flight.append((listing.generation, number, listing.size))
        generation, number, size = in_flight.pop(pick(len(in_flight)) % len(in_flight))
        answer = shelf.page(number, size)
        meanwhile(shelf)
        if generation != listing.generation:
            continue
        if isinstance(answer, ApiError):
            listing.fail(number, answer)
        else:
            listing.take(number, *answer)
        assert len(shelf.asked) < 2_000, "it has no end"
    return listing


def turns(data: list[int]) -> Callable[[int], int]:
    """Which answer comes next, in turns."""
    state = {"next": 0}

    def pick(_: int) -> int:
        state["next"] += 1
        return data[state["next"] % len(data)]

    return pick


def take(shelf: Shelf, number: int, size: int = PAGE_SIZE) -> tuple[list[int], Mapping[str, str]]:
    answer = shelf.page(number, size)
    assert not isinstance(answer, ApiError)
    return answer


def following(order: list[int]) -> Callable[[int], int]:
    """First in this order, then always the oldest."""
    left = iter(order)
    return lambda _: next(left, 0)
