"""One function per operation: plan it, and, when there is a writer, carry it out."""

from collections.abc import Callable
from dataclasses import dataclass

from package_keeper.decisions.deciding import Rules
from package_keeper.decisions.guards import Guards, guard
from package_keeper.decisions.patterns import Patterns
from package_keeper.decisions.plan import GuardedPlan
from package_keeper.errors import BadInput
from package_keeper.execution import run as steps
from package_keeper.execution.carrying_out import Carrier, WriteOperation
from package_keeper.execution.deleting import Deletions
from package_keeper.execution.ports import Log, Reader, Writer
from package_keeper.execution.receipt import Receipt
from package_keeper.execution.restoring import Restorations, plan_package_restorations, plan_undo
from package_keeper.execution.run import Run
from package_keeper.execution.scope import find_packages
from package_keeper.inventory.package import Owner, PackageName, PackageType


@dataclass(frozen=True, kw_only=True)
class Task:
    """What an operation works on, and with. `writing` is `None` in a dry run: then nothing can be written."""

    owner: Owner
    types: tuple[PackageType, ...]
    patterns: Patterns | None
    rules: Rules
    guards: Guards
    raw_images: bool
    deleted_state: bool
    reader: Reader
    writing: "Writing | None"
    log: Log


@dataclass(frozen=True, kw_only=True)
class Writing:
    """The means of writing."""

    writer: Writer
    carrier: Carrier


def list_packages(task: Task, run: Run) -> None:
    """List the packages in scope."""
    _find(task, run)


def list_versions(task: Task, run: Run) -> None:
    """List the versions that the selection and the age accept."""
    _find(task, run)
    found = steps.read_versions(run, task.reader, task.log, deleted=task.deleted_state)
    steps.list_versions(run, found, task.rules, deleted=task.deleted_state)
    steps.warn_about_unseen(run, task.rules, task.log)


def conflicts(task: Task, run: Run) -> None:
    """List packages with a Docker-migration conflict."""
    packages = task.reader.conflicts()
    run.scope.packages = [
        package for package in packages if task.patterns is None or task.patterns.accepts(package.name)
    ]


def delete(task: Task, run: Run) -> None:
    """Delete the selected versions."""
    _find(task, run)
    found = steps.read_versions(run, task.reader, task.log)
    steps.plan_version_deletions(run, found, task.rules, raw=task.raw_images)
    steps.warn_about_unseen(run, task.rules, task.log)
    _carry_out(task, run, _deletions(task))


def restore(task: Task, run: Run) -> None:
    """Restore the selected deleted versions."""
    _find(task, run)
    found = steps.read_versions(run, task.reader, task.log, deleted=True)
    steps.plan_version_restorations(run, found, task.reader, task.rules)
    steps.warn_about_unseen(run, task.rules, task.log)
    _carry_out(task, run, _restorations(task))


def undo(task: Task, run: Run, receipt: Receipt) -> None:
    """Restore everything in a receipt."""
    run.plan, run.scope.packages = plan_undo(task.reader, receipt, task.patterns)
    _carry_out(task, run, _restorations(task))


def delete_package(task: Task, run: Run) -> None:
    """Delete whole packages."""
    _find(task, run)
    exact = [pattern for pattern in (task.patterns.includes if task.patterns else ()) if pattern.is_exact]
    ambiguous = {
        name: keys
        for name, keys in steps.packages_by_name(run.scope.packages).items()
        if len(keys) > 1 and any(pattern.matches(name) for pattern in exact)
    }
    if ambiguous:
        raise BadInput(
            [
                f"package: '{name}' stands for {' and '.join(map(str, keys))}; give one package-type"
                for name, keys in sorted(ambiguous.items())
            ]
        )
    steps.plan_package_deletions(run)
    _carry_out(task, run, _deletions(task))


def restore_package(task: Task, run: Run) -> None:
    """Restore whole packages by name; of several types each is tried, since deleted packages cannot be listed."""
    names = [pattern.text for pattern in task.patterns.includes] if task.patterns else []
    keys = [PackageName(type=package_type, name=name) for name in names for package_type in task.types]
    run.plan = plan_package_restorations(task.reader, keys)
    _carry_out(task, run, _restorations(task))


def _find(task: Task, run: Run) -> None:
    run.scope = find_packages(task.reader, task.log, owner=task.owner.login, types=task.types, patterns=task.patterns)


MakeOperation = Callable[[GuardedPlan, Writing], WriteOperation]


def _deletions(task: Task) -> MakeOperation:
    return lambda plan, writing: Deletions(plan, task.reader, writing.writer, task.guards.on_last_version)


def _restorations(task: Task) -> MakeOperation:
    return lambda _, writing: Restorations(task.reader, writing.writer)


def _carry_out(task: Task, run: Run, operation: MakeOperation) -> None:
    """Pass the guards, and write, if there is anything to write with."""
    plan = guard(run.plan, task.guards)
    if task.writing is not None and run.plan.writes:
        with task.log.group(f"{len(plan.now)} of {len(run.plan.writes)} planned writes in this run"):
            steps.carry_out(run, plan, task.writing.carrier, operation(plan, task.writing))
