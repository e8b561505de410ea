"""The rules of the house (docs/architecture.md), read from the source; and proof that each rule can fail."""

import ast
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import pytest

SRC = Path(__file__).resolve().parent.parent.parent / "src" / "package_keeper"
OURS = "package_keeper"

MAY_IMPORT = {
    "__init__": frozenset[str](),
    "__main__": frozenset({"main", "stopping"}),
    "stopping": frozenset[str](),
    "causes": frozenset[str](),
    "errors": frozenset({"causes"}),
    "model": frozenset({"causes", "errors"}),
    "policy": frozenset({"model"}),
    "settings": frozenset({"model", "policy", "errors"}),
    "inputs": frozenset({"causes", "model", "policy", "settings", "errors"}),
    "report": frozenset({"model", "policy", "settings"}),
    "execution": frozenset({"causes", "model", "policy", "errors"}),
    "operations": frozenset({"causes", "model", "policy", "settings", "errors", "execution"}),
    "github": frozenset({"causes", "model", "errors"}),
    "runner": frozenset({"causes", "model", "errors", "stopping"}),
    "main": frozenset(
        {
            "causes",
            "errors",
            "model",
            "policy",
            "settings",
            "inputs",
            "execution",
            "operations",
            "github",
            "runner",
            "report",
            "stopping",
        }
    ),
}
"""Which rooms each room may import besides itself; the version number, in `__init__`, is everybody's."""

PURE = frozenset({"model", "policy", "report"})

IMPURE_MODULES = {
    "network": "socket ssl select selectors http urllib.request urllib.error ftplib smtplib asyncio urllib3 requests",
    "files and processes": "os io pathlib shutil tempfile glob fileinput mmap subprocess multiprocessing importlib",
    "the machine": "sys platform getpass locale signal",
    "clock and randomness": "time random secrets uuid",
    "logging and threads": "logging warnings threading concurrent queue",
}

IMPURE_CALLS = frozenset({"open", "print", "input", "breakpoint", "exec", "eval", "__import__"})
CLOCK_METHODS = frozenset({"now", "utcnow", "today"})

LIBRARIES = {
    "requests": frozenset({"github"}),
    "urllib3": frozenset({"github"}),
    "github": frozenset({"github"}),
    "msgspec": frozenset({"github", "inputs"}),
    "actions_toolkit": frozenset({"runner"}),
    "re2": frozenset({"inputs"}),
    "isodate": frozenset({"inputs"}),
    "semver": frozenset({"policy", "inputs"}),
    "yaml": frozenset({"inputs"}),
    "jsonschema": frozenset({"inputs"}),
}
"""The room of each library (docs/decisions/0001-runtime-dependencies.md)."""

STRUCTS = frozenset({"msgspec.Struct", "msgspec.field", "msgspec.structs.replace", "msgspec.structs.force_setattr"})
"""What classes with fields are made of, in every room (docs/decisions/0037-structs.md)."""

WRITERS = {
    ("github/rest.py", "PackagesWriter"): frozenset({"DELETE", "POST"}),
    ("github/registry.py", "RegistryWriter"): frozenset({"PUT"}),
}
"""The classes that may name a method that changes something, and which."""

METHODS = frozenset({"DELETE", "POST", "PUT", "PATCH"})

MAY_SAY_DRY_RUN = {
    "inputs": "reads it",
    "settings": "turns it into `Settings.writes`",
    "report": "tells people what kind of run it was",
    "main": "gives a dry run no writer",
    "operations/exit_status.py": "finds the result word, `planned`, of a run that is over",
}

POOL = "github/pool.py"
"""The one module that starts threads."""

READS_A_RUN = ("report", "main")

GUARDS = "policy/guards.py"

_SENDERS = frozenset({"execution/deletions.py", "execution/restorations.py"})
MAY_CALL = {
    "attempt": frozenset({"execution/executor.py"}),
    "delete_version": _SENDERS | {"execution/untag.py"},
    "restore_version": _SENDERS,
    "delete_package": _SENDERS,
    "restore_package": _SENDERS,
    "untag": _SENDERS,
    "retag": _SENDERS,
}
"""The methods that write, or lead to a write, and the only modules that call them."""

MOST_PROTOCOLS = 10

LONGEST = 600

DEFINITIONS = "inputs/definitions.py"
"""The one table of all inputs, which may be longer."""


