"""A receipt that is damaged is read as far as it is true, and never claims more."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from package_keeper.execution.receipt import Ending, Receipt, ReceiptProblem, damage, read_receipt
from package_keeper.model.plan import Outcome
from package_keeper.runner.workspace import Workspace
from tests.scenarios.program import ROOT
from tests.unit.execution.test_receipt import WRITES, Paper, deletion, writer

Written = list[tuple[int, str, str, list[str], Outcome | None]]


def lines_of(writes: Written) -> list[bytes]:
    """The lines of a receipt; each write has an id of its own, and goes while others are under way."""
    paper = Paper()
    book = writer(paper)
    planned = [
        deletion(place, name, package, tuple(tags)) for place, (_, name, package, tags, _) in enumerate(writes, 1)
    ]
    numbers = book.started(planned)
    for number, write, (*_, outcome) in zip(numbers, planned, writes, strict=True):
        if outcome is not None:
            book.ended([Ending(number, write, outcome)])
    return paper.data.splitlines(keepends=True)


def claims(receipt: Receipt) -> set[tuple[int | None, bool]]:
    return {(entry.version_id, entry.certain) for entry in receipt.entries}


def truth(lines: list[bytes]) -> tuple[set[int], set[int]]:
    """The ids of what was begun, and of what was done."""
    records = [json.loads(line) for line in lines]
    return {each["id"] for each in records}, {each["id"] for each in records if each["outcome"] == "done"}


@given(WRITES)
def test_every_prefix_is_read_and_claims_nothing_that_it_does_not_tell(writes: Written) -> None:
    lines = lines_of(writes)
    data = b"".join(lines)
    ends = [sum(map(len, lines[:number])) for number in range(len(lines) + 1)]
    for cut in sorted({end + more for end in ends for more in (-1, 0, 1, 9, 40)} & set(range(len(data) + 1))):
        # a line is whole without what ends it
        whole = [line for line, end in zip(lines, ends[1:], strict=True) if end <= cut + 1]
        text = data[:cut].decode()
        if not whole:
            with pytest.raises(ReceiptProblem):
                read_receipt(text)
            continue
        receipt = read_receipt(text)
        begun, done = truth(whole)
        assert {number for number, certain in claims(receipt) if certain} <= done
        assert {number for number, _ in claims(receipt)} <= begun
        assert done <= {number for number, _ in claims(receipt)}
        assert receipt.damaged == (() if cut in {*ends, *(end - 1 for end in ends)} else (len(whole) + 1,))


@given(WRITES, st.data())
def test_every_single_damaged_line_is_passed_over_and_named(writes: Written, data: st.DataObject) -> None:
    lines = lines_of(writes)
    if len(lines) < 2:
        return
    place = data.draw(st.integers(0, len(lines) - 1))
    line = lines[place]
    cut = data.draw(st.integers(1, len(line) - 2))
    way = data.draw(st.sampled_from(["cut", "glued", "zeros", "noise", "list", "empty object"]))
    harmed = {
        "cut": line[:cut] + b"\n",
        "glued": line[:cut],
        "zeros": line[:cut] + b"\0" * (len(line) - cut),
        "noise": line[:cut] + b"\xff\xfe\n",
        "list": b"[" + line.strip() + b"]\n",
        "empty object": b"{}\n",
    }[way]
    text = b"".join([*lines[:place], harmed, *lines[place + 1 :]]).decode(errors="replace")
    others = [each for number, each in enumerate(lines) if number != place]
    receipt = read_receipt(text)
    begun, done = truth(others)
    assert receipt.damaged == (place + 1,)
    assert {number for number, certain in claims(receipt) if certain} == done
    lone = {number for number in begun if sum(json.loads(each)["id"] == number for each in others) == 1} - done
    ended = {json.loads(each)["id"] for each in others if json.loads(each)["outcome"] not in ("started", "done")}
    assert {number for number, _ in claims(receipt)} == done | (lone - ended)
    assert receipt.is_whole is (begun == set(range(1, max(begun) + 1)))


def numbered(number: int, outcome: str, **more: Any) -> str:
    line = json.loads(lines_of([(number, "1.0.0", "app", [], None)])[0])
    return json.dumps(line | {"seq": number, "id": 100 + number, "outcome": outcome} | more) + "\n"


def test_the_last_outcome_of_a_write_counts() -> None:
    later_look = numbered(1, "started") + numbered(1, "done") + numbered(2, "started") + numbered(2, "done")
    assert claims(read_receipt(later_look)) == {(101, True), (102, True)}
    assert claims(read_receipt(later_look + numbered(1, "failed"))) == {(102, True)}
    assert claims(read_receipt(later_look + numbered(1, "failed", certain=False))) == {(101, False), (102, True)}
    assert claims(read_receipt(numbered(1, "done") + numbered(1, "started"))) == {(101, True)}


def test_a_correction_that_broke_off_changes_nothing() -> None:
    text = numbered(1, "started") + numbered(1, "done") + numbered(1, "failed")[:80]
    receipt = read_receipt(text)
    assert (claims(receipt), receipt.damaged) == ({(101, True)}, (3,))


def test_lines_that_contradict_each_other_are_both_passed_over() -> None:
    text = numbered(1, "started") + numbered(1, "done", id=9) + numbered(2, "started") + numbered(2, "done")
    receipt = read_receipt(text)
    assert (claims(receipt), receipt.damaged, receipt.is_whole) == ({(102, True)}, (1, 2), False)


def test_a_line_that_goes_on_with_the_next_one_loses_only_what_broke_off() -> None:
    text = numbered(1, "started") + numbered(2, "started") + numbered(1, "done")[:100] + numbered(2, "done")
    receipt = read_receipt(text)
    assert (claims(receipt), receipt.damaged, receipt.is_whole) == ({(101, False), (102, True)}, (3,), True)


@pytest.mark.parametrize(
    "change",
    [
        {"id": 0},
        {"id": -5},
        {"id": 1e999},
        {"seq": 1e999},
        {"seq": True},
        {"tags": "v1"},
        {"tags": [7]},
        {"name": "\ud800"},
        {"package": None},
        {"owner": 7},
        {"root": 7},
        {"action": []},
        {"kind": {}},
    ],
)
def test_a_line_that_holds_nonsense_is_passed_over(change: dict[str, Any]) -> None:
    receipt = read_receipt(numbered(1, "started", **change) + numbered(2, "started") + numbered(2, "done"))
    assert (claims(receipt), receipt.damaged) == ({(102, True)}, (1,))


def test_what_is_said_of_damage_names_the_lines() -> None:
    receipt = read_receipt(numbered(1, "done"))
    said = damage(replace(receipt, damaged=(2, 3, 4, 7, 9, 10)))
    assert "6 lines of the receipt" in said
    assert "2-4, 7, 9-10; the other lines tell of every write" in said
    assert "what only they told is not taken back" in damage(replace(receipt, damaged=(2,), is_whole=False))
    assert len(damage(replace(receipt, damaged=tuple(range(1, 100_000, 2))))) < 300


FULL_DISK = """
import resource, sys
from pathlib import Path
from package_keeper.runner.workspace import FileUnwritable, Workspace

