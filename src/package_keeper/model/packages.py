"""Owners, packages and versions, as the domain sees them."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


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
        """Whether versions of this type carry tags; `docker` versions do, though they are no images."""
        return self is PackageType.CONTAINER or self is PackageType.DOCKER


class OwnerType(StrEnum):
    """The three owner scopes; each has its own family of REST paths (docs/github-behaviour.md, "Endpoints")."""

    ORGANIZATION = "organization"
    USER = "user"
    AUTHENTICATED_USER = "authenticated-user"


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The account whose packages a run concerns, resolved once per run."""

    login: str
    type: OwnerType


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageName:
    """A package of the owner by type and name; exists whether or not GitHub has it (deleted ones have only this)."""

    type: PackageType
    name: str

    def __str__(self) -> str:
        """Show it as people write it: `npm/app`."""
        return f"{self.type}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadablePackage:
    """An entry in a list of packages that cannot be read; `name` is empty when not even that can be."""

    name: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One package with every field of the REST schema `package`.

    `owner` and `repository` are GitHub's objects, passed on untouched and never looked into; `repository_name` is
    the linked repository's `owner/name`. Timestamps are aware; `None` means missing or unreadable.
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
        """The name without the owner, in GitHub's own capitals."""
        return self.key.name

    @property
    def type(self) -> PackageType:
        """The package type."""
        return self.key.type


DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
"""The form of an image digest; the `name` of a container version (docs/github-behaviour.md, "Endpoints")."""

REFERRER_TAG = re.compile(r"sha256-([0-9a-f]{64})(\.sig|\.att|\.sbom)?")
"""Tags by which referrers are found: the fallback tag and cosign's (docs/github-behaviour.md, "Registry"). They are no
image tags."""

BASE_LAYER = "docker-base-layer"
"""A `docker` version whose deletion breaks its package (actions/delete-package-versions#24)."""


class Timestamp(StrEnum):
    """The timestamps of a version that age and order can use."""

    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version with every field of the REST schema `package-version`.

    `name` is a digest for containers. Timestamps are aware; `None` means missing or unreadable, which no rule may
    read as "old". `metadata` is GitHub's object, passed on untouched; `tags` is what it says about tags. Without
    `tags_known` there may be others: no rule may read that as "untagged".
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
    image_tags: tuple[str, ...] = field(init=False, repr=False, compare=False)
    """The tags that users gave: all but those by which referrers are found. Asked for often, so worked out once."""

    def __post_init__(self) -> None:
        """Work out the tags of the image."""
        tags = self.tags
        for tag in tags:
            if tag.startswith("sha256-") and self.package.type is PackageType.CONTAINER:
                tags = tuple(tag for tag in tags if not REFERRER_TAG.fullmatch(tag))
                break
        object.__setattr__(self, "image_tags", tags)

    def at(self, timestamp: Timestamp) -> datetime | None:
        """The time that `timestamp` names, or `None` when GitHub did not say."""
        match timestamp:
            case Timestamp.CREATED:
                return self.created_at
            case Timestamp.UPDATED:
                return self.updated_at
            case Timestamp.DELETED:
                return self.deleted_at


def oldest_first(versions: Iterable[Version], timestamp: Timestamp) -> list[Version]:
    """Sort by time, then id; versions without that time come last, so that unknown is treated as new."""
    return sorted(versions, key=lambda version: age_order(version, timestamp))


def age_order(version: Version, timestamp: Timestamp) -> tuple[bool, float, int]:
    """A sort key: by time, then id, whatever the order of GitHub's list.

    Versions without that time come last, so that unknown is treated as new.
    """
    moment = version.at(timestamp)
    return (moment is None, moment.timestamp() if moment else 0.0, version.id)


def display_name(name: str) -> str:
    """Show a digest as `sha256:` and its first twelve hex digits, other names as they are."""
    return name[:19] if DIGEST.fullmatch(name) else name
