"""The job summary: Markdown for `GITHUB_STEP_SUMMARY`, within the limit above which the runner drops it whole."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from package_keeper.model.packages import display_name
from package_keeper.model.words import Action
from package_keeper.policy.images_in_use import ImageReference
from package_keeper.policy.planning import PlannedWrite, WriteKind
from package_keeper.report.contents import Contents, count

SUMMARY_LIMIT = 1_000_000
"""Bytes; above 1 MiB the runner drops the whole summary (docs/github-behaviour.md, "The Actions runner")."""

ROWS = 500
"""Rows of the long tables; outputs and files have everything."""

_SPECIAL = re.compile(r"[\\`*_{}\[\]<>#|~&@$]|:(?=//)")

_HEADLINES = {
    "done": "✅ Done",
    "nothing-to-do": "✅ Nothing to do",
    "planned": "📝 Planned, nothing was written (dry run)",
    "partial": "⏸️ Partly done, the rest is left for the next run",
    "failed": "❌ Failed",
    "refused": "🛑 Refused",
    "cancelled": "🛑 Cancelled",
}


def summary(contents: Contents) -> str:
    """The whole summary; long tables are cut, and say so."""
    owner = f" · {escape(contents.owner.login)}" if contents.owner else ""
    blocks = [
        f"## Package Keeper{f': {contents.operation}' if contents.operation else ''}{owner}",
        f"**{_HEADLINES.get(contents.result, contents.result)}**",
        _counts(contents),
        _messages(contents.messages),
        _writes(contents),
        _listed(contents),
        _rows(contents),
        _kept(contents),
        _used(contents),
        _files(contents),
    ]
    return _within_limit("\n\n".join(block for block in blocks if block)) + "\n"


def escape(text: str) -> str:
    """Prose from outside, shown as it is: no Markdown, HTML, mention, link or line break of its own."""
    return _SPECIAL.sub(lambda found: f"&#{ord(found[0])};", _printable(text))


def code(text: str) -> str:
    """A name from outside as a code span, in which nothing but the cell's border has a meaning."""
    if not text:
        return ""
    text = _printable(text).replace("|", "\\|")
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{fence} {text} {fence}" if len(fence) > 1 else f"`{text}`"


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "�" for character in text)


def _counts(contents: Contents) -> str:
    counts = count(contents).by_output()
    names = [name.removesuffix("-count") for name in counts]
    return _table(names, [[str(number) for number in counts.values()]])


def _messages(messages: Sequence[str]) -> str:
    shown = [f"> {'<br>'.join(escape(line) for line in message.splitlines())}" for message in messages[:50]]
    if len(messages) > len(shown):
        shown.append(f"> … and {len(messages) - len(shown)} more, in the log")
    return "\n>\n".join(shown)


def _writes(contents: Contents) -> str:
    rows: list[list[str]] = []
    if contents.records:
        # what did not go well first: it is what people look for
        ordered = sorted(contents.records, key=lambda record: not record.outcome.is_failed)
        rows = [[*_cells(record.write), record.outcome, escape(record.message)] for record in ordered]
        header = ["package", "version", "tags", "decision", "reason", "outcome", "message"]
    else:
        rows = [[*_cells(write), write.refusal or ""] for write in contents.plan.writes]
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


def _listed(contents: Contents) -> str:
    if contents.listed is None:
        if not contents.concerns_packages or contents.plan.writes:
            return ""
        packages = [
            [code(str(package.key)), str(package.version_count), package.visibility or ""]
            for package in contents.packages
        ]
        return _long_table(["package", "versions", "visibility"], packages)
    header = ["package", "version", "tags"]
    rows = [
        [
            code(str(decision.version.package)),
            code(f"{display_name(decision.version.name)} ({decision.version.id})"),
            code(", ".join(decision.version.tags)) if decision.version.tags_known else "unknown",
        ]
        for decision in contents.listed
    ]
    if not contents.explained:
        return _long_table(header, rows)
    header += ["decision", "reason"]
    rows = [[*row, each.action, escape(each.why)] for row, each in zip(rows, contents.listed, strict=True)]
    if any(decision.rule for decision in contents.listed):
        header.append("rule")
        rows = [[*row, escape(each.rule)] for row, each in zip(rows, contents.listed, strict=True)]
    return _long_table(header, rows)


def _kept(contents: Contents) -> str:
    kept = Counter(
        (decision.version.package, decision.why)
        for decision in contents.plan.decisions
        if decision.action is Action.KEEP
    )
    if not kept or contents.listed is not None:
        return ""
    rows = [
        [code(str(package)), escape(reason), str(number)] for (package, reason), number in sorted(kept.items(), key=str)
    ]
    return "### Kept\n\n" + _long_table(["package", "reason", "versions"], rows)


def _rows(contents: Contents) -> str:
    if contents.rows is None:
        return ""
    if not contents.rows:
        return "### Query\n\nNo rows."
    header = [escape(name) for name in contents.rows[0]]
    rows = [["" if value is None else code(str(value)) for value in row.values()] for row in contents.rows]
    return "### Query\n\n" + _long_table(header, rows)


def _used(contents: Contents) -> str:
    if not contents.used:
        return ""
    files = len({reference.place.rpartition(":")[0] for reference in contents.used})
    rows = [[code(reference.place), code(reference.text), _what_stays(reference)] for reference in contents.used]
    title = f"### Images in use: {len(contents.used)} references in {files} files"
    return f"{title}\n\n" + _long_table(["place", "reference", "stays"], rows)


def _what_stays(reference: ImageReference) -> str:
    if reference.package == "*":
        return "every package"
    return "the whole package" if reference.whole else "the image"


def _files(contents: Contents) -> str:
    lines = []
    if contents.receipt:
        lines.append(f"Receipt: {code(contents.receipt)}; `undo` takes it back for 30 days.")
    if contents.file:
        lines.append(f"Whole result: {code(contents.file)}")
    return "\n\n".join(lines)


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


def _within_limit(text: str) -> str:
    data = text.encode(errors="replace")
    if len(data) <= SUMMARY_LIMIT:
        return text
    cut = data[: SUMMARY_LIMIT - 200].decode(errors="ignore")
    return cut[: cut.rfind("\n")] + "\n\n… cut to GitHub's size limit; `output-file` has everything."
