"""Tables for a terminal and for the log."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from prettytable import PrettyTable, TableStyle

from package_keeper.decisions.deciding import Judgement
from package_keeper.inventory.package import Package
from package_keeper.inventory.version import Version, display_name
from package_keeper.report.contents import Contents, count

MANY_TAGS = 6
"""So many tags are shown, then how many there are."""


def result_tables(contents: Contents, *, width: int) -> str:
    """The result as tables no wider than `width` columns: packages or versions, then the counts."""
    parts = []
    if contents.listed is not None:
        parts.append(_listed(contents.listed, width))
    elif contents.plan.writes:
        parts.append(_writes(contents, width))
    elif contents.concerns_packages:
        parts.append(
            _table(
                ["package", "id", "versions", "visibility", "updated"], map(_package_cells, contents.packages), width
            )
        )
    if contents.rows:
        header = list(contents.rows[0])
        rows = ([str("" if value is None else value) for value in row.values()] for row in contents.rows)
        parts.append(_table([one_line(name) for name in header], rows, width))
    parts.append(count_line(contents))
    return "\n".join(part for part in parts if part)


def count_line(contents: Contents) -> str:
    """The counts that are not zero, on one line."""
    counts = count(contents).by_output()
    shown = [f"{name.removesuffix('-count')} {number}" for name, number in counts.items() if number]
    return f"{contents.result}: {', '.join(shown) if shown else 'nothing'}"


def one_line(text: str) -> str:
    """Text from outside on one line, without control characters and without anything that the runner obeys."""
    return "".join(character if character.isprintable() else "�" for character in text).replace("##[", "## [")


def _listed(judgements: Sequence[Judgement], width: int) -> str:
    header = ["package", "id", "version", "tags", "updated", "decision", "reason"]
    rows = [[*_version_cells(each.version), each.decision, each.why] for each in judgements]
    if any(each.rule for each in judgements):
        # a count or an age of a rule keeps under its own name
        header.append("rule")
        rows = [[*row, each.rule] for row, each in zip(rows, judgements, strict=True)]
    return _table(header, rows, width)


def _writes(contents: Contents, width: int) -> str:
    outcomes = {id(record.write): record for record in contents.records}
    not_begun = "refused" if contents.result == "refused" else "planned"
    rows = []
    for write in [record.write for record in contents.records] or contents.plan.writes:
        record = outcomes.get(id(write))
        rows.append(
            [
                str(write.package),
                str(write.version_id or ""),
                display_name(write.version_name),
                write.tag or _tags(write.tags),
                write.decision,
                write.why,
                record.outcome if record else (write.refusal or not_begun),
            ]
        )
    return _table(["package", "id", "version", "tags", "decision", "reason", "outcome"], rows, width)


def _table(header: list[str], rows: Iterable[Sequence[str]], width: int) -> str:
    table = PrettyTable(header, align="l")
    # tags give way; ids and names stay whole, to be copied
    if "tags" in header:
        table.max_width["tags"] = max(width - 110, 24)
    table.set_style(TableStyle.SINGLE_BORDER)
    table.add_rows([[one_line(cell) for cell in row] for row in rows])
    return table.get_string() if table.rows else ""


def _version_cells(version: Version) -> list[str]:
    return [
        str(version.package),
        str(version.id),
        display_name(version.name),
        _tags(version.tags),
        _day(version.updated_at),
    ]


def _package_cells(package: Package) -> list[str]:
    versions = "" if package.version_count is None else str(package.version_count)
    return [str(package.key), str(package.id), versions, package.visibility or "", _day(package.updated_at)]


def _tags(tags: Sequence[str]) -> str:
    more = f" and {len(tags) - MANY_TAGS} more" if len(tags) > MANY_TAGS else ""
    return ", ".join(tags[:MANY_TAGS]) + more


def _day(moment: datetime | None) -> str:
    return moment.strftime("%Y-%m-%d %H:%M") if moment else "unknown"
