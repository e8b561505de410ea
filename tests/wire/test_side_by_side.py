"""Many requests at once over real sockets: one pause for all, lists of many packages, pages that are as they were."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from package_keeper.errors import ApiError, ApiErrorKind, Cancelled, OutOfTime, RateLimitedError
from package_keeper.github.http import HttpClient
from package_keeper.github.rate_limit import FIRST_IN_FLIGHT, MOST_IN_FLIGHT
from package_keeper.github.rest import PackagesReader, PackagesWriter
from package_keeper.model.packages import Owner, OwnerType, Package, PackageName, PackageType
from tests.simulator import Request, Simulator
from tests.wire.machinery import POOL, CrewClock, Scripted, SimulatedClock, StillClock, answer, client, retries
from tests.wire.world import TOKEN

ACME = Owner(login="acme", type=OwnerType.ORGANIZATION)
ENTRY = b'{"id": %d, "name": "1.0.%d"}'


@dataclass
class Side:
    """A http_client in the time of a clock, with what it said."""

    http_client: HttpClient
    said: list[str]

    @property
    def reader(self) -> PackagesReader:
        return PackagesReader(self.http_client, ACME, POOL)

    @property
    def writer(self) -> PackagesWriter:
        return PackagesWriter(self.http_client, ACME)


@contextmanager
def side(url: str, clock: StillClock | SimulatedClock, *, deadline: float | None = None) -> Iterator[Side]:
    said: list[str] = []
    http_client = HttpClient(url, TOKEN, retries(clock, said.append, deadline=deadline))
    try:
        yield Side(http_client, said)
    finally:
        http_client.close()


def key(number: int) -> PackageName:
    return PackageName(type=PackageType.NPM, name=f"app{number}")


def stocked(sim: Simulator, *lengths: int) -> dict[PackageName, list[int]]:
    """Packages of so many versions each."""
    made = {}
    for number, length in enumerate(lengths):
        package = sim.add_package("acme", "npm", f"app{number}")
        made[key(number)] = [package.add_version(f"1.0.{patch}").id for patch in range(length)]
    return made


def in_threads(count: int, work: Callable[[int], None]) -> None:
    """Run work in threads, to its end in each."""
    failed: list[BaseException] = []

    def run(number: int) -> None:
        try:
            work(number)
        except BaseException as error:  # noqa: BLE001  # reason: raised below, in the test's own thread
            failed.append(error)

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
        assert not thread.is_alive()
    for error in failed:
        raise error


# one pause for all


@pytest.mark.parametrize("status", [403, 429])
def test_the_refusal_of_one_pauses_all(sim: Simulator, status: int) -> None:
    stocked(sim, 1)
    arrived: list[float] = []
    message = "You have exceeded a secondary rate limit."
    sim.faults.add("GET", "/app0", status=status, message=message, headers={"retry-after": "30"}, after=40, times=1)
    clock = CrewClock(12)
    sim.on("GET", "/app0", lambda _, __: arrived.append(clock.monotonic()))
    with side(sim.url, clock) as ours:

        def work(_: int) -> None:
            for _ in range(20):
                assert ours.http_client.send("GET", "/orgs/acme/packages/npm/app0").status == 200
            clock.leave()

        in_threads(12, work)
    assert len(arrived) == 12 * 20 + 1
    assert set(arrived) == {0.0, 30.0}, "nobody asks while all have to wait"
    assert arrived == sorted(arrived)
    assert arrived.count(0.0) > 40
    assert len(ours.said) == 1
    assert "waiting 30 s, until 12:00:30 UTC" in ours.said[0]


def test_many_deletions_at_once_find_a_limit_that_nobody_announced(sim: Simulator) -> None:
    made = stocked(sim, 201)[key(0)]
    sim.limits.configure(hidden_deletes_per_minute=30)
    clock = CrewClock(8, sim)
    with side(sim.url, clock) as ours:
        writer, todo, lock = ours.writer, made[:200], threading.Lock()

        def work(_: int) -> None:
            while True:
                with lock:
                    version = todo.pop() if todo else None
                if version is None:
                    clock.leave()
                    return
                try:
                    writer.delete_version(key(0), version)
                except RateLimitedError as rate_limited:
                    with lock:
                        todo.append(version)
                    clock.sleep(rate_limited.wait)

        in_threads(8, work)
    assert [version.id for version in sim.package("acme", "npm", "app0").active()] == made[200:]
    refusals = sim.limits.refusals
    # 180 a minute at first, then half of it twice, then just below what passed
    assert 1 <= refusals["deletes"] <= 3
    assert refusals["penalty"] <= 7 * refusals["deletes"]
    assert len([text for text in ours.said if "rate limit is reached" in text]) == refusals["deletes"]
    assert sim.clock.elapsed() < 60 * (200 / 27 + refusals["deletes"] + 1)


def test_a_connection_that_breaks_in_one_thread_is_nobody_elses(sim: Simulator) -> None:
    stocked(sim, 1)
    sim.faults.add("GET", "/app0", action="close", after=5, times=3)
    with client(sim.url) as ours:

        def work(_: int) -> None:
            for _ in range(5):
                assert ours.http_client.send("GET", "/orgs/acme/packages/npm/app0").status == 200

        in_threads(10, work)
        assert len(sim.requests) == 53
        assert len(ours.said) == 3


def test_connections_are_used_again(sim: Simulator) -> None:
    made = stocked(sim, *[1] * 60)
    with Scripted([answer(200, b'{"id": 1, "name": "app1"}')]) as server, client(server.url) as ours:
        ours.reader().packages_named(made)
        assert len(server.requests) == 60
        assert len(server._connections) <= MOST_IN_FLIGHT < 60


# many lists, many packages


def test_lists_of_many_packages_are_read_side_by_side(sim: Simulator) -> None:
    made = stocked(sim, 0, 1, 99, 100, 101, 250, 350, 7, 200, 420, 30, 199, 0, 310)
    sim.latency = 0.02
    with side(sim.url, SimulatedClock(sim)) as ours:
        found = ours.reader.versions_of(made)
        assert list(found) == list(made)
        assert {name: sorted(ids(versions)) for name, versions in found.items()} == made
        assert ours.said == []
    assert 3 < sim.limits.peak <= FIRST_IN_FLIGHT
    assert not sim.limits.refusals
    asked = [(request.path, request.query["page"]) for request in sim.requests]
    again = [each for each in asked if asked.count(each) > 1]
    assert {page for _, page in again} == {"1"}, "lists of many pages are looked at again in the end"
    assert len(again) == 2 * len(set(again))
    # a full last page without a Link to another one has one more behind it
    assert len(asked) <= sum(len(versions) // 100 + 1 for versions in made.values()) + len(made)


def ids(versions: object) -> list[int]:
    assert isinstance(versions, list), versions
    return [version.id for version in versions]


@pytest.mark.parametrize("link", [True, False])
def test_a_refused_list_is_its_own_alone(sim: Simulator, link: bool) -> None:
    made = stocked(sim, 250, 250, 350, 150, 20)
    sim.paging.configure(link=link)
    sim.faults.add("GET", r"/app1/versions\?page=2", status=403, message="Resource not accessible by integration")
    sim.faults.add("GET", "/app3/versions", status=404, message="Package not found.", times=None)
    sim.faults.add("GET", r"/app2/versions\?page=3", action="truncate", times=1)
    with side(sim.url, StillClock()) as ours:
        found = ours.reader.versions_of(made)
    problems = {name: versions.kind for name, versions in found.items() if isinstance(versions, ApiError)}
    assert problems == {key(1): ApiErrorKind.NO_PERMISSION, key(3): ApiErrorKind.NOT_FOUND}
    assert all(sorted(ids(found[name])) == made[name] for name in made if name not in problems)


def test_pushes_while_many_lists_are_read_lose_nothing(sim: Simulator) -> None:
    made = stocked(sim, *[450] * 5)

    def push(_: Simulator, request: Request) -> None:
        name = request.path.split("/")[-2]
        sim.package("acme", "npm", name).add_version(f"2.{request.sequence}")

    sim.on("GET", r"/versions\?page=[2345]", push, times=30)
    with side(sim.url, StillClock()) as ours:
        found = ours.reader.versions_of(made)
    for name, versions in made.items():
        seen = ids(found[name])
        assert set(versions) <= set(seen)
        assert len(set(seen)) == len(seen)


def test_more_packages_than_points_a_minute_are_asked_for_without_a_refusal(sim: Simulator) -> None:
    made = stocked(sim, *[0] * 950)
    unknown = [PackageName(type=PackageType.MAVEN, name=f"app{number}") for number in range(10)]
    with side(sim.url, SimulatedClock(sim)) as ours:
        found = ours.reader.packages_named([*made, *unknown])
        assert list(found) == [*made, *unknown]
        assert [name for name, package in found.items() if isinstance(package, Package)] == list(made)
        assert any("waiting" in text for text in ours.said)
    assert not sim.limits.refusals
    assert sim.clock.elapsed() > 60


def test_the_lists_of_several_types_are_read_at_once(sim: Simulator) -> None:
    for number in range(230):
        sim.add_package("acme", "npm", f"p{number}")
        sim.add_package("acme", "maven", f"p{number}")
    sim.faults.add("GET", "package_type=nuget", status=400, message="Invalid argument.", times=None)
    types = [PackageType.MAVEN, PackageType.NUGET, PackageType.NPM, PackageType.RUBYGEMS]
    with side(sim.url, SimulatedClock(sim)) as ours:
        found = ours.reader.packages(types)
    assert list(found) == types
    refused = found[PackageType.NUGET]
    assert isinstance(refused, ApiError)
    assert refused.kind is ApiErrorKind.LISTING_REFUSED
    assert [len(ids(found[each])) for each in types if each is not PackageType.NUGET] == [230, 230, 0]


# pages that are as they were


def test_a_page_that_is_as_it_was_costs_nothing_and_is_known(sim: Simulator) -> None:
    made = stocked(sim, 350, 80)
    with side(sim.url, SimulatedClock(sim)) as ours:
        reader = ours.reader
        first = reader.versions_of(made)
        used = sim.limits.status(TOKEN, "classic")["used"]
        sim.forget_requests()
        again = reader.versions_of(made)
        assert again == first
        assert {request.status for request in sim.requests} == {304}
        assert len(sim.requests) == 6, "four pages and one, and a look at the first of the four"
        assert sim.limits.status(TOKEN, "classic")["used"] == used


def test_what_changed_is_read_anew(sim: Simulator) -> None:
    made = stocked(sim, 250)[key(0)]
    package = sim.package("acme", "npm", "app0")
    with side(sim.url, SimulatedClock(sim)) as ours:
        reader = ours.reader
        assert sorted(ids(reader.versions(key(0)))) == made
        package.remove(package.active()[0])
        pushed = [package.add_version(f"3.0.{number}").id for number in range(60)]
        left = [version.id for version in package.active()]
        assert sorted(ids(reader.versions(key(0)))) == sorted(left)
        assert set(pushed) <= set(left)
        assert len(ids(reader.versions(key(0), deleted=True))) == 1
        assert sorted(ids(reader.versions(key(0)))) == sorted(left)


def test_a_long_list_is_counted_again_before_it_is_read_again(sim: Simulator) -> None:
    made = stocked(sim, 150)[key(0)]
    package = sim.package("acme", "npm", "app0")
    with side(sim.url, SimulatedClock(sim)) as ours:
        reader = ours.reader
        assert reader.package(key(0)).version_count == 150
        assert sorted(ids(reader.versions(key(0)))) == made
        # the first page is given, then one of it goes, and the first of the second page is on none
        last = package.active()[0]
        sim.on("GET", r"[?&]page=2&", lambda *_: package.remove(last), times=1)
        assert set(made) - {last.id} <= set(ids(reader.versions(key(0))))
        sim.forget_requests()
        assert ids(reader.versions(key(0), deleted=True)) == [last.id]
        assert len(sim.requests) == 1, "what was deleted has no count"


def test_the_mark_of_a_page_is_sent_with_that_page_only() -> None:
    def page(first: int, count: int) -> bytes:
        return b"[" + b",".join(ENTRY % (number, number) for number in range(first, first + count)) + b"]"

    unchanged = b'HTTP/1.1 304 Not Modified\r\nETag: W/"one"\r\n\r\n'
    pages = [answer(200, page(1, 100), 'ETag: W/"one"'), answer(200, page(101, 5), 'ETag: "two"')]
    with Scripted([*pages, unchanged, answer(200, page(101, 7), 'ETag: "new"'), unchanged, unchanged]) as server:
        with client(server.url) as ours:
            reader = ours.reader()
            assert ids(reader.versions(key(0))) == list(range(1, 106))
            assert ids(reader.versions(key(0))) == list(range(1, 108))
            assert ids(reader.versions(key(0))) == list(range(1, 108))
        marks = [
            line.partition(": ")[2]
            for head in server.heads
            for line in [*head.split("\r\n"), "if-none-match: none"]
            if line.lower().startswith("if-none-match")
        ]
    assert marks == ["none", "none", 'W/"one"', "none", '"two"', "none", 'W/"one"', "none", '"new"', "none"]


def test_a_304_that_nobody_asked_for_is_no_list() -> None:
    bare = b"HTTP/1.1 304 Not Modified\r\n\r\n"
    with Scripted([bare]) as server, client(server.url) as ours, pytest.raises(ApiError):
        ours.reader().versions(key(0))


# ends


def test_a_cancelled_wait_in_one_thread_ends_the_reading(sim: Simulator) -> None:
    class Cancelling(StillClock):
        def sleep(self, seconds: float) -> None:
            raise Cancelled

    made = stocked(sim, 350, 350, 350)
    sim.faults.add("GET", "page=3", status=502, times=None)
    with side(sim.url, Cancelling()) as ours, pytest.raises(Cancelled):
        ours.reader.versions_of(made)


def test_a_pause_that_outlasts_the_time_ends_the_reading(sim: Simulator) -> None:
    made = stocked(sim, 350, 350, 350)
    clock = StillClock()
    sim.faults.add("GET", "page=3", status=429, headers={"retry-after": "60"}, times=None)
    with side(sim.url, clock, deadline=59.0) as ours, pytest.raises(OutOfTime):
        ours.reader.versions_of(made)
    assert clock.elapsed == 0