file = Workspace(Path(sys.argv[1])).create_receipt("receipt")
for number, size in enumerate(map(int, sys.argv[2:])):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    try:
        file.append(b"%d:abcdefg\\n" % number)
    except FileUnwritable as error:
        print(number, "receipt receipt cannot be written any more" in str(error))
"""
"""What the file system takes of each line is bounded by the size that the file may have by then."""


@pytest.mark.parametrize(
    ("sizes", "left", "failed"),
    [
        ([99, 99], "0:abcdefg\n1:abcdefg\n", []),
        ([99, 13, 99], "0:abcdefg\n1:a\n2:abcdefg\n", [1]),
        ([5, 99, 99], "0:abc\n1:abcdefg\n2:abcdefg\n", [0]),
        ([5, 7, 9, 99], "0:abc\n1\n2\n3:abcdefg\n", [0, 1, 2]),
        ([5, 6, 99], "0:abc\n2:abcdefg\n", [0, 1]),
        ([10, 10, 99], "0:abcdefg\n2:abcdefg\n", [1]),
        ([9, 9, 99], "0:abcdefg\n2:abcdefg\n", [0, 1]),
    ],
)
def test_after_a_line_that_a_full_disk_cut_off_the_next_one_begins_anew(
    tmp_path: Path, sizes: list[int], left: str, failed: list[int]
) -> None:
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path), *map(str, sizes)]
    paths = {"PYTHONPATH": str(ROOT / "src")}
    ended = subprocess.run(command, env=paths, capture_output=True, text=True, check=True, timeout=60)
    assert [line.split() for line in ended.stdout.splitlines()] == [[str(number), "True"] for number in failed]
    assert Workspace(tmp_path).read("receipt") == left
