"""What users may have meant with the name of a package that does not exist."""

from collections.abc import Iterable, Sequence

from package_keeper.errors import ApiError, OutOfTime
from package_keeper.execution.ports import Reader
from package_keeper.model.packages import PackageName, PackageType

NEAREST = 3
"""How many similar names are proposed."""
MOST_NAMES = 5
"""For how many names GitHub is asked."""


def similar_packages(reader: Reader, missing: Iterable[str], types: Sequence[PackageType]) -> list[str]:
    """Say for each name in which other type it exists, or which names are near to it. Asks GitHub.

    Nothing is said about what cannot be read, since this is only a hint.
    """
    names = list(missing)[:MOST_NAMES]
    try:
        elsewhere = _elsewhere(reader, names, types)
        left = [name for name in names if name not in elsewhere]
        known = _known(reader, types) if left else []
    except (ApiError, OutOfTime):
        return []
    return [*elsewhere.values(), *filter(None, (_near(name, known) for name in left))]


def _elsewhere(reader: Reader, names: Sequence[str], types: Sequence[PackageType]) -> dict[str, str]:
    """By the name, a hint at the other types in which it exists."""
    others = [each for each in PackageType if each not in types]
    asked = [PackageName(type=each, name=name) for name in names for each in others]
    found: dict[str, list[PackageType]] = {}
    for key, answer in reader.packages_named(asked).items():
        if not isinstance(answer, ApiError):
            found.setdefault(key.name, []).append(key.type)
    return {
        name: f"'{name}' exists as {' and '.join(several)}: package-type: {several[0]}"
        for name, several in found.items()
    }


def _known(reader: Reader, types: Sequence[PackageType]) -> list[str]:
    lists = [each for each in reader.packages(types).values() if not isinstance(each, ApiError)]
    return sorted({package.name for packages in lists for package in packages if package.name})


def _near(name: str, known: Sequence[str]) -> str:
    # imported only when needed, so that other runs start faster
    from difflib import get_close_matches  # noqa: PLC0415  # reason: start-up time

    lowered = {each.lower(): each for each in known}
    last = name.lower().rpartition("/")[2]
    parts = [each for each in lowered if each.rpartition("/")[2] == last]
    near = dict.fromkeys([*parts, *get_close_matches(name.lower(), lowered, n=NEAREST)])
    shown = [f"'{lowered[each]}'" for each in near][:NEAREST]
    return f"did you mean {' or '.join(shown)}?" if shown else ""
