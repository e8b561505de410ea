"""How one operation writes: what waits for what, what is sent, and what a refusal means."""

from collections.abc import Callable, Iterator, Sequence

from package_keeper.decisions.plan import PlannedWrite, WriteKind
from package_keeper.decisions.vocabulary import Outcome
from package_keeper.errors import Refusal
from package_keeper.execution.scheduling import Batch, after_named


class WriteOperation:
    """How one operation writes; `deleting` and `restoring` fill it in."""

    def waits_for(self, writes: Sequence[PlannedWrite]) -> list[set[int]]:
        """For each write, by its place, the places before it that must have ended before it may begin."""
        return after_named(writes)

    def batches(
        self, writes: Sequence[PlannedWrite], groups: Sequence[int], room: Callable[[], float]
    ) -> Iterator[Batch]:
        """The batches of writes, one after the other: whole packages, versions, then tags, which go one by one.

        `groups` says which image each write belongs to; `room` is how many writes can be sent before `time-limit` ends.
        """
        del groups, room
        for kind in (WriteKind.PACKAGE, WriteKind.VERSION, WriteKind.TAG):
            yield Batch([place for place, write in enumerate(writes) if write.kind is kind])

    def settled(self, write: PlannedWrite) -> tuple[Outcome, str] | None:
        """The outcome of a write that needs no request any more."""
        return (write.refusal, "") if write.refusal is not None else None

    def attempt(self, write: PlannedWrite) -> None:
        """Send one write; raises `Refusal`. Called in a thread of its own, but for tags."""
        raise NotImplementedError

    def is_done(self, write: PlannedWrite) -> bool | None:
        """Look whether a write that GitHub failed to answer was carried out; `None` when that cannot be told."""
        raise NotImplementedError

    def meaning(self, write: PlannedWrite, refused: Refusal) -> tuple[Outcome, str]:
        """Say what a refusal means for a write; may read, and may raise `Refusal` itself."""
        raise NotImplementedError

    def note(self, write: PlannedWrite, outcome: Outcome) -> None:
        """Note what became of a write, so that others that depend on it are settled accordingly."""
