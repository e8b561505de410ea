"""Looks at single versions, side by side: a list may still show what is gone (docs/github-behaviour.md, "Refusals")."""

from collections.abc import Iterable

from package_keeper.errors import Refusal, RefusalKind
from package_keeper.github.governor import Governor
from package_keeper.github.lanes import Lanes
from package_keeper.github.rest import PackagesReader
from package_keeper.inventory.package import PackageName


class VersionLooks:
    """Asks for versions one by one, as many at once as the pace lets."""

    def __init__(self, reader: PackagesReader, lanes: Lanes, governor: Governor) -> None:
        self._reader = reader
        self._lanes = lanes
        self._governor = governor

    def active(self, package: PackageName, ids: Iterable[int]) -> frozenset[int]:
        """Those of the versions that are active. Raises `Refusal` when that cannot be told."""

        def is_active(version_id: int) -> bool:
            try:
                self._reader.version(package, version_id)
            except Refusal as refused:
                if refused.kind is RefusalKind.NOT_FOUND:
                    return False
                raise
            return True

        found = self._lanes.all(sorted(set(ids)), is_active, self._governor)
        return frozenset(version_id for version_id, there in found.items() if there)
