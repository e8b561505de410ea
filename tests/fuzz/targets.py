"""Everything that reads text from outside, as functions of bytes.

The property of each target: it returns, or the parser raises the one error that it documents, and the target swallows
that. Any other exception is a finding, and so is an input that takes too long.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from package_keeper.errors import ApiError, BadInput, without_secret
from package_keeper.execution.receipt import ReceiptProblem, read_receipt
from package_keeper.github import decode, errors, manifests
from package_keeper.github.rate_limit import limit_wait, retry_after, server_time
from package_keeper.inputs.definitions import INPUTS
from package_keeper.inputs.file_globs import parse_globs
from package_keeper.inputs.image_references import ReferenceFinder
from package_keeper.inputs.parser import parse_report_options, parse_settings
from package_keeper.inputs.patterns import package_problem, parse_patterns, tag_problem, version_problem
from package_keeper.inputs.plan_file import PlanProblem, read_plan
from package_keeper.inputs.policy_file import read_policy
from package_keeper.inputs.semver_ranges import RangeProblem, parse_range
from package_keeper.inputs.sources import Request, ShowAndExit, from_action, from_command_line
from package_keeper.inputs.values import AgeProblem, point_in_time, seconds
from package_keeper.model.manifest import stubs
from package_keeper.model.packages import Package, PackageName, PackageType, Timestamp, Version
from package_keeper.policy.semver import semantic_version
from package_keeper.policy.sql import Inventory, SqlProblem, check_expression, check_query
from package_keeper.report.documents import dumps, package_document, printable, version_document
from package_keeper.report.markdown import code, escape
from package_keeper.report.plan_file import is_sealed, sealed
from package_keeper.report.tables import one_line
from package_keeper.runner.logs import harmless
from tests.hostile import TEXTS, is_command, log_problems, rendered

NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)
NAMES = ("", "1.2.3", "v1.0.0-rc.1", "pr-12", "latest", f"sha256:{'a' * 64}", "Äpfel/\u202e\n", "a" * 130)
HOSTILE = tuple(text.encode(errors="surrogatepass") for text in TEXTS.values())
TYPES = tuple(PackageType)


class Finding(AssertionError):
    """A target returned something wrong."""


@dataclass(frozen=True)
class Target:
    """One thing to fuzz. `seeds` are valid inputs and past findings, from which the fuzzer starts."""

    run: Callable[[bytes], None]
    seeds: tuple[bytes, ...]


def _text(data: bytes) -> str:
    """As a file that need not be valid is read."""
    return data.decode(errors="replace")


def _parts(data: bytes, number: int) -> list[str]:
    """Several texts of one input, with a zero byte between them."""
    parts = data.split(b"\0", number - 1)
    return [_text(part) for part in parts] + [""] * (number - len(parts))


def _check(condition: bool, what: object) -> None:  # reason: the condition is the point
    if not condition:
        raise Finding(repr(what))


def patterns(data: bytes) -> None:
    found, _ = parse_patterns(_text(data), ignore_case=len(data) % 2 == 0)
    for pattern in (*found.includes, *found.excludes) if found else ():
        problems = (tag_problem(pattern), version_problem(pattern, TYPES, "tags"), package_problem(pattern, TYPES))
        _check(all(isinstance(problem, str) for problem in problems), problems)
    if found:
        for name in NAMES:
            _check(found.accepts(name) in (True, False), name)


def globs(data: bytes) -> None:
    found, _ = parse_globs(_text(data))
    found.pick([*NAMES, "deploy/app.yml", ".github/workflows/ci.yml"])
    for folder in ("", "deploy/", "a/b/c/"):
        found.reach_into(folder)


def ages(data: bytes) -> None:
    text = _text(data)
    with contextlib.suppress(AgeProblem):
        _check(point_in_time(text, NOW) <= NOW, text)
    with contextlib.suppress(AgeProblem):
        _check(seconds(text, NOW) > 0, text)


def ranges(data: bytes) -> None:
    text = _text(data)
    version = semantic_version(text)
    with contextlib.suppress(RangeProblem):
        found = parse_range(text)
        for name in NAMES:
            other = semantic_version(name)
            _check(other is None or found.accepts(other) in (True, False), name)
        _check(version is None or found.accepts(version), text)


def policy(data: bytes) -> None:
    problems: list[str] = []
    try:
        text = data.decode()
    except UnicodeDecodeError:
        # refused before it is parsed
        return
    found = read_policy("policy.yml", text, types=TYPES, now=NOW, problems=problems)
    _check(not (problems and found.rules), problems)
    _check(all(problem.startswith("policy: policy.yml, line ") for problem in problems), problems)


def _some(steps: int) -> Callable[[], bool]:
    left = iter(range(steps))
    return lambda: next(left, None) is not None


def where(data: bytes) -> None:
    text = _text(data)
    of = PackageName(type=PackageType.CONTAINER, name="app")
    entry = {
        "id": 1,
        "name": "sha256:x",
        "created_at": "2026-01-01T00:00:00Z",
        "metadata": {"container": {"tags": ["a"]}},
    }
    versions = decode.versions(json.dumps([entry]).encode(), of)
    inventory = Inventory(
        packages=(), versions=versions, owner="acme", now=NOW, timestamp=Timestamp.UPDATED, may_go_on=_some(200)
    )
    with contextlib.suppress(SqlProblem):
        check_expression(text)
        _check(inventory.selected(text) <= {1}, text)
    with contextlib.suppress(SqlProblem):
        check_query(text)
        dumps(inventory.query(text))


def receipt(data: bytes) -> None:
    with contextlib.suppress(ReceiptProblem):
        found = read_receipt(_text(data))
        _check(bool(found.owner), found)


def references(data: bytes) -> None:
    text = _text(data)
    finder = ReferenceFinder(["acme", "Old-Acme"], "acme/clean")
    finder.search("a.yml", text, is_own_workflow=len(data) % 2 == 0)
    # what stands for a line end inside a variable counts as one elsewhere too
    lines = 1 + sum(map(text.count, "\n\v\ue000"))
    for reference in finder.references():
        _check(0 < int(reference.place.rpartition(":")[2]) <= lines, reference)


def manifest(data: bytes) -> None:
    digest = manifests.digest_of(data)
    with contextlib.suppress(manifests.NotAManifest):
        found = manifests.manifest(digest, data)
        _check(found.digest == digest and bool(found.media_type), found)
    with contextlib.suppress(manifests.NotAManifest):
        manifests.media_type_of(data)


def _decoded(data: bytes) -> Iterator[Package | Version]:
    for kind in (PackageType.CONTAINER, PackageType.DOCKER, PackageType.NPM):
        of = PackageName(type=kind, name="app")
        with contextlib.suppress(ApiError):
            yield from (each for each in decode.packages(data, kind) if isinstance(each, Package))
        with contextlib.suppress(ApiError):
            yield decode.package(data, kind)
        with contextlib.suppress(ApiError):
            yield from decode.versions(data, of)
        with contextlib.suppress(ApiError):
            yield decode.version(data, of)


def answers(data: bytes) -> None:
    """What GitHub answers: packages and versions. What was decoded can be encoded again."""
    for entry in _decoded(data):
        document = package_document(entry) if isinstance(entry, Package) else version_document(entry)
        _check(json.loads(dumps(document)) == json.loads(printable(document)), entry)
        dumps(document).encode()


def refusals(data: bytes) -> None:
    """GitHub's errors and the headers of limits."""
    status, header, body = (*data.split(b"\0", 2), b"", b"")[:3]
    value = header.decode("latin-1")
    headers = {"retry-after": value, "x-ratelimit-reset": value, "x-ratelimit-remaining": "0", "date": value}
    number = 400 + int.from_bytes(status[:1], "big") % 120
    found = errors.api_error("DELETE", number, {"x-github-sso": value}, body, secret="ghp_secret")
    _check(len(found.message) <= errors.LONGEST_MESSAGE, found)
    _check("ghp_secret" not in f"{found.message}{found.remedy}", found)
    errors.is_rate_limit(number, headers, body)
    errors.is_server_error(number, body)
    _check((retry_after(value, NOW) or 0.0) >= 0, value)
    _check(limit_wait(headers, 1, NOW)[0] >= 0, value)
    server_time(headers, NOW)


