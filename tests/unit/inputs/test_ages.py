"""Ages: every documented spelling is accepted, with calendar months and years, and no other text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from package_keeper.inputs.values import AgeProblem, point_in_time

NOW = datetime(2026, 3, 31, 12, 30, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("45s", NOW - timedelta(seconds=45)),
        ("45 seconds", NOW - timedelta(seconds=45)),
        ("1 sec", NOW - timedelta(seconds=1)),
        ("90min", NOW - timedelta(minutes=90)),
        ("90 minutes", NOW - timedelta(minutes=90)),
        ("12h", NOW - timedelta(hours=12)),
        ("1 hour", NOW - timedelta(hours=1)),
        ("30d", NOW - timedelta(days=30)),
        ("15 days", NOW - timedelta(days=15)),
        ("1 day", NOW - timedelta(days=1)),
        ("0d", NOW),
        ("007d", NOW - timedelta(days=7)),
        ("2w", NOW - timedelta(weeks=2)),
        ("2 Weeks", NOW - timedelta(weeks=2)),
        ("1mo", datetime(2026, 2, 28, 12, 30, 15, tzinfo=UTC)),
        ("6 months", datetime(2025, 9, 30, 12, 30, 15, tzinfo=UTC)),
        ("25mo", datetime(2024, 2, 29, 12, 30, 15, tzinfo=UTC)),
        ("1y", datetime(2025, 3, 31, 12, 30, 15, tzinfo=UTC)),
        ("2 years", datetime(2024, 3, 31, 12, 30, 15, tzinfo=UTC)),
        ("P1D", NOW - timedelta(days=1)),
        ("P2W", NOW - timedelta(weeks=2)),
        ("PT90M", NOW - timedelta(minutes=90)),
        ("P1M", datetime(2026, 2, 28, 12, 30, 15, tzinfo=UTC)),
        ("P1Y", datetime(2025, 3, 31, 12, 30, 15, tzinfo=UTC)),
        ("P1DT12H", NOW - timedelta(hours=36)),
        ("PT0.5S", NOW - timedelta(seconds=0.5)),
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        ("2026-01-31T10:00", datetime(2026, 1, 31, 10, tzinfo=UTC)),
        ("2026-01-31 10:00:05", datetime(2026, 1, 31, 10, 0, 5, tzinfo=UTC)),
        ("2026-01-31T10:00:05Z", datetime(2026, 1, 31, 10, 0, 5, tzinfo=UTC)),
        ("2026-01-31T10:00:05.250Z", datetime(2026, 1, 31, 10, 0, 5, 250_000, tzinfo=UTC)),
        ("2026-01-31T10:00:00+02:00", datetime(2026, 1, 31, 10, tzinfo=timezone(timedelta(hours=2)))),
    ],
)
def test_every_spelling_of_an_age_is_accepted(text: str, moment: datetime) -> None:
    assert point_in_time(text, NOW) == moment


@pytest.mark.parametrize(
    "text",
    [
        "",
        "30",
        "d",
        "-1d",
        "+1d",
        "1.5d",
        "1d12h",
        "30 d ays",
        "m",
        "P",
        "PT",
        "P1",
        "1P",
        "p1d",
        "P-1D",
        "-P1D",
        "P1H",
        "PT1D",
        "yesterday",
        "now",
        "2026",
        "2026-01",
        "2026-13-01",
        "2026-02-30",
        "01/02/2026",
        "2026-01-31T25:00",
        "2026-01-31Tnoon",
        "20260131",
        "٣d",
        "3\uff44",
        "1d\n",
        "1 d d",
        "1fortnight",
        "9999999y",
        "999999999999d",
        "99999999999999999999d",
        "P99999999Y",
        "P999999999999D",
    ],
)
def test_a_text_that_is_not_an_age_is_a_problem(text: str) -> None:
    with pytest.raises(AgeProblem):
        point_in_time(text, NOW)


@pytest.mark.parametrize("text", ["3m", "3M", "3 m"])
def test_a_bare_m_is_refused_and_the_problem_names_min_and_mo(text: str) -> None:
    with pytest.raises(AgeProblem, match="3min or 3mo"):
        point_in_time(text, NOW)


def test_a_number_too_large_for_the_calendar_is_a_problem() -> None:
    with pytest.raises(AgeProblem):
        point_in_time("9" * 5_000 + "d", NOW)


MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - the strategy's form
UNITS = ["s", "min", "h", "d", "w", "mo", "y"]


@given(MOMENTS, st.sampled_from(UNITS), st.integers(0, 900), st.integers(0, 900))
def test_a_larger_age_is_never_a_later_time(now: datetime, unit: str, one: int, other: int) -> None:
    small, large = sorted((one, other))
    assert point_in_time(f"{large}{unit}", now) <= point_in_time(f"{small}{unit}", now) <= now


@given(
    MOMENTS,
    st.sampled_from(
        [("d", "P{}D"), ("w", "P{}W"), ("mo", "P{}M"), ("y", "P{}Y"), ("h", "PT{}H"), ("min", "PT{}M"), ("s", "PT{}S")]
    ),
    st.integers(0, 500),
)
def test_words_and_iso_durations_mean_the_same(now: datetime, forms: tuple[str, str], count: int) -> None:
    assert point_in_time(f"{count}{forms[0]}", now) == point_in_time(forms[1].format(count), now)


@given(st.text(st.sampled_from("0123456789PTYMWDHS.,-:+ Zdmohyw") | st.characters(), max_size=20))
def test_any_text_is_a_time_with_a_zone_or_a_problem(text: str) -> None:
    try:
        moment = point_in_time(text, NOW)
    except AgeProblem:
        return
    assert moment.tzinfo is not None
    assert any(character.isdigit() for character in text)
