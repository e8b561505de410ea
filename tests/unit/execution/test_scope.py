"""Which packages a run covers, and which are missing or cannot be read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

import pytest

from package_keeper.causes import Cause
from package_keeper.errors import ApiError, ApiErrorKind, NotAuthorized, OutOfTime
from package_keeper.execution.scope import PackageFilter, attempt_each, find_packages, owners_in_front
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
    renamed: dict[str, Package] = field(default_factory=dict)
    """What GitHub answers for another name."""
    together: list[list[str]] = field(default_factory=list)
    """The packages that were asked for at once."""
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
        keys = list(packages)
        self.together.append(list(map(str, keys)))
        for named in keys:
            try:
                found[named] = self.package(named)
            except ApiError as error:
                found[named] = error
        return found

    def package(self, package: PackageName) -> Package:
        self.asked.append(str(package))
        if package.name in self.refused:
            raise self.refused[package.name]
        if package.name in self.renamed:
            return self.renamed[package.name]
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


def find(shelf: Shelf, text: str, types: str = "npm", *, policy: str = "", **more: Any) -> tuple[Scope, Listener]:
    log = Listener()
    (patterns, problems), (also, others) = (parse_patterns(each, ignore_case=True) for each in (text, policy))
    assert problems + others == []
    kinds = [PackageType(word) for word in types.split()]
    wanted = PackageFilter(patterns=patterns, also=also, **more)
    return find_packages(shelf, log, owner="acme", types=kinds, wanted=wanted), log


def found(shelf: Shelf, text: str, types: str = "npm", **more: Any) -> list[str]:
    return [str(one.key) for one in find(shelf, text, types, **more)[0].packages]


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
    scope, log = find(Shelf([APP, package("deleted_app_1", number=5), package("deleted_app_2", number=6)]), "*")
    assert log.said == [("info", "2 npm packages are deleted already; left out")]
    assert scope.problems == ()


# --- two lists of patterns ---


@pytest.mark.parametrize(
    ("text", "policy", "packages", "asked"),
    [
        ("app", "*", ["npm/app"], ["npm/app"]),
        ("*", "app", ["npm/app"], ["npm/app"]),
        ("", "app", ["npm/app"], ["npm/app"]),
        ("app", "", ["npm/app"], ["npm/app"]),
        ("app", "app", ["npm/app"], ["npm/app"]),
        ("app", "app,lib", ["npm/app"], ["npm/app"]),
        ("l*", "app,lib", ["npm/lib"], ["npm/app", "npm/lib"]),
        ("!lib", "app,lib", ["npm/app"], ["npm/app", "npm/lib"]),
        ("app,l*", "app,lib", ["npm/app", "npm/lib"], ["npm/app", "npm/lib"]),
        ("app,lib", "!lib", ["npm/app"], ["npm/app", "npm/lib"]),
        ("a*", "*p", ["npm/app"], ["list npm"]),
        ("", "", ["npm/acme/tool", "npm/app", "npm/lib"], ["list npm"]),
        ("", "!lib", ["npm/acme/tool", "npm/app"], ["list npm"]),
    ],
)
def test_the_list_of_exact_names_is_searched_and_both_must_accept(
    text: str, policy: str, packages: list[str], asked: list[str]
) -> None:
    shelf = Shelf([LIB, APP, TOOL, OTHER])
    assert found(shelf, text, policy=policy) == packages
    assert shelf.asked == asked


# --- what is in scope ---

PRIVATE = package("app", visibility="private", repository_name="Acme/App")


@pytest.mark.parametrize(
    ("wanted", "objection"),
    [
        ({}, None),
        ({"visibility": "private"}, None),
        ({"visibility": "public"}, "its visibility is private, not public"),
        ({"repository": "ACME/App"}, None),
        ({"repository": "acme/web"}, "it is linked to Acme/App, not to acme/web"),
    ],
)
def test_a_package_out_of_scope_is_left_out_and_not_missing(wanted: dict[str, str], objection: str | None) -> None:
    packages = [] if objection else ["npm/app"]
    scope, log = find(Shelf([PRIVATE]), "app", **wanted)
    assert [str(one.key) for one in scope.packages] == packages
    assert (scope.named, scope.missing) == (frozenset() if objection else frozenset({PRIVATE.key}), ())
    assert log.said == ([("notice", f"npm/app is out of scope: {objection}")] if objection else [])
    # what is in a list only is left out without a word
    scope, log = find(Shelf([PRIVATE]), "*", **wanted)
    assert [str(one.key) for one in scope.packages] == packages
    assert (scope.named, log.said) == (frozenset(), [])


def test_unknown_properties_are_out_of_scope() -> None:
    for wanted, objection in (
        ({"visibility": "public"}, "its visibility is unknown, not public"),
        ({"repository": "acme/app"}, "it is linked to no repository, not to acme/app"),
    ):
        scope, log = find(Shelf([APP]), "app", **wanted)
        assert (scope.packages, log.said) == ((), [("notice", f"npm/app is out of scope: {objection}")])


def test_every_form_of_an_owner_may_stand_in_front() -> None:
    assert owners_in_front(["Acme", "", "acme"], "ghcr.io") == ("acme", "@acme", "ghcr.io/acme")
    forms = owners_in_front(["a", "b"], "Containers.Example")
    assert forms == tuple(
        f"{before}{login}" for login in "ab" for before in ("", "@", "ghcr.io/", "containers.example/")
    )


# --- names ---


def test_names_are_asked_for_together_and_only_if_no_list_has_them() -> None:
    shelf = Shelf([LIB, APP, TOOL])
    scope, _ = find(shelf, "app,lib,nowhere")
    assert shelf.together == [["npm/app", "npm/lib", "npm/nowhere"]]
    assert shelf.asked == ["npm/app", "npm/lib", "npm/nowhere", "list npm"], "each once"
    assert scope.named == frozenset({APP.key, LIB.key})
    shelf = Shelf([LIB, APP, TOOL])
    find(shelf, "app,nowhere,l*")
    assert shelf.asked == ["list npm", "npm/nowhere"]


def test_a_name_beside_globs_is_missing_whatever_the_policy_says() -> None:
    scope, _ = find(Shelf([APP]), "none,a*", policy="*")
    assert ([one.name for one in scope.packages], scope.missing) == (["app"], ("none",))


def test_a_name_is_compared_without_case_when_github_does_not_do_it() -> None:
    shelf = Shelf([APP])
    scope, _ = find(shelf, "APP,NONE")
    assert ([one.name for one in scope.packages], scope.missing) == (["app"], ("NONE",))
    assert shelf.asked == ["npm/APP", "npm/NONE", "list npm"], "the list is read once"
    assert found(Shelf([package("App")]), "app") == ["npm/App"]
    shelf = Shelf([APP], case_matters=False)
    assert (found(shelf, "APP"), shelf.asked) == (["npm/app"], ["npm/APP"])
    # a list that cannot be read is no problem of its own
    shelf = Shelf([APP], refused={"npm": LISTING})
    scope, _ = find(shelf, "APP")
    assert (scope.missing, scope.problems) == (("APP",), ())


def test_a_package_that_nobody_named_is_left_alone() -> None:
    shelf = Shelf([LIB], renamed={"app": LIB})
    scope, log = find(shelf, "app")
    assert (scope.packages, scope.missing) == ((), ("app",))
    assert log.said == [
        ("notice", "package: GitHub answers npm/lib for npm/app; nobody named that, so it is left alone")
    ]
    assert found(Shelf([], renamed={"app": package("app", "maven")}), "app") == []
    assert found(Shelf([], renamed={"app": package("App")}), "app") == ["npm/App"]


def test_an_error_for_one_name_is_not_a_missing_package() -> None:
    scope, _ = find(Shelf([LIB], refused={"acme/app": FORBIDDEN}), "acme/app,gone,lib")
    assert [(one.what, one.error) for one in scope.problems] == [("npm/acme/app", FORBIDDEN)]
    assert (scope.missing, [one.name for one in scope.packages]) == (("gone",), ["lib"])
    scope, _ = find(Shelf([], refused={"app": FORBIDDEN}), "acme/app")
    assert [one.what for one in scope.problems] == ["npm/app"]
    assert scope.missing == ()


@pytest.mark.parametrize("name", ["acme/", "other/app", "app/acme"])
def test_only_the_owner_in_front_is_left_out_of_a_name(name: str) -> None:
    shelf = Shelf([APP])
    assert find(shelf, name)[0].missing == (name,)
    assert shelf.asked == [f"npm/{name}", "list npm"]


def test_an_exclusion_counts_for_a_name_without_its_owner_too() -> None:
    scope, _ = find(Shelf([APP]), "acme/app,!app")
    assert (scope.packages, scope.missing) == ((), ())


def test_a_package_that_is_found_twice_is_in_scope_once() -> None:
    scope, _ = find(Shelf([APP]), "app,acme/app,APP,a*")
    assert [str(one.key) for one in scope.packages] == ["npm/app"]


# --- lists ---


def test_an_entry_that_cannot_be_read_is_a_problem_if_it_may_be_in_scope() -> None:
    damaged = [UnreadablePackage(name=name, why="broken") for name in ("", "abc", "xyz")]
    scope, _ = find(Shelf([APP], damaged=damaged), "a*")
    assert [(one.what, str(one.error)) for one in scope.problems] == [
        ("an entry in the list of npm packages", "broken"),
        ("npm/abc", "broken"),
    ]
    assert [one.name for one in scope.packages] == ["app"]
    # the list is only read to compare names without case
    scope, _ = find(Shelf([APP], damaged=damaged), "APP")
    assert (scope.problems, [one.name for one in scope.packages]) == ((), ["app"])


def test_a_list_that_cannot_be_read_is_named_and_asked_for_once() -> None:
    shelf = Shelf([APP, OTHER], refused={"npm": LISTING})
    scope, _ = find(shelf, "app,a*", "npm maven")
    assert [(one.what, one.error) for one in scope.problems] == [("the list of npm packages", LISTING)]
    assert [str(one.key) for one in scope.packages] == ["maven/app", "npm/app"]
    assert shelf.asked == ["list npm", "list maven", "npm/app"]
    shelf = Shelf([APP], refused={"npm": LISTING})
    find(shelf, "none,a*")
    assert shelf.asked == ["list npm", "npm/none"]


def test_a_problem_hides_which_entries_match_nothing() -> None:
    assert [kind for kind, _ in find(Shelf([APP]), "*,!zzz")[1].said] == ["warning"]
    assert find(Shelf([APP, OTHER], refused={"npm": LISTING}), "*,!zzz", "npm maven")[1].said == []


def test_an_entry_that_matches_nothing_is_told_with_its_list() -> None:
    owners = ("acme",)
    hint = "'acme/a*' matches nothing; write it without the owner in front"
    assert find(Shelf([APP]), "acme/a*", owners=owners)[1].said == [("warning", f"package: {hint}")]
    _, log = find(Shelf([APP]), "*", policy="acme/a*", owners=owners)
    assert log.said == [("warning", f"packages of the policy: {hint}")]
    _, log = find(Shelf([APP]), "a*", policy="acme/app,b*", owners=owners)
    assert log.said == [("warning", f"packages of the policy: {hint.replace('a*', 'app')}")]
    # a name with the owner in it counts without it too, however it is written
    shelf = Shelf([package("acme/app")], case_matters=False)
    assert find(shelf, "ACME/app,!app", owners=owners)[1].said == []
    # without a list, only the one that was searched
    assert find(Shelf([APP]), "app,!zzz", policy="!zzz")[1].said == [
        ("warning", "package: '!zzz' excludes nothing: no package that was looked at has such a name")
    ]
    # a name that is not found is missing, and a glob that matches nothing at all is no error
    assert find(Shelf([APP]), "acme/app,zzz*,acme/z*", owners=owners)[1].said == [
        ("notice", "package: nothing is named 'acme/app'; taken as 'app', without the owner")
    ]
    # one that matches something is not idle
    assert find(Shelf([APP, package("acme/app")]), "acme/a*", owners=owners)[1].said == []
    _, log = find(Shelf([package(name) for name in "fedcba"]), "*,!acme/[a-f]", owners=owners)
    assert log.said == [
        (
            "notice",
            "package: '!acme/[a-f]' is taken without the owner in front too: it excludes a, b, c, d, e and 1 more",
        )
    ]


# --- a step for each ---


def test_a_step_that_fails_for_one_loses_nothing_of_the_others() -> None:
    over = ApiError(ApiErrorKind.UNAUTHORIZED, "Bad credentials", status=401, cause=Cause.CREDENTIALS)

    def step(name: str) -> str:
        errors = {"bad": FORBIDDEN, "over": over, "late": OutOfTime()}
        if name in errors:
            raise errors[name]
        return name.upper()

    def tried(*names: str) -> tuple[object, ...]:
        result = attempt_each(names, step, lambda name: (f"the {name}", APP.key))
        problems = [(one.what, one.error, one.package) for one in result.problems]
        return result.results, problems, result.ended_by

    assert tried("a", "bad", "b") == (("A", "B"), [("the bad", FORBIDDEN, APP.key)], None)
    late = attempt_each(["a", "bad", "late", "b"], step, lambda name: (name, None))
    assert (late.results, len(late.problems), type(late.ended_by)) == (("A",), 1, OutOfTime)
    ended = attempt_each(["a", "over", "b"], step, lambda name: (name, None))
    assert (ended.results, ended.problems, type(ended.ended_by)) == (("A",), (), NotAuthorized)
    assert ended.ended_by is not None
    assert ended.ended_by.causes == (Cause.CREDENTIALS,)