def seal(data: bytes) -> None:
    """The digest of a plan: an edited plan is not sealed."""
    text = _text(data)
    _check(is_sealed(text) in (True, False), text)
    if text.startswith("{") and text.endswith("}") and len(text) > 2:
        whole = sealed(text)
        _check(is_sealed(whole), text)
        middle = len(whole) // 2
        _check(not is_sealed(whole[:middle] + whole[middle + 1 :]), text)


def plan(data: bytes) -> None:
    with contextlib.suppress(PlanProblem):
        found = read_plan(_text(data))
        _check(len(found.writes) >= len(found.packages), found)


def _settings(request: Request) -> None:
    parse_report_options(request)
    with contextlib.suppress(BadInput):
        parse_settings(request.texts, defaults=request.defaults, now=NOW, problems=request.problems)


def inputs(data: bytes) -> None:
    """The inputs of the Action: the first zero byte ends the first one's text, and so on. `name=text` sets another."""
    environ = {"GITHUB_API_URL": "https://api.github.com", "INPUT_TOKEN": "t", "INPUT_OWNER": "acme"}
    for number, part in enumerate(data.decode(errors="surrogateescape").split("\0")):
        name, equals, text = part.partition("=")
        known = name if equals else INPUTS[number % len(INPUTS)].name
        environ[f"INPUT_{known.upper()}"] = text if equals else part
    _settings(from_action(environ))


