"""Images: the unit of every rule.

`Graph` finds the images of one package from its versions and manifests; `verify_images` finds which of them are broken.
"""

from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from package_keeper.model.manifest import Manifest, Origin, UnreadableManifest
from package_keeper.model.packages import REFERRER_TAG, Timestamp, Version, oldest_first
from package_keeper.model.sizes import add_up


class Condition(StrEnum):
    """The health of an image (docs/reference.md, "condition")."""

    WHOLE = "whole"
    PARTIAL = "partial"
    """Some of its parts are missing."""
    GHOST = "ghost"
    """An index with no part left."""
    ORPHAN = "orphan"
    """A signature, attestation or other referrer whose subject is gone."""


class Image(Struct, frozen=True, kw_only=True):
    """A root and the parts that follow it; the rules decide about roots.

    `parts` are all versions that the root reaches, without the root, parents before children. `missing` are the
    digests that it needs and that no active version has. `lost_subjects` are the digests that a referrer refers to and
    that no active version has. `readable` is false when the parts or the subject of the image are unknown. `foreign`
    marks a referrer by tag whose subject may be in another package. `is_stub` marks the empty manifest by which a tag
    was taken away: it may carry the tag, but it is no image.
    """

    root: Version
    parts: tuple[Version, ...] = ()
    missing: tuple[str, ...] = ()
    lost_subjects: tuple[str, ...] = ()
    condition: Condition = Condition.WHOLE
    readable: bool = True
    foreign: bool = False
    is_stub: bool = False

    @property
    def is_tagged(self) -> bool:
        """Whether it has a tag that users gave; always false for types without tags."""
        return bool(self.root.image_tags)

    @property
    def may_be_tagged(self) -> bool:
        """Whether it has a tag, or may have one that GitHub does not tell."""
        return self.is_tagged or not self.root.tags_known

    @property
    def digests(self) -> frozenset[str]:
        """The names of the root and of all parts, missing ones included."""
        return frozenset({self.root.name, *(part.name for part in self.parts), *self.missing})


def independent_images(versions: Iterable[Version]) -> list[Image]:
    """Make each version an image of its own: for package types without parts, and for `images: raw`."""
    return [Image(root=version) for version in versions]


