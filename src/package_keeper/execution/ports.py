"""What the operations need from outside, as small protocols. `github` and `runner` implement them.

Reading and writing are separate: `list`, `verify`, `conflicts` and every dry run get no writer.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Protocol

from package_keeper.errors import ApiError
from package_keeper.execution.results import SendResult
from package_keeper.model.manifest import Manifest, UnreadableManifest
from package_keeper.model.packages import Package, PackageName, PackageType, UnreadablePackage, Version
from package_keeper.model.repository import RepositoryState


class Reader(Protocol):
    """Reads the packages and versions of one owner. A method whose result holds no `ApiError` may raise one."""

    def conflicts(self) -> list[Package]:
        """List packages with a conflict from the Docker migration."""
        ...

    def packages(
        self, package_types: Sequence[PackageType]
    ) -> Mapping[PackageType, Sequence[Package | UnreadablePackage] | ApiError]:
        """List all packages of several types, or give the error of a list."""
        ...

    def packages_named(self, packages: Iterable[PackageName]) -> Mapping[PackageName, Package | ApiError]:
        """Get several packages by name, or the error of each."""
        ...

    def package(self, package: PackageName) -> Package:
        """Get one package."""
        ...

    def versions(self, package: PackageName, *, deleted: bool = False) -> list[Version]:
        """List all active versions, or all versions deleted in the last 30 days."""
        ...

    def versions_of(
        self,
        packages: Iterable[PackageName],
        *,
        deleted: bool = False,
        seen: Mapping[PackageName, AbstractSet[int]] | None = None,
        gone: AbstractSet[int] = frozenset(),
    ) -> Mapping[PackageName, list[Version] | ApiError]:
        """List all versions of several packages, or give the error of a list.

        `seen` are the ids that the previous reading showed. The lists of these packages must be certain: a list of
        several pages is read until two readings in a row show the same ids. A list that changes too fast for that, or
        that GitHub calls incomplete, is an error. `gone` are the ids that this run deleted; a list that lags behind may
        still show them.
        """
        ...

    def is_long(self, package: PackageName) -> bool:
        """Whether the last list of active versions took several pages."""
        ...

    def is_incomplete(self, package: PackageName) -> bool:
        """Whether GitHub said in this run that it does not list all versions of a package."""
        ...

    def version(self, package: PackageName, version_id: int) -> Version:
        """Get one active version."""
        ...

    def are_active(self, versions: Mapping[int, PackageName]) -> Mapping[int, bool | ApiError]:
        """Ask for each version by its id whether it is active, or give the error of a request.

        The answer holds whatever lists say. `versions` are ids, each with its package.
        """
        ...


class ManifestReader(Protocol):
    """Reads the manifests of one owner's packages."""

    def read(self, package: PackageName, digests: Iterable[str]) -> Mapping[str, Manifest | UnreadableManifest]:
        """Read manifests."""
        ...

    def are_indexes(self, package: PackageName, digests: Iterable[str]) -> Mapping[str, bool | None]:
        """Ask which manifests are indexes, without downloading them. `None` is unknown."""
        ...

    def at_hand(self, package: PackageName, digests: Iterable[str]) -> Iterable[str]:
        """Those of the digests whose manifests were read before, and need no download."""
        ...

    def exists(self, package: PackageName, digest: str) -> bool:
        """Whether the registry has a manifest. May raise `ApiError`."""
        ...


class TagWriter(Protocol):
    """Reads and moves the tags of one owner's packages. Every method may raise `ApiError`."""

    def tag_digest(self, package: PackageName, tag: str) -> str | None:
        """The digest that a tag points to, or `None` when there is no such tag."""
        ...

    def manifest_bytes(self, package: PackageName, digest: str) -> bytes:
        """The bytes of a manifest."""
        ...

    def is_stub(self, package: PackageName, digest: str) -> bool:
        """Whether a manifest is a stub."""
        ...

    def put(self, package: PackageName, tag: str, body: bytes) -> str:
        """Put a manifest under a tag, and give its digest."""
        ...


