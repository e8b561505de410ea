"""What an installed package brings: types, addresses, and a way to start it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import package_keeper

ROOT = Path(__file__).resolve().parent.parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_the_module_is_the_command_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "package_keeper", "--version"],
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    assert done.stdout == f"package-keeper {package_keeper.__version__}\n"


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The wheel and the sdist, each built twice: from the checkout, and from a copy of it at another time."""
    twice = []
    for name in ("here", "copy"):
        folder = tmp_path_factory.mktemp(name)
        source = ROOT
        if name == "copy":
            source = folder / "source"
            for part in (".gitignore", "src", "LICENSE", "README.md", "CHANGELOG.md", "pyproject.toml"):
                copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copyfile
                source.mkdir(exist_ok=True)
                copy(ROOT / part, source / part)
        command = [sys.executable, "-m", "hatchling", "build", "--directory", str(folder / "dist")]
        subprocess.run(command, check=True, cwd=source, capture_output=True)
        twice.append({file.name: file for file in (folder / "dist").iterdir()})
    first, second = twice
    assert sorted(first) == sorted(second)
    for name, file in first.items():
        assert file.read_bytes() == second[name].read_bytes(), f"{name} is not the same when it is built again"
    wheel, sdist = sorted(first.values(), key=lambda file: file.suffix, reverse=True)
    return wheel, sdist


def test_the_wheel_has_the_program_and_its_types(built: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(built[0]) as wheel:
        names = set(wheel.namelist())
        (metadata,) = (wheel.read(name).decode() for name in names if name.endswith(".dist-info/METADATA"))
        (entries,) = (wheel.read(name).decode() for name in names if name.endswith("entry_points.txt"))
    source = ROOT / "src"
    wanted = {file.relative_to(source).as_posix() for file in source.rglob("*") if file.is_file()}
    wanted = {name for name in wanted if "__pycache__" not in name and ".egg-info" not in name}
    assert {name for name in names if ".dist-info/" not in name} == wanted
    assert "package_keeper/py.typed" in wanted
    assert f"\nVersion: {package_keeper.__version__}\n" in metadata
    assert "package-keeper = package_keeper.__main__:command_line" in entries
    # PyPI knows nothing of the files beside the README
    assert re.findall(r"\]\((?![a-z]+:|#)[^)]*\)", metadata) == []
    assert re.findall(r'(?:src|srcset)="(?!https:)[^"]*"', metadata) == []
    assert f"/blob/v{package_keeper.__version__}/docs/reference.md" in metadata


def test_the_sdist_builds_the_same_wheel(built: tuple[Path, Path], tmp_path: Path) -> None:
    with tarfile.open(built[1]) as sdist:
        sdist.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    subprocess.run([sys.executable, "-m", "hatchling", "build", "--target", "wheel"], check=True, cwd=source)
    (wheel,) = (source / "dist").iterdir()
    assert wheel.read_bytes() == built[0].read_bytes()


def test_an_installed_wheel_starts(built: tuple[Path, Path], tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target", str(tmp_path)]
    subprocess.run([*pip, str(built[0])], check=True)
    done = subprocess.run(
        [str(tmp_path / "bin" / "package-keeper"), "--version"],
        check=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    assert done.stdout == f"package-keeper {package_keeper.__version__}\n"


def test_what_is_locked_lies_in_the_ranges_of_the_metadata() -> None:
    ranges = {requirement.name: requirement for requirement in map(Requirement, PROJECT["project"]["dependencies"])}
    pins = re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "requirements" / "runtime.in").read_text("utf-8"), re.MULTILINE)
    assert sorted(ranges) == sorted(name for name, _ in pins)
    assert [name for name, version in pins if not ranges[name].specifier.contains(version)] == []
    dev = (ROOT / "requirements" / "dev.in").read_text("utf-8")
    assert [pin for pin in PROJECT["build-system"]["requires"] if f"\n{pin}\n" not in dev] == []


def test_one_repository_is_named_everywhere() -> None:
    repository = re.fullmatch(r"https://github\.com/([^/]+)/package-keeper", PROJECT["project"]["urls"]["Homepage"])
    assert repository
    owner = repository[1]
    assert all(url.startswith(repository[0]) for url in PROJECT["project"]["urls"].values())
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "docs").rglob("*.yml")]
    found = {
        each[1]
        for page in pages
        for each in re.finditer(r"(?:uses: |github\.com/)([\w-]+)/package-keeper\b", page.read_text(encoding="utf-8"))
    }
    assert found == {owner}
    assert f"* @{owner}\n" in (ROOT / ".github" / "CODEOWNERS").read_text(encoding="utf-8")


def test_the_image_is_labelled_with_this_version_and_repository() -> None:
    arguments = dict(re.findall(r"^ARG (\w+)=(\S*)$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE))
    assert arguments["VERSION"] == package_keeper.__version__
    assert arguments["SOURCE"] == PROJECT["project"]["urls"]["Homepage"]
