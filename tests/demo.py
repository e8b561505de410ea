"""Package Keeper at work, for a person to watch: ``python -m tests.demo``, or ``make demo``.

It starts the simulated GitHub of ``tests/simulator`` and runs the real program on it as the Actions runner does, in a
process of its own with the inputs in its environment: list, dry run, deletion, verification of images, receipt and
summary, undo. It needs no token and no network, and exits with 1 unless every image that stays is whole after the
deletion, and every version is back in the end, with its tags.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.simulator import Simulator
from tests.simulator.scenarios import SCENARIOS, TOKEN

ROOT = Path(__file__).resolve().parent.parent
OWNER = "acme"
TYPES = "npm, maven, rubygems, docker, nuget, container"
# what the workflow asks for; the real deletion differs in one line
CLEAN_UP = {
    "operation": "delete",
    "package-type": TYPES,
    "package": "*",
    "older-than": "30d",
    "keep-latest": "3",
    "keep-tags": "v*, latest",
}
COLUMNS = min(shutil.get_terminal_size((110, 40)).columns, 110)
COLOURS = sys.stdout.isatty() and not os.environ.get("NO_COLOR")

Active = set[tuple[str, str, int, str, tuple[str, ...]]]


class DemoFailed(Exception):
    """The program did not do what the demo says that it does."""


@dataclass(frozen=True, kw_only=True)
class Finished:
    """One run of the Action: what the runner would show and pass on."""

    status: int
    log: list[str]
    outputs: dict[str, str]
    summary: str
    seconds: float

    @property
    def versions(self) -> list[dict[str, Any]]:
        """The versions acted on, or planned."""
        found: list[dict[str, Any]] = json.loads(self.outputs["versions"])
        return found

    def lines(self, *starts: str) -> list[str]:
        """The lines of the log that begin so, without the runner's commands around them."""
        plain = [re.sub(r"^::(\w+)[^:]*::", r"\1: ", line) for line in self.log]
        return [line for line in plain if line.startswith(starts)]


