"""The registry's side of the simulator against a real registry server: the same requests to both.

What the simulator answers is what ghcr.io does (docs/github-behaviour.md, "Registry"). The server is of the same
family, so all answers must be alike, except those in `DIFFERENCES`, which says of each why.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.container.registry_server import (
    ACCEPT,
    MEDIA_TYPES,
    RegistryServer,
    children_of,
    digest_of,
    media_type_of,
)
from tests.container.skopeo import Skopeo, content
from tests.simulator import Package, Simulator, push_image
from tests.simulator.images import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    MANIFEST,
    descriptor,
    encoded,
    image_manifest,
    index,
)

pytestmark = pytest.mark.container

NAME = "acme/likeness"
TOKEN = "made-up"
PLATFORMS = ("linux/amd64", "linux/arm64")
BLOB = b"some bytes of a layer"
ABSENT = "sha256:" + 64 * "0"
UPLOAD = re.compile(r"(?<=/uploads/)[^/?]+")
# by these an answer is known: what clients of registries look at
HEADERS = ("docker-content-digest", "content-type", "range", "link")

Told = dict[str, Any]


@dataclass
class Side:
    """One of the two registries, with the same content as the other, pushed in the same way."""

    url: str
    source: Package
    session: requests.Session = field(default_factory=requests.Session)

    def __post_init__(self) -> None:
        self.session.trust_env = False
        bearer = base64.b64encode(TOKEN.encode()).decode()
        self.session.headers.update({"Authorization": f"Bearer {bearer}", "Accept": ACCEPT})

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str | None) -> requests.Response:
        """Send a request about the one repository; `path` may be a whole URL, and a header `None`: leave it out."""
        url = self.url + (path if path.startswith("/v2") else f"/v2/{NAME}/{path}") if "://" not in path else path
        given: Any = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.session.request(method, url, data=body, headers=given, timeout=30, allow_redirects=False)

    def told(self, method: str, path: str, body: bytes | None = None, **headers: str | None) -> Told:
        """Send a request, and tell what of the answer must be alike."""
        return self.summary(self.ask(method, path, body, **headers))

    def summary(self, answer: requests.Response) -> Told:
        found: Told = {"status": answer.status_code}
        found |= {name: value for name in HEADERS if (value := answer.headers.get(name))}
        if "content-type" in found:
            found["content-type"] = found["content-type"].partition(";")[0]
        if place := answer.headers.get("location"):
            found["location"] = UPLOAD.sub("*", place.removeprefix(self.url).partition("?")[0])
        if not answer.content:
            # what HEAD promises
            if answer.request.method != "HEAD":
                found.pop("content-type", None)
        elif answer.ok:
            # the order of tags is promised by the specification, and kept by newer servers only
            found["body"] = sorted(answer.json()["tags"]) if "/tags/" in answer.url else digest_of(answer.content)
        else:
            found["code"] = codes(answer)
        return found

    def put(self, tag: str, body: bytes) -> Told:
        return self.told("PUT", f"manifests/{tag}", body, Content_Type=media_type_of(body))

    def upload(self, body: bytes, digest: str | None = None) -> Told:
        """Upload a blob in one PUT, as most clients do."""
        place = self.place(self.ask("POST", "blobs/uploads/", b""))
        joint = "&" if "?" in place else "?"
        return self.told("PUT", f"{place}{joint}digest={digest or digest_of(body)}", body)

    def place(self, answer: requests.Response) -> str:
        """Where the next request of an upload goes."""
        place = answer.headers["location"]
        return place if "://" in place else self.url + place


def codes(answer: requests.Response) -> str:
    """The error code of an answer; empty where it is no error of a registry at all."""
    try:
        found: str = answer.json()["errors"][0]["code"]
    except (requests.JSONDecodeError, KeyError):
        return ""
    return found


@dataclass(frozen=True, kw_only=True)
class World:
    simulator: Side
    server: Side
    digests: dict[str, str]


@pytest.fixture(scope="module")
def world(tools: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Both sides, filled by the same requests."""
    source = content()
    bodies = {
        "index": source.manifests[push_image(source, None, seed="index", platforms=PLATFORMS, attested=True).name][0],
        "single": image_manifest(source, "single"),
        "docker-list": docker_list(source),
    }
    bodies["nested"] = index(descriptor(bodies["index"]), seed="nested")
    bodies["docker-single"] = source.manifests[children_of(bodies["docker-list"])[0]][0]
    bodies["empty-index"] = index(seed="a stub")
    for body in bodies.values():
        source.push(body, media_type_of(body))
    folder = tmp_path_factory.mktemp("likeness") / "registry"
    with Simulator() as simulator, RegistryServer(folder) as server:
        simulator.add_owner("acme")
        simulator.add_token(TOKEN)
        sides = Side(simulator.url, source), Side(server.url, source)
        for side in sides:
            for blob in source.blobs.values():
                assert side.upload(blob)["status"] == 201
            for body, _ in source.manifests.values():
                if not children_of(body):
                    assert side.put(digest_of(body), body)["status"] == 201
            for tag, body in bodies.items():
                assert side.put(tag, body)["status"] == 201
        digests = {tag: digest_of(body) for tag, body in bodies.items()}
        yield World(simulator=sides[0], server=sides[1], digests=digests)
        assert simulator.errors == []


