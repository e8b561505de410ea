"""The files of `keep-used-in`: which they are, and what they name."""

import re
from collections.abc import Sequence
from functools import cached_property

from package_keeper.decisions.patterns import Pattern
from package_keeper.decisions.used import UsedImages
from package_keeper.errors import BadInput
from package_keeper.inputs.doors import readable
from package_keeper.inputs.file_globs import Picked, parse_globs
from package_keeper.inputs.image_references import ReferenceFinder
from package_keeper.runner.files import PathProblem, Workspace
from package_keeper.runner.tree import Tree, read_tree

_WORKFLOW = re.compile(r"\.github/workflows/[^/]+\.ya?ml")
_REMOTE = re.compile(r"^\s*url\s*=\s*(?:\S*[/:])?([^/:\s]+/[^/\s]+?)(?:\.git)?/?\s*$", re.MULTILINE)
_SHOWN = 5


class UsedFiles:
    """The files that the globs mean. What is wrong with them is in `problems`, what is doubtful in `warnings`.

    `repository` is that of the run, as `owner/name`.
    """

    def __init__(self, text: str, workspace: Workspace, repository: str) -> None:
        self._workspace = workspace
        self._repository = repository
        self._picked = Picked()
        self._owner = ""
        self._images = UsedImages()
        globs, problems = parse_globs(text)
        self.warnings: list[str] = []
        if not problems:
            tree = read_tree(workspace.root, globs.reach_into)
            self._picked = globs.pick(tree.files)
            problems = self._without_files(tree)
            problems += [f"'{readable(folder)}' {reason}" for folder, reason in tree.unread.items()]
            self.warnings += [f"keep-used-in: {warning}" for warning in self._passed_over(tree)]
        self.problems = [f"keep-used-in: {problem}" for problem in problems]

    def search(self, *owners: str) -> list[str]:
        """Search all files for images of the account that has, or had, these logins. Gives the problems."""
        problems = []
        self._owner = owners[0]
        finder = ReferenceFinder(owners, self._repository)
        for file in sorted({file for files in self._picked.files.values() for file in files}):
            try:
                for text in self._workspace.readings(file):
                    finder.search(readable(file), text, is_own_workflow=self._is_own_workflow(file, text))
            except PathProblem as problem:
                problems.append(f"keep-used-in: '{readable(file)}' {problem}")
        globs = {glob: [readable(file) for file in files] for glob, files in self._picked.files.items()}
        self._images = UsedImages.of(finder.references(), globs)
        return problems

    def images(self, owner: str, asked_for: str) -> UsedImages:
        """What the files name of an account, when it is known what it is called. Raises `BadInput`.

        `asked_for` is the login as the input has it: an old one, perhaps, which files may still have.
        """
        problems = []
        if owner.lower() != self._owner.lower():
            problems = self.search(owner, asked_for)
        for glob in self._images.idle_globs(self._images.references):
            files = self._picked.files[glob]
            problems.append(
                f"keep-used-in: '{glob}': none of its files ({_several(files)}) names an image of {owner}, so it would"
                f" protect nothing; accepted is a glob of files that do, as {owner}/PACKAGE with a tag or a digest"
            )
        if problems:
            raise BadInput(problems)
        return self._images

    def _without_files(self, tree: Tree) -> list[str]:
        problems = []
        for glob, files in self._picked.files.items():
            if files:
                continue
            name = Pattern(glob.rpartition("/")[2], ignore_case=True)
            near = self._picked.missed.get(glob) or [
                file for file in tree.files if name.matches(file.rpartition("/")[2])
            ]
            hint = f"; did you mean '{readable(near[0])}'?" if near else ""
            if tree.outside:
                hint += f"; not read, since they lead out of the workspace: {_several(tree.outside)}"
            problems.append(f"'{glob}': no file of the workspace matches, so it would protect nothing{hint}")
        return problems

    def _passed_over(self, tree: Tree) -> list[str]:
        """What is not looked at, though a glob may mean it."""
        read = {file for files in self._picked.files.values() for file in files}
        warnings = []
        for glob, missed in self._picked.missed.items():
            if others := [file for file in missed if file not in read]:
                warnings.append(
                    f"'{glob}': these files differ from it in the case of letters only, and are not read:"
                    f" {_several(others)}; add a glob for them, or exclude them"
                )
        if tree.outside:
            warnings.append(
                "these symbolic links lead out of the workspace, and nothing behind them is read:"
                f" {_several(tree.outside)}; copy the files into the workspace, or exclude the links"
            )
        return warnings

    def _is_own_workflow(self, file: str, text: str) -> bool:
        """Whether variables such as `github.repository` have the values of this run there.

        A workflow that others call has theirs.
        """
        return _WORKFLOW.fullmatch(file) is not None and "workflow_call" not in text and self._is_own_checkout

    @cached_property
    def _is_own_checkout(self) -> bool:
        """Whether nothing says that the workspace is a checkout of another repository."""
        try:
            remotes = _REMOTE.findall(self._workspace.read(".git/config"))
        except PathProblem:
            return True
        return not remotes or self._repository.lower() in [remote.lower() for remote in remotes]


def _several(files: Sequence[str]) -> str:
    shown = ", ".join(readable(file) for file in files[:_SHOWN])
    return f"{shown} and {len(files) - _SHOWN} more" if len(files) > _SHOWN else shown