class Writer(Protocol):
    """Changes the packages of one owner. Every method returns when GitHub confirmed it, and raises `ApiError` if not.

    `permit` is a permit of the `WritePool` to send one request; without one, the method waits for its own.
    """

    def delete_version(self, package: PackageName, version_id: int, permit: Any = None) -> None:
        """Delete one version."""
        ...

    def restore_version(self, package: PackageName, version_id: int, permit: Any = None) -> None:
        """Restore one version."""
        ...

    def delete_package(self, package: PackageName, permit: Any = None) -> None:
        """Delete a whole package."""
        ...

    def restore_package(self, package: PackageName, permit: Any = None) -> None:
        """Restore a whole package."""
        ...


class RepositoryReader(Protocol):
    """Reads the state of repositories."""

    def state(self, full_name: str) -> RepositoryState:
        """Read all pull requests, git tags and branches of `owner/name`. May raise `ApiError`."""
        ...


class WritePool(Protocol):
    """Sends writes in parallel, as fast as the rate limits allow. For use from one thread."""

    @property
    def in_flight(self) -> AbstractSet[int]:
        """The keys of the writes that are in flight."""
        ...

    @property
    def is_over(self) -> bool:
        """Whether `time-limit` has passed."""
        ...

    def wind_up(self) -> None:
        """Allow requests after `time-limit` that need no wait, to finish what has begun."""
        ...

    def admit(self, *, restores: bool, more: int = 0) -> Any | float:
        """A permit for one write, or the seconds until it is worth asking again. `more` permits are held already."""
        ...

    def room(self, *, restores: bool) -> float:
        """How many writes the known limits allow before `time-limit` ends. Infinite without `time-limit`."""
        ...

    def wait(self, *, restores: bool) -> float:
        """The seconds until a write may be sent when none is in flight."""
        ...

    def start(self, key: int, permit: Any, call: Callable[[Any], SendResult]) -> None:
        """Call `call(permit)` in a thread; the result comes back under `key`."""
        ...

    def give_back(self, permit: Any) -> None:
        """Give back a permit that is not used."""
        ...

    def completed(self) -> Sequence[tuple[int, SendResult]]:
        """Wait a moment for writes in flight, and give the results of those that have ended."""
        ...

    def rest(self, seconds: float, *, restores: bool) -> None:
        """Wait until a write may be sent. Raises `OutOfTime` and `Cancelled`."""
        ...


class Pause(Protocol):
    """Waiting, within `time-limit`."""

    def sleep(self, seconds: float, why: str = "") -> None:
        """Wait, and log why if the wait is long.

        Raises `Cancelled`. Raises `OutOfTime` at once when the wait would end after `time-limit`.
        """
        ...

    def finishing(self) -> AbstractContextManager[None]:
        """Within the block, allow requests after `time-limit` that need no wait, to finish what has begun."""
        ...


class Interruption(Protocol):
    """Holds a cancellation back between a request and the line that records it."""

    @property
    def is_requested(self) -> bool:
        """Whether the run was asked to stop."""
        ...

    def shield(self) -> AbstractContextManager[None]:
        """Hold a cancellation back until the end of the block, where it raises `Cancelled`."""
        ...


class Clock(Protocol):
    """Time."""

    def now(self) -> datetime:
        """The current time, aware."""
        ...

    def monotonic(self) -> float:
        """Seconds that only grow."""
        ...


class Log(Protocol):
    """Says what happens. Texts may contain what others wrote; the log makes them harmless."""

    @property
    def shows_details(self) -> bool:
        """Whether `debug` lines are shown. Making one for each of 100,000 versions takes time."""
        ...

    def error(self, text: str) -> None:
        """Say that something failed."""
        ...

    def warning(self, text: str) -> None:
        """Say something that the user should know."""
        ...

    def notice(self, text: str) -> None:
        """Say something that is easily missed."""
        ...

    def info(self, text: str) -> None:
        """Say what happens."""
        ...

    def debug(self, text: str) -> None:
        """Say what happens, in detail."""
        ...

    def group(self, title: str) -> AbstractContextManager[None]:
        """Put the lines of the block under a title."""
        ...
