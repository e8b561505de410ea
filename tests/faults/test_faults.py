"""Each step of each operation, with each fault: nothing is wrongly deleted, wrongly called done, or lost.

`worlds.py` has the operations with their steps, `table.py` the faults, `invariants.py` what must hold after every run.
`make test` runs a sample in which each step and each fault occurs; `make test-faults` runs all.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.running import Step, case, examine, run_case, usual
from tests.faults.table import FAULTS, Fault
from tests.faults.worlds import BY_NAME, OPERATIONS, Operation

ALL = os.environ.get("PACKAGE_KEEPER_TESTS") == "thorough"
SAMPLE = 300
SEED = 13
Row = tuple[Operation, Step, Fault]
FOUND = {
    ("delete nearly all", Step("delete", 3), "400 last version once"),
    ("delete gone", Step("repository", 1), "SIGTERM"),
    ("delete gone", Step("pulls", 0), "JSON: number a text"),
    ("delete gone", Step("branches", 5), "JSON: a text"),
    ("delete flat", Step("delete", 0), "204 and not done"),
    ("delete package", Step("delete package", 0), "204 and not done"),
    ("restore flat", Step("restore", 0), "204 and not done"),
    ("restore package", Step("restore package", 0), "204 and not done"),
    ("undo images", Step("restore", 1), "204 and not done"),
    ("untag", Step("delete", 1), "204 and not done"),
    ("undo untag", Step("put", 2), "201 and not done"),
}
"""Rows that once found a defect: the sample always has them."""


def rows() -> Iterator[Row]:
    """Give the whole table: the first and the last request of each kind; every one of the writes."""
    for operation in OPERATIONS:
        for kind, count in operation.steps.items():
            for number in range(count) if Step(kind, 0).writes else sorted({0, count - 1}):
                yield from ((operation, Step(kind, number), fault) for fault in FAULTS if kind in fault.at)


def sample(table: list[Row]) -> list[Row]:
    """Choose rows, always the same: each kind of step of each operation, each fault, and every kill at a write."""
    shuffled = random.Random(SEED).sample(range(len(table)), len(table))
    chosen = {
        number
        for number, (operation, step, fault) in enumerate(table)
        if (fault.is_kill and step.writes) or (operation.name, step, fault.name) in FOUND
    }
    steps, faults = set[tuple[str, str]](), set[str]()
    for most in (2, 1):
        for number in shuffled:
            operation, step, fault = table[number]
            if ((operation.name, step.kind) not in steps) + (fault.name not in faults) >= most:
                chosen.add(number)
                steps.add((operation.name, step.kind))
                faults.add(fault.name)
    rest = [number for number in shuffled if number not in chosen]
    return [table[number] for number in sorted([*chosen, *rest[: max(SAMPLE - len(chosen), 0)]])]


def _name(row: Row) -> str:
    operation, step, fault = row
    return f"{operation.name}, {step}, {fault.name}"


TABLE = list(rows())
CHOSEN = TABLE if ALL else sample(TABLE)


def test_the_sample_has_every_step_and_every_fault() -> None:
    chosen = sample(TABLE) if ALL else CHOSEN
    assert len(chosen) >= SAMPLE
    assert {(row[0].name, row[1], row[2].name) for row in chosen} >= FOUND
    assert {(row[0].name, row[1].kind) for row in chosen} == {(row[0].name, row[1].kind) for row in TABLE}
    assert {row[2].name for row in chosen} == {fault.name for fault in FAULTS}


@pytest.mark.parametrize("name", BY_NAME)
def test_the_table_has_every_request_of_an_operation(name: str) -> None:
    assert usual(name).steps == BY_NAME[name].steps


@pytest.mark.parametrize("row", CHOSEN, ids=_name)
def test_a_fault_at_a_step(row: Row, tmp_path: Path) -> None:
    operation, step, fault = row
    with case(operation, tmp_path) as made:
        ended = run_case(made, step, fault)
        problems = examine(made, fault, ended)
    assert not any(problems.values()), (problems, ended and ended.said)


PLANTED = [
    ("deletes_the_next_too", "delete gone", Step("delete", 3), "slow", "nothing_else_changed"),
    ("deletes_a_shared_part", "delete images", Step("delete", 3), "slow", "nothing_else_changed"),
    ("says_done", "delete flat", Step("delete", 1), "409 once", "what_is_reported_is_true"),
    ("says_done", "untag", Step("put", 0), "409 once", "what_is_reported_is_true"),
    ("succeeds_always", "list", Step("versions", 0), "token expires", "status_is_right"),
    ("succeeds_always", "delete images", Step("delete", 2), "409 once", "status_is_right"),
    ("writes_the_receipt_afterwards", "delete flat", Step("delete", 1), "killed, done", "receipt_takes_it_back"),
    ("writes_the_receipt_afterwards", "untag", Step("put", 1), "killed, done", "receipt_takes_it_back"),
]


@pytest.mark.parametrize(("defect", "name", "step", "fault_name", "check"), PLANTED)
def test_each_check_notices_a_planted_defect(
    defect: str, name: str, step: Step, fault_name: str, check: str, tmp_path: Path
) -> None:
    fault = next(fault for fault in FAULTS if fault.name == fault_name)
    with case(BY_NAME[name], tmp_path) as made:
        ended = run_case(made, step, fault, defect=defect)
        problems = examine(made, fault, ended)
    assert problems[check], problems
