"""Text ─▶ `Patterns`: the grammar of the contract ("Patterns"), with a problem for everything that is no pattern.

Entries stand on lines of their own or are separated by commas. A line that starts with `/` or `!/` is one entry, commas
and all. `!` before an entry excludes.
"""

import re
import string
import unicodedata
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from re import _constants as op  # type: ignore[attr-defined]  # reason: no stubs for this part of the standard library
from re import _parser  # type: ignore[attr-defined]  # reason: no stubs for this part of the standard library
from typing import Any

import re2

from package_keeper.model.packages import PackageType
from package_keeper.policy.patterns import Pattern, Patterns

_BEHIND_END = -1
"""The place after `$`, where nothing more can follow."""

Places = frozenset[int]


@dataclass(frozen=True)
class NameForm:
    """What the names of one kind look like: the characters that each place accepts.

    The last place may be repeated when the form is `endless`; a name has at most `longest` characters.
    """

    places: tuple[frozenset[str], ...]
    longest: int
    endless: bool = False

    def can_match(self, pattern: Pattern) -> bool:
        """Whether some name of this form is accepted by `pattern`; `True` when that cannot be told."""
        is_glob = pattern.expression is None
        if is_glob and len(_GLOB_PART.sub(lambda found: "" if found[0] == "*" else "?", pattern.text)) > self.longest:
            return False
        source = f"^(?:{_glob_expression(pattern.text)})$" if is_glob else pattern.text[1:-1]
        try:
            if "[[:" in source:
                return True  # a class of RE2 that Python reads as something else
            with warnings.catch_warnings():
                # what Python may read otherwise one day, RE2 reads in its own way already
                warnings.simplefilter("ignore")
                tree = _parser.parse(source)
            if tree.state.flags & ~re.UNICODE:
                return True
            starts = range(len(self.places) + (not self.endless))
            return bool(_Walk(self).over(tree, frozenset(starts)))
        except (re.error, _Unknown, OverflowError, RecursionError):
            return True

    @property
    def end(self) -> int:
        """The place where a name may end."""
        return len(self.places) - self.endless

    def behind(self, place: int) -> int:
        """The place behind `place`."""
        return place if self.endless and place == self.end else place + 1


class _Unknown(Exception):
    """A construct that the walk does not know."""


_GLOB_PART = re.compile(r"\*|\?|\[!?\]?[^\]]*\]|.", re.DOTALL)


def _glob_expression(glob: str) -> str:
    return _GLOB_PART.sub(lambda found: _translated(found[0]), glob)


def _translated(part: str) -> str:
    """One part of a glob as a regular expression, read as fnmatch reads it."""
    if part in "*?":
        return {"*": ".*", "?": "."}[part]
    if len(part) == 1:
        return re.escape(part)
    # a class is negated by !, and neither ^ nor a backslash is special in it
    inside = part[1:-1].replace("\\", "\\\\")
    if inside.startswith("!"):
        return f"[^{inside[1:]}]"
    return f"[\\{inside}]" if inside.startswith("^") else f"[{inside}]"


