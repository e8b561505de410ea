"""Tables for a terminal and for the log."""

import textwrap
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice, zip_longest

from package_keeper.model.packages import Package, Version, display_name
from package_keeper.policy.evaluation import Decision
from package_keeper.report.contents import Contents, count

MANY_TAGS = 6
"""So many tags are shown, then how many there are."""


ROWS = 1_000
"""Rows of one table; a longer one is shown in several, since a table must be known whole before it is drawn."""


def result_tables(contents: Contents, *, width: int, most: int | None = None) -> Iterator[str]:
    """The result as tables, packages or versions, then the counts. Tags are wrapped to suit `width` columns.

    At most `most` rows of each, then how many there are.
    """
    if contents.listed is not None:
        yield from _tables(*_listed(contents.listed, decided=contents.explained), width, most)
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


def _listed(decisions: Sequence[Decision], *, decided: bool) -> _Table:
    header = ["package", "id", "version", "tags", "updated"]
    if not decided:
        return header, (_version_cells(each.version) for each in decisions)
    header += ["decision", "reason"]
    if not any(each.rule for each in decisions):
        return header, ([*_version_cells(each.version), each.action, each.why] for each in decisions)
    # a count or an age of a rule keeps under its own name
    return [*header, "rule"], ([*_version_cells(each.version), each.action, each.why, each.rule] for each in decisions)


def _writes(contents: Contents) -> _Table:
    not_begun = "refused" if contents.result == "refused" else "planned"
    outcomes = {id(record.write): record.outcome for record in contents.records}
    rows = (
        [
            str(write.package),
            str(write.version_id or ""),
            display_name(write.version_name),
            write.tag or _tags(write.tags),
            write.action,
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
    """A table in a frame. It is wrapped between tags; each tag, id and name stays whole, to be copied."""
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
    """The lines of a row, as many as its highest cell has."""
    for line in zip_longest(*row, fillvalue=""):
        cells = (f" {text}{' ' * (width - columns(text))} " for text, width in zip(line, widths, strict=True))
        yield f"│{'│'.join(cells)}│"


def columns(text: str) -> int:
    """How many columns a terminal takes for text: two for a wide character, none for one that joins another."""
    if text.isascii():
        return len(text)
    return sum(map(_columns_of_one, unicodedata.normalize("NFC", text)))


def _columns_of_one(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


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
