"""Turns decisions into a plan: which writes to send, and in which order."""

import heapq
from collections.abc import Iterable, Mapping

from msgspec import Struct, field
from msgspec.structs import replace

from package_keeper.model.images import Graph
from package_keeper.model.manifest import is_stub
from package_keeper.model.packages import PackageName, Timestamp, Version, age_order
from package_keeper.model.plan import NOTHING, Action, Decision, Outcome, Plan, PlannedWrite, Reason


def plan_deletions(decisions: Iterable[Decision], timestamp: Timestamp, graphs: Mapping[PackageName, Graph]) -> Plan:
    """Plan the deletions and untaggings, oldest image first over all packages (docs/reference.md, "limit").

    A part that several images share belongs to the group of the last of them. `graphs` are those of container packages.
    """
    decisions = tuple(decisions)
    roots = [each for each in decisions if each.action is not Action.KEEP and each.reason is not Reason.PART_OF]
    roots.sort(key=lambda decision: age_order(decision.version, timestamp))
    images = _Images(graphs)
    roots = _holders_first(roots, images)
    parts = _parts_by_last_root(decisions, roots, images)
    groups: list[tuple[PlannedWrite, ...]] = []
    behind: set[int] = set()
    for place, root in enumerate(roots):
        if root.action is Action.UNTAG:
            groups += [(planned(root, tag=tag),) for tag in root.untag]
            continue
        group = []
        for decision in (root, *images.in_order(root.version, parts.get(place, ()))):
            # its holders come before it, except in a cycle, which no real image has
            holders = images.needed_for(decision.version)
            group.append(planned(decision, after=(holders & behind) or NOTHING))
            behind.add(decision.version.id)
        groups.append(tuple(group))
    return Plan(groups=tuple(groups), decisions=decisions, timestamp=timestamp)


def _parts_by_last_root(
    decisions: Iterable[Decision], roots: Iterable[Decision], images: "_Images"
) -> dict[int, list[Decision]]:
    """Group the parts to delete by the place of the last root whose image contains them."""
    place_of = {decision.version.id: place for place, decision in enumerate(roots)}
    found: dict[int, list[Decision]] = {}
    for part in decisions:
        if part.reason is Reason.PART_OF:
            found.setdefault(max(place_of[owner] for owner in images.owners(part.version)), []).append(part)
    return found


def _holders_first(roots: list[Decision], images: "_Images") -> list[Decision]:
    """Move every root behind the roots that contain it, and keep the order otherwise: `v1` before `v1-amd64`."""
    places = {each.version.id: place for place, each in enumerate(roots) if each.action is Action.DELETE}
    holders = {root: _other_holders(roots[place].version, places, roots, images) for root, place in places.items()}
    held: dict[int, list[int]] = {}
    for root, owners in holders.items():
        for owner in owners:
            held.setdefault(owner, []).append(root)
    # sorted, and so a heap
    ready = [place for place, each in enumerate(roots) if not holders.get(each.version.id)]
    ordered: list[Decision] = []
    while ready:
        decision = roots[heapq.heappop(ready)]
        ordered.append(decision)
        for root in held.get(decision.version.id, ()):
            holders[root].discard(decision.version.id)
            if not holders[root]:
                heapq.heappush(ready, places[root])
    # digests make a cycle of children impossible; if there is one all the same, do not lose its roots
    return ordered + [each for each in roots if holders.get(each.version.id)]


def _other_holders(version: Version, places: Mapping[int, int], roots: list[Decision], images: "_Images") -> set[int]:
    """Return the other roots to delete whose images contain the root `version`."""
    found = set()
    for owner in images.owners(version):
        if owner not in places:
            continue
        other = roots[places[owner]].version
        # in a cycle (two versions of one digest, an index that refers to its child) only the one that lists goes first
        if version.id not in images.owners(other) or images.lists(other, version):
            found.add(owner)
    return found


def planned(
    decision: Decision, *, tag: str | None = None, after: frozenset[int] = NOTHING, expected: Outcome | None = None
) -> PlannedWrite:
    """Make the write that a decision asks for."""
    return PlannedWrite.of(
        decision.version,
        decision.action,
        decision.reason,
        rule=decision.rule,
        tag=tag,
        root=decision.root.name if decision.root else None,
        after=after,
        expected=expected,
    )


