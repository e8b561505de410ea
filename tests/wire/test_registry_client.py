"""The registry client on real sockets: its requests, who gets the token, and bad answers."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from package_keeper.errors import ApiError, ApiErrorKind
from package_keeper.github import rate_limit
from package_keeper.github.manifests import LARGEST
from package_keeper.github.registry import NO_CACHE, UNTOLD_WAIT, Cache, Registry, RegistryWriter, derived_url
from package_keeper.github.retries import UNREADABLE_TRIES
from package_keeper.model.manifest import (
    MEDIA_TYPES,
    OCI_INDEX,
    OCI_MANIFEST,
    STUB_ANNOTATION,
    Manifest,
    Obstacle,
    UnreadableManifest,
    stubs,
)
from package_keeper.model.packages import PackageName, PackageType
from package_keeper.runner.workspace import ManifestCache
from tests.simulator import Package, Simulator, push_image
from tests.wire.machinery import CLOSE, POOL, TRICKLE, Scripted, SimulatedClock, StillClock, answer, retries
from tests.wire.world import TOKEN

APP = PackageName(type=PackageType.CONTAINER, name="Team/App")
DIRECT = "Bearer " + base64.b64encode(TOKEN.encode()).decode()


def encoded(document: dict[str, Any]) -> bytes:
    return json.dumps(document).encode()


def digest_of(body: bytes) -> str:
    return "sha256:" + hashlib.sha256(body).hexdigest()


PLAIN = encoded({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": {}, "layers": []})
INDEX = encoded({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []})
MISSING = encoded({"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]})


@dataclass
class Client:
    registry: RegistryWriter
    clock: StillClock
    said: list[str]

    def one(self, digest: str) -> Manifest | UnreadableManifest:
        return self.registry.read(APP, [digest])[digest]

    def obstacle(self, digest: str) -> Obstacle:
        found = self.one(digest)
        assert isinstance(found, UnreadableManifest)
        assert TOKEN not in found.why
        return found.obstacle


@contextmanager
def client(
    url: str, *, owner: str = "AcMe", cache: Cache = NO_CACHE, clock: SimulatedClock | None = None
) -> Iterator[Client]:
    still, said = StillClock(), list[str]()
    pace = retries(clock or still, said.append, who="the registry", counts_points=False)
    registry = RegistryWriter(url, owner, TOKEN, retries=pace, pool=POOL, cache=cache)
    try:
        yield Client(registry, still, said)
    finally:
        registry._session.close()


@pytest.fixture
def sim() -> Iterator[Simulator]:
    with Simulator() as simulator:
        simulator.add_owner("AcMe")
        simulator.add_token(TOKEN)
        yield simulator
    assert simulator.errors == []


@pytest.fixture
def package(sim: Simulator) -> Package:
    return sim.add_package("AcMe", "container", "Team/App")


def header(head: str, name: str) -> str:
    found = [line.partition(":")[2].strip() for line in head.split("\r\n") if line.lower().startswith(f"{name}:")]
    return found[0] if found else ""


def challenge(realm: str) -> str:
    return f'WWW-Authenticate: Bearer realm="{realm}",service="ghcr.io",scope="repository:acme/team/app:pull"'


def test_the_token_goes_straight_as_a_bearer_with_all_accept_types_and_names_in_lower_case() -> None:
    with Scripted([answer(200, PLAIN)]) as server, client(server.url) as asked:
        assert isinstance(asked.one(digest_of(PLAIN)), Manifest)
        assert server.requests == [f"GET /v2/acme/team/app/manifests/{digest_of(PLAIN)}"]
        assert header(server.heads[0], "authorization") == DIRECT
        assert header(server.heads[0], "accept") == ", ".join(MEDIA_TYPES)
        assert len(MEDIA_TYPES) == 4


def test_a_challenge_is_answered_by_one_exchange_that_serves_all_reads(sim: Simulator, package: Package) -> None:
    versions = [push_image(package, f"v{number}") for number in range(40)]
    refused = {"www-authenticate": challenge(f"{sim.url}/token").partition(": ")[2]}
    sim.faults.add("GET", "/manifests/", status=401, headers=refused)
    with client(sim.url) as asked:
        found = asked.registry.read(APP, [version.name for version in versions])
    assert all(isinstance(each, Manifest) for each in found.values())
    exchanges = [request for request in sim.requests if request.path == "/token"]
    assert [request.query["scope"] for request in exchanges] == ["repository:acme/team/app:pull"]
    assert exchanges[0].query["service"] == "ghcr.io"
    scheme, _, value = str(exchanges[0].headers.get("authorization")).partition(" ")
    assert (scheme, base64.b64decode(value).decode().partition(":")[2]) == ("Basic", TOKEN)
    assert len(sim.manifest_reads) == 41
    assert {str(request.headers.get("authorization")) for request in sim.manifest_reads[1:]} != {DIRECT}


def test_an_expired_bearer_token_is_exchanged_again(sim: Simulator, package: Package) -> None:
    versions = [push_image(package, f"v{number}") for number in range(30)]
    refused = {"www-authenticate": challenge(f"{sim.url}/token").partition(": ")[2]}
    sim.faults.add("GET", "/manifests/", status=401, headers=refused)
    with client(sim.url) as asked:
        asked.one(versions[0].name)
        sim.clock.advance(sim.registry.token_lifetime + 1)
        found = asked.registry.read(APP, [version.name for version in versions[1:]])
    assert all(isinstance(each, Manifest) for each in found.values())
    assert sum(request.path == "/token" for request in sim.requests) == 2


def test_a_write_requests_the_scope_to_push(sim: Simulator, package: Package) -> None:
    push_image(package, "v1")
    refused = {"www-authenticate": challenge(f"{sim.url}/token").partition(": ")[2]}
    sim.faults.add("PUT", "/manifests/", status=401, headers=refused)
    with client(sim.url) as asked:
        assert asked.registry.put(APP, "v2", INDEX) == digest_of(INDEX)
    exchange = next(request for request in sim.requests if request.path == "/token")
    assert exchange.query["scope"] == "repository:acme/team/app:pull,push"
    assert sim.writes[-1].headers.get("content-type") == OCI_INDEX
    version = package.tagged("v2")
    assert version is not None
    assert version.name == digest_of(INDEX)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_realm_on_another_host_gets_no_token(scheme: str) -> None:
    with Scripted([answer(200, b'{"token": "mine"}')]) as thief:
        realm = thief.url.replace("http", scheme) + "/token"
        with Scripted([answer(401, b"", challenge(realm))]) as server, client(server.url) as asked:
            assert asked.obstacle(digest_of(PLAIN)) is Obstacle.FORBIDDEN
            assert len(server.requests) == 1
        assert thief.requests == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
def test_redirects_are_not_followed_so_the_token_stays_with_its_host(method: str, status: int) -> None:
    with (
        Scripted([answer(200, PLAIN)]) as other,
        Scripted([answer(status, b"", f"Location: {other.url}/v2/acme/team/app/manifests/v1")]) as server,
        client(server.url) as asked,
    ):
        if method == "GET":
            assert isinstance(asked.one(digest_of(PLAIN)), UnreadableManifest)
        elif method == "HEAD":
            with pytest.raises(ApiError):
                asked.registry.tag_digest(APP, "v1")
        else:
            with pytest.raises(ApiError):
                asked.registry.put(APP, "v1", PLAIN)
        assert other.requests == []


@pytest.mark.parametrize(
    ("given", "times"),
    [
        (answer(403, b"denied"), 1),
        (answer(401), 1),
        (answer(200, b"<html>"), UNREADABLE_TRIES),
        (answer(200, b"{}"), UNREADABLE_TRIES),
        (answer(200, b"[]"), UNREADABLE_TRIES),
    ],
)
def test_an_exchange_without_a_token_is_a_missing_permission(given: bytes, times: int) -> None:
    with Scripted([]) as server:
        server.answers = [answer(401, b"", challenge(f"{server.url}/token")), given] * times
        with client(server.url) as asked:
            assert asked.obstacle(digest_of(PLAIN)) is Obstacle.FORBIDDEN
            assert [request.split("?")[0] for request in server.requests][1::2] == ["GET /token"] * times


@pytest.mark.parametrize("spoilt", [answer(200, b""), answer(200, b"<html>"), answer(200, PLAIN + b" ")])
def test_a_damaged_manifest_is_requested_again(spoilt: bytes) -> None:
    with Scripted([spoilt, spoilt, answer(200, PLAIN)]) as server, client(server.url) as asked:
        assert not isinstance(asked.one(digest_of(PLAIN)), UnreadableManifest)
        assert len(server.requests) == UNREADABLE_TRIES
        assert len(asked.said) == len(asked.clock.slept) == UNREADABLE_TRIES - 1


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b'{"errors": [{"code": "TOOMANYREQUESTS", "message": "retry-after: 32.5ms"}]}', ()),
        (b'{"message": "You have exceeded a secondary rate limit."}', ("Retry-After: 1",)),
        (b"", ("Retry-After: 1",)),
    ],
)
def test_a_limit_of_the_registry_may_come_as_403(body: bytes, headers: tuple[str, ...]) -> None:
    with Scripted([answer(403, body, *headers), answer(200, PLAIN)]) as server, client(server.url) as asked:
        assert not isinstance(asked.one(digest_of(PLAIN)), UnreadableManifest)
        assert len(asked.clock.slept) == 1
        assert len(server.requests) == 2


def test_a_token_that_is_rejected_after_an_exchange_is_not_exchanged_again() -> None:
    with Scripted([]) as server:
        refused = answer(401, b"", challenge(f"{server.url}/token"))
        server.answers = [refused, answer(200, b'{"access_token": "mine"}'), refused]
        with client(server.url) as asked:
            assert asked.obstacle(digest_of(PLAIN)) is Obstacle.FORBIDDEN
            assert len(server.requests) == 3
            assert header(server.heads[2], "authorization") == "Bearer mine"


@pytest.mark.parametrize(
    ("status", "obstacle"),
    [(404, Obstacle.CONTENT), (403, Obstacle.FORBIDDEN), (401, Obstacle.FORBIDDEN), (400, Obstacle.UNREACHABLE)],
)
def test_errors_of_a_read_name_the_obstacle(status: int, obstacle: Obstacle) -> None:
    with Scripted([answer(status, MISSING)]) as server, client(server.url) as asked:
        assert asked.obstacle(digest_of(PLAIN)) is obstacle
        assert len(server.requests) == 1
        assert asked.clock.slept == []


@pytest.mark.parametrize("given", [answer(500), answer(503, b"<html>"), CLOSE, answer(200, PLAIN)[:-9]])
def test_failures_are_retried_and_for_30_seconds_at_most(given: bytes) -> None:
    with Scripted([given, given, answer(200, PLAIN)]) as server, client(server.url) as asked:
        assert isinstance(asked.one(digest_of(PLAIN)), Manifest)
        assert len(asked.clock.slept) == 2
    with Scripted([given]) as server, client(server.url) as asked:
        assert asked.obstacle(digest_of(PLAIN)) is Obstacle.UNREACHABLE
        assert sum(asked.clock.slept) <= 30
        assert len(server.requests) > 3


@pytest.mark.parametrize(
    ("headers", "message", "seconds"),
    [
        ([], "retry-after: 125.5ms, allowed: 44000/minute", 0.1255),
        ([], "retry-after: 880ms", 0.88),
        ([], "retry-after: 1.5s, allowed: 2000/minute", 1.5),
        ([], "retry-after: 1m30s", 90.0),
        (["Retry-After: 7"], "whatever", 7.0),
        (["Retry-After: 0"], "retry-after: 9s", 0.05),
        ([], "slow down", UNTOLD_WAIT),
    ],
)
def test_limits_name_milliseconds_in_their_message(headers: list[str], message: str, seconds: float) -> None:
    body = encoded({"errors": [{"code": "TOOMANYREQUESTS", "message": message}]})
    with Scripted([answer(429, body, *headers), answer(200, PLAIN)]) as server, client(server.url) as asked:
        assert isinstance(asked.one(digest_of(PLAIN)), Manifest)
        assert asked.clock.slept == [pytest.approx(seconds, abs=0.011)]


def test_waits_for_limits_do_not_count_as_retries() -> None:
    limited = answer(429, b"retry-after: 20s")
    with Scripted([limited, limited, limited, answer(500), answer(200, PLAIN)]) as server, client(server.url) as asked:
        assert isinstance(asked.one(digest_of(PLAIN)), Manifest)


def test_reads_wait_for_the_limit_of_the_registry(sim: Simulator, package: Package) -> None:
    versions = [push_image(package, f"v{number}") for number in range(12)]
    sim.limits.configure(registry_reads_per_minute=5)
    with client(sim.url, clock=SimulatedClock(sim)) as asked:
        found = asked.registry.read(APP, [version.name for version in versions])
    assert all(isinstance(each, Manifest) for each in found.values())
    assert sim.limits.refusals["registry"] > 0


SHA512 = "sha512:" + "a" * 128
CHILD = {"digest": digest_of(PLAIN), "mediaType": OCI_MANIFEST}


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"this is no JSON", "is not the JSON of a manifest"),
        (b"\xff\xfe{}", "is not the JSON of a manifest"),
        (b"[]", "is not the JSON of a manifest"),
        (b"[" * 100_000, "is not the JSON of a manifest"),
        (b"{}", "is not the JSON of a manifest"),
        (encoded({"schemaVersion": "2", "layers": []}), "is not the JSON of a manifest"),
        (encoded({"schemaVersion": 2, "manifests": [{}]}), "is not the JSON of a manifest"),
        (encoded({"schemaVersion": 2, "manifests": {}}), "is not the JSON of a manifest"),
        (encoded({"schemaVersion": 1, "fsLayers": [], "name": "app"}), "is of an unknown kind"),
        (encoded({"schemaVersion": 2}), "is of an unknown kind"),
        (encoded({"schemaVersion": 2, "manifests": [CHILD | {"digest": SHA512}]}), "another kind of digest"),
        (encoded({"schemaVersion": 2, "layers": [], "subject": CHILD | {"digest": "x"}}), "another kind of digest"),
        (PLAIN + b" " * (LARGEST + 1), f"is larger than {LARGEST} bytes"),
    ],
)
def test_an_invalid_manifest_is_unreadable(body: bytes, why: str) -> None:
    with Scripted([answer(200, body)]) as server, client(server.url) as asked:
        found = asked.one(digest_of(body))
        assert isinstance(found, UnreadableManifest)
        assert found.obstacle is Obstacle.CONTENT
        assert why in found.why
        assert len(server.requests) == 1


def test_a_manifest_with_another_digest_is_unreadable() -> None:
    with (
        Scripted([answer(200, INDEX, f"Docker-Content-Digest: {digest_of(PLAIN)}")]) as server,
        client(server.url) as asked,
    ):
        found = asked.one(digest_of(PLAIN))
        assert isinstance(found, UnreadableManifest)
        assert (found.obstacle, found.why) == (Obstacle.CONTENT, "has another digest than requested")


def test_answers_that_trickle_are_cut_off_and_requested_again(monkeypatch: pytest.MonkeyPatch) -> None:
    # a minute, in which bytes come without a pause, has no other end
    monkeypatch.setattr(rate_limit, "ANSWER_SECONDS", 0.5)
    with Scripted([]) as server, client(server.url) as asked:
        refused, token = answer(401, b"", challenge(f"{server.url}/token")), answer(200, b'{"token": "t"}')
        server.answers = [TRICKLE, refused, TRICKLE, refused, token, answer(200, PLAIN)]
        assert not isinstance(asked.one(digest_of(PLAIN)), UnreadableManifest)
        asked_for = [request.split("?")[0].rpartition("/")[2] for request in server.requests]
        manifest = digest_of(PLAIN)
        assert asked_for == [manifest, manifest, "token", manifest, "token", manifest]
        assert len(asked.clock.slept) == 2


def test_a_body_without_end_is_not_read_to_its_end() -> None:
    endless = b"HTTP/1.1 200 OK\r\nContent-Length: 90000000\r\n\r\n" + b" " * (LARGEST + 300_000)
    with Scripted([endless]) as server, client(server.url) as asked:
        found = asked.one(digest_of(PLAIN))
        assert isinstance(found, UnreadableManifest)
        assert "larger" in found.why


def test_the_fields_of_manifests_are_decoded() -> None:
    body = encoded(
        {
            "schemaVersion": 2,
            "manifests": [
                CHILD | {"platform": {"os": "linux"}},
                CHILD | {"artifactType": "text/plain"},
                CHILD | {"mediaType": OCI_INDEX},
                {"digest": digest_of(INDEX)},
            ],
            "subject": CHILD,
        }
    )
    with Scripted([answer(200, body)]) as server, client(server.url) as asked:
        found = asked.one(digest_of(body))
    assert isinstance(found, Manifest)
    assert (found.media_type, found.is_index, found.subject, found.is_stub) == (
        OCI_INDEX,
        True,
        digest_of(PLAIN),
        False,
    )
    assert [child.is_plain for child in found.children] == [True, False, False, False]
    # a descriptor without a type may be anything, so it is read
    assert [child.is_index for child in found.children] == [False, False, True, True]


def test_manifests_are_read_once_in_the_order_of_the_digests(sim: Simulator, package: Package) -> None:
    names = [push_image(package, f"v{number}").name for number in range(50)]
    with client(sim.url) as asked:
        found = asked.registry.read(APP, [*names, *names[::-1]])
        again = asked.registry.read(APP, names)
        assert asked.registry.reads == 50
    assert list(found) == names
    assert again == found
    assert len(sim.manifest_reads) == 50


def test_manifests_are_read_in_parallel(sim: Simulator, package: Package) -> None:
    names = [push_image(package, f"v{number}").name for number in range(33)]
    sim.latency = 0.05
    started = sim.clock.elapsed()
    with client(sim.url) as asked:
        asked.registry.read(APP, names)
    assert sim.clock.elapsed() - started < 33 * 0.05 / 3


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (answer(200, b"", f"Docker-Content-Digest: {digest_of(PLAIN)}"), digest_of(PLAIN)),
        (answer(404), None),
    ],
)
def test_the_digest_of_a_tag_is_read_by_head(given: bytes, found: str | None) -> None:
    with Scripted([given]) as server, client(server.url) as asked:
        assert asked.registry.tag_digest(APP, "v1") == found
        assert asked.registry.exists(APP, "v1") is (found is not None)
        assert set(server.requests) == {"HEAD /v2/acme/team/app/manifests/v1"}


def test_without_a_digest_in_the_headers_the_body_is_read() -> None:
    with Scripted([answer(200), answer(200, PLAIN)]) as server, client(server.url) as asked:
        assert asked.registry.tag_digest(APP, "v1") == digest_of(PLAIN)
        assert [request.split()[0] for request in server.requests] == ["HEAD", "GET"]


@pytest.mark.parametrize(("status", "kind"), [(405, ApiErrorKind.OTHER), (403, ApiErrorKind.NO_PERMISSION)])
def test_where_head_is_not_supported_the_tag_is_an_error(status: int, kind: ApiErrorKind) -> None:
    with Scripted([answer(status)]) as server, client(server.url) as asked:
        with pytest.raises(ApiError) as caught:
            asked.registry.exists(APP, "v1")
        assert caught.value.kind is kind


@pytest.mark.parametrize(
    ("status", "media_type", "found"),
    [
        *[(200, each, "index" in each or "list" in each) for each in MEDIA_TYPES],
        (200, f"{OCI_INDEX}; charset=utf-8", True),
        (200, "application/json", None),
        (404, OCI_INDEX, None),
        (405, "", None),
    ],
)
def test_indexes_are_found_by_head_and_unknown_types_stay_unknown(
    status: int, media_type: str, *, found: bool | None
) -> None:
    given = answer(status).replace(b"application/json", media_type.encode())
    with Scripted([given]) as server, client(server.url) as asked:
        assert asked.registry.are_indexes(APP, [digest_of(PLAIN)]) == {digest_of(PLAIN): found}
        assert [request.split()[0] for request in server.requests] == ["HEAD"]
        assert asked.registry.reads == 0


def test_a_put_whose_answer_was_lost_is_sent_again(sim: Simulator, package: Package) -> None:
    sim.faults.add("PUT", "/manifests/", action="close-after")
    with client(sim.url) as asked:
        asked.registry.put(APP, "v1", PLAIN)
    version = package.tagged("v1")
    assert version is not None
    assert version.name == digest_of(PLAIN)
    assert len(package.active()) == 1


def test_an_invalid_manifest_is_never_written() -> None:
    with Scripted([answer(201)]) as server, client(server.url) as asked:
        with pytest.raises(ApiError) as caught:
            asked.registry.put(APP, "v1", b"no JSON")
        assert caught.value.kind is ApiErrorKind.OTHER
        assert server.requests == []


def test_the_registry_of_a_dry_run_cannot_write() -> None:
    assert not hasattr(Registry, "put")


def test_a_stub_is_recognized_by_its_annotation(sim: Simulator, package: Package) -> None:
    of_an_earlier_version = encoded(json.loads(PLAIN) | {"layers": [], "annotations": {STUB_ANNOTATION: "3f"}})
    with client(sim.url) as asked:
        for body in (of_an_earlier_version, *stubs("v1").values()):
            assert asked.registry.is_stub(APP, asked.registry.put(APP, "v1", body))
        noted = {"annotations": {STUB_ANNOTATION: "v1 0"}}
        with_a_layer = encoded(json.loads(PLAIN) | noted | {"layers": [CHILD]})
        with_a_child = encoded(json.loads(INDEX) | noted | {"manifests": [CHILD]})
        for body in (PLAIN, INDEX, with_a_layer, with_a_child):
            assert not asked.registry.is_stub(APP, asked.registry.put(APP, "v1", body))


def cache_in(folder: Path) -> Cache:
    files = ManifestCache(folder, lambda _: None)
    return Cache(files.get, files.keep)


def test_the_next_run_reads_the_cache_first(sim: Simulator, package: Package, tmp_path: Path) -> None:
    names = [push_image(package, f"v{number}", platforms=["linux/amd64"]).name for number in range(5)]
    for reads in (5, 0):
        sim.forget_requests()
        with client(sim.url, cache=cache_in(tmp_path)) as asked:
            found = asked.registry.read(APP, names)
            assert all(isinstance(each, Manifest) and each.is_index for each in found.values())
            assert asked.registry.reads == len(sim.manifest_reads) == reads
            assert set(asked.registry.are_indexes(APP, names).values()) == {True}
            assert len(sim.requests) == reads


def test_a_damaged_file_in_the_cache_is_replaced(sim: Simulator, package: Package, tmp_path: Path) -> None:
    names = [push_image(package, f"v{number}").name for number in range(4)]
    with client(sim.url, cache=cache_in(tmp_path)) as asked:
        asked.registry.read(APP, names)
    files = sorted(file for file in tmp_path.rglob("*") if file.is_file())
    assert len(files) == 4
    files[0].write_bytes(b"")
    files[1].write_bytes(files[2].read_bytes())
    files[2].unlink()
    files[2].mkdir()
    sim.forget_requests()
    with client(sim.url, cache=cache_in(tmp_path)) as asked:
        assert all(isinstance(each, Manifest) for each in asked.registry.read(APP, names).values())
    assert len(sim.manifest_reads) == 3
    assert hashlib.sha256(files[1].read_bytes()).hexdigest() == files[1].name


def test_an_invalid_manifest_in_the_cache_does_no_harm(sim: Simulator, package: Package, tmp_path: Path) -> None:
    name = package.push(b'{"schemaVersion": 1}', OCI_MANIFEST, "v1").name
    for _ in range(2):
        with client(sim.url, cache=cache_in(tmp_path)) as asked:
            assert asked.obstacle(name) is Obstacle.CONTENT
            assert asked.registry.are_indexes(APP, [name]) == {name: False}


def test_a_manifest_with_another_digest_is_not_cached(tmp_path: Path) -> None:
    with Scripted([answer(200, INDEX)]) as server, client(server.url, cache=cache_in(tmp_path)) as asked:
        asked.one(digest_of(PLAIN))
    assert not any(file.is_file() for file in tmp_path.rglob("*"))


def test_two_runs_share_a_cache(sim: Simulator, package: Package, tmp_path: Path) -> None:
    names = [push_image(package, f"v{number}").name for number in range(40)]
    results: list[bool] = []

    def run() -> None:
        with client(sim.url, cache=cache_in(tmp_path)) as asked:
            found = asked.registry.read(APP, names)
            results.append(all(isinstance(each, Manifest) for each in found.values()))

    threads = [Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert results == [True] * 3
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert sorted(file.name for file in files) == sorted(name.removeprefix("sha256:") for name in names)


def test_a_cache_that_cannot_be_written_is_not_an_error(sim: Simulator, package: Package, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    name = push_image(package, "v1").name
    with client(sim.url, cache=cache_in(tmp_path / "file" / "cache")) as asked:
        assert isinstance(asked.one(name), Manifest)


@pytest.mark.parametrize(
    ("api_url", "registry"),
    [
        ("https://api.github.com", "https://ghcr.io"),
        ("https://api.github.com/", "https://ghcr.io"),
        ("https://ghes.example.com/api/v3", "https://containers.ghes.example.com"),
        ("https://ghes.example.com:8443/api/v3", "https://containers.ghes.example.com:8443"),
        ("http://GHES.example.com/api/v3", "http://containers.ghes.example.com"),
        ("https://api.octo.ghe.com", "https://containers.octo.ghe.com"),
        ("http://127.0.0.1:8931", "http://127.0.0.1:8931"),
        ("http://localhost:8931/api/v3", "http://localhost:8931"),
        ("http://[::1]:8931", "http://[::1]:8931"),
    ],
)
def test_the_registry_url_is_derived_from_the_rest_url(api_url: str, registry: str) -> None:
    assert derived_url(api_url) == registry
