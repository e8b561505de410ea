"""Image references in files of any form (docs/reference.md, "keep-used-in").

Files are searched as text, not parsed as YAML, HCL or Dockerfile. An image is a name anywhere in the text, or two
settings that name it together, such as a registry and a repository. When variables hide a name,
docs/decisions/0020-hidden-image-names.md says what counts as an image.
"""

import re
import string
from collections.abc import Callable, Collection, Iterable, Iterator
from fnmatch import fnmatchcase
from functools import cached_property, partial

from msgspec import Struct

from package_keeper.inputs import reference_context
from package_keeper.inputs.reference_context import MARK, MarkedText, Surroundings, mark, value_of
from package_keeper.inputs.spelled_references import spelled_out
from package_keeper.model.images import ImageReference

CHARACTERS = "A-Za-z0-9_.\\-/:@\ue000-\uf8ff"
"""The characters of a word, for a class in a regular expression."""

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
"""Hosts on which `owner/name` is a source repository, not an image."""

_LONGEST = 1000
"""Longer words with variables are not searched for hidden owners."""

_MOST_PARTS = 20

_IMAGE_SCHEMES = frozenset(
    ("docker", "docker-daemon", "docker-image", "oci", "containers", "containers-storage", "registry")
)


class Named(Struct, frozen=True):
    """A package, or an image in it. Without tag and digest it is the whole package.

    `package` may contain `*`; `*` alone is every package of the owner. `certain`: this is an image of the owner, or an
    image whose owner a variable hides. Otherwise it may be something else.
    """

    package: str
    tag: str | None = None
    digest: str | None = None
    certain: bool = True


