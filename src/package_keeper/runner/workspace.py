"""The workspace: every file that a user names lies in it, and what we write there belongs to its owner.

Files made by root in the workspace break later checkouts on self-hosted runners (docs/github-behaviour.md, "The Actions
runner").
"""

import codecs
import contextlib
import errno
import hashlib
import os
import secrets
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from package_keeper.errors import PackageKeeperError

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


class PathProblem(ValueError):
    """A path cannot be used; the message says why and what is accepted."""


class NoRegularFile(OSError):
    """What is there is a folder, a pipe, a socket or a device."""

    def __init__(self) -> None:
        super().__init__(errno.EINVAL, "is no regular file")


class FileUnwritable(PackageKeeperError):
    """A file that the run must write cannot be written."""


class Workspace:
    """The folder that paths in inputs and outputs are relative to."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()

    def resolve(self, text: str) -> Path:
        """Find the place of a path as written. Raises `PathProblem` when it leaves the workspace."""
        if "\0" in text or "\n" in text:
            raise PathProblem("is no path")
        try:
            place = (self.root / text).resolve()
            place.exists()
        except (OSError, RuntimeError, ValueError):
            # a name too long for the file system, or symbolic links in a circle
            raise PathProblem("is no path that can be used") from None
        if not place.is_relative_to(self.root) or place == self.root:
            raise PathProblem("is outside the workspace; accepted is a path inside, relative to it")
        return place

    def relative(self, place: Path) -> str:
        """The path as outputs give it."""
        return place.relative_to(self.root).as_posix()

    def problems(self, paths: Mapping[str, str]) -> list[str]:
        """Find out before the first request what is wrong with the paths given, by the names of their inputs.

        `undo` and `policy` are read and `manifest-cache` is a folder; the others are written. No two may be the same
        file: a receipt that is overwritten cannot be taken back.
        """
        found: list[str] = []
        names: dict[Path, str] = {}
        for name, text in paths.items():
            if not text:
                continue
            try:
                place = self.resolve(text)
                if name in ("receipt", "output-file"):
                    _check_writable(place)
                elif name == "manifest-cache":
                    _check_folder(place)
            except PathProblem as problem:
                # what is read says it itself then
                found += [f"{name}: '{text}' {problem}"] if name not in ("undo", "policy") else []
                continue
            # the receipt that is taken back may have the name of the new one, which then gets a number
            same = (name, "receipt") if name == "undo" else (name,)
            if names.setdefault(place, name) not in same:
                found.append(f"{name}: '{text}' is the file of {names[place]} too; accepted is a path of its own")
        return found

    def read(self, text: str) -> str:
        """Read a file. Raises `PathProblem`."""
        return _decoded(self._read(text), errors="replace")

    def read_strictly(self, text: str) -> str:
        """Read a file in which every character counts. Raises `PathProblem`."""
        try:
            return _decoded(self._read(text), errors="strict")
        except UnicodeDecodeError:
            raise PathProblem("is no UTF-8 text") from None

    def readings(self, text: str) -> list[str]:
        """Read a file in which something is searched for, in every way in which it may be meant. Raises `PathProblem`.

        Beside its text these are the bytes one by one, without zeros, where it is no UTF-8: UTF-16 and UTF-32 without a
        mark, other encodings, binary files with names in them.
        """
        data = self._read(text)
        found = [_decoded(data, errors="replace")]
        if b"\0" in data or "\ufffd" in found[0]:
            found.append(data.replace(b"\0", b"").decode("latin-1"))
        return found

    def _read(self, text: str) -> bytes:
        place = self.resolve(text)
        try:
            return read_regular(place)
        except FileNotFoundError:
            raise PathProblem("does not exist in the workspace") from None
        except NoRegularFile:
            raise PathProblem("is no regular file; accepted is the path of a file") from None
        except OSError as error:
            raise PathProblem(f"cannot be read ({type(error).__name__})") from None

    def write(self, text: str, content: str) -> str:
        """Write a file, and give its relative path. Raises `FileUnwritable`."""
        try:
            place = self.resolve(text)
            self._make_parents(place)
            with os.fdopen(_open_regular(place, os.O_WRONLY | os.O_CREAT), "wb") as file:
                file.truncate()
                # a name that is no UTF-8 reads as its escape, in JSON too
                file.write(content.encode(errors="backslashreplace"))
            self.chown_to_workspace_owner(place)
        except (OSError, PathProblem) as error:
            raise FileUnwritable(f"{text} cannot be written: {error}") from None
        return self.relative(place)

    def create_receipt(self, text: str) -> "ReceiptFile":
        """Make a new file for a receipt; when one exists, a number is added to the name. Raises `FileUnwritable`."""
        try:
            wanted = self.resolve(text)
            self._make_parents(wanted)
            for number in range(1, 100_000):
                place = wanted if number == 1 else wanted.with_stem(f"{wanted.stem}-{number}")
                try:
                    descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
                except FileExistsError:
                    continue
                self.chown_to_workspace_owner(place)
                _sync_folder(place.parent)
                return ReceiptFile(descriptor, self.relative(place))
        except (OSError, PathProblem) as error:
            raise FileUnwritable(f"the receipt {text} cannot be written, so nothing is: {error}") from None
        raise FileUnwritable(f"there are too many receipts named like {text}")

    def _make_parents(self, place: Path) -> None:
        missing = [parent for parent in place.parents if not parent.exists()]
        for parent in reversed(missing):
            parent.mkdir(exist_ok=True)
            self.chown_to_workspace_owner(parent)

    def chown_to_workspace_owner(self, place: Path) -> None:
        """Hand a file or folder that we made to the workspace's owner."""
        owner = self.root.stat()
        # only root may, and only root makes files that the runner's user cannot remove
        with contextlib.suppress(PermissionError):
            os.chown(place, owner.st_uid, owner.st_gid, follow_symlinks=False)


