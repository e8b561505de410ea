"""What one word of a text names: `[HOST/]OWNER/PACKAGE[:TAG][@DIGEST]`, with marks for variables.

Whatever a host or a path before it may be, the owner can be any component but the last. What does not say which image
is meant (no tag, a variable, a digest cut short) means the whole package, and a variable in a name every package that
fits.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property

from package_keeper.inputs import image_context
from package_keeper.inputs.marked_text import MARK, MarkedText

CHARACTERS = "A-Za-z0-9_.\\-/:@\ue000-\uf8ff"
"""What words consist of, for a class of a regular expression."""

_MARK = re.compile(MARK)
_NAME = re.compile(r"[A-Za-z0-9_*][A-Za-z0-9_.*-]*", re.ASCII)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", re.ASCII)
_DIGEST = re.compile(r"sha256:[0-9a-fA-F]{64}", re.ASCII)
_LITERAL = re.compile(r"[A-Za-z0-9]", re.ASCII)
_HOST = re.compile(r"[\w-]+(?:\.[\w-]+)+(?::\d+)?|[\w-]+:\d+|localhost", re.ASCII)
_SCHEME = re.compile(r"([a-z][a-z0-9.+-]{0,20})://", re.IGNORECASE)
_ACTION = re.compile(r"\buses[\"']?[ \t]*[:=][ \t]*[\"']?$")
_SETTING = re.compile(r"(?:[\w-][\"']?[ \t]{0,4}(?::=|\?=|[:=])[ \t]{0,4}[\"'`]?|[\[(,][ \t]{0,4}[\"'`])$")
_PREFIX_SETTING = re.compile(
    r"(?:registry|repo_?url|root_?url|docker_?repo|default-?repo|prefix|mirror)[\"']?[ \t]{0,4}[:=]?[ \t]{0,4}[\"']?$",
    re.IGNORECASE,
)
_CODE_HOSTS = frozenset(
    (
        "github.com",
        "www.github.com",
        "api.github.com",
        "raw.githubusercontent.com",
        "codeload.github.com",
        "gitlab.com",
        "bitbucket.org",
    )
)
"""Hosts whose `owner/name` is a repository, not an image."""

_LONGEST = 1000
"""What is longer is no name of an image, whatever variables are in it."""

_MOST_PARTS = 20

_IMAGE_SCHEMES = frozenset(
    ("docker", "docker-daemon", "docker-image", "oci", "containers", "containers-storage", "registry")
)


@dataclass(frozen=True, slots=True)
class Named:
    """A package, or images of it. `package` may hold `*`; alone it is every package of the owner.

    Without tag and digest the whole package is meant. `certain`: it is an image of the owner, or it is an image and
    a variable hides whose; otherwise it may be anything.
    """

    package: str
    tag: str | None = None
    digest: str | None = None
    certain: bool = True


class Word:
    """One word at a place, and what stands around it."""

    def __init__(self, written: str, at: int, around: image_context.Surroundings, marked: MarkedText) -> None:
        self._at = at
        self._around = around
        self._variables = [marked.variables.get(each, "") for each in _MARK.findall(written)]
        self.written = _MARK.sub(lambda found: marked.values.get(found[0], found[0]), written)
        self._has_value = self.written != written
        # what stands behind the last variable: /app:v1
        self._ends_in_a_name = _LITERAL.search(re.split("[:@]", _MARK.split(written)[-1])[0]) is not None
        scheme = _SCHEME.match(self.written)
        self._scheme = scheme[1].lower() if scheme else ""
        self._parts = (self.written[scheme.end() :] if scheme else self.written).rstrip(".:").split("/")
        self._is_prefix = self._scheme == "oci"
        self._take_interface_away()
        self._is_in_registry = self._scheme in _IMAGE_SCHEMES or image_context.is_registry(self._parts[0], self._scheme)
        self._is_tagged = any(":" in part or "@" in part for part in self._parts[1:])

    def named(self, logins: Collection[str]) -> Iterator[Named]:
        """What it names of the account that has `logins`, in lower case."""
        if self._is_of_code:
            return
        for number, part in enumerate(self._parts):
            *hidden, owner = _MARK.split(part.rpartition(":")[2].rpartition("@")[2])
            if owner.lstrip("-._").lower() in logins:
                yield from self._of_owner(number + 1, is_sure=not hidden)
        if len(self.written) <= _LONGEST and _MARK.search("".join(self._name[0])):
            yield from self._of_hidden_owner(logins)

    def is_lone_owner(self, logins: Collection[str]) -> bool:
        """Whether it is an owner in a registry, where a setting or a list has it: `registry: ghcr.io/acme`."""
        *above, last = [part for part in self._parts if part] or [""]
        if not above or last.rstrip("._-").lower() not in logins or self._is_of_code:
            return False
        if not (self._is_in_registry or _HOST.fullmatch(above[0]) or _MARK.search(above[0])):
            return False
        return self._is_prefix or not self._parts[-1] or _SETTING.search(self._around.before(self._at)) is not None

    @cached_property
    def _is_of_code(self) -> bool:
        """Whether it names a repository, an action, or an address that is no image's."""
        if self._parts[0].rpartition("@")[2].partition(":")[0].lower() in _CODE_HOSTS:
            return True
        if self._is_in_registry:
            return False
        if "@" in self.written and ":" not in self.written and _ACTION.search(self._around.before(self._at)):
            return True
        return not self._is_tagged and (bool(self._scheme) or "repos" in self._parts[:2])

    @cached_property
    def _is_recognized(self) -> bool:
        """Whether it can be told to be an image though variables hide its name."""
        if self._is_in_registry or self._around.key_wants_image(self._at):
            return True
        if self._scheme:
            return False
        if self._around.command_wants_image(self._at, self._variables):
            return True
        is_called_image = image_context.are_called_image(self._variables)
        if len(self._parts) < 2:
            return is_called_image and self._has_tag
        if is_called_image or image_context.are_called_registry(self._variables):
            return True
        is_path = _MARK.match(self.written) and image_context.is_called_path(self._variables[0])
        return self._has_tag and not is_path and not self._around.is_volume(self._at)

    @cached_property
    def _name(self) -> tuple[list[str], str | None, str | None]:
        """The components of the name, with host and owner, and its tag and digest: what stands behind is no name."""
        ends = (number for number, part in enumerate(self._parts) if number and (":" in part or "@" in part))
        end = next(ends, len(self._parts) - 1)
        last, tag, digest = _split(self._parts[end])
        parts = [*self._parts[:end], last]
        return parts if parts[-1] else parts[:-1], tag, digest

    @property
    def _has_tag(self) -> bool:
        """Whether what stands behind the name can be a tag or a digest."""
        _, tag, digest = self._name
        return bool(digest or (tag and (_TAG.fullmatch(tag) or _MARK.search(tag))))

    def _take_interface_away(self) -> None:
        """`HOST/v2/NAME/manifests/TAG`, an address of the registry's interface, is `HOST/NAME:TAG`."""
        parts = self._parts
        if len(parts) < 3 or "v2" not in parts[:2] or (_LITERAL.search(parts[0]) and not _HOST.fullmatch(parts[0])):
            return
        parts.remove("v2")
        if len(parts) > 3 and parts[-2] in ("manifests", "blobs"):
            *name, _, reference = parts
            sign = "@" if reference.startswith("sha256:") else ":"
            self._parts = [*name[:-1], f"{name[-1]}{sign}{reference}"]
        elif parts[-2:] == ["tags", "list"]:
            del parts[-2:]
        else:
            self._is_prefix = True

    def _of_owner(self, start: int, *, is_sure: bool) -> Iterator[Named]:
        """What stands behind the owner, as far as it can be a name. `is_sure`: no variable stands before the owner."""
        taken = []
        for part in self._parts[start : start + _MOST_PARTS + 1]:
            if not part:
                break
            taken.append(part)
            if ":" in part or "@" in part:
                break
        if not 0 < len(taken) <= _MOST_PARTS:
            return
        name, tag, digest = _split(taken[-1])
        package = _glob("/".join([*taken[:-1], name]))
        certain = not self._has_value or self._is_recognized
        if not certain and not self._ends_in_a_name:
            return
        if tag is None and digest is None:
            is_base = self._is_prefix or _PREFIX_SETTING.search(self._around.before(self._at)) is not None
            yield from whole(package, more=is_base or not self._parts[-1], certain=certain)
        elif self._has_value or not is_sure:
            # a name with a variable in it, though its value may be known
            yield from whole(package, more=False, certain=certain)
        elif _is_name(package):
            yield from _tagged(package, tag, digest)

    def _of_hidden_owner(self, logins: Collection[str]) -> Iterator[Named]:
        """A variable stands for the owner, or for more or less than that: it may hold slashes."""
        parts = [*self._name[0]]
        if self.written.startswith(("/", ".", "~")) or "" in parts or ("://" in self.written and not self._scheme):
            # a path, or an address of something else
            return
        if image_context.FIXED_REGISTRIES.fullmatch(parts[0]):
            del parts[0]
        elif _HOST.fullmatch(parts[0]):
            # a mirror may have more before the owner, but HOST/OTHER/${IMAGE} is an image of OTHER
            hidden = next(number for number, part in enumerate(parts) if _MARK.search(part))
            parts = parts[1:] if hidden == len(parts) - 1 else parts[hidden:]
        if not _MARK.search(parts[0]):
            return
        for package in dict.fromkeys(_hidden_packages([_glob(part) for part in parts], logins)):
            if not _LITERAL.search(package):
                if self._is_recognized:
                    yield Named("*")
            # in a text that may be about anything, what has capital letters is no image
            elif self._is_recognized or (package == package.lower() and (len(parts) > 1 or self._has_tag)):
                yield from whole(package, more=False, certain=self._is_recognized)


