"""What a manifest takes up in the registry, by what it says of its blobs, and by what hostile ones say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from package_keeper.github.manifests import digest_of, manifest
from package_keeper.model.images import Graph, Image
from package_keeper.model.manifest import OCI_INDEX, OCI_MANIFEST
from tests.simulator.images import CONFIG, LAYER
from tests.simulator.shapes import CACHE_CONFIG, NOBODY_KNOWS
from tests.unit.model.worlds import container, digest

CONFIGURATION = {"mediaType": CONFIG, "digest": digest(1 << 200), "size": 100}
WINDOWS = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
NONDISTRIBUTABLE = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"


def layer(number: int, size: Any = 1000, **more: Any) -> dict[str, Any]:
    return {"mediaType": LAYER, "digest": digest(number << 200), "size": size} | more


def size_of(document: str) -> int | None:
    """The size of an image of one manifest beside that manifest's own bytes; `None` when it is unknown."""
    body = document.encode()
    root = container(1, digest_of(body))
    size = Graph([root], {root.name: manifest(root.name, body)}).size_of(Image(root=root))
    return None if size is None else size - len(body)


def image(*layers: Any, config: Any = CONFIGURATION) -> str:
    return json.dumps({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": layers})


def index(*entries: Any) -> str:
    return json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries})


def test_an_image_has_the_size_of_its_layers_and_its_configuration() -> None:
    assert size_of(image(layer(2), layer(3))) == 2100
    assert size_of(image()) == 100


def test_a_layer_that_is_used_twice_counts_once() -> None:
    assert size_of(image(layer(2), layer(3), layer(2))) == 2100


@pytest.mark.parametrize(
    "more",
    [
        {"mediaType": WINDOWS},
        {"mediaType": NONDISTRIBUTABLE},
        {"urls": ["https://mcr.example/layer"]},
        {"data": "e30="},
    ],
)
def test_a_layer_that_is_stored_elsewhere_does_not_count(more: dict[str, Any]) -> None:
    assert size_of(image(layer(2), layer(3, 10**10, **more))) == 1100


def test_a_layer_without_urls_is_stored_here() -> None:
    assert size_of(image(layer(2, urls=[]), layer(3, urls=None, data=None))) == 2100


def test_the_cache_of_a_build_is_as_large_as_its_entries() -> None:
    cache = {"mediaType": CACHE_CONFIG, "digest": digest(4 << 200), "size": 7}
    assert size_of(index(layer(2), layer(3), cache)) == 2007


def test_an_entry_that_may_be_a_blob_of_any_size_leaves_the_size_unknown() -> None:
    assert size_of(index(layer(2, mediaType=NOBODY_KNOWS))) is None


@pytest.mark.parametrize(
    "size",
    ["-1", "1.5", "1e3", '"1000"', "true", "null", "{}", "[]", "1" + "0" * 18, "9" * 400],
)
def test_a_size_that_is_no_sensible_number_is_unknown(size: str) -> None:
    document = image(layer(2, "SIZE")).replace('"SIZE"', size)
    assert size_of(document) is None


def test_a_missing_size_is_unknown() -> None:
    entry = layer(2)
    del entry["size"]
    assert size_of(image(entry)) is None


@pytest.mark.parametrize("entry", [5, None, "layer", [], {}, {"digest": 5, "size": 1}, {"size": 1}])
def test_an_entry_that_is_no_descriptor_leaves_the_size_unknown(entry: Any) -> None:
    assert size_of(image(layer(2), entry)) is None


@pytest.mark.parametrize("name", ["sha512:" + "a" * 128, "sha256:" + "A" * 64, "", "sha256:é"])
def test_a_digest_of_another_kind_leaves_the_size_unknown(name: str) -> None:
    assert size_of(image(layer(2, digest=name))) is None


NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
SIZES: Any = NUMBERS | st.none() | st.booleans() | st.text() | st.lists(st.integers(), max_size=2)


@given(st.lists(SIZES, max_size=4), st.booleans())
def test_no_size_makes_a_manifest_unreadable_or_negative(sizes: list[Any], is_index: bool) -> None:
    entries = [layer(number, size) for number, size in enumerate(sizes, start=2)]
    document = json.dumps({"schemaVersion": 2, "manifests" if is_index else "layers": entries}, allow_nan=False)
    size = size_of(document)
    assert size is None or size >= 0
