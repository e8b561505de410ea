"""What manifests take up in the registry: their own bytes, and those of the layers and configurations that they use.

Every manifest that was read has a `content`: its own digest and those of all its blobs, each with its size, in 16 bytes
each. A run may hold 100,000 manifests, so there is no object for each blob.
"""

import hashlib
from collections.abc import Iterable, Iterator
from struct import Struct

from package_keeper.model.packages import DIGEST

UNKNOWN_SIZE = 2**64 - 1
"""The size of a blob when its manifest does not say it."""

_ENTRY = Struct(">QQ")


def pack(sizes: Iterable[tuple[str, int]]) -> bytes:
    """Pack digests and sizes. A size of 0 means that the registry does not store the blob, as with foreign layers."""
    return b"".join(_ENTRY.pack(_key(digest), size) for digest, size in sizes)


def _key(digest: str) -> int:
    """The first 64 bits of a digest. If two blobs ever shared them, they would count as one: never too much."""
    if DIGEST.fullmatch(digest):
        return int(digest[7:23], 16)
    return int.from_bytes(hashlib.sha256(digest.encode(errors="surrogatepass")).digest()[:8])


def keys(content: bytes) -> Iterator[int]:
    """What a manifest uses, without the sizes."""
    return (key for key, _ in _ENTRY.iter_unpack(content))


def add_up(contents: Iterable[bytes], seen: set[int]) -> tuple[int, bool]:
    """Sum up the bytes of what is not in `seen`, and add it there. Return also whether some size is unknown."""
    total = 0
    unknown: set[int] = set()
    for content in contents:
        for key, size in _ENTRY.iter_unpack(content):
            if key in seen:
                continue
            if size == UNKNOWN_SIZE:
                unknown.add(key)
            elif size:
                seen.add(key)
                total += size
    return total, not unknown <= seen


def uses_blobs(content: bytes) -> bool:
    """Whether a manifest uses anything but itself."""
    return len(content) > _ENTRY.size
