"""What a report is made of, whatever its form."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from package_keeper.model.images import VerifiedImage
from package_keeper.model.packages import Owner, Package
from package_keeper.model.words import Action, Outcome
from package_keeper.policy.evaluation import Decision
from package_keeper.policy.images_in_use import ImageReference
from package_keeper.policy.planning import Plan, WriteRecord


@dataclass(frozen=True, kw_only=True)
class Contents:
    """Everything that a report says about one run.

    `concerns_packages` is true for operations on whole packages, whose counts are packages. `listed` is what `list`
    shows, `explained` that it is every version with the decision of a deletion (else nothing is decided about what is
    listed), `rows` what a query gave, `used` the
    references that protect images, `checked` what `verify` and `repair` found, `broken` how many images are broken.
    `owner` is `None` when the run ended before the owner was known. `messages` are problems and remarks.
    """

    operation: str
    result: str
    dry_run: bool
    concerns_packages: bool
    owner: Owner | None = None
    packages: tuple[Package, ...] = ()
    plan: Plan = field(default_factory=Plan)
    listed: tuple[Decision, ...] | None = None
    explained: bool = False
    records: tuple[WriteRecord, ...] = ()
    messages: tuple[str, ...] = ()
    checked: tuple[VerifiedImage, ...] | None = None
    broken: int = 0
    rows: list[dict[str, object]] | None = None
    used: tuple[ImageReference, ...] = ()
    receipt: str = ""
    file: str = ""


@dataclass(frozen=True, kw_only=True)
class Counts:
    """The counts of the contract ("Outputs"); versions, or packages for operations on whole packages."""

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


def count(contents: Contents) -> Counts:
    """Count what was selected, planned and done."""
    kept = sum(decision.action is Action.KEEP for decision in contents.plan.decisions)
    if contents.listed is not None and not contents.explained:
        return Counts(selected=len(contents.listed))
    if contents.listed is not None:
        return Counts(selected=len(contents.listed) - kept, kept=kept)
    if contents.checked is not None and contents.operation == "verify":
        return Counts(selected=len(contents.checked), broken=contents.broken)
    if not contents.plan.writes and contents.concerns_packages:
        return Counts(selected=len(contents.packages))
    outcomes = Counter(record.outcome for record in contents.records)
    done = [record.write.action for record in contents.records if record.outcome is Outcome.DONE]
    return Counts(
        selected=len(contents.plan.writes),
        # a run that a guard refused sets out to do nothing
        planned=0 if contents.result == "refused" else len(contents.plan.writes),
        deleted=done.count(Action.DELETE),
        untagged=done.count(Action.UNTAG),
        restored=done.count(Action.RESTORE),
        kept=kept,
        skipped=sum(number for outcome, number in outcomes.items() if outcome.is_skipped),
        failed=sum(number for outcome, number in outcomes.items() if outcome.is_failed),
        remaining=sum(number for outcome, number in outcomes.items() if outcome.is_remaining),
        broken=contents.broken,
    )
