"""The primary budget, `pace: polite`, `time-limit`, and permits."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from package_keeper.errors import Cancelled, OutOfTime
from package_keeper.github.rate_limit import (
    LONGEST,
    Use,
)
from tests.unit.github.pace import Pace
from tests.wire.machinery import StillClock

USES = list(Use)
READ, DELETE, CREATE = Use.READ, Use.DELETE, Use.CREATE


# the primary budget


def test_writes_leave_a_tenth_of_the_budget_and_reads_use_all() -> None:
    pace = Pace()
    pace.hear(101, limit=1_000)
    assert (pace.wait(DELETE), pace.wait(CREATE), pace.wait(READ)) == (0, 0, 0)
    pace.hear(100, limit=1_000)
    assert pace.wait(DELETE) == pace.wait(CREATE) == pytest.approx(601)
    assert pace.wait(READ) == 0
    pace.hear(0, limit=1_000)
    assert pace.wait(READ) == pytest.approx(601)
    pace.clock.elapsed += 601
    assert [pace.wait(use) for use in USES] == [0, 0, 0]


def test_the_tenth_that_is_left_is_rounded_up() -> None:
    pace = Pace()
    pace.hear(7, limit=60)
    assert pace.wait(DELETE) == 0
    pace.hear(6, limit=60)
    assert pace.wait(DELETE) > 0
    other = Pace()
    other.hear(2, limit=15)
    assert other.wait(DELETE) > 0


def test_a_wait_for_the_budget_logs_why_and_until_when() -> None:
    pace = Pace()
    pace.hear(80, limit=1_000)
    pace.send(DELETE)
    assert pace.clock.slept == [601]
    expected = "80 of 1000 requests of this hour are left, a tenth is left to others; waiting 601 s, until 12:10:01 UTC"
    assert pace.told == [expected]


@given(order=st.permutations(range(201, 221)))
def test_answers_that_overtake_each_other_never_raise_the_budget(order: list[int]) -> None:
    pace = Pace()
    for remaining in order:
        pace.hear(remaining, limit=2_000)
    assert pace.wait(DELETE) == 0
    pace.hear(200, limit=2_000)
    pace.hear(220, limit=2_000)
    assert pace.wait(DELETE) > 0


def test_the_next_hour_has_a_new_budget() -> None:
    pace = Pace()
    pace.hear(3, limit=1_000, resets_in=10)
    assert pace.wait(DELETE) > 0
    pace.hear(999, limit=1_000, resets_in=3_610)
    assert pace.wait(DELETE) == 0


def test_requests_in_flight_count_against_the_budget() -> None:
    pace = Pace()
    pace.hear(3)
    permits = [pace.take(READ) for _ in range(3)]
    assert pace.wait(READ) > 0
    pace.rate_limiter.release(permits[0], passed=True)
    assert pace.wait(READ) == 0


def test_requests_in_flight_never_cause_a_wait_of_an_hour() -> None:
    pace = Pace()
    pace.hear(5)
    # their answers say so: the five that are left are left after these
    permits = [pace.take(READ) for _ in range(5)]
    assert pace.wait(READ) < 5
    for permit in permits:
        pace.rate_limiter.release(permit, passed=True)
    assert pace.wait(READ) == 0


def test_the_wait_for_a_distant_reset_is_bounded() -> None:
    pace = Pace()
    pace.hear(0, resets_in=1_000_000)
    assert pace.wait(READ) == LONGEST


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-ratelimit-limit": "5000", "x-ratelimit-remaining": "0"},
        {"x-ratelimit-limit": "5000", "x-ratelimit-remaining": "-1", "x-ratelimit-reset": "99999999999"},
        {"x-ratelimit-limit": "5000", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "soon"},
        {"x-ratelimit-limit": "5000", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "9" * 40},
        {
            "x-ratelimit-limit": "5000",
            "x-ratelimit-remaining": "\N{ARABIC-INDIC DIGIT ZERO}",
            "x-ratelimit-reset": "99999999999",
        },
    ],
)
def test_invalid_budget_headers_are_ignored(headers: dict[str, str]) -> None:
    pace = Pace()
    pace.rate_limiter.note_headers(headers)
    assert [pace.wait(use) for use in USES] == [0, 0, 0]


# polite, time limits, permits


def test_polite_is_one_write_a_second_and_does_not_delay_reads() -> None:
    pace = Pace(polite=True)
    begun = []
    for _ in range(10):
        permit = pace.rate_limiter.acquire(DELETE)
        begun.append(permit.at)
        pace.send(READ, 3)
        pace.clock.elapsed += 0.3
        pace.rate_limiter.release(permit, passed=True)
    assert all(1 <= later - sooner < 1.01 for sooner, later in pairwise(begun))
    assert pace.told == []


def test_polite_writes_never_run_in_parallel() -> None:
    pace = Pace(polite=True)
    permit = pace.take(CREATE)
    pace.clock.elapsed += 20
    assert 0 < pace.wait(DELETE) < 0.2
    assert pace.wait(READ) == 0
    pace.rate_limiter.release(permit, passed=True)
    assert pace.wait(DELETE) == 0


@pytest.mark.parametrize(("deadline", "fits"), [(44.9, False), (45.1, True)])
def test_no_wait_begins_that_would_end_after_the_time_limit(deadline: float, fits: bool) -> None:
    pace = Pace(deadline=deadline)
    pace.refuse(READ, {"retry-after": "45"})
    if fits:
        assert pace.rate_limiter.acquire(READ).at == 45
    else:
        with pytest.raises(OutOfTime):
            pace.rate_limiter.acquire(READ)
        assert pace.clock.slept == []
        assert pace.clock.elapsed == 0


def test_the_time_limit_beats_every_reason_to_wait() -> None:
    for pace, use in (
        (Pace(deadline=50), DELETE),
        (Pace(deadline=50), READ),
        (Pace(deadline=0.5, polite=True), CREATE),
    ):
        pace.hear(100_000, limit=100_000)
        pace.hear(0 if use is READ else 100_000, limit=100_000)
        with pytest.raises(OutOfTime):
            pace.send(use, 1_000)
        assert pace.clock.elapsed <= (pace.deadline or 0)


def test_after_the_time_limit_only_finishing_sends_requests() -> None:
    pace = Pace(deadline=10.0)
    held, before = pace.take(DELETE), pace.rate_limiter.is_over
    pace.clock.elapsed = 10.0
    assert (before, pace.rate_limiter.is_over) == (False, True)
    with pytest.raises(OutOfTime):
        pace.rate_limiter.acquire(READ)
    assert pace.retries.send(DELETE, lambda: "sent", held) == "sent", "a permit stays valid"
    pace.rate_limiter.begin_finishing()
    pace.rate_limiter.release(pace.rate_limiter.acquire(READ), passed=True)
    pace.rate_limiter.note_limit(held, {"retry-after": "1"})
    with pytest.raises(OutOfTime):
        pace.rate_limiter.acquire(READ)
    assert pace.clock.slept == []


def test_a_wait_for_a_write_logs_why() -> None:
    pace = Pace(deadline=200.0)
    pace.hear(90, limit=1_000, resets_in=100)
    wait = pace.wait(DELETE)
    pace.rate_limiter.sleep_for(DELETE, wait)
    assert pace.clock.slept == [101]
    assert "a tenth is left to others; waiting 101 s" in pace.told[0]
    with pytest.raises(OutOfTime):
        pace.rate_limiter.sleep_for(DELETE, 100.0)
    assert pace.clock.slept == [101]


def test_a_cancelled_wait_raises_cancelled() -> None:
    class Cancelling(StillClock):
        def sleep(self, seconds: float) -> None:
            raise Cancelled

    pace = Pace(clock=Cancelling())
    pace.refuse(READ)
    with pytest.raises(Cancelled):
        pace.rate_limiter.acquire(READ)


def test_an_unused_permit_costs_nothing() -> None:
    pace = Pace()
    pace.hear(100_000, limit=100_000)
    for _ in range(1_000):
        pace.rate_limiter.release(pace.take(DELETE), passed=False)
    assert pace.rate_limiter.in_flight == 0
    pace.send(DELETE, 180)
    assert pace.clock.slept == []


def test_releasing_a_permit_twice_counts_once() -> None:
    pace = Pace()
    pace.hear(100_000, limit=100_000)
    for _ in range(180):
        permit = pace.take(DELETE)
        pace.rate_limiter.release(permit, passed=True)
        pace.rate_limiter.release(permit, passed=False)
    assert pace.rate_limiter.in_flight == pace.rate_limiter.run_limits.writing == 0
    assert pace.wait(DELETE) > 0
