"""The simulator's limits are real windows; faults, redirects and hooks act on demand (docs/github-behaviour.md,
"Limits").
"""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
import requests

from tests.simulator import Simulator, push_image
from tests.simulator.plain import Client, ClientFactory


def test_the_primary_limit_is_a_window(client: Client, sim: Simulator) -> None:
    sim.clock.time_scale = 3600
    sim.limits.configure(primary=3)
    path = "/orgs/acme/packages?package_type=npm"
    first = client("GET", path)
    assert first.headers["x-ratelimit-limit"] == "3"
    assert (first.headers["x-ratelimit-remaining"], first.headers["x-ratelimit-used"]) == ("2", "1")
    assert first.headers["x-ratelimit-resource"] == "core"
    assert 0 <= int(first.headers["x-ratelimit-reset"]) - time.time() <= 2
    etag = {"If-None-Match": first.headers["etag"]}
    assert client("GET", path, headers=etag).status_code == 304
    assert client("GET", "/rate_limit").json()["rate"]["remaining"] == 2
    assert [client("GET", path).status_code for _ in range(3)] == [200, 200, 403]
    refused = client("GET", path)
    assert refused.json()["message"].startswith("API rate limit exceeded")
    assert refused.headers["x-ratelimit-remaining"] == "0"
    assert client("GET", "/rate_limit").status_code == 200
    sim.clock.advance(3600)
    assert client("GET", path).status_code == 200
    assert sim.limits.refusals["primary"] == 2


@pytest.mark.parametrize(("retry_after", "status"), [(True, 403), (False, 429)])
def test_the_secondary_limit_counts_points(sim: Simulator, client: Client, retry_after: bool, status: int) -> None:
    sim.clock.time_scale = 60
    sim.limits.configure(points_per_minute=12, retry_after=retry_after, status=status)
    path = "/orgs/acme/packages/npm/lib"
    assert [client("DELETE", path).status_code for _ in range(2)] == [404, 404]
    assert client("GET", path).status_code == 404
    refused = client("DELETE", path)
    assert refused.status_code == status
    assert refused.json()["message"].startswith("You have exceeded a secondary rate limit")
    assert int(refused.headers["x-ratelimit-remaining"]) > 0
    assert refused.headers.get("retry-after") == ("1" if retry_after else None)
    assert client("GET", path).status_code == status, "whoever does not wait is refused"
    sim.clock.advance(60)
    assert client("GET", path).status_code == 404


def test_waits_are_told_in_the_time_that_clients_live_in(sim: Simulator, client: Client) -> None:
    sim.clock.time_scale = 60
    sim.clock.shared = True
    sim.limits.configure(points_per_minute=1)
    path = "/orgs/acme/packages/npm/lib"
    assert client("GET", path).status_code == 404
    refused = client("GET", path)
    assert 55 <= int(refused.headers["retry-after"]) <= 60, "simulated seconds, one of the machine's"
    left = int(refused.headers["x-ratelimit-reset"]) - sim.clock.now().timestamp()
    assert 3500 < left < 3601
    assert abs(sim.clock.moment(sim.requests[-1].at) - time.monotonic()) < 10


def test_hidden_limits(sim: Simulator, client: Client) -> None:
    sim.limits.configure(hidden_deletes_per_minute=1, content_creation_per_minute=1, penalty=0)
    path = "/orgs/acme/packages/npm/lib"
    assert [client("DELETE", path).status_code for _ in range(2)] == [404, 403]
    assert [client("POST", f"{path}/restore").status_code for _ in range(2)] == [404, 403]
    assert client("GET", path).status_code == 404


