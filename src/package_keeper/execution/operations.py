"""One function per operation: plan it, and, when there is a writer, carry it out."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from package_keeper.errors import ApiError, BadInput, GuardRefused, OutOfTime
from package_keeper.execution import run as steps
from package_keeper.execution.batches import WriteOperation
from package_keeper.execution.completion import (
    ImageCompletion,
    Restoring,
    complete_all,
    plan_repair,
    plan_stub_deletions,
)
from package_keeper.execution.deletions import Deletions, empty_packages, with_packages
from package_keeper.execution.executor import Executor
from package_keeper.execution.facts import FactGatherer, Found, tell_used, used_here
from package_keeper.execution.image_reading import ManifestReader
from package_keeper.execution.images import ImageEvaluator, LastLook, look_after
from package_keeper.execution.ports import Log, Looks, Pause, Reader, Stopwatch, Writer
from package_keeper.execution.receipt import Receipt, damage
from package_keeper.execution.refresh import Drift, Replan
from package_keeper.execution.rereading import Replanning
from package_keeper.execution.restorations import Restorations, plan_package_restorations, plan_undo
from package_keeper.execution.run import Run
from package_keeper.execution.scope import PackageFilter, find_packages, tell_entries
from package_keeper.execution.untag import Untagger
from package_keeper.execution.verify import ImageVerifier, broken
from package_keeper.execution.wording import describe_stubs, not_tried
from package_keeper.model.manifest import is_stub
from package_keeper.model.packages import Owner, PackageName, PackageType, Version, display_name
from package_keeper.model.words import Action, Outcome, Reason
from package_keeper.policy.guards import Guards, OnLastVersion, TooMuch, guard
from package_keeper.policy.planning import NOTHING, GuardedPlan, Plan, PlannedWrite, WriteKind, WriteRecord
from package_keeper.policy.rules import Rules
from package_keeper.policy.sql import SqlProblem


@dataclass(frozen=True, kw_only=True)
class Task:
    """What an operation works on, and with.

    `counts_used` says that files were searched for images in use, whatever they name.
    `query` is SQL over what `list` lists, or empty; `explains` shows every version with the decision of a deletion.
    `writing` is `None` in a dry run: then nothing can be written.
    """

    owner: Owner
    types: tuple[PackageType, ...]
    types_given: bool
    wanted: PackageFilter
    rules: Rules
    facts: FactGatherer
    guards: Guards
    counts_used: bool
    deleted_state: bool
    explains: bool
    query: str
    reader: Reader
    looks: Looks
    registry: ManifestReader
    writing: "Writing | None"
    clock: Stopwatch
    log: Log


@dataclass(frozen=True, kw_only=True)
class Writing:
    """The means of writing."""

    writer: Writer
    tags: Untagger
    executor: Executor
    pause: Pause


def list_packages(task: Task, run: Run) -> None:
    """List the packages in scope."""
    _find(task, run)
    _query(task, run, [(package, []) for package in run.scope.packages])


def list_versions(task: Task, run: Run) -> None:
    """List the versions that the selection and the age accept, or explain every one of them."""
    found = _read(task, run, deleted=task.deleted_state)
    rules = task.rules if task.explains else task.rules.only_selecting
    judge = _judge(task, found, rules)
    if task.explains:
        steps.explain_versions(run, found, judge)
    else:
        steps.list_versions(run, found, judge, deleted=task.deleted_state)
    steps.warn_about_unseen(run, task.rules, task.log)
    steps.tell_stubs(run, task.log)
    steps.tell_decisions(run, task.log)
    listed = {decision.version.id for decision in run.listed}
    _query(task, run, [(package, [each for each in versions if each.id in listed]) for package, versions in found])


def conflicts(task: Task, run: Run) -> None:
    """List packages with a Docker-migration conflict."""
    run.scope.packages = [package for package in task.reader.conflicts() if task.wanted.accepts(package)]


def verify(task: Task, run: Run) -> None:
    """Check that every tagged image is whole, or those of them that `where` selects."""
    found = _find_containers(task, run)
    _check(task, run, found, _asked_for(task, found))


def repair(task: Task, run: Run) -> None:
    """Restore the missing parts of tagged images, round by round, and check them again."""
    found = _find_containers(task, run)
    roots = _asked_for(task, found)
    _check(task, run, found, roots, repairs=True, about_to_mend=True)
    run.plan = Plan.of_singles(plan_repair(run.checked, _tags_in_use(run)))
    _execute(task, run, _restorations(task))
    if task.writing is None or not run.plan.writes or run.ended_by is not None:
        return
    tried = {write.version_id for write in run.plan.writes}
    while True:
        run.checked = []
        again = [
            (package, steps.with_restored(task.reader.versions(package.key), package.key, run.records))
            for package, _ in found
        ]
        _check(task, run, again, roots, repairs=True)
        # a part that came back may be an index that lacks parts of its own
        writes = [write for write in plan_repair(run.checked, _tags_in_use(run)) if write.version_id not in tried]
        if not writes or run.ended_by is not None:
            return
        tried |= {write.version_id for write in writes}
        steps.add_writes(run, writes, task.writing.executor, _restoring(task, task.writing))


def delete(task: Task, run: Run) -> None:
    """Delete the selected versions."""
    began = task.clock.monotonic()
    found = _read(task, run)
    judge = _judge(task, found, task.rules)
    steps.judge(run, found, judge)
    if task.writing is not None:
        found = _make_certain(task, run, found)
    replan = Replanning(task.reader, task.facts, found).deletions(task.rules, task.registry, judge.seen)
    drift = _drift(task, began, replan)
    steps.plan_version_deletions(run, task.rules)
    steps.warn_about_unseen(run, task.rules, task.log)
    steps.tell_stubs(run, task.log)
    steps.tell_decisions(run, task.log)
    guarded = _guard(task, run)
    steps.tell_last_images(run.plan, task.log)
    _send(task, run, guarded, _deletions(task), drift)
    if task.writing is None:
        return
    _delete_empty_packages(task, task.writing, run, guarded)
    _look_after(task, task.writing, run)
    if torn := steps.torn_images(run):
        names = ", ".join(display_name(write.version_name) for write in torn[:3]) + (", ..." if len(torn) > 3 else "")
        task.log.warning(
            f"{len(torn)} images are deleted, but not all of their parts ({names}): the parts that stay have no tag any"
            " more, so that the same selection may not find them: tag-status: untagged selects them"
        )


def _delete_empty_packages(task: Task, writing: Writing, run: Run, guarded: GuardedPlan) -> None:
    """`on-last-version: delete-package`: delete packages of which only the newest image is left.

    Lists are read right before: a package that holds anything that this run does not delete stays.
    """
    if task.guards.on_last_version is not OnLastVersion.DELETE_PACKAGE:
        return
    refused = [
        record.write for record in run.records if record.outcome is Outcome.LAST_VERSION and not record.write.refusal
    ]
    last = {write.package: write for write in reversed((*refused, *guarded.with_package))}
    if run.ended_by is not None or not last:
        run.records += [not_tried(write, run.ended_by or OutOfTime()) for write in guarded.with_package]
        return
    plan = Plan.of_singles(
        PlannedWrite(action=Action.DELETE, reason=write.reason, rule=write.rule, package=package)
        for package, write in last.items()
    )
    deleted = [record.write for record in run.records if record.outcome in (Outcome.DONE, Outcome.ALREADY_GONE)]
    now = task.clock.monotonic()
    drift = Drift(
        replan=empty_packages(task.reader, plan, [*refused, *guarded.with_package], deleted),
        stopwatch=task.clock,
        log=task.log,
        read_from=now,
        read_until=now,
        fresh_for=0.0,
    )
    guarded_packages = guard(plan, Guards())
    executed = writing.executor.execute(guarded_packages, _deletions(task)(guarded_packages, writing), drift)
    run.ended_by = executed.ended_by
    run.records = with_packages(run.records, guarded.with_package, executed.records)


def _look_after(task: Task, writing: Writing, run: Run) -> None:
    """Look at the images that stay; what one that was pushed meanwhile needs is restored at once."""
    if not run.records or run.ended_by is not None:
        return
    try:
        look = look_after(run.judged, run.records, task.reader, task.registry)
        run.records = writing.executor.corrected(run.records, look.still_there)
        broken = _give_back(task, writing, run, look)
    except ApiError as refused:
        run.fail("the check after the run", refused)
        return
    except OutOfTime as over:
        task.log.warning(f"the images that stay were not looked at again: {over.why}")
        return
    run.broken = len(broken)
    for (package, root), digests in broken.items():
        task.log.error(
            f"{package}: the image {display_name(root)} lost {', '.join(map(display_name, digests))};"
            " operation repair brings them back"
        )


def _give_back(
    task: Task, writing: Writing, run: Run, look: LastLook
) -> Mapping[tuple[PackageName, str], Sequence[str]]:
    """Restore what this run deleted and an image needs that was pushed meanwhile; gives the images that stay broken."""
    needed = {(package, digest): root for (package, root), digests in look.broken.items() for digest in digests}
    taken = {
        place: record
        for place, record in enumerate(run.records)
        if record.outcome is Outcome.DONE
        and record.write.kind is WriteKind.VERSION
        and (record.write.package, record.write.version_name) in needed
    }
    if not taken:
        return look.broken
    plan = Plan.of_singles(
        replace(
            record.write,
            action=Action.RESTORE,
            reason=Reason.NEEDED_BY,
            root=needed[record.write.package, record.write.version_name],
            after=NOTHING,
        )
        for record in taken.values()
    )
    guarded = guard(plan, Guards())
    executed = writing.executor.execute(guarded, _restorations(task)(guarded, writing), to_the_end=True)
    run.ended_by = executed.ended_by
    back: set[tuple[PackageName, str]] = set()
    for place, restored in zip(taken, executed.records, strict=True):
        if restored.outcome in (Outcome.DONE, Outcome.ALREADY_ACTIVE):
            back.add((restored.write.package, restored.write.version_name))
            text = "an image that was pushed meanwhile needs it, so it was restored"
            run.records[place] = WriteRecord(write=taken[place].write, outcome=Outcome.CHANGED_SINCE_PLAN, message=text)
    if back:
        task.log.warning(f"{len(back)} parts are restored, since images that were pushed meanwhile need them")
    return {
        (package, root): left
        for (package, root), digests in look.broken.items()
        if (left := [digest for digest in digests if (package, digest) not in back])
    }


def restore(task: Task, run: Run) -> None:
    """Restore the selected deleted versions, images with all their parts."""
    began = task.clock.monotonic()
    found = _read(task, run, deleted=True)
    drift = _drift(task, began, Replanning(task.reader, task.facts, found).restorations(task.rules, task.looks))
    facts = task.facts.gather(found)
    steps.plan_version_restorations(run, found, task.reader, looks=task.looks, rules=task.rules, facts=facts)
    steps.warn_about_unseen(run, task.rules, task.log)
    steps.warn_about_unknown_tags(run, task.log)
    steps.tell_stubs(run, task.log)
    steps.tell_decisions(run, task.log)
    _execute(task, run, _restorations(task), drift)
    if task.writing is not None and not task.rules.raw:
        lists = {package.key: versions for package, versions in found}
        completions = _completions(task, task.writing, lists, lists)
        complete_all(run, completions, _means(task, task.writing))
        _take_stubs_back(task, task.writing, run, completions)


def undo(task: Task, run: Run, receipt: Receipt) -> None:
    """Restore everything in a receipt, and what images still lack of which it tells; then their tags."""
    if receipt.damaged:
        task.log.warning(damage(receipt))
    entries = [
        entry
        for entry in receipt.entries
        if task.wanted.accepts_name(entry.package.name) and (not task.types_given or entry.package.type in task.types)
    ]
    tell_entries(task.log, task.wanted, {entry.package.name.lower() for entry in receipt.entries})
    stubs = [entry for entry in entries if is_stub(entry.name, entry.tags)]
    if stubs:
        ids = ", ".join(str(entry.version_id) for entry in stubs)
        task.log.warning(f"undo: empty manifests by which untagging took tags away stay deleted (ids {ids})")
        entries = [entry for entry in entries if entry not in stubs]
    found = plan_undo(task.reader, task.looks, entries, run.fail)
    run.plan, run.scope.packages = found.plan, found.packages
    plan = guard(run.plan, task.guards)
    writing = task.writing
    if writing is None or not run.plan.writes:
        return
    tags = plan.only(tags=True)
    with task.log.group(f"{len(plan.now)} of {len(run.plan.writes)} planned writes in this run"):
        steps.execute(run, plan.only(tags=False), writing.executor, _restoring(task, writing))
        packages = dict.fromkeys(write.package for write in plan.now)
        completions = _completions(task, writing, packages, found.deleted)
        complete_all(run, completions, _means(task, writing), tags.now)
        _take_stubs_back(task, writing, run, completions)
        steps.execute(run, tags, writing.executor, _restoring(task, writing))


def delete_package(task: Task, run: Run) -> None:
    """Delete whole packages."""
    _find(task, run)
    # by the names that were found: one may be written with the owner in front
    named = [package for package in run.scope.packages if package.key in run.scope.named]
    ambiguous = {name: keys for name, keys in steps.packages_by_name(named).items() if len(keys) > 1}
    if ambiguous:
        raise BadInput(
            [
                f"package: '{name}' stands for {' and '.join(map(str, keys))}; give one package-type"
                for name, keys in sorted(ambiguous.items())
            ]
        )
    steps.plan_package_deletions(run)
    _execute(task, run, _deletions(task))


def restore_package(task: Task, run: Run) -> None:
    """Restore whole packages by name; of several types each is tried, since deleted packages cannot be listed."""
    patterns = task.wanted.patterns
    wanted = [
        pattern.text for pattern in (patterns.includes if patterns else ()) if task.wanted.accepts_name(pattern.text)
    ]
    names = list({name.lower(): name for name in wanted}.values())
    tell_entries(task.log, task.wanted, {pattern.text.lower() for pattern in (patterns.includes if patterns else ())})
    keys = [PackageName(type=package_type, name=name) for name in names for package_type in task.types]
    run.plan = plan_package_restorations(task.reader, keys, run.fail)
    _execute(task, run, _restorations(task))
    missing = _not_found(run, names)
    prefix = f"{task.owner.login.lower()}/"
    bare = {
        name: rest
        for name in missing
        if name.lower().startswith(prefix) and (rest := name[len(prefix) :]) and not task.wanted.excludes(rest)
    }
    if bare and task.writing is not None:
        task.log.notice(f"package: nothing is named {', '.join(bare)}; tried without the owner in front")
        keys = [PackageName(type=package_type, name=name) for name in bare.values() for package_type in task.types]
        plan = plan_package_restorations(task.reader, keys, run.fail)
        steps.add_writes(run, plan.writes, task.writing.executor, _restoring(task, task.writing))
        missing = [name for name in missing if bare.get(name, name) in _not_found(run, [bare.get(name, name)])]
    run.scope.missing += missing


def _not_found(run: Run, names: Iterable[str]) -> list[str]:
    """The names that stand for no package of any type, once it was tried."""
    found = {record.write.package.name for record in run.records if record.outcome is not Outcome.ALREADY_GONE}
    tried = {record.write.package.name for record in run.records}
    return [name for name in names if name in tried and name not in found]


def _find(task: Task, run: Run) -> None:
    run.scope = find_packages(task.reader, task.log, owner=task.owner.login, types=task.types, wanted=task.wanted)


def _read(task: Task, run: Run, *, deleted: bool = False) -> Found:
    """Find the packages and read their versions; say which of their images are in use."""
    _find(task, run)
    found = steps.read_versions(run, task.reader, task.log, deleted=deleted)
    _tell_used(task, run, found)
    return found


def _make_certain(task: Task, run: Run, found: Found) -> Found:
    """Read long lists by which something without a tag goes until they are certain; judge again what has changed.

    Between two pages a push and a deletion can hide an image, whose parts then look like leftovers.
    """
    certain: set[PackageName] = set()
    while True:
        packages = [key for key in steps.losing_untagged(run) if task.reader.is_long(key) and key not in certain]
        if not packages:
            return found
        certain.update(packages)
        seen = {package.key: {each.id for each in versions} for package, versions in found if package.key in packages}
        found, changed = steps.take_fresh(run, found, task.reader.versions_of(packages, seen=seen), task.log)
        if changed:
            steps.judge(run, changed, _judge(task, found, task.rules))


def _tell_used(task: Task, run: Run, found: Found) -> None:
    if task.counts_used:
        run.used = used_here(task.rules.lists.used, run.scope.packages)
        tell_used(run.used, found, task.log)


def _query(task: Task, run: Run, found: Found) -> None:
    """Answer the query over what is listed."""
    if not task.query:
        return
    try:
        run.rows = task.facts.tables(found).query(task.query)
    except SqlProblem as problem:
        raise BadInput([f"query: '{task.query}' is not accepted: {problem}"]) from None


def _find_containers(task: Task, run: Run) -> Found:
    others = [package_type for package_type in task.types if package_type is not PackageType.CONTAINER]
    if others:
        task.log.notice(f"only container images can be checked; {', '.join(others)} packages are passed over")
    if PackageType.CONTAINER in task.types:
        _find(replace(task, types=(PackageType.CONTAINER,)), run)
    found = steps.read_versions(run, task.reader, task.log)
    _tell_used(task, run, found)
    return found


def _asked_for(task: Task, found: Found) -> frozenset[int] | None:
    """The ids of the versions that `where` selects, or `None` without it: then all are asked for."""
    expression = task.rules.inputs.selection.where
    return None if expression is None else task.facts.gather(found).selected[expression]


def _check(
    task: Task,
    run: Run,
    found: Found,
    roots: frozenset[int] | None,
    *,
    repairs: bool = False,
    about_to_mend: bool = False,
) -> None:
    checker = ImageVerifier(reader=task.reader, looks=task.looks, registry=task.registry, log=task.log, repairs=repairs)
    for package, versions in found:
        try:
            named = task.rules.lists.digests | task.rules.lists.used.digests()
            run.checked += checker.check(package, versions, named, roots, about_to_mend=about_to_mend)
        except ApiError as refused:
            run.fail(str(package.key), refused, package.key)
    run.versions = [version for version in run.versions if version.id not in checker.gone]
    run.broken = broken(run.checked)


def _tags_in_use(run: Run) -> dict[PackageName, set[str]]:
    found: dict[PackageName, set[str]] = {}
    for version in run.versions:
        found.setdefault(version.package, set()).update(version.image_tags)
    return found


def _completions(
    task: Task, writing: Writing, packages: Iterable[PackageName], deleted: Mapping[PackageName, Sequence[Version]]
) -> list[ImageCompletion]:
    """What makes the images of container packages whole, by what is known of their deleted versions."""
    return [
        ImageCompletion(
            package=package,
            reader=task.reader,
            looks=task.looks,
            registry=task.registry,
            pause=writing.pause,
            deleted=deleted.get(package),
        )
        for package in packages
        if package.type is PackageType.CONTAINER
    ]


def _means(task: Task, writing: Writing) -> Restoring:
    return Restoring(writing.executor, _restoring(task, writing), task.log)


def _take_stubs_back(task: Task, writing: Writing, run: Run, completions: Sequence[ImageCompletion]) -> None:
    """Delete again what was restored and is a stub: its tag must not name an empty manifest."""
    for completion in completions:
        if stubs := completion.stubs:
            task.log.warning(f"{completion.package}: what was restored is deleted again: {describe_stubs(stubs)}")
            plan = guard(plan_stub_deletions(stubs), Guards())
            operation = Deletions(plan, task.reader, writing.writer, writing.tags, OnLastVersion.KEEP)
            steps.add_writes(run, plan.now, writing.executor, operation)


def _judge(task: Task, found: Found, rules: Rules) -> ImageEvaluator:
    facts = task.facts.gather(found)
    return ImageEvaluator(rules=rules, registry=task.registry, reader=task.reader, log=task.log, facts=facts)


def _drift(task: Task, began: float, replan: Replan) -> Drift:
    """The age of what was just read, and how to read it again."""
    now = task.clock.monotonic()
    return Drift(replan=replan, stopwatch=task.clock, log=task.log, read_from=began, read_until=now)


MakeOperation = Callable[[GuardedPlan, Writing], WriteOperation]


def _deletions(task: Task) -> MakeOperation:
    return lambda plan, writing: Deletions(plan, task.reader, writing.writer, writing.tags, task.guards.on_last_version)


def _restorations(task: Task) -> MakeOperation:
    return lambda _, writing: _restoring(task, writing)


def _restoring(task: Task, writing: Writing) -> Restorations:
    return Restorations(task.reader, writing.writer, writing.tags)


def _execute(task: Task, run: Run, operation: MakeOperation, drift: Drift | None = None) -> None:
    """Pass the guards, and write, if there is anything to write with."""
    _send(task, run, _guard(task, run), operation, drift)


def _guard(task: Task, run: Run) -> GuardedPlan:
    """Pass the guards; what they hold back is in the plan from then on."""
    try:
        guarded = guard(run.plan, task.guards)
    except TooMuch as refused:
        raise GuardRefused(str(refused)) from None
    run.plan = guarded.plan
    return guarded


def _send(task: Task, run: Run, plan: GuardedPlan, operation: MakeOperation, drift: Drift | None) -> None:
    if task.writing is not None and run.plan.writes:
        if plan.now and plan.later and plan.now[-1].root is not None and plan.later[0].root == plan.now[-1].root:
            task.log.warning(
                f"limit: {task.guards.limit} is less than the image {display_name(plan.now[-1].root)} has versions"
            )
        with task.log.group(f"{len(plan.now)} of {len(run.plan.writes)} planned writes in this run"):
            steps.execute(run, plan, task.writing.executor, operation(plan, task.writing), drift)
