"""What a fresh look gives: packages read and judged again, for a run that goes on for long (`drift`)."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial

from package_keeper.errors import ApiError, ApiErrorKind
from package_keeper.execution.facts import FactGatherer, Found
from package_keeper.execution.image_reading import ManifestReader
from package_keeper.execution.images import OBSTACLE_KINDS, ImageEvaluator, PackageEvaluation, SeenManifests
from package_keeper.execution.ports import Looks, Reader
from package_keeper.execution.refresh import FreshPlan, Replan
from package_keeper.execution.run import Run, plan_version_restorations
from package_keeper.model.manifest import UnreadableManifest
from package_keeper.model.packages import PackageName, PackageType
from package_keeper.policy.guards import hold_back, last_images
from package_keeper.policy.planning import holders_of, plan_deletions
from package_keeper.policy.rules import Rules


@dataclass(frozen=True)
class Replanning:
    """Reads packages again. `found` is everything that was read at first: SQL sees all packages of the run."""

    reader: Reader
    facts: FactGatherer
    found: Found

    def deletions(self, rules: Rules, registry: ManifestReader, seen: SeenManifests) -> Replan:
        """How to find out what the rules delete now. `seen` are the manifests that the first reading gave."""
        judge = ImageEvaluator(rules=rules, registry=registry, reader=self.reader, log=self.facts.log, seen=seen)
        return partial(self._deletions, judge)

    def _deletions(
        self,
        judge: ImageEvaluator,
        packages: Collection[PackageName],
        left_over: Collection[int],
        gone: Collection[int],
    ) -> FreshPlan:
        again, refused = self._read(packages, gone=gone)
        back = self._still_active(again, packages, gone)
        # what a list still shows and GitHub has no more is gone; where that cannot be told it is there
        again = [
            (package, [each for each in versions if each.id not in gone or back.get(each.id, False) is not False])
            for package, versions in again
        ]
        judge = replace(judge, facts=self.facts.gather(again), asked_about=frozenset(left_over))
        judged, unjudged = _judged(
            judge, [each for each in again if each[0].key in packages and each[0].key not in refused]
        )
        plan = plan_deletions(
            [decision for each in judged for decision in each.decisions],
            judge.rules.timestamp,
            {each.package: each.graph for each in judged if each.graph is not None},
        )
        # what GitHub would refuse by now, since others have deleted what was to stay, is dropped whole
        plan = hold_back(plan, last_images(plan))
        wanted = {write.version_id for write in plan.writes} | set(left_over)
        fresh = {each.version.id: (image.graph, each.version) for image in judged for each in image.decisions}
        return FreshPlan(
            writes=plan.writes,
            refused=refused | unjudged,
            holders={number: holders_of(*place) for number, place in fresh.items() if number in wanted},
            left_over={number: fresh[number][1] for number in left_over if number in fresh},
            still_there=frozenset(number for number, is_active in back.items() if is_active),
            seen_gone=frozenset(number for number in gone if back.get(number, False) is False),
        )

    def restorations(self, rules: Rules, looks: Looks) -> Replan:
        """How to find out what is to be restored now."""

        def replan(packages: Collection[PackageName], left_over: Collection[int], gone: Collection[int]) -> FreshPlan:
            del left_over, gone  # what is restored stands alone
            again, refused = self._read(packages, deleted=True)
            fresh = Run()
            wanted = [each for each in again if each[0].key in packages]
            plan_version_restorations(
                fresh, wanted, self.reader, looks=looks, rules=rules, facts=self.facts.gather(again)
            )
            refused.update((each.package, each.refusal) for each in fresh.scope.problems if each.package is not None)
            return FreshPlan(writes=fresh.plan.writes, refused=refused)

        return replan

    def _read(
        self, packages: Collection[PackageName], *, deleted: bool = False, gone: Collection[int] = ()
    ) -> tuple[Found, dict[PackageName, ApiError]]:
        """All versions, those of `packages` fresh; and which of these could not be read."""
        self.facts.forget()
        seen = {
            package.key: {version.id for version in known}
            for package, known in self.found
            if package.type is PackageType.CONTAINER and not deleted
        }
        lists = self.reader.versions_of(packages, deleted=deleted, seen=seen, gone=frozenset(gone))
        refused = {key: versions for key, versions in lists.items() if isinstance(versions, ApiError)}
        again = []
        for package, known in self.found:
            versions = lists.get(package.key)
            again.append((package, known if versions is None or isinstance(versions, ApiError) else versions))
        return again, refused

    def _still_active(
        self, found: Found, packages: Collection[PackageName], gone: Collection[int]
    ) -> dict[int, bool | None]:
        """Of the deleted versions that fresh lists still show, which are there, and not only in a list that lags."""
        listed = [
            version
            for package, versions in found
            if package.key in packages
            for version in versions
            if version.id in gone
        ]
        return dict(self.reader.are_active(listed))


def _judged(judge: ImageEvaluator, found: Found) -> tuple[list[PackageEvaluation], dict[PackageName, ApiError]]:
    """The packages that can be judged, and why the others cannot; what is unreadable in a package speaks for all."""
    judged: list[PackageEvaluation] = []
    refused: dict[PackageName, ApiError] = {}
    for package, versions in found:
        try:
            judged.append(judge.judge(package, versions))
        except ApiError as refusal:
            refused[package.key] = refusal
    refused.update((each.package, _unreadable(each.unreadable)) for each in judged if each.unreadable)
    return judged, refused


def _unreadable(manifests: Sequence[UnreadableManifest]) -> ApiError:
    """What stands in the way of judging a package; that the registry failed says more than that something is lost."""
    failed = next((each for each in manifests if each.obstacle in OBSTACLE_KINDS), None)
    if failed is None:
        return ApiError(ApiErrorKind.UNREADABLE, "not all manifests can be read any more")
    return ApiError(OBSTACLE_KINDS[failed.obstacle], f"not all manifests can be read: {failed.why}")
