"""Images in use: what files of the workspace name (contract, input `keep-used-in`).

What cannot be resolved to images keeps the whole package: silence would unprotect.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from package_keeper.decisions.patterns import Pattern
from package_keeper.inventory.image import Image
from package_keeper.inventory.package import PackageName, PackageType


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageReference:
    """One image that a file names, as far as it can be told.

    `text` is as written, `place` is `file:line`. `owner` is `None` when a variable stands for it, which may be any
    owner. `package` may hold `*` for a variable. `whole` means that the reference does not say which image of the
    package it is.
    """

    text: str
    place: str
    owner: str | None
    package: str
    tag: str | None = None
    digest: str | None = None
    whole: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Use:
    whole: bool = False
    tags: frozenset[str] = frozenset()
    digests: frozenset[str] = frozenset()

    def and_of(self, reference: ImageReference) -> "_Use":
        return replace(
            self,
            whole=self.whole or reference.whole,
            tags=self.tags | {reference.tag} if reference.tag else self.tags,
            digests=self.digests | {reference.digest} if reference.digest else self.digests,
        )


@dataclass(frozen=True, kw_only=True)
class UsedImages:
    """The images of one owner that are in use; `references` are those that led here."""

    references: tuple[ImageReference, ...] = ()
    _named: dict[str, _Use] = field(default_factory=dict)
    _patterns: tuple[Pattern, ...] = ()

    @classmethod
    def of(cls, references: Iterable[ImageReference], owners: Iterable[str]) -> "UsedImages":
        """Take the references to packages of the account that has the logins `owners`."""
        logins = {owner.lower() for owner in owners}
        taken = tuple(each for each in references if each.owner is None or each.owner.lower() in logins)
        named: dict[str, _Use] = {}
        patterns: dict[str, Pattern] = {}
        for reference in taken:
            name = reference.package.lower()
            if "*" in name:
                patterns[name] = Pattern(name)
            else:
                named[name] = named.get(name, _Use()).and_of(reference)
        return cls(references=taken, _named=named, _patterns=tuple(patterns.values()))

    def name(self, image: Image) -> bool:
        """Whether `image` is in use, or its whole package is."""
        if not self.references:
            return False
        package = image.root.package
        return self._name_all_of(package) or any(
            not use.tags.isdisjoint(image.root.tags) or not use.digests.isdisjoint(image.digests)
            for use in self._uses(package)
        )

    def concerns(self, reference: ImageReference, package: PackageName) -> bool:
        """Whether `reference` is about images of `package`."""
        return _fits(reference.package.lower(), package)

    def _name_all_of(self, package: PackageName) -> bool:
        return any(use.whole for use in self._uses(package)) or any(
            pattern.matches(package.name.lower()) for pattern in self._patterns
        )

    def _uses(self, package: PackageName) -> list[_Use]:
        if package.type is not PackageType.DOCKER:
            use = self._named.get(package.name.lower())
            return [use] if use is not None else []
        return [use for path, use in self._named.items() if _fits(path, package)]

    def name_tags_of(self, package: PackageName) -> bool:
        """Whether any tag of `package` is named."""
        return any(use.tags for use in self._uses(package))

    def digests(self) -> frozenset[str]:
        """All digests that are named."""
        return frozenset(digest for use in self._named.values() for digest in use.digests)


def _fits(path: str, package: PackageName) -> bool:
    """Whether a name in lower case is that of `package`, or one with a variable in it that may be."""
    name = package.name.lower()
    if "*" in path:
        return Pattern(path).matches(name)
    # the old docker registry puts the repository before the package: OWNER/REPOSITORY/PACKAGE
    return path == name or (package.type is PackageType.DOCKER and path.endswith(f"/{name}"))
