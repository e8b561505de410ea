"""The totals of a run in words: `Delete 21 versions of 3 images in 1 package?`."""

from collections import Counter
from collections.abc import Iterator, Sequence

from package_keeper.model.packages import PackageType
from package_keeper.model.plan import Action, PlannedWrite, WriteKind
from package_keeper.model.run import Run
from package_keeper.report.counts import Counts, count
from package_keeper.report.sizes import freed_text
from package_keeper.settings import Operation, Settings

Groups = Sequence[Sequence[PlannedWrite]]
"""Images: the writes to each of them, the root first."""

_VERBS = {Action.DELETE: "delete", Action.RESTORE: "restore"}


def amount(number: int, noun: str) -> str:
    """A number of things: `1 image`, `2 images`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def question(groups: Groups) -> str:
    """The question whether these writes are wanted."""
    asked = " and ".join(_parts(groups))
    inside = [group for group in groups if group[0].kind is not WriteKind.PACKAGE]
    where = f" in {amount(_packages(inside), 'package')}" if inside else ""
    return f"{asked[:1].upper()}{asked[1:]}{where}? [y/N] "


def _parts(groups: Groups) -> Iterator[str]:
    for action, verb in _VERBS.items():
        wanted = [tuple(write for write in group if write.action is action and write.tag is None) for group in groups]
        yield from _versions(verb, [group for group in wanted if group])
    tags = Counter(write.action is Action.RESTORE for group in groups for write in group if write.tag is not None)
    if tags[False]:
        yield f"take away {amount(tags[False], 'tag')}"
    if tags[True]:
        yield f"give back {amount(tags[True], 'tag')}"


def _versions(verb: str, groups: Groups) -> Iterator[str]:
    versions = [group for group in groups if group[0].kind is WriteKind.VERSION]
    if versions:
        yield f"{verb} {amount(sum(map(len, versions)), 'version')}{_images(versions)}"
    if len(versions) < len(groups):
        yield f"{verb} {amount(len(groups) - len(versions), 'whole package')}"


def _images(groups: Groups) -> str:
    images = sum(group[0].package.type is PackageType.CONTAINER for group in groups)
    return f" of {amount(images, 'image')}" if images else ""


def _packages(groups: Groups) -> int:
    return len({write.package for group in groups for write in group})


def totals(run: Run, settings: Settings | None) -> str:
    """What came of a run, in one line: its result, the counts that are not zero, and the bytes given back."""
    counts = count(run, settings)
    found = [*_counted(run, counts, settings), freed_text(run)]
    return f"{run.result}: {', '.join(filter(None, found)) or 'nothing'}"


def _counted(run: Run, counts: Counts, settings: Settings | None) -> Iterator[str]:
    things = "package" if settings is not None and settings.concerns_packages else "version"
    yield _found(run, counts, settings, things)
    for number, word in ((counts.deleted, "deleted"), (counts.restored, "restored")):
        if number:
            yield f"{amount(number, things)}{_extent(run)} {word}"
    if counts.untagged:
        yield f"{amount(counts.untagged, 'tag')} taken away"
    others = {
        "kept": counts.kept,
        "skipped": counts.skipped,
        "failed": counts.failed,
        "left for the next run": counts.remaining,
    }
    yield from (f"{number:,} {word}" for word, number in others.items() if number)
    if counts.broken:
        yield f"{amount(counts.broken, 'image')} broken"


def _found(run: Run, counts: Counts, settings: Settings | None, things: str) -> str:
    """What a run found or planned that wrote nothing; empty for one that wrote."""
    if run.rows is not None:
        return amount(len(run.rows), "row")
    if settings is not None and settings.operation is Operation.VERIFY:
        return f"{amount(counts.selected, 'image')} checked"
    if run.records:
        return ""
    if run.plan.writes:
        mixed = len({write.kind for write in run.plan.writes}) > 1
        return f"{amount(counts.selected, 'write' if mixed else things)}{_extent(run)}"
    is_list = settings is not None and not settings.operation.writes
    return f"{amount(counts.selected, things)} selected" if counts.selected or is_list else ""


def _extent(run: Run) -> str:
    """` of 3 images in 2 packages`: what the writes are about that were done, or else planned."""
    done = {id(record.write) for record in run.records if record.is_done and record.write.tag is None}
    groups = [
        group
        for group in run.plan.groups
        if group[0].kind is WriteKind.VERSION and (not run.records or any(id(write) in done for write in group))
    ]
    return f"{_images(groups)} in {amount(_packages(groups), 'package')}" if groups else ""
