"""Runs that are interrupted at a moment that a test chooses: it waits for events, not for time."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tests.program.forked import Forked
from tests.scenarios.program import Ended, Place, receipt_lines
from tests.simulator import Package, Simulator
from tests.wire import timed

NUMBER = 8
RECEIPT = "package-keeper-receipt.jsonl"
ALL = {f"1.{number}.0" for number in range(NUMBER)} | {"2.0.0"}
PATIENCE = 30.0


def npm_package(sim: Simulator) -> Package:
    """Make the package that has all versions of `ALL`; the runs delete those that begin with `1.`."""
    made = sim.add_package("acme", "npm", "app")
    for number in range(NUMBER):
        made.add_version(f"1.{number}.0", created_at=f"2026-01-{number + 1:02}T00:00:00Z")
    made.add_version("2.0.0", created_at="2026-02-01T00:00:00Z")
    return made


def names(package: Package) -> set[str]:
    """The names of the active versions."""
    return {version.name for version in package.active()}


def lines_by_outcome(place: Place) -> dict[str, list[str]]:
    """The names of versions by the last outcome that the receipt gives them."""
    last = {line["seq"]: line for line in receipt_lines(place.workspace / RECEIPT)}
    found: dict[str, list[str]] = {}
    for line in last.values():
        found.setdefault(line["outcome"], []).append(line["name"])
    return found


def wait_until(reached: Callable[[], bool], process: subprocess.Popen[str] | None = None) -> None:
    """Wait for something that will happen, while the process runs, if one is given."""
    until = time.monotonic() + PATIENCE
    while not reached():
        assert process is None or process.poll() is None, process.communicate()
        assert time.monotonic() < until, "the run did not get so far"
        time.sleep(0.005)


class Held:
    """One request, which is answered only after `release`."""

    def __init__(self, sim: Simulator, method: str, path: str, after: int = 0) -> None:
        self._arrived = threading.Event()
        self._released = threading.Event()
        sim.on(method, path, self._hold, times=1, after=after)

    def wait(self) -> None:
        """Wait until the request is under way."""
        assert self._arrived.wait(PATIENCE), "the request was not sent"

    def release(self) -> None:
        """Let the simulated GitHub carry it out."""
        self._released.set()

    def _hold(self, *_: object) -> None:
        self._arrived.set()
        assert self._released.wait(PATIENCE), "the test did not release the request"


class Directed:
    """A run in time that passes only where it waits, so that no wait takes any time (`directed.py`)."""

    def __init__(self, place: Place, arguments: list[str], environment: dict[str, str], *, forked: bool = True) -> None:
        file = place.runner / "passed"
        file.unlink(missing_ok=True)
        self._passed = timed.passed(place)
        self._place = place
        given = [str(file), *arguments]
        self.process: subprocess.Popen[str]
        if forked:
            place.empty_files()
            self.process = Forked(timed.DIRECTED, given, place.workspace, environment)
        else:
            self.process = place.start(given, environment, timed.DIRECTED)
        self._sent = 0

    def send_signal(self, number: int) -> None:
        """Send a signal, and wait until the program has taken it."""
        self._sent += 1
        self.process.send_signal(number)
        wait_until(lambda: self._passed.signals >= self._sent or self.process.poll() is not None)

    def ignores(self, number: int) -> bool:
        """Whether the process ignores a signal by now."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        (ignored,) = (line.split()[1] for line in status.splitlines() if line.startswith("SigIgn:"))
        return bool(int(ignored, 16) >> (number - 1) & 1)

    def end(self) -> Ended:
        """Wait for its end."""
        return self._place.end(self.process)
