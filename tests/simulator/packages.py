"""Packages and their versions: pushes, tags that move, soft deletion (docs/github-behaviour.md, "Endpoints")."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .clock import Moment, stamp
from .wire import override

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .simulator import Unknowns
    from .store import Owner, Repository, Store


@dataclass(slots=True, eq=False)
class Version:
    """One version of a package; ``extra`` overrides fields of its JSON, ``None`` in it leaves a field out."""

    package: Package = field(repr=False)
    id: int
    name: str
    created_at: str
    updated_at: str
    tags: list[str]
    downloads: int = 0
    deleted_at: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    born: float = 0.0
    """When it was pushed, in elapsed seconds of the clock (how soon a push is listed: docs/github-behaviour.md says
    ?)."""
    gone: float = 0.0
    """When it was deleted, likewise: lists can be stale."""
    back: float = 0.0
    """When it was restored, likewise."""
    json: dict[str, bytes] = field(default_factory=dict, repr=False)

    @property
    def is_active(self) -> bool:
        """Tell whether it is there, its package included."""
        return self.deleted_at is None and self.package.deleted_at is None

    def update(self, **fields: Any) -> None:
        """Change fields (``updated_at``, ``created_at``, ``downloads``, ``extra``) of a version."""
        for name, value in fields.items():
            setattr(self, name, stamp(value) if name.endswith("_at") else value)
        self.package.changed(self)


def _digests_in(manifest: bytes) -> list[str]:
    """List everything that a manifest names; bytes that are no manifest name nothing."""
    try:
        document = json.loads(manifest)
    except ValueError:
        return []
    entries = [document.get("config"), *(document.get("layers") or ()), *(document.get("manifests") or ())]
    return [entry["digest"] for entry in entries if entry]


class Package:
    """One package, with all its versions, the deleted ones included, and its bytes."""

    def __init__(self, store: Store, owner: Owner, package_type: str, name: str, package_id: int) -> None:
        self.store = store
        self.owner = owner
        self.type = package_type
        self.name = name
        self.id = package_id
        self.visibility = "private"
        self.repository: Repository | None = None
        self.created_at = self.updated_at = store.clock.stamp()
        self.deleted_at: str | None = None
        self.conflict = False
        self.without: frozenset[str] = frozenset()
        """Fields that are missing in its JSON."""
        self.held_back: set[int] = set()
        """Ids of versions that lists leave out, and say so: the token is not authorized for them."""
        self.versions: dict[int, Version] = {}
        self.manifests: dict[str, tuple[bytes, str]] = {}
        self.blobs: dict[str, bytes] = {}
        self.json: dict[str, bytes] = {}
        self._names: dict[str, list[Version]] = {}
        """The active versions by name; several after a re-push of a digest."""
        self._tags: dict[str, Version] = {}
        self._lists: dict[str, list[Version]] = {}

    @override
    def __repr__(self) -> str:
        return f"<{self.owner.login}/{self.name} ({self.type}) {self.active_count()} active>"

    def active(self) -> list[Version]:
        """List the versions that are there, newest first."""
        with self.store.lock:
            return list(self._sorted("active"))

    def deleted(self) -> list[Version]:
        """List the versions deleted on their own that can still be restored, newest first."""
        with self.store.lock:
            horizon = self.store.horizon()
            return [version for version in self._sorted("deleted") if (version.deleted_at or "") >= horizon]

    def listed(self, state: str, lags: Unknowns) -> list[Version]:
        """List versions as REST does, late by some seconds where the simulator is told to be."""
        now = self.store.clock.elapsed()
        restored = [v for v in self._sorted("active") if v.back and now - v.back < lags.restores_listed_after]
        if state == "deleted":
            found = [v for v in self.deleted() if not v.gone or now - v.gone >= lags.deletions_listed_after]
            return found + restored
        late = [v for v in self._sorted("deleted") if v.gone and now - v.gone < lags.deletions_listed_for]
        if not (restored or late or lags.pushes_listed_after):
            return self._sorted("active")
        return [
            v
            for v in self._sorted("active")
            if v not in restored and (not v.born or now - v.born >= lags.pushes_listed_after)
        ] + late

    def find(self, name: str) -> Version | None:
        """Find the active version of a name (for containers: a digest); of several the first."""
        found = self._names.get(name)
        return found[0] if found else None

    def tagged(self, tag: str) -> Version | None:
        """Find the active version that carries a tag."""
        return self._tags.get(tag)

    def stored(self, names: Iterable[str] | None = None) -> dict[str, int]:
        """Measure what the registry has to keep for all active versions, or for these names: bytes by digest."""
        with self.store.lock:
            if self.deleted_at is not None:
                return {}
            found: dict[str, int] = {}
            for name in self._names if names is None else names:
                manifest, _ = self.manifests.get(name, (b"", ""))
                found[name] = len(manifest)
                found |= {blob: len(self.blobs[blob]) for blob in _digests_in(manifest) if blob in self.blobs}
            return found

    def active_count(self) -> int:
        """Count the active versions."""
        return sum(len(versions) for versions in self._names.values())

    def is_last_tagged(self, version: Version) -> bool:
        """Tell whether a version carries tags and no other active one does."""
        return bool(version.tags) and all(other is version for other in self._tags.values())

    def tags(self) -> dict[str, Version]:
        """Map every tag to the active version that carries it."""
        with self.store.lock:
            return dict(self._tags)

    def add_version(
        self,
        name: str,
        *,
        created_at: Moment | None = None,
        updated_at: Moment | None = None,
        tags: Iterable[str] = (),
        downloads: int = 0,
        id: int | None = None,  # noqa: A002
        deleted_at: Moment | None = None,
        **extra: Any,
    ) -> Version:
        """Put a version there, or with ``deleted_at`` among the deleted ones; nothing is checked."""
        with self.store.lock:
            created = stamp(created_at) if created_at is not None else self.store.clock.stamp()
            updated = stamp(updated_at) if updated_at is not None else created
            version = Version(self, self.store.draw(id), name, created, updated, [], downloads, extra=extra)
            self.versions[version.id] = version
            if deleted_at is not None:
                version.tags = list(tags)
                version.deleted_at = stamp(deleted_at)
            else:
                if name in self._names:
                    raise ValueError(f"{self.name} has an active version {name}")
                self._names[name] = [version]
                for tag in tags:
                    self._move(tag, version)
            self.changed()
            return version

    def add_twin(self, version: Version, *, created_at: Moment | None = None, tags: Iterable[str] = ()) -> Version:
        """Put a second active version of the same digest there, as a re-push now and then does."""
        with self.store.lock:
            others = self._names.pop(version.name, [])
            twin = self.add_version(version.name, created_at=created_at, tags=tags)
            self._names[version.name] = [*others, twin]
            return twin

    def push(
        self,
        manifest: bytes,
        media_type: str | None = None,
        tag: str | None = None,
        created_at: Moment | None = None,
        id: int | None = None,  # noqa: A002
    ) -> Version:
        """Store a manifest the way ghcr does: its digest is the version's name, its tag moves here."""
        digest = "sha256:" + hashlib.sha256(manifest).hexdigest()
        with self.store.lock:
            media_type = media_type or str(json.loads(manifest)["mediaType"])
            self.manifests[digest] = (manifest, media_type)
            version = self.find(digest)
            if version is None:
                version = self.add_version(digest, created_at=created_at, id=id)
                if created_at is None:
                    version.born = self.store.clock.elapsed()
            if tag is not None and self._tags.get(tag) is not version:
                now = stamp(created_at) if created_at is not None else self.store.clock.stamp()
                loser = self._tags.get(tag)
                self._move(tag, version)
                version.updated_at = max(now, version.created_at)
                if loser is not None and self.store.losing_a_tag_moves_updated_at:
                    loser.updated_at = max(now, loser.updated_at)
                self.updated_at = max(now, self.updated_at)
            self.changed()
            return version

    def move_tag(self, tag: str, version: Version) -> None:
        """Move a tag to a version, as a push by someone else would."""
        content = self.manifests.get(version.name)
        if content is not None:
            self.push(content[0], content[1], tag)
            return
        with self.store.lock:
            self._move(tag, version)
            version.updated_at = self.store.clock.stamp()
            self.changed()

    def drop_tag(self, tag: str) -> None:
        """Take a tag away, as the deletion of a version to which it was moved does."""
        with self.store.lock:
            version = self._tags.pop(tag)
            version.tags.remove(tag)
            self.changed(version)

    def remove(self, version: Version) -> None:
        """Delete a version softly, unchecked (REST checks before; tests use it to delete in mid-run)."""
        with self.store.lock:
            version.deleted_at = self.store.clock.stamp()
            version.gone = self.store.clock.elapsed() or 1e-9
            self._names[version.name].remove(version)
            if not self._names[version.name]:
                del self._names[version.name]
            for tag in version.tags:
                if self._tags.get(tag) is version:
                    del self._tags[tag]
            self.changed(version)

    def bring_back(self, version: Version, take_tags: bool = False) -> None:
        """Undo ``remove``: tags that moved on meanwhile stay where they are, unless ``take_tags``."""
        with self.store.lock:
            version.deleted_at = None
            version.back = self.store.clock.elapsed() or 1e-9
            self._names.setdefault(version.name, []).append(version)
            tags, version.tags = version.tags, []
            for tag in tags:
                if take_tags or tag not in self._tags:
                    self._move(tag, version)
            self.changed(version)

    def delete(self) -> None:
        """Delete the whole package softly, unchecked; the name is free at once."""
        with self.store.lock:
            self.deleted_at = self.store.clock.stamp()
            self.store.active.pop(self.key, None)

    def undelete(self) -> None:
        """Undo ``delete``: the versions that were active then are active again, no others."""
        with self.store.lock:
            self.deleted_at = None
            self.store.active[self.key] = self

    @property
    def key(self) -> tuple[str, str, str]:
        """The key it is found by; names of owners and packages are case-insensitive."""
        return self.owner.login.lower(), self.type, self.name.lower()

    def _move(self, tag: str, version: Version) -> None:
        before = self._tags.get(tag)
        if before is not None and before is not version:
            before.tags.remove(tag)
            before.json.clear()
        if tag not in version.tags:
            version.tags.append(tag)
        self._tags[tag] = version
        version.json.clear()

    def changed(self, version: Version | None = None) -> None:
        """Forget what was written about the package, and about this version of it."""
        if version is not None:
            version.json.clear()
        self._lists.clear()
        self.json.clear()

    def _sorted(self, state: str) -> list[Version]:
        found = self._lists.get(state)
        if found is None:
            wanted = [v for v in self.versions.values() if (v.deleted_at is None) == (state == "active")]
            found = self._lists[state] = sorted(wanted, key=lambda v: (v.created_at, v.id), reverse=True)
        return found
