"""What surrounds the packages: accounts, repositories, ``/rate_limit`` (GITHUB.md, "Tokens" and "Limits")."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from . import render, wire
from .wire import Answer, Refusal, Request, encode, json_answer, list_answer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .simulator import Simulator
    from .store import Repository
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
        case ["repos", owner, name, *rest]:
            repository = simulator.store.repositories.get((owner.lower(), name.lower()))
            if repository is None or (repository.private and token is None):
                raise Refusal(404, wire.NOT_FOUND)
            return _repository(simulator, request, repository, rest, base)
        case _:
            raise Refusal(404, wire.NOT_FOUND)


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


def _repository(
    simulator: Simulator, request: Request, repository: Repository, rest: Sequence[str], base: str
) -> Answer:
    """Answer for one repository: itself, its branches, pull requests and tags."""
    match rest:
        case []:
            return json_answer(render.full_repository(repository, base))
        case ["branches"]:
            return _list(simulator, request, base, [_branch(repository, name, base) for name in repository.branches])
        case ["branches", *parts] if "/".join(parts) in repository.branches:
            return json_answer(_branch(repository, "/".join(parts), base))
        case ["tags"]:
            return _list(simulator, request, base, [_tag(repository, name, base) for name in repository.tags])
        case ["git", "matching-refs", kind, *parts] if kind in ("heads", "tags"):
            names = repository.branches if kind == "heads" else repository.tags
            start = "/".join(parts)
            refs = [_reference(repository, kind, name, base) for name in names if name.startswith(start)]
            return _list(simulator, request, base, refs)
        case ["pulls"]:
            state = request.query.get("state", "open")
            head = request.query.get("head", "").partition(":")[2]
            pulls = [
                render.pull_request(repository, pull, base)
                for pull in sorted(repository.pulls, key=lambda pull: -int(pull["number"]))
                if state in ("all", pull["state"]) and head in ("", pull["head"])
            ]
            return _list(simulator, request, base, pulls)
        case ["pulls", number]:
            for pull in repository.pulls:
                if str(pull["number"]) == number:
                    return json_answer(render.pull_request(repository, pull, base))
        case _:
            pass
    raise Refusal(404, wire.NOT_FOUND)


def _branch(repository: Repository, name: str, base: str) -> dict[str, Any]:
    return {"name": name, "commit": render.commit(repository, name, base), "protected": False}


def _tag(repository: Repository, name: str, base: str) -> dict[str, Any]:
    url = f"{base}/repos/{repository.owner.login}/{repository.name}"
    return {
        "name": name,
        "commit": render.commit(repository, name, base),
        "zipball_url": f"{url}/zipball/refs/tags/{name}",
        "tarball_url": f"{url}/tarball/refs/tags/{name}",
        "node_id": f"REF_{name}",
    }


def _reference(repository: Repository, kind: str, name: str, base: str) -> dict[str, Any]:
    url = f"{base}/repos/{repository.owner.login}/{repository.name}/git"
    digest = render.sha(name)
    return {
        "ref": f"refs/{kind}/{name}",
        "node_id": f"REF_{name}",
        "url": f"{url}/refs/{kind}/{name}",
        "object": {"type": "commit", "sha": digest, "url": f"{url}/commits/{digest}"},
    }


def _list(simulator: Simulator, request: Request, base: str, items: list[dict[str, Any]]) -> Answer:
    """Cut a list into pages; these lists always have their Link header."""
    page = simulator.paging.page(request)
    start = (page.number - 1) * page.size
    chunk = [encode(item) for item in items[start : start + page.size]]
    links = simulator.paging.links(request, len(items), page, request.path, default=True)
    return list_answer(chunk, links)
