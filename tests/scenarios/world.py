"""The part `given` of a case: text ─▶ a simulated GitHub, and what others do to it meanwhile."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.scenarios import repositories
from tests.simulator import Package, Simulator, Version
from tests.simulator.images import (
    EMPTY_LAYER,
    INDEX,
    MANIFEST,
    descriptor,
    image_manifest,
    index,
    push_image,
    push_referrer,
)

Tree = dict[str, Any]

AGO = re.compile(r"(\d+)(s|min|h|d) ago")
UNITS = {"s": "seconds", "min": "minutes", "h": "hours", "d": "days"}
PLACEHOLDER = re.compile(r"\{(id|digest|date|url|receipt|plan-sha256)(?::([^}]*))?\}")
WORLD_KEYS = {
    "owners",
    "tokens",
    "repositories",
    "packages",
    "faults",
    "redirects",
    "limits",
    "paging",
    "unknowns",
    "deployments",
    "meanwhile",
    "enterprise",
}
VERSION_KEYS = {
    "age",
    "created",
    "updated",
    "deleted",
    "tags",
    "downloads",
    "id",
    "name",
    "without",
    "description",
    "metadata",
    "held_back",
}
"""`metadata` is JSON that GitHub answers instead of its own; `held_back` is for what lists leave out, and say so."""
IMAGE_KEYS = {"platforms", "attested", "holds", "of", "way", "content", "twin", "layers"}
"""What a container version is: an index of new platforms or of named versions, a referrer `of` one, any bytes, a second
version of the digest of one, or an image with named layers and their bytes: `base:5000 app:300`."""
PACKAGE_KEYS = {"versions", "owner", "visibility", "conflict", "deleted", "repository", "created", "without"}
"""`without` names fields that GitHub leaves out."""


def moment(text: str) -> datetime:
    """Read `40d ago`, or a date."""
    if found := AGO.fullmatch(text):
        return datetime.now(UTC) - timedelta(**{UNITS[found[2]]: int(found[1])})
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def number_or_none(text: str) -> int | None:
    """Read a number, or `none`."""
    return None if text == "none" else int(text)


def boolean(text: str) -> bool:
    """Read `true` or `false`."""
    return {"true": True, "false": False}[text]


def layer(text: str) -> bytes:
    """Make a layer: `base:5000` is always the same 5,000 bytes."""
    name, _, size = text.partition(":")
    return name.encode().ljust(int(size), b".")


def known(tree: Mapping[str, Any], keys: set[str], where: str) -> None:
    """Refuse keys that nobody reads: a misspelt expectation would expect nothing."""
    if unknown := tree.keys() - keys:
        raise ValueError(f"{where}: unknown {', '.join(sorted(unknown))}")


@dataclass(kw_only=True)
class World:
    """A simulated GitHub, and the names that a case gives to what is in it."""

    simulator: Simulator
    versions: dict[str, Version] = field(default_factory=dict)
    """By the name that the case uses, alone and behind its package: `1.0.0`, `npm/app@1.0.0`."""
    names: dict[int, str] = field(default_factory=dict)
    """By id: the name that the case uses."""
    packages: dict[str, Package] = field(default_factory=dict)
    token: str = "tok-of-a-test"
    api_url: str = ""
    receipt: str = ""
    plan_sha256: str = ""
    before: dict[tuple[int, str], int] = field(default_factory=dict)
    """What the registry kept before the run, as `stored` measures it."""

    def stored(self) -> dict[tuple[int, str], int]:
        """Measure what the registry has to keep, by package and digest."""
        packages = self.simulator.store.all
        return {(each.id, digest): size for each in packages for digest, size in each.stored().items()}

    def shrunk(self) -> int:
        """Count the bytes that the registry need no longer keep since the run began."""
        after = self.stored()
        return sum(size for key, size in self.before.items() if key not in after)

    def filled(self, text: str) -> str:
        """Fill in what a case can know only when its world exists: `{id:1.0.0}`, `{digest:a}`, `{receipt}`."""

        def value(found: re.Match[str]) -> str:
            kind, name = found[1], found[2]
            if kind == "url":
                return self.api_url
            if kind == "receipt":
                return self.receipt
            if kind == "plan-sha256":
                return self.plan_sha256
            if kind == "date":
                return moment(name).date().isoformat()
            return str(self.versions[name].id) if kind == "id" else self.versions[name].name

        return PLACEHOLDER.sub(value, text)

    def do(self, action: str) -> None:
        """Act as somebody else would: `push 2.0.0 to npm/app`, `move latest to a`, `remove 1.0.0`, …"""
        words = action.split()
        match words:
            case ["push", name, "to", package]:
                self.add_version(package, name, {})
            case ["push", name, "to", package, "as", tag, *platforms]:
                self.add_version(package, name, {"tags": tag, "platforms": " ".join(platforms)})
            case ["move", tag, "to", name]:
                version = self.versions[name]
                version.package.move_tag(tag, version)
            case ["remove", *name]:
                version = self.versions[" ".join(name)]
                version.package.remove(version)
            case ["restore", *name]:
                version = self.versions[" ".join(name)]
                version.package.bring_back(version)
            case ["restore-package", package]:
                self.packages[package].undelete()
            case ["delete-package", package]:
                self.packages[package].delete()
            case ["lose" | "damage" as way, "manifest", "of", name] | ["hold-back" as way, name]:
                self._harm(way, self.versions[name])
            case ["in", repository, *words]:
                repositories.do(self.simulator, repository, words)
            case ["revoke", "token"]:
                self.simulator.tokens.revoke(self.token)
            case ["clear", "faults"]:
                self.simulator.faults.clear()
            case _:
                self._do_more(words)

    def _do_more(self, words: list[str]) -> None:
        """`purge 1.0.0`, `copy a as b` (push its digest again), `make npm/app` (again), `grant repo` to the token."""
        match words:
            case ["purge", *name]:
                self._purge(self.versions[" ".join(name)])
            case ["push", name, "to", package, "holding", *parts, "as", tag]:
                self.add_version(package, name, {"tags": tag, "holds": " ".join(parts)})
            case ["copy", name, "as", other]:
                version = self.versions[name]
                self.versions[other] = version.package.push(*version.package.manifests[version.name])
                self.names[self.versions[other].id] = other
            case ["grant", scope]:
                self.simulator.tokens.grant(self.token, scope)
            case ["make", package]:
                kind, _, name = package.partition("/")
                self.simulator.add_package("acme", kind, name).add_version("9.9.9")
            case _:
                raise ValueError(f"nobody can {' '.join(words)}")

    def _purge(self, version: Version) -> None:
        """Delete a version so long ago that GitHub holds it no longer."""
        if version.deleted_at is None:
            version.package.remove(version)
        version.update(deleted_at=moment("31d ago"))

    def _harm(self, way: str, version: Version) -> None:
        """Let the registry lose the bytes of a version that is still listed, or have others under its digest.

        Or let lists hold the version back.
        """
        if way == "hold-back":
            version.package.held_back.add(version.id)
            return
        manifests = version.package.manifests
        content, media_type = manifests.pop(version.name)
        if way == "damage":
            manifests[version.name] = (content + b"\n", media_type)

    def add_version(self, package_key: str, name: str, given: Tree) -> None:
        """Put a version there."""
        known(given, VERSION_KEYS | IMAGE_KEYS, f"version {name}")
        package = self.packages[package_key]
        created = moment(given.get("created") or given.get("age") or "0s ago")
        updated = moment(given.get("updated") or given.get("age") or given.get("created") or "0s ago")
        tags = given.get("tags", "").split()
        number = int(given["id"]) if "id" in given else None
        if package.type == "container":
            version = self._push(package, given.get("name") or name, tags, created, given, number)
        else:
            version = package.add_version(given.get("name") or name, created_at=created, tags=tags, id=number)
        version.update(
            updated_at=updated,
            downloads=int(given.get("downloads", "0")),
            extra=dict.fromkeys(given.get("without", "").split())
            | {name: given[name] for name in ("description",) if name in given}
            | {name: json.loads(given[name]) for name in ("metadata",) if name in given},
        )
        if boolean(given.get("held_back", "false")):
            package.held_back.add(version.id)
        if "deleted" in given:
            package.remove(version)
            version.deleted_at = None
            version.update(deleted_at=moment(given["deleted"]))
        self.versions.setdefault(name, version)
        self.versions[f"{package_key}@{name}"] = version
        self.names[version.id] = name

    def _push(
        self, package: Package, seed: str, tags: list[str], created: datetime, given: Tree, number: int | None
    ) -> Version:
        if "twin" in given:
            return package.add_twin(self.versions[given["twin"]], created_at=created, tags=tags)
        if platforms := given.get("platforms", "").split():
            attested = boolean(given.get("attested", "false"))
            version = push_image(package, None, seed=seed, platforms=platforms, attested=attested, created_at=created)
            for place, part in enumerate(json.loads(package.manifests[version.name][0])["manifests"], start=1):
                found = package.find(part["digest"]) or version
                self.versions.setdefault(f"{seed}/{place}", found)
                self.versions[f"{package.type}/{package.name}@{seed}/{place}"] = found
                self.names.setdefault(found.id, f"part of {seed}")
        elif "of" in given:
            subject = self.versions[given["of"]]
            version, *lists = push_referrer(
                package, subject, given.get("way", "subject"), seed=seed, created_at=created
            )
            for each in lists:
                self.versions[f"index of {seed}"] = each
                self.names[each.id] = f"index of {seed}"
        elif "holds" in given:
            held = [package.manifests[self.versions[name].name][0] for name in given["holds"].split()]
            version = package.push(index(*[descriptor(each) for each in held], seed=seed), INDEX, None, created, number)
        elif "content" in given:
            version = package.push(given["content"].encode(), MANIFEST, None, created, number)
        else:
            layers = [layer(text) for text in given.get("layers", "").split()] or [EMPTY_LAYER]
            version = package.push(image_manifest(package, seed, layers=layers), MANIFEST, None, created, number)
        for tag in tags:
            package.push(*package.manifests[version.name], tag, created)
        return version


def build(simulator: Simulator, given: Tree) -> World:
    """Build the world of a case; without anything said there are `acme`, `octocat` and octocat's classic token."""
    known(given, WORLD_KEYS, "given")
    world = World(simulator=simulator)
    world.api_url = simulator.enterprise_url if given.get("enterprise") == "true" else simulator.url
    for login, kind in (given.get("owners") or {"acme": "Organization", "octocat": "User"}).items():
        simulator.add_owner(login, kind)
    _token(world, given.get("tokens") or {})
    for name, contents in (given.get("repositories") or {}).items():
        repositories.add(simulator, name, contents or {})
    for key, contents in (given.get("packages") or {}).items():
        _package(world, key, contents or {})
    for name, records in (given.get("deployments") or {}).items():
        simulator.deployments[world.versions[name].name] = records
    for fault in given.get("faults") or []:
        simulator.faults.add(**_fault(world, fault))
    for redirect in given.get("redirects") or []:
        status = int(redirect["status"]) if "status" in redirect else None
        simulator.redirects.add(redirect["from"], redirect["to"], status)
    simulator.limits.configure(**_converted(given.get("limits") or {}, "enabled retry_after"))
    simulator.paging.configure(**_converted(given.get("paging") or {}, "link duplicate organization_links"))
    simulator.configure(
        **_converted(given.get("unknowns") or {}, "restored_versions_take_tags unknown_artifacts_are_empty")
    )
    for happening in given.get("meanwhile") or []:
        method, _, path = world.filled(happening["before"]).partition(" ")
        simulator.on(
            method,
            path,
            _acting(world, happening["do"]),
            times=int(happening.get("times", "1")),
            after=int(happening.get("after", "0")),
        )
    return world


