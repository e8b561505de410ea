"""Carries out a workflow as the Actions runner does, on a simulated GitHub.

Steps that use this action run the real program. What other actions do to files is imitated: a checkout puts the files
there that the test declares, artifacts and caches go from one run to the next. A `run:` step with `shell: python` is
carried out, with the declared commands on its PATH. Any other writes the declared files that its script names, and does
nothing else. A step that uses any other action is an error, unless `WITHOUT_EFFECT` names it.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.examples.commands import path_with
from tests.examples.expressions import Expressions, text_of
from tests.scenarios.expectations import check_always
from tests.scenarios.program import ENTRYPOINT, ROOT, Ended, Place
from tests.scenarios.world import World

EXAMPLES = ROOT / "examples"
THIS_ACTION = "OWNER/package-keeper@v0"
WITHOUT_EFFECT = ("actions/cache@v6", "actions/setup-java@v5")
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
SERVER = "https://github.example.com/api/v3"
"""The Enterprise server of the examples; the simulator stands in for it, and for its registry."""
SERVER_REGISTRY = "https://containers.github.example.com"
JOB_TOKEN = "tok-of-the-job"
SECRET = "tok-of-a-secret"
PERMISSIONS = {
    "artifact-metadata": "artifact_metadata",
    "contents": "contents",
    "pull-requests": "pull_requests",
    "issues": "issues",
}


@dataclass(frozen=True, kw_only=True)
class Event:
    """What starts a workflow."""

    name: str
    inputs: Mapping[str, str] = field(default_factory=dict)
    """What a person fills in for `workflow_dispatch`; the rest has its default."""
    pull_request: str = ""
    """The number of the pull request that was closed."""
    fork: bool = False
    """Whether it came from a fork."""


@dataclass(kw_only=True)
class Runner:
    """All runs of the workflows of one repository, `acme/app`."""

    world: World
    address: str
    """Where the simulator is reached."""
    folder: Path
    owner: str = "acme"
    checkout: Mapping[str, str] = field(default_factory=dict)
    """The files of the repository."""
    made: Mapping[str, str] = field(default_factory=dict)
    """The files that `run:` steps write."""
    commands: Mapping[str, str] = field(default_factory=dict)
    """What programs of others print, by their command line."""
    caches: dict[str, dict[str, bytes]] = field(default_factory=dict)
    """The files of each cache by its key, the newest last."""
    artifacts: dict[str, dict[str, bytes]] = field(default_factory=dict)
    """The newest artifact of each name."""
    uploaded: set[str] = field(default_factory=set)
    """The names of the artifacts of the present run."""
    machines: int = 0
    workflow_runs: int = 0

    def run(self, workflow: Path, event: Event) -> list[Ended]:
        """Carry out a workflow; gives what each step that uses this action left, in order."""
        content = yaml.safe_load(workflow.read_text(encoding="utf-8"))
        triggers = content[True]  # YAML 1.1 reads the key `on` as a boolean
        # a trigger alone is a text
        triggers = {triggers: None} if isinstance(triggers, str) else triggers
        assert event.name in triggers, f"{workflow.name} does not start on {event.name}"
        contexts: dict[str, Any] = {
            "github": self._github(event),
            "inputs": _filled_in((triggers.get("workflow_dispatch") or {}).get("inputs") or {}, event),
            "secrets": {"PACKAGES_TOKEN": SECRET, "SERVER_TOKEN": SECRET},
            "needs": {},
        }
        ended: list[Ended] = []
        self.workflow_runs += 1
        self.uploaded.clear()
        for name, job in content["jobs"].items():
            if "if" in job and not Expressions(contexts).holds(job["if"]):
                continue
            outputs: Mapping[str, str] = {}
            for number, entry in enumerate(_matrix(job, contexts)):
                one = contexts | {"matrix": entry, "strategy": {"job-index": number}, "steps": {}}
                outputs = self._job(job, one, ended)
            contexts["needs"][name] = {"outputs": outputs, "result": "success"}
        return ended

    def _github(self, event: Event) -> dict[str, Any]:
        repository = {"name": "app", "full_name": f"{self.owner}/app"}
        # GitHub leaves the repository out of some events of a schedule
        told: dict[str, Any] = {} if event.name == "schedule" else {"repository": repository}
        if event.pull_request:
            head = {"repo": {"full_name": "stranger/app" if event.fork else repository["full_name"]}}
            told["pull_request"] = {"number": int(event.pull_request), "head": head}
        return {
            "event_name": event.name,
            "event": told,
            "repository": repository["full_name"],
            "repository_owner": self.owner,
            "token": JOB_TOKEN,
            "api_url": self.world.api_url,
            "run_id": str(4711 + self.workflow_runs),
        }

    def _job(self, job: Mapping[str, Any], contexts: dict[str, Any], ended: list[Ended]) -> Mapping[str, str]:
        """Carry out a job on a machine of its own; gives its outputs."""
        self._give_token(job.get("permissions") or {})
        self.machines += 1
        place = Place.below(self.folder / str(self.machines))
        contexts["github"] = contexts["github"] | {"workspace": str(place.workspace)}
        failed = False
        for step in job["steps"]:
            expressions = Expressions(contexts, failed=failed)
            status, outputs, outcome = 0, dict.fromkeys(ACTION["outputs"], ""), "skipped"
            if expressions.holds(step.get("if", "success()")):
                given = {name: text_of(expressions.filled(value)) for name, value in (step.get("with") or {}).items()}
                if step.get("uses") == THIS_ACTION:
                    ended.append(done := self._ours(step, given, expressions, place))
                    status, outputs = done.status, done.outputs
                elif step.get("shell") == "python":
                    status, outputs = self._python(step["run"], place)
                else:
                    self._other(step, given, place)
                outcome = "failure" if status else "success"
            failed = failed or (status != 0 and not step.get("continue-on-error"))
            contexts["steps"][step.get("id", "")] = {"outputs": outputs, "outcome": outcome}
        expressions = Expressions(contexts, failed=failed)
        return {name: text_of(expressions.filled(value)) for name, value in (job.get("outputs") or {}).items()}

    def _give_token(self, permissions: Mapping[str, str]) -> None:
        """Give the job the token that its `permissions` ask for."""
        granted = [PERMISSIONS[name] for name in permissions if name in PERMISSIONS]
        tokens = self.world.simulator.tokens
        tokens.revoke(JOB_TOKEN)
        if "packages" in permissions:
            self.world.simulator.add_token(
                JOB_TOKEN,
                kind="actions",
                login="github-actions[bot]",
                permissions=granted,
                admin_on=None if permissions["packages"] == "write" else [],
            )

    def _ours(self, step: Mapping[str, Any], given: dict[str, str], expressions: Expressions, place: Place) -> Ended:
        world = self.world
        inputs = {name: text_of(expressions.filled(declared["default"])) for name, declared in ACTION["inputs"].items()}
        inputs |= given
        inputs["api-url"] = inputs["api-url"].replace(SERVER, f"{self.address}/api/v3")
        # no address of a registry can be derived from that of a simulator
        assert inputs["registry-url"] in ("", SERVER_REGISTRY)
        inputs["registry-url"] = self.address
        extra = {"GITHUB_REPOSITORY": f"{self.owner}/app", "GITHUB_REPOSITORY_OWNER": self.owner}
        extra |= {name: text_of(expressions.filled(value)) for name, value in (step.get("env") or {}).items()}
        environment = place.action_environment(inputs, extra)
        world.simulator.forget_requests()
        world.before = world.stored()
        if "REQUESTS_CA_BUNDLE" in extra:
            # a library reads it while it starts: a forked process has started already
            ended = place.end(place.start([], environment, ENTRYPOINT))
        else:
            ended = place.run([], environment)
        world.token = inputs["token"]
        check_always(world, ended, world.simulator.requests, action=True)
        return ended

    def _python(self, script: str, place: Place) -> tuple[int, dict[str, str]]:
        """Carry out a step with `shell: python`; gives its status and outputs."""
        place.empty_files()
        commands = {line: self.world.filled(text) for line, text in self.commands.items()}
        environment = {
            "PATH": path_with(commands, place.runner / "bin"),
            "GITHUB_OUTPUT": str(place.output_file()),
            "GITHUB_REPOSITORY_OWNER": self.owner,
        }
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=place.workspace, env=environment, timeout=60, check=False
        )
        lines = place.output_file().read_text(encoding="utf-8").splitlines()
        return done.returncode, dict(line.split("=", 1) for line in lines)

    def _other(self, step: Mapping[str, Any], given: Mapping[str, str], place: Place) -> None:
        """Imitate what a step of somebody else does to the workspace."""
        match step.get("uses"):
            case None:
                _write(place.workspace, {name: text for name, text in self.made.items() if name in step["run"]})
            case "actions/checkout@v7":
                _write(place.workspace, {name: self.world.filled(text) for name, text in self.checkout.items()})
            case "actions/cache/save@v6":
                self.caches.setdefault(given["key"], {given["path"]: (place.workspace / given["path"]).read_bytes()})
            case "actions/cache/restore@v6":
                keys = [key for key in self.caches if key.startswith(given["restore-keys"])]
                for name, content in self.caches[keys[-1]].items() if keys else ():
                    (place.workspace / name).write_bytes(content)
            case "actions/upload-artifact@v7":
                assert given["name"] not in self.uploaded, "the run has an artifact of this name"
                self.uploaded.add(given["name"])
                found = [file for name in given["path"].split() for file in place.workspace.glob(name)]
                assert found or given.get("if-no-files-found") == "ignore", "there is nothing to upload"
                self.artifacts[given["name"]] = {file.name: file.read_bytes() for file in found}
            case "actions/download-artifact@v8":
                for name, content in self.artifacts[given["name"]].items():
                    (place.workspace / name).write_bytes(content)
            case uses:
                assert uses in WITHOUT_EFFECT, f"these tests cannot imitate {uses}"


def _filled_in(declared: Mapping[str, Any], event: Event) -> dict[str, Any]:
    """The context `inputs`: nothing but on `workflow_dispatch`."""
    if event.name != "workflow_dispatch":
        return dict.fromkeys(declared)
    assert event.inputs.keys() <= declared.keys()
    filled: dict[str, Any] = {}
    for name, about in declared.items():
        assert "default" in about or name in event.inputs, f"nothing fills in the input {name}"
        value = event.inputs.get(name, about.get("default"))
        filled[name] = text_of(value) == "true" if about.get("type") == "boolean" else text_of(value)
    return filled


def _matrix(job: Mapping[str, Any], contexts: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The entries of a job's matrix; one without anything for a job that has none."""
    strategy = job.get("strategy")
    if not strategy:
        yield {}
        return
    matrix = Expressions(contexts).filled(strategy["matrix"])
    if "include" in matrix:
        yield from matrix["include"]
        return
    ((name, values),) = matrix.items()
    yield from ({name: value} for value in values)


def _write(workspace: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        file = workspace / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
