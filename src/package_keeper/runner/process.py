"""The process of a run: its memory and its end."""

import gc
import os
import sys
from contextlib import suppress
from typing import NoReturn


def spare_the_collector() -> None:
    """Let Python look for circles of dead objects less often.

    A large inventory is millions of objects that all stay, and no circles: looking for those takes a quarter of all
    time (docs/benchmarks.md, "Planning").
    """
    gc.set_threshold(200_000, 20, 100)


def leave(status: int) -> NoReturn:
    """End this process, at once.

    Everything is written by now. Python would take all that is left apart, object by object, while threads still wait
    for answers that nobody needs; CPython 3.11 has been seen to crash over that, which is another exit status.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)
