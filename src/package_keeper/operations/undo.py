"""`restore` with a receipt: restore everything that an earlier run deleted or untagged."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate

from msgspec import Struct, field
from msgspec.structs import replace

from package_keeper.errors import ApiError, ApiErrorKind
from package_keeper.execution.ports import Reader
from package_keeper.execution.receipt import Receipt, ReceiptEntry, damage
from package_keeper.execution.restorations import package_or_none, still_active
from package_keeper.execution.scope import attempt_each, tell_entries
from package_keeper.model.manifest import is_stub
from package_keeper.model.packages import Package, PackageName, PackageType, Version
from package_keeper.model.plan import NOTHING, Action, GuardedPlan, Outcome, Plan, PlannedWrite, Reason, WriteKind
from package_keeper.model.run import Run, Scope
from package_keeper.operations.context import Context, Writing
from package_keeper.operations.whole_images import completions_for, make_whole, take_stubs_back
from package_keeper.operations.writing import pass_guards, skipped, with_records
from package_keeper.policy.guards import split_tags
from package_keeper.policy.planning import ActiveNames


def undo(context: Context) -> Iterator[Run]:
    """Restore the versions in a receipt, then the parts that their images still lack, then their tags."""
    entries = _entries(context, context.receipt) if context.receipt is not None else []
    planned = plan_undo(context.reader, entries)
    run = Run(scope=planned.scope, plan=planned.plan)
    yield run
    run, guarded = pass_guards(context, run)
    yield run
    if context.writing is not None and run.plan.writes:
        yield from execute_restorations_of(context, context.writing, run, guarded, planned.deleted)


def execute_restorations_of(
    context: Context,
    writing: Writing,
    run: Run,
    guarded: GuardedPlan,
    deleted: Mapping[PackageName, list[Version]],
    *,
    completes: bool = True,
) -> Iterator[Run]:
    """Restore packages and versions, then the parts that their images still lack, then tags.

    `deleted` are the deleted versions of the packages that could be read. Without `completes`, no parts are looked for.
    """
    rest, tags = split_tags(guarded)
    with context.log.group(f"{len(guarded.now)} of {len(run.plan.writes)} planned writes in this run"):
        run = _execute(writing, run, rest)
        yield run
        packages = dict.fromkeys(write.package for write in guarded.now) if completes else ()
        completions = completions_for(context, writing, packages, deleted)
        run = make_whole(context, writing, run, completions, tags.now)
        yield run
        run = take_stubs_back(context, writing, run, completions)
        yield run
        yield _execute(writing, run, tags)


def _execute(writing: Writing, run: Run, guarded: GuardedPlan) -> Run:
    """Execute a guarded plan, unless the run has ended."""
    if run.ended_by is not None:
        return skipped(run, guarded)
    return with_records(run, writing.executor.execute(guarded, writing.restoration_strategy(guarded)))


def _entries(context: Context, receipt: Receipt) -> list[ReceiptEntry]:
    """Return the entries of packages in scope. Stubs stay deleted."""
    if receipt.damaged:
        context.log.warning(damage(receipt))
    settings, wanted = context.settings, context.wanted
    entries = [
        entry
        for entry in receipt.entries
        if wanted.accepts_name(entry.package.name)
        and (not settings.package_types_given or entry.package.type in settings.package_types)
    ]
    tell_entries(context.log, wanted, {entry.package.name.lower() for entry in receipt.entries})
    stubs = [entry for entry in entries if is_stub(entry.name, entry.tags)]
    if stubs:
        ids = ", ".join(str(entry.version_id) for entry in stubs)
        context.log.warning(f"undo: empty manifests by which untagging took tags away stay deleted (ids {ids})")
    return [entry for entry in entries if entry not in stubs]


class UndoPlan(Struct, frozen=True, kw_only=True):
    """The plan to undo a receipt. `deleted` are the deleted versions of the existing packages that could be read."""

    plan: Plan
    scope: Scope
    deleted: Mapping[PackageName, list[Version]]


class _Found(Struct, kw_only=True):
    """What exists of the packages of a receipt."""

    packages: dict[PackageName, Package | None] = field(default_factory=dict)
    active: dict[PackageName, list[Version]] = field(default_factory=dict)
    deleted: dict[PackageName, list[Version]] = field(default_factory=dict)
    scope: Scope = field(default_factory=Scope)


def plan_undo(reader: Reader, entries: Sequence[ReceiptEntry]) -> UndoPlan:
    """Plan to undo the entries of a receipt: packages first, then versions, last deleted first, then tags.

    Parts come after their root in a receipt, so they are restored before it. A version that is listed as active is
    asked for by id: the list may be outdated, and a `started` line alone does not say whether it was deleted.
    """
    found = _look(reader, entries)
    entries = [entry for entry in entries if entry.package in found.packages]
    writes = [
        PlannedWrite(
            action=Action.RESTORE,
            reason=Reason.RECEIPT,
            package=entry.package,
            expected=Outcome.ALREADY_ACTIVE if found.packages[entry.package] is not None else None,
        )
        for entry in entries
        if entry.kind is WriteKind.PACKAGE
    ]
    versions, tags = _plan_versions(entries, found)
    tags += [_restoration(entry, {}) for entry in reversed(entries) if entry.kind is WriteKind.TAG]
    return UndoPlan(
        plan=Plan.of_singles([*writes, *versions, *tags]),
        scope=found.scope,
        deleted=found.deleted,
    )


def _look(reader: Reader, entries: Iterable[ReceiptEntry]) -> _Found:
    """Read the packages of a receipt. One that cannot be read becomes a problem."""
    found = _Found()
    by_package: dict[PackageName, list[ReceiptEntry]] = {}
    for entry in entries:
        by_package.setdefault(entry.package, []).append(entry)

    def look(key: PackageName) -> None:
        package = package_or_none(reader, key)
        if package is not None:
            _refuse_another(package, by_package[key])
            found.active[key] = _still_active(reader, key, by_package[key])
            found.deleted[key] = reader.versions(key, deleted=True)
        found.packages[key] = package

    tried = attempt_each(by_package, look, lambda key: (str(key), None))
    found.scope = Scope(
        packages=tuple(package for package in found.packages.values() if package is not None),
        problems=tried.problems,
        ended_by=tried.ended_by,
    )
    return found


def _still_active(reader: Reader, package: PackageName, entries: Iterable[ReceiptEntry]) -> list[Version]:
    """Return the active versions. Those with the name of a version in the entries are asked for. Raises `ApiError`."""
    names = {entry.name for entry in entries if entry.kind is WriteKind.VERSION}
    return still_active(reader.versions(package), reader, names=names)


def _plan_versions(entries: Sequence[ReceiptEntry], found: _Found) -> tuple[list[PlannedWrite], list[PlannedWrite]]:
    """Plan to restore versions, and to move tags of versions that stay deleted to the active version of their name."""
    names = {key: ActiveNames.of(versions) for key, versions in found.active.items()}
    holders = {(each.package, each.name): each for versions in found.active.values() for each in versions}
    deleted = {version.id: version for versions in found.deleted.values() for version in versions}
    versions, twins = _without_twins([entry for entry in entries if entry.kind is WriteKind.VERSION])
    first = _restored_before(versions, twins)
    writes: list[PlannedWrite] = []
    tags: list[PlannedWrite] = []
    for entry in reversed(versions):
        name = (entry.package, entry.name)
        active = names.get(entry.package, ActiveNames())
        its_writes, its_tags = _plan_name(entry, twins[name], active, holders.get(name), deleted)
        writes.append(replace(its_writes[0], after=first[id(entry)]))
        writes += its_writes[1:]
        tags += its_tags
    return writes, [write for write in tags if write.package.type is PackageType.CONTAINER]


def _plan_name(
    entry: ReceiptEntry,
    twins: Sequence[ReceiptEntry],
    active: ActiveNames,
    holder: Version | None,
    deleted: Mapping[int, Version],
) -> tuple[list[PlannedWrite], list[PlannedWrite]]:
    """Plan to restore one of the versions of a name, `entry` first, and to give it the tags of the others.

    `active` are the names of the package's active versions. `holder` is the active version of that name, if any.
    """
    is_active = entry.version_id in active.ids
    expected = Outcome.ALREADY_ACTIVE if holder is not None else None
    waits = frozenset({entry.version_id or 0})
    writes = [_restoration(entry, deleted, expected=expected)]
    writes += [_restoration(twin, deleted, after=waits, expected=expected) for twin in twins]
    if holder is None or is_active:
        tags, gets_tags = [], entry.version_id
    else:
        tags, gets_tags = _tag_restorations(entry, holder.id, taken=active.tags), holder.id
    for twin in twins:
        tags += _tag_restorations(twin, gets_tags, taken={*entry.tags, *active.tags})
    return writes, tags


def _restored_before(
    entries: Sequence[ReceiptEntry], twins: Mapping[tuple[PackageName, str], Sequence[ReceiptEntry]]
) -> dict[int, frozenset[int]]:
    """For each entry, by its identity, the versions to restore before it.

    If the chosen version of a name is gone for good, another one of that name is tried. The entry waits for it too.
    """
    others = {
        entry.version_id: [twin.version_id or 0 for twin in twins[entry.package, entry.name]] for entry in entries
    }
    return {
        place: parts.union(*(others.get(version_id, ()) for version_id in parts))
        for place, parts in _come_first(entries).items()
    }


def _refuse_another(package: Package, entries: Iterable[ReceiptEntry]) -> None:
    """Raise `ApiError` when a new package has the name of the deleted one.

    GitHub cannot restore the deleted package then, and its versions are not in the new one.
    """
    for entry in entries:
        if entry.kind is WriteKind.PACKAGE and entry.at and package.created_at and package.created_at > entry.at:
            raise ApiError(
                ApiErrorKind.OTHER,
                f"it was deleted, and another package has its name since {package.created_at:%Y-%m-%d %H:%M} UTC:"
                " rename or delete that one first",
            )


def _without_twins(
    entries: Sequence[ReceiptEntry],
) -> tuple[list[ReceiptEntry], dict[tuple[PackageName, str], list[ReceiptEntry]]]:
    """Choose one entry for each name: the last one, but one with tags first. Return the others by name.

    GitHub restores only one version of a name. If it were an untagged one, the tags of the others would be lost.
    """
    by_name: dict[tuple[PackageName, str], list[ReceiptEntry]] = {}
    for entry in entries:
        by_name.setdefault((entry.package, entry.name), []).append(entry)
    chosen = {
        name: max(several, key=lambda entry: (bool(entry.tags), entry.began)) for name, several in by_name.items()
    }
    others = {
        name: [entry for entry in several if entry.version_id != chosen[name].version_id]
        for name, several in by_name.items()
    }
    return [entry for entry in entries if chosen[entry.package, entry.name] is entry], others


def _come_first(entries: Sequence[ReceiptEntry]) -> dict[int, frozenset[int]]:
    """For each entry, by its identity, the versions of its package to restore before it: they may be its parts.

    Their deletions began after its own was confirmed, or they name it as their root. Of the former, a version that was
    deleted after another of them was confirmed is left out: the other one waits for it.
    """
    found: dict[int, frozenset[int]] = {}
    packages: dict[PackageName, list[ReceiptEntry]] = {}
    parts: dict[tuple[PackageName, str | None], set[int]] = {}
    for entry in entries:
        packages.setdefault(entry.package, []).append(entry)
        parts.setdefault((entry.package, entry.root), set()).add(entry.version_id or 0)
    for several in packages.values():
        by_begin = sorted(several, key=lambda entry: entry.began)
        begins = [entry.began for entry in by_begin]
        # for each entry, the first confirmation of it and all later entries
        first_end = list(accumulate((entry.ended for entry in reversed(by_begin)), min))[::-1]
        for entry in several:
            start = bisect_right(begins, entry.ended)
            stop = bisect_right(begins, first_end[start]) if start < len(begins) else start
            afterwards = {other.version_id or 0 for other in by_begin[start:stop]}
            found[id(entry)] = frozenset(afterwards | parts.get((entry.package, entry.name), set()))
    return found


def _restoration(
    entry: ReceiptEntry,
    deleted: Mapping[int, Version],
    *,
    after: frozenset[int] = NOTHING,
    expected: Outcome | None = None,
) -> PlannedWrite:
    return PlannedWrite(
        action=Action.RESTORE,
        reason=Reason.RECEIPT,
        package=entry.package,
        version=deleted.get(entry.version_id or 0),
        version_id=entry.version_id,
        version_name=entry.name,
        tags=entry.tags,
        tag=entry.tag,
        root=entry.root,
        after=after,
        expected=expected,
    )


def _tag_restorations(entry: ReceiptEntry, version_id: int | None, taken: Iterable[str]) -> list[PlannedWrite]:
    """Plan to give the tags of a version that stays deleted to another version of its name, except `taken` ones."""
    return [
        replace(_restoration(entry, {}), version_id=version_id, tag=tag, root=None)
        for tag in entry.tags
        if tag not in taken
    ]
