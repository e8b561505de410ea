"""Verifies images: is every tagged image whole, and what does `repair` have to restore?"""

from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet

from msgspec import Struct, field
from msgspec.structs import replace

from package_keeper.errors import ApiError
from package_keeper.execution.image_reading import Manifests
from package_keeper.execution.images import OBSTACLE_KINDS
from package_keeper.execution.ports import Log, ManifestReader, Reader
from package_keeper.execution.restorations import still_active
from package_keeper.execution.wording import stubs_and_what_to_do
from package_keeper.model.images import NO_ORIGIN, Graph, Image, MissingPart, Remedy, VerifiedImage, verify_images
from package_keeper.model.manifest import Description, Origin, UnreadableManifest
from package_keeper.model.packages import Package, Version, display_name


class ImageVerifier(Struct, frozen=True, kw_only=True):
    """Verifies the images of packages.

    Lists may be outdated. So unreadable versions are asked for by id, and with `repairs` also versions that are listed
    as both deleted and active. `gone` collects the ids of listed versions that are deleted in fact.
    """

    reader: Reader
    registry: ManifestReader
    log: Log
    repairs: bool
    gone: set[int] = field(default_factory=set)

    def read_ahead(
        self, found: Iterable[tuple[Package, list[Version]]], named: AbstractSet[str], roots: AbstractSet[int] | None
    ) -> None:
        """Read the roots of several packages side by side, before each is verified."""
        self.registry.read_ahead({package.key: _first_reads(versions, named, roots) for package, versions in found})

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
        manifests.take(_first_reads(versions, named, roots))
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
            replace(self._explained(package, image, found, manifests), size=graph.size_of(image))
            for image, found in zip(images, verify_images(images, unreadable, deleted or (), present), strict=True)
        ]
        self._tell(package, verified, self.log.warning if about_to_repair else self.log.error)
        return verified

    def _explained(self, package: Package, image: Image, found: VerifiedImage, manifests: Manifests) -> VerifiedImage:
        """Return a broken image with what to build anew: the platforms of its missing parts, and its origin.

        That takes more requests, so it is found out only for what `repair` cannot bring back.
        """
        is_certain = not self.reader.is_incomplete(package.key)
        found = replace(found, missing=tuple(replace(part, is_certain=is_certain) for part in found.missing))
        if self.repairs or found.remedy not in (Remedy.REBUILD, Remedy.UNKNOWN):
            return found
        described = self._described(package, image, frozenset(part.digest for part in found.missing), manifests)
        platforms = {digest: name for each in described for digest, name in each.platforms.items()}
        origins = sorted((each.origin for each in described), key=lambda each: (not each.revision, not each.source))
        origin = origins[0] if origins else NO_ORIGIN
        return replace(
            found,
            missing=tuple(replace(part, platform=platforms.get(part.digest, "")) for part in found.missing),
            origin=origin if origin.source else replace(origin, source=package.repository_name or ""),
        )

    def _described(
        self, package: Package, image: Image, lacking: AbstractSet[str], manifests: Manifests
    ) -> list[Description]:
        """What the indexes of a broken image say that list a missing part, or else its root."""
        read = [each.name for each in (image.root, *image.parts) if each.name in manifests.read]
        children = {digest: {child.digest for child in manifests.read[digest].children} for digest in read}
        listing = [digest for digest in read if not lacking.isdisjoint(children[digest])]
        described = [self._description(package, digest) for digest in listing or read[:1]]
        if not any(each.origin.revision for each in described):
            # docker/metadata-action annotates the manifests of platforms, not the index
            described += [self._description(package, part.name) for part in image.parts[:1] if part.name not in read]
        return described

    def _description(self, package: Package, digest: str) -> Description:
        """What a manifest says of itself; nothing when it cannot be read, since that changes no finding."""
        try:
            return self.registry.describe(package.key, digest)
        except ApiError as error:
            self.log.debug(f"{package.key} {display_name(digest)}: its annotations cannot be read: {error}")
            return Description()

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
        listed = self.reader.versions(package.key)
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
                platform = f" ({part.platform})" if part.platform else ""
                say(f"{name} misses {display_name(part.digest)}{platform}: {_fate(part, image.origin)}")


def _fate(part: MissingPart, origin: Origin) -> str:
    """Whether and until when a missing part can be restored, and else what to build anew."""
    if part.deleted is None and not part.is_certain:
        return "whether it can be restored is not known: GitHub lists only a part of the versions"
    if part.deleted is None:
        commit = f" from commit {origin.revision}" if origin.revision else ""
        where = f" of {origin.source}" if origin.source else ""
        return f"it is not among the versions deleted in the last 30 days; build the image anew{commit}{where}"
    if part.restorable_until is None:
        return "it can be restored (operation repair)"
    return f"it can be restored until {part.restorable_until:%Y-%m-%d %H:%M} UTC (operation repair)"


def _first_reads(versions: Iterable[Version], named: AbstractSet[str], roots: AbstractSet[int] | None) -> list[str]:
    """The manifests to read first: of what has, or may have, a tag, and what the user names."""
    wanted = (each for each in versions if roots is None or each.id in roots)
    return [each.name for each in wanted if each.image_tags or not each.tags_known or each.name in named]


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
