"""Gathers what rules need besides versions: repository states, SQL results and images in use. Logs what was found."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from msgspec import Struct, field

from package_keeper.errors import ApiError, BadInput
from package_keeper.execution.ports import Clock, Log, ReadDeployments, RepositoryReader
from package_keeper.execution.wording import few
from package_keeper.model.evidence import Use, released_names
from package_keeper.model.images import ImageReference
from package_keeper.model.packages import Package, PackageName, Version
from package_keeper.model.plan import Reason
from package_keeper.model.repository import RepositoryState
from package_keeper.model.usage import Usage, UsageRow
from package_keeper.policy.gone import GoneTags
from package_keeper.policy.images_in_use import ImagesInUse
from package_keeper.policy.retention import GroupBy
from package_keeper.policy.rules import Rules
from package_keeper.policy.selection import Facts
from package_keeper.policy.semver import Prerelease, release_of, semantic_version
from package_keeper.policy.sql import Inventory, SqlProblem
from package_keeper.policy.usage import AmbiguousUsage, usage_of

Found = Sequence[tuple[Package, list[Version]]]
"""The packages in scope, each with its versions."""

SQL_SECONDS = 30.0
"""How long one SQL expression or query may run."""

MANY_REFERENCES = 200
"""How many references the log lists before it says how many more there are."""


class FactGatherer(Struct, kw_only=True):
    """Gathers facts for the rules of one run.

    If `repository` is given, all packages use it. Packages that are linked to no repository use `fallback`. Both are
    `owner/name`, or empty.
    """

    rules: Rules
    owner: str
    repositories: RepositoryReader
    repository: str
    fallback: str
    clock: Clock
    log: Log
    read_deployments: ReadDeployments | None = None
    read_usage: Callable[[], Iterable[UsageRow]] | None = None
    """Reads the file of the input `usage`."""
    usage_since: datetime | None = None
    logins: tuple[str, ...] = ()
    """The logins of the owner, as package names in files may have them in front."""
    deployed: dict[int, Use] = field(default_factory=dict)
    """The roots that are kept by deployment records, as far as GitHub was asked."""
    _read: dict[str, RepositoryState | None] = field(default_factory=dict)
    _released: dict[str, Mapping[str, str] | None] = field(default_factory=dict)
    """The names of released versions by repository. `None` when it cannot be read."""

    def gather(self, found: Found) -> Facts:
        """Gather all facts that the rules need. Raises `BadInput` for SQL that cannot be run."""
        self._tell_non_semver(found)
        usage = self._usage(found)
        return Facts(
            repositories=self._repositories(found),
            selected=self._selected(found, usage),
            usage=usage,
            usage_since=self.usage_since,
            releases=self._releases(found),
            uses=self.uses(found) | self.deployed,
        )

    def forget(self) -> None:
        """Forget the states and releases of repositories, so that they are read again."""
        self._read.clear()
        self._released.clear()

    def _releases(self, found: Found) -> dict[PackageName, frozenset[tuple[int, int, int]]]:
        """The releases among the versions of each package, for `prerelease: superseded`."""
        if not any(rule.selection.prerelease is Prerelease.SUPERSEDED for rule in self.rules.rules):
            return {}
        return {package.key: _released_versions(versions) for package, versions in found}

    def uses(self, found: Found) -> dict[int, Use]:
        """The versions that are released, for `keep-released`."""
        uses: dict[int, Use] = {}
        for package, versions in found if self.rules.lists.released else ():
            names = self._released_names(package)
            uses |= {version.id: use for version in versions if (use := _use_of(version, names)) is not None}
        return uses

    def _released_names(self, package: Package) -> Mapping[str, str] | None:
        """The names of released versions, read once for each repository. `None` when nobody knows them."""
        name = self.repository or package.repository_name or self.fallback
        if not name:
            self.log.warning(
                f"keep-released: {package.key} is linked to no repository, so nobody knows its releases and all of it"
                " stays; name one with the input repository"
            )
            return None
        if name not in self._released:
            try:
                tags = self.repositories.releases(name)
            except ApiError as error:
                self.log.warning(
                    f"keep-released: the releases of {name} cannot be read ({error}), so everything in its packages"
                    " stays; the token needs contents: read"
                )
                self._released[name] = None
            else:
                self.log.info(f"keep-released: published releases read from {name}: {len(tags)}")
                self._released[name] = released_names(tags)
        return self._released[name]

    def _usage(self, found: Found) -> dict[int, Usage]:
        """The versions that the usage file names. Raises `BadInput`."""
        if self.read_usage is None:
            return {}
        try:
            usage = usage_of(self.read_usage(), found, self.logins)
        except AmbiguousUsage as problem:
            raise BadInput([f"usage: {problem}"]) from None
        count = sum(len(versions) for _, versions in found)
        self.log.info(f"usage: of the {count} versions in scope, the file names {len(usage)}")
        return usage

    def tables(self, found: Found, usage: Mapping[int, Usage] | None = None) -> Inventory:
        """Return the packages and versions as tables for SQL."""
        until = self.clock.monotonic() + SQL_SECONDS
        return Inventory(
            packages=[package for package, _ in found],
            versions=[version for _, versions in found for version in versions],
            owner=self.owner,
            now=self.rules.now,
            timestamp=self.rules.timestamp,
            may_go_on=lambda: self.clock.monotonic() < until,
            usage=self._usage(found) if usage is None else usage,
        )

    def _selected(self, found: Found, usage: Mapping[int, Usage]) -> dict[str, frozenset[int]]:
        selected = {}
        for expression in sorted(self.rules.expressions):
            try:
                selected[expression] = self.tables(found, usage).selected(expression)
            except SqlProblem as problem:
                rule = next(rule for rule in self.rules.rules if rule.selection.where == expression)
                where = f"policy, rule '{rule.name}', where" if rule.name else "where"
                raise BadInput([f"{where}: '{expression}' is not accepted: {problem}"]) from None
        return selected

    def _repositories(self, found: Found) -> dict[PackageName, RepositoryState]:
        """The repository states by package, for packages with a tag or version name that a `gone` template fits."""
        templates = [rule.selection.gone for rule in self.rules.rules if rule.selection.gone is not None]
        states: dict[PackageName, RepositoryState] = {}
        for package, versions in found if templates else ():
            state = self._repository_of(package) if _concerns_any(templates, versions) else None
            if state is not None:
                states[package.key] = state
        return states

    def _repository_of(self, package: Package) -> RepositoryState | None:
        """The state of a package's repository, read once a run. `None` when it is unknown or cannot be read."""
        name = self.repository or package.repository_name or self.fallback
        if not name:
            self.log.warning(
                f"gone: {package.key} is linked to no repository, so nothing shows which of its tags or versions are"
                " gone and none is selected by that; name one with the input repository"
            )
            return None
        if name not in self._read:
            self._read[name] = self._read_repository(name)
        return self._read[name]

    def _read_repository(self, name: str) -> RepositoryState | None:
        try:
            state = self.repositories.state(name)
        except ApiError as error:
            self.log.warning(
                f"gone: the repository {name} cannot be read ({error}), so nothing is selected by what is gone"
                " there; the token needs contents: read and pull-requests: read"
            )
            return None
        self.log.info(
            f"gone: read from {name}: branches {len(state.branches)}, open pull requests {len(state.open_pulls)},"
            f" closed ones {len(state.closed_pulls)}, git tags {len(state.git_tags)}"
        )
        return state

    def _tell_non_semver(self, found: Found) -> None:
        groups = (GroupBy.MAJOR, GroupBy.MINOR)
        if not any(
            rule.selection.matches_semver or (rule.counts.latest and rule.counts.grouping.by in groups)
            for rule in self.rules.rules
        ):
            return
        for package, versions in found:
            if package.type.has_tags:
                continue
            names = sorted({version.name for version in versions if semantic_version(version.name) is None})
            if names:
                self.log.notice(f"{package.key}: what is no SemVer stays: {few(names)}")


