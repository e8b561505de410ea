"""The simulator has all 27 operations, and answers as GitHub's OpenAPI description says."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests
from github import Auth, Github

from tests.simulator import EXCEPTIONS, Simulator
from tests.simulator.openapi import operations, packages_operations
from tests.simulator.plain import Client
from tests.simulator.scenarios import SCENARIOS, TOKEN

ROOT = Path(__file__).resolve().parents[3]
TYPES = ("npm", "maven", "rubygems", "docker", "nuget", "container")


def test_the_description_has_27_packages_operations() -> None:
    assert len(packages_operations()) == 27
    assert sum(name.startswith("packages/") for name in operations()) == 27


@pytest.mark.parametrize(
    ("family", "owner"), [("/orgs/acme", "acme"), ("/users/octocat", "octocat"), ("/user", "octocat")]
)
@pytest.mark.parametrize("prefix", ["", "/api/v3"])
def test_every_operation_answers(sim: Simulator, client: Client, family: str, owner: str, prefix: str) -> None:
    for kind in TYPES:
        package = sim.add_package(owner, kind, f"{kind}/Lib", repository="app", conflict=kind == "docker")
        old = package.add_version("1.0", created_at="2026-01-01T00:00:00Z", tags=["one"])
        package.add_version("2.0", created_at="2026-01-02T00:00:00Z", tags=["two"], license="MIT", description="d")
        root = f"{prefix}{family}"
        path = f"{root}/packages/{kind}/{kind}%2FLib"
        (listed,) = client("GET", f"{root}/packages?package_type={kind}&visibility=private&page=1&per_page=50").json()
        assert listed == client("GET", path).json()
        assert (listed["name"], listed["version_count"]) == (f"{kind}/Lib", 2)
        assert listed["repository"]["name"] == "app"
        assert len(client.ids(f"{path}/versions?state=active&page=1&per_page=100")) == 2
        assert client("GET", f"{path}/versions/{old.id}").json()["name"] == "1.0"
        response = client("DELETE", f"{path}/versions/{old.id}")
        assert (response.status_code, response.content) == (204, b"")
        assert client("GET", f"{path}/versions/{old.id}").status_code == 404
        (deleted,) = client("GET", f"{path}/versions?state=deleted").json()
        assert deleted["id"] == old.id
        assert deleted["deleted_at"]
        assert client("POST", f"{path}/versions/{old.id}/restore").status_code == 204
        assert client("DELETE", path).status_code == 204
        assert client("GET", path).status_code == 404
        assert client("POST", f"{path}/restore?token=x").status_code == 204
        assert client("GET", path).json()["version_count"] == 2
    (conflict,) = client("GET", f"{prefix}{family}/docker/conflicts").json()
    assert conflict["name"] == "docker/Lib"
    seen = {request.operation_id for request in sim.requests}
    asked = {"/orgs/acme": "orgs", "/users/octocat": "users", "/user": "user"}[family]
    assert seen == {name for (kind, _), name in packages_operations().items() if kind == asked}


def test_accounts_and_repositories_answer(sim: Simulator, client: Client) -> None:
    sim.add_package("acme", "npm", "lib", repository="app")
    assert client("GET", "/user").json()["user_view_type"] == "private"
    assert client("GET", "/users/ACME").json()["type"] == "Organization"
    assert client("GET", "/users/octocat").json()["type"] == "User"
    assert client.refusal("GET", "/users/nobody") == (404, "Not Found")
    assert client("GET", "/repos/acme/app").json()["full_name"] == "Acme/app"
    limit = client("GET", "/rate_limit").json()
    assert limit["resources"]["core"] == limit["rate"]


def test_names_of_owners_and_packages_have_no_case(sim: Simulator, client: Client) -> None:
    package = sim.add_package("acme", "npm", "Lib")
    package.add_version("1.0.0")
    assert client("GET", "/orgs/ACME/packages/npm/lIB").json()["name"] == "Lib"
    assert len(client.ids("/users/acme/packages/npm/lib/versions")) == 1


def test_optional_fields_can_be_absent(sim: Simulator, client: Client) -> None:
    package = sim.add_package("acme", "docker", "legacy", visibility="internal")
    bare = package.add_version("a", metadata=None, html_url=None)
    tag = package.add_version("b", tags=["t"], docker_key="tag")
    assert (
        not {"metadata", "html_url"}
        & client("GET", f"/orgs/acme/packages/docker/legacy/versions/{bare.id}").json().keys()
    )
    found = client("GET", f"/orgs/acme/packages/docker/legacy/versions/{tag.id}").json()
    assert found["metadata"]["docker"] == {"tag": ["t"]}
    assert (
        client("GET", "/orgs/acme/packages?package_type=docker&visibility=internal").json()[0]["visibility"]
        == "internal"
    )


def test_pygithub_reads_accounts_branches_and_pull_requests(sim: Simulator) -> None:
    repository = sim.add_repository("acme", "app")
    repository.branches += [f"branch/{number}" for number in range(45)]
    repository.tags.append("v1")
    repository.add_pull(7, "branch/1", state="open")
    repository.add_pull(5, "gone", merged=False)
    repository.add_pull(6, "theirs", fork=True)
    with Github(base_url=sim.url, auth=Auth.Token("tok"), per_page=30, seconds_between_requests=None) as github:
        assert github.get_user().login == "octocat"
        assert github.get_user("acme").type == "Organization"
        assert github.get_rate_limit().rate.limit == 5000
        app = github.get_repo("acme/app")
        assert len(list(app.get_branches())) == 46
        pulls = list(app.get_pulls(state="all"))
        assert [(pull.number, pull.head.ref, pull.state) for pull in pulls] == [
            (7, "branch/1", "open"),
            (6, "theirs", "closed"),
            (5, "gone", "closed"),
        ]
        assert pulls[1].raw_data["head"]["repo"] is None
        assert [tag.name for tag in app.get_tags()] == ["v1"]
        assert [ref.ref for ref in app.get_git_matching_refs("tags/")] == ["refs/tags/v1"]


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenarios_validate(name: str) -> None:
    with Simulator() as sim:
        SCENARIOS[name](sim)
        client = Client(sim, TOKEN)
        with client.session:
            for kind in TYPES:
                for package in sim.packages("acme"):
                    if package.type == kind:
                        quoted = package.name.replace("/", "%2F")
                        versions = f"/orgs/acme/packages/{kind}/{quoted}/versions"
                        assert len(client.walk(versions, 100)) == len(package.active())
                assert client.ids(f"/orgs/acme/packages?package_type={kind}&per_page=100") is not None
        assert sim.contract_violations == [], sim.explain_contract()
        assert sim.errors == []


def test_a_thousand_versions_are_listed_fast() -> None:
    with Simulator(validate=False) as sim:
        SCENARIOS["pages"](sim)
        client = Client(sim, TOKEN)
        with client.session:
            start = time.monotonic()
            assert len(client.walk("/orgs/acme/packages/npm/package-000/versions", 100)) == 1_203
            assert time.monotonic() - start < 2


def test_broken_answers_are_noticed() -> None:
    """The contract is held against the simulator too: what GitHub would never send is a violation."""
    with Simulator() as sim:
        sim.add_owner("acme")
        sim.add_token("tok")
        sim.add_package("acme", "npm", "lib").add_version("1", created_at="2026-01-01T00:00:00Z", license=7)
        client = Client(sim, "tok")
        with client.session:
            client("GET", "/orgs/acme/packages/npm/lib/versions")
        assert [violation.problem for violation in sim.contract_violations] == ["license: 7 is not of type 'string'"]


def test_exceptions_say_why() -> None:
    assert all(pattern.startswith("^") and reason.endswith(".") for pattern, reason in EXCEPTIONS)


def test_it_runs_alone() -> None:
    command = [sys.executable, "-m", "tests.simulator"]
    listed = subprocess.run([*command, "--list"], cwd=ROOT, check=True, capture_output=True, text=True)
    assert [line.split()[0] for line in listed.stdout.splitlines()] == list(SCENARIOS)
    arguments = [*command, "--port", "0", "--scenario", "empty"]
    with subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().split()[1]
            assert requests.get(f"{url}/users/acme", timeout=5).json()["login"] == "acme"
        finally:
            process.terminate()
        assert process.wait(10) == 0
