"""How long to wait when GitHub says that a limit is reached (GITHUB.md, "Refusals, by exact text")."""

from collections.abc import Mapping
from datetime import datetime

SECONDARY_WAIT = 60.0
"""Seconds to wait after a secondary limit that names none; doubled each time."""


def limit_wait(headers: Mapping[str, str], times: int, now: datetime) -> tuple[float, str]:
    """Give the seconds to wait and which limit it is, when one request has met a limit for the `times`-th time."""
    retry_after = headers.get("retry-after", "")
    reset = headers.get("x-ratelimit-reset", "")
    primary = headers.get("x-ratelimit-remaining") == "0"
    kind = "primary" if primary else "secondary"
    if retry_after.isdecimal():
        return max(float(retry_after), 1.0), kind
    if primary and reset.isdecimal():
        # GitHub's clock and ours differ by a moment; a second more costs less than a refusal more
        return max(float(reset) - now.timestamp(), 0.0) + 1.0, kind
    return SECONDARY_WAIT * 2.0 ** (times - 1), kind
