"""What only a process of its own can show: how it ends, and what a signal finds at any line that it runs."""

from __future__ import annotations

import subprocess
import sys

from tests.scenarios.program import ROOT


def run(code: str) -> subprocess.CompletedProcess[str]:
    """Run code that finds our modules in a folder which it is told."""
    return subprocess.run(
        [sys.executable, "-c", code, str(ROOT / "src")], capture_output=True, text=True, timeout=60, check=False
    )


AT_ANY_LINE = """
import faulthandler, signal, sys

sys.path.insert(0, sys.argv[1])
from package_keeper.errors import Cancelled
from package_keeper.runner.process import Interruption

faulthandler.dump_traceback_later(20, exit=True)


def strikes(line, block):
    # a signal at one of the lines that a block runs, those of the standard library included
    left = [line]

    def trace(frame, event, argument):
        if event == "line":
            left[0] -= 1
            if left[0] == 0:
                signal.raise_signal(signal.SIGTERM)
        return trace

    interruption = Interruption()
    interruption.install()
    ended = ""
    sys.settrace(trace)
    try:
        block(interruption)
    except Cancelled:
        ended = "cancelled"
    finally:
        sys.settrace(None)
    assert interruption.is_requested is (left[0] <= 0 or block is handler), line
    assert ended or left[0] > 0, line
    return left[0] <= 0


def wait(interruption):
    interruption.wait(0.001)
    interruption.check()


def handler(interruption):
    with interruption.shield():
        signal.raise_signal(signal.SIGINT)


for block in (wait, handler):
    line = 1
    while strikes(line, block):
        line += 1
    assert line > 5, "the block has lines"
"""


def test_a_signal_at_any_moment_of_a_wait_or_of_another_signal_cancels_the_run() -> None:
    """None finds a lock held that it waits for: the run would never end."""
    ended = run(AT_ANY_LINE)
    assert ended.returncode == 0, ended.stderr


UNANSWERED = """
import sys, threading
sys.path.insert(0, sys.argv[1])
from package_keeper.github.pool import Pool
begun = threading.Event()
Pool().run(lambda: (begun.set(), threading.Event().wait()))
begun.wait()
print("over")
"""


def test_a_run_that_ends_does_not_wait_for_an_answer_that_never_comes() -> None:
    ended = run(UNANSWERED)
    assert (ended.returncode, ended.stdout) == (0, "over\n"), ended.stderr
