"""The files by which a step speaks to the runner: outputs and summary, through actions-toolkit where it has them."""

import errno
import os
import select
import time
from collections.abc import Mapping

from actions_toolkit.file_command import prepare_key_value_message

PATIENCE_SECONDS = 5.0
"""Seconds for what is written to be taken, where it goes to no file."""
LOOK_AGAIN_SECONDS = 0.05


def write_outputs(environ: Mapping[str, str], outputs: Mapping[str, str]) -> None:
    """Append the outputs to `GITHUB_OUTPUT`, each between random delimiters; without such a file nothing is done."""
    place = environ.get("GITHUB_OUTPUT", "")
    if place:
        lines = [prepare_key_value_message(name, text) for name, text in outputs.items()]
        _append(place, "\n".join(lines) + "\n")


def write_summary(environ: Mapping[str, str], markdown: str) -> None:
    """Append to the job summary, where there is one."""
    place = environ.get("GITHUB_STEP_SUMMARY", "")
    if place:
        _append(place, markdown)


def run_identity(environ: Mapping[str, str]) -> dict[str, str]:
    """Which workflow run this is, for the receipt."""
    names = {
        "id": "GITHUB_RUN_ID",
        "attempt": "GITHUB_RUN_ATTEMPT",
        "workflow": "GITHUB_WORKFLOW",
        "job": "GITHUB_JOB",
        "repository": "GITHUB_REPOSITORY",
        "actor": "GITHUB_ACTOR",
    }
    return {name: environ[variable] for name, variable in names.items() if environ.get(variable)}


def _append(place: str, text: str) -> None:
    """Write to what the runner gives: a file, or whatever else it is, for which nobody is waited for long."""
    data = text.encode(errors="backslashreplace")
    until = time.monotonic() + PATIENCE_SECONDS
    how = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = _open(place, how, until)
    room = select.poll()
    room.register(descriptor, select.POLLOUT)
    try:
        while data:
            if not room.poll(max(until - time.monotonic(), 0.0) * 1000):
                raise TimeoutError(f"{place}: nobody takes what is written")
            data = data[os.write(descriptor, data) :]
    finally:
        os.close(descriptor)


def _open(place: str, how: int, until: float) -> int:
    """Open for writing; for somebody who reads at the other end of a pipe there is patience."""
    while True:
        try:
            return os.open(place, how, 0o666)
        except OSError as error:
            if error.errno != errno.ENXIO or time.monotonic() > until:
                raise
        time.sleep(LOOK_AGAIN_SECONDS)
