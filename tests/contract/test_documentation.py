"""Documentation that cannot rot: links lead somewhere, commands run, workflows are valid, names in it exist."""

import ast
import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from package_keeper.inputs.definitions import INPUTS, INPUTS_BY_NAME
from package_keeper.inputs.help import EXAMPLES
from package_keeper.inputs.parser import parse_settings
from package_keeper.inputs.sources import from_action
from package_keeper.runner.process import Interruption, SystemClock
from package_keeper.settings import Operation
from tests.simulator import Simulator
from tests.simulator.scenarios import SCENARIOS, TOKEN
from tests.unit.test_architecture import MAY_IMPORT

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
SITE = [page for page in PAGES if page.is_relative_to(ROOT / "docs")]
EXAMPLE_FILES = sorted((ROOT / "examples").glob("*.yml"))

FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
HEADING = re.compile(r"^#+ +(?P<text>.+)$", re.MULTILINE)
THIS_ACTION = re.compile(r"(\./|[\w.-]+/package-keeper(@.*)?)")
EXPRESSION = re.compile(r"\$\{\{.*?\}\}")
# what an expression in an example may come out as
EVALUATED = {"package": "app", "package-type": "npm", "dry-run": "true", "token": TOKEN, "plan-sha256": "0" * 64}
EVALUATED |= {"usage-since": "2026-01-31"}


@dataclass(frozen=True)
class Block:
    """A fenced block of a page, and where it begins."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


@dataclass(frozen=True)
class Command:
    """A command as documented: its arguments, how it ends, and lines that it prints."""

    arguments: list[str]
    status: int
    expected: list[str]


def blocks_of(page: Path, text: str) -> Iterator[Block]:
    for found in FENCE.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        yield Block(page, line, found["language"], textwrap.dedent(found["text"]))


BLOCKS = [block for page in PAGES for block in blocks_of(page, page.read_text(encoding="utf-8"))]


def commands_of(block: Block) -> list[Command]:
    """The commands of this program in a block of the languages `console` (after `$`) and `bash`."""
    found: list[Command] = []
    ours = False
    for line in block.text.replace("\\\n", " ").splitlines():
        prompt = line.startswith("$ ")
        if prompt or block.language == "bash":
            text = line.removeprefix("$ ").strip()
            ours = text.startswith(("package-keeper ", "python entrypoint.py "))
            if ours:
                found.append(command(text))
        elif ours and line.strip():
            found[-1].expected.append(line)
    return found


def command(text: str) -> Command:
    """Read a command; what stands behind a pipe is another program, and `# exit status N` says how it ends."""
    status = re.search(r"#\s*exit status (\d+)", text)
    words = shlex.split(text, comments=True)
    words = words[: words.index("|")] if "|" in words else words
    skipped = 2 if words[0] == "python" else 1
    return Command(words[skipped:], int(status[1]) if status else 0, [])


COMMAND_BLOCKS = [block for block in BLOCKS if block.language in ("console", "bash") and commands_of(block)]
YAML_BLOCKS = [block for block in BLOCKS if block.language in ("yaml", "yml")] + [
    Block(file, 1, "yaml", file.read_text(encoding="utf-8")) for file in EXAMPLE_FILES
]


def run(command: Command, simulator: Simulator, workspace: Path) -> "subprocess.CompletedProcess[str]":
    foreign = re.compile(r"(?i)INPUT_|GITHUB_|GH_|.*_proxy$")
    environment = {name: text for name, text in os.environ.items() if not foreign.match(name)}
    environment |= {"GH_TOKEN": TOKEN, "GITHUB_API_URL": simulator.url, "COLUMNS": "200"}
    # no address of a registry can be derived from that of a simulator
    registry = command.arguments[0] in INPUTS_BY_NAME["registry-url"].operations
    return subprocess.run(
        [
            *(sys.executable, "-I", str(ROOT / "entrypoint.py"), *command.arguments),
            *(("--registry-url", simulator.registry_url) if registry else ()),
        ],
        check=False,
        cwd=workspace,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )


def run_all(commands: list[Command], workspace: Path) -> None:
    """Run commands one after the other on the demo's packages, as somebody who tries a page would."""
    with Simulator(validate=False) as simulator:
        SCENARIOS["demo"](simulator)
        for each in commands:
            done = run(each, simulator, workspace)
            assert done.returncode == each.status, f"{shlex.join(each.arguments)}\n{done.stdout}"
            printed = done.stdout.splitlines()
            for line in each.expected:
                assert any(other.startswith(line) for other in printed), f"{line}\nis not in\n{done.stdout}"
        assert simulator.errors == []


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    return {slug(found["text"]) for found in HEADING.finditer(text)} | set(re.findall(r'<a id="([\w-]+)">', text))


