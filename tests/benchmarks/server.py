"""The simulator in a process of its own, so that its CPU time and memory are not the product's.

`Serving` starts it; `python -m tests.benchmarks.server` is that process. It is told what to serve as JSON in its
argument, says as one line of JSON where it serves, and answers each line on its standard input with its figures.
"""

from __future__ import annotations

import gc
import json
import resource
import subprocess
import sys
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from tests.benchmarks.worlds import OWNER, TOKEN, WORLDS, needed, write_cache
from tests.simulator import Simulator
from tests.simulator.render import version_json

ROOT = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True, kw_only=True)
class World:
    """What is served, and how."""

    kind: str
    """A key of `WORLDS`."""
    images: int
    latency: float = 0.0
    """Seconds of the machine's time that each request takes besides its CPU time."""
    scale: float = 1.0
    """Simulated seconds in one of the machine's."""
    hidden_deletes: int | None = None
    """Deletions a simulated minute, a limit that no header and no documentation tells."""
    limited: bool = True


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What the simulator has seen. Moments are those of `time.monotonic()`, which all processes share."""

    requests: int
    reads: int
    """Manifests read, each of which counts as a download."""
    refusals: dict[str, int]
    """By the limit that refused."""
    peak: int
    """The most REST requests in calls at once."""
    arrivals: tuple[float, float]
    """The first request and the last."""
    deleted: list[float]
    """When each deletion arrived that was carried out, in simulated seconds after the first request."""
    refused: list[float]
    """The same of every request that a limit refused."""
    cpu: float
    """Seconds of CPU that the simulator took for all requests."""


class Serving:
    """A simulator in another process; use it with `with`."""

    def __init__(self, world: World, cache: Path | None = None) -> None:
        text = json.dumps({"world": asdict(world), "cache": str(cache) if cache else ""})
        command = [sys.executable, "-m", "tests.benchmarks.server", text]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
        )
        ready = self._read()
        self.url: str = ready["url"]
        self.moment: float = ready["moment"]
        """The moment of `time.monotonic()` at which the simulated time was `now`."""
        self.now: str = ready["now"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def figures(self) -> Figures:
        """Ask for the figures so far, and let it count anew."""
        if self._process.stdin is None:
            raise RuntimeError("the simulator has no standard input")
        self._process.stdin.write("figures\n")
        self._process.stdin.flush()
        return Figures(**self._read())

    def _read(self) -> dict[str, Any]:
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise RuntimeError(f"the simulator ended with status {self._process.wait()}")
        found: dict[str, Any] = json.loads(line)
        return found


def cpu() -> float:
    """Seconds of CPU that this process has had."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def prepared(world: World, cache: str) -> Simulator:
    """Build a world and write its pages in advance."""
    simulator = Simulator(world.scale, world.latency, validate=False)
    # whoever is measured lives in the same time, whether scaled or not
    simulator.clock.shared = True
    simulator.limits.configure(enabled=world.limited, hidden_deletes_per_minute=world.hidden_deletes)
    simulator.add_owner(OWNER)
    simulator.add_token(TOKEN)
    package = WORLDS[world.kind](simulator, world.images)
    for each in simulator.packages(OWNER):
        for version in each.active():
            version_json(version, simulator.url)
    if cache:
        write_cache(Path(cache), needed(package))
    # what was built stays: the collector need not look at it again and again
    gc.collect()
    gc.freeze()
    return simulator


def figures(simulator: Simulator, cpu_seconds: float) -> Figures:
    """Sum up what was requested since the last time."""
    requests, clock, refusals = simulator.requests, simulator.clock, simulator.limits.refusals
    if simulator.errors:
        raise RuntimeError(simulator.errors[0])
    first = requests[0].at if requests else clock.now()
    last = requests[-1].at if requests else first

    def since(at: datetime) -> float:
        return round((at - first).total_seconds(), 3)

    found = Figures(
        requests=len(requests),
        reads=len(simulator.manifest_reads),
        refusals={name: count for name, count in refusals.items() if count},
        peak=simulator.limits.peak,
        arrivals=(clock.moment(first), clock.moment(last)),
        deleted=[since(request.at) for request in requests if (request.method, request.status) == ("DELETE", 204)],
        refused=[since(request.at) for request in requests if request.status in (403, 429)],
        cpu=cpu_seconds,
    )
    simulator.forget_requests()
    refusals.clear()
    simulator.limits.peak = 0
    return found


def main(text: str) -> int:
    """Serve until standard input ends."""
    given = json.loads(text)
    with prepared(World(**given["world"]), given["cache"]) as simulator:
        now = simulator.clock.now()
        ready = {"url": simulator.url, "moment": simulator.clock.moment(now), "now": now.isoformat()}
        print(json.dumps(ready), flush=True)
        before = cpu()
        for _ in sys.stdin:
            spent, before = cpu() - before, cpu()
            print(json.dumps(asdict(figures(simulator, spent))), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
