"""The context of an operation: settings, readers, and the means to write."""

from collections.abc import Callable, Iterator

from msgspec import Struct

from package_keeper.execution.deletions import Deletions
from package_keeper.execution.executor import Executor
from package_keeper.execution.facts import FactGatherer
from package_keeper.execution.ports import Clock, Log, ManifestReader, Pause, Reader, Writer
from package_keeper.execution.receipt import Receipt
from package_keeper.execution.restorations import Restorations
from package_keeper.execution.scope import PackageFilter
from package_keeper.execution.untag import Untagger
from package_keeper.model.packages import Owner
from package_keeper.model.plan import GuardedPlan
from package_keeper.model.run import Run
from package_keeper.policy.forecasts import Refused
from package_keeper.policy.guards import OnLastVersion
from package_keeper.policy.rules import Rules
from package_keeper.settings import Settings


class Writing(Struct, frozen=True, kw_only=True):
    """Everything that is needed to write. A dry run has none of it."""

    reader: Reader
    writer: Writer
    untagger: Untagger
    executor: Executor
    pause: Pause

    def deletion_strategy(self, plan: GuardedPlan, on_last_version: OnLastVersion) -> Deletions:
        """Return the strategy to send the deletions of a plan."""
        return Deletions(plan, self.reader, self.writer, self.untagger, on_last_version)

    def restoration_strategy(self, plan: GuardedPlan) -> Restorations:
        """Return the strategy to send the restorations of a plan."""
        return Restorations(plan, self.reader, self.writer, self.untagger)


def unasked(_: Run, __: GuardedPlan) -> None:
    """Ask nobody before the first write."""


class Context(Struct, frozen=True, kw_only=True):
    """Everything that one run needs.

    `receipt` is the receipt to take back, if any. `rules` are those of the settings, with the images in use.
    `workflow_repository` is the repository of the workflow as `owner/name`, or empty. `refused_for_downloads` is what
    receipts of earlier runs show. `writing` is `None` in a dry run, which therefore cannot write. `confirm` is called
    before the first write; it raises `Cancelled` when the plan is not wanted.
    """

    settings: Settings
    owner: Owner
    receipt: Receipt | None
    wanted: PackageFilter
    rules: Rules
    facts: FactGatherer
    reader: Reader
    registry: ManifestReader
    writing: Writing | None
    clock: Clock
    log: Log
    workflow_repository: str = ""
    refused_for_downloads: Refused = frozenset()
    confirm: Callable[[Run, GuardedPlan], None] = unasked


Operation = Callable[[Context], Iterator[Run]]
"""An operation yields the run after each step. The last one counts, even if an error ends the operation early.

Who drives an operation raises `run.scope.ended_by`: what was found before that error is then in the run."""
