"""All 27 operations of GitHub Packages, with every documented parameter and every field of the answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from package_keeper.errors import ApiError, ApiErrorKind
from package_keeper.github import decode, errors
from package_keeper.model.packages import OwnerType, Package, PackageName, PackageType
from package_keeper.report.documents import package_document, version_document
from tests.simulator import Simulator
from tests.simulator.openapi import packages_operations
from tests.wire.machinery import Client, Scripted, answer, client
from tests.wire.world import TOKEN

FAMILIES = [
    (OwnerType.ORGANIZATION, "acme", "orgs"),
    (OwnerType.USER, "hubot", "users"),
    (OwnerType.AUTHENTICATED_USER, "octocat", "user"),
]
DATA = sorted((Path(__file__).parent / "data").glob("*.json"))


@pytest.fixture
def sim() -> Iterator[Simulator]:
    with Simulator() as simulator:
        simulator.add_owner("acme")
        simulator.add_owner("hubot", "User")
        simulator.add_token(TOKEN, login="octocat")
        yield simulator
    assert simulator.errors == []
    assert simulator.contract_violations == [], simulator.explain_contract()


@pytest.fixture
def ours(sim: Simulator) -> Iterator[Client]:
    with client(sim.url) as made:
        yield made


@pytest.mark.parametrize(("kind", "login", "family"), FAMILIES)
@pytest.mark.parametrize("package_type", list(PackageType))
def test_all_nine_operations_of_a_family(
    sim: Simulator, ours: Client, kind: OwnerType, login: str, family: str, package_type: PackageType
) -> None:
    tags = ["v1"] if package_type.has_tags else []
    package = sim.add_package(login, package_type, "team/App", visibility="public", conflict=package_type == "docker")
    first = package.add_version("1.0.0" if package_type != "container" else f"sha256:{'a' * 64}", tags=tags)
    package.add_version("2.0.0" if package_type != "container" else f"sha256:{'b' * 64}", tags=["v2"] if tags else [])
    key = PackageName(type=package_type, name="team/App")
    reader, writer = ours.reader(login, kind), ours.writer(login, kind)

    assert [one.name for one in reader.conflicts()] == (["team/App"] if package_type == "docker" else [])
    assert reader.packages([package_type]) == {package_type: [reader.package(key)]}
    shown, hidden = (package_type, "public"), (package_type, "private")
    lists, refused = reader._package_lists([shown, hidden])
    assert (lists[shown].entries, lists[hidden].entries, refused) == ([reader.package(key)], [], {})
    assert reader.package(key).version_count == 2
    assert {one.name for one in reader.versions(key)} == {version.name for version in package.active()}
    found = reader.version(key, first.id)
    assert (found.name, found.tags, found.image_tags) == (first.name, tuple(tags), tuple(tags))

    writer.delete_version(key, first.id)
    assert [one.id for one in reader.versions(key, deleted=True)] == [first.id]
    with pytest.raises(ApiError) as gone:
        reader.version(key, first.id)
    assert gone.value.kind is ApiErrorKind.NOT_FOUND
    writer.restore_version(key, first.id)
    assert reader.version(key, first.id).id == first.id

    writer.delete_package(key)
    with pytest.raises(ApiError):
        reader.package(key)
    writer.restore_package(key)
    assert reader.package(key).id == package.id

    wanted = {name for (asked, _), name in packages_operations().items() if asked == family}
    assert len(wanted) == 9
    assert {request.operation_id for request in sim.requests} == wanted


@pytest.mark.parametrize(
    ("name", "encoded"),
    [
        ("repo/image", "repo%2Fimage"),
        ("@scope/name", "%40scope%2Fname"),
        ("com.acme.core", "com.acme.core"),
        ("a b+c?d#e%2F", "a%20b%2Bc%3Fd%23e%252F"),
        ("ünïcode", "%C3%BCn%C3%AFcode"),
        ("..x", "..x"),
    ],
)
def test_names_are_encoded_whole(name: str, encoded: str) -> None:
    with Scripted([answer(204)]) as server, client(server.url) as ours:
        ours.writer().delete_package(PackageName(type=PackageType.NPM, name=name))
        assert server.requests == [f"DELETE /orgs/acme/packages/npm/{encoded}"]


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_a_name_that_would_change_the_path_is_never_sent(name: str) -> None:
    with Scripted([answer(204)]) as server, client(server.url) as ours:
        for write in (ours.writer().delete_package, ours.writer().restore_package):
            with pytest.raises(ApiError):
                write(PackageName(type=PackageType.NPM, name=name))
        assert server.requests == []


def test_the_base_url_of_a_server_is_kept(sim: Simulator) -> None:
    sim.limits.configure(enabled=False)
    sim.add_package("acme", "npm", "app").add_version("1.0.0")
    with client(sim.enterprise_url) as ours:
        found = ours.reader().versions(PackageName(type=PackageType.NPM, name="app"))
    assert [version.name for version in found] == ["1.0.0"]
    assert sim.requests[0].path.startswith("/api/v3/orgs/acme/")


@pytest.mark.parametrize("path", DATA, ids=lambda path: path.stem)
def test_the_examples_in_githubs_documentation_can_be_decoded(path: Path) -> None:
    body = path.read_bytes()
    given = json.loads(body)
    entries = given if isinstance(given, list) else [given]
    if "metadata" in entries[0]:
        key = PackageName(type=PackageType(entries[0]["metadata"]["package_type"]), name="x")
        versions = decode.versions(body, key) if isinstance(given, list) else [decode.version(body, key)]
        for entry, version in zip(entries, versions, strict=True):
            assert _same(entry, version_document(version))
            assert version.tags == tuple(entry["metadata"].get("container", {}).get("tags", ()))
    else:
        kind = PackageType(entries[0]["package_type"])
        packages = decode.packages(body, kind) if isinstance(given, list) else [decode.package(body, kind)]
        for entry, package in zip(entries, packages, strict=True):
            assert isinstance(package, Package)
            assert _same(entry, package_document(package))


def _same(given: dict[str, Any], ours: dict[str, Any]) -> bool:
    """Everything that GitHub says is in our document, unchanged."""
    return {name: ours.get(name) for name in given} == given


def test_there_is_an_example_of_every_reading_operation() -> None:
    assert len(DATA) == 15


PACKAGE = {"id": 1, "name": "app"}
VERSION: dict[str, Any] = {"id": 1, "name": "x"}
CONTAINER = PackageName(type=PackageType.CONTAINER, name="x")


@pytest.mark.parametrize("text", [None, "", "soon", 12345, "2026-13-01T00:00:00Z", {}])
def test_a_timestamp_that_cannot_be_read_is_unknown(text: object) -> None:
    body = json.dumps(VERSION | {"updated_at": text, "created_at": text, "deleted_at": text}).encode()
    found = decode.version(body, CONTAINER)
    assert (found.created_at, found.updated_at, found.deleted_at) == (None, None, None)


def test_timestamps_keep_their_zone_and_without_one_are_utc() -> None:
    body = json.dumps(
        VERSION | {"created_at": "2026-01-01T02:00:00+02:00", "updated_at": "2026-01-01T00:00:00"}
    ).encode()
    found = decode.version(body, CONTAINER)
    assert found.created_at == found.updated_at == datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("kind", "metadata", "tags"),
    [
        ("container", {"container": {"tags": ["a", "b"]}}, ("a", "b")),
        ("container", {"container": {"tags": []}}, ()),
        ("container", {"container": None}, ()),
        ("container", {}, ()),
        ("container", None, ()),
        ("docker", {"docker": {"tag": ["1.0"]}}, ("1.0",)),
        ("docker", {"docker": {"tags": ["1.0", "1"]}}, ("1.0", "1")),
        ("docker", {"docker": {"tag": "1.0"}}, ("1.0",)),
        ("docker", {"docker": {"tag": ["1"], "tags": ["1", "2"]}}, ("2", "1")),
        ("npm", {"package_type": "npm", "container": {"tags": ["a"]}}, ()),
    ],
)
def test_tags_are_found_wherever_github_puts_them(kind: str, metadata: object, tags: tuple[str, ...]) -> None:
    body = json.dumps(VERSION | {"metadata": metadata}).encode()
    found = decode.version(body, PackageName(type=PackageType(kind), name="x"))
    assert sorted(found.tags) == sorted(tags)


@pytest.mark.parametrize("body", [b"", b"[", b"\xff\xfe", b"<html>"])
def test_an_answer_that_is_not_json_is_unreachable(body: bytes) -> None:
    with pytest.raises(ApiError) as caught:
        decode.package(body, PackageType.NPM)
    assert caught.value.kind is ApiErrorKind.UNREACHABLE


@pytest.mark.parametrize("body", [b"{}", b"null", b'{"id": "x", "name": "y"}', b"[{}]"])
def test_json_that_is_not_a_package_cannot_be_read(body: bytes) -> None:
    with pytest.raises(ApiError) as caught:
        decode.package(body, PackageType.NPM)
    assert caught.value.kind is ApiErrorKind.OTHER


def test_packages_of_an_unknown_type_are_left_out() -> None:
    body = json.dumps([PACKAGE | {"package_type": "crate"}, PACKAGE | {"id": 2}]).encode()
    (package,) = decode.packages(body, PackageType.NPM)
    assert isinstance(package, Package)
    assert package.id == 2


REFUSALS = [
    (
        "DELETE",
        400,
        (
            "Publicly visible package versions with more than 5000 downloads cannot be deleted. Contact GitHub"
            " support for further assistance."
        ),
        "protected-by-downloads",
    ),
    (
        "DELETE",
        400,
        "You cannot delete the last tagged version of a package. You must delete the package instead.",
        "last-version",
    ),
    (
        "DELETE",
        400,
        "You cannot delete the last version of a package. You must delete the package instead.",
        "last-version",
    ),
    ("GET", 400, "Invalid argument.", "listing-refused"),
    ("DELETE", 400, "Invalid argument.", "other"),
    ("GET", 401, "Bad credentials", "unauthorized"),
    ("GET", 401, "Requires authentication", "unauthorized"),
    ("DELETE", 403, "You need at least read:packages scope to list packages.", "no-permission"),
    ("DELETE", 403, "Resource not accessible by integration", "no-permission"),
    (
        "GET",
        403,
        "Resource protected by organization SAML enforcement. You must grant your token access.",
        "no-permission",
    ),
    ("DELETE", 404, "Package not found.", "not-found"),
    ("DELETE", 404, "Package version not found.", "not-found"),
    ("GET", 410, "Gone", "not-found"),
    ("GET", 500, "Server Error", "unreachable"),
    ("DELETE", 422, "Something new", "other"),
    ("POST", 409, "Conflict", "other"),
]


@pytest.mark.parametrize(("method", "status", "message", "kind"), REFUSALS)
def test_errors_are_classified_by_message_and_status(method: str, status: int, message: str, kind: str) -> None:
    found = errors.api_error(method, status, {}, json.dumps({"message": message, "status": str(status)}).encode())
    assert (found.kind, found.message, found.status) == (kind, message, status)


def test_remedies_say_what_to_change() -> None:
    def remedy(message: str, headers: dict[str, str] | None = None) -> str:
        return errors.api_error("DELETE", 403, headers or {}, json.dumps({"message": message}).encode()).remedy

    assert "permissions:\n  contents: read\n  packages: write" in remedy("Resource not accessible by integration")
    assert "read:packages" in remedy("You need at least read:packages scope to delete a package.")
    sso = {"x-github-sso": "required; url=https://github.com/orgs/acme/sso?authorization_request=abc"}
    assert "https://github.com/orgs/acme/sso?authorization_request=abc" in remedy(
        "Resource protected by organization SAML", sso
    )


@pytest.mark.parametrize("body", [b"", b"<html>502</html>", b"[]", b'{"message": 7}', b"\xff", b"null"])
def test_an_error_without_a_message_is_classified_by_status(body: bytes) -> None:
    assert errors.api_error("GET", 404, {}, body).kind is ApiErrorKind.NOT_FOUND
    assert "404" in errors.api_error("GET", 404, {}, body).message
