"""Sends deletions of versions, packages and single tags, and interprets the answers."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from package_keeper.errors import ApiError, ApiErrorKind
from package_keeper.execution.batches import Batch, WriteStrategy, in_rounds
from package_keeper.execution.ports import Reader, Writer
from package_keeper.execution.results import Answer
from package_keeper.execution.untag import Untagger
from package_keeper.model.permissions import ADMIN_ROLE
from package_keeper.model.plan import GuardedPlan, Outcome, PlannedWrite, WriteKind, WriteRecord
from package_keeper.policy.guards import OnLastVersion

ROUND = 500
"""Deletions after which a new round begins. An interrupted run leaves about this many parts behind at most."""
LISTED_PER_WRITE = 5
"""Rounds of long lists are longer, so that they read at most one page of 100 versions for every 20 deletions."""
PAGE = 100
"""Versions on one page of a list."""

LAST_VERSION = "GitHub refuses to delete the last version of a package, and the last tagged one of a container package"

MISSING_PERMISSION = f"it is still there, so the token may read but not delete. {ADMIN_ROLE}"

_WHY_NOT_SENT = {
    Outcome.LAST_VERSION: LAST_VERSION,
    Outcome.FAILED: LAST_VERSION,
    Outcome.CHANGED_SINCE_PLAN: "it, or the image that it belongs to, is no longer as it was planned",
}
"""Why a deletion is not sent, by the outcome that is expected."""

_OUTCOMES = {
    ApiErrorKind.PROTECTED_BY_DOWNLOADS: Outcome.PROTECTED_BY_DOWNLOADS,
    ApiErrorKind.LAST_VERSION: Outcome.LAST_VERSION,
    ApiErrorKind.NO_PERMISSION: Outcome.NO_PERMISSION,
    ApiErrorKind.CHANGED: Outcome.CHANGED_SINCE_PLAN,
    # for tags only: the stub exists and cannot be deleted
    ApiErrorKind.NOT_FOUND: Outcome.NO_PERMISSION,
}


def outcome_of(error: ApiError) -> Answer:
    """Return the outcome of an error that needs no second look."""
    text = f"{error}. {error.remedy}" if error.remedy else str(error)
    return Answer(_OUTCOMES.get(error.kind, Outcome.FAILED), text)


class Deletions(WriteStrategy):
    """The deletions of one plan."""

    def __init__(
        self, plan: GuardedPlan, reader: Reader, writer: Writer, untagger: Untagger, on_last_version: OnLastVersion
    ) -> None:
        self._listed = len(plan.plan.decisions)
        self._reader = reader
        self._writer = writer
        self._untagger = untagger
        self._on_last_version = on_last_version

    def batches(
        self, writes: Sequence[PlannedWrite], groups: Sequence[int], room: Callable[[], float]
    ) -> Iterator[Batch]:
        """Yield rounds of versions, with a look before their parts. Then whole packages, then tags."""
        versions = [place for place, write in enumerate(writes) if write.kind is WriteKind.VERSION]
        rounds = in_rounds(
            [writes[place] for place in versions],
            [groups[place] for place in versions],
            most=max(ROUND, self._listed // LISTED_PER_WRITE),
            # reading the lists again before the parts takes requests too
            room=lambda: room() - self._listed // PAGE - 2,
        )
        for batch in rounds:
            yield Batch([versions[place] for place in batch.places], needs_look=batch.needs_look)
        for kind in (WriteKind.PACKAGE, WriteKind.TAG):
            yield Batch([place for place, write in enumerate(writes) if write.kind is kind])

    def settled(self, write: PlannedWrite, records: Mapping[int, WriteRecord]) -> Answer | None:
        """Do not send a write that GitHub would refuse, nor delete a part of an image that still exists."""
        if write.expected is not None:
            return Answer(write.expected, _WHY_NOT_SENT.get(write.expected, ""))
        staying = [holder for holder in sorted(write.after) if holder not in records or not records[holder].is_gone]
        if not staying:
            return None
        outcome = next((records[holder].outcome for holder in staying if holder in records), Outcome.OVER_LIMIT)
        return Answer(outcome, "stays, since what it belongs to is still there")

    def attempt(self, write: PlannedWrite, permit: Any = None) -> None:
        """Delete one version or package, or remove one tag."""
        if write.tag is not None:
            self._untagger.untag(write)
        elif write.version_id is None:
            self._writer.delete_package(write.package, permit)
        else:
            self._writer.delete_version(write.package, write.version_id, permit)

    def is_done(self, write: PlannedWrite) -> bool | None:
        """Check whether the version, package or tag is gone."""
        try:
            if write.kind is WriteKind.TAG:
                current = self._untagger.current(write)
                return None if current not in (None, write.version_name) else current is None
            self._read(write)
        except ApiError as error:
            return True if error.kind is ApiErrorKind.NOT_FOUND else None
        return False

    def meaning(self, write: PlannedWrite, error: ApiError) -> Answer:
        """Look again at what was not found. Other errors need no second look."""
        if error.kind is not ApiErrorKind.NOT_FOUND or write.kind is WriteKind.TAG:
            if error.kind is ApiErrorKind.LAST_VERSION and self._on_last_version is OnLastVersion.FAIL:
                return Answer(Outcome.FAILED, str(error))
            return outcome_of(error)
        # deleted already, or a missing permission (docs/github-behaviour.md, "Refusals")
        try:
            self._read(write)
        except ApiError as second:
            if second.kind is not ApiErrorKind.NOT_FOUND:
                raise
            if error.sent_before:
                # an earlier try of this run lost its answer: count the deletion as ours, so that undo restores it
                return Answer(Outcome.DONE, "the first answer was lost; a second look shows that it is gone")
            return Answer(Outcome.ALREADY_GONE)
        return Answer(Outcome.NO_PERMISSION, f"{error}, but {MISSING_PERMISSION}")

    def _read(self, write: PlannedWrite) -> None:
        """Read the version or package of a write. Raises `ApiError`, with `NOT_FOUND` when it is gone."""
        if write.version_id is None:
            self._reader.package(write.package)
        else:
            self._reader.version(write.package, write.version_id)
