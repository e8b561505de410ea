"""Requests side by side: calls that run in threads of their own, and come back in the order in which they end.

Threads live here alone. Whoever starts calls stays in his one thread, and takes results there. The threads are
daemons: a run that is cut off does not wait for an answer that never comes.
"""

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from package_keeper.github.rate_limit import MOST_IN_FLIGHT, Permit, RateLimiter, Use

_K = TypeVar("_K")
_T = TypeVar("_T")


@dataclass(frozen=True)
class Completed(Generic[_K, _T]):
    """A call that came back: its key, and what it gives or raises."""

    key: _K
    value: _T | None
    error: BaseException | None

    def result(self) -> _T:
        """What the call gave; raises what it raised."""
        if self.error is not None:
            raise self.error
        return self.value  # type: ignore[return-value]  # reason: without an error it is what the call gave


class Pool:
    """Threads, as many as are needed at once, and never more than `MOST_IN_FLIGHT`."""

    def __init__(self) -> None:
        self._work: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._idle = 0

    def run(self, work: Callable[[], None]) -> None:
        """Run `work` in a thread; it raises nothing."""
        with self._lock:
            if self._idle:
                self._idle -= 1
            elif self._threads < MOST_IN_FLIGHT:
                self._threads += 1
                threading.Thread(target=self._live, daemon=True).start()
        self._work.put(work)

    def all(self, keys: Iterable[_K], call: Callable[[_K], _T], rate_limiter: RateLimiter) -> dict[_K, _T]:
        """Call for every key, as many at once as `governor` lets; the results stand in the order of `keys`.

        Raises what the first failing call raises.
        """
        wanted = list(keys)
        found: dict[_K, _T] = {}
        calls: InFlight[_K, _T] = InFlight(self, rate_limiter)
        waiting = iter(wanted)
        while True:
            while calls.room and (key := next(waiting, None)) is not None:
                calls.start(key, lambda key=key: call(key))  # type: ignore[misc]  # reason: bound for each key
            if not calls.in_flight:
                return {key: found[key] for key in wanted}
            for completed in calls.completed():
                found[completed.key] = completed.result()

    def _live(self) -> None:
        while True:
            self._work.get()()
            with self._lock:
                self._idle += 1


class InFlight(Generic[_K, _T]):
    """Calls that somebody has under way."""

    def __init__(self, pool: Pool, rate_limiter: RateLimiter) -> None:
        self._pool = pool
        self._rate_limiter = rate_limiter
        self._completed: SimpleQueue[Completed[_K, _T]] = SimpleQueue()
        self.in_flight: set[_K] = set()

    @property
    def room(self) -> int:
        """How many more calls may be started now."""
        return max(self._rate_limiter.width - len(self.in_flight), 0)

    def start(self, key: _K, call: Callable[[], _T]) -> None:
        """Start a call."""
        self.in_flight.add(key)

        def work() -> None:
            try:
                completed = Completed(key, call(), None)
            except BaseException as error:  # noqa: BLE001  # reason: it is raised where the result is taken
                completed = Completed(key, None, error)
            self._completed.put(completed)

        self._pool.run(work)

    def completed(self, seconds: float | None = None) -> list[Completed[_K, _T]]:
        """Wait until a call came back, at most so many seconds, and give all that did."""
        found: list[Completed[_K, _T]] = []
        try:
            found.append(self._completed.get(timeout=seconds))
            while True:
                found.append(self._completed.get_nowait())
        except Empty:
            pass
        for each in found:
            self.in_flight.discard(each.key)
        return found


POLL_SECONDS = 0.1
"""Real seconds after which a wait for answers looks up, to see whether the run was asked to stop."""


IN_STEP = 8
"""So many writes under way at first are started one after the other."""
STEP_SECONDS = 0.001
"""Real seconds between two of those: time enough for a thread to send."""


class RateLimitedPool:
    """Sends writes in threads; to be used from one thread."""

    def __init__(self, pool: Pool, rate_limiter: RateLimiter) -> None:
        self._rate_limiter = rate_limiter
        self._calls: InFlight[int, None] = InFlight(pool, rate_limiter)

    @property
    def in_flight(self) -> set[int]:
        """The keys of the writes that are under way."""
        return set(self._calls.in_flight)

    @property
    def is_over(self) -> bool:
        """Whether `time-limit` has passed."""
        return self._rate_limiter.is_over

    def wind_up(self) -> None:
        """Let what is left to look at be looked at after `time-limit`; nothing new begins."""
        self._rate_limiter.wind_up()

    def admit(self, *, restores: bool, more: int = 0) -> Permit | float:
        """Permit to send one write, or the seconds until asking again is worth it; `more` have leave already."""
        if self._calls.room <= more:
            return POLL_SECONDS
        return self._rate_limiter.admit(Use.CREATE if restores else Use.DELETE)

    def room(self, *, restores: bool) -> float:
        """How many writes can be sent before `time-limit` ends, as far as limits are known; infinite without one."""
        return self._rate_limiter.room(Use.CREATE if restores else Use.DELETE)

    def wait(self, *, restores: bool) -> float:
        """The seconds until a write may be sent, of which none is under way."""
        return self._rate_limiter.wait(Use.CREATE if restores else Use.DELETE)

    def start(self, key: int, leave: Permit, call: Callable[[], None]) -> None:
        """Start a write that has leave."""

        def send() -> None:
            with self._rate_limiter.holding(leave):
                call()

        self._calls.start(key, send)
        if len(self._calls.in_flight) <= IN_STEP:
            # a few arrive in their order, the oldest first, as far as that is ours to say
            time.sleep(STEP_SECONDS)

    def give_back(self, leave: Permit) -> None:
        """Give back leave for a write that is not sent after all."""
        self._rate_limiter.back(leave, passed=False)

    def completed(self) -> list[Completed[int, None]]:
        """Wait a moment for writes that came back, and give those that did."""
        return self._calls.completed(POLL_SECONDS)

    def rest(self, seconds: float, *, restores: bool) -> None:
        """Wait until a write may be sent. Raises `OutOfTime` and `Cancelled`."""
        self._rate_limiter.rest(Use.CREATE if restores else Use.DELETE, seconds)