class _Walk:
    """A walk over the places of one form."""

    def __init__(self, form: NameForm) -> None:
        self._form = form

    def over(self, nodes: Iterable[Any], starts: Places) -> Places:
        """The places after `nodes` when they start at any of `starts`."""
        for opcode, argument in nodes:
            if not starts:
                return starts
            starts = self._step(opcode, argument, starts)
        return starts

    def _step(self, opcode: Any, argument: Any, starts: Places) -> Places:
        if opcode is op.LITERAL:
            return self._one(lambda letter: letter == chr(argument), starts)
        if opcode is op.NOT_LITERAL:
            return self._one(lambda letter: letter != chr(argument), starts)
        if opcode is op.ANY:
            return self._one(bool, starts)
        if opcode is op.IN:
            return self._one(lambda letter: _member(argument, letter), starts)
        if opcode in (op.MAX_REPEAT, op.MIN_REPEAT):
            return self._repeat(argument, starts)
        if opcode is op.SUBPATTERN:
            return self._group(argument, starts)
        if opcode is op.BRANCH:
            return frozenset().union(*(self.over(branch, starts) for branch in argument[1]))
        if opcode is op.AT:
            return self._at(argument, starts)
        raise _Unknown(opcode)

    def _one(self, accepts: Callable[[str], bool], starts: Places) -> Places:
        form = self._form
        return frozenset(
            form.behind(start)
            for start in starts
            if 0 <= start < len(form.places) and any(map(accepts, form.places[start]))
        )

    def _repeat(self, argument: tuple[int, int, Any], starts: Places) -> Places:
        low, high, body = argument
        # after so many turns nothing new is reached
        most = len(self._form.places) + 1
        reached = starts
        for _ in range(min(low, most)):
            reached = self.over(body, reached)
        everything = reached
        for _ in range(min(high, most) - min(low, most)):
            reached = self.over(body, reached) - everything
            if not reached:
                break
            everything |= reached
        return everything

    def _group(self, argument: tuple[Any, int, int, Any], starts: Places) -> Places:
        _, added_flags, removed_flags, body = argument
        if added_flags or removed_flags:
            raise _Unknown(op.SUBPATTERN)
        return self.over(body, starts)

    def _at(self, argument: Any, starts: Places) -> Places:
        if argument in (op.AT_BEGINNING, op.AT_BEGINNING_STRING):
            return starts & {0}
        if argument in (op.AT_END, op.AT_END_STRING):
            return frozenset({_BEHIND_END}) if starts & {self._form.end, _BEHIND_END} else frozenset()
        return starts


def _member(items: Sequence[tuple[Any, Any]], letter: str) -> bool:
    negate = bool(items) and items[0][0] is op.NEGATE
    found = any(_is_item(item, letter) for item in items)
    return found is not negate


def _is_item(item: tuple[Any, Any], letter: str) -> bool:
    opcode, argument = item
    if opcode is op.NEGATE:
        return False
    if opcode is op.LITERAL:
        return bool(chr(argument) == letter)
    if opcode is op.RANGE:
        return bool(argument[0] <= ord(letter) <= argument[1])
    if opcode is op.CATEGORY:
        classes = {
            op.CATEGORY_DIGIT: letter.isdigit(),
            op.CATEGORY_NOT_DIGIT: not letter.isdigit(),
            op.CATEGORY_WORD: letter.isalnum() or letter == "_",
            op.CATEGORY_NOT_WORD: not (letter.isalnum() or letter == "_"),
            op.CATEGORY_SPACE: False,
            op.CATEGORY_NOT_SPACE: True,
        }
        if argument in classes:
            return classes[argument]
    raise _Unknown(opcode)


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
"""NuGet takes letters of every script."""

_LOOKS = {
    "tag": "a tag has up to 128 letters (a-z, A-Z), digits, _ . and -, and does not begin with . or -",
    "version": "a version name of {types} has letters (a-z, A-Z), digits and a few marks, no blank, quote or slash",
    "package": "a package name of {types} has letters (a-z, A-Z), digits, . _ - and /",
}


def tag_problem(pattern: Pattern) -> str:
    """Why no tag can match `pattern`, with what to write instead; empty when one can."""
    return "" if TAG.can_match(pattern) else _problem("tag", pattern)


def version_problem(pattern: Pattern, types: Iterable[PackageType], tags: str) -> str:
    """Why no version of these types can have a name that matches; `tags` is the input for tags."""
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
    """Why no package of these types can have a name that matches."""
    wanted = tuple(types)
    if any(kind not in _PACKAGES or _PACKAGES[kind].can_match(pattern) for kind in wanted):
        return ""
    return _problem("package", pattern, wanted)


def _problem(what: str, pattern: Pattern, types: tuple[PackageType, ...] = ()) -> str:
    looks = _LOOKS[what].format(types=", ".join(types))
    return f"can match no {what}: {looks}{_hint(what, pattern)}"


