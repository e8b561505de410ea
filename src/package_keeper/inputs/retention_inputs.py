"""The inputs that say what always stays."""

from package_keeper.inputs.definition import Input, Kind
from package_keeper.inputs.operations import DELETE_OR_LIST, Operation

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
