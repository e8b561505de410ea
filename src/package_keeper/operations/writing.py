"""The last steps of an operation that writes: pass the guards, and execute the guarded plan."""

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from package_keeper.errors import GuardRefused, PackageKeeperError
from package_keeper.execution.batches import WriteStrategy
from package_keeper.execution.executor import Executed
from package_keeper.execution.refresh import Refresh
from package_keeper.execution.wording import few, not_tried
from package_keeper.model.packages import display_name
from package_keeper.model.plan import GuardedPlan, Outcome, Plan, PlannedWrite, WriteRecord
from package_keeper.model.run import PackageEvaluation, Run
from package_keeper.operations.context import Context, Writing
from package_keeper.operations.telling import tell_forecasts
from package_keeper.policy.checks import check_plan
from package_keeper.policy.forecasts import Evidence, forecasts
from package_keeper.policy.guards import Guards, TooMuch, guard


def pass_guards(context: Context, run: Run, packages: Sequence[PackageEvaluation] = ()) -> tuple[Run, GuardedPlan]:
    """Pass the guards with the plan of a run, check what they let through, and warn about what may go wrong.

    `packages` are the evaluations from which deletions were planned. Raises `GuardRefused`; `Cancelled` when the user
    was asked and declined; and `PackageKeeperError` when a check fails, which is a defect of this program.
    """
    try:
        guarded = guard(run.plan, context.settings.guards)
    except TooMuch as refused:
        raise GuardRefused(str(refused)) from None
    checks = check_plan(guarded, packages, context.rules.lists)
    problems = [f"{check.name}: {few(check.problems)}" for check in checks if check.problems]
    if problems:
        raise PackageKeeperError(
            f"nothing was written, since the plan does not pass its checks: {'; '.join(problems)}. This is a defect of"
            " Package Keeper; please report it with what log-level: debug says"
        )
    evidence = Evidence(
        packages={package.key: package for package in run.scope.packages},
        token=context.reader.token_facts,
        repository=context.workflow_repository,
        refused_for_downloads=context.refused_for_downloads,
        page_hosts=context.settings.page_hosts,
    )
    found = forecasts(guarded, context.settings.guards.on_last_version, evidence)
    tell_forecasts(found, context.log)
    run = replace(run, plan=guarded.plan, checks=checks, forecasts=found)
    if context.writing is not None and (guarded.now or guarded.with_package):
        context.confirm(run, guarded)
    return run, guarded


def execute(
    context: Context,
    writing: Writing,
    run: Run,
    guarded: GuardedPlan,
    strategy: WriteStrategy,
    *,
    refresh: Refresh | None = None,
) -> Run:
    """Execute the guarded plan, and add its records to the run."""
    if not guarded.plan.writes:
        return run
    now, later = guarded.now, guarded.later
    if now and later and now[-1].root is not None and later[0].root == now[-1].root:
        context.log.warning(
            f"limit: {context.settings.guards.limit} is less than the image {display_name(now[-1].root)} has versions"
        )
    context.log.info(f"{len(now)} of {len(guarded.plan.writes)} planned writes in this run")
    return with_records(run, writing.executor.execute(guarded, strategy, refresh))


def restore_more(writing: Writing, run: Run, writes: Iterable[PlannedWrite]) -> Run:
    """Restore more versions, such as parts of images that are being restored. `limit` does not apply."""
    guarded = guard(Plan.of_singles(writes), Guards())
    return add_plan(
        run, guarded, writing.executor.execute(guarded, writing.restoration_strategy(guarded), to_the_end=True)
    )


def add_plan(run: Run, guarded: GuardedPlan, executed: Executed) -> Run:
    """Return the run with one more plan and its records."""
    run = replace(run, plan=replace(run.plan, groups=run.plan.groups + guarded.plan.groups))
    return with_records(run, executed)


def with_records(run: Run, executed: Executed) -> Run:
    """Return the run with the records of an executed plan. What ended the run earlier still counts."""
    return replace(run, records=run.records + executed.records, ended_by=run.ended_by or executed.ended_by)


def skipped(run: Run, guarded: GuardedPlan) -> Run:
    """Return the run with records for a plan that was not begun because the run has ended."""
    if run.ended_by is None:
        raise AssertionError("the run has not ended")
    now = tuple(not_tried(write, run.ended_by) for write in guarded.now)
    later = tuple(WriteRecord(write=write, outcome=Outcome.OVER_LIMIT) for write in guarded.later)
    return replace(run, records=run.records + now + later)
