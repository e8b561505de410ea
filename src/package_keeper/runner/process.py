"""The process of a run: its output, its memory and its end."""

import errno
import gc
import io
import os
import sys
from contextlib import suppress
from typing import Any, NoReturn, TextIO, cast


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


def spare_the_collector() -> None:
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
