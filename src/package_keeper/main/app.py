"""One run: builds the adapters, runs one operation, and turns every end into a report and an exit status."""

import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from package_keeper.errors import (
    ApiError,
    ApiErrorKind,
    BadInput,
    Cancelled,
    NotAuthorized,
    OutOfTime,
    PackageKeeperError,
    Unreachable,
    defect,
)
from package_keeper.execution import operations
from package_keeper.execution.executor import Executor
from package_keeper.execution.exit_status import ExitStatus, exit_status, result_of
from package_keeper.execution.facts import FactGatherer
from package_keeper.execution.operations import Task, Writing
from package_keeper.execution.receipt import Receipt, ReceiptWriter
from package_keeper.execution.run import Run
from package_keeper.execution.scope import PackageFilter, owners_in_front
from package_keeper.execution.untag import Untagger
from package_keeper.github.http import HttpClient, environment_problems
from package_keeper.github.identity import Identity
from package_keeper.github.pool import Pool, RateLimitedPool
from package_keeper.github.rate_limit import Clock, RateLimiter, RunLimits
from package_keeper.github.registry import Registry, RegistryWriter, derived_url
from package_keeper.github.repositories import PyGithubClient, Repositories
from package_keeper.github.rest import PackagesReader, PackagesWriter, VersionLooks
from package_keeper.github.retries import Retries
from package_keeper.inputs.definitions import INPUTS_BY_NAME
from package_keeper.inputs.parser import parse_settings
from package_keeper.inputs.sources import Request
from package_keeper.main.input_files import NamedFiles
from package_keeper.main.reporting import Reporter, State
from package_keeper.model.packages import Owner
from package_keeper.model.words import Outcome
from package_keeper.policy.images_in_use import ImagesInUse
from package_keeper.runner.logs import LEVELS, ActionsLog, Log, TerminalLog, run_identity
from package_keeper.runner.process import Interruption
from package_keeper.runner.workspace import ManifestCache, ReceiptFile, Workspace
from package_keeper.settings import Operation, Settings


