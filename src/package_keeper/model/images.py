"""Images: the unit of every rule, the graph of a package that they follow from, and their health."""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from package_keeper.model.manifest import Manifest, UnreadableManifest
from package_keeper.model.packages import REFERRER_TAG, Timestamp, Version, oldest_first


class Condition(StrEnum):
    """The health of an image (contract, input `condition`)."""

    WHOLE = "whole"
    PARTIAL = "partial"
    """Some of its parts are missing."""
    GHOST = "ghost"
    """An index with no part left."""
    ORPHAN = "orphan"
    """A signature, attestation or other referrer whose subject is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """What the rules judge: a root and the parts that follow it.

    `parts` are all versions that the root reaches, without the root, parents before children. `missing` are the
    digests that it needs and that no active version has; `lost_subjects` are the digests that a referrer refers to and
    that no active version has. `readable` is false when it is not known what belongs to
    the image, or what it belongs to. `foreign` marks a referrer by tag whose subject may lie in another package.
    `is_stub` marks the empty manifest by which a tag was taken away: it is no image, though it may carry the tag.
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
        """Whether users can name it; always false for types without tags."""
        return bool(self.root.image_tags)

    @property
    def may_be_tagged(self) -> bool:
        """Whether it carries a tag, or may carry one that GitHub does not tell."""
        return self.is_tagged or not self.root.tags_known

    @property
    def digests(self) -> frozenset[str]:
        """The names of the root, of all parts and of what is missing."""
        return frozenset({self.root.name, *(part.name for part in self.parts), *self.missing})


def independent_images(versions: Iterable[Version]) -> list[Image]:
    """Every version an image of its own: package types without parts, and `images: raw`."""
    return [Image(root=version) for version in versions]


class Graph:
    """The arrows between the active versions of one package, by digest.

    Pure and deterministic: the order of `versions` does not matter. A digest of which no manifest is given has no
    children and no subject that anybody knows of; reading enough of them first is the caller's duty.
    """

    def __init__(self, versions: Sequence[Version], manifests: Mapping[str, Manifest]) -> None:
        self._versions: dict[str, list[Version]] = {}
        for version in sorted(versions, key=lambda version: version.id):
            self._versions.setdefault(version.name, []).append(version)
        self._manifests = manifests
        self._arrows: dict[str, list[str]] = {}
        self._pointers: dict[str, list[str]] = {}
        self._indexes_of: dict[str, list[str]] = {}
        self._missing: dict[str, list[str]] = {}
        self._lost_subjects: dict[str, list[str]] = {}
        self._has_subject: set[str] = set()
        self._draw()
        self._images: Sequence[Image] | None = None

    def images(self) -> Sequence[Image]:
        """All images of the package, in the order of their roots' ids; every version is in at least one."""
        if self._images is None:
            self._images = self._find_images()
        return self._images

    def _find_images(self) -> list[Image]:
        roots = [
            version
            for digest, versions in self._versions.items()
            for version in versions
            if digest not in self._pointers or version.image_tags or not version.tags_known
        ]
        found = [self._image(root) for root in sorted(roots, key=lambda root: root.id)]
        covered = {version.id for image in found for version in (image.root, *image.parts)}
        # versions that only point at each other in a circle have no root; what they are for is unknown
        circles = [version for versions in self._versions.values() for version in versions if version.id not in covered]
        return found + [
            replace(self._image(version), readable=False) for version in sorted(circles, key=lambda each: each.id)
        ]

    def needed_for(self, digest: str) -> tuple[str, ...]:
        """The digests of active versions that need `digest` directly."""
        return tuple(self._pointers.get(digest, ()))

    def lists(self, index: str, digest: str) -> bool:
        """Whether `index` lists `digest` among its children, at any depth: then a pull of it needs `digest`.

        Digests make circles of children impossible; a referrer may refer to what it lists itself.
        """
        seen: set[str] = set()
        queue = deque([digest])
        while queue:
            for holder in self._indexes_of.get(queue.popleft(), ()):
                if holder == index:
                    return True
                if holder not in seen:
                    seen.add(holder)
                    queue.append(holder)
        return False

    def versions_of(self, digest: str) -> Sequence[Version]:
        """The active versions of that digest: none, one, or more after a re-push."""
        return self._versions.get(digest, ())

    def _draw(self) -> None:
        for digest, versions in self._versions.items():
            for subject in dict.fromkeys(subject for version in versions for subject in tagged_subjects(version)):
                self._refer(digest, subject)
            manifest = self._manifests.get(digest)
            if manifest is None:
                continue
            if manifest.subject is not None:
                self._refer(digest, manifest.subject)
            certain = {descriptor.digest for descriptor in manifest.children if descriptor.is_manifest}
            for child in dict.fromkeys(descriptor.digest for descriptor in manifest.children):
                if child in self._versions:
                    self._point(digest, child)
                    self._indexes_of.setdefault(child, []).append(digest)
                elif child in certain:
                    self._missing.setdefault(digest, []).append(child)
        for digest in self._versions:
            if (replaced := self._replaced_fallback(digest)) is not None:
                self._refer(digest, replaced)

    def _refer(self, referrer: str, subject: str) -> None:
        if subject in self._versions:
            self._has_subject.add(referrer)
            self._point(subject, referrer)
        else:
            self._lost_subjects.setdefault(referrer, []).append(subject)

    def _point(self, start: str, end: str) -> None:
        arrows = self._arrows.setdefault(start, [])
        if start != end and end not in arrows:
            arrows.append(end)
            self._pointers.setdefault(end, []).append(start)

    def _replaced_fallback(self, digest: str) -> str | None:
        manifest = self._manifests.get(digest)
        tagged = any(version.tags or not version.tags_known for version in self._versions[digest])
        if manifest is None or not manifest.is_index or tagged or manifest.subject is not None:
            return None
        children = [self._manifests.get(child.digest) for child in manifest.children if child.digest in self._versions]
        subjects = {child.subject if child else None for child in children}
        return subjects.pop() if len(subjects) == 1 else None

    def _image(self, root: Version) -> Image:
        reached = self._reach(root.name)
        # a second version of the root's own digest stands or falls with it: the registry has the content once
        parts = tuple(version for digest in reached for version in self._versions[digest] if version.id != root.id)
        missing = tuple(dict.fromkeys(child for digest in reached for child in self._missing.get(digest, ())))
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
            # a package where no referrer has its subject holds signatures of images that lie elsewhere
            return Condition.ORPHAN
        if not missing:
            return Condition.WHOLE
        manifest = self._manifests.get(root.name)
        direct = manifest.children if manifest else ()
        # what an entry of an unknown type names may be there: then some part is left
        if direct and all(child.is_manifest and child.digest not in self._versions for child in direct):
            return Condition.GHOST
        return Condition.PARTIAL

    def _reach(self, start: str) -> list[str]:
        """`start` and all digests that it leads to, each after everything in the image that points to it.

        In a circle (an index that refers to its own child) what lists comes before what is listed.
        """
        if start not in self._arrows:
            return [start]
        found = {start}
        queue = deque([start])
        while queue:
            for end in self._arrows.get(queue.popleft(), ()):
                if end not in found:
                    found.add(end)
                    queue.append(end)
        waiting = {digest: sum(pointer in found for pointer in self._pointers.get(digest, ())) for digest in found}
        waiting[start] = 0
        order: list[str] = []
        ready = deque([start])
        rest = dict.fromkeys(sorted(found - {start}))
        while ready or rest:
            digest = ready.popleft() if ready else self._unlisted(rest)
            rest.pop(digest, None)
            order.append(digest)
            for end in self._arrows.get(digest, ()):
                waiting[end] -= 1
                if waiting[end] <= 0 and end in rest:
                    rest.pop(end)
                    ready.append(end)
        return order

    def _unlisted(self, rest: Mapping[str, None]) -> str:
        """One of `rest` that no other of them lists; the first when all are listed, which digests make impossible."""
        return next(
            (digest for digest in rest if not any(holder in rest for holder in self._indexes_of.get(digest, ()))),
            next(iter(rest)),
        )


