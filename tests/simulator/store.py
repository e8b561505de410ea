"""What exists: owners, repositories, packages, versions, and the bytes behind container versions.

Deletion is soft for 30 days; content follows versions (docs/github-behaviour.md, "Endpoints" and "Registry").
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from .packages import Package

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .clock import Clock

PACKAGE_TYPES = ("npm", "maven", "rubygems", "docker", "nuget", "container")
RETENTION = timedelta(days=30)


@dataclass(slots=True, eq=False)
class Owner:
    """An organization or a user."""

    login: str
    kind: str
    id: int


@dataclass(slots=True, eq=False)
class Pull:
    """A pull request. ``head_repository`` is ``None`` when the fork is gone, ``fork_owner`` when its account is too."""

    number: int
    head: str
    state: str
    merged: bool
    fork: bool
    head_repository: Repository | None
    fork_owner: Owner | None
    created_at: str = "2025-01-01T00:00:00Z"
    closed_at: str | None = None

    @property
    def updated_at(self) -> str:
        """When it was touched last."""
        return self.closed_at or self.created_at

    def author(self, repository: Repository) -> str | None:
        """The login before the colon in ``label``, if that account still exists."""
        if not self.fork:
            return repository.owner.login
        return self.fork_owner.login if self.fork_owner is not None else None


@dataclass(slots=True, eq=False)
class Repository:
    """A repository, with what the product may ask about it: branches, pull requests, tags."""

    owner: Owner
    name: str
    id: int
    private: bool = True
    default_branch: str = "main"
    branches: list[str] = field(default_factory=lambda: ["main"])
    tags: list[str] = field(default_factory=list)
    pulls: list[Pull] = field(default_factory=list)
    releases: list[tuple[str, str]] = field(default_factory=list)
    """The tag of each release, and whether it is a ``draft``, a ``prerelease`` or neither."""
    issues: set[int] = field(default_factory=set)
    """Numbers of issues that are no pull requests; both share one count."""

    @property
    def full_name(self) -> str:
        """Tell ``owner/name``."""
        return f"{self.owner.login}/{self.name}"

    def add_pull(
        self,
        number: int,
        head: str,
        state: str = "closed",
        merged: bool = True,
        fork: bool = False,
        *,
        fork_owner: Owner | None = None,
        fork_repository: Repository | None = None,
    ) -> Pull:
        """Add a pull request from a branch of this repository, or, with ``fork``, of another one.

        That is ``fork_repository``; without it the fork is gone, and without ``fork_owner`` its account is as well.
        """
        if number in self.issues or any(pull.number == number for pull in self.pulls):
            raise ValueError(f"{self.full_name} has a number {number}")
        fork = fork or fork_repository is not None
        pull = Pull(
            number,
            head,
            "open",
            merged=False,
            fork=fork,
            head_repository=fork_repository if fork else self,
            fork_owner=fork_repository.owner if fork_repository is not None else fork_owner,
        )
        if state == "closed":
            self.close_pull(pull, merged)
        self.pulls.append(pull)
        return pull

    def close_pull(self, pull: Pull, merged: bool = True) -> None:
        """Close a pull request, merged or not; its branch stays until somebody deletes it."""
        pull.state, pull.merged, pull.closed_at = "closed", merged, "2026-01-01T00:00:00Z"


class Store:
    """Everything there is, behind one lock."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.lock = threading.RLock()
        self.owners: dict[str, Owner] = {}
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.all: list[Package] = []
        self.active: dict[tuple[str, str, str], Package] = {}
        self.losing_a_tag_moves_updated_at = True
        self._last_id = 1000
        self._owner_ids: dict[int, Owner] = {}
        self._given_ids: set[int] = set()

    def draw(self, given: int | None = None) -> int:
        """Draw an id that was never used, or note one that is given."""
        if given is None:
            self._last_id += 1
            while self._last_id in self._given_ids:
                self._last_id += 1
            return self._last_id
        if given in self._given_ids or 1000 < given <= self._last_id:
            raise ValueError(f"id {given} is taken")
        self._given_ids.add(given)
        return given

    def horizon(self) -> str:
        """Tell the moment before which a deletion is final."""
        return self.clock.stamp(-RETENTION)

    def add_owner(self, login: str, kind: str = "Organization") -> Owner:
        """Add an organization or a user."""
        with self.lock:
            owner = Owner(login, kind, self.draw())
            self.owners[login.lower()] = owner
            self._owner_ids[owner.id] = owner
            return owner

    def owner_by_id(self, text: str) -> Owner | None:
        """Find the owner in a link of the form ``/organizations/<id>/…``."""
        return self._owner_ids.get(int(text)) if text.isdigit() else None

    def add_repository(self, owner: str, name: str, private: bool = True) -> Repository:
        """Add a repository, or find the one that is there."""
        with self.lock:
            key = (owner.lower(), name.lower())
            if key not in self.repositories:
                self.repositories[key] = Repository(self.owners[owner.lower()], name, self.draw(), private)
            return self.repositories[key]

    def repository_by_id(self, text: str) -> Repository | None:
        """Find the repository in a link of the form ``/repositories/<id>/…``."""
        return next((found for found in self.repositories.values() if str(found.id) == text), None)

    def add_package(self, owner: str, package_type: str, name: str, package_id: int | None = None) -> Package:
        """Add a package; an earlier one of the name must be deleted."""
        if package_type not in PACKAGE_TYPES:
            raise ValueError(f"no package type: {package_type}")
        with self.lock:
            package = Package(self, self.owners[owner.lower()], package_type, name, self.draw(package_id))
            if package.key in self.active:
                raise ValueError(f"{owner}/{name} ({package_type}) exists")
            self.all.append(package)
            self.active[package.key] = package
            return package

    def package(self, owner: str, package_type: str, name: str) -> Package | None:
        """Find a package that exists."""
        return self.active.get((owner.lower(), package_type, name.lower()))

    def deleted_package(self, owner: str, package_type: str, name: str) -> Package | None:
        """Find the package of this name that was deleted last, within 30 days."""
        key, horizon = (owner.lower(), package_type, name.lower()), self.horizon()
        found = [p for p in self.all if p.deleted_at is not None and p.key == key and p.deleted_at >= horizon]
        return found[-1] if found else None

    def packages(self, owner: str) -> Iterator[Package]:
        """Go through the packages of an owner that exist, in the order of their making."""
        login = owner.lower()
        return (p for p in self.all if p.deleted_at is None and p.owner.login.lower() == login)
