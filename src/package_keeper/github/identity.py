"""Whose packages a run concerns, asked once per run through PyGithub.

PyGithub objects are not to be shared among threads (GITHUB.md, "Libraries"); the one here lives in the thread that made
it and ends with the question.
"""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import requests

from package_keeper.errors import BadInput, NotAuthorized, Refusal, RefusalKind, Unreachable
from package_keeper.github import refusals
from package_keeper.github.transport import RETRY_SECONDS, TIMEOUT, Clock
from package_keeper.github.waits import limit_wait
from package_keeper.inventory.package import Owner, OwnerType

if TYPE_CHECKING:
    from github import Github, GithubException
    from github.AuthenticatedUser import AuthenticatedUser
    from github.NamedUser import NamedUser

_T = TypeVar("_T")

ACCOUNT_TYPES = ("Organization", "User", "Bot", "Mannequin")
"""What GitHub calls accounts; anything else is no answer of GitHub's."""


class Identity:
    """Asks GitHub who the owner and the token's account are."""

    def __init__(self, api_url: str, token: str, *, clock: Clock, notify: Callable[[str], None]) -> None:
        self._api_url = api_url
        self._token = token
        self._clock = clock
        self._notify = notify

    def resolve(self, login: str, owner_type: str, *, login_is_default: bool) -> Owner:
        """Resolve the owner. `owner_type` is the input's word; everything but `auto` overrides what GitHub says.

        Raises `BadInput` when there is no such account, `NotAuthorized` when the token is not accepted, and
        `Unreachable`.
        """
        try:
            if owner_type == OwnerType.AUTHENTICATED_USER:
                return self._own_account(login, login_is_default=login_is_default)
            if owner_type != "auto":
                return Owner(login=login, type=OwnerType(owner_type))
            return self._owner_by_login(login)
        except Refusal as refused:
            if refused.kind is RefusalKind.NOT_FOUND:
                raise BadInput([f"owner: '{login}' is no account that {self._api_url} knows"]) from None
            if refused.kind is RefusalKind.UNREACHABLE:
                raise Unreachable(f"GitHub at {self._api_url} cannot be reached: {refused}") from None
            raise NotAuthorized(
                f"GitHub refused to say who {login or 'the token'} is: {refused}\n{refused.remedy}"
            ) from None

    def _owner_by_login(self, login: str) -> Owner:
        found, kind = self._ask(lambda github: _login_and_type(github.get_user(login)))
        if kind == "Organization":
            return Owner(login=found, type=OwnerType.ORGANIZATION)
        own = self._own_login()
        if own is not None and own.lower() == found.lower():
            # private packages are listed under /user only (GITHUB.md, "Tokens")
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
        """The token's account, or `None` for `GITHUB_TOKEN` and app tokens, which have none."""
        try:
            return self._ask(lambda github: _login_and_type(github.get_user())[0])
        except Refusal as refused:
            if refused.kind in (RefusalKind.NO_PERMISSION, RefusalKind.NOT_FOUND):
                return None
            raise

    def _ask(self, question: Callable[["Github"], _T]) -> _T:
        """Ask until there is an answer or a lasting refusal; 30 seconds at most besides waits for limits."""
        # imported here: it takes longer than everything else together, and explicit owner types do without
        import github  # noqa: PLC0415  # reason: start-up time

        client = github.Github(
            auth=github.Auth.Token(self._token),
            base_url=self._api_url,
            timeout=int(TIMEOUT[1]),
            user_agent="package-keeper",
            retry=None,
            seconds_between_requests=None,
            seconds_between_writes=None,
        )
        until = self._clock.monotonic() + RETRY_SECONDS
        wait, limits = 1.0, 0
        try:
            while True:
                try:
                    return question(client)
                except github.GithubException as error:
                    status, headers, body = _parts(error)
                    if refusals.is_rate_limit(status, headers, body):
                        limits += 1
                        pause, kind = limit_wait(headers, limits, self._clock.now())
                        self._notify(f"GitHub's {kind} rate limit is reached; waiting {pause:.0f} s for it")
                        self._clock.sleep(pause)
                        until += pause
                        continue
                    refused = refusals.refusal("GET", status, headers, body)
                    if refusals.is_server_error(status, body):
                        refused = Refusal(RefusalKind.UNREACHABLE, refused.message, status=status)
                    refused.hide(self._token)
                except (ValueError, TypeError, AttributeError, KeyError, RuntimeError):
                    # PyGithub trusts what it gets
                    refused = Refusal(RefusalKind.UNREACHABLE, "GitHub's answer could not be read")
                except requests.RequestException:
                    refused = Refusal(RefusalKind.UNREACHABLE, "the connection to GitHub failed")
                if refused.kind is not RefusalKind.UNREACHABLE or self._clock.monotonic() + wait > until:
                    raise refused
                self._notify(f"{refused}; trying again in {wait:.0f} s")
                self._clock.sleep(wait)
                wait = min(wait * 2, 8.0)
        finally:
            client.close()


def _login_and_type(account: "NamedUser | AuthenticatedUser") -> tuple[str, str]:
    # PyGithub's types promise texts; an answer without them gives None
    login, kind = str(account.login or ""), str(account.type or "")
    if not login or kind not in ACCOUNT_TYPES:
        raise TypeError("an account without a login or of no known type")
    return login, kind


def _parts(error: "GithubException") -> tuple[int, dict[str, str], bytes]:
    headers = {name.lower(): value for name, value in (error.headers or {}).items()}
    data = error.data if isinstance(error.data, dict) else {"message": str(error.data or error.message or "")}
    return error.status, headers, json.dumps(data).encode()
