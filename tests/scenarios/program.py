"""The real program, started as its users start it: by the Actions runner, or on a command line."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from package_keeper.inputs.definitions import INPUTS
from tests.program.forked import Forked
from tests.simulator import Simulator

ROOT = Path(__file__).resolve().parents[2]
ENTRYPOINT = ROOT / "entrypoint.py"
SCALED = ROOT / "tests" / "benchmarks" / "scaled.py"
"""The Action in the time of a simulator; its arguments are what `time_of` gives."""
COMMANDS = ("add-mask", "error", "warning", "notice", "group", "endgroup", "debug")
SECONDS = 90


@dataclass(frozen=True, kw_only=True)
class Ended:
    """What a run left behind."""

    status: int
    stdout: str
    stderr: str
    outputs: dict[str, str]
    summary: str
    workspace: Path
    annotations: dict[str, list[str]] = field(default_factory=dict)

    @property
    def document(self) -> dict[str, Any]:
        """The whole result, from `output-file` or as `--format json` prints it; empty where there is neither."""
        text = ""
        if file := self.outputs.get("file"):
            text = (self.workspace / file).read_text(encoding="utf-8")
        elif self.stdout.startswith('{"schema":'):
            text = self.stdout
        found: dict[str, Any] = json.loads(text or "{}")
        return found

    def array(self, name: str) -> list[dict[str, Any]]:
        """Decode an output that is a JSON array; a command line has it in its document."""
        found = json.loads(self.outputs[name]) if self.outputs else self.document[name]
        if not isinstance(found, list):
            raise TypeError(f"{name} is no array")
        return found

    def count(self, name: str) -> int:
        """Read an output that is a number."""
        return int(self.outputs[f"{name}-count"] if self.outputs else self.document[f"{name}-count"])

    @property
    def said(self) -> str:
        """Everything that was printed."""
        return self.stdout + self.stderr


@dataclass(kw_only=True)
class Place:
    """A machine to run on: a workspace and the files of the runner."""

    workspace: Path
    runner: Path

    @classmethod
    def below(cls, folder: Path) -> Place:
        """Make both folders."""
        place = cls(workspace=folder / "workspace", runner=folder / "runner")
        place.workspace.mkdir(parents=True)
        place.runner.mkdir()
        return place

    def output_file(self) -> Path:
        """The file of the step's outputs."""
        return self.runner / "output"

    def summary_file(self) -> Path:
        """The file of the step's summary."""
        return self.runner / "summary"

    def action_environment(self, inputs: Mapping[str, str], extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """Build the environment in which the runner starts a container action: every input is there."""
        given = {f"INPUT_{definition.name.upper()}": "" for definition in INPUTS}
        given |= {f"INPUT_{name.upper()}": text for name, text in inputs.items()}
        return self._common() | {
            **given,
            "GITHUB_ACTIONS": "true",
            "GITHUB_WORKSPACE": str(self.workspace),
            "GITHUB_OUTPUT": str(self.output_file()),
            "GITHUB_STEP_SUMMARY": str(self.summary_file()),
            "GITHUB_REPOSITORY": "acme/clean",
            "GITHUB_REPOSITORY_OWNER": "acme",
            "GITHUB_RUN_ID": "4711",
            "GITHUB_RUN_ATTEMPT": "1",
            "GITHUB_WORKFLOW": "Clean 🧹",
            "GITHUB_JOB": "clean",
            "GITHUB_ACTOR": "octocat",
            **(extra or {}),
        }

    def terminal_environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """Build the environment of a command line."""
        return self._common() | dict(extra or {})

    def _common(self) -> dict[str, str]:
        # what measures coverage in the processes that tests start speaks through the environment
        passed = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}
        return passed | {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(self.runner)}

    def start(
        self, arguments: Sequence[str], environment: Mapping[str, str], program: Path = ENTRYPOINT
    ) -> subprocess.Popen[str]:
        """Start the program, isolated, in the workspace; the files of the runner are empty again."""
        self.empty_files()
        return subprocess.Popen(
            [sys.executable, "-I", str(program), *arguments],
            cwd=self.workspace,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def run(self, arguments: Sequence[str], environment: Mapping[str, str], program: Path = ENTRYPOINT) -> Ended:
        """Run the program to its end, in a process of its own that is forked where all of it is imported."""
        self.empty_files()
        return self.end(Forked(program, arguments, self.workspace, environment))

    def empty_files(self) -> None:
        """Empty the files of the runner, as it does before each step."""
        self.output_file().write_text("", encoding="utf-8")
        self.summary_file().write_text("", encoding="utf-8")

    def end(self, process: subprocess.Popen[str]) -> Ended:
        """Wait for the program's end, and read what it left."""
        try:
            stdout, stderr = process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise
        return Ended(
            status=process.returncode,
            stdout=stdout,
            stderr=stderr,
            outputs=read_outputs(self.output_file().read_text(encoding="utf-8")),
            summary=self.summary_file().read_text(encoding="utf-8"),
            workspace=self.workspace,
            annotations=said_by_kind(stdout, stderr),
        )


def time_of(simulator: Simulator) -> list[str]:
    """The arguments with which `SCALED` lives in the time of a simulator, which tells it to its clients."""
    clock = simulator.clock
    clock.shared = True
    now = clock.now()
    return [str(clock.time_scale), str(clock.moment(now)), now.isoformat()]


def read_outputs(text: str) -> dict[str, str]:
    """Read a file of outputs as the runner does: `name<<DELIMITER`, lines, `DELIMITER`."""
    found: dict[str, str] = {}
    lines = iter(text.split("\n"))
    for line in lines:
        if not line:
            continue
        name, arrows, delimiter = line.partition("<<")
        if not arrows or not delimiter:
            raise ValueError(f"not the beginning of an output: {line!r}")
        taken: list[str] = []
        for more in lines:
            if more == delimiter:
                break
            taken.append(more)
        else:
            raise ValueError(f"the output {name} does not end")
        found[name] = "\n".join(taken)
    return found


def said_by_kind(stdout: str, stderr: str) -> dict[str, list[str]]:
    """Collect errors, warnings and notices: commands of the runner, and lines of a terminal."""
    found: dict[str, list[str]] = {"error": [], "warning": [], "notice": []}
    for line in (*stdout.splitlines(), *stderr.splitlines()):
        for kind, texts in found.items():
            if command := re.match(rf"::{kind}(?: [^:]*)?::|{kind}: ", line):
                texts.append(decoded(line[command.end() :]))
    return found


def decoded(data: str) -> str:
    """Undo the escapes of a workflow command."""
    return data.replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%")


def receipt_lines(path: Path) -> list[dict[str, Any]]:
    """Read a receipt."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
