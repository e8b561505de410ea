"""Retention: what stays although it is selected."""

from dataclasses import dataclass, field

from package_keeper.decisions.patterns import Patterns
from package_keeper.decisions.vocabulary import Reason
from package_keeper.inventory.version import Version


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

    def reason_to_keep(self, version: Version) -> Reason | None:
        """The list that keeps `version`, or `None`; one matching tag is enough."""
        if self.tags is not None and any(self.tags.accepts(tag) for tag in version.image_tags):
            return Reason.KEEP_TAGS
        if self.versions is not None and self.versions.accepts(version.name):
            return Reason.KEEP_VERSIONS
        if version.name in self.digests:
            return Reason.KEEP_DIGESTS
        return None


@dataclass(frozen=True, kw_only=True)
class Retention:
    """How much stays: the `latest` newest of what is selected, and the keep lists."""

    latest: int = 0
    lists: KeepLists = field(default_factory=KeepLists)
