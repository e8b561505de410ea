"""Starts the image as the runner of GitHub Actions does, in a workspace that means no good.

What the real runner does is in actions/runner, `ContainerActionHandler.cs`: one `docker run` with the working
directory, the mounts and the environment below, and every declared input as INPUT_NAME, empty when unset.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.container.building import Engine

ROOT = Path(__file__).resolve().parent.parent.parent
TOKEN = "ghp_containertests0000000000000000000000"
RUNTIME_TOKEN = "runtime-token-of-the-runner"
OWNER = "acme"
# the user that owns the files of a hosted runner
RUNNER_USER = 1001
DOCKER_SOCKET = Path("/var/run/docker.sock")

# what a hostile or unlucky workspace may hold, named like our modules, our dependencies', the standard
# library's, and the hooks of Python itself
SHADOWS = (
    "package_keeper/__init__.py",
    "package_keeper/main.py",
    "src/package_keeper/__init__.py",
    "entrypoint.py",
    "actions_toolkit/__init__.py",
    "github/__init__.py",
    "isodate/__init__.py",
    "json.py",
    "msgspec.py",
    "re.py",
    "re2/__init__.py",
    "requests.py",
    "signal.py",
    "sitecustomize.py",
    "typing.py",
    "urllib3/__init__.py",
    "usercustomize.py",
)
TAKEN_IN = "taken-in"


@dataclass(frozen=True, kw_only=True)
class Finished:
    """What a run left behind."""

    status: int
    log: str
    outputs: dict[str, str]
    summary: str


@dataclass
class Runner:
    """One job's machine: its folders, and the environment of its workflow."""

    engine: Engine
    image: str
    api_url: str
    folder: Path
    env: dict[str, str] = field(default_factory=dict)
    python_options: tuple[str, ...] = ()
    """More options of Python, as `-v`; or `-c` and a program that starts what comes after it."""
    engine_options: tuple[str, ...] = ()
    """More options of the engine, as `--read-only`."""
    read_only: frozenset[str] = frozenset()
    """The folders that nobody may write to, as `workspace`."""
    name: str = ""
    """The name of the container that was started last."""

    def __post_init__(self) -> None:
        for name in ("workspace", "home", "workflow", "temp", "commands"):
            (self.folder / name).mkdir()
        (self.folder / "workflow" / "event.json").write_text("{}", encoding="ascii")
        for name in ("set_output", "step_summary", "set_env", "add_path", "save_state"):
            (self.folder / "commands" / name).touch()
        self._fill_workspace()
        if os.geteuid() == 0:
            for path in [self.workspace, *self.workspace.rglob("*")]:
                os.chown(path, RUNNER_USER, RUNNER_USER)

    @property
    def workspace(self) -> Path:
        return self.folder / "workspace"

    def put(self, name: str, text: str) -> None:
        """Write a file into the workspace, as the user of the runner."""
        path = self.workspace / name
        path.write_text(text, encoding="utf-8")
        shutil.chown(path, self.workspace.stat().st_uid, self.workspace.stat().st_gid)

    def _fill_workspace(self) -> None:
        marker = f"import os; open('/github/workspace/{TAKEN_IN}', 'a').write(__name__ + chr(10))\n"
        for name in SHADOWS:
            path = self.workspace / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(marker, encoding="ascii")
        (self.workspace / "hook.pth").write_text(marker, encoding="ascii")
        # an environment of Python, which `PYTHONEXECUTABLE` would choose
        (self.workspace / "pyvenv.cfg").write_text("home = /usr/local/bin\n", encoding="ascii")
        for version in range(11, 20):
            packages = self.workspace / "lib" / f"python3.{version}" / "site-packages"
            packages.mkdir(parents=True)
            (packages / "hook.pth").write_text(marker, encoding="ascii")
        for name in ("python", "python3", "sh", "env"):
            path = self.workspace / "bin" / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(f"#!/bin/sh\necho {name} >> /github/workspace/{TAKEN_IN}\n", encoding="ascii")
            path.chmod(0o755)
        (self.workspace / ".env").write_text("GH_TOKEN=from-a-file\nINPUT_DRY-RUN=false\n", encoding="ascii")
        (self.workspace / "pip.conf").write_text("[global]\nno-index = true\n", encoding="ascii")
        # `requests` would put this in place of the token
        netrc = self.folder / "home" / ".netrc"
        netrc.write_text("machine 127.0.0.1 login nobody password nothing\n", encoding="ascii")
        netrc.chmod(0o600)

    def environment(self, inputs: dict[str, str]) -> dict[str, str]:
        return {
            **self._inputs(inputs),
            "HOME": "/github/home",
            "CI": "true",
            "GITHUB_ACTION": "__acme_package-keeper",
            "GITHUB_ACTION_REF": "v1",
            "GITHUB_ACTION_REPOSITORY": "acme/package-keeper",
            "GITHUB_ACTIONS": "true",
            "GITHUB_ACTOR": "octocat",
            "GITHUB_API_URL": self.api_url,
            "GITHUB_BASE_REF": "",
            "GITHUB_ENV": "/github/file_commands/set_env",
            "GITHUB_EVENT_NAME": "schedule",
            "GITHUB_EVENT_PATH": "/github/workflow/event.json",
            "GITHUB_GRAPHQL_URL": f"{self.api_url}/graphql",
            "GITHUB_HEAD_REF": "",
            "GITHUB_JOB": "clean",
            "GITHUB_OUTPUT": "/github/file_commands/set_output",
            "GITHUB_PATH": "/github/file_commands/add_path",
            "GITHUB_REF": "refs/heads/main",
            "GITHUB_REF_NAME": "main",
            "GITHUB_REF_TYPE": "branch",
            "GITHUB_REPOSITORY": f"{OWNER}/app",
            "GITHUB_REPOSITORY_ID": "42",
            "GITHUB_REPOSITORY_OWNER": OWNER,
            "GITHUB_RETENTION_DAYS": "90",
            "GITHUB_RUN_ATTEMPT": "1",
            "GITHUB_RUN_ID": "1234567890",
            "GITHUB_RUN_NUMBER": "7",
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_SHA": "0" * 40,
            "GITHUB_STATE": "/github/file_commands/save_state",
            "GITHUB_STEP_SUMMARY": "/github/file_commands/step_summary",
            "GITHUB_TRIGGERING_ACTOR": "octocat",
            "GITHUB_WORKFLOW": "Clean",
            "GITHUB_WORKSPACE": "/github/workspace",
            "RUNNER_ARCH": "X64",
            "RUNNER_ENVIRONMENT": "github-hosted",
            "RUNNER_NAME": "runner 1",
            "RUNNER_OS": "Linux",
            "RUNNER_TEMP": "/github/runner_temp",
            "RUNNER_TOOL_CACHE": "/opt/hostedtoolcache",
            "ACTIONS_CACHE_URL": "http://127.0.0.1:9/",
            "ACTIONS_RESULTS_URL": "http://127.0.0.1:9/",
            "ACTIONS_RUNTIME_TOKEN": RUNTIME_TOKEN,
            "ACTIONS_RUNTIME_URL": "http://127.0.0.1:9/",
            # what the `env:` of a workflow can set, and should not matter
            "PATH": "/github/workspace/bin:/github/workspace",
            "PYTHONEXECUTABLE": "/github/workspace/bin/python",
            "__PYVENV_LAUNCHER__": "/github/workspace/bin/python",
            "PYTHONHOME": "/github/workspace",
            "PYTHONPATH": "/github/workspace:/github/workspace/src",
            "PYTHONSTARTUP": "/github/workspace/sitecustomize.py",
            **self.env,
        }

    def _inputs(self, given: dict[str, str]) -> dict[str, str]:
        """Every declared input with its default, as the runner has evaluated it; what is given wins.

        Inputs that are not declared are passed on too: the runner warns about them, and no more.
        """
        declared: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))["inputs"]
        expressions = {
            "github.api_url": self.api_url,
            "github.repository_owner": OWNER,
            "github.token": TOKEN,
        }

        def evaluated(default: str) -> str:
            return re.sub(r"\$\{\{ *(.*?) *\}\}", lambda found: expressions[found[1]], default)

        values = {name: evaluated(str(entry.get("default", ""))) for name, entry in declared.items()} | given
        return {f"INPUT_{name.replace(' ', '_').upper()}": value for name, value in values.items()}

    def start(self, **inputs: str) -> subprocess.Popen[str]:
        """Begin a run; an underscore in the name of an argument is a hyphen in that of the input."""
        given = {name.replace("_", "-"): value for name, value in inputs.items()}
        mounts = {
            "temp": "/github/runner_temp",
            "commands": "/github/file_commands",
            "home": "/github/home",
            "workflow": "/github/workflow",
            "workspace": "/github/workspace",
        }
        self.name = f"package-keeper-{uuid.uuid4().hex}"
        command = [self.engine.name, "run", "--rm", "--name", self.name]
        # the runner gives a network of its own; here the simulator is on the loopback device
        command += ["--network", "host", "--workdir", "/github/workspace"]
        for name, value in self.environment(given).items():
            command += ["-e", f"{name}={value}"]
        if DOCKER_SOCKET.exists():
            command += ["-v", f"{DOCKER_SOCKET}:{DOCKER_SOCKET}"]
        for name, place in mounts.items():
            command += ["-v", f"{self.folder / name}:{place}" + (":ro" if name in self.read_only else "")]
        command += self.engine_options
        return subprocess.Popen(
            [*command, *self._image()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def _image(self) -> list[str]:
        """The image; where Python gets more options, with its own entry point, which is then spelt out."""
        if not self.python_options:
            return [self.image]
        entry: list[str] = self.engine.inspect(self.image)["Config"]["Entrypoint"]
        place = entry.index("-I")
        return ["--entrypoint", entry[0], self.image, *entry[1:place], *self.python_options, *entry[place:]]

    def finish(self, process: subprocess.Popen[str], timeout: float = 120) -> Finished:
        """Wait for the end of a run, and hold it against what is true of every run."""
        try:
            log, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        # pytest shows it when the test fails
        print(log)
        assert not (self.workspace / TAKEN_IN).exists(), (self.workspace / TAKEN_IN).read_text("ascii")
        # with `-v` Python writes to the same stream at the same time, so that the command may follow on its line
        masks = "::add-mask::.*" if self.python_options else "(?m)^::add-mask::.*"
        assert TOKEN not in re.sub(masks, "", log)
        assert RUNTIME_TOKEN not in log
        for name in ("set_env", "add_path", "save_state"):
            assert (self.folder / "commands" / name).read_text("utf-8") == ""
        here = self.workspace.stat()
        for path in self.workspace.rglob("*"):
            assert (path.stat().st_uid, path.stat().st_gid) == (here.st_uid, here.st_gid), path
        return Finished(
            status=process.returncode,
            log=log,
            outputs=heredocs((self.folder / "commands" / "set_output").read_text("utf-8")),
            summary=(self.folder / "commands" / "step_summary").read_text("utf-8"),
        )

    def run(self, **inputs: str) -> Finished:
        return self.finish(self.start(**inputs))


def heredocs(text: str) -> dict[str, str]:
    """Read a file of outputs, in the only form that no value can break: name<<END, the value, END."""
    found: dict[str, str] = {}
    lines = iter(text.removesuffix("\n").split("\n") if text else [])
    for line in lines:
        name, separator, delimiter = line.partition("<<")
        assert separator, f"no heredoc: {line!r}"
        value: list[str] = []
        for inner in lines:
            if inner == delimiter:
                break
            value.append(inner)
        else:
            raise AssertionError(f"{name} has no end")
        found[name] = "\n".join(value)
    return found
