"""Numbers, times and reasons in words, for people."""

from datetime import datetime

from package_keeper.model.plan import Reason

REASONS = {
    Reason.NOT_SELECTED: "nothing selects it",
    Reason.PARTIAL_TAG_MATCH: "only some of its tags match",
    Reason.KEEP_LATEST: "one of the newest",
    Reason.KEEP_DAILY: "the newest of its day",
    Reason.KEEP_WEEKLY: "the newest of its week",
    Reason.KEEP_MONTHLY: "the newest of its month",
    Reason.KEEP_YEARLY: "the newest of its year",
    Reason.KEEP_TAGS: "it has a tag to keep",
    Reason.KEEP_VERSIONS: "its name is to be kept",
    Reason.KEEP_DIGESTS: "its digest is to be kept",
    Reason.KEEP_USED_IN: "a file uses it",
    Reason.KEEP_DEPLOYED: "it is deployed",
    Reason.KEEP_RELEASED: "a release has it",
    Reason.UNKNOWN_USE: "nobody could say whether it is used",
    Reason.TOO_YOUNG: "too young",
    Reason.NEEDED_BY: "an image needs it",
    Reason.UNREADABLE: "not all about it could be read",
    Reason.UNKNOWN_AGE: "its age is unknown",
    Reason.BASE_LAYER: "its package needs it",
    Reason.RULE: "",
    Reason.SELECTED: "selected",
    Reason.PART_OF: "a part of an image",
    Reason.ORPHAN: "an orphan: its subject is gone",
    Reason.GHOST: "a ghost: none of its parts is left",
    Reason.PARTIAL: "parts of it are missing",
    Reason.RECEIPT: "in the receipt",
    Reason.PLAN: "in the plan",
}

_DAY = 86_400
_AGES = ((365 * _DAY, "year"), (30 * _DAY, "month"), (_DAY, "day"), (3_600, "hour"), (60, "minute"))


def number_of(number: int, noun: str) -> str:
    """A number with its noun: `1 version`, `3,000 versions`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def age_text(moment: datetime | None, now: datetime) -> str:
    """How long ago something was, in its largest unit from 2 on: `40 days`, `3 months`."""
    if moment is None:
        return "unknown"
    seconds = int((now - moment).total_seconds())
    for size, noun in _AGES:
        if seconds >= 2 * size:
            return number_of(seconds // size, noun)
    return "now"


def duration_text(seconds: float) -> str:
    """How long something took: `0.4 s`, `12 s`, `3 min 5 s`, `1 h 20 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def day_text(moment: datetime) -> str:
    """A day: `5 December 2026`."""
    return f"{moment.day} {moment:%B %Y}"
