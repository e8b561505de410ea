"""Pattern lists: the one grammar of the contract ("Patterns"), compiled.

Regular expressions run on RE2, whose time grows linearly with the text whatever the expression is.
"""

import fnmatch
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

_EXPRESSION_LIKE = re.compile(r"[\\^$|()]|[.)]\*|[.\])]\+|\{\d")


class Searchable(Protocol):
    """What is needed of a compiled regular expression of RE2."""

    def search(self, text: str, /) -> object | None:
        """Find the expression anywhere in `text`."""
        ...


@dataclass(frozen=True)
class Pattern:
    """One entry: a glob over the whole name, or a regular expression that is searched.

    `text` is the entry as written, without `!`; `expression` is set for regular expressions only.
    """

    text: str
    expression: Searchable | None = None
    ignore_case: bool = False

    @cached_property
    def _glob(self) -> re.Pattern[str]:
        # fnmatch's translation gives back nothing to stars that have matched, so its time is bounded too
        return re.compile(fnmatch.translate(self.text), re.IGNORECASE if self.ignore_case else 0)

    @property
    def is_exact(self) -> bool:
        """Whether the entry names exactly one thing."""
        return self.expression is None and not any(character in self.text for character in "*?[")

    @property
    def looks_like_expression(self) -> bool:
        """Whether a glob is written like a regular expression, whose slashes were forgotten."""
        return self.expression is None and _EXPRESSION_LIKE.search(self.text) is not None

    def matches(self, name: str) -> bool:
        """Whether this entry accepts `name`."""
        if self.expression is not None:
            return self.expression.search(name) is not None
        return self._glob.match(name) is not None


@dataclass(frozen=True)
class Patterns:
    """A list of entries: a name is accepted when one entry includes it and none excludes it.

    A list of exclusions alone means everything but those.
    """

    includes: tuple[Pattern, ...] = ()
    excludes: tuple[Pattern, ...] = ()

    def accepts(self, name: str) -> bool:
        """Whether the list accepts `name`."""
        if any(pattern.matches(name) for pattern in self.excludes):
            return False
        return not self.includes or any(pattern.matches(name) for pattern in self.includes)

    @property
    def entries(self) -> tuple[Pattern, ...]:
        """All entries, the including ones first."""
        return self.includes + self.excludes
