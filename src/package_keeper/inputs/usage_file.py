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


class _Row(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A row of JSON. The fields have the order of `COLUMNS`."""

    package: str
    type: str = ""
    digest: str = ""
    tag: str = ""
    version: str = ""
    last_used: str
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
        try:
            yield _checked(number, msgspec.structs.astuple(row), now)
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
        read = _row_reader(len(names), place, now)
        for row in reader:
            if not row:
                continue
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


def _row_reader(width: int, place: Mapping[str, int], now: datetime) -> Callable[[list[str], int], UsageRow]:
    """The function that checks a row with these columns. It runs a million times, so it looks up no column."""
    # a column that is not there has the empty cell behind the last one
    package, package_type, digest, tag, version, last_used, pulls = (place.get(name, width) for name in COLUMNS)

    def read(row: list[str], line: int) -> UsageRow:
        if len(row) != width:
            raise _CellProblem("", f"it has {len(row)} cells, and the header has {width}")
        row.append("")
        number = _number(row[pulls])
        cells = row[package], row[package_type], row[digest], row[tag], row[version], row[last_used], number
        return _checked(line, cells, now)

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


_Cells = tuple[str, str, str, str, str, str, int | None]
"""The cells of a row, in the order of `COLUMNS`."""


def _checked(line: int, cells: _Cells, now: datetime) -> UsageRow:
    """Check a row. Raises `_CellProblem`."""
    package, package_type, digest, tag, version, last_used, pulls = cells
    kind, name = ("digest", digest) if digest else ("tag", tag) if tag else ("version", version)
    # with more than one of them their texts together are longer than the first
    if name != digest + tag + version or not (name := name.strip()):
        named = sum(bool(each.strip()) for each in (digest, tag, version))
        raise _CellProblem("", f"a row names one of {', '.join(KINDS)}, and this one {named} of them")
    if not (package := package.strip()):
        raise _CellProblem("package", "empty")
    if package_type and package_type not in _TYPES:
        raise _CellProblem("type", f"'{package_type}' is not one of {', '.join(PackageType)}")
    try:
        moment = datetime.fromisoformat(last_used)
    except ValueError:
        wanted = "a date or date-time, such as 2026-01-31T12:00:00Z"
        raise _CellProblem("last_used", f"'{last_used}' is not {wanted}") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    if moment > now:
        raise _CellProblem("last_used", f"'{last_used}' lies in the future")
    return line, package, package_type, kind, name, moment, pulls
