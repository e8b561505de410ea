"""What it costs to plan: CPU time and memory of one run over very many versions, without any decode.

The real operation `delete` runs as a dry run over lists, manifests and a repository in memory, with the policy of
examples. Counted is what follows the lists: facts (SQL and what is gone), candidates, images, decisions, plan and
guard. Started as a process of its own, so that the peak of memory is that of one run:

    python -m tests.benchmarks.planning images

prints the figures as JSON; `--profile` shows where the time goes.
"""

from __future__ import annotations

import cProfile
import gc
import json
import pstats
import resource
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

from package_keeper.causes import Cause
from package_keeper.errors import ApiError
from package_keeper.execution.facts import FactGatherer
from package_keeper.execution.scope import PackageFilter
from package_keeper.github import decode
from package_keeper.inputs.parser import InputFiles, parse_settings
from package_keeper.model.manifest import OCI_INDEX, OCI_MANIFEST, Description, Descriptor, Manifest
from package_keeper.model.packages import Owner, OwnerType, Package, PackageName, PackageType, Version
from package_keeper.model.permissions import TokenFacts
from package_keeper.model.repository import RepositoryState
from package_keeper.model.sizes import pack
from package_keeper.operations.context import Context
from package_keeper.operations.delete import delete
from package_keeper.runner.process import tune_gc

ROOT = Path(__file__).resolve().parent.parent.parent
POLICY = "docs/policy.yml"
NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)
VERSIONS = 100_000
PLATFORMS = 2
"""Each with an attestation: an image of five versions, as BuildKit pushes it for two platforms."""
PULLS = 20_000
OWN_BLOBS, SHARED_BLOBS = 4, 6
"""Of an image: a configuration and three layers of its own, and six layers that all images share."""


@dataclass(frozen=True, kw_only=True)
class Form:
    """What a package is like: how many packages, and whether its images have parts."""

    title: str
    packages: int
    has_parts: bool


FORMS = {
    "images": Form(title="20,000 images of 5 versions, in 10 packages", packages=10, has_parts=True),
    "single": Form(title="100,000 images of one version, in one package", packages=1, has_parts=False),
}


def digest(text: str) -> str:
    """A digest as long and as unlike others as real ones are."""
    return f"sha256:{sha256(text.encode()).hexdigest()}"


def tags_of(number: int, images: int) -> list[str]:
    """The tags of one of so many images: releases, candidates, pull requests, branches, nightlies, builds, or none.

    The two newest have the moving tags that the policy keeps.
    """
    if number >= images - 2:
        return ["edge" if number == images - 1 else "latest"]
    major, minor, patch = number // 4_000, number // 80 % 50, number // 20 % 4
    match number % 20:
        case 0:
            return [f"{major}.{minor}.{patch}", f"v{major}.{minor}.{patch}"]
        case 1 | 2:
            return [f"{major}.{minor}.{patch}-rc.{number % 20}"]
        case 3 | 4 | 5 | 6 | 7:
            return [f"pr-{number % PULLS + 1}"]
        case 8:
            return [f"pr-{number % PULLS + 1}", f"build-{number}"]
        case 9 | 10:
            return [f"branch-topic-{number}"]
        case 11 | 12 | 13 | 14:
            return [f"nightly-{number}"]
        case 15 | 16 | 17:
            return [f"build-{number}"]
        case _:
            return []


def state() -> RepositoryState:
    """A busy repository."""
    closed = range(1, PULLS - 500)
    return RepositoryState(
        full_name="acme/app",
        branches=frozenset({"main", *(f"topic/{number}" for number in range(0, PULLS, 40))}),
        git_tags=frozenset(f"v{number // 200}.{number // 4 % 50}.{number % 4}" for number in range(5_000)),
        open_pulls=frozenset(range(PULLS - 500, PULLS + 1)),
        closed_pulls=frozenset(closed),
        open_heads=frozenset(f"topic/{number}" for number in range(PULLS - 500, PULLS)),
        closed_heads=frozenset(f"topic/{number}" for number in closed),
    )


