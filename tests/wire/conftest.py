"""What most runs over the wire begin with: a simulator with an organization and a token, and places for files.

A module that needs another simulator has a fixture of that name of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenarios.program import Place
from tests.simulator import Simulator
from tests.wire.world import furnished


@pytest.fixture
def sim() -> Iterator[Simulator]:
    with Simulator() as simulator:
        yield furnished(simulator)
    assert simulator.errors == []
    assert [problem for problem in simulator.contract_violations if problem.side == "request"] == []


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place.below(tmp_path)
