"""What an installed package brings: types, addresses, and a way to start it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

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


def test_types_are_shipped() -> None:
    assert (ROOT / "src" / "package_keeper" / "py.typed").is_file()
    assert "py.typed" in PROJECT["tool"]["setuptools"]["package-data"]["*"]


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
