"""The product as a whole process, as the runner starts it; and what it took."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.server import Serving
from tests.benchmarks.worlds import OWNER, TOKEN

ROOT = Path(__file__).resolve().parent.parent.parent
LONGEST = 600.0
"""Seconds of the machine's time after which a run is killed."""


class RunFailed(Exception):
    """The product did not end as it should; the message has its last words."""


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What one run took."""

    started: float
    """The moment of `time.monotonic()` before the process was made."""
    elapsed: float
    """Seconds of the machine's time until it was gone."""
    cpu: float
    """Seconds of CPU, of user and system."""
    peak: float
    """The most memory that it ever held, in MB (1,048,576 bytes)."""


def run_product(
    serving: Serving, inputs: Mapping[str, str], workspace: Path, scale: float = 1.0, *, longest: float = LONGEST
) -> Ran:
    """Run the Action to its end. Raises `RunFailed`."""
    command = [sys.executable, "-I", str(ROOT / "entrypoint.py")]
    if scale != 1.0:
        launcher = ROOT / "tests" / "benchmarks" / "scaled.py"
        command = [sys.executable, "-I", str(launcher), str(scale), str(serving.moment), serving.now]
    given = {
        "operation": "delete",
        "token": TOKEN,
        "owner": OWNER,
        "package": "app",
        "api-url": serving.url,
        "registry-url": serving.url,
        **inputs,
    }
    with tempfile.TemporaryDirectory() as folder:
        written, summary, output = (Path(folder) / name for name in ("log", "summary", "output"))
        environment = {
            "PATH": os.environ["PATH"],
            "GITHUB_WORKSPACE": str(workspace),
            "GITHUB_STEP_SUMMARY": str(summary),
            "GITHUB_OUTPUT": str(output),
            **{f"INPUT_{name.upper()}": text for name, text in given.items()},
        }
        with written.open("wb") as log:
            started = time.monotonic()
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
            killer = threading.Timer(longest, _kill, [process.pid])
            killer.start()
            _, status, usage = os.wait4(process.pid, 0)
            elapsed = time.monotonic() - started
            killer.cancel()
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            words = written.read_text(encoding="utf-8", errors="replace")[-600:]
            raise RunFailed(f"the product ended with status {process.returncode} after {elapsed:.0f} s:\n{words}")
    return Ran(started=started, elapsed=elapsed, cpu=usage.ru_utime + usage.ru_stime, peak=usage.ru_maxrss / 1024)


def _kill(number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(number, 9)
