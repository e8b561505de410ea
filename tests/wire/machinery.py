"""What the wire tests share: clocks that do not wait, clients, and scripted servers."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Self

from package_keeper.github.http import HttpClient
from package_keeper.github.pool import Pool
from package_keeper.github.rate_limit import Clock, RateLimiter, RunLimits
from package_keeper.github.rest import PackagesReader, PackagesWriter
from package_keeper.github.retries import Retries
from package_keeper.model.packages import Owner, OwnerType
from tests.simulator import Simulator
from tests.wire.world import TOKEN

START = datetime(2026, 6, 1, 12, tzinfo=UTC)
CLOSE = b""
"""Instead of an answer: the connection is dropped."""
TRICKLE = b"HTTP/1.1 200 Slowly\r\nContent-Length: 1000000\r\n\r\n"
"""The head of an answer whose body comes byte by byte, for hours."""
TRICKLING_HEAD = b"HTTP/1.1 200 Slowly\r\nX-Endless:"
"""The beginning of an answer whose head comes byte by byte, for hours."""


POOL = Pool()
"""The threads of all tests: they have no end, so there are only these."""


@dataclass
class StillClock:
    """Time that passes only where somebody sleeps; threads that sleep at once sleep side by side."""

    slept: list[float] = field(default_factory=list)
    elapsed: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def now(self) -> datetime:
        return START + timedelta(seconds=self.elapsed)

    def monotonic(self) -> float:
        return self.elapsed

    def sleep(self, seconds: float) -> None:
        until = self.elapsed + seconds
        with self.lock:
            self.slept.append(seconds)
            self.elapsed = max(self.elapsed, until)


class SimulatedClock:
    """The time of a simulator that runs as fast as time does; whoever sleeps moves it on for all."""

    def __init__(self, simulator: Simulator) -> None:
        self._clock = simulator.clock
        self._lock = threading.Lock()

    def now(self) -> datetime:
        # the resets in a simulator's headers are moments of its client's own clock, which nobody moves
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return self._clock.elapsed()

    def sleep(self, seconds: float) -> None:
        until = self._clock.elapsed() + seconds
        with self._lock:
            self._clock.advance(max(until - self._clock.elapsed(), 0.0))


class CrewClock(StillClock):
    """Time for so many threads, of its own or a simulator's: it jumps only when all sleep, to where the first wakes.

    So no time passes while a request is under way.
    """

    def __init__(self, pool: int, simulator: Simulator | None = None) -> None:
        super().__init__()
        self._simulator = simulator
        self._awake = pool
        self._asleep: list[tuple[float, int]] = []
        self._tickets = itertools.count()
        self._changed = threading.Condition()

    def now(self) -> datetime:
        return super().now() if self._simulator is None else datetime.now(UTC)

    def monotonic(self) -> float:
        return self.elapsed if self._simulator is None else self._simulator.clock.elapsed()

    def sleep(self, seconds: float) -> None:
        with self._changed:
            ticket = (self.monotonic() + seconds, next(self._tickets))
            self._asleep.append(ticket)
            self._leave()
            while ticket in self._asleep:
                self._changed.wait()

    def leave(self) -> None:
        """One thread has nothing more to do."""
        with self._changed:
            self._leave()

    def _leave(self) -> None:
        self._awake -= 1
        if self._awake or not self._asleep:
            return
        first = min(self._asleep)[0]
        if self._simulator is None:
            self.elapsed = first
        else:
            self._simulator.clock.advance(max(first - self.monotonic(), 0.0))
        still = [ticket for ticket in self._asleep if ticket[0] > first]
        self._awake += len(self._asleep) - len(still)
        self._asleep = still
        self._changed.notify_all()


def clock_of(clock: StillClock | SimulatedClock) -> Clock:
    """The clock as the program takes it."""
    return Clock(clock.now, clock.monotonic, clock.sleep)


def retries(
    clock: StillClock | SimulatedClock,
    say: Callable[[str], None],
    *,
    who: str = "GitHub",
    counts_points: bool = True,
    polite: bool = False,
    deadline: float | None = None,
) -> Retries:
    """Make what a run has for one host: the pace, and what is tried again."""
    run_limits = RunLimits(polite, deadline)
    time = clock_of(clock)
    rate_limiter = RateLimiter(time, tell=say, who=who, counts_points=counts_points, run_limits=run_limits)
    return Retries(rate_limiter, time, say)


@dataclass
class Client:
    """An HTTP client, with a clock that does not wait and everything that it logged."""

    http_client: HttpClient
    clock: StillClock
    said: list[str]

    def reader(self, login: str = "acme", kind: OwnerType = OwnerType.ORGANIZATION) -> PackagesReader:
        return PackagesReader(self.http_client, Owner(login=login, type=kind), POOL)

    def writer(self, login: str = "acme", kind: OwnerType = OwnerType.ORGANIZATION) -> PackagesWriter:
        return PackagesWriter(self.http_client, Owner(login=login, type=kind))


@contextlib.contextmanager
def client(url: str, token: str = TOKEN) -> Iterator[Client]:
    """Make a client, and close its connections in the end."""
    clock, said = StillClock(), list[str]()
    http_client = HttpClient(url, token, retries(clock, said.append))
    try:
        yield Client(http_client, clock, said)
    finally:
        http_client.close()


def answer(status: int, body: bytes = b"", *headers: str) -> bytes:
    """Write an answer as it goes over the wire."""
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", "Content-Type: application/json", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Scripted:
    """A server that gives one scripted answer after the other, then the last one for ever."""

    def __init__(self, answers: Sequence[bytes]) -> None:
        self.answers = list(answers)
        self.requests: list[str] = []
        self.heads: list[str] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._connections: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._serve, daemon=True)]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        for open_one in (self._socket, *self._connections):
            with contextlib.suppress(OSError):
                open_one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(timeout=5)
        self._socket.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                self._connections.append(connection)
                self._threads.append(threading.Thread(target=self._hold, args=(connection,), daemon=True))
                self._threads[-1].start()

    def _hold(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            self._converse(connection)

    def _converse(self, connection: socket.socket) -> None:
        while head := self._head(connection):
            self.heads.append(head)
            self.requests.append(" ".join(head.split()[:2]))
            given = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            connection.sendall(given)
            while given in (TRICKLE, TRICKLING_HEAD):
                connection.sendall(b" ")
                time.sleep(0.02)
            if given == CLOSE or b"\r\n\r\n" not in given or b"connection: close" in given.lower():
                return
            if _promised(given) > len(given.partition(b"\r\n\r\n")[2]):
                return

    def _head(self, connection: socket.socket) -> str:
        data = b""
        while b"\r\n\r\n" not in data:
            more = connection.recv(65_536)
            if not more:
                return ""
            data += more
        return data.decode("latin-1")


def _promised(given: bytes) -> int:
    for line in given.partition(b"\r\n\r\n")[0].lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0
