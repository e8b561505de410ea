"""Somebody pushes and somebody deletes while a list of several pages is read: no image that stays loses a part.

The push makes up for the deletion, so that neither GitHub's count nor the first page shows that an index slipped from
one page to the page before it, which was read already. Its parts then look like leftovers.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from package_keeper.github.paging import READINGS
from tests.scenarios.program import Place
from tests.simulator import Package, Request, Simulator, Version
from tests.simulator.images import INDEX, descriptor, image_manifest, index, push_image
from tests.wire.test_budgets import OLD, run
from tests.wire.test_drift import broken
from tests.wire.timed import run as run_without_waits

CACHE = {"manifest_cache": "cache"}
"""Else the manifest of what somebody deletes cannot be read, and that alone stops all deletions."""
PLATFORMS = ["linux/amd64", "linux/arm64"]
UNTAGGED = {"tag_status": "untagged", "older_than": "1d"}
NAMED, GLOB = {"package": "app"}, {"package": "*"}


def newer(package: Package, number: int) -> list[Version]:
    """Push so many images, each newer than the one before, and all newer than `OLD`."""
    times = [f"2026-02-{1 + n // 1440:02}T{n // 60 % 24:02}:{n % 60:02}:00Z" for n in range(number)]
    return [push_image(package, f"r{n}", created_at=moment) for n, moment in enumerate(times)]


def filled(sim: Simulator, pages: int) -> tuple[Package, list[Version]]:
    """An old image `v1` whose index is the first of the last page as soon as one more is pushed."""
    package = sim.add_package("acme", "container", "app")
    push_image(package, "v1", platforms=PLATFORMS, created_at=OLD)
    return package, newer(package, 100 * (pages - 1) - 1)


def remembered(sim: Simulator, place: Place, **inputs: str) -> dict[str, str]:
    """The inputs, once all manifests are in the cache."""
    assert run(sim, place, **inputs, **CACHE, dry_run="true").status == 0
    sim.forget_requests()
    return inputs | CACHE


def slip(sim: Simulator, package: Package, gone: Version, page: int) -> None:
    """Hide the first entry of `page` from a reading: push before its first page, delete right before `page`.

    The page before it has been given by then, with what goes in it.
    """

    def push(*_: object) -> None:
        push_image(package, f"pushed-{page}")

    sim.on("GET", r"/versions\?page=1&", push, times=1)
    delete_between(sim, package, gone, page)


def delete_between(sim: Simulator, package: Package, gone: Version, page: int, *, reading: int = 1) -> None:
    """Delete when the page before `page` was given, and right before `page` is."""

    def delete(*_: object) -> None:
        for _tries in range(2_000):
            pages = [each for each in sim.requests if each.query.get("page") == str(page - 1) and each.status]
            if len(pages) >= reading:
                break
            time.sleep(0.005)
        package.remove(gone)

    sim.on("GET", rf"/versions\?page={page}&", delete, times=1, after=reading - 1)


@pytest.mark.parametrize("scope", [NAMED, GLOB], ids=["named", "glob"])
@pytest.mark.parametrize("pages", [2, 3])
def test_the_parts_of_an_index_that_a_reading_missed_are_no_leftovers(
    sim: Simulator, place: Place, pages: int, scope: dict[str, str]
) -> None:
    package, others = filled(sim, pages)
    inputs = remembered(sim, place, **UNTAGGED, **scope)
    slip(sim, package, others[50], pages)
    ended = run(sim, place, **inputs)
    assert not others[50].is_active
    assert (ended.status, ended.count("deleted")) == (0, 0), ended.said
    assert "unreadable" not in ended.said
    assert broken(package) == []


@pytest.mark.parametrize("scope", [NAMED, GLOB], ids=["named", "glob"])
@pytest.mark.parametrize("pages", [2, 3])
def test_parts_of_an_index_that_a_reading_missed_stay_when_their_image_is_deleted(
    sim: Simulator, place: Place, pages: int, scope: dict[str, str]
) -> None:
    package, others = filled(sim, pages)
    parts = [package.manifests[name][0] for name in parts_of(package, package.tags()["v1"])]
    children = [
        descriptor(part, platform={"os": "linux", "architecture": name})
        for part, name in zip(parts, ("amd64", "arm64"), strict=True)
    ]
    package.push(index(*children, seed="pr-1"), INDEX, "pr-1", "2025-12-01")
    inputs = remembered(sim, place, tags="pr-*", **scope)
    slip(sim, package, others[50], pages)
    ended = run(sim, place, **inputs)
    assert (ended.status, ended.count("deleted")) == (0, 1), ended.said
    assert "v1" in package.tags()
    assert "pr-1" not in package.tags()
    assert broken(package) == []


@pytest.mark.parametrize("pages", [2, 3])
def test_the_parts_of_a_young_untagged_index_stay_when_a_reading_missed_it(
    sim: Simulator, place: Place, pages: int
) -> None:
    package = sim.add_package("acme", "container", "app")
    part = image_manifest(package, "built long ago")
    package.push(part, created_at=OLD)
    # no tag yet: a push is under way
    untagged = package.push(index(descriptor(part, platform={"os": "linux", "architecture": "amd64"})), INDEX)
    untagged.update(created_at="2026-01-02")
    others = newer(package, 100 * (pages - 1) - 1)
    inputs = remembered(sim, place, **UNTAGGED)
    slip(sim, package, others[50], pages)
    ended = run(sim, place, **inputs)
    assert (ended.status, ended.count("deleted")) == (0, 0), ended.said
    assert "unreadable" not in ended.said
    assert untagged.is_active
    assert broken(package) == []


def parts_of(package: Package, version: Version) -> list[str]:
    return [child["digest"] for child in json.loads(package.manifests[version.name][0])["manifests"]]


def test_an_entry_that_the_second_reading_missed_is_found_by_the_third(sim: Simulator, place: Place) -> None:
    package, others = filled(sim, 2)
    push_image(package, None, seed="left over", created_at="2025-12-01")
    gone = push_image(package, None, seed="left over too", created_at="2025-12-02")
    push_image(package, "top")
    inputs = remembered(sim, place, **UNTAGGED)
    delete_between(sim, package, others[50], 2, reading=2)
    ended = run(sim, place, **inputs)
    assert (ended.status, ended.count("deleted")) == (0, 2), ended.said
    assert not gone.is_active
    first = next(place for place, each in enumerate(sim.requests) if each.method == "DELETE")
    assert sorted(pages_read(sim, first)) == sorted(["1", "2"] * 4)
    assert broken(package) == []


def pages_read(sim: Simulator, until: int | None = None) -> list[str]:
    return [each.query["page"] for each in sim.requests[:until] if each.method == "GET" and "page" in each.query]


def test_nothing_is_deleted_by_a_list_that_keeps_changing(sim: Simulator, place: Place) -> None:
    package, _ = filled(sim, 2)
    leftover = push_image(package, None, seed="left over", created_at=OLD)
    other = sim.add_package("acme", "container", "other")
    push_image(other, "v1", created_at=OLD)
    gone = push_image(other, None, seed="left over", created_at=OLD)

    def push(_: Simulator, request: Request) -> None:
        push_image(package, f"p{request.sequence}")

    sim.on("GET", r"app/versions\?page=1&", push, times=None)
    ended = run(sim, place, **UNTAGGED, **GLOB)
    assert (ended.status, ended.outputs["result"]) == (1, "failed"), ended.said
    assert "changes too fast" in "".join(ended.annotations["error"])
    assert leftover.is_active
    assert not gone.is_active, "the others go on"
    reasons = {version["id"]: version["outcome"] for version in ended.array("versions")}
    assert reasons == {gone.id: "done"}
    assert len(pages_read(sim)) == 2 * (1 + READINGS) + 2, "two pages, once and so often again, and those of the other"


def test_a_tag_that_moves_to_a_leftover_between_two_readings_keeps_it(sim: Simulator, place: Place) -> None:
    package, _ = filled(sim, 2)
    kept, gone = (push_image(package, None, seed=seed, created_at=OLD) for seed in ("kept", "gone"))
    # it is on page 2; the second reading requests both pages at once
    sim.on("GET", r"/versions\?page=2&", lambda *_: package.move_tag("latest", kept), times=1, after=1)
    ended = run(sim, place, **UNTAGGED)
    assert (ended.status, ended.count("deleted")) == (0, 1), ended.said
    assert kept.is_active
    assert not gone.is_active


@pytest.mark.parametrize(("percent", "status"), [("1", 3), ("2", 0)])
def test_the_guard_checks_the_final_plan(sim: Simulator, place: Place, percent: str, status: int) -> None:
    """One of 103 is less than one in a hundred; what the second reading shows is two."""
    package, _ = filled(sim, 2)
    leftovers = [push_image(package, None, seed="one", created_at=OLD)]

    def push(*_: object) -> None:
        leftovers.append(push_image(package, None, seed="two", created_at=OLD))

    sim.on("GET", r"/versions\?page=1&", push, times=1, after=1)
    ended = run(sim, place, **UNTAGGED, max_delete_percent=percent)
    assert ended.status == status, ended.said
    assert [each.is_active for each in leftovers] == [status == 3] * 2


# what it costs


def nothing(_: Package) -> dict[str, str]:
    return {"tags": "none-*"}


def tagged(_: Package) -> dict[str, str]:
    return {"tags": "r7*"}


def dry(package: Package) -> dict[str, str]:
    push_image(package, None, seed="left over", created_at=OLD)
    return UNTAGGED | {"dry_run": "true"}


def leftovers(package: Package) -> dict[str, str]:
    push_image(package, None, seed="left over", created_at=OLD)
    return UNTAGGED


@pytest.mark.parametrize(
    ("case", "readings"),
    [(nothing, 1), (tagged, 1), (dry, 1), (leftovers, 2)],
    ids=["nothing goes", "only tagged go", "dry run", "leftovers go"],
)
def test_a_list_is_read_again_only_when_an_untagged_version_is_deleted(
    sim: Simulator, place: Place, case: Callable[[Package], dict[str, str]], readings: int
) -> None:
    package = sim.add_package("acme", "container", "app")
    newer(package, 250)
    inputs = case(package)
    ended = run(sim, place, **inputs)
    assert ended.status == 0, ended.said
    # what is read after the writes only confirms them
    first = next((each.sequence for each in sim.writes), len(sim.requests) + 1)
    read = [each for each in sim.requests if "page" in each.query and each.sequence < first]
    # the first page once more in the end of the first reading, which is side by side
    assert sorted(each.query["page"] for each in read) == sorted(
        ["1", "1", "2", "3"] + ["1", "2", "3"] * (readings - 1)
    )
    again = read[4:]
    assert {each.status for each in again} <= {304}, "what is as it was is free of the primary limit"


def test_a_list_of_one_page_is_read_once(sim: Simulator, place: Place) -> None:
    package = sim.add_package("acme", "container", "app")
    newer(package, 98)
    push_image(package, None, seed="left over", created_at=OLD)
    ended = run(sim, place, **UNTAGGED)
    assert (ended.status, ended.count("deleted")) == (0, 1), ended.said
    assert pages_read(sim) == ["1"]


def test_the_second_reading_requests_all_pages_at_once(sim: Simulator, place: Place) -> None:
    package = sim.add_package("acme", "container", "app")
    newer(package, 450)
    push_image(package, None, seed="left over", created_at=OLD)
    times: Counter[str] = Counter()
    together = threading.Barrier(5)

    def meet(_: Simulator, request: Request) -> None:
        page = request.query["page"]
        times[page] += 1
        # the first page was read once more, to see that the first reading has come to its end
        if times[page] == (3 if page == "1" else 2):
            together.wait(30)

    sim.on("GET", r"/versions\?page=", meet, times=None)
    ended = run(sim, place, **UNTAGGED)
    assert (ended.status, ended.count("deleted")) == (0, 1), ended.said
    assert not together.broken, "all pages of the second reading were in flight at once"


def test_a_package_that_is_deleted_between_two_readings_is_no_failure(sim: Simulator, place: Place) -> None:
    package, _ = filled(sim, 2)
    push_image(package, None, seed="left over", created_at=OLD)
    sim.on("GET", r"/versions\?page=1&", lambda *_: package.delete(), times=1, after=1)
    ended = run(sim, place, **UNTAGGED, **GLOB)
    assert (ended.status, ended.count("deleted")) == (0, 0), ended.said
    assert "went away" in "".join(ended.annotations["warning"])


@pytest.mark.parametrize(
    ("fault", "status"),
    [({"status": 502}, 5), ({"status": 403, "message": "Resource not accessible by integration"}, 4)],
)
def test_nothing_is_deleted_when_the_second_reading_fails(
    sim: Simulator, place: Place, fault: dict[str, Any], status: int
) -> None:
    package, _ = filled(sim, 2)
    leftover = push_image(package, None, seed="left over", created_at=OLD)
    sim.faults.add("GET", "/app/versions", after=2, times=None, **fault)
    ended = run_without_waits(sim, place, **UNTAGGED)
    assert (ended.status, ended.count("deleted"), ended.count("planned")) == (status, 0, 0), ended.said
    assert leftover.is_active
