"""Entries of pattern lists that match nothing: a list that protects or selects nothing must not go unnoticed."""

from collections.abc import Collection, Iterator

from package_keeper.decisions.patterns import Pattern, Patterns
from package_keeper.decisions.rules import Rules
from package_keeper.execution.ports import Log
from package_keeper.inventory.version import Version

MANY = 5
"""So many entries are named, then how many there are."""


def warn_about_idle_patterns(versions: Collection[Version], rules: Rules, log: Log) -> None:
    """Say which entries match none of the tags or version names that were read, a line a list."""
    tags = [tag for version in versions for tag in version.image_tags]
    names = [version.name for version in versions]
    for label, patterns, judges_tags in _lists(rules):
        _warn(label, patterns, tags if judges_tags else names, "tags" if judges_tags else "version names", log)


def _lists(rules: Rules) -> Iterator[tuple[str, Patterns, bool]]:
    for rule in rules.rules:
        where = f"policy, rule '{rule.name}', " if rule.name else ""
        if rule.selection.tags is not None:
            yield f"{where}tags", rule.selection.tags, True
        if rule.selection.versions is not None:
            yield f"{where}versions", rule.selection.versions, False
    if rules.lists.tags is not None:
        yield "keep-tags", rules.lists.tags, True
    if rules.lists.versions is not None:
        yield "keep-versions", rules.lists.versions, False


def _warn(label: str, patterns: Patterns, names: list[str], what: str, log: Log) -> None:
    known = frozenset(names)
    entries = [("", pattern) for pattern in patterns.includes] + [("!", pattern) for pattern in patterns.excludes]
    idle = [(mark, pattern) for mark, pattern in entries if not _matches_any(pattern, known)]
    if not idle:
        return
    shown = ", ".join(f"'{mark}{pattern.text}'" for mark, pattern in idle[:MANY])
    more = f" and {len(idle) - MANY} more" if len(idle) > MANY else ""
    hint = next(
        (
            f"; a regular expression stands between slashes: {mark}/{pattern.text}/"
            for mark, pattern in idle
            if pattern.looks_like_expression
        ),
        "",
    )
    verb = "matches" if len(idle) == 1 else "match"
    log.warning(f"{label}: {shown}{more} {verb} none of the {len(names)} {what} in scope{hint}")


def _matches_any(pattern: Pattern, names: frozenset[str]) -> bool:
    return pattern.text in names if pattern.is_exact else any(map(pattern.matches, names))
