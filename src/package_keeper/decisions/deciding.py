"""The order of decisions (contract, "The order of decisions"): one decision and one reason for every version.

1. Selection. 2. What stays whatever the age: keep lists, partial matches, unreadable and unknown things; these use up
no place of `keep-latest`. 3. `keep-latest` over the rest of what is selected, tagged and untagged images apart.
4. Age. 5. Parts: a root that an image which stays needs, stays; a part goes only when every image that needs it goes.
Unknown is never a reason to delete.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from package_keeper.decisions.retention import Retention
from package_keeper.decisions.selection import Age, Match, PartialMatch, Selection
from package_keeper.decisions.vocabulary import Decision, Reason
from package_keeper.inventory.image import Condition, Image
from package_keeper.inventory.package import PackageType
from package_keeper.inventory.version import BASE_LAYER, Version, age_order

PUSH_TIME = timedelta(hours=24)
"""Untagged container images younger than this stay when no age is given: a push may be under way."""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """Everything that decides about one image.

    `now` is the moment from which ages are seen. `raw` means that versions are judged as if nothing held them
    together, since the user named them one by one. `writing` is false where nothing will be deleted: then a push that
    may be under way needs no protection.
    """

    selection: Selection
    age: Age
    now: datetime
    retention: Retention = field(default_factory=Retention)
    raw: bool = False
    writing: bool = True

    @property
    def select_anything(self) -> bool:
        """Whether any selection, age or count is given; without one nothing is ever chosen."""
        return self.selection.is_given or self.age.is_given or self.retention.latest > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What was decided about one version, and why.

    `root` is the root of the image that a part belongs to or is needed by. `untag` are the tags that go when the
    decision is to untag.
    """

    version: Version
    decision: Decision
    reason: Reason
    root: Version | None = None
    untag: tuple[str, ...] = ()


def decide_deletions(images: Sequence[Image], rules: Rules) -> list[Judgement]:
    """Judge the images of one package: what would a deletion under `rules` take?

    There is one judgement for every version, roots in the order of `images`, then parts.
    """
    kept = _kept_roots(images, rules)
    going = [image for image in images if image.root.id not in kept and not _untags(image, rules)]
    needed = _needed(images, {image.root.id for image in going})
    judged: dict[int, Judgement] = {}
    for image in images:
        judged[image.root.id] = _judge_root(image, kept.get(image.root.id), needed, rules)
    deleted = [image for image in images if judged[image.root.id].decision is Decision.DELETE]
    for image in deleted:
        for part in image.parts:
            if part.id not in needed and part.id not in judged:
                judged[part.id] = Judgement(
                    version=part, decision=Decision.DELETE, reason=Reason.PART_OF, root=image.root
                )
    for part_id, (part, root) in needed.items():
        if part_id not in judged:
            judged[part_id] = _keep(part, Reason.NEEDED_BY, root)
    return list(judged.values())


def decide_restorations(versions: Iterable[Version], rules: Rules) -> list[Judgement]:
    """Judge deleted versions: one matching tag is enough to bring an image back, and no keep list applies."""
    judgements = []
    for version in versions:
        kept = Reason.NOT_SELECTED if rules.selection.match(version) is Match.NONE else None
        kept = kept or _unknown_age(version, rules) or _kept_by_age(version, rules.age)
        if kept is not None:
            judgements.append(_keep(version, kept))
        else:
            judgements.append(Judgement(version=version, decision=Decision.RESTORE, reason=Reason.SELECTED))
    return judgements


def candidates(versions: Iterable[Version], rules: Rules) -> set[int]:
    """The ids of container versions that a deletion could take as roots, seen without any manifest.

    More than will go, never fewer: what is known later (parts, digests that stay, health) only keeps.
    """
    images = [Image(root=version) for version in versions]
    tagged = [image for image in images if image.is_tagged]
    untagged = [image for image in images if not image.is_tagged]
    if not rules.select_anything:
        return set()
    anyhow = replace(rules, selection=replace(rules.selection, conditions=None))
    kept = _kept_roots(tagged, anyhow, asked=True)
    possible = {image.root.id for image in tagged if image.root.id not in kept}
    if rules.selection.conditions is None:
        # to take a tag away from an image, nothing needs to be known of what the image holds
        possible -= {image.root.id for image in tagged if _untags(image, anyhow)}
    for image in untagged:
        # which of these are roots is not known yet, so none can be counted among the latest
        if not _stays_anyway(image, anyhow, asked=True) and not _kept_by_time(image, anyhow):
            possible.add(image.root.id)
    return possible


