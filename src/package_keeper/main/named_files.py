"""The files that inputs name: receipt to undo, policy, and files that name images in use."""

from dataclasses import dataclass, field

from package_keeper.decisions.used import ImageReference
from package_keeper.execution.receipt import Receipt, ReceiptProblem, read_receipt
from package_keeper.inputs.definitions import INPUTS_BY_NAME
from package_keeper.inputs.doors import Request, readable
from package_keeper.inputs.file_globs import parse_globs
from package_keeper.inputs.image_references import find_references
from package_keeper.inputs.reading import InputFiles
from package_keeper.inventory.package import OwnerType
from package_keeper.runner.files import PathProblem, Workspace


@dataclass(kw_only=True)
class NamedFiles:
    """What stands in them, as far as they can be read; everything else is a problem."""

    receipt: Receipt | None = None
    inputs: InputFiles = field(default_factory=InputFiles)
    problems: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, request: Request, workspace: Workspace) -> "NamedFiles":
        """Read all files that the inputs of `request` name."""
        files = cls(problems=workspace.problems(cls.paths(request)))
        if undo := _text(request, "undo"):
            files._read_receipt(undo, request, workspace)
        policy = None
        if path := _text(request, "policy"):
            try:
                policy = workspace.read_strictly(path)
            except PathProblem as problem:
                files.problems.append(f"policy: '{path}' {problem}")
        references = files._references(_text(request, "keep-used-in"), workspace)
        files.inputs = InputFiles(policy=policy, references=references)
        return files

    @staticmethod
    def paths(request: Request) -> dict[str, str]:
        """The paths of the inputs that name one file, by the names of the inputs."""
        names = ("receipt", "undo", "policy", "output-file", "manifest-cache")
        return {name: _text(request, name) for name in names}

    def _read_receipt(self, undo: str, request: Request, workspace: Workspace) -> None:
        try:
            self.receipt = read_receipt(workspace.read(undo))
        except (PathProblem, ReceiptProblem) as problem:
            self.problems.append(f"undo: '{undo}' {problem}")
            return
        # the owner as far as it is known before asking GitHub
        owner = request.texts.get("owner", "").strip() or request.defaults.get("owner", "")
        own = request.texts.get("owner-type", "").strip() == OwnerType.AUTHENTICATED_USER
        if owner and not own and self.receipt.owner.lower() != owner.lower():
            self.problems.append(f"undo: the receipt is about packages of {self.receipt.owner}, the owner is {owner}")

    def _references(self, text: str, workspace: Workspace) -> list[ImageReference]:
        if not text:
            return []
        globs, problems = parse_globs(text)
        # a name may be any bytes, and several may look the same
        names: dict[str, list[str]] = {}
        for name in workspace.files():
            names.setdefault(readable(name), []).append(name)
        picked, idle = globs.pick(names) if not problems else ([], [])
        problems += [f"'{glob}': no file of the workspace matches, so it would protect nothing" for glob in idle]
        found: list[ImageReference] = []
        for file in picked:
            try:
                for reading in (each for name in names[file] for each in workspace.readings(name)):
                    found += find_references(file, reading)
            except PathProblem as problem:
                problems.append(f"'{file}' {problem}")
        self.problems += [f"keep-used-in: {problem}" for problem in problems]
        return found


def _text(request: Request, name: str) -> str:
    return request.texts.get(name, "").strip() or INPUTS_BY_NAME[name].default
