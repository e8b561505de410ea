"""When a request to one host may be sent (docs/github-behaviour.md, "Limits").

All reads and writes to a host share one rate limiter. It knows:

- the points of the last minute, and how many of them writes may use;
- the primary budget from the headers; writes leave a tenth of it to the owner's other workflows;
- the requests in flight;
- the pause after GitHub rate-limited a request, which stops every thread.

`time-limit` beats waiting: no wait begins that would end after it. `RunLimits` holds what all hosts share: `pace` and
`time-limit`.
"""

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from math import inf

from msgspec import Struct

from package_keeper.errors import OutOfTime
from package_keeper.github.sliding_window import SPAN, SlidingWindow

SECONDARY_WAIT = 60.0
"""Seconds to wait after a secondary limit that names no time; doubled each time."""
LONGEST_UNTOLD = 960.0
"""The longest of those waits."""
LONGEST = 3700.0
"""The longest wait that GitHub can ask for: primary budgets reset every hour. After it, a request is sent again."""
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
    """The server's time, by which `x-ratelimit-reset` counts; `now` if the headers do not give it."""
    try:
        date = parsedate_to_datetime(headers.get("date", ""))
    except (ValueError, OverflowError):
        return now
    return date.replace(tzinfo=date.tzinfo or UTC)


def limit_wait(headers: Mapping[str, str], times: int, now: datetime) -> tuple[float, str]:
    """Give the seconds to wait and `primary` or `secondary`, after the `times`-th rate limit in a row."""
    now = server_time(headers, now)
    seconds = retry_after(headers.get("retry-after", ""), now)
    reset = headers.get("x-ratelimit-reset", "")
    is_primary = headers.get("x-ratelimit-remaining") == "0"
    kind = "primary" if is_primary else "secondary"
    if seconds is not None:
        return min(max(seconds, 1.0), LONGEST), kind
    if is_primary and re.fullmatch(_SECONDS, reset):
        # one second more, since being early costs another pause; GitHub cannot mean a reset in the past
        left = float(reset) - now.timestamp()
        return min(left + 1.0 if left > 0 else 2.0 ** min(times - 1, 6), LONGEST), kind
    return min(SECONDARY_WAIT * 2.0 ** (times - 1), LONGEST_UNTOLD), kind


class Clock(Struct, frozen=True):
    """Time: the current time (aware), seconds that only grow, and a wait, which raises `Cancelled` in any thread."""

    now: Callable[[], datetime]
    monotonic: Callable[[], float]
    sleep: Callable[[float], None]


POLITE_SECONDS = 1.0
"""Between two writes with `pace: polite`, as GitHub's documentation advises."""
LOOK_AGAIN_SECONDS = 0.05


class RunLimits(Struct):
    """The limits of one run, which the rate limiters of all its hosts share. Only one host at a time gets writes.

    `polite` is one write a second. `deadline` is the end of `time-limit`, in monotonic seconds. While `is_finishing`,
    requests that need no wait are sent even after it, so that the run ends cleanly. `held_up_by` is the wait that ended
    the run before `deadline`, if one did.
    """

    polite: bool = False
    deadline: float | None = None
    is_finishing: bool = False
    held_up_by: str = ""
    writing: int = 0
    last_write: float = -inf

    def is_over(self, now: float) -> bool:
        """Whether `time-limit` is reached."""
        return self.left(now) <= 0

    def left(self, now: float) -> float:
        """The seconds until `time-limit` is reached; infinite without one."""
        return inf if self.deadline is None else self.deadline - now

    @contextmanager
    def finishing(self) -> Iterator[None]:
        """Until the end of the block, send requests that need no wait even after `time-limit`."""
        before, self.is_finishing = self.is_finishing, True
        try:
            yield
        finally:
            self.is_finishing = before

    def begin_write(self, now: float) -> None:
        """Note that a write is sent."""
        self.writing += 1
        self.last_write = now

    def end_write(self) -> None:
        """Note that a write ended, or was not sent after all."""
        self.writing -= 1

    def polite_wait(self, now: float) -> float:
        """The seconds to wait before a write because of `pace: polite`."""
        if not self.polite:
            return 0.0
        if self.writing:
            return LOOK_AGAIN_SECONDS
        wait = self.last_write + POLITE_SECONDS - now
        # finishing in time matters more
        return 0.0 if self.is_finishing and self.is_over(now + wait) else wait


