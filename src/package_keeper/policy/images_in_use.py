"""Images in use: what files of the workspace name (contract, input `keep-used-in`).

What cannot be resolved to images keeps the whole package: silence would unprotect.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from package_keeper.model.images import Image
from package_keeper.model.packages import PackageName, PackageType
from package_keeper.policy.patterns import Pattern


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageReference:
    """One image that a file names, as far as it can be told.

    `text` is as written, `place` is `file:line`. `package` may hold `*` for a variable; alone it is every package.
    `whole` means that the reference does not say which image of the package it is. `certain`: an image of the owner is
    named, or one whose owner a variable hides; what is not certain protects too, where a package has that name.
    """

    text: str
    place: str
    package: str
    tag: str | None = None
    digest: str | None = None
    whole: bool = False
    certain: bool = True

    @property
    def file(self) -> str:
        return self.place.rpartition(":")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Use:
    whole: bool
    tags: frozenset[str]
    digests: frozenset[str]

    @classmethod
    def of(cls, references: Collection[ImageReference]) -> "_Use":
        return cls(
            whole=any(each.whole for each in references),
            tags=frozenset(each.tag for each in references if each.tag is not None),
            digests=frozenset(each.digest for each in references if each.digest is not None),
        )


@dataclass(frozen=True, kw_only=True)
class ImagesInUse:
    """The images of one owner that are in use; `globs` has the files that each glob means."""

    references: tuple[ImageReference, ...] = ()
    globs: Mapping[str, Collection[str]] = field(default_factory=dict)
    _named: Mapping["_Name", list[ImageReference]] = field(default_factory=dict)
    _uses: dict[PackageName, _Use] = field(default_factory=dict)

    @classmethod
    def of(cls, references: Iterable[ImageReference], globs: Mapping[str, Collection[str]]) -> "ImagesInUse":
        """Take what was found in the files that `globs` mean."""
        taken = tuple(references)
        named: dict[str, list[ImageReference]] = {}
        for reference in taken:
            named.setdefault(reference.package.lower(), []).append(reference)
        return cls(references=taken, globs=globs, _named={_Name(name): found for name, found in named.items()})

    def name(self, image: Image) -> bool:
        """Whether `image` is in use, or its whole package is."""
        use = self._use_of(image.root.package)
        return use.whole or not use.tags.isdisjoint(image.root.tags) or not use.digests.isdisjoint(image.digests)

    def _use_of(self, package: PackageName) -> _Use:
        if package not in self._uses:
            found = [each for name, references in self._named.items() if name.fits(package) for each in references]
            self._uses[package] = _Use.of(found)
        return self._uses[package]

    def here(self, packages: Collection[PackageName]) -> list[ImageReference]:
        """The references that concern one of `packages`, each place once."""
        names = {name.text for name in self._named if any(name.fits(package) for package in packages)}
        found: dict[tuple[str, str], ImageReference] = {}
        for reference in self.references:
            if reference.package.lower() in names:
                found.setdefault((reference.place, reference.text), reference)
        return list(found.values())

    def idle_globs(self, references: Iterable[ImageReference]) -> list[str]:
        """The globs in whose files none of `references` stands."""
        files = {reference.file for reference in references}
        return [glob for glob, meant in self.globs.items() if files.isdisjoint(meant)]

    def name_tags_of(self, package: PackageName) -> bool:
        """Whether any tag of `package` is named."""
        return bool(self._use_of(package).tags)

    def digests(self) -> frozenset[str]:
        """All digests that are named."""
        return frozenset(each.digest for each in self.references if each.digest is not None)


class _Name:
    """The name of a package in lower case, with `*` for what a variable hides."""

    def __init__(self, text: str) -> None:
        self.text = text
        ends = [place for place, character in enumerate(text) if character in "/*"]
        # the old docker registry puts the repository before the package: OWNER/REPOSITORY/PACKAGE
        self._spellings = [Pattern(text), *(Pattern(text[place:].removeprefix("/")) for place in ends)]

    def fits(self, package: PackageName) -> bool:
        """Whether it may be the name of `package`."""
        name = package.name.lower()
        if package.type is PackageType.DOCKER:
            return any(spelling.matches(name) for spelling in self._spellings)
        return self._spellings[0].matches(name) if "*" in self.text else self.text == name
