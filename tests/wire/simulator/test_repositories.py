"""The simulator's repositories answer as GitHub's do: what `gone` asks for, and who may ask (docs/github-behaviour.md,
"Tokens").
"""

from __future__ import annotations

import pytest
from github import Auth, Github

from tests.simulator import Repository, Simulator
from tests.simulator.plain import Client, ClientFactory

PULLS = "/repos/acme/app/pulls"


@pytest.fixture
def app(sim: Simulator) -> Repository:
    return sim.add_repository("acme", "app")


def numbers(client: Client, query: str) -> list[int]:
    return [pull["number"] for pull in client("GET", f"{PULLS}{query}").json()]


def test_pull_requests_are_listed_by_state_newest_first(client: Client, app: Repository) -> None:
    app.add_pull(3, "three", state="open")
    app.add_pull(1, "one")
    app.add_pull(2, "two", merged=False)
    assert numbers(client, "") == [3]
    assert numbers(client, "?state=closed") == [2, 1]
    assert numbers(client, "?state=all") == [3, 2, 1]
    assert numbers(client, "?state=all&direction=asc") == [1, 2, 3]
    assert numbers(client, "?state=all&head=ACME:two") == [2]
    assert numbers(client, "?state=all&head=stranger:two") == []
    assert numbers(client, "?state=all&head=two") == [3, 2, 1]
    assert numbers(client, "?state=all&base=other") == []
    assert numbers(client, "?state=all&sort=updated") == [3, 1, 2]
    one, two, three = (client("GET", f"{PULLS}/{number}").json() for number in (1, 2, 3))
    assert (one["state"], one["merged"], bool(one["merged_at"]), bool(one["closed_at"])) == ("closed", True, True, True)
    assert (two["state"], two["merged"], two["merged_at"], bool(two["closed_at"])) == ("closed", False, None, True)
    assert (three["state"], three["merged_at"], three["closed_at"]) == ("open", None, None)
    assert three["base"]["ref"] == "main"
    assert three["base"]["repo"]["full_name"] == "Acme/app"


def test_heads_tell_where_they_came_from(sim: Simulator, client: Client, app: Repository) -> None:
    stranger = sim.add_owner("stranger", "User")
    app.add_pull(1, "own")
    app.add_pull(2, "theirs", fork_repository=sim.add_repository("stranger", "app", private=False))
    app.add_pull(3, "theirs", fork=True, fork_owner=stranger)
    app.add_pull(4, "theirs", fork=True)
    app.add_pull(5, "theirs", fork_repository=sim.add_repository("acme", "app-fork"))
    found = []
    for number in range(1, 6):
        head = client("GET", f"{PULLS}/{number}").json()["head"]
        user, repo = head["user"], head["repo"]
        found.append((head["ref"], head["label"], user and user["login"], repo and (repo["full_name"], repo["fork"])))
    assert found == [
        ("own", "Acme:own", "Acme", ("Acme/app", False)),
        ("theirs", "stranger:theirs", "stranger", ("stranger/app", True)),
        # the fork was deleted, then the account as well
        ("theirs", "stranger:theirs", "stranger", None),
        ("theirs", None, None, None),
        ("theirs", "Acme:theirs", "Acme", ("Acme/app-fork", True)),
    ]
    assert client("GET", "/repos/acme/app").json()["fork"] is False


def test_numbers_of_issues_are_no_pull_requests(client: Client, app: Repository) -> None:
    app.issues.add(12)
    app.add_pull(13, "topic", state="open")
    assert client("GET", "/repos/acme/app/issues/12").json()["number"] == 12
    assert "pull_request" not in client("GET", "/repos/acme/app/issues/12").json()
    assert "pull_request" in client("GET", "/repos/acme/app/issues/13").json()
    assert client.refusal("GET", f"{PULLS}/12") == (404, "Not Found")
    assert client.refusal("GET", f"{PULLS}/14") == (404, "Not Found")
    assert client.refusal("GET", f"{PULLS}/x") == (404, "Not Found")
    with pytest.raises(ValueError, match="has a number 12"):
        app.add_pull(12, "topic")


@pytest.mark.parametrize("prefix", ["", "/api/v3"])
def test_lists_have_pages_and_links_by_the_repositorys_id(
    sim: Simulator, client: Client, app: Repository, prefix: str
) -> None:
    app.branches += [f"topic/{number}" for number in range(119)]
    path = f"{prefix}/repos/acme/app/branches"
    first = client("GET", f"{path}?per_page=50")
    base = f"{sim.url}{prefix}/repositories/{app.id}/branches"
    assert first.headers["Link"] == f'<{base}?per_page=50&page=2>; rel="next", <{base}?per_page=50&page=3>; rel="last"'
    found, response = [branch["name"] for branch in first.json()], first
    while "next" in response.links:
        response = client("GET", response.links["next"]["url"])
        found += [branch["name"] for branch in response.json()]
    assert found == sorted(app.branches)
    sim.paging.configure(organization_links=False)
    assert client("GET", f"{path}?per_page=50").links["last"]["url"].startswith(f"{sim.url}{path}?")
    sim.paging.configure(link=False)
    assert "Link" not in client("GET", f"{path}?per_page=50").headers
    assert client.refusal("GET", "/repositories/1/branches") == (404, "Not Found")