class Graph:
    """The edges between the active versions of one package, by digest.

    An edge leads from an index to each child, and from a subject to each referrer. The graph is deterministic: the
    order of `versions` does not matter. A digest without a manifest has no known children and no known subject, so
    callers must read enough manifests first.
    """

    def __init__(self, versions: Iterable[Version], manifests: Mapping[str, Manifest]) -> None:
        self._versions: dict[str, list[Version]] = {}
        for version in sorted(versions, key=lambda version: version.id):
            self._versions.setdefault(version.name, []).append(version)
        self._manifests = manifests
        self._edges: dict[str, list[str]] = {}
        self._holders: dict[str, list[str]] = {}
        """The edges backwards: for each digest, what leads to it."""
        self._indexes_of: dict[str, list[str]] = {}
        """For each child, the indexes that list it."""
        self._missing: dict[str, list[str]] = {}
        self._lost_subjects: dict[str, list[str]] = {}
        self._has_subject: set[str] = set()
        for digest, same in self._versions.items():
            for subject in dict.fromkeys(subject for version in same for subject in tagged_subjects(version)):
                self._add_referrer(digest, subject)
            if manifest := manifests.get(digest):
                self._add_manifest(manifest)
        for digest in self._versions:
            if (replaced := self._subject_of_replaced_fallback(digest)) is not None:
                self._add_referrer(digest, replaced)
        self._images: Sequence[Image] | None = None

    def _add_manifest(self, manifest: Manifest) -> None:
        if manifest.subject is not None:
            self._add_referrer(manifest.digest, manifest.subject)
        # an index may list a digest twice; one entry that names a manifest shows that the digest is a part
        children: dict[str, bool] = {}
        for child in manifest.children:
            children[child.digest] = child.is_manifest or children.get(child.digest, False)
        for digest, is_manifest in children.items():
            if digest in self._versions:
                self._add_edge(manifest.digest, digest)
                self._indexes_of.setdefault(digest, []).append(manifest.digest)
            elif is_manifest:
                self._missing.setdefault(manifest.digest, []).append(digest)

    def _add_referrer(self, referrer: str, subject: str) -> None:
        if subject in self._versions:
            self._has_subject.add(referrer)
            self._add_edge(subject, referrer)
        else:
            self._lost_subjects.setdefault(referrer, []).append(subject)

    def _add_edge(self, start: str, end: str) -> None:
        ends = self._edges.setdefault(start, [])
        if start != end and end not in ends:
            ends.append(end)
            self._holders.setdefault(end, []).append(start)

    def _subject_of_replaced_fallback(self, digest: str) -> str | None:
        """The subject that all children of an untagged index refer to.

        Such an index was the fallback index of that subject, until a newer one took its tag.
        """
        manifest = self._manifests.get(digest)
        if manifest is None or not manifest.is_index or manifest.subject is not None:
            return None
        if any(version.tags or not version.tags_known for version in self._versions[digest]):
            return None
        children = [self._manifests.get(child.digest) for child in manifest.children if child.digest in self._versions]
        subjects = {child.subject if child else None for child in children}
        return subjects.pop() if len(subjects) == 1 else None

    def images(self) -> Sequence[Image]:
        """All images of the package, in the order of their roots' ids; every version is in at least one."""
        if self._images is None:
            self._images = self._find_images()
        return self._images

    def _find_images(self) -> list[Image]:
        versions = [version for same in self._versions.values() for version in same]
        versions.sort(key=lambda version: version.id)
        found = [
            self._image(version)
            for version in versions
            if version.name not in self._holders or version.image_tags or not version.tags_known
        ]
        covered = {version.id for image in found for version in (image.root, *image.parts)}
        # versions that only lead to each other have no root, and nobody knows what they belong to
        circles = [version for version in versions if version.id not in covered]
        return found + [replace(self._image(version), readable=False) for version in circles]

    def _image(self, root: Version) -> Image:
        digests = self._in_order(root.name)
        # a second version with the root's own digest is a part: the registry stores the content once
        parts = tuple(version for digest in digests for version in self._versions[digest] if version.id != root.id)
        missing = tuple(dict.fromkeys(child for digest in digests for child in self._missing.get(digest, ())))
        lost = () if root.name in self._has_subject else tuple(self._lost_subjects.get(root.name, ()))
        manifest = self._manifests.get(root.name)
        return Image(
            root=root,
            parts=parts,
            missing=missing,
            lost_subjects=lost,
            condition=self._condition(root, missing, lost),
            foreign=bool(lost) and not self._has_subject and not root.image_tags and bool(tagged_subjects(root)),
            is_stub=manifest is not None and manifest.is_stub,
        )

    def _condition(self, root: Version, missing: Sequence[str], lost: Sequence[str]) -> Condition:
        if lost and not root.image_tags and self._has_subject:
            # where no referrer has its subject, the package holds signatures of images in other packages
            return Condition.ORPHAN
        if not missing:
            return Condition.WHOLE
        manifest = self._manifests.get(root.name)
        direct = manifest.children if manifest else ()
        # an entry of an unknown type may be there: then some part is left
        if direct and all(child.is_manifest and child.digest not in self._versions for child in direct):
            return Condition.GHOST
        return Condition.PARTIAL

    def _in_order(self, start: str) -> list[str]:
        """`start` and all digests that it leads to, each after everything in the image that leads to it.

        In a circle, such as an index that refers to its own child, an index comes before its children.
        """
        if start not in self._edges:
            return [start]
        reached = _reach(start, self._edges)
        waiting = {digest: sum(holder in reached for holder in self._holders.get(digest, ())) for digest in reached}
        order: list[str] = []
        ready = deque([start])
        rest = dict.fromkeys(sorted(reached - {start}))
        while ready or rest:
            digest = ready.popleft() if ready else self._first_of_circle(rest)
            rest.pop(digest, None)
            order.append(digest)
            for end in self._edges.get(digest, ()):
                waiting[end] -= 1
                if waiting[end] == 0 and end in rest:
                    rest.pop(end)
                    ready.append(end)
        return order

    def _first_of_circle(self, digests: Collection[str]) -> str:
        """One of `digests` that no other of them lists. The first, if indexes list each other."""
        return next(
            (digest for digest in digests if not any(index in digests for index in self._indexes_of.get(digest, ()))),
            next(iter(digests)),
        )

    def needed_for(self, digest: str) -> tuple[str, ...]:
        """The digests of active versions that need `digest` directly."""
        return tuple(self._holders.get(digest, ()))

    def lists(self, index: str, digest: str) -> bool:
        """Whether `index` lists `digest` among its children, at any depth, so that a pull of `index` needs it."""
        return index != digest and index in _reach(digest, self._indexes_of)

    def content_of(self, digest: str) -> bytes | None:
        """What a manifest takes up in the registry (`Manifest.content`); `None` when it was not read."""
        manifest = self._manifests.get(digest)
        return manifest.content if manifest is not None else None

    def size_of(self, image: Image) -> int | None:
        """The bytes of an image: its manifests and blobs, each once. `None` when one of them is unknown."""
        contents = [self.content_of(version.name) for version in (image.root, *image.parts)]
        size, some_unknown = add_up(filter(None, contents), set())
        return None if some_unknown or None in contents else size

    def versions_of(self, digest: str) -> Sequence[Version]:
        """The active versions of that digest: none, one, or more after a re-push."""
        return self._versions.get(digest, ())


def _reach(start: str, edges: Mapping[str, Iterable[str]]) -> set[str]:
    """`start` and everything that `edges` lead to from there."""
    reached = {start}
    queue = [start]
    while queue:
        for end in edges.get(queue.pop(), ()):
            if end not in reached:
                reached.add(end)
                queue.append(end)
    return reached


