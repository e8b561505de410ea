"""Writes side by side without threads: they happen, and come back, in an order that a seed chooses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import inf
from random import Random

from msgspec import Struct, field

from package_keeper.execution.results import SendResult


class Permit(Struct, frozen=True):
    """Permit to send one write."""

    at: float = 0.0


class WritePool(Struct, dict=True):
    """Up to `width` writes are under way at once; `most` is how many may begin until the time is over."""

    width: int = 1
    seed: int = 0
    most: int | None = None
    waiting: dict[int, Callable[[], SendResult]] = field(default_factory=dict)
    widest: int = 0
    begun: list[int] = field(default_factory=list)
    winds_up: bool = False
    returned: list[Permit] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = Random(self.seed)

    @property
    def in_flight(self) -> set[int]:
        return set(self.waiting)

    @property
    def is_over(self) -> bool:
        return self.most is not None and len(self.begun) >= self.most

    def wind_up(self) -> None:
        self.winds_up = True

    def admit(self, *, restores: bool, more: int = 0) -> Permit | float:
        del restores
        return Permit() if len(self.waiting) + more < self.width else 0.1

    def room(self, *, restores: bool) -> float:
        del restores
        return inf

    def wait(self, *, restores: bool) -> float:
        del restores
        return 0.0

    def start(self, key: int, leave: Permit, call: Callable[[Permit], SendResult]) -> None:
        assert isinstance(leave, Permit)
        self.waiting[key] = partial(call, leave)
        self.begun.append(key)
        self.widest = max(self.widest, len(self.waiting))

    def give_back(self, leave: Permit) -> None:
        self.returned.append(leave)

    def completed(self) -> Sequence[tuple[int, SendResult]]:
        keys = self.random.sample(sorted(self.waiting), self.random.randint(1, len(self.waiting)))
        return [(key, self.waiting.pop(key)()) for key in keys]

    def rest(self, seconds: float, *, restores: bool) -> None:
        raise AssertionError("nothing is under way, and nothing may begin")
