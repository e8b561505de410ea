"""One run of one operation, from the packages in scope to what became of each write.

Planning reads; carrying out writes. A dry run ends after planning, since it is given no writer.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from package_keeper.decisions.deciding import Judgement, decide_deletions, decide_restorations
from package_keeper.decisions.facts import Facts
from package_keeper.decisions.guards import Guards, guard
from package_keeper.decisions.plan import (
    GuardedPlan,
    Plan,
    PlannedWrite,
    WriteRecord,
    gone_versions,
    plan_deletions,
)
from package_keeper.decisions.restoring import ActiveNames, plan_restorations, without_stubs
from package_keeper.decisions.rules import Rules
from package_keeper.decisions.used import ImageReference
from package_keeper.decisions.vocabulary import Decision, Outcome, Reason
from package_keeper.errors import NotAuthorized, PackageKeeperError, Refusal, RefusalKind
from package_keeper.execution.carrying_out import Carried, Carrier
from package_keeper.execution.describing import stubs_and_what_to_do
from package_keeper.execution.drift import Drift
from package_keeper.execution.evidence import Found
from package_keeper.execution.images import ImageJudge, Judged
from package_keeper.execution.ports import Log, Reader
from package_keeper.execution.scope import Scope, ScopeProblem
from package_keeper.execution.write_operation import WriteOperation
from package_keeper.inventory.health import CheckedImage
from package_keeper.inventory.image import independent_images
from package_keeper.inventory.package import Package, PackageName
from package_keeper.inventory.stub import stubs_among
from package_keeper.inventory.version import Version, age_order, display_name


@dataclass(kw_only=True)
class Run:
    """What a run found, decided and did; filled while it goes on, so that an early end loses nothing."""

    scope: Scope = field(default_factory=Scope)
    versions: list[Version] = field(default_factory=list)
    """All versions read, of all packages in scope."""
    judged: list[Judged] = field(default_factory=list)
    plan: Plan = field(default_factory=Plan)
    listed: tuple[Judgement, ...] = ()
    stubs: list[Version] = field(default_factory=list)
    """The stubs that were found, as far as the operation looked."""
    rows: list[dict[str, Any]] | None = None
    """What a query gave, if there was one."""
    used: list[ImageReference] = field(default_factory=list)
    """The references by which files of the workspace protect images of the packages in scope."""
    checked: list[CheckedImage] = field(default_factory=list)
    records: list[WriteRecord] = field(default_factory=list)
    broken: int = 0
    """Images that are broken at the end, as far as the operation looked."""
    ended_by: PackageKeeperError | None = None

    def fail(self, what: str, refused: Refusal, package: PackageName | None = None) -> None:
        """Note that something could not be read, and go on; a token that is refused ends the run."""
        if refused.kind is RefusalKind.UNAUTHORIZED:
            raise NotAuthorized(f"GitHub: {refused}\n{refused.remedy}") from None
        self.scope.problems.append(ScopeProblem(what=what, refusal=refused, package=package))


def read_versions(run: Run, reader: Reader, log: Log, *, deleted: bool = False) -> Found:
    """Read the versions of every package in scope; a package that cannot be read is a problem, not the end."""
    found = []
    lists = reader.versions_of([package.key for package in run.scope.packages], deleted=deleted)
    for package in list(run.scope.packages):
        versions = lists[package.key]
        if isinstance(versions, Refusal):
            run.scope.packages.remove(package)
            if versions.kind is RefusalKind.NOT_FOUND and package.key not in run.scope.named:
                log.warning(f"{package.key} went away, or was hidden, while its versions were about to be read")
            elif versions.kind is RefusalKind.NOT_FOUND:
                run.scope.missing.append(str(package.key))
            else:
                run.fail(f"the versions of {package.key}", versions)
            continue
        log.debug(f"{package.key}: {len(versions)} {'deleted' if deleted else 'active'} versions")
        run.versions += versions
        found.append((package, versions))
    return found


def judge(run: Run, found: Found, judge_of: ImageJudge) -> None:
    """Decide about every version of every package; one that cannot be judged is a problem, not the end."""
    for package, versions in found:
        try:
            run.judged.append(judge_of.judge(package, versions))
        except Refusal as refused:
            run.fail(str(package.key), refused, package.key)
    run.stubs += [image.root for judged in run.judged for image in judged.images if image.is_stub]
    run.scope.problems += judge_of.problems


def plan_version_deletions(run: Run, rules: Rules) -> None:
    """Plan the deletions over all packages."""
    run.plan = plan_deletions(
        [judgement for package in run.judged for judgement in package.judgements],
        rules.timestamp,
        {package.package: package.graph for package in run.judged if package.graph is not None},
    )


def plan_version_restorations(run: Run, found: Found, reader: Reader, rules: Rules, facts: Facts) -> None:
    """Plan the restorations over all packages; packages with nothing selected are not looked into further."""
    named = rules.inputs.selection.version_ids is not None
    writes: list[PlannedWrite] = []
    judgements: list[Judgement] = []
    for package, versions in found:
        judged, stubs = without_stubs(decide_restorations(versions, rules, facts))
        run.stubs += stubs
        if not any(judgement.decision is Decision.RESTORE for judgement in judged):
            judgements += judged
            continue
        try:
            active = ActiveNames.of(reader.versions(package.key))
        except Refusal as refused:
            run.fail(f"the active versions of {package.key}", refused, package.key)
            continue
        plan = plan_restorations(judged, active, rules.timestamp, tags_may_move=named)
        writes += plan.writes
        judgements += judged
    writes.sort(key=lambda write: age_order(write.version, rules.timestamp) if write.version else (True, 0.0, 0))
    run.plan = Plan.of_singles(writes, judgements)


def plan_package_deletions(run: Run) -> None:
    """Plan to delete every package in scope."""
    run.plan = Plan.of_singles(
        PlannedWrite(decision=Decision.DELETE, reason=Reason.SELECTED, package=package.key)
        for package in run.scope.packages
    )


def list_versions(run: Run, found: Found, images: ImageJudge, *, deleted: bool) -> None:
    """List what the selection and the age accept, each with the decision that a deletion or restoration would make.

    Manifests are read only when a condition of images is asked for; without that each version stands for itself.
    """
    rules, facts = images.rules, images.facts
    judgements: list[Judgement] = []
    if deleted:
        for _, versions in found:
            judgements += decide_restorations(versions, rules, facts)
        judgements, run.stubs = without_stubs(judgements)
    elif rules.judge_health:
        judge(run, found, images)
        judgements = [judgement for package in run.judged for judgement in package.judgements]
    else:
        for _, versions in found:
            judgements += decide_deletions(independent_images(versions), replace(rules, raw=True), facts)
    run.plan = Plan(judgements=tuple(judgements))
    left_out = (Reason.NOT_SELECTED, Reason.TOO_YOUNG, Reason.UNKNOWN_AGE, Reason.NEEDED_BY)
    stubs = {stub.id for stub in run.stubs}
    run.listed = tuple(
        judgement
        for judgement in judgements
        if not rules.select_anything or judgement.reason not in left_out or judgement.version.id in stubs
    )
    if not deleted and not rules.judge_health:
        run.stubs = stubs_among(judgement.version for judgement in run.listed)


def explain_versions(run: Run, found: Found, images: ImageJudge) -> None:
    """List every version with the decision that a deletion would make, from the same manifests."""
    judge(run, found, images)
    judgements = tuple(judgement for package in run.judged for judgement in package.judgements)
    run.plan = Plan(judgements=judgements)
    run.listed = judgements


def packages_by_name(packages: Iterable[Package]) -> dict[str, list[PackageName]]:
    """Which packages, of whatever type, share a name."""
    by_name: dict[str, list[PackageName]] = {}
    for package in packages:
        by_name.setdefault(package.name.lower(), []).append(package.key)
    return by_name


def warn_about_unseen(run: Run, rules: Rules, log: Log) -> None:
    """Say which ids and digests that the user named were found nowhere, or are parts of something that stays."""
    ids = {version.id for version in run.versions}
    names = {version.name for version in run.versions}
    names |= {digest for package in run.judged for image in package.images for digest in image.missing}
    for version_id in sorted(rules.version_ids - ids):
        log.warning(f"version-ids: {version_id} was found in no package in scope")
    for digest in sorted(rules.lists.digests - names):
        log.warning(f"keep-digests: {display_name(digest)} was found in no package in scope")
    for judgement in run.plan.judgements:
        if judgement.version.id in rules.version_ids and judgement.reason is Reason.NEEDED_BY:
            root = display_name(judgement.root.name) if judgement.root else "an image"
            log.warning(f"version-ids: {judgement.version.id} stays, since the image {root} needs it")


def tell_stubs(run: Run, log: Log) -> None:
    """Say which versions are empty manifests by which tags were taken away, and so are no images."""
    by_package: dict[PackageName, list[Version]] = {}
    for stub in run.stubs:
        by_package.setdefault(stub.package, []).append(stub)
    for package, stubs in by_package.items():
        log.notice(f"{package}: {stubs_and_what_to_do(stubs)}")


def tell_decisions(run: Run, log: Log) -> None:
    """Say how many versions of each package have which decision and why, and in detail each of them."""
    counts: dict[PackageName, Counter[str]] = {}
    for judgement in run.plan.judgements:
        version = judgement.version
        counts.setdefault(version.package, Counter())[f"{judgement.decision} {judgement.why}"] += 1
        if log.shows_details:
            root = f" ({display_name(judgement.root.name)})" if judgement.root else ""
            log.debug(
                f"{version.package} {display_name(version.name)} [{', '.join(version.tags)}] (id {version.id}):"
                f" {judgement.decision} {judgement.why}{root}"
            )
    for package, reasons in counts.items():
        shown = ", ".join(f"{number} {reason}" for reason, number in sorted(reasons.items()))
        log.info(f"{package}: {shown}")


def carry_out(
    run: Run, plan: GuardedPlan, carrier: Carrier, operation: WriteOperation, drift: Drift | None = None
) -> None:
    """Carry out the guarded plan and keep what became of it."""
    _keep(run, carrier.carry_out(plan, operation, drift))


def add_writes(run: Run, writes: Iterable[PlannedWrite], carrier: Carrier, operation: WriteOperation) -> None:
    """Carry out what was found on the way: parts of images that are being restored. No limit cuts an image short."""
    plan = Plan.of_singles(writes)
    run.plan = replace(run.plan, groups=run.plan.groups + plan.groups)
    _keep(run, carrier.carry_out(guard(plan, Guards()), operation, to_the_end=True))


def _keep(run: Run, carried: Carried) -> None:
    run.records += carried.records
    run.ended_by = carried.ended_by


def torn_images(run: Run) -> list[PlannedWrite]:
    """The deletions of images that are gone while some of their parts are still there, without a tag."""
    gone = gone_versions(run.records)
    return [
        group[0]
        for group in run.plan.groups
        if group[0].version_id in gone and any(part.version_id not in gone for part in group[1:])
    ]


def restored_versions(records: Iterable[WriteRecord]) -> dict[PackageName, list[Version]]:
    """The versions that were restored, or were back already, by package."""
    found: dict[PackageName, list[Version]] = {}
    for record in records:
        if record.write.version is not None and record.outcome in (Outcome.DONE, Outcome.ALREADY_ACTIVE):
            found.setdefault(record.write.package, []).append(record.write.version)
    return found
