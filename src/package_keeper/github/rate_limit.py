"""The pace of one run against one host: what may be sent now, and when the rest may (docs/github-behaviour.md,
"Limits").

One governor for all reads and writes against a host. It holds the sliding minute of points, what writes may take of
it, the primary budget from the headers, of which writes leave a tenth to the owner's other workflows, the number of
requests in flight, and the pause after a refusal, which is one for all threads. `time-limit` beats waiting: no wait
that would end past it is begun. What holds for all hosts, `pace` and `time-limit`, is in `RunPace`.
"""

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from math import inf
from typing import Protocol

from package_keeper.errors import OutOfTime
from package_keeper.github.sliding_window import SPAN, SlidingWindow

SECONDARY_WAIT = 60.0
"""Seconds to wait after a secondary limit that names none; doubled each time."""
LONGEST_UNTOLD = 960.0
"""The longest of those waits."""
LONGEST = 3700.0
"""The longest wait that GitHub's word can make: primary windows last an hour. Then it is asked again."""
_SECONDS = r"[0-9]{1,12}"


def retry_after(text: str, now: datetime) -> float | None:
    """The seconds that a header `Retry-After` asks for: a number, or a date (RFC 9110, section 10.2.3)."""
    if re.fullmatch(rf"{_SECONDS}(\.[0-9]{{1,12}})?", text):
        return float(text)
    try:
        until = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return max((until.replace(tzinfo=until.tzinfo or UTC) - now).total_seconds(), 0.0)


def server_time(headers: Mapping[str, str], now: datetime) -> datetime:
    """The time by the clock of whoever answered, to which `x-ratelimit-reset` belongs; `now` where it does not say."""
    try:
        told = parsedate_to_datetime(headers.get("date", ""))
    except (ValueError, OverflowError):
        return now
    return told.replace(tzinfo=told.tzinfo or UTC)


def limit_wait(headers: Mapping[str, str], times: int, now: datetime) -> tuple[float, str]:
    """Give the seconds to wait and which limit it is, when one request has met a limit for the `times`-th time."""
    now = server_time(headers, now)
    told = retry_after(headers.get("retry-after", ""), now)
    reset = headers.get("x-ratelimit-reset", "")
    primary = headers.get("x-ratelimit-remaining") == "0"
    kind = "primary" if primary else "secondary"
    if told is not None:
        return min(max(told, 1.0), LONGEST), kind
    if primary and re.fullmatch(_SECONDS, reset):
        # a second more costs less than a refusal more; a moment that has passed cannot be what GitHub means
        left = float(reset) - now.timestamp()
        return min(left + 1.0 if left > 0 else 2.0 ** min(times - 1, 6), LONGEST), kind
    return min(SECONDARY_WAIT * 2.0 ** (times - 1), LONGEST_UNTOLD), kind


class Clock(Protocol):
    """Time. `sleep` may raise `Cancelled`, in any thread."""

    def now(self) -> datetime:
        """The current time, aware."""
        ...

    def monotonic(self) -> float:
        """Seconds that only grow."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait; a run that is cancelled meanwhile raises `Cancelled`."""
        ...


POLITE_SECONDS = 1.0
"""Between two writes with `pace: polite`, as GitHub's documentation advises."""
LOOK_AGAIN_SECONDS = 0.05


@dataclass
class RunLimits:
    """The pace of one run; all its rate limiters share one. Writes to several hosts are never under way at once.

    `polite` is one write a second. `deadline` is the end of `time-limit`, in monotonic seconds. `winds_up` lets what is
    needed for a clean end be sent after that, where it need not wait. `held_up_by` is the wait that ended the run
    before that, if one did.
    """

    polite: bool = False
    deadline: float | None = None
    winds_up: bool = False
    held_up_by: str = ""
    writing: int = 0
    last_write: float = float("-inf")

    def is_over(self, now: float) -> bool:
        """Whether `time-limit` has passed."""
        return self.deadline is not None and now >= self.deadline

    def left(self, now: float) -> float:
        """The seconds that `time-limit` leaves."""
        return float("inf") if self.deadline is None else self.deadline - now

    @contextmanager
    def finishing(self) -> Iterator[None]:
        """Let what is begun be finished after `time-limit`, as long as that needs no wait."""
        before, self.winds_up = self.winds_up, True
        try:
            yield
        finally:
            self.winds_up = before

    def begin_write(self, now: float) -> None:
        """Note that a write is sent."""
        self.writing += 1
        self.last_write = now

    def end_write(self) -> None:
        """Note that a write came back, or was not sent after all."""
        self.writing -= 1

    def courtesy(self, now: float) -> float:
        """The seconds that politeness asks to wait before a write."""
        if not self.polite:
            return 0.0
        if self.writing:
            return LOOK_AGAIN_SECONDS
        wait = self.last_write + POLITE_SECONDS - now
        # what must be finished in time is more than a courtesy
        return 0.0 if self.winds_up and self.is_over(now + wait) else wait


