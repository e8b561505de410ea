"""Reports a run: output file, summary, outputs, and standard output or the log."""

import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from typing import TextIO

from msgspec import Struct

from package_keeper.errors import Cancelled, PackageKeeperError
from package_keeper.inputs.definitions import INPUTS
from package_keeper.inputs.sources import Request
from package_keeper.inputs.workflow import uploads_receipt
from package_keeper.main.input_files import NamedFiles
from package_keeper.model.plan import Action
from package_keeper.model.run import Run
from package_keeper.operations.exit_status import ExitStatus, reported, written
from package_keeper.report.documents import dumps, outputs, printable, result_document
from package_keeper.report.links import docs_base
from package_keeper.report.summary import Background, comment, summary
from package_keeper.report.tables import Section, coloured, lines, plain, sections, tab_separated
from package_keeper.report.totals import totals
from package_keeper.runner.logs import Log, harmless, has_colours, write_outputs, write_summary
from package_keeper.runner.process import SteadyStream
from package_keeper.runner.progress import columns_of
from package_keeper.runner.workspace import FileUnwritable, PathProblem, Workspace, read_regular
from package_keeper.settings import OutputFormat, ReportOptions, Settings

LOGGED_ROWS = 20
"""The most images of a package in the log of a workflow. `output-file` has all of them."""
LOGGED_WIDTH = 160
UNDO_DAYS = 30


