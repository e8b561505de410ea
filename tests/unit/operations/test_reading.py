"""What becomes of lists that cannot be read, or that are not certain, before anything is deleted."""

from __future__ import annotations

from typing import Any

import pytest

from package_keeper.errors import NotAuthorized
from package_keeper.model.images import ImageReference
from package_keeper.operations.delete import delete
from package_keeper.operations.restore import restore
from package_keeper.policy.images_in_use import ImagesInUse
from tests.unit.making import NOW, key, version
from tests.unit.operations.account import APP, Account, Ran, digest, forbidden, image, not_found, unauthorized

WEB = key("container", "web")
LIB = key("npm", "lib")


@pytest.fixture
def account() -> Account:
    return Account()


def cleaned(account: Account, **inputs: Any) -> Ran:
    given: dict[str, Any] = {"operation": "delete", "package": "*", "tag_status": "untagged"} | inputs
    return Ran(delete, account, **given)


def decisions(ran: Ran) -> dict[int, str]:
    return {each.version.id: f"{each.action} {each.why}" for each in ran.run.plan.decisions}


def two_packages(account: Account) -> None:
    """Each has an image, and an untagged version to delete."""
    account.add(APP, image(1, "v1", active=True), image(2, active=True))
    account.add(WEB, image(11, "v1", of=WEB, active=True), image(12, of=WEB, active=True))
    account.long = {APP, WEB}


# --- lists that cannot be read ---


def test_a_list_that_cannot_be_read_is_a_problem_and_the_others_go_on(account: Account) -> None:
    two_packages(account)
    account.failing[f"active {WEB}"] = forbidden()
    ran = cleaned(account)
    assert [(problem.what, problem.package) for problem in ran.run.scope.problems] == [
        ("the versions of container/web", WEB)
    ]
    assert [package.key for package in ran.run.scope.packages] == [APP]
    assert (account.left(APP), account.left(WEB)) == ([1], [11, 12])


def test_a_named_package_that_went_away_is_missing_and_another_one_is_a_warning(account: Account) -> None:
    two_packages(account)
    account.failing[f"active {WEB}"] = not_found("Package not found.")
    ran = cleaned(account, package="app,web")
    assert (ran.run.scope.missing, ran.run.scope.problems) == (("container/web",), ())
    assert ran.log.of("warning") == []
    ran = cleaned(account, package="app,w*")
    assert (ran.run.scope.missing, ran.run.scope.problems) == ((), ())
    assert ran.log.of("warning") == [
        "warning: container/web went away, or was hidden, while its versions were about to be read"
    ]


def test_a_token_that_is_not_accepted_ends_the_run_with_the_packages_in_scope(account: Account) -> None:
    two_packages(account)
    account.failing[f"active {WEB}"] = unauthorized()
    ran = cleaned(account, package="app,web")
    assert isinstance(ran.ended, NotAuthorized)
    assert [package.key for package in ran.run.scope.packages] == [APP, WEB]
    assert (account.writes, len(ran.runs)) == ([], 2)


def test_how_many_versions_were_read_is_said_at_debug(account: Account) -> None:
    account.add(LIB, version(1, of=LIB), version(2, of=LIB), version(3, of=LIB, deleted_at=NOW))
    inputs: dict[str, Any] = {
        "package": "lib",
        "package_type": "npm",
        "versions": "*",
        "dry_run": "true",
    }
    ran = Ran(delete, account, operation="delete", level="debug", **inputs)
    assert "debug: npm/lib: 2 active versions" in ran.log.said
    ran = Ran(restore, account, operation="restore", level="debug", **inputs)
    assert "debug: npm/lib: 1 deleted versions" in ran.log.said


def test_places_in_files_that_protect_images_are_in_the_run(account: Account) -> None:
    account.add(APP, image(1, "old", active=True), image(2, "older", active=True), image(9, "v9", active=True))
    place = ImageReference(text="ghcr.io/acme/app:old", place="deploy.yaml:3", package="app", tag="old")
    used = ImagesInUse.of([place], {"*.yaml": ["deploy.yaml"]})
    ran = cleaned(account, tag_status="", tags="old*", used=used)
    assert (account.left(APP), decisions(ran)[1]) == ([1, 9], "keep keep-used-in")
    assert [run.references for run in ran.runs[1:]] == [(place,)] * (len(ran.runs) - 1)
    assert ran.log.of("info: keep-used-in") == [
        "info: keep-used-in: references to images of the packages in scope: 1, files with them: 1"
    ]
    assert cleaned(account, tag_status="", tags="old*").log.of("info: keep-used-in") == []


# --- packages that cannot be evaluated ---


def test_a_package_that_cannot_be_evaluated_is_a_problem_and_the_others_go_on(account: Account) -> None:
    two_packages(account)
    account.failing[f"manifest {digest(11)}"] = forbidden()
    ran = cleaned(account)
    assert [(problem.what, problem.package) for problem in ran.run.scope.problems] == [("container/web", WEB)]
    assert (account.left(APP), account.left(WEB)) == ([1], [11, 12])