def holders_of(graph: Graph | None, version: Version) -> frozenset[int]:
    """Return the ids of the versions that need `version` directly. None without a graph."""
    if graph is None:
        return NOTHING
    pointers = (pointer.id for digest in graph.needed_for(version.name) for pointer in graph.versions_of(digest))
    return frozenset(pointers) or NOTHING


class _Images:
    """Looks up the places of versions in images, in the graphs of all packages."""

    def __init__(self, graphs: Mapping[PackageName, Graph]) -> None:
        self._graphs = graphs
        self._places: dict[PackageName, dict[int, dict[int, int]]] = {}
        self._owners: dict[PackageName, dict[int, list[int]]] = {}

    def owners(self, part: Version) -> list[int]:
        """The ids of the roots whose images contain `part`."""
        if part.package not in self._owners:
            owners: dict[int, list[int]] = {}
            for root, places in self._of(part.package).items():
                for held in places:
                    owners.setdefault(held, []).append(root)
            self._owners[part.package] = owners
        return self._owners[part.package].get(part.id, [])

    def in_order(self, root: Version, parts: Iterable[Decision]) -> list[Decision]:
        """Sort parts by their place in the image of `root`, parents before children."""
        places = self._of(root.package).get(root.id, {})
        return sorted(parts, key=lambda part: places[part.version.id])

    def lists(self, index: Version, version: Version) -> bool:
        """Whether a pull of `index` needs `version`."""
        return self._graphs[version.package].lists(index.name, version.name)

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


class ActiveNames(Struct, kw_only=True):
    """The ids, names and tags of the active versions of one package."""

    ids: set[int] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    tags: set[str] = field(default_factory=set)
    tags_known: bool = True
    """Whether `tags` are all tags that are in use."""

    @classmethod
    def of(cls, versions: Iterable[Version]) -> "ActiveNames":
        """Collect the ids, names and tags of active versions."""
        active = cls()
        for version in versions:
            active.add(version)
        return active

    def add(self, version: Version) -> None:
        """Add an active version."""
        self.ids.add(version.id)
        self.names.add(version.name)
        self.tags.update(version.image_tags)
        self.tags_known = self.tags_known and version.tags_known


def without_stubs(decisions: Iterable[Decision]) -> tuple[list[Decision], list[Version]]:
    """Change the decision to restore a stub to `keep`: its tag would point to nothing. Gives the stubs, too."""
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

    Of several deleted versions with the same tag, the newest gets it. Of several with the same name, the newest one
    with tags is restored, or the newest of all. The others get the outcome that GitHub would give them afterwards, and
    are not sent. Versions that are restored are added to `active`. With `tags_may_move`, a version is restored even
    when its tags are in use. Without it, no tagged version is restored unless all tags in use are known.
    """
    if not (active.tags_known or tags_may_move):
        decisions = map(_kept_if_tagged, decisions)
    decisions = tuple(decisions)
    chosen = [decision for decision in decisions if decision.action is Action.RESTORE]
    chosen.sort(key=lambda decision: age_order(decision.version, timestamp), reverse=True)
    # GitHub restores only one version of a name: prefer one with tags, or the tags would be lost
    chosen.sort(key=lambda decision: not decision.version.tags)
    writes: list[PlannedWrite] = []
    for decision in chosen:
        version = decision.version
        expected = None
        if version.id in active.ids or version.name in active.names:
            expected = Outcome.ALREADY_ACTIVE
        elif not tags_may_move and active.tags.intersection(version.image_tags):
            expected = Outcome.TAG_IN_USE
        else:
            active.add(version)
        writes.append(planned(decision, expected=expected))
    writes.reverse()
    return Plan.of_singles(writes, decisions)


def _kept_if_tagged(decision: Decision) -> Decision:
    if decision.action is Action.KEEP or not decision.version.image_tags:
        return decision
    return replace(decision, action=Action.KEEP, reason=Reason.UNREADABLE)
