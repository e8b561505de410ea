"""Refresh: reads old lists again before anything more is written.

When the inventory is older than five minutes, the remaining packages are read and evaluated again. The run goes on with
the writes that are in both the guarded plan and the new one (docs/reference.md, "Receipt and plan"). A refresh never
adds a write. So a long clean-up respects what was pushed meanwhile: a version is not deleted when a tag moved to it or
a new image needs it.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet

from msgspec import Struct, field

from package_keeper.errors import ApiError, ApiErrorKind, NotAuthorized, Unreachable
from package_keeper.execution.ports import Clock, Log
from package_keeper.model.packages import PackageName, Version
from package_keeper.model.plan import Action, Outcome, PlannedWrite

Replan = Callable[[Collection[PackageName], Collection[int], Collection[int]], "FreshPlan"]
"""Reads packages again and plans their writes anew.

The second argument holds the ids of parts whose images are deleted already: their holders are found out too. The third
holds the ids that this run has deleted: if an outdated list still shows them, they are looked up.
"""

_Key = tuple[Action, PackageName, int | None, str | None]

FRESH_SECONDS = 300.0
"""The age in seconds at which an inventory is read again."""


class FreshPlan(Struct, frozen=True, kw_only=True):
    """The writes that the rules ask for now.

    `failed` are the packages that could not be read again, and why. `holders` maps versions that may be deleted to the
    ids of the versions that need them directly. `left_over` are the versions that were asked about and still exist. Of
    the versions that this run deleted, GitHub still has those `still_there`, and no longer those `seen_gone`. The
    others are unknown.
    """

    writes: Sequence[PlannedWrite] = ()
    failed: dict[PackageName, ApiError] = field(default_factory=dict)
    holders: Mapping[int, AbstractSet[int]] = field(default_factory=dict)
    left_over: Mapping[int, Version] = field(default_factory=dict)
    still_there: frozenset[int] = frozenset()
    seen_gone: frozenset[int] = frozenset()


class Objection(Struct, frozen=True):
    """Why a planned write is dropped, and its outcome."""

    outcome: Outcome
    text: str


class Look(Struct, frozen=True, kw_only=True):
    """The result of a refresh: for each write why it is dropped, or `None`. The rest is as in `FreshPlan`."""

    objections: Sequence[Objection | None]
    still_there: frozenset[int] = frozenset()
    seen_gone: frozenset[int] = frozenset()


CHANGED = Objection(Outcome.CHANGED_SINCE_PLAN, "it is no longer as it was planned")
NEEDED = Objection(Outcome.CHANGED_SINCE_PLAN, "something that stays needs it by now")


class Refresh(Struct, kw_only=True):
    """Knows how old the inventory is, and how to read it again.

    The inventory was read between `read_from` and `read_until`, in monotonic seconds. It is fresh for `fresh_for`
    seconds. After it was read again, it stays fresh for at least as long as that took: otherwise a run with long lists
    would only read. Most pages are unchanged then, and do not count against the primary rate limit.
    """

    replan: Replan
    clock: Clock
    log: Log
    read_from: float
    read_until: float
    fresh_for: float = FRESH_SECONDS
    read_again: bool = False
    _dropped: dict[_Key, Objection] = field(default_factory=dict)

    def is_due(self) -> bool:
        """Whether the inventory is too old. Without `fresh_for` it is, even if the clock has not moved on since."""
        if not (self.fresh_for or self.read_again):
            return True
        fresh_until = self.read_from + self.fresh_for
        if self.read_again:
            fresh_until = max(fresh_until, self.read_until + (self.read_until - self.read_from))
        return self.clock.monotonic() > fresh_until

    def look(
        self,
        writes: Sequence[PlannedWrite],
        left_over: AbstractSet[int] = frozenset(),
        gone: AbstractSet[int] = frozenset(),
        *,
        is_partial: bool = False,
    ) -> Look:
        """Read the packages of `writes` again, and say which writes to drop.

        `left_over` are the ids of parts whose images are deleted already. No rule selects them any more: delete them
        unless something that stays needs them. `gone` are the ids that this run has deleted. A write that was dropped
        once stays dropped. With `is_partial`, other packages remain unread, so the inventory does not become fresh.

        Raises `NotAuthorized` when GitHub no longer accepts the token, `Unreachable` when no package could be read,
        `OutOfTime` and `Cancelled`.
        """
        packages = list(dict.fromkeys(write.package for write in writes))
        if self.fresh_for and self.is_due() and not is_partial:
            self.log.info(f"the lists are more than five minutes old; packages that are read again: {len(packages)}")
        began, fresh = self._read(packages, left_over, gone)
        if self.clock.monotonic() - began > FRESH_SECONDS:
            # a wait in the middle may have made the first lists old; the second reading counts, however long it takes
            began, fresh = self._read(packages, left_over, gone)
        if not is_partial:
            self.read_from, self.read_until, self.read_again = began, self.clock.monotonic(), True
        planned = {_key(write): write for write in fresh.writes}
        found = [self._objection(write, planned.get(_key(write)), fresh, left_over) for write in writes]
        _keep_what_stays_whole(writes, found, fresh.holders)
        self._dropped.update((_key(write), each) for write, each in zip(writes, found, strict=True) if each)
        return Look(objections=found, still_there=fresh.still_there, seen_gone=fresh.seen_gone)

    def _objection(
        self, write: PlannedWrite, again: PlannedWrite | None, fresh: FreshPlan, left_over: AbstractSet[int]
    ) -> Objection | None:
        """Why to drop a write, or `None`. `again` is the same write in the fresh plan."""
        if (before := self._dropped.get(_key(write))) is not None:
            return before
        if (error := fresh.failed.get(write.package)) is not None:
            return _unread(error)
        if again is not None:
            # this run may have removed another tag of the same version
            same_tags = write.tag is not None or set(again.tags) == set(write.tags)
            return None if again.expected is write.expected and same_tags else CHANGED
        if write.version_id is not None and write.version_id in left_over:
            return None if _is_as_it_was(write, fresh.left_over.get(write.version_id)) else CHANGED
        return CHANGED

    def _read(
        self, packages: Collection[PackageName], left_over: Collection[int], gone: Collection[int]
    ) -> tuple[float, FreshPlan]:
        began = self.clock.monotonic()
        fresh = self.replan(packages, left_over, gone)
        _raise_if_run_ends(packages, fresh.failed)
        return began, fresh


def _raise_if_run_ends(packages: Collection[PackageName], failed: Mapping[PackageName, ApiError]) -> None:
    for error in failed.values():
        if error.kind is ApiErrorKind.UNAUTHORIZED:
            raise NotAuthorized(f"GitHub no longer accepts the token: {error}\n{error.remedy}", causes=error.causes)
    lost = [failed[package] for package in packages if package in failed]
    if lost and len(lost) == len(packages) and all(error.kind is ApiErrorKind.UNREACHABLE for error in lost):
        raise Unreachable(f"what is left to do could not be looked at again: {lost[-1]}")


def _unread(error: ApiError) -> Objection:
    """Why to drop writes of a package that could not be read. It has changed only if it, or content of it, is gone."""
    outcomes = {
        ApiErrorKind.NO_PERMISSION: Outcome.NO_PERMISSION,
        ApiErrorKind.NOT_FOUND: Outcome.CHANGED_SINCE_PLAN,
        ApiErrorKind.UNREADABLE: Outcome.CHANGED_SINCE_PLAN,
    }
    text = f"its package could not be read again: {error}"
    return Objection(outcomes.get(error.kind, Outcome.FAILED), text)


def _is_as_it_was(write: PlannedWrite, version: Version | None) -> bool:
    """Whether a left-over part has the same tags as before, or is gone, which its deletion will find out."""
    return version is None or set(version.tags) == set(write.tags)


def _keep_what_stays_whole(
    writes: Sequence[PlannedWrite], objections: list[Objection | None], holders: Mapping[int, AbstractSet[int]]
) -> None:
    """Drop the deletion of everything that a version needs, directly or not, that this run does not delete.

    The fresh plan may delete a part along with an image that this run does not know.
    """
    deletions = [place for place, write in enumerate(writes) if write.action is Action.DELETE]
    going = {writes[place].version_id for place in deletions if not objections[place]}
    left = True
    while left:
        left = False
        for place in deletions:
            version_id = writes[place].version_id
            if not objections[place] and version_id is not None and not holders.get(version_id, frozenset()) <= going:
                objections[place] = NEEDED
                going.discard(version_id)
                left = True


def _key(write: PlannedWrite) -> _Key:
    return write.action, write.package, write.version_id, write.tag