def arguments(data: bytes) -> None:
    """The command line, with a zero byte between the arguments."""
    with contextlib.suppress(BadInput, ShowAndExit):
        _settings(from_command_line(data.decode(errors="surrogateescape").split("\0"), {"GH_TOKEN": "t"}))


def shown(data: bytes) -> None:
    """Texts in the log, in tables and in a summary."""
    text, secret = _parts(data, 2)
    line = harmless(text)
    _check(not is_command(line) and log_problems(line) == [], line)
    _check(log_problems(one_line(text)) == [] or is_command(one_line(text)), text)
    _check(log_problems(printable({"": text})) == [], text)
    markdown = (
        f"> {escape(text)}\n\n| {escape(text)} | {code(text)} |\n| --- | --- |\n| {code(text)} | {escape(text)} |\n"
    )
    page = rendered(markdown)
    _check(page.problems == [] and page.rows == [2, 2], markdown)
    if len(secret) > 5 and "*" not in secret:
        _check(secret not in without_secret(f"{text}{secret}{text}", secret), secret)


_VERSION = {
    "id": 7,
    "name": f"sha256:{'a' * 64}",
    "url": "https://api.github.com/x",
    "created_at": "2026-01-01T00:00:00Z",
    "updated_at": "2026-01-01T00:00:00.5+02:00",
    "deleted_at": None,
    "description": "é",
    "metadata": {"package_type": "container", "container": {"tags": ["v1"]}, "docker": {"tag": ["v1"]}},
}
_PACKAGE = {
    "id": 3,
    "name": "app",
    "package_type": "npm",
    "owner": {"login": "acme"},
    "version_count": 2,
    "visibility": "public",
    "created_at": "2026-01-01T00:00:00Z",
    "repository": {"full_name": "acme/app"},
}
_INDEX = {
    "schemaVersion": 2,
    "mediaType": "application/vnd.oci.image.index.v1+json",
    "manifests": [
        {
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": f"sha256:{'b' * 64}",
            "platform": {"os": "linux", "architecture": "amd64"},
        }
    ],
    "subject": {"mediaType": "x", "digest": f"sha256:{'c' * 64}"},
    "annotations": {"a": "b"},
}
_LINE = {
    "schema": 1,
    "seq": 1,
    "at": "2026-01-01T00:00:00Z",
    "kind": "version",
    "action": "delete",
    "outcome": "started",
    "owner": "acme",
    "owner-type": "organization",
    "package-type": "npm",
    "package": "app",
    "id": 7,
    "name": "1.0.0",
    "tags": ["v1"],
    "root": None,
    "reason": "selected",
    "run": {},
}
_WRITE = {
    "action": "delete",
    "kind": "version",
    "reason": "selected",
    "package-type": "npm",
    "package": "app",
    "id": 7,
    "name": "1.0.0",
    "tags": [],
    "created_at": "2026-01-01T00:00:00Z",
    "updated_at": None,
    "tag": None,
    "root": None,
    "after": [8],
    "expected": "last-version",
    "image": 1,
    "versions": [],
}
_PLAN = {
    "schema": 1,
    "kind": "plan",
    "tool": "x",
    "made-at": "2026-01-01T00:00:00Z",
    "owner": "acme",
    "owner-type": "organization",
    "operation": "delete",
    "inputs": {"images": "raw", "version-ids": "7"},
    "on-last-version": "keep",
    "packages": [{"package-type": "npm", "package": "app", "id": 3}],
    "checks": [],
    "writes": [_WRITE, _WRITE | {"kind": "tag", "action": "untag", "tag": "v1", "tags": None, "image": 2}],
    "decisions": [{"package-type": "npm", "package": "app", "decision": "delete"}],
    "digest": "sha256:x",
}
_POLICY = b"""version: 1
packages: ["app", "app/*"]
rules:
  - name: &a releases stay
    match: {tags: ["v*", "!v0.*"], semver: ">=1.2 <2", gone: ["pr-{pull-request}"], where: "age_days > 3"}
    keep: all
  - {name: nightlies, match: {tags: [/^n/]}, keep: {latest: 10, latest-per: "/^(v)/"}, delete: {older-than: 2d}}
"""
_SUMS = b"""tags LIKE '%"v1"%' AND age_days > 30 OR name IN (SELECT name FROM versions ORDER BY id LIMIT 3)"""
_RECURSIVE = (
    b"WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x), json_extract('{}', '$') FROM n"
)
_FILES = (
    b"image: ghcr.io/acme/app:v1\nimage: ${REGISTRY:-ghcr.io}/acme/${NAME}:${{ github.sha }}\n",
    b"registry: ghcr.io/acme\nrepository: app\ntag: v2\n",
    b"FROM --platform=$TARGETPLATFORM acme/app@sha256:" + b"a" * 64 + b" AS x\nuses: docker://ghcr.io/acme/app/sub:1\n",
    b'"https://ghcr.io/v2/acme/app/manifests/v1" {{ .Values.image }} %{owner}/app acme%2Fapp \\nacme/app',
)


