"""Runs of the real program, as a process of its own, in time that a test directs (directed.py).

Every moment can be met exactly, however fast the machine is, and no wait costs any time.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.scenarios.program import Ended, Place, receipt_lines
from tests.simulator import Package, Simulator, push_image
from tests.wire import world
from tests.wire.directed import Passed

DIRECTED = Path(__file__).resolve().with_name("directed.py")
OLD = "2026-01-01T00:00:00Z"
SECONDARY = "You have exceeded a secondary rate limit."
PLATFORMS = ["linux/amd64", "linux/arm64"]
IMAGE = 3
"""The versions of an image of these platforms."""


def passed(place: Place) -> Passed:
    return Passed(place.runner / "passed")


def time_passes(sim: Simulator, place: Place, seconds: float, method: str, path: str, after: int = 0) -> None:
    """When such a request arrives, so many seconds have passed."""
    clock = passed(place)
    sim.on(method, path, lambda *_: clock.until(seconds), times=1, after=after)


def refuse(sim: Simulator, method: str, path: str, seconds: int, times: int | None = 1) -> None:
    """Refuse such a request by a limit that takes so many seconds."""
    headers = {"Retry-After": str(seconds)}
    sim.faults.add(method, path, status=429, message=SECONDARY, headers=headers, times=times)


def environment(sim: Simulator, place: Place, inputs: dict[str, str]) -> dict[str, str]:
    return world.environment(sim, place, **({"summary": "true"} | inputs))


def run(sim: Simulator, place: Place, **inputs: str) -> Ended:
    """Run from the beginning of time."""
    file = place.runner / "passed"
    if inputs.pop("afresh", ""):
        file.unlink()
    passed(place)
    return place.run([str(file)], environment(sim, place, inputs), DIRECTED)


def again(sim: Simulator, place: Place, **inputs: str) -> Ended:
    """Run once more, later, when everything works."""
    sim.faults.clear()
    return run(sim, place, afresh="yes", **inputs)


def last_lines(place: Place, ended: Ended) -> dict[int, dict[str, Any]]:
    """The last line of the receipt for each write; none has more than two."""
    lines = receipt_lines(place.workspace / ended.outputs["receipt"])
    assert len({(line["seq"], line["outcome"] == "started") for line in lines}) == len(lines)
    return {line["seq"]: line for line in lines}


def outcomes(place: Place, ended: Ended) -> list[str]:
    return [line["outcome"] for line in last_lines(place, ended).values()]


def partial(ended: Ended) -> None:
    assert (ended.status, ended.outputs["result"]) == (0, "partial"), ended.said


def undone(sim: Simulator, place: Place, ended: Ended) -> Ended:
    return again(sim, place, operation="restore", undo=ended.outputs["receipt"])


def with_two_tags(sim: Simulator) -> Package:
    """Make four images, each with a tag that stays and one that goes."""
    made = sim.add_package("acme", "container", "app")
    for number in range(4):
        made.move_tag(f"pr-{number}", push_image(made, f"v{number}", created_at=OLD))
    return made
