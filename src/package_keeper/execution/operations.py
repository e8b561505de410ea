"""One function per operation: plan it, and, when there is a writer, carry it out."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from package_keeper.decisions.guards import Guards, OnLastVersion, TooMuch, guard
from package_keeper.decisions.plan import GuardedPlan, Plan, WriteRecord, gone_versions
from package_keeper.decisions.rules import Rules
from package_keeper.decisions.sql import SqlProblem
from package_keeper.decisions.vocabulary import Outcome
from package_keeper.errors import BadInput, GuardRefused, OutOfTime, PackageKeeperError, Refusal
from package_keeper.execution import run as steps
from package_keeper.execution.carrying_out import Carrier
from package_keeper.execution.checking import Checker, broken
from package_keeper.execution.deleting import Deletions
from package_keeper.execution.describing import describe_stubs
from package_keeper.execution.drift import Drift, Replan
from package_keeper.execution.evidence import Evidence, Found, tell_used, used_here
from package_keeper.execution.image_reading import ManifestReader
from package_keeper.execution.images import ImageJudge, broken_since
from package_keeper.execution.mending import PartFinder, plan_repair, plan_stub_deletions
from package_keeper.execution.ports import Log, Pause, Reader, Stopwatch, Writer
from package_keeper.execution.receipt import Receipt
from package_keeper.execution.replanning import Replanning
from package_keeper.execution.restoring import Restorations, plan_package_restorations, plan_undo
from package_keeper.execution.run import Run
from package_keeper.execution.scope import PackageFilter, find_packages
from package_keeper.execution.untagging import TagMoves
from package_keeper.execution.write_operation import WriteOperation
from package_keeper.inventory.package import Owner, PackageName, PackageType
from package_keeper.inventory.stub import is_stub
from package_keeper.inventory.version import Version, display_name


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
    evidence: Evidence
    guards: Guards
    counts_used: bool
    deleted_state: bool
    explains: bool
    query: str
    reader: Reader
    registry: ManifestReader
    writing: "Writing | None"
    clock: Stopwatch
    log: Log


@dataclass(frozen=True, kw_only=True)
class Writing:
    """The means of writing."""

    writer: Writer
    tags: TagMoves
    carrier: Carrier
    pause: Pause


def list_packages(task: Task, run: Run) -> None:
    """List the packages in scope."""
    _find(task, run)
    _query(task, run, [(package, []) for package in run.scope.packages])


def list_versions(task: Task, run: Run) -> None:
    """List the versions that the selection and the age accept, or explain every one of them."""
    found = _read(task, run, deleted=task.deleted_state)
    rules = task.rules if task.explains else replace(task.rules, writing=False)
    judge = _judge(task, found, rules)
    if task.explains:
        steps.explain_versions(run, found, judge)
    else:
        steps.list_versions(run, found, judge, deleted=task.deleted_state)
    steps.warn_about_unseen(run, task.rules, task.log)
    steps.tell_stubs(run, task.log)
    steps.tell_decisions(run, task.log)
    listed = {judgement.version.id for judgement in run.listed}
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
    _check(task, run, found, roots, about_to_mend=True)
    run.plan = Plan.of_singles(plan_repair(run.checked, _tags_in_use(run)))
    _carry_out(task, run, _restorations(task))
    if task.writing is None or not run.plan.writes or run.ended_by is not None:
        return
    tried = {write.version_id for write in run.plan.writes}
    while True:
        run.checked = []
        _check(task, run, [(package, task.reader.versions(package.key)) for package, _ in found], roots)
        # a part that came back may be an index that lacks parts of its own
        writes = [write for write in plan_repair(run.checked, _tags_in_use(run)) if write.version_id not in tried]
        if not writes or run.ended_by is not None:
            return
        tried |= {write.version_id for write in writes}
        steps.add_writes(
            run, writes, task.writing.carrier, Restorations(task.reader, task.writing.writer, task.writing.tags)
        )


def delete(task: Task, run: Run) -> None:
    """Delete the selected versions."""
    began = task.clock.monotonic()
    found = _read(task, run)
    drift = _drift(task, began, Replanning(task.reader, task.evidence, found).deletions(task.rules, task.registry))
    steps.judge(run, found, _judge(task, found, task.rules))
    steps.plan_version_deletions(run, task.rules)
    steps.warn_about_unseen(run, task.rules, task.log)
    steps.tell_stubs(run, task.log)
    steps.tell_decisions(run, task.log)
    _carry_out(task, run, _deletions(task), drift)
    if torn := steps.torn_images(run):
        names = ", ".join(display_name(write.version_name) for write in torn[:3]) + (", ..." if len(torn) > 3 else "")
        task.log.warning(
            f"{len(torn)} images are deleted, but not all of their parts ({names}): the parts that stay have no tag any"
            " more, so that the same selection may not find them: tag-status: untagged selects them"
        )
    if run.records and run.ended_by is None:
        try:
            run.broken = broken_since(run.judged, gone_versions(run.records), task.reader, task.registry, task.log)
        except Refusal as refused:
            run.fail("the check after the run", refused)
        except OutOfTime:
            task.log.warning("the images that stay were not looked at again: time-limit is reached")


def restore(task: Task, run: Run) -> None:
    """Restore the selected deleted versions, images with all their parts."""
    began = task.clock.monotonic()
    found = _read(task, run, deleted=True)
    drift = _drift(task, began, Replanning(task.reader, task.evidence, found).restorations(task.rules))
    steps.plan_version_restorations(run, found, task.reader, task.rules, task.evidence.gather(found))
    steps.warn_about_unseen(run, task.rules, task.log)
    steps.tell_stubs(run, task.log)
    steps.tell_decisions(run, task.log)
    _carry_out(task, run, _restorations(task), drift)
    if task.writing is not None and not task.rules.raw:
        for package, versions in found:
            if package.type is PackageType.CONTAINER:
                finder = PartFinder(
                    package=package.key,
                    reader=task.reader,
                    registry=task.registry,
                    failed=run.fail,
                    pause=task.writing.pause,
                    active=set(),
                    tags=set(),
                    deleted=versions,
                )
                _complete(task.writing, task, run, finder)


def undo(task: Task, run: Run, receipt: Receipt) -> None:
    """Restore everything in a receipt."""
    entries = [
        entry
        for entry in receipt.entries
        if task.wanted.accepts_name(entry.package.name) and (not task.types_given or entry.package.type in task.types)
    ]
    stubs = [entry for entry in entries if is_stub(entry.name, entry.tags)]
    if stubs:
        ids = ", ".join(str(entry.version_id) for entry in stubs)
        task.log.warning(f"undo: empty manifests by which untagging took tags away stay deleted (ids {ids})")
        entries = [entry for entry in entries if entry not in stubs]
    run.plan, run.scope.packages = plan_undo(task.reader, entries, run.fail)
    _carry_out(task, run, _restorations(task))


def delete_package(task: Task, run: Run) -> None:
    """Delete whole packages."""
    _find(task, run)
    patterns = task.wanted.patterns
    exact = [pattern for pattern in (patterns.includes if patterns else ()) if pattern.is_exact]
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
    patterns = task.wanted.patterns
    wanted = [
        pattern.text for pattern in (patterns.includes if patterns else ()) if task.wanted.accepts_name(pattern.text)
    ]
    names = list({name.lower(): name for name in wanted}.values())
    keys = [PackageName(type=package_type, name=name) for name in names for package_type in task.types]
    run.plan = plan_package_restorations(task.reader, keys, run.fail)
    _carry_out(task, run, _restorations(task))
    missing = _not_found(run, names)
    prefix = f"{task.owner.login.lower()}/"
    bare = {
        name: name[len(prefix) :] for name in missing if name.lower().startswith(prefix) and len(name) > len(prefix)
    }
    if bare and task.writing is not None:
        task.log.notice(f"package: nothing is named {', '.join(bare)}; tried without the owner in front")
        keys = [PackageName(type=package_type, name=name) for name in bare.values() for package_type in task.types]
        plan = plan_package_restorations(task.reader, keys, run.fail)
        steps.add_writes(
            run, plan.writes, task.writing.carrier, Restorations(task.reader, task.writing.writer, task.writing.tags)
        )
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


def _tell_used(task: Task, run: Run, found: Found) -> None:
    if task.counts_used:
        run.used = used_here(task.rules.lists.used, run.scope.packages)
        tell_used(run.used, found, task.log)


def _query(task: Task, run: Run, found: Found) -> None:
    """Answer the query over what is listed."""
    if not task.query:
        return
    try:
        run.rows = task.evidence.tables(found).query(task.query)
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
    return None if expression is None else task.evidence.gather(found).selected[expression]


def _check(task: Task, run: Run, found: Found, roots: frozenset[int] | None, *, about_to_mend: bool = False) -> None:
    checker = Checker(reader=task.reader, registry=task.registry, log=task.log)
    for package, versions in found:
        try:
            named = task.rules.lists.digests | task.rules.lists.used.digests()
            run.checked += checker.check(package, versions, named, roots, about_to_mend=about_to_mend)
        except Refusal as refused:
            run.fail(str(package.key), refused, package.key)
    run.broken = broken(run.checked)


def _tags_in_use(run: Run) -> dict[PackageName, set[str]]:
    found: dict[PackageName, set[str]] = {}
    for version in run.versions:
        found.setdefault(version.package, set()).update(version.image_tags)
    return found


def _complete(writing: Writing, task: Task, run: Run, finder: PartFinder) -> None:
    """Restore what restored images of one package still lack, until they are whole."""
    restored = steps.restored_versions(run.records).get(finder.package, [])
    if not restored:
        return
    try:
        if run.ended_by is not None:
            raise run.ended_by
        _restore_parts(writing, task, run, finder, restored)
    except PackageKeeperError as ended:
        task.log.warning(
            f"{finder.package}: images are restored whose parts were not looked for any more: repair restores them"
        )
        run.ended_by = ended


def _restore_parts(writing: Writing, task: Task, run: Run, finder: PartFinder, restored: Sequence[Version]) -> None:
    try:
        for version in task.reader.versions(finder.package):
            finder.active.add(version.name)
            finder.tags.update(version.image_tags)
        while restored:
            writes = finder.next_round(restored)
            known = len(run.records)
            if writes:
                steps.add_writes(run, writes, writing.carrier, Restorations(task.reader, writing.writer, writing.tags))
            _say_incomplete(task, finder.package, run.records[known:])
            restored = steps.restored_versions(run.records[known:]).get(finder.package, [])
    except Refusal as refused:
        run.fail(f"the parts of images in {finder.package}", refused)
    _take_stubs_back(writing, task, run, finder)


def _take_stubs_back(writing: Writing, task: Task, run: Run, finder: PartFinder) -> None:
    """Delete again what was restored and is a stub: its tag must not name an empty manifest."""
    ours = {record.write.version_id for record in run.records if record.outcome is Outcome.DONE}
    stubs = [stub for stub in finder.stubs if stub.id in ours]
    if stubs:
        task.log.warning(f"{finder.package}: what was restored is deleted again: {describe_stubs(stubs)}")
        plan = guard(plan_stub_deletions(stubs), Guards())
        operation = Deletions(plan, task.reader, writing.writer, writing.tags, OnLastVersion.KEEP)
        steps.add_writes(run, plan.now, writing.carrier, operation)


def _say_incomplete(task: Task, package: PackageName, records: Sequence[WriteRecord]) -> None:
    lacking = {record.write.root for record in records if record.outcome.is_remaining or record.outcome.is_failed}
    if lacking:
        task.log.warning(f"{package}: {len(lacking)} restored images still lack parts: repair restores them")


def _judge(task: Task, found: Found, rules: Rules) -> ImageJudge:
    facts = task.evidence.gather(found)
    return ImageJudge(rules=rules, registry=task.registry, reader=task.reader, log=task.log, facts=facts)


def _drift(task: Task, began: float, replan: Replan) -> Drift:
    """The age of what was just read, and how to read it again."""
    now = task.clock.monotonic()
    return Drift(replan=replan, stopwatch=task.clock, log=task.log, read_from=began, read_until=now)


MakeOperation = Callable[[GuardedPlan, Writing], WriteOperation]


def _deletions(task: Task) -> MakeOperation:
    return lambda plan, writing: Deletions(plan, task.reader, writing.writer, writing.tags, task.guards.on_last_version)


def _restorations(task: Task) -> MakeOperation:
    return lambda _, writing: Restorations(task.reader, writing.writer, writing.tags)


def _carry_out(task: Task, run: Run, operation: MakeOperation, drift: Drift | None = None) -> None:
    """Pass the guards, and write, if there is anything to write with."""
    try:
        plan = guard(run.plan, task.guards)
    except TooMuch as refused:
        raise GuardRefused(str(refused)) from None
    if task.writing is not None and run.plan.writes:
        if plan.now and plan.later and plan.now[-1].root is not None and plan.later[0].root == plan.now[-1].root:
            task.log.warning(
                f"limit: {task.guards.limit} is less than the image {display_name(plan.now[-1].root)} has versions"
            )
        with task.log.group(f"{len(plan.now)} of {len(run.plan.writes)} planned writes in this run"):
            steps.carry_out(run, plan, task.writing.carrier, operation(plan, task.writing), drift)
