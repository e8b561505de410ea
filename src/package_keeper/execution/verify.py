"""`verify`: is every tagged image whole? And what `repair` needs to know to mend those that are not."""

from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from package_keeper.errors import ApiError
from package_keeper.execution.image_reading import ManifestReader, Manifests, read_tagged
from package_keeper.execution.images import OBSTACLE_KINDS
from package_keeper.execution.ports import Log, Looks, Reader
from package_keeper.execution.restorations import still_active
from package_keeper.execution.wording import stubs_and_what_to_do
from package_keeper.model.images import Graph, VerifiedImage, verify_images
from package_keeper.model.packages import Package, Version, display_name


@dataclass(frozen=True, kw_only=True)
class ImageVerifier:
    """Checks the images of packages. Manifests that were read once serve for the second look of `repair`, too.

    A list that lags behind is not believed: what cannot be read is looked at, and, when it `repairs`, what is listed
    as deleted and as active. `gone` are the ids of what is deleted in truth.
    """

    reader: Reader
    looks: Looks
    registry: ManifestReader
    log: Log
    repairs: bool = False
    gone: set[int] = field(default_factory=set)

    def check(
        self,
        package: Package,
        versions: list[Version],
        digests: Iterable[str] = (),
        roots: frozenset[int] | None = None,
        *,
        about_to_mend: bool = False,
    ) -> list[VerifiedImage]:
        """Check every image that is or may be tagged, and those named by `digests`. May raise `ApiError`.

        `roots` are the ids of the versions that are looked at, all without it. What is missing is confirmed by a fresh
        list and the registry before it is called missing.
        """
        named = set(digests)
        unknown = {each.name for each in versions if not each.tags_known}
        deleted: list[Version] | None = None
        if self.repairs:
            deleted = self.reader.versions(package.key, deleted=True)
            versions = self._there(package, versions, ids=frozenset(version.id for version in deleted))
        manifests = Manifests(package.key, versions, self.registry)
        read_tagged(manifests, (each for each in versions if roots is None or each.id in roots), named | unknown)
        for each in manifests.unreadable.values():
            kind = OBSTACLE_KINDS.get(each.obstacle)
            if kind is not None:
                raise ApiError(kind, f"{display_name(each.digest)} cannot be read: {each.why}")
        # what cannot be read may be gone, and only a list that lags behind shows it
        versions = self._there(package, versions, names=frozenset(manifests.unreadable))
        there = {version.name for version in versions}
        unreadable = {digest: each for digest, each in manifests.unreadable.items() if digest in there}
        images = [
            image
            for image in Graph(versions, manifests.read).images()
            if image.may_be_tagged or not named.isdisjoint(image.digests)
            if roots is None or image.root.id in roots
        ]
        stubs = [image.root for image in images if image.is_stub]
        if stubs:
            self.log.warning(f"{package.key}: {stubs_and_what_to_do(stubs)}")
            images = [image for image in images if not image.is_stub]
        missing = {digest for image in images for digest in image.missing}
        present: set[str] = set()
        if missing:
            listed = [version for version in self.reader.versions(package.key) if version.name in missing]
            fresh = {version.name for version in still_active(package.key, listed, self.looks, names=missing)}
            present = {
                digest for digest in sorted(missing) if digest in fresh or self.registry.exists(package.key, digest)
            }
            deleted = self.reader.versions(package.key, deleted=True) if deleted is None else deleted
        checked = verify_images(images, unreadable, deleted or (), frozenset(present))
        self._tell(package, checked, self.log.warning if about_to_mend else self.log.error)
        return checked

    def _there(
        self,
        package: Package,
        versions: list[Version],
        *,
        ids: AbstractSet[int] = frozenset(),
        names: AbstractSet[str] = frozenset(),
    ) -> list[Version]:
        found = still_active(package.key, versions, self.looks, ids=ids, names=names)
        self.gone.update({version.id for version in versions} - {version.id for version in found})
        return found

    def _tell(self, package: Package, checked: list[VerifiedImage], say: Callable[[str], None]) -> None:
        for image in checked:
            name = f"{package.key} {display_name(image.root.name)} [{', '.join(image.root.image_tags)}]"
            if image.unreadable:
                say(f"{name} cannot be pulled: {image.unreadable}")
            for part in image.missing:
                until = part.restorable_until
                if part.deleted is None and self.reader.is_incomplete(package.key):
                    fate = "whether it can be restored is not known: GitHub lists only a part of the versions"
                elif part.deleted is None:
                    fate = "it is not among the versions deleted in the last 30 days; build the image anew"
                elif until is None:
                    fate = "it can be restored (operation repair)"
                else:
                    fate = f"it can be restored until {until:%Y-%m-%d %H:%M} UTC (operation repair)"
                say(f"{name} misses {display_name(part.digest)}: {fate}")


def broken(checked: Iterable[VerifiedImage]) -> int:
    """How many images are broken."""
    return sum(image.is_broken for image in checked)
