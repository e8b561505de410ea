"""Complete lists out of pages that shift, repeat, lack a Link header, or fail when they are large.

The first page is asked for alone; then many at once, as far as a Link header says that there are any, or a little
ahead of the last full page. A list ends with a short page: where GitHub has counted entries that fill the last page,
the empty one behind it is asked for along with the others. A Link header that names a next page overrules a short
page; its absence proves nothing, since package lists have been seen without it (octokit/core.js#695). Its URL is never
followed. Entries are taken once by id: offset pages shift while others push (docs/github-behaviour.md, "Endpoints").

A push moves entries to later pages. Read upwards, one page after the other, such a list shows entries twice and loses
none. Read side by side it could lose some. So the first page, before which nothing was read, is asked for again in the
end (if it is as it was, that costs nothing of the primary budget), and where it is another, or an entry came twice, the
whole list is read once more, upwards.

A deletion moves entries to earlier pages: the first of the next page slips through, and no page shows it. What was
found is then fewer than GitHub counted just before; so where that is so, and there is more than one page, the list is
read once more as well. What was found in either reading counts: what is believed to be there keeps what it needs.

A push before the first page can make up for that deletion. So a list of several pages that must be certain, since
something is deleted by it, is read until two readings in a row show the same entries. What a deletion makes slip
through shows, for what was deleted is in the one reading and not in the other. An entry that an earlier reading showed
and the last ones do not is asked for by itself: it is gone, or it slipped through both.
"""

import re
from collections.abc import Callable, Hashable, Mapping
from collections.abc import Set as AbstractSet
from functools import partial
from typing import Generic, TypeVar

from package_keeper.errors import ApiError, ApiErrorKind
from package_keeper.github.pool import InFlight, Pool
from package_keeper.github.rate_limit import RateLimiter

PAGE_SIZE = 100
SMALLEST_PAGE = 25
_NEXT = re.compile(r';\s*rel="?next"?')
_LAST = re.compile(r'[?&]page=(\d{1,6})(?:&[^>]*)?>;\s*rel="?last"?')
WINDOW = 10_000
"""Above this `per_page` times `page` GitHub answers 400 on lists of packages."""
REPEATS = 3
"""After so many pages in a row without anything new, the list has no end that could be found."""
SURE = 3
"""After so many full pages without a Link header, pages are asked for ahead of the last one."""
AHEAD = 8
"""So many pages are asked for ahead, at most."""
READINGS = 5
"""A list that must be certain is read so often, at most."""

CHANGES_TOO_FAST = (
    f"the list changes too fast: {READINGS} readings do not agree on what is there; try again when less is pushed and"
    " deleted"
)

_T = TypeVar("_T")


