"""The JSON Schemas that ship with the program, and plain messages for what they find wrong in a document."""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from package_keeper.inputs.values import nearest

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

    from package_keeper.inputs.yaml_lines import Document, Path


SCHEMAS = ("policy", "plan", "receipt")
"""The schemas that `package-keeper schema` can print."""

_TYPES = {
    "object": "a mapping",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "nothing",
}


def schema_text(name: str) -> str:
    """The text of a JSON Schema: `policy`, `plan`, or `receipt` for one line of a receipt."""
    # imported only when needed, so that other runs start faster
    from importlib import resources  # noqa: PLC0415  # reason: start-up time

    return resources.files(__package__).joinpath(f"{name}.schema.json").read_text(encoding="utf-8")


@cache
def schema(name: str) -> Mapping[str, Any]:
    """A JSON Schema, parsed."""
    found: Mapping[str, Any] = json.loads(schema_text(name))
    return found


def schema_problems(wanted: Mapping[str, Any], document: "Document") -> "list[tuple[Path, str]]":
    """The problems of `document`, each with the path of its value, in the order of the lines."""
    # imported only when needed: slow to import, and only policies use it
    from jsonschema import Draft202012Validator  # noqa: PLC0415  # reason: start-up time

    found = [each for error in Draft202012Validator(wanted).iter_errors(document.value) for each in _said(error)]
    return sorted(dict.fromkeys(found), key=lambda each: document.lines.get(each[0], 0))


def _said(error: "ValidationError") -> "Iterator[tuple[Path, str]]":
    path: Path = tuple(error.absolute_path)
    value: Any = error.instance
    if error.validator == "additionalProperties":
        accepted = list(cast("Any", error.schema)["properties"])
        for key in value:
            if key not in accepted:
                yield (*path, key), f"unknown; accepted here are {', '.join(accepted)}{nearest(str(key), accepted)}"
    elif error.validator == "required":
        for key in cast("Any", error.validator_value):
            if key not in value:
                yield path, f"'{key}' is missing"
    else:
        yield path, _wrong_value(value, str(error.validator), cast("Any", error.validator_value), error.message)


def _wrong_value(value: Any, keyword: str, wanted: Any, message: str) -> str:
    match keyword:
        case "type":
            types = [wanted] if isinstance(wanted, str) else wanted
            return f"{_shown(value)} is not accepted; accepted is {' or '.join(_TYPES[each] for each in types)}"
        case "enum":
            return f"{_shown(value)} is not one of {', '.join(wanted)}{nearest(str(value), wanted)}"
        case "const":
            return f"{_shown(value)} is not accepted; accepted is {wanted}"
        case "not":
            return "contradicts keep: all"
        case "anyOf":
            return f"one of {', '.join(key for each in wanted for key in each['required'])} is missing"
        case "minItems" | "minLength" | "minProperties":
            return "is empty, which must not mean everything"
        case "minimum" | "maximum":
            return f"{_shown(value)} is out of range"
        case _:
            return f"{_shown(value)} is not accepted: {message}"


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"the number {value} (put text in quotes)"
    return f"'{value}'"
