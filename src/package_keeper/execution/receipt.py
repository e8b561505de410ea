"""The receipt: JSON Lines, two a write with the same `seq`.

`"outcome": "started"` is on disk before the request is sent, then the outcome; so a killed run leaves a true receipt
(contract, "Receipt and plan"). `undo` reads it back.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any

from package_keeper.decisions.plan import PlannedWrite, WriteKind
from package_keeper.decisions.vocabulary import Decision, Outcome
from package_keeper.execution.ports import ReceiptFile, WallClock
from package_keeper.inventory.package import Owner, PackageName, PackageType

SCHEMA = 1
STARTED = "started"
ACTIONS = {Decision.DELETE: "delete", Decision.UNTAG: "untag", Decision.RESTORE: "restore"}
TAKEN_BACK = frozenset({ACTIONS[Decision.DELETE], ACTIONS[Decision.UNTAG]})


_Key = tuple[WriteKind, PackageName, int | None, str | None]


def _key(write: PlannedWrite) -> _Key:
    return write.kind, write.package, write.version_id, write.tag


class ReceiptWriter:
    """Writes the receipt of one run; the file comes into being with the first write."""

    def __init__(
        self, open_file: Callable[[], ReceiptFile], owner: Owner, run: Mapping[str, str], clock: WallClock
    ) -> None:
        self._open_file = open_file
        self._file: ReceiptFile | None = None
        self._owner = owner
        self._run = dict(run)
        self._clock = clock
        self._sequence = 0
        self._open: dict[_Key, Ending] = {}
        self._done: dict[_Key, int] = {}
        """The numbers of the writes that were called done."""

    def started(self, writes: Sequence[PlannedWrite]) -> list[int]:
        """Record that the requests for `writes` are about to be sent, and give their `seq`.

        What was left open goes on under its number.
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
        """Note that a limit refused a write, so that it was not carried out, and may be started again."""
        self._open[_key(write)] = Ending(number, write, Outcome.OUT_OF_TIME)

    def left_open(self, write: PlannedWrite) -> int | None:
        """The number of a write that was left open and not started again, if it was; it is given once."""
        left_open = self._open.pop(_key(write), None)
        return left_open.number if left_open else None

    def close(self) -> list["Ending"]:
        """How all others end that were left open and not started again; from now on none is open."""
        found, self._open = list(self._open.values()), {}
        return found

    def ended(self, endings: Sequence["Ending"]) -> None:
        """Record what became of requests."""
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
        """Record that writes were called done and were not: a third line under their number. The last line counts."""
        numbers = [(self._done.pop(_key(write), None), write) for write in writes]
        self.ended(
            [
                Ending(number, write, Outcome.FAILED, message, certain=False)
                for number, write in numbers
                if number is not None
            ]
        )

    def _append(self, lines: Sequence[dict[str, Any]]) -> None:
        """Several lines are on disk with one wait for it."""
        if not lines:
            return
        if self._file is None:
            self._file = self._open_file()
        # plain ASCII: a line that breaks off anywhere is still text
        self._file.append(b"".join(json.dumps(line).encode() + b"\n" for line in lines))

    def _line(self, sequence: int, write: PlannedWrite, outcome: str) -> dict[str, Any]:
        line: dict[str, Any] = {
            "schema": SCHEMA,
            "seq": sequence,
            "at": self._clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "kind": write.kind,
            "action": ACTIONS[write.decision],
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


@dataclass(frozen=True)
class Ending:
    """What became of a request; not `certain` means that it may have been carried out all the same."""

    number: int
    write: PlannedWrite
    outcome: Outcome
    message: str = ""
    certain: bool = True


@dataclass(frozen=True, kw_only=True)
class ReceiptEntry:
    """One write of an earlier run.

    `certain` is false for a lone `started` and a lost answer: it may have happened. `began` and `ended` are the numbers
    of its lines; `ended` is infinite where there is no second one.
    """

    kind: WriteKind
    package: PackageName
    version_id: int | None
    name: str
    tags: tuple[str, ...]
    tag: str | None
    certain: bool
    began: int = 0
    ended: float = inf


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """The deletions in a receipt, in the order in which they were made, and whose packages they concern."""

    owner: str
    entries: tuple[ReceiptEntry, ...] = field(default=())


class ReceiptProblem(ValueError):
    """The file is no receipt; the message names the line."""


def read_receipt(text: str) -> Receipt:
    """Read a receipt. Raises `ReceiptProblem`.

    A last line that breaks off (the run was killed while writing it) is passed over: its `started` line is whole.
    """
    lines = text.split("\n")
    deletions: dict[int, tuple[ReceiptEntry, str]] = {}
    owners: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            if number == len(lines):
                continue
            raise ReceiptProblem(f"line {number} is not JSON") from None
        try:
            _take(record, number, deletions, owners)
        except (KeyError, TypeError, ValueError) as error:
            raise ReceiptProblem(f"line {number} is no line of a receipt ({error})") from None
    if not owners:
        raise ReceiptProblem("there is no line in it")
    if len(owners) > 1:
        raise ReceiptProblem(f"it concerns several owners: {', '.join(owners.values())}")
    entries = tuple(entry for entry, outcome in deletions.values() if outcome == Outcome.DONE or not entry.certain)
    return Receipt(owner=next(iter(owners.values())), entries=entries)


def _take(record: Any, number: int, deletions: dict[int, tuple[ReceiptEntry, str]], owners: dict[str, str]) -> None:
    if not isinstance(record, dict):
        raise TypeError("not an object")
    if record["schema"] != SCHEMA:
        raise ValueError(f"schema {record['schema']} is not known to this version")
    owner = str(record["owner"])
    owners.setdefault(owner.lower(), owner)
    sequence, kind, outcome = int(record["seq"]), WriteKind(record["kind"]), str(record["outcome"])
    if outcome != STARTED:
        Outcome(outcome)
    if record["action"] not in ACTIONS.values():
        raise ValueError(f"action '{record['action']}' is not known to this version")
    if record["action"] not in TAKEN_BACK:
        return
    if kind is not WriteKind.PACKAGE and type(record["id"]) is not int:
        raise ValueError("the id of a version is missing")
    if kind is WriteKind.TAG and record["package-type"] != PackageType.CONTAINER:
        raise ValueError("only tags of containers can be taken away")
    entry = ReceiptEntry(
        kind=kind,
        package=PackageName(type=PackageType(record["package-type"]), name=str(record["package"])),
        version_id=None if kind is WriteKind.PACKAGE else record["id"],
        name=str(record["name"]),
        tags=tuple(str(tag) for tag in record["tags"]),
        tag=str(record["tag"]) if kind is WriteKind.TAG else None,
        certain=outcome != STARTED and record.get("certain", True) is not False,
    )
    known = deletions.get(sequence)
    if known and (known[0].package, known[0].version_id, known[0].tag) != (
        entry.package,
        entry.version_id,
        entry.tag,
    ):
        raise ValueError(f"seq {sequence} stands for two different writes")
    entry = replace(entry, began=known[0].began if known else number, ended=inf if outcome == STARTED else number)
    deletions[sequence] = (entry, outcome)
