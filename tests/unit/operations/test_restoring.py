"""What `restore` brings back, how it makes images whole, and what it leaves when it ends early."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from package_keeper.errors import Cancelled, NotAuthorized, Unreachable
from package_keeper.execution.receipt import ReceiptEntry
from package_keeper.model.packages import Version
from package_keeper.model.plan import GuardedPlan, WriteKind
from package_keeper.model.run import Run
from package_keeper.operations.restore import restore
from package_keeper.operations.undo import undo
from tests.unit.making import key, version
from tests.unit.operations.account import APP, Account, Ran, digest, forbidden, image, unauthorized

WEB = key("container", "web")
LIB = key("npm", "lib")
NOT_LOOKED_FOR = "images are restored whose parts were not looked for any more: repair restores them"


@pytest.fixture
def account() -> Account:
    return Account()


def restored(account: Account, **inputs: Any) -> Ran:
    given: dict[str, Any] = {"operation": "restore", "package": "*", "tags": "v*"} | inputs
    return Ran(restore, account, **given)


def entry(of: Version, **more: Any) -> ReceiptEntry:
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


def undone(account: Account, *entries: Version | ReceiptEntry, **inputs: Any) -> Ran:
    """Undo a receipt with these entries, or the deletions of these versions."""
    told = [entry(each) if isinstance(each, Version) else each for each in entries]
    return Ran(undo, account, entries=told, operation="restore", **inputs)


def an_image(account: Account) -> None:
    """A deleted image of two parts, one of which is an index with a part of its own."""
    account.add(APP, image(1, "v1"), image(2), image(3), image(4), image(9, "keep", active=True))
    account.index(3, 4)
    account.index(1, 2, 3)


# --- restore ---


def test_an_image_comes_back_with_all_its_parts(account: Account) -> None:
    an_image(account)
    ran = restored(account)
    assert account.left(APP) == [1, 2, 3, 4, 9]
    assert (ran.run.broken, ran.ended) == (0, None)
    assert [len(run.records) for run in ran.runs] == [0, 0, 0, 0, 1, 4, 4]
    assert [len(run.plan.writes) for run in ran.runs] == [0, 0, 1, 1, 1, 4, 4]
    assert [len(run.scope.packages) for run in ran.runs] == [1] * 7
    assert (ran.runs[2].checks, len(ran.runs[3].checks or ())) == (None, 1)
    assert ran.log.said == [
        "info: container/app: 3 keep not-selected, 1 restore selected",
        "info: 1 of 1 planned writes in this run",
    ]


def test_raw_versions_come_back_alone(account: Account) -> None:
    an_image(account)
    restored(account, tags="", version_ids="1", images="raw")
    assert account.left(APP) == [1, 9]


def test_a_dry_run_shows_the_plan_and_writes_nothing(account: Account) -> None:
    an_image(account)
    ran = restored(account, dry_run="true")
    assert (account.writes, ran.ended, len(ran.run.plan.writes)) == ([], None, 1)


def test_who_declines_sees_the_plan_and_nothing_is_written(account: Account) -> None:
    def decline(run: Run, guarded: GuardedPlan) -> None:
        raise Cancelled

    an_image(account)
    ran = restored(account, confirm=decline)
    assert (account.writes, len(ran.run.plan.writes)) == ([], 1)


def test_nobody_is_asked_when_there_is_nothing_to_write(account: Account) -> None:
    def decline(run: Run, guarded: GuardedPlan) -> None:
        raise AssertionError

    an_image(account)
    assert restored(account, confirm=decline, tags="w*").ended is None
    assert restored(account, confirm=decline, dry_run="true").ended is None


def test_what_cannot_be_read_is_a_problem_of_its_package(account: Account) -> None:
    account.add(APP, image(1, "v1"))
    account.add(WEB, image(2, "v1", of=WEB))
    account.failing[f"active {WEB}"] = forbidden()
    ran = restored(account)
    assert (account.left(APP), account.left(WEB)) == ([1], [])
    assert [problem.what for problem in ran.run.scope.problems] == ["the active versions of container/web"]


def test_a_token_that_is_not_accepted_ends_the_run_with_the_plan_so_far(account: Account) -> None:
    account.add(APP, image(1, "v1"))
    account.add(WEB, image(2, "v1", of=WEB))
    account.failing[f"active {WEB}"] = unauthorized()
    ran = restored(account)
    assert isinstance(ran.ended, NotAuthorized)
    assert (account.writes, [write.version_id for write in ran.run.plan.writes]) == ([], [1])


def test_unknown_tags_keep_versions_deleted_and_are_warned_about(account: Account) -> None:
    an_image(account)
    account.deleted[APP][1] = replace(image(1), tags_known=False)
    ran = restored(account)
    assert account.left(APP) == [9]
    assert len(ran.log.of("warning: 1 versions are not restored, since GitHub does not tell which tags")) == 1


def test_after_five_minutes_lists_are_read_again_before_the_next_write(account: Account) -> None:
    versions = [version(number, of=LIB, name=f"v{number}") for number in (1, 2, 3)]
    account.add(LIB, *(replace(each, deleted_at=each.created_at) for each in versions))
    account.write_takes = 400
    # the next one is deleted for good meanwhile
    account.then["restore 3"] = lambda: account.deleted[LIB].pop(2)
    ran = restored(account, package_type="npm", tags="", versions="*", limit="2")
    assert ran.outcomes == [(3, "done"), (2, "changed-since-plan"), (1, "over-limit")]
    assert ran.log.of("info: the lists") == [
        "info: the lists are more than five minutes old; packages that are read again: 1"
    ]
    assert account.asked.count(f"deleted {LIB}") == 2


# --- parts ---


def test_what_images_of_two_packages_lack_is_restored_in_both(account: Account) -> None:
    an_image(account)
    account.add(WEB, image(11, "v1", of=WEB), image(12, of=WEB), image(13, of=WEB, active=True))
    account.add(LIB, replace(version(20, of=LIB, name="v1"), deleted_at=image(1).deleted_at))
    account.index(11, 12, 13)
    ran = undone(account, image(1, "v1"), image(11, "v1", of=WEB), version(20, of=LIB, name="v1"))
    assert (account.left(APP), account.left(WEB), account.left(LIB)) == ([1, 2, 3, 4, 9], [11, 12, 13], [20])
    assert (ran.run.broken, ran.log.of("warning", "error")) == (0, [])
    assert account.asked.count(f"deleted {APP}") == account.asked.count(f"deleted {WEB}") == 1


def test_images_that_stay_broken_are_counted_over_all_packages_and_named(account: Account) -> None:
    account.add(APP, image(1, "v1"), image(5, "v5"))
    account.add(WEB, image(11, "v1", of=WEB))
    for number in (1, 5, 11):
        account.index(number, number + 1)
    ran = undone(account, image(1, "v1"), image(5, "v5"), image(11, "v1", of=WEB))
    assert ran.run.broken == 3
    assert sorted(line.partition(" is back")[0] for line in ran.log.of("error")) == [
        "error: container/app sha256:000100000000 [v1]",
        "error: container/app sha256:000500000000 [v5]",
        "error: container/web sha256:000b00000000 [v1]",
    ]


def test_parts_that_cannot_be_looked_for_are_a_problem_and_other_packages_go_on(account: Account) -> None:
    an_image(account)
    account.add(WEB, image(11, "v1", of=WEB), image(12, of=WEB))
    account.index(11, 12)
    account.failing[f"manifest {digest(11)}"] = forbidden()
    ran = undone(account, image(1, "v1"), image(11, "v1", of=WEB))
    (problem,) = ran.run.scope.problems
    assert str(problem) == "the parts of images in container/web: Nope (HTTP 403)"
    assert account.left(APP) == [1, 2, 3, 4, 9]
    assert (account.left(WEB), ran.run.ended_by) == ([11], None)


def test_a_run_that_ends_while_it_looks_for_parts_says_what_may_be_broken(account: Account) -> None:
    an_image(account)
    account.add(WEB, image(11, "v1", of=WEB))
    account.add(key("container", "zoo"), image(21, of=key("container", "zoo"), active=True))
    account.failing[f"manifest {digest(1)}"] = Unreachable("GitHub is away")
    ran = undone(account, image(1, "v1"), image(11, "v1", of=WEB), image(21, of=key("container", "zoo")))
    assert isinstance(ran.run.ended_by, Unreachable)
    (warning,) = [line for line in ran.log.of("warning") if NOT_LOOKED_FOR in line]
    assert "container/app" in warning


def test_a_run_that_ended_before_says_which_images_may_be_broken(account: Account) -> None:
    account.add(APP, image(1, "v1"))
    account.add(WEB, image(11, "v1", of=WEB))
    account.then["restore 11"] = lambda: account.failing.update({"restore 1": Cancelled()})
    ran = undone(account, image(1, "v1"), image(11, "v1", of=WEB))
    assert account.writes == ["restore 11"]
    assert ran.log.of("warning") == [f"warning: container/web: {NOT_LOOKED_FOR}"]
    assert not [each for each in account.asked if each.startswith("manifest")]


def test_a_run_that_ends_in_a_round_of_parts_looks_no_further(account: Account) -> None:
    an_image(account)
    account.failing["restore 3"] = Cancelled()
    ran = restored(account)
    assert isinstance(ran.run.ended_by, Cancelled)
    assert account.left(APP) == [1, 2, 9]
    assert f"warning: container/app: {NOT_LOOKED_FOR}" in ran.log.said
    assert "warning: container/app: 1 restored images still lack parts: repair restores them" in ran.log.said


def test_parts_are_restored_though_the_time_is_over(account: Account) -> None:
    an_image(account)
    ran = restored(account, most=1)
    assert account.left(APP) == [1, 2, 3, 4, 9]
    assert (ran.run.broken, ran.log.of("warning")) == (0, [])


def test_a_limit_does_not_keep_parts_away(account: Account) -> None:
    an_image(account)
    assert [outcome for _, outcome in restored(account, limit="1").outcomes] == ["done"] * 4


# --- whole packages and tags ---


def test_all_images_of_a_restored_package_are_made_whole(account: Account) -> None:
    account.add(APP, image(1, "v1", active=True), image(2), image(3, "v3", active=True))
    account.add(WEB, image(11, "v1", of=WEB, active=True), image(12, of=WEB), image(13, of=WEB))
    account.index(1, 2)
    account.index(11, 12)
    account.remove(APP)
    ran = undone(account, entry(image(1), kind=WriteKind.PACKAGE, version_id=None), image(13, of=WEB))
    assert (account.left(APP), ran.run.broken) == ([1, 2, 3], 0)
    # only what the receipt names comes back in the other one
    assert account.left(WEB) == [11, 13]


def test_images_of_a_package_that_stays_deleted_are_not_looked_at(account: Account) -> None:
    account.add(APP, image(1, "v1", active=True))
    account.remove(APP)
    account.failing[f"restore {APP}"] = forbidden()
    ran = undone(account, entry(image(1), kind=WriteKind.PACKAGE, version_id=None))
    assert (ran.outcomes, ran.run.scope.problems) == ([("app", "no-permission")], ())


def test_a_restored_package_that_cannot_be_looked_at_may_be_broken(account: Account) -> None:
    account.remove(account.add(APP, image(1, "v1", active=True)))
    account.failing[f"active {APP}"] = Unreachable("GitHub is away")
    ran = undone(account, entry(image(1), kind=WriteKind.PACKAGE, version_id=None))
    assert (ran.outcomes, str(ran.run.ended_by)) == ([("app", "done")], "GitHub is away")
    assert ran.log.of("warning") == [f"warning: container/app: {NOT_LOOKED_FOR}"]


def test_an_image_that_gets_a_tag_back_is_made_whole_and_no_other(account: Account) -> None:
    account.add(APP, image(1, "v1", active=True), image(2), image(3, "v3", active=True), image(4))
    account.index(1, 2)
    account.index(3, 4)
    account.add(WEB, image(11, "v1", of=WEB, active=True), image(12, of=WEB))
    account.index(11, 12)
    tagged = [image(1, "v1"), image(11, "v1", of=WEB)]
    ran = undone(account, *(entry(each, kind=WriteKind.TAG, tag="old") for each in tagged))
    assert (account.left(APP), account.left(WEB)) == ([1, 2, 3], [11, 12])
    # once before its own image is made whole, and not for that of the other package
    assert [account.asked.count(f"version {number}") for number in (1, 11)] == [1, 1]
    assert ran.run.broken == 0


def test_stubs_go_again_though_the_time_is_over_and_what_ended_the_run_is_kept(account: Account) -> None:
    account.add(APP, image(1, "v1"), image(9, "keep", active=True))
    account.stub(1)
    ran = restored(account, most=1)
    assert (account.writes, account.left(APP)) == (["restore 1", "delete 1"], [9])
    assert [write.action for write in ran.run.plan.writes] == ["restore", "delete"]
    (warning,) = ran.log.of("warning")
    assert warning.startswith("warning: container/app: what was restored is deleted again: 1 version is an")


def test_what_ended_the_run_is_not_forgotten_when_a_stub_goes_again(account: Account) -> None:
    account.add(WEB, image(11, "v1", of=WEB))
    account.add(APP, image(1, "v1"))
    account.stub(11)
    account.failing[f"manifest {digest(1)}"] = Unreachable("GitHub is away")
    ran = undone(account, image(1, "v1"), image(11, "v1", of=WEB))
    assert account.left(WEB) == []
    assert isinstance(ran.run.ended_by, Unreachable)
