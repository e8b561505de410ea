"""One run: builds the clients, runs one operation, reports it, and returns the exit status."""

import hashlib
import json
import re
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from msgspec.structs import replace

from package_keeper import __version__
from package_keeper.causes import PAGE, Cause, causes_of
from package_keeper.errors import (
    ApiError,
    ApiErrorKind,
    BadInput,
    Cancelled,
    GuardRefused,
    NotAuthorized,
    OutOfTime,
    PackageKeeperError,
    Unreachable,
    defect,
    few_of_each_kind,
)
from package_keeper.execution.executor import Executor
from package_keeper.execution.facts import FactGatherer
from package_keeper.execution.neighbours import similar_packages
from package_keeper.execution.receipt import Append, Receipt, ReceiptWriter, refused_for_downloads
from package_keeper.execution.results import SendResult
from package_keeper.execution.scope import PackageFilter, owners_in_front
from package_keeper.execution.untag import Untagger
from package_keeper.execution.wording import few
from package_keeper.github.http import HttpClient, environment_problems
from package_keeper.github.identity import Identity
from package_keeper.github.pool import Pool, RateLimitedPool
from package_keeper.github.rate_limit import Clock, RateLimiter, RunLimits
from package_keeper.github.registry import NO_CACHE, Cache, Registry, RegistryWriter, derived_url
from package_keeper.github.repositories import PyGithubClient, Repositories
from package_keeper.github.rest import PackagesReader, PackagesWriter
from package_keeper.github.retries import Retries
from package_keeper.inputs.parser import parse_report_options, parse_settings
from package_keeper.inputs.sources import Request
from package_keeper.main.input_files import NamedFiles
from package_keeper.model.packages import Owner
from package_keeper.model.plan import GuardedPlan, Outcome
from package_keeper.model.run import Run
from package_keeper.operations.confirmation import confirming
from package_keeper.operations.context import Context, Writing
from package_keeper.operations.context import Operation as RunOperation
from package_keeper.operations.exit_status import ExitStatus, ended, exit_status, result_of
from package_keeper.operations.telling import tell_no_package, tell_outcomes, tell_problems
from package_keeper.policy.forecasts import Refused
from package_keeper.policy.images_in_use import ImagesInUse
from package_keeper.report.links import docs_base, docs_link
from package_keeper.runner.logs import ActionsLog, Log, Place, TerminalLog, has_colours, run_identity
from package_keeper.runner.process import Interruption, SystemClock
from package_keeper.runner.workspace import ManifestCache, Workspace
from package_keeper.settings import Operation, Settings

TICK_SECONDS = 5.0
"""Seconds of a wait after which the progress may be shown again."""


