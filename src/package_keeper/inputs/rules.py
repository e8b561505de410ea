"""Parses one rule: the selection, age and count inputs of a run, or those of one rule of a policy."""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from datetime import datetime

from package_keeper.inputs.definitions import INPUTS_BY_NAME
from package_keeper.inputs.patterns import version_problem
from package_keeper.inputs.values import Values
from package_keeper.model.images import Condition
from package_keeper.model.packages import PackageType, Timestamp
from package_keeper.policy.patterns import Patterns
from package_keeper.policy.retention import Counts
from package_keeper.policy.rules import Rule
from package_keeper.policy.selection import Age, PartialMatch, Selection, TagStatus
from package_keeper.policy.semver import Prerelease
from package_keeper.policy.sql import check_expression

SELECTION_INPUTS = (
    "version-ids",
    "versions",
    "tags",
    "tag-status",
    "semver",
    "prerelease",
    "gone",
    "unused-for",
    "condition",
    "partial-match",
    "where",
)
AGE_INPUTS = ("older-than", "newer-than", "age-of")
COUNT_INPUTS = ("keep-latest", "keep-latest-per", "keep-daily", "keep-weekly", "keep-monthly", "keep-yearly")
RULE_INPUTS = (*SELECTION_INPUTS, *AGE_INPUTS, *COUNT_INPUTS)
"""All inputs that a policy replaces."""


def parse_rule(
    texts: Values, *, now: datetime, name: str = "", keeps_all: bool = False, restoring: bool = False
) -> Rule:
    """Parse one rule. A wrong value is left out of it, and is added to the problems of `texts`."""
    partial = texts.choice("partial-match", PartialMatch)
    selection = Selection(
        version_ids=texts.ids("version-ids"),
        versions=texts.patterns("versions"),
        tags=texts.patterns("tags"),
        tag_status=texts.choice("tag-status", TagStatus),
        semver=texts.semver_range("semver"),
        prerelease=texts.choice("prerelease", Prerelease),
        gone=texts.gone("gone"),
        where=texts.sql("where", check_expression),
        conditions=_conditions(texts),
        unused_since=texts.moment("unused-for", now),
        # in a policy, an image that matches partially goes on to the next rule unless partial-match is written
        partial_match=partial if not name or "partial-match" in texts.texts else None,
    )
    age = Age(
        timestamp=texts.choice("age-of", Timestamp, Timestamp.DELETED if restoring else Timestamp.UPDATED),
        older_than=texts.moment("older-than", now),
        newer_than=texts.moment("newer-than", now),
    )
    counts = Counts(
        latest=texts.number("keep-latest"),
        grouping=texts.grouping("keep-latest-per"),
        daily=texts.number("keep-daily"),
        weekly=texts.number("keep-weekly"),
        monthly=texts.number("keep-monthly"),
        yearly=texts.number("keep-yearly"),
    )
    return Rule(selection=selection, age=age, counts=counts, name=name, keeps_all=keeps_all)


def rule_problems(rule: Rule, texts: Values, *, types: AbstractSet[PackageType], deleted: bool) -> Iterator[str]:
    """The contradictions in a rule. `deleted`: the run looks at deleted versions."""
    selection, age, label = rule.selection, rule.age, texts.label
    yield from _never_selected(rule, texts, types)
    if age.older_than is not None and age.newer_than is not None and age.older_than <= age.newer_than:
        yield (
            f"{label('older-than')}: together with newer-than nothing can be selected; older-than must be the shorter"
            " age"
        )
    if age.timestamp is Timestamp.DELETED and not deleted:
        yield f"{label('age-of')}: 'deleted': active versions have no time of deletion; accepted are updated, created"
    if texts.is_given("keep-latest-per") and not rule.counts.latest:
        yield f"{label('keep-latest-per')}: protects nothing without a number of latest to keep"
    yield from version_problems(label("versions"), selection.versions, types, tags="tags")


def _never_selected(rule: Rule, texts: Values, types: AbstractSet[PackageType]) -> Iterator[str]:
    selection = rule.selection
    if selection.tag_status is TagStatus.UNTAGGED:
        names = ["tags", "gone"]
        if all(kind.has_tags for kind in types):
            names += ["semver", "prerelease"]
        for name in names:
            if texts.is_given(name):
                yield f"{texts.label(name)}: with tag-status: untagged nothing can be selected; remove one of them"
    for name, patterns in (("versions", selection.versions), ("tags", selection.tags)):
        if patterns is not None and any(pattern.text in ("*", "/.*/") for pattern in patterns.excludes):
            yield f"{texts.label(name)}: '!*' excludes everything, so nothing can be selected"


def no_effect_on_types(name: str, types: tuple[PackageType, ...]) -> str:
    """Why an input has no effect on any of the package types; empty when it has."""
    definition = INPUTS_BY_NAME[name]
    if definition.needs_tags and not any(kind.has_tags for kind in types):
        return f"has no effect on {', '.join(types)}, whose versions carry no tags; accepted for container and docker"
    if definition.needs_images and PackageType.CONTAINER not in types:
        return f"has no effect on {', '.join(types)}; only container versions form images"
    return ""


def type_problems(texts: Values, types: tuple[PackageType, ...]) -> Iterator[str]:
    """The inputs of a rule that are given and have no effect on any of `types`."""
    for name in texts.texts:
        if name in INPUTS_BY_NAME and texts.is_given(name) and (why := no_effect_on_types(name, types)):
            yield f"{texts.label(name)}: {why}"


def version_problems(
    label: str, patterns: Patterns | None, types: AbstractSet[PackageType], *, tags: str
) -> Iterator[str]:
    """The patterns on version names that no version of `types` can match. `tags` is the input to suggest for tags."""
    for pattern in patterns.entries if patterns is not None else ():
        if why := version_problem(pattern, sorted(types), tags):
            yield f"{label}: '{pattern.text}' {why}"


def _conditions(texts: Values) -> frozenset[Condition] | None:
    words = texts.words("condition")
    return None if "any" in words else frozenset(Condition(word) for word in words) or None
