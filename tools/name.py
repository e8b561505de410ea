"""Puts the name of the repository wherever it stands; run as `make name REPOSITORY=acme/package-keeper`.

Its one source is `Homepage` in pyproject.toml. Documentation, examples, labels and CODEOWNERS follow.
"""

import pathlib
import re
import subprocess
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})/[A-Za-z0-9._-]+")
SUFFIXES = {".md", ".py", ".toml", ".yaml", ".yml", ""}


def current() -> str:
    """The repository's name, as `owner/name`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["urls"]["Homepage"]).removeprefix("https://github.com/")


def main() -> int:
    match sys.argv[1:]:
        case []:
            print(current())
            return 0
        case [wanted] if NAME.fullmatch(wanted):
            pass
        case _:
            sys.exit("name: REPOSITORY is needed, as OWNER/NAME")
    old = current()
    listed = subprocess.run(["git", "ls-files", "-z"], check=True, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    pattern = re.compile(rf"(?<![\w-]){re.escape(old)}(?![\w-])")
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if path.suffix not in SUFFIXES or not path.is_file():
            continue
        before = path.read_text(encoding="utf-8")
        after = pattern.sub(wanted, before)
        if name == ".github/CODEOWNERS":
            after = after.replace(f"@{old.partition('/')[0]}\n", f"@{wanted.partition('/')[0]}\n")
        if after != before:
            path.write_text(after, encoding="utf-8")
            print(name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
