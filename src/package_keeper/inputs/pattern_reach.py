"""Can a pattern match any name of a form at all?

A list whose entries match nothing protects nothing, so such an entry is a mistake: `versions: v1.*` for `tags: v1.*`,
`keep-tags: app:v1` for `keep-tags: v1`. The check walks the pattern over the places of a name. It is exact for globs
and a fixed length; for regular expressions it errs on the side of "may match", so that it never refuses a pattern that
has an effect.
"""

import re
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

# the parser behind re.compile; RE2's syntax is read well enough by it, and what it cannot read "may match"
from re import _constants as op  # type: ignore[attr-defined]  # reason: no stubs for this part of the standard library
from re import _parser  # type: ignore[attr-defined]  # reason: no stubs for this part of the standard library
from typing import Any

from package_keeper.decisions.patterns import Pattern

_BEHIND_END = -1
"""The place after `$`, where nothing more can follow."""

Places = frozenset[int]


@dataclass(frozen=True)
class NameForm:
    """What the names of one kind look like: the characters that each place accepts.

    The last place may be repeated when the form is `endless`; a name has at most `longest` characters.
    """

    places: tuple[frozenset[str], ...]
    longest: int
    endless: bool = False

    def can_match(self, pattern: Pattern) -> bool:
        """Whether some name of this form is accepted by `pattern`; `True` when that cannot be told."""
        is_glob = pattern.expression is None
        if is_glob and len(_GLOB_PART.sub(lambda found: "" if found[0] == "*" else "?", pattern.text)) > self.longest:
            return False
        source = f"^(?:{_glob_expression(pattern.text)})$" if is_glob else pattern.text[1:-1]
        try:
            if "[[:" in source:
                return True  # a class of RE2 that Python reads as something else
            with warnings.catch_warnings():
                # what Python may read otherwise one day, RE2 reads in its own way already
                warnings.simplefilter("ignore")
                tree = _parser.parse(source)
            if tree.state.flags & ~re.UNICODE:
                return True
            starts = range(len(self.places) + (not self.endless))
            return bool(_Walk(self).over(tree, frozenset(starts)))
        except (re.error, _Unknown, OverflowError, RecursionError):
            return True

    @property
    def end(self) -> int:
        """The place where a name may end."""
        return len(self.places) - self.endless

    def behind(self, place: int) -> int:
        """The place behind `place`."""
        return place if self.endless and place == self.end else place + 1


class _Unknown(Exception):
    """A construct that the walk does not know."""


_GLOB_PART = re.compile(r"\*|\?|\[!?\]?[^\]]*\]|.", re.DOTALL)


def _glob_expression(glob: str) -> str:
    return _GLOB_PART.sub(lambda found: _translated(found[0]), glob)


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


class _Walk:
    """A walk over the places of one form."""

    def __init__(self, form: NameForm) -> None:
        self._form = form

    def over(self, nodes: Iterable[Any], starts: Places) -> Places:
        """The places after `nodes` when they start at any of `starts`."""
        for opcode, argument in nodes:
            if not starts:
                return starts
            starts = self._step(opcode, argument, starts)
        return starts

    def _step(self, opcode: Any, argument: Any, starts: Places) -> Places:
        if opcode is op.LITERAL:
            return self._one(lambda letter: letter == chr(argument), starts)
        if opcode is op.NOT_LITERAL:
            return self._one(lambda letter: letter != chr(argument), starts)
        if opcode is op.ANY:
            return self._one(bool, starts)
        if opcode is op.IN:
            return self._one(lambda letter: _member(argument, letter), starts)
        if opcode in (op.MAX_REPEAT, op.MIN_REPEAT):
            return self._repeat(argument, starts)
        if opcode is op.SUBPATTERN:
            return self._group(argument, starts)
        if opcode is op.BRANCH:
            return frozenset().union(*(self.over(branch, starts) for branch in argument[1]))
        if opcode is op.AT:
            return self._at(argument, starts)
        raise _Unknown(opcode)

    def _one(self, accepts: Callable[[str], bool], starts: Places) -> Places:
        form = self._form
        return frozenset(
            form.behind(start)
            for start in starts
            if 0 <= start < len(form.places) and any(map(accepts, form.places[start]))
        )

    def _repeat(self, argument: tuple[int, int, Any], starts: Places) -> Places:
        low, high, body = argument
        # after so many turns nothing new is reached
        most = len(self._form.places) + 1
        reached = starts
        for _ in range(min(low, most)):
            reached = self.over(body, reached)
        everything = reached
        for _ in range(min(high, most) - min(low, most)):
            reached = self.over(body, reached) - everything
            if not reached:
                break
            everything |= reached
        return everything

    def _group(self, argument: tuple[Any, int, int, Any], starts: Places) -> Places:
        _, added_flags, removed_flags, body = argument
        if added_flags or removed_flags:
            raise _Unknown(op.SUBPATTERN)
        return self.over(body, starts)

    def _at(self, argument: Any, starts: Places) -> Places:
        if argument in (op.AT_BEGINNING, op.AT_BEGINNING_STRING):
            return starts & {0}
        if argument in (op.AT_END, op.AT_END_STRING):
            return frozenset({_BEHIND_END}) if starts & {self._form.end, _BEHIND_END} else frozenset()
        return starts


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
            op.CATEGORY_WORD: letter.isalnum() or letter == "_",
            op.CATEGORY_NOT_WORD: not (letter.isalnum() or letter == "_"),
            op.CATEGORY_SPACE: False,
            op.CATEGORY_NOT_SPACE: True,
        }
        if argument in classes:
            return classes[argument]
    raise _Unknown(opcode)
