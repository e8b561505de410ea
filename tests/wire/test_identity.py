"""Whose packages a run is about, for every kind of token and account."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from package_keeper.errors import BadInput, NotAuthorized, Unreachable
from package_keeper.github.http import HttpClient
from package_keeper.github.identity import Identity
from package_keeper.model.packages import Owner, OwnerType
from tests.simulator import Simulator
from tests.wire.machinery import Scripted, StillClock, answer, retries
from tests.wire.world import TOKEN


@pytest.fixture
def sim() -> Iterator[Simulator]:
    with Simulator() as simulator:
        simulator.add_owner("Acme")
        simulator.add_owner("hubot", "User")
        yield simulator
    assert simulator.errors == []


def resolve(
    url: str, login: str, owner_type: str = "auto", *, default: bool = False, clock: StillClock | None = None
) -> Owner:
    said: list[str] = []
    http_client = HttpClient(url, TOKEN, retries(clock or StillClock(), said.append))
    try:
        owner = Identity(url, http_client).resolve(login, owner_type, login_is_default=default)
    finally:
        http_client.close()
    assert not any(TOKEN in text for text in said)
    return owner


@pytest.mark.parametrize("kind", ["classic", "actions", "app", "fine-grained"])
@pytest.mark.parametrize("login", ["acme", "ACME", "Acme"])
def test_an_organization_for_every_token(sim: Simulator, kind: str, login: str) -> None:
    sim.add_token(TOKEN, kind=kind)
    assert resolve(sim.url, login) == Owner(login="Acme", type=OwnerType.ORGANIZATION)


@pytest.mark.parametrize("kind", ["classic", "actions", "app"])
def test_another_user_for_every_token(sim: Simulator, kind: str) -> None:
    sim.add_token(TOKEN, kind=kind)
    assert resolve(sim.url, "hubot") == Owner(login="hubot", type=OwnerType.USER)


def test_the_tokens_own_account_is_an_authenticated_user(sim: Simulator) -> None:
    sim.add_token(TOKEN, login="Octocat")
    assert resolve(sim.url, "octocat") == Owner(login="Octocat", type=OwnerType.AUTHENTICATED_USER)


@pytest.mark.parametrize("kind", ["actions", "app"])
def test_tokens_without_an_account_see_their_owner_as_a_user(sim: Simulator, kind: str) -> None:
    sim.add_token(TOKEN, kind=kind, login="octocat")
    sim.store.owners.setdefault("octocat", sim.add_owner("octocat", "User"))
    assert resolve(sim.url, "octocat").type is OwnerType.USER
    with pytest.raises(NotAuthorized, match="GITHUB_TOKEN"):
        resolve(sim.url, "octocat", "authenticated-user")


@pytest.mark.parametrize("word", ["organization", "user"])
def test_an_explicit_type_sends_no_request(sim: Simulator, word: str) -> None:
    assert resolve(sim.url, "whoever", word) == Owner(login="whoever", type=OwnerType(word))
    assert sim.requests == []


def test_authenticated_user_needs_no_name_and_rejects_another(sim: Simulator) -> None:
    sim.add_token(TOKEN, login="octocat")
    own = Owner(login="octocat", type=OwnerType.AUTHENTICATED_USER)
    assert resolve(sim.url, "", "authenticated-user") == own
    assert resolve(sim.url, "OCTOCAT", "authenticated-user") == own
    assert resolve(sim.url, "acme", "authenticated-user", default=True) == own
    with pytest.raises(BadInput, match="acme"):
        resolve(sim.url, "acme", "authenticated-user")


@pytest.mark.parametrize("limits", [True, False])
def test_enterprise_servers(sim: Simulator, limits: bool) -> None:
    sim.limits.configure(enabled=limits)
    sim.add_token(TOKEN, login="octocat")
    assert resolve(sim.enterprise_url, "acme").type is OwnerType.ORGANIZATION
    assert resolve(sim.enterprise_url, "octocat").type is OwnerType.AUTHENTICATED_USER
    assert {request.path for request in sim.requests} == {"/api/v3/users/acme", "/api/v3/users/octocat", "/api/v3/user"}


def test_no_such_account_is_bad_input(sim: Simulator) -> None:
    sim.add_token(TOKEN)
    with pytest.raises(BadInput, match="'nobody'"):
        resolve(sim.url, "nobody")


def test_a_wrong_token_is_not_authorized(sim: Simulator) -> None:
    for login, word in (("acme", "auto"), ("octocat", "authenticated-user")):
        with pytest.raises(NotAuthorized, match="Bad credentials") as caught:
            resolve(sim.url, login, word)
        assert TOKEN not in str(caught.value).split()


@pytest.mark.parametrize("action", ["respond", "close", "truncate", "garbage"])
def test_a_server_error_is_retried(sim: Simulator, action: str) -> None:
    sim.add_token(TOKEN)
    sim.faults.add("GET", "/users/acme", action=action, status=502, times=2 if action == "respond" else 1)
    clock = StillClock()
    assert resolve(sim.url, "acme", clock=clock) == Owner(login="Acme", type=OwnerType.ORGANIZATION)
    assert clock.slept


@pytest.mark.parametrize("action", ["respond", "close"])
def test_a_server_that_keeps_failing_is_unreachable(sim: Simulator, action: str) -> None:
    sim.faults.add("GET", "/users/acme", action=action, status=503, times=None)
    clock = StillClock()
    with pytest.raises(Unreachable):
        resolve(sim.url, "acme", clock=clock)
    assert 0 < sum(clock.slept) <= 30


@pytest.mark.parametrize("headers", [("Retry-After: 30",), ("x-ratelimit-remaining: 0", "x-ratelimit-reset: 99"), ()])
@pytest.mark.parametrize("status", [403, 429])
def test_limits_are_waited_for(status: int, headers: tuple[str, ...]) -> None:
    limit = answer(status, b'{"message": "API rate limit exceeded for user ID 1."}', *headers)
    body = json.dumps({"login": "acme", "id": 1, "type": "Organization", "url": "https://HOSTNAME/users/acme"}).encode()
    clock = StillClock()
    with Scripted([limit, answer(200, body)]) as server:
        assert resolve(server.url, "acme", clock=clock).type is OwnerType.ORGANIZATION
        assert len(clock.slept) == 1
        assert len(server.requests) == 2


GOOD = json.dumps({"login": "acme", "id": 1, "type": "Organization", "url": "https://HOSTNAME/users/acme"}).encode()


def test_a_renamed_account_is_found_through_the_redirect(sim: Simulator) -> None:
    sim.add_token(TOKEN)
    sim.redirects.add("/users/old-name", "/users/Acme")
    assert resolve(sim.url, "old-name") == Owner(login="Acme", type=OwnerType.ORGANIZATION)


@pytest.mark.parametrize("location", ["{elsewhere}/users/acme", "https://127.0.0.1:1/users/acme"])
def test_a_redirect_to_another_host_ends_the_run_and_gets_no_token(location: str) -> None:
    with Scripted([answer(200, GOOD)]) as elsewhere, Scripted([b""]) as server:
        server.answers = [answer(301, b"", "Location: " + location.replace("{elsewhere}", elsewhere.url))]
        try:
            with pytest.raises((NotAuthorized, Unreachable, BadInput)):
                resolve(server.url, "acme")
        finally:
            assert elsewhere.requests == []


@pytest.mark.parametrize(
    "strange",
    [
        answer(200, b""),
        answer(200, b"null"),
        answer(200, b"<html>Unicorn!</html>"),
        answer(302, b"", "Location: /login"),
        answer(307, b"", "Location: /login"),
        answer(403, b'"no"'),
    ],
    ids=["empty", "null", "html", "302", "307", "403"],
)
def test_the_type_of_an_account_is_never_guessed(strange: bytes) -> None:
    with Scripted([strange]) as server, pytest.raises((NotAuthorized, Unreachable, BadInput)):
        resolve(server.url, "acme")


def test_a_server_error_under_another_status_is_retried() -> None:
    with Scripted([answer(400, b'{"message": "Server Error"}'), answer(200, GOOD)]) as server:
        assert resolve(server.url, "acme").type is OwnerType.ORGANIZATION
