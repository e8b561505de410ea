"""Text ─▶ `Patterns`: the grammar of the contract ("Patterns"), with a problem for everything that is no pattern.

Entries stand on lines of their own or are separated by commas. A line that starts with `/` or `!/` is one entry, commas
and all. `!` before an entry excludes.
"""

import re
from collections.abc import Iterator
from typing import Any

import re2

from package_keeper.decisions.patterns import Pattern, Patterns


def _options(*, ignore_case: bool) -> re2.Options:
    options = re2.Options()
    options.case_sensitive = not ignore_case
    # the error comes back as an exception; RE2 would print it to stderr as well
    options.log_errors = False
    return options


_JOINED_EXPRESSIONS = re.compile(r"/\s*,\s*!?/")


class PatternProblem(ValueError):
    """One entry is no pattern; the message names it and says what is accepted."""


def parse_patterns(text: str, *, ignore_case: bool = False) -> tuple[Patterns | None, list[str]]:
    """Read a pattern list: the patterns (`None` when there is no entry at all) and all problems."""
    includes: list[Pattern] = []
    excludes: list[Pattern] = []
    problems: list[str] = []
    for entry in split_entries(text):
        excluding = entry.startswith("!")
        try:
            pattern = _parse_entry(entry[1:] if excluding else entry, ignore_case=ignore_case)
        except PatternProblem as problem:
            problems.append(f"'{entry}': {problem}")
        else:
            (excludes if excluding else includes).append(pattern)
    if not includes and not excludes:
        return None, problems
    return Patterns(includes=tuple(includes), excludes=tuple(excludes)), problems


def split_entries(text: str) -> Iterator[str]:
    """Split a list into entries, without blanks around them and without empty ones."""
    for line in text.splitlines():
        stripped = line.strip()
        entries = [stripped] if stripped.startswith(("/", "!/")) else stripped.split(",")
        yield from (entry.strip() for entry in entries if entry.strip())


def _parse_entry(entry: str, *, ignore_case: bool) -> Pattern:
    if not entry:
        raise PatternProblem("nothing stands after the exclamation mark")
    if re.search(r"\s", entry):
        raise PatternProblem(
            "a blank inside an entry; put each entry on a line of its own or separate entries with commas"
            " (in a regular expression write \\s)"
        )
    if entry.startswith("/"):
        return Pattern(entry, expression=compile_expression(entry, ignore_case=ignore_case))
    if entry.startswith("!"):
        raise PatternProblem("one exclamation mark is enough")
    _check_classes(entry)
    return Pattern(entry, ignore_case=ignore_case)


def compile_expression(entry: str, *, ignore_case: bool = False) -> Any:
    """Compile what stands between two slashes. Raises `PatternProblem`."""
    if len(entry) < 2 or not entry.endswith("/"):
        raise PatternProblem("a regular expression stands between two slashes, alone on its line")
    if _JOINED_EXPRESSIONS.search(entry):
        raise PatternProblem("two regular expressions on one line; put each on a line of its own")
    source = entry[1:-1]
    if not source:
        raise PatternProblem("the regular expression is empty; write * for everything")
    try:
        return re2.compile(source, _options(ignore_case=ignore_case))
    except re2.error as error:
        reason = error.args[0].decode() if isinstance(error.args[0], bytes) else error.args[0]
        raise PatternProblem(
            f"not a regular expression: '{reason}' (RE2 syntax, without look-around and back-references)"
        ) from None


def _check_classes(glob: str) -> None:
    """Refuse a bracket that would silently be a literal: a keep list would protect nothing."""
    position = 0
    while (start := glob.find("[", position)) >= 0:
        # as in every shell, a closing bracket directly after the opening one (or after its !) is a member
        first = start + (2 if glob[start + 1 : start + 2] == "!" else 1)
        end = glob.find("]", first + 1)
        if end < 0:
            raise PatternProblem("the bracket [ is never closed")
        for low, high in re.findall(r"(.)-(.)", glob[first:end]):
            if low > high:
                raise PatternProblem(f"the range {low}-{high} is empty")
        position = end + 1
