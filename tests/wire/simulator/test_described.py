"""The simulator answers as GitHub's OpenAPI description says: the short form of `make fuzz-simulator`."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulator import Simulator
from tests.simulator.openapi import Operation, operations
from tests.simulator.plain import Client
from tests.simulator.scenarios import TOKEN, demo

EXAMPLES = 20


def values(operation: Operation, simulator: Simulator) -> st.SearchStrategy[dict[str, str]]:
    """Parameters as the description has them; those of a path name what exists half of the time."""
    packages = [package for owner in ("acme", "octocat") for package in simulator.packages(owner)]
    known = {
        "package_type": [package.type for package in packages],
        "package_name": [package.name for package in packages],
        "package_version_id": [str(each) for package in packages for each in package.versions],
    }
    found = {}
    for name, schema in (operation.path | operation.query).items():
        exists = st.sampled_from(known.get(name, ["acme", "octocat"]))
        described = st.integers().map(str) if schema.get("type") == "integer" else st.text(min_size=1, max_size=9)
        described = st.sampled_from(schema["enum"]) if "enum" in schema else described
        found[name] = described | exists if name in operation.path else described
    return st.fixed_dictionaries(found)


@pytest.mark.parametrize("name", operations())
def test_every_answer_is_described(name: str) -> None:
    operation = operations()[name]
    with Simulator() as simulator:
        demo(simulator)
        with Client(simulator, TOKEN) as client:

            @settings(max_examples=EXAMPLES)
            @given(values(operation, simulator), st.booleans())
            def hold(given: dict[str, str], gives_all: bool) -> None:
                path = operation.template.format_map({key: quote(given[key], safe="") for key in operation.path})
                query = {key: given[key] for key in operation.query if gives_all or key in operation.required}
                answer = client(operation.method.upper(), path, params=query)
                assert answer.status_code < 500
                assert answer.status_code == 204 or answer.headers["content-type"].startswith("application/json")
                assert simulator.errors == []
                assert [str(each) for each in simulator.contract_violations if each.side == "response"] == []

            hold()
