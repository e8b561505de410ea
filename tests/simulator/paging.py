"""Pages, with and without Link, in any order, with entries that repeat (docs/github-behaviour.md, "Endpoints")."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .wire import Request

Item = TypeVar("Item")
DEFAULT_PER_PAGE = 30
MAX_PER_PAGE = 100


@dataclass(frozen=True, slots=True)
class Settings:
    """How lists are cut into pages."""

    link: bool | None = None
    """Whether lists carry a Link header; ``None``: version lists do, package lists do not."""
    shuffle: int | None = None
    """The seed of an order of its own; ``None``: versions newest first, packages oldest first."""
    duplicate: bool = False
    """Whether the last entry of a page comes again as the first of the next."""
    organization_links: bool = True
    """Whether links have the form ``/organizations/<id>/…``."""
    max_per_page: int | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Which page is asked for."""

    number: int
    size: int


def _whole(text: str | None, default: int) -> int:
    return int(text) if text is not None and text.isdigit() and int(text) > 0 else default


class Paging:
    """Cuts lists into pages."""

    def __init__(self) -> None:
        self.settings = Settings()

    def configure(self, **settings: Any) -> None:
        """Change how lists are cut: the fields of ``Settings`` by name."""
        self.settings = replace(self.settings, **settings)

    def page(self, request: Request) -> Page:
        """Read the page that is asked for."""
        size = min(_whole(request.query.get("per_page"), DEFAULT_PER_PAGE), MAX_PER_PAGE)
        if self.settings.max_per_page is not None:
            size = min(size, self.settings.max_per_page)
        return Page(_whole(request.query.get("page"), 1), size)

    def order(self, items: Sequence[Item]) -> Sequence[Item]:
        """Put a list into the order in which it is served."""
        if self.settings.shuffle is None:
            return items
        shuffled = list(items)
        random.Random(self.settings.shuffle).shuffle(shuffled)
        return shuffled

    def cut(self, items: Sequence[Item], page: Page) -> Sequence[Item]:
        """Cut one page out of a list."""
        step = self._step(page)
        start = (page.number - 1) * step
        if page.number > 1 and start + page.size - step >= len(items):
            return []
        return items[start : start + page.size]

    def links(self, request: Request, total: int, page: Page, path: str, default: bool) -> dict[str, str]:
        """Build the Link header, where there is one."""
        wanted = default if self.settings.link is None else self.settings.link
        last = 1 + math.ceil(max(0, total - page.size) / self._step(page))
        if not wanted or last == 1:
            return {}
        rels: list[tuple[str, int]] = []
        if page.number > 1:
            rels.append(("prev", page.number - 1))
        if page.number < last:
            rels += [("next", page.number + 1), ("last", last)]
        if page.number > 1:
            rels.append(("first", 1))
        url = request.base + path
        parts = [f'<{url}?{urlencode({**request.query, "page": number})}>; rel="{rel}"' for rel, number in rels]
        return {"link": ", ".join(parts)}

    def _step(self, page: Page) -> int:
        return page.size - 1 if self.settings.duplicate and page.size > 1 else page.size
