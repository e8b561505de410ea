"""How long to wait when GitHub says that a limit is reached (docs/github-behaviour.md, "Refusals")."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

SECONDARY_WAIT = 60.0
"""Seconds to wait after a secondary limit that names none; doubled each time."""
LONGEST_UNTOLD = 960.0
"""The longest of those waits."""
LONGEST = 3700.0
"""The longest wait that GitHub's word can make: primary windows last an hour. Then it is asked again."""
_SECONDS = r"[0-9]{1,12}"


def retry_after(text: str, now: datetime) -> float | None:
    """The seconds that a header `Retry-After` asks for: a number, or a date (RFC 9110, section 10.2.3)."""
    if re.fullmatch(rf"{_SECONDS}(\.[0-9]{{1,12}})?", text):
        return float(text)
    try:
        until = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return max((until.replace(tzinfo=until.tzinfo or UTC) - now).total_seconds(), 0.0)


def server_time(headers: Mapping[str, str], now: datetime) -> datetime:
    """The time by the clock of whoever answered, to which `x-ratelimit-reset` belongs; `now` where it does not say."""
    try:
        told = parsedate_to_datetime(headers.get("date", ""))
    except (ValueError, OverflowError):
        return now
    return told.replace(tzinfo=told.tzinfo or UTC)


def limit_wait(headers: Mapping[str, str], times: int, now: datetime) -> tuple[float, str]:
    """Give the seconds to wait and which limit it is, when one request has met a limit for the `times`-th time."""
    now = server_time(headers, now)
    told = retry_after(headers.get("retry-after", ""), now)
    reset = headers.get("x-ratelimit-reset", "")
    primary = headers.get("x-ratelimit-remaining") == "0"
    kind = "primary" if primary else "secondary"
    if told is not None:
        return min(max(told, 1.0), LONGEST), kind
    if primary and re.fullmatch(_SECONDS, reset):
        # a second more costs less than a refusal more; a moment that has passed cannot be what GitHub means
        left = float(reset) - now.timestamp()
        return min(left + 1.0 if left > 0 else 2.0 ** min(times - 1, 6), LONGEST), kind
    return min(SECONDARY_WAIT * 2.0 ** (times - 1), LONGEST_UNTOLD), kind
