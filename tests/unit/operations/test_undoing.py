"""What `undo` plans for the entries of a receipt, in which order, and what it leaves behind when something fails."""

from __future__ import annotations

from datetime import timedelta
from math import inf
from typing import Any

import pytest
from msgspec.structs import replace

from package_keeper.errors import Cancelled, NotAuthorized
from package_keeper.execution.receipt import ReceiptEntry
from package_keeper.model.manifest import stubs
from package_keeper.model.packages import PackageName, Version
from package_keeper.model.plan import GuardedPlan, PlannedWrite, WriteKind
from package_keeper.model.run import Run
from package_keeper.operations.undo import plan_undo, undo
from tests.unit.making import NOW, key, version
from tests.unit.operations.account import APP, Account, Ran, digest, forbidden, image, unauthorized

LIB = key("npm", "lib")


@pytest.fixture
def account() -> Account:
    return Account()


def entry(of: Version, **more: Any) -> ReceiptEntry:
    """The entry of a deletion. Without a place, entries follow each other by their ids."""
    fields: dict[str, Any] = {
        "kind": WriteKind.VERSION,
        "package": of.package,
        "version_id": of.id,
        "name": of.name,
        "tags": of.tags,
        "tag": None,
        "certain": True,
        "began": 2 * of.id,
        "ended": 2 * of.id + 1,
    }
    return ReceiptEntry(**fields | more)


def entries_of(*versions: Version, root: Version | None = None) -> list[ReceiptEntry]:
    return [entry(each, root=root.name if root is not None and each is not root else None) for each in versions]


def package_entry(package: PackageName, **more: Any) -> ReceiptEntry:
    return entry(version(1, of=package), kind=WriteKind.PACKAGE, version_id=None, name=package.name, **more)


def tag_entry(of: Version, tag: str) -> ReceiptEntry:
    return entry(of, kind=WriteKind.TAG, tag=tag)


def told(write: PlannedWrite) -> tuple[object, ...]:
    """What is restored: a package, a version, or a tag and the version that gets it."""
    if write.kind is WriteKind.PACKAGE:
        return (str(write.package),)
    return (write.version_id,) if write.tag is None else (write.tag, write.version_id)


def planned(account: Account, entries: list[ReceiptEntry]) -> list[tuple[object, ...]]:
    return [told(write) for write in plan_undo(account, entries).plan.writes]


def order(account: Account, entries: list[ReceiptEntry]) -> dict[int | None, set[int]]:
    """Which versions each version waits for."""
    return {write.version_id: set(write.after) for write in plan_undo(account, entries).plan.writes}


def expectations(account: Account, entries: list[ReceiptEntry]) -> dict[object, str | None]:
    return {
        write.version_id or write.package.name: write.expected and write.expected.value
        for write in plan_undo(account, entries).plan.writes
        if write.tag is None
    }


# --- the order ---


def test_packages_come_first_then_versions_from_the_last_then_tags(account: Account) -> None:
    account.add(APP, image(1, "v1"), image(2), image(3, "v3", active=True))
    account.add(LIB)
    account.remove(LIB)
    entries = [
        tag_entry(image(3), "b"),
        entry(image(1, "v1")),
        tag_entry(image(3), "a"),
        entry(image(2)),
        package_entry(LIB),
    ]
    assert planned(account, entries) == [("npm/lib",), (2,), (1,), ("a", 3), ("b", 3)]
    for write in plan_undo(account, entries).plan.writes:
        assert (write.action, write.reason) == ("restore", "receipt")


def test_a_version_waits_for_what_was_deleted_after_its_deletion_was_confirmed(account: Account) -> None:
    versions = [image(number) for number in range(1, 6)]
    account.add(APP, *versions)
    began_and_ended = [(1, 2), (3, 6), (4, 5), (7, 8), (9, inf)]
    entries = [
        entry(each, began=began, ended=ended) for each, (began, ended) in zip(versions, began_and_ended, strict=True)
    ]
    assert order(account, entries) == {1: {2, 3}, 2: {4}, 3: {4}, 4: {5}, 5: set()}
    # the order of the lines says it, not that of the entries
    assert order(account, entries[::-1]) == order(account, entries)


