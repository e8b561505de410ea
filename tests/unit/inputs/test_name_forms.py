"""A pattern that no name of its kind can match is a problem; one that can match is never refused."""

from __future__ import annotations

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from package_keeper.inputs.patterns import package_problem, parse_patterns, tag_problem, version_problem
from package_keeper.model.packages import PackageType
from package_keeper.policy.patterns import Pattern
from tests.unit.inputs.test_parser import BASE, attempt

TAGS = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,12}", fullmatch=True)
DIGEST = "sha256:" + "0123456789abcdef" * 4


def pattern(text: str) -> Pattern | None:
    patterns, problems = parse_patterns(text)
    return patterns.entries[0] if patterns and not problems and len(patterns.entries) == 1 else None


NO_TAG = [
    "ghcr.io/acme/app:v1",
    "app:v1",
    "acme/app",
    f"app@{DIGEST}",
    DIGEST,
    "v1:",
    "*:*",
    "v1/*",
    "[:]v1",
    "v[/:]1",
    "-v1",
    ".v1",
    "v1;v2",
    "v1+build",
    "v\uff11",
    "\uff5631",
    "é*",
    "{v1",
    "v1}",
    "^v1",
    "v\\d+",
    "v1$",
    "$TAG",
    "#v1",
    "v1=",
    "a" * 129,
    "?" * 129,
    "*" + "[ab]" * 129,
    "/:/",
    "/^-/",
    "/^v1:/",
    "/app:(v1|v2)$/",
    "/^acme\\/app:/",
    "/v1$./",
    "/^$/",
    "/\\s/",
    "/[^\\w.-]/",
]


@pytest.mark.parametrize("text", NO_TAG)
@pytest.mark.parametrize("name", ["tags", "keep-tags"])
@pytest.mark.parametrize("mark", ["", "!"])
def test_a_pattern_that_no_tag_can_match_is_an_error(name: str, text: str, mark: str) -> None:
    given_texts = {"operation": "delete", "package": "app", "older-than": "30d", name: f"{mark}{text}\nfine"}
    settings, problems = attempt(BASE | given_texts)
    assert settings is None
    assert [problem.partition(":")[0] for problem in problems] == [name]
    assert f"'{mark}{text}'" in problems[0]


@pytest.mark.parametrize(
    "text",
    [
        "v1",
        "v1.0.0_build",
        "*",
        "_x",
        "a" * 128,
        "?" * 128,
        "a*" * 128,
        "[a:]pp",
        "[!:]pp",
        "*-rc.[0-9]",
        "sha256-*.sig",
        "/^v\\d+/",
        "/:|v1/",
        "/$/",
        "/^/",
        "/[[:alpha:]]/",
        "/(?i)V1/",
        "/\\bv1\\b/",
        "/^[^:]+$/",
        "/_/",
        "/\\w-\\w/",
    ],
)
def test_a_pattern_that_a_tag_can_match_is_accepted(text: str) -> None:
    found = pattern(text)
    assert found is not None
    assert tag_problem(found) == ""


PARTS = st.sampled_from(["*", "?", "v", "1", "-", ".", "_", "[0-9]", "[!v]", "[:v]", "[.-]", ":", "/", "é", "^", "+"])
EXPRESSIONS = st.sampled_from(
    ["v", "1", "-", "\\.", ".", ":", "^", "$", "*", "+", "?", "|", "(", ")", "[^v]", "[:1]", "\\w", "\\d", "\\b", "{2}"]
)


@given(st.lists(PARTS, min_size=1, max_size=6).map("".join), st.lists(TAGS, min_size=1, max_size=20))
def test_a_glob_that_matches_a_tag_is_accepted(glob: str, tags: list[str]) -> None:
    found = pattern(glob)
    assume(found is not None)
    assert found is not None
    if any(found.matches(tag) for tag in tags):
        assert tag_problem(found) == ""


@given(st.lists(EXPRESSIONS, min_size=1, max_size=7).map("".join), st.lists(TAGS, min_size=1, max_size=20))
@example("^(v|1){2}$", ["v1"])
@example("1$|:", ["1"])
def test_an_expression_that_matches_a_tag_is_accepted(source: str, tags: list[str]) -> None:
    found = pattern(f"/{source}/")
    assume(found is not None)
    assert found is not None
    if any(found.matches(tag) for tag in tags):
        assert tag_problem(found) == ""


@given(st.lists(PARTS.filter(lambda part: part[0] != "["), min_size=1, max_size=6).map("".join))
def test_a_glob_is_accepted_exactly_when_a_tag_can_match_it(glob: str) -> None:
    """A tag is found for each glob that is accepted: stars stand for nothing, or for one letter at the beginning."""
    found = pattern(glob)
    assume(found is not None)
    assert found is not None
    tries = [glob.replace("*", "").replace("?", "x"), "x" + glob.replace("*", "").replace("?", "x")]
    matching = any(one.isascii() and found.matches(one) and _is_tag(one) for one in tries)
    assert (tag_problem(found) == "") is matching


