"""Finds the versions that the rows of a usage file are about."""

from collections.abc import Collection, Iterable, Sequence

from package_keeper.model.packages import Package, PackageType, Version
from package_keeper.model.usage import Usage, UsageRow


class AmbiguousUsage(ValueError):
    """A row names a package that several types have, and no type."""


def usage_of(
    rows: Iterable[UsageRow], found: Sequence[tuple[Package, list[Version]]], logins: Collection[str]
) -> dict[int, Usage]:
    """The uses of versions, by id. Rows about other packages, and about packages of other owners, are passed over.

    A row about a tag is about the version that has the tag now. `logins` are those of the owner. Raises
    `AmbiguousUsage`.
    """
    types: dict[str, set[PackageType]] = {}
    for package, _ in found:
        types.setdefault(package.name.lower(), set()).add(package.type)
    targets = _targets(found)
    owners = {login.lower() for login in logins}
    usage: dict[int, Usage] = {}
    for line, text, package_type, kind, thing, last_used, pulls in rows:
        name = _package_name(text.lower(), owners, types)
        if name not in types:
            continue
        if not package_type and len(types[name]) > 1:
            raise AmbiguousUsage(
                f"line {line}: '{text}' is a package of several types ({', '.join(sorted(types[name]))});"
                " add a column type"
            )
        target = (name, package_type or next(iter(types[name])), kind == "tag", thing)
        used = Usage(last_used, pulls)
        for number in targets.get(target, ()):
            usage[number] = usage[number].and_also(used) if number in usage else used
    return usage


def _targets(found: Iterable[tuple[Package, list[Version]]]) -> dict[tuple[str, str, bool, str], list[int]]:
    """The ids of versions by package, type, and tag or name."""
    targets: dict[tuple[str, str, bool, str], list[int]] = {}
    for package, versions in found:
        name = package.name.lower()
        for version in versions:
            targets.setdefault((name, package.type, False, version.name), []).append(version.id)
            for tag in version.image_tags:
                targets.setdefault((name, package.type, True, tag), []).append(version.id)
    return targets


def _package_name(text: str, owners: Collection[str], names: Collection[str]) -> str:
    """The name of a package, without registry and owner in front; empty for a package of another owner."""
    if text in names:
        return text
    first, _, rest = text.partition("/")
    if "." in first or ":" in first:
        owner, _, rest = rest.partition("/")
        return rest if owner in owners else ""
    return rest if first in owners else text
