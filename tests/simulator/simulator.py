"""The simulator itself: what tests hold in their hands."""

from __future__ import annotations

import itertools
import threading
import time
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl

from . import openapi, rest
from .clock import Clock, Moment, stamp
from .faults import Callback, Fault, Faults, Hooks, Redirects, Rule
from .limits import Limits
from .paging import Paging
from .registry import Registry
from .server import Server
from .store import Owner, Repository, Store
from .tokens import Token, TokenBook
from .wire import VERSION_TAKEN, Answer, Headers, Request, error_body, json_answer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .packages import Package


@dataclass(slots=True)
class Unknowns:
    """What docs/github-behaviour.md marks with a question mark or reports as seen now and then: tests try both ways."""

    restore_refused_status: int = 400
    """The status when the name of a package was reused (status and text are unknown)."""
    version_taken_status: int = 403
    version_taken_text: str = VERSION_TAKEN
    """What a restoration is refused with when another version of that name is active."""
    restored_versions_take_tags: bool = False
    """Whether a restored version takes its tags back from the versions they moved to."""
    losing_a_tag_moves_updated_at: bool = True
    """Whether ``updated_at`` of an image moves when a tag is taken from it."""
    head_counts_as_download: bool = False
    """Whether HEAD of a manifest counts as a download."""
    pushes_listed_after: float = 0.0
    """How many simulated seconds a pushed version is missing in lists."""
    deletions_listed_for: float = 0.0
    """How many simulated seconds a deleted version still is in lists."""
    deletions_listed_after: float = 0.0
    """How many simulated seconds a deleted version is missing in the list of deleted ones."""
    restores_listed_after: float = 0.0
    """How many simulated seconds a restored version is listed as deleted, and not as active."""
    unknown_artifacts_are_empty: bool = False
    """Whether an artifact without deployment records has an empty list of them, and not 404."""
    private_packages_under_users: bool = True
    """Whether ``/users/{username}/…`` shows private packages at all (``/user/…`` always does)."""


