"""Parses the text of each kind of input, with a problem for every text that is not accepted."""

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import TypeVar

import isodate

from package_keeper.inputs.definitions import INPUTS_BY_NAME
from package_keeper.inputs.patterns import (
    GLOB_PART,
    TAG,
    PatternProblem,
    check_classes,
    compile_expression,
    parse_patterns,
    split_entries,
    tag_problem,
    with_cause,
)
from package_keeper.inputs.semver_ranges import ACCEPTED as ACCEPTED_RANGES
from package_keeper.inputs.semver_ranges import RangeProblem, parse_range
from package_keeper.model.packages import DIGEST
from package_keeper.policy.gone import GoneTags, GoneTemplate, Tie
from package_keeper.policy.patterns import Patterns
from package_keeper.policy.retention import GroupBy, Grouping
from package_keeper.policy.semver import SemverRange
from package_keeper.policy.sql import SqlProblem

ACCEPTED = "45s, 90min, 12h, 30d, 2w, 6mo, 1y, '15 days', an ISO 8601 duration, a date or a date-time"

DURATIONS = "45s, 90min, 5h, '2 hours' or an ISO 8601 duration"

_UNITS: dict[str, Callable[[int], timedelta | isodate.Duration]] = {
    "s": lambda count: timedelta(seconds=count),
    "min": lambda count: timedelta(minutes=count),
    "h": lambda count: timedelta(hours=count),
    "d": lambda count: timedelta(days=count),
    "w": lambda count: timedelta(weeks=count),
    "mo": lambda count: isodate.Duration(months=count),
    "y": lambda count: isodate.Duration(years=count),
}

_SPELLINGS = {
    spelling: unit
    for unit, spellings in {
        "s": "s sec secs second seconds",
        "min": "min mins minute minutes",
        "h": "h hr hrs hour hours",
        "d": "d day days",
        "w": "w week weeks",
        "mo": "mo mos month months",
        "y": "y yr yrs year years",
    }.items()
    for spelling in spellings.split()
}

_WORDS = re.compile(r"(\d{1,9})\s*([A-Za-z]+)", re.ASCII)
# stricter than isodate, which accepts an empty duration and a T without a time
_DECIMAL = r"\d{1,9}(?:[.,]\d{1,9})?"
_DURATION = re.compile(
    rf"P(?=\d|T\d)(?:{_DECIMAL}W|(?:{_DECIMAL}Y)?(?:{_DECIMAL}M)?(?:{_DECIMAL}D)?"
    rf"(?:T(?=\d)(?:{_DECIMAL}H)?(?:{_DECIMAL}M)?(?:{_DECIMAL}S)?)?)",
    re.ASCII,
)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}.*)?", re.ASCII)


class AgeProblem(ValueError):
    """The text is not an age or a duration; the message says why."""


def point_in_time(text: str, now: datetime) -> datetime:
    """Parse an age into a point in time, relative to `now` (with time zone). Raises `AgeProblem`."""
    if _DATE.fullmatch(text):
        moment = _date(text)
        if moment > now:
            raise AgeProblem("lies in the future, where everything is older and nothing newer")
        return moment
    duration = _duration(text)
    try:
        begin: datetime = now - duration
    except (OverflowError, ValueError):
        raise AgeProblem("reaches back before the calendar begins") from None
    return begin


def seconds(text: str, now: datetime) -> float:
    """Parse a duration that begins `now` into seconds. Raises `AgeProblem`."""
    try:
        end: datetime = now + _duration(text)
    except (OverflowError, ValueError) as error:
        raise error if isinstance(error, AgeProblem) else AgeProblem("too long") from None
    if end <= now:
        raise AgeProblem("the duration is zero")
    return (end - now).total_seconds()


