"""SQL over the inventory (docs/reference.md, "SQL columns"): the expressions of `where`, and the statements of `query`.

SQL runs in an SQLite database in memory that has three tables. A statement may read these and call the functions of
`ALLOWED_FUNCTIONS`. It cannot write, attach, load an extension or open a file, and it cannot read the machine's clock:
`RunClock` replaces SQLite's date functions. A statement that takes too much time or memory is stopped.
"""

import json
import math
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, NoReturn

from msgspec import Struct, field

from package_keeper.model.packages import Package, Timestamp, Version
from package_keeper.model.usage import Usage

_Value = str | bytes | float | None

_NUMBERS = "abs ceil ceiling degrees exp floor ln log log10 log2 mod pi pow power radians round sign sqrt trunc"
_ANGLES = "acos acosh asin asinh atan atan2 atanh cos cosh sin sinh tan tanh"
_TEXTS = (
    "char format glob hex instr length like lower ltrim printf quote replace rtrim substr substring trim unicode upper"
)
_CHOICES = "coalesce ifnull iif likelihood likely max min nullif typeof unlikely zeroblob"
_JSON = (
    "-> ->> json json_array json_array_length json_extract json_insert json_object json_patch json_quote json_remove"
    " json_replace json_set json_type json_valid"
)
_GROUPS = "avg count group_concat json_group_array json_group_object sum total"
_WINDOWS = "cume_dist dense_rank first_value lag last_value lead nth_value ntile percent_rank rank row_number"

COMPUTING_FUNCTIONS = frozenset(f"{_NUMBERS} {_ANGLES} {_TEXTS} {_CHOICES} {_JSON} {_GROUPS} {_WINDOWS}".split())
"""SQLite's functions whose result depends on their arguments alone."""

DATE_FUNCTIONS = ("date", "time", "datetime", "julianday", "unixepoch", "strftime")
"""SQLite's functions that know the time `'now'`; `RunClock` replaces them."""

CURRENT = {"current_date": "date", "current_time": "time", "current_timestamp": "datetime"}
"""SQLite's functions without parentheses, each with the date function that it means; `RunClock` replaces them too."""

ALLOWED_FUNCTIONS = COMPUTING_FUNCTIONS | {*DATE_FUNCTIONS, *CURRENT}
"""All functions that a statement may call."""

_MODIFIER = re.compile(
    r"[-+]?\d+(\.\d+)? *(second|minute|hour|day|month|year)s?|[-+]\d\d:\d\d(:\d\d(\.\d+)?)?"
    r"|start of (day|month|year)|weekday [0-6]|unixepoch|julianday|auto",
    re.ASCII | re.IGNORECASE,
)
_MODIFIERS = "N seconds (to years), +HH:MM, start of day (month, year), weekday N, unixepoch, julianday, auto"
_CODE = re.compile(r"%([dfHjJmMsSwWY%])|%.?", re.DOTALL)
_CODES = "%d, %f, %H, %j, %J, %m, %M, %s, %S, %w, %W, %Y, %%"


class RunClock:
    """SQLite's date functions with the run's own `'now'`, without the machine's clock and time zone.

    `problem` says what was wrong with a call; SQLite says only that a function failed.
    """

    def __init__(self, now: datetime) -> None:
        self.problem = ""
        self._now = now.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ", timespec="milliseconds")
        self._sqlite = sqlite3.connect(":memory:")

    def install(self, connection: sqlite3.Connection) -> None:
        """Replace SQLite's own functions."""
        for name in DATE_FUNCTIONS:
            connection.create_function(name, -1, partial(self._call, name), deterministic=True)
        for name, function in CURRENT.items():
            connection.create_function(name, 0, partial(self._call, function), deterministic=True)

    def close(self) -> None:
        """Close the database that computes dates."""
        self._sqlite.close()

    def _call(self, name: str, *given: _Value) -> _Value:
        values = [_as_sqlite_reads(each) for each in given]
        format_ = [self._format(values.pop(0) if values else None)] if name == "strftime" else []
        moment, *modifiers = values or ["now"]
        arguments = [*format_, self._moment(moment), *(self._modifier(name, each) for each in modifiers)]
        cursor = self._sqlite.execute(f"SELECT {name}({', '.join('?' * len(arguments))})", arguments)
        result: _Value = cursor.fetchone()[0]
        return result

    def _moment(self, value: str | float | None) -> str | float | None:
        """A time for SQLite, with `'now'` replaced. A text that is not a time becomes NULL, as in SQLite."""
        if not isinstance(value, str):
            return value
        if value.lower() == "now":
            return self._now
        return value if re.match(r"\s*[-+.\d]", value, re.ASCII) else None

    def _modifier(self, name: str, value: str | float | None) -> str | float | None:
        if value is not None and not _MODIFIER.fullmatch(str(value)):
            self._refuse(f"{name} takes no modifier '{value}'; accepted are {_MODIFIERS}")
        return value

    def _format(self, value: str | float | None) -> str | float | None:
        for code in _CODE.finditer(str(value)):
            if code[1] is None:
                self._refuse(f"strftime takes no '{code[0]}'; accepted are {_CODES}")
        return value

    def _refuse(self, problem: str) -> NoReturn:
        self.problem = problem
        raise ValueError(problem)


