"""Decodes the registry's bytes into `Manifest` and verifies digest, size, JSON and shape.

The shapes are those of the OCI image specification and of Docker's schema 2.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from package_keeper.model.manifest import (
    BLOB_TYPES,
    DOCKER_LIST,
    FOREIGN_TYPES,
    INDEX_TYPES,
    MEDIA_TYPES,
    OCI_INDEX,
    OCI_MANIFEST,
    SCHEMA_1_TYPES,
    STUB_ANNOTATION,
    Description,
    Descriptor,
    Manifest,
    Origin,
)
from package_keeper.model.packages import DIGEST
from package_keeper.model.sizes import UNKNOWN_SIZE, pack

LARGEST = 4 * 1024 * 1024
"""Bytes. The OCI distribution specification asks registries to accept manifests up to this size."""

LONGEST_NOTE = 300
"""Characters of an annotation or a platform that are shown."""

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


_ABSENT = msgspec.Raw(b"null")


class _Blob(msgspec.Struct):
    """An entry of a manifest or index that may be a blob. What others write as a size may be no number at all."""

    digest: str
    mediaType: str | None = None  # noqa: N815  # reason: the name on the wire
    size: msgspec.Raw = _ABSENT
    urls: msgspec.Raw = _ABSENT
    data: msgspec.Raw = _ABSENT


class _Contents(msgspec.Struct):
    manifests: list[_Blob] | None = None
    config: _Blob | None = None
    layers: list[_Blob] | None = None


class _Described(msgspec.Struct):
    digest: str = ""
    platform: msgspec.Raw = _ABSENT
    annotations: msgspec.Raw = _ABSENT


class _Index(msgspec.Struct):
    manifests: list[_Described] | None = None
    annotations: msgspec.Raw = _ABSENT


_INDEX = msgspec.json.Decoder(_Index)
_DECODER = msgspec.json.Decoder(_Manifest)
_CONTENTS = msgspec.json.Decoder(_Contents)
_SIZE = re.compile(rb"\d{1,18}")
"""Bytes, as a whole number. Nothing is larger than an exabyte."""


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
        content=_content(digest, body),
    )


def media_type_of(body: bytes) -> str:
    """The media type with which a manifest is written. Raises `NotAManifest`."""
    try:
        return _media_type(_DECODER.decode(body))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise NotAManifest("is not the JSON of a manifest") from None


def describe(body: bytes) -> Description:
    """What a manifest says of its origin, and of the platforms of its children. What has another shape is left out."""
    try:
        wire = _INDEX.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Description()
    children = [(child.digest, _texts(child.platform), _texts(child.annotations)) for child in wire.manifests or ()]
    notes = [_texts(wire.annotations), *(annotations for _, _, annotations in children)]
    return Description(
        origin=next(filter(None, map(_origin, notes)), Origin()),
        platforms={digest: name for digest, platform, more in children if (name := _platform(platform, more))},
    )


def _texts(raw: msgspec.Raw) -> dict[str, str]:
    try:
        found = msgspec.json.decode(raw, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}
    return {name: value for name, value in found.items() if isinstance(value, str)}


def _origin(annotations: Mapping[str, str]) -> Origin | None:
    source, revision = (annotations.get(f"org.opencontainers.image.{name}", "") for name in ("source", "revision"))
    return Origin(source=source[:LONGEST_NOTE], revision=revision[:LONGEST_NOTE]) if source or revision else None


def _platform(platform: Mapping[str, str], annotations: Mapping[str, str]) -> str:
    if annotations.get("vnd.docker.reference.type") == "attestation-manifest":
        return "attestation"
    names = [platform.get(part, "") for part in ("os", "architecture", "variant")]
    return "/".join(filter(None, names))[:LONGEST_NOTE]


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


def _content(digest: str, body: bytes) -> bytes | None:
    """What a manifest takes up in the registry; `None` when that is unknown."""
    try:
        wire = _CONTENTS.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return pack([(digest, len(body)), *_blobs(wire)])


def _blobs(wire: _Contents) -> Iterator[tuple[str, int]]:
    """The layers and configurations with their sizes, and all other entries that may be blobs."""
    for entry in wire.manifests or ():
        kind = entry.mediaType or ""
        if kind.startswith(BLOB_TYPES):
            yield entry.digest, _stored(entry)
        elif kind not in MEDIA_TYPES and kind not in SCHEMA_1_TYPES:
            yield entry.digest, UNKNOWN_SIZE
    for blob in (*(wire.layers or ()), *([wire.config] if wire.config else ())):
        yield blob.digest, _stored(blob)


def _stored(blob: _Blob) -> int:
    """The bytes that a blob takes up in the registry: none where its content is elsewhere."""
    is_elsewhere = bytes(blob.urls) not in (b"null", b"[]") or bytes(blob.data) != b"null"
    if is_elsewhere or (blob.mediaType or "").startswith(FOREIGN_TYPES):
        return 0
    is_known = DIGEST.fullmatch(blob.digest) and _SIZE.fullmatch(bytes(blob.size))
    return int(bytes(blob.size)) if is_known else UNKNOWN_SIZE
