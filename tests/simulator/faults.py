"""What goes wrong on demand: faults, redirects, and hooks that act in the middle of a run."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from .wire import Answer, Request, encode, error_body, json_answer

if TYPE_CHECKING:
    from .simulator import Simulator

ACTIONS = (
    "respond",
    "respond-after",
    "change",
    "close",
    "close-after",
    "reset",
    "truncate",
    "stall",
    "garbage",
    "delay",
)
CUTS = {"truncate": "truncate", "stall": "stall", "close-after": "close"}
"""How an answer is cut off that the simulator gave."""
GARBAGE = b'<html><body>502 Bad Gateway</body></html> {"message": '


@dataclass(slots=True, eq=False)
class Rule:
    """Which requests are meant, from the how-manieth on, and how many of them."""

    method: str | None
    pattern: re.Pattern[str]
    times: int | None
    after: int
    seen: int = 0
    hits: int = 0

    def matches(self, request: Request) -> bool:
        """Tell whether this request is hit, and count it; a pattern may fit the target raw or decoded."""
        if self.method is not None and self.method != request.method:
            return False
        if not (self.pattern.search(request.target) or self.pattern.search(unquote(request.path))):
            return False
        self.seen += 1
        if self.seen <= self.after or (self.times is not None and self.hits >= self.times):
            return False
        self.hits += 1
        return True


@dataclass(slots=True, eq=False)
class Fault(Rule):
    """One thing that goes wrong."""

    action: str = "respond"
    status: int = 500
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    message: str | None = None
    delay: float = 1.0
    change: Callable[[Any], Any] | None = None

    def answer(self) -> Answer | None:
        """Make the answer up, where the request is not to be performed."""
        if self.action in ("close", "reset"):
            return Answer(0, cut=self.action, real=False)
        if self.action == "garbage":
            headers = {"content-type": "application/json; charset=utf-8", **self.headers}
            return Answer(self.status if self.status != 500 else 200, GARBAGE, headers, real=False)
        return self.made_up() if self.action == "respond" else None

    def made_up(self) -> Answer:
        """Answer with the status, the headers and the body of this fault."""
        message = self.message or ("Server Error" if self.status >= 500 else "Bad Request")
        answer = json_answer(error_body(self.status, message), self.status, self.headers)
        if self.body is not None:
            answer.body = self.body
        answer.real = False
        return answer

    def instead_of(self, answer: Answer) -> Answer:
        """Make something else of the answer to a request that was performed."""
        if self.action == "respond-after":
            return self.made_up()
        if self.change is not None and answer.status == 200:
            changed = self.change(json.loads(answer.body))
            answer = Answer(200, encode(changed), answer.headers, real=False)
        answer.cut = CUTS.get(self.action, "")
        return answer


class Faults:
    """The faults that wait for their request; the first that matches acts."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(
        self,
        method: str | None = None,
        path: str = "",
        *,
        status: int = 500,
        body: bytes | str | dict[str, Any] | list[Any] | None = None,
        headers: Mapping[str, str] | None = None,
        times: int | None = 1,
        after: int = 0,
        action: str = "respond",
        message: str | None = None,
        delay: float = 1.0,
        change: Callable[[Any], Any] | None = None,
    ) -> Fault:
        """Let something go wrong ``times`` times (``None``: always), after the first ``after`` matches.

        With nothing done: ``respond`` answers instead of GitHub, ``close`` drops the connection, ``reset`` resets it,
        ``garbage`` answers with what is no JSON. What was asked is done, and then: ``respond-after`` answers something
        else, ``close-after`` drops the connection, ``truncate`` sends half of the body, ``stall`` sends half of the
        answer and falls silent, ``change`` puts what the callback makes of the JSON in its place, ``delay`` answers
        rightly, ``delay`` seconds late.
        """
        if action not in ACTIONS:
            raise ValueError(f"no such action: {action} (one of {', '.join(ACTIONS)})")
        if isinstance(body, dict | list):
            body = encode(body)
        elif isinstance(body, str):
            body = body.encode()
        lowered = {name.lower(): value for name, value in (headers or {}).items()}
        fault = Fault(
            method,
            re.compile(path),
            times,
            after,
            action=action,
            status=status,
            body=body,
            headers=lowered,
            message=message,
            delay=delay,
            change=change,
        )
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """Let nothing go wrong any more."""
        with self._lock:
            self._faults.clear()

    def match(self, request: Request) -> Fault | None:
        """Find the fault that hits this request."""
        if not self._faults:
            return None
        with self._lock:
            return next((fault for fault in self._faults if fault.matches(request)), None)


class Redirects:
    """Owners and repositories that were renamed: 301 for GET, 307 for the rest (docs/github-behaviour.md,
    "Endpoints").
    """

    def __init__(self) -> None:
        self._moved: list[tuple[str, str, int | None]] = []

    def add(self, old: str, new: str, status: int | None = None) -> None:
        """Redirect a path and all below it: by default 301 or 307 by verb; ``new`` may be a whole URL."""
        self._moved.append((old.rstrip("/"), new.rstrip("/"), status))

    def answer(self, request: Request, path: str, prefix: str) -> Answer | None:
        """Answer with the redirect, if this path has moved."""
        for old, new, given in self._moved:
            if path.lower() == old.lower() or path.lower().startswith(old.lower() + "/"):
                status = given or (301 if request.method in ("GET", "HEAD") else 307)
                query = request.target.partition("?")[2]
                to = new if "://" in new else request.base + prefix + new
                url = to + path[len(old) :] + (f"?{query}" if query else "")
                message = {301: "Moved Permanently", 302: "Found"}.get(status, "Temporary Redirect")
                return json_answer(error_body(status, message, url=url), status, {"location": url})
        return None


Callback = Callable[["Simulator", Request], None]


class Hooks:
    """Callbacks that run before a request is answered, as someone else acting in the middle of a run."""

    def __init__(self) -> None:
        self._hooks: list[tuple[Rule, Callback]] = []
        self._lock = threading.Lock()

    def add(self, method: str | None, path: str, callback: Callback, times: int | None, after: int) -> Rule:
        """Call back before each request that matches."""
        rule = Rule(method, re.compile(path), times, after)
        with self._lock:
            self._hooks.append((rule, callback))
        return rule

    def clear(self) -> None:
        """Forget all callbacks."""
        with self._lock:
            self._hooks.clear()

    def run(self, simulator: Simulator, request: Request) -> None:
        """Run those that match, outside of every lock."""
        if not self._hooks:
            return
        with self._lock:
            due = [callback for rule, callback in self._hooks if rule.matches(request)]
        for callback in due:
            callback(simulator, request)
