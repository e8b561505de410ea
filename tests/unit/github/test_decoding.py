"""Whatever GitHub answers: it becomes valid versions or an `ApiError`, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from package_keeper.errors import ApiError, ApiErrorKind
from package_keeper.github import decode
from package_keeper.model.images import independent_images
from package_keeper.model.packages import Package, PackageName, PackageType, Timestamp, Version
from package_keeper.model.plan import Action
from package_keeper.policy.evaluation import evaluate_deletions
from package_keeper.policy.retention import Counts
from package_keeper.policy.sql import Inventory
from package_keeper.report.documents import dumps, package_document, version_document
from tests.unit.making import NOW, rule, rules

T = TypeVar("T")

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(2**62, 2**66)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["\x00", "\ud800", "v1", "container", "tags"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
DATES = st.one_of(
    st.datetimes().map(lambda moment: moment.isoformat() + "Z"),
    st.sampled_from(
        [
            "0001-01-01T00:00:00Z",
            "0001-01-01T00:00:00+14:00",
            "1970-01-01T00:00:00Z",
            "2026-01-01T00:00:00+05:30",
            "2026-01-01T00:00:00",
            "2026-01-01",
            "9999-12-31T23:59:59.999999-12:00",
            "yesterday",
        ]
    ),
    VALUES,
)
TAGS = st.lists(st.sampled_from(["v1", "pr-1", ""]), max_size=3) | VALUES
PARTS = st.fixed_dictionaries({}, optional={"tags": TAGS, "tag": TAGS}) | VALUES
METADATA = st.fixed_dictionaries({}, optional={"container": PARTS, "docker": PARTS, "package_type": VALUES}) | VALUES
ENTRIES = st.fixed_dictionaries(
    {"id": st.integers(1, 9) | VALUES, "name": st.text(max_size=8) | VALUES},
    optional={
        "created_at": DATES,
        "updated_at": DATES,
        "deleted_at": DATES,
        "metadata": METADATA,
        "description": st.none() | st.text(max_size=4) | VALUES,
        "html_url": st.none() | st.text(max_size=4) | VALUES,
    },
)
TYPES = st.sampled_from([PackageType.CONTAINER, PackageType.DOCKER, PackageType.NPM])


def decoded(read: Callable[[], T]) -> T | ApiErrorKind:
    """The decoded value, or the error."""
    try:
        return read()
    except ApiError as refused:
        return refused.kind


@given(entries=st.lists(ENTRIES, max_size=3) | VALUES, package_type=TYPES)
def test_versions_are_decoded_fully_or_fail(entries: Any, package_type: PackageType) -> None:
    of = PackageName(type=package_type, name="app")
    found = decoded(lambda: decode.versions(json.dumps(entries).encode(), of))
    if isinstance(found, ApiErrorKind):
        assert found is ApiErrorKind.OTHER
        return
    for version in found:
        document = version_document(version)
        dumps(document).encode()
        assert (document["tags"] is None) is not version.tags_known
        assert 1 <= version.id < 2**63
        for timestamp in Timestamp:
            moment = version.at(timestamp)
            assert moment is None or (moment + timedelta(days=30)).utcoffset() == timedelta()
    counts = Counts(daily=1, weekly=1, monthly=1, yearly=1, latest=1)
    judged = evaluate_deletions(independent_images(found), rules(rule(older=1, counts=counts)))
    assert all(each.action is Action.KEEP for each in judged if not each.version.tags_known)
    inventory = Inventory(
        packages=[], versions=found, owner="acme", now=NOW, timestamp=Timestamp.UPDATED, may_go_on=lambda: True
    )
    selected = inventory.selected("age_days > 0 OR NOT tagged OR metadata LIKE '%'")
    assert selected <= {version.id for version in found}
    dumps(inventory.query("SELECT * FROM versions LEFT JOIN tags ON id = version_id"))


@given(body=st.binary(max_size=40) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_decoded_or_raise_an_api_error(body: bytes) -> None:
    of = PackageName(type=PackageType.CONTAINER, name="app")
    reads: list[Callable[[], object]] = [
        lambda: decode.versions(body, of),
        lambda: decode.version(body, of),
        lambda: decode.packages(body, None),
        lambda: decode.package(body, PackageType.NPM),
    ]
    for read in reads:
        found = decoded(read)
        assert not isinstance(found, ApiErrorKind) or found in (ApiErrorKind.OTHER, ApiErrorKind.UNREACHABLE)


PACKAGES = st.fixed_dictionaries(
    {"id": st.integers(1, 9) | VALUES, "name": st.text(max_size=8)},
    optional={
        "package_type": st.sampled_from(["npm", "container", "conda"]) | VALUES,
        "version_count": VALUES,
        "created_at": DATES,
        "updated_at": DATES,
        "owner": VALUES,
        "repository": st.fixed_dictionaries({"full_name": VALUES}) | VALUES,
        "visibility": st.none() | st.text(max_size=4) | VALUES,
    },
)


@given(entries=st.lists(PACKAGES, max_size=3))
def test_packages_are_decoded_fully_or_fail(entries: Any) -> None:
    found = decoded(lambda: decode.packages(json.dumps(entries).encode(), PackageType.NPM))
    if isinstance(found, ApiErrorKind):
        assert found is ApiErrorKind.OTHER
        return
    assert len(found) >= sum(entry.get("package_type", "npm") == "npm" for entry in entries)
    readable = [package for package in found if isinstance(package, Package)]
    for package in readable:
        dumps(package_document(package)).encode()
    inventory = Inventory(
        packages=readable, versions=[], owner="acme", now=NOW, timestamp=Timestamp.UPDATED, may_go_on=lambda: True
    )
    dumps(inventory.query("SELECT * FROM packages"))


def tags_of(metadata: str, package_type: str = "container") -> Version:
    body = f'{{"id": 1, "name": "a", "metadata": {metadata}}}' if metadata else '{"id": 1, "name": "a"}'
    return decode.version(body.encode(), PackageName(type=PackageType(package_type), name="app"))


@pytest.mark.parametrize("package_type", ["container", "docker"])
@pytest.mark.parametrize(
    "metadata",
    [
        "",
        "null",
        "5",
        "[]",
        '"v1"',
        "{}",
        '{"TYPE": null}',
        '{"TYPE": 5}',
        '{"TYPE": ["v1"]}',
        '{"TYPE": {}}',
        '{"TYPE": {"tags": null}}',
        '{"TYPE": {"tags": null, "tag": null}}',
        '{"TYPE": {"tags": [5]}}',
        '{"TYPE": {"tags": [null]}}',
        '{"TYPE": {"tags": [["v1"]]}}',
        '{"TYPE": {"tags": [""]}}',
        '{"TYPE": {"tags": ""}}',
        '{"package_type": "TYPE", "other": {"tags": []}}',
    ],
)
def test_tags_that_are_left_out_are_unknown(metadata: str, package_type: str) -> None:
    version = tags_of(metadata.replace("TYPE", package_type), package_type)
    assert version.tags == ()
    assert not version.tags_known


@pytest.mark.parametrize(
    ("metadata", "package_type", "tags", "known"),
    [
        ('{"container": {"tags": []}}', "container", (), True),
        ('{"container": {"tags": ["v1", "v1", "v2"]}}', "container", ("v1", "v2"), True),
        ('{"container": {"tags": "v1"}}', "container", ("v1",), True),
        ('{"container": {"tags": ["v1", 5]}}', "container", ("v1",), False),
        ('{"docker": {"tags": ["v1"]}}', "container", ("v1",), False),
        ('{"docker": {"tag": []}}', "docker", (), True),
        ('{"docker": {"tag": ["1.0"], "tags": null}}', "docker", ("1.0",), True),
        ('{"docker": {"tag": ["1.0"], "tags": [""]}}', "docker", ("1.0",), False),
        ("", "npm", (), True),
        ('{"container": {"tags": 5}}', "npm", (), True),
    ],
)
def test_tags_are_found_in_every_field(metadata: str, package_type: str, tags: tuple[str, ...], known: bool) -> None:
    version = tags_of(metadata, package_type)
    assert (version.tags, version.tags_known) == (tags, known)


@pytest.mark.parametrize("tags", ["5", "true", "1.5", '{"v1": true}'])
def test_tags_that_are_not_a_list_are_an_error(tags: str) -> None:
    with pytest.raises(ApiError, match="in the place of tags"):
        tags_of(f'{{"container": {{"tags": {tags}}}}}')
