"""Text ─▶ a point in time: durations in the words people use, ISO 8601 durations, dates and date-times.

Months and years are calendar months and years (31 March minus `1mo` is 28 February). Dates and times without a zone
are UTC.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import isodate

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
# strict, since isodate takes a lone T and an empty duration
_NUMBER = r"\d{1,9}(?:[.,]\d{1,9})?"
_DURATION = re.compile(
    rf"P(?=\d|T\d)(?:{_NUMBER}W|(?:{_NUMBER}Y)?(?:{_NUMBER}M)?(?:{_NUMBER}D)?"
    rf"(?:T(?=\d)(?:{_NUMBER}H)?(?:{_NUMBER}M)?(?:{_NUMBER}S)?)?)",
    re.ASCII,
)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}.*)?", re.ASCII)


class AgeProblem(ValueError):
    """The text is no age; the message says why."""


def point_in_time(text: str, now: datetime) -> datetime:
    """Read an age as the moment that it means, seen from `now` (aware). Raises `AgeProblem`."""
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
    """Read a duration that begins `now`, in seconds. Raises `AgeProblem`."""
    try:
        end: datetime = now + _duration(text)
    except (OverflowError, ValueError) as error:
        raise error if isinstance(error, AgeProblem) else AgeProblem("too long") from None
    if end <= now:
        raise AgeProblem("no time at all")
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
            raise AgeProblem(f"'{words[2]}' is no unit of time")
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
