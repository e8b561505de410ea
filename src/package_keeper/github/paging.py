"""Reads complete lists from pages that shift, repeat, lack a Link header, or fail when they are large.

Which pages are requested: first the first page alone, then many in parallel, up to the last page that a Link header
names, or a little ahead of the last full page. A short page ends a list. When GitHub has counted as many entries as
fill the last page, the empty page after it is requested along with the others. A Link header that names a next page
overrules a short page; its absence proves nothing, since package lists have been seen without it (octokit/core.js#695).
Its URL is never followed. Pages shift while others push, so entries are taken once by id (docs/github-behaviour.md,
"Endpoints").

A push moves entries to later pages. Read one page after the other, such a list shows entries twice and misses none.
Read in parallel, it could miss some. So at the end the first page is requested again, which costs nothing of the
primary budget if it is unchanged. If it has changed, or an entry came twice, the list is read again, one page after the
other.

A deletion moves entries to earlier pages: the first entry of the next page moves to the page before, and no page shows
it. Then there are fewer entries than GitHub counted just before. So a list of several pages with too few entries is
read again too. Entries of either reading count, since what is believed to exist is kept.

A push and a deletion together leave the count right. So a list of several pages that must be certain, because its
entries decide what is deleted, is read until two readings in a row show the same entries. An entry that an earlier
reading showed and the last two do not is checked by itself: it is gone, or both readings missed it.
"""

import re
from collections.abc import Callable, Hashable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from functools import partial
from time import monotonic
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
"""After so many equal pages in a row, the list has no end."""
SURE = 3
"""After so many full pages without a Link header, pages are requested ahead of the last one."""
AHEAD = 8
"""So many pages are requested ahead, at most."""
READINGS = 5
"""How often a list that must be certain is read, at most."""

CHANGES_TOO_FAST = (
    f"the list changes too fast: {READINGS} readings do not agree on what is there; try again when less is pushed and"
    " deleted"
)

_T = TypeVar("_T")


