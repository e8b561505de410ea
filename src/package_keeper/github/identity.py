"""Finds out whose packages a run is about, once per run.

Without PyGithub: in every run, its import and its own connection would take longer than the request
(docs/decisions/0014).
"""

from urllib.parse import quote

import msgspec

from package_keeper.causes import Cause, Caused
from package_keeper.errors import ApiError, ApiErrorKind, BadInput, NotAuthorized, Unreachable
from package_keeper.github.http import HttpClient
from package_keeper.model.packages import Owner, OwnerType

ACCOUNT_TYPES = ("Organization", "User", "Bot", "Mannequin")
"""The types of accounts; an answer with another one is not GitHub's."""


class Identity:
    """Finds out who the owner and the token's account are."""

    def __init__(self, api_url: str, http_client: HttpClient) -> None:
        self._api_url = api_url
        self._http = http_client

    def resolve(self, login: str, owner_type: str, *, login_is_default: bool) -> Owner:
        """Resolve the owner. `owner_type` is the input; any value but `auto` overrides what GitHub says.

        Raises `BadInput` when there is no such account, `NotAuthorized` when GitHub does not accept the token, and
        `Unreachable`.
        """
        try:
            if owner_type == OwnerType.AUTHENTICATED_USER:
                return self._own_account(login, login_is_default=login_is_default)
            if owner_type != "auto":
                return Owner(login=login, type=OwnerType(owner_type))
            return self._owner_by_login(login)
        except ApiError as error:
            if error.kind is ApiErrorKind.NOT_FOUND:
                text = f"owner: '{login}' is no account that {self._api_url} knows"
                raise BadInput([Caused(text, Cause.OWNER)]) from None
            if error.kind is ApiErrorKind.UNREACHABLE:
                raise Unreachable(
                    f"GitHub at {self._api_url} cannot be reached: {error}", causes=error.causes
                ) from None
            text = f"GitHub did not say who {login or 'the token'} is: {error}\n{error.remedy}"
            raise NotAuthorized(text, causes=error.causes) from None

    def _owner_by_login(self, login: str) -> Owner:
        found, kind = self._account(f"/users/{quote(login, safe='')}")
        if kind == "Organization":
            return Owner(login=found, type=OwnerType.ORGANIZATION)
        own = self._own_login()
        if own is not None and own.lower() == found.lower():
            # private packages are listed under /user only (docs/github-behaviour.md, "Tokens")
            return Owner(login=own, type=OwnerType.AUTHENTICATED_USER)
        return Owner(login=found, type=OwnerType.USER)

    def _own_account(self, login: str, *, login_is_default: bool) -> Owner:
        own = self._own_login()
        if own is None:
            raise NotAuthorized(
                "owner-type: authenticated-user needs a token of a person; GITHUB_TOKEN and app tokens have no account"
                " of their own. Use a classic token, or another owner-type."
            )
        if login and not login_is_default and login.lower() != own.lower():
            raise BadInput([f"owner: '{login}' is not the token's own account, which is '{own}'"])
        return Owner(login=own, type=OwnerType.AUTHENTICATED_USER)

    def _own_login(self) -> str | None:
        """The token's account; `None` for `GITHUB_TOKEN` and app tokens, which have none."""
        try:
            return self._account("/user")[0]
        except ApiError as error:
            if error.kind in (ApiErrorKind.NO_PERMISSION, ApiErrorKind.NOT_FOUND):
                return None
            raise

    def _account(self, path: str) -> tuple[str, str]:
        return self._http.get(path, _login_and_type)[0]


class _Account(msgspec.Struct):
    login: str
    type: str


def _login_and_type(body: bytes) -> tuple[str, str]:
    try:
        account = msgspec.json.decode(body, type=_Account)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ApiError(ApiErrorKind.UNREACHABLE, f"GitHub's answer could not be read ({error})") from None
    if not account.login or account.type not in ACCOUNT_TYPES:
        raise ApiError(ApiErrorKind.UNREACHABLE, "GitHub's answer is no account")
    return account.login, account.type
