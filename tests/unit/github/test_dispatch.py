"""Writes side by side: each has leave of its own, used once; what comes back is taken in one thread."""

from __future__ import annotations

import threading

import pytest

from package_keeper.errors import ApiError, ApiErrorKind, OutOfTime
from package_keeper.github.pool import POLL_SECONDS, RateLimitedPool
from package_keeper.github.rate_limit import FIRST_IN_FLIGHT, Permit, Use
from tests.unit.github.pace import Pace
from tests.wire.machinery import LANES


def leave_of(dispatch: RateLimitedPool, *, restores: bool = False) -> Permit:
    found = dispatch.admit(restores=restores)
    assert isinstance(found, Permit)
    return found


def all_landed(dispatch: RateLimitedPool) -> dict[int, BaseException | None]:
    found: dict[int, BaseException | None] = {}
    while dispatch.in_flight:
        found.update((completed.key, completed.error) for completed in dispatch.completed())
    return found


@pytest.mark.parametrize(("restores", "use"), [(False, Use.DELETE), (True, Use.CREATE)])
def test_a_write_uses_the_leave_that_it_was_given(restores: bool, use: Use) -> None:
    pace = Pace(polite=True)
    dispatch = RateLimitedPool(LANES, pace.rate_limiter)
    leave = leave_of(dispatch, restores=restores)
    assert leave.use is use
    used: list[Permit] = []

    def send() -> None:
        pace.retries.carry(use, lambda: used.append(leave))

    dispatch.start(7, leave, send)
    assert dispatch.in_flight == {7}
    assert all_landed(dispatch) == {7: None}
    assert used == [leave]
    assert pace.clock.slept == [], "no second leave was waited for"
    assert pace.rate_limiter._in_flight == pace.rate_limiter.run_limits.writing == 0


def test_leave_that_a_write_did_not_need_is_given_back() -> None:
    pace = Pace()
    dispatch = RateLimitedPool(LANES, pace.rate_limiter)
    refused = ApiError(ApiErrorKind.CHANGED, "not as planned")

    def look_first() -> None:
        raise refused

    dispatch.start(1, leave_of(dispatch), look_first)
    dispatch.start(2, leave_of(dispatch), lambda: None)
    assert all_landed(dispatch) == {1: refused, 2: None}
    assert pace.rate_limiter._in_flight == pace.rate_limiter.run_limits.writing == 0


def test_no_more_begin_than_may_be_in_flight() -> None:
    pace, gate = Pace(), threading.Event()
    dispatch = RateLimitedPool(LANES, pace.rate_limiter)

    def hold() -> None:
        assert gate.wait(30)

    for number in range(FIRST_IN_FLIGHT - 2):
        dispatch.start(number, leave_of(dispatch), hold)
    assert dispatch.admit(restores=False, more=2) == POLL_SECONDS
    permit = dispatch.admit(restores=False, more=1)
    assert isinstance(permit, Permit)
    pace.rate_limiter.back(permit, passed=False)
    gate.set()
    assert len(all_landed(dispatch)) == FIRST_IN_FLIGHT - 2


def test_a_pause_is_for_writes_that_have_no_leave_yet() -> None:
    pace = Pace()
    dispatch = RateLimitedPool(LANES, pace.rate_limiter)
    pace.refuse(Use.READ, {"retry-after": "30"})
    assert dispatch.admit(restores=True) == 30
    dispatch.rest(30, restores=True)
    assert pace.clock.slept == [30]
    pace.rate_limiter.back(leave_of(dispatch, restores=True), passed=False)


def test_the_time_limit_is_the_governors() -> None:
    pace = Pace(deadline=20.0)
    dispatch = RateLimitedPool(LANES, pace.rate_limiter)
    with pytest.raises(OutOfTime):
        dispatch.rest(30, restores=False)
    before = dispatch.is_over
    pace.clock.elapsed = 20.0
    assert (before, dispatch.is_over) == (False, True)
    dispatch.wind_up()
    pace.rate_limiter.back(pace.rate_limiter.acquire(Use.READ), passed=True)
