"""What a fresh look gives: packages read and judged again, for a run that goes on for long (`drift`)."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from package_keeper.decisions.plan import holders_of, plan_deletions
from package_keeper.decisions.rules import Rules
from package_keeper.errors import Refusal, RefusalKind
from package_keeper.execution.drift import FreshPlan, Replan
from package_keeper.execution.evidence import Evidence, Found
from package_keeper.execution.image_reading import ManifestReader
from package_keeper.execution.images import OBSTACLE_KINDS, ImageJudge, Judged
from package_keeper.execution.ports import Looks, Reader
from package_keeper.execution.run import Run, plan_version_restorations
from package_keeper.inventory.manifest import UnreadableManifest
from package_keeper.inventory.package import PackageName
from package_keeper.inventory.version import Version


@dataclass(frozen=True)
class Replanning:
    """Reads packages again. `found` is everything that was read at first: SQL sees all packages of the run."""

    reader: Reader
    evidence: Evidence
    found: Found

    def deletions(self, rules: Rules, registry: ManifestReader) -> Replan:
        """How to find out what the rules delete now."""

        def replan(packages: Collection[PackageName], left_over: Collection[int], gone: Collection[int]) -> FreshPlan:
            again, refused = self._read(packages, gone=gone)
            judge = ImageJudge(
                rules=rules,
                registry=registry,
                reader=self.reader,
                log=self.evidence.log,
                facts=self.evidence.gather(again),
                asked_about=frozenset(left_over),
            )
            judged: list[Judged] = []
            for package, versions in again:
                if package.key in packages and package.key not in refused:
                    try:
                        judged.append(judge.judge(package, versions))
                    except Refusal as refusal:
                        refused[package.key] = refusal
            plan = plan_deletions(
                [judgement for each in judged for judgement in each.judgements],
                rules.timestamp,
                {each.package: each.graph for each in judged if each.graph is not None},
            )
            refused.update((each.package, _unreadable(each.unreadable)) for each in judged if each.unreadable)
            wanted = {write.version_id for write in plan.writes} | set(left_over)
            fresh = {each.version.id: each.version for image in judged for each in image.judgements}
            return FreshPlan(
                writes=plan.writes,
                refused=refused,
                holders={
                    each.version.id: holders_of(image.graph, each.version)
                    for image in judged
                    for each in image.judgements
                    if each.version.id in wanted
                },
                left_over={number: fresh[number] for number in left_over if number in fresh},
            )

        return replan

    def restorations(self, rules: Rules, looks: Looks) -> Replan:
        """How to find out what is to be restored now."""

        def replan(packages: Collection[PackageName], left_over: Collection[int], gone: Collection[int]) -> FreshPlan:
            del left_over, gone  # what is restored stands alone
            again, refused = self._read(packages, deleted=True)
            fresh = Run()
            wanted = [each for each in again if each[0].key in packages]
            plan_version_restorations(
                fresh, wanted, self.reader, looks=looks, rules=rules, facts=self.evidence.gather(again)
            )
            refused.update((each.package, each.refusal) for each in fresh.scope.problems if each.package is not None)
            return FreshPlan(writes=fresh.plan.writes, refused=refused)

        return replan

    def _read(
        self, packages: Collection[PackageName], *, deleted: bool = False, gone: Collection[int] = ()
    ) -> tuple[Found, dict[PackageName, Refusal]]:
        """All versions, those of `packages` fresh; and which of these could not be read."""
        self.evidence.forget()
        lists = self.reader.versions_of(packages, deleted=deleted)
        refused = {key: versions for key, versions in lists.items() if isinstance(versions, Refusal)}
        again = []
        for package, known in self.found:
            versions = lists.get(package.key)
            if versions is None or isinstance(versions, Refusal):
                again.append((package, known))
            else:
                again.append((package, [each for each in versions if each.id not in gone or self._is_back(each)]))
        return again, refused

    def _is_back(self, version: Version) -> bool:
        """Whether a version that this run deleted is there again, and not only in a list that lags behind."""
        try:
            self.reader.version(version.package, version.id)
        except Refusal as refused:
            return refused.kind is not RefusalKind.NOT_FOUND
        return True


def _unreadable(manifests: Sequence[UnreadableManifest]) -> Refusal:
    """What stands in the way of judging a package; that the registry failed says more than that something is lost."""
    failed = next((each for each in manifests if each.obstacle in OBSTACLE_KINDS), None)
    if failed is None:
        return Refusal(RefusalKind.UNREADABLE, "not all manifests can be read any more")
    return Refusal(OBSTACLE_KINDS[failed.obstacle], f"not all manifests can be read: {failed.why}")
