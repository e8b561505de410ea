"""Every way a run can end other than well, and every way GitHub says no, one class each.

The exit statuses are those of the public contract ("Exit status"): `130` cancelled, `2` bad input, `3` refused by
a guard, `4` authentication, `5` GitHub unreachable, `1` items failed. `main` turns them into the process's status.
"""

import re
from collections.abc import Iterator, Sequence
from enum import StrEnum


class PackageKeeperError(Exception):
    """A run ended early. `status` is the exit status, `str(error)` the message that users read."""

    status = 1


class BadInput(PackageKeeperError):
    """What was asked cannot be done as written; nothing was written. Holds all problems at once."""

    status = 2

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        count = f"{len(problems)} problems" if len(problems) > 1 else "1 problem"
        super().__init__(f"{count} with the inputs:\n" + "\n".join(f"- {line}" for line in few_of_each_kind(problems)))


MOST_OF_A_KIND = 5
"""Problems of one kind that are shown."""


def few_of_each_kind(problems: Sequence[str]) -> Iterator[str]:
    """The first problems of each kind, and how many more there are: equal but for what they quote and for numbers."""
    kinds: dict[str, list[str]] = {}
    for problem in problems:
        kinds.setdefault(re.sub(r"'.*'|[0-9a-f]{12,}|[0-9]+", "", problem, flags=re.DOTALL), []).append(problem)
    for found in kinds.values():
        # one more is as long as a line that says so
        shown = found if len(found) == MOST_OF_A_KIND + 1 else found[:MOST_OF_A_KIND]
        yield from shown
        if len(found) > len(shown):
            yield f"and {len(found) - len(shown)} more like these"


class GuardRefused(PackageKeeperError):
    """A guard or a stale plan refused the whole run; nothing was written."""

    status = 3


class NotAuthorized(PackageKeeperError):
    """The token is not accepted, or nothing in scope is permitted to it."""

    status = 4


class Unreachable(PackageKeeperError):
    """GitHub did not answer, or answered nonsense, until the retries ran out."""

    status = 5


class OutOfTime(PackageKeeperError):
    """The time that `time-limit` gives is over, or would be before the next request may be sent; no failure.

    `why` is what would have to be waited for: a limit, what is left of it and when it ends, or what went wrong.
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
    """What nobody expected, as users read it."""
    return PackageKeeperError(
        f"unexpected {type(error).__name__}: {error}. This is a defect of Package Keeper; please report it with what"
        " log-level: debug says"
    )


PERMISSIONS_BLOCK = "permissions:\n  contents: read\n  packages: write"

CLASSIC_SCOPES = (
    "a classic token needs the scopes read:packages, delete:packages (to delete) and write:packages (to restore);"
    " for maven, rubygems, npm, nuget and docker packages that belong to a repository also repo"
)

ADMIN_ROLE = (
    "The repository needs the Admin role on the package (package settings, Manage Actions access), and the workflow"
    f" needs:\n{PERMISSIONS_BLOCK}\nA personal account needs Admin on the package; {CLASSIC_SCOPES}."
)

SHORTEST_SECRET = 6
"""Shorter texts are no secrets, and would be found in any text."""


class ApiErrorKind(StrEnum):
    """What a refusal by GitHub means, decided by message as well as status (docs/github-behaviour.md, "Refusals")."""

    PROTECTED_BY_DOWNLOADS = "protected-by-downloads"
    LAST_VERSION = "last-version"
    LISTING_REFUSED = "listing-refused"
    UNAUTHORIZED = "unauthorized"
    NO_PERMISSION = "no-permission"
    NOT_FOUND = "not-found"
    ALREADY_EXISTS = "already-exists"
    """Of a restoration: something active has the name. GitHub says so with the status of a missing permission."""
    UNREACHABLE = "unreachable"
    UNREADABLE = "unreadable"
    """The answer came, and is not what was asked for."""
    CHANGED = "changed"
    """Not GitHub's word: a look right before the write shows that things are no longer as planned."""
    UNCONFIRMED = "unconfirmed"
    """A write was answered with a success that is not GitHub's: it may have been carried out."""
    OTHER = "other"


class ApiError(Exception):
    """GitHub said no to one request, after retries where they make sense.

    `message` is GitHub's own text (or what went wrong on the wire), `remedy` what the user can change, ready to
    paste, or an empty string. `sent_before` is true when an earlier attempt of the same request was lost without
    an answer, so that it may have been carried out; `out_of_time` when only `time-limit` kept it from another try.
    """

    def __init__(
        self,
        kind: ApiErrorKind,
        message: str,
        *,
        status: int | None = None,
        remedy: str = "",
        sent_before: bool = False,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.status = status
        self.remedy = remedy
        self.sent_before = sent_before
        self.out_of_time = False

    def hide(self, secret: str) -> None:
        """Take a secret out of all texts, should whoever answered have echoed it."""
        if len(secret) >= SHORTEST_SECRET:
            self.message = self.message.replace(secret, "***")
            self.remedy = self.remedy.replace(secret, "***")

    def __str__(self) -> str:
        """Give GitHub's message, with the status when there was one."""
        return f"{self.message} (HTTP {self.status})" if self.status else self.message


class RateLimitedError(ApiError):
    """A limit refuses a write, and all have to wait; whether it still is to be sent then is to be looked at then.

    `wait` is how many seconds that is, as far as is known. `sent_before` is true when an earlier attempt of it was
    lost; else it was certainly not carried out.
    """

    def __init__(self, refused: ApiError, wait: float, *, sent_before: bool) -> None:
        kind = ApiErrorKind.UNREACHABLE if sent_before else ApiErrorKind.OTHER
        super().__init__(kind, refused.message, status=refused.status, sent_before=sent_before)
        self.wait = wait