def test_branches_tags_and_references_are_found_by_name(client: Client, app: Repository) -> None:
    app.branches.append("feature/x")
    app.tags += ["v1", "v1.1", "w"]
    assert client("GET", "/repos/acme/app/branches/feature/x").json()["name"] == "feature/x"
    assert client("GET", "/repos/acme/app/branches/feature%2Fx").json()["name"] == "feature/x"
    assert client.refusal("GET", "/repos/acme/app/branches/feature") == (404, "Not Found")
    assert client("GET", "/repos/acme/app/git/ref/heads/feature/x").json()["ref"] == "refs/heads/feature/x"
    assert client.refusal("GET", "/repos/acme/app/git/ref/tags/v2") == (404, "Not Found")
    matching = client("GET", "/repos/acme/app/git/matching-refs/tags/v1").json()
    assert [ref["ref"] for ref in matching] == ["refs/tags/v1", "refs/tags/v1.1"]
    assert client("GET", "/repos/acme/app/git/matching-refs/heads/none").json() == []
    assert [tag["name"] for tag in client("GET", "/repos/acme/app/tags").json()] == ["v1", "v1.1", "w"]


def test_private_repositories_are_hidden_from_who_may_not_see_them(
    sim: Simulator, clients: ClientFactory, app: Repository
) -> None:
    sim.add_repository("acme", "open", private=False)
    sim.add_token("packages-only", scopes=("read:packages",))
    sim.add_token("elsewhere", kind="actions", repositories=("acme/other",))
    sim.add_token("here", kind="actions", repositories=("Acme/App",))
    for token in (None, "packages-only", "elsewhere"):
        client = clients(token)
        for path in ("", "/branches", "/pulls", "/tags"):
            assert client.refusal("GET", f"/repos/acme/app{path}") == (404, "Not Found")
            assert client("GET", f"/repos/acme/open{path}").status_code == 200
    assert clients("here")("GET", "/repos/acme/app/branches").status_code == 200
    app.private = False
    assert clients("packages-only")("GET", "/repos/acme/app/branches").status_code == 200


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("actions", "Resource not accessible by integration"),
        ("app", "Resource not accessible by integration"),
        ("fine-grained", "Resource not accessible by personal access token"),
    ],
)
def test_apps_need_a_permission_for_each_resource_of_a_private_repository(
    sim: Simulator, clients: ClientFactory, app: Repository, kind: str, text: str
) -> None:
    app.add_pull(1, "one")
    sim.add_token("code", kind=kind, permissions=("contents",))
    sim.add_token("reviews", kind=kind, permissions=("pull_requests",))
    code, reviews = clients("code"), clients("reviews")
    assert code("GET", "/repos/acme/app/branches").status_code == 200
    assert code("GET", "/repos/acme/app/git/matching-refs/tags/").status_code == 200
    assert code.refusal("GET", PULLS) == (403, text)
    assert code("GET", PULLS).headers["x-accepted-github-permissions"] == "pull_requests=read"
    assert reviews("GET", f"{PULLS}/1").status_code == 200
    assert reviews.refusal("GET", "/repos/acme/app/branches") == (403, text)
    assert reviews("GET", "/repos/acme/app/branches").headers["x-accepted-github-permissions"] == "contents=read"
    for client in (code, reviews):
        # what comes with `metadata` needs nothing more
        assert client("GET", "/repos/acme/app").status_code == 200
        assert client("GET", "/repos/acme/app/tags").status_code == 200
    app.private = False
    assert code("GET", PULLS).status_code == 200


def test_single_sign_on_guards_private_repositories_too(
    sim: Simulator, clients: ClientFactory, app: Repository
) -> None:
    sim.add_token("no-sso", sso_required_for=("acme",))
    status, message = clients("no-sso").refusal("GET", f"/repos/{app.full_name}/branches")
    assert (status, message.partition(".")[0]) == (403, "Resource protected by organization SAML enforcement")


def test_pygithub_reads_what_decides_about_gone(sim: Simulator, app: Repository) -> None:
    app.branches += [f"topic/{number}" for number in range(230)]
    app.tags += ["v1", "stable"]
    for number in range(1, 251):
        app.add_pull(number, f"topic/{number}", "open" if number > 240 else "closed")
    app.add_pull(300, "theirs", fork=True)
    with Github(base_url=sim.url, auth=Auth.Token("tok"), per_page=100, seconds_between_requests=None) as github:
        found = github.get_repo("acme/app")
        assert [branch.name for branch in found.get_branches()] == sorted(app.branches)
        pulls = list(found.get_pulls(state="all"))
        assert [pull.number for pull in pulls] == [300, *range(250, 0, -1)]
        assert [pull.number for pull in pulls if pull.state == "open"] == list(range(250, 240, -1))
        theirs, own = (pull.head.raw_data["repo"] for pull in pulls[:2])
        assert (theirs, own["full_name"]) == (None, "Acme/app")
        assert [ref.ref for ref in found.get_git_matching_refs("tags/")] == ["refs/tags/v1", "refs/tags/stable"]
    asked = [request.path for request in sim.requests]
    assert not any("/pulls/" in path for path in asked)
