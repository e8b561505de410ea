"""Parses the texts of the inputs into `Settings`, and finds all their problems at once, before the first request."""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from msgspec import Struct
from msgspec.structs import replace

from package_keeper.causes import Cause, Caused
from package_keeper.errors import BadInput
from package_keeper.inputs.definitions import INPUTS_BY_NAME
from package_keeper.inputs.patterns import package_problem, parse_patterns, split_entries, with_cause
from package_keeper.inputs.sources import Request
from package_keeper.inputs.values import Values
from package_keeper.model.packages import PackageType
from package_keeper.policy.guards import Guards, OnLastVersion
from package_keeper.policy.patterns import Patterns
from package_keeper.policy.retention import KeepLists
from package_keeper.policy.rules import Rules
from package_keeper.policy.semver import Prerelease
from package_keeper.policy.sql import SqlProblem, check_query
from package_keeper.settings import (
    FailOn,
    IfMissing,
    ImagesMode,
    LogLevel,
    Operation,
    OutputFormat,
    Pace,
    ReportOptions,
    SavedPlan,
    Secret,
    Settings,
    VersionState,
    Visibility,
    WantedOwnerType,
)

if TYPE_CHECKING:
    from package_keeper.inputs.policy_file import Policy
from package_keeper.inputs.rules import (
    AGE_INPUTS,
    COUNT_INPUTS,
    RULE_INPUTS,
    SELECTION_INPUTS,
    no_effect_on_types,
    parse_rule,
    rule_problems,
    version_problems,
)

_LOGIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(\[bot\])?")


_CHOOSING = tuple(name for name in RULE_INPUTS if name not in ("partial-match", "age-of", "keep-latest-per"))
"""The inputs that select or keep something by themselves. The others only change how those work."""

_KEEP_LISTS = ("keep-tags", "keep-versions", "keep-digests", "keep-used-in", "keep-deployed", "keep-released")
_SELECTING = frozenset((*_CHOOSING, *_KEEP_LISTS, "policy"))
_DECIDING = frozenset((*COUNT_INPUTS, "partial-match", "keep-tags", "keep-versions", "keep-digests"))
"""The inputs that decide what a deletion keeps; `list` without a policy decides nothing."""

_PLANNED = frozenset((*RULE_INPUTS, "policy", "images", "on-last-version", "state", "undo"))
"""The inputs that made a plan. `apply` cannot change them."""

_NARROWS_DELETIONS = (*_KEEP_LISTS, "max-delete-percent")


def cross_checks(settings: Settings, given: set[str], wrong: set[str]) -> tuple[list[str], list[str]]:
    """Find the problems and warnings that concern more than one input.

    `given` are the inputs that differ from their defaults. `wrong` are those with a problem of their own: a wrong value
    is not reported as missing too. `rules.rule_problems` checks what concerns a single rule.
    """
    problems: list[str] = []
    warnings: list[str] = []
    for name in (name for name in INPUTS_BY_NAME if name in given):
        if name == "dry-run" and not settings.operation.writes:
            # a wrong operation is a problem already
            problems += [] if "operation" in wrong else [_dry_run_problem(settings, given)]
        elif settings.operation is Operation.APPLY and name in _PLANNED:
            problems.append(f"{name}: the plan has decided this already; remove it, or make a new plan with it")
        elif settings.operation not in INPUTS_BY_NAME[name].operations:
            text = _no_effect_on_operation(settings.operation, name)
            (problems if _is_refused(settings.operation, name) else warnings).append(text)
        elif text := no_effect_on_types(name, settings.package_types):
            problems.append(f"{name}: {text}")
    problems += _owner_problems(settings)
    problems += _evidence_problems(settings)
    problems += _package_problems(settings)
    problems += _selection_problems(settings, given, wrong)
    problems += _plan_problems(settings, given, wrong)
    kept, types = settings.rules.lists.versions, set(settings.package_types)
    problems += version_problems("keep-versions", kept, types, tags="keep-tags")
    warnings += _warnings(settings, given)
    return problems, warnings


