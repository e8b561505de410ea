"""GitHub's OpenAPI description, held against every packages request and every REST answer.

Where GitHub is known to differ from its own description, ``EXCEPTIONS`` says so: the one place for that.
"""

from __future__ import annotations

import json
import re
import threading
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote

from .wire import override

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .wire import Answer, Request

DESCRIPTIONS = tuple(
    Path(__file__).resolve().parent.parent / "contract" / "openapi" / f"github-{name}.openapi.json"
    # the one with the operations on packages is the last, and counts where both describe something
    for name in ("records", "packages")
)

EXCEPTIONS = (
    (
        (
            r"^request packages/get-all-package-versions-for-package-owned-by-user: "
            r"unknown query parameter (page|per_page|state)$"
        ),
        'The documented parameters are missing for /users/…/versions but work (docs/github-behaviour.md, "Endpoints").',
    ),
    (
        r"^response \S+: undocumented status (301|302|304|307|308|400|401|403|404|409|422|429)$",
        "Redirects, refusals and limits are real, not all documented (Endpoints, Refusals, Limits).",
    ),
    (
        r"^response packages/\S+: visibility: 'internal' is not one of ",
        'Packages may be internal (docs/github-behaviour.md, "Endpoints").',
    ),
    (
        r"^response packages/\S+: metadata\.docker: 'tags' is a required property$",
        "docker versions carry `tag` or `tags`; described is the one, required the other (Endpoints).",
    ),
)
"""(pattern of a problem, why it is none)."""

DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
URI = re.compile(r"[a-z][a-z0-9+.-]*:\S+", re.IGNORECASE)
FAMILIES = {"/orgs/{org}": "orgs", "/users/{username}": "users", "/user": "user"}
ACTIONS = {
    ("get", "/docker/conflicts"): "list conflicts",
    ("get", "/packages"): "list packages",
    ("get", "/packages/{package_type}/{package_name}"): "get package",
    ("delete", "/packages/{package_type}/{package_name}"): "delete package",
    ("post", "/packages/{package_type}/{package_name}/restore"): "restore package",
    ("get", "/packages/{package_type}/{package_name}/versions"): "list package versions",
    ("get", "/packages/{package_type}/{package_name}/versions/{package_version_id}"): "get package version",
    (
        "delete",
        "/packages/{package_type}/{package_name}/versions/{package_version_id}",
    ): "delete package version",
    (
        "post",
        "/packages/{package_type}/{package_name}/versions/{package_version_id}/restore",
    ): "restore package version",
}


@dataclass(frozen=True, slots=True)
class Violation:
    """One way in which a request or an answer is not what the description says."""

    side: str
    operation_id: str
    problem: str
    method: str
    target: str

    @override
    def __str__(self) -> str:
        return f"{self.side} {self.operation_id}: {self.problem} ({self.method} {self.target})"


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """One operation of the description."""

    id: str
    method: str
    template: str
    query: dict[str, dict[str, Any]]
    required: frozenset[str]
    path: dict[str, dict[str, Any]]
    responses: dict[int, dict[str, Any] | None]


class Check(Protocol):
    """A compiled schema."""

    def iter_errors(self, instance: Any) -> Iterable[Any]:
        """Go through the errors of a value."""
        ...


@cache
def description() -> dict[str, Any]:
    """Read the description."""
    whole: dict[str, Any] = {"paths": {}, "components": {}}
    for file in DESCRIPTIONS:
        loaded = json.loads(file.read_text(encoding="utf-8"))
        whole["paths"] |= loaded["paths"]
        for kind, named in loaded["components"].items():
            whole["components"].setdefault(kind, {}).update(named)
    return whole


@cache
def operations() -> dict[str, Operation]:
    """List all operations by their id."""
    found = {}
    for template, methods in description()["paths"].items():
        for method, raw in methods.items():
            parameters = [_resolved(parameter) for parameter in raw.get("parameters", [])]
            query = {p["name"]: p["schema"] for p in parameters if p["in"] == "query"}
            path = {p["name"]: p["schema"] for p in parameters if p["in"] == "path"}
            required = frozenset(p["name"] for p in parameters if p["in"] == "query" and p.get("required"))
            responses = {int(code): _schema(_resolved(response)) for code, response in raw["responses"].items()}
            operation = Operation(raw["operationId"], method, template, query, required, path, responses)
            found[operation.id] = operation
    return found


def packages_operations() -> dict[tuple[str, str], str]:
    """Map (family, action) to the ids of the 27 operations."""
    found = {}
    for operation in operations().values():
        for start, family in FAMILIES.items():
            action = ACTIONS.get((operation.method, operation.template.removeprefix(start)))
            if operation.template.startswith(start + "/") and action is not None:
                found[family, action] = operation.id
    return found


