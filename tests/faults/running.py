"""Runs one case: an operation in its world, a fault at one of its steps, and what is left of both."""

from __future__ import annotations

import functools
import re
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tests.faults.invariants import (
    Others,
    Outcome,
    Plan,
    World,
    has_lines,
    nothing_else_changed,
    receipt_is_whole,
    status_is_right,
    what_is_reported_is_true,
    world_is_as_before,
)
from tests.faults.table import Fault
from tests.faults.worlds import BY_NAME, PLAN, RECEIPT, STEPS, UNDONE, Operation
from tests.program.forked import Forked
from tests.scenarios.program import Ended, Place
from tests.simulator import Package, Simulator
from tests.wire import timed
from tests.wire.interrupting import wait_until
from tests.wire.world import TOKEN, furnished

IMPATIENT = Path(__file__).resolve().with_name("impatient.py")
PLANTED = Path(__file__).resolve().with_name("planted.py")

NOTHING: Mapping[str, str] = MappingProxyType({})
LISTS_ONLY = ("list", "verify", "conflicts")
DELETES = ("delete", "delete-package", "apply")


@dataclass(frozen=True)
class Step:
    """The `number`-th request of a kind, counted from 0."""

    kind: str
    number: int

    @property
    def writes(self) -> bool:
        """Whether the request changes something."""
        return STEPS[self.kind][0] not in ("GET", "HEAD")

    def __str__(self) -> str:
        return f"{self.kind} {self.number + 1}"


@dataclass(frozen=True, kw_only=True)
class Usual:
    """A run of an operation in which nothing goes wrong."""

    plan: Plan
    before: World
    after: World
    status: int
    receipt: str
    """What the receipt says."""
    saved_plan: str
    """What the dry run wrote as its plan."""
    steps: Mapping[str, int]
    """How many requests of each kind the run makes."""


@dataclass(kw_only=True)
class Case:
    """An operation in its world, in a place of its own."""

    operation: Operation
    sim: Simulator
    package: Package
    place: Place
    step: Step = Step("owner", 0)
    others: Others = field(default_factory=Others)
    program: Path = timed.DIRECTED
    on_terminal: bool = False
    words: tuple[str, ...] = ()
    """What the program is told first."""
    _process: subprocess.Popen[str] | None = None
    _begun: threading.Event = field(default_factory=threading.Event)
    started: int | None = None
    """How many writes the receipt named when the run was told to stop."""
    killed: bool = False

    @property
    def clock(self) -> Any:
        """The time that has passed for the program."""
        return timed.passed(self.place)

    @property
    def process(self) -> subprocess.Popen[str]:
        """The program, once it runs."""
        assert self._begun.wait(30)
        assert self._process is not None
        return self._process

    def fault(self, *, times: int | None = 1, **what: Any) -> None:
        """Let the step go wrong in the simulator."""
        method, pattern = STEPS[self.step.kind]
        self.sim.faults.add(method, pattern, after=self.step.number, times=times, **what)

    def hook(self, act: Callable[[], None]) -> None:
        """Do something when the request of the step arrives, before it is answered."""
        method, pattern = STEPS[self.step.kind]
        self.sim.on(method, pattern, lambda *_: act(), times=1, after=self.step.number)

    def signal(self, number: signal.Signals) -> None:
        """Tell the program to stop, and wait until it knows."""
        clock = self.clock
        taken = clock.signals
        self.process.send_signal(number)
        if number is not signal.SIGKILL:
            wait_until(lambda: clock.signals > taken)
            self.started = self.begun_writes()

    def begun_writes(self) -> int:
        """Count the writes that the receipt names."""
        file = self.place.workspace / RECEIPT
        text = file.read_text(encoding="utf-8") if file.exists() else ""
        return text.count('"outcome": "started"')

    def run(self, inputs: Mapping[str, str] | None = None, more: Mapping[str, str] = NOTHING) -> Ended:
        """Run the program to its end."""
        file = self.place.runner / "passed"
        file.unlink(missing_ok=True)
        timed.passed(self.place)
        given = {"token": TOKEN, "owner": "acme", "api-url": self.sim.url}
        given |= dict(self.operation.inputs if inputs is None else inputs) | dict(more)
        if given["operation"] not in LISTS_ONLY:
            given = {"dry-run": "false"} | given
        self.place.empty_files()
        arguments, environment = (
            self._command(given) if self.on_terminal else ([], self.place.action_environment(given))
        )
        self._process = Forked(self.program, [*self.words, str(file), *arguments], self.place.workspace, environment)
        self._begun.set()
        return self.place.end(self._process)

    def _command(self, given: dict[str, str]) -> tuple[list[str], dict[str, str]]:
        """Say the same on a command line, which writes its report to its output only."""
        operation, url, writes = given.pop("operation"), given.pop("api-url"), given.pop("dry-run", "")
        arguments = [operation, "--format=json", f"--api-url={url}", *(["--no-dry-run"] if writes == "false" else [])]
        arguments += [f"--{name}={text}" for name, text in given.items() if name not in ("token", "output-file")]
        environment = self.place.terminal_environment({"GH_TOKEN": given["token"]})
        # what is measured would be written to the disk that is full
        return arguments, {name: text for name, text in environment.items() if not name.startswith("COVERAGE_")}

    def calm(self) -> None:
        """Let nothing go wrong any more."""
        self.sim.faults.clear()
        self.sim.forget_hooks()
        self.sim.accept_connections()
        self.words, self.program, self.on_terminal = (), timed.DIRECTED, False

    def outcome(self, ended: Ended | None, usual: Usual) -> Outcome:
        """Gather what the checks need."""
        receipt = RECEIPT if ended is None else (ended.outputs or ended.document).get("receipt", RECEIPT)
        return Outcome(
            sim=self.sim,
            before=usual.before,
            after=World.of(self.sim),
            plan=usual.plan,
            others=self.others,
            workspace=self.place.workspace,
            receipt=receipt,
            ended=ended,
        )


