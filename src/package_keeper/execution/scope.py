"""Which packages a run concerns: patterns ─▶ packages that exist, and what is missing or refused.

Exact names are asked for by name, since `GITHUB_TOKEN` cannot list container packages (cli/cli#9606); globs need the
list. Nothing here stops at the first refusal.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from string import ascii_lowercase

from package_keeper.errors import ApiError, ApiErrorKind, NotAuthorized
from package_keeper.execution.ports import Log, Reader
from package_keeper.execution.wording import few
from package_keeper.model.packages import Package, PackageName, PackageType, UnreadablePackage
from package_keeper.model.run import Problem, Scope
from package_keeper.policy.patterns import Pattern, Patterns

TOMBSTONE = "deleted_"
"""Lists may hold packages under this prefix that are deleted already (docs/github-behaviour.md, "Endpoints")."""


@dataclass(frozen=True, kw_only=True)
class PackageFilter:
    """Which packages a run is about, besides their type.

    `patterns` and `also` (those of a policy) must both accept the name; `None` accepts all. `repository` is the
    `owner/name` of the repository that the package must be linked to, or empty. `owners` are the texts that may stand
    in front of a name, with a slash between: an exclusion means the name with and without them.
    """

    patterns: Patterns | None = None
    also: Patterns | None = None
    visibility: str = "any"
    repository: str = ""
    owners: tuple[str, ...] = ()

    @property
    def searched(self) -> Patterns | None:
        """The patterns to search by: exact names if there are any, since not every token may list packages."""
        if self.patterns is None or self.also is None:
            return self.patterns or self.also
        listed = [patterns for patterns in (self.patterns, self.also) if not _names_exactly(patterns)]
        return self.also if self.patterns in listed and self.also not in listed else self.patterns

    def accepts_name(self, name: str) -> bool:
        """Whether a package of this name is meant."""
        return all(self._accepts(patterns, name) for patterns in (self.patterns, self.also))

    def others_accept(self, name: str) -> bool:
        """Whether the patterns that are not searched by accept `name`."""
        others = [patterns for patterns in (self.patterns, self.also) if patterns is not self.searched]
        return all(self._accepts(patterns, name) for patterns in others)

    def _accepts(self, patterns: Patterns | None, name: str) -> bool:
        return patterns is None or (patterns.accepts(name) and not self.excluded(patterns, name))

    def excluded(self, patterns: Patterns, name: str) -> bool:
        """Whether an entry of `patterns` excludes `name`, or the name with its owner in front."""
        return any(entry.matches(name) or self.needs_owner(entry, name) for entry in patterns.excludes)

    def excludes(self, name: str) -> bool:
        """Whether any list excludes `name`, whatever it includes."""
        return any(patterns is not None and self.excluded(patterns, name) for patterns in (self.patterns, self.also))

    def needs_owner(self, entry: Pattern, name: str) -> bool:
        """Whether `entry` means `name` with its owner in front, which is no part of it.

        The owner and the slash must count: `acme*` and `*/base` mean names that really are so.
        """
        return not entry.matches(name) and any(
            entry.matches(f"{owner}/{name}")
            and not entry.matches(f"{_somebody_else(owner)}/{name}")
            and not entry.matches(f"{owner.replace('/', '-')}-{name}")
            for owner in self.owners
        )

    def objection(self, package: Package) -> str:
        """Why a package of the right name is not meant after all, or an empty string. What is unknown is not meant."""
        if self.visibility not in ("any", package.visibility):
            return f"its visibility is {package.visibility or 'unknown'}, not {self.visibility}"
        linked = package.repository_name or ""
        if self.repository and linked.lower() != self.repository.lower():
            return f"it is linked to {linked or 'no repository'}, not to {self.repository}"
        return ""

    def accepts(self, package: Package) -> bool:
        """Whether the package is meant."""
        return self.accepts_name(package.name) and not self.objection(package)


def owners_in_front(logins: Iterable[str], registry: str) -> tuple[str, ...]:
    """What users write in front of the name of a package: the owner, as npm does, and with a registry before it."""
    found = dict.fromkeys(login.lower() for login in logins if login)
    hosts = dict.fromkeys(("ghcr.io", registry.lower()))
    return tuple(f"{before}{login}" for login in found for before in ("", "@", *(f"{host}/" for host in hosts)))


def _somebody_else(owner: str) -> str:
    return next((letter for letter in ascii_lowercase if letter not in owner), "_") * len(owner)


def _names_exactly(patterns: Patterns) -> bool:
    return bool(patterns.includes) and all(pattern.is_exact for pattern in patterns.includes)


def problem_with(what: str, error: ApiError, package: PackageName | None = None) -> Problem:
    """Something that could not be read. Raises `NotAuthorized` when GitHub refuses the token itself."""
    if error.kind is ApiErrorKind.UNAUTHORIZED:
        raise NotAuthorized(f"GitHub: {error}\n{error.remedy}") from None
    return Problem(what=what, error=error, package=package)


def find_packages(
    reader: Reader, log: Log, *, owner: str, types: Iterable[PackageType], wanted: PackageFilter
) -> Scope:
    """Find the packages that are `wanted`, over all `types`.

    Raises `NotAuthorized` when GitHub refuses the token itself.
    """
    search = _Search(reader, log, owner, tuple(types), wanted)
    patterns = wanted.searched
    exact = [pattern for pattern in (patterns.includes if patterns else ()) if pattern.is_exact]
    reads_lists = patterns is None or len(exact) < len(patterns.includes) or not patterns.includes
    if reads_lists:
        search.listed()
    if patterns is not None:
        wanted_names = [pattern for pattern in exact if not wanted.excluded(patterns, pattern.text)]
        search.look_ahead([pattern.text for pattern in wanted_names])
        for pattern in wanted_names:
            search.named(pattern, patterns)
    if not search.problems:
        names = {pattern.text.lower() for pattern in exact} | {package.name.lower() for package in search.seen()}
        # a policy may exclude what is not asked about, unless everything is
        tell_entries(log, wanted, names, only=None if reads_lists else patterns)
    return search.scope()


def tell_entries(log: Log, wanted: PackageFilter, names: Collection[str], only: Patterns | None = None) -> None:
    """Say which entries match none of `names`, and which exclude more without the owner in front.

    With `only`, that list alone is looked at.
    """
    names = {*names, *(name.removeprefix(f"{owner}/") for name in names for owner in wanted.owners)}
    for label, patterns in (("package", wanted.patterns), ("packages of the policy", wanted.also)):
        if patterns is None or (only is not None and patterns is not only):
            continue
        for entry in patterns.excludes:
            _tell_exclusion(log, label, entry, wanted, names)
        for entry in patterns.includes:
            is_idle = not entry.is_exact and not any(entry.matches(name) for name in names)
            if is_idle and any(wanted.needs_owner(entry, name) for name in names):
                log.warning(f"{label}: '{entry.text}' matches nothing; write it without the owner in front")


def _tell_exclusion(log: Log, label: str, entry: Pattern, wanted: PackageFilter, names: Collection[str]) -> None:
    meant = sorted(name for name in names if wanted.needs_owner(entry, name))
    if meant:
        log.notice(f"{label}: '!{entry.text}' is taken without the owner in front too: it excludes {few(meant)}")
    elif not any(entry.matches(name) for name in names):
        log.warning(f"{label}: '!{entry.text}' excludes nothing: no package that was looked at has such a name")


class _Search:
    def __init__(
        self, reader: Reader, log: Log, owner: str, types: tuple[PackageType, ...], wanted: PackageFilter
    ) -> None:
        self.reader = reader
        self.log = log
        self.owner = owner
        self.types = types
        self.wanted = wanted
        self.packages: list[Package] = []
        self.found_by_name: set[PackageName] = set()
        self.missing: list[str] = []
        self.problems: list[Problem] = []
        self.lists: dict[PackageType, list[Package] | None] = {}
        self.answers: dict[PackageName, Package | ApiError] = {}

    def scope(self) -> Scope:
        """What was found."""
        unique = {package.key: package for package in self.packages}
        return Scope(
            packages=tuple(sorted(unique.values(), key=lambda package: (package.type, package.name))),
            named=frozenset(self.found_by_name),
            missing=tuple(self.missing),
            problems=tuple(self.problems),
        )

    def listed(self) -> None:
        """Take from the lists what is wanted."""
        answers = self.reader.packages(self.types)
        for package_type in self.types:
            packages = self.take_list(package_type, answers[package_type])
            if packages is not None:
                self.packages += [package for package in packages if self.wanted.accepts(package)]

    def list_of(self, package_type: PackageType, *, quietly: bool = False) -> list[Package] | None:
        """The list of a type, read once; `None`, and a problem, when it is refused."""
        if package_type not in self.lists:
            self.take_list(package_type, self.reader.packages([package_type])[package_type], quietly=quietly)
        return self.lists[package_type]

    def take_list(
        self,
        package_type: PackageType,
        packages: Sequence[Package | UnreadablePackage] | ApiError,
        *,
        quietly: bool = False,
    ) -> list[Package] | None:
        if isinstance(packages, ApiError):
            problem = problem_with(f"the list of {package_type} packages", packages)
            self.lists[package_type] = None
            if not quietly:
                self.problems.append(problem)
            return None
        readable = [package for package in packages if isinstance(package, Package)]
        for package in packages:
            if isinstance(package, UnreadablePackage) and not quietly:
                self.note_unreadable(package_type, package)
        real = [package for package in readable if not package.name.startswith(TOMBSTONE)]
        if len(real) < len(readable):
            self.log.info(f"{len(readable) - len(real)} {package_type} packages are deleted already; left out")
        self.lists[package_type] = real
        return real

    def seen(self) -> Iterator[Package]:
        """All packages that are known, in scope or not."""
        for packages in self.lists.values():
            yield from packages or ()
        yield from self.packages

    def note_unreadable(self, package_type: PackageType, package: UnreadablePackage) -> None:
        """It may be one that is wanted; then it stays as it is, and that is no success."""
        if not package.name or self.wanted.accepts_name(package.name):
            what = (
                f"{package_type}/{package.name}" if package.name else f"an entry in the list of {package_type} packages"
            )
            self.problems.append(Problem(what=what, error=ApiError(ApiErrorKind.OTHER, package.why)))

    def look_ahead(self, names: Sequence[str]) -> None:
        """Ask for several packages at once; what each answer means is judged one by one, in their order."""
        keys = [PackageName(type=package_type, name=name) for name in names for package_type in self.types]
        if len(keys) > 1:
            unknown = [key for key in keys if self.known(key) is None]
            self.answers.update(self.reader.packages_named(unknown))

    def known(self, key: PackageName) -> Package | None:
        """The package out of the list of its type, if that was read."""
        listed = self.lists.get(key.type)
        return next((package for package in listed or () if package.name.lower() == key.name.lower()), None)

    def named(self, pattern: Pattern, patterns: Patterns) -> None:
        """Find one package by its exact name, over all types."""
        name = pattern.text
        problems = len(self.problems)
        if self.find(name):
            return
        prefix, slash, rest = name.partition("/")
        if slash and rest and prefix.lower() == self.owner.lower():
            if self.wanted.excluded(patterns, rest):
                return
            if self.find(rest):
                self.log.notice(f"package: nothing is named '{name}'; taken as '{rest}', without the owner")
                return
        if len(self.problems) == problems:
            self.missing.append(name)

    def find(self, name: str) -> bool:
        found = False
        for package_type in self.types:
            package = self.get(PackageName(type=package_type, name=name))
            if package is None:
                continue
            found = True
            # the name as written may have the owner in front, so only the other list judges the real one
            if not self.wanted.others_accept(package.name):
                continue
            if objection := self.wanted.objection(package):
                self.log.notice(f"{package.key} is out of scope: {objection}")
                continue
            self.packages.append(package)
            self.found_by_name.add(package.key)
        return found

    def get(self, key: PackageName) -> Package | None:
        listed = self.lists.get(key.type)
        if (known := self.known(key)) is not None:
            return known
        try:
            package = self.answer(key)
            if package.type is key.type and package.name.lower() == key.name.lower():
                return package
            self.log.notice(f"package: GitHub answers {package.key} for {key}; nobody named that, so it is left alone")
        except ApiError as refused:
            if refused.kind is not ApiErrorKind.NOT_FOUND:
                self.problems.append(problem_with(str(key), refused))
                return None
        if key.name != key.name.lower() or listed is None:
            # names compare without case; whether GitHub's GET does is not documented
            for package in self.list_of(key.type, quietly=True) or ():
                if package.name.lower() == key.name.lower():
                    return package
        return None

    def answer(self, key: PackageName) -> Package:
        answer = self.answers[key] if key in self.answers else self.reader.package(key)
        if isinstance(answer, ApiError):
            raise answer
        return answer
