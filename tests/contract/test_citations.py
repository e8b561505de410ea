"""What code and documents cite exists: the file, its section, and the decision record of that number."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PATTERNS = ("*.md", "docs/**/*.md", "docs/**/*.yml", "src/**/*.py", "tests/**/*.py", "tests/**/*.yaml", "tools/*.py")
CITING = sorted({file for pattern in PATTERNS for file in ROOT.glob(pattern)} - {Path(__file__)})
SECTION = r'"[^"]+"'
CITATION = re.compile(
    rf"(?P<file>\bdocs/[\w/.-]+\.md|\b[A-Z]+\.md)\b(?:,? (?P<sections>{SECTION}(?:(?:,| and|, and) {SECTION})*))?"
)
UNWRITTEN = re.compile(r"\bcontract(?:(?:, | | [a-z ]+)\(?\"[^\"]+\"|, (?:input )?`[^`]+`)")
"""A citation of the contract by a section: docs/reference.md is the page that has it."""
FENCE = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
DECISION = re.compile(r"\b[Dd]ecisions? (?P<numbers>\d{4}(?:(?:, | and | to )\d{4})*)|\((?P<number>00\d\d)\)")


def flat(text: str) -> str:
    """The text on one line, so that a citation may go on in the next line of a docstring or comment."""
    return re.sub(r"\s*\n\s*(?:#+ (?=\S))?", " ", text)


def headings(page: Path) -> set[str]:
    """The sections of a page, without the marks of code: that of an input is cited by the input's name."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    return {line.strip("# ").replace("`", "") for line in text.splitlines() if line.startswith("#")}


def problems(text: str) -> Iterator[str]:
    """What `text` cites and is not there."""
    text = flat(text)
    for citation in UNWRITTEN.finditer(text):
        yield f"{citation[0]}: cite docs/reference.md and its section instead"
    for citation in CITATION.finditer(text):
        page = ROOT / citation["file"]
        if not page.is_file():
            yield f"{citation['file']} does not exist"
            continue
        for section in re.findall(SECTION, citation["sections"] or ""):
            if section.strip('"') not in headings(page):
                yield f"{citation['file']} has no section {section}"
    for decision in DECISION.finditer(text):
        for number in re.findall(r"\d{4}", decision["numbers"] or decision["number"]):
            if not list((ROOT / "docs" / "decisions").glob(f"{number}-*.md")):
                yield f"there is no decision {number}"


@pytest.mark.parametrize("file", CITING, ids=lambda file: str(file.relative_to(ROOT)))
def test_what_is_cited_exists(file: Path) -> None:
    assert list(problems(file.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("(docs/nowhere.md)", "docs/nowhere.md does not exist"),
        ("# see GITHUB.md for it", "GITHUB.md does not exist"),
        ('docs/sql.md, "Tyme"', 'docs/sql.md has no section "Tyme"'),
        ('docs/sql.md, "Time",\n    "Tyme"', 'docs/sql.md has no section "Tyme"'),
        ('# docs/sql.md, "Time" and\n# "What is refuted"', 'docs/sql.md has no section "What is refuted"'),
        ('(docs/reference.md, "Exit stations")', 'docs/reference.md has no section "Exit stations"'),
        ('(docs/reference.md, "keep-tag")', 'docs/reference.md has no section "keep-tag"'),
        ('(contract, "Exit status")', 'contract, "Exit status": cite docs/reference.md and its section instead'),
        ("(contract, input `gone`)", "contract, input `gone`: cite docs/reference.md and its section instead"),
        ("(contract, `gone`)", "contract, `gone`: cite docs/reference.md and its section instead"),
        ('the contract ("Outputs")', 'contract ("Outputs": cite docs/reference.md and its section instead'),
        ("(decision 0999)", "there is no decision 0999"),
        ("[decisions 0001 and 0998](x)", "there is no decision 0998"),
        ("which was there (0097)", "there is no decision 0097"),
    ],
)
def test_would_find(text: str, problem: str) -> None:
    assert list(problems(text)) == [problem]


@pytest.mark.parametrize(
    "text",
    [
        'docs/reference.md, "Exit status" and "keep-tags"',
        "a word of the contract",
        'docs/sql.md, "Time"',
        '# docs/sql.md, "Time" and\n# "The tables"',
        "decision 0005",
        "README.md",
        "a/notes.md",
    ],
)
def test_lets_pass(text: str) -> None:
    assert list(problems(text)) == []