def test_concurrent_requests_are_limited(sim: Simulator, clients: ClientFactory) -> None:
    sim.latency = 0.2
    sim.limits.configure(concurrent=5, penalty=0)
    found: list[int] = []

    def ask(client: Client) -> None:
        found.append(client("GET", "/users/acme").status_code)

    threads = [threading.Thread(target=ask, args=(clients("tok"),)) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(set(found)) == [200, 403]
    assert sim.limits.peak > 5
    assert sim.limits.refusals["concurrent"] == found.count(403) == 7


def test_a_hundred_connections(sim: Simulator, clients: ClientFactory) -> None:
    sim.latency = 0.05
    everyone = [clients("tok") for _ in range(100)]
    threads = [threading.Thread(target=client, args=("GET", "/users/acme")) for client in everyone]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {request.status for request in sim.requests} == {200}
    assert sorted(request.sequence for request in sim.requests) == list(range(1, 101))


def test_enterprise_servers_may_have_no_limits(sim: Simulator, client: Client) -> None:
    sim.limits.configure(enabled=False, primary=0)
    response = client("GET", f"{sim.enterprise_url}/users/acme")
    assert response.status_code == 200
    assert not [name for name in response.headers if name.lower().startswith("x-ratelimit")]
    assert client.refusal("GET", "/api/v3/rate_limit") == (404, "Rate limiting is not enabled.")


def test_faults_respond(sim: Simulator, client: Client) -> None:
    fault = sim.faults.add(method="GET", path=r"/users/acme$", status=502, times=2, after=1, headers={"X-A": "b"})
    assert [client("GET", "/users/acme").status_code for _ in range(4)] == [200, 502, 502, 200]
    assert fault.hits == 2
    sim.faults.add(path=r"per_page=100", status=500, message="Server Error", times=None)
    package_list = "/orgs/acme/packages?package_type=npm&per_page="
    assert client.refusal("GET", f"{package_list}100") == (500, "Server Error")
    assert client("GET", f"{package_list}50").status_code == 200
    sim.faults.clear()
    assert client("GET", f"{package_list}100").status_code == 200


def test_faults_of_the_line(sim: Simulator, client: Client) -> None:
    package = sim.add_package("acme", "npm", "lib")
    first, second, _ = (package.add_version(name) for name in "123")
    path = "/orgs/acme/packages/npm/lib/versions"
    sim.faults.add(method="DELETE", path=rf"/versions/{first.id}$", action="close")
    sim.faults.add(method="DELETE", path=rf"/versions/{second.id}$", action="close-after")
    for version in (first, second):
        with pytest.raises(requests.ConnectionError):
            client("DELETE", f"{path}/{version.id}")
    assert [(version.name, version.is_active) for version in (first, second)] == [("1", True), ("2", False)]
    assert [request.status for request in sim.writes] == [0, 0]
    sim.faults.add(path="versions$", action="truncate")
    with pytest.raises(requests.RequestException):
        client("GET", path)
    sim.faults.add(path="versions$", action="garbage")
    with pytest.raises(requests.JSONDecodeError):
        client("GET", path).json()
    sim.faults.add(path="versions$", action="delay", delay=0.2)
    start = time.monotonic()
    assert len(client.ids(path)) == 2
    assert time.monotonic() - start >= 0.2


def test_renamed_owners(sim: Simulator, client: Client) -> None:
    sim.add_package("acme", "npm", "lib").add_version("1")
    sim.redirects.add("/orgs/old", "/orgs/acme")
    sim.redirects.add("/repos/acme/old", "/repos/acme/new", status=301)
    sim.redirects.add("/users/old", "/users/acme", status=302)
    response = client("GET", "/orgs/OLD/packages/npm/lib/versions?per_page=7")
    assert response.status_code == 301
    assert response.headers["Location"] == f"{sim.url}/orgs/acme/packages/npm/lib/versions?per_page=7"
    assert response.json()["url"] == response.headers["Location"]
    assert client("DELETE", "/orgs/old/packages/npm/lib").status_code == 307
    assert client("DELETE", "/api/v3/orgs/old/packages/npm/lib").headers["Location"].startswith(sim.enterprise_url)
    assert client("GET", "/repos/acme/old").status_code == 301
    assert client("GET", "/users/old").status_code == 302
    assert len(sim.packages("acme")) == 1


def test_hooks_act_in_the_middle(sim: Simulator, client: Client) -> None:
    package = sim.add_package("acme", "npm", "lib")
    package.add_version("1")
    seen = []

    def push(simulator: Simulator, request: Any) -> None:
        seen.append(request.path)
        simulator.package("acme", "npm", "lib").add_version(f"1.{len(seen)}")

    sim.on("GET", r"/versions$", push, times=2)
    path = "/orgs/acme/packages/npm/lib/versions"
    assert [len(client.ids(path)) for _ in range(3)] == [2, 3, 3]
    assert seen == [path, path]


def test_requests_are_recorded(sim: Simulator, client: Client) -> None:
    client("DELETE", "/orgs/acme/packages/container/team%2Fapp", headers={"X-Mine": "yes"})
    client("GET", "/orgs/acme/packages?package_type=npm&page=2")
    (write,) = sim.writes
    assert write.method == "DELETE"
    assert write.path == "/orgs/acme/packages/container/team%2Fapp"
    assert write.headers["x-MINE"] == "yes"
    assert (write.status, write.sequence, write.body, write.token) == (404, 1, b"", "tok")
    assert write.operation_id == "packages/delete-package-for-org"
    assert sim.requests[1].query == {"package_type": "npm", "page": "2"}
    sim.forget_requests()
    assert sim.requests == []


def test_what_is_unknown_can_be_either_way(sim: Simulator, client: Client) -> None:
    app = sim.add_package("octocat", "container", "app")
    old, new = push_image(app, "a", seed="old"), push_image(app, "b", seed="new")
    path = "/users/octocat/packages/container/app/versions"
    client("DELETE", f"{path}/{old.id}")
    app.move_tag("a", new)
    client("POST", f"{path}/{old.id}/restore")
    assert (old.tags, new.tags) == ([], ["b", "a"])
    app.move_tag("c", old)
    client("DELETE", f"{path}/{old.id}")
    app.move_tag("c", new)
    sim.configure(restored_versions_take_tags=True, deletions_listed_for=3600, pushes_listed_after=3600)
    assert set(client.ids(path)) == {old.id}
    client("POST", f"{path}/{old.id}/restore")
    assert old.tags == ["c"]
    sim.configure(private_packages_under_users=False)
    assert client("GET", path).status_code == 404
    assert client("GET", "/user/packages/container/app").status_code == 200
