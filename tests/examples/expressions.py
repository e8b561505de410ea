"""The expressions of workflows, as far as the examples use them: `${{ inputs.dry-run || 'false' }}`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>\d+)|(?P<name>[A-Za-z_][\w-]*(?:\.[\w-]+)*)"
    r"|(?P<sign>\|\||&&|==|!=|<=|>=|[<>!(),]))"
)
EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
LITERALS: dict[str, Any] = {"true": True, "false": False, "null": None}
COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "==": lambda left, right: bool(left == right),
    "!=": lambda left, right: bool(left != right),
    "<": lambda left, right: bool(left < right),
    ">": lambda left, right: bool(left > right),
    "<=": lambda left, right: bool(left <= right),
    ">=": lambda left, right: bool(left >= right),
}


class Unknown(Exception):
    """The expression has something that is not there, or that these tests cannot read."""


class Expressions:
    """Evaluates expressions against contexts (`github`, `steps`, …) and the functions of a job's state."""

    def __init__(self, contexts: Mapping[str, Any], *, failed: bool = False) -> None:
        self._contexts = contexts
        self._functions: dict[str, Callable[..., Any]] = {
            "always": lambda: True,
            "success": lambda: not failed,
            "failure": lambda: failed,
            "fromJSON": json.loads,
            "toJSON": json.dumps,
            "contains": lambda where, what: what in where,
            "startsWith": lambda text, start: text.startswith(start),
            "format": lambda text, *values: re.sub(r"\{(\d+)\}", lambda found: text_of(values[int(found[1])]), text),
        }

    def filled(self, value: Any) -> Any:
        """Fill in the expressions of a text; a text that is one expression becomes its value."""
        if not isinstance(value, str):
            return value
        if (whole := EXPRESSION.fullmatch(value.strip())) and value.count("${{") == 1:
            return self.value(whole[1])
        return EXPRESSION.sub(lambda found: text_of(self.value(found[1])), value)

    def value(self, expression: str) -> Any:
        """Evaluate one expression, without the braces around it."""
        reader = _Reader(expression, self._contexts, self._functions)
        value = reader.alternatives()
        reader.end()
        return value

    def holds(self, condition: str) -> bool:
        """Whether an `if:` holds; one that does not ask for the job's state holds only while nothing failed."""
        bare = EXPRESSION.sub(lambda found: found[1], condition)
        asks = re.search(r"\b(?:always|failure|cancelled)\(\)", bare)
        return truth(self.value(bare)) and (bool(asks) or self._functions["success"]())


class _Reader:
    """Reads an expression from left to right, and gives its value."""

    def __init__(self, text: str, contexts: Mapping[str, Any], functions: Mapping[str, Callable[..., Any]]) -> None:
        self._text, self._place = text.rstrip(), 0
        self._contexts, self._functions = contexts, functions

    def alternatives(self) -> Any:
        value = self._conjunction()
        while self._takes("||"):
            other = self._conjunction()
            value = value if truth(value) else other
        return value

    def end(self) -> None:
        if self._place < len(self._text):
            raise Unknown(f"cannot read {self._text[self._place :]!r} of {self._text!r}")

    def _conjunction(self) -> Any:
        value = self._comparison()
        while self._takes("&&"):
            other = self._comparison()
            value = other if truth(value) else value
        return value

    def _comparison(self) -> Any:
        value = self._single()
        for sign, compare in COMPARISONS.items():
            if self._takes(sign):
                return compare(*_alike(value, self._single()))
        return value

    def _single(self) -> Any:
        if self._takes("!"):
            return not truth(self._single())
        if self._takes("("):
            value = self.alternatives()
            self._expects(")")
            return value
        found = TOKEN.match(self._text, self._place)
        if found is None or found["sign"]:
            raise Unknown(f"cannot read {self._text[self._place :]!r} of {self._text!r}")
        self._place = found.end()
        if found["text"]:
            return found["text"][1:-1].replace("''", "'")
        if found["number"]:
            return int(found["number"])
        return self._named(found["name"])

    def _named(self, name: str) -> Any:
        if self._takes("("):
            return self._call(name)
        if name in LITERALS:
            return LITERALS[name]
        value: Any = self._contexts
        for part in name.split("."):
            if isinstance(value, Mapping) and part in value:
                value = value[part]
            elif name.startswith("github.event."):
                # what an event has depends on its kind: GitHub gives nothing for the rest
                return None
            else:
                # here too GitHub gives nothing, but an example has no reason to ask for it
                raise Unknown(f"there is no {name}")
        return value

    def _call(self, name: str) -> Any:
        arguments: list[Any] = []
        while not self._takes(")"):
            arguments.append(self.alternatives())
            if not self._takes(","):
                self._expects(")")
                break
        if name not in self._functions:
            raise Unknown(f"there is no function {name}")
        return self._functions[name](*arguments)

    def _takes(self, sign: str) -> bool:
        found = TOKEN.match(self._text, self._place)
        if found is None or found["sign"] != sign:
            return False
        self._place = found.end()
        return True

    def _expects(self, sign: str) -> None:
        if not self._takes(sign):
            raise Unknown(f"{sign} is missing in {self._text!r}")


def truth(value: Any) -> bool:
    """Whether a value counts as true."""
    return value not in (False, None, "", 0)


def text_of(value: Any) -> str:
    """The text that a value becomes in an input."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (dict, list)):
        return json.dumps(value)
    return "" if value is None else str(value)


def _alike(left: Any, right: Any) -> tuple[Any, Any]:
    """Compare as GitHub does: a number and a text as numbers, anything but equal kinds as numbers."""
    if isinstance(left, str) and isinstance(right, str):
        return left.lower(), right.lower()
    if type(left) is type(right):
        return left, right
    return _number(left), _number(right)


def _number(value: Any) -> float:
    if value is None or value == "":
        return 0
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")