def test_a_root_waits_for_the_parts_that_name_it_whenever_they_were_deleted(account: Account) -> None:
    root, part, other = image(1, "v1"), image(2), image(3, "v3")
    account.add(APP, root, part, other)
    entries = [
        entry(root, began=1, ended=9),
        entry(part, root=root.name, began=2, ended=8),
        entry(other, began=3, ended=7),
    ]
    assert order(account, entries) == {1: {2}, 2: set(), 3: set()}


def test_packages_of_one_receipt_do_not_wait_for_each_other(account: Account) -> None:
    first, second = image(1, "v1"), image(2, of=key("container", "web"))
    account.add(APP, first)
    account.add(second.package, second)
    assert order(account, [entry(first), entry(second, root=first.name)]) == {1: set(), 2: set()}


# --- what is there already ---


def test_a_package_that_exists_is_expected_to_be_active(account: Account) -> None:
    account.add(LIB, created_at=NOW)
    account.add(APP)
    account.remove(APP)
    entries = [package_entry(LIB, at=NOW), package_entry(APP, at=NOW)]
    assert expectations(account, entries) == {"lib": "already-active", "app": None}


@pytest.mark.parametrize("days", [-1, 0])
def test_a_new_package_of_the_same_name_stops_only_its_own_restoration(account: Account, days: int) -> None:
    account.add(APP, image(1))
    account.add(LIB, created_at=NOW)
    planned = plan_undo(account, [package_entry(LIB, at=NOW + timedelta(days=days)), entry(image(1))])
    assert [told(write) for write in planned.plan.writes] == ([("npm/lib",)] if days == 0 else []) + [(1,)]
    assert [problem.what for problem in planned.scope.problems] == ([] if days == 0 else ["npm/lib"])
    if days:
        assert "since 2026-06-15 12:00 UTC: rename or delete that one first" in str(planned.scope.problems[0].error)


def test_a_package_whose_times_are_unknown_is_taken_for_the_one_that_was_deleted(account: Account) -> None:
    account.add(LIB)
    account.add(APP, created_at=NOW)
    entries = [package_entry(LIB, at=NOW - timedelta(days=9)), package_entry(APP)]
    assert expectations(account, entries) == {"lib": "already-active", "app": "already-active"}


def test_versions_of_a_package_that_is_older_than_their_deletion_are_its_own(account: Account) -> None:
    account.add(APP, image(1), created_at=NOW)
    assert planned(account, [entry(image(1), at=NOW - timedelta(days=9))]) == [(1,)]


def test_the_scope_has_the_packages_that_exist_and_what_cannot_be_read(account: Account) -> None:
    web = account.add(key("container", "web"), image(3, of=key("container", "web")))
    account.add(APP, image(1))
    account.add(LIB)
    account.remove(LIB)
    account.failing[f"deleted {web}"] = forbidden()
    planned = plan_undo(account, [package_entry(LIB), entry(image(3, of=web)), entry(image(1))])
    assert [package.key for package in planned.scope.packages] == [APP]
    assert [problem.what for problem in planned.scope.problems] == [str(web)]
    assert [told(write) for write in planned.plan.writes] == [("npm/lib",), (1,)]
    assert planned.deleted == {APP: [image(1)]}


def test_a_token_that_is_not_accepted_ends_the_run_before_any_write(account: Account) -> None:
    account.add(LIB, version(7, of=LIB, deleted_at=NOW))
    account.add(APP, image(1))
    account.failing[f"package {APP}"] = unauthorized()
    ran = Ran(undo, account, entries=[entry(version(7, of=LIB)), entry(image(1))], operation="restore")
    assert isinstance(ran.ended, NotAuthorized)
    assert (account.writes, len(ran.runs)) == ([], 1)


