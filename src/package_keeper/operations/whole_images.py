"""After a restoration: restore the parts that images still lack, and report the images that are not whole."""

from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from package_keeper.errors import ApiError, PackageKeeperError
from package_keeper.execution.completion import BROKEN_SHOWN, ImageCompletion, plan_stub_deletions, tell_incomplete
from package_keeper.execution.scope import problem_with
from package_keeper.execution.wording import describe_stubs, few
from package_keeper.model.packages import PackageName, PackageType, Version
from package_keeper.model.plan import PlannedWrite, WriteKind, WriteRecord
from package_keeper.model.run import Run
from package_keeper.operations.context import Context, Writing
from package_keeper.operations.writing import add_plan, restore_more
from package_keeper.policy.guards import Guards, OnLastVersion, guard


def completions_for(
    context: Context,
    writing: Writing,
    packages: Iterable[PackageName],
    deleted: Mapping[PackageName, Sequence[Version]],
) -> list[ImageCompletion]:
    """Make the `ImageCompletion` of each container package. `deleted` are its deleted versions, where known."""
    return [
        ImageCompletion(
            package=package,
            reader=context.reader,
            registry=context.registry,
            pause=writing.pause,
            deleted=deleted.get(package),
        )
        for package in packages
        if package.type is PackageType.CONTAINER
    ]


def make_whole(
    context: Context,
    writing: Writing,
    run: Run,
    completions: Iterable[ImageCompletion],
    tags: Sequence[PlannedWrite] = (),
) -> Run:
    """Restore the parts that restored images still lack, and those of images that get one of `tags` back.

    Log and count the images that stay broken.
    """
    records: dict[PackageName, list[WriteRecord]] = {}
    for record in run.records:
        records.setdefault(record.write.package, []).append(record)
    left = []
    for completion in completions:
        completion.note(records.get(completion.package, ()))
        had_ended = run.ended_by is not None
        if not had_ended:
            run = _complete(writing, run, completion, [each for each in tags if each.package == completion.package])
        if run.ended_by is not None and not (had_ended and completion.is_idle):
            left.append(str(completion.package))
        if unfinished := completion.unfinished:
            context.log.warning(
                f"{completion.package}: {len(unfinished)} restored images still lack parts: repair restores them"
            )
        incomplete = completion.incomplete()
        run = replace(run, broken=run.broken + len(incomplete))
        tell_incomplete(completion.package, incomplete, context.log)
    if left:
        context.log.warning(
            f"{few(left, BROKEN_SHOWN)}: images are restored whose parts were not looked for any more: repair"
            " restores them"
        )
    return run


def _complete(writing: Writing, run: Run, completion: ImageCompletion, tags: Iterable[PlannedWrite]) -> Run:
    """Restore the parts that the images of one package lack, until nothing more can be restored."""
    try:
        try:
            _add_other_images(run, completion, tags)
            while writes := completion.next_round():
                run = restore_more(writing, run, writes)
                completion.note(run.records)
                if run.ended_by is not None:
                    return run
        except ApiError as error:
            problem = problem_with(f"the parts of images in {completion.package}", error)
            return replace(run, scope=run.scope.adding(problems=[problem]))
    except PackageKeeperError as ended:
        return replace(run, ended_by=ended)
    return run


def _add_other_images(run: Run, completion: ImageCompletion, tags: Iterable[PlannedWrite]) -> None:
    """Also complete the images of a restored package, and those that get a tag back."""
    package = completion.package
    if any(
        each.is_back and each.write.kind is WriteKind.PACKAGE and each.write.package == package for each in run.records
    ):
        for version in completion.reader.versions(package):
            completion.add(version.name, version.tags)
    completion.add_active(tags)


def take_stubs_back(context: Context, writing: Writing, run: Run, completions: Iterable[ImageCompletion]) -> Run:
    """Delete again the stubs that were restored: a tag must not point to an empty manifest."""
    for completion in completions:
        if stubs := completion.stubs:
            context.log.warning(f"{completion.package}: what was restored is deleted again: {describe_stubs(stubs)}")
            guarded = guard(plan_stub_deletions(stubs), Guards())
            deletions = writing.deletion_strategy(guarded, OnLastVersion.KEEP)
            run = add_plan(run, guarded, writing.executor.execute(guarded, deletions, to_the_end=True))
    return run
