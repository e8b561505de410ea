"""What `verify` finds about images: what is missing, whether it can come back, and what to build anew."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from msgspec.structs import replace

from package_keeper.errors import ApiError, ApiErrorKind
from package_keeper.execution.verify import ImageVerifier, broken
from package_keeper.model.images import Remedy, VerifiedImage
from package_keeper.model.manifest import Description, Manifest, Obstacle, Origin
from package_keeper.model.packages import PackageName, Version, display_name
from tests.unit.execution.test_images import GitHub
from tests.unit.model.memory import PACKAGE, Quiet
from tests.unit.model.worlds import APP, NOW, World, child, container, digest, index, plain, referrer_tag

A, B, C, D, E, F = (digest(number) for number in range(1, 7))
IMAGE = [container(1, A, "v1", "latest"), container(2, B), container(3, C)]
INDEX = index(A, child(plain(B)), child(plain(C)))


class Registry(GitHub):
    """With manifests that no list shows, and with annotations."""

    kept: frozenset[str] = frozenset()
    says: Mapping[str, Description | ApiError] = {}

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.described: list[str] = []
        self.ahead: dict[PackageName, list[str]] = {}

    def exists(self, package: PackageName, digest: str) -> bool:
        return super().exists(package, digest) or digest in self.kept

    def describe(self, package: PackageName, digest: str) -> Description:
        self.described.append(digest)
        told = self.says.get(digest, Description())
        if isinstance(told, ApiError):
            raise told
        return told

    def read_ahead(self, wanted: Mapping[PackageName, Iterable[str]]) -> None:
        self.ahead = {package: list(names) for package, names in wanted.items()}


def hub(*manifests: Manifest, versions: list[Version] | None = None, deleted: Iterable[Version] = ()) -> Registry:
    several = IMAGE if versions is None else versions
    known = {each.name: plain(each.name) for each in several} | {each.digest: each for each in manifests or [INDEX]}
    github = Registry(World(versions=tuple(several), manifests=known))
    github.deleted = {each.id: each for each in deleted}
    return github


def verified(
    github: Registry,
    listed: list[Version] | None = None,
    *,
    repairs: bool = False,
    repository: str | None = None,
    **more: Any,
) -> tuple[list[VerifiedImage], ImageVerifier]:
    verifier = ImageVerifier(reader=github, registry=github, log=Quiet(), repairs=repairs)
    package = replace(PACKAGE, repository_name=repository)
    versions = list(github.active.values()) if listed is None else listed
    return verifier.verify(package, versions, **more), verifier


def said(verifier: ImageVerifier) -> list[str]:
    assert isinstance(verifier.log, Quiet)
    return verifier.log.said


def deleted(number: int, name: str, **more: Any) -> Version:
    return replace(container(number, name), deleted_at=NOW, **more)


def listing(name: str, *children: str) -> Manifest:
    return index(name, *(child(plain(each)) for each in children))


NAME = f"container/app {display_name(A)} [v1, latest]"


def test_a_whole_image_needs_one_manifest_and_no_list() -> None:
    github = hub()
    (found,), verifier = verified(github)
    assert (found.root, found.missing, found.unreadable, found.remedy) == (IMAGE[0], (), "", Remedy.NONE)
    assert (said(verifier), verifier.gone) == ([], set())
    assert (set(github.reads), github.lists, github.asked.total(), github.described) == ({A}, 0, 0, [])
    assert broken([found]) == 0


@pytest.mark.parametrize(
    ("part", "text"),
    [
        (deleted(3, C), "it can be restored until 2026-07-15 12:00 UTC (operation repair)"),
        (replace(deleted(3, C), deleted_at=None), "it can be restored (operation repair)"),
    ],
)
def test_a_part_that_was_deleted_can_be_restored(part: Version, text: str) -> None:
    github = hub(versions=IMAGE[:2], deleted=[part])
    (found,), verifier = verified(github)
    assert [(each.digest, each.deleted, each.is_certain) for each in found.missing] == [(C, part, True)]
    assert (found.remedy, github.described) == (Remedy.REPAIR, [])
    assert said(verifier) == [f"error: {NAME} misses {display_name(C)}: {text}"]
    assert said(verified(github, about_to_repair=True)[1]) == [f"warning: {NAME} misses {display_name(C)}: {text}"]
    assert broken([found, found]) == 2


@pytest.mark.parametrize(
    ("origin", "repository", "where"),
    [
        (Origin(), None, ""),
        (Origin(), "acme/app", " of acme/app"),
        (Origin(source="https://x/y"), "acme/app", " of https://x/y"),
        (Origin(revision="abc"), "acme/app", " from commit abc of acme/app"),
        (Origin(revision="abc", source="https://x/y"), None, " from commit abc of https://x/y"),
    ],
)
def test_a_part_that_is_gone_for_good_is_built_anew(origin: Origin, repository: str | None, where: str) -> None:
    github = hub(versions=IMAGE[:2])
    github.says = {A: Description(origin=origin, platforms={B: "linux/amd64", C: "linux/arm64"})}
    (found,), verifier = verified(github, repository=repository)
    assert (found.remedy, found.to_rebuild) == (Remedy.REBUILD, ("linux/arm64",))
    assert [each.platform for each in found.missing] == ["linux/arm64"]
    assert found.origin.source == (origin.source or repository or "")
    text = f"it is not among the versions deleted in the last 30 days; build the image anew{where}"
    assert said(verifier) == [f"error: {NAME} misses {display_name(C)} (linux/arm64): {text}"]
    # without a commit, the first platform may say what the index does not
    assert github.described == ([A] if origin.revision else [A, B])


def test_a_repair_asks_for_no_annotations() -> None:
    github = hub(versions=IMAGE[:2])
    (found,), _ = verified(github, repairs=True)
    assert (found.remedy, github.described) == (Remedy.REBUILD, [])


def test_when_github_lists_only_some_versions_nobody_knows_whether_a_part_can_come_back() -> None:
    github = hub(versions=IMAGE[:2])
    github.incomplete = True
    github.says = {A: Description(platforms={C: "linux/arm64"})}
    (found,), verifier = verified(github)
    assert [(each.is_certain, each.platform) for each in found.missing] == [(False, "linux/arm64")]
    assert found.remedy is Remedy.UNKNOWN
    text = "whether it can be restored is not known: GitHub lists only a part of the versions"
    assert said(verifier)[0].endswith(text)
    # one that is listed can come back all the same
    github.deleted = {3: deleted(3, C)}
    (found,), verifier = verified(github)
    assert found.remedy is Remedy.REPAIR
    assert "it can be restored until" in said(verifier)[0]


def test_of_several_manifests_the_one_with_a_commit_tells_the_origin() -> None:
    github = hub(versions=[IMAGE[0], IMAGE[2]])
    github.says = {A: Description(origin=Origin(source="a")), C: Description(origin=Origin(source="c", revision="1"))}
    assert verified(github)[0][0].origin == Origin(source="c", revision="1")
    github.says = {A: Description(), C: Description(origin=Origin(source="c"))}
    assert verified(github)[0][0].origin == Origin(source="c")
    github.says = {A: Description(origin=Origin(source="a")), C: Description(origin=Origin(revision="1"))}
    assert verified(github, repository="r/r")[0][0].origin == Origin(source="r/r", revision="1")


def test_annotations_that_cannot_be_read_change_no_finding() -> None:
    github = hub(versions=[IMAGE[0], IMAGE[2]])
    github.says = {A: ApiError(ApiErrorKind.UNREACHABLE, "no"), C: Description(origin=Origin(source="c"))}
    (found,), _ = verified(github)
    assert ([each.digest for each in found.missing], found.origin.source) == ([B], "c")


def test_the_index_that_lists_a_missing_part_describes_it() -> None:
    inner = index(D, child(plain(C)))
    versions = [container(1, A, "v1"), container(4, D), container(2, B)]
    github = hub(index(A, child(inner), child(plain(B))), inner, versions=versions)
    github.says = {D: Description(origin=Origin(revision="1"), platforms={C: "linux/arm64"})}
    (found,), _ = verified(github)
    assert ([each.platform for each in found.missing], github.described) == (["linux/arm64"], [D])
    # one that is read needs no second reading for its origin
    github.says = {D: Description(platforms={C: "linux/arm64"})}
    github.described.clear()
    verified(github)
    assert github.described == [D]


def test_one_index_with_a_commit_is_enough() -> None:
    one, other = listing(D, C), listing(E, C)
    versions = [container(1, A, "v1"), container(2, B), container(4, D), container(5, E)]
    github = hub(index(A, child(plain(B)), child(one), child(other)), one, other, versions=versions)
    github.says = {D: Description(origin=Origin(revision="1"))}
    verified(github)
    assert github.described == [D, E]
    github.says = {}
    verified(github)
    assert github.described == [D, E, D, E, B]


# --- second looks ---


def test_a_part_that_a_fresh_list_or_the_registry_has_is_not_missing() -> None:
    github = hub()
    (found,), verifier = verified(github, IMAGE[:2])
    assert (found.missing, said(verifier), github.asked.total()) == ((), [], 0)
    # a list may be outdated, so each version in it is asked for
    github.listed = IMAGE
    github.active.pop(3)
    (found,), _ = verified(github, IMAGE[:2])
    assert ([each.digest for each in found.missing], set(github.asked)) == ([C], {C})
    github.kept = frozenset({C})
    (found,), _ = verified(github, IMAGE[:2])
    assert (found.missing, found.is_broken) == ((), False)


@pytest.mark.parametrize(
    ("obstacle", "kind"),
    [(Obstacle.FORBIDDEN, ApiErrorKind.NO_PERMISSION), (Obstacle.UNREACHABLE, ApiErrorKind.UNREACHABLE)],
)
def test_a_registry_that_fails_is_no_broken_image(obstacle: Obstacle, kind: ApiErrorKind) -> None:
    github = hub()
    github.obstacles = {A: obstacle}
    with pytest.raises(ApiError, match="cannot be read: why") as raised:
        verified(github)
    assert raised.value.kind is kind


def test_an_image_whose_manifest_the_registry_lacks_is_broken_unless_it_is_deleted() -> None:
    github = hub()
    github.obstacles = {A: Obstacle.CONTENT}
    found, verifier = verified(github)
    assert [(each.root.id, each.unreadable) for each in found] == [(1, f"{display_name(A)}: why")]
    assert said(verifier) == [f"error: {NAME} cannot be pulled: {display_name(A)}: why"]
    assert (found[0].remedy, github.described) == (Remedy.REBUILD, [])
    # the list is outdated
    del github.active[1]
    found, verifier = verified(github, IMAGE)
    assert (found, said(verifier), verifier.gone) == ([], [], {1})


def test_an_index_below_another_that_cannot_be_read_breaks_the_image() -> None:
    inner, other = listing(D, C), listing(E, B)
    versions = [container(1, A, "v1"), container(4, D), container(5, E), container(2, B)]
    github = hub(index(A, child(inner), child(other)), inner, other, versions=versions)
    github.obstacles = {D: Obstacle.CONTENT}
    github.says = {A: Description(origin=Origin(revision="1"))}
    (found,), _ = verified(github)
    assert (found.root.id, found.missing, found.is_broken) == (1, (), True)
    assert (github.described, found.origin.revision) == ([A], "1")


def test_a_repair_looks_up_what_is_listed_as_deleted_and_as_active() -> None:
    github = hub(deleted=[deleted(3, C)])
    del github.active[3]
    (found,), verifier = verified(github, IMAGE, repairs=True)
    assert ([each.digest for each in found.missing], verifier.gone) == ([C], {3})
    assert github.lists == 2, "the deleted versions once, and the active ones once more"
    # it is active in fact
    github = hub(deleted=[deleted(3, C)])
    (found,), verifier = verified(github, IMAGE, repairs=True)
    assert (found.missing, verifier.gone, github.lists) == ((), set(), 1)
    # `verify` does not ask
    github = hub(deleted=[deleted(3, C)])
    (found,), verifier = verified(github, IMAGE)
    assert (found.missing, github.lists) == ((), 0)


# --- which images ---

MIXED = [
    *IMAGE,
    container(4, D),
    replace(container(5, E), tags_known=False),
    container(6, F, referrer_tag(A, ".sig")),
]


@pytest.mark.parametrize(
    ("digests", "roots", "checked"),
    [
        ([], None, [1, 5]),
        ([D], None, [1, 4, 5]),
        # the digest of a part names its image, and nothing is read twice
        ([B], None, [1, 5]),
        ([], frozenset({1}), [1]),
        ([D], frozenset({1, 4}), [1, 4]),
        ([D], frozenset({1, 5}), [1, 5]),
        ([], frozenset({4}), []),
    ],
)
def test_images_with_a_tag_and_those_that_are_named_are_verified(
    digests: list[str], roots: frozenset[int] | None, checked: list[int]
) -> None:
    github = hub(INDEX, versions=MIXED)
    found, verifier = verified(github, digests=digests, roots=roots)
    assert sorted(each.root.id for each in found) == checked
    reads = {each.name for each in MIXED if each.id in checked} | ({B} if digests == [B] else set())
    assert github.reads.keys() == reads
    verifier.read_ahead([(PACKAGE, MIXED)], set(digests), roots)
    assert {APP} == github.ahead.keys()
    assert set(github.ahead[APP]) == reads


def test_an_untagged_image_that_is_named_by_a_missing_part_is_verified() -> None:
    github = hub(index(D, child(plain(E))), versions=[container(4, D)])
    found, _ = verified(github, digests=[D])
    assert [each.digest for each in found[0].missing] == [E]
    assert verified(github)[0] == []


def test_an_empty_manifest_under_a_tag_is_no_image() -> None:
    stub = replace(index(D), is_stub=True)
    github = hub(INDEX, stub, versions=[*IMAGE, container(4, D, "pr-1")])
    found, verifier = verified(github)
    assert [each.root.id for each in found] == [1]
    (text,) = said(verifier)
    assert text.startswith("warning: container/app: 1 version is an empty manifest by which untagging took a tag away")
    assert text.endswith("version-ids: 4 deletes it")


def test_the_bytes_of_an_image_are_known_when_all_of_it_was_read() -> None:
    lone = replace(plain(D), content=b"")
    github = hub(lone, versions=[container(4, D, "v2")])
    (found,), _ = verified(github)
    assert found.size is not None
    assert verified(hub())[0][0].size is None
