"""`restore-package`: restore whole packages by name."""

from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from package_keeper.execution.restorations import package_or_none
from package_keeper.execution.scope import attempt_each, tell_entries
from package_keeper.model.packages import PackageName
from package_keeper.model.plan import Action, Outcome, Plan, PlannedWrite, Reason, WriteRecord
from package_keeper.model.run import Run, Scope
from package_keeper.operations.context import Context
from package_keeper.operations.writing import execute, pass_guards, restore_more


def restore_package(context: Context) -> Iterator[Run]:
    """Restore packages. Try each name with each package type, since GitHub does not list deleted packages."""
    patterns = context.wanted.patterns
    entries = [pattern.text for pattern in (patterns.includes if patterns else ())]
    names = list({name.lower(): name for name in entries if context.wanted.accepts_name(name)}.values())
    tell_entries(context.log, context.wanted, {entry.lower() for entry in entries})
    run = _planned(context, names)
    yield run
    run, guarded = pass_guards(context, run)
    yield run
    writing = context.writing
    if writing is None:
        return
    run = execute(context, writing, run, guarded, writing.restoration_strategy(guarded))
    yield run
    missing = _not_found(run.records, names)
    if bare := _without_owner(context, missing):
        context.log.notice(f"package: nothing is named {', '.join(bare)}; tried without the owner in front")
        more = _planned(context, bare.values())
        run = replace(run, scope=run.scope.adding(problems=more.scope.problems, ended_by=more.scope.ended_by))
        yield run
        run = restore_more(writing, run, more.plan.writes)
        missing = [name for name in missing if _not_found(run.records, [bare.get(name, name)])]
    yield replace(run, scope=run.scope.adding(missing=missing))


def _planned(context: Context, names: Iterable[str]) -> Run:
    """Plan to restore the packages of these names, of all types. An active package needs no write."""
    keys = [PackageName(type=each, name=name) for name in names for each in context.settings.package_types]

    def plan(key: PackageName) -> PlannedWrite:
        expected = Outcome.ALREADY_ACTIVE if package_or_none(context.reader, key) is not None else None
        return PlannedWrite(action=Action.RESTORE, reason=Reason.SELECTED, package=key, expected=expected)

    tried = attempt_each(keys, plan, lambda key: (str(key), None))
    scope = Scope(problems=tried.problems, ended_by=tried.ended_by)
    return Run(scope=scope, plan=Plan.of_singles(tried.results))


def _without_owner(context: Context, names: Iterable[str]) -> dict[str, str]:
    """Map the names with the owner in front to the names without it."""
    prefix = f"{context.owner.login.lower()}/"
    return {
        name: rest
        for name in names
        if name.lower().startswith(prefix) and (rest := name[len(prefix) :]) and not context.wanted.excludes(rest)
    }


def _not_found(records: Iterable[WriteRecord], names: Iterable[str]) -> list[str]:
    """Return the names that were tried and that no package of any type has."""
    tried: dict[str, bool] = {}
    for record in records:
        name = record.write.package.name
        tried[name] = tried.get(name, False) or record.outcome is not Outcome.ALREADY_GONE
    return [name for name in names if tried.get(name) is False]
