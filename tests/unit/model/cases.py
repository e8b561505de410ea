"""Random rules for random packages: those of a run's inputs, and policies."""

from __future__ import annotations

from datetime import timedelta
from random import Random

from hypothesis import strategies as st
from msgspec import Struct

from package_keeper.inputs.semver_ranges import parse_range
from package_keeper.model.images import Condition
from package_keeper.model.packages import Timestamp
from package_keeper.model.repository import RepositoryState
from package_keeper.policy.gone import GoneTags, GoneTemplate, Tie
from package_keeper.policy.patterns import Pattern, Patterns
from package_keeper.policy.retention import Counts, KeepLists
from package_keeper.policy.rules import Rule, Rules
from package_keeper.policy.selection import NO_FACTS, Age, Facts, PartialMatch, Selection, TagStatus
from package_keeper.policy.semver import Prerelease
from tests.unit.model.worlds import APP, NOW, SEEDS, SIZES, Habits, World, draw_world


class Case(Struct, frozen=True, kw_only=True):
    """A world, the rules for it, and the facts that they need."""

    world: World
    rules: Rules
    facts: Facts = NO_FACTS
    seed: int = 0


def patterns(random: Random, *, negative: bool = True) -> Patterns:
    """One or two globs over tags."""
    kinds = ["pr-*", "v-*", "nightly-*", "rc-*", "pr-1*", "*2", "*"]
    includes = tuple(Pattern(text) for text in random.sample(kinds, random.randint(1, 2)))
    excludes = (Pattern(random.choice(["pr-2*", "*5"])),) if negative and random.random() < 0.2 else ()
    return Patterns(includes=includes, excludes=excludes)


def draw_rules(seed: int, world: World) -> Rules:
    """The rule of a run's inputs, of a seed: every selection, every count, every age."""
    random = Random(seed)
    more: dict[str, object] = {}
    if random.random() < 0.35:
        more["tag_status"] = random.choice(list(TagStatus))
    if more.get("tag_status") is not TagStatus.UNTAGGED and random.random() < 0.4:
        more["tags"] = patterns(random)
        more["partial_match"] = random.choice(list(PartialMatch))
    ids = [version.id for version in world.versions]
    if ids and random.random() < 0.25:
        more["version_ids"] = frozenset(random.sample(ids, random.randint(1, len(ids))))
    if random.random() < 0.1:
        more["versions"] = Patterns(includes=(Pattern(f"sha256:*{random.randint(0, 9)}"),))
    if random.random() < 0.25:
        more["conditions"] = frozenset(random.sample(list(Condition), random.randint(1, 3)))
    if not more:
        more["versions"] = Patterns(includes=(Pattern("*"),))
    older = NOW - timedelta(days=random.choice([0, 5, 20, 40])) if random.random() < 0.6 else None
    newer = NOW - timedelta(days=55) if random.random() < 0.1 else None
    timestamp = random.choice([Timestamp.UPDATED, Timestamp.CREATED])
    rule = Rule(
        selection=Selection(**more),  # type: ignore[arg-type]  # the fields of the dataclass, by name
        age=Age(timestamp=timestamp, older_than=older, newer_than=newer),
        counts=draw_counts(random),
    )
    return Rules(rules=(rule,), now=NOW, lists=draw_lists(random, world))


def draw_policy(seed: int, world: World) -> tuple[Rules, Facts]:
    """A policy of a seed, of several rules of every kind, and what it needs to know."""
    random = Random(seed)
    several = tuple(draw_policy_rule(random, number) for number in range(random.randint(1, 6)))
    ids = [version.id for version in world.versions]
    selected = {
        each.selection.where: frozenset(random.sample(ids, random.randint(0, len(ids))))
        for each in several
        if each.selection.where
    }
    numbers = range(400)
    life = RepositoryState(
        full_name="acme/app",
        open_pulls=frozenset(number for number in numbers if number % 3 == 0),
        closed_pulls=frozenset(number for number in numbers if number % 3 == 1),
        closed_heads=frozenset(f"nightly-{number}" for number in numbers if number % 2),
        branches=frozenset(f"nightly-{number}" for number in numbers if number % 4 == 3),
        git_tags=frozenset(f"pr-{number}" for number in numbers if number % 50 == 1),
    )
    repositories = {APP: life} if random.random() < 0.8 else {}
    rules = Rules(rules=several, now=NOW, lists=draw_lists(random, world), is_policy=True)
    return rules, Facts(repositories=repositories, selected=selected)