def _is_tag(text: str) -> bool:
    return bool(text) and text[0] not in ".-" and all(letter.isalnum() or letter in "_.-" for letter in text)


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffv1",
        "v1\ufeff",
        "v\u200b1",
        "v1\u200d",
        "\u202ev1",
        "v1\u00ad",
        "v1\x00",
        "v1\x07",
        "v1\ufe0f",
        "v1\u2800",
        "v1\u3164",
        "v\u00a01",
        "v\u30001",
        "[v\u200b]1",
        "/^v1\u200b/",
        "/v1|v2\ufeff/",
        "!v1\u200b",
    ],
)
@pytest.mark.parametrize("name", ["tags", "keep-tags", "versions", "keep-versions", "package", "keep-digests", "gone"])
def test_invisible_characters_are_an_error_in_every_list(name: str, text: str) -> None:
    kind = "container" if name in ("tags", "keep-tags", "keep-digests", "gone") else "nuget"
    texts = {"operation": "delete", "package-type": kind, "package": "app", "older-than": "30d"}
    settings, problems = attempt(BASE | texts | {name: text})
    assert settings is None
    assert any(problem.startswith(f"{name}: ") for problem in problems)


@pytest.mark.parametrize(
    "text", ['"v1"', "'v1'", "`v1`", "\u201cv1\u201d", "\u2018v1\u2019", "\u00abv1\u00bb", '"v1', "- v1"]
)
@pytest.mark.parametrize("name", ["tags", "keep-tags", "versions", "keep-versions", "package"])
def test_quotes_and_dashes_from_yaml_are_an_error(name: str, text: str) -> None:
    kind = "container" if name in ("tags", "keep-tags") else "npm"
    texts = {"operation": "delete", "package-type": kind, "package": "app", "older-than": "30d"}
    settings, problems = attempt(BASE | texts | {name: text})
    assert settings is None
    assert any(problem.startswith(f"{name}: ") for problem in problems)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("ghcr.io/acme/app:v1", "write the tag alone: v1"),
        ("app:v1", "write the tag alone: v1"),
        (f"app@{DIGEST}", f"digests are for keep-digests or versions: {DIGEST}"),
        ("^v\\d+$", "/^v\\d+$/"),
        ('"v1"', "write v1"),
        ("- v1", "without the dash"),
        ("v1\u200b", "U+200B"),
    ],
)
def test_the_message_says_what_to_write(text: str, hint: str) -> None:
    _, problems = parse_patterns(text, problem_of=tag_problem)
    assert len(problems) == 1
    assert hint in problems[0]


@pytest.mark.parametrize(
    ("text", "kinds", "fits"),
    [
        ("1.0.0", "npm", True),
        ("1.0.0-rc.1+build", "nuget", True),
        ("1.0.0.pre", "rubygems", True),
        ("1.0-20260101.101010-1", "maven", True),
        ("1.0.0~beta", "maven", True),
        ("app@1.0.0", "npm", False),
        ("com.acme:app:1.0", "maven", False),
        ("acme/app", "npm maven nuget rubygems", False),
        ("1.0.0", "container", False),
        ("1.0.0", "container npm", True),
        (DIGEST, "npm", False),
        (DIGEST, "npm docker", True),
        ("docker-base-layer", "docker", True),
        ("sha256:0*", "container", True),
        ("/^1\\./", "npm container", True),
        ("/:/", "npm", False),
        ("/:/", "npm container", True),
    ],
)
def test_a_version_pattern_must_be_possible_for_a_type(text: str, kinds: str, fits: bool) -> None:
    found = pattern(text)
    assert found is not None
    types = [PackageType(kind) for kind in kinds.split()]
    assert (version_problem(found, types, "tags") == "") is fits


@pytest.mark.parametrize(
    ("text", "kinds", "fits"),
    [
        ("app", "container", True),
        ("team/App_1.x-y", "container docker", True),
        ("/^team\\/app$/", "container", True),
        ("app:v1", "container", False),
        (f"app@{DIGEST}", "container", False),
        ("@acme/app", "container", False),
        ("@acme/app", "npm", True),
        ("@acme/app", "npm container", True),
        ("com.acme.app", "maven", True),
        ("Ünïcode.Paket", "nuget", True),
        ("Ünïcode.Paket", "npm", False),
        ("\uff41pp", "container npm maven rubygems docker", False),
    ],
)
def test_a_package_pattern_must_be_possible_for_a_type(text: str, kinds: str, fits: bool) -> None:
    found = pattern(text)
    assert found is not None
    types = [PackageType(kind) for kind in kinds.split()]
    assert (package_problem(found, types) == "") is fits


def test_a_template_longer_than_a_tag_is_an_error() -> None:
    texts = {"operation": "delete", "package": "app"}
    assert attempt(BASE | texts | {"gone": "p" * 127 + "{pull-request}"})[1] == []
    assert len(attempt(BASE | texts | {"gone": "p" * 128 + "{pull-request}"})[1]) == 1


def test_with_undo_a_package_pattern_may_fit_any_type() -> None:
    texts = {"operation": "restore", "undo": "receipt.jsonl", "package": "@acme/app"}
    assert attempt(BASE | texts)[1] == []
    assert len(attempt(BASE | texts | {"package-type": "docker"})[1]) == 1


def test_an_owner_without_a_package_is_an_error() -> None:
    for text in ("ghcr.io/acme/", "app,ghcr.io/acme/", "*,!ghcr.io/acme/"):
        assert attempt(BASE | {"package": text})[1] != []
