"""The job summary: Markdown for `GITHUB_STEP_SUMMARY`, within the size that the runner accepts."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from package_keeper.model.images import ImageReference
from package_keeper.model.packages import Version, display_name
from package_keeper.model.plan import Action, PlannedWrite, WriteKind
from package_keeper.model.run import ForecastPackage, Run
from package_keeper.report.counts import count
from package_keeper.report.outside import shown
from package_keeper.report.sizes import freed_text, size_text
from package_keeper.report.tables import listed_columns
from package_keeper.settings import Operation, Settings

SUMMARY_LIMIT = 1_000_000
"""Bytes. The runner drops a summary of more than 1 MiB (docs/github-behaviour.md, "The Actions runner")."""

COMMENT_LIMIT = 65_000
"""Characters of a summary that fits into a comment on a pull request or issue, of which GitHub takes 65,536."""

ROWS = 500
"""Rows of one table; outputs and files have all of them."""

MESSAGES = 50
"""Messages of a summary; the log has all of them."""

LONGEST_FENCE = 20
"""The most backticks around a code span. GitHub takes more than 80 for text, and what they enclose for Markdown."""

_CUT = "\n\n… cut to GitHub's size limit; `output-file` has everything.\n"

_SPECIAL = re.compile(r"^[-+=]|^\d(?=\d*[.)])|[\\`*_{}\[\]<>#|~&@$]|:(?=//|[\w+-]+:)|(?<=[wW])\.")
"""What begins a list, a heading, a link or an emoji, and what has a meaning in Markdown or HTML."""

_NO_REFERENCE = "&#8203;"
"""A character without width. GitHub looks for mentions, issues, emoji and mail addresses after it has read entities."""

_ADDRESS = re.compile(r"https?://[\w.:-]+(/[\w.%~@+-]+)+", re.ASCII)
"""An address without a character that means something in Markdown."""

_HEADLINES = {
    "done": "✅ Done",
    "nothing-to-do": "✅ Nothing to do",
    "planned": "📝 Planned, nothing was written (dry run)",
    "partial": "⏸️ Partly done, the rest is left for the next run",
    "failed": "❌ Failed",
    "refused": "🛑 Refused",
    "cancelled": "🛑 Cancelled",
}


def summary(run: Run, settings: Settings | None) -> str:
    """Format the summary. Long tables are cut, with a line that says so."""
    return _within_bytes(_text(run, settings), SUMMARY_LIMIT)


def comment(run: Run, settings: Settings | None) -> str:
    """Format the same summary for a comment, in at most `COMMENT_LIMIT` characters."""
    text = _text(run, settings)
    if len(text) <= COMMENT_LIMIT:
        return text
    return _cut(text[: COMMENT_LIMIT - len(_CUT)])


def _text(run: Run, settings: Settings | None) -> str:
    owner = f" · {escape(run.owner.login)}" if run.owner else ""
    counts = count(run, settings).by_output()
    blocks = [
        f"## Package Keeper{f': {settings.operation}' if settings is not None else ''}{owner}",
        f"**{_HEADLINES.get(run.result, run.result)}**",
        _table([name.removesuffix("-count") for name in counts], [[str(number) for number in counts.values()]]),
        _messages(run),
        _forecasts(run),
        _freed(run),
        _writes(run),
        _packages(run, settings),
        _listed(run, settings),
        _verified(run, settings),
        _rows(run),
        _kept(run, settings),
        _images_in_use(run),
        _files(run),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def escape(text: str) -> str:
    """Escape text from outside, so that it has no Markdown, HTML, mention, link or line break."""
    return _SPECIAL.sub(_escaped, shown(text).strip())


def code(text: str) -> str:
    """Format a name from outside as a code span for a table, where only `|` and backticks need care."""
    if not text:
        return ""
    text = shown(text)
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    if len(fence) > LONGEST_FENCE:
        return escape(text)
    text = text.replace("|", "\\|")
    return f"{fence} {text} {fence}" if len(fence) > 1 else f"`{text}`"


def _escaped(found: re.Match[str]) -> str:
    begins_reference = found[0] in "@#:" and not found.string.startswith("/", found.end())
    return f"&#{ord(found[0])};{_NO_REFERENCE if begins_reference else ''}"


def _messages(run: Run) -> str:
    # forecasts have a block of their own, which names every package
    forecasts = tuple(forecast.what for forecast in run.forecasts)
    messages = [message for message in run.messages if not message.startswith(forecasts)]
    quoted = [f"> {'<br>'.join(map(escape, message.splitlines()))}" for message in messages[:MESSAGES]]
    if len(messages) > len(quoted):
        quoted.append(f"> … and {len(messages) - len(quoted)} more, in the log")
    return "\n>\n".join(quoted)


def _forecasts(run: Run) -> str:
    """A line for each cause, which names every package."""
    lines = []
    for forecast in run.forecasts:
        names = [_forecast_package(each) for each in forecast.packages[:ROWS]]
        if len(forecast.packages) > ROWS:
            names.append(f"… and {len(forecast.packages) - ROWS} more")
        lines.append(f"- **{escape(forecast.what)}**: {', '.join(names)}. {escape(forecast.remedy)}.")
    return "\n".join(["### Known beforehand", "", *lines]) if lines else ""


def _forecast_package(about: ForecastPackage) -> str:
    name = code(str(about.package))
    # without an address that could break the Markdown around it
    linked = f"[{name}]({about.settings_url})" if _ADDRESS.fullmatch(about.settings_url) else name
    return f"{linked} ({escape(about.detail)})" if about.detail else linked


def _writes(run: Run) -> str:
    rows: list[list[str]] = []
    if run.records:
        # failures come first, since people look for them
        ordered = sorted(run.records, key=lambda record: not record.outcome.is_failed)
        rows = [[*_cells(record.write), record.outcome, escape(record.message)] for record in ordered]
        header = ["package", "version", "tags", "decision", "reason", "outcome", "message"]
    else:
        rows = [[*_cells(write), write.expected or ""] for write in run.plan.writes]
        header = ["package", "version", "tags", "decision", "reason", "known obstacle"]
    return _long_table(header, rows)


def _cells(write: PlannedWrite) -> list[str]:
    version = "" if write.kind is WriteKind.PACKAGE else f"{display_name(write.version_name)} ({write.version_id})"
    return [
        code(str(write.package)),
        code(version),
        code(write.tag or ", ".join(write.tags)),
        write.action,
        escape(write.why),
    ]


def _packages(run: Run, settings: Settings | None) -> str:
    if settings is None or not settings.concerns_packages or run.plan.writes:
        return ""
    rows = [
        [code(str(package.key)), str(package.version_count), package.visibility or ""] for package in run.scope.packages
    ]
    return _long_table(["package", "versions", "visibility"], rows)


def _listed(run: Run, settings: Settings | None) -> str:
    if settings is None or not settings.lists_versions:
        return ""
    columns = listed_columns(run, decided=settings.explains)
    header = ["package", "version", "tags", *columns]
    rows = [[*_version_cells(each.version), *(escape(cell(each)) for cell in columns.values())] for each in run.listed]
    return _long_table(header, rows)


def _verified(run: Run, settings: Settings | None) -> str:
    if settings is None or settings.operation is not Operation.VERIFY:
        return ""
    rows = [
        [*_version_cells(image.root), size_text(image.size), "broken" if image.is_broken else "whole"]
        for image in sorted(run.verified, key=lambda image: not image.is_broken)
    ]
    return _long_table(["package", "version", "tags", "size", "image"], rows)


def _version_cells(version: Version) -> list[str]:
    return [
        code(str(version.package)),
        code(f"{display_name(version.name)} ({version.id})"),
        code(", ".join(version.tags)) if version.tags_known else "unknown",
    ]


def _kept(run: Run, settings: Settings | None) -> str:
    kept = Counter(
        (decision.version.package, decision.why) for decision in run.plan.decisions if decision.action is Action.KEEP
    )
    if not kept or (settings is not None and settings.lists_versions):
        return ""
    rows = [
        [code(str(package)), escape(reason), str(number)] for (package, reason), number in sorted(kept.items(), key=str)
    ]
    return "### Kept\n\n" + _long_table(["package", "reason", "versions"], rows)


def _rows(run: Run) -> str:
    if run.rows is None:
        return ""
    if not run.rows:
        return "### Query\n\nNo rows."
    header = [escape(name) for name in run.rows[0]]
    rows = [["" if value is None else code(str(value)) for value in row.values()] for row in run.rows]
    return "### Query\n\n" + _long_table(header, rows)


def _images_in_use(run: Run) -> str:
    if not run.references:
        return ""
    files = len({reference.file for reference in run.references})
    rows = [[code(reference.place), code(reference.text), _what_stays(reference)] for reference in run.references]
    title = f"### Images in use: {len(run.references)} references in {files} files"
    return f"{title}\n\n" + _long_table(["place", "reference", "stays"], rows)


def _what_stays(reference: ImageReference) -> str:
    if reference.package == "*":
        return "every package"
    return "the whole package" if reference.whole else "the image"


def _files(run: Run) -> str:
    lines = []
    if run.plan_file:
        lines.append(f"Plan: {code(run.plan_file)}, SHA-256 {code(run.plan_sha256)}")
    if run.receipt:
        lines.append(f"Receipt: {code(run.receipt)}; `undo` takes it back for 30 days.")
    if run.output_file:
        lines.append(f"Whole result: {code(run.output_file)}")
    return "\n\n".join(lines)


def _freed(run: Run) -> str:
    text = freed_text(run)
    return f"{text[0].upper()}{text[1:]}." if text else ""


def _long_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    table = _table(header, rows[:ROWS])
    if len(rows) > ROWS:
        table += f"\n\n… and {len(rows) - ROWS} more; `output-file` has all of them."
    return table


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(header)} |", f"|{' --- |' * len(header)}"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines)


def _within_bytes(text: str, most: int) -> str:
    data = text.encode(errors="replace")
    return text if len(data) <= most else _cut(data[: most - 200].decode(errors="ignore"))


def _cut(text: str) -> str:
    """End the text after its last whole line, and say so."""
    return text[: text.rfind("\n")] + _CUT
