"""Rules: what is selected, how much of it stays, and at which age the rest goes.

The inputs of a run make one rule. A policy is an ordered list of rules: the first that matches an image decides about
it, and an image that no rule matches stays. To add a way to select, add a field to `Selection`; to add a way to keep,
add one to `Counts` or `KeepLists`.
"""

from datetime import datetime
from functools import cached_property

from msgspec import Struct, field
from msgspec.structs import replace

from package_keeper.model.images import Image
from package_keeper.model.packages import PackageType, Timestamp, Version
from package_keeper.policy.retention import Counts, KeepLists
from package_keeper.policy.selection import Age, Facts, Match, PartialMatch, Selection


class Rule(Struct, frozen=True, kw_only=True):
    """One rule. `name` is empty for the rule of the inputs. `keeps_all` keeps everything that the rule matches."""

    selection: Selection
    age: Age
    counts: Counts = field(default_factory=Counts)
    name: str = ""
    keeps_all: bool = False

    @property
    def selects_anything(self) -> bool:
        """Whether any selection, age or count is given; without one, nothing is selected."""
        return self.selection.is_given or self.age.is_given or self.counts.is_given

    def lacks_age_of(self, version: Version) -> bool:
        """Whether the rule needs the age of `version`, and GitHub does not tell it."""
        return (self.age.is_given or self.counts.is_given) and version.at(self.age.timestamp) is None

    def match(self, version: Version, facts: Facts) -> Match:
        """How far this rule matches an image with the root `version`, whatever the health of the image.

        A rule that keeps everything needs one matching tag, and a tag that `gone` cannot check matches. In a rule that
        can delete all tags must match, unless `partial-match` says otherwise (docs/reference.md, "Policy file").
        """
        match = self.selection.match(version, facts, when_unknown=self.keeps_all)
        return Match.WHOLE if match.is_partial and self.keeps_all else match

    def passes_on(self, match: Match) -> bool:
        """Whether an image that matches this far is left to the next rule."""
        return match.is_partial and self.selection.partial_match is None

    def untags(self, image: Image, match: Match) -> bool:
        """Whether only the matching tags of `image` go. GitHub can remove single tags of container images only."""
        return (
            match.is_partial
            and self.selection.partial_match is PartialMatch.UNTAG
            and image.root.package.type is PackageType.CONTAINER
        )

    def keeps_partial(self, image: Image, match: Match) -> bool:
        """Whether `image` stays because only some of its tags match. A living tag keeps it even with `delete`."""
        if not match.is_partial or self.untags(image, match):
            return False
        return match is Match.ALIVE or self.selection.partial_match is not PartialMatch.DELETE


class Rules(Struct, frozen=True, kw_only=True, dict=True):
    """Everything that decides about images.

    `rules` are those of a policy, or the one of the inputs. Ages are counted from `now`. `raw` is `images: raw`: each
    version is an image of its own. `writing` is false for operations that never delete, which need not protect a push
    that may be under way. `from_plan`: the selection is that of a saved plan, whose ages were checked when it was made.
    """

    rules: tuple[Rule, ...]
    now: datetime
    lists: KeepLists = field(default_factory=KeepLists)
    is_policy: bool = False
    raw: bool = False
    writing: bool = True
    from_plan: bool = False

    @property
    def inputs(self) -> Rule:
        """The rule of the inputs; with a policy, its first rule."""
        return self.rules[0]

    @property
    def select_anything(self) -> bool:
        """Whether anything can be selected."""
        return self.is_policy or self.inputs.selects_anything

    @property
    def only_selecting(self) -> "Rules":
        """The same rules with their selections and ages only: for `list`, which shows what is selected."""
        bare = tuple(replace(rule, counts=Counts()) for rule in self.rules)
        return replace(self, rules=bare, lists=KeepLists(), writing=False)

    @property
    def timestamp(self) -> Timestamp:
        """The time that says which image is the oldest; the oldest goes first."""
        return Timestamp.UPDATED if self.is_policy else self.inputs.age.timestamp

    @property
    def depend_on_health(self) -> bool:
        """Whether a rule selects images by their condition."""
        return any(rule.selection.conditions is not None for rule in self.rules)

    @property
    def need_images(self) -> bool:
        """Whether a rule selects images by what their manifests show: their condition, or the use of their parts."""
        return any(rule.selection.needs_images for rule in self.rules)

    @cached_property
    def version_ids(self) -> frozenset[int]:
        """The ids that the user named to select them."""
        if self.from_plan:
            return frozenset()
        return frozenset(found for rule in self.rules for found in rule.selection.version_ids or ())

    @property
    def expressions(self) -> frozenset[str]:
        """The SQL expressions of all rules."""
        return frozenset(rule.selection.where for rule in self.rules if rule.selection.where is not None)