def docker_list(source: Package) -> bytes:
    """The same image as Docker writes it: other media types, nothing else."""
    children = []
    for platform in PLATFORMS:
        body = image_manifest(source, "docker", platform)
        for oci, docker in (
            (MANIFEST, DOCKER_MANIFEST),
            ("application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"),
            ("application/vnd.oci.image.layer.v1.tar+gzip", "application/vnd.docker.image.rootfs.diff.tar.gzip"),
        ):
            body = body.replace(oci.encode(), docker.encode())
        source.push(body, DOCKER_MANIFEST)
        system, _, architecture = platform.partition("/")
        children.append(descriptor(body, platform={"os": system, "architecture": architecture}))
    return encoded({"schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": children})


def manifest(method: str, tag: str, accept: str | None = ACCEPT, *, by_digest: bool = False) -> Ask:
    """Ask for a manifest by its tag, or by the digest that the tag names."""

    def ask(side: Side, world: World) -> Told:
        return side.told(method, f"manifests/{world.digests[tag] if by_digest else tag}", Accept=accept)

    return ask


def chunked(side: Side, world: World) -> Told:
    """Upload a blob piece by piece, and tell every answer on the way."""
    del world
    told: Told = {}
    answer = side.ask("POST", "blobs/uploads/", b"")
    told["start"] = side.summary(answer)
    for number, piece in enumerate((BLOB[:5], BLOB[5:])):
        begin = 5 * number
        span = f"{begin}-{begin + len(piece) - 1}"
        answer = side.ask(
            "PATCH", side.place(answer), piece, Content_Type="application/octet-stream", Content_Range=span
        )
        told[f"piece {number}"] = side.summary(answer)
    answer = side.ask("GET", side.place(answer))
    told["progress"] = side.summary(answer)
    place = side.place(answer)
    joint = "&" if "?" in place else "?"
    told["end"] = side.told("PUT", f"{place}{joint}digest={digest_of(BLOB)}", b"")
    told["there"] = side.told("HEAD", f"blobs/{digest_of(BLOB)}")
    told["content"] = side.told("GET", f"blobs/{digest_of(BLOB)}")
    return told


def whole_in_one(side: Side, world: World) -> Told:
    del world
    body = b"in one request"
    return side.told("POST", f"blobs/uploads/?digest={digest_of(body)}", body)


def mounted(side: Side, world: World) -> Told:
    del world
    side.upload(BLOB)
    return side.told("POST", f"/v2/acme/elsewhere/blobs/uploads/?mount={digest_of(BLOB)}&from={NAME}", b"")


def with_missing_child(side: Side, world: World) -> Told:
    del world
    body = index(descriptor(image_manifest(content(), "never pushed")))
    return side.put(digest_of(body), body)


def with_missing_blob(side: Side, world: World) -> Told:
    del world
    body = image_manifest(content(), "its blobs are nowhere")
    return side.put(digest_of(body), body)


def pushed_and_moved(side: Side, world: World) -> Told:
    """A tag moves with the next push; what it named stays."""
    del world
    first, second = (image_manifest(side.source, seed) for seed in ("first", "second"))
    told: Told = {}
    for number, body in enumerate((first, second)):
        for blob in list(side.source.blobs.values()):
            side.upload(blob)
        told[f"put {number}"] = side.put("moving", body)
        told[f"tag {number}"] = side.told("HEAD", "manifests/moving")
    told["left behind"] = side.told("HEAD", f"manifests/{digest_of(first)}")
    return told


Ask = Callable[[Side, World], Told]


def plain(method: str, path: str, body: bytes | None = None, **headers: str | None) -> Ask:
    return lambda side, world: side.told(method, path, body, **headers)


