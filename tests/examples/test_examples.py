"""Every workflow of `examples/` does what it says: it is carried out, and the simulator shows what is left.

`NAME.yaml` beside this file belongs to `examples/NAME.yml`. `given` is a world as in a scenario (CONTRIBUTING.md,
"Write a scenario"). `checkout` has the files of the repository, `made` those that `run:` steps write; instead of a
text, `{file: docs/policy.yml}` is a file of this project, and `{file: certificate}` the authority behind `tls`. Each of
`runs` is one run of the workflow, or of another one (`workflow`): the `event` that starts it, with the `inputs` of
`workflow_dispatch` or the number of the closed `pull-request`; `first` is what others do before it. It has the
`results` of the steps of this action in their order, `left` as in a scenario, and words that must be in the `log`.
`commands` are what programs of others print in steps with `shell: python`, by their command line; other command lines
fail. A run may have other ones, and `cached`: the files of the only cache that is there, `{}` when all were lost.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.examples.expressions import Expressions, Unknown
from tests.examples.tls import TlsFront
from tests.examples.workflows import EXAMPLES, SECRET, Event, Runner
from tests.scenarios.expectations import check_left
from tests.scenarios.program import ROOT
from tests.scenarios.test_scenarios import load_texts
from tests.scenarios.world import Tree, build, known
from tests.simulator import Simulator
from tests.wire.secured import certificate

ENTRIES = {path.stem: path for path in sorted(Path(__file__).parent.glob("*.yaml"))}
ENTRY_KEYS = {"tls", "given", "owner", "checkout", "made", "commands", "runs"}
RUN_KEYS = {
    *("workflow", "event", "inputs", "pull-request", "fork", "first", "commands", "cached"),
    *("results", "left", "log"),
}


def test_every_example_is_carried_out() -> None:
    assert ENTRIES.keys() == {path.stem for path in EXAMPLES.glob("*.yml")}


@pytest.mark.parametrize("name", ENTRIES)
def test_example(name: str, tmp_path: Path) -> None:
    entry = load_texts(ENTRIES[name])
    known(entry, ENTRY_KEYS, name)
    with Simulator() as simulator, ExitStack() as stack:
        world = build(simulator, entry["given"])
        simulator.add_token(SECRET)
        front = stack.enter_context(TlsFront(simulator.url)) if entry.get("tls") == "true" else None
        runner = Runner(
            world=world,
            folder=tmp_path,
            owner=entry.get("owner", "acme"),
            checkout=_files(entry, "checkout"),
            made=_files(entry, "made"),
            address=front.url if front else simulator.url,
        )
        for run in entry["runs"]:
            known(run, RUN_KEYS, f"run of {name}")
            for action in run.get("first") or []:
                world.do(action)
            runner.commands = run.get("commands", entry.get("commands") or {})
            if "cached" in run:
                files = {name: world.filled(text).encode() for name, text in run["cached"].items()}
                runner.caches = {"usage-1": files} if files else {}
            ended = runner.run(EXAMPLES / f"{run.get('workflow', name)}.yml", _event(run))
            said = "\n".join(each.said for each in ended)
            assert [each.outputs["result"] for each in ended] == run["results"].split(), said
            assert [word for word in run.get("log") or [] if world.filled(word) not in said] == [], said
            check_left(world, run)


def _files(entry: Tree, key: str) -> dict[str, str]:
    files: Tree = entry.get(key) or {}
    return {name: _text(content["file"]) if isinstance(content, dict) else content for name, content in files.items()}


def _text(name: str) -> str:
    path = Path(certificate()) if name == "certificate" else ROOT / name
    return path.read_text(encoding="utf-8")


def _event(run: Tree) -> Event:
    return Event(
        name=run["event"],
        inputs=run.get("inputs") or {},
        pull_request=run.get("pull-request", ""),
        fork=run.get("fork") == "true",
    )


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("inputs.dry-run || 'false'", "false"),
        ("github.event.repository.name", "app"),
        ("github.event.pull_request.number", None),
        (
            "github.event_name == 'schedule' || github.event.pull_request.head.repo.full_name == github.repository",
            False,
        ),
        ("always() && steps.keeper.outputs.receipt != ''", True),
        ("steps.keeper.outputs.broken-count > 0", True),
        ("!(steps.keeper.outputs.broken-count >= 10)", True),
        ("steps.keeper.outputs.matrix != '{\"include\":[]}'", False),
        ("fromJSON(steps.keeper.outputs.matrix)", {"include": []}),
        ("format('pr-{0}', 7)", "pr-7"),
        ("contains('a, b', 'b') && startsWith('v1', 'v')", True),
    ],
)
def test_expressions_have_the_value_that_github_gives_them(expression: str, value: object) -> None:
    contexts = {
        "github": {
            "event_name": "workflow_dispatch",
            "event": {"repository": {"name": "app"}},
            "repository": "acme/app",
        },
        "inputs": {"dry-run": None},
        "steps": {"keeper": {"outputs": {"receipt": "r.jsonl", "broken-count": "9", "matrix": '{"include":[]}'}}},
    }
    assert Expressions(contexts).value(expression) == value
    assert Expressions(contexts).filled(f"${{{{ {expression} }}}}") == value


def test_a_step_is_passed_over_after_a_failure_unless_it_asks() -> None:
    after = Expressions({}, failed=True)
    assert [after.holds(text) for text in ("success()", "1 == 1", "failure()", "${{ always() }}")] == [
        *(False, False),
        *(True, True),
    ]


@pytest.mark.parametrize("expression", ["steps.nowhere.outputs.x", "nothing(1)", "1 +", "'a' 'b'", "(1"])
def test_expressions_that_cannot_be_read_are_errors(expression: str) -> None:
    with pytest.raises(Unknown):
        Expressions({"steps": {}}).value(expression)
