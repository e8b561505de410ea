"""Which writes may be sent at one moment, given which have ended: as many as possible, oldest first."""

import heapq
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet

from package_keeper.decisions.plan import PlannedWrite
from package_keeper.inventory.package import PackageName
from package_keeper.inventory.version import Version

A_FEW = 20
"""Deletions in one package."""


class Schedule:
    """The order of writes that go side by side.

    `waits_for` says for each write, by its place, which places before it must have ended; `stages` are numbers: no
    write of a stage begins before all of lower stages have ended.
    """

    def __init__(self, waits_for: Sequence[AbstractSet[int]], stages: Sequence[int]) -> None:
        self._waits = [0] * len(waits_for)
        self._followers: dict[int, list[int]] = {}
        for place, holders in enumerate(waits_for):
            for holder in holders:
                if holder < place and stages[holder] == stages[place]:
                    self._followers.setdefault(holder, []).append(place)
                    self._waits[place] += 1
        self._stages = stages
        self._left = {stage: stages.count(stage) for stage in sorted(set(stages))}
        self._ready: dict[int, list[int]] = {stage: [] for stage in self._left}
        for place, number in enumerate(self._waits):
            if not number:
                self._ready[stages[place]].append(place)

    @property
    def stage(self) -> int | None:
        """The stage that is under way, or `None` at the end."""
        return next(iter(self._left), None)

    def begin(self, allowed: AbstractSet[int] | None = None) -> int | None:
        """The place of a write that may begin now, the first of them (of those `allowed`); it is given once."""
        ready = self._ready.get(-1 if self.stage is None else self.stage, [])
        if allowed is None:
            return heapq.heappop(ready) if ready else None
        place = min((each for each in ready if each in allowed), default=None)
        if place is not None:
            ready.remove(place)
            heapq.heapify(ready)
        return place

    def put_back(self, place: int) -> None:
        """Take back a write that could not begin after all."""
        heapq.heappush(self._ready[self._stages[place]], place)

    def end(self, place: int) -> None:
        """Note that a write has ended, well or not."""
        stage = self._stages[place]
        self._left[stage] -= 1
        if not self._left[stage]:
            del self._left[stage]
        for follower in self._followers.pop(place, ()):
            self._waits[follower] -= 1
            if not self._waits[follower]:
                heapq.heappush(self._ready[stage], follower)


def after_holders(writes: Sequence[PlannedWrite], staying: Iterable[Version] = ()) -> list[set[int]]:
    """For deletions: each waits for the confirmed end of what holds it, and the last of a package for all the others.

    GitHub refuses to delete the last version, and the last tagged one, of a package; side by side it would be left to
    chance which one that is. It is the newest image (contract, input `on-last-version`). Where something else is
    `staying` in the package, and has tags, none of them is the last, and many need not wait for that one trip. A few
    keep the order all the same: a run of a handful ends with the newest, as it would by hand.
    """
    rest = {version.package: False for version in staying}
    rest |= {version.package: True for version in staying if version.tags}
    places = {write.version_id: place for place, write in enumerate(writes) if write.version_id is not None}
    waits = [{places[holder] for holder in write.after if holder in places} for write in writes]
    tagged = [place for place, write in enumerate(writes) if write.tags]
    for package, several in _by_package(writes, tagged).items():
        if len(several) <= A_FEW or not rest.get(package, False):
            waits[several[-1]].update(several[:-1])
    for package, several in _by_package(writes, range(len(writes))).items():
        if len(several) <= A_FEW or package not in rest:
            waits[several[-1]].update(several[:-1])
    return waits


def after_named(writes: Sequence[PlannedWrite]) -> list[set[int]]:
    """For restorations: each waits for those that it names, so that no root is ever there without its parts."""
    places = {write.version_id: place for place, write in enumerate(writes) if write.version_id is not None}
    return [{places[other] for other in write.after if other in places} for write in writes]


def _by_package(writes: Sequence[PlannedWrite], places: Iterable[int]) -> dict[PackageName, list[int]]:
    found: dict[PackageName, list[int]] = {}
    for place in places:
        if writes[place].version_id is not None and writes[place].tag is None:
            found.setdefault(writes[place].package, []).append(place)
    return found
