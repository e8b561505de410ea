"""Finds the packages of a run by their names and patterns, and reports what is missing or cannot be read.

Packages with exact names are read by name, since `GITHUB_TOKEN` cannot list container packages (cli/cli#9606). Globs
need the list. An error does not stop the search.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from string import ascii_lowercase
from typing import Generic, TypeVar

from msgspec import Struct

from package_keeper.errors import ApiError, ApiErrorKind, NotAuthorized, PackageKeeperError
from package_keeper.execution.ports import Log, Reader
from package_keeper.execution.wording import few
from package_keeper.model.packages import Package, PackageName, PackageType, UnreadablePackage
from package_keeper.model.run import Problem, Scope
from package_keeper.policy.patterns import Pattern, Patterns

_T = TypeVar("_T")
_R = TypeVar("_R")

TOMBSTONE = "deleted_"
"""The prefix under which lists may show deleted packages (docs/github-behaviour.md, "Endpoints")."""


class PackageFilter(Struct, frozen=True, kw_only=True):
    """Which packages a run covers, besides their type.

    `patterns` and `also` (those of a policy) must both accept the name. `None` accepts all. `repository` is the
    `owner/name` of the repository that the package must be linked to, or empty. `owners` are prefixes that users may
    write before a name, with a slash between: an exclusion matches the name with and without them.
    """

    patterns: Patterns | None = None
    also: Patterns | None = None
    visibility: str = "any"
    repository: str = ""
    owners: tuple[str, ...] = ()

    @property
    def searched(self) -> Patterns | None:
        """The patterns to search by: exact names if possible, since not every token may list packages."""
        if self.patterns is None or self.also is None:
            return self.patterns or self.also
        listed = [patterns for patterns in (self.patterns, self.also) if not _names_exactly(patterns)]
        return self.also if self.patterns in listed and self.also not in listed else self.patterns

    def accepts_name(self, name: str) -> bool:
        """Whether the name is in scope."""
        return all(self._accepts(patterns, name) for patterns in (self.patterns, self.also))

    def other_accepts(self, name: str) -> bool:
        """Whether the patterns other than `searched` accept `name`."""
        return self._accepts(self.also if self.searched is self.patterns else self.patterns, name)

    def _accepts(self, patterns: Patterns | None, name: str) -> bool:
        return patterns is None or (patterns.accepts(name) and not self.excluded(patterns, name))

    def excluded(self, patterns: Patterns, name: str) -> bool:
        """Whether an entry of `patterns` excludes `name`, with or without its owner in front."""
        return any(entry.matches(name) or self.needs_owner(entry, name) for entry in patterns.excludes)

    def excludes(self, name: str) -> bool:
        """Whether either list of patterns excludes `name`."""
        return any(patterns is not None and self.excluded(patterns, name) for patterns in (self.patterns, self.also))

    def needs_owner(self, entry: Pattern, name: str) -> bool:
        """Whether `entry` matches `name` only with the owner in front, although the name itself does not contain it.

        Entries that match any prefix do not count: `acme*` and `*/base` are about real names.
        """
        return not entry.matches(name) and any(
            entry.matches(f"{owner}/{name}")
            and not entry.matches(f"{_other_owner(owner)}/{name}")
            and not entry.matches(f"{owner.replace('/', '-')}-{name}")
            for owner in self.owners
        )

    def objection(self, package: Package) -> str:
        """Why a package of the right name is out of scope, or an empty string. Unknown properties are out of scope."""
        if self.visibility not in ("any", package.visibility):
            return f"its visibility is {package.visibility or 'unknown'}, not {self.visibility}"
        linked = package.repository_name or ""
        if self.repository and linked.lower() != self.repository.lower():
            return f"it is linked to {linked or 'no repository'}, not to {self.repository}"
        return ""

    def accepts(self, package: Package) -> bool:
        """Whether the package is in scope."""
        return self.accepts_name(package.name) and not self.objection(package)


def owners_in_front(logins: Iterable[str], registry: str) -> tuple[str, ...]:
    """The prefixes that users write before a package name: `acme`, `@acme` as npm does, and `ghcr.io/acme`."""
    found = dict.fromkeys(login.lower() for login in logins if login)
    hosts = dict.fromkeys(("ghcr.io", registry.lower()))
    return tuple(f"{before}{login}" for login in found for before in ("", "@", *(f"{host}/" for host in hosts)))


def _other_owner(owner: str) -> str:
    """A text as long as `owner` that shares no letter with it."""
    return next((letter for letter in ascii_lowercase if letter not in owner), "_") * len(owner)


def _names_exactly(patterns: Patterns) -> bool:
    return bool(patterns.includes) and all(pattern.is_exact for pattern in patterns.includes)


def problem_with(what: str, error: ApiError, package: PackageName | None = None) -> Problem:
    """Make a problem of an error. Raises `NotAuthorized` when GitHub does not accept the token."""
    if error.kind is ApiErrorKind.UNAUTHORIZED:
        raise NotAuthorized(f"GitHub: {error}\n{error.remedy}", causes=error.causes) from None
    return Problem(what=what, error=error, package=package)


class Attempts(Struct, Generic[_R], frozen=True, kw_only=True):
    """The results of a step that was tried for several packages, what failed, and what ended the run, if anything."""

    results: tuple[_R, ...]
    problems: tuple[Problem, ...]
    ended_by: PackageKeeperError | None = None


def attempt_each(
    items: Iterable[_T], step: Callable[[_T], _R], name: Callable[[_T], tuple[str, PackageName | None]]
) -> Attempts[_R]:
    """Call `step` for each item, and go on after an `ApiError`, which becomes a problem.

    `name` says what a problem is about. An error that ends the run loses nothing of what was found before it.
    """
    results: list[_R] = []
    problems: list[Problem] = []
    ended_by: PackageKeeperError | None = None
    try:
        for item in items:
            try:
                results.append(step(item))
            except ApiError as error:
                what, package = name(item)
                problems.append(problem_with(what, error, package))
    except PackageKeeperError as error:
        ended_by = error
    return Attempts(results=tuple(results), problems=tuple(problems), ended_by=ended_by)


def find_packages(
    reader: Reader, log: Log, *, owner: str, types: Iterable[PackageType], wanted: PackageFilter
) -> Scope:
    """Find the packages that are `wanted`, over all `types`.

    Raises `NotAuthorized` when GitHub does not accept the token.
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
        names = {pattern.text.lower() for pattern in exact} | search.listed_names()
        # without a list, a policy may exclude packages that were not asked for
        tell_entries(log, wanted, names, only=None if reads_lists else patterns)
    return search.scope()


