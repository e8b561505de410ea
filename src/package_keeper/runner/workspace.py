"""The workspace: all files that users name are in it, and files that we create there get its owner.

Files of root in the workspace break later checkouts on self-hosted runners (docs/github-behaviour.md, "The Actions
runner").
"""

import codecs
import contextlib
import errno
import hashlib
import os
import re
import secrets
import stat
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path

from msgspec import Struct, field

from package_keeper.errors import PackageKeeperError
from package_keeper.model.packages import DIGEST

MOST_BEHIND_LINKS = 200_000
"""How many entries of folders are read behind symbolic links, which may lead to the same folder in many ways."""

TOO_MANY = "is behind symbolic links that lead to too many files; exclude folders that are not meant"
NOT_THERE = "does not exist in the workspace"
NO_FILE = "no file of the workspace matches"


class Tree(Struct, kw_only=True):
    """Files, relative to the workspace and sorted.

    Wanted folders that are not read: `outside` are symbolic links that lead out of the workspace, `unread` could not be
    read, with the reason. Folders end with a slash.
    """

    files: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)
    unread: dict[str, str] = field(default_factory=dict)


class _Folder(Struct, frozen=True):
    """A folder: its real path, its path in the workspace, and the real paths of the folders above."""

    real: str
    below: str
    above: frozenset[str]
    is_linked: bool


def read_tree(root: Path, is_wanted: Callable[[str], bool]) -> Tree:
    """Find all files except those of git itself. Links to folders are followed where the folder is wanted."""
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
        pending += _add_entries(tree, folder, entries, root, is_wanted)
    tree.files.sort()
    tree.outside.sort()
    return tree


def _add_entries(
    tree: Tree, folder: _Folder, entries: list["os.DirEntry[str]"], root: Path, is_wanted: Callable[[str], bool]
) -> Iterator[_Folder]:
    """Add the files of a folder to the tree; gives the folders in it to read."""
    for entry in entries:
        if not _is_folder(entry):
            tree.files.append(f"{folder.below}{entry.name}")
        elif inner := _inner(folder, entry, root, is_wanted, tree):
            yield inner


def _inner(
    folder: _Folder, entry: "os.DirEntry[str]", root: Path, is_wanted: Callable[[str], bool], tree: Tree
) -> _Folder | None:
    """The folder of an entry; `None` if it is not read."""
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
        # symbolic links in a circle; reading it as a file gives an error
        return False


class PathProblem(ValueError):
    """A path cannot be used; the message says why and what is accepted."""


class NoRegularFile(OSError):
    """The path is a folder, a pipe, a socket or a device."""

    def __init__(self) -> None:
        super().__init__(errno.EINVAL, "is no regular file")


class FileUnwritable(PackageKeeperError):
    """A file that the run must write cannot be written."""


