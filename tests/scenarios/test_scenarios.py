"""Every file here is one sentence of the public contract: a world, one or several runs, and what must come of them.

The real program runs as a process of its own against the simulated GitHub, through the Action's door, or with
`command` through the command line. How to write a case: `world.py` and `repositories.py` read the part `given`,
`expectations.py` the part `expect`, `files` and symbolic `links` are put into the workspace; texts may hold
`{id:NAME}`, `{digest:NAME}`, `{receipt}` (of the run before) and `{url}`.

The first case of each operation starts the program as its
users do; in all others it is forked where it is imported already (`tests/program`), which takes a tenth of the time.
With `scale: 60` a minute lasts a second, for the program and for GitHub: for cases in which the program waits.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from package_keeper.inputs.definitions import INPUTS_BY_NAME
from tests.scenarios.expectations import check, check_always
from tests.scenarios.program import SCALED, Place, time_of
from tests.scenarios.world import Tree, World, build, known
from tests.simulator import Simulator

HERE = Path(__file__).parent
CASES = {path.stem: path for path in HERE.glob("*.yaml")}


class _Loader(yaml.CSafeLoader):
    """Every scalar is the text that was written; a key that stands twice is an error."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - the library's own form

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = [key.value for key, _ in node.value]
        if len(names) != len(set(names)):
            raise ValueError(f"a key stands twice: {names}")
        return super().construct_mapping(node, deep=deep)


def load_texts(path: Path) -> Tree:
    """Read a YAML file in which every scalar is a text."""
    tree: Tree = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 - a safe loader
    return tree


def load(path: Path) -> Tree:
    """Read a case."""
    tree = load_texts(path)
    known(tree, {"title", "note", "given", "run", "xfail", "until", "scale"}, str(path))
    return tree


def operation(run: Tree) -> str:
    """What a run does, and through which door."""
    return run["inputs"].get("operation", "") if "inputs" in run else f"command {run['command'].partition(' ')[0]}"


def _parameters() -> list[Any]:
    found, started = [], set[str]()
    for name, path in sorted(CASES.items()):
        case = load(path)
        marks = [pytest.mark.xfail(strict=True, reason=case["xfail"])] if "xfail" in case else []
        starts = not started.issuperset(map(operation, case["run"]))
        started.update(map(operation, case["run"]))
        found.append(pytest.param(case, starts, id=name, marks=marks))
    return found


@pytest.mark.parametrize(("case", "starts"), _parameters())
def test_scenario(case: Tree, starts: bool, tmp_path: Path) -> None:
    assert case["title"]
    with Simulator(time_scale=float(case.get("scale", "1"))) as simulator:
        world = build(simulator, case.get("given") or {})
        place = Place.below(tmp_path)
        for run in case["run"]:
            _run(world, place, run, starts=starts, scaled="scale" in case)


def _run(world: World, place: Place, run: Tree, *, starts: bool, scaled: bool) -> None:
    known(run, {"first", "inputs", "command", "environment", "files", "links", "expect"}, "run")
    for action in run.get("first") or []:
        world.do(action)
    for name, content in (run.get("files") or {}).items():
        file = place.workspace / name
        file.parent.mkdir(parents=True, exist_ok=True)
        # `!!binary` is for files that are no text
        file.write_bytes(content if isinstance(content, bytes) else world.filled(content).encode())
    for name, target in (run.get("links") or {}).items():
        link = place.workspace / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(target)
    world.simulator.forget_requests()
    world.before = world.stored()
    arguments, environment = _beginning(world, place, run)
    if scaled:
        ended = place.run(time_of(world.simulator), environment, SCALED)
    elif starts:
        ended = place.end(place.start(arguments, environment))
    else:
        ended = place.run(arguments, environment)
    requests = world.simulator.requests
    check_always(world, ended, requests, action="command" not in run)
    check(world, ended, run["expect"], requests)
    world.receipt = ended.outputs.get("receipt") or world.receipt
    world.plan_sha256 = ended.outputs.get("plan-sha256") or world.plan_sha256


def _beginning(world: World, place: Place, run: Tree) -> tuple[list[str], dict[str, str]]:
    """The arguments and the environment that the program begins with."""
    extra = {name: world.filled(text) for name, text in (run.get("environment") or {}).items()}
    if "command" in run:
        arguments = shlex.split(world.filled(run["command"]))
        environment = {"GH_TOKEN": world.token, "GITHUB_API_URL": world.api_url, "GITHUB_REPOSITORY_OWNER": "acme"}
        return arguments, place.terminal_environment(environment | extra)
    inputs = {"token": world.token, "owner": "acme", "api-url": world.api_url}
    if "registry-url" in INPUTS_BY_NAME:
        inputs["registry-url"] = world.simulator.registry_url
    inputs |= {name: world.filled(text) for name, text in run["inputs"].items()}
    return [], place.action_environment(inputs, extra)
