"""The process of a run: its output, its memory and its end."""

import errno
import gc
import io
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Any, NoReturn, TextIO, cast

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


class SteadyStream:
    """A stream of text that loses what nobody takes any more, where another would end the run in its middle.

    `problem` is why something was lost, unless it was that the reader has seen enough.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.problem = ""

    def write(self, text: str) -> int:
        """Write as much as can be written."""
        try:
            return self._stream.write(text)
        except (OSError, ValueError) as error:
            self._note(error)
            return len(text)

    def flush(self) -> None:
        """Pass on what was written."""
        try:
            self._stream.flush()
        except (OSError, ValueError) as error:
            self._note(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _note(self, error: OSError | ValueError) -> None:
        if getattr(error, "errno", None) != errno.EPIPE:
            self.problem = getattr(error, "strerror", None) or str(error)


def steady_output() -> None:
    """Let the run go on, whatever becomes of standard output and standard error: closed, a full disk, a reader gone."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # the lowest number that is free, which a file of the run would get otherwise, and with it what is printed
            os.open(os.devnull, os.O_RDWR)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, SteadyStream):
            continue
        if stream is None:
            stream = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123  # reason: held until the end
        if isinstance(stream, io.TextIOWrapper):
            # what its encoding does not have is written as an escape
            stream.reconfigure(errors="backslashreplace")
        setattr(sys, name, cast("TextIO", SteadyStream(stream)))


def tune_gc() -> None:
    """Let Python look for circles of dead objects less often.

    A large inventory is millions of objects that all stay, and no circles: looking for those takes a quarter of all
    time (docs/benchmarks.md, "Planning").
    """
    gc.set_threshold(200_000, 20, 100)


def leave(status: int) -> NoReturn:
    """End this process, at once.

    Everything is written by now. Python would take all that is left apart, object by object, while threads still wait
    for answers that nobody needs; CPython 3.11 has been seen to crash over that, which is another exit status.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)
