"""Tries mutants: for each a process is forked in which its tests are collected already, and the first failure ends it.

In that process the mutant takes the place of the original in all that was imported, and the programs that the tests run
are forked from it. What tests start in any other way has the original code; that can only let a mutant survive.
"""

from __future__ import annotations

import ast
import faulthandler
import gc
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType, ModuleType

import pytest

from tests.mutation.mutants import PACKAGE, Mutant, mutated_tree, path_of
from tests.mutation.programs import fork_programs, import_all
from tests.mutation.tracing import Tracer, append

_FAILED, _ERROR = 3, 4
_MEMORY = 4 << 30


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A mutant, or none, and the tests to run, each with the seconds that it may take."""

    mutant: Mutant | None
    tests: Sequence[tuple[str, float]]
    is_all: bool = True
    """Whether these are all tests that can notice the mutant."""


@dataclass(frozen=True, kw_only=True)
class Tried:
    """What came of a trial: `killed`, `timeout` (killed too) or `survived`, or `error` when the trial itself failed."""

    trial: Trial
    status: str
    killer: str
    reached: Sequence[tuple[str, float, dict[str, list[int]]]] = ()
    """Without a mutant: the seconds of each test, and the lines that it reached, in several parts."""
    failed: Sequence[str] = ()
    """Without a mutant: the tests that failed."""


def run_trials(
    files: Sequence[str], trials: Callable[[list[str]], Iterable[Trial]], jobs: int, tell: Callable[[Tried], None]
) -> None:
    """Collect the tests of `files`, make trials of their names, and run these, `jobs` at a time."""
    # no capture with files: the processes would share them
    options = ["-qq", "--no-header", "--no-summary", "--capture=sys", "-p", "no:cacheprovider", "-p", "no:xdist"]
    status = pytest.main([*options, *files], plugins=[_Trials(trials, jobs, tell)])
    if status not in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}:
        sys.exit("the tests could not be collected")


class _Trials:
    """A plugin of pytest that runs trials instead of the tests that were collected."""

    def __init__(
        self, trials: Callable[[list[str]], Iterable[Trial]], jobs: int, tell: Callable[[Tried], None]
    ) -> None:
        self._trials = trials
        self._jobs = jobs
        self._tell = tell
        self._running: dict[int, tuple[Trial, Path]] = {}
        self._has_failed = False

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a failure, in the process of a trial."""
        self._has_failed |= report.failed

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run all trials."""
        items = {item.nodeid: item for item in session.items}
        import_all()
        originals = _functions()
        gc.collect()
        gc.freeze()
        try:
            for trial in self._trials(list(items)):
                while len(self._running) >= self._jobs:
                    self._wait()
                self._begin(trial, [(items[test], most) for test, most in trial.tests if test in items], originals)
            while self._running:
                self._wait()
        finally:
            for process, (_, folder) in self._running.items():
                _end_group(process)
                shutil.rmtree(folder, ignore_errors=True)
        return True

    def _begin(self, trial: Trial, items: Sequence[tuple[pytest.Item, float]], originals: _Originals) -> None:
        folder = Path(tempfile.mkdtemp(prefix="mutant-"))
        process = os.fork()
        if process:
            self._running[process] = trial, folder
            return
        try:
            os.setsid()
            silent = os.open(os.devnull, os.O_RDWR)
            for stream in (0, 1, 2):
                os.dup2(silent, stream)
            resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
            tracer = Tracer(PACKAGE) if trial.mutant is None else None
            fork_programs(folder, tracer)
            if trial.mutant is not None:
                _activate(trial.mutant, originals)
            status = self._run(items, folder, tracer)
        except BaseException:  # noqa: BLE001 - whatever it is, the trial ends here
            (folder / "error").write_text(traceback.format_exc(), encoding="utf-8")
            status = _ERROR
        os._exit(status)

    def _run(self, items: Sequence[tuple[pytest.Item, float]], folder: Path, tracer: Tracer | None) -> int:
        for place, (item, most) in enumerate(items):
            item.config._tmp_path_factory._basetemp = folder  # type: ignore[attr-defined]
            (folder / "test").write_text(item.nodeid, encoding="utf-8")
            faulthandler.dump_traceback_later(most, exit=True, file=2)
            begun = time.perf_counter()
            if tracer is not None:
                tracer.start()
            following = items[place + 1][0] if place + 1 < len(items) else None
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if tracer is not None:
                sys.settrace(None)
                append(folder, item.nodeid, tracer.taken(), time.perf_counter() - begun)
            if self._has_failed and tracer is None:
                return _FAILED
            if self._has_failed:
                self._has_failed = False
                with (folder / "failed").open("a", encoding="utf-8") as file:
                    file.write(f"{item.nodeid}\n")
        return 0

    def _wait(self) -> None:
        process, status = os.wait()
        if process not in self._running:
            return
        trial, folder = self._running.pop(process)
        _end_group(process)
        killer = (folder / "test").read_text(encoding="utf-8") if (folder / "test").is_file() else ""
        code = os.waitstatus_to_exitcode(status)
        if code == _ERROR:
            word, killer = "error", (folder / "error").read_text(encoding="utf-8")
        else:
            word = {0: "survived", _FAILED: "killed"}.get(code, "timeout")
        reached = list(_reached(folder))
        failed = (folder / "failed").read_text(encoding="utf-8").splitlines() if (folder / "failed").is_file() else []
        shutil.rmtree(folder, ignore_errors=True)
        killer = "" if word == "survived" else killer
        self._tell(Tried(trial=trial, status=word, killer=killer, reached=reached, failed=failed))


def _reached(folder: Path) -> Iterator[tuple[str, float, dict[str, list[int]]]]:
    for file in folder.glob("reach.*"):
        for line in file.read_text(encoding="utf-8").splitlines():
            # the last line of a program that was killed is not whole
            if line.endswith("}]"):
                test, seconds, lines = json.loads(line)
                yield test, seconds, lines


def _end_group(process: int) -> None:
    """End what a trial has left running."""
    try:
        os.killpg(process, signal.SIGKILL)
    except ProcessLookupError:
        return


# --- to put a mutant in the place of the original ---

_Originals = Mapping[tuple[str, str, int], Sequence[FunctionType]]


def _functions() -> _Originals:
    """All functions of the program by module, qualified name and first line; decorated ones and methods too."""
    found: dict[tuple[str, str, int], list[FunctionType]] = defaultdict(list)
    for each in gc.get_objects():
        if type(each) is FunctionType and str(each.__module__).startswith("package_keeper."):
            found[each.__module__, each.__code__.co_qualname, each.__code__.co_firstlineno].append(each)
    return found


def _activate(mutant: Mutant, originals: _Originals) -> None:
    name = f"package_keeper.{mutant.module.replace('/', '.')}"
    path = path_of(mutant.module)
    tree = mutated_tree(mutant, path.read_text(encoding="utf-8"))
    with warnings.catch_warnings():
        # such as a comparison with `is` that is mutated
        warnings.simplefilter("ignore")
        code = compile(tree, str(path), "exec")
    if mutant.kind == "body":
        _replace_code(originals[name, mutant.subject, mutant.at], code, mutant)
        return
    original = sys.modules[name]
    if "." in mutant.subject and mutant.kind == "value":
        _replace_class(original, tree, mutant)
        return
    changed = ModuleType(name)
    changed.__file__ = original.__file__
    exec(code, vars(changed))  # noqa: S102 - the program itself
    if mutant.kind == "default":
        _replace_defaults(originals[name, mutant.subject, mutant.at], changed, mutant)
    else:
        _replace_constant(original, changed, mutant)


def _replace_code(functions: Sequence[FunctionType], module: CodeType, mutant: Mutant) -> None:
    (code,) = [
        each for each in _codes(module) if (each.co_qualname, each.co_firstlineno) == (mutant.subject, mutant.at)
    ]
    if not functions:
        raise LookupError("the function was not found in memory")
    for function in functions:
        function.__code__ = code


def _codes(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes(constant)


def _replace_defaults(functions: Sequence[FunctionType], changed: ModuleType, mutant: Mutant) -> None:
    (new,) = [
        each
        for each in gc.get_objects()
        if type(each) is FunctionType
        and each.__globals__ is vars(changed)
        and (each.__code__.co_qualname, each.__code__.co_firstlineno) == (mutant.subject, mutant.at)
    ]
    for function in functions:
        function.__defaults__, function.__kwdefaults__ = new.__defaults__, new.__kwdefaults__


def _replace_class(original: ModuleType, tree: ast.Module, mutant: Mutant) -> None:
    """Make a class again, with the other default of a field, and let all modules use it."""
    name = mutant.subject.partition(".")[0]
    (node,) = [each for each in tree.body if isinstance(each, ast.ClassDef) and each.name == name]
    old = getattr(original, name)
    # in the module itself, so that its methods use what the module has
    exec(compile(ast.Module([node], []), str(original.__file__), "exec"), vars(original))  # noqa: S102 - the program
    _let_all_use(name, old, getattr(original, name))


def _replace_constant(original: ModuleType, changed: ModuleType, mutant: Mutant) -> None:
    """Replace a constant in all modules that have imported it."""
    old, new = getattr(original, mutant.subject), getattr(changed, mutant.subject)
    _let_all_use(mutant.subject, old, new)


def _let_all_use(name: str, old: object, new: object) -> None:
    for module in list(sys.modules.values()):
        if vars(module).get(name) is old:
            setattr(module, name, new)
