"""The simulator's registry follows its versions (docs/github-behaviour.md, "Registry")."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.simulator import Simulator, push_image, push_referrer
from tests.simulator.plain import Client, ClientFactory
from tests.simulator.registry import MEDIA_TYPES

if TYPE_CHECKING:
    from pathlib import Path

    import requests

ACCEPT = {"Accept": ", ".join(MEDIA_TYPES)}


def registry_headers(token: str = "tok") -> dict[str, str]:
    return {"Authorization": "Bearer " + base64.b64encode(token.encode()).decode()}


def registry_error(response: requests.Response) -> tuple[int, str]:
    return response.status_code, response.json()["errors"][0]["code"]


def test_registry_authorization(sim: Simulator, clients: ClientFactory) -> None:
    push_image(sim.add_package("acme", "container", "app"), "v1")
    push_image(sim.add_package("acme", "container", "open", visibility="public"), "v1")
    bare = clients(None)
    refused = bare("GET", "/v2/acme/app/manifests/v1")
    assert registry_error(refused) == (401, "UNAUTHORIZED")
    challenge = refused.headers["www-authenticate"]
    assert challenge == f'Bearer realm="{sim.url}/token",service="ghcr.io",scope="repository:acme/app:pull"'
    assert bare("GET", "/v2/", headers=registry_headers()).status_code == 200
    query = "/token?service=ghcr.io&scope=repository:acme/app:pull"
    issued = bare("GET", query, auth=("anyone", "tok")).json()
    assert set(issued) == {"token"}
    bearer = {"Authorization": f"Bearer {issued['token']}"}
    assert bare("GET", "/v2/acme/app/manifests/v1", headers=bearer | ACCEPT).status_code == 200
    assert bare("GET", "/v2/acme/open/manifests/v1", headers=bearer | ACCEPT).status_code == 403
    sim.clock.advance(301)
    assert bare("GET", "/v2/acme/app/manifests/v1", headers=bearer | ACCEPT).status_code == 401
    assert bare("GET", query, auth=("anyone", "wrong")).status_code == 403
    anonymous = bare("GET", "/token?scope=repository:acme/open:pull").json()["token"]
    bearer = {"Authorization": f"Bearer {anonymous}"}
    assert bare("GET", "/v2/acme/open/manifests/v1", headers=bearer | ACCEPT).status_code == 200


def test_registry_content_follows_versions(sim: Simulator, client: Client, clients: ClientFactory) -> None:
    app = sim.add_package("acme", "container", "Team/App")
    version = push_image(app, "v1", platforms=("linux/amd64", "linux/arm64"), attested=True)
    assert len(app.active()) == 5
    push_image(app, "v2")
    registry = clients(None)
    registry.session.headers.update(registry_headers() | ACCEPT)
    by_tag = registry("GET", "/v2/acme/team/app/manifests/v1")
    assert by_tag.headers["docker-content-digest"] == version.name
    assert by_tag.content == app.manifests[version.name][0]
    assert version.downloads == 1
    head = registry("HEAD", f"/v2/acme/team/app/manifests/{version.name}")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(by_tag.content))
    assert version.downloads == 1
    narrow = registry("GET", "/v2/acme/team/app/manifests/v1", headers={"Accept": MEDIA_TYPES[1]})
    assert registry_error(narrow) == (404, "MANIFEST_UNKNOWN")
    assert registry_error(registry("GET", "/v2/acme/Team/App/manifests/v1")) == (400, "NAME_INVALID")
    assert registry_error(registry("DELETE", f"/v2/acme/team/app/manifests/{version.name}")) == (
        405,
        "UNSUPPORTED",
    )
    assert registry("GET", f"/v2/acme/team/app/referrers/{version.name}").status_code == 404
    assert registry("GET", "/v2/acme/team/app/tags/list?n=1").json()["tags"] == ["v1"]
    path = f"/orgs/acme/packages/container/team%2Fapp/versions/{version.id}"
    assert client("DELETE", path).status_code == 204
    for reference in ("v1", version.name):
        missing = registry("GET", f"/v2/acme/team/app/manifests/{reference}")
        assert registry_error(missing) == (404, "MANIFEST_UNKNOWN")
    child = json.loads(by_tag.content)["manifests"][0]["digest"]
    assert registry("GET", f"/v2/acme/team/app/manifests/{child}").status_code == 200
    assert client("POST", f"{path}/restore").status_code == 204
    assert registry("GET", "/v2/acme/team/app/manifests/v1").content == by_tag.content
    assert len(sim.manifest_reads) == 7


def test_registry_pushes_make_versions(sim: Simulator, client: Client, clients: ClientFactory) -> None:
    registry = clients(None)
    registry.session.headers.update(registry_headers())
    source = sim.add_package("acme", "container", "source")
    manifest, media_type = source.manifests[push_image(source, None).name]
    for digest, content in source.blobs.items():
        start = registry("POST", "/v2/acme/new/blobs/uploads/")
        assert start.status_code == 202
        half = len(content) // 2
        place = registry("PATCH", start.headers["Location"], data=content[:half]).headers["Location"]
        place = registry("PATCH", place, data=iter([content[half : half + 1], content[half + 1 :]])).headers["Location"]
        assert registry("PUT", f"{place}?digest={digest}").status_code == 201
        assert registry("GET", f"/v2/acme/new/blobs/{digest}").content == content
        whole = registry("POST", f"/v2/acme/other/blobs/uploads/?digest={digest}", data=content)
        assert whole.status_code == 201
        mounted = registry("POST", f"/v2/acme/third/blobs/uploads/?mount={digest}&from=acme/new")
        assert mounted.status_code == 201
    headers = {"Content-Type": media_type}
    put = registry("PUT", "/v2/acme/new/manifests/v1", data=manifest, headers=headers)
    assert put.status_code == 201
    package = sim.package("acme", "container", "new")
    (version,) = package.active()
    assert put.headers["Docker-Content-Digest"] == version.name
    listed = client("GET", "/orgs/acme/packages/container/new/versions").json()
    assert listed[0]["metadata"] == {"package_type": "container", "container": {"tags": ["v1"]}}
    stub = manifest.replace(b"{", b'{"annotations":{"a":"b"},', 1)
    registry("PUT", "/v2/acme/new/manifests/v1", data=stub, headers=headers)
    assert version.tags == []
    package.push(manifest, media_type)
    assert len(package.active()) == 2
    client("DELETE", f"/orgs/acme/packages/container/new/versions/{version.id}")
    registry("PUT", f"/v2/acme/new/manifests/{version.name}", data=manifest, headers=headers)
    assert [v.name for v in package.versions.values()].count(version.name) == 2


def test_registry_limits_speak_in_milliseconds(sim: Simulator, clients: ClientFactory) -> None:
    sim.limits.configure(registry_reads_per_minute=1)
    registry = clients(None)
    registry.session.headers.update(registry_headers())
    assert registry("GET", "/v2/").status_code == 200
    refused = registry("GET", "/v2/")
    assert registry_error(refused) == (429, "TOOMANYREQUESTS")
    assert re.fullmatch(r"retry-after: [0-9.]+ms, allowed: 1/minute", refused.json()["errors"][0]["message"])
    assert "retry-after" not in refused.headers


def test_referrers_of_all_ways(sim: Simulator) -> None:
    app = sim.add_package("acme", "container", "app")
    image = push_image(app, "v1")
    hexadecimal = image.name.removeprefix("sha256:")
    assert push_referrer(app, image)[0].tags == []
    _, first = push_referrer(app, image, "fallback", seed="1")
    _, second = push_referrer(app, image, "fallback", seed="2")
    assert (first.tags, second.tags) == ([], [f"sha256-{hexadecimal}"])
    assert len(json.loads(app.manifests[second.name][0])["manifests"]) == 2
    assert push_referrer(app, image, "sig")[0].tags == [f"sha256-{hexadecimal}.sig"]


@pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is not installed")
def test_skopeo_pulls_and_pushes(sim: Simulator, tmp_path: Path) -> None:
    app = sim.add_package("acme", "container", "app")
    pushed = push_image(app, "v1", platforms=("linux/amd64", "linux/arm64"), attested=True)
    host = sim.registry_url.removeprefix("http://")
    (tmp_path / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    copy = ["skopeo", "--policy", str(tmp_path / "policy.json"), "copy", "--all", "--preserve-digests"]
    source = ["--src-tls-verify=false", "--src-creds=x:tok", f"docker://{host}/acme/app:v1"]
    subprocess.run([*copy, *source, f"dir:{tmp_path / 'image'}"], check=True, capture_output=True)
    target = ["--dest-tls-verify=false", "--dest-creds=x:tok", f"dir:{tmp_path / 'image'}"]
    subprocess.run([*copy, *target, f"docker://{host}/acme/copy:v2"], check=True, capture_output=True)
    copied = sim.package("acme", "container", "copy")
    assert {v.name for v in copied.active()} == {v.name for v in app.active()}
    assert copied.tags()["v2"].name == pushed.name
