"""Semantic versions: parsing, and the ranges of the input `semver`.

Precedence follows Semantic Versioning 2.0.0, section 11, by the library `semver`: build metadata has none. A text that
is not strict SemVer (`1.2`, `01.2.3`, `1.2.3.4`) is not a version here, so no rule selects it.
"""

from enum import StrEnum
from functools import lru_cache

from msgspec import Struct
from semver import Version as SemanticVersion


class Prerelease(StrEnum):
    """The input `prerelease`."""

    ANY = "any"
    ONLY = "only"
    EXCLUDE = "exclude"
    SUPERSEDED = "superseded"
    """Only pre-releases whose release exists."""


@lru_cache(maxsize=1 << 18)
def semantic_version(text: str) -> SemanticVersion | None:
    """Parse a version name or tag, with or without `v` in front. `None` when it is not SemVer."""
    if "." not in text:
        return None
    try:
        return SemanticVersion.parse(text.removeprefix("v"))
    except ValueError:
        return None


def release_of(version: SemanticVersion) -> tuple[int, int, int]:
    """Major, minor and patch: those that a pre-release and its release share."""
    return version.major, version.minor, version.patch


class Operator(StrEnum):
    """How a version compares with a bound."""

    LESS = "<"
    AT_MOST = "<="
    MORE = ">"
    AT_LEAST = ">="
    EQUAL = "="


class Comparator(Struct, frozen=True):
    """One bound of a range."""

    operator: Operator
    bound: SemanticVersion

    def accepts(self, version: SemanticVersion) -> bool:
        """Whether `version` is within the bound.

        An upper bound without a pre-release excludes its own pre-releases (docs/reference.md, "semver"): neither
        `<2.0.0` nor `<=2.0.0` accepts 2.0.0-rc.1.
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
        same_release = version.to_tuple()[:3] == self.bound.to_tuple()[:3]
        return same_release and version.prerelease is not None and self.bound.prerelease is None


class SemverRange(Struct, frozen=True):
    """A range: it accepts a version when all comparators of one alternative do. `text` is the range as written."""

    text: str
    alternatives: tuple[tuple[Comparator, ...], ...]

    def accepts(self, version: SemanticVersion) -> bool:
        """Whether the range accepts `version`."""
        return any(all(comparator.accepts(version) for comparator in each) for each in self.alternatives)
