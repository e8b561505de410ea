"""How sending one write ended, as frozen values."""

from collections.abc import Callable

from msgspec import Struct

from package_keeper.errors import ApiError, Cancelled, OutOfTime, RateLimitedError
from package_keeper.model.plan import Outcome


class Done(Struct, frozen=True):
    """GitHub confirmed the write."""


class Refused(Struct, frozen=True):
    """GitHub refused the write, or did not answer. When `uncertain`, the write may have happened all the same."""

    error: ApiError
    uncertain: bool


class RateLimited(Struct, frozen=True):
    """GitHub rate-limited the write. `wait` is the number of seconds until another try.

    When `uncertain`, an earlier try got no answer, so the write may have happened.
    """

    error: RateLimitedError
    wait: float
    uncertain: bool


class Interrupted(Struct, frozen=True):
    """The run was cancelled or out of time, or met a defect of this program, while it sent the write.

    When `uncertain`, the request was in flight, so the write may have happened.
    """

    error: Exception
    uncertain: bool


SendResult = Done | Refused | RateLimited | Interrupted


class Answer(Struct, frozen=True):
    """What a result means for a write.

    Unless `certain`, the write may have happened all the same. With `is_cut_off`, the request was interrupted: the
    receipt gets no second line.
    """

    outcome: Outcome
    message: str = ""
    certain: bool = True
    is_cut_off: bool = False


def send(write: Callable[[], None]) -> SendResult:
    """Call `write`, which sends one write, and return how it ended. Raises nothing."""
    try:
        write()
    except RateLimitedError as error:
        return RateLimited(error, error.wait, uncertain=error.sent_before)
    except ApiError as error:
        return Refused(error, uncertain=error.sent_before)
    except OutOfTime as error:
        # the wait before the request would have been too long: nothing was sent
        return Interrupted(error, uncertain=False)
    except Cancelled as error:
        return Interrupted(error, uncertain=error.in_flight)
    except Exception as error:  # noqa: BLE001  # reason: report a defect together with what was done
        return Interrupted(error, uncertain=True)
    return Done()
