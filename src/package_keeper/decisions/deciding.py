"""The order of decisions (contract, "The order of decisions"): one decision and one reason for every version.

1. Selection. 2. What stays whatever the age: keep lists, partial matches, unreadable and unknown things; these use up
no place of `keep-latest`. 3. `keep-latest` over the rest of what is selected, tagged and untagged images apart.
4. Age. What is left goes. Unknown is never a reason to delete.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from package_keeper.decisions.retention import Retention
from package_keeper.decisions.selection import Age, Match, Selection
from package_keeper.decisions.vocabulary import Decision, Reason
from package_keeper.inventory.image import Image
from package_keeper.inventory.package import PackageType
from package_keeper.inventory.version import BASE_LAYER, Version, age_order


@dataclass(frozen=True, kw_only=True)
class Rules:
    """Everything that decides about one image."""

    selection: Selection
    age: Age
    retention: Retention = field(default_factory=Retention)

    @property
    def select_anything(self) -> bool:
        """Whether any selection, age or count is given; without one nothing is ever chosen."""
        return self.selection.is_given or self.age.is_given or self.retention.latest > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What was decided about one version, and why."""

    version: Version
    decision: Decision
    reason: Reason


def decide_deletions(images: Sequence[Image], rules: Rules) -> list[Judgement]:
    """Judge the images of one package: what would a deletion under `rules` take?

    The judgements stand in the order of `images`.
    """
    kept: dict[int, Reason] = {}
    candidates: list[Image] = []
    for image in images:
        if reason := _stays_anyway(image, rules):
            kept[image.root.id] = reason
        else:
            candidates.append(image)
    kept.update(dict.fromkeys(_latest(candidates, rules), Reason.KEEP_LATEST))
    for image in candidates:
        if image.root.id not in kept and (reason := _kept_by_age(image.root, rules.age)):
            kept[image.root.id] = reason
    return [_judgement(image.root, kept.get(image.root.id), Decision.DELETE) for image in images]


def decide_restorations(versions: Iterable[Version], rules: Rules) -> list[Judgement]:
    """Judge deleted versions: one matching tag is enough to bring an image back, and no keep list applies."""
    judgements = []
    for version in versions:
        kept = Reason.NOT_SELECTED if rules.selection.match(version) is Match.NONE else None
        kept = kept or _unknown_age(version, rules) or _kept_by_age(version, rules.age)
        judgements.append(_judgement(version, kept, Decision.RESTORE))
    return judgements


def _judgement(version: Version, kept: Reason | None, otherwise: Decision) -> Judgement:
    if kept is not None:
        return Judgement(version=version, decision=Decision.KEEP, reason=kept)
    return Judgement(version=version, decision=otherwise, reason=Reason.SELECTED)


def _stays_anyway(image: Image, rules: Rules) -> Reason | None:
    version = image.root
    match = rules.selection.match(version) if rules.select_anything else Match.NONE
    if match is Match.NONE:
        return Reason.NOT_SELECTED
    if version.package.type is PackageType.DOCKER and version.name == BASE_LAYER:
        return Reason.BASE_LAYER
    if reason := rules.retention.lists.reason_to_keep(version):
        return reason
    if match is Match.PARTIAL:
        return Reason.PARTIAL_TAG_MATCH
    if not image.readable:
        return Reason.UNREADABLE
    return _unknown_age(version, rules)


def _unknown_age(version: Version, rules: Rules) -> Reason | None:
    needs_time = rules.age.is_given or rules.retention.latest > 0
    return Reason.UNKNOWN_AGE if needs_time and version.at(rules.age.timestamp) is None else None


def _latest(candidates: Iterable[Image], rules: Rules) -> set[int]:
    """The ids of the newest images, tagged and untagged counted apart."""
    newest_first = sorted(candidates, key=lambda image: age_order(image.root, rules.age.timestamp), reverse=True)
    ids: set[int] = set()
    for tagged in (True, False):
        apart = [image.root.id for image in newest_first if image.is_tagged is tagged]
        ids.update(apart[: rules.retention.latest])
    return ids


def _kept_by_age(version: Version, age: Age) -> Reason | None:
    moment = version.at(age.timestamp)
    if moment is None:
        return Reason.UNKNOWN_AGE if age.is_given else None
    if age.older_than is not None and moment >= age.older_than:
        return Reason.TOO_YOUNG
    if age.newer_than is not None and moment < age.newer_than:
        return Reason.NOT_SELECTED
    return None
