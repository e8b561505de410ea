"""Can a pattern match any digest at all?

Container versions are named by digest, so `versions: v1.*` on containers is a mistake for `tags: v1.*`. The check walks
the pattern over the 71 places of `sha256:` and 64 hex digits. It is exact for globs; for regular expressions it errs on
the side of "may match", so that it never refuses a pattern that has an effect.
"""

import re
from collections.abc import Callable, Iterable, Sequence

# the parser behind re.compile; RE2's syntax is read well enough by it, and what it cannot read "may match"
from re import _constants as op  # type: ignore[attr-defined]  # reason: no stubs for this part of the standard library
from re import _parser  # type: ignore[attr-defined]  # reason: no stubs for this part of the standard library
from typing import Any

from package_keeper.decisions.patterns import Pattern

_HEX = frozenset("0123456789abcdef")
_PLACES: tuple[frozenset[str], ...] = (*(frozenset(letter) for letter in "sha256:"), *([_HEX] * 64))
_END = len(_PLACES)

Places = frozenset[int]


def can_match_digest(pattern: Pattern) -> bool:
    """Whether some digest is accepted by `pattern`; `True` when that cannot be told."""
    source = f"^(?:{_glob_expression(pattern.text)})$" if pattern.expression is None else pattern.text[1:-1]
    try:
        if "[[:" in source:
            return True  # a class of RE2 that Python reads as something else
        tree = _parser.parse(source)
        if tree.state.flags & ~re.UNICODE:
            return True
        return bool(_walk(tree, frozenset(range(_END + 1))))
    except (re.error, _Unknown, OverflowError, RecursionError):
        return True


class _Unknown(Exception):
    """A construct that the walk does not know."""


def _glob_expression(glob: str) -> str:
    return re.sub(r"\*|\?|\[!?\]?[^\]]*\]|.", lambda found: _translated(found[0]), glob)


def _translated(part: str) -> str:
    """One part of a glob as a regular expression, read as fnmatch reads it."""
    if part in "*?":
        return {"*": ".*", "?": "."}[part]
    if len(part) == 1:
        return re.escape(part)
    # a class is negated by !, and neither ^ nor a backslash is special in it
    inside = part[1:-1].replace("\\", "\\\\")
    if inside.startswith("!"):
        return f"[^{inside[1:]}]"
    return f"[\\{inside}]" if inside.startswith("^") else f"[{inside}]"


def _walk(nodes: Iterable[Any], starts: Places) -> Places:
    """The places after `nodes` when they start at any of `starts`."""
    for opcode, argument in nodes:
        if not starts:
            return starts
        step = _STEPS.get(opcode)
        if step is None:
            raise _Unknown(opcode)
        starts = step(argument, starts)
    return starts


def _one(accepts: Callable[[str], bool], starts: Places) -> Places:
    return frozenset(start + 1 for start in starts if start < _END and any(map(accepts, _PLACES[start])))


def _member(items: Sequence[tuple[Any, Any]], letter: str) -> bool:
    negate = bool(items) and items[0][0] is op.NEGATE
    found = any(_is_item(item, letter) for item in items)
    return found is not negate


def _is_item(item: tuple[Any, Any], letter: str) -> bool:
    opcode, argument = item
    if opcode is op.NEGATE:
        return False
    if opcode is op.LITERAL:
        return bool(chr(argument) == letter)
    if opcode is op.RANGE:
        return bool(argument[0] <= ord(letter) <= argument[1])
    if opcode is op.CATEGORY:
        classes = {
            op.CATEGORY_DIGIT: letter.isdigit(),
            op.CATEGORY_NOT_DIGIT: not letter.isdigit(),
            op.CATEGORY_WORD: letter.isalnum(),
            op.CATEGORY_NOT_WORD: not letter.isalnum(),
            op.CATEGORY_SPACE: False,
            op.CATEGORY_NOT_SPACE: True,
        }
        if argument in classes:
            return classes[argument]
    raise _Unknown(opcode)


def _repeat(argument: tuple[int, int, Any], starts: Places) -> Places:
    low, high, body = argument
    reached = starts
    for _ in range(min(low, _END + 1)):
        reached = _walk(body, reached)
    everything = reached
    for _ in range(min(high, _END + 1) - min(low, _END + 1)):
        reached = _walk(body, reached) - everything
        if not reached:
            break
        everything |= reached
    return everything


def _group(argument: tuple[Any, int, int, Any], starts: Places) -> Places:
    _, added_flags, removed_flags, body = argument
    if added_flags or removed_flags:
        raise _Unknown(op.SUBPATTERN)
    return _walk(body, starts)


def _at(argument: Any, starts: Places) -> Places:
    if argument in (op.AT_BEGINNING, op.AT_BEGINNING_STRING):
        return starts & {0}
    if argument in (op.AT_END, op.AT_END_STRING):
        return starts & {_END}
    return starts


_STEPS: dict[Any, Callable[[Any, Places], Places]] = {
    op.LITERAL: lambda code, starts: _one(lambda letter: letter == chr(code), starts),
    op.NOT_LITERAL: lambda code, starts: _one(lambda letter: letter != chr(code), starts),
    op.ANY: lambda _, starts: _one(bool, starts),
    op.IN: lambda items, starts: _one(lambda letter: _member(items, letter), starts),
    op.MAX_REPEAT: _repeat,
    op.MIN_REPEAT: _repeat,
    op.SUBPATTERN: _group,
    op.BRANCH: lambda argument, starts: frozenset().union(*(_walk(branch, starts) for branch in argument[1])),
    op.AT: _at,
}