def steps_of(content: Any) -> Iterator[dict[str, Any]]:
    """All steps that use this action, wherever they stand."""
    if isinstance(content, dict):
        if THIS_ACTION.fullmatch(str(content.get("uses", ""))):
            yield content
        for value in content.values():
            yield from steps_of(value)
    elif isinstance(content, list):
        for value in content:
            yield from steps_of(value)


def inputs_of(step: dict[str, Any]) -> dict[str, str]:
    """The inputs of a step as the runner would pass them on: texts, with expressions come out as something."""
    texts: dict[str, str] = {}
    for name, value in (step.get("with") or {}).items():
        text = str(value).lower() if isinstance(value, bool) else str(value)
        texts[name] = EXPRESSION.sub(EVALUATED.get(name, "something"), text)
    return texts


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_lead_somewhere(page: Path) -> None:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for found in LINK.finditer(text):
        target, _, anchor = found["target"].partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        place = (page.parent / target).resolve() if target else page
        assert place.exists(), f"{found[0]} leads nowhere"
        assert place.is_relative_to(ROOT)
        if anchor:
            assert anchor in anchors(place), f"{found[0]} has no such heading"


def problems_on_the_site(text: str) -> Iterator[str]:
    """What GitHub accepts and Python-Markdown reads otherwise (docs/decisions/0034-site.md)."""
    text = FENCE.sub(lambda found: f"{found['indent']}fence", text)
    item = re.compile(r" *(?:[-*]|\d+\.) ")
    for before, line in pairwise(["", *text.splitlines()]):
        starts = item.match(line) is not None
        indent = len(line) - len(line.lstrip())
        if indent % 4 and (starts or not before.strip() or line.endswith("fence")):
            yield f"indented by {indent}"
        if starts and before.strip() and not item.match(before) and not before.startswith(" "):
            yield "no blank line before a list"
        if line.startswith("|") and "\\|" in line:
            yield "an escaped bar"


