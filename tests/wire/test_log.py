"""The log of long runs: few lines, one annotation for each cause, progress, and at the end the way back."""

from __future__ import annotations

import re

from tests.scenarios.program import SCALED, Ended, Place, time_of
from tests.simulator import Simulator
from tests.wire.world import environment, furnished


def filled(sim: Simulator, number: int, package: str = "app") -> None:
    """Add so many versions of an npm package."""
    found = sim.add_package("acme", "npm", package)
    for each in range(number):
        found.add_version(f"1.0.{each}", created_at=f"2026-01-01T{each // 60:02}:{each % 60:02}:00Z")


def deleting_300(place: Place, message: str = "") -> Ended:
    """Delete 300 versions, in a time in which a minute takes a second. `message` refuses each of them."""
    with Simulator(time_scale=60) as sim:
        furnished(sim)
        filled(sim, 301)
        if message:
            sim.faults.add("DELETE", "/versions/", status=422, message=message, times=None)
        variables = environment(sim, place, package_type="npm", versions="*", keep_latest="1")
        return place.run(time_of(sim), variables, SCALED)


def test_300_deletions_are_few_lines_and_end_with_the_way_back(place: Place) -> None:
    ended = deleting_300(place)
    lines = ended.stdout.splitlines()
    assert ended.count("deleted") == 300
    assert len(lines) < 50
    assert "::group::npm/app: 300 versions" in lines
    assert "and 280 more" in lines
    assert lines[-3:] == [
        "done: 300 versions in 1 package deleted, 1 kept",
        "receipt: package-keeper-receipt.jsonl",
        "way back, for 30 days: operation: restore, undo: package-keeper-receipt.jsonl, dry-run: false",
    ]


def test_300_failures_of_one_cause_are_one_annotation(place: Place) -> None:
    ended = deleting_300(place, "Nope.")
    (error,) = ended.annotations["error"]
    assert "failed, selected (Nope. (HTTP 422))" in error
    assert "and 299 more: " in error
    assert "::error title=failed::" in ended.stdout
    assert len(ended.stdout.splitlines()) < 100


def test_what_is_retried_and_succeeds_is_no_annotation_and_not_in_the_summary(sim: Simulator, place: Place) -> None:
    filled(sim, 3)
    sim.faults.add("DELETE", "/versions/", status=502)
    ended = place.run([], environment(sim, place, package_type="npm", versions="1.0.0"))
    assert (ended.status, ended.count("deleted")) == (0, 1)
    assert ended.annotations == {"error": [], "warning": [], "notice": []}
    assert "trying again in" in ended.stdout
    assert "trying again" not in ended.summary


def test_a_long_run_shows_how_far_it_is_also_while_it_waits(place: Place) -> None:
    with Simulator(time_scale=60) as sim:
        furnished(sim)
        filled(sim, 201)
        variables = environment(sim, place, package_type="npm", versions="*", keep_latest="1")
        ended = place.run(time_of(sim), variables, SCALED)
    assert ended.count("deleted") == 200
    progress = [line for line in ended.stdout.splitlines() if line.startswith("writing: ")]
    assert len(progress) >= 3, "180 writes a minute: the last ones wait for most of a minute"
    assert all(re.match(r"writing: [0-9]+ of 200\b", line) for line in progress)
    assert any(re.search(r", [0-9]+ a minute, .* left$", line) for line in progress)
    assert len(ended.stdout.splitlines()) < 60
