"""Forks the programs that tests run from the process of the tests, which has imported them: a mutant is in them too.

The warm process of `tests/program` is cleaner, but would have to import everything for each mutant, which takes longer
than most tests. The trials without a mutant show that the tests pass with these forks.
"""

from __future__ import annotations

import importlib
import io
import os
import pkgutil
import resource
import sys
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from tests.mutation.tracing import Tracer, append
from tests.program import forked, warm
from tests.scenarios.program import ENTRYPOINT, Place

_MOST_FILES = 1024
_NOTHING: Any = io.BytesIO()
"""In the place of the socket on which the warm process is asked."""


def import_all() -> None:
    """Import what the program imports, so that no fork has to."""
    own = [module.name for module in pkgutil.walk_packages([str(warm.SOURCE)]) if not module.name.endswith("__main__")]
    for name in (*own, *warm.LATE):
        importlib.import_module(name)


def fork_programs(folder: Path, tracer: Tracer | None) -> None:
    """Have all programs forked from this process, those that tests would start too. Note their lines in `folder`."""
    fork = _Fork(folder, tracer)
    forked._warm = lambda: fork  # type: ignore[assignment]
    start = Place.start

    def start_or_fork(
        self: Place, arguments: Sequence[str], environment: Mapping[str, str], program: Path = ENTRYPOINT
    ) -> Any:
        if any(name.startswith(forked.READ_AT_START) for name in environment):
            return start(self, arguments, environment, program)
        self.empty_files()
        return forked.Forked(program, arguments, self.workspace, environment)

    Place.start = start_or_fork  # type: ignore[method-assign]


class _Fork:
    """Stands in for the warm process."""

    def __init__(self, folder: Path, tracer: Tracer | None) -> None:
        self._folder = folder
        self._tracer = tracer

    def fork(self, request: int, stdout: int, stderr: int) -> int:
        """Fork for a request with these files; gives the number of the new process."""
        with warnings.catch_warnings():
            # Python 3.12 warns of threads: those of the simulator, which have nothing to do in the fork
            warnings.simplefilter("ignore")
            process = os.fork()
        if not process:
            self._run(request, stdout, stderr)
        return process

    def _run(self, request: int, stdout: int, stderr: int) -> NoReturn:
        leave = os._exit
        if self._tracer is not None:
            leave = os._exit = self._noting(leave, self._tracer)  # type: ignore[assignment]
        status = 1
        try:
            sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
            given = warm._begin(_NOTHING, request, stdout, stderr)
            # the simulator's sockets would stay open here
            os.closerange(3, _MOST_FILES)
            warnings.resetwarnings()
            warnings.simplefilter("ignore")
            warm.run(given)
            status = 0
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
        except KeyboardInterrupt:
            status = 130
        except BaseException:  # noqa: BLE001 - as Python itself ends a process
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        leave(status)

    def _noting(self, leave: Callable[[int], NoReturn], tracer: Tracer) -> Callable[[int], NoReturn]:
        test = (self._folder / "test").read_text(encoding="utf-8")
        tracer.taken()

        def note_and_leave(status: int) -> NoReturn:
            sys.settrace(None)
            # a test may have limited what this process can write
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            append(self._folder, test, tracer.taken())
            leave(status)

        return note_and_leave
