"""Decodes GitHub's JSON into domain types. Nothing outside this package sees JSON.

Fields that GitHub may leave out (docs/github-behaviour.md, "Endpoints") are optional. A timestamp that is missing or is
not a date is `None`, never a reason to fail or to delete. Tags that are left out are unknown, which is not the same as
no tags. An impossible value, such as an id below 1 or a date in the year 1, makes the whole answer unreadable.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import msgspec

from package_keeper.errors import ApiError, ApiErrorKind
from package_keeper.model.evidence import DeploymentRecord
from package_keeper.model.packages import Package, PackageName, PackageType, UnreadablePackage, Version

LARGEST_ID = 2**63 - 1
"""GitHub's ids have 64 bits, like integers in SQL."""

DEEPEST = 50
"""The deepest nesting of objects and arrays that is passed on. Python can encode about a thousand levels."""

EARLIEST = datetime(1970, 1, 2, tzinfo=UTC)
LATEST = datetime(9998, 12, 31, tzinfo=UTC)
"""Dates outside this range are no dates: they stand for zero in many languages, or have no equal in UTC."""

_Id = Annotated[int, msgspec.Meta(ge=1, le=LARGEST_ID)]


class _Package(msgspec.Struct):
    id: _Id
    name: str
    package_type: str | None = None
    owner: dict[str, Any] | None = None
    visibility: str | None = None
    version_count: Any = None
    created_at: Any = None
    updated_at: Any = None
    url: str | None = None
    html_url: str | None = None
    repository: dict[str, Any] | None = None


class _Named(msgspec.Struct):
    name: str = ""


class _Version(msgspec.Struct):
    id: _Id
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

_PACKAGES = msgspec.json.Decoder(list[msgspec.Raw])
_PACKAGE = msgspec.json.Decoder(_Package)
_NAMED = msgspec.json.Decoder(_Named)
_VERSIONS = msgspec.json.Decoder(list[_Version])
_VERSION = msgspec.json.Decoder(_Version)
_METADATA = msgspec.json.Decoder(Any)


def packages(body: bytes, asked_for: PackageType | None) -> list[Package | UnreadablePackage]:
    """Decode a list of packages; those of an unknown type are left out."""
    decoded = (_entry(bytes(written), asked_for) for written in _decode(_PACKAGES, body))
    return [package for package in decoded if package is not None]


def _entry(written: bytes, asked_for: PackageType | None) -> Package | UnreadablePackage | None:
    try:
        return _package(_decode(_PACKAGE, written), asked_for)
    except ApiError as error:
        try:
            name = _decode(_NAMED, written).name
        except ApiError:
            name = ""
        return UnreadablePackage(name=name, why=error.message)


def package(body: bytes, asked_for: PackageType) -> Package:
    """Decode one package."""
    decoded = _package(_decode(_PACKAGE, body), asked_for)
    if decoded is None:
        raise ApiError(ApiErrorKind.UNREACHABLE, "GitHub's answer was not of the type asked for")
    return decoded


def versions(body: bytes, of: PackageName) -> list[Version]:
    """Decode a list of versions of the package `of`.

    Equal values in a page become one object, to save memory: most parts of images have the same metadata, and all
    versions have the same page on GitHub.
    """
    same: dict[object, Any] = {}
    return [_version(wire, of, same) for wire in _decode(_VERSIONS, body)]


class _Record(msgspec.Struct):
    logical_environment: str | None = None
    physical_environment: str | None = None
    cluster: str | None = None
    deployment_name: str | None = None
    status: str | None = None


class _Records(msgspec.Struct):
    deployment_records: list[_Record]
    total_count: int = 0


_RECORDS = msgspec.json.Decoder(_Records)


def deployments(body: bytes) -> list[DeploymentRecord]:
    """Decode the deployment records of an artifact. An answer that leaves records out is unreadable."""
    answer = _decode(_RECORDS, body)
    if answer.total_count > len(answer.deployment_records):
        raise _odd(f"{answer.total_count} deployment records, of which it has {len(answer.deployment_records)}")
    return [
        DeploymentRecord(
            environment=each.logical_environment or each.physical_environment or "",
            cluster=each.cluster or "",
            deployment=each.deployment_name or "",
            status=each.status or "",
        )
        for each in answer.deployment_records
    ]


def version(body: bytes, of: PackageName) -> Version:
    """Decode one version of the package `of`."""
    return _version(_decode(_VERSION, body), of, {})


def _decode(decoder: msgspec.json.Decoder[_T], body: bytes) -> _T:
    try:
        return decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _unreadable(body, error) from None


