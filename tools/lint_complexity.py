"""Fails when a function of the program is hard to follow: its cognitive complexity, by complexipy, is above 15.

Cognitive complexity counts what a reader must keep in mind: branches, loops, and above all how deep they are nested.
"""

import pathlib
import sys
from collections.abc import Iterator

import complexipy

ROOT = pathlib.Path(__file__).resolve().parent.parent
MOST = 15

# functions that may be harder than that, each with its reason
EXCEPTIONS: dict[str, int] = {}


def complexities() -> dict[str, int]:
    files = [ROOT / "entrypoint.py", *sorted((ROOT / "src").rglob("*.py")), *sorted((ROOT / "tools").glob("*.py"))]
    return {
        f"{file.relative_to(ROOT)}::{function.name}": function.complexity
        for file in files
        for function in complexipy.file_complexity(str(file)).functions
    }


def problems(found: dict[str, int]) -> Iterator[str]:
    for name, complexity in found.items():
        most = EXCEPTIONS.get(name, MOST)
        if complexity > most:
            yield f"{name}: cognitive complexity {complexity}, {most} at most: split it, or nest less"
    for name in EXCEPTIONS:
        if found.get(name, 0) <= MOST:
            yield f"{name}: is no exception any more; take it off the list in tools/lint_complexity.py"


def main() -> None:
    found = complexities()
    lines = sorted(problems(found))
    for line in lines:
        print(line)
    print(f"{len(found)} functions, {len(lines)} problems")
    sys.exit(1 if lines else 0)


if __name__ == "__main__":
    main()
