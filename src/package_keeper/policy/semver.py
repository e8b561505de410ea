"""Semantic versions: what is one, which range accepts it, and which group it belongs to.

Precedence is that of Semantic Versioning 2.0.0 (section 11), by the library `semver`; build metadata has none. What is
no strict SemVer (`1.2`, `01.2.3`, `1.2.3.4`) is no version here, so that no rule selects it.
"""

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from semver import Version as SemanticVersion


class Prerelease(StrEnum):
    """The input `prerelease`."""

    ANY = "any"
    ONLY = "only"
    EXCLUDE = "exclude"


@lru_cache(maxsize=1 << 18)
def semantic_version(text: str) -> SemanticVersion | None:
    """Read a version name or tag; a `v` may stand before it. `None` when it is no SemVer."""
    if "." not in text:
        return None
    try:
        return SemanticVersion.parse(text.removeprefix("v"))
    except ValueError:
        return None


class Operator(StrEnum):
    """How a version compares with a bound."""

    LESS = "<"
    AT_MOST = "<="
    MORE = ">"
    AT_LEAST = ">="
    EQUAL = "="


@dataclass(frozen=True, slots=True)
class Comparator:
    """One bound of a range."""

    operator: Operator
    bound: SemanticVersion

    def accepts(self, version: SemanticVersion) -> bool:
        """Whether `version` lies on the right side of the bound.

        An upper bound without a pre-release excludes its own pre-releases (contract, input `semver`): `<=2.0.0` is
        `<2.0.0` or `=2.0.0`, and neither is 2.0.0-rc.1.
        """
        match self.operator:
            case Operator.LESS:
                return version < self.bound and not self._is_own_prerelease(version)
            case Operator.AT_MOST:
                return version <= self.bound and not self._is_own_prerelease(version)
            case Operator.MORE:
                return version > self.bound
            case Operator.AT_LEAST:
                return version >= self.bound
            case Operator.EQUAL:
                return version == self.bound and self.bound.build in (None, version.build)

    def _is_own_prerelease(self, version: SemanticVersion) -> bool:
        return (
            version.prerelease is not None
            and self.bound.prerelease is None
            and version.to_tuple()[:3] == self.bound.to_tuple()[:3]
        )


@dataclass(frozen=True)
class SemverRange:
    """A range: one of the alternatives accepts a version when all of its comparators do. `text` is as written."""

    text: str
    alternatives: tuple[tuple[Comparator, ...], ...]

    def accepts(self, version: SemanticVersion) -> bool:
        """Whether the range accepts `version`."""
        return any(all(comparator.accepts(version) for comparator in each) for each in self.alternatives)