def _decoded(data: bytes, errors: str) -> str:
    # PowerShell writes UTF-16 by itself; a file that broke off inside a character is read as far as it goes
    utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return data.decode("utf-16" if utf16 else "utf-8-sig", errors=errors)


class ReceiptFile:
    """A new file that is only appended to; every line is on disk before the next thing happens."""

    def __init__(self, descriptor: int, path: str) -> None:
        self._descriptor = descriptor
        self._broke_off = False
        self.path = path

    def append(self, line: bytes) -> None:
        """Write one or several lines and wait until they are on disk. Raises `FileUnwritable`.

        A full disk may take part of a line. What comes next begins on a line of its own.
        """
        rest = b"\n" + line if self._broke_off else line
        try:
            while rest:
                written = os.write(self._descriptor, rest)
                self._broke_off = not rest[:written].endswith(b"\n") if written else self._broke_off
                rest = rest[written:]
            os.fsync(self._descriptor)
        except OSError as error:
            raise FileUnwritable(f"the receipt {self.path} cannot be written any more: {error}") from None

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)


def _check_folder(place: Path) -> None:
    if place.exists() and not place.is_dir():
        raise PathProblem("is a file; accepted is a folder, or a name that is free")


def read_regular(place: Path) -> bytes:
    """Read a file that is one. Raises `OSError`, `NoRegularFile` for what nobody may ever write to."""
    with os.fdopen(_open_regular(place, os.O_RDONLY), "rb") as file:
        return file.read()


def _open_regular(place: Path, how: int) -> int:
    """Open a file, and only then see what it is: before that somebody could put something else there.

    Without blocking: a pipe would wait for somebody at its other end.
    """
    try:
        descriptor = os.open(place, how | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    except OSError as error:
        # a socket, or a pipe or device that has nobody at its other end
        if error.errno in (errno.ENXIO, errno.ENODEV, errno.EISDIR):
            raise NoRegularFile from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NoRegularFile
    return descriptor


def _check_writable(place: Path) -> None:
    if place.is_dir():
        raise PathProblem("is a folder; accepted is the path of a file")
    if place.exists() and not place.is_file():
        raise PathProblem("is no regular file; accepted is the path of a file")
    parent = place.parent
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise PathProblem("cannot be written there")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class ManifestCache:
    """Keeps manifests as `FOLDER/sha256/ab/abcd…`. A file that is not what its name says is as good as none.

    `chown_to_workspace_owner` hands a new file or folder to the workspace's owner.
    """

    def __init__(self, folder: Path, chown_to_workspace_owner: Callable[[Path], None]) -> None:
        self._folder = folder
        self._give_away = chown_to_workspace_owner

    def get(self, digest: str) -> bytes | None:
        """The bytes of a manifest, or `None` when there is none or it is damaged."""
        place = self._place(digest)
        try:
            body = read_regular(place)
        except OSError:
            return None
        if hashlib.sha256(body).hexdigest() == place.name:
            return body
        with contextlib.suppress(OSError):
            place.unlink()
        return None

    def keep(self, digest: str, body: bytes) -> None:
        """Keep a manifest. A cache that cannot be written costs time, nothing else."""
        place = self._place(digest)
        beside = place.with_name(f".{place.name}.{secrets.token_hex(8)}")
        try:
            for folder in reversed([place.parent, *place.parent.parents]):
                if not folder.exists():
                    folder.mkdir(exist_ok=True)
                    self._give_away(folder)
            beside.write_bytes(body)
            self._give_away(beside)
            # another run that writes the same file writes the same bytes; a rename shows either whole
            beside.replace(place)
        except OSError:
            with contextlib.suppress(OSError):
                beside.unlink(missing_ok=True)

    def _place(self, digest: str) -> Path:
        name = digest.removeprefix("sha256:")
        return self._folder / "sha256" / name[:2] / name
