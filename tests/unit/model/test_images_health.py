"""What `verify` finds: missing parts, until when they can be restored, and unreadable manifests."""

from __future__ import annotations

from datetime import timedelta

from msgspec.structs import replace

from package_keeper.model.images import RESTORABLE_FOR, Image, MissingPart, verify_images
from package_keeper.model.manifest import Obstacle, UnreadableManifest
from tests.unit.model.worlds import NOW, container, digest

A, B, C = digest(1), digest(2), digest(3)
BROKEN = Image(root=container(1, A, "v1"), missing=(B, C))


def test_a_whole_image_is_not_broken() -> None:
    (checked,) = verify_images([Image(root=container(1, A, "v1"))], {}, [], frozenset())
    assert not checked.is_broken


def test_the_newest_deleted_version_of_a_missing_digest_can_bring_it_back() -> None:
    older = replace(container(5, B), deleted_at=NOW - timedelta(days=9))
    newer = replace(container(6, B), deleted_at=NOW - timedelta(days=2))
    (checked,) = verify_images([BROKEN], {}, [newer, older], frozenset())
    assert checked.is_broken
    assert [part.deleted for part in checked.missing] == [newer, None]
    assert checked.missing[0].restorable_until == NOW - timedelta(days=2) + RESTORABLE_FOR
    assert checked.missing[1].restorable_until is None
    assert timedelta(days=30) == RESTORABLE_FOR


def test_a_version_deleted_at_an_unknown_time_has_no_last_day_to_be_restored() -> None:
    assert MissingPart(digest=B, versions=(container(5, B),)).restorable_until is None


def test_a_digest_that_exists_outside_the_lists_is_not_missing() -> None:
    (checked,) = verify_images([BROKEN], {}, [], frozenset({B, C}))
    assert not checked.is_broken


def test_an_unreadable_manifest_breaks_every_image_that_contains_it() -> None:
    unreadable = {B: UnreadableManifest(digest=B, why="has another digest", obstacle=Obstacle.CONTENT)}
    images = [
        Image(root=container(1, A, "v1"), parts=(container(2, B),)),
        Image(root=container(2, B, "v2")),
        Image(root=container(3, C, "v3")),
    ]
    checked = verify_images(images, unreadable, [], frozenset())
    assert [each.is_broken for each in checked] == [True, True, False]
    assert checked[0].unreadable == f"{B[:19]}: has another digest"
