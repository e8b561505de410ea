"""Policies over images: the first rule that fits decides, no image loses a part, and kept images stay.

The tests find the rule that fits from all manifests; the evaluation under test reads as few as possible.
"""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from package_keeper.model.images import Graph, Image
from package_keeper.model.plan import Action, Decision, Reason
from package_keeper.policy.evaluation import Evaluation
from package_keeper.policy.gone import Tie
from package_keeper.policy.retention import Counts
from package_keeper.policy.rules import Rule
from package_keeper.policy.selection import Facts, PartialMatch, Selection, TagStatus
from package_keeper.policy.semver import Prerelease, semantic_version
from tests.unit.model.cases import POLICY_CASES, Case, draw_policy_case
from tests.unit.model.memory import Hub, evaluated, executed, planned
from tests.unit.model.worlds import APP, SEEDS, Habits, naive_needs, torn

ROUGH_CASES = st.builds(
    draw_policy_case,
    SEEDS,
    st.integers(0, 60),
    st.just(Habits(missing=0.3, twins=0.3, odd_ages=0.8, blind=0.5, cycles=0.3)),
)
ALL_CASES = POLICY_CASES | ROUGH_CASES
SMALL_CASES = st.builds(draw_policy_case, SEEDS, st.integers(0, 25))


def decide(case: Case) -> list[Decision]:
    return list(evaluated(Hub(case.world), case.rules, facts=case.facts).decisions)


def gone(decisions: Sequence[Decision]) -> set[int]:
    return {each.version.id for each in decisions if each.action is Action.DELETE}


def images_of(case: Case) -> Sequence[Image]:
    return Graph(case.world.versions, case.world.known()).images()


def is_gone(tag: str, template_tie: Tie, before: str, facts: Facts, *, unknown: bool) -> bool:
    """What is gone, of the tags that worlds have; versions never are."""
    if semantic_version(tag) is not None or not tag.startswith(before):
        return False
    rest = tag[len(before) :]
    has_form = bool(rest) and (template_tie is Tie.BRANCH or rest.lstrip("0") == rest.strip() != "")
    if template_tie is Tie.PULL_REQUEST and not rest.isdecimal():
        return False
    life = facts.repositories.get(APP)
    if life is None:
        return unknown and has_form
    if tag in life.git_tags:
        return False
    if template_tie is Tie.BRANCH:
        return rest in life.closed_heads and rest not in life.branches
    return has_form and int(rest) in life.closed_pulls


def tag_matches(tag: str, selection: Selection, facts: Facts, *, unknown: bool) -> bool:
    if selection.tags is not None and not selection.tags.accepts(tag):
        return False
    version = semantic_version(tag)
    if selection.semver is not None and (version is None or not selection.semver.accepts(version)):
        return False
    if selection.prerelease is not Prerelease.ANY:
        wanted = selection.prerelease is Prerelease.ONLY
        if version is None or bool(version.prerelease) is not wanted:
            return False
    if selection.gone is not None:
        (template,) = selection.gone.templates
        return is_gone(tag, template.tie, template.before, facts, unknown=unknown)
    return True


def fits(image: Image, rule: Rule, facts: Facts) -> bool:
    """Whether `rule` decides about `image`, if no rule before it does."""
    root, selection = image.root, rule.selection
    if selection.conditions is not None and image.condition not in selection.conditions:
        return False
    if image.foreign and selection.versions is None and selection.version_ids is None:
        return False
    if selection.versions is not None and not selection.versions.accepts(root.name):
        return False
    if selection.tag_status is not TagStatus.ANY and (selection.tag_status is TagStatus.TAGGED) is not image.is_tagged:
        return False
    if selection.where is not None and root.id not in facts.selected[selection.where]:
        return False
    inputs = (selection.tags, selection.semver, selection.gone)
    if selection.prerelease is Prerelease.ANY and all(each is None for each in inputs):
        return True
    match = [tag_matches(tag, selection, facts, unknown=rule.keeps_all) for tag in root.image_tags]
    if rule.keeps_all or selection.partial_match is not None:
        return any(match)
    return bool(match) and all(match)


def first_fit(image: Image, case: Case) -> str:
    return next((rule.name for rule in case.rules.rules if fits(image, rule, case.facts)), "")


@given(ALL_CASES)
def test_no_image_that_stays_loses_a_part(case: Case) -> None:
    assert torn(case.world, gone(decide(case))) == []


@given(ALL_CASES)
def test_every_version_gets_exactly_one_decision(case: Case) -> None:
    assert sorted(each.version.id for each in decide(case)) == sorted(each.id for each in case.world.versions)


@given(ALL_CASES)
def test_the_first_rule_that_fits_decides(case: Case) -> None:
    with_all = {each.version.id: each for each in Evaluation(case.rules, case.facts).deletions(images_of(case))}
    for image in images_of(case):
        decision = with_all[image.root.id]
        assert decision.rule == first_fit(image, case)
        if decision.reason in (Reason.RULE, Reason.KEEP_LATEST, Reason.KEEP_DAILY, Reason.TOO_YOUNG):
            assert decision.rule
        if decision.reason is Reason.NOT_SELECTED:
            assert decision.rule == ""
        assert decision.reason not in (Reason.SELECTED, Reason.PARTIAL, Reason.GHOST, Reason.ORPHAN)


@given(ALL_CASES)
def test_reading_few_manifests_deletes_nothing_that_reading_all_keeps(case: Case) -> None:
    with_all = gone(Evaluation(case.rules, case.facts).deletions(images_of(case)))
    assert gone(decide(case)) <= with_all


