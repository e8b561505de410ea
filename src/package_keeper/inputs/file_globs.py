"""Globs for files in the workspace: pattern lists, applied to paths relative to the workspace."""

import re
from collections.abc import Collection
from functools import cached_property

from msgspec import Struct, field
from msgspec.structs import replace

from package_keeper.inputs.patterns import parse_patterns
from package_keeper.inputs.values import readable
from package_keeper.policy.patterns import Pattern

LONGEST = 1_000
"""The most characters of a glob. The time for a folder grows with the square of it."""

_MAY_BE_SLASH = re.compile(r"[/?\]]|\*+")
"""What of a glob may match a slash."""


class Picked(Struct, kw_only=True):
    """The files that each glob matches, sorted. In `missed` are those that differ only in the case of letters."""

    files: dict[str, list[str]] = field(default_factory=dict)
    missed: dict[str, list[str]] = field(default_factory=dict)


class _Glob(Struct, frozen=True, dict=True):
    """One glob. `*` matches slashes, as in all pattern lists; `**/` also matches no folder at all."""

    pattern: Pattern

    @cached_property
    def spellings(self) -> tuple[Pattern, ...]:
        if self.pattern.expression is not None:
            return (self.pattern,)
        text = self.pattern.text.removeprefix("./")
        return tuple(Pattern(spelling) for spelling in dict.fromkeys((text, text.replace("**/", ""))))

    @cached_property
    def in_any_case(self) -> tuple[Pattern, ...]:
        if self.pattern.expression is not None:
            return ()
        return tuple(replace(spelling, ignore_case=True) for spelling in self.spellings)

    @cached_property
    def _beginnings(self) -> tuple[Pattern, ...]:
        """The beginnings of the glob that may match a folder, which ends with a slash."""
        texts = (
            spelling.text[: found.end()]
            for spelling in self.spellings
            for found in _MAY_BE_SLASH.finditer(spelling.text)
        )
        return tuple(Pattern(text) for text in dict.fromkeys(texts))

    def matches(self, path: str) -> bool:
        # a path may have bytes that are not UTF-8
        return any(spelling.matches(readable(path)) for spelling in self.spellings)

    def reaches_into(self, folder: str) -> bool:
        """Whether it could match a file in `folder`, which ends with a slash."""
        if self.pattern.expression is not None:
            return True
        return any(beginning.matches(readable(folder)) for beginning in self._beginnings)


class FileGlobs(Struct, frozen=True):
    """A list of globs. With exclusions only, it matches all other files, as every pattern list does."""

    includes: tuple[_Glob, ...] = ()
    excludes: tuple[_Glob, ...] = ()

    def pick(self, paths: Collection[str]) -> Picked:
        """Find the paths that the globs match."""
        candidates = sorted(path for path in paths if not any(glob.matches(path) for glob in self.excludes))
        picked = Picked()
        if not self.includes and self.excludes:
            picked.files[", ".join(f"!{glob.pattern.text}" for glob in self.excludes)] = candidates
        for glob in self.includes:
            text = glob.pattern.text
            picked.files[text] = [path for path in candidates if glob.matches(path)]
            found = set(picked.files[text])
            picked.missed[text] = [
                path
                for path in candidates
                if path not in found and any(spelling.matches(readable(path)) for spelling in glob.in_any_case)
            ]
        return picked

    def reach_into(self, folder: str) -> bool:
        """Whether the globs could match a file in `folder`, which ends with a slash."""
        if any(glob.matches(f"{folder}*") for glob in self.excludes):
            return False
        return not self.includes or any(glob.reaches_into(folder) for glob in self.includes)


def parse_globs(text: str) -> tuple[FileGlobs, list[str]]:
    """Parse a list of globs. Returns the globs and all problems."""
    patterns, problems = parse_patterns(text)
    if patterns is None:
        return FileGlobs(), problems
    for pattern in patterns.entries:
        if len(pattern.text) > LONGEST:
            problems.append(f"'{pattern.text[:50]}…': is longer than {LONGEST} characters")
        elif pattern.expression is None and ".." in pattern.text.split("/"):
            problems.append(f"'{pattern.text}': leaves the workspace")
    return FileGlobs(tuple(map(_Glob, patterns.includes)), tuple(map(_Glob, patterns.excludes))), problems
