"""Text from outside is data in everything that a run leaves: log, summary, outputs, tables and files.

Each text of the table in `tests/hostile.py` is the name of a package and of a version, a tag, a description and
GitHub's message, in runs of the real program.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from package_keeper.inputs.definitions import OUTPUTS
from tests.hostile import TEXTS, as_shown, log_problems, rendered
from tests.scenarios.program import Ended, Place, decoded, receipt_lines
from tests.simulator import Simulator, push_image
from tests.wire.test_budgets import NPM, names, run, versions
from tests.wire.world import TOKEN, environment

CONTRACT_OUTPUTS = set(OUTPUTS)
OLD = "2026-01-01T00:00:00Z"
FILES = {
    "output_file": "all.json",
    "summary_file": "summary.md",
    "plan_out": "plan.json",
    "log_level": "debug",
    "summary": "true",
}


MOST = {"package": "*", "package_type": "npm,docker", "versions": "*"}


def world(sim: Simulator) -> None:
    """For each text, a package, its versions and a tag of that name, with descriptions of it."""
    image = sim.add_package("acme", "docker", "image")
    image.add_version("2.0.0", tags=("v2",), created_at="2026-02-01T00:00:00Z")
    for number, text in enumerate(TEXTS.values()):
        package = sim.add_package("acme", "npm", text)
        for version in (text, "2.0.0"):
            package.add_version(version, description=text, created_at=OLD, license=text)
        image.add_version(text, tags=(text, f"v1-{number}"), description=text, created_at=OLD)


def assert_data(place: Place, ended: Ended, *statuses: int) -> None:
    """Nothing of a run is more than text, wherever it came from."""
    assert ended.status in (statuses or (0,)), ended.said
    assert log_problems(ended.stdout) == []
    assert "Traceback" not in ended.said
    assert set(ended.outputs) == CONTRACT_OUTPUTS
    for markdown in (ended.summary, (place.workspace / "summary.md").read_text("utf-8")):
        assert rendered(markdown).problems == []
    assert all(json.loads(ended.outputs[name]) is not None for name in ("packages", "versions", "matrix", "rows"))


def test_names_tags_descriptions_and_messages_are_data(sim: Simulator, place: Place) -> None:
    world(sim)
    for text in TEXTS.values():
        sim.faults.add("DELETE", "/versions/", status=400, body={"message": text})
    sim.limits.configure(points_per_minute=None)
    ended = run(sim, place, **MOST, **FILES)
    assert_data(place, ended, 1)
    texts = set(TEXTS.values())
    found = ended.document["versions"]
    for field in ("name", "description", "package"):
        assert {version[field] for version in found} >= texts
    assert {tag for version in found for tag in version["tags"]} >= texts
    assert json.loads(ended.outputs["versions"]) == found
    messages = {version["message"] for version in found if version["outcome"] == "failed"}
    for text in texts - {TEXTS["long"]}:
        assert any(text in message for message in messages)
    lines = receipt_lines(place.workspace / ended.outputs["receipt"])
    assert {line["name"] for line in lines} >= texts
    assert {line["package"] for line in lines} >= texts
    plan = json.loads((place.workspace / "plan.json").read_text("utf-8"))
    assert {decision["name"] for decision in plan["decisions"]} >= texts
    assert {tag for decision in plan["decisions"] for tag in decision["tags"]} >= texts
    page = rendered(ended.summary)
    codes = "\n".join(page.codes)
    # so many backticks cannot be in a code span
    spans = texts - {TEXTS["many backticks"]}
    assert [text for text in spans if as_shown(text).strip()[:900] not in codes] == []
    # the tables of packages, of what was written and of what was asked
    assert set(page.rows) <= {6, 5, 2}


def test_tables_and_rows_of_a_terminal_show_text_only(sim: Simulator, place: Place) -> None:
    world(sim)
    query = 'SELECT package, name, description, tags, metadata, license AS "##(x) <b>`" FROM versions'
    arguments = ["list", "--owner", "acme", "--owner-type", "organization", "--package", "*", "--api-url", sim.url]
    arguments += ["--package-type", "npm,docker", "--log-level", "debug"]
    surroundings = place.terminal_environment({"GH_TOKEN": TOKEN})
    for more in ([], ["--versions", "*"], ["--query", query]):
        ended = place.run([*arguments, *more], surroundings)
        assert (ended.status, log_problems(ended.said)) == (0, []), ended.said
        assert max(map(len, ended.stdout.splitlines())) < 8_000, "a long cell is cut"
    ended = place.run([*arguments, "--query", query, "--format", "json"], surroundings)
    assert (ended.status, log_problems(ended.said)) == (0, [])
    assert {row["description"] for row in ended.document["rows"]} >= set(TEXTS.values())


def test_arguments_are_data(place: Place) -> None:
    for text in TEXTS.values():
        argument = text.replace("\0", "")
        for given in ([argument], ["list", argument], ["schema", argument], ["list", f"-h{argument}"]):
            ended = place.run(given, place.terminal_environment())
            assert (ended.status, log_problems(ended.said)) == (2, []), ended.said


def test_rows_of_a_query_are_data_in_a_workflow(sim: Simulator, place: Place) -> None:
    world(sim)
    query = 'SELECT package, name, description, tags, license AS "##(x) <b>`" FROM versions'
    inputs = {name: text for name, text in FILES.items() if name != "plan_out"}
    ended = run(sim, place, **MOST, operation="list", dry_run="", query=query, **inputs)
    assert_data(place, ended)
    assert {row["description"] for row in json.loads(ended.outputs["rows"])} >= set(TEXTS.values())


def test_a_description_of_a_megabyte_is_cut_where_it_is_shown_and_whole_in_the_file(
    sim: Simulator, place: Place
) -> None:
    text = "x" * 1_000_000
    package = versions(sim, 2)
    package.add_version("9.0.0", description=text, created_at=OLD)
    sim.faults.add("DELETE", "/versions/", status=400, message=text)
    ended = run(sim, place, **NPM, **FILES)
    assert_data(place, ended, 1)
    assert max(map(len, ended.stdout.splitlines())) < 10_100
    assert len(ended.summary) < 20_000
    assert text in {version["description"] for version in ended.document["versions"]}
    assert ended.outputs["truncated"] == "true"
    said = [line["message"] for line in receipt_lines(place.workspace / ended.outputs["receipt"]) if "message" in line]
    assert [len(message) <= 1_100 for message in said] == [True]
    query = {"operation": "list", "package_type": "npm", "dry_run": "", "query": "SELECT description FROM versions"}
    ended = run(sim, place, **query, summary="true")
    assert (ended.status, len(ended.stdout) < 100_000, len(ended.summary) < 20_000) == (0, True, True)


ODD_BODIES: dict[str, bytes] = {
    "bytes that are no UTF-8": b'[{"id":1,"name":"1.\xff","metadata":null}]',
    "half a character": b'[{"id":1,"name":"1.\\ud800","metadata":null}]',
    "half a character in metadata": b'[{"id":1,"name":"1.0","metadata":{"x":"\\ud800"}}]',
    "too deep": b'[{"id":1,"name":"1.0","metadata":' + b'{"x":' * 5_000 + b"1" + b"}" * 5_001 + b"]",
    "no number": b'[{"id":NaN,"name":"1.0"}]',
    "a large number": b'[{"id":1' + b"0" * 5_000 + b',"name":"1.0"}]',
    "a mark in front": b'\xef\xbb\xbf[{"id":1,"name":"1.0"}]',
    "UTF-16": '[{"id":1,"name":"1.0"}]'.encode("utf-16"),
}


@pytest.mark.parametrize("name", ODD_BODIES)
def test_a_list_that_is_no_text_is_an_error_and_nothing_is_written(sim: Simulator, place: Place, name: str) -> None:
    package = versions(sim, 3)
    sim.faults.add("GET", "/versions", status=200, body=ODD_BODIES[name], times=None)
    ended = run(sim, place, **NPM, log_level="debug", time_limit="5s")
    assert ended.status in (1, 5), ended.said
    assert ("Traceback" in ended.said, "defect" in ended.said, log_problems(ended.stdout)) == (False, False, [])
    assert (len(names(package)), sim.writes) == (3, [])


def test_a_refusal_that_is_no_text_is_a_failure_of_that_version(sim: Simulator, place: Place) -> None:
    package = versions(sim, len(ODD_BODIES) + 2)
    for body in ODD_BODIES.values():
        sim.faults.add("DELETE", "/versions", status=400, body=body)
    ended = run(sim, place, **NPM, **FILES)
    assert_data(place, ended, 1)
    assert (ended.count("failed"), ended.count("deleted")) == (len(ODD_BODIES), 1)
    assert len(names(package)) == len(ODD_BODIES) + 1


# files of the workspace


BOMB = "\n".join(
    ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    + [f"a{number}: &a{number} [{', '.join([f'*a{number - 1}'] * 10)}]" for number in range(1, 12)]
    + ["version: 1", "rules: *a11", ""]
)
POLICIES: dict[str, tuple[str | bytes, str]] = {
    "a bomb of aliases": (BOMB, "aliases expand to too many values"),
    "an alias of itself": ("version: 1\nrules: &a [*a]\n", "nested too deeply"),
    "a mapping of itself": ("version: 1\nrules: [&a {match: *a}]\n", "nested too deeply"),
    "deep lists": ("version: 1\nrules: " + "[" * 100_000, "nested too deeply"),
    "deep mappings": ("version: 1\nrules: " + "{a: " * 50_000, "nested too deeply"),
    "a huge scalar": ("version: 1\nrules: [{name: " + "x" * 3_000_000 + "}]\n", "larger than"),
    "a tag of Python": ("version: 1\nrules: [!!python/object/apply:os.system ['id']]\n", "is not supported"),
    "a tag of its own": ("!evil\nversion: 1\nrules: []\n", "the tag !evil is not supported"),
    "a merge": ("version: 1\nrules: [{<<: {match: {tags: ['*']}, delete: all}}]\n", "<<"),
    "half a character": ('version: 1\nrules: [{name: "\\uD800"}]\n', "half a character"),
    "no character": ('version: 1\nrules: [{name: "\\UFFFFFFFF"}]\n', "not a valid character"),
    "a control character": ("version: 1\nrules: [{name: \x1b[31m}]\n", "U+001B is not allowed"),
    "bytes that are no UTF-8": (b"version: 1\nrules: [{name: \xff}]\n", "no UTF-8 text"),
    "two documents": ("version: 1\nrules: []\n---\nversion: 1\n", "a second document"),
    "a large number": ("version: 1" + "0" * 100_000 + "\nrules: []\n", "version"),
    "many wrong keys": ("version: 1\nrules: [{" + ", ".join(f"k{n}: 1" for n in range(20_000)) + "}]\n", "k0"),
}


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_that_would_do_harm_is_refused_with_one_clear_message(sim: Simulator, place: Place, name: str) -> None:
    versions(sim, 3)
    content, wanted = POLICIES[name]
    data = content if isinstance(content, bytes) else content.encode()
    (place.workspace / "policy.yml").write_bytes(data)
    ended = run(sim, place, package_type="npm", policy="policy.yml", **FILES)
    assert (ended.status, sim.requests) == (2, []), ended.said
    assert (log_problems(ended.stdout), "Traceback" in ended.said) == ([], False)
    text = "\n".join(ended.annotations["error"])
    assert wanted in text
    assert all(len(each) <= 4_096 for each in ended.annotations["error"])
    assert len(text.splitlines()) <= 10


def policy(names: Sequence[str], *, is_ascii: bool) -> str:
    """A policy with a rule for each name; JSON is YAML."""
    rules = [
        {"name": name, "match": {"versions": [f"*.{number}"]}, "delete": "all"} for number, name in enumerate(names)
    ]
    return json.dumps({"version": 1, "rules": rules}, ensure_ascii=is_ascii)


def test_names_of_rules_are_data(sim: Simulator, place: Place) -> None:
    texts = [text for text in TEXTS.values() if text.isprintable() and text == text.strip() and len(text) <= 100]
    package = sim.add_package("acme", "npm", "app")
    for number in range(len(texts)):
        package.add_version(f"1.0.{number}", created_at=OLD)
    (place.workspace / "policy.yml").write_text(policy(texts, is_ascii=False), "utf-8")
    ended = run(sim, place, package_type="npm", policy="policy.yml", dry_run="true", **FILES)
    assert_data(place, ended)
    assert {version["rule"] for version in ended.document["versions"]} == set(texts)


def test_names_of_rules_that_cannot_be_shown_are_refused(sim: Simulator, place: Place) -> None:
    texts = [text for text in TEXTS.values() if not text.isprintable()]
    (place.workspace / "policy.yml").write_text(policy(texts, is_ascii=True), "utf-8")
    ended = run(sim, place, package_type="npm", policy="policy.yml")
    assert (ended.status, sim.requests, log_problems(ended.stdout)) == (2, [], []), ended.said
    assert "has characters that cannot be shown" in ended.said


EXPLODING = ["/(a+)+$/", "/(a|a)*$/", "/^(a?){60}a{60}$/", "/(.*)(.*)(.*)(.*)(.*)x/", "/((a{1,30}){1,30}){1,30}$/"]


@pytest.mark.parametrize("text", EXPLODING)
def test_an_expression_that_explodes_elsewhere_comes_to_its_end(sim: Simulator, place: Place, text: str) -> None:
    package = sim.add_package("acme", "npm", "app")
    for number in range(5):
        package.add_version("a" * 120 + f"!{number}", created_at=OLD)
    given = {"package": f"app\n{text}", "versions": text, "keep_versions": text, "keep_latest_per": f"/({text[1:-1]})/"}
    ended = run(sim, place, package_type="npm", **given, keep_latest="1", dry_run="true")
    assert ended.status in (0, 2), ended.said
    assert "Traceback" not in ended.said


# paths


PATHS = ["../outside", "/etc/outside", "a/../../outside", "link/outside", "inside/link/outside", "dangling", ".."]
WRITTEN = ("plan-out", "receipt", "output-file", "summary-file", "manifest-cache")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("read", ["policy", "undo", "plan"])
def test_no_path_of_an_input_leaves_the_workspace(sim: Simulator, place: Place, read: str, path: str) -> None:
    outside = place.runner / "outside"
    outside.write_text("{}", "utf-8")
    (place.workspace / "inside").mkdir()
    for link in ("link", "inside/link"):
        (place.workspace / link).symlink_to(place.runner)
    (place.workspace / "dangling").symlink_to(place.runner / "new")
    named = (read, *WRITTEN)
    operation = {"undo": "restore", "policy": "delete", "plan": "apply"}[read]
    ended = run(sim, place, operation=operation, **{name.replace("-", "_"): path for name in named})
    assert (ended.status, sim.requests) == (2, []), ended.said
    # of problems of one kind only the first are shown
    found = [name for name in named if f"- {name}: '{path}' is outside the workspace" in decoded(ended.said)]
    assert len(found) == 6, ended.said
    assert outside.read_text("utf-8") == "{}"
    assert {file.name for file in place.runner.iterdir()} == {"outside", "output", "summary"}


def test_the_name_of_a_version_never_becomes_a_path_of_the_cache(sim: Simulator, place: Place) -> None:
    package = sim.add_package("acme", "container", "app")
    push_image(package, "v1", platforms=["linux/amd64"], created_at=OLD)
    inputs = {"tag_status": "untagged", "manifest_cache": "cache", "older_than": "1d"}
    victim = place.workspace / "victim"
    victim.write_text("mine", "utf-8")
    (place.workspace / "cache" / "sha256").mkdir(parents=True)
    for name in ("../../victim", "sha256:../../victim", str(victim), f"sha256:{victim}", "../..", "sha256:", "."):
        package.add_version(name, created_at=OLD)
    ended = run(sim, place, **inputs)
    assert ended.status in (0, 1), ended.said
    assert "Traceback" not in ended.said
    assert victim.read_text("utf-8") == "mine"


def test_the_name_of_a_package_never_leads_to_another_repository_of_the_registry(sim: Simulator, place: Place) -> None:
    for name in ("../other/app", "a/../../other/app", "./app", "..", "a//b"):
        package = sim.add_package("acme", "container", name)
        push_image(package, "v1", seed=name, created_at=OLD)
        push_image(package, "v2", seed=f"{name} 2", created_at=OLD)
    ended = run(sim, place, package="*", tags="v1")
    assert "Traceback" not in ended.said, ended.said
    asked = [request.path for request in sim.requests if request.is_registry]
    assert all(path.startswith("/v2/acme/") or path == "/token" for path in asked)
    # `..` cannot be in a path of GitHub's either
    assert all("/packages/container/" in request.path for request in sim.writes)


def test_names_of_files_are_data(sim: Simulator, place: Place) -> None:
    package = sim.add_package("acme", "container", "app")
    for tag in ("old", "used"):
        push_image(package, tag, seed=tag, created_at=OLD)
    folder = place.workspace / "deploy"
    folder.mkdir()
    for text in TEXTS.values():
        name = text.replace("/", "_").replace("\0", "_")
        if len(os.fsencode(name)) < 200 and "\n" not in name:
            Path(folder, name).write_text(f"image: ghcr.io/acme/app:used\nx: {text} ghcr.io/acme/app:{text}\n", "utf-8")
    ended = place.run([], environment(sim, place, versions="*", keep_used_in="deploy/*", **FILES))
    assert_data(place, ended, 0)
    assert package.tags().keys() >= {"used"}
    assert len({reference["place"].rpartition(":")[0] for reference in ended.document["used"]}) > 20
