"""A sliding minute: how much was sent in it, how much may be, and what refusals teach about that.

GitHub's published limits are 900 points and 80 creations of content a minute; others are undisclosed and shared with
everything else that the user runs (docs/github-behaviour.md, "Limits"). So a limit is what was last found to pass: a
refusal cuts it to just below that, then it grows by a little with every minute that used it up, and faster once it has
passed the place of the refusal without another one (additive increase, multiplicative decrease, with a memory).
"""

from collections import deque

SPAN = 60.0
"""Seconds of a window."""
BELOW = 0.95
"""Of what passed before a refusal is sent afterwards."""
CUT = 0.5
"""A refusal never cuts a limit deeper than this at once: it may have been the fault of others."""
STEP = 0.005
"""By so much of itself a limit grows in a minute that used it up: more than ten such minutes lead back to a refusal."""
BEYOND = 1.02
"""So far above the place of the last refusal it was none that lasts, and the step doubles every minute."""


class SlidingWindow:
    """What was spent in the last minute, in units of cost, against a limit that is learned.

    Not safe for threads; the rate limiter holds its lock. `highest` is the published limit, which is never exceeded.
    `suspected` is one that may hold or not: the limit starts there, and grows as after a refusal.
    """

    def __init__(self, highest: float, *, suspected: float | None = None, least: float = 1.0) -> None:
        self.highest = highest
        self.limit = highest if suspected is None else suspected
        self._ceiling = suspected
        self._least = least
        self._spent: deque[tuple[float, float]] = deque()
        self._total = 0.0
        self._under_way = 0.0
        self._step = STEP
        self._round_ends: float | None = None
        self._was_full = False
        self._learning_until: float | None = None
        self._cut_from = highest
        self._any_passed = True

    def wait(self, now: float, cost: float) -> float:
        """Seconds until `cost` more fits; zero is at once. What is under way is counted until it has come back."""
        self._forget(now)
        over = self._total + self._under_way + cost - self.limit
        if over <= 0:
            return 0.0
        self._was_full = True
        for expires, spent in self._spent:
            over -= spent
            if over <= 0:
                return max(expires - now, 0.001)
        # what is under way fills it: that may be back any moment, and leaves a minute later
        return 0.05

    def room(self, now: float) -> float:
        """How much fits now."""
        self._forget(now)
        return max(self.limit - self._total - self._under_way, 0.0)

    @property
    def left(self) -> str:
        """What is left of the limit, as people read it: `3 of 900`."""
        return f"{max(self.limit - self._total - self._under_way, 0.0):.0f} of {self.limit:.0f}"

    def begin(self, now: float, cost: float) -> None:
        """Count a request that is about to be sent."""
        if self._round_ends is None:
            self._round_ends = now + SPAN
        self._under_way += cost

    def end(self, now: float, cost: float, *, passed: bool, begun: float) -> None:
        """Count a request that came back: it leaves the window a minute from now, for it was counted before that."""
        self._under_way -= cost
        if not passed:
            return
        self._spent.append((now + SPAN, cost))
        self._total += cost
        self._any_passed = True
        if self._learning_until is not None and begun < self._learning_until:
            self._learn()

    def refuse(self, now: float) -> None:
        """GitHub said no: what passed in the last minute is the limit. What is still under way may add to that.

        Where nothing has passed since it said so before, the second refusal says nothing new about the limit.
        """
        self._forget(now)
        self._was_full = False
        self._round_ends = now + SPAN
        if not self._any_passed:
            return
        self._any_passed = False
        self._learning_until = now
        self._cut_from = self.limit
        self._step = STEP
        self._learn()

    def _learn(self) -> None:
        self._ceiling = max(self._total, self._cut_from * CUT)
        self.limit = min(max(self._total * BELOW, self._cut_from * CUT, self._least), self._cut_from)

    def _forget(self, now: float) -> None:
        while self._spent and self._spent[0][0] <= now:
            self._total -= self._spent.popleft()[1]
        if self._round_ends is not None and now >= self._round_ends:
            if self._was_full and self.limit < self.highest:
                self._grow()
            self._was_full = False
            self._round_ends = now + SPAN if self._spent or self._under_way else None

    def _grow(self) -> None:
        if self._ceiling is None or self.limit > self._ceiling * BEYOND:
            self._step *= 2
        self.limit = min(self.limit * (1 + self._step), self.highest)
