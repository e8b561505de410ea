"""Of many equal problems a few are shown, with the number of the others."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from package_keeper.errors import MOST_OF_A_KIND, BadInput, few_of_each_kind
from package_keeper.inputs.parser import InputFiles, parse_settings
from tests.unit.making import NOW

MANY = 20_000
MORE = re.compile(r"and (\d+) more like these")

LISTS = {
    "version-ids": lambda number: f"x{number}",
    "keep-digests": lambda number: f"sha256:{number}",
    "tags": lambda number: f"a tag {number}",
    "versions": lambda number: f"[v{number}",
    "keep-tags": lambda number: f"/(v{number}/",
    "keep-versions": lambda number: f"it's {number}'s",
    "package": lambda number: f"ghcr.io/other/app-{number}",
    "package-type": lambda number: f"npn{number}",
    "gone": lambda number: f"pr-{number}",
    "condition": lambda number: f"whole{number}",
}
"""An entry of each list that is a problem, by its number."""
NAMED = {"keep-digests": lambda number: f"{number * 2**240:064x}", "keep-tags": lambda number: f"/({'abc' * number}/"}
"""More of these, whose problems repeat something of them."""


def said(texts: dict[str, str], policy: str | None = None) -> str:
    given = {"operation": "delete", "token": "t", "owner": "acme", "tags": "x", "package": "*"}
    with pytest.raises(BadInput) as caught:
        parse_settings({**given, **texts}, defaults={}, now=NOW, files=InputFiles(policy=policy))
    return str(caught.value)


def check(text: str, about: str, most: int = MOST_OF_A_KIND + 1, count: int = MANY) -> None:
    header, *lines = text.splitlines()
    assert header == f"{count} problems with the inputs:"
    shown = [line for line in lines if not MORE.search(line)]
    more = sum(int(found[1]) for line in lines if (found := MORE.search(line)))
    assert len(shown) + more == count
    assert len(lines) <= most
    assert about in shown[0]


@pytest.mark.parametrize("name", LISTS)
def test_equal_problems_of_a_list_are_reported_a_few_times_only(name: str) -> None:
    check(said({name: "\n".join(map(LISTS[name], range(MANY)))}), f"{name}: '")


@pytest.mark.parametrize("name", NAMED)
def test_problems_with_different_entries_count_as_equal(name: str) -> None:
    check(said({name: "\n".join(map(NAMED[name], range(1, 101)))}), f"{name}: '", count=100)


POLICIES = {
    "an entry": "  - {{name: r, delete: all, match: {{tags: [{}]}}}}\n".format(", ".join(f"a {n}" for n in range(500))),
    "a rule": "".join(f"  - {{name: r{n}, delete: all, match: {{tags: [a b]}}}}\n" for n in range(500)),
    "a key": "".join(f"  - {{name: r{n}, delete: all, match: {{tag{n}: [a]}}}}\n" for n in range(500)),
    "an age": "".join(f"  - {{name: r{n}, delete: {{older-than: {n}m}}, match: {{tags: a}}}}\n" for n in range(500)),
    "a name": "".join("  - {name: r, delete: all, match: {tags: a}}\n" for _ in range(501)),
}


@pytest.mark.parametrize("kind", POLICIES)
def test_equal_problems_of_a_policy_are_reported_a_few_times_only(kind: str) -> None:
    text = said({"policy": "p.yml", "tags": ""}, f"version: 1\nrules:\n{POLICIES[kind]}")
    check(text, "policy: p.yml, line ", most=20, count=500)


def test_a_few_problems_are_all_shown() -> None:
    for count in range(1, MOST_OF_A_KIND + 2):
        problems = [f"tags: 'x{number}': wrong" for number in range(count)]
        assert list(few_of_each_kind(problems)) == problems


@given(st.lists(st.tuples(st.sampled_from(["tags", "versions", "policy: p.yml, line 7"]), st.text(max_size=9))))
def test_every_problem_is_shown_or_counted_and_every_kind_has_one(found: list[tuple[str, str]]) -> None:
    problems = [f"{name}: '{value}' is wrong" for name, value in found]
    lines = list(few_of_each_kind(problems))
    more = sum(int(count[1]) for line in lines if (count := MORE.fullmatch(line)))
    shown = [line for line in lines if not MORE.fullmatch(line)]
    assert len(shown) + more == len(problems)
    assert set(shown) <= set(problems)
    assert {name for name, _ in found} == {line.partition(": '")[0] for line in shown}
    assert len(lines) <= 3 * (MOST_OF_A_KIND + 1)
