"""Makes the files of the image; the Dockerfile runs it, in its first stage.

    python3 image.py lock RUNTIME_TXT    print the lock without what the program never loads
    python image.py fill FOLDER          put everything that the image adds to its base into FOLDER

`fill` runs in the environment that goes into the image. What it writes depends on nothing but its input: two builds
give the same bytes.
"""

import compileall
import importlib
import importlib.util
import os
import pkgutil
import py_compile
import re
import shutil
import sys
import sysconfig
from pathlib import Path

HOME = Path("/opt/package-keeper")

NEVER_LOADED = {"cffi", "cryptography", "pycparser", "pynacl"}
"""PyGithub needs them to sign as an app and to encrypt secrets, which the program does not do."""

# PyGithub imports these names, and calls them only to encrypt a secret
NACL = "# stands in for PyNaCl, which PyGithub imports and this program never calls\nencoding = public = None\n"

UNUSED = (
    # tests of the libraries, and one that installs its own as `tests`
    "tests",
    "*/tests",
    # extension modules beside the same in Python: reading small policies and guessing encodings of error pages
    "_yaml",
    "yaml/_yaml.*.so",
    "charset_normalizer/*.so",
    # for type checkers and compilers
    "**/*.pyi",
    "**/*.pxd",
    "**/*.[ch]",
    # who installed what, with times and absolute paths; METADATA and the licences stay
    "*.dist-info/RECORD",
    "*.dist-info/REQUESTED",
    "*.dist-info/INSTALLER",
    "*.dist-info/direct_url.json",
    "*.dist-info/sboms",
)

LATE = (
    *(f"encodings.{name}" for name in ("ascii", "idna", "latin_1", "utf_16", "utf_16_le", "utf_8_sig")),
    "github",
    "importlib.resources",
    "jsonschema",
)
"""What the program imports only where it needs it; tests/container/test_image.py finds what is missing."""

EPOCH = 0


def lock(text: str) -> str:
    """The lock without `NEVER_LOADED`; each entry begins at the start of a line and has its hashes below."""
    entries = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)
    kept = [entry for entry in entries if entry.partition("==")[0].lower() not in NEVER_LOADED]
    if len(kept) != len(entries) - len(NEVER_LOADED):
        sys.exit(f"image: the lock does not have each of {', '.join(sorted(NEVER_LOADED))} once")
    return "".join(kept)


def drop_unused(site: Path) -> None:
    for pattern in UNUSED:
        found = sorted(site.glob(pattern))
        if not found and "*" not in pattern:
            sys.exit(f"image: {pattern} is not there any more; take it out of UNUSED")
        for path in found:
            if path.is_dir():
                shutil.rmtree(path)
            elif path.exists():
                path.unlink()
    for path in (HOME / "venv" / "bin").iterdir():
        if not path.name.startswith("python"):
            path.unlink()


def standard_library() -> list[Path]:
    """The files of the standard library that the program loads: import all of it, and see what came along."""
    source = HOME / "src"
    sys.path.insert(0, str(source))
    # the order of imports decides nothing but the order of this list
    own = sorted(module.name for module in pkgutil.walk_packages([str(source)]))
    for name in (*own, *LATE):
        if not name.endswith("__main__"):
            importlib.import_module(name)
    library = Path(sysconfig.get_path("stdlib"))
    # this script's own modules are not the program's
    loaded = {getattr(module, "__file__", None) for name, module in sys.modules.items() if name not in OWN_MODULES}
    files = {Path(name) for name in loaded if name and name.endswith(".py")}
    return sorted(file for file in files if file.is_relative_to(library) and "-packages" not in str(file))


OWN_MODULES = {"compileall", "py_compile", "filecmp", "__main__"}


def compile_file(file: Path, target: Path | None = None) -> None:
    """Unchecked: nothing changes in an image, so no start has to compare times."""
    py_compile.compile(
        str(file),
        cfile=str(target) if target else None,
        dfile=str(file),
        doraise=True,
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )


def fill(folder: Path) -> None:
    (site,) = (HOME / "venv" / "lib").glob("python3*/site-packages")
    (site / "nacl.py").write_text(NACL, encoding="ascii")
    drop_unused(site)
    library = standard_library()
    for tree in (HOME / "venv" / "lib", HOME / "src"):
        # anything that an import above may have left
        for cache in sorted(tree.rglob("__pycache__")):
            shutil.rmtree(cache)
        if not compileall.compile_dir(
            tree, quiet=1, workers=1, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
        ):
            sys.exit(f"image: {tree} does not compile")
    shutil.copytree(HOME, folder / HOME.relative_to("/"), symlinks=True)
    for file in library:
        cached = Path(importlib.util.cache_from_source(str(file)))
        target = folder / cached.relative_to("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        compile_file(file, target)
    settle(folder)
    print(f"image: {len(library)} modules of the standard library compiled")


def settle(folder: Path) -> None:
    """The same modes and times for all, the folders last: making a file in them changes theirs."""
    for path in sorted(folder.rglob("*"), reverse=True):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or (os.access(path, os.X_OK) and path.suffix == ".so") else 0o644)
        os.utime(path, (EPOCH, EPOCH), follow_symlinks=False)


def main() -> None:
    match sys.argv[1:]:
        case ["lock", file]:
            print(lock(Path(file).read_text(encoding="utf-8")), end="")
        case ["fill", folder]:
            fill(Path(folder))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
