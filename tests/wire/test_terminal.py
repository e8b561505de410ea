"""The command line on a terminal: the question before the first write, colours, the bar, and 80 columns."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from package_keeper.inputs.help import SHELLS, completion, inputs_of, operation_help, overview
from package_keeper.report.tables import columns
from package_keeper.settings import Operation
from tests.scenarios.program import ENTRYPOINT, Place
from tests.simulator import Package, Simulator
from tests.simulator.images import push_image
from tests.wire.world import TOKEN

COLOUR = re.compile(r"\x1b\[[0-9]+m")
BAR = re.compile(r"\r\x1b\[K[^\r\n]*")
ASKED = "Delete 9 versions of 3 images in 1 package? [y/N] "
DELETE = ("delete", "-p", "app", "-t", "pr-*", "--no-dry-run")


def pushed(sim: Simulator) -> Package:
    package = sim.add_package("acme", "container", "app")
    for number in range(3):
        push_image(package, f"pr-{number}", platforms=["linux/amd64", "linux/arm64"], created_at="2026-01-01T00:00:00Z")
    push_image(package, "v1", created_at="2026-01-01T00:00:00Z")
    return package


def on_terminal(
    sim: Simulator, place: Place, arguments: Sequence[str], typed: str = "", **extra: str
) -> tuple[int, str]:
    """Run the program on a terminal of 80 columns. Give its status, and everything that the terminal showed."""
    terminal, end = pty.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    variables = place.terminal_environment(
        {"GH_TOKEN": TOKEN, "GITHUB_API_URL": sim.url, "TERM": "xterm", "LANG": "C.UTF-8"} | extra
    )
    options = ["--owner", "acme", "--registry-url", sim.registry_url]
    process = subprocess.Popen(
        [sys.executable, "-I", str(ENTRYPOINT), *arguments, *options],
        cwd=place.workspace,
        env=variables,
        stdin=end,
        stdout=end,
        stderr=end,
        close_fds=True,
        start_new_session=True,
        # Ctrl+C reaches the processes of the terminal that controls them
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509  # reason: no threads use locks here
    )
    os.close(end)
    shown = b""
    answered = not typed
    try:
        while select.select([terminal], [], [], 60)[0] and (data := os.read(terminal, 65_536)):
            shown += data
            if not answered and b"[y/N] " in shown:
                os.write(terminal, typed.encode())
                answered = True
    except OSError:
        # how Linux says that the last process has closed the terminal
        pass
    finally:
        os.close(terminal)
        if process.poll() is None:
            time.sleep(1)
            process.kill()
    return process.wait(timeout=60), shown.decode().replace("\r\n", "\n")


@pytest.mark.parametrize("typed", ["y\n", "yes\n"])
def test_yes_carries_out_the_plan_that_was_shown(typed: str, sim: Simulator, place: Place) -> None:
    package = pushed(sim)
    status, shown = on_terminal(sim, place, DELETE, typed)
    before, _, after = shown.partition(ASKED)
    assert status == 0, shown
    assert "container/app: 3 images, 9 versions" in before
    assert "planned" in before
    assert "done: 9 versions of 3 images in 1 package deleted, 1 kept" in after
    assert [tag for version in package.active() for tag in version.tags] == ["v1"]


@pytest.mark.parametrize("typed", ["n\n", "\n", "yep\n", "\x04", "\x03"])
def test_anything_but_yes_writes_nothing_and_is_cancelled(typed: str, sim: Simulator, place: Place) -> None:
    package = pushed(sim)
    status, shown = on_terminal(sim, place, DELETE, typed)
    assert status == 130, shown
    assert sim.writes == []
    assert len(package.active()) == 10
    _, _, after = shown.partition(ASKED)
    assert "cancelled: 9 versions of 3 images in 1 package" in after
    assert "pr-0" not in after, "a short count, and no rows"
    assert list(place.workspace.iterdir()) == []


def test_yes_as_an_option_and_a_pipe_are_asked_nothing(sim: Simulator, place: Place) -> None:
    pushed(sim)
    status, shown = on_terminal(sim, place, (*DELETE, "--yes", "--limit", "3"))
    assert (status, "[y/N]" in shown, len(sim.writes)) == (0, False, 3), shown
    variables = place.terminal_environment({"GH_TOKEN": TOKEN, "GITHUB_API_URL": sim.url})
    ended = place.run([*DELETE, "-o", "acme", "--registry-url", sim.registry_url], variables)
    assert (ended.status, len(sim.writes)) == (0, 9)
    assert ended.stdout.splitlines()[0].split("\t")[0] == "container/app"


def test_a_dry_run_is_asked_nothing(sim: Simulator, place: Place) -> None:
    pushed(sim)
    status, shown = on_terminal(sim, place, DELETE[:-1])
    assert (status, "[y/N]" in shown, sim.writes) == (0, False, [])


def test_colours_and_the_bar_are_for_terminals_that_want_them(sim: Simulator, place: Place) -> None:
    pushed(sim)
    listing = ("list", "-p", "app")
    sim.faults.add("GET", "/versions$", action="delay", delay=1.0)
    _, coloured = on_terminal(sim, place, listing)
    assert COLOUR.search(coloured)
    assert BAR.search(coloured), "a read of a second shows how far it is"
    for extra in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        _, shown = on_terminal(sim, place, listing, **extra)
        assert not COLOUR.search(shown)
        lines = [line for line in BAR.sub("", shown).splitlines() if line]
        assert all(columns(line) < 80 for line in lines), shown
        assert "container/app: 10 versions" in lines


def test_help_fits_one_screen_and_names_what_has_an_effect() -> None:
    for name in (*Operation, "explain"):
        lines = operation_help(name, everything=False).splitlines()
        assert len(lines) <= 24, name
        assert all(len(line) <= 80 or line.startswith("example:") for line in lines)
        every = operation_help(name, everything=True)
        assert all(re.search(rf"--{option.name}\b", every) for option in inputs_of(name))
    assert "--undo" not in operation_help("delete", everything=True)
    assert len(overview().splitlines()) <= 24 + 4


def test_bash_completes_operations_options_and_choices(tmp_path: Path) -> None:
    script = tmp_path / "completion"
    script.write_text(completion("bash"), encoding="utf-8")

    def completed(*words: str) -> list[str]:
        line = " ".join(f"'{word}'" for word in words)
        code = f"source {script}; COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _package_keeper"
        code += '; printf "%s\\n" "${COMPREPLY[@]}"'
        done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True)
        return done.stdout.split()

    assert completed("package-keeper", "delete-") == ["delete-package"]
    assert completed("package-keeper", "delete", "--keep-l") == ["--keep-latest", "--keep-latest-per"]
    assert completed("package-keeper", "restore", "--keep-l") == []
    assert completed("package-keeper", "list", "--package-type", "n") == ["npm", "nuget"]
    assert completed("package-keeper", "delete", "--no-d") == ["--no-dry-run"]


@pytest.mark.parametrize("shell", SHELLS)
def test_completion_scripts_are_accepted_by_their_shells(shell: str, tmp_path: Path) -> None:
    script = tmp_path / "completion"
    script.write_text(completion(shell), encoding="utf-8")
    assert "keep-latest" in script.read_text(encoding="utf-8")
    if shutil.which(shell):
        subprocess.run([shell, "-n", str(script)], check=True)
