"""SemVer ranges: which versions each accepts, compared with another library, and texts that are not ranges."""

from __future__ import annotations

import pytest
import semantic_version as other
from hypothesis import given
from hypothesis import strategies as st

from package_keeper.inputs.semver_ranges import RangeProblem, parse_range
from package_keeper.policy.semver import semantic_version
from tests.unit.making import HOSTILE

ACCEPTS = (
    # range, accepted, not accepted
    ("<2.0.0", "0.0.0 1.9.9 1.9.0-beta v1.0.0 0.0.0-0", "2.0.0 2.0.0-rc.1 2.0.0-0 2.0.0+b 2.0.1-rc.1 10.0.0"),
    ("<2", "1.99.0 1.0.0-rc.1", "2.0.0 2.0.0-rc.1 2.0.1"),
    ("<1.5", "1.4.9 1.4.9-x", "1.5.0 1.5.0-x 1.5.1"),
    ("<2.0.0-rc.1", "2.0.0-alpha 2.0.0-beta.9 1.0.0", "2.0.0-rc.1 2.0.0-rc.2 2.0.0"),
    ("<=2.0.0", "2.0.0 2.0.0+b 1.9.9 1.0.0-rc.1", "2.0.0-rc.1 2.0.1 2.0.1-rc.1"),
    ("<=2.0.0-rc.1", "2.0.0-rc.1 2.0.0-alpha", "2.0.0-rc.2 2.0.0"),
    ("<=1.5", "1.5.0 1.5.99 1.5.0-rc.1 1.4.0", "1.6.0 1.6.0-rc.1"),
    ("<=1", "1.0.0 1.99.99 1.5.0-rc.1", "2.0.0 2.0.0-rc.1"),
    (">1.5", "1.6.0 1.6.1-rc.1 2.0.0", "1.5.0 1.5.99 1.6.0-rc.1"),
    (">1", "2.0.0 2.0.1", "1.99.99 2.0.0-rc.1"),
    (">1.2.3", "1.2.4 1.2.4-rc.1 2.0.0", "1.2.3 1.2.3-rc.1 1.2.3+b"),
    (">1.2.3-rc.1", "1.2.3-rc.2 1.2.3", "1.2.3-rc.1 1.2.3-beta"),
    (">=1.2.3", "1.2.3 1.2.3+b 1.2.4-rc.1 9.0.0", "1.2.3-rc.1 1.2.2"),
    (">=1.2", "1.2.0 1.3.0-rc.1", "1.2.0-rc.1 1.1.9"),
    (">=1.2.3-rc.1", "1.2.3-rc.1 1.2.3-rc.2 1.2.3", "1.2.3-beta"),
    ("=1.2.3", "1.2.3 v1.2.3 1.2.3+build", "1.2.4 1.2.3-rc.1"),
    ("==1.2.3", "1.2.3 1.2.3+build", "1.2.4"),
    ("1.2.3", "1.2.3 1.2.3+build", "1.2.4 1.2.2"),
    ("v1.2.3", "1.2.3 v1.2.3", "1.2.4"),
    ("=1.2.3+a", "1.2.3+a", "1.2.3+b 1.2.3"),
    ("1.2.3-rc.1", "1.2.3-rc.1", "1.2.3 1.2.3-rc.2"),
    ("1.2", "1.2.0 1.2.99 1.2.5-rc.1", "1.3.0 1.3.0-rc.1 1.2.0-rc.1 1.1.9"),
    ("1.2.x", "1.2.0 1.2.99", "1.3.0 1.1.9"),
    ("1.2.*", "1.2.0 1.2.99", "1.3.0 1.1.9"),
    ("1.X", "1.0.0 1.99.0 1.4.0-rc.1", "2.0.0 2.0.0-rc.1 1.0.0-rc.1 0.9.0"),
    ("1.x", "1.0.0 1.99.0", "2.0.0 2.0.0-rc.1"),
    ("1.x.x", "1.0.0 1.99.0", "2.0.0"),
    ("1", "1.0.0 1.99.0", "2.0.0 0.9.9"),
    ("=1", "1.0.0 1.99.0", "2.0.0 0.9.9"),
    ("*", "0.0.0-0 1.0.0 1.0.0-rc.1 99.0.0", ""),
    ("x", "0.0.0-0 1.0.0", ""),
    (">=*", "0.0.0-0 1.0.0", ""),
    ("~1.2.3", "1.2.3 1.2.99 1.2.4-rc.1", "1.3.0 1.3.0-rc.1 1.2.2 1.2.3-rc.1"),
    ("~1.2", "1.2.0 1.2.99", "1.3.0 1.1.9"),
    ("~1", "1.0.0 1.99.99", "2.0.0"),
    ("~1.2.3-rc.1", "1.2.3-rc.1 1.2.3 1.2.9", "1.2.3-beta 1.3.0"),
    ("^1.2.3", "1.2.3 1.99.0 1.3.0-rc.1", "2.0.0 2.0.0-rc.1 1.2.2 1.2.3-rc.1"),
    ("^0.2.3", "0.2.3 0.2.99", "0.3.0 0.2.2"),
    ("^0.0.3", "0.0.3", "0.0.4 0.0.2"),
    ("^1.2", "1.2.0 1.99.0", "2.0.0 1.1.9"),
    ("^1", "1.0.0 1.99.0", "2.0.0 0.9.9"),
    ("^0.2", "0.2.0 0.2.99", "0.3.0"),
    ("^0.0", "0.0.0 0.0.99", "0.1.0"),
    ("^0", "0.0.0 0.99.0", "1.0.0 1.0.0-rc.1"),
    ("^1.2.3-beta.2", "1.2.3-beta.2 1.2.3-beta.4 1.2.3 1.9.0", "1.2.3-beta.1 2.0.0"),
    ("^0.0.3-beta", "0.0.3-beta 0.0.3-pr.2 0.0.3", "0.0.4"),
    (">=1.2 <1.5", "1.2.0 1.4.99", "1.5.0 1.1.0 1.5.0-rc.1"),
    (">= 1.2  <  1.5", "1.2.0 1.4.99", "1.5.0 1.1.0"),
    ("1.2 - 1.5", "1.2.0 1.5.0 1.5.99", "1.1.9 1.6.0 1.6.0-rc.1"),
    ("1.2.3 - 2.3.4", "1.2.3 2.3.4 2.0.0", "1.2.2 2.3.5 2.3.4-rc.1"),
    ("v1.2.3 - v2", "1.2.3 2.99.0", "1.2.2 3.0.0"),
    ("<1.0.0 || >=2.0.0", "0.9.0 2.0.0 3.0.0", "1.0.0 1.9.9"),
    ("<1||2||>=4 <5", "0.9.0 2.5.0 4.9.9", "1.0.0 3.0.0 5.0.0"),
    ("1.2 - 1.3 || ~3.1", "1.2.0 1.3.9 3.1.4", "1.4.0 3.2.0"),
    (">=2024.1.0 <2025", "2024.1.5 2024.12.31", "2025.0.0 2023.9.9"),
    ("<99999999999999999999.0.0", "99999999999999999998.9.9", "99999999999999999999.0.0"),
)


