"""One run of one operation, from the packages in scope to what became of each write.

Planning reads; carrying out writes. A dry run ends after planning, since it is given no writer.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from package_keeper.decisions.deciding import Judgement, Rules, decide_deletions, decide_restorations
from package_keeper.decisions.plan import GuardedPlan, Plan, PlannedWrite, WriteRecord, plan_deletions
from package_keeper.decisions.restoring import ActiveNames, plan_restorations
from package_keeper.decisions.vocabulary import Decision, Reason
from package_keeper.errors import NotAuthorized, PackageKeeperError, Refusal, RefusalKind
from package_keeper.execution.carrying_out import Carrier, WriteOperation
from package_keeper.execution.ports import Log, Reader
from package_keeper.execution.scope import Scope, ScopeProblem
from package_keeper.inventory.image import Image, independent_images, unread_images
from package_keeper.inventory.package import Package, PackageName, PackageType
from package_keeper.inventory.version import Version, age_order, display_name


@dataclass(kw_only=True)
class Run:
    """What a run found, decided and did; filled while it goes on, so that an early end loses nothing."""

    scope: Scope = field(default_factory=Scope)
    versions: list[Version] = field(default_factory=list)
    """All versions read, of all packages in scope."""
    plan: Plan = field(default_factory=Plan)
    listed: tuple[Judgement, ...] = ()
    records: list[WriteRecord] = field(default_factory=list)
    ended_by: PackageKeeperError | None = None


def read_versions(run: Run, reader: Reader, log: Log, *, deleted: bool = False) -> list[tuple[Package, list[Version]]]:
    """Read the versions of every package in scope; a package that cannot be read is a problem, not the end."""
    found = []
    for package in list(run.scope.packages):
        try:
            versions = reader.versions(package.key, deleted=deleted)
        except Refusal as refused:
            if refused.kind is RefusalKind.UNAUTHORIZED:
                raise NotAuthorized(f"GitHub: {refused}\n{refused.remedy}") from None
            run.scope.packages.remove(package)
            if refused.kind is RefusalKind.NOT_FOUND:
                run.scope.missing.append(str(package.key))
            else:
                run.scope.problems.append(ScopeProblem(what=f"the versions of {package.key}", refusal=refused))
            continue
        log.debug(f"{package.key}: {len(versions)} {'deleted' if deleted else 'active'} versions")
        run.versions += versions
        found.append((package, versions))
    return found


def judge_deletions(
    found: Iterable[tuple[Package, list[Version]]], rules: Rules, *, raw_images: bool
) -> list[Judgement]:
    """Decide about every version of every package."""
    judgements: list[Judgement] = []
    for package, versions in found:
        judgements += decide_deletions(_images(package, versions, raw=raw_images), rules)
    return judgements


def _images(package: Package, versions: list[Version], *, raw: bool) -> list[Image]:
    if package.type is PackageType.CONTAINER and not raw:
        return unread_images(versions)
    return independent_images(versions)


def plan_version_deletions(
    run: Run, found: Iterable[tuple[Package, list[Version]]], rules: Rules, *, raw: bool
) -> None:
    """Plan the deletions over all packages."""
    run.plan = plan_deletions(judge_deletions(found, rules, raw_images=raw), rules.age.timestamp)


def plan_version_restorations(
    run: Run, found: Iterable[tuple[Package, list[Version]]], reader: Reader, rules: Rules
) -> None:
    """Plan the restorations over all packages; packages with nothing selected are not looked into further."""
    named = rules.selection.version_ids is not None
    writes: list[PlannedWrite] = []
    judgements: list[Judgement] = []
    for package, versions in found:
        judged = decide_restorations(versions, rules)
        if not any(judgement.decision is Decision.RESTORE for judgement in judged):
            judgements += judged
            continue
        try:
            active = ActiveNames.of(reader.versions(package.key))
        except Refusal as refused:
            run.scope.problems.append(ScopeProblem(what=f"the active versions of {package.key}", refusal=refused))
            continue
        plan = plan_restorations(judged, active, rules.age.timestamp, tags_may_move=named)
        writes += plan.writes
        judgements += judged
    writes.sort(key=lambda write: age_order(write.version, rules.age.timestamp) if write.version else (True, 0.0, 0))
    run.plan = Plan(writes=tuple(writes), judgements=tuple(judgements))


def plan_package_deletions(run: Run) -> None:
    """Plan to delete every package in scope."""
    writes = [
        PlannedWrite(decision=Decision.DELETE, reason=Reason.SELECTED, package=package.key)
        for package in run.scope.packages
    ]
    run.plan = Plan(writes=tuple(writes))


def list_versions(run: Run, found: Sequence[tuple[Package, list[Version]]], rules: Rules, *, deleted: bool) -> None:
    """List what the selection and the age accept, each with the decision that a deletion or restoration would make."""
    judgements: list[Judgement] = []
    if deleted:
        for _, versions in found:
            judgements += decide_restorations(versions, rules)
    else:
        judgements = judge_deletions(found, rules, raw_images=True)
    run.plan = Plan(judgements=tuple(judgements))
    left_out = (Reason.NOT_SELECTED, Reason.TOO_YOUNG, Reason.UNKNOWN_AGE)
    run.listed = tuple(
        judgement for judgement in judgements if not rules.select_anything or judgement.reason not in left_out
    )


def packages_by_name(packages: Iterable[Package]) -> dict[str, list[PackageName]]:
    """Which packages, of whatever type, share a name."""
    by_name: dict[str, list[PackageName]] = {}
    for package in packages:
        by_name.setdefault(package.name.lower(), []).append(package.key)
    return by_name


def warn_about_unseen(run: Run, rules: Rules, log: Log) -> None:
    """Say which ids and digests that the user named were found nowhere."""
    ids = {version.id for version in run.versions}
    names = {version.name for version in run.versions}
    for version_id in sorted((rules.selection.version_ids or frozenset()) - ids):
        log.warning(f"version-ids: {version_id} was found in no package in scope")
    for digest in sorted(rules.retention.lists.digests - names):
        log.warning(f"keep-digests: {display_name(digest)} was found in no package in scope")
    unreadable = [judgement for judgement in run.plan.judgements if judgement.reason is Reason.UNREADABLE]
    if unreadable:
        log.warning(
            f"{len(unreadable)} untagged container versions stay (unreadable): they may be parts of images. To delete"
            " some nevertheless, name them in version-ids or versions with images: raw"
        )


def carry_out(run: Run, plan: GuardedPlan, carrier: Carrier, operation: WriteOperation) -> None:
    """Carry out the guarded plan and keep what became of it."""
    carried = carrier.carry_out(plan, operation)
    run.records = carried.records
    run.ended_by = carried.ended_by
