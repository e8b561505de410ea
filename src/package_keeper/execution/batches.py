"""Groups writes into batches, and says which writes of a batch may be sent now."""

import heapq
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import groupby
from typing import Any

from msgspec import Struct

from package_keeper.errors import ApiError
from package_keeper.execution.results import Answer
from package_keeper.model.plan import PlannedWrite, WriteKind, WriteRecord


class Batch(Struct, frozen=True):
    """The places in the plan of writes that are sent in parallel. The next batch begins when all of them have ended.

    With `needs_look`, their packages are read again before any of them is sent.
    """

    places: Sequence[int]
    needs_look: bool = False


class Schedule:
    """The order within one batch. `waits_for` holds, for each write, the places of the writes that must end first."""

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
        """Whether all writes have ended."""
        return not self._left

    def begin(self) -> int | None:
        """Take the first write that may begin now, and return its place. `None` when there is none."""
        if not self._ready:
            return None
        place = heapq.heappop(self._ready)
        self._begun.add(place)
        return place

    def put_back(self, place: int) -> None:
        """Put back a write that could not begin."""
        self._begun.discard(place)
        heapq.heappush(self._ready, place)

    def end(self, place: int) -> None:
        """Note that a write has ended, whatever its outcome."""
        self._left.discard(place)
        for follower in self._followers.pop(place, ()):
            self._waits[follower] -= 1
            if not self._waits[follower] and follower in self._left:
                heapq.heappush(self._ready, follower)

    def keep_only(self, wanted: Container[int]) -> None:
        """Drop the writes that have not begun and are not `wanted`."""
        self._left = {place for place in self._left if place in wanted or place in self._begun}
        self._ready = [place for place in self._ready if place in wanted]
        heapq.heapify(self._ready)


def after_named(writes: Sequence[PlannedWrite]) -> list[set[int]]:
    """Return, for each write, the places of the writes that it names in `after`."""
    places = {write.version_id: place for place, write in enumerate(writes)}
    return [{places[other] for other in write.after if other in places} for write in writes]


def in_rounds(
    writes: Sequence[PlannedWrite], groups: Sequence[int], *, most: int, room: Callable[[], float]
) -> Iterator[Batch]:
    """Order deletions in rounds. Each round deletes the roots of several images, then their parts.

    Before the parts, the packages are read again once for all images of the round: are the roots gone, and does
    anything new need the parts? `groups` holds the image number of each write. A round gets no more images once it has
    `most` writes, so that an interrupted run leaves few parts behind. `room` returns how many writes can surely be sent
    before `time-limit` ends. Except for the very first image, no image begins that may not be finished.
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
    """Return the places of each image's writes. They are consecutive."""
    return [[place for place, _ in several] for _, several in groupby(enumerate(groups), key=lambda each: each[1])]


class WriteStrategy(ABC):
    """How to send one kind of write, deletions or restorations, and how to interpret the answers."""

    def batches(
        self, writes: Sequence[PlannedWrite], groups: Sequence[int], room: Callable[[], float]
    ) -> Iterator[Batch]:
        """Yield the batches: whole packages, then versions, then tags.

        `groups` holds the image number of each write. `room` returns how many writes fit before `time-limit` ends.
        """
        del groups, room
        for kind in (WriteKind.PACKAGE, WriteKind.VERSION, WriteKind.TAG):
            yield Batch([place for place, write in enumerate(writes) if write.kind is kind])

    @abstractmethod
    def settled(self, write: PlannedWrite, records: Mapping[int, WriteRecord]) -> Answer | None:
        """Return the outcome of a write that needs no request. `records` are the records of versions so far, by id."""

    @abstractmethod
    def attempt(self, write: PlannedWrite, permit: Any = None) -> None:
        """Send one write. Raises `ApiError`. Runs in a worker thread, except for tags."""

    @abstractmethod
    def is_done(self, write: PlannedWrite) -> bool | None:
        """Check whether a write without an answer happened. `None` when that cannot be found out."""

    @abstractmethod
    def meaning(self, write: PlannedWrite, error: ApiError) -> Answer:
        """Return the outcome that an error means for a write. May read. Raises `ApiError` and `OutOfTime`."""
