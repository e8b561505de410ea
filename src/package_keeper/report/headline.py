"""The heading of a summary: what came of the run, with its numbers."""

from collections import Counter
from collections.abc import Iterator

from package_keeper.model.packages import PackageName, PackageType
from package_keeper.model.plan import Action, Outcome, PlannedWrite, WriteKind
from package_keeper.model.run import Run
from package_keeper.report.counts import count
from package_keeper.report.images import image_writes
from package_keeper.report.words import number_of
from package_keeper.settings import Operation, Settings

_ICONS = {"planned": "🔍", "partial": "⏸️", "failed": "❌", "refused": "🛑", "cancelled": "🛑"}

_DONE = {
    Action.DELETE: ("{} would go", "{} deleted"),
    Action.UNTAG: ("{} would be removed", "{} removed"),
    Action.RESTORE: ("{} would be restored", "{} restored"),
}
"""What is said of the writes of an action: in a dry run, and after it was done."""

_NOT_DONE = (
    ((Outcome.FAILED, Outcome.NO_PERMISSION), "would fail", "failed"),
    ((Outcome.LAST_VERSION, Outcome.PROTECTED_BY_DOWNLOADS), "would be refused by GitHub", "refused by GitHub"),
    ((Outcome.TAG_IN_USE,), "with a tag in use", "with a tag in use"),
    ((Outcome.CHANGED_SINCE_PLAN,), "changed since the plan", "changed since the plan"),
    ((Outcome.ALREADY_GONE,), "already gone", "already gone"),
    ((Outcome.ALREADY_ACTIVE,), "active already", "active already"),
    ((Outcome.OVER_LIMIT, Outcome.OUT_OF_TIME), "left for the next run", "left for the next run"),
)
"""What is said of other outcomes: in a dry run, and after it."""

_REFUSED = (Outcome.LAST_VERSION, Outcome.PROTECTED_BY_DOWNLOADS)


def headline(run: Run, settings: Settings | None) -> str:
    """The heading, in plain text of our own."""
    return f"{_icon(run)} {_dry(settings)}{_capital(_text(run, settings), settings)}"


def is_dry(settings: Settings | None) -> bool:
    """Whether it was a dry run of an operation that writes."""
    return settings is not None and settings.operation.writes and settings.dry_run


def _dry(settings: Settings | None) -> str:
    return "Dry run: " if is_dry(settings) else ""


def _capital(text: str, settings: Settings | None) -> str:
    return text if is_dry(settings) else text[:1].upper() + text[1:]


def _icon(run: Run) -> str:
    refused = any(record.outcome in (*_REFUSED, Outcome.TAG_IN_USE) for record in run.records)
    return _ICONS.get(run.result) or ("⚠️" if refused else "✅")


def _text(run: Run, settings: Settings | None) -> str:
    if run.result == "refused":
        return "refused, and nothing was written"
    if settings is None:
        return "not started, since the inputs cannot be used" if run.result == "failed" else f"{run.result}"
    if run.result == "failed" and not run.plan.writes and not run.verified:
        return _failed(run, settings)
    unread = len(_unread(run))
    more = f", {number_of(unread, 'package')} could not be read" if unread else ""
    text = f"{_found(run, settings)}{more}"
    return f"cancelled: {text}" if run.result == "cancelled" else text


def _unread(run: Run) -> set[PackageName]:
    return {problem.package for problem in run.scope.problems if problem.package is not None}


def _failed(run: Run, settings: Settings) -> str:
    unread = _unread(run)
    total = len(unread | {package.key for package in run.scope.packages})
    nothing = ", and nothing was written" if settings.writes else ""
    if unread:
        return f"{len(unread):,} of {number_of(total, 'package')} could not be read{nothing}"
    if run.scope.missing:
        return f"{number_of(len(run.scope.missing), 'named package')} not found{nothing}"
    return f"failed{nothing}"


def _found(run: Run, settings: Settings) -> str:
    """What was found or done, by the operation."""
    if settings.operation is Operation.VERIFY:
        return _verified(run)
    if settings.operation is Operation.CONFLICTS:
        number = len(run.scope.packages)
        return f"{number_of(number, 'package')} with a Docker-migration conflict" if number else "no conflict"
    if settings.operation is Operation.LIST:
        if run.rows is not None:
            return number_of(len(run.rows), "row")
        if settings.lists_versions:
            return number_of(len(run.listed), "version")
        return number_of(len(run.scope.packages), "package")
    if not run.plan.writes:
        return _nothing(run, settings) if run.result == "nothing-to-do" else "ended before there was a plan"
    return ", ".join(_written(run, settings))


def _verified(run: Run) -> str:
    total = len(run.verified)
    if not total:
        return "no image to verify"
    if not run.broken:
        return f"all {number_of(total, 'image')} are whole" if total > 1 else "the image is whole"
    return f"{run.broken:,} of {number_of(total, 'image')} {'is' if run.broken == 1 else 'are'} broken"


def _nothing(run: Run, settings: Settings) -> str:
    kept = count(run, settings).kept
    what = {Operation.RESTORE: "nothing to restore", Operation.REPAIR: "nothing to repair"}
    text = what.get(settings.operation, "nothing to do")
    if not kept or settings.operation not in (Operation.DELETE, Operation.APPLY):
        return text
    return f"{text}, all {number_of(kept, 'version')} stay" if kept > 1 else f"{text}, the only version stays"


def _written(run: Run, settings: Settings) -> Iterator[str]:
    """What was written or would be, action by action, and then what was not."""
    dry = is_dry(settings)
    ends = _ends(run, dry=dry)
    for action in _DONE:
        writes = [write for write, _ in ends if write.action is action]
        done = [write for write, outcome in ends if write.action is action and outcome is Outcome.DONE]
        if writes:
            yield _would(run, action, done) if dry else _was(action, done, writes)
    outcomes = Counter(outcome for _, outcome in ends)
    for among, would, was in _NOT_DONE:
        if number := sum(outcomes[outcome] for outcome in among):
            yield f"{number:,} {would if dry else was}"


def _ends(run: Run, *, dry: bool) -> list[tuple[PlannedWrite, Outcome | None]]:
    """How each write ended or would end; `None` for those that were not begun."""
    if run.records:
        return [(record.write, record.outcome) for record in run.records]
    return [(write, write.expected or (Outcome.DONE if dry else None)) for write in run.plan.writes]


def _would(run: Run, action: Action, writes: list[PlannedWrite]) -> str:
    what = f"{number_of(len(writes), _noun(writes))}{_images(run, writes)}" if writes else "nothing"
    return _DONE[action][0].format(what)


def _was(action: Action, done: list[PlannedWrite], writes: list[PlannedWrite]) -> str:
    of = f"{len(done):,} of " if len(done) != len(writes) else ""
    return _DONE[action][1].format(f"{of}{number_of(len(writes), _noun(writes))}")


def _noun(writes: list[PlannedWrite]) -> str:
    kinds = {write.kind for write in writes}
    if kinds == {WriteKind.PACKAGE}:
        return "package"
    return "tag" if kinds == {WriteKind.TAG} else "version"


def _images(run: Run, done: list[PlannedWrite]) -> str:
    """How many images the versions are, when they are parts of images."""
    if done[0].action is not Action.DELETE or not any(write.package.type is PackageType.CONTAINER for write in done):
        return ""
    ours = {id(write) for write in done}
    images = sum(any(id(write) in ours for write in image.writes) for image in image_writes(run))
    return f" of {number_of(images, 'image')}" if images != len(done) else ""