@pytest.mark.parametrize("page", SITE, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_read_the_same_on_the_site(page: Path) -> None:
    assert list(problems_on_the_site(page.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("1. one\n   - two\n", "indented by 3"),
        ("1. one\n\n   ```yaml\n   a: b\n   ```\n", "indented by 3"),
        ("- one\n\n  more\n", "indented by 2"),
        ("text\n- one\n", "no blank line before a list"),
        ("| `a \\| b` |\n", "an escaped bar"),
    ],
)
def test_would_find_what_the_site_reads_otherwise(text: str, problem: str) -> None:
    assert list(problems_on_the_site(text)) == [problem]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_fences_are_closed_and_name_a_language(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert len(re.findall(r"^ *```", text, re.MULTILINE)) == 2 * len(FENCE.findall(text))
    assert all(block.language for block in blocks_of(page, text))


@pytest.mark.parametrize("block", COMMAND_BLOCKS, ids=str)
def test_commands_do_what_the_page_says(block: Block, tmp_path: Path) -> None:
    run_all(commands_of(block), tmp_path)


def test_every_command_stands_in_a_block_that_is_run() -> None:
    others = [block for block in BLOCKS if block.language not in ("console", "bash")]
    assert [str(block) for block in others if re.search(r"^(\$ )?package-keeper ", block.text, re.MULTILINE)] == []


ACTIONS = {
    "actions/cache/restore@v6",
    "actions/cache/save@v6",
    "actions/cache@v6",
    "actions/checkout@v7",
    "actions/download-artifact@v8",
    "actions/setup-java@v5",
    "actions/upload-artifact@v7",
}
"""What the documentation uses of others: the versions that run on the runners of today."""


@pytest.mark.parametrize("block", YAML_BLOCKS, ids=str)
def test_workflows_use_actions_of_today(block: Block) -> None:
    used = set(re.findall(r"\buses: (\S+)", block.text))
    assert {each for each in used if not THIS_ACTION.fullmatch(each)} <= ACTIONS


def test_examples_of_the_help_run(tmp_path: Path) -> None:
    # one needs a plan, and one a shell
    commands = [command(line) for name, line in EXAMPLES.items() if name not in ("apply", "completion")]
    assert len(commands) > 3
    shutil.copy(ROOT / "docs" / "policy.yml", tmp_path / "policy.yml")
    run_all(commands, tmp_path)


def test_there_are_commands_to_run() -> None:
    assert {block.page.name for block in COMMAND_BLOCKS} >= {"README.md", "command-line.md", "troubleshooting.md"}


@pytest.mark.parametrize("block", YAML_BLOCKS, ids=str)
def test_workflows_give_inputs_that_the_action_takes(block: Block) -> None:
    action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    content = yaml.safe_load(block.text)
    assert content
    steps = list(steps_of(content))
    assert bool(steps) == ("/package-keeper@" in block.text)
    for step in steps:
        texts = inputs_of(step)
        assert texts.keys() <= action["inputs"].keys()
        environ = {"INPUT_" + name.upper(): text for name, text in texts.items()}
        request = from_action({"INPUT_TOKEN": TOKEN, "INPUT_OWNER": "acme", **environ})
        now = SystemClock(Interruption()).now()
        # raises when something is wrong with the inputs, alone or together
        settings = parse_settings(request.texts, defaults=request.defaults, now=now, problems=request.problems)
        expected = ("images: raw",) if settings.rules.raw else ()
        assert [text for text in settings.warnings if not text.startswith(expected)] == []


@pytest.mark.parametrize("block", [each for each in YAML_BLOCKS if "\njobs:" in each.text], ids=str)
def test_workflows_ask_for_no_more_than_they_need(block: Block) -> None:
    content = yaml.safe_load(block.text)
    assert content["permissions"] == {}
    for job in content["jobs"].values():
        assert "timeout-minutes" in job
        steps = [step.get("with") or {} for step in steps_of(job)]
        with_job_token = [inputs for inputs in steps if "token" not in inputs]
        writing = [each for each in with_job_token if Operation(each.get("operation", "list")).writes]
        permissions = dict(job.get("permissions") or {})
        granted = permissions.pop("packages", None)
        if any("dry-run" in inputs for inputs in writing):
            assert granted == "write"
        elif writing:
            # a dry run only reads; what is to come after it writes
            assert granted in ("read", "write")
        else:
            assert granted == ("read" if with_job_token else None)
        # an artifact of the same run is read without a permission
        others = {"actions": "read"} if "download-artifact" in str(job) and "run-id" in str(job) else {}
        asks_repository = any("gone" in inputs or "policy" in inputs for inputs in steps)
        asks_records = any("keep-deployed" in inputs for inputs in steps)
        asks_releases = any("keep-released" in inputs for inputs in steps)
        if asks_repository or asks_records or asks_releases or "actions/checkout" in str(job):
            others["contents"] = "read"
        if asks_repository:
            others["pull-requests"] = "read"
        if asks_records:
            others["artifact-metadata"] = "read"
        assert permissions == others


@pytest.mark.parametrize("file", EXAMPLE_FILES, ids=lambda file: file.name)
def test_every_example_file_is_shown_as_a_recipe(file: Path) -> None:
    recipes = ROOT / "docs" / "recipes.md"
    text = recipes.read_text(encoding="utf-8")
    introduced = text.partition(f"File: [{file.name}](../examples/{file.name})")[2]
    block = next(blocks_of(recipes, introduced), None)
    assert block is not None, "docs/recipes.md does not show it"
    assert block.text == file.read_text(encoding="utf-8")


def test_the_readme_is_short_and_begins_with_the_quick_start() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 350
    first = next(blocks_of(ROOT / "README.md", text))
    assert first.text == (ROOT / "examples" / "quick-start.yml").read_text(encoding="utf-8")


def test_the_readme_shows_lines_of_every_example() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    table = text.partition("\n## Recipes\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| [^|]+ \| (.+) \| \[([\w-]+\.yml)\]\(examples/\2\) \|$", table, re.MULTILINE)
    assert {name for _, name in rows} == {file.name for file in EXAMPLE_FILES}
    for shown, name in rows:
        example = (ROOT / "examples" / name).read_text(encoding="utf-8")
        lines = [line.strip("`").removesuffix(" …") for line in shown.split("<br>")]
        assert [line for line in lines if line not in example] == [], name


@pytest.mark.parametrize("file", sorted((ROOT / "examples" / "usage").iterdir()), ids=lambda file: file.name)
def test_every_script_is_shown_on_the_page_about_usage_files(file: Path) -> None:
    page = ROOT / "docs" / "how-to" / "usage-file.md"
    introduced = page.read_text(encoding="utf-8").partition(f"](../../examples/usage/{file.name})\n")[2]
    block = next(blocks_of(page, introduced), None)
    assert block is not None, "docs/how-to/usage-file.md does not show it"
    assert block.text == file.read_text(encoding="utf-8")


RIVALS = {
    "ghcr-cleanup-action": (
        "token owner repository package packages expand-packages delete-tags tags exclude-tags keep-n-untagged"
        " keep-n-tagged delete-untagged delete-ghost-images delete-partial-images delete-orphaned-images older-than"
        " use-regex validate dry-run log-level registry-url github-api-url"
    ),
    "container-retention-policy": (
        "account token cut-off image-names image-tags skip-shas tag-selection keep-n-most-recent timestamp-to-use"
        " dry-run rust-log deleted failed"
    ),
    "delete-package-versions": (
        "package-version-ids owner package-name package-type num-old-versions-to-delete min-versions-to-keep"
        " ignore-versions delete-only-pre-release-versions delete-only-untagged-versions token"
    ),
    "delete-untagged-ghcr-action": (
        "token repository_owner repository package_name untagged_only except_untagged_multiplatform with_sigs"
        " owner_type num_deleted"
    ),
    "action-ghcr-prune": (
        "token organization user container dry-run older-than keep-last keep-tags keep-tags-regexes keep-younger-than"
        " prune-tags-regexes prune-untagged untagged tag-regex count prunedVersionIds dryRun"
    ),
}
"""The inputs and outputs of other actions, from the `action.yml` that each page names."""


@pytest.mark.parametrize("rival", RIVALS)
def test_migration_has_every_input_of_the_other_action(rival: str) -> None:
    text = (ROOT / "docs" / "migrate" / f"{rival}.md").read_text(encoding="utf-8")
    cells = "\n".join(re.findall(r"^\| ([^|]+) \|", text, re.MULTILINE))
    named = {name.partition(":")[0] for name in re.findall(r"`([^`]+)`", cells)}
    assert set(RIVALS[rival].split()) - named == set()
    assert "\n## What behaves otherwise\n" in text


def test_every_operation_has_a_page_with_its_inputs() -> None:
    pages = {page.stem: page.read_text(encoding="utf-8") for page in (ROOT / "docs" / "operations").glob("*.md")}
    assert pages.keys() == {str(operation) for operation in Operation}
    for operation, text in pages.items():
        table = text.partition("<!-- inputs: generated -->")[2]
        named = re.findall(r"^\| \[`([\w-]+)`\]", table, re.MULTILINE)
        assert named == [each.name for each in INPUTS if operation in each.operations]


def test_the_reference_has_a_section_for_every_input() -> None:
    text = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    inputs = text.partition("\n## Inputs\n")[2].partition("\n## ")[0]
    named = re.findall(r"^(?:###|####) (?P<name>.+)$", inputs, re.MULTILINE)
    wanted = [
        heading
        for section, definitions in groupby(INPUTS, key=lambda definition: definition.section)
        for heading in (section, *(f"`{each.name}`" for each in definitions))
    ]
    assert named == wanted


def test_the_reference_has_every_choice_of_an_input() -> None:
    text = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    for definition in INPUTS:
        section = text.partition(f"\n#### `{definition.name}`\n")[2].partition("\n###")[0]
        if definition.name == "operation":
            section = text.partition("\n## Operations\n")[2].partition("\n## ")[0]
        assert [choice for choice in definition.choices if f"`{choice}`" not in section] == [], definition.name


def references() -> list[tuple[str, str]]:
    """Every `folder/module.py::Name` in the documentation, and every bare `folder/module.py` of the program."""
    rooms = "|".join(MAY_IMPORT)
    found: set[tuple[str, str]] = set()
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        found.update(re.findall(rf"`((?:{rooms})(?:/\w+)?\.py)(?:::(\w+))?`", text))
    return sorted(found)


@pytest.mark.parametrize(("path", "name"), references())
def test_places_in_the_code_exist(path: str, name: str) -> None:
    file = ROOT / "src" / "package_keeper" / path
    assert file.is_file()
    if name:
        assert re.search(rf"^(?:def|class) {name}\b", file.read_text(encoding="utf-8"), re.MULTILINE)


NOT_OUR_TEXT = frozenset(
    {
        "Error when evaluating 'strategy' … matrix",  # the Actions runner
        "`Argument list too long`",  # Linux
        "A rule decides what another one was meant for",
        "no image is an `orphan`, though there are signatures",
        "nothing seems to happen",
        "Every manifest read is a download",
        # messages with an input, a number or a name in the middle
        "can match no tag",
        "… are no SemVer and stay",
        "GitHub's secondary rate limit is reached; waiting 60 s, until …",
        "the registry rate limit is reached; waiting …",
    }
)
"""Headings of docs/troubleshooting.md that are in no string of the program."""


def quoted_parts(heading: str) -> list[str]:
    """The parts of a heading that a string of the program may hold: what is between names, numbers and `…`."""
    parts = (part.strip(" ,.;:`()") for part in re.split(r"…|`|\d+|:|;|,", heading))
    return [part for part in parts if len(part) >= 8]


def test_troubleshooting_quotes_messages_that_the_program_has() -> None:
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in sorted((ROOT / "src").rglob("*.py"))]
    constants = [node.value for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    texts = "\n".join(value for value in constants if isinstance(value, str))
    page = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    headings = re.findall(r"^### (.+)$", FENCE.sub("", page), re.MULTILINE)
    unknown = {heading for heading in headings if not any(part in texts for part in quoted_parts(heading))}
    assert unknown == NOT_OUR_TEXT


def test_contributing_shows_a_scenario_that_runs() -> None:
    scenario = (ROOT / "tests" / "scenarios" / "example.yaml").read_text(encoding="utf-8")
    assert f"```yaml\n{scenario}```" in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_contributing_names_tests_that_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    tests = "\n".join(file.read_text(encoding="utf-8") for file in (ROOT / "tests").rglob("test_*.py"))
    named = set(re.findall(r"`(test_\w+)`", text))
    assert len(named) > 5
    assert {name for name in named if f"def {name}(" not in tests} == set()


def test_architecture_quotes_the_lines_that_write() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    code = "\n".join(file.read_text(encoding="utf-8") for file in sorted((ROOT / "src").rglob("*.py")))
    quoted = re.findall(r"`([^`\n]*(?:_send\(|writing=|kind =)[^`\n]*)`", page)
    assert len(quoted) == 5
    for text in quoted:
        # a line of the page may be several of the code
        words = [re.escape(word).replace("…", r"[^\n]+") for word in text.split()]
        assert re.search(r"\s+".join(words), code), text
    # "these five lines and no other"
    assert [code.count(f'"{method}"') for method in ("DELETE", "POST", "PUT", "PATCH")] == [2, 2, 1, 0]


def test_architecture_says_who_may_import_whom() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = page.partition("\n## The rooms\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| .* \| (.*) \|$", table, re.MULTILINE)
    named = {room: frozenset(re.findall(r"`(\w+)`", others)) for room, others in rows}
    rooms = {room: others for room, others in MAY_IMPORT.items() if not room.startswith("__")}
    named["main"] = named["main"] or frozenset(rooms) - {"main"}  # "all others"
    assert named == rooms


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_mark_stands_for_text_to_come(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert [
        mark
        for mark in re.findall(r"<!--(.*?)-->", text)
        if not re.fullmatch(r" /?\w+(: generated)? | picture: docs/images/[\w-]+\.png ", mark)
    ] == []


def test_every_runtime_dependency_has_its_reason() -> None:
    names = ("0001-runtime-dependencies.md", "0013-policies-versions-sql.md")
    record = "\n".join((ROOT / "docs" / "decisions" / name).read_text(encoding="utf-8") for name in names)
    pinned = re.findall(
        r"^([\w-]+)==", (ROOT / "requirements" / "runtime.in").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert pinned
    assert [name for name in pinned if f"**{name}**" not in record] == []


@pytest.mark.parametrize("record", sorted((ROOT / "docs" / "decisions").glob("0*.md")), ids=lambda record: record.name)
def test_decision_records_have_their_headings_and_are_indexed(record: Path) -> None:
    text = record.read_text(encoding="utf-8")
    headings = [found["text"] for found in HEADING.finditer(FENCE.sub("", text))]
    assert headings[0].startswith(f"{record.name[:4]}: ")
    merged = ["Status", "Context", "Alternatives and decision", "Consequences"]
    assert headings[1:] in (["Status", "Context", "Alternatives", "Decision", "Consequences"], merged)
    assert f"({record.name})" in (record.parent / "README.md").read_text(encoding="utf-8")


def test_changelog_begins_with_what_is_unreleased() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE)[0] == "[Unreleased]"
    assert set(re.findall(r"^### (.+)$", text, re.MULTILINE)) <= {
        *("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"),
        "Known limits",
    }
