"""An exclusion matches with or without the owner in front. One that matches nothing gives a warning."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from package_keeper.execution.scope import PackageFilter, find_packages, owners_in_front
from package_keeper.inputs.patterns import parse_patterns
from package_keeper.model.packages import PackageType
from tests.unit.execution.test_executor import Listener
from tests.unit.execution.test_scope import LISTING, Shelf
from tests.unit.making import package

OWNERS = owners_in_front(("Acme", "old-acme"), "containers.ghes.example")
NAMES = ["acme-web", "app", "base", "base-2", "team/base"]


def names(text: str, policy: str = "", there: list[str] | None = None) -> tuple[list[str], Listener]:
    log = Listener()
    shelf = Shelf([package(name, number=number) for number, name in enumerate(NAMES if there is None else there)])
    lists = [parse_patterns(each, ignore_case=True) for each in (text, policy)]
    assert [problems for _, problems in lists] == [[], []]
    wanted = PackageFilter(patterns=lists[0][0], also=lists[1][0], owners=OWNERS)
    scope = find_packages(shelf, log, owner="Acme", types=[PackageType.NPM], wanted=wanted)
    assert scope.problems == ()
    return [one.name for one in scope.packages], log


def said(log: Listener, kind: str) -> list[str]:
    return [text for one, text in log.said if one == kind]


@pytest.mark.parametrize(
    "entry",
    [
        "acme/base",
        "ACME/base",
        "Acme/BASE",
        "@acme/base",
        "ghcr.io/acme/base",
        "GHCR.IO/Acme/base",
        "containers.ghes.example/acme/base",
        "old-acme/base",
        "acme/bas?",
        "acme/[b]ase",
        "ac*/base",
        "a*/base",
        "/^acme\\/base$/",
        "/^acme/base$/",
        "/^(acme|other)\\/base$/",
        "/acme\\/base$/",
        "/^ghcr\\.io\\/acme\\/base$/",
    ],
)
def test_an_exclusion_with_the_owner_in_front_excludes(entry: str) -> None:
    rest = ["acme-web", "app", "base-2", "team/base"]
    for text, policy in ((f"*\n!{entry}", ""), (f"!{entry}", ""), ("*", f"!{entry}"), ("", f"*\n!{entry}")):
        found, log = names(text, policy)
        assert found == rest, (text, policy)
        assert len(said(log, "notice")) == 1
        assert said(log, "warning") == []
    assert names(f"base\n!{entry}")[0] == []
    assert names(f"acme/base\n!{entry}")[0] == []
    assert names("base,app", f"!{entry}")[0] == ["app"]


@pytest.mark.parametrize(
    ("entry", "left"),
    [
        ("acme/*", []),
        ("ghcr.io/*", []),
        ("acme/base*", ["acme-web", "app", "team/base"]),
        ("acme/team/base", ["acme-web", "app", "base", "base-2"]),
        ("acme*", ["app", "base", "base-2", "team/base"]),
        ("/^acme/", ["app", "base", "base-2", "team/base"]),
        ("/^a.*/", ["base", "base-2", "team/base"]),
        ("*/base", ["acme-web", "app", "base", "base-2"]),
        ("*/*", ["acme-web", "app", "base", "base-2"]),
        ("/^[a-z]+\\/base$/", ["acme-web", "app", "base", "base-2"]),
        ("????????/base", ["acme-web", "app", "base", "base-2", "team/base"]),
        ("team/*", ["acme-web", "app", "base", "base-2"]),
    ],
)
def test_the_owner_in_front_counts_only_in_entries_that_name_it(entry: str, left: list[str]) -> None:
    assert names(f"*\n!{entry}")[0] == left


def test_names_with_and_without_the_owner_are_excluded() -> None:
    found, log = names("*,!acme/base", there=["acme/base", "base", "app"])
    assert found == ["app"]
    assert len(said(log, "notice")) == 1


def test_the_owner_of_the_run_is_compared_without_case() -> None:
    for name in ("acme/app", "ACME/APP"):
        found, log = names(name)
        assert found == ["app"]
        assert len(said(log, "notice")) == 1


def test_an_exclusion_that_matches_with_and_without_the_owner_needs_no_word() -> None:
    found, log = names("*\n!/^(acme\\/)?base$/")
    assert found == ["acme-web", "app", "base-2", "team/base"]
    assert log.said == []
    # nor does one that the name itself shows, in capitals or with the owner in it
    assert names("*,!app")[1].said == []
    assert names("ACME/app,!app")[1].said == []
    assert names("*,!base", there=["Acme/base"])[1].said == []


@pytest.mark.parametrize(
    ("text", "policy", "excluded"),
    [
        ("!base", "", ["base"]),
        ("", "!base", ["base"]),
        ("!app", "!base", ["app", "base"]),
        ("!acme/base", "*", ["base"]),
        ("base", "app", []),
        ("", "", []),
    ],
)
def test_either_list_excludes_a_name(text: str, policy: str, excluded: list[str]) -> None:
    patterns, also = (parse_patterns(each, ignore_case=True)[0] for each in (text, policy))
    wanted = PackageFilter(patterns=patterns, also=also, owners=OWNERS)
    assert [name for name in ("app", "base", "lib") if wanted.excludes(name)] == excluded


@pytest.mark.parametrize("entry", ["nothing", "acme/nothing", "other/base", "bases", "/^x/"])
def test_an_exclusion_that_matches_nothing_gives_a_warning(entry: str) -> None:
    for text, policy in ((f"*\n!{entry}", ""), ("*", f"!{entry}")):
        found, log = names(text, policy)
        assert found == NAMES
        (warning,) = said(log, "warning")
        assert f"'!{entry}' excludes nothing" in warning


def test_an_exclusion_of_a_policy_that_is_not_searched_gives_no_warning() -> None:
    found, log = names("app", "*,!base")
    assert found == ["app"]
    assert log.said == []


def test_without_a_list_exclusions_give_no_warning() -> None:
    log = Listener()
    patterns, _ = parse_patterns("*,!nothing")
    wanted = PackageFilter(patterns=patterns, owners=OWNERS)
    find_packages(Shelf([], refused={"npm": LISTING}), log, owner="Acme", types=[PackageType.NPM], wanted=wanted)
    assert log.said == []


def test_an_including_glob_is_not_matched_without_the_owner() -> None:
    """It would match more than the user wrote: `acme/*` is not `*`."""
    found, log = names("acme/b*")
    assert found == []
    assert len(said(log, "warning")) == 1


PACKAGES = st.from_regex(r"[a-d]([-/]?[a-d]){0,4}", fullmatch=True)


@given(
    st.lists(PACKAGES, min_size=1, max_size=8, unique=True),
    st.data(),
    st.sampled_from(["acme/", "ACME/", "@acme/", "ghcr.io/acme/", ""]),
    st.sampled_from(["{}", "{}*", "*{}", "/^{}$/", "/{}$/"]),
)
def test_an_excluded_package_is_never_in_scope(there: list[str], data: st.DataObject, prefix: str, form: str) -> None:
    name = data.draw(st.sampled_from(there))
    entry = form.format(prefix + name)
    assert name not in names(f"*\n!{entry}", there=there)[0]
    assert name not in names(f"{name}\n!{entry}", there=there)[0]
    assert name not in names("*", f"!{entry}", there=there)[0]
