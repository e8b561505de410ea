"""Restored images become whole: which parts are looked for, what is read for that, and what is said of the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from package_keeper.errors import ApiError, ApiErrorKind
from package_keeper.execution.completion import (
    ImageCompletion,
    Incomplete,
    Lack,
    plan_repair,
    plan_stub_deletions,
    tell_incomplete,
)
from package_keeper.model.images import MissingPart, VerifiedImage
from package_keeper.model.manifest import OCI_INDEX, Descriptor, Manifest, Obstacle, UnreadableManifest
from package_keeper.model.packages import PackageName, Version
from package_keeper.model.plan import Action, Outcome, PlannedWrite, Reason, WriteRecord
from tests.unit.execution.test_executor import Listener
from tests.unit.making import key
from tests.unit.model.memory import Hub
from tests.unit.model.worlds import APP, NOBODY_KNOWS, NOW, World, child, container, digest, index, plain, referrer_tag

ROOT, ONE, TWO, NESTED, SIGNATURE, OTHER = (digest(number) for number in range(1, 7))
ANOTHER = key("container", "another")


def deleted(number: int, name: str, *tags: str, days: float = 1) -> Version:
    """A version that was deleted that many days ago."""
    return replace(container(number, name, *tags), deleted_at=NOW - timedelta(days=days))


class Shop(Hub):
    """A package in memory, whose lists may be outdated, and whose registry may be slow or refuse."""

    def __init__(self, *versions: Version, manifests: Iterable[Manifest] = ()) -> None:
        all_of_them = {name: plain(name) for name in (version.name for version in versions)}
        all_of_them |= {manifest.digest: manifest for manifest in manifests}
        active = tuple(version for version in versions if version.deleted_at is None)
        super().__init__(World(versions=active, manifests=all_of_them))
        self.deleted = {version.id: version for version in versions if version.deleted_at is not None}
        self.late: set[int] = set()
        """Versions that lists still show as they were before they were deleted."""
        self.unlisted: set[str] = set()
        """Digests that lists do not show yet."""
        self.hidden: dict[str, tuple[Obstacle, int]] = {}
        """Why the registry does not serve a digest, and how many reads it takes until it does."""
        self.slept: list[float] = []
        self.listed: list[bool] = []
        """For each list that was read, whether it was that of deleted versions."""

    def versions(self, package: PackageName, *, deleted: bool = False) -> list[Version]:
        self.listed.append(deleted)
        late = [replace(each, deleted_at=None) for each in self.deleted.values() if each.id in self.late]
        found = [each for each in super().versions(package, deleted=deleted) if each.id not in self.late]
        return [each for each in found + ([] if deleted else late) if each.name not in self.unlisted]

    def read(self, package: PackageName, digests: Iterable[str]) -> dict[str, Manifest | UnreadableManifest]:
        found = super().read(package, digests)
        for name in found:
            obstacle, after = self.hidden.get(name, (Obstacle.CONTENT, 0))
            if self.reads[name] <= after:
                found[name] = UnreadableManifest(digest=name, why="it is so", obstacle=obstacle)
        return found

    def sleep(self, seconds: float, why: str = "") -> None:
        self.slept.append(seconds)


def completion(shop: Shop, known: Sequence[Version] | None = None) -> ImageCompletion:
    return ImageCompletion(package=APP, reader=shop, registry=shop, pause=shop, deleted=known)


def record(restored: Version, outcome: Outcome = Outcome.DONE, *, root: str | None = None, **more: Any) -> WriteRecord:
    write = PlannedWrite.of(restored, Action.RESTORE, Reason.SELECTED, root=root)
    return WriteRecord(write=replace(write, **more), outcome=outcome)


Answers = Callable[[PlannedWrite], Outcome]


def complete(image: ImageCompletion, shop: Shop, answers: Answers = lambda _: Outcome.DONE) -> list[list[PlannedWrite]]:
    """Restore what the image lacks, until nothing is left to try."""
    rounds = []
    while writes := image.next_round():
        rounds.append(writes)
        for write in writes:
            outcome = write.expected or answers(write)
            if outcome is Outcome.DONE:
                shop.restore_version(APP, write.version_id or 0)
            image.note([WriteRecord(write=write, outcome=outcome)])
        assert len(rounds) < 9
    return rounds


def names(rounds: Iterable[Iterable[PlannedWrite]]) -> list[list[tuple[int | None, str]]]:
    """The ids and roots of what each round restores."""
    return [[(write.version_id, write.root or "") for write in each] for each in rounds]


def index_of(name: str, *children: str, platform: bool = True) -> Manifest:
    return index(name, *(child(plain(each), platform=platform) for each in children))


def lacks(image: ImageCompletion) -> list[tuple[str, list[tuple[str, int | None]]]]:
    return [(each.root, [(lack.digest, lack.version_id) for lack in each.lacks]) for each in image.incomplete()]


# --- what is restored ---


def test_the_missing_parts_of_an_index_are_restored() -> None:
    root = container(1, ROOT, "v1")
    nested = index(NESTED, child(plain(TWO)))
    shop = Shop(
        root,
        deleted(2, ONE),
        deleted(3, TWO),
        deleted(4, NESTED),
        manifests=[index(ROOT, child(plain(ONE)), child(nested)), nested],
    )
    image = completion(shop)
    image.note([record(root)])
    assert not image.is_idle
    assert names(complete(image, shop)) == [[(2, ROOT), (4, ROOT)], [(3, NESTED)]]
    assert image.incomplete() == []
    assert shop.reads == {ROOT: 1, NESTED: 1}, "what the index describes is not read"
    assert sorted(shop.listed) == [False, True], "each list once"
    assert shop.asked == {}, "what a list shows is not asked of the registry"


def test_without_a_restored_image_nothing_is_read() -> None:
    one = deleted(1, ROOT)
    shop = Shop(one)
    image = completion(shop)
    assert image.is_idle is True
    package = WriteRecord(
        write=PlannedWrite(action=Action.RESTORE, reason=Reason.SELECTED, package=APP), outcome=Outcome.DONE
    )
    elsewhere = record(one, package=ANOTHER)
    image.note([elsewhere, package, record(one, tag="v1"), record(one, Outcome.FAILED)])
    assert image.is_idle is True
    assert image.next_round() == []
    assert shop.listed == []
    assert image.incomplete() == []
    assert image.unfinished == set()


def test_parts_of_the_other_packages_and_of_tags_are_not_taken_for_tried() -> None:
    root, part = container(1, ROOT, "v1"), deleted(2, ONE)
    shop = Shop(root, part, manifests=[index_of(ROOT, ONE)])
    image = completion(shop)
    image.note([record(root), record(part, Outcome.FAILED, package=ANOTHER), record(part, Outcome.FAILED, tag="v1")])
    assert names(complete(image, shop)) == [[(2, ROOT)]]


def test_a_part_that_is_active_is_not_restored_again() -> None:
    root = container(1, ROOT, "v1")
    shop = Shop(root, container(2, ONE), deleted(3, ONE), manifests=[index_of(ROOT, ONE, TWO)])
    image = completion(shop)
    image.note([record(root)])
    assert complete(image, shop) == []
    assert lacks(image) == [(ROOT, [(TWO, None)])]
    assert shop.asked == {TWO: 1}


def test_a_part_that_an_outdated_list_shows_as_active_is_restored() -> None:
    root = container(1, ROOT, "v1")
    shop = Shop(root, deleted(2, ONE), manifests=[index_of(ROOT, ONE)])
    shop.late = {2}
    image = completion(shop)
    image.note([record(root)])
    assert names(complete(image, shop)) == [[(2, ROOT)]]
    assert image.incomplete() == []


def test_a_part_that_is_not_listed_yet_is_not_missing() -> None:
    root = container(1, ROOT, "v1")
    shop = Shop(root, container(2, ONE), deleted(3, TWO), manifests=[index_of(ROOT, ONE, TWO)])
    shop.unlisted = {ONE}
    image = completion(shop)
    image.note([record(root)])
    assert names(complete(image, shop)) == [[(3, ROOT)]]
    assert image.incomplete() == []


def test_an_entry_of_an_unknown_media_type_is_missing_only_when_it_was_deleted() -> None:
    root = container(1, ROOT, "v1")
    entries = [Descriptor(digest=each, media_type=NOBODY_KNOWS) for each in (ONE, TWO)]
    shop = Shop(root, deleted(2, ONE), manifests=[index(ROOT, *entries)])
    image = completion(shop)
    image.note([record(root)])
    assert names(complete(image, shop)) == [[(2, ROOT)]]
    assert image.incomplete() == []
    assert shop.asked == {}, "the registry is not asked for what may be no manifest"


@pytest.mark.parametrize(("known", "lists"), [([], 1), ([deleted(2, ONE)], 1), ([deleted(2, ONE), deleted(3, TWO)], 0)])
def test_deleted_versions_are_read_when_those_at_hand_lack_a_part(known: list[Version], lists: int) -> None:
    root = container(1, ROOT, "v1")
    shop = Shop(root, deleted(2, ONE), deleted(3, TWO), manifests=[index_of(ROOT, ONE, TWO)])
    image = completion(shop, known)
    image.note([record(root)])
    assert names(complete(image, shop)) == [[(2, ROOT), (3, ROOT)]]
    assert shop.listed.count(True) == lists


def test_deleted_versions_are_read_only_once_more() -> None:
    root = container(1, ROOT, "v1")
    nested = index_of(NESTED, TWO)
    manifests = [index(ROOT, child(nested), child(plain(ONE))), nested]
    shop = Shop(root, deleted(4, NESTED), manifests=manifests)
    image = completion(shop, [deleted(4, NESTED)])
    image.note([record(root)])
    assert names(complete(image, shop)) == [[(4, ROOT)]]
    assert lacks(image) == [(ROOT, [(ONE, None), (TWO, None)])]
    assert shop.listed.count(True) == 1


def test_an_image_that_lacks_nothing_needs_no_list_of_active_versions() -> None:
    root = container(1, ROOT, "v1")
    shop = Shop(root, deleted(2, ONE, "v0"))
    image = completion(shop, [deleted(2, ONE, "v0")])
    image.note([record(root)])
    assert image.next_round() == []
    assert shop.listed == []


def test_a_second_version_of_a_digest_is_tried_when_the_first_fails() -> None:
    root = container(1, ROOT, "v1")
    shop = Shop(root, deleted(2, ONE, days=1), deleted(3, ONE, days=2), manifests=[index_of(ROOT, ONE)])
    image = completion(shop)
    image.note([record(root)])
    rounds = complete(image, shop, lambda write: Outcome.FAILED if write.version_id == 2 else Outcome.DONE)
    assert names(rounds) == [[(2, ROOT)], [(3, ROOT)]]
    assert image.incomplete() == []


def test_nothing_more_is_sent_to_a_package_without_permission() -> None:
    root = container(1, ROOT, "v1")
    shop = Shop(root, deleted(2, ONE), deleted(3, ONE), manifests=[index_of(ROOT, ONE)])
    image = completion(shop)
    image.note([record(root)])
    assert names(complete(image, shop, lambda _: Outcome.NO_PERMISSION)) == [[(3, ROOT)]]
    assert image.next_round() == []
    assert lacks(image) == [(ROOT, [(ONE, 3)])]


@pytest.mark.parametrize(
    ("tags", "in_use", "restored", "expected"),
    [
        (("v1",), (), 2, Outcome.TAG_IN_USE),
        (("v0",), ("v0",), 2, Outcome.TAG_IN_USE),
        (("v0",), ("v2",), 2, None),
        ((), ("v0",), 2, None),
    ],
)
def test_a_part_whose_tag_is_in_use_is_not_restored(
    tags: tuple[str, ...], in_use: tuple[str, ...], restored: int, expected: Outcome | None
) -> None:
    root = container(1, ROOT, "v1")
    shop = Shop(root, deleted(2, ONE, *tags), container(9, OTHER, *in_use), manifests=[index_of(ROOT, ONE)])
    image = completion(shop)
    image.note([record(root)])
    (write,) = image.next_round()
    assert (write.version_id, write.expected, write.root, write.reason) == (restored, expected, ROOT, Reason.PART_OF)


def test_a_tag_that_only_an_outdated_list_shows_is_not_in_use() -> None:
    root = container(1, ROOT, "v1")
    shop = Shop(root, deleted(2, ONE, "v0"), deleted(9, OTHER, "v0"), manifests=[index_of(ROOT, ONE)])
    shop.late = {9}
    image = completion(shop)
    image.note([record(root)])
    assert [write.expected for write in image.next_round()] == [None]


def test_of_two_versions_the_one_whose_tags_are_free_is_restored() -> None:
    root = container(1, ROOT, "v1")
    shop = Shop(root, deleted(2, ONE, "v1"), deleted(3, ONE, "v0", days=3), manifests=[index_of(ROOT, ONE)])
    image = completion(shop)
    image.note([record(root)])
    assert names(complete(image, shop)) == [[(3, ROOT)]]


def test_parts_that_only_records_name_are_restored_while_their_root_is_active() -> None:
    root = container(1, ROOT, "v1")
    lost = [
        record(deleted(2, SIGNATURE), Outcome.FAILED, root=ROOT),
        record(deleted(5, TWO), Outcome.FAILED, root=OTHER),
        record(deleted(6, SIGNATURE), Outcome.FAILED, root=OTHER),
    ]
    shop = Shop(root, deleted(3, SIGNATURE), deleted(4, TWO), manifests=[])
    image = completion(shop)
    image.note([*lost, record(root)])
    assert names(complete(image, shop)) == [[(3, ROOT)]]
    assert image.incomplete() == []


# --- referrers by tag ---


def signature(number: int, of: str = ROOT, *more: str, name: str = SIGNATURE, days: float = 1) -> Version:
    return deleted(number, name, referrer_tag(of, ".sig"), *more, days=days)


@pytest.mark.parametrize("known", [True, False])
def test_the_newest_referrer_of_each_tag_comes_back_with_its_subject(known: bool) -> None:
    root = container(1, ROOT, "v1")
    others = [signature(2, days=9, name=ONE), signature(3, days=2), signature(4, of=OTHER, name=TWO)]
    attestation = deleted(5, NESTED, referrer_tag(ROOT, ".att"), days=5)
    shop = Shop(root, *others, attestation)
    image = completion(shop, [*others, attestation] if known else None)
    image.note([record(root)])
    (writes,) = complete(image, shop)
    assert [(write.version_id, write.root, write.expected) for write in writes] == [(3, ROOT, None), (5, ROOT, None)]
    assert {write.reason for write in writes} == {Reason.PART_OF}
    assert image.incomplete() == []


@pytest.mark.parametrize(
    "others",
    [
        [container(7, OTHER, referrer_tag(ROOT, ".sig"))],
        [container(7, SIGNATURE)],
    ],
    ids=["its tag is in use", "its digest is active"],
)
def test_a_referrer_stays_deleted(others: list[Version]) -> None:
    root = container(1, ROOT, "v1")
    shop = Shop(root, signature(2), *others)
    image = completion(shop)
    image.note([record(root)])
    assert complete(image, shop) == []


def test_a_referrer_with_a_tag_of_its_own_stays_deleted() -> None:
    root = container(1, ROOT, "v1")
    shop = Shop(root, signature(2, ROOT, "signed"))
    image = completion(shop)
    image.note([record(root)])
    assert complete(image, shop) == []


def test_a_referrer_that_was_tried_is_not_tried_again() -> None:
    root = container(1, ROOT, "v1")
    shop = Shop(root, signature(2))
    image = completion(shop)
    image.note([record(root)])
    assert names(complete(image, shop, lambda _: Outcome.FAILED)) == [[(2, ROOT)]]


def test_a_referrer_of_two_restored_images_comes_back_once() -> None:
    root, other = container(1, ROOT, "v1"), container(2, OTHER, "v2")
    shop = Shop(root, other, signature(3, digest(99), referrer_tag(OTHER, ".sig"), referrer_tag(ROOT, ".sig")))
    image = completion(shop)
    image.note([record(root), record(other)])
    assert names(complete(image, shop)) == [[(3, OTHER)]]


def test_a_referrer_that_is_a_part_too_comes_back_once() -> None:
    root = container(1, ROOT, "v1")
    shop = Shop(root, signature(2, name=ONE), manifests=[index_of(ROOT, ONE)])
    image = completion(shop)
    image.note([record(root)])
    assert names(complete(image, shop)) == [[(2, ROOT)]]


def test_a_referrer_that_an_outdated_list_shows_comes_back() -> None:
    root = container(1, ROOT, "v1")
    shop = Shop(root, signature(2), signature(3, days=5))
    shop.late = {3}
    image = completion(shop)
    image.note([record(root)])
    assert names(complete(image, shop)) == [[(2, ROOT)]]


def test_an_outdated_list_read_for_referrers_hides_no_missing_part() -> None:
    root = container(1, ROOT, "v1")
    nested = index_of(NESTED, ONE)
    manifests = [index(ROOT, child(nested)), nested]
    shop = Shop(root, deleted(2, NESTED), deleted(3, ONE), signature(4), manifests=manifests)
    shop.late = {3}
    image = completion(shop)
    image.note([record(root)])
    assert names(complete(image, shop)) == [[(2, ROOT), (4, ROOT)], [(3, NESTED)]]


# --- what is read: each manifest counts as a download ---


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("tags", [(), ("v1",)])
def test_only_the_index_of_a_restored_image_is_read(tags: tuple[str, ...], told: bool) -> None:
    root, one, two = container(1, ROOT, *tags), container(2, ONE), container(3, TWO)
    shop = Shop(root, one, two, manifests=[index_of(ROOT, ONE, TWO)])
    image = completion(shop, [])
    known = ROOT if told else None
    image.note([record(one, root=known), record(two, root=known), record(root)])
    assert complete(image, shop) == []
    expected = {ROOT: 1} if tags or told else {ROOT: 1, ONE: 1, TWO: 1}
    assert shop.reads == expected
    assert image.incomplete() == []


def test_untagged_images_are_read_newest_first_in_rounds() -> None:
    parts = [container(number, digest(number)) for number in range(100, 170)]
    root = container(1, ROOT)
    shop = Shop(root, *parts, manifests=[index_of(ROOT, *(part.name for part in parts))])
    image = completion(shop, [])
    image.note([*(record(part) for part in parts), record(root)])
    assert complete(image, shop) == []
    assert shop.reads.total() == 64, "the index and 63 others; it describes the rest"
    assert max(shop.reads.values()) == 1


def test_attestations_are_not_read() -> None:
    root = container(1, ROOT, "v1")
    shop = Shop(root, container(2, ONE), manifests=[index_of(ROOT, ONE, platform=False)])
    image = completion(shop)
    image.note([record(root)])
    assert complete(image, shop) == []
    assert shop.reads == {ROOT: 1}


@pytest.mark.parametrize(("after", "slept"), [(0, []), (1, [1.0]), (2, [1.0, 3.0])])
def test_a_manifest_that_is_not_served_at_once_is_read_again(after: int, slept: list[float]) -> None:
    root = container(1, ROOT, "v1")
    shop = Shop(root, deleted(2, ONE), manifests=[index_of(ROOT, ONE)])
    shop.hidden[ROOT] = Obstacle.CONTENT, after
    image = completion(shop)
    image.note([record(root)])
    assert names(complete(image, shop)) == [[(2, ROOT)]]
    assert shop.slept == slept


def test_an_image_that_stays_unreadable_is_not_whole() -> None:
    root, nested = container(1, ROOT, "v1"), container(4, NESTED)
    shop = Shop(root, nested, manifests=[index(ROOT, child(index_of(NESTED, ONE)))])
    shop.hidden |= {NESTED: (Obstacle.CONTENT, 9)}
    image = completion(shop)
    image.note([record(root)])
    assert complete(image, shop) == []
    assert image.incomplete() == [Incomplete(root=ROOT, tags=("v1",), lacks=(), unreadable=f"{NESTED[:19]}: it is so")]
    assert shop.reads[NESTED] == 3
    assert shop.slept == [1.0, 3.0]


@pytest.mark.parametrize(
    ("obstacle", "kind"),
    [(Obstacle.FORBIDDEN, ApiErrorKind.NO_PERMISSION), (Obstacle.UNREACHABLE, ApiErrorKind.UNREACHABLE)],
)
def test_a_registry_that_refuses_or_is_silent_is_an_error(obstacle: Obstacle, kind: ApiErrorKind) -> None:
    root = container(1, ROOT, "v1")
    shop = Shop(root)
    shop.hidden[ROOT] = obstacle, 9
    image = completion(shop)
    image.note([record(root)])
    with pytest.raises(ApiError, match="cannot be read: it is so") as caught:
        image.next_round()
    assert caught.value.kind is kind
    assert shop.slept == [], "another try would not help"


# --- what is not whole ---


def test_what_an_image_lacks_is_named_with_the_version_that_can_restore_it() -> None:
    root = container(1, ROOT, "v1")
    versions = [deleted(2, ONE), deleted(3, ONE, days=2), deleted(4, TWO), deleted(5, SIGNATURE)]
    shop = Shop(root, *versions, manifests=[index_of(ROOT, ONE, TWO, OTHER)])
    image = completion(shop, versions)
    image.note([record(versions[3], Outcome.FAILED, root=ROOT), record(root)])
    answers = {2: Outcome.ALREADY_GONE, 3: Outcome.FAILED, 4: Outcome.ALREADY_GONE}
    complete(image, shop, lambda write: answers[write.version_id or 0])
    month = timedelta(days=30)
    assert image.incomplete() == [
        Incomplete(
            root=ROOT,
            tags=("v1",),
            lacks=(
                Lack(digest=ONE, version_id=3, until=NOW - timedelta(days=2) + month, pulled=True),
                Lack(digest=TWO, version_id=None, until=None, pulled=True),
                Lack(digest=OTHER, version_id=None, until=None, pulled=True),
                Lack(digest=SIGNATURE, version_id=5, until=NOW - timedelta(days=1) + month, pulled=False),
            ),
            unreadable="",
        )
    ]


def test_a_part_that_failed_is_named_even_if_no_list_was_read() -> None:
    root = container(1, ROOT, "v1")
    for outcome, version_id in ((Outcome.FAILED, 2), (Outcome.ALREADY_GONE, None)):
        image = completion(Shop(root))
        image.note([record(deleted(2, ONE), outcome, root=ROOT), record(root)])
        assert image.incomplete()[0].lacks == (Lack(digest=ONE, version_id=version_id, until=None, pulled=False),)


def test_parts_that_are_left_for_the_next_run_do_not_count_as_lacking() -> None:
    root, part = container(1, ROOT, "v1"), deleted(2, ONE)
    shop = Shop(root, part, manifests=[index_of(ROOT, ONE)])
    image = completion(shop)
    image.note([record(root), record(part, Outcome.OUT_OF_TIME, root=ROOT)])
    image.note([record(deleted(3, TWO), Outcome.OVER_LIMIT, root=OTHER)])
    assert image.next_round() == []
    assert image.unfinished == {ROOT}, "the other image was not restored"
    assert image.incomplete() == []
    image.note([record(part, root=ROOT)])
    assert image.unfinished == set()


def test_a_part_that_failed_is_not_left_for_the_next_run() -> None:
    root, part = container(1, ROOT, "v1"), deleted(2, ONE)
    image = completion(Shop(root))
    image.note([record(root), record(part, Outcome.FAILED, root=ROOT)])
    assert image.unfinished == set()
    assert lacks(image) == [(ROOT, [(ONE, 2)])]


def test_a_part_that_two_parts_lack_is_named_once() -> None:
    root, one, two = container(1, ROOT, "v1"), container(2, NESTED), container(3, TWO)
    nested = [index_of(each.name, ONE, OTHER) for each in (one, two)]
    image = completion(shop := Shop(root, one, two, manifests=[index(ROOT, *map(child, nested)), *nested]))
    image.note([record(root)])
    assert complete(image, shop) == []
    assert lacks(image) == [(ROOT, [(ONE, None), (OTHER, None)])]


def test_what_only_a_missing_part_lacks_is_not_named() -> None:
    root = container(1, ROOT, "v1")
    image = completion(Shop(root))
    failed = [
        record(deleted(4, NESTED), Outcome.FAILED, root=ROOT),
        record(deleted(5, ONE), Outcome.FAILED, root=NESTED),
    ]
    image.note([*failed, record(root)])
    assert lacks(image) == [(ROOT, [(NESTED, 4)])]


@pytest.mark.parametrize(("tags", "counted"), [((), [ROOT]), (("n1",), [ROOT, NESTED])])
def test_a_broken_part_counts_for_itself_only_with_a_tag(tags: tuple[str, ...], counted: list[str]) -> None:
    root, nested = container(1, ROOT), container(4, NESTED, *tags)
    inner = index_of(NESTED, ONE)
    shop = Shop(root, nested, manifests=[index(ROOT, child(inner), child(index_of(ROOT))), inner])
    image = completion(shop)
    image.note([record(root), record(nested)])
    assert complete(image, shop) == []
    assert lacks(image) == [(each, [(ONE, None)]) for each in counted]


def test_a_part_that_records_name_counts_for_its_root_only() -> None:
    root, nested = container(1, ROOT, "v1"), container(4, NESTED, referrer_tag(ROOT))
    shop = Shop(root, nested, manifests=[index_of(NESTED, ONE)])
    image = completion(shop)
    image.note([record(nested, root=ROOT), record(root)])
    assert complete(image, shop) == []
    assert lacks(image) == [(ROOT, [(ONE, None)])]


def test_a_second_version_with_the_digest_of_the_root_hides_nothing() -> None:
    root = container(1, ROOT, "v1")
    twin = container(2, ROOT, "v0", "v1")
    shop = Shop(root, manifests=[index_of(ROOT, ONE)])
    image = completion(shop)
    image.note([record(replace(root, tags=())), record(replace(twin, tags=()), Outcome.ALREADY_ACTIVE, root=ROOT)])
    assert complete(image, shop) == []
    assert lacks(image) == [(ROOT, [(ONE, None)])]
    image.note([record(root), record(twin)])
    assert image.incomplete()[0].tags == ("v1", "v0")


def test_whole_images_are_not_reported() -> None:
    root, other = container(1, ROOT, "v1"), container(2, OTHER, "v2")
    shop = Shop(root, other, manifests=[index_of(OTHER, ONE)])
    image = completion(shop)
    image.note([record(root), record(other)])
    assert complete(image, shop) == []
    assert lacks(image) == [(OTHER, [(ONE, None)])]
    assert image.next_round() == []
    assert sorted(shop.listed) == [False, True], "each list once"


# --- images that get a tag back ---


def test_images_that_get_a_tag_back_are_completed_while_they_are_active() -> None:
    eight, one, gone = container(8, ROOT, "v8"), container(1, OTHER, "v1"), deleted(3, TWO, "v3")
    shop = Shop(eight, one, gone, manifests=[index_of(ROOT, ONE), index_of(OTHER, ONE), index_of(TWO, ONE)])
    image = completion(shop)
    image.add_active([PlannedWrite.of(each, Action.RESTORE, Reason.RECEIPT, tag="t") for each in (eight, one, gone)])
    assert complete(image, shop) == []
    assert [(each.root, each.tags) for each in image.incomplete()] == [(OTHER, ("v1",)), (ROOT, ("v8",))]


# --- stubs ---


def test_stubs_that_this_run_restored_are_deleted_again() -> None:
    stub, older, told, image_ = (container(number, digest(number), f"v{number}") for number in (1, 2, 3, 4))
    stubs = [Manifest(digest=each.name, media_type=OCI_INDEX, is_stub=True) for each in (stub, older, told)]
    shop = Shop(stub, older, told, image_, manifests=stubs)
    found = completion(shop)
    found.note([record(stub), record(older, Outcome.ALREADY_ACTIVE), record(told, version=None), record(image_)])
    assert found.stubs == [], "nothing was read yet"
    assert complete(found, shop) == []
    assert found.stubs == [stub]
    (write,) = plan_stub_deletions(found.stubs).writes
    assert (write.action, write.reason, write.version_id) == (Action.DELETE, Reason.GHOST, 1)


# --- repair ---


def test_repair_restores_each_part_once_for_the_first_image_that_lacks_it() -> None:
    part = MissingPart(digest=ONE, versions=(deleted(2, ONE, "v0"), deleted(3, ONE, "free")))
    taken = MissingPart(digest=TWO, versions=(deleted(4, TWO, "v0"),))
    lost = MissingPart(digest=NESTED)
    first = VerifiedImage(root=container(1, ROOT, "v1"), missing=(lost, part, taken))
    second = VerifiedImage(root=container(9, OTHER, "v9"), missing=(part,))
    writes = plan_repair([first, second], {APP: {"v0", "v1"}})
    assert [(each.version_id, each.root, each.expected) for each in writes] == [
        (3, ROOT, None),
        (4, ROOT, Outcome.TAG_IN_USE),
    ]
    assert {(each.action, each.reason) for each in writes} == {(Action.RESTORE, Reason.NEEDED_BY)}
    (free,) = plan_repair([second], {ANOTHER: {"v0"}})
    assert (free.version_id, free.expected) == (2, None)


# --- what the log says ---


def said(*images: Incomplete) -> list[tuple[str, str]]:
    log = Listener()
    tell_incomplete(APP, images, log)
    return log.said


def incomplete(*several: Lack, tags: tuple[str, ...] = (), unreadable: str = "") -> Incomplete:
    return Incomplete(root=ROOT, tags=tags, lacks=several, unreadable=unreadable)


PART = f"it lacks {ONE[:19]}, which"


@pytest.mark.parametrize(
    ("image", "tags", "text"),
    [
        (
            incomplete(Lack(digest=ONE, version_id=None, until=None, pulled=True), tags=("v1", "latest")),
            " [v1, latest]",
            f"{PART} is not among the versions deleted in the last 30 days: push the image anew",
        ),
        (
            incomplete(Lack(digest=ONE, version_id=7, until=NOW, pulled=True), tags=("v1",)),
            " [v1]",
            f"{PART} repair can bring back until 2026-06-15 12:00 UTC",
        ),
        (
            incomplete(Lack(digest=ONE, version_id=7, until=None, pulled=True), tags=(referrer_tag(TWO),)),
            f" [{referrer_tag(TWO)}]",
            f"{PART} repair with keep-digests: {ROOT} can bring back",
        ),
        (
            incomplete(Lack(digest=ONE, version_id=7, until=None, pulled=True), tags=(referrer_tag(TWO), "v1")),
            f" [{referrer_tag(TWO)}, v1]",
            f"{PART} repair can bring back",
        ),
        (
            incomplete(Lack(digest=ONE, version_id=7, until=NOW, pulled=False)),
            "",
            f"{PART} restore with version-ids: 7 can bring back until 2026-06-15 12:00 UTC",
        ),
        (
            incomplete(unreadable="no such manifest"),
            "",
            "it cannot be read (no such manifest), so what it needs is not known: try repair later",
        ),
    ],
)
def test_the_log_says_what_an_image_lacks_and_what_to_do(image: Incomplete, tags: str, text: str) -> None:
    assert said(image) == [("error", f"container/app {ROOT[:19]}{tags} is back, but it is not whole: {text}")]


@pytest.mark.parametrize(("count", "last"), [(10, ""), (11, "it lacks 1 more"), (13, "it lacks 3 more")])
def test_ten_missing_parts_are_named(count: int, last: str) -> None:
    missing = [Lack(digest=digest(number), version_id=None, until=None, pulled=True) for number in range(count)]
    ((_, text),) = said(incomplete(*missing))
    assert text.count("push the image anew") == 10
    assert text.endswith(last or "push the image anew")


@pytest.mark.parametrize("count", [0, 10, 12])
def test_ten_images_are_named(count: int) -> None:
    lines = said(*[incomplete(unreadable="no")] * count)
    more = [("error", "container/app: 2 more images are back, but not whole: verify names those with tags")]
    assert lines[10:] == (more if count == 12 else [])
    assert len(lines) == min(count, 11)