class Runner:
    """Starts the program as the Actions runner starts the container, in one workspace."""

    def __init__(self, simulator: Simulator, folder: Path) -> None:
        self._folder = folder
        self.workspace = folder / "workspace"
        self.workspace.mkdir()
        action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
        # the runner fills in its own expressions, and passes every declared input, given or not
        context = {
            "${{ github.token }}": TOKEN,
            "${{ github.repository_owner }}": OWNER,
            "${{ github.api_url }}": simulator.url,
        }
        self._inputs = {
            name: context.get(str(each["default"]), str(each["default"])) for name, each in action["inputs"].items()
        }
        if "registry-url" in self._inputs:
            self._inputs["registry-url"] = simulator.registry_url
        foreign = re.compile(r"(?i)INPUT_|GITHUB_|RUNNER_|GH_TOKEN|.*_proxy$")
        self._environment = {name: text for name, text in os.environ.items() if not foreign.match(name)}

    def run(self, **inputs: str) -> Finished:
        """Run one step with these inputs; underscores in their names stand for hyphens."""
        given = {name.replace("_", "-"): text for name, text in inputs.items()}
        files = {name: self._folder / name for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        for file in files.values():
            file.write_text("", encoding="utf-8")
        environment = (
            self._environment
            | {"INPUT_" + name.upper(): text for name, text in (self._inputs | given).items()}
            | {name: str(file) for name, file in files.items()}
            | {
                "GITHUB_ACTIONS": "true",
                "GITHUB_WORKSPACE": str(self.workspace),
                "GITHUB_REPOSITORY": f"{OWNER}/app",
                "GITHUB_REPOSITORY_OWNER": OWNER,
                "GITHUB_WORKFLOW": "Demo",
                "GITHUB_RUN_ID": "1",
            }
        )
        started = time.monotonic()
        status, log = self.start(environment)
        return Finished(
            status=status,
            log=log.splitlines(),
            outputs=read_outputs(files["GITHUB_OUTPUT"].read_text(encoding="utf-8")),
            summary=files["GITHUB_STEP_SUMMARY"].read_text(encoding="utf-8"),
            seconds=time.monotonic() - started,
        )

    def start(self, environment: dict[str, str]) -> tuple[int, str]:
        """Start the program, and wait for its end; gives its exit status and all that it printed."""
        done = subprocess.run(
            [sys.executable, "-I", str(ROOT / "entrypoint.py")],
            check=False,
            cwd=self.workspace,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )
        return done.returncode, done.stdout


def read_outputs(text: str) -> dict[str, str]:
    """Read the file ``GITHUB_OUTPUT``: ``name<<DELIMITER``, the value, the delimiter."""
    found = re.finditer(r"^(?P<name>[\w-]+)<<(?P<end>.+)\n(?P<value>(?:.*\n)*?)(?P=end)$", text, re.MULTILINE)
    return {each["name"]: each["value"].removesuffix("\n") for each in found}


def active(simulator: Simulator) -> Active:
    """Everything that is there: package, version, tags."""
    return {
        (package.type, package.name, version.id, version.name, tuple(sorted(version.tags)))
        for package in simulator.packages(OWNER)
        for version in package.active()
    }


def torn(simulator: Simulator) -> list[str]:
    """Indexes that are there and miss a part, seen by the simulator itself."""
    found = []
    for package in simulator.packages(OWNER):
        there = {version.name for version in package.active()}
        for digest in sorted(there & package.manifests.keys()):
            parts = json.loads(package.manifests[digest][0]).get("manifests", ())
            found += [digest for part in parts if part["digest"] not in there]
    return found


def heading(number: int, text: str) -> None:
    """Begin a scene."""
    title = f"{number}. {text}"
    print(f"\n\033[1m{title}\033[0m" if COLOURS else f"\n{title}")


def show(*lines: str) -> None:
    """Print lines, none wider than the terminal."""
    for line in lines:
        text = f"   {line}".rstrip()
        print(text if len(text) <= COLUMNS else f"{text[: COLUMNS - 1]}…", flush=True)


def step(inputs: dict[str, str]) -> None:
    """Show a step of a workflow."""
    show("- uses: OWNER/package-keeper@v0", "  with:")
    show(*(f"    {name}: {json.dumps(text) if text == '*' else text}" for name, text in inputs.items()))
    show("")


def check(holds: object, what: str) -> None:
    """Stop the demo when the program did something else than announced."""
    if not holds:
        raise DemoFailed(what)


def per_package(before: Active, versions: list[dict[str, Any]], verb: str) -> None:
    """Show, for each package, how many versions there are and how many go."""
    there = Counter(f"{kind}/{name}" for kind, name, *_ in before)
    going = Counter(f"{each['package-type']}/{each['package']}" for each in versions)
    width = max(map(len, there))
    for package, number in sorted(there.items()):
        gone = round(20 * going[package] / number)
        bar = "█" * (20 - gone) + "░" * gone
        show(f"{package:<{width}}  {number:>3} versions  {bar}  {going[package] or 'none':>4} {verb}")


def requests_since(simulator: Simulator) -> str:
    """Say what was sent to GitHub since last asked."""
    writes = len(simulator.writes)
    reads = len(simulator.requests) - writes
    simulator.forget_requests()
    return f"{reads} requests that read, {writes} that write"


def image_that_went(deleted: Finished) -> list[dict[str, Any]]:
    """An image of several versions out of what was deleted, the root first."""
    went = [each for each in deleted.versions if each["outcome"] == "done"]
    root = next((each["root"] for each in went if each["reason"] == "part-of"), "none")
    return [each for each in went if root in (each["name"], each.get("root"))]


def verify(runner: Runner) -> dict[str, str]:
    """Let the program look whether every image is whole, and give the outputs."""
    verified = runner.run(operation="verify", package="*")
    check(verified.status == 0 and verified.outputs["broken-count"] == "0", "the program says that images are broken")
    return verified.outputs


def play(simulator: Simulator, runner: Runner) -> None:
    """Play all scenes."""
    before = active(simulator)

    heading(1, f"What does {OWNER} have? Packages of all six types")
    listed = runner.run(operation="list", package_type=TYPES)
    check(listed.status == 0, f"the list ended with status {listed.status}")
    show(*listed.lines("package ", *(f"{each}/" for each in TYPES.split(", ")), "done"))
    requests_since(simulator)

    heading(2, "Dry run: nothing older than 30 days, but the 3 newest and all releases stay")
    step(CLEAN_UP)
    planned = runner.run(**CLEAN_UP)
    check(planned.outputs.get("result") == "planned", f"the dry run ended with {planned.outputs.get('result')}")
    check(active(simulator) == before and not simulator.writes, "the dry run changed something")
    per_package(before, planned.versions, "would go")
    show("", *planned.lines("planned:", "notice:"), f"{requests_since(simulator)}; {planned.seconds:.1f} s")

    heading(3, "The same with `dry-run: false`")
    deleted = runner.run(**CLEAN_UP, dry_run="false")
    check(deleted.status == 0, f"the deletion ended with status {deleted.status}")
    gone = {each["id"] for each in deleted.versions if each["outcome"] == "done"}
    left = active(simulator)
    check(gone and left == {each for each in before if each[2] not in gone}, "something else was deleted than reported")
    show(*(line for line in deleted.lines("warning:") if "(id " in line))
    show(*deleted.lines("done:"), f"{requests_since(simulator)}; {deleted.seconds:.1f} s")

    heading(4, "Container images go with all their parts, and those that stay are whole: `operation: verify`")
    check(not torn(simulator), f"{len(torn(simulator))} images that stay lost a part")
    image = image_that_went(deleted)
    check(len(image) > 2, "no image of several versions went")
    for each in image:
        show(f"{each['name'][:19]}  {', '.join(each['tags']):<6} {each['decision']}  {each['reason']}")
    verified = verify(runner)
    show("", f"{verified['selected-count']} images looked at, {verified['broken-count']} broken")
    requests_since(simulator)

    receipt = deleted.outputs["receipt"]
    lines = (runner.workspace / receipt).read_text(encoding="utf-8").splitlines()
    heading(5, f"The receipt, {receipt}: {len(lines)} lines, two for each request, the first before it is sent")
    for line in lines[:2]:
        entry = json.loads(line)
        words = ("seq", "outcome", "action", "package-type", "package", "name")
        show(json.dumps({name: entry[name] for name in words}).replace("}", ", …}"))

    heading(6, "The job summary, its beginning")
    show(*[line for line in deleted.summary.splitlines() if line.strip("> ")][:10])

    heading(7, "All back: `operation: restore` with the receipt")
    undo = {"operation": "restore", "undo": receipt, "dry-run": "false"}
    step(undo)
    restored = runner.run(**undo)
    check(restored.status == 0, f"the undo ended with status {restored.status}")
    show(*restored.lines("done:"), f"{requests_since(simulator)}; {restored.seconds:.1f} s")
    missing, more = before - active(simulator), active(simulator) - before
    check(not missing and not more, f"{len(missing)} versions are missing or changed, {len(more)} are new or changed")
    images = verify(runner)["selected-count"]
    show("", f"✔ All {len(before)} versions are there again, with their tags; {images} images are whole.")


def main() -> int:
    """Play the demo; 1 when it does not end as it should."""
    started = time.monotonic()
    print("Package Keeper on a simulated GitHub: the real program, made-up packages, no token, no network")
    with Simulator(validate=False) as simulator, tempfile.TemporaryDirectory(prefix="package-keeper-demo-") as folder:
        SCENARIOS["demo"](simulator)
        try:
            play(simulator, Runner(simulator, Path(folder)))
        except DemoFailed as failed:
            print(f"\n✘ {failed}", file=sys.stderr)
            return 1
        for problem in simulator.errors:
            print(f"\n✘ the simulator failed:\n{problem}", file=sys.stderr)
        if simulator.errors:
            return 1
    print(f"\n{time.monotonic() - started:.0f} s. Try it on your packages: README.md, “Quick start”.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
