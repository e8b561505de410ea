"""Removes one tag from an image that stays, and gives it back.

The registry cannot delete tags, and REST deletes only whole versions. So this module puts an empty manifest, the stub,
under the tag. The tag moves to the stub, and deleting the stub's version by REST removes the tag with it
(docs/github-behaviour.md, "Registry"). If someone pushes the tag in between, the tag is put back.

A stub is an index without entries, whatever kind the image is.
"""

import secrets
from collections.abc import Callable, Sequence

from package_keeper.errors import ApiError, ApiErrorKind, Cancelled, OutOfTime, RateLimitedError
from package_keeper.execution.ports import Log, Pause, Reader, TagWriter, Writer
from package_keeper.model.manifest import stubs
from package_keeper.model.packages import PackageName, Timestamp, Version, age_order, display_name
from package_keeper.model.plan import PlannedWrite

LISTED_AFTER = (0.0, 1.0, 2.0, 4.0, 8.0, 15.0)
"""Seconds to wait before each try to find the stub in the list. How soon GitHub lists it is not known."""


class Untagger:
    """Removes tags and gives them back."""

    def __init__(self, reader: Reader, writer: Writer, tags: TagWriter, pause: Pause, log: Log) -> None:
        self._reader = reader
        self._writer = writer
        self._tags = tags
        self._pause = pause
        self._log = log
        self._bodies: dict[tuple[PackageName, str], bytes] = {}

    def untag(self, write: PlannedWrite) -> None:
        """Remove `write.tag` from the image.

        Raises `ApiError`, `Cancelled` and `OutOfTime`. The tag is then where it was, or the `ApiError` says that it may
        not be. After `time-limit`, a removal that has begun is finished if that needs no wait. Otherwise the tag is
        given back.
        """
        package, tag = write.package, write.tag or ""
        if write.version is not None and len(write.version.image_tags) < 2:
            raise ApiError(ApiErrorKind.CHANGED, "it is the last tag of the image, which would be left without a name")
        body = self._body(package, write.version_name)
        before = self._reader.versions(package)
        self._check_unchanged(write, before)
        stub = _new_stub(tag, before)
        put = False
        try:
            name = self._tags.put(package, tag, stub)
            put = True
            with self._pause.finishing():
                self._finish(write, name, before)
        except (ApiError, Cancelled, OutOfTime) as error:
            if not put and not _may_be_done(error):
                raise
            with self._pause.finishing():
                is_gone = self._put_back(write, body, error)
            if not is_gone:
                raise
            if isinstance(error, Cancelled):
                # the tag is removed, but a cancelled run cannot record that as done
                raise Cancelled(in_flight=True) from None

    def _check_unchanged(self, write: PlannedWrite, listed: Sequence[Version]) -> None:
        """Raise `ApiError` unless the image is as planned, and the tag still points to it."""
        image = next((version for version in listed if version.id == write.version_id), None)
        if image is None or write.tag not in image.tags or len(image.image_tags) < 2:
            raise ApiError(ApiErrorKind.CHANGED, "the tags of the image have changed")
        if self.current(write) != write.version_name:
            raise ApiError(ApiErrorKind.CHANGED, "the tag names another image now")

    def current(self, write: PlannedWrite) -> str | None:
        """Return the digest that `write.tag` points to now. Raises `ApiError`."""
        return self._tags.tag_digest(write.package, write.tag or "")

    def _put_back(self, write: PlannedWrite, body: bytes, error: ApiError | Cancelled | OutOfTime) -> bool:
        """Give the tag back to the image if it points to a stub. Return whether the tag was removed after all.

        If that fails too, it is unknown where the tag points. The receipt must not say that nothing happened, so that
        `undo` checks. If the tag was removed, only the answer to the last step was lost.
        """
        package, tag = write.package, write.tag or ""
        try:
            current = self._tags.tag_digest(package, tag)
            if current is None:
                return True
            if current != write.version_name and self._tags.is_stub(package, current):
                self._put_for_sure(package, tag, body)
                self._remove_stub_quietly(package, current)
        except Cancelled:
            raise Cancelled(in_flight=True) from None
        except (ApiError, OutOfTime) as second:
            if isinstance(error, Cancelled):
                raise Cancelled(in_flight=True) from None
            text = f"{error}; the tag may name an empty manifest now ({second}): restore with undo gives it back"
            raise ApiError(ApiErrorKind.OTHER, text, sent_before=True) from None
        return False

    def retag(self, write: PlannedWrite) -> None:
        """Give `write.tag` back to the image, unless another image has it by now. Raises `ApiError`."""
        package, tag = write.package, write.tag or ""
        current = self._tags.tag_digest(package, tag)
        if current == write.version_name:
            return
        stub = current is not None and self._tags.is_stub(package, current)
        if current is not None and not stub:
            raise ApiError(ApiErrorKind.CHANGED, f"the tag names {display_name(current)} now")
        body = self._body(package, write.version_name)
        with self._pause.finishing():
            self._tags.put(package, tag, body)
            if self._tags.tag_digest(package, tag) != write.version_name:
                raise ApiError(ApiErrorKind.UNCONFIRMED, "the registry took the manifest, but the tag does not name it")
            if current is not None:
                self._remove_stub_quietly(package, current)

    def _finish(self, write: PlannedWrite, name: str, before: Sequence[Version]) -> None:
        """Find the stub in the list and delete it. First put the tag back on an image that was pushed meanwhile."""
        package, tag = write.package, write.tag or ""
        for seconds in LISTED_AFTER:
            self._pause.sleep(seconds, f"{package}: the empty manifest under the tag {tag} is not listed yet")
            after = self._reader.versions(package)
            found = [version for version in after if version.name == name]
            if found:
                break
        else:
            raise ApiError(ApiErrorKind.OTHER, f"the stub {display_name(name)} is not listed, so it cannot be deleted")
        if self._tags.tag_digest(package, tag) == name:
            self._give_to_pusher(write, before, after, found[0])
        for version in found:
            self._delete_stub(package, version)
        if self._tags.tag_digest(package, tag) == name:
            raise ApiError(ApiErrorKind.UNCONFIRMED, "GitHub confirmed the deletion, but the tag is still there")

    def _give_to_pusher(
        self, write: PlannedWrite, before: Sequence[Version], after: Sequence[Version], stub: Version
    ) -> None:
        """Put the tag on the image that somebody pushed between our read and our write. Raises `ApiError` in doubt."""
        suspects = _pushed_meanwhile(before, after, write, stub)
        if not suspects:
            return
        package, tag = write.package, write.tag or ""
        if suspects[0].tags:
            names = ", ".join(display_name(version.name) for version in suspects)
            raise ApiError(ApiErrorKind.CHANGED, f"someone pushed meanwhile ({names}), perhaps under this tag too")
        self._log.warning(
            f"{package}: someone pushed the tag {tag} meanwhile; it is put back on {display_name(suspects[0].name)}"
        )
        self._put_for_sure(package, tag, self._body(package, suspects[0].name))

    def _put_for_sure(self, package: PackageName, tag: str, body: bytes) -> None:
        """Put a manifest under a tag, and retry as often as GitHub rate-limits it."""
        self._for_sure(lambda: self._tags.put(package, tag, body), f"{package}: the tag {tag} is given back")

    def _for_sure(self, write: Callable[[], object], why: str) -> None:
        while True:
            try:
                write()
            except RateLimitedError as rate_limited:
                self._pause.sleep(rate_limited.wait, why)
            else:
                return

    def _body(self, package: PackageName, digest: str) -> bytes:
        """The bytes of a manifest, read once a run, since every GET counts as a download."""
        key = (package, digest)
        if key not in self._bodies:
            self._bodies[key] = self._tags.manifest_bytes(package, digest)
        return self._bodies[key]

    def _delete_stub(self, package: PackageName, version: Version) -> None:
        try:
            self._writer.delete_version(package, version.id)
        except ApiError as error:
            if error.kind is not ApiErrorKind.NOT_FOUND or self._exists(package, version.id):
                raise

    def _exists(self, package: PackageName, version_id: int) -> bool:
        try:
            self._reader.version(package, version_id)
        except ApiError as error:
            return error.kind is not ApiErrorKind.NOT_FOUND
        return True

    def _remove_stub_quietly(self, package: PackageName, name: str) -> None:
        try:
            for version in self._reader.versions(package):
                if version.name == name:
                    self._for_sure(
                        lambda version=version: self._delete_stub(package, version),  # type: ignore[misc]  # reason: bound for each
                        f"{package}: an empty manifest is deleted",
                    )
        except (ApiError, OutOfTime) as error:
            self._log.warning(f"{package}: the empty manifest {display_name(name)} is left without a tag: {error}")