def _as_sqlite_reads(value: _Value) -> str | float | None:
    """An argument as SQLite's date functions read it: bytes are text, and a NUL ends the text."""
    text = value.decode(errors="replace") if isinstance(value, bytes) else value
    return text.partition("\0")[0] if isinstance(text, str) else text


TABLES = {
    "packages": (
        "id INTEGER, name TEXT, type TEXT, owner TEXT, visibility TEXT, repository TEXT, version_count INTEGER,"
        " created_at TEXT, updated_at TEXT, url TEXT, html_url TEXT"
    ),
    "versions": (
        "id INTEGER, package TEXT, type TEXT, name TEXT, tagged INTEGER, tags TEXT, created_at TEXT, updated_at TEXT,"
        " deleted_at TEXT, age_days REAL, last_used_at TEXT, pulls INTEGER, description TEXT, license TEXT, url TEXT,"
        " html_url TEXT, package_html_url TEXT, metadata TEXT"
    ),
    "tags": "version_id INTEGER, package TEXT, tag TEXT",
}
"""The columns of each table."""

_TOKENS = re.compile(
    r"--[^\n]*|/\*.*?(?:\*/|\Z)|'(?:[^']|'')*'|`[^`]*`|\[[^\]]*\]|\"(?P<quoted>(?:[^\"]|\"\")*)\"", re.DOTALL
)
"""Comments, strings and quoted names in SQL."""

JSON_TABLES = ("json_each", "json_tree")
"""SQLite's functions that read JSON as a table."""

READABLE = frozenset({*TABLES, *JSON_TABLES})
"""All tables whose columns may be read."""

LONGEST_VALUE = 1_000_000
"""The most bytes of one value or statement."""

HEAP = 1 << 30
"""The most bytes of memory that SQLite may take. 135,000 versions take about 150 MB."""

LARGEST_RESULT = 512 << 20
"""The most bytes of all rows of a query."""

CELL = 40
"""Bytes of memory that a value takes besides its text."""

STEPS = 1_000
"""Steps of SQLite's virtual machine between two checks of the time."""


class _Read(Struct, kw_only=True):
    """What a statement reads, as SQLite reports while it prepares the statement."""

    columns: set[tuple[str, str]] = field(default_factory=set)
    is_select: bool = False

    def tables(self) -> frozenset[str]:
        return frozenset(table for table, _ in self.columns if table in TABLES)


class SqlProblem(ValueError):
    """The SQL cannot be run, or was stopped. The message is SQLite's, or says why it was stopped."""


