"""Owners and packages, as the domain sees them."""

from collections.abc import Mapping
from dataclasses import dataclass
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
