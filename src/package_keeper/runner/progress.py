"""How far a long step is: a line every ten seconds, or a bar on a terminal (docs/decisions/0036)."""

import os
from collections.abc import Callable
from typing import TextIO

LINE_SECONDS = 10.0
"""Seconds between two lines."""
DRAW_SECONDS = 0.2
"""Seconds between two drawings of a bar, and before the first one: a short step shows none."""
FEW_COLUMNS = 20
_ERASE = "\r\x1b[K"


class Progress:
    """The progress of the present step. `now` gives seconds that only grow."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._step = ("", 0, 0)
        """What the step does, how much is done, and of how much."""
        self._first = 0
        self._began = now()
        self._shown = now()

    def update(self, what: str, done: int, total: int) -> None:
        """Note how far a step is. Another `what`, or less done than before, is a new step."""
        if what != self._step[0] or done < self._step[1]:
            self._began, self._first = self._now(), done
        self._step = (what, done, max(done, total))

    def is_due(self, seconds: float) -> bool:
        """Whether nothing was shown for so long. A step that has not begun shows nothing."""
        now = self._now()
        if not self._step[0] or now < self._shown + seconds:
            return False
        self._shown = now
        return True

    def __str__(self) -> str:
        """How much is done of how much, the rate, and the time left, as far as that is known."""
        what, done, total = self._step
        return f"{what}: {done} of {total}{self._speed()}"

    def bar(self, width: int, marks: str = "#-") -> str:
        """The same as a bar of `width` columns. `marks` are for what is done, and for the rest."""
        what, done, total = self._step
        text = f" {done}/{total}{self._speed()}"
        room = width - len(what) - len(text) - 2
        if room < FEW_COLUMNS // 2:
            return f"{what}{text}"[:width]
        full = room * done // total if total else 0
        return f"{what} {marks[0] * full}{marks[1] * (room - full)}{text}"

    def _speed(self) -> str:
        _, done, total = self._step
        seconds, made = self._now() - self._began, done - self._first
        if seconds <= 0 or made <= 0:
            return ""
        left = f", {_duration((total - done) * seconds / made)} left" if total > done else ""
        return f", {made * 60 / seconds:.0f} a minute{left}"


class Bar:
    """Draws progress on the last line of a terminal. Erase it before anything else is printed."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_drawn = False

    def draw(self, progress: Progress) -> None:
        """Draw the bar in place of the one before."""
        marks = "█░" if "utf" in str(self._stream.encoding).lower() else "#-"
        self._stream.write(_ERASE + progress.bar(columns_of(self._stream) - 1, marks))
        self._stream.flush()
        self._is_drawn = True

    def erase(self) -> None:
        """Leave the line empty."""
        if self._is_drawn:
            self._stream.write(_ERASE)
            self._stream.flush()
            self._is_drawn = False


def columns_of(stream: TextIO) -> int:
    """The width of a terminal; 80 where there is none."""
    try:
        return max(os.get_terminal_size(stream.fileno()).columns, FEW_COLUMNS)
    except (OSError, ValueError):
        return 80


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
