"""Requests, manifests and time of whole runs, against what the documentation promises and against the bound.

Counts are the worst of all runs and do not depend on the machine; the time is the median. It counts from the making
of the process to its end. Where time is scaled, everything is in simulated seconds: CPU time too, which then looks
`scale` times as long, so the scale is small and the latency scaled with it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.bounds import Bound, Stage, bound
from tests.benchmarks.product import RunFailed, run_product
from tests.benchmarks.server import Figures, Serving, World
from tests.benchmarks.tables import Table, markdown, progress

MARK = "speed"
LATENCY = 0.05
"""Simulated seconds."""
WINDOW_SCALE = 6.0
CACHE = "manifests"

OWNER = Stage(1, 1)
PACKAGE = Stage(1, 1)
FIRST_PAGE = Stage(1, 1)
OTHER_PAGES = Stage(10, 1)
"""Nine full ones, and the empty one that shows the end."""
LOOK = Stage(1, 1)
"""At the first page again, since offset pages shift while others push."""
LISTED = (OWNER, PACKAGE, FIRST_PAGE, OTHER_PAGES, LOOK)
AGAIN = Stage(11, 1)
"""All pages at once, before anything without a tag is deleted: only two readings that agree are believed."""
UNTAGGED = {"tag-status": "untagged", "older-than": "1d", "dry-run": "false"}
LEFTOVERS = UNTAGGED | {"dry-run": "true"}


@dataclass(frozen=True, kw_only=True)
class Case:
    """One run, what it needs, and what it may take."""

    title: str
    world: World
    inputs: Mapping[str, str]
    needs: Sequence[Stage]
    most_requests: int
    most_reads: int
    most_ratio: float | None = None
    """Of the elapsed time to the plain bound."""
    most_in_order: float | None = None
    """Of the time since the first request to the bound in order."""
    most_refusals: int = 0


SINGLE = World(kind="single", images=1000, latency=LATENCY)
CASES = {
    "cold": Case(
        title="1,000 single-arch, 100 untagged deleted, cold",
        world=SINGLE,
        inputs=UNTAGGED,
        needs=(*LISTED, Stage(1000, 0), AGAIN, Stage(100, 5)),
        most_requests=1126,
        most_reads=1000,
        most_ratio=1.15,
    ),
    "warm": Case(
        title="the same, manifest cache warm",
        world=SINGLE,
        inputs=UNTAGGED | {"manifest-cache": CACHE},
        needs=(*LISTED, AGAIN, Stage(100, 5)),
        most_requests=126,
        most_reads=0,
        # the plain bound is less than the requests take that follow from each other (docs/benchmarks.md)
        most_in_order=1.25,
    ),
    "nothing": Case(
        title="the same, nothing to delete",
        world=SINGLE,
        inputs={"tags": "no-such-*", "dry-run": "false"},
        needs=LISTED,
        most_requests=14,
        most_reads=0,
    ),
    "window": Case(
        title=f"200 images of 5 manifests, the 100 oldest deleted, {WINDOW_SCALE:.0f} times as fast",
        world=World(kind="multi", images=200, latency=LATENCY / WINDOW_SCALE, scale=WINDOW_SCALE),
        inputs={"tags": "old-*", "dry-run": "false"},
        # the last five pages are the fresh list that is held against the manifests
        needs=(*LISTED, Stage(200, 0), AGAIN, Stage(500, 5), Stage(5, 1)),
        most_requests=750,
        most_reads=200,
        most_ratio=1.10,
    ),
    "leftovers": Case(
        title="200 images of 5 manifests, half of them untagged, what goes is planned, cold",
        world=World(kind="leftovers", images=200, latency=LATENCY),
        inputs=LEFTOVERS,
        needs=(*LISTED, Stage(200, 0)),
        most_requests=230,
        most_reads=220,
    ),
    "shuffled": Case(
        title="the same, and nothing tells which of a push is the index",
        world=World(kind="shuffled", images=200, latency=LATENCY),
        inputs=LEFTOVERS,
        # each untagged version is asked what it is, which is no download
        needs=(*LISTED, Stage(500, 0), Stage(200, 0)),
        most_requests=740,
        most_reads=220,
    ),
}


CASES |= {
    "deployed": Case(
        title="500 of 600 images planned, each asked about with keep-deployed",
        world=World(kind="deployed", images=600, latency=LATENCY),
        inputs={"tags": "old-*", "keep-deployed": "true", "dry-run": "true"},
        # those that stay are asked whether they are indexes, which is no download; then 500 questions
        needs=(OWNER, PACKAGE, FIRST_PAGE, Stage(6, 1), LOOK, Stage(500, 0), Stage(100, 0), Stage(500, 1)),
        most_requests=1115,
        most_reads=500,
        most_ratio=1.15,
    ),
    "organization": Case(
        title="200 packages of 20 images of 3 platforms verified",
        world=World(kind="organization", images=4000, latency=LATENCY),
        inputs={"operation": "verify", "package": ""},
        # the list of packages has two full pages, and an empty one that shows the end
        needs=(OWNER, FIRST_PAGE, Stage(2, 1), Stage(200, 1), Stage(4000, 0)),
        most_requests=4210,
        most_reads=4000,
        most_ratio=1.15,
    ),
}


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What one run took, in simulated seconds."""

    figures: Figures
    start: float
    """Until the first request arrived."""
    elapsed: float
    cpu: float
    """Seconds of CPU, not scaled."""


