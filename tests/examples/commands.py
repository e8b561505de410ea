"""Programs of others, such as `kubectl`: each prints what a test declares for its command line, and fails otherwise."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

PROGRAM = """#!/bin/sh
exec '{python}' -I -c '
import json, sys
from pathlib import Path
texts = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
said = texts.get(" ".join(sys.argv[2:]))
sys.exit(f"error: {{sys.argv[2:]}}") if said is None else sys.stdout.write(said)
' '{texts}' '{name}' "$@"
"""


def path_with(commands: Mapping[str, str], folder: Path) -> str:
    """Make a program of every first word of `commands`. Returns a PATH that begins with them."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = folder / "texts.json"
    texts.write_text(json.dumps(dict(commands)), encoding="utf-8")
    for name in {line.partition(" ")[0] for line in commands}:
        program = folder / name
        program.write_text(PROGRAM.format(python=sys.executable, texts=texts, name=name), encoding="utf-8")
        program.chmod(0o755)
    return os.pathsep.join([str(folder), "/usr/local/bin", "/usr/bin", "/bin"])
