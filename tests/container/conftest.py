"""The engine and the image, once for all tests of this folder, and a simulator for each."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.container import registry_server, skopeo
from tests.container.building import Engine, NoImage, find_engine, find_image
from tests.container.registry_server import RegistryServer
from tests.container.runner import Runner
from tests.container.skopeo import Skopeo
from tests.simulator import Simulator

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NO_REGISTRY = (
    "these tests push to a real registry server with a real client, and {missing} cannot be found: install the "
    "packages `docker-registry` and `skopeo` (as root on Debian or Ubuntu: apt-get install docker-registry skopeo)"
)


@pytest.fixture(scope="session")
def engine() -> Engine:
    """Without one the tests fail: skipping would hide that nothing ran."""
    try:
        return find_engine()
    except NoImage as failed:
        pytest.fail(str(failed), pytrace=False)


@pytest.fixture(scope="session")
def image(engine: Engine) -> str:
    try:
        return find_image(engine)
    except NoImage as failed:
        pytest.fail(str(failed), pytrace=False)


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator() as simulator:
        yield simulator
        assert simulator.errors == []


@pytest.fixture
def runner(engine: Engine, image: str, simulator: Simulator, tmp_path: Path) -> Runner:
    return Runner(engine, image, api_url=simulator.url, folder=tmp_path)


@pytest.fixture(scope="session")
def tools() -> None:
    """The registry server and its client. Without them the tests fail, as without an engine."""
    missing = [name for name in (registry_server.PROGRAM, skopeo.PROGRAM) if shutil.which(name) is None]
    if missing:
        pytest.fail(NO_REGISTRY.format(missing=" and ".join(missing)), pytrace=False)


@pytest.fixture
def server(tools: None, tmp_path: Path) -> Iterator[RegistryServer]:
    """An empty registry, without authentication: it listens on loopback, and takes any token."""
    with RegistryServer(tmp_path / "registry") as server:
        yield server


@pytest.fixture
def client(server: RegistryServer, tmp_path: Path) -> Skopeo:
    folder = tmp_path / "skopeo"
    folder.mkdir()
    return Skopeo(server.address, folder)
