"""Runs that are cancelled or killed: exit 130, outputs written, a receipt that tells what GitHub carried out.

The runner sends SIGINT, 7.5 s later SIGTERM, 2.5 s later SIGKILL; the real program runs as a process of its own.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.program.forked import Forked
from tests.scenarios.program import ENTRYPOINT, SCALED, Ended, Place, time_of
from tests.simulator import Package, Simulator
from tests.wire.interrupting import (
    ALL,
    NUMBER,
    RECEIPT,
    Directed,
    Held,
    lines_by_outcome,
    names,
    npm_package,
    wait_until,
)
from tests.wire.world import TOKEN, furnished

SCALE = 20.0


@pytest.fixture
def package(sim: Simulator) -> Package:
    return npm_package(sim)


@pytest.fixture
def quick() -> Iterator[Simulator]:
    """A GitHub whose time, and that of its clients, passes faster: for runs that are to be found waiting."""
    with Simulator(time_scale=SCALE) as simulator:
        yield furnished(simulator)
    assert simulator.errors == []


def environment(sim: Simulator, place: Place, **more: str) -> dict[str, str]:
    inputs = {
        "token": TOKEN,
        "owner": "acme",
        "owner-type": "organization",
        "api-url": sim.url,
        "operation": "delete",
        "package-type": "npm",
        "package": "app",
        "versions": "1.*",
        "dry-run": "false",
        # one after the other, so that it is known which write is under way
        "pace": "polite",
    }
    return place.action_environment(inputs | {name.replace("_", "-"): text for name, text in more.items()})


def undo(sim: Simulator, place: Place) -> Ended:
    return Directed(
        place, [], environment(sim, place, operation="restore", versions="", package="", undo=RECEIPT)
    ).end()


def scaled(sim: Simulator, place: Place) -> Forked:
    place.empty_files()
    return Forked(SCALED, time_of(sim), place.workspace, environment(sim, place))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_cancelled_run_ends_after_the_write_that_is_under_way(
    sim: Simulator, package: Package, place: Place, number: signal.Signals
) -> None:
    third = Held(sim, "DELETE", "/versions/", after=2)
    run = Directed(place, [], environment(sim, place), forked=False)
    third.wait()
    run.send_signal(number)
    third.release()
    ended = run.end()
    assert ended.status == 130
    assert "Traceback" not in ended.said
    assert ended.outputs["result"] == "cancelled"
    gone = ALL - names(package)
    assert len(gone) == 3
    assert lines_by_outcome(place) == {"done": sorted(gone)}
    assert (ended.count("planned"), ended.count("deleted"), ended.count("remaining")) == (NUMBER, 3, NUMBER - 3)
    outcomes = [version["outcome"] for version in ended.array("versions")]
    assert outcomes == ["done"] * 3 + ["out-of-time"] * (NUMBER - 3)
    assert "Cancelled" in ended.summary
    undone = undo(sim, place)
    assert (undone.status, undone.count("restored")) == (0, 3)
    assert names(package) == ALL


def test_a_second_signal_cuts_the_write_off_and_the_receipt_leaves_it_open(
    sim: Simulator, package: Package, place: Place
) -> None:
    third = Held(sim, "DELETE", "/versions/", after=2)
    run = Directed(place, [], environment(sim, place))
    third.wait()
    run.send_signal(signal.SIGINT)
    run.send_signal(signal.SIGTERM)
    # it ends although the write is not answered
    ended = run.end()
    assert ended.status == 130
    assert "Traceback" not in ended.said
    assert lines_by_outcome(place) == {"done": ["1.0.0", "1.1.0"], "started": ["1.2.0"]}
    assert (ended.count("deleted"), ended.count("failed"), ended.count("remaining")) == (2, 1, NUMBER - 3)
    # the simulated GitHub, like the real one, carries the request out although nobody waits for the answer
    third.release()
    wait_until(lambda: "1.2.0" not in names(package))
    undone = undo(sim, place)
    assert (undone.status, undone.count("restored")) == (0, 3)
    assert names(package) == ALL


def test_undo_of_a_write_that_was_cut_off_and_never_happened(sim: Simulator, package: Package, place: Place) -> None:
    second = Held(sim, "DELETE", "/versions/", after=1)
    closed = sim.faults.add("DELETE", "/versions/", action="close", after=1, times=1)
    run = Directed(place, [], environment(sim, place))
    second.wait()
    run.send_signal(signal.SIGTERM)
    run.send_signal(signal.SIGTERM)
    ended = run.end()
    assert ended.status == 130
    assert lines_by_outcome(place) == {"done": ["1.0.0"], "started": ["1.1.0"]}
    second.release()
    wait_until(lambda: closed.hits == 1)
    undone = undo(sim, place)
    assert (undone.status, undone.count("restored"), undone.count("skipped")) == (0, 1, 1)
    assert names(package) == ALL


@pytest.mark.parametrize("before", [1, 2, 5])
def test_a_killed_run_leaves_a_receipt_that_undoes_it(
    sim: Simulator, package: Package, place: Place, before: int
) -> None:
    last = Held(sim, "DELETE", "/versions/", after=before - 1)
    run = Directed(place, [], environment(sim, place))
    last.wait()
    run.process.kill()
    run.process.communicate()
    last.release()
    wait_until(lambda: len(ALL - names(package)) == before)
    found = lines_by_outcome(place)
    assert set(found.get("done", ())) == {f"1.{number}.0" for number in range(before - 1)}
    assert found["started"] == [f"1.{before - 1}.0"]
    undone = undo(sim, place)
    assert (undone.status, undone.count("restored")) == (0, before)
    assert names(package) == ALL


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_wait_for_a_limit_ends_at_once(quick: Simulator, place: Place, number: signal.Signals) -> None:
    package = npm_package(quick)
    message = "You have exceeded a secondary rate limit."
    # that are five minutes of the machine
    wait = {"Retry-After": str(int(300 * SCALE))}
    limit = quick.faults.add("DELETE", "/versions/", status=403, message=message, headers=wait, after=1)
    process = scaled(quick, place)
    wait_until(lambda: limit.hits == 1, process)
    time.sleep(0.1)
    process.send_signal(number)
    ended = place.end(process)
    assert ended.status == 130
    assert ended.outputs["result"] == "cancelled"
    assert (ended.count("deleted"), ended.count("remaining"), ended.count("failed")) == (1, NUMBER - 1, 0)
    assert ALL - names(package) == {"1.0.0"}
    assert lines_by_outcome(place) == {"done": ["1.0.0"], "out-of-time": ["1.1.0"]}


def test_a_wait_before_a_retry_ends_at_once_and_the_write_stays_open(quick: Simulator, place: Place) -> None:
    package = npm_package(quick)
    quick.faults.add("DELETE", "/versions/", action="close-after", after=1)
    quick.faults.add("DELETE", "/versions/", status=503, after=1, times=None)
    process = scaled(quick, place)
    wait_until(lambda: len(quick.writes) >= 4, process)
    process.send_signal(signal.SIGTERM)
    ended = place.end(process)
    assert ended.status == 130
    assert ALL - names(package) == {"1.0.0", "1.1.0"}
    found = lines_by_outcome(place)
    assert found["done"] == ["1.0.0"]
    quick.faults.clear()
    undone = undo(quick, place)
    assert (undone.status, undone.count("restored")) == (0, 2), found
    assert names(package) == ALL


@pytest.mark.parametrize("operation", ["list", "delete", "restore"])
def test_reading_is_cancelled_at_once(sim: Simulator, package: Package, place: Place, operation: str) -> None:
    # it is answered when the run has ended
    held = Held(sim, "GET", "/versions")
    # an operation that writes nothing refuses `false`
    dry_run = "" if operation == "list" else "false"
    run = Directed(place, [], environment(sim, place, operation=operation, dry_run=dry_run))
    held.wait()
    run.send_signal(signal.SIGINT)
    ended = run.end()
    held.release()
    assert ended.status == 130
    assert "Traceback" not in ended.said
    assert ended.outputs["result"] == "cancelled"
    assert ended.outputs["receipt"] == ""
    assert names(package) == ALL
    assert sim.writes == []


def test_nothing_cuts_the_report_off(sim: Simulator, package: Package, place: Place) -> None:
    pipe = place.runner / "pipe"
    os.mkfifo(pipe)
    run = Directed(place, [], environment(sim, place) | {"GITHUB_STEP_SUMMARY": str(pipe)}, forked=False)
    # the report has begun, and waits for somebody to read the summary: that is where the signals strike
    wait_until(lambda: run.ignores(signal.SIGTERM), run.process)
    run.process.send_signal(signal.SIGINT)
    run.process.send_signal(signal.SIGTERM)
    assert run.process.poll() is None, run.process.communicate()
    with pipe.open(encoding="utf-8") as reader:
        summary = reader.read()
    ended = run.end()
    assert "Traceback" not in ended.said
    assert "deleted" in summary
    assert (ended.status, ended.outputs["result"]) == (0, "done")
    assert ended.count("deleted") == NUMBER


@pytest.mark.parametrize("form", ["json", "table"])
def test_a_reader_that_goes_away_is_no_failure(sim: Simulator, package: Package, place: Place, form: str) -> None:
    for number in range(900):
        package.add_version(f"3.{number}.0", created_at="2026-03-01T00:00:00Z")
    arguments = ["list", "--owner=acme", "--owner-type=organization", "--package-type=npm", "--package=app"]
    settings = place.terminal_environment({"GH_TOKEN": TOKEN, "GITHUB_API_URL": sim.url})
    process = place.start([*arguments, f"--format={form}"], settings)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.read(1)
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert process.wait(30) == 0
    assert "Traceback" not in said
    assert "BrokenPipe" not in said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("door", ["action", "command line"])
def test_a_signal_that_comes_before_the_imports_is_a_cancelled_run(
    sim: Simulator, package: Package, place: Place, number: signal.Signals, door: str
) -> None:
    # the signal waits before the program's first line, as one that arrives in any moment of its start does
    early = (
        "import os, signal, sys; signal.pthread_sigmask(signal.SIG_BLOCK, [int(sys.argv[1])]);"
        " os.kill(os.getpid(), int(sys.argv[1])); os.execv(sys.executable, [sys.executable, '-I', *sys.argv[2:]])"
    )
    given = [] if door == "action" else ["delete", "--owner", "acme", "--package", "app", "--package-type", "npm"]
    given += [] if door == "action" else ["--versions", "1.*", "--no-dry-run", "--api-url", sim.url]
    variables = environment(sim, place) if door == "action" else place.terminal_environment({"GH_TOKEN": TOKEN})
    place.empty_files()
    process = subprocess.Popen(
        [sys.executable, "-I", "-c", early, str(int(number)), str(ENTRYPOINT), *given],
        cwd=place.workspace,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    ended = place.end(process)
    assert ended.status == 130, ended.said
    assert "Traceback" not in ended.said
    assert sim.requests == []
    assert names(package) == ALL
    if door == "action":
        assert ended.outputs["result"] == "cancelled"
        assert "Cancelled" in ended.summary
