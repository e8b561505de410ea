"""Stubs: the empty manifests by which tags are taken away (docs/decisions/0016-stubs.md).

A registry serves active versions only, so the manifest of a deleted stub cannot be read. Its digest can be worked out
instead: what a stub holds follows from its tag, up to a number below `VARIANTS`.
"""

import hashlib
import json
from collections.abc import Iterable

from package_keeper.inventory.manifest import OCI_INDEX
from package_keeper.inventory.version import Version

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