def test_a_version_that_an_outdated_list_shows_as_active_is_restored_with_its_tags(account: Account) -> None:
    account.add(APP, image(1, "v1"), image(2))
    account.late = {1}
    entries = entries_of(image(1, "v1"), image(2))
    assert expectations(account, entries) == {1: None, 2: None}
    assert planned(account, entries) == [(2,), (1,)]


def test_a_version_that_is_active_is_not_restored_nor_are_its_tags_moved(account: Account) -> None:
    active = image(1, "v1", active=True)
    account.add(APP, active, image(2))
    entries = entries_of(image(1, "v1", "old"), image(2))
    assert expectations(account, entries) == {1: "already-active", 2: None}
    assert planned(account, entries) == [(2,), (1,)]


def test_no_version_is_asked_for_because_a_tag_of_it_was_taken(account: Account) -> None:
    account.add(APP, image(1), image(2, "v2", active=True))
    plan_undo(account, [entry(image(1)), tag_entry(image(2), "old")])
    assert [each for each in account.asked if each.startswith("version")] == []


# --- versions of one digest ---


def test_the_active_version_of_a_digest_gets_the_tags_that_nothing_has_by_now(account: Account) -> None:
    account.add(APP, image(1, "a", "b", "c"), image(2, "b", name=1, active=True), image(3, "c", active=True))
    entries = [entry(image(1, "a", "b", "c"), root=digest(7))]
    assert expectations(account, entries)[1] == "already-active"
    assert planned(account, entries) == [(1,), ("a", 2)]
    (_, tag) = plan_undo(account, entries).plan.writes
    assert (tag.version_name, tag.root) == (digest(1), None)


def test_a_package_without_tags_gets_none_back(account: Account) -> None:
    docker = key("docker")
    account.add(docker, image(1, "a", of=docker), image(2, name=1, of=docker, active=True))
    assert planned(account, entries_of(image(1, "a", of=docker))) == [(1,)]


def test_of_several_versions_of_a_digest_the_tagged_one_comes_first_and_gets_all_tags(account: Account) -> None:
    versions = [image(1, "a", "b", name=9), image(2, name=9), image(3, "b", "c", name=9), image(4, name=9)]
    account.add(APP, *versions, image(5, "c", active=True))
    entries = entries_of(*versions)
    assert planned(account, entries) == [(3,), (1,), (2,), (4,), ("a", 3)]
    assert order(account, entries)[1] == order(account, entries)[2] == order(account, entries)[4] == {3}
    assert expectations(account, entries)[1] is None


def test_twins_of_an_active_digest_are_all_expected_to_be_active(account: Account) -> None:
    account.add(APP, image(1, "a", name=9), image(2, "b", name=9), image(3, name=9, active=True))
    entries = entries_of(image(1, "a", name=9), image(2, "b", name=9))
    assert expectations(account, entries) == {1: "already-active", 2: "already-active"}
    assert planned(account, entries) == [(2,), (1,), ("b", 3), ("a", 3)]


def test_an_image_that_gets_only_the_tag_of_a_twin_back_is_made_whole(account: Account) -> None:
    versions = [image(1, "a", name=9), image(2, "b", name=9), image(4)]
    account.add(APP, *versions, image(3, name=9, active=True), image(5, "b", active=True))
    account.index(9, 4)
    ran = Ran(undo, account, entries=entries_of(*versions[:2]), operation="restore")
    assert account.writes == ["restore 4", "put a"]
    assert (account.left(APP), ran.run.broken) == ([3, 4, 5], 0)


def test_a_root_waits_for_every_version_of_its_parts(account: Account) -> None:
    root, part, twin = image(1, "v1"), image(2), image(3, name=2)
    account.add(APP, root, part, twin)
    entries = [
        entry(root),
        entry(twin, root=root.name, began=4, ended=5),
        entry(part, root=root.name, began=6, ended=7),
    ]
    assert planned(account, entries) == [(2,), (3,), (1,)]
    assert order(account, entries) == {1: {2, 3}, 2: set(), 3: {2}}


