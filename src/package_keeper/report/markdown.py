"""Pieces of GitHub-flavoured Markdown. Text from outside goes through `escape`, `code` or `code_block`."""

import re
from collections.abc import Iterable, Sequence

from package_keeper.report.outside import shown

_SPECIAL = re.compile(r"^[-+=]|^\d(?=\d*[.)](?:\s|$))|[\\`*_{}\[\]<>#|~&@$]|:(?=//|[\w+-]+:)|(?<=[wW])\.")
"""What begins a list, a heading, a link or an emoji, and what has a meaning in Markdown or HTML."""

_NO_REFERENCE = "&#8203;"
"""A character without width. GitHub looks for mentions, issues, emoji and mail addresses after it has read entities."""

LONGEST_FENCE = 20
"""The most backticks around a code span. GitHub takes more than 80 for text, and what they enclose for Markdown."""

_ADDRESS = re.compile(r"https?://[\w.:-]+(/[\w.%~@+-]+)+(#[\w%-]+)?", re.ASCII)
"""An address without a character that means something in Markdown."""


def escape(text: str) -> str:
    """Escape text from outside, so that it has no Markdown, HTML, mention, link or line break."""
    return _SPECIAL.sub(_escaped, shown(text).strip())


def _escaped(found: re.Match[str]) -> str:
    begins_reference = found[0] in "@#:" and not found.string.startswith("/", found.end())
    return f"&#{ord(found[0])};{_NO_REFERENCE if begins_reference else ''}"


def code(text: str, *, in_table: bool = True) -> str:
    """Format a name from outside as a code span, in which only backticks need care, and `|` in a table."""
    if not text:
        return ""
    text = shown(text)
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    if len(fence) > LONGEST_FENCE:
        return escape(text)
    text = text.replace("|", "\\|") if in_table else text
    return f"{fence} {text} {fence}" if len(fence) > 1 else f"`{text}`"


def link(markdown: str, address: str | None) -> str:
    """Link what is Markdown already, unless the address could break the Markdown around it."""
    return f"[{markdown}]({address})" if address and _ADDRESS.fullmatch(address) else markdown


def code_block(lines: Iterable[str], language: str = "yaml") -> list[str]:
    """Lines to paste, each on one line and uncut."""
    texts = ["".join(each if each.isprintable() else "�" for each in line) for line in lines]
    fence = "`" * max(3, *(1 + len(run) for text in texts for run in re.findall("`+", text)), 3)
    return [f"{fence}{language}", *texts, fence]


def quoted(lines: Iterable[str], kind: str = "") -> str:
    """A quotation, or an alert of GitHub: `NOTE`, `TIP`, `IMPORTANT`, `WARNING` or `CAUTION`."""
    return "\n".join(f"> {line}".rstrip() for line in (*([f"[!{kind}]"] if kind else []), *lines))


def folded(title: str, *blocks: str) -> str:
    """Blocks that show only their title until somebody opens them. `title` is HTML, without text from outside."""
    content = "\n\n".join(filter(None, blocks))
    return f"<details><summary>{title}</summary>\n\n{content}\n\n</details>" if content else ""


def table(header: Sequence[str], rows: Iterable[Sequence[str]], numbers: Iterable[str] = ()) -> str:
    """A table. `numbers` are the columns whose cells are aligned to the right."""
    marks = ["---:" if name in set(numbers) else "---" for name in header]
    lines = [header, marks, *rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in lines)