class Workspace:
    """The folder that paths in inputs and outputs are relative to."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()

    def resolve(self, text: str) -> Path:
        """Resolve a path as users write it. Raises `PathProblem` when it leaves the workspace."""
        if "\0" in text or "\n" in text:
            raise PathProblem("is no path")
        try:
            place = (self.root / text).resolve()
            place.exists()
        except (OSError, RuntimeError, ValueError):
            # a name that is too long, or symbolic links in a circle
            raise PathProblem("is no path that can be used") from None
        if not place.is_relative_to(self.root) or place == self.root:
            raise PathProblem("is outside the workspace; accepted is a path inside, relative to it")
        return place

    def relative(self, place: Path) -> str:
        """The path for outputs."""
        return place.relative_to(self.root).as_posix()

    def problems(self, paths: Mapping[str, str], *, unwritten: Collection[str] = ()) -> list[str]:
        """Check paths before the first request; `paths` has them by the names of their inputs.

        Those of `unwritten` need not be writable, because this run does not write them.

        `undo` and `policy` are read and `manifest-cache` is a folder; the others are written. No two may be the same
        file: an overwritten receipt could not be undone.
        """
        found: list[str] = []
        names: dict[Path, str] = {}
        for name, text in paths.items():
            if not text:
                continue
            try:
                place = self.resolve(text)
                if name in ("plan-out", "receipt", "output-file", "summary-file"):
                    _check_file(place, written=name not in unwritten)
                elif name == "manifest-cache":
                    _check_folder(place)
            except PathProblem as problem:
                # a file that is read reports this itself
                found += [f"{name}: '{text}' {problem}"] if name not in ("undo", "policy") else []
                continue
            # `undo` may name the same file as `receipt`: the new receipt gets a number
            same = (name, "receipt") if name == "undo" else (name,)
            if names.setdefault(place, name) not in same:
                found.append(f"{name}: '{text}' is the file of {names[place]} too; accepted is a path of its own")
        return found

    def read(self, text: str) -> str:
        """Read a file. Raises `PathProblem`."""
        return _decoded(self._read(text), errors="replace")

    def read_strictly(self, text: str) -> str:
        """Read a file that must be valid UTF-8 or UTF-16. Raises `PathProblem`."""
        try:
            return _decoded(self._read(text), errors="strict")
        except UnicodeDecodeError:
            raise PathProblem("is no UTF-8 text") from None

    def read_exactly(self, text: str) -> str:
        """Read a file with every byte: those that are no UTF-8 become surrogates. Raises `PathProblem`."""
        return self._read(text).decode(errors="surrogateescape")

    def lines(self, text: str) -> Iterator[str]:
        """Read a UTF-8 file line by line, without holding it in memory. Raises `PathProblem`."""
        place = self.resolve(text)
        with (
            _told_as_problems(),
            os.fdopen(_open_regular(place, os.O_RDONLY), encoding="utf-8-sig", newline="") as file,
        ):
            try:
                yield from file
            except UnicodeDecodeError:
                raise PathProblem("is no UTF-8 text") from None

    def readings(self, text: str) -> list[str]:
        """Read a file for a search, in every encoding that it may have. Raises `PathProblem`.

        The first text is UTF-8, or UTF-16 with a byte order mark. Where the file has zero bytes or is not UTF-8, the
        second text is Latin-1 without zero bytes. It has the names in UTF-16 and UTF-32 without a mark, in other
        encodings, and in binary files.
        """
        data = self._read(text)
        found = [_decoded(data, errors="replace")]
        if b"\0" in data or "\ufffd" in found[0]:
            found.append(data.replace(b"\0", b"").decode("latin-1"))
        return found

    def _read(self, text: str) -> bytes:
        place = self.resolve(text)
        with _told_as_problems():
            return read_regular(place)

    def write(self, text: str, content: str) -> str:
        """Write a file, and give its relative path. Raises `FileUnwritable`."""
        try:
            place = self.resolve(text)
            self._make_parents(place)
            with os.fdopen(_open_regular(place, os.O_WRONLY | os.O_CREAT), "wb") as file:
                file.truncate()
                # names that are not UTF-8 become escapes
                file.write(content.encode(errors="backslashreplace"))
            self.chown_to_workspace_owner(place)
        except (OSError, PathProblem) as error:
            raise FileUnwritable(f"{text} cannot be written: {error}") from None
        return self.relative(place)

    def create_receipt(self, text: str) -> "ReceiptFile":
        """Create a file for a receipt; if it exists, the name gets a number. Raises `FileUnwritable`."""
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

    def receipts(self, text: str) -> Iterator[str]:
        """Read the receipts that earlier runs left under a name, with and without a number.

        Files that cannot be read are passed over, since nothing depends on them.
        """
        with contextlib.suppress(OSError, PathProblem):
            wanted = self.resolve(text)
            numbered = re.compile(rf"{re.escape(wanted.stem)}(-\d+)?{re.escape(wanted.suffix)}")
            for place in sorted(wanted.parent.iterdir()):
                if numbered.fullmatch(place.name):
                    with contextlib.suppress(PathProblem):
                        yield self.read(str(place))

    def _make_parents(self, place: Path) -> None:
        missing = [parent for parent in place.parents if not parent.exists()]
        for parent in reversed(missing):
            parent.mkdir(exist_ok=True)
            self.chown_to_workspace_owner(parent)

    def chown_to_workspace_owner(self, place: Path) -> None:
        """Give a file or folder that we created to the workspace's owner."""
        owner = self.root.stat()
        # only root has the permission, and only files of root are a problem for the runner's user
        with contextlib.suppress(PermissionError):
            os.chown(place, owner.st_uid, owner.st_gid, follow_symlinks=False)


