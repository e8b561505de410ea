"""Time, as the wire needs it."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Time. `sleep` may raise `Cancelled`, in any thread."""

    def now(self) -> datetime:
        """The current time, aware."""
        ...

    def monotonic(self) -> float:
        """Seconds that only grow."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait; a run that is cancelled meanwhile raises `Cancelled`."""
        ...
