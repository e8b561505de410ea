"""A real registry server: Debian's `docker-registry` on loopback, with a configuration of our own and its log.

It is not ghcr.io: it refuses an index whose child is missing, and deletes manifests itself. `front.py` puts the
REST side before it, and `test_registry_likeness.py` tells in what it differs from the simulator's registry.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import requests

if TYPE_CHECKING:
    from collections.abc import Mapping

PROGRAM = "docker-registry"
MEDIA_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
ACCEPT = ", ".join(MEDIA_TYPES)
# what this module's own requests call themselves, so that they are not counted
OWN_AGENT = "tests-of-package-keeper"
STARTS_WITHIN = 30.0

# port 0: the system chooses, and the log tells which
CONFIGURATION = """\
version: 0.1
log:
  level: info
  formatter: text
  accesslog:
    disabled: false
storage:
  filesystem:
    rootdirectory: {storage}
  delete:
    enabled: true
  maintenance:
    uploadpurging:
      enabled: false
http:
  addr: 127.0.0.1:0
  secret: of-no-importance-on-loopback
"""
LISTENING = re.compile(r"listening on 127\.0\.0\.1:(\d+)")
# the combined log format of web servers
ACCESS = re.compile(r'"(?P<method>[A-Z]+) (?P<target>\S+) HTTP/[\d.]+" (?P<status>\d+) \d+ "[^"]*" "(?P<agent>[^"]*)"')


@dataclass(frozen=True, kw_only=True)
class Access:
    """One line of the registry's access log."""

    method: str
    target: str
    status: int
    agent: str


class RegistryServer:
    """The server and its storage; use it with `with`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._storage = folder / "storage"
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers.update({"User-Agent": OWN_AGENT, "Accept": ACCEPT})
        self._sentinels = 0
        self.address = ""

    def __enter__(self) -> Self:
        self._storage.mkdir(parents=True)
        configuration = self._folder / "configuration.yml"
        # JSON is YAML: no character of the path can mean anything
        storage = json.dumps(str(self._storage))
        configuration.write_text(CONFIGURATION.format(storage=storage), encoding="utf-8")
        environment = {"OTEL_TRACES_EXPORTER": "none", "HOME": str(self._folder)}
        program = shutil.which(PROGRAM)
        assert program is not None, "the fixture `tools` looks for it"
        with self._accesses.open("wb") as accesses, self._told.open("wb") as told:
            self._process = subprocess.Popen(
                [program, "serve", str(configuration)],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=accesses,
                stderr=told,
            )
        try:
            self.address = f"127.0.0.1:{self._port()}"
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()
        self._process.kill()
        self._process.wait()

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    @property
    def _accesses(self) -> Path:
        return self._folder / "accesses.log"

    @property
    def _told(self) -> Path:
        return self._folder / "registry.log"

    def _port(self) -> str:
        deadline = time.monotonic() + STARTS_WITHIN
        while (found := LISTENING.search(self._told.read_text("utf-8"))) is None:
            ended = self._process.poll() is not None
            assert not ended, f"{PROGRAM} does not start:\n{self._told.read_text('utf-8')}"
            assert time.monotonic() < deadline, f"{PROGRAM} does not listen:\n{self._told.read_text('utf-8')}"
            time.sleep(0.01)
        return found[1]

    def request(
        self, method: str, path: str, *, headers: Mapping[str, str | None] | None = None, body: bytes | None = None
    ) -> requests.Response:
        """Ask the server something; `path` may be a whole URL, as in the answers to uploads."""
        url = path if "://" in path else self.url + path
        # `requests` leaves out a header whose value is None, and its stubs do not know
        given: Any = headers
        return self._session.request(method, url, headers=given, data=body, timeout=30, allow_redirects=False)

    def put(self, name: str, reference: str, manifest: bytes) -> None:
        """Put a manifest under a tag or its digest."""
        headers = {"Content-Type": media_type_of(manifest)}
        answer = self.request("PUT", f"/v2/{name}/manifests/{reference}", headers=headers, body=manifest)
        assert answer.status_code == 201, answer.text

    def delete(self, name: str, digest: str) -> None:
        """Delete a manifest, with all tags that name it."""
        answer = self.request("DELETE", f"/v2/{name}/manifests/{digest}")
        assert answer.status_code == 202, answer.text

    def names(self) -> list[str]:
        """The repositories that anything was ever pushed to."""
        repositories = self._repositories
        return sorted(str(found.parent.relative_to(repositories)) for found in repositories.rglob("_manifests"))

    def digests(self, name: str) -> list[str]:
        """The digests of all manifests, oldest first; no request does that, so the storage is read."""
        links = (self._repositories / name / "_manifests" / "revisions").glob("sha256/*/link")
        return [f"sha256:{link.parent.name}" for link in sorted(links, key=lambda link: link.stat().st_mtime_ns)]

    def tags(self, name: str) -> dict[str, str]:
        """What every tag names."""
        links = (self._repositories / name / "_manifests" / "tags").glob("*/current/link")
        return {link.parent.parent.name: link.read_text("ascii") for link in links}

    def manifest(self, digest: str) -> bytes:
        """The bytes of a manifest, as they are stored."""
        algorithm, _, value = digest.partition(":")
        return (self._root / "blobs" / algorithm / value[:2] / value / "data").read_bytes()

    @property
    def _root(self) -> Path:
        return self._storage / "docker" / "registry" / "v2"

    @property
    def _repositories(self) -> Path:
        return self._root / "repositories"

    def accesses(self) -> list[Access]:
        """All requests of others so far. A line is written after its answer was sent, so one of ours ends the list."""
        self._sentinels += 1
        end = f"/v2/end-of-list/{self._sentinels}"
        self.request("GET", end)
        deadline = time.monotonic() + 10
        while f" {end} " not in (text := self._accesses.read_text("utf-8")):
            assert time.monotonic() < deadline, "the registry writes no access log"
            time.sleep(0.01)
        found = [
            Access(method=line["method"], target=line["target"], status=int(line["status"]), agent=line["agent"])
            for line in ACCESS.finditer(text)
        ]
        return [access for access in found if access.agent != OWN_AGENT]


def media_type_of(manifest: bytes) -> str:
    """The media type; OCI manifests need not tell it themselves."""
    document: dict[str, Any] = json.loads(manifest)
    return str(document.get("mediaType") or MEDIA_TYPES[0 if "manifests" in document else 1])


def digest_of(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def children_of(manifest: bytes) -> list[str]:
    """The digests that an index names; none, for other manifests."""
    return [child["digest"] for child in json.loads(manifest).get("manifests", ())]
