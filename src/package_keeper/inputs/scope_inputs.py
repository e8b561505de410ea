"""The inputs of the sections that say what to do, for whom, and where."""

from package_keeper.inputs.definition import Input, Kind
from package_keeper.inputs.operations import ALL, READS_MANIFESTS, Operation

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
