"""Servers with rate limits in simulated time, and a client that obeys them.

Events are played one after the other, in the order of their moments; nothing here runs in a thread or takes time.
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from package_keeper.github.sliding_window import SPAN, SlidingWindow

PENALTY = 60.0
"""Seconds for which every request is rate-limited after the first, as in the simulator."""


class Server(Protocol):
    """Accepts or rate-limits requests."""

    def takes(self, now: float) -> bool:
        """Judge one request that arrives."""
        ...


@dataclass
class Sliding:
    """Accepts so many requests in any sixty seconds, then none for the penalty."""

    most: int
    penalty: float = PENALTY
    taken: deque[float] = field(default_factory=deque)
    blocked_until: float = 0.0

    def takes(self, now: float) -> bool:
        while self.taken and self.taken[0] <= now - SPAN:
            self.taken.popleft()
        if now < self.blocked_until or len(self.taken) >= self.most:
            self.blocked_until = max(self.blocked_until, now + self.penalty if now >= self.blocked_until else 0.0)
            return False
        self.taken.append(now)
        return True


@dataclass
class Fixed:
    """Accepts so many requests in each minute of its own clock, which is `phase` seconds ahead."""

    most: int
    penalty: float = PENALTY
    phase: float = 0.0
    minute: int = -1
    count: int = 0
    blocked_until: float = 0.0

    def takes(self, now: float) -> bool:
        minute = int((now + self.phase) // SPAN)
        if minute != self.minute:
            self.minute, self.count = minute, 0
        if now < self.blocked_until or self.count >= self.most:
            self.blocked_until = max(self.blocked_until, now + self.penalty if now >= self.blocked_until else 0.0)
            return False
        self.count += 1
        return True


@dataclass
class Course:
    """A run: when the server accepted requests, and when pauses began."""

    taken: list[float] = field(default_factory=list)
    episodes: list[float] = field(default_factory=list)
    limits: list[tuple[float, float]] = field(default_factory=list)

    def taken_between(self, since: float, until: float) -> int:
        return sum(since <= moment < until for moment in self.taken)

    def episodes_between(self, since: float, until: float) -> int:
        return sum(since <= moment < until for moment in self.episodes)

    def most_in_a_minute(self, cost: float = 1.0) -> float:
        """The most that the server took in any sixty seconds."""
        moments, first, most = sorted(self.taken), 0, 0
        for last, moment in enumerate(moments):
            while moments[first] <= moment - SPAN:
                first += 1
            most = max(most, last - first + 1)
        return most * cost


def drive(
    window: SlidingWindow,
    server: Server,
    *,
    seconds: float,
    ways: Sequence[tuple[float, float]] = ((0.05, 0.05),),
    in_flight: int = 20,
    cost: float = 1.0,
    wants: Callable[[float], bool] = lambda _: True,
) -> Course:
    """Send as much as the window lets, for so long. `ways` are how long requests travel there and back, in turns.

    A refusal pauses everybody for as long as the server says, and of one episode only the first is told to the window,
    as the rate_limiter does.
    """
    course, travels, order = Course(), itertools.cycle(ways), itertools.count()
    events: list[tuple[float, int, Callable[[float], None]]] = []
    now, paused_until, refused_at, flying = 0.0, 0.0, -1.0, 0

    def at(moment: float, what: Callable[[float], None]) -> None:
        heapq.heappush(events, (moment, next(order), what))

    def send(begun: float) -> None:
        there, back = next(travels)
        window.begin(begun, cost)
        at(begun + there, lambda arrived: arrive(begun, arrived, back))

    def arrive(begun: float, arrived: float, back: float) -> None:
        passed = server.takes(arrived)
        if passed:
            course.taken.append(arrived)
        at(arrived + back, lambda ended: end(begun, ended, passed=passed))

    def end(begun: float, ended: float, *, passed: bool) -> None:
        nonlocal flying, paused_until, refused_at
        flying -= 1
        window.end(ended, cost, passed=passed, begun=begun)
        if not passed:
            paused_until = max(paused_until, ended + PENALTY)
            if begun > refused_at:
                refused_at = ended
                course.episodes.append(ended)
                window.lower(ended)
                course.limits.append((ended, window.limit))

    while now < seconds:
        wait = max(paused_until - now, 0.0 if wants(now) else 1.0)
        if wait <= 0 and flying < in_flight:
            wait = window.wait(now, cost)
            if wait <= 0:
                flying += 1
                send(now)
                continue
        following = events[0][0] if events else now + max(wait, 0.001)
        now = min(following, now + wait) if wait > 0 else following
        while events and events[0][0] <= now:
            heapq.heappop(events)[2](now)
    return course
