"""What exists: owners, repositories, packages, versions, and the bytes behind container versions.

Deletion is soft for 30 days; content follows versions (GITHUB.md, "Endpoints"; DESIGN.md, "The simulator").
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

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
class Repository:
    """A repository, with what the product may ask about it: branches, pull requests, tags."""

    owner: Owner
    name: str
    id: int
    private: bool = True
    default_branch: str = "main"
    branches: list[str] = field(default_factory=lambda: ["main"])
    tags: list[str] = field(default_factory=list)
    pulls: list[dict[str, Any]] = field(default_factory=list)

    def add_pull(
        self, number: int, head: str, state: str = "closed", merged: bool = True, fork: bool = False
    ) -> dict[str, Any]:
        """Add a pull request from a branch of this repository (or, with ``fork``, of someone else's)."""
        pull = {
            "number": number,
            "head": head,
            "state": state,
            "merged": merged and state == "closed",
            "fork": fork,
        }
        self.pulls.append(pull)
        return pull


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