def _resolved(node: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        found: Any = description()
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        node = found
    return node


def _schema(response: dict[str, Any]) -> dict[str, Any] | None:
    content = response.get("content", {}).get("application/json")
    return None if content is None else content["schema"]


def _draft4(node: Any) -> Any:
    """Turn OpenAPI's ``nullable`` into JSON Schema, and set the references in."""
    if isinstance(node, list):
        return [_draft4(item) for item in node]
    if not isinstance(node, dict):
        return node
    node = _resolved(node)
    found = {key: _draft4(value) for key, value in node.items() if key != "nullable"}
    if node.get("nullable") is True and isinstance(found.get("type"), str):
        found["type"] = [found["type"], "null"]
    return found


def _compiled(schema: dict[str, Any]) -> Check:
    from jsonschema import Draft4Validator, FormatChecker  # noqa: PLC0415 - not needed where nothing is validated

    checker = FormatChecker(formats=())
    checker.checks("date-time")(lambda value: not isinstance(value, str) or bool(DATE_TIME.fullmatch(value)))
    checker.checks("uri")(lambda value: not isinstance(value, str) or bool(URI.fullmatch(value)))
    check: Check = Draft4Validator(_draft4(schema), format_checker=checker)
    return check


class Contract:
    """Collects every violation; a document that was found right once is not looked at again."""

    def __init__(self) -> None:
        self.violations: list[Violation] = []
        self._lock = threading.Lock()
        self._known: set[tuple[int, int]] = set()
        self._checks: dict[int, Check] = {}
        self._error = {"$ref": "#/components/schemas/basic-error"}
        self._excepted = re.compile("|".join(f"(?:{pattern})" for pattern, _ in EXCEPTIONS))

    def check(self, request: Request, answer: Answer) -> None:
        """Check one exchange over the REST interface."""
        operation = operations().get(request.operation_id or "")
        if operation is None:
            if "/packages" in request.path or "/docker/" in request.path:
                self._note("request", request, "no such operation")
            return
        if operation.id.startswith("packages/"):
            for problem in self._of_request(operation, request):
                self._note("request", request, problem)
        if answer.real and request.method != "HEAD":
            for problem in self._of_answer(operation, answer):
                self._note("response", request, problem)

    def _note(self, side: str, request: Request, problem: str) -> None:
        operation_id = request.operation_id or "-"
        if self._excepted.search(f"{side} {operation_id}: {problem}"):
            return
        with self._lock:
            self.violations.append(Violation(side, operation_id, problem, request.method, request.target))

    def _of_request(self, operation: Operation, request: Request) -> Iterable[str]:
        for name in sorted(operation.required - request.query.keys()):
            yield f"missing query parameter {name}"
        for name, value in request.query.items():
            schema = operation.query.get(name)
            if schema is None:
                yield f"unknown query parameter {name}"
            elif not _fits(value, schema):
                yield f"query parameter {name} is {value!r}"
        segments = request.path.split("/packages/", 1)[-1].split("/") if "/packages/" in request.path else []
        places = {"package_type": 0, "package_name": 1, "package_version_id": 3}
        for name, schema in operation.path.items():
            place = places.get(name, 99)
            if place < len(segments) and not _fits(unquote(segments[place]), schema):
                yield f"path parameter {name} is {segments[place]!r}"
        if request.body:
            yield "a body where none is described"

    def _of_answer(self, operation: Operation, answer: Answer) -> Iterable[str]:
        if answer.status not in operation.responses:
            yield f"undocumented status {answer.status}"
            if answer.status != 304:
                yield from self._of_document(self._error, answer.body)
            return
        schema = operation.responses[answer.status]
        if answer.status in (204, 304):
            if answer.body:
                yield "a body where none is described"
        elif schema is None:
            yield from self._of_document(self._error, answer.body)
        elif answer.items is not None:
            for item in answer.items:
                yield from self._of_document(schema["items"], item)
        else:
            yield from self._of_document(schema, answer.body)

    def _of_document(self, schema: dict[str, Any], document: bytes) -> Iterable[str]:
        key = (id(schema), hash(document))
        if key in self._known:
            return
        value = json.loads(document)
        check = self._check(schema, value)
        problems = [f"{'.'.join(map(str, e.absolute_path))}: {e.message}" for e in check.iter_errors(value)]
        if problems:
            yield from problems
        else:
            self._known.add(key)

    def _check(self, schema: dict[str, Any], value: Any) -> Check:
        if "discriminator" in schema:
            names = schema["discriminator"]
            schema = _resolved({"$ref": names["mapping"][value[names["propertyName"]]]})
        found = self._checks.get(id(schema))
        if found is None:
            found = self._checks[id(schema)] = _compiled(schema)
        return found


def _fits(text: str, schema: dict[str, Any]) -> bool:
    if schema.get("type") == "integer":
        return text.isdigit()
    return text in schema["enum"] if "enum" in schema else bool(text)
