"""How many manifests and requests a run needs, against what the documentation promises; and what planning costs.

Every manifest that is read counts as a download (GITHUB.md, "Registry"), so the counts are a promise. They are exact,
whatever the machine; each row ends with the ratio to its bound, computed in the same run. CPU time and memory of
planning (tests/benchmarks/planning.py) depend on the machine, and break no promise. Run as `make bench`; with `--write`
the tables go into docs/benchmarks.md.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.planning import FORMS, VERSIONS
from tests.simulator import Simulator
from tests.simulator.images import image_manifest, push_image
from tests.simulator.packages import Package

ROOT = Path(__file__).resolve().parent.parent.parent
TOKEN = "benchmark-token"
OLD = "2026-01-01T00:00:00Z"


@dataclass(frozen=True)
class Case:
    """One measurement: `runs` are the inputs of runs one after the other; the last is measured."""

    title: str
    build: Callable[[Package], None]
    runs: tuple[dict[str, str], ...]
    reads: int
    requests: int


def single_arch(package: Package) -> None:
    """Make 900 tagged and 100 untagged images of one platform."""
    for number in range(1000):
        tag = f"v{number}" if number < 900 else None
        package.push(image_manifest(package, f"image {number}"), tag=tag, created_at=OLD)


def multi_arch(package: Package) -> None:
    """Make 200 indexes of four platforms each, the first hundred to be deleted."""
    platforms = ("linux/amd64", "linux/arm64", "linux/arm/v7", "linux/s390x")
    for number in range(200):
        tag = f"{'old' if number < 100 else 'new'}-{number}"
        push_image(package, tag, seed=f"image {number}", platforms=platforms, created_at=OLD)


UNTAGGED = {"tag-status": "untagged", "older-than": "1d"}
CACHED = {**UNTAGGED, "manifest-cache": "manifests"}
WRITES = {"dry-run": "false"}

CASES = (
    Case("1,000 single-arch, 100 untagged deleted, cold", single_arch, (UNTAGGED | WRITES,), 1000, 1115),
    Case("the same, manifest cache warm", single_arch, (CACHED, CACHED | WRITES), 0, 115),
    Case("the same, nothing to delete", single_arch, ({"tags": "no-such-*"} | WRITES,), 0, 14),
    Case("200 images of 5 manifests, the 100 oldest deleted", multi_arch, ({"tags": "old-*"} | WRITES,), 200, 750),
)


def measure(case: Case) -> tuple[int, int, int]:
    """Run a case: manifests read, requests, versions deleted."""
    with Simulator(validate=False) as simulator, tempfile.TemporaryDirectory() as workspace:
        simulator.limits.configure(enabled=False)
        simulator.add_owner("acme")
        simulator.add_token(TOKEN)
        package = simulator.add_package("acme", "container", "app")
        case.build(package)
        before = len(package.active())
        for inputs in case.runs:
            simulator.forget_requests()
            environment = {
                "PATH": os.environ["PATH"],
                "GITHUB_WORKSPACE": workspace,
                "INPUT_OPERATION": "delete",
                "INPUT_TOKEN": TOKEN,
                "INPUT_OWNER": "acme",
                "INPUT_PACKAGE": "app",
                "INPUT_API-URL": simulator.url,
                "INPUT_REGISTRY-URL": simulator.registry_url,
                **{f"INPUT_{name.upper()}": text for name, text in inputs.items()},
            }
            subprocess.run(
                [sys.executable, "-I", str(ROOT / "entrypoint.py")], env=environment, check=True, capture_output=True
            )
        return len(simulator.manifest_reads), len(simulator.requests), before - len(package.active())


def table() -> tuple[str, bool]:
    """Measure everything: a Markdown table, and whether every promise was kept."""
    lines = [
        "| case | versions deleted | manifests read | promised | ratio | requests | bound | ratio |",
        "|---|---|---|---|---|---|---|---|",
    ]
    kept = True
    for case in CASES:
        reads, requests, deleted = measure(case)
        kept = kept and reads <= case.reads and requests <= case.requests
        share = f"{reads / case.reads:.2f}" if case.reads else "-"
        lines.append(
            f"| {case.title} | {deleted} | {reads} | {case.reads} | {share}"
            f" | {requests} | {case.requests} | {requests / case.requests:.2f} |"
        )
    return "\n".join(lines), kept


MOST_SECONDS, MOST_MEMORY = 5.0, 300
"""What planning should cost at most: seconds of CPU, and MB at the peak."""


def planning_table() -> str:
    """Measure planning, each form in a process of its own: a Markdown table, with the commands that made it."""
    lines = [
        f"| {VERSIONS:,} versions | deleted | CPU | target | memory, lists alone | at the peak | target |",
        "|---|---|---|---|---|---|---|",
    ]
    commands = []
    for name, form in FORMS.items():
        command = ["-m", "tests.benchmarks.planning", name]
        commands.append("python " + " ".join(command))
        done = subprocess.run([sys.executable, *command], cwd=ROOT, check=True, capture_output=True, encoding="utf-8")
        found = json.loads(done.stdout)
        lines.append(
            f"| {form.title} | {found['deleted']} | {found['cpu']:.1f} s | {MOST_SECONDS:.0f} s"
            f" | {found['lists']} MB | {found['peak']} MB | {MOST_MEMORY} MB |"
        )
    where = f"CPython {platform.python_version()}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    return "\n".join([*lines, "", f"On {where}, by", "", "```text", *commands, "```"])


def write(name: str, text: str) -> None:
    """Put a table into the documentation, between its marks; at the end where it has none yet."""
    place = ROOT / "docs" / "benchmarks.md"
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    page = place.read_text(encoding="utf-8")
    if start not in page:
        page += f"\n{start}\n{end}\n"
    head, _, rest = page.partition(start)
    place.write_text(f"{head}{start}\n{text}\n{end}{rest.partition(end)[2]}", encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Print the tables, and write them down when asked to."""
    text, kept = table()
    planning = planning_table()
    print(text, planning, sep="\n\n")
    if "--write" in arguments:
        write("counts", text)
        write("planning", planning)
    if not kept:
        print("a promise was not kept", file=sys.stderr)
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
