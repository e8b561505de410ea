"""A GitHub in memory: what the operations need of the world, over a `World`, with refusals on demand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime

from msgspec.structs import replace

from package_keeper.causes import Cause
from package_keeper.errors import ApiError, ApiErrorKind
from package_keeper.execution.deletions import Deletions
from package_keeper.execution.executor import Executed, Executor
from package_keeper.execution.images import ImageEvaluator
from package_keeper.execution.receipt import ReceiptWriter
from package_keeper.execution.restorations import Restorations
from package_keeper.execution.untag import Untagger
from package_keeper.model.manifest import Description, Manifest, Obstacle, UnreadableManifest
from package_keeper.model.packages import Owner, OwnerType, Package, PackageName, PackageType, Version
from package_keeper.model.permissions import TokenFacts
from package_keeper.model.plan import GuardedPlan, Plan
from package_keeper.model.run import PackageEvaluation
from package_keeper.policy.guards import Guards, OnLastVersion, guard
from package_keeper.policy.planning import plan_deletions
from package_keeper.policy.rules import Rules
from package_keeper.policy.selection import NO_FACTS, Facts
from tests.unit.model.worlds import APP, NOW, World
from tests.unit.pool import WritePool

OWNER = Owner(login="acme", type=OwnerType.ORGANIZATION)
PACKAGE = Package(
    id=1,
    key=APP,
    visibility=None,
    version_count=None,
    created_at=None,
    updated_at=None,
    url=None,
    html_url=None,
    owner=None,
    repository=None,
    repository_name=None,
)


@dataclass
class Quiet:
    """A log that keeps what was said."""

    said: list[str] = field(default_factory=list)

    shows_details = False
    is_requested = False

    def error(self, text: str, *, title: str = "", causes: Sequence[Cause] = ()) -> None:
        self.said.append(f"error: {text}")

    def warning(self, text: str, *, title: str = "", causes: Sequence[Cause] = ()) -> None:
        self.said.append(f"warning: {text}")

    def notice(self, text: str, *, title: str = "", causes: Sequence[Cause] = ()) -> None:
        self.said.append(f"notice: {text}")

    def info(self, text: str) -> None:
        self.said.append(text)

    def debug(self, text: str) -> None:
        self.said.append(text)

    def progress(self, what: str, done: int, total: int) -> None:
        pass

    @contextmanager
    def group(self, title: str) -> Iterator[None]:
        self.said.append(title)
        yield

    @contextmanager
    def shield(self) -> Iterator[None]:
        yield


Refuse = Callable[[int], ApiError | None]


class Hub:
    """One container package in memory: lists, deletions, restorations, manifests. Counts everything."""

    token_facts = TokenFacts()

    def __init__(self, world: World, *, refuse: Refuse | None = None, unreadable: Iterable[str] = ()) -> None:
        self.world = world
        self.active = world.by_id()
        self.deleted: dict[int, Version] = {}
        self.writes: list[tuple[str, int]] = []
        self.after_each: Callable[[], None] = lambda: None
        self.reads: Counter[str] = Counter()
        self.asked: Counter[str] = Counter()
        self.lists = 0
        self._refuse = refuse or (lambda _: None)
        self._unreadable = frozenset(unreadable)

    # the protocol Reader

    def conflicts(self) -> list[Package]:
        return []

    def packages(self, package_types: Sequence[PackageType]) -> dict[PackageType, list[Package] | ApiError]:
        return {package_type: [PACKAGE] for package_type in package_types}

    def packages_named(self, packages: Iterable[PackageName]) -> dict[PackageName, Package | ApiError]:
        return {package: self.package(package) for package in packages}

    def package(self, package: PackageName) -> Package:
        return PACKAGE

    def versions(self, package: PackageName, *, deleted: bool = False) -> list[Version]:
        self.lists += 1
        return list((self.deleted if deleted else self.active).values())

    def versions_of(
        self,
        packages: Iterable[PackageName],
        *,
        deleted: bool = False,
        seen: Mapping[PackageName, AbstractSet[int]] | None = None,
        gone: AbstractSet[int] = frozenset(),
    ) -> dict[PackageName, list[Version] | ApiError]:
        return {package: self.versions(package, deleted=deleted) for package in packages}

    def is_long(self, package: PackageName) -> bool:
        return False

    def is_incomplete(self, package: PackageName) -> bool:
        return False

    def version(self, package: PackageName, version_id: int) -> Version:
        if version_id not in self.active:
            raise ApiError(ApiErrorKind.NOT_FOUND, "Package version not found.", status=404)
        return self.active[version_id]

    def are_active(self, versions: Mapping[int, PackageName]) -> dict[int, bool | ApiError]:
        return {version_id: version_id in self.active for version_id in versions}

    # the protocol Writer

    def delete_version(self, package: PackageName, version_id: int, permit: object = None) -> None:
        if refusal := self._refuse(version_id):
            raise refusal
        if version_id not in self.active:
            raise ApiError(ApiErrorKind.NOT_FOUND, "Package version not found.", status=404)
        self.deleted[version_id] = replace(self.active.pop(version_id), deleted_at=NOW)
        self.writes.append(("delete", version_id))
        self.after_each()

    def restore_version(self, package: PackageName, version_id: int, permit: object = None) -> None:
        if version_id not in self.deleted:
            raise ApiError(ApiErrorKind.NOT_FOUND, "Package version not found.", status=404)
        self.active[version_id] = replace(self.deleted.pop(version_id), deleted_at=None)
        self.writes.append(("restore", version_id))
        self.after_each()

    def delete_package(self, package: PackageName, permit: object = None) -> None:
        raise AssertionError("nobody deletes the package")

    def restore_package(self, package: PackageName, permit: object = None) -> None:
        raise AssertionError("nobody restores the package")

    # the protocol ManifestReader

    def read(self, package: PackageName, digests: Iterable[str]) -> dict[str, Manifest | UnreadableManifest]:
        found: dict[str, Manifest | UnreadableManifest] = {}
        there = {version.name for version in self.active.values()}
        for name in digests:
            self.reads[name] += 1
            if name in self._unreadable or name not in there:
                found[name] = UnreadableManifest(digest=name, why="it is so", obstacle=Obstacle.CONTENT)
            else:
                found[name] = self.world.manifests[name]
        return found

    def at_hand(self, package: PackageName, digests: Iterable[str]) -> list[str]:
        return []

    def are_indexes(self, package: PackageName, digests: Iterable[str]) -> dict[str, bool | None]:
        found: dict[str, bool | None] = {}
        for name in digests:
            self.asked[name] += 1
            found[name] = None if name in self._unreadable else self.world.manifests[name].is_index
        return found

    def read_ahead(self, wanted: Mapping[PackageName, Iterable[str]]) -> None:
        return None

    def describe(self, package: PackageName, digest: str) -> Description:
        return Description()

    def exists(self, package: PackageName, digest: str) -> bool:
        self.asked[digest] += 1
        return digest in {version.name for version in self.active.values()}

    # the protocol TagWriter: nothing here moves tags, unless a test says how

    def tag_digest(self, package: PackageName, tag: str) -> str | None:
        raise ApiError(ApiErrorKind.CHANGED, "no tag moves here")

    def manifest_bytes(self, package: PackageName, digest: str) -> bytes:
        raise ApiError(ApiErrorKind.CHANGED, "no tag moves here")

    def is_stub(self, package: PackageName, digest: str) -> bool:
        raise ApiError(ApiErrorKind.CHANGED, "no tag moves here")

    def put(self, package: PackageName, tag: str, body: bytes) -> str:
        raise ApiError(ApiErrorKind.CHANGED, "no tag moves here")

    # the protocol Pause

    def sleep(self, seconds: float, why: str = "") -> None:
        return None

    def finishing(self) -> AbstractContextManager[None]:
        return nullcontext()


@dataclass
class Paper:
    """A receipt in memory."""

    lines: list[bytes] = field(default_factory=list)

    def append(self, line: bytes) -> None:
        self.lines.append(line)

    @property
    def text(self) -> str:
        return b"".join(self.lines).decode()


class NoonClock:
    """It is always the same moment."""

    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return 0.0


def evaluated(hub: Hub, rules: Rules, log: Quiet | None = None, facts: Facts = NO_FACTS) -> PackageEvaluation:
    """What the real evaluation decides, with as few manifests as it reads."""
    judge = ImageEvaluator(rules=rules, registry=hub, reader=hub, log=log or Quiet(), facts=facts)
    return judge.evaluate(PACKAGE, list(hub.active.values()))


def planned(found: PackageEvaluation, rules: Rules) -> Plan:
    """The plan that follows."""
    graphs = {found.package: found.graph} if found.graph is not None else {}
    return plan_deletions(found.decisions, rules.timestamp, graphs)


def some_pool(plan: Plan) -> WritePool:
    """One to six writes side by side, in an order of their own: each plan has always the same."""
    return WritePool(width=1 + len(plan.writes) % 6, seed=len(plan.decisions))


def executor(paper: Paper, log: Quiet | None = None, pool: WritePool | None = None) -> Executor:
    """The real executor, over a receipt in memory."""
    book = ReceiptWriter(lambda: paper.append, OWNER, {}, NoonClock())
    log = log or Quiet()
    return Executor(book, log, log, pool or WritePool())


def executed(
    hub: Hub,
    plan: Plan,
    *,
    limit: int = 0,
    paper: Paper | None = None,
    on_last: OnLastVersion = OnLastVersion.KEEP,
    pool: WritePool | None = None,
) -> Executed:
    """Carry out a plan of deletions with the real machinery."""
    guarded = guard(plan, Guards(limit=limit, on_last_version=on_last))
    moves = Untagger(hub, hub, hub, hub, Quiet())
    ours = executor(paper or Paper(), pool=pool or some_pool(plan))
    return ours.execute(guarded, Deletions(guarded, hub, hub, moves, on_last))


def restored(hub: Hub, plan: Plan) -> Executed:
    """Carry out a plan of restorations with the real machinery."""
    guarded: GuardedPlan = guard(plan, Guards())
    moves = Untagger(hub, hub, hub, hub, Quiet())
    return executor(Paper(), pool=some_pool(plan)).execute(guarded, Restorations(guarded, hub, hub, moves))