def accepts(text: str, version: str) -> bool:
    found = semantic_version(version)
    assert found is not None
    return parse_range(text).accepts(found)


def problem_of(text: str) -> str:
    try:
        assert parse_range(text).text == text
    except RangeProblem as problem:
        return str(problem)
    return ""


@pytest.mark.parametrize(("text", "yes", "no"), ACCEPTS)
def test_a_range_accepts_these_versions_and_not_those(text: str, yes: str, no: str) -> None:
    assert [version for version in yes.split() if not accepts(text, version)] == []
    assert [version for version in no.split() if accepts(text, version)] == []


GARBAGE = (
    "1,2",
    ">=1.2, <1.5",
    "",
    " ",
    "||",
    "1 ||",
    "|| 1",
    "1 || || 2",
    "1 | 2",
    "latest",
    "v",
    "<",
    "<=",
    "<>1.0.0",
    "!=1.0.0",
    "~>1.2",
    "=>1.2",
    "=<1.2",
    "><1",
    "1.2.3.4",
    "<1.2.3.4",
    "01.2.3",
    "<01.2",
    "1.02",
    "1..2",
    ".1",
    "1.",
    "1.2.",
    "1.x.3",
    "x.1",
    "*.1.2",
    "1.2.x-rc.1",
    "1.2-rc.1",
    "<x",
    ">*",
    "^*",
    "~x",
    "1.2.3-",
    "1.2.3+",
    "1.2.3-01",
    "1.2 -1.5",
    "1.2- 1.5",
    "1 - 2 - 3",
    " - 1",
    "[1.2,1.5)",
    "(,1.0]",
    "vv1.2.3",
    "V1.2.3",
    "v 1.2.3",
    "1\u0662",
    "<1.2.3\u00e9",
    "2.0.0.RELEASE",
    "1.0-SNAPSHOT",
    "a || b",
    "<2.0.0 and >1.0.0",
)


