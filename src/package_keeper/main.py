"""The composition root: builds the adapters, runs one operation, turns every end into outputs and an exit status."""

import os
import shutil
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from package_keeper.errors import (
    SHORTEST_SECRET,
    BadInput,
    Cancelled,
    NotAuthorized,
    PackageKeeperError,
    Refusal,
    RefusalKind,
    Unreachable,
)
from package_keeper.execution import operations
from package_keeper.execution.carrying_out import Carrier
from package_keeper.execution.operations import Task, Writing
from package_keeper.execution.receipt import Receipt, ReceiptProblem, ReceiptWriter, read_receipt
from package_keeper.execution.run import Run
from package_keeper.execution.untagging import TagMoves
from package_keeper.execution.verdict import Verdict, result_of, verdict
from package_keeper.github.identity import Identity
from package_keeper.github.registry import Registry, TagMover, derived_url
from package_keeper.github.rest import PackagesReader, PackagesWriter
from package_keeper.github.transport import Clock, Transport
from package_keeper.inputs.definitions import INPUTS_BY_NAME
from package_keeper.inputs.doors import Request, ShowAndExit, from_action, from_command_line
from package_keeper.inputs.operations import Operation
from package_keeper.inputs.reading import read_settings
from package_keeper.inputs.settings import Settings
from package_keeper.inventory.package import Owner, OwnerType
from package_keeper.report.contents import Contents
from package_keeper.report.documents import dumps, outputs, printable, result_document
from package_keeper.report.summary import summary
from package_keeper.report.tables import result_tables
from package_keeper.runner.actions import run_identity, write_outputs, write_summary
from package_keeper.runner.cache import ManifestCache
from package_keeper.runner.files import FileUnwritable, PathProblem, ReceiptFile, Workspace
from package_keeper.runner.logs import LEVELS, ActionsLog, Log, TerminalLog
from package_keeper.runner.signals import Interruption, SystemClock


def main(arguments: Sequence[str]) -> int:
    """Run through the door that `arguments` say: none is the Action. Gives the exit status."""
    return _enter(arguments, command_line=bool(arguments))


def command_line() -> int:
    """Run the command line, as the console script `package-keeper`."""
    return _enter(sys.argv[1:], command_line=True)


def _enter(arguments: Sequence[str], *, command_line: bool) -> int:
    interruption = Interruption()
    interruption.install()
    environ = dict(os.environ)
    clock = SystemClock(interruption)
    if not command_line:
        request = from_action(environ)
    else:
        try:
            request = from_command_line(arguments, environ)
        except ShowAndExit as shown:
            sys.stdout.write(shown.text)
            return 0
    session = Session(request, environ, interruption, clock, command_line=command_line)
    return session.run()


@dataclass
class _State:
    """What is known of the run so far; an early end reports what there is."""

    settings: Settings | None = None
    owner: Owner | None = None
    run: Run = field(default_factory=Run)
    receipt: ReceiptFile | None = None
    file: str = ""


