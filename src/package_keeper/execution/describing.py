"""What writes, and what became of them, are called in logs and records."""

from package_keeper.decisions.plan import PlannedWrite, WriteRecord
from package_keeper.decisions.vocabulary import Decision, Outcome
from package_keeper.errors import Cancelled, NotAuthorized, OutOfTime, PackageKeeperError
from package_keeper.inventory.version import display_name

STILL_THERE = "GitHub confirmed the deletion, but the version is still there"
CUT_OFF = "cut off; nobody knows whether it happened"
_DONE = {Decision.DELETE: "deleted", Decision.UNTAG: "untagged", Decision.RESTORE: "restored"}


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
    word = _DONE[write.decision] if outcome is Outcome.DONE else outcome
    return f"{describe(write)}: {word}, {write.why}" + (f" ({record.message})" if record.message else "")


def cut_off(write: PlannedWrite) -> WriteRecord:
    """The record of a write whose answer nobody waited for."""
    return WriteRecord(write=write, outcome=Outcome.FAILED, message=CUT_OFF)


def not_tried(write: PlannedWrite, because: PackageKeeperError) -> WriteRecord:
    """The record of a write that was not sent, since the run ended."""
    if isinstance(because, Cancelled | OutOfTime):
        return WriteRecord(write=write, outcome=Outcome.OUT_OF_TIME)
    outcome = Outcome.NO_PERMISSION if isinstance(because, NotAuthorized) else Outcome.FAILED
    return WriteRecord(write=write, outcome=outcome, message="not tried")
