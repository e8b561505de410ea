"""What the tests of the simulator itself begin with: plain clients, and a simulator that must keep to the contract."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.simulator import Simulator
from tests.simulator.plain import Client, ClientFactory, checked, clients_of


@pytest.fixture
def sim() -> Iterator[Simulator]:
    with checked() as simulator:
        yield simulator


@pytest.fixture
def clients(sim: Simulator) -> Iterator[ClientFactory]:
    with clients_of(sim) as factory:
        yield factory


@pytest.fixture
def client(clients: ClientFactory) -> Client:
    return clients()
