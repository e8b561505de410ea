"""The counts of a run, as outputs, summary and tables show them."""

from collections import Counter
from collections.abc import Mapping

from msgspec import Struct

from package_keeper.model.plan import Action
from package_keeper.model.run import Run
from package_keeper.settings import Operation, Settings


class Counts(Struct, frozen=True, kw_only=True):
    """The counts of docs/reference.md, "Outputs": versions, or packages for operations on whole packages."""

    selected: int = 0
    planned: int = 0
    deleted: int = 0
    untagged: int = 0
    restored: int = 0
    kept: int = 0
    skipped: int = 0
    failed: int = 0
    remaining: int = 0
    broken: int = 0

    def by_output(self) -> Mapping[str, int]:
        """The counts by the names of the outputs."""
        return {
            "selected-count": self.selected,
            "planned-count": self.planned,
            "deleted-count": self.deleted,
            "untagged-count": self.untagged,
            "restored-count": self.restored,
            "kept-count": self.kept,
            "skipped-count": self.skipped,
            "failed-count": self.failed,
            "remaining-count": self.remaining,
            "broken-count": self.broken,
        }


def count(run: Run, settings: Settings | None) -> Counts:
    """Count what was selected, planned and done. `settings` are `None` when the inputs could not be used."""
    kept = sum(decision.action is Action.KEEP for decision in run.plan.decisions)
    if settings is not None and settings.lists_versions:
        if settings.explains:
            return Counts(selected=len(run.listed) - kept, kept=kept)
        return Counts(selected=len(run.listed))
    if settings is not None and settings.operation is Operation.VERIFY:
        return Counts(selected=len(run.verified), broken=run.broken)
    writes = run.plan.writes
    if settings is not None and settings.concerns_packages and not settings.operation.writes:
        return Counts(selected=len(run.scope.packages))
    outcomes = Counter(record.outcome for record in run.records)
    done = Counter(record.write.action for record in run.records if record.is_done)
    return Counts(
        selected=len(writes),
        # a run that a guard refused sets out to do nothing
        planned=0 if run.result == "refused" else len(writes),
        deleted=done[Action.DELETE],
        untagged=done[Action.UNTAG],
        restored=done[Action.RESTORE],
        kept=kept,
        skipped=sum(number for outcome, number in outcomes.items() if outcome.is_skipped),
        failed=sum(number for outcome, number in outcomes.items() if outcome.is_failed),
        remaining=sum(number for outcome, number in outcomes.items() if outcome.is_remaining),
        broken=run.broken,
    )
