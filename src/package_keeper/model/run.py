"""What a run found, decided and did, as frozen values. Only `operations/` puts a `Run` together."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from package_keeper.errors import ApiError, PackageKeeperError
from package_keeper.model.images import Graph, Image, ImageReference, VerifiedImage
from package_keeper.model.manifest import UnreadableManifest
from package_keeper.model.packages import Owner, Package, PackageName
from package_keeper.model.plan import Decision, Plan, WriteRecord


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Something that could not be read. `package` is set when it concerns one package."""

    what: str
    error: ApiError
    package: PackageName | None = None

    def __str__(self) -> str:
        """Say what and why, with what to change."""
        remedy = f"\n{self.error.remedy}" if self.error.remedy else ""
        return f"{self.what}: {self.error}{remedy}"


@dataclass(frozen=True, kw_only=True)
class Scope:
    """The packages of a run, sorted by type and name.

    `named` are those that were asked for by their exact name. `missing` are names that stand for no package.
    """

    packages: tuple[Package, ...] = ()
    named: frozenset[PackageName] = frozenset()
    missing: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()

    def adding(self, *, missing: Iterable[str] = (), problems: Iterable[Problem] = ()) -> "Scope":
        """The same scope with more missing names and problems."""
        return replace(self, missing=(*self.missing, *missing), problems=(*self.problems, *problems))


@dataclass(frozen=True, kw_only=True)
class PackageEvaluation:
    """One package with everything that was decided about it.

    `graph` is set where images were understood. It lacks what is behind manifests that are `unreadable`. `problems` are
    failures of the run, such as a registry that cannot be reached.
    """

    package: PackageName
    images: tuple[Image, ...]
    decisions: tuple[Decision, ...]
    graph: Graph | None = None
    unreadable: tuple[UnreadableManifest, ...] = ()
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Check:
    """One check of a plan: what must hold, how many things were checked, and where it fails."""

    name: str
    counted: int
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run, as far as it has come. An operation yields it after each step, so that an early end loses nothing.

    `checks` are those that the plan passed, once the guards let it through. `listed` is what `list` shows. `rows` is
    what a query gave. `references` are the places in files that protect images of the packages in scope. `verified` is
    what `verify` and `repair` found. `broken` is the number of images that are
    broken at the end, as far as the operation looked. `ended_by` is what ended the run early.

    The rest is known at the end: the `owner`, unless the run ended before it was known; the `result` word; the
    `messages` of the log, which are its errors and warnings; and the paths of the `plan_file`, the `receipt` and
    the `output_file`, or empty texts.
    """

    scope: Scope = field(default_factory=Scope)
    plan: Plan = field(default_factory=Plan)
    checks: tuple[Check, ...] | None = None
    listed: tuple[Decision, ...] = ()
    rows: list[dict[str, Any]] | None = None
    references: tuple[ImageReference, ...] = ()
    verified: tuple[VerifiedImage, ...] = ()
    records: tuple[WriteRecord, ...] = ()
    broken: int = 0
    ended_by: PackageKeeperError | None = None
    owner: Owner | None = None
    result: str = ""
    messages: tuple[str, ...] = ()
    plan_file: str = ""
    plan_sha256: str = ""
    receipt: str = ""
    output_file: str = ""
