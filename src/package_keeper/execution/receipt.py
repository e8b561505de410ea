"""Writes and reads the receipt: JSON Lines, two for each write, with the same `seq`.

The first, with `"outcome": "started"`, is on disk before the request is sent. The second has the outcome. So the
receipt of a killed run is true too (docs/reference.md, "Receipt and plan"). `undo` reads receipts.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from math import inf
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from package_keeper.execution.ports import Clock
from package_keeper.model.packages import Owner, PackageName, PackageType
from package_keeper.model.plan import Action, Outcome, PlannedWrite, WriteKind

SCHEMA = 1
STARTED = "started"
BEGINNING = '{"schema":'
"""Every line begins so. Inside a JSON string the quotes would be escaped."""
ACTIONS = {Action.DELETE: "delete", Action.UNTAG: "untag", Action.RESTORE: "restore"}
_UNREADABLE = (KeyError, TypeError, ValueError, RecursionError)
"""The exceptions that a damaged line may cause."""
TAKEN_BACK = frozenset({ACTIONS[Action.DELETE], ACTIONS[Action.UNTAG]})


DAMAGED_SHOWN = 20
"""How many damaged places of a receipt a message lists."""

Append = Callable[[bytes], None]
"""Appends to the receipt file, and returns once the lines are on disk."""

_Key = tuple[WriteKind, PackageName, int | None, str | None]


def _key(write: PlannedWrite) -> _Key:
    return write.kind, write.package, write.version_id, write.tag


class ReceiptWriter:
    """Writes the receipt of one run. The first write creates the file."""

    def __init__(self, open_file: Callable[[], Append], owner: Owner, run: Mapping[str, str], clock: Clock) -> None:
        self._open_file = open_file
        self._file: Append | None = None
        self._owner = owner
        self._run = dict(run)
        self._clock = clock
        self._sequence = 0
        self._open: dict[_Key, Ending] = {}
        self._done: dict[_Key, int] = {}
        """The numbers of the writes that are recorded as done."""

    def started(self, writes: Sequence[PlannedWrite]) -> list[int]:
        """Record that the requests for `writes` are about to be sent, and return their `seq`.

        A write that was left open keeps its number and gets no second `started` line.
        """
        numbers, lines = [], []
        for write in writes:
            left_open = self._open.pop(_key(write), None)
            if left_open is None:
                self._sequence += 1
                lines.append(self._line(self._sequence, write, STARTED))
            numbers.append(self._sequence if left_open is None else left_open.number)
        self._append(lines)
        return numbers

    def leave_open(self, number: int, write: PlannedWrite) -> None:
        """Note that GitHub rate-limited a write: it did not happen, and may be started again."""
        self._open[_key(write)] = Ending(number, write, Outcome.OUT_OF_TIME)

    def left_open(self, write: PlannedWrite) -> int | None:
        """Return the number of a write if it is open, and close it."""
        left_open = self._open.pop(_key(write), None)
        return left_open.number if left_open else None

    def close(self) -> list["Ending"]:
        """Close all writes that are still open, and return their endings."""
        found, self._open = list(self._open.values()), {}
        return found

    def ended(self, endings: Sequence["Ending"]) -> None:
        """Record the outcomes of requests."""
        lines = []
        for each in endings:
            if each.outcome is Outcome.DONE:
                self._done[_key(each.write)] = each.number
            line = self._line(each.number, each.write, each.outcome)
            if each.message:
                line["message"] = each.message
            if not each.certain:
                line["certain"] = False
            lines.append(line)
        self._append(lines)

    def correct(self, writes: Sequence[PlannedWrite], message: str) -> None:
        """Record that writes were not done after all, in a third line under their number. The last line counts."""
        numbers = [(self._done.pop(_key(write), None), write) for write in writes]
        self.ended(
            [
                Ending(number, write, Outcome.FAILED, message, certain=False)
                for number, write in numbers
                if number is not None
            ]
        )

    def _append(self, lines: Sequence[dict[str, Any]]) -> None:
        """Append several lines, with one sync to disk."""
        if not lines:
            return
        if self._file is None:
            self._file = self._open_file()
        # plain ASCII, so that a truncated line is still valid text
        self._file(b"".join(json.dumps(line).encode() + b"\n" for line in lines))

    def _line(self, sequence: int, write: PlannedWrite, outcome: str) -> dict[str, Any]:
        line: dict[str, Any] = {
            "schema": SCHEMA,
            "seq": sequence,
            "at": self._clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "kind": write.kind,
            "action": ACTIONS[write.action],
            "outcome": outcome,
            "owner": self._owner.login,
            "owner-type": self._owner.type,
            "package-type": write.package.type,
            "package": write.package.name,
            "id": write.version_id,
            "name": write.version_name or write.package.name,
            "tags": list(write.tags),
            "root": write.root,
            "reason": write.why,
            "run": self._run,
        }
        if write.tag is not None:
            line["tag"] = write.tag
        return line


class Ending(Struct, frozen=True):
    """The outcome of a request. Unless `certain`, the write may have happened all the same."""

    number: int
    write: PlannedWrite
    outcome: Outcome
    message: str = ""
    certain: bool = True


class ReceiptEntry(Struct, frozen=True, kw_only=True):
    """One write of an earlier run.

    `certain` is false when there is only a `started` line, or when the answer was lost: the write may have happened.
    `root` is the root of the image that a part belongs to. `began` and `ended` are line numbers; `ended` is infinite
    without an outcome. `at` is when the line was written, if that can be read.
    """

    kind: WriteKind
    package: PackageName
    version_id: int | None
    name: str
    tags: tuple[str, ...]
    tag: str | None
    certain: bool
    root: str | None = None
    at: datetime | None = None
    began: int = 0
    ended: float = inf


class Receipt(Struct, frozen=True, kw_only=True):
    """The deletions in a receipt, in the order in which they began, and the owner of the packages.

    `damaged` are the numbers of lines that cannot be read or contradict others. `is_whole` says whether the other lines
    cover every write, as their `seq` numbers show.
    """

    owner: str
    entries: tuple[ReceiptEntry, ...] = field(default=())
    damaged: tuple[int, ...] = ()
    is_whole: bool = True


class ReceiptProblem(ValueError):
    """The file is not a receipt. The message names the line."""


class _Line(Struct, frozen=True, kw_only=True):
    """One readable line. `entry` is `None` for writes that `undo` does not take back."""

    number: int
    sequence: int
    owner: str
    outcome: str
    entry: ReceiptEntry | None

    @property
    def write(self) -> object:
        """What identifies the write. It must be the same on all lines with one `seq`."""
        entry = self.entry
        return entry and (entry.kind, entry.package, entry.version_id, entry.name, entry.tag)


def read_receipt(text: str) -> Receipt:
    """Read a receipt, and skip damaged lines. Raises `ReceiptProblem` when no line can be read.

    A line is damaged when it was truncated by a full disk or a killed run, or when the file was changed later. The
    other lines are still valid. If a write has several outcomes, the last one counts.
    """
    damaged: dict[int, str] = {}
    writes: dict[int, list[_Line]] = {}
    for line in _lines(text, damaged):
        writes.setdefault(line.sequence, []).append(line)
    last = max(writes, default=0)
    for sequence, lines in list(writes.items()):
        if len({line.write for line in lines}) > 1:
            # it is unknown which of them is true
            problem = f"line {lines[-1].number} contradicts line {lines[0].number}: both have seq {sequence}"
            damaged.update((line.number, problem) for line in lines)
            del writes[sequence]
    if not writes:
        raise ReceiptProblem(next(iter(damaged.values()), "there is no line in it"))
    owners = {line.owner.lower(): line.owner for lines in writes.values() for line in lines}
    if len(owners) > 1:
        raise ReceiptProblem(f"it concerns several owners: {', '.join(owners.values())}")
    entries = [entry for lines in writes.values() if (entry := _entry(lines)) is not None]
    return Receipt(
        owner=next(iter(owners.values())),
        entries=tuple(entries),
        damaged=tuple(sorted(damaged)),
        is_whole=len(writes) == last,
    )


def refused_for_downloads(text: str, owner: str) -> Iterator[tuple[PackageName, int | None]]:
    """Yield the versions of an owner that GitHub refused to delete for their downloads, and packages with `None`.

    Lines that cannot be read are passed over. A file that is no receipt has none.
    """
    # most lines tell of something else, and are not worth parsing
    told = "\n".join(line for line in text.split("\n") if Outcome.PROTECTED_BY_DOWNLOADS in line)
    for line in _lines(told, {}):
        refused = line.outcome == Outcome.PROTECTED_BY_DOWNLOADS and line.owner.lower() == owner.lower()
        if refused and line.entry is not None and line.entry.kind is not WriteKind.TAG:
            yield line.entry.package, line.entry.version_id


def _lines(text: str, damaged: dict[int, str]) -> Iterator[_Line]:
    """Yield the readable lines. Add the problems of the others to `damaged`, by line number."""
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            yield _read_line(line, number)
        except _UNREADABLE as error:
            damaged[number] = f"line {number} is no line of a receipt ({_told(error)})"
            # after a truncated line, the next one may follow on the same line
            with suppress(*_UNREADABLE):
                yield _read_line(line[line.rfind(BEGINNING) :], number)


def damage(receipt: Receipt) -> str:
    """The message about the damaged lines of a receipt."""
    ranges: list[list[int]] = []
    for number in receipt.damaged:
        if ranges and number == ranges[-1][-1] + 1:
            ranges[-1][1:] = [number]
        else:
            ranges.append([number])
    shown = ", ".join("-".join(map(str, each)) for each in ranges[:DAMAGED_SHOWN])
    more = ", …" if len(ranges) > DAMAGED_SHOWN else ""
    told = "the other lines tell of every write" if receipt.is_whole else "what only they told is not taken back"
    return f"{len(receipt.damaged)} lines of the receipt are damaged, and passed over: {shown}{more}; {told}"


def _entry(lines: Sequence[_Line]) -> ReceiptEntry | None:
    """What to take back of one write: it was done, or may have been. `None` when it was not."""
    ends = [line for line in lines if line.outcome != STARTED]
    entry = (ends or lines)[-1].entry
    if entry is None or (entry.certain and ends[-1].outcome != Outcome.DONE):
        return None
    return replace(entry, began=lines[0].number, ended=ends[0].number if ends else inf)


def _read_line(line: str, number: int) -> _Line:
    record = json.loads(line)
    if not isinstance(record, dict):
        raise TypeError("not an object")
    if record["schema"] != SCHEMA:
        raise ValueError(f"schema {record['schema']} is not known to this version")
    sequence, kind, outcome = _number(record["seq"], "seq"), WriteKind(record["kind"]), _text(record["outcome"])
    if outcome != STARTED:
        Outcome(outcome)
    if record["action"] not in ACTIONS.values():
        raise ValueError(f"action '{record['action']}' is not known to this version")
    entry = _read_entry(record, kind, outcome) if record["action"] in TAKEN_BACK else None
    return _Line(number=number, sequence=sequence, owner=_text(record["owner"]), outcome=outcome, entry=entry)


def _read_entry(record: Mapping[str, Any], kind: WriteKind, outcome: str) -> ReceiptEntry:
    if kind is WriteKind.TAG and record["package-type"] != PackageType.CONTAINER:
        raise ValueError("only tags of containers can be taken away")
    tags = record["tags"]
    if not isinstance(tags, list):
        raise TypeError("tags are no list")
    root = record.get("root")
    return ReceiptEntry(
        kind=kind,
        package=PackageName(type=PackageType(record["package-type"]), name=_text(record["package"])),
        version_id=None if kind is WriteKind.PACKAGE else _number(record["id"], "id of a version"),
        name=_text(record["name"]),
        tags=tuple(_text(tag) for tag in tags),
        tag=_text(record["tag"]) if kind is WriteKind.TAG else None,
        certain=outcome != STARTED and record.get("certain", True) is not False,
        root=None if root is None else _text(root),
        at=_moment(record.get("at")),
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    # JSON can hold a lone UTF-16 surrogate, which cannot be encoded anywhere else
    value.encode()
    return value


def _number(value: object, what: str) -> int:
    if type(value) is not int or value < 1:
        raise ValueError(f"{what}: {value!r} is no number of one")
    return value


def _moment(value: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def _told(error: Exception) -> str:
    return "not JSON" if isinstance(error, (json.JSONDecodeError, RecursionError)) else str(error)