class Hub:
    """GitHub, the registry and the repository in memory; the lists are decoded from GitHub's JSON, as in a run."""

    token_facts = TokenFacts()

    def __init__(self, form: Form) -> None:
        self.lists: dict[PackageName, list[Version]] = {}
        self.children: dict[str, tuple[str, ...]] = {}
        self.reads = 0
        self.seconds = 0.0
        """CPU time spent in here to make manifests, which a run gets from the registry."""
        self._has_parts = form.has_parts
        self._shared = [digest(f"shared {place}") for place in range(SHARED_BLOBS)]
        each = VERSIONS // form.packages
        for number in range(form.packages):
            key = PackageName(type=PackageType.CONTAINER, name=f"app/{number}" if number else "app")
            self.lists[key] = self._versions(key, number * each, each)

    def _versions(self, package: PackageName, first: int, count: int) -> list[Version]:
        found: list[Version] = []
        page: list[dict[str, object]] = []
        parts = 2 * PLATFORMS if self._has_parts else 0
        images = count // (parts + 1)
        for number in range(images):
            pushed = NOW - timedelta(minutes=(images - number) * 30)
            names = [digest(f"{package.name} {number} {part}") for part in range(parts + 1)]
            self.children[names[0]] = tuple(names[1:])
            for part, name in enumerate(names):
                tags = tags_of(number, images) if part == 0 else []
                page.append(self._entry(package, first + number * (parts + 1) + part + 1, name, tags, pushed))
            if len(page) >= 100:
                found += decode.versions(json.dumps(page).encode(), package)
                page = []
        return found + decode.versions(json.dumps(page).encode(), package)

    @staticmethod
    def _entry(package: PackageName, number: int, name: str, tags: list[str], pushed: datetime) -> dict[str, object]:
        place = f"https://api.github.com/orgs/acme/packages/container/{package.name}"
        page = f"https://github.com/orgs/acme/packages/container/{package.name}"
        time = pushed.isoformat().replace("+00:00", "Z")
        return {
            "id": number,
            "name": name,
            "url": f"{place}/versions/{number}",
            "package_html_url": page,
            "html_url": f"{page}/{number}",
            "created_at": time,
            "updated_at": time,
            "metadata": {"package_type": "container", "container": {"tags": tags}},
        }

    # the protocol Reader

    def conflicts(self) -> list[Package]:
        return []

    def packages(self, package_types: Sequence[PackageType]) -> dict[PackageType, list[Package] | ApiError]:
        return {
            package_type: [self.package(key) for key in self.lists if key.type is package_type]
            for package_type in package_types
        }

    def packages_named(self, packages: Iterable[PackageName]) -> dict[PackageName, Package | ApiError]:
        return {package: self.package(package) for package in packages}

    def package(self, package: PackageName) -> Package:
        return Package(
            id=1,
            key=package,
            visibility="private",
            version_count=len(self.lists[package]),
            created_at=NOW,
            updated_at=NOW,
            url=None,
            html_url=None,
            owner=None,
            repository=None,
            repository_name="acme/app",
        )

    def versions(self, package: PackageName, *, deleted: bool = False) -> list[Version]:
        return list(self.lists[package])

    def versions_of(
        self,
        packages: Iterable[PackageName],
        *,
        deleted: bool = False,
        seen: Mapping[PackageName, AbstractSet[int]] | None = None,
        gone: AbstractSet[int] = frozenset(),
    ) -> dict[PackageName, list[Version] | ApiError]:
        return {package: self.versions(package) for package in packages}

    def are_active(self, versions: Mapping[int, PackageName]) -> dict[int, bool | ApiError]:
        raise AssertionError("nobody asks for versions")

    def is_long(self, package: PackageName) -> bool:
        return False

    def is_incomplete(self, package: PackageName) -> bool:
        return False

    def version(self, package: PackageName, version_id: int) -> Version:
        raise NotImplementedError

    # the protocol Looks

    def active(self, package: PackageName, ids: Iterable[int]) -> frozenset[int]:
        raise NotImplementedError

    # the protocol ManifestReader

    def read(self, package: PackageName, digests: Iterable[str]) -> Mapping[str, Manifest]:
        before = cpu()
        found = {name: self._manifest(name) for name in digests}
        self.reads += len(found)
        self.seconds += cpu() - before
        return found

    def _manifest(self, name: str) -> Manifest:
        below = self.children.get(name, ())
        children = tuple(Descriptor(digest=child, media_type=OCI_MANIFEST, has_platform=True) for child in below)
        blobs = [] if below else [digest(f"{name} {place}") for place in range(OWN_BLOBS)] + self._shared
        content = pack((blob, 2_000) for blob in (name, *blobs))
        media_type = OCI_INDEX if below else OCI_MANIFEST
        return Manifest(digest=name, media_type=media_type, children=children, content=content)

    def at_hand(self, package: PackageName, digests: Iterable[str]) -> Sequence[str]:
        return ()

    def are_indexes(self, package: PackageName, digests: Iterable[str]) -> Mapping[str, bool | None]:
        return {name: bool(self.children.get(name)) for name in digests}

    def read_ahead(self, wanted: Mapping[PackageName, Iterable[str]]) -> None:
        return None

    def describe(self, package: PackageName, digest: str) -> Description:
        return Description()

    def exists(self, package: PackageName, digest: str) -> bool:
        return digest in self.children

    # the protocol RepositoryReader

    def state(self, full_name: str) -> RepositoryState:
        return state()

    def releases(self, full_name: str) -> frozenset[str]:
        return frozenset()


