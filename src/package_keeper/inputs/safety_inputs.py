"""The inputs about guards, budgets, files and the report."""

from package_keeper.inputs.definition import Input, Kind
from package_keeper.inputs.operations import READS_MANIFESTS, WRITING, Operation

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
