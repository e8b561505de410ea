"""Complete lists out of pages that shift, repeat, lack a Link header, or fail when they are large.

Pages are asked for by number until a short one. A Link header that names a next page overrules a short page; its
absence proves nothing, since package lists have been seen without it (octokit/core.js#695). Its URL is never
followed. Entries are taken once by id: offset pages shift while others push (GITHUB.md, "Endpoints").
"""

import re
from collections.abc import Callable, Hashable
from typing import TypeVar

from package_keeper.errors import Refusal, RefusalKind
from package_keeper.github.transport import Answer

PAGE_SIZE = 100
SMALLEST_PAGE = 25
_NEXT = re.compile(r';\s*rel="?next"?')
WINDOW = 10_000
"""Above this `per_page` times `page` GitHub answers 400 on lists of packages."""
REPEATS = 3
"""After so many pages in a row without anything new, the list has no end that could be found."""

_T = TypeVar("_T")


def all_entries(
    page: Callable[[int, int], tuple[list[_T], Answer]], *, identity: Callable[[_T], Hashable]
) -> tuple[list[_T], bool]:
    """Read all pages. `page(number, size)` gives one; a server error halves the size (GITHUB.md, "Refusals").

    The second value is false when GitHub refused to list to the end.
    """
    found: dict[Hashable, _T] = {}
    size, offset, repeats = PAGE_SIZE, 0, 0
    while True:
        number = offset // size + 1
        try:
            entries, answer = page(number, size)
        except Refusal as refused:
            if refused.kind is RefusalKind.UNREACHABLE and refused.status is not None and size > SMALLEST_PAGE:
                size //= 2
                continue
            if refused.status == 400 and number * size > WINDOW:
                return list(found.values()), False
            raise
        before = len(found)
        for entry in entries:
            # of two entries of one thing the later is the fresher
            found[identity(entry)] = entry
        offset += size
        repeats = repeats + 1 if len(found) == before else 0
        if not entries or (len(entries) < size and not _NEXT.search(answer.headers.get("link", ""))):
            return list(found.values()), True
        if repeats >= REPEATS:
            raise Refusal(RefusalKind.UNREACHABLE, "GitHub's list repeats itself without an end")
