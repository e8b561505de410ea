"""Tokens and what they may do (docs/github-behaviour.md, "Tokens" and "Refusals")."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from . import wire
from .wire import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .packages import Package
    from .store import Owner, Repository

KINDS = ("classic", "actions", "app", "fine-grained")
REPOSITORY_SCOPED = ("maven", "docker")
IMPLIED = {"write:packages": ("read:packages",), "repo": ("public_repo",)}


def _names(names: Iterable[str] | None) -> frozenset[str] | None:
    return None if names is None else frozenset(name.lower() for name in names)


@dataclass(slots=True, eq=False)
class Token:
    """One token and its permissions; package names are compared without case, ``None`` means all."""

    value: str
    kind: str
    login: str
    scopes: tuple[str, ...]
    admin_on: frozenset[str] | None
    readable: frozenset[str] | None
    sso_required_for: frozenset[str]
    sso_partial: bool
    expires_after: int | None
    hides_versions: bool
    repositories: frozenset[str] | None = None
    """The private repositories that it sees, as ``owner/name``."""
    permissions: frozenset[str] | None = None
    """What an app may read in them besides ``metadata``: ``contents``, ``pull_requests``, ``issues``."""
    uses: int = 0
    granted: frozenset[str] = field(default=frozenset())

    @property
    def is_integration(self) -> bool:
        """Tell whether GitHub sees an app behind it: ``GITHUB_TOKEN`` is one too."""
        return self.kind in ("actions", "app")

    def reads(self, package: Package) -> bool:
        """Tell whether it sees this package at all."""
        return self.readable is None or package.name.lower() in self.readable

    def administers(self, package: Package) -> bool:
        """Tell whether it has the Admin role on this package."""
        return self.admin_on is None or package.name.lower() in self.admin_on

    def sees(self, repository: Repository) -> bool:
        """Tell whether it sees this private repository at all."""
        if self.kind == "classic" and "repo" not in self.granted:
            return False
        return self.repositories is None or repository.full_name.lower() in self.repositories

    def permits(self, permission: str) -> bool:
        """Tell whether it may read so much of the repositories that it sees; people may all of it."""
        return self.kind == "classic" or self.permissions is None or permission in self.permissions


class TokenBook:
    """All tokens that the simulator knows."""

    def __init__(self) -> None:
        self._tokens: dict[str, Token] = {}

    def add(
        self,
        value: str,
        *,
        kind: str,
        login: str,
        scopes: Iterable[str],
        admin_on: Iterable[str] | None,
        readable: Iterable[str] | None,
        sso_required_for: Iterable[str],
        sso_partial: bool,
        expires_after: int | None,
        hides_versions: bool,
        repositories: Iterable[str] | None,
        permissions: Iterable[str] | None,
    ) -> Token:
        """Make a token known."""
        if kind not in KINDS:
            raise ValueError(f"no kind of token: {kind} (one of {', '.join(KINDS)})")
        token = Token(
            value,
            kind,
            login,
            tuple(scopes) if kind == "classic" else (),
            _names(admin_on),
            _names(readable),
            _names(sso_required_for) or frozenset(),
            sso_partial,
            expires_after,
            hides_versions,
            _names(repositories),
            _names(permissions),
        )
        token.granted = frozenset(token.scopes) | {more for scope in token.scopes for more in IMPLIED.get(scope, ())}
        self._tokens[value] = token
        return token

    def grant(self, value: str, scope: str) -> None:
        """Give a classic token one more scope."""
        token = self._tokens[value]
        token.scopes += (scope,)
        token.granted |= {scope, *IMPLIED.get(scope, ())}

    def revoke(self, value: str) -> None:
        """Forget a token: it gets 401 from now on."""
        self._tokens.pop(value, None)

    def use(self, value: str) -> Token | None:
        """Look a token up and count the use; one that has expired is unknown."""
        token = self._tokens.get(value)
        if token is None:
            return None
        token.uses += 1
        if token.expires_after is not None and token.uses > token.expires_after:
            return None
        return token

    def authenticate(self, header: str | None) -> Token | None:
        """Find the token in an ``Authorization`` header of REST; a wrong one is 401, none is ``None``."""
        if not header:
            return None
        scheme, _, value = header.partition(" ")
        value = value.strip()
        if scheme.lower() == "basic":
            value = basic_password(value) or ""
        elif scheme.lower() not in ("bearer", "token"):
            raise Refusal(401, wire.BAD_CREDENTIALS, documentation_url="https://docs.github.com/rest")
        token = self.use(value)
        if token is None:
            raise Refusal(401, wire.BAD_CREDENTIALS, documentation_url="https://docs.github.com/rest")
        return token


def basic_password(value: str) -> str | None:
    """Read the password out of a Basic authorization."""
    try:
        return base64.b64decode(value, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return None


def check_access(token: Token | None, family: str) -> Token:
    """Check what is independent of any package: is the Packages interface open to this token at all?"""
    if token is None:
        raise Refusal(401, wire.REQUIRES_AUTHENTICATION)
    if token.kind == "fine-grained":
        raise Refusal(403, wire.NOT_FOR_FINE_GRAINED)
    if family == "user" and token.is_integration:
        raise Refusal(403, wire.NOT_FOR_INTEGRATIONS)
    return token


def check_scopes(token: Token, verb: str, action: str, package_type: str | None, public: bool) -> None:
    """Check a classic token's scopes: read always, delete or write for writes, repo for some registries."""
    if token.kind != "classic":
        return
    needed = ["read:packages"]
    if verb in ("delete", "restore"):
        needed.append("delete:packages" if verb == "delete" else "write:packages")
    if package_type in REPOSITORY_SCOPED:
        needed.append("public_repo" if public else "repo")
    for scope in needed:
        if scope not in token.granted:
            raise Refusal(403, wire.NEEDS_SCOPE.format(scope=scope, action=action))


def check_sso(token: Token, owner: Owner, is_list: bool) -> dict[str, str]:
    """Check SAML single sign-on: refuse, or, for a list answered in part, tell so in a header."""
    if owner.login.lower() not in token.sso_required_for:
        return {}
    if token.sso_partial and is_list:
        return {"x-github-sso": f"partial-results; organizations={owner.id}"}
    url = f"https://github.com/orgs/{owner.login}/sso?authorization_request=AZSCKtL4U8yX1H3sCQIVnVgmjmon5fWxks5YrqhJ"
    raise Refusal(403, wire.SAML, {"x-github-sso": f"required; url={url}"})


def check_admin(token: Token, package: Package, of_version: bool) -> None:
    """Check the Admin role: apps hear of it, people get a 404 that looks like a missing package."""
    if token.administers(package):
        return
    if token.is_integration:
        raise Refusal(403, wire.NOT_FOR_INTEGRATIONS)
    hidden = of_version and token.hides_versions
    raise Refusal(404, wire.VERSION_NOT_FOUND if hidden else wire.PACKAGE_NOT_FOUND)
