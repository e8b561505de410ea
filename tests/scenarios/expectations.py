"""The part `expect` of a run, and what must be true of every run whatever is expected.

`writes` and `requests` are lists, `reads` the manifests that were downloaded, all by the names of the case:

    writes: [DELETE npm/app 1.0.0, POST npm/app 2.0.0 restore, DELETE npm/lib, PUT container/app manifest pr-1]
    writes: [DELETE container/app both, [DELETE container/app amd, DELETE container/app arm]]  # these two in any order
    requests: [GET npm/app, GET npm/app versions, GET /users/acme]

Writes stand in their order; requests go side by side and have none. Where one line has a whole path to a package, all
have paths: `DELETE /orgs/acme/packages/npm/lib`. `receipt` has a line for each write, in their order, with what came of
it; where it begins with a number, it has every line:

    receipt: [delete npm/app 1.0.0 done, delete npm/app 1.1.0 failed]
    receipt: [1 delete 1.0.0 started, 1 delete 1.0.0 done]

`freed: all` means that `bytes-freed` is all that the registry need no longer keep.
Otherwise it is the output itself, or `unknown` where that is empty.

`sizes` has `bytes` of the listed images: the versions that make up each image, or `unknown`:

    sizes: {app: app, signed: signed signature, multi: unknown}

`texts` has texts that stand in files of the workspace, by the path of each.
"""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import unquote

from tests.scenarios.program import COMMANDS, Ended, receipt_lines
from tests.scenarios.schemas import check_schema
from tests.scenarios.world import Tree, World, known
from tests.simulator import Request

RUN_KEYS = {
    "exit",
    "result",
    "counts",
    "left",
    "deleted",
    "versions",
    "packages",
    "receipt",
    "errors",
    "warnings",
    "notices",
    "log",
    "nowhere",
    "writes",
    "requests",
    "summary",
    "outputs",
    "reads",
    "rules",
    "kept",
    "rows",
    "schema",
    "texts",
    "freed",
    "sizes",
}
COUNTS = (
    "selected",
    "planned",
    "deleted",
    "untagged",
    "restored",
    "kept",
    "skipped",
    "failed",
    "remaining",
    "broken",
)
OF_PARTS = ("part-of", "needed-by")
"""Reasons of parts, which follow their roots: the rule that counts is the root's."""
PACKAGE = re.compile(r"(?:/api/v3)?/(?:user|(?:users|orgs)/[^/]+)/packages/([^/]+/.+)")
MANIFEST = re.compile(r"/v2/[^/]+/(.+)/manifests/(.+)")
RESULTS = {
    0: ("done", "nothing-to-do", "planned", "partial"),
    1: ("failed",),
    2: ("failed",),
    3: ("refused",),
    4: ("failed",),
    5: ("failed",),
    130: ("cancelled",),
}


def check(world: World, ended: Ended, expected: Tree, requests: list[Request]) -> None:
    """Hold a run against what is expected of it."""
    known(expected, RUN_KEYS, "expect")
    about = f"\n--- stdout\n{ended.stdout}\n--- stderr\n{ended.stderr}"
    assert ended.status == int(expected.get("exit", "0")), about
    if ended.outputs or "result" in expected:
        result = ended.outputs["result"] if ended.outputs else ended.document["result"]
        assert result == expected["result"], about
        _counts(ended, expected)
    for name, text in (expected.get("outputs") or {}).items():
        assert ended.outputs[name] == world.filled(text)
    check_left(world, expected)
    _versions(world, ended, expected)
    _packages(ended, expected)
    _rules(world, ended, expected)
    _kept(world, ended, expected)
    if "rows" in expected:
        assert ended.array("rows") == json.loads(world.filled(expected["rows"])), about
    if "schema" in expected:
        check_schema(json.loads(ended.stdout), expected["schema"])
    _receipt(world, ended, expected)
    _texts(world, ended, expected)
    _requests(world, expected, requests)
    if "freed" in expected:
        wanted = {"all": str(world.shrunk()), "unknown": ""}.get(expected["freed"], expected["freed"])
        assert ended.outputs["bytes-freed"] == wanted
    if "sizes" in expected:
        _sizes(world, ended, expected["sizes"])
    if "reads" in expected:
        _reads(world, expected["reads"], requests)


