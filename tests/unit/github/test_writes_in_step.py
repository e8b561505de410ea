"""A few writes are started one after the other, so that they arrive in their order; many are not held up."""

import threading
import time

import pytest

from package_keeper.github.pool import IN_STEP, STEP_SECONDS, RateLimitedPool
from package_keeper.github.rate_limit import Permit
from tests.unit.github.pace import Pace
from tests.wire.machinery import POOL


def test_the_first_eight_writes_in_flight_are_started_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    pool: RateLimitedPool[bool] = RateLimitedPool(POOL, Pace().rate_limiter)
    gate, steps = threading.Event(), list[float]()
    monkeypatch.setattr(time, "sleep", steps.append)
    counts: list[int] = []

    def hold(_: Permit) -> bool:
        return gate.wait(30)

    for number in range(IN_STEP + 4):
        permit = pool.admit(restores=False)
        assert isinstance(permit, Permit)
        pool.start(number, permit, hold)
        counts.append(len(steps))
    gate.set()
    while pool.in_flight:
        assert all(held for _, held in pool.completed())
    monkeypatch.undo()
    assert counts == [1, 2, 3, 4, 5, 6, 7, 8, 8, 8, 8, 8]
    assert set(steps) == {STEP_SECONDS}