class App:
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
        self._state = State()
        self._files = NamedFiles()
        self._began = clock.monotonic()
        self._pool = Pool()
        self._run_limits = RunLimits()
        # REST and the registry are two hosts, with limits of their own
        self._retries = self._make_retries("GitHub", counts_points=True)
        self._registry_retries = self._make_retries("the registry", counts_points=False)

    def run(self) -> int:
        """Run, report whatever happened, and give the exit status."""
        run = self._state.run
        try:
            self._attempt()
        except OutOfTime as over:
            run.ended_by = over
            if not self._retries.reached:
                run.ended_by = Unreachable(f"GitHub was not reached within time-limit: {over.why}")
        except PackageKeeperError as error:
            run.ended_by = error
        except Exception as error:  # noqa: BLE001  # reason: whatever happens, what was done is reported
            self._log.debug(traceback.format_exc())
            run.ended_by = defect(error)
        while True:
            try:
                self._interruption.finish()
                break
            except Cancelled as cancelled:
                run.ended_by = run.ended_by or cancelled
        if isinstance(run.ended_by, OutOfTime):
            self._log.notice(str(run.ended_by))
        elif run.ended_by is not None:
            self._log.error(str(run.ended_by))
        reporter = Reporter(
            request=self._request,
            environ=self._environ,
            workspace=self._workspace,
            log=self._log,
            command_line=self._command_line,
        )
        return reporter.report(self._state, self._exit_status())

    def _attempt(self) -> None:
        settings, receipt = self._read_inputs()
        self._state.settings = settings
        self._run_limits.polite = settings.polite
        self._run_limits.deadline = None if settings.time_limit is None else self._began + settings.time_limit
        for warning in (*settings.warnings, *self._files.warnings):
            self._log.warning(warning)
        self._operate(settings, receipt)

    def _exit_status(self) -> ExitStatus:
        settings, run = self._state.settings, self._state.run
        if settings is None:
            status = run.ended_by.status if run.ended_by else 1
            return ExitStatus(result=result_of(status), status=status)
        return exit_status(
            run,
            writes=settings.operation.writes,
            dry_run=settings.dry_run,
            if_missing=settings.if_missing,
            fail_on=settings.fail_on,
        )

    def _read_inputs(self) -> tuple[Settings, Receipt | None]:
        files = NamedFiles.read(self._request, self._workspace, self._environ.get("GITHUB_REPOSITORY", ""))
        self._files = files
        settings = parse_settings(
            self._request.texts,
            defaults=self._request.defaults,
            now=self._clock.now(),
            problems=self._request.problems + files.problems,
            files=files.inputs,
            explains=self._request.explains,
        )
        return settings, files.receipt

    def _operate(self, settings: Settings, receipt: Receipt | None) -> None:
        if problems := environment_problems([settings.api_url, _registry_url(settings)], self._environ):
            raise BadInput(problems)
        http_client = HttpClient(settings.api_url, settings.token.text, self._retries)
        client = PyGithubClient(settings.api_url, settings.token.text, self._retries)
        try:
            self._operate_for(self._owner(settings, receipt, http_client), settings, receipt, http_client, client)
        finally:
            client.close()
            http_client.close()

    def _owner(self, settings: Settings, receipt: Receipt | None, http_client: HttpClient) -> Owner:
        identity = Identity(settings.api_url, http_client)
        owner = identity.resolve(settings.owner, settings.owner_type, login_is_default=settings.owner_is_default)
        self._state.owner = owner
        if receipt is not None and receipt.owner.lower() != owner.login.lower():
            raise BadInput([f"undo: the receipt is about packages of {receipt.owner}, the owner is {owner.login}"])
        about = f"what {settings.undo} tells" if settings.undo else ", ".join(settings.package_types)
        self._log.info(f"{settings.operation} for {owner.login} ({owner.type}): {about}")
        return owner

    def _operate_for(
        self, owner: Owner, settings: Settings, receipt: Receipt | None, http_client: HttpClient, client: PyGithubClient
    ) -> None:
        run = self._state.run
        reader = PackagesReader(http_client, owner, self._pool)
        registry = self._registry(settings, owner)
        used = self._files.used.images(owner.login, settings.owner) if self._files.used else ImagesInUse()
        rules = replace(settings.rules, lists=replace(settings.rules.lists, used=used))
        repository = _full_name(settings.repository, owner)
        task = Task(
            owner=owner,
            types=settings.package_types,
            types_given=settings.package_types_given,
            wanted=PackageFilter(
                patterns=settings.packages,
                also=settings.policy_packages,
                visibility=settings.visibility,
                repository=repository,
                owners=owners_in_front((owner.login, settings.owner), urlsplit(_registry_url(settings)).netloc),
            ),
            rules=rules,
            facts=FactGatherer(
                rules=rules,
                owner=owner.login,
                repositories=Repositories(client),
                repository=repository,
                fallback=self._environ.get("GITHUB_REPOSITORY", ""),
                stopwatch=self._clock,
                log=self._log,
            ),
            guards=settings.guards,
            counts_used=self._files.used is not None,
            deleted_state=settings.deleted_state,
            explains=settings.explains,
            query=settings.query,
            reader=reader,
            looks=VersionLooks(reader, self._pool, self._retries.rate_limiter),
            registry=registry,
            # the only place where a run is given something to write with
            writing=self._writing(settings, owner, http_client, reader, registry)
            if settings.writes and isinstance(registry, RegistryWriter)
            else None,
            clock=self._clock,
            log=self._log,
        )
        try:
            _operation(settings, receipt)(task, run)
            self._tell_empty_scope(settings, run)
            self._tell_idle_globs(used, run)
        except ApiError as refused:
            raise _ending(refused) from None
        finally:
            for remark in reader.remarks:
                self._log.warning(remark)
            if registry.reads:
                self._log.info(f"manifests read from the registry, each counted there as a download: {registry.reads}")
            self._tell_scope(settings, run)
            self._tell_rest(run)

    def _writing(
        self, settings: Settings, owner: Owner, http_client: HttpClient, reader: PackagesReader, tags: RegistryWriter
    ) -> Writing:
        def open_receipt() -> ReceiptFile:
            self._state.receipt = self._workspace.create_receipt(settings.receipt)
            return self._state.receipt

        book = ReceiptWriter(open_receipt, owner, run_identity(self._environ), self._clock)
        pool = RateLimitedPool(self._pool, self._retries.rate_limiter)
        executor = Executor(book, self._log, self._interruption, pool)
        writer = PackagesWriter(http_client, owner)
        pause = self._retries.rate_limiter
        moves = Untagger(reader, writer, tags, pause, self._log)
        return Writing(writer=writer, tags=moves, executor=executor, pause=pause)

    def _registry(self, settings: Settings, owner: Owner) -> Registry:
        cache = None
        if settings.manifest_cache:
            cache = ManifestCache(
                self._workspace.resolve(settings.manifest_cache), self._workspace.chown_to_workspace_owner
            )
        # what can move tags is made only for a run that may write
        kind = RegistryWriter if settings.writes else Registry
        return kind(
            _registry_url(settings),
            owner.login,
            settings.token.text,
            retries=self._registry_retries,
            pool=self._pool,
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

    def _tell_idle_globs(self, used: ImagesInUse, run: Run) -> None:
        """Say which globs protect nothing of what was in scope."""
        for glob in used.idle_globs(run.used) if run.scope.packages else ():
            self._log.warning(
                f"keep-used-in: '{glob}': its files name no image of the packages in scope, so it protects nothing here"
            )

    def _tell_empty_scope(self, settings: Settings, run: Run) -> None:
        named = settings.undo or settings.operation is Operation.RESTORE_PACKAGE
        if not (run.scope.packages or run.scope.problems or run.scope.missing or named):
            self._log.notice("no package matches")

    def _tell_rest(self, run: Run) -> None:
        """Say what a budget leaves for the next run."""
        over = self._run_limits.held_up_by or "time-limit is reached"
        for outcome, reason in ((Outcome.OVER_LIMIT, "limit is reached"), (Outcome.OUT_OF_TIME, over)):
            left = sum(record.outcome is outcome for record in run.records)
            if left and not isinstance(run.ended_by, Cancelled):
                self._log.notice(f"{reason}: {left} of the planned writes are left for the next run")

    def _make_retries(self, who: str, *, counts_points: bool) -> Retries:
        rate_limiter = RateLimiter(
            self._clock,
            warn=self._log.warning,
            tell=self._log.info,
            who=who,
            counts_points=counts_points,
            run_limits=self._run_limits,
        )
        return Retries(rate_limiter, self._clock, self._log.warning)

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


def _ending(refused: ApiError) -> PackageKeeperError:
    """How a refusal of the whole run ends it."""
    text = f"GitHub: {refused}\n{refused.remedy}".rstrip()
    if refused.kind is ApiErrorKind.UNREACHABLE:
        return Unreachable(text)
    if refused.kind in (ApiErrorKind.UNAUTHORIZED, ApiErrorKind.NO_PERMISSION, ApiErrorKind.LISTING_REFUSED):
        return NotAuthorized(text)
    return PackageKeeperError(text)


def _registry_url(settings: Settings) -> str:
    return settings.registry_url or derived_url(settings.api_url)


def _full_name(repository: str, owner: Owner) -> str:
    """The repository as `owner/name`; alone its name is one of the owner's."""
    return f"{owner.login}/{repository}" if repository and "/" not in repository else repository
