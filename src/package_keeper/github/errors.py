"""What GitHub's error answers mean, by message as well as status (docs/github-behaviour.md, "Refusals")."""

import re
from collections.abc import Mapping

import msgspec

from package_keeper.causes import Cause
from package_keeper.errors import ApiError, ApiErrorKind, without_secret
from package_keeper.model.permissions import ADMIN_ROLE, CLASSIC_SCOPES, permission_cause

LISTING = (
    "GITHUB_TOKEN and app tokens cannot list container packages: name them in `package`, or use a classic token with"
    " read:packages."
)
TOKEN = "The token is wrong, expired or revoked; give a valid one (input token, or GH_TOKEN)."  # noqa: S105  # reason: advice

_BY_MESSAGE = (
    ("downloads cannot be deleted", ApiErrorKind.PROTECTED_BY_DOWNLOADS),
    ("cannot delete the last tagged version", ApiErrorKind.LAST_VERSION),
    ("cannot delete the last version", ApiErrorKind.LAST_VERSION),
)

SSO = "x-github-sso"
"""The header about SAML single sign-on."""

_TAKEN = re.compile(rb"already[ _](?:exist|been|in use|active|restored)", re.IGNORECASE)
"""A restoration failed because something active has the name. The words are in the message, or a code in `errors`."""

LONGEST_MESSAGE = 1_000
"""The most characters that are kept of a message. GitHub's own have at most some hundred."""

_LIMITS = ("rate limit", "abuse detection", "toomanyrequests")
"""Words of the REST interface, of the secondary limit on older servers, and of the registry."""


class _ErrorBody(msgspec.Struct):
    message: str = ""


def message_of(body: bytes) -> str:
    """GitHub's message, or an empty string when the body is not GitHub's."""
    try:
        return msgspec.json.decode(body, type=_ErrorBody).message
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""


def api_error(method: str, status: int, headers: Mapping[str, str], body: bytes, *, secret: str = "") -> ApiError:
    """Interpret an answer that is neither a success nor a rate limit. `secret` is removed from its texts."""
    message = message_of(body) or f"HTTP {status} without a message"
    kind = _kind(method, status, message.lower(), body)
    # masked before it is cut, so that no part of the secret is left
    message = without_secret(message, secret)
    message = message if len(message) <= LONGEST_MESSAGE else f"{message[: LONGEST_MESSAGE - 1]}…"
    remedy = {
        ApiErrorKind.LISTING_REFUSED: LISTING,
        ApiErrorKind.UNAUTHORIZED: TOKEN,
        ApiErrorKind.NO_PERMISSION: _permission_remedy(message.lower(), headers),
    }.get(kind, "")
    return ApiError(kind, message, status=status, remedy=without_secret(remedy, secret), cause=_cause(kind, message))


def _cause(kind: ApiErrorKind, message: str) -> Cause | None:
    if kind is ApiErrorKind.NO_PERMISSION:
        return permission_cause(message)
    return {ApiErrorKind.LISTING_REFUSED: Cause.LISTING, ApiErrorKind.UNAUTHORIZED: Cause.CREDENTIALS}.get(kind)


def _kind(method: str, status: int, message: str, body: bytes) -> ApiErrorKind:
    if status >= 500:
        return ApiErrorKind.UNREACHABLE
    for text, kind in _BY_MESSAGE:
        if text in message:
            return kind
    # checked before the status: a 403 with these words is not a missing permission
    if method != "GET" and status in (400, 403, 409, 422) and _TAKEN.search(body):
        return ApiErrorKind.ALREADY_EXISTS
    if status == 400 and method == "GET" and message.startswith("invalid argument"):
        return ApiErrorKind.LISTING_REFUSED
    by_status = {
        401: ApiErrorKind.UNAUTHORIZED,
        403: ApiErrorKind.NO_PERMISSION,
        404: ApiErrorKind.NOT_FOUND,
        410: ApiErrorKind.NOT_FOUND,
    }
    return by_status.get(status, ApiErrorKind.OTHER)


def is_server_error(status: int, body: bytes) -> bool:
    """Whether the server failed: a 5xx, or another error with the text `Server Error`."""
    return status >= 500 or (status >= 400 and message_of(body).strip().lower() == "server error")


def is_rate_limit(status: int, headers: Mapping[str, str], body: bytes) -> bool:
    """Whether a 403 or 429 is a rate limit, and not a missing permission.

    A used-up budget in the headers proves nothing: the last request of an hour may lack a permission too.
    """
    if status == 429:
        return True
    if status != 403:
        return False
    lowered = body.decode(errors="replace").lower()
    return "retry-after" in headers or any(words in lowered for words in _LIMITS)


def _permission_remedy(message: str, headers: Mapping[str, str]) -> str:
    if "saml" in message:
        return sso_remedy(headers)
    if "scope" in message:
        return f"Give the token the missing scope: {CLASSIC_SCOPES}."
    return ADMIN_ROLE


def is_incomplete(headers: Mapping[str, str]) -> bool:
    """Whether a list leaves out what needs an authorization by SAML single sign-on."""
    return "partial-results" in headers.get(SSO, "")


def sso_remedy(headers: Mapping[str, str]) -> str:
    """How to authorize the token, with the address that GitHub names, if any."""
    for part in headers.get(SSO, "").split(";"):
        name, _, value = part.strip().partition("=")
        if name == "url" and value.startswith("https://"):
            return f"Authorize the token for the organization: {value}"
    return "Authorize the token for the organization: Settings, Personal access tokens, Configure SSO."
