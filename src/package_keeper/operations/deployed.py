"""`keep-deployed`: ask for the deployment records of the images that would go (docs/reference.md, "keep-deployed").

Only their digests are asked for, each once, and no further than `limit` reaches. A question without an answer keeps its
image. GitHub answers 404 both when it has no record and when the token may not know. So a 404 counts only in a run in
which another digest was answered.
"""

from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct, field
from msgspec.structs import replace

from package_keeper.errors import ApiError, BadInput, NotAuthorized
from package_keeper.execution.facts import Found
from package_keeper.execution.ports import ReadDeployments
from package_keeper.execution.wording import few
from package_keeper.model.evidence import DeploymentRecord, Use
from package_keeper.model.images import Image
from package_keeper.model.packages import OwnerType, PackageType, Timestamp, age_order, display_name
from package_keeper.model.plan import Action, Decision, Plan, PlannedWrite, Reason
from package_keeper.model.run import PackageEvaluation
from package_keeper.operations.context import Context
from package_keeper.operations.plans import PlanOf
from package_keeper.policy.evaluation import keep_used
from package_keeper.policy.guards import Guards, guard

MOST_PROBES = 5
"""How many images that stay are asked for, to find out whether GitHub answers at all."""

PERMISSION = (
    "keep-deployed: GitHub answers no question about deployment records, so nobody knows what is deployed, and nothing"
    " was written. The token needs artifact-metadata: read; in a workflow:\n"
    "permissions:\n  artifact-metadata: read\n  contents: read\n  packages: write"
)


def keep_deployed(
    context: Context, packages: Sequence[PackageEvaluation], plan_of: PlanOf
) -> tuple[PackageEvaluation, ...]:
    """Keep what is deployed of the images that `plan_of` would delete.

    Raises `BadInput` for an owner without deployment records, `NotAuthorized` when GitHub answers no question, and
    `OutOfTime`.
    """
    read = context.facts.read_deployments
    if not context.rules.lists.deployed or read is None:
        return tuple(packages)
    if context.owner.type is not OwnerType.ORGANIZATION:
        raise BadInput(
            [f"keep-deployed: 'true': only organizations have deployment records, and {context.owner.login} is none"]
        )
    asking = _Asking(read=read)
    # what is deployed does not count for max-delete-percent, which is looked at later
    limits = replace(context.settings.guards, max_delete_percent=100)
    found = list(packages)
    # what stays makes room for others within the limit, so ask until nothing new would go
    while images := [image for image in _going(plan_of(found), limits, found) if image.root not in asking.asked]:
        uses = asking.ask(images)
        context.facts.deployed.update(uses)
        found = [keep_used(package, uses) for package in found]
    asking.find_out_whether_it_answers(_staying(found))
    _tell(context, asking, found)
    return tuple(found)


class _Questions(Struct, frozen=True, kw_only=True):
    """The id of the root of an image, and the digests to ask for: its own, and those that a pull needs."""

    root: int
    digests: tuple[str, ...]


def _going(plan: Plan, limits: Guards, packages: Iterable[PackageEvaluation]) -> Iterator[_Questions]:
    """The container images that this run would delete, oldest first."""
    guarded = guard(plan, limits)
    roots = {write.version_id for write in (*guarded.now, *guarded.with_package) if _deletes_a_root(write)}
    places = {image.root.id: (package, image) for package in packages for image in package.images}
    for write in guarded.plan.writes:
        if write.version_id in roots and write.version_id in places:
            package, image = places[write.version_id]
            yield _questions(package, image)


def _deletes_a_root(write: PlannedWrite) -> bool:
    return write.package.type is PackageType.CONTAINER and write.action is Action.DELETE and write.expected is None


def _questions(package: PackageEvaluation, image: Image) -> _Questions:
    graph, root = package.graph, image.root.name
    pulled = [part.name for part in image.parts if graph is not None and graph.lists(root, part.name)]
    return _Questions(root=image.root.id, digests=tuple(dict.fromkeys((root, *pulled))))


