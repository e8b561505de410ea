"""Which keep list keeps an image: one tag of the root is enough, and a name of any of its parts."""

from __future__ import annotations

from typing import Any

import pytest

from package_keeper.model.images import Image, ImageReference
from package_keeper.model.packages import PackageName
from package_keeper.model.plan import Reason
from package_keeper.policy.images_in_use import ImagesInUse
from package_keeper.policy.retention import KeepLists
from tests.unit.making import key, patterns, version

CONTAINER, LIB = key("container"), key("container", "lib")
SIGNATURE = f"sha256-{'a' * 64}.sig"


def image(*tags: str) -> Image:
    """An image of the root `root`, the part `part`, and a part `lost` that is missing."""
    root = version(1, of=CONTAINER, name="root", tags=tags)
    return Image(root=root, parts=(version(2, of=CONTAINER, name="part"),), missing=("lost",))


def used(package: str = "app", *, tag: str | None = None, digest: str | None = None) -> ImagesInUse:
    whole = tag is None and digest is None
    reference = ImageReference(text="x", place="a.yml:1", package=package, tag=tag, digest=digest, whole=whole)
    return ImagesInUse.of([reference], {"*.yml": ["a.yml"]})


@pytest.mark.parametrize(
    ("lists", "tags", "expected"),
    [
        ({}, ("v1",), None),
        ({"tags": patterns("v*")}, ("x", "v1"), Reason.KEEP_TAGS),
        ({"tags": patterns("v*")}, ("x",), None),
        ({"tags": patterns("v*")}, (), None),
        ({"tags": patterns("sha256-*")}, (SIGNATURE,), None),
        ({"versions": patterns("root")}, (), Reason.KEEP_VERSIONS),
        ({"versions": patterns("part")}, (), Reason.KEEP_VERSIONS),
        ({"versions": patterns("lost")}, (), Reason.KEEP_VERSIONS),
        ({"versions": patterns("other")}, (), None),
        ({"digests": frozenset({"part", "x"})}, (), Reason.KEEP_DIGESTS),
        ({"digests": frozenset({"lost"})}, (), Reason.KEEP_DIGESTS),
        ({"digests": frozenset({"x"})}, (), None),
        ({"used": used(tag="v1")}, ("v1", "v2"), Reason.KEEP_USED_IN),
        ({"used": used(tag="v1")}, ("v2",), None),
        ({"used": used(tag=SIGNATURE)}, (SIGNATURE,), Reason.KEEP_USED_IN),
        ({"used": used(digest="part")}, (), Reason.KEEP_USED_IN),
        ({"used": used(digest="x")}, (), None),
        ({"used": used()}, (), Reason.KEEP_USED_IN),
        ({"used": used("lib")}, (), None),
        ({"used": used("a*")}, (), Reason.KEEP_USED_IN),
        ({"used": used("APP")}, (), Reason.KEEP_USED_IN),
        # the first list that keeps it is the reason
        (
            {"tags": patterns("v*"), "versions": patterns("*"), "digests": frozenset({"root"})},
            ("v1",),
            Reason.KEEP_TAGS,
        ),
        ({"versions": patterns("*"), "digests": frozenset({"root"}), "used": used()}, (), Reason.KEEP_VERSIONS),
        ({"digests": frozenset({"root"}), "used": used()}, (), Reason.KEEP_DIGESTS),
    ],
)
def test_what_a_list_keeps(lists: dict[str, Any], tags: tuple[str, ...], expected: Reason | None) -> None:
    assert KeepLists(**lists).reason_to_keep(image(*tags)) is expected


@pytest.mark.parametrize(
    ("lists", "package", "asks"),
    [
        ({}, CONTAINER, False),
        ({"versions": patterns("*"), "digests": frozenset({"x"})}, CONTAINER, False),
        ({"tags": patterns("v*")}, CONTAINER, True),
        ({"used": used(tag="v1")}, CONTAINER, True),
        ({"used": used(tag="v1")}, LIB, False),
        ({"used": used(digest="x")}, CONTAINER, False),
    ],
)
def test_whether_a_tag_can_keep_an_image(lists: dict[str, Any], package: PackageName, asks: bool) -> None:
    assert KeepLists(**lists).ask_about_tags(package) is asks


@pytest.mark.parametrize(
    ("reference", "kind", "name", "keeps"),
    [
        ("app", "container", "App", True),
        ("App", "container", "app", True),
        ("App", "docker", "aPP", True),
        ("team/app", "container", "team/app", True),
        ("repo/app", "container", "app", False),
        # in the old Docker registry the repository comes before the package, and both may be hidden
        ("repo/app", "docker", "app", True),
        ("repo/app", "docker", "repo/app", True),
        ("repo/team/app", "docker", "team/app", True),
        ("*/app", "docker", "app", True),
        ("*app", "docker", "app", True),
        ("re*/app", "docker", "app", True),
        ("repo/a*", "docker", "app", True),
        ("repo/app", "docker", "pp", False),
        ("app", "docker", "pp", False),
        ("repo/app", "docker", "repo", False),
        ("repo/app", "docker", "web", False),
    ],
)
def test_the_packages_that_a_reference_may_mean(reference: str, kind: str, name: str, keeps: bool) -> None:
    package, named = key(kind, name), used(reference)
    lists = KeepLists(used=named)
    assert lists.reason_to_keep(Image(root=version(1, of=package))) is (Reason.KEEP_USED_IN if keeps else None)
    assert [each.package for each in named.here([package])] == ([reference] if keeps else [])


def test_the_digests_that_references_name() -> None:
    assert used(digest="part").digests() == {"part"}
    assert used(tag="v1").digests() == used().digests() == frozenset()
