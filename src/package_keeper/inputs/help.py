"""Help and completion of the command line. Imported only when asked for."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from textwrap import wrap

from package_keeper.inputs.definitions import (
    COMMAND_MEANINGS,
    INPUTS,
    INPUTS_BY_NAME,
    OPERATION_MEANINGS,
    SHORT_NAMES,
    USUAL,
    Input,
    Kind,
)
from package_keeper.settings import Operation

SHELLS = ("bash", "zsh", "fish")
WIDTH = 80
_COLUMN = 30
"""The column in which meanings begin."""

OWN_OPTIONS = {
    "yes": "Answer the question before the first write.",
    "format": "How to print the result: table (default) or json.",
    "help": "Show the usual options.",
    "help-all": "Show every option.",
    "version": "Show the version.",
}
"""The options that are no inputs."""

EXAMPLES = {
    "list": "package-keeper list -o acme -T npm",
    "verify": "package-keeper verify -o acme -p app",
    "conflicts": "package-keeper conflicts -o acme",
    "delete": "package-keeper delete -o acme -p app -t 'pr-*' --older-than 30d --no-dry-run",
    "restore": "package-keeper restore -o acme --undo package-keeper-receipt.jsonl --no-dry-run",
    "repair": "package-keeper repair -o acme -p app --no-dry-run",
    "delete-package": "package-keeper delete-package -o acme -T npm -p left-pad --no-dry-run",
    "restore-package": "package-keeper restore-package -o acme -T npm -p left-pad --no-dry-run",
    "apply": "package-keeper apply -o acme --plan plan.json --no-dry-run",
    "explain": "package-keeper explain -o acme -p app --policy policy.yml",
    "completion": "source <(package-keeper completion bash)",
    "schema": "package-keeper schema plan",
}


def overview() -> str:
    """The operations, and how to go on."""
    return "\n".join(
        [
            "usage: package-keeper OPERATION [options]",
            "",
            "List, delete and restore GitHub Packages, safely.",
            "",
            *(f"  {name:<16} {meaning}" for name, meaning in _commands().items()),
            "",
            "package-keeper OPERATION --help shows its usual options, --help-all every one.",
            "The token is read from GH_TOKEN, then GITHUB_TOKEN: export GH_TOKEN=$(gh auth token)",
            "Nothing is written without --no-dry-run, and on a terminal not before a question.",
            "exit status: 0 done, 1 items failed, 2 bad input, 3 refused by a guard,",
            "4 authentication, 5 GitHub unreachable, 130 cancelled",
            "",
        ]
    )


def operation_help(name: str, *, everything: bool) -> str:
    """The options that have an effect on an operation or command; the usual ones on one screen, or every one."""
    inputs = _all_lines(name) if everything else _usual_lines(name)
    own = [option for option in _own_options(name) if everything or option != "version"]
    lines = [f"usage: package-keeper {name} [options]", "", *wrap(_commands()[name], WIDTH), "", *inputs]
    lines += [_line(option, "", OWN_OPTIONS[option]) for option in own]
    return "\n".join([*lines, "", f"example: {EXAMPLES[name]}", ""])


def _usual_lines(name: str) -> Iterator[str]:
    for each in inputs_of(name):
        if each.name in USUAL:
            yield _line(each.name, metavar(each), _first_sentence(each.meaning.replace("`", "")))


def _all_lines(name: str) -> Iterator[str]:
    for section, inputs in groupby(inputs_of(name), key=lambda each: each.section):
        yield f"{section}:"
        for each in inputs:
            yield from _whole_option(each)
        yield ""


def _own_options(name: str) -> list[str]:
    if not inputs_of(name):
        return ["help", "help-all"]
    writes = name in OPERATION_MEANINGS and Operation(name).writes
    return [option for option in OWN_OPTIONS if writes or option != "yes"]


def inputs_of(name: str) -> list[Input]:
    """The inputs that are options with an effect on an operation or command."""
    if name in ("schema", "completion"):
        return []
    operation = Operation.DELETE if name == "explain" else Operation(name)
    unused = ("operation", "token", *(("dry-run", "receipt", "limit", "plan-out") if name == "explain" else ()))
    return [each for each in INPUTS if each.name not in unused and operation in each.operations]


def _commands() -> dict[str, str]:
    return {operation.value: meaning for operation, meaning in OPERATION_MEANINGS.items()} | COMMAND_MEANINGS


def _whole_option(option: Input) -> Iterator[str]:
    meaning = option.meaning.replace("`", "")
    if option.choices and option.kind is not Kind.BOOLEAN:
        meaning += f" One of: {', '.join(option.choices)}."
    if option.default:
        meaning += f" Default: {option.default}."
    if option.kind is Kind.BOOLEAN:
        meaning += f" --no-{option.name} is --{option.name} false."
    first, *others = wrap(meaning, WIDTH - _COLUMN)
    yield _line(option.name, metavar(option), first)
    yield from (f"{'':{_COLUMN}}{each}" for each in others)


def _line(name: str, value: str, meaning: str) -> str:
    """An option with its short name, and as much of its meaning as fits on the line."""
    short = f"-{SHORT_NAMES[name]}, " if name in SHORT_NAMES else "    "
    head = f"  {short}--{name} {value}".rstrip()
    room = WIDTH - max(_COLUMN, len(head) + 2)
    meaning = meaning if len(meaning) <= room else f"{meaning[: room - 1].rstrip()}…"
    return f"{head:<{_COLUMN - 2}}  {meaning}"


def _first_sentence(meaning: str) -> str:
    return meaning.partition(". ")[0].rstrip(".")


def metavar(option: Input) -> str:
    """The name of an option's value."""
    names = {Kind.AGE: "AGE", Kind.DURATION: "DURATION", Kind.NUMBER: "N", Kind.PATH: "PATH", Kind.URL: "URL"}
    if option.kind is Kind.BOOLEAN:
        return ""
    return names.get(option.kind, option.name.rpartition("-")[2].upper())


