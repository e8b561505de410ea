"""Guards and budgets: the last word before anything is written. Only `guard` makes a `GuardedPlan`."""

from dataclasses import dataclass
from enum import StrEnum

from package_keeper.decisions.plan import GuardedPlan, Plan


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
    """Let a plan pass; what goes over `limit` is left for later. What cannot be written takes no place."""
    if not guards.limit:
        return GuardedPlan(plan=plan, now=plan.writes)
    now = []
    later = []
    taken = 0
    for write in plan.writes:
        if write.refusal is not None:
            now.append(write)
        elif taken < guards.limit:
            taken += 1
            now.append(write)
        else:
            later.append(write)
    return GuardedPlan(plan=plan, now=tuple(now), later=tuple(later))
