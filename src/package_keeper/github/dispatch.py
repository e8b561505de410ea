"""Writes side by side, as fast as the governor lets: what the carrier of plans needs of the wire."""

import time
from collections.abc import Callable

from package_keeper.github.governor import Governor, Permit, Use
from package_keeper.github.lanes import Flight, Landed, Lanes

POLL_SECONDS = 0.1
"""Real seconds after which a wait for answers looks up, to see whether the run was asked to stop."""


IN_STEP = 8
"""So many writes under way at first are started one after the other."""
STEP_SECONDS = 0.001
"""Real seconds between two of those: time enough for a thread to send."""


class Dispatch:
    """Sends writes in threads; to be used from one thread."""

    def __init__(self, lanes: Lanes, governor: Governor) -> None:
        self._governor = governor
        self._flight: Flight[int, None] = Flight(lanes, governor)

    @property
    def under_way(self) -> set[int]:
        """The keys of the writes that are under way."""
        return set(self._flight.under_way)

    @property
    def is_over(self) -> bool:
        """Whether `time-limit` has passed."""
        return self._governor.is_over

    def wind_up(self) -> None:
        """Let what is left to look at be looked at after `time-limit`; nothing new begins."""
        self._governor.wind_up()

    def admit(self, *, restores: bool, more: int = 0) -> Permit | float:
        """Leave to send one write, or the seconds until asking again is worth it; `more` have leave already."""
        if self._flight.room <= more:
            return POLL_SECONDS
        return self._governor.admit(Use.CREATE if restores else Use.DELETE)

    def room(self, *, restores: bool) -> float:
        """How many writes can be sent before `time-limit` ends, as far as limits are known; infinite without one."""
        return self._governor.room(Use.CREATE if restores else Use.DELETE)

    def wait(self, *, restores: bool) -> float:
        """The seconds until a write may be sent, of which none is under way."""
        return self._governor.wait(Use.CREATE if restores else Use.DELETE)

    def start(self, key: int, leave: Permit, call: Callable[[], None]) -> None:
        """Start a write that has leave."""

        def send() -> None:
            with self._governor.holding(leave):
                call()

        self._flight.start(key, send)
        if len(self._flight.under_way) <= IN_STEP:
            # a few arrive in their order, the oldest first, as far as that is ours to say
            time.sleep(STEP_SECONDS)

    def give_back(self, leave: Permit) -> None:
        """Give back leave for a write that is not sent after all."""
        self._governor.back(leave, passed=False)

    def landed(self) -> list[Landed[int, None]]:
        """Wait a moment for writes that came back, and give those that did."""
        return self._flight.landed(POLL_SECONDS)

    def rest(self, seconds: float, *, restores: bool) -> None:
        """Wait until a write may be sent. Raises `OutOfTime` and `Cancelled`."""
        self._governor.rest(Use.CREATE if restores else Use.DELETE, seconds)