class Listing(Generic[_T]):
    """One list that is being read: which pages to request next, and the entries so far.

    `expected` is how many entries GitHub has counted, or `None`. A list that must be certain has `seen`, the entries of
    the reading before, and is read until two readings agree. Entries in `gone` do not count there: they were deleted in
    between, and a list may lag. `complete` is false when GitHub refused to list to the end.
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
        """Entries of a list that must be certain that an earlier reading showed and the last ones do not."""
        self.size = PAGE_SIZE
        self.complete = True
        self.finished = False
        self.generation = 0
        """Goes up when the pages in flight have become useless."""
        self._found: dict[Hashable, _T] = {}
        self._in_order = False
        self._in_parallel = False
        self._again: set[Hashable] | None = None
        self._shifted = False
        self._first_page: list[Hashable] = []
        self._checking = False
        self._begin(0)

    def _begin(self, taken: int) -> None:
        """Start, or go on after so many entries, with pages of the present size."""
        self.generation += 1
        self._taken = taken // self.size
        self._first = self._taken
        self._requested: set[int] = set()
        self._waiting: dict[int, tuple[list[_T], bool]] = {}
        self._last = 0
        self._ends = 0
        self._repeats = 0
        self._before: list[Hashable] = []

    @property
    def pages(self) -> tuple[int, int]:
        """How many pages were taken, and how many there are as far as is known."""
        return self._taken, max(self._last, self._taken, *self._requested, 1)

    @property
    def is_long(self) -> bool:
        """Whether it has several pages."""
        return self._taken > 1

    @property
    def entries(self) -> list[_T]:
        """The entries; when an entry came twice, the later one."""
        return list(self._found.values())

    def wanted(self) -> list[int]:
        """The numbers of the pages to request now. The caller requests each of them, or calls again."""
        if self.finished:
            return []
        if self._checking:
            return [] if self._requested else [1]
        reach = min(self._reach(), self._ends - 1) if self._ends else self._reach()
        return [number for number in range(self._taken + 1, reach + 1) if number not in self._requested]

    def _reach(self) -> int:
        """The number of the last page to request now."""
        following = self._taken + 1
        full = self._taken - self._first
        known = len(self._seen) // self.size + 1 if self._seen is not None else 0
        if self._taken < known:
            # the reading before had so many pages
            return known
        if self._in_order or full == 0:
            return following
        if self._last:
            # there is hardly ever a page after the one that GitHub calls the last
            fills_last = self._last > following and self._expected == self._last * self.size
            return max(self._last, following) + fills_last
        return following if full < SURE else self._taken + min(full // 2, AHEAD)

    def requested(self, number: int) -> None:
        """Note that a page was requested."""
        self._in_parallel = self._in_parallel or len(self._requested) > self._taken - self._first
        self._requested.add(number)

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
        self._finish_incomplete()

    def fail(self, number: int, error: ApiError) -> None:
        """Note that a page failed: after a server error smaller pages are requested. Else raises the error."""
        if self._checking and number != 1:
            return
        if error.kind is ApiErrorKind.UNREACHABLE and error.status is not None and self.size > SMALLEST_PAGE:
            taken = self._taken * self.size
            self.size //= 2
            self._begin(taken)
        elif not self._checking and error.status == 400 and number * self.size > WINDOW:
            # pages before this one may still be in flight
            self._ends = min(self._ends or number, number)
            self._finish_incomplete()
        else:
            raise error

    def _finish_incomplete(self) -> None:
        """Finish where GitHub refuses to list further, once all pages before that were taken."""
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
        elif self._in_order or not self._in_parallel:
            self._finish()
        elif self._shifted:
            self._read_again(in_order=True)
        else:
            # pages in flight are of no use for the check
            self.generation += 1
            self._checking = True
            self._requested = set()

    def _compare(self, seen: AbstractSet[Hashable]) -> None:
        """Accept a single page, and several pages that agree with the reading before; else read again."""
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
            self._read_again(in_order=False)
        else:
            self.finished = True

    def _check(self, first_page: list[Hashable]) -> None:
        """Compare the first page with its first reading; the page size may have changed."""
        common = min(len(first_page), len(self._first_page))
        if first_page[:common] == self._first_page[:common]:
            self._finish()
        else:
            self._read_again(in_order=True)

    def _read_again(self, *, in_order: bool) -> None:
        self._checking = self._in_parallel = self._shifted = False
        self._in_order = in_order
        self._again = set()
        self._first_page = []
        self._begin(0)


_K = TypeVar("_K")

PROGRESS_SECONDS = 1.0
"""How often a reading says how far it is. To count the pages of many lists takes time."""

Page = Callable[[_K, int, int], tuple[list[_T], Mapping[str, str]]]
"""Reads one page: of which list, its number and its size; gives entries and headers, or raises `ApiError`."""


_Calls = InFlight[tuple[_K, int, int], tuple[list[_T], Mapping[str, str]]]
"""The pages in flight, by list, generation of the list, and number."""


def read_lists(
    lists: Mapping[_K, Listing[_T]], page: Page[_K, _T], pool: Pool, rate_limiter: RateLimiter
) -> dict[_K, ApiError]:
    """Read all lists to their ends. Gives the errors of those that could not be read.

    Raises `Cancelled` and `OutOfTime`.
    """
    errors: dict[_K, ApiError] = {}
    calls: _Calls[_K, _T] = InFlight(pool, rate_limiter)
    unfinished = dict(lists)
    told = monotonic()
    while unfinished:
        _request_pages(unfinished, page, calls)
        for completed in calls.completed():
            key, generation, number = completed.key
            if key not in unfinished or generation != lists[key].generation:
                continue
            try:
                _take(lists[key], number, completed.result)
            except ApiError as error:
                errors[key] = error
            if key in errors or lists[key].finished:
                unfinished.pop(key)
        told = _tell_progress(lists.values(), pool, told)
    return errors


def _tell_progress(lists: Iterable[Listing[_T]], pool: Pool, told: float) -> float:
    """Say how far the reading is, unless it was told just now. Return when it was told."""
    if monotonic() < told + PROGRESS_SECONDS:
        return told
    pages = [listing.pages for listing in lists]
    pool.progress("reading lists, pages", sum(taken for taken, _ in pages), sum(known for _, known in pages))
    return monotonic()


def _request_pages(lists: Mapping[_K, Listing[_T]], page: Page[_K, _T], calls: _Calls[_K, _T]) -> None:
    """Request what the lists want, the first list first, as far as requests may be in flight."""
    for key, listing in lists.items():
        if not calls.room:
            break
        for number in listing.wanted()[: calls.room]:
            listing.requested(number)
            calls.start((key, listing.generation, number), partial(page, key, number, listing.size))


def _take(listing: Listing[_T], number: int, result: Callable[[], tuple[list[_T], Mapping[str, str]]]) -> None:
    try:
        entries, headers = result()
    except ApiError as error:
        listing.fail(number, error)
    else:
        listing.take(number, entries, headers)
