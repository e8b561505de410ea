"""Evaluates packages, with container packages as images, and checks the remaining images after a run."""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet

from msgspec import Struct, field
from msgspec.structs import replace

from package_keeper.errors import ApiError, ApiErrorKind
from package_keeper.execution.image_reading import Manifests, read_for_deletion
from package_keeper.execution.ports import Log, ManifestReader, Reader
from package_keeper.execution.wording import FEW, few
from package_keeper.model.images import Condition, Graph, Image, independent_images
from package_keeper.model.manifest import Manifest, Obstacle, UnreadableManifest
from package_keeper.model.packages import Package, PackageName, PackageType, Version, display_name
from package_keeper.model.plan import Action, Decision, Reason, WriteRecord, gone_versions
from package_keeper.model.run import PackageEvaluation, Problem
from package_keeper.policy.evaluation import Evaluation
from package_keeper.policy.rules import Rules
from package_keeper.policy.selection import NO_FACTS, Facts

OBSTACLE_KINDS = {Obstacle.FORBIDDEN: ApiErrorKind.NO_PERMISSION, Obstacle.UNREACHABLE: ApiErrorKind.UNREACHABLE}
"""Obstacles that are errors of the run. If the registry lacks a manifest, that is a state of the package."""

_REMEDIES = {
    Obstacle.CONTENT: "Push the image anew",
    Obstacle.FORBIDDEN: "Give the token access to the package in the registry (packages: read)",
    Obstacle.UNREACHABLE: "Try again later",
}

SeenManifests = dict[PackageName, dict[str, Manifest]]
"""The manifests that this run has read, by package and digest."""


