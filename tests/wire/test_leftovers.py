"""How many manifests a run reads of leftovers, over the wire: each read counts as a download."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from tests.benchmarks.worlds import leftovers, shuffled
from tests.scenarios.program import Ended, Place
from tests.simulator import Package, Simulator
from tests.wire.test_budgets import run

IMAGES = 40
INDEXES, LEFT = IMAGES, IMAGES // 2 * 5
LEFTOVERS = {"tag_status": "untagged", "older_than": "1d", "dry_run": ""}


def asked(sim: Simulator, place: Place, **more: str) -> tuple[Ended, Counter[str]]:
    """Run, and count the questions about manifests."""
    before = len(sim.requests)
    ended = run(sim, place, **LEFTOVERS, **more)
    assert (ended.status, ended.count("selected")) == (0, LEFT), ended.said
    return ended, Counter(request.method for request in sim.requests[before:] if "/manifests/" in request.path)


def test_of_leftovers_only_the_indexes_are_read(sim: Simulator, place: Place) -> None:
    leftovers(sim, IMAGES)
    assert asked(sim, place)[1] == {"GET": INDEXES}


def test_where_nothing_tells_the_index_versions_are_asked_and_not_downloaded(sim: Simulator, place: Place) -> None:
    shuffled(sim, IMAGES)
    found = asked(sim, place)[1]
    assert found["GET"] <= INDEXES + 4
    assert found["HEAD"] <= LEFT


@pytest.mark.parametrize("world", [leftovers, shuffled])
def test_with_a_cache_the_next_run_asks_nothing(
    sim: Simulator, place: Place, world: Callable[[Simulator, int], Package]
) -> None:
    world(sim, IMAGES)
    first, _ = asked(sim, place, manifest_cache="manifests")
    second, found = asked(sim, place, manifest_cache="manifests")
    assert found == {}
    assert second.array("versions") == first.array("versions")
