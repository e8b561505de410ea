"""Refresh: what was listed long ago is not trusted.

When the inventory is older than five minutes, what is left to do is held against a fresh one: packages are read and
judged again, and the run goes on with what the guarded plan and the new one have in common
(docs/reference.md, "Receipt and plan"). Re-planning never adds a write. A push during a long clean-up is never
hurt by it: a tag that moved, or an image built on something that was about to go, keeps it.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from package_keeper.errors import ApiError, ApiErrorKind, NotAuthorized, Unreachable
from package_keeper.execution.ports import Clock, Log
from package_keeper.model.packages import PackageName, Version
from package_keeper.model.plan import Action, Outcome, PlannedWrite

Replan = Callable[[Collection[PackageName], Collection[int], Collection[int]], "FreshPlan"]
"""Reads packages again and says what is to be done in them now.

The versions of the second argument are parts of images that are gone already; who needs them is found out as well.
Those of the third this run has deleted; should a list that lags behind still show them, they are looked up.
"""

_Key = tuple[Action, PackageName, int | None, str | None]

FRESH_SECONDS = 300.0
"""An inventory older than this is read again before anything more is written."""


@dataclass(frozen=True, kw_only=True)
class FreshPlan:
    """What a fresh look gives: the writes that rules ask for now.

    `failed` are the packages that could not be read again, and why. `holders` are, by id, the versions that need a
    version directly, as far as it may go; `left_over` are the versions that were asked about and are still there.
    Of the versions that this run deleted, `still_there` are those that GitHub still has, and `seen_gone` those that it
    has no more; of the others nobody knows.
    """

    writes: Sequence[PlannedWrite] = ()
    failed: dict[PackageName, ApiError] = field(default_factory=dict)
    holders: Mapping[int, AbstractSet[int]] = field(default_factory=dict)
    left_over: Mapping[int, Version] = field(default_factory=dict)
    still_there: frozenset[int] = frozenset()
    seen_gone: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Objection:
    """Why a planned write is not to be done any more, and its outcome."""

    outcome: Outcome
    text: str


@dataclass(frozen=True, kw_only=True)
class Look:
    """What a look found: for each write why it is not to be done any more, or `None`; the rest as in `FreshPlan`."""

    objections: Sequence[Objection | None]
    still_there: frozenset[int] = frozenset()
    seen_gone: frozenset[int] = frozenset()


CHANGED = Objection(Outcome.CHANGED_SINCE_PLAN, "it is no longer as it was planned")
NEEDED = Objection(Outcome.CHANGED_SINCE_PLAN, "something that stays needs it by now")


@dataclass(kw_only=True)
class Refresh:
    """Knows how old the inventory is, and how to get a fresh one.

    `read_from` and `read_until` are monotonic seconds, `fresh_for` is how many seconds a list is trusted. A list that
    was read again stays fresh for at least as long as that took, or a run with long lists would do nothing but read;
    the second time most pages are as they were, and cost nothing of the primary budget.
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
        """Whether the inventory is too old."""
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
        """Read the packages of `writes` again, and say which writes are not to be done any more.

        `left_over` are the ids of those that are parts of images which are gone already: no rule selects them any more,
        and they go unless something that stays needs them by now. `gone` are those that are deleted by now. A write
        that was dropped once stays dropped. `is_partial` says that other packages are not read again, and do not become
        fresh. Raises `NotAuthorized` when the token is not accepted any more, `Unreachable` when nothing could be read
        again, `OutOfTime` and `Cancelled`.
        """
        packages = list(dict.fromkeys(write.package for write in writes))
        if self.fresh_for and self.is_due() and not is_partial:
            self.log.info(f"the lists are more than five minutes old; packages that are read again: {len(packages)}")
        began, fresh = self._read(packages, left_over, gone)
        if self.clock.monotonic() - began > FRESH_SECONDS:
            # a wait in the middle made the first of it old; lists that take so long by themselves are believed then
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
        """Why a write is not to be done any more; `again` is the same write in the fresh plan."""
        if (before := self._dropped.get(_key(write))) is not None:
            return before
        if (refused := fresh.failed.get(write.package)) is not None:
            return _unread(refused)
        if again is not None:
            # an earlier tag of the same version that this run took away changes nothing for the next one
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
        _end_where_nobody_answers(packages, fresh.failed)
        return began, fresh


def _end_where_nobody_answers(packages: Collection[PackageName], refused: Mapping[PackageName, ApiError]) -> None:
    for refusal in refused.values():
        if refusal.kind is ApiErrorKind.UNAUTHORIZED:
            raise NotAuthorized(f"GitHub no longer accepts the token: {refusal}\n{refusal.remedy}")
    lost = [refused[package] for package in packages if package in refused]
    if lost and len(lost) == len(packages) and all(refusal.kind is ApiErrorKind.UNREACHABLE for refusal in lost):
        raise Unreachable(f"what is left to do could not be looked at again: {lost[-1]}")


def _unread(refused: ApiError) -> Objection:
    """Nothing is known to have changed, unless the package itself is gone, or what is in it."""
    outcomes = {
        ApiErrorKind.NO_PERMISSION: Outcome.NO_PERMISSION,
        ApiErrorKind.NOT_FOUND: Outcome.CHANGED_SINCE_PLAN,
        ApiErrorKind.UNREADABLE: Outcome.CHANGED_SINCE_PLAN,
    }
    text = f"its package could not be read again: {refused}"
    return Objection(outcomes.get(refused.kind, Outcome.FAILED), text)


def _is_as_it_was(write: PlannedWrite, version: Version | None) -> bool:
    """Whether a part that is left over has the tags that it had; one that is gone will be found gone."""
    return version is None or set(version.tags) == set(write.tags)


def _keep_what_stays_whole(
    writes: Sequence[PlannedWrite], objections: list[Objection | None], holders: Mapping[int, AbstractSet[int]]
) -> None:
    """Object to all that is needed, directly or not, by something to whose deletion there is an objection, or no plan.

    The fresh plan may delete a part with an image that this run does not know.
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
