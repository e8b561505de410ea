"""Empty manifests that untagging left: never restored, no image, no obstacle."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from package_keeper.model.manifest import STUB_ANNOTATION, VARIANTS, is_stub, stubs
from tests.scenarios.program import Ended, Place, receipt_lines
from tests.simulator import Package, Simulator, Version
from tests.simulator.images import DOCKER_MANIFEST, MANIFEST, encoded, image_manifest, push_image
from tests.wire.test_budgets import run

OLD = "2026-01-01T00:00:00Z"
UNTAG = {"tags": "pr-*", "partial_match": "untag"}


@pytest.fixture
def package(sim: Simulator) -> Package:
    """An image with two tags, and another one."""
    made = sim.add_package("acme", "container", "app")
    image = push_image(made, "v1", platforms=["linux/amd64", "linux/arm64"], created_at=OLD)
    made.push(*made.manifests[image.name], "pr-1", OLD)
    push_image(made, "v2", created_at="2026-01-05T00:00:00Z")
    return made


def stubs_in(package: Package) -> list[Version]:
    """All stubs, the deleted ones too."""
    return [each for each in package.versions.values() if STUB_ANNOTATION.encode() in package.manifests[each.name][0]]


def left_by(package: Package, tag: str, created_at: str = "2026-01-06T00:00:00Z") -> Version:
    """Permit a stub under a tag, as a run that is killed between its two steps does."""
    body = next(iter(stubs(tag).values()))
    return package.push(body, json.loads(body)["mediaType"], tag, created_at)


def of_an_earlier_version(package: Package, tag: str, media_type: str = MANIFEST) -> Version:
    """Permit a stub as earlier versions of this program made them: of the image's kind, with a random value."""
    document = json.loads(image_manifest(package, "image"))
    document |= {"mediaType": media_type, "layers": [], "annotations": {STUB_ANNOTATION: "5b1c0e"}}
    return package.push(encoded(document), media_type, tag, "2026-01-06T00:00:00Z")


def tags(package: Package) -> list[str]:
    return sorted(package.tags())


def notice(ended: Ended) -> str:
    return "\n".join(text for texts in ended.annotations.values() for text in texts)


def test_restoring_by_a_tag_that_was_taken_away_brings_no_stub_back(
    sim: Simulator, package: Package, place: Place
) -> None:
    assert run(sim, place, **UNTAG).count("untagged") == 1
    before = {version.id for version in package.active()}
    [stub] = stubs_in(package)
    written = len(sim.writes)
    ended = run(sim, place, operation="restore", tags="pr-*")
    assert (ended.status, ended.outputs["result"]) == (0, "nothing-to-do"), ended.said
    assert {version.id for version in package.active()} == before
    assert f"(id {stub.id}); restore passes over it" in notice(ended)
    assert len(sim.writes) == written


@pytest.mark.parametrize("more", [{"version_ids": "{id}"}, {"tags": "*", "version_ids": "{id}"}, {"newer_than": "1d"}])
def test_a_stub_is_not_restored_however_it_is_selected(
    sim: Simulator, package: Package, place: Place, more: dict[str, str]
) -> None:
    run(sim, place, **UNTAG)
    [stub] = stubs_in(package)
    given = {name: text.format(id=stub.id) for name, text in more.items()}
    ended = run(sim, place, operation="restore", **given)
    assert ended.outputs["result"] == "nothing-to-do", ended.said
    assert not stub.is_active


def test_an_image_that_had_the_tag_before_comes_back_though_a_stub_had_it_last(
    sim: Simulator, package: Package, place: Place
) -> None:
    first = push_image(package, "pr-2", created_at=OLD)
    package.remove(first)
    package.move_tag("pr-2", package.tags()["v2"])
    assert run(sim, place, **UNTAG).count("untagged") == 2
    ended = run(sim, place, operation="restore", tags="pr-*")
    assert (ended.status, ended.count("restored")) == (0, 1), ended.said
    assert package.tags()["pr-2"] is first


def test_a_stub_of_an_image_that_is_gone_too_stays_deleted(sim: Simulator, package: Package, place: Place) -> None:
    before = {version.id: sorted(version.tags) for version in package.active()}
    run(sim, place, **UNTAG)
    assert run(sim, place, tags="v1").count("deleted") == 3
    ended = run(sim, place, operation="restore", newer_than="1d")
    assert ended.status == 0, ended.said
    assert {version.id for version in package.active()} == before.keys()
    assert tags(package) == ["v1", "v2"]


def test_deleted_stubs_are_listed_as_such(sim: Simulator, package: Package, place: Place) -> None:
    run(sim, place, **UNTAG)
    [stub] = stubs_in(package)
    ended = run(sim, place, operation="list", state="deleted", tags="pr-*", dry_run="")
    assert [version["id"] for version in ended.array("versions")] == [stub.id]
    assert ended.array("versions")[0]["decision"] in ("", "keep")
    text = "1 version is an empty manifest by which untagging took a tag away, and no image"
    assert f"{text}: {stub.name[:19]}" in notice(ended)


def test_a_tag_can_be_taken_away_again_and_again(sim: Simulator, package: Package, place: Place) -> None:
    image = package.tags()["v1"]
    for number in range(1, 4):
        assert run(sim, place, **UNTAG).count("untagged") == 1
        assert tags(package) == ["v1", "v2"]
        assert len(stubs_in(package)) == number
        package.move_tag("pr-1", image)
    assert all(is_stub(each.name, each.tags) for each in stubs_in(package))