def test_versions_of_one_name_in_two_packages_are_no_twins(account: Account) -> None:
    web = key("container", "web")
    account.add(APP, image(1, "a", name=9))
    account.add(web, image(2, "b", name=9, of=web))
    assert planned(account, entries_of(image(1, "a", name=9), image(2, "b", name=9, of=web))) == [(2,), (1,)]


def test_a_version_is_planned_as_github_lists_it_and_else_as_the_receipt_has_it(account: Account) -> None:
    listed = image(1, "v1")
    account.add(APP, listed)
    first, second = plan_undo(account, entries_of(image(2, "old"), image(1))).plan.writes
    assert (first.version, first.version_id, first.tags) == (listed, 1, ())
    assert (second.version, second.version_id, second.version_name, second.tags) == (None, 2, digest(2), ("old",))


# --- which entries count ---


def test_only_entries_of_packages_and_types_in_scope_are_taken_back(account: Account) -> None:
    web, npm = key("container", "web"), key("npm", "app")
    entries = [entry(image(1)), entry(image(2, of=web)), entry(version(3, of=npm))]
    account.add(APP, image(1))
    account.add(web, image(2, of=web))
    account.add(npm, version(3, of=npm, deleted_at=NOW))
    Ran(undo, account, entries=entries, operation="restore", package="app", package_type="npm")
    assert account.writes == ["restore 3"]
    Ran(undo, account, entries=entries, operation="restore", package="app")
    assert account.writes == ["restore 3", "restore 1"]
    Ran(undo, account, entries=entries, operation="restore")
    assert account.writes == ["restore 3", "restore 1", "restore 2"]


def test_an_exclusion_that_no_entry_has_is_warned_about(account: Account) -> None:
    account.add(key("npm", "Acme/App"))
    entries = [entry(version(1, of=key("npm", "Acme/App")))]
    ran = Ran(undo, account, entries=entries, operation="restore", package="*,!app,!lib", dry_run="true")
    assert ran.log.of("warning") == [
        "warning: package: '!lib' excludes nothing: no package that was looked at has such a name"
    ]


def test_damage_of_the_receipt_is_warned_about(account: Account) -> None:
    account.add(APP, image(1))
    for damaged, warnings in (((), 0), ((3,), 1)):
        ran = Ran(undo, account, entries=[entry(image(1))], damaged=damaged, operation="restore", dry_run="true")
        assert len(ran.log.of("warning")) == warnings


def test_stubs_stay_deleted_and_are_named(account: Account) -> None:
    names = list(stubs("old"))[:2]
    versions = [image(1, "old"), *(replace(image(2 + place, "old"), name=name) for place, name in enumerate(names))]
    account.add(APP, *versions)
    ran = Ran(undo, account, entries=entries_of(*versions), operation="restore")
    assert account.writes == ["restore 1"]
    assert ran.log.of("warning") == [
        "warning: undo: empty manifests by which untagging took tags away stay deleted (ids 2, 3)"
    ]
    assert Ran(undo, account, entries=entries_of(image(1, "old")), operation="restore").log.of("warning") == []


# --- what is carried out ---


def an_image(account: Account) -> list[Version]:
    """A deleted image of two parts. A receipt tells of the root and one part."""
    versions = [image(1, "v1"), image(2), image(3)]
    account.add(APP, *versions, image(9, "keep", active=True))
    account.index(1, 2, 3)
    return versions


def test_an_image_comes_back_with_the_part_that_the_receipt_does_not_tell_of(account: Account) -> None:
    root, part, _ = an_image(account)
    ran = Ran(undo, account, entries=entries_of(root, part, root=root), operation="restore")
    assert account.left(APP) == [1, 2, 3, 9]
    assert account.writes == ["restore 2", "restore 1", "restore 3"]
    assert [len(run.records) for run in ran.runs] == [0, 0, 2, 3, 3, 3]
    assert ran.run.broken == 0
    assert ran.log.of("info: 2 of 2") == ["info: 2 of 2 planned writes in this run"]
    assert [write.version_id for write in ran.run.plan.writes] == [2, 1, 3]


