"""Cancellation: SIGINT, then SIGTERM 7.5 s later, then the end 2.5 s later (docs/github-behaviour.md, "The Actions
runner").

A terminal that is closed sends SIGHUP. As process 1 Python has no SIGTERM handler of its own. The first signal lets a
write that is under way finish, so that its outcome reaches the receipt; the second cuts it off.
"""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from types import FrameType

from package_keeper.errors import Cancelled

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The signals that ask a run to stop."""


class Interruption:
    """Turns signals into `Cancelled`, at a moment that leaves a true receipt."""

    def __init__(self) -> None:
        self._requested = False
        # the only way to wake a waiting thread that a handler of signals may use: it holds no lock that could be held
        self._woken: SimpleQueue[None] = SimpleQueue()
        self._shields = 0

    @property
    def is_requested(self) -> bool:
        """Whether the run was asked to stop."""
        return self._requested

    def install(self) -> None:
        """Take over the signals of this process that ask it to stop."""
        for number in STOPPING:
            # `nohup` ignores SIGHUP, and means it
            if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._on_signal)

    def finish(self) -> None:
        """Pass over all further signals: what happened is about to be reported, which nothing may cut off."""
        for number in STOPPING:
            signal.signal(number, signal.SIG_IGN)

    @contextmanager
    def shield(self) -> Iterator[None]:
        """Hold a first cancellation back until the end of the block, where it raises `Cancelled`."""
        self._shields += 1
        try:
            yield
        finally:
            self._shields -= 1
        self.check()

    def check(self) -> None:
        """Raise `Cancelled` when the run was asked to stop."""
        if self._requested and not self._shields:
            raise Cancelled

    def wait(self, seconds: float) -> None:
        """Wait; a cancellation ends the wait with `Cancelled`, shielded or not: nothing is under way in a wait."""
        if not self._requested:
            with suppress(Empty):
                self._woken.get(timeout=max(seconds, 0.0))
        if self._requested:
            # for the next thread that waits
            self._woken.put(None)
            raise Cancelled

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        again, self._requested = self._requested, True
        self._woken.put(None)
        if again:
            raise Cancelled(in_flight=self._shields > 0)
        self.check()


class SystemClock:
    """The machine's time; waits end when the run is cancelled."""

    def __init__(self, interruption: Interruption) -> None:
        self._interruption = interruption

    def now(self) -> datetime:
        """The current time in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that only grow."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait, or raise `Cancelled`."""
        self._interruption.wait(seconds)
