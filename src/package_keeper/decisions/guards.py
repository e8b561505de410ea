"""Guards and budgets: the last word before anything is written. Only `guard` makes a `GuardedPlan`."""

from dataclasses import dataclass
from enum import StrEnum

from package_keeper.decisions.plan import GuardedPlan, Plan, PlannedWrite


class OnLastVersion(StrEnum):
    """The input `on-last-version`: what to do when GitHub refuses to delete the last version of a package."""

    KEEP = "keep"
    FAIL = "fail"
    DELETE_PACKAGE = "delete-package"


@dataclass(frozen=True, kw_only=True)
class Guards:
    """The guards of one run. `limit` counts versions over the whole run; 0 means no limit."""

    limit: int = 0
    on_last_version: OnLastVersion = OnLastVersion.KEEP


def guard(plan: Plan, guards: Guards) -> GuardedPlan:
    """Let a plan pass; what goes over `limit` is left for later. What cannot be written takes no place.

    An image is begun only if all of it fits. The first always is, so that an image larger than the limit does not
    stop the clean-up for good; then its root goes, as many parts as fit, and the others are left for later.
    """
    if not guards.limit:
        return GuardedPlan(plan=plan, now=plan.writes)
    now: list[PlannedWrite] = []
    later: list[PlannedWrite] = []
    taken = 0
    for group in plan.groups:
        size = sum(write.refusal is None for write in group)
        if later:
            later += group
        elif taken + size <= guards.limit:
            taken += size
            now += group
        elif taken == 0:
            now += group[: guards.limit]
            later += group[guards.limit :]
        else:
            later += group
    return GuardedPlan(plan=plan, now=tuple(now), later=tuple(later))
