"""Deleting versions, and whole packages."""

from package_keeper.decisions.guards import OnLastVersion
from package_keeper.decisions.plan import GuardedPlan, PlannedWrite, WriteKind
from package_keeper.decisions.vocabulary import Decision, Outcome
from package_keeper.errors import Refusal, RefusalKind
from package_keeper.execution.carrying_out import Send, WriteOperation
from package_keeper.execution.ports import Reader, Writer
from package_keeper.inventory.package import PackageName
from package_keeper.inventory.version import Version

MISSING_PERMISSION = (
    "it is still there, so the token may read but not delete. In a workflow, the repository needs the Admin role on the"
    " package (package settings, Manage Actions access) and the job needs 'permissions: packages: write'; a classic"
    " token needs read:packages and delete:packages, and its user Admin on the package"
)


def plain_meaning(refused: Refusal) -> tuple[Outcome, str]:
    """The outcome of a refusal that needs no second look."""
    outcomes = {
        RefusalKind.PROTECTED_BY_DOWNLOADS: Outcome.PROTECTED_BY_DOWNLOADS,
        RefusalKind.LAST_VERSION: Outcome.LAST_VERSION,
        RefusalKind.NO_PERMISSION: Outcome.NO_PERMISSION,
    }
    text = f"{refused}. {refused.remedy}" if refused.remedy else str(refused)
    return outcomes.get(refused.kind, Outcome.FAILED), text


def missing_package(reader: Reader, package: PackageName, refused: Refusal) -> tuple[Outcome, str]:
    """`Package not found` on a deletion: gone, or a missing permission (GITHUB.md, "Refusals")."""
    try:
        reader.package(package)
    except Refusal as second:
        if second.kind is RefusalKind.NOT_FOUND:
            return _gone(refused)
        raise
    return Outcome.NO_PERMISSION, f"{refused}, but {MISSING_PERMISSION}"


def missing_version(reader: Reader, package: PackageName, version_id: int, refused: Refusal) -> tuple[Outcome, str]:
    """`Package version not found` on a deletion: gone, or a missing permission (GITHUB.md, "Refusals")."""
    try:
        reader.version(package, version_id)
    except Refusal as second:
        if second.kind is RefusalKind.NOT_FOUND:
            return _gone(refused)
        raise
    return Outcome.NO_PERMISSION, f"{refused}, but {MISSING_PERMISSION}"


def _gone(refused: Refusal) -> tuple[Outcome, str]:
    if refused.sent_before:
        # an earlier attempt got no answer and now it is gone: counted as ours, so that undo brings it back
        return Outcome.DONE, "the first answer was lost; a second look shows that it is gone"
    return Outcome.ALREADY_GONE, ""


class Deletions(WriteOperation):
    """The deletions of one run; knows which versions went with their whole package."""

    def __init__(self, plan: GuardedPlan, reader: Reader, writer: Writer, on_last_version: OnLastVersion) -> None:
        self._plan = plan
        self._reader = reader
        self._writer = writer
        self._on_last_version = on_last_version
        self._went_with_package: set[int] = set()

    def settled(self, write: PlannedWrite) -> tuple[Outcome, str] | None:
        """A version that went with its package needs no request of its own."""
        if write.version_id in self._went_with_package:
            return Outcome.DONE, "with its package"
        return super().settled(write)

    def attempt(self, write: PlannedWrite) -> None:
        """Delete one version, or one package."""
        if write.version_id is None:
            self._writer.delete_package(write.package)
        else:
            self._writer.delete_version(write.package, write.version_id)

    def meaning(self, write: PlannedWrite, refused: Refusal) -> tuple[Outcome, str]:
        """Look again at what was not found; everything else speaks for itself."""
        if refused.kind is not RefusalKind.NOT_FOUND:
            return plain_meaning(refused)
        if write.version_id is None:
            return missing_package(self._reader, write.package, refused)
        return missing_version(self._reader, write.package, write.version_id, refused)

    def afterwards(self, write: PlannedWrite, outcome: Outcome, message: str, send: Send) -> tuple[Outcome, str]:
        """Apply `on-last-version` to a version that GitHub refused to delete as the last one."""
        if outcome is not Outcome.LAST_VERSION or write.kind is not WriteKind.VERSION:
            return outcome, message
        if self._on_last_version is OnLastVersion.FAIL:
            return Outcome.FAILED, message
        if self._on_last_version is OnLastVersion.DELETE_PACKAGE:
            return self._delete_package(write, message, send)
        return outcome, message

    def _delete_package(self, write: PlannedWrite, message: str, send: Send) -> tuple[Outcome, str]:
        """Delete the whole package, only when a fresh list shows nothing but what this run would delete."""
        try:
            fresh = self._reader.versions(write.package)
        except Refusal as refused:
            return Outcome.LAST_VERSION, f"{message}; its package could not be read again: {refused}"
        planned = {each.version_id: each for each in self._plan.now if each.package == write.package}
        others = [version for version in fresh if not _is_as_planned(version, planned.get(version.id))]
        if others:
            return (
                Outcome.LAST_VERSION,
                f"{message}; its package stays, since it holds {len(others)} versions that this run does not delete",
            )
        package = PlannedWrite(decision=Decision.DELETE, reason=write.reason, package=write.package)
        outcome, refusal = send(package)
        if outcome is not Outcome.DONE:
            return Outcome.LAST_VERSION, f"{message}; its package could not be deleted: {refusal}"
        self._went_with_package.update(version.id for version in fresh)
        return Outcome.DONE, "with its package"


def _is_as_planned(version: Version, write: PlannedWrite | None) -> bool:
    return write is not None and write.version is not None and write.version.tags == version.tags
