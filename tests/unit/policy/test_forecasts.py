"""What is said beforehand: one forecast for each cause, nothing without evidence."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from package_keeper.model.packages import PackageType, Timestamp
from package_keeper.model.permissions import TokenFacts
from package_keeper.model.plan import Action, Decision, Outcome, Plan, PlannedWrite, Reason
from package_keeper.model.run import Forecast
from package_keeper.policy.forecasts import Evidence, forecasts
from package_keeper.policy.guards import Guards, OnLastVersion, guard
from package_keeper.policy.planning import plan_deletions
from tests.unit.making import key, package, version

PAGE = "https://github.com/orgs/acme/packages"


def deletions(*names: str, limit: int = 0, kind: str = "npm") -> Any:
    """A guarded plan that deletes one version of each package."""
    writes = [
        PlannedWrite(action=Action.DELETE, reason=Reason.SELECTED, package=key(kind, name), version_id=number)
        for number, name in enumerate(names, start=1)
    ]
    return guard(Plan.of_singles(writes), Guards(limit=limit))


def evidence(*packages: Any, **more: Any) -> Evidence:
    return Evidence(packages={each.key: each for each in packages}, **more)


def foreseen(guarded: Any, known: Evidence) -> tuple[Forecast, ...]:
    return forecasts(guarded, OnLastVersion.KEEP, known)


@pytest.mark.parametrize(
    ("headers", "scopes", "is_workflows"),
    [
        ({}, None, False),
        ({"x-oauth-scopes": ""}, None, False),
        ({"x-oauth-scopes": " , "}, None, False),
        ({"x-oauth-scopes": "repo, read:packages"}, {"repo", "read:packages"}, False),
        ({"x-ratelimit-limit": "1000"}, None, True),
        ({"x-ratelimit-limit": "5000"}, None, False),
        ({"x-ratelimit-limit": "15000"}, None, False),
        ({"x-ratelimit-limit": "1000", "x-oauth-scopes": ""}, None, False),
        ({"x-ratelimit-limit": "1000", "x-oauth-scopes": "repo"}, {"repo"}, False),
    ],
)
def test_what_headers_show_about_a_token(headers: dict[str, str], scopes: set[str] | None, is_workflows: bool) -> None:
    assert TokenFacts.of(headers) == TokenFacts(
        scopes=None if scopes is None else frozenset(scopes), is_workflows=is_workflows
    )


@pytest.mark.parametrize(
    ("scopes", "action", "kind", "visibility", "missing"),
    [
        ("read:packages", Action.DELETE, "npm", "private", ("delete:packages",)),
        ("read:packages delete:packages", Action.DELETE, "npm", "private", ()),
        ("delete:packages", Action.DELETE, "npm", "private", ("read:packages",)),
        ("write:packages delete:packages", Action.DELETE, "container", None, ()),
        ("write:packages", Action.RESTORE, "nuget", "private", ()),
        ("read:packages delete:packages", Action.RESTORE, "rubygems", "private", ("write:packages",)),
        ("read:packages write:packages", Action.UNTAG, "container", "private", ("delete:packages",)),
        ("read:packages delete:packages", Action.DELETE, "maven", "private", ("repo",)),
        ("read:packages delete:packages public_repo", Action.DELETE, "maven", "private", ("repo",)),
        ("read:packages delete:packages public_repo", Action.DELETE, "docker", "public", ()),
        ("read:packages delete:packages public_repo", Action.DELETE, "docker", None, ()),
        ("read:packages delete:packages repo", Action.DELETE, "docker", "internal", ()),
    ],
)
def test_scopes_that_a_write_needs(
    scopes: str, action: Action, kind: str, visibility: str | None, missing: tuple[str, ...]
) -> None:
    token = TokenFacts(scopes=frozenset(scopes.split()))
    assert token.missing_scopes(action, PackageType(kind), visibility) == missing
    assert TokenFacts().missing_scopes(action, PackageType(kind), visibility) == ()


def test_ten_packages_with_one_cause_are_one_forecast() -> None:
    names = [f"app{number}" for number in range(10)]
    found = foreseen(
        deletions(*reversed(names)),
        evidence(
            *(package(name, html_url=f"{PAGE}/npm/package/{name}") for name in names),
            token=TokenFacts(scopes=frozenset({"read:packages"})),
        ),
    )
    assert [forecast.what for forecast in found] == [
        "the token lacks delete:packages, so GitHub will refuse the writes to 10 packages"
    ]
    assert [each.package.name for each in found[0].packages] == names
    assert found[0].packages[3].settings_url == f"{PAGE}/npm/app3/settings"


@pytest.mark.parametrize(
    ("page", "settings"),
    [
        (None, ""),
        ("", ""),
        (f"{PAGE}/container/package/a%2Fpackage%2Fb", f"{PAGE}/container/a%2Fpackage%2Fb/settings"),
        (
            "https://git.corp:8443/users/me/packages/npm/package/x",
            "https://git.corp:8443/users/me/packages/npm/x/settings",
        ),
        ("https://github.com/acme/package/packages/42", "https://github.com/acme/package/packages/42/settings"),
    ],
)
def test_the_address_of_a_packages_settings(page: str | None, settings: str) -> None:
    known = evidence(package(html_url=page), token=TokenFacts(scopes=frozenset({"read:packages"})))
    (found,) = foreseen(deletions("app"), known)
    assert found.packages[0].settings_url == settings


@pytest.mark.parametrize(
    ("page", "is_shown"),
    [
        (f"{PAGE}/npm/package/app", True),
        ("https://git.corp:8443/orgs/acme/packages/npm/package/app", True),
        ("https://evil.example/orgs/acme/packages/npm/package/app", False),
        ("https://github.com@evil.example/packages/npm/package/app", False),
        ("https://github.com.evil.example/packages/npm/package/app", False),
        ("https://[", False),
        ("javascript:alert(1)", False),
    ],
)
def test_no_address_of_another_host_is_shown(page: str, is_shown: bool) -> None:
    token = TokenFacts(scopes=frozenset({"read:packages"}))
    known = evidence(package(html_url=page), token=token, page_hosts=frozenset({"github.com", "git.corp"}))
    (found,) = foreseen(deletions("app"), known)
    assert (found.packages[0].settings_url != "") is is_shown


@pytest.mark.parametrize(
    ("linked", "ours", "is_workflows", "detail"),
    [
        ("acme/app", "Acme/App", True, None),
        ("acme/other", "acme/app", True, "linked to acme/other"),
        ("Acme/App", "acme/app", True, None),
        (None, "acme/app", True, "linked to no repository"),
        (None, "acme/app", False, None),
        (None, "", True, None),
    ],
)
def test_packages_of_other_repositories(linked: str | None, ours: str, is_workflows: bool, detail: str | None) -> None:
    known = evidence(package(repository_name=linked), token=TokenFacts(is_workflows=is_workflows), repository=ours)
    found = foreseen(deletions("app", "unknown"), known)
    assert [each.detail for forecast in found for each in forecast.packages] == ([] if detail is None else [detail])


@pytest.mark.parametrize("visibility", ["private", "internal", None])
def test_a_package_that_is_not_public_may_go_whatever_an_earlier_run_saw(visibility: str | None) -> None:
    seen = frozenset({(key(), 1), (key(), None)})
    assert foreseen(deletions("app"), evidence(package(visibility=visibility), refused_for_downloads=seen)) == ()
    assert foreseen(deletions("app"), evidence(package(visibility="public"), refused_for_downloads=seen)) != ()


def test_only_the_versions_that_were_refused_are_named() -> None:
    versions = [version(number) for number in range(1, 8)]
    plan = Plan.of_singles([PlannedWrite.of(each, Action.DELETE, Reason.SELECTED) for each in versions])
    seen = frozenset({(key(), number) for number in (1, 2, 4, 5, 7, 99)} | {(key(name="lib"), 3)})
    (found,) = foreseen(guard(plan, Guards()), evidence(package(visibility="public"), refused_for_downloads=seen))
    assert found.packages[0].detail == "1.0.1, 1.0.2, 1.0.4 and 2 more"
    three = seen - {(key(), 5), (key(), 7)}
    (found,) = foreseen(guard(plan, Guards()), evidence(package(visibility="public"), refused_for_downloads=three))
    assert found.packages[0].detail == "1.0.1, 1.0.2, 1.0.4"


def test_a_package_is_foreseen_to_stay_only_when_it_was_refused_itself() -> None:
    whole = PlannedWrite(action=Action.DELETE, reason=Reason.SELECTED, package=key())
    for refused, is_foreseen in (((key(), None), True), ((key(), 7), True), ((key(name="lib"), None), False)):
        known = evidence(package(visibility="public"), refused_for_downloads=frozenset({refused}))
        assert bool(foreseen(guard(Plan.of_singles([whole]), Guards()), known)) is is_foreseen


def test_a_tag_that_cannot_be_removed_is_no_last_version() -> None:
    one = version(1, of=key("container"), tags=("pr-1", "v1"))
    untag = PlannedWrite.of(one, Action.UNTAG, Reason.PLAN, tag="pr-1", expected=Outcome.FAILED)
    assert foreseen(guard(Plan.of_singles([untag]), Guards()), evidence()) == ()


def test_downloads_do_not_hinder_that_a_tag_is_removed() -> None:
    one = version(1, of=key("container"), tags=("pr-1", "v1"))
    seen = frozenset({(key("container"), 1)})
    known = evidence(package(kind="container", visibility="public"), refused_for_downloads=seen)
    untag = PlannedWrite.of(one, Action.UNTAG, Reason.SELECTED, tag="pr-1")
    assert foreseen(guard(Plan.of_singles([untag]), Guards()), known) == ()
    assert foreseen(guard(Plan.of_singles([replace(untag, action=Action.DELETE, tag=None)]), Guards()), known) != ()


def test_what_this_run_does_not_send_is_not_foreseen() -> None:
    known = evidence(token=TokenFacts(scopes=frozenset({"read:packages"})))
    (found,) = foreseen(deletions("one", "two", limit=1), known)
    assert [each.package.name for each in found.packages] == ["one"]
    refused = PlannedWrite.of(version(1), Action.DELETE, Reason.SELECTED, expected=Outcome.ALREADY_GONE)
    assert foreseen(guard(Plan.of_singles([refused]), Guards()), known) == ()


def test_packages_that_lack_the_same_scopes_are_one_forecast_and_others_another_one() -> None:
    writes = [
        PlannedWrite(action=action, reason=Reason.SELECTED, package=key(kind, name), version_id=1, tag=tag)
        for kind, name, action, tag in (
            ("container", "a", Action.UNTAG, "x"),
            ("container", "b", Action.DELETE, None),
            ("container", "b", Action.UNTAG, "x"),
            ("maven", "c", Action.DELETE, None),
            ("npm", "d", Action.DELETE, None),
        )
    ]
    granted = {"user", "gist", "workflow", "notifications", "admin:org"}
    token = TokenFacts(scopes=frozenset(granted))
    found = foreseen(guard(Plan.of_singles(writes), Guards()), evidence(token=token))
    assert [(each.what.partition(",")[0], [one.package.name for one in each.packages]) for each in found] == [
        ("the token lacks delete:packages and read:packages and write:packages", ["a", "b"]),
        ("the token lacks delete:packages and read:packages and repo", ["c"]),
        ("the token lacks delete:packages and read:packages", ["d"]),
    ]
    for each in found:
        assert each.remedy.startswith(f"Its scopes are {', '.join(sorted(granted))}. Add delete:packages and ")


def test_what_has_changed_since_the_plan_does_not_go() -> None:
    versions = [version(number) for number in (1, 2)]
    decisions = [Decision(version=each, action=Action.DELETE, reason=Reason.PLAN) for each in versions]
    writes = [PlannedWrite.of(each, Action.DELETE, Reason.PLAN) for each in versions]
    (found,) = foreseen(guard(Plan.of_singles(writes, decisions), Guards()), evidence())
    assert found.what == "the rules take every version of 1 package"
    writes[0] = replace(writes[0], expected=Outcome.CHANGED_SINCE_PLAN)
    assert foreseen(guard(Plan.of_singles(writes, decisions), Guards()), evidence()) == ()


@pytest.mark.parametrize(
    ("on_last_version", "detail", "word"),
    [
        (OnLastVersion.KEEP, "3 versions; 1.0.1 stays", "the newest image stays"),
        (OnLastVersion.FAIL, "3 versions; 1.0.1 stays", "the newest image stays"),
        (OnLastVersion.DELETE_PACKAGE, "3 versions", "deletes the whole package"),
    ],
)
def test_rules_that_take_every_version(on_last_version: OnLastVersion, detail: str, word: str) -> None:
    """One package has nothing else, the other keeps a version."""
    all_go = [Decision(version=version(n), action=Action.DELETE, reason=Reason.SELECTED) for n in (1, 2, 3)]
    some_stay = [
        Decision(version=version(number, of=key(name="lib")), action=action, reason=reason)
        for number, action, reason in (
            (4, Action.DELETE, Reason.SELECTED),
            (5, Action.KEEP, Reason.NOT_SELECTED),
        )
    ]
    plan = plan_deletions([*all_go, *some_stay], Timestamp.UPDATED, {})
    guarded = guard(plan, Guards(on_last_version=on_last_version))
    (found,) = forecasts(guarded, on_last_version, evidence())
    assert found.what == "the rules take every version of 1 package"
    assert [(str(each.package), each.detail) for each in found.packages] == [("npm/app", detail)]
    assert word in found.remedy
