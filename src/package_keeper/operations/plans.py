"""Plans made from lists: of restorations, and of what is still wanted when packages are read again."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial

from package_keeper.errors import ApiError, ApiErrorKind
from package_keeper.execution.facts import FactGatherer, Found
from package_keeper.execution.images import OBSTACLE_KINDS, ImageEvaluator, SeenManifests
from package_keeper.execution.ports import ManifestReader, Reader
from package_keeper.execution.refresh import FreshPlan, Replan
from package_keeper.execution.restorations import still_active
from package_keeper.execution.scope import problem_with
from package_keeper.model.manifest import UnreadableManifest
from package_keeper.model.packages import PackageName, PackageType, Version, age_order
from package_keeper.model.plan import Action, Decision, Plan, PlannedWrite
from package_keeper.model.run import PackageEvaluation, Problem
from package_keeper.policy.evaluation import evaluate_restorations
from package_keeper.policy.guards import hold_back, last_images
from package_keeper.policy.planning import ActiveNames, holders_of, plan_deletions, plan_restorations, without_stubs
from package_keeper.policy.rules import Rules
from package_keeper.policy.selection import Facts


@dataclass(frozen=True, kw_only=True)
class RestorationPlan:
    """The restorations over all packages, the stubs that stay deleted, and what could not be read."""

    plan: Plan
    stubs: tuple[Version, ...]
    problems: tuple[Problem, ...]


def plan_version_restorations(found: Found, reader: Reader, rules: Rules, facts: Facts) -> RestorationPlan:
    """Plan the restorations over all packages. Active versions are read only where something is selected."""
    named = rules.inputs.selection.version_ids is not None
    writes: list[PlannedWrite] = []
    decisions: list[Decision] = []
    stubs: list[Version] = []
    problems: list[Problem] = []
    for package, versions in found:
        decided, its_stubs = without_stubs(evaluate_restorations(versions, rules, facts))
        stubs += its_stubs
        chosen = [decision.version for decision in decided if decision.action is Action.RESTORE]
        if not chosen:
            decisions += decided
            continue
        try:
            active = still_active(
                reader.versions(package.key),
                reader,
                ids={version.id for version in chosen},
                names={version.name for version in chosen},
                tags={tag for version in chosen for tag in version.image_tags},
            )
        except ApiError as error:
            problems.append(problem_with(f"the active versions of {package.key}", error, package.key))
            continue
        names = ActiveNames.of(active)
        names.tags_known = names.tags_known and not reader.is_incomplete(package.key)
        plan = plan_restorations(decided, names, rules.timestamp, tags_may_move=named)
        writes += plan.writes
        decisions += plan.decisions
    writes.sort(key=lambda write: age_order(write.version, rules.timestamp) if write.version else (True, 0.0, 0))
    return RestorationPlan(plan=Plan.of_singles(writes, decisions), stubs=tuple(stubs), problems=tuple(problems))


@dataclass(frozen=True)
class Rereader:
    """Reads packages again. `found` is everything that was read at first: SQL sees all packages of the run."""

    reader: Reader
    facts: FactGatherer
    found: Found

    def deletions(self, rules: Rules, registry: ManifestReader, seen: SeenManifests) -> Replan:
        """How to find out what the rules delete now. `seen` are the manifests that the first reading gave."""
        evaluator = ImageEvaluator(rules=rules, registry=registry, reader=self.reader, log=self.facts.log, seen=seen)
        return partial(self._deletions, evaluator)

    def _deletions(
        self,
        evaluator: ImageEvaluator,
        packages: Collection[PackageName],
        left_over: Collection[int],
        gone: Collection[int],
    ) -> FreshPlan:
        again, failed = self._read(packages, gone=gone)
        back = self._still_active(again, packages, gone)
        # a version that a list still shows and GitHub has no more is gone; when GitHub does not say, it is there
        again = [
            (package, [each for each in versions if each.id not in gone or back.get(each.id, False) is not False])
            for package, versions in again
        ]
        evaluator = replace(evaluator, facts=self.facts.gather(again), asked_about=frozenset(left_over))
        evaluated, unreadable = _evaluate(
            evaluator, [each for each in again if each[0].key in packages and each[0].key not in failed]
        )
        plan = plan_deletions(
            [decision for each in evaluated for decision in each.decisions],
            evaluator.rules.timestamp,
            {each.package: each.graph for each in evaluated if each.graph is not None},
        )
        # drop whole images that GitHub would refuse by now, since others have deleted what was to stay
        plan = hold_back(plan, last_images(plan))
        wanted = {write.version_id for write in plan.writes} | set(left_over)
        fresh = {each.version.id: (image.graph, each.version) for image in evaluated for each in image.decisions}
        return FreshPlan(
            writes=plan.writes,
            failed=failed | unreadable,
            holders={number: holders_of(*place) for number, place in fresh.items() if number in wanted},
            left_over={number: fresh[number][1] for number in left_over if number in fresh},
            still_there=frozenset(number for number, is_active in back.items() if is_active is True),
            seen_gone=frozenset(number for number in gone if back.get(number, False) is False),
        )

    def restorations(self, rules: Rules) -> Replan:
        """How to find out what is to be restored now."""

        def replan(packages: Collection[PackageName], left_over: Collection[int], gone: Collection[int]) -> FreshPlan:
            del left_over, gone  # what is restored stands alone
            again, failed = self._read(packages, deleted=True)
            wanted = [each for each in again if each[0].key in packages]
            fresh = plan_version_restorations(wanted, self.reader, rules, self.facts.gather(again))
            failed |= {each.package: each.error for each in fresh.problems if each.package is not None}
            return FreshPlan(writes=fresh.plan.writes, failed=failed)

        return replan

    def _read(
        self, packages: Collection[PackageName], *, deleted: bool = False, gone: Collection[int] = ()
    ) -> tuple[Found, dict[PackageName, ApiError]]:
        """All versions, those of `packages` read again, and the packages that could not be read."""
        self.facts.forget()
        seen = {
            package.key: {version.id for version in known}
            for package, known in self.found
            if package.type is PackageType.CONTAINER and not deleted
        }
        lists = self.reader.versions_of(packages, deleted=deleted, seen=seen, gone=frozenset(gone))
        failed = {key: versions for key, versions in lists.items() if isinstance(versions, ApiError)}
        again = []
        for package, known in self.found:
            versions = lists.get(package.key)
            again.append((package, known if versions is None or isinstance(versions, ApiError) else versions))
        return again, failed

    def _still_active(
        self, found: Found, packages: Collection[PackageName], gone: Collection[int]
    ) -> dict[int, bool | ApiError]:
        """Of the deleted versions that fresh lists still show, which are there, and not only in a list that lags."""
        listed = {
            version.id: package.key
            for package, versions in found
            if package.key in packages
            for version in versions
            if version.id in gone
        }
        return dict(self.reader.are_active(listed))


def _evaluate(evaluator: ImageEvaluator, found: Found) -> tuple[list[PackageEvaluation], dict[PackageName, ApiError]]:
    """The packages that can be evaluated, and why the others cannot. One unreadable manifest speaks for its package."""
    evaluated: list[PackageEvaluation] = []
    failed: dict[PackageName, ApiError] = {}
    for package, versions in found:
        try:
            evaluated.append(evaluator.evaluate(package, versions))
        except ApiError as error:
            failed[package.key] = error
    failed.update((each.package, _unreadable(each.unreadable)) for each in evaluated if each.unreadable)
    return evaluated, failed


def _unreadable(manifests: Sequence[UnreadableManifest]) -> ApiError:
    """What prevents the evaluation of a package. A registry that failed says more than lost content."""
    failed = next((each for each in manifests if each.obstacle in OBSTACLE_KINDS), None)
    if failed is None:
        return ApiError(ApiErrorKind.UNREADABLE, "not all manifests can be read any more")
    return ApiError(OBSTACLE_KINDS[failed.obstacle], f"not all manifests can be read: {failed.why}")
