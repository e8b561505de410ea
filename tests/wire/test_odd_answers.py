"""Answers in JSON with impossible values: the package is unreadable, and the others go on."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.scenarios.program import Ended, Place
from tests.simulator import Simulator
from tests.wire.test_budgets import names, versions
from tests.wire.timed import OLD, run

DEEP = 100_000


def entry(**fields: Any) -> dict[str, Any]:
    whole = {
        "id": 7,
        "name": "1.9.0",
        "url": "https://api.github.com/x",
        "created_at": OLD,
        "updated_at": OLD,
        "metadata": {"package_type": "npm"},
    }
    return whole | fields


def text(**fields: Any) -> str:
    return json.dumps([entry(), entry(**fields)])


ODD = {
    "an id of 2^63": text(id=2**63),
    "an id of 20 digits": text(id=10**20),
    "a negative id": text(id=-8),
    "an id of zero": text(id=0),
    "an id that is a text": text(id="8"),
    "an id that is true": text(id=True),
    "an id with a point": text(id=8.0),
    "an id of 5,000 digits": text(id=8).replace('"id": 8', '"id": ' + "8" * 5_000),
    "no id": text(id=None),
    "a name that is a number": text(name=5),
    "half a surrogate": text(name="1.\ud800"),
    "the year 1": text(updated_at="0001-01-01T00:00:00Z"),
    "the year 1, east": text(updated_at="0001-01-01T00:00:00+05:00"),
    "the year 9999, west": text(created_at="9999-12-31T23:59:59-05:00"),
    "the year 1, deleted": text(deleted_at="0001-01-01T00:00:00+14:00"),
    "many levels": text(metadata="?").replace('"?"', "[" * DEEP + "]" * DEEP),
    "more levels than can be written": text(metadata={"more": "?"}).replace('"?"', "[" * 900 + "]" * 900),
    "no list": json.dumps({"versions": []}),
    "a list of lists": "[[]]",
    "a number": "5",
    "infinity": text(description="?").replace('"?"', "1e999"),
}


def cleaned(sim: Simulator, place: Place, odd: str, **inputs: str) -> Ended:
    """Clean up `npm/odd`, whose list is that, and `npm/app`, which has one old version and a new one."""
    package = versions(sim, 2)
    sim.add_package("acme", "npm", "odd").add_version("1.0.0", created_at=OLD)
    sim.faults.add("GET", "/odd/versions", status=200, body=odd, times=None)
    given = {"package_type": "npm", "package": "*", "versions": "*", "keep_latest": "1"} | inputs
    ended = run(sim, place, **given)
    assert names(package) == ["1.1.0"], ended.said
    assert len(sim.package("acme", "npm", "odd").active()) == 1
    assert "unexpected" not in ended.said
    assert "defect" not in ended.said
    assert "Traceback" not in ended.said
    return ended


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys())
def test_an_entry_that_cannot_be_read_makes_its_package_unreadable_alone(
    sim: Simulator, place: Place, odd: str
) -> None:
    ended = cleaned(sim, place, odd, keep_daily="1", log_level="debug")
    assert (ended.status, ended.outputs["result"], ended.count("deleted")) == (1, "failed", 1), ended.said
    assert any("versions of npm/odd" in each for each in ended.annotations["error"]), ended.annotations


@pytest.mark.parametrize("odd", ["an id of 2^63", "many levels"])
def test_sql_selects_among_the_other_packages(sim: Simulator, place: Place, odd: str) -> None:
    inputs = {"versions": "", "keep_latest": "", "where": "age_days > 30 AND name < '1.1'"}
    ended = cleaned(sim, place, ODD[odd], **inputs)
    assert (ended.status, ended.count("deleted")) == (1, 1), ended.said


@pytest.mark.parametrize(
    "metadata",
    [
        {"package_type": "container", "container": {"tags": 5}},
        {"package_type": "container", "container": {"tags": {"v1": True}}},
        {"package_type": "container", "container": {"tags": True}},
    ],
)
def test_tags_that_are_not_a_list_make_their_package_unreadable(
    sim: Simulator, place: Place, metadata: dict[str, Any]
) -> None:
    odd = json.dumps([entry(name=f"sha256:{'a' * 64}", metadata=metadata)])
    sim.add_package("acme", "container", "odd").add_version(f"sha256:{'a' * 64}", created_at=OLD)
    sim.faults.add("GET", "/container/odd/versions", status=200, body=odd, times=None)
    package = versions(sim, 2)
    ended = run(sim, place, package="*", package_type="container,npm", older_than="1d", keep_latest="1")
    assert (ended.status, ended.count("deleted")) == (1, 1), ended.said
    assert names(package) == ["1.1.0"]
    assert "in the place of tags" in ended.said
    assert "defect" not in ended.said


ODD_PACKAGES: list[Any] = [
    {"id": 2**63, "name": "odd", "package_type": "npm"},
    {"id": "7", "name": "odd"},
    {"id": 7, "name": "odd", "repository": {"full_name": 5}},
    {"id": 7, "name": "odd", "visibility": []},
    {"id": 7, "name": 5},
    5,
]


def test_an_invalid_package_is_unreadable_and_the_others_go_on(sim: Simulator, place: Place) -> None:
    package = versions(sim, 2)
    sim.add_package("acme", "npm", "odd").add_version("1.0.0", created_at=OLD)
    sim.faults.add("GET", "/odd$", status=200, body=ODD_PACKAGES[0], times=None)
    ended = run(sim, place, package_type="npm", package="odd,app", versions="*", keep_latest="1")
    assert (ended.status, ended.count("deleted")) == (1, 1), ended.said
    assert names(package) == ["1.1.0"]
    assert any("npm/odd" in each for each in ended.annotations["error"]), ended.annotations


@pytest.mark.parametrize("odd", ODD_PACKAGES, ids=str)
def test_an_invalid_entry_in_a_list_of_packages_is_unreadable_and_the_others_go_on(
    sim: Simulator, place: Place, odd: Any
) -> None:
    package = versions(sim, 2)
    body = [odd, {"id": package.id, "name": "app", "package_type": "npm", "version_count": 2}]
    sim.faults.add("GET", "/packages[?]", status=200, body=body, times=None)
    ended = run(sim, place, package_type="npm", package="*", versions="*", keep_latest="1")
    assert (ended.status, ended.count("deleted")) == (1, 1), ended.said
    assert names(package) == ["1.1.0"]
    name = odd.get("name") if isinstance(odd, dict) else None
    what = f"npm/{name}" if isinstance(name, str) else "an entry in the list of npm packages"
    assert any(what in each for each in ended.annotations["error"]), ended.annotations
    listed = run(
        sim, place, operation="list", dry_run="", package_type="npm", package="app*", query="SELECT * FROM packages"
    )
    assert listed.status == (0 if what == "npm/odd" else 1), "one of another name is none of ours"
    assert [row["name"] for row in listed.array("rows")] == ["app"]


@pytest.mark.parametrize(
    "fields",
    [
        {"version_count": "many"},
        {"version_count": 2**64},
        {"created_at": "0001-01-01T00:00:00+05:00"},
        {"updated_at": 5},
    ],
)
def test_fields_that_are_only_shown_may_be_invalid(sim: Simulator, place: Place, fields: dict[str, Any]) -> None:
    package = versions(sim, 2)
    body = {"id": package.id, "name": "app", "package_type": "npm"} | fields
    sim.faults.add("GET", "/packages/npm/app$", status=200, body=body, times=None)
    ended = run(sim, place, package_type="npm", versions="*", keep_latest="1", output_file="all.json")
    assert (ended.status, ended.count("deleted")) == (0, 1), ended.said
    listed = run(sim, place, operation="list", dry_run="", package_type="npm", query="SELECT * FROM packages")
    assert listed.status == 0, listed.said


STRANGE = "1.0\x00\x1b[31m\u202e::error::##[x]\U0001f680"


def test_strange_names_and_tags_end_no_run(sim: Simulator, place: Place) -> None:
    package = sim.add_package("acme", "docker", "app")
    for number, name in enumerate((STRANGE, "\x00", "\uffff", "plain")):
        package.add_version(name, created_at=OLD, tags=[f"{name}{number}"], description=STRANGE)
    inputs = {"package_type": "docker", "package": "app", "output_file": "all.json"}
    rows = run(sim, place, operation="list", dry_run="", query="SELECT name, tags, metadata FROM versions", **inputs)
    assert rows.status == 0, rows.said
    assert {row["name"] for row in rows.array("rows")} == {STRANGE, "\x00", "\uffff", "plain"}
    ended = run(sim, place, tags="*", keep_tags="plain*", **inputs)
    assert (ended.status, ended.count("deleted")) == (0, 3), ended.said
    assert [each.name for each in package.active()] == ["plain"]
    undone = run(sim, place, operation="restore", undo=ended.outputs["receipt"], package="")
    assert (undone.status, undone.count("restored")) == (0, 3), undone.said


def test_a_server_whose_answers_are_not_json_is_unreachable(sim: Simulator, place: Place) -> None:
    versions(sim, 2)
    sim.faults.add("GET", "/versions", action="garbage", times=None)
    ended = run(sim, place, package_type="npm", versions="*", keep_latest="1")
    assert (ended.status, ended.count("deleted")) == (5, 0), ended.said


def test_an_error_with_deeply_nested_json_is_still_an_error(sim: Simulator, place: Place) -> None:
    package = versions(sim, 2)
    body = '{"message": ' + "[" * DEEP + "]" * DEEP + "}"
    sim.faults.add("DELETE", "/versions/", status=400, body=body, times=None)
    ended = run(sim, place, package_type="npm", versions="*", keep_latest="1")
    assert (ended.status, ended.count("failed")) == (1, 1), ended.said
    assert len(package.active()) == 2
    assert "defect" not in ended.said
