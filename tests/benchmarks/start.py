"""From the making of the process to the arrival of its first request at the simulator."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

from tests.benchmarks.product import RunFailed, run_product
from tests.benchmarks.server import Serving, World
from tests.benchmarks.tables import Table, markdown, progress

MARK = "start"
TIMES = 7
MOST = 0.35
"""Seconds."""
INPUTS = {"tag-status": "untagged", "older-than": "1d"}
HEADS = ("start to first request", f"median of {TIMES}", "below", "fastest", "slowest")


def table() -> Table:
    """Measure; one more run before it fills Python's cache of compiled modules and is not counted."""
    found = []
    try:
        with tempfile.TemporaryDirectory() as folder, Serving(World(kind="single", images=10)) as serving:
            for _ in range(TIMES + 1):
                ran = run_product(serving, INPUTS, Path(folder))
                found.append(serving.figures().arrivals[0] - ran.started)
    except RunFailed as failed:
        return Table(mark=MARK, text=markdown(HEADS, ()), missed=(f"start: {failed}",))
    del found[0]
    middle = statistics.median(found)
    progress(f"start: {middle:.3f} s")
    row = ("`delete`, dry run", f"{middle:.3f} s", f"{MOST} s", f"{min(found):.3f} s", f"{max(found):.3f} s")
    missed = () if middle < MOST else (f"start: {middle:.3f} s, below {MOST} s",)
    return Table(mark=MARK, text=markdown(HEADS, [row]), missed=missed)
