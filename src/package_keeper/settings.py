"""`Settings`: everything that a run was asked to do, frozen. Nobody else reads the environment or the arguments."""

from dataclasses import dataclass, field
from enum import StrEnum

from package_keeper.model.packages import PackageType
from package_keeper.policy.guards import Guards
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

    @property
    def writes(self) -> bool:
        """Whether the operation changes anything when `dry-run` is `false`."""
        return self not in (Operation.LIST, Operation.VERIFY, Operation.CONFLICTS)


@dataclass(frozen=True)
class Secret:
    """A token. Its text is in no `repr`, no `str` and no error."""

    text: str = field(repr=False)

    def __str__(self) -> str:
        """Hide the text wherever somebody prints it by mistake."""
        return "***"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The run as asked for, made only by `reading.parse_settings`.

    `owner_type` and `visibility` are words of the inputs. `packages` is `None` when no pattern was given,
    `policy_packages` likewise; a package must fit both. `repository` is as written. `rules` are already resolved
    against the run's `now`, but hold no images in use: whose they are is known when GitHub has said who the owner is.
    `query_tables` are the tables that `query` reads. `time_limit` are seconds from the start. Paths are as written,
    relative to the workspace.
    """

    operation: Operation
    token: Secret
    owner: str
    owner_is_default: bool
    owner_type: str
    package_types: tuple[PackageType, ...]
    package_types_given: bool
    packages: Patterns | None
    policy_packages: Patterns | None
    repository: str
    visibility: str
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
    if_missing: str
    fail_on: str
    receipt: str
    undo: str
    manifest_cache: str
    summary: bool
    log_level: str
    warnings: tuple[str, ...] = ()

    @property
    def writes(self) -> bool:
        """Whether this run may change anything: the one place where `dry-run` is looked at."""
        return self.operation.writes and not self.dry_run

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
    def checks_images(self) -> bool:
        """Whether the run reports on the health of images."""
        return self.operation in (Operation.VERIFY, Operation.REPAIR)

    @property
    def concerns_packages(self) -> bool:
        """Whether the counts are packages."""
        whole = (Operation.CONFLICTS, Operation.DELETE_PACKAGE, Operation.RESTORE_PACKAGE)
        return self.operation in whole or (self.operation is Operation.LIST and not self.lists_versions)
