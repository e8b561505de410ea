"""Images as build tools make them: multi-arch, attested, signed, referred to (docs/github-behaviour.md, "Registry")."""

from __future__ import annotations

import gzip
import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .clock import Moment
    from .packages import Package, Version

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
EMPTY = "application/vnd.oci.empty.v1+json"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
END_OF_TAR = bytes(1024)
EMPTY_LAYER = gzip.compress(END_OF_TAR, mtime=0)


def blob(package: Package, content: bytes, media_type: str) -> dict[str, Any]:
    """Store a blob and describe it."""
    digest = "sha256:" + hashlib.sha256(content).hexdigest()
    package.blobs[digest] = content
    return {"mediaType": media_type, "digest": digest, "size": len(content)}


def encoded(manifest: dict[str, Any]) -> bytes:
    """Write a manifest the same way every time."""
    return json.dumps(manifest, separators=(",", ":"), sort_keys=True).encode()


def image_manifest(
    package: Package, seed: str, platform: str = "linux/amd64", layers: Sequence[bytes] = (EMPTY_LAYER,)
) -> bytes:
    """Make the manifest of a plain image, and store its blobs; another seed gives another digest."""
    system, _, architecture = platform.partition("/")
    config = {
        "architecture": architecture,
        "os": system,
        "config": {"Labels": {"seed": f"{seed} {platform}"}},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(END_OF_TAR).hexdigest()]},
        "history": [{"created_by": seed}],
    }
    return encoded(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": blob(package, encoded(config), CONFIG),
            "layers": [blob(package, layer, LAYER) for layer in layers],
        }
    )


def descriptor(manifest: bytes, **more: Any) -> dict[str, Any]:
    """Describe a manifest, as an index does."""
    digest = "sha256:" + hashlib.sha256(manifest).hexdigest()
    media_type = json.loads(manifest)["mediaType"]
    return {"mediaType": media_type, "digest": digest, "size": len(manifest), **more}


def index(*children: dict[str, Any], seed: str = "") -> bytes:
    """Make an index of descriptors."""
    found: dict[str, Any] = {"schemaVersion": 2, "mediaType": INDEX, "manifests": list(children)}
    if seed:
        found["annotations"] = {"org.opencontainers.image.version": seed}
    return encoded(found)


def push_image(
    package: Package,
    tag: str | None,
    *,
    seed: str | None = None,
    platforms: Sequence[str] = (),
    attested: bool = False,
    created_at: Moment | None = None,
) -> Version:
    """Push an image; with platforms, an index of one manifest each, with BuildKit's attestations if asked."""
    seed = seed or tag or "untagged"
    if not platforms:
        return package.push(image_manifest(package, seed), MANIFEST, tag, created_at)
    children = []
    for platform in platforms:
        system, _, architecture = platform.partition("/")
        manifest = image_manifest(package, seed, platform)
        package.push(manifest, MANIFEST, created_at=created_at)
        children.append(descriptor(manifest, platform={"os": system, "architecture": architecture}))
    for child in list(children) if attested else ():
        manifest = image_manifest(package, f"attestation of {child['digest']}", "unknown/unknown")
        package.push(manifest, MANIFEST, created_at=created_at)
        notes = {
            "vnd.docker.reference.digest": child["digest"],
            "vnd.docker.reference.type": "attestation-manifest",
        }
        platform_unknown = {"os": "unknown", "architecture": "unknown"}
        children.append(descriptor(manifest, platform=platform_unknown, annotations=notes))
    return package.push(index(*children), INDEX, tag, created_at)


def push_referrer(
    package: Package,
    subject: Version,
    way: str = "subject",
    *,
    seed: str = "",
    created_at: Moment | None = None,
) -> list[Version]:
    """Push what refers to an image; the versions made come back, the referrer first.

    ``subject``: by ``subject`` alone, no tag. ``fallback``: the same, and the index tagged ``sha256-<hex>``
    that lists it (an earlier one stays, untagged). ``sig``, ``att``, ``sbom``: cosign's tags.
    """
    digest = subject.name
    if way in ("sig", "att", "sbom"):
        manifest = image_manifest(package, f"{way} of {digest} {seed}", "unknown/unknown")
        return [package.push(manifest, MANIFEST, f"{digest.replace(':', '-')}.{way}", created_at)]
    content, media_type = package.manifests[digest]
    payload = encoded({"about": digest, "seed": seed})
    manifest = encoded(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": BUNDLE,
            "config": blob(package, b"{}", EMPTY),
            "layers": [blob(package, payload, BUNDLE)],
            "subject": {"mediaType": media_type, "digest": digest, "size": len(content)},
        }
    )
    referrer = package.push(manifest, MANIFEST, created_at=created_at)
    if way != "fallback":
        return [referrer]
    tag = digest.replace(":", "-")
    before = package.tagged(tag)
    listed = json.loads(package.manifests[before.name][0])["manifests"] if before is not None else []
    listed.append(descriptor(manifest, artifactType=BUNDLE))
    return [referrer, package.push(index(*listed), INDEX, tag, created_at)]
