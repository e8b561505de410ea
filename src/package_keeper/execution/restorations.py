"""Sends restorations of versions, packages and single tags, and interprets the answers."""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from package_keeper.errors import ApiError, ApiErrorKind
from package_keeper.execution.batches import WriteStrategy
from package_keeper.execution.deletions import outcome_of
from package_keeper.execution.ports import Reader, Writer
from package_keeper.execution.results import Answer
from package_keeper.execution.untag import Untagger
from package_keeper.model.packages import Package, PackageName, Version
from package_keeper.model.permissions import ADMIN_ROLE
from package_keeper.model.plan import GuardedPlan, Outcome, PlannedWrite, WriteKind, WriteRecord

MISSING_PERMISSION = f"it is listed as deleted, so the token may read but not restore. {ADMIN_ROLE}"
GONE = "not among what was deleted in the last 30 days, or the token has no Admin role on the package"
NO_IMAGE = "the image itself is deleted: restore it first"

NO_NAMES: AbstractSet[str] = frozenset()


class Restorations(WriteStrategy):
    """The restorations of one plan."""

    def __init__(self, plan: GuardedPlan, reader: Reader, writer: Writer, untagger: Untagger) -> None:
        self._twins: dict[tuple[PackageName, str], list[int]] = {}
        """The ids of versions by name. GitHub has at most one active version of a name, so the others stay deleted."""
        for write in plan.now:
            if write.version_id is not None:
                self._twins.setdefault((write.package, write.version_name), []).append(write.version_id)
        self._reader = reader
        self._writer = writer
        self._untagger = untagger

    def settled(self, write: PlannedWrite, records: Mapping[int, WriteRecord]) -> Answer | None:
        """Do not send a write that GitHub would refuse, nor a second version of a name that was restored."""
        if write.expected is not None:
            return Answer(write.expected)
        for other in self._twins.get((write.package, write.version_name), ()) if write.tag is None else ():
            twin = records.get(other)
            if twin is not None and other != write.version_id and twin.is_done:
                return Answer(Outcome.ALREADY_ACTIVE, _twin_text(write, other, twin.write.tags))
        return None

    def attempt(self, write: PlannedWrite, permit: Any = None) -> None:
        """Restore one version or package, or give a tag back."""
        if write.tag is not None:
            self._untagger.retag(write)
        elif write.version_id is None:
            self._writer.restore_package(write.package, permit)
        else:
            self._writer.restore_version(write.package, write.version_id, permit)

    def is_done(self, write: PlannedWrite) -> bool | None:
        """Check whether the version, package or tag exists."""
        try:
            if write.kind is WriteKind.TAG:
                return self._untagger.current(write) == write.version_name
            return self._is_there(write)
        except ApiError:
            return None

    def meaning(self, write: PlannedWrite, error: ApiError) -> Answer:
        """Find out whether a version is active already, still deleted, or gone for good."""
        match error.kind:
            case ApiErrorKind.CHANGED:
                return Answer(Outcome.TAG_IN_USE, str(error))
            case ApiErrorKind.ALREADY_EXISTS:
                return self._existing(write, error)
            case ApiErrorKind.NOT_FOUND:
                return self._missing(write, error)
            case ApiErrorKind.OTHER if write.kind is WriteKind.VERSION and self._is_there(write):
                # GitHub may have other texts for versions that are active already
                return _exists_already(error)
        return outcome_of(error)

    def _existing(self, write: PlannedWrite, error: ApiError) -> Answer:
        """Handle "already exists": the version itself is active, or another version of its name."""
        if self._is_there(write):
            return _exists_already(error)
        if write.kind is WriteKind.VERSION:
            for version in self._reader.versions(write.package):
                if version.name == write.version_name and self._is_active(write.package, version.id):
                    return Answer(Outcome.ALREADY_ACTIVE, _twin_text(write, version.id, version.tags))
        text = f"{error}; but nothing active that has the name is listed: try again later"
        return Answer(Outcome.FAILED, text)

    def _missing(self, write: PlannedWrite, error: ApiError) -> Answer:
        """Handle "not found": it is active already, or deleted for good, or a permission is missing."""
        is_there = self._is_there(write)
        if write.kind is WriteKind.TAG:
            return outcome_of(error) if is_there else Answer(Outcome.FAILED, f"{error}; {NO_IMAGE}")
        if is_there:
            return _exists_already(error)
        if write.kind is WriteKind.PACKAGE:
            return Answer(Outcome.ALREADY_GONE, f"{error}; {GONE}")
        try:
            deleted = self._reader.versions(write.package, deleted=True)
        except ApiError as second:
            if second.kind is ApiErrorKind.NOT_FOUND:
                return Answer(Outcome.ALREADY_GONE, f"{error}; the whole package is gone, see restore-package")
            raise
        if any(version.id == write.version_id for version in deleted):
            return Answer(Outcome.NO_PERMISSION, f"{error}, but {MISSING_PERMISSION}")
        return Answer(Outcome.ALREADY_GONE, f"{error}; {GONE}")

    def _is_there(self, write: PlannedWrite) -> bool:
        if write.version_id is None:
            return package_or_none(self._reader, write.package) is not None
        return self._is_active(write.package, write.version_id)

    def _is_active(self, package: PackageName, version_id: int) -> bool:
        try:
            self._reader.version(package, version_id)
        except ApiError as error:
            if error.kind is ApiErrorKind.NOT_FOUND:
                return False
            raise
        return True


def _exists_already(error: ApiError) -> Answer:
    """It exists already: an earlier try of this run restored it, and its answer was lost, or somebody else did."""
    return Answer(Outcome.DONE if error.sent_before else Outcome.ALREADY_ACTIVE)


def _twin_text(write: PlannedWrite, other: int | None, tags: Iterable[str]) -> str:
    """Why a version stays deleted: another version of its name is active."""
    without = ", ".join(tag for tag in write.tags if tag not in tags)
    return f"version {other} of the same name is active" + (f", without the tags {without}" if without else "")


def package_or_none(reader: Reader, key: PackageName) -> Package | None:
    """Return the package, or `None` when it does not exist. Raises `ApiError`."""
    try:
        return reader.package(key)
    except ApiError as error:
        if error.kind is ApiErrorKind.NOT_FOUND:
            return None
        raise


def still_active(
    listed: Sequence[Version],
    reader: Reader,
    *,
    ids: AbstractSet[int] = frozenset(),
    names: AbstractSet[str] = NO_NAMES,
    tags: AbstractSet[str] = NO_NAMES,
) -> list[Version]:
    """Return `listed` without versions that are deleted, since a list of active versions may be outdated.

    Asks only for versions with one of the ids, names or tags. Raises `ApiError` when an answer is missing.
    """
    doubtful = {
        version.id: version.package
        for version in listed
        if version.id in ids or version.name in names or not tags.isdisjoint(version.tags)
    }
    active = active_ids(doubtful, reader)
    return [version for version in listed if version.id not in doubtful or version.id in active]


def active_ids(versions: Mapping[int, PackageName], reader: Reader) -> set[int]:
    """Return the ids of the versions that are active. Raises `ApiError` when an answer is missing."""
    answers = reader.are_active(versions)
    for answer in answers.values():
        if isinstance(answer, ApiError):
            raise answer
    return {version_id for version_id, is_active in answers.items() if is_active}
