"""The product with a defect that a test chooses: the checks of the suite must notice each one.

python -I tests/faults/planted.py DEFECT FILE
"""

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from package_keeper.errors import ApiError
from package_keeper.execution.answers import Answers
from package_keeper.execution.executor import Executor
from package_keeper.execution.receipt import ReceiptWriter
from package_keeper.execution.results import Answer
from package_keeper.github.rest import PackagesWriter
from package_keeper.main import app, main
from package_keeper.model.plan import Outcome
from package_keeper.operations.exit_status import ExitStatus
from package_keeper.runner.process import exit_now
from tests.wire.directed import DirectedClock, Passed

SHARED = 1005
"""The id of that part in the simulator's package of images."""


def deletes_one_more(which: Callable[[int], int]) -> None:
    """Each deletion takes another version along."""
    delete: Any = PackagesWriter.delete_version

    def both(self: Any, package: Any, version_id: int, permit: Any = None) -> None:
        delete(self, package, version_id, permit)
        with contextlib.suppress(ApiError):
            delete(self, package, which(version_id))

    setattr(PackagesWriter, "delete_version", both)  # noqa: B010  # reason: mypy takes no assignment to a method


def deletes_the_next_too() -> None:
    """Each deletion takes the version with the next id along."""
    deletes_one_more(lambda version_id: version_id + 1)


def deletes_a_shared_part() -> None:
    """Each deletion takes the part along that an image that stays needs."""
    deletes_one_more(lambda _: SHARED)


def says_done() -> None:
    """Every answer is called done."""
    setattr(Answers, "of", lambda *_: Answer(Outcome.DONE))  # noqa: B010
    setattr(Executor, "disproved", lambda _, records, wrong: tuple(records))  # noqa: B010


def succeeds_always() -> None:
    """The exit status is 0 whatever happened."""
    setattr(app, "exit_status", lambda *_, **__: ExitStatus(result="done", status=0))  # noqa: B010


def writes_the_receipt_afterwards() -> None:
    """What is about to be sent is on disk only after the answer."""
    append: Any = ReceiptWriter._append
    held: list[Any] = []

    def later(self: Any, lines: Any) -> None:
        held.extend(lines)
        if any(line["outcome"] != "started" for line in lines):
            append(self, held)
            held.clear()

    setattr(ReceiptWriter, "_append", later)  # noqa: B010


DEFECTS: dict[str, Callable[[], None]] = {
    defect.__name__: defect
    for defect in (
        deletes_the_next_too,
        deletes_a_shared_part,
        says_done,
        succeeds_always,
        writes_the_receipt_afterwards,
    )
}

if __name__ == "__main__":
    DEFECTS[sys.argv[1]]()
    passed = Passed(Path(sys.argv[2]))
    exit_now(main(sys.argv[3:], lambda interruption: DirectedClock(interruption, passed)))
