"""What a run still does after it has read lists again, and which restorations it plans at all."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from package_keeper.errors import ApiError, ApiErrorKind, NotAuthorized, Unreachable
from package_keeper.model.manifest import Obstacle, stubs
from package_keeper.model.repository import RepositoryState
from package_keeper.operations.delete import delete
from package_keeper.operations.restore import restore
from tests.unit.making import NOW, key, version
from tests.unit.operations.account import APP, Account, Ran, digest, forbidden, image, not_found, unauthorized

WEB = key("container", "web")
LIB = key("npm", "lib")
TOOL = key("npm", "tool")


@pytest.fixture
def account() -> Account:
    return Account()


def restored(account: Account, **inputs: Any) -> Ran:
    given: dict[str, Any] = {"operation": "restore", "package": "*", "tags": "v*"} | inputs
    return Ran(restore, account, **given)


def cleaned(account: Account, **inputs: Any) -> Ran:
    given: dict[str, Any] = {"operation": "delete", "package": "*", "tags": "old"} | inputs
    return Ran(delete, account, **given)


# --- restorations ---


def test_the_oldest_of_all_packages_comes_back_first(account: Account) -> None:
    versions = [image(1, "v1"), image(4, "v4"), image(3, "v3", of=WEB), image(2, "v2", of=WEB)]
    versions = [replace(each, deleted_at=NOW - timedelta(days=each.id)) for each in versions]
    account.add(APP, *versions[:2])
    account.add(WEB, *versions[2:])
    restored(account)
    assert account.writes == ["restore 4", "restore 3", "restore 2", "restore 1"]


def test_a_package_of_which_nothing_is_selected_is_not_read_further(account: Account) -> None:
    account.add(APP, image(1, "v1"))
    account.add(WEB, image(2, "w", of=WEB))
    ran = restored(account)
    assert (account.asked.count(f"active {APP}") > 0, account.asked.count(f"active {WEB}")) == (True, 0)
    assert {each.version.id: each.action for each in ran.runs[2].plan.decisions} == {1: "restore", 2: "keep"}


def test_only_versions_that_may_be_in_the_way_are_asked_for(account: Account) -> None:
    account.add(APP, image(1, "v1"), image(2), image(3, active=True), image(2, active=True))
    restored(account, dry_run="true")
    assert [each for each in account.asked if each.startswith("version")] == []


@pytest.mark.parametrize(
    "other",
    [
        image(1, "v1"),
        replace(image(2), name=digest(1)),
        image(2, "v1"),
    ],
)
def test_what_only_an_outdated_list_shows_is_in_nobodys_way(account: Account, other: Any) -> None:
    account.add(APP, image(1, "v1"), other)
    account.late = {other.id}
    ran = restored(account, version_ids="1", tags="")
    assert ran.outcomes[0] == (1, "done")
    ran = restored(account, dry_run="true")
    account.add(APP, image(1, "v1"), other)
    assert [write.expected for write in restored(account, dry_run="true").run.plan.writes][-1] is None


def test_a_tag_in_use_keeps_a_version_deleted_unless_it_is_named(account: Account) -> None:
    account.add(APP, image(1, "v1"), image(2, "v1", active=True))
    assert restored(account).outcomes == [(1, "tag-in-use")]
    assert restored(account, tags="", version_ids="1").outcomes == [(1, "done")]


@pytest.mark.parametrize("is_incomplete", [True, False])
def test_tagged_versions_stay_deleted_when_not_all_tags_in_use_are_known(account: Account, is_incomplete: bool) -> None:
    account.add(APP, image(1, "v1"), image(2), image(3, active=True))
    if is_incomplete:
        account.incomplete = {APP}
    else:
        account.active[APP][3] = replace(image(3, active=True), tags_known=False)
    ran = restored(account, tags="", versions="*")
    assert account.writes == ["restore 2"]
    assert {each.version.id: each.why for each in ran.run.plan.decisions} == {1: "unreadable", 2: "selected"}
    assert restored(account, tags="", version_ids="1").outcomes == [(1, "done")]


def test_stubs_stay_deleted_and_are_named(account: Account) -> None:
    name = next(iter(stubs("v2")))
    account.add(APP, image(1, "v1"), replace(image(2, "v2"), name=name))
    ran = restored(account)
    assert account.writes == ["restore 1"]
    (notice,) = ran.log.of("notice")
    assert "1 version is an empty manifest" in notice


# --- restorations, planned again ---


def old_versions(account: Account) -> None:
    """Two packages with a deleted version each. Every write takes more than five minutes."""
    account.add(LIB, version(2, of=LIB, deleted_at=NOW), version(9, of=LIB))
    account.add(TOOL, version(1, of=TOOL, deleted_at=NOW))
    account.write_takes = 400


NPM = {"package_type": "npm", "tags": "", "versions": "*"}


def test_what_is_as_it_was_is_restored_after_the_lists_were_read_again(account: Account) -> None:
    old_versions(account)
    assert restored(account, **NPM).outcomes == [(1, "done"), (2, "done")]
    assert [account.asked.count(f"{what} {TOOL}") for what in ("deleted", "active")] == [1, 1]
    assert [account.asked.count(f"{what} {LIB}") for what in ("deleted", "active")] == [2, 2]


def test_lists_of_deleted_versions_need_not_be_certain(account: Account) -> None:
    account.add(APP, image(1, "v1"))
    account.add(WEB, image(2, "v2", of=WEB))
    account.write_takes = 400
    restored(account)
    assert (account.left(APP), account.left(WEB)) == ([1], [2])
    assert [each for each in account.asked if each.startswith("certain")] == []


@pytest.mark.parametrize("what", ["active", "deleted"])
def test_what_cannot_be_read_again_is_not_restored(account: Account, what: str) -> None:
    old_versions(account)
    account.then["restore 1"] = lambda: account.failing.update({f"{what} {LIB}": forbidden()})
    assert restored(account, **NPM).outcomes == [(1, "done"), (2, "no-permission")]
    assert account.left(LIB) == [9]


@pytest.mark.parametrize("what", ["active", "deleted"])
def test_a_token_that_is_no_longer_accepted_ends_the_restoration(account: Account, what: str) -> None:
    old_versions(account)
    account.then["restore 1"] = lambda: account.failing.update({f"{what} {LIB}": unauthorized()})
    ran = restored(account, **NPM)
    assert isinstance(ran.run.ended_by, NotAuthorized)
    assert (ran.outcomes, account.left(LIB)) == ([(1, "done"), (2, "no-permission")], [9])


# --- deletions, planned again ---


def an_image(account: Account) -> None:
    """An old image of two parts, and one that stays."""
    parts = [image(number, active=True) for number in (2, 3)]
    account.add(APP, *parts, image(1, "old", active=True), image(9, "v9", active=True))
    account.index(1, 2, 3)


def test_an_image_goes_although_an_outdated_list_still_shows_it(account: Account) -> None:
    an_image(account)
    account.then["delete 1"] = lambda: account.late.add(1)
    ran = cleaned(account)
    assert (account.left(APP), ran.run.broken) == ([9], 0)
    assert [outcome for _, outcome in ran.outcomes] == ["done"] * 3
    # once before the parts go, and once to check it at the end
    assert account.asked.count("without 1") == 2
    # the index is gone by then, but it has said what they are
    assert [account.asked.count(f"manifest {digest(number)}") for number in (2, 3)] == [0, 0]


def test_parts_stay_when_their_image_is_still_there(account: Account) -> None:
    an_image(account)
    account.then["delete 1"] = lambda: account.active[APP].update({1: account.deleted[APP].pop(1)})
    ran = cleaned(account)
    assert account.left(APP) == [1, 2, 3, 9]
    assert dict(ran.outcomes) == {1: "failed", 2: "failed", 3: "failed"}


def test_parts_stay_when_nobody_can_say_whether_their_image_is_there(account: Account) -> None:
    an_image(account)

    def become_unknown() -> None:
        account.late.add(1)
        account.failing["version 1"] = forbidden()

    account.then["delete 1"] = become_unknown
    ran = cleaned(account)
    assert account.left(APP) == [2, 3, 9]
    assert dict(ran.outcomes) == {1: "done", 2: "changed-since-plan", 3: "changed-since-plan"}


def test_an_image_that_is_there_at_the_end_was_not_deleted(account: Account) -> None:
    an_image(account)
    # a package in which an image with parts stays is looked at again
    account.active[APP][8] = image(8, active=True)
    account.index(9, 8)

    def come_back() -> None:
        account.active[APP][1] = account.deleted[APP].pop(1)
        account.failing["version 1"] = forbidden()

    # the second look, at the end, gets an answer
    second = {f"certain {APP}": account.failing.clear}
    account.then |= {"delete 1": come_back, f"certain {APP}": lambda: account.then.update(second)}
    assert dict(cleaned(account).outcomes)[1] == "failed"
    assert account.left(APP) == [1, 2, 3, 8, 9]


def test_a_part_that_a_new_image_needs_stays(account: Account) -> None:
    an_image(account)
    account.index(20, 2)
    account.then["delete 1"] = lambda: account.active[APP].update({20: image(20, "new", active=True)})
    ran = cleaned(account)
    assert (account.left(APP), ran.run.broken) == ([2, 9, 20], 0)
    assert dict(ran.outcomes) == {1: "done", 2: "changed-since-plan", 3: "done"}


def test_a_part_that_got_a_tag_stays(account: Account) -> None:
    an_image(account)
    account.then["delete 1"] = lambda: account.active[APP].update({2: image(2, "mine", active=True)})
    assert dict(cleaned(account).outcomes) == {1: "done", 2: "changed-since-plan", 3: "done"}


def test_a_version_that_came_back_after_it_was_seen_gone_was_deleted_all_the_same(account: Account) -> None:
    an_image(account)

    def come_back() -> None:
        if not {2, 3} & set(account.active[APP]):
            account.active[APP][1] = image(1, "old", active=True)

    account.then |= {"delete 2": come_back, "delete 3": come_back}
    assert dict(cleaned(account).outcomes)[1] == "done"


def old_packages(account: Account) -> None:
    """Three packages. Of two an old version goes; every write takes more than five minutes."""
    for place, package in enumerate((LIB, TOOL, key("npm", "other")), start=1):
        account.add(package, *(version(10 * place + number, of=package, name=f"1.0.{number}") for number in (1, 2, 3)))
    account.write_takes = 400


OLD = {"package": "lib,tool", "package_type": "npm", "tags": "", "versions": "1.0.[23]"}


def test_deletions_that_are_as_planned_go_on_after_the_lists_were_read_again(account: Account) -> None:
    old_packages(account)
    ran = cleaned(account, **OLD)
    assert (account.left(LIB), account.left(TOOL)) == ([11], [21])
    assert [outcome for _, outcome in ran.outcomes] == ["done"] * 4
    assert ran.log.of("info: the lists")[0].endswith("read again: 2")
    assert [each for each in account.asked if each.startswith(("certain", "version"))] == []


@pytest.mark.parametrize(
    ("error", "outcome"), [(forbidden(), "no-permission"), (not_found("gone"), "changed-since-plan")]
)
def test_nothing_goes_in_a_package_that_cannot_be_read_again(account: Account, error: ApiError, outcome: str) -> None:
    old_packages(account)
    account.then["delete 23"] = lambda: account.failing.update({f"active {LIB}": error})
    ran = cleaned(account, **OLD)
    assert (account.left(LIB), account.left(TOOL)) == ([11, 12, 13], [21])
    assert {each.outcome.value for each in ran.run.records if each.write.package == LIB} == {outcome}


def test_the_last_version_stays_when_others_deleted_what_was_to_stay(account: Account) -> None:
    old_packages(account)
    account.then["delete 13"] = lambda: account.active[LIB].pop(11)
    ran = cleaned(account, **OLD | {"package": "lib"})
    assert (account.left(LIB), ran.outcomes) == ([12], [(13, "done"), (12, "changed-since-plan")])


def test_conditions_are_asked_of_the_lists_that_were_read_again(account: Account) -> None:
    old_packages(account)
    spared = version(12, of=LIB, name="1.0.2", description="keep")
    account.then["delete 23"] = lambda: account.active[LIB].update({12: spared})
    inputs = OLD | {"versions": "", "where": "name <> '1.0.1' and coalesce(description, '') <> 'keep'"}
    ran = cleaned(account, **inputs)
    assert (account.left(LIB), account.left(TOOL)) == ([11, 12], [21])
    assert dict(ran.outcomes)[12] == "changed-since-plan"


def test_conditions_about_all_packages_see_what_this_run_deleted(account: Account) -> None:
    old_packages(account)
    where = "name <> '1.0.1' and (select count(*) from versions where package = 'tool') > 1"
    ran = cleaned(account, **OLD | {"versions": "", "where": where})
    assert (account.left(LIB), account.left(TOOL)) == ([11, 12, 13], [21])
    assert [outcome for _, outcome in ran.outcomes[2:]] == ["changed-since-plan"] * 2


@pytest.mark.parametrize(
    ("kind", "ended_by"), [(ApiErrorKind.NO_PERMISSION, None), (ApiErrorKind.UNREACHABLE, Unreachable)]
)
def test_nothing_more_goes_in_a_package_whose_new_image_cannot_be_read(
    account: Account, kind: ApiErrorKind, ended_by: type[Exception] | None
) -> None:
    an_image(account)
    account.failing[f"manifest {digest(30)}"] = ApiError(kind, "Nope")
    account.then["delete 1"] = lambda: account.active[APP].update({30: image(30, "new", active=True)})
    ran = cleaned(account)
    assert account.left(APP) == [2, 3, 9, 30]
    assert ran.outcomes[:2] == [(1, "done"), (2, "failed" if ended_by else "no-permission")]
    assert isinstance(ran.run.ended_by, ended_by or type(None))


@pytest.mark.parametrize("obstacle", [Obstacle.FORBIDDEN, Obstacle.CONTENT])
def test_nothing_more_goes_in_a_package_of_which_a_manifest_is_lost(account: Account, obstacle: Obstacle) -> None:
    an_image(account)
    account.lost[digest(30)] = obstacle
    account.then["delete 1"] = lambda: account.active[APP].update({30: image(30, "new", active=True)})
    ran = cleaned(account)
    outcome = "no-permission" if obstacle is Obstacle.FORBIDDEN else "changed-since-plan"
    assert ran.outcomes == [(1, "done"), (2, outcome), (3, outcome)]
    why = "not all manifests can be read: it is so" if obstacle is Obstacle.FORBIDDEN else "any more"
    assert why in ran.run.records[1].message


def test_parts_of_other_packages_go_on_when_one_cannot_be_read(account: Account) -> None:
    an_image(account)
    versions = [image(11, "old", of=WEB), image(12, of=WEB), image(19, "v", of=WEB)]
    account.add(WEB, *(replace(each, deleted_at=None) for each in versions))
    account.index(11, 12)
    account.then["delete 1"] = lambda: account.failing.update({f"certain {WEB}": forbidden()})
    ran = cleaned(account)
    assert account.left(APP) == [9]
    assert 12 in account.left(WEB)
    assert dict(ran.outcomes)[12] != "done"


def test_why_a_list_cannot_be_read_counts_more_than_a_lost_manifest(account: Account) -> None:
    an_image(account)

    def become_unreadable() -> None:
        account.failing[f"certain {APP}"] = forbidden()
        account.lost[digest(9)] = Obstacle.CONTENT

    account.then["delete 1"] = become_unreadable
    assert dict(cleaned(account).outcomes) == {1: "done", 2: "no-permission", 3: "no-permission"}


def test_what_is_left_for_the_next_run_is_not_evaluated_again(account: Account) -> None:
    parts = [image(number, active=True) for number in (22, 23)]
    account.add(APP, image(21, "old", active=True), *parts, image(9, "v9", active=True))
    account.index(21, 22, 23)
    account.add(WEB, image(11, "old", of=WEB, active=True), image(12, "v", of=WEB, active=True))
    ran = cleaned(account, limit="3")
    assert (account.left(APP), account.left(WEB)) == ([9], [11, 12])
    assert dict(ran.outcomes)[11] == "over-limit"
    assert account.asked.count(f"manifest {digest(11)}") == 1


class Pulls:
    """A repository with closed pull requests. Some are opened again."""

    def __init__(self) -> None:
        self.closed = {1, 2}

    def state(self, full_name: str) -> RepositoryState:
        numbers = frozenset({1, 2})
        return RepositoryState(
            full_name=full_name, open_pulls=numbers - self.closed, closed_pulls=numbers & self.closed
        )

    def releases(self, full_name: str) -> frozenset[str]:
        raise AssertionError(full_name)


def test_a_pull_request_that_was_opened_again_keeps_its_image(account: Account) -> None:
    account.add(APP, image(2, "pr-2", active=True), image(1, "pr-1", active=True), image(9, "v9", active=True))
    account.write_takes = 400
    pulls = Pulls()
    account.then["delete 2"] = lambda: pulls.closed.remove(1)
    ran = cleaned(account, tags="", gone="pr-{pull-request}", repositories=pulls)
    assert (account.left(APP), ran.outcomes) == ([1, 9], [(2, "done"), (1, "changed-since-plan")])
