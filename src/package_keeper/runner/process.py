"""The process of a run: signals, time, standard output, memory and exit."""

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
from package_keeper.stopping import STOPPING, release


class Interruption:
    """Turns signals into `Cancelled`, at a moment that leaves a correct receipt."""

    def __init__(self) -> None:
        self._requested = False
        # to wake a waiting thread; its `put` takes no lock, so that a signal handler may call it
        self._woken: SimpleQueue[None] = SimpleQueue()
        self._shields = 0

    @property
    def is_requested(self) -> bool:
        """Whether the run was asked to stop."""
        return self._requested

    def install(self) -> None:
        """Handle the signals that ask this process to stop."""
        for number in STOPPING:
            # `nohup` ignores SIGHUP on purpose
            if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._on_signal)

    def begin(self) -> None:
        """Accept signals from now on, and those that have waited since the start. Raises `Cancelled`."""
        release()

    def finish(self) -> None:
        """Ignore all further signals, so that nothing interrupts the report."""
        for number in STOPPING:
            signal.signal(number, signal.SIG_IGN)

    @contextmanager
    def shield(self) -> Iterator[None]:
        """Delay a first cancellation until the end of the block, where it raises `Cancelled`."""
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
        """Wait. A cancellation raises `Cancelled` even inside `shield`, since a wait has no request in flight."""
        if not self._requested:
            with suppress(Empty):
                self._woken.get(timeout=max(seconds, 0.0))
        if self._requested:
            # wake the next waiting thread
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
    """The machine's time. A cancellation ends a wait."""

    def __init__(self, interruption: Interruption) -> None:
        self._interruption = interruption

    def now(self) -> datetime:
        """The current time in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that only grow."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait. Raises `Cancelled`."""
        self._interruption.wait(seconds)


class SteadyStream:
    """A text stream that drops what cannot be written, where another stream would end the run with an error.

    `problem` is why something was dropped; a reader that closed its pipe is no problem.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.problem = ""

    def write(self, text: str) -> int:
        """Write a text, or drop it."""
        try:
            return self._stream.write(text)
        except (OSError, ValueError) as error:
            self._note(error)
            return len(text)

    def flush(self) -> None:
        """Flush the stream if that is possible."""
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
    """Make standard output and standard error safe: closed, on a full disk or without a reader, they end no run."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # takes the closed number; otherwise a file of the run would get it, and with it everything printed
            os.open(os.devnull, os.O_RDWR)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, SteadyStream):
            continue
        if stream is None:
            stream = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123  # reason: held until the end
        if isinstance(stream, io.TextIOWrapper):
            # characters that the encoding lacks become escapes
            stream.reconfigure(errors="backslashreplace")
        setattr(sys, name, cast("TextIO", SteadyStream(stream)))


def tune_gc() -> None:
    """Run Python's cyclic garbage collector less often.

    A large inventory is millions of objects that stay and have no cycles; the collector would take a quarter of the
    time (docs/benchmarks.md, "Planning").
    """
    gc.set_threshold(200_000, 20, 100)


def exit_now(status: int) -> NoReturn:
    """Exit at once. Everything is written by now.

    A normal exit would free all objects while threads still wait for answers that nobody needs. CPython 3.11 can crash
    over that, which changes the exit status.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)
