"""The files of the workspace, behind symbolic links too: a glob means what people see there."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

MOST_BEHIND_LINKS = 200_000
"""So many entries of folders are read behind symbolic links, which may lead to the same ones in many ways."""

TOO_MANY = "lies behind symbolic links that lead to too many files; exclude what is not meant"


@dataclass(kw_only=True)
class Tree:
    """Files, relative and sorted.

    Of the folders that are wanted, `outside` are symbolic links that lead out of the workspace, and `unread` are others
    that could not be read, with the reason. Folders end with a slash.
    """

    files: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)
    unread: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder by its real path and by its path in the workspace; `above` are the real paths on the way to it."""

    real: str
    below: str
    above: frozenset[str]
    is_linked: bool


def read_tree(root: Path, is_wanted: Callable[[str], bool]) -> Tree:
    """Find all files but what git keeps for itself, and those behind links to folders that are wanted."""
    tree = Tree()
    behind_links = 0
    pending = [_Folder(str(root), "", frozenset({str(root)}), is_linked=False)]
    while pending:
        folder = pending.pop()
        try:
            with os.scandir(folder.real) as listing:
                entries = list(listing)
        except OSError as error:
            if is_wanted(folder.below):
                tree.unread[folder.below] = f"cannot be read ({type(error).__name__})"
            continue
        if folder.is_linked:
            behind_links += len(entries)
        if behind_links > MOST_BEHIND_LINKS:
            tree.unread[folder.below] = TOO_MANY
            break
        for entry in entries:
            if not _is_folder(entry):
                tree.files.append(f"{folder.below}{entry.name}")
            elif inner := _inner(folder, entry, root, is_wanted, tree):
                pending.append(inner)
    tree.files.sort()
    tree.outside.sort()
    return tree


def _inner(
    folder: _Folder, entry: "os.DirEntry[str]", root: Path, is_wanted: Callable[[str], bool], tree: Tree
) -> _Folder | None:
    """The folder that an entry is, unless it is not to be read."""
    below = f"{folder.below}{entry.name}/"
    real = f"{folder.real}/{entry.name}"
    if entry.is_symlink():
        if not is_wanted(below):
            return None
        real = os.path.realpath(entry.path)
        if not Path(real).is_relative_to(root):
            tree.outside.append(below)
            return None
    if real in folder.above or ".git" in Path(real).relative_to(root).parts:
        return None
    return _Folder(real, below, folder.above | {real}, is_linked=folder.is_linked or entry.is_symlink())


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:
        # symbolic links in a circle: whoever reads it as a file is told so
        return False
