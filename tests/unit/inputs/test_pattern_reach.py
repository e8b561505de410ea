"""Patterns that can match a digest are never refused, and globs that cannot are always found."""

from __future__ import annotations

import random
from fnmatch import fnmatchcase

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from package_keeper.inputs.patterns import DIGEST, parse_patterns
from package_keeper.policy.patterns import Pattern

DIGESTS = st.text("0123456789abcdef", min_size=64, max_size=64).map(lambda text: f"sha256:{text}")
SOME_DIGESTS = [f"sha256:{random.Random(seed).getrandbits(256):064x}" for seed in range(40)]
ONE = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"


def pattern(text: str) -> Pattern | None:
    patterns, _ = parse_patterns(text)
    return patterns.entries[0] if patterns and len(patterns.entries) == 1 else None


def reach(text: str) -> bool:
    found = pattern(text)
    assert found is not None
    return DIGEST.can_match(found)


@pytest.mark.parametrize(
    "text",
    [
        "*",
        "sha256:*",
        "sha*",
        "*f",
        ONE,
        "?" * 71,
        "sha256:" + "?" * 64,
        "*[0-9]",
        "[s]ha*",
        "[!t]ha*",
        "*:*",
        "s*6:*0",
        "/./",
        "/^sha256:/",
        "/[0-9a-f]{64}$/",
        "/^sha256:[0-9a-f]+$/",
        "/^sha(256|512):/",
        "/\\d/",
        "/\\w+:\\w+/",
        "/(?i)SHA256/",
        "/^.{71}$/",
        "/a|^v1$/",
        "/^$|a/",
        "/^\\S+$/",
        "/0*1*$/",
        "/^[^v]/",
        "/\\bsha256\\b/",
        "/^sha256:[0-9a-f]{64}\\z/",
        "/\\A(?P<name>sha){1,2}/",
        "/[^\\D]a*?/",
        "/\\pL/",
        "/[]f]/",
        "/^sha256:.*ff?$/",
    ],
)
def test_a_pattern_that_can_match_a_digest_is_accepted(text: str) -> None:
    assert reach(text)


@pytest.mark.parametrize(
    "text",
    [
        "v1",
        "v*",
        "latest",
        "1.*",
        "sha256",
        "sha256:",
        "sha512:*",
        "*g",
        "*.sig",
        "?",
        "?" * 70,
        "?" * 72,
        ONE + "0",
        "sha256-*",
        "SHA256:*",
        "*[G-Z]",
        "sha256:[!0-9a-f]*",
        "*-*",
        "sha256:*:*",
        "/^v/",
        "/^v\\d+/",
        "/latest$/",
        "/^sha256:[0-9a-f]{10}$/",
        "/^$/",
        "/[G-Z]/",
        "/^pr-/",
        "/-/",
        "/^.{70}$/",
        "/x/",
        "/^(v1|v2)$/",
        "/sha256:$/",
        "/\\s/",
        "/^[^s]/",
        "/\\Av/",
        "/f\\z./",
        "/[g-z]{3}$/",
        "/(?:v|w)+/",
    ],
)
def test_a_pattern_that_can_match_no_digest_is_found(text: str) -> None:
    assert not reach(text)


GLOB_PARTS = st.sampled_from(
    ["*", "?", "s", "sha", "sha256:", "256", ":", "0", "f", "g", "[0-9]", "[a-f]", "[!0-9]", "[sS]", "[g-z]", "-"]
)
GLOBS = st.lists(GLOB_PARTS, min_size=1, max_size=6).map("".join)


@given(GLOBS)
def test_a_glob_that_matches_a_digest_can_match(glob: str) -> None:
    found = pattern(glob)
    assert found is not None
    if any(found.matches(digest) for digest in SOME_DIGESTS):
        assert DIGEST.can_match(found)


@given(DIGESTS, st.randoms(use_true_random=False))
def test_a_glob_made_from_a_digest_can_match(digest: str, chance: random.Random) -> None:
    glob = ""
    rest = digest
    while rest:
        cut = chance.randint(1, 20)
        glob += chance.choice([rest[:cut], "?" * len(rest[:cut]), "*", "".join(f"[{c}]" for c in rest[:cut])])
        rest = rest[cut:]
    found = pattern(glob)
    assert found is not None
    assert found.matches(digest)
    assert DIGEST.can_match(found)


@given(st.lists(GLOB_PARTS.filter(lambda part: part != "*"), min_size=1, max_size=8))
def test_a_glob_can_match_exactly_when_a_digest_exists_for_it(parts: list[str]) -> None:
    """A glob whose only star stands last can be tried out letter by letter."""
    letters = [letter for part in parts for letter in ([part] if part[0] in "[?" else part)]
    places = [*"sha256:", *(["0123456789abcdef"] * 64)]
    fits = len(letters) <= len(places) and all(
        any(fnmatchcase(one, letter) for one in place) for letter, place in zip(letters, places, strict=False)
    )
    assert reach("".join(parts) + "*") is fits


EXPRESSION_PARTS = st.sampled_from(
    [
        "sha",
        "256",
        ":",
        "^",
        "$",
        ".",
        "*",
        "+",
        "?",
        "|",
        "(",
        ")",
        "[0-9a-f]",
        "[^x]",
        "\\d",
        "\\w",
        "{64}",
        "{2,}",
        "(?:",
        "a",
        "f",
        "0",
        "v",
        "\\b",
        "[[:xdigit:]]",
        "\\S",
    ]
)


@given(st.lists(EXPRESSION_PARTS, min_size=1, max_size=7).map("".join))
@example("^sha256:(?:[0-9a-f]{2}){32}$")
def test_an_expression_that_matches_a_digest_can_match(source: str) -> None:
    found = pattern(f"/{source}/")
    assume(found is not None)
    assert found is not None
    if any(found.matches(digest) for digest in SOME_DIGESTS):
        assert DIGEST.can_match(found)


@pytest.mark.parametrize("text", ["/^sha256:[[:xdigit:]]{64}$/", "/^sha256:[[:alnum:]]+$/"])
def test_classes_that_only_re2_knows_can_match(text: str) -> None:
    found = pattern(text)
    assert found is not None
    assert found.matches(ONE)
    assert DIGEST.can_match(found)


def test_a_caret_in_brackets_of_a_glob_does_not_negate() -> None:
    found = pattern("[^s]ha256:*")
    assert found is not None
    assert found.matches(ONE)
    assert DIGEST.can_match(found)


def test_a_backslash_in_brackets_of_a_glob_does_not_escape() -> None:
    found = pattern("[\\s]ha256:*")
    assert found is not None
    assert found.matches(ONE)
    assert DIGEST.can_match(found)
