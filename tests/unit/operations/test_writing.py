"""What must be true before the first write, what is said beforehand, and what a limit leaves for the next run."""

from __future__ import annotations

from typing import Any

import pytest

from package_keeper.errors import Cancelled, GuardRefused, PackageKeeperError
from package_keeper.model.permissions import TokenFacts
from package_keeper.model.plan import Action, Decision, GuardedPlan, Plan, PlannedWrite, Reason
from package_keeper.model.run import Run
from package_keeper.operations.delete import delete
from package_keeper.operations.writing import pass_guards, skipped
from package_keeper.policy.guards import Guards, guard
from tests.unit.making import key, version
from tests.unit.operations.account import APP, Account, Ran, Told, context_of, image

LIB = key("npm", "lib")


@pytest.fixture
def account() -> Account:
    return Account()


def cleaned(account: Account, **more: Any) -> Ran:
    given: dict[str, Any] = {"operation": "delete", "package": "*", "package_type": "npm", "versions": "*"} | more
    return Ran(delete, account, **given)


def asked_about(account: Account, **more: Any) -> list[GuardedPlan]:
    """What the user is asked about before the first write."""
    asked: list[GuardedPlan] = []
    cleaned(account, confirm=lambda _, guarded: asked.append(guarded), **more)
    return asked


def test_a_plan_over_max_delete_percent_is_refused_and_stays_in_no_run(account: Account) -> None:
    account.add(LIB, version(1, of=LIB), version(2, of=LIB))
    ran = cleaned(account, versions="1.0.1", max_delete_percent="10")
    assert isinstance(ran.ended, GuardRefused)
    assert str(ran.ended).startswith("max-delete-percent: 10 %")
    assert account.writes == []


def test_a_plan_that_does_not_pass_its_checks_is_a_defect_and_nothing_is_written(account: Account) -> None:
    asked: list[Run] = []
    context = context_of(
        account, Told(), operation="delete", package="*", versions="*", confirm=lambda run, _: asked.append(run)
    )
    first, second = version(1), version(2)
    write = PlannedWrite.of(first, Action.DELETE, Reason.SELECTED)
    plans = [
        Plan.of_singles([write], [Decision(version=each, action=Action.DELETE, reason=Reason.SELECTED)])
        for each in (first, second)
    ]
    run, guarded = pass_guards(context, Run(plan=plans[0]))
    assert (len(guarded.now), asked) == (1, [run])
    with pytest.raises(PackageKeeperError, match=r"does not pass its checks: .*This is a defect of"):
        pass_guards(context, Run(plan=plans[1]))
    assert len(asked) == 1


def test_what_github_will_refuse_is_said_with_all_that_is_known(account: Account) -> None:
    page = "https://github.com/orgs/acme/packages/npm/package/lib"
    account.add(LIB, version(1, of=LIB), version(2, of=LIB), visibility="public", html_url=page)
    account.token_facts = TokenFacts(scopes=frozenset({"repo"}), is_workflows=True)
    ran = cleaned(
        account,
        versions="1.0.1",
        dry_run="true",
        workflow_repository="acme/tools",
        refused_for_downloads=frozenset({(LIB, 1)}),
    )
    told = ran.log.of("warning (forecast)")
    assert [text.partition(": ")[2].partition(",")[0].partition(" of ")[0] for text in told] == [
        "the token lacks delete:packages and read:packages",
        "the token is the GITHUB_TOKEN",
        "an earlier receipt shows that GitHub refuses to delete public versions",
    ]
    assert len(ran.run.forecasts) == 3
    assert all("https://github.com/" in text for text in told)


def test_an_address_on_another_host_is_not_shown(account: Account) -> None:
    account.add(LIB, version(1, of=LIB), html_url="https://elsewhere.example/orgs/acme/packages/npm/package/lib")
    told = cleaned(account, dry_run="true").log.of("warning (forecast)")
    assert len(told) == 1
    assert "elsewhere" not in told[0]


