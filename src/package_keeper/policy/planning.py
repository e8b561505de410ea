"""The plan: what a run sets out to do, in which order, and what became of it."""

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from package_keeper.model.images import Graph
from package_keeper.model.manifest import is_stub
from package_keeper.model.packages import PackageName, Timestamp, Version, age_order
from package_keeper.model.words import Action, Outcome, Reason
from package_keeper.policy.evaluation import Decision, spoken

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

    action: Action
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
    """All writes of one run and every decision that led there.

    `groups` are images: a root and then its parts, oldest image first; a write that stands alone is a group of one.
    `timestamp` is the time that says which image is the oldest.
    """

    groups: tuple[tuple[PlannedWrite, ...], ...] = ()
    decisions: tuple[Decision, ...] = ()
    timestamp: Timestamp = Timestamp.UPDATED

    @property
    def writes(self) -> tuple[PlannedWrite, ...]:
        """All writes in order."""
        return tuple(write for group in self.groups for write in group)

    @classmethod
    def of_singles(cls, writes: Iterable[PlannedWrite], decisions: Iterable[Decision] = ()) -> "Plan":
        """A plan in which every write stands alone."""
        return cls(groups=tuple((write,) for write in writes), decisions=tuple(decisions))


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
        and record.write.action is Action.DELETE
        and record.outcome in (Outcome.DONE, Outcome.ALREADY_GONE)
    }


def plan_deletions(decisions: Iterable[Decision], timestamp: Timestamp, graphs: Mapping[PackageName, Graph]) -> Plan:
    """Plan what the decisions delete or untag, oldest image first over all packages (contract, input `limit`).

    A part that several images share stands with the last of them. `graphs` are those of container packages.
    """
    decisions = tuple(decisions)
    roots = [each for each in decisions if each.action is not Action.KEEP and each.reason is not Reason.PART_OF]
    parts = [each for each in decisions if each.action is Action.DELETE and each.reason is Reason.PART_OF]
    roots.sort(key=lambda decision: age_order(decision.version, timestamp))
    images = _Images(graphs)
    roots = _holders_first(roots, images)
    place_of = {decision.version.id: place for place, decision in enumerate(roots)}
    homes: dict[int, list[Decision]] = {}
    for part in parts:
        homes.setdefault(max(place_of[owner] for owner in images.owners(part.version)), []).append(part)
    groups: list[tuple[PlannedWrite, ...]] = []
    behind: set[int] = set()
    for place, root in enumerate(roots):
        if root.action is Action.UNTAG:
            groups += [(replace(planned(root), tag=tag),) for tag in root.untag]
            continue
        group = []
        for decision in (root, *images.in_order(root.version, homes.get(place, ()))):
            # all that points to it stands before it, but for circles, which no real image has
            holders = images.needed_for(decision.version)
            group.append(planned(decision, after=(holders & behind) or NOTHING))
            behind.add(decision.version.id)
        groups.append(tuple(group))
    return Plan(groups=tuple(groups), decisions=decisions, timestamp=timestamp)


def _holders_first(roots: list[Decision], images: "_Images") -> list[Decision]:
    """Put every root behind the roots that hold it, and else leave the order: `v1` goes before `v1-amd64`."""
    places = {each.version.id: place for place, each in enumerate(roots) if each.action is Action.DELETE}
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
    ordered: list[Decision] = []
    while ready:
        decision = roots[heapq.heappop(ready)]
        ordered.append(decision)
        for root in held.get(decision.version.id, ()):
            holders[root].discard(decision.version.id)
            if not holders[root]:
                heapq.heappush(ready, places[root])
    # digests allow no circle of children; should one appear all the same, nothing of it may get lost
    return ordered + [each for each in roots if holders.get(each.version.id)]


def planned(decision: Decision, refusal: Outcome | None = None, after: frozenset[int] = NOTHING) -> PlannedWrite:
    """Turn the decision about a version into the write that it asks for."""
    version = decision.version
    return PlannedWrite(
        action=decision.action,
        reason=decision.reason,
        package=version.package,
        rule=decision.rule,
        version=version,
        version_id=version.id,
        version_name=version.name,
        tags=version.tags,
        root=decision.root.name if decision.root else None,
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

    def in_order(self, root: Version, parts: Iterable[Decision]) -> list[Decision]:
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


@dataclass(kw_only=True)
class ActiveNames:
    """The ids, names and tags that active versions of one package carry."""

    ids: set[int] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    tags: set[str] = field(default_factory=set)
    tags_known: bool = True
    """Whether these are all tags that are in use."""

    @classmethod
    def of(cls, versions: Iterable[Version]) -> "ActiveNames":
        """Collect what the active versions carry."""
        active = cls()
        for version in versions:
            active.add(version)
        return active

    def add(self, version: Version) -> None:
        """Count `version` as active too."""
        self.ids.add(version.id)
        self.names.add(version.name)
        self.tags.update(version.image_tags)
        self.tags_known = self.tags_known and version.tags_known


def without_stubs(decisions: Iterable[Decision]) -> tuple[list[Decision], list[Version]]:
    """Keep deleted the stubs among what is to be restored: under its tag nothing would be there. Gives them, too."""
    found: list[Decision] = []
    stubs: list[Version] = []
    for decision in decisions:
        version = decision.version
        if decision.action is Action.RESTORE and is_stub(version.name, version.image_tags):
            stubs.append(version)
            found.append(replace(decision, action=Action.KEEP, reason=Reason.NOT_SELECTED))
        else:
            found.append(decision)
    return found, stubs


def plan_restorations(
    decisions: Iterable[Decision], active: ActiveNames, timestamp: Timestamp, *, tags_may_move: bool
) -> Plan:
    """Plan the restorations of one package.

    Of several deleted versions with one tag or name, the newest has it, and of one name rather one with tags; the
    others are refused as they would be once that is back. `active` is added to. Where not all tags in use are known,
    nothing with a tag comes back.
    """
    if not (active.tags_known or tags_may_move):
        decisions = map(_kept_if_tagged, decisions)
    decisions = tuple(decisions)
    chosen = [decision for decision in decisions if decision.action is Action.RESTORE]
    chosen.sort(key=lambda decision: age_order(decision.version, timestamp), reverse=True)
    # GitHub restores one version of a name: an untagged one would keep the tags of the others away
    chosen.sort(key=lambda decision: not decision.version.tags)
    writes: list[PlannedWrite] = []
    for decision in chosen:
        version = decision.version
        refusal = None
        if version.id in active.ids or version.name in active.names:
            refusal = Outcome.ALREADY_ACTIVE
        elif not tags_may_move and active.tags.intersection(version.image_tags):
            refusal = Outcome.TAG_IN_USE
        else:
            active.add(version)
        writes.append(planned(decision, refusal))
    writes.reverse()
    return Plan.of_singles(writes, decisions)


def _kept_if_tagged(decision: Decision) -> Decision:
    if decision.action is Action.KEEP or not decision.version.image_tags:
        return decision
    return replace(decision, action=Action.KEEP, reason=Reason.UNREADABLE)
