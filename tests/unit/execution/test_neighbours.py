"""What is proposed when no package has the name that a user wrote."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from package_keeper.errors import ApiError, OutOfTime
from package_keeper.execution.neighbours import similar_packages
from package_keeper.model.packages import Package, PackageName, PackageType, UnreadablePackage
from tests.unit.execution.test_scope import FORBIDDEN, LISTING, Shelf
from tests.unit.making import package

NPM = [PackageType.NPM]


def near(name: str, *there: str) -> list[str]:
    return similar_packages(Shelf([package(each) for each in there]), [name], NPM)


def test_a_package_of_another_type_is_named_with_its_type() -> None:
    shelf = Shelf([package("app", "maven"), package("app", "nuget"), package("base"), package("lib", "docker")])
    found = similar_packages(shelf, ["app", "bas", "lib"], NPM)
    assert found == [
        "'app' exists as maven and nuget: package-type: maven",
        "'lib' exists as docker: package-type: docker",
        "did you mean 'base'?",
    ]
    assert "npm/app" not in shelf.asked, "the run has asked for it already"
    shelf.asked.clear()
    assert len(similar_packages(shelf, ["app", "lib"], NPM)) == 2
    assert "list npm" not in shelf.asked, "nothing is left to look for"


@pytest.mark.parametrize(
    ("name", "there", "expected"),
    [
        ("aplication", ["Application", "lib"], "did you mean 'Application'?"),
        ("APLICATION", ["application", "lib"], "did you mean 'application'?"),
        ("Old/APP", ["team/app", "team/apq"], "did you mean 'team/app'?"),
        ("app", ["team/APP"], "did you mean 'team/APP'?"),
        ("app", ["web/app", "job/app", "cli/app", "bot/app"], "did you mean 'bot/app' or 'cli/app' or 'job/app'?"),
        ("app1", ["app2", "app3", "app4", "app5", "x/app1"], "did you mean 'x/app1' or 'app5' or 'app4'?"),
        ("app", ["something"], None),
    ],
)
def test_names_that_are_near_are_proposed(name: str, there: list[str], expected: str | None) -> None:
    assert near(name, *there) == ([expected] if expected else [])


def test_only_a_few_names_are_looked_up() -> None:
    shelf = Shelf([package("app", "maven")])
    names = ["one", "two", "three", "four", "app", "app"]
    assert len(similar_packages(shelf, names, NPM)) == 1
    assert similar_packages(shelf, ["zero", *names], NPM) == []


def test_what_cannot_be_read_gives_no_hint() -> None:
    for error in (FORBIDDEN, OutOfTime()):

        class Broken(Shelf):
            def packages_named(
                self, packages: Iterable[PackageName], error: Exception = error
            ) -> dict[PackageName, Package | ApiError]:
                raise error

        assert similar_packages(Broken([package("base")]), ["bas"], NPM) == []
    both = [PackageType.NPM, PackageType.MAVEN]
    shelf = Shelf([package("base", "maven")], refused={"npm": LISTING})
    assert similar_packages(shelf, ["bas"], both) == ["did you mean 'base'?"]


def test_an_entry_without_a_name_is_no_hint() -> None:
    shelf = Shelf([], damaged=[UnreadablePackage(name="", why="it has no name")])
    assert similar_packages(shelf, ["acme/"], NPM) == []
