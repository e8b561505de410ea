"""How many manifests and requests a run needs, against what the documentation promises.

Every manifest that is read counts as a download (GITHUB.md, "Registry"), so the counts are a promise. They are exact,
whatever the machine; each row ends with the ratio to its bound, computed in the same run. Run as `make bench`; with
`--write` the table goes into docs/benchmarks.md.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

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


def main(arguments: list[str]) -> int:
    """Print the table, and write it down when asked to."""
    text, kept = table()
    print(text)
    if "--write" in arguments:
        place = ROOT / "docs" / "benchmarks.md"
        start, end = "<!-- counts -->", "<!-- /counts -->"
        page = place.read_text(encoding="utf-8")
        head, _, rest = page.partition(start)
        place.write_text(f"{head}{start}\n{text}\n{end}{rest.partition(end)[2]}", encoding="utf-8")
    if not kept:
        print("a promise was not kept", file=sys.stderr)
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
