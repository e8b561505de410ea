"""Both rate limits as real windows, and the registry's own (docs/github-behaviour.md, "Limits" and "Registry")."""

from __future__ import annotations

import math
import threading
from collections import Counter, deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from . import wire
from .wire import LIMIT_DOCUMENTATION, Refusal, Request

if TYPE_CHECKING:
    from .clock import Clock

MINUTE = 60.0


class Window:
    """Points counted over the last minute of simulated time."""

    def __init__(self) -> None:
        self.total = 0
        self._entries: deque[tuple[float, int]] = deque()

    def _forget(self, now: float) -> None:
        entries, horizon = self._entries, now - MINUTE
        while entries and entries[0][0] <= horizon:
            self.total -= entries.popleft()[1]

    def fits(self, now: float, points: int, limit: int | None) -> bool:
        """Tell whether so many points more are still within the limit."""
        self._forget(now)
        return limit is None or self.total + points <= limit

    def add(self, now: float, points: int) -> None:
        """Count points."""
        self._entries.append((now, points))
        self.total += points

    def wait(self, now: float) -> float:
        """Tell how long until the oldest entry leaves the window."""
        return self._entries[0][0] + MINUTE - now if self._entries else 0.0


@dataclass(frozen=True, slots=True)
class Settings:
    """What is allowed, in simulated time."""

    enabled: bool = True
    primary: int | None = None
    """Requests a window and token; ``None``: 5,000, for ``GITHUB_TOKEN`` 1,000."""
    primary_window: float = 3600.0
    points_per_minute: int | None = 900
    concurrent: int | None = 100
    hidden_deletes_per_minute: int | None = None
    content_creation_per_minute: int | None = None
    retry_after: bool = True
    status: int = 403
    penalty: float = 60.0
    """How long everything is refused once a secondary limit was hit."""
    registry_reads_per_minute: int | None = 44_000
    registry_writes_per_minute: int | None = 2_000
    registry_retry_after: bool = False


