"""When requests may be sent, and what a rate limit does to all of them."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from package_keeper.github.rate_limit import (
    FIRST_IN_FLIGHT,
    LEAST_IN_FLIGHT,
    MOST_IN_FLIGHT,
    POINTS_A_MINUTE,
    RAMP,
    Permit,
    RateLimiter,
    RunLimits,
    Use,
)
from tests.unit.github.pace import Pace, at_once, budget
from tests.wire.machinery import CrewClock, StillClock, clock_of

USES = list(Use)
READ, DELETE, CREATE = Use.READ, Use.DELETE, Use.CREATE
SECONDARY = {"x-ratelimit-remaining": "4000"}


# points


def test_without_limit_headers_points_are_not_limited() -> None:
    pace = Pace()
    pace.rate_limiter.note_headers({"content-type": "application/json", "x-ratelimit-limit": "lots"})
    pace.send(READ, 2_000)
    pace.send(DELETE, 500)
    assert pace.clock.slept == []


def test_a_host_without_points_is_not_limited_by_them_whatever_its_headers() -> None:
    pace = Pace(counts_points=False)
    pace.hear(4_999)
    pace.send(READ, 2_000)
    assert pace.clock.slept == []


def test_a_rate_limit_shows_that_limits_exist_as_headers_do() -> None:
    pace = Pace()
    pace.refuse(READ, {"retry-after": "5"})
    pace.send(READ, 2_000)
    assert pace.clock.elapsed > 60


@pytest.mark.parametrize(("use", "most"), [(READ, 900), (DELETE, 180), (CREATE, 80)])
def test_a_minute_has_as_many_requests_as_are_published(use: Use, most: int) -> None:
    pace = Pace()
    pace.hear(100_000, limit=100_000)
    pace.send(use, most)
    assert pace.clock.slept == []
    assert pace.wait(use) == pytest.approx(60, abs=0.1)
    pace.send(use)
    assert pace.clock.slept == [pytest.approx(60, abs=0.1)]
    assert len(pace.told) == 1
    assert "waiting 60 s, until 12:01:00 UTC" in pace.told[0]


def test_requests_before_the_first_limit_header_count() -> None:
    pace = Pace()
    pace.send(DELETE, 100)
    pace.hear(100_000, limit=100_000)
    pace.send(DELETE, 80)
    assert pace.wait(DELETE) > 50


@given(sent=st.lists(st.tuples(st.sampled_from(USES), st.integers(1, 150), st.floats(0, 0.2)), min_size=3, max_size=8))
def test_no_minute_has_more_points_than_are_published(sent: list[tuple[Use, int, float]]) -> None:
    pace = Pace()
    pace.hear(100_000, limit=100_000)
    gone: list[tuple[float, float]] = []
    for use, count, seconds in sent:
        for _ in range(count):
            permit = pace.rate_limiter.acquire(use)
            pace.clock.elapsed += seconds
            pace.rate_limiter.release(permit, passed=True)
            # a server may count it at any moment between both
            gone += [(permit.at, use.points / 2), (pace.clock.elapsed, use.points / 2)]
    gone.sort()
    first, points = 0, 0.0
    for moment, cost in gone:
        points += cost
        while gone[first][0] <= moment - 60 + 1e-9:
            points -= gone[first][1]
            first += 1
        assert points <= POINTS_A_MINUTE


# refusals


def test_a_rate_limit_pauses_every_kind_of_request() -> None:
    pace = Pace()
    pace.refuse(DELETE, {"retry-after": "30"} | SECONDARY)
    assert [pace.wait(use) for use in USES] == [30, 30, 30]
    pace.clock.elapsed += 29.5
    assert [pace.wait(use) for use in USES] == [0.5, 0.5, 0.5]
    pace.clock.elapsed += 0.5
    assert [pace.wait(use) for use in USES] == [0, 0, 0]


def test_all_threads_wait_for_one_pause() -> None:
    clock = CrewClock(12)
    pace = Pace(clock=clock)
    permit = pace.take(READ)
    pace.rate_limiter.release(permit, passed=False)
    pace.rate_limiter.note_limit(permit, {"retry-after": "45"})
    permits: list[Permit] = []

    def work() -> None:
        permits.append(permit := pace.rate_limiter.acquire(READ))
        pace.rate_limiter.release(permit, passed=True)
        clock.leave()

    at_once(*[work] * 12)
    assert [permit.at for permit in permits] == [45.0] * 12
    assert len(pace.told) == 1
    assert "secondary rate limit is reached; waiting 45 s, until 12:00:45 UTC" in pace.told[0]


def test_requests_that_were_rate_limited_are_not_all_sent_again_at_once() -> None:
    pace = Pace()
    for permit in [pace.take(READ) for _ in range(FIRST_IN_FLIGHT)]:
        pace.rate_limiter.release(permit, passed=False)
        pace.rate_limiter.note_limit(permit, {"retry-after": "1"})
    width, lock, now, most = pace.rate_limiter.width, threading.Lock(), [0], [0]
    assert width == FIRST_IN_FLIGHT // 2
    full = threading.Barrier(width)

    def work() -> None:
        permit = pace.rate_limiter.acquire(READ)
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        full.wait(timeout=60)
        with lock:
            now[0] -= 1
        pace.rate_limiter.release(permit, passed=False)

    at_once(*[work] * (2 * width))
    assert most == [width]


def test_rate_limits_of_requests_in_flight_together_count_once() -> None:
    pace = Pace()
    pace.send(DELETE, 100)
    width, permits = pace.rate_limiter.width, [pace.take(DELETE) for _ in range(10)]
    for permit in permits:
        pace.clock.elapsed += 0.1
        pace.rate_limiter.release(permit, passed=False)
        pace.rate_limiter.note_limit(permit, SECONDARY)
    assert pace.rate_limiter.width == width // 2
    assert len({round(pace.wait(use)) for use in USES}) == 1
    assert pace.wait(READ) == pytest.approx(60, abs=1)
    pace.clock.elapsed = 200.0
    sent = 0
    while pace.wait(DELETE) == 0:
        pace.send(DELETE)
        sent += 1
    assert sent == 95, "cut once, to just below the hundred that passed"


def test_a_longer_wait_from_a_later_answer_counts() -> None:
    pace = Pace()
    one, other = pace.take(READ), pace.take(READ)
    for permit, seconds in ((one, "10"), (other, "90")):
        pace.rate_limiter.release(permit, passed=False)
        pace.rate_limiter.note_limit(permit, {"retry-after": seconds})
    assert pace.wait(READ) == 90
    pace.rate_limiter.note_limit(one, {"retry-after": "20"})
    assert pace.wait(READ) == 90
    assert ["waiting 10 s" in pace.told[0], "waiting 90 s" in pace.told[1], len(pace.told)] == [True, True, 2]


def test_waits_that_github_does_not_name_double_until_something_passes() -> None:
    pace = Pace()
    for _ in range(7):
        pace.refuse(READ)
    pace.send(READ)
    assert pace.clock.slept == [60, 120, 240, 480, 960, 960, 960]
    pace.clock.slept.clear()
    pace.refuse(READ)
    pace.send(READ)
    assert pace.clock.slept == [60]


def test_a_secondary_limit_on_writes_does_not_lower_the_points_of_reads() -> None:
    pace = Pace()
    pace.hear(100_000, limit=100_000)
    pace.send(DELETE, 40)
    pace.refuse(DELETE, {"retry-after": "60"} | SECONDARY)
    pace.clock.elapsed = 300.0
    pace.send(READ, 900)
    assert pace.clock.slept == []


def test_a_primary_limit_does_not_lower_the_limits_of_the_minute() -> None:
    pace = Pace()
    pace.hear(100_000, limit=100_000)
    pace.send(DELETE, 40)
    permit = pace.take(DELETE)
    headers = budget(0, resets_at=700.0)
    pace.rate_limiter.release(permit, passed=False)
    pace.rate_limiter.note_headers(headers)
    pace.rate_limiter.note_limit(permit, headers)
    assert pace.wait(READ) == pytest.approx(701)
    assert "primary rate limit" in pace.told[0]
    pace.clock.elapsed = 1_000.0
    pace.send(DELETE, 180)
    assert pace.clock.slept == []


def test_a_wait_that_the_registry_names_is_used_and_short_waits_are_not_logged() -> None:
    pace = Pace(counts_points=False)
    for seconds, warnings in ((0.125, 0), (7.0, 1)):
        permit = pace.rate_limiter.acquire(READ)
        pace.rate_limiter.release(permit, passed=False)
        pace.rate_limiter.note_limit(permit, {}, seconds)
        assert pace.wait(READ) == pytest.approx(seconds)
        assert len(pace.told) == warnings
        pace.clock.elapsed += seconds


@pytest.mark.parametrize("seconds", [0.125, 0.4, 3.0])
def test_many_short_waits_are_logged_as_one_long_wait(seconds: float) -> None:
    pace = Pace(counts_points=False)
    while pace.clock.elapsed < 60:
        permit = pace.rate_limiter.acquire(READ)
        pace.rate_limiter.release(permit, passed=False)
        pace.rate_limiter.note_limit(permit, {}, seconds)
    assert 9 <= len(pace.told) <= 12, "about every five seconds of a minute"
    assert len(pace.clock.slept) <= 70, "waits of milliseconds are not believed for ever"
    assert all("rate limit is reached again and again" in text for text in pace.told)


def test_short_waits_at_the_same_time_count_once() -> None:
    pace = Pace(counts_points=False)
    for permit in [pace.take(READ) for _ in range(20)]:
        pace.rate_limiter.release(permit, passed=False)
        pace.rate_limiter.note_limit(permit, {}, 3.0)
    assert pace.told == []


def test_two_hosts_share_one_polite_pace() -> None:
    clock, run_limits, said = StillClock(), RunLimits(polite=True), list[str]()
    hosts = [RateLimiter(clock_of(clock), tell=said.append, run_limits=run_limits) for _ in range(2)]
    moments = []
    for number in range(6):
        permit = hosts[number % 2].acquire(CREATE if number % 2 else DELETE)
        moments.append(clock.monotonic())
        hosts[number % 2].release(permit, passed=True)
    assert moments == [0, 1, 2, 3, 4, 5]


def test_a_rate_limit_halves_the_requests_in_flight_and_answers_raise_them() -> None:
    pace = Pace()
    widths = []
    for _ in range(5):
        pace.refuse(READ, {"retry-after": "1"})
        widths.append(pace.rate_limiter.width)
    assert widths == [FIRST_IN_FLIGHT // 2, FIRST_IN_FLIGHT // 4, LEAST_IN_FLIGHT, LEAST_IN_FLIGHT, LEAST_IN_FLIGHT]
    pace.send(READ, RAMP - 1)
    assert pace.rate_limiter.width == LEAST_IN_FLIGHT
    pace.send(READ)
    assert pace.rate_limiter.width == LEAST_IN_FLIGHT + 1
    pace.send(READ, RAMP * 100, seconds=1)
    assert pace.rate_limiter.width == MOST_IN_FLIGHT


def test_until_the_first_rate_limit_every_answer_adds_a_request_in_flight() -> None:
    pace = Pace()
    pace.send(READ, 7)
    assert pace.rate_limiter.width == FIRST_IN_FLIGHT + 7
    pace.send(READ, 100)
    assert pace.rate_limiter.width == MOST_IN_FLIGHT


def test_many_threads_that_wait_use_up_the_next_minute() -> None:
    clock = CrewClock(20)
    pace = Pace(clock=clock)
    pace.hear(100_000, limit=100_000)
    times: list[float] = []

    def work() -> None:
        while (permit := pace.rate_limiter.acquire(READ)).at < 600:
            times.append(permit.at)
            pace.rate_limiter.release(permit, passed=True)
        pace.rate_limiter.release(permit, passed=True)
        clock.leave()

    at_once(*[work] * 20)
    assert len(times) >= 0.97 * 900 * 10
    times.sort()
    assert all(later - sooner >= 60 - 1e-6 for sooner, later in zip(times, times[900:], strict=False))


def test_many_threads_leave_no_permit_in_use() -> None:
    pace = Pace()
    pace.hear(100_000, limit=100_000)
    permits: list[Permit] = []
    lock = threading.Lock()

    def work(use: Use) -> None:
        for number in range(60):
            permit = pace.rate_limiter.acquire(use)
            with lock:
                permits.append(permit)
            passed = number % 20 != 19
            pace.rate_limiter.release(permit, passed=passed)
            if not passed:
                pace.rate_limiter.note_limit(permit, {"retry-after": "2"} | SECONDARY)
            pace.rate_limiter.note_headers(budget(4_000 - number, resets_at=9_000))

    at_once(*[lambda use=use: work(use) for use in (READ, DELETE, CREATE, READ) * 4])
    assert len(permits) == 16 * 60
    assert pace.rate_limiter.in_flight == pace.rate_limiter.run_limits.writing == 0
    times = sorted((permit.at, permit.use.points) for permit in permits)
    for moment, _ in times:
        assert sum(points for other, points in times if moment - 60 < other <= moment) <= POINTS_A_MINUTE + 16 * 5
