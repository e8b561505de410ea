"""The HTTP client: redirects, retries and rate limits.

Everything goes over real sockets; only time is made up.
"""

from __future__ import annotations

import gzip
from contextlib import suppress
from datetime import timedelta
from email.utils import format_datetime

import pytest

from package_keeper.errors import ApiError, ApiErrorKind
from package_keeper.github import rate_limit
from package_keeper.github.rate_limit import limit_wait
from package_keeper.github.retries import RETRY_SECONDS
from package_keeper.model.permissions import TokenFacts
from tests.wire.machinery import CLOSE, START, TRICKLE, Scripted, answer, client
from tests.wire.world import TOKEN

FINE = answer(200, b"[]")
GONE = answer(204)
METHODS = ("GET", "POST", "DELETE")


def test_every_request_has_the_token_and_the_api_version() -> None:
    with Scripted([FINE]) as server, client(server.url + "/") as ours:
        found = ours.http_client.send("GET", "/orgs/acme/packages", {"package_type": "npm", "page": "1"})
    assert (found.status, found.body) == (200, b"[]")
    assert server.requests == ["GET /orgs/acme/packages?package_type=npm&page=1"]
    head = server.heads[0].lower()
    assert f"authorization: bearer {TOKEN}\r\n" in head
    assert "accept: application/vnd.github+json\r\n" in head
    assert "x-github-api-version: 2022-11-28\r\n" in head
    assert "user-agent: package-keeper\r\n" in head


def test_the_last_successful_answer_shows_what_the_token_may_do() -> None:
    """Errors, often a proxy's, and 304 lack the header."""
    answers = [
        answer(200, b"[]", "X-OAuth-Scopes: repo"),
        answer(200, b"[]", "X-OAuth-Scopes: read:packages, delete:packages"),
        answer(304),
        answer(404, b"{}", "X-OAuth-Scopes: admin:org"),
        answer(200, b"[]", "X-RateLimit-Limit: 1000"),
    ]
    shown = []
    with Scripted(answers) as server, client(server.url) as ours:
        assert ours.http_client.token_facts == TokenFacts()
        for _ in answers:
            with suppress(ApiError):
                ours.http_client.send("GET", "/x", headers={"If-None-Match": "x"})
            shown.append(ours.http_client.token_facts)
    classic = TokenFacts(scopes=frozenset({"read:packages", "delete:packages"}))
    assert shown == [TokenFacts(scopes=frozenset({"repo"})), classic, classic, classic, TokenFacts(is_workflows=True)]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", METHODS)
def test_redirects_keep_the_method_or_are_not_followed(method: str, status: int) -> None:
    there = answer(status, b"", "Location: /organizations/7/packages/npm/app?page=2")
    with Scripted([there, GONE]) as server, client(server.url) as ours:
        if method == "GET" or status in (301, 307, 308):
            assert ours.http_client.send(method, "/orgs/acme/packages/npm/app", {"page": "2"}).status == 204
            assert server.requests[1] == f"{method} /organizations/7/packages/npm/app?page=2"
            assert "authorization: bearer" in server.heads[1].lower()
        else:
            with pytest.raises(ApiError) as caught:
                ours.http_client.send(method, "/orgs/acme/packages/npm/app")
            assert caught.value.kind is ApiErrorKind.OTHER
            assert len(server.requests) == 1
        assert ours.clock.slept == []


VERSION = "/orgs/acme/packages/container/tool%2Fapp/versions/7"


@pytest.mark.parametrize(
    "location",
    [
        "/organizations/42/packages/container/tool%2Fapp/versions/7",
        "/orgs/new-name/packages/container/tool%2Fapp/versions/7",
        "/orgs/new-name/packages/container/tool%2FApp/versions/7",
        "/users/octocat/packages/container/tool%2Fapp/versions/7",
        "/user/42/packages/container/tool%2Fapp/versions/7",
        "/user/packages/container/tool%2Fapp/versions/7",
    ],
)
@pytest.mark.parametrize("base", ["", "/api/v3"])
def test_a_write_follows_a_renamed_owner(base: str, location: str) -> None:
    with Scripted([answer(307, b"", f"Location: {base}{location}"), GONE]) as server, client(server.url + base) as ours:
        assert ours.http_client.send("DELETE", VERSION).status == 204
        assert server.requests == [f"DELETE {base}{VERSION}", f"DELETE {base}{location}"]


