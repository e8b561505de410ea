"""What is tried again, how often, and with which waits: the one table of it, for REST, the registry and PyGithub.

| trouble | tried again for | waits |
|---|---|---|
| no connection, or it broke off before an answer | 30 s | 1, 2, 4, 8 s, a quarter more or less |
| an answer that broke off or cannot be decoded | 30 s | the same |
| the server failed (5xx, or the text `Server Error`) | 30 s | the same |
| a rate limit | until it is over | what GitHub says; else 60 s, doubled each time up to 16 min; all threads pause |

Nothing else is. Waits for limits do not count among the 30 seconds (contract, "The order of decisions"). A write whose
answer was lost is sent again, and whoever sent it learns from `Refusal.sent_before` that it may have been carried out
the first time: it then looks, and assumes nothing.
"""

import random
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import TypeVar

from package_keeper.errors import Cancelled, OutOfTime, Refusal
from package_keeper.github.clock import Clock
from package_keeper.github.governor import Governor, Permit, Use

RETRY_SECONDS = 30.0
"""How long one request is tried again, besides waits for limits."""
FIRST_WAIT = 1.0
LONGEST_WAIT = 8.0
JITTER = (0.75, 1.25)
"""Of the wait, so that many clients do not come back at one moment."""

_T = TypeVar("_T")


class Trouble(StrEnum):
    """What can go wrong with a request and be tried again."""

    UNCONNECTED = "unconnected"
    """It never reached the server."""
    LOST = "lost"
    """It may have been carried out: the answer broke off, never came, or says that the server failed."""
    LIMITED = "limited"
    """A limit refused it; it was not carried out."""


class Setback(Exception):
    """One try failed in a way that is tried again.

    `refused` is raised when the time for that is up. `headers` are those of an answer that a limit gave, `told` the
    seconds that it says where headers do not.
    """

    def __init__(
        self, trouble: Trouble, refused: Refusal, *, headers: Mapping[str, str] | None = None, told: float | None = None
    ) -> None:
        super().__init__(str(refused))
        self.trouble = trouble
        self.refused = refused
        self.headers = headers or {}
        self.told = told


class Retries:
    """Sends requests through the governor, and again where the table says so. Safe for threads."""

    def __init__(self, governor: Governor, clock: Clock, warn: Callable[[str], None]) -> None:
        self.governor = governor
        self._clock = clock
        self._warn = warn

    def carry(self, use: Use, send: Callable[[], _T]) -> _T:
        """Give what `send` gives; it raises `Setback` for what is tried again and `Refusal` for what is final.

        Raises `Refusal`, `Cancelled` (`in_flight` when an earlier try may have been carried out) and `OutOfTime`.
        """
        trying, wait = 0.0, FIRST_WAIT
        lost: Refusal | None = None
        while True:
            permit = self._acquire(use, lost)
            began = self._clock.monotonic()
            try:
                answer = self._once(send, permit)
            except Setback as setback:
                if setback.trouble is Trouble.LOST:
                    lost = setback.refused
                if setback.trouble is Trouble.LIMITED:
                    self.governor.refused(permit, setback.headers, setback.told)
                    continue
                trying += self._clock.monotonic() - began
                pause = wait * random.uniform(*JITTER)  # noqa: S311  # reason: jitter
                trying += pause
                wait = min(wait * 2, LONGEST_WAIT)
                refused = setback.refused
                refused.sent_before = lost is not None
                if trying > RETRY_SECONDS:
                    raise refused from None
                self._warn(f"{refused}; trying again in {pause:.0f} s")
                self._pause(pause, refused)
            except Refusal as refused:
                refused.sent_before = refused.sent_before or lost is not None
                raise
            else:
                return answer

    def _once(self, send: Callable[[], _T], permit: Permit) -> _T:
        passed = True
        try:
            return send()
        except Setback as setback:
            passed = setback.trouble is not Trouble.LIMITED
            raise
        finally:
            self.governor.back(permit, passed=passed)

    def _acquire(self, use: Use, lost: Refusal | None) -> Permit:
        """Wait for leave to send; nobody may note that an earlier try, whose answer was `lost`, was not carried out."""
        try:
            return self.governor.acquire(use)
        except Cancelled:
            raise Cancelled(in_flight=lost is not None) from None
        except OutOfTime:
            if lost is None:
                raise
            lost.sent_before = True
            raise lost from None

    def _pause(self, seconds: float, refused: Refusal) -> None:
        try:
            self.governor.sleep(seconds)
        except OutOfTime:
            raise refused from None
        except Cancelled:
            raise Cancelled(in_flight=refused.sent_before) from None
