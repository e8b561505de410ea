"""Retention: what stays although it is selected."""

from dataclasses import dataclass, field

from package_keeper.decisions.patterns import Patterns
from package_keeper.decisions.vocabulary import Reason
from package_keeper.inventory.image import Image


@dataclass(frozen=True, kw_only=True)
class KeepLists:
    """What always stays, whatever selects it: `keep-tags`, `keep-versions`, `keep-digests`."""

    tags: Patterns | None = None
    versions: Patterns | None = None
    digests: frozenset[str] = field(default_factory=frozenset)

    @property
    def is_given(self) -> bool:
        """Whether any list has an entry."""
        return self.tags is not None or self.versions is not None or bool(self.digests)

    def reason_to_keep(self, image: Image) -> Reason | None:
        """The list that keeps `image`, or `None`.

        One matching tag of the root is enough, and the digest of a part keeps every image that holds it.
        """
        if self.tags is not None and any(self.tags.accepts(tag) for tag in image.root.image_tags):
            return Reason.KEEP_TAGS
        if self.versions is not None and any(self.versions.accepts(digest) for digest in image.digests):
            return Reason.KEEP_VERSIONS
        if not self.digests.isdisjoint(image.digests):
            return Reason.KEEP_DIGESTS
        return None


@dataclass(frozen=True, kw_only=True)
class Retention:
    """How much stays: the `latest` newest of what is selected, and the keep lists."""

    latest: int = 0
    lists: KeepLists = field(default_factory=KeepLists)