def by_name(method: str, path: str) -> Ask:
    """Put the digests of tags in place of their names in braces."""
    return lambda side, world: side.told(method, path.format(**world.digests))


OCI_INDEX, OCI_MANIFEST = MEDIA_TYPES[:2]
ALL_KINDS = ("index", "single", "docker-list", "docker-single", "nested", "empty-index")
CASES: dict[str, Ask] = {
    "the version of the interface": plain("GET", "/v2/"),
    **{f"{method} {kind} by tag": manifest(method, kind) for method in ("GET", "HEAD") for kind in ALL_KINDS},
    **{
        f"{method} {kind} by digest": manifest(method, kind, by_digest=True)
        for method in ("GET", "HEAD")
        for kind in ALL_KINDS
    },
    "index, only manifests accepted": manifest("GET", "index", OCI_MANIFEST),
    "index by digest, only manifests accepted": manifest("GET", "index", OCI_MANIFEST, by_digest=True),
    "HEAD index, only manifests accepted": manifest("HEAD", "index", OCI_MANIFEST),
    "index, anything accepted": manifest("GET", "index", "*/*"),
    "manifest, only indexes accepted": manifest("GET", "single", OCI_INDEX),
    "manifest, nothing accepted": manifest("GET", "single", None),
    "manifest, accepted with a quality": manifest("GET", "single", f"{OCI_INDEX}, {OCI_MANIFEST};q=0.5"),
    "Docker list, only OCI accepted": manifest("GET", "docker-list", f"{OCI_INDEX}, {OCI_MANIFEST}"),
    "Docker list by digest, only OCI accepted": manifest(
        "GET", "docker-list", f"{OCI_INDEX}, {OCI_MANIFEST}", by_digest=True
    ),
    "Docker manifest, only OCI accepted": manifest("GET", "docker-single", f"{OCI_INDEX}, {OCI_MANIFEST}"),
    "Docker manifest by digest, only OCI accepted": manifest(
        "GET", "docker-single", f"{OCI_INDEX}, {OCI_MANIFEST}", by_digest=True
    ),
    "no such tag": plain("GET", "manifests/absent"),
    "HEAD no such tag": plain("HEAD", "manifests/absent"),
    "no such digest": plain("GET", f"manifests/{ABSENT}"),
    "HEAD no such digest": plain("HEAD", f"manifests/{ABSENT}"),
    "no such repository": plain("GET", "/v2/acme/absent/manifests/v1"),
    "tags of no such repository": plain("GET", "/v2/acme/absent/tags/list"),
    "a name in capitals": plain("GET", "/v2/Acme/Likeness/manifests/single"),
    "no such place": plain("GET", f"/v2/{NAME}/nothing/here"),
    "referrers": by_name("GET", "referrers/{index}"),
    "DELETE by tag": plain("DELETE", "manifests/single"),
    "DELETE by digest": plain("DELETE", f"manifests/{ABSENT}"),
    "POST to a manifest": plain("POST", "manifests/single", b""),
    "PUT no JSON": plain("PUT", "manifests/new", b"garbage", Content_Type=OCI_MANIFEST),
    "PUT as what it is not": plain("PUT", "manifests/new", b'{"schemaVersion":2}', Content_Type="text/plain"),
    "PUT under another digest": lambda side, world: side.put(ABSENT, side.source.manifests[world.digests["single"]][0]),
    "PUT under a tag that cannot be": lambda side, world: side.put(
        ".hidden", side.source.manifests[world.digests["single"]][0]
    ),
    "PUT again": lambda side, world: side.put("single", side.source.manifests[world.digests["single"]][0]),
    "PUT an index whose child is missing": with_missing_child,
    "PUT a manifest whose blobs are missing": with_missing_blob,
    "a tag that moves": pushed_and_moved,
    "tags": plain("GET", "tags/list"),
    "one tag at a time": plain("GET", "tags/list?n=1"),
    "a blob in pieces": chunked,
    "a blob in one request": whole_in_one,
    "a blob of another digest": lambda side, world: side.upload(BLOB, ABSENT),
    "a blob mounted from elsewhere": mounted,
    "no such blob": plain("GET", f"blobs/{ABSENT}"),
    "HEAD no such blob": plain("HEAD", f"blobs/{ABSENT}"),
    "no such upload": plain("PATCH", "blobs/uploads/00000000-0000-0000-0000-000000000000", b"x"),
}


