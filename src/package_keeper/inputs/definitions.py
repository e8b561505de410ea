"""All inputs, outputs and operations, in one table: command line, `action.yml` and README are made from it."""

from dataclasses import dataclass, field
from enum import StrEnum

from package_keeper.settings import Operation

OPERATION_MEANINGS = {
    Operation.LIST: "show packages, or versions when a package or a selection is given",
    Operation.VERIFY: "check that every tagged container image is whole, and say what is missing",
    Operation.CONFLICTS: "show packages with a conflict from the Docker migration",
    Operation.DELETE: "delete the selected versions; images go with all their parts",
    Operation.RESTORE: "restore the selected deleted versions, or everything in a receipt",
    Operation.REPAIR: "restore the deleted parts that tagged container images still need",
    Operation.DELETE_PACKAGE: "delete whole packages",
    Operation.RESTORE_PACKAGE: "restore whole deleted packages",
}

COMMAND_MEANINGS = {
    "explain": "show for every version which rule decides and why, as delete would; writes nothing",
    "schema": "print the JSON Schema of a policy, or of a line of a receipt: schema receipt",
}
"""What only the command line has."""

ALL = frozenset(Operation)
VERSIONS = frozenset({Operation.LIST, Operation.DELETE, Operation.RESTORE})
WRITING = frozenset(operation for operation in Operation if operation.writes)
DELETE_OR_LIST = frozenset({Operation.LIST, Operation.DELETE})
READS_MANIFESTS = frozenset({Operation.LIST, Operation.VERIFY, Operation.DELETE, Operation.RESTORE, Operation.REPAIR})


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
    DURATION = "duration"
    RANGE = "range"
    TEMPLATES = "templates"
    GLOBS = "globs"
    GROUPING = "grouping"
    SQL = "SQL"
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
        return self.kind in _LISTS


_LISTS = (Kind.WORDS, Kind.PATTERNS, Kind.IDS, Kind.DIGESTS, Kind.TEMPLATES, Kind.GLOBS)


WHO = "Who and where"
PACKAGE_TYPES = ("npm", "maven", "rubygems", "docker", "nuget", "container")

SCOPE_INPUTS: tuple[Input, ...] = (
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
            " `restore-package` exact names. `ghcr.io/OWNER/` in front is stripped; `OWNER/` only when no package has"
            " the longer name. An exclusion with the owner in front excludes both."
        ),
    ),
    Input(
        name="repository",
        section=WHO,
        kind=Kind.TEXT,
        operations=ALL - {Operation.RESTORE_PACKAGE},
        narrows=True,
        example="acme/app",
        meaning="Only packages linked to this repository, `name` or `owner/name`; it also answers for `gone`.",
    ),
    Input(
        name="visibility",
        section=WHO,
        kind=Kind.CHOICE,
        default="any",
        choices=("any", "public", "private", "internal"),
        operations=ALL - {Operation.RESTORE_PACKAGE},
        narrows=True,
        meaning="Only packages of this visibility; one that GitHub does not tell is only `any`.",
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
)


WHICH = "Which versions"
AGE = "Age"

SELECTION_INPUTS: tuple[Input, ...] = (
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
        name="semver",
        section=WHICH,
        kind=Kind.RANGE,
        operations=VERSIONS,
        narrows=True,
        example=">=1.2 <1.5",
        meaning=(
            "Range over version names, or over tags where a type has tags. Comparators separated by blanks hold"
            " together; `1.x`, `~1.4`, `^1.4.2`, `1.2 - 1.5` and `||` are understood. An upper bound without a"
            " pre-release excludes its own pre-releases. What is no SemVer is never selected."
        ),
    ),
    Input(
        name="prerelease",
        section=WHICH,
        kind=Kind.CHOICE,
        default="any",
        choices=("any", "only", "exclude"),
        operations=VERSIONS,
        narrows=True,
        meaning="Only pre-releases, or none, by true SemVer; both never select what is no SemVer.",
    ),
    Input(
        name="gone",
        section=WHICH,
        kind=Kind.TEMPLATES,
        operations=VERSIONS,
        narrows=True,
        needs_tags=True,
        example="pr-{pull-request}",
        meaning=(
            "Tag templates tied to the repository's life: `pr-{pull-request}`, tags of closed pull requests;"
            " `{branch}`, `branch-{branch}`, tags of branches that are gone, on the facts of a closed pull request."
            " Never versions, `latest` or git tags. What is alive keeps its image, whatever `partial-match` says. Needs"
            " `contents: read` and `pull-requests: read`."
        ),
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
        name="where",
        section=WHICH,
        kind=Kind.SQL,
        operations=VERSIONS | {Operation.VERIFY, Operation.REPAIR},
        narrows=True,
        example="age_days > 90 AND NOT tagged",
        meaning="SQL expression over the columns of `versions`; it acts before `keep-latest`, and NULL never selects."
        " `verify` and `repair` look at the images that it selects.",
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
)


KEEP = "What always stays"

