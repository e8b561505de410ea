"""What an error means for a write, and whether a write without an answer happened: looked up, never guessed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any

import pytest
from msgspec.structs import replace

from package_keeper.errors import ApiError, ApiErrorKind
from package_keeper.execution.deletions import Deletions
from package_keeper.execution.restorations import Restorations, still_active
from package_keeper.execution.results import Answer
from package_keeper.execution.untag import Untagger
from package_keeper.model.packages import Package, PackageName, Version
from package_keeper.model.plan import Action, Decision, Outcome, Plan, PlannedWrite, Reason, WriteRecord
from package_keeper.policy.guards import Guards, OnLastVersion, guard
from tests.unit.making import key, package, version

IMAGE = key("container")
NOT_FOUND, UNREACHABLE = ApiErrorKind.NOT_FOUND, ApiErrorKind.UNREACHABLE


def error(kind: ApiErrorKind, text: str = "no", *, sent_before: bool = False) -> ApiError:
    return ApiError(kind, text, sent_before=sent_before)


@dataclass
class Shelf:
    """What GitHub answers: active and deleted versions, the digest under a tag; or an error to every question."""

    active: Sequence[Version] = ()
    deleted: Sequence[Version] = ()
    exists: bool = True
    digest: str | None = None
    fails: ApiError | None = None
    list_fails: ApiError | None = None
    listed: Sequence[Version] = ()
    """Versions that an outdated list still shows as active."""
    writes: list[tuple[Any, ...]] = field(default_factory=list)
    asked: set[int] = field(default_factory=set)

    def _answer(self) -> None:
        if self.fails is not None:
            raise self.fails
        if not self.exists:
            raise error(NOT_FOUND)

    def package(self, name: PackageName) -> Package:
        self._answer()
        return package(name.name, name.type)

    def version(self, name: PackageName, version_id: int) -> Version:
        self._answer()
        for one in self.active:
            if one.id == version_id:
                return one
        raise error(NOT_FOUND)

    def versions(self, name: PackageName, *, deleted: bool = False) -> list[Version]:
        self._answer()
        if self.list_fails is not None:
            raise self.list_fails
        return list(self.deleted if deleted else [*self.listed, *self.active])

    def are_active(self, versions: Mapping[int, PackageName]) -> dict[int, bool | ApiError]:
        self.asked.update(versions)
        return {number: self.fails or any(one.id == number for one in self.active) for number in versions}

    # the registry

    def tag_digest(self, name: PackageName, tag: str) -> str | None:
        self._answer()
        return self.digest

    # the writer

    def delete_version(self, name: PackageName, version_id: int, permit: object = None) -> None:
        self.writes.append(("delete", name, version_id, permit))

    def delete_package(self, name: PackageName, permit: object = None) -> None:
        self.writes.append(("delete", name, None, permit))

    def restore_version(self, name: PackageName, version_id: int, permit: object = None) -> None:
        self.writes.append(("restore", name, version_id, permit))

    def restore_package(self, name: PackageName, permit: object = None) -> None:
        self.writes.append(("restore", name, None, permit))


@dataclass
class Tags:
    """Stands where tags are taken away and given back."""

    shelf: Shelf

    def untag(self, write: PlannedWrite) -> None:
        self.shelf.writes.append(("untag", write.package, write.version_id, write.tag))

    def retag(self, write: PlannedWrite) -> None:
        self.shelf.writes.append(("retag", write.package, write.version_id, write.tag))

    def current(self, write: PlannedWrite) -> str | None:
        return self.shelf.tag_digest(write.package, write.tag or "")


ONE = version(1, of=IMAGE, name="sha256:a", tags=("a", "b"))
TWIN = replace(ONE, id=2, tags=("b",))
DELETE = PlannedWrite.of(ONE, Action.DELETE, Reason.SELECTED)
RESTORE = PlannedWrite.of(ONE, Action.RESTORE, Reason.SELECTED)
UNTAG, RETAG = replace(DELETE, action=Action.UNTAG, tag="a"), replace(RESTORE, tag="a")
WHOLE = PlannedWrite(action=Action.DELETE, reason=Reason.SELECTED, package=IMAGE)
WHOLE_BACK = replace(WHOLE, action=Action.RESTORE)


def deletions(shelf: Shelf, on_last: OnLastVersion = OnLastVersion.KEEP, plan: Plan | None = None) -> Deletions:
    tags: Untagger = Tags(shelf)  # type: ignore[assignment]
    return Deletions(guard(plan or Plan(), Guards()), shelf, shelf, tags, on_last)  # type: ignore[arg-type]


def restorations(shelf: Shelf, *writes: PlannedWrite) -> Restorations:
    tags: Untagger = Tags(shelf)  # type: ignore[assignment]
    return Restorations(guard(Plan.of_singles(writes), Guards()), shelf, shelf, tags)  # type: ignore[arg-type]


# --- what is sent ---


@pytest.mark.parametrize(
    ("write", "sent"),
    [
        (DELETE, ("delete", IMAGE, 1, "permit")),
        (WHOLE, ("delete", IMAGE, None, "permit")),
        (UNTAG, ("untag", IMAGE, 1, "a")),
        (RESTORE, ("restore", IMAGE, 1, "permit")),
        (WHOLE_BACK, ("restore", IMAGE, None, "permit")),
        (RETAG, ("retag", IMAGE, 1, "a")),
    ],
)
def test_a_write_is_sent_as_what_it_is(write: PlannedWrite, sent: tuple[Any, ...]) -> None:
    shelf = Shelf()
    strategy = restorations(shelf) if write.action is Action.RESTORE else deletions(shelf)
    strategy.attempt(write, "permit")
    assert shelf.writes == [sent]


# --- what is not sent ---


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (Outcome.DONE, Outcome.DONE, None),
        (Outcome.DONE, Outcome.ALREADY_GONE, None),
        (Outcome.DONE, Outcome.FAILED, Outcome.FAILED),
        (Outcome.PROTECTED_BY_DOWNLOADS, Outcome.FAILED, Outcome.PROTECTED_BY_DOWNLOADS),
        (Outcome.DONE, None, Outcome.OVER_LIMIT),
        (None, Outcome.NO_PERMISSION, Outcome.NO_PERMISSION),
        (None, None, Outcome.OVER_LIMIT),
    ],
)
def test_a_part_is_deleted_only_after_all_that_it_belongs_to(
    first: Outcome | None, second: Outcome | None, expected: Outcome | None
) -> None:
    part = replace(DELETE, version_id=9, after=frozenset({1, 2}))
    records = {
        number: WriteRecord(write=replace(DELETE, version_id=number), outcome=outcome)
        for number, outcome in ((1, first), (2, second))
        if outcome is not None
    }
    answer = deletions(Shelf()).settled(part, records)
    assert (answer and answer.outcome) == expected


def test_what_is_known_to_be_refused_is_not_sent() -> None:
    refused = replace(DELETE, expected=Outcome.LAST_VERSION)
    answer = deletions(Shelf()).settled(refused, {})
    assert answer is not None
    assert answer.outcome is Outcome.LAST_VERSION
    assert "last version" in answer.message
    assert restorations(Shelf()).settled(replace(RESTORE, expected=Outcome.TAG_IN_USE), {}) == Answer(
        Outcome.TAG_IN_USE
    )


@pytest.mark.parametrize(
    ("twin", "outcome", "settled"),
    [
        (TWIN, Outcome.DONE, True),
        (TWIN, Outcome.FAILED, False),
        (replace(TWIN, name="sha256:b"), Outcome.DONE, False),
        (replace(TWIN, package=key("container", "lib")), Outcome.DONE, False),
    ],
)
def test_of_two_versions_of_one_name_the_second_is_not_restored(twin: Version, outcome: Outcome, settled: bool) -> None:
    other = PlannedWrite.of(twin, Action.RESTORE, Reason.SELECTED)
    strategy = restorations(Shelf(), other, RESTORE)
    records = {2: WriteRecord(write=other, outcome=outcome)}
    answer = strategy.settled(RESTORE, records)
    assert (answer is not None) is settled
    if answer is not None:
        assert answer == Answer(Outcome.ALREADY_ACTIVE, "version 2 of the same name is active, without the tags a")
    assert strategy.settled(RETAG, records) is None
    assert strategy.settled(RESTORE, {1: WriteRecord(write=RESTORE, outcome=Outcome.DONE)}) is None


# --- whether it happened ---


@pytest.mark.parametrize(
    ("write", "shelf", "done"),
    [
        (DELETE, Shelf(active=[ONE]), False),
        (DELETE, Shelf(active=[TWIN]), True),
        (DELETE, Shelf(exists=False), True),
        (DELETE, Shelf(fails=error(UNREACHABLE)), None),
        (WHOLE, Shelf(), False),
        (WHOLE, Shelf(exists=False), True),
        (WHOLE, Shelf(fails=error(UNREACHABLE)), None),
        (UNTAG, Shelf(digest=None), True),
        (UNTAG, Shelf(digest="sha256:a"), False),
        (UNTAG, Shelf(digest="sha256:stub"), None),
        (UNTAG, Shelf(fails=error(UNREACHABLE)), None),
        (RESTORE, Shelf(active=[ONE]), True),
        (RESTORE, Shelf(active=[TWIN]), False),
        (RESTORE, Shelf(exists=False), False),
        (RESTORE, Shelf(fails=error(UNREACHABLE)), None),
        (WHOLE_BACK, Shelf(), True),
        (WHOLE_BACK, Shelf(exists=False), False),
        (WHOLE_BACK, Shelf(fails=error(UNREACHABLE)), None),
        (RETAG, Shelf(digest="sha256:a"), True),
        (RETAG, Shelf(digest="sha256:b"), False),
        (RETAG, Shelf(digest=None), False),
        (RETAG, Shelf(fails=error(UNREACHABLE)), None),
    ],
)
def test_whether_a_write_without_an_answer_happened_is_looked_up(
    write: PlannedWrite, shelf: Shelf, done: bool | None
) -> None:
    strategy = restorations(shelf) if write.action is Action.RESTORE else deletions(shelf)
    assert strategy.is_done(write) is done


# --- what an error means ---

FAIL, KEEP = OnLastVersion.FAIL, OnLastVersion.KEEP


@pytest.mark.parametrize(
    ("write", "what", "shelf", "on_last", "expected"),
    [
        (DELETE, error(ApiErrorKind.PROTECTED_BY_DOWNLOADS), Shelf(), KEEP, Outcome.PROTECTED_BY_DOWNLOADS),
        (DELETE, error(ApiErrorKind.NO_PERMISSION), Shelf(), KEEP, Outcome.NO_PERMISSION),
        (DELETE, error(ApiErrorKind.OTHER), Shelf(), KEEP, Outcome.FAILED),
        (DELETE, error(ApiErrorKind.LAST_VERSION), Shelf(), KEEP, Outcome.LAST_VERSION),
        (DELETE, error(ApiErrorKind.LAST_VERSION), Shelf(), OnLastVersion.DELETE_PACKAGE, Outcome.LAST_VERSION),
        (DELETE, error(ApiErrorKind.LAST_VERSION), Shelf(), FAIL, Outcome.FAILED),
        (DELETE, error(ApiErrorKind.OTHER), Shelf(), FAIL, Outcome.FAILED),
        (DELETE, error(ApiErrorKind.PROTECTED_BY_DOWNLOADS), Shelf(), FAIL, Outcome.PROTECTED_BY_DOWNLOADS),
        # not found: gone, or there and hidden
        (DELETE, error(NOT_FOUND), Shelf(), KEEP, Outcome.ALREADY_GONE),
        (DELETE, error(NOT_FOUND, sent_before=True), Shelf(), KEEP, Outcome.DONE),
        (DELETE, error(NOT_FOUND), Shelf(active=[ONE]), KEEP, Outcome.NO_PERMISSION),
        (DELETE, error(NOT_FOUND, sent_before=True), Shelf(active=[ONE]), KEEP, Outcome.NO_PERMISSION),
        (WHOLE, error(NOT_FOUND), Shelf(exists=False), KEEP, Outcome.ALREADY_GONE),
        (WHOLE, error(NOT_FOUND), Shelf(), KEEP, Outcome.NO_PERMISSION),
        (UNTAG, error(NOT_FOUND), Shelf(), KEEP, Outcome.NO_PERMISSION),
        (UNTAG, error(ApiErrorKind.CHANGED), Shelf(), KEEP, Outcome.CHANGED_SINCE_PLAN),
    ],
)
def test_what_an_error_means_for_a_deletion(
    write: PlannedWrite, what: ApiError, shelf: Shelf, on_last: OnLastVersion, expected: Outcome
) -> None:
    answer = deletions(shelf, on_last).meaning(write, what)
    assert (answer.outcome, answer.certain) == (expected, True)


@pytest.mark.parametrize(
    ("write", "what", "shelf", "expected", "text"),
    [
        (RESTORE, ApiErrorKind.CHANGED, Shelf(), Outcome.TAG_IN_USE, "no"),
        (RESTORE, ApiErrorKind.ALREADY_EXISTS, Shelf(active=[ONE]), Outcome.ALREADY_ACTIVE, ""),
        (RESTORE, ApiErrorKind.ALREADY_EXISTS, Shelf(active=[TWIN]), Outcome.ALREADY_ACTIVE, "without the tags a"),
        (RESTORE, ApiErrorKind.ALREADY_EXISTS, Shelf(), Outcome.FAILED, "nothing active that has the name"),
        (
            RESTORE,
            ApiErrorKind.ALREADY_EXISTS,
            Shelf(active=[replace(TWIN, name="sha256:b")]),
            Outcome.FAILED,
            "nothing active that has the name",
        ),
        (
            RESTORE,
            ApiErrorKind.ALREADY_EXISTS,
            Shelf(listed=[TWIN]),
            Outcome.FAILED,
            "nothing active that has the name",
        ),
        (WHOLE_BACK, ApiErrorKind.ALREADY_EXISTS, Shelf(), Outcome.ALREADY_ACTIVE, ""),
        (WHOLE_BACK, ApiErrorKind.ALREADY_EXISTS, Shelf(exists=False), Outcome.FAILED, "nothing active"),
        (RESTORE, ApiErrorKind.OTHER, Shelf(active=[ONE]), Outcome.ALREADY_ACTIVE, ""),
        (RESTORE, ApiErrorKind.OTHER, Shelf(), Outcome.FAILED, "no"),
        (WHOLE_BACK, ApiErrorKind.OTHER, Shelf(), Outcome.FAILED, "no"),
        (RETAG, ApiErrorKind.OTHER, Shelf(active=[ONE]), Outcome.FAILED, "no"),
        (RESTORE, NOT_FOUND, Shelf(active=[ONE]), Outcome.ALREADY_ACTIVE, ""),
        (RESTORE, NOT_FOUND, Shelf(deleted=[ONE]), Outcome.NO_PERMISSION, "may read but not"),
        (RESTORE, NOT_FOUND, Shelf(deleted=[TWIN]), Outcome.ALREADY_GONE, ""),
        (RESTORE, NOT_FOUND, Shelf(), Outcome.ALREADY_GONE, ""),
        (RESTORE, NOT_FOUND, Shelf(exists=False), Outcome.ALREADY_GONE, "the whole package is gone"),
        (WHOLE_BACK, NOT_FOUND, Shelf(exists=False), Outcome.ALREADY_GONE, ""),
        (WHOLE_BACK, NOT_FOUND, Shelf(), Outcome.ALREADY_ACTIVE, ""),
        (RETAG, NOT_FOUND, Shelf(active=[ONE]), Outcome.NO_PERMISSION, "no"),
        (RETAG, NOT_FOUND, Shelf(), Outcome.FAILED, "no"),
        (RESTORE, ApiErrorKind.NO_PERMISSION, Shelf(active=[ONE]), Outcome.NO_PERMISSION, "no"),
    ],
)
def test_what_an_error_means_for_a_restoration(
    write: PlannedWrite, what: ApiErrorKind, shelf: Shelf, expected: Outcome, text: str
) -> None:
    answer = restorations(shelf).meaning(write, error(what))
    assert answer.outcome is expected
    assert text in answer.message
    if expected is Outcome.ALREADY_ACTIVE and not text:
        # an earlier try lost its answer, so it was this run that restored it
        lost = error(what, sent_before=True)
        assert restorations(shelf).meaning(write, lost).outcome is Outcome.DONE


@pytest.mark.parametrize("write", [DELETE, WHOLE, RESTORE, WHOLE_BACK])
def test_a_second_look_that_fails_says_nothing(write: PlannedWrite) -> None:
    shelf = Shelf(fails=error(UNREACHABLE))
    strategy = restorations(shelf) if write.action is Action.RESTORE else deletions(shelf)
    with pytest.raises(ApiError):
        strategy.meaning(write, error(NOT_FOUND))


def test_a_version_is_not_gone_for_good_when_the_deleted_ones_cannot_be_listed() -> None:
    shelf = Shelf(list_fails=error(UNREACHABLE))
    with pytest.raises(ApiError) as raised:
        restorations(shelf).meaning(RESTORE, error(NOT_FOUND))
    assert raised.value.kind is UNREACHABLE


# --- lists that may be outdated ---


def test_versions_with_an_id_a_name_or_a_tag_are_looked_up_and_the_others_taken_from_the_list() -> None:
    listed = [version(number, of=IMAGE, tags=(f"v{number}", "x")) for number in range(1, 8)]
    wanted: dict[str, Any] = {"ids": {1, 2}, "names": {"1.0.3", "1.0.4"}, "tags": {"v5", "v6", "v0"}}
    shelf = Shelf(active=[listed[place] for place in (0, 2, 4)])
    assert [each.id for each in still_active(listed, shelf, **wanted)] == [1, 3, 5, 7]  # type: ignore[arg-type]
    assert shelf.asked == {1, 2, 3, 4, 5, 6}
    with pytest.raises(ApiError):
        still_active(listed, Shelf(fails=error(UNREACHABLE)), **wanted)  # type: ignore[arg-type]


def test_a_part_is_kept_for_the_reason_of_the_first_that_stays() -> None:
    part = replace(DELETE, version_id=9, after=frozenset({8, 1}))
    records = {
        number: WriteRecord(write=replace(DELETE, version_id=number), outcome=outcome)
        for number, outcome in ((8, Outcome.FAILED), (1, Outcome.LAST_VERSION))
    }
    answer = deletions(Shelf()).settled(part, records)
    assert answer == Answer(Outcome.LAST_VERSION, "stays, since what it belongs to is still there")


# --- in which order ---


def images(number: int, size: int, listed: int) -> Plan:
    """Images of one root and its parts, in packages with so many versions."""
    groups = []
    for root in range(1, number * size, size):
        parts = range(root + 1, root + size)
        groups.append(
            tuple(
                replace(DELETE, version_id=each, after=frozenset({root} if each != root else ()))
                for each in (root, *parts)
            )
        )
    return Plan(
        groups=tuple(groups), decisions=(Decision(version=ONE, action=Action.DELETE, reason=Reason.SELECTED),) * listed
    )


def first_round(plan: Plan, room: float = inf) -> int:
    """How many images are in the first round of deletions."""
    guarded = guard(plan, Guards())
    batches = deletions(Shelf(), plan=plan).batches(guarded.now, guarded.groups_of_now(), lambda: room)
    return len(next(batches).places)


@pytest.mark.parametrize(("listed", "number"), [(0, 250), (2500, 250), (3000, 300)])
def test_a_round_has_500_deletions_or_a_fifth_of_what_is_listed(listed: int, number: int) -> None:
    assert first_round(images(310, 2, listed)) == number


@pytest.mark.parametrize(("listed", "room", "number"), [(0, 9, 1), (0, 10, 2), (200, 11, 1), (200, 12, 2)])
def test_time_is_left_to_read_the_lists_again(listed: int, room: int, number: int) -> None:
    assert first_round(images(5, 4, listed), room) == number


def test_versions_are_deleted_before_packages_and_those_before_tags() -> None:
    part = replace(DELETE, version_id=2, after=frozenset({1}))
    plan = Plan(groups=((UNTAG,), (WHOLE,), (DELETE, part)))
    batches = deletions(Shelf(), plan=plan).batches(plan.writes, [0, 1, 2, 2], lambda: inf)
    found = [(list(batch.places), batch.needs_look) for batch in batches]
    assert found == [([2], False), ([3], True), ([1], False), ([0], False)]
