"""What a mirror holds: python3 mirror.py crane mirror.example.com acme/app acme/web >> "$GITHUB_OUTPUT".

Adds it to usage.csv as used now, and prints since when that file is complete. Instead of `crane` also `skopeo`.
"""

import hashlib
import json
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path


def output(*command: str) -> bytes:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout


def tags_of(repository: str) -> list[str]:
    if tool == "crane":
        return output("crane", "ls", repository).decode().split()
    return json.loads(output("skopeo", "list-tags", f"docker://{repository}"))["Tags"]


def digest_of(image: str) -> str:
    if tool == "crane":
        return output("crane", "digest", image).decode().strip()
    return "sha256:" + hashlib.sha256(output("skopeo", "inspect", "--raw", f"docker://{image}")).hexdigest()


tool, mirror, *packages = sys.argv[1:]
used = {
    (package, digest_of(f"{mirror}/{package}:{tag}")) for package in packages for tag in tags_of(f"{mirror}/{package}")
}
if not used:
    raise SystemExit("The mirror holds no image. Are these its packages?")

now = datetime.now(timezone.utc)
file = Path("usage.csv")
rows = file.read_text().splitlines() if file.exists() else []
# when a week was not seen, nobody knows what the mirror held then: begin again
if not rows or datetime.fromisoformat(rows[-1].rpartition(",")[2]) < now - timedelta(days=7):
    rows = ["package,digest,last_used"]
rows += [f"{package},{digest},{now.isoformat(timespec='seconds')}" for package, digest in sorted(used)]
file.write_text("\n".join(rows) + "\n")
print("since=" + rows[1].rpartition(",")[2])