class App:
    """One run, from the inputs to the exit status."""

    def __init__(
        self,
        request: Request,
        environ: Mapping[str, str],
        interruption: Interruption,
        clock: SystemClock,
        *,
        command_line: bool,
    ) -> None:
        self._request = request
        self._environ = environ
        self._interruption = interruption
        self._clock = clock
        self._command_line = command_line
        self._workspace = Workspace(Path(environ.get("GITHUB_WORKSPACE") or Path.cwd()))
        self._options = parse_report_options(request)
        runner = ("GITHUB_SERVER_URL", "GITHUB_ACTION_REPOSITORY", "GITHUB_ACTION_REF")
        self._docs = docs_base(*(environ.get(name, "") for name in runner))
        self._log = self._make_log()
        self._settings: Settings | None = None
        self._owner: Owner | None = None
        self._run = Run()
        self._executor: Executor | None = None
        self._plan = ("", "")
        """The path of the plan, once it is written, and its SHA-256."""
        self._receipt = ""
        """The path of the receipt, once it is begun."""
        self._files = NamedFiles()
        self._began = clock.monotonic()
        self._pool = Pool(self._log.progress)
        self._run_limits = RunLimits()
        # REST and the registry are two hosts, with limits of their own
        self._retries = self._make_retries("GitHub", counts_points=True)
        self._registry_retries = self._make_retries("the registry", counts_points=False)

    def run(self) -> int:
        """Run, report whatever happened, and return the exit status."""
        ended_by = self._attempt()
        while True:
            try:
                self._interruption.finish()
                break
            except Cancelled as cancelled:
                ended_by = ended_by or cancelled
        executed = self._executor.records if self._executor is not None else ()
        self._run = ended(
            self._run,
            ended_by,
            owner=self._owner,
            plan=self._plan,
            receipt=self._receipt,
            seconds=self._clock.monotonic() - self._began,
            executed=executed,
        )
        self._log.end_progress()
        tell_outcomes(self._run.records, self._log)
        self._tell_end(ended_by)
        from package_keeper.main.reporting import Reporter

        reporter = Reporter(
            request=self._request,
            options=self._options,
            settings=self._settings,
            environ=self._environ,
            workspace=self._workspace,
            log=self._log,
            command_line=self._command_line,
        )
        return reporter.report(self._run, self._exit_status())

    def _tell_end(self, ended_by: PackageKeeperError | None) -> None:
        """Log what ended the run early, if anything did; problems of a policy or plan with their place in the file."""
        if isinstance(ended_by, OutOfTime):
            self._log.notice(str(ended_by))
        elif not isinstance(ended_by, BadInput) or self._command_line:
            if ended_by is not None:
                self._log.error(str(ended_by), place=self._place(str(ended_by)), causes=ended_by.causes)
        else:
            placed = [problem for problem in ended_by.problems if self._place(problem) is not None]
            if others := [problem for problem in ended_by.problems if problem not in placed]:
                found = BadInput(others)
                self._log.error(str(found), title="inputs", causes=found.causes)
            for problem in few_of_each_kind(placed):
                self._log.error(problem, place=self._place(problem), causes=causes_of([problem]))

    def _place(self, problem: str) -> Place | None:
        """The line of the policy or plan that a problem is about."""
        policy, plan = self._request.text("policy"), self._request.text("plan")
        if policy and (found := re.match(rf"policy: {re.escape(policy)}, line ([0-9]+): ", problem)):
            return Place(policy, int(found[1]))
        return Place(plan, 1) if plan and problem.startswith(f"plan: '{plan}' is refused: ") else None

    def _attempt(self) -> PackageKeeperError | None:
        """Run the operation. Return the error that ended the run early, if any."""
        try:
            # from here on a cancelled run is reported
            self._interruption.begin()
            settings, receipt = self._read_inputs()
            self._settings = settings
            self._files.check_plan(settings, self._clock.now())
            self._run_limits.polite = settings.polite
            self._run_limits.deadline = None if settings.time_limit is None else self._began + settings.time_limit
            for warning in (*settings.warnings, *self._files.warnings):
                self._log.warning(warning)
            self._operate(settings, receipt)
        except OutOfTime as over:
            if self._retries.reached:
                return over
            return Unreachable(f"GitHub was not reached within time-limit: {over.why}", causes=self._retries.causes)
        except PackageKeeperError as error:
            return error
        except Exception as error:  # noqa: BLE001  # reason: report what was done even after a defect
            self._log.debug(traceback.format_exc())
            return defect(error)
        return self._run.ended_by

    def _exit_status(self) -> ExitStatus:
        settings, run = self._settings, self._run
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
        files = NamedFiles.read(
            self._request, self._workspace, self._environ.get("GITHUB_REPOSITORY", ""), self._clock.now()
        )
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
        http = HttpClient(settings.api_url, settings.token.text, self._retries)
        client = PyGithubClient(settings.api_url, settings.token.text, self._retries)
        try:
            self._operate_for(self._resolve_owner(settings, receipt, http), settings, receipt, http, client)
        finally:
            client.close()
            http.close()

    def _resolve_owner(self, settings: Settings, receipt: Receipt | None, http: HttpClient) -> Owner:
        identity = Identity(settings.api_url, http)
        owner = identity.resolve(settings.owner, settings.owner_type, login_is_default=settings.owner_is_default)
        self._owner = owner
        if receipt is not None and receipt.owner.lower() != owner.login.lower():
            raise BadInput([f"undo: the receipt is about packages of {receipt.owner}, the owner is {owner.login}"])
        if settings.plan is not None and settings.plan.owner.lower() != owner.login.lower():
            raise GuardRefused(f"plan: it is about packages of {settings.plan.owner}, the owner is {owner.login}")
        file = settings.undo or settings.plan_file
        about = f"what {file} tells" if file else ", ".join(settings.package_types)
        self._log.info(f"{settings.operation} for {owner.login} ({owner.type}): {about}")
        return owner

    def _operate_for(
        self, owner: Owner, settings: Settings, receipt: Receipt | None, http: HttpClient, client: PyGithubClient
    ) -> None:
        reader = PackagesReader(http, owner, self._pool)
        registry = self._registry(settings, owner)
        used = self._files.used.images(owner.login, settings.owner) if self._files.used else ImagesInUse()
        rules = replace(settings.rules, lists=replace(settings.rules.lists, used=used))
        repository = _full_name(settings.repository, owner)
        context = Context(
            settings=settings,
            owner=owner,
            receipt=receipt,
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
                read_deployments=reader.deployments,
                read_usage=self._files.read_usage(self._workspace, settings) if settings.usage else None,
                usage_since=settings.usage_since,
                logins=(owner.login, settings.owner),
                repository=repository,
                fallback=self._environ.get("GITHUB_REPOSITORY", ""),
                clock=self._clock,
                log=self._log,
            ),
            workflow_repository=self._environ.get("GITHUB_REPOSITORY", ""),
            refused_for_downloads=self._refused_for_downloads(settings, owner),
            reader=reader,
            registry=registry,
            # the only place that gives a run the means to write
            writing=self._writing(settings, owner, http, reader, registry)
            if settings.writes and isinstance(registry, RegistryWriter)
            else None,
            clock=self._clock,
            log=self._log,
            confirm=self._confirm,
        )
        try:
            for run in confirming(_operation(settings, receipt))(context):
                # the last run that an operation gives is what is reported, also when an error ends it early
                self._run = run
                if run.scope.ended_by is not None:
                    raise run.scope.ended_by
                self._write_plan(settings, owner)
            self._tell_empty_scope(settings)
            self._tell_idle_globs(used)
        except ApiError as error:
            raise _ending(error) from None
        finally:
            for remark in reader.remarks:
                self._log.warning(remark)
            if registry.reads:
                self._log.info(f"manifests read from the registry, each counted there as a download: {registry.reads}")
            self._tell_scope(settings, reader)
            self._tell_rest()

    def _confirm(self, run: Run, guarded: GuardedPlan) -> None:
        """On a terminal, show what is about to be written, and ask. Raises `Cancelled` for any answer but yes."""
        is_terminal = sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()
        if not self._command_line or self._request.is_sure or not is_terminal:
            return
        from package_keeper.main.reporting import show_plan
        from package_keeper.report.totals import question

        self._log.end_progress()
        show_plan(run, self._settings, sys.stderr, self._environ)
        sent = {id(write) for write in (*guarded.now, *guarded.with_package) if write.expected is None}
        groups = [[write for write in group if id(write) in sent] for group in guarded.plan.groups]
        sys.stderr.write(question([group for group in groups if group]))
        sys.stderr.flush()
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            self._log.info("nothing was written")
            raise Cancelled

    def _write_plan(self, settings: Settings, owner: Owner) -> None:
        """Write the plan that passed the guards, once: before the first write, and in a dry run."""
        if not settings.plan_out or self._plan[0] or self._run.checks is None:
            return
        from package_keeper.report.plan_file import plan_document, sealed

        inputs = {name: text for name, text in self._request.texts.items() if text.strip() and name != "token"}
        tool = f"package-keeper {__version__}"
        document = plan_document(self._run, settings, owner, inputs, tool)
        text = sealed(self._options.masked(json.dumps(document, separators=(",", ":"))))
        path = self._workspace.write(settings.plan_out, text)
        self._plan = (path, hashlib.sha256(text.encode()).hexdigest())

    def _refused_for_downloads(self, settings: Settings, owner: Owner) -> Refused:
        if not settings.operation.writes:
            return frozenset()
        receipts = self._workspace.receipts(settings.receipt)
        return frozenset(refused for text in receipts for refused in refused_for_downloads(text, owner.login))

    def _writing(
        self, settings: Settings, owner: Owner, http: HttpClient, reader: PackagesReader, tags: RegistryWriter
    ) -> Writing:
        def open_receipt() -> Append:
            file = self._workspace.create_receipt(settings.receipt)
            self._receipt = file.path
            return file.append

        receipt = ReceiptWriter(open_receipt, owner, run_identity(self._environ), self._clock)
        rate_limiter = self._retries.rate_limiter
        pool: RateLimitedPool[SendResult] = RateLimitedPool(self._pool, rate_limiter)
        writer = PackagesWriter(http, owner)
        self._executor = Executor(receipt, self._log, self._interruption, pool)
        return Writing(
            reader=reader,
            writer=writer,
            untagger=Untagger(reader, writer, tags, rate_limiter, self._log),
            executor=self._executor,
            pause=rate_limiter,
        )

    def _registry(self, settings: Settings, owner: Owner) -> Registry:
        cache = NO_CACHE
        if settings.manifest_cache:
            files = ManifestCache(
                self._workspace.resolve(settings.manifest_cache), self._workspace.chown_to_workspace_owner
            )
            cache = Cache(files.get, files.keep)
        # only a run that may write gets a client that can move tags
        kind = RegistryWriter if settings.writes else Registry
        return kind(
            _registry_url(settings),
            owner.login,
            settings.token.text,
            retries=self._registry_retries,
            pool=self._pool,
            cache=cache,
        )

    def _tell_scope(self, settings: Settings, reader: PackagesReader) -> None:
        run = self._run
        tell_problems(run.scope.problems, self._log)
        if missing := run.scope.missing:
            names = few(f"'{name}'" for name in missing)
            text = (
                f"package: {names} {'does' if len(missing) == 1 else 'do'} not exist among the"
                f" {', '.join(settings.package_types)} packages of {settings.owner or 'this account'}, or the token may"
                f" not see {'it' if len(missing) == 1 else 'them'}"
            )
            if settings.if_missing == "fail":
                types = settings.package_types
                hints = [] if self._interruption.is_requested else similar_packages(reader, missing, types)
                self._log.error("\n".join([text, *hints]), causes=[Cause.PACKAGE])
            else:
                (self._log.warning if settings.if_missing == "warn" else self._log.info)(text)

    def _tell_idle_globs(self, used: ImagesInUse) -> None:
        """Warn about globs that protect nothing in scope."""
        for glob in used.idle_globs(self._run.references) if self._run.scope.packages else ():
            self._log.warning(
                f"keep-used-in: '{glob}': its files name no image of the packages in scope, so it protects nothing here"
            )

    def _tell_empty_scope(self, settings: Settings) -> None:
        run = self._run
        named = settings.undo or settings.plan or settings.operation is Operation.RESTORE_PACKAGE
        if not (run.scope.packages or run.scope.problems or run.scope.missing or named):
            tell_no_package([settings.packages, settings.policy_packages], self._log)

    def _tell_rest(self) -> None:
        """Log what is left for the next run, and why."""
        run = self._run
        over = self._run_limits.held_up_by or "time-limit is reached"
        for outcome, reason in ((Outcome.OVER_LIMIT, "limit is reached"), (Outcome.OUT_OF_TIME, over)):
            left = sum(record.outcome is outcome for record in run.records)
            if left and not isinstance(run.ended_by, Cancelled):
                self._log.notice(f"{reason}: {left} of the planned writes are left for the next run")

    def _make_retries(self, who: str, *, counts_points: bool) -> Retries:
        clock = Clock(self._clock.now, self._clock.monotonic, self._sleep)
        rate_limiter = RateLimiter(
            clock,
            tell=self._log.info,
            who=who,
            counts_points=counts_points,
            run_limits=self._run_limits,
        )
        # what is retried and succeeds is no warning
        return Retries(rate_limiter, clock, self._log.info)

    def _sleep(self, seconds: float) -> None:
        """Wait, and show meanwhile how far the run is. Raises `Cancelled`."""
        until = self._clock.monotonic() + seconds
        while (left := until - self._clock.monotonic()) > TICK_SECONDS:
            self._clock.sleep(TICK_SECONDS)
            self._log.tick()
        self._clock.sleep(max(left, 0.0))

    def _advise(self, cause: Cause) -> str:
        return cause.value.text(docs_link(self._docs, PAGE, cause.value.anchor))

    def _make_log(self) -> Log:
        level, token, now = self._options.log_level, self._options.token.text, self._clock.monotonic
        if not self._command_line:
            return ActionsLog(level, token, now, self._advise)
        is_smart = sys.stderr.isatty() and self._environ.get("TERM") != "dumb"
        colours = has_colours(sys.stderr, self._environ)
        return TerminalLog(level, token, sys.stderr, now, self._advise, colours=colours, bar=is_smart)


