"""Which tests reach which lines of the program, and how long each takes: measured once, and again after a change.

Only tests that changed are measured again. When a module changes, its lines are found again by their text. After larger
changes, or when old tests reach a new module, `--measure` measures everything. The tests run as trials without a
mutant. Those that fail are not used: with them, each mutant would seem to be killed.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import subprocess
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from tests.mutation.mutants import PACKAGE, ROOT
from tests.mutation.trials import Trial, Tried, run_trials

STATE = ROOT / ".mutation"
TESTS = ("unit/policy", "unit/operations", "unit/execution", "unit/model", "unit/inputs", "scenarios", "wire")
SCENARIOS = "tests/scenarios/test_scenarios.py"
_FILE = STATE / "reach.json"
_MOST = 300.0
_GROUP = 40
_SAVED_AFTER = 20.0
_FEW = 50
"""So many tests may look at the process of the program itself, which is another one here."""


class Reach:
    """What was measured: by test, its seconds, when it was measured, and the lines that it reaches by module."""

    def __init__(self, found: dict[str, Any]) -> None:
        self.sources: dict[str, str] = found.get("sources", {})
        self.files: dict[str, str] = found.get("files", {})
        self.tests: dict[str, dict[str, Any]] = found.get("tests", {})
        self._by_line: dict[str, dict[int, list[str]]] = {}

    def save(self) -> None:
        """Keep it for the next run."""
        STATE.mkdir(exist_ok=True)
        _FILE.write_text(
            json.dumps({"sources": self.sources, "files": self.files, "tests": self.tests}), encoding="utf-8"
        )

    def seconds(self, test: str) -> float:
        """How long a test takes."""
        return float(self.tests[test]["seconds"])

    def reaching(self, module: str, first: int, last: int, since: float = 0.0) -> list[str]:
        """The tests measured after `since` that reach one of these lines of a module, in the order to run them."""
        if module not in self._by_line:
            by_line = self._by_line[module] = defaultdict(list)
            for test, each in self.tests.items():
                for line in each["lines"].get(module, ()):
                    by_line[line].append(test)
        tests = {test for line in range(first, last + 1) for test in self._by_line[module].get(line, ())}
        return sorted((test for test in tests if self.tests[test]["measured"] > since), key=self.order)

    def move(self, module: str, before: list[str], after: list[str]) -> None:
        """Find the lines of a module that has changed. Lines that are new are reached by what reached their place."""
        places: dict[int, range] = {}
        for _, start, end, new_start, new_end in difflib.SequenceMatcher(None, before, after, False).get_opcodes():
            for line in range(start, end):
                same = new_end - new_start == end - start
                moved = new_start + line - start
                places[line + 1] = range(moved + 1, moved + 2) if same else range(new_start + 1, new_end + 1)
            if start == end and start in places:
                places[start] = range(places[start].start, new_end + 1)
        for each in self.tests.values():
            if module in each["lines"]:
                lines = {new for line in each["lines"][module] for new in places.get(line, ())}
                each["lines"][module] = sorted(lines)

    def order(self, test: str) -> tuple[bool, float, str]:
        """Unit tests first, which look closest; fast ones first."""
        return not test.startswith("tests/unit/"), self.seconds(test), test


def measured(jobs: int, *, anew: bool = False) -> Reach:
    """What every test reaches; what is not known yet is measured in a process of its own, since pytest starts once."""
    if anew:
        _FILE.unlink(missing_ok=True)
    if subprocess.run([sys.executable, "-m", "tests.mutation.reach", str(jobs)], cwd=ROOT, check=False).returncode:
        sys.exit("the tests have to pass before mutants can be tried")
    return _known()


def _known() -> Reach:
    return Reach(json.loads(_FILE.read_text(encoding="utf-8")) if _FILE.is_file() else {})


def _bring_up_to_date(jobs: int) -> None:
    reach, files = _known(), _test_files()
    sources = {_module(file): file.read_text(encoding="utf-8") for file in sorted(PACKAGE.rglob("*.py"))}
    for module, text in sources.items():
        if (before := reach.sources.get(module, text)) != text:
            reach.move(module, before.splitlines(), text.splitlines())
    reach.sources = sources
    reach.files = {name: digest for name, digest in reach.files.items() if files.get(name) == digest}
    reach.tests = {test: each for test, each in reach.tests.items() if source_of(test) in reach.files}
    changed = [name for name in files if name not in reach.files]
    if changed:
        print(f"measuring which lines {len(changed)} files of tests reach", flush=True)
        _measure(changed, files, reach, jobs)
    reach.save()


def _module(file: Path) -> str:
    return str(file.relative_to(PACKAGE).with_suffix(""))


def source_of(test: str) -> str:
    """The file that a test is written in."""
    name, _, case = test.partition("::")
    return (
        f"tests/scenarios/{case.removeprefix('test_scenario[').removesuffix(']')}.yaml" if name == SCENARIOS else name
    )


def _test_files() -> dict[str, str]:
    found = [file for folder in TESTS for file in (ROOT / "tests" / folder).glob("test_*.py")]
    found = [file for file in found if str(file.relative_to(ROOT)) != SCENARIOS]
    found += (ROOT / "tests/scenarios").glob("*.yaml")
    return {str(file.relative_to(ROOT)): _digest(file) for file in sorted(found)}


def _digest(*files: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _measure(changed: list[str], files: dict[str, str], reach: Reach, jobs: int) -> None:
    """Measure some files, and keep what each of them reaches as soon as all its tests have run."""
    left: Counter[str] = Counter()
    failed: list[str] = []

    def add(tried: Tried) -> None:
        if tried.status != "survived":
            sys.exit(f"{tried.status} without a mutant: {tried.killer}")
        failed.extend(tried.failed)
        for test, seconds, lines in tried.reached:
            if test in tried.failed:
                continue
            each = reach.tests.setdefault(test, {"seconds": 0.0, "measured": time.time(), "lines": {}})
            each["seconds"] += round(seconds, 3)
            for name, numbers in lines.items():
                module = name.removesuffix(".py")
                each["lines"][module] = sorted({*each["lines"].get(module, ()), *numbers})
        left.subtract(source_of(test) for test, _ in tried.trial.tests)
        reach.files |= {name: files[name] for name, number in left.items() if not number}
        if time.monotonic() - saved[-1] > _SAVED_AFTER:
            reach.save()
            saved.append(time.monotonic())

    def trials(collected: list[str]) -> list[Trial]:
        groups: dict[str, list[str]] = defaultdict(list)
        for number, test in enumerate(test for test in collected if source_of(test) in changed):
            groups[f"{test.partition('::')[0]} {number // _GROUP}"].append(test)
            left[source_of(test)] += 1
        return [Trial(mutant=None, tests=[(test, _MOST) for test in group]) for group in groups.values()]

    saved = [time.monotonic()]
    run_trials(sorted({SCENARIOS if name.endswith(".yaml") else name for name in changed}), trials, jobs, add)
    reach.save()
    for test in failed:
        print(f"not used, since it fails when its program is forked from the process of the tests: {test}")
    if len(failed) > _FEW:
        sys.exit("too many tests fail without a mutant")


if __name__ == "__main__":
    _bring_up_to_date(int(sys.argv[1]))
