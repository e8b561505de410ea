"""The order of decisions (contract, "The order of decisions"): one decision and one reason for every version.

1. Which rule decides: the first whose match fits. 2. What stays whatever the age: keep lists, partial matches,
unreadable and unknown things; these use up no place of a count. 3. The counts of each rule over the rest of what it
matched, tagged and untagged images apart. 4. Age. 5. Parts: a root that an image which stays needs, stays; a part goes
only when every image that needs it goes. Unknown is never a reason to delete.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from package_keeper.model.images import Condition, Image
from package_keeper.model.packages import BASE_LAYER, PackageType, Version
from package_keeper.model.words import Action, Reason
from package_keeper.policy.rules import Rule, Rules
from package_keeper.policy.selection import NO_FACTS, Age, Facts, Match

PUSH_TIME = timedelta(hours=24)
"""Untagged container images younger than this stay when no age is given: a push may be under way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What was decided about one version, and why.

    `rule` is the name of the policy's rule that decided about the image, empty without a policy and where no rule fits.
    `root` is the root of the image that a part belongs to or is needed by. `untag` are the tags that go when the
    decision is to untag.
    """

    version: Version
    action: Action
    reason: Reason
    rule: str = ""
    root: Version | None = None
    untag: tuple[str, ...] = ()

    @property
    def why(self) -> str:
        """The reason as users read it: a word of the contract, or `rule:NAME`."""
        return spoken(self.reason, self.rule)


def spoken(reason: Reason, rule: str) -> str:
    """The reason as users read it."""
    return f"{reason}:{rule}" if reason is Reason.RULE else reason.value


@dataclass(frozen=True, slots=True)
class _Fit:
    """Which rule decides about an image."""

    image: Image
    rule: Rule | None
    match: Match

    @property
    def name(self) -> str:
        return self.rule.name if self.rule is not None else ""

    @property
    def untags(self) -> bool:
        return self.rule is not None and self.rule.untags(self.image, self.match)


_Matches = tuple[tuple[int, Match], ...]
"""Places of rules in their order, and how far each matches."""


class Evaluation:
    """The rules of a run at work on one package. How far rules match versions is worked out once, for both questions.

    `candidates` sees versions only, before anything is read about images; `deletions` judges the images.
    """

    def __init__(self, rules: Rules, facts: Facts = NO_FACTS) -> None:
        self._rules = rules
        self._facts = facts
        self._matches: dict[int, _Matches] = {}
        self._same: dict[_Matches, _Matches] = {}

    def deletions(self, images: Sequence[Image]) -> list[Decision]:
        """Judge the images: what would a deletion take?

        There is one decision for every version, roots in the order of `images`, then parts.
        """
        fits = [self._fit(image) for image in images]
        kept = _kept_roots(fits, self._rules)
        going = {fit.image.root.id for fit in fits if fit.image.root.id not in kept and not fit.untags}
        needed = _needed(images, going)
        judged: dict[int, Decision] = {}
        for fit in fits:
            judged[fit.image.root.id] = _evaluate_root(fit, kept.get(fit.image.root.id), needed, self._facts)
        for image in images:
            root = judged[image.root.id]
            if root.action is not Action.DELETE:
                continue
            for part in image.parts:
                if part.id not in needed and part.id not in judged:
                    judged[part.id] = Decision(
                        version=part, action=Action.DELETE, reason=Reason.PART_OF, rule=root.rule, root=image.root
                    )
        for part_id, (part, holder) in needed.items():
            if part_id not in judged:
                judged[part_id] = _keep(part, Reason.NEEDED_BY, root=holder)
        return list(judged.values())

    def candidates(self, versions: Iterable[Version]) -> set[int]:
        """The ids of container versions that a deletion could take as roots, seen without any manifest.

        More than will go, never fewer: what is known later (parts, digests that stay, health) only keeps. While the
        health of images is unknown, a rule about it may fit or not, so the rules behind it may decide too. That a count
        does not keep a stub is known later only; a stub needs nothing, and what may need it is read all the same.
        """
        reach: dict[int, tuple[Rule, list[_Fit]]] = {}
        for version in versions:
            image = Image(root=version)
            for place, match in self._possible(version):
                rule = self._rules.rules[place]
                if not rule.passes_on(match):
                    reach.setdefault(id(rule), (rule, []))[1].append(_Fit(image, rule, match))
        possible: set[int] = set()
        for rule, fits in reach.values():
            asks_health = rule.selection.conditions is not None
            tagged = [fit for fit in fits if fit.image.is_tagged]
            kept = _kept_roots(tagged, self._rules)
            for fit in tagged:
                # to take a tag away from an image, nothing needs to be known of what the image holds
                if fit.image.root.id not in kept and (asks_health or not fit.untags):
                    possible.add(fit.image.root.id)
            for fit in fits:
                # which of the untagged are roots is not known yet, so none can be counted among the latest
                if fit.image.is_tagged or fit.image.root.id in possible:
                    continue
                if not _stays_anyway(fit, self._rules) and not _kept_by_time(fit, self._rules):
                    possible.add(fit.image.root.id)
        return possible

    def _fit(self, image: Image) -> "_Fit":
        """The first rule that decides about `image`. Without one, whether any matched some of its tags."""
        passed = Match.NONE
        for place, match in self._possible(image.root):
            rule = self._rules.rules[place]
            if not rule.selection.admits(image):
                continue
            if not rule.passes_on(match):
                return _Fit(image, rule, match)
            passed = match
        return _Fit(image, None, passed)

    def _possible(self, version: Version) -> "_Matches":
        """The rules that match `version`, up to the first that decides whatever the state of its image."""
        known = self._matches.get(version.id)
        if known is not None:
            return known
        found: list[tuple[int, Match]] = []
        for place, rule in enumerate(self._rules.rules if self._rules.select_anything else ()):
            match = rule.match(version, self._facts)
            if match is not Match.NONE:
                found.append((place, match))
                if rule.selection.conditions is None and not rule.passes_on(match) and not _may_be_foreign(version):
                    break
        # the same few for 100,000 versions
        matches = tuple(found)
        self._matches[version.id] = self._same.setdefault(matches, matches)
        return self._matches[version.id]


def _may_be_foreign(version: Version) -> bool:
    """Whether it could be a referrer by tag alone, which most selections do not admit."""
    return bool(version.tags) and not version.image_tags


def evaluate_deletions(images: Sequence[Image], rules: Rules, facts: Facts = NO_FACTS) -> list[Decision]:
    """Judge the images of one package: what would a deletion under `rules` take?"""
    return Evaluation(rules, facts).deletions(images)


def evaluate_restorations(versions: Iterable[Version], rules: Rules, facts: Facts = NO_FACTS) -> list[Decision]:
    """Judge deleted versions: one matching tag is enough to bring an image back, and no keep list applies."""
    rule = rules.inputs
    decisions = []
    for version in versions:
        kept = Reason.NOT_SELECTED if rule.selection.match(version, facts) is Match.NONE else None
        if kept is None and not version.tags_known and rule.selection.asks_about_tags:
            kept = Reason.UNREADABLE
        kept = kept or _unknown_age(version, rule) or _kept_by_age(version, rule.age)
        if kept is not None:
            decisions.append(_keep(version, kept))
        else:
            decisions.append(Decision(version=version, action=Action.RESTORE, reason=Reason.SELECTED))
    return decisions


def _kept_roots(fits: Iterable[_Fit], rules: Rules) -> dict[int, Reason]:
    """The roots that their own rules keep, by id."""
    kept: dict[int, Reason] = {}
    rest: dict[int, list[_Fit]] = {}
    for fit in fits:
        if reason := _stays_anyway(fit, rules):
            kept[fit.image.root.id] = reason
        else:
            rest.setdefault(id(fit.rule), []).append(fit)
    for several in rest.values():
        rule = several[0].rule
        if rule is not None:
            images = (fit.image for fit in several if not fit.image.is_stub)
            kept.update(rule.counts.kept(images, rule.age.timestamp))
        for fit in several:
            if fit.image.root.id not in kept and (reason := _kept_by_time(fit, rules)):
                kept[fit.image.root.id] = reason
    return kept


def _stays_anyway(fit: _Fit, rules: Rules) -> Reason | None:
    """Why an image stays whatever is counted: such images use up no place."""
    image, rule = fit.image, fit.rule
    version = image.root
    if rule is None:
        return Reason.PARTIAL_TAG_MATCH if fit.match.is_partial else Reason.NOT_SELECTED
    if version.package.type is PackageType.DOCKER and version.name == BASE_LAYER:
        return Reason.BASE_LAYER
    if reason := rules.lists.reason_to_keep(image):
        return reason
    if not version.tags_known and not _is_named(version, rule, rules):
        return Reason.UNREADABLE
    if rule.keeps_all:
        return Reason.RULE
    if rule.keeps_partial(image, fit.match):
        return Reason.PARTIAL_TAG_MATCH
    if not image.readable:
        return Reason.UNREADABLE
    return _unknown_age(version, rule)


def _is_named(version: Version, rule: Rule, rules: Rules) -> bool:
    """Whether `rule` selects `version` by its id, and nothing is asked about its tags: then they need not be known."""
    asked = rule.selection.asks_about_tags or rules.lists.ask_about_tags(version.package)
    return rule.selection.version_ids is not None and not asked


def _unknown_age(version: Version, rule: Rule) -> Reason | None:
    return Reason.UNKNOWN_AGE if rule.needs_time and version.at(rule.age.timestamp) is None else None


def _kept_by_time(fit: _Fit, rules: Rules) -> Reason | None:
    image, rule = fit.image, fit.rule
    if rule is None:
        return Reason.NOT_SELECTED
    if rule.age.is_given:
        return _kept_by_age(image.root, rule.age)
    named = rules.raw and rule.selection.names_exactly
    if image.is_tagged or named or not rules.writing or image.root.package.type is not PackageType.CONTAINER:
        return None
    moment = image.root.at(rule.age.timestamp)
    if moment is None:
        return Reason.UNKNOWN_AGE
    return Reason.TOO_YOUNG if moment > rules.now - PUSH_TIME else None


def _kept_by_age(version: Version, age: Age) -> Reason | None:
    moment = version.at(age.timestamp)
    if moment is None:
        return Reason.UNKNOWN_AGE if age.is_given else None
    if age.older_than is not None and moment >= age.older_than:
        return Reason.TOO_YOUNG
    if age.newer_than is not None and moment < age.newer_than:
        return Reason.NOT_SELECTED
    return None


def _needed(images: Iterable[Image], going: set[int]) -> dict[int, tuple[Version, Version]]:
    """All parts of the images that stay, by id, each with the root of the first image that needs it."""
    needed: dict[int, tuple[Version, Version]] = {}
    for image in images:
        if image.root.id not in going:
            for part in image.parts:
                needed.setdefault(part.id, (part, image.root))
    return needed


def _evaluate_root(
    fit: _Fit, kept: Reason | None, needed: dict[int, tuple[Version, Version]], facts: Facts
) -> Decision:
    root, rule = fit.image.root, fit.rule
    if kept is not None or rule is None:
        return _keep(root, kept or Reason.NOT_SELECTED, rule=fit.name)
    reason = Reason.RULE if rule.name else Reason.SELECTED
    if fit.untags:
        tags = rule.selection.matching_tags(root, facts)
        return Decision(version=root, action=Action.UNTAG, reason=reason, rule=fit.name, untag=tags)
    if root.id in needed:
        return _keep(root, Reason.NEEDED_BY, rule=fit.name, root=needed[root.id][1])
    if rule.selection.conditions is not None and not rule.name:
        reason = _CONDITION_REASONS.get(fit.image.condition, reason)
    return Decision(version=root, action=Action.DELETE, reason=reason, rule=fit.name)


def _keep(version: Version, reason: Reason, *, rule: str = "", root: Version | None = None) -> Decision:
    return Decision(version=version, action=Action.KEEP, reason=reason, rule=rule, root=root)


_CONDITION_REASONS = {
    Condition.ORPHAN: Reason.ORPHAN,
    Condition.GHOST: Reason.GHOST,
    Condition.PARTIAL: Reason.PARTIAL,
}
