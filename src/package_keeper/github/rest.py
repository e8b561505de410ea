"""The 27 operations of GitHub Packages: nine, for each of the three families of paths (GITHUB.md, "Endpoints").

Reading and writing are two classes. A dry run is given no `PackagesWriter`, so it has nothing to write with.
"""

from collections.abc import Callable
from typing import TypeVar
from urllib.parse import quote

from package_keeper.errors import Refusal, RefusalKind
from package_keeper.github import wire
from package_keeper.github.paging import all_entries
from package_keeper.github.transport import Answer, Transport
from package_keeper.inventory.package import Owner, OwnerType, Package, PackageName, PackageType
from package_keeper.inventory.version import Version

_T = TypeVar("_T")

_DECODE_TRIES = 3
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

    def __init__(self, transport: Transport, owner: Owner) -> None:
        super().__init__(transport, owner)
        self.remarks: list[str] = []

    def conflicts(self) -> list[Package]:
        """List the packages with a conflict from the Docker migration."""
        return self._get(f"{self._base}/docker/conflicts", {}, lambda body: wire.packages(body, None))[0]

    def packages(self, package_type: PackageType, visibility: str | None = None) -> list[Package]:
        """List all packages of a type.

        Above 10,000 packages GitHub lists no further (400); then each visibility is listed by itself, and what is
        still missing is remarked on.
        """
        found, complete = self._all_packages(package_type, visibility)
        if not complete and visibility is None:
            parts = [self._all_packages(package_type, each) for each in _VISIBILITIES]
            unique = {package.id: package for part, _ in [(found, complete), *parts] for package in part}
            found, complete = list(unique.values()), all(whole for _, whole in parts)
        if not complete:
            self._remark(
                f"GitHub lists no more than {len(found)} {package_type} packages of this owner; others were not seen"
                " and stay as they are: name them in `package`"
            )
        return found

    def package(self, package: PackageName) -> Package:
        """Get one package by name."""
        return self._get(self._package(package), {}, lambda body: wire.package(body, package.type))[0]

    def versions(self, package: PackageName, *, deleted: bool = False) -> list[Version]:
        """List all versions of a package: the active ones, or those deleted in the last 30 days."""
        path = f"{self._package(package)}/versions"
        state = "deleted" if deleted else "active"

        def page(number: int, size: int) -> tuple[list[Version], Answer]:
            query = {"page": str(number), "per_page": str(size), "state": state}
            return self._get(path, query, lambda body: wire.versions(body, package))

        found, complete = all_entries(page, identity=lambda version: version.id)
        if not complete:
            # part of a list may hide what needs the rest, so it is as good as none
            raise Refusal(RefusalKind.OTHER, f"GitHub lists only {len(found)} versions of {package}")
        return found

    def version(self, package: PackageName, version_id: int) -> Version:
        """Get one active version."""
        return self._get(self._version(package, version_id), {}, lambda body: wire.version(body, package))[0]

    def _all_packages(self, package_type: PackageType, visibility: str | None) -> tuple[list[Package], bool]:
        query = {"package_type": str(package_type)}
        if visibility is not None:
            query["visibility"] = visibility

        def page(number: int, size: int) -> tuple[list[Package], Answer]:
            return self._get(
                f"{self._base}/packages",
                {**query, "page": str(number), "per_page": str(size)},
                lambda body: wire.packages(body, package_type),
            )

        return all_entries(page, identity=lambda package: package.id)

    def _get(self, path: str, query: dict[str, str], decode: Callable[[bytes], _T]) -> tuple[_T, Answer]:
        """Send a GET; an answer that cannot be read is asked for again, like one that broke off."""
        for attempt in range(1, _DECODE_TRIES + 1):
            answer = self._transport.send("GET", path, query)
            if "partial-results" in answer.headers.get("x-github-sso", ""):
                self._remark(
                    "GitHub held back what the token is not authorized for by SAML single sign-on (X-GitHub-SSO:"
                    " partial-results); what it did not show stays as it is"
                )
            try:
                return decode(answer.body), answer
            except Refusal:
                if attempt == _DECODE_TRIES:
                    raise
        raise AssertionError("unreachable")

    def _remark(self, text: str) -> None:
        if text not in self.remarks:
            self.remarks.append(text)


class PackagesWriter(_Family):
    """The four operations that write. Every method returns when GitHub confirmed, and raises `Refusal` otherwise."""

    def delete_version(self, package: PackageName, version_id: int) -> None:
        """Delete one version; it can be restored for 30 days."""
        self._send("DELETE", self._version(package, version_id))

    def restore_version(self, package: PackageName, version_id: int) -> None:
        """Restore one version that was deleted in the last 30 days."""
        self._send("POST", f"{self._version(package, version_id)}/restore")

    def delete_package(self, package: PackageName) -> None:
        """Delete a package with all its versions; it can be restored for 30 days, by name."""
        self._send("DELETE", self._package(package))

    def restore_package(self, package: PackageName, token: str | None = None) -> None:
        """Restore a package that was deleted in the last 30 days. `token` is the interface's own `package token`."""
        self._send("POST", f"{self._package(package)}/restore", {"token": token} if token else None)

    def _send(self, method: str, path: str, query: dict[str, str] | None = None) -> None:
        answer = self._transport.send(method, path, query)
        if answer.status != 204 and answer.body.strip():
            # GitHub confirms without a body; a page of a proxy confirms nothing
            raise Refusal(
                RefusalKind.OTHER, "the answer was no confirmation by GitHub", status=answer.status, sent_before=True
            )