FIRST_IN_FLIGHT = 20
"""Requests in flight at the start, at most. GitHub allows 100, for everything that the user runs."""
MOST_IN_FLIGHT = 40
"""Requests in flight, at most."""
LEAST_IN_FLIGHT = 4
"""Requests that may be in flight however often GitHub rate-limits."""
RAMP = 5
"""After a rate limit, so many answers in a row allow one more request in flight."""
SHARE_LEFT = 10
"""Writes leave one part in ten of the primary budget to others (docs/reference.md, "pace")."""
ROOM_SECONDS = 0.1
"""Real seconds after which a thread that waits for others to end checks `time-limit`."""
TOLD_SECONDS = 5.0
"""Waits from here on are logged."""
POINTS_A_MINUTE = 900.0
CREATIONS_A_MINUTE = 80.0
"""The published limit on creating content, which may cover restoring."""
ANSWER_SECONDS = 60.0
"""Seconds for a whole answer, with connecting and sending, even when bytes keep coming; near `time-limit` less."""
LEAST_ANSWER_SECONDS = 3.0
"""Seconds that every answer has, so that a request sent just before or after `time-limit` is not cut off at once."""
LEAST_WRITE_SECONDS = 10.0
"""The same for a write. GitHub itself gives up after ten seconds, so that a check then shows the final state."""


class Use(StrEnum):
    """What a request does, as rate limits count it."""

    READ = "read"
    DELETE = "delete"
    CREATE = "create"

    @property
    def writes(self) -> bool:
        """Whether it changes something."""
        return self is not Use.READ

    @property
    def points(self) -> float:
        """What it costs of the secondary limit."""
        return 5.0 if self.writes else 1.0


class Permit(Struct, frozen=True, eq=False):
    """The right to send one request, given at `at` (monotonic seconds). Each permit is a thing of its own."""

    use: Use
    at: float