class Word:
    """One word of a text, with its surroundings."""

    def __init__(self, written: str, at: int, around: reference_context.Surroundings, marked: MarkedText) -> None:
        self._at = at
        self._around = around
        self._variables = [marked.variables.get(each, "") for each in _MARK.findall(written)]
        self.written = _MARK.sub(lambda found: marked.values.get(found[0], found[0]), written)
        self._has_value = self.written != written
        # the text after the last variable: /app:v1
        self._ends_in_a_name = _LITERAL.search(re.split("[:@]", _MARK.split(written)[-1])[0]) is not None
        scheme = _SCHEME.match(self.written)
        self._scheme = scheme[1].lower() if scheme else ""
        self._parts = (self.written[scheme.end() :] if scheme else self.written).rstrip(".:").split("/")
        self._is_prefix = self._scheme == "oci"
        self._take_interface_away()
        self._is_in_registry = self._scheme in _IMAGE_SCHEMES or reference_context.is_registry(
            self._parts[0], self._scheme
        )
        self._is_tagged = any(":" in part or "@" in part for part in self._parts[1:])

    def named(self, logins: Collection[str]) -> Iterator[Named]:
        """The packages and images that it names, of the account with `logins` (lower case)."""
        if self._is_of_code:
            return
        for number, part in enumerate(self._parts):
            *hidden, owner = _MARK.split(part.rpartition(":")[2].rpartition("@")[2])
            if owner.lstrip("-._").lower() in logins:
                yield from self._of_owner(number + 1, is_sure=not hidden)
        if len(self.written) <= _LONGEST and _MARK.search("".join(self._name[0])):
            yield from self._of_hidden_owner(logins)

    def is_lone_owner(self, logins: Collection[str]) -> bool:
        """Whether it is an owner in a registry, as the value of a setting or in a list: `registry: ghcr.io/acme`."""
        *above, last = [part for part in self._parts if part] or [""]
        if not above or last.rstrip("._-").lower() not in logins or self._is_of_code:
            return False
        if not (self._is_in_registry or _HOST.fullmatch(above[0]) or _MARK.search(above[0])):
            return False
        return self._is_prefix or not self._parts[-1] or _SETTING.search(self._around.before(self._at)) is not None

    @cached_property
    def _is_of_code(self) -> bool:
        """Whether it names a source repository, an action, or an address of something other than an image."""
        if self._parts[0].rpartition("@")[2].partition(":")[0].lower() in _CODE_HOSTS:
            return True
        if self._is_in_registry:
            return False
        if "@" in self.written and ":" not in self.written and _ACTION.search(self._around.before(self._at)):
            return True
        return not self._is_tagged and (bool(self._scheme) or "repos" in self._parts[:2])

    @cached_property
    def _is_recognized(self) -> bool:
        """Whether its form or surroundings show that it is an image, although variables hide its name."""
        if self._is_in_registry or self._around.key_wants_image(self._at):
            return True
        if self._scheme:
            return False
        if self._around.command_wants_image(self._at, self._variables):
            return True
        is_called_image = reference_context.are_called_image(self._variables)
        if len(self._parts) < 2:
            return is_called_image and self._has_tag
        if is_called_image or reference_context.are_called_registry(self._variables):
            return True
        is_path = _MARK.match(self.written) and reference_context.is_called_path(self._variables[0])
        return self._has_tag and not is_path and not self._around.is_volume(self._at)

    @cached_property
    def _name(self) -> tuple[list[str], str | None, str | None]:
        """The components of the name (with host and owner), its tag and its digest, without what follows them."""
        ends = (number for number, part in enumerate(self._parts) if number and (":" in part or "@" in part))
        end = next(ends, len(self._parts) - 1)
        last, tag, digest = _split(self._parts[end])
        parts = [*self._parts[:end], last]
        return parts if parts[-1] else parts[:-1], tag, digest

    @property
    def _has_tag(self) -> bool:
        """Whether a tag or a digest follows the name."""
        _, tag, digest = self._name
        return bool(digest or (tag and (_TAG.fullmatch(tag) or _MARK.search(tag))))

    def _take_interface_away(self) -> None:
        """Rewrite an address of the registry API, `HOST/v2/NAME/manifests/TAG`, as `HOST/NAME:TAG`."""
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
        """The package whose name begins at part `start`. `is_sure`: no variable precedes the owner in front of it."""
        parts = self._name_behind(start)
        if not parts:
            return
        name, tag, digest = _split(parts[-1])
        package = _glob("/".join([*parts[:-1], name]))
        certain = not self._has_value or self._is_recognized
        if not certain and not self._ends_in_a_name:
            return
        if tag is None and digest is None:
            is_base = self._is_prefix or _PREFIX_SETTING.search(self._around.before(self._at)) is not None
            yield from whole(package, more=is_base or not self._parts[-1], certain=certain)
        elif self._has_value or not is_sure:
            # a variable hides a part of the name, even if its value may be known
            yield from whole(package, more=False, certain=certain)
        elif _is_name(package):
            yield from _tagged(package, tag, digest)

    def _name_behind(self, start: int) -> list[str]:
        """The parts of a name from `start` to its tag, its digest or an empty part; none when they are too many."""
        parts = self._parts[start : start + _MOST_PARTS + 1]
        for number, part in enumerate(parts):
            if not part:
                parts = parts[:number]
                break
            if ":" in part or "@" in part:
                parts = parts[: number + 1]
                break
        return parts if len(parts) <= _MOST_PARTS else []

    def _of_hidden_owner(self, logins: Collection[str]) -> Iterator[Named]:
        """The packages that may be meant when a variable stands for the owner, or for more or less than the owner."""
        parts = self._parts_without_host()
        if not parts or not _MARK.search(parts[0]):
            return
        for package in dict.fromkeys(_hidden_packages([_glob(part) for part in parts], logins)):
            if not _LITERAL.search(package):
                if self._is_recognized:
                    yield Named("*")
            elif self._is_recognized or (package == package.lower() and (len(parts) > 1 or self._has_tag)):
                # without other evidence, a name with capital letters is not an image
                yield from whole(package, more=False, certain=self._is_recognized)

    def _parts_without_host(self) -> list[str]:
        """The parts of the name from the owner on, or from a variable that may hide the owner.

        None for a path, or for an address of something else.
        """
        parts = self._name[0]
        if self.written.startswith(("/", ".", "~")) or "" in parts or ("://" in self.written and not self._scheme):
            return []
        if reference_context.FIXED_REGISTRIES.fullmatch(parts[0]):
            return parts[1:]
        if _HOST.fullmatch(parts[0]):
            # a mirror may have more before the owner, but HOST/OTHER/${IMAGE} is an image of OTHER
            hidden = next(number for number, part in enumerate(parts) if _MARK.search(part))
            return parts[1:] if hidden == len(parts) - 1 else parts[hidden:]
        return parts


def _hidden_packages(parts: list[str], logins: Collection[str]) -> Iterator[str]:
    """The packages that may be meant. A `*` in `parts` stands for any text, slashes included."""
    for number, part in enumerate(parts[:-1]):
        if "*" in part and any(fnmatchcase(login, part.lower()) for login in logins):
            yield "/".join(parts[number + 1 :])
    for number, part in reversed(list(enumerate(parts))):
        if part.startswith("*"):
            # the variable may contain the owner and the beginning of the package
            yield "/".join(parts[number:])
            break
    for number, part in enumerate(parts):
        for login in logins:
            # the value may begin with a slash: ghcr.io/acme${IMAGE}
            if part.lower().startswith(f"{login}*"):
                yield "/".join([part[len(login) :], *parts[number + 1 :]])