def tagged_subjects(version: Version) -> list[str]:
    """The digests that a version refers to by its tags."""
    found = [REFERRER_TAG.fullmatch(tag) for tag in version.tags]
    return [f"sha256:{match[1]}" for match in found if match]


RESTORABLE_FOR = timedelta(days=30)
"""How long a deleted version can be restored (docs/github-behaviour.md, "Endpoints")."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingPart:
    """A digest that an image needs and that is gone; `versions` are the deleted ones that can bring it back."""

    digest: str
    versions: tuple[Version, ...] = ()

    @property
    def deleted(self) -> Version | None:
        """The one that is to bring it back, if any can."""
        return self.versions[0] if self.versions else None

    @property
    def restorable_until(self) -> datetime | None:
        """Until when it can be restored, as far as GitHub says."""
        if self.deleted is None or self.deleted.deleted_at is None:
            return None
        return self.deleted.deleted_at + RESTORABLE_FOR


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedImage:
    """What `verify` found about one image; `unreadable` says why its manifest could not be read."""

    root: Version
    missing: tuple[MissingPart, ...] = ()
    unreadable: str = ""

    @property
    def is_broken(self) -> bool:
        """Whether a pull would fail, or nobody can say that it works."""
        return bool(self.missing) or bool(self.unreadable)


def by_digest(deleted: Iterable[Version]) -> dict[str, list[Version]]:
    """The deleted versions of each digest, those with tags first, then the newest: GitHub restores only one of them."""
    found: dict[str, list[Version]] = {}
    for version in reversed(oldest_first(deleted, Timestamp.DELETED)):
        found.setdefault(version.name, []).append(version)
    return {digest: sorted(versions, key=lambda version: not version.tags) for digest, versions in found.items()}


def verify_images(
    images: Iterable[Image],
    unreadable: Mapping[str, UnreadableManifest],
    deleted: Sequence[Version],
    present: frozenset[str],
) -> list[VerifiedImage]:
    """Check images. `deleted` are the deleted versions, `present` digests that are there though no list shows them."""
    versions = by_digest(deleted)
    checked = []
    for image in images:
        broken = [unreadable[digest] for digest in sorted(image.digests) if digest in unreadable]
        missing = tuple(
            MissingPart(digest=digest, versions=tuple(versions.get(digest, ())))
            for digest in image.missing
            if digest not in present
        )
        why = "; ".join(f"{each.digest[:19]}: {each.why}" for each in broken)
        checked.append(VerifiedImage(root=image.root, missing=missing, unreadable=why))
    return checked
