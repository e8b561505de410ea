"""The plan: what a run sets out to do, in the order in which it will do it, and what became of it.

Writes take a `GuardedPlan`, which only `guards.guard` makes.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from package_keeper.decisions.deciding import Judgement
from package_keeper.decisions.vocabulary import Decision, Outcome, Reason
from package_keeper.inventory.package import PackageName
from package_keeper.inventory.version import Timestamp, Version, age_order


class WriteKind(StrEnum):
    """What a write concerns."""

    VERSION = "version"
    PACKAGE = "package"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedWrite:
    """One thing to do. `refusal` is set when it is known before asking GitHub that it cannot be done.

    `version` is `None` for whole packages, and for versions known from a receipt alone, whose `id` and `name` stand
    beside it.
    """

    decision: Decision
    reason: Reason
    package: PackageName
    version: Version | None = None
    version_id: int | None = None
    version_name: str = ""
    tags: tuple[str, ...] = ()
    refusal: Outcome | None = None

    @property
    def kind(self) -> WriteKind:
        """Whether a version or a whole package is concerned."""
        return WriteKind.PACKAGE if self.version_id is None else WriteKind.VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteRecord:
    """What became of one planned write. `message` is GitHub's text or ours, empty when all is well."""

    write: PlannedWrite
    outcome: Outcome
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All writes of one run, oldest first, and every judgement that led there."""

    writes: tuple[PlannedWrite, ...] = ()
    judgements: tuple[Judgement, ...] = ()


@dataclass(frozen=True, kw_only=True)
class GuardedPlan:
    """A plan that passed the guards: `now` is to be carried out, `later` is over the limit."""

    plan: Plan
    now: tuple[PlannedWrite, ...] = field(default=())
    later: tuple[PlannedWrite, ...] = field(default=())


def plan_deletions(judgements: Iterable[Judgement], timestamp: Timestamp) -> Plan:
    """Plan what the judgements delete, oldest first over all packages (contract, input `limit`)."""
    judgements = tuple(judgements)
    chosen = (judgement for judgement in judgements if judgement.decision is Decision.DELETE)
    ordered = sorted(chosen, key=lambda judgement: age_order(judgement.version, timestamp))
    return Plan(writes=tuple(planned(judgement) for judgement in ordered), judgements=judgements)


def planned(judgement: Judgement, refusal: Outcome | None = None) -> PlannedWrite:
    """Turn the judgement about a version into the write that it asks for."""
    version = judgement.version
    return PlannedWrite(
        decision=judgement.decision,
        reason=judgement.reason,
        package=version.package,
        version=version,
        version_id=version.id,
        version_name=version.name,
        tags=version.tags,
        refusal=refusal,
    )
