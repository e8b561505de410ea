"""The parts of many images go after one look at the lists; how many share a look depends on how long the lists are."""

from __future__ import annotations

from itertools import groupby

from tests.scenarios.program import Place
from tests.simulator import Package, Simulator, push_image
from tests.simulator.images import INDEX, descriptor, index
from tests.wire import timed

PLATFORM = ["linux/amd64"]
DELETIONS_OF_A_ROUND = 500
"""In lists of up to 2,500 versions."""


def looks(sim: Simulator) -> int:
    """How often the list was read between two deletions."""
    kinds = [
        "delete" if request.method == "DELETE" else "list"
        for request in sim.requests
        if request.method == "DELETE" or request.path.endswith("/versions")
    ]
    runs = [kind for kind, _ in groupby(kinds)]
    return runs[runs.index("delete") : len(runs) - runs[::-1].index("delete")].count("list")


def with_images(sim: Simulator, number: int) -> Package:
    """Make so many images of two versions each."""
    sim.limits.configure(points_per_minute=None)
    made = sim.add_package("acme", "container", "app")
    push_image(made, "v1", created_at=timed.OLD)
    for each in range(number):
        push_image(made, f"pr-{each}", platforms=PLATFORM, created_at=timed.OLD)
    return made


def test_five_hundred_deletions_share_a_look(sim: Simulator, place: Place) -> None:
    package = with_images(sim, DELETIONS_OF_A_ROUND // 2)
    ended = timed.run(sim, place, tags="pr-*")
    assert (ended.status, list(package.tags())) == (0, ["v1"]), ended.said
    assert looks(sim) == 1


def test_an_image_beyond_five_hundred_deletions_begins_a_round_with_a_look_of_its_own(
    sim: Simulator, place: Place
) -> None:
    package = with_images(sim, DELETIONS_OF_A_ROUND // 2 + 1)
    ended = timed.run(sim, place, tags="pr-*")
    assert (ended.status, list(package.tags())) == (0, ["v1"]), ended.said
    assert looks(sim) == 2


def test_a_fifth_of_a_long_list_shares_a_look(sim: Simulator, place: Place) -> None:
    package = with_images(sim, DELETIONS_OF_A_ROUND // 2 + 1)
    # the parts of an image that stays make the list long, and need not be read
    parts = [push_image(package, None, seed=f"part {number}", created_at=timed.OLD) for number in range(2_100)]
    os_of = {"os": "linux", "architecture": "amd64"}
    children = [descriptor(package.manifests[part.name][0], platform=os_of) for part in parts]
    package.push(index(*children, seed="large"), INDEX, "large", timed.OLD)
    ended = timed.run(sim, place, tags="pr-*")
    assert (ended.status, sorted(package.tags())) == (0, ["large", "v1"]), ended.said
    assert looks(sim) == 1
