"""Reads the files of `keep-used-in` (docs/reference.md, "keep-used-in"). Only runs with that input load this module."""

import re
from functools import cached_property

from package_keeper.errors import BadInput
from package_keeper.execution.wording import few
from package_keeper.inputs.file_globs import Picked, parse_globs
from package_keeper.inputs.image_references import ReferenceFinder
from package_keeper.inputs.values import readable
from package_keeper.policy.images_in_use import ImagesInUse
from package_keeper.policy.patterns import Pattern
from package_keeper.runner.workspace import NO_FILE, PathProblem, Tree, Workspace, read_tree

_WORKFLOW = re.compile(r"\.github/workflows/[^/]+\.ya?ml")
_REMOTE = re.compile(r"^\s*url\s*=\s*(?:\S*[/:])?([^/:\s]+/[^/\s]+?)(?:\.git)?/?\s*$", re.MULTILINE)


class FilesInUse:
    """The files that the globs of `keep-used-in` match, with problems and warnings.

    `repository` is the one that the run belongs to, as `owner/name`.
    """

    def __init__(self, text: str, workspace: Workspace, repository: str) -> None:
        self._workspace = workspace
        self._repository = repository
        self._picked = Picked()
        self._owner = ""
        self._images = ImagesInUse()
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
        """Search all files for images of an account, under all its logins. Return the problems."""
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
        self._images = ImagesInUse.of(finder.references(), globs)
        return problems

    def images(self, owner: str, asked_for: str) -> ImagesInUse:
        """Return the images of an account that the files name. Raises `BadInput`.

        `owner` is the login that GitHub reports, `asked_for` the login in the input. They differ after an account was
        renamed. Files may contain either.
        """
        problems = []
        if owner.lower() != self._owner.lower():
            problems = self.search(owner, asked_for)
        for glob in self._images.idle_globs(self._images.references):
            files = self._picked.files[glob]
            problems.append(
                f"keep-used-in: '{glob}': none of its files ({few(map(readable, files))}) names an image of"
                f" {owner}, so it would protect nothing; accepted is a glob of files that do, as {owner}/PACKAGE"
                " with a tag or a digest"
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
                hint += f"; not read, since they lead out of the workspace: {few(map(readable, tree.outside))}"
            problems.append(f"'{glob}': {NO_FILE}, so it would protect nothing{hint}")
        return problems

    def _passed_over(self, tree: Tree) -> list[str]:
        """Warnings about files that are not read, although the user may want them read."""
        read = {file for files in self._picked.files.values() for file in files}
        warnings = []
        for glob, missed in self._picked.missed.items():
            if others := [file for file in missed if file not in read]:
                warnings.append(
                    f"'{glob}': these files differ from it in the case of letters only, and are not read:"
                    f" {few(map(readable, others))}; add a glob for them, or exclude them"
                )
        if tree.outside:
            warnings.append(
                "these symbolic links lead out of the workspace, and nothing behind them is read:"
                f" {few(map(readable, tree.outside))}; copy the files into the workspace, or exclude the links"
            )
        return warnings

    def _is_own_workflow(self, file: str, text: str) -> bool:
        """Whether variables such as `github.repository` have the values of this run in the file.

        In a reusable workflow they have the values of its caller.
        """
        return _WORKFLOW.fullmatch(file) is not None and "workflow_call" not in text and self._is_own_checkout

    @cached_property
    def _is_own_checkout(self) -> bool:
        """Whether the workspace is a checkout of the run's repository, as `.git/config` shows."""
        try:
            remotes = _REMOTE.findall(self._workspace.read(".git/config"))
        except PathProblem:
            return True
        return not remotes or self._repository.lower() in [remote.lower() for remote in remotes]