@pytest.mark.parametrize(
    "location",
    [
        "/orgs/acme/packages/container/tool%2Fapp",
        "/organizations/42/packages/container/tool%2Fapp",
        "/organizations/42/packages/container/tool%2Fapp/versions/8",
        "/organizations/42/packages/container/tool%2Fapp/versions",
        "/organizations/42/packages/container/tool%2Fapp/versions/7/restore",
        "/organizations/42/packages/container/tool%2Fother/versions/7",
        "/organizations/42/packages/container/tool/app/versions/7",
        "/organizations/42/packages/npm/tool%2Fapp/versions/7",
        "/organizations/42/packages/container/tool%2Fapp/versions/7/..",
        "/organizations/42",
        "/repos/acme/packages/container/tool%2Fapp/versions/7",
        "/orgs/acme/packages/x/packages/container/tool%2Fapp/versions/7",
        "/login",
        "/",
    ],
)
@pytest.mark.parametrize("status", [301, 307, 308])
def test_a_write_is_never_redirected_to_another_path(status: int, location: str) -> None:
    with Scripted([answer(status, b"", f"Location: {location}"), GONE]) as server, client(server.url) as ours:
        with pytest.raises(ApiError, match="it was not sent on") as caught:
            ours.http_client.send("DELETE", VERSION)
        assert server.requests == [f"DELETE {VERSION}"]
        assert not caught.value.sent_before


def test_a_write_is_never_redirected_outside_the_base_url() -> None:
    there = answer(307, b"", f"Location: {VERSION}")
    with Scripted([there, GONE]) as server, client(server.url + "/api/v3") as ours:
        with pytest.raises(ApiError, match="it was not sent on"):
            ours.http_client.send("DELETE", VERSION)
        assert len(server.requests) == 1


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("status", [301, 307, 308])
def test_no_request_is_redirected_to_another_host(method: str, status: int) -> None:
    with Scripted([FINE]) as elsewhere, Scripted([]) as server, client(server.url) as ours:
        server.answers = [answer(status, b"", f"Location: {elsewhere.url}/stolen")]
        with pytest.raises(ApiError, match="another host"):
            ours.http_client.send(method, "/old")
        assert elsewhere.requests == []


@pytest.mark.parametrize(
    "location", ["//127.0.0.1:1/x", "https://127.0.0.1/x", "http://localhost/x", "file:///etc/passwd"]
)
def test_no_spelling_of_another_address_is_followed(location: str) -> None:
    with Scripted([answer(307, b"", f"Location: {location}"), FINE]) as server, client(server.url) as ours:
        with pytest.raises(ApiError):
            ours.http_client.send("DELETE", "/old")
        assert len(server.requests) == 1


def test_redirects_in_a_circle_are_an_error() -> None:
    with Scripted([answer(307, b"", "Location: /round")]) as server, client(server.url) as ours:
        with pytest.raises(ApiError, match="redirects"):
            ours.http_client.send("GET", "/round")
        assert len(server.requests) == 6


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize("method", METHODS)
def test_server_errors_are_retried(method: str, status: int) -> None:
    with Scripted([answer(status, b"oops"), answer(status), GONE]) as server, client(server.url) as ours:
        assert ours.http_client.send(method, "/x").status == 204
        assert server.requests == [f"{method} /x"] * 3
        assert len(ours.clock.slept) == len(ours.said) == 2
        assert 0.7 <= ours.clock.slept[0] <= 1.3 < ours.clock.slept[1] <= 2.6


def test_a_server_error_may_come_under_another_status() -> None:
    broken = answer(400, b'{"message": "Server Error"}')
    with Scripted([broken, FINE]) as server, client(server.url) as ours:
        assert ours.http_client.send("GET", "/x").status == 200
        assert len(server.requests) == 2


@pytest.mark.parametrize("broken", [CLOSE, answer(200, b"[1,2,3]")[:-3], b"HTTP/1.1 twohundred\r\n\r\n"])
def test_connections_that_break_are_retried(broken: bytes) -> None:
    with Scripted([broken, FINE]) as server, client(server.url) as ours:
        assert ours.http_client.send("GET", "/x").body == b"[]"
        assert len(ours.clock.slept) == 1


def test_content_that_cannot_be_decoded_is_retried() -> None:
    with Scripted([answer(200, b"no gzip", "Content-Encoding: gzip"), FINE]) as server, client(server.url) as ours:
        assert ours.http_client.send("GET", "/x").body == b"[]"
        assert len(server.requests) == 2


def test_an_answer_that_trickles_is_cut_off_and_requested_again(monkeypatch: pytest.MonkeyPatch) -> None:
    # a minute, in which bytes come without a pause, has no other end
    monkeypatch.setattr(rate_limit, "ANSWER_SECONDS", 0.5)
    with Scripted([TRICKLE, FINE]) as server, client(server.url) as ours:
        assert ours.http_client.send("GET", "/x").body == b"[]"
        assert server.requests == ["GET /x"] * 2
        assert len(ours.clock.slept) == 1
        assert "did not answer in time (reading)" in ours.said[0]