class Reporter(Struct, frozen=True, kw_only=True):
    """Reports one run. `settings` are `None` when the inputs were invalid."""

    request: Request
    options: ReportOptions
    settings: Settings | None
    environ: Mapping[str, str]
    workspace: Workspace
    log: Log
    command_line: bool

    def report(self, run: Run, status: ExitStatus) -> int:
        """Write the whole report, and return the exit status."""
        run = reported(run, status, self.log.messages)
        try:
            run = self._write_files(run)
        except (PackageKeeperError, OSError) as error:
            run, status = self._failed("report", error, run, status)
        try:
            self._write_outputs(run)
        except OSError as error:
            run, status = self._failed("outputs", error, run, status)
        self._show(run)
        if self.settings is not None and self.settings.operation.writes and self.settings.dry_run:
            switch = "--no-dry-run" if self.command_line else "dry-run: false"
            then = f" With {switch} the plan is carried out." if status.result == "planned" else ""
            self.log.notice(f"This was a dry run: nothing was written.{then}", title="Dry run")
        self._end(run)
        return status.status

    def _end(self, run: Run) -> None:
        """Log what came of the run, where the receipt is, and the way back."""
        self.log.info(totals(run, self.settings))
        if not run.receipt:
            return
        self.log.info(f"receipt: {run.receipt}")
        if any(record.is_done and record.write.action is not Action.RESTORE for record in run.records):
            file = shlex.quote(run.receipt) if self.command_line else run.receipt
            owner = f" --owner {run.owner.login}" if run.owner is not None else ""
            back = (
                f"package-keeper restore{owner} --undo {file} --no-dry-run"
                if self.command_line
                else f"operation: restore, undo: {file}, dry-run: false"
            )
            self.log.info(f"way back, for {UNDO_DAYS} days: {back}")

    def _failed(self, what: str, error: Exception, run: Run, status: ExitStatus) -> tuple[Run, ExitStatus]:
        """Log that a part of the report could not be written. The run counts as failed."""
        self.log.error(f"the {what} cannot be written: {error}")
        status = status if status.status else ExitStatus(result="failed", status=1)
        return reported(run, status, self.log.messages), status

    def _write_files(self, run: Run) -> Run:
        """Write the output file and the summary. Return the run with the path of the output file."""
        if file := self._output_file(run.receipt):
            run = written(run, file)
            self.workspace.write(file, self.options.masked(dumps(result_document(run, self.settings))) + "\n")
        background = self._background(run)
        if self.options.summary_file and self._may_write_files():
            text = comment(run, self.settings, background)
            self.workspace.write(self.options.summary_file, self.options.masked(text))
        if self.options.summary:
            write_summary(self.environ, self.options.masked(summary(run, self.settings, background)))
        return run

    def _background(self, run: Run) -> Background:
        """What the summary says about the action, its inputs and its workflow."""
        texts = {each.name: self.request.texts.get(each.name, "").strip() for each in INPUTS}
        given = {
            each.name: texts[each.name]
            for each in INPUTS
            if each.name != "token" and texts[each.name] not in ("", each.default, self.request.defaults.get(each.name))
        }
        names = ("GITHUB_SERVER_URL", "GITHUB_ACTION_REPOSITORY", "GITHUB_ACTION_REF")
        return Background(
            docs=docs_base(*(self.environ.get(name, "") for name in names)),
            inputs=given,
            uploads_receipt=bool(run.receipt) and uploads_receipt(self._workflow(), run.receipt),
        )

    def _workflow(self) -> str:
        """The text of the workflow that runs, when the workspace has its file."""
        # OWNER/NAME/.github/workflows/FILE@refs/heads/BRANCH
        path = self.environ.get("GITHUB_WORKFLOW_REF", "").partition("@")[0].split("/", 2)[-1]
        if not path.startswith(".github/workflows/"):
            return ""
        try:
            return read_regular(self.workspace.resolve(path)).decode(errors="replace")
        except (PathProblem, OSError):
            return ""

    def _write_outputs(self, run: Run) -> None:
        found = outputs(run, self.settings)
        if not found["matrix"]:
            self.log.warning("the output matrix is empty: so many packages do not fit into it; use output-file")
        if found["truncated"] == "true" and self.environ.get("GITHUB_OUTPUT"):
            self.log.notice("outputs are cut to GitHub's size limit; output-file has the whole result")
        write_outputs(self.environ, {name: self.options.masked(text) for name, text in found.items()})

    def _output_file(self, receipt: str) -> str:
        """The path of the output file, relative to the workspace. Raises `FileUnwritable` for that of the receipt."""
        text = self.options.output_file
        if not text or not self._may_write_files():
            return ""
        try:
            file = self.workspace.relative(self.workspace.resolve(text))
        except PathProblem:
            return ""
        if file == receipt:
            raise FileUnwritable(f"{file} is the receipt of this run; output-file is not written over it")
        return file

    def _may_write_files(self) -> bool:
        """Whether the paths of the inputs can be used. A run with bad inputs writes its report too."""
        return self.settings is not None or not NamedFiles.path_problems(self.request, self.workspace)

    def _show(self, run: Run) -> None:
        """Print the result, or log it in a workflow."""
        if self.options.output_format is OutputFormat.JSON:
            sys.stdout.write(self.options.masked(printable(result_document(run, self.settings))) + "\n")
        elif isinstance(run.ended_by, Cancelled):
            # only the counts follow: whoever interrupts a run does not wait for thousands of rows
            pass
        elif self.command_line:
            for line in self._terminal_lines(run):
                sys.stdout.write(self.options.masked(line) + "\n")
        else:
            for section in sections(run, self.settings, most=LOGGED_ROWS):
                self._log_section(section)
        sys.stdout.flush()
        if isinstance(sys.stdout, SteadyStream) and sys.stdout.problem:
            self.log.error(f"standard output cannot be written ({sys.stdout.problem}): what it should show is lost")

    def _terminal_lines(self, run: Run) -> Iterator[str]:
        """The rows for standard output: a table for people, or lines with tabs for another program."""
        if not sys.stdout.isatty():
            # the pipe may be that of a workflow's step, which takes lines for commands
            yield from map(harmless, tab_separated(run, self.settings))
            return
        for section in sections(run, self.settings):
            yield from _for_terminal(section, sys.stdout, self.environ)

    def _log_section(self, section: Section) -> None:
        """Log a section, folded under its title if it has one."""
        found = list(lines(section, width=LOGGED_WIDTH))
        title, rows = (found[0], found[1:]) if section.title else ("", found)
        with self.log.group(title) if title else nullcontext():
            for line in rows:
                self.log.info(line)


def show_plan(run: Run, settings: Settings | None, stream: TextIO, environ: Mapping[str, str]) -> None:
    """Show on a terminal what is about to be written: the first images of each package, then their number."""
    for section in sections(run, settings, most=LOGGED_ROWS):
        stream.writelines(f"{line}\n" for line in _for_terminal(section, stream, environ))


def _for_terminal(section: Section, stream: TextIO, environ: Mapping[str, str]) -> Iterator[str]:
    paint = coloured if has_colours(stream, environ) else plain
    return lines(section, width=columns_of(stream), paint=paint)
