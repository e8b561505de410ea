"""All operations, inputs and outputs. The command line, `action.yml` and the tables of the README come from here.

To add an input: add an `Input` to `INPUTS`, parse it in `inputs/parser.py` into a field of `Settings` (one that belongs
to a rule in `inputs/rules.py`), and run `tools/generate_interface.py`.
"""

from enum import StrEnum

from msgspec import Struct, field

from package_keeper.model.images import Condition
from package_keeper.model.packages import PackageType, Timestamp
from package_keeper.policy.guards import OnLastVersion
from package_keeper.policy.selection import PartialMatch, TagStatus
from package_keeper.policy.semver import Prerelease
from package_keeper.settings import (
    FailOn,
    IfMissing,
    ImagesMode,
    LogLevel,
    Operation,
    Pace,
    VersionState,
    Visibility,
    WantedOwnerType,
)

OPERATION_MEANINGS = {
    Operation.LIST: "show packages, or versions when a package or a selection is given",
    Operation.VERIFY: "check that every tagged container image is whole, and say what is missing",
    Operation.CONFLICTS: "show packages with a conflict from the Docker migration",
    Operation.DELETE: "delete the selected versions; images go with all their parts",
    Operation.RESTORE: "restore the selected deleted versions, or everything in a receipt",
    Operation.REPAIR: "restore the deleted parts that tagged container images still need",
    Operation.DELETE_PACKAGE: "delete whole packages",
    Operation.RESTORE_PACKAGE: "restore whole deleted packages",
    Operation.APPLY: "carry out a saved plan, and nothing that is not in it",
}

COMMAND_MEANINGS = {
    "explain": "show for every version which rule decides and why, as delete would; writes nothing",
    "completion": "print the script that completes options in a shell: bash, zsh or fish",
    "schema": "print the JSON Schema of a policy, of a plan (schema plan) or of a line of a receipt (schema receipt)",
}
"""The commands that only the command line has."""

SHORT_NAMES = {
    "owner": "o",
    "package-type": "T",
    "package": "p",
    "tags": "t",
    "versions": "v",
    "query": "q",
    "yes": "y",
    "help": "h",
}
"""The short names of options on the command line."""

USUAL = frozenset(
    {
        "owner",
        "package-type",
        "package",
        "versions",
        "tags",
        "tag-status",
        "older-than",
        "keep-latest",
        "keep-tags",
        "policy",
        "dry-run",
        "limit",
        "undo",
        "plan",
        "plan-sha256",
        "query",
        "output-file",
    }
)
"""The inputs that `--help` shows. `--help-all` shows every one."""

ALL = frozenset(Operation)
VERSIONS = frozenset({Operation.LIST, Operation.DELETE, Operation.RESTORE})
WRITING = frozenset(operation for operation in Operation if operation.writes)
DELETE_OR_LIST = frozenset({Operation.LIST, Operation.DELETE})
KEEPS = DELETE_OR_LIST | {Operation.APPLY}
KEEPS_OR_VERIFIES = KEEPS | {Operation.VERIFY, Operation.REPAIR}
READS_MANIFESTS = KEEPS_OR_VERIFIES | {Operation.RESTORE}


class Kind(StrEnum):
    """What the text of an input is. It decides the name of the value in `--help`, and which options may be repeated."""

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


