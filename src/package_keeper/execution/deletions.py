"""Deleting versions, and whole packages."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace

from package_keeper.errors import ADMIN_ROLE, ApiError, ApiErrorKind
from package_keeper.execution.batches import Batch, WriteOperation, in_rounds
from package_keeper.execution.ports import Reader, Writer
from package_keeper.execution.refresh import FreshPlan, Replan
from package_keeper.execution.untag import Untagger
from package_keeper.model.packages import PackageName, Version
from package_keeper.model.words import Outcome
from package_keeper.policy.guards import OnLastVersion
from package_keeper.policy.planning import GuardedPlan, Plan, PlannedWrite, WriteKind, WriteRecord

LEAST_IN_A_ROUND = 500
"""Deletions after which the next image begins a new round, with a look of its own; a run that is cut off leaves no more
parts behind than that."""
LISTED_FOR_A_WRITE = 5
"""In long lists a round is longer: a look reads a page of 100 versions for every 20 deletions at most."""
PAGE = 100
"""Versions on one page of a list."""

LAST_VERSION = "GitHub refuses to delete the last version of a package, and the last tagged one of a container package"

MISSING_PERMISSION = f"it is still there, so the token may read but not delete. {ADMIN_ROLE}"


def outcome_of(refused: ApiError) -> tuple[Outcome, str]:
    """The outcome of a refusal that needs no second look."""
    outcomes = {
        ApiErrorKind.PROTECTED_BY_DOWNLOADS: Outcome.PROTECTED_BY_DOWNLOADS,
        ApiErrorKind.LAST_VERSION: Outcome.LAST_VERSION,
        ApiErrorKind.NO_PERMISSION: Outcome.NO_PERMISSION,
        ApiErrorKind.CHANGED: Outcome.CHANGED_SINCE_PLAN,
        # of a tag only: its empty manifest is there and cannot be deleted
        ApiErrorKind.NOT_FOUND: Outcome.NO_PERMISSION,
    }
    text = f"{refused}. {refused.remedy}" if refused.remedy else str(refused)
    return outcomes.get(refused.kind, Outcome.FAILED), text


def missing_package(reader: Reader, package: PackageName, refused: ApiError) -> tuple[Outcome, str]:
    """`Package not found` on a deletion: gone, or a missing permission (docs/github-behaviour.md, "Refusals")."""
    try:
        reader.package(package)
    except ApiError as second:
        if second.kind is ApiErrorKind.NOT_FOUND:
            return _gone(refused)
        raise
    return Outcome.NO_PERMISSION, f"{refused}, but {MISSING_PERMISSION}"


def missing_version(reader: Reader, package: PackageName, version_id: int, refused: ApiError) -> tuple[Outcome, str]:
    """`Package version not found` on a deletion: gone, or a missing permission (docs/github-behaviour.md,
    "Refusals").
    """
    try:
        reader.version(package, version_id)
    except ApiError as second:
        if second.kind is ApiErrorKind.NOT_FOUND:
            return _gone(refused)
        raise
    return Outcome.NO_PERMISSION, f"{refused}, but {MISSING_PERMISSION}"


def _gone(refused: ApiError) -> tuple[Outcome, str]:
    if refused.sent_before:
        # an earlier attempt got no answer and now it is gone: counted as ours, so that undo brings it back
        return Outcome.DONE, "the first answer was lost; a second look shows that it is gone"
    return Outcome.ALREADY_GONE, ""


class Deletions(WriteOperation):
    """The deletions of one run."""

    def __init__(
        self, plan: GuardedPlan, reader: Reader, writer: Writer, tags: Untagger, on_last_version: OnLastVersion
    ) -> None:
        self._plan = plan
        self._reader = reader
        self._writer = writer
        self._tags = tags
        self._on_last_version = on_last_version
        self._stayed: dict[int, Outcome] = {}
        self._gone: set[int] = set()

    def batches(
        self, writes: Sequence[PlannedWrite], groups: Sequence[int], room: Callable[[], float]
    ) -> Iterator[Batch]:
        """Roots of images and, after a look, their parts, in rounds; then whole packages and tags."""
        versions = [place for place, write in enumerate(writes) if write.kind is WriteKind.VERSION]
        listed = len(self._plan.plan.decisions)
        most = max(LEAST_IN_A_ROUND, listed // LISTED_FOR_A_WRITE)
        rounds = in_rounds(
            [writes[place] for place in versions],
            [groups[place] for place in versions],
            most=most,
            # the look before the parts reads the lists once more
            room=lambda: room() - listed // PAGE - 2,
        )
        for batch in rounds:
            yield Batch([versions[place] for place in batch.places], needs_look=batch.needs_look)
        for kind in (WriteKind.PACKAGE, WriteKind.TAG):
            yield Batch([place for place, write in enumerate(writes) if write.kind is kind])

    def note(self, write: PlannedWrite, outcome: Outcome) -> None:
        """Remember what is gone; what stays keeps its parts."""
        if write.kind is not WriteKind.VERSION or write.version_id is None:
            return
        if outcome in (Outcome.DONE, Outcome.ALREADY_GONE):
            self._gone.add(write.version_id)
        else:
            self._gone.discard(write.version_id)
            self._stayed[write.version_id] = outcome

    def settled(self, write: PlannedWrite) -> tuple[Outcome, str] | None:
        """What GitHub would refuse is not sent, and a part of what is still there is not either."""
        if write.refusal is not None:
            return write.refusal, LAST_VERSION
        holders = write.after - self._gone
        if holders:
            outcome = next((self._stayed[holder] for holder in sorted(holders) if holder in self._stayed), None)
            return outcome or Outcome.OVER_LIMIT, "stays, since what it belongs to is still there"
        return None

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
        except ApiError as refused:
            return True if refused.kind is ApiErrorKind.NOT_FOUND else None
        return False

    def meaning(self, write: PlannedWrite, refused: ApiError) -> tuple[Outcome, str]:
        """Look again at what was not found; everything else speaks for itself."""
        if refused.kind is not ApiErrorKind.NOT_FOUND or write.kind is WriteKind.TAG:
            if refused.kind is ApiErrorKind.LAST_VERSION and self._on_last_version is OnLastVersion.FAIL:
                return Outcome.FAILED, str(refused)
            return outcome_of(refused)
        if write.version_id is None:
            return missing_package(self._reader, write.package, refused)
        return missing_version(self._reader, write.package, write.version_id, refused)


def empty_packages(reader: Reader, plan: Plan, last: Sequence[PlannedWrite], deleted: Sequence[PlannedWrite]) -> Replan:
    """How to find out which packages of `plan` hold nothing but the `last` versions, as they were planned.

    A list that lags may show `deleted` ones.
    """
    gone = frozenset(write.version_id for write in deleted if write.version_id is not None)
    known: dict[PackageName, dict[int, PlannedWrite]] = {}
    for write in (*last, *deleted):
        if write.kind is WriteKind.VERSION and write.version_id is not None:
            known.setdefault(write.package, {})[write.version_id] = write

    def replan(packages: Collection[PackageName], left_over: Collection[int], _: Collection[int]) -> FreshPlan:
        del left_over  # whole packages are looked at
        seen = {package: known.get(package, {}).keys() for package in packages}
        lists = reader.versions_of(packages, seen=seen, gone=gone)
        refused = {package: versions for package, versions in lists.items() if isinstance(versions, ApiError)}
        empty = {
            package
            for package, versions in lists.items()
            if not isinstance(versions, ApiError)
            and versions
            and all(_is_as_planned(version, known.get(package, {}).get(version.id)) for version in versions)
        }
        return FreshPlan(writes=[write for write in plan.writes if write.package in empty], refused=refused)

    return replan


def with_packages(
    records: Sequence[WriteRecord], held: Sequence[PlannedWrite], packages: Sequence[WriteRecord]
) -> list[WriteRecord]:
    """The records of a run whose last versions went with their packages, or stay with them."""
    ends = {record.write.package: _end_with(record) for record in packages}
    found = [
        replace(record, outcome=ends[record.write.package][0], message=ends[record.write.package][1])
        if record.outcome is Outcome.LAST_VERSION and record.write.refusal is None and record.write.package in ends
        else record
        for record in records
    ]
    return found + [
        WriteRecord(write=write, outcome=ends[write.package][0], message=ends[write.package][1]) for write in held
    ]


def _end_with(package: WriteRecord) -> tuple[Outcome, str]:
    """What became of the last versions of a package that was to be deleted whole."""
    if package.outcome in (Outcome.DONE, Outcome.ALREADY_GONE):
        return Outcome.DONE, "with its package"
    if package.outcome is Outcome.CHANGED_SINCE_PLAN:
        text = "its package stays, since it holds something that this run does not delete"
        return Outcome.LAST_VERSION, f"{LAST_VERSION}; {text}"
    return package.outcome, f"its package could not be deleted: {package.message}" if package.message else ""


def _is_as_planned(version: Version, write: PlannedWrite | None) -> bool:
    if write is None or write.version is None:
        return False
    return (write.version.tags, write.version.updated_at) == (version.tags, version.updated_at)
