"""Runs of the program that do not pay for its start: a warm process (`warm.py`) forks them."""

from __future__ import annotations

import atexit
import ctypes
import functools
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

WARM = Path(__file__).with_name("warm.py")
PR_SET_CHILD_SUBREAPER = 36
READ_AT_START = ("LANG", "LC_", "LD_", "MALLOC_", "OPENSSL_", "PYTHON", "SSL_", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""How the names of variables begin that Python or a library reads while it starts: a fork is too late for them."""


class Forked(subprocess.Popen[str]):
    """The program as a process of its own, isolated as with `python -I`, without stdin.

    From outside it is what `subprocess.Popen` starts, a child of this process. What it begins with is its own, but for
    the modules that are imported, and the seed of `hash()`.
    """

    def __init__(self, script: Path, arguments: Sequence[str], cwd: Path, environment: Mapping[str, str]) -> None:
        if early := sorted(name for name in environment if name.startswith(READ_AT_START)):
            raise ValueError(f"start a process that is to have {', '.join(early)}: a fork has begun already")
        self._begins_with = {
            "script": str(script),
            "arguments": list(arguments),
            "cwd": str(cwd),
            "environment": dict(environment),
        }
        pipe = subprocess.PIPE
        super().__init__([str(script), *arguments], stdout=pipe, stderr=pipe, text=True, encoding="utf-8")

    def _execute_child(self, *given: Any) -> None:
        """Have the warm process do what `Popen` does here; it has made the pipes before, and does all the rest."""
        # of the six ends of three pipes, which stand behind ten more parameters
        stdout, stderr = given[13], given[15]
        with os.fdopen(os.memfd_create("request"), "w+", encoding="ascii") as request:
            json.dump(self._begins_with, request)
            request.seek(0)
            self.pid = _warm().fork(request.fileno(), stdout, stderr)
        self._child_created = True
        os.close(stdout)
        os.close(stderr)


class _Warm:
    """The warm process of this process."""

    def __init__(self) -> None:
        # processes whose parent ends become children of this one, which can then wait for them
        if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl")
        self._lock = threading.Lock()
        self._socket, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with other:
            self._process = subprocess.Popen(
                [sys.executable, "-I", str(WARM), str(other.fileno())],
                env={"PATH": "/usr/local/bin:/usr/bin:/bin"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[other.fileno()],
            )
        atexit.register(self._end)

    def fork(self, *files: int) -> int:
        """Fork for a request with these files; gives the number of the new process."""
        with self._lock:
            socket.send_fds(self._socket, [b"!"], files)
            number = self._socket.recv(32)
            if not number or not self._socket.recv(1):
                raise RuntimeError("the warm process has ended; its stderr says why")
            return int(number)

    def _end(self) -> None:
        self._socket.close()
        self._process.wait()


@functools.cache
def _warm() -> _Warm:
    return _Warm()
