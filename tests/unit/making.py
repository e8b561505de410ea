"""Domain objects with what a test does not care about filled in, and strategies that draw them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from package_keeper.inputs.patterns import parse_patterns
from package_keeper.model.packages import Package, PackageName, PackageType, Timestamp, Version
from package_keeper.policy.patterns import Patterns
from package_keeper.policy.retention import Counts, KeepLists
from package_keeper.policy.rules import Rule, Rules
from package_keeper.policy.selection import Age, PartialMatch, Selection

NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)


def key(kind: str = "npm", name: str = "app") -> PackageName:
    return PackageName(type=PackageType(kind), name=name)


def version(number: int, *, of: PackageName | None = None, **more: Any) -> Version:
    """Make a version that is `number` days old, unless said otherwise."""
    given: dict[str, Any] = {
        "id": number,
        "package": of or key(),
        "name": f"1.0.{number}",
        "tags": (),
        "created_at": NOW - timedelta(days=number),
        "updated_at": NOW - timedelta(days=number),
        "deleted_at": None,
    }
    absent = ("description", "license", "url", "html_url", "package_html_url", "metadata")
    fields: dict[str, Any] = dict.fromkeys(absent) | given | more
    return Version(**fields)


def package(name: str = "app", kind: str = "npm", number: int = 1, **more: Any) -> Package:
    absent = ("visibility", "version_count", "created_at", "updated_at", "url", "html_url", "owner", "repository")
    given: dict[str, Any] = {"id": number, "key": key(kind, name), "repository_name": None}
    fields: dict[str, Any] = dict.fromkeys(absent) | given | more
    return Package(**fields)


def patterns(text: str) -> Patterns:
    """Read a pattern list that has no problem."""
    found, problems = parse_patterns(text)
    assert found is not None, problems
    assert problems == []
    return found


def rule(
    name: str = "",
    *,
    older: float | None = None,
    newer: float | None = None,
    timestamp: Timestamp = Timestamp.UPDATED,
    counts: Counts | None = None,
    keeps_all: bool = False,
    **selection: Any,
) -> Rule:
    """Make a rule; ages are in days. With a name it is one of a policy, which passes on what matches in part."""
    partial = PartialMatch.KEEP if not name else None
    return Rule(
        name=name,
        selection=Selection(**{"partial_match": partial} | selection),
        age=Age(
            timestamp=timestamp,
            older_than=None if older is None else NOW - timedelta(days=older),
            newer_than=None if newer is None else NOW - timedelta(days=newer),
        ),
        counts=counts or Counts(),
        keeps_all=keeps_all,
    )


def rules(*several: Rule, lists: KeepLists | None = None, **more: Any) -> Rules:
    """Make the rules of a run: of its inputs, or those of a policy when they have names."""
    is_policy = any(each.name for each in several)
    return Rules(rules=several, now=NOW, lists=lists or KeepLists(), is_policy=is_policy, **more)


TAGS = st.sampled_from(["v1", "v2", "latest", "pr-1", "pr-2", "nightly", f"sha256-{'a' * 64}.sig"])
MOMENTS = st.none() | st.integers(0, 60).map(lambda days: NOW - timedelta(days=days))


@st.composite
def version_lists(draw: st.DrawFn, kind: str | None = None) -> list[Version]:
    """Draw the versions of one package: some tagged, some of unknown age, in any order."""
    of = key(kind or draw(st.sampled_from(["npm", "docker", "container"])))
    ids = draw(st.lists(st.integers(1, 50), unique=True, max_size=12))
    versions = []
    for number in ids:
        tags = tuple(draw(st.lists(TAGS, unique=True, max_size=3))) if of.type.has_tags else ()
        name = f"sha256:{number:064x}" if of.type is PackageType.CONTAINER else f"1.0.{number}"
        if of.type is PackageType.DOCKER and draw(st.integers(0, 9)) == 0:
            name = "docker-base-layer"
        versions.append(
            version(number, of=of, name=name, tags=tags, created_at=draw(MOMENTS), updated_at=draw(MOMENTS))
        )
    return versions


HOSTILE = st.text(
    st.sampled_from("ab1 |\\`*_<>[]()#&@$~!:;-+=\"'\n\r\t\x00\x1b\u2028\u200b\ufeff\U0001f680é%")
    | st.characters(exclude_categories=["Cs"]),
    max_size=40,
)
"""Text as nobody wants it in a name."""