@dataclass(frozen=True)
class Module:
    """One module: `path` is relative to the package."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path)

    @property
    def room(self) -> str:
        return self.path.partition("/")[0].removesuffix(".py")

    @cached_property
    def imports(self) -> tuple[tuple[str, int], ...]:
        """All imports as dotted names, wherever they stand; those of names from a module with the name."""
        found: list[tuple[str, int]] = []
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found += [(alias.name, node.lineno) for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                module = "." * node.level + (node.module or "")
                found += [(f"{module}.{alias.name}", node.lineno) for alias in node.names]
        return tuple(found)

    def at(self, line: int, problem: str) -> str:
        return f"{self.path}:{line}: {problem}"


Rule = Callable[[Module], Iterator[str]]


def is_of(name: str, module: str) -> bool:
    """Whether a dotted name is `module` or something in it."""
    return name == module or name.startswith(f"{module}.")


def rooms_import_only_their_neighbours(module: Module) -> Iterator[str]:
    """Who may import whom: the table in docs/architecture.md."""
    if module.room not in MAY_IMPORT:
        yield module.at(1, f"{module.room} is no room of the house")
        return
    for name, line in module.imports:
        if name.startswith("."):
            yield module.at(line, f"imports {name}; rooms are named in full")
        elif is_of(name, OURS):
            room = name.split(".")[1] if "." in name else ""
            if room not in MAY_IMPORT[module.room] | {module.room, "__version__"}:
                yield module.at(line, f"{module.room} may not import {name}")


def pure_rooms_touch_nothing(module: Module) -> Iterator[str]:
    """`model`, `policy` and `report`: no network, files, environment, clock, randomness, logging."""
    if module.room not in PURE:
        return
    for name, line in module.imports:
        for what, impure in IMPURE_MODULES.items():
            if any(is_of(name, each) for each in impure.split()):
                yield module.at(line, f"{module.room} is pure and may not import {name} ({what})")
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name) and node.func.id in IMPURE_CALLS:
            yield module.at(node.lineno, f"{module.room} is pure and may not call {node.func.id}()")
        if isinstance(node.func, ast.Attribute) and node.func.attr in CLOCK_METHODS:
            yield module.at(node.lineno, f"{module.room} is pure and may not call .{node.func.attr}()")


def only_main_reads_the_environment(module: Module) -> Iterator[str]:
    """`os.environ` and `os.getenv` stand in `main/` alone."""
    if module.room == "main":
        return
    names = ("environ", "environb", "getenv", "getenvb")
    for name, line in module.imports:
        if name in {f"os.{each}" for each in (*names, "*")}:
            yield module.at(line, f"imports {name}; only main reads the environment")
    for node in ast.walk(module.tree):
        if (
            isinstance(node, ast.Attribute)
            and node.attr in names
            and isinstance(node.value, ast.Name)
            and node.value.id == "os"
        ):
            yield module.at(node.lineno, f"os.{node.attr}; only main reads the environment")


def only_the_pool_starts_threads(module: Module) -> Iterator[str]:
    """Threads, pools and event loops belong to `github/pool.py`; an event or a lock may stand elsewhere."""
    if module.path == POOL:
        return
    starters = ("threading.Thread", "threading.Timer", "threading.*", "_thread", "asyncio", "multiprocessing")
    for name, line in module.imports:
        if any(is_of(name, each) for each in (*starters, "concurrent")):
            yield module.at(line, f"imports {name}; threads live in {POOL}")
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute) and node.attr in {"Thread", "Timer", "start_new_thread", "to_thread"}:
            yield module.at(node.lineno, f".{node.attr}; threads live in {POOL}")


def each_library_has_its_room(module: Module) -> Iterator[str]:
    """PyGithub in `github/`, actions-toolkit in `runner/`, and so on; an unknown library is no dependency of ours."""
    for name, line in module.imports:
        top = name.split(".")[0]
        if name.startswith(".") or name in STRUCTS or top == OURS or top in sys.stdlib_module_names:
            continue
        if top not in LIBRARIES:
            yield module.at(line, f"imports {top}, which is no dependency that this test knows")
        elif module.room not in LIBRARIES[top]:
            yield module.at(line, f"imports {top}, whose room is {', '.join(sorted(LIBRARIES[top]))}")


def only_writers_name_a_method_that_writes(module: Module) -> Iterator[str]:
    """Each writer class names its own methods that change something, and no session's `.delete(…)` is called.

    Where nothing can be sent, `.put(…)` is a queue's.
    """
    names = {name for name, _ in module.imports}
    queues = {"PUT"} if "queue.SimpleQueue" in names and not {"requests", "urllib3", "github"} & names else set()
    allowed: dict[ast.AST, frozenset[str]] = {}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ClassDef) and (module.path, node.name) in WRITERS:
            allowed.update(dict.fromkeys(ast.walk(node), WRITERS[module.path, node.name]))
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if node.value in METHODS - allowed.get(node, frozenset()):
                yield module.at(node.lineno, f"names the method {node.value}")
        elif (
            module.room == "github"
            and isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr.upper() in METHODS - queues
        ):
            yield module.at(node.lineno, f"calls .{node.func.attr}(…)")


def only_main_makes_writers(module: Module) -> Iterator[str]:
    """Who can make a writer can write: the classes are named where they are defined, and in `main/`."""
    if module.room == "main":
        return
    writers = {name for _, name in WRITERS}
    for node in ast.walk(module.tree):
        name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
        if name in writers:
            yield module.at(getattr(node, "lineno", 0), f"names {name}; only main makes writers")


def there_is_no_dry_run_below_main(module: Module) -> Iterator[str]:
    """A dry run is a run without a writer; nobody else asks whether it is one."""
    if module.room in MAY_SAY_DRY_RUN or module.path in MAY_SAY_DRY_RUN:
        return
    for node in ast.walk(module.tree):
        names = {
            ast.Name: "id",
            ast.Attribute: "attr",
            ast.arg: "arg",
            ast.keyword: "arg",
            ast.FunctionDef: "name",
            ast.alias: "name",
        }
        name = getattr(node, names.get(type(node), ""), None)
        if isinstance(name, str) and "dry_run" in name:
            yield module.at(getattr(node, "lineno", 0), f"{name}: there is no dry run below main")


def only_operations_put_a_run_together(module: Module) -> Iterator[str]:
    """Steps take values and give values: a `Run` is read by `report` and `main`, and made in `operations` alone."""
    if module.room == "operations" or module.path == "model/run.py":
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and module.room not in READS_A_RUN:
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            if any(each.annotation is not None and "Run" in _names(each.annotation) for each in arguments):
                yield module.at(node.lineno, f"{node.name} takes a Run")
        if not isinstance(node, ast.Call):
            continue
        made = isinstance(node.func, ast.Name) and node.func.id == "Run" and (node.args or node.keywords)
        changed = "replace" in _names(node.func) and node.args and _names(node.args[0]) & {"run", "_run"}
        if made or changed:
            yield module.at(node.lineno, "puts a Run together; only operations do")


def only_guards_make_a_guarded_plan(module: Module) -> Iterator[str]:
    """What can be written is a `GuardedPlan`, and only `policy/guards.py` makes one."""
    if module.path == GUARDS:
        return
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Call):
            continue
        made = "GuardedPlan" in _names(node.func)
        changed = "replace" in _names(node.func) and node.args and "guarded" in _names(node.args[0])
        if made or (changed and not isinstance(node.args[0], ast.Attribute)):
            yield module.at(node.lineno, f"makes a GuardedPlan; only {GUARDS} does")


def only_strategies_call_a_writer(module: Module) -> Iterator[str]:
    """A write is sent by the executor, from a guarded plan, through a strategy: nobody else calls a writer."""
    if module.room == "github":
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            callers = MAY_CALL.get(node.func.attr)
            if callers is not None and module.path not in callers:
                yield module.at(node.lineno, f"calls .{node.func.attr}(…); only {', '.join(sorted(callers))} may")


def _names(node: ast.AST) -> set[str]:
    """All names and attributes in an expression."""
    found = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
    found |= {each.attr for each in ast.walk(node) if isinstance(each, ast.Attribute)}
    texts = [each.value for each in ast.walk(node) if isinstance(each, ast.Constant) and isinstance(each.value, str)]
    return found.union(*(re.findall(r"\w+", text) for text in texts))


def modules_are_short(module: Module) -> Iterator[str]:
    """A module that does not fit into a head is two modules; a table of definitions is read line by line."""
    if module.path == DEFINITIONS:
        return
    lines = len(module.text.splitlines())
    if lines > LONGEST:
        yield module.at(lines, f"{lines} lines; {LONGEST} are enough")


RULES: tuple[Rule, ...] = (
    rooms_import_only_their_neighbours,
    pure_rooms_touch_nothing,
    only_main_reads_the_environment,
    only_the_pool_starts_threads,
    each_library_has_its_room,
    only_writers_name_a_method_that_writes,
    only_main_makes_writers,
    there_is_no_dry_run_below_main,
    only_operations_put_a_run_together,
    only_guards_make_a_guarded_plan,
    only_strategies_call_a_writer,
    modules_are_short,
)

VIOLATIONS: tuple[tuple[Rule, str, str], ...] = (
    (rooms_import_only_their_neighbours, "policy/a.py", "from package_keeper.errors import ApiError"),
    (rooms_import_only_their_neighbours, "policy/a.py", "import package_keeper.settings"),
    (rooms_import_only_their_neighbours, "model/a.py", "from package_keeper.policy import plan"),
    (rooms_import_only_their_neighbours, "execution/a.py", "from package_keeper.github.rest import PackagesWriter"),
    (rooms_import_only_their_neighbours, "execution/a.py", "def f():\n    from package_keeper.inputs import parser"),
    (rooms_import_only_their_neighbours, "github/a.py", "from package_keeper.runner.workspace import Workspace"),
    (rooms_import_only_their_neighbours, "runner/a.py", "from package_keeper import github"),
    (rooms_import_only_their_neighbours, "report/a.py", "from package_keeper.execution.executor import Executor"),
    (rooms_import_only_their_neighbours, "errors.py", "from package_keeper.model.packages import Owner"),
    (rooms_import_only_their_neighbours, "inputs/a.py", "import package_keeper"),
    (rooms_import_only_their_neighbours, "inputs/a.py", "from .. import github"),
    (rooms_import_only_their_neighbours, "attic/a.py", ""),
    (pure_rooms_touch_nothing, "model/a.py", "import os.path"),
    (pure_rooms_touch_nothing, "model/a.py", "from pathlib import Path"),
    (pure_rooms_touch_nothing, "policy/a.py", "import time"),
    (pure_rooms_touch_nothing, "policy/a.py", "import random"),
    (pure_rooms_touch_nothing, "policy/a.py", "import logging"),
    (pure_rooms_touch_nothing, "policy/a.py", "from datetime import datetime\nx = datetime.now()"),
    (pure_rooms_touch_nothing, "policy/a.py", "import datetime\nx = datetime.date.today()"),
    (pure_rooms_touch_nothing, "report/a.py", "from urllib import request"),
    (pure_rooms_touch_nothing, "report/a.py", "open('x')"),
    (pure_rooms_touch_nothing, "report/a.py", "print('x')"),
    (only_main_reads_the_environment, "runner/a.py", "import os\nx = os.environ.get('A')"),
    (only_main_reads_the_environment, "inputs/a.py", "import os\nx = os.getenv('A')"),
    (only_main_reads_the_environment, "github/a.py", "from os import environ"),
    (only_main_reads_the_environment, "execution/main.py", "import os\nx = os.environ"),
    (only_the_pool_starts_threads, "execution/a.py", "from concurrent.futures import ThreadPoolExecutor"),
    (only_the_pool_starts_threads, "runner/a.py", "import threading\nthreading.Thread(target=print)"),
    (only_the_pool_starts_threads, "main/app.py", "from threading import Thread"),
    (only_the_pool_starts_threads, "execution/a.py", "import asyncio"),
    (only_the_pool_starts_threads, "github/a.py", "import threading\nthreading.Thread(target=print)"),
    (only_the_pool_starts_threads, "github/a.py", "from concurrent.futures import ThreadPoolExecutor"),
    (each_library_has_its_room, "execution/a.py", "import requests"),
    (each_library_has_its_room, "execution/a.py", "from github import Github"),
    (each_library_has_its_room, "main/app.py", "import github"),
    (each_library_has_its_room, "execution/a.py", "from semver import Version"),
    (each_library_has_its_room, "policy/a.py", "import yaml"),
    (each_library_has_its_room, "policy/a.py", "from msgspec import Struct, json"),
    (each_library_has_its_room, "report/a.py", "def f():\n    from jsonschema import Draft202012Validator"),
    (each_library_has_its_room, "inputs/a.py", "from ruamel.yaml import YAML"),
    (each_library_has_its_room, "inputs/a.py", "from actions_toolkit import core"),
    (each_library_has_its_room, "report/a.py", "import rich.table"),
    (only_writers_name_a_method_that_writes, "github/a.py", "send('DELETE', '/x')"),
    (only_writers_name_a_method_that_writes, "execution/a.py", "METHOD = 'POST'"),
    (only_writers_name_a_method_that_writes, "github/rest.py", "class PackagesReader:\n    method = 'PUT'"),
    (only_writers_name_a_method_that_writes, "github/other.py", "class PackagesWriter:\n    method = 'PATCH'"),
    (only_writers_name_a_method_that_writes, "github/a.py", "session.delete('https://example.org')"),
    (
        only_writers_name_a_method_that_writes,
        "github/a.py",
        "import requests\nfrom queue import SimpleQueue\nrequests.put('https://example.org')",
    ),
    (only_writers_name_a_method_that_writes, "github/a.py", "from queue import SimpleQueue\nsession.post('/x')"),
    (only_writers_name_a_method_that_writes, "github/registry.py", "class Registry:\n    method = 'PUT'"),
    (only_writers_name_a_method_that_writes, "github/registry.py", "class RegistryWriter:\n    method = 'DELETE'"),
    (only_writers_name_a_method_that_writes, "github/rest.py", "class PackagesWriter:\n    method = 'PUT'"),
    (
        only_main_makes_writers,
        "github/identity.py",
        "from package_keeper.github import rest\nrest.PackagesWriter(1, 2)",
    ),
    (only_main_makes_writers, "github/registry.py", "def registry():\n    return RegistryWriter()"),
    (only_main_makes_writers, "execution/main.py", "from package_keeper.execution import x\nx.RegistryWriter()"),
    (there_is_no_dry_run_below_main, "execution/a.py", "def f(*, dry_run): ..."),
    (there_is_no_dry_run_below_main, "execution/a.py", "if settings.dry_run: ..."),
    (there_is_no_dry_run_below_main, "github/a.py", "HttpClient(dry_run=True)"),
    (there_is_no_dry_run_below_main, "policy/a.py", "is_dry_run = True"),
    (only_operations_put_a_run_together, "execution/a.py", "def step(run: Run) -> None: ..."),
    (only_operations_put_a_run_together, "execution/a.py", "def step(*, run: 'Run | None' = None) -> None: ..."),
    (only_operations_put_a_run_together, "main/a.py", "x = Run(plan=plan)"),
    (only_operations_put_a_run_together, "main/a.py", "self._run = replace(self._run, broken=1)"),
    (only_operations_put_a_run_together, "report/a.py", "x = dataclasses.replace(run, broken=1)"),
    (only_guards_make_a_guarded_plan, "operations/a.py", "x = GuardedPlan(plan=plan, now=plan.writes)"),
    (only_guards_make_a_guarded_plan, "execution/a.py", "x = plan_module.GuardedPlan(plan=plan)"),
    (only_guards_make_a_guarded_plan, "operations/a.py", "x = replace(guarded, now=guarded.plan.writes)"),
    (only_strategies_call_a_writer, "operations/a.py", "writing.writer.delete_version(package, 1)"),
    (only_strategies_call_a_writer, "main/a.py", "writer.restore_package(package)"),
    (only_strategies_call_a_writer, "operations/a.py", "strategy.attempt(write)"),
    (only_strategies_call_a_writer, "operations/a.py", "writing.untagger.untag(write)"),
    (modules_are_short, "execution/a.py", "x = 1\n" * (LONGEST + 1)),
)

HARMLESS: tuple[tuple[str, str], ...] = (
    ("operations/a.py", "def step(run: Run) -> Run:\n    return replace(run, plan=guarded.plan)"),
    ("report/a.py", "def summary(run: Run) -> str:\n    return str(run.broken)"),
    ("main/a.py", "x = Run()"),
    ("operations/a.py", "x = replace(guarded.plan, groups=())"),
    (
        "main/app.py",
        "import os\nfrom package_keeper.github.rest import PackagesWriter\nx = os.environ\ndry_run = False",
    ),
    (
        "policy/a.py",
        "import re\nfrom datetime import datetime, timedelta\nfrom package_keeper.model import images",
    ),
    ("report/a.py", "import json\nfrom urllib.parse import quote\nimport unicodedata"),
    ("inputs/a.py", "from package_keeper import __version__\nimport re2\nDEFAULT = 'delete'"),
    ("inputs/a.py", "import yaml\nfrom semver import Version\n\n\ndef f():\n    from jsonschema import exceptions"),
    ("policy/a.py", "import sqlite3\nimport json\nfrom semver import Version"),
    ("main/__init__.py", "import os\nfrom package_keeper.main import app\nx = os.environ"),
    ("runner/a.py", "import threading\nevent = threading.Event()"),
    ("github/a.py", "import requests\nimport threading\nheld = threading.local()\nsession.request('GET', '/x')"),
    (POOL, "import threading\nfrom queue import SimpleQueue\nthreading.Thread(target=print)\nSimpleQueue().put(1)"),
    ("github/rest.py", "class PackagesWriter:\n    def f(self):\n        self.send('DELETE', '/x')"),
    ("github/registry.py", "class RegistryWriter(Registry):\n    def put(self):\n        self.send('PUT', '/x')"),
    ("execution/a.py", "class Delete:\n    name = 'delete'\n\n    def f(self):\n        self.writer.delete('x')"),
)


@cache
def modules(folder: Path = SRC) -> list[Module]:
    files = sorted(folder.rglob("*.py"))
    return [Module(file.relative_to(folder).as_posix(), file.read_text(encoding="utf-8")) for file in files]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_house_keeps(rule: Rule) -> None:
    found = modules()
    assert len(found) > 30
    assert {module.room for module in found} == set(MAY_IMPORT)
    assert [problem for module in found for problem in rule(module)] == []


@pytest.mark.parametrize(("rule", "path", "text"), VIOLATIONS)
def test_would_find(rule: Rule, path: str, text: str) -> None:
    assert list(rule(Module(path, text)))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_has_a_violation_to_find(rule: Rule) -> None:
    assert any(each is rule for each, _, _ in VIOLATIONS)


@pytest.mark.parametrize(("path", "text"), HARMLESS)
def test_lets_pass(path: str, text: str) -> None:
    assert [problem for rule in RULES for problem in rule(Module(path, text))] == []


@pytest.mark.parametrize("path", [path for path in MAY_SAY_DRY_RUN if path.endswith(".py")])
def test_exceptions_are_still_needed(path: str) -> None:
    assert "dry_run" in (SRC / path).read_text(encoding="utf-8"), "take it off the list"


@pytest.mark.parametrize(("path", "name"), sorted(WRITERS))
def test_writers_are_where_they_are_said_to_be(path: str, name: str) -> None:
    tree = ast.parse((SRC / path).read_text(encoding="utf-8"))
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name]
    named = {node.value for node in ast.walk(classes[0]) if isinstance(node, ast.Constant)}
    assert named & METHODS == WRITERS[path, name]


def test_imports_have_no_circle() -> None:
    """Within a room too, each module can be read after those that it imports."""
    graph = {
        "package_keeper." + module.path.removesuffix(".py").replace("/", "."): {
            name for name, _ in module.imports if is_of(name, OURS)
        }
        for module in modules()
    }
    edges = {
        name: {other for other in graph if other != name and any(is_of(each, other) for each in names)}
        for name, names in graph.items()
    }
    left = dict(edges)
    while ready := [name for name, needs in left.items() if not needs & left.keys()]:
        for name in ready:
            del left[name]
    assert left == {}


def test_there_are_few_protocols() -> None:
    """Each is a seam that a reader has to know."""
    found = [
        f"{module.path}: {node.name}"
        for module in modules()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef) and any("Protocol" in _names(base) for base in node.bases)
    ]
    assert len(found) <= MOST_PROTOCOLS, found


def test_no_unit_test_starts_a_process() -> None:
    """A test that starts one belongs into `tests/wire` or `tests/contract`."""
    starters = ("subprocess", "multiprocessing", "tests.program", "tests.scenarios.program.Place")
    imports = [(module.path, name) for module in modules(Path(__file__).parent) for name, _ in module.imports]
    assert ("test_architecture.py", "ast") in imports
    assert [each for each in imports if any(is_of(each[1], starter) for starter in starters)] == []
