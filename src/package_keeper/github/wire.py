"""GitHub's JSON ─▶ domain types, once. Nothing above this room sees JSON.

What GitHub may leave out (docs/github-behaviour.md, "Endpoints") is optional here; a timestamp that cannot be read is
`None`, never a reason to fail or to delete.
"""

from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec

from package_keeper.errors import Refusal, RefusalKind
from package_keeper.inventory.package import Package, PackageName, PackageType
from package_keeper.inventory.version import Version


class _Package(msgspec.Struct):
    id: int
    name: str
    package_type: str | None = None
    owner: dict[str, Any] | None = None
    visibility: str | None = None
    version_count: int | None = None
    created_at: Any = None
    updated_at: Any = None
    url: str | None = None
    html_url: str | None = None
    repository: dict[str, Any] | None = None


class _Version(msgspec.Struct):
    id: int
    name: str
    url: str | None = None
    html_url: str | None = None
    package_html_url: str | None = None
    created_at: Any = None
    updated_at: Any = None
    deleted_at: Any = None
    description: str | None = None
    license: str | None = None
    metadata: msgspec.Raw = msgspec.Raw(b"null")


_T = TypeVar("_T")

_PACKAGES = msgspec.json.Decoder(list[_Package])
_PACKAGE = msgspec.json.Decoder(_Package)
_VERSIONS = msgspec.json.Decoder(list[_Version])
_VERSION = msgspec.json.Decoder(_Version)
_METADATA = msgspec.json.Decoder(dict[str, Any] | None)


def packages(body: bytes, asked_for: PackageType | None) -> list[Package]:
    """Decode a list of packages; those of a type that nobody knows are left out."""
    decoded = (_package(wire, asked_for) for wire in _decode(_PACKAGES, body))
    return [package for package in decoded if package is not None]


def package(body: bytes, asked_for: PackageType) -> Package:
    """Decode one package."""
    decoded = _package(_decode(_PACKAGE, body), asked_for)
    if decoded is None:
        raise Refusal(RefusalKind.UNREACHABLE, "GitHub's answer was not of the type asked for")
    return decoded


def versions(body: bytes, of: PackageName) -> list[Version]:
    """Decode a list of versions of the package `of`.

    Within a page what is equal is one object: most parts of images have the same metadata, and all the same page.
    """
    same: dict[object, Any] = {}
    return [_version(wire, of, same) for wire in _decode(_VERSIONS, body)]


def version(body: bytes, of: PackageName) -> Version:
    """Decode one version of the package `of`."""
    return _version(_decode(_VERSION, body), of, {})


def _decode(decoder: msgspec.json.Decoder[_T], body: bytes) -> _T:
    try:
        return decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Refusal(RefusalKind.UNREACHABLE, f"GitHub's answer could not be read ({error})") from None


def _package(wire: _Package, asked_for: PackageType | None) -> Package | None:
    word = wire.package_type or asked_for
    if word not in set(PackageType):
        return None
    repository_name = (wire.repository or {}).get("full_name")
    return Package(
        id=wire.id,
        key=PackageName(type=PackageType(word), name=wire.name),
        visibility=wire.visibility,
        version_count=wire.version_count,
        created_at=_moment(wire.created_at),
        updated_at=_moment(wire.updated_at),
        url=wire.url,
        html_url=wire.html_url,
        owner=wire.owner,
        repository=wire.repository,
        repository_name=repository_name if isinstance(repository_name, str) else None,
    )


def _version(wire: _Version, of: PackageName, same: dict[object, Any]) -> Version:
    written = bytes(wire.metadata)
    if written not in same:
        same[written] = _decode(_METADATA, written)
    metadata = same[written]
    created_at = _moment(wire.created_at)
    return Version(
        id=wire.id,
        package=of,
        name=wire.name,
        tags=_tags(metadata, of.type),
        created_at=created_at,
        updated_at=created_at if wire.updated_at == wire.created_at else _moment(wire.updated_at),
        deleted_at=_moment(wire.deleted_at),
        description=wire.description,
        license=wire.license,
        url=wire.url,
        html_url=wire.html_url,
        package_html_url=same.setdefault(wire.package_html_url, wire.package_html_url),
        metadata=metadata,
    )


def _tags(metadata: dict[str, Any] | None, package_type: PackageType) -> tuple[str, ...]:
    """Tags stand in `metadata.container.tags`, or `metadata.docker` with `tag` or `tags` (docs/github-behaviour.md,
    "Endpoints").
    """
    if not metadata or not package_type.has_tags:
        return ()
    found: list[str] = []
    for field in ("container", "docker"):
        part = metadata.get(field)
        for name in ("tags", "tag"):
            tags = part.get(name) if isinstance(part, dict) else None
            found += [tags] if isinstance(tags, str) else [tag for tag in tags or () if isinstance(tag, str)]
    return tuple(dict.fromkeys(found))


def _moment(text: object) -> datetime | None:
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