class _Asking(Struct, kw_only=True):
    """The questions of one run, and their answers."""

    read: ReadDeployments
    asked: set[int] = field(default_factory=set)
    """The roots of the images that were asked for."""
    answers: dict[str, Sequence[DeploymentRecord] | ApiError] = field(default_factory=dict)

    def ask(self, images: Sequence[_Questions]) -> dict[int, Use]:
        """Ask for images. Return those that stay, by the ids of their roots."""
        self.asked.update(image.root for image in images)
        new = dict.fromkeys(digest for image in images for digest in image.digests if digest not in self.answers)
        self.answers.update(self.read(new))
        return {image.root: use for image in images if (use := self._use(image)) is not None}

    def _use(self, image: _Questions) -> Use | None:
        """Why an image stays, or `None`. A 404 counts as no record here, and is looked at in the end."""
        answers = [self.answers[digest] for digest in image.digests]
        for records in answers:
            if not isinstance(records, ApiError):
                for record in records:
                    if record.is_use:
                        return Use(reason=Reason.KEEP_DEPLOYED, where=str(record))
        unknown = any(isinstance(answer, ApiError) and answer.status != 404 for answer in answers)
        return Use(reason=Reason.UNKNOWN_USE) if unknown else None

    @property
    def is_answered(self) -> bool:
        """Whether GitHub answered any question."""
        return any(not isinstance(answer, ApiError) for answer in self.answers.values())

    def errors(self, *statuses: int) -> list[ApiError]:
        """The errors with one of these statuses."""
        errors = [answer for answer in self.answers.values() if isinstance(answer, ApiError)]
        return [error for error in errors if error.status in statuses]

    def find_out_whether_it_answers(self, digests: Iterable[str]) -> None:
        """Make sure that a 404 means that there is no record, by asking for `digests` too until one is answered.

        Raises `NotAuthorized` when GitHub answers no question.
        """
        if not self.answers or self.is_answered:
            return
        not_found, forbidden = self.errors(404), self.errors(403)
        if not_found:
            for digest in digests:
                self.answers.update(self.read([digest]))
                if not isinstance(self.answers[digest], ApiError):
                    return
        if not_found or len(forbidden) == len(self.answers):
            said = f"\nGitHub says: {forbidden[0]}" if forbidden else ""
            raise NotAuthorized(f"{PERMISSION}{said}")


def _staying(packages: Iterable[PackageEvaluation]) -> list[str]:
    """The digests of the newest images that stay."""
    containers = [package for package in packages if package.package.type is PackageType.CONTAINER]
    roots = {image.root.id for package in containers for image in package.images}
    decisions = [decision for package in containers for decision in package.decisions]
    kept = [each.version for each in decisions if each.action is Action.KEEP and each.version.id in roots]
    kept.sort(key=lambda version: age_order(version, Timestamp.UPDATED), reverse=True)
    return [version.name for version in kept[:MOST_PROBES]]


def _tell(context: Context, asking: _Asking, packages: Iterable[PackageEvaluation]) -> None:
    """Log what was asked, what stays, and why some questions have no answer."""
    decisions = [each for package in packages for each in package.decisions if each.version.id in asking.asked]
    deployed = [each for each in decisions if each.reason is Reason.KEEP_DEPLOYED]
    for decision in deployed:
        context.log.debug(f"{decision.version.package} {display_name(decision.version.name)}: {decision.where}")
    if asking.asked:
        context.log.info(
            f"keep-deployed: images asked for: {len(asking.asked)}, digests: {len(asking.answers)}; deployed:"
            f" {len(deployed)}"
        )
    _tell_unanswered(context, asking, [each for each in decisions if each.reason is Reason.UNKNOWN_USE])


def _tell_unanswered(context: Context, asking: _Asking, kept: Sequence[Decision]) -> None:
    errors = [each for each in asking.answers.values() if isinstance(each, ApiError) and each.status != 404]
    if not kept or not errors:
        return
    remedy = f"\n{PERMISSION.partition('. ')[2]}" if errors[0].status == 403 else ""
    names = few(display_name(each.version.name) for each in kept)
    context.log.warning(
        f"keep-deployed: {len(kept)} images stay ({names}), since GitHub did not say whether they are deployed:"
        f" {errors[0]}{remedy}"
    )


def deployed_packages(context: Context, found: Found) -> set[int]:
    """The ids of the versions of whole packages that are deployed, or of which nobody knows it. Raises as above."""
    read = context.facts.read_deployments
    if not context.rules.lists.deployed or read is None:
        return set()
    asking = _Asking(read=read)
    versions = [each for package, several in found for each in several if package.type is PackageType.CONTAINER]
    uses = asking.ask([_Questions(root=version.id, digests=(version.name,)) for version in versions])
    asking.find_out_whether_it_answers(())
    return set(uses)
