"""Guards and budgets: the last word before anything is written. Only `guard` makes a `GuardedPlan`."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from package_keeper.model.packages import PackageName, PackageType, Timestamp, age_order
from package_keeper.model.words import Action, Outcome
from package_keeper.policy.planning import GuardedPlan, Plan, PlannedWrite, WriteKind


class OnLastVersion(StrEnum):
    """The input `on-last-version`: what to do when all would go and GitHub refuses to delete the last version."""

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
    """Let a plan pass. What goes over `limit` is left for later; what cannot be written takes no place.

    Where GitHub would refuse to delete the last version, the newest image stays whole, or goes with its package.
    Raises `TooMuch`, before any limit is looked at.

    An image is begun only if all of it fits. The first always is, so that an image larger than the limit does not
    stop the clean-up for good; then its root goes, as many parts as fit, and the others are left for later.
    """
    _check_share(plan, guards.max_delete_percent)
    last = last_images(plan)
    whole: dict[PackageName, frozenset[int]] = {}
    if guards.on_last_version is OnLastVersion.DELETE_PACKAGE:
        staying = {decision.version.package for decision in plan.decisions if decision.action is not Action.DELETE}
        whole = {package: ids for package, ids in last.items() if package not in staying}
    refusal = Outcome.FAILED if guards.on_last_version is OnLastVersion.FAIL else Outcome.LAST_VERSION
    plan = hold_back(plan, {package: ids for package, ids in last.items() if package not in whole}, refusal)
    now, later = _within_limit(plan, guards.limit)
    # a package of which something is left for the next run is not empty yet
    left = {write.package for write in later}
    held = [write for write in now if write.version_id in whole.get(write.package, ())]
    return GuardedPlan(
        plan=plan,
        now=tuple(write for write in now if write.version_id not in whole.get(write.package, ())),
        later=tuple(later + [write for write in held if write.package in left]),
        with_package=tuple(write for write in held if write.package not in left),
    )


def _within_limit(plan: Plan, limit: int) -> tuple[list[PlannedWrite], list[PlannedWrite]]:
    """What is sent now, and what is left for later."""
    if not limit:
        return list(plan.writes), []
    now: list[PlannedWrite] = []
    later: list[PlannedWrite] = []
    taken = 0
    for group in plan.groups:
        size = sum(write.refusal is None for write in group)
        if later:
            later += group
        elif taken + size <= limit:
            taken += size
            now += group
        elif taken == 0:
            now += group[:limit]
            later += group[limit:]
        else:
            later += group
    return now, later


def last_images(plan: Plan) -> dict[PackageName, frozenset[int]]:
    """The image that GitHub would refuse to delete last, by package: the ids of its versions that the plan deletes.

    GitHub deletes neither the last version of a package nor the last tagged one of a container package, and tags of
    signatures count (docs/github-behaviour.md, "Refusals"). So where all of those would go, the newest image stays,
    with all that belongs to it: a signature alone would be worth nothing.
    """
    known = {decision.version.package for decision in plan.decisions}
    staying = [decision.version for decision in plan.decisions if decision.action is not Action.DELETE]
    rest, tagged_rest = {each.package for each in staying}, {each.package for each in staying if each.tags}
    found: dict[PackageName, frozenset[int]] = {}
    for package, groups in _deleted_images(plan).items():
        tagged = [group for group in groups if any(write.tags for write in group)]
        last_tag = bool(tagged) and package.type is PackageType.CONTAINER and package not in tagged_rest
        if package in known and (last_tag or package not in rest):
            found[package] = _image_of(_newest(tagged if last_tag else groups, plan.timestamp), groups)
    return found


def _deleted_images(plan: Plan) -> dict[PackageName, list[tuple[PlannedWrite, ...]]]:
    found: dict[PackageName, list[tuple[PlannedWrite, ...]]] = {}
    for group in plan.groups:
        root = group[0]
        if root.kind is WriteKind.VERSION and root.action is Action.DELETE and root.refusal is None:
            found.setdefault(root.package, []).append(group)
    return found


def hold_back(plan: Plan, held: Mapping[PackageName, Collection[int]], refusal: Outcome = Outcome.LAST_VERSION) -> Plan:
    """The plan in which the versions `held` have the outcome `refusal` already, so that nothing is sent for them."""
    if not held:
        return plan
    groups = tuple(
        tuple(
            replace(write, refusal=refusal) if write.version_id in held.get(write.package, ()) else write
            for write in group
        )
        for group in plan.groups
    )
    return replace(plan, groups=groups)


def _newest(groups: Collection[tuple[PlannedWrite, ...]], timestamp: Timestamp) -> PlannedWrite:
    """The root of the newest image; one that users can name comes before one that only its signature makes tagged."""

    def order(root: PlannedWrite) -> tuple[bool, tuple[bool, float, int]]:
        if root.version is None:
            return False, (False, 0.0, root.version_id or 0)
        return bool(root.version.image_tags), age_order(root.version, timestamp)

    return max((group[0] for group in groups), key=order)


def _image_of(root: PlannedWrite, groups: Collection[tuple[PlannedWrite, ...]]) -> frozenset[int]:
    """The ids of `root` and of everything that the plan deletes after it because it belongs to it, at any depth."""
    # a second version of its digest stands or falls with it
    found = {write.version_id or 0 for group in groups for write in group if write.version_name == root.version_name}
    for group in groups:
        # whatever holds a version stands before it
        found.update(write.version_id or 0 for write in group if not found.isdisjoint(write.after))
    return frozenset(found)


def _check_share(plan: Plan, percent: int) -> None:
    if percent >= 100:
        return
    total = Counter(decision.version.package for decision in plan.decisions)
    going = Counter(each.version.package for each in plan.decisions if each.action is Action.DELETE)
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
