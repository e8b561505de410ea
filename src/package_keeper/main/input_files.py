"""Reads the files that inputs name: the receipt to undo, the policy, and the files of `keep-used-in`."""

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from package_keeper.causes import Cause, Caused
from package_keeper.errors import BadInput, GuardRefused
from package_keeper.execution.receipt import Receipt, ReceiptProblem, read_receipt
from package_keeper.execution.wording import few
from package_keeper.inputs.definitions import INPUTS_BY_NAME
from package_keeper.inputs.file_globs import Picked, parse_globs
from package_keeper.inputs.image_references import ReferenceFinder
from package_keeper.inputs.parser import InputFiles
from package_keeper.inputs.sources import Request
from package_keeper.inputs.values import readable
from package_keeper.model.packages import OwnerType
from package_keeper.model.usage import UsageRow
from package_keeper.policy.images_in_use import ImagesInUse
from package_keeper.policy.patterns import Pattern
from package_keeper.report.plan_file import is_sealed
from package_keeper.runner.workspace import NOT_THERE, PathProblem, Tree, Workspace, read_tree
from package_keeper.settings import Operation, SavedPlan, Settings

MOST_CLOCK_SKEW = 300.0
"""How many seconds the clock of another machine may be ahead."""

_WORKFLOW = re.compile(r"\.github/workflows/[^/]+\.ya?ml")
_REMOTE = re.compile(r"^\s*url\s*=\s*(?:\S*[/:])?([^/:\s]+/[^/\s]+?)(?:\.git)?/?\s*$", re.MULTILINE)


NO_FILE = "no file of the workspace matches"


def _missing(problem: str, workspace: Workspace) -> str:
    """The problem, with its cause when a file is not there."""
    if NOT_THERE not in problem and NO_FILE not in problem:
        return problem
    is_empty = next(workspace.root.iterdir(), None) is None
    return Caused(f"{problem}; the workspace is empty" if is_empty else problem, Cause.CHECKOUT)


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
        self.problems = [_missing(f"keep-used-in: {problem}", workspace) for problem in problems]

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


