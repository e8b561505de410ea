"""Parses SemVer ranges as npm and Cargo have them.

Comparators separated by blanks must all hold, `||` separates alternatives: `<2.0.0`, `>=1.2 <1.5`, `1.x`, `~1.4`,
`^1.4.2`, `1.2 - 1.5`. A comma is an error, because Cargo reads it as "and", and the lists of other inputs as "or".
"""

import re
from collections.abc import Sequence

from semver import Version as SemanticVersion

from package_keeper.policy.semver import Comparator, Operator, SemverRange

ACCEPTED = "<2.0.0, >=1.2 <1.5, 1.x, ~1.4, ^1.4.2, 1.2 - 1.5, alternatives separated by ||"

_HYPHEN = re.compile(r"(\S+)\s+-\s+(\S+)")
_OPERATOR_AND_BLANK = re.compile(r"(<=|>=|==|<|>|=|~|\^)\s+")
_COMPARATOR = re.compile(r"(<=|>=|==|<|>|=|~|\^|)v?(\S+)")
_PARTIAL = re.compile(r"(0|[1-9]\d*)(?:\.(0|[1-9]\d*|[xX*]))?(?:\.(0|[1-9]\d*|[xX*]))?", re.ASCII)
_ANYTHING = ("x", "X", "*")

Bounds = tuple[Comparator, ...]


class RangeProblem(ValueError):
    """The text is not a range; the message says why."""


def parse_range(text: str) -> SemverRange:
    """Parse a range. Raises `RangeProblem`."""
    if "," in text:
        raise RangeProblem("has a comma; separate comparators that must all hold with blanks, and alternatives with ||")
    alternatives = tuple(_alternative(part.strip()) for part in text.split("||"))
    if all(_is_empty(bounds) for bounds in alternatives):
        raise RangeProblem("can select nothing; its lower bound lies above its upper bound")
    return SemverRange(text, alternatives)


def _alternative(text: str) -> Bounds:
    if not text:
        raise RangeProblem("has an empty alternative; write * for every version")
    if hyphen := _HYPHEN.fullmatch(text):
        low, high = hyphen.groups()
        return (*_comparator(f">={low}"), *_comparator(f"<={high}"))
    return tuple(bound for part in _OPERATOR_AND_BLANK.sub(r"\1", text).split() for bound in _comparator(part))


def _comparator(text: str) -> Bounds:
    found = _COMPARATOR.fullmatch(text)
    operator, version = found.groups() if found else ("", text)
    if version in _ANYTHING:
        if operator in ("", "=", "==", ">="):
            return ()
        raise RangeProblem(f"is not accepted: '{text}' compares with every version at once")
    if found and (numbers := _numbers(version)) is not None:
        return _of_partial(operator, numbers)
    try:
        exact = SemanticVersion.parse(version)
    except ValueError:
        raise RangeProblem(f"is not accepted: '{text}' is not a comparator with a version") from None
    return _of_exact(operator, exact)


def _numbers(text: str) -> list[int] | None:
    """The numbers of a partial version such as `1.x`; `None` when the text is not one."""
    found = _PARTIAL.fullmatch(text)
    if found is None:
        return None
    parts = [part for part in found.groups() if part is not None]
    known = [part for part in parts if part not in _ANYTHING]
    if len(known) == 3 or parts[: len(known)] != known:
        return None
    return [int(part) for part in known]


def _of_partial(operator: str, numbers: list[int]) -> Bounds:
    first, behind = _version(numbers), _version([*numbers[:-1], numbers[-1] + 1])
    match operator:
        case "<":
            return (Comparator(Operator.LESS, first),)
        case "<=":
            return (Comparator(Operator.LESS, behind),)
        case ">":
            return (Comparator(Operator.AT_LEAST, behind),)
        case ">=":
            return (Comparator(Operator.AT_LEAST, first),)
        case "^":
            return _between(first, _compatible_until(first, len(numbers)))
        case _:
            return _between(first, behind)


def _of_exact(operator: str, version: SemanticVersion) -> Bounds:
    match operator:
        case "~":
            return _between(version, _version([version.major, version.minor + 1]))
        case "^":
            return _between(version, _compatible_until(version, 3))
        case "" | "=" | "==":
            return (Comparator(Operator.EQUAL, version),)
        case _:
            return (Comparator(Operator(operator), version),)


def _compatible_until(version: SemanticVersion, known: int) -> SemanticVersion:
    """The upper bound of `^`: the next change of the first number that is not zero. `known` numbers were written."""
    if version.major or known == 1:
        return _version([version.major + 1])
    if version.minor or known == 2:
        return _version([0, version.minor + 1])
    return _version([0, 0, version.patch + 1])


def _between(low: SemanticVersion, high: SemanticVersion) -> Bounds:
    return Comparator(Operator.AT_LEAST, low), Comparator(Operator.LESS, high)


def _version(numbers: Sequence[int]) -> SemanticVersion:
    """The lowest version that begins with `numbers`."""
    major, minor, patch = (*numbers, 0, 0)[:3]
    return SemanticVersion(major, minor, patch)


def _is_empty(bounds: Bounds) -> bool:
    """Whether two of the bounds exclude each other."""
    lows = [each for each in bounds if each.operator in (Operator.MORE, Operator.AT_LEAST, Operator.EQUAL)]
    highs = [each for each in bounds if each.operator in (Operator.LESS, Operator.AT_MOST, Operator.EQUAL)]
    closed = (Operator.AT_LEAST, Operator.AT_MOST, Operator.EQUAL)
    return any(
        low.bound > high.bound or (low.bound == high.bound and not (low.operator in closed and high.operator in closed))
        for low in lows
        for high in highs
    )
