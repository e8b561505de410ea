"""The plan: what a run sets out to do, in the order in which it will do it, and what became of it.

Writes take a `GuardedPlan`, which only `guards.guard` makes.
"""

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from package_keeper.decisions.deciding import Judgement, spoken
from package_keeper.decisions.vocabulary import Decision, Outcome, Reason
from package_keeper.inventory.graph import Graph
from package_keeper.inventory.package import PackageName
from package_keeper.inventory.version import Timestamp, Version, age_order

NOTHING: frozenset[int] = frozenset()
"""No ids; one object for all, since a plan may have 100,000 writes."""


class WriteKind(StrEnum):
    """What a write concerns."""

    VERSION = "version"
    PACKAGE = "package"
    TAG = "tag"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedWrite:
    """One thing to do. `refusal` is set when it is known before asking GitHub that it cannot be done.

    `rule` is the name of the policy's rule that asks for it, if one does.
    `version` is `None` for whole packages, and for versions known from a receipt alone, whose `id` and `name` stand
    beside it. `tag` is the tag that goes or comes back, for writes that concern one. `root` is the name of the root
    of the image that a part belongs to. `after` are ids of versions whose deletion must be confirmed first: without
    that a part would be torn out of something that is still there. Of a restoration they are those that come back
    first.
    """

    decision: Decision
    reason: Reason
    package: PackageName
    rule: str = ""
    version: Version | None = None
    version_id: int | None = None
    version_name: str = ""
    tags: tuple[str, ...] = ()
    tag: str | None = None
    root: str | None = None
    after: frozenset[int] = frozenset()
    refusal: Outcome | None = None

    @property
    def why(self) -> str:
        """The reason as users read it: a word of the contract, or `rule:NAME`."""
        return spoken(self.reason, self.rule)

    @property
    def kind(self) -> WriteKind:
        """Whether a version, one tag of it, or a whole package is concerned."""
        if self.version_id is None:
            return WriteKind.PACKAGE
        return WriteKind.VERSION if self.tag is None else WriteKind.TAG


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteRecord:
    """What became of one planned write. `message` is GitHub's text or ours, empty when all is well."""

    write: PlannedWrite
    outcome: Outcome
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All writes of one run and every judgement that led there.

    `groups` are images: a root and then its parts, oldest image first; a write that stands alone is a group of one.
    `timestamp` is the time that says which image is the oldest.
    """

    groups: tuple[tuple[PlannedWrite, ...], ...] = ()
    judgements: tuple[Judgement, ...] = ()
    timestamp: Timestamp = Timestamp.UPDATED

    @property
    def writes(self) -> tuple[PlannedWrite, ...]:
        """All writes in order."""
        return tuple(write for group in self.groups for write in group)

    @classmethod
    def of_singles(cls, writes: Iterable[PlannedWrite], judgements: Iterable[Judgement] = ()) -> "Plan":
        """A plan in which every write stands alone."""
        return cls(groups=tuple((write,) for write in writes), judgements=tuple(judgements))


@dataclass(frozen=True, kw_only=True)
class GuardedPlan:
    """A plan that passed the guards.

    `now` is what this run sends, `later` is over the limit. `with_package` is the newest image of packages that go as a
    whole, once everything else in them is gone (`on-last-version: delete-package`).
    """

    plan: Plan
    now: tuple[PlannedWrite, ...] = field(default=())
    later: tuple[PlannedWrite, ...] = field(default=())
    with_package: tuple[PlannedWrite, ...] = field(default=())

    def only(self, *, tags: bool) -> "GuardedPlan":
        """What of it concerns tags, or all the rest; nothing is added."""
        return replace(
            self,
            now=tuple(write for write in self.now if (write.tag is not None) is tags),
            later=tuple(write for write in self.later if (write.tag is not None) is tags),
        )

    def groups_of_now(self) -> list[int]:
        """For each write of `now`, the number of its group in the plan: those of one image have one number."""
        numbers = {id(write): number for number, group in enumerate(self.plan.groups) for write in group}
        return [numbers[id(write)] for write in self.now]


def gone_versions(records: Iterable[WriteRecord]) -> set[int]:
    """The ids of the versions that were deleted, or found gone."""
    return {
        record.write.version_id
        for record in records
        if record.write.version_id is not None
        and record.write.decision is Decision.DELETE
        and record.outcome in (Outcome.DONE, Outcome.ALREADY_GONE)
    }


def plan_deletions(judgements: Iterable[Judgement], timestamp: Timestamp, graphs: Mapping[PackageName, Graph]) -> Plan:
    """Plan what the judgements delete or untag, oldest image first over all packages (contract, input `limit`).

    A part that several images share stands with the last of them. `graphs` are those of container packages.
    """
    judgements = tuple(judgements)
    roots = [each for each in judgements if each.decision is not Decision.KEEP and each.reason is not Reason.PART_OF]
    parts = [each for each in judgements if each.decision is Decision.DELETE and each.reason is Reason.PART_OF]
    roots.sort(key=lambda judgement: age_order(judgement.version, timestamp))
    images = _Images(graphs)
    roots = _holders_first(roots, images)
    place_of = {judgement.version.id: place for place, judgement in enumerate(roots)}
    homes: dict[int, list[Judgement]] = {}
    for part in parts:
        homes.setdefault(max(place_of[owner] for owner in images.owners(part.version)), []).append(part)
    groups: list[tuple[PlannedWrite, ...]] = []
    behind: set[int] = set()
    for place, root in enumerate(roots):
        if root.decision is Decision.UNTAG:
            groups += [(replace(planned(root), tag=tag),) for tag in root.untag]
            continue
        group = []
        for judgement in (root, *images.in_order(root.version, homes.get(place, ()))):
            # all that points to it stands before it, but for circles, which no real image has
            holders = images.needed_for(judgement.version)
            group.append(planned(judgement, after=(holders & behind) or NOTHING))
            behind.add(judgement.version.id)
        groups.append(tuple(group))
    return Plan(groups=tuple(groups), judgements=judgements, timestamp=timestamp)


def _holders_first(roots: list[Judgement], images: "_Images") -> list[Judgement]:
    """Put every root behind the roots that hold it, and else leave the order: `v1` goes before `v1-amd64`."""
    places = {each.version.id: place for place, each in enumerate(roots) if each.decision is Decision.DELETE}
    holders: dict[int, set[int]] = {}
    for root in places:
        owners = {owner for owner in images.owners(roots[places[root]].version) if owner in places and owner != root}
        # in a circle (twins, an index that refers to its own child) only what lists the other comes first
        holders[root] = {
            owner
            for owner in owners
            if root not in images.owners(roots[places[owner]].version)
            or images.lists(roots[places[owner]].version, roots[places[root]].version)
        }
    held: dict[int, list[int]] = {}
    for root, owners in holders.items():
        for owner in owners:
            held.setdefault(owner, []).append(root)
    ready = [place for place, each in enumerate(roots) if not holders.get(each.version.id)]
    heapq.heapify(ready)
    ordered: list[Judgement] = []
    while ready:
        judgement = roots[heapq.heappop(ready)]
        ordered.append(judgement)
        for root in held.get(judgement.version.id, ()):
            holders[root].discard(judgement.version.id)
            if not holders[root]:
                heapq.heappush(ready, places[root])
    # digests allow no circle of children; should one appear all the same, nothing of it may get lost
    return ordered + [each for each in roots if holders.get(each.version.id)]


def planned(judgement: Judgement, refusal: Outcome | None = None, after: frozenset[int] = NOTHING) -> PlannedWrite:
    """Turn the judgement about a version into the write that it asks for."""
    version = judgement.version
    return PlannedWrite(
        decision=judgement.decision,
        reason=judgement.reason,
        package=version.package,
        rule=judgement.rule,
        version=version,
        version_id=version.id,
        version_name=version.name,
        tags=version.tags,
        root=judgement.root.name if judgement.root else None,
        after=after,
        refusal=refusal,
    )


def holders_of(graph: Graph | None, version: Version) -> frozenset[int]:
    """The ids of the versions that need `version` directly; none where nothing is known of images."""
    holders = graph.needed_for(version.name) if graph is not None else ()
    if graph is None or not holders:
        return NOTHING
    return frozenset(pointer.id for digest in holders for pointer in graph.versions_of(digest))


class _Images:
    """Answers about places in images, out of the graphs of all packages."""

    def __init__(self, graphs: Mapping[PackageName, Graph]) -> None:
        self._graphs = graphs
        self._places: dict[PackageName, dict[int, dict[int, int]]] = {}
        self._owners: dict[PackageName, dict[int, list[int]]] = {}

    def owners(self, part: Version) -> list[int]:
        """The ids of the roots whose images hold `part`."""
        if part.package not in self._owners:
            owners: dict[int, list[int]] = {}
            for root, places in self._of(part.package).items():
                for held in places:
                    owners.setdefault(held, []).append(root)
            self._owners[part.package] = owners
        return self._owners[part.package].get(part.id, [])

    def in_order(self, root: Version, parts: Iterable[Judgement]) -> list[Judgement]:
        """Sort parts as they stand in the image of `root`, parents before children."""
        places = self._of(root.package).get(root.id, {})
        return sorted(parts, key=lambda part: (places.get(part.version.id, 0), part.version.id))

    def lists(self, index: Version, version: Version) -> bool:
        """Whether a pull of `index` needs `version`."""
        graph = self._graphs.get(version.package)
        return graph is not None and index.name != version.name and graph.lists(index.name, version.name)

    def needed_for(self, version: Version) -> frozenset[int]:
        """The ids of the versions that need `version` directly."""
        return holders_of(self._graphs.get(version.package), version)

    def _of(self, package: PackageName) -> dict[int, dict[int, int]]:
        if package not in self._places:
            graph = self._graphs.get(package)
            images = graph.images() if graph else []
            self._places[package] = {
                image.root.id: {part.id: place for place, part in enumerate(image.parts)} for image in images
            }
        return self._places[package]
