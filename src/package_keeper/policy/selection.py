"""Selection and age: which images the rules are about.

An image is selected when every selection input that is given accepts it; the entries of one input are alternatives. The
age is decided later, after the counts.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import Enum, StrEnum
from functools import cached_property

from msgspec import Struct, field

from package_keeper.model.evidence import Uses
from package_keeper.model.images import Condition, Image
from package_keeper.model.packages import PackageName, PackageType, Timestamp, Version
from package_keeper.model.plan import Reason
from package_keeper.model.repository import RepositoryState
from package_keeper.model.usage import Usage, last_use
from package_keeper.policy.gone import GoneTags
from package_keeper.policy.patterns import Patterns
from package_keeper.policy.semver import Prerelease, SemverRange, release_of, semantic_version


class Facts(Struct, frozen=True, kw_only=True):
    """What the rules need to know besides the versions.

    `repositories` has the repository of each package, unless it could not be read. `selected` has the ids of the
    versions that each SQL expression of `where` selects. `releases` has the major, minor and patch of the releases
    among the active versions of each package. `uses` has the versions that are deployed or released. `usage` has the
    versions that the file of the input `usage` names; since `usage_since` that file is complete.
    """

    repositories: Mapping[PackageName, RepositoryState] = field(default_factory=dict)
    selected: Mapping[str, frozenset[int]] = field(default_factory=dict)
    releases: Mapping[PackageName, frozenset[tuple[int, int, int]]] = field(default_factory=dict)
    uses: Uses = field(default_factory=dict)
    usage: Mapping[int, Usage] = field(default_factory=dict)
    usage_since: datetime | None = None


NO_FACTS = Facts()


class TagStatus(StrEnum):
    """The input `tag-status`."""

    ANY = "any"
    TAGGED = "tagged"
    UNTAGGED = "untagged"


class PartialMatch(StrEnum):
    """The input `partial-match`: what happens to an image when only some of its tags match."""

    KEEP = "keep"
    UNTAG = "untag"
    DELETE = "delete"


class Match(Enum):
    """How far a selection matches an image."""

    NONE = 0
    PARTIAL = 1
    """Only some of its tags match."""
    ALIVE = 2
    """Only some of its tags match, and `gone` shows that another one is alive: the image stays."""
    WHOLE = 3

    @property
    def is_partial(self) -> bool:
        """Whether only some of the tags match."""
        return self is Match.PARTIAL or self is Match.ALIVE


class Selection(Struct, frozen=True, kw_only=True, dict=True):
    """The selection inputs; `None` and `ANY` mean that an input is not given.

    `tags`, `semver`, `prerelease` and `gone` match single tags: a tag matches when all of them accept it, and a version
    without tags never does. For types without tags, `semver`, `prerelease` and `gone` match the name; `tags` and
    `tag_status` select nothing. `where` is an SQL expression; `Facts` has the versions that it selects. When only some
    of the tags match, `partial_match` says what happens to the image; `None` leaves it to the next rule of the policy.
    `unused_since` accepts images that were not used since then.
    """

    version_ids: frozenset[int] | None = None
    versions: Patterns | None = None
    tags: Patterns | None = None
    tag_status: TagStatus = TagStatus.ANY
    semver: SemverRange | None = None
    prerelease: Prerelease = Prerelease.ANY
    gone: GoneTags | None = None
    where: str | None = None
    conditions: frozenset[Condition] | None = None
    unused_since: datetime | None = None
    partial_match: PartialMatch | None = PartialMatch.KEEP

    @property
    def is_given(self) -> bool:
        """Whether any selection input is given."""
        return (
            self.asks_about_tags
            or self.version_ids is not None
            or self.versions is not None
            or self.where is not None
            or self.needs_images
        )

    @property
    def needs_images(self) -> bool:
        """Whether the parts of an image decide, so that only its manifests show whether it is selected."""
        return self.conditions is not None or self.unused_since is not None

    @cached_property
    def matches_tags(self) -> bool:
        """Whether each tag matches or not, so that an image can match in part."""
        return self.tags is not None or self.gone is not None or self.matches_semver

    @cached_property
    def matches_semver(self) -> bool:
        """Whether only semantic versions match."""
        return self.semver is not None or self.prerelease is not Prerelease.ANY

    @property
    def asks_about_tags(self) -> bool:
        """Whether the tags of a version must be known to say whether it is selected."""
        return self.matches_tags or self.tag_status is not TagStatus.ANY

    @property
    def names_exactly(self) -> bool:
        """Whether the user named each selected version by its id or whole name."""
        names = self.versions.includes if self.versions is not None else ()
        return self.version_ids is not None or (bool(names) and all(pattern.is_exact for pattern in names))

    def admits(self, image: Image, facts: Facts) -> bool:
        """Whether the health of `image` and the use of its parts let this selection match it."""
        if self.unused_since is not None and not _is_unused(image, self.unused_since, facts):
            return False
        if self.conditions is not None and (
            image.root.package.type is not PackageType.CONTAINER or image.condition not in self.conditions
        ):
            return False
        # the subject of a foreign referrer may be in another package, so the user must name the referrer itself
        return not image.foreign or self.versions is not None or self.version_ids is not None

    def match(self, version: Version, facts: Facts, *, when_unknown: bool = False) -> Match:
        """How far this selection matches `version`; `admits` answers for its image.

        `when_unknown` says whether `gone` matches names of a repository that could not be read. A version whose tags
        are not known matches whatever its tags may be: callers must check `tags_known`.
        """
        if not self._accepts_version(version, facts):
            return Match.NONE
        if not self.matches_tags or not version.tags_known:
            return Match.WHOLE
        if not version.package.type.has_tags:
            accepts = self.tags is None and self._accepts_name(version.name, version, facts, when_unknown=when_unknown)
            return Match.WHOLE if accepts else Match.NONE
        matching = self.matching_tags(version, facts, when_unknown=when_unknown)
        if not matching:
            return Match.NONE
        if len(matching) == len(version.image_tags):
            return Match.WHOLE
        return Match.ALIVE if self._has_living_tag(version, facts) else Match.PARTIAL

    def _accepts_version(self, version: Version, facts: Facts) -> bool:
        """Whether the inputs that do not match single tags accept `version`."""
        if self.version_ids is not None and version.id not in self.version_ids:
            return False
        if self.versions is not None and not self.versions.accepts(version.name):
            return False
        if self.tag_status is not TagStatus.ANY and version.tags_known:
            status = TagStatus.TAGGED if version.image_tags else TagStatus.UNTAGGED
            if not version.package.type.has_tags or status is not self.tag_status:
                return False
        return self.where is None or version.id in facts.selected.get(self.where, ())

    def matching_tags(self, version: Version, facts: Facts, *, when_unknown: bool = False) -> tuple[str, ...]:
        """The tags of `version` that this selection matches; all tags when it does not ask for any."""
        return tuple(
            tag
            for tag in version.image_tags
            if (self.tags is None or self.tags.accepts(tag))
            and self._accepts_name(tag, version, facts, when_unknown=when_unknown)
        )

    def _accepts_name(self, name: str, version: Version, facts: Facts, *, when_unknown: bool) -> bool:
        """Whether `semver`, `prerelease` and `gone` accept a tag, or the version name of a type without tags."""
        if self.matches_semver and not self._accepts_semver(name, version.package, facts):
            return False
        return self.gone is None or self.gone.accepts(
            name, facts.repositories.get(version.package), when_unknown=when_unknown
        )

    def _has_living_tag(self, version: Version, facts: Facts) -> bool:
        """Whether `gone` shows that one tag of `version` is alive."""
        repository = facts.repositories.get(version.package)
        if self.gone is None or repository is None:
            return False
        return any(self.gone.is_alive(tag, repository) for tag in version.image_tags)

    def _accepts_semver(self, text: str, package: PackageName, facts: Facts) -> bool:
        version = semantic_version(text)
        if version is None or (self.semver is not None and not self.semver.accepts(version)):
            return False
        match self.prerelease:
            case Prerelease.ANY:
                return True
            case Prerelease.SUPERSEDED:
                return version.prerelease is not None and release_of(version) in facts.releases.get(package, ())
            case _:
                return (version.prerelease is not None) is (self.prerelease is Prerelease.ONLY)


def _is_unused(image: Image, since: datetime, facts: Facts) -> bool:
    """Whether neither an image nor one of its parts was used since then. An unknown use is one.

    What the file does not name was not used if the file is complete for that time, and the version was there.
    """
    used = last_use(facts.usage, (image.root.id, *(part.id for part in image.parts)))
    if used is not None:
        return used < since
    times = [moment for moment in (image.root.created_at, image.root.updated_at) if moment is not None]
    return facts.usage_since is not None and facts.usage_since <= since and bool(times) and max(times) <= since


class Age(Struct, frozen=True, kw_only=True):
    """The age inputs, as points in time.

    A version is old enough strictly before `older_than`, and new enough at or after `newer_than`.
    """

    timestamp: Timestamp
    older_than: datetime | None = None
    newer_than: datetime | None = None

    @property
    def is_given(self) -> bool:
        """Whether any age is given."""
        return self.older_than is not None or self.newer_than is not None

    def reason_to_keep(self, version: Version) -> Reason | None:
        """Why the age keeps `version`, or `None`."""
        if not self.is_given:
            return None
        moment = version.at(self.timestamp)
        if moment is None:
            return Reason.UNKNOWN_AGE
        if self.older_than is not None and moment >= self.older_than:
            return Reason.TOO_YOUNG
        if self.newer_than is not None and moment < self.newer_than:
            return Reason.NOT_SELECTED
        return None
