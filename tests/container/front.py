"""GitHub's side of a real registry: the simulator answers REST, and both show the same versions and tags.

What anyone pushes to the registry is a version when REST is asked next; what REST deletes is gone from the registry
before the answer is given. The simulator keeps the bytes, so that what was deleted can come back.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tests.container.registry_server import RegistryServer, children_of, media_type_of
from tests.simulator import Answer, Package, Request, Simulator, Version
from tests.simulator.wire import override

if TYPE_CHECKING:
    from tests.simulator.clock import Moment


class Front(Simulator):
    """A simulator whose containers are those of a registry server. Packages appear with their first push."""

    def __init__(self, server: RegistryServer) -> None:
        super().__init__()
        self.server = server
        # one REST request at a time: between a deletion here and there, nobody may look
        self._gate = threading.RLock()

    @override
    def respond(self, request: Request) -> Answer:
        """Answer as the simulator does, after a look at the registry, and carry over what has changed."""
        if request.is_registry:
            return super().respond(request)
        with self._gate:
            self.follow()
            before = self._versions()
            answer = super().respond(request)
            after = self._versions()
            for version in before.keys() - after.keys():
                self.server.delete(repository(version.package), version.name)
            self._bring_back([version for version in after if version not in before])
            return answer

    def follow(self, created_at: Moment | None = None) -> None:
        """Make versions of what was pushed, and move tags as they were moved; it was done now, or at `created_at`."""
        with self._gate:
            for name in self.server.names():
                package = self._package(name)
                for digest in self.server.digests(name):
                    if package.find(digest) is None:
                        body = self.server.manifest(digest)
                        package.push(body, media_type_of(body), created_at=created_at)
                for tag, digest in sorted(self.server.tags(name).items()):
                    version, holder = package.find(digest), package.tagged(tag)
                    # a tag is forgotten with its manifest; one that names nothing is on its way
                    if version is not None and holder is not version:
                        body = self.server.manifest(digest)
                        package.push(body, media_type_of(body), tag, created_at)

    def follow_days_ago(self, days: float) -> None:
        """Make versions of what was pushed, as if that had been some days ago."""
        self.follow(datetime.now(UTC) - timedelta(days=days))

    def assert_agreement(self) -> None:
        """Hold the versions and tags of both sides against each other, after a last look at what was pushed."""
        self.follow()
        for name in self.server.names():
            package = self._package(name)
            assert {version.name for version in package.active()} == set(self.server.digests(name))
            assert {tag: version.name for tag, version in package.tags().items()} == self.server.tags(name)

    def _package(self, name: str) -> Package:
        owner, _, rest = name.partition("/")
        return self.store.package(owner, "container", rest) or self.add_package(owner, "container", rest)

    def _versions(self) -> dict[Version, None]:
        return {
            version: None
            for package in self.store.all
            if package.type == "container"
            for version in package.versions.values()
            if version.is_active
        }

    def _bring_back(self, versions: list[Version]) -> None:
        """Put restored versions into the registry again.

        It takes an index only after its children, GitHub restores in any order: so children that are still deleted are
        put there, and deleted again afterwards.
        """
        for version in versions:
            package = version.package
            name, there = repository(package), set(self.server.digests(repository(package)))
            put = self._put(package, version.name, there)
            for tag in version.tags:
                self.server.put(name, tag, package.manifests[version.name][0])
            for digest in put:
                if package.find(digest) is None:
                    self.server.delete(name, digest)

    def _put(self, package: Package, digest: str, there: set[str]) -> list[str]:
        """Put a manifest, and before it all that it needs and is not `there`; tells what was put."""
        if digest in there:
            return []
        body = package.manifests[digest][0]
        put = [one for child in children_of(body) for one in self._put(package, child, there)]
        self.server.put(repository(package), digest, body)
        there.add(digest)
        return [*put, digest]


def repository(package: Package) -> str:
    """The name of a package in the registry."""
    return f"{package.owner.login}/{package.name}".lower()