RETENTION_INPUTS: tuple[Input, ...] = (
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
        name="keep-latest-per",
        section=KEEP,
        kind=Kind.GROUPING,
        default="package",
        operations=DELETE_OR_LIST,
        narrows=True,
        example="minor",
        meaning=(
            "In which groups `keep-latest` counts: `package`, `major`, `minor` (SemVer), or `/regex/` whose first"
            " group names the group. What has no group stays."
        ),
    ),
    Input(
        name="keep-daily",
        section=KEEP,
        kind=Kind.NUMBER,
        default="0",
        operations=DELETE_OR_LIST,
        narrows=True,
        example="7",
        meaning="The newest of each of the last N days (UTC) that have one; tagged and untagged images apart.",
    ),
    Input(
        name="keep-weekly",
        section=KEEP,
        kind=Kind.NUMBER,
        default="0",
        operations=DELETE_OR_LIST,
        narrows=True,
        example="8",
        meaning="The newest of each of the last N ISO weeks (UTC) that have one; tagged and untagged images apart.",
    ),
    Input(
        name="keep-monthly",
        section=KEEP,
        kind=Kind.NUMBER,
        default="0",
        operations=DELETE_OR_LIST,
        narrows=True,
        example="12",
        meaning="The newest of each of the last N months (UTC) that have one; tagged and untagged images apart.",
    ),
    Input(
        name="keep-yearly",
        section=KEEP,
        kind=Kind.NUMBER,
        default="0",
        operations=DELETE_OR_LIST,
        narrows=True,
        example="3",
        meaning="The newest of each of the last N years (UTC) that have one; tagged and untagged images apart.",
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
        name="keep-used-in",
        section=KEEP,
        kind=Kind.GLOBS,
        operations=frozenset({Operation.LIST, Operation.DELETE, Operation.VERIFY, Operation.REPAIR}),
        narrows=True,
        needs_tags=True,
        example="deploy/**/*.yaml",
        meaning=(
            "Globs of files in the workspace; every image that they name (`owner/package:tag`, `@digest`, any registry"
            " or none) stays. A name without tag or digest, or with a variable in it, keeps the whole package; a glob"
            " without a file, or whose files name no image of the owner, is an error. `verify` and `repair` look at"
            " these images too."
        ),
    ),
    Input(
        name="policy",
        section=KEEP,
        kind=Kind.PATH,
        operations=DELETE_OR_LIST,
        narrows=True,
        example=".github/package-policy.yml",
        meaning="A policy file: several ordered rules in one run, instead of the selection, age and count inputs.",
    ),
)


SAFETY = "Safety"
FILES = "Files and report"

SAFETY_INPUTS: tuple[Input, ...] = (
    Input(
        name="dry-run",
        section=SAFETY,
        kind=Kind.BOOLEAN,
        default="true",
        operations=WRITING,
        meaning="Plan, show, write nothing. Operations that write do so only with `false`; the others refuse it.",
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
        name="max-delete-percent",
        section=SAFETY,
        kind=Kind.NUMBER,
        default="100",
        operations=frozenset({Operation.DELETE}),
        narrows=True,
        example="50",
        meaning="Refuse the whole run, dry runs too, when more than this percentage of a package's versions would go.",
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
        name="time-limit",
        section=SAFETY,
        kind=Kind.DURATION,
        example="5h",
        meaning=(
            "Stop cleanly after this duration, and before any wait that would end past it; the rest is left for the"
            " next run."
        ),
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
        name="pace",
        section=SAFETY,
        kind=Kind.CHOICE,
        default="full",
        choices=("full", "polite"),
        operations=WRITING,
        meaning=(
            "`full`: as fast as GitHub allows; `polite`: one write a second. Writes leave a tenth of the primary budget"
            " to others."
        ),
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
        name="query",
        section=FILES,
        kind=Kind.SQL,
        operations=frozenset({Operation.LIST}),
        example="SELECT package, count(*) AS versions FROM versions GROUP BY package",
        meaning="`list`: SQL `SELECT` over `packages`, `versions`, `tags`; the output `rows` has the result.",
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


OUTPUTS: dict[str, str] = {
    "result": "`done`, `nothing-to-do`, `planned`, `partial`, `failed`, `refused` or `cancelled`.",
    "selected-count": "Versions that the rules chose; packages, for package operations (so for all counts).",
    "planned-count": (
        "What the run sets out to do: the sum of deleted, untagged, restored, skipped, failed and remaining, all 0"
        " in a dry run."
    ),
    "deleted-count": "Deleted.",
    "untagged-count": "Tags taken away from images that stay.",
    "restored-count": "Restored.",
    "kept-count": "Considered and kept.",
    "skipped-count": "GitHub, or the state of things, made it impossible or needless.",
    "failed-count": "Should have worked and did not.",
    "remaining-count": "Over `limit`, out of time, or left when the run was stopped.",
    "broken-count": "Broken images: found by `verify` and `repair`, restored in part, or hurt by this run (must be 0).",
    "packages": "JSON array of the packages in scope, with every field of GitHub's schema.",
    "versions": (
        "JSON array: `list`: the versions; otherwise the versions acted on or planned; every field of GitHub's"
        " schema plus `package`, `package-type`, `tags`, `decision`, `reason` and, after acting, `outcome`. `list`"
        " without `policy` decides nothing: both are empty."
    ),
    "matrix": (
        'The packages in scope for a matrix job: `{"include": [{"package": …, "package-type": …}]}`, at most 256'
        " entries; beyond that several names stand in one entry, separated by commas."
    ),
    "rows": "JSON array of the result of `query`, an object a row; `[]` without one.",
    "receipt": "Path of the receipt, relative to the workspace; empty when nothing was written.",
    "file": "Path of `output-file`, relative to the workspace.",
    "truncated": (
        "`true` when a JSON output was cut to GitHub's size limit; files are always whole. Room that one output leaves"
        " free is used by the others."
    ),
}


__all__ = ["INPUTS", "INPUTS_BY_NAME", "Input", "Kind"]

INPUTS: tuple[Input, ...] = (*SCOPE_INPUTS, *SELECTION_INPUTS, *RETENTION_INPUTS, *SAFETY_INPUTS)

INPUTS_BY_NAME = {definition.name: definition for definition in INPUTS}