# --- completion ---


def completion(shell: str) -> str:
    """The script that completes operations, options, choices and paths in a shell."""
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell]()


def _options(name: str) -> list[str]:
    return [*(each.name for each in inputs_of(name)), *_own_options(name)]


def _spelt(names: Iterable[str]) -> str:
    """Options as words of a shell; a boolean can be given with `no-` too."""
    found = []
    for name in names:
        found.append(f"--{name}")
        if name in INPUTS_BY_NAME and INPUTS_BY_NAME[name].kind is Kind.BOOLEAN:
            found.append(f"--no-{name}")
    return " ".join(found)


def _values() -> dict[str, str]:
    """The choices of the options that have some, as words."""
    choices = {each.name: " ".join(each.choices) for each in INPUTS if each.choices and each.kind is not Kind.BOOLEAN}
    return choices | {"format": "table json"}


def _pattern(name: str) -> str:
    return f"--{name}|-{SHORT_NAMES[name]}" if name in SHORT_NAMES else f"--{name}"


def _paths() -> str:
    return "|".join(_pattern(each.name) for each in INPUTS if each.kind in (Kind.PATH, Kind.GLOBS))


def _bash() -> str:
    values = "\n".join(
        f'    {_pattern(name)}) words="{words}";;' for name, words in _values().items() if name != "operation"
    )
    options = "\n".join(f'      {name}) words="{_spelt(_options(name))}";;' for name in _commands())
    return f"""\
_package_keeper() {{
  local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}} words=
  if [[ $COMP_CWORD -eq 1 ]]; then
    COMPREPLY=($(compgen -W "{" ".join(_commands())}" -- "$cur"))
    return
  fi
  case $prev in
{values}
    {_paths()}) COMPREPLY=($(compgen -f -- "$cur")); return;;
    schema) words="policy plan receipt";;
    completion) words="{" ".join(SHELLS)}";;
    *) case ${{COMP_WORDS[1]}} in
{options}
    esac;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}}
complete -F _package_keeper package-keeper
"""


def _zsh() -> str:
    commands = "\n".join(f"    '{name}:{_quoted(meaning)}'" for name, meaning in _commands().items())
    values = "\n".join(
        f"    {_pattern(name)}) compadd -- {words}; return;;"
        for name, words in _values().items()
        if name != "operation"
    )
    options = "\n".join(f"    {name}) compadd -- {_spelt(_options(name))};;" for name in _commands())
    return f"""\
#compdef package-keeper
_package_keeper() {{
  local -a commands=(
{commands}
  )
  if (( CURRENT == 2 )); then
    _describe operation commands
    return
  fi
  case ${{words[CURRENT-1]}} in
{values}
    {_paths()}) _files; return;;
    schema) compadd -- policy plan receipt; return;;
    completion) compadd -- {" ".join(SHELLS)}; return;;
  esac
  case ${{words[2]}} in
{options}
  esac
}}
compdef _package_keeper package-keeper
"""


def _fish() -> str:
    lines = ["complete -c package-keeper -f"]
    for name, meaning in _commands().items():
        lines.append(f"complete -c package-keeper -n __fish_use_subcommand -a {name} -d '{_quoted(meaning)}'")
    users: dict[str, list[str]] = {}
    for name in _commands():
        for option in _options(name):
            users.setdefault(option, []).append(name)
    for option, names in users.items():
        short = f" -s {SHORT_NAMES[option]}" if option in SHORT_NAMES else ""
        lines.append(
            f"complete -c package-keeper -n '__fish_seen_subcommand_from {' '.join(names)}' -l {option}{short}"
            f"{_fish_value(option)}"
        )
    lines += [
        f"complete -c package-keeper -n '__fish_seen_subcommand_from completion' -a '{' '.join(SHELLS)}'",
        "complete -c package-keeper -n '__fish_seen_subcommand_from schema' -a 'policy plan receipt'",
    ]
    return "\n".join(lines) + "\n"


def _fish_value(option: str) -> str:
    """How fish completes the value of an option."""
    if words := _values().get(option):
        return f" -x -a '{words}'"
    known = INPUTS_BY_NAME.get(option)
    if known is None or known.kind is Kind.BOOLEAN:
        return ""
    return " -r -F" if known.kind in (Kind.PATH, Kind.GLOBS) else " -x"


def _quoted(text: str) -> str:
    """A text for between single quotes in any of the shells."""
    return text.replace("'", "").replace(":", "")
