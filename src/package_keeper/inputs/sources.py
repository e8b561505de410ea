"""The two sources of the inputs: the environment of the Action, and the command line.

The runner passes an input of the Action as `INPUT_<NAME>`, in upper case with hyphens kept (docs/github-behaviour.md,
"The Actions runner"). On the command line an input is an option of the same name.
"""

import argparse
import re
from collections.abc import Mapping, Sequence
from typing import Any, Never

from msgspec import Struct, field

from package_keeper import __version__
from package_keeper.errors import BadInput
from package_keeper.inputs.definitions import COMMAND_MEANINGS, INPUTS, INPUTS_BY_NAME, SHORT_NAMES, Kind
from package_keeper.inputs.schemas import SCHEMAS, schema_text
from package_keeper.inputs.values import NOT_UTF8, nearest, readable
from package_keeper.settings import Operation, OutputFormat

EXPLAIN = "explain"

_RUNNER_OWN = ("ENTRYPOINT", "ARGS")
_NO_VALUE = "\0"
"""The value of an option that was given without one. No argument of a process can contain it."""


class Request(Struct, kw_only=True):
    """What the user asked for, as text: `texts` by the names of the inputs, and `problems` found so far.

    `defaults` come from the environment. `explains`: the command is `explain`, a `list` of every version with what
    `delete` would decide about it. `is_sure`: the option `--yes` answers the question before the first write.
    """

    texts: dict[str, str]
    defaults: dict[str, str]
    problems: list[str] = field(default_factory=list)
    output_format: OutputFormat = OutputFormat.TABLE
    explains: bool = False
    is_sure: bool = False

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
    _show_help(arguments)
    if arguments[0] == "schema":
        _show_schema(arguments[1:])
    if arguments[0] == "completion":
        _show_completion(arguments[1:])
    parser = _parser()
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
            is_sure=parsed.is_sure,
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


def _show_help(arguments: Sequence[str]) -> None:
    """Show the help that is asked for, or the overview when nothing is asked for."""
    everything = "--help-all" in arguments
    if arguments and not everything and "-h" not in arguments and "--help" not in arguments:
        return
    from package_keeper.inputs.help import operation_help, overview  # noqa: PLC0415  # reason: start-up time

    names = [*Operation, *COMMAND_MEANINGS]
    name = next((argument for argument in arguments if argument in names), "")
    if name or not everything:
        raise ShowAndExit(operation_help(name, everything=everything) if name else overview())
    raise ShowAndExit("\n".join(operation_help(each, everything=True) for each in names))


def _show_completion(arguments: Sequence[str]) -> Never:
    from package_keeper.inputs.help import SHELLS, completion  # noqa: PLC0415  # reason: start-up time

    if len(arguments) == 1 and arguments[0] in SHELLS:
        raise ShowAndExit(completion(arguments[0]))
    raise BadInput([f"completion: '{' '.join(arguments)}' is not one of {', '.join(SHELLS)}"])


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
    """The version, without argparse's printing and exiting."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: Any, values: Any, option_string: Any = None) -> None:
        del parser, namespace, values, option_string
        raise ShowAndExit(f"package-keeper {__version__}\n")


def _parser() -> argparse.ArgumentParser:
    # argparse must accept a missing value and a repeated option, so that all problems are reported at once
    parser = argparse.ArgumentParser(prog="package-keeper", allow_abbrev=False, add_help=False)
    parser.add_argument("operation", nargs="?")
    for definition in INPUTS:
        name = definition.name
        if name not in ("operation", "token"):
            short = [f"-{SHORT_NAMES[name]}"] if name in SHORT_NAMES else []
            parser.add_argument(f"--{name}", *short, dest=name, action="append", nargs="?", const=_NO_VALUE)
    parser.add_argument("--format", dest="output_format", action="append", nargs="?", const=_NO_VALUE)
    parser.add_argument("--yes", f"-{SHORT_NAMES['yes']}", dest="is_sure", action="store_true")
    # defined so that argparse does not report its value as an unknown argument
    parser.add_argument("--token", dest="token", nargs="?", const="")
    parser.add_argument("--version", action=_Show, nargs=0)
    return parser
