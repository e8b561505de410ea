"""An owner's packages in memory, and operations that run over them without a process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime
from functools import partial
from typing import Any, cast

from msgspec.structs import replace

from package_keeper.errors import ApiError, ApiErrorKind
from package_keeper.execution.facts import FactGatherer
from package_keeper.execution.ports import RepositoryReader
from package_keeper.execution.receipt import Receipt, ReceiptEntry
from package_keeper.execution.scope import PackageFilter
from package_keeper.execution.untag import Untagger
from package_keeper.inputs.parser import parse_settings
from package_keeper.model.manifest import Description, Manifest, Obstacle, UnreadableManifest
from package_keeper.model.packages import Package, PackageName, PackageType, Version
from package_keeper.model.permissions import TokenFacts
from package_keeper.model.plan import GuardedPlan
from package_keeper.model.run import Run
from package_keeper.operations.context import Context, Operation, Writing, unasked
from package_keeper.policy.forecasts import Refused
from package_keeper.policy.images_in_use import ImagesInUse
from package_keeper.runner.logs import Log, Place
from tests.unit.making import NOW, key, package, version
from tests.unit.model.memory import OWNER, Paper, executor
from tests.unit.model.worlds import child, index, plain
from tests.unit.pool import WritePool

INPUTS = {"token": "t", "owner": "acme", "api-url": "https://api.github.com"}


APP = key("container")


def digest(number: int) -> str:
    return f"sha256:{number:04x}".ljust(71, "0")


def image(number: int, *tags: str, name: int | None = None, of: PackageName = APP, active: bool = False) -> Version:
    """A version whose digest follows from its id, or from `name`. It is deleted unless it is `active`."""
    deleted_at = None if active else NOW
    return version(number, of=of, name=digest(name or number), tags=tags, deleted_at=deleted_at)


class Told(Log):
    """A log in memory: each message with its kind and its title, if it has one."""

    def __init__(self, level: str = "info") -> None:
        super().__init__(level, "")
        self.said: list[str] = []

    def _show(self, kind: str, text: str, title: str, place: Place | None) -> None:
        self.said.append(f"{kind}{f' ({title})' if title else ''}: {text}")

    @property
    def is_requested(self) -> bool:
        return False

    @contextmanager
    def shield(self) -> Iterator[None]:
        yield

    def of(self, *kinds: str) -> list[str]:
        """The messages of some kinds."""
        return [line for line in self.said if line.startswith(kinds)]


class Account:
    """The packages of one owner, deleted ones too. It is a reader, a writer and a registry.

    `late` are the ids of versions that outdated lists show: a deleted one is still listed as active too, and a restored
    one only as deleted. `failing` are errors by what is asked for or written, such as `active npm/app` or `restore 7`;
    `then` is what happens before the one and after the other. It is a clock too, on which each write takes
    `write_takes` seconds. The registry does not serve the manifests that are `lost`.
    """

    def __init__(self) -> None:
        self.packages_by_name: dict[PackageName, Package] = {}
        self.deleted_packages: dict[PackageName, Package] = {}
        self.active: dict[PackageName, dict[int, Version]] = {}
        self.deleted: dict[PackageName, dict[int, Version]] = {}
        self.manifests: dict[str, Manifest] = {}
        self.tags: dict[tuple[PackageName, str], str] = {}
        self.late: set[int] = set()
        self.lost: dict[str, Obstacle] = {}
        self.long: set[PackageName] = set()
        self.incomplete: set[PackageName] = set()
        self.failing: dict[str, Exception] = {}
        self.then: dict[str, Callable[[], object]] = {}
        self.token_facts = TokenFacts()
        self.write_takes = 0.0
        self.seconds = 0.0
        self.writes: list[str] = []
        self.asked: list[str] = []

    def index(self, number: int, *children: int) -> None:
        """Let a version be an index of others."""
        below = [child(self.manifests.get(digest(each)) or plain(digest(each))) for each in children]
        self.manifests[digest(number)] = index(digest(number), *below)

    def stub(self, number: int) -> None:
        """Let a version be a stub, which only its manifest shows."""
        self.manifests[digest(number)] = replace(index(digest(number)), is_stub=True)

    def add(self, key: PackageName, *versions: Version, **more: Any) -> PackageName:
        """Add a package with its versions; those with a time of deletion are deleted."""
        self.packages_by_name[key] = package(key.name, key.type, number=1 + len(self.packages_by_name), **more)
        self.active[key] = {each.id: each for each in versions if each.deleted_at is None}
        self.deleted[key] = {each.id: each for each in versions if each.deleted_at is not None}
        self.tags |= {(key, tag): each.name for each in self.active[key].values() for tag in each.tags}
        return key

    def remove(self, key: PackageName) -> None:
        """Delete a whole package."""
        self.deleted_packages[key] = self.packages_by_name.pop(key)

    def left(self, key: PackageName) -> list[int]:
        """The ids of the active versions of a package."""
        return sorted(self.active[key])

    def _ask(self, what: str, about: object) -> None:
        self.asked.append(f"{what} {about}")
        self._happens(what, about)
        if error := self.failing.get(f"{what} {about}"):
            raise error

    # the protocol Reader

    def conflicts(self) -> list[Package]:
        return []

    def packages(self, package_types: Iterable[PackageType]) -> dict[PackageType, list[Package] | ApiError]:
        return {kind: [each for each in self.packages_by_name.values() if each.type is kind] for kind in package_types}

    def packages_named(self, packages: Iterable[PackageName]) -> dict[PackageName, Package | ApiError]:
        return {key: _answer(self.package, key) for key in packages}

    def package(self, package: PackageName) -> Package:
        self._ask("package", package)
        if package not in self.packages_by_name:
            raise not_found("Package not found.")
        return self.packages_by_name[package]

    def versions(self, package: PackageName, *, deleted: bool = False) -> list[Version]:
        self._ask("deleted" if deleted else "active", package)
        if package not in self.packages_by_name:
            raise not_found("Package not found.")
        active, gone = self.active[package].values(), self.deleted[package].values()
        if deleted:
            return [*gone, *(each for each in active if each.id in self.late)]
        return [each for each in active if each.id not in self.late] + [each for each in gone if each.id in self.late]

    def versions_of(
        self,
        packages: Iterable[PackageName],
        *,
        deleted: bool = False,
        seen: Mapping[PackageName, AbstractSet[int]] | None = None,
        gone: AbstractSet[int] = frozenset(),
    ) -> dict[PackageName, list[Version] | ApiError]:
        again = seen or {}
        self.asked += [f"without {each}" for each in sorted(gone)]
        return {
            key: _answer(self._certain if key in again else partial(self.versions, deleted=deleted), key)
            for key in packages
        }

    def _certain(self, package: PackageName) -> list[Version]:
        self._ask("certain", package)
        return self.versions(package)

    def is_long(self, package: PackageName) -> bool:
        return package in self.long

    def is_incomplete(self, package: PackageName) -> bool:
        return package in self.incomplete

    def version(self, package: PackageName, version_id: int) -> Version:
        self._ask("version", version_id)
        if version_id not in self.active[package]:
            raise not_found("Package version not found.")
        return self.active[package][version_id]

    def are_active(self, versions: Mapping[int, PackageName]) -> dict[int, bool | ApiError]:
        found: dict[int, bool | ApiError] = {}
        for version_id, holder in versions.items():
            answer = _answer(partial(self.version, holder), version_id)
            is_gone = isinstance(answer, ApiError) and answer.kind is ApiErrorKind.NOT_FOUND
            found[version_id] = answer if isinstance(answer, ApiError) and not is_gone else not is_gone
        return found

    # the protocol Writer

    def delete_version(self, package: PackageName, version_id: int, permit: object = None) -> None:
        self._write("delete", version_id)
        version = self.active[package].pop(version_id)
        self.deleted[package][version_id] = replace(version, deleted_at=NOW)
        self.tags = {place: name for place, name in self.tags.items() if name != version.name}
        self._happens("delete", version_id)

    def restore_version(self, package: PackageName, version_id: int, permit: object = None) -> None:
        self._write("restore", version_id)
        if package not in self.packages_by_name or version_id not in self.deleted[package]:
            raise not_found("Package version not found.")
        version = self.deleted[package].pop(version_id)
        self.active[package][version_id] = replace(version, deleted_at=None)
        self.tags |= {(package, tag): version.name for tag in version.tags}
        self._happens("restore", version_id)

    def delete_package(self, package: PackageName, permit: object = None) -> None:
        self._write("delete", package)
        self.remove(package)

    def restore_package(self, package: PackageName, permit: object = None) -> None:
        self._write("restore", package)
        if package not in self.deleted_packages:
            raise not_found("Package not found.")
        self.packages_by_name[package] = self.deleted_packages.pop(package)
        self._happens("restore", package)

    def _write(self, verb: str, what: object) -> None:
        write = f"{verb} {what}"
        if error := self.failing.get(write):
            raise error
        self.writes.append(write)
        self.seconds += self.write_takes

    def _happens(self, verb: str, what: object) -> None:
        self.then.get(f"{verb} {what}", lambda: None)()

    # the protocol Clock

    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return self.seconds

    # the protocols ManifestReader and TagWriter

    def read(self, package: PackageName, digests: Iterable[str]) -> dict[str, Manifest | UnreadableManifest]:
        return {digest: self._manifest(package, digest) for digest in digests}

    def _manifest(self, package: PackageName, digest: str) -> Manifest | UnreadableManifest:
        self._ask("manifest", digest)
        if digest in self.lost or not self.exists(package, digest):
            obstacle = self.lost.get(digest, Obstacle.CONTENT)
            return UnreadableManifest(digest=digest, why="it is so", obstacle=obstacle)
        return self.manifests.get(digest) or plain(digest)

    def at_hand(self, package: PackageName, digests: Iterable[str]) -> list[str]:
        return []

    def are_indexes(self, package: PackageName, digests: Iterable[str]) -> dict[str, bool | None]:
        return {digest: digest in self.manifests and self.manifests[digest].is_index for digest in digests}

    def read_ahead(self, wanted: Mapping[PackageName, Iterable[str]]) -> None:
        self.asked.append(f"ahead {len(wanted)} packages")

    def describe(self, package: PackageName, digest: str) -> Description:
        return Description()

    def exists(self, package: PackageName, digest: str) -> bool:
        return digest in {version.name for version in self.active[package].values()}

    def tag_digest(self, package: PackageName, tag: str) -> str | None:
        return self.tags.get((package, tag))

    def manifest_bytes(self, package: PackageName, digest: str) -> bytes:
        if not self.exists(package, digest):
            raise not_found("manifest unknown")
        return digest.encode()

    def is_stub(self, package: PackageName, digest: str) -> bool:
        return self.manifests[digest].is_stub if digest in self.manifests else False

    def put(self, package: PackageName, tag: str, body: bytes) -> str:
        self._write("put", tag)
        self.tags[package, tag] = body.decode()
        return body.decode()

    # the protocol Pause

    def sleep(self, seconds: float, why: str = "") -> None:
        return None

    def finishing(self) -> AbstractContextManager[None]:
        return nullcontext()


def _answer(ask: Callable[[Any], Any], about: Any) -> Any:
    try:
        return ask(about)
    except ApiError as error:
        return error


def not_found(message: str) -> ApiError:
    return ApiError(ApiErrorKind.NOT_FOUND, message, status=404)


def forbidden(message: str = "Nope") -> ApiError:
    return ApiError(ApiErrorKind.NO_PERMISSION, message, status=403)


def unauthorized() -> ApiError:
    return ApiError(ApiErrorKind.UNAUTHORIZED, "Bad credentials", status=401)


def context_of(
    account: Account,
    log: Told,
    *,
    receipt: Receipt | None = None,
    confirm: Callable[[Run, GuardedPlan], None] = unasked,
    most: int | None = None,
    workflow_repository: str = "",
    refused_for_downloads: Refused = frozenset(),
    used: ImagesInUse | None = None,
    repositories: RepositoryReader | None = None,
    **inputs: str,
) -> Context:
    """The context of a run over an account. It writes, unless `dry_run` says otherwise; `most` is how much fits."""
    texts = {name.replace("_", "-"): text for name, text in ({"dry_run": "false"} | inputs).items()}
    settings = parse_settings(INPUTS | texts, defaults={}, now=NOW)
    rules = replace(settings.rules, lists=replace(settings.rules.lists, used=used or ImagesInUse()))
    writing = Writing(
        reader=account,
        writer=account,
        untagger=Untagger(account, account, account, account, log),
        executor=executor(Paper(), cast("Any", log), WritePool(most=most)),
        pause=account,
    )
    facts = FactGatherer(
        rules=rules,
        owner="acme",
        repositories=repositories or cast("Any", None),
        repository="acme/app" if repositories else "",
        fallback="",
        clock=account,
        log=log,
    )
    return Context(
        settings=settings,
        owner=OWNER,
        receipt=receipt,
        wanted=PackageFilter(patterns=settings.packages, owners=("acme",)),
        rules=rules,
        facts=facts,
        reader=account,
        registry=account,
        writing=writing if settings.writes else None,
        clock=account,
        log=log,
        workflow_repository=workflow_repository,
        refused_for_downloads=refused_for_downloads,
        confirm=confirm,
    )


class Ran:
    """What an operation did: all runs that it yielded, the last one, the log, and what ended it."""

    def __init__(
        self,
        operation: Operation,
        account: Account,
        /,
        *,
        entries: Iterable[ReceiptEntry] | None = None,
        damaged: tuple[int, ...] = (),
        level: str = "info",
        **given: Any,
    ) -> None:
        """Run an operation over an account. `entries` are those of the receipt; `given` is as for `context_of`."""
        self.log = Told(level)
        if entries is not None:
            given |= {
                "undo": "receipt.jsonl",
                "receipt": Receipt(owner="acme", entries=tuple(entries), damaged=damaged),
            }
        context = context_of(account, self.log, **given)
        self.runs: list[Run] = []
        self.ended: Exception | None = None
        try:
            self._drive(operation(context))
        except Exception as error:  # noqa: BLE001 - as the program does, which reports the last run all the same
            self.ended = error

    def _drive(self, runs: Iterator[Run]) -> None:
        for run in runs:
            self.runs.append(run)
            if run.scope.ended_by is not None:
                raise run.scope.ended_by

    @property
    def run(self) -> Run:
        return self.runs[-1]

    @property
    def outcomes(self) -> list[tuple[object, str]]:
        """What came of each write: of a version by its id, of a tag by its name, of a package by its name."""
        return [
            (each.write.tag or each.write.version_id or each.write.package.name, each.outcome.value)
            for each in self.run.records
        ]
