"""Every folder here is one sentence of the public contract: a world, one or several runs, and what must come of them.

The real program runs as a process of its own against the simulated GitHub, through the Action's door, or with
`command` through the command line. How to write a case: `world.py` and `repositories.py` read the part `given`,
`expectations.py` the part `expect`, `files` and symbolic `links` are put into the workspace; texts may hold
`{id:NAME}`, `{digest:NAME}`, `{receipt}` (of the run before) and `{url}`.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from package_keeper.inputs.definitions import INPUTS_BY_NAME
from tests.scenarios.expectations import check, check_always
from tests.scenarios.program import Ended, Place
from tests.scenarios.world import Tree, World, build, known
from tests.simulator import Simulator

CASES = sorted(Path(__file__).parent.glob("*/case.yaml"))


class _Loader(yaml.SafeLoader):
    """Every scalar is the text that was written; a key that stands twice is an error."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - the library's own form

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = [key.value for key, _ in node.value]
        if len(names) != len(set(names)):
            raise ValueError(f"a key stands twice: {names}")
        return super().construct_mapping(node, deep=deep)


def load(path: Path) -> Tree:
    """Read a case."""
    tree: Tree = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 - a safe loader
    known(tree, {"title", "note", "given", "run", "xfail", "until"}, str(path))
    return tree


def _parameters() -> list[Any]:
    found = []
    for path in CASES:
        reason = load(path).get("xfail")
        marks = [pytest.mark.xfail(strict=True, reason=reason)] if reason else []
        found.append(pytest.param(path, id=path.parent.name, marks=marks))
    return found


@pytest.mark.parametrize("path", _parameters())
def test_scenario(path: Path, tmp_path: Path) -> None:
    case = load(path)
    assert case["title"]
    with Simulator() as simulator:
        world = build(simulator, case.get("given") or {})
        place = Place.below(tmp_path)
        for run in case["run"]:
            _run(world, place, run)


def _run(world: World, place: Place, run: Tree) -> None:
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
    ended = _started(world, place, run)
    requests = world.simulator.requests
    check_always(world, ended, requests, action="command" not in run)
    check(world, ended, run["expect"], requests)
    world.receipt = ended.outputs.get("receipt") or world.receipt


def _started(world: World, place: Place, run: Tree) -> Ended:
    extra = {name: world.filled(text) for name, text in (run.get("environment") or {}).items()}
    if "command" in run:
        arguments = shlex.split(world.filled(run["command"]))
        environment = {"GH_TOKEN": world.token, "GITHUB_API_URL": world.api_url, "GITHUB_REPOSITORY_OWNER": "acme"}
        return place.run(arguments, place.terminal_environment(environment | extra))
    inputs = {"token": world.token, "owner": "acme", "api-url": world.api_url}
    if "registry-url" in INPUTS_BY_NAME:
        inputs["registry-url"] = world.simulator.registry_url
    inputs |= {name: world.filled(text) for name, text in run["inputs"].items()}
    return place.run([], place.action_environment(inputs, extra))
