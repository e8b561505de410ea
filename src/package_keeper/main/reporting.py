"""What a run leaves behind: output file, summary, outputs, and what is shown; the whole before the parts."""

import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

from package_keeper.errors import SHORTEST_SECRET, PackageKeeperError
from package_keeper.execution.exit_status import ExitStatus
from package_keeper.execution.run import Run
from package_keeper.inputs.definitions import INPUTS_BY_NAME
from package_keeper.inputs.sources import Request
from package_keeper.main.input_files import NamedFiles
from package_keeper.model.packages import Owner
from package_keeper.report.contents import Contents
from package_keeper.report.documents import dumps, outputs, printable, result_document
from package_keeper.report.summary import summary
from package_keeper.report.tables import result_tables
from package_keeper.runner.logs import Log, write_outputs, write_summary
from package_keeper.runner.process import SteadyStream
from package_keeper.runner.workspace import FileUnwritable, PathProblem, ReceiptFile, Workspace
from package_keeper.settings import Operation, Settings

LOGGED_ROWS = 1_000
"""Rows of a table in the log of a workflow; who needs all of them reads `output-file`."""


@dataclass
class State:
    """What is known of the run so far; an early end reports what there is."""

    settings: Settings | None = None
    owner: Owner | None = None
    run: Run = field(default_factory=Run)
    receipt: ReceiptFile | None = None
    file: str = ""


@dataclass(frozen=True, kw_only=True)
class Reporter:
    """Reports one run."""

    request: Request
    environ: Mapping[str, str]
    workspace: Workspace
    log: Log
    command_line: bool

    def report(self, state: State, ended: ExitStatus) -> int:
        """Write everything that the run leaves behind, then give the exit status."""
        contents = self._contents(state, ended)
        try:
            if file := self._output_file(state):
                state.file = file
                contents = self._contents(state, ended)
                self.workspace.write(file, self._masked(dumps(result_document(contents))) + "\n")
            if self._text("summary").lower() != "false":
                write_summary(self.environ, self._masked(summary(contents)))
        except (PackageKeeperError, OSError) as error:
            self.log.error(f"the report cannot be written: {error}")  # noqa: TRY400  # reason: our log, for people
            ended = ended if ended.status else ExitStatus(result="failed", status=1)
            contents = self._contents(state, ended)
        try:
            found = outputs(contents)
            if not found["matrix"]:
                self.log.warning("the output matrix is empty: so many packages do not fit into it; use output-file")
            if found["truncated"] == "true" and self.environ.get("GITHUB_OUTPUT"):
                self.log.notice("outputs are cut to GitHub's size limit; output-file has the whole result")
            write_outputs(self.environ, {name: self._masked(text) for name, text in found.items()})
        except OSError as error:
            self.log.error(f"the outputs cannot be written: {error}")  # noqa: TRY400  # reason: as above
            ended = ended if ended.status else ExitStatus(result="failed", status=1)
        self._show(contents)
        settings = state.settings
        if settings is not None and settings.operation.writes and settings.dry_run:
            switch = "--no-dry-run" if self.command_line else "dry-run: false"
            then = "" if ended.result in ("refused", "partial") else f" With {switch} the plan is carried out."
            self.log.notice(f"This was a dry run: nothing was written.{then}")
        return ended.status

    def _output_file(self, state: State) -> str:
        """Where the whole result goes, relative to the workspace; never over a receipt."""
        text = self._text("output-file")
        if not text or (state.settings is None and self.workspace.problems(NamedFiles.paths(self.request))):
            return ""
        try:
            file = self.workspace.relative(self.workspace.resolve(text))
        except PathProblem:
            return ""
        if state.receipt is not None and file == state.receipt.path:
            raise FileUnwritable(f"{file} is the receipt of this run; output-file is not written over it")
        return file

    def _contents(self, state: State, ended: ExitStatus) -> Contents:
        run, settings = state.run, state.settings
        operation = settings.operation if settings else Operation.LIST
        return Contents(
            operation=operation if settings else "",
            result=ended.result,
            dry_run=bool(settings and operation.writes and settings.dry_run),
            concerns_packages=settings is not None and settings.concerns_packages,
            owner=state.owner,
            packages=tuple(run.scope.packages),
            plan=run.plan,
            listed=run.listed if settings is not None and settings.lists_versions else None,
            explained=settings is not None and settings.explains,
            records=tuple(run.records),
            messages=tuple(self.log.messages),
            checked=tuple(run.checked) if settings is not None and settings.checks_images else None,
            broken=run.broken,
            rows=run.rows,
            used=tuple(run.used),
            receipt=state.receipt.path if state.receipt else "",
            file=state.file,
        )

    def _show(self, contents: Contents) -> None:
        if self.request.output_format == "json":
            sys.stdout.write(self._masked(printable(result_document(contents))) + "\n")
        elif self.command_line:
            width = shutil.get_terminal_size((160, 40)).columns
            for table in result_tables(contents, width=width):
                sys.stdout.write(self._masked(table) + "\n")
        else:
            for table in result_tables(contents, width=160, most=LOGGED_ROWS):
                for line in table.splitlines():
                    self.log.info(line)
        sys.stdout.flush()
        if isinstance(sys.stdout, SteadyStream) and sys.stdout.problem:
            self.log.error(f"standard output cannot be written ({sys.stdout.problem}): what it should show is lost")

    def _masked(self, text: str) -> str:
        """The last net: whatever GitHub or a proxy echoed, the token is in no text that leaves the run."""
        token = self.request.texts.get("token", "").strip()
        return text.replace(token, "***") if len(token) >= SHORTEST_SECRET else text

    def _text(self, name: str) -> str:
        return self.request.texts.get(name, "").strip() or INPUTS_BY_NAME[name].default
