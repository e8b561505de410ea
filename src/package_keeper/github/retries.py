"""Which requests are sent again, how often, and after which waits: the one policy for REST, the registry and PyGithub.

| reason | retried | waits |
|---|---|---|
| no connection | for 30 s | 1, 2, 4, then 8 s, a quarter more or less |
| the connection broke off before the answer was whole | for 30 s | the same |
| the server failed (5xx, or the text `Server Error`) | for 30 s | the same |
| the answer to a read came whole, but cannot be read | 3 tries | 1, 2 s, the same |
| a rate limit, for a read | until it is over | what GitHub says, else 60 s, doubled up to 16 min; every thread pauses |
| a rate limit, for a write | no | `RateLimitedError`: the caller decides again after the pause |

Nothing else is retried. Waits for rate limits do not count towards the 30 seconds (docs/reference.md, "Retries").
When three reads in a row got no answer, the host counts as dead: for a minute further reads fail at once. A write whose
answer was lost is sent again. If that fails too, `ApiError.sent_before` says that the first try may have been carried
out; then the caller must look.
"""

import random
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum
from math import inf
from typing import TypeVar

from msgspec import Struct, field

from package_keeper.causes import Cause
from package_keeper.errors import ApiError, ApiErrorKind, Cancelled, OutOfTime, RateLimitedError
from package_keeper.github.rate_limit import Clock, Permit, RateLimiter, Use

RETRY_SECONDS = 30.0
"""How long one request is retried, without waits for rate limits."""
UNREADABLE_TRIES = 3
"""How often a read is sent whose answers cannot be read."""
DEAD_AFTER = 3
"""After so many reads in a row without an answer, each retried for 30 s, a host counts as dead. Writes do not count:
the check whether a lost write was carried out is a read, and must be sent."""
DEAD_SECONDS = 60.0
FIRST_WAIT = 1.0
LONGEST_WAIT = 8.0
JITTER = (0.75, 1.25)
"""Factors of a wait, so that many clients do not retry at the same moment."""

_T = TypeVar("_T")


class RetryReason(StrEnum):
    """Why a request is sent again."""

    UNCONNECTED = "unconnected"
    """The request never reached the server."""
    LOST = "lost"
    """The request may have been carried out: the answer broke off, never came, or says that the server failed."""
    UNREADABLE = "unreadable"
    """A whole answer to a read is not what was asked for, for example the page of a proxy."""
    RATE_LIMITED = "rate-limited"
    """A rate limit refused the request. It was not carried out."""


MOST_TRIES = {
    RetryReason.UNCONNECTED: inf,
    RetryReason.LOST: inf,
    RetryReason.UNREADABLE: UNREADABLE_TRIES,
}
"""How often a request is sent for each reason, within `RETRY_SECONDS`."""


class RetryableError(Exception):
    """One try failed for a reason that allows another.

    `error` is raised when there is no other try. For a rate limit `headers` are those of the answer, and `wait` is the
    pause in seconds if the answer names one elsewhere.
    """

    def __init__(
        self,
        reason: RetryReason,
        error: ApiError,
        *,
        headers: Mapping[str, str] | None = None,
        wait: float | None = None,
    ) -> None:
        super().__init__(str(error))
        self.reason = reason
        self.error = error
        self.headers = headers or {}
        self.wait = wait


class _Progress(Struct):
    """The tries of one request so far. `seconds` are those in tries and waits, without waits for rate limits."""

    use: Use
    started: float
    seconds: float = 0.0
    wait: float = FIRST_WAIT
    tries: Counter[RetryReason] = field(default_factory=Counter)
    lost: ApiError | None = None
    """The last failure after which the request may have been carried out."""


