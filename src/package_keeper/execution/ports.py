"""The protocols through which operations reach the outside. `github` and `runner` implement them.

Reading and writing are separate: `list`, `verify`, `conflicts` and every dry run get no writer.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Protocol

from package_keeper.causes import Cause
from package_keeper.errors import ApiError
from package_keeper.execution.results import SendResult
from package_keeper.model.evidence import DeploymentRecord
from package_keeper.model.manifest import Description, Manifest, UnreadableManifest
from package_keeper.model.packages import Package, PackageName, PackageType, UnreadablePackage, Version
from package_keeper.model.permissions import TokenFacts
from package_keeper.model.repository import RepositoryState


class Reader(Protocol):
    """Reads the packages and versions of one owner. A method that does not return errors raises `ApiError`."""

    @property
    def token_facts(self) -> TokenFacts:
        """What GitHub's last answer shows about the token."""
        ...

    def conflicts(self) -> list[Package]:
        """List packages with a conflict from the Docker migration."""
        ...

    def packages(
        self, package_types: Sequence[PackageType]
    ) -> Mapping[PackageType, Sequence[Package | UnreadablePackage] | ApiError]:
        """List all packages of several types. A list that cannot be read is an error in the result."""
        ...

    def packages_named(self, packages: Iterable[PackageName]) -> Mapping[PackageName, Package | ApiError]:
        """Get several packages by name. A package that cannot be read is an error in the result."""
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
        """List all versions of several packages. A list that cannot be read is an error in the result.

        `seen` are the ids of the previous reading, for packages whose lists must be certain: a list of several pages is
        read until two readings in a row show the same ids. A list that changes too fast for that, or that GitHub calls
        incomplete, is an error. `gone` are the ids that this run deleted. An outdated list may still show them.
        """
        ...

    def is_long(self, package: PackageName) -> bool:
        """Whether the last list of active versions had several pages."""
        ...

    def is_incomplete(self, package: PackageName) -> bool:
        """Whether GitHub told this run that it does not list all versions of a package."""
        ...

    def version(self, package: PackageName, version_id: int) -> Version:
        """Get one active version."""
        ...

    def are_active(self, versions: Mapping[int, PackageName]) -> Mapping[int, bool | ApiError]:
        """Ask for each version by id whether it is active. A failed request is an error in the result.

        The answer is right even if a list is outdated. `versions` maps ids to packages.
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
        """Return the digests whose manifests were read before, and need no download."""
        ...

    def read_ahead(self, wanted: Mapping[PackageName, Iterable[str]]) -> None:
        """Read manifests of several packages side by side, so that `read` returns them at once."""
        ...

    def describe(self, package: PackageName, digest: str) -> Description:
        """Read what a manifest says of its origin and of the platforms of its children. Raises `ApiError`."""
        ...

    def exists(self, package: PackageName, digest: str) -> bool:
        """Whether the registry has a manifest. Raises `ApiError`."""
        ...


class TagWriter(Protocol):
    """Reads and moves the tags of one owner's packages. Every method raises `ApiError`."""

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
        """Put a manifest under a tag, and return its digest."""
        ...


class Writer(Protocol):
    """Changes the packages of one owner. Every method returns once GitHub confirmed it, or raises `ApiError`.

    `permit` is a permit of the `WritePool` to send one request. Without one, the method waits for its own.
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


ReadDeployments = Callable[[Iterable[str]], Mapping[str, Sequence[DeploymentRecord] | ApiError]]
"""Asks for the deployment records of several digests. A question without an answer has its error."""


class RepositoryReader(Protocol):
    """Reads the state and the releases of repositories."""

    def state(self, full_name: str) -> RepositoryState:
        """Read all pull requests, git tags and branches of `owner/name`. Raises `ApiError`."""
        ...

    def releases(self, full_name: str) -> frozenset[str]:
        """Read the tags of all published releases of `owner/name`. Raises `ApiError`."""
        ...


class WritePool(Protocol):
    """Sends writes in parallel, as fast as the rate limits allow. Use it from one thread only."""

    @property
    def in_flight(self) -> AbstractSet[int]:
        """The keys of the writes that are in flight."""
        ...

    @property
    def is_over(self) -> bool:
        """Whether `time-limit` has passed."""
        ...

    def wind_up(self) -> None:
        """From now on, allow requests after `time-limit` that need no wait, to finish images that have begun."""
        ...

    def admit(self, *, restores: bool, more: int = 0) -> Any | float:
        """A permit for one write, or the seconds to wait before asking again. `more` permits are held already."""
        ...

    def room(self, *, restores: bool) -> float:
        """How many writes the known limits allow before `time-limit` ends. Infinite without `time-limit`."""
        ...

    def wait(self, *, restores: bool) -> float:
        """The seconds until a write may be sent when none is in flight."""
        ...

    def start(self, key: int, permit: Any, call: Callable[[Any], SendResult]) -> None:
        """Call `call(permit)` in a worker thread. `completed` returns the result under `key`."""
        ...

    def give_back(self, permit: Any) -> None:
        """Return a permit that was not used."""
        ...

    def completed(self) -> Sequence[tuple[int, SendResult]]:
        """Wait a moment for writes in flight, and return the results of those that have ended."""
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
        """Within the block, allow requests after `time-limit` that need no wait, to finish an image that has begun."""
        ...


class Interruption(Protocol):
    """Delays a cancellation between a request and the line that records it."""

    @property
    def is_requested(self) -> bool:
        """Whether the run was asked to stop."""
        ...

    def shield(self) -> AbstractContextManager[None]:
        """Delay a cancellation until the end of the block, then raise `Cancelled`."""
        ...


class Clock(Protocol):
    """Time."""

    def now(self) -> datetime:
        """The current time, aware."""
        ...

    def monotonic(self) -> float:
        """Monotonic seconds."""
        ...


class Log(Protocol):
    """The log. Texts may contain foreign content; the log escapes it. An annotation has a `title`;
    `causes` are those in the catalogue, about which the log gives advice.
    """

    @property
    def shows_details(self) -> bool:
        """Whether `debug` lines are shown. Formatting 100,000 of them takes time."""
        ...

    def error(self, text: str, *, title: str = "", causes: Sequence[Cause] = ()) -> None:
        """Log an error."""
        ...

    def warning(self, text: str, *, title: str = "", causes: Sequence[Cause] = ()) -> None:
        """Log a warning."""
        ...

    def notice(self, text: str, *, title: str = "", causes: Sequence[Cause] = ()) -> None:
        """Log something that is easily missed."""
        ...

    def info(self, text: str) -> None:
        """Log what happens."""
        ...

    def debug(self, text: str) -> None:
        """Log what happens, in detail."""
        ...

    def group(self, title: str) -> AbstractContextManager[None]:
        """Put the lines of the block under a title."""
        ...

    def progress(self, what: str, done: int, total: int) -> None:
        """Note how far a step is; the log shows it from time to time."""
        ...
