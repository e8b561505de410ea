"""The files of a workspace: what symbolic links lead to, and what cannot be read."""

import os
from pathlib import Path
from typing import Any

import pytest

from package_keeper.runner import workspace as tree_module
from package_keeper.runner.workspace import TOO_MANY, read_tree


def make(root: Path, *files: str, links: dict[str, str] | None = None) -> Path:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()
    for link, target in (links or {}).items():
        (root / link).parent.mkdir(parents=True, exist_ok=True)
        (root / link).symlink_to(target)
    return root.resolve()


def everything(_: str) -> bool:
    return True


def test_a_file_is_found_by_every_path_that_leads_to_it(tmp_path: Path) -> None:
    root = make(
        tmp_path, "real/a.yaml", "real/deep/b.yaml", links={"one": "real", "two": "one", "real/c.yaml": "a.yaml"}
    )
    found = read_tree(root, everything)
    inside = ["a.yaml", "c.yaml", "deep/b.yaml"]
    assert found.files == sorted(f"{folder}/{file}" for folder in ("real", "one", "two") for file in inside)
    assert not found.outside
    assert not found.unread


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    links = {"a/up": "..", "a/self": ".", "b/a": "../a", "a/b": "../b", "loop": "loop", "x": "y", "y": "x"}
    root = make(tmp_path, "a/file", "b/file", links=links)
    assert read_tree(root, everything).files == ["a/b/file", "a/file", "b/a/file", "b/file", "loop", "x", "y"]


def test_files_of_git_are_left_out_behind_links_too(tmp_path: Path) -> None:
    root = make(tmp_path, ".git/config", "sub/.git/config", ".github/a.yml", links={"git": ".git", "refs": "sub/.git"})
    assert read_tree(root, everything).files == [".github/a.yml"]


def test_a_link_out_of_the_workspace_is_reported_and_not_followed(tmp_path: Path) -> None:
    make(tmp_path / "outside", "secret.yaml")
    root = make(tmp_path / "root", "in/a.yaml", links={"in/out": "../../outside", "root2": "../root", "other": "/"})
    found = read_tree(root, lambda folder: folder.startswith("in/"))
    assert found.files == ["in/a.yaml"]
    assert found.outside == ["in/out/"]


def test_a_link_that_is_not_wanted_is_not_followed(tmp_path: Path) -> None:
    root = make(tmp_path, "a/file", links={"b": "a", "c": "a"})
    assert read_tree(root, lambda folder: folder == "c/").files == ["a/file", "c/file"]


def test_an_unreadable_folder_is_reported_where_it_is_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make(tmp_path, "a/file", "b/file", "c/file")
    scandir = os.scandir

    def refusing(folder: str) -> Any:
        # root, as whom tests may run, can read every folder
        if folder.endswith(("/a", "/b")):
            raise PermissionError
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refusing)
    found = read_tree(root, lambda folder: folder == "a/")
    assert found.files == ["c/file"]
    assert found.unread == {"a/": "cannot be read (PermissionError)"}


def test_links_that_lead_to_the_same_folders_in_very_many_ways_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree_module, "MOST_BEHIND_LINKS", 1_000)
    folders = [f"f{number}" for number in range(12)]
    links = {f"{one}/{other}": f"../{other}" for one in folders for other in folders if one != other}
    found = read_tree(make(tmp_path, "f0/file", links=links), everything)
    assert list(found.unread.values()) == [TOO_MANY]
