"""The 27 operations of GitHub Packages: nine, for each of the three families of paths (docs/github-behaviour.md,
"Endpoints").

Reading and writing are two classes. A dry run is given no `PackagesWriter`, so it has nothing to write with.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import TypeVar
from urllib.parse import quote

from package_keeper.errors import Refusal, RefusalKind
from package_keeper.github import wire
from package_keeper.github.governor import Use
from package_keeper.github.lanes import Lanes
from package_keeper.github.lists import read_lists
from package_keeper.github.paging import PAGE_SIZE, Listing
from package_keeper.github.transport import UNCHANGED, Answer, Transport
from package_keeper.inventory.package import Owner, OwnerType, Package, PackageName, PackageType
from package_keeper.inventory.version import Version

_T = TypeVar("_T")

_Page = tuple[list[Version], Mapping[str, str]]

_VISIBILITIES = ("public", "private", "internal")


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

    def __init__(self, transport: Transport, owner: Owner) -> None:
        self._transport = transport
        self._base = _base(owner)

    def _package(self, package: PackageName) -> str:
        if package.name in ("", ".", ".."):
            # path segments that a client or a proxy would resolve into another path
            raise Refusal(RefusalKind.OTHER, f"'{package.name}' cannot be the name of a package")
        # names are encoded whole: repo%2Fimage, %40scope%2Fname
        return f"{self._base}/packages/{package.type}/{quote(package.name, safe='')}"

    def _version(self, package: PackageName, version_id: int) -> str:
        return f"{self._package(package)}/versions/{version_id}"


class PackagesReader(_Family):
    """The five operations that read. Every method may raise `Refusal`.

    `remarks` are what the user should know about the lists: GitHub held something back without refusing.
    """

    def __init__(self, transport: Transport, owner: Owner, lanes: Lanes) -> None:
        super().__init__(transport, owner)
        self._lanes = lanes
        self._pages: dict[tuple[str, int, int], _KnownPage] = {}
        self._counts: dict[PackageName, int | None] = {}
        self._long: set[PackageName] = set()
        self._lock = Lock()
        self.remarks: list[str] = []

    def conflicts(self) -> list[Package]:
        """List the packages with a conflict from the Docker migration."""
        return self._get(f"{self._base}/docker/conflicts", {}, lambda body: wire.packages(body, None))[0]

    def packages(self, package_types: Sequence[PackageType]) -> dict[PackageType, list[Package] | Refusal]:
        """List all packages of several types, side by side; a type whose list is refused has the refusal instead.

        Above 10,000 packages GitHub lists no further (400); then each visibility is listed by itself, and what is
        still missing is remarked on.
        """
        lists, refused = self._package_lists([(package_type, "") for package_type in package_types])
        found: dict[PackageType, list[Package] | Refusal] = {}
        for package_type in package_types:
            if problem := refused.get((package_type, "")):
                found[package_type] = problem
                continue
            whole = lists[package_type, ""]
            found[package_type] = whole.entries if whole.complete else self._by_visibility(package_type, whole.entries)
        return found

    def _by_visibility(self, package_type: PackageType, known: list[Package]) -> list[Package] | Refusal:
        parts, refused = self._package_lists([(package_type, visibility) for visibility in _VISIBILITIES])
        for problem in refused.values():
            return problem
        unique = {package.id: package for package in known}
        unique.update((package.id, package) for part in parts.values() for package in part.entries)
        if not all(part.complete for part in parts.values()):
            self._remark(
                f"GitHub lists no more than {len(unique)} {package_type} packages of this owner; others were not seen"
                " and stay as they are: name them in `package`"
            )
        return list(unique.values())

    def packages_named(self, packages: Iterable[PackageName]) -> dict[PackageName, Package | Refusal]:
        """Get several packages by name, side by side; one that is refused has the refusal instead."""

        def get(package: PackageName) -> Package | Refusal:
            try:
                return self.package(package)
            except Refusal as refused:
                return refused

        return self._lanes.all(packages, get, self._transport.governor)

    def package(self, package: PackageName) -> Package:
        """Get one package by name."""
        found = self._get(self._package(package), {}, lambda body: wire.package(body, package.type))[0]
        self._counts[found.key] = found.version_count
        return found

    def versions(self, package: PackageName, *, deleted: bool = False) -> list[Version]:
        """List all versions of a package: the active ones, or those deleted in the last 30 days."""
        found = self.versions_of([package], deleted=deleted)[package]
        if isinstance(found, Refusal):
            raise found
        return found

    def versions_of(
        self, packages: Iterable[PackageName], *, deleted: bool = False
    ) -> dict[PackageName, list[Version] | Refusal]:
        """List all versions of several packages, side by side; a list that is refused has the refusal instead."""
        state = _state(deleted=deleted)
        wanted = list(packages)
        counts = {} if deleted else self._counted(wanted)
        lists: dict[PackageName, Listing[Version]] = {package: Listing(_id, counts.get(package)) for package in wanted}

        def page(package: PackageName, number: int, size: int) -> _Page:
            return self._page(package, state, number, size)

        refused = read_lists(lists, page, self._lanes, self._transport.governor)
        found: dict[PackageName, list[Version] | Refusal] = {}
        for package, listing in lists.items():
            problem = refused.get(package)
            if problem is None and not listing.complete:
                # part of a list may hide what needs the rest, so it is as good as none
                text = f"GitHub lists only {len(listing.entries)} versions of {package}"
                problem = Refusal(RefusalKind.OTHER, text)
            found[package] = problem or listing.entries
            if counts.get(package) is not None and len(listing.entries) > PAGE_SIZE:
                self._long.add(package)
        return found

    def _counted(self, packages: Sequence[PackageName]) -> dict[PackageName, int | None]:
        """How many versions GitHub counts: for each reading anew, so that a long list is counted before the next."""
        self.packages_named(package for package in packages if package in self._long and package not in self._counts)
        return {package: self._counts.pop(package, None) for package in packages}

    def version(self, package: PackageName, version_id: int) -> Version:
        """Get one active version."""
        return self._get(self._version(package, version_id), {}, lambda body: wire.version(body, package))[0]

    def _package_lists(
        self, wanted: Iterable[tuple[PackageType, str]]
    ) -> tuple[dict[tuple[PackageType, str], Listing[Package]], dict[tuple[PackageType, str], Refusal]]:
        """The lists of types, each of all visibilities (an empty word) or of one."""
        lists: dict[tuple[PackageType, str], Listing[Package]] = {key: Listing(_id) for key in wanted}

        def page(key: tuple[PackageType, str], number: int, size: int) -> tuple[list[Package], Mapping[str, str]]:
            package_type, visibility = key
            query = {"package_type": str(package_type), "page": str(number), "per_page": str(size)}
            if visibility:
                query["visibility"] = visibility
            found, answer = self._get(f"{self._base}/packages", query, lambda body: wire.packages(body, package_type))
            return found, answer.headers

        refused = read_lists(lists, page, self._lanes, self._transport.governor)
        for listing in lists.values():
            self._counts.update((package.key, package.version_count) for package in listing.entries)
        return lists, refused

    def _page(self, package: PackageName, state: str, number: int, size: int) -> _Page:
        """A page of versions; one that is as it was costs nothing of the primary budget (docs/github-behaviour.md,
        "Limits").
        """
        query = {"page": str(number), "per_page": str(size), "state": state}
        path = f"{self._package(package)}/versions"
        place = (f"{path} {state}", number, size)
        known = self._pages.get(place)
        unless = (known.etag, known.versions) if known else None
        found, answer = self._get(path, query, lambda body: wire.versions(body, package), unless)
        if known is not None and answer.status == UNCHANGED:
            return found, known.headers
        if etag := answer.headers.get("etag"):
            with self._lock:
                self._pages[place] = _KnownPage(etag, found, {"link": answer.headers.get("link", "")})
        return found, answer.headers

    def _get(
        self, path: str, query: dict[str, str], decode: Callable[[bytes], _T], unless: tuple[str, _T] | None = None
    ) -> tuple[_T, Answer]:
        found, answer = self._transport.get(path, decode, query, unless=unless)
        if "partial-results" in answer.headers.get("x-github-sso", ""):
            self._remark(
                "GitHub held back what the token is not authorized for by SAML single sign-on (X-GitHub-SSO:"
                " partial-results); what it did not show stays as it is"
            )
        return found, answer

    def _remark(self, text: str) -> None:
        with self._lock:
            if text not in self.remarks:
                self.remarks.append(text)


@dataclass(frozen=True)
class _KnownPage:
    """A page that was read before, and by which GitHub knows it again."""

    etag: str
    versions: list[Version]
    headers: Mapping[str, str]


def _state(*, deleted: bool) -> str:
    return "deleted" if deleted else "active"


def _id(entry: Package | Version) -> int:
    return entry.id


class PackagesWriter(_Family):
    """The four operations that write. Every method returns when GitHub confirmed, and raises `Refusal` otherwise."""

    def delete_version(self, package: PackageName, version_id: int) -> None:
        """Delete one version; it can be restored for 30 days."""
        self._send("DELETE", self._version(package, version_id), Use.DELETE)

    def restore_version(self, package: PackageName, version_id: int) -> None:
        """Restore one version that was deleted in the last 30 days."""
        self._send("POST", f"{self._version(package, version_id)}/restore", Use.CREATE)

    def delete_package(self, package: PackageName) -> None:
        """Delete a package with all its versions; it can be restored for 30 days, by name."""
        self._send("DELETE", self._package(package), Use.DELETE)

    def restore_package(self, package: PackageName, token: str | None = None) -> None:
        """Restore a package that was deleted in the last 30 days. `token` is the interface's own `package token`."""
        self._send("POST", f"{self._package(package)}/restore", Use.CREATE, {"token": token} if token else None)

    def _send(self, method: str, path: str, use: Use, query: dict[str, str] | None = None) -> None:
        answer = self._transport.send(method, path, query, use=use)
        if answer.status != 204 and answer.body.strip():
            # GitHub confirms without a body; a page of a proxy confirms nothing
            raise Refusal(
                RefusalKind.OTHER, "the answer was no confirmation by GitHub", status=answer.status, sent_before=True
            )
