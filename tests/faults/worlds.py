"""The operations of the suite: for each the world it runs in, its inputs, and the requests that it makes.

To add an operation, add a row to `OPERATIONS`: `test_the_table_names_every_request` says which steps it has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.simulator import Package, Simulator, Version, push_image, push_referrer
from tests.simulator.images import INDEX, descriptor, image_manifest, index

OLD = "2026-01-01T00:00:00Z"
RECEIPT = "package-keeper-receipt.jsonl"
PLAN = "plan.json"
UNDONE = "undone.jsonl"
"""The receipt that an undo takes back."""
PAGE = 3
"""Versions on a page of a list: the lists of the container packages have several."""

STEPS = {
    "owner": ("GET", r"^/users/acme$"),
    "packages": ("GET", r"^/orgs/acme/packages\?"),
    "conflicts": ("GET", r"^/orgs/acme/docker/conflicts"),
    "package": ("GET", r"^/orgs/acme/packages/[a-z]+/[a-z]+$"),
    "versions": ("GET", r"/versions\?page=1&(?!.*deleted)"),
    "versions, page 2": ("GET", r"/versions\?page=[2-9]&(?!.*deleted)"),
    "deleted versions": ("GET", r"/versions\?page=1&.*deleted"),
    "deleted versions, page 2": ("GET", r"/versions\?page=[2-9]&.*deleted"),
    "version": ("GET", r"/versions/[0-9]+$"),
    "token": ("GET", r"^/token\?"),
    "manifest": ("GET", r"/manifests/sha256:"),
    "manifest's type": ("HEAD", r"/manifests/sha256:"),
    "tag": ("HEAD", r"/manifests/(?!sha256:)"),
    "repository": ("GET", r"^/repos/acme/app$"),
    "pulls": ("GET", r"^/repos/acme/app/pulls"),
    "branches": ("GET", r"^/repos/acme/app/(branches|tags)"),
    "delete": ("DELETE", r"/versions/[0-9]+$"),
    "delete package": ("DELETE", r"^/orgs/acme/packages/[a-z]+/[a-z]+$"),
    "restore": ("POST", r"/versions/[0-9]+/restore$"),
    "restore package": ("POST", r"^/orgs/acme/packages/[a-z]+/[a-z]+/restore$"),
    "put": ("PUT", r"/manifests/"),
}
"""The kinds of requests: method and pattern of the target."""


def flat(sim: Simulator) -> Package:
    """Make an npm package: four old versions go, one stays."""
    package = sim.add_package("acme", "npm", "lib", created_at=OLD)
    for number in range(4):
        package.add_version(f"1.{number}.0", created_at=f"2026-01-0{number + 1}T00:00:00Z")
    package.add_version("2.0.0", created_at="2026-02-01T00:00:00Z")
    return package


def images(sim: Simulator) -> Package:
    """Make a container package: an image that stays shares a part with one that goes; another one is plain."""
    sim.paging.configure(max_per_page=PAGE)
    package = sim.add_package("acme", "container", "app", repository="acme/app", created_at=OLD)
    shared, own, other = (image_manifest(package, seed) for seed in ("shared", "own", "other"))
    for manifest in (shared, own, other):
        package.push(manifest, created_at=OLD)
    package.push(index(descriptor(shared), descriptor(own), seed="v1"), INDEX, "v1", OLD)
    goes = package.push(index(descriptor(shared), descriptor(other), seed="pr-1"), INDEX, "pr-1", OLD)
    push_referrer(package, goes, "sig", created_at=OLD)
    push_image(package, "pr-2", created_at=OLD)
    return package


def found(package: Package, seed: str) -> Version:
    """Find a part by its seed."""
    version = package.find(descriptor(image_manifest(package, seed))["digest"])
    assert version is not None
    return version


def in_exchange(sim: Simulator) -> Package:
    """Make the same, where the registry gives tokens of its own."""
    sim.registry.takes_github_tokens = False
    return images(sim)


def with_pulls(sim: Simulator) -> Package:
    """Make the same, with the repository in which both pull requests are closed."""
    package = images(sim)
    repository = sim.add_repository("acme", "app")
    repository.branches += ["lives"]
    repository.add_pull(1, "feature-1")
    repository.add_pull(2, "feature-2")
    push_image(package, "branch-feature-1", created_at=OLD)
    push_image(package, "branch-lives", created_at=OLD)
    return package


def tagged(sim: Simulator) -> Package:
    """Make two images with a tag each that stays and one that goes."""
    package = in_exchange(sim)
    package.move_tag("pr-1", package.tags()["v1"])
    package.move_tag("pr-3", push_image(package, "v2", created_at=OLD))
    for version in package.active():
        # as in every world that is made: a plan of one fits the others
        version.update(updated_at=OLD)
    return package


def nearly_alone(sim: Simulator) -> Package:
    """Make a container package all of which goes, but for one leftover without a tag."""
    package = images(sim)
    package.remove(package.tags()["v1"])
    return package


def alone(sim: Simulator) -> Package:
    """Make a container package all of which goes."""
    package = nearly_alone(sim)
    package.remove(found(package, "own"))
    return package


def without_going(sim: Simulator) -> Package:
    """Make the container package as it is when the images of pull requests have been deleted, roots first."""
    package = images(sim)
    going = [version for tag, version in sorted(package.tags().items()) if tag != "v1"]
    for version in [*going, found(package, "other")]:
        package.remove(version)
    return package


def flat_without_old(sim: Simulator) -> Package:
    """Make the npm package as it is when the old versions are deleted."""
    package = flat(sim)
    for version in package.active():
        if version.name != "2.0.0":
            package.remove(version)
    return package


def torn(sim: Simulator) -> Package:
    """Make the container package, of whose images two parts are deleted."""
    package = images(sim)
    for seed in ("own", "other"):
        package.remove(found(package, seed))
    return package


def deleted_package(sim: Simulator) -> Package:
    """Make an npm package that is deleted as a whole."""
    package = flat(sim)
    package.delete()
    return package


def both(sim: Simulator) -> Package:
    """Make the npm package and the container package, which has a conflict."""
    flat(sim)
    package = images(sim)
    sim.add_package("acme", "docker", "old", conflict=True).add_version("1", created_at=OLD, tags=["1"])
    return package


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One row: an operation in its world.

    `steps` are the kinds of requests that it makes, with their numbers. `first` is the row whose receipt it takes
    back. `status` is the exit status when nothing goes wrong.
    """

    name: str
    world: Callable[[Simulator], Package]
    inputs: Mapping[str, str]
    steps: Mapping[str, int]
    first: str = ""
    planned: str = ""
    """The row whose plan it carries out."""
    status: int = 0
    again: Mapping[str, str] = field(default_factory=dict)
    """The inputs of a run that ends what an interrupted one began; without them, the same inputs do."""