class Silence:
    """A log that nobody reads, and a stopwatch that stands still."""

    shows_details = False

    def error(self, text: str, *, title: str = "", causes: Sequence[Cause] = ()) -> None:
        raise AssertionError(text)

    def warning(self, text: str, *, title: str = "", causes: Sequence[Cause] = ()) -> None:
        raise AssertionError(text)

    def notice(self, text: str, *, title: str = "", causes: Sequence[Cause] = ()) -> None:
        pass

    def info(self, text: str) -> None:
        pass

    def debug(self, text: str) -> None:
        pass

    def progress(self, what: str, done: int, total: int) -> None:
        pass

    @contextmanager
    def group(self, title: str) -> Iterator[None]:
        yield

    def monotonic(self) -> float:
        return 0.0

    def now(self) -> datetime:
        return NOW


def context_of(hub: Hub, log: Silence) -> Context:
    """The run: a policy over everything, as its text is read from the documentation."""
    texts = {"operation": "delete", "token": "t", "owner": "acme", "package": "*", "policy": POLICY}
    texts |= {"api-url": "https://api.github.com", "max-delete-percent": "99"}
    policy = (ROOT / POLICY).read_text(encoding="utf-8")
    settings = parse_settings(texts, defaults={}, now=NOW, files=InputFiles(policy=policy))
    owner = Owner(login="acme", type=OwnerType.ORGANIZATION)
    return Context(
        settings=settings,
        owner=owner,
        receipt=None,
        wanted=PackageFilter(patterns=settings.packages, also=settings.policy_packages),
        rules=settings.rules,
        facts=FactGatherer(
            rules=settings.rules,
            owner=owner.login,
            repositories=hub,
            repository="",
            fallback="",
            clock=log,
            log=log,
        ),
        reader=hub,
        registry=hub,
        writing=None,
        clock=log,
        log=log,
    )


def cpu() -> float:
    """Seconds of CPU that this process has had."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def peak() -> float:
    """The most memory that this process ever held, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(arguments: list[str]) -> int:
    """Measure one form."""
    hub = Hub(FORMS[arguments[0]])
    context = context_of(hub, Silence())
    tune_gc()
    gc.collect()
    held, before = peak(), cpu()
    profile = cProfile.Profile()
    if "--profile" in arguments:
        *_, run = profile.runcall(lambda: list(delete(context)))
        pstats.Stats(profile).sort_stats("cumulative").print_stats(25).sort_stats("tottime").print_stats(15)
    else:
        *_, run = delete(context)
    figures = {
        "versions": len(run.plan.decisions),
        "deleted": len(run.plan.writes),
        "reads": hub.reads,
        "cpu": round(cpu() - before - hub.seconds, 2),
        "lists": round(held),
        "peak": round(peak()),
    }
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
