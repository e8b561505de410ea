"""What `verify` finds and `repair` restores, round by round, also when lists are outdated and parts stay away."""

from __future__ import annotations

from typing import Any

import pytest

from package_keeper.errors import Cancelled, NotAuthorized
from package_keeper.model.plan import GuardedPlan
from package_keeper.model.run import Run
from package_keeper.operations.repair import repair
from package_keeper.operations.verify import verify
from tests.unit.making import key, version
from tests.unit.operations.account import APP, Account, Ran, digest, forbidden, image, unauthorized


@pytest.fixture
def account() -> Account:
    return Account()


def broken_images(account: Account) -> None:
    """Image 1 lacks part 2, and image 4 is whole."""
    account.add(APP, image(1, "v1", active=True), image(2), image(3, active=True), image(4, "v4", active=True))
    account.index(1, 2, 3)


def nested(account: Account) -> None:
    """Image 1 lacks an index, which lacks a part itself."""
    account.add(APP, image(1, "v1", active=True), image(2), image(3))
    account.index(2, 3)
    account.index(1, 2)


def verified(account: Account, **inputs: Any) -> Ran:
    return Ran(verify, account, operation="verify", dry_run="true", **inputs)


def repaired(account: Account, **inputs: Any) -> Ran:
    return Ran(repair, account, operation="repair", package="*", **inputs)


# --- verify ---


def test_images_that_lack_a_part_are_broken_and_named_as_errors(account: Account) -> None:
    broken_images(account)
    ran = verified(account)
    assert (ran.run.broken, [each.root.id for each in ran.run.verified]) == (1, [1, 4])
    (error,) = ran.log.said
    assert error.startswith("error: container/app sha256:000100000000 [v1] misses sha256:000200000000: ")
    assert error.endswith("it can be restored until 2026-07-15 12:00 UTC (operation repair)")


def test_each_step_of_a_verification_is_in_the_run(account: Account) -> None:
    broken_images(account)
    ran = verified(account)
    assert [len(run.scope.packages) for run in ran.runs] == [1, 1, 1]
    assert [len(run.verified) for run in ran.runs] == [0, 0, 2]


def test_a_package_that_cannot_be_verified_is_a_problem_and_the_others_go_on(account: Account) -> None:
    broken_images(account)
    web = key("container", "web")
    account.add(web, image(7, "w", of=web, active=True))
    account.failing[f"manifest {digest(7)}"] = forbidden()
    ran = verified(account)
    assert [(problem.what, problem.package) for problem in ran.run.scope.problems] == [("container/web", web)]
    assert ran.run.broken == 1


def test_a_token_that_is_not_accepted_ends_the_verification_with_what_was_found(account: Account) -> None:
    broken_images(account)
    web = key("container", "web")
    account.add(web, image(7, "w", of=web, active=True))
    account.failing[f"manifest {digest(7)}"] = unauthorized()
    ran = verified(account)
    assert isinstance(ran.ended, NotAuthorized)
    assert ran.run.broken == 1


def test_manifests_are_read_ahead_for_sixteen_packages_at_a_time(account: Account) -> None:
    for number in range(1, 19):
        package = key("container", f"app{number:02}")
        account.add(package, image(number, "v1", of=package, active=True))
    ran = verified(account)
    assert [each for each in account.asked if each.startswith("ahead")] == ["ahead 16 packages", "ahead 2 packages"]
    assert len(ran.run.verified) == 18


def test_only_container_images_can_be_checked(account: Account) -> None:
    broken_images(account)
    account.add(key("npm", "lib"), version(9, of=key("npm", "lib")))
    ran = verified(account, package_type="npm,maven,container")
    assert ran.log.of("notice") == ["notice: only container images can be checked; npm, maven packages are passed over"]
    assert [each.key for each in ran.run.scope.packages] == [APP]
    assert verified(account).log.of("notice") == []


def test_without_container_packages_nothing_is_looked_at(account: Account) -> None:
    broken_images(account)
    ran = verified(account, package_type="npm")
    assert (account.asked, ran.run.scope.packages, ran.run.broken) == ([], (), 0)


def test_an_untagged_image_is_verified_when_it_is_named(account: Account) -> None:
    account.add(APP, image(1, active=True), image(2))
    account.index(1, 2)
    assert verified(account).run.broken == 0
    assert verified(account, keep_digests=digest(1)).run.broken == 1


def test_only_images_that_a_condition_selects_are_verified(account: Account) -> None:
    broken_images(account)
    assert [each.root.id for each in verified(account, where="id = 4").run.verified or ()] == [4]
    assert [each.root.id for each in verified(account, where="id = 1").run.verified or ()] == [1]


# --- repair ---


def test_what_images_lack_comes_back_and_they_are_verified_again(account: Account) -> None:
    broken_images(account)
    ran = repaired(account)
    assert (account.writes, ran.run.broken) == (["restore 2"], 0)
    assert [(run.broken, len(run.plan.writes), len(run.records)) for run in ran.runs] == [
        (0, 0, 0),
        (0, 0, 0),
        (1, 1, 0),
        (1, 1, 0),
        (1, 1, 1),
        (0, 1, 1),
    ]
    assert [len(run.scope.packages) for run in ran.runs] == [1] * 6
    assert [line.partition(":")[0] for line in ran.log.said] == ["warning", "info"]