def test_a_token_that_is_not_accepted_while_manifests_are_read_ends_the_run(account: Account) -> None:
    two_packages(account)
    account.failing[f"manifest {digest(11)}"] = unauthorized()
    ran = cleaned(account)
    assert isinstance(ran.ended, NotAuthorized)
    assert account.writes == []


def test_only_stubs_are_named_as_such(account: Account) -> None:
    two_packages(account)
    account.stub(11)
    (notice,) = cleaned(account).log.of("notice")
    assert notice.startswith("notice (empty manifests): container/web: 1 version is an empty manifest")


# --- lists that are not certain ---


def test_long_lists_are_read_again_before_untagged_versions_go(account: Account) -> None:
    two_packages(account)
    account.long = {APP}
    ran = cleaned(account)
    assert [each for each in account.asked if each.startswith("certain")] == ["certain container/app"]
    assert (account.left(APP), account.left(WEB)) == ([1], [11])
    assert ran.run.scope.problems == ()


@pytest.mark.parametrize(
    "inputs",
    [
        {"dry_run": "true"},
        {"tag_status": "tagged", "tags": "old"},
        {"tag_status": "", "version_ids": "2", "images": "raw"},
        {"tags": "nothing", "tag_status": ""},
    ],
)
def test_lists_are_not_read_again_when_no_untagged_version_goes(account: Account, inputs: dict[str, str]) -> None:
    account.add(APP, image(1, "v1", active=True), image(2, active=True), image(3, "old", active=True))
    account.long = {APP}
    cleaned(account, **inputs)
    assert [each for each in account.asked if each.startswith("certain")] == []


def test_an_image_that_only_the_second_reading_shows_keeps_its_parts(account: Account) -> None:
    two_packages(account)
    account.index(20, 2)
    account.then[f"certain {APP}"] = lambda: account.active[APP].update({20: image(20, "new", active=True)})
    ran = cleaned(account)
    assert (account.left(APP), account.left(WEB)) == ([1, 2, 20], [11])
    assert decisions(ran) == {
        1: "keep not-selected",
        2: "keep needed-by",
        20: "keep not-selected",
        11: "keep not-selected",
        12: "delete selected",
    }
    assert account.asked.count("certain container/app") == 1
    assert account.asked.count("certain container/web") == 1


def test_what_only_the_second_reading_shows_is_known_from_then_on(account: Account) -> None:
    account.add(APP, image(1, "v1", active=True), *(image(number, active=True) for number in (2, 3, 4)))
    account.index(20, 3)
    account.index(2, 4)
    account.long = {APP}
    pushed = [image(20, active=True)]
    account.then[f"certain {APP}"] = lambda: account.active[APP].update({each.id: each for each in pushed})
    account.then["delete 20"] = pushed.clear
    ran = cleaned(account, tag_status="", version_ids="2,20")
    assert (account.left(APP), ran.log.of("warning")) == ([1], [])


def test_lists_that_keep_changing_are_read_twice_and_the_last_one_counts(account: Account) -> None:
    account.add(APP, image(1, "v1", active=True), image(2, active=True))
    account.long = {APP}
    account.then[f"certain {APP}"] = lambda: account.active[APP].update({3: image(3, active=True)})
    ran = cleaned(account)
    assert account.asked.count("certain container/app") == 1
    assert decisions(ran) == {1: "keep not-selected", 2: "delete selected", 3: "delete selected"}
    assert account.left(APP) == [1]


def test_everything_stays_in_a_package_whose_second_reading_fails(account: Account) -> None:
    two_packages(account)
    account.failing[f"certain {WEB}"] = forbidden()
    ran = cleaned(account)
    assert [(problem.what, problem.package) for problem in ran.run.scope.problems] == [
        ("the versions of container/web", WEB)
    ]
    assert (account.left(APP), account.left(WEB)) == ([1], [11, 12])
    assert decisions(ran)[12] == "keep unreadable"


def test_a_token_that_is_not_accepted_at_the_second_reading_ends_the_run(account: Account) -> None:
    two_packages(account)
    account.failing[f"certain {WEB}"] = unauthorized()
    ran = cleaned(account)
    assert isinstance(ran.ended, NotAuthorized)
    assert account.writes == []


def test_a_problem_of_one_package_is_not_lost_when_another_changes(account: Account) -> None:
    two_packages(account)
    zoo = key("container", "zoo")
    account.add(zoo, image(21, "v1", of=zoo, active=True), image(22, of=zoo, active=True))
    account.failing[f"manifest {digest(21)}"] = forbidden()
    account.then[f"certain {APP}"] = lambda: account.active[APP].update({3: image(3, active=True)})
    ran = cleaned(account)
    assert [problem.what for problem in ran.run.scope.problems] == ["container/zoo"]
    assert (account.left(APP), account.left(WEB), account.left(zoo)) == ([1], [11], [21, 22])
    assert len(ran.run.plan.decisions) == 5