def draw_policy_rule(random: Random, number: int) -> Rule:
    """One rule of a policy: what it matches, and what becomes of that."""
    more: dict[str, object] = {}
    match random.randrange(9):
        case 0:
            more["tag_status"] = random.choice(list(TagStatus))
        case 1:
            more["versions"] = Patterns(includes=(Pattern(f"sha256:*{random.choice(['', '3', '[0-5]'])}"),))
        case 2:
            more["conditions"] = frozenset(random.sample(list(Condition), random.randint(1, 3)))
        case 3:
            more["where"] = f"id % {random.randint(2, 5)} = 0"
        case 4:
            more["semver"] = parse_range(random.choice(["<2", ">=1.2", "1.x", "*", "0.3.x || 3"]))
        case 5:
            more["prerelease"] = random.choice([Prerelease.ONLY, Prerelease.EXCLUDE])
        case 6:
            more["gone"] = GoneTags((random.choice(TEMPLATES),))
        case _:
            more["tags"] = patterns(random)
    if random.random() < 0.3 and more.get("tag_status") is not TagStatus.UNTAGGED:
        more["tags"] = patterns(random)
    if random.random() < 0.15:
        more["conditions"] = frozenset(random.sample(list(Condition), 2))
    keeps_all = random.random() < 0.3
    old = NOW - timedelta(days=random.choice([0, 5, 20, 40]))
    return Rule(
        name=f"rule {number}",
        selection=Selection(partial_match=random.choice([None, None, *PartialMatch]), **more),  # type: ignore[arg-type]  # by name
        keeps_all=keeps_all,
        age=Age(
            timestamp=random.choice([Timestamp.UPDATED, Timestamp.CREATED]),
            older_than=old if random.random() < 0.4 and not keeps_all else None,
        ),
        counts=draw_counts(random) if random.random() < 0.5 and not keeps_all else Counts(),
    )


TEMPLATES = (
    GoneTemplate(tie=Tie.PULL_REQUEST, before="pr-"),
    GoneTemplate(tie=Tie.BRANCH),
    GoneTemplate(tie=Tie.BRANCH, before="nightly-"),
)


def draw_counts(random: Random) -> Counts:
    """How many of the newest stay."""
    more = {name: random.choice([1, 2, 5]) for name in ("daily", "weekly", "monthly") if random.random() < 0.08}
    return Counts(latest=random.choice([0, 0, 0, 1, 2, 5]), **more)  # type: ignore[arg-type]


def draw_lists(random: Random, world: World) -> KeepLists:
    """Keep lists."""
    names = sorted(world.manifests)
    return KeepLists(
        tags=patterns(random) if random.random() < 0.15 else None,
        versions=Patterns(includes=(Pattern(random.choice(names)),)) if names and random.random() < 0.1 else None,
        digests=frozenset(random.sample(names, 1)) if names and random.random() < 0.2 else frozenset(),
    )


def draw_case(seed: int, size: int, habits: Habits | None = None) -> Case:
    """The case of a seed."""
    world = draw_world(seed, size, habits)
    return Case(world=world, rules=draw_rules(seed + 1, world), seed=seed)


def draw_policy_case(seed: int, size: int, habits: Habits | None = None) -> Case:
    """The case of a seed, with a policy."""
    world = draw_world(seed, size, habits)
    rules, facts = draw_policy(seed + 2, world)
    return Case(world=world, rules=rules, facts=facts, seed=seed)


CASES = st.builds(draw_case, SEEDS, SIZES)
POLICY_CASES = st.builds(draw_policy_case, SEEDS, SIZES)
CYCLIC_CASES = st.builds(draw_case, SEEDS, SIZES, st.just(Habits(cycles=1.0)))