def whole(package: str, *, more: bool, certain: bool = True) -> Iterator[Named]:
    """A whole package. `more`: the name may go on elsewhere, so packages below it are meant too."""
    package = _glob(package)
    plain = package.rstrip("._-")
    names = [package, plain]
    if more:
        names.append(f"{plain}/*")
    if package.endswith(("-", "_")):
        # the rest of the name is unknown: "acme/app-" + name, acme/app-*
        names.append(f"{package}*")
    yield from (Named(name, certain=certain) for name in dict.fromkeys(names) if _is_name(name))


def _tagged(package: str, tag: str | None, digest: str | None) -> Iterator[Named]:
    """An image of a package; the whole package when the tag or digest is not a valid one."""
    is_whole = "*" in package or (tag is None and digest is None)
    is_whole = is_whole or (tag is not None and not _TAG.fullmatch(tag))
    is_whole = is_whole or (digest is not None and not _DIGEST.fullmatch(digest))
    if is_whole or tag is None:
        yield Named(package, digest=None if is_whole or digest is None else digest.lower())
        return
    # punctuation may follow the tag: _acme/app:v1_.
    for spelling in dict.fromkeys((tag, tag.rstrip("."), tag.rstrip("._-"))):
        yield Named(package, tag=spelling, digest=digest and digest.lower())


def _split(part: str) -> tuple[str, str | None, str | None]:
    """Split the last component of a name into the name itself, tag and digest."""
    before, at, digest = part.partition("@")
    name, colon, tag = before.partition(":")
    return name, tag if colon else None, digest if at else None


def _glob(text: str) -> str:
    """A name with `*` in place of every variable."""
    return re.sub(r"\*+", "*", _MARK.sub("*", text))


def _is_name(package: str) -> bool:
    return all(_NAME.fullmatch(part) for part in package.split("/"))


_DEFAULT = re.compile(r"[#$]\{\w+:?[-=+?]", re.ASCII)
_IMAGE_SETTING = re.compile(
    # spelled out in each case, since re.IGNORECASE makes this slow
    "(?:image|Image|IMAGE|img|Img|IMG|repo|Repo|REPO)s?(?:sitory|SITORY)?"
    "(?:[_.-]?(?:name|Name|NAME|repo(?:sitory)?|Repo(?:sitory)?|REPO(?:SITORY)?|uri|Uri|URI|ref(?:erence)?|Ref))?"
    rf"[\"']?[ \t]{{0,4}}(?::=|\?=|[:=>])[ \t]{{0,4}}[\"']?(?P<value>[{CHARACTERS}]+)"
)
_OWNER_KEY = re.compile(
    r"(?:registry|owner|organi[sz]ation|\borg|_org|namespace|account|user(?:name)?|group|project)[\"']?[ \t]{0,4}:?$",
    re.IGNORECASE,
)
_IMAGE_WORDS = ("image", "img", "repo")


class _Half(Struct, frozen=True):
    """A setting that names an image together with another one: only an owner, or only a package."""

    file: str
    place: str
    text: str


class _Source(Struct, kw_only=True):
    """A file that is being searched."""

    file: str
    marked: MarkedText
    _at: int = 0
    _line: int = 1

    def place(self, at: int) -> str:
        """The place as `file:line`. Fast for places in ascending order."""
        if at < self._at:
            self._at, self._line = 0, 1
        self._line += self.marked.lines(self._at, at)
        self._at = at
        return f"{self.file}:{self._line}"

    def place_of(self, character: str, _: int) -> str:
        """The place of a mark as `file:line`; of the outermost variable when it is inside other variables."""
        while character and character not in self.marked.text:
            outer = (each for each, written in self.marked.variables.items() if character in written)
            character = next(outer, "")
        return self.place(max(0, self.marked.text.find(character)))


