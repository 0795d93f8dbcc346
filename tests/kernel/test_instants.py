"""Instants are in UTC; every instant belongs to exactly one service day, also when clocks change."""

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.kernel import FixedClock, InvalidInput, SystemClock, in_utc, service_day, service_day_bounds

zones = st.sampled_from(
    [
        "Asia/Shanghai",
        "Asia/Hong_Kong",
        "Europe/London",
        "Asia/Tokyo",
        "America/Toronto",
        "Australia/Lord_Howe",  # half an hour of summer time
        "Africa/Cairo",  # changes at midnight
        "Asia/Beirut",
    ]
)
starts = st.sampled_from([time(0), time(2), time(3), time(4), time(4, 30)])
EARLIEST = datetime(2024, 1, 1)  # noqa: DTZ001 - hypothesis adds the zone
LATEST = datetime(2030, 1, 1)  # noqa: DTZ001
instants = st.datetimes(EARLIEST, LATEST, timezones=st.just(UTC))


@pytest.mark.parametrize(
    ("instant", "tz", "starts", "day"),
    [
        ("2026-11-17T12:00Z", "Asia/Shanghai", time(0), "2026-11-17"),
        ("2026-11-17T16:00Z", "Asia/Shanghai", time(0), "2026-11-18"),
        ("2026-11-17T15:59Z", "Asia/Shanghai", time(0), "2026-11-17"),
        ("2026-11-17T19:30Z", "Asia/Shanghai", time(4), "2026-11-17"),
        ("2026-11-17T20:00Z", "Asia/Shanghai", time(4), "2026-11-18"),
        # London, last Sunday of October 2026: 01:30 comes twice, and both are still the night before.
        ("2026-10-25T00:30Z", "Europe/London", time(4), "2026-10-24"),
        ("2026-10-25T01:30Z", "Europe/London", time(4), "2026-10-24"),
        ("2026-10-25T03:59Z", "Europe/London", time(4), "2026-10-24"),
        ("2026-10-25T04:00Z", "Europe/London", time(4), "2026-10-25"),
        # Toronto, 8 March 2026: the clock goes from 02:00 to 03:00.
        ("2026-03-08T06:59Z", "America/Toronto", time(3), "2026-03-07"),
        ("2026-03-08T07:00Z", "America/Toronto", time(3), "2026-03-08"),
    ],
)
def test_the_service_day_of_an_instant(instant: str, tz: str, starts: time, day: str) -> None:
    assert service_day(datetime.fromisoformat(instant), tz, starts) == date.fromisoformat(day)


@pytest.mark.parametrize(
    ("day", "tz", "hours"),
    [
        ("2026-11-17", "Asia/Shanghai", 24),
        ("2026-10-24", "Europe/London", 25),
        ("2026-10-25", "Europe/London", 24),
        ("2026-03-28", "Europe/London", 23),
        ("2026-03-07", "America/Toronto", 23),
        ("2026-10-31", "America/Toronto", 25),
    ],
)
def test_a_service_day_that_starts_at_four_is_as_long_as_the_clock_change_makes_it(
    day: str, tz: str, hours: int
) -> None:
    first, last = service_day_bounds(date.fromisoformat(day), tz, time(4))

    assert last - first == timedelta(hours=hours)
    assert (first.tzinfo, last.tzinfo) == (UTC, UTC)


@given(instants, zones, starts)
def test_every_instant_lies_within_the_bounds_of_its_service_day(
    instant: datetime, tz: str, starts: time
) -> None:
    first, last = service_day_bounds(service_day(instant, tz, starts), tz, starts)

    assert first <= instant < last


@given(st.dates(date(2024, 1, 1), date(2030, 1, 1)), zones, starts)
def test_one_service_day_begins_where_the_last_one_ended(day: date, tz: str, starts: time) -> None:
    assert (
        service_day_bounds(day, tz, starts)[1] == service_day_bounds(day + timedelta(days=1), tz, starts)[0]
    )


def test_an_instant_comes_in_as_utc() -> None:
    instant = in_utc(datetime.fromisoformat("2026-11-17T20:00+08:00"))

    assert instant.isoformat() == "2026-11-17T12:00:00+00:00"


def test_an_instant_without_an_offset_is_refused_with_its_place_and_remedy() -> None:
    with pytest.raises(InvalidInput) as refused:
        in_utc(datetime(2026, 11, 17, 12), where="taps[3].tapped_at")  # noqa: DTZ001

    (problem,) = refused.value.problems
    assert problem.where == "taps[3].tapped_at"
    assert "+08:00" in problem.remedy
    assert "taps[3].tapped_at" in str(refused.value)


def test_clocks_tell_utc() -> None:
    fixed = FixedClock(datetime(2026, 11, 17, 12, tzinfo=UTC))

    assert fixed.now() == datetime(2026, 11, 17, 12, tzinfo=UTC)
    assert SystemClock().now().tzinfo is UTC


@pytest.mark.parametrize("instant", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_an_instant_that_utc_cannot_write_is_refused(instant: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        in_utc(datetime.fromisoformat(instant), where="tapped_at")

    assert refused.value.problems[0].where == "tapped_at"