def _kept_roots(images: Iterable[Image], rules: Rules, *, asked: bool = False) -> dict[int, Reason]:
    """The roots that their own rules keep, by id."""
    kept: dict[int, Reason] = {}
    rest: list[Image] = []
    for image in images:
        if reason := _stays_anyway(image, rules, asked=asked):
            kept[image.root.id] = reason
        else:
            rest.append(image)
    kept.update(dict.fromkeys(_latest(rest, rules), Reason.KEEP_LATEST))
    for image in rest:
        if image.root.id not in kept and (reason := _kept_by_time(image, rules)):
            kept[image.root.id] = reason
    return kept


def _stays_anyway(image: Image, rules: Rules, *, asked: bool = False) -> Reason | None:
    version = image.root
    match = rules.selection.match_image(image) if asked or rules.select_anything else Match.NONE
    if match is Match.NONE:
        return Reason.NOT_SELECTED
    if version.package.type is PackageType.DOCKER and version.name == BASE_LAYER:
        return Reason.BASE_LAYER
    if reason := rules.retention.lists.reason_to_keep(image):
        return reason
    if match is Match.PARTIAL and not _partial_may_go(version, rules):
        return Reason.PARTIAL_TAG_MATCH
    if not image.readable:
        return Reason.UNREADABLE
    return _unknown_age(version, rules)


def _unknown_age(version: Version, rules: Rules) -> Reason | None:
    needs_time = rules.age.is_given or rules.retention.latest > 0
    return Reason.UNKNOWN_AGE if needs_time and version.at(rules.age.timestamp) is None else None


def _latest(images: Iterable[Image], rules: Rules) -> set[int]:
    """The ids of the newest images, tagged and untagged counted apart."""
    newest_first = sorted(images, key=lambda image: age_order(image.root, rules.age.timestamp), reverse=True)
    ids: set[int] = set()
    for tagged in (True, False):
        apart = [image.root.id for image in newest_first if image.is_tagged is tagged]
        ids.update(apart[: rules.retention.latest])
    return ids


def _kept_by_time(image: Image, rules: Rules) -> Reason | None:
    if rules.age.is_given:
        return _kept_by_age(image.root, rules.age)
    named = rules.raw and rules.selection.names_exactly
    if image.is_tagged or named or not rules.writing or image.root.package.type is not PackageType.CONTAINER:
        return None
    moment = image.root.at(rules.age.timestamp)
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


def _partial_may_go(version: Version, rules: Rules) -> bool:
    """Whether `partial-match` lets anything happen; single tags can be taken from containers only."""
    partial_match = rules.selection.partial_match
    if partial_match is PartialMatch.UNTAG:
        return version.package.type is PackageType.CONTAINER
    return partial_match is PartialMatch.DELETE


def _untags(image: Image, rules: Rules) -> bool:
    """Whether only some tags of the image go, and the image itself stays."""
    selection = rules.selection
    return selection.partial_match is PartialMatch.UNTAG and selection.match_image(image) is Match.PARTIAL


def _needed(images: Iterable[Image], going: set[int]) -> dict[int, tuple[Version, Version]]:
    """All parts of the images that stay, by id, each with the root of the first image that needs it."""
    needed: dict[int, tuple[Version, Version]] = {}
    for image in images:
        if image.root.id not in going:
            for part in image.parts:
                needed.setdefault(part.id, (part, image.root))
    return needed


def _judge_root(
    image: Image, kept: Reason | None, needed: dict[int, tuple[Version, Version]], rules: Rules
) -> Judgement:
    if kept is not None:
        return _keep(image.root, kept)
    if _untags(image, rules):
        tags = rules.selection.matching_tags(image.root)
        return Judgement(version=image.root, decision=Decision.UNTAG, reason=Reason.SELECTED, untag=tags)
    if image.root.id in needed:
        return _keep(image.root, Reason.NEEDED_BY, needed[image.root.id][1])
    reason = Reason.SELECTED
    if rules.selection.conditions is not None:
        reason = _CONDITION_REASONS.get(image.condition, reason)
    return Judgement(version=image.root, decision=Decision.DELETE, reason=reason)


def _keep(version: Version, reason: Reason, root: Version | None = None) -> Judgement:
    return Judgement(version=version, decision=Decision.KEEP, reason=reason, root=root)


_CONDITION_REASONS = {
    Condition.ORPHAN: Reason.ORPHAN,
    Condition.GHOST: Reason.GHOST,
    Condition.PARTIAL: Reason.PARTIAL,
}
