"""A real client: skopeo pushes OCI layouts that the tests build, and pulls images whole."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.container.registry_server import children_of, digest_of, media_type_of
from tests.simulator import Clock, Package
from tests.simulator.images import DOCKER_LIST, DOCKER_MANIFEST, INDEX
from tests.simulator.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = "skopeo"
REFERENCE = "org.opencontainers.image.ref.name"
DOCKER = (DOCKER_LIST, DOCKER_MANIFEST)


class NotPulled(Exception):
    """skopeo could not do it; the message is its own."""


def content() -> Package:
    """A place for manifests and blobs, for the builders of `tests.simulator.images` to fill; nothing serves it."""
    store = Store(Clock())
    store.add_owner("nobody")
    return store.add_package("nobody", "container", "content")


@dataclass
class Skopeo:
    """skopeo with one registry."""

    address: str
    folder: Path
    credentials: str = ""
    """User and password, with a colon between; empty: none are needed."""
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def push(self, name: str, source: Package, digest: str, tag: str | None = None, *, docker: bool = False) -> str:
        """Push what is in `source`, under a tag or by its digest alone; tells the digest that it has there.

        `docker`: converted to Docker's schema 2 on the way, which gives other digests.
        """
        layout = self._write_layout(source, digest)
        told = layout.with_suffix(".digest")
        options = ["--format", "v2s2"] if docker else ["--preserve-digests"]
        target = f"docker://{self.address}/{name}" + (f":{tag}" if tag else f"@{digest}")
        self._run(
            ["copy", "--all", *options, *self._access("dest-"), "--digestfile", str(told)], f"oci:{layout}:it", target
        )
        return told.read_text("ascii").strip()

    def raw(self, name: str, reference: str) -> bytes:
        """A manifest by tag or digest, as it comes."""
        return self._run(["inspect", "--raw", *self._access()], self._url(name, reference))

    def pull(self, name: str, reference: str) -> set[str]:
        """Pull an image whole into an OCI layout, by tag or digest, and tell the digests of all its manifests.

        Nothing may be missing in the layout. What `is_beyond_skopeo` is pulled one by one. Docker's images are
        converted on the way, so that the digests told are those of the manifests they became.
        """
        root = self.raw(name, reference)
        if is_beyond_skopeo(root):
            leaves = [self.pull(name, child) for child in children_of(root)]
            return {digest_of(root)}.union(*leaves)
        layout = self.folder / f"pulled-{next(self._numbers)}"
        options = ["--format", "oci"] if media_type_of(root) in DOCKER else ["--preserve-digests"]
        self._run(["copy", "--all", *options, *self._access("src-")], self._url(name, reference), f"oci:{layout}:it")
        return _manifests_of(layout)

    def _access(self, side: str = "") -> list[str]:
        """The options for plain HTTP, and for who asks."""
        who = f"--{side}creds={self.credentials}" if self.credentials else f"--{side}no-creds"
        return [f"--{side}tls-verify=false", who]

    def _url(self, name: str, reference: str) -> str:
        return f"docker://{self.address}/{name}{'@' if ':' in reference else ':'}{reference}"

    def _write_layout(self, source: Package, digest: str) -> Path:
        layout = self.folder / f"layout-{next(self._numbers)}"
        blobs = layout / "blobs" / "sha256"
        blobs.mkdir(parents=True)
        for name, body in [(name, body) for name, (body, _) in source.manifests.items()] + [*source.blobs.items()]:
            (blobs / name.removeprefix("sha256:")).write_bytes(body)
        body, media_type = source.manifests[digest]
        entry = {
            "mediaType": media_type,
            "digest": digest,
            "size": len(body),
            "annotations": {REFERENCE: "it"},
        }
        (layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}', encoding="ascii")
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}
        (layout / "index.json").write_text(json.dumps(index), encoding="ascii")
        return layout

    def _run(self, command: list[str], *arguments: str) -> bytes:
        # whatever this account is logged in to has nothing to do with these tests
        environment = os.environ | {"REGISTRY_AUTH_FILE": str(self.folder / "no-logins.json")}
        done = subprocess.run(
            [PROGRAM, "--insecure-policy", *command, *arguments],
            check=False,
            env=environment,
            capture_output=True,
            timeout=60,
        )
        if done.returncode:
            raise NotPulled(f"{PROGRAM} {' '.join(command)}: {done.stderr.decode()}")
        return done.stdout


def is_beyond_skopeo(manifest: bytes) -> bool:
    """Whether an index cannot be copied as one: nested, or with an `artifactType`, which older versions would drop."""
    children = json.loads(manifest).get("manifests", ())
    return any(child["mediaType"] == INDEX or "artifactType" in child for child in children)


def _manifests_of(layout: Path) -> set[str]:
    """Walk all that a layout names: every blob must be there, with its size and digest."""
    found: set[str] = set()
    index: dict[str, Any] = json.loads((layout / "index.json").read_bytes())
    waiting: list[dict[str, Any]] = list(index["manifests"])
    while waiting:
        entry = waiting.pop()
        body = (layout / "blobs" / "sha256" / entry["digest"].removeprefix("sha256:")).read_bytes()
        assert (len(body), digest_of(body)) == (entry["size"], entry["digest"])
        if "manifest" in entry["mediaType"] or "index" in entry["mediaType"]:
            found.add(entry["digest"])
            document = json.loads(body)
            waiting += document.get("manifests", []) + document.get("layers", [])
            waiting += [document["config"]] if "config" in document else []
    return found
