"""Counts: the newest of each group, and the newest of each of the last days, weeks, months and years."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from package_keeper.inputs.patterns import compile_expression
from package_keeper.model.images import independent_images
from package_keeper.model.packages import Timestamp, Version
from package_keeper.model.plan import Action, Reason
from package_keeper.policy.evaluation import evaluate_deletions
from package_keeper.policy.retention import Counts, GroupBy, Grouping
from tests.unit.making import NOW, key, patterns, rule, rules, version

IMAGE = key("container")

LABELS = {
    Reason.KEEP_DAILY: ("daily", "%Y-%m-%d"),
    Reason.KEEP_WEEKLY: ("weekly", "%G-W%V"),
    Reason.KEEP_MONTHLY: ("monthly", "%Y-%m"),
    Reason.KEEP_YEARLY: ("yearly", "%Y"),
}
"""The counts of periods in their order, and how a period is written; ISO weeks have years of their own."""


def kept(versions: Sequence[Version], **counts: int) -> dict[int, Reason]:
    return Counts(**counts).kept(independent_images(versions), Timestamp.UPDATED)  # type: ignore[arg-type]  # by name


def by_hand(versions: Sequence[Version], **counts: int) -> dict[int, Reason]:
    """What stays, worked out plainly: every period that has one, the last of them, the newest in each."""
    found: dict[int, Reason] = {}
    for tagged in (True, False):
        known = [each for each in versions if bool(each.image_tags) is tagged and each.updated_at is not None]
        known.sort(key=lambda each: (each.updated_at, each.id))
        for each in known[::-1][: counts.get("latest", 0)]:
            found.setdefault(each.id, Reason.KEEP_LATEST)
        for reason, (name, form) in LABELS.items():
            newest = {each.updated_at.astimezone(UTC).strftime(form): each for each in known if each.updated_at}
            for label in sorted(newest, reverse=True)[: counts.get(name, 0)]:
                found.setdefault(newest[label].id, reason)
    return found


ZONES = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45)), timezone(timedelta(hours=-11))])
MOMENTS = st.one_of(
    st.integers(0, 40).map(lambda hours: NOW - timedelta(hours=hours)),
    st.integers(0, 1_500).map(lambda days: NOW - timedelta(days=days)),
    st.datetimes(datetime(2019, 12, 20), datetime(2021, 1, 10), timezones=ZONES),  # noqa: DTZ001  # reason: as the strategy wants it
)
NUMBERS = st.integers(0, 4)
COUNTS = st.fixed_dictionaries(dict.fromkeys(("latest", "daily", "weekly", "monthly", "yearly"), NUMBERS))
TAGGED = st.sampled_from([(), ("a",), (f"sha256-{'a' * 64}.sig",)])


@st.composite
def lists(draw: st.DrawFn) -> list[Version]:
    ids = draw(st.lists(st.integers(1, 99), unique=True, max_size=25))
    return [version(number, of=IMAGE, updated_at=draw(MOMENTS), tags=draw(TAGGED)) for number in ids]


@given(lists(), COUNTS)
def test_the_newest_of_each_calendar_period_stays(versions: list[Version], counts: dict[str, int]) -> None:
    assert kept(versions, **counts) == by_hand(versions, **counts)


@given(lists(), COUNTS, st.sampled_from(["latest", "daily", "weekly", "monthly", "yearly"]))
def test_raising_a_count_never_deletes_more(versions: list[Version], counts: dict[str, int], name: str) -> None:
    more = counts | {name: counts[name] + 1}
    assert kept(versions, **counts).keys() <= kept(versions, **more).keys()
    assert len(kept(versions, **counts)) <= 2 * sum(counts.values())


@given(lists(), COUNTS)
def test_each_count_keeps_the_same_whatever_the_others_are(versions: list[Version], counts: dict[str, int]) -> None:
    alone = [kept(versions, **{name: number}).keys() for name, number in counts.items()]
    assert kept(versions, **counts).keys() == set().union(*alone)


def at(number: int, text: str, *tags: str) -> Version:
    return version(number, of=IMAGE, updated_at=datetime.fromisoformat(text), tags=tags)


BOUNDARIES = [
    # count, moments (the first has id 1), the ids that stay
    ({"daily": 2}, "2026-03-01T23:59:59Z 2026-03-01T00:00:00Z 2026-02-28T23:59:59Z", {1, 3}),
    ({"daily": 2}, "2026-03-02T00:30:00+02:00 2026-03-01T21:00:00Z 2026-02-28T12:00:00Z", {1, 3}),
    ({"daily": 1}, "2026-03-02T00:00:00Z 2026-03-01T23:59:59.999999Z", {1}),
    ({"daily": 3}, "2024-03-01T00:00:00Z 2024-02-29T12:00:00Z 2024-02-28T12:00:00Z 2024-02-28T11:00:00Z", {1, 2, 3}),
    ({"daily": 3}, "2026-03-01T00:00:00Z 2020-01-01T00:00:00Z 2010-06-06T00:00:00Z 2009-01-01T00:00:00Z", {1, 2, 3}),
    # 1 January 2021 is in the week of 28 December 2020; 30 December 2024 in the first of 2025
    ({"weekly": 1}, "2021-01-03T23:59:59Z 2021-01-01T00:00:00Z 2020-12-28T00:00:00Z", {1}),
    ({"weekly": 2}, "2021-01-03T12:00:00Z 2020-12-28T00:00:00Z 2020-12-27T23:59:59Z", {1, 3}),
    ({"weekly": 2}, "2021-01-04T00:00:00Z 2021-01-03T23:59:59Z 2020-12-29T00:00:00Z", {1, 2}),
    ({"weekly": 2}, "2025-01-05T12:00:00Z 2024-12-30T00:00:00Z 2024-12-29T23:00:00Z", {1, 3}),
    ({"weekly": 2}, "2026-06-15T00:00:00Z 2026-06-14T23:00:00Z 2026-06-08T00:00:00Z", {1, 2}),
    # week 1 of one year is not week 1 of another
    ({"weekly": 2}, "2026-01-01T00:00:00Z 2025-01-01T00:00:00Z 2024-01-03T00:00:00Z", {1, 2}),
    ({"monthly": 2}, "2026-03-01T00:00:00Z 2026-02-28T23:59:59Z 2026-02-01T00:00:00Z", {1, 2}),
    ({"monthly": 2}, "2026-03-05T00:00:00Z 2025-03-05T00:00:00Z 2024-03-05T00:00:00Z", {1, 2}),
    ({"monthly": 1}, "2026-03-01T00:30:00+01:00 2026-02-28T22:00:00Z", {1}),
    ({"yearly": 2}, "2026-01-01T00:00:00Z 2025-12-31T23:59:59Z 2025-01-01T00:00:00Z", {1, 2}),
    ({"yearly": 1}, "2026-01-01T00:30:00+01:00 2025-12-31T22:00:00Z", {1}),
    ({"daily": 1, "weekly": 1, "monthly": 1, "yearly": 1}, "2026-03-03T00:00:00Z 2026-03-02T00:00:00Z", {1}),
    ({"daily": 2, "monthly": 2}, "2026-03-03T00:00:00Z 2026-03-02T00:00:00Z 2026-02-02T00:00:00Z", {1, 2, 3}),
]


@pytest.mark.parametrize(("counts", "moments", "stay"), BOUNDARIES)
def test_days_weeks_months_and_years_end_in_utc(counts: dict[str, int], moments: str, stay: set[int]) -> None:
    versions = [at(number, moment) for number, moment in enumerate(moments.split(), start=1)]
    assert kept(versions, **counts).keys() == stay


def test_the_reason_is_the_first_count_that_keeps() -> None:
    days = ["2026-06-15", "2026-06-14", "2026-06-10", "2026-05-20", "2025-05-20", "2024-05-20"]
    versions = [at(number, f"{day}T12:00:00+00:00") for number, day in enumerate(days, start=1)]
    assert kept(versions, latest=1, daily=2, weekly=2, monthly=2, yearly=2) == {
        1: Reason.KEEP_LATEST,
        2: Reason.KEEP_DAILY,
        4: Reason.KEEP_MONTHLY,
        5: Reason.KEEP_YEARLY,
    }
    assert kept(versions, weekly=3) == dict.fromkeys((1, 2, 4), Reason.KEEP_WEEKLY)


def test_tagged_and_untagged_are_counted_apart() -> None:
    signature = f"sha256-{'b' * 64}.sig"
    versions = [
        at(1, "2026-06-15T12:00:00Z", "v1"),
        at(2, "2026-06-15T11:00:00Z", "v2"),
        at(3, "2026-06-15T10:00:00Z"),
        at(4, "2026-06-15T09:00:00Z", signature),
    ]
    assert kept(versions, latest=1).keys() == {1, 3}
    assert kept(versions, daily=1).keys() == {1, 3}
    assert kept(versions, yearly=5).keys() == {1, 3}


def test_of_equal_times_the_higher_id_is_newer() -> None:
    versions = [at(number, "2026-06-15T12:00:00Z") for number in (2, 9, 4)]
    assert kept(versions, daily=1).keys() == {9}
    assert kept(versions, latest=2).keys() == {9, 4}


def test_images_that_stay_at_any_age_take_no_place_in_a_count() -> None:
    versions = [version(number) for number in range(1, 8)]
    versions[0] = replace(versions[0], updated_at=None)
    found = evaluate_deletions(
        independent_images(versions),
        rules(
            rule(version_ids=frozenset({1, 3, 4, 5, 6, 7}), counts=Counts(daily=2)),
            lists=replace(rules(rule()).lists, versions=patterns("1.0.3")),
        ),
    )
    assert {each.version.id: each.reason for each in found} == {
        1: Reason.UNKNOWN_AGE,
        2: Reason.NOT_SELECTED,
        3: Reason.KEEP_VERSIONS,
        4: Reason.KEEP_DAILY,
        5: Reason.KEEP_DAILY,
        6: Reason.SELECTED,
        7: Reason.SELECTED,
    }


def test_counts_come_before_age() -> None:
    versions = [version(number) for number in (1, 2, 30, 40)]
    found = evaluate_deletions(
        independent_images(versions), rules(rule(versions=patterns("*"), older=10, counts=Counts(daily=2)))
    )
    assert [each.version.id for each in found if each.action is Action.DELETE] == [30, 40]


# groups

TAGS = st.sampled_from(
    ["1.0.0", "v1.0.1", "1.1.0", "1.1.1-rc.1", "2.0.0", "2.1.0+b", "1.2", "latest", "pr-7", "01.0.0"]
)
GROUPINGS = {
    "package": Grouping(),
    "major": Grouping(by=GroupBy.MAJOR),
    "minor": Grouping(by=GroupBy.MINOR),
    "first number": Grouping(expression=compile_expression(r"/^v?(\d+)/")),
    "optional": Grouping(expression=compile_expression(r"/^(?:pr-(\d+)|latest)$/")),
}


@st.composite
def tagged(draw: st.DrawFn) -> list[Version]:
    ids = draw(st.lists(st.integers(1, 99), unique=True, max_size=20))
    many = st.lists(TAGS, unique=True, min_size=1, max_size=3).map(tuple)
    return [version(number, of=IMAGE, updated_at=draw(MOMENTS), tags=draw(many)) for number in ids]


def groups_by_hand(name: str, tags: Sequence[str]) -> set[str]:
    """The groups of the tags that `TAGS` draws, written down one by one."""
    table = {
        "major": {"1.0.0": "1", "v1.0.1": "1", "1.1.0": "1", "1.1.1-rc.1": "1", "2.0.0": "2", "2.1.0+b": "2"},
        "minor": {
            "1.0.0": "1.0",
            "v1.0.1": "1.0",
            "1.1.0": "1.1",
            "1.1.1-rc.1": "1.1",
            "2.0.0": "2.0",
            "2.1.0+b": "2.1",
        },
        "optional": {"pr-7": "7"},
        "package": dict.fromkeys(tags, "all"),
        "first number": {
            tag: tag.removeprefix("v")[0].replace("0", "01") for tag in tags if tag not in ("latest", "pr-7")
        },
    }[name]
    return {table[tag] for tag in tags if tag in table}


@given(tagged(), st.sampled_from(sorted(GROUPINGS)), st.integers(1, 3))
def test_the_newest_of_each_group_stay_and_so_do_images_without_one(
    versions: list[Version], name: str, latest: int
) -> None:
    newest_first = sorted(versions, key=lambda each: (each.updated_at or NOW, each.id), reverse=True)
    members: dict[str, list[int]] = {}
    stay: set[int] = set()
    for each in newest_first:
        groups = groups_by_hand(name, each.tags)
        for group in groups:
            members.setdefault(group, []).append(each.id)
        if not groups:
            stay.add(each.id)
    for ids in members.values():
        stay.update(ids[:latest])
    found = Counts(latest=latest, grouping=GROUPINGS[name]).kept(independent_images(versions), Timestamp.UPDATED)
    assert found == dict.fromkeys(stay, Reason.KEEP_LATEST)


def test_types_without_tags_are_grouped_by_name() -> None:
    names = ["1.0.0", "1.0.1", "1.1.0", "2.0.0", "2.0.0.RELEASE", "1.0-SNAPSHOT"]
    versions = [version(number, name=name) for number, name in enumerate(names, start=1)]
    images = independent_images(versions)
    assert Counts(latest=1, grouping=GROUPINGS["minor"]).kept(images, Timestamp.UPDATED).keys() == {1, 3, 4, 5, 6}
    assert Counts(latest=1, grouping=GROUPINGS["major"]).kept(images, Timestamp.UPDATED).keys() == {1, 4, 5, 6}


@pytest.mark.parametrize("name", ["major", "minor", "optional"])
def test_untagged_images_have_no_group_and_stay(name: str) -> None:
    versions = [version(number, of=IMAGE) for number in (1, 2, 3)]
    found = Counts(latest=1, grouping=GROUPINGS[name]).kept(independent_images(versions), Timestamp.UPDATED)
    assert found.keys() == {1, 2, 3}


def test_without_keep_latest_what_has_no_group_does_not_stay() -> None:
    versions = [version(number, of=IMAGE, tags=("nightly",)) for number in (1, 2, 3)]
    found = Counts(daily=2, grouping=GROUPINGS["major"]).kept(independent_images(versions), Timestamp.UPDATED)
    assert found == dict.fromkeys((1, 2), Reason.KEEP_DAILY)


@given(tagged(), st.sampled_from(sorted(GROUPINGS)), st.integers(1, 3), COUNTS)
def test_raising_a_grouped_count_never_deletes_more(
    versions: list[Version], name: str, latest: int, counts: dict[str, int]
) -> None:
    images = independent_images(versions)
    grouped = Counts(**counts | {"latest": latest}, grouping=GROUPINGS[name])
    more = replace(grouped, latest=latest + 1)
    assert grouped.kept(images, Timestamp.UPDATED).keys() <= more.kept(images, Timestamp.UPDATED).keys()


def test_an_empty_group_is_none() -> None:
    versions = [version(number, name=name) for number, name in enumerate(("a", "b", "v1", "v1-x"), start=1)]
    counts = Counts(latest=1, grouping=Grouping(expression=compile_expression(r"/^v?(\d*)/")))
    assert counts.kept(independent_images(versions), Timestamp.UPDATED).keys() == {1, 2, 3}
