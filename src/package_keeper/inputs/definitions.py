"""The one definition of all inputs.

`action.yml`, the command line and the tables of the README come from here (`tools/generate_interface.py`), and a test
keeps them equal. Names are those of the public contract and final.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from package_keeper.inputs.operations import (
    ALL,
    DELETE_OR_LIST,
    READS_MANIFESTS,
    VERSIONS,
    WRITING,
    Operation,
)


class Kind(StrEnum):
    """How the text of an input is read."""

    SECRET = "secret"  # noqa: S105  # reason: the kind of an input, no secret
    TEXT = "text"
    URL = "URL"
    WORDS = "words"
    PATTERNS = "patterns"
    IDS = "ids"
    DIGESTS = "digests"
    CHOICE = "choice"
    BOOLEAN = "boolean"
    NUMBER = "number"
    AGE = "age"
    PATH = "path"


@dataclass(frozen=True, kw_only=True)
class Input:
    """One input.

    `default` is what an empty string means; `action_default` is the expression that `action.yml` declares instead.
    `operations` are those on which it has an effect. `narrows` marks inputs that protect or restrict: where they
    would have no effect on a writing operation, the run is refused instead of warned about.
    """

    name: str
    section: str
    kind: Kind
    meaning: str
    default: str = ""
    action_default: str = ""
    choices: tuple[str, ...] = ()
    aliases: dict[str, str] = field(default_factory=dict)
    operations: frozenset[Operation] = ALL
    narrows: bool = False
    needs_tags: bool = False
    needs_images: bool = False
    example: str = ""

    @property
    def is_list(self) -> bool:
        """Whether repeated options add entries."""
        return self.kind in (Kind.WORDS, Kind.PATTERNS, Kind.IDS, Kind.DIGESTS)


WHO, WHICH, AGE, KEEP, SAFETY, FILES = (
    "Who and where",
    "Which versions",
    "Age",
    "What always stays",
    "Safety",
    "Files and report",
)

PACKAGE_TYPES = ("npm", "maven", "rubygems", "docker", "nuget", "container")

INPUTS: tuple[Input, ...] = (
    Input(
        name="operation",
        section=WHO,
        kind=Kind.CHOICE,
        default="list",
        choices=tuple(Operation),
        meaning="What to do.",
    ),
    Input(
        name="token",
        section=WHO,
        kind=Kind.SECRET,
        action_default="${{ github.token }}",
        meaning="Any GitHub token. Never printed, never judged by its shape; empty is an error.",
    ),
    Input(
        name="owner",
        section=WHO,
        kind=Kind.TEXT,
        action_default="${{ github.repository_owner }}",
        example="acme",
        meaning="The account that owns the packages.",
    ),
    Input(
        name="owner-type",
        section=WHO,
        kind=Kind.CHOICE,
        default="auto",
        choices=("auto", "organization", "user", "authenticated-user"),
        meaning="What kind of account the owner is; `auto` asks GitHub once.",
    ),
    Input(
        name="package-type",
        section=WHO,
        kind=Kind.WORDS,
        default="container",
        choices=PACKAGE_TYPES,
        operations=ALL - {Operation.CONFLICTS},
        meaning="One or more package types. With `undo`, a list other than the default narrows what is taken back.",
    ),
    Input(
        name="package",
        section=WHO,
        kind=Kind.PATTERNS,
        example="app",
        meaning=(
            "Name patterns of packages. Empty means all, for operations that write nothing; the others need an entry"
            " that includes (`*` is all, said explicitly). `delete-package` takes exact names or `*`,"
            " `restore-package` exact names. `ghcr.io/OWNER/` in front is stripped."
        ),
    ),
    Input(
        name="api-url",
        section=WHO,
        kind=Kind.URL,
        action_default="${{ github.api_url }}",
        default="https://api.github.com",
        meaning="REST base URL, also of GitHub Enterprise Server.",
    ),
    Input(
        name="registry-url",
        section=WHO,
        kind=Kind.URL,
        operations=READS_MANIFESTS,
        example="https://ghcr.io",
        meaning="The container registry. Empty: `https://ghcr.io`, or `https://containers.HOST` for another `api-url`.",
    ),
    Input(
        name="version-ids",
        section=WHICH,
        kind=Kind.IDS,
        operations=VERSIONS,
        narrows=True,
        example="101,102",
        meaning="Exact version ids.",
    ),
    Input(
        name="versions",
        section=WHICH,
        kind=Kind.PATTERNS,
        operations=VERSIONS,
        narrows=True,
        example="1.*",
        meaning="Patterns on the version name; for containers that is the digest.",
    ),
    Input(
        name="tags",
        section=WHICH,
        kind=Kind.PATTERNS,
        operations=VERSIONS,
        narrows=True,
        needs_tags=True,
        example="pr-*",
        meaning=(
            "Patterns on container and docker tags; never selects what has no tag. For an image only some of whose"
            " tags match, see `partial-match`."
        ),
    ),
    Input(
        name="tag-status",
        section=WHICH,
        kind=Kind.CHOICE,
        default="any",
        choices=("any", "tagged", "untagged"),
        operations=VERSIONS,
        narrows=True,
        needs_tags=True,
        meaning="Only tagged, or only untagged versions.",
    ),
    Input(
        name="condition",
        section=WHICH,
        kind=Kind.WORDS,
        choices=("any", "whole", "partial", "ghost", "orphan"),
        default="any",
        operations=DELETE_OR_LIST,
        narrows=True,
        needs_images=True,
        meaning=(
            "Container images by health, one or more of: `whole`; `partial`, some parts missing; `ghost`, an index with"
            " no part left; `orphan`, a signature or other referrer whose subject is gone. What is missing is confirmed"
            " by a fresh list and the registry."
        ),
    ),
    Input(
        name="partial-match",
        section=WHICH,
        kind=Kind.CHOICE,
        default="keep",
        choices=("keep", "untag", "delete"),
        operations=DELETE_OR_LIST,
        needs_tags=True,
        meaning="An image only some of whose tags match: `keep` it, `untag` the matching tags, or `delete` it.",
    ),
    Input(
        name="state",
        section=WHICH,
        kind=Kind.CHOICE,
        default="active",
        choices=("active", "deleted"),
        operations=frozenset({Operation.LIST, Operation.RESTORE}),
        narrows=True,
        meaning="`list`: active versions, or those deleted in the last 30 days; `restore` always reads deleted ones.",
    ),
    Input(
        name="older-than",
        section=AGE,
        kind=Kind.AGE,
        operations=VERSIONS,
        narrows=True,
        example="30d",
        meaning="Only what is older: `90min`, `12h`, `30d`, `2w`, `6mo`, `1y`, `15 days`, ISO 8601 duration or date.",
    ),
    Input(
        name="newer-than",
        section=AGE,
        kind=Kind.AGE,
        operations=VERSIONS,
        narrows=True,
        example="2026-01-31",
        meaning="Only what is newer, in the same forms.",
    ),
    Input(
        name="age-of",
        section=AGE,
        kind=Kind.CHOICE,
        choices=("updated", "created", "deleted"),
        operations=VERSIONS,
        meaning="The timestamp that age and newest-first use; empty is `updated`, and `deleted` for `restore`.",
    ),
    Input(
        name="keep-latest",
        section=KEEP,
        kind=Kind.NUMBER,
        default="0",
        operations=DELETE_OR_LIST,
        narrows=True,
        example="10",
        meaning=(
            "The N newest of what the selection matched stay, before age; tagged and untagged images are counted"
            " apart, and what stays anyway uses up no place."
        ),
    ),
    Input(
        name="keep-tags",
        section=KEEP,
        kind=Kind.PATTERNS,
        operations=DELETE_OR_LIST,
        narrows=True,
        needs_tags=True,
        example="v*,latest",
        meaning="Patterns; an image with one matching tag stays, whatever selects it.",
    ),
    Input(
        name="keep-versions",
        section=KEEP,
        kind=Kind.PATTERNS,
        operations=DELETE_OR_LIST,
        narrows=True,
        example="2.*",
        meaning="Patterns on version names that stay, likewise.",
    ),
    Input(
        name="keep-digests",
        section=KEEP,
        kind=Kind.DIGESTS,
        operations=frozenset({Operation.LIST, Operation.DELETE, Operation.VERIFY, Operation.REPAIR}),
        narrows=True,
        needs_tags=True,
        meaning=(
            "Digests (`sha256:` and 64 hex digits) that stay; that of a part keeps every image that holds it; one found"
            " nowhere warns. `verify` and `repair` look at these too, tagged or not."
        ),
    ),
    Input(
        name="dry-run",
        section=SAFETY,
        kind=Kind.BOOLEAN,
        default="true",
        operations=WRITING,
        meaning="Plan, show, write nothing. Operations that write do so only with `false`.",
    ),
    Input(
        name="images",
        section=SAFETY,
        kind=Kind.CHOICE,
        default="whole",
        choices=("whole", "raw"),
        operations=frozenset({Operation.DELETE, Operation.RESTORE}),
        meaning=(
            "`whole`: images are kept, deleted and restored with all their parts. `raw`: versions are independent, only"
            " with `version-ids` or `versions`, and warned about."
        ),
    ),
    Input(
        name="on-last-version",
        section=SAFETY,
        kind=Kind.CHOICE,
        default="keep",
        choices=("keep", "fail", "delete-package"),
        operations=frozenset({Operation.DELETE}),
        meaning=(
            "When GitHub refuses to delete the last version of a package: `keep` it, `fail`, or `delete-package`,"
            " only when a fresh list shows nothing but what this run would delete."
        ),
    ),
    Input(
        name="limit",
        section=SAFETY,
        kind=Kind.NUMBER,
        default="0",
        operations=frozenset({Operation.DELETE, Operation.RESTORE}),
        narrows=True,
        example="500",
        meaning="At most N versions over the whole run, oldest first; the rest is left for the next run; 0: all.",
    ),
    Input(
        name="if-missing",
        section=SAFETY,
        kind=Kind.CHOICE,
        default="fail",
        choices=("fail", "warn", "ignore"),
        meaning="A named package that does not exist: `fail` after the others are done, `warn`, or `ignore`.",
    ),
    Input(
        name="fail-on",
        section=SAFETY,
        kind=Kind.CHOICE,
        default="error",
        choices=("error", "skip", "never"),
        meaning="`error`: exit 1 when any item failed; `skip`: also when GitHub refused one; `never`.",
    ),
    Input(
        name="receipt",
        section=FILES,
        kind=Kind.PATH,
        default="package-keeper-receipt.jsonl",
        operations=WRITING,
        meaning="Where to write what was done. A file that exists is never overwritten: a number is added.",
    ),
    Input(
        name="undo",
        section=FILES,
        kind=Kind.PATH,
        operations=frozenset({Operation.RESTORE}),
        narrows=True,
        example="package-keeper-receipt.jsonl",
        meaning="`restore`: the receipt of an earlier run, to take back.",
    ),
    Input(
        name="output-file",
        section=FILES,
        kind=Kind.PATH,
        example="result.json",
        meaning="Where to write the whole JSON of the result, whatever its size.",
    ),
    Input(
        name="manifest-cache",
        section=FILES,
        kind=Kind.PATH,
        operations=READS_MANIFESTS,
        example=".package-keeper-manifests",
        meaning="Folder to keep manifests in between runs, for a cache step; a second run then reads only what is new.",
    ),
    Input(
        name="summary",
        section=FILES,
        kind=Kind.BOOLEAN,
        default="true",
        meaning="Write the job summary.",
    ),
    Input(
        name="log-level",
        section=FILES,
        kind=Kind.CHOICE,
        default="info",
        choices=("error", "warning", "info", "debug"),
        aliases={"warn": "warning"},
        meaning="How much to say: `error`, `warning` (`warn`), `info`, `debug`.",
    ),
)

INPUTS_BY_NAME = {definition.name: definition for definition in INPUTS}
