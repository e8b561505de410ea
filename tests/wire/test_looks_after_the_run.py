"""A run that deleted looks again at what was pushed meanwhile, with a tag or without one."""

from __future__ import annotations

import signal

import pytest

from tests.scenarios.program import Place, receipt_lines
from tests.simulator import Package, Request, Simulator, Version, push_image
from tests.simulator.images import INDEX, descriptor, index
from tests.wire import timed
from tests.wire.interrupting import Directed, Held
from tests.wire.world import environment

OLD = "2026-01-01T00:00:00Z"


@pytest.fixture
def package(sim: Simulator) -> Package:
    """An image that stays, and one of two platforms that goes."""
    made = sim.add_package("acme", "container", "app")
    push_image(made, "v1", platforms=["linux/amd64", "linux/arm64"], created_at=OLD)
    push_image(made, "pr-1", platforms=["linux/amd64", "linux/arm64"], created_at=OLD)
    return made


@pytest.mark.parametrize("tag", [None, "v2"])
def test_no_image_that_is_pushed_while_its_part_goes_is_broken_without_a_word(
    sim: Simulator, package: Package, place: Place, tag: str | None
) -> None:
    parts: list[str] = []

    def push(_: Simulator, request: Request) -> None:
        part = package.versions[int(request.path.rpartition("/")[2])]
        parts.append(part.name)
        package.push(index(descriptor(package.manifests[part.name][0]), seed="new"), INDEX, tag)

    # before the last of the three versions of the image goes
    sim.on("DELETE", "/versions/", push, after=2, times=1)
    ended = place.run([], environment(sim, place, tags="pr-*"))
    lost = set(parts) - {version.name for version in package.active()}
    told = [text for text in ended.annotations["error"] if " lost " in text]
    assert parts
    assert ended.count("broken") == len(lost) == len(told), ended.said
    assert (ended.status, ended.outputs["result"]) == ((1, "failed") if lost else (0, "done")), ended.said
    assert all(name[:19] in told[0] for name in lost)


@pytest.mark.parametrize("tag", [None, "v2"])
def test_an_image_that_is_pushed_around_a_plain_one_that_goes_gets_it_back(
    sim: Simulator, package: Package, place: Place, tag: str | None
) -> None:
    plain = push_image(package, "old", created_at=OLD)

    def push(*_: object) -> None:
        package.push(index(descriptor(package.manifests[plain.name][0]), seed="new"), INDEX, tag)

    pushed = sim.on("DELETE", f"/versions/{plain.id}$", push, times=1)
    ended = place.run([], environment(sim, place, tags="old"))
    assert (ended.status, ended.outputs["result"], ended.count("broken")) == (0, "done", 0), ended.said
    assert [version["outcome"] for version in ended.array("versions")] == ["changed-since-plan"]
    assert (pushed.hits, plain.is_active) == (1, True)
    assert "an image that was pushed meanwhile needs it, so it was restored" in ended.said


def pushed_around(sim: Simulator, package: Package, *plain: Version) -> None:
    """Somebody pushes an index of plain images, while the first of them goes."""

    def push(*_: object) -> None:
        package.push(index(*(descriptor(package.manifests[each.name][0]) for each in plain), seed="new"), INDEX, "v2")

    sim.on("DELETE", f"/versions/{plain[0].id}$", push, times=1)


def two_plain(package: Package) -> list[Version]:
    return [push_image(package, f"old-{number}", created_at=OLD) for number in (1, 2)]


def test_what_cannot_be_given_back_is_named_alone(sim: Simulator, package: Package, place: Place) -> None:
    back, lost = two_plain(package)
    pushed_around(sim, package, back, lost)
    sim.faults.add("POST", f"/versions/{lost.id}/restore", status=422, message="Something new", times=None)
    ended = place.run([], environment(sim, place, tags="old-*"))
    assert (ended.status, ended.outputs["result"], ended.count("broken")) == (1, "failed", 1), ended.said
    assert (ended.count("deleted"), ended.count("skipped")) == (1, 1)
    outcomes = {version["id"]: version["outcome"] for version in ended.array("versions")}
    assert outcomes == {back.id: "changed-since-plan", lost.id: "done"}
    assert (back.is_active, lost.is_active) == (True, False)
    lines = receipt_lines(place.workspace / ended.outputs["receipt"])
    restored = [(line["id"], line["reason"], line["root"]) for line in lines if line["action"].startswith("restore")]
    new = package.tags()["v2"].name
    assert set(restored) == {(back.id, "needed-by", new), (lost.id, "needed-by", new)}
    (told,) = [text for text in ended.annotations["error"] if " lost " in text]
    assert (lost.name[:19] in told, back.name[:19] in told) == (True, False)
    assert any("1 parts are restored" in text for text in ended.annotations["warning"])