class Session:
    """One run, from the texts of the inputs to the exit status."""

    def __init__(
        self,
        request: Request,
        environ: Mapping[str, str],
        interruption: Interruption,
        clock: Clock,
        *,
        command_line: bool,
    ) -> None:
        self._request = request
        self._environ = environ
        self._interruption = interruption
        self._clock = clock
        self._command_line = command_line
        self._workspace = Workspace(Path(environ.get("GITHUB_WORKSPACE") or Path.cwd()))
        self._log = self._make_log()
        self._state = _State()

    def run(self) -> int:
        """Run, report whatever happened, and give the exit status."""
        run = self._state.run
        try:
            self._attempt()
        except PackageKeeperError as error:
            run.ended_by = error
        except Exception as error:  # noqa: BLE001  # reason: whatever happens, what was done is reported
            self._log.debug(traceback.format_exc())
            run.ended_by = PackageKeeperError(
                f"unexpected {type(error).__name__}: {error}. This is a defect of Package Keeper; please report it with"
                " what log-level: debug says"
            )
        while True:
            try:
                self._interruption.finish()
                break
            except Cancelled as cancelled:
                run.ended_by = run.ended_by or cancelled
        if run.ended_by is not None:
            self._log.error(str(run.ended_by))
        return self._report(self._verdict())

    def _attempt(self) -> None:
        settings, receipt = self._read_inputs()
        self._state.settings = settings
        for warning in settings.warnings:
            self._log.warning(warning)
        self._operate(settings, receipt)

    def _verdict(self) -> Verdict:
        settings, run = self._state.settings, self._state.run
        if settings is None:
            status = run.ended_by.status if run.ended_by else 1
            return Verdict(result=result_of(status), status=status)
        return verdict(
            run,
            writes=settings.operation.writes,
            dry_run=settings.dry_run,
            if_missing=settings.if_missing,
            fail_on=settings.fail_on,
        )

    def _read_inputs(self) -> tuple[Settings, Receipt | None]:
        problems = self._request.problems + self._workspace.problems(self._paths())
        receipt = None
        if undo := self._text("undo"):
            try:
                receipt = read_receipt(self._workspace.read(undo))
            except (PathProblem, ReceiptProblem) as problem:
                problems.append(f"undo: '{undo}' {problem}")
        if receipt is not None and (foreign := self._foreign(receipt)):
            problems.append(foreign)
        settings = read_settings(
            self._request.texts, defaults=self._request.defaults, now=self._clock.now(), problems=problems
        )
        return settings, receipt

    def _paths(self) -> dict[str, str]:
        return {name: self._text(name) for name in ("receipt", "undo", "output-file", "manifest-cache")}

    def _foreign(self, receipt: Receipt) -> str:
        """The problem with a receipt of another owner, as far as the owner is known before asking GitHub."""
        owner = self._request.texts.get("owner", "").strip() or self._request.defaults.get("owner", "")
        own = self._request.texts.get("owner-type", "").strip() == OwnerType.AUTHENTICATED_USER
        if not owner or own or receipt.owner.lower() == owner.lower():
            return ""
        return f"undo: the receipt is about packages of {receipt.owner}, the owner is {owner}"

    def _text(self, name: str) -> str:
        return self._request.texts.get(name, "").strip() or INPUTS_BY_NAME[name].default

    def _operate(self, settings: Settings, receipt: Receipt | None) -> None:
        run = self._state.run
        identity = Identity(settings.api_url, settings.token.text, clock=self._clock, notify=self._log.warning)
        owner = identity.resolve(settings.owner, settings.owner_type, login_is_default=settings.owner_is_default)
        self._state.owner = owner
        if receipt is not None and receipt.owner.lower() != owner.login.lower():
            raise BadInput([f"undo: the receipt is about packages of {receipt.owner}, the owner is {owner.login}"])
        about = f"what {settings.undo} tells" if settings.undo else ", ".join(settings.package_types)
        self._log.info(f"{settings.operation} for {owner.login} ({owner.type}): {about}")
        transport = Transport(settings.api_url, settings.token.text, clock=self._clock, notify=self._log.warning)
        reader = PackagesReader(transport, owner)
        registry = self._registry(settings, owner)
        task = Task(
            owner=owner,
            types=settings.package_types,
            types_given=settings.package_types_given,
            patterns=settings.packages,
            rules=settings.rules,
            guards=settings.guards,
            deleted_state=settings.deleted_state,
            reader=reader,
            registry=registry,
            # the only place where a run is given something to write with
            writing=self._writing(settings, owner, transport, reader, registry)
            if settings.writes and isinstance(registry, TagMover)
            else None,
            log=self._log,
        )
        try:
            _operation(settings, receipt)(task, run)
        except Refusal as refused:
            raise _ending(refused) from None
        finally:
            for remark in reader.remarks:
                self._log.warning(remark)
            if registry.reads:
                self._log.info(f"manifests read from the registry, each counted there as a download: {registry.reads}")
        self._tell_scope(settings, run)

    def _writing(
        self, settings: Settings, owner: Owner, transport: Transport, reader: PackagesReader, tags: TagMover
    ) -> Writing:
        def open_receipt() -> ReceiptFile:
            self._state.receipt = self._workspace.create_receipt(settings.receipt)
            return self._state.receipt

        book = ReceiptWriter(open_receipt, owner, run_identity(self._environ), self._clock)
        carrier = Carrier(book, self._log, self._interruption)
        writer = PackagesWriter(transport, owner)
        moves = TagMoves(reader, writer, tags, self._clock, self._log)
        return Writing(writer=writer, tags=moves, carrier=carrier, pause=self._clock)

    def _registry(self, settings: Settings, owner: Owner) -> Registry:
        cache = None
        if settings.manifest_cache:
            cache = ManifestCache(self._workspace.resolve(settings.manifest_cache), self._workspace.give_away)
        # what can move tags is made only for a run that may write
        kind = TagMover if settings.writes else Registry
        return kind(
            settings.registry_url or derived_url(settings.api_url),
            owner.login,
            settings.token.text,
            clock=self._clock,
            notify=self._log.warning,
            cache=cache,
        )

    def _tell_scope(self, settings: Settings, run: Run) -> None:
        for problem in run.scope.problems:
            self._log.error(str(problem))
        for name in run.scope.missing:
            text = (
                f"package: '{name}' does not exist among the {', '.join(settings.package_types)} packages of"
                f" {settings.owner or 'this account'}, or the token may not see it"
            )
            tell = {"fail": self._log.error, "warn": self._log.warning}.get(settings.if_missing, self._log.info)
            tell(text)
        named = settings.undo or settings.operation is Operation.RESTORE_PACKAGE
        if not (run.scope.packages or run.scope.problems or run.scope.missing or named):
            self._log.notice("no package matches")

    def _report(self, ended: Verdict) -> int:
        """Write everything that the run leaves behind, the whole before the parts, then give the exit status."""
        contents = self._contents(ended)
        try:
            if file := self._output_file():
                self._state.file = file
                contents = self._contents(ended)
                self._workspace.write(file, self._masked(dumps(result_document(contents))) + "\n")
            if self._text("summary").lower() != "false":
                write_summary(self._environ, self._masked(summary(contents)))
        except (PackageKeeperError, OSError) as error:
            self._log.error(f"the report cannot be written: {error}")
            ended = ended if ended.status else Verdict(result="failed", status=1)
            contents = self._contents(ended)
        try:
            write_outputs(self._environ, {name: self._masked(text) for name, text in outputs(contents).items()})
        except OSError as error:
            self._log.error(f"the outputs cannot be written: {error}")
            ended = ended if ended.status else Verdict(result="failed", status=1)
        self._show(contents)
        settings = self._state.settings
        if settings is not None and settings.operation.writes and settings.dry_run:
            switch = "--no-dry-run" if self._command_line else "dry-run: false"
            self._log.notice(f"This was a dry run: nothing was written. With {switch} the plan is carried out.")
        return ended.status

    def _output_file(self) -> str:
        """Where the whole result goes, relative to the workspace; never over a receipt."""
        text = self._text("output-file")
        if not text or (self._state.settings is None and self._workspace.problems(self._paths())):
            return ""
        try:
            file = self._workspace.relative(self._workspace.resolve(text))
        except PathProblem:
            return ""
        if self._state.receipt is not None and file == self._state.receipt.path:
            raise FileUnwritable(f"{file} is the receipt of this run; output-file is not written over it")
        return file

    def _contents(self, ended: Verdict) -> Contents:
        run, settings = self._state.run, self._state.settings
        operation = settings.operation if settings else Operation.LIST
        return Contents(
            operation=operation if settings else "",
            result=ended.result,
            dry_run=bool(settings and operation.writes and settings.dry_run),
            concerns_packages=settings is not None and settings.concerns_packages,
            owner=self._state.owner,
            packages=tuple(run.scope.packages),
            plan=run.plan,
            listed=run.listed if settings is not None and settings.lists_versions else None,
            records=tuple(run.records),
            messages=tuple(self._log.messages),
            checked=tuple(run.checked) if settings is not None and settings.checks_images else None,
            broken=run.broken,
            receipt=self._state.receipt.path if self._state.receipt else "",
            file=self._state.file,
        )

    def _show(self, contents: Contents) -> None:
        try:
            if self._request.output_format == "json":
                sys.stdout.write(self._masked(printable(result_document(contents))) + "\n")
            elif self._command_line:
                width = shutil.get_terminal_size((160, 40)).columns
                sys.stdout.write(self._masked(result_tables(contents, width=width)) + "\n")
            else:
                for line in result_tables(contents, width=160).splitlines():
                    self._log.info(line)
            sys.stdout.flush()
        except BrokenPipeError:
            # whoever read the output has seen enough; Python would complain once more while it ends
            sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123  # reason: held until the end

    def _masked(self, text: str) -> str:
        """The last net: whatever GitHub or a proxy echoed, the token is in no text that leaves the run."""
        token = self._request.texts.get("token", "").strip()
        return text.replace(token, "***") if len(token) >= SHORTEST_SECRET else text

    def _make_log(self) -> Log:
        texts = self._request.texts
        definition = INPUTS_BY_NAME["log-level"]
        wanted = texts.get("log-level", "").strip()
        level = definition.aliases.get(wanted, wanted)
        level = level if level in LEVELS else definition.default
        token = texts.get("token", "").strip()
        return TerminalLog(level, token, sys.stderr) if self._command_line else ActionsLog(level, token)


def _operation(settings: Settings, receipt: Receipt | None) -> Callable[[Task, Run], None]:
    match settings.operation:
        case Operation.LIST:
            return operations.list_versions if settings.lists_versions else operations.list_packages
        case Operation.CONFLICTS:
            return operations.conflicts
        case Operation.VERIFY:
            return operations.verify
        case Operation.REPAIR:
            return operations.repair
        case Operation.DELETE:
            return operations.delete
        case Operation.RESTORE:
            return operations.restore if receipt is None else partial(operations.undo, receipt=receipt)
        case Operation.DELETE_PACKAGE:
            return operations.delete_package
        case Operation.RESTORE_PACKAGE:
            return operations.restore_package


def _ending(refused: Refusal) -> PackageKeeperError:
    """How a refusal of the whole run ends it."""
    text = f"GitHub: {refused}\n{refused.remedy}".rstrip()
    if refused.kind is RefusalKind.UNREACHABLE:
        return Unreachable(text)
    if refused.kind in (RefusalKind.UNAUTHORIZED, RefusalKind.NO_PERMISSION, RefusalKind.LISTING_REFUSED):
        return NotAuthorized(text)
    return PackageKeeperError(text)
