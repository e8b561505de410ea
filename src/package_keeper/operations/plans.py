"""Plans restorations, and plans again after a refresh."""

from collections.abc import Callable, Collection, Sequence
from functools import partial

from msgspec import Struct
from msgspec.structs import replace

from package_keeper.errors import ApiError, ApiErrorKind, PackageKeeperError
from package_keeper.execution.facts import FactGatherer, Found
from package_keeper.execution.images import OBSTACLE_KINDS, ImageEvaluator, SeenManifests
from package_keeper.execution.ports import ManifestReader, Reader
from package_keeper.execution.refresh import FreshPlan, Replan
from package_keeper.execution.restorations import still_active
from package_keeper.execution.scope import attempt_each
from package_keeper.model.manifest import UnreadableManifest
from package_keeper.model.packages import Package, PackageName, PackageType, Version, age_order
from package_keeper.model.plan import Action, Decision, Plan
from package_keeper.model.run import PackageEvaluation, Problem
from package_keeper.policy.evaluation import evaluate_restorations
from package_keeper.policy.guards import hold_back, last_images
from package_keeper.policy.planning import ActiveNames, holders_of, plan_deletions, plan_restorations, without_stubs
from package_keeper.policy.rules import Rules
from package_keeper.policy.selection import Facts


class RestorationPlan(Struct, frozen=True, kw_only=True):
    """The planned restorations of all packages, the stubs that stay deleted, and what could not be read."""

    plan: Plan
    stubs: tuple[Version, ...]
    problems: tuple[Problem, ...]
    ended_by: PackageKeeperError | None = None


def plan_version_restorations(found: Found, reader: Reader, rules: Rules, facts: Facts) -> RestorationPlan:
    """Plan the restorations of all packages. Read active versions only where a version is selected."""
    evaluated = [without_stubs(evaluate_restorations(versions, rules, facts)) for _, versions in found]
    tried = attempt_each(
        [(package, decided) for (package, _), (decided, _) in zip(found, evaluated, strict=True)],
        lambda each: _plan_restorations(each[0], each[1], reader, rules),
        lambda each: (f"the active versions of {each[0].key}", each[0].key),
    )
    writes = [write for plan in tried.results for write in plan.writes]
    writes.sort(key=lambda write: age_order(write.version, rules.timestamp) if write.version else (True, 0.0, 0))
    return RestorationPlan(
        plan=Plan.of_singles(writes, [decision for plan in tried.results for decision in plan.decisions]),
        stubs=tuple(stub for _, stubs in evaluated for stub in stubs),
        problems=tried.problems,
        ended_by=tried.ended_by,
    )


def _plan_restorations(package: Package, decisions: list[Decision], reader: Reader, rules: Rules) -> Plan:
    """Plan the restorations of one package. Raises `ApiError`."""
    chosen = [decision.version for decision in decisions if decision.action is Action.RESTORE]
    if not chosen:
        return Plan(decisions=tuple(decisions))
    active = still_active(
        reader.versions(package.key),
        reader,
        names={version.name for version in chosen},
        tags={tag for version in chosen for tag in version.image_tags},
    )
    names = ActiveNames.of(active)
    names.tags_known = names.tags_known and not reader.is_incomplete(package.key)
    named = rules.inputs.selection.version_ids is not None
    return plan_restorations(decisions, names, rules.timestamp, tags_may_move=named)


PlanOf = Callable[[Sequence[PackageEvaluation]], Plan]
"""Makes the plan of the decisions about packages."""


def plan_images(packages: Sequence[PackageEvaluation], rules: Rules) -> Plan:
    """Plan the deletions that rules ask for."""
    return plan_deletions(
        [decision for package in packages for decision in package.decisions],
        rules.timestamp,
        {package.package: package.graph for package in packages if package.graph is not None},
    )


class Rereader(Struct, frozen=True):
    """Reads packages again and plans anew. `found` is what was read at first, since SQL sees all packages."""

    reader: Reader
    facts: FactGatherer
    found: Found

    def replan_deletions(self, rules: Rules, registry: ManifestReader, seen: SeenManifests, plan_of: PlanOf) -> Replan:
        """Return the function that plans deletions again. `seen` are the manifests that were read before."""
        evaluator = ImageEvaluator(rules=rules, registry=registry, reader=self.reader, log=self.facts.log, seen=seen)
        return partial(self._deletions, evaluator, plan_of)

    def _deletions(
        self,
        evaluator: ImageEvaluator,
        plan_of: PlanOf,
        packages: Collection[PackageName],
        left_over: Collection[int],
        gone: Collection[int],
    ) -> FreshPlan:
        again, failed = self._read(packages, gone=gone)
        active = self._still_active(again, packages, gone)
        # a listed version that GitHub no longer has is gone; if GitHub does not answer, it counts as active
        again = [
            (package, [each for each in versions if each.id not in gone or active.get(each.id, False) is not False])
            for package, versions in again
        ]
        evaluator = replace(evaluator, facts=self.facts.gather(again), asked_about=frozenset(left_over))
        evaluated, unreadable = _evaluate(
            evaluator, [each for each in again if each[0].key in packages and each[0].key not in failed]
        )
        plan = plan_of(evaluated)
        # hold back images that GitHub would refuse to delete, since others have deleted what was to stay
        plan = hold_back(plan, last_images(plan))
        wanted = {write.version_id for write in plan.writes} | set(left_over)
        fresh = {each.version.id: (image.graph, each.version) for image in evaluated for each in image.decisions}
        return FreshPlan(
            writes=plan.writes,
            failed=failed | unreadable,
            holders={number: holders_of(*place) for number, place in fresh.items() if number in wanted},
            left_over={number: fresh[number][1] for number in left_over if number in fresh},
            still_there=frozenset(number for number, is_active in active.items() if is_active is True),
            seen_gone=frozenset(number for number in gone if active.get(number, False) is False),
        )

    def replan_restorations(self, rules: Rules) -> Replan:
        """Return the function that plans restorations again."""

        def replan(packages: Collection[PackageName], *_: Collection[int]) -> FreshPlan:
            again, failed = self._read(packages, deleted=True)
            wanted = [each for each in again if each[0].key in packages]
            fresh = plan_version_restorations(wanted, self.reader, rules, self.facts.gather(again))
            if fresh.ended_by is not None:
                raise fresh.ended_by
            failed |= {each.package: each.error for each in fresh.problems if each.package is not None}
            return FreshPlan(writes=fresh.plan.writes, failed=failed)

        return replan

    def _read(
        self, packages: Collection[PackageName], *, deleted: bool = False, gone: Collection[int] = ()
    ) -> tuple[Found, dict[PackageName, ApiError]]:
        """Return all versions, with those of `packages` read again, and the packages that could not be read."""
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
        """Ask which deleted versions that a fresh list still shows are really active."""
        listed = {
            version.id: package.key
            for package, versions in found
            if package.key in packages
            for version in versions
            if version.id in gone
        }
        return dict(self.reader.are_active(listed))


def _evaluate(evaluator: ImageEvaluator, found: Found) -> tuple[list[PackageEvaluation], dict[PackageName, ApiError]]:
    """Evaluate packages. Return also why some cannot be evaluated: one unreadable manifest is enough."""
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
    """Return why a package cannot be evaluated. A registry error takes precedence over lost content."""
    failed = next((each for each in manifests if each.obstacle in OBSTACLE_KINDS), None)
    if failed is None:
        return ApiError(ApiErrorKind.UNREADABLE, "not all manifests can be read any more")
    return ApiError(OBSTACLE_KINDS[failed.obstacle], f"not all manifests can be read: {failed.why}")
