"""The sliding minute: below the published limit, just below a hidden one, and back up after a temporary one."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from package_keeper.github.sliding_window import BELOW, CUT, SPAN, STEP, SlidingWindow
from tests.unit.github.servers import Fixed, Server, Sliding, drive

MINUTE = 60.0
WARM = 30 * MINUTE
"""By then the place of a hidden limit is known, however far below the published one it is."""
MEASURED = 60 * MINUTE


def ways_of(slowest: float) -> st.SearchStrategy[list[tuple[float, float]]]:
    """How long requests travel there and back, in turns; `slowest` is both together at most."""
    way = st.floats(0.001, slowest / 2)
    return st.lists(st.tuples(way, way), min_size=1, max_size=7)


class Endless:
    """A server without limits."""

    def takes(self, now: float) -> bool:
        return True


class Others:
    """A server whose limit others use up at certain times."""

    def __init__(self, most: int, *times: tuple[float, float]) -> None:
        self.own = Sliding(most)
        self.times = times

    def takes(self, now: float) -> bool:
        return not any(since <= now < until for since, until in self.times) and self.own.takes(now)


@given(
    highest=st.integers(1, 200),
    cost=st.sampled_from([1.0, 5.0]),
    in_flight=st.integers(1, 40),
    ways=ways_of(50.0),
)
def test_no_sixty_seconds_exceed_the_published_limit(
    highest: int, cost: float, in_flight: int, ways: list[tuple[float, float]]
) -> None:
    window = SlidingWindow(highest * cost)
    course = drive(window, Endless(), seconds=5 * MINUTE, ways=ways, in_flight=in_flight, cost=cost)
    assert course.most_in_a_minute(cost) <= highest * cost
    assert course.taken


@given(hidden=st.integers(1, 180), ways=ways_of(8.0), fixed=st.booleans(), suspected=st.sampled_from([None, 80.0]))
def test_the_published_limit_holds_whatever_was_learned(
    hidden: int, ways: list[tuple[float, float]], fixed: bool, suspected: float | None
) -> None:
    window = SlidingWindow(180.0, suspected=suspected)
    server: Server = Fixed(hidden) if fixed else Sliding(hidden)
    course = drive(window, server, seconds=40 * MINUTE, ways=ways)
    assert course.most_in_a_minute() <= 180
    assert 1.0 <= window.limit <= 180.0


def test_every_minute_uses_the_whole_limit() -> None:
    for ways in ([(0.02, 0.03)], [(0.5, 0.5)], [(0.05, 0.05), (3.0, 0.1), (0.1, 1.0)]):
        longest = max(there + back for there, back in ways)
        course = drive(SlidingWindow(180.0), Sliding(180), seconds=MEASURED, ways=ways)
        assert course.episodes == []
        assert len(course.taken) >= 0.97 * 180 * MEASURED / (SPAN + longest)


SLOWEST = 1.0


@given(
    hidden=st.integers(5, 179),
    ways=ways_of(SLOWEST),
    phase=st.none() | st.floats(0.0, 59.0),
    in_flight=st.integers(15, 40),
)
def test_a_hidden_limit_is_found_and_then_not_exceeded(
    hidden: int, ways: list[tuple[float, float]], phase: float | None, in_flight: int
) -> None:
    server: Server = Sliding(hidden) if phase is None else Fixed(hidden, phase=phase)
    course = drive(SlidingWindow(180.0), server, seconds=WARM + MEASURED, ways=ways, in_flight=in_flight)
    minutes = MEASURED / MINUTE
    # the measure may begin and end within a pause; of a small limit a part of one request is much
    whole = 0.9 * hidden * (minutes - 1) - (minutes if hidden < 30 else 0)
    assert course.taken_between(WARM, WARM + MEASURED) >= whole
    assert course.episodes_between(WARM, WARM + MEASURED) <= minutes / 10
    # halved until it is found; then once in ten minutes
    assert course.episodes_between(0, WARM) <= math.log2(180 / hidden) + 2 + WARM / MINUTE / 10


@pytest.mark.parametrize("server", [Sliding(60), Fixed(60), Fixed(60, phase=31.0)], ids=["sliding", "fixed", "shifted"])
def test_a_hidden_limit_of_sixty_is_found_in_a_few_minutes(server: Server) -> None:
    course = drive(SlidingWindow(180.0), server, seconds=90 * MINUTE)
    assert course.episodes_between(0, 10 * MINUTE) <= 3
    for hour in (10 * MINUTE, 30 * MINUTE):
        assert course.taken_between(hour, hour + MEASURED) >= 0.9 * 60 * 60
        assert course.episodes_between(hour, hour + MEASURED) <= 6


def test_a_slow_server_costs_no_more_than_its_own_time() -> None:
    for server in (Sliding(60), Fixed(60, phase=41.0)):
        course = drive(SlidingWindow(180.0), server, seconds=WARM + MEASURED, ways=[(2.0, 1.0)])
        slow = SPAN / (SPAN + 3.0)
        assert course.taken_between(WARM, WARM + MEASURED) >= 0.9 * 60 * slow * MEASURED / MINUTE


@given(
    after=st.floats(30.0, 600.0),
    seconds=st.floats(0.5, 20.0),
    ways=ways_of(SLOWEST),
)
def test_a_rate_limit_that_others_caused_is_forgotten(
    after: float, seconds: float, ways: list[tuple[float, float]]
) -> None:
    window = SlidingWindow(180.0)
    course = drive(window, Others(180, (after, after + seconds)), seconds=after + 40 * MINUTE, ways=ways)
    assert all(limit >= 180 * CUT for _, limit in course.limits)
    assert window.limit == pytest.approx(180.0)
    cost = 180 * 40 - course.taken_between(after, after + 40 * MINUTE)
    # a minute of pause, and about ten minutes of going half as fast
    assert cost < 20 * 180


def test_the_limit_is_what_passed_before_a_rate_limit() -> None:
    window = SlidingWindow(180.0)
    for number in range(100):
        window.begin(number / 10, 1.0)
        window.end(number / 10 + 0.05, 1.0, passed=True, begun=number / 10)
    window.lower(10.0)
    assert window.limit == 100 * BELOW
    assert window.wait(10.0, 1.0) > 0


def test_requests_in_flight_at_a_rate_limit_count_when_they_pass() -> None:
    window = SlidingWindow(180.0)
    for _ in range(120):
        window.begin(0.0, 1.0)
    for _ in range(100):
        window.end(1.0, 1.0, passed=True, begun=0.0)
    window.end(1.5, 1.0, passed=False, begun=0.0)
    window.lower(1.5)
    assert window.limit == 100 * BELOW
    for _ in range(10):
        window.end(2.0, 1.0, passed=True, begun=0.0)
    assert window.limit == 110 * BELOW
    for _ in range(9):
        window.end(2.5, 1.0, passed=False, begun=0.0)
    assert window.limit == 110 * BELOW
    window.begin(62.1, 1.0)
    window.end(63.0, 1.0, passed=True, begun=62.1)
    assert window.limit == 110 * BELOW, "what began after the refusal teaches nothing about it"


def test_a_rate_limit_lowers_the_limit_to_half_at_most() -> None:
    window = SlidingWindow(180.0)
    window.lower(5.0)
    assert window.limit == 180 * CUT
    window.lower(50.0)
    assert window.limit == 180 * CUT, "nothing passed in between, so nothing more is known"
    for second in range(100, 2_000, 100):
        window.begin(float(second), 1.0)
        window.end(float(second), 1.0, passed=True, begun=float(second))
        window.lower(float(second))
    assert window.limit == 1.0
    assert window.wait(5_000.0, 1.0) == 0.0


def test_the_limit_grows_only_after_a_minute_that_used_it_up() -> None:
    idle = SlidingWindow(180.0, suspected=80.0)
    for minute in range(30):
        now = minute * 61.0
        assert idle.wait(now, 1.0) == 0.0
        idle.begin(now, 1.0)
        idle.end(now + 1, 1.0, passed=True, begun=now)
    assert idle.limit == 80.0

    busy = SlidingWindow(180.0, suspected=80.0)
    course = drive(busy, Endless(), seconds=61.5)
    assert busy.limit == 80.0 * (1 + STEP)
    assert course.taken_between(0, 60.0) == 80


def test_a_suspected_limit_that_does_not_exist_is_exceeded_soon() -> None:
    window = SlidingWindow(180.0, suspected=80.0)
    course = drive(window, Sliding(180), seconds=30 * MINUTE)
    assert window.limit == 180.0
    assert course.episodes == []


def test_a_suspected_limit_that_exists_is_not_exceeded() -> None:
    course = drive(SlidingWindow(180.0, suspected=80.0), Sliding(80), seconds=2 * MEASURED)
    assert course.taken_between(0, 2 * MEASURED) >= 0.9 * 80 * 2 * MEASURED / MINUTE
    assert course.episodes_between(0, 2 * MEASURED) <= 2 * MEASURED / MINUTE / 10


@given(spent=st.lists(st.floats(0.0, 50.0), min_size=1, max_size=30), cost=st.sampled_from([1.0, 5.0]))
def test_after_the_wait_that_it_names_there_is_room(spent: list[float], cost: float) -> None:
    window = SlidingWindow(30.0)
    now = 0.0
    for moment in sorted(spent):
        now = max(now, moment)
        now += window.wait(now, cost)
        assert window.wait(now, cost) == 0.0
        window.begin(now, cost)
        window.end(now + 0.5, cost, passed=True, begun=now)
        now += 0.5


def test_while_requests_in_flight_fill_the_window_the_wait_is_short() -> None:
    window = SlidingWindow(2.0)
    window.begin(0.0, 1.0)
    window.begin(0.0, 1.0)
    assert 0 < window.wait(100.0, 1.0) <= 0.1
    window.end(100.0, 1.0, passed=False, begun=0.0)
    assert window.wait(100.0, 1.0) == 0.0