def _operation(settings: Settings, receipt: Receipt | None) -> RunOperation:
    """The operation of a run. Only its own modules are loaded, so that the run starts faster."""
    match settings.operation:
        case Operation.LIST:
            from package_keeper.operations.listing import list_packages, list_versions

            return list_versions if settings.lists_versions else list_packages
        case Operation.CONFLICTS:
            from package_keeper.operations.listing import conflicts

            return conflicts
        case Operation.VERIFY:
            from package_keeper.operations.verify import verify

            return verify
        case Operation.REPAIR:
            from package_keeper.operations.repair import repair

            return repair
        case Operation.DELETE:
            from package_keeper.operations.delete import delete

            return delete
        case Operation.RESTORE if receipt is None:
            from package_keeper.operations.restore import restore

            return restore
        case Operation.RESTORE:
            from package_keeper.operations.undo import undo

            return undo
        case Operation.DELETE_PACKAGE:
            from package_keeper.operations.delete_package import delete_package

            return delete_package
        case Operation.RESTORE_PACKAGE:
            from package_keeper.operations.restore_package import restore_package

            return restore_package
        case Operation.APPLY:
            from package_keeper.operations.apply import apply

            return apply


def _ending(error: ApiError) -> PackageKeeperError:
    """Return the error that ends the run after an API error that no operation handled."""
    text = f"GitHub: {error}\n{error.remedy}".rstrip()
    if error.kind is ApiErrorKind.UNREACHABLE:
        return Unreachable(text, causes=error.causes)
    if error.kind in (ApiErrorKind.UNAUTHORIZED, ApiErrorKind.NO_PERMISSION, ApiErrorKind.LISTING_REFUSED):
        return NotAuthorized(text, causes=error.causes)
    return PackageKeeperError(text, causes=error.causes)


def _registry_url(settings: Settings) -> str:
    return settings.registry_url or derived_url(settings.api_url)


def _full_name(repository: str, owner: Owner) -> str:
    """The repository as `owner/name`. A name alone means a repository of the owner."""
    return f"{owner.login}/{repository}" if repository and "/" not in repository else repository
