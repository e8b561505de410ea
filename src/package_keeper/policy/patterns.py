"""Pattern lists (docs/reference.md, "Patterns"), as compiled by `inputs`.

Regular expressions run on RE2, whose time grows linearly with the text whatever the expression is. Its patterns have
the interface of `re.Pattern`.
"""

import fnmatch
import re
from functools import cached_property

from msgspec import Struct

_EXPRESSION_LIKE = re.compile(r"[\\^$|()]|[.)]\*|[.\])]\+|\{\d")


class Pattern(Struct, frozen=True, dict=True):
    """One entry: a glob for the whole name, or a regular expression that is searched in it.

    `text` is the entry as written, without `!`. `expression` is `None` for globs.
    """

    text: str
    expression: re.Pattern[str] | None = None
    ignore_case: bool = False

    @cached_property
    def _glob(self) -> re.Pattern[str]:
        # the translated stars do not backtrack, so the time of globs is bounded too
        return re.compile(fnmatch.translate(self.text), re.IGNORECASE if self.ignore_case else 0)

    @property
    def is_exact(self) -> bool:
        """Whether the entry is one whole name."""
        return self.expression is None and not any(character in self.text for character in "*?[")

    @property
    def looks_like_expression(self) -> bool:
        """Whether the entry is a glob, but looks like a regular expression without slashes."""
        return self.expression is None and _EXPRESSION_LIKE.search(self.text) is not None

    def matches(self, name: str) -> bool:
        """Whether this entry accepts `name`."""
        if self.expression is not None:
            return self.expression.search(name) is not None
        return self._glob.match(name) is not None


class Patterns(Struct, frozen=True):
    """A list of entries. It accepts a name that one entry includes and none excludes.

    A list of exclusions alone accepts everything else.
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
        """All entries; those that include come first."""
        return self.includes + self.excludes
