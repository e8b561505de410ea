"""Rules: what is selected, how much of it stays, and from which age on the rest goes.

The inputs of a run make one rule. A policy is an ordered list of them: the first whose match fits an image decides, and
no later one sees it; where none fits, the image stays. A new way to keep is a field of `Counts` or `KeepLists`, a new
way to select one of `Selection`.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime

from package_keeper.model.images import Image
from package_keeper.model.packages import PackageType, Timestamp, Version
from package_keeper.policy.retention import Counts, KeepLists
from package_keeper.policy.selection import Age, Facts, Match, PartialMatch, Selection


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule; `name` is empty for the one that the inputs make. `keeps_all` means that nothing of it ever goes."""

    selection: Selection
    age: Age
    counts: Counts = field(default_factory=Counts)
    name: str = ""
    keeps_all: bool = False

    @property
    def selects_anything(self) -> bool:
        """Whether any selection, age or count is given; without one nothing is ever chosen."""
        return self.selection.is_given or self.age.is_given or self.counts.is_given

    @property
    def needs_time(self) -> bool:
        """Whether an image of unknown age cannot be judged."""
        return self.age.is_given or self.counts.is_given

    def match(self, version: Version, facts: Facts) -> Match:
        """How far this rule fits an image with the root `version`, if its state lets it; `NONE`: not at all.

        Where all is kept one matching tag is enough, and what is not known keeps too. Where something can go all tags
        must match, unless `partial-match` says otherwise (contract, "Policy file").
        """
        match = self.selection.match(version, facts, when_unknown=self.keeps_all)
        return Match.WHOLE if match.is_partial and self.keeps_all else match

    def passes_on(self, match: Match) -> bool:
        """Whether the next rule is asked about an image that matches so far."""
        return match is Match.NONE or (match.is_partial and self.selection.partial_match is None)

    def untags(self, image: Image, match: Match) -> bool:
        """Whether only some tags of `image` go, and the image itself stays; only containers can lose single tags."""
        return (
            match.is_partial
            and self.selection.partial_match is PartialMatch.UNTAG
            and image.root.package.type is PackageType.CONTAINER
        )

    def keeps_partial(self, image: Image, match: Match) -> bool:
        """Whether `image` stays since only some of its tags match; what lives keeps it even from `delete`."""
        if not match.is_partial or self.untags(image, match):
            return False
        return match is Match.ALIVE or self.selection.partial_match is not PartialMatch.DELETE


@dataclass(frozen=True, kw_only=True)
class Rules:
    """Everything that decides about images.

    `rules` are those of a policy, or the one of the inputs. `now` is the moment from which ages are seen. `raw` means
    that versions are judged as if nothing held them together, since the user named them one by one. `writing` is false
    where nothing will be deleted: then a push that may be under way needs no protection.
    """

    rules: tuple[Rule, ...]
    now: datetime
    lists: KeepLists = field(default_factory=KeepLists)
    is_policy: bool = False
    raw: bool = False
    writing: bool = True

    @property
    def inputs(self) -> Rule:
        """The rule that the selection inputs make; beside a policy there is none, and this is its first rule."""
        return self.rules[0]

    @property
    def select_anything(self) -> bool:
        """Whether anything can ever be chosen."""
        return self.is_policy or self.inputs.selects_anything

    @property
    def only_selecting(self) -> "Rules":
        """The same without anything that keeps what is selected: for what shows versions and decides nothing."""
        bare = tuple(replace(rule, counts=Counts()) for rule in self.rules)
        return replace(self, rules=bare, lists=KeepLists(), writing=False)

    @property
    def timestamp(self) -> Timestamp:
        """The time by which the oldest goes first."""
        return Timestamp.UPDATED if self.is_policy else self.inputs.age.timestamp

    @property
    def judge_health(self) -> bool:
        """Whether anything depends on the condition of images."""
        return any(rule.selection.conditions is not None for rule in self.rules)

    @property
    def version_ids(self) -> frozenset[int]:
        """The ids that are named anywhere."""
        return frozenset(found for rule in self.rules for found in rule.selection.version_ids or ())

    @property
    def expressions(self) -> frozenset[str]:
        """The SQL expressions of all rules."""
        return frozenset(rule.selection.where for rule in self.rules if rule.selection.where is not None)
