"""Sizes for people: in powers of 1000 with one decimal, as `docker images` shows them."""

from package_keeper.model.run import Run

_UNITS = ("kB", "MB", "GB", "TB", "PB", "EB")


def size_text(size: int | None) -> str:
    """A number of bytes, rounded down, so that "at least" stays true; `unknown` when it is."""
    if size is None:
        return "unknown"
    if size < 1000:
        return f"{size} {'byte' if size == 1 else 'bytes'}"
    power = min((len(str(size)) - 1) // 3, len(_UNITS))
    tenths = size * 10 // 1000**power
    return f"{tenths // 10}.{tenths % 10} {_UNITS[power - 1]}"


def freed_text(run: Run) -> str:
    """What the deletions gave back, or would give back after a dry run; empty when unknown or nothing."""
    if run.result == "planned" and run.bytes_planned:
        return f"would free at least {size_text(run.bytes_planned)}"
    return f"freed at least {size_text(run.bytes_freed)}" if run.bytes_freed else ""
