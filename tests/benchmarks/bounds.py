"""The earliest end that anyone could reach: an ideal sender, played through against the simulator's own window.

It has no start-up, needs no CPU time and knows all limits. Times are simulated seconds.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

from tests.simulator.limits import Window

IN_FLIGHT = 20
POINTS = 900
"""GitHub's published points a minute; a GET has one, a DELETE five, the registry's requests none."""
MOMENT = 1e-6
"""Seconds; keeps rounding from stopping the clock where an entry is about to leave the window."""


@dataclass(frozen=True)
class Stage:
    """Requests that need no answer of one another, but those of the stage before."""

    requests: int
    points: int


def earliest_end(stages: Sequence[Stage], latency: float, in_flight: int | None = IN_FLIGHT) -> float:
    """Send every request at the earliest moment that answers, places in calls and points allow."""
    window, begin = Window(), 0.0
    for stage in stages:
        ends: list[float] = []
        start = last = begin
        for _ in range(stage.requests):
            if in_flight is not None and len(ends) >= in_flight:
                start = max(start, heapq.heappop(ends))
            while not window.fits(start, stage.points, POINTS):
                start += window.wait(start) + MOMENT
            window.add(start, stage.points)
            heapq.heappush(ends, start + latency)
            last = max(last, start + latency)
        begin = last
    return begin


@dataclass(frozen=True, kw_only=True)
class Bound:
    """Two bounds of one case, in simulated seconds."""

    plain: float
    """Requests ÷ 20 in calls times latency, or the window of points where that takes longer; in no order."""
    ordered: float
    """The same, but what needs an answer is sent after it: the owner, the package, pages, manifests, deletions."""


def bound(stages: Sequence[Stage], latency: float) -> Bound:
    """Compute both bounds."""
    requests = sum(stage.requests for stage in stages)
    at_once = [Stage(1, stage.points) for stage in stages for _ in range(stage.requests)]
    return Bound(
        plain=max(requests / IN_FLIGHT * latency, earliest_end(at_once, 0.0) + latency),
        ordered=earliest_end(stages, latency),
    )


@dataclass(frozen=True, kw_only=True)
class Steady:
    """How a run kept to a limit once it had found it."""

    windows: int
    """Whole minutes between the end of the search and the last deletion."""
    deletes: float
    """Deletions a minute, on average."""
    fewest: int
    refusals: int
    trips: int
    """Refusals, of which those within one minute of the first are one trip over the limit."""


SEARCH_WINDOWS, SEARCH_TRIPS, MINUTE = 5, 5, 60.0


def steady(deleted: Sequence[float], refused: Sequence[float]) -> Steady:
    """Tell how a run went on after five minutes of deletions or five trips over the limit, whichever came first."""
    trips: list[float] = []
    for at in refused:
        if not trips or at >= trips[-1] + MINUTE:
            trips.append(at)
    begin = min([deleted[0] + SEARCH_WINDOWS * MINUTE, *trips[SEARCH_TRIPS - 1 : SEARCH_TRIPS]])
    windows = int((deleted[-1] - begin) // MINUTE)
    if windows < 1:
        return Steady(windows=0, deletes=0.0, fewest=0, refusals=len(refused), trips=len(trips))
    end = begin + windows * MINUTE
    counts = [0] * windows
    for at in deleted:
        if begin <= at < end:
            counts[int((at - begin) // MINUTE)] += 1
    return Steady(
        windows=windows,
        deletes=sum(counts) / windows,
        fewest=min(counts),
        refusals=sum(begin < at < end for at in refused),
        trips=sum(begin < at < end for at in trips),
    )