def _dry_run_problem(settings: Settings, given: set[str]) -> str:
    """The problem with `dry-run: false` on an operation that writes nothing, with what the user probably meant."""
    operation = "explain" if settings.explains and "policy" not in given else settings.operation
    match settings.operation:
        case Operation.VERIFY:
            meant = "operation: repair, which was probably meant, or "
        case Operation.CONFLICTS:
            meant = ""
        case _ if settings.undo or settings.deleted_state:
            meant = "operation: restore, which was probably meant, or "
        case _ if settings.explains or not given.isdisjoint(_SELECTING):
            meant = "operation: delete, which was probably meant, or "
        case _:
            meant = "operation: delete with a selection, or operation: delete-package, or "
    text = f"dry-run: 'false': the operation {operation} writes nothing; write {meant}dry-run: true"
    return text if "operation" in given else Caused(text, Cause.NO_OPERATION)


def _is_refused(operation: Operation, name: str) -> bool:
    """Whether an input without effect is a problem: it would not protect what the user means to protect."""
    return INPUTS_BY_NAME[name].narrows and operation.writes


def _no_effect_on_operation(operation: Operation, name: str) -> str:
    text = f"{name}: has no effect on the operation {operation}"
    if not _is_refused(operation, name):
        return text
    accepted = ", ".join(sorted(INPUTS_BY_NAME[name].operations))
    return f"{text}, so it would not restrict or protect anything; it is an input of: {accepted}"


def _owner_problems(settings: Settings) -> Iterator[str]:
    if not settings.owner and settings.owner_type is not WantedOwnerType.AUTHENTICATED_USER:
        yield "owner: empty; accepted is the login of the account that owns the packages"
    elif settings.owner and not _LOGIN.fullmatch(settings.owner):
        yield f"owner: '{settings.owner}' is not a login; accepted is the name of an account alone, such as acme"


def _evidence_problems(settings: Settings) -> Iterator[str]:
    lists = settings.rules.lists
    if lists.deployed and urlsplit(settings.api_url).path.rstrip("/").endswith("/api/v3"):
        yield (
            "keep-deployed: 'true': GitHub Enterprise Server has no deployment records; remove it, or name what is"
            " deployed with keep-used-in"
        )
    if lists.deployed and settings.owner_type in (WantedOwnerType.USER, WantedOwnerType.AUTHENTICATED_USER):
        yield f"keep-deployed: 'true': only organizations have deployment records, not a {settings.owner_type}"
    asks = any(rule.selection.unused_since is not None for rule in settings.rules.rules)
    if asks and not settings.usage:
        yield "unused-for: without a file nobody knows what was used; give the input usage"
    if asks and settings.rules.raw:
        yield "unused-for: has no meaning with images: raw, as a use of a part is one of its image; remove one of them"
    superseded = settings.rules.inputs.selection.prerelease is Prerelease.SUPERSEDED
    if superseded and settings.operation is Operation.RESTORE and not settings.rules.is_policy:
        yield "prerelease: 'superseded': compares with active versions, and restore selects deleted ones; use only"


def _package_problems(settings: Settings) -> Iterator[str]:
    operation, packages = settings.operation, settings.packages
    if settings.undo or operation is Operation.APPLY:
        # the receipt or the plan names the packages
        return
    lists = [patterns for patterns in (packages, settings.policy_packages) if patterns is not None]
    if operation.writes and not any(patterns.includes for patterns in lists):
        yield (
            f"package: {operation} needs at least one entry that includes a package;"
            " name packages, or write * for all of them"
        )
    elif packages is not None and operation is Operation.DELETE_PACKAGE:
        yield from (
            f"package: '{pattern.text}': delete-package takes exact names, or * for all"
            for pattern in packages.includes
            if not pattern.is_exact and pattern.text != "*"
        )
    elif packages is not None and operation is Operation.RESTORE_PACKAGE:
        yield from (
            f"package: '{pattern.text}': restore-package takes exact names, as deleted packages have no list"
            for pattern in packages.entries
            if not pattern.is_exact
        )


def _plan_problems(settings: Settings, given: set[str], wrong: set[str]) -> Iterator[str]:
    """The problems of `apply` with its plan. `settings.plan` is `None` when the file cannot be used."""
    if settings.operation is not Operation.APPLY:
        return
    if not settings.plan_file and "plan" not in wrong:
        yield "plan: empty; apply needs the path of the plan that a run wrote with plan-out"
    deletes = (Operation.DELETE, Operation.DELETE_PACKAGE)
    idle = [name for name in _NARROWS_DELETIONS if name in given]
    if settings.plan is not None and settings.plan.operation not in deletes and idle:
        yield (
            f"{', '.join(idle)}: has no effect on this plan, since it was made by {settings.plan.operation} and deletes"
            " nothing; remove it"
        )


