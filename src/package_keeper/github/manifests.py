"""Decodes the registry's bytes into `Manifest` and verifies digest, size, JSON and shape.

The shapes are those of the OCI image specification and of Docker's schema 2.
"""

import hashlib
from typing import Any

import msgspec

from package_keeper.model.manifest import (
    BLOB_TYPES,
    DOCKER_LIST,
    INDEX_TYPES,
    OCI_INDEX,
    OCI_MANIFEST,
    STUB_ANNOTATION,
    Descriptor,
    Manifest,
)
from package_keeper.model.packages import DIGEST

LARGEST = 4 * 1024 * 1024
"""Bytes. The OCI distribution specification asks registries to accept manifests up to this size."""

OTHER_DIGEST = "has another digest than requested"


class NotAManifest(ValueError):
    """The bytes are not a valid manifest; the message says why."""


class _Descriptor(msgspec.Struct):
    digest: str
    mediaType: str | None = None  # noqa: N815  # reason: the name on the wire
    artifactType: str | None = None  # noqa: N815  # reason: the name on the wire
    platform: dict[str, Any] | None = None


class _Manifest(msgspec.Struct):
    schemaVersion: int  # noqa: N815  # reason: the name on the wire
    mediaType: str | None = None  # noqa: N815  # reason: the name on the wire
    manifests: list[_Descriptor] | msgspec.UnsetType | None = msgspec.UNSET
    config: dict[str, Any] | None = None
    layers: list[Any] | None = None
    subject: _Descriptor | None = None
    annotations: dict[str, Any] | None = None


_DECODER = msgspec.json.Decoder(_Manifest)


def manifest(digest: str, body: bytes) -> Manifest:
    """Decode the manifest that should have `digest`. Raises `NotAManifest`."""
    if len(body) > LARGEST:
        raise NotAManifest(f"is larger than {LARGEST} bytes")
    if digest_of(body) != digest:
        raise NotAManifest(OTHER_DIGEST)
    try:
        wire = _DECODER.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise NotAManifest("is not the JSON of a manifest") from None
    listed = wire.manifests is not msgspec.UNSET or wire.mediaType in INDEX_TYPES
    if wire.schemaVersion != 2 or (not listed and wire.layers is None and wire.config is None):
        raise NotAManifest("is of an unknown kind")
    children = tuple(child for child in map(_child, wire.manifests or ()) if _may_be_a_version(child))
    subject = wire.subject.digest if wire.subject else None
    for named in [child.digest for child in children] + ([subject] if subject else []):
        if not DIGEST.fullmatch(named):
            raise NotAManifest("refers to something by another kind of digest than sha256")
    return Manifest(
        digest=digest,
        media_type=_media_type(wire),
        children=children,
        subject=subject,
        is_stub=STUB_ANNOTATION in (wire.annotations or {}) and not wire.layers and not wire.manifests,
    )


def media_type_of(body: bytes) -> str:
    """The media type with which a manifest is written. Raises `NotAManifest`."""
    try:
        return _media_type(_DECODER.decode(body))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise NotAManifest("is not the JSON of a manifest") from None


def digest_of(body: bytes) -> str:
    """The digest of content."""
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def _media_type(wire: _Manifest) -> str:
    # OCI manifests may leave it out; then the shape decides
    if wire.manifests is not msgspec.UNSET:
        return wire.mediaType if wire.mediaType == DOCKER_LIST else OCI_INDEX
    return wire.mediaType or OCI_MANIFEST


def _child(wire: _Descriptor) -> Descriptor:
    return Descriptor(
        digest=wire.digest,
        media_type=wire.mediaType or "",
        artifact_type=wire.artifactType,
        has_platform=wire.platform is not None,
    )


def _may_be_a_version(child: Descriptor) -> bool:
    """Whether an entry of an index may name a version: not a blob, and a known type or at least a digest."""
    return child.is_manifest or (
        not child.media_type.startswith(BLOB_TYPES) and DIGEST.fullmatch(child.digest) is not None
    )
