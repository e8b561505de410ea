"""When versions were last used, as the file of the input `usage` says."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from msgspec import Struct

UsageRow = tuple[int, str, str, str, str, datetime, int | None]
"""One row of the file: line, package, type, kind, name, last use (aware), pulls.

The type is empty where the file does not say it. The kind is `digest`, `tag` or `version`. A plain tuple, since a file
may have a million rows.
"""


class Usage(Struct, frozen=True):
    """When a version was last used, and how often it was pulled, as far as the file says."""

    last_used: datetime
    pulls: int | None = None

    def and_also(self, other: "Usage") -> "Usage":
        """The use of both: the newest counts, pulls add up."""
        pulls = [each for each in (self.pulls, other.pulls) if each is not None]
        return Usage(max(self.last_used, other.last_used), sum(pulls) if pulls else None)


def last_use(usage: Mapping[int, Usage], ids: Iterable[int]) -> datetime | None:
    """The newest use of any of these versions; `None` when the file names none of them."""
    return max((usage[each].last_used for each in ids if each in usage), default=None)
