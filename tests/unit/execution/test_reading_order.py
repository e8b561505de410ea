"""Which manifests are read, in which rounds, and for which the registry is only asked whether they are indexes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta

import pytest
from msgspec.structs import replace

from package_keeper.execution.image_reading import Manifests, read_for_deletion
from package_keeper.model.manifest import Manifest, UnreadableManifest
from package_keeper.model.packages import PackageName, Version
from tests.unit.model.memory import Hub
from tests.unit.model.worlds import APP, NOW, World, child, container, digest, index, plain, referrer_tag

BEGIN = NOW - timedelta(days=40)


class Rounds(Hub):
    """Keeps the numbers of the versions of each round, and of those that the registry was asked about."""

    cached: frozenset[str] = frozenset()

    def __init__(self, versions: Sequence[Version], manifests: Iterable[Manifest] = ()) -> None:
        known = {each.name: plain(each.name) for each in versions} | {each.digest: each for each in manifests}
        super().__init__(World(versions=tuple(versions), manifests=known))
        self.rounds: list[list[int]] = []
        self.heads: list[list[int]] = []

    def read(self, package: PackageName, digests: Iterable[str]) -> dict[str, Manifest | UnreadableManifest]:
        names = list(digests)
        self.rounds.append([int(name[7:], 16) for name in names])
        return super().read(package, names)

    def are_indexes(self, package: PackageName, digests: Iterable[str]) -> dict[str, bool | None]:
        names = list(digests)
        self.heads += [[int(name[7:], 16) for name in names]] if names else []
        return super().are_indexes(package, names)

    def at_hand(self, package: PackageName, digests: Iterable[str]) -> list[str]:
        return [name for name in digests if name in self.cached]


def pushed(*seconds: float | None, tags: bool = False) -> list[Version]:
    """Versions 1, 2, … with the moments of their creation."""
    return [
        replace(
            container(number, digest(number), *([f"v{number}"] if tags else [])),
            created_at=None if moment is None else BEGIN + timedelta(seconds=moment),
        )
        for number, moment in enumerate(seconds, start=1)
    ]


def listing(number: int, *children: int) -> Manifest:
    return index(digest(number), *(child(plain(digest(each))) for each in children))


def unknown(hub: Rounds) -> Manifests:
    versions = list(hub.active.values())
    manifests = Manifests(APP, versions, hub)
    manifests.take_unknown(versions)
    return manifests


# --- reading some manifests ---


def test_indexes_below_an_index_are_read_at_once_and_nothing_twice() -> None:
    inner, lost = listing(2, 3), listing(9, 3)
    hub = Rounds(pushed(0, 0, 0, 0), [index(digest(1), child(inner), child(plain(digest(3))), child(lost)), inner])
    hub._unreadable = frozenset({digest(4)})
    manifests = Manifests(APP, list(hub.active.values()), hub)
    manifests.take([digest(1), digest(4)])
    assert hub.rounds == [[1, 4], [2]], "of a digest without a version there is nothing to read"
    manifests.take([digest(1), digest(2), digest(4)])
    manifests.take_indexes([digest(1), digest(4)])
    assert (hub.rounds[2:], hub.heads) == ([], [])
    assert (set(manifests.read), set(manifests.unreadable)) == ({digest(1), digest(2)}, {digest(4)})


def test_what_may_be_an_index_is_read() -> None:
    hub = Rounds(pushed(0, 0, 0, 0), [listing(2, 1)])
    hub._unreadable = frozenset({digest(3)})
    manifests = Manifests(APP, list(hub.active.values()), hub)
    manifests.take_indexes([digest(1), digest(2), digest(3)])
    assert (hub.heads, hub.rounds) == ([[1, 2, 3]], [[2, 3]])


def test_what_was_seen_before_still_shows_parts() -> None:
    hub = Rounds(pushed(0, 60, 120))
    manifests = Manifests(APP, list(hub.active.values()), hub, [listing(9, 1, 2)])
    manifests.take_unknown(hub.active.values())
    assert hub.rounds == [[3]]


# --- pushes ---


def sizes(hub: Rounds) -> list[int]:
    return [len(each) for each in hub.rounds]


def test_rounds_grow_to_a_bound() -> None:
    hub = Rounds(pushed(*(60.0 * number for number in range(160))))
    unknown(hub)
    assert sizes(hub) == [4, 16, 64, 64, 12]
    assert [number for each in hub.rounds for number in each] == list(range(160, 0, -1)), "the newest first"
    assert hub.heads == []


def test_the_rest_of_a_push_is_read_in_rounds_that_grow_to_a_bound() -> None:
    hub = Rounds(pushed(*[0.0] * 161))
    unknown(hub)
    assert sizes(hub) == [1, 4, 16, 64, 64, 12]
    assert hub.heads == []


@pytest.mark.parametrize(
    ("seconds", "rounds"),
    [
        ((0, 10, 20, 30, 40, 50), [[6], [5, 4, 3, 2], [1]]),
        ((0, 11, 22, 33, 44, 55), [[6, 5, 4, 3], [2, 1]]),
        ((0, 10, 21, 31, 41, 52), [[6, 5, 2], [4, 3, 1]]),
        # an unknown age counts as new
        ((None, None, 0), [[2, 3], [1]]),
        ((None, 0, 60), [[1, 3, 2]]),
    ],
)
def test_versions_of_ten_seconds_are_one_push(seconds: Sequence[float | None], rounds: list[list[int]]) -> None:
    hub = Rounds(pushed(*seconds))
    unknown(hub)
    assert hub.rounds == rounds


def test_an_index_that_was_pushed_last_saves_reading_its_parts() -> None:
    hub = Rounds(pushed(0, 0, 0, 60, 60, 60), [listing(3, 1, 2), listing(6, 4, 5)])
    assert unknown(hub).is_known_part(digest(1))
    assert (hub.rounds, hub.heads) == ([[6, 3]], [])


def test_once_there_are_parts_the_registry_is_asked_for_the_other_indexes() -> None:
    # the second push ends with a part
    hub = Rounds(pushed(0, 0, 0, 60, 60, 60), [listing(1, 2, 3), listing(6, 4)])
    unknown(hub)
    assert (hub.rounds, hub.heads) == ([[6, 3], [1], [5]], [[5, 2, 1]])


def test_when_a_push_ends_with_a_part_the_rest_is_read_in_any_order() -> None:
    moments = [60.0 * number for number in range(8)]
    hub = Rounds(pushed(*moments), [listing(8, 7), listing(2, 1)])
    unknown(hub)
    assert (hub.rounds, hub.heads) == ([[8, 7, 6, 5], [2], [4, 3]], [[4, 3, 2, 1]])
    # as long as none does, each push is read from its end
    hub = Rounds(pushed(*moments), [listing(8, 1)])
    unknown(hub)
    assert (hub.rounds, hub.heads) == ([[8, 7, 6, 5], [4, 3, 2]], [])


def test_manifests_at_hand_are_taken_first() -> None:
    hub = Rounds(pushed(0, 60, 120), [listing(1, 2, 3)])
    hub.cached = frozenset({digest(1)})
    unknown(hub)
    assert hub.rounds == [[1]]


# --- before a deletion ---

SIGNATURE = referrer_tag(digest(1), ".sig")
FALLBACK = referrer_tag(digest(1))


def read(hub: Rounds, candidates: set[int], parts: frozenset[int] = frozenset()) -> None:
    versions = list(hub.active.values())
    read_for_deletion(Manifests(APP, versions, hub), versions, candidates, parts)


def test_without_candidates_nothing_is_read() -> None:
    hub = Rounds(pushed(0, 0, tags=True))
    read(hub, set())
    read(hub, set(), frozenset({9}))
    assert (hub.rounds, hub.heads) == ([], [])
    read(hub, set(), frozenset({1}))
    assert hub.heads == [[1, 2]]


@pytest.mark.parametrize(
    ("third", "manifests", "candidates", "rounds", "heads"),
    [
        # tagged versions only: HEAD requests find the indexes among those that stay
        (("v3",), [], {1}, [[1]], [[2, 3]]),
        (("v3",), [listing(3, 1)], {1}, [[1], [3]], [[2, 3]]),
        # a selected image is an index: the others are read
        (("v3",), [listing(1, 2)], {1}, [[1], [2, 3]], []),
        # signatures that stay are asked for too
        ((SIGNATURE,), [], {1}, [[1]], [[2, 3]]),
        # one that goes may be a part of what stays
        ((SIGNATURE,), [], {1, 3}, [[1], [2]], [[3]]),
        # a fallback index is no signature, and one tag of an image makes an image
        ((FALLBACK,), [], {1}, [[1], [2], [3]], []),
        ((SIGNATURE, FALLBACK), [], {1}, [[1], [2], [3]], []),
        ((SIGNATURE, "v3"), [], {1}, [[1]], [[2, 3]]),
        # an untagged version may be an index, whether it stays or goes
        ((), [], {1}, [[1], [2], [3]], []),
        ((), [], {1, 3}, [[1], [2], [3]], []),
        ((), [listing(2, 3)], {1, 3}, [[1], [2]], []),
    ],
)
def test_as_few_manifests_are_read_as_is_safe(
    third: tuple[str, ...],
    manifests: list[Manifest],
    candidates: set[int],
    rounds: list[list[int]],
    heads: list[list[int]],
) -> None:
    versions = [*pushed(0, 60, tags=True), container(3, digest(3), *third)]
    hub = Rounds(versions, manifests)
    read(hub, candidates)
    assert ([each for each in hub.rounds if each], hub.heads) == (rounds, heads)


def test_untagged_versions_that_stay_are_read_before_those_that_go() -> None:
    hub = Rounds(pushed(0, 60, 120, 180), [listing(1, 4, 3)])
    read(hub, {3, 4})
    assert [each for each in hub.rounds if each] == [[2, 1]]
    # the part of an image that is deleted already may go with it
    hub = Rounds(pushed(0, 60, 120, 180), [listing(1, 4, 3)])
    read(hub, {3}, frozenset({4}))
    assert [each for each in hub.rounds if each] == [[2, 1]]
