"""tools/release.py, tried dry: it prints what it would do, and does none of it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
DIGEST = "sha256:" + "0123456789abcdef" * 4


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "tools" / "release.py"), *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)


def state() -> str:
    """The files, the branch and the tags of the checkout."""
    commands = ["git status --porcelain --branch", "git tag --list", "git branch --list", "git diff"]
    return "\n".join(subprocess.check_output(command.split(), cwd=ROOT, text=True) for command in commands)


def test_a_dry_pin_shows_every_command_and_changes_nothing() -> None:
    before, done = state(), run("pin", DIGEST)
    assert done.returncode == 0
    assert re.findall(r"^would run: (\w+ \w+)", done.stderr, re.MULTILINE) == [
        "git switch",
        "git commit",
        "git push",
        "gh pr",
    ]
    assert state() == before


def test_a_dry_index_names_both_architectures() -> None:
    done = run("index", f"amd64={DIGEST}", f"arm64={DIGEST}")
    assert done.returncode == 0
    assert done.stderr.count("manifest add") == 2
    assert done.stdout == ""
    assert run("index", f"amd64={DIGEST}").returncode == 1


def test_what_names_no_digest_is_not_tagged() -> None:
    before, done = state(), run("tag")
    assert done.returncode == 1
    assert "action.yml does not name the image by its digest" in done.stderr
    assert state() == before


def test_another_version_than_this_is_refused() -> None:
    done = run("check", "99.0.0")
    assert done.returncode == 1
    assert "not 99.0.0" in done.stderr


def test_the_sbom_has_what_is_in_the_image_and_nothing_else(tmp_path: Path) -> None:
    assert run("sbom", str(tmp_path / "sbom.json")).returncode == 0
    document = json.loads((tmp_path / "sbom.json").read_text(encoding="utf-8"))
    names = {component["name"] for component in document["components"]}
    assert {"python", "pygithub", "requests", "msgspec"} <= names
    assert not names & {"cryptography", "pynacl", "cffi", "pycparser", "colorama"}
    base = document["components"][0]["version"]
    assert re.fullmatch(r"python:3\.13-slim@sha256:[0-9a-f]{64}", base)
