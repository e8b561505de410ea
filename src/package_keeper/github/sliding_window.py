"""A sliding minute: how much was sent in it, how much may be, and what GitHub's rate limits teach about that.

GitHub publishes limits of 900 points and 80 creations of content a minute. There are others that it does not publish,
and all of them are shared with everything else that the user runs (docs/github-behaviour.md, "Limits"). So the limit
here is learned: a rate limit lowers it to just below what passed in the last minute. Then it grows a little with every
minute that used it up, and faster once it is beyond the last rate limit without another one (additive increase,
multiplicative decrease, with a memory).
"""

from collections import deque

SPAN = 60.0
"""Seconds of a window."""
BELOW = 0.95
"""The share of what passed before a rate limit that is sent afterwards."""
CUT = 0.5
"""One rate limit lowers a limit to this share at most: others may have caused it."""
STEP = 0.005
"""The share by which a limit grows in a minute that used it up. It takes more than ten to reach the old limit again."""
BEYOND = 1.02
"""This far above the place of the last rate limit, the cause was temporary, and the step doubles every minute."""


class SlidingWindow:
    """What was spent in the last minute, against a limit that is learned.

    Not safe for threads; the rate limiter holds its lock. `highest` is the published limit, which is never exceeded.
    `suspected` is a limit that may hold or not: the window starts there, and grows as after a rate limit.
    """

    def __init__(self, highest: float, *, suspected: float | None = None, least: float = 1.0) -> None:
        self.highest = highest
        self.limit = highest if suspected is None else suspected
        self._ceiling = suspected
        self._least = least
        self._spent: deque[tuple[float, float]] = deque()
        """When each cost leaves the window, and the cost."""
        self._total = 0.0
        self._in_flight = 0.0
        self._step = STEP
        self._round_ends: float | None = None
        self._was_full = False
        self._learning_until: float | None = None
        """Requests that were sent before this may still pass, and raise the limit that was just lowered."""
        self._lowered_from = highest
        self._any_passed = True

    def wait(self, now: float, cost: float) -> float:
        """Seconds until `cost` more fits; zero means now. Requests in flight count until they end."""
        self._forget(now)
        over = self._total + self._in_flight + cost - self.limit
        if over <= 0:
            return 0.0
        self._was_full = True
        for expires, spent in self._spent:
            over -= spent
            if over <= 0:
                return max(expires - now, 0.001)
        # requests in flight fill the window; they may end any moment
        return 0.05

    def room(self, now: float) -> float:
        """How much fits now."""
        self._forget(now)
        return max(self.limit - self._total - self._in_flight, 0.0)

    @property
    def left(self) -> str:
        """What is left of the limit, for the log: `3 of 900`."""
        return f"{max(self.limit - self._total - self._in_flight, 0.0):.0f} of {self.limit:.0f}"

    def begin(self, now: float, cost: float) -> None:
        """Count a request that is about to be sent."""
        if self._round_ends is None:
            self._round_ends = now + SPAN
        self._in_flight += cost

    def end(self, now: float, cost: float, *, passed: bool, begun: float) -> None:
        """Count a request that ended. GitHub counted it before now, so it leaves the window a minute from now."""
        self._in_flight -= cost
        if not passed:
            return
        self._spent.append((now + SPAN, cost))
        self._total += cost
        self._any_passed = True
        if self._learning_until is not None and begun < self._learning_until:
            self._learn()

    def lower(self, now: float) -> None:
        """Learn from a rate limit: what passed in the last minute is the limit. Requests in flight may still add to it.

        A second rate limit before anything has passed says nothing new.
        """
        self._forget(now)
        self._was_full = False
        self._round_ends = now + SPAN
        if not self._any_passed:
            return
        self._any_passed = False
        self._learning_until = now
        self._lowered_from = self.limit
        self._step = STEP
        self._learn()

    def _learn(self) -> None:
        self._ceiling = max(self._total, self._lowered_from * CUT)
        self.limit = min(max(self._total * BELOW, self._lowered_from * CUT, self._least), self._lowered_from)

    def _forget(self, now: float) -> None:
        while self._spent and self._spent[0][0] <= now:
            self._total -= self._spent.popleft()[1]
        if self._round_ends is not None and now >= self._round_ends:
            if self._was_full and self.limit < self.highest:
                self._grow()
            self._was_full = False
            self._round_ends = now + SPAN if self._spent or self._in_flight else None

    def _grow(self) -> None:
        if self._ceiling is None or self.limit > self._ceiling * BEYOND:
            self._step *= 2
        self.limit = min(self.limit * (1 + self._step), self.highest)
