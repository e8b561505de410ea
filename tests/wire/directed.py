"""Runs the product in time that a test directs: it passes where the product waits, and where the test says so.

    python -I tests/wire/directed.py FILE

`FILE` holds the seconds that have passed. It goes through the Action's door, with inputs in the environment.
"""

import mmap
import struct
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "src"))

from package_keeper.main import main
from package_keeper.runner.process import (
    Interruption,
    SystemClock,
    leave,  # reason: the path must be set before
)

SECONDS = struct.Struct("d")


class Passed:
    """The seconds that have passed, which two processes share."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(SECONDS.pack(0.0))
        with path.open("r+b") as file:
            self._shared = mmap.mmap(file.fileno(), SECONDS.size)
        self._lock = threading.Lock()

    @property
    def seconds(self) -> float:
        """How many they are."""
        found: float = SECONDS.unpack_from(self._shared)[0]
        return found

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
    leave(main([], lambda interruption: DirectedClock(interruption, passed)))
