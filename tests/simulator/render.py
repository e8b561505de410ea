"""The JSON of packages, versions, accounts and repositories, in GitHub's shapes."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from .wire import encode

if TYPE_CHECKING:
    from .packages import Package, Version
    from .store import Owner, Pull, Repository

WEB = "https://github.com"
USER_URLS = (
    ("followers_url", "/followers"),
    ("following_url", "/following{/other_user}"),
    ("gists_url", "/gists{/gist_id}"),
    ("starred_url", "/starred{/owner}{/repo}"),
    ("subscriptions_url", "/subscriptions"),
    ("repos_url", "/repos"),
    ("organizations_url", "/orgs"),
    ("events_url", "/events{/privacy}"),
    ("received_events_url", "/received_events"),
)
REPOSITORY_URLS = {
    "archive_url": "/{archive_format}{/ref}",
    "assignees_url": "/assignees{/user}",
    "blobs_url": "/git/blobs{/sha}",
    "branches_url": "/branches{/branch}",
    "collaborators_url": "/collaborators{/collaborator}",
    "comments_url": "/comments{/number}",
    "commits_url": "/commits{/sha}",
    "compare_url": "/compare/{base}...{head}",
    "contents_url": "/contents/{+path}",
    "contributors_url": "/contributors",
    "deployments_url": "/deployments",
    "downloads_url": "/downloads",
    "events_url": "/events",
    "forks_url": "/forks",
    "git_commits_url": "/git/commits{/sha}",
    "git_refs_url": "/git/refs{/sha}",
    "git_tags_url": "/git/tags{/sha}",
    "hooks_url": "/hooks",
    "issue_comment_url": "/issues/comments{/number}",
    "issue_events_url": "/issues/events{/number}",
    "issues_url": "/issues{/number}",
    "keys_url": "/keys{/key_id}",
    "labels_url": "/labels{/name}",
    "languages_url": "/languages",
    "merges_url": "/merges",
    "milestones_url": "/milestones{/number}",
    "notifications_url": "/notifications{?since,all,participating}",
    "pulls_url": "/pulls{/number}",
    "releases_url": "/releases{/id}",
    "stargazers_url": "/stargazers",
    "statuses_url": "/statuses/{sha}",
    "subscribers_url": "/subscribers",
    "subscription_url": "/subscription",
    "tags_url": "/tags",
    "teams_url": "/teams",
    "trees_url": "/git/trees{/sha}",
}


def family(owner: Owner) -> str:
    """Tell the path under which an owner's packages are."""
    return f"/orgs/{owner.login}" if owner.kind == "Organization" else f"/users/{owner.login}"


def simple_user(owner: Owner, base: str) -> dict[str, Any]:
    """Describe an account in short."""
    url = f"{base}/users/{owner.login}"
    return {
        "login": owner.login,
        "id": owner.id,
        "node_id": f"U_{owner.id}",
        "avatar_url": f"https://avatars.githubusercontent.com/u/{owner.id}?v=4",
        "gravatar_id": "",
        "url": url,
        "html_url": f"{WEB}/{owner.login}",
        **{name: url + rest for name, rest in USER_URLS},
        "type": owner.kind,
        "site_admin": False,
    }


def user(owner: Owner, base: str, private: bool) -> dict[str, Any]:
    """Describe an account at length: ``private`` as it sees itself, else as anyone sees it."""
    found = simple_user(owner, base) | {
        "name": owner.login,
        "company": None,
        "blog": "",
        "location": None,
        "email": None,
        "hireable": None,
        "bio": None,
        "public_repos": 1,
        "public_gists": 0,
        "followers": 0,
        "following": 0,
        "created_at": "2019-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z",
        "user_view_type": "private" if private else "public",
    }
    if private:
        numbers = (
            "private_gists",
            "total_private_repos",
            "owned_private_repos",
            "disk_usage",
            "collaborators",
        )
        found |= dict.fromkeys(numbers, 0) | {"two_factor_authentication": True}
    return found


def minimal_repository(repository: Repository, base: str) -> dict[str, Any]:
    """Describe a repository in short, as inside a package."""
    full_name = repository.full_name
    url = f"{base}/repos/{full_name}"
    return {
        "id": repository.id,
        "node_id": f"R_{repository.id}",
        "name": repository.name,
        "full_name": full_name,
        "private": repository.private,
        "owner": simple_user(repository.owner, base),
        "html_url": f"{WEB}/{full_name}",
        "description": None,
        "fork": False,
        "url": url,
        **{name: url + rest for name, rest in REPOSITORY_URLS.items()},
    }


def full_repository(repository: Repository, base: str) -> dict[str, Any]:
    """Describe a repository at length."""
    full_name = repository.full_name
    numbers = (
        "forks",
        "forks_count",
        "open_issues",
        "open_issues_count",
        "size",
        "stargazers_count",
        "watchers",
        "watchers_count",
        "network_count",
        "subscribers_count",
    )
    features = ("has_issues", "has_projects", "has_wiki", "has_pages", "has_discussions", "has_downloads")
    return {
        **minimal_repository(repository, base),
        "clone_url": f"{WEB}/{full_name}.git",
        "default_branch": repository.default_branch,
        "git_url": f"git://github.com/{full_name}.git",
        "ssh_url": f"git@github.com:{full_name}.git",
        "svn_url": f"{WEB}/{full_name}",
        **dict.fromkeys(numbers, 0),
        **dict.fromkeys(features, True),
        **dict.fromkeys(("homepage", "language", "mirror_url", "license"), None),
        "archived": False,
        "disabled": False,
        "visibility": "private" if repository.private else "public",
        "pushed_at": "2026-01-01T00:00:00Z",
        "created_at": "2019-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z",
    }