def _unreadable(body: bytes, error: Exception) -> ApiError:
    """Describe why an answer cannot be read. JSON of another shape is GitHub's; anything else may be a proxy's."""
    kind = ApiErrorKind.OTHER if _is_json(body) else ApiErrorKind.UNREACHABLE
    why = "too many levels" if isinstance(error, RecursionError) else "it is no proper JSON"
    why = str(error) if isinstance(error, msgspec.ValidationError) else why
    return ApiError(kind, f"GitHub's answer could not be read ({why})")


def _is_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except (json.JSONDecodeError, UnicodeDecodeError):
        return False
    except (ValueError, RecursionError):
        # a number of thousands of digits, thousands of levels
        return True
    return True


def _odd(what: str) -> ApiError:
    return ApiError(ApiErrorKind.OTHER, f"GitHub's answer could not be read ({what})")


def _package(wire: _Package, asked_for: PackageType | None) -> Package | None:
    word = wire.package_type or asked_for
    if word not in set(PackageType):
        return None
    for passed_on in (wire.owner, wire.repository):
        _check_depth(passed_on)
    repository_name = None if wire.repository is None else wire.repository.get("full_name")
    if wire.repository is not None and not isinstance(repository_name, str):
        # it belongs to a repository, but the answer does not say to which
        raise _odd("a repository without a name")
    counted = type(wire.version_count) is int and 0 <= wire.version_count <= LARGEST_ID
    return Package(
        id=wire.id,
        key=PackageName(type=PackageType(word), name=wire.name),
        visibility=wire.visibility,
        version_count=wire.version_count if counted else None,
        created_at=_shown_moment(wire.created_at),
        updated_at=_shown_moment(wire.updated_at),
        url=wire.url,
        html_url=wire.html_url,
        owner=wire.owner,
        repository=wire.repository,
        repository_name=repository_name,
    )


def _version(wire: _Version, of: PackageName, same: dict[object, Any]) -> Version:
    written = bytes(wire.metadata)
    if written not in same:
        same[written] = _metadata(written, of.type)
    metadata, tags, tags_known = same[written]
    created_at = _moment(wire.created_at)
    return Version(
        id=wire.id,
        package=of,
        name=wire.name,
        tags=tags,
        tags_known=tags_known,
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


def _metadata(written: bytes, package_type: PackageType) -> tuple[dict[str, Any] | None, tuple[str, ...], bool]:
    """The metadata of a version, its tags, and whether these are all of them."""
    decoded = _decode(_METADATA, written)
    metadata: dict[str, Any] | None = decoded if isinstance(decoded, dict) else None
    _check_depth(metadata)
    return metadata, *_tags(metadata or {}, package_type)


def _tags(metadata: dict[str, Any], package_type: PackageType) -> tuple[tuple[str, ...], bool]:
    """The tags of a version, and whether these are all of them.

    They are in `metadata.container.tags`, or in `metadata.docker` as `tag` or `tags` (docs/github-behaviour.md,
    "Endpoints"). They are all known only if the field of the package's own type has them, and every entry is a tag.
    """
    if not package_type.has_tags:
        return (), True
    found: list[str] = []
    has_own_field, all_are_tags = False, True
    for field, tags in _tag_fields(metadata):
        entries = [tags] if isinstance(tags, str) else tags
        if not isinstance(entries, list):
            raise _odd(f"a {type(entries).__name__} in the place of tags")
        texts = [tag for tag in entries if isinstance(tag, str) and tag]
        found += texts
        all_are_tags = all_are_tags and len(texts) == len(entries)
        has_own_field = has_own_field or field == package_type
    return tuple(dict.fromkeys(found)), has_own_field and all_are_tags


def _tag_fields(metadata: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The values that should be tags, with the field of `metadata` that has them."""
    for field in ("container", "docker"):
        part = metadata.get(field)
        if isinstance(part, dict):
            yield from ((field, part[name]) for name in ("tags", "tag") if part.get(name) is not None)


def _check_depth(value: object, left: int = DEEPEST) -> None:
    """Raise `ApiError` for a value that is nested too deeply to be encoded again."""
    if not left:
        raise _odd(f"more than {DEEPEST} levels")
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for child in children:
        _check_depth(child, left - 1)


def _moment(text: object) -> datetime | None:
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if not EARLIEST < moment < LATEST:
        raise _odd(f"the date {text}")
    return moment if moment.tzinfo is UTC else moment.astimezone(UTC)


def _shown_moment(text: object) -> datetime | None:
    """A date that is only shown, so that an impossible one is not an error."""
    try:
        return _moment(text)
    except ApiError:
        return None
