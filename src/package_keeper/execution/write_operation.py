"""How one operation writes: what waits for what, what is sent, and what a refusal means."""

from collections.abc import Callable, Sequence

from package_keeper.decisions.plan import PlannedWrite
from package_keeper.decisions.vocabulary import Outcome
from package_keeper.errors import Refusal

Send = Callable[[PlannedWrite], tuple[Outcome, str]]
"""Sends one write between its two lines of the receipt, and says what became of it."""

PACKAGES, VERSIONS, TAGS = range(3)
"""The stages of writes: whole packages come back before what is in them; a tag is moved in several steps."""


class WriteOperation:
    """How one operation writes; `deleting` and `restoring` fill it in."""

    def waits_for(self, writes: Sequence[PlannedWrite]) -> list[set[int]]:
        """For each write, by its place, the places before it that must have ended before it may begin."""
        raise NotImplementedError

    def stage(self, write: PlannedWrite) -> int:
        """Stages go one after the other, lower numbers first; within the last, that of tags, so do the writes."""
        return TAGS if write.tag is not None else VERSIONS

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

    def give_up(self, write: PlannedWrite, outcome: Outcome) -> None:
        """Note that a write is not done after all, and why: things have changed, or could not be looked at again."""

    def must_be_alone(self, outcome: Outcome) -> bool:
        """Whether nothing else may be under way while `afterwards` goes on after this outcome."""
        del outcome
        return False

    def afterwards(self, write: PlannedWrite, outcome: Outcome, message: str, send: Send) -> tuple[Outcome, str]:
        """Go on after a write that was sent, with further writes if need be; gives the outcome to report."""
        del write, send
        return outcome, message
