"""Which deleted versions can come back without hurting what is there now.

What is active already is skipped, and so is a version whose tag an active version carries now, unless the user named
the version (contract, "Receipt and plan").
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from package_keeper.decisions.deciding import Judgement
from package_keeper.decisions.plan import Plan, PlannedWrite, planned
from package_keeper.decisions.vocabulary import Decision, Outcome, Reason
from package_keeper.inventory.stub import is_stub
from package_keeper.inventory.version import Timestamp, Version, age_order


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


def without_stubs(judgements: Iterable[Judgement]) -> tuple[list[Judgement], list[Version]]:
    """Keep deleted the stubs among what is to be restored: under its tag nothing would be there. Gives them, too."""
    found: list[Judgement] = []
    stubs: list[Version] = []
    for judgement in judgements:
        version = judgement.version
        if judgement.decision is Decision.RESTORE and is_stub(version.name, version.image_tags):
            stubs.append(version)
            found.append(replace(judgement, decision=Decision.KEEP, reason=Reason.NOT_SELECTED))
        else:
            found.append(judgement)
    return found, stubs


def plan_restorations(
    judgements: Iterable[Judgement], active: ActiveNames, timestamp: Timestamp, *, tags_may_move: bool
) -> Plan:
    """Plan the restorations of one package.

    Of several deleted versions with one tag or name, the newest has it, and of one name rather one with tags; the
    others are refused as they would be once that is back. `active` is added to. Where not all tags in use are known,
    nothing with a tag comes back.
    """
    if not (active.tags_known or tags_may_move):
        judgements = map(_kept_if_tagged, judgements)
    judgements = tuple(judgements)
    chosen = [judgement for judgement in judgements if judgement.decision is Decision.RESTORE]
    chosen.sort(key=lambda judgement: age_order(judgement.version, timestamp), reverse=True)
    # GitHub restores one version of a name: an untagged one would keep the tags of the others away
    chosen.sort(key=lambda judgement: not judgement.version.tags)
    writes: list[PlannedWrite] = []
    for judgement in chosen:
        version = judgement.version
        refusal = None
        if version.id in active.ids or version.name in active.names:
            refusal = Outcome.ALREADY_ACTIVE
        elif not tags_may_move and active.tags.intersection(version.image_tags):
            refusal = Outcome.TAG_IN_USE
        else:
            active.add(version)
        writes.append(planned(judgement, refusal))
    writes.reverse()
    return Plan.of_singles(writes, judgements)


def _kept_if_tagged(judgement: Judgement) -> Judgement:
    if judgement.decision is Decision.KEEP or not judgement.version.image_tags:
        return judgement
    return replace(judgement, decision=Decision.KEEP, reason=Reason.UNREADABLE)
