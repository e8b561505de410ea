"""Releases a version, one step at a time; .github/workflows/release.yml calls it, and docs/releasing.md explains it.

    python3 tools/release.py check 0.1.0           the tree is what is to be released
    python3 tools/release.py build amd64           build the image of one architecture
    python3 tools/release.py push amd64            push it, and print its reference with the digest
    python3 tools/release.py index amd64=sha256:… arm64=sha256:…
    python3 tools/release.py compare amd64 sha256:…    build again, and compare with what was pushed
    python3 tools/release.py sbom FILE             write what is in the image as CycloneDX
    python3 tools/release.py pin sha256:…          name the image by its digest in action.yml
    python3 tools/release.py tag                   tag the version, and move the tag of its major version

What a step would do to a registry or to git is only printed, unless `--for-real` is given. `--base` names another base
than .github/base/Dockerfile does, `--registry` another registry than ghcr.io: for trying it out.
"""

import argparse
import importlib.util
import json
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import tomllib
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parent.parent
ARCHITECTURES = ("amd64", "arm64")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def fail(text: str) -> None:
    sys.exit(f"release: {text}")


def output(*command: str) -> str:
    """What a command that changes nothing prints."""
    done = subprocess.run(command, check=False, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        fail(f"this failed with status {done.returncode}: {shlex.join(command)}")
    return done.stdout.strip()


def version() -> str:
    text = (ROOT / "src" / "package_keeper" / "__init__.py").read_text(encoding="utf-8")
    (found,) = re.findall(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    return str(found)


def repository() -> str:
    """The repository's own name, as `owner/name`: the image has the same."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["urls"]["Homepage"]).removeprefix("https://github.com/")


def pinned_base() -> str:
    (base,) = re.findall(r"^FROM (\S+)$", (ROOT / ".github/base/Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    return str(base)


class Release:
    """The steps, and whether they are carried out."""

    def __init__(self, given: argparse.Namespace) -> None:
        self._given = given
        self._name = f"{given.registry}/{repository().lower()}"
        self._insecure = ["--tls-verify=false"] if given.registry.startswith(("127.0.0.1:", "localhost:")) else []

    def _do(self, *command: str) -> None:
        """Run a command that changes something outside, or print it."""
        print(f"{'+' if self._given.for_real else 'would run:'} {shlex.join(command)}", file=sys.stderr, flush=True)
        if self._given.for_real and subprocess.run(command, check=False, cwd=ROOT).returncode:
            fail("that failed")

    def _local(self, architecture: str) -> str:
        return f"localhost/package-keeper:{version()}-{architecture}"

    def check(self, wanted: str) -> None:
        if wanted != version():
            fail(f"the version is {version()}, not {wanted}: change src/package_keeper/__init__.py and the Dockerfile")
        if not re.search(rf"^ARG VERSION={re.escape(wanted)}$", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE):
            fail(f"the Dockerfile does not say ARG VERSION={wanted}")
        if not re.search(rf"^## \[{re.escape(wanted)}\]", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE):
            fail(f"CHANGELOG.md has no section [{wanted}]")
        if repository().startswith("OWNER/"):
            fail("the repository has no name yet: make name REPOSITORY=owner/name")
        if not DIGEST.search(pinned_base()):
            fail(".github/base/Dockerfile does not name the base by its digest")
        if output("git", "status", "--porcelain"):
            fail("the working tree has changes that are not committed")
        if output("git", "tag", "--list", f"v{wanted}"):
            fail(f"v{wanted} exists already")
        print(f"{repository()} {wanted} can be released from {output('git', 'rev-parse', 'HEAD')}")

    def build(self, architecture: str, *, tag: str = "") -> str:
        """Build with the time of the commit, so that whoever builds that commit gets the same bytes; gives the id."""
        labels = {
            "BASE": self._given.base or pinned_base(),
            "SOURCE": f"https://github.com/{repository()}",
            "REVISION": output("git", "rev-parse", "HEAD"),
            "VERSION": version(),
        }
        arguments = [f"--build-arg={name}={value}" for name, value in labels.items()]
        moment = output("git", "show", "--no-patch", "--format=%ct", "HEAD")
        tag = tag or self._local(architecture)
        command = ["podman", "build", "--network=host", f"--arch={architecture}", f"--timestamp={moment}", "--no-cache"]
        if subprocess.run(
            [*command, *arguments, "--tag", tag, "."], check=False, cwd=ROOT, stdout=sys.stderr
        ).returncode:
            fail("the image does not build")
        return output("podman", "image", "inspect", "--format", "{{.Id}}", tag).removeprefix("sha256:")

    def push(self, architecture: str) -> None:
        reference = f"{self._name}:{version()}-{architecture}"
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder, "digest")
            options = [*self._insecure, "--format=oci", f"--digestfile={file}"]
            self._do("podman", "push", *options, self._local(architecture), f"docker://{reference}")
            if self._given.for_real:
                print(file.read_text(encoding="ascii").strip())

    def index(self, pushed: dict[str, str]) -> None:
        """Push one index for all architectures, and print its digest."""
        if sorted(pushed) != sorted(ARCHITECTURES):
            fail(f"an index needs the digests of {' and '.join(ARCHITECTURES)}")
        name = f"localhost/package-keeper-index:{version()}"
        subprocess.run(["podman", "manifest", "rm", name], check=False, capture_output=True)
        self._do("podman", "manifest", "create", name)
        for architecture, digest in sorted(pushed.items()):
            source = f"docker://{self._name}@{digest}"
            self._do("podman", "manifest", "add", *self._insecure, f"--arch={architecture}", name, source)
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder, "digest")
            target = f"docker://{self._name}:{version()}"
            options = [*self._insecure, "--all", "--format=oci", f"--digestfile={file}"]
            self._do("podman", "manifest", "push", *options, name, target)
            if self._given.for_real:
                print(file.read_text(encoding="ascii").strip())

    def compare(self, architecture: str, digest: str) -> None:
        """Build again, and compare with what lies in the registry: the id is the digest of configuration and layers."""
        built = self.build(architecture, tag=f"localhost/package-keeper:rebuilt-{architecture}")
        options = [*(["--tls-verify=false"] if self._insecure else []), "--raw"]
        manifest: Any = json.loads(output("skopeo", "inspect", *options, f"docker://{self._name}@{digest}"))
        pushed = manifest["config"]["digest"].removeprefix("sha256:")
        if built != pushed:
            fail(f"the image of {architecture} is {pushed} in the registry, and {built} when it is built again")
        print(f"{architecture}: {digest} is what this commit builds")

    def sbom(self, file: str) -> None:
        """Everything that the image adds to its base."""
        spec = importlib.util.spec_from_file_location("image", ROOT / "tools" / "image.py")
        if spec is None or spec.loader is None:
            fail("tools/image.py is missing")
            return
        image = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(image)
        lock = image.lock((ROOT / "requirements" / "runtime.txt").read_text(encoding="utf-8"))
        components = [
            {"type": "library", "name": name, "version": number, "purl": f"pkg:pypi/{name}@{number}"}
            for name, number in re.findall(r"^([a-z0-9._-]+)==([^\s;]+)", lock, re.MULTILINE)
        ]
        document = {
            "bomFormat": "CycloneDX",
            "specVersion": "1.6",
            "version": 1,
            "metadata": {"component": {"type": "container", "name": self._name, "version": version()}},
            "components": [
                {"type": "container", "name": "python", "version": self._given.base or pinned_base()},
                *components,
            ],
        }
        pathlib.Path(file).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")

    def pin(self, digest: str) -> None:
        """On a branch of its own, which becomes a pull request to `releases`; `main` keeps building the Dockerfile."""
        if not DIGEST.fullmatch(digest):
            fail(f"{digest} is no digest")
        branch, title = f"release-v{version()}", f"Release {version()}"
        action = ROOT / "action.yml"
        before = action.read_text(encoding="utf-8")
        after = before.replace("\n  image: Dockerfile\n", f"\n  image: docker://{self._name}@{digest}\n")
        if after == before:
            fail("action.yml does not say `image: Dockerfile`")
        self._do("git", "switch", "--create", branch)
        if self._given.for_real:
            action.write_text(after, encoding="utf-8")
        self._do("git", "commit", "--message", f"{title}: run the published image", "action.yml")
        self._do("git", "push", "origin", branch)
        body = f"action.yml names the image by its digest: `{digest}`."
        self._do("gh", "pr", "create", "--base", "releases", "--head", branch, "--title", title, "--body", body)

    def tag(self) -> None:
        """On the merged branch `releases`, after every check: first the version, then its major version."""
        found = re.search(r"^  image: docker://(\S+)$", (ROOT / "action.yml").read_text("utf-8"), re.MULTILINE)
        if not found or not DIGEST.search(found[1]):
            fail("action.yml does not name the image by its digest: merge the pull request of `pin` first")
        major = f"v{version().partition('.')[0]}"
        self._do("git", "tag", "--annotate", f"v{version()}", "--message", f"Package Keeper {version()}")
        self._do("git", "push", "origin", f"v{version()}")
        self._do("git", "tag", "--force", major, f"v{version()}^{{}}")
        self._do("git", "push", "--force", "origin", major)


def main() -> None:
    parser = argparse.ArgumentParser(description="Release a version, step by step.")
    parser.add_argument("step", choices=["check", "build", "push", "index", "compare", "sbom", "pin", "tag"])
    parser.add_argument("values", nargs="*")
    parser.add_argument("--for-real", action="store_true", help="carry it out instead of printing it")
    parser.add_argument("--registry", default="ghcr.io")
    parser.add_argument("--base", default="")
    given = parser.parse_args()
    release = Release(given)
    match given.step, given.values:
        case "check", [wanted]:
            release.check(wanted)
        case "build", [architecture]:
            print(release.build(architecture))
        case "push", [architecture]:
            release.push(architecture)
        case "index", [*pushed]:
            release.index(dict(pair.split("=", 1) for pair in pushed if "=" in pair))
        case "compare", [architecture, digest]:
            release.compare(architecture, digest)
        case "sbom", [file]:
            release.sbom(file)
        case "pin", [digest]:
            release.pin(digest)
        case "tag", []:
            release.tag()
        case _:
            parser.error(f"{given.step}: other values are needed; see the head of this file")


if __name__ == "__main__":
    main()
