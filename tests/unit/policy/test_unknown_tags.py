"""Versions whose tags GitHub does not tell: neither tagged nor untagged, and only their id selects them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from package_keeper.model.images import Graph, independent_images
from package_keeper.model.manifest import OCI_INDEX, OCI_MANIFEST, Descriptor, Manifest
from package_keeper.model.packages import Version
from package_keeper.model.plan import Action, Decision, Reason
from package_keeper.policy.evaluation import Evaluation, evaluate_deletions, evaluate_restorations
from package_keeper.policy.retention import Counts, KeepLists
from package_keeper.policy.rules import Rules
from package_keeper.policy.selection import PartialMatch, TagStatus
from package_keeper.policy.semver import Prerelease
from tests.unit.making import key, patterns, rule, rules, version, version_lists

CONTAINER = key("container")


def of(number: int, *tags: str, known: bool = True) -> Version:
    return version(number, of=CONTAINER, name=f"sha256:{number:064x}", tags=tags, tags_known=known)


def reason(decisions: list[Decision]) -> tuple[Action, Reason]:
    (decision,) = decisions
    return decision.action, decision.reason


SELECTIONS: list[dict[str, Any]] = [
    {"tag_status": TagStatus.UNTAGGED},
    {"tag_status": TagStatus.TAGGED},
    {"tags": patterns("*")},
    {"tags": patterns("!v1")},
    {"versions": patterns("sha256:*")},
    {"prerelease": Prerelease.EXCLUDE},
    {"tags": patterns("v*"), "partial_match": PartialMatch.DELETE},
    {"tags": patterns("v*"), "partial_match": PartialMatch.UNTAG},
    {"older": 1},
    {"counts": Counts(latest=1)},
]


@pytest.mark.parametrize("tags", [(), ("v1",), ("latest",)])
@pytest.mark.parametrize("selection", SELECTIONS)
def test_only_its_id_selects_a_version_with_unknown_tags(selection: dict[str, Any], tags: tuple[str, ...]) -> None:
    unknown = of(40, *tags, known=False)
    decisions = evaluate_deletions(independent_images([unknown]), rules(rule(**selection)))
    assert reason(decisions) == (Action.KEEP, Reason.UNREADABLE)
    assert Evaluation(rules(rule(**selection))).candidates([unknown]) == set()


def test_an_id_selects_a_version_with_unknown_tags_when_no_input_asks_about_tags() -> None:
    unknown = of(40, known=False)
    ids: dict[str, Any] = {"version_ids": frozenset({40})}
    assert reason(evaluate_deletions(independent_images([unknown]), rules(rule(**ids)))) == (
        Action.DELETE,
        Reason.SELECTED,
    )
    asked: list[Rules] = [
        rules(rule(**ids, tag_status=TagStatus.UNTAGGED)),
        rules(rule(**ids, tags=patterns("*"))),
        rules(rule(**ids), lists=KeepLists(tags=patterns("v1"))),
    ]
    for each in asked:
        assert reason(evaluate_deletions(independent_images([unknown]), each)) == (Action.KEEP, Reason.UNREADABLE)
    kept = rules(rule(**ids), lists=KeepLists(digests=frozenset({unknown.name})))
    assert reason(evaluate_deletions(independent_images([unknown]), kept)) == (Action.KEEP, Reason.KEEP_DIGESTS)


def test_a_version_with_unknown_tags_stays_when_an_earlier_rule_may_keep_it() -> None:
    keeping = rule("releases", tags=patterns("v*"), keeps_all=True)
    deleting = rule("rest", older=1)
    decisions = evaluate_deletions(independent_images([of(40, known=False)]), rules(keeping, deleting))
    assert reason(decisions) == (Action.KEEP, Reason.UNREADABLE)


def test_a_version_with_unknown_tags_takes_no_place_among_the_latest() -> None:
    images = independent_images([of(1, known=False), of(2), of(3)])
    decisions = evaluate_deletions(images, rules(rule(versions=patterns("*"), counts=Counts(latest=1))))
    assert {each.version.id: each.reason for each in decisions} == {
        1: Reason.UNREADABLE,
        2: Reason.KEEP_LATEST,
        3: Reason.SELECTED,
    }


@pytest.mark.parametrize(
    ("selection", "found"),
    [
        ({"tags": patterns("*")}, (Action.KEEP, Reason.UNREADABLE)),
        ({"tag_status": TagStatus.UNTAGGED}, (Action.KEEP, Reason.UNREADABLE)),
        ({"versions": patterns("*")}, (Action.RESTORE, Reason.SELECTED)),
        ({"version_ids": frozenset({40})}, (Action.RESTORE, Reason.SELECTED)),
    ],
)
def test_tags_never_select_unknown_tags_for_restore(selection: dict[str, Any], found: tuple[Action, Reason]) -> None:
    assert reason(evaluate_restorations([of(40, known=False)], rules(rule(**selection)))) == found


def test_a_part_that_may_be_tagged_stays_when_its_index_goes() -> None:
    index, part, other = of(40, "pr-1"), of(41, known=False), of(42)
    children = tuple(Descriptor(digest=each.name, media_type=OCI_MANIFEST, has_platform=True) for each in (part, other))
    graph = Graph(
        [index, part, other], {index.name: Manifest(digest=index.name, media_type=OCI_INDEX, children=children)}
    )
    decisions = evaluate_deletions(graph.images(), rules(rule(tags=patterns("pr-*"))))
    assert {each.version.id: each.action for each in decisions} == {
        40: Action.DELETE,
        41: Action.KEEP,
        42: Action.DELETE,
    }


def test_an_index_that_may_be_tagged_is_no_replaced_fallback_index() -> None:
    subject, referrer, fallback = of(40, "v1"), of(41), of(42, known=False)
    manifests = {
        referrer.name: Manifest(digest=referrer.name, media_type=OCI_MANIFEST, subject=subject.name),
        fallback.name: Manifest(
            digest=fallback.name,
            media_type=OCI_INDEX,
            children=(Descriptor(digest=referrer.name, media_type=OCI_MANIFEST),),
        ),
    }
    image = next(each for each in Graph([subject, referrer, fallback], manifests).images() if each.root is subject)
    assert fallback not in image.parts


@given(
    versions=version_lists(),
    unknown=st.sets(st.integers(1, 50)),
    selection=st.sampled_from(SELECTIONS),
    ids=st.none() | st.frozensets(st.integers(1, 50)),
)
def test_versions_with_unknown_tags_stay_and_change_nothing_for_others(
    versions: list[Version], unknown: set[int], selection: dict[str, Any], ids: frozenset[int] | None
) -> None:
    seen = [replace(each, tags_known=not (each.id in unknown and each.package.type.has_tags)) for each in versions]
    given_rules = rules(rule(**selection, version_ids=ids))
    decisions = {each.version.id: each for each in evaluate_deletions(independent_images(seen), given_rules)}
    assert decisions.keys() == {each.id for each in versions}
    candidates = Evaluation(given_rules).candidates(seen)
    for each in seen:
        goes = decisions[each.id].action is not Action.KEEP
        assert not goes or each.tags_known or each.id in (ids or ())
        assert not goes or each.id in candidates or decisions[each.id].action is Action.UNTAG
