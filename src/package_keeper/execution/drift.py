"""Drift: what was listed long ago is not trusted.

When the inventory is older than five minutes, what is left to do is held against a fresh one: packages are read and
judged again, and the run goes on with what the guarded plan and the new one have in common (contract, "Receipt and
plan"). Re-planning never adds a write. A push during a long clean-up is never hurt by it: a tag that moved, or an image
built on something that was about to go, keeps it.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from package_keeper.decisions.plan import PlannedWrite
from package_keeper.decisions.vocabulary import Decision
from package_keeper.errors import Refusal
from package_keeper.execution.ports import Log, Stopwatch
from package_keeper.inventory.package import PackageName

Replan = Callable[[Collection[PackageName]], "FreshPlan"]
"""Reads packages again and says what is to be done in them now."""

FRESH_SECONDS = 300.0
"""An inventory older than this is read again before anything more is written."""


@dataclass(frozen=True, kw_only=True)
class FreshPlan:
    """What a fresh look gives: the writes that rules ask for now.

    `refused` are the packages that could not be read again, and why.
    """

    writes: Sequence[PlannedWrite] = ()
    refused: dict[PackageName, Refusal] = field(default_factory=dict)


@dataclass(kw_only=True)
class Drift:
    """Knows how old the inventory is, and how to get a fresh one.

    `read_from` and `read_until` are monotonic seconds. A list that was read again stays fresh for at least as long as
    that took, or a run with long lists would do nothing but read; the second time most pages are as they were, and cost
    nothing of the primary budget.
    """

    replan: Replan
    stopwatch: Stopwatch
    log: Log
    read_from: float
    read_until: float
    read_again: bool = False

    def is_due(self) -> bool:
        """Whether the inventory is too old."""
        fresh_until = self.read_from + FRESH_SECONDS
        if self.read_again:
            fresh_until = max(fresh_until, self.read_until + (self.read_until - self.read_from))
        return self.stopwatch.monotonic() > fresh_until

    def objections(self, writes: Sequence[PlannedWrite]) -> list[str]:
        """Read again, and say for each write why it is no longer to be done; an empty text means that it is.

        May raise `OutOfTime` and `Cancelled`.
        """
        packages = list(dict.fromkeys(write.package for write in writes))
        began = self.stopwatch.monotonic()
        self.log.info(f"the lists are more than five minutes old; packages that are read again: {len(packages)}")
        fresh = self.replan(packages)
        self.read_from, self.read_until, self.read_again = began, self.stopwatch.monotonic(), True
        planned = {_key(write): write for write in fresh.writes}
        found = []
        for write in writes:
            again = planned.get(_key(write))
            if (refused := fresh.refused.get(write.package)) is not None:
                found.append(f"its package could not be read again: {refused}")
            elif again is not None and again.refusal is write.refusal and set(again.tags) == set(write.tags):
                found.append("")
            else:
                found.append("it is no longer as it was planned")
        return found


def _key(write: PlannedWrite) -> tuple[Decision, PackageName, int | None, str | None]:
    return write.decision, write.package, write.version_id, write.tag
