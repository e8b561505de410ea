"""`verify`: is every tagged image whole? And what `repair` needs to know to mend those that are not."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from package_keeper.errors import Refusal
from package_keeper.execution.describing import stubs_and_what_to_do
from package_keeper.execution.image_reading import ManifestReader, Manifests, read_tagged
from package_keeper.execution.images import OBSTACLE_KINDS
from package_keeper.execution.ports import Log, Reader
from package_keeper.inventory.graph import Graph
from package_keeper.inventory.health import CheckedImage, check_images
from package_keeper.inventory.package import Package
from package_keeper.inventory.version import Version, display_name


@dataclass(frozen=True, kw_only=True)
class Checker:
    """Checks the images of packages. Manifests that were read once serve for the second look of `repair`, too."""

    reader: Reader
    registry: ManifestReader
    log: Log

    def check(
        self,
        package: Package,
        versions: list[Version],
        digests: Iterable[str] = (),
        roots: frozenset[int] | None = None,
        *,
        about_to_mend: bool = False,
    ) -> list[CheckedImage]:
        """Check every tagged image, and those named by `digests`. May raise `Refusal`.

        `roots` are the ids of the versions that are looked at, all without it. What is missing is confirmed by a fresh
        list and the registry before it is called missing.
        """
        named = set(digests)
        manifests = Manifests(package.key, versions, self.registry)
        read_tagged(manifests, (each for each in versions if roots is None or each.id in roots), named)
        images = [
            image
            for image in Graph(versions, manifests.read).images()
            if (image.is_tagged or not named.isdisjoint(image.digests)) and (roots is None or image.root.id in roots)
        ]
        stubs = [image.root for image in images if image.is_stub]
        if stubs:
            self.log.warning(f"{package.key}: {stubs_and_what_to_do(stubs)}")
            images = [image for image in images if not image.is_stub]
        for unreadable in manifests.unreadable.values():
            kind = OBSTACLE_KINDS.get(unreadable.obstacle)
            if kind is not None:
                raise Refusal(kind, f"{display_name(unreadable.digest)} cannot be read: {unreadable.why}")
        missing = {digest for image in images for digest in image.missing}
        deleted: list[Version] = []
        present: set[str] = set()
        if missing:
            fresh = {version.name for version in self.reader.versions(package.key)}
            present = {
                digest for digest in sorted(missing) if digest in fresh or self.registry.exists(package.key, digest)
            }
            deleted = self.reader.versions(package.key, deleted=True)
        checked = check_images(images, manifests.unreadable, deleted, frozenset(present))
        self._tell(package, checked, self.log.warning if about_to_mend else self.log.error)
        return checked

    def _tell(self, package: Package, checked: list[CheckedImage], say: Callable[[str], None]) -> None:
        for image in checked:
            name = f"{package.key} {display_name(image.root.name)} [{', '.join(image.root.image_tags)}]"
            if image.unreadable:
                say(f"{name} cannot be pulled: {image.unreadable}")
            for part in image.missing:
                until = part.restorable_until
                if part.deleted is None:
                    fate = "it is not among the versions deleted in the last 30 days; build the image anew"
                elif until is None:
                    fate = "it can be restored (operation repair)"
                else:
                    fate = f"it can be restored until {until:%Y-%m-%d %H:%M} UTC (operation repair)"
                say(f"{name} misses {display_name(part.digest)}: {fate}")


def broken(checked: Iterable[CheckedImage]) -> int:
    """How many images are broken."""
    return sum(image.is_broken for image in checked)
