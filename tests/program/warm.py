"""A process that has imported the program, and forks for each run of it, so that no run has to import it again.

    python -I tests/program/warm.py SOCKET

`forked.py` starts it and asks it. A request is a file that holds what the new process begins with, as JSON, and the
files that are to be its stdout and stderr. The answer is the number of the process; then comes one more byte, when its
parent is the one that asked: it is forked by a process that has ended by then.
"""

import gc
import importlib
import io
import json
import os
import pkgutil
import runpy
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).resolve().parents[2] / "src"
LATE = ("github", "importlib.resources", "jsonschema")
"""What the program imports only where it needs it."""


def warm_up() -> None:
    """Import the program, and leave everything else as a process finds it that has just begun."""
    path = list(sys.path)
    sys.path.insert(0, str(SOURCE))
    own = [module.name for module in pkgutil.walk_packages([str(SOURCE)]) if not module.name.endswith("__main__")]
    for name in (*own, *LATE):
        importlib.import_module(name)
    sys.path[:] = path
    if threading.active_count() > 1:
        raise RuntimeError("an import has started a thread, which a fork would lose")
    # Ctrl+C is for the tests, which then end this process
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # what is imported stays: no collection in a fork walks through it, which would copy its pages
    gc.collect()
    gc.freeze()


def serve(asked: socket.socket) -> dict[str, Any] | None:
    """Fork for each request, up to the end of the tests. In each new process: what it begins with."""
    while True:
        message, files, _, _ = socket.recv_fds(asked, 1, 3)
        if not message:
            return None
        between = os.fork()
        if not between:
            number = os.fork()
            if not number:
                return _begin(asked, *files)
            asked.send(str(number).encode())
            os._exit(0)
        for file in files:
            os.close(file)
        os.waitpid(between, 0)
        asked.send(b".")


def _begin(asked: socket.socket, request: int, stdout: int, stderr: int) -> dict[str, Any]:
    asked.close()
    for stream, number in ((stdout, 1), (stderr, 2)):
        os.dup2(stream, number)
        os.close(stream)
    # those of the warm process remember what kind of file they were made for
    for name, number in (("stdout", 1), ("stderr", 2)):
        old = getattr(sys, name)
        raw = io.FileIO(number, "w", closefd=False)
        raw.name = f"<{name}>"
        setattr(
            sys,
            name,
            io.TextIOWrapper(
                io.BufferedWriter(raw), encoding=old.encoding, errors=old.errors, line_buffering=old.line_buffering
            ),
        )
    with os.fdopen(request, encoding="ascii") as file:
        given: dict[str, Any] = json.load(file)
    os.chdir(given["cwd"])
    # Python itself sets this one where the environment says nothing about languages
    own = {name: os.environ[name] for name in ("LC_CTYPE",) if name in os.environ}
    os.environ.clear()
    os.environ.update(own | given["environment"])
    time.tzset()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    return given


def run(given: dict[str, Any]) -> None:
    """Run the script; what it raises ends this process as it ends any other."""
    if any(name.startswith("COVERAGE_PROCESS_") for name in os.environ):
        # a process that begins does this in a file of site-packages
        importlib.import_module("coverage").process_startup()
    sys.argv = [given["script"], *given["arguments"]]
    sys.orig_argv = [sys.executable, "-I", *sys.argv]
    runpy.run_path(given["script"], run_name="__main__")


if __name__ == "__main__":
    warm_up()
    with socket.socket(fileno=int(sys.argv[1])) as asked:
        beginning = serve(asked)
    if beginning is not None:
        run(beginning)