NPM = {"package-type": "npm"}
APP = {"package": "app"}
LIB = {"package": "lib", "package-type": "npm"}
BOTH = {"package-type": "container,npm,docker"}


OPERATIONS = [
    Operation(name="list packages", world=both, inputs=BOTH | {"operation": "list"}, steps={"owner": 1, "packages": 3}),
    Operation(
        name="list",
        world=images,
        inputs=APP | {"operation": "list"},
        steps={"owner": 1, "package": 1, "versions": 2, "versions, page 2": 2},
    ),
    Operation(
        name="list deleted",
        world=without_going,
        inputs=APP | {"operation": "list", "state": "deleted"},
        steps={"owner": 1, "package": 1, "deleted versions": 1, "deleted versions, page 2": 1},
    ),
    Operation(name="conflicts", world=both, inputs={"operation": "conflicts"}, steps={"owner": 1, "conflicts": 1}),
    Operation(
        name="verify",
        world=in_exchange,
        inputs=APP | {"operation": "verify"},
        steps={"owner": 1, "package": 1, "versions": 2, "versions, page 2": 2, "manifest": 4, "token": 1},
    ),
    Operation(
        name="delete flat",
        world=flat,
        inputs=NPM | {"package": "*", "operation": "delete", "versions": "1.*"},
        steps={"owner": 1, "packages": 1, "versions": 2, "delete": 4},
    ),
    Operation(
        name="delete images",
        world=images,
        inputs=APP | {"operation": "delete", "tags": "pr-*"},
        steps={
            "owner": 1,
            "package": 1,
            "versions": 5,
            "versions, page 2": 5,
            "manifest": 6,
            "manifest's type": 1,
            "delete": 4,
        },
    ),
    Operation(
        name="delete gone",
        world=with_pulls,
        inputs=APP | {"operation": "delete", "gone": "pr-{pull-request},branch-{branch}", "repository": "app"},
        steps={
            "owner": 1,
            "package": 1,
            "versions": 5,
            "versions, page 2": 6,
            "repository": 2,
            "pulls": 4,
            "branches": 6,
            "manifest": 8,
            "manifest's type": 1,
            "delete": 5,
        },
    ),
    Operation(
        name="untag",
        world=tagged,
        inputs=APP | {"operation": "delete", "tags": "pr-*", "partial-match": "untag"},
        steps={
            "owner": 1,
            "package": 5,
            "versions": 11,
            "versions, page 2": 12,
            "manifest": 10,
            "token": 2,
            "manifest's type": 1,
            "delete": 3,
            "tag": 6,
            "put": 3,
        },
    ),
    Operation(
        name="delete the last",
        world=alone,
        inputs=APP | {"operation": "delete", "tags": "*", "on-last-version": "delete-package"},
        steps={
            "owner": 1,
            "package": 1,
            "versions": 5,
            "versions, page 2": 3,
            "manifest": 4,
            "manifest's type": 1,
            "delete": 4,
            "delete package": 1,
        },
    ),
    Operation(
        name="delete nearly all",
        world=nearly_alone,
        inputs=APP | {"operation": "delete", "tags": "*", "on-last-version": "delete-package"},
        steps={
            "owner": 1,
            "package": 1,
            "versions": 4,
            "versions, page 2": 3,
            "manifest": 5,
            "manifest's type": 1,
            "delete": 4,
        },
    ),
    Operation(
        name="delete package",
        world=flat,
        inputs=LIB | {"operation": "delete-package"},
        steps={"owner": 1, "package": 2, "delete package": 1},
    ),
    Operation(
        name="restore flat",
        world=flat_without_old,
        inputs=LIB | {"operation": "restore", "versions": "1.*"},
        steps={"owner": 1, "package": 1, "deleted versions": 1, "versions": 2, "restore": 4},
    ),
    Operation(
        name="restore images",
        world=without_going,
        inputs=APP | {"operation": "restore", "tags": "pr-*"},
        steps={
            "owner": 1,
            "package": 2,
            "deleted versions": 1,
            "deleted versions, page 2": 1,
            "versions": 4,
            "restore": 4,
            "manifest": 4,
            "versions, page 2": 3,
            "version": 1,
        },
        again=APP | {"operation": "repair"},
    ),
    Operation(
        name="restore package",
        world=deleted_package,
        inputs=LIB | {"operation": "restore-package"},
        steps={"owner": 1, "package": 2, "restore package": 1},
    ),
    Operation(
        name="repair",
        world=torn,
        inputs=APP | {"operation": "repair"},
        steps={
            "owner": 1,
            "package": 4,
            "versions": 4,
            "versions, page 2": 6,
            "deleted versions": 2,
            "manifest": 3,
            "manifest's type": 2,
            "restore": 2,
        },
    ),
    Operation(
        name="undo flat",
        world=flat,
        inputs={"operation": "restore", "undo": UNDONE},
        steps={"owner": 1, "package": 1, "versions": 2, "deleted versions": 1, "restore": 4},
        first="delete flat",
    ),
    Operation(
        name="undo images",
        world=images,
        inputs={"operation": "restore", "undo": UNDONE},
        steps={
            "owner": 1,
            "package": 2,
            "versions": 5,
            "deleted versions": 1,
            "deleted versions, page 2": 1,
            "restore": 4,
            "manifest": 4,
            "versions, page 2": 4,
            "version": 1,
        },
        first="delete images",
    ),
    Operation(
        name="undo untag",
        world=tagged,
        inputs={"operation": "restore", "undo": UNDONE},
        steps={
            "owner": 1,
            "package": 2,
            "versions": 4,
            "versions, page 2": 4,
            "deleted versions": 1,
            "restore": 1,
            "version": 5,
            "manifest": 6,
            "token": 2,
            "tag": 4,
            "put": 3,
        },
        first="untag",
    ),
    Operation(
        name="undo package",
        world=flat,
        inputs={"operation": "restore", "undo": UNDONE},
        steps={"owner": 1, "package": 2, "restore package": 1},
        first="delete package",
    ),
    Operation(
        name="apply deletions",
        world=images,
        inputs={"operation": "apply", "plan": PLAN},
        steps={
            "owner": 1,
            "package": 1,
            "versions": 5,
            "versions, page 2": 5,
            "manifest": 6,
            "manifest's type": 1,
            "delete": 4,
        },
        planned="delete images",
    ),
    Operation(
        name="apply untagging",
        world=tagged,
        inputs={"operation": "apply", "plan": PLAN},
        steps={
            "owner": 1,
            "package": 5,
            "versions": 11,
            "versions, page 2": 12,
            "manifest": 10,
            "token": 2,
            "manifest's type": 1,
            "delete": 3,
            "tag": 6,
            "put": 3,
        },
        planned="untag",
    ),
    Operation(
        name="apply package deletions",
        world=flat,
        inputs={"operation": "apply", "plan": PLAN},
        steps={"owner": 1, "package": 2, "versions": 2, "delete package": 1},
        planned="delete package",
    ),
]
BY_NAME = {operation.name: operation for operation in OPERATIONS}