def test_an_image_lacks_what_the_receipt_calls_its_part_and_what_is_gone_for_good(account: Account) -> None:
    root, referrer = image(1, "v1"), image(2)
    account.add(APP, root)
    ran = Ran(undo, account, entries=entries_of(root, referrer, root=root), operation="restore")
    assert (ran.outcomes, ran.run.broken) == ([(2, "already-gone"), (1, "done")], 1)
    (error,) = ran.log.of("error")
    assert error.startswith("error: container/app sha256:000100000000 [v1] is back, but it is not whole: it lacks")


def test_a_dry_run_shows_the_plan_with_its_checks_and_writes_nothing(account: Account) -> None:
    root, part, _ = an_image(account)
    ran = Ran(undo, account, entries=entries_of(root, part, root=root), operation="restore", dry_run="true")
    assert (account.writes, ran.ended) == ([], None)
    assert [write.version_id for write in ran.run.plan.writes] == [2, 1]
    assert [check.problems for check in ran.run.checks or ()] == [()]


def test_nothing_is_sent_and_nothing_looked_at_for_an_empty_receipt(account: Account) -> None:
    ran = Ran(undo, account, entries=[], operation="restore")
    assert (ran.run.records, account.writes, account.asked, ran.ended) == ((), [], [], None)
    assert ran.log.said == []


def test_who_declines_sees_the_plan_and_nothing_is_written(account: Account) -> None:
    def decline(run: Run, guarded: GuardedPlan) -> None:
        assert len(run.plan.writes) == len(guarded.now) == 1
        raise Cancelled

    account.add(APP, image(1))
    ran = Ran(undo, account, entries=[entry(image(1))], operation="restore", confirm=decline)
    assert isinstance(ran.ended, Cancelled)
    assert (account.writes, len(ran.run.plan.writes)) == ([], 1)


def with_a_stub(account: Account) -> tuple[Version, list[ReceiptEntry]]:
    """A deleted version that proves to be a stub, and an image that lost a tag."""
    stub, kept = image(1, "odd"), image(9, "keep", active=True)
    account.add(APP, stub, kept)
    account.stub(1)
    return kept, [entry(stub), tag_entry(kept, "lost")]


def test_a_stub_that_came_back_goes_again_before_tags_are_given_back(account: Account) -> None:
    _, entries = with_a_stub(account)
    ran = Ran(undo, account, entries=entries, operation="restore")
    assert account.writes == ["restore 1", "delete 1", "put lost"]
    assert account.left(APP) == [9]
    assert [len(run.records) for run in ran.runs] == [0, 0, 1, 1, 2, 3]
    (warning,) = ran.log.of("warning")
    assert warning.startswith("warning: container/app: what was restored is deleted again: 1 version is an empty")


def test_what_was_restored_before_a_defect_is_in_the_run(account: Account) -> None:
    _, entries = with_a_stub(account)
    account.then["restore 1"] = lambda: account.failing.update({f"manifest {digest(1)}": RuntimeError("a defect")})
    ran = Ran(undo, account, entries=entries, operation="restore")
    assert str(ran.ended) == "a defect"
    assert ran.outcomes == [(1, "done")]


def test_a_run_that_ends_early_sends_nothing_more(account: Account) -> None:
    account.add(APP, image(1), image(2), image(9, "keep", active=True))
    account.then["restore 2"] = lambda: account.failing.update({"restore 1": Cancelled()})
    entries = [entry(image(1)), entry(image(2)), *(tag_entry(image(9, "keep", active=True), tag) for tag in "abc")]
    ran = Ran(undo, account, entries=entries, operation="restore", limit="4")
    assert account.writes == ["restore 2"]
    assert ran.outcomes[-3:] == [("c", "out-of-time"), ("b", "out-of-time"), ("a", "over-limit")]
    assert isinstance(ran.run.ended_by, Cancelled)
