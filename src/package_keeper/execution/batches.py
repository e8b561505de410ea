"""Batches of writes, and which writes of a batch may be sent at one moment: as many as possible, oldest first."""

import heapq
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from package_keeper.errors import ApiError
from package_keeper.execution.results import Answer
from package_keeper.model.plan import PlannedWrite, WriteKind, WriteRecord


@dataclass(frozen=True)
class Batch:
    """Writes that go side by side, by their places; the next batch begins when all of them have ended.

    `needs_look` says that their packages are read again before any of them is sent.
    """

    places: Sequence[int]
    needs_look: bool = False


class Schedule:
    """The order within one batch. `waits_for` says for each write which others must have ended before it begins."""

    def __init__(self, places: Sequence[int] = (), waits_for: Sequence[AbstractSet[int]] = ()) -> None:
        self._left = set(places)
        self._begun: set[int] = set()
        self._waits: dict[int, int] = {}
        self._followers: dict[int, list[int]] = {}
        for place in places:
            holders = waits_for[place] & self._left
            self._waits[place] = len(holders)
            for holder in holders:
                self._followers.setdefault(holder, []).append(place)
        self._ready = [place for place in places if not self._waits[place]]
        heapq.heapify(self._ready)

    @property
    def is_over(self) -> bool:
        """Whether all have ended."""
        return not self._left

    def begin(self) -> int | None:
        """The place of a write that may begin now, the first of them; it is given once."""
        if not self._ready:
            return None
        place = heapq.heappop(self._ready)
        self._begun.add(place)
        return place

    def put_back(self, place: int) -> None:
        """Take back a write that could not begin after all."""
        self._begun.discard(place)
        heapq.heappush(self._ready, place)

    def end(self, place: int) -> None:
        """Note that a write has ended, well or not."""
        self._left.discard(place)
        self._begun.discard(place)
        for follower in self._followers.pop(place, ()):
            self._waits[follower] -= 1
            if not self._waits[follower] and follower in self._left:
                heapq.heappush(self._ready, follower)

    def keep_only(self, wanted: Container[int]) -> None:
        """Permit out what has not begun and is not `wanted`."""
        self._left = {place for place in self._left if place in wanted or place in self._begun}
        self._ready = [place for place in self._ready if place in wanted]
        heapq.heapify(self._ready)


def after_named(writes: Sequence[PlannedWrite]) -> list[set[int]]:
    """Each write waits for those that it names: a part for what holds it, a restored root for its parts."""
    places = {write.version_id: place for place, write in enumerate(writes) if write.version_id is not None}
    return [{places[other] for other in write.after if other in places} for write in writes]


def in_rounds(
    writes: Sequence[PlannedWrite], groups: Sequence[int], *, most: int, room: Callable[[], float]
) -> Iterator[Batch]:
    """Deletions in rounds: the roots of images, then, after a look that all of them share, their parts.

    The look shows whether the roots are gone, and whether anything new needs the parts. `groups` says which image a
    write belongs to. A round ends with the image with which it has `most` writes, so that a run that is cut off leaves
    few parts behind; and `room` is how many writes are sure to be sent before `time-limit` ends: no image but the first
    of all is begun that may not be finished.
    """
    images = deque(_images(groups))
    is_first = True
    while images:
        left = room()
        taken: list[int] = []
        has_parts = False
        while images and not (has_parts and len(taken) >= most):
            is_whole = not any(writes[place].after for place in images[0])
            if not (is_whole or is_first) and len(taken) + len(images[0]) > left:
                break
            has_parts = has_parts or not is_whole
            is_first = False
            taken += images.popleft()
        if not taken:
            return
        yield Batch([place for place in taken if not writes[place].after])
        if has_parts:
            yield Batch([place for place in taken if writes[place].after], needs_look=True)


def _images(groups: Sequence[int]) -> list[list[int]]:
    """The places of each image, which stand together."""
    return [[place for place, _ in several] for _, several in groupby(enumerate(groups), key=lambda each: each[1])]


class WriteStrategy(ABC):
    """How one kind of write is sent and understood: deletions, or restorations."""

    def batches(
        self, writes: Sequence[PlannedWrite], groups: Sequence[int], room: Callable[[], float]
    ) -> Iterator[Batch]:
        """The batches of writes: whole packages, versions, then tags, which go one by one.

        `groups` says which image each write belongs to. `room` is how many writes can be sent before `time-limit` ends.
        """
        del groups, room
        for kind in (WriteKind.PACKAGE, WriteKind.VERSION, WriteKind.TAG):
            yield Batch([place for place, write in enumerate(writes) if write.kind is kind])

    @abstractmethod
    def settled(self, write: PlannedWrite, records: Mapping[int, WriteRecord]) -> Answer | None:
        """The outcome of a write that needs no request. `records` are those of the versions, by id, so far."""

    @abstractmethod
    def attempt(self, write: PlannedWrite, permit: Any = None) -> None:
        """Send one write. Raises `ApiError`. Runs in a thread of its own, except for tags."""

    @abstractmethod
    def is_done(self, write: PlannedWrite) -> bool | None:
        """Look whether a write without an answer was carried out. `None` when that cannot be told."""

    @abstractmethod
    def meaning(self, write: PlannedWrite, error: ApiError) -> Answer:
        """Say what an error means for a write. May read, and may raise `ApiError` and `OutOfTime`."""
