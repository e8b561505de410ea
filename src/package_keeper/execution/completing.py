"""Making restored images whole: round by round, until nothing is missing that can be restored."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from package_keeper.decisions.plan import PlannedWrite, WriteKind, WriteRecord
from package_keeper.decisions.vocabulary import Outcome
from package_keeper.errors import PackageKeeperError, Refusal
from package_keeper.execution.carrying_out import Carrier
from package_keeper.execution.mending import MANY, Completion, tell_incomplete
from package_keeper.execution.ports import Log
from package_keeper.execution.run import Run, add_writes
from package_keeper.execution.write_operation import WriteOperation
from package_keeper.inventory.package import PackageName


@dataclass(frozen=True)
class Restoring:
    """The means of restoring, and of telling about it."""

    carrier: Carrier
    operation: WriteOperation
    log: Log


def complete_all(
    run: Run, completions: Iterable[Completion], means: Restoring, tags: Sequence[PlannedWrite] = ()
) -> None:
    """Restore what restored images still lack, and those that are to get one of `tags` back.

    Those that stay broken are told and counted. What ends the run early is kept in it.
    """
    records: dict[PackageName, list[WriteRecord]] = {}
    for record in run.records:
        records.setdefault(record.write.package, []).append(record)
    left = []
    for completion in completions:
        completion.note(records.get(completion.package, ()))
        try:
            if run.ended_by is None:
                _rounds(run, completion, means, [write for write in tags if write.package == completion.package])
            elif not completion.is_idle:
                left.append(str(completion.package))
        except PackageKeeperError as ended:
            left.append(str(completion.package))
            run.ended_by = ended
        _tell(run, completion, means.log)
    if left:
        names = ", ".join(left[:MANY]) + (f" and {len(left) - MANY} more" if len(left) > MANY else "")
        means.log.warning(
            f"{names}: images are restored whose parts were not looked for any more: repair restores them"
        )


def _tell(run: Run, completion: Completion, log: Log) -> None:
    if unfinished := completion.unfinished:
        log.warning(f"{completion.package}: {len(unfinished)} restored images still lack parts: repair restores them")
    broken = completion.incomplete()
    run.broken += len(broken)
    tell_incomplete(completion.package, broken, log)


def _rounds(run: Run, completion: Completion, means: Restoring, tags: Iterable[PlannedWrite]) -> None:
    try:
        _look_after_more(run, completion, tags)
        while writes := completion.next_round():
            known = len(run.records)
            add_writes(run, writes, means.carrier, means.operation)
            completion.note(run.records[known:])
            if run.ended_by is not None:
                raise run.ended_by
    except Refusal as refused:
        run.fail(f"the parts of images in {completion.package}", refused)


def _look_after_more(run: Run, completion: Completion, tags: Iterable[PlannedWrite]) -> None:
    """The images that came back with their package, and those that are to get a tag back, are to be whole too."""
    package = completion.package
    back = (Outcome.DONE, Outcome.ALREADY_ACTIVE)
    if any(
        record.write.kind is WriteKind.PACKAGE and record.write.package == package and record.outcome in back
        for record in run.records
    ):
        for version in completion.reader.versions(package):
            completion.add(version.name, version.tags)
    named = {write.version_id or 0: write for write in tags}
    for version_id in completion.looks.active(package, named) if named else ():
        completion.add(named[version_id].version_name, named[version_id].tags)
