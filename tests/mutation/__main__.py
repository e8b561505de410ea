"""Try whether the tests notice small changes of `policy`, `operations` and `execution`. Run as `make mutation`.

    make mutation                                      everything that is not known yet; about 35 minutes
    make mutation ARGS="policy execution/refresh"      some rooms and modules
    make mutation ARGS="--sample 300"                  a sample of everything; the same one for the same `--seed`

What is found is kept in `.mutation/`, so an interrupted run goes on where it stopped, and after a change only the
mutants of changed modules are tried again, and survivors only with the tests that are new. `--fresh` tries all again.
Ends with 1 when less than 90 % are killed, or when a mutant that is not in `tests/mutation/survivors.toml` survived all
tests that reach it. Which ones are tried in `--seconds` depends on the machine, so what survived only those is shown.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import sys
import time
import tomllib
from collections import Counter, defaultdict
from collections.abc import Container, Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.mutation.mutants import PACKAGE, Mutant, all_mutants, path_of, uses
from tests.mutation.reach import STATE, Reach, measured
from tests.mutation.trials import Trial, Tried, run_trials

ROOMS = ("policy", "operations", "execution")
LEAST = 90.0
_LINES = 1_000
SURVIVORS = Path(__file__).with_name("survivors.toml")
RESULTS = STATE / "results.jsonl"
_ALIVE = frozenset({"survived", "unsure"})
"""A mutant is unsure when it survived the tests that it was tried with, and not all that reach it were."""

_Key = tuple[str, str, str]
"""Module, function and change of a mutant."""


def main() -> None:
    """Read the command line, try what has to be tried, and say what came of it."""
    options = _options()
    chosen = [mutant for module in _modules(options.what) for mutant in all_mutants(module)]
    if options.sample:
        chosen = random.Random(options.seed).sample(chosen, min(options.sample, len(chosen)))
    reach = measured(options.jobs, anew=options.measure)
    results = Results(fresh=options.fresh)
    accepted = accepted_survivors()
    if number := len(list(_trials(chosen, reach, results, options.seconds))):
        _say(f"{number} mutants to try")
        _try(_trials(chosen, reach, results, options.seconds), number, reach, options.jobs, results)
    sys.exit(_report(chosen, results, accepted, is_sample=bool(options.sample)))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make mutation", description=__doc__.partition("\n")[0])
    parser.add_argument("what", nargs="*", default=ROOMS, help="rooms or modules, as policy or execution/refresh")
    parser.add_argument("--sample", type=int, default=0, metavar="N", help="try only N mutants, chosen at random")
    parser.add_argument("--seed", type=int, default=1, help="another seed chooses other mutants")
    parser.add_argument(
        "--seconds",
        type=float,
        default=10.0,
        metavar="N",
        help="for each mutant, run the fastest tests that take N seconds together (10); 0 runs all",
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="trials at a time")
    parser.add_argument("--measure", action="store_true", help="measure anew which lines the tests reach")
    parser.add_argument("--fresh", action="store_true", help="forget what earlier runs found about these mutants")
    return parser.parse_args()


def _modules(what: Sequence[str]) -> list[str]:
    found: list[str] = []
    for name in what:
        files = sorted((PACKAGE / name).glob("*.py")) if (PACKAGE / name).is_dir() else [path_of(name)]
        found += [str(file.relative_to(PACKAGE).with_suffix("")) for file in files]
    return list(dict.fromkeys(found))


class Results:
    """What came of each mutant, kept in a file with the state of its module."""

    def __init__(self, *, fresh: bool) -> None:
        self.found: dict[tuple[str, ...], dict[str, Any]] = {}
        self._states: dict[str, str] = {}
        self._kills: Counter[tuple[str, ...]] = Counter()
        lines = RESULTS.read_text(encoding="utf-8").splitlines() if RESULTS.is_file() and not fresh else []
        for line in lines:
            each = json.loads(line)
            if each["state"] == self.state(each["key"][0]):
                self._keep(each)

    def state(self, module: str) -> str:
        """What a result depends on: the text of the module. What else changes is for `--fresh`."""
        if module not in self._states:
            text = path_of(module).read_bytes() if path_of(module).is_file() else b""
            self._states[module] = hashlib.sha256(text).hexdigest()[:16]
        return self._states[module]

    def add(self, mutant: Mutant, status: str, killer: str = "") -> None:
        """Keep what came of a mutant."""
        each = {"key": mutant.key, "status": status, "killer": killer, "at": time.time()}
        self._keep(each)
        STATE.mkdir(exist_ok=True)
        with RESULTS.open("a", encoding="utf-8") as file:
            file.write(json.dumps(each | {"state": self.state(mutant.module)}, ensure_ascii=False) + "\n")

    def _keep(self, each: dict[str, Any]) -> None:
        module, function, _ = key = tuple(each["key"])
        self.found[key] = each
        if each["status"] == "killed":
            self._kills.update([(module, each["killer"]), (module, function, each["killer"])])

    def kills(self, mutant: Mutant, test: str) -> tuple[int, int]:
        """How many mutants of the same function, and of the same module, a test has killed."""
        return self._kills[mutant.module, mutant.function, test], self._kills[mutant.module, test]

    def status(self, mutant: Mutant) -> str:
        """What came of a mutant, or an empty text."""
        return str(self.found.get(mutant.key, {}).get("status", ""))


def _trials(chosen: Sequence[Mutant], reach: Reach, results: Results, seconds: float) -> Iterator[Trial]:
    for mutant in chosen:
        known = results.found.get(mutant.key, {"status": "", "at": 0.0})
        if known["status"] in {"killed", "timeout"}:
            continue
        everything = _tests(mutant, reach, 0.0)
        # what survived is tried with new tests only; what is unsure with all of them, when there is no limit
        tests = _tests(mutant, reach, known["at"]) if known["status"] == "survived" or seconds else everything
        # what has killed its neighbours comes first
        tests.sort(key=lambda test: results.kills(mutant, test), reverse=True)
        if some := list(_within(tests, reach, seconds)):
            most = [(test, 6 + 5 * reach.seconds(test)) for test in some]
            is_all = known["status"] == "survived" or len(some) == len(everything)
            yield Trial(mutant=mutant, tests=most, is_all=is_all and len(some) == len(tests))
        elif not everything:
            results.add(mutant, "survived")


def _within(tests: Sequence[str], reach: Reach, seconds: float) -> Iterator[str]:
    """The first tests that take so many seconds together, or all."""
    is_limited = seconds > 0
    for test in tests:
        yield test
        seconds -= reach.seconds(test)
        if is_limited and seconds <= 0:
            return


def _tests(mutant: Mutant, reach: Reach, since: float) -> list[str]:
    """The tests that can notice a mutant, fastest first."""
    if mutant.kind != "value":
        return reach.reaching(mutant.module, mutant.first, mutant.last, since)
    name, _, field = mutant.subject.partition(".")
    found = {test for module, line in uses(name) for test in reach.reaching(module, line, line, since)}
    if field:
        # a method of the class may make one too
        found.update(reach.reaching(mutant.module, 1, _LINES, since))
    return sorted(found, key=reach.order)


def _try(trials: Iterator[Trial], number: int, reach: Reach, jobs: int, results: Results) -> None:
    """Try the mutants, and keep what comes of each at once. The tests of one are chosen when its turn comes."""
    done: Counter[str] = Counter()
    broken: list[str] = []
    begun = time.monotonic()

    def tell(tried: Tried) -> None:
        if tried.trial.mutant is None or tried.status == "error":
            broken.append(f"{tried.trial.mutant}\n{tried.killer}")
            return
        is_sure = tried.status != "survived" or tried.trial.is_all
        results.add(tried.trial.mutant, tried.status if is_sure else "unsure", tried.killer)
        done[tried.status] += 1
        if tried.status == "survived":
            _say(f"survived {len(tried.trial.tests)} tests: {tried.trial.mutant}")
        if not sum(done.values()) % 50:
            minutes = (time.monotonic() - begun) / 60
            _say(f"{sum(done.values())} of {number} in {minutes:.1f} min: {dict(done)}")

    files = sorted({test.partition("::")[0] for test in reach.tests})
    run_trials(files, lambda _: trials, jobs, tell)
    if broken:
        _say("\n".join(["These trials failed themselves:", *broken]))
        sys.exit(2)


def _say(text: str) -> None:
    print(text, file=sys.__stdout__, flush=True)


def accepted_survivors() -> dict[_Key, str]:
    """The accepted survivors by their keys, each with its reason."""
    found = tomllib.loads(SURVIVORS.read_text(encoding="utf-8")) if SURVIVORS.is_file() else {}
    return {
        (each["module"], each["function"], change): each["why"]
        for each in found.get("survivor", [])
        for change in each["changes"]
    }


def _report(chosen: Sequence[Mutant], results: Results, accepted: Container[_Key], *, is_sample: bool) -> int:
    by_room: dict[str, Counter[str]] = defaultdict(Counter)
    for mutant in chosen:
        for group in (mutant.module, mutant.module.partition("/")[0], "all"):
            by_room[group][results.status(mutant)] += 1
    for group, counts in sorted(by_room.items()):
        killed, number = counts["killed"] + counts["timeout"], counts.total()
        _say(f"{group:32}{killed:6} of {number:5} killed, {100 * killed / number:5.1f} %")
    counts = by_room["all"]
    share = 100 * (counts["killed"] + counts["timeout"]) / max(counts.total(), 1)
    problems = [f"less than {LEAST:.0f} % are killed"] if share < LEAST else []
    new = [mutant for mutant in chosen if mutant.key not in accepted and results.status(mutant) in _ALIVE]
    if new:
        (STATE / "survivors.txt").write_text("\n".join(map(str, new)) + "\n", encoding="utf-8")
        _say(f"{len(new)} survivors are not in {SURVIVORS.name}; they are in .mutation/survivors.txt")
    if sure := sum(results.status(mutant) == "survived" for mutant in new):
        problems.append(f"{sure} of them survived all tests that reach them")
    if not is_sample:
        for key in _killed(chosen, results, accepted):
            _say(f"{SURVIVORS.name}: was killed now: {' · '.join(key)}")
    for problem in problems:
        _say(problem)
    return 1 if problems else 0


def _killed(chosen: Sequence[Mutant], results: Results, accepted: Container[_Key]) -> list[_Key]:
    return [mutant.key for mutant in chosen if mutant.key in accepted and results.status(mutant) == "killed"]


if __name__ == "__main__":
    main()
