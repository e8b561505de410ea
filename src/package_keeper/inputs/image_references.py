"""Image references in files of any form (contract, input `keep-used-in`).

Nothing is parsed as YAML, HCL or Dockerfile: a reference is `[HOST/]OWNER/PACKAGE[:TAG][@DIGEST]` wherever it stands,
as a word of text. Whatever a host or a path before it may be, the owner can be any of its components but the last, so
each reading becomes a reference of its own, and those of other owners fall away later. What does not say which image
is meant (no tag, a variable, a digest cut short) means the whole package, and a variable in a name every package that
fits.
"""

import re
from collections.abc import Iterator
from dataclasses import replace

from package_keeper.decisions.used import ImageReference

_VARIABLE = "\0"
"""Stands for a variable, whatever its syntax; no text holds it."""

_VARIABLES = re.compile(
    r"\$\{\{.*?\}\}|\{\{.*?\}\}|\{%.*?%\}|[$#]\{[^}]*\}|\$\([^)]*\)|\$+[A-Za-z_]\w*|\$\d|<[A-Za-z_][\w. -]*>"
    r"|%[A-Za-z_]\w*%|@[A-Z_]{2,}@|\{[A-Za-z_][\w.]*\}",
    re.ASCII,
)
_WORD = re.compile(r"[A-Za-z0-9_.\-/:@\0]+", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9_*][A-Za-z0-9_.*-]*", re.ASCII)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", re.ASCII)
_DIGEST = re.compile(r"sha256:[0-9a-fA-F]{64}", re.ASCII)
_LAST = re.compile(r"([^:@]*)(?::([^@]*))?(?:@(.*))?", re.DOTALL)
_ACTION = re.compile(r"\s*-?\s*uses\s*:(?!\s*['\"]?docker://)")
_SCHEME = re.compile(r"([a-z][a-z0-9.]*)://", re.IGNORECASE)

_CODE_HOSTS = ("github.com", "www.github.com", "raw.githubusercontent.com", "gitlab.com")
"""Hosts whose `owner/name` is a repository, not an image."""

_IMAGE_SCHEMES = ("docker", "oci", "containers", "docker-daemon", "registry")

_SETTING = re.compile(
    r"""^\s*-?\s*["']?(?P<key>[\w.-]+)["']?\s*[:=]\s*["']?(?P<value>[A-Za-z0-9_.\-/:\0]+)["']?\s*,?\s*$""", re.ASCII
)
_OWNER_KEYS = re.compile(r"registry|owner|organi[sz]ation", re.IGNORECASE)
_NAME_KEYS = re.compile(r"repository|image", re.IGNORECASE)


def find_references(file: str, text: str) -> list[ImageReference]:
    """All references in the text of `file`, in order, each reading once."""
    found: list[ImageReference] = []
    settings: list[tuple[str, str, str]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        place = f"{file}:{number}"
        plain = _VARIABLES.sub(_VARIABLE, line.replace("\0", " ").replace("\\/", "/"))
        if not _ACTION.match(plain):
            for word in _WORD.finditer(plain):
                found += _of_word(word[0], place)
        if setting := _SETTING.match(plain):
            settings.append((setting["key"], setting["value"], place))
    found += _of_settings(settings)
    return list(dict.fromkeys(found))


def _of_word(word: str, place: str) -> Iterator[ImageReference]:
    scheme = _SCHEME.match(word)
    rest = word[scheme.end() :] if scheme else word
    *above, last = rest.rstrip(".:").strip("/").split("/")
    is_tagged = ":" in last or "@" in last
    if scheme and scheme[1].lower() not in _IMAGE_SCHEMES and not is_tagged and not _is_registry(above):
        return
    if above and above[0].lower() in _CODE_HOSTS:
        return
    shown = word.replace(_VARIABLE, "${…}")
    if not above:
        yield from _without_owner(last, shown, place)
    for start in range(len(above)):
        owner = above[start].rpartition(":")[2].rpartition("@")[2]
        yield from _reading(owner, above[start + 1 :], last, shown, place)
    if _VARIABLE in last and not last.startswith(_VARIABLE):
        # what the variable holds may begin with a slash: ghcr.io/acme${IMAGE}
        owner = last.partition(_VARIABLE)[0].rstrip(":")
        if _NAME.fullmatch(owner) and above and not is_tagged:
            yield ImageReference(text=shown, place=place, owner=owner, package="*", whole=True)


def _reading(owner: str, middle: list[str], last: str, shown: str, place: str) -> Iterator[ImageReference]:
    """One reading of a word: `owner`, and the package below it."""
    split = _LAST.fullmatch(last)
    if split is None:
        return
    name, tag, digest = split.groups()
    package = "/".join([*middle, name]).replace(_VARIABLE, "*")
    if not all(_NAME.fullmatch(part) for part in package.split("/")):
        return
    any_owner = _VARIABLE in owner
    if any_owner and not re.search(r"[A-Za-z0-9]", package):
        return
    whole = any_owner or "*" in package or (tag is None and digest is None)
    whole = whole or (tag is not None and not _TAG.fullmatch(tag))
    whole = whole or (digest is not None and not _DIGEST.fullmatch(digest))
    reference = ImageReference(
        text=shown, place=place, owner=None if any_owner else owner, package=package, whole=whole
    )
    if whole:
        yield reference
        return
    yield replace(reference, tag=tag, digest=digest.lower() if digest else None)


def _without_owner(word: str, shown: str, place: str) -> Iterator[ImageReference]:
    """`${REGISTRY}app:v1`: the variable holds everything that stands before the package."""
    if not word.startswith(_VARIABLE):
        return
    name = word.lstrip(_VARIABLE).partition(":")[0].partition("@")[0]
    if _NAME.fullmatch(name.replace(_VARIABLE, "*")) and re.search(r"[A-Za-z0-9]", name):
        package = "*" + name.replace(_VARIABLE, "*")
        yield ImageReference(text=shown, place=place, owner=None, package=package, whole=True)


def _of_settings(settings: list[tuple[str, str, str]]) -> Iterator[ImageReference]:
    """`registry: ghcr.io/acme` with `repository: app`, as Helm charts have it: together they name a package."""
    owners = {value.rstrip("/").rpartition("/")[2] for key, value, _ in settings if _OWNER_KEYS.search(key)}
    for key, value, place in settings:
        first, slash, _ = value.partition("/")
        if not _NAME_KEYS.search(key) or _OWNER_KEYS.search(key) or (slash and ("." in first or first in owners)):
            continue
        name = value.partition(":")[0].replace(_VARIABLE, "*").strip("/")
        for owner in sorted(owners):
            if all(_NAME.fullmatch(part) for part in name.split("/")) and _NAME.fullmatch(owner):
                yield ImageReference(
                    text=value.replace(_VARIABLE, "${…}"), place=place, owner=owner, package=name, whole=True
                )


def _is_registry(above: list[str]) -> bool:
    return bool(above) and above[0].lower().startswith(("ghcr.io", "containers.", "docker.pkg."))