def test_the_plan_shows_what_github_will_refuse(account: Account) -> None:
    account.add(LIB, version(1, of=LIB), version(2, of=LIB))
    ran = cleaned(account, dry_run="true")
    assert {write.version_id: write.expected for write in ran.run.plan.writes} == {1: "last-version", 2: None}


def test_the_user_is_asked_once_before_versions_go(account: Account) -> None:
    account.add(LIB, version(1, of=LIB), version(2, of=LIB))
    (guarded,) = asked_about(account, versions="1.0.1")
    assert [write.version_id for write in guarded.now] == [1]
    assert account.left(LIB) == [2]


def test_the_user_is_asked_before_only_a_package_goes(account: Account) -> None:
    account.add(LIB, version(1, of=LIB))
    (guarded,) = asked_about(account, on_last_version="delete-package")
    assert (guarded.now, [write.version_id for write in guarded.with_package]) == ((), [1])
    assert LIB not in account.packages_by_name


@pytest.mark.parametrize("more", [{"dry_run": "true"}, {"versions": "none"}])
def test_the_user_is_not_asked_about_nothing(account: Account, more: dict[str, str]) -> None:
    account.add(LIB, version(1, of=LIB), version(2, of=LIB))
    assert asked_about(account, **more) == []


def test_nothing_is_said_of_writes_when_there_is_none(account: Account) -> None:
    account.add(LIB, version(1, of=LIB))
    assert [line for line in cleaned(account, versions="none").log.said if "planned writes" in line] == []


def images(account: Account) -> None:
    """Two images of four versions each, and one that stays."""
    account.add(
        APP,
        *(image(number, *("old",) * (number == 1), active=True) for number in range(1, 5)),
        *(image(number, *("older",) * (number == 5), active=True) for number in range(5, 9)),
        image(9, "keep", active=True),
    )
    account.index(1, 2, 3, 4)
    account.index(5, 6, 7, 8)


@pytest.mark.parametrize(("limit", "warnings"), [(2, 1), (3, 1), (4, 0), (5, 0), (8, 0)])
def test_a_limit_within_an_image_is_warned_about(account: Account, limit: int, warnings: int) -> None:
    images(account)
    ran = cleaned(account, package_type="container", versions="", tags="old*", limit=str(limit))
    known = [
        f"warning: limit: {limit} is less than the image sha256:000500000000 has versions",
    ] * warnings
    assert ran.log.of("warning: limit") == known
    assert len(account.writes) == {2: 2, 3: 3, 4: 4, 5: 4, 8: 8}[limit]
    assert f"info: {len(account.writes)} of 8 planned writes in this run" in ran.log.said


def test_a_limit_between_versions_without_parts_is_no_warning(account: Account) -> None:
    account.add(LIB, *(version(number, of=LIB) for number in range(1, 5)))
    ran = cleaned(account, versions="1.0.[1-3]", limit="2")
    assert (len(account.writes), ran.log.of("warning")) == (2, [])


def test_a_limit_after_a_whole_package_is_no_warning(account: Account) -> None:
    account.add(LIB, version(9, of=LIB))
    tool = account.add(key("npm", "tool"), version(1, of=key("npm", "tool")), version(2, of=key("npm", "tool")))
    ran = cleaned(account, versions="1.0.[19]", on_last_version="delete-package", limit="1")
    assert (ran.ended, account.writes, account.left(tool)) == (None, ["delete npm/lib"], [1, 2])
    assert ran.log.of("warning: limit") == []


def test_a_plan_is_skipped_only_when_the_run_has_ended() -> None:
    writes = [PlannedWrite.of(version(number), Action.DELETE, Reason.SELECTED) for number in (1, 2)]
    guarded = guard(Plan.of_singles(writes), Guards(limit=1))
    run = skipped(Run(ended_by=Cancelled()), guarded)
    assert [(each.write.version_id, each.outcome) for each in run.records] == [(1, "out-of-time"), (2, "over-limit")]
    with pytest.raises(AssertionError):
        skipped(Run(), guarded)
