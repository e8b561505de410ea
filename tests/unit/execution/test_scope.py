"""Which packages a run covers, and which are missing or cannot be read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

import pytest

from package_keeper.errors import ApiError, ApiErrorKind, NotAuthorized
from package_keeper.execution.scope import PackageFilter, find_packages
from package_keeper.inputs.patterns import parse_patterns
from package_keeper.model.packages import Package, PackageName, PackageType, UnreadablePackage, Version
from package_keeper.model.permissions import TokenFacts
from package_keeper.model.run import Scope
from tests.unit.execution.test_executor import Listener
from tests.unit.making import package

NOT_FOUND = ApiError(ApiErrorKind.NOT_FOUND, "Package not found.", status=404)
FORBIDDEN = ApiError(ApiErrorKind.NO_PERMISSION, "Resource not accessible by integration", status=403)
LISTING = ApiError(ApiErrorKind.LISTING_REFUSED, "Invalid argument.", status=400)


@dataclass
class Shelf:
    """Packages in memory. `refused` maps names, or types of lists, to errors. `damaged` is in every list."""

    packages_there: list[Package]
    refused: dict[str, ApiError] = field(default_factory=dict)
    damaged: Sequence[UnreadablePackage] = ()
    asked: list[str] = field(default_factory=list)
    case_matters: bool = True
    token_facts: TokenFacts = field(default_factory=TokenFacts)

    def packages(
        self, package_types: Sequence[PackageType]
    ) -> dict[PackageType, Sequence[Package | UnreadablePackage] | ApiError]:
        self.asked += [f"list {package_type}" for package_type in package_types]
        return {
            package_type: self.refused.get(package_type)
            or [*(one for one in self.packages_there if one.type is package_type), *self.damaged]
            for package_type in package_types
        }

    def packages_named(self, packages: Iterable[PackageName]) -> dict[PackageName, Package | ApiError]:
        found: dict[PackageName, Package | ApiError] = {}
        for named in packages:
            try:
                found[named] = self.package(named)
            except ApiError as error:
                found[named] = error
        return found

    def package(self, package: PackageName) -> Package:
        self.asked.append(str(package))
        if package.name in self.refused:
            raise self.refused[package.name]
        for one in self.packages_there:
            same = one.name == package.name if self.case_matters else one.name.lower() == package.name.lower()
            if one.type is package.type and same:
                return one
        raise NOT_FOUND

    def versions(self, package: PackageName, *, deleted: bool = False) -> list[Version]:
        raise NotImplementedError

    def versions_of(
        self,
        packages: Iterable[PackageName],
        *,
        deleted: bool = False,
        seen: Mapping[PackageName, AbstractSet[int]] | None = None,
        gone: AbstractSet[int] = frozenset(),
    ) -> dict[PackageName, list[Version] | ApiError]:
        raise NotImplementedError

    def are_active(self, versions: Mapping[int, PackageName]) -> dict[int, bool | ApiError]:
        raise AssertionError("no test asks for versions")

    def is_long(self, package: PackageName) -> bool:
        return False

    def is_incomplete(self, package: PackageName) -> bool:
        return False

    def version(self, package: PackageName, version_id: int) -> Version:
        raise NotImplementedError

    def conflicts(self) -> list[Package]:
        raise NotImplementedError


def find(shelf: Shelf, text: str, types: str = "npm") -> tuple[Scope, Listener]:
    log = Listener()
    patterns, problems = parse_patterns(text, ignore_case=True)
    assert problems == []
    kinds = [PackageType(word) for word in types.split()]
    return find_packages(shelf, log, owner="acme", types=kinds, wanted=PackageFilter(patterns=patterns)), log


APP, LIB, TOOL = package("app", number=1), package("lib", number=2), package("acme/tool", number=3)
OTHER = package("app", "maven", number=4)


@pytest.mark.parametrize(
    ("text", "types", "found"),
    [
        ("", "npm", ["npm/acme/tool", "npm/app", "npm/lib"]),
        ("*", "npm", ["npm/acme/tool", "npm/app", "npm/lib"]),
        ("app", "npm", ["npm/app"]),
        ("APP", "npm", ["npm/app"]),
        ("a*", "npm", ["npm/acme/tool", "npm/app"]),
        ("!app", "npm", ["npm/acme/tool", "npm/lib"]),
        ("*,!app", "npm", ["npm/acme/tool", "npm/lib"]),
        ("app,lib,app", "npm", ["npm/app", "npm/lib"]),
        ("app,a*", "npm", ["npm/acme/tool", "npm/app"]),
        ("app", "npm maven", ["maven/app", "npm/app"]),
        ("app", "maven npm", ["maven/app", "npm/app"]),
        ("acme/app", "npm", ["npm/app"]),
        ("ACME/App", "npm", ["npm/app"]),
        ("acme/tool", "npm", ["npm/acme/tool"]),
        ("/^(lib|tool)$/", "npm", ["npm/lib"]),
        ("app,!app", "npm", []),
        ("zzz*", "npm", []),
    ],
)
def test_which_packages(text: str, types: str, found: list[str]) -> None:
    scope, _ = find(Shelf([LIB, APP, TOOL, OTHER]), text, types)
    assert [str(one.key) for one in scope.packages] == found
    assert (scope.missing, scope.problems) == ((), ())


def test_exact_names_need_no_list() -> None:
    shelf = Shelf([APP], refused={"npm": LISTING})
    scope, _ = find(shelf, "app")
    assert [str(one.key) for one in scope.packages] == ["npm/app"]
    assert shelf.asked == ["npm/app"]
    assert scope.problems == ()


def test_a_name_is_missing_only_if_no_type_has_it() -> None:
    scope, _ = find(Shelf([APP, OTHER, LIB]), "lib,nowhere,acme/nobody", "npm maven")
    assert [str(one.key) for one in scope.packages] == ["npm/lib"]
    assert [str(one) for one in scope.missing] == ["nowhere", "acme/nobody"]


def test_a_name_taken_without_its_owner_is_logged() -> None:
    _, log = find(Shelf([APP]), "acme/app")
    assert [text for kind, text in log.said if kind == "notice" and "'acme/app'" in text]
    _, log = find(Shelf([TOOL, package("tool", number=9)]), "acme/tool")
    assert [text for kind, text in log.said if kind == "notice"] == []


def test_an_error_is_a_problem_of_its_package_only() -> None:
    scope, _ = find(Shelf([APP, LIB], refused={"app": FORBIDDEN}), "app,lib")
    assert [str(one.key) for one in scope.packages] == ["npm/lib"]
    assert [one.what for one in scope.problems] == ["npm/app"]
    assert scope.missing == ()


def test_a_list_that_cannot_be_read_leaves_the_other_types() -> None:
    scope, _ = find(Shelf([APP, OTHER], refused={"npm": LISTING}), "*", "npm maven")
    assert [str(one.key) for one in scope.packages] == ["maven/app"]
    assert len(scope.problems) == 1


def test_a_rejected_token_ends_the_run() -> None:
    unauthorized = ApiError(ApiErrorKind.UNAUTHORIZED, "Bad credentials", status=401)
    for text in ("app", "*"):
        with pytest.raises(NotAuthorized):
            find(Shelf([APP], refused={"app": unauthorized, "npm": unauthorized}), text)


def test_tombstones_are_left_out() -> None:
    scope, _ = find(Shelf([APP, package("deleted_app_1", number=5)]), "*")
    assert [str(one.key) for one in scope.packages] == ["npm/app"]
