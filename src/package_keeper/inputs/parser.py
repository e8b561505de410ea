"""Text ─▶ `Settings`, or all problems of all inputs at once, before the first request."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from package_keeper.errors import BadInput
from package_keeper.inputs.definitions import INPUTS_BY_NAME
from package_keeper.inputs.patterns import package_problem, parse_patterns, split_entries
from package_keeper.inputs.values import Values, nearest
from package_keeper.model.packages import PackageType
from package_keeper.policy.guards import Guards, OnLastVersion
from package_keeper.policy.patterns import Patterns
from package_keeper.policy.retention import KeepLists
from package_keeper.policy.rules import Rules
from package_keeper.policy.sql import SqlProblem, check_query
from package_keeper.settings import Operation, Secret, Settings

if TYPE_CHECKING:
    from package_keeper.inputs.policy_file import Policy
from package_keeper.inputs.rules import (
    AGE_INPUTS,
    COUNT_INPUTS,
    RULE_INPUTS,
    SELECTION_INPUTS,
    parse_rule,
    rule_problems,
    version_problems,
)

_LOGIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(\[bot\])?")


CHOOSING = tuple(name for name in RULE_INPUTS if name not in ("partial-match", "age-of", "keep-latest-per"))
"""The inputs that choose something by themselves; the others say how."""


_KEEP_LISTS = ("keep-tags", "keep-versions", "keep-digests", "keep-used-in")
_SELECTING = frozenset((*CHOOSING, *_KEEP_LISTS, "policy"))
_DECIDING = frozenset((*COUNT_INPUTS, "partial-match", "keep-tags", "keep-versions", "keep-digests"))


def cross_checks(settings: Settings, given: set[str], wrong: set[str]) -> tuple[list[str], list[str]]:
    """Find all problems and warnings. `given` are the inputs that say something else than their default.

    `wrong` are those that have a problem of their own: what cannot be read is not the same as missing.

    What concerns a single rule is checked where it is read (`rule_reading.rule_problems`), as rules of a policy are.
    """
    problems: list[str] = []
    warnings: list[str] = []
    for name in sorted(given, key=list(INPUTS_BY_NAME).index):
        if name == "dry-run" and not settings.operation.writes:
            # what is no operation at all is a problem already
            problems += [] if "operation" in wrong else [_writes_nothing(settings, given)]
            continue
        problem, warning = _without_effect(settings, name)
        problems += problem
        warnings += warning
    problems += _scope(settings)
    problems += _selection(settings, given, wrong)
    kept, types = settings.rules.lists.versions, set(settings.package_types)
    problems += version_problems("keep-versions", kept, types, tags="keep-tags")
    warnings += _warnings(settings, given)
    return problems, warnings


def _writes_nothing(settings: Settings, given: set[str]) -> str:
    """The problem with an explicit `dry-run: false`: somebody means to write, and this operation does not."""
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
    return f"dry-run: 'false': the operation {operation} writes nothing; write {meant}dry-run: true"


def with_warnings(settings: Settings, warnings: list[str]) -> Settings:
    """The same settings, with what the user should know."""
    return replace(settings, warnings=tuple(warnings))


def _without_effect(settings: Settings, name: str) -> tuple[list[str], list[str]]:
    definition = INPUTS_BY_NAME[name]
    operation = settings.operation
    if operation not in definition.operations:
        text = f"{name}: has no effect on the operation {operation}"
        if definition.narrows and operation.writes:
            accepted = ", ".join(sorted(definition.operations))
            return [f"{text}, so it would not restrict or protect anything; it is an input of: {accepted}"], []
        return [], [text]
    if definition.needs_tags and not any(kind.has_tags for kind in settings.package_types):
        types = ", ".join(settings.package_types)
        return [
            f"{name}: has no effect on {types}, whose versions carry no tags; accepted for container and docker"
        ], []
    if definition.needs_images and PackageType.CONTAINER not in settings.package_types:
        types = ", ".join(settings.package_types)
        return [f"{name}: has no effect on {types}; only container versions form images"], []
    return [], []


def _scope(settings: Settings) -> Iterator[str]:
    operation, packages, of_policy = settings.operation, settings.packages, settings.policy_packages
    if not settings.owner and settings.owner_type != "authenticated-user":
        yield "owner: empty; accepted is the login of the account that owns the packages"
    elif settings.owner and not _LOGIN.fullmatch(settings.owner):
        yield f"owner: '{settings.owner}' is not a login; accepted is the name of an account alone, such as acme"
    if settings.undo:
        return
    includes = any(patterns is not None and patterns.includes for patterns in (packages, of_policy))
    if operation.writes and not includes:
        yield (
            f"package: {operation} needs at least one entry that includes a package;"
            " name packages, or write * for all of them"
        )
        return
    if packages is None:
        return
    if operation is Operation.DELETE_PACKAGE:
        for pattern in packages.includes:
            if not pattern.is_exact and pattern.text != "*":
                yield f"package: '{pattern.text}': delete-package takes exact names, or * for all"
    if operation is Operation.RESTORE_PACKAGE:
        for pattern in packages.entries:
            if not pattern.is_exact:
                yield f"package: '{pattern.text}': restore-package takes exact names, as deleted packages have no list"


def _selection(settings: Settings, given: set[str], wrong: set[str]) -> Iterator[str]:
    rules, operation = settings.rules, settings.operation
    if operation not in (Operation.LIST, Operation.DELETE, Operation.RESTORE):
        return
    if settings.undo:
        clashing = sorted(given.intersection((*SELECTION_INPUTS, *AGE_INPUTS, "repository", "visibility")))
        if clashing:
            yield f"undo: takes back everything in the receipt; remove {', '.join(clashing)}"
        return
    if operation.writes and not rules.select_anything and wrong.isdisjoint(RULE_INPUTS):
        yield (
            f"{operation}: no selection, age or count is given, and an empty selection must not mean everything;"
            f" give one of {', '.join(name for name in CHOOSING if operation in INPUTS_BY_NAME[name].operations)}"
            + (", or a policy" if operation is Operation.DELETE else ", or undo")
            + " (versions: * is everything, said explicitly)"
        )
    if settings.explains and not rules.select_anything and wrong.isdisjoint(RULE_INPUTS):
        yield "explain: nothing to explain without a policy, a selection, an age or a count"
    if settings.explains and settings.deleted_state:
        yield "state: 'deleted': what is deleted already cannot be deleted; rules are explained for active versions"
    if not rules.raw:
        return
    selection = rules.inputs.selection
    if rules.judge_health:
        yield "condition: images: raw knows no images, so none has a condition; remove one of them"
    if operation.writes and (rules.is_policy or (selection.version_ids is None and selection.versions is None)):
        yield "images: 'raw' is accepted only with version-ids or versions, which name what may be torn out of an image"


def _warnings(settings: Settings, given: set[str]) -> Iterator[str]:
    rule = settings.rules.inputs
    if settings.operation is Operation.LIST and not settings.explains:
        idle = [name for name in INPUTS_BY_NAME if name in given and name in _DECIDING]
        if idle:
            yield (
                f"{', '.join(idle)}: has no effect on list, which decides nothing without a policy; explain on the"
                " command line, or delete as a dry run, shows what stays"
            )
    if "partial-match" in given and not rule.selection.judges_tags and settings.operation is Operation.DELETE:
        yield "partial-match: has no effect without tags, semver, prerelease or gone"
    if "age-of" in given and not (
        rule.age.is_given or rule.counts.is_given or rule.selection.where or settings.query or settings.guards.limit
    ):
        yield "age-of: has no effect without an age, a count, where or a limit"
    if settings.rules.raw and not settings.undo and settings.operation is Operation.DELETE:
        if PackageType.CONTAINER in settings.package_types:
            yield (
                "images: raw: versions are deleted without looking at what they belong to; an image that holds one of"
                " them can no longer be pulled whole"
            )
        else:
            yield "images: raw has an effect on containers only"


_PREFIX = re.compile(r"^(!?)ghcr\.io/([^/]+)/", re.IGNORECASE)
_REPOSITORY = re.compile(r"([A-Za-z0-9_][A-Za-z0-9_.-]*/)?(?!\.\.?$)[A-Za-z0-9_.-]+", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class InputFiles:
    """What stands in the files that inputs name: the text of the policy.

    It is `None` when the file could not be read, which is a problem of its own.
    """

    policy: str | None = None


def parse_settings(
    texts: Mapping[str, str],
    *,
    defaults: Mapping[str, str],
    now: datetime,
    problems: list[str] | None = None,
    files: InputFiles | None = None,
    explains: bool = False,
) -> Settings:
    """Read the inputs of one run.

    `texts` maps input names to what was written; missing and empty mean the default, which `defaults` (from the
    runner's environment) may give. `problems` are those that the door found already. Raises `BadInput` with all.
    """
    reader = _Parser(texts, list(problems or []), now=now, defaults=defaults)
    return reader.settings(files or InputFiles(), explains=explains)


class _Parser(Values):
    """Reads one input after the other and collects the problems."""

    def settings(self, files: InputFiles, *, explains: bool) -> Settings:
        operation = Operation(self.choice("operation") or Operation.LIST)
        types = tuple(PackageType(word) for word in self.words("package-type")) or (PackageType.CONTAINER,)
        owner = self.text("owner")
        restoring = operation is Operation.RESTORE
        policy = self.policy(files, types)
        query, tables = self.query()
        deleted = self.choice("state") == "deleted" or restoring
        settings = Settings(
            operation=operation,
            token=self.token(),
            owner=owner,
            owner_is_default=owner.lower() == self.defaults.get("owner", "").lower(),
            owner_type=self.choice("owner-type"),
            package_types=types,
            package_types_given=self.is_given("package-type"),
            packages=self.packages(self.text("package"), "package", owner, self.types_of_packages(types)),
            policy_packages=self.packages(policy.packages, policy.packages_label, owner, types) if policy else None,
            repository=self.repository(),
            visibility=self.choice("visibility"),
            api_url=self.url("api-url"),
            registry_url=self.registry_url(),
            rules=self.rules(policy, types, deleted=deleted, restoring=restoring),
            explains=explains or (policy is not None and operation is Operation.LIST),
            query=query,
            query_tables=tables,
            deleted_state=deleted,
            dry_run=self.boolean("dry-run"),
            guards=Guards(
                limit=self.number("limit"),
                max_delete_percent=self.number("max-delete-percent", most=100),
                on_last_version=OnLastVersion(self.choice("on-last-version") or OnLastVersion.KEEP),
            ),
            polite=self.choice("pace") == "polite",
            time_limit=self.seconds("time-limit"),
            if_missing=self.choice("if-missing"),
            fail_on=self.choice("fail-on"),
            receipt=self.text("receipt"),
            undo=self.text("undo"),
            manifest_cache=self.text("manifest-cache"),
            summary=self.boolean("summary"),
            log_level=self.choice("log-level"),
            warnings=(),
        )
        given = {name for name in INPUTS_BY_NAME if self.is_given(name)}
        problems, warnings = cross_checks(settings, given, {problem.partition(":")[0] for problem in self.problems})
        problems = [*self.problems, *problems]
        if problems:
            raise BadInput(list(dict.fromkeys(problems)))
        return with_warnings(settings, warnings)

    def token(self) -> Secret:
        text = self.text("token")
        if not text:
            self.problems.append(
                "token: empty (a secret that does not exist, or that the event may not see, arrives empty); accepted is"
                " any GitHub token, on the command line in GH_TOKEN or GITHUB_TOKEN"
            )
        elif not (text.isascii() and text.isprintable()) or " " in text:
            self.problems.append(
                "token: its text (not shown) has characters that an HTTP header cannot carry; accepted is any GitHub"
                " token, without blanks or line breaks inside"
            )
        return Secret(text)

    def url(self, name: str) -> str:
        text = self.text(name).rstrip("/")
        if text and not _is_base_url(text):
            # a URL with credentials in it must not end up in a log
            shown = re.sub(r"//[^/@]*@", "//***@", text)
            self.problem(name, shown, "is not a URL such as https://api.github.com or https://HOST/api/v3")
        return text

    def registry_url(self) -> str:
        text = self.url("registry-url")
        if _is_base_url(text) and urlsplit(text).path:
            self.problem("registry-url", text, "has a path; accepted is a host alone, such as https://ghcr.io")
        return text

    def types_of_packages(self, types: tuple[PackageType, ...]) -> tuple[PackageType, ...]:
        """The types that names of packages may be of: a receipt may hold all, unless types are given."""
        return tuple(PackageType) if self.text("undo") and not self.is_given("package-type") else types

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
            "\n".join(entries), ignore_case=True, objection=lambda pattern: package_problem(pattern, types)
        )
        if not entries and text.strip():
            self.problems.append(f"{label}: has no entry, and must not come to mean everything")
        self.problems += [f"{label}: {problem}" for problem in problems]
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

    def policy(self, files: InputFiles, types: tuple[PackageType, ...]) -> "Policy | None":
        file = self.text("policy")
        if not file:
            return None
        for name in RULE_INPUTS:
            if self.is_given(name):
                self.problems.append(f"{name}: stands beside a policy, whose rules say this; remove one of them")
        # imported here: YAML and schemas take longer than most of ours, and only a policy needs them
        from package_keeper.inputs.policy_file import Policy, read_policy  # noqa: PLC0415  # reason: start-up time

        if files.policy is None:
            return Policy()
        return read_policy(file, files.policy, types=types, now=self.now, problems=self.problems)

    def rules(
        self, policy: "Policy | None", types: tuple[PackageType, ...], *, deleted: bool, restoring: bool
    ) -> Rules:
        rule = parse_rule(self, restoring=restoring)
        if policy is None:
            self.problems += rule_problems(rule, self, types=set(types), deleted=deleted)
        return Rules(
            rules=policy.rules or (rule,) if policy is not None else (rule,),
            is_policy=policy is not None,
            now=self.now,
            raw=self.choice("images") == "raw",
            lists=KeepLists(
                tags=self.patterns("keep-tags"),
                versions=self.patterns("keep-versions"),
                digests=self.digests("keep-digests"),
            ),
        )


def unknown_input(name: str, shown: str) -> str:
    """The problem with an input or option that does not exist; `name` is what was meant to be the input's name."""
    return f"{shown}: there is no such input{nearest(name, INPUTS_BY_NAME)}"


def _is_base_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
            return False
    except ValueError:
        return False
    return not (parts.query or parts.fragment or parts.username or parts.password or re.search(r"\s", text))
