"""A rate limiter in simulated time, and what it logged."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from package_keeper.github.rate_limit import Permit, RateLimiter, RunLimits, Use
from package_keeper.github.retries import Retries
from tests.wire.machinery import START, StillClock, clock_of


@dataclass
class Pace:
    """A rate limiter with its clock; `told` is what it logged."""

    polite: bool = False
    deadline: float | None = None
    counts_points: bool = True
    clock: StillClock = field(default_factory=StillClock)
    told: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        clock = clock_of(self.clock)
        self.rate_limiter = RateLimiter(
            clock,
            tell=self.told.append,
            counts_points=self.counts_points,
            run_limits=RunLimits(self.polite, self.deadline),
        )
        self.retries = Retries(self.rate_limiter, clock, self.told.append)

    def wait(self, use: Use) -> float:
        """The seconds until a request may go; a permit that is given is released."""
        found = self.rate_limiter.admit(use)
        if isinstance(found, Permit):
            self.rate_limiter.release(found, passed=False)
            return 0.0
        return found

    def take(self, use: Use) -> Permit:
        """A permit that must be given at once."""
        found = self.rate_limiter.admit(use)
        assert isinstance(found, Permit), f"{use} has to wait for {found} s"
        return found

    def send(self, use: Use, count: int = 1, seconds: float = 0.0) -> None:
        """Send requests one after the other, which all pass; each takes so many seconds."""
        for _ in range(count):
            permit = self.rate_limiter.acquire(use)
            self.clock.elapsed += seconds
            self.rate_limiter.release(permit, passed=True)

    def refuse(self, use: Use = Use.DELETE, headers: Mapping[str, str] | None = None) -> None:
        """Send a request that is rate-limited."""
        permit = self.rate_limiter.acquire(use)
        self.rate_limiter.release(permit, passed=False)
        self.rate_limiter.note_limit(permit, headers or {})

    def hear(self, remaining: int, *, limit: int = 5_000, resets_in: float = 600.0) -> None:
        """Give the limiter an answer with the headers of the primary budget."""
        self.rate_limiter.note_headers(budget(remaining, limit=limit, resets_at=self.clock.elapsed + resets_in))


def budget(remaining: int, *, limit: int = 5_000, resets_at: float) -> dict[str, str]:
    """The headers of the primary budget; `resets_at` in seconds of the clock."""
    return {
        "x-ratelimit-limit": str(limit),
        "x-ratelimit-remaining": str(remaining),
        "x-ratelimit-reset": str(int(START.timestamp() + resets_at)),
    }


def at_once(*calls: Callable[[], object]) -> None:
    """Run each call in a thread, and wait for all."""
    threads = [threading.Thread(target=call, daemon=True) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
        assert not thread.is_alive()
