"""The policy file (docs/reference.md, "Policy file"): parses YAML into ordered rules.

What is wrong is given as problems with line and path.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct

from package_keeper.inputs.patterns import split_entries
from package_keeper.inputs.rules import parse_rule, rule_problems, type_problems
from package_keeper.inputs.schemas import schema, schema_problems
from package_keeper.inputs.values import Values
from package_keeper.inputs.yaml_lines import (
    Document,
    Path,
    YamlProblem,
    read_yaml,
)
from package_keeper.model.packages import PackageType
from package_keeper.policy.rules import Rule

_INPUT_OF = {
    "latest": "keep-latest",
    "latest-per": "keep-latest-per",
    "daily": "keep-daily",
    "weekly": "keep-weekly",
    "monthly": "keep-monthly",
    "yearly": "keep-yearly",
}
"""The inputs for the keys of `keep`. All other keys have the name of their input."""


class Policy(Struct, frozen=True, kw_only=True):
    """A parsed policy. `packages` is the text of its patterns, in the form of the input `package`."""

    rules: tuple[Rule, ...] = ()
    packages: str = ""
    packages_label: str = ""


def read_policy(file: str, text: str, *, types: tuple[PackageType, ...], now: datetime, problems: list[str]) -> Policy:
    """Parse the policy in `text`, the content of `file`. Adds to `problems`."""
    try:
        document = read_yaml(text)
    except YamlProblem as problem:
        problems.append(f"policy: {file}, {problem}")
        return Policy()
    reader = _Reader(document, types, now)
    rules = reader.read()
    problems += [f"policy: {file}, {problem}" for problem in sorted(reader.problems, key=_line_of)]
    if reader.problems:
        return Policy()
    label = f"policy: {file}, {document.at(('packages',))}"
    return Policy(rules=rules, packages=_text(document.value.get("packages", "")), packages_label=label)


class _Reader:
    """Parses one document. It goes on after a wrong value, so that all problems are reported at once."""

    def __init__(self, document: Document, types: tuple[PackageType, ...], now: datetime) -> None:
        self.problems = document.problems
        self._document = document
        self._types = types
        self._now = now
        self._refused: set[Path] = set()
        """The paths of values that the schema refused, and of all that contain them. They are not parsed."""

    def read(self) -> tuple[Rule, ...]:
        for path, problem in schema_problems(schema("policy"), self._document):
            self._problem(path, problem)
            self._refused.update(path[:length] for length in range(len(path) + 1))
        rules = self._document.value.get("rules") if isinstance(self._document.value, dict) else None
        found = [(("rules", place), rule) for place, rule in enumerate(rules if isinstance(rules, list) else ())]
        read = tuple(self._rule(path, rule) for path, rule in found if isinstance(rule, dict))
        self._names(found)
        return read

    def _names(self, rules: Sequence[tuple[Path, Any]]) -> None:
        seen: dict[str, int] = {}
        for place, (path, rule) in enumerate(rules):
            name = rule.get("name") if isinstance(rule, dict) else None
            if not isinstance(name, str):
                continue
            if name in seen:
                self._problem((*path, "name"), f"'{name}' is the name of rules[{seen[name]}] too")
            elif not name.isprintable():
                self._problem((*path, "name"), "has characters that cannot be shown")
            seen.setdefault(name, place)

    def _rule(self, path: Path, rule: Mapping[str, Any]) -> Rule:
        values = self._values(path, rule)
        known = len(self.problems)
        texts = Values(
            {name: _text(value) for name, (value, _) in values.items()},
            self.problems,
            labels={name: self._document.at(place) for name, (_, place) in values.items()},
        )
        found = parse_rule(texts, now=self._now, name=str(rule.get("name") or "?"), keeps_all=rule.get("keep") == "all")
        self.problems += rule_problems(found, texts, types=set(self._types), deleted=False)
        self.problems += type_problems(texts, self._types)
        for name, text in texts.texts.items():
            if not any(split_entries(text)):
                self.problems.append(f"{texts.label(name)}: has no entry; an empty list must not mean everything")
        if not self._is_refused(path):
            as_meant = len(self.problems) == known
            self._contradictions(path, rule, found, as_meant=as_meant)
            if as_meant and "partial-match" in values and not found.selection.matches_tags:
                place = values["partial-match"][1]
                self._problem(place, "has no effect without tags, semver, prerelease or gone")
        return found

    def _values(self, path: Path, rule: Mapping[str, Any]) -> dict[str, tuple[Any, Path]]:
        """The values of a rule with their paths, by the names of inputs, without those that the schema refused."""
        found: list[tuple[str, Any, Path]] = []
        for part in ("match", "keep", "delete"):
            values = rule.get(part)
            for key, value in values.items() if isinstance(values, dict) else ():
                found.append((_INPUT_OF.get(str(key), str(key)), value, (*path, part, key)))
        if "partial-match" in rule:
            if any(name == "partial-match" for name, _, _ in found):
                self._problem((*path, "partial-match"), "is in match too; write it once")
            found.append(("partial-match", rule["partial-match"], (*path, "partial-match")))
        return {name: (value, place) for name, value, place in found if not self._is_refused(place)}

    def _is_refused(self, path: Path) -> bool:
        return path in self._refused

    def _contradictions(self, path: Path, rule: Mapping[str, Any], found: Rule, *, as_meant: bool) -> None:
        """Add a problem for a rule that has no effect or selects everything. `as_meant`: it has no other problem."""
        keep, delete = rule.get("keep"), rule.get("delete")
        if isinstance(keep, dict) and not found.counts.is_given:
            self._problem((*path, "keep"), "keeps nothing; if you want that, write delete: all")
        elif as_meant and keep is None and isinstance(delete, dict) and not found.age.is_given:
            self._problem((*path, "delete"), "has no age; if you want that, write delete: all")
        elif as_meant and keep is None and not found.selection.is_given and not found.age.is_given:
            self._problem(
                (*path, "match"), "selects nothing, which must not mean everything; write versions: '*' for everything"
            )

    def _problem(self, path: Path, text: str) -> None:
        self.problems.append(f"{self._document.at(path)}: {text}")


def _line_of(problem: str) -> int:
    """The number of the line that a problem names first."""
    number = re.match(r"line (\d+)", problem)
    return int(number[1]) if number else 0


def _text(value: Any) -> str:
    """A value as the text of an input, with one line for each entry of a list."""
    return "\n".join(map(str, value)) if isinstance(value, list) else str(value)
