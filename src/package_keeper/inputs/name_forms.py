"""What names of each kind can look like, and what is wrong with a pattern that none of them can match.

An entry that can match nothing protects nothing and selects nothing, so it is an error (contract, "Patterns"). Where it
is not known how names look, every visible name may be one.
"""

import string
from collections.abc import Iterable

from package_keeper.decisions.patterns import Pattern
from package_keeper.inputs.pattern_reach import NameForm
from package_keeper.inventory.package import PackageType

_WORD = frozenset(string.ascii_letters + string.digits + "_")
_VERSION = _WORD | frozenset(".+-")
_PATH = _WORD | frozenset("./-")
_PLAIN = frozenset(string.printable) - frozenset(string.whitespace + "\"'`<>|\\")
_HEX = frozenset("0123456789abcdef")

_LONG = 1_000


def _of(characters: frozenset[str]) -> NameForm:
    return NameForm((characters, characters), _LONG, endless=True)


TAG = NameForm((_WORD, _WORD | frozenset(".-")), 128, endless=True)
"""Tags of containers and of docker packages, as registries define them."""

DIGEST = NameForm((*(frozenset(letter) for letter in "sha256:"), *([_HEX] * 64)), 71)

_VERSIONS = {
    PackageType.CONTAINER: DIGEST,
    PackageType.DOCKER: _of(_PLAIN),
    PackageType.NPM: _of(_VERSION),
    PackageType.NUGET: _of(_VERSION),
    PackageType.RUBYGEMS: _of(_VERSION),
    PackageType.MAVEN: _of(_PLAIN - frozenset("/:?*")),
}

_PACKAGES = {
    PackageType.CONTAINER: _of(_PATH),
    PackageType.DOCKER: _of(_PATH),
    PackageType.NPM: _of(_PLAIN),
    PackageType.RUBYGEMS: _of(_PLAIN),
    PackageType.MAVEN: _of(_PLAIN),
}
"""NuGet takes letters of every script."""

_LOOKS = {
    "tag": "a tag has up to 128 letters (a-z, A-Z), digits, _ . and -, and does not begin with . or -",
    "version": "a version name of {types} has letters (a-z, A-Z), digits and a few marks, no blank, quote or slash",
    "package": "a package name of {types} has letters (a-z, A-Z), digits, . _ - and /",
}


def tag_problem(pattern: Pattern) -> str:
    """Why no tag can match `pattern`, with what to write instead; empty when one can."""
    return "" if TAG.can_match(pattern) else _problem("tag", pattern)


def version_problem(pattern: Pattern, types: Iterable[PackageType], tags: str) -> str:
    """Why no version of these types can have a name that matches; `tags` is the input for tags."""
    wanted = tuple(types)
    if any(_VERSIONS[kind].can_match(pattern) for kind in wanted):
        return ""
    if wanted == (PackageType.CONTAINER,):
        return (
            "can match no container version, whose name is a digest (sha256:…); for tags use the input"
            f" {tags}{_hint('version', pattern)}"
        )
    return _problem("version", pattern, wanted)


def package_problem(pattern: Pattern, types: Iterable[PackageType]) -> str:
    """Why no package of these types can have a name that matches."""
    wanted = tuple(types)
    if any(kind not in _PACKAGES or _PACKAGES[kind].can_match(pattern) for kind in wanted):
        return ""
    return _problem("package", pattern, wanted)


def _problem(what: str, pattern: Pattern, types: tuple[PackageType, ...] = ()) -> str:
    looks = _LOOKS[what].format(types=", ".join(types))
    return f"can match no {what}: {looks}{_hint(what, pattern)}"


def _hint(what: str, pattern: Pattern) -> str:
    """What the user meant, as far as it shows."""
    if pattern.expression is not None:
        return ""
    if pattern.looks_like_expression:
        return f"; a regular expression stands between slashes: /{pattern.text}/"
    name, at, digest = pattern.text.partition("@")
    path, colon, tag = name.rpartition(":")
    if what == "tag" and at:
        return f"; digests are for keep-digests or versions: {digest}"
    if what == "tag" and colon and TAG.can_match(Pattern(tag)):
        return f"; write the tag alone: {tag}"
    if what == "package" and (at or colon):
        return f"; write the name alone: {path if colon else name}"
    return ""
