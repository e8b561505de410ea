"""The graph of images against a naive oracle: roots, parts, missing parts and orphans."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given

from package_keeper.model.images import Condition, Graph, Image, tagged_subjects
from package_keeper.model.manifest import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, Manifest
from package_keeper.model.packages import Version
from tests.unit.model.worlds import (
    BUNDLE,
    CYCLIC_WORLDS,
    WORLDS,
    World,
    child,
    container,
    digest,
    index,
    naive_needs,
    plain,
    reached,
    referrer_tag,
)

KNOWN_TYPES = {OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST}
A, B, C, D, E, F = (digest(number) for number in range(1, 7))


def images_of(world: World) -> Sequence[Image]:
    return Graph(world.versions, world.known()).images()


def image(versions: list[Version], *manifests: Manifest, root: int = 1) -> Image:
    found = Graph(versions, {manifest.digest: manifest for manifest in manifests}).images()
    return next(each for each in found if each.root.id == root)


def shape(images: Sequence[Image]) -> list[tuple[object, ...]]:
    return [
        (each.root.id, tuple(part.id for part in each.parts), each.missing, each.lost_subjects, each.condition)
        for each in images
    ]


@given(WORLDS)
def test_roots_are_tagged_or_needed_by_nothing_and_parts_are_all_they_reach(world: World) -> None:
    needs = naive_needs(world)
    pointed = {name for names in needs.values() for name in names}
    images = images_of(world)
    roots = {version.id for version in world.versions if version.image_tags or version.name not in pointed}
    assert [each.root.id for each in images] == sorted(roots)
    for each in images:
        held = reached(needs, each.root.name)
        wanted = [version.id for version in world.versions if version.name in held and version.id != each.root.id]
        assert sorted(part.id for part in each.parts) == sorted(wanted)


@given(WORLDS)
def test_parents_stand_before_their_children(world: World) -> None:
    needs = naive_needs(world)
    for each in images_of(world):
        seen: set[str] = set()
        for part in each.parts:
            assert needs[part.name].isdisjoint(seen), "a child stands before its parent"
            seen.add(part.name)


@given(WORLDS)
def test_needed_digests_without_an_active_version_are_missing(world: World) -> None:
    active = world.digests
    images = images_of(world)
    for each in images:
        held = {each.root.name, *(part.name for part in each.parts)}
        entries = [entry for name in held for entry in world.manifests[name].children]
        wanted = {entry.digest for entry in entries if entry.media_type in KNOWN_TYPES}
        assert set(each.missing) == wanted - active
        direct = [entry.digest for entry in world.manifests[each.root.name].children]
        if each.condition is Condition.GHOST:
            assert direct
            assert {entry.media_type for entry in world.manifests[each.root.name].children} <= KNOWN_TYPES
            assert active.isdisjoint(direct)
        if each.condition is Condition.WHOLE:
            assert not each.missing


@given(WORLDS)
def test_the_order_of_the_list_does_not_matter(world: World) -> None:
    assert shape(images_of(world)) == shape(images_of(world.shuffled(7)))


@given(CYCLIC_WORLDS)
def test_every_version_of_a_circle_is_in_an_image(world: World) -> None:
    images = images_of(world)
    assert {part.id for each in images for part in (each.root, *each.parts)} == {each.id for each in world.versions}
    for each in images:
        assert len({part.id for part in each.parts}) == len(each.parts)


@pytest.mark.parametrize("suffix", ["", ".sig", ".att", ".sbom"])
def test_a_referrer_tag_makes_a_version_a_part_of_its_subject(suffix: str) -> None:
    versions = [container(1, A, "v1"), container(2, B, referrer_tag(A, suffix))]
    found = image(versions, plain(A), plain(B))
    assert [part.id for part in found.parts] == [2]
    assert tagged_subjects(versions[1]) == [A]


@pytest.mark.parametrize("tag", ["sha256-abc", f"sha256-{'g' * 64}", f"sha256-{'a' * 64}.txt", f"x{referrer_tag(A)}"])
def test_a_tag_of_another_form_refers_to_nothing(tag: str) -> None:
    versions = [container(1, A, "v1"), container(2, B, tag)]
    assert image(versions, plain(A), plain(B)).parts == ()
    assert versions[1].image_tags == (tag,)


def test_buildkit_attestations_and_signatures_of_children_belong_to_the_image() -> None:
    versions = [
        container(1, A, "v1"),
        container(2, B),
        container(3, C),
        container(4, D, referrer_tag(B, ".sig")),
        container(5, E),
    ]
    top = index(A, child(plain(B)), child(plain(C)))
    found = image(versions, top, plain(B), plain(C), plain(D), plain(E, subject=D))
    assert sorted(part.id for part in found.parts) == [2, 3, 4, 5]


def test_github_attestations_leave_stale_fallback_indexes_that_belong_to_the_subject() -> None:
    first, second = plain(B, subject=A), plain(C, subject=A)
    listed = [child(first, platform=False, artifact_type=BUNDLE), child(second, platform=False)]
    versions = [
        container(1, A, "v1"),
        container(2, B),
        container(3, C),
        container(4, D),
        container(5, E, referrer_tag(A)),
    ]
    found = image(versions, plain(A), first, second, index(D, listed[0]), index(E, *listed))
    assert sorted(part.id for part in found.parts) == [2, 3, 4, 5]


def test_an_index_whose_children_refer_to_several_subjects_is_no_replaced_fallback() -> None:
    first, second = plain(C, subject=A), plain(D, subject=B)
    versions = [container(number, name) for number, name in enumerate((A, B, C, D, E), start=1)]
    manifests = [plain(A), plain(B), first, second, index(E, child(first), child(second))]
    assert [part.id for part in image(versions, *manifests).parts] == [3]
    assert [part.id for part in image(versions, *manifests, root=5).parts] == [3, 4]


def test_docker_schema_2_lists_count_as_indexes() -> None:
    versions = [container(1, A, "v1"), container(2, B)]
    found = image(versions, index(A, child(plain(B, docker=True)), docker=True), plain(B, docker=True))
    assert [part.id for part in found.parts] == [2]


@pytest.mark.parametrize(
    ("there", "condition"),
    [("ABC", Condition.WHOLE), ("AB", Condition.PARTIAL), ("A", Condition.GHOST)],
)
def test_the_condition_of_an_index_follows_from_its_missing_children(there: str, condition: Condition) -> None:
    names = {"A": A, "B": B, "C": C}
    versions = [container(number, names[letter]) for number, letter in enumerate(there, start=1)]
    found = image(versions, index(A, child(plain(B)), child(plain(C))), plain(B), plain(C))
    assert found.condition is condition
    assert set(found.missing) == {names[letter] for letter in "BC" if letter not in there}


def test_a_part_that_lacks_parts_makes_the_image_partial() -> None:
    inner = index(B, child(plain(C)))
    found = image([container(1, A, "v1"), container(2, B)], index(A, child(inner)), inner)
    assert (found.condition, found.missing) == (Condition.PARTIAL, (C,))


def test_an_index_without_any_child_is_whole() -> None:
    assert image([container(1, A, "v1")], index(A)).condition is Condition.WHOLE


def test_a_referrer_without_its_subject_is_an_orphan_where_others_have_theirs() -> None:
    versions = [
        container(1, A, "v1"),
        container(2, B, referrer_tag(A, ".sig")),
        container(3, C, referrer_tag(F, ".sig")),
        container(4, D),
    ]
    manifests = [plain(A), plain(B), plain(C), plain(D, subject=F)]
    for root in (3, 4):
        found = image(versions, *manifests, root=root)
        assert (found.condition, found.lost_subjects, found.foreign) == (Condition.ORPHAN, (F,), False)


def test_in_a_package_of_signatures_only_nothing_is_an_orphan() -> None:
    versions = [container(1, A, referrer_tag(E, ".sig")), container(2, B, referrer_tag(F, ".att")), container(3, C)]
    for root, foreign in ((1, True), (2, True), (3, False)):
        found = image(versions, plain(A), plain(B), plain(C, subject=F), root=root)
        assert (found.condition, found.foreign) == (Condition.WHOLE, foreign)


def test_an_image_with_tags_of_its_own_is_not_foreign() -> None:
    assert not image([container(1, A, "v1", referrer_tag(F, ".att"))], plain(A)).foreign


def test_a_digest_that_was_pushed_again_has_all_its_versions_in_the_image() -> None:
    versions = [container(1, A, "v1"), container(2, B), container(3, B)]
    graph = Graph(versions, {A: index(A, child(plain(B)))})
    assert [part.id for part in graph.images()[0].parts] == [2, 3]
    assert [each.id for each in graph.versions_of(B)] == [2, 3]
    assert graph.needed_for(B) == (A,)
    assert graph.needed_for(F) == ()
    assert graph.versions_of(F) == ()


def test_versions_that_only_need_each_other_are_not_readable() -> None:
    first = index(A, child(index(B)))
    versions = [container(1, A), container(2, B)]
    found = Graph(versions, {A: first, B: index(B, child(first))}).images()
    assert [(each.root.id, each.readable) for each in found] == [(1, False), (2, False)]
