"""`time-limit` and limits in the middle of an untagging: no tag is left on an empty manifest without a word."""

from __future__ import annotations

import json

import pytest

from tests.scenarios.program import Place
from tests.simulator import Package, Simulator
from tests.wire.timed import (
    again,
    last_lines,
    outcomes,
    partial,
    passed,
    refuse,
    run,
    time_passes,
    undone,
    with_two_tags,
)

STUB = b"package-keeper.untagged"


UNTAG = {"tags": "pr-*", "partial_match": "untag"}


@pytest.fixture
def tagged(sim: Simulator) -> Package:
    return with_two_tags(sim)


def tags_of(package: Package) -> dict[str, str]:
    return {tag: version.name for tag, version in package.tags().items()}


def stubs(package: Package) -> list[str]:
    """The tags of the empty manifests, an empty text for one that has none."""
    found = [version for version in package.active() if STUB in package.manifests[version.name][0]]
    return [", ".join(version.tags) for version in found]


def test_a_tag_that_is_being_taken_away_when_the_time_is_over_is_taken_away(
    sim: Simulator, tagged: Package, place: Place
) -> None:
    before = tags_of(tagged)
    time_passes(sim, place, 10, "PUT", "/manifests/pr-0")
    ended = run(sim, place, **UNTAG, time_limit="5s")
    partial(ended)
    assert set(before) - set(tags_of(tagged)) == {"pr-0"}
    assert stubs(tagged) == []
    assert (ended.count("untagged"), ended.count("remaining")) == (1, 3)
    assert outcomes(place, ended) == ["done"]
    assert undone(sim, place, ended).status == 0
    assert tags_of(tagged) == before


@pytest.mark.parametrize(("method", "path"), [("DELETE", "/versions/"), ("GET", "/app/versions")])
def test_a_tag_is_given_back_when_the_rest_would_have_to_wait_too_long(
    sim: Simulator, tagged: Package, place: Place, method: str, path: str
) -> None:
    before = tags_of(tagged)
    sim.on("PUT", "/manifests/pr-0", lambda *_: refuse(sim, method, path, 100, times=None), times=1)
    ended = run(sim, place, **UNTAG, time_limit="60s")
    partial(ended)
    assert tags_of(tagged) == before, "no tag is left on an empty manifest"
    assert any("is left without a tag" in text for text in ended.annotations["warning"])
    assert outcomes(place, ended) == ["out-of-time"]
    assert passed(place).seconds <= 60
    assert undone(sim, place, ended).count("planned") == 0, "there is nothing to undo"
    assert again(sim, place, **UNTAG).status == 0
    assert sorted(tags_of(tagged)) == ["v0", "v1", "v2", "v3"]


def test_a_tag_that_could_not_be_given_back_is_told_and_undo_gives_it_back(
    sim: Simulator, tagged: Package, place: Place
) -> None:
    before = tags_of(tagged)

    def all_is_refused(*_: object) -> None:
        refuse(sim, "DELETE", "/versions/", 100, times=None)
        refuse(sim, "PUT", "/manifests/pr-0", 100, times=None)

    def when_it_is_looked_for(*_: object) -> None:
        sim.on("GET", "/app/versions", all_is_refused, times=1)

    sim.on("PUT", "/manifests/pr-0", when_it_is_looked_for, times=1)
    ended = run(sim, place, **UNTAG, time_limit="60s")
    assert ended.status == 1, ended.said
    assert stubs(tagged) == ["pr-0"]
    assert "the tag may name an empty manifest now" in ended.said
    assert [line.get("certain") for line in last_lines(place, ended).values()] == [False]
    assert undone(sim, place, ended).status == 0
    assert tags_of(tagged) == before


def test_a_put_that_was_refused_is_not_done_and_not_in_doubt(sim: Simulator, tagged: Package, place: Place) -> None:
    before = tags_of(tagged)
    refuse(sim, "PUT", "/manifests/", 100, times=None)
    ended = run(sim, place, **UNTAG, time_limit="60s")
    partial(ended)
    assert (ended.count("failed"), ended.count("remaining")) == (0, 4)
    assert (tags_of(tagged), stubs(tagged)) == (before, [])
    assert outcomes(place, ended) == ["out-of-time"]


def test_a_tag_that_is_gone_is_said_to_be_gone_though_the_answer_was_lost(
    sim: Simulator, tagged: Package, place: Place
) -> None:
    before = tags_of(tagged)
    sim.faults.add("DELETE", "/versions/", action="close-after")
    time_passes(sim, place, 9.9, "DELETE", "/versions/")
    ended = run(sim, place, **UNTAG, time_limit="10s")
    assert ended.status == 0, ended.said
    assert sorted(tags_of(tagged)) == ["v0", "v1", "v2", "v3"]
    assert outcomes(place, ended) == ["done"] * 4
    assert undone(sim, place, ended).count("restored") == 4
    assert tags_of(tagged) == before


@pytest.mark.parametrize("budget", range(8, 13))
def test_no_tag_is_left_on_an_empty_manifest_wherever_the_hour_ends(
    sim: Simulator, tagged: Package, place: Place, budget: int
) -> None:
    before = tags_of(tagged)
    sim.limits.configure(primary=budget)
    ended = run(sim, place, **UNTAG, time_limit="60s")
    partial(ended)
    after = tags_of(tagged)
    assert after == {tag: name for tag, name in before.items() if tag in after}
    assert len(before) - len(after) == ended.count("untagged")
    assert outcomes(place, ended).count("done") == ended.count("untagged")
    assert passed(place).seconds <= 60


def unlisted(sim: Simulator, looks: int | None) -> None:
    """Permit the empty manifest of the first tag out of the list so many times."""
    empty = json.dumps([]).encode()

    def leave_out(*_: object) -> None:
        sim.faults.add("GET", "/app/versions", status=200, body=empty, times=looks)

    sim.on("PUT", "/manifests/pr-0", leave_out, times=1)


def test_waits_for_the_list_end_before_the_time_does(sim: Simulator, tagged: Package, place: Place) -> None:
    before = tags_of(tagged)
    unlisted(sim, None)
    ended = run(sim, place, **UNTAG, time_limit="10s")
    partial(ended)
    assert passed(place).seconds <= 10
    assert tags_of(tagged) == before


def test_waits_for_the_list_are_told(sim: Simulator, tagged: Package, place: Place) -> None:
    unlisted(sim, 5)
    ended = run(sim, place, **UNTAG)
    assert ended.status == 0, ended.said
    assert stubs(tagged) == []
    for seconds in (8, 15):
        assert f"the empty manifest under the tag pr-0 is not listed yet; waiting {seconds} s, until" in ended.said