def sha(text: str) -> str:
    """Make up a commit."""
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def commit(repository: Repository, name: str, base: str) -> dict[str, str]:
    """Point at a commit, as lists of branches and tags do."""
    digest = sha(name)
    return {"sha": digest, "url": f"{base}/repos/{repository.full_name}/commits/{digest}"}


def pull_request(repository: Repository, pull: Pull, base: str, *, alone: bool = False) -> dict[str, Any]:
    """Describe a pull request, as far as anyone here asks; ``alone`` with what lists leave out."""
    url = f"{base}/repos/{repository.full_name}"
    author, head = pull.author(repository), pull.head_repository
    account = pull.fork_owner if pull.fork else repository.owner
    found = {
        "id": 1_000_000 + pull.number,
        "node_id": f"PR_{pull.number}",
        "number": pull.number,
        "url": f"{url}/pulls/{pull.number}",
        "html_url": f"{WEB}/{repository.full_name}/pull/{pull.number}",
        "issue_url": f"{url}/issues/{pull.number}",
        "state": pull.state,
        "locked": False,
        "draft": False,
        "title": f"Pull request {pull.number}",
        "body": None,
        "user": simple_user(account, base) if account else None,
        "created_at": pull.created_at,
        "updated_at": pull.updated_at,
        "closed_at": pull.closed_at,
        "merged_at": pull.closed_at if pull.merged else None,
        "head": {
            "label": f"{author}:{pull.head}" if author else None,
            "ref": pull.head,
            "sha": sha(pull.head),
            "user": simple_user(account, base) if account else None,
            "repo": minimal_repository(head, base) | {"fork": pull.fork} if head else None,
        },
        "base": {
            "label": f"{repository.owner.login}:{repository.default_branch}",
            "ref": repository.default_branch,
            "sha": sha(repository.default_branch),
            "user": simple_user(repository.owner, base),
            "repo": minimal_repository(repository, base),
        },
    }
    return found | ({"merged": pull.merged, "comments": 0, "commits": 1, "changed_files": 1} if alone else {})


def issue(repository: Repository, number: int, state: str, base: str) -> dict[str, Any]:
    """Describe an issue, as far as anyone here asks."""
    return {
        "id": 1_000_000 + number,
        "node_id": f"I_{number}",
        "number": number,
        "url": f"{base}/repos/{repository.full_name}/issues/{number}",
        "html_url": f"{WEB}/{repository.full_name}/issues/{number}",
        "state": state,
        "title": f"Issue {number}",
        "user": simple_user(repository.owner, base),
        "created_at": "2025-01-01T00:00:00Z",
        "updated_at": "2025-01-01T00:00:00Z",
        "closed_at": None if state == "open" else "2026-01-01T00:00:00Z",
    }


def package_web_url(package: Package) -> str:
    """Tell where a package is on the web: containers with their owner, others with their repository."""
    if package.type == "container" or package.repository is None:
        place = "orgs" if package.owner.kind == "Organization" else "users"
        name = quote(package.name, safe="")
        return f"{WEB}/{place}/{package.owner.login}/packages/{package.type}/package/{name}"
    return f"{WEB}/{package.owner.login}/{package.repository.name}/packages/{package.id}"


def package_url(package: Package, base: str) -> str:
    """Tell the REST URL of a package, its name encoded whole."""
    return f"{base}{family(package.owner)}/packages/{package.type}/{quote(package.name, safe='')}"


def package_json(package: Package, base: str) -> bytes:
    """Write a package; what was written is kept until the package changes."""
    key = f"{base} {package.visibility} {package.updated_at}"
    found = package.json.get(key)
    if found is None:
        value: dict[str, Any] = {
            "id": package.id,
            "name": package.name,
            "package_type": package.type,
            "owner": simple_user(package.owner, base),
            "version_count": len(package.active()),
            "visibility": package.visibility,
            "url": package_url(package, base),
            "created_at": package.created_at,
            "updated_at": package.updated_at,
            "html_url": package_web_url(package),
        }
        if package.repository is not None:
            value["repository"] = minimal_repository(package.repository, base)
        found = package.json[key] = encode(
            {name: given for name, given in value.items() if name not in package.without}
        )
    return found


def version_json(version: Version, base: str) -> bytes:
    """Write a version; what was written is kept until the version changes."""
    found = version.json.get(base)
    if found is None:
        package = version.package
        value: dict[str, Any] = {
            "id": version.id,
            "name": version.name,
            "url": f"{package_url(package, base)}/versions/{version.id}",
            "package_html_url": package_web_url(package),
            "created_at": version.created_at,
            "updated_at": version.updated_at,
            "html_url": f"{package_web_url(package)}/{version.id}",
            "metadata": _metadata(version),
        }
        if version.deleted_at is not None:
            value["deleted_at"] = version.deleted_at
        value |= {name: given for name, given in version.extra.items() if name != "docker_key"}
        found = version.json[base] = encode({name: given for name, given in value.items() if given is not None})
    return found


def _metadata(version: Version) -> dict[str, Any]:
    kind = version.package.type
    if kind == "container":
        return {"package_type": kind, "container": {"tags": version.tags}}
    if kind == "docker":
        return {"package_type": kind, "docker": {version.extra.get("docker_key", "tags"): version.tags}}
    return {"package_type": kind}
