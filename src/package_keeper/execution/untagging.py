"""Taking one tag away from an image that stays, and giving it back.

A registry has no deletion of tags, and a version can only be deleted whole. So an empty manifest, the stub, is put
under the tag; the tag moves to it; and the stub's version is deleted by REST, which takes the tag along (GITHUB.md,
"Registry"). If someone pushes the tag in between, it is put back.
"""

import secrets
from collections.abc import Sequence
from typing import Protocol

from package_keeper.decisions.plan import PlannedWrite
from package_keeper.errors import Cancelled, Refusal, RefusalKind
from package_keeper.execution.ports import Log, Pause, Reader, Writer
from package_keeper.inventory.package import PackageName
from package_keeper.inventory.version import Version, display_name

LISTED_AFTER = (0.0, 1.0, 2.0, 4.0, 8.0, 15.0)
"""Seconds to wait before each look for the stub in the list; how soon it is listed is not known."""


class TagWriter(Protocol):
    """Reads and moves tags of one owner's packages. Every method may raise `Refusal`."""

    def tag_digest(self, package: PackageName, tag: str) -> str | None:
        """The digest that a tag names."""
        ...

    def manifest_bytes(self, package: PackageName, digest: str) -> bytes:
        """The bytes of a manifest."""
        ...

    def is_stub(self, package: PackageName, digest: str) -> bool:
        """Whether a manifest is a stub."""
        ...

    def stub(self, body: bytes, unique: str) -> bytes:
        """An empty manifest of the same kind."""
        ...

    def put(self, package: PackageName, tag: str, body: bytes) -> str:
        """Put a manifest under a tag."""
        ...


class TagMoves:
    """Takes tags away and gives them back."""

    def __init__(self, reader: Reader, writer: Writer, tags: TagWriter, pause: Pause, log: Log) -> None:
        self._reader = reader
        self._writer = writer
        self._tags = tags
        self._pause = pause
        self._log = log

    def untag(self, write: PlannedWrite) -> None:
        """Take `write.tag` away from the image. Raises `Refusal`; then the tag is where it was, or the text says so."""
        package, tag = write.package, write.tag or ""
        if write.version is not None and len(write.version.tags) < 2:
            raise Refusal(RefusalKind.CHANGED, "it is the last tag of the image, which would be left without a name")
        body = self._tags.manifest_bytes(package, write.version_name)
        stub = self._tags.stub(body, secrets.token_hex(16))
        before = self._reader.versions(package)
        image = next((version for version in before if version.id == write.version_id), None)
        if image is None or tag not in image.tags or len(image.tags) < 2:
            raise Refusal(RefusalKind.CHANGED, "the tags of the image have changed")
        if self._tags.tag_digest(package, tag) != write.version_name:
            raise Refusal(RefusalKind.CHANGED, "the tag names another image now")
        name = self._tags.put(package, tag, stub)
        try:
            self._finish(write, name, before)
        except (Refusal, Cancelled):
            # the image must not lose its tag to a stub that could not be removed
            if self._tags.tag_digest(package, tag) == name:
                self._tags.put(package, tag, body)
                self._remove_stub_quietly(package, name)
            raise

    def retag(self, write: PlannedWrite) -> None:
        """Give `write.tag` back to the image, unless another image carries it by now. Raises `Refusal`."""
        package, tag = write.package, write.tag or ""
        current = self._tags.tag_digest(package, tag)
        if current == write.version_name:
            return
        stub = current is not None and self._tags.is_stub(package, current)
        if current is not None and not stub:
            raise Refusal(RefusalKind.CHANGED, f"the tag names {display_name(current)} now")
        self._tags.put(package, tag, self._tags.manifest_bytes(package, write.version_name))
        if current is not None:
            self._remove_stub_quietly(package, current)

    def _finish(self, write: PlannedWrite, name: str, before: Sequence[Version]) -> None:
        """Find the stub in the list and delete it; put back what somebody pushed under the tag meanwhile."""
        package, tag = write.package, write.tag or ""
        for seconds in LISTED_AFTER:
            self._pause.sleep(seconds)
            after = self._reader.versions(package)
            found = [version for version in after if version.name == name]
            if found:
                break
        else:
            raise Refusal(RefusalKind.OTHER, f"the stub {display_name(name)} is not listed, so it cannot be deleted")
        taken = self._tags.tag_digest(package, tag) == name
        if taken and (pushed := _pushed_meanwhile(before, after, write, name)) is not None:
            self._log.warning(
                f"{package}: someone pushed the tag {tag} meanwhile; it is put back on {display_name(pushed.name)}"
            )
            self._tags.put(package, tag, self._tags.manifest_bytes(package, pushed.name))
        for version in found:
            self._delete_stub(package, version)

    def _delete_stub(self, package: PackageName, version: Version) -> None:
        try:
            self._writer.delete_version(package, version.id)
        except Refusal as refused:
            if refused.kind is not RefusalKind.NOT_FOUND:
                raise

    def _remove_stub_quietly(self, package: PackageName, name: str) -> None:
        try:
            for version in self._reader.versions(package):
                if version.name == name:
                    self._delete_stub(package, version)
        except Refusal as refused:
            self._log.warning(f"{package}: the empty manifest {display_name(name)} is left without a tag: {refused}")


def _pushed_meanwhile(
    before: Sequence[Version], after: Sequence[Version], write: PlannedWrite, stub: str
) -> Version | None:
    """The version from which the stub took the tag, if the tag had moved between our look and our write.

    It shows as a version that is new, or was changed, and that carries no tag; of several the newest: the parts of an
    image are pushed before it.
    """
    known = {version.id: version for version in before}
    suspects = [
        version
        for version in after
        if version.id != write.version_id
        and version.name != stub
        and not version.tags
        and (version.id not in known or known[version.id].updated_at != version.updated_at)
    ]
    return max(
        suspects, key=lambda version: (version.updated_at is not None, version.updated_at, version.id), default=None
    )
