"""What goes over the wire: requests, answers, refusals with GitHub's exact texts (docs/github-behaviour.md,
"Refusals").
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from typing_extensions import override
else:

    def override(method: Any) -> Any:
        """Mark a method that overrides one; the real mark comes with Python 3.12."""
        return method


__all__ = [
    "Answer",
    "Headers",
    "Refusal",
    "Request",
    "encode",
    "error_body",
    "json_answer",
    "list_answer",
    "override",
]

TOO_MANY_DOWNLOADS = (
    "Publicly visible package versions with more than 5000 downloads cannot be deleted. "
    "Contact GitHub support for further assistance."
)
LAST_TAGGED = "You cannot delete the last tagged version of a package. You must delete the package instead."
LAST_VERSION = "You cannot delete the last version of a package. You must delete the package instead."
INVALID_ARGUMENT = "Invalid argument."
BAD_CREDENTIALS = "Bad credentials"
REQUIRES_AUTHENTICATION = "Requires authentication"
NEEDS_SCOPE = "You need at least {scope} scope to {action}."
NOT_FOR_INTEGRATIONS = "Resource not accessible by integration"
NOT_FOR_FINE_GRAINED = "Resource not accessible by personal access token"
SAML = (
    "Resource protected by organization SAML enforcement. "
    "You must grant your Personal Access token access to this organization."
)
PRIMARY_LIMIT = (
    "API rate limit exceeded for user ID {user}. If you reach out to GitHub Support for help, "
    "please include the request ID {request_id}."
)
SECONDARY_LIMIT = (
    "You have exceeded a secondary rate limit. Please wait a few minutes before you try again. "
    "If you reach out to GitHub Support for help, please include the request ID {request_id}."
)
LIMITS_OFF = "Rate limiting is not enabled."
PACKAGE_NOT_FOUND = "Package not found."
VERSION_NOT_FOUND = "Package version not found."
NOT_FOUND = "Not Found"
TOO_FAR = "The value of `per_page` multiplied by `page` cannot be greater than 10000."
NAME_TAKEN = "Cannot restore: the name of this package is in use again."
VERSION_TAKEN = "Package version already exists."

DOCUMENTATION = "https://docs.github.com/rest/packages/packages"
LIMIT_DOCUMENTATION = (
    "https://docs.github.com/free-pro-team@latest/rest/overview/"
    "rate-limits-for-the-rest-api#about-secondary-rate-limits"
)


class Headers(dict[str, str]):
    """Request headers: keys in lower case, asked for in any case."""

    @override
    def __getitem__(self, key: str) -> str:
        return super().__getitem__(key.lower())

    @override
    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and super().__contains__(key.lower())

    @override
    def get(self, key: str, default: Any = None) -> Any:
        """Look a header up, whatever the case of its name."""
        return super().get(key.lower(), default)


@dataclass(slots=True, eq=False)
class Request:
    """One request as it was received, and what became of it."""

    sequence: int
    method: str
    target: str
    path: str
    query: dict[str, str]
    headers: Headers
    body: bytes
    base: str
    at: datetime
    status: int = 0
    """What was answered; 0 as long as nothing was, and for ever when the connection was dropped instead."""
    operation_id: str | None = None
    token: str | None = None

    @property
    def is_registry(self) -> bool:
        """Tell whether the registry is asked, and not the REST interface."""
        return self.path.startswith("/v2/") or self.path in ("/v2", "/token")

    def json(self) -> Any:
        """Decode the body."""
        return json.loads(self.body)


@dataclass(slots=True, eq=False)
class Answer:
    """One answer; ``items`` are the parts of a JSON list, so that they can be checked one by one."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    items: list[bytes] | None = None
    cut: str = ""
    """``close`` or ``reset`` (no answer at all), ``truncate`` (half of the body, then the connection goes), ``stall``
    (half of the answer, then nothing more)."""
    real: bool = True
    """False when a fault made it up, so that it is not held against the OpenAPI description."""


def encode(value: Any) -> bytes:
    """Write JSON, compactly."""
    return json.dumps(value, separators=(",", ":")).encode()


def json_answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """Answer with a JSON document."""
    return Answer(status, encode(value), {"content-type": "application/json; charset=utf-8", **(headers or {})})


def list_answer(items: list[bytes], headers: Mapping[str, str] | None = None) -> Answer:
    """Answer with a JSON list of documents that are encoded already."""
    body = b"[" + b",".join(items) + b"]"
    return Answer(200, body, {"content-type": "application/json; charset=utf-8", **(headers or {})}, items)


def error_body(status: int, message: str, documentation_url: str = DOCUMENTATION, **more: str) -> dict[str, str]:
    """Build GitHub's error body; its ``status`` is a string (docs/github-behaviour.md, "Refusals")."""
    return {"message": message, "documentation_url": documentation_url, "status": str(status), **more}


class Refusal(Exception):
    """GitHub says no."""

    def __init__(
        self,
        status: int,
        message: str,
        headers: Mapping[str, str] | None = None,
        documentation_url: str = DOCUMENTATION,
    ) -> None:
        super().__init__(f"{status} {message}")
        self.status = status
        self.message = message
        self.headers = dict(headers or {})
        self.documentation_url = documentation_url

    def answer(self) -> Answer:
        """Turn it into the answer."""
        return json_answer(error_body(self.status, self.message, self.documentation_url), self.status, self.headers)
