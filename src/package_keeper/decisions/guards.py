"""Guards and budgets: the last word before anything is written. Only `guard` makes a `GuardedPlan`."""

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

from package_keeper.decisions.plan import GuardedPlan, Plan, PlannedWrite
from package_keeper.decisions.vocabulary import Decision


class OnLastVersion(StrEnum):
    """The input `on-last-version`: what to do when GitHub refuses to delete the last version of a package."""

    KEEP = "keep"
    FAIL = "fail"
    DELETE_PACKAGE = "delete-package"


@dataclass(frozen=True, kw_only=True)
class Guards:
    """The guards of one run.

    `limit` counts versions over the whole run; 0 means no limit. `max_delete_percent` is of each package's versions.
    """

    limit: int = 0
    max_delete_percent: int = 100
    on_last_version: OnLastVersion = OnLastVersion.KEEP


class TooMuch(Exception):
    """A plan would delete more than `max-delete-percent` of some packages; `str` names them, with figures."""


def guard(plan: Plan, guards: Guards) -> GuardedPlan:
    """Let a plan pass; what goes over `limit` is left for later. What cannot be written takes no place.

    Raises `TooMuch`, before any limit is looked at.

    An image is begun only if all of it fits. The first always is, so that an image larger than the limit does not
    stop the clean-up for good; then its root goes, as many parts as fit, and the others are left for later.
    """
    _check_share(plan, guards.max_delete_percent)
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


def _check_share(plan: Plan, percent: int) -> None:
    if percent >= 100:
        return
    total = Counter(judgement.version.package for judgement in plan.judgements)
    going = Counter(each.version.package for each in plan.judgements if each.decision is Decision.DELETE)
    over = [
        f"{package}: {number} of {total[package]} versions ({100 * number / total[package]:.1f} %)"
        for package, number in going.items()
        if 100 * number > percent * total[package]
    ]
    if over:
        raise TooMuch(
            f"max-delete-percent: {percent} % of a package's versions may go, and these rules would take more:\n"
            + "\n".join(over)
        )
