"""The matrix: packages for the jobs of a workflow, so that several machines share a clean-up."""

from collections.abc import Iterable
from itertools import count
from typing import Any

from package_keeper.inventory.package import Package, PackageName

MOST_JOBS = 256
"""GitHub takes no matrix of more jobs (docs/github-behaviour.md, "The Actions runner")."""


def matrix(packages: Iterable[Package], named: Iterable[PackageName] = ()) -> dict[str, Any]:
    """The packages as `include` of a matrix, an entry each; beyond 256 they are grouped, several names in an entry.

    An entry has one `package-type`. `named` are packages that are known by name alone.
    """
    names: dict[str, list[str]] = {}
    for key in sorted({*named, *(package.key for package in packages)}, key=lambda key: (key.type, key.name)):
        names.setdefault(str(key.type), []).append(key.name)
    size = next(size for size in count(1) if sum(-(-len(each) // size) for each in names.values()) <= MOST_JOBS)
    return {
        "include": [
            {"package": ",".join(each[start : start + size]), "package-type": kind}
            for kind, each in names.items()
            for start in range(0, len(each), size)
        ]
    }
