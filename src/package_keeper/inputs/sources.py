"""The two sources of the inputs: the environment of the Action, and the command line.

The runner passes an input of the Action as `INPUT_<NAME>`, in upper case with hyphens kept (docs/github-behaviour.md,
"The Actions runner"). On the command line an input is an option of the same name.
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
from package_keeper.inputs.schemas import SCHEMAS, schema_text
from package_keeper.inputs.values import NOT_UTF8, nearest, readable
from package_keeper.settings import Operation, OutputFormat

EXPLAIN = "explain"

_RUNNER_OWN = ("ENTRYPOINT", "ARGS")
_NO_VALUE = "\0"
"""The value of an option that was given without one. No argument of a process can contain it."""

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
    """What the user asked for, as text: `texts` by the names of the inputs, and `problems` found so far.

    `defaults` come from the environment. `explains`: the command is `explain`, a `list` of every version with what
    `delete` would decide about it.
    """

    texts: dict[str, str]
    defaults: dict[str, str]
    problems: list[str] = field(default_factory=list)
    output_format: OutputFormat = OutputFormat.TABLE
    explains: bool = False

    def text(self, name: str) -> str:
        """The text of an input without blanks around it, or its default."""
        return self.texts.get(name, "").strip() or self.defaults.get(name, "") or INPUTS_BY_NAME[name].default


class ShowAndExit(Exception):
    """`--help`, `--version` or `schema`: print `text` and exit with status 0."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


def from_action(environ: Mapping[str, str]) -> Request:
    """Read the Action's inputs. An unknown `INPUT_…` is a problem, because a misspelt keep list protects nothing."""
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
            problems.append(_unknown_input(name, known or variable))
        elif texts.get(known, text) != text:
            problems.append(f"{known}: given twice, in different capitals and with different values")
        else:
            texts[known] = text
    return _in_utf_8(Request(texts=texts, defaults=_environment_defaults(environ), problems=sorted(problems)))


def from_command_line(arguments: Sequence[str], environ: Mapping[str, str]) -> Request:
    """Read the command line. Raises `ShowAndExit` for `--help`, `--version` and `schema`, and `BadInput`."""
    parser = _parser()
    if not arguments:
        raise ShowAndExit(parser.format_help())
    if arguments[0] == "schema" and not any(argument in ("-h", "--help") for argument in arguments):
        _show_schema(arguments[1:])
    parsed, unknown = parser.parse_known_args(_explicit_booleans(arguments))
    problems = _unknown(unknown)
    if parsed.token is not None:
        problems.append("--token: others can see a token on the command line; set GH_TOKEN or GITHUB_TOKEN")
    if not parsed.operation:
        problems.append(f"the operation is missing; it comes first and is one of {', '.join(Operation)}")
    explains = parsed.operation == EXPLAIN
    operation = Operation.LIST if explains else parsed.operation or ""
    texts = {"operation": str(operation), "token": environ.get("GH_TOKEN", "") or environ.get("GITHUB_TOKEN", "")}
    texts |= _option_texts(parsed, problems)
    formats = set(parsed.output_format or [OutputFormat.TABLE])
    if len(formats) > 1 or not formats <= set(OutputFormat):
        problems.append("--format: accepted is table or json")
    return _in_utf_8(
        Request(
            texts=texts,
            defaults=_environment_defaults(environ),
            problems=problems,
            output_format=OutputFormat.JSON if OutputFormat.JSON in formats else OutputFormat.TABLE,
            explains=explains,
        )
    )


def _option_texts(parsed: argparse.Namespace, problems: list[str]) -> dict[str, str]:
    """The texts of the options that were given, by the names of their inputs; adds to `problems`."""
    texts: dict[str, str] = {}
    for definition in INPUTS:
        name = definition.name
        values = getattr(parsed, name, None)
        if name in ("operation", "token") or values is None:
            continue
        if _NO_VALUE in values:
            problems.append(f"--{name}: a value is missing after it")
        elif len(set(values)) > 1 and not definition.is_list:
            problems.append(f"--{name}: given twice with different values: {' and '.join(values)}")
        else:
            texts[name] = "\n".join(values) if definition.is_list else values[0]
    return texts


def _in_utf_8(request: Request) -> Request:
    """Replace bytes that are not UTF-8, which no report could show, and add a problem for them."""
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


def _unknown_input(name: str, shown: str) -> str:
    """The problem with an input or option that does not exist, with the name that is nearest to `name`."""
    return f"{shown}: there is no such input{nearest(name, INPUTS_BY_NAME)}"


def _unknown(arguments: Sequence[str]) -> list[str]:
    problems: list[str] = []
    for argument in arguments:
        if argument.startswith("--"):
            option = argument[2:].partition("=")[0]
            problems.append(_unknown_input(option.removeprefix("no-"), f"--{option}"))
        elif not problems or not problems[-1].startswith("--"):
            problems.append(
                f"'{argument}': unexpected; only the operation is an argument, everything else is an option"
            )
    return problems


def _show_schema(arguments: Sequence[str]) -> Never:
    """Print a JSON Schema, the policy's unless another is named."""
    names = list(arguments) or ["policy"]
    if len(names) == 1 and names[0] in SCHEMAS:
        raise ShowAndExit(schema_text(names[0]))
    raise BadInput([f"schema: '{' '.join(names)}' is not one of {', '.join(SCHEMAS)}{nearest(names[0], SCHEMAS)}"])


def _explicit_booleans(arguments: Sequence[str]) -> list[str]:
    """Rewrite `--dry-run`, `--dry-run true` and `--no-dry-run` as `--dry-run=…`, for every boolean.

    Otherwise argparse would take the argument after `--dry-run` as its value.
    """
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


def _environment_defaults(environ: Mapping[str, str]) -> dict[str, str]:
    return {
        "owner": environ.get("GITHUB_REPOSITORY_OWNER", ""),
        "api-url": environ.get("GITHUB_API_URL", ""),
    }


class _ArgumentParser(argparse.ArgumentParser):
    """Raises `BadInput` where argparse would print its usage and exit."""

    def error(self, message: str) -> Never:
        raise BadInput([message])


class _Show(argparse.Action):
    """Help and version, without argparse's printing and exiting."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: Any, values: Any, option_string: Any = None) -> None:
        del namespace, values, option_string
        raise ShowAndExit(f"package-keeper {__version__}\n" if self.dest == "version" else parser.format_help())


def _parser() -> argparse.ArgumentParser:
    commands = [*OPERATION_MEANINGS.items(), *COMMAND_MEANINGS.items()]
    operations = "\n".join(f"  {operation:<16} {meaning}" for operation, meaning in commands)
    parser = _ArgumentParser(
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
    # defined so that argparse does not report its value as an unknown argument
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
    # argparse must accept a missing value and a repeated option, so that all problems are reported at once
    group.add_argument(f"--{name}", dest=name, action="append", nargs="?", const=_NO_VALUE, metavar=metavar, help=text)
