"""How the sending of one write ended, as frozen values. The executor is one `match` over them."""

from collections.abc import Callable
from dataclasses import dataclass

from package_keeper.errors import ApiError, Cancelled, OutOfTime, RateLimitedError
from package_keeper.model.plan import Outcome


@dataclass(frozen=True)
class Done:
    """GitHub confirmed the write."""


@dataclass(frozen=True)
class Refused:
    """GitHub refused the write, or did not answer. When `uncertain`, it may have carried the write out all the same."""

    error: ApiError
    uncertain: bool


@dataclass(frozen=True)
class RateLimited:
    """GitHub rate-limited the write; `wait` are the seconds until another try.

    When `uncertain`, an earlier try got no answer, so that GitHub may have carried the write out.
    """

    error: RateLimitedError
    wait: float
    uncertain: bool


@dataclass(frozen=True)
class Interrupted:
    """The run ended while the write was sent: cancelled, out of time, or by a defect in this program.

    When `uncertain`, the request was under way, so that GitHub may have carried the write out.
    """

    error: Exception
    uncertain: bool


SendResult = Done | Refused | RateLimited | Interrupted


@dataclass(frozen=True)
class Answer:
    """What a result means for a write.

    Unless `certain`, GitHub may have carried the write out all the same. `is_cut_off` means that nobody knows whether
    it did: the receipt gets no second line.
    """

    outcome: Outcome
    message: str = ""
    certain: bool = True
    is_cut_off: bool = False


def send(write: Callable[[], None]) -> SendResult:
    """Call `write`, which sends one write, and say how it ended. Raises nothing."""
    try:
        write()
    except RateLimitedError as error:
        return RateLimited(error, error.wait, uncertain=error.sent_before)
    except ApiError as error:
        return Refused(error, uncertain=error.sent_before)
    except OutOfTime as error:
        # the wait before the request was too long: nothing was sent
        return Interrupted(error, uncertain=False)
    except Cancelled as error:
        return Interrupted(error, uncertain=error.in_flight)
    except Exception as error:  # noqa: BLE001  # reason: a defect is reported with everything that was done
        return Interrupted(error, uncertain=True)
    return Done()
