"""When an untagged version is selected, the tagged images that stay are read, since it may be a part of one."""

from __future__ import annotations

import pytest

from package_keeper.model.manifest import Manifest
from package_keeper.policy.selection import TagStatus
from tests.unit.model.memory import Hub, evaluated
from tests.unit.model.worlds import child, container, index, plain, referrer_tag
from tests.unit.policy.test_images_safety import A, B, C, D, gone, selecting, world_of

UNTAGGED = selecting(tag_status=TagStatus.UNTAGGED)


@pytest.mark.parametrize("kept", [plain(A), index(A, child(plain(C)))], ids=["plain", "index"])
def test_kept_tagged_images_are_read_beside_a_selected_signature(kept: Manifest) -> None:
    """Its image is gone, and it carries only the tag that names that image."""
    signature = container(2, B, referrer_tag(D, ".sig"))
    manifests = [kept, plain(B), plain(C)]
    world = world_of([container(1, A, "v1"), signature, container(3, C, "v2")], *manifests)
    hub = Hub(world)
    evaluated(hub, UNTAGGED)
    assert hub.reads.keys() == {A, C}, "the kept ones, and nothing else"
    assert hub.asked.keys() == {B}, "whether a signature is an index costs no download"


def test_a_part_of_a_kept_index_stays_beside_a_selected_signature() -> None:
    world = world_of(
        [container(1, A, "v1"), container(2, B, referrer_tag(D, ".sig"))],
        index(A, child(plain(B))),
        plain(B),
    )
    assert gone(evaluated(Hub(world), UNTAGGED).decisions) == set()
