"""What users write and get: `action.yml`, command line and README say the same, in the names of the contract."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from package_keeper import __version__
from package_keeper.inputs.definitions import INPUTS, INPUTS_BY_NAME, OUTPUTS, Input, Kind
from package_keeper.inputs.parser import parse_settings
from package_keeper.inputs.sources import Request, from_action, from_command_line
from package_keeper.model.plan import Action, Outcome, Reason
from package_keeper.model.run import Run
from package_keeper.report.documents import outputs
from package_keeper.runner.process import Interruption, SystemClock
from package_keeper.settings import Operation

ROOT = Path(__file__).resolve().parent.parent.parent

# The names of the public contract, written down a second time: a name that is changed or lost breaks users' workflows.
OPERATIONS = "list verify conflicts delete restore repair delete-package restore-package apply"
DEFAULTS = {
    "operation": "list",
    "token": "${{ github.token }}",
    "owner": "${{ github.repository_owner }}",
    "owner-type": "auto",
    "package-type": "container",
    "package": "",
    "repository": "",
    "visibility": "any",
    "api-url": "${{ github.api_url }}",
    "registry-url": "",
    "version-ids": "",
    "versions": "",
    "tags": "",
    "tag-status": "any",
    "semver": "",
    "prerelease": "any",
    "gone": "",
    "unused-for": "",
    "condition": "any",
    "partial-match": "keep",
    "where": "",
    "state": "active",
    "older-than": "",
    "newer-than": "",
    "age-of": "",
    "keep-latest": "0",
    "keep-latest-per": "package",
    "keep-daily": "0",
    "keep-weekly": "0",
    "keep-monthly": "0",
    "keep-yearly": "0",
    "keep-tags": "",
    "keep-versions": "",
    "keep-digests": "",
    "keep-used-in": "",
    "keep-deployed": "false",
    "keep-released": "false",
    "policy": "",
    "dry-run": "true",
    "images": "whole",
    "on-last-version": "keep",
    "max-delete-percent": "100",
    "limit": "0",
    "time-limit": "",
    "if-missing": "fail",
    "fail-on": "error",
    "pace": "full",
    "plan-out": "",
    "plan": "",
    "plan-sha256": "",
    "plan-max-age": "7d",
    "receipt": "package-keeper-receipt.jsonl",
    "undo": "",
    "output-file": "",
    "summary-file": "",
    "manifest-cache": "",
    "query": "",
    "usage": "",
    "usage-since": "",
    "summary": "true",
    "log-level": "info",
}
CHOICES = {
    "owner-type": "auto organization user authenticated-user",
    "package-type": "npm maven rubygems docker nuget container",
    "visibility": "any public private internal",
    "tag-status": "any tagged untagged",
    "prerelease": "any only exclude superseded",
    "condition": "any whole partial ghost orphan",
    "partial-match": "keep untag delete",
    "state": "active deleted",
    "age-of": "updated created deleted",
    "images": "whole raw",
    "on-last-version": "keep fail delete-package",
    "if-missing": "fail warn ignore",
    "fail-on": "error skip never",
    "pace": "full polite",
    "log-level": "error warning info debug",
}
CONTRACT_OUTPUTS = (
    "result selected-count planned-count deleted-count untagged-count restored-count kept-count skipped-count "
    "failed-count remaining-count broken-count packages versions matrix rows bytes-freed plan plan-sha256 receipt file"
    " truncated"
)
VOCABULARY = {
    Action: "keep delete untag restore",
    Reason: (
        "not-selected partial-tag-match keep-latest keep-daily keep-weekly keep-monthly keep-yearly keep-tags "
        "keep-versions keep-digests keep-used-in keep-deployed keep-released unknown-use "
        "too-young needed-by unreadable unknown-age base-layer "
        "rule selected part-of orphan ghost partial receipt plan"
    ),
    Outcome: (
        "done already-gone protected-by-downloads last-version changed-since-plan no-permission failed over-limit "
        "out-of-time tag-in-use already-active"
    ),
}

HERE = SystemClock(Interruption())


@pytest.fixture(scope="module")
def action() -> Any:
    return yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def readme() -> str:
    return (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def reference() -> str:
    return (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")


def program(*arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {name: text for name, text in os.environ.items() if not name.startswith(("INPUT_", "GITHUB_"))}
    return subprocess.run(
        [sys.executable, "-I", str(ROOT / "entrypoint.py"), *arguments],
        check=False,
        capture_output=True,
        encoding="utf-8",
        env=environment,
    )


def test_generated_files_are_as_they_would_be_generated() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "generate_interface.py"), "--check"],
        check=False,
        capture_output=True,
        encoding="utf-8",
    )
    assert (done.returncode, done.stdout) == (0, ""), "run `make generate`"


def test_operations_are_those_of_the_contract() -> None:
    assert set(Operation) <= set(OPERATIONS.split())
    assert {each for each in Operation if not each.writes} <= {"list", "verify", "conflicts"}


@pytest.mark.parametrize("definition", INPUTS, ids=lambda definition: definition.name)
def test_inputs_are_those_of_the_contract(definition: Input) -> None:
    assert definition.action_default or definition.default == DEFAULTS[definition.name]
    if definition.action_default:
        assert definition.action_default == DEFAULTS[definition.name]
    if definition.name in CHOICES:
        assert set(definition.choices) == set(CHOICES[definition.name].split())


def test_outputs_are_those_of_the_contract(action: Any) -> None:
    assert OUTPUTS.keys() <= set(CONTRACT_OUTPUTS.split())
    assert action["outputs"].keys() == OUTPUTS.keys()


def test_every_declared_output_is_given() -> None:
    given = outputs(Run(result="done"), None)
    assert given.keys() == OUTPUTS.keys()


@pytest.mark.parametrize("words", VOCABULARY, ids=lambda words: words.__name__)
def test_words_are_those_of_the_contract(words: type[Action | Reason | Outcome]) -> None:
    assert {str(word) for word in words} <= set(VOCABULARY[words].split())


def test_action_declares_every_input_and_requires_none(action: Any) -> None:
    assert list(action["inputs"]) == [definition.name for definition in INPUTS]
    for name, declared in action["inputs"].items():
        assert declared["default"] == DEFAULTS[name], name
        assert declared["description"]
        assert declared["required"] is False
    assert action["runs"] == {"using": "docker", "image": "Dockerfile"}
    assert {"name", "description", "branding"} <= action.keys()


def test_what_the_runner_passes_when_nothing_is_given_can_be_read(action: Any) -> None:
    runner_own = {"token": "made-up", "owner": "acme", "api-url": "https://api.github.com"}
    environ = {
        "INPUT_" + name.upper(): runner_own.get(name, declared["default"])
        for name, declared in action["inputs"].items()
    }
    assert len(environ) == len(INPUTS)
    request = from_action(environ)
    assert request.problems == []
    settings = parse_settings(request.texts, defaults=request.defaults, now=HERE.now())
    assert settings.operation is Operation.LIST
    assert settings.dry_run
    assert not settings.writes
    assert settings.warnings == ()


def test_readme_has_every_operation_input_and_output(readme: str) -> None:
    tables = dict(re.findall(r"<!-- (\w+): generated -->\n(.*?)\n<!-- /\1 -->", readme, re.DOTALL))
    assert tables.keys() == {"operations", "inputs", "outputs"}
    for table, names in (("operations", Operation), ("inputs", INPUTS_BY_NAME), ("outputs", OUTPUTS)):
        assert re.findall(r"^\| \[?`([\w-]+)`[^|]* \|", tables[table], re.MULTILINE) == [str(name) for name in names]


@pytest.mark.parametrize("outcome", Outcome)
def test_reference_explains_every_outcome(reference: str, outcome: Outcome) -> None:
    kind = "skipped" if outcome.is_skipped else "failed" if outcome.is_failed else "remaining"
    kind = "deleted, untagged or restored" if outcome is Outcome.DONE else kind
    assert re.search(rf'^\|[^|]*<a id="{outcome}"></a>[^|]*`{outcome}`[^|]*\| {kind} \|', reference, re.MULTILINE)


@pytest.mark.parametrize("reason", Reason)
def test_reference_names_every_reason(reference: str, reason: Reason) -> None:
    decides = reference.partition("## The order of decisions")[2].partition("## Policy file")[0]
    word = "rule:NAME" if reason is Reason.RULE else reason
    if reason not in (Reason.SELECTED, Reason.RECEIPT, Reason.PLAN):
        assert f"`{word}`" in decides


@pytest.mark.parametrize("status", [0, 1, 2, 3, 4, 5, 130])
def test_reference_explains_every_exit_status(reference: str, status: int) -> None:
    table = reference.partition("## Exit status")[2].partition("\n## ")[0]
    assert re.search(rf"^\| {status} \| `", table, re.MULTILINE)


def parsed(*arguments: str) -> Request:
    return from_command_line(arguments, {"GH_TOKEN": "made-up"})


@pytest.mark.parametrize("definition", [each for each in INPUTS if each.name not in ("operation", "token")])
def test_command_line_has_every_input_as_an_option(definition: Input) -> None:
    name = definition.name
    request = parsed("list", f"--{name}", "true")
    assert request.problems == []
    assert request.texts[name] == "true"
    if definition.kind is Kind.BOOLEAN:
        assert parsed("list", f"--no-{name}").texts[name] == "false"
        assert parsed("list", f"--{name}").texts[name] == "true"
    if definition.is_list:
        assert parsed("list", f"--{name}", "a,b", f"--{name}", "c").texts[name].split("\n") == ["a,b", "c"]


def test_command_line_takes_no_token() -> None:
    request = parsed("list", "--token", "secret-text")
    assert len(request.problems) == 1
    assert "GH_TOKEN" in request.problems[0]
    assert "secret-text" not in request.problems[0]
    assert from_command_line(["list"], {"GH_TOKEN": "a", "GITHUB_TOKEN": "b"}).texts["token"] == "a"
    assert from_command_line(["list"], {"GITHUB_TOKEN": "b"}).texts["token"] == "b"


def test_help_teaches_every_operation_and_input() -> None:
    done = program("--help")
    assert done.returncode == 0
    for operation in Operation:
        assert re.search(rf"^  {operation} ", done.stdout, re.MULTILINE)
    every = program("--help-all").stdout
    for name in INPUTS_BY_NAME.keys() - {"operation", "token"}:
        assert re.search(rf"^  (?:    |-\w, )--{name}\b", every, re.MULTILINE), name
    assert "GH_TOKEN" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 120


def test_version_is_that_of_the_project() -> None:
    done = program("--version")
    assert (done.returncode, done.stdout) == (0, f"package-keeper {__version__}\n")


@pytest.mark.parametrize("variable", ["INPUT_KEEP-TAG", "INPUT_KEEP_TAGS", "INPUT_TAG"])
def test_a_misspelt_input_is_a_problem(variable: str) -> None:
    problems = from_action({variable: "v*"}).problems
    assert len(problems) == 1
    assert re.search(r"no such input; did you mean '(keep-)?tags'\?", problems[0])
