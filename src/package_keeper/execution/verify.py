"""Verifies images: is every tagged image whole, and what does `repair` have to restore?"""

from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

from package_keeper.errors import ApiError
from package_keeper.execution.image_reading import Manifests, read_tagged
from package_keeper.execution.images import OBSTACLE_KINDS
from package_keeper.execution.ports import Log, ManifestReader, Reader
from package_keeper.execution.restorations import still_active
from package_keeper.execution.wording import stubs_and_what_to_do
from package_keeper.model.images import Graph, Image, MissingPart, VerifiedImage, verify_images
from package_keeper.model.manifest import UnreadableManifest
from package_keeper.model.packages import Package, Version, display_name


@dataclass(frozen=True, kw_only=True)
class ImageVerifier:
    """Verifies the images of packages.

    Lists may be outdated. So unreadable versions are asked for by id, and with `repairs` also versions that are listed
    as both deleted and active. `gone` collects the ids of listed versions that are deleted in fact.
    """

    reader: Reader
    registry: ManifestReader
    log: Log
    repairs: bool = False
    gone: set[int] = field(default_factory=set)

    def verify(
        self,
        package: Package,
        versions: list[Version],
        digests: Iterable[str] = (),
        roots: frozenset[int] | None = None,
        *,
        about_to_repair: bool = False,
    ) -> list[VerifiedImage]:
        """Verify every image that is or may be tagged, and those named by `digests`. Raises `ApiError`.

        `roots` limits this to versions with these ids. A part counts as missing only if it is neither in a fresh list
        nor in the registry. With `about_to_repair`, problems are warnings, not errors.
        """
        named = set(digests)
        deleted: list[Version] | None = None
        if self.repairs:
            deleted = self.reader.versions(package.key, deleted=True)
            versions = self._there(versions, ids=frozenset(version.id for version in deleted))
        manifests = Manifests(package.key, versions, self.registry)
        digests = named | {each.name for each in versions if not each.tags_known}
        read_tagged(manifests, (each for each in versions if roots is None or each.id in roots), digests)
        _raise_failures(manifests.unreadable.values())
        # an unreadable version may be deleted and only be left in an outdated list
        versions = self._there(versions, names=frozenset(manifests.unreadable))
        there = manifests.unreadable.keys() & {version.name for version in versions}
        unreadable = {digest: manifests.unreadable[digest] for digest in there}
        graph = Graph(versions, manifests.read)
        images = self._without_stubs(package, _wanted(graph, named, roots))
        missing = {digest for image in images for digest in image.missing}
        present = self._present(package, missing) if missing else frozenset()
        if missing and deleted is None:
            deleted = self.reader.versions(package.key, deleted=True)
        verified = [
            replace(found, size=graph.size_of(image))
            for image, found in zip(images, verify_images(images, unreadable, deleted or (), present), strict=True)
        ]
        self._tell(package, verified, self.log.warning if about_to_repair else self.log.error)
        return verified

    def _there(
        self, versions: list[Version], *, ids: AbstractSet[int] = frozenset(), names: AbstractSet[str] = frozenset()
    ) -> list[Version]:
        found = still_active(versions, self.reader, ids=ids, names=names)
        self.gone.update({version.id for version in versions} - {version.id for version in found})
        return found

    def _without_stubs(self, package: Package, images: list[Image]) -> list[Image]:
        stubs = [image.root for image in images if image.is_stub]
        if stubs:
            self.log.warning(f"{package.key}: {stubs_and_what_to_do(stubs)}")
        return [image for image in images if not image.is_stub]

    def _present(self, package: Package, missing: AbstractSet[str]) -> frozenset[str]:
        """Return the digests that a second look finds after all. Raises `ApiError`."""
        listed = [version for version in self.reader.versions(package.key) if version.name in missing]
        fresh = {version.name for version in still_active(listed, self.reader, names=missing)}
        return frozenset(
            digest for digest in sorted(missing) if digest in fresh or self.registry.exists(package.key, digest)
        )

    def _tell(self, package: Package, verified: Sequence[VerifiedImage], say: Callable[[str], None]) -> None:
        for image in verified:
            name = f"{package.key} {display_name(image.root.name)} [{', '.join(image.root.image_tags)}]"
            if image.unreadable:
                say(f"{name} cannot be pulled: {image.unreadable}")
            for part in image.missing:
                say(f"{name} misses {display_name(part.digest)}: {self._fate(package, part)}")

    def _fate(self, package: Package, part: MissingPart) -> str:
        if part.deleted is None and self.reader.is_incomplete(package.key):
            return "whether it can be restored is not known: GitHub lists only a part of the versions"
        if part.deleted is None:
            return "it is not among the versions deleted in the last 30 days; build the image anew"
        if part.restorable_until is None:
            return "it can be restored (operation repair)"
        return f"it can be restored until {part.restorable_until:%Y-%m-%d %H:%M} UTC (operation repair)"


def _wanted(graph: Graph, digests: AbstractSet[str], roots: AbstractSet[int] | None) -> list[Image]:
    """The images that are or may be tagged or contain one of the digests, and whose root is in `roots`."""
    return [
        image
        for image in graph.images()
        if image.may_be_tagged or not digests.isdisjoint(image.digests)
        if roots is None or image.root.id in roots
    ]


def _raise_failures(unreadable: Iterable[UnreadableManifest]) -> None:
    """Raise `ApiError` when the registry failed. A manifest that it lacks is no failure."""
    for each in unreadable:
        kind = OBSTACLE_KINDS.get(each.obstacle)
        if kind is not None:
            raise ApiError(kind, f"{display_name(each.digest)} cannot be read: {each.why}")


def broken(verified: Iterable[VerifiedImage]) -> int:
    """Return the number of broken images."""
    return sum(image.is_broken for image in verified)
