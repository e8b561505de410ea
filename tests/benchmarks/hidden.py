"""A limit that nobody announced: how soon the product finds it, and how it keeps to it.

Simulated time passes 60 times as fast. A request takes a millisecond of the machine's time, 60 ms simulated, which
is what real requests take; at one deletion a simulated second the product needs a small part of its CPU. Flat
versions are deleted, so nothing but lists and deletions is sent.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.benchmarks.bounds import Steady, steady
from tests.benchmarks.product import RunFailed, run_product
from tests.benchmarks.server import Figures, Serving, World
from tests.benchmarks.tables import Table, markdown, progress

MARK = "hidden"
LIMIT = 60
"""Deletions a minute."""
VERSIONS = 1500
SCALE = 60.0
LEAST, MOST_REFUSALS = 0.9, 1.0
"""Of the limit; refusals in ten windows."""
WORLD = World(kind="flat", images=VERSIONS, latency=0.001, scale=SCALE, hidden_deletes=LIMIT)
INPUTS = {"package-type": "npm", "versions": "1.0.*", "dry-run": "false"}
HEADS = (
    "limit",
    "deleted",
    "in all",
    "refusals in all",
    "windows after the search",
    "deletions a window",
    "fewest",
    "of the limit",
    "at least",
    "refusals then",
    "in ten windows",
    "at most",
)


def once() -> Figures:
    """Run it."""
    with tempfile.TemporaryDirectory() as folder, Serving(WORLD) as serving:
        run_product(serving, INPUTS, Path(folder), SCALE)
        return serving.figures()


def table(runs: int) -> Table:
    """Measure; the run of the median share counts, and the most refusals of all."""
    found: list[tuple[Steady, Figures]] = []
    try:
        for number in range(runs):
            figures = once()
            found.append((steady(figures.deleted, figures.refused), figures))
            progress(f"hidden {number + 1}: {found[-1][0]}, refusals {figures.refusals}")
    except RunFailed as failed:
        return Table(mark=MARK, text=markdown(HEADS, ()), missed=(f"hidden: {failed}",))
    found.sort(key=lambda each: each[0].deletes)
    middle, figures = found[len(found) // 2]
    share = middle.deletes / LIMIT
    refusals = max(each.refusals for each, _ in found)
    in_ten = max(10 * each.refusals / max(1, each.windows) for each, _ in found)
    row = (
        f"{LIMIT} deletions a minute, {SCALE:.0f} times as fast",
        str(len(figures.deleted)),
        f"{figures.deleted[-1] / 60:.1f} min",
        str(len(figures.refused)),
        str(middle.windows),
        f"{middle.deletes:.1f}",
        str(middle.fewest),
        f"{share:.2f}",
        f"{LEAST:.2f}",
        str(refusals),
        f"{in_ten:.2f}",
        f"{MOST_REFUSALS:.2f}",
    )
    checks = (
        (len(figures.deleted) == VERSIONS, f"{len(figures.deleted)} versions deleted instead of {VERSIONS}"),
        (share >= LEAST, f"{share:.2f} of the limit, at least {LEAST}"),
        (in_ten <= MOST_REFUSALS, f"{in_ten:.2f} refusals in ten windows, at most {MOST_REFUSALS}"),
    )
    missed = tuple(f"hidden: {text}" for kept, text in checks if not kept)
    return Table(mark=MARK, text=markdown(HEADS, (row,)), missed=missed)
