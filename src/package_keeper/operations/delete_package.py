"""`delete-package`: delete whole packages."""

from collections.abc import Iterator, Mapping, Sequence

from package_keeper.errors import BadInput
from package_keeper.model.packages import PackageName, Version
from package_keeper.model.plan import Action, Plan, PlannedWrite, Reason
from package_keeper.model.run import Run, Scope
from package_keeper.operations.context import Context
from package_keeper.operations.reading import find, read
from package_keeper.operations.writing import execute, pass_guards


def delete_package(context: Context) -> Iterator[Run]:
    """Delete every package in scope."""
    scope = find(context)
    yield Run(scope=scope)
    _refuse_ambiguous_names(scope)
    contents: Mapping[PackageName, Sequence[Version]] = {}
    if context.settings.plan_out:
        # a plan says what it saw, so that apply can find out whether anything was added
        inventory = read(context, scope)
        scope, contents = inventory.scope, {package.key: versions for package, versions in inventory.found}
        yield inventory.run
    plan = Plan.of_singles(
        PlannedWrite(
            action=Action.DELETE,
            reason=Reason.SELECTED,
            package=package.key,
            contains=tuple(contents.get(package.key, ())),
        )
        for package in scope.packages
    )
    run = Run(scope=scope, plan=plan)
    yield run
    run, guarded = pass_guards(context, run)
    yield run
    if (writing := context.writing) is not None:
        yield execute(
            context, writing, run, guarded, writing.deletion_strategy(guarded, context.settings.guards.on_last_version)
        )


def _refuse_ambiguous_names(scope: Scope) -> None:
    """Raise `BadInput` when an exact name matches packages of several types."""
    by_name: dict[str, list[PackageName]] = {}
    for package in scope.packages:
        # compare the real names: the input may have the owner in front
        if package.key in scope.named:
            by_name.setdefault(package.name.lower(), []).append(package.key)
    problems = [
        f"package: '{name}' stands for {' and '.join(map(str, keys))}; give one package-type"
        for name, keys in by_name.items()
        if len(keys) > 1
    ]
    if problems:
        raise BadInput(problems)
