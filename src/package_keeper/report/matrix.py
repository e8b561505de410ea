"""The matrix: packages for the jobs of a workflow, so that several machines share a clean-up."""

import heapq
from collections.abc import Iterable, Sequence
from typing import Any

from package_keeper.inventory.package import Package, PackageName

MOST_JOBS = 256
"""GitHub takes no matrix of more jobs (GITHUB.md, "The Actions runner")."""


def matrix(packages: Iterable[Package], named: Iterable[PackageName] = ()) -> dict[str, Any]:
    """The packages as `include` of a matrix, an entry each; beyond 256 they are grouped, several names in an entry.

    An entry has one `package-type`; groups are made about equally large, by the number of versions where GitHub says
    it. `named` are packages that are known by name alone.
    """
    sizes = dict.fromkeys(named, 1) | {package.key: (package.version_count or 0) + 1 for package in packages}
    groups = [[key] for key in sizes] if len(sizes) <= MOST_JOBS else _grouped(sizes)
    groups.sort(key=lambda group: (group[0].type, group[0].name))
    return {
        "include": [
            {"package": ",".join(key.name for key in group), "package-type": str(group[0].type)} for group in groups
        ]
    }


def _grouped(sizes: dict[PackageName, int]) -> list[list[PackageName]]:
    by_type: dict[str, list[PackageName]] = {}
    for key in sorted(sizes, key=lambda key: (key.type, key.name)):
        by_type.setdefault(key.type, []).append(key)
    jobs = _shares({kind: sum(sizes[key] for key in keys) for kind, keys in by_type.items()}, by_type)
    return [group for kind, keys in by_type.items() for group in _spread(keys, sizes, jobs[kind])]


def _shares(totals: dict[str, int], by_type: dict[str, list[PackageName]]) -> dict[str, int]:
    """How many jobs each type gets: one at least, and no more than it has packages; the rest goes where most is."""
    jobs = dict.fromkeys(totals, 1)
    while sum(jobs.values()) < MOST_JOBS:
        open_types = [kind for kind in jobs if jobs[kind] < len(by_type[kind])]
        if not open_types:
            break
        jobs[max(open_types, key=lambda kind: totals[kind] / jobs[kind])] += 1
    return jobs


def _spread(keys: Sequence[PackageName], sizes: dict[PackageName, int], jobs: int) -> list[list[PackageName]]:
    """Put the largest package into the emptiest group, one after the other."""
    groups: list[list[PackageName]] = [[] for _ in range(jobs)]
    loads = [(0, number) for number in range(jobs)]
    for key in sorted(keys, key=lambda key: -sizes[key]):
        load, number = heapq.heappop(loads)
        groups[number].append(key)
        heapq.heappush(loads, (load + sizes[key], number))
    return [sorted(group, key=lambda key: key.name) for group in groups if group]
