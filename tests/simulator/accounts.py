"""What surrounds the packages: accounts, ``/rate_limit``, the way to repositories (docs/github-behaviour.md, "Tokens",
"Limits").
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote

from . import render, repositories, wire
from .wire import Answer, Refusal, Request, json_answer

if TYPE_CHECKING:
    from .simulator import Simulator
    from .tokens import Token

RESOURCES = ("core", "search", "graphql", "integration_manifest", "code_search")


def operation_id(method: str, path: str) -> str | None:
    """Name the operation of GitHub's OpenAPI description, where it has one for this path."""
    if method not in ("GET", "HEAD"):
        return None
    match path.split("/")[1:]:
        case ["rate_limit"]:
            return "rate-limit/get"
        case ["user"]:
            return "users/get-authenticated"
        case ["users", _]:
            return "users/get-by-username"
        case ["repos", _, _]:
            return "repos/get"
        case ["repos", _, _, "releases"]:
            return "repos/list-releases"
        case ["orgs", _, "artifacts", _, "metadata", "deployment-records"]:
            return "orgs/list-artifact-deployment-records"
        case _:
            return None


def answer(simulator: Simulator, request: Request, token: Token | None, path: str, base: str) -> Answer:
    """Answer whatever is not about packages; what is not simulated is 404."""
    if request.method not in ("GET", "HEAD"):
        raise Refusal(404, wire.NOT_FOUND)
    match unquote(path).split("/")[1:]:
        case ["rate_limit"]:
            return _rate_limit(simulator, token)
        case ["user"]:
            return _self(simulator, token, base)
        case ["users", login]:
            return _account(simulator, login, base)
        case ["orgs", login]:
            return _organization(simulator, login, base)
        case ["orgs", login, "artifacts", digest, "metadata", "deployment-records"]:
            return _deployments(simulator, token, login, digest)
        case ["repos", owner, name, *rest]:
            repository = simulator.store.repositories.get((owner.lower(), name.lower()))
            return repositories.answer(simulator, request, token, repository, rest, base)
        case ["repositories", number, *rest]:
            # the form that the links of lists have
            repository = simulator.store.repository_by_id(number)
            return repositories.answer(simulator, request, token, repository, rest, base)
        case _:
            raise Refusal(404, wire.NOT_FOUND)


def _deployments(simulator: Simulator, token: Token | None, login: str, digest: str) -> Answer:
    owner = simulator.store.owners.get(login.lower())
    if token is None or owner is None or owner.kind != "Organization":
        raise Refusal(404, wire.NOT_FOUND)
    if not token.permits("artifact_metadata"):
        raise Refusal(403, wire.NOT_FOR_INTEGRATIONS, {"x-accepted-github-permissions": "artifact_metadata=read"})
    records = simulator.deployments.get(digest)
    if records is None and not simulator.unknowns.unknown_artifacts_are_empty:
        raise Refusal(404, wire.NOT_FOUND)
    found = [{"id": number, "digest": digest, **record} for number, record in enumerate(records or (), start=1)]
    return json_answer({"total_count": len(found), "deployment_records": found})


def _rate_limit(simulator: Simulator, token: Token | None) -> Answer:
    if not simulator.limits.settings.enabled:
        raise Refusal(404, wire.LIMITS_OFF)
    status = simulator.limits.status(token.value if token else "", token.kind if token else "")
    return json_answer({"resources": dict.fromkeys(RESOURCES, status), "rate": status})


def _self(simulator: Simulator, token: Token | None, base: str) -> Answer:
    if token is None:
        raise Refusal(401, wire.REQUIRES_AUTHENTICATION)
    if token.is_integration:
        raise Refusal(403, wire.NOT_FOR_INTEGRATIONS)
    return json_answer(render.user(simulator.store.owners[token.login.lower()], base, private=True))


def _account(simulator: Simulator, login: str, base: str) -> Answer:
    owner = simulator.store.owners.get(login.lower())
    if owner is None:
        raise Refusal(404, wire.NOT_FOUND)
    return json_answer(render.user(owner, base, private=False))


def _organization(simulator: Simulator, login: str, base: str) -> Answer:
    owner = simulator.store.owners.get(login.lower())
    if owner is None or owner.kind != "Organization":
        raise Refusal(404, wire.NOT_FOUND)
    return json_answer({"login": owner.login, "id": owner.id, "url": f"{base}/orgs/{owner.login}", "type": owner.kind})
