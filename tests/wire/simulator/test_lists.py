"""The simulator's pages and its soft deletion are those of docs/github-behaviour.md, "Endpoints"."""

from __future__ import annotations

import re
from datetime import timedelta

import requests

from tests.simulator import Simulator
from tests.simulator.images import push_image
from tests.simulator.plain import Client
from tests.simulator.registry import MEDIA_TYPES

ACCEPT = {"Accept": ", ".join(MEDIA_TYPES)}


def test_version_lists_have_links_and_package_lists_have_none(sim: Simulator, client: Client) -> None:
    package = sim.add_package("acme", "npm", "lib")
    made = [package.add_version(f"1.0.{number}").id for number in range(230)]
    for number in range(40):
        sim.add_package("acme", "npm", f"other-{number}")
    versions = "/orgs/acme/packages/npm/lib/versions"
    response = client("GET", f"{versions}?per_page=100")
    owner = sim.store.owners["acme"].id
    base = f"{sim.url}/organizations/{owner}/packages/npm/lib/versions"
    assert (
        response.headers["Link"]
        == f'<{base}?per_page=100&page=2>; rel="next", <{base}?per_page=100&page=3>; rel="last"'
    )
    found = [version["id"] for version in response.json()]
    while "next" in response.links:
        response = client("GET", response.links["next"]["url"])
        found += [version["id"] for version in response.json()]
    assert sorted(found) == sorted(made)
    assert len(client.ids(versions)) == 30
    assert len(client.ids(f"{versions}?per_page=500")) == 100
    assert client.walk(versions, 100) == found
    full = client("GET", "/orgs/acme/packages?package_type=npm&per_page=10")
    assert len(full.json()) == 10
    assert "Link" not in full.headers
    assert len(client.walk("/orgs/acme/packages?package_type=npm", 10)) == 41


def test_paging_can_be_made_hard(sim: Simulator, client: Client) -> None:
    package = sim.add_package("octocat", "npm", "lib")
    made = [package.add_version(f"1.0.{number}").id for number in range(95)]
    path = "/user/packages/npm/lib/versions"
    sim.paging.configure(link=False, shuffle=4, duplicate=True)
    found = client.walk(path, 10)
    assert len(found) > len(set(found))
    assert set(found) == set(made)
    assert found != sorted(found)
    assert found != sorted(found, reverse=True)
    assert found == client.walk(path, 10)
    assert "Link" not in client("GET", path).headers
    sim.paging.configure(link=True, organization_links=False, duplicate=False, max_per_page=20)
    response = client("GET", f"{path}?per_page=100")
    assert len(response.json()) == 20
    assert response.links["last"]["url"] == f"{sim.url}/user/packages/npm/lib/versions?per_page=100&page=5"
    sim.paging.configure(organization_links=True)
    response = client("GET", path)
    assert re.search(r"/user/\d+/packages/", response.links["next"]["url"])
    assert client("GET", response.links["next"]["url"]).status_code == 200


def test_duplicates_never_lose_an_entry(sim: Simulator, client: Client) -> None:
    package = sim.add_package("acme", "npm", "lib")
    sim.paging.configure(duplicate=True)
    for total in range(1, 24):
        package.add_version(f"1.0.{total}")
        assert len(set(client.walk("/orgs/acme/packages/npm/lib/versions", 5))) == total


def test_package_lists_end_at_10_000(sim: Simulator, client: Client) -> None:
    path = "/orgs/acme/packages?package_type=npm&per_page=100&page="
    assert client("GET", f"{path}100").json() == []
    status, message = client.refusal("GET", f"{path}101")
    assert status == 400
    assert "10000" in message


def test_package_type_is_required() -> None:
    with Simulator() as sim, requests.Session() as session:
        sim.add_owner("acme")
        sim.add_token("tok")
        session.headers["Authorization"] = "Bearer tok"
        for query in (
            "",
            "?package_type=deb",
            "?package_type=npm&visibility=secret",
            "?package_type=npm&colour=red",
        ):
            status = session.get(f"{sim.url}/orgs/acme/packages{query}", timeout=5).status_code
            assert status == (200 if "colour" in query else 400)
        session.get(f"{sim.url}/orgs/acme/packages/npm/a/b/c", timeout=5)
        session.delete(f"{sim.url}/orgs/acme/packages/npm/a/versions/x", timeout=5)
        assert [violation.problem for violation in sim.contract_violations] == [
            "missing query parameter package_type",
            "query parameter package_type is 'deb'",
            "query parameter visibility is 'secret'",
            "unknown query parameter colour",
            "no such operation",
            "path parameter package_version_id is 'x'",
        ]


