"""Lists are complete whatever the pages are like: with and without Link, shifted, repeated, too large, failing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from package_keeper.errors import ApiError, ApiErrorKind
from package_keeper.github import paging
from package_keeper.github.rest import PackagesReader
from package_keeper.model.packages import Package, PackageName, PackageType
from tests.simulator import Request, Simulator, rest
from tests.wire.machinery import Client, client
from tests.wire.world import TOKEN

APP = PackageName(type=PackageType.NPM, name="app")


@pytest.fixture
def ours(sim: Simulator) -> Iterator[Client]:
    with client(sim.url) as made:
        yield made


def versions(sim: Simulator, number: int) -> list[int]:
    package = sim.add_package("acme", "npm", "app")
    return [package.add_version(f"1.0.{patch}").id for patch in range(number)]


def packages(reader: PackagesReader, package_type: PackageType) -> list[Package]:
    found = reader.packages([package_type])[package_type]
    assert not isinstance(found, ApiError)
    return [package for package in found if isinstance(package, Package)]


@pytest.mark.parametrize("number", [0, 1, 99, 100, 101, 200, 350])
@pytest.mark.parametrize("link", [True, False])
def test_lists_of_any_length_are_complete(sim: Simulator, ours: Client, number: int, link: bool) -> None:
    sim.paging.configure(link=link, shuffle=3)
    made = versions(sim, number)
    assert sorted(version.id for version in ours.reader().versions(APP)) == made


@pytest.mark.parametrize("organization_links", [True, False])
@pytest.mark.parametrize("most", [30, 7])
def test_a_link_overrules_a_short_page(sim: Simulator, ours: Client, most: int, organization_links: bool) -> None:
    sim.paging.configure(link=True, max_per_page=most, organization_links=organization_links)
    made = versions(sim, 100)
    assert sorted(version.id for version in ours.reader().versions(APP)) == made
    assert all("/orgs/acme/" in request.path for request in sim.requests), "links are hints, never followed"


@pytest.mark.parametrize("link", [True, False])
def test_entries_that_come_twice_count_once(sim: Simulator, ours: Client, link: bool) -> None:
    sim.paging.configure(duplicate=True, link=link)
    made = versions(sim, 350)
    assert sorted(version.id for version in ours.reader().versions(APP)) == made


def test_pages_that_shift_while_others_push_lose_nothing(sim: Simulator, ours: Client) -> None:
    made = versions(sim, 250)
    package = sim.package("acme", "npm", "app")

    def push(_: Simulator, request: Request) -> None:
        for number in range(3):
            package.add_version(f"2.{request.sequence}.{number}")

    sim.on("GET", "page=[23]", push, times=2)
    found = [version.id for version in ours.reader().versions(APP)]
    assert set(made) <= set(found)
    assert len(found) == len(set(found))


@pytest.mark.parametrize("link", [True, False])
def test_packages_of_all_pages(sim: Simulator, ours: Client, link: bool) -> None:
    sim.paging.configure(link=link)
    made = [sim.add_package("acme", "npm", f"p{number}").id for number in range(230)]
    sim.add_package("acme", "maven", "other")
    reader = ours.reader()
    assert sorted(package.id for package in packages(reader, PackageType.NPM)) == made
    assert reader.remarks == []


@pytest.fixture
def crowded(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """An organization with 1,150 packages, of which GitHub lists 1,000 at once: a tenth of the real numbers."""
    monkeypatch.setattr(paging, "WINDOW", 1_000)
    monkeypatch.setattr(rest, "LIST_WINDOW", 1_000)
    with Simulator(validate=False) as simulator:
        simulator.limits.configure(enabled=False)
        simulator.add_owner("acme")
        simulator.add_token(TOKEN)
        for number in range(1_150):
            simulator.add_package("acme", "npm", f"p{number}", visibility="public" if number % 3 else "private")
        yield simulator


def test_more_packages_than_github_lists_are_found_by_visibility(crowded: Simulator) -> None:
    with client(crowded.url) as ours:
        reader = ours.reader()
        found = packages(reader, PackageType.NPM)
        assert len({package.id for package in found}) == len(found) == 1_150
        assert reader.remarks == []


def test_a_remark_names_what_github_does_not_list(crowded: Simulator) -> None:
    with client(crowded.url) as ours:
        reader = ours.reader()
        for package in crowded.packages("acme"):
            package.visibility = "public"
        found = packages(reader, PackageType.NPM)
        assert len(found) == 1_000
        assert "1000" in reader.remarks[0]


def test_pages_that_fail_are_requested_in_halves(sim: Simulator, ours: Client) -> None:
    made = versions(sim, 260)
    sim.faults.add("GET", "page=2&per_page=100", status=502, times=None)
    assert sorted(version.id for version in ours.reader().versions(APP)) == made
    read = [(request.query["per_page"], request.query["page"]) for request in sim.requests if request.status == 200]
    assert read[:2] == [("100", "1"), ("100", "3")], "the third page was under way with the second"
    assert sorted(read[2:]) == [("50", page) for page in "13456"], "but for the first, what was taken is not read again"


def test_pages_that_fail_whatever_their_size_end_the_list(sim: Simulator, ours: Client) -> None:
    versions(sim, 150)
    sim.faults.add("GET", "/versions", status=502, times=None, after=1)
    with pytest.raises(ApiError) as caught:
        ours.reader().versions(APP)
    assert caught.value.kind is ApiErrorKind.UNREACHABLE
    assert {request.query["per_page"] for request in sim.requests} == {"100", "50", "25"}


def test_a_failed_page_is_not_the_end_of_a_list(sim: Simulator, ours: Client) -> None:
    versions(sim, 150)
    sim.faults.add("GET", "page=2", status=403, message="Resource not accessible by integration")
    with pytest.raises(ApiError) as caught:
        ours.reader().versions(APP)
    assert caught.value.kind is ApiErrorKind.NO_PERMISSION


@pytest.mark.parametrize("action", ["garbage", "truncate", "close", "close-after"])
def test_a_broken_page_is_requested_again(sim: Simulator, ours: Client, action: str) -> None:
    made = versions(sim, 150)
    sim.faults.add("GET", "page=2", action=action)
    assert sorted(version.id for version in ours.reader().versions(APP)) == made


def test_a_list_that_stays_unreadable_is_an_error(sim: Simulator, ours: Client) -> None:
    versions(sim, 5)
    sim.faults.add("GET", "/versions", action="garbage", times=None)
    with pytest.raises(ApiError) as caught:
        ours.reader().versions(APP)
    assert caught.value.kind is ApiErrorKind.UNREACHABLE


def test_deleted_and_active_versions_are_two_lists(sim: Simulator, ours: Client) -> None:
    made = versions(sim, 130)
    package = sim.package("acme", "npm", "app")
    for version in package.active()[:110]:
        package.remove(version)
    active = [version.id for version in ours.reader().versions(APP)]
    deleted = ours.reader().versions(APP, deleted=True)
    assert len(active) == 20
    assert len(deleted) == 110
    assert all(version.deleted_at is not None for version in deleted)
    assert sorted([*active, *(version.id for version in deleted)]) == made
