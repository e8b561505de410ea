"""The engine and the image, once for all tests of this folder, and a simulator for each."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.container import registry_server, skopeo
from tests.container.registry_server import RegistryServer
from tests.container.runner import Engine, Runner
from tests.container.skopeo import Skopeo
from tests.simulator import Simulator

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent.parent
IMAGE = "package-keeper:test"
NO_ENGINE = (
    "these tests build and run a container, and neither `docker info` nor `podman info` works here: install "
    "Docker (its service running, your user in the group `docker`) or Podman"
)
NO_REGISTRY = (
    "these tests push to a real registry server with a real client, and {missing} cannot be found: install the "
    "packages `docker-registry` and `skopeo` (as root on Debian or Ubuntu: apt-get install docker-registry skopeo)"
)


@pytest.fixture(scope="session")
def engine() -> Engine:
    """Docker or Podman, whichever works. Without one the tests fail: skipping would hide that nothing ran."""
    for name in ("docker", "podman"):
        if shutil.which(name) and not subprocess.run([name, "info"], check=False, capture_output=True).returncode:
            return Engine(name)
    pytest.fail(NO_ENGINE, pytrace=False)


@pytest.fixture(scope="session")
def image(engine: Engine) -> str:
    command = [engine.name, "build", "--network=host", "--tag", IMAGE, "."]
    # chroot: Podman then needs no rights for namespaces to build, so that it works inside containers too
    environment = {"BUILDAH_ISOLATION": "chroot"} | dict(os.environ)
    done = subprocess.run(
        command,
        check=False,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        pytest.fail(f"{' '.join(command)} failed:\n{done.stdout}", pytrace=False)
    return IMAGE


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