class Input(Struct, frozen=True, kw_only=True):
    """One input.

    `meaning` is its text in the README, `action.yml` and `--help`. `default` is what an empty text means;
    `action_default` is the expression that `action.yml` declares instead. `aliases` are other spellings of `choices`.

    `operations` are those on which it has an effect. On the others it produces a warning. But if it `narrows` what is
    written, because it restricts or protects, an operation that writes refuses it.

    `needs_tags`: it has an effect only on package types with tags. `needs_images`: only on containers.
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
WHICH = "Which versions"
AGE = "Age"
KEEP = "What always stays"
SAFETY = "Safety"
FILES = "Files and report"

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
        meaning="Any GitHub token. It is never printed, and its format is not checked. An empty token is an error.",
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
        choices=tuple(WantedOwnerType),
        meaning="The kind of account. `auto` asks GitHub.",
    ),
    Input(
        name="package-type",
        section=WHO,
        kind=Kind.WORDS,
        default="container",
        choices=tuple(PackageType),
        operations=ALL - {Operation.CONFLICTS},
        meaning="One or more package types. With `undo`, any other value than the default restores only these types.",
    ),
    Input(
        name="package",
        section=WHO,
        kind=Kind.PATTERNS,
        example="app",
        meaning=(
            "Patterns for package names. For operations that write nothing, empty means all packages. Operations that"
            " write require a name or pattern; use `*` for all packages. `delete-package` takes exact names or `*`,"
            " `restore-package` exact names. `ghcr.io/OWNER/` in front of a name is removed; `OWNER/` is removed unless"
            " a package has the longer name. An exclusion with the owner in front excludes both names."
        ),
    ),
    Input(
        name="repository",
        section=WHO,
        kind=Kind.TEXT,
        operations=ALL - {Operation.RESTORE_PACKAGE},
        narrows=True,
        example="acme/app",
        meaning=(
            "Only packages linked to this repository: `name` or `owner/name`. `gone` looks up branches and pull"
            " requests in it."
        ),
    ),
    Input(
        name="visibility",
        section=WHO,
        kind=Kind.CHOICE,
        default="any",
        choices=tuple(Visibility),
        operations=ALL - {Operation.RESTORE_PACKAGE},
        narrows=True,
        meaning=(
            "Only packages with this visibility. A package whose visibility GitHub does not report matches only `any`."
        ),
    ),
    Input(
        name="api-url",
        section=WHO,
        kind=Kind.URL,
        action_default="${{ github.api_url }}",
        default="https://api.github.com",
        meaning="Base URL of the REST API; also works with GitHub Enterprise Server.",
    ),
    Input(
        name="registry-url",
        section=WHO,
        kind=Kind.URL,
        operations=READS_MANIFESTS,
        example="https://ghcr.io",
        meaning=(
            "The container registry. Empty means `https://ghcr.io`, or `https://containers.HOST` for another `api-url`."
        ),
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
        meaning="Patterns for version names. The name of a container version is its digest.",
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
            "Patterns for tags of container and docker versions. Untagged versions never match. For an image with only"
            " some matching tags, see `partial-match`."
        ),
    ),
    Input(
        name="tag-status",
        section=WHICH,
        kind=Kind.CHOICE,
        default="any",
        choices=tuple(TagStatus),
        operations=VERSIONS,
        narrows=True,
        needs_tags=True,
        meaning="Only tagged versions, or only untagged ones.",
    ),
    Input(
        name="semver",
        section=WHICH,
        kind=Kind.RANGE,
        operations=VERSIONS,
        narrows=True,
        example=">=1.2 <1.5",
        meaning=(
            "A SemVer range for tags, or for version names of package types without tags. Separate comparators with"
            " blanks when all must hold; `1.x`, `~1.4`, `^1.4.2`, `1.2 - 1.5` and `||` work too. An upper bound such as"
            " `<2.0.0` excludes the pre-releases of 2.0.0. Names that are not SemVer never match."
        ),
    ),
    Input(
        name="prerelease",
        section=WHICH,
        kind=Kind.CHOICE,
        default="any",
        choices=tuple(Prerelease),
        operations=VERSIONS,
        narrows=True,
        meaning=(
            "SemVer pre-releases: `only` them, `exclude` them, or only those that are `superseded`: whose release (the"
            " same major, minor and patch) is active in the same package. Names that are not SemVer never match."
        ),
    ),
    Input(
        name="gone",
        section=WHICH,
        kind=Kind.TEMPLATES,
        operations=VERSIONS,
        narrows=True,
        example="pr-{pull-request}",
        meaning=(
            "Templates for tags, and for version names of types without tags, that belong to a pull request or branch."
            " `pr-{pull-request}` selects those of closed pull requests, `branch-{branch}` those of deleted branches"
            " that had a pull request, now closed. Globs may stand around the variable:"
            " `*--canary.{pull-request}.*`. `latest`, releases and git tags are never selected. An image with a tag of"
            " an open pull request or existing branch stays, whatever `partial-match` says. Needs `contents: read` and"
            " `pull-requests: read`."
        ),
    ),
    Input(
        name="unused-for",
        section=WHICH,
        kind=Kind.AGE,
        operations=DELETE_OR_LIST,
        narrows=True,
        example="90d",
        meaning=(
            "Only what was not used for so long, by the file `usage`. A use of a part is a use of its image. What the"
            " file does not name is selected only when `usage-since` is given and the version and `usage-since` are"
            " both at least that old."
        ),
    ),
    Input(
        name="condition",
        section=WHICH,
        kind=Kind.WORDS,
        choices=("any", *Condition),
        default="any",
        operations=DELETE_OR_LIST,
        narrows=True,
        needs_images=True,
        meaning=(
            "Container images by health, one or more of: `whole`; `partial`, some parts are missing; `ghost`, an index"
            " without any part left; `orphan`, a signature or other referrer whose subject is gone. A fresh list and"
            " the registry must confirm that a part is missing."
        ),
    ),
    Input(
        name="partial-match",
        section=WHICH,
        kind=Kind.CHOICE,
        default="keep",
        choices=tuple(PartialMatch),
        operations=DELETE_OR_LIST,
        needs_tags=True,
        meaning=(
            "What to do with an image when only some of its tags match: `keep` it, `untag` the matching tags, or"
            " `delete` it."
        ),
    ),
    Input(
        name="where",
        section=WHICH,
        kind=Kind.SQL,
        operations=VERSIONS | {Operation.VERIFY, Operation.REPAIR},
        narrows=True,
        example="age_days > 90 AND NOT tagged",
        meaning=(
            "An SQL expression over the columns of `versions`. It is applied before `keep-latest`; NULL does not"
            " select. `verify` and `repair` check the images that it selects."
        ),
    ),
    Input(
        name="state",
        section=WHICH,
        kind=Kind.CHOICE,
        default="active",
        choices=tuple(VersionState),
        operations=frozenset({Operation.LIST, Operation.RESTORE}),
        narrows=True,
        meaning=(
            "`list` shows active versions, or those deleted in the last 30 days. `restore` always uses deleted ones."
        ),
    ),
    Input(
        name="older-than",
        section=AGE,
        kind=Kind.AGE,
        operations=VERSIONS,
        narrows=True,
        example="30d",
        meaning=(
            "Only older versions: `90min`, `12h`, `30d`, `2w`, `6mo`, `1y`, `15 days`, an ISO 8601 duration or a date."
        ),
    ),
    Input(
        name="newer-than",
        section=AGE,
        kind=Kind.AGE,
        operations=VERSIONS,
        narrows=True,
        example="2026-01-31",
        meaning="Only newer versions, in the same forms.",
    ),
    Input(
        name="age-of",
        section=AGE,
        kind=Kind.CHOICE,
        choices=(Timestamp.UPDATED, Timestamp.CREATED, Timestamp.DELETED),
        operations=VERSIONS,
        meaning="The timestamp that ages and the order by age use. Empty means `updated`, and `deleted` for `restore`.",
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
            "Keep the N newest of the selected images. This is applied before age. Tagged and untagged images are"
            " counted separately. Images that stay for another reason are not counted."
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
            "The groups in which `keep-latest` counts: `package`, `major` or `minor` (SemVer), or `/regex/`, whose"
            " first group is the name of the group. Images without a group stay."
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
        meaning=(
            "Keep the newest image of each of the last N days (UTC) that have one. Tagged and untagged images are"
            " counted separately."
        ),
    ),
    Input(
        name="keep-weekly",
        section=KEEP,
        kind=Kind.NUMBER,
        default="0",
        operations=DELETE_OR_LIST,
        narrows=True,
        example="8",
        meaning=(
            "Keep the newest image of each of the last N ISO weeks (UTC) that have one. Tagged and untagged images are"
            " counted separately."
        ),
    ),
    Input(
        name="keep-monthly",
        section=KEEP,
        kind=Kind.NUMBER,
        default="0",
        operations=DELETE_OR_LIST,
        narrows=True,
        example="12",
        meaning=(
            "Keep the newest image of each of the last N months (UTC) that have one. Tagged and untagged images are"
            " counted separately."
        ),
    ),
    Input(
        name="keep-yearly",
        section=KEEP,
        kind=Kind.NUMBER,
        default="0",
        operations=DELETE_OR_LIST,
        narrows=True,
        example="3",
        meaning=(
            "Keep the newest image of each of the last N years (UTC) that have one. Tagged and untagged images are"
            " counted separately."
        ),
    ),
    Input(
        name="keep-tags",
        section=KEEP,
        kind=Kind.PATTERNS,
        operations=KEEPS,
        narrows=True,
        needs_tags=True,
        example="v*,latest",
        meaning="Patterns for tags that keep their image, whatever selects it. One matching tag is enough.",
    ),
    Input(
        name="keep-versions",
        section=KEEP,
        kind=Kind.PATTERNS,
        operations=KEEPS,
        narrows=True,
        example="2.*",
        meaning="Patterns for version names that stay, whatever selects them.",
    ),
    Input(
        name="keep-digests",
        section=KEEP,
        kind=Kind.DIGESTS,
        operations=KEEPS_OR_VERIFIES,
        narrows=True,
        needs_tags=True,
        meaning=(
            "Digests (`sha256:` and 64 hex digits) that stay. A part's digest keeps every image that contains it. A"
            " digest that matches nothing produces a warning. `verify` and `repair` also check these images, tagged or"
            " not."
        ),
    ),
    Input(
        name="keep-used-in",
        section=KEEP,
        kind=Kind.GLOBS,
        operations=KEEPS_OR_VERIFIES,
        narrows=True,
        needs_tags=True,
        example="deploy/**/*.yaml",
        meaning=(
            "Globs for files in the workspace; every image that they name stays (`owner/package:tag` or `@digest`, with"
            " any registry or none). A name without tag or digest, or with a variable in it, keeps the whole"
            " package. It is an error when a glob matches no file, or when its files name no image of the owner."
            " `verify` and `repair` also check these images."
        ),
    ),
    Input(
        name="keep-deployed",
        section=KEEP,
        kind=Kind.BOOLEAN,
        default="false",
        operations=KEEPS,
        narrows=True,
        needs_images=True,
        meaning=(
            "Keep an image when GitHub's deployment records name its root or one of its platform manifests. Images"
            " about which GitHub does not answer stay. Needs `artifact-metadata: read`; organizations on github.com and"
            " GHE.com only."
        ),
    ),
    Input(
        name="keep-released",
        section=KEEP,
        kind=Kind.BOOLEAN,
        default="false",
        operations=KEEPS,
        narrows=True,
        meaning=(
            "Keep a version when a published release of the repository has its tag, or its name for types without tags,"
            " with or without `v` in front. Needs `contents: read`."
        ),
    ),
    Input(
        name="policy",
        section=KEEP,
        kind=Kind.PATH,
        operations=DELETE_OR_LIST,
        narrows=True,
        example=".github/package-policy.yml",
        meaning="A policy file with several ordered rules. It replaces the selection, age and count inputs.",
    ),
    Input(
        name="dry-run",
        section=SAFETY,
        kind=Kind.BOOLEAN,
        default="true",
        operations=WRITING,
        meaning=(
            "Show the plan and write nothing. Operations that write need `false` to do so; the others refuse `false`."
        ),
    ),
    Input(
        name="images",
        section=SAFETY,
        kind=Kind.CHOICE,
        default="whole",
        choices=tuple(ImagesMode),
        operations=frozenset({Operation.DELETE, Operation.RESTORE}),
        meaning=(
            "`whole`: keep, delete and restore images with all their parts; `raw`: treat versions as independent. `raw`"
            " works only with `version-ids` or `versions`, and with a warning."
        ),
    ),
    Input(
        name="on-last-version",
        section=SAFETY,
        kind=Kind.CHOICE,
        default="keep",
        choices=tuple(OnLastVersion),
        operations=frozenset({Operation.DELETE}),
        meaning=(
            "What to do when GitHub refuses to delete the last version of a package: `keep` it, `fail`, or"
            " `delete-package`. `delete-package` deletes the package only when a fresh list shows nothing but what this"
            " run would delete."
        ),
    ),
    Input(
        name="max-delete-percent",
        section=SAFETY,
        kind=Kind.NUMBER,
        default="100",
        operations=frozenset({Operation.DELETE, Operation.APPLY}),
        narrows=True,
        example="50",
        meaning=(
            "Refuse the whole run, dry runs too, when it would delete more than this percentage of a package's"
            " versions. `apply` counts those that exist now."
        ),
    ),
    Input(
        name="limit",
        section=SAFETY,
        kind=Kind.NUMBER,
        default="0",
        operations=frozenset({Operation.DELETE, Operation.RESTORE, Operation.APPLY}),
        narrows=True,
        example="500",
        meaning=(
            "Delete or restore at most N versions in the whole run, oldest first. The rest is left for the next run. 0"
            " means no limit."
        ),
    ),
    Input(
        name="time-limit",
        section=SAFETY,
        kind=Kind.DURATION,
        example="5h",
        meaning=(
            "Stop after this duration, and before any wait that would end later. The rest is left for the next run."
        ),
    ),
    Input(
        name="if-missing",
        section=SAFETY,
        kind=Kind.CHOICE,
        operations=ALL - {Operation.APPLY},
        default="fail",
        choices=tuple(IfMissing),
        meaning="When a named package does not exist: `fail` after the others are done, `warn`, or `ignore`.",
    ),
    Input(
        name="fail-on",
        section=SAFETY,
        kind=Kind.CHOICE,
        default="error",
        choices=tuple(FailOn),
        meaning=(
            "`error`: exit with status 1 when an item failed; `skip`: also when GitHub refused one; `never`: in neither"
            " case."
        ),
    ),
    Input(
        name="pace",
        section=SAFETY,
        kind=Kind.CHOICE,
        default="full",
        choices=tuple(Pace),
        operations=WRITING,
        meaning=(
            "`full`: as fast as GitHub allows; `polite`: one write a second. Either way, writes leave a tenth of the"
            " hourly rate limit to others."
        ),
    ),
    Input(
        name="plan-out",
        section=FILES,
        kind=Kind.PATH,
        operations=WRITING - {Operation.APPLY},
        example="plan.json",
        meaning="File to write the plan to, before the first write. A dry run writes it too.",
    ),
    Input(
        name="plan",
        section=FILES,
        kind=Kind.PATH,
        operations=frozenset({Operation.APPLY}),
        narrows=True,
        example="plan.json",
        meaning="For `apply`: the plan to carry out.",
    ),
    Input(
        name="plan-sha256",
        section=FILES,
        kind=Kind.TEXT,
        operations=frozenset({Operation.APPLY}),
        narrows=True,
        meaning=(
            "For `apply`: the SHA-256 of the plan that was approved, as the output `plan-sha256` has it. A plan with"
            " another one is refused."
        ),
    ),
    Input(
        name="plan-max-age",
        section=FILES,
        kind=Kind.DURATION,
        default="7d",
        operations=frozenset({Operation.APPLY}),
        narrows=True,
        meaning="For `apply`: an older plan is refused.",
    ),
    Input(
        name="receipt",
        section=FILES,
        kind=Kind.PATH,
        default="package-keeper-receipt.jsonl",
        operations=WRITING,
        meaning="File to record all writes in. An existing file is never overwritten: a number is added to the name.",
    ),
    Input(
        name="undo",
        section=FILES,
        kind=Kind.PATH,
        operations=frozenset({Operation.RESTORE}),
        narrows=True,
        example="package-keeper-receipt.jsonl",
        meaning="For `restore`: the receipt of the run to undo.",
    ),
    Input(
        name="output-file",
        section=FILES,
        kind=Kind.PATH,
        example="result.json",
        meaning="File to write the complete result to, as JSON of any size.",
    ),
    Input(
        name="usage",
        section=FILES,
        kind=Kind.PATH,
        operations=DELETE_OR_LIST,
        narrows=True,
        example="usage.csv",
        meaning=(
            "File that says when things were last used: CSV with a header, or JSON Lines. Columns: `package`, `type`"
            " where the name is not unique, one of `digest`, `tag`, `version`, `last_used`, and `pulls` if you like."
        ),
    ),
    Input(
        name="usage-since",
        section=FILES,
        kind=Kind.AGE,
        operations=DELETE_OR_LIST,
        narrows=True,
        example="2026-01-31",
        meaning="Date from which the usage file is complete. Without it, what the file does not name stays.",
    ),
    Input(
        name="summary-file",
        section=FILES,
        kind=Kind.PATH,
        example="summary.md",
        meaning="File to write the summary to, as Markdown of at most 65,000 characters, for a comment.",
    ),
    Input(
        name="manifest-cache",
        section=FILES,
        kind=Kind.PATH,
        operations=READS_MANIFESTS,
        example=".package-keeper-manifests",
        meaning="Folder that keeps manifests between runs, for a cache step. The next run then reads only new ones.",
    ),
    Input(
        name="query",
        section=FILES,
        kind=Kind.SQL,
        operations=frozenset({Operation.LIST}),
        example="SELECT package, count(*) AS versions FROM versions GROUP BY package",
        meaning="For `list`: an SQL `SELECT` over `packages`, `versions` and `tags`. The output `rows` is its result.",
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
        choices=tuple(LogLevel),
        aliases={"warn": "warning"},
        meaning="How much to log: `error`, `warning` (or `warn`), `info` or `debug`.",
    ),
)


INPUTS_BY_NAME = {definition.name: definition for definition in INPUTS}


OUTPUTS: dict[str, str] = {
    "result": "`done`, `nothing-to-do`, `planned`, `partial`, `failed`, `refused` or `cancelled`.",
    "selected-count": "Versions that the rules selected. Operations on packages count packages, here and below.",
    "planned-count": (
        "What the run planned to write: the sum of deleted, untagged, restored, skipped, failed and remaining. In a dry"
        " run these are all 0."
    ),
    "deleted-count": "Deleted.",
    "untagged-count": "Tags removed from images that stay.",
    "restored-count": "Restored.",
    "kept-count": "Considered and kept.",
    "skipped-count": "Not written, because GitHub refused it or because it was not necessary.",
    "failed-count": "Failed.",
    "remaining-count": "Left for the next run: over `limit`, out of time, or not done when the run was stopped.",
    "broken-count": (
        "Broken images: found by `verify` or `repair`, restored only in part, or damaged by this run (which must be 0)."
    ),
    "packages": "JSON array of the packages in scope, with every field of GitHub's schema.",
    "versions": (
        "JSON array of versions: for `list` all of them, otherwise those acted on or planned. Each has every field of"
        " GitHub's schema plus `package`, `package-type`, `tags`, `decision`, `reason` and, after acting, `outcome`."
        " `list` without `policy` decides nothing, so both are empty there."
    ),
    "matrix": (
        'The packages in scope for a matrix job: `{"include": [{"package": …, "package-type": …}]}`, with at most 256'
        " entries. If there are more packages, an entry has several names, separated by commas."
    ),
    "rows": "JSON array of the result of `query`, an object for each row; `[]` without a query.",
    "bytes-freed": "Bytes that the deletions gave back, a lower bound; empty when unknown or in a dry run.",
    "plan": "Path of `plan-out`, relative to the workspace; empty when no plan was written.",
    "plan-sha256": "SHA-256 of that file, in hexadecimal digits.",
    "receipt": "Path of the receipt, relative to the workspace; empty when nothing was written.",
    "file": "Path of `output-file`, relative to the workspace.",
    "truncated": (
        "`true` when a JSON output was cut to GitHub's size limit, which all outputs share. Files are never cut."
    ),
}