def once(case: Case) -> Taken:
    """Run a case on a simulator of its own."""
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder)
        cache = workspace / CACHE if "manifest-cache" in case.inputs else None
        with Serving(case.world, cache) as serving:
            ran = run_product(serving, case.inputs, workspace, case.world.scale)
            figures = serving.figures()
    scale = case.world.scale
    return Taken(
        figures=figures,
        start=(figures.arrivals[0] - ran.started) * scale,
        elapsed=ran.elapsed * scale,
        cpu=ran.cpu,
    )


@dataclass(frozen=True, kw_only=True)
class Row:
    """A case, measured several times."""

    case: Case
    bound: Bound
    taken: Taken
    """The run of the median time."""
    requests: int
    reads: int
    refusals: int
    deleted: int

    def missed(self) -> list[str]:
        """The targets that were missed, in words."""
        case = self.case
        planned = sum(stage.requests for stage in case.needs if stage.points == 5)
        checks = (
            (self.deleted == planned, f"{self.deleted} versions deleted instead of {planned}"),
            (self.requests <= case.most_requests, f"{self.requests} requests, at most {case.most_requests}"),
            (self.reads <= case.most_reads, f"{self.reads} manifests read, at most {case.most_reads}"),
            (self.refusals <= case.most_refusals, f"{self.refusals} refusals, at most {case.most_refusals}"),
            (
                case.most_ratio is None or self.ratio <= case.most_ratio,
                f"{self.ratio:.2f} times the bound, at most {case.most_ratio}",
            ),
            (
                case.most_in_order is None or self.in_order <= case.most_in_order,
                f"{self.in_order:.2f} times the bound in order without start, at most {case.most_in_order}",
            ),
        )
        return [text for kept, text in checks if not kept]

    @property
    def ratio(self) -> float:
        """Of the elapsed time to the plain bound."""
        return self.taken.elapsed / self.bound.plain

    @property
    def in_order(self) -> float:
        """Of the time since the first request to the bound in order."""
        return (self.taken.elapsed - self.taken.start) / self.bound.ordered

    def cells(self) -> list[str]:
        """The row of the table."""
        case, taken = self.case, self.taken
        return [
            case.title,
            str(self.deleted),
            f"{self.requests} of {case.most_requests}",
            f"{self.reads} of {case.most_reads}",
            f"{self.refusals} of {case.most_refusals}",
            str(taken.figures.peak),
            f"{taken.start:.2f} s",
            f"{taken.elapsed:.2f} s",
            f"{self.bound.plain:.2f} s",
            f"{self.ratio:.2f}",
            f"{case.most_ratio:.2f}" if case.most_ratio is not None else "-",
            f"{self.bound.ordered:.2f} s",
            f"{self.in_order:.2f}",
            f"{case.most_in_order:.2f}" if case.most_in_order is not None else "-",
            f"{taken.cpu:.2f} s",
            "missed" if self.missed() else "kept",
        ]


HEADS = (
    "case",
    "deleted",
    "requests",
    "manifests read",
    "refusals",
    "REST in calls",
    "start",
    "elapsed",
    "bound",
    "ratio",
    "at most",
    "bound in order",
    "ratio without start",
    "at most",
    "CPU",
    "targets",
)


def measured(name: str, runs: int) -> Row:
    """Run a case so many times. Raises `RunFailed`."""
    case = CASES[name]
    several = []
    for number in range(runs):
        several.append(once(case))
        simulator = several[-1].figures
        each = 1000 * simulator.cpu / max(1, simulator.requests)
        progress(f"{name} {number + 1}: {several[-1].elapsed:.2f} s, the simulator {each:.2f} ms of CPU a request")
    by_time = sorted(several, key=lambda taken: taken.elapsed)
    return Row(
        case=case,
        bound=bound(case.needs, LATENCY),
        taken=by_time[len(by_time) // 2],
        requests=max(taken.figures.requests for taken in several),
        reads=max(taken.figures.reads for taken in several),
        refusals=max(sum(taken.figures.refusals.values()) for taken in several),
        deleted=min(len(taken.figures.deleted) for taken in several),
    )


def table(names: Sequence[str], runs: int) -> Table:
    """Measure these cases."""
    rows, missed = [], []
    for name in names:
        try:
            row = measured(name, runs)
        except RunFailed as failed:
            missed.append(f"{name}: {failed}")
            continue
        rows.append(row.cells())
        missed += [f"{name}: {text}" for text in row.missed()]
    return Table(mark=MARK, text=markdown(HEADS, rows), missed=tuple(missed))
