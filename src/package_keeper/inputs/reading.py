"""Text ─▶ `Settings`, or all problems of all inputs at once, before the first request."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from package_keeper.decisions.guards import Guards, OnLastVersion
from package_keeper.decisions.patterns import Patterns
from package_keeper.decisions.retention import KeepLists
from package_keeper.decisions.rules import Rules
from package_keeper.decisions.sql import SqlProblem, check_query
from package_keeper.errors import BadInput
from package_keeper.inputs import checks
from package_keeper.inputs.definitions import INPUTS_BY_NAME
from package_keeper.inputs.name_forms import package_problem
from package_keeper.inputs.operations import Operation
from package_keeper.inputs.patterns import parse_patterns, split_entries
from package_keeper.inputs.rule_reading import RULE_INPUTS, read_rule, rule_problems
from package_keeper.inputs.settings import Secret, Settings
from package_keeper.inputs.texts import Texts, nearest
from package_keeper.inventory.package import PackageType

if TYPE_CHECKING:
    from package_keeper.inputs.policy import Policy

_PREFIX = re.compile(r"^(!?)ghcr\.io/([^/]+)/", re.IGNORECASE)
_REPOSITORY = re.compile(r"([A-Za-z0-9_][A-Za-z0-9_.-]*/)?(?!\.\.?$)[A-Za-z0-9_.-]+", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class InputFiles:
    """What stands in the files that inputs name: the text of the policy.

    It is `None` when the file could not be read, which is a problem of its own.
    """

    policy: str | None = None


def read_settings(
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
    reader = _Reader(texts, list(problems or []), now=now, defaults=defaults)
    return reader.settings(files or InputFiles(), explains=explains)


class _Reader(Texts):
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
        problems, warnings = checks.cross_checks(
            settings, given, {problem.partition(":")[0] for problem in self.problems}
        )
        problems = [*self.problems, *problems]
        if problems:
            raise BadInput(list(dict.fromkeys(problems)))
        return checks.with_warnings(settings, warnings)

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
        from package_keeper.inputs.policy import Policy, read_policy  # noqa: PLC0415  # reason: start-up time

        if files.policy is None:
            return Policy()
        return read_policy(file, files.policy, types=types, now=self.now, problems=self.problems)

    def rules(
        self, policy: "Policy | None", types: tuple[PackageType, ...], *, deleted: bool, restoring: bool
    ) -> Rules:
        rule = read_rule(self, restoring=restoring)
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
