"""What holds for a whole run, whatever hosts it talks to: the inputs `pace` and `time-limit`."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

POLITE_SECONDS = 1.0
"""Between two writes with `pace: polite`, as GitHub's documentation advises."""
LOOK_AGAIN_SECONDS = 0.05


@dataclass
class RunPace:
    """The pace of one run; all its governors share one. Writes to several hosts are never under way at once.

    `polite` is one write a second. `deadline` is the end of `time-limit`, in monotonic seconds. `winds_up` lets what is
    needed for a clean end be sent after that, where it need not wait. `held_up_by` is the wait that ended the run
    before that, if one did.
    """

    polite: bool = False
    deadline: float | None = None
    winds_up: bool = False
    held_up_by: str = ""
    writing: int = 0
    last_write: float = float("-inf")

    def is_over(self, now: float) -> bool:
        """Whether `time-limit` has passed."""
        return self.deadline is not None and now >= self.deadline

    def left(self, now: float) -> float:
        """The seconds that `time-limit` leaves."""
        return float("inf") if self.deadline is None else self.deadline - now

    @contextmanager
    def finishing(self) -> Iterator[None]:
        """Let what is begun be finished after `time-limit`, as long as that needs no wait."""
        before, self.winds_up = self.winds_up, True
        try:
            yield
        finally:
            self.winds_up = before

    def begin_write(self, now: float) -> None:
        """Note that a write is sent."""
        self.writing += 1
        self.last_write = now

    def end_write(self) -> None:
        """Note that a write came back, or was not sent after all."""
        self.writing -= 1

    def courtesy(self, now: float) -> float:
        """The seconds that politeness asks to wait before a write."""
        if not self.polite:
            return 0.0
        if self.writing:
            return LOOK_AGAIN_SECONDS
        wait = self.last_write + POLITE_SECONDS - now
        # what must be finished in time is more than a courtesy
        return 0.0 if self.winds_up and self.is_over(now + wait) else wait
