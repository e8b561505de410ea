"""The two doors: where the texts of the inputs come from.

The Action's inputs arrive as `INPUT_<NAME>` in upper case with hyphens kept (docs/github-behaviour.md, "The Actions
runner"); the command line's as options of the same names, made from the same definition.
"""

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Never

from package_keeper import __version__
from package_keeper.errors import BadInput
from package_keeper.inputs.definitions import COMMAND_MEANINGS, INPUTS, INPUTS_BY_NAME, OPERATION_MEANINGS, Kind
from package_keeper.inputs.parser import unknown_input
from package_keeper.inputs.schemas import SCHEMAS, schema_text
from package_keeper.inputs.values import NOT_UTF8, nearest, readable
from package_keeper.settings import Operation

EXPLAIN = "explain"

_RUNNER_OWN = ("ENTRYPOINT", "ARGS")
_NO_VALUE = "\0"
"""Stands for the value that was not given; no argument of a process can be it."""

EXAMPLES = """\
examples:
  package-keeper list --owner acme --package-type npm
  package-keeper list --owner acme --package app --tags 'pr-*' --format json
  package-keeper delete --owner acme --package app --tags 'pr-*' --older-than 30d
  package-keeper delete --owner acme --package app --tags 'pr-*' --older-than 30d --no-dry-run
  package-keeper restore --owner acme --undo package-keeper-receipt.jsonl --no-dry-run
  package-keeper explain --owner acme --policy policy.yml
  package-keeper list --owner acme --package '*' --query 'SELECT package, count(*) FROM versions GROUP BY package'
  package-keeper schema

The token is read from GH_TOKEN, then GITHUB_TOKEN. Operations that write only show their plan unless --no-dry-run is
given. exit status: 0 done, 1 items failed, 2 bad input, 3 refused by a guard, 4 authentication, 5 GitHub unreachable,
130 cancelled.
"""


@dataclass(kw_only=True)
class Request:
    """What came in through a door: the texts of the inputs, defaults from the environment, and problems so far."""

    texts: dict[str, str]
    defaults: dict[str, str]
    problems: list[str] = field(default_factory=list)
    output_format: str = "table"
    explains: bool = False
    """Whether the command is `explain`: a `list` of every version with the decision of a deletion."""


class ShowAndExit(Exception):
    """`--help` or `--version`: print `text` and end well."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


def from_action(environ: Mapping[str, str]) -> Request:
    """Read the Action's inputs. An unknown `INPUT_…` is a problem: a misspelt keep list protects nothing."""
    texts: dict[str, str] = {}
    problems: list[str] = []
    for variable, text in environ.items():
        if not variable.upper().startswith("INPUT_"):
            continue
        name = variable[len("INPUT_") :]
        if name.upper() in _RUNNER_OWN:
            continue
        known = name.lower()
        if known not in INPUTS_BY_NAME:
            problems.append(unknown_input(name, known or variable))
        elif texts.get(known, text) != text:
            problems.append(f"{known}: given twice, in different capitals and with different values")
        else:
            texts[known] = text
    return _in_utf_8(Request(texts=texts, defaults=_environment_defaults(environ), problems=sorted(problems)))


def from_command_line(arguments: Sequence[str], environ: Mapping[str, str]) -> Request:
    """Read the command line. Raises `ShowAndExit`, for `--help`, `--version` and `schema`, or `BadInput`."""
    parser = _parser()
    if not arguments:
        raise ShowAndExit(parser.format_help())
    problems: list[str] = []
    if arguments[0] == "schema" and not any(argument in ("-h", "--help") for argument in arguments):
        _show_schema(arguments[1:])
    parsed, unknown = parser.parse_known_args(_explicit_booleans(arguments))
    problems += _unknown(unknown)
    if parsed.token is not None:
        problems.append("--token: a token on the command line is seen by others; set GH_TOKEN or GITHUB_TOKEN")
    if not parsed.operation:
        problems.append(f"the operation is missing; it stands first and is one of {', '.join(Operation)}")
    explains = parsed.operation == EXPLAIN
    operation = Operation.LIST if explains else parsed.operation or ""
    texts = {"operation": str(operation), "token": _token(environ)}
    for definition in INPUTS:
        values = getattr(parsed, definition.name, None)
        if definition.name in ("operation", "token") or values is None:
            continue
        if _NO_VALUE in values:
            problems.append(f"--{definition.name}: a value is missing after it")
        elif len(set(values)) > 1 and not definition.is_list:
            problems.append(f"--{definition.name}: given twice with different values: {' and '.join(values)}")
        else:
            texts[definition.name] = "\n".join(values) if definition.is_list else values[0]
    formats = set(parsed.output_format or ["table"])
    if len(formats) > 1 or not formats <= {"table", "json"}:
        problems.append("--format: accepted is table or json")
    return _in_utf_8(
        Request(
            texts=texts,
            defaults=_environment_defaults(environ),
            problems=problems,
            output_format="json" if "json" in formats else "table",
            explains=explains,
        )
    )


