"""`list` and `conflicts`: show packages, versions, or the result of a query."""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from msgspec.structs import replace

from package_keeper.errors import BadInput
from package_keeper.execution.facts import Found
from package_keeper.execution.images import ImageEvaluator
from package_keeper.model.manifest import stubs_among
from package_keeper.model.packages import Version
from package_keeper.model.plan import Decision, Plan, Reason
from package_keeper.model.run import Run, Scope
from package_keeper.operations.context import Context
from package_keeper.operations.deployed import keep_deployed
from package_keeper.operations.plans import plan_images
from package_keeper.operations.reading import Evaluated, Inventory, evaluate, evaluator_for, find, read
from package_keeper.operations.telling import tell_evaluation
from package_keeper.policy.evaluation import evaluate_restorations
from package_keeper.policy.planning import without_stubs
from package_keeper.policy.sizes import image_sizes
from package_keeper.policy.sql import SqlProblem

_NOT_LISTED = (Reason.NOT_SELECTED, Reason.TOO_YOUNG, Reason.UNKNOWN_AGE, Reason.NEEDED_BY)


def list_packages(context: Context) -> Iterator[Run]:
    """List the packages in scope."""
    scope = find(context)
    yield Run(scope=scope)
    yield Run(scope=scope, rows=_rows(context, [(package, []) for package in scope.packages]))


def list_versions(context: Context) -> Iterator[Run]:
    """List the versions that selection and age accept, or explain the decisions about all versions."""
    deleted = context.settings.deleted_state
    scope = find(context)
    yield Run(scope=scope)
    inventory = read(context, scope, deleted=deleted)
    yield inventory.run
    explains = context.settings.explains
    evaluator = evaluator_for(context, inventory.found, context.rules if explains else context.rules.only_selecting)
    plan = Plan()
    sizes: Mapping[int, int | None] | None = None
    if explains or (evaluator.rules.need_images and not deleted):
        # read manifests only for rules on the condition of images, or to explain decisions
        evaluated = _evaluated(context, inventory, evaluator)
        inventory, packages, stubs, listed = (
            evaluated.inventory,
            evaluated.packages,
            evaluated.stubs,
            evaluated.decisions,
        )
        if evaluator.rules.depend_on_health:
            sizes = image_sizes(packages)
        if explains:
            plan = Plan(decisions=listed)
        else:
            listed = _listed(listed, stubs, evaluator)
    else:
        packages = ()
        listed, stubs = _list_alone(inventory.found, evaluator, deleted=deleted)
    run = replace(inventory.run, plan=plan, listed=listed, image_sizes=sizes)
    yield run
    tell_evaluation(context, inventory, plan.decisions, stubs, packages)
    ids = {decision.version.id for decision in listed}
    found = [(package, [each for each in versions if each.id in ids]) for package, versions in inventory.found]
    yield replace(run, rows=_rows(context, found))


def _evaluated(context: Context, inventory: Inventory, evaluator: ImageEvaluator) -> Evaluated:
    """Decide about every version, as `delete` does when decisions are explained."""
    evaluated = evaluate(inventory, evaluator)
    if not context.settings.explains:
        return evaluated
    used = keep_deployed(context, evaluated.packages, partial(plan_images, rules=context.rules))
    return replace(evaluated, packages=used)


def _list_alone(
    found: Found, evaluator: ImageEvaluator, *, deleted: bool
) -> tuple[tuple[Decision, ...], list[Version]]:
    """List versions without looking at images. Return the decisions and the stubs."""
    decisions = [
        decision
        for _, versions in found
        for decision in evaluate_restorations(versions, evaluator.rules, evaluator.facts)
    ]
    if deleted:
        decisions, stubs = without_stubs(decisions)
        return _listed(decisions, stubs, evaluator), stubs
    listed = _listed(decisions, (), evaluator)
    return listed, stubs_among(decision.version for decision in listed)


def _listed(decisions: Iterable[Decision], stubs: Iterable[Version], evaluator: ImageEvaluator) -> tuple[Decision, ...]:
    """Return the decisions about versions that selection and age accept. Stubs are always listed."""
    ids = {stub.id for stub in stubs}
    return tuple(
        decision
        for decision in decisions
        if not evaluator.rules.select_anything or decision.reason not in _NOT_LISTED or decision.version.id in ids
    )


def conflicts(context: Context) -> Iterator[Run]:
    """List packages with a conflict from the Docker migration."""
    packages = tuple(package for package in context.reader.conflicts() if context.wanted.accepts(package))
    yield Run(scope=Scope(packages=packages))


def _rows(context: Context, found: Found) -> list[dict[str, Any]] | None:
    """Return the rows of the query, if there is one. Raises `BadInput`."""
    query = context.settings.query
    if not query:
        return None
    try:
        return context.facts.tables(found).query(query)
    except SqlProblem as problem:
        raise BadInput([f"query: '{query}' is not accepted: {problem}"]) from None
