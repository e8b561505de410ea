"""What a rule does with an image that it matches in part, and what the rules of a run say about themselves."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from package_keeper.model.images import Condition, Image
from package_keeper.model.packages import Timestamp
from package_keeper.model.plan import Action, Decision
from package_keeper.model.repository import RepositoryState
from package_keeper.policy.evaluation import Evaluation, evaluate_deletions
from package_keeper.policy.gone import GoneTags, GoneTemplate, Tie
from package_keeper.policy.retention import Counts, KeepLists
from package_keeper.policy.rules import Rule, Rules
from package_keeper.policy.selection import Age, Facts, PartialMatch, Selection
from tests.unit.making import NOW, key, patterns, rule, rules, version

KEEP, DELETE, UNTAG = PartialMatch.KEEP, PartialMatch.DELETE, PartialMatch.UNTAG
PULLS = GoneTags((GoneTemplate(tie=Tie.PULL_REQUEST, before="pr-"),))
STATE = RepositoryState(full_name="acme/app", open_pulls=frozenset({2}), closed_pulls=frozenset({1}))


def decided(kind: str, tags: tuple[str, ...], given: Rules, *, known: bool = True) -> Decision:
    of = key(kind)
    one = version(9, of=of, name="sha256:a", tags=tags)
    facts = Facts(repositories={of: STATE} if known else {})
    (found,) = evaluate_deletions([Image(root=one)], given, facts)
    return found


@pytest.mark.parametrize(
    ("kind", "tags", "partial", "expected"),
    [
        ("container", ("pr-1",), KEEP, (Action.DELETE, "selected", ())),
        ("container", ("pr-1", "x"), KEEP, (Action.KEEP, "partial-tag-match", ())),
        ("container", ("pr-1", "x"), DELETE, (Action.DELETE, "selected", ())),
        ("container", ("pr-1", "x"), UNTAG, (Action.UNTAG, "selected", ("pr-1",))),
        # GitHub cannot remove single tags of this type
        ("docker", ("pr-1", "x"), UNTAG, (Action.KEEP, "partial-tag-match", ())),
        ("docker", ("pr-1", "x"), DELETE, (Action.DELETE, "selected", ())),
        # what is alive stays, whatever is asked for
        ("container", ("pr-1", "pr-2"), DELETE, (Action.KEEP, "partial-tag-match", ())),
        ("container", ("pr-1", "pr-2"), UNTAG, (Action.UNTAG, "selected", ("pr-1",))),
        ("docker", ("pr-1", "pr-2"), DELETE, (Action.KEEP, "partial-tag-match", ())),
    ],
)
def test_what_happens_to_an_image_of_which_only_some_tags_match(
    kind: str, tags: tuple[str, ...], partial: PartialMatch, expected: tuple[Action, str, tuple[str, ...]]
) -> None:
    found = decided(kind, tags, rules(rule(gone=PULLS, partial_match=partial)))
    assert (found.action, found.why, found.untag) == expected


@pytest.mark.parametrize("known", [True, False])
def test_a_rule_that_keeps_needs_one_tag_and_no_repository(known: bool) -> None:
    given = rules(rule("safe", gone=PULLS, keeps_all=True), rule("old", versions=patterns("*")))
    assert decided("container", ("pr-1", "x"), given, known=known).why == "rule:safe"
    assert decided("container", ("x",), given, known=known).action is Action.DELETE
    # a rule that deletes needs the repository
    given = rules(rule("old", gone=PULLS))
    assert decided("container", ("pr-1",), given, known=known).action is (Action.DELETE if known else Action.KEEP)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "selected"),
        ({"older": 1}, "unknown-age"),
        ({"newer": 99}, "unknown-age"),
        ({"counts": Counts(latest=1)}, "unknown-age"),
    ],
)
def test_an_unknown_age_keeps_what_an_age_or_a_count_asks_about(given: dict[str, Any], expected: str) -> None:
    image = Image(root=version(9, updated_at=None))
    (found,) = evaluate_deletions([image], rules(rule(versions=patterns("*"), **given)))
    assert found.why == expected


def test_a_rule_of_a_policy_passes_on_what_it_matches_in_part() -> None:
    given = rules(rule("first", tags=patterns("pr-*")), rule("second", versions=patterns("*"), keeps_all=True))
    assert decided("container", ("pr-1",), given).why == "rule:first"
    assert decided("container", ("pr-1", "x"), given).why == "rule:second"
    assert decided("container", ("x",), given).why == "rule:second"


def test_an_image_that_only_loses_tags_needs_no_manifest_unless_its_health_decides() -> None:
    one = version(9, of=key("container"), tags=("pr-1", "x"))
    given: dict[str, Any] = {"tags": patterns("pr-*"), "partial_match": UNTAG}
    assert Evaluation(rules(rule(**given))).candidates([one]) == set()
    assert Evaluation(rules(rule(**given, conditions=frozenset({Condition.GHOST})))).candidates([one]) == {9}


def bare(**selection: Any) -> Rule:
    return Rule(selection=Selection(**selection), age=Age(timestamp=Timestamp.CREATED))


def test_a_rule_keeps_nothing_and_a_run_protects_pushes_unless_said_otherwise() -> None:
    plain = Rules(rules=(bare(versions=patterns("*")),), now=NOW)
    old, young = (version(9, of=key("container"), created_at=NOW - timedelta(days=days)) for days in (2, 0))
    assert [each.why for each in evaluate_deletions([Image(root=old)], plain)] == ["selected"]
    assert [each.why for each in evaluate_deletions([Image(root=young)], plain)] == ["too-young"]
    assert not Rules(rules=(bare(),), now=NOW).select_anything
    assert Rules(rules=(bare(),), now=NOW, is_policy=True).select_anything


def test_what_is_shown_as_selected_is_what_selection_and_age_select() -> None:
    given = rules(
        rule(versions=patterns("*"), counts=Counts(latest=9), older=1), lists=KeepLists(versions=patterns("*"))
    )
    images = [Image(root=version(number)) for number in (0, 5)]
    assert {each.why for each in evaluate_deletions(images, given)} == {"keep-versions"}
    assert [each.why for each in evaluate_deletions(images, given.only_selecting)] == ["too-young", "selected"]
    assert given.only_selecting.lists == KeepLists(deployed=False, released=False), "nothing is asked for to list"
    young = rules(rule(versions=patterns("*"))).only_selecting
    assert [each.why for each in evaluate_deletions([Image(root=version(0, of=key("container")))], young)] == [
        "selected"
    ]


def test_the_oldest_image_is_found_by_the_time_of_the_inputs_and_by_updates_in_a_policy() -> None:
    assert rules(bare()).timestamp is Timestamp.CREATED
    assert Rules(rules=(bare(), bare()), now=NOW, is_policy=True).timestamp is Timestamp.UPDATED


def test_what_the_rules_ask_for() -> None:
    health = bare(conditions=frozenset({Condition.GHOST}))
    ids = bare(version_ids=frozenset({1}), where="a > 1"), bare(version_ids=frozenset({2}), where="b > 1")
    assert not rules(*ids).depend_on_health
    assert rules(*ids, health).depend_on_health
    assert not rules(*ids).need_images
    assert rules(*ids, health).need_images
    assert rules(*ids, health).version_ids == {1, 2}
    assert rules(*ids, health, from_plan=True).version_ids == frozenset()
    assert rules(*ids, health).expressions == {"a > 1", "b > 1"}
