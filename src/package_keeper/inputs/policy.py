"""The policy file (contract, "Policy file"): YAML ─▶ ordered rules, or all problems with line and path."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from package_keeper.decisions.rules import Rule
from package_keeper.inputs.patterns import split_entries
from package_keeper.inputs.rule_reading import read_rule, rule_problems, type_problems
from package_keeper.inputs.schemas import schema, schema_problems
from package_keeper.inputs.texts import Texts
from package_keeper.inputs.yaml_text import Document, Path, YamlProblem, read_yaml
from package_keeper.inventory.package import PackageType

_INPUT_OF = {
    "latest": "keep-latest",
    "latest-per": "keep-latest-per",
    "daily": "keep-daily",
    "weekly": "keep-weekly",
    "monthly": "keep-monthly",
    "yearly": "keep-yearly",
}
"""The inputs that the keys of `keep` are; all other keys have the names of theirs."""


@dataclass(frozen=True, kw_only=True)
class Policy:
    """A policy as read. `packages` are the texts of its patterns, to be read like those of the input `package`."""

    rules: tuple[Rule, ...] = ()
    packages: str = ""
    packages_label: str = ""


def read_policy(file: str, text: str, *, types: tuple[PackageType, ...], now: datetime, problems: list[str]) -> Policy:
    """Read the policy in `text`, which stands in `file`. What is wrong is added to `problems`."""
    found: list[str] = []
    try:
        document = read_yaml(text)
    except YamlProblem as problem:
        problems.append(f"policy: {file}: {problem}")
        return Policy()
    found += document.problems
    wrong = schema_problems(schema("policy"), document)
    found += [f"{document.at(path)}: {problem}" for path, problem in wrong]
    about = _About(types=types, now=now, problems=found)
    for path, _ in wrong:
        about.wrong[path[:2]].append(path)
    rules: list[Rule] = []
    for place, rule in _rules_of(document):
        if isinstance(rule, dict):
            # also what stands beside something wrong is read, so that all problems are told at once
            rules.append(_Rule(document, ("rules", place), rule, about).read())
    found += _names(document)
    found.sort(key=_line)
    problems += [f"policy: {file}, {problem}" for problem in found]
    if found:
        return Policy()
    packages = document.value.get("packages")
    label = f"policy: {file}, {document.at(('packages',))}"
    return Policy(rules=tuple(rules), packages=_lines(packages) if packages else "", packages_label=label)


def _line(problem: str) -> int:
    """The line that a problem begins with."""
    number = re.match(r"line (\d+)", problem)
    return int(number[1]) if number else 0


def _rules_of(document: Document) -> Iterator[tuple[int, Any]]:
    rules = document.value.get("rules") if isinstance(document.value, dict) else None
    yield from enumerate(rules if isinstance(rules, list) else ())


def _names(document: Document) -> Iterator[str]:
    seen: dict[str, int] = {}
    for place, rule in _rules_of(document):
        name = rule.get("name") if isinstance(rule, dict) else None
        if not isinstance(name, str):
            continue
        where = document.at(("rules", place, "name"))
        if name in seen:
            yield f"{where}: '{name}' is the name of rules[{seen[name]}] too"
        elif not name.isprintable():
            yield f"{where}: has characters that cannot be shown"
        seen.setdefault(name, place)


@dataclass(frozen=True, kw_only=True)
class _About:
    """What the rules are about: the types in scope, the moment of the run, and the problems found so far.

    `wrong` are the paths of values that the schema refused, by the path of the rule that they belong to.
    """

    types: tuple[PackageType, ...]
    now: datetime
    problems: list[str]
    wrong: defaultdict[Path, list[Path]] = field(default_factory=lambda: defaultdict(list))


class _Rule:
    """One rule of a policy on its way to a `Rule`."""

    def __init__(self, document: Document, path: Path, rule: Mapping[str, Any], about: "_About") -> None:
        self._document = document
        self._path = path
        self._rule = rule
        self._types = about.types
        self._now = about.now
        self._problems = about.problems
        self._wrong = about.wrong[self._path]

    def _values(self) -> dict[str, tuple[Any, Path]]:
        """What the rule says, by the names of inputs, each with its path; what the schema refused is left out."""
        found: list[tuple[str, Any, Path]] = []
        for part in ("match", "keep", "delete"):
            values = self._rule.get(part)
            for key, value in values.items() if isinstance(values, dict) else ():
                found.append((_INPUT_OF.get(str(key), str(key)), value, (*self._path, part, key)))
        if "partial-match" in self._rule:
            if any(name == "partial-match" for name, _, _ in found):
                self._problem(("partial-match",), "stands in match too; once is enough")
            found.append(("partial-match", self._rule["partial-match"], (*self._path, "partial-match")))
        return {
            name: (value, path)
            for name, value, path in found
            if not any(wrong[: len(path)] == path for wrong in self._wrong)
        }

    def read(self) -> Rule:
        rule, values, known = self._rule, self._values(), len(self._problems)
        texts = Texts(
            {name: _lines(value) for name, (value, _) in values.items()},
            self._problems,
            now=self._now,
            labels={name: self._document.at(path) for name, (_, path) in values.items()},
        )
        found = read_rule(texts, name=str(rule.get("name") or "?"), keeps_all=rule.get("keep") == "all")
        self._problems += rule_problems(found, texts, types=set(self._types), deleted=False)
        self._problems += type_problems(texts, self._types)
        self._empty_lists(texts)
        if not self._wrong:
            self._contradictions(found, texts, as_meant=len(self._problems) == known)
        return found

    def _empty_lists(self, texts: Texts) -> None:
        for name, text in texts.texts.items():
            if not any(split_entries(text)):
                self._problems.append(f"{texts.label(name)}: has no entry, and must not come to mean everything")

    def _contradictions(self, found: Rule, texts: Texts, *, as_meant: bool) -> None:
        keep, delete = self._rule.get("keep"), self._rule.get("delete")
        if isinstance(keep, dict) and not found.counts.is_given:
            self._problem(("keep",), "keeps nothing; write delete: all where that is meant")
        elif as_meant and keep is None and isinstance(delete, dict) and not found.age.is_given:
            self._problem(("delete",), "names no age; write delete: all where that is meant")
        elif as_meant and keep is None and not found.selection.is_given and not found.age.is_given:
            self._problem(("match",), "selects nothing on purpose, and must not mean everything (versions: '*' does)")
        if as_meant and "partial-match" in texts.texts and not found.selection.judges_tags:
            self._problems.append(
                f"{texts.label('partial-match')}: has no effect without tags, semver, prerelease or gone"
            )

    def _problem(self, path: Path, text: str) -> None:
        self._problems.append(f"{self._document.at((*self._path, *path))}: {text}")


def _lines(value: Any) -> str:
    """A value as the text of an input: the entries of a list on lines of their own."""
    return "\n".join(map(str, value)) if isinstance(value, list) else str(value)
