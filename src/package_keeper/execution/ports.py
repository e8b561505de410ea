"""What the operations need of the world, in their own words. The wire and the runner fit in; the core knows neither.

Reading and writing are different protocols: `list`, `conflicts` and every dry run are given no writer.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Protocol

from package_keeper.errors import ApiError
from package_keeper.model.packages import Package, PackageName, PackageType, UnreadablePackage, Version
from package_keeper.model.repository import RepositoryState


class Reader(Protocol):
    """Reads packages and versions of one owner. Every method that gives no refusals may raise `ApiError`."""

    def conflicts(self) -> list[Package]:
        """List packages with a Docker-migration conflict."""
        ...

    def packages(
        self, package_types: Sequence[PackageType]
    ) -> Mapping[PackageType, Sequence[Package | UnreadablePackage] | ApiError]:
        """List all packages of several types; a type whose list is refused has the refusal instead."""
        ...

    def packages_named(self, packages: Iterable[PackageName]) -> Mapping[PackageName, Package | ApiError]:
        """Get several packages; one that is refused has the refusal instead."""
        ...

    def package(self, package: PackageName) -> Package:
        """Get one package."""
        ...

    def versions(self, package: PackageName, *, deleted: bool = False) -> list[Version]:
        """List all active, or all deleted versions."""
        ...

    def versions_of(
        self,
        packages: Iterable[PackageName],
        *,
        deleted: bool = False,
        seen: Mapping[PackageName, AbstractSet[int]] | None = None,
        gone: AbstractSet[int] = frozenset(),
    ) -> Mapping[PackageName, list[Version] | ApiError]:
        """List all versions of several packages; a list that is refused has the refusal instead.

        The lists of packages in `seen` must be certain: those are the ids that the reading before showed. A list of
        several pages is read until two readings in a row show the same ids, and one that changes too fast for that, or
        that GitHub calls incomplete, is refused. `gone` are the ids that this run deleted: a list that lags may go on
        showing them.
        """
        ...

    def is_long(self, package: PackageName) -> bool:
        """Whether the list of its active versions took several pages when it was read last."""
        ...

    def is_incomplete(self, package: PackageName) -> bool:
        """Whether GitHub has said in this run that it does not list all versions of a package."""
        ...

    def version(self, package: PackageName, version_id: int) -> Version:
        """Get one active version."""
        ...

    def are_active(self, versions: Iterable[Version]) -> Mapping[int, bool | None]:
        """Ask for each version by its id whether it is there, whatever lists say; `None` where that cannot be told."""
        ...


class Looks(Protocol):
    """Looks at single versions: a list may lag behind (docs/github-behaviour.md, "Refusals")."""

    def active(self, package: PackageName, ids: Iterable[int]) -> AbstractSet[int]:
        """Those of the versions that are active; may raise `ApiError`."""
        ...


class RepositoryReader(Protocol):
    """Reads the life of repositories."""

    def state(self, full_name: str) -> RepositoryState:
        """Read all pull requests, git tags and branches of `owner/name`; may raise `ApiError`."""
        ...


class Writer(Protocol):
    """Changes packages of one owner. Every method returns when it is confirmed, and raises `ApiError` otherwise."""

    def delete_version(self, package: PackageName, version_id: int) -> None:
        """Delete one version."""
        ...

    def restore_version(self, package: PackageName, version_id: int) -> None:
        """Restore one version."""
        ...

    def delete_package(self, package: PackageName) -> None:
        """Delete a whole package."""
        ...

    def restore_package(self, package: PackageName) -> None:
        """Restore a whole package."""
        ...


class Log(Protocol):
    """Says what happens. Values may hold what others wrote; the log makes them harmless."""

    @property
    def shows_details(self) -> bool:
        """Whether anybody will see what `debug` is told: a line for each of 100,000 versions costs time."""
        ...

    def error(self, text: str) -> None:
        """Something failed."""
        ...

    def warning(self, text: str) -> None:
        """Something that the user should know."""
        ...

    def notice(self, text: str) -> None:
        """Something that is easily missed."""
        ...

    def info(self, text: str) -> None:
        """What happens."""
        ...

    def debug(self, text: str) -> None:
        """What happens, in detail."""
        ...

    def group(self, title: str) -> AbstractContextManager[None]:
        """Put what is said meanwhile under a title."""
        ...


class Permit(Protocol):
    """Permit to send one request now."""

    @property
    def at(self) -> float:
        """When it was given, in monotonic seconds."""
        ...


class Completed(Protocol):
    """A write that came back."""

    @property
    def key(self) -> int:
        """The key under which it was started."""
        ...

    @property
    def error(self) -> BaseException | None:
        """What it raised, if it did."""
        ...


class WritePool(Protocol):
    """Sends writes side by side, as fast as limits let; to be used from one thread."""

    @property
    def in_flight(self) -> AbstractSet[int]:
        """The keys of the writes that are under way."""
        ...

    @property
    def is_over(self) -> bool:
        """Whether `time-limit` has passed."""
        ...

    def wind_up(self) -> None:
        """Let what is left to look at be looked at after `time-limit`; nothing new begins."""
        ...

    def admit(self, *, restores: bool, more: int = 0) -> Permit | float:
        """Permit to send one write, or the seconds until asking again is worth it; `more` have leave already."""
        ...

    def room(self, *, restores: bool) -> float:
        """How many writes can be sent before `time-limit` ends, as far as limits are known; infinite without one."""
        ...

    def wait(self, *, restores: bool) -> float:
        """The seconds until a write may be sent, of which none is under way."""
        ...

    def start(self, key: int, leave: Any, call: Callable[[], None]) -> None:
        """Start a write that has leave."""
        ...

    def give_back(self, leave: Any) -> None:
        """Give back leave for a write that is not sent after all."""
        ...

    def completed(self) -> Sequence[Completed]:
        """Wait a moment for writes that came back, and give those that did."""
        ...

    def rest(self, seconds: float, *, restores: bool) -> None:
        """Wait until a write may be sent. Raises `OutOfTime` and `Cancelled`."""
        ...


class Interruption(Protocol):
    """Keeps a cancellation from striking between a request and the line that records it."""

    @property
    def is_requested(self) -> bool:
        """Whether the run was asked to stop."""
        ...

    def shield(self) -> AbstractContextManager[None]:
        """Hold a cancellation back until the end of the block, where it raises `Cancelled`."""
        ...


class ReceiptFile(Protocol):
    """A file that is only ever appended to."""

    def append(self, line: bytes) -> None:
        """Write a line and have it on disk before returning."""
        ...


class Pause(Protocol):
    """Waiting, within `time-limit`."""

    def sleep(self, seconds: float, why: str = "") -> None:
        """Wait, and tell why if that takes long. Raises `Cancelled`, and `OutOfTime` instead of waiting past it."""
        ...

    def finishing(self) -> AbstractContextManager[None]:
        """Until the end of the block, let what is begun be finished after `time-limit` where it need not wait."""
        ...


class Stopwatch(Protocol):
    """Time that only grows."""

    def monotonic(self) -> float:
        """Seconds since some moment."""
        ...


class WallClock(Protocol):
    """The time of day."""

    def now(self) -> datetime:
        """The current time, aware."""
        ...
