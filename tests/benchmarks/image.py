"""The built image: what it adds to its base, and how much later than bare Python it sends its first request.

A launcher in the container notes the time and becomes what is measured, so that the engine's own time does not count.
"""

from __future__ import annotations

import json
import statistics
import subprocess

from tests.benchmarks.server import Serving, World
from tests.benchmarks.tables import Table, markdown, progress
from tests.benchmarks.worlds import OWNER, TOKEN
from tests.container.building import Engine, NoImage, base, compressed_size, find_engine, find_image

MARK = "image"
TIMES = 9
MOST_SIZE, MOST_LATER = 8.0, 0.2
"""MB (1,000,000 bytes), compressed; and seconds."""
LAUNCHER = "import os, sys, time; print(time.monotonic(), flush=True); os.execv(sys.argv[1], sys.argv[1:])"
BARE = [
    "/bin/sh",
    "-c",
    'exec "$0" -I -c "import time; print(time.monotonic())"',
    "/opt/package-keeper/venv/bin/python",
]
INPUTS = {"operation": "list", "package": "app", "tags": "v1", "summary": "false"}
HEADS = (
    "what the image adds to its base",
    "at most",
    f"first request, median of {TIMES}",
    "bare Python",
    "later",
    "at most",
)


def started(engine: Engine, image: str, environment: dict[str, str], command: list[str]) -> tuple[float, str]:
    """Run a command in the image; gives the moment at which it began, and what it printed."""
    options = [part for name, value in environment.items() for part in ("--env", f"{name}={value}")]
    python = "/opt/package-keeper/venv/bin/python"
    done = subprocess.run(
        [
            *(engine.name, "run", "--rm", "--network=host", *options),
            *("--entrypoint", python, image, "-I", "-c", LAUNCHER, *command),
        ],
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise NoImage(f"the image ended with status {done.returncode}:\n{done.stdout}{done.stderr}")
    moment, _, rest = done.stdout.partition("\n")
    return float(moment), rest


def times(engine: Engine, image: str) -> tuple[float, float]:
    """The medians of the time to the first request, and of that of Python alone; one more run of each fills caches."""
    entry = list(engine.inspect(image)["Config"]["Entrypoint"])
    first, bare = [], []
    with Serving(World(kind="single", images=10)) as serving:
        given = {**INPUTS, "token": TOKEN, "owner": OWNER, "api-url": serving.url, "registry-url": serving.url}
        environment = {f"INPUT_{name.upper()}": text for name, text in given.items()}
        for _ in range(TIMES + 1):
            moment, _ = started(engine, image, environment, entry)
            first.append(serving.figures().arrivals[0] - moment)
            moment, printed = started(engine, image, {}, BARE)
            bare.append(float(printed) - moment)
    progress(f"image: {json.dumps({'first': first, 'bare': bare})}")
    return statistics.median(first[1:]), statistics.median(bare[1:])


def table() -> Table:
    """Measure the image."""
    try:
        engine = find_engine()
        image = find_image(engine)
        size = compressed_size(engine, image, base()) / 1e6
        first, bare = times(engine, image)
    except NoImage as failed:
        return Table(mark=MARK, text=markdown(HEADS, ()), missed=(f"image: {failed}",))
    later = first - bare
    progress(f"image: {size:.2f} MB, {later:.3f} s later than bare Python")
    row = (
        f"{size:.2f} MB",
        f"{MOST_SIZE} MB",
        f"{first:.3f} s",
        f"{bare:.3f} s",
        f"{later:.3f} s",
        f"{MOST_LATER} s",
    )
    missed = [f"image: {size:.2f} MB, at most {MOST_SIZE} MB"] if size > MOST_SIZE else []
    missed += [f"image: {later:.3f} s later than bare Python, at most {MOST_LATER} s"] if later > MOST_LATER else []
    return Table(mark=MARK, text=markdown(HEADS, [row]), missed=tuple(missed))