def _requests(world: World, expected: Tree, requests: list[Request]) -> None:
    writes = [request for request in requests if request.method not in ("GET", "HEAD")]
    if "writes" in expected:
        given = [] if expected["writes"] == "none" else expected["writes"]
        groups = [each if isinstance(each, list) else [each] for each in given]
        wanted, found = _told(world, [line for group in groups for line in group], writes)
        assert _sorted_within(groups, found) == _sorted_within(groups, wanted)
    if "requests" in expected:
        wanted, found = _told(world, expected["requests"], requests)
        assert sorted(found) == sorted(wanted)


def _sorted_within(groups: list[list[str]], lines: list[str]) -> list[str]:
    """The lines, sorted within each group: the writes of a group are sent in parallel, and arrive in any order."""
    ordered: list[str] = []
    for group in groups:
        ordered += sorted(lines[len(ordered) : len(ordered) + len(group)])
    return ordered + lines[len(ordered) :]


def _told(world: World, wanted: Any, requests: list[Request]) -> tuple[list[str], list[str]]:
    """What is wanted, and what was found, in the form in which it is wanted."""
    lines = [] if wanted == "none" else [world.filled(line) for line in wanted]
    if any("/packages/" in line for line in lines):
        return lines, [f"{request.method} {request.path}" for request in requests]
    return lines, [f"{request.method} {_concerned(world, request)}" for request in requests]


def _concerned(world: World, request: Request) -> str:
    """What a request is about, by the names of the case."""
    if words := unquoted(request):
        kind, name, *rest = words
        if rest[:1] == ["versions"] and len(rest) > 1:
            rest[:2] = [world.names.get(int(rest[1]), "stub")]
        if request.query.get("state") == "deleted":
            rest.append("deleted")
        return " ".join([f"{kind}/{name}", *rest])
    if found := MANIFEST.fullmatch(request.path):
        by_digest = {version.name: world.names[version.id] for version in world.versions.values()}
        return f"container/{found[1]} manifest {by_digest.get(found[2], found[2])}"
    return request.path


def unquoted(request: Request) -> list[str]:
    """Type and name of the package of a request, and what stands behind them; empty where it concerns none."""
    found = PACKAGE.fullmatch(request.path)
    return [unquote(word) for word in found[1].split("/")] if found else []


def _reads(world: World, wanted: Any, requests: list[Request]) -> None:
    """The manifests that were downloaded, by the names of their versions; in any order, each as often as it was."""
    by_digest = {version.name: world.names[version.id] for version in world.versions.values()}
    found = [
        request.path.rpartition("/")[2]
        for request in requests
        if request.method == "GET" and "/manifests/" in request.path
    ]
    names = [] if wanted == "none" else wanted if isinstance(wanted, list) else wanted.split()
    assert sorted(by_digest.get(reference, reference) for reference in found) == sorted(names)


def _counts(ended: Ended, expected: Tree) -> None:
    if "counts" in expected:
        wanted = {name: int(number) for name, number in expected["counts"].items()}
        assert wanted.keys() <= set(COUNTS)
        assert {name: ended.count(name) for name in COUNTS if ended.count(name)} == wanted


def check_left(world: World, expected: Tree) -> None:
    """Hold what is left in GitHub against what should be."""
    for key, wanted in (expected.get("left") or {}).items():
        package = world.packages[key]
        if wanted == "gone":
            assert package.deleted_at is not None, f"{key} still exists"
            continue
        assert package.deleted_at is None, f"{key} is gone"
        found = sorted(world.names.get(version.id, version.name) for version in package.active())
        names = wanted if isinstance(wanted, list) else wanted.split()
        assert found == sorted(names), f"what is left of {key}"