def _date(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise AgeProblem(f"no such date or time ({error})") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _duration(text: str) -> timedelta | isodate.Duration:
    if words := _WORDS.fullmatch(text):
        count, spelling = int(words[1]), words[2].lower()
        if spelling == "m":
            raise AgeProblem(f"minutes or months? write {count}min or {count}mo")
        if spelling not in _SPELLINGS:
            raise AgeProblem(f"'{words[2]}' is not a unit of time")
        try:
            return _UNITS[_SPELLINGS[spelling]](count)
        except OverflowError:
            raise AgeProblem("too long") from None
    if _DURATION.fullmatch(text):
        try:
            return isodate.parse_duration(text)
        except (isodate.ISO8601Error, OverflowError, ArithmeticError, ValueError):
            pass
    raise AgeProblem("not understood")


_Word = TypeVar("_Word", bound=StrEnum)
_Age = TypeVar("_Age", datetime, float)

BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NUMBER = re.compile(r"[0-9]{1,12}")

_GLOB = r"(?:[A-Za-z0-9_.+*?-]|\[!?[A-Za-z0-9_.+-]+\])*"
_TEMPLATE = re.compile(rf"((?![.+-]){_GLOB})\{{(branch|pull-request)\}}({_GLOB})")

NOT_UTF8 = re.compile("[\ud800-\udfff]")
"""How Python decodes bytes of arguments and of the environment that are not UTF-8."""


def readable(text: str) -> str:
    """Replace each byte that is not UTF-8 with the replacement character."""
    return NOT_UTF8.sub("\ufffd", text)


def nearest(word: str, accepted: Iterable[str]) -> str:
    """A hint that names the accepted word nearest to `word`, or an empty string."""
    close = difflib.get_close_matches(word.lower().replace("_", "-"), list(accepted), n=1, cutoff=0.6)
    return f"; did you mean '{close[0]}'?" if close else ""


class Values:
    """Parses the texts of inputs one by one. Problems are collected in `problems`, not raised.

    `defaults` come from the environment; an input without one has that of its definition. `labels` name the place of an
    input in a policy file; elsewhere an input is called by its own name.
    """

    def __init__(
        self,
        texts: Mapping[str, str],
        problems: list[str],
        *,
        defaults: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        self.texts = {name: text.strip() for name, text in texts.items()}
        self.problems = problems
        self.defaults = defaults or {}
        self._labels = labels or {}

    def is_given(self, name: str) -> bool:
        """Whether an input differs from its default."""
        default = INPUTS_BY_NAME[name].default
        text = self.texts.get(name, "")
        if default in BOOLEANS and text in BOOLEANS:
            return BOOLEANS[text] is not BOOLEANS[default]
        if default.isdecimal() and _NUMBER.fullmatch(text):
            return int(text) != int(default)
        return text not in ("", default)

    def label(self, name: str) -> str:
        """How problems call an input."""
        return self._labels.get(name, name)

    def text(self, name: str) -> str:
        """The text of an input, or its default."""
        return self.texts.get(name, "") or self.defaults.get(name, "") or INPUTS_BY_NAME[name].default

    def problem(self, name: str, value: str, why: str) -> None:
        """Add a problem with `value`, which the input `name` has."""
        self.problems.append(f"{self.label(name)}: '{value}' {why}")

    def choice(self, name: str, words: type[_Word], default: _Word | None = None) -> _Word:
        """One of the words of an input. When it is empty or wrong: `default`, or the default of its definition."""
        definition = INPUTS_BY_NAME[name]
        text = self.text(name)
        text = definition.aliases.get(text, text)
        if text in definition.choices:
            return words(text)
        if text:
            accepted = definition.choices
            self.problem(name, text, f"is not one of {', '.join(accepted)}{nearest(text, accepted)}")
        return words(definition.default) if default is None else default

    def boolean(self, name: str) -> bool:
        """True or false; the default after a problem."""
        text = self.text(name)
        if text not in BOOLEANS:
            self.problem(name, text, "is not true or false (true|True|TRUE|false|False|FALSE)")
            return BOOLEANS[INPUTS_BY_NAME[name].default]
        return BOOLEANS[text]

    def number(self, name: str, most: int | None = None) -> int:
        """A whole number of at most `most`; the default after a problem."""
        text = self.text(name)
        if not _NUMBER.fullmatch(text) or (most is not None and int(text) > most):
            self.problem(name, text, f"is not a whole number (0 {f'to {most}' if most is not None else 'or more'})")
            return int(INPUTS_BY_NAME[name].default)
        return int(text)

    def words(self, name: str) -> list[str]:
        """A list of words of the input, without duplicates."""
        words = INPUTS_BY_NAME[name].choices
        found: list[str] = []
        for word in split_entries(self.text(name)):
            if word not in words:
                self.problem(name, word, f"is not one or more of {', '.join(words)}{nearest(word, words)}")
            elif word not in found:
                found.append(word)
        return found

    def patterns(self, name: str) -> Patterns | None:
        """A pattern list."""
        # which version names are possible depends on the package types, so those are checked with the whole rule
        problem_of = tag_problem if name in ("tags", "keep-tags") else None
        patterns, problems = parse_patterns(self.text(name), problem_of=problem_of)
        self.problems += [with_cause(f"{self.label(name)}: {problem}") for problem in problems]
        return patterns

    def ids(self, name: str) -> frozenset[int] | None:
        """Version ids."""
        ids = set()
        for entry in split_entries(self.text(name)):
            if re.fullmatch(r"[0-9]{1,19}", entry) and int(entry) > 0:
                ids.add(int(entry))
            else:
                self.problem(name, entry, "is not a version id (a whole number, separated by commas or lines)")
        return frozenset(ids) or None

    def digests(self, name: str) -> frozenset[str]:
        """Digests."""
        digests = set()
        for entry in split_entries(self.text(name)):
            if DIGEST.fullmatch(entry.lower()):
                digests.add(entry.lower())
            else:
                hint = ""
                if re.fullmatch(r"[0-9a-fA-F]{64}", entry):
                    hint = f"; write sha256:{entry}"
                elif "@sha256:" in entry:
                    hint = "; write only the part after the @"
                self.problem(name, entry, f"is not sha256: and 64 hex digits{hint}")
        return frozenset(digests)

    def moment(self, name: str, now: datetime) -> datetime | None:
        """The point in time of an age; `None` without one."""
        return self._age(name, partial(point_in_time, now=now), ACCEPTED)

    def seconds(self, name: str, now: datetime) -> float | None:
        """A duration in seconds; `None` without one."""
        return self._age(name, partial(seconds, now=now), DURATIONS)

    def _age(self, name: str, parse: Callable[[str], _Age], accepted: str) -> _Age | None:
        text = self.text(name)
        if not text:
            return None
        try:
            return parse(text)
        except AgeProblem as problem:
            self.problem(name, text, f"is not accepted: {problem}; accepted is {accepted}")
            return None

    def semver_range(self, name: str) -> SemverRange | None:
        """A SemVer range; `None` without one."""
        text = self.text(name)
        if not text:
            return None
        try:
            return parse_range(text)
        except RangeProblem as problem:
            self.problem(name, text, f"{problem}; accepted is {ACCEPTED_RANGES}")
            return None

    def gone(self, name: str) -> GoneTags | None:
        """The templates of `gone`; `None` without any."""
        templates = []
        for entry in split_entries(self.text(name)):
            try:
                templates.append(_template(entry))
            except PatternProblem as problem:
                self.problem(name, entry, str(problem))
        return GoneTags(tuple(templates)) if templates else None

    def grouping(self, name: str) -> Grouping:
        """How `keep-latest` groups images."""
        text = self.text(name)
        if not text.startswith("/"):
            if text not in tuple(GroupBy):
                words = ", ".join(GroupBy)
                self.problem(name, text, f"is not one of {words}, or /regex/{nearest(text, list(GroupBy))}")
                return Grouping()
            return Grouping(by=GroupBy(text))
        try:
            expression = compile_expression(text)
        except PatternProblem as problem:
            self.problem(name, text, f"is not accepted: {problem}")
            return Grouping()
        if expression.groups < 1:
            self.problem(name, text, "has no group; the first one, in parentheses, names the group: /^(v\\d+)/")
            return Grouping()
        return Grouping(expression=expression)

    def sql(self, name: str, check: Callable[[str], object]) -> str | None:
        """SQL that `check` accepts; `check` raises `SqlProblem`."""
        text = self.text(name)
        if not text:
            return None
        try:
            check(text)
        except SqlProblem as problem:
            self.problem(name, text, f"is not accepted: {problem}")
        return text


def _template(entry: str) -> GoneTemplate:
    """Parse one template of `gone`. Raises `PatternProblem`."""
    found = _TEMPLATE.fullmatch(entry)
    if found is None:
        raise PatternProblem(
            "is no template; accepted are one {pull-request} or {branch} and the rest of the tag or version name, with"
            " globs where needed: pr-{pull-request}, {branch}, branch-{branch}, *--canary.{pull-request}.*"
        )
    before, tie, behind = found.groups()
    check_classes(before + behind)
    if len(GLOB_PART.findall((before + behind).replace("*", ""))) >= TAG.longest:
        raise PatternProblem(f"is longer than a tag can be ({TAG.longest} characters)")
    if tie == Tie.PULL_REQUEST and (before[-1:].isdigit() or behind[:1].isdigit()):
        raise PatternProblem("matches nothing: a digit beside {pull-request} would be a piece of its number")
    return GoneTemplate(tie=Tie(tie), before=before, behind=behind)