def _selection_problems(settings: Settings, given: set[str], wrong: set[str]) -> Iterator[str]:
    rules, operation = settings.rules, settings.operation
    if operation not in (Operation.LIST, Operation.DELETE, Operation.RESTORE):
        return
    if settings.undo:
        clashing = sorted(given.intersection((*SELECTION_INPUTS, *AGE_INPUTS, "repository", "visibility")))
        if clashing:
            yield f"undo: restores everything in the receipt; remove {', '.join(clashing)}"
        return
    if not rules.select_anything and wrong.isdisjoint(RULE_INPUTS):
        yield from _nothing_selected(operation, explains=settings.explains)
    if settings.explains and settings.deleted_state:
        yield "state: 'deleted': deleted versions cannot be deleted again; explain looks at active versions"
    if rules.raw:
        yield from _raw_problems(rules, operation)


def _nothing_selected(operation: Operation, *, explains: bool) -> Iterator[str]:
    if operation.writes:
        accepted = [name for name in _CHOOSING if operation in INPUTS_BY_NAME[name].operations]
        accepted.append("or a policy" if operation is Operation.DELETE else "or undo")
        yield (
            f"{operation}: no selection, age or count is given, and an empty selection must not mean everything;"
            f" give one of {', '.join(accepted)} (write versions: * for everything)"
        )
    if explains:
        yield "explain: nothing to explain without a policy, a selection, an age or a count"


def _raw_problems(rules: Rules, operation: Operation) -> Iterator[str]:
    selection = rules.inputs.selection
    if rules.depend_on_health:
        yield "condition: has no meaning with images: raw, which does not look at images; remove one of them"
    if operation.writes and (rules.is_policy or (selection.version_ids is None and selection.versions is None)):
        yield "images: 'raw' is accepted only with version-ids or versions, which name the versions to write"


def _warnings(settings: Settings, given: set[str]) -> Iterator[str]:
    rule, operation = settings.rules.inputs, settings.operation
    idle = [name for name in INPUTS_BY_NAME if name in given and name in _DECIDING]
    if idle and operation is Operation.LIST and not settings.explains:
        yield (
            f"{', '.join(idle)}: has no effect on list, which decides nothing without a policy; explain on the"
            " command line, or delete as a dry run, shows what stays"
        )
    if "partial-match" in given and not rule.selection.matches_tags and operation is Operation.DELETE:
        yield "partial-match: has no effect without tags, semver, prerelease or gone"
    uses_age = (rule.age.is_given, rule.counts.is_given, rule.selection.where, settings.query, settings.guards.limit)
    if "age-of" in given and not any(uses_age):
        yield "age-of: has no effect without an age, a count, where or a limit"
    uses_usage = any((rule.selection.unused_since, rule.selection.where, settings.query, settings.rules.expressions))
    if (
        settings.usage
        and not uses_usage
        and not settings.rules.is_policy
        and operation in INPUTS_BY_NAME["usage"].operations
    ):
        yield "usage: has no effect without unused-for, where or query"
    if settings.rules.raw and not settings.undo and operation is Operation.DELETE:
        yield _raw_warning(settings.package_types)
    if operation is Operation.APPLY and not settings.dry_run and not settings.plan_sha256:
        yield (
            "plan-sha256: empty, so nothing proves that this plan is the one that was approved; give the output"
            " plan-sha256 of the run that made the plan"
        )


def _raw_warning(types: tuple[PackageType, ...]) -> str:
    if PackageType.CONTAINER not in types:
        return "images: raw has an effect on containers only"
    return (
        "images: raw: versions are deleted even when an image needs them; such an image can no longer be pulled"
        " completely"
    )


_SHA256 = re.compile(r"(?:sha256:)?([0-9a-f]{64})")

_PREFIX = re.compile(r"^(!?)ghcr\.io/([^/]+)/", re.IGNORECASE)
_REPOSITORY = re.compile(r"([A-Za-z0-9_][A-Za-z0-9_.-]*/)?(?!\.\.?$)[A-Za-z0-9_.-]+", re.ASCII)


class InputFiles(Struct, frozen=True, kw_only=True):
    """The text of the policy file, and the plan to apply; `None` when there is none, or when it could not be read."""

    policy: str | None = None
    plan: SavedPlan | None = None


