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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TextIO

from actions_toolkit import core
from actions_toolkit.command import issue_command
from actions_toolkit.file_command import prepare_key_value_message
from msgspec import Struct

from package_keeper.causes import Cause
from package_keeper.errors import kind_of, without_secret
from package_keeper.runner.progress import DRAW_SECONDS, LINE_SECONDS, Bar, Progress

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


LONGEST_TITLE = 60
TITLE = "Package Keeper"
"""The title of an annotation that begins with no name of its own."""


class Place(Struct, frozen=True):
    """A line of a file in the workspace, which an annotation points to."""

    file: str
    line: int


Advise = Callable[[Cause], str]
"""Gives the advice about a cause, with the address of its documentation."""


def no_advice(cause: Cause) -> str:
    """Give the title alone."""
    return cause.value.title


class Log:
    """The base of both logs: levels, progress, and hiding the token."""

    def __init__(
        self, level: str, secret: str, now: Callable[[], float] = time.monotonic, advise: Advise = no_advice
    ) -> None:
        self.level = LEVELS[level]
        self._secret = secret
        # threads that wait for GitHub log too
        self._lock = threading.RLock()
        self._progress = Progress(now)
        self._advise = advise
        self._advised: set[Cause] = set()
        self.messages: list[str] = []
        """Errors, warnings and notices so far, for the summary and the result."""

    @property
    def shows_details(self) -> bool:
        """Whether `debug` shows anything."""
        return self.level >= LEVELS["debug"]

    def error(self, text: str, *, title: str = "", causes: Sequence[Cause] = (), place: Place | None = None) -> None:
        """Log a failure, with the advice of the catalogue about its causes."""
        self._say("error", 0, text, title=title or _title_of(causes), place=place, causes=causes)

    def warning(self, text: str, *, title: str = "", causes: Sequence[Cause] = ()) -> None:
        """Log something that users should know."""
        self._say("warning", 1, text, title=title or _title_of(causes), causes=causes)

    def notice(self, text: str, *, title: str = "", causes: Sequence[Cause] = ()) -> None:
        """Log something that is easily missed, at the level of a warning."""
        self._say("notice", 1, text, title=title or _title_of(causes), causes=causes)

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

    def progress(self, what: str, done: int, total: int) -> None:
        """Note how far a step is; it is shown every ten seconds. Call it at least so often."""
        with self._lock:
            self._progress.update(what, done, total)
            self.tick()

    def tick(self) -> None:
        """Show the progress again when that is due, for example during a wait."""
        with self._lock:
            if self.level >= LEVELS["info"]:
                self._show_progress(self._progress)

    def end_progress(self) -> None:
        """Show no more progress until the next step, and leave no bar on a terminal."""

    def _show_progress(self, progress: Progress) -> None:
        if progress.is_due(LINE_SECONDS):
            self.info(str(progress))

    def _say(
        self,
        kind: str,
        level: int,
        text: str,
        *,
        title: str = "",
        place: Place | None = None,
        causes: Sequence[Cause] = (),
    ) -> None:
        if level > self.level and level >= LEVELS["info"]:
            return
        new = [cause for cause in causes if cause not in self._advised]
        self._advised.update(new)
        text = "\n".join([text, *map(self._advise, new)])
        text = without_secret(text, self._secret)
        # names of files may be any bytes; those that are not UTF-8 cannot be printed
        text = "\n".join(map(_cut, text.encode(errors="replace").decode().split("\n")))
        with self._lock:
            if level < LEVELS["info"]:
                self.messages.append(text)
            if level <= self.level:
                self._show(kind, text, title, place)

    def _show(self, kind: str, text: str, title: str, place: Place | None) -> None:
        raise NotImplementedError


def _title_of(causes: Sequence[Cause]) -> str:
    return causes[0].value.title if len(causes) == 1 else ""


def _title(text: str) -> str:
    """What a text is about: the name in front of its first colon, such as that of an input."""
    name, colon, _ = text.partition("\n")[0].partition(": ")
    return name if colon and len(name) <= LONGEST_TITLE else TITLE


class ActionsLog(Log):
    """Lines and annotations on the runner's log, through actions-toolkit."""

    def __init__(
        self, level: str, secret: str, now: Callable[[], float] = time.monotonic, advise: Advise = no_advice
    ) -> None:
        super().__init__(level, secret, now, advise)
        self._annotated = {"error": 0, "warning": 0, "notice": 0}
        self._causes: set[str] = set()
        if secret:
            core.set_secret(secret)

    @contextmanager
    def group(self, title: str) -> Iterator[None]:
        """Fold the lines in the block under a title."""
        if self.level >= LEVELS["info"]:
            core.start_group(harmless(title))
        try:
            yield
        finally:
            if self.level >= LEVELS["info"]:
                core.end_group()
                sys.stdout.flush()

    def _show(self, kind: str, text: str, title: str, place: Place | None) -> None:
        lines = text.splitlines() or [""]
        if kind in self._annotated and self._annotated[kind] < ANNOTATIONS and self._is_new(text, place):
            self._annotated[kind] += 1
            properties = {"title": harmless(title or _title(text))}
            if place is not None:
                properties |= {"file": harmless(place.file), "line": str(place.line)}
            # the toolkit escapes line breaks, so the text cannot start another command; its own functions would print
            # empty properties too
            issue_command(kind, properties, "\n".join(map(harmless, lines))[:ANNOTATION_LENGTH])
        else:
            prefix = "" if kind == "info" else f"{kind}: "
            for line in lines:
                core.info(harmless(prefix + line))
        sys.stdout.flush()

    def _is_new(self, text: str, place: Place | None) -> bool:
        """Whether no annotation has the same cause yet: only the name in front, quoted texts and numbers differ."""
        cause = kind_of(text.partition(": ")[2] or text)
        is_new = place is not None or cause not in self._causes
        self._causes.add(cause)
        return is_new


def has_colours(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether a stream may have colours: it is a terminal, and `NO_COLOR` is unset or empty (no-color.org)."""
    return stream.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


_COLOURS = {"error": "31", "warning": "33", "notice": "36", "debug": "2"}


class TerminalLog(Log):
    """Lines on standard error, and on a terminal a bar; standard output is for the result only."""

    def __init__(
        self,
        level: str,
        secret: str,
        stream: TextIO,
        now: Callable[[], float] = time.monotonic,
        advise: Advise = no_advice,
        *,
        colours: bool = False,
        bar: bool = False,
    ) -> None:
        super().__init__(level, secret, now, advise)
        self._stream = stream
        self._colours = colours
        self._bar = Bar(stream) if bar else None

    def end_progress(self) -> None:
        """Erase the bar."""
        with self._lock:
            if self._bar is not None:
                self._bar.erase()

    def _show_progress(self, progress: Progress) -> None:
        if self._bar is None:
            super()._show_progress(progress)
        elif progress.is_due(DRAW_SECONDS):
            self._bar.draw(progress)

    def _show(self, kind: str, text: str, title: str, place: Place | None) -> None:
        del title, place
        self.end_progress()
        prefix = "" if kind == "info" else f"{kind}: "
        colour = _COLOURS.get(kind) if self._colours else None
        for number, line in enumerate(text.splitlines() or [""]):
            shown = harmless((prefix if number == 0 else "  ") + line)
            if colour and number == 0:
                shown = f"\x1b[{colour}m{prefix.rstrip()}\x1b[0m{shown.removeprefix(prefix.rstrip())}"
            print(shown, file=self._stream)
        self._stream.flush()