def _json(*values: object) -> tuple[bytes, ...]:
    return tuple(json.dumps(value).encode() for value in values)


TARGETS = {
    "patterns": Target(
        patterns,
        (
            b"v1.*,!latest\n/^v\\d+(\\.\\d+){2}$/",
            b"[!a-c]*[]x]?",
            b"!/(?i)[^\\w.-]+|\\b(?:a|b)*?$/",
            b"app/*, @x/y",
            *HOSTILE,
        ),
    ),
    "globs": Target(globs, (b"deploy/**/*.yml\n!deploy/old/*", b".github/workflows/*", *HOSTILE)),
    "ages": Target(
        ages, (b"45s", b"15 days", b"P1Y2M3DT4H5M6.7S", b"2026-01-01T00:00:00+02:00", b"6mo", b"P3W", b"999999999y")
    ),
    "ranges": Target(ranges, (b">=1.2 <1.5 || 2.x", b"^0.1.2", b"~1.2.3-rc.1", b"1.2.3 - 2", b"<2.0.0-0", b"*")),
    "policy": Target(policy, (_POLICY, b"version: 1\nrules: &a [*a]", b"%YAML 1.2\n---\nversion: !!int 1\n", *HOSTILE)),
    "where": Target(where, (_SUMS, b"SELECT name, count(*) FROM versions GROUP BY 1", _RECURSIVE, *HOSTILE)),
    "receipt": Target(
        receipt,
        (
            *(b"\n".join(_json(_LINE, _LINE | {"outcome": outcome})) for outcome in ("done", "failed")),
            *_json(_LINE | {"kind": "tag", "tag": "v1", "action": "untag"}),
        ),
    ),
    "references": Target(references, (*_FILES, *HOSTILE)),
    "manifest": Target(manifest, (*_json(_INDEX, _INDEX | {"manifests": None, "layers": []}), *stubs("v1").values())),
    "answers": Target(answers, _json(_VERSION, [_VERSION], _PACKAGE, [_PACKAGE])),
    "refusals": Target(
        refusals,
        (
            b"\x03\0required; url=https://github.com/x\0" + _json({"message": "Resource protected by SAML"})[0],
            b"\x1d\0Wed, 21 Oct 2026 07:28:00 GMT\0" + _json({"message": "API rate limit exceeded"})[0],
            b"\x04\x0017\0" + _json({"message": "ghp_secret Package not found."})[0],
            *(b"\0\0" + json.dumps({"message": text}).encode() for text in TEXTS.values()),
        ),
    ),
    "seal": Target(seal, (sealed('{"schema":1}').encode(), b'{"schema":1,"decisions":[]}')),
    "plan": Target(plan, _json(_PLAN, _PLAN | {"writes": [_WRITE]})),
    "inputs": Target(
        inputs,
        (
            b"operation=delete\0package=app,!b\0tags=v*\0older-than=30d\0keep-latest=3\0dry-run=false",
            b"operation=list\0package=*\0query=SELECT 1 FROM tags\0api-url=https://x.example/api/v3",
            b"operation=restore\0version-ids=1,2\0time-limit=PT1H\0keep-latest-per=/(a)/",
            b"delete",
        ),
    ),
    "arguments": Target(
        arguments,
        (
            b"delete\0--owner\0acme\0--package\0app\0--tags\0a\0--tags\0b\0--no-dry-run",
            b"list\0--format\0json\0--dry-run\0--help",
            b"schema\0plan",
            b"list\0--\x9f\0\0-hehp",
        ),
    ),
    "shown": Target(shown, (*HOSTILE, b"a\0ghp_0123456789")),
}