class _PrimaryBudget(Struct):
    """The primary budget according to the headers; `resets` is in monotonic seconds."""

    limit: int
    remaining: int
    resets: float

    @property
    def share_left(self) -> int:
        """The requests that writes leave to others."""
        return -(-self.limit // SHARE_LEFT)


class RateLimiter:
    """Says when requests may be sent, and learns from their answers. Safe for threads."""

    def __init__(
        self,
        clock: Clock,
        *,
        tell: Callable[[str], None],
        who: str = "GitHub",
        counts_points: bool = True,
        run_limits: RunLimits | None = None,
    ) -> None:
        self._clock = clock
        self._tell = tell
        self._who = who
        self.run_limits = run_limits or RunLimits()
        self._lock = threading.Lock()
        self._permit_released = threading.Condition(self._lock)
        self._permits: set[Permit] = set()
        self._width = FIRST_IN_FLIGHT
        self._answers_in_a_row = 0
        self._counts_points = counts_points
        self._has_limits = False
        """Whether the server has shown any limit: GHES has none by default."""
        self._points = SlidingWindow(POINTS_A_MINUTE, least=5.0)
        most_writes = POINTS_A_MINUTE / Use.DELETE.points
        self._writes = {
            Use.DELETE: SlidingWindow(most_writes),
            Use.CREATE: SlidingWindow(most_writes, suspected=CREATIONS_A_MINUTE),
        }
        self._queued_points = 0.0
        """The points of requests that sleep until they may be sent."""
        self._primary: _PrimaryBudget | None = None
        self._paused_until = 0.0
        self._paused_by = ""
        self._limited_at = -1.0
        self._limited_times = 0
        """How often in a row GitHub rate-limited requests; those that were in flight together count once."""
        self._told_until = 0.0
        """The end of the longest wait that was logged."""
        self._untold_seconds = 0.0
        """How long the pauses were that were not logged yet."""

    @property
    def width(self) -> int:
        """How many requests may be in flight."""
        return self._width

    @property
    def in_flight(self) -> int:
        """How many permits are in use."""
        return len(self._permits)

    @property
    def is_over(self) -> bool:
        """Whether `time-limit` is reached."""
        return self.run_limits.is_over(self._clock.monotonic())

    def answer_seconds(self, *, writes: bool = False) -> float:
        """The seconds that a request sent now has for its whole answer."""
        left = self.run_limits.left(self._clock.monotonic())
        return min(ANSWER_SECONDS, max(left, LEAST_WRITE_SECONDS if writes else LEAST_ANSWER_SECONDS))

    def begin_finishing(self) -> None:
        """From now on, send requests that need no wait even after `time-limit`."""
        self.run_limits.is_finishing = True

    def finishing(self) -> AbstractContextManager[None]:
        """Until the end of the block, send requests that need no wait even after `time-limit`."""
        return self.run_limits.finishing()

    def wait(self, use: Use) -> float:
        """The seconds until such a request may be sent, as far as is known now."""
        with self._lock:
            return max(self._wait(use, self._clock.monotonic())[0], 0.0)

    def room(self, use: Use) -> float:
        """How many such requests can be sent before `time-limit`, as far as limits are known; infinite without one."""
        if self.run_limits.deadline is None:
            return inf
        with self._lock:
            now = self._clock.monotonic()
            left = max(self.run_limits.left(now), 0.0)
            rooms = [left / POLITE_SECONDS] if self.run_limits.polite else []
            if self._counts_points and self._has_limits:
                minutes = left // SPAN
                writes = self._writes[use]
                rooms.append(writes.room(now) + minutes * writes.limit)
                rooms.append((self._points.room(now) + minutes * self._points.limit) / use.points)
            if (primary := self._primary) is not None:
                next_hour = primary.limit - primary.share_left if now + left > primary.resets else 0
                rooms.append(primary.remaining - self.in_flight - primary.share_left + next_hour)
            return max(min(rooms, default=inf), 0.0)

    def sleep_for(self, use: Use, seconds: float) -> None:
        """Wait so many seconds for such a request, and log why. Raises `OutOfTime` and `Cancelled`."""
        with self._lock:
            _, why = self._wait(use, self._clock.monotonic())
        self.sleep(seconds, why)

    def admit(self, use: Use) -> Permit | float:
        """A permit for one request now, or the seconds after which to ask again."""
        with self._lock:
            now = self._clock.monotonic()
            wait, _ = self._wait(use, now)
            return wait if wait > 0 else self._give(use, now)

    def acquire(self, use: Use) -> Permit:
        """Wait for a permit to send one request. Raises `OutOfTime` and `Cancelled`."""
        found = self.acquire_soon(use, inf)
        if isinstance(found, Permit):
            return found
        raise AssertionError("no wait is longer than that")

    def acquire_soon(self, use: Use, most: float) -> Permit | float:
        """Wait for a permit, `most` seconds at most; after that give the seconds that are still to wait.

        Raises `OutOfTime` and `Cancelled`.
        """
        until = self._clock.monotonic() + most
        while True:
            if self.is_over and not self.run_limits.is_finishing:
                raise OutOfTime
            with self._lock:
                now = self._clock.monotonic()
                wait, why = self._wait(use, now, ahead=self._queued_points)
                if wait <= 0:
                    if self.in_flight < self._width:
                        return self._give(use, now)
                    if now > until:
                        return ROOM_SECONDS
                    # a rate limit has lowered the number of requests that may be in flight
                    self._permit_released.wait(ROOM_SECONDS)
                    continue
                if now + wait > until:
                    return wait
                # later threads wait behind these points, so that not all wake up for the same place
                self._queued_points += use.points
            try:
                self.sleep(wait, why)
            finally:
                with self._lock:
                    self._queued_points -= use.points

    def sleep(self, seconds: float, why: str = "", *, tells: bool = True) -> None:
        """Wait, and log `why`, unless a wait that is as long was logged already.

        Raises `OutOfTime` instead of a wait that would end after `time-limit`, and `Cancelled`.
        """
        now = self._clock.monotonic()
        until = now + seconds
        if seconds > max(self.run_limits.left(now), 0.0):
            held_up_by = f"{why}; waiting {self._for_and_until(seconds)}, would end past time-limit" if why else ""
            if not self.run_limits.is_over(now):
                self.run_limits.held_up_by = self.run_limits.held_up_by or held_up_by
            raise OutOfTime(held_up_by)
        if tells and why and seconds >= TOLD_SECONDS:
            with self._lock:
                is_new, self._told_until = until > self._told_until + 1.0, max(until, self._told_until)
            if is_new:
                self._tell(f"{why}; waiting {self._for_and_until(seconds)}")
        self._clock.sleep(seconds)

    def _for_and_until(self, seconds: float) -> str:
        return f"{seconds:.0f} s, until {self._clock.now() + timedelta(seconds=seconds):%H:%M:%S} UTC"

    def release(self, permit: Permit, *, passed: bool) -> None:
        """Take a permit back: its request was answered and no rate limit refused it (`passed`), or it was not sent.

        Releasing a permit again does nothing.
        """
        with self._lock:
            if permit not in self._permits:
                return
            now = self._clock.monotonic()
            self._permits.remove(permit)
            self._permit_released.notify()
            self._points.end(now, permit.use.points, passed=passed, begun=permit.at)
            if permit.use.writes:
                self.run_limits.end_write()
                self._writes[permit.use].end(now, 1.0, passed=passed, begun=permit.at)
            if passed and permit.at > self._limited_at:
                self._limited_times = 0
                self._answers_in_a_row += 1
                # until the first rate limit every answer adds one, like the slow start of TCP
                if self._answers_in_a_row >= RAMP or self._limited_at < 0:
                    self._answers_in_a_row = 0
                    self._width = min(self._width + 1, MOST_IN_FLIGHT)

    def note_headers(self, headers: Mapping[str, str]) -> None:
        """Read the primary budget from the headers of an answer."""
        found = [headers.get(f"x-ratelimit-{name}", "") for name in ("limit", "remaining", "reset")]
        if not all(text.isascii() and text.isdecimal() and len(text) < 12 for text in found):
            return
        limit, remaining, reset = map(int, found)
        with self._lock:
            self._has_limits = True
            their_time = server_time(headers, self._clock.now()).timestamp()
            resets = self._clock.monotonic() + reset - their_time + 1.0
            known = self._primary
            if known is not None and abs(known.resets - resets) < 5.0:
                # answers overtake each other; within one hour the budget only shrinks
                remaining = min(remaining, known.remaining)
            self._primary = _PrimaryBudget(limit, remaining, resets)

    def note_limit(self, permit: Permit, headers: Mapping[str, str], seconds: float | None = None) -> None:
        """Pause all requests after a rate limit, and send fewer afterwards.

        `seconds` is the pause if the answer names one elsewhere than in its headers.
        """
        with self._lock:
            now = self._clock.monotonic()
            self._has_limits = True
            # requests that were sent before the last rate limit say nothing new
            is_new = permit.at > self._limited_at
            if is_new:
                self._limited_times += 1
                self._limited_at = now
                self._answers_in_a_row = 0
                self._width = max(self._width // 2, LEAST_IN_FLIGHT)
            if seconds is None:
                wait, kind = limit_wait(headers, max(self._limited_times, 1), self._clock.now())
                if is_new and kind == "secondary":
                    (self._writes[permit.use] if permit.use.writes else self._points).lower(now)
                limit = f"{self._who}'s {kind}"
            else:
                # waits of milliseconds that do not help become longer
                wait = max(seconds, min(2.0 ** (self._limited_times - 8), 1.0))
                limit = self._who
            pause = self._pause(now, wait, limit, tells_each=seconds is None)
        if pause:
            self._tell(pause)

    def _pause(self, now: float, wait: float, limit: str, *, tells_each: bool) -> str:
        """Pause all requests; gives the text to log, if any. Short pauses are logged when they add up."""
        is_longer = now + wait > self._paused_until + 0.5
        self._untold_seconds += max(now + wait - max(self._paused_until, now), 0.0)
        if now + wait >= self._paused_until:
            self._paused_until = now + wait
            primary = self._primary if "primary" in limit else None
            left = f" ({primary.remaining} of {primary.limit} requests are left)" if primary else ""
            self._paused_by = f"{limit} rate limit is reached{left}"
        if is_longer:
            self._told_until = max(self._told_until, self._paused_until)
        if not (is_longer if tells_each else self._untold_seconds >= TOLD_SECONDS):
            return ""
        paused, self._untold_seconds = self._untold_seconds, 0.0
        again = "" if paused < wait + 1.0 else f" again and again, for {paused:.0f} s in all"
        return f"{limit} rate limit is reached{again}; waiting {self._for_and_until(wait)}"

    def _give(self, use: Use, now: float) -> Permit:
        permit = Permit(use, now)
        self._permits.add(permit)
        self._points.begin(now, use.points)
        if use.writes:
            self.run_limits.begin_write(now)
            self._writes[use].begin(now, 1.0)
        return permit

    def _wait(self, use: Use, now: float, *, ahead: float = 0.0) -> tuple[float, str]:
        """The seconds until such a request may be sent, after `ahead` points of others that wait, and why."""
        waits = [(self._paused_until - now, self._paused_by)]
        if self._counts_points and self._has_limits:
            wait = self._points.wait(now, use.points + ahead)
            waits.append((wait, f"the points of this minute are used up ({self._points.left} are left)"))
            if use.writes:
                wait = self._writes[use].wait(now, 1.0)
                waits.append((wait, f"the writes of this minute are used up ({self._writes[use].left} are left)"))
        waits.append(self._primary_wait(use, now))
        if use.writes:
            waits.append((self.run_limits.polite_wait(now), "pace: polite is one write a second"))
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
        # while finishing, writes may use the share of others
        if use.writes and not self.run_limits.is_finishing:
            share, why = primary.share_left, f"{left} requests of this hour are left, a tenth is left to others"
        if primary.remaining - self.in_flight > share:
            return 0.0, ""
        if primary.remaining > share and self._permits:
            # `remaining` may count the requests in flight already; their answers will show
            return 0.05, ""
        wait = min(primary.resets - now, LONGEST)
        # no budget takes longer than an hour to reset; after that a request is sent, whatever the headers said
        primary.resets = now + wait
        return wait, why
