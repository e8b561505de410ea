"""`time-limit` is blamed for nothing else: a wait that would end past it is named, with what is left and its end.

And a run in which GitHub was not reached at all within `time-limit` is a failure of its own
(docs/reference.md, "Exit status").
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.scenarios.program import Ended, Place
from tests.simulator import Simulator, push_image
from tests.wire.timed import SECONDARY, partial, passed, refuse, run, time_passes

NPM = {"package_type": "npm", "versions": "*"}
UNTIL = r"waiting \d+ s, until \d\d:\d\d:\d\d UTC, would end past time-limit"


def versions(sim: Simulator, number: int) -> None:
    package = sim.add_package("acme", "npm", "app")
    for minute in range(number):
        package.add_version(f"1.{minute}.0", created_at=f"2026-01-01T{minute // 60:02}:{minute % 60:02}:00Z")


def told(ended: Ended, pattern: str) -> None:
    """Exactly one notice tells why the run stops; none says that the time is over."""
    notices = ended.annotations["notice"]
    assert len([text for text in notices if re.search(pattern, text)]) == 1, ended.said
    assert not any("time-limit is reached" in text for text in notices)


REST = r"\d+ of the planned writes are left for the next run"


def test_the_tenth_that_writes_leave_is_named(sim: Simulator, place: Place) -> None:
    sim.limits.configure(primary=40, points_per_minute=None)
    versions(sim, 60)
    ended = run(sim, place, **NPM, time_limit="5min")
    partial(ended)
    told(ended, rf"^\d+ of 40 requests of this hour are left, a tenth is left to others; {UNTIL}: {REST}$")
    assert passed(place).seconds < 300
    assert ended.count("remaining") + ended.count("deleted") == 60
    assert ended.count("remaining") > 0


def test_an_hour_that_is_used_up_while_lists_are_read_is_named(sim: Simulator, place: Place) -> None:
    sim.limits.configure(primary=2)
    versions(sim, 350)
    ended = run(sim, place, **NPM, time_limit="5min")
    partial(ended)
    told(ended, rf"the requests of this hour are used up \(0 of 2 are left\); {UNTIL}; the next run goes on from here")
    assert sim.writes == []


@pytest.mark.parametrize("time_limit", ["30s", "5min"])
def test_the_minute_is_named(sim: Simulator, place: Place, time_limit: str) -> None:
    sim.limits.configure(points_per_minute=None)
    versions(sim, 200)
    ended = run(sim, place, **NPM, time_limit=time_limit)
    if time_limit == "5min":
        assert ended.outputs["result"] == "done"
        return
    partial(ended)
    told(ended, rf"^the (points|writes) of this minute are used up \(\d of (900|180) are left\); {UNTIL}: {REST}$")


def test_a_secondary_limit_is_named(sim: Simulator, place: Place) -> None:
    versions(sim, 5)
    refuse(sim, "DELETE", "/versions/", 600, None)
    ended = run(sim, place, **NPM, time_limit="60s")
    partial(ended)
    told(ended, rf"^GitHub's secondary rate limit is reached; waiting 600 s, .*would end past time-limit: {REST}$")


def test_a_primary_limit_that_refuses_is_named_with_what_is_left(sim: Simulator, place: Place) -> None:
    versions(sim, 5)
    headers = {"x-ratelimit-limit": "1000", "x-ratelimit-remaining": "0"}
    message = "API rate limit exceeded for user ID 1."
    sim.faults.add("GET", "/versions", status=403, message=message, headers=headers, times=None)
    ended = run(sim, place, **NPM, time_limit="60s")
    partial(ended)
    told(ended, rf"\(0 of 1000 (requests )?are left\); {UNTIL}; the next run")


def test_the_registry_s_limit_is_named(sim: Simulator, place: Place) -> None:
    package = sim.add_package("acme", "container", "app")
    for tag in ("old", "v1"):
        push_image(package, tag, platforms=["linux/amd64"], created_at="2026-01-01T00:00:00Z")
    refuse(sim, "GET", "/manifests/", 600, None)
    ended = run(sim, place, tags="old", time_limit="60s")
    partial(ended)
    told(ended, rf"^the registry rate limit is reached; {UNTIL}; the next run goes on")


def test_politeness_is_named(sim: Simulator, place: Place) -> None:
    versions(sim, 9)
    time_passes(sim, place, 99.5, "DELETE", "/versions/", 2)
    ended = run(sim, place, **NPM, pace="polite", time_limit="100s")
    partial(ended)
    told(ended, rf"^pace: polite is one write a second; {UNTIL}: {REST}$")


def test_an_answer_that_was_lost_is_named(sim: Simulator, place: Place) -> None:
    versions(sim, 5)
    time_passes(sim, place, 99.5, "GET", "/versions")
    sim.faults.add("GET", "/versions", status=502, times=None)
    ended = run(sim, place, **NPM, time_limit="100s")
    partial(ended)
    told(ended, rf"HTTP 502\); {UNTIL}; the next run goes on")


def test_the_end_of_the_time_itself_is_called_so(sim: Simulator, place: Place) -> None:
    versions(sim, 60)
    time_passes(sim, place, 100, "DELETE", "/versions/", 3)
    ended = run(sim, place, **NPM, time_limit="100s")
    partial(ended)
    (text,) = [text for text in ended.annotations["notice"] if "left for the next run" in text]
    assert re.match(r"time-limit is reached: \d+ of the planned", text)


# not reached at all


TROUBLES: list[dict[str, Any]] = [{"status": 502}, {"action": "close"}]


@pytest.mark.parametrize("how", TROUBLES)
@pytest.mark.parametrize("owner_type", ["auto", "organization"])
def test_a_github_that_was_not_reached_within_the_time_is_a_failure(
    sim: Simulator, place: Place, owner_type: str, how: dict[str, Any]
) -> None:
    versions(sim, 5)
    sim.faults.add(None, "/", times=None, **how)
    ended = run(sim, place, **NPM, owner_type=owner_type, time_limit="3s")
    assert (ended.status, ended.outputs["result"]) == (5, "failed"), ended.said
    (text,) = ended.annotations["error"]
    assert text.startswith("GitHub was not reached within time-limit: "), text
    assert "would end past time-limit" in text
    assert sim.writes == []


def test_a_github_that_refuses_by_a_limit_was_reached(sim: Simulator, place: Place) -> None:
    versions(sim, 5)
    headers = {"Retry-After": "600"}
    sim.faults.add(None, "/", status=429, message=SECONDARY, headers=headers, times=None)
    ended = run(sim, place, **NPM, owner_type="auto", time_limit="60s")
    partial(ended)
    told(ended, r"^GitHub's secondary rate limit is reached; waiting 600 s")


def test_a_github_that_failed_once_was_reached(sim: Simulator, place: Place) -> None:
    versions(sim, 5)
    sim.faults.add("GET", "/users/", status=502)
    time_passes(sim, place, 10, "GET", "/packages/npm/app$")
    ended = run(sim, place, **NPM, owner_type="auto", time_limit="10s")
    partial(ended)
