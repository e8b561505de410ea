"""The files that the globs of `keep-used-in` match, and the problems with them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from package_keeper.errors import BadInput
from package_keeper.inputs.file_globs import parse_globs
from package_keeper.main.files_in_use import FilesInUse
from package_keeper.runner.workspace import Workspace

NAMES = "image: ghcr.io/acme/app:v1\n"


def workspace(root: Path, *files: str | bytes) -> Workspace:
    for file in files:
        Path(os.fsdecode(os.path.join(os.fsencode(root), os.fsencode(file)))).write_text(NAMES, encoding="utf-8")  # noqa: PTH118 - bytes
    return Workspace(root)


def test_the_name_of_a_file_may_have_bytes_that_are_not_utf_8(tmp_path: Path) -> None:
    files = FilesInUse("*.yaml", workspace(tmp_path, b"\xff.yaml"), "acme/clean")
    assert files.problems == files.search("acme") == []
    [reference] = files.images("acme", "acme").references
    # it is written into files and logs, which are
    assert reference.place == "\ufffd.yaml:1"


def test_files_are_searched_again_when_github_reports_another_login(tmp_path: Path) -> None:
    files = FilesInUse("*.yaml", workspace(tmp_path, "a.yaml"), "")
    assert files.search("old-name") == []
    with pytest.raises(BadInput, match="names an image of new-name"):
        files.images("new-name", "old-name")
    assert files.images("ACME", "old-name").references


@pytest.mark.parametrize(
    ("globs", "folder", "reaches"),
    [
        ("deploy/*.yaml", "deploy/", True),
        ("deploy/*.yaml", "deploy/deep/", True),
        ("deploy/*.yaml", "other/", False),
        ("deploy/prod/*.yaml", "deploy/", True),
        ("deploy/prod/*.yaml", "deploy/test/", False),
        ("deploy/[pt]*/a.yaml", "deploy/test/", True),
        ("deploy/[pt]*/a.yaml", "deploy/live/", False),
        ("./deploy/a.yaml", "deploy/", True),
        ("**/a.yaml", "any/", True),
        ("*.yaml", "any/", True),
        ("a.yaml", "any/", False),
        ("/\\.yaml$/", "any/", True),
        ("!any/*", "any/", False),
        ("!any/*", "other/", True),
        ("*,!any/*", "any/", False),
        ("*,!any/a.yaml", "any/", True),
    ],
)
def test_a_folder_is_reached_when_a_glob_could_mean_a_file_in_it(globs: str, folder: str, reaches: bool) -> None:
    found, problems = parse_globs(globs)
    assert not problems
    assert found.reach_into(folder) is reaches
