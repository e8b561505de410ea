"""Repositories: their branches, tags, issues and pull requests, and who may read them (docs/github-behaviour.md,
"Tokens").

Public ones are open to everybody. A private one is hidden from who may not see it (404), and refuses an app that sees
it and lacks the permission for what it asks (403, with the permission in a header).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import render, wire
from .tokens import check_sso
from .wire import Answer, Refusal, encode, json_answer, list_answer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .simulator import Simulator
    from .store import Pull, Repository
    from .tokens import Token
    from .wire import Request

PERMISSIONS = {
    "branches": "contents",
    "releases": "contents",
    "git": "contents",
    "pulls": "pull_requests",
    "issues": "issues",
}
"""What an app needs by the first segment below the repository; the rest comes with ``metadata``, which all have."""


def answer(
    simulator: Simulator,
    request: Request,
    token: Token | None,
    repository: Repository | None,
    rest: Sequence[str],
    base: str,
) -> Answer:
    """Answer for one repository; ``rest`` is the path below it, taken apart and decoded."""
    if repository is None:
        raise Refusal(404, wire.NOT_FOUND)
    _check_access(token, repository, PERMISSIONS.get(rest[0]) if rest else None)
    view = _View(simulator, request, repository, base)
    match rest:
        case []:
            return json_answer(render.full_repository(repository, view.base))
        case ["branches"]:
            return view.list([view.branch(name) for name in sorted(repository.branches)])
        case ["branches", *parts] if "/".join(parts) in repository.branches:
            return json_answer(view.branch("/".join(parts)))
        case ["tags"]:
            return view.list([view.tag(name) for name in repository.tags])
        case ["git", "ref", kind, *parts] if "/".join(parts) in view.names(kind):
            return json_answer(view.reference(kind, "/".join(parts)))
        case ["git", "matching-refs", kind, *parts]:
            names = [name for name in view.names(kind) if name.startswith("/".join(parts))]
            return view.list([view.reference(kind, name) for name in names])
        case ["releases"]:
            return view.list([view.release(number, *each) for number, each in enumerate(repository.releases, start=1)])
        case ["pulls"]:
            return view.list([render.pull_request(repository, pull, view.base) for pull in view.pulls()])
        case ["pulls", number]:
            return json_answer(render.pull_request(repository, view.pull(number), view.base, alone=True))
        case ["issues", number]:
            return json_answer(view.issue(number))
        case _:
            raise Refusal(404, wire.NOT_FOUND)


def _check_access(token: Token | None, repository: Repository, permission: str | None) -> None:
    if not repository.private:
        return
    if token is None or not token.sees(repository):
        raise Refusal(404, wire.NOT_FOUND)
    check_sso(token, repository.owner, is_list=False)
    if permission is not None and not token.permits(permission):
        message = wire.NOT_FOR_FINE_GRAINED if token.kind == "fine-grained" else wire.NOT_FOR_INTEGRATIONS
        raise Refusal(403, message, {"x-accepted-github-permissions": f"{permission}=read"})


class _View:
    """One repository as one request asks for it."""

    def __init__(self, simulator: Simulator, request: Request, repository: Repository, base: str) -> None:
        self.simulator = simulator
        self.request = request
        self.repository = repository
        self.base = base
        self.url = f"{base}/repos/{repository.full_name}"

    def names(self, kind: str) -> list[str]:
        """The names of branches (``heads``) or tags."""
        return {"heads": self.repository.branches, "tags": self.repository.tags}.get(kind, [])

    def branch(self, name: str) -> dict[str, Any]:
        return {"name": name, "commit": render.commit(self.repository, name, self.base), "protected": False}

    def tag(self, name: str) -> dict[str, Any]:
        return {
            "name": name,
            "commit": render.commit(self.repository, name, self.base),
            "zipball_url": f"{self.url}/zipball/refs/tags/{name}",
            "tarball_url": f"{self.url}/tarball/refs/tags/{name}",
            "node_id": f"REF_{name}",
        }

    def release(self, number: int, tag: str, kind: str) -> dict[str, Any]:
        url = f"{self.url}/releases"
        return {
            "url": f"{url}/{number}",
            "html_url": f"{url}/tag/{tag}",
            "assets_url": f"{url}/{number}/assets",
            "upload_url": f"{url}/{number}/assets{{?name,label}}",
            "tarball_url": None,
            "zipball_url": None,
            "id": number,
            "node_id": f"RE_{number}",
            "tag_name": tag,
            "target_commitish": "main",
            "name": tag,
            "body": None,
            "draft": kind == "draft",
            "prerelease": kind == "prerelease",
            "created_at": "2026-01-01T00:00:00Z",
            "published_at": None if kind == "draft" else "2026-01-01T00:00:00Z",
            "author": render.user(self.repository.owner, self.base, private=False),
            "assets": [],
        }

    def reference(self, kind: str, name: str) -> dict[str, Any]:
        digest = render.sha(name)
        return {
            "ref": f"refs/{kind}/{name}",
            "node_id": f"REF_{name}",
            "url": f"{self.url}/git/refs/{kind}/{name}",
            "object": {"type": "commit", "sha": digest, "url": f"{self.url}/git/commits/{digest}"},
        }

    def pulls(self) -> list[Pull]:
        """The pull requests that are asked for: open ones, newest first, unless the query says otherwise."""
        query = self.request.query
        state, base = query.get("state", "open"), query.get("base")
        author, _, head = query.get("head", "").rpartition(":")
        found = [
            pull
            for pull in self.repository.pulls
            if state in ("all", pull.state)
            and base in (None, self.repository.default_branch)
            # a head without its owner is no filter at all
            and (not author or (head, author.lower()) == (pull.head, (pull.author(self.repository) or "").lower()))
        ]
        sort = query.get("sort", "created")
        descending = query.get("direction", "desc" if sort == "created" else "asc") == "desc"
        times = {"created": "created_at", "updated": "updated_at"}
        found.sort(key=lambda pull: (getattr(pull, times.get(sort, "created_at")), pull.number), reverse=descending)
        return found

    def pull(self, number: str) -> Pull:
        """One pull request; the number of an issue is none."""
        for pull in self.repository.pulls:
            if str(pull.number) == number:
                return pull
        raise Refusal(404, wire.NOT_FOUND)

    def issue(self, number: str) -> dict[str, Any]:
        """One issue; every pull request is one too, and says so."""
        if number.isdigit() and int(number) in self.repository.issues:
            return render.issue(self.repository, int(number), "open", self.base)
        pull = self.pull(number)
        url = f"{self.url}/pulls/{number}"
        return render.issue(self.repository, pull.number, pull.state, self.base) | {"pull_request": {"url": url}}

    def list(self, items: list[dict[str, Any]]) -> Answer:
        """Cut a list into pages; these lists have their Link header, by the repository's id."""
        paging = self.simulator.paging
        page = paging.page(self.request)
        start = (page.number - 1) * page.size
        chunk = [encode(item) for item in items[start : start + page.size]]
        path = self.request.path
        if paging.settings.organization_links and "/repos/" in path:
            prefix = self.base[len(self.request.base) :]
            below = path.removeprefix(f"{prefix}/repos/").split("/", 2)[2]
            path = f"{prefix}/repositories/{self.repository.id}/{below}"
        return list_answer(chunk, paging.links(self.request, len(items), page, path, default=True))
