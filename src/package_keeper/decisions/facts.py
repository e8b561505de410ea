"""What the rules need to know beyond the versions themselves, found out beforehand."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from package_keeper.inventory.package import PackageName
from package_keeper.inventory.repository import RepositoryLife


@dataclass(frozen=True, kw_only=True)
class Facts:
    """`lives` are the repositories that packages belong to; one that could not be read is missing.

    `selected` holds, for each SQL expression of `where`, the ids of the versions that it selects.
    """

    lives: Mapping[PackageName, RepositoryLife] = field(default_factory=dict)
    selected: Mapping[str, frozenset[int]] = field(default_factory=dict)


NO_FACTS = Facts()