class Inventory(Struct, frozen=True, kw_only=True):
    """The packages and versions of a run as tables.

    Ages are counted from `now`, by `timestamp`. `may_go_on` is called every thousand steps; false stops the statement.
    `usage` are the versions that the usage file names.
    """

    packages: Sequence[Package]
    versions: Sequence[Version]
    owner: str
    now: datetime
    timestamp: Timestamp
    may_go_on: Callable[[], bool]
    usage: Mapping[int, Usage] = field(default_factory=dict)

    def selected(self, expression: str) -> frozenset[int]:
        """The ids of the versions for which `expression` is true, and not NULL. Raises `SqlProblem`."""
        check_expression(expression)
        rows, _ = self._rows(_where(expression))
        return frozenset(row[0] for row in rows)

    def query(self, statement: str) -> list[dict[str, Any]]:
        """The rows of a `SELECT`, by column name. Raises `SqlProblem`.

        The second column with a name gets `_2` behind it, and so on. Bytes become hex digits.
        """
        rows, names = self._rows(statement)
        columns = _unique(names)
        return [dict(zip(columns, map(_plain, row), strict=True)) for row in rows]

    def _rows(self, statement: str) -> tuple[list[tuple[Any, ...]], list[str]]:
        rows: list[tuple[Any, ...]] = []
        size = 0
        statement = _with_names(statement)
        read = _prepare(statement)
        clock = RunClock(self.now)
        connection = self._filled(read, clock)
        try:
            cursor = connection.execute(statement)
            names = [column[0] for column in cursor.description]
            for row in cursor:
                rows.append(row)
                size += sum(len(value) for value in row if isinstance(value, str | bytes)) + CELL * len(row)
                if size > LARGEST_RESULT:
                    break
        except MemoryError:
            raise SqlProblem(f"needs more than {HEAP >> 20} MB of memory") from None
        except sqlite3.Error as error:
            if "interrupted" in str(error):
                raise SqlProblem("takes too long and was stopped; make it simpler") from None
            raise SqlProblem(clock.problem or str(error)) from None
        finally:
            connection.close()
            clock.close()
        if size > LARGEST_RESULT:
            raise SqlProblem(f"gives more than {LARGEST_RESULT >> 20} MB; add a LIMIT or a condition")
        return rows, names

    def _filled(self, read: _Read, clock: RunClock) -> sqlite3.Connection:
        """A database with the tables and columns that the statement reads."""
        connection = _empty()
        clock.install(connection)
        tables = read.tables()
        if "packages" in tables:
            connection.executemany(_insert("packages"), (_package_row(each, self.owner) for each in self.packages))
        if "versions" in tables:
            columns = [name for name in _VERSION if name == "id" or ("versions", name) in read.columns]
            connection.executemany(_insert("versions", columns), self._version_rows(columns))
        if "tags" in tables:
            tags = ((version.id, version.package.name, tag) for version in self.versions for tag in version.tags)
            connection.executemany(_insert("tags"), tags)
        _confine(connection, _Read())
        connection.set_progress_handler(lambda: not self.may_go_on(), STEPS)
        return connection

    def _version_rows(self, columns: Sequence[str]) -> Iterator[list[object]]:
        values = [_VERSION[name] for name in columns]
        return ([value(version, self) for value in values] for version in self.versions)


def check_expression(expression: str) -> None:
    """Check that this is an expression over the columns of `versions`. Raises `SqlProblem`."""
    # the second statement fails when the expression closes a parenthesis that it did not open
    for statement in (_where(expression), f"SELECT\n{expression}\nFROM versions"):
        _prepare(statement)


def check_query(statement: str) -> frozenset[str]:
    """Check that this is a `SELECT` over the three tables, and return those that it reads. Raises `SqlProblem`."""
    return _prepare(statement).tables()


def _with_names(statement: str) -> str:
    """Put names in brackets instead of double quotes. Raises `SqlProblem`.

    SQLite silently takes a name in double quotes for a string when no column has that name: `name <> "typo"` would
    select everything. A name in brackets is always a name.
    """

    def bracketed(match: re.Match[str]) -> str:
        name = match["quoted"]
        if name is None:
            return match[0]
        if "]" in name:
            raise SqlProblem(f"no such column: {name}")
        return f"[{name.replace(chr(34) * 2, chr(34))}]"

    return _TOKENS.sub(bracketed, statement)


def _prepare(statement: str) -> _Read:
    statement = _with_names(statement)
    connection = _empty()
    read = _Read()
    _confine(connection, read)
    try:
        # with EXPLAIN alone, `QUERY PLAN SELECT 1` would pass
        connection.execute(f"EXPLAIN QUERY PLAN {statement}")
    except (sqlite3.Error, ValueError, MemoryError) as error:
        raise SqlProblem(str(error) or "out of memory") from None
    finally:
        connection.close()
    if not read.is_select:
        raise SqlProblem("this is no SELECT")
    return read


def _where(expression: str) -> str:
    return f"SELECT id FROM versions WHERE (\n{expression}\n)"  # noqa: S608  # reason: SQL is what the user gives


def _empty() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for name, columns in TABLES.items():
        connection.execute(f"CREATE TABLE {name} ({columns})")
    return connection


