"""The one definition of the outputs, for `action.yml` and the README."""

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
