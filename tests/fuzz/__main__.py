"""Fuzzes the parsers with atheris, one process for each target.

    python -m tests.fuzz [--seconds N] [TARGET...]

Without targets all are fuzzed, one after the other. A finding is written to a file, ends its target and makes the exit
status 1. `make fuzz-parsers` runs it; CONTRIBUTING.md, "Fuzz the parsers", says what to do with a finding.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.fuzz.mutations import LARGEST

LONGEST_RUN = 10
"""Seconds that one input may take."""
MOST_MEMORY = 2048
"""Megabytes."""


def fuzz(name: str, seconds: int, folder: Path) -> int:
    """Fuzz one target in this process, which ends with it."""
    import atheris  # noqa: PLC0415  # reason: not in the usual environment

    with atheris.instrument_imports(include=["package_keeper", "yaml", "isodate", "semver"]):
        from tests.fuzz.targets import TARGETS  # noqa: PLC0415  # reason: what is imported here is instrumented

    target = TARGETS[name]
    for number, seed in enumerate(target.seeds):
        (folder / f"seed-{number}").write_bytes(seed)
    options = {
        "max_total_time": seconds,
        "max_len": LARGEST,
        "timeout": LONGEST_RUN,
        "rss_limit_mb": MOST_MEMORY,
        "artifact_prefix": f"finding-{name}-",
        "verbosity": 0,
        "print_final_stats": 1,
    }
    atheris.Setup([name, *(f"-{option}={value}" for option, value in options.items()), str(folder)], target.run)
    atheris.Fuzz()
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("targets", nargs="*")
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--in-this-process", type=Path, metavar="FOLDER", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.in_this_process:
        return fuzz(given.targets[0], given.seconds, given.in_this_process)

    from tests.fuzz.targets import TARGETS  # noqa: PLC0415  # reason: must not be imported before atheris

    if unknown := set(given.targets) - TARGETS.keys():
        parser.error(f"there is no target {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}")
    failed = []
    for name in given.targets or TARGETS:
        print(f"=== {name}: {given.seconds} s", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "tests.fuzz", name, "--seconds", str(given.seconds)]
            if subprocess.run([*command, "--in-this-process", folder], check=False).returncode:
                failed.append(name)
    print(f"findings: {', '.join(failed) or 'none'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
