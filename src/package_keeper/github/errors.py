"""What GitHub's refusals mean, by message as well as status (docs/github-behaviour.md, "Refusals")."""

import re
from collections.abc import Mapping

import msgspec

from package_keeper.errors import ADMIN_ROLE, CLASSIC_SCOPES, ApiError, ApiErrorKind

LISTING = (
    "GITHUB_TOKEN and app tokens cannot list container packages: name them in `package`, or use a classic token with"
    " read:packages."
)

_BY_MESSAGE = (
    ("with more than 5000 downloads cannot be deleted", ApiErrorKind.PROTECTED_BY_DOWNLOADS, ""),
    ("downloads cannot be deleted", ApiErrorKind.PROTECTED_BY_DOWNLOADS, ""),
    ("cannot delete the last tagged version", ApiErrorKind.LAST_VERSION, ""),
    ("cannot delete the last version", ApiErrorKind.LAST_VERSION, ""),
)


SSO = "x-github-sso"
"""The header by which GitHub speaks of SAML single sign-on."""

_TAKEN = re.compile(rb"already[ _](?:exist|been|in use|active|restored)", re.IGNORECASE)
"""What a restoration is refused with when something active has the name: as a message, or a code of `errors`."""

_LIMITS = ("rate limit", "abuse detection", "toomanyrequests")
"""Words of REST, of older servers for the secondary limit, and of the registry's errors."""


class _ErrorBody(msgspec.Struct):
    message: str = ""


def message_of(body: bytes) -> str:
    """GitHub's own message, or an empty string when the body is none of GitHub's."""
    try:
        return msgspec.json.decode(body, type=_ErrorBody).message
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""


def refusal(method: str, status: int, headers: Mapping[str, str], body: bytes) -> ApiError:
    """Say what an answer that is no success and no rate limit means."""
    message = message_of(body) or f"HTTP {status} without a message"
    lowered = message.lower()
    if status < 500:
        for text, kind, remedy in _BY_MESSAGE:
            if text in lowered:
                return ApiError(kind, message, status=status, remedy=remedy)
        # before the status: a 403 may say so too, and is no missing permission then
        if method != "GET" and status in (400, 403, 409, 422) and _TAKEN.search(body):
            return ApiError(ApiErrorKind.ALREADY_EXISTS, message, status=status)
    if status == 400 and method == "GET" and lowered.startswith("invalid argument"):
        return ApiError(ApiErrorKind.LISTING_REFUSED, message, status=status, remedy=LISTING)
    if status == 401:
        return ApiError(
            ApiErrorKind.UNAUTHORIZED,
            message,
            status=status,
            remedy="The token is wrong, expired or revoked; give a valid one (input token, or GH_TOKEN).",
        )
    if status == 403:
        return ApiError(ApiErrorKind.NO_PERMISSION, message, status=status, remedy=_permission_remedy(lowered, headers))
    if status in (404, 410):
        return ApiError(ApiErrorKind.NOT_FOUND, message, status=status)
    if status >= 500:
        return ApiError(ApiErrorKind.UNREACHABLE, message, status=status)
    return ApiError(ApiErrorKind.OTHER, message, status=status)


def is_server_error(status: int, body: bytes) -> bool:
    """Whether GitHub failed on its side; it says so with a 5xx, or with the text alone."""
    return status >= 500 or (status >= 400 and message_of(body).strip().lower() == "server error")


def is_rate_limit(status: int, headers: Mapping[str, str], body: bytes) -> bool:
    """Whether a 403 or 429 is a limit to wait for, and no missing permission, which names no time.

    A used-up budget in the headers proves nothing: the last request of an hour may lack a permission as well.
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
    """Whether a list lacks what the token is not authorized for by SAML single sign-on."""
    return "partial-results" in headers.get(SSO, "")


def sso_remedy(headers: Mapping[str, str]) -> str:
    """How to authorize the token, at the address that GitHub names if it names one."""
    for part in headers.get(SSO, "").split(";"):
        name, _, value = part.strip().partition("=")
        if name == "url" and value.startswith("https://"):
            return f"Authorize the token for the organization: {value}"
    return "Authorize the token for the organization: Settings, Personal access tokens, Configure SSO."
