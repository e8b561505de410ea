"""How much storage deletions give back, from the manifests that were read for other reasons.

The figure never exceeds the truth (docs/decisions/0029).
"""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet

from package_keeper.model.packages import PackageName
from package_keeper.model.plan import Action, Plan, WriteRecord
from package_keeper.model.run import PackageEvaluation
from package_keeper.model.sizes import add_up, keys, uses_blobs

Sizes = Mapping[PackageName, int | None]
"""At least how many bytes deletions give back, by package; `None` when unknown."""


def planned_sizes(packages: Iterable[PackageEvaluation], plan: Plan) -> Sizes:
    """What the deletions of a plan would give back."""
    return _freed(
        packages,
        {write.version_id for write in plan.writes if write.action is Action.DELETE and write.expected is None},
    )


def freed_sizes(packages: Iterable[PackageEvaluation], records: Iterable[WriteRecord]) -> Sizes:
    """What the confirmed deletions gave back."""
    done = (record.write for record in records if record.is_done and record.write.action is Action.DELETE)
    return _freed(packages, {write.version_id for write in done})


def total(sizes: Sizes) -> int | None:
    """Sum up what is known. Packages in which it is unknown add nothing."""
    known = [size for size in sizes.values() if size is not None]
    return sum(known) if known or not sizes else None


def image_sizes(packages: Iterable[PackageEvaluation]) -> dict[int, int | None]:
    """The bytes of each image by the id of its root; `None` where not all of an image was read."""
    return {
        image.root.id: package.graph.size_of(image)
        for package in packages
        if package.graph is not None
        for image in package.images
    }


def _freed(packages: Iterable[PackageEvaluation], gone: AbstractSet[int | None]) -> Sizes:
    return {
        package.package: _freed_in(package, gone)
        for package in packages
        if any(decision.version.id in gone for decision in package.decisions)
    }


def _freed_in(package: PackageEvaluation, gone: AbstractSet[int | None]) -> int | None:
    """The bytes that nothing in the package uses any more; `None` when what stays, or what goes, was not read."""
    if package.graph is None:
        return None
    # of two versions with one digest, the one that stays needs the content
    staying = {each.version.name for each in package.decisions if each.version.id not in gone}
    going = {each.version.name for each in package.decisions} - staying
    seen: set[int] = set()
    for digest in staying:
        content = package.graph.content_of(digest)
        if content is None:
            return None
        seen.update(keys(content))
    contents = [content for digest in sorted(going) if (content := package.graph.content_of(digest)) is not None]
    if len(contents) < len(going) and not any(map(uses_blobs, contents)):
        # only the bytes of some manifests are known, and those are next to nothing
        return None
    size, _ = add_up(contents, seen)
    return size
