"""What each decision says: its action and reason, the rule, and the image that contains or needs the version."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from package_keeper.model.evidence import Use
from package_keeper.model.images import Condition, Image
from package_keeper.model.packages import Version
from package_keeper.model.plan import Action, Decision, Reason
from package_keeper.model.run import PackageEvaluation
from package_keeper.policy.evaluation import evaluate_deletions, evaluate_restorations, keep_used
from package_keeper.policy.retention import Counts, KeepLists
from package_keeper.policy.rules import Rules
from package_keeper.policy.selection import Facts, PartialMatch, TagStatus
from tests.unit.making import NOW, key, patterns, rule, rules, version

CONTAINER = key("container")


def of(number: int, *tags: str, **more: Any) -> Version:
    return version(number, of=CONTAINER, name=f"sha256:{number:064x}", tags=tags, **more)


def image(number: int, *tags: str, parts: tuple[Version, ...] = (), **more: Any) -> Image:
    return Image(root=of(number, *tags), parts=parts, **more)


def told(decisions: list[Decision]) -> dict[int, tuple[Action, str, str, int | None]]:
    """Of each version the action, the reason as users see it, the rule, and the root."""
    return {
        each.version.id: (each.action, each.why, each.rule, each.root.id if each.root else None) for each in decisions
    }


def policy(*given: Any, lists: KeepLists | None = None) -> Rules:
    return rules(*given, lists=lists)


def test_every_decision_names_the_rule_that_decided_and_parts_their_root() -> None:
    shared, own, needed = of(50), of(51), of(52)
    images = [
        image(10, "old-1", parts=(shared, own)),
        image(9, "old-2", parts=(shared, needed)),
        image(8, "keep-1", parts=(needed,)),
        image(7, "old-3", "v1"),
        image(6, "other"),
        image(5, "old-4"),
        image(4, "safe"),
    ]
    given = policy(
        rule("keeps", tags=patterns("keep-*"), keeps_all=True),
        rule("old", tags=patterns("old-*"), counts=Counts(latest=1), partial_match=PartialMatch.UNTAG),
        rule("safe", tags=patterns("safe"), partial_match=PartialMatch.KEEP),
        lists=KeepLists(tags=patterns("safe")),
    )
    assert told(evaluate_deletions(images, given)) == {
        10: (Action.DELETE, "rule:old", "old", None),
        9: (Action.DELETE, "rule:old", "old", None),
        8: (Action.KEEP, "rule:keeps", "keeps", None),
        7: (Action.UNTAG, "rule:old", "old", None),
        6: (Action.KEEP, "not-selected", "", None),
        5: (Action.KEEP, "keep-latest", "old", None),
        4: (Action.KEEP, "keep-tags", "safe", None),
        50: (Action.DELETE, "part-of", "old", 10),
        51: (Action.DELETE, "part-of", "old", 10),
        52: (Action.KEEP, "needed-by", "", 8),
    }


def test_a_root_that_an_image_needs_says_which_one() -> None:
    inner = image(9, "pr-1")
    given = policy(rule("old", tags=patterns("pr-*"), partial_match=PartialMatch.KEEP))
    assert told(evaluate_deletions([inner, image(8, "v1", parts=(inner.root,))], given)) == {
        9: (Action.KEEP, "needed-by", "old", 8),
        8: (Action.KEEP, "not-selected", "", None),
    }


def test_an_image_that_only_loses_a_tag_keeps_its_parts() -> None:
    part = of(50)
    given = rules(rule(tags=patterns("pr-*"), partial_match=PartialMatch.UNTAG))
    images = [image(9, "pr-1", "v1", parts=(part,)), image(8, "pr-2", parts=(part,))]
    assert told(evaluate_deletions(images, given)) == {
        9: (Action.UNTAG, "selected", "", None),
        8: (Action.DELETE, "selected", "", None),
        50: (Action.KEEP, "needed-by", "", 9),
    }


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        (Condition.ORPHAN, "orphan"),
        (Condition.GHOST, "ghost"),
        (Condition.PARTIAL, "partial"),
        (Condition.WHOLE, "selected"),
    ],
)
def test_the_health_of_an_image_is_the_reason_when_it_selected_it(condition: Condition, reason: str) -> None:
    sick = image(9, "v1", condition=condition)
    asked: dict[str, Any] = {"conditions": frozenset(Condition)}
    assert told(evaluate_deletions([sick], rules(rule(**asked)))) == {9: (Action.DELETE, reason, "", None)}
    # a policy says which rule it was, and other inputs do not look at the health
    by_rule = told(evaluate_deletions([sick], policy(rule("sick", **asked))))
    assert by_rule == {9: (Action.DELETE, "rule:sick", "sick", None)}
    by_tag = told(evaluate_deletions([sick], rules(rule(tags=patterns("v*")))))
    assert by_tag == {9: (Action.DELETE, "selected", "", None)}


@pytest.mark.parametrize(
    ("first", "second", "decides"),
    [
        # the first rule does not admit a healthy image, matches only some of its tags, or does not match it
        ({"conditions": frozenset({Condition.GHOST})}, {"tags": patterns("v*")}, "second"),
        ({"tags": patterns("v1")}, {"tags": patterns("v*")}, "second"),
        ({"tags": patterns("x")}, {"tags": patterns("v*")}, "second"),
        ({"tags": patterns("v*")}, {"versions": patterns("*")}, "first"),
        ({"conditions": frozenset({Condition.WHOLE})}, {"tags": patterns("v*")}, "first"),
        ({"conditions": frozenset({Condition.GHOST})}, {"tags": patterns("x")}, ""),
    ],
)
def test_the_first_rule_that_matches_all_of_an_image_decides(
    first: dict[str, Any], second: dict[str, Any], decides: str
) -> None:
    ((action, _, name, _),) = told(
        evaluate_deletions([image(9, "v1", "v2")], policy(rule("first", **first), rule("second", **second)))
    ).values()
    assert (action, name) == (Action.DELETE if decides else Action.KEEP, decides)


def test_a_rule_that_names_a_referrer_decides_about_it_after_one_that_does_not() -> None:
    """The subject of a signature may be in another package, so a rule about tags does not take it."""
    signature = image(9, f"sha256-{'a' * 64}.sig", foreign=True)
    untagged, named = rule("first", tag_status=TagStatus.UNTAGGED), rule("second", versions=patterns("*"))
    assert told(evaluate_deletions([signature], policy(untagged, named))) == {
        9: (Action.DELETE, "rule:second", "second", None)
    }
    assert told(evaluate_deletions([signature], policy(untagged)))[9][0] is Action.KEEP


def test_what_is_deployed_or_released_stays_and_says_where() -> None:
    uses = {
        number: Use(reason=reason, where=f"place {number}")
        for number, reason in {9: Reason.KEEP_DEPLOYED, 8: Reason.KEEP_RELEASED, 7: Reason.UNKNOWN_USE}.items()
    }
    images = [image(9, "pr-1"), image(8, "pr-2"), image(7, "pr-3"), image(6, "pr-4")]
    found = evaluate_deletions(images, rules(rule(tags=patterns("pr-*"))), Facts(uses=uses))
    assert [(each.action, each.why, each.where) for each in found] == [
        (Action.KEEP, "keep-deployed", "place 9"),
        (Action.KEEP, "keep-released", "place 8"),
        (Action.KEEP, "unknown-use", "place 7"),
        (Action.DELETE, "selected", ""),
    ]
    # only a deployment names the image by its digest, so that it may lose a tag
    partly = [image(9, "pr-1", "v1"), image(8, "pr-2", "v2"), image(7, "pr-3", "v3"), image(6, "pr-4", "v4")]
    given = rules(rule(tags=patterns("pr-*"), partial_match=PartialMatch.UNTAG))
    assert [(each.version.id, each.why) for each in evaluate_deletions(partly, given, Facts(uses=uses))] == [
        (9, "selected"),
        (8, "keep-released"),
        (7, "unknown-use"),
        (6, "selected"),
    ]


def test_an_image_that_is_in_use_after_all_stays_with_its_parts() -> None:
    shared, own, other = of(50), of(51), of(52)
    images = [
        image(9, "pr-1", parts=(shared, own)),
        image(8, "pr-2", parts=(shared, other)),
        image(7, "v1"),
    ]
    decisions = evaluate_deletions(images, policy(rule("old", tags=patterns("pr-*"))))
    found = PackageEvaluation(package=CONTAINER, decisions=tuple(decisions), images=tuple(images))
    use = Use(reason=Reason.KEEP_DEPLOYED, where="production")
    assert keep_used(found, {}) == found
    assert keep_used(found, {7: use}) == found
    used = keep_used(found, {9: use, 7: use})
    assert told(list(used.decisions)) == {
        9: (Action.KEEP, "keep-deployed", "old", None),
        8: (Action.DELETE, "rule:old", "old", None),
        7: (Action.KEEP, "not-selected", "", None),
        50: (Action.KEEP, "needed-by", "old", 9),
        51: (Action.KEEP, "needed-by", "old", 9),
        52: (Action.DELETE, "part-of", "old", 8),
    }
    assert [each.where for each in used.decisions if each.version.id == 9] == ["production"]


def test_a_partial_match_that_no_other_rule_takes_is_told() -> None:
    found = told(evaluate_deletions([image(9, "v1", "x")], policy(rule("one", tags=patterns("v*")))))
    assert found == {9: (Action.KEEP, "partial-tag-match", "", None)}


@pytest.mark.parametrize(("minutes", "reason"), [(-1, "too-young"), (0, "selected"), (1, "selected")])
def test_an_untagged_image_stays_until_it_is_a_day_old(minutes: int, reason: str) -> None:
    root = of(9, updated_at=NOW - timedelta(hours=24, minutes=minutes))
    given = rules(rule(versions=patterns("*")))
    for each, expected in ((Image(root=root), reason), (Image(root=replace(root, tags=("v1",))), "selected")):
        ((_, why, _, _),) = told(evaluate_deletions([each], given)).values()
        assert why == expected
    # an operation that never deletes shows what is selected
    ((_, why, _, _),) = told(evaluate_deletions([Image(root=root)], replace(given, writing=False))).values()
    assert why == "selected"


@pytest.mark.parametrize(
    ("given", "names", "reason"),
    [
        ({}, "*", "too-young"),
        ({}, of(9).name, "too-young"),
        ({"raw": True}, "*", "too-young"),
        ({"raw": True}, of(9).name, "selected"),
        ({"from_plan": True}, of(9).name, "selected"),
    ],
)
def test_a_version_that_the_user_named_may_be_young(given: dict[str, Any], names: str, reason: str) -> None:
    young = [Image(root=of(9, updated_at=NOW))]
    asked = rules(rule(versions=patterns(names)), **given)
    assert [each.why for each in evaluate_deletions(young, asked)] == [reason]


def test_a_young_image_of_another_type_may_go() -> None:
    found = evaluate_deletions([Image(root=version(0))], rules(rule(versions=patterns("*"))))
    assert [each.why for each in found] == ["selected"]


def test_an_untagged_image_of_unknown_age_stays() -> None:
    found = told(evaluate_deletions([Image(root=of(9, updated_at=None))], rules(rule(versions=patterns("*")))))
    assert found == {9: (Action.KEEP, "unknown-age", "", None)}


def test_a_stub_takes_no_place_in_a_count() -> None:
    images = [image(1, "v1", is_stub=True), image(2, "v2"), image(3, "v3")]
    found = told(evaluate_deletions(images, rules(rule(versions=patterns("*"), counts=Counts(latest=1)))))
    assert {number: each[1] for number, each in found.items()} == {1: "selected", 2: "keep-latest", 3: "selected"}


def test_what_cannot_be_read_stays_unless_something_better_keeps_it() -> None:
    images = [image(9, "v1", readable=False), image(8, "stable", readable=False)]
    given = rules(rule(versions=patterns("*")), lists=KeepLists(tags=patterns("stable")))
    assert {number: each[1] for number, each in told(evaluate_deletions(images, given)).items()} == {
        9: "unreadable",
        8: "keep-tags",
    }


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (of(9, "pr-1"), (Action.RESTORE, Reason.SELECTED)),
        (of(9, "pr-1", "v1"), (Action.RESTORE, Reason.SELECTED)),
        (of(9, "v1"), (Action.KEEP, Reason.NOT_SELECTED)),
        (of(9, "pr-1", tags_known=False), (Action.KEEP, Reason.UNREADABLE)),
        (of(9, "pr-1", updated_at=None), (Action.KEEP, Reason.UNKNOWN_AGE)),
        (of(5, "pr-1"), (Action.KEEP, Reason.TOO_YOUNG)),
        (of(30, "pr-1"), (Action.KEEP, Reason.NOT_SELECTED)),
    ],
)
def test_why_a_deleted_version_comes_back_or_not(one: Version, expected: tuple[Action, Reason]) -> None:
    given = rules(rule(tags=patterns("pr-*"), older=7, newer=20), lists=KeepLists(tags=patterns("*")))
    (found,) = evaluate_restorations([one], given)
    assert (found.action, found.reason, found.version) == (*expected, one)