class Simulator:
    """GitHub Packages and its registry on a port of 127.0.0.1; use it with ``with``."""

    def __init__(
        self,
        time_scale: float = 1.0,
        latency: float = 0.0,
        *,
        validate: bool = True,
        start: Moment | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.latency = latency
        self.validate = validate
        self.clock = Clock(time_scale, start)
        self.store = Store(self.clock)
        self.tokens = TokenBook()
        self.limits = Limits(self.clock)
        self.paging = Paging()
        self.faults = Faults()
        self.redirects = Redirects()
        self.unknowns = Unknowns()
        self.deployments: dict[str, list[dict[str, str]]] = {}
        """The deployment records of an organization, by digest."""
        self.registry = Registry(self)
        self.contract = openapi.Contract()
        self.operations = openapi.packages_operations()
        self.errors: list[str] = []
        """Tracebacks of the simulator's own mistakes and of failing hooks; each was answered with 500."""
        self._hooks = Hooks()
        self._requests: list[Request] = []
        self._sequence = itertools.count(1)
        self._lock = threading.Lock()
        self._local = threading.local()
        self._server = Server((host, port), self)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> Self:
        """Begin to serve, in threads."""
        self._server.start()
        return self

    def stop(self) -> None:
        """Stop serving and close all connections."""
        self._server.stop()

    @property
    def url(self) -> str:
        """The base URL of the REST interface."""
        return self._server.url

    @property
    def enterprise_url(self) -> str:
        """The same, in the form of GitHub Enterprise Server."""
        return self._server.url + rest.ENTERPRISE

    @property
    def registry_url(self) -> str:
        """The base URL of the registry: ``/v2/`` and ``/token`` are below it."""
        return self._server.url

    def refuse_connections(self) -> None:
        """Close every connection and refuse new ones, until ``accept_connections``."""
        self._server.refuse()

    def accept_connections(self) -> None:
        """Serve again, on the same port."""
        self._server.accept()

    def add_owner(self, login: str, kind: str = "Organization") -> Owner:
        """Add an account; ``kind`` is ``Organization`` or ``User``."""
        return self.store.add_owner(login, kind)

    def add_token(
        self,
        value: str,
        *,
        kind: str = "classic",
        login: str = "octocat",
        scopes: Iterable[str] = ("read:packages", "write:packages", "delete:packages", "repo"),
        admin_on: Iterable[str] | None = None,
        readable: Iterable[str] | None = None,
        sso_required_for: Iterable[str] = (),
        sso_partial: bool = False,
        expires_after: int | None = None,
        hides_versions: bool = False,
        repositories: Iterable[str] | None = None,
        permissions: Iterable[str] | None = None,
    ) -> Token:
        """Add a token: ``classic``, ``actions`` (GITHUB_TOKEN), ``app`` or ``fine-grained``.

        ``admin_on`` and ``readable`` are names of packages (``None``: all). After ``expires_after`` requests
        it gets 401. ``hides_versions``: without Admin, deleting one says ``Package version not found.``.
        ``repositories`` are the private ones that it sees (``owner/name``, ``None``: all), ``permissions`` what an app
        may read there (``contents``, ``pull_requests``, ``issues``, ``None``: all).
        """
        if kind != "actions" and login.lower() not in self.store.owners:
            self.add_owner(login, "User")
        return self.tokens.add(
            value,
            kind=kind,
            login=login,
            scopes=scopes,
            admin_on=admin_on,
            readable=readable,
            sso_required_for=sso_required_for,
            sso_partial=sso_partial,
            expires_after=expires_after,
            hides_versions=hides_versions,
            repositories=repositories,
            permissions=permissions,
        )

    def add_repository(self, owner: str, name: str, private: bool = True) -> Repository:
        """Add a repository (or find it); branches, tags and pull requests can be set on what is returned."""
        return self.store.add_repository(owner, name, private)

    def add_package(
        self,
        owner: str,
        package_type: str,
        name: str,
        visibility: str = "private",
        repository: str | None = None,
        *,
        created_at: Moment | None = None,
        updated_at: Moment | None = None,
        id: int | None = None,  # noqa: A002
        conflict: bool = False,
    ) -> Package:
        """Add a package; ``repository`` (a name) is made if need be; ``conflict`` is for docker/conflicts."""
        package = self.store.add_package(owner, package_type, name, id)
        package.visibility, package.conflict = visibility, conflict
        if repository is not None:
            holder, _, last = repository.rpartition("/")
            package.repository = self.add_repository(holder or owner, last, visibility != "public")
        if created_at is not None:
            package.created_at = package.updated_at = stamp(created_at)
        if updated_at is not None:
            package.updated_at = stamp(updated_at)
        return package

    def package(self, owner: str, package_type: str, name: str) -> Package:
        """Find a package: the one that exists, else the one that was deleted last."""
        found = self.store.package(owner, package_type, name)
        if found is None:
            key = (owner.lower(), package_type, name.lower())
            found = next((package for package in reversed(self.store.all) if package.key == key), None)
        if found is None:
            raise KeyError(f"{owner}/{name} ({package_type})")
        return found

    def packages(self, owner: str, state: str = "active") -> list[Package]:
        """List the packages of an owner: ``active`` or ``deleted`` ones."""
        with self.store.lock:
            if state == "active":
                return list(self.store.packages(owner))
            wanted = owner.lower()
            return [p for p in self.store.all if p.deleted_at is not None and p.owner.login.lower() == wanted]

    def on(
        self, method: str | None, path: str, callback: Callback, *, times: int | None = None, after: int = 0
    ) -> Rule:
        """Call ``callback(simulator, request)`` before each matching request is answered."""
        return self._hooks.add(method, path, callback, times, after)

    def forget_hooks(self) -> None:
        """Call nothing back any more."""
        self._hooks.clear()

    @property
    def requests(self) -> list[Request]:
        """All requests so far, REST and registry."""
        with self._lock:
            return list(self._requests)

    @property
    def writes(self) -> list[Request]:
        """The requests that are not GET or HEAD."""
        return [request for request in self.requests if request.method not in ("GET", "HEAD")]

    @property
    def manifest_reads(self) -> list[Request]:
        """The manifests that were read with GET: each counts as a download."""
        return [request for request in self.requests if request.method == "GET" and "/manifests/" in request.path]

    @property
    def contract_violations(self) -> list[openapi.Violation]:
        """Where requests or answers differ from GitHub's OpenAPI description."""
        return list(self.contract.violations)

    def forget_requests(self) -> None:
        """Begin the record of requests anew."""
        with self._lock:
            self._requests.clear()

    def received(self, method: str, target: str, headers: Headers, body: bytes) -> Request:
        """Record a request that has arrived (the server calls this)."""
        path, _, raw = target.partition("?")
        query = dict(parse_qsl(raw, keep_blank_values=True)) if raw else {}
        base = f"http://{headers.get('host') or self._server.address}"
        with self._lock:
            request = Request(next(self._sequence), method, target, path, query, headers, body, base, self.clock.now())
            self._requests.append(request)
        return request

    def limits_in_flight(self) -> int:
        """Tell how many REST requests were in flight when the one of this thread began."""
        count: int = getattr(self._local, "in_flight", 1)
        return count

    def respond(self, request: Request) -> Answer:
        """Answer a request: wait, run hooks, let go wrong what is to go wrong, answer, check the contract."""
        rest_door = not request.is_registry
        if rest_door:
            self._local.in_flight = self.limits.enter()
            request.operation_id = rest.operation_id(self, request)
        try:
            if self.latency:
                time.sleep(self.latency)
            self._hooks.run(self, request)
            fault = self.faults.match(request)
            answer = self._faulty(request, fault) if fault is not None else self._perform(request)
            if self.validate and rest_door:
                self.contract.check(request, answer)
        except Exception:  # noqa: BLE001 - whatever a hook or the simulator itself did wrong is told, and answered
            self.errors.append(traceback.format_exc())
            answer = json_answer(error_body(500, "Server Error"), 500)
        finally:
            if rest_door:
                self.limits.leave()
        answer.headers.setdefault("x-github-request-id", f"SIM0:{request.sequence:06X}")
        request.status = 0 if answer.cut in ("close", "reset") else answer.status
        return answer

    def _faulty(self, request: Request, fault: Fault) -> Answer:
        made_up = fault.answer()
        if made_up is not None:
            if not request.is_registry and not made_up.cut:
                value = (request.headers.get("authorization") or "").partition(" ")[2]
                made_up.headers = self.limits.headers(value, "classic") | made_up.headers
            return made_up
        if fault.action == "delay":
            time.sleep(fault.delay)
        return fault.instead_of(self._perform(request))

    def _perform(self, request: Request) -> Answer:
        if request.is_registry:
            return self.registry.answer(request)
        return rest.answer(self, request)

    def explain_contract(self) -> str:
        """Write all violations, one a line, for the message of an assertion."""
        return "\n".join(str(violation) for violation in self.contract_violations)

    def configure(self, **unknowns: Any) -> None:
        """Set fields of ``Unknowns`` by name."""
        for name, value in unknowns.items():
            setattr(self.unknowns, name, value)
        self.store.losing_a_tag_moves_updated_at = self.unknowns.losing_a_tag_moves_updated_at
