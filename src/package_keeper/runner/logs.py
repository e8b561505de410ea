"""Saying what happens: workflow commands for the Actions runner, plain lines for a terminal.

Anything printed can be a command to the runner, so text from outside is made harmless first (docs/github-behaviour.md,
"The Actions runner"). Tokens never reach a line.
"""

import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from actions_toolkit import core

from package_keeper.errors import SHORTEST_SECRET

LEVELS = {"error": 0, "warning": 1, "info": 2, "debug": 3}
ANNOTATIONS = 10
"""Annotations of one kind that GitHub shows for a step; further ones are plain lines."""
ANNOTATION_LENGTH = 4096

_COMMAND_START = re.compile(r"^(\s*)::")


def harmless(text: str) -> str:
    """One line that is no workflow command and moves no cursor."""
    line = "".join(character if character.isprintable() or character == "\t" else "�" for character in text)
    return _COMMAND_START.sub(r"\1: :", line).replace("##[", "## [")


class Log:
    """What both logs share: levels, and the token kept out."""

    def __init__(self, level: str, secret: str) -> None:
        self.level = LEVELS[level]
        self._secret = secret
        # those who wait for GitHub say so from threads of their own
        self._lock = threading.RLock()
        self.messages: list[str] = []
        """Errors, warnings and notices so far, for the summary and the result."""

    @property
    def shows_details(self) -> bool:
        """Whether `debug` shows anything."""
        return self.level >= LEVELS["debug"]

    def error(self, text: str) -> None:
        """Something failed."""
        self._say("error", 0, text)

    def warning(self, text: str) -> None:
        """Something that the user should know."""
        self._say("warning", 1, text)

    def notice(self, text: str) -> None:
        """Something that is easily missed; shown like a warning."""
        self._say("notice", 1, text)

    def info(self, text: str) -> None:
        """What happens."""
        self._say("info", 2, text)

    def debug(self, text: str) -> None:
        """What happens, in detail."""
        self._say("debug", 3, text)

    @contextmanager
    def group(self, title: str) -> Iterator[None]:
        """Put what is said meanwhile under a title."""
        self.info(title)
        yield

    def _say(self, kind: str, level: int, text: str) -> None:
        if level > self.level and level >= LEVELS["info"]:
            return
        text = text.replace(self._secret, "***") if len(self._secret) >= SHORTEST_SECRET else text
        # names of files may be any bytes, which nothing that is written could hold
        text = text.encode(errors="replace").decode()
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
        """Fold what is said meanwhile under a title."""
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
            # the toolkit escapes line breaks; the rest is data of the command and cannot start another
            annotate = {"error": core.error, "warning": core.warning, "notice": core.notice}[kind]
            annotate("\n".join(map(harmless, lines))[:ANNOTATION_LENGTH])
        else:
            prefix = "" if kind == "info" else f"{kind}: "
            for line in lines:
                core.info(harmless(prefix + line))
        sys.stdout.flush()


class TerminalLog(Log):
    """Plain lines, on standard error so that standard output is the result alone."""

    def __init__(self, level: str, secret: str, stream: TextIO) -> None:
        super().__init__(level, secret)
        self._stream = stream

    def _show(self, kind: str, text: str) -> None:
        prefix = "" if kind == "info" else f"{kind}: "
        for number, line in enumerate(text.splitlines() or [""]):
            print(harmless((prefix if number == 0 else "  ") + line), file=self._stream)
        self._stream.flush()
