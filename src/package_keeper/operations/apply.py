"""`apply`: carry out a saved plan, after reading its packages again.

Nothing is written that the plan does not hold, but the parts of images that it restores. What has changed since is
skipped (docs/reference.md, "Apply a plan").
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial

from msgspec import Struct
from msgspec.structs import replace

from package_keeper.errors import ApiError, ApiErrorKind
from package_keeper.execution.refresh import FreshPlan, Refresh
from package_keeper.execution.restorations import still_active
from package_keeper.execution.scope import attempt_each, tell_entries
from package_keeper.model.packages import Package, PackageName
from package_keeper.model.plan import Outcome, Plan
from package_keeper.model.run import PackageEvaluation, Run, Scope
from package_keeper.operations.context import Context
from package_keeper.operations.delete import delete_from
from package_keeper.operations.deployed import deployed_packages
from package_keeper.operations.plans import PlanOf
from package_keeper.operations.reading import Evaluated, read
from package_keeper.operations.undo import execute_restorations_of
from package_keeper.operations.writing import execute, pass_guards
from package_keeper.policy.planning import ActiveNames
from package_keeper.policy.saved_plans import (
    Absent,
    Restorable,
    contains_only,
    deletions_left,
    package_deletions_left,
    restorations_left,
    rules_of,
)
from package_keeper.settings import Operation, SavedPlan


def apply(context: Context) -> Iterator[Run]:
    """Carry out the plan of the settings."""
    saved = context.settings.plan
    if saved is None:
        raise AssertionError("apply without a plan")
    guards = replace(context.settings.guards, on_last_version=saved.on_last_version, may_go_whole=saved.emptied)
    context = replace(context, settings=replace(context.settings, guards=guards))
    began = context.clock.monotonic()
    found = _find(context, saved)
    yield Run(scope=found.scope)
    match saved.operation:
        case Operation.DELETE:
            yield from _apply_deletions(context, saved, found, began)
        case Operation.DELETE_PACKAGE:
            yield from _apply_package_deletions(context, saved, found)
        case _:
            yield from _apply_restorations(context, saved, found)


class _Found(Struct, frozen=True, kw_only=True):
    """The packages of a plan that exist and are in scope. `absent` are the others, with the outcome of their writes."""

    scope: Scope
    absent: Mapping[PackageName, Outcome]


def _find(context: Context, saved: SavedPlan) -> _Found:
    """Get the packages of a plan by name, those that the inputs do not leave out."""
    settings, wanted = context.settings, context.wanted
    tell_entries(context.log, wanted, {key.name for key in saved.packages})
    keys = [key for key in saved.packages if wanted.accepts_name(key.name) and key.type in settings.package_types]
    answers = context.reader.packages_named(keys)
    tried = attempt_each(keys, lambda key: _get(context, saved, key, answers[key]), lambda key: (str(key), key))
    packages = tuple(found for found in tried.results if isinstance(found, Package))
    return _Found(
        scope=Scope(packages=packages, problems=tried.problems, ended_by=tried.ended_by),
        absent=dict(found for found in tried.results if isinstance(found, tuple)),
    )


def _get(
    context: Context, saved: SavedPlan, key: PackageName, answer: Package | ApiError
) -> Package | tuple[PackageName, Outcome] | None:
    """Say what became of a package: it is there, or not any more, or out of scope (`None`). Raises `ApiError`."""
    wanted = context.wanted
    if isinstance(answer, ApiError):
        if answer.kind is not ApiErrorKind.NOT_FOUND:
            raise answer
        # nobody knows which repository and visibility a package had
        if wanted.repository or wanted.visibility != "any":
            return None
        if saved.operation is not Operation.RESTORE_PACKAGE:
            context.log.warning(
                f"{key} is not found: it is gone, or the token may not see it. Nothing in it is written"
            )
        return key, Outcome.ALREADY_GONE
    if objection := wanted.objection(answer):
        context.log.notice(f"{key} is out of scope: {objection}")
        return None
    if saved.package_ids.get(key, answer.id) != answer.id:
        context.log.warning(f"{key} is another package than the one that the plan saw, so it stays as it is")
        return key, Outcome.CHANGED_SINCE_PLAN
    return replace(answer, key=key)


def _apply_deletions(context: Context, saved: SavedPlan, found: _Found, began: float) -> Iterator[Run]:
    """Delete and untag, as `delete` does, what rules select that name exactly the versions of the plan."""
    rules = rules_of(saved.groups, context.rules, is_raw=saved.is_raw)
    lists = rules.lists

    def planner(evaluated: Evaluated) -> PlanOf:
        absent = Absent(packages=found.absent, versions=_unlisted(context, saved, evaluated.packages))
        released = context.facts.uses(evaluated.inventory.found)
        return lambda packages: deletions_left(saved.groups, packages, lists, absent, released)

    yield from delete_from(replace(context, rules=rules), found.scope, began, planner)


def _unlisted(context: Context, saved: SavedPlan, packages: Sequence[PackageEvaluation]) -> dict[int, Outcome]:
    """The outcomes of versions that the lists do not show and that are not deleted, as far as is known."""
    listed = {each.version.id for package in packages for each in package.decisions}
    evaluated = {package.package for package in packages}
    missing = {
        write.version_id: write.package
        for write in saved.writes
        if write.package in evaluated and write.version_id is not None and write.version_id not in listed
    }
    answers = context.reader.are_active(_not_deleted(context, missing)) if missing else {}
    # without its tags, nobody knows whether an active version that is not listed has changed
    return {
        number: Outcome.FAILED if isinstance(answer, ApiError) else Outcome.CHANGED_SINCE_PLAN
        for number, answer in answers.items()
        if answer is not False
    }


def _not_deleted(context: Context, missing: Mapping[int, PackageName]) -> dict[int, PackageName]:
    """Return the versions that the lists of deleted versions do not show. One list answers for most of them."""
    lists = context.reader.versions_of(dict.fromkeys(missing.values()), deleted=True)
    deleted = {each.id for versions in lists.values() if not isinstance(versions, ApiError) for each in versions}
    return {number: package for number, package in missing.items() if number not in deleted}


def _apply_package_deletions(context: Context, saved: SavedPlan, found: _Found) -> Iterator[Run]:
    """Delete whole packages that contain only what the plan saw. Read their lists again right before."""
    inventory = read(context, found.scope)
    yield inventory.run
    contents = {package.key: versions for package, versions in inventory.found}
    absent = Absent(packages=found.absent)
    used = {*context.facts.uses(inventory.found), *deployed_packages(context, inventory.found)}
    plan = package_deletions_left(saved.groups, contents, context.rules.lists, absent, used)
    run = replace(inventory.run, plan=plan)
    yield run
    run, guarded = pass_guards(context, run)
    yield run
    if (writing := context.writing) is None:
        return
    now = context.clock.monotonic()
    refresh = Refresh(
        replan=lambda packages, _, __: _unchanged_packages(context, plan, packages),
        clock=context.clock,
        log=context.log,
        read_from=now,
        read_until=now,
        fresh_for=0.0,
    )
    strategy = writing.deletion_strategy(guarded, saved.on_last_version)
    yield execute(context, writing, run, guarded, strategy, refresh=refresh)


def _unchanged_packages(context: Context, plan: Plan, packages: Collection[PackageName]) -> FreshPlan:
    """Plan again: the packages that still contain only what the plan saw."""
    seen = {write.package: {each.id for each in write.contains} for write in plan.writes}
    lists = context.reader.versions_of(packages, seen={key: seen[key] for key in packages})
    failed = {key: versions for key, versions in lists.items() if isinstance(versions, ApiError)}
    writes = [
        write
        for write in plan.writes
        if not isinstance(versions := lists.get(write.package, []), ApiError)
        and versions
        and contains_only(versions, write.contains)
    ]
    return FreshPlan(writes=writes, failed=failed)


def _apply_restorations(context: Context, saved: SavedPlan, found: _Found) -> Iterator[Run]:
    """Restore as `undo` does: packages, then versions with the parts of their images, then tags."""
    there: dict[PackageName, Restorable | None] = dict.fromkeys(found.absent)
    replaced = {package for package, outcome in found.absent.items() if outcome is Outcome.CHANGED_SINCE_PLAN}
    wanted = [package.key for package in found.scope.packages]
    tried = attempt_each(wanted, partial(_restorable, context, saved), lambda key: (str(key), key))
    there |= dict(tried.results)
    scope = found.scope.adding(problems=tried.problems, ended_by=tried.ended_by)
    plan = restorations_left(
        saved.groups,
        there,
        replaced=replaced,
        tags_may_move=saved.tags_may_move,
        root_must_exist=saved.operation is Operation.REPAIR,
    )
    run = Run(scope=scope, plan=plan)
    yield run
    run, guarded = pass_guards(context, run)
    yield run
    if context.writing is not None and run.plan.writes:
        deleted = {key: list(each.deleted.values()) for key, each in there.items() if each is not None}
        yield from execute_restorations_of(context, context.writing, run, guarded, deleted, completes=not saved.is_raw)


def _restorable(context: Context, saved: SavedPlan, package: PackageName) -> tuple[PackageName, Restorable]:
    """Read what is there of one package. Raises `ApiError`."""
    writes = [write for write in saved.writes if write.package == package]
    active = still_active(
        context.reader.versions(package),
        context.reader,
        names={write.version_name for write in writes},
        tags={tag for write in writes for tag in write.tags},
    )
    names = ActiveNames.of(active)
    names.tags_known = names.tags_known and not context.reader.is_incomplete(package)
    deleted = {version.id: version for version in context.reader.versions(package, deleted=True)}
    return package, Restorable(active=names, deleted=deleted)
