"""Calls in parallel: no more than the rate limiter allows, results in order, and errors."""

from __future__ import annotations

import threading
from functools import partial

import pytest

from package_keeper.errors import ApiError, ApiErrorKind, Cancelled, OutOfTime
from package_keeper.github.pool import InFlight, Pool
from package_keeper.github.rate_limit import FIRST_IN_FLIGHT, LEAST_IN_FLIGHT, MOST_IN_FLIGHT, Use
from tests.unit.github.pace import Pace
from tests.wire.machinery import POOL


class Crowd:
    """Counts how many calls run at once, and holds them until a gate opens."""

    def __init__(self, gate: threading.Event | None = None) -> None:
        self.now = self.most = self.calls = 0
        self.reached = threading.Semaphore(0)
        self.threads: set[threading.Thread] = set()
        self._gate = gate
        self._lock = threading.Lock()

    def enter(self, key: int) -> int:
        with self._lock:
            self.now += 1
            self.calls += 1
            self.most = max(self.most, self.now)
            self.threads.add(threading.current_thread())
        self.reached.release()
        if self._gate is not None:
            assert self._gate.wait(timeout=30)
        with self._lock:
            self.now -= 1
        return -key

    def pass_through(self, key: int) -> None:
        self.enter(key)


def settle(pool: Pool) -> None:
    """Wait until all threads are idle, which is a moment after their results were taken."""
    while pool._idle < pool._threads:
        threading.Event().wait(0.001)


def test_results_are_in_the_order_of_the_keys_whichever_call_ends_first() -> None:
    rate_limiter = Pace().rate_limiter
    later = threading.Event()

    def call(key: int) -> str:
        if key == 0:
            assert later.wait(timeout=30)
        if key == 5:
            later.set()
        return f"result {key}"

    keys = [0, 7, 5, 3, 1]
    found = POOL.all(keys, call, rate_limiter)
    assert list(found) == keys
    assert found == {key: f"result {key}" for key in keys}


def test_no_keys_give_no_results() -> None:
    assert POOL.all([], lambda key: key, Pace().rate_limiter) == {}


@pytest.mark.parametrize("refusals", [0, 1, 9])
def test_no_more_calls_run_than_the_rate_limiter_allows(refusals: int) -> None:
    pace = Pace()
    for _ in range(refusals):
        pace.refuse(Use.READ, {"retry-after": "1"})
    width = pace.rate_limiter.width
    assert width == {0: FIRST_IN_FLIGHT, 1: FIRST_IN_FLIGHT // 2, 9: LEAST_IN_FLIGHT}[refusals]
    gate = threading.Event()
    crowd = Crowd(gate)
    found: list[dict[int, int]] = []
    asking = threading.Thread(
        target=lambda: found.append(POOL.all(range(100), crowd.enter, pace.rate_limiter)), daemon=True
    )
    asking.start()
    for _ in range(width):
        assert crowd.reached.acquire(timeout=30)
    assert crowd.now == width
    gate.set()
    asking.join(timeout=30)
    assert found == [{key: -key for key in range(100)}]
    assert crowd.most == width


@pytest.mark.parametrize(
    "error",
    [ApiError(ApiErrorKind.OTHER, "no"), Cancelled(), OutOfTime(), LookupError("a defect"), KeyboardInterrupt()],
)
def test_the_error_of_a_call_is_raised_where_results_are_taken(error: BaseException) -> None:
    def call(key: int) -> int:
        if key == 30:
            raise error
        return key

    with pytest.raises(type(error)) as caught:
        POOL.all(range(60), call, Pace().rate_limiter)
    assert caught.value is error
    assert POOL.all([1, 2], lambda key: key, Pace().rate_limiter) == {1: 1, 2: 2}, "the threads go on"


def test_after_an_error_no_more_calls_start() -> None:
    pace, crowd = Pace(), Crowd()

    def call(key: int) -> int:
        crowd.enter(key)
        if key == 0:
            raise ApiError(ApiErrorKind.OTHER, "no")
        return key

    with pytest.raises(ApiError):
        POOL.all(range(100_000), call, pace.rate_limiter)
    assert crowd.calls < 100_000


def test_threads_are_reused_and_only_as_many_as_needed() -> None:
    pool, pace = Pool(), Pace()
    alone = Crowd()
    for key in range(30):
        assert pool.all([key], alone.enter, pace.rate_limiter) == {key: -key}
        settle(pool)
    assert len(alone.threads) == 1
    together = Crowd()
    pool.all(range(500), together.enter, pace.rate_limiter)
    assert pool._threads <= MOST_IN_FLIGHT
    assert all(thread.daemon for thread in alone.threads | together.threads)


def test_there_are_never_more_threads_than_may_be_in_flight() -> None:
    pool, gate = Pool(), threading.Event()
    crowd = Crowd(gate)
    for key in range(3 * MOST_IN_FLIGHT):
        pool.run(partial(crowd.pass_through, key))
    for _ in range(MOST_IN_FLIGHT):
        assert crowd.reached.acquire(timeout=30)
    gate.set()
    for _ in range(2 * MOST_IN_FLIGHT):
        assert crowd.reached.acquire(timeout=30)
    assert len(crowd.threads) == crowd.most == MOST_IN_FLIGHT
    assert crowd.calls == 3 * MOST_IN_FLIGHT


def test_calls_in_flight_give_results_as_they_end() -> None:
    pace, gate = Pace(), threading.Event()
    calls: InFlight[str, int] = InFlight(POOL, pace.rate_limiter)
    assert calls.room == FIRST_IN_FLIGHT
    calls.start("fast", lambda: 1)
    calls.start("slow", lambda: gate.wait(timeout=30) and 2)
    assert calls.room == FIRST_IN_FLIGHT - 2
    assert [(completed.key, completed.result()) for completed in calls.completed()] == [("fast", 1)]
    assert calls.completed() == []
    assert calls.in_flight == {"slow"}
    gate.set()
    assert [(completed.key, completed.result()) for completed in calls.completed()] == [("slow", 2)]
    assert calls.room == FIRST_IN_FLIGHT