def tagged_subjects(version: Version) -> list[str]:
    """The digests that a version refers to by its tags."""
    found = [REFERRER_TAG.fullmatch(tag) for tag in version.tags]
    return [f"sha256:{match[1]}" for match in found if match]


class Remedy(StrEnum):
    """What makes a broken image whole."""

    NONE = ""
    REPAIR = "repair"
    """The operation `repair` can restore all that it lacks."""
    REBUILD = "rebuild"
    """Something is gone for good."""
    UNKNOWN = "unknown"
    """GitHub does not tell which versions are deleted."""


NO_ORIGIN = Origin()

RESTORABLE_FOR = timedelta(days=30)
"""How long a deleted version can be restored (docs/github-behaviour.md, "Endpoints")."""


class MissingPart(Struct, frozen=True, kw_only=True):
    """A digest that an image needs and that is gone.

    `versions` are its deleted versions, in the order of `by_digest`; GitHub can restore the first. `platform` is what
    the index says of it: a platform such as `linux/arm64`, `attestation`, or an empty text. `is_certain` is false when
    GitHub lists only a part of the deleted versions.
    """

    digest: str
    versions: tuple[Version, ...] = ()
    platform: str = ""
    is_certain: bool = True

    @property
    def deleted(self) -> Version | None:
        """The deleted version to restore, if there is one."""
        return self.versions[0] if self.versions else None

    @property
    def restorable_until(self) -> datetime | None:
        """Until when it can be restored; `None` when GitHub does not say."""
        if self.deleted is None or self.deleted.deleted_at is None:
            return None
        return self.deleted.deleted_at + RESTORABLE_FOR


class VerifiedImage(Struct, frozen=True, kw_only=True):
    """What `verify` found about one image.

    `unreadable` says why a manifest of it could not be read. `size` are its bytes; `None` when not all of it was read.
    `origin` is known only of images that `repair` cannot make whole.
    """

    root: Version
    missing: tuple[MissingPart, ...] = ()
    unreadable: str = ""
    size: int | None = None
    origin: Origin = NO_ORIGIN

    @property
    def is_broken(self) -> bool:
        """Whether a pull fails, or may fail because of a manifest that could not be read."""
        return bool(self.missing) or bool(self.unreadable)

    @property
    def remedy(self) -> Remedy:
        """How a broken image becomes whole."""
        if not self.is_broken:
            return Remedy.NONE
        if self.unreadable or any(part.deleted is None and part.is_certain for part in self.missing):
            return Remedy.REBUILD
        return Remedy.REPAIR if all(part.deleted is not None for part in self.missing) else Remedy.UNKNOWN

    @property
    def repairable_until(self) -> datetime | None:
        """Until when `repair` can bring back everything that it can; `None` when that is nothing, or unknown."""
        return min((part.restorable_until for part in self.missing if part.restorable_until is not None), default=None)

    @property
    def to_rebuild(self) -> tuple[str, ...]:
        """What to build anew: the platforms, or digests without one, of parts that are gone for good.

        Empty for the whole image, and when there is nothing to rebuild.
        """
        if self.unreadable or self.remedy is not Remedy.REBUILD:
            return ()
        gone = (part for part in self.missing if part.deleted is None and part.is_certain)
        return tuple(dict.fromkeys(part.platform or part.digest for part in gone))


def verify_images(
    images: Iterable[Image],
    unreadable: Mapping[str, UnreadableManifest],
    deleted: Iterable[Version],
    present: Collection[str],
) -> list[VerifiedImage]:
    """Check images. `deleted` are the deleted versions; `present` are digests that exist though no list shows them."""
    versions = by_digest(deleted)
    verified = []
    for image in images:
        missing = tuple(
            MissingPart(digest=digest, versions=tuple(versions.get(digest, ())))
            for digest in image.missing
            if digest not in present
        )
        broken = [unreadable[digest] for digest in sorted(image.digests) if digest in unreadable]
        why = "; ".join(f"{each.digest[:19]}: {each.why}" for each in broken)
        verified.append(VerifiedImage(root=image.root, missing=missing, unreadable=why))
    return verified


def by_digest(deleted: Iterable[Version]) -> dict[str, list[Version]]:
    """Group deleted versions by digest: those with tags first, then the newest. GitHub restores only one of them."""
    found: dict[str, list[Version]] = {}
    for version in reversed(oldest_first(deleted, Timestamp.DELETED)):
        found.setdefault(version.name, []).append(version)
    return {digest: sorted(versions, key=lambda version: not version.tags) for digest, versions in found.items()}


class ImageReference(Struct, frozen=True, kw_only=True):
    """One reference to an image in a file.

    `text` is the reference as written, `place` is `file:line`. `package` may have `*` for a variable; `*` alone is
    every package. `whole` means that the reference does not say which image of the package it is. `certain` means that
    the owner is named, or hidden by a variable. An uncertain reference keeps images too, if a package has its name.
    """

    text: str
    place: str
    package: str
    tag: str | None = None
    digest: str | None = None
    whole: bool = False
    certain: bool = True

    @property
    def file(self) -> str:
        """The file, relative to the workspace."""
        return self.place.rpartition(":")[0]
