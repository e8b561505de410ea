"""`repair`: restore the deleted parts that tagged images still need."""

from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from package_keeper.execution.completion import plan_repair
from package_keeper.execution.facts import Found
from package_keeper.model.packages import PackageName, Version
from package_keeper.model.plan import Plan, WriteRecord
from package_keeper.model.run import Run
from package_keeper.operations.context import Context
from package_keeper.operations.reading import read
from package_keeper.operations.verify import find_containers, selected_roots, verify_images_of
from package_keeper.operations.writing import execute, pass_guards, restore_more


def repair(context: Context) -> Iterator[Run]:
    """Restore the missing parts of tagged images, round by round, and check the images again."""
    scope = find_containers(context)
    yield Run(scope=scope)
    inventory = read(context, scope)
    yield inventory.run
    roots = selected_roots(context, inventory.found)
    verified = verify_images_of(context, inventory.found, roots, repairs=True, about_to_repair=True)
    gone = verified.gone
    plan = Plan.of_singles(plan_repair(verified.images, _tags_in_use(inventory.versions, gone)))
    run = replace(verified.added_to(inventory.run), plan=plan)
    yield run
    run, guarded = pass_guards(context, run)
    yield run
    writing = context.writing
    if writing is None:
        return
    run = execute(context, writing, run, guarded, writing.restoration_strategy(guarded))
    yield run
    if not run.plan.writes or run.ended_by is not None:
        return
    while True:
        tried = {write.version_id for write in run.plan.writes}
        found = _with_restored(context, inventory.found, run.records)
        verified = verify_images_of(context, found, roots, repairs=True)
        run = verified.added_to(run)
        yield run
        gone |= verified.gone
        # a restored part may be an index that lacks parts itself
        writes = plan_repair(verified.images, _tags_in_use(inventory.versions, gone))
        writes = [write for write in writes if write.version_id not in tried]
        if not writes or run.ended_by is not None:
            return
        run = restore_more(writing, run, writes)
        yield run


def _with_restored(context: Context, found: Found, records: Iterable[WriteRecord]) -> Found:
    """Read the active versions again, and add restored ones that a list does not show yet."""
    restored: dict[PackageName, list[Version]] = {}
    for record in records:
        if record.write.version is not None and record.is_back:
            restored.setdefault(record.write.package, []).append(record.write.version)
    again = []
    for package, _ in found:
        versions = context.reader.versions(package.key)
        listed = {version.id for version in versions}
        again.append((package, versions + [each for each in restored.get(package.key, ()) if each.id not in listed]))
    return again


def _tags_in_use(versions: Iterable[Version], gone: frozenset[int]) -> dict[PackageName, set[str]]:
    """Return the tags of the versions that are not gone, by package."""
    found: dict[PackageName, set[str]] = {}
    for version in versions:
        if version.id not in gone:
            found.setdefault(version.package, set()).update(version.image_tags)
    return found
