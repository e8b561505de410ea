"""Fails when a file names a path of one machine or a package registry, or when a lock is stale.

Such names work for one person only: a path that nobody else has, a mirror that nobody else can reach.
"""

import pathlib
import re
import subprocess
import sys
from collections.abc import Iterator

ROOT = pathlib.Path(__file__).resolve().parent.parent
# the character classes around single letters keep this file from finding itself
STRAY = re.compile(
    r"(?:^|[^A-Za-z0-9_.-])/(?:wor[k]|far[m]|roo[t])/"
    r"|/tmp/bash_[j]obs|/Users/[a-z]+/"
    r"|https?://(?:registry|files|deb|security|pypi)\."
)
PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;]+)", re.MULTILINE)


def files() -> list[pathlib.Path]:
    """What is tracked, and what would be with `git add .`."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        check=True,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    found = {ROOT / name for name in listed.stdout.split("\0") if name}
    # what was removed and is not committed yet is still listed
    return sorted(file for file in found if file.is_file())


def stray_problems() -> Iterator[str]:
    for file in files():
        content = file.read_bytes()
        if b"\0" in content:
            continue
        for number, line in enumerate(content.decode(errors="replace").splitlines(), start=1):
            if STRAY.search(line):
                place = f"{file.relative_to(ROOT)}:{number}"
                yield f"{place}: names a path of one machine, or a registry: {line.strip()[:100]}"


def pins(name: str) -> dict[str, str]:
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
    return {pin["name"].lower().replace("_", "-"): pin["version"] for pin in PIN.finditer(text)}


def lock_problems() -> Iterator[str]:
    """Every pin of a .in file stands in its lock, and runtime and dev agree: `make lock` was not forgotten."""
    pairs = (
        ("runtime.in", "runtime.txt"),
        ("dev.in", "dev.txt"),
        ("runtime.txt", "dev.txt"),
        ("docs.in", "docs.txt"),
    )
    for wanted, lock in pairs:
        locked = pins(lock)
        for name, version in pins(wanted).items():
            has = locked.get(name, "missing")
            if has != version:
                yield f"requirements/{lock}: {name} is {has}, and {version} in {wanted}: run `make lock`"


def main() -> int:
    problems = [*stray_problems(), *lock_problems()]
    print(*problems, f"{len(files())} files, {len(problems)} problems", sep="\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