@pytest.mark.parametrize("text", GARBAGE)
def test_a_text_that_is_not_a_range_is_a_problem(text: str) -> None:
    with pytest.raises(RangeProblem):
        parse_range(text)


@pytest.mark.parametrize(
    "text",
    [">2 <1", ">=2.0.0 <2.0.0", ">1.0.0 <1.0.0", ">1.2.3 =1.2.3", "1.5 - 1.2", "=1.0.0 =2.0.0", ">2 <1 || >4 <3"],
)
def test_a_range_that_can_select_nothing_is_a_problem(text: str) -> None:
    with pytest.raises(RangeProblem, match="can select nothing"):
        parse_range(text)


def test_one_alternative_may_be_empty_of_versions() -> None:
    assert accepts(">2 <1 || 3.x", "3.1.0")


SMALL = st.integers(0, 3)
NUMBERS = st.tuples(SMALL, SMALL, SMALL).map(lambda parts: ".".join(map(str, parts)))
PARTIAL = st.lists(SMALL, min_size=1, max_size=2).map(lambda parts: ".".join(map(str, parts)))
PRERELEASE = st.sampled_from(["", "", "-0", "-alpha", "-alpha.1", "-rc.1", "-rc.2", "-rc.10"])
VERSIONS = st.builds("{}{}{}".format, NUMBERS, PRERELEASE, st.sampled_from(["", "", "+b"]))
COMPARATORS = st.builds(
    "{}{}".format,
    st.sampled_from(["<", "<=", ">", ">=", "==", "="]),
    PARTIAL | st.builds("{}{}".format, NUMBERS, PRERELEASE),
) | st.builds(
    "{}{}".format, st.sampled_from(["~", "^"]), PARTIAL.filter(lambda text: text not in ("0", "0.0")) | NUMBERS
)


def ours(text: str, version: str) -> bool:
    """What our range accepts; one that we refuse as empty accepts nothing."""
    problem = problem_of(text)
    assert not problem or "can select nothing" in problem
    return not problem and accepts(text, version)


def is_own_prerelease(comparator: str, version: str) -> bool:
    """Whether `version` is a pre-release of the upper bound itself, which has none.

    `<=2.0.0` does not accept 2.0.0-rc.1 (docs/reference.md, "semver"); semantic_version does, as it excludes own
    pre-releases of `<` only.
    """
    bound = comparator.removeprefix("<=")
    return comparator.startswith("<=") and "-" not in bound and version.startswith(f"{bound}-")


@given(st.lists(COMPARATORS, min_size=1, max_size=3), VERSIONS)
def test_another_library_agrees_except_on_prereleases_of_bounds(comparators: list[str], version: str) -> None:
    """Besides `<=`, `^0` and `^0.0` differ: it reads them as `=0.0.0`, npm and Cargo as 0.x and 0.0.x."""
    if any(is_own_prerelease(each, version) for each in comparators):
        assert not ours(" ".join(comparators), version)
    else:
        theirs = other.SimpleSpec(",".join(comparators)).match(other.Version(version))
        assert ours(" ".join(comparators), version) is theirs


NPM = st.one_of(
    st.builds(
        "{}{}".format,
        st.sampled_from(["<", "<=", ">", ">=", "=", "", "~", "^"]),
        PARTIAL | NUMBERS | PARTIAL.map("{}.x".format),
    ),
    st.sampled_from(["*", "x", "1.x.x"]),
)
NPM_RANGES = st.lists(
    st.lists(NPM, min_size=1, max_size=3).map(" ".join)
    | st.builds("{} - {}".format, NUMBERS | PARTIAL, NUMBERS | PARTIAL),
    min_size=1,
    max_size=3,
).map(" || ".join)


@given(NPM_RANGES, NUMBERS)
def test_npms_grammar_accepts_the_same_releases(text: str, version: str) -> None:
    """Of pre-releases npm accepts only those of a bound that has one itself; ours go by precedence."""
    assert ours(text, version) is other.NpmSpec(text).match(other.Version(version))


@given(HOSTILE | st.text("0123.-+<>=~^|*xv ", max_size=20))
def test_any_text_is_a_range_or_a_problem(text: str) -> None:
    if not problem_of(text):
        assert parse_range(text).alternatives