class ImageEvaluator(Struct, frozen=True, kw_only=True):
    """Evaluates the rules for the versions of packages, and reads the manifests of containers as needed.

    `asked_about` are versions that no rule selects, but whose holders must be known. `seen` collects the manifests that
    were read.
    """

    rules: Rules
    registry: ManifestReader
    reader: Reader
    log: Log
    facts: Facts = NO_FACTS
    asked_about: frozenset[int] = frozenset()
    seen: SeenManifests = field(default_factory=dict)

    def evaluate(self, package: Package, versions: list[Version]) -> PackageEvaluation:
        """Decide about every version of one package. Raises `ApiError`."""
        evaluation = Evaluation(self.rules, self.facts)
        # if GitHub does not list all versions, an unlisted one may need any other: keep everything, read no manifest
        keeps_all = self.rules.writing and self.reader.is_incomplete(package.key)
        if package.type is not PackageType.CONTAINER or self.rules.raw or keeps_all:
            alone = independent_images(versions)
            decisions = evaluation.deletions(alone)
            self._tell_unknown_tags(package, decisions)
            if keeps_all:
                decisions = all_kept(decisions)
            elif package.type is PackageType.CONTAINER:
                self._warn_about_raw(package, versions, decisions)
            return PackageEvaluation(package=package.key, images=tuple(alone), decisions=tuple(decisions))
        seen = self.seen.setdefault(package.key, {})
        manifests = Manifests(package.key, versions, self.registry, seen.values())
        read_for_deletion(manifests, versions, evaluation.candidates(versions), self.asked_about)
        seen.update(manifests.read)
        graph = Graph(versions, manifests.read)
        images = graph.images()
        decisions = evaluation.deletions(images)
        self._tell_unknown_tags(package, decisions)
        problems: list[Problem] = []
        if manifests.unreadable and any(decision.action is Action.DELETE for decision in decisions):
            problems = self._tell_unreadable(package, manifests, decisions)
            # an unreadable manifest may need any other version
            decisions = [_kept(decision, Reason.UNREADABLE) for decision in decisions]
        decisions = self._confirmed(package, images, decisions)
        return PackageEvaluation(
            package=package.key,
            images=tuple(images),
            decisions=tuple(decisions),
            graph=graph,
            unreadable=tuple(manifests.unreadable.values()),
            problems=tuple(problems),
        )

    def _tell_unknown_tags(self, package: Package, decisions: Iterable[Decision]) -> None:
        """Warn of versions that stay because GitHub does not tell their tags."""
        kept = [
            str(decision.version.id)
            for decision in decisions
            if decision.reason is Reason.UNREADABLE and not decision.version.tags_known
        ]
        if kept and self.rules.writing:
            self.log.warning(
                f"{package.key}: {len(kept)} versions stay, since GitHub does not tell their tags (ids"
                f" {few(kept)}). To delete one all the same, name it in version-ids"
            )

    def _warn_about_raw(self, package: Package, versions: list[Version], decisions: list[Decision]) -> None:
        """Warn of tagged images that a raw deletion breaks."""
        going = {decision.version.id for decision in decisions if decision.action is Action.DELETE}
        if not going:
            return
        manifests = Manifests(package.key, versions, self.registry)
        manifests.take(version.name for version in versions if version.image_tags and version.id not in going)
        for image in Graph(versions, manifests.read).images():
            lost = [part for part in image.parts if part.id in going]
            if lost and image.is_tagged and image.root.id not in going:
                self.log.warning(
                    f"{package.key}: images: raw takes {', '.join(display_name(part.name) for part in lost)} out of the"
                    f" image {display_name(image.root.name)} [{', '.join(image.root.image_tags)}], which can then no"
                    " longer be pulled whole"
                )

    def _tell_unreadable(self, package: Package, manifests: Manifests, decisions: list[Decision]) -> list[Problem]:
        """Say why nothing is deleted. Return the problems that are errors of the run."""
        by_obstacle: dict[Obstacle, list[UnreadableManifest]] = {}
        for unreadable in manifests.unreadable.values():
            by_obstacle.setdefault(unreadable.obstacle, []).append(unreadable)
        problems: list[Problem] = []
        for obstacle, several in by_obstacle.items():
            digests = [unreadable.digest for unreadable in several]
            shown = set(digests[:FEW])
            ids = ",".join(str(decision.version.id) for decision in decisions if decision.version.name in shown)
            text = (
                f"nothing is deleted, since {few(map(display_name, digests))} cannot be read ({several[0].why})"
                f" and may need any other version. {_REMEDIES[obstacle]}, or delete it: version-ids: {ids} with"
                " images: raw"
            )
            kind = OBSTACLE_KINDS.get(obstacle)
            if kind is None:
                self.log.warning(f"{package.key}: {text}")
            else:
                problems.append(Problem(what=str(package.key), error=ApiError(kind, text), package=package.key))
        return problems

    def _confirmed(self, package: Package, images: Sequence[Image], decisions: list[Decision]) -> list[Decision]:
        """Before deleting images because something is missing, check that with a fresh list and the registry."""
        if not self.rules.depend_on_health:
            return decisions
        by_root = {image.root.id: image for image in images}
        going = {decision.version.id for decision in decisions if decision.action is Action.DELETE}
        lacks = {
            image.root.id: (*image.missing, *image.lost_subjects)
            for image in images
            if image.root.id in going and image.condition is not Condition.WHOLE
        }
        if not lacks:
            return decisions
        doubtful = self._not_missing(package, lacks)
        if doubtful:
            self.log.warning(
                f"{package.key}: {len(doubtful)} images stay: a second look found what seemed to be missing"
            )
        spared = doubtful | {part.id for root in doubtful for part in by_root[root].parts}
        return [
            _kept(decision, Reason.NOT_SELECTED) if decision.version.id in spared else decision
            for decision in decisions
        ]

    def _not_missing(self, package: Package, lacks: Mapping[int, Sequence[str]]) -> set[int]:
        """Return the images of which something that seemed to be missing exists. Raises `ApiError`."""
        fresh = {version.name for version in self.reader.versions(package.key)}
        found = {
            digest
            for digest in dict.fromkeys(digest for digests in lacks.values() for digest in digests)
            if digest in fresh or self.registry.exists(package.key, digest)
        }
        return {root for root, digests in lacks.items() if not found.isdisjoint(digests)}


class LastLook(Struct, frozen=True, kw_only=True):
    """What a check after the run found.

    `broken` are the remaining images that lack parts, by package and digest, each with the digests that it lacks.
    `still_there` are the ids of versions that GitHub still has although it confirmed their deletion.
    `packages` are those that were read.
    """

    broken: Mapping[tuple[PackageName, str], Sequence[str]] = field(default_factory=dict)
    still_there: frozenset[int] = frozenset()
    packages: frozenset[PackageName] = frozenset()


