"""Logs and outputs: workflow commands for the Actions runner, plain lines for a terminal.

Anything printed can be a command to the runner, so text from outside is made harmless first (docs/github-behaviour.md,
"The Actions runner"). Tokens are replaced in every line.
"""

import errno
import os
import re
import select
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TextIO

from actions_toolkit import core
from actions_toolkit.file_command import prepare_key_value_message

from package_keeper.errors import without_secret

PATIENCE_SECONDS = 5.0
"""Seconds to wait for a reader when the runner gives a pipe instead of a file."""
LOOK_AGAIN_SECONDS = 0.05


def write_outputs(environ: Mapping[str, str], outputs: Mapping[str, str]) -> None:
    """Append the outputs to the file `GITHUB_OUTPUT`, if there is one, each between random delimiters."""
    place = environ.get("GITHUB_OUTPUT", "")
    if place:
        lines = [prepare_key_value_message(name, text) for name, text in outputs.items()]
        _append(place, "\n".join(lines) + "\n")


def write_summary(environ: Mapping[str, str], markdown: str) -> None:
    """Append to the job summary, if there is one."""
    place = environ.get("GITHUB_STEP_SUMMARY", "")
    if place:
        _append(place, markdown)


def run_identity(environ: Mapping[str, str]) -> dict[str, str]:
    """Describe the workflow run, for the receipt."""
    names = {
        "id": "GITHUB_RUN_ID",
        "attempt": "GITHUB_RUN_ATTEMPT",
        "workflow": "GITHUB_WORKFLOW",
        "job": "GITHUB_JOB",
        "repository": "GITHUB_REPOSITORY",
        "actor": "GITHUB_ACTOR",
    }
    return {name: environ[variable] for name, variable in names.items() if environ.get(variable)}


def _append(place: str, text: str) -> None:
    """Append to a file of the runner. It may be a pipe; then wait for its reader, but not for long."""
    data = text.encode(errors="backslashreplace")
    until = time.monotonic() + PATIENCE_SECONDS
    how = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = _open(place, how, until)
    room = select.poll()
    room.register(descriptor, select.POLLOUT)
    try:
        while data:
            if not room.poll(max(until - time.monotonic(), 0.0) * 1000):
                raise TimeoutError(f"{place}: the reader does not take what is written")
            data = data[os.write(descriptor, data) :]
    finally:
        os.close(descriptor)


def _open(place: str, how: int, until: float) -> int:
    """Open for writing; wait for the reader of a pipe."""
    while True:
        try:
            return os.open(place, how, 0o666)
        except OSError as error:
            if error.errno != errno.ENXIO or time.monotonic() > until:
                raise
        time.sleep(LOOK_AGAIN_SECONDS)


LEVELS = {"error": 0, "warning": 1, "info": 2, "debug": 3}
ANNOTATIONS = 10
"""How many annotations of one kind GitHub shows for a step; further ones are plain lines."""
ANNOTATION_LENGTH = 4096
LONGEST_LINE = 10_000
"""The most characters of a line. Rows of tables have less; a description may have a megabyte."""

_COMMAND_START = re.compile(r"^(\s*)::")


def _cut(line: str) -> str:
    return line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE - 1]}…"


def harmless(text: str) -> str:
    """Change a line so that it is no workflow command and has no control characters."""
    line = "".join(character if character.isprintable() or character == "\t" else "�" for character in text)
    return _COMMAND_START.sub(r"\1: :", line).replace("##[", "## [")


class Log:
    """The base of both logs: levels, and hiding the token."""

    def __init__(self, level: str, secret: str) -> None:
        self.level = LEVELS[level]
        self._secret = secret
        # threads that wait for GitHub log too
        self._lock = threading.RLock()
        self.messages: list[str] = []
        """Errors, warnings and notices so far, for the summary and the result."""

    @property
    def shows_details(self) -> bool:
        """Whether `debug` shows anything."""
        return self.level >= LEVELS["debug"]

    def error(self, text: str) -> None:
        """Log a failure."""
        self._say("error", 0, text)

    def warning(self, text: str) -> None:
        """Log something that users should know."""
        self._say("warning", 1, text)

    def notice(self, text: str) -> None:
        """Log something that is easily missed, at the level of a warning."""
        self._say("notice", 1, text)

    def info(self, text: str) -> None:
        """Log what happens."""
        self._say("info", 2, text)

    def debug(self, text: str) -> None:
        """Log what happens in detail."""
        self._say("debug", 3, text)

    @contextmanager
    def group(self, title: str) -> Iterator[None]:
        """Log a title for the lines in the block."""
        self.info(title)
        yield

    def _say(self, kind: str, level: int, text: str) -> None:
        if level > self.level and level >= LEVELS["info"]:
            return
        text = without_secret(text, self._secret)
        # names of files may be any bytes; those that are not UTF-8 cannot be printed
        text = "\n".join(map(_cut, text.encode(errors="replace").decode().split("\n")))
        with self._lock:
            if level < LEVELS["info"]:
                self.messages.append(text)
            if level <= self.level:
                self._show(kind, text)

    def _show(self, kind: str, text: str) -> None:
        raise NotImplementedError


class ActionsLog(Log):
    """Lines and annotations on the runner's log, through actions-toolkit."""

    def __init__(self, level: str, secret: str) -> None:
        super().__init__(level, secret)
        self._annotated = {"error": 0, "warning": 0, "notice": 0}
        if secret:
            core.set_secret(secret)

    @contextmanager
    def group(self, title: str) -> Iterator[None]:
        """Fold the lines in the block under a title."""
        core.start_group(harmless(title))
        try:
            yield
        finally:
            core.end_group()
            sys.stdout.flush()

    def _show(self, kind: str, text: str) -> None:
        lines = text.splitlines() or [""]
        if kind in self._annotated and self._annotated[kind] < ANNOTATIONS:
            self._annotated[kind] += 1
            # the toolkit escapes line breaks, so the text cannot start another command
            annotate = {"error": core.error, "warning": core.warning, "notice": core.notice}[kind]
            annotate("\n".join(map(harmless, lines))[:ANNOTATION_LENGTH])
        else:
            prefix = "" if kind == "info" else f"{kind}: "
            for line in lines:
                core.info(harmless(prefix + line))
        sys.stdout.flush()


class TerminalLog(Log):
    """Plain lines on standard error; standard output is for the result only."""

    def __init__(self, level: str, secret: str, stream: TextIO) -> None:
        super().__init__(level, secret)
        self._stream = stream

    def _show(self, kind: str, text: str) -> None:
        prefix = "" if kind == "info" else f"{kind}: "
        for number, line in enumerate(text.splitlines() or [""]):
            print(harmless((prefix if number == 0 else "  ") + line), file=self._stream)
        self._stream.flush()
