"""Text ─▶ `Settings`, or all problems of all inputs at once, before the first request."""

import difflib
import re
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import urlsplit

from package_keeper.decisions.deciding import Rules
from package_keeper.decisions.guards import Guards, OnLastVersion
from package_keeper.decisions.patterns import Patterns
from package_keeper.decisions.retention import KeepLists, Retention
from package_keeper.decisions.selection import Age, PartialMatch, Selection, TagStatus
from package_keeper.errors import BadInput
from package_keeper.inputs import ages, checks
from package_keeper.inputs.definitions import INPUTS_BY_NAME, Kind
from package_keeper.inputs.operations import Operation
from package_keeper.inputs.patterns import parse_patterns, split_entries
from package_keeper.inputs.settings import Secret, Settings
from package_keeper.inventory.image import Condition
from package_keeper.inventory.package import PackageType
from package_keeper.inventory.version import DIGEST, Timestamp

_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NUMBER = r"[0-9]{1,12}"
_PREFIX = re.compile(r"^(!?)ghcr\.io/([^/]+)/", re.IGNORECASE)


def read_settings(
    texts: Mapping[str, str], *, defaults: Mapping[str, str], now: datetime, problems: list[str] | None = None
) -> Settings:
    """Read the inputs of one run.

    `texts` maps input names to what was written; missing and empty mean the default, which `defaults` (from the
    runner's environment) may give. `problems` are those that the door found already. Raises `BadInput` with all.
    """
    return _Reader(texts, defaults, now, list(problems or [])).settings()


def nearest(word: str, accepted: list[str]) -> str:
    """A hint that names the accepted word nearest to `word`, or an empty string."""
    close = difflib.get_close_matches(word.lower().replace("_", "-"), accepted, n=1, cutoff=0.6)
    return f"; did you mean '{close[0]}'?" if close else ""


