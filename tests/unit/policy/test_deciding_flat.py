"""One decision and one reason for every version of package types without parts, in the order of the contract."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from package_keeper.model.images import independent_images
from package_keeper.model.packages import Timestamp, Version
from package_keeper.model.plan import Action, Decision, Reason
from package_keeper.policy.evaluation import evaluate_deletions, evaluate_restorations
from package_keeper.policy.retention import Counts, KeepLists
from package_keeper.policy.rules import Rules
from package_keeper.policy.selection import TagStatus
from tests.unit.making import NOW, TAGS, key, patterns, rule, rules, version, version_lists

PATTERNS = st.none() | st.sampled_from(
    ["v*", "*", "pr-*", "latest", "!latest", "v1,nightly", "!pr-*,*", "1.0.1*", "/[02468]$/", "zzz"]
).map(patterns)
COUNTS = st.integers(0, 4)


@st.composite
def some_rules(draw: st.DrawFn) -> Rules:
    lists = KeepLists(
        tags=draw(PATTERNS),
        versions=draw(PATTERNS),
        digests=draw(st.frozensets(st.integers(1, 50).map(lambda number: f"sha256:{number:064x}"), max_size=3)),
    )
    inputs = rule(
        version_ids=draw(st.none() | st.frozensets(st.integers(1, 50), min_size=1)),
        versions=draw(PATTERNS),
        tags=draw(PATTERNS),
        tag_status=draw(st.sampled_from(TagStatus)),
        timestamp=draw(st.sampled_from([Timestamp.CREATED, Timestamp.UPDATED])),
        older=draw(st.none() | st.integers(0, 60)),
        newer=draw(st.none() | st.integers(0, 60)),
        counts=Counts(latest=draw(COUNTS)),
    )
    return rules(inputs, lists=lists)


def counting(of: Rules, latest: int) -> Rules:
    return replace(of, rules=(replace(of.inputs, counts=Counts(latest=latest)),))


def decide(versions: Sequence[Version], given_rules: Rules) -> dict[int, Decision]:
    found = evaluate_deletions(independent_images(versions), given_rules)
    assert [decision.version for decision in found] == list(versions), "one decision each, in order"
    return {decision.version.id: decision for decision in found}


def deleted(versions: Sequence[Version], given_rules: Rules) -> set[int]:
    return {number for number, one in decide(versions, given_rules).items() if one.action is Action.DELETE}


def simple(*, latest: int = 0, older: int | None = None, **selection: Any) -> Rules:
    return rules(rule(older=older, counts=Counts(latest=latest), **selection))


EVERYTHING: dict[str, Any] = {"versions": patterns("*")}


def test_without_a_selection_nothing_is_selected() -> None:
    found = decide([version(1), version(2)], simple())
    assert {one.reason for one in found.values()} == {Reason.NOT_SELECTED}


def test_the_reasons_come_in_the_order_of_decisions() -> None:
    versions = [version(number) for number in (1, 5, 10, 20, 30, 40)] + [version(50, updated_at=None)]
    given_rules = replace(
        simple(latest=1, older=15, version_ids=frozenset({1, 5, 10, 20, 30, 50})),
        lists=KeepLists(versions=patterns("1.0.30,1.0.1")),
    )
    assert {number: one.reason for number, one in decide(versions, given_rules).items()} == {
        1: Reason.KEEP_VERSIONS,
        5: Reason.KEEP_LATEST,
        10: Reason.TOO_YOUNG,
        20: Reason.SELECTED,
        30: Reason.KEEP_VERSIONS,
        40: Reason.NOT_SELECTED,
        50: Reason.UNKNOWN_AGE,
    }


@pytest.mark.parametrize(("older", "gone"), [(0, {1, 2, 3}), (1, {2, 3}), (2, {3}), (3, set())])
def test_older_means_strictly_before(older: int, gone: set[int]) -> None:
    assert deleted([version(1), version(2), version(3)], simple(older=older, **EVERYTHING)) == gone


def test_equal_times_are_ordered_by_id() -> None:
    versions = [version(number, updated_at=NOW) for number in (3, 1, 2)]
    assert deleted(versions, simple(latest=1, **EVERYTHING)) == {1, 2}


def test_docker_base_layer_always_stays() -> None:
    of = key("docker")
    versions = [version(1, of=of, name="docker-base-layer"), version(2, of=of)]
    given_rules = simple(version_ids=frozenset({1, 2}))
    assert deleted(versions, given_rules) == {2}
    assert decide(versions, given_rules)[1].reason is Reason.BASE_LAYER
    other = [version(1, of=key("npm"), name="docker-base-layer")]
    assert deleted(other, given_rules) == {1}


@given(version_lists(), some_rules())
def test_an_image_in_a_keep_list_is_never_deleted(versions: list[Version], given_rules: Rules) -> None:
    lists = given_rules.lists
    gone = deleted(versions, given_rules)
    for one in versions:
        kept = (
            (lists.tags is not None and any(lists.tags.accepts(tag) for tag in one.image_tags))
            or (lists.versions is not None and lists.versions.accepts(one.name))
            or one.name in lists.digests
        )
        assert not (kept and one.id in gone)


@given(version_lists(), some_rules())
def test_a_version_goes_only_when_every_input_accepts_it(versions: list[Version], given_rules: Rules) -> None:
    selection, age = given_rules.inputs.selection, given_rules.inputs.age
    by_id = {one.id: one for one in versions}
    for number in deleted(versions, given_rules):
        one = by_id[number]
        moment = one.at(age.timestamp)
        assert selection.version_ids is None or number in selection.version_ids
        assert selection.versions is None or selection.versions.accepts(one.name)
        assert selection.tags is None or (one.image_tags and all(map(selection.tags.accepts, one.image_tags)))
        assert age.older_than is None or (moment is not None and moment < age.older_than)
        assert age.newer_than is None or (moment is not None and moment >= age.newer_than)
        assert not given_rules.inputs.counts.latest or moment is not None


@given(version_lists(), some_rules(), TAGS)
def test_without_counts_one_more_keep_entry_never_deletes_more(
    versions: list[Version], given_rules: Rules, tag: str
) -> None:
    lists = given_rules.lists
    uncounted = counting(given_rules, 0)
    before = deleted(versions, uncounted)
    for more in (
        replace(lists, digests=lists.digests | {one.name for one in versions[:1]}),
        replace(lists, tags=patterns(tag)) if lists.tags is None else lists,
        replace(lists, versions=patterns("1.0.2*")) if lists.versions is None else lists,
    ):
        assert deleted(versions, replace(uncounted, lists=more)) <= before


@given(version_lists(), some_rules())
def test_a_larger_count_never_deletes_more(versions: list[Version], given_rules: Rules) -> None:
    fewer = deleted(versions, counting(given_rules, given_rules.inputs.counts.latest + 1))
    if given_rules.select_anything:
        assert fewer <= deleted(versions, given_rules)


@given(version_lists(), some_rules())
def test_keep_latest_counts_tagged_and_untagged_apart(versions: list[Version], given_rules: Rules) -> None:
    found = decide(versions, given_rules)
    anyway = {
        Reason.NOT_SELECTED,
        Reason.KEEP_TAGS,
        Reason.KEEP_VERSIONS,
        Reason.KEEP_DIGESTS,
        Reason.PARTIAL_TAG_MATCH,
        Reason.BASE_LAYER,
        Reason.UNKNOWN_AGE,
    }
    unlimited = decide(versions, counting(given_rules, 1_000))
    for tagged in (True, False):
        rest = [one for one in versions if bool(one.image_tags) is tagged and unlimited[one.id].reason not in anyway]
        kept = [one for one in rest if found[one.id].reason is Reason.KEEP_LATEST]
        assert len(kept) == min(given_rules.inputs.counts.latest, len(rest))
        newest = sorted(rest, key=lambda one: (one.at(given_rules.inputs.age.timestamp) or NOW, one.id), reverse=True)
        assert {one.id for one in kept} == {one.id for one in newest[: len(kept)]}


@given(version_lists(), some_rules(), st.randoms(use_true_random=False))
def test_the_order_of_the_list_does_not_matter(
    versions: list[Version], given_rules: Rules, chance: random.Random
) -> None:
    shuffled = list(versions)
    chance.shuffle(shuffled)
    assert decide(shuffled, given_rules) == decide(versions, given_rules)


@given(version_lists(), some_rules())
def test_every_decision_has_a_reason_that_fits(versions: list[Version], given_rules: Rules) -> None:
    for one in decide(versions, given_rules).values():
        assert (one.action is Action.DELETE) is (one.reason is Reason.SELECTED)
    for one in evaluate_restorations(versions, given_rules):
        assert (one.action is Action.RESTORE) is (one.reason is Reason.SELECTED)


@given(version_lists(), some_rules())
def test_an_unknown_age_keeps_when_an_age_or_count_is_given(versions: list[Version], given_rules: Rules) -> None:
    blind = [replace(one, created_at=None, updated_at=None, deleted_at=None) for one in versions]
    if given_rules.inputs.age.is_given or given_rules.inputs.counts.latest:
        assert deleted(blind, given_rules) == set()


@given(version_lists("docker"), some_rules())
def test_a_second_deletion_without_counts_deletes_nothing(versions: list[Version], given_rules: Rules) -> None:
    """What stays after a deletion without a count stays in the next one too."""
    calm = counting(given_rules, 0)
    gone = deleted(versions, calm)
    assert deleted([one for one in versions if one.id not in gone], calm) == set()
