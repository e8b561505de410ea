"""What a token must be allowed, and what GitHub's answers show about it (docs/github-behaviour.md, "Tokens")."""

from collections.abc import Mapping

from msgspec import Struct

from package_keeper.causes import Cause
from package_keeper.model.packages import PackageType
from package_keeper.model.plan import Action

READ, WRITE, DELETE, REPOSITORY, PUBLIC = "read:packages", "write:packages", "delete:packages", "repo", "public_repo"

_SCOPES = {
    Action.DELETE: (READ, DELETE),
    Action.RESTORE: (READ, WRITE),
    # a stub is pushed to the registry, then deleted
    Action.UNTAG: (READ, WRITE, DELETE),
}
"""The scopes that a classic token needs for each kind of write."""

_INCLUDED = {WRITE: READ, REPOSITORY: PUBLIC}
"""The scopes that another one includes. GitHub names only the larger one."""

REPOSITORY_TYPES = frozenset({PackageType.MAVEN, PackageType.DOCKER})
"""The types whose packages have no permissions of their own, but those of their repository."""

CLASSIC_SCOPES = (
    f"a classic token needs the scopes {READ}, {DELETE} (to delete) and {WRITE} (to restore, and to take tags away);"
    f" for {' and '.join(sorted(REPOSITORY_TYPES))} packages also {REPOSITORY}"
)

ADMIN_ROLE = (
    "The repository needs the Admin role on the package (package settings, Manage Actions access), and the workflow"
    " needs:\npermissions:\n  contents: read\n  packages: write\nA personal account needs Admin on the package;"
    f" {CLASSIC_SCOPES}."
)

WORKFLOW_REQUESTS = "1000"
"""The requests an hour of `GITHUB_TOKEN`. Persons and apps have at least 5,000 (docs/github-behaviour.md, "Limits")."""


def permission_cause(message: str) -> Cause:
    """Which permission is missing, by GitHub's message."""
    message = message.lower()
    if "saml" in message:
        return Cause.SAML
    # the remedies for a missing role name scopes too
    return Cause.SCOPE if "scope to" in message or "missing scope" in message else Cause.ADMIN_ROLE


class TokenFacts(Struct, frozen=True, kw_only=True):
    """What an answer of GitHub shows about the token.

    `scopes` are those of a classic token; `None` means that they are unknown. `is_workflows` means that it is a
    `GITHUB_TOKEN`; when it is false, nothing is known.
    """

    scopes: frozenset[str] | None = None
    is_workflows: bool = False

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> "TokenFacts":
        """Read the headers of an answer. Their names are in lower case."""
        found = frozenset(scope.strip() for scope in headers.get("x-oauth-scopes", "").split(",")) - {""}
        # an empty header may be that of an app's token; a classic token without a scope fails on reading anyway
        workflows = "x-oauth-scopes" not in headers and headers.get("x-ratelimit-limit") == WORKFLOW_REQUESTS
        return cls(scopes=found or None, is_workflows=workflows)

    def missing_scopes(self, action: Action, package_type: PackageType, visibility: str | None) -> tuple[str, ...]:
        """The scopes that a write needs and the token lacks; empty when its scopes are unknown."""
        if self.scopes is None:
            return ()
        granted = self.scopes | {_INCLUDED[scope] for scope in self.scopes if scope in _INCLUDED}
        missing = [scope for scope in _SCOPES[action] if scope not in granted]
        enough = {REPOSITORY} if visibility in ("private", "internal") else {REPOSITORY, PUBLIC}
        if package_type in REPOSITORY_TYPES and granted.isdisjoint(enough):
            missing.append(REPOSITORY)
        return tuple(missing)
