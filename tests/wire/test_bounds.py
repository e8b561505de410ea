"""Every answer is bounded in time and size: REST, registry and PyGithub, also through TLS and proxies.

Everything goes over real sockets, with bounds of fractions of a second.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import time
import tracemalloc
from collections.abc import Iterator

import github
import pytest

from package_keeper.errors import ApiError, ApiErrorKind, OutOfTime
from package_keeper.github import http, rate_limit
from package_keeper.github.http import HttpClient
from package_keeper.github.rate_limit import Use
from package_keeper.github.registry import RegistryWriter
from package_keeper.github.repositories import PyGithubClient, Repositories
from package_keeper.model.packages import PackageName, PackageType
from tests.wire.machinery import (
    POOL,
    TRICKLE,
    TRICKLING_HEAD,
    Scripted,
    StillClock,
    answer,
    client,
    retries,
)
from tests.wire.secured import Trickling, certificate
from tests.wire.world import TOKEN

FINE = answer(200, b"[]")
SLOW = [TRICKLE, TRICKLING_HEAD]
IMAGE = PackageName(type=PackageType.CONTAINER, name="app")
LIB = PackageName(type=PackageType.NPM, name="lib")


@pytest.fixture(autouse=True)
def half_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """A minute, in which bytes come without a pause, has no other end."""
    monkeypatch.setattr(rate_limit, "ANSWER_SECONDS", 0.5)


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds


# time


@pytest.mark.parametrize("slow", SLOW)
@pytest.mark.parametrize("method", ["GET", "DELETE", "POST"])
def test_an_answer_that_trickles_is_cut_off(method: str, slow: bytes) -> None:
    missing = answer(404, b'{"message": "Package version not found."}')
    with Scripted([slow, missing]) as server, client(server.url) as ours, within(2):
        with pytest.raises(ApiError) as caught:
            ours.http_client.send(method, "/x", use=Use.READ if method == "GET" else Use.DELETE)
        assert server.requests == [f"{method} /x"] * 2
        assert "did not answer in time (reading)" in ours.said[0]
        assert (caught.value.kind, caught.value.sent_before) == (ApiErrorKind.NOT_FOUND, True)


def test_an_interim_answer_without_end_is_given_up() -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\n" * 3
    with Scripted([interim, FINE]) as server, client(server.url) as ours, within(2):
        assert ours.http_client.send("GET", "/x").body == b"[]"


@pytest.mark.parametrize("slow", SLOW)
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_the_bound_shrinks_to_what_time_limit_leaves(method: str, slow: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limit, "ANSWER_SECONDS", 60.0)
    monkeypatch.setattr(rate_limit, "LEAST_ANSWER_SECONDS", 0.1)
    monkeypatch.setattr(rate_limit, "LEAST_WRITE_SECONDS", 0.1)
    clock, said = StillClock(), list[str]()
    with Scripted([slow]) as server, within(2):
        ours = HttpClient(server.url, TOKEN, retries(clock, said.append, deadline=0.6))
        if method == "GET":
            with pytest.raises(OutOfTime, match=r"did not answer in time .* would end past time-limit"):
                ours.send("GET", "/x")
        else:
            with pytest.raises(ApiError, match="did not answer in time") as caught:
                ours.send("DELETE", "/x", use=Use.DELETE)
            assert caught.value.sent_before
            assert caught.value.out_of_time
        assert len(server.requests) == 1
        ours.close()


def test_a_request_just_before_the_time_limit_has_time_for_its_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limit, "ANSWER_SECONDS", 60.0)
    clock = StillClock()
    for deadline, read, write in ((1_000.0, 60, 60), (20.0, 20, 20), (5.0, 5, 10), (0.01, 3, 10), (-5.0, 3, 10)):
        pace = retries(clock, print, deadline=deadline).rate_limiter
        assert (pace.answer_seconds(), pace.answer_seconds(writes=True)) == (read, write)


@contextlib.contextmanager
def registry(url: str) -> Iterator[RegistryWriter]:
    clock = StillClock()
    made = RegistryWriter(url, "acme", TOKEN, retries=retries(clock, print, who="the registry"), pool=POOL)
    yield made
    made._session.close()


@pytest.mark.parametrize("slow", SLOW)
def test_answers_of_the_registry_have_the_same_bound(slow: bytes) -> None:
    with Scripted([slow, answer(200, b"{}")]) as server, registry(server.url) as ours, within(2):
        assert ours.manifest_bytes(IMAGE, "v1") == b"{}"
        assert len(server.requests) == 2


# PyGithub


REPOSITORY = json.dumps({"id": 1, "name": "app", "full_name": "acme/app", "default_branch": "main"}).encode()


@contextlib.contextmanager
def repositories(url: str, said: list[str], deadline: float | None = None) -> Iterator[Repositories]:
    client = PyGithubClient(url, TOKEN, retries(StillClock(), said.append, deadline=deadline))
    try:
        yield Repositories(client)
    finally:
        client.close()


@pytest.mark.parametrize("slow", SLOW)
def test_answers_to_pygithub_have_the_same_bound(slow: bytes) -> None:
    said: list[str] = []
    with Scripted([slow, answer(200, REPOSITORY), slow, FINE]) as server, repositories(server.url, said) as ours:
        with within(3):
            life = ours.state("acme/app")
        assert (life.full_name, sorted(life.branches)) == ("acme/app", ["main"])
        assert len(said) == 2
        assert all("did not answer in time (reading)" in text for text in said)


def test_pygithub_keeps_its_connection_open() -> None:
    with Scripted([answer(200, REPOSITORY), FINE]) as server, repositories(server.url, []) as ours:
        ours.state("acme/app")
        assert len(server.requests) == 4
        assert len(server._connections) == 1


@pytest.mark.parametrize("step", [answer(202), answer(301, b"", "Location: {url}/other")])
def test_redirects_of_pygithub_in_a_circle_end(step: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(github.Consts, "PROCESSING_202_WAIT_TIME", 0.2)
    with Scripted([]) as server, repositories(server.url, [], deadline=0.6) as ours, within(2):
        # two places that send on to each other: one that sends on to itself is told at once
        there = step.replace(b"{url}", server.url.encode())
        server.answers = [there, there.replace(b"/other", b"/repos/acme/app")] * 3_000
        with pytest.raises(OutOfTime):
            ours.state("acme/app")
        assert len(server.requests) > 2


def test_answers_to_pygithub_have_the_same_size_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("package_keeper.github.repositories.LARGEST_ANSWER", 1 << 20)
    large = b"[%s]" % (b" " * (2 << 20))
    with Scripted([answer(200, large)]) as server, repositories(server.url, []) as ours:
        with pytest.raises(ApiError, match="larger than 1 MB") as caught:
            ours.state("acme/app")
        assert caught.value.kind is ApiErrorKind.UNREACHABLE
        assert len(server.requests) == 1


# TLS and proxies


def test_the_bound_holds_in_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certificate())
    with Trickling() as server, client(server.url) as ours, within(2):
        ours.http_client.rate_limiter.run_limits.deadline = 0.6
        with pytest.raises(OutOfTime, match="did not answer in time"):
            ours.http_client.send("GET", "/x")


def test_a_proxy_that_trickles_when_asked_for_a_tunnel_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "CONNECT_SECONDS", 0.3)
    with Scripted([TRICKLING_HEAD]) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        with client("https://github.invalid") as ours, within(2):
            ours.http_client.rate_limiter.run_limits.deadline = 0.6
            with pytest.raises(OutOfTime):
                ours.http_client.send("GET", "/x")
        assert proxy.requests == ["CONNECT github.invalid:443"]


def test_the_bound_holds_in_tls_within_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certificate())
    with Trickling(is_proxy=True) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        with client("https://localhost") as ours, within(2):
            ours.http_client.rate_limiter.run_limits.deadline = 0.6
            with pytest.raises(OutOfTime, match="did not answer in time"):
                ours.http_client.send("GET", "/x")


# size


PACKED = gzip.compress(b"[" + b" " * (200 << 20), 1)
EXACT = b"[%s]" % (b" " * ((1 << 20) - 2))


@pytest.fixture
def at_most_a_megabyte(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "LARGEST_ANSWER", 1 << 20)
    monkeypatch.setattr(rate_limit, "ANSWER_SECONDS", 5.0)


@pytest.mark.usefixtures("at_most_a_megabyte")
@pytest.mark.parametrize(
    "large",
    [
        answer(200, EXACT + b" "),
        answer(500, EXACT + b" "),
        answer(200, PACKED, "Content-Encoding: gzip"),
        b"HTTP/1.1 200 Endless\r\nContent-Length: 17900000000\r\n\r\n" + b" " * (8 << 20),
        b"HTTP/1.1 200 Endless\r\n\r\n" + b" " * (8 << 20),
    ],
)
def test_an_answer_that_is_too_large_is_not_read_to_its_end(large: bytes) -> None:
    with Scripted([large]) as server, client(server.url) as ours, within(3):
        tracemalloc.start()
        with pytest.raises(ApiError, match="the answer is larger than 1 MB, and was not read to its end") as caught:
            ours.http_client.send("GET", "/x")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 8 << 20
        assert caught.value.kind is ApiErrorKind.UNREACHABLE
        assert len(server.requests) == 1


@pytest.mark.usefixtures("at_most_a_megabyte")
def test_an_answer_of_the_largest_size_is_read() -> None:
    with Scripted([answer(200, EXACT)]) as server, client(server.url) as ours:
        assert ours.http_client.send("GET", "/x").body == EXACT


@pytest.mark.usefixtures("at_most_a_megabyte")
def test_a_write_whose_answer_is_too_large_may_have_been_carried_out() -> None:
    with Scripted([answer(200, EXACT + b" ")]) as server, client(server.url) as ours:
        with pytest.raises(ApiError) as caught:
            ours.http_client.send("DELETE", "/x", use=Use.DELETE)
        assert (caught.value.kind, caught.value.sent_before) == (ApiErrorKind.UNREACHABLE, True)
        assert len(server.requests) == 1


@pytest.mark.usefixtures("at_most_a_megabyte")
def test_a_page_that_is_too_large_is_requested_in_smaller_ones() -> None:
    versions = json.dumps([{"id": 7, "name": "1.0.0"}]).encode()
    with Scripted([answer(200, EXACT + b" "), answer(200, versions)]) as server, client(server.url) as ours:
        assert [version.id for version in ours.reader().versions(LIB)] == [7]
        assert ["per_page=100" in request for request in server.requests] == [True, False]
