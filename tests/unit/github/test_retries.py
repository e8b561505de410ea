"""Which requests are sent again, how often, and after which waits: the table of `retries`, row by row."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable

import pytest

from package_keeper.errors import ApiError, ApiErrorKind, Cancelled, OutOfTime, RateLimitedError
from package_keeper.github.rate_limit import Use
from package_keeper.github.retries import (
    DEAD_AFTER,
    DEAD_SECONDS,
    FIRST_WAIT,
    JITTER,
    LONGEST_WAIT,
    RETRY_SECONDS,
    UNREADABLE_TRIES,
    RetryableError,
    RetryReason,
)
from tests.unit.github.pace import Pace
from tests.wire.machinery import StillClock

USES = list(Use)
AGAIN = [RetryReason.UNCONNECTED, RetryReason.LOST]


def retryable(reason: RetryReason, text: str = "no luck", **more: str) -> RetryableError:
    return RetryableError(reason, ApiError(ApiErrorKind.UNREACHABLE, text), headers=more)


def limited(**headers: str) -> RetryableError:
    return retryable(
        RetryReason.RATE_LIMITED, "slow down", **{name.replace("_", "-"): value for name, value in headers.items()}
    )


def not_found(kind: ApiErrorKind = ApiErrorKind.NOT_FOUND) -> ApiError:
    return ApiError(kind, "Package version not found.", status=404)


class Script:
    """Ends each try as listed; the last ending repeats. An exception is raised, anything else returned."""

    def __init__(self, pace: Pace, *endings: object, seconds: float = 0.0) -> None:
        self.pace = pace
        self.endings = list(endings)
        self.seconds = seconds
        self.tries = 0

    def __call__(self) -> object:
        self.tries += 1
        self.pace.clock.elapsed += self.seconds
        ending = self.endings.pop(0) if len(self.endings) > 1 else self.endings[0]
        if isinstance(ending, Exception):
            raise ending
        return ending


def within_jitter(slept: Iterable[float], waits: Iterable[float]) -> bool:
    return all(wait * JITTER[0] <= seconds <= wait * JITTER[1] for seconds, wait in zip(slept, waits, strict=True))


@pytest.mark.parametrize("use", USES)
def test_a_successful_request_is_sent_once(use: Use) -> None:
    pace = Pace()
    script = Script(pace, "fine")
    assert pace.retries.send(use, script) == "fine"
    assert (script.tries, pace.clock.slept, pace.told) == (1, [], [])
    assert pace.rate_limiter.in_flight == 0


@pytest.mark.parametrize("reason", AGAIN)
@pytest.mark.parametrize("use", USES)
def test_failed_requests_are_retried_after_waits_that_double(use: Use, reason: RetryReason) -> None:
    pace = Pace()
    script = Script(pace, retryable(reason), retryable(reason), retryable(reason), "fine")
    assert pace.retries.send(use, script) == "fine"
    assert script.tries == 4
    assert within_jitter(pace.clock.slept, [1, 2, 4])
    assert [text.partition(";")[0] for text in pace.told] == ["no luck"] * 3
    assert all("trying again in" in text for text in pace.told)
    assert pace.rate_limiter.in_flight == 0


@pytest.mark.parametrize("reason", AGAIN)
def test_requests_are_retried_for_thirty_seconds(reason: RetryReason) -> None:
    for _ in range(20):
        pace = Pace()
        script = Script(pace, retryable(reason))
        with pytest.raises(ApiError, match="no luck") as caught:
            pace.retries.send(Use.READ, script)
        assert sum(pace.clock.slept) <= RETRY_SECONDS
        # 1, 2, 4, 8, 8, 8: the next of eight seconds would end past the thirty
        waits = [min(FIRST_WAIT * 2**number, LONGEST_WAIT) for number in range(len(pace.clock.slept))]
        assert within_jitter(pace.clock.slept, waits)
        assert sum(pace.clock.slept) + LONGEST_WAIT * JITTER[1] > RETRY_SECONDS
        assert script.tries == len(pace.clock.slept) + 1
        assert caught.value.sent_before is (reason is RetryReason.LOST)


def test_the_time_of_the_tries_counts() -> None:
    pace = Pace()
    script = Script(pace, retryable(RetryReason.LOST), seconds=14.0)
    with pytest.raises(ApiError):
        pace.retries.send(Use.READ, script)
    assert script.tries == 2


def test_waits_differ_from_one_to_the_next() -> None:
    waits = set()
    for _ in range(30):
        pace = Pace()
        pace.retries.send(Use.READ, Script(pace, retryable(RetryReason.LOST), "fine"))
        waits.update(pace.clock.slept)
    assert len(waits) > 20
    assert FIRST_WAIT * JITTER[0] <= min(waits) < FIRST_WAIT < max(waits) <= FIRST_WAIT * JITTER[1]


@pytest.mark.parametrize("kind", list(ApiErrorKind))
def test_an_api_error_is_not_retried(kind: ApiErrorKind) -> None:
    pace = Pace()
    script = Script(pace, not_found(kind), "too late")
    with pytest.raises(ApiError) as caught:
        pace.retries.send(Use.DELETE, script)
    assert (script.tries, pace.clock.slept, pace.told) == (1, [], [])
    assert caught.value.sent_before is False
    assert pace.rate_limiter.in_flight == 0


def test_an_unexpected_exception_is_not_retried() -> None:
    pace = Pace()
    script = Script(pace, LookupError("a defect"), "too late")
    with pytest.raises(LookupError):
        pace.retries.send(Use.DELETE, script)
    assert script.tries == 1
    assert pace.rate_limiter.in_flight == 0


# limits


def test_a_rate_limit_is_waited_for_as_github_says() -> None:
    pace = Pace()
    script = Script(pace, limited(retry_after="17"), limited(retry_after="300"), "fine")
    assert pace.retries.send(Use.READ, script) == "fine"
    assert pace.clock.slept == [17, 300]
    assert len(pace.told) == 2


def test_a_read_is_retried_until_the_rate_limit_is_over() -> None:
    pace = Pace()
    script = Script(pace, *[limited()] * 12, "fine")
    assert pace.retries.send(Use.READ, script) == "fine"
    assert pace.clock.slept == [60, 120, 240, 480, *[960] * 8]


def test_waits_for_rate_limits_do_not_count() -> None:
    pace = Pace()
    lost = retryable(RetryReason.LOST)
    script = Script(pace, lost, limited(retry_after="3000"), lost, limited(), limited(), lost, "fine")
    assert pace.retries.send(Use.READ, script) == "fine"
    others = [seconds for seconds in pace.clock.slept if seconds < 60]
    assert within_jitter(others, [1, 2, 4])


def test_a_rate_limit_pauses_other_requests() -> None:
    pace = Pace()
    refused, permit = Script(pace, limited(retry_after="40"), "fine"), pace.take(Use.READ)
    pace.rate_limiter.note_limit(permit, {"retry-after": "25"})
    other = Script(pace, "other")
    assert pace.retries.send(Use.READ, other) == "other"
    assert pace.clock.slept == [25]
    assert pace.retries.send(Use.READ, refused) == "fine"
    assert pace.clock.slept == [25, 40]


@pytest.mark.parametrize("use", [Use.DELETE, Use.CREATE])
def test_a_rate_limited_write_is_not_retried(use: Use) -> None:
    pace = Pace()
    script = Script(pace, limited(retry_after="17"), "too early")
    with pytest.raises(RateLimitedError, match="slow down") as caught:
        pace.retries.send(use, script)
    assert (script.tries, pace.clock.slept, caught.value.sent_before) == (1, [], False)
    assert pace.wait(use) == pace.wait(Use.READ) == 17
    assert pace.rate_limiter.in_flight == 0


@pytest.mark.parametrize("ending", [limited(retry_after="40"), retryable(RetryReason.LOST)])
def test_a_lost_write_is_not_sent_again_after_a_long_wait(ending: RetryableError) -> None:
    class Meanwhile(StillClock):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            pace.rate_limiter.note_limit(permit, {"retry-after": "30"})

    pace = Pace(clock=Meanwhile())
    permit = pace.take(Use.READ)
    script = Script(pace, retryable(RetryReason.LOST), ending, "too late")
    with pytest.raises(RateLimitedError) as caught:
        pace.retries.send(Use.DELETE, script)
    assert caught.value.sent_before is True
    assert pace.clock.elapsed < LONGEST_WAIT
    assert pace.rate_limiter.in_flight == 1


# hosts that are dead


def test_a_dead_host_gets_no_reads_for_a_minute() -> None:
    pace = Pace()
    for _ in range(DEAD_AFTER):
        with pytest.raises(ApiError, match="no luck"):
            pace.retries.send(Use.READ, Script(pace, retryable(RetryReason.UNCONNECTED)))
    script, elapsed = Script(pace, "alive"), pace.clock.elapsed
    with pytest.raises(ApiError, match="not asked, since others had no answer: no luck") as caught:
        pace.retries.send(Use.READ, script)
    assert caught.value.kind is ApiErrorKind.UNREACHABLE
    assert (script.tries, pace.clock.elapsed) == (0, elapsed)
    assert pace.retries.send(Use.DELETE, script) == "alive", "a write is sent all the same"
    assert pace.retries.send(Use.READ, script) == "alive"


def test_after_a_minute_a_dead_host_gets_reads_again() -> None:
    pace = Pace()
    silent = Script(pace, retryable(RetryReason.LOST))
    for _ in range(DEAD_AFTER):
        with pytest.raises(ApiError):
            pace.retries.send(Use.READ, silent)
    pace.clock.elapsed += DEAD_SECONDS
    tries = silent.tries
    with pytest.raises(ApiError, match="no luck"):
        pace.retries.send(Use.READ, silent)
    assert silent.tries > tries
    with pytest.raises(ApiError, match="not asked"):
        pace.retries.send(Use.READ, silent)


def test_lost_writes_do_not_make_a_host_dead() -> None:
    pace = Pace()
    for _ in range(DEAD_AFTER * 2):
        with pytest.raises(ApiError, match="no luck"):
            pace.retries.send(Use.DELETE, Script(pace, retryable(RetryReason.LOST)))
    assert pace.retries.send(Use.READ, Script(pace, "it is gone")) == "it is gone"


def test_an_error_answer_shows_that_a_host_is_alive() -> None:
    pace = Pace()
    for ending in [
        retryable(RetryReason.LOST),
        retryable(RetryReason.LOST),
        not_found(),
        retryable(RetryReason.LOST),
    ] * 3:
        with pytest.raises(ApiError, match=r"no luck|not found"):
            pace.retries.send(Use.READ, Script(pace, ending))


def test_an_unreadable_answer_is_requested_three_times() -> None:
    pace = Pace()
    script = Script(pace, retryable(RetryReason.UNREADABLE), retryable(RetryReason.UNREADABLE), "fine")
    assert pace.retries.send(Use.READ, script) == "fine"
    assert within_jitter(pace.clock.slept, [1, 2])
    script = Script(pace, retryable(RetryReason.UNREADABLE, "no list"), retryable(RetryReason.UNREADABLE, "no list"))
    with pytest.raises(ApiError, match="no list"):
        pace.retries.send(Use.READ, script)
    assert script.tries == UNREADABLE_TRIES


# what an earlier try may have done


LOST, UNCONNECTED = retryable(RetryReason.LOST), retryable(RetryReason.UNCONNECTED)
BEFORE = [
    ((), False),
    ((UNCONNECTED,), False),
    ((LOST,), True),
    ((LOST, UNCONNECTED), True),
    ((UNCONNECTED, LOST), True),
]


@pytest.mark.parametrize(("earlier", "sent_before"), BEFORE)
def test_an_error_says_whether_an_earlier_try_may_have_been_carried_out(
    earlier: tuple[RetryableError, ...], sent_before: bool
) -> None:
    pace = Pace()
    with pytest.raises(ApiError) as caught:
        pace.retries.send(Use.DELETE, Script(pace, *earlier, not_found()))
    assert caught.value.kind is ApiErrorKind.NOT_FOUND
    assert caught.value.sent_before is sent_before


@pytest.mark.parametrize("sent_before", [True, False])
def test_an_error_that_says_sent_before_keeps_it(sent_before: bool) -> None:
    pace = Pace()
    refused = ApiError(ApiErrorKind.OTHER, "no confirmation", sent_before=sent_before)
    with pytest.raises(ApiError) as caught:
        pace.retries.send(Use.DELETE, Script(pace, refused))
    assert caught.value.sent_before is sent_before


@pytest.mark.parametrize(("earlier", "in_flight"), BEFORE[1:])
def test_a_cancellation_says_whether_a_try_was_lost(earlier: tuple[RetryableError, ...], in_flight: bool) -> None:
    class CancelledAtLast(StillClock):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            if len(self.slept) == len(earlier):
                raise Cancelled

    pace = Pace(clock=CancelledAtLast())
    script = Script(pace, *earlier, "too late")
    with pytest.raises(Cancelled) as caught:
        pace.retries.send(Use.DELETE, script)
    assert caught.value.in_flight is in_flight
    assert script.tries == len(earlier)
    assert pace.rate_limiter.in_flight == 0


# the time limit


def test_no_request_is_sent_when_its_wait_ends_after_the_time_limit() -> None:
    pace = Pace(deadline=30.0)
    pace.refuse(Use.READ, {"retry-after": "60"})
    script = Script(pace, "fine")
    with pytest.raises(OutOfTime):
        pace.retries.send(Use.READ, script)
    assert (script.tries, pace.clock.slept) == (0, [])


@pytest.mark.parametrize("use", [Use.DELETE, Use.CREATE])
def test_a_write_does_not_wait_long_for_a_permit(use: Use) -> None:
    pace = Pace()
    pace.refuse(Use.READ, {"retry-after": "60"})
    script = Script(pace, "fine")
    with pytest.raises(RateLimitedError, match="a wait of 60 s") as caught:
        pace.retries.send(use, script)
    assert (script.tries, pace.clock.slept) == (0, [])
    assert (caught.value.wait, caught.value.sent_before) == (60, False)
    pace.clock.elapsed += 57
    assert pace.retries.send(use, script) == "fine"
    assert pace.clock.slept == [3]


def test_a_rate_limit_that_ends_after_the_time_limit_is_not_waited_for() -> None:
    pace = Pace(deadline=30.0)
    script = Script(pace, limited(retry_after="60"), "too late")
    with pytest.raises(OutOfTime):
        pace.retries.send(Use.READ, script)
    assert (script.tries, pace.clock.slept) == (1, [])


def test_a_lost_write_is_reported_when_the_time_is_over() -> None:
    endings: list[Callable[[], RetryableError]] = [
        lambda: limited(retry_after="60"),
        lambda: retryable(RetryReason.LOST),
    ]
    for ending in endings:
        pace = Pace(deadline=3.0)
        script = Script(pace, retryable(RetryReason.LOST, "broke off"), *itertools.repeat(ending(), 9), "too late")
        with pytest.raises(ApiError) as caught:
            pace.retries.send(Use.DELETE, script)
        assert caught.value.sent_before is True
        assert caught.value.kind is ApiErrorKind.UNREACHABLE
        assert pace.clock.elapsed <= 3.0


def test_a_given_permit_serves_the_first_try_only() -> None:
    pace = Pace()
    pace.hear(100_000, limit=100_000)
    held = pace.take(Use.DELETE)
    pace.retries.send(Use.DELETE, Script(pace, retryable(RetryReason.LOST), "fine"), held)
    assert pace.rate_limiter.in_flight == 0
    pace.clock.slept.clear()
    pace.send(Use.DELETE, 178)
    assert pace.clock.slept == []
    assert pace.wait(Use.DELETE) > 0


def test_a_given_permit_needs_no_wait() -> None:
    pace = Pace()
    held = pace.take(Use.DELETE)
    pace.refuse(Use.READ, {"retry-after": "60"})
    assert pace.retries.send(Use.DELETE, Script(pace, "fine"), held) == "fine"
    assert pace.clock.slept == []
