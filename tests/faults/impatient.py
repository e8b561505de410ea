"""Runs the product as `directed.py` does, but it waits only a fraction of a second for an answer that has stalled.

python -I tests/faults/impatient.py FILE [ARGUMENT...]
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from package_keeper.github import http
from package_keeper.main import main
from package_keeper.runner.process import exit_now
from tests.wire.directed import DirectedClock, Passed

SECONDS = 0.2

if __name__ == "__main__":
    http.SILENT_SECONDS = SECONDS
    passed = Passed(Path(sys.argv[1]))
    exit_now(main(sys.argv[2:], lambda interruption: DirectedClock(interruption, passed)))
