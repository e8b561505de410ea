"""What the log says about decisions, outcomes and problems: each message whole, as the runner gets it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

import pytest

from package_keeper.causes import Cause
from package_keeper.errors import ApiError, ApiErrorKind
from package_keeper.execution.wording import NOT_SENT, NOT_TRIED
from package_keeper.model.images import Image
from package_keeper.model.packages import Version
from package_keeper.model.plan import Action, Decision, Outcome, Plan, PlannedWrite, Reason, WriteRecord
from package_keeper.model.run import Forecast, ForecastPackage, PackageEvaluation, Problem, Scope
from package_keeper.operations.context import Context
from package_keeper.operations.reading import Inventory
from package_keeper.operations.telling import (
    tell_evaluation,
    tell_forecasts,
    tell_no_package,
    tell_outcomes,
    tell_problems,
    tell_stubs,
    warn_about_torn_images,
    warn_about_unknown_tags,
)
from package_keeper.policy.retention import KeepLists
from package_keeper.policy.rules import Rules
from tests.unit.making import key, package, patterns, rule, rules, version
from tests.unit.operations.account import Told

APP = key("container")
IDLE = "warning (A pattern matches nothing)"
ADVICE = "\nA pattern matches nothing"
"""What the log adds once, for a cause in the catalogue."""


@pytest.fixture
def log() -> Told:
    return Told()


def digest(number: int) -> str:
    return f"sha256:{number:04x}".ljust(71, "0")


def image(number: int, **more: Any) -> Version:
    fields: dict[str, Any] = {"of": APP, "name": digest(number)} | more
    return version(number, **fields)


def keep(of: Version, reason: Reason = Reason.NOT_SELECTED, **more: Any) -> Decision:
    return Decision(version=of, action=Action.KEEP, reason=reason, **more)


def evaluated(
    log: Told,
    versions: Sequence[Version],
    asked: Rules,
    decisions: Sequence[Decision] = (),
    *,
    stubs: Sequence[Version] = (),
    images: Sequence[Image] = (),
    is_found: bool = True,
) -> None:
    """Tell what was decided about the versions of one package, or of none when it is not found."""
    nothing = cast("Any", None)
    context = Context(
        settings=nothing,
        owner=nothing,
        receipt=None,
        wanted=nothing,
        rules=asked,
        facts=nothing,
        reader=nothing,
        registry=nothing,
        writing=None,
        clock=nothing,
        log=log,
    )
    found = [(package("app", "container"), list(versions))] if is_found else []
    inventory = Inventory(scope=Scope(packages=tuple(each for each, _ in found)), found=found)
    packages = [PackageEvaluation(package=APP, images=tuple(images), decisions=tuple(decisions))]
    tell_evaluation(context, inventory, decisions, stubs, packages)


# --- what was decided ---


def test_decisions_are_counted_by_package_and_reason(log: Told) -> None:
    root = image(1, tags=("v1",))
    decisions = [
        keep(image(2), Reason.NEEDED_BY, root=root),
        keep(image(3), Reason.NEEDED_BY, root=root),
        Decision(version=version(9), action=Action.DELETE, reason=Reason.RULE, rule="old"),
        keep(root),
        Decision(version=image(4), action=Action.DELETE, reason=Reason.SELECTED),
    ]
    evaluated(log, [], rules(rule()), decisions)
    assert log.said == [
        "info: container/app: 1 delete selected, 2 keep needed-by, 1 keep not-selected",
        "info: npm/app: 1 delete rule:old",
    ]


def test_each_decision_is_a_line_at_debug() -> None:
    log = Told("debug")
    root = image(1, tags=("v1", "latest"))
    evaluated(log, [], rules(rule()), [keep(root), keep(image(2), Reason.NEEDED_BY, root=root)])
    assert log.said == [
        "debug: container/app sha256:000100000000 [v1, latest] (id 1): keep not-selected",
        "debug: container/app sha256:000200000000 [] (id 2): keep needed-by (sha256:000100000000)",
        "info: container/app: 1 keep needed-by, 1 keep not-selected",
    ]


def test_versions_that_were_named_and_stay_as_parts_are_warned_about(log: Told) -> None:
    root = image(1, tags=("v1",))
    decisions = [
        keep(root, Reason.KEEP_TAGS),
        keep(image(2), Reason.NEEDED_BY, root=root),
        keep(image(3), Reason.NEEDED_BY, root=root),
        keep(image(4), Reason.NEEDED_BY),
    ]
    versions = [decision.version for decision in decisions]
    evaluated(log, versions, rules(rule(version_ids=frozenset({1, 2, 4}))), decisions)
    assert log.said[:-1] == [
        "warning: version-ids: 2 stays, since the image sha256:000100000000 needs it",
        "warning: version-ids: 4 stays, since the image an image needs it",
    ]


def test_ids_and_digests_that_are_nowhere_are_warned_about_in_order(log: Told) -> None:
    ids = [1 << place for place in range(30, 0, -5)]
    kept = KeepLists(digests=frozenset(digest(number) for number in (9, 7, 8, 5, 3, 6)))
    needs = Image(root=image(5), missing=(digest(7),))
    evaluated(log, [needs.root], rules(rule(version_ids=frozenset([5, *ids])), lists=kept), images=[needs])
    assert log.said == [
        *(f"warning: version-ids: {each} was found in no package in scope" for each in sorted(ids)[:5]),
        "warning: version-ids: 1 more like these",
        *(f"warning: keep-digests: sha256:000{each}00000000 was found in no package in scope" for each in (3, 6, 8, 9)),
    ]


def test_five_warnings_of_a_kind_are_all_that_is_said(log: Told) -> None:
    evaluated(log, [], rules(rule(version_ids=frozenset(range(1, 6)))))
    assert log.said == [f"warning: version-ids: {each} was found in no package in scope" for each in range(1, 6)]


# --- patterns that match nothing ---


def test_entries_that_match_nothing_are_one_warning_for_each_list(log: Told) -> None:
    versions = [image(1, tags=("v1", "latest")), image(2, tags=("v2",))]
    asked = rules(
        rule(tags=patterns("v*,V1,/^nightly/,!beta"), versions=patterns("sha256:*,v1,1.0")),
        lists=KeepLists(tags=patterns("latest,stable"), versions=patterns("latest")),
    )
    evaluated(log, versions, asked)
    assert log.said == [
        f"{IDLE}: tags: 'V1', '/^nightly/', '!beta' match none of the 3 tags in scope" + ADVICE,
        f"{IDLE}: versions: 'v1', '1.0' match none of the 2 version names in scope",
        f"{IDLE}: keep-tags: 'stable' matches none of the 3 tags in scope",
        f"{IDLE}: keep-versions: 'latest' matches none of the 2 version names in scope",
    ]


def test_the_lists_of_each_rule_of_a_policy_have_its_name(log: Told) -> None:
    asked = rules(rule("old", tags=patterns("v1")), rule("new", versions=patterns("v1")), rule("rest"))
    evaluated(log, [image(1, tags=("v2",))], asked)
    assert log.said == [
        f"{IDLE}: policy, rule 'old', tags: 'v1' matches none of the 1 tags in scope" + ADVICE,
        f"{IDLE}: policy, rule 'new', versions: 'v1' matches none of the 1 version names in scope",
    ]


def test_an_entry_that_looks_like_an_expression_gets_a_hint(log: Told) -> None:
    evaluated(log, [image(1, tags=("v1",))], rules(rule(tags=patterns("nightly,!^v\\d+$,^pr-"))))
    assert log.said == [
        f"{IDLE}: tags: 'nightly', '^pr-', '!^v\\d+$' match none of the 1 tags in scope; "
        "a regular expression stands between slashes: /^pr-/" + ADVICE,
    ]


def test_nothing_is_said_about_entries_that_match_or_when_no_package_is_found(log: Told) -> None:
    asked = rules(rule(tags=patterns("v1"), versions=patterns("/^sha256/")))
    evaluated(log, [image(1, tags=("v1",)), image(2)], asked)
    evaluated(log, [], asked, is_found=False)
    assert log.said == []


# --- what stays as it is ---


def test_unknown_tags_are_one_warning(log: Told) -> None:
    warn_about_unknown_tags([keep(image(1)), keep(image(2))], log)
    assert log.said == []
    warn_about_unknown_tags([keep(image(1), Reason.UNREADABLE), keep(image(2))], log)
    assert [line.partition(" versions")[0] for line in log.said] == ["warning: 1"]


@pytest.mark.parametrize(("number", "more"), [(5, []), (7, ["and 2 more packages with such versions"])])
def test_stubs_are_one_notice_with_a_line_for_each_package(log: Told, number: int, more: list[str]) -> None:
    found = [image(each, of=key("container", f"app{each}")) for each in range(number)]
    tell_stubs([*found, image(99, of=found[0].package)], log)
    (notice,) = log.said
    first, *lines = notice.splitlines()
    assert first.startswith("notice (empty manifests): container/app0: 2 versions are empty manifests")
    assert first.endswith("; version-ids: 0,99 deletes them")
    assert [line.partition(": ")[0] for line in lines[:4]] == [f"container/app{each}" for each in range(1, 5)]
    assert lines[4:] == more


def test_nothing_is_said_without_stubs(log: Told) -> None:
    tell_stubs([], log)
    assert log.said == []


def test_what_evaluation_found_to_be_stubs_is_said(log: Told) -> None:
    evaluated(log, [], rules(rule()), stubs=[image(1)])
    (notice,) = log.said
    assert notice.startswith("notice (empty manifests): container/app: 1 version is an empty manifest")


@pytest.mark.parametrize(("number", "more"), [(5, []), (7, ["- and 2 more"])])
def test_a_forecast_names_the_first_packages(log: Told, number: int, more: list[str]) -> None:
    concerned = [ForecastPackage(package=key("npm", f"app{each}")) for each in range(number - 1)]
    first = ForecastPackage(package=key(), detail="7 versions", settings_url="https://github.com/settings")
    tell_forecasts([Forecast(what="GitHub may refuse", packages=(first, *concerned), remedy="Ask for it.")], log)
    (warning,) = log.said
    assert warning.splitlines() == [
        "warning (forecast): GitHub may refuse:",
        "- npm/app (7 versions) https://github.com/settings",
        *(f"- npm/app{each}" for each in range(4)),
        *more,
        "Ask for it.",
    ]


# --- what came of it ---


def deletion(number: int) -> PlannedWrite:
    return PlannedWrite.of(image(number), Action.DELETE, Reason.SELECTED)


def torn(log: Told, groups: Iterable[Sequence[int]], gone: Iterable[int]) -> None:
    plan = Plan(groups=tuple(tuple(map(deletion, group)) for group in groups))
    warn_about_torn_images(plan, frozenset(gone), log)


def test_images_whose_parts_are_left_are_warned_about(log: Told) -> None:
    # whole, torn in two ways, refused, without parts, whose last part stays
    torn(log, [[1, 2], [3, 4], [5, 6, 7], [8, 9], [10], [11, 12, 13]], gone=[1, 2, 3, 5, 6, 9, 10, 11, 12])
    (warning,) = log.said
    assert warning.startswith(
        "warning: 3 images are deleted, but not all of their parts "
        "(sha256:000300000000, sha256:000500000000, sha256:000b00000000): the parts that stay"
    )


def test_only_three_torn_images_are_named(log: Told) -> None:
    torn(log, [[number, number + 1] for number in (1, 3, 5, 7)], gone=[1, 3, 5, 7])
    (warning,) = log.said
    assert warning.startswith(
        "warning: 4 images are deleted, but not all of their parts "
        "(sha256:000100000000, sha256:000300000000, sha256:000500000000, ...): the parts that stay"
    )


def test_images_that_went_or_stayed_whole_are_not_warned_about(log: Told) -> None:
    torn(log, [[1, 2], [3, 4], [5]], gone=[1, 2, 5])
    assert log.said == []


def record(
    number: int,
    outcome: Outcome,
    message: str = "",
    *,
    action: Action = Action.DELETE,
    expected: Outcome | None = None,
) -> WriteRecord:
    write = PlannedWrite.of(version(number), action, Reason.SELECTED, expected=expected)
    return WriteRecord(write=write, outcome=outcome, message=message)


def test_writes_that_failed_for_one_cause_are_one_error(log: Told) -> None:
    records = [
        record(1, Outcome.FAILED, "Nope, 17 times"),
        record(2, Outcome.DONE),
        record(3, Outcome.FAILED, "Nope, 3 times"),
        record(4, Outcome.FAILED, "Another thing"),
        record(5, Outcome.OVER_LIMIT),
        record(6, Outcome.CHANGED_SINCE_PLAN, "it has a tag"),
    ]
    tell_outcomes(records, log)
    assert log.said == [
        "error (failed): npm/app 1.0.1 (id 1): failed, selected (Nope, 17 times)\nand 1 more: npm/app 1.0.3 (id 3)",
        "error (failed): npm/app 1.0.4 (id 4): failed, selected (Another thing)",
        "warning (changed-since-plan): npm/app 1.0.6 (id 6): changed-since-plan, selected (it has a tag)",
    ]


def test_a_missing_permission_is_one_error_that_begins_with_what_github_said(log: Told) -> None:
    records = [
        record(1, Outcome.NO_PERMISSION, NOT_TRIED),
        record(2, Outcome.NO_PERMISSION, NOT_SENT),
        record(3, Outcome.NO_PERMISSION, "Resource protected by organization SAML enforcement"),
        record(4, Outcome.NO_PERMISSION, "Must have admin rights"),
    ]
    tell_outcomes(records, log)
    (error,) = log.said
    first, second, advice = error.splitlines()
    assert first.startswith("error (no-permission): npm/app 1.0.3 (id 3): no-permission, selected (Resource protected")
    assert second == "and 3 more: npm/app 1.0.1 (id 1), npm/app 1.0.2 (id 2), npm/app 1.0.4 (id 4)"
    assert advice == Cause.SAML.value.title


def test_writes_that_were_not_tried_are_told_only_when_a_permission_is_missing(log: Told) -> None:
    tell_outcomes([record(1, Outcome.FAILED, NOT_TRIED), record(2, Outcome.NO_PERMISSION, NOT_TRIED)], log)
    (error,) = log.said
    assert error.startswith("error (no-permission): npm/app 1.0.2 (id 2): no-permission, selected (not tried)\n")


def test_refusals_that_were_expected_are_told_for_restorations_alone(log: Told) -> None:
    last, active = Outcome.LAST_VERSION, Outcome.ALREADY_ACTIVE
    records = [
        record(1, last, expected=last),
        record(2, last),
        record(3, active, action=Action.RESTORE, expected=active),
        record(4, Outcome.NO_PERMISSION, expected=Outcome.NO_PERMISSION),
    ]
    tell_outcomes(records, log)
    assert [line.partition(",")[0] for line in log.said] == [
        "warning (last-version): npm/app 1.0.2 (id 2): last-version",
        "warning (already-active): npm/app 1.0.3 (id 3): already-active",
        "error (no-permission): npm/app 1.0.4 (id 4): no-permission",
    ]


def problem(what: str, message: str, remedy: str = "") -> Problem:
    error = ApiError(ApiErrorKind.OTHER, message, status=422, remedy=remedy, cause=Cause.SAML if remedy else None)
    return Problem(what=what, error=error)


def test_problems_of_one_cause_are_one_error_with_its_remedy(log: Told) -> None:
    problems = [
        problem("npm/a", "Nope 1"),
        problem("npm/b", "Nope 2", "Authorize the token."),
        problem("npm/c", "Nope 3"),
        problem("npm/d", "Nope 4"),
    ]
    tell_problems(problems, log)
    assert log.said == [
        "error: npm/a: Nope 1 (HTTP 422)\nand 2 more: npm/c, npm/d",
        f"error ({Cause.SAML.value.title}): npm/b: Nope 2 (HTTP 422)\nAuthorize the token.\n{Cause.SAML.value.title}",
    ]


def test_without_a_pattern_no_package_matches_and_that_is_all(log: Told) -> None:
    tell_no_package([None, patterns("!old-*")], log)
    assert log.said == ["notice: no package matches"]


def test_the_entries_that_match_no_package_are_named(log: Told) -> None:
    tell_no_package([patterns("app,lib/*"), None, patterns("^team-")], log)
    assert log.said == [
        "notice (A pattern matches nothing): package: no package matches 'app', 'lib/*', '^team-'; "
        "a regular expression stands between slashes: /^team-/" + ADVICE
    ]
    log.said.clear()
    tell_no_package([patterns("app")], log)
    assert log.said == ["notice (A pattern matches nothing): package: no package matches 'app'"]
