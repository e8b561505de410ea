"""YAML of policies: the type and line of every value, and the texts that are refused."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from package_keeper.inputs.yaml_lines import YamlProblem, read_yaml


def value(text: str) -> Any:
    document = read_yaml(f"key: {text}")
    assert document.problems == []
    return document.value["key"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("true", True),
        ("FALSE", False),
        ("3", 3),
        ("+3", 3),
        ("-3", -3),
        ("0", 0),
        ("1.10", 1.1),
        ("1e3", 1000.0),
        ("'3'", "3"),
        ("!!str 1.10", "1.10"),
        ("!!int '3'", 3),
        ("|\n  two\n  lines\n", "two\nlines\n"),
    ],
)
def test_a_scalar_means_what_the_core_schema_of_yaml_1_2_says(text: str, expected: object) -> None:
    found = value(text)
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(
    "text",
    ["yes", "no", "on", "off", "y", "010", "0o10", "0x10", "1_000", "1:30", "2026-06-15", ".inf", "=", "9" * 30],
)  # fmt: skip
def test_scalars_of_yaml_1_1_stay_text(text: str) -> None:
    assert value(text) == text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\nb: {c: 1,\n  c: 2}", "line 3: b.c: given twice, first on line 2"),
        ("a:\n  - {b: 1}\n  - !x {b: 1}", "line 3: a[1]: the tag !x is not supported"),
        ("a: !!int x", "line 1: a: the tag !!int is not supported"),
        ("a: !!set {b, c}", "line 1: a: the tag !!set is not supported"),
        ("a: !!python/name:os []", "line 1: a: the tag !!python/name:os is not supported"),
        ("a: 1\n3: x", "line 2: the key '3' is not text (put text in quotes)"),
        ("a: {true: x}", "line 1: a: the key 'true' is not text (put text in quotes)"),
        ("a:\n  ? [b]\n  : c", "line 2: a: a key that is not text (put text in quotes)"),
        ('a:\n  - "\\uD800"', "line 2: a[0]: has half a character (\\uD800 to \\uDFFF)"),
    ],
)  # fmt: skip
def test_a_problem_names_line_and_path(text: str, problem: str) -> None:
    assert read_yaml(text).problems == [problem]


BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "\n".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\nb: [", "line 2: expected the node content, but found '<stream end>'"),
        ("a: 1\n b: 2", "line 2: mapping values are not allowed here"),
        ("a: *b", "line 1: found undefined alias 'b'"),
        ("a: 1\n---\nb: 2", "line 3: a second document; accepted is one"),
        ("a: 1\nb: \x00", "line 2: the character U+0000 is not allowed"),
        ('a: "\\U00110000"', "line 1: an escape (\\U and eight digits) is not a valid character"),
        ('a: "\\U99999999"', "line 1: an escape (\\U and eight digits) is not a valid character"),
        (BOMB, "line 1: aliases expand to too many values"),
        ("a: &a [*a]", "line 1: nested too deeply"),
        ("a: &a {b: *a}", "line 1: nested too deeply"),
        (f"a: {'[' * 500}{']' * 500}", "line 1: nested too deeply"),
    ],
)
def test_invalid_yaml_is_a_problem_with_a_line(text: str, problem: str) -> None:
    with pytest.raises(YamlProblem) as raised:
        read_yaml(text)
    assert str(raised.value) == problem


def test_an_alias_has_the_value_of_its_anchor() -> None:
    assert read_yaml("a: &a [1, {b: 2}]\nc: *a").value == {"a": [1, {"b": 2}], "c": [1, {"b": 2}]}


def test_a_merge_key_is_an_ordinary_key() -> None:
    assert read_yaml("a: &a {b: 1}\nc:\n  <<: *a").value["c"] == {"<<": {"b": 1}}


@given(st.text(st.sampled_from("ab1:-?[]{},&*!|>'\"%@#~ \n\t\\ué")))
def test_any_text_is_a_document_or_a_problem(text: str) -> None:
    try:
        said = read_yaml(text).problems
    except YamlProblem as problem:
        said = [str(problem)]
    assert all(re.match(r"line \d+: .", each) for each in said)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**17), 10**17)
    | st.text(st.characters(exclude_categories=["Cs", "Cc"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abcdef", min_size=1), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text("abcdef", min_size=1), VALUES, max_size=6))
def test_json_is_read_as_json_and_every_value_has_its_line(content: dict[str, Any]) -> None:
    lines = [f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in content.items()]
    document = read_yaml("\n".join(lines))
    assert (document.value or {}) == content
    for number, key in enumerate(content, start=1):
        assert {line for path, line in document.lines.items() if path[:1] == (key,)} == {number}
        assert document.at((key, "unknown")) == f"line {number}: {key}.unknown"
