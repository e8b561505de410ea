"""Notes which lines of the program a process runs: in the process of the tests, and in the programs that they fork.

`coverage` would do the same, but starting it takes ten times as long as most of these programs run.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections import Counter
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

_ENOUGH = 500
"""Calls of one function that are watched: more of them show hardly any new line, and watching is slow."""


class Tracer:
    """The lines of files below `package` that this process and its threads have run."""

    def __init__(self, package: Path) -> None:
        self._package = f"{package}/"
        self._lines: dict[CodeType, set[int]] = {}
        self._calls: Counter[CodeType] = Counter()

    def start(self) -> None:
        """Note lines from here on."""
        threading.settrace(self._call)
        sys.settrace(self._call)

    def taken(self) -> dict[str, list[int]]:
        """What was noted since the last time, by file."""
        found: dict[str, set[int]] = {}
        for code, lines in self._lines.items():
            found.setdefault(code.co_filename.removeprefix(self._package), set()).update(lines)
        self._lines, self._calls = {}, Counter()
        return {name: sorted(lines) for name, lines in found.items()}

    def _call(self, frame: FrameType, event: str, value: Any) -> Any:
        code = frame.f_code
        if not code.co_filename.startswith(self._package):
            return None
        lines = self._lines.setdefault(code, set())
        lines.add(frame.f_lineno)
        self._calls[code] += 1
        if self._calls[code] > _ENOUGH:
            return None

        def note(frame: FrameType, event: str, value: Any) -> Any:
            lines.add(frame.f_lineno)
            return note

        return note


def append(folder: Path, test: str, lines: dict[str, list[int]], seconds: float = 0.0) -> None:
    """Write what a process has noted."""
    with (folder / f"reach.{os.getpid()}").open("a", encoding="utf-8") as file:
        file.write(json.dumps([test, seconds, lines]) + "\n")
