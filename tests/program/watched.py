"""Runs the product and notes what it does beyond itself: connections, processes, and files that it opens to write.

`WATCHED` in the environment names the file of the notes, a JSON array on each line.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
CONNECTIONS = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "socket.bind")
PROCESSES = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty")
FILES = ("os.mkdir", "os.link", "os.symlink", "os.rename", "os.remove", "os.rmdir", "os.truncate", "sqlite3.connect")


def watch(notes: int) -> None:
    """Note everything from now on, for the rest of the process."""

    def note(event: str, given: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = given
            if not flags & WRITING or isinstance(path, int):
                return
            found: object = os.fsdecode(path)
        elif event in FILES:
            found = os.fsdecode(given[0])
        elif event == "socket.connect":
            found = list(given[1][:2]) if isinstance(given[1], tuple) else given[1]
        elif event in (*CONNECTIONS, *PROCESSES):
            found = [str(each) for each in given[:2]]
        else:
            return
        os.write(notes, json.dumps([event, found]).encode() + b"\n")

    sys.addaudithook(note)


if __name__ == "__main__":
    place = os.open(os.environ.pop("WATCHED"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    from package_keeper.main import action_or_command_line

    watch(place)
    action_or_command_line()
