"""Globs of files in the workspace: the pattern grammar of all lists, over paths relative to the workspace."""

from collections.abc import Iterable
from dataclasses import dataclass

from package_keeper.decisions.patterns import Pattern
from package_keeper.inputs.patterns import parse_patterns


@dataclass(frozen=True)
class FileGlobs:
    """A list of globs. `*` crosses `/`, as everywhere; `**/` may also stand for no folder at all.

    Exclusions alone mean every file but those, as in every list.
    """

    includes: tuple[Pattern, ...] = ()
    excludes: tuple[Pattern, ...] = ()

    def pick(self, paths: Iterable[str]) -> tuple[list[str], list[str]]:
        """The paths that are meant, sorted, and the globs that mean none of them."""
        candidates = [path for path in paths if not any(_matches(glob, path) for glob in self.excludes)]
        if not self.includes:
            return sorted(candidates), [] if candidates else [f"!{glob.text}" for glob in self.excludes]
        picked: set[str] = set()
        idle: list[str] = []
        for glob in self.includes:
            found = [path for path in candidates if _matches(glob, path)]
            picked.update(found)
            if not found:
                idle.append(glob.text)
        return sorted(picked), idle


def parse_globs(text: str) -> tuple[FileGlobs, list[str]]:
    """Read a list of globs, and all problems with it."""
    patterns, problems = parse_patterns(text)
    if patterns is None:
        return FileGlobs(), problems
    for pattern in patterns.entries:
        if pattern.expression is None and ".." in pattern.text.split("/"):
            problems.append(f"'{pattern.text}': leaves the workspace")
    return FileGlobs(patterns.includes, patterns.excludes), problems


def _matches(glob: Pattern, path: str) -> bool:
    if glob.expression is not None:
        return glob.matches(path)
    text = glob.text.removeprefix("./")
    spellings = {text, text.replace("**/", "")}
    return any(Pattern(spelling).matches(path) for spelling in spellings)
