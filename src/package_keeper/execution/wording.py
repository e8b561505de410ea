"""What writes, and what became of them, are called in logs and records."""

from collections.abc import Sequence

from package_keeper.errors import Cancelled, NotAuthorized, OutOfTime, PackageKeeperError
from package_keeper.model.packages import Version, display_name
from package_keeper.model.plan import Action, Outcome, PlannedWrite, WriteRecord

MANY = 5
"""So many stubs are named, then how many more there are."""

STILL_THERE = "GitHub confirmed the deletion, but the version is still there"
CUT_OFF = "cut off; nobody knows whether it happened"
_DONE = {Action.DELETE: "deleted", Action.UNTAG: "untagged", Action.RESTORE: "restored"}


def describe(write: PlannedWrite) -> str:
    """Name what a write concerns: `npm/app 1.0.0 (id 7)`."""
    if write.version_id is None:
        return str(write.package)
    if write.tag is not None:
        return f"{write.package} tag {write.tag} of {display_name(write.version_name)} (id {write.version_id})"
    tags = f" [{', '.join(write.tags)}]" if write.tags else ""
    return f"{write.package} {display_name(write.version_name)}{tags} (id {write.version_id})"


def tell(record: WriteRecord) -> str:
    """Say what became of a write, and why it was planned."""
    write, outcome = record.write, record.outcome
    word = _DONE[write.action] if outcome is Outcome.DONE else outcome
    return f"{describe(write)}: {word}, {write.why}" + (f" ({record.message})" if record.message else "")


def describe_stubs(stubs: Sequence[Version]) -> str:
    """Say that versions are stubs, and which ones."""
    several = []
    for stub in stubs[:MANY]:
        tags = f" [{', '.join(stub.tags)}]" if stub.tags else ""
        several.append(f"{display_name(stub.name)}{tags} (id {stub.id})")
    names = ", ".join(several) + (f" and {len(stubs) - MANY} more" if len(stubs) > MANY else "")
    if len(stubs) == 1:
        return f"1 version is an empty manifest by which untagging took a tag away, and no image: {names}"
    return f"{len(stubs)} versions are empty manifests by which untagging took tags away, and no images: {names}"


def stubs_and_what_to_do(stubs: Sequence[Version]) -> str:
    """The same, and what becomes of them."""
    them = "it" if len(stubs) == 1 else "them"
    if all(stub.deleted_at is not None for stub in stubs):
        return f"{describe_stubs(stubs)}; restore passes over {them}"
    ids = ",".join(str(stub.id) for stub in stubs[:MANY])
    return f"{describe_stubs(stubs)}; version-ids: {ids} deletes {them}"


def cut_off(write: PlannedWrite) -> WriteRecord:
    """The record of a write whose answer nobody waited for."""
    return WriteRecord(write=write, outcome=Outcome.FAILED, message=CUT_OFF)


def not_tried(write: PlannedWrite, because: PackageKeeperError) -> WriteRecord:
    """The record of a write that was not sent, since the run ended."""
    if isinstance(because, Cancelled | OutOfTime):
        return WriteRecord(write=write, outcome=Outcome.OUT_OF_TIME)
    outcome = Outcome.NO_PERMISSION if isinstance(because, NotAuthorized) else Outcome.FAILED
    return WriteRecord(write=write, outcome=outcome, message="not tried")
