"""The client's certain lists over real sockets: which pages are requested, and which lists are accepted."""

from __future__ import annotations

import random
from typing import Any

import pytest

from package_keeper.errors import ApiError
from package_keeper.github.paging import READINGS
from package_keeper.model.packages import PackageName
from tests.simulator import Request, Simulator
from tests.wire.machinery import client
from tests.wire.test_side_by_side import ids, key, stocked
from tests.wire.world import TOKEN

PARTIAL = {"x-github-sso": "partial-results; organizations=1"}


def entries(numbers: list[int]) -> list[dict[str, Any]]:
    return [{"id": number, "name": f"1.0.{number}"} for number in numbers]


def missing_from_page_2(sim: Simulator, made: list[int], number: int, times: int) -> None:
    page = [each for each in sorted(made, reverse=True)[100:] if each != number]
    sim.faults.add("GET", "page=2&", status=200, body=entries(page), times=times)


@pytest.mark.parametrize("there", [True, False])
def test_a_version_that_vanished_from_two_readings_is_requested_by_its_id(sim: Simulator, there: bool) -> None:
    made = stocked(sim, 150)[key(0)]
    package = sim.package("acme", "npm", "app0")
    lost = made[10]
    missing_from_page_2(sim, made, lost, times=2)
    if not there:
        package.remove(package.versions[lost])
    with client(sim.url, TOKEN) as ours:
        found = ours.reader().versions_of([key(0)], seen={key(0): set(made)})[key(0)]
    asked = [request.path for request in sim.requests if request.path.endswith(f"/versions/{lost}")]
    assert len(asked) == 1
    if there:
        assert isinstance(found, ApiError)
        assert "changes too fast" in str(found)
    else:
        assert sorted(ids(found)) == [number for number in made if number != lost]


def test_no_version_is_requested_by_its_id_when_readings_agree(sim: Simulator) -> None:
    made = stocked(sim, 350, 80)
    with client(sim.url, TOKEN) as ours:
        reader = ours.reader()
        reader.versions_of(made)
        assert (reader.is_long(key(0)), reader.is_long(key(1))) == (True, False)
        sim.forget_requests()
        certain = reader.versions_of(made, seen={name: set(numbers) for name, numbers in made.items()})
    assert {name: sorted(ids(found)) for name, found in certain.items()} == made
    assert {request.status for request in sim.requests} == {304}
    assert len(sim.requests) == 4 + 1, "neither a count nor a second look at the first page"


def test_lists_that_need_not_be_certain_are_read_once(sim: Simulator) -> None:
    made = stocked(sim, 150, 150)
    with client(sim.url, TOKEN) as ours:
        reader = ours.reader()
        found = reader.versions_of(made, seen={key(0): set()})
    assert {name: sorted(ids(each)) for name, each in found.items()} == made
    pages = [request.path for request in sim.requests]
    # nothing was seen of the first before, so it is read twice
    assert [sum("app0" in path for path in pages), sum("app1" in path for path in pages)] == [4, 2]


@pytest.mark.parametrize("page", [1, 2])
def test_a_list_that_is_incomplete_is_never_certain(sim: Simulator, page: int) -> None:
    made = stocked(sim, 150, 150)
    with client(sim.url, TOKEN) as ours:
        reader = ours.reader()
        found = reader.versions_of(made)
        assert not reader.remarks
        numbers = sorted(made[key(0)], reverse=True)[100 * (page - 1) : 100 * page]
        sim.faults.add("GET", f"app0/.*page={page}&", status=200, body=entries(numbers), headers=PARTIAL, times=None)
        again = reader.versions_of(made)
        assert {name: sorted(ids(each)) for name, each in again.items()} == made
        assert (reader.is_incomplete(key(0)), reader.is_incomplete(key(1))) == (True, False)
        certain = reader.versions_of(made, seen={name: set(ids(each)) for name, each in found.items()})
        assert isinstance(certain[key(0)], ApiError)
        assert sorted(ids(certain[key(1)])) == made[key(1)]
        (remark,) = reader.remarks
        assert remark.startswith("npm/app0: GitHub lists only a part of the versions")
        assert "Configure SSO" in remark


def test_an_incomplete_list_of_deleted_versions_is_reported_too(sim: Simulator) -> None:
    stocked(sim, 3)
    package = sim.package("acme", "npm", "app0")
    package.remove(package.active()[0])
    package.held_back.update(package.versions)
    with client(sim.url, TOKEN) as ours:
        reader = ours.reader()
        assert reader.versions(key(0), deleted=True) == []
        assert reader.is_incomplete(key(0))


def test_many_incomplete_packages_are_one_remark_with_the_address_of_github(sim: Simulator) -> None:
    made = stocked(sim, *[1] * 8)
    headers = {"x-github-sso": "partial-results; url=https://github.com/orgs/acme/sso?authorization_request=x"}
    sim.faults.add("GET", "/versions", status=200, body=[], headers=headers, times=None)
    with client(sim.url, TOKEN) as ours:
        reader = ours.reader()
        reader.versions_of(made)
        (remark,) = reader.remarks
    assert "and 3 more" in remark
    assert "https://github.com/orgs/acme/sso?authorization_request=x" in remark


@pytest.mark.parametrize("seed", range(12))
def test_no_version_that_stays_is_missed_whatever_others_do(sim: Simulator, seed: int) -> None:
    chance = random.Random(seed)
    made = stocked(sim, *(chance.choice([100, 101, 150, 199, 201, 299]) for _ in range(3)))
    left = 6

    def act(_: Simulator, request: Request) -> None:
        nonlocal left
        if not left or chance.random() > 0.2:
            return
        left -= 1
        package = sim.package("acme", "npm", request.path.split("/")[-2])
        if chance.random() < 0.5:
            package.add_version(f"2.0.{request.sequence}")
        else:
            package.remove(chance.choice(package.active()))

    sim.on("GET", r"/versions\?page=", act, times=None)
    sim.latency = 0.005
    with client(sim.url, TOKEN) as ours:
        reader = ours.reader()
        first = reader.versions_of(made)
        certain = reader.versions_of(made, seen={name: set(ids(found)) for name, found in first.items()})
    for name in made:
        stayed = {each.id for each in sim.package("acme", "npm", name.name).active()} & set(made[name])
        found = certain[name]
        assert isinstance(found, ApiError) or stayed <= set(ids(found))
    assert all(pages(sim, name) <= 2 * (READINGS + 3) * 4 for name in made)


def pages(sim: Simulator, name: PackageName) -> int:
    return sum(f"/{name.name}/versions" in request.path and "page" in request.query for request in sim.requests)
