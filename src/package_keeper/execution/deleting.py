"""Deleting versions, and whole packages."""

from collections.abc import Sequence

from package_keeper.decisions.guards import OnLastVersion
from package_keeper.decisions.plan import GuardedPlan, PlannedWrite, WriteKind
from package_keeper.decisions.vocabulary import Decision, Outcome
from package_keeper.errors import ADMIN_ROLE, Refusal, RefusalKind
from package_keeper.execution.ports import Reader, Writer
from package_keeper.execution.scheduling import after_holders
from package_keeper.execution.untagging import TagMoves
from package_keeper.execution.write_operation import Send, WriteOperation
from package_keeper.inventory.package import PackageName
from package_keeper.inventory.version import Version

MISSING_PERMISSION = f"it is still there, so the token may read but not delete. {ADMIN_ROLE}"


def plain_meaning(refused: Refusal) -> tuple[Outcome, str]:
    """The outcome of a refusal that needs no second look."""
    outcomes = {
        RefusalKind.PROTECTED_BY_DOWNLOADS: Outcome.PROTECTED_BY_DOWNLOADS,
        RefusalKind.LAST_VERSION: Outcome.LAST_VERSION,
        RefusalKind.NO_PERMISSION: Outcome.NO_PERMISSION,
        RefusalKind.CHANGED: Outcome.CHANGED_SINCE_PLAN,
        # of a tag only: its empty manifest is there and cannot be deleted
        RefusalKind.NOT_FOUND: Outcome.NO_PERMISSION,
    }
    text = f"{refused}. {refused.remedy}" if refused.remedy else str(refused)
    return outcomes.get(refused.kind, Outcome.FAILED), text


def missing_package(reader: Reader, package: PackageName, refused: Refusal) -> tuple[Outcome, str]:
    """`Package not found` on a deletion: gone, or a missing permission (docs/github-behaviour.md, "Refusals")."""
    try:
        reader.package(package)
    except Refusal as second:
        if second.kind is RefusalKind.NOT_FOUND:
            return _gone(refused)
        raise
    return Outcome.NO_PERMISSION, f"{refused}, but {MISSING_PERMISSION}"


