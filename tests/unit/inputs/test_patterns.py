"""Pattern lists: what each accepted form matches, and problems for everything else."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from package_keeper.inputs.file_globs import parse_globs
from package_keeper.inputs.patterns import parse_patterns, split_entries
from package_keeper.policy.patterns import Patterns


def parsed(text: str, *, ignore_case: bool = False) -> Patterns:
    patterns, problems = parse_patterns(text, ignore_case=ignore_case)
    assert problems == []
    assert patterns is not None
    return patterns


ACCEPTED = [
    ("v1", ["v1"], ["v1.0", "V1", "xv1", ""]),
    ("v*", ["v", "v1", "v/1", "v 1"], ["1v"]),
    ("v?", ["v1", "v/"], ["v", "v12"]),
    ("[abc]1", ["a1", "c1"], ["d1", "[abc]1"]),
    ("[!abc]1", ["d1"], ["a1"]),
    ("[a-c]*", ["a", "b2"], ["d"]),
    ("[]]", ["]"], ["["]),
    ("a.b", ["a.b"], ["axb"]),
    ("a+(b)|^$", ["a+(b)|^$"], ["a", ""]),
    ("*/app", ["team/app", "a/b/app"], ["app"]),
    ("/^v\\d+/", ["v1", "v12-rc"], ["v", "xv1"]),
    ("/v\\d+/", ["v1", "xv1y"], ["v"]),
    ("/^a,b$/", ["a,b"], ["a", "b"]),
    ("/^team\\/app$/", ["team/app"], ["team/apps"]),
    ("/(?i)^rc/", ["RC1", "rc"], ["xrc"]),
    ("!/^a,b$/", ["a"], ["a,b"]),
    ("!v*", ["a", ""], ["v1"]),
    ("v*,!*-rc", ["v1"], ["v1-rc", "x"]),
    ("!*-rc,v*", ["v1"], ["v1-rc", "x"]),
    ("a, b\n c ,,\n\n", ["a", "b", "c"], ["d", " a"]),
    ("a\r\nb", ["a", "b"], ["a\r"]),
    ("a\n/b|c/\nd", ["a", "xb", "d"], ["e"]),
]


@pytest.mark.parametrize(("text", "accepts", "refuses"), ACCEPTED)
def test_a_list_matches_these_names_and_not_those(text: str, accepts: list[str], refuses: list[str]) -> None:
    patterns = parsed(text)
    assert [name for name in accepts if not patterns.accepts(name)] == []
    assert [name for name in refuses if patterns.accepts(name)] == []


@pytest.mark.parametrize(
    ("text", "looks"), [("v\\d+", True), ("^v", True), ("v.*", True), ("v*", False), ("1.0", False), ("/^v.*/", False)]
)
def test_a_glob_that_looks_like_an_expression(text: str, looks: bool) -> None:
    patterns, _ = parse_patterns(text)
    assert patterns is not None
    assert [entry.looks_like_expression for entry in patterns.entries] == [looks]


def test_globs_of_files_compare_with_case_and_name_what_differs_in_case_only() -> None:
    globs, problems = parse_globs("deploy/*.yml")
    assert problems == []
    picked = globs.pick(["deploy/a.yml", "deploy/B.YML", "Deploy/c.yml", "d.yml"])
    assert picked.files == {"deploy/*.yml": ["deploy/a.yml"]}
    assert picked.missed == {"deploy/*.yml": ["Deploy/c.yml", "deploy/B.YML"]}


PROBLEMS = [
    ("a b", "blank"),
    ("v1 v2\nok", "'v1 v2'"),
    ("/a b/", "blank"),
    ("/abc", "two slashes"),
    ("/", "two slashes"),
    ("//", "empty"),
    ("!", "exclamation"),
    ("!!a", "one exclamation mark"),
    ("!/abc", "two slashes"),
    ("/(/", "not a regular expression"),
    ("/(?=x)/", "not a regular expression"),
    ("/(a)\\1/", "not a regular expression"),
    ("/a/,/b/", "two regular expressions"),
    ("/a/,b", "two slashes"),
    ("[abc", "never closed"),
    ("[z-a]", "empty"),
]


@pytest.mark.parametrize(("text", "problem"), PROBLEMS)
def test_an_entry_that_is_not_a_pattern_is_a_problem_that_names_it(text: str, problem: str) -> None:
    _, problems = parse_patterns(text)
    assert len(problems) == 1
    assert problem in problems[0]


def test_every_wrong_entry_is_named() -> None:
    patterns, problems = parse_patterns("a b\n/x\nfine\n[q")
    assert len(problems) == 3
    assert patterns is not None
    assert patterns.accepts("fine")


@pytest.mark.parametrize("text", ["", " ", ",", " , \n ,,\r\n\t"])
def test_a_text_without_entries_is_no_list(text: str) -> None:
    assert parse_patterns(text) == (None, [])


def test_packages_compare_without_case() -> None:
    for text in ("Team/APP", "team/*", "/^TEAM/", "t[e-f]am/app"):
        assert parsed(text, ignore_case=True).accepts("tEAM/App")
        assert not parsed("!" + text, ignore_case=True).accepts("tEAM/App")


def test_regular_expressions_take_bounded_time() -> None:
    patterns = parsed("/^(a+)+$/\n/^(a|aa)+$/")
    assert not patterns.accepts("a" * 5_000 + "!")


def test_globs_take_bounded_time() -> None:
    assert not parsed("*a" * 30 + "*b").accepts("a" * 5_000)


@given(st.text(st.sampled_from("ab/!,*?[]-\\\n ^$()+.|{}1\x00é\u2028") | st.characters(), max_size=30))
def test_no_text_crashes_the_parser(text: str) -> None:
    entries = list(split_entries(text))
    patterns, problems = parse_patterns(text)
    assert all(entry == entry.strip() and entry for entry in entries)
    accepted = len(patterns.entries) if patterns else 0
    assert accepted + len(problems) == len(entries)
    if patterns is not None:
        patterns.accepts(text)
        patterns.accepts("v1")


GLOBS = st.text(st.sampled_from("ab*?"), min_size=1, max_size=5)
EXPRESSIONS = st.sampled_from(["/^a/", "/b$/", "/ab|ba/", "/^[ab]{2}$/", "/a,b|bb/"])
ENTRIES = st.tuples(st.booleans(), GLOBS | EXPRESSIONS)
NAMES = st.text(st.sampled_from("ab"), max_size=5)


def glob_matches(glob: str, name: str) -> bool:
    """Say what a glob of stars and question marks means, letter by letter."""
    if not glob:
        return not name
    if glob[0] == "*":
        return any(glob_matches(glob[1:], name[start:]) for start in range(len(name) + 1))
    return bool(name) and glob[0] in ("?", name[0]) and glob_matches(glob[1:], name[1:])


def entry_matches(entry: str, name: str) -> bool:
    return re.search(entry[1:-1], name) is not None if entry[0] == "/" else glob_matches(entry, name)


def written(entries: list[tuple[bool, str]]) -> str:
    return "\n".join(f"{'!' if excluding else ''}{entry}" for excluding, entry in entries)


@given(st.lists(ENTRIES, min_size=1, max_size=6), st.lists(NAMES, max_size=20))
def test_a_list_matches_what_its_entries_match(entries: list[tuple[bool, str]], names: list[str]) -> None:
    patterns = parsed(written(entries))
    for name in names:
        included = any(entry_matches(entry, name) for excluding, entry in entries if not excluding)
        excluded = any(entry_matches(entry, name) for excluding, entry in entries if excluding)
        only_exclusions = all(excluding for excluding, _ in entries)
        assert patterns.accepts(name) is ((included or only_exclusions) and not excluded)


@given(
    st.lists(ENTRIES, min_size=1, max_size=6).flatmap(
        lambda entries: st.tuples(st.just(entries), st.permutations(entries))
    ),
    NAMES,
)
def test_the_order_of_entries_does_not_matter(
    both: tuple[list[tuple[bool, str]], list[tuple[bool, str]]], name: str
) -> None:
    assert parsed(written(both[0])).accepts(name) is parsed(written(both[1])).accepts(name)


@given(st.lists(ENTRIES, min_size=1, max_size=5), GLOBS | EXPRESSIONS, NAMES)
def test_an_exclusion_more_never_matches_more(entries: list[tuple[bool, str]], entry: str, name: str) -> None:
    assume(not parsed(written(entries)).accepts(name))
    assert not parsed(written([*entries, (True, entry)])).accepts(name)


@given(st.lists(GLOBS, min_size=1, max_size=5), NAMES)
def test_commas_and_lines_separate_alike(globs: list[str], name: str) -> None:
    assert parsed(", ".join(globs)).accepts(name) is parsed(" \n".join(globs)).accepts(name)
