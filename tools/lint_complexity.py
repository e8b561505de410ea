"""Fails when a function of the program is hard to follow: its cognitive complexity, by complexipy, is above 15.

Cognitive complexity counts what a reader must keep in mind: branches, loops, and above all how deep they are nested.
"""

import pathlib
import sys
from collections.abc import Iterator

import complexipy

ROOT = pathlib.Path(__file__).resolve().parent.parent
MOST = 15

# each function here is simplified or goes in the second house; until then it may grow no harder than it is
UNTIL_THE_SECOND_HOUSE = {
    "src/package_keeper/decisions/deciding.py::Deciding::deletions": 17,
    "src/package_keeper/decisions/deciding.py::Deciding::candidates": 27,
    "src/package_keeper/decisions/deciding.py::_kept_roots": 16,
    "src/package_keeper/decisions/plan.py::plan_deletions": 16,
    "src/package_keeper/decisions/plan.py::_holders_first": 22,
    "src/package_keeper/decisions/selection.py::Selection::match": 19,
    "src/package_keeper/execution/checking.py::Checker::check": 21,
    "src/package_keeper/execution/drift.py::Drift::objections": 21,
    "src/package_keeper/execution/evidence.py::Evidence::_lives": 18,
    "src/package_keeper/execution/evidence.py::tell_used": 17,
    "src/package_keeper/execution/image_reading.py::Manifests::take": 16,
    "src/package_keeper/execution/image_reading.py::read_for_deletion": 24,
    "src/package_keeper/execution/images.py::ImageJudge::_confirmed": 19,
    "src/package_keeper/execution/images.py::broken_since": 43,
    "src/package_keeper/execution/mending.py::PartFinder::next_round": 22,
    "src/package_keeper/execution/operations.py::restore_package": 17,
    "src/package_keeper/execution/replanning.py::Replanning::deletions": 24,
    "src/package_keeper/execution/restoring.py::plan_undo": 20,
    "src/package_keeper/execution/scheduling.py::after_holders": 19,
    "src/package_keeper/execution/untagging.py::TagMoves::untag": 17,
    "src/package_keeper/execution/untagging.py::_pushed_meanwhile": 18,
    "src/package_keeper/github/lists.py::read_lists": 21,
    "src/package_keeper/github/retries.py::Retries::carry": 28,
    "src/package_keeper/github/wire.py::_tags": 17,
    "src/package_keeper/inputs/checks.py::_scope": 23,
    "src/package_keeper/inputs/checks.py::_selection": 16,
    "src/package_keeper/inputs/doors.py::from_command_line": 22,
    "src/package_keeper/inventory/graph.py::Graph::_draw": 22,
    "src/package_keeper/inventory/graph.py::Graph::_reach": 20,
    "src/package_keeper/main/reporting.py::Reporter::report": 16,
}


def complexities() -> dict[str, int]:
    files = [ROOT / "entrypoint.py", *sorted((ROOT / "src").rglob("*.py")), *sorted((ROOT / "tools").glob("*.py"))]
    return {
        f"{file.relative_to(ROOT)}::{function.name}": function.complexity
        for file in files
        for function in complexipy.file_complexity(str(file)).functions
    }


def problems(found: dict[str, int]) -> Iterator[str]:
    for name, complexity in found.items():
        most = UNTIL_THE_SECOND_HOUSE.get(name, MOST)
        if complexity > most:
            yield f"{name}: cognitive complexity {complexity}, {most} at most: split it, or nest less"
    for name in UNTIL_THE_SECOND_HOUSE:
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