Brief = tuple[int, str]
"""Status and error code; no code where the answer is no error of a registry."""

WHOLE = "ghcr.io looks into no manifest: the versions of a package are independent there, and so images can be broken"
CONVERTED = "the server still converts what Docker made for clients of 2015, or gives it by digest to anyone"
ROUTES = "the server's paths are a pattern, and what does not fit gets the page of a web server"
DELETIONS = "on GitHub versions go only through REST"
DIFFERENCES: dict[str, tuple[Brief, Brief, str]] = {
    # case: the simulator, the server, why
    "Docker list, only OCI accepted": ((404, "MANIFEST_UNKNOWN"), (200, ""), CONVERTED),
    "Docker list by digest, only OCI accepted": ((404, "MANIFEST_UNKNOWN"), (200, ""), CONVERTED),
    "Docker manifest, only OCI accepted": ((404, "MANIFEST_UNKNOWN"), (200, ""), CONVERTED),
    "Docker manifest by digest, only OCI accepted": ((404, "MANIFEST_UNKNOWN"), (200, ""), CONVERTED),
    "no such repository": (
        (404, "NAME_UNKNOWN"),
        (404, "MANIFEST_UNKNOWN"),
        "the server looks for the manifest first; the program takes both for missing",
    ),
    "a name in capitals": ((400, "NAME_INVALID"), (404, ""), ROUTES),
    "no such place": ((404, "NOT_FOUND"), (404, ""), ROUTES),
    "referrers": ((404, "NOT_FOUND"), (404, ""), ROUTES),
    "PUT under a tag that cannot be": ((400, "TAG_INVALID"), (404, ""), ROUTES),
    "POST to a manifest": ((405, "UNSUPPORTED"), (405, ""), ROUTES),
    "DELETE by tag": ((405, "UNSUPPORTED"), (400, "DIGEST_INVALID"), DELETIONS),
    "DELETE by digest": ((405, "UNSUPPORTED"), (404, "MANIFEST_UNKNOWN"), DELETIONS),
    "PUT an index whose child is missing": ((201, ""), (400, "MANIFEST_BLOB_UNKNOWN"), WHOLE),
    "PUT a manifest whose blobs are missing": ((201, ""), (400, "MANIFEST_BLOB_UNKNOWN"), WHOLE),
    "one tag at a time": ((200, ""), (200, ""), "the server has no pages of tags before version 3"),
    "a blob in one request": ((201, ""), (202, ""), "the specification allows the server to want a second request"),
    "no such upload": (
        (404, "BLOB_UPLOAD_UNKNOWN"),
        (404, "BLOB_UPLOAD_INVALID"),
        "the server finds its own signature missing in the address before it looks for the upload",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_simulator_answers_as_a_registry_does(world: World, case: str) -> None:
    simulator, server = (CASES[case](side, world) for side in (world.simulator, world.server))
    if case not in DIFFERENCES:
        assert simulator == server
        return
    ours, theirs, _ = DIFFERENCES[case]
    assert brief(simulator) == ours
    # another version of the server may have come round
    assert brief(server) == theirs or simulator == server


def brief(told: Told) -> Brief:
    return told["status"], told.get("code", "")


def test_every_difference_is_one_of_a_case() -> None:
    assert DIFFERENCES.keys() <= CASES.keys()


@pytest.mark.parametrize("tag", ["single", "index", "docker-list"])
def test_a_real_client_pulls_the_same_from_both(world: World, tag: str, tmp_path: Path) -> None:
    """Skopeo finds its way through the simulator, its exchange of tokens included."""
    pulled = []
    for number, side in enumerate((world.simulator, world.server)):
        folder = tmp_path / str(number)
        folder.mkdir()
        client = Skopeo(side.url.removeprefix("http://"), folder, credentials=f"octocat:{TOKEN}")
        assert digest_of(client.raw(NAME, tag)) == world.digests[tag]
        pulled.append(client.pull(NAME, tag))
    assert pulled[0] == pulled[1]


def test_a_real_client_pushes_to_the_simulator(world: World, tmp_path: Path) -> None:
    source = content()
    version = push_image(source, None, seed="pushed", platforms=PLATFORMS, attested=True)
    client = Skopeo(world.simulator.url.removeprefix("http://"), tmp_path, credentials=f"octocat:{TOKEN}")
    assert client.push("acme/pushed", source, version.name, "v1") == version.name
    assert client.pull("acme/pushed", "v1") == source.manifests.keys()
