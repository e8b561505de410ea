"""What a group of cases gives: a table in Markdown, and the targets that were missed."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "docs" / "benchmarks.md"


@dataclass(frozen=True, kw_only=True)
class Table:
    """One table of docs/benchmarks.md."""

    mark: str
    """The name of its marks there."""
    text: str
    missed: tuple[str, ...]
    """Every target that was missed, in words."""


def markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def machine() -> str:
    """Say where figures were measured."""
    return f"CPython {platform.python_version()}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores"


def progress(text: str) -> None:
    """Say on standard error what is going on, with the load of the machine, which makes figures worthless."""
    print(f"[load {os.getloadavg()[0]:.1f}] {text}", file=sys.stderr, flush=True)


def write(mark: str, text: str) -> None:
    """Put a text into the documentation, between its marks; at the end where it has none yet."""
    start, end = f"<!-- {mark} -->", f"<!-- /{mark} -->"
    page = PAGE.read_text(encoding="utf-8")
    if start not in page:
        page += f"\n{start}\n{end}\n"
    head, _, rest = page.partition(start)
    PAGE.write_text(f"{head}{start}\n{text}\n{end}{rest.partition(end)[2]}", encoding="utf-8")
