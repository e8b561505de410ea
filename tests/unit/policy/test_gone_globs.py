"""Globs beside the variable of `gone`: all readings count, and one that is alive keeps."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from package_keeper.inputs.values import Values
from package_keeper.model.repository import RepositoryState
from package_keeper.policy.gone import GoneTags, GoneTemplate, Tie
from package_keeper.policy.semver import semantic_version

LIFE = RepositoryState(
    full_name="acme/app",
    branches=frozenset({"main", "a-b", "x"}),
    git_tags=frozenset({"v1.0.0-pr.2", "lib@1.0.0-rc.2", "b.2"}),
    open_pulls=frozenset({3, 34}),
    closed_pulls=frozenset({1, 2, 12, 345}),
    open_heads=frozenset({"c"}),
    closed_heads=frozenset({"a", "b", "b.2", "c", "b-a"}),
)
PARTS = st.sampled_from(["*", "?", "[a-c]", "[!a]", "a", "b", "pr", "-", ".", "-rc."])
GLOBS = st.lists(PARTS, max_size=3).map("".join)
NAMES = st.lists(
    st.sampled_from(["1", "2", "3", "4", "5", "a", "b", "c", "x", "pr", "-", ".", "-rc.", "1.0.0-"]), max_size=9
).map("".join)
TEMPLATES = st.builds(GoneTemplate, tie=st.sampled_from(Tie), before=GLOBS, behind=GLOBS)


def readings(template: GoneTemplate, name: str) -> set[str]:
    """All texts of the variable, by trying every place."""
    found = set()
    for begin in range(len(name)):
        for end in range(begin + 1, len(name) + 1):
            if fnmatchcase(name[:begin], template.before) and fnmatchcase(name[end:], template.behind):
                text = name[begin:end]
                cut = name[begin - 1 : begin].isdigit() or name[end : end + 1].isdigit()
                if template.tie is Tie.BRANCH or (re.fullmatch(r"[1-9][0-9]*", text) and not cut):
                    found.add(text)
    return found


def lives(template: GoneTemplate, name: str) -> bool:
    if template.tie is Tie.BRANCH:
        return not LIFE.existing_branches.isdisjoint(each.lower() for each in readings(template, name))
    return not LIFE.open_pulls.isdisjoint(map(int, readings(template, name)))


@given(st.lists(TEMPLATES, min_size=1, max_size=3), NAMES)
@example([GoneTemplate(tie=Tie.PULL_REQUEST, before="*", behind="*")], "pr-1-rc.34")
@example([GoneTemplate(tie=Tie.PULL_REQUEST, before="pr-"), GoneTemplate(tie=Tie.BRANCH, before="*-")], "pr-1-x")
def test_a_name_of_which_any_reading_is_alive_is_never_selected(templates: list[GoneTemplate], name: str) -> None:
    gone = GoneTags(tuple(templates))
    assert gone.is_alive(name, LIFE) == any(lives(each, name) for each in templates)
    assert gone.concerns(name) == any(readings(each, name) for each in templates)
    if gone.accepts(name, LIFE):
        assert not gone.is_alive(name, LIFE)
        evidence = {(each.tie, text) for each in templates for text in readings(each, name)}
        assert any(
            text in LIFE.gone_branches if tie is Tie.BRANCH else int(text) in LIFE.closed_pulls
            for tie, text in evidence
        )


@given(st.sampled_from(Tie), st.sampled_from(["", "pr-", "a", "a.b-"]), st.sampled_from(["", "-rc.", ".a"]), NAMES)
def test_without_globs_the_whole_name_decides(tie: Tie, before: str, behind: str, name: str) -> None:
    template = GoneTemplate(tie=tie, before=before, behind=behind)
    text = ""
    if name.startswith(before) and name.endswith(behind) and len(name) > len(before) + len(behind):
        text = name[len(before) : len(name) - len(behind)]
    if tie is Tie.BRANCH:
        expected = text in LIFE.gone_branches
    else:
        expected = re.fullmatch(r"[1-9][0-9]*", text) is not None and int(text) in LIFE.closed_pulls
    version = semantic_version(name)
    never = version is not None and (version.prerelease is None or not (before + behind).strip(".-"))
    never |= re.fullmatch(r"\d+(\.\d+)*", name) is not None or LIFE.is_git_tag(name)
    assert GoneTags((template,)).accepts(name, LIFE) == (expected and not never)


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ("*--canary.{pull-request}.*", "1.2.3--canary.12.bde34e9.0", True),
        ("*--canary.{pull-request}.*", "1.2.3--canary.3.bde34e9.0", False),
        ("*--canary.{pull-request}.*", "1.2.3--canary.123.bde34e9.0", False),
        ("*.{pull-request}", "1.0.0-rc.12", False),
        ("v*.{pull-request}", "v1.0.0-rc.12", False),
        ("[vV]*.{pull-request}", "v1.0.0-rc.12", False),
        ("[a-z0-9.]*-?c.{pull-request}", "1.0.0-rc.12", True),
        ("*[-.0-9a-z][-.]{pull-request}", "1.0.0-rc.12", False),
        ("*[!x]?{pull-request}", "1.0.0-rc.12", False),
        ("*.{branch}", "1.0.a", True),
        ("*.{branch}", "1.0.0-beta.a", False),
        ("*-rc.{pull-request}", "1.0.0-rc.2", False),
        ("*-{pull-request}*", "1.2-alpine", False),
        ("*{pull-request}*", "python3.12", False),
        ("pr-{pull-request}*", "pr-12ab34c", False),
        ("pr-{pull-request}*", "pr-12-ab34cd7", True),
        ("*{pull-request}", "V12", False),
        ("*{pull-request}", "latest", False),
        ("*pr{pull-request}.*", "1.0-pr12.345", True),
        ("pr-[ab]{pull-request}", "pr-a12", True),
        ("pr-[ab]{pull-request}", "pr-c12", False),
        # one template with a letter is enough for a pre-release, whatever other templates match it too
        ("*-rc.{pull-request},*.{pull-request}", "1.0.0-rc.12", True),
        ("*.{pull-request},*-rc.{pull-request}", "1.0.0-rc.12", True),
        # a hash elsewhere in the name says nothing about the number
        ("*-pr-{pull-request}", "ab34cd7-pr-12", True),
        # a release, whatever its build
        ("*+pr.{pull-request}", "1.0.0+pr.12", False),
        ("*+pr.{pull-request}", "1.0.0-a+pr.12", True),
        # the whole variable is the name of the branch, not a piece of it
        ("branch-{branch}", "branch-b", True),
        ("branch-{branch}", "branch-bc", False),
        ("{branch}-cache", "b-cache", True),
        ("pr-{pull-request}", "pr-012", False),
        ("pr-{pull-request}", "pr-\u06612", False),
    ],
)
def test_what_a_template_selects(text: str, name: str, expected: bool) -> None:
    problems: list[str] = []
    gone = Values({"gone": text}, problems).gone("gone")
    assert gone is not None, problems
    assert gone.accepts(name, LIFE) is expected


@pytest.mark.parametrize("tie", list(Tie))
@pytest.mark.parametrize("name", ["a-" * 128, "1-" * 128, "a" * 256, "a1" * 128])
def test_many_readings_end(tie: Tie, name: str) -> None:
    # with backtracking, this would never end
    template = GoneTemplate(tie=tie, before="*" + "?*[a1]*" * 20, behind="*" + "[a1-]*" * 20)
    gone = GoneTags((template,))
    assert gone.concerns(name) == (tie is Tie.BRANCH or "1-" in name or "a1" in name)
    assert not gone.is_alive(name, LIFE)
