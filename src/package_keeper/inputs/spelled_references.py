"""Spells out image names that the format of a file takes apart: Homebrew formulas, and the dependencies of Helm charts.

The names are completed in the text, in the lines where they begin. `image_references` reads them from there. What is
not understood stays as it is, and then keeps more.
"""

import re
from pathlib import PurePosixPath

_CHART_FILES = frozenset(("chart.yaml", "chart.lock", "requirements.yaml", "requirements.lock"))
_ITEM = re.compile(r"^(?P<indent>[ \t]*)- [^\n]*\n?(?:(?P=indent)[ \t]+[^\n]*\n?|[ \t]*\n)*", re.MULTILINE)
_NAME = re.compile(r"^[ \t]*(?:- )?name:[ \t]*[\"']?(?P<name>[A-Za-z0-9][\w.-]*)[\"']?[ \t]*(?:#.*)?\r?$", re.MULTILINE)
_REPOSITORY = re.compile(
    r"(?P<start>^[ \t]*(?:- )?repository:[ \t]*[\"']?oci://[\w.:/-]*[\w-])/?(?=[\"'\s]|\Z)", re.MULTILINE
)

_FORMULA = re.compile(r"^class \w+ < Formula\b", re.MULTILINE)
_ROOT_URL = re.compile(
    r"(?P<start>\broot_url[ (]+[\"'])https://(?P<host>[\w.:-]+)/v2/(?P<path>[\w./-]*[\w-])/?(?=[\"'])"
)
# what belongs to the formula, and not to a resource or a bottle, is indented by two blanks
_VERSION = re.compile(r"^(?:  version[ (]+[\"'](?P<version>[\w.+-]{1,128})[\"']|[ \t]*version\b)", re.MULTILINE)
_SOURCE = re.compile(r"^  url[ (]+[\"'](?P<url>[^\"'#\s]{1,500})[\"']", re.MULTILINE)
_NUMBERED = re.compile(r"(?:.*[-_]|v|)(?P<version>[0-9]+(?:\.[0-9]+)+)(?:\.tar)?\.(?:gz|tgz|xz|bz2|zst|zip)")
_REVISION = re.compile(r"^  revision[ (]+(?P<number>\d+)", re.MULTILINE)
_REBUILD = re.compile(r"^    rebuild[ (]+(?P<number>\d+)", re.MULTILINE)


def spelled_out(file: str, text: str) -> str:
    """The text of `file` with whole names of images. It has the same lines."""
    name = PurePosixPath(file).name
    if name.lower() in _CHART_FILES:
        return _ITEM.sub(_dependency, text)
    if name.endswith(".rb") and _FORMULA.search(text):
        return _formula(name.removesuffix(".rb"), text)
    return text


def _dependency(item: re.Match[str]) -> str:
    """A chart in a registry is the package `REPOSITORY/NAME`."""
    name = _NAME.search(item[0])
    return _REPOSITORY.sub(lambda found: f"{found['start']}/{name['name']}", item[0]) if name else item[0]


def _formula(name: str, text: str) -> str:
    """The bottle of a formula is the image `ROOT_URL/NAME:VERSION`, as Homebrew's `GitHubPackages` spells it."""
    package = name.lower().replace("@", "/").replace("+", "x")
    tag = _bottle_tag(text)
    return _ROOT_URL.sub(
        lambda found: f"{found['start']}docker://{found['host']}/{found['path']}/{package}{f':{tag}' if tag else ''}",
        text,
    )


def _bottle_tag(text: str) -> str:
    """The tag of the bottle; empty when the version is not certain, and then the whole package stays."""
    # a version that is computed, or that depends on the system, is not certain
    versions = [found["version"] for found in _VERSION.finditer(text)]
    if not versions:
        names = [found["url"].rpartition("/")[2] for found in _SOURCE.finditer(text)]
        versions = [found["version"] if (found := _NUMBERED.fullmatch(name)) else "" for name in names]
    if len(versions) != 1 or not versions[0]:
        return ""
    revision, rebuild = _REVISION.search(text), _REBUILD.search(text)
    tag = versions[0] + (f"_{revision['number']}" if revision and int(revision["number"]) else "")
    return tag + (f"-{rebuild['number']}" if rebuild and int(rebuild["number"]) else "")
