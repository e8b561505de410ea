"""Writes `action.yml`, and the tables of README and docs/operations, from the one definition of inputs and outputs.

It also copies the files of `examples/` into the pages that show them.

python tools/generate_interface.py           write
python tools/generate_interface.py --check   exit 1 when a file is not as it would be written
"""

import json
import re
import sys
from collections.abc import Mapping
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from package_keeper.inputs.definitions import (  # noqa: E402  # reason: the path must be set before
    INPUTS,
    OPERATION_MEANINGS,  # reason: as above
    OUTPUTS,  # reason: as above
    Input,
)
from package_keeper.settings import Operation  # noqa: E402  # reason: as above

HEAD = """\
# Made by tools/generate_interface.py from src/package_keeper/inputs/definitions.py; change it there.
name: Package Keeper
description: List, delete and restore versions and whole packages of GitHub Packages, safely, with a receipt and an undo
author: Package Keeper contributors
branding:
  icon: archive
  color: green
"""

TAIL = """\
runs:
  using: docker
  image: Dockerfile
"""

RECIPE = re.compile(
    r"(?P<text>^File: \[(?P<file>[\w-]+\.\w+)\]\((?P<path>[./]+/examples/[\w/]*(?P=file))\).*\n(?:(?!```|#).*\n)*)"
    r"(?P<fence>```(?:yaml|python)\n)(?:(?!```).*\n)*```\n",
    re.MULTILINE,
)


def action_yml() -> str:
    """The whole of `action.yml`."""
    lines = [HEAD, "inputs:\n"]
    for definition in INPUTS:
        lines.append(f"  {definition.name}:\n    description: {json.dumps(definition.meaning, ensure_ascii=False)}\n")
        # never required: the runner does not enforce it, and an empty one is reported with all other problems
        lines.append(
            f"    required: false\n    default: {json.dumps(definition.action_default or definition.default)}\n"
        )
    lines.append("outputs:\n")
    for name, meaning in OUTPUTS.items():
        lines.append(f"  {name}:\n    description: {json.dumps(meaning, ensure_ascii=False)}\n")
    return "".join(lines) + TAIL


def readme_tables() -> dict[str, str]:
    """The generated parts of the README, by the name in their markers."""
    operations = "\n".join(
        f"| [`{operation}`](docs/operations/{operation}.md) | {meaning} |"
        for operation, meaning in OPERATION_MEANINGS.items()
    )
    inputs = []
    for section, definitions in groupby(INPUTS, key=lambda definition: definition.section):
        rows = "\n".join(f"{_row(each, 'docs/reference.md')} {_operations(each)} |" for each in definitions)
        inputs.append(f"#### {section}\n\n| input | default | | for |\n|---|---|---|---|\n{rows}")
    outputs = "\n".join(f"| `{name}` | {_cell(meaning)} |" for name, meaning in OUTPUTS.items())
    return {
        "operations": f"| operation | does |\n|---|---|\n{operations}",
        "inputs": "\n\n".join(inputs),
        "outputs": f"| output | meaning |\n|---|---|\n{outputs}",
    }


def operation_tables(operation: Operation) -> dict[str, str]:
    """The generated part of an operation's page: the inputs that have an effect on it."""
    parts = []
    for section, definitions in groupby(INPUTS, key=lambda definition: definition.section):
        rows = [_row(each, "../reference.md") for each in definitions if operation in each.operations]
        if rows:
            parts.append(f"### {section}\n\n| input | default | |\n|---|---|---|\n" + "\n".join(rows))
    return {"inputs": "\n\n".join(parts)}


def renewed(name: str, text: str, tables: Mapping[str, str]) -> str:
    """A page with its generated parts renewed."""
    for part, table in tables.items():
        start, end = f"<!-- {part}: generated -->", f"<!-- /{part} -->"
        pattern = re.compile(f"{re.escape(start)}.*?{re.escape(end)}", re.DOTALL)
        if not pattern.search(text):
            raise SystemExit(f"{name} has no place for the {part}: {start} … {end}")
        text = pattern.sub(lambda _, block=f"{start}\n{table}\n{end}": block, text)  # type: ignore[misc]
    return text


def recipes(page: Path) -> str:
    """A page with the files of `examples/`, each in the first block after its link."""

    def filled(found: re.Match[str]) -> str:
        return f"{found['text']}{found['fence']}{(page.parent / found['path']).read_text(encoding='utf-8')}```\n"

    return RECIPE.sub(filled, page.read_text(encoding="utf-8"))


def _row(definition: Input, reference: str) -> str:
    """An input's name, default, and the first sentence of its meaning."""
    shown = definition.action_default or definition.default
    default = f"`{shown}`" if shown else ""
    sentence = re.split(r"(?<=\.) (?=[A-Z`0-9])", definition.meaning, maxsplit=1)[0]
    return f"| [`{definition.name}`]({reference}#{definition.name}) | {default} | {_cell(sentence)} |"


def _operations(definition: Input) -> str:
    """The operations on which an input has an effect."""
    if definition.operations == frozenset(operation for operation in Operation if operation.writes):
        return "all that write"
    if missing := [operation for operation in Operation if operation not in definition.operations]:
        few = len(missing) == 1
        named = missing if few else [operation for operation in Operation if operation in definition.operations]
        return ("all but " if few else "") + ", ".join(f"`{operation}`" for operation in named)
    return "all"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main(arguments: list[str]) -> int:
    """Write or check the files."""
    wanted = {ROOT / "action.yml": action_yml()}
    pages = {ROOT / "README.md": readme_tables()}
    pages |= {ROOT / "docs" / "operations" / f"{each}.md": operation_tables(each) for each in Operation}
    for page, tables in pages.items():
        wanted[page] = renewed(page.name, page.read_text(encoding="utf-8"), tables)
    for page in (ROOT / "docs" / "recipes.md", ROOT / "docs" / "how-to" / "usage-file.md"):
        wanted[page] = recipes(page)
    status = 0
    for place, text in wanted.items():
        if place.exists() and place.read_text(encoding="utf-8") == text:
            continue
        if "--check" in arguments:
            print(f"{place.name} is not as generated; run `make generate`")
            status = 1
        else:
            place.write_text(text, encoding="utf-8")
            print(f"wrote {place.name}")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
