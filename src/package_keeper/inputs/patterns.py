"""Parses pattern lists into `Patterns`, and finds patterns that can never match.

Entries stand on lines of their own or are separated by commas. A line that starts with `/` or `!/` is one entry, commas
included. `!` in front of an entry excludes. README.md ("Patterns") describes the grammar.
"""

import re
import string
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatchcase
from functools import lru_cache, partial
from typing import Any

import re2
from msgspec import Struct

from package_keeper.causes import Cause, Caused
from package_keeper.model.packages import PackageType
from package_keeper.policy.patterns import Pattern, Patterns

_Accepts = Callable[[str], bool]
"""Whether one character is accepted."""

_Places = frozenset[int]
"""Places in a name where matching can go on: 0 is its beginning."""

_Step = Callable[[_Places], _Places]
"""A part of a regular expression: the places behind it, when it begins at any of the given ones."""

_AFTER_END = -1
"""The place after `$`, where nothing more can follow."""

GLOB_PART = re.compile(r"\*|\[!?\]?[^\]]*\]|.", re.DOTALL)


class NameForm(Struct, frozen=True):
    """What the names of one kind look like: the characters that each place accepts.

    The last place may be repeated when the form is `endless`; a name has at most `longest` characters.
    """

    places: tuple[frozenset[str], ...]
    longest: int
    endless: bool = False

    def can_match(self, pattern: Pattern) -> bool:
        """Whether `pattern` accepts a name of this form; `True` when that is unknown."""
        if pattern.expression is None:
            return self._glob_can_match(pattern.text)
        try:
            step = _ExpressionParser(self, pattern.text[1:-1]).parse()
            starts = range(len(self.places) + (not self.endless))
            return bool(step(frozenset(starts)))
        except (_Unknown, RecursionError):
            return True

    def _glob_can_match(self, glob: str) -> bool:
        parts = GLOB_PART.findall(glob)
        if sum(part != "*" for part in parts) > self.longest:
            return False
        reached = frozenset({0})
        for part in parts:
            if part == "*":
                reached = frozenset(range(min(reached), self.end + 1)) if reached else reached
            else:
                reached = self.one(partial(_takes_one_of, part), reached)
        return self.end in reached

    @property
    def end(self) -> int:
        """The place where a name may end."""
        return len(self.places) - self.endless

    def one(self, takes_one_of: Callable[[frozenset[str]], bool], starts: _Places) -> _Places:
        """The places behind one character that is accepted."""
        possible = {letters for letters in set(self.places) if takes_one_of(letters)}
        return frozenset(
            start if self.endless and start == self.end else start + 1
            for start in starts
            if 0 <= start < len(self.places) and self.places[start] in possible
        )


@lru_cache(maxsize=1_000)
def _takes_one_of(part: str, letters: frozenset[str]) -> bool:
    """Whether a part of a glob, such as `x` or `[a-z]`, accepts one of these characters."""
    return any(fnmatchcase(letter, part) for letter in letters)


class _Unknown(Exception):
    """A construct of a regular expression that `_ExpressionParser` does not know."""


