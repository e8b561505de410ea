"""The image, run as GitHub runs it, against the simulator: what is left, what is told, and where."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.container.runner import OWNER, ROOT, TOKEN, Finished, Runner

if TYPE_CHECKING:
    from tests.simulator import Package, Simulator

pytestmark = pytest.mark.container

COUNTS = (
    "selected-count",
    "planned-count",
    "deleted-count",
    "skipped-count",
    "failed-count",
    "remaining-count",
)


@pytest.fixture
def package(simulator: Simulator) -> Package:
    """Six versions of an npm package, 1.0.0 the oldest; and another package that nobody names."""
    simulator.add_owner(OWNER)
    simulator.add_token(TOKEN, kind="actions")
    fill(simulator, "other", 3)
    return fill(simulator, "web", 6)


def fill(simulator: Simulator, name: str, count: int) -> Package:
    package = simulator.add_package(OWNER, "npm", name)
    for number in range(count):
        moment = f"2024-01-01T{number // 60:02}:{number % 60:02}:00Z"
        package.add_version(f"1.0.{number}", created_at=moment, updated_at=moment)
    return package


def names(package: Package) -> set[str]:
    return {version.name for version in package.active()}


def counts(finished: Finished) -> list[str]:
    return [finished.outputs[name] for name in COUNTS]


def test_lists_and_fills_every_declared_output(runner: Runner, simulator: Simulator, package: Package) -> None:
    finished = runner.run(operation="list", package_type="npm", package="web")
    assert finished.status == 0
    declared = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))["outputs"]
    assert finished.outputs.keys() == declared.keys()
    assert {entry["name"] for entry in json.loads(finished.outputs["versions"])} == names(package)
    assert {entry["name"] for entry in json.loads(finished.outputs["packages"])} == {"web"}
    assert finished.outputs["receipt"] == ""
    assert finished.summary
    assert simulator.writes == []


def test_a_dry_run_is_the_default_and_writes_nothing(runner: Runner, simulator: Simulator, package: Package) -> None:
    before = sorted(runner.workspace.rglob("*"))
    finished = runner.run(operation="delete", package_type="npm", package="web", versions="1.*", keep_latest="2")
    assert finished.status == 0
    assert finished.outputs["result"] == "planned"
    assert counts(finished) == ["4", "4", "0", "0", "0", "0"]
    assert re.search(r"^::notice.*dry run", finished.log, re.MULTILINE | re.IGNORECASE)
    assert "1.0.3" in finished.summary
    assert simulator.writes == []
    assert sorted(runner.workspace.rglob("*")) == before


def test_deletes_what_it_was_told_to_and_leaves_a_receipt(
    runner: Runner, simulator: Simulator, package: Package
) -> None:
    finished = runner.run(
        operation="delete",
        package_type="npm",
        package="web",
        versions="1.*",
        keep_latest="2",
        dry_run="false",
        output_file="out/result.json",
    )
    assert finished.status == 0
    assert finished.outputs["result"] == "done"
    assert counts(finished) == ["4", "4", "4", "0", "0", "0"]
    assert names(package) == {"1.0.4", "1.0.5"}
    assert names(simulator.package(OWNER, "npm", "other")) == {"1.0.0", "1.0.1", "1.0.2"}
    assert finished.outputs["receipt"] == "package-keeper-receipt.jsonl"
    assert finished.outputs["file"] == "out/result.json"
    assert json.loads((runner.workspace / "out/result.json").read_text("utf-8"))
    receipt = receipt_of(runner, finished)
    done = {line["name"] for line in receipt if line["outcome"] == "done"}
    assert done == {"1.0.0", "1.0.1", "1.0.2", "1.0.3"}
    assert "1.0.3" in finished.summary


def test_a_receipt_takes_the_run_back(runner: Runner, package: Package) -> None:
    runner.run(operation="delete", package_type="npm", package="web", versions="1.0.[0-2]", dry_run="false")
    assert names(package) == {"1.0.3", "1.0.4", "1.0.5"}
    finished = runner.run(operation="restore", undo="package-keeper-receipt.jsonl", dry_run="false")
    assert finished.status == 0
    assert finished.outputs["restored-count"] == "3"
    # the receipt of the first run is still there
    assert finished.outputs["receipt"] not in ("", "package-keeper-receipt.jsonl")
    assert len(names(package)) == 6


def test_all_bad_inputs_are_told_at_once_before_any_request(
    runner: Runner, simulator: Simulator, package: Package
) -> None:
    finished = runner.run(
        operation="delete",
        package_type="npm",
        package="web",
        versions="1.*",
        older_than="10m",
        keep_latest="many",
        dry_run="no",
    )
    assert finished.status == 2
    assert finished.outputs["result"] == "failed"
    for name in ("older-than", "keep-latest", "dry-run"):
        assert re.search(rf"^::error.*{name}", finished.log, re.MULTILINE), name
    assert simulator.requests == []
    assert len(names(package)) == 6


def test_a_misspelt_input_stops_the_run_and_names_the_right_one(
    runner: Runner, simulator: Simulator, package: Package
) -> None:
    finished = runner.run(
        operation="delete",
        package_type="npm",
        package="web",
        versions="1.*",
        keep_tag="1.0.5",
        dry_run="false",
    )
    assert finished.status == 2
    assert finished.outputs["result"] == "failed"
    assert "keep-tags" in finished.log
    assert simulator.requests == []
    assert len(names(package)) == 6


def test_a_token_that_arrived_empty_is_bad_input(runner: Runner, simulator: Simulator, package: Package) -> None:
    finished = runner.run(token="", operation="list", package_type="npm", package=package.name)
    assert finished.status == 2
    assert finished.outputs["result"] == "failed"
    assert simulator.requests == []


SIGNALS = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
MANY = {"operation": "delete", "package_type": "npm", "package": "many", "versions": "1.*", "dry_run": "false"}
SECONDS = 5
"""How long a cancelled run takes at most. The runner kills it 10 seconds after its first signal."""


def cancelled(runner: Runner, process: subprocess.Popen[str], number: signal.Signals) -> Finished:
    """Signal the client of the engine, as the runner does, which passes it on to process 1 of the container."""
    began = time.monotonic()
    process.send_signal(number)
    finished = runner.finish(process)
    assert time.monotonic() - began < SECONDS
    assert finished.status == 130
    assert finished.outputs["result"] == "cancelled"
    declared = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))["outputs"]
    assert finished.outputs.keys() == declared.keys()
    assert "Cancelled" in finished.summary
    return finished


@SIGNALS
def test_a_cancelled_run_stops_in_time_and_tells_what_it_did(
    runner: Runner, simulator: Simulator, package: Package, number: signal.Signals
) -> None:
    # more than may be in flight at once, so that something is left to cancel
    many = fill(simulator, "many", 400)
    simulator.on("DELETE", "/versions/", lambda *_: time.sleep(0.3))
    process = runner.start(**MANY)
    wait_for_writes(simulator)
    finished = cancelled(runner, process, number)
    receipt = receipt_of(runner, finished)
    started = {line["name"] for line in receipt if line["outcome"] == "started"}
    done = {line["name"] for line in receipt if line["outcome"] == "done"}
    gone = {version.name for version in many.deleted()}
    assert done
    assert done <= gone <= started
    assert len(gone) < 400
    assert finished.outputs["deleted-count"] == str(len(done))
    assert len(names(package)) == 6
    assert len(simulator.writes) == len(started), "a write was sent that the receipt does not name"


@SIGNALS
def test_a_run_that_is_cancelled_while_it_reads_writes_nothing(
    runner: Runner, simulator: Simulator, package: Package, number: signal.Signals
) -> None:
    many = fill(simulator, "many", 10)
    arrived, ended = threading.Event(), threading.Event()

    def hold(*_: object) -> None:
        arrived.set()
        ended.wait(60)

    simulator.on("GET", "/many/versions", hold)
    process = runner.start(**MANY)
    assert arrived.wait(60), "nothing was read within a minute"
    finished = cancelled(runner, process, number)
    ended.set()
    assert finished.outputs["receipt"] == ""
    assert simulator.writes == []
    assert len(names(many)) == 10


@SIGNALS
def test_a_run_that_is_cancelled_while_it_waits_for_a_limit_begins_nothing_more(
    runner: Runner, simulator: Simulator, package: Package, number: signal.Signals
) -> None:
    many = fill(simulator, "many", 10)
    message = "You have exceeded a secondary rate limit."
    simulator.faults.add(
        "DELETE", "/versions/", status=403, message=message, headers={"Retry-After": "300"}, times=None
    )
    # one write after the other, so that the refusal of the first one is waited for
    process = runner.start(**MANY | {"versions": "1.0.[0-8]", "pace": "polite"})
    wait_for_writes(simulator)
    finished = cancelled(runner, process, number)
    assert len(simulator.writes) == 1
    assert [line["outcome"] for line in receipt_of(runner, finished)] == ["started", "out-of-time"]
    assert finished.outputs["remaining-count"] == "9"
    assert len(names(many)) == 10


def wait_for_writes(simulator: Simulator) -> None:
    """Come back after the first answer to a write."""
    deadline = time.monotonic() + 60
    while not any(request.status for request in simulator.writes):
        assert time.monotonic() < deadline, "no write within a minute"
        time.sleep(0.02)


def receipt_of(runner: Runner, finished: Finished) -> list[dict[str, Any]]:
    """The lines of the receipt; for every write one that it started, and at most one that it ended."""
    path = runner.workspace / finished.outputs["receipt"]
    lines: list[dict[str, Any]] = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    started = [line["seq"] for line in lines if line["outcome"] == "started"]
    ended = [line["seq"] for line in lines if line["outcome"] != "started"]
    assert len(set(started)) == len(started)
    assert len(set(ended)) == len(ended)
    assert set(ended) <= set(started)
    return lines
