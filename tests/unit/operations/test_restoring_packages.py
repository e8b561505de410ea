"""What `restore-package` tries for each name, and what it says of names that no package has."""

from __future__ import annotations

from typing import Any

import pytest

from package_keeper.errors import Cancelled, NotAuthorized
from package_keeper.model.plan import GuardedPlan
from package_keeper.model.run import Run
from package_keeper.operations.restore_package import restore_package
from tests.unit.making import key
from tests.unit.operations.account import Account, Ran, forbidden, unauthorized

APP = key("npm", "app")


@pytest.fixture
def account() -> Account:
    return Account()


def deleted(account: Account, kind: str, name: str) -> None:
    account.remove(account.add(key(kind, name)))


def restored(account: Account, package: str, package_type: str = "npm", **more: Any) -> Ran:
    return Ran(
        restore_package, account, operation="restore-package", package=package, package_type=package_type, **more
    )


def test_a_name_is_tried_with_each_type_and_missing_only_when_none_has_it(account: Account) -> None:
    deleted(account, "npm", "app")
    account.add(key("maven", "lib"))
    ran = restored(account, "app,lib,gone", "npm,maven")
    assert account.writes == [
        "restore npm/app",
        "restore maven/app",
        "restore npm/lib",
        "restore npm/gone",
        "restore maven/gone",
    ]
    assert ran.outcomes == [
        ("app", "done"),
        ("app", "already-gone"),
        ("lib", "already-gone"),
        ("lib", "already-active"),
        ("gone", "already-gone"),
        ("gone", "already-gone"),
    ]
    assert ran.run.scope.missing == ("gone",)
    assert [(write.action, write.reason) for write in ran.run.plan.writes] == [("restore", "selected")] * 6


def test_names_differ_in_more_than_case_and_the_last_spelling_counts(account: Account) -> None:
    restored(account, "App,app,APP,lib")
    assert account.writes == ["restore npm/APP", "restore npm/lib"]


def test_excluded_names_are_not_tried(account: Account) -> None:
    ran = restored(account, "app,Lib,!lib,!old")
    assert account.writes == ["restore npm/app"]
    assert ran.log.of("warning") == [
        "warning: package: '!old' excludes nothing: no package that was looked at has such a name"
    ]


def test_exclusions_find_names_with_the_owner_in_front_in_any_case(account: Account) -> None:
    ran = restored(account, "Acme/App,!app", dry_run="true")
    assert ran.log.of("warning") == []


def test_a_dry_run_asks_and_writes_nothing(account: Account) -> None:
    account.add(APP)
    ran = restored(account, "app,acme/gone", dry_run="true")
    assert (account.writes, ran.ended, ran.run.scope.missing) == ([], None, ())
    assert account.asked == ["package npm/app", "package npm/acme/gone"]
    assert [write.expected for write in ran.run.plan.writes] == ["already-active", None]
    assert ran.log.said == []


def test_names_that_no_package_has_are_tried_without_the_owner(account: Account) -> None:
    deleted(account, "npm", "app")
    deleted(account, "npm", "other/tool")
    ran = restored(account, "Acme/app,acme/gone,other/tool,other,acme/old,!old")
    assert account.writes == [
        "restore npm/Acme/app",
        "restore npm/acme/gone",
        "restore npm/other/tool",
        "restore npm/other",
        "restore npm/acme/old",
        "restore npm/app",
        "restore npm/gone",
    ]
    assert ran.log.of("notice")[-1] == (
        "notice: package: nothing is named Acme/app, acme/gone; tried without the owner in front"
    )
    assert ran.run.scope.missing == ("acme/gone", "other", "acme/old")
    assert [write.package.name for write in ran.run.plan.writes[-2:]] == ["app", "gone"]


def test_a_name_that_ends_with_the_owner_is_not_shortened_to_nothing(account: Account) -> None:
    ran = restored(account, "acme/")
    assert account.writes in ([], ["restore npm/acme/"])
    assert ran.log.of("notice") == []


def test_a_name_with_the_owner_that_a_package_has_is_not_tried_without(account: Account) -> None:
    deleted(account, "npm", "acme/app")
    deleted(account, "npm", "app")
    ran = restored(account, "acme/app")
    assert account.writes == ["restore npm/acme/app"]
    assert (ran.log.of("notice"), ran.run.scope.missing) == ([], ())


@pytest.mark.parametrize("kind", ["npm", "maven"])
def test_a_name_that_one_type_has_is_not_missing_whichever_comes_first(account: Account, kind: str) -> None:
    deleted(account, kind, "app")
    assert restored(account, "app", "npm,maven").run.scope.missing == ()


def test_what_cannot_be_read_is_a_problem_and_not_missing(account: Account) -> None:
    deleted(account, "npm", "lib")
    account.failing["package npm/app"] = forbidden()
    ran = restored(account, "app,lib")
    assert (account.writes, ran.run.scope.missing) == (["restore npm/lib"], ())
    assert [problem.what for problem in ran.run.scope.problems] == ["npm/app"]


def test_what_cannot_be_read_without_the_owner_is_a_problem_too(account: Account) -> None:
    account.failing["package npm/app"] = forbidden()
    ran = restored(account, "acme/app")
    assert [problem.what for problem in ran.run.scope.problems] == ["npm/app"]


def test_a_token_that_is_not_accepted_ends_the_run_before_any_write(account: Account) -> None:
    account.failing["package npm/app"] = unauthorized()
    ran = restored(account, "lib,app")
    assert isinstance(ran.ended, NotAuthorized)
    assert (account.writes, len(ran.runs)) == ([], 1)


def test_a_token_that_is_no_longer_accepted_ends_the_run_with_what_was_done(account: Account) -> None:
    account.failing["package npm/app"] = unauthorized()
    ran = restored(account, "acme/app")
    assert isinstance(ran.ended, NotAuthorized)
    assert (account.writes, ran.outcomes) == (["restore npm/acme/app"], [("acme/app", "already-gone")])


def test_who_declines_sees_the_plan_and_nothing_is_written(account: Account) -> None:
    def decline(run: Run, guarded: GuardedPlan) -> None:
        raise Cancelled

    deleted(account, "npm", "app")
    ran = restored(account, "app", confirm=decline)
    assert (account.writes, len(ran.run.plan.writes)) == ([], 1)


def test_each_step_is_in_the_run_at_once(account: Account) -> None:
    ran = restored(account, "acme/app,lib")
    assert [(len(run.records), len(run.plan.writes), len(run.scope.missing)) for run in ran.runs] == [
        (0, 2, 0),
        (0, 2, 0),
        (2, 2, 0),
        (2, 2, 0),
        (3, 3, 2),
    ]
    assert (ran.runs[0].checks, len(ran.runs[1].checks or ())) == (None, 1)