def _new_stub(tag: str, listed: Sequence[Version]) -> bytes:
    """Choose a stub that is not in the package, so that its creation time is when it was put. Raises `ApiError`."""
    listed_names = {version.name for version in listed}
    unused = [body for digest, body in stubs(tag).items() if digest not in listed_names]
    if not unused:
        raise ApiError(ApiErrorKind.OTHER, f"too many stubs of the tag {tag} are left: delete them by version-ids")
    return secrets.choice(unused)


def _may_be_done(error: ApiError | Cancelled | OutOfTime) -> bool:
    """Whether the request that ended with `error` may have had its effect."""
    if isinstance(error, ApiError):
        return error.sent_before
    return isinstance(error, Cancelled) and error.in_flight


def _pushed_meanwhile(
    before: Sequence[Version], after: Sequence[Version], write: PlannedWrite, stub: Version
) -> list[Version]:
    """Return the versions that may have had the tag when the stub took it, if somebody moved it before that.

    Such a version was created or changed before the stub was put. It did not lose another tag meanwhile, and has no
    referrer tags. Of several untagged versions only the newest counts: the parts of an image are pushed before it. It
    comes after those with tags.
    """
    known = {version.id: version for version in before}
    suspects = [
        version
        for version in after
        if version.id != write.version_id
        and version.name != stub.name
        and len(version.image_tags) == len(version.tags)
        and _may_have_lost_the_tag(version, known.get(version.id), stub)
    ]
    untagged = sorted(
        (version for version in suspects if not version.tags), key=lambda version: age_order(version, Timestamp.UPDATED)
    )
    return [version for version in suspects if version.tags] + untagged[-1:]


def _may_have_lost_the_tag(version: Version, before: Version | None, stub: Version) -> bool:
    """Whether a version is new or changed compared to `before`, and not later than the stub."""
    if before is not None and (before.updated_at == version.updated_at or set(before.tags) - set(version.tags)):
        return False
    moment = version.created_at if before is None else version.updated_at
    later = moment is not None and stub.created_at is not None and moment > stub.created_at
    return not later and not (before is None and version.id > stub.id)
