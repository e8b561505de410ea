"""The worked examples of docs/policies.md and docs/sql.md, carried out by the real program on a simulated GitHub.

A section with a table that has the column `becomes` is an example of policies. Its other blocks and tables are the
world: the policy (`version: 1`), a step with inputs, files (their first line is a comment with the path), and a table
of pull requests. What is in the table of versions is pushed, then `delete` runs, and each row is held against what was
decided, by which rule, for which reason, and against what is left.

In docs/sql.md the first tables are the packages; every `sql` block is followed by the table of what it gives.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from package_keeper.policy.sql import ALLOWED_FUNCTIONS, CURRENT, JSON_TABLES, TABLES
from tests.scenarios.program import Ended, Place
from tests.scenarios.world import Tree, World, build
from tests.simulator import Simulator

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
NOTHING = "\N{EN DASH}"
WORDS = {"stays": "keep", "goes": "delete", "loses": "untag"}


@dataclass(frozen=True)
class Block:
    """A fenced block: its language and text."""

    language: str
    text: str


@dataclass(frozen=True)
class Table:
    """A table: its rows by the names of its columns."""

    columns: list[str]
    rows: list[dict[str, str]]


@dataclass(frozen=True)
class Section:
    """What stands under one heading, in order."""

    heading: str
    items: list[Block | Table] = field(default_factory=list)

    def blocks(self, language: str) -> list[str]:
        return [item.text for item in self.items if isinstance(item, Block) and item.language == language]

    def table(self, column: str) -> Table | None:
        """The table with a column of that name."""
        tables = [item for item in self.items if isinstance(item, Table) and column in item.columns]
        assert len(tables) < 2, f"{self.heading}: several tables with {column}"
        return tables[0] if tables else None


def sections_of(page: str) -> list[Section]:
    found = [Section("")]
    lines = iter((DOCS / page).read_text(encoding="utf-8").splitlines())
    for line in lines:
        if line.startswith("#"):
            found.append(Section(line.strip("# ")))
        elif line.startswith("```"):
            found[-1].items.append(Block(line.strip("`"), "".join(f"{each}\n" for each in until_fence(lines))))
        elif line.startswith("|"):
            cells = cells_of(line)
            last = found[-1].items[-1] if found[-1].items else None
            if isinstance(last, Table):
                last.rows.append(dict(zip(last.columns, cells, strict=True)))
            else:
                next(lines)
                found[-1].items.append(Table(cells, []))
        elif found[-1].items and isinstance(found[-1].items[-1], Table):
            # the end of a table: another may follow
            found[-1].items.append(Block("text", ""))
    return found


def until_fence(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        if line.startswith("```"):
            return
        yield line


def cells_of(line: str) -> list[str]:
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def plain(cell: str) -> str:
    """A cell without the marks of code."""
    return cell.replace("`", "")


def when(cell: str) -> str:
    """`2025-01-06 00:30`, `40 days ago`, `3 hours ago` as worlds of tests have it."""
    return re.sub(r"^(\d+) (h|d)(ays?|ours?) ago$", r"\1\2 ago", cell)


def inputs_of(section: Section) -> dict[str, str]:
    for text in section.blocks("yaml"):
        if "/package-keeper@" in text:
            (step,) = yaml.safe_load(text)
            return {
                name: str(value).lower() if isinstance(value, bool) else str(value)
                for name, value in step["with"].items()
                if "${{" not in str(value)
            }
    return {}


def files_of(section: Section, inputs: dict[str, str]) -> dict[str, str]:
    files: dict[str, str] = {}
    for text in section.blocks("yaml"):
        if re.search(r"^version: 1$", text, re.MULTILINE):
            files[inputs.setdefault("policy", "policy.yml")] = text
        elif named := re.match(r"# ([\w./-]+\.ya?ml)\n", text):
            files[named[1]] = text
    return files


def repository_of(section: Section) -> Tree:
    table = section.table("pull request")
    rows = table.rows if table else []
    pulls = {row["pull request"]: f"{row['state']} {plain(row['branch'])}" for row in rows}
    open_heads = [plain(row["branch"]) for row in rows if row["state"] == "open"]
    return {"branches": " ".join(["main", *open_heads]), "pulls": pulls}


def package_of(row: dict[str, str], inputs: dict[str, str]) -> str:
    """The package of a row, `TYPE/NAME`; without a type in front it is of the only one in scope."""
    kind, name = inputs.get("package-type", "container"), inputs.get("package", "app")
    found = plain(row.get("package", name))
    return found if found.partition("/")[0] in kind.split(",") and "package" in row else f"{kind}/{found}"


def version_of(row: dict[str, str], package: str) -> Tree:
    updated = when(row["updated"])
    given: Tree = {"updated": updated, "created": when(row.get("created", updated))}
    cell = plain(row["version"])
    if package.startswith("container/"):
        given |= {"tags": "" if cell == "no tag" else cell.replace(",", " ")}
    else:
        given |= {"name": cell}
    return given


@dataclass(frozen=True, kw_only=True)
class Example:
    """An example of policies on its way through the program."""

    section: Section
    table: Table
    inputs: dict[str, str]

    @classmethod
    def of(cls, section: Section) -> Example:
        table = section.table("becomes")
        assert table is not None
        return cls(section=section, table=table, inputs=inputs_of(section))

    def keys(self) -> dict[str, dict[str, str]]:
        """The rows, each by a name of its own."""
        return {f"row{number}": row for number, row in enumerate(self.table.rows, start=1)}

    def given(self) -> Tree:
        packages: Tree = {}
        for key, row in self.keys().items():
            package = package_of(row, self.inputs)
            about = packages.setdefault(package, {"repository": "app", "versions": {}})
            about["versions"][key] = version_of(row, package)
        return {"repositories": {"app": repository_of(self.section), "clean": {}}, "packages": packages}

    def with_digests(self, text: str, world: World) -> str:
        """`text`, in which digests that the table names by their beginning are those of the simulator."""
        for key, row in self.keys().items():
            if beginning := plain(row.get("digest", "")).rstrip("…"):
                text = re.sub(rf"{beginning}[0-9a-f]+", world.versions[key].name, text)
        return text

    def run(self, world: World, place: Place) -> Ended:
        inputs = {"operation": "delete", "owner": "acme", **self.inputs}
        for name, text in files_of(self.section, inputs).items():
            file = place.workspace / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(self.with_digests(text, world), encoding="utf-8")
        inputs = {name: self.with_digests(text, world) for name, text in inputs.items()}
        inputs |= {"output-file": "result.json", "dry-run": "false"}
        return start(world, place, inputs)

    def wanted(self) -> dict[str, tuple[str, ...]]:
        """What the page says: decision, rule and reason of each row that is in scope."""
        found: dict[str, tuple[str, ...]] = {}
        for key, row in self.keys().items():
            decision, tag = WORDS[row["becomes"].partition(" ")[0]], plain(row["becomes"]).partition(" ")[2]
            left = {"keep": row["version"], "delete": "", "untag": row["version"].replace(f"`{tag}`", "")}[decision]
            words = tuple("" if row[name] == NOTHING else plain(row[name]) for name in ("decides", "reason"))
            found[key] = (row["version"], decision if any(words) else "", *words, without_commas(left))
        return found

    def found(self, world: World, ended: Ended) -> dict[str, tuple[str, ...]]:
        """What the program did."""
        judged = {each["id"]: each for each in (*ended.document["versions"], *ended.document["kept"])}
        found: dict[str, tuple[str, ...]] = {}
        for key, row in self.keys().items():
            version = world.versions[key]
            each = judged.get(version.id, {})
            left = "" if version.deleted_at else without_commas(row["version"])
            if not version.deleted_at and version.tags:
                left = " ".join(version.tags)
            decision = each.get("decision", "keep" if each else "")
            found[key] = (row["version"], decision, each.get("rule") or "", each.get("reason", ""), left)
        return found


def without_commas(cell: str) -> str:
    return " ".join(plain(cell).replace(",", " ").split())


def start(world: World, place: Place, inputs: dict[str, str]) -> Ended:
    inputs = {"token": world.token, "api-url": world.api_url, "registry-url": world.simulator.registry_url, **inputs}
    return place.end(place.start([], place.action_environment(inputs, {"GITHUB_REPOSITORY": "acme/app"})))


POLICIES = [section for section in sections_of("policies.md") if section.table("becomes")]


@pytest.mark.parametrize("section", POLICIES, ids=lambda section: section.heading)
def test_policies(section: Section, tmp_path: Path) -> None:
    example = Example.of(section)
    with Simulator(validate=False) as simulator:
        world = build(simulator, example.given())
        ended = example.run(world, Place.below(tmp_path))
        assert ended.status == 0, ended.said
        assert example.found(world, ended) == example.wanted()


@pytest.mark.parametrize("section", POLICIES, ids=lambda section: section.heading)
def test_weeks(section: Section) -> None:
    for row in Example.of(section).table.rows:
        if "week" in row:
            year, week, _ = datetime.fromisoformat(row["updated"]).isocalendar()
            assert row["week"] == f"{year}-W{week:02}", row["version"]


def test_every_policy_of_the_page_is_in_an_example() -> None:
    rules = [section for section in sections_of("policies.md") if files_of(section, {})]
    assert [section.heading for section in rules if section not in POLICIES] == []
    assert len(POLICIES) >= 8
    decided = {row["reason"] for section in POLICIES for row in Example.of(section).table.rows}
    assert len(decided) > 20


def test_a_row_that_says_something_else_is_found(tmp_path: Path) -> None:
    section = POLICIES[0]
    example = Example.of(section)
    kept = next(row for row in example.table.rows if row["becomes"] == "stays")
    wrong = [{**row, "becomes": "goes"} if row is kept else row for row in example.table.rows]
    other = Example(section=section, table=Table(example.table.columns, wrong), inputs=example.inputs)
    with Simulator(validate=False) as simulator:
        world = build(simulator, other.given())
        ended = other.run(world, Place.below(tmp_path))
        assert other.found(world, ended) != other.wanted()


SQL = sections_of("sql.md")
ALL_TYPES = {"operation": "list", "owner": "acme", "package-type": "container,npm,nuget"}


@dataclass(frozen=True)
class Question:
    """SQL of the page, and the table of what it gives."""

    sql: str
    answer: Table

    @property
    def is_query(self) -> bool:
        return re.search(r"^(SELECT|WITH)\b", self.sql, re.MULTILINE) is not None

    @property
    def inputs(self) -> dict[str, str]:
        """`-- state: deleted` in the first lines is an input beside it."""
        beside = dict(re.findall(r"^-- ([a-z-]+): (.+)$", self.sql, re.MULTILINE))
        return {**ALL_TYPES, **beside, "query" if self.is_query else "where": self.sql}

    def rows(self) -> list[dict[str, str]]:
        """The rows as the page shows them; one with many columns may stand upright."""
        if self.answer.columns == ["column", "value"]:
            return [{row["column"].strip("`"): row["value"].strip("`") for row in self.answer.rows}]
        return [{name.strip("`"): cell.strip("`") for name, cell in row.items()} for row in self.answer.rows]


def questions() -> Iterator[Any]:
    for section in SQL:
        items = [item for item in section.items if isinstance(item, Table) or item.language == "sql"]
        for number, (block, table) in enumerate(pairwise(items), start=1):
            if isinstance(block, Block):
                assert isinstance(table, Table), f"{section.heading}: SQL without a table of what it gives"
                yield pytest.param(Question(block.text, table), id=f"{section.heading} {number}")


def sql_table(column: str) -> Table:
    (found,) = [table for section in SQL if (table := section.table(column)) is not None]
    return found


@pytest.fixture(scope="module")
def shelf() -> Iterator[World]:
    """The packages at the top of the page."""
    packages: Tree = {}
    for row in sql_table("repository").rows:
        about = {name: plain(row[name]) for name in ("visibility", "repository") if row[name] != "NULL"}
        packages[plain(row["package"])] = {**about, "created": row["created"], "versions": {}}
    for row in sql_table("deleted").rows:
        package = plain(row["package"])
        version = version_of(row, package) | {"id": row["id"]}
        if row["deleted"] != "NULL":
            version["deleted"] = when(row["deleted"])
        packages[package]["versions"][row["id"]] = version
    with Simulator(validate=False) as simulator:
        world = build(simulator, {"packages": packages})
        for number, row in enumerate(sql_table("repository").rows, start=1):
            named = world.packages[plain(row["package"])]
            named.id, named.updated_at = number, f"{row['updated']}T00:00:00Z"
            named.json.clear()
        for row in sql_table("deleted").rows:
            texts = {name: row[name] for name in ("description", "license") if row[name] != "NULL"}
            world.versions[row["id"]].update(extra=texts)
        yield world


def shown(value: Any, world: World) -> str:
    """A value as the page shows it."""
    text = "NULL" if value is None else value if isinstance(value, str) else json.dumps(value)
    return text.replace(world.api_url, "https://api.github.com")


@pytest.mark.parametrize("question", list(questions()))
def test_sql(question: Question, shelf: World, tmp_path: Path) -> None:
    ended = start(shelf, Place.below(tmp_path), question.inputs)
    assert ended.status == 0, ended.said
    if question.is_query:
        found = [{name: shown(value, shelf) for name, value in row.items()} for row in ended.array("rows")]
        assert found == question.rows()
        assert [list(row) for row in found] == [list(row) for row in question.rows()]
    else:
        found = [{"id": str(each["id"])} for each in ended.array("versions")]
        assert sorted(each["id"] for each in found) == sorted(row["id"] for row in question.rows())


@pytest.mark.parametrize("row", sql_table("message").rows, ids=lambda row: row["statement"])
def test_refused_sql(row: dict[str, str], shelf: World, tmp_path: Path) -> None:
    ended = start(shelf, Place.below(tmp_path), {**ALL_TYPES, "query": row["statement"].strip("`")})
    assert ended.status == 2
    (said,) = ended.annotations["error"]
    assert said.endswith(f"is not accepted: {row['message'].strip('`')}")


def test_the_page_has_all_columns_of_the_tables() -> None:
    columns = {name: [each.split()[0] for each in text.split(",")] for name, text in TABLES.items()}
    told: dict[str, list[str]] = {}
    for section in SQL:
        if section.heading.strip("`") in TABLES and (table := section.table("column")) is not None:
            told[section.heading.strip("`")] = [row["column"].strip("`") for row in table.rows]
    assert told == columns


def test_the_page_has_all_functions_that_sql_may_call() -> None:
    told = {name.strip("`") for row in sql_table("functions").rows for name in row["functions"].split()}
    assert told == (ALLOWED_FUNCTIONS | {*JSON_TABLES}) - {*CURRENT}


def test_the_page_has_queries_of_every_kind() -> None:
    asked = [param.values[0] for param in questions()]
    assert len([each for each in asked if each.is_query]) >= 8
    assert len([each for each in asked if not each.is_query]) >= 4


def test_the_mistakes_of_a_policy_are_told_as_the_page_says(tmp_path: Path) -> None:
    section = next(each for each in sections_of("troubleshooting.md") if files_of(each, {}))
    with Simulator(validate=False) as simulator:
        ended = Example(section=section, table=Table([], []), inputs={"package": "app"}).run(
            build(simulator, {}), Place.below(tmp_path)
        )
    assert (ended.status, ended.annotations["error"]) == (2, section.blocks("text")[0].splitlines())
    lines = re.findall(r"::error title=policy,file=policy.yml,line=(\d+)::", ended.stdout)
    assert lines == ["4", "5", "6", "7", "7", "8", "10"]
