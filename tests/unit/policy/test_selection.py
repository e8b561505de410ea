"""What a selection accepts, input by input; what an age accepts; which tags are gone."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from package_keeper.inputs.semver_ranges import parse_range
from package_keeper.model.images import Condition, Image
from package_keeper.model.packages import Timestamp, Version
from package_keeper.model.plan import Action, Reason
from package_keeper.model.repository import RepositoryState
from package_keeper.model.usage import Usage
from package_keeper.policy.evaluation import evaluate_deletions
from package_keeper.policy.gone import GoneTags, GoneTemplate, Tie
from package_keeper.policy.retention import Counts
from package_keeper.policy.selection import Age, Facts, Match, PartialMatch, Selection, TagStatus
from package_keeper.policy.semver import Prerelease, SemverRange
from tests.unit.making import NOW, key, patterns, rule, rules, version

NONE, PARTIAL, ALIVE, WHOLE = Match.NONE, Match.PARTIAL, Match.ALIVE, Match.WHOLE
CONTAINER = key("container")
SIGNATURE = f"sha256-{'a' * 64}.sig"
STATE = RepositoryState(
    full_name="acme/app",
    branches=frozenset({"main", "Stable"}),
    git_tags=frozenset({"pr-9"}),
    open_pulls=frozenset({3, 4}),
    closed_pulls=frozenset({1, 4, 9}),
    closed_heads=frozenset({"old", "stable"}),
)
FACTS = Facts(
    repositories={CONTAINER: STATE},
    selected={"pulls > 3": frozenset({1, 2})},
    releases={CONTAINER: frozenset({(1, 0, 0)})},
)
PULLS = GoneTags(
    (GoneTemplate(tie=Tie.PULL_REQUEST, before="pr-", behind="-x"), GoneTemplate(tie=Tie.PULL_REQUEST, before="pr-"))
)


def ranged(text: str) -> SemverRange:
    found = parse_range(text)
    assert isinstance(found, SemverRange)
    return found


def of(*tags: str, number: int = 1, **more: Any) -> Version:
    return version(number, of=CONTAINER, name=f"sha256:{number:064x}", tags=tags, **more)


@pytest.mark.parametrize(
    ("selection", "one", "expected"),
    [
        ({}, of("v1"), WHOLE),
        ({"version_ids": frozenset({1})}, of("v1"), WHOLE),
        ({"version_ids": frozenset({2})}, of("v1"), NONE),
        ({"versions": patterns("sha256:*")}, of(), WHOLE),
        ({"versions": patterns("x")}, of(), NONE),
        ({"where": "pulls > 3"}, of(), WHOLE),
        ({"where": "pulls > 3"}, of(number=3), NONE),
        ({"where": "unknown"}, of(), NONE),
        ({"tag_status": TagStatus.TAGGED}, of("v1"), WHOLE),
        ({"tag_status": TagStatus.TAGGED}, of(), NONE),
        ({"tag_status": TagStatus.TAGGED}, of(SIGNATURE), NONE),
        ({"tag_status": TagStatus.UNTAGGED}, of("v1"), NONE),
        ({"tag_status": TagStatus.UNTAGGED}, of(SIGNATURE), WHOLE),
        ({"tag_status": TagStatus.UNTAGGED}, version(1), NONE),
        ({"tag_status": TagStatus.TAGGED}, version(1), NONE),
        ({"tags": patterns("v*")}, of("v1", "v2"), WHOLE),
        ({"tags": patterns("v*")}, of("v1", "x"), PARTIAL),
        ({"tags": patterns("v*")}, of("v1", SIGNATURE), WHOLE),
        ({"tags": patterns("v*")}, of("x"), NONE),
        ({"tags": patterns("*")}, of(), NONE),
        ({"tags": patterns("*")}, version(1, name="v1"), NONE),
        # each tag has to be accepted by all inputs about tags
        ({"tags": patterns("v*"), "semver": ranged("<2")}, of("v1.0.0", "v3.0.0"), PARTIAL),
        ({"tags": patterns("v*"), "semver": ranged("<2")}, of("v1.0.0", "v1.1.0"), WHOLE),
        ({"tags": patterns("v*"), "semver": ranged("<2")}, of("1.0.0"), NONE),
        ({"semver": ranged("<2")}, of("1.0.0", "latest"), PARTIAL),
        ({"semver": ranged("<2")}, version(1, name="1.0.0"), WHOLE),
        ({"semver": ranged("<2")}, version(1, name="2.0.0"), NONE),
        ({"semver": ranged("<2"), "tags": patterns("*")}, version(1, name="1.0.0"), NONE),
        ({"semver": ranged("<2"), "gone": PULLS}, version(1, name="1.0.0"), NONE),
        ({"prerelease": Prerelease.ONLY}, version(1, name="1.0.0-rc.1"), WHOLE),
        ({"prerelease": Prerelease.ONLY}, version(1, name="1.0.0"), NONE),
        ({"prerelease": Prerelease.ONLY}, version(1, name="latest"), NONE),
        ({"prerelease": Prerelease.EXCLUDE}, version(1, name="1.0.0-rc.1"), NONE),
        ({"prerelease": Prerelease.EXCLUDE}, version(1, name="1.0.0"), WHOLE),
        ({"prerelease": Prerelease.EXCLUDE}, version(1, name="latest"), NONE),
        ({"prerelease": Prerelease.EXCLUDE, "semver": ranged("<2")}, version(1, name="2.0.0"), NONE),
        ({"semver": ranged(">=1.0.0-rc.0")}, version(1, name="1.0.0-rc.1"), WHOLE),
        ({"prerelease": Prerelease.SUPERSEDED}, of("1.0.0-rc.1"), WHOLE),
        ({"prerelease": Prerelease.SUPERSEDED}, of("1.0.0"), NONE),
        ({"prerelease": Prerelease.SUPERSEDED}, of("1.0.1-rc.1"), NONE),
        ({"prerelease": Prerelease.SUPERSEDED}, version(1, name="1.0.0-rc.1"), NONE),
        # whatever the tags may be
        ({"tags": patterns("v*")}, of("x", tags_known=False), WHOLE),
        ({"tag_status": TagStatus.TAGGED}, of(tags_known=False), WHOLE),
        ({"tags": patterns("v*"), "version_ids": frozenset({2})}, of("x", tags_known=False), NONE),
        # what `gone` shows
        ({"gone": PULLS}, of("pr-1"), WHOLE),
        ({"gone": PULLS}, of("pr-1", "x"), PARTIAL),
        ({"gone": PULLS}, of("pr-1", "pr-3"), ALIVE),
        ({"gone": PULLS}, of("pr-3"), NONE),
    ],
)
def test_every_input_has_to_accept_a_version(selection: dict[str, Any], one: Version, expected: Match) -> None:
    assert Selection(**selection).match(one, FACTS) is expected


def test_without_the_repository_no_tag_is_gone_but_a_rule_that_keeps_may_ask_for_its_form() -> None:
    selection = Selection(gone=PULLS)
    assert selection.match(of("pr-1"), Facts()) is NONE
    assert selection.match(of("pr-1"), Facts(), when_unknown=True) is WHOLE
    assert selection.match(of("x"), Facts(), when_unknown=True) is NONE
    assert selection.match(of("pr-1", "x"), Facts(), when_unknown=True) is PARTIAL


@pytest.mark.parametrize(
    ("selection", "given", "about_tags", "exact"),
    [
        ({}, False, False, False),
        ({"version_ids": frozenset({1})}, True, False, True),
        ({"versions": patterns("a")}, True, False, True),
        ({"versions": patterns("a,b*")}, True, False, False),
        ({"versions": patterns("!a")}, True, False, False),
        ({"versions": patterns("/a/")}, True, False, False),
        ({"versions": patterns("b*"), "version_ids": frozenset({1})}, True, False, True),
        ({"where": "x"}, True, False, False),
        ({"conditions": frozenset({Condition.GHOST})}, True, False, False),
        ({"unused_since": NOW}, True, False, False),
        ({"tag_status": TagStatus.TAGGED}, True, True, False),
        ({"tags": patterns("a")}, True, True, False),
        ({"semver": ranged("1")}, True, True, False),
        ({"prerelease": Prerelease.ONLY}, True, True, False),
        ({"gone": PULLS}, True, True, False),
        ({"partial_match": PartialMatch.DELETE}, False, False, False),
    ],
)
def test_what_a_selection_asks_for(selection: dict[str, Any], given: bool, about_tags: bool, exact: bool) -> None:
    found = Selection(**selection)
    assert (found.is_given, found.asks_about_tags, found.names_exactly) == (given, about_tags, exact)


@pytest.mark.parametrize(
    ("selection", "image", "admitted"),
    [
        ({}, Image(root=of()), True),
        ({"conditions": frozenset({Condition.WHOLE})}, Image(root=of()), True),
        ({"conditions": frozenset({Condition.GHOST})}, Image(root=of()), False),
        ({"conditions": frozenset({Condition.WHOLE})}, Image(root=version(1)), False),
        # the subject of a foreign referrer may be in another package
        ({"tag_status": TagStatus.UNTAGGED}, Image(root=of(), foreign=True), False),
        ({"versions": patterns("*")}, Image(root=of(), foreign=True), True),
        ({"version_ids": frozenset({1})}, Image(root=of(), foreign=True), True),
    ],
)
def test_the_health_of_an_image_decides_with(selection: dict[str, Any], image: Image, admitted: bool) -> None:
    assert Selection(**selection).admits(image, FACTS) is admitted


LIMIT = NOW - timedelta(days=30)


def days_ago(days: float | None) -> datetime | None:
    return None if days is None else NOW - timedelta(days=days)


@pytest.mark.parametrize(
    ("used", "since", "created", "updated", "admitted"),
    [
        # the file names it
        ({1: 31}, None, 90, 90, True),
        ({1: 30}, None, 90, 90, False),
        ({1: 29}, None, 90, 90, False),
        ({1: 31}, 90, 5, 5, True),
        # a use of a part is a use of the image, a use of something else is none
        ({2: 31}, None, 90, 90, True),
        ({1: 31, 2: 29}, None, 90, 90, False),
        ({1: 29, 2: 31}, None, 90, 90, False),
        ({9: 29}, 30, 90, 90, True),
        # the file does not name it: both the file and the version must be old enough
        ({}, None, 90, 90, False),
        ({}, 31, 31, 31, True),
        ({}, 30, 30, 30, True),
        ({}, 29, 90, 90, False),
        ({}, 90, 29, 29, False),
        ({}, 90, 90, 29, False),
        ({}, 90, 29, 90, False),
        ({}, 90, None, 30, True),
        ({}, 90, 30, None, True),
        ({}, 90, None, 29, False),
        ({}, 90, 29, None, False),
        ({}, 90, None, None, False),
    ],
)
def test_what_was_not_used_for_thirty_days(
    used: dict[int, float], since: float | None, created: float | None, updated: float | None, admitted: bool
) -> None:
    image = Image(
        root=of(created_at=days_ago(created), updated_at=days_ago(updated)),
        parts=(of(number=2, created_at=NOW, updated_at=NOW),),
    )
    facts = Facts(
        usage={number: Usage(NOW - timedelta(days=days)) for number, days in used.items()},
        usage_since=days_ago(since),
    )
    assert Selection(unused_since=LIMIT).admits(image, facts) is admitted
    assert Selection().admits(image, facts)


@pytest.mark.parametrize(
    ("older", "newer", "expected"),
    [
        (None, None, None),
        (7, None, None),
        (8, None, Reason.TOO_YOUNG),
        (9, None, Reason.TOO_YOUNG),
        (None, 7, Reason.NOT_SELECTED),
        (None, 8, None),
        (None, 9, None),
        (7, 9, None),
        (9, 7, Reason.TOO_YOUNG),
    ],
)
def test_an_age_begins_after_its_moment(older: int | None, newer: int | None, expected: Reason | None) -> None:
    """The version is eight days old, and was created just now."""
    age = Age(timestamp=Timestamp.UPDATED, older_than=days_ago(older), newer_than=days_ago(newer))
    assert age.is_given is (older is not None or newer is not None)
    assert age.reason_to_keep(version(8, created_at=NOW)) is expected
    unknown = None if older is newer is None else Reason.UNKNOWN_AGE
    assert age.reason_to_keep(version(8, updated_at=None)) is unknown


@pytest.mark.parametrize(
    ("tag", "accepted", "alive"),
    [
        ("pr-1", True, False),
        ("pr-1-x", True, False),
        ("pr-2", False, False),
        ("pr-3", False, True),
        ("pr-4", False, True),
        # a git tag
        ("pr-9", False, False),
        ("PR-9", False, False),
        ("pr-", False, False),
        ("pr--x", False, False),
        ("pr-01", False, False),
        ("pr-1-y", False, False),
        ("xpr-1", False, False),
    ],
)
def test_a_pull_request_is_gone_when_it_is_closed_and_not_open(tag: str, accepted: bool, alive: bool) -> None:
    assert (PULLS.accepts(tag, STATE), PULLS.is_alive(tag, STATE)) == (accepted, alive)
    assert PULLS.concerns(tag) is (accepted or alive or tag in {"pr-2", "pr-9"})
    assert PULLS.accepts(tag, None, when_unknown=True) is PULLS.concerns(tag)
    assert not PULLS.accepts(tag, None)


@pytest.mark.parametrize(
    ("tag", "accepted", "alive"),
    [("old", True, False), ("main", False, True), ("Main", False, True), ("stable", False, True), ("x", False, False)],
)
def test_a_branch_is_gone_when_it_was_merged_and_no_spelling_of_it_exists(
    tag: str, accepted: bool, alive: bool
) -> None:
    branches = GoneTags((GoneTemplate(tie=Tie.BRANCH),))
    assert (branches.accepts(tag, STATE), branches.is_alive(tag, STATE)) == (accepted, alive)


@pytest.mark.parametrize("tag", ["latest", "1", "v1", "1.2", "v1.2.3", "1.2.3-rc.1"])
def test_a_release_is_never_gone(tag: str) -> None:
    state = RepositoryState(full_name="acme/app", closed_heads=frozenset({tag}), closed_pulls=frozenset({1}))
    for template in (GoneTemplate(tie=Tie.BRANCH), GoneTemplate(tie=Tie.PULL_REQUEST)):
        assert not GoneTags((template,)).accepts(tag, state)
        assert not GoneTags((template,)).accepts(tag, None, when_unknown=True)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, Reason.NOT_SELECTED),
        ({"older": 1}, Reason.SELECTED),
        ({"newer": 9}, Reason.SELECTED),
        ({"counts": Counts(daily=1)}, Reason.KEEP_DAILY),
        ({"versions": patterns("*")}, Reason.SELECTED),
    ],
)
def test_a_selection_an_age_or_a_count_selects(given: dict[str, Any], expected: Reason) -> None:
    (found,) = evaluate_deletions([Image(root=version(8))], rules(rule(**given)))
    assert (found.action is Action.KEEP, found.reason) == (expected is not Reason.SELECTED, expected)
