"""A run that is forked looks from outside, and to itself, like one that is started; only sooner."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.program.forked import Forked
from tests.scenarios.program import ROOT, Place

Start = Callable[[Place, Path, list[str], dict[str, str]], subprocess.Popen[str]]
TELL = """
import gc, json, locale, os, resource, signal, sys, threading, time
streams = (sys.stdin, sys.stdout, sys.stderr)
print(json.dumps({
    "name": __name__,
    "file": __file__,
    "arguments": sys.argv,
    "all arguments": sys.orig_argv[1:],
    "flags": list(sys.flags),
    "path": sys.path,
    "environment": dict(os.environ),
    "cwd": os.getcwd(),
    "parent": os.getppid(),
    "group": os.getpgid(0),
    "session": os.getsid(0),
    "umask": os.umask(0),
    "limits": [resource.getrlimit(getattr(resource, each)) for each in dir(resource) if each.startswith("RLIMIT_")],
    "handlers": {number.name: str(signal.getsignal(number)).partition(" at ")[0] for number in signal.valid_signals()
        if isinstance(number, signal.Signals)},
    "blocked": list(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    "threads": threading.active_count(),
    "files": sorted(os.listdir("/proc/self/fd")),
    "streams": [[each.encoding, each.errors, each.line_buffering, each.isatty(), each.buffer.raw.name]
        for each in streams],
    "stdin": os.readlink("/proc/self/fd/0"),
    "locale": locale.setlocale(locale.LC_ALL),
    "time zone": time.tzname,
    "collector": [gc.isenabled(), gc.get_threshold()],
    "recursion": sys.getrecursionlimit(),
    "hooks": [sys.excepthook is sys.__excepthook__, sys.gettrace() is None, sys.getprofile() is None],
}))
"""
SHARE = """
import os, random, sys
print(len(sys.argv), sys.argv.append(""), os.environ.setdefault("A", "a"), random.random())
"""


def started(place: Place, script: Path, arguments: list[str], environment: dict[str, str]) -> subprocess.Popen[str]:
    return place.start(arguments, environment, script)


def forked(place: Place, script: Path, arguments: list[str], environment: dict[str, str]) -> subprocess.Popen[str]:
    return Forked(script, arguments, place.workspace, environment)


BOTH = pytest.mark.parametrize("start", [started, forked])


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place.below(tmp_path)


@pytest.fixture
def script(tmp_path: Path) -> Path:
    return tmp_path / "script.py"


def end(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    stdout, stderr = process.communicate(timeout=60)
    return process.returncode, stdout, stderr


def test_what_a_run_begins_with_is_the_same(place: Place, script: Path) -> None:
    script.write_text(TELL, encoding="utf-8")
    environment = place.terminal_environment({"TZ": "Asia/Tokyo", "BYTES": "caf\udce9", "EMPTY": ""})
    told = []
    for start in (started, forked):
        status, stdout, stderr = end(start(place, script, ["--one", "zwei ü", ""], environment))
        assert (status, stderr) == (0, "")
        told.append(json.loads(stdout))
    assert told[1] == told[0]
    assert told[1]["time zone"] == ["JST", "JST"]


def test_two_runs_share_nothing(place: Place, script: Path) -> None:
    script.write_text(SHARE, encoding="utf-8")
    first, second = (end(Forked(script, [], place.workspace, {})) for _ in range(2))
    assert first != second
    assert first[1].split()[:3] == second[1].split()[:3] == ["1", "None", "a"]


@BOTH
@pytest.mark.parametrize(
    ("code", "status", "said"),
    [
        ("print('done')", 0, ("done\n", "")),
        ("import sys; sys.exit(3)", 3, ("", "")),
        ("import sys; sys.exit('no')", 1, ("", "no\n")),
        ("import os; print('lost'); os._exit(4)", 4, ("", "")),
        ("import atexit; atexit.register(print, 'at exit')", 0, ("at exit\n", "")),
        ("import threading, time; threading.Timer(0.05, print, ['thread']).start()", 0, ("thread\n", "")),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL, ("", "")),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM, ("", "")),
    ],
)
def test_a_run_ends_as_it_wants(
    place: Place, script: Path, start: Start, code: str, status: int, said: tuple[str, str]
) -> None:
    script.write_text(code, encoding="utf-8")
    assert end(start(place, script, [], place.terminal_environment())) == (status, *said)


@BOTH
def test_what_a_run_raises_is_a_traceback(place: Place, script: Path, start: Start) -> None:
    script.write_text("1 / 0", encoding="utf-8")
    status, stdout, stderr = end(start(place, script, [], place.terminal_environment()))
    assert (status, stdout) == (1, "")
    assert stderr.startswith("Traceback ")
    assert stderr.endswith("ZeroDivisionError: division by zero\n")


@BOTH
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_run_can_be_ended(place: Place, script: Path, start: Start, number: signal.Signals) -> None:
    # a signal that comes just before a sleep does not end it: then the next turn takes it
    script.write_text("import time\nprint('ready', flush=True)\nwhile True:\n    time.sleep(0.05)", encoding="utf-8")
    process = start(place, script, [], place.terminal_environment())
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    assert process.poll() is None
    process.send_signal(number)
    assert end(process)[0] == -number


def test_what_is_read_at_the_start_cannot_come_later(place: Place, script: Path) -> None:
    with pytest.raises(ValueError, match="LC_ALL, PYTHONHASHSEED"):
        Forked(script, [], place.workspace, {"PYTHONHASHSEED": "0", "LC_ALL": "C", "PATH": ""})


@pytest.mark.parametrize("ending", ["pass", "os.kill(os.getpid(), signal.SIGKILL)"])
def test_the_warm_process_ends_with_the_one_that_asks(script: Path, ending: str) -> None:
    script.write_text("print('run')", encoding="utf-8")
    asks = f"""
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {str(ROOT)!r})
from tests.program.forked import Forked
print(Forked(Path({str(script)!r}), [], Path("/"), {{}}).communicate(), flush=True)
{ending}
"""
    # that it has ended is what the end of stderr says, which it has too
    done = subprocess.run([sys.executable, "-c", asks], check=False, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("('run\\n', '')\n", "")