def test_a_token_that_is_no_longer_accepted_gives_nothing_back(sim: Simulator, package: Package, place: Place) -> None:
    plain = two_plain(package)
    pushed_around(sim, package, *plain)
    sim.faults.add("POST", "/restore", status=401, message="Bad credentials", times=None)
    ended = place.run([], environment(sim, place, tags="old-*"))
    assert (ended.status, ended.outputs["result"], ended.count("broken")) == (4, "failed", 1), ended.said
    assert [version["outcome"] for version in ended.array("versions")] == ["done", "done"]
    assert not any("are restored" in text for text in ended.annotations["warning"])


@pytest.mark.parametrize("answer", ["refused", "limited"])
def test_a_look_that_fails_is_a_problem_and_one_without_time_a_warning(
    sim: Simulator, package: Package, place: Place, answer: str
) -> None:
    headers = {"Retry-After": "600"}
    message = "Resource not accessible by integration" if answer == "refused" else "You have exceeded a secondary rate"
    # lists are read for the plan, before the parts and after the run; another look follows
    sim.faults.add(
        "GET",
        "/versions[?]",
        status=403 if answer == "refused" else 429,
        message=message,
        headers={} if answer == "refused" else headers,
        after=2,
        times=1,
    )
    ended = place.run([], environment(sim, place, tags="pr-*", time_limit="60s"))
    said = "the check after the run" if answer == "refused" else "the images that stay were not looked at again"
    kind = "error" if answer == "refused" else "warning"
    assert (ended.status, ended.count("deleted")) == (int(answer == "refused"), 3), ended.said
    assert any(said in text for text in ended.annotations[kind]), ended.said
    assert set(package.tags()) == {"v1"}


def test_a_run_that_is_cancelled_while_it_looks_reports_what_went_with_its_package(
    sim: Simulator, package: Package, place: Place
) -> None:
    whole = sim.add_package("acme", "container", "whole")
    for number in (1, 2):
        push_image(whole, f"pr-{number}", created_at=OLD)
    # the first list is for the plan, the second is read before the parts
    look = Held(sim, "GET", "/app/versions[?]", after=2)
    run = Directed(place, [], environment(sim, place, package="*", tags="pr-*", on_last_version="delete-package"))
    look.wait()
    run.send_signal(signal.SIGTERM)
    look.release()
    ended = run.end()
    assert (ended.status, ended.outputs["result"]) == (130, "cancelled"), ended.said
    assert (ended.count("deleted"), ended.count("remaining")) == (5, 0), ended.said
    assert (whole.deleted_at is None, set(package.tags())) == (False, {"v1"})
    assert ended.outputs["bytes-freed"] != ""


def test_a_run_that_has_ended_looks_at_nothing(sim: Simulator, package: Package, place: Place) -> None:
    # the root and one of its parts go
    sim.faults.add("DELETE", "/versions/", status=401, message="Bad credentials", after=2, times=None)
    ended = place.run([], environment(sim, place, tags="pr-*"))
    assert (ended.status, ended.count("deleted"), ended.count("failed")) == (4, 2, 1), ended.said
    last = max(place for place, request in enumerate(sim.requests) if request.method == "DELETE")
    assert [request.path for request in sim.requests[last + 1 :] if "/versions" in request.path] == []
    assert len(package.active()) == 4


def test_what_somebody_else_deleted_is_not_given_back(sim: Simulator, package: Package, place: Place) -> None:
    plain = push_image(package, "old", created_at=OLD)
    pushed_around(sim, package, plain)
    sim.on("DELETE", f"/versions/{plain.id}$", lambda *_: package.remove(plain), times=1)
    ended = place.run([], environment(sim, place, tags="old"))
    assert [version["outcome"] for version in ended.array("versions")] == ["already-gone"]
    assert (plain.is_active, [request.method for request in sim.writes]) == (False, ["DELETE"])


def test_an_image_gets_its_part_back_although_the_time_is_over(sim: Simulator, package: Package, place: Place) -> None:
    plain = push_image(package, "old", created_at=OLD)

    def push(*_: object) -> None:
        new = package.push(index(descriptor(package.manifests[plain.name][0]), seed="new"), INDEX, "v2")
        timed.time_passes(sim, place, 61, "GET", f"/manifests/{new.name}$")

    sim.on("DELETE", f"/versions/{plain.id}$", push, times=1)
    ended = timed.run(sim, place, tags="old", time_limit="60s")
    assert timed.passed(place).seconds >= 61
    assert (ended.status, ended.count("broken"), plain.is_active) == (0, 0, True), ended.said


def test_a_plain_image_that_the_look_still_shows_is_failed(sim: Simulator, package: Package, place: Place) -> None:
    plain = push_image(package, "old", created_at=OLD)
    sim.faults.add("DELETE", f"/versions/{plain.id}$", status=204, body=b"", times=None)
    ended = place.run([], environment(sim, place, tags="old"))
    assert (ended.status, ended.outputs["result"], ended.count("failed")) == (1, "failed", 1), ended.said
    assert [version["outcome"] for version in ended.array("versions")] == ["failed"]