class ReferenceFinder:
    """Searches files for images of the account with `logins`, and for names that may be its images.

    `repository` is the one that the run belongs to, as `owner/name`.
    """

    def __init__(self, logins: Iterable[str], repository: str = "") -> None:
        self._logins = [login.lower() for login in dict.fromkeys(logins) if login]
        self._repository = repository
        owned = f"(?:{'|'.join(_in_any_case(login) for login in self._logins)})"
        # in "\nginx/app" with the owner nginx, the backslash is not an escape
        self._no_escapes = re.compile(rf"\\(?={owned}/)")
        self._owner_values = re.compile(rf"[=:][ \t]{{0,4}}[\"']?(?P<value>{owned}|{MARK}+)(?![{CHARACTERS}])")
        self._next_word = _next_word(self._logins, owned)
        self._found: dict[tuple[str | bool | None, ...], ImageReference] = {}
        self._owners_in_registries: list[_Half] = []
        self._files_with_owners: dict[str, bool] = {}
        self._packages: list[_Half] = []
        self._has_hidden_owners = False

    def search(self, file: str, text: str, *, is_own_workflow: bool = False) -> None:
        """Search one file. `is_own_workflow`: it is a workflow of the run's repository, and runs for no other."""
        text = spelled_out(file, text)
        known = partial(value_of, login=self._logins[0], repository=self._repository if is_own_workflow else "")
        source = _Source(file=file, marked=mark(self._no_escapes.sub(" ", text), known))
        lowered = text.lower()
        if source.marked.text.isascii() and not any(login in lowered for login in self._logins):
            # without marks and owners, nothing else can be found
            self._read_packages(source, lowered)
            return
        self._read(source, source.marked.text, source.place)
        for character, written in source.marked.variables.items():
            # a variable may contain a name: ${IMAGE:-ghcr.io/acme/app:v1}
            if "/" in written:
                if default := _DEFAULT.match(written):
                    self._read(source, written[default.end() :], partial(source.place_of, character))
                self._read(source, written, partial(source.place_of, character))
        self._read_owners(source)
        self._read_packages(source, lowered)

    def references(self) -> list[ImageReference]:
        """All references found so far, each once per file."""
        return [*self._found.values(), *self._completed()]

    def _read(self, source: _Source, text: str, place: Callable[[int], str]) -> None:
        around = Surroundings(text)
        end = 0
        while found := self._next_word.match(text, end):
            written, at, end = found[1], found.start(1), found.end()
            if "/" not in written and ":" not in written and not around.may_show_images:
                # a single variable, in a text that is not about images
                continue
            word = Word(written, at, around, source.marked)
            for named in word.named(self._logins):
                key = (source.file, named.package, named.tag, named.digest, named.certain)
                if key not in self._found:
                    self._found[key] = _reference(named, written, place(at))
                self._has_hidden_owners |= named.certain and _MARK.match(word.written) is not None
            if word.is_lone_owner(self._logins):
                self._owners_in_registries.append(_Half(source.file, place(at), written))
                self._files_with_owners[source.file] = True

    def _read_owners(self, source: _Source) -> None:
        """Find settings such as `owner: acme`, which complete a package named elsewhere."""
        text = source.marked.text
        for found in self._owner_values.finditer(text):
            if _OWNER_KEY.search(text[max(0, found.start() - 40) : found.start()]):
                is_ours = found["value"].lower() in self._logins
                self._files_with_owners[source.file] = self._files_with_owners.get(source.file, False) or is_ours

    def _read_packages(self, source: _Source, lowered: str) -> None:
        """Find settings such as `repository: app`, which are images only together with an owner."""
        if not any(word in lowered for word in _IMAGE_WORDS):
            return
        for found in _IMAGE_SETTING.finditer(source.marked.text):
            name = found["value"]
            first, slash, _ = name.partition("/")
            has_owner = slash and ("." in first or ":" in first or _MARK.search(first) or first.lower() in self._logins)
            if not has_owner and re.search("[A-Za-z0-9]", name):
                self._packages.append(_Half(source.file, source.place(found.start("value")), name))

    def _completed(self) -> Iterator[ImageReference]:
        """The images that two settings name together. An owner in one file completes a name in another."""
        if self._files_with_owners:
            for half in dict.fromkeys(self._packages):
                name = re.split("[:@]", half.text, maxsplit=1)[0].strip("/")
                for named in whole(name, more=False, certain=self._files_with_owners.get(half.file, False)):
                    yield _reference(named, half.text, half.place)
        completed = {half.file for half in self._packages}
        for half in dict.fromkeys(self._owners_in_registries):
            # ${REGISTRY}/app:v1 anywhere, or repository: app in the same file, completes the owner;
            # otherwise any package may be meant
            if not self._has_hidden_owners and half.file not in completed:
                yield _reference(Named("*"), half.text, half.place)


def _reference(named: Named, written: str, place: str) -> ImageReference:
    return ImageReference(
        text=_MARK.sub("${…}", written),
        place=place,
        package=named.package,
        tag=named.tag,
        digest=named.digest,
        whole=named.tag is None and named.digest is None,
        certain=named.certain,
    )


def _in_any_case(login: str) -> str:
    """A regular expression for a login in any case. The flag re.IGNORECASE would make the whole expression slow."""
    return "".join(f"[{each}{each.upper()}]" if each.isalpha() else re.escape(each) for each in login)


def _next_word(logins: Iterable[str], owned: str) -> re.Pattern[str]:
    """An expression that matches everything up to the next word with an owner or a mark, and that word.

    It uses possessive repeats, so that matching it takes linear time.
    """
    first = {letter for login in logins for letter in (login[0], login[0].upper())}
    others = "".join(re.escape(each) for each in string.ascii_letters + string.digits + "_.-/:@" if each not in first)
    without = f"[{others}]*+(?:(?!{owned})[{''.join(sorted(first))}][{others}]*+)*+"
    return re.compile(f"(?:{without}[^{CHARACTERS}]++)*+({without}(?:{owned}|{MARK})[{CHARACTERS}]*+)")
