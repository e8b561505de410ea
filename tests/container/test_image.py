"""The image itself: what is in it, how it starts, and that it needs nothing but what a run was asked to write."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.benchmarks import worlds
from tests.benchmarks.server import Serving, World
from tests.container.building import BUILT, Engine, base, compressed_size
from tests.container.runner import OWNER, TOKEN, Finished, Runner
from tests.simulator import push_image

if TYPE_CHECKING:
    from tests.simulator import Package, Simulator

pytestmark = pytest.mark.container

OLD = "2024-01-01T00:00:00Z"
MOST = 8_000_000
"""Bytes of our layers, compressed."""
DELETE = {"operation": "delete", "package": "app", "tags": "pr-*"}
GONE = {"operation": "delete", "package": "app", "gone": "pr-{pull-request}"}


@pytest.fixture
def app(simulator: Simulator) -> Package:
    """Images of two pull requests, of which the first is closed, and of a release."""
    simulator.add_owner(OWNER)
    simulator.add_token(TOKEN, kind="actions")
    repository = simulator.add_repository(OWNER, "app")
    repository.add_pull(1, "topic")
    repository.add_pull(2, "other", state="open", merged=False)
    package = simulator.add_package(OWNER, "container", "app", repository="app")
    for tag in ("pr-1", "pr-2", "v1"):
        push_image(package, tag, platforms=["linux/amd64", "linux/arm64"], created_at=OLD)
    return package


def run(runner: Runner, simulator: Simulator, **inputs: str) -> Finished:
    return runner.run(registry_url=simulator.url, **inputs)


def test_it_adds_little_to_its_base(engine: Engine, image: str) -> None:
    assert compressed_size(engine, image, base()) < MOST


def test_two_builds_are_the_same_image(engine: Engine, image: str) -> None:
    """As tools/release.py builds it."""
    if image != BUILT or engine.name != "podman":
        pytest.skip("releases are built by Podman, and compared by tools/release.py")
    tags = [f"{BUILT}-{number}" for number in (1, 2)]
    ids = [engine.build(tag, "--no-cache", "--timestamp=0") for tag in tags]
    engine.run("image", "rm", *tags)
    assert ids[0] == ids[1]


STARTS = {
    "list": {"operation": "list", "package": "app", "tags": "*"},
    "delete": DELETE | {"older_than": "P1M", "where": "id > 0"},
    "write": DELETE | {"dry_run": "false", "output_file": "result.json", "plan_out": "plan.json"},
    "policy": {"operation": "delete", "policy": "policy.yml"},
    "gone": GONE,
    "bad-inputs": {"operation": "delete", "package": "app", "tags": "/(/"},
}
POLICY = "version: 1\npackages: [app]\nrules:\n  - {name: old, match: {tags: pr-*}, delete: {older-than: 1d}}\n"


@pytest.mark.parametrize("inputs", STARTS.values(), ids=STARTS)
def test_no_module_is_compiled(runner: Runner, simulator: Simulator, app: Package, inputs: dict[str, str]) -> None:
    runner.put("policy.yml", POLICY)
    runner.python_options = ("-v",)
    finished = run(runner, simulator, **inputs)
    assert finished.status == (2 if inputs is STARTS["bad-inputs"] else 0)
    # Python puts the path of bytecode in quotes, and that of a source without; other output may stand within a line
    assert len(re.findall(r"# code object from '/", finished.log)) > 100
    assert re.findall(r"# code object from (/\S+)", finished.log) == []


def test_gone_asks_the_repository(runner: Runner, simulator: Simulator, app: Package) -> None:
    finished = run(runner, simulator, **GONE, dry_run="false")
    assert finished.status == 0
    assert finished.outputs["result"] == "done"
    assert sorted(app.tags()) == ["pr-2", "v1"]


def unwritable(engine: Engine) -> tuple[str, ...]:
    """Options with which nothing in a container can be written."""
    return ("--read-only", "--read-only-tmpfs=false") if engine.name == "podman" else ("--read-only",)


READ_ONLY = [
    {"operation": "list", "package": "app", "tags": "pr-*"},
    {"operation": "list", "query": "SELECT name FROM packages", "package": "app"},
    {"operation": "verify", "package": "app"},
    DELETE,
    GONE,
    DELETE | {"manifest_cache": "cache"},
]


@pytest.mark.parametrize("inputs", READ_ONLY, ids=["list", "query", "verify", "delete", "gone", "cache"])
def test_a_run_that_writes_nothing_needs_nothing_to_be_writable(
    runner: Runner, simulator: Simulator, app: Package, inputs: dict[str, str]
) -> None:
    runner.read_only = frozenset({"workspace", "home", "temp", "workflow"})
    runner.engine_options = unwritable(runner.engine)
    finished = run(runner, simulator, **inputs)
    assert finished.status == 0
    assert finished.outputs["result"] in ("done", "planned", "nothing-to-do")
    assert simulator.writes == []


def test_explain_needs_nothing_to_be_writable(engine: Engine, image: str, simulator: Simulator, app: Package) -> None:
    """The command line in the image: `explain` is no operation of the Action."""
    options = ["--rm", "--network=host", f"--env=GH_TOKEN={TOKEN}", "--workdir=/", *unwritable(engine)]
    hosts = [f"--api-url={simulator.url}", f"--registry-url={simulator.url}"]
    explain = ["explain", f"--owner={OWNER}", f"--package={app.name}", "--tags=pr-*", "--format=json"]
    shown = json.loads(engine.run("run", *options, image, *explain, *hosts))
    decided = {each["tags"][0]: each["decision"] for each in shown["versions"] if each["tags"]}
    assert decided == {"pr-1": "delete", "pr-2": "delete", "v1": "keep"}
    assert simulator.writes == []


@pytest.mark.parametrize("inputs", [DELETE | {"plan_out": "plan.json"}, DELETE | {"dry_run": "false"}])
def test_a_file_that_cannot_be_written_is_told_before_anything_is_done(
    runner: Runner, simulator: Simulator, app: Package, inputs: dict[str, str]
) -> None:
    runner.read_only = frozenset({"workspace"})
    finished = run(runner, simulator, **inputs)
    assert finished.status == 2
    assert "cannot be written there" in finished.log
    assert simulator.requests == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_cancelled_while_it_starts_tells_so(
    runner: Runner, simulator: Simulator, app: Package, number: signal.Signals
) -> None:
    """As soon as the engine says that it runs; wherever it is then, it must not go on."""
    ended = threading.Event()

    def hold(*_: object) -> None:
        ended.wait(60)

    simulator.on("GET", "/versions", hold)
    process = runner.start(**DELETE, dry_run="false", registry_url=simulator.url)
    wait_until_running(runner, process)
    runner.engine.run("kill", "--signal", number.name, runner.name)
    finished = runner.finish(process)
    ended.set()
    assert finished.status == 130
    assert finished.outputs["result"] == "cancelled"
    assert "Cancelled" in finished.summary
    assert simulator.writes == []
    assert len(app.tags()) == 3


def wait_until_running(runner: Runner, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    command = [runner.engine.name, "inspect", "--format", "{{.State.Running}}", runner.name]
    while subprocess.run(command, check=False, capture_output=True, text=True).stdout.strip() != "true":
        assert process.poll() is None
        assert time.monotonic() < deadline


VERSIONS, MOST_MEMORY = 100_000, 512
"""MB at the peak."""
WATCHING = """
import os, sys
number = os.posix_spawn(sys.executable, [sys.executable, *sys.argv[1:]], os.environ)
_, status, usage = os.wait4(number, 0)
print("peak", usage.ru_maxrss // 1024)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def test_a_large_package_takes_little_memory(engine: Engine, image: str, tmp_path: Path) -> None:
    with Serving(World(kind="many", images=VERSIONS // 5, limited=False), tmp_path / "cache") as serving:
        runner = Runner(engine, image, api_url=serving.url, folder=tmp_path)
        (tmp_path / "cache").rename(runner.workspace / "cache")
        for path in [runner.workspace / "cache", *(runner.workspace / "cache").rglob("*")]:
            shutil.chown(path, runner.workspace.stat().st_uid, runner.workspace.stat().st_gid)
        # the options of the image's own entry point come after it
        runner.python_options = ("-I", "-c", WATCHING)
        inputs = {"token": worlds.TOKEN, "owner": worlds.OWNER, "registry_url": serving.url, "manifest_cache": "cache"}
        finished = runner.run(operation="delete", package="app", tags="nightly-*", keep_latest="1000", **inputs)
    assert finished.status == 0
    assert int(finished.outputs["planned-count"]) > VERSIONS / 2
    (peak,) = re.findall(r"^peak (\d+)$", finished.log, re.MULTILINE)
    assert int(peak) < MOST_MEMORY


def test_labels_name_where_it_comes_from(engine: Engine, image: str) -> None:
    labels = engine.inspect(image)["Config"]["Labels"]
    prefix = "org.opencontainers.image."
    assert {f"{prefix}{name}" for name in ("source", "revision", "version", "licenses")} <= labels.keys()
    printed = engine.run("run", "--rm", image, "--version")
    assert printed == f"package-keeper {labels[f'{prefix}version']}\n"
    assert labels[f"{prefix}source"].startswith("https://github.com/")


def test_it_sets_neither_user_nor_folder(engine: Engine, image: str) -> None:
    config = engine.inspect(image)["Config"]
    assert config.get("User", "") == ""
    assert config.get("WorkingDir", "") in ("", "/")
    assert json.dumps(config["Entrypoint"]).startswith('["/usr/bin/env"')
    assert Path(config["Entrypoint"][-1]).is_absolute()