def look_after(
    packages: Iterable[PackageEvaluation], records: Sequence[WriteRecord], reader: Reader, registry: ManifestReader
) -> LastLook:
    """Compare fresh lists with the manifests that were read: which images lack a part now?

    Images that were pushed meanwhile are read too, since they may need a version that this run deleted. An image whose
    root GitHub did not delete after all counts as well. A package is not read when no part of it was deleted and no
    remaining image has parts. Raises `ApiError`.
    """
    gone = gone_versions(records)
    parts = {record.write.version_id for record in records if record.write.root is not None} & gone
    broken: dict[tuple[PackageName, str], Sequence[str]] = {}
    still_there: set[int] = set()
    looked_at: set[PackageName] = set()
    for package in packages:
        deleted = {each.version.id for each in package.decisions if each.version.id in gone}
        if deleted & parts or (deleted and _keeps_parts(package, gone)):
            lost, there = _look_at(package, deleted, gone, reader, registry)
            broken |= {(package.package, root): digests for root, digests in lost.items() if digests}
            still_there |= there
            looked_at.add(package.package)
    return LastLook(broken=broken, still_there=frozenset(still_there), packages=frozenset(looked_at))


def _look_at(
    package: PackageEvaluation,
    deleted: AbstractSet[int],
    gone: AbstractSet[int],
    reader: Reader,
    registry: ManifestReader,
) -> tuple[dict[str, list[str]], set[int]]:
    """What the images of one package lack, by digest, and which of the `gone` versions are still there."""
    known = {decision.version.id for decision in package.decisions}
    listed = reader.versions_of([package.package], seen={package.package: known}, gone=gone)[package.package]
    if isinstance(listed, ApiError):
        if listed.kind is ApiErrorKind.NOT_FOUND:
            # the package itself is gone, with all its images
            return {}, set()
        raise listed
    active = reader.are_active({version.id: version.package for version in listed if version.id in gone})
    there = {version_id for version_id, is_active in active.items() if is_active is True}
    fresh = [version for version in listed if version.id not in gone or version.id in there]
    return _lost_parts(package, fresh, reader, gone) | _lost_to_newcomers(package, fresh, registry, deleted), there


def _keeps_parts(package: PackageEvaluation, gone: AbstractSet[int]) -> bool:
    """Whether an image with parts remains in the package."""
    return any(image.parts and image.root.id not in gone for image in package.images)


def _lost_parts(
    package: PackageEvaluation, fresh: Sequence[Version], reader: Reader, gone: AbstractSet[int]
) -> dict[str, list[str]]:
    """For each image that existed before, the parts that are gone. A list may lag behind, so ask about each part."""
    names = {version.name for version in fresh}
    staying = [image for image in package.images if image.root.name in names]
    absent = {part.id: part for image in staying for part in image.parts if part.name not in names}
    there = reader.are_active({part.id: part.package for part in absent.values() if part.id not in gone})
    names.update(absent[number].name for number, is_active in there.items() if is_active is True)
    return {image.root.name: [part.name for part in image.parts if part.name not in names] for image in staying}


def _lost_to_newcomers(
    package: PackageEvaluation, fresh: Sequence[Version], registry: ManifestReader, deleted: AbstractSet[int]
) -> dict[str, list[str]]:
    """For each image that was pushed meanwhile, the versions that it needs and that this run deleted."""
    known = {decision.version.id: decision.version for decision in package.decisions}
    newcomers = [version for version in fresh if version.id not in known]
    manifests = Manifests(package.package, fresh, registry)
    manifests.take(version.name for version in newcomers if version.image_tags)
    manifests.take_unknown(newcomers)
    taken = {known[number].name for number in deleted} - {version.name for version in fresh}
    return {
        image.root.name: [digest for digest in image.missing if digest in taken]
        for image in Graph(fresh, manifests.read).images()
        if image.root.id not in known
    }


def all_kept(decisions: Iterable[Decision]) -> list[Decision]:
    """The same decisions, but nothing is deleted or untagged, since the list of versions is incomplete."""
    return [
        decision
        if decision.action is Action.KEEP
        else replace(decision, action=Action.KEEP, reason=Reason.UNREADABLE, root=None, untag=())
        for decision in decisions
    ]


def _kept(decision: Decision, reason: Reason) -> Decision:
    if decision.action is not Action.DELETE:
        return decision
    return replace(decision, action=Action.KEEP, reason=reason, root=None)