def _use_of(version: Version, released: Mapping[str, str] | None) -> Use | None:
    """Why `keep-released` keeps a version, or `None`. `released` are the names of releases; `None` is unknown."""
    if released is None:
        return Use(reason=Reason.UNKNOWN_USE)
    names = version.image_tags if version.package.type.has_tags else (version.name,)
    tag = next((released[name] for name in names if name in released), None)
    return None if tag is None else Use(reason=Reason.KEEP_RELEASED, where=f"release {tag}")


def _released_versions(versions: Iterable[Version]) -> frozenset[tuple[int, int, int]]:
    """The major, minor and patch of every active version or tag that is a SemVer release."""
    found = filter(None, map(semantic_version, _names(versions)))
    return frozenset(release_of(each) for each in found if each.prerelease is None)


def _names(versions: Iterable[Version]) -> set[str]:
    """All tags, and the version names of types without tags."""
    return {
        name
        for version in versions
        for name in (version.image_tags if version.package.type.has_tags else (version.name,))
    }


def _concerns_any(templates: Sequence[GoneTags], versions: Iterable[Version]) -> bool:
    """Whether any tag, or version name of a type without tags, fits any `gone` template."""
    return any(gone.concerns(name) for name in _names(versions) for gone in templates)


def references_here(used: ImagesInUse, packages: Iterable[Package]) -> tuple[ImageReference, ...]:
    """Return the references to packages in scope, each place once.

    Raises `BadInput` when a glob found only uncertain references, and none of them names a package in scope.
    """
    keys = [package.key for package in packages]
    here = used.here(keys)
    doubtful = set(used.idle_globs([each for each in used.references if each.certain])) if keys else set()
    if idle := [glob for glob in used.idle_globs(here) if glob in doubtful]:
        raise BadInput(
            [
                f"keep-used-in: '{glob}': its files name no image of the owner for certain, and what might be one is"
                " called like no package in scope, so it would protect nothing; accepted is a glob of files that name"
                " images as OWNER/PACKAGE"
                for glob in idle
            ]
        )
    return tuple(here)


