"""The registry: content follows the versions, and versions go only through REST (docs/github-behaviour.md,
"Registry").
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode

from .tokens import Token, basic_password
from .wire import Answer, Refusal, Request, encode

if TYPE_CHECKING:
    from .packages import Package, Version
    from .simulator import Simulator

NAME = r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)+"
ROUTE = re.compile(r"/v2/(.+?)/(?:blobs/(uploads)/([^/]*)|(manifests|blobs|referrers)/([^/]+)|(tags)/list)$")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
MEDIA_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)


@dataclass(frozen=True, slots=True)
class Access:
    """Who asks, and which repository a token from ``/token`` is good for."""

    token: Token | None
    repository: str | None = None


@dataclass(frozen=True, slots=True)
class _Grant:
    value: str
    repository: str
    ends: float


class Registry:
    """The registry's own state: tokens it issued and uploads that are under way."""

    def __init__(self, simulator: Simulator) -> None:
        self.token_lifetime = 300.0
        """How long a token from ``/token`` is good, in simulated seconds; its answer does not tell."""
        self.takes_github_tokens = True
        """Whether GitHub's own tokens are good here, and not only those from ``/token``."""
        self._simulator = simulator
        self._grants: dict[str, _Grant] = {}
        self._uploads: dict[str, bytearray] = {}

    def answer(self, request: Request) -> Answer:
        """Answer a registry request."""
        try:
            if request.path == "/token":
                return self._issue(request)
            access = self._authenticate(request)
            self._simulator.limits.admit_registry(request.method not in ("GET", "HEAD"))
            if request.path in ("/v2", "/v2/"):
                return Answer(200, b"{}", {"content-type": "application/json"})
            with self._simulator.store.lock:
                return self._route(request, access)
        except Refusal as refusal:
            code = {401: "UNAUTHORIZED", 403: "DENIED", 405: "UNSUPPORTED", 429: "TOOMANYREQUESTS"}
            name, _, text = refusal.message.partition(": ")
            if not name.isupper():
                name, text = code.get(refusal.status, "UNKNOWN"), refusal.message
            body = encode({"errors": [{"code": name, "message": text}]})
            return Answer(refusal.status, body, {"content-type": "application/json", **refusal.headers})

    def _issue(self, request: Request) -> Answer:
        """Exchange a token for one of the registry's own; without one, it is good for public packages."""
        scheme, _, value = (request.headers.get("authorization") or "").partition(" ")
        secret = ""
        if scheme:
            secret = (basic_password(value.strip()) if scheme.lower() == "basic" else _decoded(value)) or ""
            if self._simulator.tokens.use(secret) is None:
                raise Refusal(403, "denied")
            request.token = secret
        scopes = parse_qs(request.target.partition("?")[2]).get("scope", [""])
        parts = scopes[0].split(":")
        repository = parts[1] if len(parts) == 3 else ""
        if repository != repository.lower():
            raise Refusal(400, "NAME_INVALID: invalid repository name")
        issued = "ghs_registry_" + secrets.token_hex(16)
        ends = self._simulator.clock.elapsed() + self.token_lifetime
        self._grants[issued] = _Grant(secret, repository, ends)
        return Answer(200, encode({"token": issued}), {"content-type": "application/json"})

    def _authenticate(self, request: Request) -> Access:
        scheme, _, value = (request.headers.get("authorization") or "").partition(" ")
        value = value.strip()
        if scheme.lower() == "bearer":
            grant = self._grants.get(value)
            if grant is not None and self._simulator.clock.elapsed() < grant.ends:
                token = self._simulator.tokens.use(grant.value) if grant.value else None
                if token is not None or not grant.value:
                    request.token = grant.value or None
                    return Access(token, grant.repository)
            token = self._simulator.tokens.use(_decoded(value) or "") if self.takes_github_tokens else None
            if token is not None:
                request.token = token.value
                return Access(token)
        match = ROUTE.match(request.path)
        scope = f"repository:{match[1]}:pull" if match else "repository:user/image:pull"
        challenge = f'Bearer realm="{request.base}/token",service="ghcr.io",scope="{scope}"'
        raise Refusal(401, "authentication required", {"www-authenticate": challenge})

    def _route(self, request: Request, access: Access) -> Answer:
        match = ROUTE.match(request.path)
        if match is None:
            raise Refusal(404, "NOT_FOUND: page not found")
        name, uploads, upload, kind, reference, tags = match.groups()
        if not re.fullmatch(NAME, name):
            raise Refusal(400, "NAME_INVALID: invalid repository name")
        if access.repository not in (None, name):
            raise Refusal(403, "requested access to the resource is denied")
        if request.method == "DELETE":
            raise Refusal(405, "The operation is unsupported.")
        if uploads:
            return self._upload(request, self._writable(access, name), name, upload)
        if kind == "manifests" and request.method == "PUT":
            return self._put(request, self._writable(access, name), name, reference)
        if request.method not in ("GET", "HEAD"):
            raise Refusal(405, "The operation is unsupported.")
        package = self._readable(access, name)
        if tags:
            return self._tags(request, package, name)
        if kind == "referrers":
            raise Refusal(404, "NOT_FOUND: page not found")
        if kind == "blobs":
            return _blob(package, reference)
        return self._manifest(request, package, reference)

    def _find(self, name: str) -> Package | None:
        owner, _, rest = name.partition("/")
        return self._simulator.store.package(owner, "container", rest)

    def _readable(self, access: Access, name: str) -> Package:
        package, token = self._find(name), access.token
        if token is not None and token.kind == "classic" and "read:packages" not in token.granted:
            raise Refusal(403, "permission_denied: The token provided does not match expected scopes.")
        if package is None or (token is not None and not token.reads(package)):
            raise Refusal(404 if token else 401, "NAME_UNKNOWN: repository name not known to registry")
        if package.visibility != "public" and (token is None or token.kind == "fine-grained"):
            raise Refusal(401 if token is None else 403, "requested access to the resource is denied")
        return package

    def _writable(self, access: Access, name: str) -> Package:
        """Find the package that is pushed to; the first push makes it, private."""
        token = access.token
        if token is None or token.kind == "fine-grained":
            raise Refusal(403, "permission_denied: write_package")
        if token.kind == "classic" and "write:packages" not in token.granted:
            raise Refusal(403, "permission_denied: The token provided does not match expected scopes.")
        package = self._find(name)
        if package is not None:
            if token.is_integration and not token.administers(package):
                raise Refusal(403, "permission_denied: write_package")
            return package
        owner, _, rest = name.partition("/")
        if owner not in self._simulator.store.owners:
            raise Refusal(403, "permission_denied: create_package")
        return self._simulator.store.add_package(owner, "container", rest)

    def _manifest(self, request: Request, package: Package, reference: str) -> Answer:
        """Serve a manifest, if its version is active and its media type accepted; every GET is a download."""
        version: Version | None = package.find(reference) if ":" in reference else package.tagged(reference)
        content = package.manifests.get(version.name) if version is not None else None
        if version is None or content is None:
            raise Refusal(404, "MANIFEST_UNKNOWN: manifest unknown")
        manifest, media_type = content
        accepted = {part.partition(";")[0].strip() for part in (request.headers.get("accept") or "").split(",")}
        if media_type not in accepted:
            what = "OCI index" if media_type == MEDIA_TYPES[0] else "manifest"
            raise Refusal(404, f"MANIFEST_UNKNOWN: {what} found, but Accept header does not support {media_type}")
        if request.method == "GET" or self._simulator.unknowns.head_counts_as_download:
            version.downloads += 1
        headers = {
            "content-type": media_type,
            "docker-content-digest": version.name,
            "etag": f'"{version.name}"',
        }
        return Answer(200, manifest, headers)

    def _tags(self, request: Request, package: Package, name: str) -> Answer:
        tags = sorted(package.tags())
        after, size = request.query.get("last"), request.query.get("n", "")
        tags = [tag for tag in tags if after is None or tag > after]
        headers = {"content-type": "application/json"}
        if size.isdigit() and len(tags) > int(size):
            tags = tags[: int(size)]
            if tags:
                query = urlencode({"n": size, "last": tags[-1]})
                headers["link"] = f'</v2/{name}/tags/list?{query}>; rel="next"'
        return Answer(200, encode({"name": name, "tags": tags}), headers)

    def _put(self, request: Request, package: Package, name: str, reference: str) -> Answer:
        media_type = (request.headers.get("content-type") or "").partition(";")[0].strip()
        try:
            manifest = json.loads(request.body)
        except ValueError:
            manifest = None
        if not isinstance(manifest, dict) or media_type not in MEDIA_TYPES:
            raise Refusal(400, "MANIFEST_INVALID: manifest invalid")
        digest = _digest(request.body)
        if ":" in reference and reference != digest:
            raise Refusal(400, "DIGEST_INVALID: provided digest did not match uploaded content")
        if ":" not in reference and not TAG.fullmatch(reference):
            raise Refusal(400, "TAG_INVALID: manifest tag did not match URI")
        package.push(request.body, media_type, None if ":" in reference else reference)
        headers = {"location": f"/v2/{name}/manifests/{digest}", "docker-content-digest": digest}
        return Answer(201, b"", headers)

    def _upload(self, request: Request, package: Package, name: str, upload: str) -> Answer:
        """Take a blob in, in one piece or in many."""
        method, digest = request.method, request.query.get("digest")
        if method == "POST" and not upload:
            mount, source = request.query.get("mount"), self._find(request.query.get("from", ""))
            if mount and source is not None and mount in source.blobs:
                package.blobs[mount] = source.blobs[mount]
                return _created(name, mount)
            upload = secrets.token_hex(12)
            self._uploads[upload] = bytearray()
        content = self._uploads.get(upload)
        if content is None:
            raise Refusal(404, "BLOB_UPLOAD_UNKNOWN: blob upload unknown to registry")
        content.extend(request.body)
        if digest is not None and method in ("POST", "PUT"):
            del self._uploads[upload]
            if digest != _digest(content):
                raise Refusal(400, "DIGEST_INVALID: provided digest did not match uploaded content")
            package.blobs[digest] = bytes(content)
            return _created(name, digest)
        headers = {
            "location": f"/v2/{name}/blobs/uploads/{upload}",
            "range": f"0-{max(0, len(content) - 1)}",
            "docker-upload-uuid": upload,
        }
        return Answer(204 if method == "GET" else 202, b"", headers)


def _decoded(value: str) -> str | None:
    try:
        return base64.b64decode(value, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None


def _digest(content: bytes | bytearray) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def _created(name: str, digest: str) -> Answer:
    return Answer(201, b"", {"location": f"/v2/{name}/blobs/{digest}", "docker-content-digest": digest})


def _blob(package: Package, digest: str) -> Answer:
    content = package.blobs.get(digest)
    if content is None:
        raise Refusal(404, "BLOB_UNKNOWN: blob unknown to registry")
    return Answer(200, content, {"content-type": "application/octet-stream", "docker-content-digest": digest})
