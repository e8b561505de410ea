"""The engine and the image, once for all tests of this folder, and a simulator for each."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.container.runner import Engine, Runner
from tests.simulator import Simulator

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent.parent
IMAGE = "package-keeper:test"
NO_ENGINE = (
    "these tests build and run a container, and neither `docker info` nor `podman info` works here: install "
    "Docker (its service running, your user in the group `docker`) or Podman"
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