def tell_references(here: Sequence[ImageReference], found: Found, log: Log) -> None:
    """Log which images are in use, and warn of references that match no version."""
    if not here:
        return
    files = {reference.file for reference in here}
    log.info(f"keep-used-in: references to images of the packages in scope: {len(here)}, files with them: {len(files)}")
    for line in _lines(here, _what_stays):
        log.info(f"  {line}")
    tags = {(package.key.name.lower(), tag) for package, versions in found for v in versions for tag in v.tags}
    names = {version.name for _, versions in found for version in versions}
    lost = [
        each
        for each in here
        if not each.whole
        and each.digest not in names
        and (each.digest is not None or (each.package.lower(), each.tag) not in tags)
    ]
    for line in _lines(lost, lambda _: "was found in no package in scope"):
        log.warning(f"keep-used-in: {line}")


def _what_stays(reference: ImageReference) -> str:
    if reference.package == "*":
        return "it may be any package, so all of them stay whole"
    return "the whole package stays" if reference.whole else "the image stays"


def _lines(references: Sequence[ImageReference], meaning: Callable[[ImageReference], str]) -> list[str]:
    """One line for each reference, with its first place and the number of others."""
    places: dict[str, list[str]] = {}
    for reference in references:
        places.setdefault(f"{reference.text}: {meaning(reference)}", []).append(reference.place)
    lines = [
        f"{where[0]}{f' and {len(where) - 1} more places' if len(where) > 1 else ''}: {what}"
        for what, where in places.items()
    ]
    if len(lines) > MANY_REFERENCES:
        lines[MANY_REFERENCES:] = [f"and {len(lines) - MANY_REFERENCES} more like these"]
    return lines
