"""The simulator refuses by exact text (docs/github-behaviour.md, "Refusals" and "Tokens")."""

from __future__ import annotations

import pytest

from tests.simulator import Simulator, push_image
from tests.simulator.plain import Client, ClientFactory


def test_popular_public_versions_stay(sim: Simulator, client: Client) -> None:
    text = (
        "Publicly visible package versions with more than 5000 downloads cannot be deleted. "
        "Contact GitHub support for further assistance."
    )
    package = sim.add_package("acme", "npm", "lib", visibility="public")
    popular, exact = package.add_version("1", downloads=5001), package.add_version("2", downloads=5000)
    package.add_version("3")
    path = "/orgs/acme/packages/npm/lib"
    assert client.refusal("DELETE", f"{path}/versions/{popular.id}") == (400, text)
    assert client.refusal("DELETE", path) == (400, text)
    assert client("DELETE", f"{path}/versions/{exact.id}").status_code == 204
    package.visibility = "private"
    assert client("DELETE", f"{path}/versions/{popular.id}").status_code == 204


def test_last_versions_stay(sim: Simulator, client: Client) -> None:
    lib = sim.add_package("acme", "npm", "lib")
    only = lib.add_version("1")
    path = f"/orgs/acme/packages/npm/lib/versions/{only.id}"
    last = "You cannot delete the last version of a package. You must delete the package instead."
    assert client.refusal("DELETE", path) == (400, last)
    app = sim.add_package("acme", "container", "app")
    tagged, untagged = push_image(app, "v1"), push_image(app, None)
    tagged_last = "You cannot delete the last tagged version of a package. You must delete the package instead."
    versions = "/orgs/acme/packages/container/app/versions"
    assert client.refusal("DELETE", f"{versions}/{tagged.id}") == (400, tagged_last)
    assert client("DELETE", f"{versions}/{untagged.id}").status_code == 204
    assert client.refusal("DELETE", f"{versions}/{tagged.id}") == (400, tagged_last)


@pytest.mark.parametrize("kind", ["actions", "app"])
def test_integrations(sim: Simulator, clients: ClientFactory, kind: str) -> None:
    sim.add_token("ghs", kind=kind, login="bot", admin_on={"mine"})
    integration = clients("ghs")
    for name in ("mine", "theirs"):
        package = sim.add_package("acme", "container", name)
        push_image(package, "a")
        push_image(package, "b")
    list_all = "/orgs/acme/packages?package_type=container"
    assert integration.refusal("GET", list_all) == (400, "Invalid argument.")
    assert integration.ids("/orgs/acme/packages?package_type=npm") == []
    refusal = (403, "Resource not accessible by integration")
    assert integration.refusal("GET", "/user") == refusal
    assert integration.refusal("GET", "/user/packages?package_type=npm") == refusal
    version = integration.ids("/orgs/acme/packages/container/theirs/versions")[0]
    path = "/orgs/acme/packages/container"
    assert integration.refusal("DELETE", f"{path}/theirs/versions/{version}") == refusal
    assert integration.refusal("DELETE", f"{path}/theirs") == refusal
    assert integration("DELETE", f"{path}/mine").status_code == 204
    assert "x-oauth-scopes" not in integration("GET", "/rate_limit").headers


def test_bad_and_missing_and_fine_grained_tokens(sim: Simulator, clients: ClientFactory) -> None:
    sim.add_token("pat", kind="fine-grained")
    sim.add_token("short", expires_after=2)
    path = "/orgs/acme/packages?package_type=npm"
    assert clients("wrong").refusal("GET", path) == (401, "Bad credentials")
    assert clients(None).refusal("GET", path) == (401, "Requires authentication")
    refusal = (403, "Resource not accessible by personal access token")
    assert clients("pat").refusal("GET", path) == refusal
    short = clients("short")
    assert [short("GET", path).status_code for _ in range(3)] == [200, 200, 401]