class Retries:
    """Sends requests when the rate limiter allows, and again as the table says. Safe for threads."""

    def __init__(self, rate_limiter: RateLimiter, clock: Clock, tell: Callable[[str], None]) -> None:
        self.rate_limiter = rate_limiter
        self._clock = clock
        self._tell = tell
        self._unanswered = 0
        self._unanswered_since = 0.0
        self._last_failure: ApiError | None = None
        self.causes: tuple[Cause, ...] = ()
        """What the last request that is sent again failed for, as far as the catalogue of causes has it."""
        self.reached = False
        """Whether there was any answer so far, other than a server error."""

    def now(self) -> datetime:
        """The current time, aware."""
        return self._clock.now()

    def send(self, use: Use, once: Callable[[], _T], permit: Permit | None = None) -> _T:
        """Call `once`, again where the table says so, and give its result.

        `once` sends one request; it raises `RetryableError` when another try makes sense, and else `ApiError`. `permit`
        is for the first try.

        Raises `ApiError` (`out_of_time` when a write may have been carried out, and there is no time to retry it),
        `Cancelled` (`in_flight` when an earlier try may have been carried out) and `OutOfTime`.
        """
        if not use.writes:
            self._fail_if_dead()
        progress = _Progress(use, self._clock.monotonic())
        while True:
            permit = permit or self._acquire(progress)
            began = self._clock.monotonic()
            try:
                answer = self._try(once, permit)
            except RetryableError as failure:
                if failure.reason is RetryReason.RATE_LIMITED:
                    self._pause_everyone(permit, failure, progress)
                else:
                    progress.seconds += self._clock.monotonic() - began
                    self._wait_to_retry(failure, progress)
                permit = None
            except ApiError as error:
                self._note_answer()
                raise (error.replace(sent_before=True) if progress.lost is not None else error) from None
            else:
                self._note_answer()
                return answer

    def _try(self, once: Callable[[], _T], permit: Permit) -> _T:
        passed = True
        try:
            return once()
        except RetryableError as failure:
            passed = failure.reason is not RetryReason.RATE_LIMITED
            raise
        finally:
            self.rate_limiter.release(permit, passed=passed)

    def _acquire(self, progress: _Progress) -> Permit:
        """Wait for a permit. A write waits 8 seconds at most: after more, the decision to send it may be out of date.

        While an earlier try may have been carried out, no error may say that the write was not sent.
        """
        if not progress.use.writes:
            return self.rate_limiter.acquire(progress.use)
        try:
            permit = self.rate_limiter.acquire_soon(progress.use, LONGEST_WAIT)
        except Cancelled:
            raise Cancelled(in_flight=progress.lost is not None) from None
        except OutOfTime:
            if progress.lost is None:
                raise
            raise progress.lost.replace(out_of_time=True) from None
        if isinstance(permit, Permit):
            return permit
        error = progress.lost or ApiError(ApiErrorKind.OTHER, f"a limit asks for a wait of {permit:.0f} s")
        raise RateLimitedError(error, permit, sent_before=progress.lost is not None)

    def _pause_everyone(self, permit: Permit, failure: RetryableError, progress: _Progress) -> None:
        """Let the rate limiter pause all requests. A read then waits for its next permit; a write is not retried."""
        self.reached = True
        self.rate_limiter.note_limit(permit, failure.headers, failure.wait)
        if progress.use.writes:
            wait = self.rate_limiter.wait(progress.use)
            raise RateLimitedError(failure.error, wait, sent_before=progress.lost is not None) from None

    def _wait_to_retry(self, failure: RetryableError, progress: _Progress) -> None:
        """Wait before another try, or raise the error if there is none."""
        if failure.reason is RetryReason.LOST:
            progress.lost = failure.error.replace(sent_before=True)
        error = failure.error.replace(sent_before=progress.lost is not None)
        self.causes = error.causes
        wait = progress.wait * random.uniform(*JITTER)  # noqa: S311  # reason: jitter
        progress.wait = min(progress.wait * 2, LONGEST_WAIT)
        progress.seconds += wait
        progress.tries[failure.reason] += 1
        if progress.seconds > RETRY_SECONDS or progress.tries[failure.reason] >= MOST_TRIES[failure.reason]:
            if not progress.use.writes and failure.reason is not RetryReason.UNREADABLE:
                self._note_no_answer(error, progress.started)
            raise error from None
        self._tell(f"{error}; trying again in {wait:.0f} s")
        try:
            self.rate_limiter.sleep(wait, str(error), tells=False)
        except OutOfTime:
            if progress.use.writes and error.sent_before:
                raise error.replace(out_of_time=True) from None
            raise
        except Cancelled:
            raise Cancelled(in_flight=error.sent_before) from None

    def _fail_if_dead(self) -> None:
        """Raise the last failure while the host counts as dead. After a minute, requests are sent again."""
        is_dead = self._unanswered >= DEAD_AFTER and self._clock.monotonic() < self._unanswered_since + DEAD_SECONDS
        if is_dead and (last := self._last_failure) is not None:
            text = f"not asked, since others had no answer: {last.message}"
            raise ApiError(last.kind, text, status=last.status, cause=last.cause)

    def _note_answer(self) -> None:
        self.reached, self._unanswered = True, 0

    def _note_no_answer(self, error: ApiError, started: float) -> None:
        """Count a read without an answer. Reads that overlap in time count once."""
        if not self._unanswered or started >= self._unanswered_since:
            self._unanswered += 1
            self._unanswered_since = self._clock.monotonic()
            self._last_failure = error
