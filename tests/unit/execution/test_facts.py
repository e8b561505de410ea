"""What the rules get to know besides versions, and what the log says about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from package_keeper.errors import ApiError, ApiErrorKind, BadInput
from package_keeper.execution.facts import FactGatherer, Found, references_here, tell_references
from package_keeper.model.evidence import Use
from package_keeper.model.images import ImageReference
from package_keeper.model.packages import PackageName, Timestamp
from package_keeper.model.plan import Reason
from package_keeper.model.repository import RepositoryState
from package_keeper.model.usage import Usage, UsageRow
from package_keeper.policy.gone import GoneTags, GoneTemplate, Tie
from package_keeper.policy.images_in_use import ImagesInUse
from package_keeper.policy.retention import Counts, GroupBy, Grouping, KeepLists
from package_keeper.policy.rules import Rules
from package_keeper.policy.semver import Prerelease
from package_keeper.policy.sql import SqlProblem
from tests.unit.execution.test_executor import Listener
from tests.unit.making import NOW, key, package, rule, rules, version

NPM, IMAGE = key("npm", "lib"), key("container", "Web")
PULLS = GoneTags((GoneTemplate(tie=Tie.PULL_REQUEST, before="pr-"),))


@dataclass
class Repositories:
    """Repositories by name. Any other cannot be read."""

    states: dict[str, RepositoryState] = field(default_factory=dict)
    released: dict[str, frozenset[str]] = field(default_factory=dict)
    read: list[str] = field(default_factory=list)

    def state(self, full_name: str) -> RepositoryState:
        self.read.append(full_name)
        if full_name not in self.states:
            raise ApiError(ApiErrorKind.NOT_FOUND, "Not Found", status=404)
        return self.states[full_name]

    def releases(self, full_name: str) -> frozenset[str]:
        self.read.append(full_name)
        if full_name not in self.released:
            raise ApiError(ApiErrorKind.NOT_FOUND, "Not Found", status=404)
        return self.released[full_name]


@dataclass
class Moment:
    """A clock that tests set."""

    seconds: float = 0.0

    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return self.seconds


def gatherer(asked: Rules, *, repositories: Repositories | None = None, **more: Any) -> tuple[FactGatherer, Listener]:
    log = Listener()
    given: dict[str, Any] = {"owner": "acme", "repository": "", "fallback": "", "clock": Moment()}
    given |= {"rules": asked, "repositories": repositories or Repositories(), "log": log}
    return FactGatherer(**given | more), log


def found(*packages: tuple[PackageName, list[str]], linked: str | None = None) -> Found:
    """Packages with versions of these names, or, for types with tags, of these tags; ids count from 1."""
    numbers = iter(range(1, 100))
    return [
        (
            package(name.name, name.type, repository_name=linked),
            [
                version(number, of=name, name=f"sha256:{number:064x}", tags=(text,) if text else ())
                if name.type.has_tags
                else version(number, of=name, name=text)
                for text, number in zip(texts, numbers, strict=False)
            ],
        )
        for name, texts in packages
    ]


def loud(log: Listener) -> list[str]:
    """What the log said louder than an information."""
    return [text for level, text in log.said if level != "info"]


# --- releases of a repository ---


def kept(names: list[str], *, released: frozenset[str], of: PackageName = NPM) -> dict[int, Use]:
    repositories = Repositories(released={"acme/lib": released})
    facts, log = gatherer(rules(rule(), lists=KeepLists(released=True)), repositories=repositories)
    uses = facts.gather(found((of, names), linked="acme/lib")).uses
    assert loud(log) == []
    return dict(uses)


def test_a_version_of_a_release_is_in_use() -> None:
    use = Use(reason=Reason.KEEP_RELEASED, where="release v1.0.0")
    assert kept(["2.0.0", "1.0.0"], released=frozenset({"v1.0.0"})) == {2: use}
    assert kept(["", "2.0.0", "1.0.0"], released=frozenset({"v1.0.0"}), of=IMAGE) == {3: use}


@pytest.mark.parametrize(
    ("more", "linked", "read"),
    [
        ({"repository": "acme/a", "fallback": "acme/c"}, "acme/b", "acme/a"),
        ({"fallback": "acme/c"}, "acme/b", "acme/b"),
        ({"fallback": "acme/c"}, None, "acme/c"),
    ],
)
def test_the_input_comes_before_the_linked_repository_and_that_before_the_fallback(
    more: dict[str, str], linked: str | None, read: str
) -> None:
    state = RepositoryState(full_name=read)
    repositories = Repositories(states={read: state}, released={read: frozenset({"1.0.0"})})
    asked = rules(rule(gone=PULLS), lists=KeepLists(released=True))
    facts, log = gatherer(asked, repositories=repositories, **more)
    gathered = facts.gather(found((IMAGE, ["pr-1", "1.0.0"]), (NPM, ["1.0.0"]), linked=linked))
    assert repositories.read == [read] * 2, "the state and the releases, each once for both packages"
    assert set(gathered.uses) == {2, 3}
    assert gathered.repositories == {IMAGE: state}
    assert loud(log) == []


def test_without_a_repository_everything_is_in_use_and_nothing_is_gone() -> None:
    asked = rules(rule(gone=PULLS), lists=KeepLists(released=True))
    facts, log = gatherer(asked)
    gathered = facts.gather(found((IMAGE, ["pr-1"])))
    assert gathered.uses == {1: Use(reason=Reason.UNKNOWN_USE)}
    assert gathered.repositories == {}
    gone, released = sorted(loud(log))
    assert gone.startswith("gone: container/Web is linked to no repository")
    assert released.startswith("keep-released: container/Web is linked to no repository")


def test_a_repository_that_cannot_be_read_keeps_everything_and_is_read_once() -> None:
    asked = rules(rule(gone=PULLS), lists=KeepLists(released=True))
    repositories = Repositories()
    facts, log = gatherer(asked, repositories=repositories)
    gathered = facts.gather(found((IMAGE, ["pr-1"]), (key("container", "api"), ["pr-1"]), linked="acme/lib"))
    assert gathered.uses == {1: Use(reason=Reason.UNKNOWN_USE), 2: Use(reason=Reason.UNKNOWN_USE)}
    assert gathered.repositories == {}
    assert repositories.read == ["acme/lib"] * 2, "the state and the releases"
    gone, released = sorted(loud(log))
    assert gone.startswith("gone: the repository acme/lib cannot be read (Not Found (HTTP 404))")
    assert released.startswith("keep-released: the releases of acme/lib cannot be read (Not Found (HTTP 404))")


def test_nothing_is_read_that_no_rule_asks_for() -> None:
    facts, log = gatherer(rules(rule(), rule()), repositories=(repositories := Repositories()))
    gathered = facts.gather(found((IMAGE, ["pr-1"]), (NPM, ["any"]), linked="acme/lib"))
    assert (gathered.uses, gathered.repositories, gathered.releases) == ({}, {}, {})
    assert (gathered.selected, gathered.usage) == ({}, {})
    assert (repositories.read, log.said) == ([], [])


def test_a_repository_is_read_only_for_packages_with_a_name_that_a_template_fits() -> None:
    state = RepositoryState(full_name="acme/lib")
    repositories = Repositories(states={"acme/lib": state})
    facts, _ = gatherer(rules(rule("old"), rule("gone", gone=PULLS)), repositories=repositories)
    versions = found((NPM, ["1.0.0"]), (key("npm", "b"), ["1.0.0", "pr-1"]), (IMAGE, ["v1"]), linked="acme/lib")
    assert facts.gather(versions[:1]).repositories == facts.gather(versions[2:]).repositories == {}
    assert repositories.read == []
    assert facts.gather(versions).repositories == {key("npm", "b"): state}


def test_after_forget_repositories_are_read_again() -> None:
    repositories = Repositories(
        states={"acme/lib": RepositoryState(full_name="acme/lib")}, released={"acme/lib": frozenset()}
    )
    facts, _ = gatherer(rules(rule(gone=PULLS), lists=KeepLists(released=True)), repositories=repositories)
    versions = found((IMAGE, ["pr-1"]), linked="acme/lib")
    facts.gather(versions)
    newer = RepositoryState(full_name="acme/lib", open_pulls=frozenset({1}))
    repositories.states["acme/lib"], repositories.released["acme/lib"] = newer, frozenset({"pr-1"})
    before = facts.gather(versions)
    assert not before.repositories[IMAGE].open_pulls
    assert not before.uses
    facts.forget()
    gathered = facts.gather(versions)
    assert gathered.repositories == {IMAGE: newer}
    assert set(gathered.uses) == {1}


def test_deployed_images_are_in_use_beside_released_ones() -> None:
    deployed = Use(reason=Reason.KEEP_DEPLOYED, where="production")
    repositories = Repositories(released={"acme/lib": frozenset({"1.0.0"})})
    asked = rules(rule(), lists=KeepLists(released=True))
    facts, _ = gatherer(asked, repositories=repositories, fallback="acme/lib", deployed={1: deployed})
    uses = facts.gather(found((IMAGE, ["2.0.0", "1.0.0"]))).uses
    assert uses == {1: deployed, 2: Use(reason=Reason.KEEP_RELEASED, where="release 1.0.0")}


# --- SemVer ---


def test_releases_are_gathered_for_superseded_prereleases() -> None:
    facts, _ = gatherer(rules(rule("one"), rule("two", prerelease=Prerelease.SUPERSEDED)))
    gathered = facts.gather(found((NPM, ["1.0.0", "1.1.0-rc.1", "other"]), (IMAGE, ["v2.0.0", ""])))
    assert gathered.releases == {NPM: {(1, 0, 0)}, IMAGE: {(2, 0, 0)}}


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (rule(prerelease=Prerelease.ONLY), True),
        (rule(counts=Counts(latest=1, grouping=Grouping(by=GroupBy.MAJOR))), True),
        (rule(counts=Counts(latest=1, grouping=Grouping(by=GroupBy.MINOR))), True),
        (rule(counts=Counts(latest=1)), False),
        (rule(counts=Counts(latest=0, grouping=Grouping(by=GroupBy.MAJOR))), False),
        (rule(), False),
    ],
)
def test_versions_that_are_no_semver_are_named_when_a_rule_needs_semver(asked: Any, told: bool) -> None:
    facts, log = gatherer(rules(rule(), asked))
    names = ["zeta", "1.0.0", *[f"n{number}" for number in range(6)]]
    facts.gather(found((NPM, names), (IMAGE, ["edge"]), (key("npm", "clean"), ["1.0.0"])))
    expected = "npm/lib: what is no SemVer stays: n0, n1, n2, n3, n4 and 2 more"
    assert loud(log) == ([expected] if told else [])


# --- SQL ---


def test_sql_selects_by_package_age_and_use() -> None:
    expressions = [
        "package = 'lib' and name = '1.0.0'",
        "type = 'npm'",
        "age_days >= 2",
        "date('now') = '2026-06-15' and id = 1",
        "pulls = 7",
    ]
    rows: list[UsageRow] = [(2, "lib", "npm", "version", "1.0.0", NOW, 7)]
    asked = rules(*[rule(f"r{number}", where=text) for number, text in enumerate(expressions)])
    facts, log = gatherer(asked, read_usage=lambda: rows, usage_since=NOW - timedelta(days=9))
    gathered = facts.gather(found((NPM, ["1.0.0", "2.0.0"]), (IMAGE, ["v1"])))
    assert [set(gathered.selected[text]) for text in expressions] == [{1}, {1, 2}, {2, 3}, {1}, {1}]
    assert gathered.usage == {1: Usage(NOW, 7)}
    assert gathered.usage_since == NOW - timedelta(days=9)
    assert log.said == [("info", "usage: of the 3 versions in scope, the file names 1")]


def test_the_age_in_sql_is_that_of_the_rule() -> None:
    versions: Found = [(package("lib"), [version(1, of=NPM, created_at=NOW - timedelta(days=50))])]
    facts, _ = gatherer(rules(rule(where="age_days > 40", timestamp=Timestamp.CREATED)))
    assert facts.gather(versions).selected == {"age_days > 40": {1}}


def test_a_query_reads_packages_and_the_usage_file() -> None:
    facts, _ = gatherer(rules(rule()), read_usage=lambda: [(2, "lib", "npm", "version", "1.0.0", NOW, 7)])
    tables = facts.tables(found((NPM, ["1.0.0"])))
    assert tables.query("SELECT pulls FROM versions") == [{"pulls": 7}]
    packages = gatherer(rules(rule()))[0].tables(found((NPM, ["1.0.0"]))).query("SELECT name, owner FROM packages")
    assert packages == [{"name": "lib", "owner": "acme"}]


@pytest.mark.parametrize(
    ("named", "where"), [("", "where"), ("old", "policy, rule 'old', where")], ids=["inputs", "policy"]
)
def test_an_expression_that_does_not_run_is_an_error_of_its_rule(named: str, where: str) -> None:
    bad = "json_extract(name, '$') = 1"
    several = [rule("first", where="id = 1")] if named else []
    facts, _ = gatherer(rules(*several, rule(named, where=bad)))
    with pytest.raises(BadInput) as caught:
        facts.gather(found((NPM, ["no json"])))
    (problem,) = caught.value.problems
    assert problem.startswith(f"{where}: '{bad}' is not accepted: ")


def test_of_several_expressions_that_do_not_run_the_first_is_named() -> None:
    bad = [f"json_extract(name, '$') = {number}" for number in range(10, 40)]
    facts, _ = gatherer(rules(*[rule(f"r{text[-2:]}", where=text) for text in reversed(bad)]))
    with pytest.raises(BadInput) as caught:
        facts.gather(found((NPM, ["no json"])))
    (problem,) = caught.value.problems
    assert problem.startswith(f"policy, rule 'r10', where: '{bad[0]}'")


@pytest.mark.parametrize(("seconds", "ends"), [(29.9, True), (30.0, False)])
def test_sql_has_thirty_seconds(seconds: float, ends: bool) -> None:
    count = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 50000) SELECT max(i) AS i FROM n"
    facts, _ = gatherer(rules(rule()), clock=(clock := Moment()))
    tables = facts.tables(found((NPM, ["1.0.0"])))
    clock.seconds = seconds
    if ends:
        assert tables.query(count) == [{"i": 50000}]
        return
    with pytest.raises(SqlProblem, match="takes too long"):
        tables.query(count)


def test_an_ambiguous_row_of_the_usage_file_is_an_error() -> None:
    rows: Iterator[UsageRow] = iter([(2, "lib", "", "tag", "v1", NOW, None)])
    facts, _ = gatherer(rules(rule()), read_usage=lambda: rows)
    with pytest.raises(BadInput, match="- usage: line 2: 'lib' is a package of several types"):
        facts.gather(found((NPM, ["1.0.0"]), (key("container", "lib"), ["v1"])))


# --- images in use ---


def reference(text: str, name: str = "web", *, line: int = 1, file: str = "a.yaml", **more: Any) -> ImageReference:
    return ImageReference(text=text, place=f"{file}:{line}", package=name, **more)


def in_use(*references: ImageReference, **globs: list[str]) -> ImagesInUse:
    return ImagesInUse.of(references, globs)


WEB, NGINX = reference("acme/web:1", tag="1"), reference("nginx:1", "nginx", file="b.yaml", tag="1", certain=False)
PACKAGES = [package("Web", "container")]


def test_references_to_packages_in_scope_are_taken() -> None:
    other = reference("acme/other:1", "other", file="b.yaml", tag="1")
    assert references_here(in_use(WEB, other, a=["a.yaml"], b=["b.yaml"]), PACKAGES) == (WEB,)
    # nothing is in scope, so nothing can be called like it
    assert references_here(in_use(NGINX, b=["b.yaml"]), []) == ()


def test_a_glob_with_uncertain_references_only_is_an_error() -> None:
    with pytest.raises(BadInput) as caught:
        references_here(in_use(WEB, NGINX, a=["a.yaml"], b=["b.yaml"]), PACKAGES)
    assert [text.partition(": its files")[0] for text in caught.value.problems] == ["keep-used-in: 'b'"]
    web = reference("web:1", file="b.yaml", tag="1", certain=False)
    assert references_here(in_use(web, b=["b.yaml"]), PACKAGES) == (web,), "a package has its name"


def told(*here: ImageReference, versions: Found | None = None) -> list[tuple[str, str]]:
    log = Listener()
    tell_references(here, found((IMAGE, ["1"])) if versions is None else versions, log)
    return log.said


def test_nothing_is_told_without_references() -> None:
    assert told() == []


def test_the_log_says_which_images_are_in_use() -> None:
    digest = f"sha256:{1:064x}"
    said = told(
        WEB,
        reference("acme/web:1", line=3, tag="1"),
        reference("acme/web:1", line=9, file="b.yaml", tag="1"),
        reference("acme/web", whole=True),
        reference("$IMAGE", "*", whole=True),
        reference("acme/web@", digest=digest),
        reference("acme/WEB:1", "WEB", tag="1"),
    )
    assert said == [
        ("info", "keep-used-in: references to images of the packages in scope: 7, files with them: 2"),
        ("info", "  a.yaml:1 and 2 more places: acme/web:1: the image stays"),
        ("info", "  a.yaml:1: acme/web: the whole package stays"),
        ("info", "  a.yaml:1: $IMAGE: it may be any package, so all of them stay whole"),
        ("info", "  a.yaml:1: acme/web@: the image stays"),
        ("info", "  a.yaml:1: acme/WEB:1: the image stays"),
    ]


def test_references_that_match_no_version_give_a_warning() -> None:
    lost = [reference("acme/web:2", tag="2"), reference("acme/web@", digest="sha256:0", tag="1")]
    assert [text for level, text in told(WEB, *lost) if level == "warning"] == [
        "keep-used-in: a.yaml:1: acme/web:2: was found in no package in scope",
        "keep-used-in: a.yaml:1: acme/web@: was found in no package in scope",
    ]


@pytest.mark.parametrize(("count", "last"), [(200, "acme/web:199"), (201, "and 1 more like these")])
def test_two_hundred_references_are_listed(count: int, last: str) -> None:
    said = told(*[reference(f"acme/web:{number}", tag=str(number)) for number in range(count)])
    lines = [text for level, text in said if level == "info"][1:]
    assert len(lines) == min(count, 201)
    assert last in lines[-1]
    assert "acme/web:0: " in lines[0]