def _versions(world: World, ended: Ended, expected: Tree) -> None:
    if "versions" not in expected:
        return
    found = {
        world.names.get(version["id"], version["name"]): " ".join(
            version[name] for name in ("decision", "reason", "outcome") if version.get(name)
        )
        for version in ended.array("versions")
    }
    assert found == (expected["versions"] or {})


def _sizes(world: World, ended: Ended, wanted: dict[str, str]) -> None:
    found = {world.names[version["id"]]: version["bytes"] for version in ended.array("versions")}
    assert found == {name: None if text == "unknown" else _size(world, text.split()) for name, text in wanted.items()}


def _size(world: World, names: list[str]) -> int:
    versions = [world.versions[name] for name in names]
    return sum(versions[0].package.stored(version.name for version in versions).values())


def _rules(world: World, ended: Ended, expected: Tree) -> None:
    """The rules of a policy that decided about images, by the names of these; what no rule decided is not in it."""
    if "rules" in expected:
        found = {
            world.names.get(version["id"], version["name"]): version["rule"]
            for version in ended.array("versions")
            if version.get("rule") and version["reason"] not in OF_PARTS
        }
        assert found == (expected["rules"] or {})


def _kept(world: World, ended: Ended, expected: Tree) -> None:
    """What was kept, as the whole result tells it: the reason, and behind it the rule that decided about an image."""
    if "kept" in expected:
        found = {
            world.names.get(each["id"], each["name"]): each["reason"]
            + (f" {each['rule']}" if each.get("rule") and each["reason"] not in OF_PARTS else "")
            for each in ended.document["kept"]
        }
        assert found == (expected["kept"] or {})


def _packages(ended: Ended, expected: Tree) -> None:
    if "packages" not in expected:
        return
    found = {
        f"{package['package_type']}/{package['name']}": " ".join(
            package[name] for name in ("decision", "reason", "outcome") if package.get(name)
        )
        for package in ended.array("packages")
    }
    wanted = expected["packages"] or {}
    if isinstance(wanted, dict):
        assert found == wanted
    else:
        assert sorted(found) == sorted(wanted)


def _receipt(world: World, ended: Ended, expected: Tree) -> None:
    wanted = expected.get("receipt")
    if wanted is None:
        return
    if wanted == "none":
        assert ended.outputs.get("receipt", "") == ""
        return
    last: dict[int, str] = {}
    lines = []
    for line in receipt_lines(ended.workspace / ended.outputs["receipt"]):
        package = f"{line['package-type']}/{line['package']}"
        name = "" if line["kind"] == "package" else world.names.get(line["id"], line["name"])
        last[line["seq"]] = " ".join(filter(None, [line["action"], package, name, line["outcome"]]))
        lines.append((line["seq"], f"{line['seq']} {line['action']} {name or line['package']} {line['outcome']}"))
    # writes go side by side, so only the two lines of one of them have an order
    every = [text for _, text in sorted(lines, key=lambda each: each[0])]
    assert (every if wanted[0][0].isdecimal() else [last[number] for number in sorted(last)]) == wanted


def _texts(world: World, ended: Ended, expected: Tree) -> None:
    for kind in ("error", "warning", "notice"):
        wanted = expected.get(f"{kind}s")
        said = ended.annotations[kind]
        if wanted == "none":
            assert said == []
            continue
        for text in wanted or []:
            assert any(world.filled(text) in one for one in said), f"no {kind} has {text!r}: {said}"
    for text in expected.get("log") or []:
        assert world.filled(text) in ended.said
    for text in expected.get("nowhere") or []:
        everything = ended.said + ended.summary + json.dumps(ended.outputs, ensure_ascii=False)
        assert world.filled(text) not in everything
    for name, texts in (expected.get("texts") or {}).items():
        content = (ended.workspace / name).read_text(encoding="utf-8")
        for text in texts:
            assert world.filled(text) in content, f"{name} has no {text}"
    if expected.get("summary") == "none":
        assert ended.summary == ""
        return
    for text in expected.get("summary") or []:
        assert world.filled(text) in ended.summary


