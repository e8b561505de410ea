"""Tables for a terminal and for the log, and the line with the counts."""

import textwrap
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice, zip_longest

from package_keeper.model.packages import Package, Version, display_name
from package_keeper.model.plan import Decision
from package_keeper.model.run import Run
from package_keeper.report.counts import count
from package_keeper.report.outside import shown
from package_keeper.report.sizes import freed_text, size_text
from package_keeper.settings import Operation, Settings

MANY_TAGS = 6
"""The most tags that are shown of a version; the number of the others follows."""

ROWS = 1_000
"""Rows of one table. Longer results are several tables, since the widths of columns need all rows of a table."""


def result_tables(run: Run, settings: Settings | None, *, width: int, most: int | None = None) -> Iterator[str]:
    """The result as tables of packages or versions, then the counts. Tags are wrapped for `width` columns.

    Each result has at most `most` rows; the number of the others follows.
    """
    if (table := _main_table(run, settings)) is not None:
        yield from _tables(*table, width, most)
    if run.rows:
        rows = ([str("" if value is None else value) for value in row.values()] for row in run.rows)
        yield from _tables([one_line(name) for name in run.rows[0]], rows, width, most)
    yield count_line(run, settings)


def count_line(run: Run, settings: Settings | None) -> str:
    """The counts that are not zero, and the bytes that were freed, on one line."""
    counts = count(run, settings).by_output()
    listed = [f"{name.removesuffix('-count')} {number}" for name, number in counts.items() if number]
    return f"{run.result}: {', '.join(filter(None, [*listed, freed_text(run)])) or 'nothing'}"


def one_line(text: str) -> str:
    """Format text from outside on one line, without control characters and without commands to the runner."""
    return shown(text).replace("##[", "## [")


_Table = tuple[list[str], Iterator[Sequence[str]]]


def _main_table(run: Run, settings: Settings | None) -> _Table | None:
    if settings is not None and settings.lists_versions:
        return _listed(run, decided=settings.explains)
    if settings is not None and settings.operation is Operation.VERIFY:
        return _verified(run)
    if run.plan.writes:
        return _writes(run)
    if settings is not None and settings.concerns_packages:
        return ["package", "id", "versions", "visibility", "updated"], map(_package_cells, run.scope.packages)
    return None


def listed_columns(run: Run, *, decided: bool) -> Mapping[str, Callable[[Decision], str]]:
    """The columns of listed versions behind those of every version: how to make a cell of each."""
    columns: dict[str, Callable[[Decision], str]] = {}
    if sizes := run.image_sizes:
        # a part has no size of its own
        columns["size"] = lambda each: size_text(sizes[each.version.id]) if each.version.id in sizes else ""
    if decided:
        columns |= {"decision": lambda each: each.action, "reason": lambda each: each.why}
        # the reason does not name the rule when a count or an age of the rule decided
        if any(each.rule for each in run.listed):
            columns["rule"] = lambda each: each.rule
    return columns


def _listed(run: Run, *, decided: bool) -> _Table:
    columns = listed_columns(run, decided=decided)
    header = ["package", "id", "version", "tags", "updated", *columns]
    return header, ([*_version_cells(each.version), *(cell(each) for cell in columns.values())] for each in run.listed)


def _verified(run: Run) -> _Table:
    rows = (
        [*_version_cells(image.root), size_text(image.size), "broken" if image.is_broken else "whole"]
        for image in sorted(run.verified, key=lambda image: not image.is_broken)
    )
    return ["package", "id", "version", "tags", "updated", "size", "image"], rows


def _writes(run: Run) -> _Table:
    not_begun = "refused" if run.result == "refused" else "planned"
    outcomes = {id(record.write): record.outcome for record in run.records}
    rows = (
        [
            str(write.package),
            str(write.version_id or ""),
            display_name(write.version_name),
            write.tag or _tags(write.tags),
            write.action,
            write.why,
            outcomes.get(id(write)) or write.expected or not_begun,
        ]
        for write in ([record.write for record in run.records] or run.plan.writes)
    )
    return ["package", "id", "version", "tags", "decision", "reason", "outcome"], rows


def _tables(header: list[str], rows: Iterable[Sequence[str]], width: int, most: int | None) -> Iterator[str]:
    waiting = iter(rows)
    given = 0
    while part := list(islice(waiting, ROWS if most is None else min(ROWS, most - given))):
        given += len(part)
        yield _table(header, part, width)
    left = sum(1 for _ in waiting)
    if left:
        yield f"and {left} more; output-file has all of them"


def _table(header: list[str], rows: Iterable[Sequence[str]], width: int) -> str:
    """A table in a frame. Lines break between tags only, so that each tag, id and name can be copied whole."""
    limits = [max(width - 110, 24) if name == "tags" else 0 for name in header]
    wrapped = [
        [_wrap(one_line(cell), limit) for cell, limit in zip(row, limits, strict=True)] for row in (header, *rows)
    ]
    widths = [max(columns(line) for lines in column for line in lines) for column in zip(*wrapped, strict=True)]
    top, middle, bottom = (ends.join("─" * (width + 2) for width in widths) for ends in "┬┼┴")
    first, *rest = ("\n".join(_lines(row, widths)) for row in wrapped)
    return "\n".join([f"┌{top}┐", first, f"├{middle}┤", *rest, f"└{bottom}┘"])


def _wrap(cell: str, limit: int) -> list[str]:
    return (textwrap.wrap(cell, limit, break_long_words=False, break_on_hyphens=False) if limit else []) or [cell]


def _lines(row: Sequence[Sequence[str]], widths: Sequence[int]) -> Iterator[str]:
    """The lines of a row: as many as its highest cell has."""
    for line in zip_longest(*row, fillvalue=""):
        cells = (f" {text}{' ' * (width - columns(text))} " for text, width in zip(line, widths, strict=True))
        yield f"│{'│'.join(cells)}│"


def columns(text: str) -> int:
    """The columns that text takes in a terminal: two for a wide character, none for a combining one."""
    if text.isascii():
        return len(text)
    seen = [each for each in unicodedata.normalize("NFC", text) if unicodedata.category(each) not in ("Mn", "Me")]
    return len(seen) + sum(unicodedata.east_asian_width(each) in "WF" for each in seen)


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
