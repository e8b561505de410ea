"""A manifest, as far as the graph of images needs it; and stubs, the empty manifests that untagging uses."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from package_keeper.model.packages import Version

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"

INDEX_TYPES = frozenset({OCI_INDEX, DOCKER_LIST})
MANIFEST_TYPES = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
MEDIA_TYPES = (OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST)
"""All four must be accepted: otherwise the registry answers as if the image were missing (docs/github-behaviour.md,
"Registry")."""

SCHEMA_1_TYPES = frozenset(
    {
        "application/vnd.docker.distribution.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
    }
)
"""Docker's oldest manifests, which have neither children nor a subject. Nothing here asks a registry for them."""

BLOB_TYPES = (
    "application/vnd.oci.image.layer.",
    "application/vnd.oci.image.config.",
    "application/vnd.docker.image.rootfs.",
    "application/vnd.docker.container.image.",
    "application/vnd.buildkit.cacheconfig.",
)
"""How the media types of layers and configurations begin: BuildKit lists them in the index of its registry cache."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """What an index says about one of its entries, blobs aside.

    An entry whose media type names no manifest is a part only where a version of its digest is there: nobody knows what
    it is, so that its absence proves nothing, and a version that it names stays with the index all the same.
    """

    digest: str
    media_type: str
    artifact_type: str | None = None
    has_platform: bool = False

    @property
    def is_manifest(self) -> bool:
        """Whether the media type names a manifest or an index, so that the absence of its version is a missing part."""
        return self.media_type in MEDIA_TYPES

    @property
    def is_index(self) -> bool:
        """Whether the child has children of its own, which only its manifest tells; an unknown type may."""
        return self.media_type not in MANIFEST_TYPES and self.media_type not in SCHEMA_1_TYPES

    @property
    def is_plain(self) -> bool:
        """Whether the descriptor alone shows an image manifest for a platform, so that it need not be read.

        BuildKit's attestations count: they name the platform unknown/unknown and refer to nothing.
        """
        return self.media_type in MANIFEST_TYPES and self.artifact_type is None and self.has_platform


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """One manifest that was read and whose digest was checked.

    `subject` is the digest that it refers to, when it is a signature, an attestation or another referrer.
    `is_stub` marks the empty manifest by which an untagging run moves a tag: one that holds anything is none.
    """

    digest: str
    media_type: str
    children: tuple[Descriptor, ...] = ()
    subject: str | None = None
    is_stub: bool = False

    @property
    def is_index(self) -> bool:
        """Whether it lists other manifests."""
        return self.media_type in INDEX_TYPES


class Obstacle(Enum):
    """What kept a manifest from being read."""

    CONTENT = 1
    """The registry answered, and what it has is no manifest to trust: 404, a wrong digest, no JSON."""
    FORBIDDEN = 2
    UNREACHABLE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadableManifest:
    """A manifest that could not be read: what it needs is unknown, so everything it might need stays."""

    digest: str
    why: str
    obstacle: Obstacle


STUB_ANNOTATION = "io.github.package-keeper.untagged"
"""Marks a stub; earlier versions of this program put a random value behind it."""

VARIANTS = 16
"""So many stubs one tag can have: a tag that is taken away again is to get another one than last time."""


def stubs(tag: str) -> dict[str, bytes]:
    """All stubs of a tag, by their digests. No byte of them may ever change: they are how deleted ones are known."""
    start = f'{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","manifests":[],"annotations":{{"{STUB_ANNOTATION}":'
    value = json.dumps(tag).removesuffix('"')
    bodies = [f'{start}{value} {number}"}}}}'.encode() for number in range(VARIANTS)]
    return {f"sha256:{hashlib.sha256(body).hexdigest()}": body for body in bodies}


def is_stub(name: str, tags: Iterable[str]) -> bool:
    """Whether a version of this name is the stub of one of its tags. No other manifest has the digest of a stub."""
    return any(name in stubs(tag) for tag in tags)


def stubs_among(versions: Iterable[Version]) -> list[Version]:
    """The versions that are stubs, as far as their names and tags tell."""
    return [version for version in versions if is_stub(version.name, version.image_tags)]
