"""A list of active versions without those that are gone: it may lag behind a deletion for a while."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from package_keeper.execution.ports import Looks
from package_keeper.inventory.package import PackageName
from package_keeper.inventory.version import Version

NONE: AbstractSet[str] = frozenset()


def still_active(
    package: PackageName,
    listed: Sequence[Version],
    looks: Looks,
    *,
    ids: AbstractSet[int] = frozenset(),
    names: AbstractSet[str] = NONE,
    tags: AbstractSet[str] = NONE,
) -> list[Version]:
    """`listed` without what a look shows to be gone; only what has one of the ids, names or tags is looked at.

    May raise `Refusal`.
    """
    doubtful = {
        version.id
        for version in listed
        if version.id in ids or version.name in names or not tags.isdisjoint(version.tags)
    }
    gone = doubtful - looks.active(package, doubtful) if doubtful else doubtful
    return [version for version in listed if version.id not in gone]