LONG = b"".join(b"%d," % (number * number) for number in range(60_000))


def chunked(body: bytes, size: int) -> bytes:
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in [*parts, b""])


@pytest.mark.parametrize("body", [b"", b"[]", LONG])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("size", [0, 1_000, 200_000])
def test_bodies_are_read_whole_in_every_encoding(body: bytes, packed: bool, size: int) -> None:
    headers = ["Connection: keep-alive"] + (["Content-Encoding: gzip"] if packed else [])
    content = gzip.compress(body) if packed else body
    if size:
        lines = ["HTTP/1.1 200 OK", "Transfer-Encoding: chunked", *headers]
        given = "\r\n".join(lines).encode() + b"\r\n\r\n" + chunked(content, size)
    else:
        given = answer(200, content, *headers)
    with Scripted([given, FINE]) as server, client(server.url) as ours:
        assert ours.http_client.send("GET", "/x").body == body
        assert ours.http_client.send("GET", "/x").body == b"[]"
        assert len(server.requests) == 2


@pytest.mark.parametrize("failure", [CLOSE, answer(503)])
def test_retries_end_within_thirty_seconds(failure: bytes) -> None:
    with Scripted([failure]) as server, client(server.url) as ours:
        with pytest.raises(ApiError) as caught:
            ours.http_client.send("DELETE", "/x")
        assert caught.value.kind is ApiErrorKind.UNREACHABLE
        assert caught.value.sent_before
        assert RETRY_SECONDS / 2 < sum(ours.clock.slept) <= RETRY_SECONDS
        assert 4 <= len(server.requests) <= 8


def test_a_server_that_does_not_answer_is_unreachable() -> None:
    with Scripted([FINE]) as server:
        url = server.url
    with client(url) as ours:
        with pytest.raises(ApiError) as caught:
            ours.http_client.send("GET", "/x")
        assert caught.value.kind is ApiErrorKind.UNREACHABLE
        assert TOKEN not in str(caught.value)


def test_an_error_after_a_lost_answer_says_so() -> None:
    missing = answer(404, b'{"message": "Package version not found."}')
    for first, lost in ((CLOSE, True), (answer(502), True), (answer(429, b"", "Retry-After: 1"), False)):
        with Scripted([first, missing]) as server, client(server.url) as ours:
            with pytest.raises(ApiError) as caught:
                ours.http_client.send("DELETE", "/x")
            assert caught.value.kind is ApiErrorKind.NOT_FOUND
            assert caught.value.sent_before is lost
            assert len(server.requests) == 2


LIMITS = [
    (403, "API rate limit exceeded for user ID 1.", ("x-ratelimit-remaining: 0", "Retry-After: 7"), 7.0, "primary"),
    (
        429,
        "API rate limit exceeded for user ID 1.",
        ("x-ratelimit-remaining: 0", "x-ratelimit-reset: {soon}"),
        41.0,
        "primary",
    ),
    (
        403,
        "You have exceeded a secondary rate limit.",
        ("Retry-After: 3", "x-ratelimit-remaining: 4000"),
        3.0,
        "secondary",
    ),
    (429, "You have exceeded a secondary rate limit.", (), 60.0, "secondary"),
    (429, "", ("Retry-After: 0",), 1.0, "secondary"),
    (429, "", ("Retry-After: 7.5",), 7.5, "secondary"),
    (429, "", ("Retry-After: soon",), 60.0, "secondary"),
    (429, "", ("Retry-After: Wed, 21 Oct 2015 07:28:00 GMT",), 1.0, "secondary"),
    (403, "Please wait a few minutes before you try again.", ("Retry-After: 3",), 3.0, "secondary"),
    (403, "You have triggered an abuse detection mechanism.", (), 60.0, "secondary"),
    (
        403,
        "You have exceeded a secondary rate limit.",
        ("Retry-After: {date}",),
        40.0,
        "secondary",
    ),
]


@pytest.mark.parametrize(("status", "message", "headers", "wait", "kind"), LIMITS)
def test_limits_are_waited_for(status: int, message: str, headers: tuple[str, ...], wait: float, kind: str) -> None:
    soon = str(int(START.timestamp()) + 40)
    body = f'{{"message": "{message}"}}'.encode()
    date = format_datetime(START + timedelta(seconds=40), usegmt=True)
    refused = answer(status, body, *(header.replace("{soon}", soon).replace("{date}", date) for header in headers))
    with Scripted([refused, GONE]) as server, client(server.url) as ours:
        assert ours.http_client.send("DELETE", "/x").status == 204
        assert ours.clock.slept == [wait]
        assert kind in ours.said[0]
        assert len(server.requests) == 2


