"""Image references in files of any form (contract, input `keep-used-in`).

Nothing is parsed as YAML, HCL or Dockerfile: what a name can be is looked for wherever it stands in the text, and in
settings that name an image together. docs/decisions/0020-hidden-image-names.md says what counts as an image where
variables hide its name.
"""

import re
import string
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from package_keeper.decisions.used import ImageReference
from package_keeper.inputs.image_context import Surroundings
from package_keeper.inputs.image_words import CHARACTERS, Named, Word, whole
from package_keeper.inputs.known_variables import value_of
from package_keeper.inputs.marked_text import MARK, MarkedText, mark

_MARK = re.compile(MARK)
_DEFAULT = re.compile(r"[#$]\{\w+:?[-=+?]", re.ASCII)
_IMAGE_SETTING = re.compile(
    # spelt out, since it is quick only without a flag
    "(?:image|Image|IMAGE|img|Img|IMG|repo|Repo|REPO)s?(?:sitory|SITORY)?"
    "(?:[_.-]?(?:name|Name|NAME|repo(?:sitory)?|Repo(?:sitory)?|REPO(?:SITORY)?|uri|Uri|URI|ref(?:erence)?|Ref))?"
    rf"[\"']?[ \t]{{0,4}}(?::=|\?=|[:=>])[ \t]{{0,4}}[\"']?(?P<value>[{CHARACTERS}]+)"
)
_OWNER_KEY = re.compile(
    r"(?:registry|owner|organi[sz]ation|\borg|_org|namespace|account|user(?:name)?|group|project)[\"']?[ \t]{0,4}:?$",
    re.IGNORECASE,
)
_IMAGE_WORDS = ("image", "img", "repo")


@dataclass(frozen=True, slots=True)
class _Half:
    """A setting that names an image together with another one: an owner, or a package without one."""

    file: str
    place: str
    text: str


@dataclass(kw_only=True)
class _Source:
    """One file while it is searched."""

    file: str
    marked: MarkedText
    _at: int = 0
    _line: int = 1

    def place(self, at: int) -> str:
        """`file:line`; cheap when asked for one place after the other."""
        if at < self._at:
            self._at, self._line = 0, 1
        self._line += self.marked.lines(self._at, at)
        self._at = at
        return f"{self.file}:{self._line}"

    def place_of(self, character: str, _: int) -> str:
        """`file:line` of a mark, or of the variable that it stands in, wherever in the variable."""
        while character and character not in self.marked.text:
            outer = (each for each, written in self.marked.variables.items() if character in written)
            character = next(outer, "")
        return self.place(max(0, self.marked.text.find(character)))


class ReferenceFinder:
    """Searches files for images of the account that has `logins`, and for what may be one of them.

    `repository` is that of the run, as `owner/name`.
    """

    def __init__(self, logins: Iterable[str], repository: str = "") -> None:
        self._logins = [login.lower() for login in dict.fromkeys(logins) if login]
        self._repository = repository
        owned = f"(?:{'|'.join(_in_any_case(login) for login in self._logins)})"
        # \nginx/app is no line end and ginx/app
        self._no_escapes = re.compile(rf"\\(?={owned}/)")
        self._owner_values = re.compile(rf"[=:][ \t]{{0,4}}[\"']?(?P<value>{owned}|{MARK}+)(?![{CHARACTERS}])")
        self._next_word = _next_word(self._logins, owned)
        self._found: dict[tuple[str | bool | None, ...], ImageReference] = {}
        self._owners_in_registries: list[_Half] = []
        self._files_with_owners: dict[str, bool] = {}
        self._packages: list[_Half] = []
        self._has_hidden_owners = False

    def search(self, file: str, text: str, *, is_own_workflow: bool = False) -> None:
        """Search one file. `is_own_workflow`: it is one of the run's repository, and runs for no other."""
        known = partial(value_of, login=self._logins[0], repository=self._repository if is_own_workflow else "")
        source = _Source(file=file, marked=mark(self._no_escapes.sub(" ", text), known))
        lowered = text.lower()
        if source.marked.text.isascii() and not any(login in lowered for login in self._logins):
            # no mark, and no owner
            self._read_packages(source, lowered)
            return
        self._read(source, source.marked.text, source.place)
        for character, written in source.marked.variables.items():
            # a variable may hold a name: ${IMAGE:-ghcr.io/acme/app:v1}
            if "/" in written:
                if default := _DEFAULT.match(written):
                    self._read(source, written[default.end() :], partial(source.place_of, character))
                self._read(source, written, partial(source.place_of, character))
        self._read_owners(source)
        self._read_packages(source, lowered)

    def references(self) -> list[ImageReference]:
        """Everything that was found, each thing once for each file."""
        return [*self._found.values(), *self._completed()]

    def _read(self, source: _Source, text: str, place: Callable[[int], str]) -> None:
        around = Surroundings(text)
        end = 0
        while found := self._next_word.match(text, end):
            written, at, end = found[1], found.start(1), found.end()
            if "/" not in written and ":" not in written and not around.may_show_images:
                # most variables stand alone, and this text is not about images
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
        """Find `owner: acme`, which completes a package that stands elsewhere."""
        text = source.marked.text
        for found in self._owner_values.finditer(text):
            if _OWNER_KEY.search(text[max(0, found.start() - 40) : found.start()]):
                is_ours = found["value"].lower() in self._logins
                self._files_with_owners[source.file] = self._files_with_owners.get(source.file, False) or is_ours

    def _read_packages(self, source: _Source, lowered: str) -> None:
        """Find `repository: app`, which needs an owner to be an image."""
        if not any(word in lowered for word in _IMAGE_WORDS):
            return
        for found in _IMAGE_SETTING.finditer(source.marked.text):
            name = found["value"]
            first, slash, _ = name.partition("/")
            has_owner = slash and ("." in first or ":" in first or _MARK.search(first) or first.lower() in self._logins)
            if not has_owner and re.search("[A-Za-z0-9]", name):
                self._packages.append(_Half(source.file, source.place(found.start("value")), name))

    def _completed(self) -> Iterator[ImageReference]:
        """What settings name together, wherever they stand: an owner in one file completes a name in another."""
        if self._files_with_owners:
            for half in dict.fromkeys(self._packages):
                name = re.split("[:@]", half.text, maxsplit=1)[0].strip("/")
                for named in whole(name, more=False, certain=self._files_with_owners.get(half.file, False)):
                    yield _reference(named, half.text, half.place)
        completed = {half.file for half in self._packages}
        for half in dict.fromkeys(self._owners_in_registries):
            # ${REGISTRY}/app:v1 completes it anywhere, repository: app in the same file; else any package may be meant
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
    """A regular expression; a flag would make all of it slow."""
    return "".join(f"[{each}{each.upper()}]" if each.isalpha() else re.escape(each) for each in login)


def _next_word(logins: Iterable[str], owned: str) -> re.Pattern[str]:
    """The next word with an owner or a mark in it, and all that stands before it.

    It passes over everything else in one go and gives nothing back, so its time is linear where it is matched, not
    searched.
    """
    first = {letter for login in logins for letter in (login[0], login[0].upper())}
    others = "".join(re.escape(each) for each in string.ascii_letters + string.digits + "_.-/:@" if each not in first)
    without = f"[{others}]*+(?:(?!{owned})[{''.join(sorted(first))}][{others}]*+)*+"
    return re.compile(f"(?:{without}[^{CHARACTERS}]++)*+({without}(?:{owned}|{MARK})[{CHARACTERS}]*+)")