class Limits:
    """Counts requests and refuses those beyond a limit."""

    def __init__(self, clock: Clock) -> None:
        self.settings = Settings()
        self.refusals: Counter[str] = Counter()
        """How often each limit refused: primary, points, concurrent, deletes, creation, penalty, registry."""
        self.peak = 0
        """The most REST requests ever in flight at once."""
        self._clock = clock
        self._lock = threading.Lock()
        self._in_flight = 0
        self._blocked_until = 0.0
        self._primary: dict[str, tuple[float, int]] = {}
        self._windows = {name: Window() for name in ("points", "deletes", "creation", "reads", "writes")}

    def configure(self, **settings: Any) -> None:
        """Change what is allowed: the fields of ``Settings`` by name; counting starts anew."""
        with self._lock:
            self.settings = replace(self.settings, **settings)
            self._blocked_until = 0.0
            self._primary.clear()
            self._windows = {name: Window() for name in self._windows}

    @property
    def in_flight(self) -> int:
        """How many REST requests are under way."""
        return self._in_flight

    def enter(self) -> int:
        """Note a REST request that begins; tell how many there are now."""
        with self._lock:
            self._in_flight += 1
            self.peak = max(self.peak, self._in_flight)
            return self._in_flight

    def leave(self) -> None:
        """Note a REST request that ends."""
        with self._lock:
            self._in_flight -= 1

    def admit(self, request: Request, token: str, kind: str, in_flight: int, free: bool) -> None:
        """Count a REST request, or refuse it; ``free`` ones cost nothing of the primary limit."""
        settings = self.settings
        if not settings.enabled:
            return
        with self._lock:
            now = self._clock.elapsed()
            self._secondary(request, now, in_flight)
            limit = self._primary_limit(kind)
            ends, used = self._primary.get(token, (0.0, 0))
            if now >= ends:
                ends, used = now + settings.primary_window, 0
            if not free and used >= limit:
                self._primary[token] = (ends, used)
                self.refusals["primary"] += 1
                message = wire.PRIMARY_LIMIT.format(user=1, request_id=request_id(request))
                raise Refusal(settings.status, message, documentation_url=LIMIT_DOCUMENTATION)
            self._primary[token] = (ends, used if free else used + 1)
            self._count(request, now)

    def refund(self, token: str) -> None:
        """Give a request back: a 304 is free of the primary limit."""
        with self._lock:
            ends, used = self._primary.get(token, (0.0, 0))
            self._primary[token] = (ends, max(0, used - 1))

    def status(self, token: str, kind: str) -> dict[str, int]:
        """Tell limit, used, remaining and reset of the primary limit, as ``/rate_limit`` does."""
        with self._lock:
            now = self._clock.elapsed()
            ends, used = self._primary.get(token, (0.0, 0))
            if now >= ends:
                ends, used = now + self.settings.primary_window, 0
            limit = self._primary_limit(kind)
            reset = math.ceil(self._clock.real_epoch(ends))
            return {"limit": limit, "used": used, "remaining": max(0, limit - used), "reset": reset}

    def headers(self, token: str, kind: str) -> dict[str, str]:
        """Build the headers that every REST answer carries, none where rate limiting is off."""
        if not self.settings.enabled:
            return {}
        status = {f"x-ratelimit-{name}": str(value) for name, value in self.status(token, kind).items()}
        status["x-ratelimit-resource"] = "core"
        return status

    def admit_registry(self, write: bool) -> None:
        """Count a registry request, or refuse it with a wait in milliseconds in the message."""
        settings = self.settings
        limit = settings.registry_writes_per_minute if write else settings.registry_reads_per_minute
        if limit is None or not settings.enabled:
            return
        with self._lock:
            now = self._clock.elapsed()
            window = self._windows["writes" if write else "reads"]
            if window.fits(now, 1, limit):
                window.add(now, 1)
                return
            self.refusals["registry"] += 1
            wait = self._clock.real_seconds(window.wait(now))
        headers = {"retry-after": str(math.ceil(wait))} if settings.registry_retry_after else {}
        raise Refusal(429, f"retry-after: {wait * 1000:.6f}ms, allowed: {limit}/minute", headers)

    def _primary_limit(self, kind: str) -> int:
        if self.settings.primary is not None:
            return self.settings.primary
        return {"actions": 1_000, "": 60}.get(kind, 5_000)

    def _secondary(self, request: Request, now: float, in_flight: int) -> None:
        settings, windows = self.settings, self._windows
        points = _points(request)
        if now < self._blocked_until:
            broken = "penalty"
        elif settings.concurrent is not None and in_flight > settings.concurrent:
            broken = "concurrent"
        elif not windows["points"].fits(now, points, settings.points_per_minute):
            broken = "points"
        elif request.method == "DELETE" and not windows["deletes"].fits(now, 1, settings.hidden_deletes_per_minute):
            broken = "deletes"
        elif request.method == "POST" and not windows["creation"].fits(now, 1, settings.content_creation_per_minute):
            broken = "creation"
        else:
            return
        self.refusals[broken] += 1
        if broken != "penalty":
            self._blocked_until = now + settings.penalty
        wait = math.ceil(self._clock.real_seconds(self._blocked_until - now))
        headers = {"retry-after": str(max(1, wait))} if settings.retry_after else {}
        message = wire.SECONDARY_LIMIT.format(request_id=request_id(request))
        raise Refusal(settings.status, message, headers, LIMIT_DOCUMENTATION)

    def _count(self, request: Request, now: float) -> None:
        self._windows["points"].add(now, _points(request))
        if request.method == "DELETE":
            self._windows["deletes"].add(now, 1)
        elif request.method == "POST":
            self._windows["creation"].add(now, 1)


def request_id(request: Request) -> str:
    """Make up the id that GitHub gives every request."""
    return f"SIM0:{request.sequence:06X}"


def _points(request: Request) -> int:
    return 1 if request.method in ("GET", "HEAD", "OPTIONS") else 5
