"""The job summary: Markdown for `GITHUB_STEP_SUMMARY`, within the size that the runner accepts.

The heading is the outcome. Then comes what needs attention, then the way back, one table, and the details, folded.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime

from msgspec import Struct, field

from package_keeper.model.run import Run
from package_keeper.report import sections
from package_keeper.report.attention import attention, way_back
from package_keeper.report.headline import headline, is_dry
from package_keeper.report.links import docs_link
from package_keeper.report.markdown import escape, link
from package_keeper.report.sizes import freed_text
from package_keeper.report.words import duration_text, number_of
from package_keeper.settings import Settings

SUMMARY_LIMIT = 1_000_000
"""Bytes. The runner drops a summary of more than 1 MiB (docs/github-behaviour.md, "The Actions runner")."""

COMMENT_LIMIT = 65_000
"""Characters of a summary that fits into a comment on a pull request or issue, of which GitHub takes 65,536."""

ROWS = (500, 200, 50, 10, 1)
"""Rows of one table; fewer when the summary would be too large. Outputs and files have all of them."""


class Background(Struct, frozen=True, kw_only=True):
    """What a summary says beyond run and settings.

    `docs` is the address of the files of the documentation (`links.docs_base`). `inputs` are those that differ from
    their defaults, without the token. `uploads_receipt`: the workflow has a step that keeps the receipt.
    """

    docs: str = ""
    inputs: Mapping[str, str] = field(default_factory=dict)
    uploads_receipt: bool = False


def summary(run: Run, settings: Settings | None, background: Background) -> str:
    """Format the summary in at most `SUMMARY_LIMIT` bytes. Tables that are cut say so."""
    return _fitting(run, settings, background, SUMMARY_LIMIT, lambda text: len(text.encode(errors="replace")))


def comment(run: Run, settings: Settings | None, background: Background) -> str:
    """Format the same summary for a comment, in at most `COMMENT_LIMIT` characters."""
    return _fitting(run, settings, background, COMMENT_LIMIT, len)


def _fitting(
    run: Run, settings: Settings | None, background: Background, limit: int, size: Callable[[str], int]
) -> str:
    """The summary with as many rows as fit. If even the shortest does not, only its first blocks."""
    blocks: list[str] = []
    for rows in ROWS:
        blocks = list(_blocks(run, settings, background, rows))
        text = _joined(blocks)
        if size(text) <= limit:
            return text
    more = sections.more_text(1, run).removeprefix("… and 1 more; ")
    note = f"… cut to GitHub's size limit; {more}"
    while len(blocks) > 1 and size(_joined([*blocks, note])) > limit:
        blocks.pop()
    return _joined([*blocks, note])


def _joined(blocks: list[str]) -> str:
    return "\n\n".join(blocks) + "\n"


def _blocks(run: Run, settings: Settings | None, background: Background, most: int) -> Iterator[str]:
    now = settings.rules.now if settings is not None else datetime.fromtimestamp(0, UTC)
    yield f"## {headline(run, settings)}"
    yield _line(run, settings, background)
    for block in (
        *attention(run, settings, background.docs),
        *way_back(run, settings, background.inputs, uploads_receipt=background.uploads_receipt),
        *sections.queried(run, most),
        *sections.listed_versions(run, settings, most),
        *sections.listed_packages(run, settings, most),
        *sections.verified(run, settings, now, most),
        *sections.packages_table(run, settings, most),
        sections.written(run, settings, now, most),
        sections.kept(run, settings, most),
        sections.images_in_use(run, most),
        sections.asked(background.inputs),
        sections.files(run),
    ):
        if block:
            yield block


def _line(run: Run, settings: Settings | None, background: Background) -> str:
    """Operation, owner, packages, duration, what to do next, and how to read the summary."""
    packages = len(run.scope.packages)
    types = {package.type for package in run.scope.packages}
    kind = f"{min(types)} package" if len(types) == 1 else "package"
    parts = [
        f"`{settings.operation}`" if settings is not None else "",
        escape(run.owner.login) if run.owner is not None else "",
        number_of(packages, kind) if packages else "",
        freed_text(run),
        duration_text(run.seconds) if run.seconds is not None else "",
        link("how to read this", docs_link(background.docs, "reference.md", "job-summary")),
    ]
    line = " · ".join(part for part in parts if part)
    if not is_dry(settings):
        return line
    then = " With `dry-run: false` the plan is carried out." if run.result == "planned" else ""
    return f"{line}\n\nNothing was written.{then}"
