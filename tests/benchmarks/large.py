"""135,000 versions: a dry run of `delete` as a whole process, with lists, graph, plan and report.

Nothing waits: the requests take no time of their own, no limit is on, the manifests are in the cache. Smaller packages
are measured as well, so that growth shows: whatever is quadratic costs more for each thousand versions of the larger
half.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from tests.benchmarks.product import Ran, RunFailed, run_product
from tests.benchmarks.server import Figures, Serving, World
from tests.benchmarks.tables import Table, markdown, progress

MARK = "memory"
SIZES = (13_500, 67_500, 135_000)
EACH = 5
"""Versions of an image."""
MOST_MEMORY, MOST_CPU, MOST_GROWTH = 400.0, 60.0, 1.25
"""MB and seconds for the largest; each further thousand against each thousand of the step before."""
CACHE = "manifests"
INPUTS = {"tags": "nightly-*", "keep-latest": "1000", "manifest-cache": CACHE}
HEADS = (
    "versions",
    "requests",
    "manifests read",
    "elapsed",
    "CPU",
    "at most",
    "each further 1,000",
    "growth",
    "at most",
    "peak memory",
    "at most",
    "each further 1,000",
)


@dataclass(frozen=True)
class Size:
    """What a package of so many versions cost."""

    versions: int
    ran: Ran
    figures: Figures


def once(versions: int) -> Size:
    """Run it on a package of so many versions."""
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder)
        # 1,354 pages are more than a minute's points: with limits on it would mostly wait
        world = World(kind="many", images=versions // EACH, limited=False)
        with Serving(world, workspace / CACHE) as serving:
            ran = run_product(serving, INPUTS, workspace)
            size = Size(versions, ran, serving.figures())
    progress(f"memory {versions:,}: {ran.cpu:.1f} s of CPU, {ran.peak:.0f} MB, {ran.elapsed:.1f} s")
    return size


def median(versions: int, runs: int) -> Size:
    """The run of the median CPU time."""
    several = sorted((once(versions) for _ in range(runs)), key=lambda size: size.ran.cpu)
    return several[len(several) // 2]


def table(runs: int) -> Table:
    """Measure all sizes."""
    try:
        sizes = [median(versions, runs) for versions in SIZES]
    except RunFailed as failed:
        return Table(mark=MARK, text=markdown(HEADS, ()), missed=(f"memory: {failed}",))
    cpu, memory = [0.0], [0.0]
    for before, after in pairwise(sizes):
        thousands = (after.versions - before.versions) / 1000
        cpu.append((after.ran.cpu - before.ran.cpu) / thousands)
        memory.append((after.ran.peak - before.ran.peak) / thousands)
    growth = cpu[-1] / cpu[-2]
    rows = []
    for number, size in enumerate(sizes):
        last = size is sizes[-1]
        rows.append(
            (
                f"{size.versions:,}",
                str(size.figures.requests),
                str(size.figures.reads),
                f"{size.ran.elapsed:.1f} s",
                f"{size.ran.cpu:.1f} s",
                f"{MOST_CPU:.0f} s" if last else "-",
                f"{1000 * cpu[number]:.0f} ms" if number else "-",
                f"{growth:.2f}" if last else "-",
                f"{MOST_GROWTH:.2f}" if last else "-",
                f"{size.ran.peak:.0f} MB",
                f"{MOST_MEMORY:.0f} MB" if last else "-",
                f"{memory[number]:.2f} MB" if number else "-",
            )
        )
    largest = sizes[-1]
    checks = (
        (largest.figures.reads == 0, f"{largest.figures.reads} manifests read in spite of the cache"),
        (largest.ran.cpu < MOST_CPU, f"{largest.ran.cpu:.1f} s of CPU, below {MOST_CPU:.0f} s"),
        (largest.ran.peak < MOST_MEMORY, f"{largest.ran.peak:.0f} MB, below {MOST_MEMORY:.0f} MB"),
        (growth <= MOST_GROWTH, f"{growth:.2f} times the CPU for each further thousand, at most {MOST_GROWTH}"),
    )
    missed = tuple(f"memory: {text}" for kept, text in checks if not kept)
    return Table(mark=MARK, text=markdown(HEADS, rows), missed=missed)
