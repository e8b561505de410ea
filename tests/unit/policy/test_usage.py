"""Which versions a row of a usage file is about: names without case, with owner and registry or without them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from package_keeper.model.packages import Package, Version
from package_keeper.model.usage import Usage, UsageRow
from package_keeper.policy.usage import AmbiguousUsage, usage_of
from tests.unit.making import NOW, key, package, version

DIGEST = f"sha256:{'a' * 64}"


def one(name: str, number: int, kind: str = "container", *tags: str) -> tuple[Package, list[Version]]:
    """A package with one version."""
    version_name = DIGEST if kind == "container" else "1.0.0"
    return package(name, kind, number), [version(number, of=key(kind, name), name=version_name, tags=tags)]


FOUND = [
    one("App", 1, "container", "v1", f"sha256-{'b' * 64}.sig"),
    one("team/tool", 2, "container", "v1"),
    one("both", 3, "npm"),
    one("Both", 4, "container", "v1"),
    one("acme/odd", 5, "container", "v1"),
]


def row(text: str, thing: str = "v1", kind: str = "tag", type_: str = "", days: int = 1, line: int = 2) -> UsageRow:
    return line, text, type_, kind, thing, NOW - timedelta(days=days), None


def named(*rows: UsageRow) -> set[int]:
    return set(usage_of(rows, FOUND, ["Acme", "old-login"]))


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("App", 1),
        ("app", 1),
        ("APP", 1),
        ("acme/app", 1),
        ("ACME/App", 1),
        ("old-login/app", 1),
        ("ghcr.io/acme/app", 1),
        ("GHCR.io/Acme/APP", 1),
        ("containers.example.com/acme/app", 1),
        ("localhost:5000/acme/app", 1),
        ("team/tool", 2),
        ("acme/team/tool", 2),
        ("ghcr.io/acme/team/tool", 2),
        # a package whose own name begins like an owner
        ("acme/odd", 5),
        ("acme/acme/odd", 5),
        # other owners, other packages, no package
        ("other/app", None),
        ("ghcr.io/other/app", None),
        ("localhost:5000/other/app", None),
        ("ghcr.io/app", None),
        ("ghcr.io/team/tool", None),
        ("team/app", None),
        ("tool", None),
        ("acme", None),
        ("acme/", None),
        ("ghcr.io", None),
        ("", None),
    ],
)
def test_the_package_that_a_row_names(text: str, number: int | None) -> None:
    assert named(row(text)) == ({number} if number else set())


@pytest.mark.parametrize(
    ("thing", "kind", "is_found"),
    [
        ("v1", "tag", True),
        ("V1", "tag", False),
        ("v2", "tag", False),
        (DIGEST, "digest", True),
        (DIGEST, "version", True),
        (DIGEST, "tag", False),
        ("v1", "digest", False),
        (f"sha256-{'b' * 64}.sig", "tag", False),
    ],
)
def test_the_version_that_a_row_names(thing: str, kind: str, is_found: bool) -> None:
    assert named(row("app", thing, kind)) == ({1} if is_found else set())


def test_a_name_of_several_types_needs_the_type() -> None:
    assert named(row("both", type_="container")) == {4}
    assert named(row("acme/BOTH", "1.0.0", "version", "npm")) == {3}
    assert named(row("both", type_="npm")) == set()
    assert named(row("app", type_="docker")) == set()
    with pytest.raises(AmbiguousUsage, match=r"line 7: 'Both' is a package of several types \(container, npm\)"):
        named(row("app"), row("Both", line=7))


def test_of_several_rows_the_newest_counts_and_pulls_add_up() -> None:
    def used(days: int, pulls: int | None) -> UsageRow:
        return (*row("app", days=days)[:6], pulls)

    assert usage_of([used(3, 5), used(1, None), used(2, 7)], FOUND, ["acme"]) == {1: Usage(NOW - timedelta(days=1), 12)}
    assert usage_of([used(2, None)], FOUND, ["acme"]) == {1: Usage(NOW - timedelta(days=2))}


def test_a_row_is_about_every_version_of_its_digest() -> None:
    twins = [version(number, of=key("container"), name=DIGEST) for number in (1, 2)]
    assert set(usage_of([row("app", DIGEST, "digest")], [(package("app", "container"), twins)], [])) == {1, 2}
