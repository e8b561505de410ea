"""Writes in parallel: each uses its own permit once, and one thread takes the results."""

from __future__ import annotations

import threading

import pytest

from package_keeper.errors import OutOfTime
from package_keeper.github.pool import POLL_SECONDS, RateLimitedPool
from package_keeper.github.rate_limit import FIRST_IN_FLIGHT, Permit, Use
from tests.unit.github.pace import Pace
from tests.wire.machinery import POOL


def permit_of(pool: RateLimitedPool[object], *, restores: bool = False) -> Permit:
    found = pool.admit(restores=restores)
    assert isinstance(found, Permit)
    return found


def all_completed(pool: RateLimitedPool[object]) -> dict[int, object]:
    found: dict[int, object] = {}
    while pool.in_flight:
        found.update(pool.completed())
    return found


@pytest.mark.parametrize(("restores", "use"), [(False, Use.DELETE), (True, Use.CREATE)])
def test_a_write_uses_the_permit_that_it_was_given(restores: bool, use: Use) -> None:
    pace = Pace(polite=True)
    pool: RateLimitedPool[object] = RateLimitedPool(POOL, pace.rate_limiter)
    given = permit_of(pool, restores=restores)
    assert given.use is use
    used: list[Permit] = []

    def send(permit: Permit) -> None:
        pace.retries.send(use, lambda: used.append(permit), permit)

    pool.start(7, given, send)
    assert pool.in_flight == {7}
    assert all_completed(pool) == {7: None}
    assert used == [given]
    assert pace.clock.slept == [], "there was no wait for a second permit"
    assert pace.rate_limiter.in_flight == pace.rate_limiter.run_limits.writing == 0


def test_a_permit_that_a_write_did_not_use_is_released() -> None:
    pace = Pace()
    pool: RateLimitedPool[object] = RateLimitedPool(POOL, pace.rate_limiter)

    def look_first(permit: Permit) -> str:
        return "not as planned"

    pool.start(1, permit_of(pool), look_first)
    pool.start(2, permit_of(pool), lambda permit: None)
    assert all_completed(pool) == {1: "not as planned", 2: None}
    assert pace.rate_limiter.in_flight == pace.rate_limiter.run_limits.writing == 0


def test_no_more_writes_start_than_may_be_in_flight() -> None:
    pace, gate = Pace(), threading.Event()
    pool: RateLimitedPool[object] = RateLimitedPool(POOL, pace.rate_limiter)

    def hold(permit: Permit) -> None:
        assert gate.wait(30)

    for number in range(FIRST_IN_FLIGHT - 2):
        pool.start(number, permit_of(pool), hold)
    assert pool.admit(restores=False, more=2) == POLL_SECONDS
    permit = pool.admit(restores=False, more=1)
    assert isinstance(permit, Permit)
    pace.rate_limiter.release(permit, passed=False)
    gate.set()
    assert len(all_completed(pool)) == FIRST_IN_FLIGHT - 2


def test_a_pause_delays_writes_without_a_permit() -> None:
    pace = Pace()
    pool: RateLimitedPool[object] = RateLimitedPool(POOL, pace.rate_limiter)
    pace.refuse(Use.READ, {"retry-after": "30"})
    assert pool.admit(restores=True) == 30
    pool.rest(30, restores=True)
    assert pace.clock.slept == [30]
    pace.rate_limiter.release(permit_of(pool, restores=True), passed=False)


def test_the_time_limit_is_that_of_the_rate_limiter() -> None:
    pace = Pace(deadline=20.0)
    pool: RateLimitedPool[object] = RateLimitedPool(POOL, pace.rate_limiter)
    with pytest.raises(OutOfTime):
        pool.rest(30, restores=False)
    before = pool.is_over
    pace.clock.elapsed = 20.0
    assert (before, pool.is_over) == (False, True)
    pool.wind_up()
    pace.rate_limiter.release(pace.rate_limiter.acquire(Use.READ), passed=True)
