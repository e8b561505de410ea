"""A disk that is full in the middle of a run: the receipt stays true, and takes back what was deleted.

What the system lets a file grow to stands for the disk, as anybody may set it: no answer is written beyond it.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from tests.scenarios.program import ENTRYPOINT, Ended, Place
from tests.simulator import Package, Simulator
from tests.wire.world import TOKEN

NUMBER = 8
RECEIPT = "package-keeper-receipt.jsonl"
ALL = {f"1.{number}.0" for number in range(NUMBER)} | {"2.0.0"}


@pytest.fixture
def package(sim: Simulator) -> Package:
    made = sim.add_package("acme", "npm", "app")
    for number in range(NUMBER):
        made.add_version(f"1.{number}.0", created_at=f"2026-01-{number + 1:02}T00:00:00Z")
    made.add_version("2.0.0", created_at="2026-02-01T00:00:00Z")
    return made


def command(sim: Simulator, place: Place, *arguments: str) -> tuple[list[str], dict[str, str]]:
    """A command line, which writes no file but the receipt."""
    environment = {"GH_TOKEN": TOKEN, "GITHUB_API_URL": sim.url, "GITHUB_REPOSITORY_OWNER": "acme"}
    always = ("--package-type", "npm", "--no-dry-run", "--format", "json")
    return [*arguments, *always], place.terminal_environment(environment)


def start(sim: Simulator, place: Place, *arguments: str) -> subprocess.Popen[str]:
    """Start the program so that it writes nothing else, least of all the compiled modules that other tests run."""
    line, environment = command(sim, place, "delete", "--package", "app", "--versions", "1.*", *arguments)
    for file in (place.output_file(), place.summary_file()):
        file.write_text("", encoding="utf-8")
    return subprocess.Popen(
        [sys.executable, "-I", "-B", str(ENTRYPOINT), *line],
        cwd=place.workspace,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def names(package: Package) -> set[str]:
    return {version.name for version in package.active()}


def wait_until(reached: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not reached():
        assert time.monotonic() < until, "the run did not get so far"
        time.sleep(0.005)


def undo(sim: Simulator, place: Place) -> Ended:
    return place.run(*command(sim, place, "restore", "--undo", RECEIPT))


def size(place: Place) -> int:
    file = place.workspace / RECEIPT
    return file.stat().st_size if file.exists() else 0


@pytest.mark.parametrize("room", [300, 1_700, 2_500])
def test_nothing_is_sent_after_a_disk_is_full_and_undo_takes_back_what_was(
    sim: Simulator, package: Package, place: Place, room: int
) -> None:
    process = start(sim, place, "--pace", "polite")
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
    ended = place.end(process)
    assert ended.status == 1, ended.said
    assert any("cannot be written any more" in text for text in ended.annotations["error"])
    assert size(place) == room
    gone = ALL - names(package)
    text = (place.workspace / RECEIPT).read_text(encoding="utf-8")
    assert len(sim.writes) == len(gone) == text[: text.rfind("\n") + 1].count('"started"') < NUMBER
    undone = undo(sim, place)
    assert undone.status == (0 if gone else 2), undone.said
    assert names(package) == ALL
    if gone:
        damaged = text.count("\n") + 1
        (warning,) = undone.annotations["warning"]
        assert f"1 lines of the receipt are damaged, and passed over: {damaged};" in warning


def test_answers_that_were_under_way_when_the_disk_was_full_are_lines_of_their_own(
    sim: Simulator, package: Package, place: Place
) -> None:
    # the first is answered at once, and breaks off; by the time of the others there is room again
    sim.faults.add("DELETE", "/versions/", action="delay", delay=2.5, after=1, times=None)
    process = start(sim, place)

    def fill(*_: object) -> None:
        filled.append(size(place) + 100)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (filled[0], resource.RLIM_INFINITY))

    filled: list[int] = []
    sim.on("DELETE", "/versions/", fill, times=1)
    wait_until(lambda: bool(filled) and size(place) == filled[0])
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    ended = place.end(process)
    assert ended.status == 1, ended.said
    gone = ALL - names(package)
    lines = (place.workspace / RECEIPT).read_text(encoding="utf-8").splitlines()
    broken = [number for number, line in enumerate(lines, start=1) if not line.endswith("}")]
    assert len(broken) == 1
    assert len(lines) == 2 * len(gone), "one that began, and one that ended, for each"
    undone = undo(sim, place)
    assert (undone.status, undone.count("restored")) == (0, len(gone)), undone.said
    assert f"passed over: {broken[0]}; the other lines tell of every write" in undone.annotations["warning"][0]
    assert names(package) == ALL
