"""Owners, packages and versions: what GitHub stores, as frozen values.

Also the two ways in which versions are shown and sorted everywhere: `display_name`, and the order by age.
"""

import re
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime
from enum import StrEnum
from urllib.parse import urlsplit

from msgspec import Struct
from msgspec.structs import force_setattr


class PackageType(StrEnum):
    """The six package types of GitHub's REST interface (parameter `package_type`)."""

    NPM = "npm"
    MAVEN = "maven"
    RUBYGEMS = "rubygems"
    DOCKER = "docker"
    NUGET = "nuget"
    CONTAINER = "container"

    @property
    def has_tags(self) -> bool:
        """Whether versions of this type have tags. `docker` versions do, though they are not grouped into images."""
        return self is PackageType.CONTAINER or self is PackageType.DOCKER


class OwnerType(StrEnum):
    """The three owner scopes; each has its own family of REST paths (docs/github-behaviour.md, "Endpoints")."""

    ORGANIZATION = "organization"
    USER = "user"
    AUTHENTICATED_USER = "authenticated-user"


class Owner(Struct, frozen=True, kw_only=True):
    """The account that owns the packages; resolved once a run."""

    login: str
    type: OwnerType


class PackageName(Struct, frozen=True, kw_only=True):
    """The type and name of a package, which may be active, deleted or missing."""

    type: PackageType
    name: str

    def __str__(self) -> str:
        """Format as `npm/app`."""
        return f"{self.type}/{self.name}"


class Package(Struct, frozen=True, kw_only=True):
    """One package with every field of the REST schema `package`.

    `owner` and `repository` are GitHub's objects, unchanged, for the outputs only. `repository_name` is the linked
    repository as `owner/name`. Timestamps are aware; `None` means missing or unreadable.
    """

    id: int
    key: PackageName
    visibility: str | None
    version_count: int | None
    created_at: datetime | None
    updated_at: datetime | None
    url: str | None
    html_url: str | None
    owner: Mapping[str, object] | None
    repository: Mapping[str, object] | None
    repository_name: str | None

    @property
    def name(self) -> str:
        """The name without the owner, in the case that GitHub shows."""
        return self.key.name

    @property
    def type(self) -> PackageType:
        """The package type."""
        return self.key.type

    @property
    def settings_url(self) -> str:
        """The address of its settings, or an empty text when GitHub did not give its page."""
        # the page is .../packages/TYPE/package/NAME, or .../packages/ID for packages of a repository
        page = re.sub(r"(/packages/[a-z]+)/package/", r"\1/", self.html_url or "")
        return f"{page}/settings" if page else ""


class UnreadablePackage(Struct, frozen=True, kw_only=True):
    """An entry in a list of packages that cannot be decoded; `name` is empty when that is unreadable too."""

    name: str
    why: str


DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
"""The form of an image digest; the `name` of a container version (docs/github-behaviour.md, "Endpoints")."""

REFERRER_TAG = re.compile(r"sha256-([0-9a-f]{64})(\.sig|\.att|\.sbom)?")
"""Tags by which registries find referrers: the fallback tag and cosign's tags (docs/github-behaviour.md, "Registry").
They are not image tags."""

BASE_LAYER = "docker-base-layer"
"""A `docker` version whose deletion breaks its package (actions/delete-package-versions#24)."""


class Timestamp(StrEnum):
    """The timestamps of a version by which it can have an age."""

    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"


class Version(Struct, frozen=True, kw_only=True):
    """One version with every field of the REST schema `package-version`.

    `name` is a digest for containers. Timestamps are aware; `None` means missing or unreadable, and no rule may take
    it for old. `metadata` is GitHub's object, unchanged; `tags` are the tags in it. When `tags_known` is false, the
    version may have others, and no rule may take it for untagged.
    """

    id: int
    package: PackageName
    name: str
    tags: tuple[str, ...]
    created_at: datetime | None
    updated_at: datetime | None
    deleted_at: datetime | None
    description: str | None
    license: str | None
    url: str | None
    html_url: str | None
    package_html_url: str | None
    metadata: Mapping[str, object] | None
    tags_known: bool = True
    image_tags: tuple[str, ...] = ()
    """The tags that users gave: all but the tags of referrers."""

    def __post_init__(self) -> None:
        """Set `image_tags` once, since every rule asks for them."""
        tags = self.tags
        for tag in tags:
            if tag.startswith("sha256-") and self.package.type is PackageType.CONTAINER:
                tags = tuple(tag for tag in tags if not REFERRER_TAG.fullmatch(tag))
                break
        force_setattr(self, "image_tags", tags)

    def at(self, timestamp: Timestamp) -> datetime | None:
        """The time of `timestamp`, or `None` when GitHub does not tell it."""
        match timestamp:
            case Timestamp.CREATED:
                return self.created_at
            case Timestamp.UPDATED:
                return self.updated_at
            case Timestamp.DELETED:
                return self.deleted_at


def oldest_first(versions: Iterable[Version], timestamp: Timestamp) -> list[Version]:
    """Sort by `age_order`."""
    return sorted(versions, key=lambda version: age_order(version, timestamp))


def age_order(version: Version, timestamp: Timestamp) -> tuple[bool, float, int]:
    """A sort key: oldest first, by time and then by id, so that the order of GitHub's list does not matter.

    Versions without that time come last: an unknown age counts as new.
    """
    moment = version.at(timestamp)
    return (moment is None, moment.timestamp() if moment else 0.0, version.id)


def own_page(address: str | None, hosts: AbstractSet[str]) -> str:
    """An address on one of GitHub's own hosts; an empty text for any other. Without hosts all are accepted."""
    try:
        host = urlsplit(address or "").hostname
    except ValueError:
        return ""
    return address if address and (not hosts or host in hosts) else ""


def display_name(name: str) -> str:
    """Shorten a digest to `sha256:` and its first twelve hex digits; return other names unchanged."""
    return name[:19] if DIGEST.fullmatch(name) else name
