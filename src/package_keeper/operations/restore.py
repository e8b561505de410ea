"""`restore`: restore the deleted versions that the selection accepts, images with all their parts."""

from collections.abc import Iterator

from msgspec.structs import replace

from package_keeper.execution.refresh import Refresh
from package_keeper.model.run import Run
from package_keeper.operations.context import Context
from package_keeper.operations.plans import Rereader, plan_version_restorations
from package_keeper.operations.reading import find, read
from package_keeper.operations.telling import tell_evaluation, warn_about_unknown_tags
from package_keeper.operations.whole_images import completions_for, make_whole, take_stubs_back
from package_keeper.operations.writing import execute, pass_guards


def restore(context: Context) -> Iterator[Run]:
    """Restore the selected deleted versions."""
    began = context.clock.monotonic()
    scope = find(context)
    yield Run(scope=scope)
    inventory = read(context, scope, deleted=True)
    yield inventory.run
    refresh = Refresh(
        replan=Rereader(context.reader, context.facts, inventory.found).replan_restorations(context.rules),
        clock=context.clock,
        log=context.log,
        read_from=began,
        read_until=context.clock.monotonic(),
    )
    facts = context.facts.gather(inventory.found)
    planned = plan_version_restorations(inventory.found, context.reader, context.rules, facts)
    inventory = replace(inventory, scope=inventory.scope.adding(problems=planned.problems, ended_by=planned.ended_by))
    run = replace(inventory.run, plan=planned.plan)
    yield run
    tell_evaluation(context, inventory, run.plan.decisions, planned.stubs)
    warn_about_unknown_tags(run.plan.decisions, context.log)
    run, guarded = pass_guards(context, run)
    yield run
    writing = context.writing
    if writing is None:
        return
    run = execute(context, writing, run, guarded, writing.restoration_strategy(guarded), refresh=refresh)
    yield run
    if not context.rules.raw:
        deleted = {package.key: versions for package, versions in inventory.found}
        completions = completions_for(context, writing, deleted, deleted)
        run = make_whole(context, writing, run, completions)
        yield run
        yield take_stubs_back(context, writing, run, completions)
