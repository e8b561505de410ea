"""The inputs that say which versions a run is about, and how old they must be."""

from package_keeper.inputs.definition import Input, Kind
from package_keeper.inputs.operations import DELETE_OR_LIST, VERSIONS, Operation

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
            " `{branch}`, `branch-{branch}`, tags of branches that are gone, on the evidence of a closed pull request."
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
