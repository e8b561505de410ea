"""Text ─▶ `Patterns`: the grammar of the contract ("Patterns"), with a problem for everything that is no pattern.

Entries stand on lines of their own or are separated by commas. A line that starts with `/` or `!/` is one entry, commas
and all. `!` before an entry excludes.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import Any

import re2

from package_keeper.decisions.patterns import Pattern, Patterns


def _options(*, ignore_case: bool) -> re2.Options:
    options = re2.Options()
    options.case_sensitive = not ignore_case
    # the error comes back as an exception; RE2 would print it to stderr as well
    options.log_errors = False
    return options


_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""What shows nothing, although Unicode does not call it a blank, a control or a format character."""

_JOINED_EXPRESSIONS = re.compile(r"/\s*,\s*!?/")


class PatternProblem(ValueError):
    """One entry is no pattern; the message names it and says what is accepted."""


def parse_patterns(
    text: str, *, ignore_case: bool = False, objection: Callable[[Pattern], str] = lambda _: ""
) -> tuple[Patterns | None, list[str]]:
    """Read a pattern list: the patterns (`None` when there is no entry at all) and all problems.

    `objection` says why a pattern is wrong in this list, or nothing.
    """
    includes: list[Pattern] = []
    excludes: list[Pattern] = []
    problems: list[str] = []
    for entry in split_entries(text):
        excluding = entry.startswith("!")
        try:
            pattern = _parse_entry(entry[1:] if excluding else entry, ignore_case=ignore_case)
            _refuse(objection(pattern))
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


def _refuse(why: str) -> None:
    if why:
        raise PatternProblem(why)


def _parse_entry(entry: str, *, ignore_case: bool) -> Pattern:
    if not entry:
        raise PatternProblem("nothing stands after the exclamation mark")
    if re.search(r"\s", entry):
        hint = "; write the entry without the dash in front" if entry.startswith("- ") else ""
        raise PatternProblem(
            "a blank inside an entry; put each entry on a line of its own or separate entries with commas"
            f" (in a regular expression write \\s){hint}"
        )
    for character in entry:
        if not character.isprintable() or _INVISIBLE.match(character):
            raise PatternProblem(f"an invisible character inside an entry (U+{ord(character):04X}); write it anew")
    if len(entry) > 1 and _is_quote(entry[0]) and _is_quote(entry[-1]):
        raise PatternProblem(f"quotes around an entry belong to no name; write {entry[1:-1]}")
    if entry.startswith("/"):
        return Pattern(entry, expression=compile_expression(entry, ignore_case=ignore_case))
    if entry.startswith("!"):
        raise PatternProblem("one exclamation mark is enough")
    _check_classes(entry)
    return Pattern(entry, ignore_case=ignore_case)


def _is_quote(character: str) -> bool:
    return character in "\"'`" or unicodedata.category(character) in ("Pi", "Pf")


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
