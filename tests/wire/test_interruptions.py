"""Runs that are cancelled or killed: exit 130, outputs written, a receipt that tells what GitHub carried out.

The runner sends SIGINT, 7.5 s later SIGTERM, 2.5 s later SIGKILL; the real program runs as a process of its own.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.scenarios.program import Place, receipt_lines
from tests.simulator import Package, Simulator
from tests.wire.world import TOKEN

NUMBER = 8
RECEIPT = "package-keeper-receipt.jsonl"


@pytest.fixture
def package(sim: Simulator) -> Package:
    made = sim.add_package("acme", "npm", "app")
    for number in range(NUMBER):
        made.add_version(f"1.{number}.0", created_at=f"2026-01-{number + 1:02}T00:00:00Z")
    made.add_version("2.0.0", created_at="2026-02-01T00:00:00Z")
    return made


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


def wait_until(reached: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 30
    while not reached():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until, "the run did not get so far"
        time.sleep(0.005)


def undo(sim: Simulator, place: Place, receipt: str = RECEIPT) -> tuple[int, dict[str, str]]:
    ended = place.run([], environment(sim, place, operation="restore", versions="", package="", undo=receipt))
    return ended.status, ended.outputs


def lines_by_outcome(place: Place) -> dict[str, list[str]]:
    """The names of versions by the last outcome that the receipt gives them."""
    last: dict[int, dict[str, Any]] = {}
    for line in receipt_lines(place.workspace / RECEIPT):
        last[line["seq"]] = line
    found: dict[str, list[str]] = {}
    for line in last.values():
        found.setdefault(line["outcome"], []).append(line["name"])
    return found


def names(package: Package) -> set[str]:
    return {version.name for version in package.active()}


ALL = {f"1.{number}.0" for number in range(NUMBER)} | {"2.0.0"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_cancelled_run_ends_after_the_write_that_is_under_way(
    sim: Simulator, package: Package, place: Place, number: signal.Signals
) -> None:
    sim.faults.add("DELETE", "/versions/", action="delay", delay=0.25, times=None)
    process = place.start([], environment(sim, place))
    wait_until(lambda: len(sim.writes) >= 3, process)
    process.send_signal(number)
    ended = place.end(process)
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
    sim.faults.clear()
    status, outputs = undo(sim, place)
    assert (status, outputs["restored-count"]) == (0, "3")
    assert names(package) == ALL


def test_a_second_signal_cuts_the_write_off_and_the_receipt_leaves_it_open(
    sim: Simulator, package: Package, place: Place
) -> None:
    sim.faults.add("DELETE", "/versions/", action="delay", delay=2.5, after=2, times=1)
    process = place.start([], environment(sim, place))
    wait_until(lambda: len(sim.writes) == 3, process)
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    ended = place.end(process)
    assert time.monotonic() - began < 2
    assert ended.status == 130
    assert "Traceback" not in ended.said
    assert lines_by_outcome(place) == {"done": ["1.0.0", "1.1.0"], "started": ["1.2.0"]}
    assert (ended.count("deleted"), ended.count("failed"), ended.count("remaining")) == (2, 1, NUMBER - 3)
    # the simulated GitHub, like the real one, carries the request out although nobody waits for the answer
    wait_until_gone = time.monotonic() + 10
    while "1.2.0" in names(package) and time.monotonic() < wait_until_gone:
        time.sleep(0.02)
    status, outputs = undo(sim, place)
    assert (status, outputs["restored-count"]) == (0, "3")
    assert names(package) == ALL


def test_undo_of_a_write_that_was_cut_off_and_never_happened(sim: Simulator, package: Package, place: Place) -> None:
    sim.latency = 0
    blocked = sim.on("DELETE", "/versions/", lambda *_: time.sleep(1.5), after=1, times=1)
    sim.faults.add("DELETE", "/versions/", action="close", after=1, times=1)
    process = place.start([], environment(sim, place))
    wait_until(lambda: blocked.hits == 1, process)
    process.send_signal(signal.SIGTERM)
    time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    ended = place.end(process)
    assert ended.status == 130
    assert lines_by_outcome(place) == {"done": ["1.0.0"], "started": ["1.1.0"]}
    time.sleep(1.6)
    sim.faults.clear()
    status, outputs = undo(sim, place)
    assert (status, outputs["restored-count"], outputs["skipped-count"]) == (0, "1", "1")
    assert names(package) == ALL


@pytest.mark.parametrize("before", [1, 2, 5])
def test_a_killed_run_leaves_a_receipt_that_undoes_it(
    sim: Simulator, package: Package, place: Place, before: int
) -> None:
    sim.faults.add("DELETE", "/versions/", action="delay", delay=0.2, times=None)
    process = place.start([], environment(sim, place))
    wait_until(lambda: len(sim.writes) >= before, process)
    process.kill()
    process.communicate()
    time.sleep(0.4)
    gone = ALL - names(package)
    found = lines_by_outcome(place)
    assert set(found.get("done", ())) <= gone <= {*found.get("done", ()), *found.get("started", ())}
    assert len(found.get("started", ())) <= 1
    sim.faults.clear()
    status, outputs = undo(sim, place)
    assert status == 0
    assert outputs["restored-count"] == str(len(gone))
    assert names(package) == ALL


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_wait_for_a_limit_ends_at_once(
    sim: Simulator, package: Package, place: Place, number: signal.Signals
) -> None:
    message = "You have exceeded a secondary rate limit."
    sim.faults.add("DELETE", "/versions/", status=403, message=message, headers={"Retry-After": "60"}, after=1)
    process = place.start([], environment(sim, place))
    wait_until(lambda: len(sim.writes) >= 2, process)
    time.sleep(0.1)
    began = time.monotonic()
    process.send_signal(number)
    ended = place.end(process)
    assert time.monotonic() - began < 3
    assert ended.status == 130
    assert ended.outputs["result"] == "cancelled"
    assert (ended.count("deleted"), ended.count("remaining"), ended.count("failed")) == (1, NUMBER - 1, 0)
    assert ALL - names(package) == {"1.0.0"}
    assert lines_by_outcome(place) == {"done": ["1.0.0"], "out-of-time": ["1.1.0"]}


def test_a_wait_before_a_retry_ends_at_once_and_the_write_stays_open(
    sim: Simulator, package: Package, place: Place
) -> None:
    sim.faults.add("DELETE", "/versions/", action="close-after", after=1)
    sim.faults.add("DELETE", "/versions/", status=503, after=1, times=None)
    process = place.start([], environment(sim, place))
    wait_until(lambda: len(sim.writes) >= 4, process)
    time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    ended = place.end(process)
    assert ended.status == 130
    assert ALL - names(package) == {"1.0.0", "1.1.0"}
    found = lines_by_outcome(place)
    assert found["done"] == ["1.0.0"]
    sim.faults.clear()
    status, outputs = undo(sim, place)
    assert (status, outputs["restored-count"]) == (0, "2"), found
    assert names(package) == ALL


@pytest.mark.parametrize("operation", ["list", "delete", "restore"])
def test_reading_is_cancelled_at_once(sim: Simulator, package: Package, place: Place, operation: str) -> None:
    sim.faults.add("GET", "/versions", action="delay", delay=5, times=None)
    # an operation that writes nothing refuses `false`
    dry_run = "" if operation == "list" else "false"
    process = place.start([], environment(sim, place, operation=operation, dry_run=dry_run))
    wait_until(lambda: any("/versions" in request.path for request in sim.requests), process)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    ended = place.end(process)
    assert time.monotonic() - began < 3
    assert ended.status == 130
    assert "Traceback" not in ended.said
    assert ended.outputs["result"] == "cancelled"
    assert ended.outputs["receipt"] == ""
    assert names(package) == ALL
    assert sim.writes == []


def test_nothing_cuts_the_report_off(sim: Simulator, package: Package, place: Place) -> None:
    pipe = place.runner / "pipe"
    os.mkfifo(pipe)
    process = place.start([], environment(sim, place) | {"GITHUB_STEP_SUMMARY": str(pipe)})
    wait_until(lambda: names(package) == {"2.0.0"}, process)
    # the program waits for somebody to read its summary: that is where the signals strike
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    time.sleep(0.1)
    assert process.poll() is None, process.communicate()
    with pipe.open(encoding="utf-8") as reader:
        summary = reader.read()
    ended = place.end(process)
    assert "Traceback" not in ended.said
    assert "Done" in summary
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
