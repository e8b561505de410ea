"""Texts that do harm where they are taken for more than text, and checks of what a run shows of them.

`TEXTS` is the one table of them. Tests put each in every place that text from outside reaches.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

import cmarkgfm
from cmarkgfm.cmark import Options

TEXTS = {
    "command": "::error::1.1.0",
    "command behind blanks": "\u00a0\u2003 ::warning file=x::1.1.0",
    "command behind what cannot be seen": "\ufeff\u200b::notice::1.1.0",
    "command on a second line": "1.1.0\n::stop-commands::x\r::add-mask::app\r\n::endgroup::\u2028::error::x",
    "old commands": "##[group]1.1.0 ##[error]##[##[command]",
    "escaped commands": "1.1.0%0A::error::x%0D%0A::set-output name=result::done%25",
    "output": "1\nghadelimiter_00000000-0000-0000-0000-000000000000\nresult=hacked\nresult<<E\nhacked\nE\n",
    "link": "[1.1.0](https://evil.example) <https://evil.example> https://evil.example www.evil.example",
    "mail": "me@evil.example mailto:me@evil.example xmpp:me@evil.example",
    "image": "![x](https://evil.example/x.png) :shipit: :octocat:",
    "reference": "[x]: https://evil.example\n\n[x] [^1]\n\n[^1]: note",
    "mention": "@octocat @acme/team #12 acme/clean#12 GH-12",
    "cells": "a|b\\|c\\\\|d\\\\\\|e`|`f",
    "code": "`a``b```c` \\` ``",
    "many backticks": "`" * 100 + "<b>x</b>" + "`" * 100,
    "fence": "```\n</code></td></tr></table>\n~~~",
    "HTML": "<b>x</b><img src=x onerror=alert(1)><script>alert(1)</script><!-- x",
    "entity": "&lt;b&gt; &amp;amp; &#96; &colon;",
    "block": "# x\n- x\n1. x\n> x\n---\n===\n    x\n- [ ] x",
    "dash": "- x",
    "number": "12) x",
    "indent": "     x",
    "emphasis": "*x* _x_ ~~x~~ **x** $x$ $`x`$",
    "colours": "\x1b[31mred\x1b[0m \x1b]8;;https://evil.example\x07link\x1b]8;;\x07 \x9b2J\x08\x07\x7f",
    "directions": "\u202egnp.exe\u202c \u2066x\u2069 \u200f\u061c",
    "invisible": "\u200b1\u2060.\u00ad1\ufeff\u034f\U000e0041",
    "lines": "a\nb\rc\u2028d\u2029e\x85f\x0bg\x0ch\x1ci",
    "NUL": "1.1.0\x00.2",
    "JSON": '"}],"result":"hacked",[{"a":"\\u0000\\"\\',
    "SQL": "1.1.0'); DROP TABLE versions; --",
    "path": "../../../../etc/passwd",
    "address": "1.1.0/../../x?page=9#x;y=%2e%2e%2f%00&z",
    "template": "${{ secrets.TOKEN }} $(id) `id` {0} %s %(x)s {x.__class__}",
    "marks on marks": "e" + "\u0301" * 200,
    "wide": "\U0001f680\u4e2d" * 60,
    "long": "x" * 5_000,
    "blank": "   ",
}

_OURS = re.compile(r"::(?:add-mask|group|endgroup|(?:error|warning|notice) title=[^:,]+(?:,file=[^:,]+,line=\d+)?)::")
_LINE_ENDS = re.compile(r"\r\n|\r|\n")
"""Where the runner ends a line."""
_TABLE = ("table", "thead", "tbody", "tr", "th", "td")
_ELEMENTS = frozenset(
    ("h2", "p", "strong", "a", "code", "pre", "blockquote", "br", "wbr", "details", "summary", "ul", "li", *_TABLE)
)
"""What a summary consists of."""
_EMPTY = ("br", "wbr")
_ATTRIBUTES = re.compile(r"href=https://github\.com/[\w./%@~+-]*(#[\w-]+)?|align=right|class=language-yaml", re.ASCII)
"""Links to GitHub, columns of numbers, and lines to paste."""
_REFERENCES = re.compile(r"(?:^|\W)@\w[\w/-]*|#\d+|:[\w+-]+:")
_EXTENSIONS = ["table", "autolink", "strikethrough", "tasklist"]


def is_command(line: str) -> bool:
    """Whether the runner would take a line for a command, whatever kind of blanks stand before it."""
    return "##[" in line or re.match(r"[\s\ufeff\u200b]*::", line) is not None


def log_problems(log: str) -> list[str]:
    """What in the log of a workflow is a command that the program did not write, or does more than show text."""
    found = [f"control character in {log[max(at - 20, 0) : at + 20]!r}" for at in _controls(log)]
    for line in _LINE_ENDS.split(log):
        ours = _OURS.match(line)
        data = line[ours.end() :] if ours else line
        data = data.replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%") if ours else data
        found += [f"command {part!r}" for part in _LINE_ENDS.split(data) if is_command(part)]
    return found


def _controls(text: str) -> list[int]:
    return [at for at, letter in enumerate(text) if not letter.isprintable() and letter not in "\n\t"]


@dataclass
class Rendered(HTMLParser):
    """A summary as GitHub renders it: its elements, the texts of its code spans, and the cells of each row."""

    elements: list[str] = field(default_factory=list)
    codes: list[str] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        if tag not in _ELEMENTS or not all(_ATTRIBUTES.fullmatch(f"{name}={value}") for name, value in attrs):
            self.problems.append(f"<{tag} {attrs}>")
        if tag not in _EMPTY:
            self._open.append(tag)
        if tag == "code":
            self.codes.append("")
        elif tag == "tr":
            self.rows.append(0)
        elif tag in ("td", "th"):
            self.rows[-1] += 1

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.problems.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        if "code" in self._open:
            self.codes[-1] += data
        else:
            # what GitHub makes of text after it has rendered it
            self.problems += _REFERENCES.findall(data)

    def handle_comment(self, data: str) -> None:
        self.problems.append(f"<!--{data}-->")

    def handle_decl(self, decl: str) -> None:
        self.problems.append(f"<!{decl}>")


def rendered(markdown: str) -> Rendered:
    """Render Markdown as GitHub does, except that HTML is left in, so that it can be seen."""
    options = Options.CMARK_OPT_UNSAFE | Options.CMARK_OPT_FOOTNOTES
    found = Rendered()
    found.feed(cmarkgfm.markdown_to_html_with_extensions(markdown, options=options, extensions=_EXTENSIONS))
    found.close()
    return found


def as_shown(text: str) -> str:
    """A text as log, summary and tables may show it: on one line, cut, and without control characters."""
    text = text if len(text) <= 1_000 else f"{text[:999]}…"
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)