def _decoded(data: bytes, errors: str) -> str:
    # PowerShell writes UTF-16 by default
    utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return data.decode("utf-16" if utf16 else "utf-8-sig", errors=errors)


class ReceiptFile:
    """A new file to which lines are appended; each is on disk before the run goes on."""

    def __init__(self, descriptor: int, path: str) -> None:
        self._descriptor = descriptor
        self._broke_off = False
        self.path = path

    def append(self, line: bytes) -> None:
        """Write lines and wait until they are on disk. Raises `FileUnwritable`.

        A full disk may cut a line off. The next one then starts on a line of its own.
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
        """Close the file."""
        os.close(self._descriptor)


def _check_folder(place: Path) -> None:
    if place.exists() and not place.is_dir():
        raise PathProblem("is a file; accepted is a folder, or a name that is free")


@contextlib.contextmanager
def _told_as_problems() -> Iterator[None]:
    """Raise `PathProblem` for a file that cannot be read."""
    try:
        yield
    except FileNotFoundError:
        raise PathProblem(NOT_THERE) from None
    except NoRegularFile:
        raise PathProblem("is no regular file; accepted is the path of a file") from None
    except OSError as error:
        raise PathProblem(f"cannot be read ({type(error).__name__})") from None


def read_regular(place: Path) -> bytes:
    """Read a regular file. Raises `OSError`, and `NoRegularFile` for anything else, which could block forever."""
    with os.fdopen(_open_regular(place, os.O_RDONLY), "rb") as file:
        return file.read()


def _open_regular(place: Path, how: int) -> int:
    """Open a regular file. It is checked after it was opened, so that nobody can replace it in between.

    It is opened without blocking: a pipe would wait for its other end.
    """
    try:
        descriptor = os.open(place, how | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    except OSError as error:
        # a socket, or a pipe or device without another end
        if error.errno in (errno.ENXIO, errno.ENODEV, errno.EISDIR):
            raise NoRegularFile from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NoRegularFile
    return descriptor


def _check_file(place: Path, *, written: bool) -> None:
    if place.is_dir():
        raise PathProblem("is a folder; accepted is the path of a file")
    if place.exists() and not place.is_file():
        raise PathProblem("is no regular file; accepted is the path of a file")
    parent = place.parent
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir() or (written and not os.access(parent, os.W_OK | os.X_OK)):
        raise PathProblem("cannot be written there")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class ManifestCache:
    """Keeps manifests as `FOLDER/sha256/ab/abcd…`. A file whose content does not match its name is deleted.

    `chown_to_workspace_owner` is called for each new file and folder.
    """

    def __init__(self, folder: Path, chown_to_workspace_owner: Callable[[Path], None]) -> None:
        self._folder = folder
        self._chown = chown_to_workspace_owner

    def get(self, digest: str) -> bytes | None:
        """The bytes of a manifest; `None` if the cache does not have it or the file is damaged."""
        if not DIGEST.fullmatch(digest):
            # the name of a version comes from outside, and could lead out of the folder
            return None
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
        """Keep a manifest, whose digest is that of `body`. A cache that cannot be written is not an error."""
        place = self._place(digest)
        beside = place.with_name(f".{place.name}.{secrets.token_hex(8)}")
        try:
            for folder in reversed([place.parent, *place.parent.parents]):
                if not folder.exists():
                    folder.mkdir(exist_ok=True)
                    self._chown(folder)
            beside.write_bytes(body)
            self._chown(beside)
            # a rename is atomic; another run may write the same file with the same bytes
            beside.replace(place)
        except OSError:
            with contextlib.suppress(OSError):
                beside.unlink(missing_ok=True)

    def _place(self, digest: str) -> Path:
        name = digest.removeprefix("sha256:")
        return self._folder / "sha256" / name[:2] / name
