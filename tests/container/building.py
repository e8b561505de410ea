"""The container engine and the image under test: built here, or the one that `PACKAGE_KEEPER_IMAGE` names."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
BUILT = "package-keeper:test"
GIVEN = "PACKAGE_KEEPER_IMAGE"
"""The variable that names an image by reference, so that a release runs the tests on the one that it published."""
GIVEN_BASE = "PACKAGE_KEEPER_BASE"
"""The variable that names the base of that image, where it is not the one that the Dockerfile names."""
NO_ENGINE = (
    "the image needs a container engine, and neither `docker info` nor `podman info` works here: install Docker (its "
    "service running, your user in the group `docker`) or Podman"
)


class NoImage(Exception):
    """There is no engine, or the image cannot be built; the message has what the engine printed."""


@dataclass(frozen=True)
class Engine:
    """`docker` or `podman`; both know the options used here."""

    name: str

    def run(self, *arguments: str) -> str:
        """Run a command to its end. Raises `NoImage`."""
        # chroot: Podman then needs no rights for namespaces to build, so that it works inside containers too
        environment = {"BUILDAH_ISOLATION": "chroot"} | dict(os.environ)
        command = [self.name, *arguments]
        done = subprocess.run(command, check=False, cwd=ROOT, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise NoImage(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
        return done.stdout

    def build(self, tag: str, *options: str) -> str:
        """Build the image of this checkout; gives its id."""
        self.run("build", "--network=host", "--tag", tag, *options, ".")
        return str(self.inspect(tag)["Id"])

    def inspect(self, image: str) -> dict[str, Any]:
        """What the engine knows about an image."""
        (found,) = json.loads(self.run("image", "inspect", image))
        return dict(found)


def find_engine() -> Engine:
    """Docker or Podman, whichever works. Raises `NoImage`."""
    for name in ("docker", "podman"):
        if shutil.which(name) and not subprocess.run([name, "info"], check=False, capture_output=True).returncode:
            return Engine(name)
    raise NoImage(NO_ENGINE)


def find_image(engine: Engine) -> str:
    """The image under test. Raises `NoImage`."""
    if given := os.environ.get(GIVEN):
        return given
    engine.build(BUILT)
    return BUILT


def base() -> str:
    """What the image is built on."""
    if given := os.environ.get(GIVEN_BASE):
        return given
    found = re.search(r"^ARG BASE=(\S+)$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    if not found:
        raise NoImage("the Dockerfile does not name its base")
    return found[1]


def compressed_size(engine: Engine, image: str, below: str) -> int:
    """Bytes of the layers that an image adds to its base, compressed as a registry stores them."""
    layers = set(engine.inspect(image)["RootFS"]["Layers"]) - set(engine.inspect(below)["RootFS"]["Layers"])
    found: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder, "image.tar")
        engine.run("save", "--output", str(saved), image)
        with tarfile.open(saved) as archive:
            for member in archive:
                file = archive.extractfile(member)
                content = file.read() if file else b""
                if content[:2] == b"\x1f\x8b":
                    content = gzip.decompress(content)
                digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
                if digest in layers:
                    found[digest] = len(gzip.compress(content, mtime=0))
    if found.keys() != layers:
        raise NoImage(f"{image}: not every layer was saved")
    return sum(found.values())
