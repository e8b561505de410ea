"""The plan file: it says what was decided, it fits its schema, and an edited one can be told."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from msgspec.structs import replace

from package_keeper.inputs.schemas import schema
from package_keeper.model.plan import Action, Reason
from package_keeper.report.plan_file import is_sealed, plan_document, sealed
from tests.unit.making import HOSTILE
from tests.unit.report.test_reports import ACME, decision, reported


def plan_text(names: list[str], freed: int | None = None) -> str:
    decisions = [decision(number, name=name, tags=(name,)) for number, name in enumerate(names, start=1)]
    decisions.append(decision(99, Action.KEEP, Reason.KEEP_LATEST))
    run, settings = reported(decisions)
    run = replace(run, bytes_planned=freed)
    document = plan_document(run, settings, ACME, {"package": "app"}, "package-keeper 1.2.3")
    return sealed(json.dumps(document, separators=(",", ":")))


@given(st.lists(HOSTILE, max_size=4), st.none() | st.integers(0))
def test_every_plan_fits_its_schema_and_its_digest(names: list[str], freed: int | None) -> None:
    text = plan_text(names, freed)
    found = json.loads(text)
    Draft202012Validator(schema("plan")).validate(found)
    assert is_sealed(text)
    assert found["bytes"] == freed
    assert [write["name"] for write in found["writes"]] == names
    assert [each["decision"] for each in found["decisions"]] == ["delete"] * len(names) + ["keep"]


@given(st.integers(0, 10_000), st.characters(codec="ascii"))
def test_an_edited_or_truncated_plan_is_not_sealed(place: int, character: str) -> None:
    text = plan_text(["1.0.0", "2.0.0"])
    place %= len(text)
    edited = text[:place] + character + text[place + 1 :]
    assert is_sealed(edited) is (edited == text)
    assert not is_sealed(text[:place])
    assert not is_sealed(text[:place] + character + text[place:])
