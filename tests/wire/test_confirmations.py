"""The last look of a run that writes: what GitHub confirmed and did not do is not called done.

GitHub answers 204 and does nothing, or shows late what it did. Time passes only where the program waits.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.scenarios.program import Ended, Place, receipt_lines
from tests.simulator import Package, Simulator
from tests.simulator.images import push_image
from tests.wire import timed
from tests.wire.test_budgets import names, versions
from tests.wire.test_drift import outcomes

NO_EFFECT: dict[str, Any] = {"status": 204, "body": b"", "times": None}
FORBIDDEN: dict[str, Any] = {"status": 403, "message": "Resource not accessible by integration", "times": None}
NPM = {"package_type": "npm", "versions": "*,!1.9.0", "keep_latest": "1"}


def reads(sim: Simulator) -> list[str]:
    """What was read after the last write, by the last part of its path."""
    last = max(place for place, request in enumerate(sim.requests) if request.method in ("DELETE", "POST"))
    return [request.path.rpartition("/")[2] for request in sim.requests[last + 1 :]]


def last_outcomes(place: Place, ended: Ended) -> list[str]:
    lines = {line["seq"]: line["outcome"] for line in receipt_lines(place.workspace / ended.outputs["receipt"])}
    return list(lines.values())


def removed(package: Package, *numbers: int) -> list[int]:
    for number in numbers:
        version = package.find(f"1.{number}.0")
        assert version is not None
        package.remove(version)
    return [version.id for version in package.deleted()]


def test_a_deletion_that_did_not_happen_is_failed_after_three_looks(sim: Simulator, place: Place) -> None:
    package = versions(sim, 4)
    stays = package.find("1.1.0")
    assert stays is not None
    sim.faults.add("DELETE", f"/versions/{stays.id}$", **NO_EFFECT)
    ended = timed.run(sim, place, **NPM)
    assert (ended.status, ended.outputs["result"]) == (1, "failed"), ended.said
    assert (ended.count("deleted"), ended.count("failed"), ended.outputs["bytes-freed"]) == (2, 1, "")
    assert outcomes(ended)[stays.id] == "failed"
    assert names(package) == ["1.1.0", "1.3.0"]
    assert sorted(last_outcomes(place, ended)) == ["done", "done", "failed"]
    # the list says it of all of them, and the version of itself; then that one is asked for alone
    assert reads(sim) == ["versions", *[str(stays.id)] * 3]
    assert 10 <= timed.passed(place).seconds < 11


def test_what_github_shows_late_is_done(sim: Simulator, place: Place) -> None:
    package = versions(sim, 2)
    late = package.find("1.0.0")
    assert late is not None
    sim.faults.add("DELETE", "/versions/", **NO_EFFECT)
    sim.on("GET", f"/versions/{late.id}$", lambda *_: package.remove(late), times=1, after=2)
    ended = timed.run(sim, place, **NPM)
    assert (ended.status, ended.outputs["result"], ended.count("deleted")) == (0, "done", 1), ended.said
    assert reads(sim) == [str(late.id)] * 3


@pytest.mark.parametrize(("there", "number", "lists"), [(3, 1, False), (3, 2, True), (201, 2, False), (201, 3, True)])
def test_few_versions_are_asked_for_and_many_are_looked_up_in_the_list(
    sim: Simulator, place: Place, there: int, number: int, lists: bool
) -> None:
    """Where the pages of the list are fewer than the versions, the list is read."""
    versions(sim, there)
    ended = timed.run(sim, place, package_type="npm", versions="*", keep_latest=str(there - number))
    assert (ended.status, ended.count("deleted")) == (0, number), ended.said
    found = reads(sim)
    assert ("versions" in found) is lists, found
    assert lists or len(found) == number, found
    assert timed.passed(place).seconds < 1


def test_what_was_refused_and_what_lost_a_tag_is_not_asked_for(sim: Simulator, place: Place) -> None:
    package = sim.add_package("acme", "container", "app")
    both, refused, goes, _ = [push_image(package, tag, created_at=timed.OLD) for tag in ("pr-1", "pr-2", "pr-3", "v1")]
    package.move_tag("v2", both)
    sim.faults.add("DELETE", f"/versions/{refused.id}$", status=422, message="Something new", times=None)
    ended = timed.run(sim, place, tags="pr-*", partial_match="untag")
    assert (ended.status, ended.count("deleted"), ended.count("untagged")) == (1, 1, 1), ended.said
    assert any("Something new" in text for text in ended.annotations["error"])
    assert goes.is_active is False
    assert not {str(both.id), str(refused.id)} & set(reads(sim))


@pytest.mark.parametrize("operation", ["delete", "restore"])
def test_a_list_that_lags_is_no_proof(sim: Simulator, place: Place, operation: str) -> None:
    package = versions(sim, 4)
    if operation == "restore":
        removed(package, 0, 1)
    sim.configure(deletions_listed_for=3600, restores_listed_after=3600)
    more = {"keep_latest": "1"} if operation == "delete" else {}
    ended = timed.run(sim, place, operation=operation, package_type="npm", versions="*", **more)
    assert (ended.status, ended.outputs["result"], ended.count("failed")) == (0, "done", 0), ended.said


@pytest.mark.parametrize("answer", [404, 403])
def test_a_package_that_goes_meanwhile_is_gone_with_all_of_it(sim: Simulator, place: Place, answer: int) -> None:
    """A list that cannot be read is a problem, and nothing is taken back because of it."""
    package = versions(sim, 4)
    if answer == 404:
        sim.on("GET", "/versions[?]", lambda *_: package.delete(), times=1, after=1)
    else:
        sim.faults.add("GET", "/versions[?]", after=1, **FORBIDDEN)
    ended = timed.run(sim, place, **NPM)
    assert (ended.status, ended.count("deleted"), ended.count("failed")) == (0 if answer == 404 else 1, 3, 0), (
        ended.said
    )
    assert any("the check after the run" in text for text in ended.annotations["error"]) is (answer == 403)
    assert set(last_outcomes(place, ended)) == {"done"}


def test_a_look_that_has_no_time_is_left_out_with_a_warning(sim: Simulator, place: Place) -> None:
    package = versions(sim, 2)
    deleted = package.find("1.0.0")
    assert deleted is not None
    timed.refuse(sim, "GET", f"/versions/{deleted.id}$", 600)
    ended = timed.run(sim, place, **NPM, time_limit="60s")
    assert (ended.status, ended.outputs["result"], ended.count("deleted")) == (0, "done", 1), ended.said
    assert any("what GitHub confirmed was not looked at again" in text for text in ended.annotations["warning"])


@pytest.mark.parametrize("operation", ["delete-package", "restore-package"])
def test_a_whole_package_is_looked_at_too(sim: Simulator, place: Place, operation: str) -> None:
    package = versions(sim, 2)
    lib = sim.add_package("acme", "npm", "lib")
    lib.add_version("1.0.0")
    if operation == "restore-package":
        package.delete()
        lib.delete()
    sim.faults.add("DELETE" if operation == "delete-package" else "POST", "/npm/app", **NO_EFFECT)
    ended = timed.run(sim, place, operation=operation, package_type="npm", package="app,lib")
    assert (ended.status, ended.outputs["result"], ended.count("failed")) == (1, "failed", 1), ended.said
    assert (package.deleted_at is None, lib.deleted_at is None) == (
        (True, False) if operation == "delete-package" else (False, True)
    )
    assert sorted(last_outcomes(place, ended)) == ["done", "failed"]
    assert sorted(reads(sim)) == ["app", "app", "app", "lib"]


def test_a_restoration_that_did_not_happen_is_failed(sim: Simulator, place: Place) -> None:
    package = versions(sim, 3)
    _, lost = sorted(removed(package, 0, 1))
    sim.faults.add("POST", f"/versions/{lost}/restore", **NO_EFFECT)
    ended = timed.run(sim, place, operation="restore", package_type="npm", versions="*")
    assert (ended.status, ended.count("restored"), ended.count("failed")) == (1, 1, 1), ended.said
    assert outcomes(ended)[lost] == "failed"
    assert names(package) == ["1.0.0", "1.2.0"]


def test_a_package_that_does_not_go_with_its_last_version_is_failed(sim: Simulator, place: Place) -> None:
    package = versions(sim, 2)
    sim.faults.add("DELETE", "/npm/app$", **NO_EFFECT)
    ended = timed.run(sim, place, package_type="npm", versions="*", on_last_version="delete-package")
    assert (ended.status, ended.count("deleted"), ended.count("failed")) == (1, 1, 1), ended.said
    assert names(package) == ["1.1.0"]
    assert sorted(last_outcomes(place, ended)) == ["done", "failed"]


def test_what_was_looked_at_for_its_parts_is_not_looked_at_again(sim: Simulator, place: Place) -> None:
    for name in ("app", "plain"):
        package = sim.add_package("acme", "container", name)
        for tag in ("v1", "pr-1"):
            platforms = timed.PLATFORMS if name == "app" else []
            push_image(package, tag, platforms=platforms, created_at=timed.OLD)
    ended = timed.run(sim, place, package="*", tags="pr-*")
    assert (ended.status, ended.outputs["result"], ended.count("deleted")) == (0, "done", 4), ended.said
    plain = next(
        line["id"] for line in receipt_lines(place.workspace / ended.outputs["receipt"]) if line["package"] == "plain"
    )
    assert reads(sim) == ["versions", str(plain)]


def test_a_long_list_is_read_once_before_its_package_goes(sim: Simulator, place: Place) -> None:
    package = versions(sim, 120)
    ended = timed.run(sim, place, package_type="npm", versions="*", on_last_version="delete-package")
    assert (ended.status, ended.count("deleted"), package.deleted_at is None) == (0, 120, False), ended.said
    first = min(place for place, request in enumerate(sim.requests) if request.method == "DELETE")
    last = max(place for place, request in enumerate(sim.requests) if request.method == "DELETE")
    looks = [request for request in sim.requests[first:last] if request.method == "GET"]
    assert len(looks) <= 2