def missing_version(reader: Reader, package: PackageName, version_id: int, refused: Refusal) -> tuple[Outcome, str]:
    """`Package version not found` on a deletion: gone, or a missing permission (docs/github-behaviour.md,
    "Refusals").
    """
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

    def __init__(
        self, plan: GuardedPlan, reader: Reader, writer: Writer, tags: TagMoves, on_last_version: OnLastVersion
    ) -> None:
        self._plan = plan
        self._reader = reader
        self._writer = writer
        self._tags = tags
        self._on_last_version = on_last_version
        self._went_with_package: set[int] = set()
        self._stayed: dict[int, Outcome] = {}
        self._gone: set[int] = set()

    def waits_for(self, writes: Sequence[PlannedWrite]) -> list[set[int]]:
        """Parts wait for what holds them, and the last of a package for all others."""
        staying = [each.version for each in self._plan.plan.judgements if each.decision is not Decision.DELETE]
        staying += [write.version for write in self._plan.later if write.version is not None]
        return after_holders(writes, staying)

    def give_up(self, write: PlannedWrite, outcome: Outcome) -> None:
        """What stays keeps its parts."""
        if write.version_id is not None:
            self._stayed[write.version_id] = outcome

    def must_be_alone(self, outcome: Outcome) -> bool:
        """Whether the whole package may have to be deleted: then nothing else is under way in it."""
        return outcome is Outcome.LAST_VERSION and self._on_last_version is OnLastVersion.DELETE_PACKAGE

    def settled(self, write: PlannedWrite) -> tuple[Outcome, str] | None:
        """A version that went with its package needs no request, and a part of what is still there gets none."""
        if write.version_id in self._went_with_package:
            return Outcome.DONE, "with its package"
        holders = write.after - self._gone
        if holders:
            outcome = next((self._stayed[holder] for holder in sorted(holders) if holder in self._stayed), None)
            outcome = outcome or Outcome.OVER_LIMIT
            if write.version_id is not None:
                self._stayed[write.version_id] = outcome
            return outcome, "stays, since what it belongs to is still there"
        return super().settled(write)

    def attempt(self, write: PlannedWrite) -> None:
        """Delete one version, or one package."""
        if write.tag is not None:
            self._tags.untag(write)
        elif write.version_id is None:
            self._writer.delete_package(write.package)
        else:
            self._writer.delete_version(write.package, write.version_id)

    def is_done(self, write: PlannedWrite) -> bool | None:
        """Whether what was to be deleted is gone."""
        try:
            if write.kind is WriteKind.TAG:
                current = self._tags.current(write)
                return None if current not in (None, write.version_name) else current is None
            if write.kind is WriteKind.PACKAGE:
                self._reader.package(write.package)
            else:
                self._reader.version(write.package, write.version_id or 0)
        except Refusal as refused:
            return True if refused.kind is RefusalKind.NOT_FOUND else None
        return False

    def meaning(self, write: PlannedWrite, refused: Refusal) -> tuple[Outcome, str]:
        """Look again at what was not found; everything else speaks for itself."""
        if refused.kind is not RefusalKind.NOT_FOUND or write.kind is WriteKind.TAG:
            if refused.kind is RefusalKind.LAST_VERSION and self._on_last_version is OnLastVersion.FAIL:
                return Outcome.FAILED, str(refused)
            return plain_meaning(refused)
        if write.version_id is None:
            return missing_package(self._reader, write.package, refused)
        return missing_version(self._reader, write.package, write.version_id, refused)

    def afterwards(self, write: PlannedWrite, outcome: Outcome, message: str, send: Send) -> tuple[Outcome, str]:
        """Remember what is gone, and apply `on-last-version` to what GitHub refused to delete as the last one."""
        outcome, message = self._last_version(write, outcome, message, send)
        if write.kind is WriteKind.VERSION and write.version_id is not None:
            if outcome in (Outcome.DONE, Outcome.ALREADY_GONE):
                self._gone.add(write.version_id)
            else:
                self._stayed[write.version_id] = outcome
        return outcome, message

    def _last_version(self, write: PlannedWrite, outcome: Outcome, message: str, send: Send) -> tuple[Outcome, str]:
        if outcome is not Outcome.LAST_VERSION or write.kind is not WriteKind.VERSION:
            return outcome, message
        if self._on_last_version is OnLastVersion.DELETE_PACKAGE:
            return self._delete_package(write, message, send)
        return outcome, message

    def _delete_package(self, write: PlannedWrite, message: str, send: Send) -> tuple[Outcome, str]:
        """Delete the whole package, only when a fresh list shows nothing but what this run would delete."""
        try:
            fresh = self._reader.versions(write.package)
        except Refusal as refused:
            return Outcome.LAST_VERSION, f"{message}; its package could not be read again: {refused}"
        planned = {
            each.version_id: each
            for each in self._plan.now
            if each.package == write.package and each.version_id not in self._stayed
        }
        if write.version_id not in {version.id for version in fresh}:
            return Outcome.LAST_VERSION, f"{message}; a fresh list does not show it, so its package stays"
        others = [version for version in fresh if not _is_as_planned(version, planned.get(version.id))]
        if others:
            return (
                Outcome.LAST_VERSION,
                f"{message}; its package stays, since it holds {len(others)} versions that this run does not delete",
            )
        package = PlannedWrite(decision=Decision.DELETE, reason=write.reason, rule=write.rule, package=write.package)
        outcome, refusal = send(package)
        if outcome is not Outcome.DONE:
            return Outcome.LAST_VERSION, f"{message}; its package could not be deleted: {refusal}"
        self._went_with_package.update(version.id for version in fresh)
        return Outcome.DONE, "with its package"


def _is_as_planned(version: Version, write: PlannedWrite | None) -> bool:
    if write is None or write.version is None or write.kind is not WriteKind.VERSION:
        return False
    return (write.version.tags, write.version.updated_at) == (version.tags, version.updated_at)
