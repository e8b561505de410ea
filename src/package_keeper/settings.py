"""`Settings`: what a run was asked to do, and the words of the inputs that choose between a few possibilities.

`inputs.parser` makes these values once, from the command line or the Action's inputs. Nothing else in the program
reads the text of an input.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from urllib.parse import urlsplit

from msgspec import Struct

from package_keeper.errors import without_secret
from package_keeper.model.packages import PackageName, PackageType
from package_keeper.model.plan import PlannedWrite
from package_keeper.policy.guards import Guards, OnLastVersion
from package_keeper.policy.patterns import Patterns
from package_keeper.policy.rules import Rules


class Operation(StrEnum):
    """What a run does."""

    LIST = "list"
    VERIFY = "verify"
    CONFLICTS = "conflicts"
    DELETE = "delete"
    RESTORE = "restore"
    REPAIR = "repair"
    DELETE_PACKAGE = "delete-package"
    RESTORE_PACKAGE = "restore-package"
    APPLY = "apply"

    @property
    def writes(self) -> bool:
        """Whether the operation changes anything when `dry-run` is `false`."""
        return self not in (Operation.LIST, Operation.VERIFY, Operation.CONFLICTS)


class WantedOwnerType(StrEnum):
    """The input `owner-type`: `auto` asks GitHub, anything else is the `OwnerType` to use."""

    AUTO = "auto"
    ORGANIZATION = "organization"
    USER = "user"
    AUTHENTICATED_USER = "authenticated-user"


class Visibility(StrEnum):
    """The input `visibility`."""

    ANY = "any"
    PUBLIC = "public"
    PRIVATE = "private"
    INTERNAL = "internal"


class IfMissing(StrEnum):
    """The input `if-missing`: what a run does about a named package that does not exist."""

    FAIL = "fail"
    WARN = "warn"
    IGNORE = "ignore"


class FailOn(StrEnum):
    """The input `fail-on`: which items make the run fail."""

    ERROR = "error"
    SKIP = "skip"
    NEVER = "never"


class ImagesMode(StrEnum):
    """The input `images`: whether the unit of a run is the image or the single version."""

    WHOLE = "whole"
    RAW = "raw"


class VersionState(StrEnum):
    """The input `state`: which versions `list` reads."""

    ACTIVE = "active"
    DELETED = "deleted"


class Pace(StrEnum):
    """The input `pace`: how fast a run writes."""

    FULL = "full"
    POLITE = "polite"


class LogLevel(StrEnum):
    """The input `log-level`: the least important messages that the log shows."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"
    DEBUG = "debug"


class OutputFormat(StrEnum):
    """The option `--format` of the command line: how standard output shows the result."""

    TABLE = "table"
    JSON = "json"


class Secret(Struct, frozen=True):
    """A token. `repr` and `str` do not show its text."""

    text: str

    def __repr__(self) -> str:
        """Hide the text where it would be printed by mistake."""
        return "***"


class ReportOptions(Struct, frozen=True, kw_only=True):
    """How a run reports. These are known before all else, since a run with bad inputs reports too.

    `token` is as written, usable or not, so that it can be masked. `output_file` and `summary_file` are paths as
    written, relative to the workspace; empty means that there is no such file.
    """

    token: Secret
    log_level: LogLevel
    summary: bool
    output_file: str
    summary_file: str
    output_format: OutputFormat

    def masked(self, text: str) -> str:
        """The text without the token, even if GitHub or a proxy repeated it: the last net for what leaves a run."""
        return without_secret(text, self.token.text)


class SavedPlan(Struct, frozen=True, kw_only=True):
    """A plan that an earlier run wrote to a file, as `inputs/plan_file.py` reads it.

    `made_at` is the time right before the packages were read. `is_raw` is `images: raw`. With `tags_may_move`, a
    version is restored even when its tags are in use. `package_ids` are the packages that existed. `emptied` are those
    of which the plan deletes every version. `groups` are the writes, image by image in the order of the plan, with the
    reason `plan`. Their versions have only what the file holds: id, name, tags and timestamps.
    """

    operation: Operation
    owner: str
    made_at: datetime
    on_last_version: OnLastVersion
    is_raw: bool
    tags_may_move: bool
    package_ids: Mapping[PackageName, int]
    emptied: frozenset[PackageName]
    groups: tuple[tuple[PlannedWrite, ...], ...]

    @property
    def writes(self) -> tuple[PlannedWrite, ...]:
        """All writes in order."""
        return tuple(write for group in self.groups for write in group)

    @property
    def packages(self) -> tuple[PackageName, ...]:
        """The packages with at least one write."""
        return tuple(dict.fromkeys(group[0].package for group in self.groups))


class Settings(Struct, frozen=True, kw_only=True):
    """The run as asked for, made only by `inputs.parser.parse_settings`.

    `packages` and `policy_packages` are `None` when no pattern was given; a package must match both. `repository` is
    as written. Ages in `rules` are points in time. `rules` do not contain images in use, because these depend on the
    owner's login, which GitHub has to confirm first. `query_tables` are the tables that `query` reads. `time_limit` is
    in seconds from the start, `plan_max_age` in seconds before it. `plan` is the plan to apply. Paths are as written,
    relative to the workspace.
    """

    operation: Operation
    token: Secret
    owner: str
    owner_is_default: bool
    owner_type: WantedOwnerType
    package_types: tuple[PackageType, ...]
    package_types_given: bool
    packages: Patterns | None
    policy_packages: Patterns | None
    repository: str
    visibility: Visibility
    api_url: str
    registry_url: str
    rules: Rules
    explains: bool
    query: str
    query_tables: frozenset[str]
    deleted_state: bool
    dry_run: bool
    guards: Guards
    polite: bool
    time_limit: float | None
    if_missing: IfMissing
    fail_on: FailOn
    plan_out: str
    plan: SavedPlan | None
    plan_file: str
    plan_sha256: str
    plan_max_age: float
    receipt: str
    undo: str
    manifest_cache: str
    usage: str
    usage_since: datetime | None
    warnings: tuple[str, ...] = ()

    @property
    def writes(self) -> bool:
        """Whether this run may change anything: the one place where `dry-run` is looked at."""
        return self.operation.writes and not self.dry_run

    @property
    def page_hosts(self) -> frozenset[str]:
        """The hosts of GitHub's own pages."""
        return frozenset({"github.com", (urlsplit(self.api_url).hostname or "").removeprefix("api.")})

    @property
    def lists_versions(self) -> bool:
        """Whether `list` shows versions: when a package, a selection or a query over them is given; else packages."""
        return self.operation is Operation.LIST and (
            self.packages is not None
            or self.rules.select_anything
            or self.deleted_state
            or self.explains
            or not self.query_tables.isdisjoint(("versions", "tags"))
        )

    @property
    def concerns_packages(self) -> bool:
        """Whether the counts are packages."""
        whole = (Operation.CONFLICTS, Operation.DELETE_PACKAGE, Operation.RESTORE_PACKAGE)
        return (
            self.operation in whole
            or (self.operation is Operation.LIST and not self.lists_versions)
            or (self.plan is not None and self.plan.operation in whole)
        )
