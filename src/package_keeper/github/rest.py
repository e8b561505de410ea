"""The 27 operations of GitHub Packages: nine, for each of three families of paths (docs/github-behaviour.md,
"Endpoints").

Reading and writing are two classes. A dry run gets no `PackagesWriter`, so it cannot write.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from threading import Lock
from typing import TypeVar
from urllib.parse import quote

from msgspec import Struct

from package_keeper.errors import ApiError, ApiErrorKind
from package_keeper.github import decode, errors
from package_keeper.github.http import UNCHANGED, HttpClient, Response
from package_keeper.github.paging import CHANGES_TOO_FAST, Listing, read_lists
from package_keeper.github.pool import Pool
from package_keeper.github.rate_limit import Permit, Use
from package_keeper.model.evidence import DeploymentRecord
from package_keeper.model.packages import (
    Owner,
    OwnerType,
    Package,
    PackageName,
    PackageType,
    UnreadablePackage,
    Version,
)
from package_keeper.model.permissions import TokenFacts

_T = TypeVar("_T")

_Page = tuple[list[Version], Mapping[str, str]]

_Entry = Package | UnreadablePackage

_VISIBILITIES = ("public", "private", "internal")

MANY = 5
"""How many packages a text names before it counts the rest."""


def _base(owner: Owner) -> str:
    login = quote(owner.login, safe="")
    match owner.type:
        case OwnerType.ORGANIZATION:
            return f"/orgs/{login}"
        case OwnerType.USER:
            return f"/users/{login}"
        case OwnerType.AUTHENTICATED_USER:
            return "/user"


class _Family:
    """The paths of one owner."""

    def __init__(self, http_client: HttpClient, owner: Owner) -> None:
        self._http = http_client
        self._base = _base(owner)

    def _package(self, package: PackageName) -> str:
        if package.name in ("", ".", ".."):
            # a client or a proxy would resolve such path segments into another path
            raise ApiError(ApiErrorKind.OTHER, f"'{package.name}' cannot be the name of a package")
        # the whole name is encoded: repo%2Fimage, %40scope%2Fname
        return f"{self._base}/packages/{package.type}/{quote(package.name, safe='')}"

    def _version(self, package: PackageName, version_id: int) -> str:
        return f"{self._package(package)}/versions/{version_id}"


class PackagesReader(_Family):
    """The five operations that read. Every method may raise `ApiError`."""

    def __init__(self, http_client: HttpClient, owner: Owner, pool: Pool) -> None:
        super().__init__(http_client, owner)
        self._pool = pool
        self._pages: dict[tuple[str, int, int], _KnownPage] = {}
        self._counts: dict[PackageName, int | None] = {}
        self._countable: set[PackageName] = set()
        self._long: set[PackageName] = set()
        self._incomplete: dict[PackageName, str] = {}
        self._lock = Lock()
        self._remarks: list[str] = []

    @property
    def remarks(self) -> list[str]:
        """Warnings about lists in which GitHub left something out without an error."""
        return [*self._remarks, *self._incomplete_remarks()]

    @property
    def token_facts(self) -> TokenFacts:
        """What GitHub's last answer shows about the token."""
        return self._http.token_facts

    def is_long(self, package: PackageName) -> bool:
        """Whether the list of its active versions had several pages when it was last read."""
        return package in self._long

    def is_incomplete(self, package: PackageName) -> bool:
        """Whether GitHub said in this run that it does not list all versions of a package."""
        return package in self._incomplete

    def conflicts(self) -> list[Package]:
        """List the packages with a conflict from the Docker migration."""
        entries = self._get(f"{self._base}/docker/conflicts", {}, lambda body: decode.packages(body, None))[0]
        for entry in entries:
            if isinstance(entry, UnreadablePackage):
                raise ApiError(ApiErrorKind.OTHER, entry.why)
        return [entry for entry in entries if isinstance(entry, Package)]

    def packages(self, package_types: Sequence[PackageType]) -> dict[PackageType, list[_Entry] | ApiError]:
        """List all packages of several types, in parallel; for a type whose list cannot be read, give the error.

        GitHub lists up to 10,000 packages. If there are more, each visibility is listed by itself, and a remark says
        what is still missing.
        """
        lists, problems = self._package_lists([(package_type, "") for package_type in package_types])
        found: dict[PackageType, list[_Entry] | ApiError] = {}
        for package_type in package_types:
            whole = lists[package_type, ""]
            if problem := problems.get((package_type, "")):
                found[package_type] = problem
            elif whole.complete:
                found[package_type] = whole.entries
            else:
                found[package_type] = self._by_visibility(package_type, whole.entries)
        return found

    def _by_visibility(self, package_type: PackageType, known: list[_Entry]) -> list[_Entry] | ApiError:
        parts, problems = self._package_lists([(package_type, visibility) for visibility in _VISIBILITIES])
        for problem in problems.values():
            return problem
        unique = {_identity(package): package for package in known}
        unique.update((_identity(package), package) for part in parts.values() for package in part.entries)
        if not all(part.complete for part in parts.values()):
            self._remark(
                f"GitHub lists no more than {len(unique)} {package_type} packages of this owner; others were not seen"
                " and stay as they are: name them in `package`"
            )
        return list(unique.values())

    def packages_named(self, packages: Iterable[PackageName]) -> dict[PackageName, Package | ApiError]:
        """Get several packages by name, in parallel; for one that cannot be read, give the error."""

        def get(package: PackageName) -> Package | ApiError:
            try:
                return self.package(package)
            except ApiError as error:
                return error

        return self._pool.all(packages, get, self._http.rate_limiter, "reading packages")

    def deployments(self, digests: Iterable[str]) -> dict[str, Sequence[DeploymentRecord] | ApiError]:
        """Ask for the deployment records of several digests, in parallel (docs/github-behaviour.md, "What
        GitHub knows about artifacts"). A question without an answer has its error.
        """

        def get(digest: str) -> Sequence[DeploymentRecord] | ApiError:
            try:
                return self._get(
                    f"{self._base}/artifacts/{digest}/metadata/deployment-records", {}, decode.deployments
                )[0]
            except ApiError as error:
                return error

        return self._pool.all(digests, get, self._http.rate_limiter)

    def package(self, package: PackageName) -> Package:
        """Get one package by name."""
        found = self._get(self._package(package), {}, lambda body: decode.package(body, package.type))[0]
        self._counts[found.key] = found.version_count
        return found

    def versions(self, package: PackageName, *, deleted: bool = False) -> list[Version]:
        """List all versions of a package: the active ones, or those deleted in the last 30 days."""
        found = self.versions_of([package], deleted=deleted)[package]
        if isinstance(found, ApiError):
            raise found
        return found

    def versions_of(
        self,
        packages: Iterable[PackageName],
        *,
        deleted: bool = False,
        seen: Mapping[PackageName, AbstractSet[int]] | None = None,
        gone: AbstractSet[int] = frozenset(),
    ) -> dict[PackageName, list[Version] | ApiError]:
        """List all versions of several packages, in parallel; for a list that cannot be read, give the error.

        Packages in `seen` need a list that is certain; the values are the ids of the reading before. Such a list, if it
        has several pages, is read until two readings in a row show the same ids. A list that changes too fast for that,
        or that GitHub calls incomplete, gives an error. `gone` are the ids that this run deleted; a list that lags may
        still show them.
        """
        state = _state(deleted=deleted)
        wanted = list(packages)
        certain = seen or {}
        counts = {} if deleted else self._counted([package for package in wanted if package not in certain])
        lists: dict[PackageName, Listing[Version]] = {
            package: Listing(_id, counts.get(package), certain.get(package), gone) for package in wanted
        }

        def page(package: PackageName, number: int, size: int) -> _Page:
            return self._page(package, state, number, size)

        problems = read_lists(lists, page, self._pool, self._http.rate_limiter)
        found: dict[PackageName, list[Version] | ApiError] = {}
        for package, listing in lists.items():
            problem = problems.get(package) or self._problem(package, listing, must_be_certain=package in certain)
            found[package] = problem or listing.entries
            if not deleted:
                (self._long.add if listing.is_long else self._long.discard)(package)
            if counts.get(package) is not None:
                self._countable.add(package)
        return found

    def _problem(self, package: PackageName, listing: Listing[Version], *, must_be_certain: bool) -> ApiError | None:
        """Why a list cannot be used."""
        if not listing.complete:
            # what is missing may need what is listed
            return ApiError(ApiErrorKind.OTHER, f"GitHub lists only {len(listing.entries)} versions of {package}")
        if not must_be_certain:
            return None
        if self.is_incomplete(package):
            text = "GitHub lists only a part of its versions (X-GitHub-SSO: partial-results)"
            return ApiError(ApiErrorKind.OTHER, text)
        vanished = sorted(number for number in listing.vanished if isinstance(number, int))
        is_certain = all(each is False for each in self.are_active(dict.fromkeys(vanished, package)).values())
        return None if is_certain else ApiError(ApiErrorKind.OTHER, CHANGES_TOO_FAST)

    def _counted(self, packages: Sequence[PackageName]) -> dict[PackageName, int | None]:
        """How many versions GitHub counts. A count serves one reading; a long list is counted anew before each."""
        long = self._long & self._countable
        self.packages_named(package for package in packages if package in long and package not in self._counts)
        return {package: self._counts.pop(package, None) for package in packages}

    def version(self, package: PackageName, version_id: int) -> Version:
        """Get one active version."""
        return self._get(self._version(package, version_id), {}, lambda body: decode.version(body, package))[0]

    def are_active(self, versions: Mapping[int, PackageName]) -> dict[int, bool | ApiError]:
        """Ask for each version by its id whether it is active, in parallel, or give the error of a request."""

        def ask(version_id: int) -> bool | ApiError:
            try:
                self.version(versions[version_id], version_id)
            except ApiError as error:
                return False if error.kind is ApiErrorKind.NOT_FOUND else error
            return True

        return self._pool.all(versions, ask, self._http.rate_limiter, "reading versions")

    def _package_lists(
        self, wanted: Iterable[tuple[PackageType, str]]
    ) -> tuple[dict[tuple[PackageType, str], Listing[_Entry]], dict[tuple[PackageType, str], ApiError]]:
        """List packages by type and visibility; an empty word means all visibilities."""
        lists: dict[tuple[PackageType, str], Listing[_Entry]] = {key: Listing(_identity) for key in wanted}

        def page(key: tuple[PackageType, str], number: int, size: int) -> tuple[list[_Entry], Mapping[str, str]]:
            package_type, visibility = key
            query = {"package_type": str(package_type), "page": str(number), "per_page": str(size)}
            if visibility:
                query["visibility"] = visibility
            found, answer = self._get(f"{self._base}/packages", query, lambda body: decode.packages(body, package_type))
            return found, answer.headers

        problems = read_lists(lists, page, self._pool, self._http.rate_limiter)
        for listing in lists.values():
            self._counts.update(
                (package.key, package.version_count) for package in listing.entries if isinstance(package, Package)
            )
        return lists, problems

    def _page(self, package: PackageName, state: str, number: int, size: int) -> _Page:
        """Read a page of versions. An unchanged page costs nothing of the primary budget (docs/github-behaviour.md,
        "Limits").
        """
        query = {"page": str(number), "per_page": str(size), "state": state}
        path = f"{self._package(package)}/versions"
        place = (f"{path} {state}", number, size)
        known = self._pages.get(place)
        unless = (known.etag, known.versions) if known else None
        found, answer = self._http.get(path, lambda body: decode.versions(body, package), query, unless=unless)
        if errors.is_incomplete(answer.headers):
            with self._lock:
                self._incomplete[package] = errors.sso_remedy(answer.headers)
        if known is not None and answer.status == UNCHANGED:
            return found, known.headers
        if etag := answer.headers.get("etag"):
            with self._lock:
                self._pages[place] = _KnownPage(etag, found, {"link": answer.headers.get("link", "")})
        return found, answer.headers

    def _get(self, path: str, query: dict[str, str], decode: Callable[[bytes], _T]) -> tuple[_T, Response]:
        found, answer = self._http.get(path, decode, query)
        if errors.is_incomplete(answer.headers):
            self._remark(
                "GitHub held back what the token is not authorized for by SAML single sign-on (X-GitHub-SSO:"
                f" partial-results); what it did not show stays as it is. {errors.sso_remedy(answer.headers)}"
            )
        return found, answer

    def _remark(self, text: str) -> None:
        with self._lock:
            if text not in self._remarks:
                self._remarks.append(text)

    def _incomplete_remarks(self) -> list[str]:
        if not self._incomplete:
            return []
        names = sorted(map(str, self._incomplete))
        more = f" and {len(names) - MANY} more" if len(names) > MANY else ""
        remedy = min(self._incomplete.values())
        text = (
            f"{', '.join(names[:MANY])}{more}: GitHub lists only a part of the versions, since the token is not"
            " authorized for SAML single sign-on (X-GitHub-SSO: partial-results). Nothing is deleted from a package"
            f" whose list is incomplete. {remedy}"
        )
        return [text]


