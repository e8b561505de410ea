"""The 27 operations of GitHub Packages (docs/github-behaviour.md, "Endpoints" and "Refusals")."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from . import accounts, render, tokens, wire
from .store import PACKAGE_TYPES, Owner
from .wire import Answer, Refusal, Request, list_answer

if TYPE_CHECKING:
    from .packages import Package, Version
    from .simulator import Simulator
    from .tokens import Token

ENTERPRISE = "/api/v3"
LIST_WINDOW = 10_000
TOO_MANY = 5_000


@dataclass(slots=True)
class Call:
    """One request to the Packages interface, taken apart."""

    simulator: Simulator
    request: Request
    token: Token
    owner: Owner
    family: str
    prefix: str
    base: str
    sso: dict[str, str]
    type: str = ""
    name: str = ""
    id: str = ""

    @property
    def public_only(self) -> bool:
        """Tell whether private packages are out of sight."""
        if self.sso:
            return True
        hidden = not self.simulator.unknowns.private_packages_under_users
        return hidden and self.family == "users"

    def sees(self, package: Package) -> bool:
        """Tell whether the token sees a package by this way."""
        return self.token.reads(package) and not (self.public_only and package.visibility != "public")

    def package(self) -> Package:
        """Find the package, or refuse."""
        package = self.simulator.store.package(self.owner.login, self.type, self.name)
        if package is None or not self.sees(package):
            raise Refusal(404, wire.PACKAGE_NOT_FOUND)
        return package

    def version(self, package: Package, active: bool = True) -> Version:
        """Find the version, active or deleted within 30 days, or refuse."""
        version = package.versions.get(int(self.id)) if self.id.isdigit() else None
        if version is None or (version.deleted_at is None) != active:
            raise Refusal(404, wire.VERSION_NOT_FOUND)
        if version.deleted_at is not None and version.deleted_at < self.simulator.store.horizon():
            raise Refusal(404, wire.VERSION_NOT_FOUND)
        return version


Handler = Callable[[Call], Answer]


def answer(simulator: Simulator, request: Request) -> Answer:
    """Answer a REST request; rate limits are counted and their headers added here."""
    prefix = ENTERPRISE if request.path == ENTERPRISE or request.path.startswith(ENTERPRISE + "/") else ""
    path = request.path[len(prefix) :]
    owner_key, kind, token = "", "", None
    try:
        token = simulator.tokens.authenticate(request.headers.get("authorization"))
        if token is not None:
            owner_key, kind = token.value, token.kind
            request.token = token.value
        free = path == "/rate_limit"
        simulator.limits.admit(request, owner_key, kind, simulator.limits_in_flight(), free)
        found = simulator.redirects.answer(request, path, prefix) or _dispatch(simulator, request, token, path, prefix)
    except Refusal as refusal:
        found = refusal.answer()
    if found.status == 200 and request.method == "GET":
        etag = f'W/"{hash(found.body) & 0xFFFFFFFFFFFFFFFF:016x}"'
        found.headers["etag"] = etag
        if request.headers.get("if-none-match") == etag:
            simulator.limits.refund(owner_key)
            found = Answer(304, headers={"etag": etag})
    found.headers.update(simulator.limits.headers(owner_key, kind))
    if token is not None and kind == "classic":
        found.headers["x-oauth-scopes"] = ", ".join(token.scopes)
    return found


def operation_id(simulator: Simulator, request: Request) -> str | None:
    """Name the operation of GitHub's OpenAPI description that is asked for, whatever comes of it."""
    path = request.path.removeprefix(ENTERPRISE)
    _, asked, _, rest = _family(path)
    if asked:
        return simulator.operations.get((asked, _route(request.method, rest)[1]))
    return accounts.operation_id(request.method, path)


def _family(path: str) -> tuple[str, str, str | None, list[str]]:
    """Take a path apart: its first segment, the family of operations (or nothing), the account, the rest.

    ``/organizations/<id>/…`` and ``/user/<id>/…``, the forms that links have, are the first two families.
    """
    family, *rest = path.split("/")[1:]
    account: str | None = None
    if family in ("orgs", "users", "organizations") or (family == "user" and rest and rest[0].isdigit()):
        account, rest = (rest[0], rest[1:]) if rest else (None, [])
    if not rest or rest[0] not in ("packages", "docker") or (account is None and family != "user"):
        return family, "", account, rest
    if family == "organizations":
        return family, "orgs", account, rest
    return family, "users" if family == "user" and account is not None else family, account, rest