FIRST_IN_FLIGHT = 20
"""Requests in calls at the start; the published 100 are shared by everything that the user runs."""
MOST_IN_FLIGHT = 40
"""Requests in calls at most."""
LEAST_IN_FLIGHT = 4
"""Requests in calls at least, however often GitHub refuses."""
RAMP = 5
"""Once GitHub has refused, after so many answers in a row without a refusal one request more is in calls."""
SHARE_LEFT = 10
"""Writes leave the tenth part of the primary budget to others (contract, input `pace`)."""
ROOM_SECONDS = 0.1
"""Real seconds after which who waits for room looks up, to see whether the time is over."""
TOLD_SECONDS = 5.0
"""Waits from here on are told."""
POINTS_A_MINUTE = 900.0
CREATIONS_A_MINUTE = 80.0
"""The published limit of creating content, which may cover restoring."""
ANSWER_SECONDS = 60.0
"""Seconds for a whole answer, connecting and sending included, however steadily it trickles; `time-limit` may leave
less."""
LEAST_ANSWER_SECONDS = 3.0
"""So much time an answer has, however little `time-limit` leaves: what is sent in its last moment, or to end cleanly
after it, is not cut off at once."""
LEAST_WRITE_SECONDS = 10.0
"""And so much that to a write: after ten seconds GitHub itself gives up, so that a look tells for good what became of
it."""


class Use(StrEnum):
    """What a request does, as limits see it."""

    READ = "read"
    DELETE = "delete"
    CREATE = "create"

    @property
    def writes(self) -> bool:
        """Whether something is changed."""
        return self is not Use.READ

    @property
    def points(self) -> float:
        """The points of the secondary limit."""
        return 5.0 if self.writes else 1.0


@dataclass(frozen=True)
class Permit:
    """Permit to send one request, given at the moment `at` (monotonic seconds)."""

    use: Use
    at: float


@dataclass
class _Primary:
    """What the headers say of the primary budget."""

    limit: int
    remaining: int
    resets: float


