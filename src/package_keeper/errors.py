"""The errors of a run: those that end it, one class for each exit status, and `ApiError` for one failed request.

The exit statuses are those of docs/reference.md, "Exit status": `130` cancelled, `2` bad input, `3` refused by a guard,
`4` authentication, `5` GitHub unreachable, `1` items failed.
"""

import base64
import json
import re
from collections.abc import Iterator, Sequence
from enum import StrEnum
from functools import cache
from typing import Final
from urllib.parse import quote

from package_keeper.causes import Cause, causes_of


class PackageKeeperError(Exception):
    """A run ended early. `status` is the exit status, `str(error)` the message for users."""

    status = 1

    def __init__(self, text: str = "", *, causes: Sequence[Cause] = ()) -> None:
        super().__init__(text)
        self.causes = tuple(causes)


class BadInput(PackageKeeperError):
    """The inputs ask for something that cannot be done. Nothing was written. Holds all problems at once."""

    status = 2

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        count = f"{len(problems)} problems" if len(problems) > 1 else "1 problem"
        text = f"{count} with the inputs:\n" + "\n".join(f"- {line}" for line in few_of_each_kind(problems))
        super().__init__(text, causes=causes_of(problems))


MOST_OF_A_KIND = 5
"""How many problems of one kind are shown."""


def few_of_each_kind(problems: Sequence[str]) -> Iterator[str]:
    """Give the first problems of each kind, and how many more there are.

    Problems are of one kind when they differ only in quoted texts, digests and numbers.
    """
    kinds: dict[str, list[str]] = {}
    for problem in problems:
        kinds.setdefault(kind_of(problem), []).append(problem)
    for found in kinds.values():
        # "and 1 more" would be as long as the problem itself
        shown = found if len(found) == MOST_OF_A_KIND + 1 else found[:MOST_OF_A_KIND]
        yield from shown
        if len(found) > len(shown):
            yield f"and {len(found) - len(shown)} more like these"


def kind_of(text: str) -> str:
    """A text without quoted texts, digests and numbers: two texts of one kind have the same cause."""
    return re.sub(r"'.*'|[0-9a-f]{12,}|[0-9]+", "", text, flags=re.DOTALL)


class GuardRefused(PackageKeeperError):
    """A guard or a stale plan refused the whole run. Nothing was written."""

    status = 3


class NotAuthorized(PackageKeeperError):
    """GitHub does not accept the token, or the token has no permission for anything in scope."""

    status = 4


class Unreachable(PackageKeeperError):
    """GitHub did not answer, or its answers were unusable, until the retries ran out."""

    status = 5


class OutOfTime(PackageKeeperError):
    """`time-limit` is reached, or would be before the next request may be sent. This is not a failure.

    `why` names the wait that does not fit: which limit, what is left of it, and when it resets.
    """

    status = 0

    def __init__(self, why: str = "") -> None:
        self.why = why or "time-limit is reached"
        super().__init__(f"{self.why}; the next run goes on from here.")


class Cancelled(PackageKeeperError):
    """The runner or the user asked the run to stop (SIGINT, SIGTERM).

    `in_flight` is true when a request was cut off, so that nobody knows whether it was carried out.
    """

    status = 130

    def __init__(self, *, in_flight: bool = False) -> None:
        super().__init__("The run was cancelled.")
        self.in_flight = in_flight


def defect(error: Exception) -> PackageKeeperError:
    """Describe an unexpected exception to users."""
    return PackageKeeperError(
        f"unexpected {type(error).__name__}: {error}. This is a defect of Package Keeper; please report it with what"
        " log-level: debug says"
    )


BASIC_USER = "package-keeper"
"""The name beside the token in the Basic authorization of the registry. Any name will do."""

SHORTEST_SECRET = 6
"""Shorter texts are not treated as secrets: they occur in ordinary text."""


def without_secret(text: str, secret: str) -> str:
    """Hide a secret in a text, also where it is encoded as in a header, a URL or JSON."""
    for spelling in _spellings(secret) if len(secret) >= SHORTEST_SECRET else ():
        text = text.replace(spelling, "***")
    return text


