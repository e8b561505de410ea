"""The first steps of every operation: find the packages, read their versions, evaluate the rules."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from package_keeper.errors import ApiError, ApiErrorKind, NotAuthorized
from package_keeper.execution.facts import Found, references_here, tell_references
from package_keeper.execution.images import ImageEvaluator, all_kept
from package_keeper.execution.scope import attempt_each, find_packages, problem_with
from package_keeper.model.images import ImageReference
from package_keeper.model.packages import Package, PackageName, PackageType, Version
from package_keeper.model.plan import Action, Decision
from package_keeper.model.run import PackageEvaluation, Run, Scope
from package_keeper.operations.context import Context
from package_keeper.policy.rules import Rules


class Inventory(Struct, frozen=True, kw_only=True):
    """The packages of a run with their versions. `references` are the places in files that protect their images."""

    scope: Scope
    found: Found
    references: tuple[ImageReference, ...] = ()

    @property
    def versions(self) -> list[Version]:
        """All versions of all packages."""
        return [version for _, versions in self.found for version in versions]

    @property
    def run(self) -> Run:
        """The run so far."""
        return Run(scope=self.scope, references=self.references)


class Evaluated(Struct, frozen=True, kw_only=True):
    """An inventory with the decisions of the rules."""

    inventory: Inventory
    packages: tuple[PackageEvaluation, ...]

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """The decisions about all versions."""
        return tuple(decision for package in self.packages for decision in package.decisions)

    @property
    def stubs(self) -> list[Version]:
        """The versions that are stubs."""
        return [image.root for package in self.packages for image in package.images if image.is_stub]


def find(context: Context, types: Sequence[PackageType] | None = None) -> Scope:
    """Find the packages in scope, of all package types of the settings or of `types`."""
    return find_packages(
        context.reader,
        context.log,
        owner=context.owner.login,
        types=context.settings.package_types if types is None else types,
        wanted=context.wanted,
    )


def read(context: Context, scope: Scope, *, deleted: bool = False) -> Inventory:
    """Read the versions of every package in scope. A package that cannot be read becomes a problem of the scope."""
    lists = context.reader.versions_of([package.key for package in scope.packages], deleted=deleted)
    found, scope = _readable([(package, lists[package.key]) for package in scope.packages], scope, context)
    if scope.ended_by is not None:
        return Inventory(scope=scope, found=found)
    for package, versions in found:
        context.log.debug(f"{package.key}: {len(versions)} {'deleted' if deleted else 'active'} versions")
    references = references_here(context.rules.lists.used, scope.packages)
    tell_references(references, found, context.log)
    return Inventory(scope=scope, found=found, references=references)


def _readable(
    lists: Iterable[tuple[Package, list[Version] | ApiError]], scope: Scope, context: Context
) -> tuple[Found, Scope]:
    """Return the packages whose lists could be read, and the scope without the others."""
    found: list[tuple[Package, list[Version]]] = []
    for package, versions in lists:
        if isinstance(versions, ApiError):
            scope = _without(scope, package, versions, context)
        else:
            found.append((package, versions))
    if scope.ended_by is not None:
        return found, scope
    return found, replace(scope, packages=tuple(package for package, _ in found))


def _without(scope: Scope, package: Package, error: ApiError, context: Context) -> Scope:
    """Return the scope with the error of a list as a problem or a missing name."""
    if error.kind is not ApiErrorKind.NOT_FOUND:
        try:
            return scope.adding(problems=[problem_with(f"the versions of {package.key}", error, package.key)])
        except NotAuthorized as ended_by:
            return scope.adding(ended_by=ended_by)
    if package.key in scope.named:
        return scope.adding(missing=[str(package.key)])
    context.log.warning(f"{package.key} went away, or was hidden, while its versions were about to be read")
    return scope


def evaluator_for(context: Context, found: Found, rules: Rules) -> ImageEvaluator:
    """Make the evaluator for `rules`, with all facts that they need."""
    return ImageEvaluator(
        rules=rules,
        registry=context.registry,
        reader=context.reader,
        log=context.log,
        facts=context.facts.gather(found),
    )


def evaluate(inventory: Inventory, evaluator: ImageEvaluator) -> Evaluated:
    """Decide about every version. A package that cannot be evaluated becomes a problem of the scope."""
    packages, scope = _evaluate(inventory.found, evaluator, inventory.scope)
    return Evaluated(inventory=replace(inventory, scope=scope), packages=packages)


def _evaluate(found: Found, evaluator: ImageEvaluator, scope: Scope) -> tuple[tuple[PackageEvaluation, ...], Scope]:
    """Evaluate packages. Return the scope with the problems, too."""
    tried = attempt_each(found, lambda each: evaluator.evaluate(*each), lambda each: (str(each[0].key), each[0].key))
    problems = [*tried.problems, *(problem for each in tried.results for problem in each.problems)]
    return tried.results, scope.adding(problems=problems, ended_by=tried.ended_by)


def make_certain(context: Context, evaluated: Evaluated) -> Evaluated:
    """Read long lists again until they are certain, if an untagged version would be deleted.

    A push and a deletion between two pages can hide an image. Its parts then look like leftovers. Packages whose lists
    have changed are evaluated again.
    """
    keys = [
        each.package for each in evaluated.packages if _loses_untagged(each) and context.reader.is_long(each.package)
    ]
    if not keys:
        return evaluated
    seen = {package.key: {each.id for each in versions} for package, versions in evaluated.inventory.found}
    return _take_fresh(context, evaluated, context.reader.versions_of(keys, seen=seen))


def _loses_untagged(package: PackageEvaluation) -> bool:
    return package.graph is not None and any(
        decision.action is Action.DELETE and not decision.version.image_tags for decision in package.decisions
    )


def _take_fresh(
    context: Context, evaluated: Evaluated, lists: Mapping[PackageName, list[Version] | ApiError]
) -> Evaluated:
    """Use the new lists, and evaluate changed packages again. Keep everything in a package whose list failed."""
    scope = evaluated.inventory.scope
    fresh: list[tuple[Package, list[Version]]] = []
    changed: list[tuple[Package, list[Version]]] = []
    failed: set[PackageName] = set()
    for package, known in evaluated.inventory.found:
        versions = lists.get(package.key, known)
        if isinstance(versions, ApiError):
            failed.add(package.key)
            scope = _without(scope, package, versions, context)
            versions = known
        elif _by_id(versions) != _by_id(known):
            changed.append((package, versions))
        fresh.append((package, versions))
    dropped = {package.key for package, _ in changed}
    packages = _keeping(evaluated.packages, failed, dropped)
    if changed:
        again, scope = _evaluate(changed, evaluator_for(context, fresh, context.rules), scope)
        packages += again
    return Evaluated(inventory=replace(evaluated.inventory, scope=scope, found=fresh), packages=tuple(packages))


def _by_id(versions: Iterable[Version]) -> dict[int, Version]:
    return {version.id: version for version in versions}


def _keeping(
    packages: Iterable[PackageEvaluation], failed: Collection[PackageName], dropped: Collection[PackageName]
) -> list[PackageEvaluation]:
    """Return the evaluations without the `dropped` ones, and keep everything in packages whose list `failed`."""
    return [
        replace(each, decisions=tuple(all_kept(each.decisions))) if each.package in failed else each
        for each in packages
        if each.package not in dropped
    ]
