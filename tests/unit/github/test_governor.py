"""The pace: what may be sent when, what a refusal does to everybody, and what is left to others."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from package_keeper.errors import Cancelled, OutOfTime
from package_keeper.github.governor import (
    FIRST_IN_FLIGHT,
    LEAST_IN_FLIGHT,
    MOST_IN_FLIGHT,
    POINTS_A_MINUTE,
    RAMP,
    Permit,
    Use,
)
from package_keeper.github.waits import LONGEST
from tests.unit.github.pace import Pace, budget
from tests.wire.machinery import CrewClock, StillClock

USES = list(Use)
READ, DELETE, CREATE = Use.READ, Use.DELETE, Use.CREATE
SECONDARY = {"x-ratelimit-remaining": "4000"}


def at_once(*calls: Callable[[], object]) -> None:
    """Run calls in threads of their own, to their ends."""
    threads = [threading.Thread(target=call, daemon=True) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
        assert not thread.is_alive()


def fail(error: Exception | None) -> None:
    if error is not None:
        raise error


# points


def test_without_headers_of_limits_there_is_no_minute_of_points() -> None:
    pace = Pace()
    pace.governor.heard({"content-type": "application/json", "x-ratelimit-limit": "lots"})
    pace.send(READ, 2_000)
    pace.send(DELETE, 500)
    assert pace.clock.slept == []


def test_a_host_whose_points_are_not_counted_has_none_however_many_headers_it_sends() -> None:
    pace = Pace(counts_points=False)
    pace.hear(4_999)
    pace.send(READ, 2_000)
    assert pace.clock.slept == []


def test_a_refusal_announces_limits_as_headers_do() -> None:
    pace = Pace()
    pace.refuse(READ, {"retry-after": "5"})
    pace.send(READ, 2_000)
    assert pace.clock.elapsed > 60


@pytest.mark.parametrize(("use", "most"), [(READ, 900), (DELETE, 180), (CREATE, 80)])
def test_so_many_go_in_a_minute(use: Use, most: int) -> None:
    pace = Pace()
    pace.hear(100_000, limit=100_000)
    pace.send(use, most)
    assert pace.clock.slept == []
    assert pace.wait(use) == pytest.approx(60, abs=0.1)
    pace.send(use)
    assert pace.clock.slept == [pytest.approx(60, abs=0.1)]
    assert len(pace.told) == 1
    assert "waiting 60 s, until 12:01:00 UTC" in pace.told[0]


def test_what_was_sent_before_limits_were_announced_counts() -> None:
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
            permit = pace.governor.acquire(use)
            pace.clock.elapsed += seconds
            pace.governor.back(permit, passed=True)
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


def test_a_refusal_pauses_every_kind_of_request() -> None:
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
    pace.governor.back(permit, passed=False)
    pace.governor.refused(permit, {"retry-after": "45"})
    permits: list[Permit] = []

    def work() -> None:
        permits.append(pace.governor.acquire(READ))
        clock.leave()

    at_once(*[work] * 12)
    assert [permit.at for permit in permits] == [45.0] * 12
    assert len(pace.warned) == 1
    assert "secondary rate limit is reached; waiting 45 s, until 12:00:45 UTC" in pace.warned[0]
    assert pace.told == []


def test_the_refusals_of_one_moment_are_one() -> None:
    pace = Pace()
    pace.send(DELETE, 100)
    width, permits = pace.governor.width, [pace.take(DELETE) for _ in range(10)]
    for permit in permits:
        pace.clock.elapsed += 0.1
        pace.governor.back(permit, passed=False)
        pace.governor.refused(permit, SECONDARY)
    assert pace.governor.width == width // 2
    assert len({round(pace.wait(use)) for use in USES}) == 1
    assert pace.wait(READ) == pytest.approx(60, abs=1)
    pace.clock.elapsed = 200.0
    sent = 0
    while pace.wait(DELETE) == 0:
        pace.send(DELETE)
        sent += 1
    assert sent == 95, "cut once, to just below the hundred that passed"


def test_a_longer_wait_that_is_heard_later_counts() -> None:
    pace = Pace()
    one, other = pace.take(READ), pace.take(READ)
    for permit, seconds in ((one, "10"), (other, "90")):
        pace.governor.back(permit, passed=False)
        pace.governor.refused(permit, {"retry-after": seconds})
    assert pace.wait(READ) == 90
    pace.governor.refused(one, {"retry-after": "20"})
    assert pace.wait(READ) == 90
    assert ["waiting 10 s" in pace.warned[0], "waiting 90 s" in pace.warned[1], len(pace.warned)] == [True, True, 2]


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


def test_a_secondary_refusal_of_writes_leaves_reads_their_points() -> None:
    pace = Pace()
    pace.hear(100_000, limit=100_000)
    pace.send(DELETE, 40)
    pace.refuse(DELETE, {"retry-after": "60"} | SECONDARY)
    pace.clock.elapsed = 300.0
    pace.send(READ, 900)
    assert pace.clock.slept == []


def test_a_primary_refusal_teaches_nothing_about_the_minute() -> None:
    pace = Pace()
    pace.hear(100_000, limit=100_000)
    pace.send(DELETE, 40)
    permit = pace.take(DELETE)
    headers = budget(0, resets_at=700.0)
    pace.governor.back(permit, passed=False)
    pace.governor.heard(headers)
    pace.governor.refused(permit, headers)
    assert pace.wait(READ) == pytest.approx(701)
    assert "primary rate limit" in pace.warned[0]
    pace.clock.elapsed = 1_000.0
    pace.send(DELETE, 180)
    assert pace.clock.slept == []


def test_a_registry_that_names_its_wait_is_believed_and_short_waits_are_not_told() -> None:
    pace = Pace(counts_points=False)
    for seconds, warnings in ((0.125, 0), (7.0, 1)):
        permit = pace.governor.acquire(READ)
        pace.governor.back(permit, passed=False)
        pace.governor.refused(permit, {}, seconds)
        assert pace.wait(READ) == pytest.approx(seconds)
        assert len(pace.warned) == warnings
        pace.clock.elapsed += seconds


def test_fewer_are_in_flight_after_a_refusal_and_more_after_many_answers() -> None:
    pace = Pace()
    widths = []
    for _ in range(5):
        pace.refuse(READ, {"retry-after": "1"})
        widths.append(pace.governor.width)
    assert widths == [FIRST_IN_FLIGHT // 2, FIRST_IN_FLIGHT // 4, LEAST_IN_FLIGHT, LEAST_IN_FLIGHT, LEAST_IN_FLIGHT]
    pace.send(READ, RAMP - 1)
    assert pace.governor.width == LEAST_IN_FLIGHT
    pace.send(READ)
    assert pace.governor.width == LEAST_IN_FLIGHT + 1
    pace.send(READ, RAMP * 100, seconds=1)
    assert pace.governor.width == MOST_IN_FLIGHT


# the primary budget


def test_writes_leave_a_tenth_and_reads_do_not() -> None:
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


def test_the_tenth_of_an_odd_budget_is_rounded_up() -> None:
    pace = Pace()
    pace.hear(7, limit=60)
    assert pace.wait(DELETE) == 0
    pace.hear(6, limit=60)
    assert pace.wait(DELETE) > 0
    other = Pace()
    other.hear(2, limit=15)
    assert other.wait(DELETE) > 0


def test_the_wait_for_the_budget_says_why_and_until_when() -> None:
    pace = Pace()
    pace.hear(80, limit=1_000)
    pace.send(DELETE)
    assert pace.clock.slept == [601]
    expected = "80 of 1000 requests of this hour are left, a tenth is left to others; waiting 601 s, until 12:10:01 UTC"
    assert pace.told == [expected]


@given(order=st.permutations(range(201, 221)))
def test_answers_that_overtake_each_other_do_not_bring_the_budget_back(order: list[int]) -> None:
    pace = Pace()
    for remaining in order:
        pace.hear(remaining, limit=2_000)
    assert pace.wait(DELETE) == 0
    pace.hear(200, limit=2_000)
    pace.hear(220, limit=2_000)
    assert pace.wait(DELETE) > 0


def test_another_hour_has_a_budget_of_its_own() -> None:
    pace = Pace()
    pace.hear(3, limit=1_000, resets_in=10)
    assert pace.wait(DELETE) > 0
    pace.hear(999, limit=1_000, resets_in=3_610)
    assert pace.wait(DELETE) == 0


def test_requests_in_flight_are_taken_off_what_is_left() -> None:
    pace = Pace()
    pace.hear(3)
    permits = [pace.take(READ) for _ in range(3)]
    assert pace.wait(READ) > 0
    pace.governor.back(permits[0], passed=True)
    assert pace.wait(READ) == 0


def test_for_requests_in_flight_nobody_waits_an_hour() -> None:
    pace = Pace()
    pace.hear(5)
    # their answers say so: the five that are left are left after these
    permits = [pace.take(READ) for _ in range(5)]
    assert pace.wait(READ) < 5
    for permit in permits:
        pace.governor.back(permit, passed=True)
    assert pace.wait(READ) == 0


def test_a_reset_that_lies_far_ahead_is_asked_about_again() -> None:
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
def test_headers_that_say_nothing_are_not_believed(headers: dict[str, str]) -> None:
    pace = Pace()
    pace.governor.heard(headers)
    assert [pace.wait(use) for use in USES] == [0, 0, 0]


# polite, time limits, permits


def test_polite_is_one_write_a_second_and_reads_go_as_ever() -> None:
    pace = Pace(polite=True)
    begun = []
    for _ in range(10):
        permit = pace.governor.acquire(DELETE)
        begun.append(permit.at)
        pace.send(READ, 3)
        pace.clock.elapsed += 0.3
        pace.governor.back(permit, passed=True)
    assert all(1 <= later - sooner < 1.01 for sooner, later in pairwise(begun))
    assert pace.told == []


def test_polite_writes_are_never_two_at_once() -> None:
    pace = Pace(polite=True)
    permit = pace.take(CREATE)
    pace.clock.elapsed += 20
    assert 0 < pace.wait(DELETE) < 0.2
    assert pace.wait(READ) == 0
    pace.governor.back(permit, passed=True)
    assert pace.wait(DELETE) == 0


@pytest.mark.parametrize(("deadline", "fits"), [(44.9, False), (45.1, True)])
def test_no_wait_is_begun_that_would_end_past_the_time_limit(deadline: float, fits: bool) -> None:
    pace = Pace(deadline=deadline)
    pace.refuse(READ, {"retry-after": "45"})
    if fits:
        assert pace.governor.acquire(READ).at == 45
    else:
        with pytest.raises(OutOfTime):
            pace.governor.acquire(READ)
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


def test_after_the_time_limit_nothing_begins_but_a_last_look() -> None:
    pace = Pace(deadline=10.0)
    held, before = pace.take(DELETE), pace.governor.is_over
    pace.clock.elapsed = 10.0
    assert (before, pace.governor.is_over) == (False, True)
    with pytest.raises(OutOfTime):
        pace.governor.acquire(READ)
    with pace.governor.holding(held):
        assert pace.governor.acquire(DELETE) is held, "leave that was given is kept"
    pace.governor.wind_up()
    pace.governor.back(pace.governor.acquire(READ), passed=True)
    pace.governor.refused(held, {"retry-after": "1"})
    with pytest.raises(OutOfTime):
        pace.governor.acquire(READ)
    assert pace.clock.slept == []


def test_a_rest_says_why() -> None:
    pace = Pace(deadline=200.0)
    pace.hear(90, limit=1_000, resets_in=100)
    wait = pace.wait(DELETE)
    pace.governor.rest(DELETE, wait)
    assert pace.clock.slept == [101]
    assert "a tenth is left to others; waiting 101 s" in pace.told[0]
    with pytest.raises(OutOfTime):
        pace.governor.rest(DELETE, 100.0)
    assert pace.clock.slept == [101]


def test_many_who_wait_for_the_minute_use_it_up() -> None:
    clock = CrewClock(20)
    pace = Pace(clock=clock)
    pace.hear(100_000, limit=100_000)
    times: list[float] = []

    def work() -> None:
        while (permit := pace.governor.acquire(READ)).at < 600:
            times.append(permit.at)
            pace.governor.back(permit, passed=True)
        pace.governor.back(permit, passed=True)
        clock.leave()

    at_once(*[work] * 20)
    assert len(times) >= 0.97 * 900 * 10
    times.sort()
    assert all(later - sooner >= 60 - 1e-6 for sooner, later in zip(times, times[900:], strict=False))


def test_a_cancelled_wait_ends_with_that() -> None:
    class Cancelling(StillClock):
        def sleep(self, seconds: float) -> None:
            raise Cancelled

    pace = Pace(clock=Cancelling())
    pace.refuse(READ)
    with pytest.raises(Cancelled):
        pace.governor.acquire(READ)


def test_a_permit_that_is_held_is_used_once() -> None:
    pace = Pace()
    held = pace.take(DELETE)
    with pace.governor.holding(held):
        assert pace.governor.acquire(DELETE) is held
        assert pace.governor.acquire(DELETE) is not held
    assert pace.governor._in_flight == 2, "what was used is given back by who used it"


def test_a_permit_that_is_held_needs_no_wait_of_its_own() -> None:
    pace = Pace()
    held = pace.take(DELETE)
    pace.refuse(READ, {"retry-after": "60"})
    with pace.governor.holding(held):
        assert pace.governor.acquire(DELETE) is held
    assert pace.clock.slept == []


@pytest.mark.parametrize("error", [None, LookupError(), Cancelled()])
def test_a_permit_that_nobody_used_is_given_back_and_costs_nothing(error: Exception | None) -> None:
    pace = Pace()
    pace.hear(100_000, limit=100_000)
    for _ in range(1_000):
        held = pace.take(DELETE)
        with suppress(LookupError, Cancelled), pace.governor.holding(held):
            fail(error)
    assert pace.governor._in_flight == 0
    pace.send(DELETE, 180)
    assert pace.clock.slept == []


def test_a_permit_is_held_in_its_own_thread_only() -> None:
    pace = Pace()
    held, others = pace.take(DELETE), list[Permit]()
    with pace.governor.holding(held):
        at_once(lambda: others.append(pace.governor.acquire(DELETE)))
        assert others[0] is not held
        assert pace.governor.acquire(DELETE) is held


def test_many_threads_leave_nothing_behind() -> None:
    pace = Pace()
    pace.hear(100_000, limit=100_000)
    permits: list[Permit] = []
    lock = threading.Lock()

    def work(use: Use) -> None:
        for number in range(60):
            permit = pace.governor.acquire(use)
            with lock:
                permits.append(permit)
            passed = number % 20 != 19
            pace.governor.back(permit, passed=passed)
            if not passed:
                pace.governor.refused(permit, {"retry-after": "2"} | SECONDARY)
            pace.governor.heard(budget(4_000 - number, resets_at=9_000))

    at_once(*[lambda use=use: work(use) for use in (READ, DELETE, CREATE, READ) * 4])
    assert len(permits) == 16 * 60
    assert pace.governor._in_flight == pace.governor._writing == 0
    times = sorted((permit.at, permit.use.points) for permit in permits)
    for moment, _ in times:
        assert sum(points for other, points in times if moment - 60 < other <= moment) <= POINTS_A_MINUTE + 16 * 5