@cache
def _spellings(secret: str) -> tuple[str, ...]:
    """The secret as it may come back, the longest first. Base64 depends on what is in front, by three positions."""
    found = {secret, quote(secret, safe=""), json.dumps(secret)[1:-1]}
    found |= {base64.b64encode(each.encode()).decode().rstrip("=") for each in (secret, f"{BASIC_USER}:{secret}")}
    for position in range(3):
        data = b"\0" * position + secret.encode()
        # the first and the last characters hold bits of what is around the secret too
        found.add(base64.b64encode(data)[-(-4 * position // 3) : len(data) * 4 // 3].decode())
    found |= {each.replace("+", "-").replace("/", "_") for each in found if each != secret}
    return tuple(sorted(found, key=len, reverse=True))


class ApiErrorKind(StrEnum):
    """What an error from GitHub means; its message decides as well as its status.

    The rules are in docs/github-behaviour.md, "Refusals".
    """

    PROTECTED_BY_DOWNLOADS = "protected-by-downloads"
    LAST_VERSION = "last-version"
    LISTING_REFUSED = "listing-refused"
    UNAUTHORIZED = "unauthorized"
    NO_PERMISSION = "no-permission"
    NOT_FOUND = "not-found"
    ALREADY_EXISTS = "already-exists"
    """A restoration failed because something active has the name. The status may be that of a missing permission."""
    UNREACHABLE = "unreachable"
    UNREADABLE = "unreadable"
    """There was an answer, but it is not what was asked for."""
    CHANGED = "changed"
    """Our own check right before the write found that things are no longer as planned. The write was not sent."""
    UNCONFIRMED = "unconfirmed"
    """A write was answered with a success that is not GitHub's. It may have been carried out."""
    OTHER = "other"


class ApiError(Exception):
    """A request failed, after retries where they make sense. It never changes; `replace` gives a new one.

    `message` is GitHub's own text, or what went wrong with the connection. `remedy` is what users can change, ready to
    paste, or an empty string; `cause` is its place in the catalogue, if it has one. `sent_before` is true when the
    request may have been carried out, since the answer to an earlier try was lost. `out_of_time` is true when only
    `time-limit` prevented another try.
    """

    def __init__(
        self,
        kind: ApiErrorKind,
        message: str,
        *,
        status: int | None = None,
        remedy: str = "",
        sent_before: bool = False,
        out_of_time: bool = False,
        cause: Cause | None = None,
    ) -> None:
        super().__init__(message)
        self.cause: Final = cause
        self.kind: Final = kind
        self.message: Final = message
        self.status: Final = status
        self.remedy: Final = remedy
        self.sent_before = sent_before
        self.out_of_time: Final = out_of_time

    def replace(
        self,
        *,
        kind: ApiErrorKind | None = None,
        sent_before: bool | None = None,
        out_of_time: bool | None = None,
    ) -> "ApiError":
        """Give a new error that differs in the values given."""
        return ApiError(
            self.kind if kind is None else kind,
            self.message,
            status=self.status,
            remedy=self.remedy,
            sent_before=self.sent_before if sent_before is None else sent_before,
            out_of_time=self.out_of_time if out_of_time is None else out_of_time,
            cause=self.cause,
        )

    @property
    def causes(self) -> tuple[Cause, ...]:
        """The cause, if it is in the catalogue."""
        return () if self.cause is None else (self.cause,)

    def __str__(self) -> str:
        """Give the message, with the status if there was one."""
        return f"{self.message} (HTTP {self.status})" if self.status else self.message


class RateLimitedError(ApiError):
    """GitHub rate-limited this write. After the pause, check again that it is still wanted.

    `wait` is the pause in seconds, as far as is known. Without `sent_before` the write was certainly not carried out.
    """

    def __init__(self, error: ApiError, wait: float, *, sent_before: bool) -> None:
        kind = ApiErrorKind.UNREACHABLE if sent_before else ApiErrorKind.OTHER
        super().__init__(kind, error.message, status=error.status, sent_before=sent_before)
        self.wait: Final = wait
