"""Calls in parallel, in threads, whose results are taken in the order in which the calls end.

All threads are started here. The code that starts calls stays in one thread and takes the results there. The threads
are daemons: a run that is cancelled does not wait for an answer that never comes.
"""

import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from msgspec import Struct

from package_keeper.github.rate_limit import MOST_IN_FLIGHT, Permit, RateLimiter, Use

POLL_SECONDS = 0.1
"""Real seconds after which a wait for answers returns, so that a cancellation is noticed."""

_K = TypeVar("_K")
_T = TypeVar("_T")

Progress = Callable[[str, int, int], None]
"""Takes how far a step is: what it does, how much is done, and of how much. It is called at least every second."""


def untold(what: str, done: int, total: int) -> None:
    """Tell nobody about progress."""
    del what, done, total


class Completed(Struct, Generic[_K, _T], frozen=True):
    """A call that ended: its key, and its result or error."""

    key: _K
    value: _T | None
    error: BaseException | None

    def result(self) -> _T:
        """Give the result of the call, or raise its error."""
        if self.error is not None:
            raise self.error
        return self.value  # type: ignore[return-value]  # reason: without an error there is a result


class Pool:
    """Threads: as many as are needed at once, and `MOST_IN_FLIGHT` at most."""

    def __init__(self, progress: Progress = untold) -> None:
        self.progress = progress
        self._work: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._idle = 0

    def run(self, work: Callable[[], None]) -> None:
        """Run `work`, which must not raise, in a thread."""
        with self._lock:
            if self._idle:
                self._idle -= 1
            elif self._threads < MOST_IN_FLIGHT:
                self._threads += 1
                threading.Thread(target=self._run_all, daemon=True).start()
        self._work.put(work)

    def all(
        self, keys: Iterable[_K], call: Callable[[_K], _T], rate_limiter: RateLimiter, what: str = "reading"
    ) -> dict[_K, _T]:
        """Call for every key, as many at once as the rate limiter allows. The results are in the order of `keys`.

        `what` names the calls in messages about progress.

        Raises the error of the first call that fails.
        """
        wanted = list(keys)
        found: dict[_K, _T] = {}
        calls: InFlight[_K, _T] = InFlight(self, rate_limiter)
        waiting = iter(wanted)
        while True:
            while calls.room and (key := next(waiting, None)) is not None:
                calls.start(key, partial(call, key))
            if not calls.in_flight:
                return {key: found[key] for key in wanted}
            for completed in calls.completed():
                found[completed.key] = completed.result()
            self.progress(what, len(found), len(wanted))

    def _run_all(self) -> None:
        while True:
            self._work.get()()
            with self._lock:
                self._idle += 1


class InFlight(Generic[_K, _T]):
    """The calls that one caller has in flight."""

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
            except BaseException as error:  # noqa: BLE001  # reason: raised where the result is taken
                completed = Completed(key, None, error)
            self._completed.put(completed)

        self._pool.run(work)

    def completed(self) -> list[Completed[_K, _T]]:
        """Wait until a call ends, and give all that have ended; nothing after `POLL_SECONDS`, to be asked again.

        No wait is without end: a signal that arrives right before it is noticed only when it returns.
        """
        found: list[Completed[_K, _T]] = []
        with suppress(Empty):
            found.append(self._completed.get(timeout=POLL_SECONDS))
            while True:
                found.append(self._completed.get_nowait())
        for each in found:
            self.in_flight.discard(each.key)
        return found


IN_STEP = 8
"""While no more writes than this are in flight, the next one is started a little later."""
STEP_SECONDS = 0.001
"""That is so many real seconds later: enough for a thread to send its request."""


class RateLimitedPool(Generic[_T]):
    """Sends writes in threads. To be used from one thread."""

    def __init__(self, pool: Pool, rate_limiter: RateLimiter) -> None:
        self._rate_limiter = rate_limiter
        self._calls: InFlight[int, _T] = InFlight(pool, rate_limiter)

    @property
    def in_flight(self) -> set[int]:
        """The keys of the writes that are in flight."""
        return set(self._calls.in_flight)

    @property
    def is_over(self) -> bool:
        """Whether `time-limit` is reached."""
        return self._rate_limiter.is_over

    def wind_up(self) -> None:
        """From now on, send requests that need no wait even after `time-limit`, to end the run cleanly."""
        self._rate_limiter.begin_finishing()

    def admit(self, *, restores: bool, more: int = 0) -> Permit | float:
        """A permit for one write, or the seconds after which to ask again. `more` writes have permits already."""
        if self._calls.room <= more:
            return POLL_SECONDS
        return self._rate_limiter.admit(_use(restores=restores))

    def room(self, *, restores: bool) -> float:
        """How many writes can be sent before `time-limit`, as far as limits are known; infinite without one."""
        return self._rate_limiter.room(_use(restores=restores))

    def wait(self, *, restores: bool) -> float:
        """The seconds until a write may be sent, when none is in flight."""
        return self._rate_limiter.wait(_use(restores=restores))

    def start(self, key: int, permit: Permit, call: Callable[[Permit], _T]) -> None:
        """Start a write: `call` gets the permit, and raises nothing. An unused permit is released."""

        def send() -> _T:
            try:
                return call(permit)
            finally:
                # does nothing if the permit was used
                self.give_back(permit)

        self._calls.start(key, send)
        if len(self._calls.in_flight) <= IN_STEP:
            # so that GitHub gets a few writes in their order, the oldest first
            time.sleep(STEP_SECONDS)

    def give_back(self, permit: Permit) -> None:
        """Release the permit of a write that is not sent after all."""
        self._rate_limiter.release(permit, passed=False)

    def completed(self) -> list[tuple[int, _T]]:
        """Wait a moment for writes to end, and give the results of those that have ended."""
        return [(each.key, each.result()) for each in self._calls.completed()]

    def rest(self, seconds: float, *, restores: bool) -> None:
        """Wait until a write may be sent. Raises `OutOfTime` and `Cancelled`."""
        self._rate_limiter.sleep_for(_use(restores=restores), seconds)


def _use(*, restores: bool) -> Use:
    return Use.CREATE if restores else Use.DELETE
