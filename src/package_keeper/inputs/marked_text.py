"""Text made ready for the search for image names: without escapes, with lines joined and variables marked.

Each variable becomes one character of Unicode's private area, so a name with variables in it is still one word.

Hundreds of megabytes are searched like this, so every expression is linear: runs are bounded, or end where the next
match could begin. Alternatives begin with a plain character each, since only then `re` passes quickly over all others.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

LINE = "\ue000"
"""A line that goes on in the middle of a word; there may or may not be a blank."""

JOIN = "\ue001"
"""Strings that are joined, `"acme/" + name`: something unknown may stand between."""

ANY = "\ue002"
"""A part of a value that is not known."""

_FIRST = 0xE010
_MOST = 0xF8FF - _FIRST
_OTHER = "\uf8ff"
"""Stands for all variables of a file that has more than there are characters."""

MARK = "[\ue000-\uf8ff]"
"""A class of all marks, for regular expressions."""

_GOES_ON = "\v"
"""A line that goes on after a blank."""

_NO_TEXT = re.compile(f"{MARK}|\0")
_OPEN_LINES = re.compile(r"[\\`^]\r?\n[ \t]{0,200}")
_ESCAPES = re.compile(
    r"\\(?:\\{0,7})(?:(?P<slash>/|u002[fF]|x2[fF])|(?P<colon>u003[aA]|x3[aA])|(?P<at>u0040|x40)|(?P<blank>[nrt]))"
    r"|%(?:25)?(?:(?P<slash_2>2[fF])|(?P<colon_2>3[aA])|(?P<at_2>40))"
    r"|&#(?:(?P<slash_3>x2[fF]|47)|(?P<colon_3>x3[aA]|58)|(?P<at_3>x40|64));"
)
_MEANINGS = {"slash": "/", "colon": ":", "at": "@", "blank": " "}
_JOINS = (
    re.compile(r"""["'`][ \t]{0,3}(?:\+|[ \t](?:\.\.|~)[ \t])"""),
    re.compile(r"""\+[ \t]{0,3}["'`]|\.\.[ \t]{1,3}["'`]|~[ \t]{1,3}["'`]"""),
)
_VARIABLES = re.compile(
    # what may be longer than a line
    r"\$\{\{[^{}]{0,1000}\}\}|\{\{[^{}]{0,1000}\}\}|\$\([^()]{0,1000}\)"
    r"|\$\{[^{}\n]*\}|\$\[[^\[\]\n]*\]|\$\$?(?:env:)?[A-Za-z_]\w*|\$[0-9@*]|\$\.[A-Za-z_][\w.]*"
    r"|#\{[^{}\n]*\}|\{%[^{}\n]*%\}|\{[A-Za-z_][\w.:!]*\}|\{\d{0,2}\}"
    r"|<%[^<>\n]*%>|<(?<=[/:@-]<)[A-Za-z_][\w. -]*>|<[A-Za-z_][\w. -]*>(?=[/:@-])"
    r"|%[A-Za-z_][\w.]*%|%(?:\([A-Za-z_]\w*\)|\[\d\]|\d\$)?[svdqi](?![\w%])|@[A-Z_]{2,}@",
    re.ASCII,
)
_NESTED = re.compile(
    rf"\$\{{\{{(?=[^{{}}]*{MARK})[^{{}}]{{0,1000}}\}}\}}|\{{\{{(?=[^{{}}]*{MARK})[^{{}}]{{0,1000}}\}}\}}"
    rf"|\$\((?=[^()]*{MARK})[^()]{{0,1000}}\)|\$\{{(?=[^{{}}\n]*{MARK})[^{{}}\n]*\}}|#\{{(?=[^{{}}\n]*{MARK})[^{{}}\n]*\}}"
)
_WITHOUT_SIGN = (
    # Terraform, CloudFormation, Jsonnet, Node.js; then CloudFormation in JSON
    re.compile(
        r"(?P<before>[:=][ \t])(?P<variable>(?:var|local|module|data|each)\.[A-Za-z_][\w.]*"
        r"|!(?:Ref|GetAtt|ImportValue|If|FindInMap|Select|Join)\b|std\.extVar\([^()\n]*\)|process\.env\.[A-Za-z_]\w*)",
        re.ASCII,
    ),
    re.compile(
        r'(?P<before>\{)(?P<variable>)(?=\s{0,60}"(?:Ref|Fn::(?:GetAtt|ImportValue|If|FindInMap|Select|Join))")'
    ),
)
_DEPTH = 8
"""Variables in variables are marked so deep."""


@dataclass(frozen=True)
class MarkedText:
    """A text with a mark for each variable.

    `variables` gives what was written for a mark, which may hold marks itself; `values` what is known of it.
    """

    text: str
    variables: dict[str, str]
    values: dict[str, str]

    def lines(self, start: int, end: int) -> int:
        """Count the line ends of the file between two places."""
        return sum(self.text.count(each, start, end) for each in ("\n", _GOES_ON, LINE))


def mark(text: str, value_of: Callable[[str], str | None]) -> MarkedText:
    """Mark the variables of `text`. `value_of` gives the value of a variable that is known."""
    marks: dict[str, str] = {}

    def mark_of(variable: str) -> str:
        return marks.setdefault(variable, chr(_FIRST + len(marks)) if len(marks) < _MOST else _OTHER)

    text = _joined(_without_escapes(text))

    def marked(found: re.Match[str]) -> str:
        # the lines of the file are counted, also those in a variable
        return mark_of(found[0]) + _GOES_ON * (found[0].count("\n") + found[0].count(_GOES_ON))

    text = _VARIABLES.sub(marked, text)
    for _ in range(_DEPTH):
        text, count = _NESTED.subn(marked, text)
        if not count:
            break
    for expression in _WITHOUT_SIGN:
        text = expression.sub(lambda found: found["before"] + mark_of(found["variable"]), text)
    variables = {character: written for written, character in marks.items()}
    values = {character: value for character, written in variables.items() if (value := value_of(written)) is not None}
    return MarkedText(text, variables, values)


def _without_escapes(text: str) -> str:
    if not text.isascii() or "\0" in text:
        text = _NO_TEXT.sub(" ", text)
    text = _OPEN_LINES.sub(_open_line, text)
    return _ESCAPES.sub(lambda found: _MEANINGS[str(found.lastgroup).partition("_")[0]], text)


def _open_line(found: re.Match[str]) -> str:
    if found.string[max(0, found.start() - 1) : found.start()] in (" ", "\t"):
        return _GOES_ON
    # ` and ^ go on after a blank only
    return LINE if found[0].startswith("\\") else found[0]


def _joined(text: str) -> str:
    for joins in _JOINS:
        text = joins.sub(JOIN, text)
    return text
