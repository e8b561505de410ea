"""The world in which the real program runs over the wire, if a test does not make one of its own."""

from __future__ import annotations

from tests.scenarios.program import Place
from tests.simulator import Simulator

TOKEN = "tok-of-a-test"


def furnished(simulator: Simulator) -> Simulator:
    """With the organization `acme`, and a token that may do everything there."""
    simulator.add_owner("acme")
    simulator.add_token(TOKEN)
    return simulator


def environment(sim: Simulator, place: Place, **inputs: str) -> dict[str, str]:
    """The environment of the Action, which deletes versions of the package `app`, unless `inputs` say otherwise."""
    given = {
        "token": TOKEN,
        "owner": "acme",
        "owner-type": "organization",
        "api-url": sim.url,
        "operation": "delete",
        "package": "app",
        "dry-run": "false",
    }
    return place.action_environment(given | {name.replace("_", "-"): text for name, text in inputs.items()})
