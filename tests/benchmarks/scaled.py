"""Runs the product in time that passes faster: its clock is quick, and its waits are as much shorter.

    python -I tests/benchmarks/scaled.py SCALE MOMENT NOW

It goes through the Action's door, with inputs in the environment. At `MOMENT` of `time.monotonic()`, in the machine's
seconds, it was `NOW`: with the simulator's own figures both live in one time, in which headers make sense. What is
not asked of the product's clock (CPU time, timeouts of connections) takes `SCALE` times as many of its seconds.
"""

import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "src"))

from package_keeper.main import main
from package_keeper.runner.process import (
    Interruption,
    SystemClock,
    exit_now,  # reason: the path must be set before
)


class ScaledClock(SystemClock):
    """A clock that runs `scale` times as fast as the machine's."""

    def __init__(self, interruption: Interruption, scale: float, moment: float, now: datetime) -> None:
        super().__init__(interruption)
        self._scale = scale
        self._moment = moment
        self._origin = now

    def now(self) -> datetime:
        """The scaled time in UTC."""
        return self._origin + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        """Scaled seconds since `moment`."""
        return (time.monotonic() - self._moment) * self._scale

    def sleep(self, seconds: float) -> None:
        """Wait so many scaled seconds, or raise `Cancelled`."""
        super().sleep(seconds / self._scale)


def run(scale: str, moment: str, now: str) -> int:
    """Run the Action in scaled time; gives its exit status."""
    origin = datetime.fromisoformat(now).astimezone(UTC)
    return main([], lambda interruption: ScaledClock(interruption, float(scale), float(moment), origin))


if __name__ == "__main__":
    exit_now(run(*sys.argv[1:]))