def parse_settings(
    texts: Mapping[str, str],
    *,
    defaults: Mapping[str, str],
    now: datetime,
    problems: list[str] | None = None,
    files: InputFiles | None = None,
    explains: bool = False,
) -> Settings:
    """Parse the inputs of one run.

    `texts` are the texts of the inputs by name; a missing or empty one means its default, first of `defaults` (from the
    environment), then of its definition. `problems` are those found earlier. Ages are relative to `now`. Raises
    `BadInput` with all problems.
    """
    reader = _Parser(texts, list(problems or []), defaults=defaults)
    return reader.settings(files or InputFiles(), now=now, explains=explains)


def parse_report_options(request: Request) -> ReportOptions:
    """Parse how a run reports. Never fails: a wrong value is its default here, and a problem in `parse_settings`."""
    return _report_options(_Parser(request.texts, [], defaults=request.defaults), request.output_format)


def _report_options(values: "_Parser", output_format: OutputFormat) -> ReportOptions:
    return ReportOptions(
        token=values.token(),
        log_level=values.choice("log-level", LogLevel),
        summary=values.boolean("summary"),
        output_file=values.text("output-file"),
        summary_file=values.text("summary-file"),
        output_format=output_format,
    )


class _Parser(Values):
    """Parses the inputs of a run."""

    def settings(self, files: InputFiles, *, now: datetime, explains: bool) -> Settings:
        # for their problems only: the run has parsed them before
        report = _report_options(self, OutputFormat.TABLE)
        operation = self.choice("operation", Operation)
        types = tuple(PackageType(word) for word in self.words("package-type")) or (PackageType.CONTAINER,)
        if files.plan is not None and not self.is_given("package-type"):
            types = tuple(dict.fromkeys(package.type for package in files.plan.packages)) or types
        owner = self.text("owner")
        restoring = operation is Operation.RESTORE
        policy = self.policy(files, types, now)
        query, tables = self.query()
        deleted = self.choice("state", VersionState) is VersionState.DELETED or restoring
        settings = Settings(
            operation=operation,
            token=report.token,
            owner=owner,
            owner_is_default=owner.lower() == self.defaults.get("owner", "").lower(),
            owner_type=self.choice("owner-type", WantedOwnerType),
            package_types=types,
            package_types_given=self.is_given("package-type"),
            packages=self.packages(self.text("package"), "package", owner, self.types_of_packages(types)),
            policy_packages=self.packages(policy.packages, policy.packages_label, owner, types) if policy else None,
            repository=self.repository(),
            visibility=self.choice("visibility", Visibility),
            api_url=self.url("api-url"),
            registry_url=self.registry_url(),
            rules=self.rules(policy, types, now=now, deleted=deleted, restoring=restoring),
            explains=explains or (policy is not None and operation is Operation.LIST),
            query=query,
            query_tables=tables,
            deleted_state=deleted,
            dry_run=self.boolean("dry-run"),
            guards=Guards(
                limit=self.number("limit"),
                max_delete_percent=self.number("max-delete-percent", most=100),
                on_last_version=self.choice("on-last-version", OnLastVersion),
            ),
            polite=self.choice("pace", Pace) is Pace.POLITE,
            time_limit=self.seconds("time-limit", now),
            if_missing=self.choice("if-missing", IfMissing),
            fail_on=self.choice("fail-on", FailOn),
            plan_out=self.text("plan-out"),
            plan=files.plan,
            plan_file=self.text("plan"),
            plan_sha256=self.sha256("plan-sha256"),
            plan_max_age=self.seconds("plan-max-age", now) or 0.0,
            receipt=self.text("receipt"),
            undo=self.text("undo"),
            manifest_cache=self.text("manifest-cache"),
            usage=self.text("usage"),
            usage_since=self.moment("usage-since", now),
        )
        given = {name for name in INPUTS_BY_NAME if self.is_given(name)}
        problems, warnings = cross_checks(settings, given, {problem.partition(":")[0] for problem in self.problems})
        problems = [*self.problems, *problems]
        if problems:
            raise BadInput(list(dict.fromkeys(problems)))
        return replace(settings, warnings=tuple(warnings))

    def token(self) -> Secret:
        text = self.text("token")
        if not text:
            problem = (
                "token: empty (a secret that does not exist, or that the event may not see, arrives empty); accepted is"
                " any GitHub token, on the command line in GH_TOKEN or GITHUB_TOKEN"
            )
            self.problems.append(Caused(problem, Cause.TOKEN_EMPTY))
        elif not (text.isascii() and text.isprintable()) or " " in text:
            self.problems.append(
                "token: its text (not shown) has characters that an HTTP header cannot carry; accepted is any GitHub"
                " token, without blanks or line breaks inside"
            )
        return Secret(text)

    def url(self, name: str) -> str:
        text = self.text(name).rstrip("/")
        if text and not _is_base_url(text):
            # credentials in a URL must not be logged
            shown = re.sub(r"//[^/@]*@", "//***@", text)
            self.problem(name, shown, "is not a URL such as https://api.github.com or https://HOST/api/v3")
        return text

    def sha256(self, name: str) -> str:
        text = self.text(name).lower()
        found = _SHA256.fullmatch(text)
        if text and found is None:
            self.problem(name, text, "is not a SHA-256; accepted are its 64 hex digits")
        return found[1] if found else ""

    def registry_url(self) -> str:
        text = self.url("registry-url")
        if _is_base_url(text) and urlsplit(text).path:
            self.problem("registry-url", text, "has a path; accepted is a host alone, such as https://ghcr.io")
        return text

    def types_of_packages(self, types: tuple[PackageType, ...]) -> tuple[PackageType, ...]:
        """The package types that names are checked against: with `undo` or `plan` all, unless types are given."""
        brings_its_own = self.text("undo") or self.text("plan")
        return tuple(PackageType) if brings_its_own and not self.is_given("package-type") else types

    def packages(self, text: str, label: str, owner: str, types: tuple[PackageType, ...]) -> Patterns | None:
        entries = []
        for entry in split_entries(text):
            prefix = _PREFIX.match(entry)
            if prefix and prefix[2].lower() != owner.lower():
                self.problems.append(
                    f"{label}: '{entry}' is a package of {prefix[2]}, but the owner is {owner or 'not given'}"
                )
            if prefix and prefix.end() == len(entry):
                self.problems.append(f"{label}: '{entry}' names no package; write its name behind the owner")
            entries.append(_PREFIX.sub(r"\1", entry) if prefix else entry)
        patterns, problems = parse_patterns(
            "\n".join(entries), ignore_case=True, problem_of=lambda pattern: package_problem(pattern, types)
        )
        if not entries and text.strip():
            self.problems.append(f"{label}: has no entry; an empty list must not mean everything")
        self.problems += [with_cause(f"{label}: {problem}") for problem in problems]
        return patterns

    def repository(self) -> str:
        text = self.text("repository")
        if text and not _REPOSITORY.fullmatch(text):
            self.problem("repository", text, "is not the name of a repository; accepted is name or owner/name")
        return text

    def query(self) -> tuple[str, frozenset[str]]:
        text = self.text("query")
        if not text:
            return "", frozenset()
        try:
            return text, check_query(text)
        except SqlProblem as problem:
            self.problem("query", text, f"is not accepted: {problem}")
            return text, frozenset()

    def policy(self, files: InputFiles, types: tuple[PackageType, ...], now: datetime) -> "Policy | None":
        file = self.text("policy")
        if not file:
            return None
        for name in RULE_INPUTS:
            if self.is_given(name):
                self.problems.append(f"{name}: stands beside a policy, whose rules say this; remove one of them")
        # imported only when needed: YAML and JSON Schema are slow to import
        from package_keeper.inputs.policy_file import Policy, read_policy  # noqa: PLC0415  # reason: start-up time

        if files.policy is None:
            return Policy()
        return read_policy(file, files.policy, types=types, now=now, problems=self.problems)

    def rules(
        self, policy: "Policy | None", types: tuple[PackageType, ...], *, now: datetime, deleted: bool, restoring: bool
    ) -> Rules:
        rule = parse_rule(self, now=now, restoring=restoring)
        if policy is None:
            self.problems += rule_problems(rule, self, types=set(types), deleted=deleted)
        return Rules(
            rules=policy.rules or (rule,) if policy is not None else (rule,),
            is_policy=policy is not None,
            now=now,
            raw=self.choice("images", ImagesMode) is ImagesMode.RAW,
            lists=KeepLists(
                tags=self.patterns("keep-tags"),
                versions=self.patterns("keep-versions"),
                digests=self.digests("keep-digests"),
                deployed=self.boolean("keep-deployed"),
                released=self.boolean("keep-released"),
            ),
        )


def _is_base_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
            return False
    except ValueError:
        return False
    return not (parts.query or parts.fragment or parts.username or parts.password or re.search(r"\s", text))