def check_always(world: World, ended: Ended, requests: list[Request], *, action: bool) -> None:
    """Check what is true of every run."""
    about = f"\n--- stdout\n{ended.stdout}\n--- stderr\n{ended.stderr}"
    assert "Traceback" not in ended.said, about
    assert world.simulator.errors == []
    # what GitHub answers may deviate from its description, where a case wants it so; what we ask may not
    assert [problem for problem in world.simulator.contract_violations if problem.side == "request"] == []
    if not action:
        assert world.token not in ended.said
        return
    masked = [line for line in ended.stdout.splitlines() if world.token in line]
    assert all(line == f"::add-mask::{world.token}" for line in masked), about
    assert world.token not in ended.stderr + ended.summary + json.dumps(ended.outputs)
    for line in ended.stdout.splitlines():
        if line.lstrip().startswith("::"):
            assert line.removeprefix("::").partition("::")[0].partition(" ")[0] in COMMANDS, line
    assert ended.outputs["result"] in RESULTS[ended.status], about
    assert int(ended.outputs["bytes-freed"] or 0) <= world.shrunk(), "more was freed than the registry shrank"
    _check_counts(ended)
    _check_receipt(world, ended, requests)


def _check_counts(ended: Ended) -> None:
    count = {name: ended.count(name) for name in COUNTS}
    done = sum(count[name] for name in ("deleted", "untagged", "restored", "skipped", "failed", "remaining"))
    versions = ended.array("versions")
    acted = [each for each in versions + ended.array("packages") if "outcome" in each]
    if acted:
        assert count["planned"] == done, count
    if ended.outputs["result"] in ("planned", "nothing-to-do"):
        assert done == 0, count
    for version in versions:
        fields = {
            "id",
            "name",
            "description",
            "license",
            "created_at",
            "updated_at",
            "deleted_at",
            "url",
            "html_url",
            "package_html_url",
            "metadata",
            "package",
            "package-type",
            "tags",
            "decision",
            "reason",
        }
        assert fields <= version.keys()


Write = tuple[str, str, str, int | None]
"""Method, type and name of the package, and the version's id if it is one."""


def _write_of(world: World, request: Request) -> Write | None:
    """What a request would delete or restore, but for the empty manifests of our own, which no receipt names."""
    kind, name, *rest = unquoted(request) or ("", "")
    if request.method not in ("DELETE", "POST") or not kind:
        return None
    number = int(rest[1]) if rest[:1] == ["versions"] else None
    return None if number is not None and number not in world.names else (request.method, kind, name, number)


def _check_receipt(world: World, ended: Ended, requests: list[Request]) -> None:
    """Two lines a write, which name what GitHub was asked for; what it did is in them as done."""
    writes = [(write, request.status) for request in requests if (write := _write_of(world, request)) is not None]
    done = {write for write, status in writes if status == 204}
    if not ended.outputs["receipt"]:
        assert done == set(), "something was written without a receipt"
        return
    lines = receipt_lines(ended.workspace / ended.outputs["receipt"])
    started: dict[int, dict[str, Any]] = {}
    claimed = set[Write]()
    for line in lines:
        assert world.token not in json.dumps(line)
        if line["outcome"] == "started":
            assert line["seq"] not in started
            started[line["seq"]] = line
            continue
        beginning = started[line["seq"]]
        fixed = ("kind", "action", "owner", "owner-type", "package-type", "package", "id", "name", "tags", "reason")
        assert {name: line[name] for name in fixed} == {name: beginning[name] for name in fixed}
        if line["outcome"] == "done" and line["kind"] != "tag":
            method = "POST" if "restore" in line["action"] else "DELETE"
            number = line["id"] if line["kind"] == "version" else None
            claimed.add((method, line["package-type"], line["package"], number))
    assert sorted(started) == list(range(1, len(started) + 1))
    assert done <= claimed, "something was written and is not in the receipt"
    assert claimed <= {write for write, _ in writes}, "the receipt has as done what GitHub was not asked for"
