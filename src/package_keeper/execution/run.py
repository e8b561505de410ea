"""One run of one operation, from the packages in scope to what became of each write.

Planning reads; carrying out writes. A dry run ends after planning, since it is given no writer.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from package_keeper.errors import MOST_OF_A_KIND, ApiError, ApiErrorKind, NotAuthorized, PackageKeeperError
from package_keeper.execution.batches import WriteOperation
from package_keeper.execution.executor import Executed, Executor
from package_keeper.execution.facts import Found, warn_about_idle_patterns
from package_keeper.execution.images import ImageEvaluator, PackageEvaluation, all_kept
from package_keeper.execution.ports import Log, Looks, Reader
from package_keeper.execution.refresh import Drift
from package_keeper.execution.restorations import still_active
from package_keeper.execution.scope import Scope, ScopeProblem
from package_keeper.execution.wording import not_tried, stubs_and_what_to_do
from package_keeper.model.images import VerifiedImage
from package_keeper.model.manifest import stubs_among
from package_keeper.model.packages import Package, PackageName, Version, age_order, display_name
from package_keeper.model.words import Action, Outcome, Reason
from package_keeper.policy.evaluation import Decision, evaluate_restorations
from package_keeper.policy.guards import Guards, guard
from package_keeper.policy.images_in_use import ImageReference
from package_keeper.policy.planning import (
    ActiveNames,
    GuardedPlan,
    Plan,
    PlannedWrite,
    WriteRecord,
    gone_versions,
    plan_deletions,
    plan_restorations,
    without_stubs,
)
from package_keeper.policy.rules import Rules
from package_keeper.policy.selection import Facts


@dataclass(kw_only=True)
class Run:
    """What a run found, decided and did; filled while it goes on, so that an early end loses nothing."""

    scope: Scope = field(default_factory=Scope)
    versions: list[Version] = field(default_factory=list)
    """All versions read, of all packages in scope."""
    judged: list[PackageEvaluation] = field(default_factory=list)
    plan: Plan = field(default_factory=Plan)
    listed: tuple[Decision, ...] = ()
    stubs: list[Version] = field(default_factory=list)
    """The stubs that were found, as far as the operation looked."""
    rows: list[dict[str, Any]] | None = None
    """What a query gave, if there was one."""
    used: list[ImageReference] = field(default_factory=list)
    """The references by which files of the workspace protect images of the packages in scope."""
    checked: list[VerifiedImage] = field(default_factory=list)
    records: list[WriteRecord] = field(default_factory=list)
    broken: int = 0
    """Images that are broken at the end, as far as the operation looked."""
    ended_by: PackageKeeperError | None = None

    def fail(self, what: str, refused: ApiError, package: PackageName | None = None) -> None:
        """Note that something could not be read, and go on; a token that is refused ends the run."""
        if refused.kind is ApiErrorKind.UNAUTHORIZED:
            raise NotAuthorized(f"GitHub: {refused}\n{refused.remedy}") from None
        self.scope.problems.append(ScopeProblem(what=what, refusal=refused, package=package))


def read_versions(run: Run, reader: Reader, log: Log, *, deleted: bool = False) -> Found:
    """Read the versions of every package in scope; a package that cannot be read is a problem, not the end."""
    found = []
    lists = reader.versions_of([package.key for package in run.scope.packages], deleted=deleted)
    for package in list(run.scope.packages):
        versions = lists[package.key]
        if isinstance(versions, ApiError):
            run.scope.packages.remove(package)
            _note_unread(run, package, versions, log)
            continue
        log.debug(f"{package.key}: {len(versions)} {'deleted' if deleted else 'active'} versions")
        run.versions += versions
        found.append((package, versions))
    return found


def _note_unread(run: Run, package: Package, refused: ApiError, log: Log) -> None:
    if refused.kind is ApiErrorKind.NOT_FOUND and package.key not in run.scope.named:
        log.warning(f"{package.key} went away, or was hidden, while its versions were about to be read")
    elif refused.kind is ApiErrorKind.NOT_FOUND:
        run.scope.missing.append(str(package.key))
    else:
        run.fail(f"the versions of {package.key}", refused, package.key)


def judge(run: Run, found: Found, judge_of: ImageEvaluator) -> None:
    """Decide about every version of every package; one that cannot be judged is a problem, not the end."""
    for package, versions in found:
        try:
            run.judged.append(judge_of.judge(package, versions))
        except ApiError as refused:
            run.fail(str(package.key), refused, package.key)
    run.stubs += [image.root for judged in run.judged for image in judged.images if image.is_stub]
    run.scope.problems += judge_of.problems


def losing_untagged(run: Run) -> list[PackageName]:
    """The container packages from which something without a tag is about to go."""
    return [
        each.package
        for each in run.judged
        if each.graph is not None
        and any(decision.action is Action.DELETE and not decision.version.image_tags for decision in each.decisions)
    ]


def take_fresh(
    run: Run, found: Found, lists: Mapping[PackageName, list[Version] | ApiError], log: Log
) -> tuple[Found, Found]:
    """Take packages that were read again: everything with the fresh lists, and those of them that have changed.

    What was decided about the changed ones is dropped; where a list is refused nothing goes.
    """
    fresh: list[tuple[Package, list[Version]]] = []
    changed: list[tuple[Package, list[Version]]] = []
    unread: set[PackageName] = set()
    for package, known in found:
        versions = lists.get(package.key, known)
        if isinstance(versions, ApiError):
            unread.add(package.key)
            _note_unread(run, package, versions, log)
            versions = known
        elif {each.id: each for each in versions} != {each.id: each for each in known}:
            changed.append((package, versions))
        fresh.append((package, versions))
    dropped = {package.key for package, _ in changed}
    run.versions = [version for _, versions in fresh for version in versions]
    run.scope.problems = [problem for problem in run.scope.problems if problem.package not in dropped]
    run.judged = [
        replace(each, decisions=tuple(all_kept(each.decisions))) if each.package in unread else each
        for each in run.judged
        if each.package not in dropped
    ]
    return fresh, changed


def plan_version_deletions(run: Run, rules: Rules) -> None:
    """Plan the deletions over all packages."""
    run.plan = plan_deletions(
        [decision for package in run.judged for decision in package.decisions],
        rules.timestamp,
        {package.package: package.graph for package in run.judged if package.graph is not None},
    )


def plan_version_restorations(
    run: Run, found: Found, reader: Reader, *, looks: Looks, rules: Rules, facts: Facts
) -> None:
    """Plan the restorations over all packages; packages with nothing selected are not looked into further."""
    named = rules.inputs.selection.version_ids is not None
    writes: list[PlannedWrite] = []
    decisions: list[Decision] = []
    for package, versions in found:
        judged, stubs = without_stubs(evaluate_restorations(versions, rules, facts))
        run.stubs += stubs
        chosen = [decision.version for decision in judged if decision.action is Action.RESTORE]
        if not chosen:
            decisions += judged
            continue
        try:
            active = still_active(
                package.key,
                reader.versions(package.key),
                looks,
                ids={version.id for version in chosen},
                names={version.name for version in chosen},
                tags={tag for version in chosen for tag in version.image_tags},
            )
        except ApiError as refused:
            run.fail(f"the active versions of {package.key}", refused, package.key)
            continue
        names = ActiveNames.of(active)
        names.tags_known = names.tags_known and not reader.is_incomplete(package.key)
        plan = plan_restorations(judged, names, rules.timestamp, tags_may_move=named)
        writes += plan.writes
        decisions += plan.decisions
    writes.sort(key=lambda write: age_order(write.version, rules.timestamp) if write.version else (True, 0.0, 0))
    run.plan = Plan.of_singles(writes, decisions)


def plan_package_deletions(run: Run) -> None:
    """Plan to delete every package in scope."""
    run.plan = Plan.of_singles(
        PlannedWrite(action=Action.DELETE, reason=Reason.SELECTED, package=package.key)
        for package in run.scope.packages
    )


def list_versions(run: Run, found: Found, images: ImageEvaluator, *, deleted: bool) -> None:
    """List what the selection and the age accept, and decide nothing.

    Manifests are read only when a condition of images is asked for; without that each version stands for itself.
    """
    decisions: list[Decision] = []
    if images.rules.judge_health and not deleted:
        judge(run, found, images)
        decisions = [decision for package in run.judged for decision in package.decisions]
    else:
        for _, versions in found:
            decisions += evaluate_restorations(versions, images.rules, images.facts)
    if deleted:
        decisions, run.stubs = without_stubs(decisions)
    left_out = (Reason.NOT_SELECTED, Reason.TOO_YOUNG, Reason.UNKNOWN_AGE, Reason.NEEDED_BY)
    stubs = {stub.id for stub in run.stubs}
    run.listed = tuple(
        decision
        for decision in decisions
        if not images.rules.select_anything or decision.reason not in left_out or decision.version.id in stubs
    )
    if not deleted and not images.rules.judge_health:
        run.stubs = stubs_among(decision.version for decision in run.listed)


def explain_versions(run: Run, found: Found, images: ImageEvaluator) -> None:
    """List every version with the decision that a deletion would make, from the same manifests."""
    judge(run, found, images)
    decisions = tuple(decision for package in run.judged for decision in package.decisions)
    run.plan = Plan(decisions=decisions)
    run.listed = decisions


def packages_by_name(packages: Iterable[Package]) -> dict[str, list[PackageName]]:
    """Which packages, of whatever type, share a name."""
    by_name: dict[str, list[PackageName]] = {}
    for package in packages:
        by_name.setdefault(package.name.lower(), []).append(package.key)
    return by_name


def warn_about_unseen(run: Run, rules: Rules, log: Log) -> None:
    """Say what the user named and is found nowhere, or is a part of something that stays."""
    if run.scope.packages:
        warn_about_idle_patterns(run.versions, rules, log)
    ids = {version.id for version in run.versions}
    names = {version.name for version in run.versions}
    names |= {digest for package in run.judged for image in package.images for digest in image.missing}
    nowhere = "was found in no package in scope"
    _warn(log, [f"version-ids: {version_id} {nowhere}" for version_id in sorted(rules.version_ids - ids)])
    _warn(log, [f"keep-digests: {display_name(each)} {nowhere}" for each in sorted(rules.lists.digests - names)])
    needed = []
    for decision in run.plan.decisions:
        if decision.version.id in rules.version_ids and decision.reason is Reason.NEEDED_BY:
            root = display_name(decision.root.name) if decision.root else "an image"
            needed.append(f"version-ids: {decision.version.id} stays, since the image {root} needs it")
    _warn(log, needed)


def _warn(log: Log, texts: Sequence[str]) -> None:
    """Warn of several things of one kind: of the first of them, and of how many more there are."""
    for text in texts[:MOST_OF_A_KIND]:
        log.warning(text)
    if len(texts) > MOST_OF_A_KIND:
        log.warning(f"{texts[0].partition(':')[0]}: {len(texts) - MOST_OF_A_KIND} more like these")


def warn_about_unknown_tags(run: Run, log: Log) -> None:
    """Say what is not restored since tags are not known: its own, or those that are in use."""
    left = sum(decision.reason is Reason.UNREADABLE for decision in run.plan.decisions)
    if left:
        log.warning(
            f"{left} versions are not restored, since GitHub does not tell which tags they had, or which are in use by"
            " now. To restore one all the same, name it in version-ids"
        )


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
    for decision in run.plan.decisions:
        version = decision.version
        counts.setdefault(version.package, Counter())[f"{decision.action} {decision.why}"] += 1
        if log.shows_details:
            root = f" ({display_name(decision.root.name)})" if decision.root else ""
            log.debug(
                f"{version.package} {display_name(version.name)} [{', '.join(version.tags)}] (id {version.id}):"
                f" {decision.action} {decision.why}{root}"
            )
    for package, reasons in counts.items():
        shown = ", ".join(f"{number} {reason}" for reason, number in sorted(reasons.items()))
        log.info(f"{package}: {shown}")


def tell_last_images(plan: Plan, log: Log) -> None:
    """Say once for each package what stays, or goes with it, since GitHub would refuse to delete the last version."""
    held: dict[PackageName, list[PlannedWrite]] = {}
    for write in plan.writes:
        if write.action is Action.DELETE and write.refusal is not None:
            held.setdefault(write.package, []).append(write)
    for package, writes in held.items():
        name = display_name(writes[0].version_name)
        tags = f" [{', '.join(writes[0].tags)}]" if writes[0].tags else ""
        log.warning(
            f"{package}: all would go, and GitHub refuses to delete the last version of a package, and the last tagged"
            f" one of a container package. The newest stays: {name}{tags} ({len(writes)} versions). To let the package"
            " go with it, use on-last-version: delete-package"
        )


def execute(
    run: Run, plan: GuardedPlan, executor: Executor, operation: WriteOperation, drift: Drift | None = None
) -> None:
    """Carry out the guarded plan and keep what became of it; nothing is begun in a run that has ended."""
    if run.ended_by is not None:
        run.records += [not_tried(write, run.ended_by) for write in plan.now]
        run.records += [WriteRecord(write=write, outcome=Outcome.OVER_LIMIT) for write in plan.later]
        return
    _keep(run, executor.execute(plan, operation, drift))


def add_writes(run: Run, writes: Iterable[PlannedWrite], executor: Executor, operation: WriteOperation) -> None:
    """Carry out what was found on the way: parts of images that are being restored. No limit cuts an image short."""
    plan = Plan.of_singles(writes)
    run.plan = replace(run.plan, groups=run.plan.groups + plan.groups)
    _keep(run, executor.execute(guard(plan, Guards()), operation, to_the_end=True))


def _keep(run: Run, executed: Executed) -> None:
    run.records += executed.records
    run.ended_by = executed.ended_by


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


def with_restored(versions: list[Version], package: PackageName, records: Iterable[WriteRecord]) -> list[Version]:
    """The versions of a list, and those that were restored and that it does not show yet."""
    listed = {version.id for version in versions}
    return versions + [each for each in restored_versions(records).get(package, []) if each.id not in listed]
