"""Decisions, plans and records of a run, as frozen values.

Every version gets a `Decision`. A `Plan` holds the writes that follow from decisions, in order. `guards.guard` turns a
plan into a `GuardedPlan`. Only its writes can be sent. A `WriteRecord` holds the outcome of one write.
"""

from collections.abc import Iterable
from enum import StrEnum

from msgspec import Struct

from package_keeper.model.packages import PackageName, Timestamp, Version


class Action(StrEnum):
    """What to do with a version or package. JSON, log and summary call it `decision`."""

    KEEP = "keep"
    DELETE = "delete"
    UNTAG = "untag"
    RESTORE = "restore"


class Reason(StrEnum):
    """Why a version is kept (first block) or written (second block)."""

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
    KEEP_DEPLOYED = "keep-deployed"
    KEEP_RELEASED = "keep-released"
    UNKNOWN_USE = "unknown-use"
    """Nobody could say whether it is deployed or released."""
    TOO_YOUNG = "too-young"
    NEEDED_BY = "needed-by"
    """An image that stays needs it. So it is kept, or `repair` restores it."""
    UNREADABLE = "unreadable"
    UNKNOWN_AGE = "unknown-age"
    BASE_LAYER = "base-layer"
    RULE = "rule"
    """A rule of a policy asks for it, to keep or to write. Users see `rule:NAME`."""

    SELECTED = "selected"
    PART_OF = "part-of"
    ORPHAN = "orphan"
    GHOST = "ghost"
    PARTIAL = "partial"
    RECEIPT = "receipt"
    PLAN = "plan"


class Outcome(StrEnum):
    """How one planned write ended."""

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
        """Whether the write was impossible or unnecessary."""
        return self in _SKIPPED

    @property
    def is_failed(self) -> bool:
        """Whether the write failed, although it should have worked."""
        return self in (Outcome.FAILED, Outcome.NO_PERMISSION)

    @property
    def is_remaining(self) -> bool:
        """Whether the write is left for the next run."""
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


class Decision(Struct, frozen=True, kw_only=True):
    """What was decided about one version, and why.

    `rule` is the name of the policy rule that decided about the image. It is empty without a policy, and where no rule
    matches. `root` is the root of the image that contains or needs this version. `untag` are the tags to remove when
    the action is to untag. `where` names the place where the version is deployed or released, if that is why it stays.
    """

    version: Version
    action: Action
    reason: Reason
    rule: str = ""
    root: Version | None = None
    untag: tuple[str, ...] = ()
    where: str = ""

    @property
    def why(self) -> str:
        """The reason as users see it."""
        return spoken(self.reason, self.rule)


def spoken(reason: Reason, rule: str) -> str:
    """The reason as users see it: its word, or `rule:NAME`."""
    return f"{reason}:{rule}" if reason is Reason.RULE else reason.value


NOTHING: frozenset[int] = frozenset()
"""No ids. All writes share this object, since a plan may have 100,000 of them."""


class WriteKind(StrEnum):
    """The kind of thing that a write changes."""

    VERSION = "version"
    PACKAGE = "package"
    TAG = "tag"


class PlannedWrite(Struct, frozen=True, kw_only=True):
    """One write to send.

    `expected` is set when the outcome is known without asking GitHub. Such a write is not sent. `rule` is the name of
    the policy rule that asks for it. `version` is `None` for whole packages, and for versions that only a receipt
    names; use id, name and tags instead. `tag` is the tag to remove or give back. `root` is the name of the root of the
    image that a part belongs to. `after` are the ids of versions that must be written first: a part is deleted after
    everything that points to it, and restored before it. `contains` are the versions of a whole package, where they
    were read.
    """

    action: Action
    reason: Reason
    package: PackageName
    rule: str = ""
    version: Version | None = None
    version_id: int | None = None
    version_name: str = ""
    tags: tuple[str, ...] = ()
    tag: str | None = None
    root: str | None = None
    after: frozenset[int] = NOTHING
    expected: Outcome | None = None
    contains: tuple[Version, ...] = ()

    @classmethod
    def of(
        cls,
        version: Version,
        action: Action,
        reason: Reason,
        *,
        rule: str = "",
        tag: str | None = None,
        root: str | None = None,
        after: frozenset[int] = NOTHING,
        expected: Outcome | None = None,
    ) -> "PlannedWrite":
        """Make a write to a version whose fields are known."""
        return cls(
            action=action,
            reason=reason,
            package=version.package,
            rule=rule,
            version=version,
            version_id=version.id,
            version_name=version.name,
            tags=version.tags,
            tag=tag,
            root=root,
            after=after,
            expected=expected,
        )

    @property
    def why(self) -> str:
        """The reason as users see it."""
        return spoken(self.reason, self.rule)

    @property
    def kind(self) -> WriteKind:
        """Whether it writes a version, one tag, or a whole package."""
        if self.version_id is None:
            return WriteKind.PACKAGE
        return WriteKind.VERSION if self.tag is None else WriteKind.TAG


class WriteRecord(Struct, frozen=True, kw_only=True):
    """The outcome of one planned write. `message` is GitHub's text or ours, or empty."""

    write: PlannedWrite
    outcome: Outcome
    message: str = ""

    @property
    def is_done(self) -> bool:
        """Whether this run did the write."""
        return self.outcome is Outcome.DONE

    @property
    def is_gone(self) -> bool:
        """Whether the write is a deletion and its target is gone, whoever deleted it."""
        return self.write.action is Action.DELETE and self.outcome in (Outcome.DONE, Outcome.ALREADY_GONE)

    @property
    def is_back(self) -> bool:
        """Whether the write is a restoration and its target is active, whoever restored it."""
        return self.write.action is Action.RESTORE and self.outcome in (Outcome.DONE, Outcome.ALREADY_ACTIVE)


class Plan(Struct, frozen=True, kw_only=True):
    """All writes of one run, and all its decisions.

    `groups` are images, the oldest first: a root and then its parts. A single write is a group of one. `timestamp` is
    the time by which images are ordered.
    """

    groups: tuple[tuple[PlannedWrite, ...], ...] = ()
    decisions: tuple[Decision, ...] = ()
    timestamp: Timestamp = Timestamp.UPDATED

    @property
    def writes(self) -> tuple[PlannedWrite, ...]:
        """All writes in order."""
        return tuple(write for group in self.groups for write in group)

    @classmethod
    def of_singles(cls, writes: Iterable[PlannedWrite], decisions: Iterable[Decision] = ()) -> "Plan":
        """Make a plan in which every write is a group of its own."""
        return cls(groups=tuple((write,) for write in writes), decisions=tuple(decisions))


class GuardedPlan(Struct, frozen=True, kw_only=True):
    """A plan that passed the guards. Only `policy/guards.py` makes one, and only its writes can be sent.

    `now` are the writes to send in this run, `later` those over the limit. `with_package` are the newest images of
    packages that are deleted whole once everything else in them is gone (`on-last-version: delete-package`).
    """

    plan: Plan
    now: tuple[PlannedWrite, ...] = ()
    later: tuple[PlannedWrite, ...] = ()
    with_package: tuple[PlannedWrite, ...] = ()

    def groups_of_now(self) -> list[int]:
        """For each write of `now`, the number of its group in the plan."""
        numbers = {id(write): number for number, group in enumerate(self.plan.groups) for write in group}
        return [numbers[id(write)] for write in self.now]


def gone_versions(records: Iterable[WriteRecord]) -> set[int]:
    """Return the ids of versions that were deleted or already gone."""
    return {record.write.version_id for record in records if record.write.version_id is not None and record.is_gone}
