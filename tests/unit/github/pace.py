"""A rate_limiter in made-up time, and what it said."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from package_keeper.github.rate_limit import Permit, RateLimiter, RunLimits, Use
from package_keeper.github.retries import Retries
from tests.wire.machinery import START, StillClock


@dataclass
class Pace:
    """A rate_limiter with its clock; `warned` and `told` are its words."""

    polite: bool = False
    deadline: float | None = None
    counts_points: bool = True
    clock: StillClock = field(default_factory=StillClock)
    warned: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rate_limiter = RateLimiter(
            self.clock,
            warn=self.warned.append,
            tell=self.told.append,
            counts_points=self.counts_points,
            run_limits=RunLimits(self.polite, self.deadline),
        )
        self.retries = Retries(self.rate_limiter, self.clock, self.warned.append)

    def wait(self, use: Use) -> float:
        """The seconds until a request may go; a permit that is given is given back."""
        found = self.rate_limiter.admit(use)
        if isinstance(found, Permit):
            self.rate_limiter.back(found, passed=False)
            return 0.0
        return found

    def take(self, use: Use) -> Permit:
        """A permit that must be given at once."""
        found = self.rate_limiter.admit(use)
        assert isinstance(found, Permit), f"{use} has to wait for {found} s"
        return found

    def send(self, use: Use, count: int = 1, seconds: float = 0.0) -> None:
        """Send requests one after the other, and have them pass; each takes so long."""
        for _ in range(count):
            permit = self.rate_limiter.acquire(use)
            self.clock.elapsed += seconds
            self.rate_limiter.back(permit, passed=True)

    def refuse(self, use: Use = Use.DELETE, headers: Mapping[str, str] | None = None) -> None:
        """Send a request, and have it refused by a limit."""
        permit = self.rate_limiter.acquire(use)
        self.rate_limiter.back(permit, passed=False)
        self.rate_limiter.refused(permit, headers or {})

    def hear(self, remaining: int, *, limit: int = 5_000, resets_in: float = 600.0) -> None:
        """Hear the headers of an answer about the primary budget."""
        self.rate_limiter.heard(budget(remaining, limit=limit, resets_at=self.clock.elapsed + resets_in))


def budget(remaining: int, *, limit: int = 5_000, resets_at: float) -> dict[str, str]:
    """The headers of the primary budget; `resets_at` in seconds of the clock."""
    return {
        "x-ratelimit-limit": str(limit),
        "x-ratelimit-remaining": str(remaining),
        "x-ratelimit-reset": str(int(START.timestamp() + resets_at)),
    }


def at_once(*calls: Callable[[], object]) -> None:
    """Run calls in threads of their own, to their ends."""
    threads = [threading.Thread(target=call, daemon=True) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
        assert not thread.is_alive()
