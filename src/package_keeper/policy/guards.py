"""Guards and limits: what of a plan may be written. Only `guard` makes a `GuardedPlan`."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from package_keeper.model.packages import PackageName, PackageType, Timestamp, Version, age_order
from package_keeper.model.plan import Action, GuardedPlan, Outcome, Plan, PlannedWrite, WriteKind

_Groups = list[tuple[PlannedWrite, ...]]
"""Images of a plan: a root and then its parts."""


class OnLastVersion(StrEnum):
    """The input `on-last-version`: what to do when GitHub would refuse to delete the last version of a package."""

    KEEP = "keep"
    FAIL = "fail"
    DELETE_PACKAGE = "delete-package"


class Guards(Struct, frozen=True, kw_only=True):
    """The guards of one run.

    `limit` counts the versions of the whole run; 0 means no limit. `max_delete_percent` is a percentage of the versions
    of each package. `may_go_whole` are the packages that `on_last_version` may delete; `None` means all.
    """

    limit: int = 0
    max_delete_percent: int = 100
    on_last_version: OnLastVersion = OnLastVersion.KEEP
    may_go_whole: frozenset[PackageName] | None = None

    def deletes_whole(self, package: PackageName) -> bool:
        """Whether a package goes with its last version."""
        return self.on_last_version is OnLastVersion.DELETE_PACKAGE and (
            self.may_go_whole is None or package in self.may_go_whole
        )


class TooMuch(Exception):
    """A plan would delete more than `max-delete-percent` of some packages. The message names them, with figures."""


def guard(plan: Plan, guards: Guards) -> GuardedPlan:
    """Apply the guards to a plan. What is over `limit` is left for the next run.

    Where GitHub would refuse to delete the last version, the newest image stays, or goes with its whole package. Raises
    `TooMuch`, which does not depend on `limit`.
    """
    _check_share(plan, guards.max_delete_percent)
    last = last_images(plan)
    staying = {version.package for version in _staying(plan)}
    whole = {package: ids for package, ids in last.items() if package not in staying and guards.deletes_whole(package)}
    expected = Outcome.FAILED if guards.on_last_version is OnLastVersion.FAIL else Outcome.LAST_VERSION
    plan = hold_back(plan, {package: ids for package, ids in last.items() if package not in whole}, expected)
    now, later = _within_limit(plan, guards.limit)
    # a package can go as a whole only when nothing of it is left for the next run
    left = {write.package for write in later}
    held = [write for write in now if write.version_id in whole.get(write.package, ())]
    return GuardedPlan(
        plan=plan,
        now=tuple(write for write in now if write.version_id not in whole.get(write.package, ())),
        later=tuple(later + [write for write in held if write.package in left]),
        with_package=tuple(write for write in held if write.package not in left),
    )


def split_tags(guarded: GuardedPlan) -> tuple[GuardedPlan, GuardedPlan]:
    """A guarded plan without its tags, and its tags alone. Nothing is added."""

    def only(*, tags: bool) -> GuardedPlan:
        return replace(
            guarded,
            now=tuple(write for write in guarded.now if (write.tag is not None) is tags),
            later=tuple(write for write in guarded.later if (write.tag is not None) is tags),
        )

    return only(tags=False), only(tags=True)


def _check_share(plan: Plan, percent: int) -> None:
    if percent >= 100:
        return
    deletions = [each for each in plan.writes if each.action is Action.DELETE and each.expected is None]
    total = Counter(decision.version.package for decision in plan.decisions)
    going = Counter(write.package for write in deletions if write.kind is WriteKind.VERSION)
    for write in deletions:
        if write.kind is WriteKind.PACKAGE:
            going[write.package] = total[write.package] = max(len(write.contains), 1)
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


def _within_limit(plan: Plan, limit: int) -> tuple[list[PlannedWrite], list[PlannedWrite]]:
    """The writes of this run, and those left for the next. Writes that are refused already do not count.

    An image is begun only if all of it fits, and after the first that does not fit, none is begun. An image that is
    larger than the limit must not block every run: when it is the first, its root goes, and as many parts as fit.
    """
    if not limit:
        return list(plan.writes), []
    now: list[PlannedWrite] = []
    later: list[PlannedWrite] = []
    taken = 0
    for group in plan.groups:
        size = sum(write.expected is None for write in group)
        if not later and taken + size <= limit:
            taken += size
            now += group
        elif not later and taken == 0:
            now += group[:limit]
            later += group[limit:]
        else:
            later += group
    return now, later


def hold_back(
    plan: Plan, held: Mapping[PackageName, Collection[int]], expected: Outcome = Outcome.LAST_VERSION
) -> Plan:
    """The plan in which the versions `held` already have the outcome `expected`, so that they are not sent."""
    if not held:
        return plan
    groups = tuple(
        tuple(
            replace(write, expected=expected) if write.version_id in held.get(write.package, ()) else write
            for write in group
        )
        for group in plan.groups
    )
    return replace(plan, groups=groups)


def last_images(plan: Plan) -> dict[PackageName, frozenset[int]]:
    """The image that GitHub would refuse to delete, by package: the ids of its versions that the plan deletes.

    GitHub deletes neither the last version of a package nor the last tagged one of a container package, and the tags of
    signatures count (docs/github-behaviour.md, "Refusals"). Where a plan deletes all of these, the newest image stays
    with everything that belongs to it: a signature alone would be useless.
    """
    staying: dict[PackageName, list[Version]] = defaultdict(list)
    for version in _staying(plan):
        staying[version.package].append(version)
    found: dict[PackageName, frozenset[int]] = {}
    for package, groups in _deleted_images(plan).items():
        if last := _never_all(package, groups, staying[package]):
            found[package] = _image_of(_newest(last, plan.timestamp), groups)
    return found


def _staying(plan: Plan) -> Iterator[Version]:
    """The versions that the plan does not delete: those that it keeps, and those whose deletion is not sent."""
    not_sent = {write.version_id for write in plan.writes if write.expected is not None}
    for decision in plan.decisions:
        if decision.action is not Action.DELETE or decision.version.id in not_sent:
            yield decision.version


def _never_all(package: PackageName, groups: _Groups, staying: Sequence[Version]) -> _Groups:
    """The groups of which GitHub would refuse the last: the tagged ones, or all; none where enough stays."""
    if package.type is PackageType.CONTAINER and not any(version.tags for version in staying):
        tagged = [group for group in groups if any(write.tags for write in group)]
        if tagged:
            return tagged
    return [] if staying else groups


def _deleted_images(plan: Plan) -> dict[PackageName, _Groups]:
    """The groups that delete an image, by package; only of packages whose versions were decided about."""
    decided = {decision.version.package for decision in plan.decisions}
    found: dict[PackageName, _Groups] = {}
    for group in plan.groups:
        root = group[0]
        is_deletion = root.kind is WriteKind.VERSION and root.action is Action.DELETE and root.expected is None
        if is_deletion and root.package in decided:
            found.setdefault(root.package, []).append(group)
    return found


def _newest(groups: _Groups, timestamp: Timestamp) -> PlannedWrite:
    """The root of the newest image. Images with a tag of their own come before those with a tagged signature only."""

    def order(root: PlannedWrite) -> tuple[bool, tuple[bool, float, int]]:
        if root.version is None:
            return False, (False, 0.0, root.version_id or 0)
        return bool(root.version.image_tags), age_order(root.version, timestamp)

    return max((group[0] for group in groups), key=order)


def _image_of(root: PlannedWrite, groups: _Groups) -> frozenset[int]:
    """The ids of `root` and of all parts that the plan deletes after it, at any depth."""
    # other versions with the same digest have the same content
    found = {write.version_id or 0 for group in groups for write in group if write.version_name == root.version_name}
    for group in groups:
        # what needs a version comes before it in the plan, so one pass finds all
        found.update(write.version_id or 0 for write in group if not found.isdisjoint(write.after))
    return frozenset(found)