class RateLimiter:
    """Says when requests may be sent, learns from what comes back. Safe for threads."""

    def __init__(
        self,
        clock: Clock,
        *,
        warn: Callable[[str], None],
        tell: Callable[[str], None],
        who: str = "GitHub",
        counts_points: bool = True,
        run_limits: RunLimits | None = None,
    ) -> None:
        self._clock = clock
        self._warn = warn
        self._tell = tell
        self._who = who
        self.run_limits = run_limits or RunLimits()
        self._lock = threading.Lock()
        self._room = threading.Condition(self._lock)
        self._points = SlidingWindow(POINTS_A_MINUTE, least=5.0)
        most_writes = POINTS_A_MINUTE / Use.DELETE.points
        self._writes = {
            Use.DELETE: SlidingWindow(most_writes),
            Use.CREATE: SlidingWindow(most_writes, suspected=CREATIONS_A_MINUTE),
        }
        # without any limit in its headers a server has none of these (GHES), until it refuses
        self._counts_points = counts_points
        self._announced = False
        self._primary: _Primary | None = None
        self._paused_until = 0.0
        self._paused_by = ""
        self._refused_at = -1.0
        self._refusals = 0
        self._in_flight = 0
        self._width = FIRST_IN_FLIGHT
        self._calm = 0
        self._told_until = 0.0
        self._untold = 0.0
        self._held = threading.local()
        self._queued = 0.0

    @property
    def width(self) -> int:
        """How many requests may be in calls."""
        return self._width

    @property
    def is_over(self) -> bool:
        """Whether `time-limit` has passed."""
        return self.run_limits.is_over(self._clock.monotonic())

    def answer_seconds(self, *, writes: bool = False) -> float:
        """The seconds that a request that is sent now has for its whole answer."""
        left = self.run_limits.left(self._clock.monotonic())
        return min(ANSWER_SECONDS, max(left, LEAST_WRITE_SECONDS if writes else LEAST_ANSWER_SECONDS))

    def wind_up(self) -> None:
        """Let requests be sent after `time-limit` where they need not wait: a last look at what is left."""
        self.run_limits.winds_up = True

    def finishing(self) -> AbstractContextManager[None]:
        """Until the end of the block, let what is begun be finished after `time-limit` where it need not wait."""
        return self.run_limits.finishing()

    def wait(self, use: Use) -> float:
        """The seconds until such a request may be sent, as far as can be told now."""
        with self._lock:
            return max(self._wait(use, self._clock.monotonic())[0], 0.0)

    def room(self, use: Use) -> float:
        """How many such requests can be sent before `time-limit` ends, as far as limits are known; else infinite."""
        if self.run_limits.deadline is None:
            return inf
        with self._lock:
            now = self._clock.monotonic()
            left = max(self.run_limits.deadline - now, 0.0)
            rooms = [left / POLITE_SECONDS] if self.run_limits.polite else []
            if self._counts_points and self._announced:
                minutes = left // SPAN
                writes = self._writes[use]
                rooms.append(writes.room(now) + minutes * writes.limit)
                rooms.append((self._points.room(now) + minutes * self._points.limit) / use.points)
            if (primary := self._primary) is not None:
                share = -(-primary.limit // SHARE_LEFT)
                hour = primary.limit - share if now + left > primary.resets else 0
                rooms.append(primary.remaining - self._in_flight - share + hour)
            return max(min(rooms, default=inf), 0.0)

    def rest(self, use: Use, seconds: float) -> None:
        """Wait until asking for such a request is worth it, and say why. Raises `OutOfTime` and `Cancelled`."""
        with self._lock:
            _, why = self._wait(use, self._clock.monotonic())
        self.sleep(seconds, why)

    def admit(self, use: Use) -> Permit | float:
        """Give leave to send one request now, or the seconds until it is worth asking again."""
        with self._lock:
            now = self._clock.monotonic()
            wait, _ = self._wait(use, now)
            return wait if wait > 0 else self._give(use, now)

    def acquire(self, use: Use) -> Permit:
        """Wait until one request may be sent. Raises `OutOfTime` and `Cancelled`."""
        found = self.acquire_soon(use, float("inf"))
        if isinstance(found, Permit):
            return found
        raise AssertionError("no wait is longer than that")

    def acquire_soon(self, use: Use, most: float) -> Permit | float:
        """Wait until one request may be sent, `most` seconds at most; else give the seconds that are left to wait.

        Raises `OutOfTime` and `Cancelled`.
        """
        held: Permit | None = getattr(self._held, "permit", None)
        if held is not None:
            self._held.permit = None
            return held
        until = self._clock.monotonic() + most
        while True:
            if self.is_over and not self.run_limits.winds_up:
                raise OutOfTime
            with self._lock:
                now = self._clock.monotonic()
                wait, why = self._wait(use, now, ahead=self._queued)
                if wait <= 0:
                    if self._in_flight < self._width:
                        return self._give(use, now)
                    if now > until:
                        return ROOM_SECONDS
                    # after a refusal fewer may be in calls than were, and all of those want to come back at once
                    self._room.wait(ROOM_SECONDS)
                    continue
                if now + wait > until:
                    return wait
                # each waits for a place of its own, or all would wake up for the next one
                self._queued += use.points
            try:
                self.sleep(wait, why)
            finally:
                with self._lock:
                    self._queued -= use.points

    @contextmanager
    def holding(self, permit: Permit) -> Iterator[None]:
        """In this thread, let the next request use a permit that was given before."""
        self._held.permit = permit
        try:
            yield
        finally:
            if getattr(self._held, "permit", None) is not None:
                self._held.permit = None
                self.back(permit, passed=False)

    def sleep(self, seconds: float, why: str = "", *, tells: bool = True) -> None:
        """Wait, and tell `why`, unless it is told already.

        Raises `OutOfTime` when that would end past `time-limit`, and `Cancelled`.
        """
        now = self._clock.monotonic()
        until = now + seconds
        if seconds > max(self.run_limits.left(now), 0.0):
            held_up_by = f"{why}; waiting {self.until(seconds)}, would end past time-limit" if why else ""
            if not self.run_limits.is_over(now):
                self.run_limits.held_up_by = self.run_limits.held_up_by or held_up_by
            raise OutOfTime(held_up_by)
        if tells and why and seconds >= TOLD_SECONDS:
            with self._lock:
                new, self._told_until = until > self._told_until + 1.0, max(until, self._told_until)
            if new:
                self._tell(f"{why}; waiting {self.until(seconds)}")
        self._clock.sleep(seconds)

    def until(self, seconds: float) -> str:
        """A wait as people read it: for how long, and until when."""
        return f"{seconds:.0f} s, until {self._clock.now() + timedelta(seconds=seconds):%H:%M:%S} UTC"

    def back(self, permit: Permit, *, passed: bool) -> None:
        """A request came back, or was never sent; `passed` when no limit refused it."""
        with self._lock:
            now = self._clock.monotonic()
            self._in_flight -= 1
            self._room.notify()
            self._points.end(now, permit.use.points, passed=passed, begun=permit.at)
            if permit.use.writes:
                self.run_limits.end_write()
                self._writes[permit.use].end(now, 1.0, passed=passed, begun=permit.at)
            if passed and permit.at > self._refused_at:
                self._refusals = 0
                self._calm += 1
                # until the first refusal every answer adds one, as a new TCP connection feels its way
                if self._calm >= RAMP or self._refused_at < 0:
                    self._calm = 0
                    self._width = min(self._width + 1, MOST_IN_FLIGHT)

    def heard(self, headers: Mapping[str, str]) -> None:
        """Learn the primary budget from the headers of an answer."""
        found = [headers.get(f"x-ratelimit-{name}", "") for name in ("limit", "remaining", "reset")]
        if not all(text.isascii() and text.isdecimal() and len(text) < 12 for text in found):
            return
        limit, remaining, reset = map(int, found)
        with self._lock:
            self._announced = True
            their_time = server_time(headers, self._clock.now()).timestamp()
            resets = self._clock.monotonic() + reset - their_time + 1.0
            known = self._primary
            if known is not None and abs(known.resets - resets) < 5.0:
                # answers overtake each other; within one hour the budget only shrinks
                remaining = min(remaining, known.remaining)
            self._primary = _Primary(limit, remaining, resets)

    def refused(self, permit: Permit, headers: Mapping[str, str], told: float | None = None) -> None:
        """A limit refused a request: everyone pauses, and less is sent afterwards. `told` are seconds to wait."""
        with self._lock:
            now = self._clock.monotonic()
            self._announced = True
            first = permit.at > self._refused_at
            if first:
                self._refusals += 1
                self._refused_at = now
                self._calm = 0
                self._width = max(self._width // 2, LEAST_IN_FLIGHT)
            kind = self._who
            # who goes on being refused after waits of milliseconds should not have been told those
            wait = None if told is None else max(told, min(2.0 ** (self._refusals - 8), 1.0))
            if wait is None:
                wait, word = limit_wait(headers, max(self._refusals, 1), self._clock.now())
                kind = f"{self._who}'s {word}"
                if first and word == "secondary":
                    (self._writes[permit.use] if permit.use.writes else self._points).refuse(now)
            longer = now + wait > self._paused_until + 0.5
            # many short waits are a long one
            self._untold += max(now + wait - max(self._paused_until, now), 0.0)
            if now + wait >= self._paused_until:
                self._paused_until = now + wait
                self._paused_by = f"{kind} rate limit is reached{self._left_of_hour(kind)}"
            if longer:
                self._told_until = max(self._told_until, self._paused_until)
            tells = longer if told is None else self._untold >= TOLD_SECONDS
            waited, self._untold = self._untold, 0.0 if tells else self._untold
        if tells:
            again = "" if waited < wait + 1.0 else f" again and again, for {waited:.0f} s in all"
            self._warn(f"{kind} rate limit is reached{again}; waiting {self.until(wait)}")

    def _left_of_hour(self, kind: str) -> str:
        primary = self._primary
        return f" ({primary.remaining} of {primary.limit} requests are left)" if primary and "primary" in kind else ""

    def _give(self, use: Use, now: float) -> Permit:
        self._in_flight += 1
        self._points.begin(now, use.points)
        if use.writes:
            self.run_limits.begin_write(now)
            self._writes[use].begin(now, 1.0)
        return Permit(use, now)

    def _wait(self, use: Use, now: float, *, ahead: float = 0.0) -> tuple[float, str]:
        """Seconds until a request of this kind may go, behind `ahead` points of others that wait, and why."""
        waits = [(self._paused_until - now, self._paused_by)]
        if self._counts_points and self._announced:
            wait = self._points.wait(now, use.points + ahead)
            waits.append((wait, f"the points of this minute are used up ({self._points.left} are left)"))
            if use.writes:
                wait = self._writes[use].wait(now, 1.0)
                waits.append((wait, f"the writes of this minute are used up ({self._writes[use].left} are left)"))
        waits.append(self._primary_wait(use, now))
        if use.writes:
            waits.append((self.run_limits.courtesy(now), "pace: polite is one write a second"))
        return max(waits, key=lambda each: each[0])

    def _primary_wait(self, use: Use, now: float) -> tuple[float, str]:
        primary = self._primary
        if primary is None:
            return 0.0, ""
        if now >= primary.resets:
            self._primary = None
            return 0.0, ""
        left = f"{primary.remaining} of {primary.limit}"
        share, why = 0, f"the requests of this hour are used up ({left} are left)"
        # what is begun is finished (`RunLimits.winds_up`), out of the share of others if need be
        if use.writes and not self.run_limits.winds_up:
            share = -(-primary.limit // SHARE_LEFT)
            why = f"{left} requests of this hour are left, a tenth is left to others"
        if primary.remaining - self._in_flight > share:
            return 0.0, ""
        if primary.remaining > share and self._in_flight:
            # what is in calls may be counted already; its answers will tell
            return 0.05, ""
        wait = min(primary.resets - now, LONGEST)
        # an hour is all that a budget can take; then GitHub is asked again, whatever it said
        primary.resets = now + wait
        return wait, why
