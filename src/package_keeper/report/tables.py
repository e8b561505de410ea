"""Tables for a terminal and for the log."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import islice

from prettytable import PrettyTable, TableStyle

from package_keeper.decisions.deciding import Judgement
from package_keeper.inventory.package import Package
from package_keeper.inventory.version import Version, display_name
from package_keeper.report.contents import Contents, count

MANY_TAGS = 6
"""So many tags are shown, then how many there are."""


ROWS = 1_000
"""Rows of one table; a longer one is shown in several, since a table must be known whole before it is drawn."""


def get_ready() -> None:
    """Load what measures the width of text, which takes a while and can be done while others wait for an answer.

    Raises nothing: a run may end meanwhile, and Python with it.
    """
    with suppress(Exception):
        _table(["package"], [["app"]], ROWS)


def result_tables(contents: Contents, *, width: int, most: int | None = None) -> Iterator[str]:
    """The result as tables no wider than `width` columns: packages or versions, then the counts.

    At most `most` rows of each, then how many there are.
    """
    if contents.listed is not None:
        yield from _tables(*_listed(contents.listed), width, most)
    elif contents.plan.writes:
        yield from _tables(*_writes(contents), width, most)
    elif contents.concerns_packages:
        header = ["package", "id", "versions", "visibility", "updated"]
        yield from _tables(header, map(_package_cells, contents.packages), width, most)
    if contents.rows:
        rows = ([str("" if value is None else value) for value in row.values()] for row in contents.rows)
        yield from _tables([one_line(name) for name in contents.rows[0]], rows, width, most)
    yield count_line(contents)


def count_line(contents: Contents) -> str:
    """The counts that are not zero, on one line."""
    counts = count(contents).by_output()
    shown = [f"{name.removesuffix('-count')} {number}" for name, number in counts.items() if number]
    return f"{contents.result}: {', '.join(shown) if shown else 'nothing'}"


def one_line(text: str) -> str:
    """Text from outside on one line, without control characters and without anything that the runner obeys."""
    return "".join(character if character.isprintable() else "�" for character in text).replace("##[", "## [")


_Table = tuple[list[str], Iterator[Sequence[str]]]


def _listed(judgements: Sequence[Judgement]) -> _Table:
    header = ["package", "id", "version", "tags", "updated", "decision", "reason"]
    if not any(each.rule for each in judgements):
        return header, ([*_version_cells(each.version), each.decision, each.why] for each in judgements)
    # a count or an age of a rule keeps under its own name
    return [*header, "rule"], (
        [*_version_cells(each.version), each.decision, each.why, each.rule] for each in judgements
    )


def _writes(contents: Contents) -> _Table:
    not_begun = "refused" if contents.result == "refused" else "planned"
    outcomes = {id(record.write): record.outcome for record in contents.records}
    rows = (
        [
            str(write.package),
            str(write.version_id or ""),
            display_name(write.version_name),
            write.tag or _tags(write.tags),
            write.decision,
            write.why,
            outcomes.get(id(write)) or write.refusal or not_begun,
        ]
        for write in ([record.write for record in contents.records] or contents.plan.writes)
    )
    return ["package", "id", "version", "tags", "decision", "reason", "outcome"], rows


def _tables(header: list[str], rows: Iterable[Sequence[str]], width: int, most: int | None) -> Iterator[str]:
    waiting = iter(rows)
    shown = 0
    while part := list(islice(waiting, ROWS if most is None else min(ROWS, most - shown))):
        shown += len(part)
        yield _table(header, part, width)
    left = sum(1 for _ in waiting)
    if left:
        yield f"and {left} more; output-file has all of them"


def _table(header: list[str], rows: Iterable[Sequence[str]], width: int) -> str:
    table = PrettyTable(header, align="l")
    # tags give way; ids and names stay whole, to be copied
    if "tags" in header:
        table.max_width["tags"] = max(width - 110, 24)
    table.set_style(TableStyle.SINGLE_BORDER)
    table.add_rows([[one_line(cell) for cell in row] for row in rows])
    return table.get_string()


def _version_cells(version: Version) -> list[str]:
    return [
        str(version.package),
        str(version.id),
        display_name(version.name),
        _tags(version.tags) if version.tags_known else "unknown",
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