def tell_entries(log: Log, wanted: PackageFilter, names: Collection[str], only: Patterns | None = None) -> None:
    """Log which entries match none of `names`, and which exclusions match without the owner in front.

    With `only`, check only that list.
    """
    names = {*names, *(name.removeprefix(f"{owner}/") for name in names for owner in wanted.owners)}
    for label, patterns in (("package", wanted.patterns), ("packages of the policy", wanted.also)):
        if patterns is None or (only is not None and patterns is not only):
            continue
        for entry in patterns.excludes:
            _tell_exclusion(log, label, entry, wanted, names)
        for entry in patterns.includes:
            is_idle = not any(entry.matches(name) for name in names)
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
        """The packages and problems that were found."""
        unique = {package.key: package for package in self.packages}
        return Scope(
            packages=tuple(sorted(unique.values(), key=lambda package: (package.type, package.name))),
            named=frozenset(self.found_by_name),
            missing=tuple(self.missing),
            problems=tuple(self.problems),
        )

    def listed(self) -> None:
        """Add the wanted packages of the lists."""
        answers = self.reader.packages(self.types)
        for package_type in self.types:
            self.take_list(package_type, answers[package_type], quietly=False)
            self.packages += [each for each in self.lists[package_type] or () if self.wanted.accepts(each)]

    def read_list(self, package_type: PackageType) -> None:
        """Read the list of a type, once. That it cannot be read is no problem."""
        if package_type not in self.lists:
            self.take_list(package_type, self.reader.packages([package_type])[package_type], quietly=True)

    def take_list(
        self,
        package_type: PackageType,
        packages: Sequence[Package | UnreadablePackage] | ApiError,
        *,
        quietly: bool,
    ) -> None:
        """Keep the list of a type, and what it cannot tell as problems unless `quietly`."""
        if isinstance(packages, ApiError):
            problem = problem_with(f"the list of {package_type} packages", packages)
            self.lists[package_type] = None
            if not quietly:
                self.problems.append(problem)
            return
        readable = [package for package in packages if isinstance(package, Package)]
        for package in packages:
            if isinstance(package, UnreadablePackage) and not quietly:
                self.note_unreadable(package_type, package)
        real = [package for package in readable if not package.name.startswith(TOMBSTONE)]
        if len(real) < len(readable):
            self.log.info(f"{len(readable) - len(real)} {package_type} packages are deleted already; left out")
        self.lists[package_type] = real

    def listed_names(self) -> set[str]:
        """The names in all lists that were read, in scope or not."""
        return {package.name.lower() for packages in self.lists.values() for package in packages or ()}

    def note_unreadable(self, package_type: PackageType, package: UnreadablePackage) -> None:
        """Add a problem if the package may be in scope: leaving it out silently would look like success."""
        if not package.name or self.wanted.accepts_name(package.name):
            what = (
                f"{package_type}/{package.name}" if package.name else f"an entry in the list of {package_type} packages"
            )
            self.problems.append(Problem(what=what, error=ApiError(ApiErrorKind.OTHER, package.why)))

    def look_ahead(self, names: Sequence[str]) -> None:
        """Ask for several packages at once. `find` evaluates the answers one by one, in order."""
        keys = [PackageName(type=package_type, name=name) for name in names for package_type in self.types]
        self.answers.update(self.reader.packages_named(key for key in keys if self.known(key) is None))

    def known(self, key: PackageName) -> Package | None:
        """The package in the list of its type, if the list was read."""
        listed = self.lists.get(key.type)
        return next((package for package in listed or () if package.name.lower() == key.name.lower()), None)

    def named(self, pattern: Pattern, patterns: Patterns) -> None:
        """Find the packages with one exact name, over all types."""
        name = pattern.text
        problems = len(self.problems)
        if self.find(name):
            return
        prefix, _, rest = name.partition("/")
        if rest and prefix.lower() == self.owner.lower():
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
            # the written name may have the owner in front, so check only the other list against the real name
            if not self.wanted.other_accepts(package.name):
                continue
            if objection := self.wanted.objection(package):
                self.log.notice(f"{package.key} is out of scope: {objection}")
                continue
            self.packages.append(package)
            self.found_by_name.add(package.key)
        return found

    def get(self, key: PackageName) -> Package | None:
        if (known := self.known(key)) is not None:
            return known
        try:
            package = self.answer(key)
            if package.type is key.type and package.name.lower() == key.name.lower():
                return package
            self.log.notice(f"package: GitHub answers {package.key} for {key}; nobody named that, so it is left alone")
        except ApiError as error:
            if error.kind is not ApiErrorKind.NOT_FOUND:
                self.problems.append(problem_with(str(key), error))
                return None
        # names compare without case; whether GitHub's GET ignores case is not documented
        self.read_list(key.type)
        return self.known(key)

    def answer(self, key: PackageName) -> Package:
        answer = self.answers[key] if key in self.answers else self.reader.package(key)
        if isinstance(answer, ApiError):
            raise answer
        return answer
