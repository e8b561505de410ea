"""The closed lists of decisions, reasons and outcomes; the same words stand in log, summary, JSON and receipt."""

from enum import StrEnum


class Action(StrEnum):
    """What a run decided about a version or package."""

    KEEP = "keep"
    DELETE = "delete"
    UNTAG = "untag"
    RESTORE = "restore"


class Reason(StrEnum):
    """Why; the first block are reasons to keep, the second reasons to act."""

    NOT_SELECTED = "not-selected"
    PARTIAL_TAG_MATCH = "partial-tag-match"
    KEEP_LATEST = "keep-latest"
    KEEP_DAILY = "keep-daily"
    KEEP_WEEKLY = "keep-weekly"
    KEEP_MONTHLY = "keep-monthly"
    KEEP_YEARLY = "keep-yearly"
    KEEP_TAGS = "keep-tags"
    KEEP_VERSIONS = "keep-versions"
    KEEP_DIGESTS = "keep-digests"
    KEEP_USED_IN = "keep-used-in"
    TOO_YOUNG = "too-young"
    NEEDED_BY = "needed-by"
    """Kept: an image that stays needs it. Restored by `repair`: likewise."""
    UNREADABLE = "unreadable"
    UNKNOWN_AGE = "unknown-age"
    BASE_LAYER = "base-layer"
    RULE = "rule"
    """A rule of a policy, which stands behind it: `rule:NAME`. To keep, and to act."""

    SELECTED = "selected"
    PART_OF = "part-of"
    ORPHAN = "orphan"
    GHOST = "ghost"
    PARTIAL = "partial"
    RECEIPT = "receipt"


class Outcome(StrEnum):
    """What became of one thing that a run set out to do."""

    DONE = "done"
    ALREADY_GONE = "already-gone"
    PROTECTED_BY_DOWNLOADS = "protected-by-downloads"
    LAST_VERSION = "last-version"
    CHANGED_SINCE_PLAN = "changed-since-plan"
    NO_PERMISSION = "no-permission"
    FAILED = "failed"
    OVER_LIMIT = "over-limit"
    OUT_OF_TIME = "out-of-time"
    TAG_IN_USE = "tag-in-use"
    ALREADY_ACTIVE = "already-active"

    @property
    def is_skipped(self) -> bool:
        """GitHub, or the state of things, made the write impossible or needless."""
        return self in _SKIPPED

    @property
    def is_failed(self) -> bool:
        """The write should have worked and did not."""
        return self in (Outcome.FAILED, Outcome.NO_PERMISSION)

    @property
    def is_remaining(self) -> bool:
        """Left for the next run."""
        return self in (Outcome.OVER_LIMIT, Outcome.OUT_OF_TIME)


_SKIPPED = frozenset(
    {
        Outcome.ALREADY_GONE,
        Outcome.PROTECTED_BY_DOWNLOADS,
        Outcome.LAST_VERSION,
        Outcome.CHANGED_SINCE_PLAN,
        Outcome.TAG_IN_USE,
        Outcome.ALREADY_ACTIVE,
    }
)