def _hint(what: str, pattern: Pattern) -> str:
    """What the user meant, as far as it shows."""
    if pattern.expression is not None:
        return ""
    if pattern.looks_like_expression:
        return f"; a regular expression stands between slashes: /{pattern.text}/"
    name, at, digest = pattern.text.partition("@")
    path, colon, tag = name.rpartition(":")
    if what == "tag" and at:
        return f"; digests are for keep-digests or versions: {digest}"
    if what == "tag" and colon and TAG.can_match(Pattern(tag)):
        return f"; write the tag alone: {tag}"
    if what == "package" and (at or colon):
        return f"; write the name alone: {path if colon else name}"
    return ""


def _options(*, ignore_case: bool) -> re2.Options:
    options = re2.Options()
    options.case_sensitive = not ignore_case
    # the error comes back as an exception; RE2 would print it to stderr as well
    options.log_errors = False
    return options


_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""What shows nothing, although Unicode does not call it a blank, a control or a format character."""

_JOINED_EXPRESSIONS = re.compile(r"/\s*,\s*!?/")


class PatternProblem(ValueError):
    """One entry is no pattern; the message names it and says what is accepted."""


def parse_patterns(
    text: str, *, ignore_case: bool = False, objection: Callable[[Pattern], str] = lambda _: ""
) -> tuple[Patterns | None, list[str]]:
    """Read a pattern list: the patterns (`None` when there is no entry at all) and all problems.

    `objection` says why a pattern is wrong in this list, or nothing.
    """
    includes: list[Pattern] = []
    excludes: list[Pattern] = []
    problems: list[str] = []
    for entry in split_entries(text):
        excluding = entry.startswith("!")
        try:
            pattern = _parse_entry(entry[1:] if excluding else entry, ignore_case=ignore_case)
            _refuse(objection(pattern))
        except PatternProblem as problem:
            problems.append(f"'{entry}': {problem}")
        else:
            (excludes if excluding else includes).append(pattern)
    if not includes and not excludes:
        return None, problems
    return Patterns(includes=tuple(includes), excludes=tuple(excludes)), problems


def split_entries(text: str) -> Iterator[str]:
    """Split a list into entries, without blanks around them and without empty ones."""
    for line in text.splitlines():
        stripped = line.strip()
        entries = [stripped] if stripped.startswith(("/", "!/")) else stripped.split(",")
        yield from (entry.strip() for entry in entries if entry.strip())


def _refuse(why: str) -> None:
    if why:
        raise PatternProblem(why)


def _parse_entry(entry: str, *, ignore_case: bool) -> Pattern:
    if not entry:
        raise PatternProblem("nothing stands after the exclamation mark")
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
        raise PatternProblem(f"quotes around an entry belong to no name; write {entry[1:-1]}")
    if entry.startswith("/"):
        return Pattern(entry, expression=compile_expression(entry, ignore_case=ignore_case))
    if entry.startswith("!"):
        raise PatternProblem("one exclamation mark is enough")
    _check_classes(entry)
    return Pattern(entry, ignore_case=ignore_case)


def _is_quote(character: str) -> bool:
    return character in "\"'`" or unicodedata.category(character) in ("Pi", "Pf")


def compile_expression(entry: str, *, ignore_case: bool = False) -> Any:
    """Compile what stands between two slashes. Raises `PatternProblem`."""
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


def _check_classes(glob: str) -> None:
    """Refuse a bracket that would silently be a literal: a keep list would protect nothing."""
    position = 0
    while (start := glob.find("[", position)) >= 0:
        # as in every shell, a closing bracket directly after the opening one (or after its !) is a member
        first = start + (2 if glob[start + 1 : start + 2] == "!" else 1)
        end = glob.find("]", first + 1)
        if end < 0:
            raise PatternProblem("the bracket [ is never closed")
        for low, high in re.findall(r"(.)-(.)", glob[first:end]):
            if low > high:
                raise PatternProblem(f"the range {low}-{high} is empty")
        position = end + 1
