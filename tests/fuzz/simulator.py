"""Holds the simulator to GitHub's OpenAPI description with schemathesis: `make fuzz-simulator`.

    python -m tests.fuzz.simulator [--examples N] [--random]

Each operation gets requests of every shape that the description allows. Half of their parameters name what exists, so
that there are lists, deletions and restorations beside the refusals. The same requests are sent each time, unless
`--random` is given.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any
from urllib.parse import quote

import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

from tests.simulator import Simulator
from tests.simulator.openapi import DESCRIPTIONS
from tests.simulator.scenarios import TOKEN, demo

CHECKS = [not_a_server_error, content_type_conformance, response_schema_conformance]
"""Without the documented statuses: GitHub documents few of its refusals (docs/github-behaviour.md, "Refusals")."""


def existing(simulator: Simulator) -> dict[str, st.SearchStrategy[Any]]:
    """For each parameter of a path: values of the world. None has to fit another one."""
    packages = [package for owner in ("acme", "octocat") for package in simulator.packages(owner)]
    ids = [version.id for package in packages for version in package.versions.values()]
    accounts = st.sampled_from(["acme", "octocat", "ACME"])
    return {
        "org": accounts,
        "username": accounts,
        "owner": accounts,
        "repo": st.sampled_from(["popular", "legacy"]),
        "package_type": st.sampled_from([package.type for package in packages]),
        "package_name": st.sampled_from([quote(package.name, safe="") for package in packages]),
        "package_version_id": st.sampled_from(ids),
    }


def check(operation: Any, examples: int, *, derandomize: bool) -> list[str]:
    """Send requests for one operation to a world of its own, and give the problems."""
    with Simulator() as simulator:
        demo(simulator)
        simulator.limits.configure(points_per_minute=None)
        known = existing(simulator)
        headers = {"Authorization": f"Bearer {TOKEN}"}

        @settings(
            max_examples=examples,
            derandomize=derandomize,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(), data=st.data())
        def hold(case: Any, data: st.DataObject) -> None:
            for name in case.path_parameters or {}:
                if name in known and data.draw(st.booleans()):
                    case.path_parameters[name] = data.draw(known[name])
            response = case.call(base_url=simulator.url, headers=headers)
            case.validate_response(response, checks=CHECKS)
            # what the simulator says of itself; it expects more of requests than the description, as pages from 1 on
            wrong = [str(each) for each in simulator.contract_violations if each.side == "response"]
            if simulator.errors or wrong:
                raise AssertionError(simulator.errors or wrong)

        try:
            hold()
        except (Exception, BaseExceptionGroup) as error:  # noqa: BLE001  # reason: every kind of failure is told
            return [f"{operation.label}: {error!r}"]
    return []


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.simulator")
    parser.add_argument("--examples", type=int, default=100)
    parser.add_argument("--random", action="store_true")
    given = parser.parse_args()
    document = json.loads(DESCRIPTIONS[-1].read_text("utf-8"))
    # packages may be internal (docs/github-behaviour.md, "Endpoints")
    document["components"]["schemas"]["package"]["properties"]["visibility"]["enum"].append("internal")
    schema = schemathesis.openapi.from_dict(document)
    problems = []
    for found in schema.get_all_operations():
        operation = found.ok()
        found_here = check(operation, given.examples, derandomize=not given.random)
        print("\n".join([operation.label, *found_here]), flush=True)
        problems += found_here
    print(f"{len(problems)} operations with problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
