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
    "src/package_keeper/execution/completion.py::ImageCompletion::_checked": 18,
    "src/package_keeper/execution/completion.py::ImageCompletion::_find": 20,
    "src/package_keeper/execution/completion.py::ImageCompletion::_parts": 16,
    "src/package_keeper/execution/completion.py::ImageCompletion::_read": 18,
    "src/package_keeper/execution/completion.py::ImageCompletion::_referrers": 17,
    "src/package_keeper/execution/completion.py::ImageCompletion::next_round": 22,
    "src/package_keeper/execution/executor.py::_Execution::_look_again": 16,
    "src/package_keeper/execution/facts.py::FactGatherer::_lives": 18,
    "src/package_keeper/execution/image_reading.py::Manifests::take": 16,
    "src/package_keeper/execution/image_reading.py::read_for_deletion": 24,
    "src/package_keeper/execution/images.py::ImageEvaluator::_confirmed": 19,
    "src/package_keeper/execution/images.py::look_after": 28,
    "src/package_keeper/execution/operations.py::restore_package": 19,
    "src/package_keeper/execution/operations.py::undo": 17,
    "src/package_keeper/execution/receipt.py::read_receipt": 27,
    "src/package_keeper/execution/restorations.py::Restorations::meaning": 17,
    "src/package_keeper/execution/restorations.py::_undo_versions": 37,
    "src/package_keeper/execution/run.py::list_versions": 18,
    "src/package_keeper/execution/run.py::take_fresh": 17,
    "src/package_keeper/execution/scope.py::tell_entries": 26,
    "src/package_keeper/execution/untag.py::Untagger::untag": 17,
    "src/package_keeper/execution/untag.py::_pushed_meanwhile": 18,
    "src/package_keeper/execution/verify.py::ImageVerifier::check": 39,
    "src/package_keeper/github/decode.py::_tags": 24,
    "src/package_keeper/github/errors.py::refusal": 16,
    "src/package_keeper/github/paging.py::Listing::wanted": 16,
    "src/package_keeper/github/paging.py::read_lists": 21,
    "src/package_keeper/github/rest.py::PackagesReader::versions_of": 18,
    "src/package_keeper/github/retries.py::Retries::carry": 28,
    "src/package_keeper/inputs/image_references.py::Word::_of_hidden_owner": 22,
    "src/package_keeper/inputs/image_references.py::Word::_of_owner": 16,
    "src/package_keeper/inputs/parser.py::_scope": 23,
    "src/package_keeper/inputs/parser.py::_selection": 16,
    "src/package_keeper/inputs/parser.py::_warnings": 18,
    "src/package_keeper/inputs/sources.py::from_command_line": 22,
    "src/package_keeper/main/reporting.py::Reporter::report": 18,
    "src/package_keeper/model/images.py::Graph::_draw": 25,
    "src/package_keeper/model/images.py::Graph::_reach": 20,
    "src/package_keeper/policy/evaluation.py::Evaluation::candidates": 27,
    "src/package_keeper/policy/evaluation.py::Evaluation::deletions": 17,
    "src/package_keeper/policy/evaluation.py::_kept_roots": 17,
    "src/package_keeper/policy/guards.py::last_images": 21,
    "src/package_keeper/policy/planning.py::_holders_first": 22,
    "src/package_keeper/policy/planning.py::plan_deletions": 16,
    "src/package_keeper/policy/selection.py::Selection::match": 21,
    "src/package_keeper/report/summary.py::_listed": 16,
    "src/package_keeper/runner/workspace.py::read_tree": 16,
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
