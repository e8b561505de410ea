"""YAML ─▶ plain values, each with the line where it stands.

PyYAML reads the syntax; what the scalars mean is YAML 1.2's core schema, as editors have it, so that `no` is a word and
a date stays text. Nothing is built but mappings, lists, texts, numbers, booleans and null.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

Path = tuple[str | int, ...]
"""Where a value stands: keys and places, from the top."""

MOST_NODES = 100_000
"""More values come from no hand: aliases of aliases can stand for billions."""

_NUMBER = re.compile(r"[-+]?(0o[0-7]+|0x[0-9a-fA-F]+|(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?)", re.ASCII)
_RESOLVER: Any = yaml.resolver.Resolver()
_INTEGER = re.compile(r"[-+]?[0-9]+", re.ASCII)
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


class YamlProblem(ValueError):
    """The text is no YAML that can be read; the message has the line."""


@dataclass(kw_only=True)
class Document:
    """One YAML document. `lines` tells the line of every value and key (from 1), `problems` what is wrong in it."""

    value: Any = None
    lines: dict[Path, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def at(self, path: Path) -> str:
        """Where a value stands, for people: `line 4: rules[0].match`."""
        known = path
        while known and known not in self.lines:
            known = known[:-1]
        shown = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
        return f"line {self.lines.get(known, 1)}: {shown}" if shown else f"line {self.lines.get((), 1)}"


def read_yaml(text: str) -> Document:
    """Read one document. Raises `YamlProblem`."""
    try:
        nodes = list(yaml.compose_all(text, Loader=yaml.SafeLoader))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark is not None else ""
        raise YamlProblem(f"{line}{getattr(error, 'problem', None) or error}") from None
    except (ValueError, RecursionError) as error:
        raise YamlProblem(str(error)) from None
    if len(nodes) > 1:
        raise YamlProblem(f"line {nodes[1].start_mark.line + 1}: a second document; accepted is one")
    document = Document()
    if nodes and nodes[0] is not None:
        document.value = _Builder(document).build(nodes[0], ())
    return document


class _Builder:
    def __init__(self, document: Document) -> None:
        self._document = document
        self._above: list[yaml.Node] = []
        self._count = 0

    def build(self, node: Any, path: Path) -> Any:
        self._count += 1
        line = node.start_mark.line + 1
        if self._count > MOST_NODES or any(node is above for above in self._above):
            raise YamlProblem(f"line {line}: aliases that stand for too much")
        self._document.lines[path] = line
        self._above.append(node)
        try:
            return self._value(node, path)
        finally:
            self._above.pop()

    def _value(self, node: Any, path: Path) -> Any:
        if isinstance(node, yaml.MappingNode):
            return dict(self._entries(node, path))
        if isinstance(node, yaml.SequenceNode):
            return [self.build(entry, (*path, place)) for place, entry in enumerate(node.value)]
        if node.style is None and node.tag != "tag:yaml.org,2002:str" and not _is_implicit(node):
            self._problem(path, f"the tag {node.tag} means nothing here")
        if node.style is not None or not isinstance(node.value, str):
            return node.value
        return _scalar(node.value)

    def _entries(self, node: Any, path: Path) -> Iterator[tuple[str, Any]]:
        seen: dict[str, int] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self._problem(path, f"a key on line {line} that is no text")
                continue
            key = key_node.value
            if key in seen:
                self._problem((*path, key), f"given twice, first on line {seen[key]}", line)
                continue
            seen[key] = line
            value = self.build(value_node, (*path, key))
            # the line of the key is where people look
            self._document.lines[(*path, key)] = line
            yield key, value

    def _problem(self, path: Path, text: str, line: int | None = None) -> None:
        if line is not None:
            self._document.lines[path] = line
        self._document.problems.append(f"{self._document.at(path)}: {text}")


def _is_implicit(node: Any) -> bool:
    """Whether PyYAML guessed the tag; an explicit one of another kind would change what the text means."""
    return bool(node.tag == _RESOLVER.resolve(yaml.ScalarNode, node.value, (True, False)))


def _scalar(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text) if len(text) < 20 else text
    return float(text) if _NUMBER.fullmatch(text) and not text.lstrip("+-").startswith(("0x", "0o")) else text
