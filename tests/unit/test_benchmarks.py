"""The yardstick itself: the bound and the share of a limit, where both can be worked out by hand."""

import pytest

from tests.benchmarks.bounds import Stage, bound, earliest_end, steady


def test_what_waits_for_nothing_is_requests_by_places_by_latency() -> None:
    found = bound([Stage(2, 1), Stage(98, 0)], 0.05)
    assert found.plain == pytest.approx(100 / 20 * 0.05)
    assert found.ordered == pytest.approx(0.05 + 5 * 0.05)


def test_the_window_of_points_holds_an_ideal_sender_up() -> None:
    pages, deletions = Stage(10, 1), Stage(500, 5)
    # 10 pages and 178 deletions fit into the first minute, 180 deletions into the second
    assert earliest_end([pages, deletions], 0.0, None) == pytest.approx(120.0, abs=0.01)
    assert earliest_end([Stage(178, 5), pages], 0.0) == 0.0
    assert earliest_end([Stage(179, 5), pages], 0.0) == pytest.approx(60.0, abs=0.01)


def test_a_steady_run_is_judged_after_its_search() -> None:
    deletions = [float(second) for second in range(600)]
    found = steady(deletions, [30.0, 31.0, 400.0])
    # until 599 s, after five minutes: four whole windows
    assert (found.windows, found.deletes, found.fewest) == (4, 60.0, 60)
    assert (found.refusals, found.trips) == (1, 1)


def test_five_trips_end_the_search_early() -> None:
    deletions = [float(second) for second in range(0, 600, 2)]
    found = steady(deletions, [1.0, 2.0, 61.0, 121.0, 181.0, 241.0])
    assert (found.windows, found.deletes, found.refusals) == (5, 30.0, 0)


def test_a_run_that_ends_while_it_searches_shows_nothing() -> None:
    assert steady([0.0, 100.0], []).windows == 0