def test_deletions_last_30_days(sim: Simulator, client: Client) -> None:
    package = sim.add_package("acme", "npm", "lib")
    version = package.add_version("1")
    package.add_version("2")
    path = "/orgs/acme/packages/npm/lib"
    restore = f"{path}/versions/{version.id}/restore"
    assert client.refusal("POST", restore) == (404, "Package version not found.")
    assert client("DELETE", f"{path}/versions/{version.id}").status_code == 204
    gone = (404, "Package version not found.")
    assert client.refusal("DELETE", f"{path}/versions/{version.id}") == gone
    sim.clock.advance(timedelta(days=29, hours=23))
    assert client.ids(f"{path}/versions?state=deleted") == [version.id]
    sim.clock.advance(timedelta(hours=2))
    assert client.ids(f"{path}/versions?state=deleted") == []
    assert client.refusal("POST", restore) == gone


def test_a_restored_package_has_the_versions_it_had(sim: Simulator, client: Client) -> None:
    package = sim.add_package("acme", "npm", "lib")
    first, second, third = (package.add_version(name) for name in "123")
    path = "/orgs/acme/packages/npm/lib"
    assert client.refusal("POST", f"{path}/restore") == (404, "Package not found.")
    client("DELETE", f"{path}/versions/{first.id}")
    client("DELETE", path)
    assert client.refusal("GET", f"{path}/versions/{second.id}") == (404, "Package not found.")
    assert sim.packages("acme") == []
    assert sim.packages("acme", "deleted") == [package]
    assert sim.package("acme", "npm", "lib") is package
    sim.clock.advance(timedelta(days=29))
    assert client("POST", f"{path}/restore").status_code == 204
    assert {v.id for v in package.active()} == {second.id, third.id}
    assert [v.id for v in package.deleted()] == [first.id]
    client("DELETE", path)
    sim.clock.advance(timedelta(days=31))
    assert client.refusal("POST", f"{path}/restore") == (404, "Package not found.")


def test_a_name_that_was_reused_blocks_the_restore(sim: Simulator, client: Client) -> None:
    package = sim.add_package("acme", "npm", "lib")
    version = package.add_version("1")
    package.add_version("2")
    path = "/orgs/acme/packages/npm/lib"
    client("DELETE", f"{path}/versions/{version.id}")
    package.add_version("1")
    assert client.refusal("POST", f"{path}/versions/{version.id}/restore") == (403, "Package version already exists.")
    client("DELETE", path)
    again = sim.add_package("acme", "npm", "LIB")
    again.add_version("9")
    assert client.ids(f"{path}/versions") == [again.active()[0].id]
    sim.configure(restore_refused_status=422)
    status, message = client.refusal("POST", f"{path}/restore")
    assert status == 422
    assert message.startswith("Cannot restore: ")


def test_of_two_versions_of_one_digest_only_one_comes_back(sim: Simulator, client: Client) -> None:
    app = sim.add_package("acme", "container", "app")
    tagged = push_image(app, "v1", seed="one")
    twin = app.add_twin(tagged)
    keep = push_image(app, "keep", seed="other")
    path = "/orgs/acme/packages/container/app/versions"
    assert set(client.ids(path)) == {tagged.id, twin.id, keep.id}
    for version in (tagged, twin):
        assert client("DELETE", f"{path}/{version.id}").status_code == 204
    assert client("POST", f"{path}/{twin.id}/restore").status_code == 204
    assert client.refusal("POST", f"{path}/{tagged.id}/restore") == (403, "Package version already exists.")
    assert app.tagged("v1") is None


def test_lists_can_lag_behind_deletions_and_restorations(sim: Simulator, client: Client) -> None:
    package = sim.add_package("acme", "npm", "lib")
    gone, back, stays = (package.add_version(name) for name in ("1", "2", "3"))
    path = "/orgs/acme/packages/npm/lib/versions"
    sim.configure(deletions_listed_for=60, deletions_listed_after=60, restores_listed_after=60)
    client("DELETE", f"{path}/{back.id}")
    sim.clock.advance(timedelta(seconds=61))
    client("POST", f"{path}/{back.id}/restore")
    client("DELETE", f"{path}/{gone.id}")
    assert set(client.ids(path)) == {gone.id, stays.id}
    assert client.refusal("GET", f"{path}/{gone.id}") == (404, "Package version not found.")
    assert client("GET", f"{path}/{back.id}").status_code == 200
    assert client.ids(f"{path}?state=deleted") == [back.id]
    sim.clock.advance(timedelta(seconds=61))
    assert set(client.ids(path)) == {back.id, stays.id}
    assert client.ids(f"{path}?state=deleted") == [gone.id]