def _in_utf_8(request: Request) -> Request:
    """The same request in UTF-8; bytes that are none are a problem, and could not even be reported."""
    problems = []
    for texts in (request.texts, request.defaults):
        for name, text in texts.items():
            if not NOT_UTF8.search(text):
                continue
            entry = next(entry for entry in re.split(r"[,\n]", text) if NOT_UTF8.search(entry)).strip()
            shown = "" if name == "token" else f" '{entry}'"
            problems.append(f"{name}:{shown} holds bytes that are no UTF-8; accepted is text in UTF-8")
            texts[name] = readable(text)
    request.problems = [readable(problem) for problem in request.problems + problems]
    return request


def _unknown(arguments: Sequence[str]) -> list[str]:
    problems: list[str] = []
    for argument in arguments:
        if argument.startswith("--"):
            option = argument[2:].partition("=")[0]
            problems.append(unknown_input(option.removeprefix("no-"), f"--{option}"))
        elif not problems or not problems[-1].startswith("--"):
            problems.append(f"'{argument}': unexpected; the operation stands alone, everything else is an option")
    return problems


def _show_schema(arguments: Sequence[str]) -> Never:
    """Print a JSON Schema, the policy's unless another is named."""
    names = list(arguments) or ["policy"]
    if len(names) == 1 and names[0] in SCHEMAS:
        raise ShowAndExit(schema_text(names[0]))
    # nothing else is asked for, so nothing else can be missing
    raise BadInput([f"schema: '{' '.join(names)}' is not one of {', '.join(SCHEMAS)}{nearest(names[0], SCHEMAS)}"])


def _explicit_booleans(arguments: Sequence[str]) -> list[str]:
    """Write `--dry-run`, `--dry-run true` and `--no-dry-run` as `--dry-run=…`, so that no option takes what follows."""
    booleans = {definition.name for definition in INPUTS if definition.kind is Kind.BOOLEAN}
    found: list[str] = []
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        name = argument.removeprefix("--")
        if argument == f"--{name}" and name in booleans:
            value = rest.pop(0) if rest and rest[0].lower() in ("true", "false") else "true"
            found.append(f"--{name}={value}")
        elif argument == f"--no-{name.removeprefix('no-')}" and name.removeprefix("no-") in booleans:
            found.append(f"--{name.removeprefix('no-')}=false")
        else:
            found.append(argument)
    return found


def _token(environ: Mapping[str, str]) -> str:
    return environ.get("GH_TOKEN", "") or environ.get("GITHUB_TOKEN", "")


def _environment_defaults(environ: Mapping[str, str]) -> dict[str, str]:
    return {
        "owner": environ.get("GITHUB_REPOSITORY_OWNER", ""),
        "api-url": environ.get("GITHUB_API_URL", ""),
    }


class _Show(argparse.Action):
    """Like argparse's own help and version actions, without printing or leaving."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: Any, values: Any, option_string: Any = None) -> None:
        del namespace, values, option_string
        raise ShowAndExit(f"package-keeper {__version__}\n" if self.dest == "version" else parser.format_help())


def _parser() -> argparse.ArgumentParser:
    commands = [*OPERATION_MEANINGS.items(), *COMMAND_MEANINGS.items()]
    operations = "\n".join(f"  {operation:<16} {meaning}" for operation, meaning in commands)
    parser = argparse.ArgumentParser(
        prog="package-keeper",
        usage="package-keeper OPERATION [options]",
        description=f"List, delete and restore GitHub Packages, safely.\n\noperations:\n{operations}",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        add_help=False,
    )
    parser.add_argument("operation", nargs="?", metavar="OPERATION", help=argparse.SUPPRESS)
    for section, definitions in groupby(INPUTS, key=lambda definition: definition.section):
        group = parser.add_argument_group(section)
        for definition in definitions:
            if definition.name not in ("operation", "token"):
                _add_option(group, definition.name)
    other = parser.add_argument_group("Command line")
    other.add_argument(
        "--format",
        dest="output_format",
        action="append",
        nargs="?",
        const=_NO_VALUE,
        metavar="table|json",
        help="How to print the result. Default: table.",
    )
    # taken so that its value is never shown; a token on a command line is a problem
    other.add_argument("--token", dest="token", nargs="?", const="", help=argparse.SUPPRESS)
    other.add_argument("--version", action=_Show, nargs=0, help="Show the version and exit.")
    other.add_argument("-h", "--help", action=_Show, nargs=0, help="Show this and exit.")
    return parser


def _add_option(group: Any, name: str) -> None:
    definition = INPUTS_BY_NAME[name]
    notes = [definition.meaning.replace("`", "'")]
    if definition.choices and definition.kind is not Kind.BOOLEAN:
        notes.append(f"One of: {', '.join(definition.choices)}.")
    if definition.default:
        notes.append(f"Default: {definition.default}.")
    text = " ".join(notes).replace("%", "%%")
    names = {
        Kind.AGE: "AGE",
        Kind.DURATION: "DURATION",
        Kind.NUMBER: "N",
        Kind.PATH: "PATH",
        Kind.URL: "URL",
        Kind.BOOLEAN: "true|false",
    }
    metavar = names.get(definition.kind, name.upper().replace("-", "_"))
    if definition.kind is Kind.BOOLEAN:
        text = f"{text} --no-{name} is --{name} false."
    # every option may stand alone and twice, so that all that is wrong can be said at once
    group.add_argument(f"--{name}", dest=name, action="append", nargs="?", const=_NO_VALUE, metavar=metavar, help=text)
