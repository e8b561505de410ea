"""The world in which the real program runs over the wire, if a test does not make one of its own."""

from __future__ import annotations

from tests.simulator import Simulator

TOKEN = "tok-of-a-test"


def furnished(simulator: Simulator) -> Simulator:
    """With the organization `acme`, and a token that may do everything there."""
    simulator.add_owner("acme")
    simulator.add_token(TOKEN)
    return simulator
