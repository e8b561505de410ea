"""The composition root: the only package that imports all others and reads the environment."""

import os
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from package_keeper.errors import BadInput
from package_keeper.inputs.sources import ShowAndExit, from_action, from_command_line
from package_keeper.inputs.values import readable
from package_keeper.main.app import App
from package_keeper.runner.logs import harmless
from package_keeper.runner.process import Interruption, SystemClock, exit_now, steady_output, tune_gc
from package_keeper.stopping import hold

_FILES = ("GITHUB_WORKSPACE", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")
"""The variables with paths of the runner. Paths may contain any bytes."""


def main(arguments: Sequence[str], make_clock: Callable[[Interruption], SystemClock] = SystemClock) -> int:
    """Run as the Action without `arguments`, else as the command line. Return the exit status."""
    return _enter(arguments, command_line=bool(arguments), make_clock=make_clock)


def command_line() -> NoReturn:
    """Run the command line, as the console script `package-keeper`, and end the process."""
    exit_now(_enter(sys.argv[1:], command_line=True))


def action_or_command_line() -> NoReturn:
    """Run as `entrypoint.py`, and end the process."""
    exit_now(main(sys.argv[1:]))


def _enter(
    arguments: Sequence[str], *, command_line: bool, make_clock: Callable[[Interruption], SystemClock] = SystemClock
) -> int:
    # signals wait until there is a run that reports them
    hold()
    steady_output()
    tune_gc()
    interruption = Interruption()
    interruption.install()
    return _run(arguments, interruption, make_clock(interruption), command_line=command_line)


def _run(arguments: Sequence[str], interruption: Interruption, clock: SystemClock, *, command_line: bool) -> int:
    if not command_line:
        request = from_action(os.environ)
    else:
        try:
            request = from_command_line(arguments, os.environ)
        except ShowAndExit as shown:
            sys.stdout.write(shown.text)
            return 0
        except BadInput as problem:
            sys.stderr.write("\n".join(map(harmless, f"error: {problem}".splitlines())) + "\n")
            return problem.status
    environ = {name: text if name in _FILES else readable(text) for name, text in os.environ.items()}
    session = App(request, environ, interruption, clock, command_line=command_line)
    return session.run()