def test_no_stub_is_put_that_is_there_already(sim: Simulator, package: Package, place: Place) -> None:
    left = [package.push(body, json.loads(body)["mediaType"], "pr-1", OLD) for body in stubs("pr-1").values()]
    package.move_tag("pr-1", package.tags()["v1"])
    ended = run(sim, place, **UNTAG)
    assert ended.status == 1
    assert "too many stubs of the tag pr-1 are left" in ended.said
    assert "pr-1" in tags(package)
    package.remove(left[3])
    assert run(sim, place, **UNTAG).status == 0
    assert tags(package) == ["v1", "v2"]
    assert len([each for each in stubs_in(package) if each.is_active]) == VARIANTS - 1


@pytest.mark.parametrize("latest", ["1", "2"])
@pytest.mark.parametrize("leave", [left_by, of_an_earlier_version])
def test_a_stub_that_is_left_is_no_image(
    sim: Simulator, package: Package, place: Place, leave: Callable[[Package, str], Version], latest: str
) -> None:
    stub = leave(package, "pr-1")
    verified = run(sim, place, operation="verify", dry_run="")
    assert (verified.status, verified.count("selected"), verified.count("broken")) == (0, 2, 0), verified.said
    assert f"[pr-1] (id {stub.id}); version-ids: {stub.id} deletes it" in notice(verified)
    ended = run(sim, place, tags="*", keep_latest=latest, age_of="created")
    assert ended.status == 0, ended.said
    assert tags(package) == ["v1", "v2"][-int(latest) :], "the stub, which is the newest, takes nobody's place"
    assert f"(id {stub.id})" in notice(ended)


def test_a_stub_that_is_left_is_listed_and_explained_as_such(sim: Simulator, package: Package, place: Place) -> None:
    stub = left_by(package, "pr-1")
    ended = run(sim, place, operation="list", dry_run="", tags="pr-*")
    assert f"{stub.name[:19]} [pr-1] (id {stub.id}); version-ids: {stub.id} deletes it" in notice(ended)


def test_deleting_a_stub_that_is_left_cannot_be_undone(sim: Simulator, package: Package, place: Place) -> None:
    stub = left_by(package, "pr-1")
    ended = run(sim, place, tags="pr-*")
    assert (ended.status, ended.count("deleted")) == (0, 1), ended.said
    undone = run(sim, place, operation="restore", package="", undo=ended.outputs["receipt"])
    assert (undone.status, undone.outputs["result"]) == (0, "nothing-to-do"), undone.said
    assert not stub.is_active
    assert f"stay deleted (ids {stub.id})" in notice(undone)


def test_a_stub_costs_no_download_of_other_images(sim: Simulator, package: Package, place: Place) -> None:
    for version in package.active():
        if not version.tags:
            package.remove(version)
    package.remove(package.tags()["v1"])
    stub = left_by(package, "pr-1")
    push_image(package, "v3", created_at=OLD)
    before = len(sim.requests)
    assert run(sim, place, tags="pr-*").status == 0
    asked = sim.requests[before:]
    read = [request.path for request in asked if request.method == "GET" and "/manifests/" in request.path]
    assert [path.rpartition("/")[2] for path in read] == [stub.name]


@pytest.mark.parametrize("media_type", [MANIFEST, DOCKER_MANIFEST])
def test_a_stub_of_an_earlier_version_is_deleted_again(
    sim: Simulator, package: Package, place: Place, media_type: str
) -> None:
    stub = of_an_earlier_version(package, "pr-1", media_type)
    package.remove(stub)
    ended = run(sim, place, operation="restore", tags="pr-*")
    assert ended.status == 0, ended.said
    assert not stub.is_active
    assert tags(package) == ["v1", "v2"]
    assert (ended.count("restored"), ended.count("deleted")) == (1, 1)
    lines = receipt_lines(place.workspace / ended.outputs["receipt"])
    assert [(line["action"], line["id"], line["outcome"]) for line in lines] == [
        ("restore", stub.id, "started"),
        ("restore", stub.id, "done"),
        ("delete", stub.id, "started"),
        ("delete", stub.id, "done"),
    ]
    assert "what was restored is deleted again: 1 version is an empty manifest" in notice(ended)


def test_a_stub_of_an_earlier_version_that_cannot_be_deleted_again_fails_the_run(
    sim: Simulator, package: Package, place: Place
) -> None:
    package.remove(of_an_earlier_version(package, "pr-1"))
    sim.faults.add("DELETE", "/versions/", status=403, message="Resource not accessible by integration")
    ended = run(sim, place, operation="restore", tags="pr-*")
    assert (ended.status, ended.outputs["result"]) == (1, "failed"), ended.said


def test_the_bytes_of_stubs_never_change() -> None:
    assert len(stubs("pr-1")) == VARIANTS
    assert next(iter(stubs("pr-1").items())) == (
        "sha256:08f61829ffde49e8867ed34b5e12974fd4f43e9edf97dd628bef4a0ea8055515",
        (
            b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[],'
            b'"annotations":{"io.github.package-keeper.untagged":"pr-1 0"}}'
        ),
    )


def test_what_stands_in_a_tag_by_mistake_breaks_no_stub() -> None:
    for tag in ('"', "\\", "\n", "é", "\ud800", ""):
        assert all(
            json.loads(body)["annotations"][STUB_ANNOTATION].startswith(f"{tag} ") for body in stubs(tag).values()
        )
