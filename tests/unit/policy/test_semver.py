"""Parsing and precedence of semantic versions (https://semver.org/spec/v2.0.0.html, section 11)."""

from __future__ import annotations

import itertools

import pytest
import semantic_version as other
from hypothesis import given
from hypothesis import strategies as st

from package_keeper.policy.semver import semantic_version
from tests.unit.making import HOSTILE

ASCENDING = (
    ("0.0.0-0",),
    ("0.0.0", "v0.0.0", "0.0.0+g1a2b3c4"),
    ("0.0.1-SNAPSHOT",),
    ("0.0.1",),
    ("0.1.0-alpha.1",),
    ("0.1.0", "v0.1.0"),
    ("0.9.9",),
    # the example of section 11, in its order
    ("1.0.0-alpha", "v1.0.0-alpha"),
    ("1.0.0-alpha.1", "1.0.0-alpha.1+linux.amd64"),
    ("1.0.0-alpha.beta",),
    ("1.0.0-beta",),
    ("1.0.0-beta.2",),
    ("1.0.0-beta.11",),
    ("1.0.0-rc.1", "v1.0.0-rc.1"),
    ("1.0.0", "v1.0.0", "1.0.0+build", "1.0.0+20130313144700", "1.0.0+21AF26D3----117B344092BD"),
    ("1.0.1-SNAPSHOT",),
    ("1.2.3-4.5.6",),
    ("1.2.3-RC1",),
    ("1.2.3-beta-1",),
    ("1.2.3-rc1",),
    ("1.2.3", "v1.2.3", "1.2.3+1.2.3"),
    ("1.2.4-0",),
    ("1.2.4-20240105.1",),
    ("1.2.4-alpha",),
    ("1.2.4-nightly.20240105",),
    ("1.2.4",),
    ("1.2.10",),
    ("1.10.0",),
    ("2.0.0-preview.7.23375.6",),
    ("2.0.0",),
    ("2.1.0",),
    ("2.1.1",),
    ("10.0.0",),
    ("2024.1.5", "v2024.1.5"),
    ("20240105.0.0",),
    ("99999999999999999999999.999999999999999999.99999999999999999",),
)
"""Versions that registries have, in the order of their precedence; those of one line have the same."""

NO_SEMVER = {
    "docker": "latest stable edge main 1 1.2 v1 v1.2 3.20 22-alpine 22.1-alpine3.20 1.27.0.1 sha-1a2b3c4 pr-12",
    "npm": "1.x * ^1.2.3 =1.2.3 1.2.3. .1.2.3 1..3 1.2.3-beta..1 1.2.3-01 1.2.3-1.007",
    "maven": "1.0-SNAPSHOT 2.0.0.RELEASE 1.0.0.Final 5.3 4.13-beta-3 31.1-jre 1.0.0_1 2.12-M4 1.0-20240105.101112-1",
    "nuget": "1.2.3.4 1.0.0.0 4.3 1.0.0.0-beta 01.2.3 1.02.3 1.2.03",
    "rubygems": "7.1.3.2 1.0.0.rc1 2.0.0.pre 7.2.0.beta1",
    "calendar": "2024.01.05 2024-01-05 20240105 24.04 2024.1",
    "writing": "V1.2.3 vv1.2.3 v.1.2.3 v-1.2.3 version-1.2.3 release/1.2.3 1,2,3 1.2.3- 1.2.3+ 1.2.3-+b 1.2.3+b+c",
    "signs": "1.2.3-\u00e9 1.2.3+\u00e9 1\u0662.0.0 \uff11.2.3 1.2.3\n 1.2.3\0 \u00bd.0.0 1.2.3-a_b 0x1.2.3 1e3.0.0",
}
"""Real names and near misses that are no SemVer 2.0.0, however much they look like versions."""


def test_the_tables_are_large_enough() -> None:
    texts = [text for group in ASCENDING for text in group]
    assert len(texts) == len(set(texts))
    assert len(texts) + sum(len(names.split(" ")) for names in NO_SEMVER.values()) >= 60


@pytest.mark.parametrize("text", [text for group in ASCENDING for text in group])
def test_semver_texts_are_parsed(text: str) -> None:
    assert semantic_version(text) is not None


@pytest.mark.parametrize("text", [text for names in NO_SEMVER.values() for text in names.split(" ")])
def test_texts_that_are_not_semver_are_refused(text: str) -> None:
    assert semantic_version(text) is None


def test_precedence_is_the_published_one() -> None:
    placed = [(place, semantic_version(text)) for place, group in enumerate(ASCENDING) for text in group]
    for (low, first), (high, second) in itertools.combinations(placed, 2):
        assert first is not None
        assert second is not None
        assert (first < second, first == second) == (low < high, low == high), (first, second)


IDENTIFIERS = st.text("0123456789abAZ-", min_size=1, max_size=4)
NUMBERS = st.integers(0, 12) | st.integers(0, 10**30)
DOTTED = st.lists(IDENTIFIERS, min_size=1, max_size=3).map(".".join)
MAYBE_SEMVER = st.builds(
    lambda numbers, prerelease, build: ".".join(map(str, numbers)) + prerelease + build,
    st.lists(NUMBERS | st.sampled_from(["", "01", "x"]), min_size=2, max_size=4),
    st.just("") | DOTTED.map("-{}".format) | HOSTILE,
    st.just("") | DOTTED.map("+{}".format),
)


def by_other(text: str) -> other.Version | None:
    try:
        return other.Version(text)
    except ValueError:
        return None


@given(MAYBE_SEMVER | HOSTILE)
def test_another_library_parses_the_same_texts(text: str) -> None:
    # it lets a line break pass at the end, which SemVer does not
    theirs = None if text.endswith("\n") else by_other(text)
    assert (semantic_version(text) is None) is (theirs is None)


VERSIONS = st.builds(
    lambda numbers, prerelease, build: ".".join(map(str, numbers)) + prerelease + build,
    st.tuples(NUMBERS, NUMBERS, NUMBERS),
    st.just("") | DOTTED.map("-{}".format),
    st.just("") | DOTTED.map("+{}".format),
).filter(lambda text: semantic_version(text) is not None)


@given(VERSIONS, VERSIONS)
def test_another_library_has_the_same_order(first: str, second: str) -> None:
    ours, theirs = [semantic_version(text) for text in (first, second)], [by_other(text) for text in (first, second)]
    keys = [each.truncate("prerelease").precedence_key for each in theirs if each is not None]
    assert None not in ours
    assert (ours[0] < ours[1]) is (keys[0] < keys[1])  # type: ignore[operator]  # none of them is None