_REPEAT = re.compile(r"(?:(?P<sign>[*+?])|\{(?P<low>\d+)(?P<comma>,(?P<high>\d*))?\})\??", re.ASCII)
_GROUP = re.compile(r"\?(?::|P?<\w+>)")
_CLASSES: dict[str, _Accepts] = {
    "d": str.isdigit,
    "w": lambda letter: letter.isalnum() or letter == "_",
    "s": str.isspace,
}
_CONTROLS = {"a": "\a", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


class _ExpressionParser:
    """Parses a regular expression that RE2 has accepted, to find out which places of a name it can reach.

    It knows what people write in pattern lists, and raises `_Unknown` for everything else.
    """

    def __init__(self, form: NameForm, source: str) -> None:
        self._form = form
        self._source = source
        self._at = 0

    def parse(self) -> _Step:
        step = self._alternatives()
        if self._peek():
            raise _Unknown
        return step

    def _alternatives(self) -> _Step:
        branches = [self._sequence()]
        while self._take("|"):
            branches.append(self._sequence())
        return lambda starts: frozenset[int]().union(*(branch(starts) for branch in branches))

    def _sequence(self) -> _Step:
        steps = []
        while self._peek() not in ("", "|", ")"):
            step = self._atom()
            while found := _REPEAT.match(self._source, self._at):
                self._at = found.end()
                step = self._repeated(step, found)
            steps.append(step)

        def walk(starts: _Places) -> _Places:
            for step in steps:
                starts = step(starts)
            return starts

        return walk

    def _repeated(self, step: _Step, found: re.Match[str]) -> _Step:
        # more repetitions than places reach nothing new
        most = len(self._form.places) + 1
        if sign := found["sign"]:
            low, high = int(sign == "+"), 1 if sign == "?" else most
        else:
            low = min(int(found["low"]), most)
            high = low if not found["comma"] else min(int(found["high"] or most), most)

        def walk(starts: _Places) -> _Places:
            reached = starts
            for _ in range(low):
                reached = step(reached)
            everything = reached
            for _ in range(high - low):
                reached = step(reached) - everything
                everything |= reached
                if not reached:
                    break
            return everything

        return walk

    def _atom(self) -> _Step:
        match self._next():
            case ".":
                return self._one(bool)
            case "^":
                return self._begin
            case "$":
                return self._end
            case "(":
                return self._group()
            case "[":
                return self._one(self._class())
            case "\\" if self._peek() in ("A", "z", "b", "B"):
                # word boundaries need no character; where they are does not matter here
                return {"A": self._begin, "z": self._end}.get(self._next(), lambda starts: starts)
            case "\\":
                return self._one(_accepts(self._escaped()))
            case letter:
                return self._one(_accepts(letter))

    def _one(self, accepts: _Accepts) -> _Step:
        return lambda starts: self._form.one(lambda letters: any(map(accepts, letters)), starts)

    def _begin(self, starts: _Places) -> _Places:
        return starts & {0}

    def _end(self, starts: _Places) -> _Places:
        return frozenset({_AFTER_END}) if starts & {self._form.end, _AFTER_END} else frozenset()

    def _group(self) -> _Step:
        if self._peek() == "?":
            opening = _GROUP.match(self._source, self._at)
            if opening is None:
                raise _Unknown
            self._at = opening.end()
        step = self._alternatives()
        if not self._take(")"):
            raise _Unknown
        return step

    def _class(self) -> _Accepts:
        """A class in brackets, after its opening bracket."""
        negated = self._take("^")
        members = [self._member()]
        while not self._take("]"):
            members.append(self._member())
        return lambda letter: any(accepts(letter) for accepts in members) is not negated

    def _member(self) -> _Accepts:
        if self._source.startswith("[:", self._at):
            raise _Unknown
        low = self._class_character()
        if self._peek() != "-" or self._source[self._at + 1 : self._at + 2] == "]":
            return _accepts(low)
        self._next()
        high = self._class_character()
        if not isinstance(low, str) or not isinstance(high, str):
            raise _Unknown
        return lambda letter: low <= letter <= high

    def _class_character(self) -> str | _Accepts:
        letter = self._next()
        return self._escaped() if letter == "\\" else letter

    def _escaped(self) -> str | _Accepts:
        """What an escape means, after its backslash: a character, or a class of characters."""
        letter = self._next()
        if accepts := _CLASSES.get(letter.lower()):
            return accepts if letter.islower() else lambda each: not accepts(each)
        if letter in _CONTROLS:
            return _CONTROLS[letter]
        if letter.isalnum() or not letter.isascii():
            raise _Unknown
        return letter

    def _peek(self) -> str:
        return self._source[self._at : self._at + 1]

    def _take(self, letter: str) -> bool:
        """Whether `letter` comes next; it is read then."""
        if self._peek() != letter:
            return False
        self._at += 1
        return True

    def _next(self) -> str:
        letter = self._peek()
        if not letter:
            raise _Unknown
        self._at += 1
        return letter


def _accepts(wanted: str | _Accepts) -> _Accepts:
    return (lambda letter: letter == wanted) if isinstance(wanted, str) else wanted


_WORD = frozenset(string.ascii_letters + string.digits + "_")
_VERSION = _WORD | frozenset(".+-")
_PATH = _WORD | frozenset("./-")
_PLAIN = frozenset(string.printable) - frozenset(string.whitespace + "\"'`<>|\\")
_HEX = frozenset("0123456789abcdef")

_LONG = 1_000


def _of(characters: frozenset[str]) -> NameForm:
    return NameForm((characters, characters), _LONG, endless=True)


TAG = NameForm((_WORD, _WORD | frozenset(".-")), 128, endless=True)
"""Tags of containers and of docker packages, as registries define them."""

DIGEST = NameForm((*(frozenset(letter) for letter in "sha256:"), *([_HEX] * 64)), 71)

_VERSIONS = {
    PackageType.CONTAINER: DIGEST,
    PackageType.DOCKER: _of(_PLAIN),
    PackageType.NPM: _of(_VERSION),
    PackageType.NUGET: _of(_VERSION),
    PackageType.RUBYGEMS: _of(_VERSION),
    PackageType.MAVEN: _of(_PLAIN - frozenset("/:?*")),
}

_PACKAGES = {
    PackageType.CONTAINER: _of(_PATH),
    PackageType.DOCKER: _of(_PATH),
    PackageType.NPM: _of(_PLAIN),
    PackageType.RUBYGEMS: _of(_PLAIN),
    PackageType.MAVEN: _of(_PLAIN),
}
"""NuGet has no entry, because its names may have letters of every script."""

_LOOKS = {
    "tag": "a tag has up to 128 letters (a-z, A-Z), digits, _ . and -, and does not begin with . or -",
    "version": "a version name of {types} has letters (a-z, A-Z), digits and a few marks, no blank, quote or slash",
    "package": "a package name of {types} has letters (a-z, A-Z), digits, . _ - and /",
}


_NAME_ALONE = "write the name alone"
_BETWEEN_SLASHES = "a regular expression stands between slashes"


def with_cause(problem: str) -> str:
    """The problem with an entry, with its cause when a hint shows it."""
    if _NAME_ALONE in problem:
        return Caused(problem, Cause.PACKAGE_TAG)
    return Caused(problem, Cause.NO_MATCH) if _BETWEEN_SLASHES in problem else problem


def tag_problem(pattern: Pattern) -> str:
    """Why no tag can match `pattern`, with what to write instead; empty when one can."""
    return "" if TAG.can_match(pattern) else _problem("tag", pattern)


def version_problem(pattern: Pattern, types: Iterable[PackageType], tags: str) -> str:
    """Why no version name of these types can match; empty when one can. `tags` is the input to suggest for tags."""
    wanted = tuple(types)
    if any(_VERSIONS[kind].can_match(pattern) for kind in wanted):
        return ""
    if wanted == (PackageType.CONTAINER,):
        return (
            "can match no container version, whose name is a digest (sha256:…); for tags use the input"
            f" {tags}{_hint('version', pattern)}"
        )
    return _problem("version", pattern, wanted)


def package_problem(pattern: Pattern, types: Iterable[PackageType]) -> str:
    """Why no package name of these types can match; empty when one can."""
    wanted = tuple(types)
    if any(kind not in _PACKAGES or _PACKAGES[kind].can_match(pattern) for kind in wanted):
        return ""
    return _problem("package", pattern, wanted)


def _problem(what: str, pattern: Pattern, types: tuple[PackageType, ...] = ()) -> str:
    looks = _LOOKS[what].format(types=", ".join(types))
    return f"can match no {what}: {looks}{_hint(what, pattern)}"


def _hint(what: str, pattern: Pattern) -> str:
    """A suggestion what to write instead, if the pattern shows what the user meant."""
    if pattern.expression is not None:
        return ""
    if pattern.looks_like_expression:
        return f"; {_BETWEEN_SLASHES}: /{pattern.text}/"
    name, at, digest = pattern.text.partition("@")
    path, colon, tag = name.rpartition(":")
    if what == "tag" and at:
        return f"; digests are for keep-digests or versions: {digest}"
    if what == "tag" and colon and TAG.can_match(Pattern(tag)):
        return f"; write the tag alone: {tag}"
    if what == "package" and (at or colon):
        return f"; {_NAME_ALONE}: {path if colon else name}" + (f", and tags: {tag}" if colon and not at else "")
    return ""


def _options(*, ignore_case: bool) -> re2.Options:
    options = re2.Options()
    options.case_sensitive = not ignore_case
    # RE2 would also print errors to stderr, not only raise them
    options.log_errors = False
    return options


_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""Invisible characters that Unicode does not class as blank, control or format characters."""

_JOINED_EXPRESSIONS = re.compile(r"/\s*,\s*!?/")


class PatternProblem(ValueError):
    """An entry is not a pattern; the message says why and what is accepted."""


def parse_patterns(
    text: str, *, ignore_case: bool = False, problem_of: Callable[[Pattern], str] | None = None
) -> tuple[Patterns | None, list[str]]:
    """Parse a pattern list into patterns (`None` without any entry) and all problems.

    `problem_of` says why a pattern is wrong in this list; an empty string when it is not.
    """
    includes: list[Pattern] = []
    excludes: list[Pattern] = []
    problems: list[str] = []
    for entry in split_entries(text):
        excluding = entry.startswith("!")
        try:
            pattern = _parse_entry(entry[1:] if excluding else entry, ignore_case=ignore_case)
        except PatternProblem as problem:
            problems.append(f"'{entry}': {problem}")
            continue
        if problem_of and (why := problem_of(pattern)):
            problems.append(f"'{entry}': {why}")
        else:
            (excludes if excluding else includes).append(pattern)
    if not includes and not excludes:
        return None, problems
    return Patterns(includes=tuple(includes), excludes=tuple(excludes)), problems


def split_entries(text: str) -> Iterator[str]:
    """Split a list into its entries, without blanks around them. Empty entries are left out."""
    for line in text.splitlines():
        stripped = line.strip()
        entries = [stripped] if stripped.startswith(("/", "!/")) else stripped.split(",")
        yield from (entry.strip() for entry in entries if entry.strip())


def _parse_entry(entry: str, *, ignore_case: bool) -> Pattern:
    if not entry:
        raise PatternProblem("nothing follows the exclamation mark")
    if re.search(r"\s", entry):
        hint = "; write the entry without the dash in front" if entry.startswith("- ") else ""
        raise PatternProblem(
            "a blank inside an entry; put each entry on a line of its own or separate entries with commas"
            f" (in a regular expression write \\s){hint}"
        )
    for character in entry:
        if not character.isprintable() or _INVISIBLE.match(character):
            raise PatternProblem(f"an invisible character inside an entry (U+{ord(character):04X}); write it anew")
    if len(entry) > 1 and _is_quote(entry[0]) and _is_quote(entry[-1]):
        raise PatternProblem(f"quotes around an entry would be part of the name; write {entry[1:-1]}")
    if entry.startswith("/"):
        return Pattern(entry, expression=compile_expression(entry, ignore_case=ignore_case))
    if entry.startswith("!"):
        raise PatternProblem("one exclamation mark is enough")
    check_classes(entry)
    return Pattern(entry, ignore_case=ignore_case)


def _is_quote(character: str) -> bool:
    return character in "\"'`" or unicodedata.category(character) in ("Pi", "Pf")


def compile_expression(entry: str, *, ignore_case: bool = False) -> Any:
    """Compile a regular expression, written between two slashes. Raises `PatternProblem`."""
    if len(entry) < 2 or not entry.endswith("/"):
        raise PatternProblem("a regular expression stands between two slashes, alone on its line")
    if _JOINED_EXPRESSIONS.search(entry):
        raise PatternProblem("two regular expressions on one line; put each on a line of its own")
    source = entry[1:-1]
    if not source:
        raise PatternProblem("the regular expression is empty; write * for everything")
    try:
        return re2.compile(source, _options(ignore_case=ignore_case))
    except re2.error as error:
        reason = error.args[0].decode() if isinstance(error.args[0], bytes) else error.args[0]
        raise PatternProblem(
            f"not a regular expression: '{reason}' (RE2 syntax, without look-around and back-references)"
        ) from None


def check_classes(glob: str) -> None:
    """Refuse an unclosed bracket or an empty range, which would match nothing and so protect nothing."""
    position = 0
    while (start := glob.find("[", position)) >= 0:
        # as in a shell, a closing bracket right after [ or [! is a member
        first = start + (2 if glob[start + 1 : start + 2] == "!" else 1)
        end = glob.find("]", first + 1)
        if end < 0:
            raise PatternProblem("the bracket [ is never closed")
        for low, high in re.findall(r"(.)-(.)", glob[first:end]):
            if low > high:
                raise PatternProblem(f"the range {low}-{high} is empty")
        position = end + 1
