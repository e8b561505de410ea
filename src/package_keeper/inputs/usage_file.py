"""The file of the input `usage` (docs/reference.md, "usage"): CSV with a header, or JSON Lines.

It is read strictly, row by row, and never held in memory: it may have a million rows.
"""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import chain
from typing import Annotated

import msgspec

from package_keeper.inputs.values import nearest
from package_keeper.model.packages import PackageType
from package_keeper.model.usage import UsageRow

COLUMNS = ("package", "type", "digest", "tag", "version", "last_used", "pulls")
KINDS = ("digest", "tag", "version")
_TYPES = frozenset(map(str, PackageType))
MOST_DIGITS = 15
MOST_PROBLEMS = 20
"""After so many problems the rest of a file is not read."""


class UsageProblem(ValueError):
    """A row, or the whole file, cannot be read. The message names line and column."""


class _Row(msgspec.Struct, forbid_unknown_fields=True):
    package: str
    last_used: str
    type: str = ""
    digest: str = ""
    tag: str = ""
    version: str = ""
    pulls: Annotated[int, msgspec.Meta(ge=0)] | None = None


_ROW = msgspec.json.Decoder(_Row)


def check_usage(lines: Iterable[str], now: datetime) -> list[str]:
    """Read a whole file, and return its problems. A file without a row is one."""
    problems: list[str] = []
    rows = 0
    for row in read_usage(lines, now, problems.append):
        del row
        rows += 1
        if len(problems) >= MOST_PROBLEMS:
            return [*problems, "and perhaps more: the rest was not read"]
    if not rows and not problems:
        problems.append("it has no row, so nothing would be in use; the export may have failed")
    return problems


def read_usage(lines: Iterable[str], now: datetime, problem: Callable[[str], object]) -> Iterator[UsageRow]:
    """Read the rows of a file. `problem` is called for each row that cannot be read, which is left out."""
    lines = iter(lines)
    for blank, line in enumerate(lines):
        if line.strip():
            rows = _json_rows if line.lstrip().startswith("{") else _csv_rows
            try:
                yield from rows(chain([line], lines), blank, now, problem)
            except UsageProblem as found:
                problem(str(found))
            return


def _json_rows(
    lines: Iterable[str], skipped: int, now: datetime, problem: Callable[[str], object]
) -> Iterator[UsageRow]:
    for number, line in enumerate(lines, start=skipped + 1):
        if not line.strip():
            continue
        try:
            row = _ROW.decode(line)
        except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError) as error:
            problem(f"line {number}{_column_of(line)}: {_said(error)}")
            continue
        named = [each for each in (("digest", row.digest), ("tag", row.tag), ("version", row.version)) if each[1]]
        try:
            yield _checked(number, (row.package, row.type, row.last_used, row.pulls), named, now)
        except _CellProblem as found:
            problem(f"line {number}{f', {found.column}' if found.column else ''}: {found}")


def _column_of(line: str) -> str:
    """The column at which a line stops being JSON, or an empty text when it is JSON."""
    try:
        json.loads(line)
    except json.JSONDecodeError as error:
        return f", column {error.colno}"
    except (ValueError, RecursionError):
        pass
    return ""


def _said(error: Exception) -> str:
    if isinstance(error, msgspec.ValidationError):
        return f"{error}; accepted are the keys {', '.join(COLUMNS)}"
    return "it is no JSON object"


def _csv_rows(
    lines: Iterable[str], skipped: int, now: datetime, problem: Callable[[str], object]
) -> Iterator[UsageRow]:
    reader = csv.reader(lines, strict=True)
    try:
        names = [name.strip() for name in next(reader)]
        place = _places(names, skipped + 1)
        read = _row_reader(names, place, now)
        for row in filter(None, reader):
            try:
                yield read(row, skipped + reader.line_num)
            except _CellProblem as found:
                where = f", column {place[found.column] + 1} ({found.column})" if found.column else ""
                problem(f"line {skipped + reader.line_num}{where}: {found}")
    except csv.Error as error:
        raise UsageProblem(f"line {skipped + reader.line_num}: {error}") from None


class _CellProblem(ValueError):
    """A row has a problem, in one column or as a whole."""

    def __init__(self, column: str, problem: str) -> None:
        super().__init__(problem)
        self.column = column


def _row_reader(names: list[str], place: Mapping[str, int], now: datetime) -> Callable[[list[str], int], UsageRow]:
    """The function that checks a row with these columns. It runs a million times, so it looks up no column."""
    width, package, last_used = len(names), place["package"], place["last_used"]
    package_type, pulls = place.get("type", width), place.get("pulls", width)
    kinds = [(kind, place[kind]) for kind in KINDS if kind in place]

    def read(row: list[str], line: int) -> UsageRow:
        if len(row) != width:
            raise _CellProblem("", f"it has {len(row)} cells, and the header has {width}")
        # an empty cell for the columns that are not there
        row.append("")
        named = [(kind, row[column]) for kind, column in kinds if row[column]]
        return _checked(line, (row[package], row[package_type], row[last_used], row[pulls]), named, now)

    return read


def _places(names: list[str], line: int) -> Mapping[str, int]:
    """The place of each column. Raises `UsageProblem` for a header that cannot be used."""
    for column, name in enumerate(names, start=1):
        if name not in COLUMNS:
            hint = f"{', '.join(COLUMNS)}{nearest(name, COLUMNS)}"
            raise UsageProblem(
                f"line {line}, column {column}: '{name}' is no column of a usage file; accepted are {hint}"
            )
        if names.count(name) > 1:
            raise UsageProblem(f"line {line}, column {column}: {name} stands twice")
    missing = [name for name in ("package", "last_used") if name not in names]
    if missing or not set(names).intersection(KINDS):
        needed = " and ".join(missing) or f"one of {', '.join(KINDS)}"
        raise UsageProblem(f"line {line}: the header has no {needed}")
    return {name: place for place, name in enumerate(names)}


def _number(text: str) -> int | None:
    if text and not (text.isascii() and text.isdecimal() and len(text) <= MOST_DIGITS):
        raise _CellProblem("pulls", f"'{text}' is no whole number")
    return int(text) if text else None


_Cells = tuple[str, str, str, str | int | None]
"""The cells of a row, but for the one that says what was used: package, type, last_used, pulls."""


def _checked(line: int, cells: _Cells, named: list[tuple[str, str]], now: datetime) -> UsageRow:
    """Check a row. `named` are its cells that say what was used. Raises `_CellProblem`."""
    package, package_type, last_used, pulls = cells
    if len(named) != 1 or named[0][1].isspace():
        raise _CellProblem("", f"a row names one of {', '.join(KINDS)}, and this one {len(named)} of them")
    if not package or package.isspace():
        raise _CellProblem("package", "empty")
    if package_type and package_type not in _TYPES:
        raise _CellProblem("type", f"'{package_type}' is not one of {', '.join(PackageType)}")
    if isinstance(pulls, str):
        pulls = _number(pulls)
    try:
        moment = datetime.fromisoformat(last_used)
    except ValueError:
        wanted = "a date or date-time, such as 2026-01-31T12:00:00Z"
        raise _CellProblem("last_used", f"'{last_used}' is not {wanted}") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    if moment > now:
        raise _CellProblem("last_used", f"'{last_used}' lies in the future")
    (kind, name) = named[0]
    return line, package.strip(), package_type, kind, name.strip(), moment, pulls
