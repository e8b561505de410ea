"""The functions that SQL may call: those that compute from their arguments alone, and the date functions.

SQL is pure: the same inventory and the same moment of the run give the same result, on any machine and with any
SQLite. So functions are allowed by name, and a newer SQLite brings none along that nobody looked at. Left out are
randomness (`random`, `randomblob`), the state of the connection (`changes`, `last_insert_rowid`, `total_changes`), the
build of SQLite (`sqlite_version` and its like, `soundex`), all that reaches outside (`load_extension`, `sqlite_log`),
and what SQLite has only since 2023, so that a statement is accepted everywhere or nowhere.
"""

import re
import sqlite3
from datetime import UTC, datetime
from functools import partial
from typing import NoReturn

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
"""SQLite's functions that compute from their arguments alone."""

DATE_FUNCTIONS = ("date", "time", "datetime", "julianday", "unixepoch", "strftime")
"""SQLite's functions that know what `'now'` is; ours take their place."""

CURRENT = {"current_date": "date", "current_time": "time", "current_timestamp": "datetime"}
"""Functions that SQL writes without parentheses, each with the one that it stands for; ours take their place too."""

ALLOWED_FUNCTIONS = COMPUTING_FUNCTIONS | {*DATE_FUNCTIONS, *CURRENT}
"""All functions that SQL may call."""

_MODIFIER = re.compile(
    r"[-+]?\d+(\.\d+)? *(second|minute|hour|day|month|year)s?|[-+]\d\d:\d\d(:\d\d(\.\d+)?)?"
    r"|start of (day|month|year)|weekday [0-6]|unixepoch|julianday|auto",
    re.ASCII | re.IGNORECASE,
)
_MODIFIERS = "N seconds (to years), +HH:MM, start of day (month, year), weekday N, unixepoch, julianday, auto"
_CODE = re.compile(r"%([dfHjJmMsSwWY%])|%.?", re.DOTALL)
_CODES = "%d, %f, %H, %j, %J, %m, %M, %s, %S, %w, %W, %Y, %%"


class RunClock:
    """SQLite's date functions with the run's moment as `'now'`, and without the machine's clock and time zone.

    `problem` says what was wrong with a call; SQLite itself tells only that a function failed.
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
        """A time as SQLite reads it, but for `'now'`; what is none of them is NULL, as in SQLite."""
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
    """An argument as SQLite's date functions read it: bytes are text, and text ends at a NUL."""
    text = value.decode(errors="replace") if isinstance(value, bytes) else value
    return text.partition("\0")[0] if isinstance(text, str) else text
