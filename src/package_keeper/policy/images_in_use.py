"""Images in use: what files of the workspace name (docs/reference.md, "keep-used-in").

A reference that does not say which image it means keeps its whole package.
"""

from collections.abc import Collection, Iterable, Mapping

from msgspec import Struct, field

from package_keeper.model.images import Image, ImageReference
from package_keeper.model.packages import PackageName, PackageType
from package_keeper.policy.patterns import Pattern


class _PackageInUse(Struct, frozen=True, kw_only=True):
    """What of one package is in use."""

    whole: bool
    tags: frozenset[str]
    digests: frozenset[str]


class ImagesInUse(Struct, frozen=True, kw_only=True):
    """The images of one owner that are in use; `globs` has the files that match each glob."""

    references: tuple[ImageReference, ...] = ()
    globs: Mapping[str, Collection[str]] = field(default_factory=dict)
    _named: Mapping["_Name", list[ImageReference]] = field(default_factory=dict)
    _by_package: dict[PackageName, _PackageInUse] = field(default_factory=dict)

    @classmethod
    def of(cls, references: Iterable[ImageReference], globs: Mapping[str, Collection[str]]) -> "ImagesInUse":
        """Group the references that the files of `globs` have."""
        taken = tuple(references)
        named: dict[str, list[ImageReference]] = {}
        for reference in taken:
            named.setdefault(reference.package.lower(), []).append(reference)
        return cls(references=taken, globs=globs, _named={_Name(name): found for name, found in named.items()})

    def name(self, image: Image) -> bool:
        """Whether `image` is in use, or its whole package is."""
        if not self.references:
            return False
        used = self._in_use(image.root.package)
        return used.whole or not used.tags.isdisjoint(image.root.tags) or not used.digests.isdisjoint(image.digests)

    def _in_use(self, package: PackageName) -> _PackageInUse:
        if package not in self._by_package:
            found = [each for name, references in self._named.items() if name.fits(package) for each in references]
            self._by_package[package] = _PackageInUse(
                whole=any(each.whole for each in found),
                tags=frozenset(each.tag for each in found if each.tag is not None),
                digests=frozenset(each.digest for each in found if each.digest is not None),
            )
        return self._by_package[package]

    def here(self, packages: Collection[PackageName]) -> list[ImageReference]:
        """The references to one of `packages`, each once a place."""
        names = {name.text for name in self._named if any(name.fits(package) for package in packages)}
        found: dict[tuple[str, str], ImageReference] = {}
        for reference in self.references:
            if reference.package.lower() in names:
                found.setdefault((reference.place, reference.text), reference)
        return list(found.values())

    def idle_globs(self, references: Iterable[ImageReference]) -> list[str]:
        """The globs whose files have none of `references`."""
        files = {reference.file for reference in references}
        return [glob for glob, meant in self.globs.items() if files.isdisjoint(meant)]

    def name_tags_of(self, package: PackageName) -> bool:
        """Whether a reference names a tag of `package`."""
        return bool(self._in_use(package).tags)

    def digests(self) -> frozenset[str]:
        """All digests that references name."""
        return frozenset(each.digest for each in self.references if each.digest is not None)


class _Name:
    """The name of a package in a reference: lower case, with `*` for a variable."""

    def __init__(self, text: str) -> None:
        self.text = text
        ends = [place for place, character in enumerate(text) if character in "/*"]
        # in the old Docker registry the repository comes before the package: OWNER/REPOSITORY/PACKAGE
        self._spellings = [Pattern(text), *(Pattern(text[place:].removeprefix("/")) for place in ends)]

    def fits(self, package: PackageName) -> bool:
        """Whether it can be the name of `package`."""
        name = package.name.lower()
        if package.type is PackageType.DOCKER:
            return any(spelling.matches(name) for spelling in self._spellings)
        return self._spellings[0].matches(name) if "*" in self.text else self.text == name
