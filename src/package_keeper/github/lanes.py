"""Requests side by side: calls that run in threads of their own, and come back in the order in which they end.

Threads live here alone. Whoever starts calls stays in his one thread, and takes results there. The threads are
daemons: a run that is cut off does not wait for an answer that never comes.
"""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from package_keeper.github.governor import MOST_IN_FLIGHT, Governor

_K = TypeVar("_K")
_T = TypeVar("_T")


@dataclass(frozen=True)
class Landed(Generic[_K, _T]):
    """A call that came back: its key, and what it gives or raises."""

    key: _K
    value: _T | None
    error: BaseException | None

    def result(self) -> _T:
        """What the call gave; raises what it raised."""
        if self.error is not None:
            raise self.error
        return self.value  # type: ignore[return-value]  # reason: without an error it is what the call gave


class Lanes:
    """Threads, as many as are needed at once, and never more than `MOST_IN_FLIGHT`."""

    def __init__(self) -> None:
        self._work: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._idle = 0

    def run(self, work: Callable[[], None]) -> None:
        """Run `work` in a thread; it raises nothing."""
        with self._lock:
            if self._idle:
                self._idle -= 1
            elif self._threads < MOST_IN_FLIGHT:
                self._threads += 1
                threading.Thread(target=self._live, daemon=True).start()
        self._work.put(work)

    def all(self, keys: Iterable[_K], call: Callable[[_K], _T], governor: Governor) -> dict[_K, _T]:
        """Call for every key, as many at once as `governor` lets; the results stand in the order of `keys`.

        Raises what the first failing call raises.
        """
        wanted = list(keys)
        found: dict[_K, _T] = {}
        flight: Flight[_K, _T] = Flight(self, governor)
        waiting = iter(wanted)
        while True:
            while flight.room and (key := next(waiting, None)) is not None:
                flight.start(key, lambda key=key: call(key))  # type: ignore[misc]  # reason: bound for each key
            if not flight.under_way:
                return {key: found[key] for key in wanted}
            for landed in flight.landed():
                found[landed.key] = landed.result()

    def _live(self) -> None:
        while True:
            self._work.get()()
            with self._lock:
                self._idle += 1


class Flight(Generic[_K, _T]):
    """Calls that somebody has under way."""

    def __init__(self, lanes: Lanes, governor: Governor) -> None:
        self._lanes = lanes
        self._governor = governor
        self._landed: SimpleQueue[Landed[_K, _T]] = SimpleQueue()
        self.under_way: set[_K] = set()

    @property
    def room(self) -> int:
        """How many more calls may be started now."""
        return max(self._governor.width - len(self.under_way), 0)

    def start(self, key: _K, call: Callable[[], _T]) -> None:
        """Start a call."""
        self.under_way.add(key)

        def work() -> None:
            try:
                landed = Landed(key, call(), None)
            except BaseException as error:  # noqa: BLE001  # reason: it is raised where the result is taken
                landed = Landed(key, None, error)
            self._landed.put(landed)

        self._lanes.run(work)

    def landed(self, seconds: float | None = None) -> list[Landed[_K, _T]]:
        """Wait until a call came back, at most so many seconds, and give all that did."""
        found: list[Landed[_K, _T]] = []
        try:
            found.append(self._landed.get(timeout=seconds))
            while True:
                found.append(self._landed.get_nowait())
        except Empty:
            pass
        for each in found:
            self.under_way.discard(each.key)
        return found
