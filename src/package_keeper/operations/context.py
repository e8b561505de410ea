"""What an operation works with."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

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
from package_keeper.policy.rules import Rules
from package_keeper.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Writing:
    """The means of writing. A dry run has none."""

    reader: Reader
    writer: Writer
    untagger: Untagger
    executor: Executor
    pause: Pause

    def deletions(self, plan: GuardedPlan, settings: Settings) -> Deletions:
        """How the deletions of a plan are sent."""
        return Deletions(plan, self.reader, self.writer, self.untagger, settings.guards.on_last_version)

    def restorations(self, plan: GuardedPlan) -> Restorations:
        """How the restorations of a plan are sent."""
        return Restorations(plan, self.reader, self.writer, self.untagger)


@dataclass(frozen=True, kw_only=True)
class Context:
    """Everything that one run needs.

    `receipt` is the receipt to take back, if there is one. `rules` are those of the settings, with the images in use.
    `searches_files` says that files were searched for images in use, whatever they name. `writing` is `None` in a dry
    run: then nothing can be written.
    """

    settings: Settings
    owner: Owner
    receipt: Receipt | None
    wanted: PackageFilter
    rules: Rules
    facts: FactGatherer
    searches_files: bool
    reader: Reader
    registry: ManifestReader
    writing: Writing | None
    clock: Clock
    log: Log


Operation = Callable[[Context], Iterator[Run]]
"""An operation yields the run after each step. The last one counts, also when an error ends the operation early."""
