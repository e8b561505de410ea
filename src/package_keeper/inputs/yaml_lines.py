"""Parses YAML into plain values, and remembers the line of each.

PyYAML parses the syntax. Plain scalars have the types of YAML 1.2's core schema, as in editors: `no` and dates are
text. Numbers that YAML 1.1 reads differently (`010`, `0o10`, `1_000`, `1:30`) are text, so they are an error where a
number is expected. The values are mappings, lists, texts, numbers, booleans and null.
"""

import re
from collections.abc import Callable
from typing import Any

import yaml
from msgspec import Struct, field

Path = tuple[str | int, ...]
"""The keys and indexes that lead from the top of the document to a value."""

LARGEST = 1_000_000
"""A document may not have more characters: it takes about a second to parse so many."""

MOST_VALUES = 100_000
"""A document may not have more values, because nested aliases can expand to billions."""

_CORE = "tag:yaml.org,2002:"
_SCALARS: dict[str, tuple[str, Callable[[str], Any]]] = {
    f"{_CORE}null": ("~|null|Null|NULL|", lambda _: None),
    f"{_CORE}bool": ("true|True|TRUE|false|False|FALSE", lambda text: text.lower() == "true"),
    f"{_CORE}int": ("[-+]?(0|[1-9][0-9]{0,17})", int),
    f"{_CORE}float": (r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*)([eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+", float),
    f"{_CORE}str": (".*", str),
}
"""By tag, in the order in which they are tried: the expression that a scalar matches, and its parser."""


_HALF = re.compile("[\ud800-\udfff]")
"""Surrogates, which an escape can produce but UTF-8 cannot encode."""


class _Loader(yaml.BaseLoader):
    """Resolves the tags of plain scalars with `_SCALARS` alone."""


for _tag, (_written, _) in _SCALARS.items():
    _Loader.add_implicit_resolver(_tag, re.compile(rf"({_written})\Z", re.DOTALL), None)


class YamlProblem(Exception):
    """The text is not valid YAML; the message begins with the line."""


class Document(Struct, kw_only=True):
    """One YAML document, with the line of every value and key (from 1) and all problems."""

    value: Any = None
    lines: dict[Path, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def at(self, path: Path) -> str:
        """The place of a value for messages: `line 4: rules[0].match`."""
        known = path
        while known and known not in self.lines:
            known = known[:-1]
        return f"line {self.lines.get(known, 1)}{_shown(path)}"


def read_yaml(text: str) -> Document:
    """Parse one document. Raises `YamlProblem`."""
    document = Document()
    if len(text) > LARGEST:
        raise YamlProblem(f"line 1: the file is larger than {LARGEST} characters")
    try:
        nodes = list(yaml.compose_all(text, Loader=_Loader))
        if len(nodes) > 1:
            raise YamlProblem(f"line {_line(nodes[1])}: a second document; accepted is one")
        for node in nodes:
            document.value = _value(document, node, ())
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise YamlProblem(f"line {line}: the character U+{int(error.character):04X} is not allowed") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise YamlProblem(f"line {line}: {error.problem}") from None
    except RecursionError:
        raise YamlProblem("line 1: nested too deeply") from None
    except (OverflowError, ValueError):
        raise YamlProblem("line 1: an escape (\\U and eight digits) is not a valid character") from None
    return document


def _value(document: Document, node: yaml.Node, path: Path) -> Any:
    if len(document.lines) >= MOST_VALUES:
        raise YamlProblem(f"line {_line(node)}: aliases expand to too many values")
    document.lines.setdefault(path, _line(node))
    if isinstance(node, yaml.ScalarNode):
        return _scalar(document, node, path)
    if node.tag not in (f"{_CORE}map", f"{_CORE}seq"):
        _refuse_tag(document, node, path)
    if isinstance(node, yaml.MappingNode):
        return _mapping(document, node, path)
    return [_value(document, entry, (*path, place)) for place, entry in enumerate(node.value)]


def _mapping(document: Document, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = _line(key_node)
        scalar = isinstance(key_node, yaml.ScalarNode)
        key = _scalar(document, key_node, path) if scalar else None
        if not isinstance(key, str):
            named = f"the key '{key_node.value}' is" if scalar else "a key that is"
            document.problems.append(f"line {line}{_shown(path)}: {named} not text (put text in quotes)")
        elif key in found:
            first = document.lines[*path, key]
            document.problems.append(f"line {line}{_shown((*path, key))}: given twice, first on line {first}")
        else:
            # the line of a value is that of its key, where people look for it
            document.lines[*path, key] = line
            found[key] = _value(document, value_node, (*path, key))
    return found


def _scalar(document: Document, node: yaml.ScalarNode, path: Path) -> Any:
    if _HALF.search(node.value):
        document.problems.append(f"line {_line(node)}{_shown(path)}: has half a character (\\uD800 to \\uDFFF)")
        return ""
    written, read = _SCALARS.get(node.tag, ("", str))
    if not re.fullmatch(written, node.value, re.DOTALL):
        _refuse_tag(document, node, path)
        return node.value
    return read(node.value)


def _refuse_tag(document: Document, node: yaml.Node, path: Path) -> None:
    tag = node.tag.replace(_CORE, "!!")
    document.problems.append(f"line {_line(node)}{_shown(path)}: the tag {tag} is not supported")


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _shown(path: Path) -> str:
    """A path to follow a line number: `: rules[0].match`; empty for the whole document."""
    shown = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
    return f": {shown}" if shown else ""