def _dispatch(simulator: Simulator, request: Request, token: Token | None, path: str, prefix: str) -> Answer:
    family, asked, account, rest = _family(path)
    if not asked:
        with simulator.store.lock:
            return accounts.answer(simulator, request, token, path, request.base + prefix)
    numeric = family != asked
    handler, action, arguments = _route(request.method, rest)
    if handler is None:
        raise Refusal(404, wire.NOT_FOUND)
    token = tokens.check_access(token, asked)
    with simulator.store.lock:
        owner = _owner(simulator, token, family, account, numeric)
        sso = tokens.check_sso(token, owner, action == "list packages")
        links, base = _links_to(simulator, owner, asked), request.base + prefix
        call = Call(simulator, request, token, owner, asked, links, base, sso)
        call.type, call.name, call.id = arguments
        if action != "list packages" and call.type and call.type not in PACKAGE_TYPES:
            raise Refusal(404, wire.NOT_FOUND)
        if action not in ("list packages", "list conflicts"):
            package = simulator.store.package(owner.login, call.type, call.name)
            public = package is not None and package.visibility == "public"
            tokens.check_scopes(token, action.partition(" ")[0], _words(action), call.type, public)
        found = handler(call)
    found.headers.update(sso)
    return found


def _words(action: str) -> str:
    return action if action.startswith("list") else action.replace(" ", " a ", 1)


def _owner(simulator: Simulator, token: Token, family: str, account: str | None, numeric: bool) -> Owner:
    store = simulator.store
    named = unquote(account or token.login).lower()
    owner = store.owner_by_id(named) if numeric else store.owners.get(named)
    wrong = family in ("orgs", "organizations") and owner is not None and owner.kind != "Organization"
    if owner is None or wrong:
        raise Refusal(404, wire.NOT_FOUND)
    return owner


def _links_to(simulator: Simulator, owner: Owner, asked: str) -> str:
    if simulator.paging.settings.organization_links:
        return f"/organizations/{owner.id}" if owner.kind == "Organization" else f"/user/{owner.id}"
    return f"/{asked}/{owner.login}" if asked != "user" else "/user"


def _route(method: str, rest: list[str]) -> tuple[Handler | None, str, tuple[str, str, str]]:
    """Find the handler, the name of the operation and the arguments; names are decoded after splitting."""
    method = "GET" if method == "HEAD" else method
    nothing = ("", "", "")
    if rest == ["docker", "conflicts"] and method == "GET":
        return _conflicts, "list conflicts", nothing
    if rest == ["packages"] and method == "GET":
        return _list_packages, "list packages", nothing
    if len(rest) < 3 or rest[0] != "packages":
        return None, "", nothing
    kind, name, tail = unquote(rest[1]), unquote(rest[2]), rest[3:]
    number = tail[1] if len(tail) > 1 else ""
    match (method, *(part if index != 1 else "#" for index, part in enumerate(tail))):
        case ("GET",):
            return _get_package, "get package", (kind, name, "")
        case ("DELETE",):
            return _delete_package, "delete package", (kind, name, "")
        case ("POST", "restore"):
            return _restore_package, "restore package", (kind, name, "")
        case ("GET", "versions"):
            return _list_versions, "list package versions", (kind, name, "")
        case ("GET", "versions", "#"):
            return _get_version, "get package version", (kind, name, number)
        case ("DELETE", "versions", "#"):
            return _delete_version, "delete package version", (kind, name, number)
        case ("POST", "versions", "#", "restore"):
            return _restore_version, "restore package version", (kind, name, number)
        case _:
            return None, "", nothing


def _conflicts(call: Call) -> Answer:
    tokens.check_scopes(call.token, "list", "list packages", None, public=False)
    packages = call.simulator.store.packages(call.owner.login)
    return list_answer([render.package_json(p, call.base) for p in packages if p.conflict and call.sees(p)])