@dataclass(kw_only=True)
class NamedFiles:
    """The content of all files that inputs name, and the problems of those that cannot be read."""

    receipt: Receipt | None = None
    plan: SavedPlan | None = None
    plan_sha256: str = ""
    plan_problem: str = ""
    """Why the plan is refused."""
    inputs: InputFiles = field(default_factory=InputFiles)
    used: FilesInUse | None = None
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, request: Request, workspace: Workspace, repository: str, now: datetime) -> "NamedFiles":
        """Read the files that the inputs of `request` name."""
        files = cls(problems=cls.path_problems(request, workspace))
        if undo := request.text("undo"):
            files._read_receipt(undo, request, workspace)
        policy = None
        if path := request.text("policy"):
            try:
                policy = workspace.read_strictly(path)
            except PathProblem as problem:
                files.problems.append(_missing(f"policy: '{path}' {problem}", workspace))
        if path := request.text("usage"):
            files.problems += files._check_usage(path, workspace, now)
        # elsewhere it has no effect
        if (path := request.text("plan")) and request.text("operation") == Operation.APPLY:
            files._read_plan(path, workspace)
        files.inputs = InputFiles(policy=policy, plan=files.plan)
        if globs := request.text("keep-used-in"):
            files.used = FilesInUse(globs, workspace, repository)
            files.problems += files.used.problems
            files.warnings += files.used.warnings
            if owner := request.text("owner"):
                files.problems += files.used.search(owner)
        return files

    @staticmethod
    def paths(request: Request) -> dict[str, str]:
        """The paths in the inputs that name a single file or folder, by input name."""
        names = (
            "plan-out",
            "plan",
            "usage",
            "receipt",
            "undo",
            "policy",
            "output-file",
            "summary-file",
            "manifest-cache",
        )
        return {name: request.text(name) for name in names}

    @classmethod
    def path_problems(cls, request: Request, workspace: Workspace) -> list[str]:
        """The problems of the paths in the inputs."""
        # a dry run writes no receipt; a name that the user chose is tried out all the same
        usual = request.text("receipt") == INPUTS_BY_NAME["receipt"].default
        writes = request.text("dry-run").lower() == "false"
        return workspace.problems(cls.paths(request), unwritten=("receipt",) if usual and not writes else ())

    def check_plan(self, settings: Settings, now: datetime) -> None:
        """Refuse a plan that was edited, that is not the one that was approved, or that is too old.

        Raises `GuardRefused`.
        """
        if settings.operation is not Operation.APPLY:
            return
        file, problem = settings.plan_file, self.plan_problem
        if settings.plan_sha256 and settings.plan_sha256 != self.plan_sha256:
            problem = (
                f"its SHA-256 is {self.plan_sha256}, not that of plan-sha256: it is not the plan that was approved"
            )
        elif settings.plan is not None and not problem:
            age = (now - settings.plan.made_at).total_seconds()
            if age > settings.plan_max_age:
                problem = f"it was made {settings.plan.made_at:%Y-%m-%d %H:%M} UTC, longer ago than plan-max-age"
            elif age < -MOST_CLOCK_SKEW:
                problem = f"it was made {settings.plan.made_at:%Y-%m-%d %H:%M} UTC, which lies in the future"
            elif settings.owner and settings.owner.lower() != settings.plan.owner.lower():
                problem = f"it is about packages of {settings.plan.owner}, the owner is {settings.owner}"
        if problem:
            raise GuardRefused(f"plan: '{file}' is refused: {problem}. Nothing was written; make a new plan")

    @staticmethod
    def read_usage(workspace: Workspace, settings: Settings) -> Callable[[], Iterator[UsageRow]]:
        """The function that reads the usage file again, row by row. Its problems were found before."""
        # imported only when needed, so that other runs start faster
        from package_keeper.inputs.usage_file import read_usage  # noqa: PLC0415  # reason: start-up time

        def refuse(problem: str) -> None:
            raise BadInput([f"usage: '{settings.usage}' was changed while the run read it: {problem}"])

        def rows() -> Iterator[UsageRow]:
            try:
                yield from read_usage(workspace.lines(settings.usage), settings.rules.now, refuse)
            except PathProblem as problem:
                refuse(str(problem))

        return rows

    @staticmethod
    def _check_usage(path: str, workspace: Workspace, now: datetime) -> list[str]:
        from package_keeper.inputs.usage_file import check_usage  # noqa: PLC0415  # reason: start-up time

        try:
            return [f"usage: '{path}', {problem}" for problem in check_usage(workspace.lines(path), now)]
        except PathProblem as problem:
            return [f"usage: '{path}' {problem}"]

    def _read_plan(self, path: str, workspace: Workspace) -> None:
        try:
            text = workspace.read_exactly(path)
        except PathProblem as problem:
            self.problems.append(_missing(f"plan: '{path}' {problem}", workspace))
            return
        self.plan_sha256 = hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()
        if not is_sealed(text):
            self.plan_problem = "it is no plan, or it was edited or truncated after it was made"
            return
        # imported only when needed, so that other runs start faster
        from package_keeper.inputs.plan_file import PlanProblem, read_plan  # noqa: PLC0415  # reason: start-up time

        try:
            self.plan = read_plan(text)
        except PlanProblem as problem:
            self.plan_problem = str(problem)

    def _read_receipt(self, undo: str, request: Request, workspace: Workspace) -> None:
        try:
            self.receipt = read_receipt(workspace.read(undo))
        except (PathProblem, ReceiptProblem) as problem:
            self.problems.append(_missing(f"undo: '{undo}' {problem}", workspace))
            return
        owner = request.text("owner")
        own = request.text("owner-type") == OwnerType.AUTHENTICATED_USER
        if owner and not own and self.receipt.owner.lower() != owner.lower():
            self.problems.append(f"undo: the receipt is about packages of {self.receipt.owner}, the owner is {owner}")