def _confine(connection: sqlite3.Connection, read: _Read) -> None:
    """Allow reading only, and record in `read` what is read."""
    for name in JSON_TABLES:
        # this creates the virtual table, which is not possible later
        connection.execute(f"SELECT 1 FROM {name}('[]')")  # noqa: S608  # reason: names of our own
    # temporary tables, as of a large sort, stay in memory too: SQLite opens no file
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute(f"PRAGMA hard_heap_limit = {HEAP}")
    connection.execute("PRAGMA query_only = ON")
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST_VALUE)
    connection.setlimit(sqlite3.SQLITE_LIMIT_SQL_LENGTH, LONGEST_VALUE)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1000)
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    connection.setlimit(sqlite3.SQLITE_LIMIT_WORKER_THREADS, 0)

    def authorize(action: int, first: str | None, second: str | None, *_: str | None) -> int:
        allowed = False
        if action == sqlite3.SQLITE_READ:
            read.columns.add((first or "", second or ""))
            # without a column, the statement counts the rows of a table or of a part of itself
            allowed = first in READABLE or (not second and not (first or "sqlite_").startswith("sqlite_"))
        elif action == sqlite3.SQLITE_FUNCTION:
            # by the name that it was defined with, in lower case
            allowed = second in ALLOWED_FUNCTIONS
        elif action == sqlite3.SQLITE_SELECT:
            read.is_select = allowed = True
        elif action == sqlite3.SQLITE_RECURSIVE:
            allowed = True
        return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY

    connection.set_authorizer(authorize)


def _insert(table: str, columns: Sequence[str] = ()) -> str:
    places = ", ".join("?" * (len(columns) or len(TABLES[table].split(","))))
    names = f" ({', '.join(columns)})" if columns else ""
    return f"INSERT INTO {table}{names} VALUES ({places})"  # noqa: S608  # reason: names of our own


def _package_row(package: Package, owner: str) -> tuple[Any, ...]:
    return (
        package.id,
        package.name,
        package.type.value,
        owner,
        package.visibility,
        package.repository_name,
        package.version_count,
        _time(package.created_at),
        _time(package.updated_at),
        package.url,
        package.html_url,
    )


_VERSION: dict[str, Callable[[Version, Inventory], object]] = {
    "id": lambda version, _: version.id,
    "package": lambda version, _: version.package.name,
    "type": lambda version, _: version.package.type.value,
    "name": lambda version, _: version.name,
    "tagged": lambda version, _: _tagged(version),
    "tags": lambda version, _: _tags(version),
    "created_at": lambda version, _: _time(version.created_at),
    "updated_at": lambda version, _: _time(version.updated_at),
    "deleted_at": lambda version, _: _time(version.deleted_at),
    "age_days": lambda version, inventory: _days(inventory.now, version.at(inventory.timestamp)),
    "last_used_at": lambda version, inventory: (
        _time(used.last_used) if (used := inventory.usage.get(version.id)) is not None else None
    ),
    "pulls": lambda version, inventory: used.pulls if (used := inventory.usage.get(version.id)) is not None else None,
    "description": lambda version, _: version.description,
    "license": lambda version, _: version.license,
    "url": lambda version, _: version.url,
    "html_url": lambda version, _: version.html_url,
    "package_html_url": lambda version, _: version.package_html_url,
    "metadata": lambda version, _: (
        json.dumps(version.metadata, ensure_ascii=False) if version.metadata is not None else None
    ),
}
"""The columns of `versions`. Only those that a statement reads are filled."""


def _tagged(version: Version) -> bool | None:
    """Whether it has a tag; `None` for types without tags, and when GitHub does not tell."""
    return bool(version.image_tags) if version.package.type.has_tags and version.tags_known else None


def _tags(version: Version) -> str | None:
    """Its tags as a JSON array; `None` when GitHub does not tell all of them."""
    if not version.tags_known:
        return None
    return json.dumps(version.tags, ensure_ascii=False) if version.tags else "[]"


def _days(now: datetime, moment: datetime | None) -> float | None:
    return (now - moment) / timedelta(days=1) if moment is not None else None


def _time(moment: datetime | None) -> str | None:
    return moment.isoformat().replace("+00:00", "Z") if moment is not None else None


def _unique(names: Iterable[str]) -> list[str]:
    found: list[str] = []
    for name in names:
        number, unique = 1, name
        while unique in found:
            number += 1
            unique = f"{name}_{number}"
        found.append(unique)
    return found


def _plain(value: object) -> object:
    """A value for JSON: bytes as hex digits, infinity as `None`."""
    if isinstance(value, bytes):
        return value.hex()
    return None if isinstance(value, float) and math.isinf(value) else value