@given(ALL_CASES)
def test_what_a_rule_keeps_is_never_deleted(case: Case) -> None:
    taken = gone(decide(case))
    keeping = {rule.name for rule in case.rules.rules if rule.keeps_all}
    for image in images_of(case):
        if first_fit(image, case) in keeping | {""}:
            assert image.root.id not in taken
            assert taken.isdisjoint(part.id for part in image.parts)


@given(ALL_CASES)
def test_keep_lists_win_over_every_rule(case: Case) -> None:
    taken = gone(decide(case))
    for image in images_of(case):
        if case.rules.lists.reason_to_keep(image) is not None:
            assert image.root.id not in taken
            assert taken.isdisjoint(part.id for part in image.parts)


@given(ALL_CASES, st.integers(0, 5))
def test_one_more_keep_list_never_deletes_more(case: Case, place: int) -> None:
    before = gone(Evaluation(case.rules, case.facts).deletions(images_of(case)))
    names = sorted(case.world.digests)
    digest = names[place % len(names)] if names else ""
    lists = replace(case.rules.lists, digests=case.rules.lists.digests | {digest})
    after = gone(Evaluation(replace(case.rules, lists=lists), case.facts).deletions(images_of(case)))
    assert after <= before
    assert digest not in {each.name for each in case.world.versions if each.id in after}


@given(ALL_CASES)
def test_candidates_are_never_fewer_than_the_roots_that_go(case: Case) -> None:
    decisions = Evaluation(case.rules, case.facts).deletions(images_of(case))
    roots = {
        each.version.id for each in decisions if each.action is Action.DELETE and each.reason is not Reason.PART_OF
    }
    assert roots <= Evaluation(case.rules, case.facts).candidates(case.world.versions)


def swapped(case: Case, place: int) -> tuple[Case, Rule, Rule]:
    """The same with a rule and the next one exchanged."""
    several = list(case.rules.rules)
    first = place % (len(several) - 1)
    several[first : first + 2] = reversed(several[first : first + 2])
    rules = replace(case.rules, rules=tuple(several))
    return replace(case, rules=rules), case.rules.rules[first], case.rules.rules[first + 1]


SEVERAL = ALL_CASES.filter(lambda case: len(case.rules.rules) > 1)


@given(SEVERAL, st.integers(0, 4))
def test_exchanging_two_rules_moves_only_images_that_both_fit(case: Case, place: int) -> None:
    other, first, second = swapped(case, place)
    before = {each.version.id: each.rule for each in Evaluation(case.rules, case.facts).deletions(images_of(case))}
    after = {each.version.id: each.rule for each in Evaluation(other.rules, case.facts).deletions(images_of(case))}
    for image in images_of(case):
        if not (fits(image, first, case.facts) and fits(image, second, case.facts)):
            assert before[image.root.id] == after[image.root.id]


@given(SEVERAL, st.integers(0, 4))
def test_without_counts_exchanging_rules_changes_only_images_that_both_fit(case: Case, place: int) -> None:
    """Counts are of what a rule is left with, and images that share parts stay for each other."""
    uncounted = tuple(replace(rule, counts=Counts()) for rule in case.rules.rules)
    plain = replace(case, rules=replace(case.rules, rules=uncounted))
    other, first, second = swapped(plain, place)
    images = [Image(root=image.root, condition=image.condition) for image in images_of(case)]
    before = {each.version.id: each for each in Evaluation(plain.rules, case.facts).deletions(images)}
    after = {each.version.id: each for each in Evaluation(other.rules, case.facts).deletions(images)}
    for image in images:
        if not (fits(image, first, case.facts) and fits(image, second, case.facts)):
            assert before[image.root.id] == after[image.root.id]


@given(ALL_CASES)
def test_reasons_fit_their_decisions(case: Case) -> None:
    names = {rule.name for rule in case.rules.rules}
    for each in decide(case):
        assert each.rule in names | {""}
        assert (each.why == f"rule:{each.rule}") is (each.reason is Reason.RULE)
        if each.action is Action.DELETE:
            assert each.reason in (Reason.RULE, Reason.PART_OF)
            assert each.rule
        if each.action is Action.UNTAG:
            assert each.reason is Reason.RULE
            assert each.untag
            assert set(each.untag) < set(each.version.image_tags)


@given(ALL_CASES)
def test_only_tags_that_the_deciding_rule_matches_are_untagged(case: Case) -> None:
    rules = {rule.name: rule for rule in case.rules.rules}
    for each in decide(case):
        if each.action is Action.UNTAG:
            rule = rules[each.rule]
            assert rule.selection.partial_match is PartialMatch.UNTAG
            matching = [
                tag for tag in each.version.image_tags if tag_matches(tag, rule.selection, case.facts, unknown=False)
            ]
            assert list(each.untag) == matching


@given(SMALL_CASES)
def test_after_any_single_write_nothing_is_torn(case: Case) -> None:
    hub = Hub(case.world)
    needs = naive_needs(case.world)

    def look() -> None:
        assert torn(case.world, set(hub.deleted), needs) == []

    hub.after_each = look
    plan = planned(evaluated(hub, case.rules, facts=case.facts), case.rules)
    executed(hub, plan)


@given(ALL_CASES, SEEDS)
def test_the_order_of_lists_does_not_matter(case: Case, seed: int) -> None:
    other = replace(case, world=case.world.shuffled(seed))
    assert {each.version.id: each for each in decide(case)} == {each.version.id: each for each in decide(other)}


@given(ALL_CASES)
def test_nothing_is_read_for_a_policy_that_keeps_everything(case: Case) -> None:
    keeping = tuple(replace(rule, keeps_all=True, counts=Counts()) for rule in case.rules.rules)
    hub = Hub(case.world)
    decisions = evaluated(hub, replace(case.rules, rules=keeping), facts=case.facts).decisions
    assert gone(decisions) == set()
    assert not hub.reads
