"""What a run found, decided and did, as frozen values. Only `operations` makes a `Run`."""

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from package_keeper.errors import ApiError, PackageKeeperError
from package_keeper.model.images import Graph, Image, ImageReference, VerifiedImage
from package_keeper.model.manifest import UnreadableManifest
from package_keeper.model.packages import Owner, Package, PackageName
from package_keeper.model.plan import Decision, Plan, WriteRecord


class Problem(Struct, frozen=True, kw_only=True):
    """Something that could not be read. `package` is set when the problem is with one package."""

    what: str
    error: ApiError
    package: PackageName | None = None

    def __str__(self) -> str:
        """What could not be read, why, and the remedy."""
        remedy = f"\n{self.error.remedy}" if self.error.remedy else ""
        return f"{self.what}: {self.error}{remedy}"


class Scope(Struct, frozen=True, kw_only=True):
    """The packages of a run, sorted by type and name.

    `named` are those that were asked for by their exact name. `missing` are names of packages that do not exist.
    `ended_by` is the error that ends the run because of what was read. An operation that yields it goes no further.
    """

    packages: tuple[Package, ...] = ()
    named: frozenset[PackageName] = frozenset()
    missing: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    ended_by: PackageKeeperError | None = None

    def adding(
        self,
        *,
        missing: Iterable[str] = (),
        problems: Iterable[Problem] = (),
        ended_by: PackageKeeperError | None = None,
    ) -> "Scope":
        """Return the scope with more missing names and problems, and with what ended the run, if anything did."""
        return replace(
            self,
            missing=(*self.missing, *missing),
            problems=(*self.problems, *problems),
            ended_by=self.ended_by or ended_by,
        )


class PackageEvaluation(Struct, frozen=True, kw_only=True):
    """One package with all decisions about it.

    `graph` is set when manifests were read. It lacks what is below `unreadable` manifests. `problems` are errors of the
    run, such as a registry that cannot be reached.
    """

    package: PackageName
    images: tuple[Image, ...]
    decisions: tuple[Decision, ...]
    graph: Graph | None = None
    unreadable: tuple[UnreadableManifest, ...] = ()
    problems: tuple[Problem, ...] = ()


class Check(Struct, frozen=True, kw_only=True):
    """One check of a plan: what must hold, how many things were checked, and where it fails."""

    name: str
    counted: int
    problems: tuple[str, ...] = ()


class ForecastPackage(Struct, frozen=True, kw_only=True):
    """A package that a forecast is about. `detail` and `settings_url` may be empty."""

    package: PackageName
    detail: str = ""
    settings_url: str = ""


class Forecast(Struct, frozen=True, kw_only=True):
    """Something that users should know before the first write: one cause, with all packages that it concerns.

    A forecast never changes a plan, since it may be wrong (docs/decisions/0028).
    """

    what: str
    packages: tuple[ForecastPackage, ...]
    remedy: str


class Run(Struct, frozen=True, kw_only=True):
    """The state of one run. An operation yields it after each step, so that nothing is lost when the run ends early.

    `checks` are those that the plan passed, once the guards let it through. `forecasts` are what GitHub will probably
    refuse of it, and what users may not have meant. `listed` is what `list` shows. `rows` is
    the result of a query. `references` are the places in files that protect images in scope. `verified` is what
    `verify` and `repair` found. `broken` is the number of images that are known to be broken at the end. `ended_by` is
    the error that ended the run early.

    `bytes_planned` and `bytes_freed` are at least what the planned and the confirmed deletions give back; `None` when
    unknown. `sizes` are the later of the two by package. `image_sizes` are the bytes of images by the ids of their
    roots, when `list` looks at the health of images.

    The rest is set at the end: the `owner`, unless the run ended before it was known; the `result` word; how many
    `seconds` it took; the errors and warnings of the log as `messages`; and the paths of `plan_file`, `receipt` and
    `output_file`, or empty strings.
    """

    scope: Scope = field(default_factory=Scope)
    plan: Plan = field(default_factory=Plan)
    checks: tuple[Check, ...] | None = None
    forecasts: tuple[Forecast, ...] = ()
    listed: tuple[Decision, ...] = ()
    rows: list[dict[str, Any]] | None = None
    references: tuple[ImageReference, ...] = ()
    verified: tuple[VerifiedImage, ...] = ()
    records: tuple[WriteRecord, ...] = ()
    broken: int = 0
    bytes_planned: int | None = None
    bytes_freed: int | None = None
    sizes: Mapping[PackageName, int | None] = field(default_factory=dict)
    image_sizes: Mapping[int, int | None] | None = None
    ended_by: PackageKeeperError | None = None
    owner: Owner | None = None
    result: str = ""
    seconds: float | None = None
    messages: tuple[str, ...] = ()
    plan_file: str = ""
    plan_sha256: str = ""
    receipt: str = ""
    output_file: str = ""
