"""`delete`: delete the versions that the rules select, images with all their parts."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from msgspec.structs import replace

from package_keeper.errors import ApiError, OutOfTime
from package_keeper.execution.images import look_after
from package_keeper.execution.refresh import Refresh
from package_keeper.execution.scope import problem_with
from package_keeper.model.packages import PackageName, display_name
from package_keeper.model.plan import NOTHING, Action, Outcome, Plan, Reason, WriteKind, gone_versions
from package_keeper.model.run import PackageEvaluation, Run, Scope
from package_keeper.operations.context import Context, Writing
from package_keeper.operations.deployed import keep_deployed
from package_keeper.operations.empty_packages import delete_empty_packages
from package_keeper.operations.plans import PlanOf, Rereader, plan_images
from package_keeper.operations.reading import Evaluated, evaluate, evaluator_for, find, make_certain, read
from package_keeper.operations.telling import tell_evaluation, warn_about_torn_images
from package_keeper.operations.writing import execute, pass_guards
from package_keeper.policy.guards import Guards, guard
from package_keeper.policy.sizes import freed_sizes, planned_sizes, total

_Broken = Mapping[tuple[PackageName, str], Sequence[str]]
"""Broken images by package and digest, each with the missing digests."""


def delete(context: Context) -> Iterator[Run]:
    """Delete the selected versions."""
    began = context.clock.monotonic()
    scope = find(context)
    yield Run(scope=scope)
    yield from delete_from(context, scope, began, lambda _: partial(plan_images, rules=context.rules))


def delete_from(context: Context, scope: Scope, began: float, planner: Callable[[Evaluated], PlanOf]) -> Iterator[Run]:
    """Delete versions of the packages in `scope`, which were found since `began`, in monotonic seconds.

    `planner` returns the function that makes a plan of evaluations, when the packages are read again, too.
    """
    inventory = read(context, scope)
    yield inventory.run
    evaluator = evaluator_for(context, inventory.found, context.rules)
    evaluated = evaluate(inventory, evaluator)
    yield evaluated.inventory.run
    if context.writing is not None:
        evaluated = make_certain(context, evaluated)
        yield evaluated.inventory.run
    plan_of = planner(evaluated)
    evaluated = replace(evaluated, packages=keep_deployed(context, evaluated.packages, plan_of))
    refresh = Refresh(
        replan=Rereader(context.reader, context.facts, evaluated.inventory.found).replan_deletions(
            context.rules, context.registry, evaluator.seen, plan_of
        ),
        clock=context.clock,
        log=context.log,
        read_from=began,
        read_until=context.clock.monotonic(),
    )
    run = replace(evaluated.inventory.run, plan=plan_of(evaluated.packages))
    yield run
    tell_evaluation(context, evaluated.inventory, run.plan.decisions, evaluated.stubs, evaluated.packages)
    run, guarded = pass_guards(context, run, evaluated.packages)
    sizes = planned_sizes(evaluated.packages, run.plan)
    run = replace(run, bytes_planned=total(sizes), sizes=sizes)
    yield run
    writing = context.writing
    if writing is None:
        return
    run = execute(
        context,
        writing,
        run,
        guarded,
        writing.deletion_strategy(guarded, context.settings.guards.on_last_version),
        refresh=refresh,
    )
    run = delete_empty_packages(context, writing, run, guarded)
    yield _measured(run, evaluated.packages)
    run = _measured(_look_after(context, writing, run, evaluated.packages), evaluated.packages)
    yield run
    warn_about_torn_images(run.plan, gone_versions(run.records), context.log)


def _measured(run: Run, packages: Sequence[PackageEvaluation]) -> Run:
    """Return the run with the bytes that its confirmed deletions gave back."""
    sizes = freed_sizes(packages, run.records)
    return replace(run, bytes_freed=total(sizes), sizes=sizes)


def _look_after(context: Context, writing: Writing, run: Run, packages: Sequence[PackageEvaluation]) -> Run:
    """Check the remaining images, and restore what an image needs that was pushed meanwhile."""
    if run.ended_by is not None:
        return run
    try:
        look = look_after(packages, run.records, context.reader, context.registry)
        writing.executor.confirmed |= look.packages
        run = replace(run, records=writing.executor.corrected(run.records, look.still_there))
        run, broken = _give_back(context, writing, run, look.broken)
    except ApiError as error:
        return replace(run, scope=run.scope.adding(problems=[problem_with("the check after the run", error)]))
    except OutOfTime as over:
        context.log.warning(f"the images that stay were not looked at again: {over.why}")
        return run
    for (package, root), digests in broken.items():
        context.log.error(
            f"{package}: the image {display_name(root)} lost {', '.join(map(display_name, digests))};"
            " operation repair brings them back"
        )
    return replace(run, broken=len(broken))


def _give_back(context: Context, writing: Writing, run: Run, broken: _Broken) -> tuple[Run, _Broken]:
    """Restore deleted versions that a newly pushed image needs. Return the images that stay broken."""
    needed = {(package, digest): root for (package, root), digests in broken.items() for digest in digests}
    deletions = {
        place: record.write
        for place, record in enumerate(run.records)
        if record.is_done
        and record.write.kind is WriteKind.VERSION
        and (record.write.package, record.write.version_name) in needed
    }
    if not deletions:
        return run, broken
    plan = Plan.of_singles(
        replace(
            write,
            action=Action.RESTORE,
            reason=Reason.NEEDED_BY,
            root=needed[write.package, write.version_name],
            after=NOTHING,
        )
        for write in deletions.values()
    )
    guarded = guard(plan, Guards())
    executed = writing.executor.execute(guarded, writing.restoration_strategy(guarded), to_the_end=True)
    records = list(run.records)
    restored: set[tuple[PackageName, str]] = set()
    for place, record in zip(deletions, executed.records, strict=True):
        if record.is_back:
            restored.add((record.write.package, record.write.version_name))
            text = "an image that was pushed meanwhile needs it, so it was restored"
            records[place] = replace(records[place], outcome=Outcome.CHANGED_SINCE_PLAN, message=text)
    if restored:
        context.log.warning(f"{len(restored)} parts are restored, since images that were pushed meanwhile need them")
    left = {
        (package, root): still
        for (package, root), digests in broken.items()
        if (still := [digest for digest in digests if (package, digest) not in restored])
    }
    return replace(run, records=tuple(records), ended_by=executed.ended_by), left
