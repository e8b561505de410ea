"""Measure the product against the simulator, and hold the figures against their targets. Run as `make bench`.

    make bench ARGS="cold warm --runs 1"

measures some cases, once instead of three times. With `--write` the tables go into docs/benchmarks.md. Ends with 1
when a target is missed. Times are worth something only on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys

from tests.benchmarks import hidden, image, large, speed, start
from tests.benchmarks.planning import FORMS, VERSIONS
from tests.benchmarks.tables import ROOT, Table, machine, markdown, progress, write

MOST_SECONDS, MOST_MEMORY = 5.0, 350
"""What planning should cost at most: seconds of CPU, and MB at the peak."""
OTHERS = ("hidden", "memory", "start", "image", "planning")


def planning() -> Table:
    """Measure planning alone, each form in a process of its own."""
    heads = (
        f"{VERSIONS:,} versions",
        "deleted",
        "CPU",
        "target",
        "memory, lists alone",
        "at the peak",
        "target",
        "`python -m tests.benchmarks.planning`",
    )
    rows, missed = [], []
    for name, form in FORMS.items():
        command = [sys.executable, "-m", "tests.benchmarks.planning", name]
        done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, encoding="utf-8")
        found = json.loads(done.stdout)
        progress(f"planning {name}: {found}")
        if found["cpu"] > MOST_SECONDS or found["peak"] > MOST_MEMORY:
            missed.append(f"planning: {name}: {found['cpu']} s of CPU, {found['peak']} MB")
        rows.append(
            (
                form.title,
                str(found["deleted"]),
                f"{found['cpu']:.1f} s",
                f"{MOST_SECONDS:.0f} s",
                f"{found['lists']} MB",
                f"{found['peak']} MB",
                f"{MOST_MEMORY} MB",
                f"`{name}`",
            )
        )
    return Table(mark="planning", text=markdown(heads, rows), missed=tuple(missed))


def measured(names: list[str], runs: int) -> list[Table]:
    """Measure these cases; cases of one table together."""
    tables = []
    if fast := [name for name in speed.CASES if name in names]:
        tables.append(speed.table(fast, runs))
    if "hidden" in names:
        tables.append(hidden.table(runs))
    if "memory" in names:
        tables.append(large.table(runs))
    if "start" in names:
        tables.append(start.table())
    if "image" in names:
        tables.append(image.table())
    if "planning" in names:
        tables.append(planning())
    return tables


def main(arguments: list[str]) -> int:
    """Print the tables, write them down when asked to, and tell which targets were missed."""
    every = [*speed.CASES, *OTHERS]
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description="Measure the product.")
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"{', '.join(every)}; all when none is named")
    parser.add_argument("--runs", type=int, default=3, help="runs of each case, of which the median counts")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/benchmarks.md")
    given = parser.parse_args(arguments)
    if unknown := set(given.cases) - set(every):
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    names = given.cases or every
    if given.write and 0 < len(set(speed.CASES) & set(names)) < len(speed.CASES):
        parser.error(f"one table has all of {', '.join(speed.CASES)}: write it whole")
    tables = measured(names, max(1, given.runs))
    command = "make bench" + (f' ARGS="{" ".join(arguments)}"' if arguments else "")
    for table in tables:
        text = f"{table.text}\n\nOn {machine()}, by `{command}`"
        print(text, end="\n\n")
        if given.write:
            write(table.mark, text)
    missed = [text for table in tables for text in table.missed]
    for text in missed:
        print(f"missed: {text}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
