"""A disk that is full in the middle of a run: the receipt stays true, and takes back what was deleted.

What the system lets a file grow to stands for the disk, as anybody may set it: no answer is written beyond it.
"""

from __future__ import annotations

import resource

import pytest

from tests.scenarios.program import Ended, Place
from tests.simulator import Package, Simulator
from tests.wire.interrupting import ALL, NUMBER, RECEIPT, Directed, Held, names, npm_package, wait_until
from tests.wire.world import TOKEN


@pytest.fixture
def package(sim: Simulator) -> Package:
    return npm_package(sim)


def command(sim: Simulator, place: Place, *arguments: str) -> tuple[list[str], dict[str, str]]:
    """A command line, which writes no file but the receipt."""
    environment = {"GH_TOKEN": TOKEN, "GITHUB_API_URL": sim.url, "GITHUB_REPOSITORY_OWNER": "acme"}
    # what is measured would be written to the disk that is full
    plain = {name: text for name, text in place.terminal_environment(environment).items() if "COVERAGE" not in name}
    return [*arguments, "--package-type", "npm", "--no-dry-run", "--format", "json"], plain


def start(sim: Simulator, place: Place, *arguments: str) -> Directed:
    return Directed(place, *command(sim, place, "delete", "--package", "app", "--versions", "1.*", *arguments))


def limit(run: Directed, size: int) -> None:
    """Let the files of a run grow to this size."""
    resource.prlimit(run.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def undo(sim: Simulator, place: Place) -> Ended:
    return place.run(*command(sim, place, "restore", "--undo", RECEIPT))


def size(place: Place) -> int:
    file = place.workspace / RECEIPT
    return file.stat().st_size if file.exists() else 0


@pytest.mark.parametrize("room", [300, 1_700, 2_500])
def test_nothing_is_sent_after_a_disk_is_full_and_undo_takes_back_what_was(
    sim: Simulator, package: Package, place: Place, room: int
) -> None:
    first = Held(sim, "GET", "/packages/")
    run = start(sim, place, "--pace", "polite")
    first.wait()
    limit(run, room)
    first.release()
    ended = run.end()
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
    # the first is answered at once, and its line breaks off; by the time of the others there is room again
    selected = (version for version in package.active() if version.name.startswith("1."))
    first, *others = (Held(sim, "DELETE", f"/versions/{version.id}$") for version in selected)
    run = start(sim, place)
    for held in (first, *others):
        held.wait()
    filled = size(place) + 100
    limit(run, filled)
    first.release()
    wait_until(lambda: size(place) == filled)
    limit(run, resource.RLIM_INFINITY)
    for held in others:
        held.release()
    ended = run.end()
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
