"""Runs the product in time that a test directs: it passes where the product waits, and where the test says so.

    python -I tests/wire/directed.py FILE [ARGUMENT...]

`FILE` holds the seconds that have passed, and how many signals the program has taken. Without arguments it goes through
the Action's door, with inputs in the environment.
"""

import mmap
import signal
import struct
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "src"))

from package_keeper.main import main
from package_keeper.runner.process import Interruption, SystemClock, exit_now  # reason: the path must be set before
from package_keeper.stopping import STOPPING

SECONDS = struct.Struct("d")
SIGNALS = struct.Struct("Q")
SIZE = SECONDS.size + SIGNALS.size


class Passed:
    """The seconds that have passed, and the signals that were taken, which two processes share."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(SIZE))
        with path.open("r+b") as file:
            self._shared = mmap.mmap(file.fileno(), SIZE)
        self._lock = threading.Lock()

    @property
    def seconds(self) -> float:
        """How many they are."""
        found: float = SECONDS.unpack_from(self._shared)[0]
        return found

    @property
    def signals(self) -> int:
        """How many signals the program has taken."""
        found: int = SIGNALS.unpack_from(self._shared, SECONDS.size)[0]
        return found

    def count_signal(self) -> None:
        """Note that the program has taken one more."""
        SIGNALS.pack_into(self._shared, SECONDS.size, self.signals + 1)

    def until(self, seconds: float) -> None:
        """Let time pass up to that moment, unless it has passed."""
        with self._lock:
            SECONDS.pack_into(self._shared, 0, max(seconds, self.seconds))


class DirectedClock(SystemClock):
    """A clock that moves only when it is moved; who sleeps moves it."""

    def __init__(self, interruption: Interruption, passed: Passed) -> None:
        super().__init__(interruption)
        self._passed = passed
        self._began = datetime.now(UTC)
        for number in STOPPING:
            handler = signal.getsignal(number)
            if callable(handler):
                signal.signal(number, self._counting(handler))

    def _counting(self, handler: Callable[[int, FrameType | None], Any]) -> Callable[[int, FrameType | None], Any]:
        def counted(number: int, frame: FrameType | None) -> None:
            self._passed.count_signal()
            handler(number, frame)

        return counted

    def now(self) -> datetime:
        """The directed time in UTC."""
        return self._began + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        """The seconds that have passed."""
        return self._passed.seconds

    def sleep(self, seconds: float) -> None:
        """Let so much time pass, at once, or raise `Cancelled`."""
        until = self.monotonic() + seconds
        super().sleep(0.0)
        self._passed.until(until)


if __name__ == "__main__":
    passed = Passed(Path(sys.argv[1]))
    exit_now(main(sys.argv[2:], lambda interruption: DirectedClock(interruption, passed)))
