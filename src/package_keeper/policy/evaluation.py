"""Evaluation: one decision and one reason for every version (docs/reference.md, "The order of decisions").

1. The first rule that matches an image decides about it. An image that no rule matches stays.
2. An image stays at any age when a keep list names it, when it is deployed or released, when it matches in part only,
   or when something about it is unreadable or unknown. Such images take no place in a count.
3. The counts of each rule keep the newest of its other images. Tagged and untagged images are counted apart.
4. The age of each rule keeps images that are too young.
5. A root that is a part of an image that stays, stays too. A part goes only when every image that needs it goes.

What is unknown is never a reason to delete.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import timedelta

from msgspec import Struct
from msgspec.structs import replace

from package_keeper.model.evidence import Uses
from package_keeper.model.images import Condition, Image
from package_keeper.model.packages import BASE_LAYER, PackageType, Version
from package_keeper.model.plan import (
    Action,
    Decision,
    Reason,
)
from package_keeper.model.run import PackageEvaluation
from package_keeper.policy.rules import Rule, Rules
from package_keeper.policy.selection import NO_FACTS, Facts, Match

PUSH_TIME = timedelta(hours=24)
"""Untagged container images younger than this stay when no age is given: a push may be under way."""


def evaluate_deletions(images: Sequence[Image], rules: Rules, facts: Facts = NO_FACTS) -> list[Decision]:
    """Decide about the images of one package: `Evaluation.deletions`."""
    return Evaluation(rules, facts).deletions(images)


def evaluate_restorations(versions: Iterable[Version], rules: Rules, facts: Facts = NO_FACTS) -> list[Decision]:
    """Decide about deleted versions: one matching tag is enough to restore an image, and no keep list applies."""
    decisions = []
    for version in versions:
        reason = _reason_not_to_restore(version, rules.inputs, facts)
        if reason is not None:
            decisions.append(_keep(version, reason))
        else:
            decisions.append(Decision(version=version, action=Action.RESTORE, reason=Reason.SELECTED))
    return decisions


def _reason_not_to_restore(version: Version, rule: Rule, facts: Facts) -> Reason | None:
    if rule.selection.match(version, facts) is Match.NONE:
        return Reason.NOT_SELECTED
    if not version.tags_known and rule.selection.asks_about_tags:
        return Reason.UNREADABLE
    if rule.lacks_age_of(version):
        return Reason.UNKNOWN_AGE
    return rule.age.reason_to_keep(version)


class _Matched(Struct, frozen=True):
    """An image, the rule that decides about it, and how far that rule matches; no rule means that none decides."""

    image: Image
    rule: Rule | None
    match: Match

    @property
    def untags(self) -> bool:
        return self.rule is not None and self.rule.untags(self.image, self.match)

    def untags_deployed(self, facts: Facts) -> bool:
        """Whether only tags are removed from an image that is deployed by its digest."""
        return self.untags and facts.uses[self.image.root.id].reason is Reason.KEEP_DEPLOYED


_Matches = tuple[tuple[int, Match], ...]
"""The places of rules in their order, and how far each matches."""


class Evaluation:
    """Applies the rules of a run to one package.

    `candidates` decides by versions alone, before any manifest is read; `deletions` decides by images. How far the
    rules match a version is found once for both.
    """

    def __init__(self, rules: Rules, facts: Facts = NO_FACTS) -> None:
        self._rules = rules
        self._facts = facts
        self._deciding = rules.rules if rules.select_anything else ()
        self._matches: dict[int, _Matches] = {}
        self._shared: dict[_Matches, _Matches] = {}
        """One tuple for all versions that match alike, since a package may have 100,000 versions."""

    def deletions(self, images: Sequence[Image]) -> list[Decision]:
        """Decide what a deletion takes.

        There is one decision for every version: first roots in the order of `images`, then parts.
        """
        matched = [self._first_match(image) for image in images]
        kept = _kept_roots(matched, self._rules, self._facts)
        needed = _needed_parts(matched, kept)
        decisions = {
            each.image.root.id: _decide_root(each, kept.get(each.image.root.id), needed, self._facts)
            for each in matched
        }
        for image in images:
            root = decisions[image.root.id]
            if root.action is Action.DELETE:
                for part in image.parts:
                    if part.id not in needed:
                        decisions.setdefault(part.id, _part_of(root, part))
        for part, holder in needed.values():
            decisions.setdefault(part.id, _keep(part, Reason.NEEDED_BY, root=holder))
        return list(decisions.values())

    def candidates(self, versions: Iterable[Version]) -> set[int]:
        """The ids of container versions that a deletion may take as roots, found without any manifest.

        These may be more than `deletions` takes, never fewer: what manifests tell (parts, digests that stay, health)
        can only keep more. There is one exception, stubs: counts do not keep them, but only a manifest shows that an
        image is one. A stub has no parts, and what may need it is read anyway.
        """
        by_rule: dict[int, list[_Matched]] = defaultdict(list)
        for version in versions:
            image = Image(root=version)
            # until an image is known, each rule up to the first that does not ask about it may decide
            for place, match in self._possible_matches(version):
                rule = self._rules.rules[place]
                if not rule.passes_on(match):
                    by_rule[place].append(_Matched(image, rule, match))
        return {root for place, matched in by_rule.items() for root in self._possible_roots(place, matched)}

    def _possible_roots(self, place: int, matched: Sequence[_Matched]) -> set[int]:
        """The ids of the versions that the rule at `place` may delete, out of those that it matches."""
        rule = self._rules.rules[place]
        tagged = [each for each in matched if each.image.is_tagged]
        kept = _kept_roots(tagged, self._rules, self._facts)
        # untagging needs no manifest, unless the image decides whether this rule applies
        may_untag = not rule.selection.needs_images
        found = {
            each.image.root.id for each in tagged if each.image.root.id not in kept and not (may_untag and each.untags)
        }
        # counts cannot keep an untagged version here, since it may be a part
        found.update(
            each.image.root.id
            for each in matched
            if not each.image.is_tagged
            and not _kept_at_any_age(each, self._rules, self._facts)
            and not _kept_by_age(each.image, rule, self._rules)
        )
        return found

    def _first_match(self, image: Image) -> _Matched:
        """The first rule that decides about `image`."""
        passed = Match.NONE
        for place, match in self._possible_matches(image.root):
            rule = self._rules.rules[place]
            if rule.selection.admits(image, self._facts):
                if not rule.passes_on(match):
                    return _Matched(image, rule, match)
                passed = match
        return _Matched(image, None, passed)

    def _possible_matches(self, version: Version) -> _Matches:
        """The rules that match `version`, up to the first that decides whatever the health of its image."""
        known = self._matches.get(version.id)
        if known is not None:
            return known
        # most selections do not admit a referrer by tag alone when its subject is in another package
        may_be_foreign = bool(version.tags) and not version.image_tags
        found: list[tuple[int, Match]] = []
        for place, rule in enumerate(self._deciding):
            match = rule.match(version, self._facts)
            if match is not Match.NONE:
                found.append((place, match))
                if not rule.selection.needs_images and not rule.passes_on(match) and not may_be_foreign:
                    break
        matches = tuple(found)
        self._matches[version.id] = self._shared.setdefault(matches, matches)
        return matches


def _kept_roots(matched: Iterable[_Matched], rules: Rules, facts: Facts) -> dict[int, Reason]:
    """The roots that stay by steps 1 to 4, by id."""
    kept: dict[int, Reason] = {}
    rest: dict[int, tuple[Rule, list[Image]]] = {}
    for each in matched:
        if reason := _kept_at_any_age(each, rules, facts):
            kept[each.image.root.id] = reason
        elif each.rule is not None:
            rest.setdefault(id(each.rule), (each.rule, []))[1].append(each.image)
    for rule, images in rest.values():
        kept |= rule.counts.kept((image for image in images if not image.is_stub), rule.age.timestamp)
        for image in images:
            if image.root.id not in kept and (reason := _kept_by_age(image, rule, rules)):
                kept[image.root.id] = reason
    return kept


def _kept_at_any_age(matched: _Matched, rules: Rules, facts: Facts) -> Reason | None:
    """Why an image stays by steps 1 and 2, or `None`."""
    image, rule = matched.image, matched.rule
    version = image.root
    if rule is None:
        return Reason.PARTIAL_TAG_MATCH if matched.match.is_partial else Reason.NOT_SELECTED
    if version.package.type is PackageType.DOCKER and version.name == BASE_LAYER:
        return Reason.BASE_LAYER
    if reason := rules.lists.reason_to_keep(image):
        return reason
    if version.id in facts.uses and not matched.untags_deployed(facts):
        return facts.uses[version.id].reason
    if not version.tags_known and not _is_named(version, rule, rules):
        return Reason.UNREADABLE
    if rule.keeps_all:
        return Reason.RULE
    if rule.keeps_partial(image, matched.match):
        return Reason.PARTIAL_TAG_MATCH
    if not image.readable:
        return Reason.UNREADABLE
    return Reason.UNKNOWN_AGE if rule.lacks_age_of(version) else None


def _is_named(version: Version, rule: Rule, rules: Rules) -> bool:
    """Whether `rule` selects `version` by its id, and neither the rule nor a list asks about its tags."""
    asked = rule.selection.asks_about_tags or rules.lists.ask_about_tags(version.package)
    return rule.selection.version_ids is not None and not asked


def _kept_by_age(image: Image, rule: Rule, rules: Rules) -> Reason | None:
    """Why an image stays by step 4, or `None`."""
    if rule.age.is_given:
        return rule.age.reason_to_keep(image.root)
    named = (rules.raw or rules.from_plan) and rule.selection.names_exactly
    if image.is_tagged or named or not rules.writing or image.root.package.type is not PackageType.CONTAINER:
        return None
    moment = image.root.at(rule.age.timestamp)
    if moment is None:
        return Reason.UNKNOWN_AGE
    return Reason.TOO_YOUNG if moment > rules.now - PUSH_TIME else None


_Needed = Mapping[int, tuple[Version, Version]]
"""Parts by their ids, each with the root of the first image that needs it."""


def _needed_parts(matched: Iterable[_Matched], kept: Collection[int]) -> _Needed:
    """All parts of the images that stay."""
    needed: dict[int, tuple[Version, Version]] = {}
    for each in matched:
        if each.image.root.id in kept or each.untags:
            for part in each.image.parts:
                needed.setdefault(part.id, (part, each.image.root))
    return needed


def _decide_root(matched: _Matched, kept: Reason | None, needed: _Needed, facts: Facts) -> Decision:
    root, rule = matched.image.root, matched.rule
    if kept is not None or rule is None:
        where = facts.uses[root.id].where if kept in _BY_EVIDENCE else ""
        return _keep(root, kept or Reason.NOT_SELECTED, rule=rule.name if rule else "", where=where)
    reason = Reason.RULE if rule.name else Reason.SELECTED
    if matched.untags:
        tags = rule.selection.matching_tags(root, facts)
        return Decision(version=root, action=Action.UNTAG, reason=reason, rule=rule.name, untag=tags)
    if root.id in needed:
        return _keep(root, Reason.NEEDED_BY, rule=rule.name, root=needed[root.id][1])
    if rule.selection.conditions is not None and not rule.name:
        reason = _CONDITION_REASONS.get(matched.image.condition, reason)
    return Decision(version=root, action=Action.DELETE, reason=reason, rule=rule.name)


def _part_of(root: Decision, part: Version) -> Decision:
    return Decision(version=part, action=Action.DELETE, reason=Reason.PART_OF, rule=root.rule, root=root.version)


def _keep(
    version: Version, reason: Reason, *, rule: str = "", root: Version | None = None, where: str = ""
) -> Decision:
    return Decision(version=version, action=Action.KEEP, reason=reason, rule=rule, root=root, where=where)


_BY_EVIDENCE = frozenset({Reason.KEEP_DEPLOYED, Reason.KEEP_RELEASED, Reason.UNKNOWN_USE})


def keep_used(found: PackageEvaluation, uses: Uses) -> PackageEvaluation:
    """Keep the images whose roots are in use after all, with every part that they need."""
    decisions = {decision.version.id: decision for decision in found.decisions}
    going = {number for number, decision in decisions.items() if decision.action is Action.DELETE}
    used = [image for image in found.images if image.root.id in going and image.root.id in uses]
    for image in used:
        use = uses[image.root.id]
        before = decisions[image.root.id]
        decisions[image.root.id] = _keep(image.root, use.reason, rule=before.rule, where=use.where)
    for image in used:
        for part in image.parts:
            if decisions[part.id].action is Action.DELETE:
                decisions[part.id] = _keep(part, Reason.NEEDED_BY, rule=decisions[part.id].rule, root=image.root)
    return replace(found, decisions=tuple(decisions.values())) if used else found


_CONDITION_REASONS = {
    Condition.ORPHAN: Reason.ORPHAN,
    Condition.GHOST: Reason.GHOST,
    Condition.PARTIAL: Reason.PARTIAL,
}