@pytest.mark.parametrize(
    ("scopes", "method", "tail", "message"),
    [
        ((), "GET", "", "You need at least read:packages scope to get a package."),
        (("repo",), "GET", "/versions", "You need at least read:packages scope to list package versions."),
        (("read:packages",), "DELETE", "", "You need at least delete:packages scope to delete a package."),
        (("delete:packages",), "DELETE", "", "You need at least read:packages scope to delete a package."),
        (
            ("read:packages", "delete:packages"),
            "POST",
            "/restore",
            "You need at least write:packages scope to restore a package.",
        ),
    ],
)
def test_scopes(
    sim: Simulator,
    clients: ClientFactory,
    scopes: tuple[str, ...],
    method: str,
    tail: str,
    message: str,
) -> None:
    sim.add_token("few", scopes=scopes)
    sim.add_package("acme", "npm", "lib").add_version("1")
    assert clients("few").refusal(method, f"/orgs/acme/packages/npm/lib{tail}") == (403, message)
    assert clients("few")("GET", "/rate_limit").headers["x-oauth-scopes"] == ", ".join(scopes)


def test_maven_and_docker_need_repo(sim: Simulator, clients: ClientFactory) -> None:
    sim.add_token("few", scopes=("read:packages",))
    sim.add_package("acme", "maven", "core").add_version("1")
    message = "You need at least repo scope to get a package."
    assert clients("few").refusal("GET", "/orgs/acme/packages/maven/core") == (403, message)


def test_missing_admin_looks_like_a_missing_package(sim: Simulator, clients: ClientFactory) -> None:
    sim.add_token("guest", admin_on=())
    sim.add_token("guest2", admin_on=(), hides_versions=True)
    package = sim.add_package("acme", "npm", "lib")
    version = package.add_version("1")
    package.add_version("2")
    path = "/orgs/acme/packages/npm/lib"
    guest = clients("guest")
    assert guest("GET", path).status_code == 200
    assert guest.refusal("DELETE", path) == (404, "Package not found.")
    target = f"{path}/versions/{version.id}"
    assert guest("GET", target).status_code == 200
    assert guest.refusal("DELETE", target) == (404, "Package not found.")
    assert clients("guest2").refusal("DELETE", target) == (404, "Package version not found.")
    assert len(package.active()) == 2


def test_unreadable_packages_are_out_of_sight(sim: Simulator, clients: ClientFactory) -> None:
    sim.add_token("half", readable={"Open"})
    sim.add_package("acme", "npm", "open").add_version("1")
    sim.add_package("acme", "npm", "closed").add_version("1")
    half = clients("half")
    assert [p["name"] for p in half("GET", "/orgs/acme/packages?package_type=npm").json()] == ["open"]
    assert half.refusal("GET", "/orgs/acme/packages/npm/closed") == (404, "Package not found.")


def test_saml(sim: Simulator, clients: ClientFactory) -> None:
    sim.add_token("nosso", sso_required_for={"acme"})
    sim.add_token("partial", sso_required_for={"acme"}, sso_partial=True)
    sim.add_package("acme", "npm", "secret").add_version("1")
    sim.add_package("acme", "npm", "known", visibility="public").add_version("1")
    path = "/orgs/acme/packages?package_type=npm"
    response = clients("nosso")("GET", path)
    assert response.status_code == 403
    assert response.json()["message"].startswith("Resource protected by organization SAML enforcement")
    assert response.headers["X-GitHub-SSO"].startswith("required; url=https://github.com/orgs/Acme/sso")
    response = clients("partial")("GET", path)
    assert [p["name"] for p in response.json()] == ["known"]
    assert response.headers["X-GitHub-SSO"].startswith("partial-results; organizations=")


def test_what_is_not_there(sim: Simulator, client: Client) -> None:
    package = sim.add_package("acme", "npm", "lib")
    package.add_version("1")
    path = "/orgs/acme/packages/npm"
    assert client.refusal("GET", f"{path}/none") == (404, "Package not found.")
    assert client.refusal("GET", f"{path}/none/versions") == (404, "Package not found.")
    assert client.refusal("DELETE", f"{path}/none") == (404, "Package not found.")
    assert client.refusal("GET", f"{path}/lib/versions/1") == (404, "Package version not found.")
    assert client.refusal("DELETE", f"{path}/lib/versions/1") == (
        404,
        "Package version not found.",
    )
    assert client.refusal("GET", "/orgs/octocat/packages/npm/lib") == (404, "Not Found")
