"""Words for writes and their outcomes, in logs and records."""

from collections.abc import Iterable, Sequence

from package_keeper.errors import Cancelled, NotAuthorized, OutOfTime, PackageKeeperError
from package_keeper.model.packages import Version, display_name
from package_keeper.model.plan import Action, Outcome, PlannedWrite, WriteRecord

FEW = 5
"""How many names a message lists before it says how many more there are."""

STILL_THERE = "GitHub confirmed the deletion, but the version is still there"
STILL_GONE = "GitHub confirmed the restoration, but the version is still deleted"
NOT_SENT = "not sent, since the permission is missing for the whole package"
NOT_TRIED = "not tried"
CUT_OFF = "cut off; nobody knows whether it happened"
_DONE = {Action.DELETE: "deleted", Action.UNTAG: "untagged", Action.RESTORE: "restored"}


def few(names: Iterable[str], most: int = FEW) -> str:
    """Join the first `most` names, and say how many more there are."""
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def describe(write: PlannedWrite) -> str:
    """Name the target of a write: `npm/app 1.0.0 (id 7)`."""
    if write.version_id is None:
        return str(write.package)
    if write.tag is not None:
        return f"{write.package} tag {write.tag} of {display_name(write.version_name)} (id {write.version_id})"
    return f"{write.package} {display_name(write.version_name)}{in_brackets(write.tags)} (id {write.version_id})"


def in_brackets(tags: Sequence[str]) -> str:
    """The tags to write after a name: ` [v1, latest]`, or an empty text when there are none."""
    return f" [{', '.join(tags)}]" if tags else ""


def tell(record: WriteRecord) -> str:
    """Say how a write ended, and why it was planned."""
    write, outcome = record.write, record.outcome
    word = _DONE[write.action] if outcome is Outcome.DONE else outcome
    return f"{describe(write)}: {word}, {write.why}" + (f" ({record.message})" if record.message else "")


def describe_stubs(stubs: Sequence[Version]) -> str:
    """Say which versions are stubs."""
    names = few(f"{display_name(stub.name)}{in_brackets(stub.tags)} (id {stub.id})" for stub in stubs)
    if len(stubs) == 1:
        return f"1 version is an empty manifest by which untagging took a tag away, and no image: {names}"
    return f"{len(stubs)} versions are empty manifests by which untagging took tags away, and no images: {names}"


def stubs_and_what_to_do(stubs: Sequence[Version]) -> str:
    """Say which versions are stubs, and how to delete them."""
    them = "it" if len(stubs) == 1 else "them"
    if all(stub.deleted_at is not None for stub in stubs):
        return f"{describe_stubs(stubs)}; restore passes over {them}"
    ids = ",".join(str(stub.id) for stub in stubs[:FEW])
    return f"{describe_stubs(stubs)}; version-ids: {ids} deletes {them}"


def not_tried(write: PlannedWrite, because: PackageKeeperError) -> WriteRecord:
    """The record of a write that was not sent because the run ended."""
    if isinstance(because, Cancelled | OutOfTime):
        return WriteRecord(write=write, outcome=Outcome.OUT_OF_TIME)
    outcome = Outcome.NO_PERMISSION if isinstance(because, NotAuthorized) else Outcome.FAILED
    return WriteRecord(write=write, outcome=outcome, message=NOT_TRIED)