def _list_packages(call: Call) -> Answer:
    request, paging = call.request, call.simulator.paging
    tokens.check_scopes(call.token, "list", "list packages", None, public=False)
    kind, visibility = request.query.get("package_type"), request.query.get("visibility")
    if kind not in PACKAGE_TYPES or visibility not in (None, "public", "private", "internal"):
        raise Refusal(400, wire.INVALID_ARGUMENT)
    if kind == "container" and call.token.is_integration:
        raise Refusal(400, wire.INVALID_ARGUMENT)
    page = paging.page(request)
    if page.number * page.size > LIST_WINDOW:
        raise Refusal(400, wire.TOO_FAR)
    tokens.check_scopes(call.token, "list", "list packages", kind, public=True)
    found = [
        package
        for package in call.simulator.store.packages(call.owner.login)
        if package.type == kind and visibility in (None, package.visibility) and call.sees(package)
    ]
    chunk = paging.cut(paging.order(found), page)
    links = paging.links(request, len(found), page, _path(call, "/packages"), default=False)
    return list_answer([render.package_json(package, call.base) for package in chunk], links)


def _get_package(call: Call) -> Answer:
    return _one(render.package_json(call.package(), call.base))


def _list_versions(call: Call) -> Answer:
    request, paging, unknowns = call.request, call.simulator.paging, call.simulator.unknowns
    package = call.package()
    state = request.query.get("state", "active")
    if state not in ("active", "deleted"):
        raise Refusal(400, wire.INVALID_ARGUMENT)
    found = package.listed(state, unknowns)
    held_back = [version for version in found if version.id in package.held_back]
    if held_back:
        found = [version for version in found if version not in held_back]
        call.sso["x-github-sso"] = f"partial-results; organizations={package.owner.id}"
    page = paging.page(request)
    chunk = paging.cut(paging.order(found), page)
    path = _path(call, f"/packages/{package.type}/{quote(package.name, safe='')}/versions")
    links = paging.links(request, len(found), page, path, default=True)
    return list_answer([render.version_json(version, call.base) for version in chunk], links)


def _get_version(call: Call) -> Answer:
    return _one(render.version_json(call.version(call.package()), call.base))


def _delete_package(call: Call) -> Answer:
    package = call.package()
    tokens.check_admin(call.token, package, of_version=False)
    if package.visibility == "public" and any(v.downloads > TOO_MANY for v in package.active()):
        raise Refusal(400, wire.TOO_MANY_DOWNLOADS)
    package.delete()
    return Answer(204)


def _restore_package(call: Call) -> Answer:
    store = call.simulator.store
    package = store.deleted_package(call.owner.login, call.type, call.name)
    if package is None or not call.sees(package):
        raise Refusal(404, wire.PACKAGE_NOT_FOUND)
    tokens.check_admin(call.token, package, of_version=False)
    if package.key in store.active:
        raise Refusal(call.simulator.unknowns.restore_refused_status, wire.NAME_TAKEN)
    package.undelete()
    return Answer(204)


def _delete_version(call: Call) -> Answer:
    package = call.package()
    tokens.check_admin(call.token, package, of_version=True)
    version = call.version(package)
    if package.visibility == "public" and version.downloads > TOO_MANY:
        raise Refusal(400, wire.TOO_MANY_DOWNLOADS)
    if package.type == "container" and package.is_last_tagged(version):
        raise Refusal(400, wire.LAST_TAGGED)
    if package.active_count() == 1:
        raise Refusal(400, wire.LAST_VERSION)
    package.remove(version)
    return Answer(204)


def _restore_version(call: Call) -> Answer:
    package = call.package()
    tokens.check_admin(call.token, package, of_version=True)
    version = call.version(package, active=False)
    if package.find(version.name) is not None:
        raise Refusal(call.simulator.unknowns.version_taken_status, call.simulator.unknowns.version_taken_text)
    package.bring_back(version, call.simulator.unknowns.restored_versions_take_tags)
    return Answer(204)


def _one(body: bytes) -> Answer:
    return Answer(200, body, {"content-type": "application/json; charset=utf-8"})


def _path(call: Call, tail: str) -> str:
    return call.base[len(call.request.base) :] + call.prefix + tail