class _KnownPage(Struct, frozen=True):
    """A page that was read before, with the ETag that GitHub gave it."""

    etag: str
    versions: list[Version]
    headers: Mapping[str, str]


def _state(*, deleted: bool) -> str:
    return "deleted" if deleted else "active"


def _id(version: Version) -> int:
    return version.id


def _identity(entry: _Entry) -> object:
    return entry.id if isinstance(entry, Package) else entry


class PackagesWriter(_Family):
    """The four operations that write. Every method returns when GitHub confirmed, and raises `ApiError` otherwise.

    `permit` is for the first try, where the caller has one already.
    """

    def delete_version(self, package: PackageName, version_id: int, permit: Permit | None = None) -> None:
        """Delete one version; it can be restored for 30 days."""
        self._send("DELETE", self._version(package, version_id), Use.DELETE, permit)

    def restore_version(self, package: PackageName, version_id: int, permit: Permit | None = None) -> None:
        """Restore one version that was deleted in the last 30 days."""
        self._send("POST", f"{self._version(package, version_id)}/restore", Use.CREATE, permit)

    def delete_package(self, package: PackageName, permit: Permit | None = None) -> None:
        """Delete a package with all its versions; it can be restored for 30 days, by name."""
        self._send("DELETE", self._package(package), Use.DELETE, permit)

    def restore_package(self, package: PackageName, permit: Permit | None = None) -> None:
        """Restore a package that was deleted in the last 30 days."""
        self._send("POST", f"{self._package(package)}/restore", Use.CREATE, permit)

    def _send(self, method: str, path: str, use: Use, permit: Permit | None) -> None:
        answer = self._http.send(method, path, use=use, permit=permit)
        if answer.status != 204:
            # GitHub confirms with 204 only; a proxy may answer with a page of its own, or accept without forwarding
            raise ApiError(
                ApiErrorKind.UNCONFIRMED,
                "the answer was no confirmation by GitHub",
                status=answer.status,
                sent_before=True,
            )
