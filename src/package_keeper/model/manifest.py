"""Manifests: what the graph of images needs to know of them, and why one could not be read.

A stub is a manifest that this program makes itself: to take a tag away, it moves the tag to an empty index.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from enum import Enum

from msgspec import Struct, field

from package_keeper.model.packages import Version

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"

INDEX_TYPES = frozenset({OCI_INDEX, DOCKER_LIST})
MANIFEST_TYPES = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
MEDIA_TYPES = (OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST)
"""The media types that a request for a manifest accepts. Without all four, the registry answers as if the image were
missing (docs/github-behaviour.md, "Registry")."""

SCHEMA_1_TYPES = frozenset(
    {
        "application/vnd.docker.distribution.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
    }
)
"""Docker's oldest manifests, which have neither children nor a subject. This program never requests them."""

BLOB_TYPES = (
    "application/vnd.oci.image.layer.",
    "application/vnd.oci.image.config.",
    "application/vnd.docker.image.rootfs.",
    "application/vnd.docker.container.image.",
    "application/vnd.buildkit.cacheconfig.",
)
"""Prefixes of the media types of layers and configurations. BuildKit lists these in the index of its cache."""

FOREIGN_TYPES = (
    "application/vnd.docker.image.rootfs.foreign.",
    "application/vnd.oci.image.layer.nondistributable.",
)
"""Prefixes of the media types of layers that stay with their publisher, such as those of Windows."""


class Descriptor(Struct, frozen=True, kw_only=True):
    """One entry of an index, blobs aside.

    An entry with an unknown media type is a part when a version has its digest. When no version has it, nothing is
    missing: nobody knows whether the registry ever had it as a manifest.
    """

    digest: str
    media_type: str
    artifact_type: str | None = None
    has_platform: bool = False

    @property
    def is_manifest(self) -> bool:
        """Whether the media type is that of a manifest or an index; without its version, a part is missing."""
        return self.media_type in MEDIA_TYPES

    @property
    def is_index(self) -> bool:
        """Whether the entry has, or may have, children of its own: it is an index, or its media type is unknown."""
        return self.media_type not in MANIFEST_TYPES and self.media_type not in SCHEMA_1_TYPES

    @property
    def is_plain(self) -> bool:
        """Whether the entry is an image manifest for a platform, which need not be read.

        BuildKit's attestations are: they have the platform unknown/unknown, and refer to nothing.
        """
        return self.media_type in MANIFEST_TYPES and self.artifact_type is None and self.has_platform


class Manifest(Struct, frozen=True, kw_only=True):
    """One manifest that was read and whose digest was checked.

    `subject` is the digest that a signature, an attestation or another referrer refers to. `is_stub` marks the empty
    index to which untagging moves a tag. `content` is what it takes up in the registry, as `model.sizes` packs it;
    `None` when its blobs are unknown.
    """

    digest: str
    media_type: str
    children: tuple[Descriptor, ...] = ()
    subject: str | None = None
    is_stub: bool = False
    content: bytes | None = None

    @property
    def is_index(self) -> bool:
        """Whether it lists other manifests."""
        return self.media_type in INDEX_TYPES


class Origin(Struct, frozen=True, kw_only=True):
    """What an image was built from, by its annotations: the repository's address and the commit, or empty texts."""

    source: str = ""
    revision: str = ""


class Description(Struct, frozen=True, kw_only=True):
    """What a manifest says for people. It is read for broken images only, so that it takes no memory otherwise.

    `platforms` are those of the children, by digest, such as `linux/arm64`.
    """

    origin: Origin = field(default_factory=Origin)
    platforms: Mapping[str, str] = field(default_factory=dict)


class Obstacle(Enum):
    """Why a manifest could not be read."""

    CONTENT = 1
    """The registry answered, but not with a valid manifest: 404, a wrong digest, or no JSON."""
    FORBIDDEN = 2
    UNREACHABLE = 3


class UnreadableManifest(Struct, frozen=True, kw_only=True):
    """A manifest that could not be read. What it needs is unknown, so everything that it may need stays."""

    digest: str
    why: str
    obstacle: Obstacle


STUB_ANNOTATION = "io.github.package-keeper.untagged"
"""The annotation of a stub. Earlier versions of this program gave it a random value."""

VARIANTS = 16
"""Number of stubs for one tag, so that a tag that is taken away again can get a new one."""


def stubs(tag: str) -> dict[str, bytes]:
    """All stubs of a tag, by digest. Their bytes must never change: a deleted stub is recognised by its digest."""
    start = f'{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","manifests":[],"annotations":{{"{STUB_ANNOTATION}":'
    value = json.dumps(tag).removesuffix('"')
    bodies = [f'{start}{value} {number}"}}}}'.encode() for number in range(VARIANTS)]
    return {f"sha256:{hashlib.sha256(body).hexdigest()}": body for body in bodies}


def is_stub(name: str, tags: Iterable[str]) -> bool:
    """Whether a version with this name is a stub of one of its tags. No other manifest has the digest of a stub."""
    return any(name in stubs(tag) for tag in tags)


def stubs_among(versions: Iterable[Version]) -> list[Version]:
    """The versions whose names and tags show that they are stubs."""
    return [version for version in versions if is_stub(version.name, version.image_tags)]
