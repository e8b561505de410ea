"""A short form of `make fuzz-parsers`: past findings, and the same mutations of valid inputs each time."""

from __future__ import annotations

import pytest

from tests.fuzz.mutations import mutated
from tests.fuzz.targets import TARGETS, Finding

MUTATIONS = 200


@pytest.mark.parametrize("name", TARGETS)
def test_a_parser_returns_or_raises_its_own_error(name: str) -> None:
    target = TARGETS[name]
    for data in mutated(target.seeds, MUTATIONS):
        try:
            target.run(data)
        except (Exception, SystemExit) as error:
            raise Finding(f"{name} fails on {data!r}") from error