@contextmanager
def case(operation: Operation, folder: Path) -> Iterator[Case]:
    """Make the world of an operation; an undo finds the receipt that it takes back."""
    with Simulator() as sim:
        furnished(sim)
        package = operation.world(sim)
        place = Place.below(folder)
        if operation.first:
            first = usual(operation.first)
            _repeat(package, first)
            (place.workspace / UNDONE).write_text(first.receipt, encoding="utf-8")
        if operation.planned:
            (place.workspace / PLAN).write_text(usual(operation.planned).saved_plan, encoding="utf-8")
        yield Case(operation=operation, sim=sim, package=package, place=place)
    assert sim.errors == [], sim.errors[0]
    assert [problem for problem in sim.contract_violations if problem.side == "request"] == []


def _repeat(package: Package, first: Usual) -> None:
    """Do what an earlier run did."""
    if first.before.packages != first.after.packages:
        package.delete()
        return
    for number in first.before.active.keys() - first.after.active.keys():
        package.remove(package.versions[number])
    for _, tag in first.before.tags.keys() - first.after.tags.keys():
        if tag in package.tags():
            package.drop_tag(tag)


@functools.cache
def usual(name: str) -> Usual:
    """Run an operation dry, then without a fault."""
    operation = BY_NAME[name]
    with tempfile.TemporaryDirectory() as folder, case(operation, Path(folder)) as made:
        before = World.of(made.sim)
        # an operation that writes nothing has no dry run
        kind = operation.inputs["operation"]
        more = {"dry-run": "true"} | ({"plan-out": PLAN} if kind != "apply" else {})
        dry = made.run(more=NOTHING if kind in LISTS_ONLY else more)
        assert dry.status == operation.status, dry.said
        assert World.of(made.sim) == before
        made.sim.forget_requests()
        ended = made.run()
        assert ended.status == operation.status, ended.said
        after = World.of(made.sim)
        receipt = made.place.workspace / ended.outputs["receipt"]
        counts: dict[str, int] = {}
        for request in made.sim.requests:
            kind = kind_of(request.method, request.target)
            counts[kind] = counts.get(kind, 0) + 1
        return Usual(
            plan=Plan.of(dry, before, after),
            before=before,
            after=after,
            status=ended.status,
            receipt=receipt.read_text(encoding="utf-8") if ended.outputs["receipt"] else "",
            saved_plan=(made.place.workspace / PLAN).read_text(encoding="utf-8") if dry.outputs["plan"] else "",
            steps=counts,
        )


def kind_of(method: str, target: str) -> str:
    """Tell which kind of step a request is."""
    kinds = [name for name, (verb, pattern) in STEPS.items() if verb == method and re.search(pattern, target)]
    assert len(kinds) == 1, f"{method} {target} is of the kinds {kinds}"
    return kinds[0]


def run_case(made: Case, step: Step, fault: Fault, *, defect: str = "") -> Ended | None:
    """Run a case, with a planted defect if one is named. A run that was killed gives `None`."""
    made.step = step
    if defect:
        made.program, made.words = PLANTED, (defect,)
    elif fault.slow:
        made.program = IMPATIENT
    made.on_terminal = fault.on_terminal
    fault.cause(made)
    ended = made.run(more={"output-file": "out.json", **fault.more})
    made.calm()
    return None if made.killed else ended


def examine(made: Case, fault: Fault, ended: Ended | None) -> dict[str, list[str]]:
    """Hold a run that has ended against what must hold, then take it back. Give the problems by check."""
    its = usual(made.operation.name)
    run = made.outcome(ended, its)
    found = {
        "nothing_else_changed": nothing_else_changed(run),
        "what_is_reported_is_true": what_is_reported_is_true(run),
        "status_is_right": status_is_right(run, fault.expected(made.step.kind, its.status)),
        "receipt_takes_it_back": receipt_is_whole(run),
        "nothing_begins_late": [],
        "as_usual": [],
    }
    if fault.is_harmless and not (made.others.versions or run.after == its.after):
        found["as_usual"].append("something is not as after a run without a fault")
    if made.started is not None and fault.is_stop and made.begun_writes() > made.started:
        found["nothing_begins_late"].append("a write began after the signal")
    found["receipt_takes_it_back"] += _taken_back(made, run, its)
    return found


def _taken_back(made: Case, run: Outcome, its: Usual) -> list[str]:
    """Take back what was deleted, or repeat what restores: then the world is as before, or as it should have been."""
    operation = made.operation.inputs["operation"]
    if operation in LISTS_ONLY:
        return []
    if operation in DELETES:
        problems: list[str] = []
        if has_lines(run):
            undone = made.run({"operation": "restore", "undo": RECEIPT})
            # a tag cannot be given back to an image that somebody else deleted
            if undone.status and not made.others.versions:
                problems.append(f"undo ended with {undone.status}: {undone.said}")
        return problems + world_is_as_before(run, World.of(made.sim))
    again = made.run()
    if made.operation.again:
        again = made.run(made.operation.again)
    if again.status and not made.others.versions:
        return [f"the same once more ended with {again.status}: {again.said}"]
    now = World.of(made.sim)
    referrers = {name for (_, tag), name in its.after.tags.items() if tag.startswith("sha256-")}
    left_out = {number for name in referrers for number in its.after.ids[name]} if made.operation.again else set()
    missing = its.after.active.keys() - now.active.keys() - left_out - made.others.versions
    return [f"the same once more does not bring back {sorted(missing)}"] if missing else []