def test_a_secondary_limit_without_a_wait_doubles() -> None:
    refused = answer(403, b'{"message": "You have exceeded a secondary rate limit."}')
    with Scripted([refused, refused, refused, GONE]) as server, client(server.url) as ours:
        ours.http_client.send("DELETE", "/x")
        assert ours.clock.slept == [60.0, 120.0, 240.0]


def test_waits_for_limits_do_not_use_up_the_time_for_retries() -> None:
    limit = answer(429, b"", "Retry-After: 3600")
    with Scripted([limit, answer(502), limit, CLOSE, GONE]) as server, client(server.url) as ours:
        assert ours.http_client.send("DELETE", "/x").status == 204


def test_a_missing_permission_is_not_a_rate_limit() -> None:
    refused = answer(403, b'{"message": "Resource not accessible by integration"}', "x-ratelimit-remaining: 0")
    with Scripted([refused]) as server, client(server.url) as ours:
        with pytest.raises(ApiError) as caught:
            ours.http_client.send("DELETE", "/x")
        assert caught.value.kind is ApiErrorKind.NO_PERMISSION
        assert ours.clock.slept == []


def test_the_wait_until_a_reset_that_has_passed_is_short() -> None:
    headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(START.timestamp()) - 100)}
    assert limit_wait(headers, 1, START) == (1.0, "primary")


@pytest.mark.parametrize("ahead", [-86_400, -600, 600, 86_400])
def test_a_wrong_clock_of_this_machine_changes_no_wait(ahead: float) -> None:
    theirs = START - timedelta(seconds=ahead)
    reset = f"x-ratelimit-reset: {theirs.timestamp() + 40:.0f}"
    date = f"Date: {format_datetime(theirs, usegmt=True)}"
    until = f"Retry-After: {format_datetime(theirs + timedelta(seconds=90), usegmt=True)}"
    exceeded = b'{"message": "API rate limit exceeded for user ID 1."}'
    primary = answer(403, exceeded, "x-ratelimit-limit: 5000", "x-ratelimit-remaining: 0", reset, date)
    with Scripted([primary, answer(429, b"", until, date), FINE]) as server, client(server.url) as ours:
        ours.http_client.send("GET", "/x")
        # a date has whole seconds, so that one more may be waited
        assert [round(seconds) for seconds in ours.clock.slept] == [41, 90]
    used_up = answer(200, b"[]", "x-ratelimit-limit: 5000", "x-ratelimit-remaining: 0", reset, date)
    with Scripted([used_up, FINE]) as server, client(server.url) as ours:
        ours.http_client.send("GET", "/x")
        ours.http_client.send("GET", "/x")
        assert [round(seconds) for seconds in ours.clock.slept] == [41]


@pytest.mark.parametrize("date", ["", "x", "Wed, 99 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 2015 07:28:00 +" + "9" * 30])
def test_without_server_time_the_wait_for_a_past_reset_doubles(date: str) -> None:
    headers = {
        "date": date,
        "x-ratelimit-remaining": "0",
        "x-ratelimit-reset": str(int(START.timestamp()) - 100),
    }
    waits = [limit_wait(headers, times, START) for times in (1, 2, 3, 7, 8, 100)]
    assert waits == [(seconds, "primary") for seconds in (1.0, 2.0, 4.0, 64.0, 64.0, 64.0)]


def test_a_netrc_file_does_not_replace_the_token(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    netrc = tmp_path_factory.mktemp("home") / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n", encoding="utf-8")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with Scripted([FINE]) as server, client(server.url) as ours:
        ours.http_client.send("GET", "/x")
        assert f"authorization: bearer {TOKEN}\r\n" in server.heads[0].lower()


def test_a_proxy_of_the_environment_is_used_unless_it_is_told_not_to(monkeypatch: pytest.MonkeyPatch) -> None:
    with Scripted([FINE]) as proxy, Scripted([FINE]) as server:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        with client("http://github.invalid/api/v3") as ours:
            assert ours.http_client.send("GET", "/x").status == 200
        assert proxy.requests == ["GET http://github.invalid/api/v3/x"]
        with client(server.url) as ours:
            assert ours.http_client.send("GET", "/y").status == 200
        assert (len(proxy.requests), len(server.requests)) == (1, 1)