def test_a_part_that_lacks_parts_itself_is_completed(account: Account) -> None:
    nested(account)
    ran = repaired(account)
    assert (account.writes, ran.run.broken) == (["restore 2", "restore 3"], 0)
    assert [(run.broken, len(run.records)) for run in ran.runs[4:]] == [(1, 1), (1, 1), (1, 2), (0, 2)]
    assert [line.partition(":")[0] for line in ran.log.said] == ["warning", "info", "error"]


def test_a_dry_run_of_a_repair_shows_what_it_would_restore(account: Account) -> None:
    broken_images(account)
    ran = repaired(account, dry_run="true")
    assert (account.writes, ran.run.broken, ran.ended) == ([], 1, None)
    assert account.asked.count(f"manifest {digest(1)}") == 1
    assert [write.version_id for write in ran.run.plan.writes] == [2]
    assert len(ran.run.checks or ()) == 1


def test_who_declines_a_repair_sees_the_plan_and_what_is_broken(account: Account) -> None:
    def decline(run: Run, guarded: GuardedPlan) -> None:
        raise Cancelled

    broken_images(account)
    ran = repaired(account, confirm=decline)
    assert (account.writes, len(ran.run.plan.writes), ran.run.broken) == ([], 1, 1)


def test_whole_images_are_verified_once(account: Account) -> None:
    account.add(APP, image(1, "v1", active=True))
    ran = repaired(account)
    assert (account.writes, ran.run.broken, len(ran.run.verified)) == ([], 0, 1)
    assert account.asked.count(f"manifest {digest(1)}") == 1


def test_a_part_that_cannot_be_restored_is_tried_once_and_the_image_stays_broken(account: Account) -> None:
    broken_images(account)
    account.failing["restore 2"] = forbidden()
    ran = repaired(account)
    assert (ran.outcomes, ran.run.broken) == ([(2, "no-permission")], 1)


def test_a_part_that_is_gone_for_good_by_now_leaves_the_image_broken(account: Account) -> None:
    account.add(APP, image(1, "v1", active=True), image(2), image(3))
    account.index(1, 2, 3)
    account.then["restore 2"] = lambda: account.deleted[APP].pop(3)
    ran = repaired(account)
    assert (ran.outcomes, ran.run.broken) == ([(2, "done"), (3, "already-gone")], 1)


def test_a_repair_that_ends_early_looks_at_nothing_more(account: Account) -> None:
    broken_images(account)
    account.failing["restore 2"] = Cancelled()
    ran = repaired(account)
    assert isinstance(ran.run.ended_by, Cancelled)
    assert (len(ran.runs), ran.run.broken) == (5, 1)


def test_a_repair_that_ends_early_in_a_later_round_restores_nothing_more(account: Account) -> None:
    account.add(APP, image(1, "v1", active=True), *(image(number) for number in (2, 3, 4, 5)))
    account.index(3, 5)
    account.index(2, 3, 4)
    account.index(1, 2)
    account.failing["restore 4"] = Cancelled()
    ran = repaired(account)
    assert isinstance(ran.run.ended_by, Cancelled)
    assert (account.writes, ran.run.broken) == (["restore 2", "restore 3"], 1)


def test_restored_parts_count_even_if_lists_do_not_show_them_yet(account: Account) -> None:
    nested(account)
    account.then["restore 2"] = lambda: account.late.add(2)
    account.then["restore 3"] = lambda: account.late.add(3)
    ran = repaired(account)
    assert (account.writes, ran.run.broken, ran.run.scope.problems) == (["restore 2", "restore 3"], 0, ())


@pytest.mark.parametrize("condition", ["", "id = 1"])
def test_a_tag_that_only_an_outdated_list_shows_does_not_keep_a_part_away(account: Account, condition: str) -> None:
    account.add(APP, image(1, "v1", active=True), image(2, "x"), image(3, "y"), image(8, "x"), image(9, "y"))
    account.index(2, 3)
    account.index(1, 2)
    account.late = {8}
    # the other goes while the first part is restored
    account.active[APP][9] = image(9, "y", active=True)
    account.deleted[APP].pop(9)

    def be_deleted() -> None:
        account.deleted[APP][9] = image(9, "y")
        del account.active[APP][9]
        account.late.add(9)

    account.then["restore 2"] = be_deleted
    ran = repaired(account, where=condition)
    assert account.writes == ["restore 2", "restore 3"]
    assert ran.run.broken == 0


def test_a_tag_that_is_in_use_keeps_a_part_away(account: Account) -> None:
    account.add(APP, image(1, "v1", active=True), image(2, "x"), image(8, "x", active=True))
    account.index(1, 2)
    ran = repaired(account)
    assert (account.writes, ran.outcomes, ran.run.broken) == ([], [(2, "tag-in-use")], 1)


def test_a_tag_of_another_package_keeps_no_part_away(account: Account) -> None:
    broken_images(account)
    web = key("container", "web")
    account.add(web, image(8, "w", of=web, active=True), image(9, "v1", of=web))
    account.index(8, 9)
    assert repaired(account).run.broken == 0
    assert account.writes == ["restore 2", "restore 9"]
