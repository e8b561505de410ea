"""What is tried again, how often, and with which waits: the one table of it, for REST, the registry and PyGithub.

| trouble | tried again for | waits |
|---|---|---|
| no connection, or it broke off before an answer | 30 s | 1, 2, 4, 8 s, a quarter more or less |
| an answer that broke off | 30 s | the same |
| the server failed (5xx, or the text `Server Error`) | 30 s | the same |
| an answer to a read that came whole and is not what was asked for | 3 tries | 1, 2 s, the same |
| a rate limit, of a read | until it is over | what GitHub says; else 60 s, doubled up to 16 min; all threads pause |
| a rate limit, of a write | - | `RateLimitedError`: whoever sent it decides again after the pause |

Nothing else is. A host from which three reads, one after the other, got no answer is not asked for a minute: reads are
refused at once. Waits for limits do not count among the 30 seconds (contract, "The order of decisions"). A write whose
answer was lost is sent again, and whoever sent it learns from `ApiError.sent_before` that it may have been carried out
the first time: it then looks, and assumes nothing.
"""

import random
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import TypeVar

from package_keeper.errors import ApiError, ApiErrorKind, Cancelled, OutOfTime, RateLimitedError
from package_keeper.github.rate_limit import Clock, Permit, RateLimiter, Use

RETRY_SECONDS = 30.0
"""How long one request is tried again, besides waits for limits."""
SPOILT_TRIES = 3
"""So often a read is sent whose answers are spoilt."""
DEAD_AFTER = 3
"""So many reads one after the other without an answer, each tried for 30 s, and the host counts as dead. Writes tell
nothing about reads: their second look is one."""
DEAD_SECONDS = 60.0
FIRST_WAIT = 1.0
LONGEST_WAIT = 8.0
JITTER = (0.75, 1.25)
"""Of the wait, so that many clients do not come back at one moment."""

_T = TypeVar("_T")


class RetryReason(StrEnum):
    """What can go wrong with a request and be tried again."""

    UNCONNECTED = "unconnected"
    """It never reached the server."""
    LOST = "lost"
    """It may have been carried out: the answer broke off, never came, or says that the server failed."""
    SPOILT = "spoilt"
    """The answer to a read came whole, and is none: something on the way put its own in its place."""
    LIMITED = "limited"
    """A limit refused it; it was not carried out."""


class RetryableError(Exception):
    """One try failed in a way that is tried again.

    `refused` is raised when the time for that is up. `headers` are those of an answer that a limit gave, `told` the
    seconds that it says where headers do not.
    """

    def __init__(
        self,
        trouble: RetryReason,
        refused: ApiError,
        *,
        headers: Mapping[str, str] | None = None,
        told: float | None = None,
    ) -> None:
        super().__init__(str(refused))
        self.trouble = trouble
        self.refused = refused
        self.headers = headers or {}
        self.told = told


class Retries:
    """Sends requests through the rate_limiter, and again where the table says so. Safe for threads."""

    def __init__(self, rate_limiter: RateLimiter, clock: Clock, warn: Callable[[str], None]) -> None:
        self.rate_limiter = rate_limiter
        self._clock = clock
        self._warn = warn
        self._silent = 0
        self._silent_since = 0.0
        self._last_words: ApiError | None = None
        self.reached = False
        """Whether there was any answer so far but that the server failed."""

    def now(self) -> datetime:
        """The current time, aware."""
        return self._clock.now()

    def carry(self, use: Use, send: Callable[[], _T]) -> _T:
        """Give what `send` gives; it raises `RetryableError` for what is tried again and `ApiError` for what is final.

        Raises `ApiError` (`out_of_time` when a write may have been carried out and there is no time to try it again),
        `Cancelled` (`in_flight` when an earlier try may have been carried out) and `OutOfTime`.
        """
        trying, wait, spoilt = 0.0, FIRST_WAIT, 0
        lost: ApiError | None = None
        first = self._clock.monotonic()
        if not use.writes:
            self._ask_nothing_of_the_dead()
        while True:
            permit = self._acquire_for_write(use, lost) if use.writes else self.rate_limiter.acquire(use)
            began = self._clock.monotonic()
            try:
                answer = self._once(send, permit)
            except RetryableError as retryable:
                if retryable.trouble is RetryReason.LOST:
                    lost = retryable.refused
                if retryable.trouble is RetryReason.LIMITED:
                    self.reached = True
                    self.rate_limiter.refused(permit, retryable.headers, retryable.told)
                    if use.writes:
                        wait = self.rate_limiter.wait(use)
                        raise RateLimitedError(retryable.refused, wait, sent_before=lost is not None) from None
                    continue
                trying += self._clock.monotonic() - began
                pause = wait * random.uniform(*JITTER)  # noqa: S311  # reason: jitter
                trying += pause
                wait = min(wait * 2, LONGEST_WAIT)
                refused = retryable.refused
                refused.sent_before = lost is not None
                spoilt += retryable.trouble is RetryReason.SPOILT
                if trying > RETRY_SECONDS or spoilt >= SPOILT_TRIES:
                    if not use.writes and retryable.trouble is not RetryReason.SPOILT:
                        self._note_silence(refused, first)
                    raise refused from None
                self._warn(f"{refused}; trying again in {pause:.0f} s")
                self._pause(pause, refused, use)
            except ApiError as refused:
                self.reached, self._silent = True, 0
                refused.sent_before = refused.sent_before or lost is not None
                raise
            else:
                self.reached, self._silent = True, 0
                return answer

    def _ask_nothing_of_the_dead(self) -> None:
        """Refuse a read at once where several, one after the other, had no answer; a minute later one is tried."""
        is_dead = self._silent >= DEAD_AFTER and self._clock.monotonic() < self._silent_since + DEAD_SECONDS
        if is_dead and self._last_words is not None:
            words = self._last_words
            raise ApiError(words.kind, f"not asked, since others had no answer: {words.message}", status=words.status)

    def _note_silence(self, refused: ApiError, first: float) -> None:
        """A read had no answer, of which the first try was at `first`; those that go side by side count as one."""
        if not self._silent or first >= self._silent_since:
            self._silent += 1
            self._silent_since = self._clock.monotonic()
            self._last_words = refused

    def _once(self, send: Callable[[], _T], permit: Permit) -> _T:
        passed = True
        try:
            return send()
        except RetryableError as retryable:
            passed = retryable.trouble is not RetryReason.LIMITED
            raise
        finally:
            self.rate_limiter.back(permit, passed=passed)

    def _acquire_for_write(self, use: Use, lost: ApiError | None) -> Permit:
        """Wait a little for leave to send; what was decided on is not sent after a long wait, whatever happened in it.

        Nobody may note that an earlier try, whose answer was `lost`, was not carried out.
        """
        try:
            found = self.rate_limiter.acquire_soon(use, LONGEST_WAIT)
        except Cancelled:
            raise Cancelled(in_flight=lost is not None) from None
        except OutOfTime:
            if lost is None:
                raise
            lost.sent_before = lost.out_of_time = True
            raise lost from None
        if isinstance(found, Permit):
            return found
        refused = lost or ApiError(ApiErrorKind.OTHER, f"a limit asks for a wait of {found:.0f} s")
        raise RateLimitedError(refused, found, sent_before=lost is not None)

    def _pause(self, seconds: float, refused: ApiError, use: Use) -> None:
        try:
            self.rate_limiter.sleep(seconds, str(refused), tells=False)
        except OutOfTime:
            if not (use.writes and refused.sent_before):
                raise
            refused.out_of_time = True
            raise refused from None
        except Cancelled:
            raise Cancelled(in_flight=refused.sent_before) from None