def _acting(world: World, action: str) -> Callable[[Simulator, Any], None]:
    return lambda _simulator, _request: world.do(action)


def _converted(given: Tree, booleans: str) -> Tree:
    return {
        name: boolean(text) if name in booleans.split() else number_or_none(text) if text.isdigit() else text
        for name, text in given.items()
    }


def _fault(world: World, given: Tree) -> Tree:
    numbers = {name: number_or_none(given[name]) for name in ("status", "times", "after") if name in given}
    paths = {"path": world.filled(given["path"])} if "path" in given else {}
    return dict(given) | paths | numbers | ({"delay": float(given["delay"])} if "delay" in given else {})


def _token(world: World, given: Tree) -> None:
    lists = {"scopes", "admin_on", "readable", "sso_required_for", "repositories", "permissions"}
    more: Tree = {name: text.split() if name in lists else text for name, text in given.items()}
    for name in ("sso_partial", "hides_versions"):
        if name in more:
            more[name] = boolean(more[name])
    if "expires_after" in more:
        more["expires_after"] = int(more["expires_after"])
    if more.pop("unknown", "false") != "true":
        world.simulator.add_token(world.token, **more)


def _package(world: World, key: str, contents: Tree) -> None:
    kind, _, name = key.partition("/")
    details: Tree = contents if contents.keys() & PACKAGE_KEYS else {"versions": contents}
    known(details, PACKAGE_KEYS, f"package {key}")
    package = world.simulator.add_package(
        details.get("owner", "acme"),
        kind,
        name,
        details.get("visibility", "private"),
        details.get("repository"),
        created_at=moment(details["created"]) if "created" in details else None,
        conflict=boolean(details.get("conflict", "false")),
    )
    package.without = frozenset(details.get("without", "").split())
    world.packages[key] = package
    # deleted ones first: what is active was pushed after them
    versions = {
        name: about if isinstance(about, dict) else {"age": about} for name, about in details["versions"].items()
    }
    for name, about in sorted(versions.items(), key=lambda item: "deleted" not in item[1]):
        world.add_version(key, name, about)
    if "deleted" in details:
        package.delete()
        package.deleted_at = moment(details["deleted"]).strftime("%Y-%m-%dT%H:%M:%SZ")
