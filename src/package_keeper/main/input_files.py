"""Reads the files that inputs name: the receipt to undo, the policy, the usage file and the plan."""

import hashlib
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import Struct, field

from package_keeper.causes import Cause, Caused
from package_keeper.errors import BadInput, GuardRefused
from package_keeper.execution.receipt import Receipt, ReceiptProblem, read_receipt
from package_keeper.inputs.definitions import INPUTS_BY_NAME
from package_keeper.inputs.parser import InputFiles
from package_keeper.inputs.sources import Request
from package_keeper.model.packages import OwnerType
from package_keeper.model.usage import UsageRow
from package_keeper.runner.workspace import NO_FILE, NOT_THERE, PathProblem, Workspace
from package_keeper.settings import Operation, SavedPlan, Settings

if TYPE_CHECKING:
    from package_keeper.main.files_in_use import FilesInUse

MOST_CLOCK_SKEW = 300.0
"""How many seconds the clock of another machine may be ahead."""


def _with_cause(problem: str, workspace: Workspace) -> str:
    """The problem, with its cause when a file is not there."""
    if NOT_THERE not in problem and NO_FILE not in problem:
        return problem
    is_empty = next(workspace.root.iterdir(), None) is None
    return Caused(f"{problem}; the workspace is empty" if is_empty else problem, Cause.CHECKOUT)


class NamedFiles(Struct, kw_only=True):
    """The content of all files that inputs name, and the problems of those that cannot be read."""

    receipt: Receipt | None = None
    plan: SavedPlan | None = None
    plan_sha256: str = ""
    plan_problem: str = ""
    """Why the plan is refused."""
    inputs: InputFiles = field(default_factory=InputFiles)
    used: "FilesInUse | None" = None
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
                files.problems.append(_with_cause(f"policy: '{path}' {problem}", workspace))
        if path := request.text("usage"):
            files.problems += files._check_usage(path, workspace, now)
        # elsewhere it has no effect
        if (path := request.text("plan")) and request.text("operation") == Operation.APPLY:
            files._read_plan(path, workspace)
        files.inputs = InputFiles(policy=policy, plan=files.plan)
        if globs := request.text("keep-used-in"):
            from package_keeper.main.files_in_use import FilesInUse

            files.used = FilesInUse(globs, workspace, repository)
            files.problems += [_with_cause(problem, workspace) for problem in files.used.problems]
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
        from package_keeper.inputs.usage_file import read_usage

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
        from package_keeper.inputs.usage_file import check_usage

        try:
            return [f"usage: '{path}', {problem}" for problem in check_usage(workspace.lines(path), now)]
        except PathProblem as problem:
            return [f"usage: '{path}' {problem}"]

    def _read_plan(self, path: str, workspace: Workspace) -> None:
        try:
            text = workspace.read_exactly(path)
        except PathProblem as problem:
            self.problems.append(_with_cause(f"plan: '{path}' {problem}", workspace))
            return
        self.plan_sha256 = hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()
        # imported only when needed, so that other runs start faster
        from package_keeper.inputs.plan_file import PlanProblem, read_plan
        from package_keeper.report.plan_file import is_sealed

        if not is_sealed(text):
            self.plan_problem = "it is no plan, or it was edited or truncated after it was made"
            return
        try:
            self.plan = read_plan(text)
        except PlanProblem as problem:
            self.plan_problem = str(problem)

    def _read_receipt(self, undo: str, request: Request, workspace: Workspace) -> None:
        try:
            self.receipt = read_receipt(workspace.read(undo))
        except (PathProblem, ReceiptProblem) as problem:
            self.problems.append(_with_cause(f"undo: '{undo}' {problem}", workspace))
            return
        owner = request.text("owner")
        own = request.text("owner-type") == OwnerType.AUTHENTICATED_USER
        if owner and not own and self.receipt.owner.lower() != owner.lower():
            self.problems.append(f"undo: the receipt is about packages of {self.receipt.owner}, the owner is {owner}")
