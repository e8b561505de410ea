"""JSON Schemas that the program prints, held against documents that they must accept and refuse."""

from __future__ import annotations

import json
from typing import Any

import yaml
from jsonschema import Draft202012Validator

from tests.scenarios.world import known


def check_schema(schema: dict[str, Any], expected: dict[str, Any]) -> None:
    """Check that it is a schema, and what it says about YAML documents: `accepts` and `refuses` are lists of texts."""
    known(expected, {"accepts", "refuses"}, "schema")
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == Draft202012Validator.META_SCHEMA["$schema"]
    validator = Draft202012Validator(schema)
    for text in expected.get("accepts") or []:
        problems = [error.message for error in validator.iter_errors(_document(text))]
        assert problems == [], f"not accepted:\n{text}"
    for text in expected.get("refuses") or []:
        assert not validator.is_valid(_document(text)), f"accepted:\n{text}"


def _document(text: str) -> Any:
    # what goes through JSON has no dates, as the program's own reader has none
    return json.loads(json.dumps(yaml.safe_load(text), default=str))