class Listing(Generic[_T]):
    """One list that is being read: which pages to ask for next, and what came of them.

    `expected` is how many entries GitHub has counted, or `None`: what is fewer is read a second time. `seen` is what
    the reading before showed, for a list that must be certain: several pages are read again until they show the same
    as the time before, whatever they show of `gone`, which was deleted in between: a list may lag. `complete` is false
    when GitHub refused to list to the end.
    """

    def __init__(
        self,
        identity: Callable[[_T], Hashable],
        expected: int | None = None,
        seen: AbstractSet[Hashable] | None = None,
        gone: AbstractSet[Hashable] = frozenset(),
    ) -> None:
        self._identity = identity
        self._expected = expected
        self._seen = seen
        self._gone = gone
        self._readings = 1
        self.vanished: set[Hashable] = set()
        """What an earlier reading of a list that must be certain showed, and the last ones do not."""
        self.size = PAGE_SIZE
        self.complete = True
        self.finished = False
        self.generation = 0
        """Goes up when all pages that are under way have become useless."""
        self._found: dict[Hashable, _T] = {}
        self._upwards = False
        self._side_by_side = False
        self._again: set[Hashable] | None = None
        self._shifted = False
        self._first_page: list[Hashable] = []
        self._checking = False
        self._begin(0)

    def _begin(self, taken: int) -> None:
        """Begin, or go on after so many entries, with pages of the present size."""
        self.generation += 1
        self._taken = taken // self.size
        self._first = self._taken
        self._asked: set[int] = set()
        self._waiting: dict[int, tuple[list[_T], bool]] = {}
        self._last = 0
        self._ends = 0
        self._repeats = 0
        self._before: list[Hashable] = []

    @property
    def is_long(self) -> bool:
        """Whether it takes several pages."""
        return self._taken > 1

    @property
    def entries(self) -> list[_T]:
        """What was found; of two entries of one thing that of the later page."""
        return list(self._found.values())

    def wanted(self) -> list[int]:
        """The numbers of the pages to ask for now; the caller asks for each, or calls again."""
        if self.finished:
            return []
        if self._checking:
            return [] if self._asked else [1]
        full = self._taken - self._first
        known = len(self._seen) // self.size + 1 if self._seen is not None else 0
        if self._taken < known:
            # all at once: so many pages there were the last time
            reach = known
        elif self._upwards or full == 0:
            reach = self._taken + 1
        elif self._last:
            # beyond the page that GitHub calls the last there is hardly ever one
            reach = max(self._last, self._taken + 1)
            if self._last > self._taken + 1 and self._expected == self._last * self.size:
                reach += 1
        else:
            reach = self._taken + (1 if full < SURE else min(full // 2, AHEAD))
        if self._ends:
            reach = min(reach, self._ends - 1)
        return [number for number in range(self._taken + 1, reach + 1) if number not in self._asked]

    def ask(self, number: int) -> None:
        """Note that a page is being asked for."""
        self._side_by_side = self._side_by_side or len(self._asked) > self._taken - self._first
        self._asked.add(number)

    def take(self, number: int, entries: list[_T], headers: Mapping[str, str]) -> None:
        """Take a page. Raises `ApiError` when the list has no end."""
        if self._checking:
            if number == 1:
                self._check([self._identity(entry) for entry in entries])
            return
        link = headers.get("link", "")
        if found := _LAST.search(link):
            self._last = max(self._last, int(found[1]))
        self._waiting[number] = (entries, bool(_NEXT.search(link)))
        while not self.finished and self._taken + 1 in self._waiting:
            self._taken += 1
            entries, has_next = self._waiting.pop(self._taken)
            self._use(entries, has_next=has_next)
        self._end_where_refused()

    def refuse(self, number: int, refused: ApiError) -> None:
        """A page was refused: a server that failed is asked for smaller ones. Raises the refusal otherwise."""
        if self._checking and number != 1:
            return
        if refused.kind is ApiErrorKind.UNREACHABLE and refused.status is not None and self.size > SMALLEST_PAGE:
            taken = self._taken * self.size
            self.size //= 2
            self._begin(taken)
        elif self._checking:
            raise refused
        elif refused.status == 400 and number * self.size > WINDOW:
            # pages before it may still be under way
            self._ends = min(self._ends or number, number)
            self._end_where_refused()
        else:
            raise refused

    def _end_where_refused(self) -> None:
        if self._ends and self._taken + 1 >= self._ends:
            self.complete, self.finished = False, True

    def _use(self, entries: list[_T], *, has_next: bool) -> None:
        identities = [self._identity(entry) for entry in entries]
        self._first_page = self._first_page or identities
        for identity, entry in zip(identities, entries, strict=True):
            known = self._found if self._again is None else self._again
            self._shifted = self._shifted or identity in known
            if self._again is not None:
                self._again.add(identity)
            self._found[identity] = entry
        self._repeats = self._repeats + 1 if identities == self._before else 0
        self._before = identities
        if not entries or (len(entries) < self.size and not has_next):
            self._end()
        elif self._repeats >= REPEATS or self._taken > REPEATS + self._last + WINDOW:
            raise ApiError(ApiErrorKind.UNREACHABLE, "GitHub's list repeats itself without an end")

    def _end(self) -> None:
        if self._seen is not None:
            self._compare(self._seen)
        elif self._upwards or not self._side_by_side:
            self._finish()
        elif self._shifted:
            self._read_again(upwards=True)
        else:
            # pages ahead that are still under way are none of the check
            self.generation += 1
            self._checking = True
            self._asked = set()

    def _compare(self, seen: AbstractSet[Hashable]) -> None:
        """Believe a single page, and several that show what the reading before showed."""
        if not self.is_long:
            self.vanished.clear()
            self.finished = True
        elif self._found.keys() - self._gone == seen - self._gone:
            self.vanished -= seen
            self.finished = True
        elif self._readings < READINGS:
            self._readings += 1
            self.vanished |= seen - self._gone
            self._seen, self._found = self._found.keys(), {}
            self._begin(0)
        else:
            raise ApiError(ApiErrorKind.OTHER, CHANGES_TOO_FAST)

    def _finish(self) -> None:
        is_short = self._expected is not None and len(self._found) < self._expected
        if is_short and self._again is None and self._taken > 1:
            self._read_again(upwards=False)
        else:
            self.finished = True

    def _check(self, first_page: list[Hashable]) -> None:
        """Hold the first page, asked for again, against what it was; its size may have been another."""
        common = min(len(first_page), len(self._first_page))
        if first_page[:common] == self._first_page[:common]:
            self._finish()
        else:
            self._read_again(upwards=True)

    def _read_again(self, *, upwards: bool) -> None:
        self._checking = self._side_by_side = self._shifted = False
        self._upwards = upwards
        self._again = set()
        self._first_page = []
        self._begin(0)


_K = TypeVar("_K")

Page = Callable[[_K, int, int], tuple[list[_T], Mapping[str, str]]]
"""Gives the page of a number and size of one list, with its headers; raises `ApiError`."""


def read_lists(
    lists: Mapping[_K, Listing[_T]], page: Page[_K, _T], pool: Pool, rate_limiter: RateLimiter
) -> dict[_K, ApiError]:
    """Read all lists to their ends; gives the refusals of those that could not be read.

    Raises `Cancelled` and `OutOfTime`.
    """
    refused: dict[_K, ApiError] = {}
    calls: InFlight[tuple[_K, int, int], tuple[list[_T], Mapping[str, str]]] = InFlight(pool, rate_limiter)
    unfinished = dict(lists)
    while unfinished:
        for key, listing in unfinished.items():
            for number in listing.wanted()[: calls.room]:
                listing.ask(number)
                calls.start((key, listing.generation, number), partial(page, key, number, listing.size))
            if not calls.room:
                break
        for completed in calls.completed():
            key, generation, number = completed.key
            listing = lists[key]
            if key not in unfinished or generation != listing.generation:
                continue
            try:
                _take(listing, number, completed.result)
            except ApiError as refusal:
                refused[key] = refusal
                unfinished.pop(key)
            else:
                if listing.finished:
                    unfinished.pop(key)
    return refused


def _take(listing: Listing[_T], number: int, result: Callable[[], tuple[list[_T], Mapping[str, str]]]) -> None:
    try:
        entries, headers = result()
    except ApiError as refusal:
        listing.refuse(number, refusal)
    else:
        listing.take(number, entries, headers)