class _Reader:
    """Reads one input after the other and collects the problems."""

    def __init__(
        self, texts: Mapping[str, str], defaults: Mapping[str, str], now: datetime, problems: list[str]
    ) -> None:
        self.texts = {name: text.strip() for name, text in texts.items()}
        self.defaults = defaults
        self.now = now
        self.problems = problems

    def settings(self) -> Settings:
        operation = Operation(self.choice("operation") or Operation.LIST)
        types = tuple(PackageType(word) for word in self.words("package-type")) or (PackageType.CONTAINER,)
        owner = self.text("owner")
        settings = Settings(
            operation=operation,
            token=self.token(),
            owner=owner,
            owner_is_default=owner.lower() == self.defaults.get("owner", "").lower(),
            owner_type=self.choice("owner-type"),
            package_types=types,
            package_types_given=self.is_given("package-type"),
            packages=self.packages(owner),
            api_url=self.url("api-url"),
            registry_url=self.registry_url(),
            rules=self.rules(operation),
            deleted_state=self.choice("state") == "deleted" or operation is Operation.RESTORE,
            dry_run=self.boolean("dry-run"),
            guards=Guards(
                limit=self.number("limit"),
                on_last_version=OnLastVersion(self.choice("on-last-version") or OnLastVersion.KEEP),
            ),
            if_missing=self.choice("if-missing"),
            fail_on=self.choice("fail-on"),
            receipt=self.text("receipt"),
            undo=self.text("undo"),
            output_file=self.text("output-file"),
            manifest_cache=self.text("manifest-cache"),
            summary=self.boolean("summary"),
            log_level=self.choice("log-level"),
            warnings=(),
        )
        given = {name for name in INPUTS_BY_NAME if self.is_given(name)}
        problems, warnings = checks.cross_checks(settings, given)
        problems = [*self.problems, *problems]
        if problems:
            raise BadInput(problems)
        return checks.with_warnings(settings, warnings)

    def is_given(self, name: str) -> bool:
        definition = INPUTS_BY_NAME[name]
        text = self.texts.get(name, "")
        if definition.kind is Kind.BOOLEAN and text in _BOOLEANS:
            return _BOOLEANS[text] is not _BOOLEANS[definition.default]
        if definition.kind is Kind.NUMBER and re.fullmatch(_NUMBER, text):
            return int(text) != int(definition.default)
        return bool(text) and text != definition.default

    def text(self, name: str) -> str:
        return self.texts.get(name, "") or self.defaults.get(name, "") or INPUTS_BY_NAME[name].default

    def problem(self, name: str, value: str, accepted: str) -> None:
        self.problems.append(f"{name}: '{value}' {accepted}")

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

    def choice(self, name: str) -> str:
        definition = INPUTS_BY_NAME[name]
        text = self.text(name)
        text = definition.aliases.get(text, text)
        if text and text not in definition.choices:
            words = list(definition.choices)
            self.problem(name, text, f"is not one of {', '.join(words)}{nearest(text, words)}")
            return definition.default
        return text

    def boolean(self, name: str) -> bool:
        text = self.text(name)
        if text not in _BOOLEANS:
            self.problem(name, text, "is not true or false (true|True|TRUE|false|False|FALSE)")
        return _BOOLEANS.get(text, True)

    def number(self, name: str) -> int:
        text = self.text(name)
        if not re.fullmatch(_NUMBER, text):
            self.problem(name, text, "is not a whole number (0 or more)")
            return 0
        return int(text)

    def words(self, name: str) -> list[str]:
        definition = INPUTS_BY_NAME[name]
        found: list[str] = []
        for word in split_entries(self.text(name)):
            if word not in definition.choices:
                words = list(definition.choices)
                self.problem(name, word, f"is not one or more of {', '.join(words)}{nearest(word, words)}")
            elif word not in found:
                found.append(word)
        return found

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

    def patterns(self, name: str) -> Patterns | None:
        patterns, problems = parse_patterns(self.text(name))
        self.problems += [f"{name}: {problem}" for problem in problems]
        return patterns

    def packages(self, owner: str) -> Patterns | None:
        entries = []
        for entry in split_entries(self.text("package")):
            prefix = _PREFIX.match(entry)
            if prefix and prefix[2].lower() != owner.lower():
                self.problem("package", entry, f"is a package of {prefix[2]}, but the owner is {owner or 'not given'}")
            entries.append(_PREFIX.sub(r"\1", entry) if prefix else entry)
        patterns, problems = parse_patterns("\n".join(entries), ignore_case=True)
        self.problems += [f"package: {problem}" for problem in problems]
        return patterns

    def ids(self, name: str) -> frozenset[int] | None:
        ids = set()
        for entry in split_entries(self.text(name)):
            if re.fullmatch(r"[0-9]{1,19}", entry) and int(entry) > 0:
                ids.add(int(entry))
            else:
                self.problem(name, entry, "is not a version id (a whole number, separated by commas or lines)")
        return frozenset(ids) or None

    def digests(self, name: str) -> frozenset[str]:
        digests = set()
        for entry in split_entries(self.text(name)):
            if DIGEST.fullmatch(entry.lower()):
                digests.add(entry.lower())
            else:
                hint = ""
                if re.fullmatch(r"[0-9a-fA-F]{64}", entry):
                    hint = f"; write sha256:{entry}"
                elif "@sha256:" in entry:
                    hint = "; write what stands after the @"
                self.problem(name, entry, f"is not sha256: and 64 hex digits{hint}")
        return frozenset(digests)

    def rules(self, operation: Operation) -> Rules:
        default = Timestamp.DELETED if operation is Operation.RESTORE else Timestamp.UPDATED
        return Rules(
            selection=Selection(
                version_ids=self.ids("version-ids"),
                versions=self.patterns("versions"),
                tags=self.patterns("tags"),
                tag_status=TagStatus(self.choice("tag-status")),
                conditions=self.conditions(),
                partial_match=PartialMatch(self.choice("partial-match")),
            ),
            now=self.now,
            raw=self.choice("images") == "raw",
            age=Age(
                timestamp=Timestamp(self.choice("age-of") or default),
                older_than=self.moment("older-than"),
                newer_than=self.moment("newer-than"),
            ),
            retention=Retention(
                latest=self.number("keep-latest"),
                lists=KeepLists(
                    tags=self.patterns("keep-tags"),
                    versions=self.patterns("keep-versions"),
                    digests=self.digests("keep-digests"),
                ),
            ),
        )

    def conditions(self) -> frozenset[Condition] | None:
        words = self.words("condition")
        return None if "any" in words else frozenset(Condition(word) for word in words) or None

    def moment(self, name: str) -> datetime | None:
        text = self.text(name)
        if not text:
            return None
        try:
            return ages.point_in_time(text, self.now)
        except ages.AgeProblem as problem:
            self.problem(name, text, f"is not accepted: {problem}; accepted is {ages.ACCEPTED}")
            return None


def unknown_input(name: str, shown: str) -> str:
    """The problem with an input or option that does not exist; `name` is what was meant to be the input's name."""
    return f"{shown}: there is no such input{nearest(name, list(INPUTS_BY_NAME))}"


def _is_base_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
            return False
    except ValueError:
        return False
    return not (parts.query or parts.fragment or parts.username or parts.password or re.search(r"\s", text))
