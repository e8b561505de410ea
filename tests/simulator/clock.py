"""Simulated time: it starts where a test wants it, and runs as fast as a test wants it."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

Moment = datetime | str


def stamp(moment: Moment) -> str:
    """Write a moment the way GitHub does: UTC, whole seconds, a trailing Z."""
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Clock:
    """The simulator's clock; with ``time_scale=60`` a simulated minute lasts one real second."""

    def __init__(self, time_scale: float = 1.0, start: Moment | None = None) -> None:
        self.time_scale = time_scale
        self.shared = False
        """Whether clients live in simulated time too: waits and resets are then told in it."""
        self._zero = time.monotonic()
        self._advanced = 0.0
        self._origin = datetime.now(UTC)
        if start is not None:
            self.set(start)

    def elapsed(self) -> float:
        """Count the simulated seconds since the start; this is what all windows of limits run on."""
        return (time.monotonic() - self._zero) * self.time_scale + self._advanced

    def now(self) -> datetime:
        """Tell the simulated time."""
        return self._origin + timedelta(seconds=self.elapsed())

    def stamp(self, offset: timedelta = timedelta()) -> str:
        """Write the simulated time, plus an offset, the way GitHub does."""
        return stamp(self.now() + offset)

    def set(self, moment: Moment) -> None:
        """Make it this moment now; windows of limits are left as they are."""
        if isinstance(moment, str):
            moment = datetime.fromisoformat(moment)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        self._origin = moment - timedelta(seconds=self.elapsed())

    def advance(self, by: timedelta | float) -> None:
        """Let simulated time pass at once, windows of limits included."""
        self._advanced += by.total_seconds() if isinstance(by, timedelta) else by

    def moment(self, at: datetime) -> float:
        """Convert a simulated time into seconds of ``time.monotonic()``, which all processes of a machine share."""
        return self._zero + ((at - self._origin).total_seconds() - self._advanced) / self.time_scale

    def real_seconds(self, simulated: float) -> float:
        """Convert simulated seconds into the seconds that a client has to wait, by its own clock."""
        return simulated if self.shared else simulated / self.time_scale

    def real_epoch(self, elapsed: float) -> float:
        """Convert a moment of ``elapsed()`` into the client's own epoch seconds (``x-ratelimit-reset``)."""
        if self.shared:
            return self._origin.timestamp() + elapsed
        return time.time() + self.real_seconds(elapsed - self.elapsed())