def _hidden_packages(parts: list[str], logins: Collection[str]) -> Iterator[str]:
    """The packages that may be meant, with `*` in `parts` for what may be anything, slashes too."""
    for number, part in enumerate(parts[:-1]):
        if "*" in part and any(fnmatchcase(login, part.lower()) for login in logins):
            yield "/".join(parts[number + 1 :])
    for number, part in reversed(list(enumerate(parts))):
        if part.startswith("*"):
            # it may hold the owner, and the beginning of the package
            yield "/".join(parts[number:])
            break
    for number, part in enumerate(parts):
        for login in logins:
            # what it holds may begin with a slash: ghcr.io/acme${IMAGE}
            if part.lower().startswith(f"{login}*"):
                yield "/".join([part[len(login) :], *parts[number + 1 :]])


def whole(package: str, *, more: bool, certain: bool = True) -> Iterator[Named]:
    """A whole package; `more` may stand behind it, somewhere else."""
    package = _glob(package)
    plain = package.rstrip("._-")
    names = [package, plain]
    if more:
        names.append(f"{plain}/*")
    if package.endswith(("-", "_")):
        # cut short: "acme/app-" + name, acme/app-*
        names.append(f"{package}*")
    yield from (Named(name, certain=certain) for name in dict.fromkeys(names) if _is_name(name))


def _tagged(package: str, tag: str | None, digest: str | None) -> Iterator[Named]:
    """An image of a package, or the whole package when it cannot be told which."""
    is_whole = "*" in package or (tag is None and digest is None)
    is_whole = is_whole or (tag is not None and not _TAG.fullmatch(tag))
    is_whole = is_whole or (digest is not None and not _DIGEST.fullmatch(digest))
    if is_whole or tag is None:
        yield Named(package, digest=None if is_whole or digest is None else digest.lower())
        return
    # a sentence or an emphasis may end behind it: _acme/app:v1_.
    for spelling in dict.fromkeys((tag, tag.rstrip("."), tag.rstrip("._-"))):
        yield Named(package, tag=spelling, digest=digest and digest.lower())


def _split(part: str) -> tuple[str, str | None, str | None]:
    """The last component of a name: its end, tag and digest."""
    before, at, digest = part.partition("@")
    name, colon, tag = before.partition(":")
    return name, tag if colon else None, digest if at else None


def _glob(text: str) -> str:
    """A name with `*` for every variable in it."""
    return re.sub(r"\*+", "*", _MARK.sub("*", text))


def _is_name(package: str) -> bool:
    return all(_NAME.fullmatch(part) for part in package.split("/"))
